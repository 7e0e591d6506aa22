"""An operator who reads only the guide gets from nothing to a watched, backed-up server.

Every command of docs/how-to/operate.rst runs, in its order, on machines of their own: here as
somebody who starts the server, in test_systemd.py where systemd does.
"""

import json
import re
from unittest import TestCase

import pytest

from tests.blackbox.guide import PAGE, Operator, blocks
from tests.blackbox.machine import HOME, Machine
from tests.requirements import require

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]


class Readers(TestCase):
    def test_every_command_is_for_somebody(self) -> None:
        """Each is run by a test, and none is left out by a name that no test knows."""
        found = list(blocks(PAGE.read_text("utf-8")))
        assert {reader for reader, _told in found} == {
            *("", "by-pipx", "by-systemd", "by-systemd elsewhere")
        }
        told = PAGE.read_text("utf-8").count("   $ ")
        assert sum(len(told) for _reader, told in found) == told > 70


class WithPipx(TestCase):
    def setUp(self) -> None:
        for needed in ("git", "pipx", "ssh", "curl", "promtool", "nft"):
            require(needed)
        self.machine = Machine()
        self.addCleanup(self.machine.stop)
        self.machine.boot()
        self.machine.as_root("systemctl start nftables")

    @pytest.mark.timeout(600)
    def test_every_command_works(self) -> None:
        alice = Operator(self.machine)
        for reader, told in blocks(PAGE.read_text("utf-8")):
            if reader in {"", "by-pipx"}:
                alice.follow(told)
        said = alice.said
        assert [one["name"] for one in json.loads(said["lairctl user list --json"])] == ["alice"]
        assert (
            said["ssh -p 7024 alice@127.0.0.1 user list --json"] == said["lairctl user list --json"]
        )
        assert said['ssh -p 7024 alice@127.0.0.1 "user list | count"'].strip() == "1"
        assert "LC-" not in said["lairctl db check"]
        assert re.search(r"value +20\b", said["lairctl config explain limits.message_burst"])
        assert "tcp dport 7023 accept" in self.machine.as_root("nft list ruleset")
        # Moved, with everybody in it, and the same server to every client.
        assert "alice" in said["lairctl --data ~/moved user list"]
        self.machine.as_root(
            "cmp moved/identity.pem .local/share/lairchat/identity.pem", place=HOME
        )
