"""Rooms come, change and go; people come and go."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from tests.client.scenes import (
    attic,
    connected,
    in_lobby,
    said,
)


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


def test_who_is_here_is_not_made_up_before_it_is_known() -> None:
    """A sync does not say it: the title shows nothing rather than "0 here", and keeps what it knew."""
    person = connected()
    person.link(i.RoomsSynced((i.RoomInfo(1, "lobby", members=3),)))
    assert "3 members |" in person.screen()
    assert "here" not in person.screen().split("\n")[0]
    person.link(i.RoomChanged(1, members=3, here=2))
    assert "3 members, 2 here" in person.screen()
    person.link(
        i.Disconnected("LC-NET-LOST", "lost", 1.0),
        i.LoggedIn("you", 1),
        i.RoomsSynced((i.RoomInfo(1, "lobby", members=4),)),
    )
    assert "4 members, 2 here" in person.screen()
