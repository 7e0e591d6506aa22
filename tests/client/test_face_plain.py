"""The running client with lines: on pipes and at a terminal, with a real daemon."""

import json
import os
import re
import subprocess
import termios

import pytest

from tests.blackbox.terminals import PATIENCE, Terminals, command, environment

pytestmark = pytest.mark.blackbox


class PlainFace(Terminals):
    def test_register_join_talk_and_quit_by_the_end_of_input(self) -> None:
        alice = self.pipes("alice", self.link(), "--plain")
        alice.until("plain mode (--plain was given)")
        for answer in ("", "long password of alice", "/join #lobby"):
            alice.line(answer)
        alice.until("lobby")
        bob = self.pipes("bob", self.invite("alice"))
        bob.until("standard input is not a terminal")
        for answer in ("bob", "long password of bob"):
            bob.line(answer)
        alice.until("bob joined")
        bob.until("now in #lobby")
        alice.line("hello from a pipe")
        bob.until("alice in lobby: hello from a pipe")
        bob.line("/new ops")
        bob.until("ops")
        alice.line("/join ops")
        bob.until("alice joined")
        alice.line("in ops")
        bob.until("alice in ops: in ops")
        bob.line("the last words")
        assert bob.end() == 0
        alice.until("bob in ops: the last words")
        assert alice.end() == 0
        for output in (alice.output, bob.output):
            assert output.replace("\n", "").isprintable()
            assert "long password" not in output

    def test_at_a_terminal_the_password_is_not_shown(self) -> None:
        alice = self.terminal("alice", self.link(), "--plain")
        alice.until("Name [alice]:")
        alice.line("")
        alice.until("Password:")
        alice.line("wrong")
        alice.until("too short", "Password:")
        alice.matches(r"Password:\s+(?s:.*)Password:")
        alice.line("long password of alice")
        alice.until("y/N ")
        alice.line("y")
        alice.until("!lobby> ")
        assert "Password: Password:" not in alice.text
        for word in ("wrong", "long password"):
            assert word not in alice.text
        alice.line("seen as it is typed")
        alice.until("seen as it is typed")
        alice.line("/quit")
        assert alice.wait() == 0
        echo = termios.tcgetattr(alice.master)[3] & termios.ECHO
        assert echo
        assert b"\x1b" not in alice.output
        again = self.terminal("alice", "--plain")
        again.until("!lobby> ")
        again.type("\x04")
        assert again.wait() == 0
        hung_up = self.terminal("alice", "--plain")
        hung_up.until("!lobby> ")
        os.close(hung_up.master)
        hung_up.master = -1
        assert hung_up.process.wait(PATIENCE) == 0

    def test_a_script_that_runs_again_says_no_password(self) -> None:
        """Name, password and message are written blindly, to a session that is still good."""
        script = b"alice\nlong password of alice\nhello\n"
        first = self.lair("alice", self.link(), stdin=script)
        assert first.returncode == os.EX_DATAERR
        assert b"1 line not sent" in first.stdout
        again = self.lair("alice", stdin=script)
        assert again.returncode == os.EX_DATAERR
        assert sum(map(int, re.findall(rb"(\d) lines? not sent", again.stdout))) == 3
        named = self.lair("alice", stdin=b"/join #lobby\nthe first message\n")
        assert named.returncode == 0
        assert self.tail("alice", 1) == ["the first message"]

    def test_two_answers_and_no_more_make_an_account(self) -> None:
        done = self.lair("alice", self.link(), stdin=b"\nlong password of alice\n")
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"now in #lobby" in done.stdout
        assert b"LC-" not in done.stdout, "nothing failed: leaving ends what was being fetched"
        assert self.lair("alice", stdin=b"").returncode == 0

    def test_a_refused_password_is_followed_by_nothing(self) -> None:
        script = b"\nshort\nlong password of alice\n/join #lobby\nlong password of alice\n"
        done = self.lair("alice", self.link(), stdin=script)
        assert done.returncode == os.EX_DATAERR
        assert b"too short" in done.stdout
        self.come_in("alice", self.link()).line("the first message")
        assert self.tail("alice", 1) == ["the first message"]

    def test_reading_goes_on_where_it_stopped(self) -> None:
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        bob.line("read by alice")
        alice.until("read by alice")
        alice.think()
        alice.line("/quit")
        assert alice.wait() == 0
        bob.line("while you were away")
        bob.until("while you were away")
        bob.line("/msg alice psst")
        bob.until("psst", "[@alice E2E]")
        again = self.pipes("alice", "--plain")
        again.until("while you were away")
        again.until("bob: psst")
        assert again.end() == 0
        shown = again.output
        assert shown.index("read by alice") < shown.index("-- 1 new message")
        assert shown.index("-- 1 new message") < shown.index("while you were away")

    def test_nobody_reads(self) -> None:
        alice = self.pipes("alice", self.link(), "--plain")
        alice.until("plain mode")
        assert alice.process.stdout is not None
        alice.process.stdout.close()
        for answer in ("", "long password of alice"):
            alice.line(answer)
        assert alice.process.wait(PATIENCE) == os.EX_IOERR
        assert alice.process.stderr is not None
        assert b"Traceback" not in alice.process.stderr.read()

    def test_lines_that_are_too_long_or_no_text(self) -> None:
        alice = self.pipes("alice", self.link(), "--plain")
        for answer in ("", "long password of alice", "/join #lobby"):
            alice.line(answer)
        alice.until("lobby")
        alice.line("x" * 300_000)
        alice.until("LC-TEXT-LONG")
        assert alice.process.stdin is not None
        alice.process.stdin.write(b"not \xff UTF-8\r\nthe last line has no end")
        alice.process.stdin.flush()
        assert alice.end() == os.EX_DATAERR
        said = self.tail("alice", 2)
        assert said == ["not \ufffd UTF-8", "the last line has no end"]

    def tail(self, name: str, count: int) -> list[str]:
        """Return the last texts of the lobby's log."""
        following = subprocess.Popen(
            command("tail", "#lobby", "--json", "--after", "0"),
            stdout=subprocess.PIPE,
            env=environment(self.home(name)),
        )
        self.addCleanup(following.communicate)
        self.addCleanup(following.kill)
        assert following.stdout is not None
        texts: list[str] = []
        while len(texts) < count:
            event = json.loads(following.stdout.readline())
            texts += [event["text"]] if event["kind"] == "text" else []
        return texts

    def test_a_profile_whose_socket_cannot_be_made(self) -> None:
        """Chatting goes on; that other programs cannot come in through this one is said."""
        self.come_in("alice", self.link()).close()
        (found,) = self.home("alice").rglob("lock")
        (found.parent / "socket").unlink(missing_ok=True)
        (found.parent / "socket").mkdir()
        alice = self.pipes("alice", "--plain")
        alice.until("LC-PROFILE")
        alice.line("/join #lobby")
        alice.line("heard")
        assert alice.end() == 0
        (found.parent / "socket").rmdir()
        assert self.tail("alice", 1) == ["heard"]
