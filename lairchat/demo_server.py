"""The daemon as a process of its own, in a directory of its own, for the demo and for tests."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from lairchat.model.identity import Link

READY_SECONDS = 20.0
STOP_SECONDS = 10.0
_TWISTD = "from twisted.scripts.twistd import run; run()"


class ServerFailedError(Exception):
    """The daemon did not start; the text is what it printed."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def checkout() -> Path:
    """Return the directory above this package, where twisted/plugins of a checkout is found."""
    return Path(__file__).resolve().parent.parent


class DemoServer:
    """``twistd -n lairchat`` on a free port of loopback.

    directory: everything it writes goes there.
    extra: lines for the configuration beside listener and data directory.
    environ: variables beside our own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        extra: str = "",
        environ: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.data = directory / "data"
        self.config = directory / "lairchat.toml"
        self.output = directory / "server.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_seconds = 0.0
        self._environ = environ or {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The operators' doors take any free port, and say which: see ``door``.
        doors = "".join(
            f'[{name}]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
            for name in ("ssh", "http")
            if f"[{name}]" not in extra
        )
        self.config.write_text(
            f'{doors}[listen.chat]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n{extra}',
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start it and wait until it listens; raises ServerFailedError with what it printed."""
        began = time.monotonic()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LAIRCHAT_")},
            "PYTHONPATH": str(checkout()),
            **self._environ,
        }
        with self.output.open("ab") as output:
            offset = output.tell()
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _TWISTD,
                    "-n",
                    "lairchat",
                    "--config",
                    str(self.config),
                    "--data",
                    str(self.data),
                ],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        while time.monotonic() - began < READY_SECONDS:
            if b"\n  listening " in self.output.read_bytes()[offset:]:
                self.ready_seconds = time.monotonic() - began
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        text = self.output.read_bytes()[offset:].decode("utf-8", "replace")
        self.kill()
        raise ServerFailedError(text.strip() or "the server printed nothing")

    @property
    def pid(self) -> int:
        """The process id of the running daemon."""
        assert self.process is not None
        return self.process.pid

    def door(self, name: str) -> int:
        """Return the port of the operators' door ``ssh`` or ``http`` since the last start."""
        lines = self.output.read_text("utf-8", "replace").splitlines()
        line = next(line for line in reversed(lines) if line.startswith("  listening "))
        found = re.search(rf"\b{name} 127\.0\.0\.1:(\d+)", line)
        assert found is not None, line
        return int(found[1])

    def link(self) -> Link:
        """Return the owner's one-time link, as the server wrote it down."""
        return Link.parse((self.data / "owner-link").read_text("ascii").strip())

    def kill(self) -> None:
        """End it at once, as a power cut would end the process."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(STOP_SECONDS)
            self.process = None

    def stop(self) -> int:
        """Stop it in order and return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL
        finally:
            self.process = None
