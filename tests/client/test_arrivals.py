"""Messages come in once, in their place, counted for whoever has not seen them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.arrivals import mentions
from lairchat.client.kit import ITEMS_KEPT
from tests.client.scenes import NOON, Person, attic, in_lobby, said


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("@you come", True),
        ("hey @You!", True),
        ("(@you)", True),
        ("@your turn", False),
        ("mail@you.example", False),
        ("@you-two", False),
        ("nothing", False),
        ("@your or @you", True),
        ("@you", True),
    ],
)
def test_mentions_are_whole_names(text: str, calls: bool) -> None:
    assert mentions(text, "you") == calls


def texts(person: Person, room: int = 1) -> list[str]:
    return [item.text for item in person.state.rooms[room].window.items]


def test_a_message_that_comes_twice_is_shown_once() -> None:
    person = in_lobby()
    event = i.MessageArrived(1, said(1, 0, "bob", "hello"))
    person.link(event, event)
    assert texts(person) == ["hello"]


@given(st.permutations(list(range(1, 8))), st.lists(st.integers(1, 7), max_size=7))
def test_any_order_and_repetition_gives_the_log(order: list[int], again: list[int]) -> None:
    person = in_lobby()
    for seq in [*order, *again]:
        person.link(i.MessageArrived(1, said(seq, seq, "bob", f"message {seq}")))
    assert texts(person) == [f"message {n}" for n in range(1, 8)]
    assert person.state.rooms[1].unread == 0


def test_a_message_in_another_room_counts_and_a_mention_rings() -> None:
    person = attic()
    tor = person.state.rooms[4]
    assert person.link(i.MessageArrived(4, said(1, 7, "eve", "psst"))) == []
    assert (tor.unread, tor.mentions) == (1, 0)
    assert person.link(i.MessageArrived(4, said(2, 7, "eve", "@you!"))) == [e.Bell()]
    assert (tor.unread, tor.mentions) == (2, 1)
    assert person.link(i.MessageArrived(4, said(3, 7, "eve", "@you @you"))) == []
    person.wait(1_500)
    assert person.link(i.MessageArrived(6, said(1, 7, "alice", "direct"))) == [e.Bell()]
    assert "@alice" in person.screen()


def test_a_line_that_was_not_read_goes_on_counting_elsewhere() -> None:
    person = attic()
    person.link(i.Focus(False))
    person.enter("/join #ops")
    person.link(i.HistoryPage(3, (said(2, 0, "bob", "hi"),), older=False, replace=True))
    assert person.room.line_count == 2
    person.enter("/join #tor")
    person.link(i.MessageArrived(3, said(3, 7, "bob", "more")))
    assert person.state.rooms[3].line_count == 3


def test_the_bell_can_be_switched_off() -> None:
    person = attic()
    person.enter("/set bell off")
    assert person.link(i.MessageArrived(4, said(2, 7, "eve", "@you!"))) == []


def test_statements_and_own_messages_from_another_device_do_not_count() -> None:
    person = attic()
    person.link(
        i.MessageArrived(4, said(1, 7, "", "dave joined", "state")),
        i.MessageArrived(4, said(2, 7, "you", "from my other device")),
    )
    assert person.state.rooms[4].unread == 0


def test_messages_behind_the_count_of_the_sync_are_not_counted_again() -> None:
    """After a reconnect the counts come with the rooms, then the messages themselves."""
    person = in_lobby()
    person.link(
        i.RoomsSynced((i.RoomInfo(1, "lobby"), i.RoomInfo(2, "ops", unread=3, head_seq=5))),
        *(i.MessageArrived(2, said(n, n, "bob", "missed @you")) for n in (3, 4, 5)),
        i.CaughtUp(3),
    )
    ops = person.state.rooms[2]
    assert (ops.unread, ops.mentions) == (3, 3)
    assert "connected again: 3 new messages" in person.screen()
    person.link(i.MessageArrived(2, said(6, 6, "bob", "news")))
    assert ops.unread == 4


def test_nothing_missed_is_said_too() -> None:
    person = in_lobby()
    person.link(i.CaughtUp(0), i.CaughtUp(1))
    assert "nothing was missed" in person.screen()
    assert "1 new message" in person.screen()


def test_events_of_unknown_rooms_are_dropped() -> None:
    person = in_lobby()
    for event in (
        i.MessageArrived(99, said(1, 0, "bob", "x")),
        i.HistoryPage(99, (), False),
        i.CursorMoved(99, 1),
        i.UnreadChanged(99, 1),
        i.RoomLeft(99),
        i.RoomChanged(99),
        i.MembersListed(99, ()),
    ):
        assert person.link(event) == []


# -- our own messages --------------------------------------------------------------------------------


def test_an_acknowledged_message_gets_its_place_and_mark() -> None:
    person = in_lobby()
    (sent,) = person.enter("hello")
    assert ".." in person.screen()
    person.link(i.SendAcknowledged(sent.ticket, 5, NOON))
    assert texts(person) == ["hello"]
    assert person.state.outbox == []
    assert person.room.window.items[0].mark == "v"
    assert person.did[-1] == e.MoveCursor(1, 5)


@pytest.mark.parametrize("echo_first", [True, False])
@pytest.mark.parametrize("knows_ticket", [True, False])
def test_echo_and_acknowledgement_in_any_order_show_one_message(
    echo_first: bool, knows_ticket: bool
) -> None:
    person = in_lobby()
    (sent,) = person.enter("hello")
    echo = i.MessageArrived(
        1, i.Message(5, NOON, "you", "hello", ticket=sent.ticket if knows_ticket else 0)
    )
    answer = i.SendAcknowledged(sent.ticket, 5, NOON)
    person.link(*((echo, answer) if echo_first else (answer, echo)))
    assert texts(person) == ["hello"]
    assert person.state.outbox == []
    assert person.state.stored == 1
    assert person.room.window.items[0].own


def test_acknowledging_nothing_and_in_a_room_that_is_gone() -> None:
    person = in_lobby()
    assert person.link(i.SendAcknowledged(99, 5, NOON)) == []
    (sent,) = person.enter("hello")
    person.link(i.RoomsSynced(()))
    assert person.link(i.SendAcknowledged(sent.ticket, 5, NOON)) == []
    assert person.state.outbox == []


def test_a_refusal_marks_it_and_says_why() -> None:
    person = attic()
    (sent,) = person.enter("hello")
    person.link(i.SendRefused(sent.ticket, "LC-ROOM-POSTING", "only moderators may write"))
    assert "not sent: LC-ROOM-POSTING" in person.screen()
    assert "1 failed" in person.screen()
    assert person.link(i.SendRefused(99, "X", "y")) == []


def test_a_refusal_elsewhere_names_the_room() -> None:
    person = attic()
    (sent,) = person.enter("hello")
    person.enter("/join #tor")
    person.link(i.SendRefused(sent.ticket, "LC-ROOM-POSTING", "only moderators may write"))
    assert "in #attic" in person.note


def test_a_rate_limit_keeps_it_queued() -> None:
    person = in_lobby()
    (sent,) = person.enter("hello")
    person.link(
        i.SendRefused(
            sent.ticket, "LC-RATE", "sending too fast: this was not stored. Try again in 2 s.", 1.5
        )
    )
    assert person.state.outbox[0].item.mark == ".."
    assert person.note == (
        "LC-RATE  sending too fast: 1 message queued, next try in 1.5 s. Nothing is lost."
    )


def test_the_queue_of_the_last_time_is_back() -> None:
    person = in_lobby()
    items = (
        i.OutboxItem(-2, 1, "first", NOON),
        i.OutboxItem(-1, 1, "dances", NOON, action=True, failed="LC-ROOM-POSTING  no"),
    )
    person.link(i.OutboxRestored(items), i.OutboxRestored(items))
    assert [one.text for one in person.state.outbox] == ["first", "dances"]
    page = person.screen()
    assert "first" in page
    assert "you dances" in page
    assert "not sent" in page
    person.link(i.SendAcknowledged(-2, 3, NOON))
    assert texts(person) == ["first"]
    person.link(i.OutboxRestored(()))


def test_a_queued_message_before_login_gets_no_name_but_is_ours() -> None:
    person = Person()
    person.link(i.OutboxRestored((i.OutboxItem(-1, 1, "early", NOON),)))
    assert person.state.outbox[0].item.own
    assert "1 message from last time" in person.note


# -- pages -------------------------------------------------------------------------------------------


def test_a_page_replaces_the_window_but_keeps_what_came_meanwhile() -> None:
    person = in_lobby()
    person.link(
        i.MessageArrived(1, said(10, 10, "bob", "live")),
        i.HistoryPage(
            1, tuple(said(n, n, "bob", f"m{n}") for n in (7, 8, 9)), older=True, replace=True
        ),
    )
    assert texts(person) == ["m7", "m8", "m9", "live"]
    person.link(
        i.HistoryPage(
            1,
            tuple(said(n, n, "bob", f"m{n}") for n in (1, 2)),
            older=True,
            newer=True,
            replace=True,
        )
    )
    assert texts(person) == ["m1", "m2"]
    person.link(i.MessageArrived(1, said(11, 11, "bob", "far away")))
    assert texts(person) == ["m1", "m2"]
    assert person.room.unread == 1


def test_an_older_page_goes_before_and_a_newer_one_behind() -> None:
    person = in_lobby()
    window = person.room.window
    person.link(i.HistoryPage(1, (said(5, 5, "bob", "m5"),), older=True, newer=True, replace=True))
    window.fetching = "before"
    person.link(i.HistoryPage(1, (said(4, 4, "bob", "m4"),), older=False))
    assert (window.older, window.newer) == (False, True)
    window.fetching = "after"
    person.link(i.HistoryPage(1, (said(6, 6, "bob", "m6"),), older=True, newer=False))
    assert (window.older, window.newer) == (False, False)
    assert texts(person) == ["m4", "m5", "m6"]


def test_a_busy_room_keeps_a_bounded_window() -> None:
    person = in_lobby()
    room = person.room
    person.link(
        i.HistoryPage(
            1,
            tuple(said(n, 0, "bob", "m") for n in range(1, ITEMS_KEPT + 1_001)),
            older=False,
            replace=True,
        )
    )
    person.link(i.MessageArrived(1, said(ITEMS_KEPT + 1_001, 0, "bob", "last")))
    assert len(room.window.items) == ITEMS_KEPT
    assert room.window.older
    room.window.fetching = "before"
    person.link(
        i.HistoryPage(1, tuple(said(n, 0, "bob", "m") for n in range(900, 1_002)), older=True)
    )
    assert len(room.window.items) == ITEMS_KEPT
    assert room.window.newer


def test_a_gone_message_says_so() -> None:
    person = in_lobby()
    person.link(i.MessageArrived(1, said(1, 0, "eve", "secret", "gone")))
    assert "message deleted" in person.screen()
    assert "secret" not in person.screen()


# -- cursors -----------------------------------------------------------------------------------------


def test_another_device_reads_on() -> None:
    person = attic()
    ops = person.state.rooms[3]
    person.link(i.CursorMoved(3, 1, 1))
    assert (ops.unread, ops.mentions) == (1, 1)
    person.link(i.CursorMoved(3, 2, 0))
    assert (ops.unread, ops.mentions, ops.line) == (0, 0, None)
    person.link(i.CursorMoved(3, 1, 7))
    assert ops.unread == 0


def test_another_device_reading_the_current_room_takes_an_unread_line_away_once_seen() -> None:
    person = attic()
    room = person.room
    assert room.line_seen
    person.link(i.CursorMoved(7, 99, 0))
    assert room.line is None
