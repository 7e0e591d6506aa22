"""Two people, two terminals, one server: what the issue says that they do and see.

Real programs on real ptys; a terminal emulator (pyte) shows what a person would read.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from lairchat.demo_server import DemoServer, checkout
from tests.blackbox.daemon import ROOMY

pytestmark = pytest.mark.blackbox

WAIT_SECONDS = 20


class Person:
    """Somebody at a terminal of 80 by 24, with a home directory of their own."""

    def __init__(self, home: Path, *arguments: str, size: tuple[int, int] = (24, 80)) -> None:
        rows, columns = size
        self.home = home
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(
            sys.executable,
            ["-P", "-m", "lairchat.client.main", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(checkout()),
                "LAIR_HOME": str(home),
                "TERM": "xterm",
                "LANG": "C.UTF-8",
                "USER": "somebody",
            },
            dimensions=size,
            timeout=WAIT_SECONDS,
        )

    def look(self, seconds: float = 0.1) -> str:
        """Read what has been painted; returns the screen as text."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.stream.feed(self.child.read_nonblocking(65_536, 0.05))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, pattern: str, seconds: float = WAIT_SECONDS) -> str:
        """Wait until a line of the screen matches; returns the screen."""
        end = time.monotonic() + seconds
        while True:
            shown = self.look()
            if re.search(pattern, shown, re.MULTILINE):
                return shown
            assert time.monotonic() < end, f"never saw {pattern!r}:\n{shown}"

    def type(self, text: str) -> None:
        self.child.send(text)

    def enter(self, text: str) -> None:
        self.type(f"{text}\r")

    def register(self, name: str) -> None:
        """Give the two answers that a newcomer is asked for."""
        self.until(r"Name +somebody")
        self.look(1.0)  # keys that come at once with a new dialog are not meant for it
        self.enter("\x15" + name)
        self.until(rf"Name +{name}")
        self.enter(f"the long password of {name}")
        self.until(r"\[!#lobby PLAIN\]")
        self.until(rf"-- +{name} joined")

    def leave(self) -> None:
        if self.child.isalive():
            self.enter("/quit")
            end = time.monotonic() + WAIT_SECONDS
            while self.child.isalive() and time.monotonic() < end:
                self.look(0.2)
        assert not self.child.isalive(), self.look()

    def kill(self) -> None:
        self.child.close(force=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    """A daemon that is stopped whatever happens."""
    server = DemoServer(tmp_path / "server", extra=ROOMY)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def people() -> Iterator[list[Person]]:
    """Whoever sits at a terminal, sent home at the end."""
    found: list[Person] = []
    yield found
    for person in found:
        person.kill()


def invited(alice: Person) -> str:
    """Let alice make an invite, as she would in another terminal."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", "lairchat.client.main", "invite"],
        env={**os.environ, "PYTHONPATH": str(checkout()), "LAIR_HOME": str(alice.home)},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=True,
    )
    return result.stdout.strip()


def test_two_people_talk_leave_and_find_everything_again(
    server: DemoServer, people: list[Person], tmp_path: Path
) -> None:
    alice = Person(tmp_path / "alice", server.link().format())
    people.append(alice)
    alice.register("alice")
    bob = Person(tmp_path / "bob", invited(alice))
    people.append(bob)
    bob.register("bob")

    # In the lobby.
    alice.enter("hello bob")
    bob.until(r"alice +hello bob")
    alice.until(r"you +hello bob +v")
    bob.enter("hello alice")
    alice.until(r"bob +hello alice")

    # In a room of their own.
    alice.enter("/new ops")
    alice.until(r"\[!#ops PLAIN\]")
    bob.enter("/join #ops")
    bob.until(r"\[!#ops PLAIN\]")
    alice.until(r"-- +bob joined")
    bob.enter("what is deployed?")
    alice.until(r"bob +what is deployed\?")

    # Between the two.
    bob.enter("/msg alice psst")
    bob.until(r"\[!@alice PLAIN\]")
    alice.until(r"\* @bob +1")
    alice.enter("/join @bob")
    alice.until(r"bob +psst")

    # Bob goes; alice goes on.
    bob.enter("/join #ops")
    bob.until(r"\[!#ops PLAIN\]")
    bob.leave()
    alice.enter("/join #ops")
    alice.until(r"\[!#ops PLAIN\]")
    alice.enter("while you were away")
    alice.until(r"you +while you were away +v")
    bob = Person(tmp_path / "bob")
    people.append(bob)
    bob.until(r"#ops +1|1 unread")
    bob.enter("/join #ops")
    shown = bob.until(r"alice +while you were away")
    assert re.search(r"=+ 1 new message =+", shown), shown
    assert shown.index("what is deployed?") < shown.index("1 new message")

    # The server is killed and comes back: both say so, and nothing is lost or twice.
    server.kill()
    for person in (alice, bob):
        person.until(r"\[offline \d\d:\d\d, retry")
    alice.enter("typed while it was down")
    alice.until(r"you +typed while it was down +\.\.")
    server.start()
    for person in (alice, bob):
        person.until(r"connected again")
    alice.until(r"you +typed while it was down +v")
    shown = bob.until(r"alice +typed while it was down")
    assert shown.count("typed while it was down") == 1
    assert shown.count("while you were away") == 1
    alice.leave()
    bob.leave()


def test_what_is_typed_before_the_program_is_ready_is_kept(
    server: DemoServer, people: list[Person], tmp_path: Path
) -> None:
    alice = Person(tmp_path / "alice", server.link().format())
    people.append(alice)
    alice.register("alice")
    alice.leave()
    again = Person(tmp_path / "alice")
    people.append(again)
    again.type("typed at once")
    again.until(r"\[!#lobby PLAIN\] typed at once")
    again.type("\r")
    again.until(r"you +typed at once +v")


def test_every_size_shows_the_message_and_the_label(
    server: DemoServer, people: list[Person], tmp_path: Path
) -> None:
    alice = Person(tmp_path / "alice", server.link().format())
    people.append(alice)
    alice.register("alice")
    alice.enter("seen at every size")
    alice.until("seen at every size +v")
    for rows, columns in ((12, 40), (40, 120), (60, 200), (24, 80)):
        alice.screen.resize(rows, columns)
        alice.child.setwinsize(rows, columns)
        shown = alice.until("seen at every size")
        assert "PLAIN" in shown
    alice.child.setwinsize(5, 19)
    alice.screen.resize(5, 19)
    alice.until("too small")
    alice.screen.resize(24, 80)
    alice.child.setwinsize(24, 80)
    alice.until("seen at every size")


def test_a_changed_identity_is_a_hard_stop(
    server: DemoServer, people: list[Person], tmp_path: Path
) -> None:
    alice = Person(tmp_path / "alice", server.link().format())
    people.append(alice)
    alice.register("alice")
    alice.leave()
    server.stop()
    impostor = DemoServer(tmp_path / "impostor", port=server.port)
    impostor.start()
    try:
        again = Person(tmp_path / "alice")
        people.append(again)
        shown = again.until("CHANGED")
        assert "lair serverkey --replace" in shown
        again.type("y\rt\r")
        assert "CHANGED" in again.look(1.0)
    finally:
        impostor.stop()


def test_an_unknown_terminal_falls_back_and_says_so(server: DemoServer, tmp_path: Path) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-P", "-m", "lairchat.client.main", server.link().format()],
        env={
            **os.environ,
            "PYTHONPATH": str(checkout()),
            "LAIR_HOME": str(tmp_path),
            "TERM": "no-such-terminal",
        },
        timeout=WAIT_SECONDS,
        encoding="utf-8",
    )
    child.expect("no-such-terminal")
    child.expect("Name")
    child.close(force=True)
