"""Listens on any stream endpoint: tcp, unix, a systemd socket, an onion service.

Promises not to know: what is spoken on the connections, TLS apart.
"""

import errno
import ipaddress
import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from lairchat.model.faults import Config, StartListen, StartPort
from lairchat.model.refusal import Refusal
from lairchat.transports.tls import ALPN, ServerTLS

BACKLOG = 1_024
"""count: connections that the kernel queues before accept; with Twisted's 50 a herd of
reconnecting clients waits for TCP's retries of a second and more."""
ACCEPT_LOG_SECONDS = 60
"""seconds: at most one line in this time about connections that could not be accepted."""

log = Logger()


class ChatListener(Service):
    """One listening endpoint, open from start to stop; a failure to listen is never silent.

    endpoint: a Twisted server endpoint string, such as ``tcp:7023:interface=127.0.0.1``.
    tls: None where something else protects the connections: a Unix socket, an onion service.
    protocols: what clients may agree on inside TLS.
    protection: what protects the connections where it is not TLS, for the log.
    on_failure: called with the refusal when an endpoint that takes its time (an onion service)
    fails after the start; the daemon has to end then. What fails at once is raised by
    ``privilegedStartService``, so that the process exits with status 1.
    Raises Config for an endpoint string that cannot be understood.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: str,
        factory: IProtocolFactory,
        *,
        tls: ServerTLS | None,
        protocols: tuple[bytes, ...] = (ALPN,),
        protection: str = "",
        on_failure: Callable[[Refusal], None],
    ) -> None:
        self.endpoint = endpoint
        self.tls = tls
        self.port: IListeningPort | None = None
        self._reactor = reactor
        self._factory = factory
        if tls is not None:
            self._factory = tls.wrap(factory, reactor, protocols=protocols)
        self._protection = protection
        self._on_failure = on_failure
        self._listening: Deferred[None] | None = None
        self._refused: Refusal | None = None
        if endpoint.startswith(("tcp:", "tcp6:", "unix:")):
            self._parse()  # has no effect but errors; systemd and onion ones act when parsed

    def privilegedStartService(self) -> None:
        """Listen while the process may still have root's rights."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._refused = None
        self._listening = Deferred.fromCoroutine(self._listen())
        if self._refused is not None:
            raise self._refused

    def startService(self) -> None:
        """Listen, unless that has been done already."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._listening is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Accept no more; fires when the port is closed. Connections that live go on."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    @property
    def address(self) -> str:
        """Where it listens, as people write it: host:port, path or onion address."""
        if self.port is None:
            return self.endpoint
        host: Any = self.port.getHost()
        if isinstance(host, IPv6Address):
            return f"[{host.host}]:{host.port}"
        if isinstance(host, IPv4Address):
            return f"{host.host}:{host.port}"
        if isinstance(host, UNIXAddress):
            return os.fsdecode(host.name or b"")
        return str(getattr(host, "onion_uri", host))

    @property
    def public(self) -> bool:
        """Whether other computers can reach it by IP (an onion address does not count)."""
        host: Any = None if self.port is None else self.port.getHost()
        if not isinstance(host, IPv4Address | IPv6Address):
            return False
        return not ipaddress.ip_address(host.host.partition("%")[0]).is_loopback

    def warn_if_public(self) -> str | None:
        """Log, and return, what an operator should know before strangers find this listener."""
        if not self.public:
            return None
        if self.tls is None:
            advice = "passwords and messages can be read on the way; set tls = true"
        else:
            advice = "review [limits] in the configuration, then set reviewed = true there"
        log.warn(
            "{address} can be reached from other computers: {advice}",
            address=self.address,
            advice=advice,
        )
        return f"{self.address} can be reached from other computers: {advice}"

    async def _listen(self) -> None:
        try:
            port = await self._parse().listen(self._factory)
        except CancelledError:
            return
        except Refusal as refusal:
            self._fail(refusal)
            return
        except Exception as error:  # noqa: BLE001 - plugins raise what they like; all is reported
            self._fail(_refusal(self.endpoint, error))
            return
        self.port = port
        quieten_accepts(port, self._reactor)
        how = self._protection or ("without TLS" if self.tls is None else "TLS")
        log.info("listening on {address}, {how}", address=self.address, how=how)

    def _fail(self, refusal: Refusal) -> None:
        self._refused = refusal
        if self._listening is not None:  # else still inside privilegedStartService, which raises
            self._on_failure(refusal)

    async def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await self._listening
        port, self.port, self._listening = self.port, None, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def _parse(self) -> IStreamServerEndpoint:
        description = self.endpoint
        if description.startswith(("tcp:", "tcp6:")) and ":backlog=" not in description:
            description = f"{description}:backlog={BACKLOG}"
        try:
            endpoint: IStreamServerEndpoint = serverFromString(self._reactor, description)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise Config(
                place=f'endpoint "{self.endpoint}"',
                problem=f"not understood ({error})",
                advice='An example: "tcp:7023:interface=127.0.0.1"',
            ) from error
        return endpoint


@implementer(ILogObserver)
class AcceptLog:
    """Says once in a while that connections cannot be accepted, in place of Twisted's lines.

    Twisted survives a full file table by accepting and closing, and logs each such connection
    with its address: under a flood that fills the disk, and addresses do not belong into logs.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._next = 0.0
        self._count = 0

    def __call__(self, event: LogEvent) -> None:
        """Take one event of Twisted's accept loop (an ILogObserver)."""
        if "address" not in event and "acceptError" not in event:
            return
        self._count += 1
        if self._next and self._clock.seconds() < self._next:
            return
        self._next = self._clock.seconds() + ACCEPT_LOG_SECONDS
        log.error(
            "out of file descriptors or memory: {count} connections turned away so far;"
            " raise LimitNOFILE (ulimit -n) or lower the limit of connections",
            count=self._count,
        )


def quieten_accepts(port: object, clock: IReactorTime) -> None:
    """Let :class:`AcceptLog` speak for this listening port, if it is one of Twisted's own."""
    if hasattr(port, "_logger"):
        port._logger = Logger(observer=AcceptLog(clock))


def _refusal(endpoint: str, error: Exception) -> Refusal:
    if not isinstance(error, CannotListenError):
        return StartListen(address=endpoint, why=str(error) or type(error).__name__)
    cause = error.socketError
    number = cause.errno if isinstance(cause, OSError) else None
    why = os.strerror(number).lower() if number else str(cause).lower()
    if error.interface is None:
        return StartListen(address=os.fsdecode(error.port), why=why)
    host = f"[{error.interface}]" if ":" in error.interface else error.interface or "*"
    address = f"{host}:{error.port}"
    if number == errno.EADDRINUSE:
        return StartPort(address=address, why=why, port=error.port)
    return StartListen(address=address, why=why)
