"""What people see of changes of their rooms that nobody may make: the real client behind the proxy.

A room that somebody has broken is held, never followed past, and founded anew; a device that is out is
out for everybody, also while its owner is away.
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace as changed
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs, inputs_sealed
from lairchat.client.secret import Secret
from lairchat.features.delivery import messages as delivery
from lairchat.features.delivery.removals import propose_removal
from lairchat.features.delivery.rules import SERVER
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    ProposalContent,
    PublicMessage,
    encode_message,
)
from lairchat.mls.objects import Add
from lairchat.model import refusals
from lairchat.trust.policy import NO_HEAD, Because, Removal, encode_reasons
from lairchat.trust.signing import labelled
from tests.blackbox.daemon import awaited
from tests.blackbox.deceived import REFUSED, DeceivedTest, forged
from tests.blackbox.lies import FalseLog
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client

pytestmark = pytest.mark.blackbox


class Commits(DeceivedTest):
    """What changes a room."""

    async def commit(self, one: Client, room: int) -> None:
        """Bring new keys into a room."""
        await one.link.sealed.commits.change(room, lambda _: {})

    @awaited
    async def test_a_garbage_commit_holds_the_room_and_it_is_founded_anew(self) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")

        def spoil(_: Connection, asked: Asked) -> Any:
            message = bytearray(asked.args.message)
            message[-1] ^= 1
            return replace(asked.args, message=bytes(message))

        rule = self.malice.on_request(delivery.COMMIT, spoil, "bob")
        Deferred.fromCoroutine(self.commit(bob, room)).addErrback(lambda _: None)
        for one in (alice, carol):
            await self.held(one, room, REFUSED)
        await self.held(bob, room, REFUSED)
        rule.end()
        begun = time.monotonic()
        await alice.do(lambda ref: sealed.Refound(ref, room))
        new = await alice.until(
            lambda: [one.room.id for one in alice.of(inputs.RoomJoined) if one.room.id != room][-1:]
        )
        for one in (bob, carol):
            await one.until(lambda one=one: one.of(inputs_sealed.Invited))  # type: ignore[misc]
            await one.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await one.in_room(new[0])
        await alice.say(new[0], "here we are again")
        for one in (bob, carol):
            await one.hears(new[0], "here we are again")
        assert time.monotonic() - begun < 60
        assert alice.label(room) == "E2E!"

    @awaited
    async def test_a_replayed_commit_holds_for_whom_it_was_replayed(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        await bob.again()
        await self.commit(alice, room)
        await self.settled(room, alice, bob)
        last = [event for event in lie.events if event.kind == "commit"][-1]
        lie.insert(last)
        await self.held(bob, room, REFUSED)
        await bob.again()
        await self.held(bob, room, REFUSED)
        assert alice.label(room) == "E2E"

    @awaited
    async def test_the_server_adds_nobody_and_does_not_remove_the_last_administrator(self) -> None:
        room, (alice, bob) = await self.gather("alice", "bob")
        lie = FalseLog(self.malice, room, "alice", "bob")
        for one in (alice, bob):
            await one.again()
        state = alice.link.sealed.store.room(room)
        context = state.group.context
        package = bob.link.sealed.packages.make().package
        framed = FramedContent(
            context.group_id, context.epoch, SERVER, b"", ProposalContent(Add(package))
        )
        content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"")
        data = labelled(b"MLS 1.0 FramedContentTBS", content.to_be_signed(None))
        signed = changed(content, signature=self.malice.identity.sign(data))
        lie.insert(forged("proposal", encode_message(PublicMessage(signed, None))))
        for because in Because:
            said = encode_reasons(Removal(because, NO_HEAD))
            lie.insert(
                forged(
                    "proposal",
                    propose_removal(context, state.group.leaf, said, self.malice.identity),
                )
            )
        await alice.pause(1.0)
        await alice.say(room, "still the two of us")
        await bob.hears(room, "still the two of us")
        for one in (alice, bob):
            now = one.link.sealed.store.room(room)
            assert len(now.members) == 2
            assert one.label(room) == "E2E"

    @awaited
    async def test_nobody_comes_third_into_a_conversation_of_two(self) -> None:
        room, (alice, _) = await self.talk("alice", "bob")
        mallory = self.client("mallory")
        from lairchat.features.accounts import messages as accounts

        invite = await alice.link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
        await mallory.register(invite.code)
        package = mallory.link.sealed.packages.make().package
        await alice.link.sealed.directory.person("mallory")
        with pytest.raises(refusals.GroupRefused):
            await alice.link.sealed.adding.add(room, [package])
        assert len(alice.link.sealed.store.room(room).members) == 2
        await alice.say(room, "just us")


class Devices(DeceivedTest):
    """Devices that were revoked, and identities that were begun anew."""

    @awaited
    async def test_a_revoked_device_is_put_out_of_all_rooms_by_others(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        found = []
        for name in ("attic", "cellar", "garden"):
            room = await alice.create(name)
            await self.invite(alice, room, bob)
            await self.invite(alice, room, carol)
            found.append(room)
        second = self.client("bob", "-second")
        await second.log_in()
        await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
        words = Secret(" ".join(bob.words))
        await second.do(lambda ref: sealed.LinkByWords(ref, words))
        for room in found:
            await second.in_room(room)
            await self.settled(room, alice, bob, carol, second)
        await second.leave()
        gone = next(one.id for one in bob.link.sealed.device.listed() if not one.here)

        def refuse(_: Connection, __: Asked) -> None:
            raise refusals.RateLimited(retry_after=60.0)

        self.malice.on_request(delivery.COMMIT, refuse, "bob")
        await bob.do(lambda ref: sealed.RevokeDevice(ref, gone, True))
        await bob.leave()
        device = bytes.fromhex(gone)

        def out() -> bool:
            return all(
                device not in {one.device for one in each.link.sealed.store.room(room).members}
                for room in found
                for each in (alice, carol)
            )

        await self.eventually(out, "the device to be out")
        for room in found:
            await alice.say(room, "it is gone")
            await carol.hears(room, "it is gone")
            assert alice.label(room) == "E2E"

    @awaited
    async def test_who_begins_anew_freezes_no_room_and_stays_outside(self) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")
        direct = await alice.direct("bob")
        await alice.say(direct, "hello")
        await bob.hears(direct, "hello")
        await self.settled(direct, alice, bob)
        await bob.leave()
        fresh = self.client("bob", "-fresh")
        await fresh.log_in()
        await fresh.until(lambda: fresh.of(inputs_sealed.DeviceUnlinked))
        self.age_identities()
        await fresh.do(lambda ref: sealed.BeginAnew(ref))
        await self.held(alice, direct, "the identity of bob has changed")
        await self.noticed(alice, "identity of bob")
        assert alice.label(room) == "E2E"
        await alice.say(room, "we go on")
        await carol.hears(room, "we go on")
        await fresh.pause(1.0)
        assert fresh.link.sealed.store.room(room) is None
        assert "we go on" not in fresh.texts(room)
        assert "hello" not in fresh.texts(direct)

    def age_identities(self) -> None:
        """Have all identities begun long ago: another is begun once a day at most."""
        (file,) = self.server.data.glob("*.db")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE account_logs SET started_at = 0")
