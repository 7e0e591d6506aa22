"""e2ee.md, Updates: devices silent for 60 days are removed, and come in again by themselves."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from twisted.internet.defer import Deferred

from lairchat.client.sealed.commits import Commits
from lairchat.e2ee.room import Room, decided
from lairchat.model import limits
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.structure import identity_of
from tests.client.conversations import Conversations
from tests.client.crowd import Device

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def chat() -> Iterator[Conversations]:
    found = Conversations()
    yield found
    found.end()


def inside(device: Device, room: int) -> set[tuple[bytes, bytes]]:
    """Return who is in a room, as a device that is there has it."""
    state = device.store.room(room)
    assert state is not None
    return {(one.account, one.device) for one in state.members}


def pass_by(chat: Conversations, seconds: float) -> None:
    """Let days go by, with a while every few of them for those whose programs run."""
    end = chat.network.clock.seconds() + seconds
    while (left := end - chat.network.clock.seconds()) > 150:
        chat.network.clock.advance(min(left - 150, 6 * DAY))
        chat.after(min(90.0, end - chat.network.clock.seconds() - 60))
    chat.after(end - chat.network.clock.seconds())


def until_silent(chat: Conversations, by: Device, room: int, silent: Device) -> float:
    """Return in how many seconds a device will have been silent for as long as it may."""
    state = by.store.room(room)
    assert state is not None
    assert silent.leaf is not None
    heard = max(state.heard.last(LeafIdentity(*silent.leaf)), state.heard.since)
    return heard / 1000 + limits.SILENT_DAYS * DAY - chat.network.server.now() / 1000


def meet(chat: Conversations, kind: str) -> tuple[Device, Device, Device, int]:
    """Return a device of alice's, her other one, one of bob's, and a room they are all in."""
    desk, bob = chat.register("alice"), chat.register("bob")
    drawer = chat.link("alice")
    assert drawer is not None
    room = chat.direct(desk, "bob") if kind == "direct" else chat.create(bob)
    assert room is not None
    if kind != "direct":
        chat.invite(bob, room, "alice")
        chat.accept(desk, "bob")
    chat.everybody()
    assert drawer.store.room(room) is not None
    return desk, drawer, bob, room


@pytest.mark.parametrize("kind", ["direct", "private"])
def test_a_silent_device_goes_and_comes_in_again(chat: Conversations, kind: str) -> None:
    desk, drawer, bob, room = meet(chat, kind)
    assert drawer.leaf is not None
    chat.stop(drawer)
    pass_by(chat, until_silent(chat, desk, room, drawer) - HOUR)
    assert drawer.leaf in inside(desk, room)
    pass_by(chat, HOUR + 200)
    assert drawer.leaf not in inside(desk, room)
    assert drawer.leaf not in inside(bob, room)
    assert bob.process is not None
    said = {one.text for one in bob.process.shown[room].values() if one.kind == "state"}
    assert said & {"alice removed a device", "bob removed a device of alice"}
    assert "bob removed alice" not in said
    # What is said now it cannot read; what is said once it is back it can.
    missed = chat.say(desk, room)
    chat.after(5)
    chat.start(drawer)
    chat.after(60)
    assert drawer.leaf in inside(desk, room)
    assert drawer.leaf in inside(drawer, room)
    token = chat.say(bob, room)
    chat.after(10)
    drawer.listen()
    assert token in drawer.heard
    assert missed not in drawer.heard


def test_a_person_who_is_away_keeps_the_room(chat: Conversations) -> None:
    desk, drawer, bob, room = meet(chat, "private")
    before = inside(bob, room)
    chat.stop(desk)
    chat.stop(drawer)
    pass_by(chat, until_silent(chat, bob, room, drawer) + DAY)
    assert inside(bob, room) == before


def test_a_device_that_has_just_spoken_stays(chat: Conversations) -> None:
    """As in what came at last to somebody who was away, and had looked who was silent before."""
    desk, drawer, _, room = meet(chat, "direct")
    assert desk.process is not None
    assert drawer.leaf is not None
    commits = desk.process.link.sealed.commits
    chat.stop(drawer)
    pass_by(chat, until_silent(chat, desk, room, drawer) - HOUR)
    with patch.object(Commits, "tend", lambda self, room: None):
        chat.after(HOUR)
        chat.after(60 - chat.network.server.now() / 1000 % 60)
        state = desk.store.room(room)
        assert state is not None
        assert commits._silent(state)
        chat.start(drawer)
        assert drawer.process is not None
        token = chat.say(drawer, room)
        chat.after(5)
        desk.listen()
        assert token in desk.heard
        removed: list[Any] = []
        with patch.object(
            drawer.process.link.sealed, "removed", lambda *gone: removed.append(gone)
        ):
            doing = Deferred.fromCoroutine(commits._tend(room))
            chat.after(5)
        assert doing.called
        assert not removed


def test_a_device_that_is_there_after_all_comes_in_at_once(chat: Conversations) -> None:
    """As where the server kept what it said from the others all the time."""
    desk, drawer, _, room = meet(chat, "direct")
    assert desk.process is not None
    assert drawer.leaf is not None
    leaf = drawer.leaf

    def silent(state: Room) -> dict[str, Any]:
        return {
            "remove": [
                decided(index)
                for index, node in state.group.public.tree.members()
                if identity_of(node).device == leaf[1]
            ]
        }

    Deferred.fromCoroutine(desk.process.link.sealed.commits.change(room, silent))
    chat.after(1)
    assert leaf not in inside(desk, room)
    chat.after(9)
    assert leaf in inside(desk, room)
    token = chat.say(desk, room)
    chat.after(3)
    drawer.listen()
    assert token in drawer.heard
