"""A server that lies to those who come into a room by a code: it can let in neither itself nor others.

Over real connections, against a real daemon behind the proxy that lies.
"""

import os

import pytest
from msgspec.structs import replace

from lairchat.demo_check import wall_clock
from lairchat.e2ee import invite
from lairchat.e2ee.invite import Code
from lairchat.features.delivery import messages as delivery
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.messages import encode_message
from lairchat.mls.objects import KeyPackage
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from tests.blackbox.daemon import awaited
from tests.blackbox.false_witness import FalseInbox
from tests.blackbox.follower import Follower
from tests.blackbox.malice import Asked, Client
from tests.blackbox.test_lies import LiesTest

pytestmark = pytest.mark.blackbox


def references(packages: list[bytes]) -> list[bytes]:
    return [KeyPackage.decode(one).reference(HYBRID) for one in packages]


class Codes(LiesTest):
    """A member who holds a code, and somebody who was given it."""

    async def offer(self, alice: Follower) -> Code:
        """Found a room, and let one come in by a code."""
        await alice.found()
        code = Code.new(os.urandom)
        until = wall_clock() + limits.HOUR * 1000
        request = joining.OfferCode(alice.id, code.locator, 1, until)
        await alice.ask(joining.OFFER, request, alice.member.key())
        return code

    async def knock(self, one: Follower, code: Code) -> bytes:
        """Ask to be let in, and return the proof."""
        packages = one.fresh()
        proof = invite.ask(code, one.person.id, references(packages))
        await one.ask(joining.KNOCK, joining.KnockWithCode(code.locator, proof, packages))
        return proof

    async def knocks(self, alice: Follower) -> list[joining.Knock]:
        waiting = await alice.ask(joining.JOINERS, joining.AskJoiners(alice.id))
        return list(waiting.knocks)

    async def let_in(self, alice: Follower, code: Code, knock: joining.Knock) -> bytes:
        """Add who knocks, as a member's device does, and return the proof of the room."""
        request = invite.check(code, knock.body)
        if references(knock.packages) != list(request.packages):
            raise InvalidError("other key packages than the ones that the proof is of")
        await alice.meet(knock.name)
        add = [KeyPackage.decode(one) for one in knock.packages]
        alice.room = alice.state.commit(alice.logs, os.urandom, add=add)
        pending = alice.state.pending
        assert pending is not None
        proof = invite.admit(code, request, pending.group)
        commit = delivery.CommitGroup(
            alice.id,
            encode_message(pending.group.group_info(with_tree=False)),
            pending.message,
            welcome=pending.welcome or b"",
            admissions=[delivery.Admission(knock.user, proof)],
        )
        await alice.ask(delivery.COMMIT, commit, alice.member.key())
        await alice.follow()
        return proof

    async def proof_of_room(self, one: Follower) -> bytes:
        page = await one.ask(inbox.READ, inbox.ReadInbox())
        return bytes([entry.body for entry in page.entries if entry.kind == "admit"][-1])

    @awaited
    async def test_who_has_the_code_comes_in_and_knows_that_the_room_is_the_right_one(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        code = await self.offer(alice)
        asked = await self.knock(bob, code)
        (knock,) = await self.knocks(alice)
        await self.let_in(alice, code, knock)
        await bob.come_in(alice.id)
        invite.check_admission(code, asked, await self.proof_of_room(bob), bob.group)
        await alice.say("welcome")
        await bob.follow()
        assert bob.texts == ["welcome"]

    @awaited
    async def test_nobody_is_let_in_by_the_server(self) -> None:
        alice, bob, mallory = await self.followers("alice", "bob", "mallory")
        code = await self.offer(alice)
        await self.knock(bob, code)
        (knock,) = await self.knocks(alice)
        ghosts = mallory.fresh()
        # It knows the locator, every request, and every account; only the secret it does not.
        guess = invite.ask(Code(code.locator, bytes(16)), mallory.person.id, references(ghosts))
        lies = {
            "other packages under bob's proof": replace(knock, packages=ghosts),
            "mallory under bob's proof": replace(knock, name="mallory", packages=ghosts),
            "a proof with a secret of its own": replace(knock, body=guess, packages=ghosts),
            "a proof that was changed": replace(
                knock, body=knock.body[:-1] + bytes([knock.body[-1] ^ 1])
            ),
            "no proof": replace(knock, body=b"\0" * len(knock.body)),
        }
        for what, lie in lies.items():

            def swap(
                _client: Client,
                _asked: Asked,
                reply: joining.Joiners,
                lie: joining.Knock = lie,
            ) -> joining.Joiners:
                return replace(reply, knocks=[lie])

            rule = self.malice.on_reply(joining.JOINERS, swap, "alice")
            (shown,) = await self.knocks(alice)
            with pytest.raises(MLSError):
                await self.let_in(alice, code, shown)
            assert len(alice.state.members) == 1, what
            rule.end()
        (knock,) = await self.knocks(alice)
        await self.let_in(alice, code, knock)
        assert len(alice.state.members) == 2

    @awaited
    async def test_a_proof_of_another_room_is_none_of_this_one(self) -> None:
        """The server leads bob, who has a code of alice's, into a room of its own."""
        alice, bob, mallory = await self.followers("alice", "bob", "mallory")
        code = await self.offer(alice)
        asked = await self.knock(bob, code)
        (knock,) = await self.knocks(alice)
        real = await self.let_in(alice, code, knock)
        # Mallory's is a room that the daemon has; her account is as good as anybody's.
        own = await self.offer(mallory)
        await self.knock(bob, own)
        (lured,) = await self.knocks(mallory)
        forged = await self.let_in(mallory, own, lured)
        lie = FalseInbox(self.malice, "bob")
        await bob.come_in(mallory.id)
        request = invite.Request.decode(asked)
        guess = invite.admit(Code(code.locator, bytes(16)), request, mallory.group)
        for proof in (real, forged, guess):
            await lie.put("admit", proof)
            with pytest.raises(InvalidError):
                invite.check_admission(code, asked, await self.proof_of_room(bob), bob.group)
