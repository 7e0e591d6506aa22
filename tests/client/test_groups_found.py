"""What random lives of rooms have brought to light, each in as few steps as it takes."""

from collections.abc import Iterator

import pytest

from tests.client.conversations import Conversations


@pytest.fixture
def chat() -> Iterator[Conversations]:
    found = Conversations()
    yield found
    found.end()


def test_all_devices_come_in_where_one_has_agreed_to_be(chat: Conversations) -> None:
    alice, bob = chat.register("alice"), chat.register("bob")
    other = chat.link("bob")
    room = chat.create(alice)
    assert room is not None
    assert other is not None
    chat.invite(alice, room, "bob")
    chat.accept(bob, "alice")
    chat.everybody()
    assert other.store.room(room) is not None


def test_another_device_comes_into_a_room_that_was_just_made(chat: Conversations) -> None:
    alice = chat.register("alice")
    other = chat.link("alice")
    assert other is not None
    room = chat.create(other)
    assert room is not None
    chat.stop(other)
    chat.pause()
    assert alice.store.room(room) is not None


def test_what_was_said_before_a_device_took_its_welcome_is_read(chat: Conversations) -> None:
    """Also where a welcome refers to a device that the newcomer has not heard of."""
    alice, bob = chat.register("alice"), chat.register("bob")
    chat.direct(alice, "bob")
    chat.stop(bob)
    other = chat.link("alice")
    assert other is not None
    late = chat.link("bob")
    assert late is not None
    chat.stop(late)
    room = chat.direct(other, "bob")
    assert room is not None
    token = chat.say(other, room)
    chat.everybody()
    for device in (bob, late):
        assert token in device.heard


@pytest.mark.parametrize("write", range(1, 10))
def test_a_conversation_whose_founder_was_killed_has_both_in_it(
    chat: Conversations, write: int
) -> None:
    alice, bob = chat.register("alice"), chat.register("bob")
    alice.kill_at(write)
    chat.direct(alice, "bob")
    room = chat.direct(bob, "alice")
    assert room is not None
    chat.everybody()
    assert chat.books[room].members == {"alice", "bob"}


@pytest.mark.parametrize("write", [2, 5, 8])
def test_whom_a_founder_had_no_time_to_add_comes_later(chat: Conversations, write: int) -> None:
    """Nobody had an answer: the book has it from the server with whom the conversation is."""
    alice, _ = chat.register("alice"), chat.register("bob")
    alice.kill_at(write)
    chat.direct(alice, "bob")
    chat.pause()
    chat.everybody()
    for book in chat.books.values():
        assert book.members == {"alice", "bob"}


def test_who_was_invited_by_a_lost_device_is_let_in_once_invited_anew(chat: Conversations) -> None:
    """A device that came later has not heard of it, and takes the server's word for nothing."""
    alice, bob = chat.register("alice"), chat.register("bob")
    room = chat.create(alice)
    assert room is not None
    chat.invite(alice, room, "bob")
    other = chat.link("alice")
    assert other is not None
    chat.pause()
    chat.stop(alice)
    chat.revoke(other, alice)
    chat.accept(bob, "alice")
    chat.pause()
    assert chat.books[room].members == {"alice"}
    chat.invite(other, room, "bob")
    chat.pause()
    assert chat.books[room].members == {"alice", "bob"}


def test_an_invitation_of_nobody_is_refused_with_its_name(chat: Conversations) -> None:
    alice = chat.register("alice")
    chat.accept(alice, "bob")
    chat.pause()


@pytest.mark.parametrize("linked", [False, True])
def test_whoever_leaves_stays_out_though_nobody_was_there_to_see_to_it(
    chat: Conversations, linked: bool
) -> None:
    """No device brings them back: neither the one that asked for it, nor one that is new."""
    alice, bob = chat.register("alice"), chat.register("bob")
    room = chat.create(alice)
    assert room is not None
    chat.invite(alice, room, "bob")
    chat.accept(bob, "alice")
    chat.pause()
    chat.stop(alice)
    chat.leave(bob, room)
    assert chat.books[room].members == {"alice"}
    if linked:
        chat.link("bob")
    else:
        chat.stop(bob)
        chat.start(bob)
    chat.pause()
    chat.everybody()
