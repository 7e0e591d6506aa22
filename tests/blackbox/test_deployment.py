"""What etc/ has for operators: the units of systemd, as far as no systemd has to run."""

import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import TestCase

import pytest

from lairchat.demo_server import checkout, free_port
from tests.requirements import require

pytestmark = pytest.mark.blackbox

CHECKOUT = Path(__file__).resolve().parents[2]
ETC = CHECKOUT / "etc"
#: Runs a program as a number that no account has.
UNKNOWN_USER = ("unshare", "--user", "--map-user=64506", "--map-group=64506")
UNIT = ETC / "systemd" / "lairchat.service"


def run(*words: str, seconds: float = 60) -> str:
    done = subprocess.run(words, capture_output=True, check=False, timeout=seconds)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


class Systemd(TestCase):
    def test_the_unit_is_exposed_to_little(self) -> None:
        require("systemd-analyze")
        said = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT))
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found is not None, said
        assert float(found[1]) <= 1.5, said

    def test_the_units_are_understood(self) -> None:
        require("systemd-analyze")
        with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
            for path in (ETC / "systemd").iterdir():
                # Whether the programs are there is the package's business, see below.
                text = re.sub(
                    r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(), flags=re.MULTILINE
                )
                text = re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE)
                (Path(directory) / path.name).write_text(text)
            done = subprocess.run(
                ["systemd-analyze", "verify", f"{directory}/lairchat.service"],
                capture_output=True,
                check=False,
                timeout=60,
            )
            complaints = [line for line in done.stderr.decode().splitlines() if "lairchat" in line]
            assert complaints == []


class SocketActivation(TestCase):
    def test_the_server_answers_whoever_had_it_started(self) -> None:
        require("systemd-socket-activate")
        unit = (ETC / "systemd" / "lairchat.socket").read_text()
        (endpoint,) = re.findall(r'^# .*endpoint = "(.+)"$', unit, re.MULTILINE)
        (name,) = re.findall(r"^FileDescriptorName=(.+)$", unit, re.MULTILINE)
        place = Path(tempfile.mkdtemp(prefix="lair-test-"))
        self.addCleanup(shutil.rmtree, place)
        config, port = place / "lairchat.toml", free_port()
        config.write_text(
            f'[listen.chat]\nendpoint = "{endpoint}"\n'
            "[ssh]\nenabled = false\n[http]\nenabled = false\n"
        )
        process = subprocess.Popen(
            [
                *("systemd-socket-activate", f"--listen=127.0.0.1:{port}", f"--fdname={name}"),
                *(f"--setenv=PYTHONPATH={checkout()}", f"--setenv=HOME={place}"),
                *(sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"),
                *("-n", "--pidfile=", "lairchat"),
                *("--config", str(config), "--data", str(place / "data")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with connected(port) as plain, context.wrap_socket(plain) as connection:
            assert connection.version() == "TLSv1.3"


def connected(port: int) -> socket.socket:
    """Connect as soon as somebody listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


class DynamicUser(TestCase):
    def test_a_user_without_a_name_and_a_home_runs_the_server(self) -> None:
        """What DynamicUser is where libnss-systemd is not installed."""
        # Where user namespaces may not be made, at least without HOME; tests/test_layout.py has more.
        able = subprocess.run([*UNKNOWN_USER, "true"], capture_output=True, check=False, timeout=20)
        unknown = UNKNOWN_USER if able.returncode == 0 else ()
        with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
            place = Path(directory)
            doors = "".join(
                f'[{name}]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
                for name in ("listen.chat", "ssh", "http")
            )
            (place / "lairchat.toml").write_text(doors)
            command = "from twisted.scripts.twistd import run; run()"
            words = ["--nodaemon", "--pidfile=", "lairchat", "--config", f"{place}/lairchat.toml"]
            with subprocess.Popen(
                [
                    *unknown,
                    sys.executable,
                    "-P",
                    "-c",
                    command,
                    *words,
                    "--data",
                    f"{place}/data",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout())},
            ) as server:
                assert server.stdout is not None
                said = b""
                while b"Ready in" not in said and (line := server.stdout.readline()):
                    said += line
                server.terminate()
                said += server.stdout.read()
            assert b"Ready in" in said, said.decode()
            assert f"data in {place}/data ".encode() in said
