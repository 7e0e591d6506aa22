"""What a message costs the server between its socket and its sockets.

The real kernel, hub, features and database file with its writer thread; only TLS and sockets are
left out: commands come as bodies of frames, and what is written is counted and dropped.  Prints one
line of JSON per scenario with microseconds of CPU, by thread: ``reactor`` decodes, checks, encodes
and spreads; ``writer`` runs the transactions.  ``--profile`` prints where the reactor's go.

    .venv/bin/python benchmarks/send_path.py [--messages 40000] [--profile] [--directory DIR]
"""

import argparse
import cProfile
import json
import os
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel
from lairchat.core.peer import Peer
from lairchat.core.session import Session
from lairchat.core.throttle import Rate, Throttle
from lairchat.features.accounts import tables as accounts
from lairchat.features.messages import server as messages
from lairchat.features.messages.messages import SEND, Send, Text
from lairchat.features.moderation import server as moderation
from lairchat.features.rooms import server as rooms
from lairchat.features.rooms import tables as room_tables
from lairchat.model.ids import DeviceId, RoomId, SessionId, UserId, command_id
from lairchat.model.roles import RoomRole, ServerRole
from lairchat.storage.answers import Answers
from lairchat.storage.database import Database
from lairchat.wire import codec
from lairchat.wire.objects import CommandFrame

reactor: Any = _reactor
PLENTY = Rate(burst=1e12, per_second=1e9)
TEXT = "x" * 160  # about 200 bytes as a frame


class Sink:
    """A wire that counts what it is given."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.bytes = 0
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self.writes += 1
        self.load.written()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self, code: str, text: str) -> None:
        raise AssertionError(f"{code} {text}")

    def abort(self) -> None:
        raise AssertionError

    def authenticated(self) -> None:
        pass


class Load:
    """Keeps ``window`` sends under way until all are answered."""

    def __init__(self, kernel: Kernel, database: Database, window: int) -> None:
        self.kernel = kernel
        self.database = database
        self.window = window
        self.commands: Iterator[tuple[Peer, bytes]] = iter(())
        self.given = 0
        self.waiting = False
        self.done: Deferred[None] = Deferred()
        self.total = 0
        self.base = 0

    def run(self, commands: list[tuple[Peer, bytes]]) -> "Deferred[None]":
        self.commands, self.total, self.given = iter(commands), len(commands), 0
        self.base = self.answered()
        self.done = Deferred()
        self.feed()
        return self.done

    def answered(self) -> int:
        return self.database.writer.stats.units

    def written(self) -> None:
        if not self.waiting:
            self.waiting = True
            reactor.callLater(0, self.feed)

    def feed(self) -> None:
        self.waiting = False
        answered = self.answered() - self.base
        if answered == self.total:
            self.done.callback(None)
            return
        receive, decode = self.kernel.receive, codec.decode_client
        for _ in range(self.window - (self.given - answered)):
            following = next(self.commands, None)
            if following is None:
                return
            self.given += 1
            peer, body = following
            receive(peer, decode(body))  # type: ignore[arg-type]


def cpu_of(thread: int) -> float:
    """Return the CPU seconds of a thread of this process."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def build(url: str) -> tuple[Database, Kernel]:
    database = Database.open(url, reactor=reactor)
    hub = Hub(lambda flush: reactor.callLater(0, flush), messages.gap_frame)
    kernel = Kernel(
        [rooms.make(), messages.make(), moderation.make()],
        storage=database,
        answers=Answers(),
        hub=hub,
        throttle=Throttle(reactor.seconds),
        now=lambda: time.time_ns() // 1_000_000,
        random=os.urandom,
        rates={"message": PLENTY, "command": PLENTY},
    )
    return database, kernel


def populate(count: int, size: int) -> Callable[[Any], list[tuple[RoomId, list[UserId]]]]:
    """Return what makes rooms with members of their own."""

    def make(connection: Any) -> list[tuple[RoomId, list[UserId]]]:
        made = []
        for number in range(count):
            users = [
                accounts.create_user(
                    connection,
                    name=f"u{number}-{place}",
                    role=ServerRole.USER,
                    secret="-",
                    now=0,
                )
                for place in range(size)
            ]
            room = room_tables.create(
                connection,
                kind="room",
                name=f"room{number}",
                access="public",
                posting="members",
                topic="",
                by=users[0],
                now=0,
            )
            for user in users:
                room_tables.add(connection, room.id, user, RoomRole.MEMBER, 0)
            made.append((room.id, users))
        return made

    return make


def connect(
    kernel: Kernel, load: Load, made: list[tuple[RoomId, list[UserId]]]
) -> list[tuple[RoomId, list[Peer]]]:
    connected = []
    for room, users in made:
        peers = []
        for user in users:
            peer = Peer(kernel.hub, Sink(load), "192.0.2.1", reactor.seconds())
            session = Session(SessionId(user), user, DeviceId(user), f"user{user}", ServerRole.USER)
            kernel.hub.attach(peer, session, [room])
            peers.append(peer)
        connected.append((room, peers))
    return connected


def commands(
    rooms_and_peers: list[tuple[RoomId, list[Peer]]], count: int, start: int
) -> list[tuple[Peer, bytes]]:
    """Return sends, in turn by every member of every room."""
    made = []
    body = msgspec.msgpack.encode(Text(TEXT))
    now = time.time_ns() // 1_000_000
    for number in range(start, start + count):
        room, peers = rooms_and_peers[number % len(rooms_and_peers)]
        peer = peers[number // len(rooms_and_peers) % len(peers)]
        frame = CommandFrame(
            id=number % 1_000_000 + 1,
            do=SEND.name,
            args=msgspec.Raw(codec.encode_body(Send(room=room, body=body))),
            key=command_id(now, os.urandom(10)),
        )
        made.append((peer, codec.encode_body(frame)))
    return made


async def scenario(
    name: str, count: int, size: int, options: argparse.Namespace, directory: Path
) -> None:
    database, kernel = build(f"sqlite:///{directory / name}.db")
    load = Load(kernel, database, options.window)
    made = await database.call(populate(count, size))
    writer = await database.call(lambda _: threading.get_native_id())
    there = connect(kernel, load, made)
    await load.run(commands(there, 4_000, 0))
    work = commands(there, options.messages, 4_000)
    await settled(database)
    stats = database.writer.stats
    before = (stats.groups, stats.units)
    threads = {"reactor": threading.get_native_id(), "writer": writer}
    at = {thread: cpu_of(number) for thread, number in threads.items()}
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    began = time.perf_counter()
    await load.run(work)
    seconds = time.perf_counter() - began
    profile.disable()
    spent = {thread: cpu_of(number) - at[thread] for thread, number in threads.items()}
    total = options.messages
    print(
        json.dumps(
            {
                "scenario": name,
                "rooms": count,
                "members": size,
                "messages": total,
                "units_per_group": round((stats.units - before[1]) / (stats.groups - before[0])),
                "messages_per_s": round(total / seconds),
                "us_per_message": round(sum(spent.values()) / total * 1e6, 1),
                "us_per_delivery": round(sum(spent.values()) / total / size * 1e6, 2),
                **{f"us_{thread}": round(used / total * 1e6, 1) for thread, used in spent.items()},
            }
        ),
        flush=True,
    )
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(28)
    await lonely(load, there, options)
    await database.close()


async def lonely(
    load: Load, there: list[tuple[RoomId, list[Peer]]], options: argparse.Namespace
) -> None:
    """Send one message at a time: what a quiet server's user waits for, sockets aside."""
    waits = []
    for command in commands(there, min(options.messages, 1_000), 1 << 20):
        began = time.perf_counter()
        await load.run([command])
        waits.append((time.perf_counter() - began) * 1e6)
    quantiles = statistics.quantiles(waits, n=100)
    print(
        json.dumps(
            {
                "scenario": "one at a time",
                "members": len(there[0][1]),
                "us_p50": round(quantiles[49]),
                "us_p99": round(quantiles[98]),
            }
        ),
        flush=True,
    )


async def settled(database: Database) -> None:
    await database.writer.drain()
    await deferLater(reactor, 0.2)


async def main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        await scenario("100x5", 100, 5, options, Path(directory))
        await scenario("1x200", 1, 200, options, Path(directory))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--window", type=int, default=2_000, help="sends under way")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--directory", default=None, help="where the database files go")
    return parser.parse_args()


def run() -> int:
    status = 0

    def ended(failure: Any) -> None:
        nonlocal status
        if failure is not None:
            failure.printTraceback()
            status = 1
        reactor.stop()

    options = parse()
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main(options)).addBoth(ended))
    reactor.run()
    return status


if __name__ == "__main__":
    sys.exit(run())
