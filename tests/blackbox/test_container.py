"""etc/docker/Dockerfile is built and run, with podman and by the commands of its first lines."""

import json
import os
import re
import time
from unittest import TestCase

import pytest

from tests.blackbox.guide import PLACE, ROOT, Operator
from tests.blackbox.machine import FETCHING, Machine
from tests.requirements import require

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]

DOCKERFILE = (ROOT / "etc" / "docker" / "Dockerfile").read_text("utf-8")
#: The control group of a test's machine bounds nothing, so neither can a container in it; crun
#: would insist on a right over memory that not every root has.
SETTINGS = """
[containers]
pids_limit = 0
[engine]
runtime = "runc"
"""
#: Stands for the image of the same name, as no registry may be within reach: Debian 12 and its
#: Python 3.11, with the certificates that this machine trusts.
BASE = """
mmdebstrap --quiet --mode=root --variant=essential --include=ca-certificates,passwd,python3-venv \
    --customize-hook='ln -s python3 "$1/usr/bin/python"' \
    --customize-hook='cat /etc/ssl/certs/ca-certificates.crt >"$1/etc/ssl/certs/ca-certificates.crt"' \
    bookworm /tmp/base.tar
"""
NAME = "docker.io/library/python:3.11-slim-bookworm"
PATIENCE = 20.0


def commands() -> list[str]:
    """Return the commands of the first lines, for podman."""
    told = re.findall(r"^#   docker ((?:.*\\\n#)*.+)", DOCKERFILE, re.MULTILINE)
    return ["podman " + re.sub(r"\\\n# +", "", line) for line in told]


class Container(TestCase):
    def setUp(self) -> None:
        require("git", "mmdebstrap", "podman", "runc")
        self.machine = Machine()
        self.addCleanup(self.machine.stop)
        self.machine.boot()
        Operator(self.machine)
        # An overlay cannot be the upper half of another.
        self.machine.as_root("mount -t tmpfs tmpfs /var/lib/containers")
        (self.machine.root / "etc/containers/containers.conf").write_text(SETTINGS)
        self.machine.as_root(BASE, online=True)
        given = [f"--change 'ENV {k}={v}'" for k, v in os.environ.items() if k.startswith(FETCHING)]
        self.machine.as_root(
            f"podman import {' '.join(given)} /tmp/base.tar {NAME}; rm /tmp/base.tar"
        )

    def podman(self, words: str) -> str:
        return self.machine.as_root(f"podman {words}")

    def until_healthy(self) -> None:
        """Ask as the image says, which is what the engine does every half minute."""
        deadline = time.monotonic() + PATIENCE
        while "good" not in self.podman("healthcheck run lairchat && echo good || true"):
            assert time.monotonic() < deadline, self.podman("logs lairchat")
            time.sleep(0.2)

    @pytest.mark.timeout(600)
    def test_it_is_built_runs_and_stops_as_its_first_lines_say(self) -> None:
        build, run, link, status = commands()
        # The machine has no way out of its own; podman's own format knows no health check.
        more = build.replace("build", "build --network host --format docker")
        self.machine.as_root(more, place=PLACE, online=True)
        self.machine.as_root(run)
        self.until_healthy()
        link = self.machine.as_root(link).strip()
        assert re.match(r"lair://localhost:7023/i/\w{26}\?id=", link)
        said = self.machine.as_root(status)
        assert "state        running" in said
        assert "listening    chat 0.0.0.0:7023 tls | ssh 127.0.0.1:7024" in said
        self.has_little()
        # Somebody comes in by the port that the engine publishes.
        came = self.podman(
            f"run --rm -i --network host --tmpfs /home lairchat lair '{link}' <<'END'\n"
            "alice\nlong password of alice\nEND"
        )
        assert "now in #lobby" in came
        self.is_another_with_the_same_data(run)

    def has_little(self) -> None:
        """Nobody's root, no capability, and nothing to write but its data."""
        status = dict(
            line.split(":\t", 1)
            for line in self.podman("exec lairchat cat /proc/1/status").splitlines()
        )
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"7023"}
        assert {status[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd")} == {""}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        places = "/ /etc/lairchat /opt/lairchat /usr /home /tmp /var/lib/lairchat"
        can = self.podman(f"exec lairchat find {places} -maxdepth 0 -writable")
        assert can.split() == ["/tmp", "/var/lib/lairchat"]
        (mode,) = self.podman("exec lairchat stat -c %a /var/lib/lairchat").split()
        assert mode == "700"

    def is_another_with_the_same_data(self, run: str) -> None:
        """A new container of the volume is the same server."""
        before = self.podman("exec lairchat cat /var/lib/lairchat/identity.pem")
        started = time.monotonic()
        self.podman("stop --time 30 lairchat")
        assert time.monotonic() - started < 15
        (state,) = json.loads(self.podman("inspect lairchat"))
        assert state["State"]["ExitCode"] == 0
        assert "Traceback" not in self.podman("logs lairchat 2>&1")
        self.podman("rm lairchat")
        self.machine.as_root(run)
        self.until_healthy()
        assert self.podman("exec lairchat cat /var/lib/lairchat/identity.pem") == before
        assert "alice" in self.podman("exec lairchat lairctl user list")
