"""This device: its recovery words, the store's password, whose it is, and its siblings."""

import pytest

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Choices, Form, Question
from tests.client.scenes import (
    NOON,
    RECOVERY,
    Person,
    attic,
    in_lobby,
    linking,
    recovering,
    unlocking,
    wording,
)

# -- the recovery words ------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12)])
def test_all_words_and_their_numbers_are_on_one_screen(width: int, height: int) -> None:
    page = recovering(width, height).screen()
    assert all(f"{n} {word}" in page for n, word in enumerate(RECOVERY, 1))
    assert "nobody can bring" in page


def test_the_words_go_once_it_was_said_twice_that_they_are_written_down() -> None:
    person = recovering()
    assert person.key("enter") == []
    assert isinstance(person.state.dialog, Question)
    assert person.types("y") == [es.WordsKept()]
    assert person.state.dialogs == []


@pytest.mark.parametrize("no", ["n", "x", "enter", "esc"])
def test_anything_but_yes_keeps_the_words_on_the_screen(no: str) -> None:
    person = recovering()
    person.key("enter")
    assert (person.types(no) if len(no) == 1 else person.key(no)) == []
    assert "crouch" in person.screen()


@pytest.mark.parametrize("key", ["esc", "ctrl-g", "f9"])
def test_only_enter_leads_away_from_the_words(key: str) -> None:
    person = recovering()
    assert person.key(key) == []
    assert "crouch" in person.screen()


def test_the_words_do_not_keep_anybody_from_quitting() -> None:
    person = recovering()
    person.key("ctrl-c")
    assert person.types("y") == [e.Quit()]


def test_the_words_are_not_copied_and_not_kept() -> None:
    person = recovering()
    assert person.types("c") == []
    person.key("enter")
    person.types("y")
    assert "crouch" not in "\n".join(person.state.history.entries)
    assert not any("crouch" in item.text for item in person.room.window.items)


def test_told_again_the_page_stays_one() -> None:
    person = recovering()
    person.link(s.RecoveryWords(RECOVERY))
    assert len(person.state.dialogs) == 1
    person.key("enter")
    person.link(s.RecoveryWords(RECOVERY))
    person.types("y")
    assert person.state.dialogs == []


def test_what_was_typed_when_the_words_came_answers_nothing() -> None:
    person = in_lobby()
    person.link(s.RecoveryWords(RECOVERY))
    person.key("enter")
    assert not isinstance(person.state.dialog, Question)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (" ".join(RECOVERY), True),
        ("my words: 3 VELVET, 4 amazing\n5 orbit 6 Puzzle", True),
        ("//" + " ".join(RECOVERY[4:8]), True),
        (" ".join(RECOVERY[:3]), False),
        (" ".join(reversed(RECOVERY)), False),
        ("an amazing orbit is a silent cabin", False),
    ],
)
def test_words_in_a_message_are_held(text: str, held: bool) -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.RecoveryWords(RECOVERY))
    person.wait()
    person.key("enter")
    person.types("y")
    person.wait()
    person.did.clear()
    person.link(i.Paste(text))
    person.key("enter")
    assert bool(person.sent()) is not held
    if held:
        assert "recovery words" in person.screen()
        person.types("n")
        assert person.input == text
        assert person.sent() == []


def test_words_behind_a_command_that_says_something_are_held_too() -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.RecoveryWords(RECOVERY))
    person.wait()
    person.key("enter")
    person.types("y")
    person.wait()
    person.enter("/msg bob " + " ".join(RECOVERY))
    assert "recovery words" in person.screen()


# -- the store ---------------------------------------------------------------------------------------


def test_the_password_opens_the_store() -> None:
    person = unlocking()
    (unlock,) = person.key("enter")
    assert isinstance(unlock, es.Unlock)
    assert unlock.password.reveal() == "correct horse battery"
    assert person.state.dialog.fields[0].empty  # type: ignore[union-attr]
    person.link(s.StoreOpened())
    assert person.state.dialogs == []
    assert not person.state.locked


def test_a_wrong_password_is_told_in_the_form() -> None:
    person = in_lobby()
    person.link(s.StoreLocked())
    person.wait()
    person.types("correct horse")
    person.key("enter")
    person.link(s.StoreLocked("LC-STORE-PASSWORD", "wrong\x1b[2J"))
    form = person.state.dialog
    assert isinstance(form, Form)
    assert not form.busy
    assert form.fields[0].empty
    assert "LC-STORE-PASSWORD  wrong" in person.screen()


def test_without_the_store_public_rooms_work_and_the_others_say_what_to_do() -> None:
    person = attic()
    person.link(s.StoreLocked())
    person.wait()
    person.key("esc")
    person.enter("hello")
    assert person.sent() == ["hello"]
    person.link(i.RoomChanged(7, label="E2E?"))
    assert "/unlock" in person.screen()
    person.enter("later")
    assert person.sent() == ["hello", "later"]  # it is queued
    person.enter("/unlock")
    assert isinstance(person.state.dialog, Form)


def test_the_form_does_not_come_back_by_itself() -> None:
    person = in_lobby()
    person.link(s.StoreLocked())
    person.wait()
    person.key("esc")
    person.link(s.StoreLocked())
    assert person.state.dialogs == []
    person.link(s.StoreLocked("LC-STORE-PASSWORD", "wrong"))
    assert "LC-STORE-PASSWORD" in person.note


def test_a_password_that_opened_the_store_is_held_as_a_message() -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.StoreLocked())
    person.wait()
    person.types("correct horse battery")
    person.key("enter")
    person.link(s.StoreOpened())
    person.wait()
    person.enter("correct horse battery")
    assert person.sent() == []
    assert "your password" in person.screen()


def test_what_is_typed_on_when_the_form_closes_is_not_sent() -> None:
    person = in_lobby()
    person.link(s.StoreLocked())
    person.wait()
    person.types("correct")
    person.link(s.StoreOpened())
    person.types(" horse")
    person.key("enter")
    assert person.sent() == []


# -- whose device this is ----------------------------------------------------------------------------


def test_a_new_device_compares_with_another_one() -> None:
    person = linking()
    assert "laptop, phone" in person.screen()
    (ask,) = person.types("d")
    assert isinstance(ask, es.LinkDevice)
    person.link(s.Comparing(3, "laptop", link=True, ref=ask.ref))
    assert ask.ref not in person.state.pending
    assert "Waiting for another device of yours" in person.screen()
    person.link(s.ComparisonEnded(3, True, "linked"), s.DeviceLinked())
    assert person.state.dialogs == []
    assert person.state.unlinked is None


def test_without_another_device_there_is_nothing_to_compare_with() -> None:
    person = in_lobby()
    person.link(s.DeviceUnlinked(()))
    person.wait()
    assert "device of yours" not in person.screen()
    assert person.types("d") == []
    assert isinstance(person.state.dialog, Choices)


def test_the_words_link_a_device() -> None:
    person = wording()
    (link,) = person.key("enter")
    assert isinstance(link, es.LinkByWords)
    assert link.words.reveal() == " ".join(RECOVERY)
    person.link(i.CommandDone(link.ref), s.DeviceLinked())
    assert person.state.dialogs == []


def test_wrong_words_stay_in_the_form() -> None:
    person = wording()
    (link,) = person.key("enter")
    assert isinstance(link, es.LinkByWords)
    link.words.clear()  # as the link does
    person.link(i.CommandFailed(link.ref, "LC-IDENTITY-WORDS", "no identity has these words"))
    assert "LC-IDENTITY-WORDS" in person.screen()
    assert "crouch lumber" in person.screen()
    person.key("backspace")
    person.types("s")
    (again,) = person.key("enter")
    assert isinstance(again, es.LinkByWords)
    assert again.words.reveal().endswith("noodls")


def test_words_are_counted_before_they_are_tried_and_may_be_pasted_in_lines() -> None:
    person = linking()
    person.types("w")
    person.link(i.Paste("\n".join(RECOVERY[:11]) + "\n"))
    assert person.key("enter") == []
    assert "these are 11 words" in person.screen()
    person.link(i.Paste(RECOVERY[11]))
    assert isinstance(person.key("enter")[0], es.LinkByWords)


def test_offline_the_words_wait_in_the_form() -> None:
    person = wording()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert person.key("enter") == []
    assert "not connected" in person.screen()


def test_words_that_were_typed_are_held_as_a_message() -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.DeviceUnlinked(()))
    person.wait()
    person.types("w")
    person.types(" ".join(RECOVERY))
    person.key("enter")
    person.link(s.DeviceLinked())
    person.wait()
    person.enter(" ".join(RECOVERY[2:9]))
    assert person.sent() == []


def test_beginning_anew_is_asked_with_what_is_lost() -> None:
    person = linking()
    assert person.types("n") == []
    page = " ".join(person.screen().replace("|", " ").split())
    assert "everybody who knows you is warned" in page
    (anew,) = person.types("y")
    assert isinstance(anew, es.BeginAnew)


def test_later_is_possible_and_the_command_asks_again() -> None:
    person = linking()
    person.key("esc")
    assert "/link" in person.note
    person.link(s.DeviceUnlinked(("laptop",)))
    assert person.state.dialogs == []
    person.enter("/link")
    assert "This device is new" in person.screen()


def test_a_new_device_says_in_its_rooms_what_to_do() -> None:
    person = attic()
    person.link(s.DeviceUnlinked(()), i.RoomChanged(7, label="E2E?"))
    person.wait()
    person.key("esc")
    person.state.note = None
    assert "/link" in person.screen()


def test_devices_are_listed() -> None:
    person = in_lobby()
    (ask,) = person.enter("/devices")
    assert isinstance(ask, es.ListDevices)
    person.link(
        s.DevicesListed(
            (
                s.Device("ab12", "laptop", NOON, here=True, primary=True),
                s.Device("cd34", "old \x1b[2Jphone", 0, revoked=True),
            ),
            ask.ref,
        )
    )
    page = person.screen()
    assert "laptop                   2026-11-22  ab12 here, primary" in page
    assert "(not known) cd34 revoked" in page


def test_devices_that_nobody_asked_for_open_no_page() -> None:
    person = in_lobby()
    person.link(s.DevicesListed((s.Device("ab12", "laptop", NOON),), 99))
    assert person.state.dialogs == []


@pytest.mark.parametrize(
    ("typed", "name", "lost"),
    [("/revoke old laptop lost", "old laptop", True), ("/revoke cd34", "cd34", False)],
)
def test_a_device_is_revoked_after_a_question(typed: str, name: str, lost: bool) -> None:
    person = in_lobby()
    assert person.enter(typed) == []
    (revoke,) = person.types("y")
    assert isinstance(revoke, es.RevokeDevice)
    assert (revoke.name, revoke.lost) == (name, lost)


@pytest.mark.parametrize("scene", [linking, wording, unlocking])
def test_the_end_of_the_session_closes_what_was_open_for_it(scene: type[Person]) -> None:
    person = scene()
    person.link(s.Invited("carol"), i.LoggedOut("session closed"))
    assert person.state.dialogs == []
    assert person.state.invites == []
    assert person.state.unlinked is None
    assert not person.state.locked


def test_words_that_nobody_has_written_down_outlive_the_session() -> None:
    person = recovering()
    person.link(i.LoggedOut("session closed"))
    assert "crouch" in person.screen()


@pytest.mark.parametrize("typed", ["/unlock", "/unlock secret", "/link"])
def test_forms_that_nobody_needs_are_not_opened(typed: str) -> None:
    person = in_lobby()
    person.enter(typed)
    assert person.state.dialogs == []
    assert person.input == typed


def test_a_link_page_that_is_open_closes_when_the_device_is_linked() -> None:
    person = linking()
    person.link(s.DeviceLinked())
    assert person.state.dialogs == []


def test_a_command_that_was_held_and_fails_says_why() -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.RecoveryWords(RECOVERY))
    person.wait()
    person.key("enter")
    person.types("y")
    person.wait()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    person.enter("/msg bob " + " ".join(RECOVERY))
    person.types("y")
    assert "not connected" in person.note
    assert person.input.startswith("/msg bob")


def test_the_trace_of_the_words_says_nothing() -> None:
    from lairchat.client.secret import WordsTrace

    assert repr(WordsTrace(RECOVERY, b"k" * 32)) == "WordsTrace(...)"


def test_words_that_were_shown_are_held_after_another_login_too() -> None:
    person = in_lobby()
    person.state.trace_key = b"k" * 32
    person.link(s.RecoveryWords(RECOVERY), i.LoggedOut("over"), i.LoggedIn("you", 1))
    person.link(i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    person.wait()
    person.key("enter")
    person.types("y")
    person.wait()
    person.enter(" ".join(RECOVERY))
    assert person.sent() == []


# -- the backup --------------------------------------------------------------------------------------


def test_the_words_bring_back_what_was_backed_up() -> None:
    person = in_lobby()
    person.enter("/recover")
    person.types(" ".join(RECOVERY))
    (recover,) = person.key("enter")
    assert isinstance(recover, es.Recover)
    assert recover.words.reveal() == " ".join(RECOVERY)
    person.link(i.CommandFailed(recover.ref, "LC-WORDS", "they belong to another account"))
    assert "LC-WORDS" in person.screen()
    (again,) = person.key("enter")
    assert isinstance(again, es.Recover)
    person.link(s.BackupTaken(3, again.ref))
    assert person.state.dialogs == []
    assert "from your backup: 3 messages" in person.screen()
    person.link(s.BackupTaken(0))
    assert "nothing that was not here" in person.screen()


@pytest.mark.parametrize("line", ["/recover", "/backup off"])
def test_a_device_that_is_not_linked_links_first(line: str) -> None:
    person = in_lobby()
    person.link(s.DeviceUnlinked(("laptop",)))
    person.wait()
    person.key("esc")
    assert person.enter(line) == []
    assert "not one of yours yet: /link" in person.screen()


def test_the_words_are_never_typed_behind_the_command() -> None:
    person = in_lobby()
    assert not any(isinstance(one, es.Recover) for one in person.enter("/recover abandon"))
    assert person.state.dialogs == []
    assert "in a form" in person.screen()


def test_the_backup_is_turned_off_after_a_question() -> None:
    person = in_lobby()
    assert person.enter("/backup off") == []
    (off,) = person.types("y")
    assert isinstance(off, es.KeepBackup)
    assert not off.on
    (on,) = person.enter("/backup on")
    assert isinstance(on, es.KeepBackup)
    assert on.on
    assert person.enter("/backup maybe") == []
    assert "on or off?" in person.screen()
