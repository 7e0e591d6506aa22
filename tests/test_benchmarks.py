"""The benchmark programs: that they run, and that a figure nobody should trust is no figure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lairchat.demo_server import DemoServer
from tests.requirements import require

pytestmark = pytest.mark.checkout

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def program(name: str, *arguments: object) -> str:
    """Run one of the programs to its end and return what it printed."""
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the compiled generator."""
    require("gcc", "make", "libssl")
    directory = tmp_path_factory.mktemp("tools")
    make = ["make", "--silent", "--directory", str(BENCHMARKS / "loadgen"), f"BUILD={directory}"]
    done = subprocess.run(
        [*make, "CFLAGS=-O1 -Werror"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with six people in two rooms."""
    directory = tmp_path_factory.mktemp("prepared") / "data"
    program("prepare_load.py", directory, "--accounts", 6, "--rooms", 2, "--per", 3)
    return directory


def generate(
    tools: Path, prepared: Path, server: DemoServer, *arguments: object
) -> "subprocess.CompletedProcess[str]":
    """Run the generator against a server."""
    where = ["--tls", "--port", server.port, "--pid", server.pid]
    who = ["--tokens", prepared / "tokens.hex", "--rooms", 2, "--per", 3, "--senders", 3]
    command = [tools / "loadgen", *where, *who, "--settle", 100, *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_same_arguments_prepare_the_same_load(prepared: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    program("prepare_load.py", again, "--accounts", 6, "--rooms", 2, "--per", 3)
    for name in ("tokens.hex", "rooms"):
        assert (again / name).read_bytes() == (prepared / name).read_bytes()
    assert len((again / "tokens.hex").read_text().split()) == 6
    assert len((again / "rooms").read_text().split()) == 2


def test_messages_are_delivered_acknowledged_and_counted(tools: Path, tmp_path: Path) -> None:
    """One scenario from end to end: the real daemon, its fsyncs, the table."""
    out = tmp_path / "results.jsonl"
    pace = ["--seconds", 1, "--repeat", 1]
    printed = program("run.py", "--only", "fan50", *pace, "--work", tmp_path, "--out", out)
    assert "| lair/fan50 | 1 |" in printed
    result = json.loads(out.read_text())
    assert result["msg_s"] > 0
    assert result["deliv_s"] == pytest.approx(result["msg_s"] * 49, rel=0.5)
    assert result["fsyncs"] > 0
    assert result["srv_cpu_us_per_msg"] > 0
    assert 0 < result["ack_p50_ms"] <= result["ack_p99_ms"]
    assert (result["refused"], result["dead"], result["stray"]) == (0, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"], "something was left"


def test_refused_messages_are_no_figures(tools: Path, prepared: Path, tmp_path: Path) -> None:
    """With its usual limits the server refuses what a benchmark sends, and the run fails."""
    server = DemoServer(tmp_path)
    prepared.rename(server.data)
    try:
        server.start()
        rooms = ["--roomids", server.data / "rooms"]
        done = generate(tools, server.data, server, *rooms, "--window", 30, "--secs", 1)
    finally:
        server.stop()
        server.data.rename(prepared)
    assert done.returncode == 5
    assert "LC-RATE" in done.stderr
    assert "these are no figures" in done.stderr
    assert json.loads(done.stdout)["refused"] > 0


def test_rooms_are_joined_by_name(tools: Path, prepared: Path, tmp_path: Path) -> None:
    server = DemoServer(tmp_path, extra='[limits]\nexempt = ["127.0.0.0/8"]\n')
    prepared.rename(server.data)
    try:
        server.start()
        done = generate(tools, server.data, server, "--join-only", "--warm", 0)
    finally:
        server.stop()
        server.data.rename(prepared)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["joins"] == 6


def test_what_encryption_costs_is_measured() -> None:
    """Each figure of a small group; times are figures, sizes follow from the formats."""
    figures = json.loads(program("mls.py", "--json", "--sizes", 2))["figures"]["2"]
    assert all(figure > 0 for figure in figures.values())
    assert figures["key package, bytes"] == 2690
    assert figures["state: row of a message, bytes"] == 4 + 1 + 48


def test_what_a_devices_store_costs_is_measured() -> None:
    """In small."""
    figures = json.loads(program("client_store.py", "--json", "--messages", 100, "--runs", 3))
    assert all(figure > 0 for figure in figures["message, ms"].values())
    assert all(figure > 0 for figure in figures["search, ms"].values())
    assert figures["messages"] == 100
