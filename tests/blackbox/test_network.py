"""No connection that the user did not name: looked at from outside, with nothing but loopback."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

import pytest

from tests.blackbox.daemon import DaemonTest
from tests.blackbox.terminals import command, environment
from tests.requirements import require

pytestmark = pytest.mark.blackbox

#: Where these tests lie; the package itself may be an installed one, far from them.
CHECKOUT = str(Path(__file__).resolve().parents[2])

#: Runs in a network of its own: brings loopback up, starts a server, registers, talks, and ends.
INSIDE = """
import fcntl, pathlib, signal, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    name = struct.pack("16sh", b"lo", 0)
    flags = struct.unpack("16sh", fcntl.ioctl(probe, SIOCGIFFLAGS, name))[1]
    fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
assert [name for _, name in socket.if_nameindex()] == ["lo"], socket.if_nameindex()
sys.path.append(sys.argv[2])
from lairchat.demo_server import DemoServer
from tests.blackbox.terminals import Pipes
root = pathlib.Path(sys.argv[1])
server = DemoServer(root / "server")
server.start()
try:
    (root / "alice").mkdir()
    alice = Pipes(root / "alice", server.link().format(), "--plain")
    for answer in ("", "long password of alice"):
        alice.line(answer)
    alice.until("now in #lobby")
    alice.line("/join #lobby")
    alice.line("nobody else can hear this")
    assert alice.end() == 0
finally:
    status = server.stop()
assert status in {0, -signal.SIGTERM}, status
print("talked")
"""


class NoNetwork(TestCase):
    def test_server_and_client_need_nothing_but_loopback(self) -> None:
        require("networks")
        with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
            done = subprocess.run(
                ["unshare", "--net", sys.executable, "-c", INSIDE, directory, CHECKOUT],
                capture_output=True,
                check=False,
                timeout=120,
                env={**os.environ, "PYTHONPATH": CHECKOUT},
            )
        assert done.stdout == b"talked\n", done.stdout + done.stderr


class Connections(DaemonTest):
    def connections(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Return what a client connects or sends to, as strace writes it, other than local."""
        require("strace")
        home = self.directory / "homes" / "alice"
        home.mkdir(parents=True, exist_ok=True)
        trace = self.directory / "trace"
        calls = "trace=connect,sendto,sendmsg,sendmmsg"
        done = subprocess.run(
            ["strace", "-f", "-qq", "-e", calls, "-o", str(trace), *command(*arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env=environment(home),
        )
        assert done.returncode == 0, done.stderr
        found = re.findall(
            r"\{sa_family=(AF_INET6?).*?htons\((\d+)\).*?\"(.*?)\"", trace.read_text()
        )
        return sorted({f"{address}:{port}" for _, port, address in found})

    def test_only_the_named_address(self) -> None:
        named = [f"127.0.0.1:{self.server.port}"]
        link = self.server.link().format()
        come_in = b"\nlong password of alice\n/join #lobby\nand the first words\n"
        assert self.connections(link, "--plain", stdin=come_in) == named
        talk = b"/join #lobby\nhello https://example.org/x.png lair://other.example/i/x\n/help\n/rooms\n/quit\n"
        assert self.connections("--plain", stdin=talk) == named
        assert self.connections("send", "#lobby", "see http://example.org/") == named
        assert self.connections("doctor") == named
        assert self.connections("invite") == named

    def test_nothing_is_connected_to_for_help(self) -> None:
        for words in (("--help",), ("--version",), ("send", "--help")):
            assert self.connections(*words) == []


class Listening(DaemonTest):
    def test_the_daemon_listens_where_it_is_told_and_connects_nowhere(self) -> None:
        inodes = set()
        for link in Path(f"/proc/{self.server.pid}/fd").iterdir():
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            if match:
                inodes.add(match[1])
        found = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[9] in inodes:
                    found.append((table, fields[1], fields[2]))
        told = [self.server.port, self.server.door("ssh"), self.server.door("http")]
        assert sorted(found) == sorted(
            ("tcp", f"0100007F:{port:04X}", "00000000:0000") for port in told
        )
