"""The first frame: which face, in which time, with which imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lairchat.client.boot import Face, choose_face, new_state, server_of

CHECKOUT = Path(__file__).parents[2]
TTY = {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("argv", "environ", "stdin", "stdout", "plain", "word"),
    [
        ([], TTY, True, True, False, "terminal"),
        (["--plain"], TTY, True, True, True, "--plain"),
        ([], {**TTY, "LAIR_PLAIN": "1"}, True, True, True, "LAIR_PLAIN"),
        ([], {**TTY, "LAIR_PLAIN": "0"}, True, True, False, "terminal"),
        ([], {"TERM": "dumb"}, True, True, True, "dumb"),
        ([], {}, True, True, True, "TERM"),
        ([], TTY, False, True, True, "input"),
        ([], TTY, True, False, True, "output"),
    ],
)
def test_the_face_and_the_reason(
    argv: list[str], environ: dict[str, str], stdin: bool, stdout: bool, plain: bool, word: str
) -> None:
    face = choose_face(argv, environ, stdin, stdout)
    assert isinstance(face, Face)
    assert face.plain == plain
    assert word in face.reason


@pytest.mark.parametrize(
    ("argv", "server"),
    [
        ([], ""),
        (["chat.example.org"], "chat.example.org"),
        (["--ca", "file", "host:7023"], "host:7023"),
        (["--server", "other"], ""),
        (["lair://10.0.0.1:7023/i/CODE?id=AB"], "10.0.0.1:7023"),
        (["ev\x1bil\u202e"], "evil"),
    ],
)
def test_the_server_named_on_the_command_line(argv: list[str], server: str) -> None:
    assert server_of(argv) == server


def test_each_process_draws_its_own_key() -> None:
    one, two = new_state(["h"]), new_state(["h"])
    assert one.server == "h"
    assert len(one.trace_key) == 32
    assert one.trace_key != two.trace_key


PROBE = """
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    from lairchat.client import boot
    screen, state = boot.first_paint(["lair.example"])
    screen.stop()
    os.write(2, ("MODULES " + " ".join(sorted(sys.modules)) + " END").encode())
    os._exit(0)
data = b""
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    data += piece
sys.stdout.buffer.write(data)
"""


def test_the_first_paint_imports_nothing_slow() -> None:
    """facts.md: the first paint uses the standard library without dataclasses."""
    # Neither coverage nor tox's PYTHONSAFEPATH, which keeps the checkout out of sys.path.
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROBE],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        check=True,
    )
    text = done.stdout.decode("utf-8", "replace")
    modules = set(text[text.index("MODULES ") + 8 : text.rindex(" END")].split())
    assert "lairchat.client.view" in modules
    assert "F1 help" in text
    slow = {
        "dataclasses",
        "typing",
        "re",
        "inspect",
        "enum",
        "msgspec",
        "twisted",
        "wcwidth",
        "asyncio",
        "logging",
        "argparse",
        "sqlite3",
        "cryptography",
    }
    slow.discard("enum")  # signal imports it, after the first paint
    assert modules & slow == set()
    assert not any(name.startswith(("twisted.", "msgspec.", "wcwidth.")) for name in modules)


def test_the_first_paint_costs_little() -> None:
    """Target 4 in kind; benchmarks/client_paint.py measures it properly.

    CPU time of two processes, Python's own start included, so that a busy machine does not fail it.
    """
    environ = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    costs = []
    for _ in range(5):
        before = os.times()
        subprocess.run(
            [sys.executable, "-S", "-c", PROBE],
            cwd=CHECKOUT,
            env=environ,
            capture_output=True,
            check=True,
        )
        after = os.times()
        costs.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(costs) < 0.2
