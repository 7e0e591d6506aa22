"""Two people in two panes of tmux, the terminal that many of our users live in."""

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.blackbox.daemon import DaemonTest
from tests.blackbox.terminals import PATIENCE, command, environment
from tests.requirements import require

pytestmark = pytest.mark.blackbox

COLUMNS, ROWS = 161, 24


class TwoPanes(DaemonTest):
    timeout = 120

    def setUp(self) -> None:
        require("tmux")
        super().setUp()
        self.socket = self.directory / "tmux"
        self.addCleanup(self.tmux, "kill-server", check=False)

    def tmux(self, *words: str, check: bool = True) -> str:
        """Give tmux, a server of its own on a socket of its own, a command."""
        kept = {k: v for k, v in os.environ.items() if k not in {"TMUX", "TMUX_PANE"}}
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words],
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env={**kept, "LC_ALL": "C.UTF-8"},
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def script(self, name: str, *arguments: str) -> str:
        """Return the shell's words for ``lair`` in the home of somebody."""
        home: Path = self.directory / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        # tmux sets TERM for what runs in its panes.
        own = {k: v for k, v in environment(home).items() if os.environ.get(k) != v}
        own.pop("TERM", None)
        variables = [f"{key}={value}" for key, value in own.items()]
        return shlex.join(["env", *variables, *command(*arguments)])

    def screen(self, pane: int) -> str:
        return self.tmux("capture-pane", "-p", "-t", f"chat:0.{pane}")

    def until(self, pane: int, *texts: str, gone: str = "") -> str:
        deadline = time.monotonic() + PATIENCE
        while True:
            shown = self.screen(pane)
            if all(text in shown for text in texts) and not (gone and gone in shown):
                return shown
            assert time.monotonic() < deadline, f"waited for {texts}:\n{shown}"
            time.sleep(0.05)

    def keys(self, pane: int, *keys: str) -> None:
        self.tmux("send-keys", "-t", f"chat:0.{pane}", *keys)

    def line(self, pane: int, text: str) -> None:
        self.tmux("send-keys", "-t", f"chat:0.{pane}", "-l", text)
        self.keys(pane, "Enter")

    def answer(self, pane: int, name: str) -> None:
        """Come in: the two answers, each once its question is on the screen."""
        self.until(pane, "Name", "Password")
        time.sleep(0.8)  # keys that come with a question are not taken for its answer
        self.keys(pane, "Enter")
        self.line(pane, f"long password of {name}")
        self.until(pane, "Your recovery words")
        time.sleep(0.8)
        self.keys(pane, "Enter")
        self.until(pane, "Have you written them down?")
        self.keys(pane, "y")
        self.until(pane, "[!#lobby PLAIN]", gone="written them down")

    def test_two_people_talk_side_by_side(self) -> None:
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        first = self.script("alice", self.server.link().format())
        self.tmux("new-session", "-d", "-s", "chat", *size, first)
        self.answer(0, "alice")
        done = subprocess.run(
            command("invite"),
            capture_output=True,
            check=True,
            timeout=PATIENCE,
            env=environment(self.directory / "homes" / "alice"),
        )
        link = done.stdout.decode().strip()
        self.tmux("split-window", "-h", "-t", "chat:0", self.script("bob", link))
        self.answer(1, "bob")
        self.until(0, "bob joined", "2 members, 2 here")

        self.line(0, "can you read this?")
        self.until(1, "alice  can you read this?")
        self.line(1, "every word, caf\u00e9 and \u4f60\u597d too")
        shown = self.until(0, "bob    every word, caf\u00e9 and \u4f60\u597d too")
        assert "PLAIN" in shown

        # A pane that is made narrow while it shows a room, as people do all day.
        self.tmux("resize-pane", "-t", "chat:0.1", "-x", "40")
        narrow = self.until(1, "[!PLAIN]", "every word")
        assert max(map(len, narrow.splitlines())) <= 40
        self.line(1, "still here")
        self.until(0, "still here")

        # Painted anew from nothing, it is the same room; and who leaves is seen to leave.
        self.keys(0, "C-l")
        self.until(0, "still here", "[!#lobby PLAIN]")
        self.line(1, "/quit")
        self.until(0, "2 members, 1 here")
