"""TLS on the server's side, over real loopback sockets: what is agreed, refused, cut and renewed."""

import contextlib
import gc
import os
import socket
import subprocess
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from lairchat.model.faults import StartCertificate
from lairchat.transports.certificate import spki_sha256
from lairchat.transports.tls import HandshakeTimeoutError, ServerTLS, TLSProtocol, tls_facts
from tests.authority import Authority
from tests.requirements import require
from tests.transports.loopback import (
    Client,
    EchoFactory,
    certified,
    client_context,
    dial,
    listen,
    raw_connection,
    sleep,
    until,
)


class TLSCase(TestCase):
    """An echo server behind TLS on a loopback port."""

    handshake_seconds = 10.0
    closing_seconds = 5.0

    def setUp(self):
        self.tls = ServerTLS(certified())
        self.echo = EchoFactory()
        self.factory = self.tls.wrap(
            self.echo,
            reactor,
            handshake_seconds=self.handshake_seconds,
            closing_seconds=self.closing_seconds,
        )
        self.clients: list[Client] = []
        return self.serve(self.factory)

    def serve(self, factory):
        async def start():
            self.port = await listen(factory)

        return Deferred.fromCoroutine(start())

    async def dial(self, context=None, **settings) -> Client:
        """Connect, and wait until the server's side of the handshake is done too."""
        done = self.completed()
        client = await dial(self.port, context or client_context(**settings))
        self.clients.append(client)
        await until(lambda: self.completed() > done, "the server's side of the handshake")
        return client

    def completed(self) -> int:
        return sum(protocol.completed for protocol in self.echo.all)

    def tearDown(self):
        async def stop():
            await maybeDeferred(self.port.stopListening)
            for client in self.clients:
                if client.lost is None:
                    client.transport.abortConnection()
            for protocol in list(self.echo.live):
                protocol.transport.abortConnection()
            await until(lambda: not self.echo.live, "all connections gone")
            await until(lambda: all(client.lost for client in self.clients), "clients gone")

        return Deferred.fromCoroutine(stop())


class Agreement(TLSCase):
    """What a connection is made of (architecture.md, "Session on the wire")."""

    async def test_tls_13_aes_256_hybrid_key_agreement_and_our_protocol(self):
        client = await self.dial(alpn=[b"h2", b"lair/1"])
        assert await client.says(b"hello") == b"hello"
        facts = self.echo.all[0].facts
        assert facts.version == "TLSv1.3"
        assert facts.cipher == "TLS_AES_256_GCM_SHA384"
        # The library's default and post-quantum; nobody could set it, so this pins it.
        assert facts.group == "X25519MLKEM768"
        assert facts.alpn == "lair/1"
        assert facts.spki_sha256 == self.tls.credential.facts.spki_sha256
        address = client.transport.getHost()
        assert facts.peer == f"127.0.0.1:{address.port}"
        assert facts.peer not in repr(facts)

    async def test_the_client_sees_the_certificate_that_the_facts_name(self):
        client = await self.dial()
        peer = client.transport.getHandle().get_peer_certificate(as_cryptography=True)
        assert spki_sha256(peer) == self.echo.all[0].facts.spki_sha256

    async def test_the_servers_order_of_ciphers_counts(self):
        context = client_context()
        context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384")
        await self.dial(context)
        assert self.echo.all[0].facts.cipher == "TLS_AES_256_GCM_SHA384"

    async def test_a_client_that_names_no_protocol_is_served(self):
        client = await self.dial()
        assert await client.says(b"hello") == b"hello"
        assert self.echo.all[0].facts.alpn == ""

    async def test_a_client_of_another_protocol_is_refused(self):
        """RFC 7301, 3.2: no_application_protocol; stops redirected TLS of other services."""
        with self.assertRaises(SSL.Error) as refused:
            await self.dial(alpn=[b"h2", b"http/1.1"])
        assert "no application protocol" in str(refused.exception)
        await until(lambda: self.echo.all[0].lost, "the refusal")
        assert not self.echo.all[0].completed

    async def test_a_client_that_stops_at_tls_12_is_refused(self):
        with self.assertRaises(SSL.Error) as refused:
            await self.dial(highest=SSL.TLS1_2_VERSION)
        assert "protocol version" in str(refused.exception)

    async def test_facts_end_with_the_connection(self):
        client = await self.dial()
        server = self.echo.all[0]
        transport = server.transport
        assert tls_facts(transport) is not None
        client.transport.abortConnection()
        await until(lambda: server.lost, "the end of the connection")
        assert tls_facts(transport) is None

    def test_facts_of_a_plain_connection(self):
        assert tls_facts(StringTransport()) is None
        assert tls_facts(None) is None

    async def test_data_in_any_amount_in_both_directions(self):
        client = await self.dial()
        data = os.urandom(1_000_000)
        assert await client.says(data) == data


class OpenSSLClient(TLSCase):
    """The same from an independent client: the system's openssl."""

    async def s_client(self, *arguments: str, until_there: Path | None = None):
        require("openssl")
        address = f"127.0.0.1:{self.port.getHost().port}"
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", address, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if until_there is not None:
            await until(until_there.exists, f"{until_there} written")
        stdout, stderr = await deferToThread(process.communicate, "Q\n", 20)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    async def test_it_connects(self):
        done = await self.s_client("-alpn", "lair/1")
        assert done.returncode == 0, done.stderr
        assert "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in done.stdout
        assert "ALPN protocol: lair/1" in done.stdout
        assert "Compression: NONE" in done.stdout

    async def test_it_is_refused_below_tls_13(self):
        for version in ("-tls1_2", "-tls1_1"):
            done = await self.s_client(version, "-cipher", "ALL:@SECLEVEL=0")
            assert done.returncode != 0
            assert "alert protocol version" in done.stderr

    async def test_nothing_is_resumed(self):
        """Every connection has key agreement of its own, also for one that kept a ticket."""
        with tempfile.TemporaryDirectory() as directory:
            session = Path(directory, "session")
            # OpenSSL hands out tickets whatever we say; s_client writes one to the file.
            first = await self.s_client("-sess_out", str(session), until_there=session)
            assert "New, TLSv1.3" in first.stdout
            again = await self.s_client("-sess_in", str(session))
            assert "New, TLSv1.3" in again.stdout
            assert "Reused" not in again.stdout


class Replacement(TLSCase):
    """A new certificate while connections live."""

    async def test_live_connections_keep_theirs_new_ones_get_the_new_one(self):
        old = self.tls.credential.facts.spki_sha256
        client = await self.dial()
        self.tls.replace(certified())
        new = self.tls.credential.facts.spki_sha256
        assert new != old
        assert await client.says(b"still here") == b"still here"
        assert tls_facts(self.echo.all[0].transport).spki_sha256 == old
        later = await self.dial()
        assert self.echo.all[1].facts.spki_sha256 == new
        peer = later.transport.getHandle().get_peer_certificate(as_cryptography=True)
        assert spki_sha256(peer) == new
        assert await client.says(b"both") == await later.says(b"both") == b"both"

    async def test_a_handshake_begun_before_ends_with_the_certificate_it_began_with(self):
        old = self.tls.credential.facts.spki_sha256
        with raw_connection(self.port):
            await until(lambda: self.echo.live, "the accept")
            self.tls.replace(certified())
            handle = self.echo.live[0].transport.getHandle()
            assert handle.get_context().get_app_data().spki_sha256 == old

    async def test_one_that_openssl_does_not_take_changes_nothing(self):
        weak = rsa.generate_private_key(65537, 1024)
        before = self.tls.credential
        with self.assertRaises(StartCertificate) as refused:
            self.tls.replace(certified(Authority().issue("localhost", key=weak)))
        assert "key too small" in refused.exception.text
        assert self.tls.credential is before
        client = await self.dial()
        assert await client.says(b"hello") == b"hello"

    async def test_the_whole_chain_is_sent(self):
        authority = Authority()
        self.tls.replace(certified(authority.issue("localhost") + authority.certificate))
        client = await self.dial()
        chain = client.transport.getHandle().get_peer_cert_chain(as_cryptography=True)
        assert [certificate.subject.rfc4514_string() for certificate in chain] == [
            "CN=server",
            "CN=Test CA",
        ]


class HalfOpen(TLSCase):
    """Who does not finish the handshake in time is cut, whatever it sends meanwhile."""

    handshake_seconds = 0.3

    async def test_a_silent_connection_is_cut(self):
        with raw_connection(self.port) as connection:
            connection.settimeout(5)
            begun = reactor.seconds()
            await until(lambda: self.echo.live, "the accept")
            await until(lambda: not self.echo.live, "the cut")
            assert 0.25 < reactor.seconds() - begun < 5
            assert isinstance(self.echo.all[0].lost.value, HandshakeTimeoutError)
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)

    async def test_dripping_bytes_does_not_prolong_it(self):
        """A slow-loris: a true ClientHello, one byte at a time."""
        hello = client_hello()
        with raw_connection(self.port) as connection:
            sent = 0
            for byte in hello:
                if self.echo.all and self.echo.all[0].lost:
                    break
                connection.send(bytes([byte]))
                sent += 1
                await sleep(0.02)
            assert sent < len(hello)
            assert isinstance(self.echo.all[0].lost.value, HandshakeTimeoutError)

    async def test_a_finished_handshake_is_not_cut(self):
        client = await self.dial()
        assert not self.factory.handshakes
        await sleep(0.5)
        assert await client.says(b"hello") == b"hello"

    async def test_two_hundred_leave_nothing_behind(self):
        """No descriptor, no protocol, no TLS object, no timer."""
        await self.dial()
        gc.collect()
        descriptors = open_descriptors()
        objects = count_tls_objects()
        connections = [raw_connection(self.port) for _ in range(200)]
        for connection in connections[::2]:
            connection.send(client_hello()[:100])
        await until(lambda: len(self.echo.all) == 201, "200 accepts")
        await until(lambda: len(self.echo.live) == 1, "200 cuts")
        for connection in connections:
            connection.close()
        del self.echo.all[1:]
        await sleep(0)
        gc.collect()
        assert open_descriptors() == descriptors
        assert count_tls_objects() == objects
        assert not self.factory.handshakes
        assert not self.factory.closings

    async def test_they_end_with_the_listener_and_live_connections_do_not(self):
        client = await self.dial()
        with raw_connection(self.port):
            await until(lambda: len(self.echo.live) == 2, "the accept")
            await self.port.stopListening()
            await until(lambda: len(self.echo.live) == 1, "the end of the half-open one")
        assert await client.says(b"draining") == b"draining"


class Clocked(TestCase):
    """The same limits with a clock that the test moves."""

    def build(self, clock: Clock) -> tuple[TLSProtocol, EchoFactory, StringTransport]:
        echo = EchoFactory()
        factory = ServerTLS(certified()).wrap(echo, clock)
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, echo, transport

    def test_ten_seconds_from_accept(self):
        clock = Clock()
        protocol, _, transport = self.build(clock)
        clock.advance(9.99)
        protocol.dataReceived(client_hello()[:50])
        assert not transport.disconnecting
        clock.advance(0.01)
        assert transport.disconnecting
        protocol.connectionLost(Failure(ConnectionLost()))
        assert not clock.getDelayedCalls()

    def test_a_connection_lost_meanwhile_needs_no_cutting(self):
        clock = Clock()
        protocol, echo, _ = self.build(clock)
        protocol.connectionLost(Failure(ConnectionLost()))
        assert echo.all[0].lost is not None
        assert not clock.getDelayedCalls()


class Closing(TLSCase):
    """The orderly close of TLS waits for the other side, but not for ever."""

    closing_seconds = 0.3

    async def test_a_client_that_answers_sees_an_orderly_end(self):
        client = await self.dial()
        self.echo.live[0].transport.loseConnection()
        await until(lambda: client.lost, "the end")
        await until(lambda: not self.echo.live, "the server's end")
        assert not self.factory.closings

    async def test_closing_what_is_gone_already_does_nothing(self):
        client = await self.dial()
        transport = self.echo.live[0].transport
        client.transport.abortConnection()
        await until(lambda: not self.echo.live, "the end")
        transport.loseConnection()
        assert not self.factory.closings

    async def test_a_client_that_never_answers_is_cut(self):
        connection = raw_connection(self.port)
        tls = SSL.Connection(client_context())
        tls.set_connect_state()
        await handshake_by_hand(tls, connection)
        await until(lambda: self.echo.all and self.echo.all[0].completed, "the handshake")
        self.echo.live[0].transport.loseConnection()
        assert self.factory.closings
        await until(lambda: not self.echo.live, "the cut")
        connection.close()


class ClosingEarly(TLSCase):
    """Ending a connection whose handshake is not done; nobody would answer a goodbye."""

    closing_seconds = 60.0

    async def test_it_is_cut_at_once(self):
        with raw_connection(self.port):
            await until(lambda: self.echo.live, "the accept")
            self.echo.live[0].transport.loseConnection()
            await until(lambda: not self.echo.live, "the cut")


class Refusing(TLSCase):
    """What the inner factory, or nonsense on the wire, leads to."""

    async def test_an_address_that_the_inner_factory_refuses_costs_no_handshake(self):
        self.echo.buildProtocol = lambda address: None
        with raw_connection(self.port) as connection:
            connection.setblocking(False)
            assert await received(connection) == b""
        assert not self.factory.handshakes

    async def test_other_protocols_and_noise_end_without_a_word_in_the_log(self):
        greetings = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"NICK alice\r\nUSER alice 0 * :alice\r\n",
            b"\x80\x2e\x01\x00\x02" + bytes(46),  # SSLv2
            b"\x00" * 2000,
            b"\x16\x03\x01\xff\xff" + bytes(100),  # a record that claims too much
            b"\x16\x03\x01\x00\x04\x01\xff\xff\xff" + bytes(4000),  # a huge ClientHello
            os.urandom(3000),
        ]
        for greeting in greetings:
            with raw_connection(self.port) as connection:
                connection.sendall(greeting)
                connection.shutdown(socket.SHUT_WR)
                connection.setblocking(False)
                await received(connection)
        await until(lambda: not self.echo.live, "all gone")
        assert len(self.echo.all) == len(greetings)
        assert not any(protocol.completed for protocol in self.echo.all)
        assert self.flushLoggedErrors() == []

    async def test_a_flood_of_aborts_leaves_nothing(self):
        for _ in range(50):
            raw_connection(self.port).close()
        await until(lambda: len(self.echo.all) == 50 and not self.echo.live, "all gone")
        assert not self.factory.handshakes


class OtherSockets(TestCase):
    """TLS over what is no IPv4."""

    async def check(self, endpoint, family, path=None) -> str:
        echo = EchoFactory()
        tls = ServerTLS(certified())
        port = await endpoint.listen(tls.wrap(echo, reactor))
        connection = socket.socket(family)
        connection.connect(path or ("::1", port.getHost().port))
        client = SSL.Connection(client_context())
        client.set_connect_state()
        await handshake_by_hand(client, connection)
        await until(lambda: echo.all and echo.all[0].facts, "the handshake")
        connection.close()
        await port.stopListening()
        await until(lambda: not echo.live, "the end")
        return echo.all[0].facts.peer

    async def test_ipv6(self):
        peer = await self.check(TCP6ServerEndpoint(reactor, 0, interface="::1"), socket.AF_INET6)
        assert peer.startswith("[::1]:")

    async def test_unix(self):
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/lair.sock"
            peer = await self.check(UNIXServerEndpoint(reactor, path), socket.AF_UNIX, path)
        assert peer == ""


def client_hello() -> bytes:
    connection = SSL.Connection(client_context(alpn=[b"lair/1"]))
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(2**16)


async def received(connection: socket.socket) -> bytes:
    """Return all that comes until the end of a non-blocking connection."""
    chunks = []

    def ended() -> bool:
        try:
            chunk = connection.recv(2**16)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        chunks.append(chunk)
        return not chunk

    await until(ended, "the end of the connection")
    return b"".join(chunks)


async def handshake_by_hand(tls: SSL.Connection, connection: socket.socket) -> None:
    """Do a client's handshake over a plain socket, which then stays silent."""
    connection.setblocking(False)

    def step() -> bool:
        with contextlib.suppress(BlockingIOError):
            tls.bio_write(connection.recv(2**16))
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            done = False
        else:
            done = True
        with contextlib.suppress(SSL.WantReadError):
            connection.send(tls.bio_read(2**16))
        return done

    await until(step, "the handshake")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def count_tls_objects() -> int:
    return sum(isinstance(thing, TLSProtocol | SSL.Connection) for thing in gc.get_objects())
