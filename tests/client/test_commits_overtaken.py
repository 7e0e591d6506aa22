"""What becomes of a change while others are quicker: it is made anew, and not taken for made."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from lairchat.client import effects, inputs
from lairchat.client.sealed.commits import Commits
from lairchat.features.delivery import messages as wire
from lairchat.trust.structure import accounts_in
from tests.client.network import Person
from tests.client.test_sealed import SealedTest


class Overtaken(SealedTest):
    """A commit that the server gets to see once others stand in its place."""

    def late(self, one: Person, seconds: float) -> None:
        """Have somebody's next commit take a while to the server."""
        ask, waiting = one.link.sealed.ask, [seconds]

        async def slowly(*asked: Any) -> Any:
            await deferLater(self.network.clock, waiting.pop())
            return await ask(*asked)

        def asked(command: Any, *more: Any) -> Any:
            if command is wire.COMMIT and waiting:
                return Deferred.fromCoroutine(slowly(command, *more))
            return ask(command, *more)

        self.patch(one.link.sealed, "ask", asked)

    def renew(self, one: Person, room: int) -> None:
        renewing = Deferred.fromCoroutine(one.link.sealed.commits.change(room, lambda _: {}))
        self.network.wait(2)
        self.network.server.result(renewing)

    def test_a_kick_that_two_commits_have_overtaken_is_done(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.bring(alice, carol, room)
        # Nothing that is due comes between.
        self.patch(Commits, "tend", lambda self, room: None)
        self.late(alice, 6.0)
        alice.link.perform(effects.Kick(1, room, "carol"))
        self.network.wait(1)
        for _ in range(2):
            self.renew(bob, room)
        self.network.wait(10)
        (done,) = [one for one in alice.of(inputs.CommandDone) if one.ref == 1]
        assert done
        for one in (alice, bob):
            state = one.link.sealed.opened.room(room)
            assert state is not None
            assert len(accounts_in(state.group.public.tree)) == 2
