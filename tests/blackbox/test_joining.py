"""Coming into encrypted rooms over TLS: by invitation, by code, and what is said there and not kept."""

import os
import time
from typing import Any

import pytest
from twisted.internet import defer, reactor, task

from lairchat.demo_check import Member
from lairchat.e2ee.invite import Code, admit, ask, check, check_admission
from lairchat.features.delivery import messages
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.messages import messages as wire
from lairchat.mls.objects import Add, GroupContextExtensions, KeyPackage, Lifetime
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.refusals import CodeUnknown, Denied, GroupUninvited, RoomUnknown
from lairchat.storage import log
from lairchat.storage.sqlite import reading_engine
from lairchat.trust.policy import context_extensions, private_policy
from tests.blackbox.daemon import awaited
from tests.blackbox.test_encrypted import EncryptedTest, Peer

pytestmark = pytest.mark.blackbox

TYPING = b"somebody types, sealed, and nobody keeps it"


class Listener(Member):
    """Somebody who remembers everything that the server tells."""

    def _event(self, name: str, body: Any) -> None:
        self.told: list[tuple[str, Any]] = [*getattr(self, "told", []), (name, body)]
        super()._event(name, body)

    async def hears(self, name: str) -> Any:
        """Wait for an event of this name, and forget those up to it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            told = getattr(self, "told", [])
            place = next((at for at, (said, _) in enumerate(told) if said == name), None)
            if place is not None:
                self.told = told[place + 1 :]
                return told[place][1]
            await task.deferLater(reactor, 0.01)  # type: ignore[arg-type]
        raise AssertionError(f"{self.name} heard no {name}")


class Joining(EncryptedTest):
    """A daemon, and people who come into a room of one of them."""

    timeout = 300

    def member(self, name: str) -> Member:
        member = Listener(reactor, "127.0.0.1", self.server.port, name, f"password of {name}")
        self.members.append(member)
        return member

    async def offer(self, peer: Peer, code: Code, uses: int = 1, seconds: float = 60) -> None:
        until = round((time.time() + seconds) * 1000)
        request = joining.OfferCode(peer.room, code.locator, uses, until)
        await peer.member.ask(joining.OFFER, request, peer.member.key())

    def knocking(self, peer: Peer, code: Code) -> joining.KnockWithCode:
        now = round(time.time())
        lifetime = Lifetime(now - limits.HOUR, now + limits.KEY_PACKAGE_SECONDS)
        peer.package = peer.person.package(lifetime=lifetime)
        package = peer.package.package
        body = ask(code, peer.person.id, [package.reference(HYBRID)])
        return joining.KnockWithCode(code.locator, body, [package.encode()])

    async def joiners(self, peer: Peer) -> joining.Joiners:
        found: joining.Joiners = await peer.member.ask(
            joining.JOINERS, joining.AskJoiners(peer.room)
        )
        return found

    async def let_in(self, peer: Peer, code: Code, knock: joining.Knock) -> Any:
        """Add somebody who knocks, as a member's client does."""
        request = check(code, knock.body)
        package = KeyPackage.decode(knock.packages[0])
        assert [package.reference(HYBRID)] == list(request.packages)
        sent = await peer.sending(peer.committing(Add(package)))
        assert peer.pending is not None
        proof = admit(code, request, peer.pending.group)
        request = messages.CommitGroup(
            room=sent.room,
            info=sent.info,
            message=sent.message,
            welcome=sent.welcome,
            admissions=[messages.Admission(knock.user, proof)],
        )
        return await peer.member.ask(messages.COMMIT, request, peer.new_key())

    @awaited
    async def test_invited_accepted_and_added(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        await alice.create()
        invitation = joining.InviteMember(alice.room, "bob")
        await alice.member.ask(joining.INVITE, invitation, alice.member.key())
        told = await bob.member.hears("group.invited")
        assert (told.room, told.by) == (alice.room, "alice")
        bob.package = bob.person.package()
        await self.assertFailure(
            defer.Deferred.fromCoroutine(alice.commit(Add(bob.package.package))), GroupUninvited
        )
        alice.pending = None
        answer = joining.AnswerInvitation(alice.room)
        await self.assertFailure(carol.member.ask(joining.ACCEPT, answer), RoomUnknown)
        await bob.member.ask(joining.ACCEPT, answer)
        assert (await alice.member.hears("group.joining")).room == alice.room
        (person,) = (await self.joiners(alice)).people
        assert (person.name, person.by, person.account) == ("bob", "alice", bob.person.id)
        await bob.enter(alice.room, await alice.commit(Add(bob.package.package)))
        self.agree(alice, bob)
        begun = await bob.member.ask(messages.BEGUN, messages.AskEpoch(bob.room, 1))
        with reading_engine(self.server.data / "lair.db").connect() as connection:
            (event,) = log.page(connection, bob.room, after=bob.seq - 1, limit=1)
        assert (begun.seq, begun.hash) == (bob.seq, event.hash)

    @awaited
    async def test_a_code_its_last_use_and_the_proof_of_the_room(self) -> None:
        alice, bob, carol, dave = await self.people("alice", "bob", "carol", "dave")
        await alice.create()
        code, short = Code.new(os.urandom), Code.new(os.urandom)
        await self.offer(alice, code)
        await self.offer(alice, short, seconds=0.2)
        pair = [(one, self.knocking(one, code)) for one in (bob, carol)]
        outcomes = await defer.DeferredList(
            [one.member.ask(joining.KNOCK, request) for one, request in pair], consumeErrors=True
        )
        assert sorted(done for done, _ in outcomes) == [False, True]
        lost = next(result for done, result in outcomes if not done)
        assert lost.check(CodeUnknown), lost
        joiner, asked = pair[0 if outcomes[0][0] else 1]
        await alice.member.hears("group.joining")
        (knock,) = (await self.joiners(alice)).knocks
        assert (knock.name, knock.body) == (joiner.member.name, asked.body)
        await alice.read()
        committed = await self.let_in(alice, code, knock)
        await alice.read()
        page = await joiner.member.ask(inbox.READ, inbox.ReadInbox())
        assert [entry.kind for entry in page.entries] == ["welcome", "admit"]
        joiner.room = alice.room
        welcome, proof = page.entries
        joiner.welcomed(welcome.body, await joiner.tree(committed.epoch), committed.seq)
        assert joiner.group is not None
        check_admission(code, asked.body, proof.body, joiner.group)
        self.agree(alice, joiner)
        # Used up, and run out: the same answer.
        await task.deferLater(reactor, 0.3)  # type: ignore[arg-type]
        for wrong in (code, short, Code.new(os.urandom)):
            request = self.knocking(dave, wrong)
            await self.assertFailure(dave.member.ask(joining.KNOCK, request), CodeUnknown)
        assert code.secret not in b"".join(
            path.read_bytes() for path in self.server.data.rglob("*") if path.is_file()
        )

    @awaited
    async def test_who_may_not_add_people_any_more_brings_nobody_in(self) -> None:
        alice, bob, carol, dave = await self.people("alice", "bob", "carol", "dave")
        await alice.create()
        await alice.invite(bob)
        await bob.enter(alice.room, await alice.commit(Add(bob.package.package)))
        await self.give(alice, private_policy([alice.person.id], [bob.person.id]))
        await bob.read()
        code = Code.new(os.urandom)
        await self.offer(bob, code, uses=2)
        await carol.member.ask(joining.KNOCK, self.knocking(carol, code))
        await bob.invite(dave)
        waiting = await self.joiners(alice)
        assert [[one.name for one in found] for found in (waiting.people, waiting.knocks)] == [
            ["dave"],
            ["carol"],
        ]
        await self.give(alice, private_policy([alice.person.id]))
        assert await self.joiners(alice) == joining.Joiners([], [])
        await self.assertFailure(
            dave.member.ask(joining.KNOCK, self.knocking(dave, code)), CodeUnknown
        )
        await self.assertFailure(
            bob.member.ask(joining.JOINERS, joining.AskJoiners(bob.room)), Denied
        )
        for one in (carol, dave):
            adding = alice.commit(Add(one.package.package))
            await self.assertFailure(defer.Deferred.fromCoroutine(adding), GroupUninvited)
            alice.pending = None

    async def give(self, peer: Peer, policy: Any) -> None:
        await peer.commit(GroupContextExtensions(context_extensions(policy, peer.server_key)))

    @awaited
    async def test_typing_is_passed_on_and_kept_nowhere_and_what_is_deleted_is_gone(self) -> None:
        alice, bob = await self.people("alice", "bob")
        await alice.create()
        await alice.invite(bob)
        await bob.enter(alice.room, await alice.commit(Add(bob.package.package)))
        await alice.member.ask(messages.EPHEMERAL, messages.SendEphemeral(alice.room, TYPING))
        assert (await bob.member.hears("ephemeral")).body == TYPING
        sealed = bob.sealed(b"regretted")
        sent = await bob.member.ask(wire.SEND, wire.Send(bob.room, sealed), bob.new_key())
        await alice.read()
        assert alice.texts == [b"regretted"]
        request = messages.DeleteMessage(bob.room, sent.seq)
        hinted = await bob.member.ask(messages.TOMBSTONE, request, bob.new_key())
        heard = await alice.member.hear(alice.room, hinted.seq)
        assert (heard.kind, heard.body) == ("hint", sent.seq.to_bytes(8, "big"))
        await alice.read()
        for peer in (alice, bob):
            peer.member.leave()
        self.server.stop()
        with reading_engine(self.server.data / "lair.db").connect() as connection:
            assert log.verify(connection, alice.room) is None
        for path in self.server.data.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert TYPING not in data, path
                assert sealed not in data, path
        assert TYPING.decode() not in self.printed()
        self.server.start()
