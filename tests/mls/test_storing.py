"""A member's state comes back from its rows as it was, and what was erased is in none of them."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lairchat.mls import storing
from lairchat.mls.codec import MAX_ITEMS, OPAQUE, decode
from lairchat.mls.errors import (
    ClosedError,
    InvalidError,
    MalformedError,
    MisuseError,
    MLSError,
    ReplayError,
)
from lairchat.mls.group import Group, PastEpoch
from lairchat.mls.keypackages import capabilities_of
from lairchat.mls.messages import (
    External,
    Member,
    PrivateMessage,
    ProposalContent,
    decode_message,
)
from lairchat.mls.objects import Add, Proposal, ReInit, Remove, Update
from lairchat.mls.secret_tree import MAX_SKIPPED, Purpose, Ratchet, SecretTree
from lairchat.mls.storing import (
    HEAD,
    Difference,
    RowKey,
    difference,
    restore_group,
    restore_past,
    store_group,
    store_past,
)
from lairchat.mls.suites import HYBRID, Suite
from lairchat.mls.transition import PublicGroup
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
    settle,
)

SMALL = 64
"""Bytes that no row is longer than."""


class Store:
    """What one member keeps; a state is put in by its differences, as a client would."""

    def __init__(self, state: Group | PastEpoch) -> None:
        self._keys: SecretTree | None = None
        self.rows: dict[RowKey, bytes] = {}
        self.put(state)

    def put(self, state: Group | PastEpoch) -> Difference:
        """Write a state of the same epoch; return what of its rows that took."""
        self.part = store_group(state) if isinstance(state, Group) else store_past(state)
        public = state.public
        self.trees = {public.context.tree_hash: public.tree.encode()}
        found = difference(self._keys, state.keys)
        self.rows.update(found.changed)
        for key in found.erased:
            del self.rows[key]
        self._keys = state.keys
        return found

    def group(self, signing_key: Any) -> Group:
        """Read the group."""
        group = restore_group(self.part, self.trees.get, self.rows, signing_key)
        self._keys = group.keys
        return group

    def past(self) -> PastEpoch:
        """Read the epoch that is over."""
        past = restore_past(self.part, self.trees.get, self.rows)
        self._keys = past.keys
        return past

    def holds(self, secret: bytes) -> bool:
        """Tell whether these bytes are anywhere in it."""
        return any(
            secret in data for data in (self.part, *self.trees.values(), *self.rows.values())
        )


def restored(group: Group) -> Group:
    """Return a group after it has been written and read."""
    return Store(group).group(group.signing_key)


def state_of(group: Group) -> tuple[Any, ...]:
    """Return all that a group is, to be compared."""
    return (
        *public_of(group.public),
        group.leaf,
        group.suite.signature_public(group.signing_key),
        dict(group.private),
        [getattr(group.secrets, name) for name in type(group.secrets).__slots__],
        dict(group.keys.parts),
        group.confirmation_tag,
        dict(group.updates),
    )


def public_of(public: PublicGroup) -> tuple[Any, ...]:
    """Return all that a group's public part is."""
    tree = public.tree.encode()
    return public.context, tree, public.interim, list(public.pending.items()), public.reinit


def say(group: Group, data: bytes = b"hello") -> tuple[PrivateMessage, Group]:
    """Return (message, group after it)."""
    message, after = group.encrypt(data, os.urandom)
    read = decode_message(message)
    assert isinstance(read, PrivateMessage)
    return read, after


# Coming back.


@pytest.mark.parametrize(
    ("count", "suite"), [(1, FAST), (2, FAST), (8, FAST), (33, FAST), (2, HYBRID), (8, HYBRID)]
)
def test_what_was_stored_at_any_point_goes_on_from_there(count: int, suite: Suite) -> None:
    """Three members are restarted after each step; the others never are."""
    chance = Random(count)
    groups = list(members(count, suite))
    stores = {number: Store(groups[number]) for number in {0, count // 2, count - 1}}
    held: list[tuple[int, PrivateMessage]] = []
    said = read = commits = 0
    for step in range(80):
        by = chance.randrange(count)
        waits = bool(groups[0].public.pending)
        action = chance.choice(("say", "say", "say", "late", "propose", "update", "commit"))
        if action == "say" and not waits:
            message, groups[by] = say(groups[by], b"%d" % step)
            said += count - 1
            held += [(number, message) for number in range(count) if number != by]
            # Not all of it comes at once, nor in order.
            chance.shuffle(held)
            arrived, held = held[: len(held) // 2], held[len(held) // 2 :]
            read += _deliver(groups, arrived)
        elif action == "late":
            read += _deliver(groups, held)
            held = []
        elif action == "propose":
            groups = propose(groups, by, Add(person(f"new {step}", suite).package))
        elif action == "update":
            groups = propose_update(groups, by, private=chance.random() < 0.5)
        elif action == "commit":
            read += _deliver(groups, held)
            held = []
            # Only updates are taken up, so that the number of members stays.
            taken = [
                reference
                for reference, proposed in groups[by].public.pending.items()
                if isinstance(proposed.proposal, Update) and proposed.sender != Member(by)
            ]
            last = {groups[by].public.pending[reference].sender: reference for reference in taken}
            committed = groups[by].commit(os.urandom, references=list(last.values()))
            groups = settle(groups, committed, by)
            stores = {number: Store(groups[number]) for number in stores}
            commits += 1
        for number, store in stores.items():
            store.put(groups[number])
            back = store.group(groups[number].signing_key)
            assert state_of(back) == state_of(groups[number])
            groups[number] = back
    read += _deliver(groups, held)
    agree(groups)
    assert read == said
    assert commits


def _deliver(groups: list[Group], messages: Iterable[tuple[int, PrivateMessage]]) -> int:
    count = 0
    for reader, message in messages:
        _, groups[reader] = groups[reader].decrypt(message)
        count += 1
    return count


def test_a_restored_sender_goes_on_at_its_generation_and_never_at_the_first() -> None:
    """Else two messages would have one key and, by chance, one nonce."""
    alice, bob = members(2, FAST)
    for expected in range(5):
        message, alice = say(restored(alice))
        received, bob = restored(bob).decrypt(message)
        assert received.generation == expected
        with pytest.raises(ReplayError):
            restored(bob).decrypt(message)


def test_a_restored_reader_has_the_keys_that_it_skipped() -> None:
    alice, bob = members(2, FAST)
    messages = []
    for number in range(4):
        message, alice = say(alice, b"%d" % number)
        messages.append(message)
    for number in (3, 1, 0, 2):
        received, bob = restored(bob).decrypt(messages[number])
        assert received.data == b"%d" % number
    for message in messages:
        with pytest.raises(ReplayError):
            restored(bob).decrypt(message)


def test_proposals_that_wait_are_committed_after_a_restart() -> None:
    """Also a member's own Update: its new private key is only here."""
    groups = propose(members(4, FAST), 2, Remove(3), authenticated_data=b"why")
    groups = propose_update(groups, 1)
    groups = [restored(group) for group in groups]
    (removal, update) = groups[0].public.pending.values()
    assert (removal.authenticated_data, update.sender) == (b"why", Member(1))
    assert list(groups[1].updates) == [update.reference]
    with pytest.raises(MisuseError, match="a commit comes before"):
        groups[0].encrypt(b"x", os.urandom)
    old = groups[1].own_leaf
    committed = groups[0].commit(os.urandom)
    assert len(committed.transition.proposals) == 2
    after = settle(groups, committed, 0)
    assert len(after) == 3
    assert after[1].own_leaf != old
    agree(after)


def test_a_closed_group_stays_closed() -> None:
    groups = members(2, FAST)
    announced = ReInit(b"the successor", 1, FAST.id, ())
    closed = restored(groups[0].commit(os.urandom, proposals=[announced]).group)
    assert closed.public.reinit == announced
    with pytest.raises(ClosedError):
        closed.encrypt(b"x", os.urandom)


def test_an_epoch_that_is_over_is_read_after_a_restart() -> None:
    groups = list(members(3, FAST))
    late, groups[0] = say(groups[0], b"late")
    later, groups[0] = say(groups[0], b"later")
    removed, _ = say(groups[2])
    past = groups[1].past([2])
    store = Store(past)
    back = store.past()
    assert public_of(back.public) == public_of(past.public)
    assert (back.sender_data, dict(back.keys.parts), back.gone) == (
        past.sender_data,
        dict(past.keys.parts),
        frozenset({2}),
    )
    received, back = back.open(later)
    assert received.data == b"later"
    store.put(back)
    received, back = store.past().open(late)
    assert received.data == b"late"
    change = store.put(back)
    assert (dict(change.changed), list(change.erased)) == ({}, [(Purpose.APPLICATION, 0, 0)])
    for message in (late, later):
        with pytest.raises(ReplayError):
            store.past().open(message)
    with pytest.raises(InvalidError, match="was removed"):
        store.past().open(removed)


def test_a_part_is_the_same_as_long_as_only_messages_come() -> None:
    """So a client can tell by comparing whether there is anything of it to write."""
    alice, bob = members(2, FAST)
    message, sent = say(alice)
    _, read = bob.decrypt(message)
    assert store_group(sent) == store_group(alice)
    assert store_group(read) == store_group(bob)
    proposing = propose_update([alice, bob], 0)
    assert store_group(proposing[0]) != store_group(alice)
    assert store_group(proposing[1]) != store_group(bob)


# What a message costs.


@pytest.mark.parametrize(
    ("count", "suite", "depth"), [(2, HYBRID, 1), (8, FAST, 3), (8, HYBRID, 3), (33, FAST, 6)]
)
def test_a_message_costs_one_small_row_and_a_leafs_first_one_a_path(
    count: int, suite: Suite, depth: int
) -> None:
    groups = members(count, suite)
    for number in (0, count - 1):
        sender, reader = groups[number], groups[number - 1]
        stores = Store(sender), Store(reader)
        for generation in range(4):
            message, sender = say(sender)
            _, reader = reader.decrypt(message)
            for store, group in zip(stores, (sender, reader), strict=True):
                part = store.part
                change = store.put(group)
                assert store.part == part
                assert all(len(row) <= SMALL for row in change.changed.values())
                if generation:
                    assert list(change.changed) == [(Purpose.APPLICATION, number, HEAD)]
                    assert not change.erased
                else:
                    # Both ratchets, and the nodes beside the way; the root's secret goes.
                    assert len(change.changed) == depth + 2
                    assert len(change.erased) == 1


def test_a_message_out_of_order_costs_what_it_skipped_and_then_one_row() -> None:
    """Not each later message of that sender as much as all the keys that wait."""
    alice, bob = members(2, FAST)
    messages = []
    for _ in range(300):
        message, alice = say(alice)
        messages.append(message)
    _, bob = bob.decrypt(messages[0])
    store = Store(bob)
    _, bob = bob.decrypt(messages[280])
    change = store.put(bob)
    assert len(change.changed) == MAX_SKIPPED + 1
    assert all(len(row) <= SMALL for row in change.changed.values())
    assert not change.erased
    _, bob = bob.decrypt(messages[281])
    assert (len(store.put(bob).changed), len(store.rows)) == (1, MAX_SKIPPED + 3)
    _, bob = bob.decrypt(messages[100])
    change = store.put(bob)
    assert not change.changed
    assert list(change.erased) == [(Purpose.APPLICATION, 0, 100)]
    # One more than is kept: the oldest goes as the new one comes.
    _, bob = bob.decrypt(messages[284])
    change = store.put(bob)
    assert (len(change.changed), list(change.erased)) == (3, [(Purpose.APPLICATION, 0, 24)])


def test_what_does_not_change_is_not_written() -> None:
    group, _ = members(2, FAST)
    for change in (
        difference(group.keys, group.keys),
        difference(restored(group).keys, group.keys),
    ):
        assert not change.changed
        assert not change.erased


# What is gone.


def secrets_of(parts: Mapping[Any, bytes | Ratchet]) -> set[bytes]:
    """Return all secrets of a secret tree, with the nonces."""
    found: set[bytes] = set()
    for part in parts.values():
        if isinstance(part, bytes):
            found.add(part)
            continue
        found.add(part.secret)
        for key in part.skipped.values():
            found |= {key.key, key.nonce}
    return found


@pytest.mark.parametrize("suite", [FAST, HYBRID])
def test_a_used_secret_is_in_no_row(suite: Suite) -> None:
    groups = members(8, suite)
    alice, bob = groups[0], groups[5]
    messages, used = [], []
    for _ in range(4):
        _, key, _ = alice.keys.next_key(0, Purpose.APPLICATION)
        used.append(key)
        message, alice = say(alice)
        messages.append(message)
    sending, reading = Store(groups[0]), Store(bob)
    assert sending.holds(_root(groups[0]))
    sending.put(alice)
    for number in (3, 1, 2):
        before = bob
        _, bob = bob.decrypt(messages[number])
        # The search finds what is there, so that it would find what should not be.
        assert all(reading.holds(secret) for secret in secrets_of(before.keys.parts))
        reading.put(bob)
        gone = secrets_of(before.keys.parts) - secrets_of(bob.keys.parts)
        assert gone
        assert not any(reading.holds(secret) for secret in gone)
        assert not reading.holds(used[number].key)
        assert not reading.holds(used[number].nonce)
    assert reading.holds(used[0].key)
    for store in (sending, reading):
        assert not store.holds(_root(groups[0]))
    assert not any(sending.holds(key.key) or sending.holds(key.nonce) for key in used)


def _root(group: Group) -> bytes:
    root = group.keys.parts[Purpose.NODE, group.public.tree.root]
    assert isinstance(root, bytes)
    return root


def test_the_signature_key_is_not_stored() -> None:
    group, _ = members(2, FAST)
    assert isinstance(group.signing_key, Ed25519PrivateKey)
    store = Store(group)
    assert store.holds(group.private[0])
    assert not store.holds(group.signing_key.private_bytes_raw())
    with pytest.raises(MisuseError, match="signature key"):
        store.group(FAST.generate_signature_key())


def test_an_epoch_that_is_over_keeps_only_what_reads_its_messages() -> None:
    group, _ = members(2, FAST)
    store = Store(group.past())
    assert store.holds(group.secrets.sender_data)
    for secret in (*group.private.values(), group.secrets.exporter, group.secrets.init):
        assert not store.holds(secret)


def test_secrets_do_not_show() -> None:
    groups = propose_update(members(2, FAST), 0)
    store = Store(groups[0])
    epoch = decode(storing._EPOCHS, store.part)
    waiting = [storing._Waiting.decode(encoded) for encoded in epoch.waiting]
    change = difference(None, groups[0].keys)
    shown = repr((epoch, epoch.private, epoch.secrets, waiting, change))
    shown += repr(decode(storing._PASTS, store_past(groups[0].past())))
    for secret in (
        *groups[0].private.values(),
        *groups[0].updates.values(),
        groups[0].secrets.sender_data,
        groups[0].secrets.init,
        _root(groups[0]),
    ):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


# What is not what was written.

SERVER = FAST.generate_signature_key()


def busy() -> tuple[Group, PrivateMessage]:
    """Return a group in which all that can be stored is there, and a message that it can read."""
    server = external_senders(FAST.signature_public(SERVER))
    groups = list(members(3, FAST, (server,), 1))
    message, groups[1] = say(groups[1])
    skipping, groups[1] = say(groups[1])
    _, groups[0] = groups[0].decrypt(skipping)
    groups = propose_update(groups, 0)
    groups = propose_update(groups, 1)
    groups = propose(groups, 0, Add(person("new", FAST).package))
    removal = forge(
        groups[0], content_of(groups[0], ProposalContent(Remove(2)), External(0)), SERVER
    )
    _, group = groups[0].receive_proposal(removal)
    return group, message


def bent(data: bytes) -> Iterable[bytes]:
    """Return bytes that are not quite these: shorter, longer, and with one bit changed."""
    yield from (data[:end] for end in range(len(data)))
    yield data + b"\0"
    for offset in range(len(data)):
        other = bytearray(data)
        other[offset] ^= 1 << (offset % 8)
        yield bytes(other)


def use(group: Group, message: PrivateMessage) -> None:
    """Do with a group what is done with groups; it may refuse."""
    for act in (
        lambda: group.decrypt(message),
        lambda: group.encrypt(b"x", os.urandom),
        lambda: group.propose_update(os.urandom),
        lambda: group.commit(os.urandom),
        lambda: group.commit(os.urandom, references=list(group.public.pending)),
        lambda: replace(group, public=replace(group.public, pending={})).encrypt(b"", os.urandom),
    ):
        with contextlib.suppress(MLSError):
            act()


def test_a_part_that_was_changed_is_refused_or_is_another_groups() -> None:
    group, message = busy()
    store = Store(group)
    refused = 0
    for part in bent(store.part):
        try:
            back = restore_group(part, store.trees.get, store.rows, group.signing_key)
        except MalformedError:
            refused += 1
            continue
        assert store_group(back) == part
        use(back, message)
    assert refused > len(store.part)


def test_a_tree_that_was_changed_is_refused() -> None:
    group, _ = busy()
    store = Store(group)
    (tree,) = store.trees.values()
    for other in bent(tree):
        with pytest.raises(MalformedError):
            restore_group(store.part, lambda _, it=other: it, store.rows, group.signing_key)  # type: ignore[misc]


def test_a_row_that_was_changed_is_refused_or_is_another_secret() -> None:
    group, message = busy()
    store = Store(group)
    assert {key[2] for key in store.rows} > {HEAD}
    for key, row in store.rows.items():
        for other in bent(row):
            rows = {**store.rows, key: other}
            try:
                back = restore_group(store.part, store.trees.get, rows, group.signing_key)
            except MalformedError:
                continue
            assert difference(None, back.keys).changed == rows
            use(back, message)


def test_a_past_epoch_that_was_changed_is_refused_or_is_another() -> None:
    group, message = busy()
    store = Store(group.past([2]))
    for part in bent(store.part):
        try:
            back = restore_past(part, store.trees.get, store.rows)
        except MalformedError:
            continue
        assert store_past(back) == part
        with contextlib.suppress(MLSError):
            back.open(message)


def _refused(store: Store, group: Group, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        store.group(group.signing_key)


def test_rows_that_do_not_cover_each_leaf_once_are_refused() -> None:
    """A secret that came back beside what was derived from it would give used keys again."""
    group = members(8, FAST)[0]
    first = Store(group)
    (root,) = first.rows
    _, group = say(group)
    rows = Store(group).rows
    for missing in rows:
        store = Store(group)
        del store.rows[missing]
        _refused(store, group, "cover")
    for key, why in (
        (root, "cover"),
        ((Purpose.NODE, 0, HEAD), "cover"),
        ((Purpose.NODE, 15, HEAD), "outside"),
        ((Purpose.NODE, -1, HEAD), "outside"),
        ((3, 0, HEAD), "purpose"),
    ):
        store = Store(group)
        store.rows[key] = first.rows[root]
        _refused(store, group, why)
    head = rows[Purpose.APPLICATION, 0, HEAD]
    for leaf in (1, 8, -1):
        store = Store(group)
        store.rows[Purpose.APPLICATION, leaf, HEAD] = head
        _refused(store, group, "cover")
        store.rows[Purpose.HANDSHAKE, leaf, HEAD] = head
        _refused(store, group, "cover")


def test_skipped_keys_that_no_ratchet_skipped_are_refused() -> None:
    alice, bob = members(2, FAST)
    _, alice = say(alice)
    message, _ = say(alice)
    _, bob = bob.decrypt(message)
    rows = Store(bob).rows
    row = rows[Purpose.APPLICATION, 0, 0]
    for extra in (
        [(Purpose.APPLICATION, 0, 2)],
        [(Purpose.APPLICATION, 0, -2)],
        [(Purpose.APPLICATION, 1, 0)],
        [(Purpose.NODE, 2, 0)],
    ):
        store = Store(bob)
        store.rows.update(dict.fromkeys(extra, row))
        _refused(store, bob, "skipped")
    ratchet = storing._Head(MAX_SKIPPED + 1, bytes(32)).encode()
    many = {(Purpose.APPLICATION, 0, number): row for number in range(MAX_SKIPPED + 1)}
    store = Store(bob)
    store.rows.update({**many, (Purpose.APPLICATION, 0, HEAD): ratchet})
    _refused(store, bob, "skipped")
    del store.rows[Purpose.APPLICATION, 0, 5]
    store.group(bob.signing_key)


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ((Purpose.NODE, 2, HEAD), OPAQUE.write(bytes(31))),
        ((Purpose.APPLICATION, 0, HEAD), storing._Head(2, bytes(33)).encode()),
        ((Purpose.APPLICATION, 0, 0), storing._Skipped(bytes(15), bytes(12)).encode()),
        ((Purpose.APPLICATION, 0, 0), storing._Skipped(bytes(16), bytes(13)).encode()),
    ],
)
def test_a_row_of_the_wrong_size_is_refused(key: RowKey, row: bytes) -> None:
    alice, bob = members(2, FAST)
    _, alice = say(alice)
    _, bob = bob.decrypt(say(alice)[0])
    store = Store(bob)
    assert key in store.rows
    store.rows[key] = row
    _refused(store, bob, "bytes expected|wrong length")


def _wrong_parts(group: Group) -> Iterable[tuple[Any, str]]:
    epoch = decode(storing._EPOCHS, store_group(group))
    waiting = [storing._Waiting.decode(encoded) for encoded in epoch.waiting]
    own, _, add, removal = waiting
    stranger = FAST.hpke_derive(os.urandom(32))

    def keys(*private: storing._NodeKey) -> Any:
        return replace(epoch, private=private)

    def waits(*proposals: Any) -> Any:
        return replace(epoch, waiting=tuple(each.encode() for each in proposals))

    mine, *above = epoch.private
    context = epoch.context
    yield replace(epoch, context=replace(context, version=2)), "not known here"
    yield replace(epoch, context=replace(context, cipher_suite=0x7777)), "not known here"
    yield replace(epoch, context=replace(context, tree_hash=bytes(32))), "missing"
    yield replace(epoch, confirmation_tag=bytes(31)), "bytes expected"
    yield replace(epoch, secrets=replace(epoch.secrets, init=b"")), "bytes expected"
    yield replace(epoch, leaf=3), "own leaf"
    yield replace(epoch, leaf=1), "own leaf"
    yield keys(*above), "own leaf"
    yield keys(*above, mine), "own leaf"
    yield keys(mine, mine), "own leaf"
    yield keys(replace(mine, private=stranger)), "not that of its node"
    yield keys(replace(mine, private=b"short")), "is none"
    yield keys(mine, storing._NodeKey(4, stranger)), "not that of its node"
    yield keys(mine, storing._NodeKey(99, stranger)), "not that of its node"
    yield waits(own, own), "twice"
    yield waits(replace(own, reference=b"")), "bytes expected"
    yield waits(replace(own, private=stranger)), "not that of an update"
    yield waits(replace(add, private=stranger)), "not that of an update"
    yield waits(replace(own, sender=Member(1), private=None)), "does not fit"
    yield waits(replace(own, sender=External(0), private=None)), "does not fit"
    yield waits(replace(add, sender=Member(3))), "does not fit"
    yield waits(replace(removal, proposal=Remove(3))), "does not fit"
    yield replace(epoch, waiting=epoch.waiting[:1] * 4097), "more than 4096"


def test_a_part_that_contradicts_itself_is_refused() -> None:
    group, _ = busy()
    store = Store(group)
    for epoch, why in _wrong_parts(group):
        store.part = storing._EPOCHS.write(epoch)
        _refused(store, group, why)


def test_another_version_is_refused() -> None:
    group, _ = members(2, FAST)
    store, past = Store(group), Store(group.past())
    store.part = b"\2" + store.part[1:]
    _refused(store, group, "no version of a stored group 2")
    past.part = b"\2" + past.part[1:]
    with pytest.raises(MalformedError, match="no version of a stored past epoch 2"):
        past.past()


def test_a_past_epoch_without_the_leaves_that_went_is_refused() -> None:
    group = members(3, FAST)[0]
    store = Store(group.past())
    past = decode(storing._PASTS, store.part)
    for gone in ((3,), (4,), (2, 1), (1, 1)):
        store.part = storing._PASTS.write(replace(past, gone=gone))
        with pytest.raises(MalformedError, match="as gone"):
            store.past()


def test_what_came_in_bit_by_bit_is_not_too_much_to_come_back() -> None:
    """Capabilities of tens of thousands of entries, in tree and proposals: a member's way to lock
    others out of the room at their next start."""
    can = capabilities_of(
        FAST, person("x", FAST).package.leaf.credential, extensions=range(6, 60000)
    )
    adds: list[Proposal] = [
        Add(person(f"wide {number}", FAST, capabilities=can).package) for number in range(5)
    ]
    group = alone(person("first", FAST))
    for add in adds:
        _, group = group.propose(add, os.urandom)
    assert MAX_ITEMS < 5 * 59000
    group = restored(group)
    assert len(group.public.pending) == 5
    group = restored(group.commit(os.urandom).group)
    assert len(group.public.tree.members()) == 6


def test_a_key_of_a_node_that_is_blank_is_not_stored() -> None:
    """It opens nothing any more, and a tree that somebody else made could lead to one."""
    group = members(4, FAST)[0]
    assert group.public.tree.node(5) is None
    own = replace(group, private={**group.private, 5: bytes(32)})
    assert dict(restored(own).private) == dict(group.private)


def test_a_group_that_grew_comes_back() -> None:
    groups = grow(list(members(3, FAST)), [person("more", FAST), person("and more", FAST)])
    groups = [restored(group) for group in groups]
    agree(groups)
    groups = hear(groups, groups[0].propose(Remove(1), os.urandom)[0], None)
    agree(settle(groups, groups[2].commit(os.urandom), 2))
