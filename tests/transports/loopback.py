"""Servers and clients over real loopback sockets, for trial tests."""

import socket
import time
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from lairchat.transports.certificate import CertifiedKey, make_self_signed, parse_certified_key
from lairchat.transports.tls import TLSFacts, tls_facts

NOW = int(time.time()) * 1000


def certified(pem: bytes | None = None) -> CertifiedKey:
    """Return a certificate from PEM, or a new self-signed one."""
    pem = pem or make_self_signed("localhost", NOW)
    return parse_certified_key(pem, pem, "tls.pem")


def sleep(seconds: float) -> Deferred[None]:
    """Let the reactor run for a while."""
    return deferLater(reactor, seconds, lambda: None)


async def until(condition: Callable[[], object], what: str, seconds: float = 10) -> None:
    """Wait, with the reactor running, until something is true."""
    for _ in range(int(seconds * 200)):
        if condition():
            return
        await sleep(0.005)
    raise AssertionError(f"not within {seconds} s: {what}")


@implementer(IHandshakeListener)
class Echo(Protocol):
    """Sends back what it gets, and keeps what it learns."""

    facts: TLSFacts | None = None
    lost: Any = None
    completed = False

    def connectionMade(self) -> None:
        assert tls_facts(self.transport) is None
        self.factory.live.append(self)
        self.factory.all.append(self)

    def handshakeCompleted(self) -> None:
        self.completed = True
        self.facts = tls_facts(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def connectionLost(self, reason: Any) -> None:
        self.lost = reason
        self.factory.live.remove(self)


class EchoFactory(Factory):
    """Keeps its protocols: ``all`` that ever were, ``live`` ones."""

    protocol = Echo
    noisy = False

    def __init__(self) -> None:
        self.live: list[Echo] = []
        self.all: list[Echo] = []


@implementer(IHandshakeListener)
class Client(Protocol):
    """A TLS client that keeps what it receives."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Any = None
        self.ready: Deferred[Client] = Deferred()

    def handshakeCompleted(self) -> None:
        self.ready.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any) -> None:
        self.lost = reason
        if not self.ready.called:
            self.ready.errback(reason)

    async def says(self, data: bytes) -> bytes:
        """Send bytes and return the same number of bytes that came back."""
        self.received = b""
        self.transport.write(data)
        await until(lambda: len(self.received) >= len(data), "the echo")
        return self.received


class ConnectionCreator:
    """Makes client connections of one context (an IOpenSSLContextFactory)."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def getContext(self) -> SSL.Context:
        return self.context


def client_context(
    *, alpn: list[bytes] | None = None, highest: int = SSL.TLS1_3_VERSION
) -> SSL.Context:
    """Return a context that checks nothing."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(highest)
    if alpn:
        context.set_alpn_protos(alpn)
    return context


async def listen(factory: Any) -> Any:
    """Listen on a free loopback port."""
    return await TCP4ServerEndpoint(reactor, 0, 512, "127.0.0.1").listen(factory)


async def dial(port: Any, context: SSL.Context) -> Client:
    """Connect with TLS and wait for the end of the handshake."""
    from twisted.internet.interfaces import IOpenSSLContextFactory
    from zope.interface import directlyProvides

    creator = ConnectionCreator(context)
    directlyProvides(creator, IOpenSSLContextFactory)
    factory = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(Client), reactor)
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    tls = await endpoint.connect(factory)
    client: Client = tls.wrappedProtocol
    return await client.ready


def raw_connection(port: Any) -> socket.socket:
    """Return a plain TCP connection that says nothing by itself."""
    return socket.create_connection(("127.0.0.1", port.getHost().port))
