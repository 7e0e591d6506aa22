"""What an encrypted message costs the people at both ends and the server between them.

The real daemon (a process of its own, TLS, SQLite) and two or more real clients without a screen, each
with its store on disk, all in this process: so the figures for sending and receiving are the CPU of
this process, halved or divided as said, and the server's are those of its process.
Prints one line of JSON a scenario: CPU in microseconds of the clients and of the server for each
message, and the time from Enter to the other's screen in milliseconds (one message at a time).

    .venv/bin/python benchmarks/private_path.py [--messages 300] [--members 2,10]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred

from lairchat.client import effects, effects_sealed, inputs
from lairchat.demo_private import Device
from lairchat.demo_server import DemoServer
from lairchat.features.accounts import messages as accounts

reactor: Any = _reactor
LIMITS = """
[limits]
message_burst = 1000000
message_per_second = 1000000
command_burst = 1000000
command_per_second = 1000000
strangers_per_address = 1000
"""
TEXT = "x" * 160


def server_cpu(pid: int) -> float:
    """Return the CPU seconds of a process, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def people(server: DemoServer, root: Path, count: int) -> list[Device]:
    """Register so many people."""
    found = [
        Device(reactor, f"carol{number}", server.port, root / f"member{number}")
        for number in range(count)
    ]
    await found[0].register(server.link().code)
    for one in found[1:]:
        invite = await found[0].link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
        await one.register(invite.code)
    return found


async def together(all_of: list[Device]) -> int:
    """Bring people into one room; returns its number."""
    first = all_of[0]
    if len(all_of) == 2:
        return await first.direct(all_of[1].name)
    made = await first.do(lambda ref: effects.Create(ref, "bench", "private"))
    assert isinstance(made, inputs.RoomJoined)
    room = made.room.id
    for one in all_of[1:]:
        await first.do(lambda ref, one=one: effects.InviteUser(ref, room, one.name))
        await one.do(lambda ref: effects_sealed.AcceptInvite(ref, first.name))
    for one in all_of:
        await one.until(lambda one=one: one.link.sealed.following(room).state is not None)
    return room


async def scenario(server: DemoServer, root: Path, members: int, messages: int) -> dict[str, Any]:
    """Measure one room."""
    everybody = await people(server, root, members)
    room = await together(everybody)
    sender, reader = everybody[0], everybody[-1]
    for warm in range(10):
        await sender.say(room, f"warm {warm}")
        await reader.hears(room, f"warm {warm}")
    assert server.pid is not None
    times = []
    ours, theirs = time.process_time(), server_cpu(server.pid)
    for number in range(messages):
        begun = time.perf_counter()
        await sender.say(room, f"{number} {TEXT}")
        await reader.hears(room, f"{number} {TEXT}")
        times.append(1000 * (time.perf_counter() - begun))
        for one in everybody:
            one.heard.clear()
    ours, theirs = time.process_time() - ours, server_cpu(server.pid) - theirs
    for one in everybody:
        await one.leave()
    cuts = statistics.quantiles(times, n=100)
    return {
        "scenario": f"{members} members, one at a time",
        "messages": messages,
        "clients_us": round(1e6 * ours / messages, 1),
        "per_client_us": round(1e6 * ours / messages / members, 1),
        "server_us": round(1e6 * theirs / messages, 1),
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(cuts[98], 2),
    }


async def measure(options: argparse.Namespace) -> None:
    for members in options.members:
        with tempfile.TemporaryDirectory(prefix="lair-bench-") as directory:
            server = DemoServer(Path(directory) / "server", extra=LIMITS)
            server.start()
            try:
                found = await scenario(server, Path(directory), members, options.messages)
            finally:
                server.stop()
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument(
        "--members", type=lambda text: [int(one) for one in text.split(",")], default=[2, 10]
    )
    options = parser.parse_args()

    def begin() -> None:
        work = Deferred.fromCoroutine(measure(options))
        work.addErrback(lambda failure: sys.stderr.write(failure.getTraceback()))
        work.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
