"""Encrypted conversations as people have them: the real client's link and store, and a real daemon."""

import pytest

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.secret import Secret
from tests.blackbox.daemon import awaited
from tests.blackbox.private import Client, PrivateTest

pytestmark = pytest.mark.blackbox


class Private(PrivateTest):
    """Two or three people, each with a device or more."""

    @awaited
    async def test_the_first_message_to_somebody_is_encrypted_at_once(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            assert len(alice.words) == 12
            room = await alice.direct("bob")
            await alice.say(room, "hello bob, this is private")
            await bob.in_room(room)
            heard = await bob.hears(room, "hello bob, this is private")
            assert heard.sender == "alice"
            assert alice.label(room) == bob.label(room) == "E2E"
            await bob.say(room, "hello alice")
            await alice.hears(room, "hello alice")
        finally:
            await self.everybody_leaves()
        for path in self.server.data.rglob("*"):
            if path.is_file():
                assert b"this is private" not in path.read_bytes(), path

    @awaited
    async def test_what_was_said_is_there_after_a_restart(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "one")
            await bob.hears(room, "one")
            await bob.again()
            await alice.say(room, "two")
            await bob.hears(room, "two")
            bob.perform(effects.FetchHistory(room))
            page = await bob.until(lambda: bob.of(inputs.HistoryPage))
            assert [one.text for one in page[-1].messages if one.kind == "text"] == ["one", "two"]
            await bob.say(room, "three")
            await alice.hears(room, "three")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_private_room_and_an_invitation_that_is_accepted(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        try:
            room = await alice.create("attic")
            await alice.say(room, "only me so far")
            await alice.do(lambda ref: effects.InviteUser(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs_sealed.Invited))
            await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
            await bob.in_room(room)
            await alice.say(room, "welcome, bob")
            await bob.hears(room, "welcome, bob")
            assert bob.texts(room) == ["welcome, bob"]
            await bob.until(lambda: bob.link.sealed.title(room) == "attic")
            await bob.say(room, "thanks")
            await alice.hears(room, "thanks")
            members = await bob.do(lambda ref: effects.ListMembers(ref, room))
            assert isinstance(members, inputs.MembersListed)
            assert [(one.name, one.role) for one in members.members] == [
                ("alice", "admin"),
                ("bob", "member"),
            ]
            # Carol was not asked, and hears nothing; Bob goes, and hears nothing more.
            await alice.do(lambda ref: effects.Kick(ref, room, "bob"))
            await bob.until(lambda: bob.of(inputs.RoomLeft))
            await alice.say(room, "bob is gone")
            assert "bob is gone" not in bob.texts(room)
            assert not carol.of(inputs_sealed.Invited)
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_code_lets_a_friend_in(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.create("attic")
            made = await alice.do(lambda ref: sealed.MakeCode(ref, room, 1))
            assert isinstance(made, inputs_sealed.CodeMade)
            await bob.do(lambda ref: sealed.JoinByCode(ref, made.code))
            await bob.in_room(room)
            await alice.say(room, "by a code")
            await bob.hears(room, "by a code")
            await bob.until(lambda: bob.link.sealed.title(room) == "attic")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_second_device_by_the_words(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "before the second device")
            await bob.hears(room, "before the second device")
            second = self.client("bob", "-second")
            await second.log_in()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            assert second.label(room) == "E2E?"
            words = Secret(" ".join(bob.words))
            await second.do(lambda ref: sealed.LinkByWords(ref, words))
            await second.in_room(room)
            await alice.say(room, "to both devices")
            await second.hears(room, "to both devices")
            await bob.hears(room, "to both devices")
            await second.say(room, "from the second")
            await alice.hears(room, "from the second")
            await bob.hears(room, "from the second")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_second_device_by_comparing_codes(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "first")
            second = self.client("bob", "-second")
            await second.log_in()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            await second.do(lambda ref: sealed.LinkDevice(ref))
            asked = await bob.until(lambda: bob.of(inputs_sealed.ComparisonAsked))
            assert asked[0].link
            bob.perform(sealed.AnswerComparison(asked[0].number, True))

            def code(one: Client) -> inputs_sealed.Comparing | None:
                return next((c for c in one.of(inputs_sealed.Comparing) if c.words), None)

            mine, theirs = (
                await bob.until(lambda: code(bob)),
                await second.until(lambda: code(second)),
            )
            assert (mine.words, mine.numbers) == (theirs.words, theirs.numbers)
            bob.perform(sealed.Verdict(mine.number, True))
            second.perform(sealed.Verdict(theirs.number, True))
            await second.until(lambda: second.of(inputs_sealed.DeviceLinked))
            await second.in_room(room)
            await alice.say(room, "to the second too")
            await second.hears(room, "to the second too")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_two_people_verify_each_other(self) -> None:
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello")
            await bob.hears(room, "hello")
            await alice.do(lambda ref: sealed.VerifyPerson(ref, "bob"))
            asked = await bob.until(lambda: bob.of(inputs_sealed.ComparisonAsked))
            bob.perform(sealed.AnswerComparison(asked[0].number, True))

            def code(one: Client) -> inputs_sealed.Comparing | None:
                return next((c for c in one.of(inputs_sealed.Comparing) if c.words), None)

            mine, theirs = (
                await alice.until(lambda: code(alice)),
                await bob.until(lambda: code(bob)),
            )
            assert (mine.words, mine.numbers) == (theirs.words, theirs.numbers)
            alice.perform(sealed.Verdict(mine.number, True))
            bob.perform(sealed.Verdict(theirs.number, True))
            await alice.until(lambda: alice.of(inputs_sealed.ComparisonEnded))
            await bob.until(lambda: bob.of(inputs_sealed.ComparisonEnded))
            assert alice.label(room) == bob.label(room) == "E2E+"
            shown = await alice.do(lambda ref: sealed.ShowIdentity(ref, "bob"))
            other = await bob.do(lambda ref: sealed.ShowIdentity(ref, "alice"))
            assert isinstance(shown, inputs_sealed.IdentityShown)
            assert isinstance(other, inputs_sealed.IdentityShown)
            assert shown.number == other.number
            assert shown.sureness == "compared"
            assert len(shown.qr) == 33
        finally:
            await self.everybody_leaves()
