"""The encrypted side of the link, on a network in memory: what people ask for, and what they hear."""

from typing import Any

from twisted.internet.defer import Deferred, fail

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.secret import Secret
from lairchat.e2ee.payload import Poll, Target, Vote
from lairchat.features.delivery import messages as delivery
from lairchat.features.joining import messages as joining
from lairchat.model import faults, refusals
from lairchat.storage import log
from lairchat.trust.pins import Sureness
from tests.client.network import NetworkTest, Person


class SealedTest(NetworkTest):
    """People who have just registered."""

    def enter(self, *names: str) -> list[Person]:
        people = [self.person(name).enter() for name in names]
        self.network.wait(1)
        return people

    def direct(self, one: Person, other: Person) -> int:
        joined = one.request(effects.OpenDirect, other.name)
        assert isinstance(joined, inputs.RoomJoined), joined
        self.network.wait(6)
        return joined.room.id

    def create(self, one: Person, name: str = "attic") -> int:
        joined = one.request(effects.Create, name, "private")
        assert isinstance(joined, inputs.RoomJoined), joined
        self.network.wait(6)
        return joined.room.id

    def bring(self, one: Person, other: Person, room: int) -> None:
        """Have somebody come into a room by an invitation."""
        assert isinstance(one.request(effects.InviteUser, room, other.name), inputs.CommandDone)
        done = other.request(sealed.AcceptInvite, one.name)
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(8)

    def say(self, one: Person, text: str, room: int) -> None:
        one.say(text, room)
        self.network.wait(2)

    def seq(self, one: Person, room: int, text: str) -> int:
        return next(seq for seq, found in one.shown[room].items() if found.text == text)

    def label(self, one: Person, room: int) -> str:
        return one.link.sealed.labels.of(room)[0].value


class Talking(SealedTest):
    """Direct conversations and private rooms."""

    def test_a_direct_conversation_both_ways(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "hello", room)
        self.say(bob, "hello yourself", room)
        assert alice.texts(room) == bob.texts(room) == ["hello", "hello yourself"]
        assert self.label(alice, room) == self.label(bob, room) == "E2E"
        assert self.direct(bob, alice) == room

    def test_both_open_it_at_once(self) -> None:
        alice, bob = self.enter("alice", "bob")
        alice.link.perform(effects.OpenDirect(1, "bob"))
        bob.link.perform(effects.OpenDirect(1, "alice"))
        self.network.wait(10)
        (joined,) = [one for one in alice.of(inputs.RoomJoined) if one.ref == 1]
        room = joined.room.id
        self.say(alice, "one", room)
        self.say(bob, "two", room)
        assert alice.texts(room) == bob.texts(room) == ["one", "two"]

    def test_who_accepts_while_those_who_wait_are_looked_at_comes_in(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        ask, held = alice.link.sealed.ask, Deferred[None]()

        async def slowly(command: Any, *rest: Any) -> Any:
            answer = await ask(command, *rest)
            if command is joining.JOINERS and not held.called:
                await held
            return answer

        self.patch(alice.link.sealed, "ask", slowly)
        self.bring(alice, bob, room)
        assert bob.link.sealed.opened.room(room) is None
        held.callback(None)
        self.network.wait(8)
        self.say(bob, "here I am", room)
        assert alice.texts(room) == ["here I am"]

    def test_edits_deletions_reactions_and_votes(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "a typo", room)
        seq = self.seq(bob, room, "a typo")
        assert isinstance(alice.request(sealed.Change, room, seq, "no typo"), inputs.CommandDone)
        self.network.wait(2)
        assert bob.last(told.MessageChanged).message.text == "no typo"
        assert bob.last(told.MessageChanged).message.edited == 1
        assert isinstance(bob.request(sealed.Change, room, seq, "mine"), inputs.CommandFailed)
        bob.request(sealed.React, room, seq, "+1")
        self.network.wait(2)
        assert alice.last(told.MessageChanged).message.reactions == (("+1", 1, False),)
        assert bob.last(told.MessageChanged).message.reactions == (("+1", 1, True),)
        bob.request(sealed.React, room, seq, "+1", False)
        self.network.wait(2)
        assert alice.last(told.MessageChanged).message.reactions == ()
        assert isinstance(alice.request(sealed.TakeBack, room, seq), inputs.CommandDone)
        self.network.wait(2)
        assert bob.last(told.MessageChanged).message.kind == "gone"
        assert isinstance(alice.request(sealed.TakeBack, room, seq), inputs.CommandFailed)

        store = alice.link.sealed.opened
        poll = alice.link.sealed.sending.say(room, Poll("tea?", ["yes", "no"]))
        self.network.wait(2)
        own = alice.link.sealed.require_own().identity.account
        bob.link.sealed.sending.say(room, Vote(Target(own, poll), [0]))
        self.network.wait(2)
        found = store.messages.find(room, (own, poll))
        assert found is not None
        shown = alice.link.sealed.show.line(room, found).text
        assert shown == "poll: tea?\n  1. yes  x1\n  2. no  x0"

    def test_searching_reading_and_pages(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        for number in range(12):
            alice.say(f"message {number}", room)
        self.network.wait(4)
        found = bob.request(sealed.Search, "message 7")
        assert [line.text for _, line in found.messages] == ["message 7"]
        assert bob.request(sealed.Search, "message", room).messages[0][0] == room
        bob.do(effects.FetchHistory(room, limit=5))
        page = bob.last(inputs.HistoryPage)
        assert [one.text for one in page.messages] == [f"message {n}" for n in range(7, 12)]
        assert page.older
        assert not page.newer
        assert page.replace
        bob.do(effects.FetchHistory(room, before=page.messages[0].seq, limit=5))
        assert bob.last(inputs.HistoryPage).messages[-1].text == "message 6"
        middle = self.seq(bob, room, "message 5")
        bob.do(effects.FetchHistory(room, around=middle, limit=4))
        assert "message 5" in [one.text for one in bob.last(inputs.HistoryPage).messages]
        bob.do(effects.FetchHistory(room, after=middle, limit=3))
        assert bob.last(inputs.HistoryPage).newer
        bob.do(effects.MoveCursor(room, middle))
        assert bob.link.sealed.opened.marks.reads() == {room: middle}
        bob = self.again(bob).start()
        bob.do(sealed.Unlock(Secret("bob")))
        self.network.wait(3)
        info = next(one for one in bob.last(inputs.RoomsSynced).rooms if one.id == room)
        assert (info.unread, info.read_seq, info.label) == (6, middle, "E2E")

    def test_what_disappears_goes_here_and_from_the_server(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "this stays", room)
        assert isinstance(alice.request(sealed.SetTimer, room, 300), inputs.CommandDone)
        self.say(alice, "this does not", room)
        seq = self.seq(bob, room, "this does not")
        for one in (alice, bob):
            one.do(effects.MoveCursor(room, seq))
        self.network.wait(240)
        assert not bob.of(told.MessagesGone)
        self.network.wait(180)
        assert bob.last(told.MessagesGone) == told.MessagesGone(room, (seq,))
        assert alice.last(told.MessagesGone) == told.MessagesGone(room, (seq,))
        for one in (alice, bob):
            assert one.request(sealed.Search, "does not").messages == ()
            assert one.request(sealed.Search, "stays").messages
        self.network.wait(5)
        stored = self.network.server.result(
            self.network.server.kernel.storage.read(
                lambda c: log.page(c, room, after=seq - 1, limit=1)
            )
        )
        assert stored[0].body is None, "the server has dropped it as well"
        assert isinstance(alice.request(sealed.SetTimer, room, -1), inputs.CommandFailed)
        alice.request(sealed.SetTimer, room, 0)
        self.say(alice, "this stays too", room)
        self.network.wait(600)
        assert len(bob.of(told.MessagesGone)) == 1

    def test_a_slow_server_is_not_asked_twice_for_what_disappears(self) -> None:
        (alice,) = self.enter("alice")
        room = self.create(alice)
        alice.request(sealed.SetTimer, room, 5)
        for number in range(25):
            alice.say(f"message {number}", room)
            self.network.wait(1)
        ask, asked, held = alice.link.sealed.ask, list[int](), Deferred[None]()

        async def slowly(command: Any, request: Any, key: Any = None) -> Any:
            if command is delivery.TOMBSTONE:
                asked.append(request.seq)
                await held
            return await ask(command, request, key)

        self.patch(alice.link.sealed, "ask", lambda *what: Deferred.fromCoroutine(slowly(*what)))
        alice.do(effects.MoveCursor(room, self.seq(alice, room, "message 24")))
        self.network.wait(130)
        assert len(asked) == 20
        held.callback(None)
        self.network.wait(130)
        assert len(asked) == len(set(asked)) == 25
        assert alice.link.sealed.opened.marks.facts("drop:") == []

    def test_what_the_server_cannot_drop_now_keeps_nothing_behind_it_waiting(self) -> None:
        (alice,) = self.enter("alice")
        room = self.create(alice)
        alice.request(sealed.SetTimer, room, 5)
        for number in range(25):
            alice.say(f"message {number}", room)
            self.network.wait(1)
        names = [str(self.seq(alice, room, f"message {number}")) for number in range(25)]
        ask, ill = alice.link.sealed.ask, sorted(names)[:20]

        def asking(command: Any, request: Any, key: Any = None) -> Any:
            if command is delivery.TOMBSTONE and str(request.seq) in ill:
                return fail(refusals.Internal(incident="7"))
            return ask(command, request, key)

        self.patch(alice.link.sealed, "ask", asking)
        alice.do(effects.MoveCursor(room, self.seq(alice, room, "message 24")))
        self.network.wait(200)
        marks = alice.link.sealed.opened.marks
        assert marks.facts("drop:") == [f"drop:{room}:{name}" for name in ill]
        # And what it could not is asked for again.
        ill.clear()
        self.network.wait(130)
        assert marks.facts("drop:") == []

    def test_what_disappears_while_nobody_is_connected_goes_from_the_server_later(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        alice.request(sealed.SetTimer, room, 300)
        self.say(alice, "not for long", room)
        seq = self.seq(alice, room, "not for long")
        alice.do(effects.MoveCursor(room, seq))
        self.network.wait(2)
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        for pipe in self.network.pipes:
            pipe.cut()
        self.network.wait(400)
        marks = alice.link.sealed.opened.marks
        assert alice.last(told.MessagesGone) == told.MessagesGone(room, (seq,))
        assert marks.facts("drop:") == [f"drop:{room}:{seq}"]
        self.network.refusal = None
        self.network.wait(120)
        assert marks.facts("drop:") == []
        stored = self.network.server.result(
            self.network.server.kernel.storage.read(
                lambda c: log.page(c, room, after=seq - 1, limit=1)
            )
        )
        assert stored[0].body is None

    def test_typing_is_told_and_forgotten(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        alice.do(sealed.Typing(room, True))
        assert bob.of(told.SomebodyTypes) == [told.SomebodyTypes(room, "alice", True)]
        alice.do(sealed.Typing(room, False))
        assert bob.last(told.SomebodyTypes) == told.SomebodyTypes(room, "alice", False)
        assert not alice.of(told.SomebodyTypes)


class Rooms(SealedTest):
    """Who is in a private room, and what it is called."""

    def test_a_room_its_name_its_topic_and_its_roles(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.bring(alice, carol, room)
        assert {one.link.sealed.title(room) for one in (alice, bob, carol)} == {"attic"}
        alice.request(effects.SetTopic, room, "keep calm")
        self.network.wait(2)
        assert bob.last(inputs.RoomChanged).topic == "keep calm"
        members = bob.request(effects.ListMembers, room)
        assert [(one.name, one.role, one.here) for one in members.members] == [
            ("alice", "admin", True),
            ("bob", "member", True),
            ("carol", "member", True),
        ]
        assert isinstance(bob.request(effects.Kick, room, "carol"), inputs.CommandFailed)
        assert isinstance(
            alice.request(effects.SetRole, room, "bob", "moderator"), inputs.CommandDone
        )
        self.network.wait(3)
        assert bob.link.sealed.role_word(bob.link.sealed.opened.room(room), self.account(bob)) == (
            "moderator"
        )
        assert isinstance(
            alice.request(effects.SetRole, room, "bob", "guest"), inputs.CommandFailed
        )
        assert isinstance(bob.request(effects.Kick, room, "carol"), inputs.CommandDone)
        self.network.wait(3)
        assert carol.of(inputs.RoomLeft)
        assert isinstance(alice.request(effects.Unban, room, "carol"), inputs.CommandDone)
        assert isinstance(bob.request(effects.Kick, room, "nobody"), inputs.CommandFailed)
        codes = {one.request(sealed.RoomCode, room).text.partition(": ")[2] for one in (alice, bob)}
        assert len(codes) == 1

    def account(self, one: Person) -> bytes:
        return one.link.sealed.require_own().identity.account

    def test_the_last_administrator_stays_and_others_leave(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        refused = alice.request(effects.Leave, room)
        assert isinstance(refused, inputs.CommandFailed)
        assert isinstance(bob.request(effects.Leave, room), inputs.RoomLeft)
        self.network.wait(5)
        state = alice.link.sealed.opened.room(room)
        assert state is not None
        assert len(state.members) == 1
        self.bring(alice, bob, room)
        self.say(alice, "welcome back", room)
        assert "welcome back" in bob.texts(room)

    def test_invitations_are_listed_declined_and_not_repeated(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        alice.request(effects.InviteUser, room, "bob")
        assert [one.by for one in bob.request(sealed.ListInvites).invites] == ["alice"]
        assert isinstance(bob.request(sealed.DeclineInvite, "alice"), inputs.CommandDone)
        assert bob.request(sealed.ListInvites).invites == ()
        assert isinstance(bob.request(sealed.AcceptInvite, "alice"), inputs.CommandFailed)
        assert isinstance(alice.request(effects.InviteUser, room, "zoe"), inputs.CommandFailed)

    def test_codes_let_in_as_many_as_they_are_for(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        made = alice.request(sealed.MakeCode, room, 1)
        assert isinstance(made, told.CodeMade)
        self.network.wait(2)
        assert isinstance(bob.request(sealed.JoinByCode, made.code), inputs.CommandDone)
        self.network.wait(8)
        assert bob.link.sealed.opened.room(room) is not None
        assert bob.link.sealed.title(room) == "attic"
        assert isinstance(carol.request(sealed.JoinByCode, made.code), inputs.CommandFailed)
        wrong = made.code[:-1] + ("a" if made.code[-1] != "a" else "b")
        assert isinstance(carol.request(sealed.JoinByCode, wrong), inputs.CommandFailed)
        assert isinstance(bob.request(sealed.MakeCode, room, 1), inputs.CommandFailed)
        second = alice.request(sealed.MakeCode, room, 3)
        self.network.wait(2)
        assert alice.request(sealed.EndCode, room).text.startswith("1 code")
        self.network.wait(2)
        assert isinstance(carol.request(sealed.JoinByCode, second.code), inputs.CommandFailed)


class Devices(SealedTest):
    """More devices of one account."""

    def second(self, one: Person) -> Person:
        """Return another device of somebody, logged in and not linked."""
        other = Person(self.network, self.root / f"{one.name}-2", one.name)
        self.people.append(other)
        other.start()
        other.trust()
        other.login()
        self.network.wait(1)
        assert other.of(told.DeviceUnlinked)
        return other

    def words(self, one: Person) -> Secret:
        return Secret(" ".join(one.last(told.RecoveryWords).words))

    def test_by_the_recovery_words(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        other = self.second(bob)
        refused = other.request(sealed.LinkByWords, Secret("one two three"))
        assert isinstance(refused, inputs.CommandFailed)
        assert refused.code == "LC-WORDS"
        assert isinstance(
            other.request(sealed.LinkByWords, self.words(alice)), inputs.CommandFailed
        )
        assert isinstance(other.request(sealed.ListDevices), inputs.CommandFailed)
        assert isinstance(other.request(sealed.LinkByWords, self.words(bob)), inputs.CommandDone)
        self.network.wait(10)
        self.say(alice, "to both", room)
        assert "to both" in bob.texts(room)
        assert "to both" in other.texts(room)
        listed = other.request(sealed.ListDevices).devices
        assert [(one.here, one.primary, one.revoked) for one in listed] == [
            (False, True, False),
            (True, True, False),
        ]
        first = listed[0].id
        words = self.words(bob)
        done = other.request(sealed.RevokeDevice, first[:8], True)
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(10)
        self.say(alice, "after it was lost", room)
        assert "after it was lost" in other.texts(room)
        assert "after it was lost" not in bob.texts(room)
        assert isinstance(other.request(sealed.RevokeDevice, "nothing"), inputs.CommandFailed)
        # What the lost device could certify by ends with the words, and with nothing less.
        assert len(other.link.sealed.device.account_log.exposed) == 1
        other.refs += 1
        other.link.perform(sealed.Recover(other.refs, words))
        self.network.wait(10)
        assert isinstance(other.answer(other.refs), told.BackupTaken)
        assert not other.link.sealed.device.account_log.exposed

    def test_the_words_are_shown_until_they_are_kept(self) -> None:
        (alice,) = self.enter("alice")
        words = alice.last(told.RecoveryWords).words
        alice = self.again(alice).start()
        alice.do(sealed.Unlock(Secret("alice")))
        assert alice.last(told.RecoveryWords).words == words
        alice.do(sealed.WordsKept())
        alice = self.again(alice).start()
        alice.do(sealed.Unlock(Secret("alice")))
        assert not alice.of(told.RecoveryWords)

    def compare(self, one: Person, other: Person) -> tuple[Any, Any]:
        """Let somebody who was asked agree to compare; return what both see."""
        asked = other.last(told.ComparisonAsked)
        other.do(sealed.AnswerComparison(asked.number, True))
        self.network.wait(2)
        return one.last(told.Comparing), other.last(told.Comparing)

    def test_by_comparing_with_another_device(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        other = self.second(bob)
        assert isinstance(other.request(sealed.LinkDevice), told.Comparing)
        self.network.wait(1)
        mine, theirs = self.compare(other, bob)
        assert mine.link
        assert theirs.link
        assert (mine.words, mine.numbers) == (theirs.words, theirs.numbers)
        bob.do(sealed.Verdict(theirs.number, True))
        self.network.wait(1)
        assert not other.of(told.DeviceLinked), "not before it was compared here too"
        other.do(sealed.Verdict(mine.number, True))
        self.network.wait(10)
        assert other.of(told.DeviceLinked)
        self.say(alice, "to the new one", room)
        assert "to the new one" in other.texts(room)
        assert isinstance(other.request(sealed.RevokeDevice, "x"), inputs.CommandFailed)

    def test_a_code_that_differs_links_nothing(self) -> None:
        alice, bob = self.enter("alice", "bob")
        self.direct(alice, bob)
        other = self.second(bob)
        other.request(sealed.LinkDevice)
        self.network.wait(1)
        mine, theirs = self.compare(other, bob)
        bob.do(sealed.Verdict(theirs.number, False))
        self.network.wait(1)
        ended = other.last(told.ComparisonEnded)
        assert not ended.same
        other.do(sealed.Verdict(mine.number, True))
        self.network.wait(3)
        assert not other.of(told.DeviceLinked)
        assert not other.link.sealed.device.certified

    def test_an_identity_begun_anew_holds_what_it_should(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        other = self.second(bob)
        self.network.clock.advance(24 * 3600)
        self.network.wait(60)
        done = other.request(sealed.BeginAnew)
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(5)
        assert self.label(alice, room) == "E2E!"
        alice.say("not for a stranger", room)
        self.network.wait(3)
        assert alice.refused
        shown = alice.request(sealed.ShowIdentity, "bob")
        assert shown.changed
        wrong = " ".join(shown.number)
        assert isinstance(alice.request(sealed.AcceptIdentity, "bob", wrong), inputs.CommandFailed)
        right = " ".join(shown.changed)
        assert isinstance(alice.request(sealed.AcceptIdentity, "bob", right), inputs.CommandDone)
        pin = alice.link.sealed.directory.pin("bob")
        assert pin is not None
        assert pin.sureness is Sureness.FIRST_SIGHT
        assert pin.changed is None


class Verifying(SealedTest):
    """Comparing with people."""

    def test_by_a_short_code(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        assert isinstance(alice.request(sealed.VerifyPerson, "bob"), told.Comparing)
        self.network.wait(1)
        asked = bob.last(told.ComparisonAsked)
        assert (asked.name, asked.link) == ("alice", False)
        bob.do(sealed.AnswerComparison(asked.number, True))
        self.network.wait(2)
        mine, theirs = alice.last(told.Comparing), bob.last(told.Comparing)
        assert (mine.words, mine.numbers) == (theirs.words, theirs.numbers)
        alice.do(sealed.Verdict(mine.number, True))
        bob.do(sealed.Verdict(theirs.number, True))
        assert self.label(alice, room) == self.label(bob, room) == "E2E+"
        assert alice.last(told.ComparisonEnded).same

    def test_both_start_at_once(self) -> None:
        alice, bob = self.enter("alice", "bob")
        self.direct(alice, bob)
        alice.link.perform(sealed.VerifyPerson(900, "bob"))
        bob.link.perform(sealed.VerifyPerson(901, "alice"))
        self.network.wait(3)
        mine, theirs = alice.last(told.Comparing), bob.last(told.Comparing)
        assert mine.words
        assert mine.words == theirs.words
        alice.do(sealed.Verdict(mine.number, True))
        bob.do(sealed.Verdict(theirs.number, True))
        assert alice.last(told.ComparisonEnded).same
        assert bob.last(told.ComparisonEnded).same

    def test_refused_stopped_and_late(self) -> None:
        alice, bob = self.enter("alice", "bob")
        self.direct(alice, bob)
        assert isinstance(alice.request(sealed.VerifyPerson, "alice"), inputs.CommandFailed)
        alice.request(sealed.VerifyPerson, "bob")
        self.network.wait(1)
        bob.do(sealed.AnswerComparison(bob.last(told.ComparisonAsked).number, False))
        self.network.wait(1)
        assert not alice.last(told.ComparisonEnded).same
        started = alice.request(sealed.VerifyPerson, "bob")
        self.network.wait(1)
        alice.do(sealed.CancelComparison(started.number))
        self.network.wait(1)
        assert "stopped" in bob.last(told.ComparisonEnded).text
        alice.request(sealed.VerifyPerson, "bob")
        self.network.wait(660)
        assert not alice.last(told.ComparisonEnded).same

    def test_by_the_safety_number(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        shown = alice.request(sealed.ShowIdentity, "bob")
        assert shown.number == bob.request(sealed.ShowIdentity, "alice").number
        assert len(shown.qr) == 33
        assert shown.sureness == "first sight"
        wrong = " ".join(reversed(shown.number))
        assert isinstance(alice.request(sealed.MarkCompared, "bob", wrong), inputs.CommandFailed)
        right = " ".join(shown.number)
        assert isinstance(alice.request(sealed.MarkCompared, "bob", right), inputs.CommandDone)
        assert self.label(alice, room) == "E2E+"
        assert self.label(bob, room) == "E2E"
        assert isinstance(alice.request(sealed.AcceptIdentity, "bob", right), inputs.CommandFailed)


class Locked(SealedTest):
    """While the store is not open."""

    def test_nothing_is_sent_before_the_password(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "before", room)
        alice = self.again(alice).start()
        assert alice.of(told.StoreLocked)
        assert self.label(alice, room) == "E2E?"
        ticket = alice.say("while locked", room)
        self.network.wait(2)
        assert alice.refused[ticket] == "LC-LOCKED"
        assert isinstance(alice.request(sealed.ListDevices), inputs.CommandFailed)
        alice.do(sealed.Unlock(Secret("alice")))
        self.network.wait(8)
        assert alice.of(told.StoreOpened)
        self.say(alice, "after", room)
        assert bob.texts(room) == ["before", "after"]

    def test_a_changed_password_opens_the_same_store(self) -> None:
        (alice,) = self.enter("alice")
        done = alice.request(effects.ChangePassword, Secret("alice"), Secret("another one"))
        assert isinstance(done, inputs.CommandDone)
        alice = self.again(alice).start()
        alice.do(sealed.Unlock(Secret("another one")))
        assert alice.of(told.StoreOpened)
        assert alice.link.sealed.device.certified
