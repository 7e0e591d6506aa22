"""What people see of a server that lies about who is who, about keys and rooms: the real client behind the proxy.

Where the person that is meant may be another one, the room is held; elsewhere that is said, and the
other one stays outside.
"""

import os
from typing import Any

import pytest
from msgspec.structs import replace

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.sealed.report import report
from lairchat.client.secret import Secret
from lairchat.features.accounts import messages as accounts
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.features.rooms import messages as rooms
from lairchat.mls.codec import decode
from lairchat.mls.group import Group
from lairchat.mls.objects import Add, KeyPackage
from lairchat.trust.compose import sign_genesis
from lairchat.trust.log import AccountLog
from lairchat.trust.policy import context_extensions, private_policy
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import MESSAGE, Answer, Purpose, Reveal, Start
from lairchat.trust.verification import Verification
from tests.blackbox.daemon import awaited
from tests.blackbox.deceived import FORKED, DeceivedTest
from tests.blackbox.false_witness import (
    FalseIdentity,
    FalseInbox,
    OldKeyPackages,
    false_room,
    false_tree,
    plain_room,
    roll_back,
)
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client
from tests.features.delivery.world import Person
from tests.trust.people import device

pytestmark = pytest.mark.blackbox


def impostor(name: str, by: str, one: Client) -> Person:
    """Return somebody who has made a well-formed log for another's name."""
    server = one.link.server
    assert server is not None
    person = Person(by, 0, server)
    account = person.account
    account.genesis = sign_genesis(account.root, server, name)
    account.log = AccountLog.begin(account.genesis, server)
    account.say(device(by))
    return person


async def identity(one: Client, name: str) -> inputs_sealed.IdentityShown:
    """Look at somebody's identity."""
    shown = await one.do(lambda ref: sealed.ShowIdentity(ref, name))
    assert isinstance(shown, inputs_sealed.IdentityShown)
    return shown


class People(DeceivedTest):
    """Who somebody is."""

    async def second(self, one: Client) -> Client:
        """Return a second device of somebody, linked by the words."""
        found = self.client(one.name, "-second")
        await found.log_in()
        await found.until(lambda: found.of(inputs_sealed.DeviceUnlinked))
        words = Secret(" ".join(one.words))
        await found.do(lambda ref: sealed.LinkByWords(ref, words))
        return found

    @awaited
    async def test_a_rolled_back_log_holds_until_it_is_whole_again(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        second = await self.second(bob)
        await second.in_room(room)
        assert len((await identity(alice, "bob")).devices) == 2
        lie = await roll_back(self.malice, self.malice.client("alice"), "bob", 2, "alice")
        ref = alice.ref()
        alice.perform(sealed.ShowIdentity(ref, "bob"))
        failed = await alice.until(
            lambda: [one for one in alice.of(inputs.CommandFailed) if one.ref == ref]
        )
        assert "history" in failed[0].text
        await self.held(alice, room, "hides entries of the account of bob")
        lie.rule.end()
        await identity(alice, "bob")
        assert alice.label(room) == "E2E"
        await alice.say(room, "whole again")
        await bob.hears(room, "whole again")

    @awaited
    async def test_a_withheld_revocation_holds_as_soon_as_its_owner_speaks(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        second = await self.second(bob)
        await second.in_room(room)
        position = (await identity(alice, "bob")).devices
        assert len(position) == 2
        # The server keeps the revocation from alice, and its own proposal to put the device out.
        log = alice.link.sealed.directory.logs
        (head,) = [one.head.position for one in log.values() if one.genesis.name == "bob"]
        hushed = self.malice.on_event("identity.changed", lambda *_: None, "alice")
        gone = next(one.id for one in bob.link.sealed.device.listed() if not one.here)
        lie = await self.later_cut(head)
        await bob.do(lambda ref: sealed.RevokeDevice(ref, gone, True))
        await self.held(alice, room, "bob speaks of devices that the server does not show")
        lie.end()
        hushed.end()
        await self.eventually(lambda: alice.label(room) == "E2E", "alice to be free", 40)
        await alice.say(room, "without the lost one")
        await bob.hears(room, "without the lost one")
        assert "without the lost one" not in second.texts(room)

    async def later_cut(self, head: int) -> Any:
        """Hide from alice what follows in bob's log from now on."""

        def cut(_: Connection, asked: Asked, reply: identities.LogPart) -> Any:
            if reply.name.lower() != "bob" or reply.position <= head:
                return reply
            return self.frozen

        self.frozen = await self.malice.client("alice").ask(
            identities.READ, identities.ReadLog(name="bob")
        )
        return self.malice.on_reply(identities.READ, cut, "alice")

    @awaited
    async def test_a_root_swapped_at_first_contact_shows_when_people_compare(self) -> None:
        (alice,) = await self.people("alice")
        fake = impostor("bob", "mallory", alice).account
        FalseIdentity(self.malice, "bob", fake.genesis, fake.entries, "alice")
        bob = self.client("bob")
        invite = await alice.link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
        await bob.register(invite.code)
        room = await alice.direct("bob")
        theirs, mine = await identity(alice, "bob"), await identity(bob, "alice")
        assert theirs.number != mine.number
        assert theirs.qr != mine.qr
        # Nor can bob's number be typed in for the false one.
        ref = alice.ref()
        alice.perform(sealed.MarkCompared(ref, "bob", " ".join(mine.number)))
        failed = await alice.until(
            lambda: [one for one in alice.of(inputs.CommandFailed) if one.ref == ref]
        )
        assert "not the number" in failed[0].text
        # And bob's real device does not come into the conversation with the false one.
        await self.typed_and_waiting(alice, room)

    async def typed_and_waiting(self, one: Client, room: int) -> None:
        one.perform(effects.Send(one.ref() + 1_000, room, "who is there?"))
        await one.pause(1.0)
        assert (one.name, room) not in self.sent
        assert one.label(room) in ("E2E?", "E2E!")

    @awaited
    async def test_a_root_swapped_later_holds_the_conversation_and_is_said_elsewhere(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        attic = await alice.create("attic")
        await self.invite(alice, attic, bob)
        await self.settled(attic, alice, bob)
        fake = impostor("bob", "mallory", alice).account
        lie = FalseIdentity(self.malice, "bob", fake.genesis, fake.entries, "alice")
        shown = await identity(alice, "bob")
        assert shown.changed
        await self.held(alice, room, "the identity of bob has changed")
        # Where bob was never verified the room goes on, with the one who was there before.
        assert alice.label(attic) == "E2E"
        await alice.say(attic, "still with the old one")
        await bob.hears(attic, "still with the old one")
        # The truth alone does not clear it: a person does.
        lie.rule.end()
        await identity(alice, "bob")
        assert alice.label(room) == "E2E!"
        number = " ".join((await identity(bob, "alice")).number)
        await alice.do(lambda ref: sealed.MarkCompared(ref, "bob", number))
        assert alice.label(room) == "E2E+"
        await alice.say(room, "it is you")
        await bob.hears(room, "it is you")

    @awaited
    async def test_a_root_swapped_later_holds_rooms_with_whom_was_verified(self) -> None:
        room, (alice, bob) = await self.gather("alice", "bob")
        number = " ".join((await identity(bob, "alice")).number)
        await identity(alice, "bob")
        await alice.do(lambda ref: sealed.MarkCompared(ref, "bob", number))
        assert alice.label(room) == "E2E+"
        fake = impostor("bob", "mallory", alice).account
        FalseIdentity(self.malice, "bob", fake.genesis, fake.entries, "alice")
        await identity(alice, "bob")
        await self.held(alice, room, "the identity of bob has changed")


class Codes(DeceivedTest):
    """Comparing with words, with the server in between."""

    def between(self, own: bytes, account: bytes) -> None:
        """Answer both in the other's name, with keys of the server's own."""
        self.sides: dict[str, Verification] = {}
        key = device("mallory").key

        def note(client: Connection, asked: Asked) -> Any:
            args: inbox.SendNote = asked.args
            message = decode(MESSAGE, args.body)
            self.steps.append((client.name, type(message).__name__))
            if isinstance(message, Start):
                party = replace_party(message.offer.party, key)
                forged_nonce = SecretBytes(os.urandom(32))
                step, start = Verification.begin(
                    Purpose.PERSON, party, message.offer.session, forged_nonce
                )
                self.to_bob = step
                self.start = message
                return replace(args, body=MESSAGE.write(start))
            if isinstance(message, Answer):
                self.to_bob, self.reveal = self.to_bob.receive(message)
                party = replace_party(message.party, key)
                nonce = SecretBytes(os.urandom(32))
                self.to_alice, answer = Verification.join(Purpose.PERSON, party, self.start, nonce)
                return replace(args, body=MESSAGE.write(answer))
            if isinstance(message, Reveal):
                self.to_alice, _ = self.to_alice.receive(message)
                assert self.reveal is not None
                return replace(args, body=MESSAGE.write(self.reveal))
            return args

        self.steps: list[tuple[str, str]] = []
        self.malice.on_request(inbox.SEND, note)

    @awaited
    async def test_a_server_in_between_is_seen_by_the_words(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        self.between(b"", b"")
        await alice.do(lambda ref: sealed.VerifyPerson(ref, "bob"))
        asked = await bob.until(lambda: bob.of(inputs_sealed.ComparisonAsked))
        bob.perform(sealed.AnswerComparison(asked[0].number, True))

        def code(one: Client) -> Any:
            return next((c for c in one.of(inputs_sealed.Comparing) if c.words), None)

        mine, theirs = await alice.until(lambda: code(alice)), await bob.until(lambda: code(bob))
        assert (mine.words, mine.numbers) != (theirs.words, theirs.numbers)
        alice.perform(sealed.Verdict(mine.number, False))
        ended = await alice.until(lambda: alice.of(inputs_sealed.ComparisonEnded))
        assert "differ" in ended[-1].text
        assert not ended[-1].same
        assert alice.label(room) == "E2E"

    @awaited
    async def test_what_is_reflected_is_not_taken(self) -> None:
        _, (alice, _bob) = await self.talk("alice", "bob")
        notes: list[inbox.SendNote] = []

        def keep(_: Connection, asked: Asked) -> Any:
            notes.append(asked.args)
            return asked.args

        self.malice.on_request(inbox.SEND, keep, "alice")
        lie = FalseInbox(self.malice, "alice")
        await alice.do(lambda ref: sealed.VerifyPerson(ref, "bob"))
        own = alice.link.sealed.own
        assert own is not None
        account, sender = own.identity.account, own.identity.device
        await lie.put("verify", notes[0].body, account, sender)
        start = decode(MESSAGE, notes[0].body)
        assert isinstance(start, Start)
        # Her own part once more, as somebody else's answer.
        answer = Answer(start.offer.session, start.offer.party, os.urandom(32))
        await lie.put("verify", MESSAGE.write(answer), account, sender)
        ended = await alice.until(lambda: alice.of(inputs_sealed.ComparisonEnded))
        assert not ended[-1].same
        assert not alice.of(inputs_sealed.ComparisonAsked)
        assert not any(one.words for one in alice.of(inputs_sealed.Comparing))


def replace_party(party: Any, key: bytes) -> Any:
    """Return a party with another key."""
    return type(party)(party.account, party.device, key)


class Rooms(DeceivedTest):
    """What the server says of rooms, and into what it leads people."""

    @awaited
    async def test_a_room_that_is_called_plain_stays_encrypted(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        plain_room(self.malice, room, "alice")
        await alice.link.rooms.sync()
        for words in ("before a restart", "after it"):
            assert alice.label(room) == "E2E"
            await alice.say(room, words)
            heard = await bob.hears(room, words)
            assert heard.sender == "alice"
            await alice.again()

    @awaited
    async def test_a_lying_tree_lets_nobody_in_and_the_true_one_does(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        room = await alice.create("attic")
        await alice.say(room, "hello")
        await self.invite(alice, room, bob)
        state = alice.link.sealed.store.room(room)
        lies = bytearray(state.group.public.tree.encode())
        lies[-100] ^= 1
        rule = false_tree(self.malice, room, bytes(lies), "carol")
        await alice.do(lambda ref: effects.InviteUser(ref, room, "carol"))
        await carol.until(lambda: carol.of(inputs_sealed.Invited))
        await carol.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
        await self.noticed(carol, "an invitation was not taken")
        assert carol.link.sealed.store.room(room) is None
        rule.end()
        await carol.again()
        await carol.in_room(room)
        await alice.say(room, "to carol too")
        await carol.hears(room, "to carol too")

    @awaited
    async def test_a_false_beginning_is_noticed_with_the_first_message(self) -> None:
        self.malice.on_reply(
            delivery.BEGUN, lambda _client, _asked, reply: replace(reply, hash=bytes(32)), "bob"
        )
        alice, bob = await self.people("alice", "bob")
        room = await alice.direct("bob")
        await alice.say(room, "hello")
        await self.held(bob, room, FORKED)

    @awaited
    async def test_a_lying_way_in_is_mended_a_few_times_and_not_for_ever(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        commits: list[str] = []

        def count(client: Connection, asked: Asked) -> Any:
            commits.append(client.name)
            return asked.args

        def lie(_: Connection, __: Asked, reply: delivery.GroupInformation) -> Any:
            return replace(reply, info=reply.info[:-1] + bytes([reply.info[-1] ^ 1]))

        self.malice.on_request(delivery.COMMIT, count)
        rule = self.malice.on_reply(delivery.INFO, lie)
        await alice.link.sealed.commits.change(room, lambda _: {})
        await alice.pause(8.0)
        assert len(commits) < 20, len(commits)
        rule.end()
        await alice.say(room, "and yet we talk")
        await bob.hears(room, "and yet we talk")

    @awaited
    async def test_a_fake_room_in_somebodys_name_is_not_entered(self) -> None:
        alice, bob, _ = await self.people("alice", "bob", "mallory")
        await alice.say(await alice.direct("bob"), "hello")
        own = bob.link.sealed.own
        assert own is not None
        stranger = Person("mallory", 1, alice.link.server)
        claimed = await self.malice.client("alice").ask(
            keys.CLAIM,
            keys.ClaimKeys(self.malice.client("bob").user, [own.identity.device]),
        )
        package = KeyPackage.decode(claimed.keys[0].package)
        extensions = context_extensions(
            private_policy([stranger.id]), self.malice.identity.public_key
        )
        founded = Group.create(stranger.package(), os.urandom(16), extensions, os.urandom)
        added = founded.commit(os.urandom, proposals=[Add(package)])
        assert added.welcome is not None
        number = 4_000
        false_room(self.malice, number, added.group.public, "bob")
        FalseIdentity(
            self.malice, "mallory", stranger.account.genesis, stranger.account.entries, "bob"
        )

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            like = next(info for info in reply.rooms if info.crypto == "mls")
            made = replace(like, room=number, kind="room", access="private", name="attic")
            return replace(reply, rooms=[*reply.rooms, made])

        self.malice.on_reply(rooms.MINE, listed, "bob")
        await bob.link.rooms.sync()
        await FalseInbox(self.malice, "bob").put(
            "welcome", added.welcome, stranger.id, device("mallory").id
        )
        await self.noticed(bob, "an invitation was not taken")
        assert bob.link.sealed.store.room(number) is None

    @awaited
    async def test_an_inbox_of_rubbish_and_repeats_changes_nothing(self) -> None:
        alice, bob = await self.people("alice", "bob")
        entries: list[inbox.InboxEntry] = []

        def keep(_: Connection, __: Asked, reply: inbox.InboxPage) -> Any:
            entries.extend(reply.entries)
            return reply

        rule = self.malice.on_reply(inbox.READ, keep, "bob")
        room = await alice.direct("bob")
        await alice.say(room, "hello")
        await bob.hears(room, "hello")
        rule.end()
        (welcome,) = [one for one in entries if one.kind == "welcome"]
        lie = FalseInbox(self.malice, "bob")
        state = bob.link.sealed.store.room(room)
        for kind in ("welcome", "verify", "link", "admit"):
            for body in (welcome.body, b"", b"rubbish", bytes(300), welcome.body[:-1]):
                await lie.put(kind, body, welcome.account, welcome.sender)
        await bob.pause(1.0)
        after = bob.link.sealed.store.room(room)
        assert after.group.context.group_id == state.group.context.group_id
        await bob.say(room, "all the same")
        await alice.hears(room, "all the same")
        assert not bob.of(inputs_sealed.ComparisonAsked)


class Keys(DeceivedTest):
    """What somebody is added by."""

    @awaited
    async def test_an_old_key_package_lets_nobody_read_and_they_come_in_all_the_same(self) -> None:
        old = OldKeyPackages(self.malice)
        assert old
        room, (alice, bob) = await self.talk("alice", "bob")
        attic = await alice.create("attic")
        await self.invite(alice, attic, bob)
        await alice.say(attic, "with old keys")
        await bob.hears(attic, "with old keys")
        assert room

    @awaited
    async def test_a_last_resort_that_was_not_needed_is_told_by_the_doctor(self) -> None:
        old = OldKeyPackages(self.malice, last_resort=True)
        alice, bob = await self.people("alice", "bob")
        await self.eventually(lambda: len(old.devices) == 2, "packages of last resort")
        room = await alice.direct("bob")
        await alice.say(room, "hello")
        await bob.hears(room, "hello")
        await bob.say(room, "I can talk")
        await alice.hears(room, "I can talk")
        lines = report(bob.link.sealed.store, bob.link.now())
        assert any(line.what == "last resort" for line in lines), lines

    @awaited
    async def test_who_knocks_without_the_secret_is_not_let_in(self) -> None:
        alice, bob, mallory = await self.people("alice", "bob", "mallory")
        room = await alice.create("attic")
        made = await alice.do(lambda ref: sealed.MakeCode(ref, room, 1))
        assert isinstance(made, inputs_sealed.CodeMade)
        shown: list[joining.Knock] = []

        def forge(_: Connection, __: Asked, reply: joining.Joiners) -> Any:
            knocks = []
            for knock in reply.knocks:
                shown.append(knock)
                body = knock.body[:-1] + bytes([knock.body[-1] ^ 1])
                knocks += [replace(knock, body=body), replace(knock, name="mallory")]
            return replace(reply, knocks=knocks)

        refuse = self.malice.on_request(joining.REFUSE, lambda *_: joining.REFUSE.reply(), "alice")
        rule = self.malice.on_reply(joining.JOINERS, forge, "alice")
        await bob.do(lambda ref: sealed.JoinByCode(ref, made.code))
        await self.eventually(lambda: shown, "a knock")
        await alice.pause(1.0)
        assert len(alice.link.sealed.store.room(room).members) == 1
        rule.end()
        refuse.end()
        # The true one is let in; shown once more after the last use, it lets nobody in.
        await alice.again()
        await bob.in_room(room)
        again = replace(shown[0], user=self.malice.client("mallory").user)
        self.malice.on_reply(
            joining.JOINERS, lambda _, __, reply: replace(reply, knocks=[again]), "alice"
        )
        alice.link.sealed.adding.let_in(room)
        await alice.pause(1.0)
        people = {one.account for one in alice.link.sealed.store.room(room).members}
        assert len(people) == 2
        assert mallory.link.sealed.store.room(room) is None
