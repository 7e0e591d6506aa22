"""Two people, two terminals, one server: what the issue says that they do and see.

Real programs on real ptys; a terminal emulator (pyte) shows what a person would read.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lairchat.demo_server import DemoServer
from tests.blackbox.daemon import ROOMY
from tests.blackbox.terminals import PATIENCE, Terminal, command, environment

pytestmark = pytest.mark.blackbox


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    """A daemon that is stopped whatever happens."""
    server = DemoServer(tmp_path / "server", extra=ROOMY)
    server.start()
    yield server
    server.stop()


Sit = Callable[..., Terminal]


@pytest.fixture
def sit(tmp_path: Path) -> Iterator[Sit]:
    """Let somebody sit down at a terminal; they are sent home at the end."""
    found: list[Terminal] = []

    def down(name: str, *arguments: str, **environ: str) -> Terminal:
        terminal = Terminal(
            tmp_path / name, *arguments, environ={"USER": "somebody", "TERM": "xterm", **environ}
        )
        found.append(terminal)
        return terminal

    yield down
    for terminal in found:
        terminal.close()


def invited(home: Path) -> str:
    """Make an invite, as its owner would in another terminal."""
    result = subprocess.run(
        command("invite"),
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return result.stdout.strip()


def leave(person: Terminal) -> None:
    person.line("/quit")
    assert person.wait() == 0


def test_two_people_talk_leave_and_find_everything_again(
    server: DemoServer, sit: Sit, tmp_path: Path
) -> None:
    alice = sit("alice", server.link().format())
    alice.register("alice", suggested="somebody")
    bob = sit("bob", invited(tmp_path / "alice"))
    bob.register("bob", suggested="somebody")

    # In the lobby.
    alice.line("hello bob")
    bob.matches(r"alice +hello bob")
    alice.matches(r"you +hello bob +v")
    bob.line("hello alice")
    alice.matches(r"bob +hello alice")

    # In a room of their own.
    alice.line("/new ops")
    alice.matches(r"\[!#ops PLAIN\]")
    bob.line("/join #ops")
    bob.matches(r"\[!#ops PLAIN\]")
    alice.matches(r"-- +bob joined")
    bob.line("what is deployed?")
    alice.matches(r"bob +what is deployed\?")

    # Between the two.
    bob.line("/msg alice psst")
    bob.matches(r"\[@alice E2E\]")
    alice.matches(r"\* @bob +1")
    alice.line("/join @bob")
    alice.matches(r"bob +psst")

    # Bob goes; alice goes on.
    bob.line("/join #ops")
    bob.matches(r"\[!#ops PLAIN\]")
    leave(bob)
    alice.line("/join #ops")
    alice.matches(r"\[!#ops PLAIN\]")
    alice.line("while you were away")
    alice.matches(r"you +while you were away +v")
    bob = sit("bob")
    bob.matches(r"#ops +1|1 unread")
    bob.line("/join #ops")
    shown = bob.matches(r"alice +while you were away")
    assert re.search(r"=+ 1 new message =+", shown), shown
    assert shown.index("what is deployed?") < shown.index("1 new message")

    # The server is killed and comes back: both say so, and nothing is lost or twice.
    server.kill()
    for person in (alice, bob):
        person.matches(r"\[offline \d\d:\d\d, retry")
    alice.line("typed while it was down")
    alice.matches(r"you +typed while it was down +\.\.")
    server.start()
    for person in (alice, bob):
        person.matches(r"connected again")
    alice.matches(r"you +typed while it was down +v")
    shown = bob.matches(r"alice +typed while it was down")
    assert shown.count("typed while it was down") == 1
    assert shown.count("while you were away") == 1
    leave(alice)
    leave(bob)


def test_a_changed_identity_is_a_hard_stop(server: DemoServer, sit: Sit, tmp_path: Path) -> None:
    alice = sit("alice", server.link().format())
    alice.register("alice", suggested="somebody")
    leave(alice)
    server.stop()
    impostor = DemoServer(tmp_path / "impostor", port=server.port)
    impostor.start()
    try:
        again = sit("alice")
        shown = again.matches("CHANGED")
        assert "lair serverkey --replace" in shown
        again.type("y\rt\r")
        again.think()
        assert again.shows("CHANGED")
    finally:
        impostor.stop()


def test_an_unknown_terminal_falls_back_and_says_so(server: DemoServer, sit: Sit) -> None:
    alice = sit("alice", server.link().format(), TERM="no-such-terminal")
    alice.matches('"no-such-terminal" is not known here')
    assert re.search("Name +somebody", alice.matches("Name +somebody"))
