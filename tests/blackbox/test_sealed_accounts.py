"""Devices, accounts and partners of the real client, where a server lies about them or their log."""

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.cli import wall_clock
from lairchat.client.secret import Secret
from lairchat.features.accounts import messages as accounts
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.key_packages import messages as keys
from lairchat.model import faults, refusals
from lairchat.trust.entry import ENTRIES, StoredLog
from tests.blackbox.daemon import awaited
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client
from tests.blackbox.sealed_lies import SealedLiesTest

pytestmark = pytest.mark.blackbox


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
            await alice.say(room, "there you are")
            await bob.hears(room, "there you are")
            assert bob.link.sealed.opened.rooms() == [room]
            assert bob.texts(room) == ["there you are"]
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
            assert alice.texts(room) == bob.texts(room) == ["hello bob", "hello alice"]
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
