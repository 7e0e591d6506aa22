"""What a device makes of rooms that its account is in no more, by the server's list or by their logs."""

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.secret import Secret
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms.messages import MINE, RoomLeft
from tests.client.network import Person
from tests.client.test_sealed import SealedTest

WEEKS = 20 * 24 * 3600


class Out(SealedTest):
    """Who went out of a room while this device was away."""

    def two(self) -> tuple[Person, Person, int]:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.say(alice, "from before", room)
        assert bob.texts(room) == ["from before"]
        return alice, bob, room

    def second(self, one: Person) -> Person:
        """Return another device of somebody."""
        other = Person(self.network, self.root / f"{one.name}-2", one.name)
        self.people.append(other)
        other.start()
        other.trust()
        other.login()
        words = Secret(" ".join(one.last(told.RecoveryWords).words))
        assert isinstance(other.request(sealed.LinkByWords, words), inputs.CommandDone)
        self.network.wait(10)
        return other

    def back(self, one: Person, asks: list[Any] | None = None) -> Person:
        """Return somebody whose program is started again, with the store open; asks: what it asks for."""
        one = self.reopened(one)
        if asks is not None:
            self.watch(one, asks.append)
        one.start()
        one.do(sealed.Unlock(Secret(one.name)))
        self.network.wait(3)
        return one

    def watch(self, one: Person, seen: Callable[[Any], None]) -> None:
        ask = one.link.ask

        def watched(command: Any, request: Any, key: Any = None) -> Any:
            seen(request)
            return ask(command, request, key)

        one.link.ask = watched  # type: ignore[method-assign]
        one.link.rooms._ask = watched

    def kick(self, one: Person, name: str, room: int) -> None:
        done = one.request(effects.Kick, room, name)
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(3)

    def invite(self, one: Person, other: Person, room: int) -> None:
        assert isinstance(one.request(effects.InviteUser, room, other.name), inputs.CommandDone)
        assert isinstance(other.request(sealed.AcceptInvite, one.name), inputs.CommandDone)

    # -- nothing is retried

    def test_nothing_is_asked_or_done_in_a_room_that_is_not_listed(self) -> None:
        alice, bob, room = self.two()
        bob.leave()
        self.kick(alice, "bob", room)
        self.network.clock.advance(WEEKS)
        asks: list[Any] = []
        bob = self.back(bob, asks)
        assert bob.link.online
        assert room not in bob.link.rooms.infos
        state = bob.link.sealed.opened.room(room)
        assert state is not None
        assert state.due(bob.link.sealed.now()) is not None, "there would be something to do"
        self.network.wait(200)
        assert not [one for one in asks if getattr(one, "room", None) == room]
        assert bob.link.sealed.is_pinned(room)

    # -- coming back

    def test_a_welcome_back_is_taken_by_who_does_not_know_how_they_went(self) -> None:
        alice, bob, room = self.two()
        bob.leave()
        self.say(alice, "the last that bob may read", room)
        self.kick(alice, "bob", room)
        self.say(alice, "not for bob", room)
        bob = self.back(bob)
        assert bob.link.sealed.opened.room(room) is not None
        self.invite(alice, bob, room)
        alice.say("welcome back", room)
        self.network.wait(12)
        texts = [line.text for line in bob.link.sealed.lines(room, limit=50).messages]
        said = [text for text in texts if text in ("from before", "welcome back", "not for bob")]
        assert said == ["from before", "welcome back"]
        assert "the last that bob may read" in texts
        self.say(bob, "thanks", room)
        assert alice.texts(room)[-1] == "thanks"

    def test_a_welcome_back_is_taken_before_anything_follows_it(self) -> None:
        alice, bob, room = self.two()
        bob.leave()
        self.kick(alice, "bob", room)
        bob = self.back(bob)
        self.invite(alice, bob, room)
        self.network.wait(12)
        state, there = (one.link.sealed.opened.room(room) for one in (bob, alice))
        assert state is not None
        assert there is not None
        assert state.group.context == there.group.context
        assert self.label(bob, room) == "E2E"
        self.say(alice, "welcome back", room)
        assert "welcome back" in bob.texts(room)

    def test_a_welcome_back_waits_for_a_log_that_is_not_given(self) -> None:
        alice, bob, room = self.two()
        bob.leave()
        self.say(alice, "the last that bob may read", room)
        self.kick(alice, "bob", room)
        bob = self.back(bob)
        withheld, ask = {room}, bob.link.rooms._ask

        async def lying(command: Any, request: Any) -> Any:
            reply = await ask(command, request)
            if command is HISTORY and request.room in withheld:
                reply = msgspec.structs.replace(reply, events=[], more=False)
            return reply

        bob.link.rooms._ask = lambda *asked: Deferred.fromCoroutine(lying(*asked))
        before = bob.link.sealed.opened.room(room)
        assert before is not None
        self.invite(alice, bob, room)
        self.network.wait(30)
        state = bob.link.sealed.opened.room(room)
        assert state is not None
        assert state.group.context == before.group.context
        withheld.clear()
        self.say(alice, "welcome back", room)
        self.network.wait(6)
        texts = [line.text for line in bob.link.sealed.lines(room, limit=50).messages]
        assert [
            text for text in texts if text in ("the last that bob may read", "welcome back")
        ] == [
            "the last that bob may read",
            "welcome back",
        ]
        self.say(bob, "thanks", room)
        assert alice.texts(room)[-1] == "thanks"

    # -- what is queued

    def cut_and_say(self, one: Person, room: int) -> None:
        """Have somebody type something that cannot leave, and close the program."""
        connection = one.link.connection
        next(one for one in self.network.pipes if one.client.protocol is connection).cut()
        one.say("typed offline", room)
        one.leave()

    def refused(self, one: Person) -> str:
        """Return why what was typed before was not sent."""
        (restored,) = one.last(inputs.OutboxRestored).items
        assert restored.text == "typed offline"
        return one.refused[restored.ticket]

    def test_what_waits_goes_with_the_room_and_is_reported(self) -> None:
        alice, bob, room = self.two()
        other = self.second(bob)
        self.cut_and_say(bob, room)
        self.kick(alice, "bob", room)
        self.invite(alice, other, room)
        self.network.wait(12)
        bob = self.back(bob)
        self.network.wait(12)
        assert self.refused(bob) == "LC-HELD"
        assert "typed offline" not in alice.texts(room)
        self.say(alice, "welcome back", room)
        assert "welcome back" in bob.texts(room)
        # Nothing is left of it that could be sent: that is said, too.
        ticket = bob.last(inputs.OutboxRestored).items[0].ticket
        bob.refused.clear()
        bob.do(effects.Resend(ticket))
        assert bob.refused == {ticket: "LC-HELD"}

    def test_what_waits_in_a_room_that_was_left_elsewhere_is_reported(self) -> None:
        """Also where nobody is left who would write that into the room's log."""
        (alice,) = self.enter("alice")
        room = self.create(alice)
        other = self.second(alice)
        self.say(alice, "from before", room)
        assert other.texts(room) == ["from before"]
        self.cut_and_say(other, room)
        self.network.clock.advance(WEEKS)  # new keys would come first
        self.network.wait(3)
        assert isinstance(alice.request(effects.Leave, room), inputs.RoomLeft)
        asks: list[Any] = []
        other = self.back(other, asks)
        assert self.refused(other) == "LC-HELD"
        self.network.wait(100)
        assert not [one for one in asks if getattr(one, "room", None) == room]
        assert not other.acknowledged
        page = other.link.sealed.lines(room, limit=9)
        assert [line.text for line in page.messages if line.kind == "text"] == ["from before"]

    def test_what_waits_is_reported_when_one_leaves_here(self) -> None:
        (alice,) = self.enter("alice")
        room = self.create(alice)
        alice.link.sealed.suspect(room)
        ticket = alice.say("said too late", room)
        self.network.wait(1)
        assert alice.refused.pop(ticket) == "LC-HELD", "the room is held"
        assert isinstance(alice.request(effects.Leave, room), inputs.RoomLeft)
        assert alice.refused[ticket] == "LC-HELD"
        assert alice.link.sealed.opened.outbox() == []

    # -- a server that lies

    def test_a_room_that_the_list_hides_is_as_before_once_it_shows_it(self) -> None:
        alice, bob, room = self.two()
        hidden = self.hide(bob, room)
        bob.link.reconnect()
        self.network.wait(3)
        assert room not in bob.link.rooms.infos
        self.say(alice, "while it is hidden", room)
        before = bob.link.sealed.opened.room(room)
        assert before is not None
        ticket = bob.say("not in the clear", room)
        self.network.wait(100)
        assert bob.refused[ticket] == "LC-HELD"
        assert bob.link.sealed.owns(room)
        assert bob.link.sealed.is_pinned(room)
        after = bob.link.sealed.opened.room(room)
        assert after is not None
        assert after.group.context == before.group.context
        assert bob.link.sealed.directory.pin("alice") is not None
        assert "from before" in [
            line.text for line in bob.link.sealed.lines(room, limit=9).messages
        ]
        hidden.clear()
        bob.link.reconnect()
        self.network.wait(5)
        assert bob.texts(room)[-1] == "while it is hidden"
        self.say(bob, "here again", room)
        assert alice.texts(room)[-1] == "here again"
        # What was not sent leaves when its writer wants it.
        bob.do(effects.Resend(ticket))
        self.network.wait(3)
        assert alice.texts(room)[-1] == "not in the clear"

    def hide(self, one: Person, room: int) -> set[int]:
        """Have a server list one room less; returns those that it hides."""
        hidden, ask = {room}, one.link.rooms._ask

        async def lying(command: Any, request: Any) -> Any:
            reply = await ask(command, request)
            if command is MINE:
                rooms = [info for info in reply.rooms if info.room not in hidden]
                reply = msgspec.structs.replace(reply, rooms=rooms)
            return reply

        one.link.rooms._ask = lambda *asked: Deferred.fromCoroutine(lying(*asked))
        return hidden

    def test_a_false_farewell_costs_nothing(self) -> None:
        alice, bob, room = self.two()
        bob.link._event("room.left", RoomLeft(room=room, code="LC-LEFT", text="you left"))
        self.network.wait(70)
        assert bob.link.sealed.is_pinned(room)
        ticket = bob.say("not in the clear", room)
        self.network.wait(5)
        assert bob.refused[ticket] == "LC-HELD"
        self.say(alice, "is anybody there", room)
        bob.link.reconnect()
        self.network.wait(5)
        assert "is anybody there" in bob.texts(room)
        self.say(bob, "yes", room)
        assert alice.texts(room)[-1] == "yes"

    def test_a_device_that_revokes_itself_says_so(self) -> None:
        alice, bob, room = self.two()
        second = self.second(bob)
        here = second.link.sealed.require_own().identity.device
        done = second.request(sealed.RevokeDevice, here.hex())
        assert isinstance(done, inputs.CommandDone)
        assert done.text.startswith("this device is revoked")
        self.network.wait(10)
        assert second.last(inputs.AccountNeeded).name == "bob"
        state = alice.link.sealed.opened.room(room)
        assert state is not None
        assert here not in {one.device for one in state.members}
        self.say(bob, "still here", room)
        assert alice.texts(room)[-1] == "still here"

    def test_what_was_said_just_before_a_device_was_linked_comes_too(self) -> None:
        alice, bob, room = self.two()
        self.network.wait(70)
        self.say(alice, "a moment ago", room)
        second = self.second(bob)
        kept = second.link.sealed.opened.messages
        assert [one.text for one in kept.after(room, 0, 20)] == ["from before"]
        self.network.wait(120)
        assert [one.text for one in kept.after(room, 0, 20)] == ["from before", "a moment ago"]
