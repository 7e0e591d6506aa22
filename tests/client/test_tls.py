"""The client's TLS against real servers on loopback: who is let through, and what is said if not."""

import datetime as dt
import errno
import socket
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import error as network
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IHostnameResolver, IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from zope.interface import directlyProvides, implementer

from lairchat.client.tls import Pinned, Verified, _network_refusal, connect, verify_identity
from lairchat.model.faults import TlsIdentity, TlsPin
from lairchat.model.identity import ServerId
from lairchat.model.refusal import Refusal
from lairchat.transports.certificate import make_self_signed
from lairchat.transports.identity import STATEMENT_SECONDS, ServerIdentity
from lairchat.transports.tls import ServerTLS
from lairchat.wire.objects import IdentityStatement
from tests.authority import DAY, Authority
from tests.transports.loopback import (
    NOW,
    Client,
    ConnectionCreator,
    EchoFactory,
    certified,
    listen,
    until,
)


class DialCase(TestCase):
    """A server on a loopback port, of whatever kind the test wants."""

    def setUp(self):
        self.echo = EchoFactory()
        self.ports = []
        self.clients = []
        self.directory = Path(tempfile.mkdtemp())

    async def serve(self, factory) -> int:
        self.ports.append(await listen(factory))
        return self.ports[-1].getHost().port

    async def serve_tls(self, pem: bytes | None = None) -> int:
        return await self.serve(ServerTLS(certified(pem)).wrap(self.echo, reactor))

    async def dial(self, port, host="localhost", mode=None, **settings):
        client = Client()
        client.ready.addErrback(lambda _: None)  # connect() has its own Deferred
        self.clients.append(client)
        return await connect(reactor, host, port, mode or Pinned(), client, **settings)

    async def refused(self, port, *arguments, **settings) -> Refusal:
        with self.assertRaises(Refusal) as refused:
            await self.dial(port, *arguments, **settings)
        assert self.clients[-1].transport is None  # the real protocol never saw the connection
        return refused.exception

    def tearDown(self):
        async def stop():
            for port in self.ports:
                await maybeDeferred(port.stopListening)
            for client in self.clients:
                if client.transport is not None and client.lost is None:
                    client.transport.abortConnection()
                    await until(lambda: client.lost, "the client's end")  # noqa: B023
            await until(lambda: not self.echo.live, "the server's end")

        return Deferred.fromCoroutine(stop())


class PinnedMode(DialCase):
    """Any certificate will do; what counts comes with hello."""

    async def test_connects_and_tells_what_was_agreed(self):
        port = await self.serve_tls(make_self_signed("chat.example.org", NOW))
        facts = await self.dial(port, "127.0.0.1")
        client = self.clients[0]
        assert await client.says(b"hello") == b"hello"
        assert facts.version == "TLSv1.3"
        assert facts.cipher == "TLS_AES_256_GCM_SHA384"
        assert facts.group == "X25519MLKEM768"
        assert facts.alpn == "lair/1"
        assert facts.subject == "CN=chat.example.org"
        assert facts.names == ("chat.example.org", "localhost", "127.0.0.1", "::1")
        assert facts.not_before <= NOW < facts.not_after
        server = self.echo.all[0].facts
        assert facts.spki_sha256 == server.spki_sha256
        assert server.group == facts.group

    async def test_the_name_goes_with_the_handshake_but_an_address_does_not(self):
        port = await self.serve_tls()
        await self.dial(port, "localhost")
        await self.dial(port, "127.0.0.1")
        await until(lambda: all(server.completed for server in self.echo.all), "both")
        names = [server.transport.getHandle().get_servername() for server in self.echo.all]
        assert names == [b"localhost", None]

    async def test_data_after_the_handshake_reaches_the_protocol(self):
        """Nothing may be lost between the handshake and the real protocol's start."""

        class Talker(Protocol):
            def connectionMade(self):
                self.transport.write(b"first words")
                self.transport.loseConnection()

        class TalkerFactory(Factory):
            protocol = Talker
            noisy = False

        port = await self.serve(ServerTLS(certified()).wrap(TalkerFactory(), reactor))
        await self.dial(port)
        client = self.clients[-1]
        await until(lambda: client.lost, "the end")
        assert client.received == b"first words"


class VerifiedMode(DialCase):
    """A CA vouches for the host: each thing that can be wrong has a code of its own."""

    def setUp(self):
        super().setUp()
        self.authority = Authority()
        self.ca_file = self.directory / "ca.pem"
        self.ca_file.write_bytes(self.authority.certificate)
        self.mode = Verified(self.ca_file)

    async def test_the_right_host(self):
        port = await self.serve_tls(self.authority.issue("localhost", "127.0.0.1"))
        for host in ("localhost", "LOCALHOST", "127.0.0.1"):
            facts = await self.dial(port, host, self.mode)
            assert facts.names == ("localhost", "127.0.0.1")
        assert await self.clients[0].says(b"hello") == b"hello"

    async def test_another_host(self):
        port = await self.serve_tls(self.authority.issue("chat.example.org", "192.0.2.7"))
        refusal = await self.refused(port, "localhost", self.mode)
        assert refusal.code == "LC-TLS-HOST"
        assert "is for chat.example.org, 192.0.2.7, not localhost" in refusal.text

    async def test_another_address(self):
        port = await self.serve_tls(self.authority.issue("localhost", "127.0.0.2"))
        assert (await self.refused(port, "127.0.0.1", self.mode)).code == "LC-TLS-HOST"

    async def test_a_wildcard_is_no_top_level_pass(self):
        port = await self.serve_tls(self.authority.issue("*"))
        assert (await self.refused(port, "localhost", self.mode)).code == "LC-TLS-HOST"

    async def test_a_certificate_without_names(self):
        """The common name counts for nothing (RFC 9525, 2)."""
        port = await self.serve_tls(self.authority.issue())
        refusal = await self.refused(port, "localhost", self.mode)
        assert refusal.code == "LC-TLS-HOST"
        assert "for no host, not localhost" in refusal.text

    async def test_an_expired_certificate(self):
        pem = self.authority.issue("localhost", begins=-9 * DAY, ends=-2 * DAY)
        refusal = await self.refused(await self.serve_tls(pem), "localhost", self.mode)
        assert refusal.code == "LC-TLS-EXPIRED"
        assert f"until {dt.datetime.now(dt.UTC) - 2 * DAY:%Y-%m-%d}" in refusal.text

    async def test_a_certificate_from_the_future(self):
        pem = self.authority.issue("localhost", begins=2 * DAY)
        refusal = await self.refused(await self.serve_tls(pem), "localhost", self.mode)
        assert refusal.code == "LC-TLS-EXPIRED"
        assert f"from {dt.datetime.now(dt.UTC) + 2 * DAY:%Y-%m-%d}" in refusal.text

    async def test_an_unknown_authority(self):
        port = await self.serve_tls(Authority("Another CA").issue("localhost"))
        refusal = await self.refused(port, "localhost", self.mode)
        assert refusal.code == "LC-TLS-CA"
        assert "vouches for localhost" in refusal.text

    async def test_an_authority_that_only_has_the_same_name(self):
        port = await self.serve_tls(Authority().issue("localhost"))
        assert (await self.refused(port, "localhost", self.mode)).code == "LC-TLS-CA"

    async def test_a_self_signed_certificate(self):
        port = await self.serve_tls()
        assert (await self.refused(port, "localhost", self.mode)).code == "LC-TLS-CA"

    async def test_the_systems_authorities_do_not_know_the_test_ca(self):
        port = await self.serve_tls(self.authority.issue("localhost"))
        assert (await self.refused(port, "localhost", Verified())).code == "LC-TLS-CA"

    async def test_a_file_without_authorities(self):
        self.ca_file.write_bytes(b"hello")
        refusal = await self.refused(1, "localhost", self.mode)
        assert refusal.code == "LC-CFG"
        assert "ca.pem: it holds no certificates of authorities" in refusal.text


class Greeter(Protocol):
    """A server that says something at once, whatever it is told."""

    def connectionMade(self):
        self.factory.live.append(self)
        if self.factory.words:
            self.transport.write(self.factory.words)
        elif self.factory.words is None:
            self.transport.abortConnection()

    def connectionLost(self, reason):
        self.factory.live.remove(self)


class GreeterFactory(Factory):
    protocol = Greeter
    noisy = False

    def __init__(self, words):
        self.words = words
        self.live = []


class NotOurServer(DialCase):
    """What answers is no Lair Chat server, or an old one."""

    async def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        refusal = await self.refused(port, "127.0.0.1")
        assert refusal.code == "LC-NET-REFUSED"
        assert f"cannot reach 127.0.0.1:{port}" in refusal.text
        assert "lair doctor 127.0.0.1" in refusal.text

    async def test_tls_12_only(self):
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        pair = certified()
        context.use_certificate(pair.chain[0])
        context.use_privatekey(pair.key)
        creator = ConnectionCreator(context)
        directlyProvides(creator, IOpenSSLContextFactory)
        port = await self.serve(TLSMemoryBIOFactory(creator, False, self.echo, reactor))
        refusal = await self.refused(port)
        assert refusal.code == "LC-TLS-VERSION"
        assert f"localhost:{port} does not offer TLS 1.3" in refusal.text

    async def test_tls_without_our_protocol(self):
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        pair = certified()
        context.use_certificate(pair.chain[0])
        context.use_privatekey(pair.key)
        creator = ConnectionCreator(context)
        directlyProvides(creator, IOpenSSLContextFactory)
        port = await self.serve(TLSMemoryBIOFactory(creator, False, self.echo, reactor))
        refusal = await self.refused(port)
        assert refusal.code == "LC-TLS-HANDSHAKE"
        assert "it does not speak lair/1" in refusal.text

    async def test_no_tls_at_all(self):
        for words in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 99):
            factory = GreeterFactory(words)
            refusal = await self.refused(await self.serve(factory))
            assert refusal.code == "LC-TLS-HANDSHAKE"
            assert "7023 is usual" in refusal.text
            await until(lambda: not factory.live, "the end")  # noqa: B023

    async def test_a_server_that_hangs_up(self):
        refusal = await self.refused(await self.serve(GreeterFactory(None)))
        assert refusal.code == "LC-TLS-HANDSHAKE"
        assert "it closes the connection" in refusal.text

    async def test_a_server_that_says_nothing(self):
        factory = GreeterFactory(b"")
        refusal = await self.refused(await self.serve(factory), seconds=0.3)
        assert refusal.code == "LC-TLS-HANDSHAKE"
        assert "it does not answer" in refusal.text
        await until(lambda: not factory.live, "the end")

    async def test_cancelled_in_the_handshake(self):
        factory = GreeterFactory(b"")
        port = await self.serve(factory)
        dialing = connect(reactor, "127.0.0.1", port, Pinned(), Client())
        await until(lambda: factory.live, "the connection")
        dialing.cancel()
        with self.assertRaises(CancelledError):
            await dialing
        await until(lambda: not factory.live, "the end")


@implementer(IHostnameResolver)
class FakeResolver:
    """Knows the hosts that it was told; notes what it is asked; says nothing about "slow"."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def resolveHostName(self, receiver, host, portNumber=0, *rest):
        self.asked.append(host)
        receiver.resolutionBegan(None)
        if host != "slow.example":
            for address in self.answers.get(host, []):
                receiver.addressResolved(IPv4Address("TCP", address, portNumber))
            receiver.resolutionComplete()
        return receiver


class Names(DialCase):
    """What is looked up, and what comes of it."""

    def resolver(self, **answers):
        fake = FakeResolver({name.replace("_", "."): found for name, found in answers.items()})
        before = reactor.installNameResolver(fake)
        self.addCleanup(reactor.installNameResolver, before)
        return fake

    async def test_only_the_name_that_was_given_is_looked_up(self):
        authority = Authority()
        (self.directory / "ca.pem").write_bytes(authority.certificate)
        fake = self.resolver(chat_example_org=["127.0.0.1"])
        port = await self.serve_tls(authority.issue("chat.example.org"))
        await self.dial(port, "chat.example.org", Verified(self.directory / "ca.pem"))
        assert fake.asked == ["chat.example.org"]

    async def test_a_final_dot_is_not_part_of_the_name(self):
        authority = Authority()
        (self.directory / "ca.pem").write_bytes(authority.certificate)
        self.resolver(chat_example_org_=["127.0.0.1"])
        port = await self.serve_tls(authority.issue("chat.example.org"))
        await self.dial(port, "chat.example.org.", Verified(self.directory / "ca.pem"))
        server = self.echo.all[0]
        await until(lambda: server.completed, "the server's side")
        assert server.transport.getHandle().get_servername() == b"chat.example.org"

    async def test_an_unknown_name(self):
        self.resolver()
        refusal = await self.refused(1, "chat.example.org")
        assert refusal.code == "LC-NET-NAME"
        assert "cannot find the host chat.example.org" in refusal.text

    async def test_a_name_that_cannot_be(self):
        for host in ("a" * 300, "a" * 64, "b\u00fc" * 70 + ".example", "a..b", ""):
            assert (await self.refused(1, host)).code == "LC-NET-NAME"

    async def test_an_onion_name_is_never_asked_for(self):
        """RFC 7686, section 2."""
        fake = self.resolver()
        for host in ("abcdefghij.onion", "ABCDEFGHIJ.ONION."):
            assert (await self.refused(1, host)).code == "LC-NET-NAME"
        assert fake.asked == []

    async def test_a_name_server_that_does_not_answer(self):
        self.resolver()
        refusal = await self.refused(7023, "slow.example", seconds=0.2)
        assert refusal.code == "LC-NET-TIMEOUT"
        assert "cannot reach slow.example:7023" in refusal.text

    async def test_cancelled_while_looking_up(self):
        self.resolver()
        dialing = connect(reactor, "slow.example", 7023, Pinned(), Client())
        dialing.cancel()
        with self.assertRaises(CancelledError):
            await dialing

    async def test_no_way_there(self):
        refusal = await self.refused(7023, "255.255.255.255")
        assert refusal.code == "LC-NET-UNREACHABLE"
        assert "cannot reach 255.255.255.255:7023: network is unreachable" in refusal.text

    async def test_the_next_address_is_tried(self):
        self.resolver(chat_example_org=["127.255.255.254", "127.0.0.1"])
        port = await self.serve_tls()
        await self.dial(port, "chat.example.org")
        assert len(self.echo.all) == 1


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (network.TimeoutError(), "LC-NET-TIMEOUT", "no answer within"),
        (network.getConnectError((errno.ETIMEDOUT, "")), "LC-NET-TIMEOUT", "no answer within"),
        (network.getConnectError((errno.EHOSTUNREACH, "")), "LC-NET-UNREACHABLE", "no route to"),
        (network.ConnectError(string="odd"), "LC-NET-UNREACHABLE", "odd"),
    ],
)
def test_what_the_network_says_that_loopback_cannot(fault, code: str, words: str) -> None:
    refusal = _network_refusal("chat.example.org", 7023, fault)
    assert refusal.code == code
    assert words in refusal.text
    assert "chat.example.org:7023" in refusal.text


IDENTITY = ServerIdentity(Ed25519PrivateKey.generate())
OTHER = ServerIdentity(Ed25519PrivateKey.generate())
LEAF = bytes(range(32))


def proof(statement: IdentityStatement, leaf: bytes = LEAF, now: int = NOW, pin=None) -> ServerId:
    return verify_identity("chat.example.org", statement, leaf, now, pin)


def test_a_statement_for_this_connection_proves_the_identity() -> None:
    statement = IDENTITY.statement(LEAF, NOW)
    assert proof(statement) == IDENTITY.id
    for length in (16, 17, 31, 32):
        assert proof(statement, pin=IDENTITY.id.digest[:length]) == IDENTITY.id


def test_a_statement_replayed_over_another_certificate_proves_nothing() -> None:
    """A stranger in between has the server's statement, but not its TLS key."""
    with pytest.raises(TlsIdentity) as refused:
        proof(IDENTITY.statement(LEAF, NOW), leaf=bytes(32), pin=IDENTITY.id.prefix128)
    assert "it is not signed for this connection" in refused.value.text


def test_an_expired_statement_proves_nothing() -> None:
    statement = IDENTITY.statement(LEAF, NOW)
    assert proof(statement, now=NOW + STATEMENT_SECONDS * 1000 - 1000) == IDENTITY.id
    with pytest.raises(TlsIdentity) as refused:
        proof(statement, now=NOW + STATEMENT_SECONDS * 1000)
    assert "expired, or this clock is wrong" in refused.value.text


def test_another_servers_identity_is_a_hard_stop_in_words() -> None:
    for pin in (IDENTITY.id.digest, IDENTITY.id.prefix128):
        with pytest.raises(TlsPin) as refused:
            proof(OTHER.statement(LEAF, NOW), pin=pin)
        assert f'was "{" ".join(IDENTITY.id.words())}"' in refused.value.text
        assert f'now "{" ".join(OTHER.id.words())}"' in refused.value.text


def test_a_stranger_cannot_pass_off_anothers_key() -> None:
    own, others = OTHER.statement(LEAF, NOW), IDENTITY.statement(bytes(32), NOW)
    for forged in (
        IdentityStatement(others.key, own.expires, own.signature),
        IdentityStatement(others.key, others.expires, own.signature),
        IdentityStatement(others.key, 2**63 - 1, others.signature),
        IdentityStatement(bytes(32), own.expires, own.signature),
        IdentityStatement(own.key, own.expires, bytes(64)),
        IdentityStatement(b"short", own.expires, own.signature),
        IdentityStatement(own.key, own.expires, b"short"),
        IdentityStatement(own.key, 2**64 - 1, own.signature),
    ):
        with pytest.raises(TlsIdentity):
            proof(forged, pin=IDENTITY.id.prefix128)


def test_a_pin_too_short_to_mean_anything_is_our_own_mistake() -> None:
    for pin in (b"", IDENTITY.id.digest[:15], bytes(33)):
        with pytest.raises(ValueError, match="16 to 32 bytes"):
            proof(IDENTITY.statement(LEAF, NOW), pin=pin)


@given(st.integers(0, 103), st.integers(1, 255))
def test_no_change_of_a_statement_goes_unnoticed(place: int, change: int) -> None:
    statement = IDENTITY.statement(LEAF, NOW)
    data = bytearray(statement.key + statement.expires.to_bytes(8, "big") + statement.signature)
    data[place] ^= change
    changed = IdentityStatement(
        bytes(data[:32]), int.from_bytes(data[32:40], "big"), bytes(data[40:])
    )
    with pytest.raises(TlsIdentity):
        proof(changed)
