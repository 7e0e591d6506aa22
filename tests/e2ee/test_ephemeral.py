"""Typing costs no key, is read by members of the epoch only, and is never more than shown."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.ephemeral import (
    STALE_SECONDS,
    Doing,
    Ephemeral,
    open_ephemeral,
    seal,
)
from lairchat.mls.errors import InvalidError, MalformedError, MLSError
from tests.trust.rooms import Person, Room

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def room() -> Room:
    return Room(Person("alice"), Person("bob"), Person("carol"))


def people(room: Room) -> list[Person]:
    return list(room.people.values())


def test_members_of_the_epoch_read_it(room: Room) -> None:
    alice, bob, carol = people(room)
    for doing in Doing:
        sent = seal(room.group(alice), doing, NOW, os.urandom)
        for reader in (bob, carol, alice):
            assert open_ephemeral(room.group(reader), sent, NOW) == (room.leaf(alice), doing)


def test_five_thousand_of_them_take_no_key_and_repeat_no_nonce(room: Room) -> None:
    alice, bob, _ = people(room)
    before = room.group(alice)
    nonces = {
        Ephemeral.decode(seal(before, Doing.TYPING, NOW, os.urandom)).nonce for _ in range(5000)
    }
    assert len(nonces) == 5000
    assert room.group(alice) is before
    assert room.hears(alice, bob)


def test_all_look_alike(room: Room) -> None:
    alice, *_ = people(room)
    sizes = {len(seal(room.group(alice), doing, NOW, os.urandom)) for doing in Doing}
    assert len(sizes) == 1


def test_it_ends_with_the_epoch() -> None:
    alice, bob = Person("alice"), Person("bob")
    room = Room(alice, bob)
    sent = seal(room.group(alice), Doing.TYPING, NOW, os.urandom)
    room.commit(alice)
    with pytest.raises(InvalidError, match="another epoch"):
        open_ephemeral(room.group(bob), sent, NOW)
    # Claiming the new epoch does not help: the key is another.
    moved = Ephemeral.decode(sent)
    moved = Ephemeral(moved.epoch + 1, moved.leaf, moved.nonce, moved.ciphertext)
    with pytest.raises(InvalidError):
        open_ephemeral(room.group(bob), moved.encode(), NOW)


def test_another_room_cannot_read_it(room: Room) -> None:
    alice, *_ = people(room)
    other = Room(Person("alice"), Person("bob"), Person("carol"))
    assert other.group(alice).context.epoch == room.group(alice).context.epoch
    sent = seal(room.group(alice), Doing.TYPING, NOW, os.urandom)
    with pytest.raises(InvalidError):
        open_ephemeral(other.group(alice), sent, NOW)


@pytest.mark.parametrize("seconds", [-STALE_SECONDS, STALE_SECONDS])
def test_a_replay_is_stale(room: Room, seconds: int) -> None:
    alice, bob, _ = people(room)
    sent = seal(room.group(alice), Doing.TYPING, NOW, os.urandom)
    assert open_ephemeral(room.group(bob), sent, NOW + 1000 * seconds)
    beyond = 1 if seconds > 0 else -1
    with pytest.raises(InvalidError, match="stale"):
        open_ephemeral(room.group(bob), sent, NOW + 1000 * seconds + beyond)


def test_it_is_its_leafs(room: Room) -> None:
    alice, bob, _ = people(room)
    sent = Ephemeral.decode(seal(room.group(alice), Doing.TYPING, NOW, os.urandom))
    for leaf in (room.leaf(bob), 7, 2**32 - 1):
        moved = Ephemeral(sent.epoch, leaf, sent.nonce, sent.ciphertext)
        with pytest.raises(InvalidError):
            open_ephemeral(room.group(bob), moved.encode(), NOW)


def test_every_flipped_byte_is_refused(room: Room) -> None:
    alice, bob, _ = people(room)
    sent = seal(room.group(alice), Doing.TYPING, NOW, os.urandom)
    for place in range(len(sent)):
        bad = bytearray(sent)
        bad[place] ^= 1
        with pytest.raises((InvalidError, MalformedError)):
            open_ephemeral(room.group(bob), bytes(bad), NOW)


@given(data=st.binary(max_size=200))
def test_garbage_raises_the_librarys_error(room: Room, data: bytes) -> None:
    alice, *_ = people(room)
    with pytest.raises(MLSError):
        open_ephemeral(room.group(alice), data, NOW)
