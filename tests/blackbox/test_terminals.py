"""People at terminals, a real daemon between them: what the first page of the README promises."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.blackbox.daemon import lairctl
from tests.blackbox.terminals import PATIENCE, Terminals, command, environment

pytestmark = pytest.mark.blackbox


#: Ends the client as kill -9 does, when it has written a new queue beside the old one.
KILLED_IN_MID_WRITE = """
import os, signal
real = os.fsync
def fsync(file):
    real(file)
    if "/.outbox.json." in os.readlink(f"/proc/self/fd/{file}"):
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
"""


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
        bob.until("between us", "[@alice E2E]")
        alice.until("bob")
        alice.line("/msg bob")
        alice.until("between us", "[@bob E2E]")
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
        time.sleep(1)  # so that the first attempt has failed, and another one must come
        self.server.start()
        bob.until("said while it was away", "connected again", seconds=40)
        alice.until("connected again")
        assert bob.text.count("said while it was away") == 1
        assert alice.text.count("said while it was away") == 1

    def test_a_room_is_archived_under_what_is_being_typed(self) -> None:
        """It is seen in the list, the title and the input, and Enter loses nothing."""
        alice = self.come_in("alice", self.link())
        alice.line("/new attic")
        alice.until("[!#attic PLAIN]")
        alice.type("half a sentence")
        alice.until("half a sentence")
        done = lairctl(self.server, "room", "archive", "attic", "--yes")
        assert done.returncode == 0, done.stderr
        alice.until("[#attic archived] half a sentence", "PLAIN archived", "Archived")
        alice.line("")
        alice.until("LC-ROOM-ARCHIVED", "[#attic archived] half a sentence")
        alice.type("\x15")
        alice.line("/quit")
        assert alice.wait() == 0

        # It is known from the start, too; in lines the reason follows the line.
        again = self.pipes("alice", "--plain")
        again.line("/join attic")
        again.line("said to nobody")
        again.until("LC-ROOM-ARCHIVED")
        again.until("archived this room: it can be read")
        assert lairctl(self.server, "room", "archive", "attic", "--restore").returncode == 0
        again.until("opened this room again")
        again.line("/join attic")
        again.line("said to everybody")
        again.line("/quit")
        assert again.end() == 65
        last = self.terminal("alice")
        last.until("#lobby")
        last.line("/join attic")
        last.until("[!#attic PLAIN]", "opened this room again", "said to everybody")
        assert "said to nobody" not in last.text

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

    def test_killed_while_the_queue_is_written(self) -> None:
        """The old queue stays, and the text of the new one is not left behind for good."""
        alice = self.come_in("alice", self.link())
        alice.line("/quit")
        assert alice.wait() == 0
        doomed = self.terminal("alice", first=KILLED_IN_MID_WRITE)
        doomed.until("[!#lobby PLAIN]", "1 member")
        doomed.line("a half written secret")
        assert doomed.wait() == -signal.SIGKILL

        def holding() -> list[str]:
            files = [path for path in self.home("alice").rglob("*") if path.is_file()]
            return [path.name for path in files if b"half written" in path.read_bytes()]

        assert holding() == [f".outbox.json.{doomed.process.pid}"]
        again = self.terminal("alice")
        again.until("[!#lobby PLAIN]")
        assert holding() == []
        assert "half written" not in again.text

    def test_a_second_client_beside_one_that_is_well_or_stopped(self) -> None:
        """What is said of the first one is true of both."""
        alice = self.come_in("alice", self.link())
        second = self.terminal("alice")
        shown = second.matches("on there, or close it and try again")
        assert "LC-PROFILE-LOCKED  another lair uses" in shown
        assert "does not answer" not in shown
        second.close()
        alice.line("well and answering")
        alice.until("well and answering")
        os.kill(alice.process.pid, signal.SIGSTOP)
        late = self.lair("alice", "send", "#lobby", "--wait", "1", "too early")
        os.kill(alice.process.pid, signal.SIGCONT)
        assert late.returncode == os.EX_CONFIG
        assert late.stderr.startswith(b"LC-PROFILE-LOCKED  another lair uses ")
        assert late.stderr.endswith(b"go on there, or close it and try again.\n")

    def test_a_terminal_that_cannot_show_it(self) -> None:
        """What does not fit its encoding is marked; following goes on."""
        self.come_in("alice", self.link()).close()
        for text in ("caf\u00e9 \u2603", "plain"):
            assert self.lair("alice", "send", "#lobby", text).returncode == 0
        following = subprocess.Popen(
            command("tail", "#lobby", "--after", "0"),
            stdout=subprocess.PIPE,
            env={**environment(self.home("alice")), "PYTHONIOENCODING": "ascii"},
        )
        self.addCleanup(following.communicate)
        self.addCleanup(following.kill)
        assert following.stdout is not None
        lines = [following.stdout.readline()[6:] for _ in range(3)]
        assert lines[1:] == [b"alice in lobby: caf? ?\n", b"alice in lobby: plain\n"]

    def test_a_message_that_waits_finds_out_that_the_connection_is_dead(self) -> None:
        """The connection stands and nothing comes: it is given up in 16 seconds, not in 60."""
        alice = self.come_in("alice", self.link())
        os.kill(self.server.pid, signal.SIGSTOP)
        alice.line("into the void")
        began = time.monotonic()
        try:
            alice.until("LC-NET-LOST", seconds=30)
        finally:
            os.kill(self.server.pid, signal.SIGCONT)
        assert 10 < time.monotonic() - began < 25
        alice.until("connected again", seconds=40)
        alice.until(gone="queued")
        assert alice.text.count("into the void") == 1

        # A client that was stopped itself asks before it judges: Ctrl-Z costs no connection.
        os.kill(alice.process.pid, signal.SIGSTOP)
        time.sleep(5)  # longer than an answer may take without being asked after
        os.kill(alice.process.pid, signal.SIGCONT)
        alice.line("still here")
        alice.until("still here", gone="queued")
        assert alice.text.count("LC-NET-LOST") == 1

    def test_a_script_sends_to_a_server_that_is_stopped(self) -> None:
        """Its connections stand, and nothing comes; then it goes on."""
        self.come_in("alice", self.link()).close()
        os.kill(self.server.pid, signal.SIGSTOP)
        late = self.lair("alice", "send", "#lobby", "--wait", "1", "too early")
        os.kill(self.server.pid, signal.SIGCONT)
        assert late.returncode == os.EX_TEMPFAIL
        assert late.stderr.startswith(b"LC-SEND-UNSENT")
        assert self.lair("alice", "send", "#lobby", "in time").returncode == 0


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

    def test_commands_log_where_they_are_told(self) -> None:
        """As the client does: LAIR_LOG names the file, and one that cannot be written is refused."""
        alice = self.come_in("alice", self.link())
        alice.line("/quit")
        assert alice.wait() == 0
        log = self.directory / "log.json"
        done = self.lair("alice", "send", "#lobby", "between us", LAIR_LOG=str(log))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert "between us" not in log.read_text()
        before = log.read_text().splitlines()
        assert before
        assert all(json.loads(line)["log_namespace"] for line in before)
        nowhere = str(self.directory / "no" / "log")
        for words in (("send", "#lobby", "unsaid"), ("tail", "#lobby"), ("--plain",)):
            done = self.lair("alice", *words, LAIR_LOG=nowhere)
            assert done.stderr.startswith(b"LC-START-PERM  cannot use " + nowhere.encode())
            assert done.returncode == os.EX_CANTCREAT
        assert (
            "unsaid" not in self.lair("alice", "--plain", stdin=b"/join #lobby\n").stdout.decode()
        )

    def test_going_to_what_is_there_already_tells_it_in_lines_too(self) -> None:
        self.come_in("alice", self.link()).close()
        for number in range(3):
            assert self.lair("alice", "send", "#lobby", f"said {number}").returncode == 0
        lines = self.pipes("alice", "--plain")
        lines.line("/join #lobby")
        lines.until("said 2\n")
        lines.line("/goto top")
        lines.until("-- end of what was asked for")
        assert lines.output.count("you in lobby: said 1\n") == 2
        lines.line("/quit")
        assert lines.end() == 0

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
