"""Read docs/how-to/operate.rst as an operator does, and do what it says on a machine."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.blackbox.machine import HOME, Machine
from tests.blackbox.terminals import Terminal

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "operate.rst"
PLACE = f"{HOME}/lairchat"
MANHOLE = "ssh -t -p 7024 alice@127.0.0.1 manhole"
#: Commands that fetch what they install.
FETCH = ("pipx install ", "etc/debian/build ", "sudo apt install ")
#: What a command is told that asks.
ANSWERS = {"lair": "alice\nlong password of alice\n"}


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield what every block of commands is for, and the commands: "" is for everybody."""
    for block in re.finditer(
        r"^\.\. code-block:: console\n((?:   :.*\n)*)\n((?:   .*\n|\n)+)", text, re.MULTILINE
    ):
        lines = re.sub(r"\\\n +", "", block[2]).splitlines()
        told = [line.removeprefix("   $ ") for line in lines if line.startswith("   $ ")]
        yield block[1].strip().removeprefix(":class: "), told


def translation(text: str) -> dict[str, str]:
    """Return what somebody with a unit writes in place of what, as the page says."""
    (sentence,) = re.findall(r"^On the rest of this page, then, write (.+)\.$", text, re.MULTILINE)
    return {old: new for new, old in re.findall(r"``([^`]+)`` for ``([^`]+)``", sentence)}


def translated(line: str, words: dict[str, str]) -> str:
    """Put other words into a command, the longest first, and none twice."""
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<![\w/.-])(?:{known})(?![\w.-])", lambda found: words[found[0]], line)


class Operator:
    """Alice, who has a clone of this repository, and reads the page.

    said: what each command has said.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.said: dict[str, str] = {}
        with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
            clone = Path(directory) / "lairchat"
            subprocess.run(
                ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True
            )
            machine.put(clone, PLACE)
        # What a person does at the first connection: look at the fingerprint, and agree.
        machine.as_root("echo 'StrictHostKeyChecking accept-new' >>/etc/ssh/ssh_config")

    def follow(self, told: Iterable[str]) -> None:
        """Do what the page says."""
        for line in told:
            self.said[line] = self.do(line)

    def do(self, line: str) -> str:
        """Give a command, as somebody who has just logged in; it has to succeed."""
        if line == MANHOLE:
            return self.look_inside(line)
        text = ANSWERS.get(line.split(maxsplit=1)[0], "")
        done = self.machine.run(line, text, place=PLACE, online=line.startswith(FETCH))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def look_inside(self, line: str) -> str:
        """Sit at the Python prompt, and leave it."""
        home = Path(tempfile.mkdtemp(prefix="lair-test-"))
        seat = Terminal(home, program=self.machine.line(line, place=PLACE))
        try:
            seat.until(">>> ")
            seat.line("[one.name for one in users.values()], db.read, hub, kernel, throttle")
            seat.until("([], ")
            seat.line("config().ssh.manhole")
            seat.until("True")
            seat.type("\x04")
            assert seat.wait() == 0
            return seat.text
        finally:
            seat.close()
            shutil.rmtree(home)
