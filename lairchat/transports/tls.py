"""TLS 1.3 around any factory: contexts, replacement of the certificate, time-outs, facts.

Twisted's TLSMemoryBIOProtocol does the work, without its write buffers (the hub already writes
once per reactor turn; see writethrough.py) and with bounds that it lacks: the handshake and the
closing have absolute time limits, half-open handshakes end with the listener, and what a connection
has once needed for a large write is given back when it falls silent.
Promises not to know: frames, sessions, which address may connect how often.
"""

from dataclasses import dataclass, field
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.model import limits
from lairchat.model.faults import StartCertificate
from lairchat.transports.buffers import release_buffers
from lairchat.transports.certificate import CertificateFacts, CertifiedKey
from lairchat.transports.deadlines import Deadlines
from lairchat.transports.writethrough import WriteThroughTLS

ALPN = b"lair/1"
"""Names this protocol in the handshake (RFC 7301)."""
CIPHERSUITES = b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
"""In the server's order of preference."""


LARGE_BYTES = 1_024
"""bytes: what passes in one piece and makes a connection's buffers worth giving back."""
QUIET_SECONDS = 5.0
"""seconds: after the handshake, or a large piece, buffers are given back; busy connections pay
for that a few microseconds in this time."""


class HandshakeTimeoutError(Exception):
    """The TLS handshake was not done :data:`limits.HANDSHAKE_SECONDS` after the accept."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in use: new connections are made from the context, which holds the facts."""

    context: SSL.Context = field(repr=False)
    facts: CertificateFacts


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """What was agreed on one connection.

    group: key agreement, "X25519MLKEM768" when both ends can.
    alpn: "lair/1" where people chat, or "" when the client named no protocol.
    spki_sha256: of the leaf this server presented on this connection; hello's identity statement
    must name it.
    """

    version: str
    cipher: str
    group: str
    alpn: str
    peer: str = field(repr=False)  # addresses do not belong into logs in full
    spki_sha256: bytes


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """The server's side of TLS: the credential for new connections, replaceable while running."""

    def __init__(self, certified: CertifiedKey) -> None:
        self.credential = _credential(certified)

    def replace(self, certified: CertifiedKey) -> None:
        """Give new connections this certificate; those that live keep theirs.

        Raises StartCertificate and keeps the old one when OpenSSL does not accept the new one.
        """
        self.credential = self.prepare(certified)

    def prepare(self, certified: CertifiedKey) -> Credential:
        """Return what this certificate would be used by; becomes so as ``credential``.

        Raises StartCertificate when OpenSSL does not accept it.
        """
        return _credential(certified)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: ARG002
        """Return the OpenSSL object for one accepted connection (called by Twisted)."""
        return SSL.Connection(self.credential.context)

    def wrap(
        self,
        factory: IProtocolFactory,
        clock: IReactorTime,
        *,
        protocols: tuple[bytes, ...] = (ALPN,),
        handshake_seconds: float = limits.HANDSHAKE_SECONDS,
        closing_seconds: float = limits.STOP_SECONDS,
    ) -> "TLSFactory":
        """Return a factory that speaks TLS and hands the bytes inside to ``factory``'s protocols.

        protocols: what a client may agree on (ALPN), the server's choice first.

        The inner protocol is connected at accept, so that it can count connections; it sees data
        (and ``handshakeCompleted``, if it is an IHandshakeListener) after the handshake only.
        """
        return TLSFactory(self, factory, clock, protocols, handshake_seconds, closing_seconds)


class TLSProtocol(WriteThroughTLS):
    """One TLS connection with an end to its handshake and to its closing."""

    factory: "TLSFactory"

    def makeConnection(self, transport: ITransport) -> None:
        """Start the handshake and its clock."""
        if ITCPTransport.providedBy(transport):
            # Writes are already gathered per turn; Nagle's algorithm would add 40 ms to some.
            transport.setTcpNoDelay(True)
        super().makeConnection(transport)

    def _checkHandshakeStatus(self) -> None:
        # The one place where Twisted learns that a handshake is done; only called until then.
        super()._checkHandshakeStatus()  # type: ignore[no-untyped-call]
        if self._handshakeDone:
            self.factory.handshakes.discard(self)
            self.factory.grown.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Decrypt what arrived (called by the transport)."""
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if len(data) > LARGE_BYTES and self._handshakeDone and self.connected:
            self.factory.grown.add(self)

    def write(self, data: bytes) -> None:
        """Encrypt and send, unless closing has begun."""
        if self.disconnecting and self._producer is None:
            return
        self._write(data)
        if len(data) > LARGE_BYTES and self._handshakeDone and self.connected:
            self.factory.grown.add(self)

    def loseConnection(self) -> None:
        """Close in order; a peer that does not answer within the limit is cut."""
        super().loseConnection()  # type: ignore[no-untyped-call]
        if self.connected:
            self.factory.closings.add(self)


class TLSFactory(TLSMemoryBIOFactory):
    """Wraps a factory's protocols in TLS; made by :meth:`ServerTLS.wrap`."""

    protocol = TLSProtocol

    def __init__(
        self,
        tls: ServerTLS,
        factory: IProtocolFactory,
        clock: IReactorTime,
        protocols: tuple[bytes, ...],
        handshake_seconds: float,
        closing_seconds: float,
    ) -> None:
        super().__init__(tls, False, factory, clock)
        self.speaks = protocols
        self.handshakes = Deadlines[TLSProtocol](clock, handshake_seconds, _cut_handshake)
        self.closings = Deadlines[TLSProtocol](clock, closing_seconds, _cut)
        self.grown = Deadlines[TLSProtocol](clock, QUIET_SECONDS, self._release)

    def buildProtocol(self, addr: Any) -> TLSProtocol | None:  # type: ignore[override]
        """Build the inner protocol and its TLS; None when the inner factory refuses the address.

        Refusing here costs no handshake, which is what makes a limit per address worth having.
        """
        inner: IProtocol | None = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else TLSProtocol(self, inner)

    def registerProtocol(self, p: TLSProtocol) -> None:
        """Start the clock of the handshake (called by Twisted, twice, at accept)."""
        self.handshakes.add(p)

    def unregisterProtocol(self, p: TLSProtocol) -> None:
        """Stop all clocks of a connection that is gone (called by Twisted)."""
        self.handshakes.discard(p)
        self.closings.discard(p)
        self.grown.discard(p)

    def _release(self, protocol: TLSProtocol) -> None:
        if not release_buffers(protocol.getHandle()):
            self.grown.add(protocol)  # half a record is in there: later

    def doStop(self) -> None:
        """End half-open handshakes with the last listener; live connections may drain."""
        self.handshakes.expire_all()
        super().doStop()  # type: ignore[no-untyped-call]


def tls_facts(transport: object) -> TLSFacts | None:
    """Return what was agreed on this connection, or None where TLS is not, or not yet, done.

    transport: what the protocol inside was connected to.
    """
    if not isinstance(transport, TLSProtocol) or not transport._handshakeDone:
        return None
    connection = transport.getHandle()
    if connection is None:
        return None
    certificate: CertificateFacts = connection.get_context().get_app_data()
    return TLSFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        group=connection.get_group_name() or "",
        alpn=connection.get_alpn_proto_negotiated().decode("ascii", "replace"),
        peer=_peer(transport),
        spki_sha256=certificate.spki_sha256,
    )


def _cut_handshake(protocol: TLSProtocol) -> None:
    protocol.failVerification(Failure(HandshakeTimeoutError()))


def _cut(protocol: TLSProtocol) -> None:
    protocol.abortConnection()


def _peer(transport: TLSProtocol) -> str:
    address = transport.getPeer()
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return f"{address.host}:{address.port}" if isinstance(address, IPv4Address) else ""


def _credential(certified: CertifiedKey) -> Credential:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_tls13_ciphersuites(CIPHERSUITES)
    # Without tickets and cache nothing is resumed: every connection has fresh key agreement.
    # (OpenSSL sends two stateful tickets all the same; pyOpenSSL cannot set their number to 0.
    # They lead nowhere.)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(
        SSL.OP_NO_TICKET
        | SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    # Half the memory of an idle connection: read and write buffers exist only while in use.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_alpn_select_callback(_select_protocol)
    try:
        context.use_certificate(certified.chain[0])
        for issuer in certified.chain[1:]:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(certified.key)
        context.check_privatekey()
    except SSL.Error as error:
        raise StartCertificate(path=certified.where, why=_openssl_reason(error)) from None
    context.set_app_data(certified.facts)
    return Credential(context, certified.facts)


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """Take what this listener speaks, or end the handshake with the alert no_application_protocol.

    A client that names other protocols only was sent here by mistake or by an attacker who
    redirects another service's TLS to us (ALPACA). One that names none may go on.
    """
    ours: TLSProtocol = connection.get_app_data()  # as Twisted has set it
    speaks: tuple[bytes, ...] = ours.factory.speaks
    for protocol in speaks:
        if protocol in offered:
            return protocol
    # An OpenSSL error, because Twisted ends the connection on those and on nothing else.
    raise SSL.Error([("lair", "", "no application protocol")])


def _openssl_reason(error: SSL.Error) -> str:
    """Return the last sentence of OpenSSL's error queue."""
    queue = error.args[0] if error.args else []
    return queue[-1][2] if queue else "OpenSSL does not accept it"
