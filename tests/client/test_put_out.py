"""A device that is put out of a room in which its person stays, and comes in again by itself."""

from typing import Any

import pytest
from msgspec import structs
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.secret import Secret
from lairchat.e2ee.room import Room, decided
from lairchat.model import refusals
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.structure import identity_of
from tests.client.network import Person
from tests.client.test_sealed import SealedTest


class PutOut(SealedTest):
    """What happened in the room meanwhile it has not seen."""

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

    def put_out(self, by: Person, identity: LeafIdentity, room: int) -> None:
        """Have one device removed, as one that is silent is."""

        def make(state: Room) -> dict[str, Any]:
            members = state.group.public.tree.members()
            return {"remove": [decided(at) for at, one in members if identity_of(one) == identity]}

        Deferred.fromCoroutine(by.link.sealed.commits.change(room, make))
        self.network.wait(1)

    def back(self, one: Person, wait: float = 90) -> Person:
        again = self.reopened(one).start()
        again.do(sealed.Unlock(Secret(one.name)))
        self.network.wait(wait)
        return again

    def inside(self, one: Person, room: int) -> Room:
        state = one.link.sealed.opened.room(room)
        assert state is not None
        return state

    def test_who_came_while_it_was_out_is_asked_about(self) -> None:
        """An administrator could choose the moment at which the device in use does not look."""
        alice, bob, carol = self.enter("alice", "bob", "carol")
        other = self.second(alice)
        room = self.create(bob)
        self.bring(bob, alice, room)
        identity = self.inside(other, room).own
        other.leave()
        self.put_out(bob, identity, room)
        self.bring(bob, carol, room)
        other = self.back(other)
        self.inside(other, room)
        lock, why = other.link.sealed.labels.of(room)
        assert lock.value == "E2E!"
        assert "was seen: carol" in why
        assert other.request(sealed.ListNewcomers, room).names == ("carol",)
        other.request(sealed.AcceptNewcomers, room, ("carol",))
        assert self.label(other, room) == "E2E"
        assert self.label(alice, room) == "E2E", "that device has seen carol come"

    def test_who_was_there_before_is_not(self) -> None:
        alice, bob = self.enter("alice", "bob")
        other = self.second(alice)
        room = self.create(bob)
        self.bring(bob, alice, room)
        self.put_out(bob, self.inside(other, room).own, room)
        self.network.wait(90)
        assert self.label(other, room) == "E2E"
        self.say(other, "here again", room)
        assert bob.texts(room) == ["here again"]

    def test_who_leaves_is_led_back_into_the_same_room_alone(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        group = self.inside(bob, room).group.context.group_id
        assert isinstance(bob.request(effects.Leave, room), inputs.RoomLeft)
        self.network.wait(3)
        left = bob.link.sealed.opened.left(room)
        assert left is not None
        assert (left.group, left.accounts) == (group, ())
        with pytest.raises(refusals.GroupRefused):
            bob.link.sealed.entering._require_same(room, bytes(len(group)))
        self.bring(alice, bob, room)
        assert self.label(bob, room) == "E2E"
        assert bob.link.sealed.opened.left(room) is None

    def test_what_waited_is_said_to_be_gone_and_how_to_go_on(self) -> None:
        alice, bob = self.enter("alice", "bob")
        other = self.second(alice)
        room = self.create(bob)
        self.bring(bob, alice, room)
        identity = self.inside(other, room).own
        connection = other.link.connection
        next(one for one in self.network.pipes if one.client.protocol is connection).cut()
        other.say("typed offline", room)
        other.leave()
        self.put_out(bob, identity, room)
        other = self.back(other)
        self.inside(other, room)
        (item,) = other.last(inputs.OutboxRestored).items
        assert item.text == "typed offline"
        for _ in range(2):
            said = other.last(inputs.SendRefused)
            assert said.ticket == item.ticket
            assert "went with its keys" in said.text
            assert "by itself" in said.text
            other.do(effects.Resend(item.ticket))
        assert bob.texts(room) == []

    def test_nor_is_anybody_by_who_was_put_out_as_a_person_and_is_let_in_anew(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        assert isinstance(alice.request(effects.Kick, room, "bob"), inputs.CommandDone)
        self.network.wait(3)
        assert bob.link.sealed.opened.room(room) is None
        self.bring(alice, carol, room)
        self.bring(alice, bob, room)
        assert self.label(bob, room) == "E2E"

    def test_the_server_does_not_give_it_another_room_in_that_ones_place(self) -> None:
        """What was said in the one stands above; what is typed below it would go to the other."""
        alice, bob, mallory = self.enter("alice", "bob", "mallory")
        other = self.second(alice)
        attic, cellar = self.create(bob), self.create(mallory, "cellar")
        self.bring(bob, alice, attic)
        self.bring(mallory, alice, cellar)
        before = self.inside(other, attic)
        other.leave()
        self.put_out(bob, before.own, attic)
        self.put_out(mallory, before.own, cellar)
        other = self.reopened(other)
        ask, places = other.link.ask, {attic: cellar, cellar: attic}

        def swapped(command: Any, request: Any, key: Any = None) -> Any:
            if command.name.startswith("group.") and hasattr(request, "room"):
                request = structs.replace(request, room=places.get(request.room, request.room))
            return ask(command, request, key)

        self.patch(other.link, "ask", swapped)
        other.start()
        other.do(sealed.Unlock(Secret("alice")))
        self.network.wait(90)
        store = other.link.sealed.opened
        assert store.room(attic) is None
        assert store.room(cellar) is None
        places.clear()
        self.network.wait(90)
        assert self.inside(other, attic).group.context.group_id == before.group.context.group_id
        self.say(other, "here again", attic)
        assert bob.texts(attic) == ["here again"]
