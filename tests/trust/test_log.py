"""A log grows by what its rules allow and nothing else, and never goes back on itself."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.mls.errors import MLSError
from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.trust.compose import sign_genesis
from lairchat.trust.entry import (
    ENTRY_LABEL,
    GENESIS_LABEL,
    Device,
    Entry,
    Genesis,
    Head,
    Reason,
    Revocation,
    SignedEntry,
    SignedGenesis,
    Signer,
)
from lairchat.trust.errors import (
    ForeignError,
    ForkError,
    LogError,
    OrderError,
    RevokedError,
    RollbackError,
    RuleError,
    SignatureError,
    TrustError,
)
from lairchat.trust.log import (
    AccountLog,
    Relation,
    check_name,
    encode_log,
    read_log,
    shown_name,
)
from lairchat.trust.root import Root, RootSignature
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey
from tests.trust.people import NOW, SERVER, Account, device, key, root, seed, signer

OURS = (TrustError, MLSError)


def grown() -> Account:
    """Return an account with one entry of every kind, by root and by key."""
    alice = Account("alice")
    mine = alice.primary()
    alice.say(device("alice", 2), mine)
    alice.say(device("alice", 3))
    alice.say(Revocation(3, Reason.LEFT), mine)
    alice.say(signer("alice", 2))
    alice.say(Revocation(1, Reason.LOST))
    return alice


ALICE = grown()
LOGS = [AccountLog.begin(ALICE.genesis, SERVER)]
for each in ALICE.entries:
    LOGS.append(LOGS[-1].append(each))
WHOLE = encode_log(ALICE.genesis, ALICE.entries)


def resigned(signed: SignedEntry, by: Root | SigningKey, **changes: Any) -> SignedEntry:
    """Return an entry with other fields, rightly signed."""
    content = replace(signed.content, **changes)
    return SignedEntry(content, by.sign(ENTRY_LABEL, content.encode()))


# -- what a good log says ------------------------------------------------------------------------


def test_devices_keys_and_who_says_so():
    log = ALICE.log
    assert [found.body.name for found in log.devices] == ["pc 1", "pc 2", "pc 3"]
    assert [found.signer for found in log.devices] == [1, 1, 0]
    assert [found.body.name for found in log.in_force] == ["pc 1", "pc 3"]
    assert [found.position for found in log.signers] == [1, 6]
    gone = log.devices[1].revoked
    assert gone is not None
    assert (gone.position, gone.signer, gone.reason) == (5, 1, Reason.LEFT)
    assert log.devices[1].time == NOW + 2_000
    assert gone.time == NOW + 4_000
    assert log.signers[0].revoked.reason is Reason.LOST
    assert log.device(device("alice", 2).id) == log.devices[1]
    assert log.device(bytes(16)) is None
    assert log.head == Head(7, ALICE.entries[-1].hash)
    assert LOGS[0].head == Head(0, log.account)


def test_the_same_log_comes_from_bytes_from_entries_and_from_a_known_head():
    assert read_log(WHOLE, SERVER) == ALICE.log == LOGS[0].extend(ALICE.entries)
    for log in LOGS:
        assert read_log(WHOLE, SERVER, log.head) == ALICE.log
        assert log.extend(ALICE.entries[log.head.position :]) == ALICE.log


def test_appending_changes_no_log_that_somebody_holds():
    before = LOGS[3].signers, LOGS[3].devices, LOGS[3].head
    LOGS[3].append(ALICE.entries[3])
    assert (LOGS[3].signers, LOGS[3].devices, LOGS[3].head) == before


def test_a_lost_devices_key_is_exposed_until_the_root_ends_it():
    alice = Account("alice")
    alice.primary(1)
    second = alice.primary(2)
    assert alice.log.exposed == ()
    alice.say(Revocation(2, Reason.LOST), second)
    assert [found.position for found in alice.log.exposed] == [1]
    alice.say(Revocation(1, Reason.LOST))
    assert alice.log.exposed == ()


def test_a_device_name_is_shown_safely():
    alice = Account("alice")
    alice.say(Device(bytes(16), key("x").public, "lap\u202etop"))
    assert shown_name(alice.log.devices[0].body) == "lap\ufffdtop"


# -- the genesis ---------------------------------------------------------------------------------


def test_a_log_says_nothing_on_another_server():
    other = ServerId(bytes(32))
    with pytest.raises(ForeignError, match="another server"):
        AccountLog.begin(ALICE.genesis, other)
    with pytest.raises(ForeignError, match="another server"):
        read_log(WHOLE, other)


def test_a_server_cannot_give_a_log_another_name():
    check_name(ALICE.log, "alice")
    check_name(ALICE.log, "Alice")
    with pytest.raises(ForeignError, match="another name"):
        check_name(ALICE.log, "bob")
    renamed = replace(ALICE.genesis, content=replace(ALICE.genesis.content, name="bob"))
    with pytest.raises(SignatureError):
        AccountLog.begin(renamed, SERVER)


@pytest.mark.parametrize(
    "name", ["", "al", "a" * 33, "Alice", "al ice", "-al", "\u0430lice", "a\nb"]
)
def test_a_name_that_no_account_can_have_is_refused(name):
    genesis = Genesis(SERVER.digest, name, root("alice").public)
    signature = root("alice").sign(GENESIS_LABEL, genesis.encode())
    with pytest.raises(RuleError, match="no name"):
        AccountLog.begin(SignedGenesis(genesis, signature), SERVER)


def test_a_genesis_needs_both_algorithms_of_its_own_root():
    theirs = sign_genesis(root("mallory"), SERVER, "alice").signature
    mine = RootSignature.decode(ALICE.genesis.signature)
    other = RootSignature.decode(theirs)
    for signature in (
        theirs,
        b"",
        mine.ed25519,
        RootSignature(mine.ed25519, other.mldsa65).encode(),
        RootSignature(other.ed25519, mine.mldsa65).encode(),
    ):
        with pytest.raises(SignatureError):
            AccountLog.begin(replace(ALICE.genesis, signature=signature), SERVER)


@pytest.mark.parametrize("place", range(0, 5_400, 97))
def test_every_byte_of_the_genesis_counts(place):
    whole = bytearray(ALICE.genesis.encode())
    whole[place % len(whole)] ^= 1
    with pytest.raises(OURS):
        AccountLog.begin(SignedGenesis.decode(bytes(whole)), SERVER)


# -- bytes that others made ----------------------------------------------------------------------


@pytest.mark.parametrize("index", range(len(ALICE.entries)))
def test_every_byte_of_every_entry_counts(index):
    whole = ALICE.entries[index].encode()
    # All of what is signed; of the root's long signature every seventh byte.
    places = [*range(250), *range(250, len(whole), 7)]
    for place in (place for place in places if place < len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        with pytest.raises(OURS):
            LOGS[index].append(SignedEntry.decode(bytes(changed)))


OTHER_VALUES: dict[str, Callable[[Any], Any]] = {
    "account": lambda _value: Account("mallory").log.account,
    "previous": lambda _value: bytes(32),
    "key": lambda _value: key("new").public,
    "holder": lambda _value: bytes(16),
    "id": lambda _value: bytes(16),
    "name": lambda value: value + "!",
}


@pytest.mark.parametrize("index", range(len(ALICE.entries)))
def test_every_field_of_every_entry_is_signed(index):
    signed = ALICE.entries[index]

    def other(name: str, value: Any) -> Any:
        return OTHER_VALUES.get(name, lambda number: number + 1)(value)

    entry = signed.content
    changed = [
        replace(entry, **{each.name: other(each.name, getattr(entry, each.name))})
        for each in fields(Entry)
        if each.name != "body"
    ]
    changed += [
        replace(entry, body=replace(entry.body, **{each.name: other(each.name, value)}))
        for each in fields(entry.body)
        for value in [getattr(entry.body, each.name)]
    ]
    assert len(changed) >= 7
    for content in changed:
        with pytest.raises(TrustError):
            LOGS[index].append(replace(signed, content=content))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_log_cut_short_is_malformed_or_a_rollback(size):
    with pytest.raises(OURS):
        read_log(WHOLE[:size], SERVER, ALICE.log.head)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_our_errors(data):
    with pytest.raises(OURS):
        read_log(data, SERVER)
    with pytest.raises(OURS):
        LOGS[0].append(SignedEntry.decode(data))


@given(st.data())
@settings(max_examples=200)
def test_a_log_changed_anywhere_is_refused_or_the_same(data):
    place = data.draw(st.integers(0, len(WHOLE) - 1))
    changed = bytearray(WHOLE)
    changed[place] ^= data.draw(st.integers(1, 255))
    known = data.draw(st.sampled_from([None, *(log.head for log in LOGS)]))
    with pytest.raises(OURS):
        read_log(bytes(changed), SERVER, known)


@pytest.mark.parametrize("count", range(1, len(ALICE.entries) + 1))
def test_the_signature_of_the_last_entry_is_looked_at_unless_it_is_known(count):
    # Nothing follows it whose hash would tell.
    last = ALICE.entries[count - 1]
    forged = replace(last, signature=last.signature[:-1] + bytes([last.signature[-1] ^ 1]))
    whole = encode_log(ALICE.genesis, [*ALICE.entries[: count - 1], forged])
    for known in (None, *(log.head for log in LOGS[:count])):
        with pytest.raises(SignatureError):
            read_log(whole, SERVER, known)
    with pytest.raises(ForkError):  # the known head covers the signature
        read_log(whole, SERVER, LOGS[count].head)


def test_endless_input_is_not_read():
    with pytest.raises(RuleError, match="longer than one can be"):
        read_log(bytes(limits.LOG_BYTES + 1), SERVER)


# -- order, rollback, fork -----------------------------------------------------------------------


def test_an_entry_is_taken_once():
    for log, signed in zip(LOGS[1:], ALICE.entries, strict=True):
        with pytest.raises(OrderError, match="came again"):
            log.append(signed)
    with pytest.raises(OrderError, match="came again"):
        ALICE.log.append(ALICE.entries[0])


def test_an_entry_does_not_come_before_its_turn():
    with pytest.raises(OrderError, match="entry 3 came before entry 1"):
        LOGS[0].append(ALICE.entries[2])


@given(st.permutations(range(len(ALICE.entries))))
def test_no_other_order_is_taken(order):
    if order == sorted(order):
        assert LOGS[0].extend(ALICE.entries) == ALICE.log
        return
    with pytest.raises(OrderError):
        LOGS[0].extend(ALICE.entries[index] for index in order)


def test_a_log_that_ends_earlier_is_a_rollback():
    for count, log in enumerate(LOGS[:-1]):
        cut = encode_log(ALICE.genesis, ALICE.entries[:count])
        with pytest.raises(RollbackError, match=f"ends at entry {count}, 7 has been seen"):
            read_log(cut, SERVER, ALICE.log.head)
        with pytest.raises(RollbackError, match=f"ends at entry {count}, 7 has been seen"):
            log.require(ALICE.log.head)
        ALICE.log.require(log.head)


def forked() -> Account:
    """Return the account again, with another history after its fourth entry."""
    other = Account("alice")
    other.entries = ALICE.entries[:4]
    other.log = LOGS[4]
    mine = key("alice", "signer", 1)
    for number in range(4, 9):
        other.say(device("alice", number), mine)
    return other


def test_a_log_that_went_another_way_is_a_fork():
    other = forked()
    bytes_of_other = encode_log(other.genesis, other.entries)
    assert read_log(bytes_of_other, SERVER) == other.log  # sound in itself
    for log in LOGS[5:]:
        with pytest.raises(ForkError):
            read_log(bytes_of_other, SERVER, log.head)
        with pytest.raises(ForkError):
            other.log.require(log.head)
        with pytest.raises(ForkError):
            log.append(other.entries[4])
        with pytest.raises(ForkError):
            log.extend(other.entries[log.head.position :])
    for log in LOGS[:5]:
        assert read_log(bytes_of_other, SERVER, log.head) == other.log


def test_an_old_place_is_not_taken_again_after_the_last_entry():
    # One thing out of two: it names the last entry, and claims a place before it.
    alice = Account("alice")
    mine = alice.primary()
    entry = alice.sign(device("alice", 2), mine)
    for position in (0, 1, 2):
        with pytest.raises(ForkError, match=f"another entry {position}"):
            alice.log.append(resigned(entry, mine, position=position))
    with pytest.raises(ForkError, match="follows another entry"):
        alice.log.append(resigned(entry, mine, previous=alice.entries[0].hash))


def test_a_fork_is_only_told_of_entries_that_somebody_signed():
    # A server could otherwise make up a quarrel between two people's clients.
    entry = forked().entries[4]
    for log in (LOGS[5], LOGS[7]):
        with pytest.raises(SignatureError):
            log.append(replace(entry, signature=bytes(64)))


def test_a_genesis_of_the_same_words_elsewhere_is_not_this_account():
    other = Account("alice", ServerId(bytes(32)))
    with pytest.raises(ForkError):
        other.log.require(LOGS[0].head)


def test_where_a_head_stands():
    assert ALICE.log.relation(ALICE.log.head) is Relation.SAME
    for log in LOGS[:-1]:
        assert ALICE.log.relation(log.head) is Relation.OLDER
        assert log.relation(ALICE.log.head) is Relation.NEWER
    with pytest.raises(ForkError):
        ALICE.log.relation(Head(3, bytes(32)))


def test_a_head_that_was_made_up_is_no_known_one():
    with pytest.raises(ForkError):
        read_log(WHOLE, SERVER, Head(0, bytes(32)))
    with pytest.raises(ForkError):
        read_log(WHOLE, SERVER, Head(7, bytes(32)))
    with pytest.raises(RollbackError):
        read_log(WHOLE, SERVER, Head(8, bytes(32)))


# -- who may sign what ---------------------------------------------------------------------------


def test_an_entry_of_another_account_is_foreign():
    mallory = Account("mallory")
    theirs = mallory.primary()
    with pytest.raises(ForeignError):
        LOGS[0].append(mallory.entries[0])
    # Nor does anything of theirs count with this account's id in it.
    for by in (mallory.root, theirs):
        with pytest.raises(SignatureError):
            LOGS[1].append(resigned(ALICE.entries[1], by))
    # Nor an account that lists somebody else's device-signing key as its own.
    mallory.say(Signer(key("alice", "signer", 1).public, bytes(16)))
    moved = replace(ALICE.entries[2].content, signer=3)
    with pytest.raises(ForeignError):
        mallory.log.append(replace(ALICE.entries[2], content=moved))


def test_an_entry_signed_by_one_algorithm_of_the_root_is_refused():
    mine = RootSignature.decode(ALICE.entries[0].signature)
    content = ALICE.entries[0].content
    other = RootSignature.decode(root("mallory").sign(ENTRY_LABEL, content.encode()))
    for signature in (
        RootSignature(mine.ed25519, other.mldsa65).encode(),
        RootSignature(other.ed25519, mine.mldsa65).encode(),
        mine.ed25519,
        mine.mldsa65,
    ):
        with pytest.raises(SignatureError):
            LOGS[0].append(SignedEntry(content, signature))


def test_a_signature_for_another_purpose_is_refused():
    content = ALICE.entries[0].content
    signature = ALICE.root.sign(GENESIS_LABEL, content.encode())
    with pytest.raises(SignatureError):
        LOGS[0].append(SignedEntry(content, signature))


def test_only_the_root_makes_and_ends_device_signing_keys():
    alice = Account("alice")
    mine = alice.primary()
    with pytest.raises(RuleError, match="only the root makes"):
        alice.say(signer("alice", 2), mine)
    with pytest.raises(RuleError, match="only the root revokes"):
        alice.say(Revocation(1, Reason.LEFT), mine)


def test_a_device_certifies_nothing():
    alice = Account("alice")
    alice.primary()
    entry = alice.sign(device("alice", 2))
    forged = resigned(entry, key("alice", "device", 1), signer=2)
    with pytest.raises(RuleError, match="no device-signing key"):
        alice.log.append(forged)


def test_nothing_follows_a_revoked_key():
    alice = Account("alice")
    mine = alice.primary()
    before = alice.sign(device("alice", 2), mine)
    alice.say(Revocation(1, Reason.LOST))
    entry = alice.sign(device("alice", 2))
    for body in (device("alice", 2), Revocation(2, Reason.LEFT)):
        with pytest.raises(RevokedError, match="signs no more"):
            alice.log.append(resigned(entry, mine, signer=1, body=body))
    with pytest.raises(ForkError):  # signed in time, but never sent
        alice.log.append(before)


def test_a_revoked_device_does_not_come_back():
    alice = Account("alice")
    mine = alice.primary()
    alice.say(Revocation(2, Reason.LEFT), mine)
    with pytest.raises(RuleError, match="device of this id"):
        alice.say(replace(device("alice"), key=key("new").public), mine)
    with pytest.raises(RuleError, match="key has been used"):
        alice.say(replace(device("alice"), id=bytes(16)), mine)
    with pytest.raises(RevokedError, match="revoked before"):
        alice.say(Revocation(2, Reason.LOST), mine)
    alice.say(Revocation(1, Reason.LOST))
    with pytest.raises(RevokedError, match="revoked before"):
        alice.say(Revocation(1, Reason.LOST))
    with pytest.raises(RuleError, match="key has been used"):
        alice.say(signer("alice"))


@pytest.mark.parametrize("target", [0, 3, 4, 2**32 - 1])
def test_only_devices_and_keys_are_revoked(target):
    alice = Account("alice")
    mine = alice.primary()
    for by in (alice.root, mine):
        with pytest.raises(RuleError, match="nothing that can be revoked"):
            alice.say(Revocation(target, Reason.LEFT), by)


@pytest.mark.parametrize("reason", [0, 3, 255])
def test_an_unknown_reason_is_refused(reason):
    alice = Account("alice")
    alice.primary()
    with pytest.raises(RuleError, match="no reason"):
        alice.say(Revocation(2, reason))


@pytest.mark.parametrize("of", ["root", "signer", "device"])
def test_a_key_has_one_purpose(of):
    alice = Account("alice")
    alice.primary()
    used = {
        "root": alice.root.public.ed25519,
        "signer": key("alice", "signer", 1).public,
        "device": key("alice", "device", 1).public,
    }[of]
    with pytest.raises(RuleError, match="key has been used"):
        alice.say(replace(device("alice", 2), key=used))
    with pytest.raises(RuleError, match="key has been used"):
        alice.say(replace(signer("alice", 2), key=used))


def test_a_key_that_proves_nothing_is_refused():
    with pytest.raises(RuleError, match="proves nothing"):
        Account("alice").say(replace(device("alice"), key=b"\1" + bytes(31)))


@pytest.mark.parametrize(
    "name", ["", "  ", "a" * 41, "a\nb", "a\x1b[2J", "a\x80", "a\x9f", "a\x7f", "\x00"]
)
def test_a_device_name_is_one_short_line(name):
    with pytest.raises(RuleError, match="name of one line"):
        Account("alice").say(replace(device("alice"), name=name))


def test_the_longest_name_is_taken():
    alice = Account("alice")
    alice.say(replace(device("alice"), name="\U0001f511" * 40))
    assert len(alice.log.devices) == 1


# -- bounds --------------------------------------------------------------------------------------


def test_a_time_that_fits_no_database_is_refused():
    alice = Account("alice")
    entry = alice.sign(device("alice"))
    alice.log.append(resigned(entry, alice.root, time=2**63 - 1))
    with pytest.raises(RuleError, match="fits no database"):
        alice.log.append(resigned(entry, alice.root, time=2**63))


def test_times_are_claims_that_decide_nothing():
    alice = Account("alice")
    mine = alice.primary()
    for time in (0, NOW * 2, 5):
        entry = resigned(alice.sign(device("alice", time + 7), mine), mine, time=time)
        alice.log = alice.log.append(entry)
    assert [found.time for found in alice.log.devices[1:]] == [0, NOW * 2, 5]


def test_so_many_devices_and_keys_at_once():
    alice = Account("alice")
    mine = alice.primary()
    for number in range(2, limits.LOG_DEVICES + 1):
        alice.say(device("alice", number), mine)
    with pytest.raises(RuleError, match="at most 32 devices"):
        alice.say(device("alice", 99))
    alice.say(Revocation(2, Reason.LEFT), mine)
    alice.say(device("alice", 99), mine)
    for number in range(2, limits.LOG_SIGNERS + 1):
        alice.say(signer("alice", number))
    with pytest.raises(RuleError, match="at most 8 device-signing keys"):
        alice.say(signer("alice", 99))
    alice.say(Revocation(1, Reason.LEFT))
    alice.say(signer("alice", 99))


def test_a_thief_cannot_fill_the_log_against_the_root():
    alice = Account("alice")
    stolen = alice.primary()
    while alice.log.head.position < limits.LOG_ENTRIES - limits.LOG_ENTRIES_ROOT:
        place = alice.log.head.position
        alice.say(Device(seed(place)[:16], key(place).public, "thief"), stolen)
        if alice.log.head.position < limits.LOG_ENTRIES - limits.LOG_ENTRIES_ROOT:
            alice.say(Revocation(place + 1, Reason.LEFT), stolen)
    with pytest.raises(RuleError, match="the log is full"):
        alice.say(device("alice", 2), stolen)
    alice.say(Revocation(1, Reason.LOST))
    for found in alice.log.in_force:
        alice.say(Revocation(found.position, Reason.LOST))
    assert alice.log.in_force == ()
    assert len(encode_log(alice.genesis, alice.entries)) < limits.LOG_BYTES


def test_the_root_too_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(limits, "LOG_ENTRIES", 2)
    alice = Account("alice")
    alice.say(device("alice", 1))
    alice.say(device("alice", 2))
    with pytest.raises(RuleError, match="the log is full"):
        alice.say(device("alice", 3))


def test_the_longest_log_fits_its_bound():
    longest = Device(bytes(16), bytes(32), "\U0001f511" * limits.LABEL_CHARS)
    entry = ALICE.sign(replace(longest, id=seed("longest")[:16]))
    whole = len(ALICE.genesis.encode()) + limits.LOG_ENTRIES * len(entry.encode())
    assert whole + 6 < limits.LOG_BYTES


# -- any history ---------------------------------------------------------------------------------


class Oracle:
    """The table of log.py once more, as a few sets."""

    def __init__(self) -> None:
        self.position = 0
        self.signers: dict[int, str] = {}
        self.devices: dict[int, str] = {}
        self.used: set[object] = set()
        self.revoked: set[int] = set()

    def takes(self, kind: str, number: int, by: int) -> bool:
        """Say whether an entry is taken, and take it."""
        if by and (by not in self.signers or by in self.revoked):
            return False
        if kind == "revoke":
            if number in self.revoked or number not in self.signers | self.devices:
                return False
            if by and number in self.signers:
                return False
            self.revoked.add(number)
        else:
            if (kind, number) in self.used or (by and kind == "signer"):
                return False
            self.used.add((kind, number))
            (self.signers if kind == "signer" else self.devices)[self.position + 1] = kind
        self.position += 1
        return True


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["signer", "device", "revoke"]), st.integers(1, 6), st.integers(0, 6)
        ),
        max_size=12,
    )
)
@settings(max_examples=60)
def test_any_history_is_taken_as_the_table_says(steps):
    alice, oracle, keys = Account("alice"), Oracle(), {0: root("alice")}
    for kind, number, by in steps:
        bodies = {
            "signer": signer("alice", number),
            "device": device("alice", number),
            "revoke": Revocation(number, Reason.LEFT),
        }
        head = alice.log.head
        entry = Entry(alice.log.account, head.position + 1, head.hash, NOW, by, bodies[kind])
        signed = SignedEntry(entry, keys.get(by, keys[0]).sign(ENTRY_LABEL, entry.encode()))
        if oracle.takes(kind, number, by):
            alice.log = alice.log.append(signed)
            alice.entries.append(signed)
            if kind == "signer":
                keys[alice.log.head.position] = key("alice", "signer", number)
        else:
            with pytest.raises(LogError):
                alice.log.append(signed)
    assert {found.position for found in alice.log.in_force} == set(oracle.devices) - oracle.revoked
    assert read_log(encode_log(alice.genesis, alice.entries), SERVER) == alice.log


def test_no_secret_is_in_a_log():
    assert repr(ALICE.log) == f"AccountLog(alice, {ALICE.log.account.hex()[:8]}, 7)"
    words = SecretBytes(seed("alice", "root")[:16])
    for shown in (repr(ALICE.log), repr(ALICE.entries), repr(ALICE.genesis), repr(ALICE.root)):
        assert words.reveal().hex() not in shown
        assert repr(words.reveal()) not in shown
