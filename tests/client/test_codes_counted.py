"""e2ee.md, Joining: whom a code lets in is counted by every member who follows, whatever the server says.

The server here plays one code's knocks to several members, more of them than the code is for.
"""

from typing import Any

from sqlalchemy import text
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.secret import Secret
from lairchat.e2ee import invite
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import CodeUsed
from lairchat.e2ee.payload import Invitation as Told
from lairchat.features.joining import messages as joining
from lairchat.trust.structure import accounts_in
from tests.client.network import Person
from tests.client.test_sealed import SealedTest


class CodesCounted(SealedTest):
    """Two members who may add people, and a server that lies about how many have come."""

    def begin(self, *more: str) -> tuple[int, list[Person]]:
        """Return a room in which alice and bob may add people, and all people."""
        people = self.enter("alice", "bob", *more)
        alice, bob = people[:2]
        room = self.create(alice)
        self.bring(alice, bob, room)
        done = alice.request(effects.SetRole, room, "bob", "moderator")
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(4)
        return room, people

    def code(self, one: Person, room: int, uses: int) -> str:
        """Return a new code, which the server takes to be for many more."""
        made = one.request(sealed.MakeCode, room, uses)
        assert isinstance(made, told.CodeMade), made
        self.network.wait(3)
        many = text("UPDATE group_codes SET uses = 50")
        self.network.server.change(lambda connection: connection.execute(many))
        return made.code

    def knock(self, one: Person, code: str) -> None:
        done = one.request(sealed.JoinByCode, code)
        assert isinstance(done, inputs.CommandDone), done

    def names(self, one: Person, room: int) -> set[str]:
        state = one.link.sealed.opened.room(room)
        assert state is not None
        name_of = one.link.sealed.names.shown
        return {name_of(account) for account in accounts_in(state.group.public.tree)}

    def left(self, one: Person, room: int) -> list[int]:
        """Return how many people codes of a room still let in, as a member has counted."""
        codes = one.link.sealed.opened.codes.invitations(one.link.now())
        return sorted(code.uses for code in codes.values() if code.room == room)

    def unlock(self, one: Person) -> Person:
        one = self.again(one).start()
        one.do(sealed.Unlock(Secret(one.name)))
        self.network.wait(3)
        return one

    def test_one_after_the_other(self) -> None:
        """What one member has let in, another has seen."""
        room, (alice, bob, carol, dave) = self.begin("carol", "dave")
        code = self.code(alice, room, 1)
        bob.leave()
        self.network.wait(2)
        self.knock(carol, code)
        self.network.wait(8)
        assert self.names(alice, room) == {"alice", "bob", "carol"}
        alice.leave()
        self.knock(dave, code)
        bob = self.reopened(bob).start()
        bob.do(sealed.Unlock(Secret("bob")))
        self.network.wait(15)
        assert self.names(bob, room) == {"alice", "bob", "carol"}
        assert self.left(bob, room) == []

    def test_both_at_once(self) -> None:
        """Whoever loses the race for the commit does not make it anew for one too many."""
        room, (alice, bob, carol, dave) = self.begin("carol", "dave")
        code = self.code(alice, room, 1)
        for one in (alice, bob):
            self.patch(one.link.sealed.adding, "let_in", lambda room: None)
        self.knock(carol, code)
        self.knock(dave, code)
        asking = alice.link.sealed.ask(joining.JOINERS, joining.AskJoiners(room, 0))
        self.network.wait(1)
        first, second = self.network.server.result(asking).knocks
        done: list[Any] = []
        for one, knock in ((alice, first), (bob, second)):
            admitting = Deferred.fromCoroutine(one.link.sealed.codes.admit(room, knock))
            admitting.addBoth(done.append)
        self.network.wait(15)
        assert done == [None, None]
        assert len(self.names(alice, room)) == 3
        assert self.names(alice, room) == self.names(bob, room)

    def test_each_counts_for_itself_and_all_the_same(self) -> None:
        room, (alice, bob, carol, dave) = self.begin("carol", "dave")
        code = self.code(bob, room, 3)
        assert self.left(alice, room) == self.left(bob, room) == [3]
        self.knock(carol, code)
        self.network.wait(8)
        assert self.left(alice, room) == self.left(bob, room) == [2]
        # Who is invited by name takes none.
        self.bring(alice, dave, room)
        assert len(self.names(bob, room)) == 4
        assert self.left(alice, room) == self.left(bob, room) == [2]

    def test_a_code_that_was_not_used_stays_whole(self) -> None:
        room, (alice, bob, carol) = self.begin("carol")
        code = self.code(alice, room, 1)
        self.code(bob, room, 1)
        self.knock(carol, code)
        self.network.wait(10)
        assert self.left(alice, room) == self.left(bob, room) == [1]

    def test_who_is_inside_gives_no_code_its_use_back(self) -> None:
        """By another device, which the server says knocks with another code."""
        room, (alice, bob, carol) = self.begin("carol")
        first, second = self.code(alice, room, 1), self.code(bob, room, 1)
        other = self.another(carol)
        self.patch(other.link.sealed.entering, "come_back", lambda room: None)
        self.knock(carol, first)
        self.network.wait(10)
        assert self.names(bob, room) == {"alice", "bob", "carol"}
        assert self.left(alice, room) == self.left(bob, room) == [1]
        own, package = other.link.sealed.require_own(), other.link.sealed.packages.make()
        code = Code.read(second)
        asked = invite.ask(code, own.identity.account, [package.reference])
        user = carol.link.sealed.session.user
        packages = [package.package.encode()]
        knock = joining.Knock(code.locator, user, "carol", asked, packages, bob.link.now())
        done: list[Any] = []
        admitting = Deferred.fromCoroutine(bob.link.sealed.codes.admit(room, knock))
        admitting.addBoth(done.append)
        self.network.wait(10)
        assert done == [None]
        assert self.left(alice, room) == self.left(bob, room) == [1]

    def another(self, one: Person) -> Person:
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

    def test_who_waits_comes_in_though_the_program_was_ended_meanwhile(self) -> None:
        """Between the code and word of it, which lets them in."""
        alice, carol = self.enter("alice", "carol")
        room = self.create(alice)
        self.patch(alice.link.sealed.sending, "wake", lambda room: None)
        self.knock(carol, self.code(alice, room, 1))
        self.network.wait(8)
        alice.leave()
        alice = self.reopened(alice).start()
        alice.do(sealed.Unlock(Secret("alice")))
        self.network.wait(15)
        assert self.names(alice, room) == {"alice", "carol"}

    def test_all_codes_are_ended(self) -> None:
        """Those as well that may be used up, until it is known which of them was used."""
        room, (alice, bob, carol) = self.begin("carol")
        first = self.code(alice, room, 1)
        self.code(bob, room, 1)
        # Who lets carol in says by which code, and that is not given for a while.
        for one in (alice, bob):
            self.patch(one.link.sealed.codes, "_tell_used", lambda *used: None)
        self.knock(carol, first)
        self.network.wait(10)
        assert self.names(alice, room) == {"alice", "bob", "carol"}
        assert self.left(alice, room) == []
        ended = Deferred.fromCoroutine(alice.link.sealed.codes.end(room))
        self.network.wait(5)
        assert self.network.server.result(ended) == 2
        account = carol.link.sealed.require_own().identity.account
        bob.link.sealed.sending.say(room, CodeUsed(Code.read(first).locator, account))
        self.network.wait(5)
        assert self.left(alice, room) == self.left(bob, room) == []

    def test_a_code_of_another_room_is_left_alone(self) -> None:
        """Whoever may add people to one room has no say over the codes of another."""
        room, (alice, bob) = self.begin()
        code = Code.read(self.code(alice, room, 2))
        other = self.create(alice, "cellar")
        self.bring(alice, bob, other)
        alice.link.sealed.sending.say(other, Told(code.locator, bytes(16), 9, 2**45))
        self.network.wait(5)
        assert self.left(bob, room) == [2]
        assert self.left(bob, other) == []
        alice.link.sealed.sending.say(other, Told(code.locator, bytes(16), 0, 2**45))
        self.network.wait(5)
        assert self.left(bob, room) == [2]

    def test_the_last_uses_of_two_codes_at_once(self) -> None:
        room, (alice, bob, carol, dave) = self.begin("carol", "dave")
        first, second = self.code(alice, room, 1), self.code(bob, room, 1)
        carol.do(sealed.JoinByCode(1, first))
        dave.do(sealed.JoinByCode(1, second))
        self.network.wait(15)
        assert self.names(alice, room) == {"alice", "bob", "carol", "dave"}
        assert self.left(alice, room) == self.left(bob, room) == []

    def test_who_is_put_out_and_comes_again_takes_another(self) -> None:
        room, (alice, bob, carol) = self.begin("carol")
        code = self.code(alice, room, 2)
        for left in ([1], []):
            self.knock(carol, code)
            self.network.wait(8)
            assert self.left(alice, room) == self.left(bob, room) == left
            assert isinstance(alice.request(effects.Kick, room, "carol"), inputs.CommandDone)
            self.network.wait(6)
            assert self.names(bob, room) == {"alice", "bob"}

    def test_a_code_lets_nobody_in_before_the_others_count_it(self) -> None:
        """Else a server holds back word of it until one has come, and the others count from there."""
        room, (alice, bob, carol, dave) = self.begin("carol", "dave")
        waking = alice.link.sealed.sending.wake
        self.patch(alice.link.sealed.sending, "wake", lambda room: None)
        code = self.code(alice, room, 1)
        self.knock(carol, code)
        self.network.wait(8)
        assert self.names(alice, room) == {"alice", "bob"}
        self.patch(alice.link.sealed.sending, "wake", waking)
        waking(room)
        self.network.wait(8)
        assert self.names(alice, room) == {"alice", "bob", "carol"}
        self.knock(dave, code)
        self.network.wait(8)
        assert self.names(bob, room) == {"alice", "bob", "carol"}
