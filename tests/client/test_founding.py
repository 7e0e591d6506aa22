"""A private room that is made while the connection or the program goes between any two of its parts."""

from typing import Any

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client.secret import Secret
from lairchat.features.delivery import messages as delivery
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults, limits
from tests.client.network import HOST, Person
from tests.client.test_sealed import SealedTest

PARTS = (rooms.CREATE, delivery.FOUND, delivery.BEGUN)


class Founded(SealedTest):
    """However it is broken off, the room comes to be, once and with its name."""

    def cut(self, one: Person, part: Any, *, answered: bool) -> None:
        """Lose the connection with a request, or with the answer to it; once."""
        ask, network = one.link.ask, self.network
        left = [part]

        def gone(_: Any) -> Any:
            network.pipe.cut()
            raise faults.NetLost(address=HOST)

        def asked(command: Any, *rest: Any) -> Any:
            if command not in left:
                return ask(command, *rest)
            left.clear()
            if not answered:
                network.pipe.cut()
            answer = ask(command, *rest)
            return answer.addCallback(gone) if answered else answer

        self.patch(one.link, "ask", asked)

    def check(self, one: Person) -> None:
        """Find one private room, which has its name and can be talked in."""
        self.network.wait(30)
        infos = [found for found in one.link.rooms.infos.values() if found.crypto == "mls"]
        assert len(infos) == 1, infos
        room = infos[0].room
        assert one.link.sealed.title(room) == "attic"
        self.say(one, "here it is", room)
        assert one.texts(room)[-1] == "here it is"
        assert not one.link.sealed.opened.marks.facts("making:")
        assert not one.link.sealed.opened.marks.facts("founding:")

    def test_the_connection_goes(self) -> None:
        for part in PARTS:
            for answered in (False, True):
                with self.subTest(part=part.name, answered=answered):
                    (alice,) = self.enter("alice")
                    self.cut(alice, part, answered=answered)
                    failed = alice.request(effects.Create, "attic", "private")
                    assert isinstance(failed, inputs.CommandFailed), failed
                    self.check(alice)
                self.end()
                self.setUp()

    def test_the_program_is_ended(self) -> None:
        for part in PARTS:
            for answered in (False, True):
                with self.subTest(part=part.name, answered=answered):
                    (alice,) = self.enter("alice")
                    self.cut(alice, part, answered=answered)
                    alice.link.perform(effects.Create(99, "attic", "private"))
                    alice.leave()
                    alice = self.reopened(alice).start()
                    alice.do(sealed.Unlock(Secret("alice")))
                    self.check(alice)
                self.end()
                self.setUp()

    def test_what_the_server_refuses_is_not_tried_again(self) -> None:
        (alice,) = self.enter("alice")
        self.patch(limits, "ROOMS_JOINED", 1)
        failed = alice.request(effects.Create, "attic", "private")
        assert isinstance(failed, inputs.CommandFailed), failed
        assert not alice.link.sealed.opened.marks.facts("making:")

    def test_refused_when_it_is_tried_again_it_is_said(self) -> None:
        (alice,) = self.enter("alice")
        room = self.create(alice, "cellar")
        self.cut(alice, rooms.CREATE, answered=False)
        alice.request(effects.Create, "attic", "private")
        info = alice.link.rooms.infos[room]
        ask = alice.link.ask

        def lying(command: Any, *rest: Any) -> Any:
            answer = ask(command, *rest)
            return answer.addCallback(lambda _: info) if command is rooms.CREATE else answer

        self.patch(alice.link, "ask", lying)
        self.network.wait(10)
        assert "attic was not made" in alice.last(inputs.Notice).text
        assert alice.link.sealed.title(room) == "cellar"
