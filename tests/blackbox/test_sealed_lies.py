"""A server that lies to the real client, link and store: what it cannot make that client say, or believe."""

import os
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.cli import wall_clock
from lairchat.client.sealed import commits, following
from lairchat.client.secret import Secret
from lairchat.e2ee.following import Followed
from lairchat.e2ee.room import entered
from lairchat.features.accounts import messages as accounts
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.mls.group import Group
from lairchat.model import faults, refusals
from lairchat.trust.entry import ENTRIES, StoredLog
from lairchat.trust.policy import context_extensions, private_policy
from lairchat.wire.contract import Command, Nothing
from tests.blackbox.daemon import awaited
from tests.blackbox.false_witness import false_room
from tests.blackbox.malice import Asked, Malice
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client, PrivateTest

pytestmark = pytest.mark.blackbox

SECRET = "meet me at the old mill"


class SealedLiesTest(PrivateTest):
    """People whose connections lead through a server that lies."""

    timeout = 60

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)
        self.clear: list[bytes] = []
        self.malice.on_request(wire.SEND, self._sent)

    def _sent(self, _: Connection, asked: Asked) -> Any:
        self.clear.append(bytes(asked.args.body))
        return asked.args

    def client(self, name: str, device: str = "") -> Client:
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    def retell(self, change: Any, *whose: str) -> None:
        """Say something else of rooms, wherever the server says anything of them."""

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            return replace(reply, rooms=[change(info) for info in reply.rooms])

        self.malice.on_reply(rooms.MINE, listed, *whose)
        self.malice.on_event(
            "room.joined", lambda _, body: replace(body, room=change(body.room)), *whose
        )

    def answer(self, command: Command[Any, Any], change: Any, *whose: str) -> None:
        """Say something else of a room in answer to a command."""
        self.malice.on_reply(command, lambda _, __, reply: change(reply), *whose)

    def said_in_clear(self, *whose: Client) -> bool:
        files = [
            path.read_bytes() for one in whose for path in one.root.rglob("*") if path.is_file()
        ]
        return any(SECRET.encode() in one for one in [*self.clear, *files])

    async def type(self, one: Client, room: int) -> inputs.Input:
        """Type the secret in a room, and return what is said of that."""
        ticket = one.ref() + 1_000
        one.perform(effects.Send(ticket, room, SECRET))
        await one.pause(0.5)
        return next(
            (told for told in one.heard if getattr(told, "ticket", 0) == ticket), inputs.Tick(0)
        )


class Names(SealedLiesTest):
    """Who a conversation is with is the group's to say."""

    @awaited
    async def test_two_conversations_do_not_change_places(self) -> None:
        alice, _, _ = await self.people("alice", "bob", "mallory")
        try:
            real = await alice.direct("bob")
            false = await alice.direct("mallory")
            await alice.say(real, "hello bob")
            await alice.say(false, "hello mallory")
            names = {real: "mallory", false: "bob"}
            self.retell(lambda info: replace(info, name=names.get(info.room, info.name)), "alice")
            await alice.again()
            shown = {one.id: one.name for one in alice.of(inputs.RoomsSynced)[-1].rooms}
            assert (shown[real], shown[false]) == ("bob", "mallory")
            found = alice.link.rooms.by_name("@bob")
            assert found is not None
            assert found.room == real
            again = await alice.direct("bob")
            assert again == real
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_room_is_not_made_the_conversation_with_somebody(self) -> None:
        (alice,) = await self.people("alice")
        try:
            room = await alice.create("attic")
            await alice.until(lambda: alice.link.sealed.title(room) == "attic")

            def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
                return replace(info, kind="direct", name="bob") if info.room == room else info

            self.retell(lie, "alice")
            await alice.again()
            shown = {one.id: one for one in alice.of(inputs.RoomsSynced)[-1].rooms}[room]
            assert (shown.name, shown.direct) == ("attic", False)
            assert alice.link.rooms.by_name("@bob") is None
            found = alice.link.rooms.by_name("#attic")
            assert found is not None
            assert found.room == room
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_new_room_is_none_that_there_was(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            work = await alice.create("work")
            old = alice.link.rooms.infos[work]
            self.answer(rooms.CREATE, lambda _: old, "alice")
            ref = alice.ref()
            alice.perform(effects.Create(ref, "attic", "private"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
            assert alice.link.sealed.title(work) == "work"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_conversation_that_is_asked_for_is_with_that_person(self) -> None:
        alice, _, _ = await self.people("alice", "bob", "mallory")
        try:
            false = await alice.direct("mallory")
            await alice.say(false, "hello mallory")
            info = alice.link.rooms.infos[false]
            self.answer(rooms.DIRECT, lambda _: replace(info, name="bob"), "alice")
            ref = alice.ref()
            alice.perform(effects.OpenDirect(ref, "bob"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
        finally:
            await self.everybody_leaves()


class Clear(SealedLiesTest):
    """Nothing that is typed for an encrypted room leaves in the clear."""

    def plainly(self, *rooms_: int) -> None:
        """Say of rooms that they are public, and never were anything else."""

        def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
            if info.room not in rooms_:
                return info
            return replace(
                info, crypto="plain", access="public", kind="room", name="bob", role="member"
            )

        self.retell(lie, "alice")

    @awaited
    async def test_not_while_the_store_is_locked(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            alice.keyring = type(alice.keyring)()
            self.plainly(room)
            await alice.again()
            assert alice.link.sealed.store is None
            shown = {one.id: one for one in alice.of(inputs.RoomsSynced)[-1].rooms}[room]
            assert shown.label == "E2E?"
            told = await self.type(alice, room)
            assert isinstance(told, inputs.SendRefused), told
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice)

    @awaited
    async def test_not_into_a_room_that_was_only_listed_as_encrypted(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            # A device that has never been in the room: none of the account's yet.
            second = self.client("alice", "-second")
            await second.log_in()
            assert second.link.rooms.infos[room].crypto == "mls"
            self.plainly(room)
            await second.again()
            await self.type(second, room)
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice, second)

    @awaited
    async def test_not_into_a_conversation_that_was_to_be_encrypted(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            self.plainly(*range(100))
            self.answer(rooms.DIRECT, lambda info: replace(info, crypto="plain"), "alice")
            ref = alice.ref()
            alice.perform(effects.OpenDirect(ref, "bob"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_not_into_a_conversation_or_private_room_that_is_said_to_be_plain(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            lobby = next(iter(alice.link.rooms.infos))

            def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
                return replace(info, kind="direct", access="private", name="bob")

            self.retell(lie, "alice")
            await alice.again()
            told = await self.type(alice, lobby)
            assert isinstance(told, inputs.SendRefused), told
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice)


class Strangers(SealedLiesTest):
    """Nobody comes into a room whom no member wants there, and nobody is led into one."""

    @awaited
    async def test_nobody_is_let_in_whom_nobody_has_invited(self) -> None:
        alice, bob, mallory = await self.people("alice", "bob", "mallory")
        try:
            room = await alice.create("attic")
            await alice.say(room, "only us")
            stranger = mallory.link.sealed.require_own().identity.account
            user = mallory.link.sealed.session.user
            claimed: list[int] = []

            def lie(_: Connection, __: Asked, reply: joining.Joiners) -> joining.Joiners:
                false = joining.Joiner(user=user, name="mallory", account=stranger, by="alice")
                return replace(reply, people=[*reply.people, false])

            def claim(_: Connection, asked: Asked) -> Any:
                claimed.append(asked.args.user)
                return asked.args

            self.malice.on_reply(joining.JOINERS, lie, "alice", "bob")
            self.malice.on_request(keys.CLAIM, claim)
            await alice.do(lambda ref: effects.InviteUser(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs_sealed.Invited))
            await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await bob.in_room(room)
            await alice.again()
            await alice.say(room, "still only us")
            await bob.hears(room, "still only us")
            assert user not in claimed
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_another_member_lets_in_whom_one_has_invited(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        try:
            room = await alice.create("attic")
            await alice.do(lambda ref: effects.InviteUser(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs_sealed.Invited))
            await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await bob.in_room(room)
            await alice.do(lambda ref: effects.SetRole(ref, room, "bob", "moderator"))
            await alice.do(lambda ref: effects.InviteUser(ref, room, "carol"))
            await carol.until(lambda: carol.of(inputs_sealed.Invited))
            await alice.say(room, "I am off")
            await bob.hears(room, "I am off")
            await alice.leave()
            await carol.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await carol.in_room(room)
            await bob.say(room, "welcome, carol")
            await carol.hears(room, "welcome, carol")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_an_invitation_is_accepted_for_all_devices(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            second = self.client("bob", "-second")
            await second.log_in()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            words = Secret(" ".join(bob.words))
            await second.do(lambda ref: sealed.LinkByWords(ref, words))
            await second.pause(1.0)
            room = await alice.create("attic")
            await alice.do(lambda ref: effects.InviteUser(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs_sealed.Invited))
            await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await bob.in_room(room)
            await second.in_room(room)
            assert not [one for one in second.of(inputs.Notice) if one.code]
            await alice.say(room, "hello both")
            await second.hears(room, "hello both")
            await bob.hears(room, "hello both")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_nobody_comes_into_a_room_that_was_made_for_them(self) -> None:
        alice, mallory = await self.people("alice", "mallory")
        try:
            await self.trap(mallory, 999, alice)
            made = self.commits("alice")
            await alice.again()
            await alice.pause(2.0)
            assert 999 in alice.link.rooms.infos
            assert not made
            assert alice.label(999) == "E2E?"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_nor_if_the_key_package_of_who_invites_is_in_it(self) -> None:
        alice, bob, mallory = await self.people("alice", "bob", "mallory")
        try:
            await self.trap(mallory, 999, alice, bob)
            made = self.commits("alice")
            asked = joining.Invitations([joining.Invitation(999, "bob", alice.link.server_now())])
            self.malice.on_request(joining.INVITATIONS, lambda _, __: asked, "alice")
            self.malice.on_request(joining.ACCEPT, lambda _, __: Nothing(), "alice")
            await alice.do(lambda ref: sealed.AcceptInvite(ref, "bob"))
            await alice.again()
            await alice.pause(2.0)
            assert not made
            assert alice.label(999) == "E2E?"
        finally:
            await self.everybody_leaves()

    def commits(self, *whose: str) -> list[int]:
        """Return the rooms into which somebody commits from now on."""
        found: list[int] = []

        def commit(_: Connection, asked: Asked) -> Any:
            found.append(asked.args.room)
            return asked.args

        self.malice.on_request(delivery.COMMIT, commit, *whose)
        return found

    async def trap(self, mallory: Client, room: int, alice: Client, *others: Client) -> None:
        """Make a group of a stranger's with key packages of others in it; to one it is a room."""
        theirs = mallory.link.sealed
        added = []
        for one in (alice, *others):
            log = await theirs.directory.read(one.link.sealed.require_own().identity.account)
            assert log is not None
            devices = [device.body.id for device in log.in_force]
            added += await theirs.adding.claim(one.link.sealed.session.user, log, devices)
        policy = private_policy([theirs.require_own().identity.account])
        group = Group.create(
            theirs.packages.make(),
            os.urandom(16),
            context_extensions(policy, theirs.server_key),
            os.urandom,
        )
        logs = theirs.opened.people.logs
        state = entered(room, theirs.server_key, group, Followed.begin(room), logs)
        pending = state.commit(logs, os.urandom, add=added).pending
        assert pending is not None
        false_room(self.malice, room, pending.group.public, "alice")
        told = delivery.GroupInformation(pending.group.context.epoch, pending.info)

        def information(_: Connection, asked: Asked) -> Any:
            return told if asked.args.room == room else asked.args

        self.malice.on_request(delivery.INFO, information, "alice")
        lobby = next(iter(alice.link.rooms.infos.values()))
        info = replace(lobby, room=room, name="", access="private", crypto="mls", head=0)

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            return replace(reply, rooms=[*reply.rooms, info])

        self.malice.on_reply(rooms.MINE, listed, "alice")


class Silence(SealedLiesTest):
    """Nothing waits for ever without saying so, and nothing is asked without end."""

    @awaited
    async def test_a_change_that_is_taken_and_never_shown(self) -> None:
        self.patch(commits, "ECHO_SECONDS", 0.5)
        (alice,) = await self.people("alice")
        try:
            room = await alice.create("attic")
            await alice.until(lambda: alice.link.sealed.title(room) == "attic")
            await alice.pause(3.0)  # until its first keys are renewed
            head = alice.link.rooms.heads[room]

            def known(_: Connection, __: Asked, page: wire.Page) -> wire.Page:
                return replace(page, events=[one for one in page.events if one.seq <= head])

            rules = [
                self.malice.on_event(wire.MESSAGE.name, lambda _, __: None, "alice"),
                self.malice.on_reply(wire.HISTORY, known, "alice"),
            ]
            changing = alice.link.sealed.commits.change(room, lambda _: {})
            with self.assertRaises(refusals.EpochStale):
                await changing
            assert alice.label(room) == "E2E?"
            assert "does not say" in alice.link.sealed.labels.of(room)[1]
            for rule in rules:
                rule.end()
            await alice.until(lambda: alice.label(room) == "E2E")
            await alice.say(room, "and on it goes")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_server_that_says_for_ever_that_keys_have_changed(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await alice.pause(1.0)
            asked: list[bytes] = []

            def stale(_: Connection, one: Asked) -> Any:
                asked.append(one.args.body)
                return refusals.EpochStale(epoch=9)

            rule = self.malice.on_request(wire.SEND, stale, "alice")
            alice.perform(effects.Send(2_000, room, "are you there?"))
            told = await alice.until(lambda: alice.of(inputs.SendRefused))
            assert told[0].retry_after == 2.0
            many = len(asked)
            assert many <= 8
            await alice.pause(1.5)
            assert len(asked) == many
            rule.end()
            await alice.until(
                lambda: [one for one in alice.of(inputs.SendAcknowledged) if one.ticket == 2_000]
            )
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_server_that_speaks_of_more_than_it_gives(self) -> None:
        self.patch(following, "GIVEN_SECONDS", 1.0)
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await alice.pause(1.0)

            def ahead(_: Connection, __: Asked, state: delivery.GroupState) -> Any:
                return replace(state, seq=state.seq + 5)

            rules = [
                self.malice.on_reply(delivery.STATE, ahead, "alice"),
                self.malice.on_request(
                    wire.SEND, lambda _, __: refusals.EpochStale(epoch=9), "alice"
                ),
            ]
            alice.perform(effects.Send(2_000, room, "are you there?"))
            await alice.until(lambda: "does not give" in alice.link.sealed.labels.of(room)[1])
            assert alice.label(room) == "E2E?"
            for rule in rules:
                rule.end()
            await alice.until(
                lambda: [one for one in alice.of(inputs.SendAcknowledged) if one.ticket == 2_000]
            )
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_commits_that_are_refused_for_ever_are_made_ever_more_rarely(self) -> None:
        (alice,) = await self.people("alice")
        try:
            made: list[float] = []

            def refuse(_: Connection, __: Asked) -> Any:
                made.append(reactor.seconds())
                return refusals.GroupRemoves(count=1)

            self.malice.on_request(delivery.COMMIT, refuse, "alice")
            await alice.create("attic")
            await alice.pause(12.0)
            # Bursts of tries, and a longer rest after each.
            rests = [b - a for a, b in pairwise(made) if b - a > 1.0]
            assert len(rests) >= 2, rests
            assert rests[1] > 1.5 * rests[0]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_log_with_a_hole_is_said_on_the_lock(self) -> None:
        self.patch(following, "RETRY_SECONDS", 0.2)
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await bob.hears(room, "hello bob")
            hole = bob.link.rooms.heads[room] + 1

            def without(_: Connection, __: Asked, page: wire.Page) -> wire.Page:
                return replace(page, events=[one for one in page.events if one.seq != hole])

            def unseen(_: Connection, event: wire.LogEvent) -> Any:
                return None if (event.room, event.seq) == (room, hole) else event

            rules = [
                self.malice.on_event(wire.MESSAGE.name, unseen, "bob"),
                self.malice.on_reply(wire.HISTORY, without, "bob"),
            ]
            await alice.say(room, "one")
            await alice.say(room, "two")
            await bob.until(lambda: "does not give" in bob.link.sealed.labels.of(room)[1])
            assert bob.label(room) == "E2E?"
            assert not bob.texts(room)[1:]
            for rule in rules:
                rule.end()
            await bob.hears(room, "two")
            assert bob.texts(room) == ["hello bob", "one", "two"]
            assert bob.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_what_was_to_be_done_soon_is_done_after_a_lost_connection(self) -> None:
        self.patch(commits, "SOON_SECONDS", 6.0)
        alice, bob, carol = await self.people("alice", "bob", "carol")
        try:
            room = await alice.create("attic")
            for one in (bob, carol):
                await alice.do(lambda ref, one=one: effects.InviteUser(ref, room, one.name))
                await one.until(lambda one=one: one.of(inputs_sealed.Invited))
                await one.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
                await one.in_room(room)
            store = carol.link.sealed.opened
            state = store.room(room)
            assert state is not None
            assert not state.renewed_at
            self.malice.client("carol").cut()
            await carol.until(lambda: carol.of(inputs.CaughtUp))
            for _ in range(80):
                state = store.room(room)
                assert state is not None
                if state.renewed_at:
                    return
                await carol.pause(0.1)
            raise AssertionError("its keys were never renewed")
        finally:
            await self.everybody_leaves()


class Devices(SealedLiesTest):
    """A device that was none of the account's becomes one, whatever came before."""

    async def second(self, bob: Client) -> Client:
        """Return another device of somebody, which is none of the account's yet."""
        second = self.client("bob", "-second")
        await second.log_in()
        await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
        assert bob.words
        return second

    @awaited
    async def test_words_link_for_good_a_device_that_was_to_be_linked_by_codes(self) -> None:
        _, bob = await self.people("alice", "bob")
        try:
            second = await self.second(bob)
            await second.do(lambda ref: sealed.LinkDevice(ref))
            (one,) = second.of(inputs_sealed.Comparing)
            second.perform(sealed.CancelComparison(one.number))
            await second.until(lambda: second.of(inputs_sealed.ComparisonEnded))
            words = Secret(" ".join(bob.words))
            await second.do(lambda ref: sealed.LinkByWords(ref, words))
            await second.again()
            assert second.link.sealed.ready
            assert not second.of(inputs_sealed.DeviceUnlinked)
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_device_that_was_revoked_is_linked_anew(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "one")
            second = await self.second(bob)
            words = " ".join(bob.words)
            await second.do(lambda ref: sealed.LinkByWords(ref, Secret(words)))
            await second.in_room(room)
            before = second.link.sealed.require_own().identity
            await bob.do(lambda ref: sealed.RevokeDevice(ref, before.device.hex(), True))
            second.heard.clear()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            assert second.label(room) == "E2E?"
            await second.do(lambda ref: sealed.LinkByWords(ref, Secret(words)))
            assert second.link.sealed.require_own().identity != before
            await second.in_room(room)
            await alice.say(room, "two")
            await second.hears(room, "two")
            await second.say(room, "three")
            await alice.hears(room, "three")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_words_of_an_identity_that_came_too_late_are_not_shown(self) -> None:
        (alice,) = await self.people("alice")
        try:
            rule = self.malice.on_request(
                identities.PUBLISH, lambda _, __: refusals.IdentitySoon(retry_after=9_000.0), "bob"
            )
            invite = await alice.link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
            bob = self.client("bob")
            await bob.register(invite.code)
            assert not bob.words
            rule.end()
            # Another device of the account has begun its identity meanwhile.
            other = self.client("bob", "-other")
            await other.log_in()
            assert other.words
            await bob.again()
            assert not bob.words
            assert bob.of(inputs_sealed.DeviceUnlinked)
            await bob.do(lambda ref: sealed.LinkByWords(ref, Secret(" ".join(other.words))))
            assert bob.link.sealed.ready
        finally:
            await self.everybody_leaves()


class Accounts(SealedLiesTest):
    """One program, one account after another: what is one's is locked before the other comes."""

    async def log_out(self, one: Client, name: str) -> None:
        """Log out, and in again as somebody."""
        one.name, one.password = name, f"password of {name}"
        one.heard.clear()
        one.perform(effects.Logout(one.ref()))
        await one.until(lambda: one.of(inputs.LoggedOut))
        assert one.link.sealed.store is None
        await one.until(lambda: one.of(inputs.RoomsSynced))

    @awaited
    async def test_logging_out_locks_the_store_and_the_password_opens_it(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "one")
            await self.log_out(alice, "alice")
            assert alice.of(inputs_sealed.StoreOpened)
            assert alice.link.sealed.ready
            await bob.say(room, "two")
            await alice.hears(room, "two")
            lines = alice.link.sealed.lines(room, limit=9)
            assert [one.text for one in lines.messages if one.kind == "text"] == ["one", "two"]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_nothing_of_one_account_is_anothers(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.create("attic")
            await alice.until(lambda: alice.link.sealed.title(room) == "attic")
            before = alice.link.sealed
            late = before.later
            turn = Deferred.fromCoroutine(before.pause(1.0))
            await bob.leave()
            await self.log_out(alice, "bob")
            after = alice.link.sealed
            assert after is not before
            assert before.store is None
            assert alice.link.rooms.name == "bob"
            # What the other account's rooms still wanted to do has ended with it.
            late(0.0, self.fail, "this was another account's")
            with self.assertRaises(faults.NetLost):
                await turn
            with self.assertRaises(faults.NetLost):
                await before.ask(delivery.STATE, delivery.AskGroup(room))
            assert room not in after.opened.was_encrypted()
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_password_that_was_changed_elsewhere_opens_the_store_in_the_end(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            second = self.client("alice", "-second")
            await second.log_in()
            old, new = alice.password, "another password of alice"
            second.password = new
            await alice.do(lambda ref: effects.ChangePassword(ref, Secret(old), Secret(new)))
            second.heard.clear()
            await second.until(lambda: second.of(inputs_sealed.StoreLocked))
            second.perform(sealed.Unlock(Secret(old)))
            await second.until(lambda: second.of(inputs_sealed.StoreOpened))
            for one in (alice, second):
                one.keyring = type(one.keyring)()
                await one.again()
                assert one.link.sealed.store is None
                one.perform(sealed.Unlock(Secret(new)))
                await one.until(lambda one=one: one.of(inputs_sealed.StoreOpened))
        finally:
            await self.everybody_leaves()


class Partners(SealedLiesTest):
    """The other one in a conversation."""

    @awaited
    async def test_a_conversation_that_was_founded_and_no_more_goes_on_by_itself(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            rule = self.malice.on_request(keys.CLAIM, lambda _, __: None, "alice")
            alice.perform(effects.OpenDirect(alice.ref(), "bob"))
            store = alice.link.sealed.opened
            while not store.rooms():
                await alice.pause(0.05)
            (room,) = store.rooms()
            await alice.leave()
            rule.end()
            await alice.again()
            await alice.until(lambda: alice.label(room) == "E2E")
            await bob.in_room(room)
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_another_identity_under_a_name_is_said(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        try:
            room = await alice.create("attic")
            await alice.do(lambda ref: effects.InviteUser(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs_sealed.Invited))
            await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await bob.in_room(room)
            await alice.until(lambda: alice.link.sealed.directory.pin("bob"))
            false = carol.link.sealed.device.account_log
            alice.link.sealed.directory.sighted("bob", false.account)
            (told,) = [one for one in alice.of(inputs.Notice) if "identity" in one.text]
            assert "/verify bob" in told.text
            # Nobody verified bob: the room goes on, with the one who was there.
            assert alice.label(room) == "E2E"
            alice.link.sealed.directory.sighted("bob", false.account)
            assert len([one for one in alice.of(inputs.Notice) if "identity" in one.text]) == 1
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_clock_that_is_wrong_keeps_nobody_from_talking(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await bob.hears(room, "hello bob")
            late = 10 * 60_000
            bob.link.now = bob.link.sealed.now = lambda: wall_clock() + late
            alice.perform(sealed.Typing(room, True))
            await bob.until(lambda: bob.of(inputs_sealed.SomebodyTypes))
            bob.perform(sealed.Typing(room, True))
            await alice.until(lambda: alice.of(inputs_sealed.SomebodyTypes))
            await bob.say(room, "hello alice")
            await alice.hears(room, "hello alice")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_log_without_end_is_not_read_to_its_end(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            asked: list[int] = []

            def more(_: Connection, one: Asked, part: identities.LogPart) -> identities.LogPart:
                if one.args.after is not None:
                    asked.append(one.args.after)
                    entries = StoredLog.decode(whole).entries
                    return replace(part, data=ENTRIES.write(entries * 4), more=True)
                return replace(part, more=True)

            own = bob.link.sealed.device.account_log.account
            stored = bob.link.sealed.opened.people.stored_log(own)
            assert stored is not None
            whole = stored.encode()
            self.malice.on_reply(identities.READ, more, "alice")
            ref = alice.ref()
            alice.perform(sealed.ShowIdentity(ref, "bob"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
            assert 0 < len(asked) < 200
        finally:
            await self.everybody_leaves()


def test_no_secret_is_in_what_is_said_of_an_input() -> None:
    said = [
        repr(inputs_sealed.RecoveryWords(("diet", "enjoy"))),
        repr(inputs_sealed.CodeMade("C0DE", "It lets in 1 person.", 3)),
        repr(sealed.JoinByCode(4, "C0DE")),
    ]
    assert not [one for one in said if "diet" in one or "C0DE" in one]
