"""People at terminals, a real daemon between them: what the first page of the README promises."""

import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from lairchat.model.identity import Link
from tests.blackbox.daemon import DaemonTest
from tests.blackbox.terminals import PATIENCE, Pipes, Terminal, command, environment

pytestmark = pytest.mark.blackbox


class Terminals(DaemonTest):
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
        self, name: str, *arguments: str, stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            command(*arguments),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env=environment(self.home(name)),
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


class TwoTerminals(Terminals):
    def test_two_people_talk(self) -> None:
        """In the lobby, in a new room, in a direct conversation; one leaves and comes back."""
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        alice.until("bob joined", "2 members, 2 here")
        alice.line("hello from alice")
        bob.until("hello from alice")
        bob.line("and from bob")
        alice.until("and from bob")

        alice.line("/new ops")
        alice.until("[!#ops PLAIN]")
        bob.line("/join ops")
        bob.until("[!#ops PLAIN]")
        alice.until("bob joined")
        bob.line("in the new room")
        alice.until("in the new room")

        bob.line("/msg alice between us")
        bob.until("between us", "[!@alice PLAIN]")
        alice.until("bob")
        alice.line("/msg bob")
        alice.until("between us", "[!@bob PLAIN]")
        alice.line("heard")
        bob.until("heard")

        # Bob leaves; what comes meanwhile is behind the line when he is back, with no questions.
        bob.line("/join lobby")
        bob.until("[!#lobby PLAIN]", "and from bob")
        bob.line("/quit")
        assert bob.wait() == 0
        alice.line("/join lobby")
        alice.until("[!#lobby PLAIN]")
        for number in range(3):
            alice.line(f"while you were away {number}")
        alice.until("while you were away 2")
        again = self.terminal("bob")
        again.until("and from bob", "while you were away 2", "3 new messages")
        shown = again.text
        assert shown.index("and from bob") < shown.index("3 new messages")
        assert shown.index("3 new messages") < shown.index("while you were away 0")

    def test_the_server_is_killed_and_comes_back(self) -> None:
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        alice.line("before")
        bob.until("before")
        self.server.kill()
        alice.until("LC-NET", "retry")
        alice.line("said while it was away")
        alice.until("said while it was away", "..")
        time.sleep(1)
        self.server.start()
        bob.until("said while it was away", "connected again", seconds=40)
        alice.until("connected again")
        assert bob.text.count("said while it was away") == 1
        assert alice.text.count("said while it was away") == 1

    def test_a_script_sends_while_the_server_is_away(self) -> None:
        """What is said of the message is true: kept beside a client, not sent without one."""
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        send = ("send", "#lobby", "--wait", "1.5")
        self.server.kill()
        alice.until("LC-NET", "retry")
        late = self.lair("alice", *send, "from a script")
        assert late.returncode == os.EX_TEMPFAIL
        assert late.stderr.startswith(b"LC-SEND-QUEUED")
        alice.process.kill()
        alice.process.wait()
        away = self.lair("alice", *send, "not kept")
        assert away.returncode == os.EX_UNAVAILABLE
        assert away.stderr.startswith(b"LC-NET-REFUSED")
        assert away.stderr.count(b"\n") == 1
        self.server.start()
        # Whoever connects next sends what was kept when its process was killed.
        back = self.lair("alice", "send", "#lobby", "afterwards")
        assert back.returncode == 0, back.stderr
        bob.until("from a script", "afterwards", seconds=40)
        assert bob.text.count("from a script") == 1
        assert "not kept" not in bob.text

    def test_a_script_sends_to_a_server_that_is_stopped(self) -> None:
        """Its connections stand, and nothing comes; then it goes on."""
        self.come_in("alice", self.link()).close()
        os.kill(self.server.pid, signal.SIGSTOP)
        late = self.lair("alice", "send", "#lobby", "--wait", "1", "too early")
        os.kill(self.server.pid, signal.SIGCONT)
        assert late.returncode == os.EX_TEMPFAIL
        assert late.stderr.startswith(b"LC-SEND-UNSENT")
        assert self.lair("alice", "send", "#lobby", "in time").returncode == 0

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
        shell.line(f'{sys.executable} -P -c "$RUN"')
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


class Lines(Terminals):
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
        alice.line("long password of alice")
        alice.until("!lobby> ")
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
        assert b"3 lines not sent" in again.stdout
        named = self.lair("alice", stdin=b"/join #lobby\nthe first message\n")
        assert named.returncode == 0
        assert self.tail("alice", 1) == ["the first message"]

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
        bob.until("psst", "[!@alice PLAIN]")
        again = self.pipes("alice", "--plain")
        again.until("while you were away")
        assert again.end() == 0
        shown = again.output
        assert shown.index("read by alice") < shown.index("-- 1 new message")
        assert shown.index("-- 1 new message") < shown.index("while you were away")
        assert "unread elsewhere: @bob 1" in shown

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


class Scripts(Terminals):
    def test_send_and_tail_with_and_without_a_client(self) -> None:
        alice = self.come_in("alice", self.link())
        tail = subprocess.Popen(
            command("tail", "#lobby", "--json", "--after", "0"),
            stdout=subprocess.PIPE,
            env=environment(self.home("alice")),
        )
        self.addCleanup(tail.communicate)
        self.addCleanup(tail.kill)
        assert tail.stdout is not None

        def heard(text: str) -> None:
            assert tail.stdout is not None
            for line in tail.stdout:
                if json.loads(line)["text"] == text:
                    return
            raise AssertionError(f"{text!r} did not come")

        done = self.lair("alice", "send", "#lobby", stdin=b"deploy done\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        alice.until("deploy done")
        heard("deploy done")
        sent = self.lair("alice", "send", "#lobby", "--json", "as json")
        assert set(json.loads(sent.stdout)) == {"seq", "at"}
        heard("as json")
        alice.line("/quit")
        alice.wait()
        # The tail takes over: now it is the one that is online, and others go through it.
        done = self.lair("alice", "send", "#lobby", "nobody at home")
        assert done.returncode == 0, done.stderr
        heard("nobody at home")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 130
        done = self.lair("alice", "send", "--me", "#lobby", "waves alone")
        assert done.returncode == 0, done.stderr
        unknown = self.lair("alice", "send", "#nowhere", "x")
        assert unknown.returncode == os.EX_NOPERM
        assert unknown.stderr.startswith(b"LC-ROOM-UNKNOWN")
        assert self.lair("alice", "send", "#lobby", stdin=b"\n").returncode == os.EX_DATAERR
        assert self.lair("alice", "send", "#lobby", stdin=b"\xff\n").returncode == 0

    def test_tail_into_head(self) -> None:
        self.come_in("alice", self.link()).close()
        quoted = " ".join(f"'{word}'" for word in command("tail", "#lobby", "--after", "0"))
        quoted = quoted.replace(f"'{command()[3]}'", '"$RUN"')
        done = subprocess.run(
            ["/bin/sh", "-c", f"{{ {quoted}; echo status $? >&2; }} | head -n 1"],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
            env={**environment(self.home("alice")), "RUN": command()[3]},
        )
        assert b"in lobby:" in done.stdout
        assert done.stderr in {b"status 0\n", b""}

    def test_serverkey_replace(self) -> None:
        self.come_in("alice", self.link()).close()
        same = self.lair("alice", "serverkey", "--replace")
        assert (same.returncode, same.stdout.split()[0]) == (0, b"unchanged")
        pins = self.home("alice") / "servers.json"
        kept = json.loads(pins.read_text())
        address = f"[127.0.0.1]:{self.server.port}"
        right = kept[address]["id"]
        kept[address]["id"] = "00" * 32
        pins.write_text(json.dumps(kept))
        stopped = self.terminal("alice")
        stopped.until("CHANGED", "lair serverkey --replace")
        stopped.close()
        send = self.lair("alice", "send", "--account", "alice", "#lobby", "x")
        assert send.returncode == os.EX_CONFIG
        refused = self.lair("alice", "serverkey", "--replace", stdin=b"y\n")
        assert refused.returncode == os.EX_NOPERM
        assert b"abandon" in refused.stdout
        assert json.loads(pins.read_text())[address]["id"] == "00" * 32
        agreed = self.lair("alice", "serverkey", "--replace", stdin=b"yes\n")
        assert agreed.returncode == 0
        assert json.loads(pins.read_text())[address]["id"] == right
