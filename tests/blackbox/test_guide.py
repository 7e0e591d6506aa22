"""An operator who reads only the guide gets from nothing to a watched, backed-up server.

Every command of docs/how-to/operate.rst runs here, in its order, in one home directory and a network
of its own, so that the default ports are free.  What changes the machine itself is marked there.
"""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import pytest

from lairchat.demo_server import checkout
from tests.requirements import require

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "how-to" / "operate.rst"
#: What changes the machine; it is looked at elsewhere (test_deployment.py), or is not ours.
NOT_RUN = {"pipx", "etc/debian/build", "sudo"}
#: What wants a terminal and a person, and is looked at in test_ssh.py.
BY_HAND = {"ssh -t -p 7024 alice@127.0.0.1 manhole"}
PROGRAMS = {
    "lair": "from lairchat.client.main import run",
    "lairctl": "from lairchat.lairctl import run",
    "twistd": "from twisted.scripts.twistd import run",
}
ANSWERS = {"lair": "alice\nlong password of alice\n"}


def commands(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (run, command) for every command of a page."""
    for block in re.finditer(
        r"^\.\. code-block:: console\n((?:   :.*\n)*)\n((?:   .*\n|\n)+)", text, re.MULTILINE
    ):
        for line in block[2].splitlines():
            if line.startswith("   $ "):
                yield ":class: not-run" not in block[1], line.removeprefix("   $ ")


class Guide(TestCase):
    def setUp(self) -> None:
        for needed in ("networks", "ssh", "curl", "promtool"):
            require(needed)
        self.home = Path(tempfile.mkdtemp(prefix="lair-test-"))
        self.addCleanup(shutil.rmtree, self.home, True)
        self.addCleanup(self.stop)
        self.programs = self.home / "bin"
        self.programs.mkdir()
        for name, imports in PROGRAMS.items():
            self.program(
                name,
                f'exec "{sys.executable}" -P -c \'import sys; sys.argv[0] = "{name}"\n'
                f'{imports}\nsys.exit(run())\' "$@"',
            )
        (self.home / ".ssh").mkdir(mode=0o700)
        # ssh looks into the home directory of the password file, whatever HOME says.
        self.program(
            "ssh",
            f"exec {shutil.which('ssh')} -F none -i {self.home}/.ssh/id_ed25519 -o IdentitiesOnly=yes"
            f" -o UserKnownHostsFile={self.home}/.ssh/known_hosts -o BatchMode=yes"
            ' -o StrictHostKeyChecking=accept-new "$@"',
        )
        # One process keeps the network for all commands.
        self.network = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        assert self.network.stdout is not None
        self.addCleanup(self.network.stdout.close)
        self.addCleanup(self.network.wait)
        self.addCleanup(self.network.kill)
        assert self.network.stdout.readline() == b"up\n"

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def stop(self) -> None:
        for file in self.home.glob("**/lairchat.pid"):
            os.kill(int(file.read_text()), signal.SIGKILL)

    def run_command(self, line: str) -> "subprocess.CompletedProcess[str]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAIR", "XDG_"))}
        enter = ["nsenter", f"--net=/proc/{self.network.pid}/ns/net", "bash", "-c", line]
        return subprocess.run(
            enter,
            input=ANSWERS.get(line.split(maxsplit=1)[0], ""),
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
            cwd=ROOT,
            env={
                **kept,
                "HOME": str(self.home),
                "USER": "alice",
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": str(checkout()),
                "PATH": f"{self.programs}:{os.environ['PATH']}",
            },
        )

    @pytest.mark.timeout(300)
    def test_every_command_works(self) -> None:
        said = {}
        told = list(commands(GUIDE.read_text("utf-8")))
        assert len(told) > 50
        for run, line in told:
            if not run:
                assert line in BY_HAND or line.split()[0] in NOT_RUN, line
                continue
            done = self.run_command(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout
        assert '"name": "alice"' in said["lairctl user list --json"]
        assert (
            said["lairctl user list --json"] == said["ssh -p 7024 alice@127.0.0.1 user list --json"]
        )
        assert said['ssh -p 7024 alice@127.0.0.1 "user list | count"'].strip() == "1"
        assert "LC-" not in said["lairctl db check"]
        assert re.search(r"value +20\b", said["lairctl config explain limits.message_burst"])
        # Moved, with everybody in it, and the same server to every client.
        assert "alice" in said["lairctl --data ~/moved user list"]
        moved = (self.home / "moved" / "identity.pem").read_bytes()
        assert moved == (self.home / ".local/share/lairchat/identity.pem").read_bytes()
