"""What a device's encrypted store costs: sending, receiving, and searching a long scrollback.

    python benchmarks/client_store.py [--json] [--messages 100000] [--runs 200]

Every message is a transaction that is on disk when it is over; the cost of sealing and opening it is
taken apart.  Prints figures, never passes or fails.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lairchat.client.store import Store
from lairchat.model.events import EventClass
from tests.client.stores import fill, follow, letter, move_in, opened, seal
from tests.e2ee.devices import NOW, ROOM, Client, talk

WORDS = ("alpha", "beta", "gamma", "delta", "omega", "meeting", "friday", "lunch")


def timed(runs: int, work: Callable[[], object]) -> float:
    """Return the median of so many runs, ms."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        took.append(1_000 * (time.perf_counter() - began))
    return round(statistics.median(took), 3)


def talking(store: Store, alice: Client, bob: Client, runs: int) -> dict[str, float]:
    """Return what it takes to send and to receive, with and without the store."""
    found = {}
    room = store.room(ROOM)
    assert room is not None
    what = letter("hello")
    found["seal"] = timed(
        runs, lambda: room.seal(what.body, what.id, alice.person.log, NOW, os.urandom)
    )
    found["seal and keep"] = timed(runs, lambda: seal(store, alice.person, letter("hello")))
    for _ in range(runs):
        alice.server.append(EventClass.APP, bob.seal("hello"))
    events, alice.server.events = alice.server.events, alice.server.events[:-runs]

    def one() -> None:
        alice.server.events = events[: len(alice.server.events) + 1]
        follow(store, alice.server)

    found["open, fold and keep"] = timed(runs, one)
    return found


def searching(store: Store, messages: int) -> dict[str, float]:
    """Return what searches take; the last is of a word that every message of another room has."""
    fill(
        store,
        [
            f"message {number} about {WORDS[number % 8]} and {WORDS[number // 8 % 8]}"
            + (" needle" if number % 10_000 == 5 else "")
            for number in range(messages)
        ],
    )
    searches = {
        "every message": ("message", 1),
        "one in ten thousand": ("needle", 1),
        "beginning of a word": ("mess", None),
        "two words": ("alpha omega", 1),
        "every message elsewhere": ("message", 2),
    }
    return {
        name: timed(20, lambda words=words, room=room: store.messages.search(words, 50, room))  # type: ignore[misc]
        for name, (words, room) in searches.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--messages", type=int, default=100_000, help="of the scrollback")
    parser.add_argument("--runs", type=int, default=200, help="messages sent and received")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        alice, bob = talk("alice", "bob")
        with opened(root / "talk") as store:
            move_in(store, alice)
            figures = {"message, ms": talking(store, alice, bob, options.runs)}
        with opened(root / "search") as store:
            figures["search, ms"] = searching(store, options.messages)
            size = (next(root.glob("search/profiles/*/*/store.db"))).stat().st_size
    if options.json:
        print(json.dumps({**figures, "messages": options.messages, "bytes": size}))
        return
    for title, found in figures.items():
        print(title)
        for name, took in found.items():
            print(f"  {name:<24} {took:>8.3f}")
    print(f"{options.messages:,} messages in {size:,} bytes")


if __name__ == "__main__":
    main()
