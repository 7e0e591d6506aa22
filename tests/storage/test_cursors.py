"""How far each device has read, and what is unread."""

from collections.abc import Iterator
from typing import Any

import pytest

from lairchat.model.events import EventClass
from lairchat.storage import log
from lairchat.storage.statements import driver_of
from tests.storage.support import Inline, entry


@pytest.fixture
def inline() -> Iterator[Inline]:
    made = Inline()

    def fill(connection: Any) -> None:
        # Room 1: messages at the odd numbers. Room 2: ten messages. Room 3: nothing.
        for room in (1, 2, 3):
            log.create_head(connection, room)
        kinds = [EventClass.APP, EventClass.STATE] * 5
        log.append(connection, [entry(1, kind=int(kind)) for kind in kinds])
        log.append(connection, [entry(2) for _ in kinds])

    made.write(fill)
    yield made
    made.close()


def move(inline: Inline, seq: int, *, user: int = 7, device: int = 70, room: int = 1) -> int:
    moved = inline.write(lambda connection: log.move_cursor(connection, user, device, room, seq))
    assert inline.read(lambda connection: log.read_cursor(connection, user, device, room)) == moved
    return moved.seq


def unread(inline: Inline, *rooms: int, user: int = 7) -> dict[int, log.Unread]:
    return inline.read(lambda connection: log.unread(connection, user, rooms))


def test_cursors_move_forward_only_and_not_past_the_end(inline: Inline) -> None:
    assert inline.read(lambda connection: log.read_cursor(connection, 7, 70, 1)) == (1, 70, 0, 0)
    assert move(inline, 0) == 0
    assert move(inline, 4) == 4
    assert move(inline, 3) == 4
    assert move(inline, 4) == 4
    assert move(inline, 2**62) == 10
    assert move(inline, 5) == 10
    assert move(inline, 5, room=3) == 0


def test_unread_counts_messages_only_and_the_devices_together(inline: Inline) -> None:
    assert unread(inline, 1, 2, 3, 99) == {1: (10, 0, 5), 2: (10, 0, 10), 3: (0, 0, 0)}
    move(inline, 3)
    move(inline, 5, device=71)
    move(inline, 10, user=8)
    assert unread(inline, 1) == {1: (10, 5, 2)}
    assert unread(inline, 1, user=8) == {1: (10, 10, 0)}
    inline.write(lambda connection: log.append(connection, [entry(1), entry(1, kind=6)]))
    assert unread(inline, 1) == {1: (12, 5, 3)}
    assert unread(inline) == {}


def test_purged_messages_still_count(inline: Inline) -> None:
    inline.write(lambda connection: log.purge(connection, 1, range(11)))
    assert move(inline, 5) == 5
    assert unread(inline, 1) == {1: (10, 5, 2)}


def test_all_cursors_of_a_user(inline: Inline) -> None:
    move(inline, 3, room=2, device=71)
    move(inline, 3, room=2)
    move(inline, 4)
    move(inline, 9, user=8)
    cursors = inline.read(lambda connection: log.cursors_of_user(connection, 7))
    assert cursors == [(1, 70, 4, 2), (2, 70, 3, 3), (2, 71, 3, 3)]


def test_what_a_device_that_is_gone_had_read_stays_read(inline: Inline) -> None:
    move(inline, 9)
    move(inline, 3, device=71)
    move(inline, 3, room=2)
    inline.write(lambda connection: log.forget_device(connection, 7, 70))
    assert unread(inline, 1, 2) == {1: (10, 9, 0), 2: (10, 3, 7)}
    move(inline, 10, device=72)
    inline.write(lambda connection: log.forget_device(connection, 7, 71))
    cursors = inline.read(lambda connection: log.cursors_of_user(connection, 7))
    assert [(cursor.room, cursor.device, cursor.seq) for cursor in cursors] == [
        (1, 0, 9),
        (1, 72, 10),
        (2, 0, 3),
    ]


def test_leaving_a_room_forgets_its_cursors(inline: Inline) -> None:
    move(inline, 9)
    move(inline, 9, room=2)
    move(inline, 9, user=8)
    inline.write(lambda connection: log.forget_cursors(connection, 7, 1))
    assert unread(inline, 1, 2) == {1: (10, 0, 5), 2: (10, 9, 1)}
    assert unread(inline, 1, user=8) == {1: (10, 9, 0)}


def test_rooms_without_a_log(inline: Inline) -> None:
    with pytest.raises(log.NoLogError):
        move(inline, 1, room=99)
    inline.write(
        lambda connection: driver_of(connection).change("DELETE FROM log_events WHERE seq = 4", ())
    )
    with pytest.raises(log.NoLogError, match="lacks event 4"):
        move(inline, 4)
