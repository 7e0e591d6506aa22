"""Measures the real daemon over TLS with the load generator, and prints a table.

    .venv/bin/python benchmarks/run.py                        # all scenarios, three times each
    .venv/bin/python benchmarks/run.py --only rooms,lat --repeat 5
    .venv/bin/python benchmarks/run.py --profile rooms        # where the time goes, by py-spy

Every run starts a daemon (twistd -n lairchat, SQLite, TLS) on core 0 with a fresh copy of a prepared
database, and the generator on core 1.  Raw lines of JSON are appended to --out.  README.rst says
what the figures mean and how to read them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from measured import RAISED, Running, build, circumstances, generate, preferred
from prepare_load import make_load

from lairchat.demo_server import ServerFailedError

IDLE = 10_000
MEMBERS = 900
NEWCOMERS = 200
SETTLE_SECONDS = 5.0


@dataclass(frozen=True)
class Scenario:
    """What is measured: people and rooms that exist before, and what the generator does.

    timed: whether it runs for --seconds.
    """

    about: str
    people: int
    rooms: int
    per: int
    arguments: tuple[str, ...]
    timed: bool = True


def _rooms(rooms: int, per: int, senders: int, *pace: str) -> tuple[str, ...]:
    counts = ("--rooms", str(rooms), "--per", str(per), "--senders", str(senders))
    return (*counts, *pace)


def _joins(first: int, per: int, at_once: int, *more: str) -> tuple[str, ...]:
    ramp = ("--jconc", str(at_once), "--token-base", str(first))
    return ("--join-only", "--rooms", "1", "--per", str(per), *ramp, *more)


_CROWD = MEMBERS + NEWCOMERS
SCENARIOS = {
    "rooms": Scenario(
        "100 rooms of 5, all send, 4 in flight each",
        *(500, 100, 5, _rooms(100, 5, 5, "--window", "4")),
    ),
    "fan200": Scenario(
        "1 room of 200, 10 send, 8 in flight each",
        *(200, 1, 200, _rooms(1, 200, 10, "--window", "8")),
    ),
    "fan50": Scenario(
        "1 room of 50, 5 send, 16 in flight each",
        *(50, 1, 50, _rooms(1, 50, 5, "--window", "16")),
    ),
    "fan1000": Scenario(
        "1 room of 1,000, 10 send, 4 in flight each",
        *(1000, 1, 1000, _rooms(1, 1000, 10, "--window", "4")),
    ),
    "fanrate": Scenario(
        "50 messages/s into 1 room of 200: nothing to batch",
        *(200, 1, 200, _rooms(1, 200, 10, "--rate", "50")),
    ),
    "lat": Scenario(
        "1,000 messages/s into 100 rooms of 5",
        *(500, 100, 5, _rooms(100, 5, 5, "--rate", "1000")),
    ),
    "lat5000": Scenario(
        "5,000 messages/s into 100 rooms of 5",
        *(500, 100, 5, _rooms(100, 5, 5, "--rate", "5000")),
    ),
    "idle": Scenario(
        f"{IDLE:,} authenticated connections, each in a room of 5",
        *(IDLE, IDLE // 5, 5, ("--idle", str(IDLE), "--hold", "5", "--srcs", "16")),
        timed=False,
    ),
    "join": Scenario(
        f"members {MEMBERS + 1} to {_CROWD} join one by one, nobody else is connected",
        *(_CROWD, 1, MEMBERS, _joins(MEMBERS, NEWCOMERS, 1)),
        timed=False,
    ),
    "joinlive": Scenario(
        f"the same, while {MEMBERS} members are connected and told",
        *(_CROWD, 1, MEMBERS, _joins(0, _CROWD, 1, "--joined", str(MEMBERS))),
        timed=False,
    ),
    "joinherd": Scenario(
        f"the same, all {NEWCOMERS} at once",
        *(_CROWD, 1, MEMBERS, _joins(0, _CROWD, NEWCOMERS, "--joined", str(MEMBERS))),
        timed=False,
    ),
}
DAEMON = "daemon"
USUAL = ("daemon", "rooms", "fan200", "fanrate", "lat", "idle", "join", "joinlive")


class Bench:
    """A scratch directory with the tools and the prepared databases, one per size."""

    def __init__(self, directory: Path, nice: int) -> None:
        self.directory = directory
        self.nice = nice
        self.tools = directory / "tools"
        build(self.tools)
        self._count = 0

    def prepared(self, scenario: Scenario) -> Path:
        """Return the data directory that a scenario starts from, made on first use."""
        name = f"{scenario.people}-{scenario.rooms}-{scenario.per}"
        data = self.directory / name
        if not data.exists():
            data.mkdir(mode=0o700)
            make_load(data, scenario.people, scenario.rooms, scenario.per)
        return data

    def server(self, prepared: Path | None) -> Running:
        """Return a daemon that is not started yet."""
        self._count += 1
        return Running(self.directory / f"server{self._count}", prepared, self.tools)

    def measure(self, name: str, seconds: int, during: Callable[[Running], object]) -> Any:
        """Run a scenario once and return what the generator says; ``during`` runs before it."""
        if name == DAEMON:
            return self._measure_daemon()
        scenario = SCENARIOS[name]
        data = self.prepared(scenario)
        arguments = ["--label", f"lair/{name}", "--tokens", str(data / "tokens.hex")]
        if "--join-only" not in scenario.arguments:
            arguments += ["--roomids", str(data / "rooms")]
        if scenario.timed:
            arguments += ["--secs", str(seconds), "--warm", "2"]
        with preferred(self.nice), self.server(data) as running:
            during(running)
            most = 120.0 + seconds
            return generate(running, [*arguments, *scenario.arguments], self.tools, most)

    def _measure_daemon(self) -> dict[str, Any]:
        with self.server(None) as running:
            time.sleep(SETTLE_SECONDS)
            used = running.cpu_seconds()
            time.sleep(SETTLE_SECONDS)
            return {
                "label": f"lair/{DAEMON}",
                "mode": DAEMON,
                "ready_s": round(running.server.ready_seconds, 2),
                "rss_mib": round(running.rss_mib(), 1),
                "idle_cpu_frac": round((running.cpu_seconds() - used) / SETTLE_SECONDS, 4),
            }


# -- the table

Column = tuple[str, str, str]
RUN_COLUMNS: tuple[Column, ...] = (
    ("messages/s", "msg_s", ",.0f"),
    ("deliveries/s", "deliv_s", ",.0f"),
    ("CPU us/message", "srv_cpu_us_per_msg", ".1f"),
    ("CPU us/delivery", "srv_cpu_us_per_deliv", ".2f"),
    ("server core", "srv_cpu_frac", ".2f"),
    ("generator core", "gen_cpu_frac", ".2f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("ack p50 ms", "ack_p50_ms", ".2f"),
    ("ack p99 ms", "ack_p99_ms", ".2f"),
    ("fsyncs/1,000", "fsyncs_per_1k", ".1f"),
    ("others on core 0", "others_core0", ".2f"),
)
OTHER_COLUMNS: dict[str, tuple[Column, ...]] = {
    "idle": (
        ("connections", "conns", ",.0f"),
        ("logins/s", "hs_per_s", ",.0f"),
        ("CPU ms/login", "srv_cpu_ms_per_conn", ".2f"),
        ("MiB per 1,000", "mib_per_1k", ".1f"),
        ("RSS MiB", "rss_after_hold_mib", ",.0f"),
        ("core while idle", "idle_cpu_frac", ".3f"),
        ("others on core 0", "others_core0", ".2f"),
    ),
    "join": (
        ("joins", "joins", ",.0f"),
        ("CPU ms/join", "srv_cpu_ms_per_join", ".2f"),
        ("bytes told/join", "rx_bytes_per_join", ",.0f"),
        ("others on core 0", "others_core0", ".2f"),
    ),
    DAEMON: (
        ("ready after s", "ready_s", ".2f"),
        ("RSS MiB", "rss_mib", ".1f"),
        ("core while idle", "idle_cpu_frac", ".4f"),
    ),
}


def table(results: Iterable[dict[str, Any]]) -> str:
    """Return the medians of all repetitions as markdown."""
    by_label: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_label.setdefault(result["label"], []).append(result)
    lines: list[str] = []
    for mode in ("rate", "closed", *OTHER_COLUMNS):
        columns = OTHER_COLUMNS.get(mode, RUN_COLUMNS)
        rows = {label: runs for label, runs in by_label.items() if runs[0]["mode"] == mode}
        if rows and not (mode == "closed" and lines):
            titles = [title for title, _, _ in columns]
            lines += [
                "",
                f"| scenario | runs | {' | '.join(titles)} |",
                "|---" * (len(titles) + 2) + "|",
            ]
        for label, runs in rows.items():
            cells = [
                format(statistics.median(run[key] for run in runs), form)
                for _, key, form in columns
            ]
            lines.append(f"| {label} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines[1:])


# -- profiles


def spy(bench: Bench) -> Path:
    """Return py-spy: the one on the path, or one put into a scratch environment."""
    found = shutil.which("py-spy")
    if found:
        return Path(found)
    scratch = bench.directory / "py-spy"
    subprocess.run([sys.executable, "-m", "venv", str(scratch)], check=True)
    subprocess.run([str(scratch / "bin/pip"), "install", "--quiet", "py-spy"], check=True)
    return scratch / "bin/py-spy"


def profile(bench: Bench, name: str, seconds: int) -> None:
    """Run a scenario under a sampling profiler and print what each thread spends its time in."""
    program = spy(bench)
    samples = bench.directory / "samples"
    spies: list[subprocess.Popen[bytes]] = []

    def watch(running: Running) -> None:
        # It starts with the logins and ends with them over and the load running.
        command = [
            str(program),
            "record",
            "--pid",
            str(running.pid),
            "--duration",
            str(seconds + 2),
        ]
        how = ["--format", "raw", "--threads", "--function", "--rate", "400", "--nonblocking"]
        spies.append(
            subprocess.Popen(
                [*command, *how, "--output", str(samples)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    result = bench.measure(name, seconds, watch)
    spies[0].wait(60)
    sys.stdout.write(f"{json.dumps(result)}\n")
    for thread, stacks in _by_thread(samples).items():
        _print_thread(thread, stacks)


Stack = tuple[tuple[str, ...], int]


def _by_thread(samples: Path) -> dict[str, list[Stack]]:
    threads: dict[str, list[Stack]] = {}
    for line in samples.read_text("utf-8").splitlines():
        frames, _, times = line.rpartition(" ")
        thread, *stack = frames.split(";")
        if stack:
            threads.setdefault(thread, []).append((tuple(stack), int(times)))
    return threads


def _print_thread(thread: str, stacks: list[Stack], most: int = 40) -> None:
    own: dict[str, int] = {}
    within: dict[str, int] = {}
    total = sum(times for _, times in stacks)
    for stack, times in stacks:
        own[stack[-1]] = own.get(stack[-1], 0) + times
        for frame in set(stack):
            within[frame] = within.get(frame, 0) + times
    sys.stdout.write(f"\n{thread}: {total} samples\n  self%  with%  function\n")
    for frame in sorted(own, key=lambda frame: -own[frame])[:most]:
        shares = (100 * own[frame] / total, 100 * within[frame] / total)
        sys.stdout.write(f"  {shares[0]:5.1f}  {shares[1]:5.1f}  {frame}\n")


def measure_all(bench: Bench, names: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run all scenarios, round by round, so that a noisy minute does not hit one of them only."""
    about = {**circumstances(), "limits": dict(RAISED), "nice": args.nice}
    sys.stdout.write(f"{json.dumps(about)}\n")
    results = []
    for turn in range(args.repeat):
        for name in names:
            load = os.getloadavg()[0]
            try:
                measured = bench.measure(name, args.seconds, lambda _running: None)
            except (RuntimeError, ServerFailedError, subprocess.TimeoutExpired) as error:
                sys.stderr.write(f"{name}: {error}\n")
                continue
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            result = {**measured, "at": at, "turn": turn, "load_before": round(load, 2), **about}
            results.append(result)
            with args.out.open("a", encoding="utf-8") as out:
                out.write(f"{json.dumps(result)}\n")
            brief = {key: measured[key] for key in BRIEF if key in measured}
            sys.stdout.write(f"{name}: {json.dumps(brief)}\n")
            sys.stdout.flush()
    return results


BRIEF = (
    *("msg_s", "deliv_s", "srv_cpu_us_per_msg", "srv_cpu_us_per_deliv", "srv_cpu_frac"),
    *("gen_cpu_frac", "p50_ms", "p99_ms", "ack_p50_ms", "ack_p99_ms", "fsyncs_per_1k"),
    *("mib_per_1k", "hs_per_s", "srv_cpu_ms_per_join", "rss_mib", "others_core0"),
)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", default=",".join(USUAL), help=f"of {', '.join(SCENARIOS)}, daemon"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6, help="measured, after 2 s of warm-up")
    parser.add_argument("--nice", type=int, default=0, help="-20 on a machine that others use too")
    parser.add_argument("--work", type=Path, help="parent of the scratch directory, on a real disk")
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--profile", metavar="SCENARIO")
    args = parser.parse_args()
    names = args.only.split(",")
    unknown = {*names, args.profile or DAEMON} - {*SCENARIOS, DAEMON}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="lairbench", dir=args.work) as scratch:
        bench = Bench(Path(scratch), args.nice)
        if args.profile:
            profile(bench, args.profile, args.seconds)
        else:
            sys.stdout.write(f"\n{table(measure_all(bench, names, args))}\n")


if __name__ == "__main__":
    main()
