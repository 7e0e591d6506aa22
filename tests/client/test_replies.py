"""Answers and polls in encrypted rooms: as they are typed, sent, shown, and changed afterwards."""

import pytest

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Question
from lairchat.client.secret import Secret, Trace, WordsTrace
from lairchat.e2ee.payload import Poll
from lairchat.model import limits
from tests.client.network import Person as Device
from tests.client.scenes import NOON, RECOVERY, Person, attic, secret
from tests.client.test_sealed import SealedTest

# -- on the screen ------------------------------------------------------------------------------------


def answered() -> Person:
    """Return a room in which bob has answered alice, of whom #90 is."""
    person = secret()
    reply = (90, "alice", "deploy finished\x1b[2J, see\nthere")
    person.link(i.MessageArrived(7, i.Message(100, NOON, "bob", "well done", reply=reply)))
    return person


def test_an_answer_shows_what_it_answers() -> None:
    page = answered().screen()
    assert "> alice: deploy finished" in page
    assert "\x1b" not in page
    above, below = page.split("> alice: deploy finished")
    assert "well done" in below
    assert "well done" not in above
    assert "there" not in below.split("well done")[0]


@pytest.mark.parametrize(("width", "height"), [(40, 12), (20, 6), (120, 40)])
def test_it_takes_one_row_at_any_width(width: int, height: int) -> None:
    person = answered()
    rows = [row for row in person.screen(width, height).split("\n") if "> alice" in row]
    assert len(rows) <= 1
    assert all(len(row) <= width for row in rows)


def test_one_s_own_is_shown_at_once_and_sent_with_what_it_answers() -> None:
    person = secret()
    person.enter("/reply #90 done\nalready")
    sent = person.last(e.Send)
    assert sent == e.Send(sent.ticket, 7, "done\nalready", False, 90)
    assert "> alice: deploy finished" in person.screen()
    reply = (90, "alice", "deploy finished")
    echo = i.Message(100, NOON, "you", "done\nalready", ticket=sent.ticket, reply=reply)
    person.link(i.MessageArrived(7, echo))
    assert person.screen().count("> alice: deploy finished") == 1
    assert person.state.outbox == []


def test_what_was_not_sent_comes_back_as_an_answer() -> None:
    person = secret()
    person.enter("/reply #90 done")
    sent = person.last(e.Send)
    person.link(i.SendRefused(sent.ticket, "LC-HELD", "held"))
    person.key("ctrl-up")
    assert e.Discard(sent.ticket) in person.types("e")
    assert person.input == "/reply #90 done"


def test_what_is_answered_changes_and_goes_there_too() -> None:
    person = answered()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "deploy failed", edited=1)))
    assert "> alice: deploy failed" in person.screen()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "", "gone")))
    assert "> message deleted" in person.screen()
    assert "deploy f" not in person.screen().split("message deleted")[-1]


def test_what_has_disappeared_is_quoted_no_more() -> None:
    person = answered()
    person.link(s.MessagesGone(7, (90,)))
    assert "deploy finished" not in person.screen()
    assert "> a message that is not here" in person.screen()


def test_a_letter_answers_the_selected_message_with_what_is_typed() -> None:
    person = secret()
    person.types("not yet")
    person.key("ctrl-up", "ctrl-up")
    order = person.state.selected
    assert order is not None
    person.types("r")
    assert person.input == f"/reply #{order[0]} not yet"
    assert "answers" in person.note
    assert person.state.selected is None


def test_nothing_is_answered_while_something_is_edited() -> None:
    person = secret()
    person.enter("/edit")
    person.key("ctrl-u", "ctrl-up")
    person.types("e")
    assert person.room.editor.target
    person.key("ctrl-up")
    person.types("r")
    assert "finish" in person.note
    assert person.room.editor.target


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/reply", "is missing"),
        ("/reply #90", "is missing"),
        ("/reply #90 " + "x" * (limits.MESSAGE_CHARS + 1), "shorten it"),
        ("/reply #5 yes", "no message #5"),
        ("/reply x yes", "no message x"),
    ],
)
def test_an_answer_that_cannot_be_sent_stays(typed: str, why: str) -> None:
    person = secret()
    person.types(typed)
    assert person.key("enter") == []
    assert why in person.note
    assert person.input == typed


@pytest.mark.parametrize("typed", ["/reply #90 x", "/poll a? | b | c", "/vote 1 #90"])
def test_they_are_for_encrypted_rooms(typed: str) -> None:
    person = attic()
    assert person.enter(typed) == []
    assert "for encrypted rooms" in person.note
    assert person.input == typed


def test_recovery_words_are_held_back_from_an_answer_too() -> None:
    person = secret()
    words = " ".join(RECOVERY)
    person.state.words_trace = WordsTrace(RECOVERY, person.state.trace_key)
    person.enter(f"/reply #90 {words}")
    assert person.sent() == []
    assert isinstance(person.state.dialog, Question)


@pytest.mark.parametrize(
    "typed",
    [
        "/poll hunter22 | yes | no",
        "/poll many hunter22 | yes | no",
        "/poll tea? | yes | hunter22",
        "/poll n? " + "".join(f"| {n} " for n in range(19)) + "| hunter22",
        f"/poll {' '.join(RECOVERY)} | yes | no",
        f"/poll words? | {' | '.join(RECOVERY)}",
    ],
)
def test_secrets_are_held_back_from_a_poll_too(typed: str) -> None:
    person = secret()
    person.state.trace = Trace(Secret("hunter22"), b"k" * 32)
    person.state.words_trace = WordsTrace(RECOVERY, person.state.trace_key)
    assert person.enter(typed) == []
    assert isinstance(person.state.dialog, Question)
    assert person.types("n") == []
    assert person.input == typed


def test_a_poll_is_asked() -> None:
    (ask,) = secret().enter("/poll When do we meet? | at five |at six")
    assert ask == es.AskAll(ask.ref, 7, "When do we meet?", ("at five", "at six"), False)
    (ask,) = secret().enter("/poll many Which days? | mon | tue | wed")
    assert (ask.question, ask.many) == ("Which days?", True)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/poll", "2 to 20 answers"),
        ("/poll tea?", "2 to 20 answers"),
        ("/poll tea? | yes", "2 to 20 answers"),
        ("/poll tea? | yes | ", "2 to 20 answers"),
        ("/poll | yes | no", "2 to 20 answers"),
        ("/poll many | yes | no", "2 to 20 answers"),
        ("/poll tea? | yes | yes", "the same"),
        ("/poll n?" + "".join(f"|{n}" for n in range(21)), "2 to 20 answers"),
        ("/poll long? | no | " + "x" * (limits.POLL_OPTION_CHARS + 1), "200 characters"),
        ("/vote", "which answers"),
        ("/vote two #90", "which answers"),
        ("/vote -1 #90", "which answers"),
        ("/vote #90", "which answers"),
        ("/vote 0 1 #90", "takes the vote back"),
        ("/vote 1", "no poll here"),
    ],
)
def test_a_poll_or_vote_that_cannot_be_stays(typed: str, why: str) -> None:
    person = secret()
    assert person.enter(typed) == []
    assert why in person.note
    assert person.input == typed


def test_most_answers_and_the_longest() -> None:
    person = secret()
    typed = "/poll n?" + "".join(f"|{n}" for n in range(limits.POLL_OPTIONS - 1))
    (ask,) = person.enter(typed + "|" + "x" * limits.POLL_OPTION_CHARS)
    assert len(ask.options) == limits.POLL_OPTIONS


def test_answers_are_picked_in_the_last_poll_or_in_one_by_number() -> None:
    person = secret()
    for seq in (100, 101):
        text = "poll: tea?\n  1. yes  x0\n  2. no  x0"
        person.link(i.MessageArrived(7, i.Message(seq, NOON, "bob", text, poll=True)))
    # Whose words only look like one asks nothing.
    person.link(i.MessageArrived(7, i.Message(102, NOON, "bob", "poll: tea?\n  1. yes  x0")))
    assert person.enter("/vote 2")[0].seq == 101
    (vote,) = person.enter("/vote 2 1 #100")
    assert (vote.seq, vote.picks) == (100, (0, 1))
    assert person.enter("/vote 0")[0].picks == ()


def test_offline_polls_and_votes_wait_in_the_input() -> None:
    person = secret()
    person.state.phase = "connecting"
    for typed in ("/poll tea? | yes | no", "/vote 1 #90"):
        assert person.enter(typed) == []
        assert person.input == typed
        person.key("ctrl-u")


def test_where_nothing_is_encrypted_r_says_where_it_works() -> None:
    person = attic()
    person.key("ctrl-up")
    person.types("r")
    assert "for encrypted rooms" in person.note


# -- between devices -----------------------------------------------------------------------------------


class Between(SealedTest):
    """The same with two clients and a server."""

    def reply(self, one: Device, text: str, room: int, seq: int) -> int:
        one.tickets += 1
        one.link.perform(e.Send(one.tickets, room, text, False, seq))
        self.network.wait(2)
        return one.tickets

    def test_an_answer_arrives_with_what_it_answers(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "tea?", room)
        seq = self.seq(bob, room, "tea?")
        self.reply(bob, "yes", room, seq)
        for one in (alice, bob):
            found = next(m for m in one.shown[room].values() if m.text == "yes")
            assert found.reply == (seq, "alice", "tea?")
        alice.request(es.Change, room, seq, "tea now?")
        self.network.wait(2)
        alice.request(es.TakeBack, room, seq)
        self.network.wait(2)
        again = self.again(bob).start()
        again.do(es.Unlock(Secret("bob")))
        self.network.wait(8)
        page = again.link.sealed.lines(room, limit=10)
        assert page.messages[-1].reply == (seq, "alice", "message deleted")

    def test_what_it_answers_may_not_be_here(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.say(alice, "before you came", room)
        seq = self.seq(alice, room, "before you came")
        self.bring(alice, bob, room)
        self.reply(alice, "an answer to that", room, seq)
        found = next(m for m in bob.shown[room].values() if m.text == "an answer to that")
        assert found.reply == (0, "", "a message that is not here")
        ticket = self.reply(bob, "an answer to nothing", room, seq)
        assert bob.refused[ticket] == "LC-MESSAGE-ABSENT"

    def test_a_poll_is_answered_and_answers_are_taken_back(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        assert isinstance(alice.request(es.AskAll, room, "tea?", ("yes", "no")), i.CommandDone)
        self.network.wait(2)
        seq = self.seq(bob, room, "poll: tea?\n  1. yes  x0\n  2. no  x0")
        assert isinstance(bob.request(es.PickAnswers, room, seq, (0,)), i.CommandDone)
        self.network.wait(2)
        assert alice.last(s.MessageChanged).message.text == "poll: tea?\n  1. yes  x1\n  2. no  x0"
        assert bob.last(s.MessageChanged).message.text.endswith("1. yes  x1 (you)\n  2. no  x0")
        bob.request(es.PickAnswers, room, seq, (1,))
        self.network.wait(2)
        assert alice.last(s.MessageChanged).message.text.endswith("1. yes  x0\n  2. no  x1")
        bob.request(es.PickAnswers, room, seq, ())
        self.network.wait(2)
        assert alice.last(s.MessageChanged).message.text.endswith("1. yes  x0\n  2. no  x0")

    def test_a_poll_cannot_draw_rows_of_its_own(self) -> None:
        """Else "/vote 1" is for what the second row says, and who wrote it has the counts say anything."""
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        poll = Poll("tea?\n  1. no  x9", ["yes\n\n  2. no  x7 (you)", "\u2028no"])
        alice.link.sealed.sending.say(room, poll)
        self.network.wait(2)
        (shown,) = bob.texts(room)
        assert shown == "poll: tea? 1. no x9\n  1. yes 2. no x7 (you)  x0\n  2. no  x0"

    def test_votes_that_are_none_are_refused(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        alice.request(es.AskAll, room, "which?", ("a", "b"), True)
        self.say(alice, "no poll", room)
        poll = self.seq(bob, room, "poll: which?\n  1. a  x0\n  2. b  x0")
        text = self.seq(bob, room, "no poll")
        for seq, picks in ((poll, (2,)), (poll, (-1,)), (text, (0,)), (text + 1, (0,))):
            assert isinstance(bob.request(es.PickAnswers, room, seq, picks), i.CommandFailed)
        assert isinstance(bob.request(es.PickAnswers, room, poll, (0, 1)), i.CommandDone)
        alice.request(es.AskAll, room, "one?", ("a", "b"))
        self.network.wait(2)
        one = self.seq(bob, room, "poll: one?\n  1. a  x0\n  2. b  x0")
        assert isinstance(bob.request(es.PickAnswers, room, one, (0, 1)), i.CommandFailed)
