"""A message is reported by the real client to a real daemon, and operators read it at their doors.

What nobody reported is nowhere at the server, also after others have been; a hostile reporter accuses
nobody of what was not said.
"""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs
from lairchat.features.delivery import messages as delivery
from lairchat.features.reports import messages as reports
from lairchat.model.refusal import Refusal
from tests.blackbox.daemon import awaited, lairctl_beside
from tests.blackbox.deceived import REFUSED, DeceivedTest
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.operators import OperatorTest
from tests.blackbox.private import Client
from tests.canaries import Canaries, search
from tests.requirements import require

pytestmark = pytest.mark.blackbox


class Reports(DeceivedTest, OperatorTest):
    """People in a room, and the owner's doors."""

    timeout = 240

    async def report(self, one: Client, room: int, seq: int, reason: str) -> int:
        """Report a message, or a change; return the report's number."""
        done = await one.do(lambda ref: sealed.Report(ref, room, seq, reason))
        assert isinstance(done, inputs.CommandDone)
        return int(done.text.rpartition(" ")[2])

    async def told(self, *words: str) -> Any:
        """Return what the operators' table has, as lairctl prints it."""
        done = await lairctl_beside(self.server, "report", *words, "--json")
        assert (done.returncode, done.stderr) == (0, ""), done
        return json.loads(done.stdout)

    @awaited
    async def test_one_message_goes_to_the_operators_with_proof_and_nothing_else_does(
        self,
    ) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")
        private, shown = Canaries(), Canaries()
        for one in (bob, carol, alice):
            await one.say(room, f"between us: {private.new()}")
        threat = f"I know where you live, {shown.new()}"
        seq = (await bob.say(room, threat)).seq
        await carol.hears(room, threat)
        assert search([self.server.data], shown) == []
        number = await self.report(carol, room, seq, "he threatens me")

        (row,) = await self.told("list")
        assert (row["number"], row["by"], row["about"]) == (number, "carol", "bob")
        assert (row["state"], row["reason"]) == ("open", "he threatens me")
        details = await self.told("show", str(number))
        assert (details["said"], details["kind"]) == (threat, "text")
        assert details["room"] == f"encrypted:{room}"
        assert search([self.server.data], shown) != [], "the search finds what is there"
        assert search([self.server.data], private) == []

        resolved = await lairctl_beside(self.server, "report", "resolve", str(number))
        assert resolved.stdout.startswith(f"resolved report {number}")
        assert await self.told("list") == []

    @awaited
    async def test_the_same_over_ssh(self) -> None:
        require("ssh")
        room, (alice, bob) = await self.talk("alice", "bob")
        threat = "\x1b[2J\x1b]0;owned\x07 I know\nwhere you live"
        seq = (await bob.say(room, threat)).seq
        await alice.until(lambda: len(alice.texts(room)) > 2)
        number = await self.report(alice, room, seq, "he \x1b[31mthreatens me")
        key = self.key = self.new_key("alice")
        self.add_key("alice", key)
        for words in (("list",), ("show", str(number)), ("show", str(number), "--json")):
            done = self.ssh("report", *words)
            assert (done.returncode, done.stderr) == (0, ""), done
            assert "\x1b" not in done.stdout
            assert "\x07" not in done.stdout
            assert "threatens me" in done.stdout
        assert "where you live" in self.ssh("report", "show", str(number)).stdout

    @awaited
    async def test_nobody_is_accused_of_what_was_not_said(self) -> None:
        room, (alice, bob, mallory) = await self.gather("alice", "bob", "mallory")
        seq = (await bob.say(room, "see you at nine")).seq
        await mallory.hears(room, "see you at nine")
        await alice.hears(room, "see you at nine")
        proof = mallory.link.sealed.opened.messages.proof(room, seq)
        assert proof is not None
        other = await alice.create("elsewhere")
        # Before the signature of 64 bytes and its length; a leaf is four bytes behind its sender's sort.
        state = mallory.link.sealed.following(room).state
        assert state is not None
        places = [index for index, _ in state.group.public.tree.members()]
        forged = {
            "other words": (room, proof.replace(b"see you at nine", b"see you in hell")),
            "another signature": (room, proof[:-1] + bytes([proof[-1] ^ 1])),
            **{
                f"as said at place {place}": (room, proof.replace(sender, at(place)))
                for sender in [at(place) for place in places if at(place) in proof]
                for place in places
                if at(place) != sender
            },
        }
        assert len(forged) == 4
        for what, (where, content) in forged.items():
            assert content != proof, what
            code = await self.code(mallory, where, content)
            assert code == "LC-REPORT-UNPROVEN", what
        # To whom is not in it a room is not there, and what alice has of another proves nothing there.
        assert await self.code(mallory, other, proof) == "LC-ROOM-UNKNOWN"
        assert await self.code(alice, other, proof) == "LC-REPORT-UNPROVEN"
        assert await self.told("list", "--resolved") == []

    async def code(self, one: Client, room: int, content: bytes) -> str:
        try:
            await one.link.ask(
                reports.MESSAGE, reports.ReportMessage(room, content, "look at that")
            )
        except Refusal as refusal:
            return refusal.code
        return ""

    @awaited
    async def test_a_change_that_was_refused_is_named(self) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")

        def spoil(_: Connection, asked: Asked) -> Any:
            message = bytearray(asked.args.message)
            message[-1] ^= 1
            return replace(asked.args, message=bytes(message))

        rule = self.malice.on_request(delivery.COMMIT, spoil, "bob")
        changing = bob.link.sealed.commits.change(room, lambda _: {})
        Deferred.fromCoroutine(changing).addErrback(lambda _: None)
        for one in (alice, carol):
            await self.held(one, room, REFUSED)
        rule.end()
        number = await self.report(carol, room, 0, "the room is broken")
        details = await self.told("show", str(number))
        assert (details["what"], details["by"], details["about"]) == ("change", "carol", "bob")
        assert details["said"] is None
        assert details["refused"]
        place = details["place"]
        history = await carol.link.ask(delivery.BEGUN, delivery.AskEpoch(room, details["epoch"]))
        assert history.seq == place
        assert await self.report(carol, room, 0, "again") == number


def at(leaf: int) -> bytes:
    """Return a sender as it is signed: a member, at a leaf (RFC 9420, section 6)."""
    return bytes([1, *leaf.to_bytes(4, "big")])
