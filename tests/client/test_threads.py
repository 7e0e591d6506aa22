"""Threads in encrypted rooms: as they are typed, sent, shown, and looked at by themselves."""

from typing import Any

import pytest

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Choices, Question
from lairchat.client.secret import Secret, Trace, WordsTrace
from lairchat.e2ee.payload import Target, Text
from lairchat.model import limits
from tests.client.network import Person as Device
from tests.client.scenes import NOON, RECOVERY, Person, attic, secret
from tests.client.test_sealed import SealedTest

ROOT = (90, "alice", "deploy finished")

# -- on the screen ------------------------------------------------------------------------------------


def begun() -> Person:
    """Return a room in which bob has spoken in the thread that alice's #90 begins."""
    person = secret()
    root = (90, "alice", "deploy finished\x1b[2J, see\nthere")
    person.link(i.MessageArrived(7, i.Message(100, NOON, "bob", "well done", thread=root)))
    return person


def page(person: Person) -> list[str]:
    dialog = person.state.dialog
    assert isinstance(dialog, Choices)
    return list(dialog.lines)


def test_a_message_shows_whose_thread_it_stands_in() -> None:
    screen = begun().screen()
    assert "| alice: deploy finished" in screen
    assert "\x1b" not in screen
    above, below = screen.split("| alice: deploy finished")
    assert "well done" in below
    assert "well done" not in above


def test_an_answer_in_a_thread_shows_both() -> None:
    person = secret()
    told = i.Message(100, NOON, "bob", "me too", reply=(91, "carol", "tea?"), thread=ROOT)
    person.link(i.MessageArrived(7, told))
    rows = person.screen().split("\n")
    (first,) = [n for n, row in enumerate(rows) if "| alice: deploy finished" in row]
    assert "> carol: tea?" in rows[first + 1]
    assert "me too" in rows[first + 2]


@pytest.mark.parametrize(("width", "height"), [(40, 12), (20, 6), (120, 40)])
def test_it_fits_any_width(width: int, height: int) -> None:
    rows = begun().screen(width, height).split("\n")
    assert all(len(row) <= width for row in rows)


def test_one_s_own_is_shown_at_once_and_sent_into_the_thread() -> None:
    person = secret()
    person.enter("/thread #90 done\nalready")
    sent = person.last(e.Send)
    assert sent == e.Send(sent.ticket, 7, "done\nalready", False, 0, 90)
    assert "| alice: deploy finished" in person.screen()
    echo = i.Message(100, NOON, "you", "done\nalready", ticket=sent.ticket, thread=ROOT)
    person.link(i.MessageArrived(7, echo))
    assert person.screen().count("| alice: deploy finished") == 1
    assert person.state.outbox == []


def test_in_a_thread_it_is_the_same_thread() -> None:
    person = begun()
    person.enter("/thread #100 me too")
    assert person.last(e.Send).thread == 100
    assert person.screen().count("| alice: deploy finished") == 2


def test_what_was_not_sent_comes_back_with_its_thread() -> None:
    person = begun()
    person.enter("/thread #100 done")
    sent = person.last(e.Send)
    person.link(i.SendRefused(sent.ticket, "LC-HELD", "held"))
    person.key("ctrl-up")
    assert e.Discard(sent.ticket) in person.types("e")
    assert person.input == "/thread #90 done"


def test_of_a_thread_of_which_nothing_is_here_it_does_not_go_to_the_room() -> None:
    person = secret()
    away = (-12, "", "a message that is not here")
    kept = i.OutboxItem(5, 7, "done", NOON, failed="held", thread=away)
    person.link(i.OutboxRestored((kept,)))
    assert "| a message that is not here" in person.screen()
    person.key("ctrl-up")
    person.types("e")
    assert person.input == "/thread #0 done"
    assert person.key("enter") == []
    assert "no message #0" in person.note


def test_what_waits_keeps_what_it_answers_over_a_restart() -> None:
    person = secret()
    kept = i.OutboxItem(5, 7, "done", NOON, failed="held", reply=ROOT)
    person.link(i.OutboxRestored((kept,)))
    assert "> alice: deploy finished" in person.screen()
    person.key("ctrl-up")
    person.types("e")
    assert person.input == "/reply #90 done"


def test_its_beginning_changes_and_goes_there_too() -> None:
    person = begun()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "deploy failed", edited=1)))
    assert "| alice: deploy failed" in person.screen()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "", "gone")))
    assert "| message deleted" in person.screen()
    person.link(s.MessagesGone(7, (90,)))
    assert "| a message that is not here" in person.screen()
    # It is still one thread.
    person.enter("/thread #100")
    assert any("well done" in line for line in page(person))


def test_the_page_has_the_thread_and_nothing_else() -> None:
    person = begun()
    person.link(i.MessageArrived(7, i.Message(101, NOON, "carol", "elsewhere")))
    person.link(i.MessageArrived(7, i.Message(102, NOON, "carol", "waves", "action", thread=ROOT)))
    person.enter("/thread #90 what now?")
    person.enter("/thread #102")
    lines = page(person)
    assert "#90  alice: deploy finished" in lines[0]
    assert lines[1] == ""
    assert [line.split("  ", 1)[1] for line in lines[2:]] == [
        "#100  bob: well done",
        "#102  * carol waves",
        "..  you: what now?",
    ]


def test_no_message_can_look_like_another_on_the_page() -> None:
    person = secret()
    text = "yes\n2026-11-22 12:00  #101  alice: no"
    person.link(i.MessageArrived(7, i.Message(100, NOON, "mallory", text, thread=ROOT)))
    # Nor be in its own thread.
    person.link(i.MessageArrived(7, i.Message(101, NOON, "mallory", "me", thread=(101, "me", ""))))
    person.enter("/thread #90")
    assert next(line for line in page(person) if "alice: no" in line).startswith("    ")
    person.key("esc")
    person.enter("/thread #101")
    assert len([line for line in page(person) if "mallory: me" in line]) == 1


def test_a_thread_that_has_not_begun_says_how() -> None:
    person = secret()
    person.enter("/thread #90")
    assert "nothing is said in this thread yet" in page(person)[-1]
    assert person.input == ""


def test_of_threads_whose_beginning_is_not_here_each_is_its_own() -> None:
    person = secret()
    for seq, place in ((100, -5), (101, -6), (102, -5)):
        away = (place, "", "a message that is not here")
        person.link(i.MessageArrived(7, i.Message(seq, NOON, "bob", f"n {seq}", thread=away)))
    person.enter("/thread #100")
    text = "\n".join(page(person))
    assert "n 100" in text
    assert "n 102" in text
    assert "n 101" not in text


def test_a_letter_speaks_in_the_thread_of_the_selected_message() -> None:
    person = secret()
    person.types("not yet")
    person.key("ctrl-up", "ctrl-up")
    order = person.state.selected
    assert order is not None
    person.types("t")
    assert person.input == f"/thread #{order[0]} not yet"
    assert "this thread" in person.note
    assert person.state.selected is None


def test_nothing_begins_while_something_is_edited() -> None:
    person = secret()
    person.enter("/edit")
    person.key("ctrl-u", "ctrl-up")
    person.types("e")
    assert person.room.editor.target
    person.key("ctrl-up")
    person.types("t")
    assert "finish" in person.note


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/thread", "is missing"),
        ("/thread #90 " + "x" * (limits.MESSAGE_CHARS + 1), "shorten it"),
        ("/thread #5 yes", "no message #5"),
        ("/thread x yes", "no message x"),
    ],
)
def test_what_cannot_be_sent_stays(typed: str, why: str) -> None:
    person = secret()
    person.types(typed)
    assert person.key("enter") == []
    assert why in person.note
    assert person.input == typed


def test_it_is_for_encrypted_rooms() -> None:
    person = attic()
    assert person.enter("/thread #90 x") == []
    assert "for encrypted rooms" in person.note
    assert person.input == "/thread #90 x"
    person.key("ctrl-u", "ctrl-up")
    person.types("t")
    person.key("enter")
    assert "for encrypted rooms" in person.note


@pytest.mark.parametrize(
    "typed",
    [
        "/thread #90 hunter22",
        "/thread #90\thunter22",
        "/reply #90\thunter22",
        "/reply #90  hunter22",
        f"/thread #90 {' '.join(RECOVERY)}",
        f"/thread #90\n{' '.join(RECOVERY)}",
    ],
)
def test_secrets_are_held_back(typed: str) -> None:
    person = secret()
    person.state.trace = Trace(Secret("hunter22"), b"k" * 32)
    person.state.words_trace = WordsTrace(RECOVERY, person.state.trace_key)
    person.enter(typed)
    assert person.sent() == []
    assert isinstance(person.state.dialog, Question)


# -- between devices -----------------------------------------------------------------------------------


class Between(SealedTest):
    """The same with two clients and a server."""

    def network_options(self) -> dict[str, Any]:
        return {"url": f"sqlite:///{self.root}/server.db"}

    def within(self, one: Device, text: str, room: int, seq: int) -> int:
        one.tickets += 1
        one.link.perform(e.Send(one.tickets, room, text, False, 0, seq))
        self.network.wait(2)
        return one.tickets

    def told(self, one: Device, room: int, text: str) -> i.Message:
        return next(m for m in one.shown[room].values() if m.text == text)

    def test_a_thread_goes_on_from_whichever_of_its_messages(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "tea?", room)
        seq = self.seq(bob, room, "tea?")
        self.within(bob, "yes", room, seq)
        self.within(alice, "green?", room, self.seq(alice, room, "yes"))
        for one in (alice, bob):
            for text in ("yes", "green?"):
                assert self.told(one, room, text).thread == (seq, "alice", "tea?")
        alice.request(es.TakeBack, room, seq)
        self.network.wait(2)
        again = self.again(bob).start()
        again.do(es.Unlock(Secret("bob")))
        self.network.wait(8)
        last = again.link.sealed.lines(room, limit=10).messages[-1]
        assert last.thread == (seq, "alice", "message deleted")

    def test_its_beginning_may_not_be_here(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        for text in ("one", "two"):
            self.say(alice, text, room)
        first, second = (self.seq(alice, room, text) for text in ("one", "two"))
        self.bring(alice, bob, room)
        self.within(alice, "to one", room, first)
        self.within(alice, "to two", room, second)
        one, two = (self.told(bob, room, text).thread for text in ("to one", "to two"))
        assert one is not None
        assert two is not None
        assert one[1:] == two[1:] == ("", "a message that is not here")
        assert one[0] < 0
        assert one[0] != two[0]
        # Bob goes on in it all the same; alice sees which it is.
        self.within(bob, "to one as well", room, self.seq(bob, room, "to one"))
        assert self.told(alice, room, "to one as well").thread == (first, "alice", "one")
        ticket = self.within(bob, "to nothing", room, first)
        assert bob.refused[ticket] == "LC-MESSAGE-ABSENT"

    def test_what_waits_keeps_its_thread_over_a_restart(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(bob, "tea?", room)
        seq = self.seq(alice, room, "tea?")
        self.network.down()
        alice.link.perform(e.Send(9, room, "yes", False, 0, seq))
        self.network.wait(1)
        again = self.again(alice)
        self.network.up()
        again.start()
        self.network.wait(2)
        again.do(es.Unlock(Secret("alice")))
        self.network.wait(20)
        (kept,) = again.last(i.OutboxRestored).items
        assert kept.thread == (seq, "bob", "tea?")
        assert self.told(bob, room, "yes").thread == (seq, "bob", "tea?")

    def test_a_thread_stays_one_when_its_beginning_has_disappeared(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        assert isinstance(alice.request(es.SetTimer, room, 60), i.CommandDone)
        self.say(alice, "tea?", room)
        seq = self.seq(bob, room, "tea?")
        assert isinstance(alice.request(es.SetTimer, room, 0), i.CommandDone)
        self.within(bob, "yes", room, seq)
        bob.do(e.MoveCursor(room, seq))
        self.network.wait(90)
        assert bob.last(s.MessagesGone).seqs == (seq,)
        self.within(bob, "green", room, self.seq(bob, room, "yes"))
        found = self.told(bob, room, "green").thread
        assert found is not None
        assert found[0] == seq
        assert "tea" not in found[2]

    def test_threads_of_two_people_are_two_though_their_ids_are_alike(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        away = bytes(16)
        own = [one.link.sealed.require_own().identity.account for one in (alice, bob)]
        for account in own:
            text = Text(account.hex(), thread=Target(account, away))
            alice.link.sealed.sending.say(room, text)
            self.network.wait(2)
        first, second = (self.told(bob, room, account.hex()).thread for account in own)
        assert first is not None
        assert second is not None
        assert first[0] < 0
        assert first[0] != second[0]
