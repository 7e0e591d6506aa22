"""Slash commands about rooms, people and messages."""

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Question
from tests.client.scenes import Person, attic, in_lobby, said


def effect_of(line: str, person: Person | None = None) -> e.Effect:
    person = person or attic()
    found = [one for one in person.enter(line) if not isinstance(one, e.FetchHistory)]
    assert len(found) == 1, (line, person.note, found)
    return found[0]


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


def test_topic_alone_shows_it() -> None:
    person = attic()
    assert person.enter("/topic") == []
    assert "topic of #attic: the attic, keep calm" in person.screen()
    lobby = in_lobby()
    lobby.enter("/topic")
    assert "(none)" in lobby.screen()


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
