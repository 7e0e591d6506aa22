"""Who came into a room while this device could not see it, and what it takes to write to them."""

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.sealed.report import report
from lairchat.client.secret import Secret
from lairchat.storage import log
from tests.client.network import Person
from tests.client.test_sealed import SealedTest


class Unseen(SealedTest):
    """A device that missed commits, which the server has trimmed since."""

    def away(self, one: Person, other: Person, room: int, *names: str) -> list[Person]:
        """Have people come in by somebody while another one is away for too long."""
        other.leave()
        found = []
        for name in names:
            (person,) = self.enter(name)
            self.bring(one, person, room)
            found.append(person)
        self.trim(one, room)
        return found

    def trim(self, one: Person, room: int) -> None:
        head = one.link.sealed.position(room)
        assert head is not None
        self.network.server.change(
            lambda connection: log.purge(connection, room, range(1, head + 1))
        )

    def back(self, one: Person) -> Person:
        again = self.reopened(one).start()
        again.do(sealed.Unlock(Secret(one.name)))
        self.network.wait(30)
        return again

    def test_nobody_is_written_to_before_they_have_been_looked_at(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        (carol,) = self.away(alice, bob, room, "carol")
        bob = self.back(bob)
        lock, why = bob.link.sealed.labels.of(room)
        assert lock.value == "E2E!"
        assert "was seen: carol" in why
        ticket = bob.say("who is there?", room)
        self.network.wait(2)
        assert bob.refused[ticket] == "LC-HELD"
        assert any("newcomer" in one.text for one in report(bob.link.sealed.opened, bob.link.now()))
        self.say(carol, "me", room)
        assert "me" in bob.texts(room)

        listed = bob.request(sealed.ListNewcomers, room)
        assert isinstance(listed, told.NewcomersListed)
        assert listed.names == ("carol",)
        bob = self.back(self.leaving(bob))
        assert self.label(bob, room) == "E2E!"
        done = bob.request(sealed.AcceptNewcomers, room, ("dave",))
        assert isinstance(done, inputs.CommandDone)
        assert self.label(bob, room) == "E2E!"
        bob.request(sealed.AcceptNewcomers, room, ("carol",))
        assert self.label(bob, room) == "E2E"
        self.say(bob, "welcome", room)
        assert "welcome" in carol.texts(room)
        assert bob.request(sealed.ListNewcomers, room).names == ()

    def leaving(self, one: Person) -> Person:
        one.leave()
        return one

    def test_who_is_gone_again_holds_nothing(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.away(alice, bob, room, "carol", "dave", "erin", "frank", "grace")
        bob = self.back(bob)
        _, why = bob.link.sealed.labels.of(room)
        assert "was seen: carol, dave, erin, 2 more." in why
        assert isinstance(alice.request(effects.Kick, room, "carol"), inputs.CommandDone)
        self.network.wait(4)
        assert bob.request(sealed.ListNewcomers, room).names == ("dave", "erin", "frank", "grace")

    def test_nor_who_went_while_nobody_saw_it(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.away(alice, bob, room, "carol")
        bob = self.back(bob)
        assert self.label(bob, room) == "E2E!"
        bob.leave()
        assert isinstance(alice.request(effects.Kick, room, "carol"), inputs.CommandDone)
        self.network.wait(4)
        self.trim(alice, room)
        bob = self.back(bob)
        assert bob.request(sealed.ListNewcomers, room).names == ()
        assert self.label(bob, room) == "E2E"

    def test_nobody_is_let_in_by_an_invitation_that_may_have_been_followed(self) -> None:
        """Whoever was removed again would come back by it, on the server's word alone."""
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        done = alice.request(effects.SetRole, room, "bob", "moderator")
        assert isinstance(done, inputs.CommandDone)
        assert isinstance(alice.request(effects.InviteUser, room, "carol"), inputs.CommandDone)
        self.network.wait(4)
        account = carol.link.sealed.require_own().identity.account
        assert bob.link.sealed.invitations.is_asked(room, account)
        bob.leave()
        assert isinstance(carol.request(sealed.AcceptInvite, "alice"), inputs.CommandDone)
        self.network.wait(8)
        assert isinstance(alice.request(effects.Kick, room, "carol"), inputs.CommandDone)
        self.network.wait(4)
        self.trim(alice, room)
        bob = self.back(bob)
        assert self.label(bob, room) == "E2E"
        assert not bob.link.sealed.invitations.is_asked(room, account)

    def test_a_locked_store_is_said(self) -> None:
        (alice,) = self.enter("alice")
        room = self.create(alice)
        alice.leave()
        alice = self.reopened(alice).start()
        for asked in ((sealed.ListNewcomers, room), (sealed.AcceptNewcomers, room, ("bob",))):
            answer = alice.request(*asked)
            assert isinstance(answer, inputs.CommandFailed)
            assert answer.code == "LC-LOCKED"

    def test_who_was_there_before_holds_nothing(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.away(alice, bob, room)
        bob = self.back(bob)
        assert self.label(bob, room) == "E2E"
