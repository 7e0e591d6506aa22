"""First answers of commands, by which repeats are known (architecture.md, decision 3)."""

import sqlite3
from collections.abc import Iterator

import pytest

from lairchat.storage import log
from lairchat.storage.answers import Answers
from tests.storage.support import Inline, command


@pytest.fixture
def inline() -> Iterator[Inline]:
    made = Inline()
    yield made
    made.close()


def store(inline: Inline, *rows: log.AnswerRow) -> None:
    inline.write(lambda connection: log.store_answers(connection, rows))


def find(inline: Inline, *keys: tuple[int, bytes]) -> dict[tuple[int, bytes], log.Answer]:
    return inline.read(lambda connection: log.find_answers(connection, keys))


def row(device: int, number: int, at: int = 1_700_000_000_000) -> log.AnswerRow:
    return log.AnswerRow(device, command(number, at), 1, number, at, b"reply %d" % number)


@pytest.mark.parametrize("count", [1, 3, 4, 100, 1_500])
def test_what_was_stored_is_found_among_what_was_not(inline: Inline, count: int) -> None:
    store(inline, *[row(5, number) for number in range(count)])
    keys = [(5, command(number)) for number in range(count + 10)]
    found = find(inline, *keys)
    assert found == {
        (5, command(n)): (1, n, 1_700_000_000_000, b"reply %d" % n) for n in range(count)
    }
    assert find(inline) == {}


@pytest.mark.parametrize("others", [0, 5])
def test_another_devices_answer_is_not_ours(inline: Inline, others: int) -> None:
    """A client may know another's command id, by accident or to get its answer."""
    store(inline, row(5, 1), row(6, 1))
    keys = [(device, command(1)) for device in (5, 7)] + [(7, command(9))] * others
    assert find(inline, *keys).keys() == {(5, command(1))}


def test_an_answer_is_kept_once(inline: Inline) -> None:
    store(inline, row(5, 1))
    for rows in ([row(5, 1)], [row(5, number) for number in range(10)]):
        with pytest.raises(sqlite3.IntegrityError):
            store(inline, *rows)
    assert len(find(inline, *[(5, command(number)) for number in range(10)])) == 1


def test_old_answers_are_forgotten_in_bounded_steps(inline: Inline) -> None:
    day = 86_400_000
    store(inline, *[row(5, number, at=number * day) for number in range(20)])
    forget = lambda before, limit: inline.write(  # noqa: E731
        lambda connection: log.forget_answers(connection, before, limit)
    )
    assert forget(10 * day, 4) == 4
    assert forget(10 * day, 4) == 4
    assert forget(10 * day, 4) == 2
    assert forget(10 * day, 4) == 0
    assert forget(-5, 4) == 0
    keys = [(5, command(number, number * day)) for number in range(20)]
    assert find(inline, *keys).keys() == set(keys[10:])


def test_equal_ids_of_many_devices_do_not_stop_the_sweep(inline: Inline) -> None:
    store(inline, *[row(device, 1) for device in range(50)])
    assert inline.write(lambda connection: log.forget_answers(connection, 2**47, 10)) == 50


def test_answers_of_single_commands(inline: Inline) -> None:
    answers = Answers()
    assert inline.read(lambda connection: answers.find(connection, 5, command(1))) is None
    inline.write(lambda connection: answers.store(connection, 5, command(1), 1_000, b"reply"))
    assert inline.read(lambda connection: answers.find(connection, 5, command(1))) == b"reply"
    assert find(inline, (5, command(1))) == {(5, command(1)): (0, 0, 1_000, b"reply")}
