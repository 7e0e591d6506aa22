"""What is kept of groups in memory: as much as fits, and nothing that could be out of date."""

import pytest

from lairchat.features.delivery.groups import Cache, Groups, KnownLogs
from lairchat.mls.errors import InvalidError
from tests.features.delivery.test_commits import room_of
from tests.features.delivery.world import Here


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = Cache(100)
    for name in (b"a", b"b", b"c"):
        cache.keep((name,), name.decode(), 30)
    assert cache.get((b"a",)) == "a"
    cache.keep((b"d",), "d", 30)
    assert [cache.get((name,)) for name in (b"a", b"b", b"c", b"d")] == ["a", None, "c", "d"]
    assert cache.bytes == 90


def test_what_is_larger_than_all_may_be_is_not_kept() -> None:
    cache = Cache(100)
    cache.keep((b"a",), "a", 60)
    cache.keep((b"b",), "b", 101)
    assert (cache.get((b"a",)), cache.get((b"b",)), cache.bytes) == ("a", None, 60)
    cache.keep((b"a",), "again", 60)
    assert (cache.get((b"a",)), cache.bytes) == ("a", 60)


def test_a_group_is_read_once_and_a_server_without_memory_says_the_same(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    kept, nothing = Groups(1 << 24), Groups(0)

    def look(connection: object) -> tuple[object, object, object]:
        first = kept.require(connection, alice.room).group  # type: ignore[arg-type]
        again = kept.require(connection, alice.room).group  # type: ignore[arg-type]
        return first, again, nothing.require(connection, alice.room).group  # type: ignore[arg-type]

    first, again, other = here.server.look(look)
    assert first is again
    assert other.context == first.context == bob.group.context  # type: ignore[union-attr]
    assert other.interim == first.interim == bob.group.public.interim  # type: ignore[union-attr]
    assert nothing.cache.bytes == 0


def test_nodes_that_somebody_changed_in_the_file_are_not_taken_for_the_groups(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    here.server.change(
        lambda c: c.exec_driver_sql(
            "UPDATE group_nodes SET data = (SELECT data FROM group_nodes WHERE node = 0 LIMIT 1)"
            " WHERE node = 2"
        )
    )
    with pytest.raises(InvalidError):
        here.server.look(lambda c: Groups(0).require(c, alice.room))
    here.server.change(lambda c: c.exec_driver_sql("DELETE FROM group_leaves"))
    for table in ("group_nodes", "group_epochs", "mls_groups"):
        here.server.change(lambda c, t=table: c.exec_driver_sql(f"DELETE FROM {t}"))
    assert bob.group is not None


def test_logs_are_read_when_they_are_asked_for(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")

    def look(connection: object) -> tuple[int, bool, bool, list[bytes]]:
        logs = KnownLogs(connection)  # type: ignore[arg-type]
        before = len(logs)
        return before, bytes(32) in logs, alice.person.id in logs, list(logs)

    assert here.server.look(look) == (0, False, True, [alice.person.id])
    assert bob.person.id != alice.person.id
