"""Words find messages, newest first, whatever signs stand in them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lairchat.client.store import Store
from lairchat.client.store_search import SEARCH_TERMS
from tests.client.stores import fill, opened


def found(store: Store, words: str, count: int = 10, room: int | None = None) -> list[str | None]:
    return [message.text for _, message in store.messages.search(words, count, room)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with opened(tmp_path_factory.mktemp("search")) as store:
        fill(
            store,
            [
                "the first caf\u00e9",
                "a second cafe, on the corner",
                "CORNER shop",
                'it\'s "quoted" and (bracketed)',
                "NEAR the AND of OR a NOT",
                "mail alice@example.org or see https://example.org/a?b=c#d",
                "das \u00dcberma\u00df",
                "\u0441\u043d\u0435\u0433 \u0438\u0434\u0451\u0442",
                "half*star col:on -minus ^caret",
                "\N{SNOWMAN} in July",
            ],
        )
        fill(store, ["a corner elsewhere"], room=2)
        yield store


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cafe", ["a second cafe, on the corner", "the first caf\u00e9"]),
        ("CAF\u00c9", ["a second cafe, on the corner", "the first caf\u00e9"]),
        ("corner", ["a corner elsewhere", "CORNER shop", "a second cafe, on the corner"]),
        ("corner cafe", ["a second cafe, on the corner"]),
        ("corn", ["a corner elsewhere", "CORNER shop", "a second cafe, on the corner"]),
        ("corn shop", []),
        ('"quoted"', ['it\'s "quoted" and (bracketed)']),
        ("it's (bracketed", ['it\'s "quoted" and (bracketed)']),
        ("NEAR AND OR NOT", ["NEAR the AND of OR a NOT"]),
        ("alice@example.org", ["mail alice@example.org or see https://example.org/a?b=c#d"]),
        (
            "https://example.org/a?b=c#d",
            ["mail alice@example.org or see https://example.org/a?b=c#d"],
        ),
        ("uberm", ["das \u00dcberma\u00df"]),
        ("\u0441\u043d\u0435\u0433", ["\u0441\u043d\u0435\u0433 \u0438\u0434\u0451\u0442"]),
        ("half*star", ["half*star col:on -minus ^caret"]),
        ("col:on", ["half*star col:on -minus ^caret"]),
        ("-minus", ["half*star col:on -minus ^caret"]),
        ("\N{SNOWMAN} july", ["\N{SNOWMAN} in July"]),
        ("\N{SNOWMAN}", []),
        ("", []),
        (" \t\n", []),
        ("nowhere", []),
        ("text:corner", []),
        ("cafe\0 nothing", []),
        ("first\0cafe", ["the first caf\u00e9"]),
    ],
)
def test_words_find_messages(store: Store, words: str, expected: list[str]) -> None:
    assert found(store, words) == expected


def test_a_search_can_stay_in_a_room(store: Store) -> None:
    assert found(store, "corner", room=2) == ["a corner elsewhere"]
    assert found(store, "corner", room=3) == []
    assert [room for room, _ in store.messages.search("corner", 10)] == [2, 1, 1]
    assert found(store, "corner", count=1) == ["a corner elsewhere"]


@given(st.text(max_size=80))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_a_command_to_the_index(store: Store, words: str) -> None:
    found(store, words)


@given(st.text(st.sampled_from("\"'*()^:-+{}NEARORDT \0acfe,\\%_"), max_size=40))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sign_is_a_command_to_the_index(store: Store, words: str) -> None:
    found(store, words)


def test_a_search_has_no_more_words_than_it_may(store: Store) -> None:
    assert found(store, "corner " * SEARCH_TERMS + "nowhere") == found(store, "corner")
    assert found(store, "x" * 100_000) == []


@pytest.mark.slow
def test_a_long_scrollback_is_searched_fast_enough_to_type_along(tmp_path: Path) -> None:
    """The figure is printed; what is tested is that it finds what it should."""
    words = ["alpha", "beta", "gamma", "delta", "omega", "meeting", "friday", "lunch"]
    with opened(tmp_path) as store:
        fill(
            store,
            [
                f"message {number} about {words[number % 8]} and {words[number // 8 % 8]}"
                + (" needle" if number % 10_000 == 5 else "")
                for number in range(100_000)
            ],
        )
        for what, room in (
            ("message", 1),
            ("needle", 1),
            ("mess", None),
            ("alpha omega", 1),
            ("message", 2),
        ):
            began = time.perf_counter()
            hits = found(store, what, 50, room)
            took = 1_000 * (time.perf_counter() - began)
            print(f"{what!r} in {room}: {len(hits)} of 100,000 messages in {took:.1f} ms")
        assert len(found(store, "needle", 50)) == 10
        assert found(store, "needle", 1) == ["message 90005 about meeting and gamma needle"]
