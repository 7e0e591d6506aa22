"""What lines tell of a room on entering it: the last messages, where reading stopped."""

from lairchat.client import effects as e
from lairchat.client import inputs as i
from tests.client.scenes import said
from tests.client.test_plain import Reader, online


def talk(*seqs: int, sender: str = "bob") -> tuple[i.Message, ...]:
    return tuple(said(seq, seq, sender, f"text {seq}") for seq in seqs)


def test_entering_a_room_tells_its_last_messages_and_where_reading_stopped() -> None:
    reader = Reader()
    reader.link(i.LoggedIn("you", 1))
    lines = reader.link(
        i.RoomsSynced(
            (
                i.RoomInfo(1, "lobby", unread=2, read_seq=28, head_seq=30),
                i.RoomInfo(2, "ops", unread=2, mentions=1),
                i.RoomInfo(3, "bob", direct=True, unread=1),
                i.RoomInfo(4, "quiet"),
            )
        )
    )
    assert lines[-1] == "12:00 -!- unread elsewhere: @bob 1, #ops 2 (1 for you). /join goes there"
    lines = reader.link(i.HistoryPage(1, talk(*range(1, 31)), older=False, replace=True))
    assert lines[0] == "-- the last 20 lines of #lobby"
    assert lines[1] == "-- Sun 22 Nov 2026"
    assert lines[2] == "12:11 bob in lobby: text 11"
    assert lines[-3:] == [
        "-- 2 new messages",
        "12:29 bob in lobby: text 29",
        "12:30 bob in lobby: text 30",
    ]
    assert len(lines) == 23
    assert reader.did[-1] == e.MoveCursor(1, 30)


def test_everything_unread_is_told_with_what_stands_before_it() -> None:
    reader = Reader()
    reader.link(
        i.LoggedIn("you", 1),
        i.RoomsSynced((i.RoomInfo(1, "lobby", unread=30, read_seq=10, head_seq=40),)),
    )
    lines = reader.link(i.HistoryPage(1, talk(*range(1, 41)), older=False, replace=True))
    assert lines[0] == "-- the last 33 lines of #lobby"
    assert lines.index("-- 30 new messages") == 5


def test_a_room_without_messages_tells_nothing() -> None:
    reader = Reader()
    reader.link(i.LoggedIn("you", 1), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    assert reader.link(i.HistoryPage(1, (), older=False, replace=True)) == []


def test_after_a_gap_only_what_came_meanwhile_is_told() -> None:
    reader = Reader()
    reader.link(i.LoggedIn("you", 1), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    reader.link(i.HistoryPage(1, talk(1, 2, 3), older=False, replace=True))
    reader.link(i.MessageArrived(1, said(4, 4, "bob", "text 4")))
    lines = reader.link(i.HistoryPage(1, talk(3, 4, 900, 901), older=True, replace=True))
    assert [line for line in lines if "text" in line] == [
        "03:00 bob in lobby: text 900",
        "03:01 bob in lobby: text 901",
    ]
    assert lines[0] == "-- meanwhile in #lobby"
    assert reader.link(i.HistoryPage(1, talk(900, 901), older=True, replace=True)) == []


def test_coming_back_to_a_room_tells_what_is_new_there() -> None:
    reader = online()
    reader.says("/join #attic")
    reader.link(i.HistoryPage(2, talk(1), older=False, replace=True))
    assert reader.says("/join #lobby") == []
    reader.link(i.MessageArrived(2, said(2, 5, "bob", "news")))
    assert reader.says("/join #attic") == [
        "-- Sun 22 Nov 2026",
        "-- 1 new message",
        "12:05 bob in attic: news",
    ]


def test_older_messages_are_told_when_they_are_asked_for() -> None:
    reader = Reader()
    reader.link(i.LoggedIn("you", 1), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    reader.link(i.HistoryPage(1, talk(8, 9), older=True, replace=True))
    reader.says("/history 2")
    assert reader.did[-1] == e.FetchHistory(1, before=8, limit=2)
    assert reader.link(i.HistoryPage(1, talk(6, 7), older=True)) == [
        "-- 2 lines of #lobby, as asked for",
        "-- Sun 22 Nov 2026",
        "12:06 bob in lobby: text 6",
        "12:07 bob in lobby: text 7",
        "-- end of what was asked for",
    ]


def test_what_is_gone_to_is_told_though_it_is_here_already() -> None:
    reader = Reader()
    reader.link(i.LoggedIn("you", 1), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    reader.link(i.HistoryPage(1, talk(*range(1, 61)), older=False, replace=True))
    for place, seq in (("#10", 10), ("top", 1), ("bottom", 60), ("unread", 60)):
        lines = reader.says(f"/goto {place}")
        told = [int(line.rpartition(" ")[2]) for line in lines if " text " in line]
        assert lines[0] == f"-- {len(told)} lines of #lobby, as asked for"
        assert lines[-1] == "-- end of what was asked for"
        assert seq in {told[0], told[-1]}
        assert told == [*range(told[0], told[-1] + 1)]
        assert len(told) > 10
    assert reader.says("/goto nowhere")[0].startswith("12:00 -!- where to?")


def test_what_has_to_be_fetched_is_told_once_when_it_comes() -> None:
    reader = online()
    reader.link(i.HistoryPage(1, talk(*range(101, 141)), older=True, replace=True))
    assert reader.says("/goto #50") == []
    around = reader.link(
        i.HistoryPage(1, talk(*range(40, 61)), older=True, newer=True, replace=True)
    )
    assert sum(" text 50" in line for line in around) == 1
    assert reader.says("/goto bottom") == []
    latest = reader.link(i.HistoryPage(1, talk(*range(101, 141)), older=True, replace=True))
    assert latest[0] == "-- the last 20 lines of #lobby"
    assert latest[-1].endswith("text 140")
