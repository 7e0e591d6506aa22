"""Scrolling stays where it is, pages are fetched once, and the cursor moves when one can see it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.client import effects as e
from lairchat.client import inputs as i
from tests.client.scenes import NOON, Person, attic, in_lobby, said


def full(count: int = 300, *, older: bool = True, width: int = 80, height: int = 24) -> Person:
    """Return a room whose last messages are loaded."""
    person = in_lobby(width, height)
    page = tuple(said(n, n, "bob", f"message {n}.") for n in range(201, 201 + count))
    person.link(i.HistoryPage(1, page, older=older, replace=True))
    person.did.clear()
    return person


def shown(person: Person) -> list[int]:
    """Return the numbers of the messages on the screen."""
    rows = person.screen().split("\n")[1:-3]
    return [
        int(row.rpartition("message ")[2].partition(".")[0])
        for row in rows
        if "message " in row and "." in row
    ]


def test_page_up_and_down_overlap_and_come_back() -> None:
    person = full()
    first = shown(person)
    assert first[-1] == 500
    person.key("pgup")
    second = shown(person)
    assert second[-1] < first[-1]
    assert set(second) & set(first)
    person.key("pgup", "pgdn")
    assert shown(person) == second
    assert "-MORE-" in person.screen()
    person.key("pgdn")
    assert shown(person) == first
    assert person.room.scroll is None
    assert person.key("pgdn") == []


def test_a_page_stays_while_messages_arrive() -> None:
    person = full()
    person.key("pgup")
    before = shown(person)
    for n in range(501, 531):
        person.link(i.MessageArrived(1, said(n, n, "bob", f"message {n}.")))
    assert shown(person) == before
    assert person.room.unread == 30
    assert person.room.line_count == 30
    person.key("alt-end")
    assert shown(person)[-1] == 530
    assert person.room.unread == 0


def test_the_top_fetches_the_page_before_once() -> None:
    person = full(30)
    fetches = [
        one for _ in range(9) for one in person.key("pgup") if isinstance(one, e.FetchHistory)
    ]
    assert fetches == [e.FetchHistory(1, before=201)]
    assert "loading older messages" in person.screen()
    top = shown(person)
    person.link(
        i.HistoryPage(
            1, tuple(said(n, n, "bob", f"message {n}.") for n in range(101, 201)), older=False
        )
    )
    assert set(shown(person)) & set(top)
    person.key("alt-home")
    assert shown(person)[0] == 101
    assert [one for one in person.key("pgup") if isinstance(one, e.FetchHistory)] == []


def test_the_bottom_by_whole_pages_is_read_too() -> None:
    person = full()
    person.key("pgup", "pgup")
    person.link(i.MessageArrived(1, said(501, 501, "bob", "message 501.")))
    for _ in range(4):
        person.key("pgdn")
    assert person.room.scroll is None
    assert person.did[-1] == e.MoveCursor(1, 501)


def test_a_page_near_the_top_fills_a_screen_that_grew() -> None:
    person = full(60, older=False, height=12)
    person.key("alt-home")
    assert shown(person)[0] == 201
    person.screen(80, 40)
    numbers = shown(person)
    assert numbers[0] == 201
    assert len(numbers) > 30


def test_history_while_scrolled_keeps_the_place() -> None:
    person = full(60)
    person.key("pgup")
    before = shown(person)
    person.enter("/history")
    assert shown(person) == before


def test_offline_nothing_is_fetched() -> None:
    person = full(30)
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert person.key("alt-home", "pgup") == []
    person.room.line = 5
    assert person.key("alt-u") == []
    assert person.enter("/goto unread") == []


def test_a_lost_connection_forgets_the_fetch() -> None:
    person = full(30)
    person.key("alt-home")
    assert person.room.window.fetching == "before"
    person.link(i.CommandFailed(0, "LC-NET-LOST", "lost"))
    assert person.room.window.fetching == ""
    assert person.key("pgup") == [e.FetchHistory(1, before=201)]


def test_an_empty_room_scrolls_to_nothing() -> None:
    person = in_lobby()
    assert person.key("pgup", "pgdn", "alt-home", "alt-end", "alt-u", "ctrl-up", "ctrl-down") == []
    person.room.scroll = ((5, 0), 0)
    person.key("pgdn")
    assert person.room.scroll is None


def test_a_room_that_was_never_loaded_fetches_its_last_page() -> None:
    person = attic()
    assert e.FetchHistory(3) in person.enter("/join #ops")
    assert "fetching messages" in person.screen()
    assert person.key("pgup") == []
    person.room.window.fetching = ""
    assert person.key("pgup") == [e.FetchHistory(3)]


def test_newer_pages_follow_when_the_window_is_far_back() -> None:
    person = full(40)
    person.link(
        i.HistoryPage(
            1,
            tuple(said(n, n, "bob", f"message {n}.") for n in range(1, 41)),
            older=False,
            newer=True,
            replace=True,
        )
    )
    assert shown(person)[-1] == 40
    assert person.key("pgdn") == [e.FetchHistory(1, after=40)]
    assert person.key("pgdn") == []
    person.link(
        i.HistoryPage(
            1,
            tuple(said(n, n, "bob", f"message {n}.") for n in range(41, 61)),
            older=True,
            newer=True,
        )
    )
    assert person.room.window.newer
    wanted = person.key("alt-end")
    assert wanted == [e.FetchHistory(1)]
    person.link(
        i.HistoryPage(1, (said(500, 500, "bob", "message 500."),), older=True, replace=True)
    )
    assert shown(person) == [500]


def test_the_cursor_moves_when_the_bottom_is_seen_with_focus() -> None:
    person = in_lobby()
    assert person.link(i.MessageArrived(1, said(1, 0, "bob", "hi"))) == [e.MoveCursor(1, 1)]
    person.link(i.Focus(False))
    assert person.link(i.MessageArrived(1, said(2, 1, "bob", "hi again"))) == []
    assert person.room.unread == 1
    assert "1 new message" in person.screen()
    assert person.link(i.Focus(True)) == [e.MoveCursor(1, 2)]
    assert person.room.unread == 0
    assert "1 new message" in person.screen()
    person.link(i.Focus(False))
    assert "1 new message" not in person.screen()


def test_the_cursor_waits_while_a_dialog_covers_the_room() -> None:
    person = in_lobby()
    person.key("f1")
    assert person.link(i.MessageArrived(1, said(1, 0, "bob", "hi"))) == []
    assert person.room.unread == 1
    assert person.key("esc") == [e.MoveCursor(1, 1)]


def test_leaving_a_room_takes_the_line_away_that_was_read() -> None:
    person = attic()
    assert person.room.line == 94
    person.key("ctrl-n")
    assert person.state.rooms[7].line is None


def test_the_unread_line_is_reached_by_a_key() -> None:
    person = full(200)
    person.link(i.Focus(False))
    for n in range(401, 461):
        person.link(i.MessageArrived(1, said(n, n, "bob", f"message {n}.")))
    assert "60 new messages" not in person.screen()
    person.key("alt-u")
    assert "60 new messages" in person.screen().split("\n")[1]
    assert shown(person)[0] == 401


def test_selecting_walks_over_what_people_said_and_scrolls_along() -> None:
    person = full(100)
    person.link(i.MessageArrived(1, said(301, 301, "", "dave joined", "state")))
    person.key("ctrl-up")
    assert person.state.selected == (300, 0)
    for _ in range(40):
        person.key("up")
    assert person.state.selected == (260, 0)
    assert 260 in shown(person)
    for _ in range(10):
        person.key("down")
    assert person.state.selected == (270, 0)
    assert 270 in shown(person)
    for _ in range(40):
        person.key("alt-j")
    assert person.state.selected is None
    assert person.room.scroll is None
    assert person.key("ctrl-down") == []


def test_selecting_past_the_top_fetches_more() -> None:
    person = full(5)
    person.key(*["ctrl-up"] * 5)
    assert person.state.selected == (201, 0)
    assert person.key("ctrl-up") == [e.FetchHistory(1, before=201)]
    person.key("esc")
    assert person.state.selected is None


def test_a_message_taller_than_the_pane_can_be_selected() -> None:
    person = in_lobby(40, 12)
    person.link(
        i.MessageArrived(1, said(1, 0, "bob", "word " * 200)),
        i.MessageArrived(1, said(2, 1, "bob", "end")),
    )
    person.key("ctrl-up", "ctrl-up")
    assert person.state.selected == (1, 0)
    person.key("ctrl-down")
    assert person.state.selected == (2, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["pgup", "pgdn", "alt-home", "alt-end", "ctrl-up", "ctrl-down", "alt-u", "more"]
        ),
        max_size=25,
    ),
    st.sampled_from([(40, 12), (80, 24), (130, 30)]),
)
def test_any_scrolling_shows_a_full_page_of_one_stretch(
    keys: list[str], size: tuple[int, int]
) -> None:
    person = full(80, older=False, width=size[0], height=size[1])
    head = 280
    for key in keys:
        if key == "more":
            head += 1
            person.link(i.MessageArrived(1, said(head, head, "bob", f"message {head}.")))
        else:
            person.key(key)
        numbers = shown(person)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert len(numbers) >= (size[1] - 3) // 2


def test_a_large_room_opens_and_scrolls_quickly() -> None:
    """Target 8 in kind: the cost of a page does not grow with the room."""
    import time

    person = in_lobby()
    page = tuple(i.Message(n, NOON + n * 1_000, "bob", f"message {n}.") for n in range(1, 15_001))
    person.link(i.HistoryPage(1, page, older=False, replace=True))
    person.screen()
    start = time.process_time()
    for _ in range(20):
        person.key("pgup")
        person.canvas()
    assert (time.process_time() - start) / 20 < 0.02
