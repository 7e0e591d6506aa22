"""Operators at a real daemon: the real ``ssh`` with keys of its own, and lairctl on the same host."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lairchat.demo_server import checkout
from tests.blackbox.daemon import DaemonTest
from tests.requirements import require

PATIENCE = 30.0
LAIRCTL = "import sys; sys.argv[0] = 'lairctl'\nfrom lairchat.lairctl import run\nsys.exit(run())"


class OperatorTest(DaemonTest):
    """A daemon whose owner alice has a key."""

    async def operated(self) -> None:
        """Make alice the owner, and let her in with a key of her own."""
        require("ssh")
        self.alice = await self.owner("alice")
        self.key = self.new_key("alice")
        self.add_key("alice", self.key)

    # -- keys

    def new_key(self, name: str, *more: str) -> Path:
        path = self.directory / f"key-{name}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path, *more],
            check=True,
        )
        return path

    def add_key(self, name: str, key: Path) -> None:
        done = self.lairctl("user", "key", "add", name, f"{key}.pub")
        assert done.returncode == 0, done

    # -- programs

    def ssh_line(
        self, name: str, *words: str, key: Path | None = None, options: tuple[str, ...] = ()
    ) -> list[str]:
        """Return the command line of a real ssh that knows nothing of this machine's settings."""
        return [
            "ssh", *options, "-F", "none",  # first, because ssh takes the first value of each
            "-p", str(self.server.door("ssh")), "-l", name,
            "-i", str(key or self.key),
            "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR",
            "-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}",
            *words,
        ]  # fmt: skip

    def ssh(
        self,
        *words: str,
        name: str = "alice",
        key: Path | None = None,
        stdin: bytes | None = None,
        options: tuple[str, ...] = (),
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command over SSH; an ``ssh`` that fails itself answers with status 255."""
        done = subprocess.run(
            self.ssh_line(name, "--", "127.0.0.1", *words, key=key, options=options),
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def lairctl(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-c", LAIRCTL, "--data", str(self.server.data), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": str(checkout()), "LC_ALL": "C.UTF-8"},
        )

    def audited(self) -> list[str]:
        """Return what the audit log says of commands that came over SSH."""
        return [line for line in self.printed().splitlines() if " from ssh:127.0.0.1: " in line]


def program(name: str) -> str:
    """Return where a program is: of this environment, or of the machine."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is not installed"
    return found
