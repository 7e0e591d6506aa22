"""What the link reports: connection, rooms, people, answers."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Form, Page
from lairchat.client.on_link import LINK
from tests.client.scenes import (
    FINGERPRINT,
    WORDS,
    Person,
    attic,
    changed,
    connected,
    in_lobby,
    said,
)


def test_every_event_of_the_link_has_somebody_who_applies_it() -> None:
    terminal = {i.Key, i.Text, i.Paste, i.Resize, i.Focus, i.Tick}
    every = {
        cls for name, cls in vars(i).items() if isinstance(cls, type) and issubclass(cls, i.Input)
    }
    assert set(LINK) == every - terminal - {i.Input}


def test_the_way_to_being_online() -> None:
    person = Person()
    phases = [person.state.phase]
    for event in (
        i.Connecting("lair.example", 7023),
        i.Connected("tls1.3"),
        i.HelloReceived(WORDS, FINGERPRINT),
        i.LoggedIn("you", 1, "owner"),
    ):
        person.link(event)
        phases.append(person.state.phase)
    assert phases == ["starting", "connecting", "greeting", "greeting", "online"]
    assert person.state.me is not None
    assert person.state.me.role == "owner"
    assert "connecting to lair.example:7023" in person.screen()


def test_reconnecting_is_said_once_and_keeps_the_rooms() -> None:
    person = attic()
    lost = i.Disconnected("LC-NET-LOST", "the connection was lost", 2.0)
    person.link(lost, i.Connecting("lair.example", 7023), lost, lost)
    assert person.screen(120, 40).count("the connection was lost") == 1
    person.link(i.Connecting("lair.example", 7023))
    assert "[connecting]" in person.screen()
    assert person.room.title == "#attic"


def test_a_reason_behind_a_dialog_is_seen_too() -> None:
    person = attic()
    person.key("ctrl-t")
    person.link(i.Disconnected("LC-NET-LOST", "the connection was lost", 2.0))
    assert "LC-NET-LOST" in person.note


def test_halting_says_what_to_do() -> None:
    person = Person()
    person.link(
        i.Connecting("h", 1), i.AccountNeeded("h"), i.Halted("LC-VERSION", "this server is newer")
    )
    assert person.state.dialogs == []
    page = person.screen()
    assert "LC-VERSION  this server is newer" in page
    assert "/reconnect" in page
    person.link(i.Connecting("h", 1))
    assert person.state.phase == "connecting"


def test_a_changed_identity_can_only_be_left() -> None:
    """Issue 2: a changed identity is a hard stop."""
    person = changed()
    for key in ("enter", "tab", "up", "pgdn"):
        assert person.key(key) == []
    assert person.types("t") == []
    assert person.types("y") == []
    assert isinstance(person.state.dialog, Page)
    assert person.key("esc") == [e.Quit()]
    assert changed().types("q") == [e.Quit()]


def test_logging_out_keeps_drafts_in_the_history() -> None:
    person = attic()
    person.types("unsent draft")
    person.link(i.LoggedOut("logged out by another device"))
    assert person.state.rooms == {}
    assert person.state.history.entries[-1] == "unsent draft"
    assert "logged out by another device" in person.screen()
    person.link(i.LoggedOut(""))


# -- rooms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "names", "shown"),
    [
        ("", ("zoo", "lobby"), "#lobby"),
        ("#zoo", ("zoo", "lobby"), "#zoo"),
        ("#gone", ("zoo", "lobby"), "#lobby"),
        ("", ("zoo", "attic"), "#attic"),
    ],
)
def test_the_first_room_shown(wanted: str, names: tuple[str, ...], shown: str) -> None:
    person = connected()
    person.state.wanted = wanted
    person.link(i.RoomsSynced(tuple(i.RoomInfo(n, name) for n, name in enumerate(names, 1))))
    assert person.room.title == shown


def test_no_room_at_all_says_how_to_get_one() -> None:
    person = connected()
    person.link(i.RoomsSynced(()))
    person.enter("hello")
    assert "/join #lobby" in person.note


def test_syncing_again_updates_and_removes() -> None:
    person = attic()
    person.enter("/join #ops")
    person.types("draft in ops")
    person.link(i.RoomsSynced((i.RoomInfo(7, "loft", unread=0, topic="new"), i.RoomInfo(8, "den"))))
    assert set(person.state.rooms) == {7, 8}
    assert person.state.rooms[7].title == "#loft"
    assert person.state.history.entries[-1] == "draft in ops"
    assert person.room.title in {"#loft", "#den"}


def test_syncing_with_the_current_room_goes_on_reading() -> None:
    person = in_lobby()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0), i.LoggedIn("you", 1))
    assert person.link(i.RoomsSynced((i.RoomInfo(1, "lobby"),))) == [e.ListMembers(0, 1)]
    fresh = connected()
    fresh.link(
        i.RoomsSynced((i.RoomInfo(1, "lobby"),)),
        i.Disconnected("LC-NET-LOST", "lost", 1.0),
        i.LoggedIn("you", 1),
    )
    assert fresh.link(i.RoomsSynced((i.RoomInfo(1, "lobby"),))) == [
        e.ListMembers(0, 1),
        e.FetchHistory(1),
    ]


def test_joining_shows_or_only_tells() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(2, "ops"), show=False))
    assert person.room.title == "#lobby"
    assert "you are now in #ops" in person.note
    wanted = person.link(i.RoomJoined(i.RoomInfo(2, "ops")))
    assert wanted == [e.ListMembers(0, 2), e.FetchHistory(2)]
    assert person.room.title == "#ops"
    assert person.link(i.RoomJoined(i.RoomInfo(2, "ops"))) == []


def test_leaving_the_current_room_goes_to_another_and_keeps_the_draft() -> None:
    person = attic()
    person.types("half a thought")
    person.link(i.RoomLeft(7, "you were removed from #attic by bob"))
    assert person.room.title != "#attic"
    assert "removed from #attic by bob" in person.note
    assert "in the history" in person.note
    assert person.state.history.entries[-1] == "half a thought"


def test_leaving_another_room_and_the_last_one() -> None:
    person = attic()
    person.key("ctrl-n", "ctrl-p")
    previous = person.state.previous
    assert previous is not None
    person.link(i.RoomLeft(previous))
    assert person.state.previous is None
    assert "you left" in person.note
    last = in_lobby()
    last.link(i.RoomLeft(1))
    assert last.room is last.state.console


def test_changes_of_a_room() -> None:
    person = in_lobby()
    person.link(
        i.RoomChanged(1, name="hall", topic="new\x1b[2J topic", role="moderator", members=9, here=3)
    )
    title = person.screen().split("\n")[0]
    assert "#hall  new" in title
    assert "9 members, 3 here" in title
    assert "\x1b" not in person.room.topic
    assert person.room.role == "moderator"


def test_members_and_presence() -> None:
    person = in_lobby(120, 40)
    person.link(i.MembersListed(1, (i.Member("bob", "owner", True), i.Member("alice", "guest"))))
    assert "&bob" in person.screen()
    assert "guest" in person.screen()
    assert (person.room.members, person.room.here) == (2, 1)
    person.link(i.PresenceChanged("alice", True), i.PresenceChanged("nobody", True))
    assert person.room.here == 2


def test_statements_ask_anew_who_is_there_but_not_too_often() -> None:
    person = in_lobby()
    person.wait(5_000)
    person.did.clear()
    for n in range(1, 50):
        person.link(i.MessageArrived(1, said(n, 0, "", f"user{n} joined", "state")))
    assert person.did.count(e.ListMembers(0, 1)) == 1
    person.wait(1_000)
    assert person.did.count(e.ListMembers(0, 1)) == 1
    person.wait(2_500)
    assert person.did.count(e.ListMembers(0, 1)) == 2
    person.wait(9_000)
    assert person.did.count(e.ListMembers(0, 1)) == 2


def test_names_are_listed_as_text_when_asked_for() -> None:
    person = attic()
    (ask,) = person.enter("/names")
    person.link(i.MembersListed(7, (i.Member("bob", "moderator", True), i.Member("zoe")), ask.ref))
    page = person.screen()
    assert "#attic: 2 members, 1 here" in page
    assert "+bob" in page


def test_the_list_of_rooms_is_a_page() -> None:
    person = in_lobby()
    (ask,) = person.key("f2")
    assert isinstance(ask, e.ListRooms)
    rooms = (i.RoomListing("tor", "onions", 3), i.RoomListing("lobby", "", 14, True))
    person.link(i.RoomsListed(rooms, ask.ref))
    page = person.screen()
    assert "> #lobby" in page
    assert "onions" in page
    person.key("enter")
    assert person.state.dialog is None
    person.link(i.RoomsListed(rooms))
    assert person.state.dialog is None
    (ask,) = person.enter("/rooms")
    person.link(i.RoomsListed((), ask.ref))
    assert "/create NAME makes one" in person.screen()


def test_the_list_of_rooms_needs_a_connection() -> None:
    person = in_lobby()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert person.key("f2") == []
    assert "not connected" in person.note


def test_the_servers_counts() -> None:
    person = attic()
    person.link(i.UnreadChanged(3, 9, 2))
    assert "9 @2" in person.screen()
    person.enter("/join #ops")
    person.enter("/join #attic")
    person.link(i.UnreadChanged(3, 0))
    assert person.state.rooms[3].line is None
    assert person.link(i.UnreadChanged(7, 1)) == []
    assert person.room.unread == 0


# -- answers -----------------------------------------------------------------------------------------


def test_an_invite_link_is_shown() -> None:
    person = in_lobby()
    (ask,) = person.enter("/invite")
    person.link(
        i.InviteCreated("lair://lair.example:7023/i/CODE?id=AB", "works once, for 7 days", ask.ref)
    )
    person.wait()
    page = person.screen()
    assert "lair://lair.example:7023/i/CODE?id=AB" in page
    assert "works once" in page
    assert "c copy" in page
    assert person.types("c") == [e.Copy("lair://lair.example:7023/i/CODE?id=AB")]
    assert "copied" in person.screen()
    person.key("esc")
    assert "lair://" not in person.screen()
    person.link(i.InviteCreated("lair://x"))


def test_the_end_we_asked_for_is_no_error() -> None:
    person = in_lobby()
    person.enter("/quit")
    person.link(i.Disconnected("LC-BYE", "goodbye", 0.0))
    assert "LC-BYE" not in person.screen()


def test_answers_to_commands() -> None:
    person = in_lobby()
    (ask,) = person.enter("/kick bob")
    person.link(i.CommandDone(ask.ref, "bob was removed"))
    assert person.note == "bob was removed"
    person.link(i.CommandDone(ask.ref), i.CommandDone(99))
    assert person.state.pending == {}
    person.link(i.CommandFailed(99, "LC-X", "no"))
    assert "LC-X  no" in person.note


def test_an_answer_to_another_command_leaves_a_form_open() -> None:
    person = in_lobby()
    (ask,) = person.enter("/kick bob")
    person.enter("/password")
    person.link(i.CommandDone(ask.ref), i.CommandFailed(0, "LC-X", "no"))
    assert isinstance(person.state.dialog, Form)


def test_notices_with_and_without_a_code() -> None:
    person = in_lobby()
    person.link(i.Notice("the server restarts in 5 min"))
    assert person.note == "the server restarts in 5 min"
    person.link(i.Notice("certificate renewed", "LC-TLS-NEW"))
    assert person.note == "LC-TLS-NEW  certificate renewed"
    person.wait(13_000)
    assert person.note == ""


def test_settings_come_back() -> None:
    person = in_lobby()
    person.link(
        i.SettingsLoaded(
            (
                ("bell", "off"),
                ("members", "off"),
                ("gone", "1"),
                ("keys.f9", "repaint"),
                ("keys.f8", "gone"),
            )
        )
    )
    assert not person.state.settings.bell
    assert person.state.keymap["f9"] == "repaint"
    assert "f8" not in person.state.keymap
    assert person.key("f9") == [e.Repaint()]


def test_hostile_names_are_made_safe_wherever_they_enter() -> None:
    evil = "ev\x1b]0;x\x07il\u202e"
    person = connected()
    person.link(
        i.Connecting(evil, 1),
        i.RoomsSynced((i.RoomInfo(1, evil, topic=evil, role=evil, label=evil),)),
        i.HistoryPage(
            1,
            (i.Message(1, 0, evil, evil), i.Message(2, 0, evil, evil, "state")),
            older=False,
            replace=True,
        ),
        i.MembersListed(1, (i.Member(evil, evil, True),)),
        i.MessageArrived(1, said(3, 0, evil, evil)),
    )
    for width, height in ((40, 12), (80, 24), (120, 40)):
        page = person.screen(width, height)
        assert not any(c in page for c in "\x1b\x07\u202e")
