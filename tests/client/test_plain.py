"""The face without a screen: the same brain, one line for each event, no escapes (target 14)."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.boot import new_state
from lairchat.client.plain import Plain
from tests.client.scenes import (
    FINGERPRINT,
    MINUTE,
    NOON,
    NUMBER,
    RECOVERY,
    SEVEN,
    WORDS,
    qr,
    said,
)
from tests.client.test_update_any import events, words


class Reader:
    """Somebody with a pipe: lines in, lines out."""

    def __init__(self, *, piped: bool = False) -> None:
        state = new_state([])
        state.local_time = time.gmtime
        self.face = Plain(state, "standard input is not a terminal", piped=piped)
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


def online(*, piped: bool = False) -> Reader:
    reader = Reader(piped=piped)
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
    assert reader.face.prompt() == ""
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
    reader.says("correct horse")
    assert isinstance(reader.did[-1], e.Register)
    reader.link(i.AccountRefused("LC-NAME-TAKEN", "taken", "name"))
    assert reader.face.prompt() == "Name [alice]: "
    reader.link(i.AccountRefused("LC-X", "again", "mode"))
    reader.says("2")
    reader.link(i.AccountRefused("LC-X", "again", "mode"))
    reader.says("")


def test_a_form_that_is_refused_later_says_so() -> None:
    reader = online()
    reader.says("/password", "old", "new password", "new password")
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


def sends(reader: Reader) -> list[tuple[int, str]]:
    return [(one.room, one.text) for one in reader.did if isinstance(one, e.Send)]


def arrive(reader: Reader, *rooms: str) -> None:
    """Log in and show the rooms."""
    reader.link(
        i.Connecting("h", 1),
        i.Connected(),
        i.LoggedIn("alice", 1),
        i.RoomsSynced(tuple(i.RoomInfo(n, name) for n, name in enumerate(rooms, 1))),
    )


def test_lines_of_a_pipe_wait_for_whoever_takes_them() -> None:
    """A script may write everything at once; each line finds its place, in order."""
    reader = Reader(piped=True)
    lines = reader.says("t", "alice", "correct horse", "/join #lobby", "hello", "/join #ops")
    lines += reader.says("for ops", "/quit")
    assert any("held" in line for line in lines)
    assert reader.did == []
    assert not reader.face.end_of_input()[1]
    reader.link(i.Connecting("h", 1), i.TrustQuestion("h", 1, WORDS, FINGERPRINT))
    assert reader.did == [e.TrustAnswer(True)]
    reader.link(i.Connected(), i.AccountNeeded("h", "register", registration="open"))
    register = reader.did[-1]
    assert isinstance(register, e.Register)
    assert (register.name, register.password.reveal()) == ("alice", "correct horse")
    reader.link(i.LoggedIn("alice", 1))
    assert sends(reader) == []
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
    assert not reader.face.failed


def test_a_script_that_runs_again_does_not_say_its_password_in_the_lobby() -> None:
    """The session of the first run is still good: nobody asks for name and password now."""
    reader = Reader(piped=True)
    reader.says("alice", "correct horse", "hello")
    arrive(reader, "lobby")
    assert sends(reader) == []
    assert any("3 lines not sent" in line for line in reader.lines)
    assert not any("correct horse" in line for line in reader.lines)
    reader.says("correct horse")  # written after a pause, and still no answer to anything
    assert sends(reader) == []
    reader.says("/join #lobby", "hello")
    assert sends(reader) == [(1, "hello")]
    assert reader.face.failed


def test_a_form_that_refuses_a_pipe_ends_the_program() -> None:
    """What comes behind a refused password is the next password, or a message: nobody can tell."""
    reader = Reader(piped=True)
    reader.link(i.Connected(), i.AccountNeeded("h", "register", "alice", registration="open"))
    lines = reader.says("", "short", "a longer password", "/join #lobby", "a longer password")
    assert any("too short" in line for line in lines)
    assert reader.did == [e.Quit()]
    assert reader.face.failed
    arrive(reader, "lobby")
    assert sends(reader) == []


def test_a_server_that_refuses_the_password_of_a_pipe_ends_the_program() -> None:
    reader = Reader(piped=True)
    reader.link(i.Connected(), i.AccountNeeded("h", "login", "alice"))
    reader.says("", "wrong", "/join #lobby", "hello")
    lines = reader.link(i.AccountRefused("LC-AUTH-FAILED", "name or password is wrong"))
    assert any("LC-AUTH-FAILED" in line for line in lines)
    assert reader.did[-1] == e.Quit()
    assert reader.face.failed


def test_at_a_terminal_a_form_asks_again_and_forgets_what_was_typed_ahead() -> None:
    reader = Reader()
    reader.link(i.Connected(), i.AccountNeeded("h", "login", "alice"))
    reader.says("", "wrong", "hello", "/quit")
    lines = reader.link(i.AccountRefused("LC-AUTH-FAILED", "name or password is wrong"))
    assert any("2 lines not sent" in line for line in lines)
    assert reader.face.prompt() == "Password: "
    assert [type(one) for one in reader.did] == [e.Login]
    reader.says("right")
    assert isinstance(reader.did[-1], e.Login)


def test_a_password_typed_again_while_the_first_is_judged_is_not_said() -> None:
    reader = Reader()
    reader.link(i.Connected(), i.AccountNeeded("h", "login", "alice"))
    reader.says("", "the password", "the pass word")
    arrive(reader, "lobby")
    assert sends(reader) == []
    assert any("1 line not sent" in line for line in reader.lines)
    reader.says("hello")
    assert sends(reader) == [(1, "hello")]
    assert not reader.face.failed


def test_a_change_of_password_that_cannot_begin_says_no_password() -> None:
    for piped in (False, True):
        reader = online(piped=piped)
        reader.says("/join #lobby", "/names", "/password", "old", "new and long", "new and long")
        reader.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
        names = next(one for one in reader.did if isinstance(one, e.ListMembers) and one.ref)
        reader.link(i.CommandFailed(names.ref, "LC-NET-LOST", "lost"))
        assert sends(reader) == []


@pytest.mark.parametrize("line", ["/join #nowhere", "/msg nobody", "/jion #ops"])
def test_a_refused_command_takes_what_was_meant_for_after_it_along(line: str) -> None:
    """It would be said in the room that is still open: to other people than it was written for."""
    for piped in (False, True):
        reader = online(piped=piped)
        reader.says("/join #lobby", line, "for the other room")
        asked = [one for one in reader.did if isinstance(one, e.Join | e.OpenDirect)]
        for one in asked:
            reader.link(i.CommandFailed(one.ref, "LC-ROOM-UNKNOWN", "no such room"))
        later = sends(reader) if piped or asked else []
        assert later == []
        reader.says("and this")
        if piped:
            assert sends(reader) == []
        assert reader.face.failed == piped


def test_a_reconnect_leaves_the_password_form_to_whoever_answers_it() -> None:
    reader = online()
    reader.says("/password", "old")
    reader.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    arrive(reader, "lobby")
    assert reader.face.prompt() == "New password: "
    reader.says("new and long", "new and long")
    assert sends(reader) == []
    assert isinstance(reader.did[-1], e.ChangePassword)


def test_a_line_that_was_being_typed_for_another_room_is_not_said() -> None:
    reader = online()
    reader.says("/join #attic")
    reader.link(i.RoomLeft(2, "you were put out of #attic"))
    assert reader.face.prompt() == "!lobby> "
    lines = reader.says("between us in the attic")
    assert sends(reader) == []
    assert any("1 line not sent" in line for line in lines)
    reader.says("hello")
    assert sends(reader) == [(1, "hello")]


@pytest.mark.parametrize("line", ["tom", "that is me", "f1", "quite", ""])
def test_only_a_whole_word_trusts_a_server(line: str) -> None:
    """A script's first line may be a name that begins with t."""
    for piped in (False, True):
        reader = Reader(piped=piped)
        reader.link(i.Connecting("h", 1), i.TrustQuestion("h", 1, WORDS, FINGERPRINT))
        reader.says(line)
        assert not any(isinstance(one, e.TrustAnswer) for one in reader.did)
        assert (e.Quit() in reader.did) == piped
        assert reader.face.failed == piped


def test_a_line_that_begins_with_y_is_no_yes() -> None:
    reader = online()
    reader.says(" /quit", "yesterday I said something")
    assert sends(reader) == []
    assert reader.state.dialogs == []


def test_a_script_that_answers_too_little_has_failed() -> None:
    reader = Reader(piped=True)
    reader.link(i.Connected(), i.AccountNeeded("h", "login", "alice"))
    reader.says("")
    assert reader.face.end_of_input()[1] == [e.Quit()]
    assert reader.face.failed


def test_a_message_of_a_pipe_that_is_refused_is_a_failure() -> None:
    reader = online(piped=True)
    reader.says("/join #lobby", "hello")
    sent = next(one for one in reader.did if isinstance(one, e.Send))
    reader.link(i.SendRefused(sent.ticket, "LC-RATE", "too fast", 1.0))
    assert not reader.face.failed
    reader.link(i.SendRefused(sent.ticket, "LC-ROOM-POSTING", "you may not write here"))
    assert reader.face.failed
    long = online(piped=True)
    long.says("/join #lobby", "x" * 5_000)
    assert long.face.failed


def test_lines_without_any_room_are_refused_once_that_is_known() -> None:
    reader = Reader()
    reader.link(i.Connecting("h", 1), i.Connected(), i.LoggedIn("you", 1), i.RoomsSynced(()))
    assert "no room is open" in reader.says("hello")[0]


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
        for line in (*reader.lines, reader.face.prompt()):
            assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in line)
        reader.lines.clear()


reported = events.filter(lambda one: not isinstance(one, i.Key | i.Text | i.Paste))
unnamed = words.filter(
    lambda text: not text.lower().startswith(("/join", "/msg", "/new", "/create"))
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(reported, unnamed, st.just("correct horse")), max_size=25))
def test_a_pipe_says_nothing_before_it_named_a_room(mixed: list[i.Input | str]) -> None:
    """Whatever happens in between: an answer that came too early or too late is no message."""
    reader = Reader(piped=True)
    for one in mixed:
        if isinstance(one, str):
            reader.says(one)
        else:
            reader.link(one)
        assert sends(reader) == []
        assert not any("correct horse" in line for line in reader.lines)


# -- encrypted rooms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("piped", [True, False])
def test_the_recovery_words_are_printed_and_y_answers(piped: bool) -> None:
    reader = online(piped=piped)
    lines = reader.link(s.RecoveryWords(RECOVERY))
    page = "\n".join(lines)
    assert all(f"{n} {word}" in page for n, word in enumerate(RECOVERY, 1))
    assert "y/N" in lines[-1]
    assert reader.face.prompt() == "y/N "
    reader.says("y")
    assert reader.did[-1] == es.WordsKept()
    assert reader.state.dialogs == []


def test_words_that_a_pipe_does_not_answer_are_in_nobodys_way() -> None:
    reader = online(piped=True)
    reader.says("/join #lobby")
    reader.link(s.RecoveryWords(RECOVERY))
    lines = reader.says("hello")
    assert [one.text for one in reader.did if isinstance(one, e.Send)] == ["hello"]
    assert any("shown again at the next start" in line for line in lines)
    assert not reader.face.failed
    reader.link(s.RecoveryWords(RECOVERY))
    reader.says("/join #attic")
    assert reader.state.room.title == "#attic"


def test_at_a_terminal_a_command_goes_on_and_other_lines_are_no_answer() -> None:
    reader = online()
    reader.link(s.RecoveryWords(RECOVERY))
    reader.says("what is this?")
    assert not any(isinstance(one, e.Send) for one in reader.did)
    reader.link(s.RecoveryWords(RECOVERY))
    reader.says("/join #attic")
    assert reader.state.room.title == "#attic"
    assert es.WordsKept() not in reader.did


def test_a_locked_store_asks_when_it_is_told_to() -> None:
    reader = online()
    lines = reader.link(s.StoreLocked())
    assert any("/unlock" in line for line in lines)
    assert reader.state.dialogs == []
    reader.says("/unlock")
    assert reader.face.prompt() == "Password: "
    assert reader.face.hides_input()
    reader.says("wrong")
    lines = reader.link(s.StoreLocked("LC-STORE-PASSWORD", "wrong password"))
    assert any("LC-STORE-PASSWORD" in line for line in lines)
    assert reader.face.prompt() == "Password: "
    reader.says("right")
    unlock = reader.did[-1]
    assert isinstance(unlock, es.Unlock)
    assert unlock.password.reveal() == "right"
    assert any("open" in line for line in reader.link(s.StoreOpened()))
    reader.says("hello")
    assert isinstance(reader.did[-1], e.Send)


def test_an_empty_line_leaves_a_form() -> None:
    reader = online()
    reader.link(s.StoreLocked())
    reader.says("/unlock", "")
    assert reader.state.dialogs == []


def test_a_pipe_ends_at_a_wrong_password() -> None:
    reader = online(piped=True)
    reader.link(s.StoreLocked())
    reader.says("/unlock", "wrong", "for a room")
    reader.link(s.StoreLocked("LC-STORE-PASSWORD", "wrong password"))
    assert e.Quit() in reader.did
    assert reader.face.failed
    assert not any(isinstance(one, e.Send) for one in reader.did)


def test_a_new_device_is_linked_by_words_in_lines() -> None:
    reader = online()
    assert any("/link" in line for line in reader.link(s.DeviceUnlinked(("laptop",))))
    lines = reader.says("/link")
    assert any("w  type your recovery words" in line for line in lines)
    assert reader.face.prompt() == "d w n "
    lines = reader.says("x")
    assert any("Nothing was chosen" in line for line in lines)
    reader.says("w", " ".join(RECOVERY))
    assert isinstance(reader.did[-1], es.LinkByWords)


def test_comparing_is_lines_too() -> None:
    reader = online()
    reader.says("/verify bob")
    ask = reader.did[-1]
    assert isinstance(ask, es.VerifyPerson)
    reader.link(s.Comparing(1, "bob", ref=ask.ref))
    assert reader.face.prompt() == "empty line: stop "
    lines = reader.link(s.Comparing(1, "bob", words=SEVEN, numbers=("4071", "8836", "1502")))
    assert any("1 dog  2 guitar" in line for line in lines)
    reader.says("y")
    assert reader.did[-1] == es.Verdict(1, True)
    assert any("verified" in line for line in reader.link(s.ComparisonEnded(1, True, "verified")))


def test_an_empty_line_stops_a_comparison_and_so_does_a_command() -> None:
    for line in ("", "/rooms"):
        reader = online()
        reader.link(s.Comparing(1, "bob"))
        reader.says(line)
        assert es.CancelComparison(1) in reader.did
        assert bool(line) is any(isinstance(one, e.ListRooms) for one in reader.did)


def test_codes_that_differ_are_an_alarm_in_lines() -> None:
    reader = online()
    reader.link(s.Comparing(1, "bob", words=SEVEN, numbers=("1", "2", "3")))
    lines = reader.says("n")
    assert any("The codes differ" in line for line in lines)
    assert reader.did[-1] == es.Verdict(1, False)
    assert reader.state.dialogs == []


def test_who_wants_to_compare_is_asked_for_in_lines() -> None:
    reader = online()
    lines = reader.link(s.ComparisonAsked(4, "bob"))
    assert any("bob wants to compare" in line for line in lines)
    reader.says("y")
    assert reader.did[-1] == es.AnswerComparison(4, True)
    reader.link(s.ComparisonAsked(5, "bob"))
    reader.says("/join #attic")
    assert es.AnswerComparison(5, False) in reader.did
    assert reader.state.room.title == "#attic"


def test_pages_are_lines_and_leave_nothing_open() -> None:
    reader = online()
    reader.says("/devices")
    ask = reader.did[-1]
    assert isinstance(ask, es.ListDevices)
    lines = reader.link(s.DevicesListed((s.Device("ab12", "laptop", NOON),), ask.ref))
    assert any("laptop" in line for line in lines)
    assert reader.state.dialogs == []
    reader.link(s.CodeMade("abcdefg-abcdefg", "for 1 person"))
    assert any("abcdefg-abcdefg" in line for line in reader.lines)
    assert reader.state.dialogs == []


def test_a_safety_number_is_read_and_answered_in_lines() -> None:
    reader = online()
    reader.says("/trust bob")
    ask = reader.did[-1]
    assert isinstance(ask, es.ShowIdentity)
    lines = reader.link(s.IdentityShown("bob", "first sight", NUMBER, qr(), ref=ask.ref))
    assert " ".join(NUMBER) in " ".join(" ".join(lines).split())
    assert not any("\u2588" in line or "####" in line for line in lines)
    reader.says("y", "y")
    assert isinstance(reader.did[-1], es.MarkCompared)


def test_what_changes_is_told() -> None:
    reader = online()
    lines = reader.link(
        i.RoomChanged(1, label="E2E!", hold="bob's identity changed. /verify bob"),
        i.MessageArrived(1, said(1, 0, "bob", "hi")),
        s.MessageChanged(1, i.Message(1, NOON, "bob", "hello", edited=1)),
        s.MessageChanged(1, i.Message(1, NOON, "bob", "hello", reactions=(("+1", 2, True),))),
        s.MessageChanged(1, i.Message(1, NOON, "bob", "", "gone")),
    )
    page = "\n".join(lines)
    assert "#lobby is E2E!: bob's identity changed. /verify bob" in page
    assert "bob edited #1: hello" in page
    assert "reactions to #1: +1 x2 (you)" in page
    assert "message #1 was deleted" in page
    assert reader.face.prompt() == "lobby E2E!> "
    reader.link(i.RoomChanged(1, label="E2E", hold=""))
    assert "#lobby is E2E: end-to-end encrypted, first-use trust" in "\n".join(reader.lines)


def test_a_held_room_tells_on_entering_it_what_to_do() -> None:
    reader = online()
    room = i.RoomInfo(5, "bob", direct=True, label="E2E!", hold="held. /trust bob")
    assert any("held. /trust bob" in line for line in reader.link(i.RoomJoined(room)))
    lines = reader.says("/join @bob", "hello")
    assert any("held. /trust bob" in line for line in lines)
    assert not any(isinstance(one, e.Send) for one in reader.did)


def test_edits_and_reactions_stand_in_what_was_said_before() -> None:
    reader = online()
    message = i.Message(1, NOON, "bob", "hello", edited=1, reactions=(("+1", 2, True),))
    reader.link(s.StoreOpened(), i.MessageArrived(1, message))
    assert "bob in lobby: hello (edited)" in reader.lines[-2]
    assert reader.lines[-1].strip() == "+1 x2 (you)"


def test_recovery_words_are_printed_once() -> None:
    reader = online()
    reader.link(s.RecoveryWords(RECOVERY))
    reader.says("y", "/goto top", "/status")
    assert sum("1 crouch" in line for line in reader.lines) == 1
    rooms = (*reader.state.rooms.values(), reader.state.console)
    assert not any("crouch" in item.text for room in rooms for item in room.window.items)
