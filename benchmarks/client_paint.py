"""First paint and key-to-paint times of the client (ux.md, targets 4 and 5).

    python benchmarks/client_paint.py [--json]

First paint: from starting a process (exec of this Python) on a pty until its first frame has been
read. Bare: the same process that only imports curses, for comparison; Python itself alone is given.
Key to paint: update, view, difference and the write to a pty at 120x40, in a room with 300 messages;
idle, and with 500 messages a second arriving, painted at most 60 times a second.
Prints figures, never passes or fails.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

RUNS = 40
KEYS = 2_000
WIDTH, HEIGHT = 120, 40
PAINT = """
import sys
from lairchat.client import boot
screen, state = boot.first_paint(["lair.example"])
import os
os.read(0, 1)
screen.stop()
"""
CURSES = """
import curses, os
screen = curses.initscr()
screen.addstr(0, 0, "F1 help")
screen.refresh()
os.read(0, 1)
curses.endwin()
"""


def sized_pty() -> tuple[int, int]:
    """Return the two ends of a pty of the benchmark's size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    return ours, theirs


def first_frame(code: str) -> float:
    """Return the seconds from starting a process until "F1 help" has come out of it."""
    ours, theirs = sized_pty()
    environ = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(CHECKOUT)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    )
    os.close(theirs)
    seen = b""
    while b"help" not in seen:
        seen += os.read(ours, 65_536)
    took = time.perf_counter() - start
    os.write(ours, b"\r")
    drain(ours, process)
    return took


def drain(fd: int, process: "subprocess.Popen[bytes]") -> None:
    """Read until the process has ended."""
    while process.poll() is None:
        if select.select([fd], [], [], 0.01)[0]:
            try:
                os.read(fd, 65_536)
            except OSError:
                break
    process.wait()
    os.close(fd)


def bare_python() -> float:
    """Return the seconds that a Python process takes to do nothing."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def key_times(arriving: int) -> list[float]:
    """Return seconds from a key to its bytes on the pty, with so many messages a second."""
    from lairchat.client import inputs as i
    from lairchat.client.screen import Screen
    from lairchat.client.state import AppState
    from lairchat.client.update import update
    from lairchat.client.view import view, window_title

    ours, theirs = sized_pty()
    reader = subprocess.Popen(
        [sys.executable, "-c", "import os\nwhile os.read(0, 1 << 20): pass"],
        stdin=ours,
        stderr=subprocess.DEVNULL,
    )
    os.close(ours)
    screen = Screen({"TERM": "xterm-256color"}, theirs, theirs)
    screen.start()
    state = AppState(WIDTH, HEIGHT)
    rooms = tuple(i.RoomInfo(n, f"room{n}", members=30, here=9, unread=n) for n in range(1, 20))
    people = tuple(i.Member(f"person{n}", "member", n % 2 == 0) for n in range(30))
    talk = tuple(
        i.Message(
            n, n * 60_000, f"person{n % 7}", "some words that fill a line or two " * (n % 3 + 1)
        )
        for n in range(1, 301)
    )
    for event in (
        i.Connecting("lair.example", 7023),
        i.Connected(),
        i.LoggedIn("you", 1),
        i.RoomsSynced(rooms),
        i.RoomJoined(rooms[0]),
        i.HistoryPage(1, talk, older=True, replace=True),
        i.MembersListed(1, people),
    ):
        update(state, event)
    screen.paint(view(state, WIDTH, HEIGHT))
    times: list[float] = []
    seq, painted, due = 300, 0.0, time.perf_counter()
    while len(times) < KEYS:
        now = time.perf_counter()
        if arriving and now >= due:
            due += 1 / arriving
            seq += 1
            update(state, i.MessageArrived(1, i.Message(seq, seq * 1_000, "bob", f"news {seq}")))
            if now - painted >= 1 / 60:
                painted = now
                screen.paint(view(state, WIDTH, HEIGHT), window_title(state))
            continue
        start = time.perf_counter()
        update(state, i.Tick(int(start * 1_000)))
        update(state, i.Text("x") if len(times) % 60 else i.Key("ctrl-u"))
        screen.paint(view(state, WIDTH, HEIGHT), window_title(state))
        times.append(time.perf_counter() - start)
        if arriving:
            time.sleep(0.002)
    screen.stop()
    os.close(theirs)
    reader.wait()
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and worst, in milliseconds."""
    ordered = sorted(times)
    return {
        "median_ms": round(statistics.median(ordered) * 1_000, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99) - 1] * 1_000, 3),
        "max_ms": round(ordered[-1] * 1_000, 3),
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", action="store_true", help="print JSON")
    chosen = options.parse_args()
    figures = {
        "python alone": summary([bare_python() for _ in range(RUNS)]),
        "bare curses": summary([first_frame(CURSES) for _ in range(RUNS)]),
        "first paint": summary([first_frame(PAINT) for _ in range(RUNS)]),
        "key to paint, idle": summary(key_times(0)),
        "key to paint, 500 messages/s": summary(key_times(500)),
    }
    if chosen.json:
        print(json.dumps(figures, indent=2))
        return
    for name, values in figures.items():
        print(f"{name:<30}", "  ".join(f"{key} {value:8.3f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
