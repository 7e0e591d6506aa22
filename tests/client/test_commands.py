"""The table of slash commands: complete, consistent, documented; each command does what it says."""

import pytest

from lairchat.client import commands
from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.commands import COMMANDS, GROUPS
from lairchat.client.complete import COMPLETERS
from lairchat.client.help import help_lines
from tests.client.scenes import NOON, Person, attic, in_lobby, said, secret


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_every_command_explains_itself(command: commands.Command) -> None:
    assert command.usage.startswith(f"/{command.name}")
    assert command.example.startswith(f"/{command.name}")
    assert command.help
    assert command.group in GROUPS
    assert len(command.usage) + len(command.help) < 110
    assert all(name in COMPLETERS for name in command.complete)
    line = next(line for line in help_lines(in_lobby().state) if command.usage in line)
    assert command.help in line
    assert all(f"/{alias}" in line for alias in command.aliases)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_every_example_runs(command: commands.Command) -> None:
    person = secret()
    person.state.locked, person.state.unlinked = True, ()
    if command.name in {"recover", "backup"}:
        person.state.unlinked = None
    if command.name == "edit":
        person.link(i.MessageArrived(7, said(120, 7, "you", "at six")))
    elif command.name == "vote":
        person.link(i.MessageArrived(7, i.Message(120, NOON, "bob", "poll: tea?", poll=True)))
    elif command.name in {"delete", "react", "reply", "report", "thread"}:
        person.link(i.MessageArrived(7, said(120, 7, "bob", "at six")))
        person.link(i.RoomChanged(7, role="moderator"))
    elif command.name == "succeed":
        person.link(i.RoomJoined(i.RoomInfo(8, "old", access="private")))
    elif command.name == "refound":
        person.link(i.RoomChanged(7, label="E2E!", hold="a commit was refused. /refound"))
    person.enter(command.example)
    assert person.input == "" or person.state.dialog is not None
    assert "is missing" not in person.note
    assert "there is no /" not in person.note


def test_names_are_unique() -> None:
    names = [name for one in COMMANDS for name in (one.name, *one.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("word", "close"),
    [
        ("jion", "join"),
        ("quti", "quit"),
        ("hel", "help"),
        ("mgs", "msg"),
        ("topci", "topic"),
        ("xyzzy", ""),
        ("q", "quit"),
        ("", ""),
    ],
)
def test_the_nearest_command(word: str, close: str) -> None:
    assert commands.nearest(word) == close


def test_a_line_is_split_at_blanks_and_line_feeds() -> None:
    assert commands.split("/me waves  twice") == ("me", "waves  twice")
    assert commands.split("/ME\nwaves at all") == ("me", "waves at all")
    assert commands.split("/") == ("", "")


def effect_of(line: str, person: Person | None = None) -> e.Effect:
    person = person or attic()
    found = [one for one in person.enter(line) if not isinstance(one, e.FetchHistory)]
    assert len(found) == 1, (line, person.note, found)
    return found[0]


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("/join #cellar", e.Join(0, "cellar")),
        ("/join Cellar", e.Join(0, "cellar")),
        ("/leave", e.Leave(0, 7)),
        ("/leave #tor", e.Leave(0, 4)),
        ("/leave @bob", e.Leave(0, 5)),
        ("/new #den", e.Create(0, "den", "public")),
        ("/create den private", e.Create(0, "den", "private")),
        ("/msg @eve", e.OpenDirect(0, "eve")),
        ("/rooms", e.ListRooms(0)),
        ("/list", e.ListRooms(0)),
        ("/invite", e.CreateInvite(0)),
        ("/invite @eve", e.InviteUser(0, 7, "eve")),
        ("/invites", e.ListMuted(0)),
        ("/invites @eve", e.HearOf(0, "eve", False)),
        ("/invites eve OFF", e.HearOf(0, "eve", False)),
        ("/invites eve on", e.HearOf(0, "eve", True)),
        ("/topic  a new   topic", e.SetTopic(0, 7, "a new topic")),
        ("/names", e.ListMembers(0, 7)),
        ("/kick @dave be nice", e.Kick(0, 7, "dave", "be nice")),
        ("/ban dave", e.Ban(0, 7, "dave")),
        ("/unban dave", e.Unban(0, 7, "dave")),
        ("/role bob Moderator", e.SetRole(0, 7, "bob", "moderator")),
        ("/reconnect", e.Reconnect()),
        ("/quit", e.Quit()),
        ("/set bell off", e.SaveSetting("bell", "off")),
        ("/layout rooms", e.SaveSetting("rooms", "off")),
        ("/layout members on", e.SaveSetting("members", "on")),
    ],
)
def test_a_command_asks_for_its_effect(line: str, effect: e.Effect) -> None:
    found = effect_of(line)
    assert type(found) is type(effect)
    fields = [name for name in effect.fields_ if name != "ref"]
    assert [getattr(found, name) for name in fields] == [getattr(effect, name) for name in fields]
    if "ref" in effect.fields_:
        assert found.ref > 0


@pytest.mark.parametrize(
    "line",
    [
        "/join #cellar", "/leave", "/new #den", "/msg eve hello", "/rooms", "/invite", "/invite eve", "/topic x", "/names",
        "/kick dave", "/ban dave", "/unban dave", "/role bob admin", "/password", "/logout", "/history",
    ],
)  # fmt: skip
def test_what_needs_the_server_stays_in_the_input_without_one(line: str) -> None:
    person = attic()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 9.0))
    assert person.enter(line) == []
    assert person.input == line
    assert "not connected" in person.note


@pytest.mark.parametrize(
    "line",
    [
        "/leave",
        "/invite eve",
        "/topic",
        "/members",
        "/names",
        "/kick a",
        "/ban a",
        "/unban a",
        "/role a admin",
        "/me x",
        "/history",
        "/goto top",
    ],
)
def test_what_needs_a_room_stays_in_the_input_without_one(line: str) -> None:
    person = in_lobby()
    person.link(i.RoomsSynced(()))
    person.wait()
    assert person.enter(line) == []
    assert person.input == line
    assert "no room is open" in person.note


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/join", "is missing"),
        ("/join #a b", "too much"),
        ("/join #a!b", "cannot be used"),
        ("/leave #nowhere", "in no room"),
        ("/new den secret", "neither public nor private"),
        ("/kick", "NAME is missing"),
        ("/role bob", "ROLE is missing"),
        ("/role bob king", "is no role"),
        ("/me", "is missing"),
        ("/me " + "x" * 5_000, "4,096"),
        ("/msg eve " + "x" * 5_000, "4,096"),
        ("/history many", "how many"),
        ("/history 0", "how many"),
        ("/history 1000", "how many"),
        ("/goto", "is missing"),
        ("/goto tomorrow", "where to"),
        ("/goto 2026-13-01", "where to"),
        ("/goto 2026-11", "where to"),
        ("/set nonsense", "no setting"),
        ("/set nonsense on", "no setting"),
        ("/set bell loud", "on or off"),
        ("/layout", "is missing"),
        ("/layout roof", "which pane"),
        ("/layout rooms maybe", "which pane"),
        ("/logout now", "not known here"),
        ("/whois nobody", "none of your rooms"),
        ("/password secret", "type /password alone"),
        ("/quit now", "too much"),
    ],
)
def test_a_wrong_command_stays_with_the_reason(line: str, reason: str) -> None:
    person = attic()
    assert person.enter(line) == []
    assert person.input == line
    assert reason in person.note


# -- what single commands do -------------------------------------------------------------------------


def test_a_refused_command_comes_back_into_the_input() -> None:
    person = in_lobby()
    ask = effect_of("/msg eve are you there?", person)
    person.link(i.CommandFailed(ask.ref, "LC-USER-UNKNOWN", "nobody is called eve"))
    assert person.input == "/msg eve are you there?"
    assert "LC-USER-UNKNOWN" in person.note


def test_a_refused_command_does_not_overwrite_what_is_being_typed() -> None:
    person = in_lobby()
    ask = effect_of("/join #cellar", person)
    person.types("meanwhile")
    person.link(i.CommandFailed(ask.ref, "LC-ROOM-UNKNOWN", "there is no room #cellar"))
    assert person.input == "meanwhile"
    assert "/join #cellar" in person.state.history.entries
