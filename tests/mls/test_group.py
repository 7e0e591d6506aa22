"""Members of a group, one of whom, or the server between them, is an enemy (RFC 9420 sections 6 to 14)."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes

from lairchat.mls import kem, suites, treekem
from lairchat.mls.errors import (
    DecryptionError,
    EpochError,
    GenerationError,
    InvalidError,
    MisuseError,
    MLSError,
    ReplayError,
)
from lairchat.mls.group import Group
from lairchat.mls.hpke import Aead
from lairchat.mls.keypackages import capabilities_of
from lairchat.mls.messages import (
    ApplicationData,
    CommitContent,
    Member,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    REQUIRED_CAPABILITIES,
    RESUMPTION_APPLICATION,
    Add,
    Ciphertext,
    Commit,
    Extension,
    ExternalPsk,
    GroupContextExtensions,
    Lifetime,
    PreSharedKey,
    PreSharedKeyId,
    PskIdentity,
    Remove,
    RequiredCapabilities,
    ResumptionPsk,
)
from lairchat.mls.secret_tree import Purpose, SecretTree
from lairchat.mls.suites import HYBRID, SUITES, Suite
from tests.mls.people import (
    FAST,
    agree,
    alone,
    content_of,
    external_senders,
    forge,
    grow,
    hear,
    members,
    person,
    propose,
    propose_update,
    receive,
    seal,
    settle,
    welcomed,
)


def _say(group: Group, data: bytes = b"hello") -> tuple[PrivateMessage, Group]:
    message, after = group.encrypt(data, os.urandom)
    read = decode_message(message)
    assert isinstance(read, PrivateMessage)
    return read, after


# Messages.


def test_everybody_reads_what_everybody_says() -> None:
    groups = list(members(4))
    for number, group in enumerate(groups):
        message, groups[number] = _say(group)
        for other, reader in enumerate(groups):
            if other != number:
                received, groups[other] = reader.decrypt(message)
                assert (received.sender, received.data) == (number, b"hello")


def test_a_replay_is_refused() -> None:
    alice, bob = members(2)
    message, _ = _say(alice)
    _, after = bob.decrypt(message)
    with pytest.raises(ReplayError):
        after.decrypt(message)


def test_messages_in_any_order_are_read_once_each() -> None:
    alice, bob = members(2, FAST)
    messages = []
    for number in range(6):
        message, alice = _say(alice, b"%d" % number)
        messages.append(message)
    for number in (3, 0, 5, 1, 4, 2):
        received, bob = bob.decrypt(messages[number])
        assert received.data == b"%d" % number
        assert received.generation == number
    for message in messages:
        with pytest.raises(ReplayError):
            bob.decrypt(message)


def test_a_jump_of_1024_is_read_and_one_of_1025_refused() -> None:
    alice, bob = members(2, FAST)
    for number in range(1026):
        message, alice = _say(alice)
        if number == 1024:
            received, after = bob.decrypt(message)
            assert received.generation == 1024
    with pytest.raises(GenerationError):
        bob.decrypt(message)
    # After the one before, it is no jump any more.
    after.decrypt(message)


def test_a_lie_about_the_generation_costs_the_sender_nothing() -> None:
    """An insider jumps ahead in another's name; what the other really sends still opens."""
    alice, bob, eve = members(3, FAST)
    keys = eve.keys
    for _ in range(500):
        _, _, keys = keys.next_key(0, Purpose.APPLICATION)
    framed = content_of(eve, ApplicationData(b"x"), Member(0))
    with pytest.raises(InvalidError, match="does not verify"):
        bob.decrypt(seal(replace(eve, keys=keys), framed))
    assert bob.decrypt(_say(alice)[0])[0].generation == 0


def test_ones_own_message_does_not_come_back() -> None:
    alice, _ = members(2, FAST)
    message, after = _say(alice)
    with pytest.raises(ReplayError):
        after.decrypt(message)


def test_a_message_does_not_move_to_another_group_with_the_same_members() -> None:
    owns = [person("a", FAST), person("b", FAST)]
    first = grow([alone(owns[0])], owns[1:])
    again = [person("a", FAST, owns[0].signing_key), person("b", FAST, owns[1].signing_key)]
    second = grow([Group.create(again[0], b"another group id", (), os.urandom)], again[1:])
    message, _ = _say(first[0])
    with pytest.raises(EpochError):
        second[1].decrypt(message)
    with pytest.raises(DecryptionError):
        second[1].decrypt(replace(message, group_id=second[1].context.group_id))


class _Recorder(Aead):
    """An AEAD that remembers under which key and nonce it sealed."""

    __slots__ = ()
    used: list[tuple[bytes, bytes]] = []

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        self.used.append((key, nonce))
        return super().seal(key, nonce, aad, plaintext)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """Give the hybrid suite, with an AEAD that remembers."""
    aead = _Recorder(2, 32, suites.AES_256_GCM.cipher)
    suite = Suite(HYBRID.id, "recorded", kem.XWING, aead, hashes.SHA384(), suites._ED25519)
    monkeypatch.setitem(SUITES, HYBRID.id, suite)
    _Recorder.used.clear()
    yield suite
    _Recorder.used.clear()


def test_no_key_and_nonce_repeat_over_10000_messages(recorded: Suite) -> None:
    """With commits, proposals in private, refused commits, and states that were stored between."""
    owns = [person(f"m{number}", recorded) for number in range(3)]
    groups = grow([alone(owns[0])], owns[1:])
    assert groups[0].suite is recorded
    sent = 0
    while sent < 10_000:
        for number in range(3):
            for _ in range(100):
                _, groups[number] = groups[number].encrypt(b"m", os.urandom)
                sent += 1
            stored = SecretTree(
                recorded, groups[number].keys._leaves, dict(groups[number].keys.parts)
            )
            groups[number] = replace(groups[number], keys=stored)
        by = sent // 300 % 3
        # A commit that loses the race, then one that wins: both are under keys of this epoch.
        lost = groups[by].commit(os.urandom, private=True)
        assert lost.before is not None
        groups[by] = lost.before
        _, groups[by] = groups[by].encrypt(b"after a lost commit", os.urandom)
        groups = propose_update(groups, (by + 1) % 3, private=True)
        groups = settle(groups, groups[by].commit(os.urandom, private=True), by)
    agree(groups)
    used = _Recorder.used
    assert len(used) > 2 * 10_000
    assert len(set(used)) == len(used)


def test_two_copies_of_a_state_share_keys_but_no_nonce(recorded: Suite) -> None:
    """Section 6.3.1: the guard is what is left when a backup is restored behind one's back."""
    group = alone(person("m", recorded))
    _Recorder.used.clear()
    for _ in range(50):
        group.encrypt(b"m", os.urandom)
    keys = {key for key, _ in _Recorder.used[::2]}
    assert len(keys) == 1
    assert len(set(_Recorder.used)) == len(_Recorder.used) == 100


def test_application_data_waits_for_what_was_proposed() -> None:
    """Section 12.4: whose removal was proposed reads nothing more."""
    groups = propose(members(3, FAST), 0, Remove(2))
    with pytest.raises(MisuseError):
        groups[1].encrypt(b"not yet", os.urandom)
    left = settle(groups, groups[1].commit(os.urandom), 1)
    left[1].encrypt(b"now", os.urandom)


# The past.


def test_late_messages_of_the_last_epoch_are_read_with_what_is_kept_of_it() -> None:
    groups = members(3)
    late, _ = _say(groups[0], b"late")
    committed = groups[1].commit(os.urandom)
    past = groups[2].past()
    after = settle(groups, committed, 1)
    with pytest.raises(EpochError):
        after[2].decrypt(late)
    received, past = past.open(late)
    assert received.data == b"late"
    with pytest.raises(ReplayError):
        past.open(late)
    now, _ = _say(after[0])
    with pytest.raises(EpochError):
        past.open(now)


def test_the_removed_do_not_talk_on_in_the_past() -> None:
    groups = members(3, FAST)
    committed = groups[1].commit(os.urandom, proposals=[Remove(0)])
    past = groups[2].past(committed.transition.applied.removed)
    ghost, _ = _say(groups[0])
    with pytest.raises(InvalidError, match="removed"):
        past.open(ghost)
    past.open(_say(groups[1])[0])


def test_no_handshake_of_the_past_is_taken() -> None:
    groups = members(3, FAST)
    message, _ = groups[0].propose(Remove(1), os.urandom, private=True)
    with pytest.raises(InvalidError, match="ProposalContent"):
        groups[2].past().open(decode_message(message))


# Removal.


def test_the_removed_read_nothing_more_and_say_nothing_more() -> None:
    groups = members(4)
    gone = groups[2]
    committed = groups[0].commit(os.urandom, proposals=[Remove(2)])
    staged = gone.receive_commit(decode_message(committed.message))
    assert staged.group is None
    left = settle(groups, committed, 0)
    agree(left)
    message, _ = _say(left[0])
    for state in (gone, replace(gone, public=left[0].public)):
        with pytest.raises(MLSError):
            state.decrypt(message)
    # With the keys of the epoch before, and the server's help, it gets nothing in either.
    ghost = replace(gone, public=left[0].public)
    message, _ = _say(ghost)
    with pytest.raises(MLSError):
        left[1].decrypt(message)
    for framed in (
        content_of(ghost, ProposalContent(Remove(0))),
        content_of(ghost, CommitContent(Commit((), None))),
    ):
        with pytest.raises(MLSError):
            receive(left[1], encode_message(forge(ghost, framed)))
    # Nor does it open the path of the commit that removed it, with any key it has.
    path = committed.transition.path
    assert path is not None
    for node in path.nodes:
        for secret in node.secrets:
            for key in gone.private.values():
                with pytest.raises(DecryptionError):
                    HYBRID.decrypt_with_label(
                        key,
                        b"UpdatePathNode",
                        committed.transition.path_context.encode(),
                        secret.kem_output,
                        secret.ciphertext,
                    )


def test_a_newcomer_reads_nothing_of_before() -> None:
    groups, own = members(2, FAST), person("new", FAST)
    before, _ = _say(groups[0])
    after = grow(groups, [own])
    with pytest.raises(EpochError):
        after[2].decrypt(before)


# Commits.


def test_of_two_commits_of_an_epoch_the_second_is_refused() -> None:
    groups = members(3)
    first, second = groups[0].commit(os.urandom), groups[1].commit(os.urandom)
    third = groups[2].receive_commit(decode_message(first.message)).group
    assert third is not None
    with pytest.raises(EpochError):
        third.receive_commit(decode_message(second.message))
    # The loser takes the winner's and goes on.
    assert second.before is not None
    loser = second.before.receive_commit(decode_message(first.message)).group
    assert loser is not None
    agree([first.group, loser, third])


def test_a_commit_is_not_followed_twice() -> None:
    groups = members(2, FAST)
    message = decode_message(groups[0].commit(os.urandom).message)
    after = groups[1].receive_commit(message).group
    assert after is not None
    with pytest.raises(EpochError):
        after.receive_commit(message)


def test_ones_own_commit_is_taken_and_not_received() -> None:
    group, _ = members(2, FAST)
    message = decode_message(group.commit(os.urandom).message)
    with pytest.raises(InvalidError, match="one's own"):
        group.receive_commit(message)


@pytest.mark.parametrize("private", [False, True])
def test_a_bent_commit_is_refused_and_the_old_state_lives_on(private: bool) -> None:
    groups = members(3, FAST)
    committed = groups[0].commit(os.urandom, private=private)
    reader = groups[1]
    before = (dict(reader.private), dict(reader.keys.parts), reader.public)
    for offset in range(0, len(committed.message), 3):
        bent = bytearray(committed.message)
        bent[offset] ^= 1 << (offset % 8)
        with pytest.raises(MLSError):
            receive(reader, bytes(bent))
    assert before == (dict(reader.private), dict(reader.keys.parts), reader.public)
    message, _ = _say(groups[2])
    assert reader.decrypt(message)[0].data == b"hello"
    agree(settle(groups, committed, 0))


def test_an_insider_does_not_commit_for_another() -> None:
    groups = members(3, FAST)
    commit = decode_message(groups[2].commit(os.urandom).message).authenticated.framed.content
    message = forge(groups[2], content_of(groups[2], commit, Member(1)))
    with pytest.raises(InvalidError, match="does not verify"):
        groups[0].receive_commit(message)


def test_a_wrong_confirmation_tag_is_refused_in_public_and_in_private() -> None:
    groups = members(2, FAST)
    commit = decode_message(groups[0].commit(os.urandom).message).authenticated.framed.content
    framed = content_of(groups[0], commit)
    with pytest.raises(InvalidError, match="confirmation tag"):
        groups[1].receive_commit(forge(groups[0], framed))
    # The signature covers how it travels, not the path: the same path serves.
    with pytest.raises(InvalidError, match="confirmation tag"):
        groups[1].receive_commit(seal(groups[0], framed))


def _poisoned(group: Group, node: int, index: int, junk: bytes) -> PublicMessage:
    """Return a commit of a member, with one secret of its path replaced and signed anew."""
    commit = decode_message(group.commit(os.urandom).message).authenticated.framed.content.commit
    nodes = list(commit.path.nodes)
    secrets = list(nodes[node].secrets)
    secrets[index] = Ciphertext(junk, secrets[index].ciphertext) if junk else secrets[index - 1]
    nodes[node] = replace(nodes[node], secrets=tuple(secrets))
    path = replace(commit.path, nodes=tuple(nodes))
    return forge(group, content_of(group, CommitContent(replace(commit, path=path))))


@pytest.mark.parametrize("suite", [HYBRID, FAST])
def test_garbage_that_only_some_can_see_is_refused_by_them(suite: Suite) -> None:
    """The others find the confirmation tag wrong: here the committer could not know a right one."""
    groups = members(4, suite, (), 1)
    for junk in (b"", bytes(32), b"\xff" * 1120, bytes(1120), os.urandom(1120), os.urandom(32)):
        message = _poisoned(groups[0], 1, 0, junk or b"\0")
        # Public checks cannot see it: a delivery service takes it.
        groups[0].public.follow(message.authenticated)
        for group in groups[1:]:
            with pytest.raises(InvalidError):
                group.receive_commit(message)
    agree(settle(groups, groups[2].commit(os.urandom), 2))


def test_path_secrets_that_do_not_give_the_paths_keys_are_refused() -> None:
    """Section 7.5: an insider who gives two members different secrets is found by one of them."""
    groups = members(4, FAST, (), 1)
    commit = decode_message(
        groups[0].commit(os.urandom).message
    ).authenticated.framed.content.commit
    context = (
        groups[0]
        .public.follow(decode_message(groups[0].commit(os.urandom).message).authenticated)
        .path_context
    )
    transition = groups[0].public.follow(
        forge(groups[0], content_of(groups[0], CommitContent(commit))).authenticated
    )
    assert context != transition.path_context
    tree, where = transition.tree, transition.path_context.encode()
    for secret in (os.urandom(32), b"", bytes(31), bytes(33)):
        nodes = list(commit.path.nodes)
        target = tree.node(5)
        assert target is not None
        sealed = Ciphertext(
            *FAST.encrypt_with_label(target.encryption_key, b"UpdatePathNode", where, secret)
        )
        nodes[1] = replace(nodes[1], secrets=(sealed,))
        for member in (2, 3):
            with pytest.raises(InvalidError, match="path secret"):
                treekem.open_path(
                    tree,
                    0,
                    nodes,
                    member,
                    groups[member].private,
                    transition.path_context,
                    (),
                )


def test_an_update_that_one_did_not_make_is_told_and_not_crashed_on() -> None:
    """A copy of one's state, or a thief of one's key, proposed it: its private key is not here."""
    groups = list(members(3, FAST))
    message, _ = groups[1].propose_update(os.urandom)  # by the copy
    groups = hear(groups, message)
    committed = groups[0].commit(os.urandom)
    with pytest.raises(InvalidError, match="did not make"):
        groups[1].receive_commit(decode_message(committed.message))
    groups[2].receive_commit(decode_message(committed.message))


def test_updates_by_reference_give_new_keys_to_those_who_proposed() -> None:
    groups = propose_update(members(4), 2)
    groups = propose_update(groups, 3, private=True)
    old = [group.own_leaf for group in groups]
    committed = groups[0].commit(os.urandom)
    assert len(committed.transition.proposals) == 2
    after = settle(groups, committed, 0)
    agree(after)
    for number in (0, 2, 3):
        assert after[number].own_leaf.encryption_key != old[number].encryption_key
        assert after[number].own_leaf.signature_key == old[number].signature_key
    assert after[1].own_leaf == old[1]


def test_what_changed_can_be_seen_before_a_commit_is_taken() -> None:
    """For the application's own rules: old and new leaf of everybody, and who proposed it."""
    groups = propose_update(members(3, FAST), 2)
    staged = groups[1].receive_commit(
        decode_message(
            groups[0].commit(os.urandom, proposals=[Add(person("n", FAST).package)]).message
        )
    )
    before, after = groups[1].public.tree, staged.transition.tree
    changed = [leaf for leaf in range(4) if before.leaf(leaf) != after.leaf(leaf)]
    assert changed == [0, 2, 3]
    assert staged.transition.committer == 0
    assert not staged.transition.external
    assert [place for place, _ in staged.transition.applied.added] == [3]


def test_a_commit_may_leave_keys_as_they_are_where_the_protocol_lets_it() -> None:
    """Section 12.4: adding does not ask for a path; then newcomers get no path secret."""
    groups, own = members(3, FAST), person("new", FAST)
    committed = groups[0].commit(os.urandom, proposals=[Add(own.package)], path=False)
    assert committed.transition.path is None
    after = [*settle(groups, committed, 0), welcomed(committed, own)]
    agree(after)
    assert set(after[3].private) == {6}


# Pre-shared keys: section 8.4.


def _psk(key: PskIdentity) -> PreSharedKey:
    return PreSharedKey(PreSharedKeyId(key, os.urandom(32)))


def test_only_who_has_the_pre_shared_keys_can_follow() -> None:
    groups, own = members(2, FAST), person("new", FAST)
    here = groups[0].context
    external = ExternalPsk(b"what the two know")
    past = ResumptionPsk(RESUMPTION_APPLICATION, here.group_id, here.epoch)
    known: dict[PskIdentity, bytes] = {external: b"s", past: groups[0].resumption_psk}
    committed = groups[0].commit(
        os.urandom, proposals=[_psk(external), _psk(past), Add(own.package)], psks=known.get
    )
    agree([*settle(groups, committed, 0, known.get), welcomed(committed, own, known.get)])
    message = decode_message(committed.message)
    with pytest.raises(InvalidError, match="not known here"):
        groups[1].receive_commit(message)
    with pytest.raises(InvalidError, match="confirmation tag"):
        groups[1].receive_commit(message, lambda key: b"another")
    with pytest.raises(InvalidError, match="not known here"):
        welcomed(committed, own)
    with pytest.raises(MLSError):
        welcomed(committed, own, lambda key: b"another")
    with pytest.raises(InvalidError, match="not known here"):
        groups[0].commit(os.urandom, proposals=[_psk(external)])


def test_a_psk_that_was_proposed_waits_for_somebody_who_knows_it() -> None:
    groups = propose(members(3, FAST), 2, _psk(ExternalPsk(b"x")))
    without = groups[0].commit(os.urandom)
    assert without.transition.proposals == ()
    committed = groups[1].commit(os.urandom, psks=lambda key: b"x")
    assert len(committed.transition.proposals) == 1
    agree(settle(groups, committed, 1, lambda key: b"x"))


# Extensions: sections 11.1 and 12.1.7.


def _required(*extensions: int) -> Extension:
    return Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(extensions, (), (1,)).encode())


def test_extensions_are_only_those_that_all_support() -> None:
    able = [
        person(
            f"able {number}",
            FAST,
            capabilities=capabilities_of(
                FAST, person("x", FAST).package.leaf.credential, extensions=(0xF001,)
            ),
        )
        for number in range(2)
    ]
    groups = grow([alone(able[0])], able[1:])
    wanted = GroupContextExtensions((_required(0xF001), Extension(0xF001, b"policy")))
    after = settle(groups, groups[0].commit(os.urandom, proposals=[wanted]), 0)
    agree(after)
    assert after[1].context.extensions == wanted.extensions
    unable = Add(person("unable", FAST).package)
    for group in (groups[0], after[0]):
        with pytest.raises(InvalidError, match=r"does not support|lacks"):
            group.commit(os.urandom, proposals=[unable, wanted])
    with pytest.raises(InvalidError, match="does not support"):
        after[0].commit(os.urandom, proposals=[unable])
    with pytest.raises(InvalidError):
        alone(person("x", FAST), wanted.extensions)


def test_a_groups_extensions_stand_once() -> None:
    with pytest.raises(InvalidError, match="twice"):
        alone(person("x", FAST), [external_senders(b"k"), external_senders(b"k")])


# Lifetimes: section 7.3.


def test_an_expired_key_package_is_not_sent_on() -> None:
    group, _ = members(2, FAST)
    old = Add(person("old", FAST, lifetime=Lifetime(100, 200)).package)
    for now in (99, 201):
        with pytest.raises(InvalidError, match="not valid at this time"):
            group.propose(old, os.urandom, now=now)
        with pytest.raises(InvalidError, match="not valid at this time"):
            group.commit(os.urandom, proposals=[old], now=now)
    _, heard = group.propose(old, os.urandom, now=100)
    with pytest.raises(InvalidError, match="not valid at this time"):
        heard.commit(os.urandom, now=201)
    heard.commit(os.urandom, now=200)


# What operations leave behind.


def test_an_operation_leaves_the_state_it_began_with() -> None:
    """Section 14: making a commit changes nothing until it has won."""
    groups = members(3, FAST)
    group = groups[0]
    parts, private, public = dict(group.keys.parts), dict(group.private), group.public
    group.commit(os.urandom, proposals=[Remove(1)])
    group.commit(os.urandom, private=True)
    group.propose_update(os.urandom)
    group.encrypt(b"x", os.urandom)
    group.receive_commit(decode_message(groups[1].commit(os.urandom).message))
    assert (dict(group.keys.parts), dict(group.private)) == (parts, private)
    assert group.public is public
    assert not group.public.pending


def test_secrets_do_not_show() -> None:
    group, _ = members(2, FAST)
    committed = group.commit(os.urandom)
    shown = repr((group, group.secrets, group.keys, committed.group, group.past()))
    for secret in (*group.private.values(), group.secrets.exporter, group.secrets.init):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_the_secrets_of_the_beginning_are_not_kept() -> None:
    group, _ = members(2, FAST)
    assert group.secrets.encryption == group.secrets.confirmation == b""


def test_exported_secrets_differ_by_label_context_and_epoch_and_have_a_limit() -> None:
    group, _ = members(2, FAST)
    after = group.commit(os.urandom).group
    secrets = {
        group.export(b"a", b"", 32),
        group.export(b"b", b"", 32),
        group.export(b"a", b"c", 32),
        after.export(b"a", b"", 32),
    }
    assert len(secrets) == 4
    for length in (0, -1, 255 * 32 + 1, 2**16):
        with pytest.raises(MisuseError):
            group.export(b"a", b"", length)
