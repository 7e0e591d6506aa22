"""The server under measurement, and the generator that measures it: started, pinned, cleaned up.

Used by run.py.  Both are child processes; whatever happens they are gone in the end.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from OpenSSL import SSL

from lairchat.demo_server import DemoServer

HERE = Path(__file__).resolve().parent
SERVER_CORE, GENERATOR_CORE = 0, 1

#: Limits of one member or address, which a generator of 500 members on one address would meet;
#: all that bound the server's memory and commit queue stay as they are.
RAISED: Mapping[str, object] = {
    "message_burst": 1_000_000,
    "message_per_second": 1_000_000.0,
    "command_burst": 1_000_000,
    "command_per_second": 1_000_000.0,
    "exempt": ["127.0.0.0/8"],
}


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let the processes that are started inside run on one core only."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if core in cores else cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def preferred(nice: int) -> Iterator[None]:
    """Let this session's processes go before those of others, on a machine that is shared.

    nice: as of nice(1), for the whole session: Linux groups processes by session, and the niceness
    of one counts within its group only.  Below 0 takes root.
    """
    group = Path("/proc/self/autogroup")
    if nice:
        group.write_text(f"{nice}\n", "ascii")
    try:
        yield
    finally:
        if nice:
            group.write_text("0\n", "ascii")


def build(directory: Path) -> None:
    """Compile the generator and the counter of fsyncs into a directory."""
    command = ["make", "--silent", "--directory", str(HERE / "loadgen"), f"BUILD={directory}"]
    subprocess.run(command, check=True)


class Running:
    """The real daemon on core 0, on a copy of a prepared data directory.

    fsyncs: the file with its counts.
    """

    def __init__(self, directory: Path, prepared: Path | None, tools: Path) -> None:
        directory.mkdir(mode=0o700, parents=True)
        self.fsyncs = directory / "fsyncs"
        toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in RAISED.items())
        self.server = DemoServer(
            directory,
            extra=f'[limits]\n{toml}\n[log]\nlevel = "warn"\n',
            environ={"LD_PRELOAD": str(tools / "fsyncs.so"), "FSYNCS_FILE": str(self.fsyncs)},
        )
        if prepared is not None:
            shutil.copytree(prepared, self.server.data)
            self.server.data.chmod(0o700)

    def __enter__(self) -> Self:
        """Start it; the generator may have as many files open as it wants."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with pinned(SERVER_CORE):
            self.server.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it, and delete its files."""
        self.server.stop()
        output = self.server.output.read_text("utf-8", "replace")
        if "Traceback" in output or "critical" in output:
            sys.stderr.write(output)
        shutil.rmtree(self.server.directory)

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self.server.pid

    def rss_mib(self) -> float:
        """Return the daemon's resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self) -> float:
        """Return what all threads of the daemon have used."""
        used = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                used += int((task / "schedstat").read_text("ascii").split()[0])
            except OSError:
                continue  # the thread has just ended
        return used / 1e9


def core_busy(core: int) -> float:
    """Return the seconds that a core has worked since the machine started, for whomever."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(int, ticks)
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


def generate(running: Running, arguments: list[str], tools: Path, most: float) -> dict[str, Any]:
    """Run the generator on core 1 and return what it measured.

    Adds ``others_core0``: how much of the server's core somebody else used meanwhile; figures of a
    run in which it is more than a few hundredths are not to be compared.
    Raises RuntimeError when anything was refused, lost or stuck.
    """
    command = [
        *(str(tools / "loadgen"), "--proto", "lair", "--tls", "--port", str(running.server.port)),
        *("--pid", str(running.pid), "--fsyncs", str(running.fsyncs)),
        *arguments,
    ]
    busy, used, began = core_busy(SERVER_CORE), running.cpu_seconds(), time.monotonic()
    with pinned(GENERATOR_CORE):
        done = subprocess.run(command, capture_output=True, text=True, timeout=most, check=False)
    seconds = time.monotonic() - began
    others = core_busy(SERVER_CORE) - busy - (running.cpu_seconds() - used)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return {**measured, "others_core0": round(max(0.0, others / seconds), 3)}


def circumstances() -> dict[str, Any]:
    """Return what a figure depends on: commit, versions, machine."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(HERE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return {
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "changed": sorted(git("diff", "--name-only", "HEAD", "--", "../lairchat").split()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "openssl": SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode(),
        **{name: version(name) for name in ("twisted", "pyopenssl", "msgspec", "sqlalchemy")},
    }
