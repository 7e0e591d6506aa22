"""The client's side of TLS: connects, checks the certificate if asked to, checks the identity.

Connects only to the host and port that it is given, after asking DNS for that host alone: there
are no OCSP, CRL or issuer look-ups.
Promises not to know: what is said on the connection.
"""

import hashlib
import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import service_identity
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet import error as network
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.model import limits
from lairchat.model.faults import (
    Config,
    NetName,
    NetRefused,
    NetTimeout,
    NetUnreachable,
    TlsCa,
    TlsExpired,
    TlsHandshake,
    TlsHost,
    TlsIdentity,
    TlsPin,
    TlsVersion,
)
from lairchat.model.identity import ServerId, format_address
from lairchat.model.refusal import Refusal
from lairchat.wire.objects import IdentityStatement
from lairchat.wire.statement import identity_bytes

ALPN = b"lair/1"
"""Names this protocol in the handshake (RFC 7301)."""

Judge = Callable[[crypto.X509, int, int], bool]

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class Pinned:
    """Any certificate will do: the signed identity in hello decides, and a pin on it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The certificate must be for the host and vouched for by a CA; the identity counts as well.

    ca_file: PEM file of the CAs to trust instead of the system's.
    """

    ca_file: Path | None = None


TLSMode = Pinned | Verified


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What was agreed with a server, and what its certificate says; times in ms since 1970.

    spki_sha256: of the leaf's key: what hello's identity statement must be signed for.
    """

    version: str
    cipher: str
    group: str
    alpn: str
    subject: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    spki_sha256: bytes


def verify_identity(
    host: str,
    statement: IdentityStatement,
    peer_spki_sha256: bytes,
    now: int,
    pin: bytes | None = None,
) -> ServerId:
    """Return whose statement this is, once it is proven for this TLS connection.

    host: what a refusal calls the server.
    peer_spki_sha256: from :class:`PeerFacts` of the same connection, never from elsewhere.
    now: ms since 1970, wall clock.
    pin: the identity expected, 16 to 32 bytes from its start, or None when there is none yet.
    Raises TlsIdentity for a statement that proves nothing here (signed for another TLS key, by
    another key, or expired), TlsPin when a valid one is of another identity than the pinned.
    """
    if pin is not None and not limits.IDENTITY_PREFIX_BYTES <= len(pin) <= 32:
        raise ValueError("a pin has 16 to 32 bytes")
    try:
        key = Ed25519PublicKey.from_public_bytes(statement.key)
        key.verify(statement.signature, identity_bytes(peer_spki_sha256, statement.expires))
    except (InvalidSignature, ValueError):
        raise TlsIdentity(host=host, why="it is not signed for this connection") from None
    if now // 1000 >= statement.expires:
        raise TlsIdentity(host=host, why="the proof has expired, or this clock is wrong")
    server = ServerId.of_key(statement.key)
    if pin is not None and not server.matches(pin):
        old = ServerId(pin.ljust(32, b"\0"))  # its words need 66 bits only
        raise TlsPin(old=" ".join(old.words()), new=" ".join(server.words()))
    return server


def require_authorities(mode: Verified) -> None:
    """Raise Config if ``mode.ca_file`` cannot be used, before anything is tried with it."""
    _trust(SSL.Context(SSL.TLS_CLIENT_METHOD), mode.ca_file)


def connect(
    reactor: Any,
    host: str,
    port: int,
    mode: TLSMode,
    protocol: IProtocol,
    *,
    seconds: float = limits.DIAL_SECONDS,
) -> Deferred[PeerFacts]:
    """Connect ``protocol`` to a server; it is connected when TLS stands and is what mode wants.

    host: DNS name or IP address, without brackets; the only thing that is looked up.
    seconds: for everything: name, TCP and handshake. Cancelling ends all of them.
    Fails with the refusals LC-NET-NAME, -REFUSED, -TIMEOUT, -UNREACHABLE, LC-TLS-HANDSHAKE,
    -VERSION, and with Verified also LC-TLS-CA, -EXPIRED, -HOST.
    Raises Config if ``mode.ca_file`` cannot be used.
    """
    handshake = _Handshake(host, port, mode, protocol)
    creator = _Creator(_context(mode, handshake.judge), host)
    factory = _ClientFactory(creator, True, Factory.forProtocol(lambda: handshake), reactor)
    endpoint = HostnameEndpoint(reactor, host, port, timeout=seconds)
    dialing = Deferred.fromCoroutine(_dial(endpoint, factory, handshake))

    def stop(why: Exception) -> None:
        handshake.stopped = why
        dialing.cancel()

    timer = reactor.callLater(seconds, lambda: stop(handshake.lateness()))
    connected: Deferred[PeerFacts] = Deferred(lambda _: stop(CancelledError()))

    def ended(result: PeerFacts | Failure) -> PeerFacts | Failure:
        if timer.active():
            timer.cancel()
        return result

    dialing.addBoth(ended).addCallbacks(connected.callback, connected.errback)
    return connected


async def _dial(
    endpoint: HostnameEndpoint, factory: TLSMemoryBIOFactory, handshake: "_Handshake"
) -> PeerFacts:
    host, port = handshake.host, handshake.port
    if host.rstrip(".").lower().endswith(".onion"):
        # RFC 7686, section 2: asking DNS for it would tell who is being looked for.
        raise NetName(host=host)
    try:
        await endpoint.connect(factory)
        return await handshake.done
    except (CancelledError, network.ConnectingCancelledError, network.ConnectError) as error:
        fault: Exception = error
    except (OSError, ValueError) as error:  # DNS, and names that DNS could not have
        fault = error
    if handshake.stopped is not None:
        handshake.abandon()
        raise handshake.stopped
    raise _network_refusal(host, port, fault)


class _ClientFactory(TLSMemoryBIOFactory):
    protocol = TLSMemoryBIOProtocol  # writes are few here: no second buffer


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: ARG002
        connection = SSL.Connection(self._context)
        name = _server_name(self._host)
        if name is not None:
            connection.set_tlsext_host_name(name)
        return connection


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """Stands in for the real protocol until TLS stands and has been judged."""

    def __init__(self, host: str, port: int, mode: TLSMode, protocol: IProtocol) -> None:
        self.host = host
        self.port = port
        self._address = format_address(host, port)
        self._mode = mode
        self._protocol = protocol
        self._refusal: Refusal | None = None
        self.done: Deferred[PeerFacts] = Deferred()
        self.stopped: Exception | None = None

    def connectionMade(self) -> None:
        # Writes are whole requests; Nagle's algorithm would hold back the second of two.
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

    def handshakeCompleted(self) -> None:
        tls: Any = self.transport
        connection = tls.getHandle()
        try:
            facts = _peer_facts(connection)
            if facts.alpn != ALPN.decode():
                raise self._failed("it does not speak lair/1")
            if isinstance(self._mode, Verified):
                _verify_host(connection, self.host, facts.names)
        except Refusal as refusal:
            self._refusal = refusal
            tls.abortConnection()
            return
        # What arrives from here on is the real protocol's; nothing has arrived before.
        tls.wrappedProtocol = self._protocol
        self._protocol.makeConnection(tls)
        self.done.callback(facts)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.errback(self._refusal or self._explain(reason.value))

    def judge(self, certificate: crypto.X509, number: int, ok: int) -> bool:
        """Note why OpenSSL does not trust a certificate; its opinion stands."""
        if not ok and self._refusal is None:
            facts = certificate.to_cryptography()
            if number == _EXPIRED:
                dates = f"until {_day(facts.not_valid_after_utc)}"
                self._refusal = TlsExpired(host=self.host, dates=dates)
            elif number == _NOT_YET_VALID:
                dates = f"from {_day(facts.not_valid_before_utc)}"
                self._refusal = TlsExpired(host=self.host, dates=dates)
            else:
                self._refusal = TlsCa(host=self.host)
        return bool(ok)

    def lateness(self) -> Refusal:
        """Say what there was no answer to."""
        if self.transport is None:
            return NetTimeout(address=self._address, host=self.host)
        return self._failed("it does not answer")

    def abandon(self) -> None:
        """Cut what is there of a connection."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _explain(self, error: object) -> Refusal:
        if isinstance(error, SSL.Error):
            why = _openssl_reason(error)
            if "protocol version" in why or "unsupported protocol" in why:
                return TlsVersion(address=self._address)
            return self._failed(why)
        return self._failed("it closes the connection")

    def _failed(self, why: str) -> TlsHandshake:
        return TlsHandshake(address=self._address, why=why, default=limits.PORT)


def _context(mode: TLSMode, judge: Judge) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_alpn_protos([ALPN])
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    if isinstance(mode, Verified):
        context.set_verify(
            SSL.VERIFY_PEER,
            lambda _connection, certificate, number, _depth, ok: judge(certificate, number, ok),
        )
        _trust(context, mode.ca_file)
    else:
        context.set_verify(SSL.VERIFY_NONE)
    return context


def _trust(context: SSL.Context, ca_file: Path | None) -> None:
    if ca_file is None:
        context.set_default_verify_paths()
        return
    try:
        context.load_verify_locations(os.fspath(ca_file))
    except SSL.Error:
        raise Config(
            place=str(ca_file),
            problem="it holds no certificates of authorities",
            advice="Give a PEM file of those to trust.",
        ) from None


def _server_name(host: str) -> bytes | None:
    """Return the name for the server name indication, which may not be an IP address."""
    # (Twisted's endpoint has refused what IDNA cannot encode.)
    return None if _is_address(host) else host.rstrip(".").encode("idna")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _verify_host(connection: SSL.Connection, host: str, names: tuple[str, ...]) -> None:
    verify = verify_ip_address if _is_address(host) else verify_hostname
    try:
        verify(connection, host if _is_address(host) else host.rstrip("."))
    except (
        service_identity.VerificationError,
        service_identity.CertificateError,
        ValueError,  # a host that no certificate can name
    ):
        raise TlsHost(names=", ".join(names) or "no host", host=host) from None


def _peer_facts(connection: SSL.Connection) -> PeerFacts:
    certificate = connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None  # TLS 1.3 servers always send one
    key = certificate.public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PeerFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        group=connection.get_group_name() or "",
        alpn=connection.get_alpn_proto_negotiated().decode("ascii", "replace"),
        subject=certificate.subject.rfc4514_string(),
        names=_names(certificate),
        not_before=int(certificate.not_valid_before_utc.timestamp() * 1000),
        not_after=int(certificate.not_valid_after_utc.timestamp() * 1000),
        spki_sha256=hashlib.sha256(spki).digest(),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = extension.value
    return (
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    )


def _network_refusal(host: str, port: int, error: Exception) -> Refusal:
    address = format_address(host, port)
    match error:
        case network.DNSLookupError() | network.UnknownHostError() | ValueError():
            return NetName(host=host)
        case network.ConnectionRefusedError():
            return NetRefused(address=address, host=host)
        case network.TimeoutError() | network.TCPTimedOutError():
            return NetTimeout(address=address, host=host)
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    why = os.strerror(number).lower() if isinstance(number, int) else str(error)
    return NetUnreachable(address=address, why=why, host=host)


def _openssl_reason(error: SSL.Error) -> str:
    queue = error.args[0] if error.args else []
    return queue[-1][2] if queue and isinstance(queue, list) else "the handshake failed"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
