"""The lock tells the truth about the next message, and never gets weaker by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.trust.locks import (
    Audience,
    Cause,
    Consequence,
    Hold,
    Lock,
    consequence,
    holds,
    lock,
    still_meant,
)
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.policy import Kind

SEEN = Pin("bob", b"b" * 32, Sureness.FIRST_SIGHT)
LINKED = Pin("carol", b"c" * 32, Sureness.LINK)
COMPARED = Pin("dave", b"d" * 32, Sureness.COMPARED)
SEEN_CHANGED = Pin("bob", b"b" * 32, Sureness.FIRST_SIGHT, b"x" * 32)
LINKED_CHANGED = Pin("carol", b"c" * 32, Sureness.LINK, b"x" * 32)
COMPARED_CHANGED = Pin("dave", b"d" * 32, Sureness.COMPARED, b"x" * 32)
REFUSED = Hold(Cause.COMMIT_REFUSED)
pins = st.sampled_from(
    [None, SEEN, LINKED, COMPARED, SEEN_CHANGED, LINKED_CHANGED, COMPARED_CHANGED]
)
kinds = st.sampled_from([Kind.DIRECT, Kind.PRIVATE])


@pytest.mark.parametrize(
    ("kind", "others", "held", "waiting", "expected"),
    [
        (Kind.PRIVATE, [SEEN], (), False, "E2E"),
        (Kind.PRIVATE, [SEEN, COMPARED], (), False, "E2E"),
        (Kind.PRIVATE, [LINKED, COMPARED], (), False, "E2E+"),
        (Kind.DIRECT, [COMPARED], (), False, "E2E+"),
        (Kind.DIRECT, [SEEN], (), False, "E2E"),
        (Kind.PRIVATE, [], (), False, "E2E"),
        (Kind.PRIVATE, [COMPARED], (), True, "E2E?"),
        (Kind.PRIVATE, [COMPARED, None], (), False, "E2E?"),
        (Kind.DIRECT, [None], (), False, "E2E?"),
        (Kind.DIRECT, [SEEN_CHANGED], (), False, "E2E!"),
        (Kind.PRIVATE, [SEEN_CHANGED], (), False, "E2E"),
        (Kind.PRIVATE, [COMPARED, SEEN_CHANGED], (), False, "E2E"),
        (Kind.PRIVATE, [LINKED_CHANGED], (), False, "E2E!"),
        (Kind.PRIVATE, [SEEN, COMPARED_CHANGED], (), False, "E2E!"),
        (Kind.PRIVATE, [COMPARED], (REFUSED,), False, "E2E!"),
        (Kind.PRIVATE, [None], (REFUSED,), True, "E2E!"),
        (Kind.DIRECT, [SEEN_CHANGED], (), True, "E2E!"),
        (None, [COMPARED], (), False, "PLAIN"),
        (None, [COMPARED_CHANGED, None], (REFUSED,), True, "PLAIN"),
    ],
)
def test_the_lock(kind, others, held, waiting, expected):
    assert lock(kind, others, held, waiting=waiting).value == expected


@given(kinds, st.lists(pins, max_size=5), st.booleans(), st.booleans())
def test_no_encrypted_room_is_ever_plain(kind, others, held, waiting):
    shown = lock(kind, others, (REFUSED,) if held else (), waiting=waiting)
    assert shown is not Lock.PLAIN
    if shown is Lock.VERIFIED:
        assert others
        assert all(pin is not None and pin.verified and pin.changed is None for pin in others)
    if held:
        assert shown is Lock.HELD


@given(kinds, st.lists(pins, max_size=5), st.lists(pins, max_size=5))
def test_a_lock_does_not_depend_on_the_order_and_newcomers_do_not_raise_it(kind, others, more):
    assert lock(kind, others) is lock(kind, others[::-1])
    if others and lock(kind, others) is not Lock.VERIFIED:
        assert lock(kind, [*others, *more]) is not Lock.VERIFIED


def test_what_is_held_where():
    assert holds(Kind.DIRECT, [SEEN_CHANGED]) == (Hold(Cause.IDENTITY_CHANGED, "bob"),)
    assert holds(Kind.PRIVATE, [COMPARED_CHANGED, None, SEEN_CHANGED, LINKED_CHANGED, SEEN]) == (
        Hold(Cause.IDENTITY_CHANGED, "carol"),
        Hold(Cause.IDENTITY_CHANGED, "dave"),
    )
    assert holds(None, [COMPARED_CHANGED]) == ()


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("kind", Kind)
def test_every_cause_holds_an_encrypted_room_and_nothing_sends_there(cause, kind):
    """A forked room, too: what the members were shown differently cannot be taken back."""
    for others, waiting in (([COMPARED], False), ([], False), ([None], True)):
        shown = lock(kind, others, (Hold(cause),), waiting=waiting)
        assert shown is Lock.HELD
        seen = frozenset({ALICE})
        assert not still_meant(Audience(Lock.E2E, seen), Audience(shown, seen))
    assert lock(None, [COMPARED], (Hold(cause),)) is Lock.PLAIN


def test_a_reinstalling_member_cannot_freeze_a_room():
    assert consequence(Kind.PRIVATE, SEEN_CHANGED) is Consequence.NOTICE
    assert lock(Kind.PRIVATE, [COMPARED, SEEN_CHANGED]).sends


def test_nothing_changed_means_nothing():
    for kind in (None, *Kind):
        assert consequence(kind, COMPARED) is Consequence.NOTHING
    assert consequence(None, COMPARED_CHANGED) is Consequence.NOTHING
    assert consequence(Kind.DIRECT, SEEN_CHANGED) is Consequence.HOLD
    assert consequence(Kind.PRIVATE, LINKED_CHANGED) is Consequence.HOLD


def test_which_locks_send():
    assert {each for each in Lock if each.sends} == {Lock.PLAIN, Lock.E2E, Lock.VERIFIED}


ALICE, BOB, OTHER_BOB = ("alice", b"a" * 32), ("bob", b"b" * 32), ("bob", b"x" * 32)
NEW_BOB = ("bob", None)
BOTH = frozenset({ALICE, BOB})


@pytest.mark.parametrize(
    ("typed", "now", "goes"),
    [
        ((Lock.WAITING, BOTH), (Lock.E2E, BOTH), True),
        ((Lock.WAITING, BOTH), (Lock.VERIFIED, BOTH), True),
        ((Lock.E2E, BOTH), (Lock.E2E, {ALICE}), True),  # somebody left
        ((Lock.E2E, {ALICE}), (Lock.E2E, BOTH), False),  # somebody came
        ((Lock.WAITING, {NEW_BOB}), (Lock.E2E, {BOB}), True),  # a first message
        ((Lock.WAITING, {NEW_BOB}), (Lock.E2E, {BOB, ALICE}), False),
        ((Lock.E2E, {BOB}), (Lock.E2E, {OTHER_BOB}), False),
        ((Lock.VERIFIED, BOTH), (Lock.E2E, BOTH), False),
        ((Lock.VERIFIED, BOTH), (Lock.VERIFIED, BOTH), True),
        ((Lock.E2E, BOTH), (Lock.HELD, BOTH), False),
        ((Lock.WAITING, BOTH), (Lock.WAITING, BOTH), False),
        ((Lock.WAITING, BOTH), (Lock.PLAIN, BOTH), False),
        ((Lock.E2E, BOTH), (Lock.PLAIN, BOTH), False),
        ((Lock.PLAIN, BOTH), (Lock.PLAIN, BOTH), True),
        ((Lock.PLAIN, BOTH), (Lock.E2E, BOTH), False),
    ],
)
def test_what_waited_is_checked_against_what_the_writer_saw(typed, now, goes):
    written, shown = (Audience(state, frozenset(who)) for state, who in (typed, now))
    assert still_meant(written, shown) is goes


@given(
    st.sampled_from(Lock),
    st.sampled_from(Lock),
    st.frozensets(st.sampled_from([ALICE, BOB, NEW_BOB])),
)
def test_what_was_typed_under_a_lock_never_goes_out_in_the_clear(typed, now, who):
    if still_meant(Audience(typed, who), Audience(now, who)):
        assert now.sends
        assert (now is Lock.PLAIN) == (typed is Lock.PLAIN)
