"""Reporting a message of an encrypted room: how it is asked, and that it arrives with its proof."""

import pytest
from sqlalchemy import select

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Question
from lairchat.e2ee.telling import told
from lairchat.features.reports import rules, tables
from lairchat.model import limits
from tests.client.network import Person as Device
from tests.client.scenes import NOON, Person, attic, said, secret
from tests.client.test_sealed import SealedTest

# -- on the screen ------------------------------------------------------------------------------------


def asked(person: Person, typed: str) -> Question:
    """Type a report; return what is asked before anything leaves."""
    assert person.enter(typed) == []
    question = person.state.dialog
    assert isinstance(question, Question), person.note
    return question


def test_it_asks_once_and_says_who_will_see_what() -> None:
    person = secret()
    question = asked(person, "/report #90 threatens me with his dog")
    for words in (
        "#90",
        "operators of this server",
        "this one message",
        "proof that alice wrote it",
    ):
        assert words in question.text
    (report,) = person.types("y")
    assert report == es.Report(report.ref, 7, 90, "threatens me with his dog")
    assert person.state.dialog is None


def test_no_is_no() -> None:
    person = secret()
    asked(person, "/report #90 x")
    assert person.types("n") == []
    assert not any(isinstance(one, es.Report) for one in person.did)


def test_what_was_typed_comes_back_if_it_is_refused() -> None:
    person = secret()
    asked(person, "/report #90 threatens me")
    (report,) = person.types("y")
    person.link(i.CommandFailed(report.ref, "LC-REPORT-PROOF", "this device cannot prove it"))
    assert person.input == "/report #90 threatens me"


@pytest.mark.parametrize(
    "change",
    [
        i.Message(90, NOON, "alice", "quite another text", edited=1),
        i.Message(90, NOON, "alice", "", "gone"),
        None,
    ],
)
def test_what_has_changed_meanwhile_is_looked_at_again(change: i.Message | None) -> None:
    """Else somebody could have a kind word shown in the place of the one that was reported."""
    person = secret()
    asked(person, "/report #90 threatens me")
    person.link(s.MessageChanged(7, change) if change else s.MessagesGone(7, (90,)))
    assert person.types("y") == []
    assert "look at it again" in person.note


def test_of_an_edited_message_another_edit_is_seen_as_well() -> None:
    """It says "edited" before and after: how often has to be compared."""
    person = secret()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "I know where", edited=1)))
    asked(person, "/report #90 threatens me")
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "have a nice day", edited=2)))
    assert person.types("y") == []
    assert "look at it again" in person.note


def test_what_was_agreed_to_leaves_with_how_often_it_was_edited() -> None:
    person = secret()
    person.link(s.MessageChanged(7, i.Message(90, NOON, "alice", "I know where", edited=3)))
    asked(person, "/report #90 threatens me")
    (report,) = person.types("y")
    assert report.edited == 3


def test_reactions_and_votes_that_come_meanwhile_change_nothing() -> None:
    person = secret()
    asked(person, "/report #90 threatens me")
    text = next(one.text for one in person.room.window.items if one.order == (90, 0))
    person.link(
        s.MessageChanged(7, i.Message(90, NOON, "alice", text, reactions=(("+1", 9, True),)))
    )
    assert len(person.types("y")) == 1


def test_a_room_that_is_left_meanwhile_shows_nothing() -> None:
    person = secret()
    asked(person, "/report #90 threatens me")
    person.link(i.RoomLeft(7))
    assert person.types("y") == []
    assert "look at it again" in person.note


# What was said in a room that somebody has put one out of is no longer on the screen.


def searched(person: Person, *found: tuple[int, i.Message]) -> None:
    """Look for something, find it, and close the page."""
    (search,) = person.enter("/search where")
    person.link(s.Found(found, search.ref))
    person.key("esc")


THREAT = i.Message(120, NOON, "alice", "I know where you live", edited=1)


def test_what_a_search_finds_in_a_room_that_was_left_is_reported_from_anywhere() -> None:
    person = attic()
    (search,) = person.enter("/search where")
    person.link(s.Found(((70, THREAT),), search.ref))
    assert "(left) 70 #120  alice  I know where you live" in person.screen()
    person.key("esc")
    question = asked(person, "/report 70#120 threatens me")
    assert "proof that alice wrote it" in question.text
    (report,) = person.types("y")
    assert report == es.Report(report.ref, 70, 120, "threatens me", 1)


@pytest.mark.parametrize(
    "typed",
    ["/report 70#121 x", "/report 71#120 x", "/report 070#120 x", f"/report {'9' * 5_000}#1 x", "/report 7#90 x"],
)  # fmt: skip
def test_only_what_the_last_search_has_shown_of_a_room_left(typed: str) -> None:
    person = secret()
    searched(person, (70, THREAT), (7, said(90, 7, "alice", "where")))
    assert person.enter(typed) == []
    assert "the last search has found no" in person.note
    assert person.input == typed


def test_of_rooms_left_too_a_reason_is_asked_for_and_one_s_own_is_not_reported() -> None:
    person = secret()
    mine = i.Message(121, NOON, "you", "where?")
    searched(person, (70, THREAT), (70, mine))
    for typed, why in (("/report 70#120", "is missing"), ("/report 70#121 x", "your own message")):
        assert person.enter(typed) == []
        assert why in person.note
        person.key("ctrl-c")


def test_what_was_found_is_not_the_next_account_s() -> None:
    person = attic()
    searched(person, (70, THREAT))
    person.link(i.LoggedOut("over"))
    assert person.state.found == {}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/report", "is missing"),
        ("/report #90", "is missing"),
        ("/report #90 " + "x" * (limits.REASON_CHARS + 1), "shorten it"),
        ("/report #5 rude", "no message #5"),
        ("/report #99 rude", "your own message"),
        ("/report rude", "which message"),
    ],
)
def test_what_cannot_be_reported_stays(typed: str, why: str) -> None:
    person = secret()
    assert person.enter(typed) == []
    assert why in person.note
    assert person.state.dialog is None
    assert person.input == typed


def test_a_reason_has_a_length() -> None:
    person = secret()
    asked(person, "/report #90 " + "x" * limits.REASON_CHARS)


def test_it_is_for_encrypted_rooms() -> None:
    person = attic()
    assert person.enter("/report #90 x") == []
    assert "for encrypted rooms" in person.note


def test_offline_it_waits_in_the_input() -> None:
    person = secret()
    person.state.phase = "connecting"
    for typed in ("/report #90 rude",):
        assert person.enter(typed) == []
        assert person.input == typed


def test_in_a_held_room_the_change_that_was_refused_is_reported() -> None:
    person = secret()
    person.link(i.RoomChanged(7, label="E2E!", hold="somebody changed it against its rules"))
    question = asked(person, "/report who does such a thing?")
    assert "nothing that was said" in question.text
    (report,) = person.types("y")
    assert report == es.Report(report.ref, 7, 0, "who does such a thing?")


def test_a_letter_begins_a_report_of_the_selected_message() -> None:
    person = secret()
    person.link(i.MessageArrived(7, said(120, 7, "bob", "I know where you live")))
    person.key("ctrl-up")
    assert person.types("!") == []
    assert person.input == "/report #120 "
    assert person.state.selected is None
    assert "what is wrong" in person.note


def test_the_letter_reports_neither_one_s_own_nor_over_a_draft() -> None:
    person = secret()
    person.key("ctrl-up")
    person.types("!")
    assert "your own message" in person.note
    assert person.input == ""
    person.key("esc")
    person.link(i.MessageArrived(7, said(120, 7, "bob", "hello")))
    person.types("a draft")
    person.key("ctrl-up")
    person.types("!")
    assert "finish what is in the input first" in person.note
    assert person.input == "a draft"


# -- between devices -----------------------------------------------------------------------------------


class Between(SealedTest):
    """The same with clients and a server."""

    def report(
        self, one: Device, room: int, seq: int, reason: str = "rude", edited: int = 0
    ) -> inputs.Input:
        answer = one.request(es.Report, room, seq, reason, edited)
        self.network.wait(1)
        return answer

    def kept(self) -> list[tuple[str, str]]:
        """Return what the server has of each report: the text as it was signed, and the reason."""
        rows = self.network.server.look(
            lambda c: c.execute(select(tables.reports.c.content, tables.reports.c.reason)).all()
        )
        return [
            ("" if content is None else told(rules.statement(content).data).text, reason)
            for content, reason in rows
        ]

    def failed(self, answer: inputs.Input) -> str:
        assert isinstance(answer, inputs.CommandFailed), answer
        return answer.code

    def test_a_message_arrives_with_its_proof(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        for text in ("one", "two", "three"):
            self.say(bob, text, room)
        done = self.report(alice, room, self.seq(alice, room, "two"))
        assert isinstance(done, inputs.CommandDone)
        assert "report 1" in done.text
        assert self.kept() == [("two", "rude")]

    def test_of_what_was_edited_the_words_that_are_there_now(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(bob, "nice", room)
        seq = self.seq(alice, room, "nice")
        bob.request(es.Change, room, seq, "nasty")
        self.network.wait(2)
        alice.request(es.React, room, seq, "-1")
        self.network.wait(2)
        assert isinstance(self.report(alice, room, seq, edited=1), inputs.CommandDone)
        assert self.kept() == [("nasty", "rude")]

    def test_an_edit_that_overtakes_the_answer_is_not_what_was_agreed_to(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(bob, "nasty", room)
        seq = self.seq(alice, room, "nasty")
        bob.request(es.Change, room, seq, "nice")
        self.network.wait(2)
        assert self.failed(self.report(alice, room, seq, edited=0)) == "LC-REPORT-CHANGED"
        assert self.kept() == []

    def test_who_was_put_out_finds_it_and_reports_it(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.say(alice, "I know where you live", room)
        seq = self.seq(bob, room, "I know where you live")
        assert isinstance(alice.request(effects.Kick, room, "bob"), inputs.CommandDone)
        self.network.wait(3)
        assert bob.of(inputs.RoomLeft)
        assert bob.link.sealed.opened.room(room) is None
        found = bob.request(es.Search, "live", 0)
        assert [(one, message.seq) for one, message in found.messages] == [(room, seq)]
        assert isinstance(self.report(bob, room, seq), inputs.CommandDone)
        assert self.kept() == [("I know where you live", "rude")]

    def test_a_poll_with_its_answers(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        bob.request(es.AskAll, room, "who?", ("alice", "carol"))
        self.network.wait(2)
        (seq,) = [seq for seq, one in alice.shown[room].items() if one.text.startswith("poll: ")]
        alice.request(es.PickAnswers, room, seq, (0,))
        self.network.wait(2)
        self.report(alice, room, seq)
        assert self.kept() == [("who?\n- alice\n- carol", "rude")]

    def test_one_s_own_deleted_and_unknown_messages_are_not_reported(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "mine", room)
        self.say(bob, "gone soon", room)
        seq = self.seq(alice, room, "gone soon")
        assert self.failed(self.report(alice, room, self.seq(alice, room, "mine"))) == (
            "LC-REPORT-PROOF"
        )
        bob.request(es.TakeBack, room, seq)
        self.network.wait(2)
        for place in (seq, 999):
            assert self.failed(self.report(alice, room, place)) == "LC-MESSAGE-ABSENT"
        assert self.kept() == []

    def test_what_is_known_from_the_backup_alone_is_not_proven(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(bob, "hello", room)
        seq = self.seq(alice, room, "hello")
        store = alice.link.sealed.opened
        with store._database.writing() as connection:
            connection.execute("UPDATE messages SET proof = NULL")
        answer = self.report(alice, room, seq)
        assert self.failed(answer) == "LC-REPORT-PROOF"

    def test_a_change_that_was_refused_is_named_by_what_the_device_has_followed(self) -> None:
        from dataclasses import replace

        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        assert self.failed(self.report(bob, room, 0)) == "LC-REPORT-NOTHING"
        store = bob.link.sealed.opened
        before = store.room(room)
        assert before is not None
        alice.request(effects.SetRole, room, "bob", "moderator")
        self.network.wait(2)
        after = store.room(room)
        assert after is not None
        assert after.group.context.epoch == before.group.context.epoch + 1
        # As if bob's device had refused it, and followed only the chain of the log since.
        store._rooms[room] = replace(after, group=before.group, halted="not allowed\x1b[2J")
        done = self.report(bob, room, 0, "who does that?")
        assert isinstance(done, inputs.CommandDone)
        (row,) = self.network.server.look(lambda c: c.execute(select(tables.reports)).all())
        assert (row.content, row.reason) == (None, "who does that?")
        assert row.epoch == after.group.context.epoch
        assert "\x1b" not in row.why
        assert row.author == alice.link.sealed.session.user

    def test_the_store_of_a_room_that_one_is_not_in_has_nothing(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        alice.link.sealed.opened.leave(room)
        assert self.failed(self.report(alice, room, 0)) == "LC-REPORT-NOTHING"
        assert bob.name == "bob"
