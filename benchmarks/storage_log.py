"""Measures durable messages through the storage alone: writer, log, commit, no network.

    python benchmarks/storage_log.py [--messages N] [--database FILE] [--groups 1,10,100,1000] [--fsyncs]

Each message does what a send does: look for its answer, read the room's head, chain and insert the
event, keep the answer, move the head; it counts once its group is on disk. The rooms have a
history first, because the index of short ones is a page that all share.

Prints a table and, per group size, one JSON line: durable messages/s, microseconds of CPU of the
whole process and of the writer's part per message, median and p99 of a group in ms.
--fsyncs runs a short pass of each under strace as well, which must be installed.
"""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lairchat.storage import log
from lairchat.storage.database import Database
from lairchat.storage.writer import Unit

ROOMS = 100
DEVICES = 500
HISTORY = 1_000
BODY = 200


def send_all(connection: Connection, units: Sequence["Send"]) -> None:
    keys = [(unit.entry.device, unit.entry.id) for unit in units]
    found = log.find_answers(connection, keys)
    if found:
        raise AssertionError("every id is new here")
    entries = [unit.entry for unit in units]
    seqs = log.append(connection, entries)
    log.store_answers(
        connection,
        [
            (entry.device, entry.id, entry.room, seq, entry.at, None)
            for entry, seq in zip(entries, seqs, strict=True)
        ],
    )


class Send(Unit):
    __slots__ = ("entry", "load")

    size = BODY + 120
    family = staticmethod(send_all)

    def __init__(self, load: "Load", entry: log.Entry) -> None:
        self.load = load
        self.entry = entry

    def finish(self, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self.load.finished()


class Load:
    """Keeps two groups' worth of messages under way, so that every group is full."""

    def __init__(self, database: Database, group: int, messages: int) -> None:
        self.database = database
        self.group = group
        self.left = messages
        self.under_way = 0
        self.number = 0
        self.done: Deferred[None] = Deferred()
        self.body = os.urandom(BODY)

    def start(self) -> "Deferred[None]":
        for _ in range(1 if self.group == 1 else 2 * self.group):
            self.submit()
        return self.done

    def submit(self) -> None:
        if not self.left:
            return
        self.left -= 1
        self.under_way += 1
        self.number += 1
        at = time.time_ns() // 1_000_000
        entry = log.Entry(
            room=self.number * 7 % ROOMS + 1,
            sender=self.number % DEVICES + 1,
            device=self.number % DEVICES + 1,
            kind=1,
            id=at.to_bytes(6, "big") + os.urandom(10),
            body=self.body,
            at=at,
        )
        self.database.writer.submit(Send(self, entry))

    def finished(self) -> None:
        self.under_way -= 1
        self.submit()
        if not self.under_way:
            self.done.callback(None)


def prepare(connection: Connection) -> None:
    body = os.urandom(BODY)
    for room in range(1, ROOMS + 1):
        log.create_head(connection, room)
    for part in range(HISTORY // 20):
        entries = [
            log.Entry(room, 1, 1, 1, os.urandom(16), body, part)
            for _ in range(20)
            for room in range(1, ROOMS + 1)
        ]
        log.append(connection, entries)


async def measure(path: Path, group: int, messages: int) -> dict[str, Any]:
    database = Database.open(f"sqlite:///{path}", reactor=reactor)
    writer = database.writer
    writer._group_units = group
    times: list[float] = []
    grown = writer.grown

    def note(outcome: Any, size: int) -> None:
        times.append(outcome.running + outcome.committing)
        grown(outcome, size)

    writer.grown = note
    await Load(database, group, max(messages // 10, group)).start()  # warm up
    times.clear()
    writer.stats.__init__()  # type: ignore[misc]
    wall, used = time.perf_counter(), time.process_time()
    await Load(database, group, messages).start()
    wall, used = time.perf_counter() - wall, time.process_time() - used
    stats = writer.stats
    times.sort()
    result = {
        "group": group,
        "messages": messages,
        "messages_per_s": round(messages / wall),
        "cpu_us_per_message": round(used / messages * 1e6, 1),
        "run_us_per_message": round(stats.seconds_running / messages * 1e6, 2),
        "commit_us_per_message": round(stats.seconds_committing / messages * 1e6, 2),
        "group_p50_ms": round(times[len(times) // 2] * 1e3, 3),
        "group_p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 3),
        "mean_group": round(messages / stats.groups, 1),
        "checkpoints": database.checkpoints.done,
        "log_pages": database.checkpoints.log_pages,
    }
    await database.close()
    return result


def fsyncs(path: Path, group: int) -> float | None:
    if shutil.which("strace") is None:
        return None
    messages = max(1_000, group * 5)
    with tempfile.NamedTemporaryFile() as trace:
        command = ["strace", "-f", "-o", trace.name, "-e", "trace=fsync,fdatasync", sys.executable]
        command += [__file__, "--database", str(path), "--groups", str(group)]
        subprocess.run(
            [*command, "--messages", str(messages)], check=True, stdout=subprocess.DEVNULL
        )
        calls = sum("sync(" in line for line in trace.read().decode().splitlines())
    # The warm-up sends too.
    return round(calls * 1_000 / (messages + max(messages // 10, group)), 1)


async def main(_reactor: object, options: argparse.Namespace) -> None:
    directory = Path(tempfile.mkdtemp(prefix="lair-storage-"))
    path = options.database or directory / "lair.db"
    try:
        if not path.exists():
            database = Database.open(f"sqlite:///{path}", reactor=reactor)
            await database.call(prepare)
            await database.close()
        print(f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}, {path}")
        print(f"{ROOMS} rooms of {HISTORY} events, {DEVICES} devices, {BODY} bytes a message")
        print("group  messages/s  CPU us  run us  commit us  p50 ms  p99 ms  fsyncs/1000")
        for group in options.groups:
            messages = options.messages or min(200 * group + 4_000, 100_000)
            result = await measure(path, group, messages)
            if options.fsyncs:
                result["fsyncs_per_1000"] = fsyncs(path, group)
            print(
                "{group:5}  {messages_per_s:10}  {cpu_us_per_message:6}  {run_us_per_message:6}"
                "  {commit_us_per_message:9}  {group_p50_ms:6}  {group_p99_ms:6}".format_map(
                    result
                ),
                result.get("fsyncs_per_1000", ""),
            )
            print(json.dumps(result), flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=0)
    parser.add_argument("--database", type=Path)
    parser.add_argument(
        "--groups",
        type=lambda text: [int(size) for size in text.split(",")],
        default=[1, 10, 100, 1000],
    )
    parser.add_argument("--fsyncs", action="store_true")
    react(main, [parser.parse_args()])
