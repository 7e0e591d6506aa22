"""The table of slash commands: complete, consistent, documented; each command does what it says."""

import pytest

from lairchat import __version__
from lairchat.client import commands
from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.commands import COMMANDS, GROUPS
from lairchat.client.complete import COMPLETERS
from lairchat.client.dialogs import Form, Page, Question
from lairchat.client.help import help_lines
from tests.client.scenes import Person, attic, in_lobby, said


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
    person = attic()
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


def test_join_goes_to_a_room_one_is_in_without_asking_the_server() -> None:
    person = attic()
    found = person.enter("/join #ops")
    assert person.room.title == "#ops"
    assert not any(isinstance(one, e.Join) for one in found)
    person.enter("/join @bob")
    assert person.room.title == "@bob"


def test_leaving_a_private_room_asks_first() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(2, "den", access="private")))
    assert person.enter("/leave") == []
    assert isinstance(person.state.dialog, Question)
    (leave,) = person.types("y")
    assert isinstance(leave, e.Leave)
    assert leave.room == 2


def test_msg_to_somebody_new_sends_when_the_room_is_there() -> None:
    person = in_lobby()
    ask = effect_of("/msg eve are you there?", person)
    assert isinstance(ask, e.OpenDirect)
    person.link(i.RoomJoined(i.RoomInfo(8, "eve", direct=True), ref=ask.ref))
    assert person.room.title == "@eve"
    assert person.sent() == ["are you there?"]


def test_msg_to_somebody_known_goes_there_and_sends() -> None:
    person = attic()
    person.enter("/msg bob hi")
    assert person.room.title == "@bob"
    assert person.sent() == ["hi"]
    person.enter("/msg alice")
    assert person.room.title == "@alice"
    assert person.sent() == ["hi"]


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


def test_topic_alone_shows_it() -> None:
    person = attic()
    assert person.enter("/topic") == []
    assert "topic of #attic: the attic, keep calm" in person.screen()
    lobby = in_lobby()
    lobby.enter("/topic")
    assert "(none)" in lobby.screen()


def test_whois_says_what_is_known() -> None:
    person = attic()
    person.enter("/whois BOB")
    assert "bob: here" in person.screen()
    assert "moderator in #attic" in person.screen()
    person.enter("/whois you")
    assert "this is you, user on lair.example" in person.screen()
    person.enter("/whois @alice")
    assert "admin in #attic" in person.screen()


def test_whois_of_a_direct_peer_without_a_common_room() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(2, "bob", direct=True), show=False))
    person.enter("/whois bob")
    assert "bob: not here" in person.screen()


def test_status_says_how_things_stand() -> None:
    person = attic()
    person.enter("queued one")
    person.enter("/status")
    page = person.screen(120, 40)
    for part in ("online, tls1.3, 12 ms", "amber otter", "you, user", "7, ", "1 waiting, 0 failed"):
        assert part in page
    fresh = Person()
    fresh.enter("/status")
    assert "nobody is logged in" in fresh.screen(120, 40)


def test_set_lists_shows_and_changes() -> None:
    person = attic()
    person.enter("/set")
    assert "bell     on" in person.screen(120, 40)
    person.enter("/set bell off")
    assert person.state.settings.bell is False
    assert person.note == "bell is off"
    person.enter("/set bell")
    assert "bell     off" in person.screen(120, 40)


def test_layout_turns_panes_on_and_off() -> None:
    person = attic(120, 40)
    person.enter("/layout members")
    assert "MEMBERS" not in person.screen()
    person.enter("/layout members on")
    assert "MEMBERS" in person.screen()
    person.enter("/layout rooms off")
    assert "ROOMS" not in person.screen()


def test_version_and_plain_and_debug() -> None:
    person = attic()
    person.enter("/version")
    assert f"Lair Chat {__version__}, server 0.1.0" in person.screen()
    person.enter("/plain")
    assert "lair --plain" in person.screen()
    person.enter("/debug")
    assert isinstance(person.state.dialog, Page)
    assert "screen      80x24" in person.screen()
    assert "deploy finished" not in person.screen()


def test_help_for_one_command() -> None:
    person = attic()
    person.enter("/help join")
    assert "/join #ROOM" in person.screen()
    assert "for example: /join #ops" in person.screen()
    person.enter("/help jion")
    assert "Did you mean /join?" in person.screen()
    person.enter("/help xyzzy")
    assert "there is no /xyzzy." in person.screen()
    person.enter("/help new")
    assert "(also /create)" in person.screen()


def test_password_is_asked_for_in_a_form() -> None:
    person = attic()
    assert person.enter("/password") == []
    assert isinstance(person.state.dialog, Form)


def test_logout_asks_first() -> None:
    person = attic()
    person.enter("/logout")
    assert "on this device" in person.screen()
    (logout,) = person.types("y")
    assert isinstance(logout, e.Logout)
    assert not logout.everywhere
    person.enter("/logout all")
    (logout,) = person.types("y")
    assert logout.everywhere


def test_members_toggle_by_width() -> None:
    person = attic(80, 24)
    person.enter("/members")
    assert "MEMBERS 14" in person.screen()
    person.enter("/members")
    assert "MEMBERS" not in person.screen()
    person.screen(120, 40)
    person.enter("/members")
    assert "MEMBERS" not in person.screen()


def test_history_fetches_a_page() -> None:
    person = in_lobby()
    person.room.window.older = True
    person.link(i.MessageArrived(1, said(50, 0, "bob", "hi")))
    (fetch,) = [one for one in person.enter("/history 20") if isinstance(one, e.FetchHistory)]
    assert fetch == e.FetchHistory(1, before=50, limit=20)
    person.link(i.HistoryPage(1, (said(49, 0, "bob", "older"),), older=False))
    assert person.enter("/history") == []
    assert "beginning of the room" in person.note


def test_goto_places() -> None:
    person = attic()
    for place in ("top", "bottom", "unread"):
        person.enter(f"/goto {place}")
        assert person.input == ""


def test_goto_a_number_fetches_around_it() -> None:
    person = in_lobby()
    person.room.window.older = True
    person.link(i.MessageArrived(1, said(500, 0, "bob", "hi")))
    assert effect_of_goto(person, "/goto #100") == e.FetchHistory(1, around=100)
    page = tuple(said(n, n / 100, "bob", f"message {n}") for n in range(60, 160))
    person.link(i.HistoryPage(1, page, older=True, newer=True, replace=True))
    assert "message 100" in person.screen().split("\n")[1]
    person.enter("/goto 120")
    assert "message 120" in person.screen().split("\n")[1]
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    person.enter("/goto 5")
    assert "not connected" in person.note


def effect_of_goto(person: Person, line: str) -> e.Effect:
    (found,) = [one for one in person.enter(line) if isinstance(one, e.FetchHistory)]
    return found


def test_goto_a_day_fetches_until_it_is_there() -> None:
    person = in_lobby()
    person.room.window.older = True
    day = 24 * 60
    page = tuple(said(n, (n - 200) * 10, "bob", f"message {n}") for n in range(101, 201))
    person.link(i.HistoryPage(1, page, older=True, replace=True))
    assert effect_of_goto(person, "/goto 2026-11-20") == e.FetchHistory(1, before=101)
    older = tuple(said(n, -3 * day + n, "bob", f"message {n}") for n in range(1, 101))
    person.link(i.HistoryPage(1, older, older=False))
    assert "Sat 21 Nov 2026" in person.screen().split("\n")[1]
    assert person.screen().split("\n")[2].rstrip().endswith("message 101")


def test_goto_a_day_offline_uses_what_is_loaded() -> None:
    person = attic()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    person.enter("/goto 2020-01-01")
    assert person.input == ""


def test_clear_empties_the_pane_and_page_up_brings_it_back() -> None:
    person = attic()
    person.enter("/clear")
    assert "deploy finished" not in person.screen()
    person.key("pgup")
    assert "deploy finished" in person.screen()
    empty = in_lobby()
    empty.enter("/clear")
    assert empty.room.cleared is None
