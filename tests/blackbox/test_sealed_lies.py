"""A server that lies to the real client, link and store: what it cannot make that client say, or believe."""

import os
from typing import Any

import pytest
from msgspec.structs import replace

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.secret import Secret
from lairchat.e2ee.following import Followed
from lairchat.e2ee.room import entered
from lairchat.features.delivery import messages as delivery
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.features.rooms import messages as rooms
from lairchat.mls.group import Group
from lairchat.trust.policy import context_extensions, private_policy
from lairchat.wire.contract import Nothing
from tests.blackbox.daemon import awaited
from tests.blackbox.false_witness import false_room
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client
from tests.blackbox.sealed_lies import SealedLiesTest

pytestmark = pytest.mark.blackbox


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
            # Neither was the room in whose place it came given the name.
            await alice.until(lambda: alice.link.sealed.title(work) != f"room-{work}")
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
            # Nothing of before: who comes later has no keys of it.
            assert carol.texts(room) == ["welcome, carol"]
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


def test_no_secret_is_in_what_is_said_of_an_input() -> None:
    said = [
        repr(inputs_sealed.RecoveryWords(("diet", "enjoy"))),
        repr(inputs_sealed.CodeMade("C0DE", "It lets in 1 person.", 3)),
        repr(sealed.JoinByCode(4, "C0DE")),
    ]
    assert not [one for one in said if "diet" in one or "C0DE" in one]
