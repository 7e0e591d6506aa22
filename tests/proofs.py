"""What end-to-end encryption has to refuse or survive, line by line, and the tests that show it.

A line is what somebody attempts, most of them the server; ``test_proofs`` checks that each has a test
and that each test is there.  A test is named by its file and its name.
"""

MLS = "tests/mls/"
ROOM = "tests/e2ee/"
TRUST = "tests/trust/"
STORE = "tests/client/"
DELIVERY = "tests/features/delivery/"
REPORTS = "tests/features/reports/"
JOINING = "tests/features/joining/"
BLACK = "tests/blackbox/"
LIES = f"{BLACK}test_lies.py"
SHOWN = f"{BLACK}test_private_malice.py"
WITNESS = f"{BLACK}test_private_false_witness.py"
COMMITS = f"{BLACK}test_private_false_commits.py"
COPIES = f"{BLACK}test_private_copies.py"
RUBBISH = f"{BLACK}test_private_rubbish.py"
SEALED_LIES = f"{BLACK}test_sealed_lies.py"

Test = tuple[str, str]
"""(file, name)."""

MESSAGES: dict[str, list[Test]] = {
    "replay": [
        (f"{MLS}test_group.py", "test_a_replay_is_refused"),
        (LIES, "test_a_replay_is_not_read_again"),
        (SHOWN, "test_a_replay_is_shown_once"),
    ],
    "bit flip; the original still decrypts": [
        (f"{MLS}test_framing.py", "test_every_flipped_bit_is_refused_and_the_original_still_opens"),
        (SHOWN, "test_a_flipped_bit_shows_nothing_and_the_original_is_shown"),
    ],
    "reorder": [(SHOWN, "test_the_order_of_one_sender_is_noticed")],
    "drop, and what is withheld and comes later": [
        (SHOWN, "test_what_is_dropped_is_noticed_with_the_next_message"),
        (SHOWN, "test_a_message_that_is_acknowledged_and_thrown_away_is_missed"),
        (SHOWN, "test_what_comes_late_and_whole_is_no_finding"),
        (RUBBISH, "test_a_message_that_is_said_to_stand_where_it_does_not"),
    ],
    "an insider signs as another leaf, whose generation stays usable": [
        (
            f"{MLS}test_framing.py",
            "test_an_insider_does_not_speak_for_another_and_costs_it_nothing",
        ),
        (f"{ROOM}test_room.py", "test_an_insider_cannot_sign_as_somebody_else_and_spoils_nothing"),
    ],
    "a jump of 1,025 generations": [
        (f"{MLS}test_group.py", "test_a_jump_of_1024_is_read_and_one_of_1025_refused"),
        (LIES, "test_a_jump_past_a_thousand_generations_is_refused_and_costs_nothing"),
    ],
    "moved to another room": [(SHOWN, "test_what_is_said_elsewhere_is_not_shown_here")],
    "application data in clear": [
        (f"{MLS}test_transition.py", "test_application_data_in_the_clear_is_refused"),
        (SHOWN, "test_nothing_in_clear_is_shown"),
    ],
    "no (key, nonce) twice in 10,000 messages": [
        (f"{MLS}test_group.py", "test_no_key_and_nonce_repeat_over_10000_messages"),
    ],
    "5,000 typing events": [
        (f"{ROOM}test_ephemeral.py", "test_five_thousand_of_them_take_no_key_and_repeat_no_nonce"),
    ],
    "a purge with an offline device": [
        (f"{ROOM}test_room.py", "test_purged_events_and_statements_pass_and_are_in_the_chain"),
    ],
    "a refused ciphertext that arrives beside its re-encryption": [
        (LIES, "test_what_was_refused_and_comes_beside_its_second_seal_is_shown_once"),
    ],
    "a room that was encrypted is called plain": [
        (WITNESS, "test_a_room_that_is_called_plain_stays_encrypted"),
        (SEALED_LIES, "test_not_while_the_store_is_locked"),
        (SEALED_LIES, "test_not_into_a_room_that_was_only_listed_as_encrypted"),
    ],
    "rubbish or a refusal for an answer": [
        (RUBBISH, "test_rubbish_in_any_answer"),
        (RUBBISH, "test_refusals_of_all_that_is_asked"),
    ],
}

CHANGES: dict[str, list[Test]] = {
    "a second commit of an epoch": [
        (f"{MLS}test_group.py", "test_of_two_commits_of_an_epoch_the_second_is_refused"),
        (f"{DELIVERY}test_commits.py", "test_the_second_commit_of_an_epoch_is_told_which_one_won"),
    ],
    "a replayed commit": [(COMMITS, "test_a_replayed_commit_holds_for_whom_it_was_replayed")],
    "a commit that was tampered with; the old state is whole": [
        (f"{MLS}test_group.py", "test_a_bent_commit_is_refused_and_the_old_state_lives_on"),
        (
            f"{BLACK}test_false_commits.py",
            "test_a_replayed_commit_and_one_that_was_tampered_with_hold_the_room",
        ),
    ],
    "an insider adds an uncertified device": [
        (f"{DELIVERY}test_commits.py", "test_an_insider_adds_no_device_that_is_not_certified"),
    ],
    "the server proposes an Add": [
        (COMMITS, "test_the_server_adds_nobody_and_does_not_remove_the_last_administrator"),
    ],
    "the server removes all administrators": [
        (COMMITS, "test_the_server_adds_nobody_and_does_not_remove_the_last_administrator"),
        (f"{TRUST}test_structure.py", "test_not_the_last_administrator"),
    ],
    "a removal from a direct conversation": [
        (f"{BLACK}test_false_commits.py", "test_nobody_is_proposed_out_of_a_direct_conversation"),
    ],
    "a third account in a direct conversation": [
        (COMMITS, "test_nobody_comes_third_into_a_conversation_of_two"),
        (f"{DELIVERY}test_commits.py", "test_nobody_third_comes_into_a_direct_conversation"),
    ],
    "a removal starved by external commits": [
        (
            f"{DELIVERY}test_removals.py",
            "test_removals_are_not_starved_by_devices_that_come_in_again_and_again",
        ),
    ],
    "a garbage commit; the room is founded anew within a minute": [
        (COMMITS, "test_a_garbage_commit_holds_the_room_and_it_is_founded_anew"),
    ],
    "a lying tree beside a welcome": [
        (WITNESS, "test_a_lying_tree_lets_nobody_in_and_the_true_one_does"),
    ],
    "a false beginning of an epoch": [
        (WITNESS, "test_a_false_beginning_is_noticed_with_the_first_message"),
    ],
    "a false way in for devices that come by themselves": [
        (WITNESS, "test_a_lying_way_in_is_mended_a_few_times_and_not_for_ever"),
    ],
    "a welcome into a fake room": [(WITNESS, "test_a_fake_room_in_somebodys_name_is_not_entered")],
    "a welcome replayed, an inbox with forged entries": [
        (WITNESS, "test_an_inbox_of_rubbish_and_repeats_changes_nothing"),
    ],
    "a classical key package, a swapped key": [
        (f"{BLACK}test_false_witness.py", "test_a_package_of_the_servers_making_is_not_added"),
        (f"{MLS}test_keypackages.py", "test_a_classical_key_package_is_not_for_a_hybrid_group"),
    ],
    "only the last resort, or old key packages, are served": [
        (WITNESS, "test_a_last_resort_that_was_not_needed_is_told_by_the_doctor"),
        (WITNESS, "test_an_old_key_package_lets_nobody_read_and_they_come_in_all_the_same"),
    ],
}

IDENTITIES: dict[str, list[Test]] = {
    "a new root for an account that has one": [
        (COMMITS, "test_who_begins_anew_freezes_no_room_and_stays_outside"),
    ],
    "a root swapped at first contact": [
        (WITNESS, "test_a_root_swapped_at_first_contact_shows_when_people_compare"),
        (WITNESS, "test_a_server_in_between_is_seen_by_the_words"),
    ],
    "a root swapped later": [
        (WITNESS, "test_a_root_swapped_later_holds_the_conversation_and_is_said_elsewhere"),
        (WITNESS, "test_a_root_swapped_later_holds_rooms_with_whom_was_verified"),
    ],
    "a rolled back log": [(WITNESS, "test_a_rolled_back_log_holds_until_it_is_whole_again")],
    "different heads for two members": [
        (
            f"{BLACK}test_false_witness.py",
            "test_two_logs_of_one_account_surface_with_the_next_message",
        ),
    ],
    "a withheld revocation": [
        (WITNESS, "test_a_withheld_revocation_holds_as_soon_as_its_owner_speaks"),
    ],
    "a revoked device in many rooms while its owner is away": [
        (COMMITS, "test_a_revoked_device_is_put_out_of_all_rooms_by_others"),
        (
            f"{DELIVERY}test_removals.py",
            "test_a_revoked_device_is_proposed_for_removal_wherever_it_is",
        ),
    ],
    "a stolen signature key comes in anew": [
        (COPIES, "test_a_thief_of_a_devices_keys_who_comes_back_by_them_raises_the_alarm"),
        (f"{DELIVERY}test_commits.py", "test_a_stolen_password_resyncs_nothing"),
    ],
    "a short code without a commitment": [
        (f"{TRUST}test_verification.py", "test_a_nonce_chosen_after_the_other_does_not_open"),
    ],
    "a reflected short code": [
        (f"{TRUST}test_verification.py", "test_an_answer_that_comes_back_is_refused"),
        (WITNESS, "test_what_is_reflected_is_not_taken"),
    ],
    "a login secret that was caught, against the vault": [
        (COPIES, "test_a_login_secret_that_was_caught_opens_nothing"),
    ],
    "an administrator's reset": [(COPIES, "test_an_administrators_reset_opens_nothing")],
    "lowered Argon2 parameters": [
        (f"{TRUST}test_password.py", "test_the_cost_is_the_designs_floor")
    ],
}

MEMBERSHIP: dict[str, list[Test]] = {
    "a removed member reads, sends, injects messages of the old epoch": [
        (f"{MLS}test_group.py", "test_the_removed_read_nothing_more_and_say_nothing_more"),
        (
            f"{BLACK}test_false_commits.py",
            "test_whoever_is_removed_says_nothing_more_with_the_servers_help",
        ),
    ],
    "fork and partition": [
        (SHOWN, "test_two_who_are_shown_different_logs_notice_it"),
        (SHOWN, "test_a_withheld_commit_is_noticed_with_the_first_message_after_it"),
        (SHOWN, "test_a_forked_room_goes_on_anew_once_the_truth_is_told"),
        (
            f"{BLACK}test_false_commits.py",
            "test_a_removal_that_is_held_back_parts_the_room_and_no_more",
        ),
    ],
    "coming back past a ghost that was refused": [
        (f"{ROOM}test_room.py", "test_a_room_that_is_held_does_not_fall_behind"),
        (f"{TRUST}test_structure.py", "test_a_ghost_in_the_tree_is_found"),
        (COMMITS, "test_a_replayed_commit_holds_for_whom_it_was_replayed"),
    ],
    "300 joiners at once": [(f"{DELIVERY}test_many.py", "test_three_hundred_joiners_at_once")],
    "an invite that is forged, expired, overused": [
        (WITNESS, "test_who_knocks_without_the_secret_is_not_let_in"),
        (f"{JOINING}test_codes.py", "test_a_time_that_is_past_ends_a_code"),
        (f"{JOINING}test_codes.py", "test_two_with_the_last_use_at_once"),
    ],
    "two commits at once, 200 times": [
        (f"{DELIVERY}test_many.py", "test_two_commits_at_once_two_hundred_times"),
    ],
    "300 commits missed": [(COPIES, "test_hundreds_of_missed_commits_are_followed")],
    "a member who reinstalls freezes no room": [
        (COMMITS, "test_who_begins_anew_freezes_no_room_and_stays_outside"),
    ],
}

STORAGE: dict[str, list[Test]] = {
    "kill -9 between any two writes": [
        (f"{STORE}test_store_crash.py", "test_sending"),
        (f"{STORE}test_store_crash.py", "test_receiving"),
        (f"{STORE}test_store_crash.py", "test_committing"),
        (f"{STORE}test_store_crash.py", "test_uploading_key_packages_and_coming_in_by_one"),
        (f"{BLACK}test_encrypted.py", "test_nothing_is_half_there"),
        (COPIES, "test_no_message_is_lost_or_doubled"),
    ],
    "a copy that was put back": [
        (COPIES, "test_what_was_put_back_renews_its_keys_before_it_speaks"),
        (f"{STORE}test_store_file.py", "test_a_copied_profile_has_new_keys_come_first"),
    ],
    "two live clones": [
        (COPIES, "test_two_clones_are_noticed"),
        (f"{MLS}test_group.py", "test_two_copies_of_a_state_share_keys_but_no_nonce"),
    ],
    "canaries in the client's files": [
        (f"{STORE}test_store_secrets.py", "test_nothing_that_was_said_is_in_any_file"),
    ],
    "canaries in what the server keeps": [
        (f"{BLACK}test_canaries.py", "test_nothing_of_a_day_is_found_in_what_the_server_keeps"),
    ],
    "a wrong passphrase": [
        (f"{STORE}test_store_file.py", "test_a_wrong_password_is_told_and_changes_nothing"),
    ],
    "a backup that is old, foreign, tampered with": [
        (f"{ROOM}test_backup.py", "test_an_index_from_before_is_refused"),
        (f"{ROOM}test_backup.py", "test_neither_other_words_nor_another_account_open_it"),
        (f"{ROOM}test_backup.py", "test_bytes_that_the_key_seals_are_an_index_or_refused"),
    ],
    "a hint to delete another's message": [
        (SHOWN, "test_a_hint_of_the_servers_deletes_nothing_here"),
        (
            f"{DELIVERY}test_speaking.py",
            "test_of_others_only_moderators_delete_and_only_of_those_below",
        ),
        (f"{ROOM}test_fold.py", "test_in_a_direct_conversation_nobody_deletes_for_the_other"),
    ],
}

REPORTED: dict[str, list[Test]] = {
    "a report with other words, or a flipped signature": [
        (f"{REPORTS}test_rules.py", "test_forged_words_are_not"),
        (f"{REPORTS}test_rules.py", "test_no_single_bit_of_it_may_be_another"),
        (f"{BLACK}test_reports.py", "test_nobody_is_accused_of_what_was_not_said"),
    ],
    "another's leaf": [
        (f"{REPORTS}test_rules.py", "test_it_is_nobody_else_s"),
        (f"{REPORTS}test_rules.py", "test_an_insider_signs_for_itself_alone"),
    ],
    "another room's or epoch's context": [
        (f"{REPORTS}test_rules.py", "test_it_proves_nothing_in_another_room_or_epoch"),
        (f"{REPORTS}test_server.py", "test_another_room_of_the_same_people_proves_nothing"),
        (f"{REPORTS}test_server.py", "test_a_message_is_proven_by_its_own_epoch_long_after_it"),
    ],
    "a stranger, or somebody who came later": [
        (f"{REPORTS}test_server.py", "test_strangers_learn_nothing_and_show_nothing"),
        (f"{REPORTS}test_server.py", "test_who_came_later_does_not_show_what_was_said_before"),
    ],
    "words that nobody agreed to show": [
        (f"{STORE}test_reports.py", "test_of_an_edited_message_another_edit_is_seen_as_well"),
        (
            f"{STORE}test_reports.py",
            "test_an_edit_that_overtakes_the_answer_is_not_what_was_agreed_to",
        ),
    ],
    "a message that breaks the showing of its report": [
        (f"{REPORTS}test_hostile.py", "test_whatever_somebody_has_said_its_report_can_be_read"),
    ],
    "a proof that outlives its words": [
        (
            f"{STORE}test_store_proofs.py",
            "test_it_goes_with_what_is_deleted_edited_or_forgotten",
        ),
        (f"{STORE}test_store_proofs.py", "test_it_goes_with_what_has_had_its_time"),
        (f"{STORE}test_store_proofs.py", "test_the_backup_has_none"),
    ],
    "a message that nobody reported, at the server": [
        (
            f"{BLACK}test_reports.py",
            "test_one_message_goes_to_the_operators_with_proof_and_nothing_else_does",
        ),
    ],
}

LIBRARY: dict[str, list[Test]] = {
    "parsers: only the library's error, in bounded time and memory": [
        (f"{MLS}test_messages.py", "test_random_bytes_are_refused"),
        (f"{MLS}test_messages.py", "test_much_that_is_hostile_takes_bounded_time_and_memory"),
    ],
    "each field of each valid tree": [
        (f"{MLS}test_tree_checks.py", "test_each_field_of_each_node_of_a_valid_tree"),
    ],
    "against another implementation, equal exporters at every epoch": [
        (f"{MLS}test_interop.py", "test_all_agree_after_every_step_of_a_random_walk"),
    ],
}

PROOFS = {
    "messages": MESSAGES,
    "changes": CHANGES,
    "identities": IDENTITIES,
    "membership over time": MEMBERSHIP,
    "storage": STORAGE,
    "reports": REPORTED,
    "library": LIBRARY,
}
