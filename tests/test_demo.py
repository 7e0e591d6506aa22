"""The README's first command: every promise holds, and each line fails when its promise is broken.

A promise is broken by what really could break it: a proxy between client and server that holds the
server's own TLS key, a file that somebody opened to others, a database that lost its last writes.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import ClientContextFactory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from lairchat import demo_check
from lairchat.demo_check import Check
from lairchat.demo_server import DemoServer, checkout
from lairchat.features.messages import messages as wire
from lairchat.transports.certificate import write_self_signed
from lairchat.wire import codec
from lairchat.wire.errors import ProtocolError
from lairchat.wire.frames import FrameReader
from lairchat.wire.frames import frame as framed
from lairchat.wire.objects import Error, EventFrame, Ok
from tests.blackbox.daemon import awaited
from tests.blackbox.terminals import Terminal


def test_the_command_checks_itself_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-P", "-m", "lairchat.demo", "--check"],
        env={**os.environ, "PYTHONPATH": str(checkout()), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert all(line.startswith("OK    ") for line in lines[:-1]), result.stdout
    assert lines[-1] == "14 of 14 promises hold"
    assert "X25519MLKEM768" in result.stdout
    assert list(tmp_path.iterdir()) == []


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_end_it_takes_the_server_along(tmp_path: Path, number: int) -> None:
    running = subprocess.Popen(
        [sys.executable, "-P", "-m", "lairchat.demo", "--check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(checkout()), "TMPDIR": str(tmp_path)},
    )
    assert running.stdout is not None
    server = int(running.stdout.readline().decode().rpartition("process ")[2])
    assert not gone(server)
    running.send_signal(number)
    _, complaints = running.communicate(timeout=30)
    assert running.returncode != 0
    assert gone(server)
    assert list(tmp_path.iterdir()) == []
    assert b"Traceback" not in complaints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_with_a_client_it_takes_both_along(tmp_path: Path, number: int) -> None:
    """And the terminal is as it was."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal = Terminal(
        tmp_path / "home",
        program=[sys.executable, "-P", "-m", "lairchat.demo"],
        environ={"PYTHONPATH": str(checkout()), "TMPDIR": str(temporary)},
    )
    try:
        terminal.until("[!#lobby PLAIN]", seconds=40)
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + signal.SIGTERM
    finally:
        terminal.close()
    assert b"\x1b[?1049l" in terminal.output
    assert b"Traceback" not in terminal.output
    assert list(temporary.iterdir()) == []


def test_without_a_terminal_it_is_the_same() -> None:
    result = subprocess.run(
        [sys.executable, "-P", "-m", "lairchat.demo"],
        env={**os.environ, "PYTHONPATH": str(checkout())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("14 of 14 promises hold\n")


Tamper = Callable[[bytes], list[bytes]]
"""Takes a frame's body from the server and returns the bodies that the client gets instead."""


class Near(Protocol):
    """The proxy's end towards the client."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.far: Protocol | None = None
        self.early: list[bytes] = []

    def connectionMade(self) -> None:
        self.proxy.ends.append(self)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.proxy.server.port)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_alpn_protos([b"lair/1"])

        class Contexts(ClientContextFactory):
            def getContext(self) -> SSL.Context:
                return context

        inner = Factory.forProtocol(lambda: Far(self))
        endpoint.connect(TLSMemoryBIOFactory(Contexts(), True, inner)).addCallback(lambda _: None)

    def dataReceived(self, data: bytes) -> None:
        if self.far is None:
            self.early.append(data)
        else:
            self.far.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.proxy.ends.remove(self)
        if self.far is not None and self.far.transport is not None:
            self.far.transport.loseConnection()


class Far(Protocol):
    """The proxy's end towards the server."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.reader = FrameReader(65_536)

    def connectionMade(self) -> None:
        self.near.proxy.ends.append(self)
        self.near.far = self
        for data in self.near.early:
            self.transport.write(data)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        for body in self.reader.receive(data):
            for changed in self.near.proxy.tamper(body):
                self.near.transport.write(framed(changed))  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.near.proxy.ends.remove(self)
        if self.near.transport is not None:
            self.near.transport.loseConnection()


class Proxy:
    """Somebody in between who has the server's TLS key, or one of their own."""

    def __init__(self, server: DemoServer, pem: Path, tamper: Tamper) -> None:
        self.server = server
        self.tamper = tamper
        self.ends: list[Protocol] = []
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.use_certificate_file(str(pem))
        self.context.use_privatekey_file(str(pem))
        self.context.set_alpn_select_callback(lambda connection, offered: b"lair/1")
        outer = self

        @implementer(IOpenSSLServerConnectionCreator)
        class Contexts:
            def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return SSL.Connection(outer.context)

        inner = Factory.forProtocol(lambda: Near(outer))
        self.port: Any = reactor.listenTCP(  # type: ignore[attr-defined]
            0, TLSMemoryBIOFactory(Contexts(), False, inner), interface="127.0.0.1"
        )

    async def stop(self) -> None:
        """Cut everything and wait until it is gone."""
        await self.port.stopListening()
        for end in list(self.ends):
            end.transport.abortConnection()  # type: ignore[union-attr]
        await deferLater(reactor, 0.1)

    @property
    def number(self) -> int:
        return int(self.port.getHost().port)


def events(change: Callable[[wire.LogEvent], list[wire.LogEvent]]) -> Tamper:
    """Tamper with the messages that are told, and with nothing else."""

    def tamper(body: bytes) -> list[bytes]:
        frame = codec.decode_server(body)
        if not isinstance(frame, EventFrame) or frame.name != "message":
            return [body]
        event = codec.decode_body(wire.LogEvent, frame.body)
        return [
            codec.encode_body(EventFrame("message", codec.Raw(codec.encode_body(one))))
            for one in change(event)
        ]

    return tamper


def untouched(body: bytes) -> list[bytes]:
    return [body]


class BrokenPromises(TestCase):
    """Each promise, broken in turn."""

    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lair-test-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.lines: list[str] = []

    def server(self, **more: Any) -> DemoServer:
        server = DemoServer(self.directory / "server", **more)
        self.addCleanup(server.stop)
        server.start()
        return server

    def through(self, server: DemoServer, tamper: Tamper, pem: Path | None = None) -> int:
        proxy = Proxy(server, pem or server.data / "tls.pem", tamper)
        self.addCleanup(lambda: Deferred.fromCoroutine(proxy.stop()))
        return proxy.number

    async def failed(self, check: Check, count: int | None = None) -> list[str]:
        """Run the check; return the titles of the promises that did not hold."""
        if count is not None:
            check.promises = check.promises[:count]
        broken = await check.run(self.lines.append)
        failed = [line[6:].partition(":")[0] for line in self.lines if line.startswith("FAIL")]
        assert len(failed) == broken
        return failed

    @awaited
    async def test_nothing_fails_behind_an_honest_proxy_but_nothing_else_could_tell(self) -> None:
        server = self.server()
        check = Check(reactor, server, self.through(server, untouched))
        assert await self.failed(check) == [], self.lines

    @awaited
    async def test_a_server_that_does_not_run(self) -> None:
        server = self.server()
        server.stop()
        assert "starts by itself" in await self.failed(Check(reactor, server), 1)

    @awaited
    async def test_a_file_that_others_may_read(self) -> None:
        server = self.server()
        (server.data / "lair.db").chmod(0o644)
        assert await self.failed(Check(reactor, server), 2) == ["keeps its files private"]

    @awaited
    async def test_a_key_agreement_without_the_hybrid_group(self) -> None:
        settings = self.directory / "openssl.cnf"
        settings.write_text(
            "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = X25519\n"
        )
        server = self.server(environ={"OPENSSL_CONF": str(settings)})
        failed = await self.failed(Check(reactor, server), 3)
        assert failed == ["speaks TLS 1.3 with hybrid key agreement"], self.lines

    @awaited
    async def test_somebody_else_in_between(self) -> None:
        server = self.server()
        other = self.directory / "other.pem"
        write_self_signed(other, "localhost", 1_800_000_000_000)
        check = Check(reactor, server, self.through(server, untouched, other))
        failed = await self.failed(check, 4)
        assert "proves the identity that the link names" in failed
        assert "LC-TLS-IDENTITY" in "".join(self.lines)

    @awaited
    async def test_an_owners_link_that_works_twice(self) -> None:
        grants: list[bytes] = []

        def tamper(body: bytes) -> list[bytes]:
            """Answer whoever comes second with what the first was granted."""
            frame = codec.decode_server(body)
            if isinstance(frame, Ok) and not grants:
                grants.append(bytes(frame.body))
            elif isinstance(frame, Error) and frame.code == "LC-INVITE-BAD":
                return [codec.encode_body(Ok(frame.id, codec.Raw(grants[0])))]
            return [body]

        server = self.server()
        check = Check(reactor, server, self.through(server, tamper))
        assert await self.failed(check, 5) == ["lets the owner in once"], self.lines

    @awaited
    async def test_an_invite_that_does_not_work(self) -> None:
        server = self.server(extra='[accounts]\nregistration = "closed"\n')
        failed = await self.failed(Check(reactor, server), 6)
        assert "lets a friend in by invite" in failed, self.lines

    @awaited
    async def test_a_message_that_never_arrives(self) -> None:
        server = self.server()
        check = Check(reactor, server, self.through(server, events(lambda event: [])))
        failed = await self.failed(check, 8)
        assert failed[:2] == ["carries a message", "carries the answer"], self.lines

    @awaited
    async def test_a_server_that_does_not_answer(self) -> None:
        """Each promise that waits for it is given up; the check comes to its end."""
        self.patch(demo_check, "PROMISE_SECONDS", 1.0)
        server = self.server()

        def tamper(body: bytes) -> list[bytes]:
            return [] if isinstance(codec.decode_server(body), Ok) else [body]

        check = Check(reactor, server, self.through(server, tamper))
        assert await self.failed(check, 6) == [
            "lets the owner in once",
            "lets a friend in by invite",
        ]
        assert self.lines[4] == "FAIL  lets the owner in once: not within 1 s"

    @awaited
    async def test_a_message_that_was_changed(self) -> None:
        def change(event: wire.LogEvent) -> list[wire.LogEvent]:
            import msgspec

            if event.kind != "app":
                return [event]
            return [msgspec.structs.replace(event, body=codec.encode_body(wire.Text("forged")))]

        server = self.server()
        check = Check(reactor, server, self.through(server, events(change)))
        assert await self.failed(check, 8) == ["carries a message", "carries the answer"]

    @awaited
    async def test_a_message_that_arrives_twice(self) -> None:
        server = self.server()
        check = Check(reactor, server, self.through(server, events(lambda event: [event, event])))
        assert await self.failed(check, 9) == ["does a repeated command once"], self.lines

    @awaited
    async def test_an_identity_that_the_server_has_changed(self) -> None:
        from lairchat.features.identities import messages as identities

        def tamper(body: bytes) -> list[bytes]:
            import msgspec

            frame = codec.decode_server(body)
            if isinstance(frame, Ok):
                try:
                    part = codec.decode_body(identities.LogPart, frame.body)
                except ProtocolError:
                    return [body]
                data = part.data[:-1] + bytes([part.data[-1] ^ 1])
                other = msgspec.structs.replace(part, data=data)
                return [codec.encode_body(Ok(frame.id, codec.Raw(codec.encode_body(other))))]
            return [body]

        server = self.server()
        check = Check(reactor, server, self.through(server, tamper))
        failed = await self.failed(check, 10)
        assert failed == ["encrypts a direct conversation from its first message"], self.lines
        await check.carol.leave()
        await check.dave.leave()

    @awaited
    async def test_a_private_message_in_a_file_of_the_server(self) -> None:
        server = self.server()
        check = Check(reactor, server)
        (server.data / "leak").write_text(check.secret)
        (server.data / "leak").chmod(0o600)
        failed = await self.failed(check, 11)
        assert failed == ["keeps nothing of it that it could read"], self.lines

    @awaited
    async def test_a_password_in_a_file_of_the_server(self) -> None:
        server = self.server()
        check = Check(reactor, server)
        (server.data / "leak").write_text(check.bob.password)
        (server.data / "leak").chmod(0o600)
        assert await self.failed(check, 12) == ["never sees the password"], self.lines

    @awaited
    async def test_a_disk_that_forgets_what_was_acknowledged(self) -> None:
        server = self.server()
        check = Check(reactor, server)
        kill = server.kill

        def forget() -> None:
            kill()
            # As if no fsync had ever happened: the write-ahead log is gone, the base is older.
            for path in server.data.glob("lair.db-*"):
                path.unlink()

        server.kill = forget  # type: ignore[method-assign]
        failed = await self.failed(check, 13)
        server.kill = kill  # type: ignore[method-assign]
        assert failed == ["survives kill -9 with everything acknowledged"], self.lines

    @awaited
    async def test_a_server_that_does_not_come_back(self) -> None:
        server = self.server()
        check = Check(reactor, server)
        check.server.start = lambda: None  # type: ignore[method-assign]
        failed = await self.failed(check)
        assert failed == [
            "survives kill -9 with everything acknowledged",
            "catches up after a reconnect",
        ], self.lines

    @awaited
    async def test_a_catch_up_that_leaves_something_out(self) -> None:
        def tamper(body: bytes) -> list[bytes]:
            import msgspec

            frame = codec.decode_server(body)
            if isinstance(frame, Ok):
                try:
                    synced = codec.decode_body(wire.Synced, frame.body)
                except ProtocolError:
                    return [body]
                rooms = [msgspec.structs.replace(room, events=[]) for room in synced.rooms]
                return [
                    codec.encode_body(
                        Ok(frame.id, codec.Raw(codec.encode_body(wire.Synced(rooms))))
                    )
                ]
            return [body]

        server = self.server()
        check = Check(reactor, server, self.through(server, tamper))
        assert await self.failed(check) == ["catches up after a reconnect"], self.lines
