"""The Debian package on a machine with a real systemd, from its building to its removal."""

import json
import re
import shutil
import time
from pathlib import Path
from unittest import TestCase

import pytest

from tests.blackbox.guide import PAGE, ROOT, Operator, blocks, translated, translation
from tests.blackbox.machine import HOME, Machine
from tests.requirements import require

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]

TEXT = PAGE.read_text("utf-8")
#: What the guide says until the server runs, and after it.
BEFORE, AFTER = TEXT.split("\nStart it\n--------\n")
CONFIG = "/etc/lairchat/lairchat.toml"
PACKAGES = Path("tmp/lairchat")
BACKUP = Path("var/lib/private/lairchat/backups/before-upgrade")
PATIENCE = 40.0


class Systemd(TestCase):
    machine: Machine

    @classmethod
    def setUpClass(cls) -> None:
        """Install the server as the guide says; each test leaves it running."""
        for needed in ("git", "dpkg-buildpackage", "ssh", "curl", "nft", "prometheus", "promtool"):
            require(needed)
        cls.machine = Machine()
        cls.addClassCleanup(cls.machine.stop)
        cls.machine.boot()
        cls.machine.as_root("systemctl start nftables")
        cls.alice = Operator(cls.machine)
        for reader, told in blocks(BEFORE):
            if reader == "by-systemd":
                cls.alice.follow(told)

    def setUp(self) -> None:
        self.machine.as_root("systemctl start lairchat")

    def property(self, name: str) -> str:
        return self.machine.as_root(f"systemctl show --value --property {name} lairchat").strip()

    def journal(self) -> str:
        """Return what the server has logged since systemd started it last."""
        return self.machine.as_root(
            'journalctl --output cat "_SYSTEMD_INVOCATION_ID=$('
            'systemctl show --value --property InvocationID lairchat)"'
        )

    def until(self, text: str) -> None:
        """Wait until the running server has logged something."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.journal():
            assert time.monotonic() < deadline, self.journal()
            time.sleep(0.1)

    def another_runs(self, pid: str) -> None:
        """Wait until systemd has put another process in the place of one that has gone."""
        deadline = time.monotonic() + PATIENCE
        while self.property("MainPID") in {"0", pid} or self.property("SubState") != "running":
            assert time.monotonic() < deadline, self.machine.as_root("journalctl --unit lairchat")
            time.sleep(0.1)
        assert "state        running" in self.machine.as_root("lairctl server status")

    # -- the guide

    @pytest.mark.timeout(600)
    def test_every_command_of_the_guide_works(self) -> None:
        said = self.alice.said
        assert re.fullmatch(
            r"lair://127\.0\.0\.1:7023/i/\w{26}\?id=\w{32}\n",
            said["sudo cat /var/lib/lairchat/owner-link"],
        )
        assert "Ready in" in said["sudo journalctl --unit lairchat"]
        words = translation(BEFORE)
        for reader, told in blocks(AFTER):
            if reader == "":
                self.alice.follow(translated(line, words) for line in told)
            elif reader == "by-systemd":
                self.alice.follow(told)
        accounts = said["sudo lairctl user list --json"]
        assert [one["name"] for one in json.loads(accounts)] == ["alice"]
        assert said["ssh -p 7024 alice@127.0.0.1 user list --json"] == accounts
        assert re.search(r"value +20\b", said["sudo lairctl config explain limits.message_burst"])
        (up,) = (said[line] for line in said if line.startswith("promtool query"))
        assert "} => 1 @" in up
        assert "alice" in said["sudo lairctl --data ~/moved user list"]
        assert self.property("SubState") == "running"
        self.moves()

    def moves(self) -> None:
        """What the guide says of another machine: the backup is made, the server goes on there."""
        there = Machine()
        self.addCleanup(there.stop)
        there.boot()
        here = self.machine.root
        shutil.copytree(here / PACKAGES, there.root / PACKAGES)
        shutil.copytree(here / BACKUP, there.root / HOME[1:] / "before-upgrade")
        alice = Operator(there)
        wanted = ("sudo apt install /tmp", "sudo install ")
        alice.follow(
            line for _reader, told in blocks(BEFORE) for line in told if line.startswith(wanted)
        )
        for reader, told in blocks(AFTER):
            if reader == "by-systemd elsewhere":
                alice.follow(told)
        assert "alice" in alice.said["sudo lairctl user list"]
        identity = "cat /var/lib/lairchat/identity.pem"
        assert there.as_root(identity) == self.machine.as_root(identity)

    # -- the unit

    def test_it_runs_with_little(self) -> None:
        """As a user that nobody else is, with no capability, in a file system that it cannot write."""
        pid = self.property("MainPID")
        status = dict(
            line.split(":\t", 1)
            for line in self.machine.as_root(f"cat /proc/{pid}/status").splitlines()
        )
        assert all(61184 <= int(uid) <= 65519 for uid in status["Uid"].split())
        assert {status[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd")} == {""}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        mounts = self.machine.as_root(f"cat /proc/{pid}/mounts").splitlines()
        writable = {words[1] for words in map(str.split, mounts) if "rw" in words[3].split(",")}
        assert "/var/lib/private/lairchat" in writable
        assert not [
            one
            for one in writable
            if re.match(r"/($|etc|home|root|usr|var/lib/(?!private/l))", one)
        ]
        assert self.property("UnitFileState") == "enabled"
        # Nobody else may even see that there is something.
        done = self.machine.run("cat /var/lib/lairchat/owner-link")
        assert (done.returncode, "denied" in done.stderr) == (1, True)

    def test_a_reload_takes_a_good_configuration_and_refuses_a_broken_one(self) -> None:
        pid = self.property("MainPID")
        self.machine.as_root(f"cp {CONFIG} /tmp/kept")
        self.addCleanup(self.machine.as_root, f"cp /tmp/kept {CONFIG}")
        self.machine.as_root(f"sed -i 's/^#strangers_.*/strangers_per_address = 3/' {CONFIG}")
        self.machine.as_root("systemctl reload lairchat")
        self.until("configuration reloaded; applied: limits.strangers_per_address")
        self.machine.as_root(f"sed -i 's/^strangers_/stangers_/' {CONFIG}")
        self.machine.as_root("systemctl reload lairchat")
        self.until(f"reload refused, everything stays as it was: LC-CFG {CONFIG}:")
        assert self.property("MainPID") == pid

    def test_a_server_that_was_killed_comes_back(self) -> None:
        pid = self.property("MainPID")
        self.machine.as_root(f"kill -KILL {pid}")
        self.another_runs(pid)

    @pytest.mark.timeout(120)
    def test_a_server_that_hangs_is_replaced(self) -> None:
        pid = self.property("MainPID")
        self.machine.as_root(f"kill -STOP {pid}")
        self.another_runs(pid)
        assert "Watchdog timeout" in self.machine.as_root("journalctl --unit lairchat")

    def test_a_stop_is_orderly(self) -> None:
        self.machine.as_root("systemctl stop lairchat")
        assert self.property("Result") == "success"
        assert "Traceback" not in self.machine.as_root("journalctl --unit lairchat")

    def test_systemd_listens_and_the_first_connection_starts_the_server(self) -> None:
        unit = (ROOT / "etc/systemd/lairchat.socket").read_text()
        (endpoint,) = re.findall(r"^# .*(endpoint = .+)$", unit, re.MULTILINE)
        self.machine.as_root(f"systemctl stop lairchat; cp {CONFIG} /tmp/kept")
        self.addCleanup(
            self.machine.as_root,
            f"systemctl stop lairchat lairchat.socket; cp /tmp/kept {CONFIG}",
        )
        self.machine.as_root(
            f"sed -i '/^.listen.chat/,/^.ssh/s/^#endpoint.*/{endpoint}/' {CONFIG}"
            "; systemctl start lairchat.socket"
        )
        assert self.property("ActiveState") == "inactive"
        doctor = self.machine.run("lair doctor 127.0.0.1")
        assert (doctor.returncode, "ok    reachable" in doctor.stdout) == (0, True), doctor
        assert self.property("ActiveState") == "active"
        # Nobody is turned away while the server restarts.
        self.machine.as_root("systemctl restart --no-block lairchat")
        assert self.machine.run("lair doctor 127.0.0.1").returncode == 0

    # -- the package

    def test_the_package_holds_nothing_of_the_machine_that_built_it(self) -> None:
        contents = self.machine.as_root(f"dpkg-deb --contents /{PACKAGES}/lairchat_*.deb")
        assert "./usr/bin/lairctl" in contents
        assert not re.search(r"/setuptools/|/tmp/", contents)

    def test_it_leaves_nothing_but_data_and_configuration(self) -> None:
        install = f"dpkg --install /{PACKAGES}/lairchat_*.deb; systemctl enable --now lairchat"
        self.machine.as_root("systemctl stop lairchat; dpkg --purge lairchat")
        self.addCleanup(self.machine.as_root, install)
        left = self.machine.as_root("find /etc /lib/ /usr /var -xdev -iname '*lairchat*'")
        assert set(left.split()) == {
            *("/etc/lairchat", "/etc/lairchat/lairchat.toml"),
            *("/var/lib/lairchat", "/var/lib/private/lairchat"),
        }
