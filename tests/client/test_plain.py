"""The face without a screen: the same brain, one line for each event, no escapes (target 14)."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.boot import new_state
from lairchat.client.plain import Plain
from tests.client.scenes import FINGERPRINT, MINUTE, NOON, WORDS, said
from tests.client.test_update_any import events, words


class Reader:
    """Somebody with a pipe: lines in, lines out."""

    def __init__(self) -> None:
        state = new_state([])
        state.local_time = time.gmtime
        self.face = Plain(state, "standard input is not a terminal")
        self.state = state
        self.lines: list[str] = []
        self.did: list[e.Effect] = []
        self.link(i.Tick(NOON))

    def link(self, *events: i.Input) -> list[str]:
        return self._took(*(self.face.receive(event) for event in events))

    def says(self, *lines: str) -> list[str]:
        return self._took(*(self.face.type_line(line) for line in lines))

    def _took(self, *outcomes: tuple[list[str], list[e.Effect]]) -> list[str]:
        new: list[str] = []
        for lines, wanted in outcomes:
            new += lines
            self.did += wanted
        self.lines += new
        return new


def online() -> Reader:
    reader = Reader()
    reader.link(
        i.Connecting("lair.example", 7023),
        i.Connected(),
        i.LoggedIn("you", 1),
        i.RoomsSynced((i.RoomInfo(1, "lobby", topic="hello", members=2), i.RoomInfo(2, "attic"))),
        i.HistoryPage(1, (), older=False, replace=True),
    )
    reader.lines.clear()
    return reader


def test_the_first_line_says_which_mode_and_why() -> None:
    (line,) = Reader().face.opening()
    assert "plain mode" in line
    assert "standard input is not a terminal" in line


def test_a_whole_session_from_trust_to_quitting() -> None:
    reader = Reader()
    reader.link(i.Connecting("chat.example.org", 7023))
    lines = reader.link(i.TrustQuestion("chat.example.org", 7023, WORDS, FINGERPRINT))
    assert any(WORDS in line for line in lines)
    assert any(FINGERPRINT in line for line in lines)
    assert reader.face.prompt().startswith("trust this server?")
    reader.says("t")
    assert reader.did == [e.TrustAnswer(True)]
    reader.link(i.Connected(), i.AccountNeeded("chat.example.org", "register", "you", "K7QF"))
    assert reader.face.prompt() == "Name [you]: "
    reader.says("alice")
    assert reader.face.prompt() == "Password: "
    assert reader.face.hides_input()
    reader.says("correct horse")
    register = reader.did[-1]
    assert isinstance(register, e.Register)
    assert (register.name, register.invite, register.password.reveal()) == (
        "alice",
        "K7QF",
        "correct horse",
    )
    reader.link(i.LoggedIn("alice", 2))
    lines = reader.link(i.RoomsSynced((i.RoomInfo(1, "lobby", topic="hello"),)))
    assert lines == ["12:00 -!- now in #lobby: hello (PLAIN, the server can read this room)"]
    assert reader.face.prompt() == "!lobby> "
    assert not reader.face.hides_input()
    reader.link(i.HistoryPage(1, (), older=False, replace=True))
    assert reader.says("hi there") == []
    sent = reader.did[-1]
    assert isinstance(sent, e.Send)
    reader.link(i.SendAcknowledged(sent.ticket, 1, NOON))
    assert reader.link(i.MessageArrived(1, said(2, 5, "bob", "hello @alice"))) == [
        "12:05 bob> in lobby: hello @alice"
    ]
    reader.says("/quit")
    assert reader.did[-1] == e.Quit()
    assert all(line.isprintable() for line in reader.lines)
    assert not any("correct horse" in line for line in reader.lines)


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (said(1, 5, "bob", "text"), ["12:05 bob in lobby: text"]),
        (said(1, 5, "bob", "two\nlines"), ["12:05 bob in lobby: two", "      lines"]),
        (said(1, 5, "bob", "waves", "action"), ["12:05 * bob in lobby waves"]),
        (said(1, 5, "", "dave joined", "state"), ["12:05 -- in lobby: dave joined"]),
        (said(1, 5, "you", "from my phone"), ["12:05 you in lobby: from my phone"]),
        (said(1, 5, "b\x1b[2Job", "\x1b[31mred\x07"), None),
    ],
)
def test_a_message_is_a_line(message: i.Message, lines: list[str] | None) -> None:
    found = online().link(i.MessageArrived(1, message))
    if lines is not None:
        assert found == lines
    assert all(line.isprintable() for line in found)


def test_direct_messages_name_the_peer() -> None:
    reader = online()
    reader.link(i.RoomJoined(i.RoomInfo(3, "bob", direct=True), show=False))
    assert reader.link(i.MessageArrived(3, said(1, 5, "bob", "psst"))) == [
        "12:05 bob in @bob: psst"
    ]
    reader.says("/msg bob")
    assert reader.face.prompt() == "!@bob> "


def test_a_message_is_printed_once() -> None:
    reader = online()
    event = i.MessageArrived(1, said(1, 5, "bob", "text"))
    assert len(reader.link(event, event)) == 1


def test_errors_and_answers_are_lines() -> None:
    reader = online()
    assert "did you mean /join" in reader.says("/jion x")[0].lower()
    assert "/join #ROOM" in "\n".join(reader.says("/help"))
    assert reader.says("/help quit")[0].endswith("/quit")
    reader.says("/rooms")
    lines = reader.link(i.RoomsListed((i.RoomListing("attic", "up", 3, True),), reader.did[-1].ref))
    assert any("> #attic" in line for line in lines)
    reader.says("/debug")
    assert any(line.startswith("      screen") for line in reader.lines)
    reader.says("/join #cellar")
    assert (
        "LC-ROOM-UNKNOWN"
        in reader.link(i.CommandFailed(reader.did[-1].ref, "LC-ROOM-UNKNOWN", "no such room"))[0]
    )
    assert reader.state.room.editor.text == ""


def test_questions_are_asked_in_lines() -> None:
    reader = online()
    assert "y/N" in reader.says(" /quit")[0]
    assert reader.face.prompt() == "y/N "
    reader.says("n")
    assert not any(isinstance(one, e.Send) for one in reader.did)
    reader.says(" /quit", "y")
    assert reader.did[-1].text == " /quit"
    reader.says(" /quit", "")
    assert reader.face.prompt() == "!lobby> "


def test_blank_lines_do_nothing() -> None:
    reader = online()
    assert reader.says("", "   ") == []
    assert reader.did == [one for one in reader.did if not isinstance(one, e.Send)]


def test_a_form_with_a_choice_an_error_and_a_refusal() -> None:
    reader = Reader()
    reader.link(i.Connected(), i.AccountNeeded("h", "login", ""))
    assert any(
        "name or password" in line
        for line in reader.link(
            i.AccountRefused("LC-AUTH-FAILED", "name or password is wrong", "mode")
        )
    )
    assert reader.face.prompt() == "Account (login, register): "
    reader.says("register")
    assert reader.face.prompt() == "Name: "
    assert any("Name is empty" in line for line in reader.says(""))
    reader.says("alice")
    assert reader.face.prompt() == "Invite: "
    reader.says("CODE")
    reader.says("pw pw pw")
    assert isinstance(reader.did[-1], e.Register)
    reader.link(i.AccountRefused("LC-NAME-TAKEN", "taken", "name"))
    assert reader.face.prompt() == "Name [alice]: "
    reader.link(i.AccountRefused("LC-X", "again", "mode"))
    reader.says("2")
    reader.link(i.AccountRefused("LC-X", "again", "mode"))
    reader.says("")


def test_a_form_that_is_refused_later_says_so() -> None:
    reader = online()
    reader.says("/password", "old", "new", "new")
    change = reader.did[-1]
    assert isinstance(change, e.ChangePassword)
    assert any(
        "LC-AUTH" in line
        for line in reader.link(i.CommandFailed(change.ref, "LC-AUTH-FAILED", "wrong"))
    )


def test_an_identity_that_changed_is_told_and_only_left() -> None:
    reader = Reader()
    lines = reader.link(i.IdentityChanged(WORDS, "delta plum", "AA", "BB"))
    text = "\n".join(lines)
    assert WORDS in text
    assert "delta plum" in text
    assert "lair serverkey --replace" in text
    assert reader.says("q") == []


def test_the_end_of_input_waits_for_what_was_typed() -> None:
    reader = online()
    reader.says("last words")
    _, wanted = reader.face.end_of_input()
    assert wanted == []
    sent = reader.did[-1]
    _, wanted = reader.face.receive(i.SendAcknowledged(sent.ticket, 1, NOON))
    assert wanted[-1] == e.Quit()
    assert not any(isinstance(one, e.Quit) for one in reader.face.receive(i.Tick(NOON + MINUTE))[1])


def test_the_end_of_input_before_there_is_a_connection_waits_for_it() -> None:
    reader = Reader()
    assert reader.face.end_of_input() == ([], [])
    _, wanted = reader.face.receive(i.Disconnected("LC-NET-REFUSED", "cannot reach it", 1.0))
    assert wanted == [e.Quit()]


def test_lines_of_a_pipe_wait_for_whoever_takes_them() -> None:
    """A script may write everything at once; each line finds its place, in order."""
    reader = Reader()
    lines = reader.says("t", "alice", "pw pw pw pw", "hello", "/join #ops", "for ops", "/quit")
    assert any("held" in line for line in lines)
    assert reader.did == []
    assert not reader.face.end_of_input()[1]
    reader.link(i.Connecting("h", 1), i.TrustQuestion("h", 1, WORDS, FINGERPRINT))
    assert reader.did == [e.TrustAnswer(True)]
    reader.link(i.Connected(), i.AccountNeeded("h", "register", registration="open"))
    register = reader.did[-1]
    assert isinstance(register, e.Register)
    assert (register.name, register.password.reveal()) == ("alice", "pw pw pw pw")
    reader.link(i.LoggedIn("alice", 1))
    assert not any(isinstance(one, e.Send) for one in reader.did)
    reader.link(i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    sent, join = [one for one in reader.did if isinstance(one, e.Send | e.Join)]
    assert (sent.room, sent.text, join.name) == (1, "hello", "ops")
    reader.link(i.RoomJoined(i.RoomInfo(2, "ops"), ref=join.ref))
    there = [one for one in reader.did if isinstance(one, e.Send)][-1]
    assert (there.room, there.text) == (2, "for ops")
    for one in (sent, there):
        assert reader.did[-1] != e.Quit()
        reader.link(i.SendAcknowledged(one.ticket, 1, NOON))
    assert reader.did[-1] == e.Quit()


def test_lines_without_any_room_are_refused_once_that_is_known() -> None:
    reader = Reader()
    reader.link(i.Connecting("h", 1), i.Connected(), i.LoggedIn("you", 1))
    assert reader.says("hello") == []
    assert "no room is open" in reader.link(i.RoomsSynced(()))[0]


def test_commands_that_need_nothing_run_at_once() -> None:
    reader = Reader()
    assert any("identity" in line for line in reader.says("/status"))
    reader.says("/quit")
    assert reader.did[-1] == e.Quit()


def test_quitting_waits_for_answers_and_for_what_is_on_its_way() -> None:
    reader = online()
    reader.says("hello", "/names", "/quit")
    names = reader.did[-1]
    assert isinstance(names, e.ListMembers)
    lines = reader.link(i.MembersListed(1, (i.Member("bob"),), names.ref))
    assert any("1 member" in line for line in lines)
    assert not isinstance(reader.did[-1], e.Quit)
    sent = next(one for one in reader.did if isinstance(one, e.Send))
    reader.link(i.SendAcknowledged(sent.ticket, 1, NOON))
    assert reader.did[-1] == e.Quit()


def test_an_invite_link_is_one_line() -> None:
    reader = online()
    reader.says("/invite")
    lines = reader.link(
        i.InviteCreated("lair://h:1/i/CODE?id=AB", "works once", reader.did[-1].ref)
    )
    assert lines[0].endswith("lair://h:1/i/CODE?id=AB")


def test_a_stop_for_good_ends_a_pipe() -> None:
    reader = Reader()
    reader.says("hello")
    reader.face.end_of_input()
    _, wanted = reader.face.receive(i.Halted("LC-VERSION", "too old"))
    assert wanted == [e.Quit()]


def test_a_note_before_any_time_has_no_clock() -> None:
    state = new_state([])
    face = Plain(state, "x")
    lines, _ = face.receive(i.Notice("early"))
    assert lines == ["--:-- -!- early"]
    assert face.prompt() == "> "


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(events, words), max_size=25))
def test_any_inputs_give_lines_without_controls(mixed: list[i.Input | str]) -> None:
    reader = Reader()
    for one in mixed:
        if isinstance(one, str):
            reader.says(one)
        else:
            reader.link(one)
        assert all(line.isprintable() or all(ord(c) >= 32 for c in line) for line in reader.lines)
        assert reader.face.prompt()
        reader.lines.clear()
