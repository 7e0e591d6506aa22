"""Enter sends, runs, or keeps the text with the reason; a paste never sends anything."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Question
from lairchat.client.secret import Secret
from lairchat.model.limits import MESSAGE_BYTES, MESSAGE_CHARS
from tests.client.scenes import Person, connected, in_lobby


def test_enter_sends_and_remembers() -> None:
    person = in_lobby()
    (sent,) = person.enter("hello")
    assert sent == e.Send(sent.ticket, 1, "hello", False)
    assert person.input == ""
    assert person.state.history.entries == ["hello"]
    assert "hello" in person.screen()


def test_nothing_is_sent_for_blanks() -> None:
    person = in_lobby()
    assert person.enter("   ") == []
    assert person.input == "   "


def test_two_slashes_send_a_text_that_begins_with_one() -> None:
    person = in_lobby()
    person.enter("//usr/bin")
    assert person.sent() == ["/usr/bin"]


@pytest.mark.parametrize(
    ("phase", "hint"),
    [
        ("starting", "stays here"),
        ("offline", "stays here"),
        ("online", "/join #lobby"),
        ("halted", "/join #lobby"),
    ],
)
def test_without_a_room_the_text_stays_with_the_reason(phase: str, hint: str) -> None:
    person = Person()
    person.state.phase = phase
    assert person.enter("hello") == []
    assert person.input == "hello"
    assert hint in person.note


def test_text_typed_before_there_was_a_room_waits_in_its_input() -> None:
    person = connected()
    person.enter("typed early")
    person.link(i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    assert person.room.title == "#lobby"
    assert person.input == "typed early"


@pytest.mark.parametrize(
    "text", ["x" * (MESSAGE_CHARS + 1), "\U0001f600" * (MESSAGE_BYTES // 4 + 1)]
)
def test_a_text_over_the_limit_stays_with_the_reason(text: str) -> None:
    person = in_lobby()
    assert person.enter(text) == []
    assert person.input == text
    assert "Nothing was sent" in person.note


def test_a_text_at_the_limit_is_sent() -> None:
    person = in_lobby()
    person.enter("\u65e5" * MESSAGE_CHARS)
    assert len(person.sent()[0]) == MESSAGE_CHARS


def test_a_text_of_few_characters_and_many_bytes_is_refused_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lairchat.model import limits

    monkeypatch.setattr(limits, "MESSAGE_BYTES", 10)
    person = in_lobby()
    assert person.enter("\u65e5" * 5) == []
    assert "10 bytes" in person.note


def test_offline_it_is_queued_and_says_so() -> None:
    person = in_lobby()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert len(person.enter("hello")) == 1
    assert "queued" in person.note
    assert ".." in person.screen()


def test_a_paste_sends_nothing_before_one_enter_and_then_one_message() -> None:
    """Target 11."""
    person = in_lobby()
    lines = "\r\n".join(f"paste line {n}" for n in range(12))
    assert person.link(i.Paste(lines)) == []
    assert "12 lines" in person.note
    assert len(person.key("enter")) == 1
    assert person.sent() == ["\n".join(f"paste line {n}" for n in range(12))]
    assert person.input == ""


def test_a_paste_that_looks_like_a_command_is_held() -> None:
    person = in_lobby()
    person.link(i.Paste("/usr/bin/python\n/bin/sh"))
    assert person.key("enter") == []
    assert isinstance(person.state.dialog, Question)
    person.types("n")
    assert person.input.startswith("/usr")
    person.key("enter")
    person.types("y")
    assert person.sent() == ["/usr/bin/python\n/bin/sh"]


def test_a_command_of_several_lines_that_takes_text_runs() -> None:
    person = in_lobby()
    person.link(i.Paste("/me waves\nand smiles"))
    person.key("enter")
    assert person.sent() == ["waves\nand smiles"]


def test_a_blank_before_a_command_is_held() -> None:
    person = in_lobby()
    person.enter(" /quit")
    assert "Send this" in person.screen()
    person.types("y")
    assert person.sent() == [" /quit"]


def test_a_held_text_that_changed_meanwhile_is_not_sent() -> None:
    person = in_lobby()
    person.enter(" /quit")
    dialog = person.state.dialog
    assert isinstance(dialog, Question)
    person.room.editor.set("something else")
    person.types("y")
    assert person.sent() == []
    assert person.input == "something else"


def test_the_password_typed_as_a_message_is_held() -> None:
    person = connected()
    person.link(i.LoggedOut(""))
    person.state.trace_key = b"k" * 32
    person.link(i.AccountNeeded("lair.example", name="you"))
    person.wait()
    person.key("enter")
    person.types("hunter22")
    (login,) = person.key("enter")
    assert login == e.Login("you", login.password)
    assert isinstance(login.password, Secret)
    assert login.password.reveal() == "hunter22"
    person.link(i.LoggedIn("you", 1), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    person.enter("hunter22")
    assert "looks like your password" in person.screen()
    person.types("n")
    assert person.sent() == []
    person.key("ctrl-u")
    person.enter("hunter22 is a film")
    assert person.sent() == ["hunter22 is a film"]


@pytest.mark.parametrize("line", ["/me hunter22", "/msg bob hunter22", "/topic hunter22"])
def test_the_password_behind_a_command_is_held_too(line: str) -> None:
    from lairchat.client.secret import Trace

    person = in_lobby()
    person.state.trace = Trace(Secret("hunter22"), b"k" * 32)
    assert person.enter(line) == []
    assert "looks like your password" in person.screen()
    assert person.types("n") == []
    assert person.input == line
    person.key("enter")
    assert len(person.types("y")) == 1
    person.enter("/me waves")
    assert person.sent()[-1] == "waves"


@pytest.mark.parametrize("line", ["/join #ops", "/new #ops", "/msg eve"])
def test_text_typed_while_another_room_is_coming_goes_there(line: str) -> None:
    """Pitfall 2: it must not land in the room that is still shown."""
    person = in_lobby()
    (ask,) = person.enter(line)
    assert person.enter("meant for the other room") == []
    assert person.input == "meant for the other room"
    assert f"waiting for {line}" in person.note
    person.link(i.RoomJoined(i.RoomInfo(9, "ops"), ref=ask.ref))
    assert person.room.title == "#ops"
    assert person.input == "meant for the other room"
    assert person.state.rooms[1].editor.text == ""
    (sent,) = person.key("enter")
    assert sent.room == 9


def test_when_the_other_room_does_not_come_the_text_stays() -> None:
    person = in_lobby()
    (ask,) = person.enter("/join #ops")
    person.enter("hello")
    person.link(i.CommandFailed(ask.ref, "LC-ROOM-UNKNOWN", "there is no room #ops"))
    assert person.input == "hello"
    assert len(person.key("enter")) == 1


def test_a_room_that_has_a_draft_keeps_it() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(9, "ops"), show=False))
    person.state.rooms[9].editor.set("older draft")
    ask = person.state.number()
    person.state.going = ask
    person.types("new text")
    person.link(i.RoomJoined(i.RoomInfo(9, "ops"), ref=ask))
    assert person.input == "older draft"
    assert person.state.rooms[1].editor.text == "new text"


def test_a_refused_login_leaves_no_trace() -> None:
    person = Person()
    person.state.trace_key = b"k" * 32
    person.link(i.Connected(), i.AccountNeeded("lair.example", name="you"))
    person.wait()
    person.key("enter")
    person.types("wrong")
    person.key("enter")
    person.link(i.AccountRefused("LC-AUTH-FAILED", "name or password is wrong"))
    assert person.state.trace_next is None
    assert person.state.trace is None


def test_an_unknown_command_stays_with_the_nearest_one() -> None:
    person = in_lobby()
    person.enter("/jion #ops")
    assert person.input == "/jion #ops"
    assert "/join" in person.note


def test_a_command_that_runs_leaves_the_input() -> None:
    person = in_lobby()
    person.enter("/join #ops")
    assert person.input == ""
    assert person.state.history.entries == ["/join #ops"]


@pytest.mark.parametrize("text", ["an answer", "/me waves", "//path", " /odd"])
@pytest.mark.parametrize("phase", ["online", "offline"])
def test_in_an_archived_room_the_text_stays_with_the_reason(text: str, phase: str) -> None:
    person = in_lobby()
    person.state.phase = phase
    person.link(i.RoomChanged(1, archived=True))
    assert person.enter(text) == []
    assert person.input == text
    assert person.note.startswith("LC-ROOM-ARCHIVED")
    assert "/new NAME" in person.note
    assert not person.state.dialogs
