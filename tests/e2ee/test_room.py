"""Rooms as their devices see them, with servers that are not always honest."""

import os
from dataclasses import replace

import pytest

from lairchat.e2ee.fold import Said
from lairchat.e2ee.following import Forked, Impossible, Repeated, Withheld
from lairchat.e2ee.payload import Delete, Edit, RoomState, Target
from lairchat.e2ee.room import (
    PAST_GRACE_MS,
    Advanced,
    Behind,
    BodyNeededError,
    Claim,
    Due,
    Event,
    Halted,
    Large,
    Noted,
    Opened,
    Out,
    Own,
    Passed,
    Unreadable,
    decided,
    revoked,
)
from lairchat.mls.errors import InvalidError, MisuseError
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.messages import PrivateMessage, decode_message
from lairchat.mls.objects import (
    Add,
    BasicCredential,
    GroupContextExtensions,
    Lifetime,
    Remove,
)
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.errors import LogNeededError, PolicyError, TrustError
from lairchat.trust.policy import (
    CAPABILITIES,
    Because,
    context_extensions,
    direct_policy,
    encode_reasons,
    head_extension,
    private_policy,
)
from lairchat.trust.structure import head_of
from tests.e2ee.devices import NOW, Client, Server, talk
from tests.trust.people import device
from tests.trust.rooms import NO_REASON, SERVER_KEY, Person, signing_seed


def said(client: Client) -> list[Said]:
    return [found.said for found in client.happened if isinstance(found, Opened)]


class TestTalking:
    def test_everybody_reads_what_is_said_and_by_whom(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        alice.say("hello")
        bob.sync()
        bob.say("hi alice")
        for client in (alice, carol):
            client.sync()
        assert bob.texts == ["hello"]
        assert carol.texts == ["hello", "hi alice"]
        assert [one.author for one in said(carol)] == [alice.person.id, bob.person.id]
        assert alice.texts == ["hi alice"]

    def test_newcomers_read_nothing_from_before(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.say("before")
        bob.sync()
        carol = Client(alice.server, Person("carol"))
        alice.sync()
        alice.add(carol)
        alice.say("after")
        assert [type(found) for found in carol.sync()] == [Opened]
        assert carol.texts == ["after"]
        # Nor from the ciphertext, if the server gives it.
        old = alice.server.events[1]
        again = alice.server.append(EventClass.APP, old.body or b"")
        assert isinstance(carol.take(again), Unreadable)

    def test_whoever_is_removed_reads_nothing_after(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        alice.commit(remove=[decided(alice.leaf_of(bob))])
        alice.say("without bob")
        assert carol.sync()[-1].said.body.text == "without bob"  # type: ignore[union-attr]
        assert isinstance(bob.sync()[0], Out)
        assert bob.texts == []
        with pytest.raises(MisuseError, match="removed"):
            bob.seal("still here")

    def test_edits_and_names_are_folded(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.say(RoomState(name="plans"))
        alice.say("helo", id=b"1" * 16)
        alice.say(Edit(b"1" * 16, "hello"))
        bob.sync()
        assert (bob.name, bob.texts) == ("plans", ["hello"])
        bob.say(Delete(Target(alice.person.id, b"1" * 16)))
        alice.say(Delete(Target(alice.person.id, b"1" * 16)))
        bob.sync()
        assert bob.texts == [None]

    def test_sizes_tell_little(self) -> None:
        alice, _ = talk("alice", "bob")
        sizes = {len(alice.seal("x" * length)) for length in (1, 5, 20)}
        assert len(sizes) == 1

    def test_ids_have_one_length(self) -> None:
        alice, _ = talk("alice", "bob")
        with pytest.raises(MisuseError, match="16 bytes"):
            alice.seal("x", id=b"short")


class TestADishonestServer:
    def test_what_it_drops_shows_with_the_next_message(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.say("one")
        alice.seal("two, which the server drops")
        alice.say("three")
        found = bob.sync()[-1]
        assert isinstance(found, Opened)
        assert found.finding == Withheld(alice.person.identity().device, 2, 2)

    def test_what_it_shows_two_people_differently_shows_too(self) -> None:
        alice, bob = talk("alice", "bob")
        fork = Server()
        fork.people = alice.server.people
        fork.events = list(alice.server.events)
        # Bob is shown something that alice is not; then alice's next message is passed on to him.
        alice.server.append(EventClass.STATE, b"for alice")
        fork.append(EventClass.STATE, b"for bob")
        bob.server = fork
        alice.sync()
        fork.append(EventClass.APP, alice.say("hello"))
        found = bob.sync()[-1]
        assert isinstance(found, Opened)
        assert found.finding == Forked(2)

    def test_a_replay_is_not_read_again(self) -> None:
        alice, bob = talk("alice", "bob")
        sealed = alice.say("pay 10 to bob")
        bob.sync()
        alice.server.append(EventClass.APP, sealed)
        assert isinstance(bob.sync()[-1], Unreadable)
        assert bob.texts == ["pay 10 to bob"]

    def test_a_message_in_another_room_or_another_order_is_not_read_there(self) -> None:
        alice, bob = talk("alice", "bob")
        other, carol = talk("dave", "carol")
        other.server.append(EventClass.APP, alice.say("for bob"))
        assert isinstance(carol.sync()[-1], Unreadable)
        first, second = alice.seal("first"), alice.seal("second")
        alice.server.append(EventClass.APP, second)
        alice.server.append(EventClass.APP, first)
        bob.sync()
        # Both are read, and that they came in another order than they were said shows.
        findings = [found.finding for found in bob.happened if isinstance(found, Opened)]
        device_ = alice.person.identity().device
        assert findings == [None, Withheld(device_, 2, 2), Repeated(device_, 2)]

    @pytest.mark.parametrize("place", [0, 3, 30, 60, -70, -1])
    def test_a_flipped_bit_reads_as_nothing_and_the_original_still_opens(self, place: int) -> None:
        alice, bob = talk("alice", "bob")
        sealed = alice.seal("whole")
        bad = bytearray(sealed)
        bad[place] ^= 1
        alice.server.append(EventClass.APP, bytes(bad))
        alice.server.append(EventClass.APP, sealed)
        happened = bob.sync()
        assert isinstance(happened[0], Unreadable)
        assert isinstance(happened[1], Opened)

    def test_plaintext_is_never_shown(self) -> None:
        alice, bob = talk("alice", "bob")
        for body in (b"hello", b"\x82\xa4type\xa4text\xa4text\xa5hello", b""):
            alice.server.append(EventClass.APP, body)
        assert {type(found) for found in bob.sync()} == {Unreadable}

    def test_a_commit_as_a_message_and_the_reverse_say_nothing(self) -> None:
        alice, bob = talk("alice", "bob")
        sealed = alice.seal("text")
        pending = alice.prepare()
        alice.server.append(EventClass.APP, pending.message)
        alice.server.append(EventClass.PROPOSAL, pending.message)
        alice.server.append(EventClass.COMMIT, sealed)
        assert [type(found) for found in bob.sync()] == [Unreadable, Unreadable, Unreadable]
        assert bob.room.halted is None

    def test_it_cannot_pass_off_another_event_as_ones_own_commit(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.prepare()
        bob.commit()
        (found,) = alice.sync()
        assert isinstance(found, Advanced)
        assert found.lost is not None

    def test_an_event_that_is_not_next_is_refused(self) -> None:
        _, bob = talk("alice", "bob")
        with pytest.raises(ValueError, match="does not follow"):
            bob.take(Event.of(9, EventClass.APP, 1, b"x"))

    def test_a_body_that_is_not_what_the_log_says_is_refused(self) -> None:
        """Else devices could be shown different bodies under one chain."""
        alice, bob = talk("alice", "bob")
        alice.say("one")
        event = alice.server.events[-1]
        swapped = replace(event, body=alice.seal("two"))
        with pytest.raises(ValueError, match="not what its digest says"):
            bob.take(swapped)
        with pytest.raises(ValueError, match="not what its digest says"):
            bob.room.sent_by_self(swapped, NOW)
        assert isinstance(bob.take(event), Opened)

    def test_purged_events_and_statements_pass_and_are_in_the_chain(self) -> None:
        alice, bob = talk("alice", "bob")
        sealed = alice.say("purged later")
        whole = bob.server.events[-1]
        bob.server.events[-1] = replace(whole, body=None)
        bob.server.append(EventClass.STATE, b"joined")
        assert [type(found) for found in bob.sync()] == [Passed, Passed]
        assert sealed
        alice.sync()
        assert alice.room.followed.hash == bob.room.followed.hash


class TestCommits:
    def test_two_at_once_have_one_winner_and_the_other_goes_again(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        for _ in range(20):
            alice.prepare()
            bob.prepare()
            bob.send_pending()
            lost = [found for found in alice.sync() if isinstance(found, Advanced)]
            assert lost[0].lost is not None
            assert alice.room.pending is None
            alice.commit()
            for client in (bob, carol):
                client.sync()
            states = {client.room.group.authenticator for client in (alice, bob, carol)}
            assert len(states) == 1

    def test_the_second_of_an_epoch_halts_nobody_who_has_followed_the_first(self) -> None:
        """An honest server never orders it; a dishonest one gains a held room, and no more."""
        alice, bob, carol = talk("alice", "bob", "carol")
        alice.prepare()
        bob.prepare()
        alice.send_pending()
        bob.send_pending()
        happened = carol.sync()
        assert isinstance(happened[0], Advanced)
        assert isinstance(happened[1], Halted)
        carol_says = carol.room
        with pytest.raises(MisuseError, match="held"):
            carol.seal("anything")
        assert carol_says.halted is not None

    def test_a_commit_under_way_holds_sending(self) -> None:
        alice, _ = talk("alice", "bob")
        alice.prepare()
        with pytest.raises(MisuseError, match="under way"):
            alice.seal("now")
        with pytest.raises(MisuseError, match="under way"):
            alice.prepare()

    def test_a_late_message_of_the_epoch_before_is_read_for_a_while(self) -> None:
        alice, bob = talk("alice", "bob")
        late, later = alice.seal("late"), alice.seal("later")
        bob.commit()
        alice.server.append(EventClass.APP, late)
        bob.now += PAST_GRACE_MS - 1
        assert isinstance(bob.sync()[-1], Opened)
        bob.now += 1
        alice.server.append(EventClass.APP, later)
        assert isinstance(bob.sync()[-1], Unreadable)

    def test_but_not_of_somebody_who_was_removed(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        late = bob.seal("parting words, with the server's help")
        alice.commit(remove=[decided(alice.leaf_of(bob))])
        alice.server.append(EventClass.APP, late)
        for client in (alice, carol):
            assert isinstance(client.sync()[-1], Unreadable)

    def test_a_message_that_was_refused_and_sealed_again_is_shown_once(self) -> None:
        alice, bob = talk("alice", "bob")
        number = alice.room.count + 1
        refused = alice.seal("once", id=b"1" * 16)
        bob.commit()
        alice.sync()
        alice.server.append(EventClass.APP, alice.seal("once", id=b"1" * 16, again=number))
        # The server kept the first one, and brings it beside the second.
        alice.server.append(EventClass.APP, refused)
        alice.say("next")
        happened = bob.sync()
        assert [type(found) for found in happened] == [Opened, Passed, Opened]
        assert bob.texts == ["once", "next"]
        assert all(found.finding is None for found in happened if isinstance(found, Opened))

    def test_a_refused_commit_holds_the_room_for_good(self) -> None:
        """An insider adds a device that no account certifies; MLS alone would let it in."""
        alice, bob, carol = talk("alice", "bob", "carol")
        ghost = carol.person.package(2, signing_key=os.urandom(32))
        committed = bob.room.group.commit(os.urandom, proposals=[Add(ghost.package)])
        bob.server.append(EventClass.COMMIT, committed.message)
        for client in (alice, carol):
            (found,) = client.sync()
            assert isinstance(found, Halted)
            assert client.room.halted == found.why
        # What follows is opened by nobody, and nobody sends; the old state is not lost.
        bob.server.append(EventClass.APP, committed.group.encrypt(b"x", os.urandom)[0])
        assert isinstance(alice.sync()[0], Unreadable)
        with pytest.raises(MisuseError, match="held"):
            alice.seal("to whom?")
        with pytest.raises(MisuseError):
            alice.prepare()
        assert alice.room.due(NOW) is None

    def test_ones_own_commit_that_would_be_refused_is_not_even_made(self) -> None:
        alice, bob = talk("alice", "bob")
        with pytest.raises(PolicyError):
            bob.prepare(remove=[decided(bob.leaf_of(alice))])
        assert bob.room.pending is None

    def test_a_policy_is_changed_and_counts_from_then(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        policy = private_policy([alice.person.id], [bob.person.id])
        new = GroupContextExtensions(context_extensions(policy, SERVER_KEY.public))
        alice.commit(change=[new])
        for client in (bob, carol):
            client.sync()
        bob.commit(remove=[decided(bob.leaf_of(carol))])
        assert isinstance(alice.sync()[-1], Advanced)
        assert isinstance(carol.sync()[-1], Out)


class TestFallingBehind:
    def is_behind(self, client: Client, found: object) -> None:
        """Hold a device to what one that is behind does, and does not."""
        assert isinstance(found, Behind)
        assert client.room.behind == found.why
        assert (client.room.halted, client.room.pending) == (None, None)
        assert client.room.due(NOW, unclean=True) is None
        with pytest.raises(MisuseError, match="behind"):
            client.seal("to an epoch that is over")
        with pytest.raises(MisuseError, match="behind"):
            client.prepare()

    def test_a_commit_of_ones_own_that_was_lost_is_nobodys_fault(self) -> None:
        """As after a crash that left nothing of it behind, or of a server that had refused it."""
        alice, bob = talk("alice", "bob")
        before = alice.room.group
        alice.prepare()
        alice.send_pending()
        alice.room = alice.room.dropped()
        (found,) = alice.sync()
        self.is_behind(alice, found)
        assert alice.room.group is before
        # The log is followed on, for its chain; nothing in it is opened.
        bob.sync()
        bob.say("two")
        bob.commit()
        alice.server.append(EventClass.STATE, b"joined")
        gone = alice.server.append(EventClass.APP, b"purged")
        alice.server.events[-1] = replace(gone, body=None)
        happened = alice.sync()
        assert [type(one) for one in happened] == [Unreadable, Unreadable, Passed, Passed]
        bob.sync()
        assert alice.room.followed.hash == bob.room.followed.hash

    def test_nor_is_one_that_another_of_ones_own_has_overtaken(self) -> None:
        alice, _ = talk("alice", "bob")
        alice.prepare()
        alice.send_pending()
        alice.room = alice.room.dropped()
        alice.prepare()
        (found,) = alice.sync()
        self.is_behind(alice, found)

    def test_what_is_under_way_only_is_dropped(self) -> None:
        alice, bob = talk("alice", "bob")
        with pytest.raises(MisuseError, match="no commit"):
            alice.room.dropped()
        alice.prepare()
        alice.room = alice.room.dropped()
        alice.say("the server refused it")
        bob.sync()
        assert bob.texts == ["the server refused it"]

    @pytest.mark.parametrize("under_way", [False, True])
    @pytest.mark.parametrize("kind", [EventClass.COMMIT, EventClass.PROPOSAL])
    def test_a_change_that_the_server_no_longer_has(
        self, kind: EventClass, under_way: bool
    ) -> None:
        alice, bob = talk("alice", "bob")
        if kind is EventClass.COMMIT:
            bob.commit()
        else:
            TestProposals().leave(bob)
        alice.server.events[-1] = replace(alice.server.events[-1], body=None)
        if under_way:
            alice.prepare()
        (found,) = alice.sync()
        self.is_behind(alice, found)

    def test_ones_own_commit_is_known_by_its_digest_alone(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.prepare()
        event = alice.send_pending()
        alice.server.events[-1] = replace(event, body=None)
        assert isinstance(alice.sync()[0], Own)
        bob.take(event)
        assert alice.room.group.authenticator == bob.room.group.authenticator

    def test_a_commit_in_ones_name_that_is_not_ones_own_halts(self) -> None:
        """An insider knows the epoch's secrets and not one's signature key."""
        alice, bob, carol = talk("alice", "bob", "carol")
        forged = replace(bob.room.group, leaf=alice.room.group.leaf).commit(os.urandom)
        bob.server.append(EventClass.COMMIT, forged.message)
        for client in (alice, carol):
            assert isinstance(client.sync()[0], Halted)
            assert client.room.behind is None

    def test_a_room_that_is_held_does_not_fall_behind(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.room = replace(alice.room, halted="a commit was refused")
        bob.commit()
        bob.server.events[-1] = replace(bob.server.events[-1], body=None)
        bob.commit()
        assert [type(one) for one in alice.sync()] == [Passed, Unreadable]
        assert alice.room.behind is None


class TestLargeCommits:
    def named(self, client: Client) -> Event:
        """Let a commit that was made stand in the log by its name only."""
        assert client.room.pending is not None
        named = Large.of(client.room.pending.message)
        return client.server.append(EventClass.COMMIT, named.encode())

    def test_are_asked_for_until_the_right_one_comes(self) -> None:
        alice, bob = talk("alice", "bob")
        pending = alice.prepare()
        event = self.named(alice)
        before = bob.room
        wrong = bytearray(pending.message)
        wrong[99] ^= 1
        for content in (None, b"", bytes(wrong), pending.message + b"x", pending.message[:-1]):
            with pytest.raises(BodyNeededError) as caught:
                bob.take(replace(event, content=content))
            asked = caught.value
            assert (asked.seq, asked.total) == (event.seq, len(pending.message))
            assert asked.digest == pending.digest
            assert bob.room is before
        assert isinstance(bob.take(replace(event, content=pending.message)), Advanced)
        assert isinstance(alice.sync()[0], Own)
        assert alice.room.group.authenticator == bob.room.group.authenticator
        assert alice.room.followed == replace(bob.room.followed, counts=alice.room.followed.counts)
        bob.say("after it")
        alice.sync()
        assert alice.texts == ["after it"]

    @pytest.mark.parametrize("purged", [False, True])
    def test_ones_own_needs_not_be_fetched(self, purged: bool) -> None:
        alice, _ = talk("alice", "bob")
        alice.prepare()
        event = self.named(alice)
        if purged:
            alice.server.events[-1] = replace(event, body=None)
        assert isinstance(alice.sync()[0], Own)

    def test_one_that_was_lost_is_found_out_once_it_is_there(self) -> None:
        alice, _ = talk("alice", "bob")
        pending = alice.prepare()
        event = self.named(alice)
        alice.room = alice.room.dropped()
        with pytest.raises(BodyNeededError):
            alice.sync()
        assert isinstance(alice.take(replace(event, content=pending.message)), Behind)

    def test_names_say_nothing_where_no_commit_stands_or_none_can_be_so_large(self) -> None:
        alice, bob = talk("alice", "bob")
        name = Large.of(b"commit")
        alice.server.append(EventClass.APP, name.encode())
        alice.server.append(EventClass.PROPOSAL, name.encode())
        huge = Large(total=limits.COMMIT_BYTES + 1, digest=name.digest)
        alice.server.append(EventClass.COMMIT, huge.encode())
        assert [type(one) for one in bob.sync()] == [Unreadable] * 3

    def test_what_stands_beside_a_whole_body_is_not_looked_at(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.prepare()
        event = alice.send_pending()
        assert isinstance(bob.take(replace(event, content=b"something else")), Advanced)


class TestKeysOfTheEpochBefore:
    def test_go_when_their_time_is_over(self) -> None:
        alice, bob = talk("alice", "bob")
        bob.commit()
        alice.sync()
        assert alice.room.past is not None
        assert alice.room.forget(NOW + PAST_GRACE_MS - 1) is alice.room
        assert alice.room.forget(NOW + PAST_GRACE_MS).past is None

    def test_go_with_messages_of_ones_own_too(self) -> None:
        alice, bob = talk("alice", "bob")
        bob.commit()
        alice.sync()
        alice.now += PAST_GRACE_MS
        alice.say("mine")
        assert alice.sync() == [Own()]
        assert alice.room.past is None


class TestProposals:
    def leave(self, client: Client) -> None:
        message, _ = client.room.group.propose(
            Remove(client.room.group.leaf),
            os.urandom,
            authenticated_data=encode_reasons(NO_REASON),
        )
        client.server.append(EventClass.PROPOSAL, message)

    def test_what_is_proposed_is_committed_before_anything_is_sent(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        self.leave(bob)
        for client in (alice, carol):
            assert isinstance(client.sync()[0], Noted)
            assert client.room.due(NOW) is Due.WAITING
            with pytest.raises(MisuseError):
                client.seal("while bob still reads")
        carol.commit()
        alice.sync()
        assert len(alice.room.members) == 2
        alice.say("without bob")

    def test_one_that_is_not_allowed_is_nobodys(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        message, _ = bob.room.group.propose(
            Remove(bob.leaf_of(carol)), os.urandom, authenticated_data=encode_reasons(NO_REASON)
        )
        bob.server.append(EventClass.PROPOSAL, message)
        for client in (alice, carol):
            assert isinstance(client.sync()[0], Unreadable)
            assert client.room.due(NOW) is not Due.WAITING
        alice.say("goes on")

    def test_one_that_nobody_can_judge_waits(self) -> None:
        alice, bob = talk("alice", "bob")
        carol = Person("carol")
        message, _ = alice.room.group.propose(Add(carol.package().package), os.urandom)
        event = alice.server.append(EventClass.PROPOSAL, message)
        with pytest.raises(LogNeededError) as caught:
            bob.take(event)
        assert caught.value.account == carol.id
        bob.server.people[carol.id] = carol
        assert isinstance(bob.take(event), Noted)


class TestAccountLogs:
    def test_a_newer_log_is_asked_for_and_a_server_that_hides_it_is_found_out(self) -> None:
        alice, bob = talk("alice", "bob")
        before = alice.server.logs
        alice.person.account.say(device("alice", 2))
        alice.say("hello")
        event = alice.server.events[-1]
        with pytest.raises(LogNeededError) as caught:
            bob.take(event, lambda: before)
        assert caught.value.account == alice.person.id
        # Nothing has happened to the state: with the log it opens.
        found = bob.take(event)
        assert isinstance(found, Opened)
        assert found.claim is Claim.KNOWN
        alice.person.account.say(device("alice", 3))
        withheld = alice.server.logs
        withheld[alice.person.id] = before[alice.person.id]
        alice.say("my log went on")
        found = bob.take(alice.server.events[-1], lambda: withheld, asked=(alice.person.id,))
        assert isinstance(found, Opened)
        assert found.claim is Claim.WITHHELD

    def test_another_log_than_its_owner_has_is_a_fork(self) -> None:
        alice, bob = talk("alice", "bob")
        other = Person("alice")
        other.account.say(device("alice", 9))
        alice.person.account.say(device("alice", 2))
        shown = {**alice.server.logs, alice.person.id: other.log}
        alice.say("hello")
        found = bob.take(alice.server.events[-1], lambda: shown)
        assert isinstance(found, Opened)
        assert found.claim is Claim.FORKED

    def test_a_revoked_device_is_removed_by_anybody_and_reads_no_more(self) -> None:
        alice, bob, carol = talk("alice", "bob", "carol")
        bob.person.account.say(Revocation(1, Reason.LOST))
        carol.commit(remove=[revoked(carol.leaf_of(bob), bob.person.log)])
        found = alice.sync()[-1]
        assert isinstance(found, Advanced)
        assert found.change.removed[0].because is Because.REVOKED

    def test_a_commit_nobody_can_judge_waits(self) -> None:
        alice, bob = talk("alice", "bob")
        carol = Client(alice.server, Person("carol"))
        alice.add(carol)
        event = alice.server.events[-1]
        known = {name: log for name, log in alice.server.logs.items() if name != carol.person.id}
        for asked in ((), (carol.person.id,)):
            with pytest.raises(LogNeededError):
                bob.take(event, lambda: known, asked=asked)
        assert isinstance(bob.take(event), Advanced)


class TestRenewal:
    def test_after_coming_in(self) -> None:
        alice, bob = talk("alice", "bob")
        assert bob.room.due(NOW) is Due.JOINED
        bob.commit()
        assert bob.room.due(NOW) is None
        assert isinstance(alice.sync()[-1], Advanced)

    def test_after_an_unclean_stop(self) -> None:
        alice, _ = talk("alice", "bob")
        assert alice.room.due(NOW, unclean=True) is Due.UNCLEAN

    def test_after_a_week_at_its_edge(self) -> None:
        alice, _ = talk("alice", "bob")
        week = limits.RENEW_DAYS * limits.DAY * 1000
        assert alice.room.due(NOW + week - 1) is None
        assert alice.room.due(NOW + week) is Due.OLD

    def test_after_many_messages_at_its_edge(self) -> None:
        alice, _ = talk("alice", "bob")
        alice.room = replace(alice.room, sent=limits.EPOCH_MESSAGES_RENEW - 1)
        assert alice.room.due(NOW) is None
        alice.seal("one more")
        assert alice.room.due(NOW) is Due.SENT
        alice.seal("which need not wait for it")
        alice.room = replace(alice.room, sent=limits.EPOCH_MESSAGES_MAX - 1)
        assert alice.room.due(NOW) is Due.SENT
        alice.seal("the last")
        assert alice.room.due(NOW) is Due.SPENT
        with pytest.raises(MisuseError, match="new keys"):
            alice.seal("one too many")
        alice.commit()
        alice.seal("after")

    def test_only_what_makes_sealing_wrong_comes_before_a_message(self) -> None:
        first = {due for due in Due if due.before_sending}
        assert first == {Due.WAITING, Due.UNCLEAN, Due.SPENT}
        _, bob = talk("alice", "bob")
        assert bob.room.due(NOW) is Due.JOINED
        bob.say("a newcomer need not wait")

    def test_a_leaf_says_how_far_its_accounts_log_has_gone(self) -> None:
        alice, bob = talk("alice", "bob")
        old = alice.person.log.head
        alice.person.account.say(device("alice", 2))
        alice.commit(head=alice.person.log.head)
        assert isinstance(bob.sync()[0], Advanced)
        leaf = bob.room.group.public.tree.member(alice.room.group.leaf)
        assert head_of(leaf) == alice.person.log.head
        assert leaf.source == alice.room.group.own_leaf.source
        # It stays with the commits that say nothing of it, and never goes back.
        alice.commit()
        assert head_of(alice.room.group.own_leaf) == alice.person.log.head
        with pytest.raises(PolicyError, match="goes back"):
            alice.prepare(head=old)

    def test_a_key_package_whose_time_is_over_is_not_added(self) -> None:
        alice, _ = talk("alice", "bob")
        carol = Client(alice.server, Person("carol"))
        package = make_key_package(
            HYBRID,
            BasicCredential(carol.person.identity().encode()),
            signing_seed("carol"),
            Lifetime(100, 200),
            os.urandom,
            capabilities=CAPABILITIES,
            leaf_extensions=(head_extension(carol.person.log.head),),
        )
        for now in (99, 201):
            with pytest.raises(InvalidError, match="not valid at this time"):
                alice.prepare(add=[package.package], now=now)
        assert alice.room.pending is None
        alice.prepare(add=[package.package], now=200)


class TestDirect:
    def test_two_people_and_their_devices(self) -> None:
        server = Server()
        alice = Client(server, Person("alice"))
        bob = Client(server, Person("bob", devices=2))
        other = Client(server, bob.person, 2)
        alice.found(direct_policy(alice.person.id, bob.person.id))
        alice.add(bob, other)
        alice.say("hello")
        for client in (bob, other):
            client.sync()
            assert client.texts == ["hello"]
        with pytest.raises(TrustError):
            bob.prepare(remove=[decided(bob.leaf_of(alice))])


def test_a_member_cannot_claim_the_future() -> None:
    alice, bob = talk("alice", "bob")
    ahead = replace(alice.room.followed, seq=50)
    alice.room = replace(alice.room, followed=ahead)
    alice.server.append(EventClass.APP, alice.seal("I know what comes"))
    found = bob.sync()[-1]
    assert isinstance(found, Opened)
    assert found.finding == Impossible(2)


def test_an_insider_cannot_sign_as_somebody_else_and_spoils_nothing() -> None:
    """Bob knows every key of the epoch, also alice's next one; he lacks her signature."""
    alice, bob, carol = talk("alice", "bob", "carol")
    group = bob.room.group
    forged = replace(group, leaf=alice.room.group.leaf)
    message, _ = forged.encrypt(b"forged", os.urandom)
    assert isinstance(decode_message(message), PrivateMessage)
    bob.server.append(EventClass.APP, message)
    alice.say("the real one")
    happened = carol.sync()
    assert isinstance(happened[0], Unreadable)
    assert isinstance(happened[1], Opened)
    assert carol.texts == ["the real one"]


def test_own_events_are_told_by_what_was_sent() -> None:
    alice, _ = talk("alice", "bob")
    alice.say("mine")
    assert alice.sync() == [Own()]
