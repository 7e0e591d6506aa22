"""A real daemon for a test: started, watched, stopped; and raw connections to it."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from lairchat.demo_check import Member
from lairchat.demo_server import DemoServer, checkout
from lairchat.wire import codec
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import ClientHello, ServerFrame

#: Limits that no test reaches by accident.
ROOMY = """
[limits]
message_burst = 100000
message_per_second = 100000
command_burst = 100000
command_per_second = 100000
strangers_per_address = 1000
wasted_per_address = 100000
"""


def awaited(
    test: Callable[[Any], Coroutine[Any, Any, None]],
) -> Callable[[Any], "Deferred[None]"]:
    """Turn a coroutine method into what trial waits for."""

    def run(self: Any) -> "Deferred[None]":
        return Deferred.fromCoroutine(test(self))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def lairctl(
    server: DemoServer, *words: str, data: Path | None = None, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run lairctl for a server, or for the directory of none, to its end; nobody answers it."""
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "lairchat.lairctl"),
            *("--config", str(server.config), "--data", str(data or server.data)),
            *words,
        ],
        env={**os.environ, "PYTHONPATH": str(checkout()), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def lairctl_beside(server: DemoServer, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run lairctl while this process goes on: members chat meanwhile."""
    return await deferToThread(lairctl, server, *words)


class DaemonTest(TestCase):
    """A test with a daemon of its own, whose log must be free of what nobody expected."""

    timeout = 120
    extra = ROOMY
    environ: dict[str, str] = {}
    autostart = True

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lair-test-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.server = DemoServer(self.directory, extra=self.extra, environ=self.environ)
        self.addCleanup(self.stop)
        self.members: list[Member] = []
        if self.autostart:
            self.server.start()

    def stop(self) -> None:
        for member in self.members:
            member.leave()
        self.server.stop()
        printed = self.printed()
        assert "Traceback" not in printed, printed
        assert "Unhandled" not in printed, printed

    def printed(self) -> str:
        """Return everything that the daemon has printed."""
        if not self.server.output.exists():
            return ""
        return self.server.output.read_text("utf-8", "replace")

    def member(self, name: str) -> Member:
        """Return somebody who is not connected yet."""
        member = Member(reactor, "127.0.0.1", self.server.port, name, f"password of {name}")
        self.members.append(member)
        return member

    async def owner(self, name: str = "alice") -> Member:
        """Return the owner, logged in."""
        member = self.member(name)
        await member.connect()
        await member.register(self.server.link().code)
        return member

    async def friends(self, *names: str) -> list[Member]:
        """Return the owner and more members, logged in and in the lobby."""
        from lairchat.features.accounts import messages as accounts

        first = await self.owner(names[0])
        found = [first]
        for name in names[1:]:
            invite = await first.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
            member = self.member(name)
            await member.connect()
            await member.register(invite.code)
            found.append(member)
        return found


class RawClient:
    """A TLS connection that says what a test wants, right or wrong; blocking, for small talks."""

    def __init__(
        self, port: int, *, greet: bool = True, alpn: str = "lair/1", source: str = "127.0.0.1"
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        raw = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
        self.tls = context.wrap_socket(raw)
        self.reader = FrameReader(65_536)
        self.frames: list[ServerFrame] = []
        if greet:
            self.send(codec.encode(ClientHello([1], "raw")))
            self.hello = self.receive()

    def send(self, data: bytes) -> None:
        self.tls.sendall(data)

    def receive(self) -> ServerFrame | None:
        """Return the next frame, or None when the server has closed."""
        while not self.frames:
            try:
                data = self.tls.recv(65_536)
            except (ConnectionResetError, ssl.SSLError):
                return None
            if not data:
                return None
            self.frames += [codec.decode_server(body) for body in self.reader.receive(data)]
        return self.frames.pop(0)

    def rest(self) -> list[ServerFrame]:
        """Return everything until the server closes."""
        frames = []
        while (frame := self.receive()) is not None:
            frames.append(frame)
        return frames

    def close(self) -> None:
        self.tls.close()


def packed(value: Any) -> bytes:
    """Return any value as a frame, also one that the codec would never make."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(4, "big") + body
