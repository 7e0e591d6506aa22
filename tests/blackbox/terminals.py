"""A person at a terminal: the real client in a real pty, and what pyte shows of it; or on pipes."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyte

from lairchat.demo_server import checkout
from lairchat.model.identity import Link
from tests.blackbox.daemon import DaemonTest

RUN = "import sys; sys.argv[0] = 'lair'\nfrom lairchat.client.main import run\nsys.exit(run())"
PATIENCE = 20.0
OURS = ("LAIR", "LC_", "LANG", "NO_COLOR", "CLICOLOR")  # variables that change what is tested


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    return {
        **kept,
        "PYTHONPATH": str(checkout()),
        "LAIR_HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "USER": home.name,
        **more,
    }


def command(*arguments: str, first: str = "", run: str = RUN) -> list[str]:
    """Return how ``lair``, or ``run``, is run; ``first`` is Python that is run before it."""
    return [sys.executable, "-P", "-c", first + run, *arguments]


class Terminal:
    """A terminal of columns x rows in which ``lair`` runs.

    first: Python that is run before it.
    run: Python that is run in its place.
    program: what is run instead of both, a shell for one.
    environ: variables beside the usual ones.
    """

    def __init__(
        self,
        home: Path,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        first: str = "",
        run: str = RUN,
        program: Sequence[str] = (),
        environ: dict[str, str] | None = None,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.output = b""
        self.home = home
        self._unlocked = False
        self.master, slave = pty.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            program or command(*arguments, first=first, run=run),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(home, **(environ or {})),
            cwd=home.parent,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        )
        os.close(slave)

    def _set_size(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def read(self, seconds: float = 0.05) -> None:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                data = os.read(self.master, 65_536)
            except OSError:
                return
            self.output += data
            self.stream.feed(data)

    def shows(self, text: str) -> bool:
        return text in self.text

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, *texts: str, gone: str = "", seconds: float = PATIENCE) -> None:
        """Wait until the screen shows all of these, and not ``gone``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if all(map(self.shows, texts)) and not (gone and self.shows(gone)):
                return
            self._unlock(texts)
            self.read()
        raise AssertionError(f"waited for {texts} without {gone!r}:\n{self.text}")

    def _unlock(self, wanted: Sequence[str]) -> None:
        """Give the password where the kernel keeps no keys, as in a sandbox that forbids it."""
        asked = "Encrypted rooms: your password"
        if self._unlocked or asked in wanted or not self.shows(asked):
            return
        self._unlocked = True
        (last,) = self.home.rglob("last.json")
        self.think()
        self.line(f"long password of {json.loads(last.read_text())['account']}")

    def matches(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Wait until something on the screen matches; return the screen, without blanks at ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = "\n".join(line.rstrip() for line in self.screen.display)
            if re.search(pattern, shown, re.MULTILINE):
                return shown
            self._unlock(())
            self.read()
        raise AssertionError(f"never saw {pattern!r}:\n{self.text}")

    def register(self, name: str, suggested: str) -> None:
        """Give the two answers that a newcomer is asked for."""
        self.matches(rf"Name +{suggested}")
        self.think()
        self.line("\x15" + name)
        self.matches(rf"Name +{name}")
        self.line(f"long password of {name}")
        self.keep_words()
        self.until("[!#lobby PLAIN]")

    def keep_words(self) -> None:
        """Say twice that the recovery words are written down."""
        self.until("Your recovery words", "12 ")
        self.think()
        self.type("\r")
        self.until("Have you written them down?")
        self.type("y")
        self.until(gone="written them down")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def line(self, text: str) -> None:
        self.type(text + "\r")

    def think(self) -> None:
        """Take a moment before an answer, as people do: keys typed into a dialog at once are not
        meant for it."""
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            self.read()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the program has ended; return its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
        status = self.process.wait(1)
        self.read(0)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class Pipes:
    """The client with lines, on pipes."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(home),
            cwd=home.parent,
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""

    def line(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def until(self, text: str, seconds: float = PATIENCE) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while text not in self.output and time.monotonic() < deadline:
            select.select([self.process.stdout], [], [], 0.1)
            data = self.process.stdout.read() or b""
            self.output += data.decode()
            if not data and self.process.poll() is not None:
                break
        assert text in self.output, f"waited for {text!r}:\n{self.output}"

    def end(self) -> int:
        """Close its standard input and return its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.output += (self.process.stdout.read() or b"").decode()
        errors = self.process.stderr.read()
        assert errors == b"", errors
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                with suppress(BrokenPipeError):
                    stream.close()


class Terminals(DaemonTest):
    """A daemon, and people at terminals who talk through it."""

    timeout = 180

    def home(self, name: str) -> Path:
        return self.directory / "homes" / name

    def terminal(self, name: str, *arguments: str, first: str = "", **size: int) -> Terminal:
        terminal = Terminal(self.home(name), *arguments, first=first, **size)
        self.addCleanup(terminal.close)
        return terminal

    def pipes(self, name: str, *arguments: str) -> Pipes:
        self.home(name).mkdir(parents=True, exist_ok=True)
        pipes = Pipes(self.home(name), *arguments)
        self.addCleanup(pipes.close)
        return pipes

    def lair(
        self, name: str, *arguments: str, stdin: bytes = b"", **environ: str
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            command(*arguments),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env=environment(self.home(name), **environ),
            cwd=self.directory,
        )

    def link(self) -> str:
        return self.server.link().format()

    def come_in(self, name: str, link: str, **size: int) -> Terminal:
        """Register with a link: two answers, and the lobby is there."""
        terminal = self.terminal(name, link, **size)
        terminal.register(name, suggested=name)  # $USER
        return terminal

    def invite(self, name: str) -> str:
        """Make an invite link beside the running client."""
        done = self.lair(name, "invite", "--uses", "9")
        assert done.returncode == 0, done.stderr
        link = done.stdout.decode().strip()
        assert Link.parse(link).code
        return link
