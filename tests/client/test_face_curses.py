"""The running client on a real pty, with a real daemon: taking the terminal, giving it back."""

import os
import re
import shlex
import signal
import sys

import pytest

from tests.blackbox.terminals import PATIENCE, Terminal, Terminals, command

pytestmark = pytest.mark.blackbox


COLOUR = re.compile(rb"\x1b\[3[0-7]m")


class CursesFace(Terminals):
    def test_every_size(self) -> None:
        alice = self.come_in("alice", self.link(), columns=120, rows=40)
        alice.line("the same text at every size")
        for columns, rows in ((40, 12), (80, 24), (200, 60), (20, 6), (10, 3), (80, 24)):
            alice.resize(columns, rows)
            if columns >= 40:
                alice.until("the same text at every")
            else:
                alice.read(0.3)
        for number in range(200):
            alice.resize(40 + number % 100, 10 + number % 40)
        alice.resize(80, 24)
        alice.until("the same text at every size", "[!#lobby PLAIN]")
        assert alice.process.poll() is None

    def test_what_is_typed_ahead_is_kept(self) -> None:
        self.come_in("alice", self.link()).close()
        alice = self.terminal("alice")
        alice.type("typed before anything was there")
        alice.until("[!#lobby PLAIN] typed before anything was there")
        alice.type("\r")
        alice.until("alice", "typed before anything was there", gone="there_")
        assert alice.text.count("typed before anything was there") == 1

    def test_the_terminal_is_given_back(self) -> None:
        alice = self.come_in("alice", self.link())
        alice.line("/quit")
        assert alice.wait() == 0
        assert b"\x1b[?1049l" in alice.output
        wrong = self.terminal("alice", "lair://nonsense")
        assert wrong.wait() == os.EX_USAGE
        assert b"LC-LINK-BAD" in wrong.output
        usage = self.terminal("alice", "--bogus")
        assert usage.wait() == os.EX_USAGE
        for number in (signal.SIGTERM, signal.SIGHUP):
            ended = self.terminal("alice")
            ended.until("[!#lobby PLAIN]")
            ended.process.send_signal(number)
            ended.wait()
            assert b"\x1b[?1049l" in ended.output
            assert b"Traceback" not in ended.output

    def test_suspended_and_continued_by_a_shell(self) -> None:
        """Ctrl-Z gives the shell its terminal as it was; fg paints everything, at the new size."""
        self.come_in("alice", self.link()).close()
        shell = Terminal(
            self.home("alice"),
            program=["bash", "--noprofile", "--norc", "-i"],
            environ={"PS1": "shell> ", "RUN": command()[3]},
        )
        self.addCleanup(shell.close)
        shell.until("shell>")
        shell.line(f'{shlex.quote(sys.executable)} -P -c "$RUN"')
        shell.until("[!#lobby PLAIN]")
        shell.type("a draft")
        shell.until("[!#lobby PLAIN] a draft")
        for columns, rows in ((120, 40), (80, 24)):
            shell.output = b""
            shell.type("\x1a")
            shell.until("Stopped", "shell>")
            for off in (b"\x1b[?1049l", b"\x1b[?2004l", b"\x1b[?1004l"):
                assert off in shell.output
            shell.resize(columns, rows)
            shell.screen.reset()
            shell.line("stty -a")
            words = shell.matches("-tostop").replace(";", " ").split()
            assert {"icanon", "echo", "isig", "ixon", "icrnl"} <= set(words)
            assert "-echo" not in words
            shell.output = b""
            shell.line("fg")
            shell.until("[!#lobby PLAIN] a draft", "alice joined")
            assert b"\x1b[?1049h" in shell.output
            assert ("MEMBERS" in shell.text) == (columns == 120)
            shell.screen.reset()
            shell.type("\x0c")
            shell.until("[!#lobby PLAIN] a draft", "alice joined", gone="shell>")
        shell.type("\r")
        shell.until("a draft", gone="PLAIN] a draft")
        shell.line("/quit")
        shell.until("shell>")

    def test_the_terminal_is_closed(self) -> None:
        alice = self.come_in("alice", self.link())
        os.close(alice.master)
        alice.master = -1
        assert alice.process.wait(PATIENCE) in {0, -signal.SIGHUP, 128 + signal.SIGHUP}

    def test_a_fault_of_ours_gives_the_terminal_back(self) -> None:
        """Whether it comes with a key, with a message, or with the clock, and in both faces."""
        self.come_in("alice", self.link()).close()
        broken = (
            "import lairchat.client.{where} as module\n"
            "sound = module.update\n"
            "def update(state, event):\n"
            "    if 'BROKEN' in repr(event):\n"
            "        raise RuntimeError('as the test wants it')\n"
            "    return sound(state, event)\n"
            "module.update = update\n"
        )
        alice = self.terminal("alice", first=broken.format(where="face_curses"))
        alice.until("[!#lobby PLAIN]")
        alice.type("BROKEN")
        assert alice.wait() == os.EX_SOFTWARE
        assert b"\x1b[?1049l" in alice.output
        for where, options in (("face_curses", ()), ("plain", ("--plain",))):
            alice = self.terminal("alice", *options, first=broken.format(where=where))
            alice.until("now in #lobby" if options else "[!#lobby PLAIN]")
            alice.think()
            done = self.lair("alice", "send", "#lobby", "BROKEN")
            assert done.returncode == 0, done.stderr
            assert alice.wait() == os.EX_SOFTWARE
            assert b"as the test wants it" in alice.output
            if not options:
                assert b"\x1b[?1049l" in alice.output

    def test_a_lone_escape(self) -> None:
        alice = self.come_in("alice", self.link())
        alice.type("\x1bOP")  # F1
        alice.until("Esc")
        alice.think()
        alice.type("\x1b")
        alice.until("[!#lobby PLAIN]")
        alice.type("x\x1b")
        alice.think()
        alice.type("y\x1b[Z")
        alice.until("[!#lobby PLAIN] xy")
        assert not alice.shows("does nothing here")

    def test_trust_is_asked_for_a_host(self) -> None:
        stranger = self.terminal("stranger", f"127.0.0.1:{self.server.port}")
        stranger.until("[t]")
        stranger.think()
        words = stranger.text
        stranger.type("q")
        assert stranger.wait() == 0
        assert not (self.home("stranger") / "servers.json").exists()
        alice = self.come_in("alice", self.link())
        fingerprint = self.lair("alice", "serverkey").stdout.decode()
        assert all(word in words for word in fingerprint.split()[1:7])
        alice.line("/quit")

    def test_colours_that_were_turned_off_stay_off(self) -> None:
        alice = self.come_in("alice", self.link())
        alice.line("in colour")
        alice.matches(r"in colour +v$")
        assert COLOUR.search(alice.output)
        alice.line("/set colour off")
        alice.until("colour is off")
        alice.line("/quit")
        assert alice.wait() == 0
        again = self.terminal("alice")
        again.matches(r"in colour +v$")
        again.think()
        again.output = b""
        again.type("\x0c")
        again.think()
        assert b"in colour" in again.output
        assert not COLOUR.search(again.output)
        again.line("/quit")
        assert again.wait() == 0
