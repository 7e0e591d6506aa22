"""Serves HTTP/1.1, and HTTP/2 where TLS has agreed on it, to strangers: with an end to everything.

twisted.web does the parsing.  What it lacks is here and in the modules beside: a bound on the
connections of one address, absolute time limits (its own is idle time, which a byte a minute
prolongs for ever), an end to bodies of any kind, one way to read a request, answers that a refused
client gets to read, and an access log that names nobody.
Promises not to know: what is on the pages.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer, providedBy

from lairchat.core.admission import Admission, source_of
from lairchat.core.measures import Measures, Sample
from lairchat.core.throttle import Rate, Throttle
from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import HttpSlow, HttpTooOften
from lairchat.transports import http_rules
from lairchat.transports.deadlines import Deadlines
from lairchat.transports.http_answer import Page
from lairchat.transports.http_channels import FrontRequest, Http1, Http2
from lairchat.transports.http_rules import Refused
from lairchat.transports.listen import ChatListener

log = Logger()

PROTOCOLS = (b"h2", b"http/1.1")
"""What TLS may agree on, the server's choice first."""


@implementer(IHalfCloseableProtocol)
class HttpConnection(Protocol):
    """One connection, whichever version of HTTP is spoken on it.

    It is in one of three states, and each but the second has an end: a request is being made
    (since the accept, or its first byte); requests are being answered; it is quiet.
    sound: it has asked for something properly, so it does not count against its address.
    """

    def __init__(self, site: "HttpFactory", host: str) -> None:
        self.site = site
        self.host = host
        self.sound = False
        self.channel: Http1 | Http2 | None = None
        self._open = 0
        self._answering = 0
        self._thrown_away = 0
        self._heard_all = False

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Start the clock of the first request."""
        self.site.connections[self] = None
        self.site.asking.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the first tell which version of HTTP was agreed on."""
        channel = self.channel or self._choose()
        if isinstance(channel, Http1):
            if channel.over:
                self._throw_away(len(data))
                return
            if not self._answering and self in self.site.quiet:
                self.site.quiet.discard(self)
                self.site.asking.add(self)
        channel.dataReceived(data)  # type: ignore[no-untyped-call]

    def readConnectionLost(self) -> None:
        """Answer what was asked before the client closed its half, and close (called by Twisted)."""
        self._heard_all = True
        if not self._answering and self.transport is not None:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: it was us who closed our half (called by Twisted)."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection everywhere."""
        self.site.gone(self)
        if self.channel is not None:
            self.channel.connectionLost(reason)

    def _choose(self) -> "Http1 | Http2":
        assert self.transport is not None
        if getattr(self.transport, "negotiatedProtocol", None) == b"h2":
            second = self.channel = Http2(self)
            second.makeConnection(self.transport)
            self.transport.registerProducer(second, True)  # type: ignore[attr-defined]
            return second
        first = self.channel = Http1(self)
        first.makeConnection(self.transport)
        return first

    # -- what requests tell

    def opened(self) -> None:
        """Note that a request begins."""
        self._open += 1
        self.site.quiet.discard(self)
        self.site.asking.add(self)

    def asked(self) -> None:
        """Note that a request is complete, and is being answered."""
        self._answering += 1
        self.dropped()

    def dropped(self) -> None:
        """Note that a request will not become complete any more, or is."""
        self._open -= 1
        if not self._open:
            self.site.asking.discard(self)
            if not self._answering:
                self._fall_silent()

    def answered(self) -> None:
        """Note that an answer is written, or that nobody is there to read it."""
        self._answering -= 1
        if not self._answering and not self._open:
            self._fall_silent()
        if not self._answering and self._heard_all and self.transport is not None:
            self.transport.loseConnection()

    def _fall_silent(self) -> None:
        if self in self.site.connections and self not in self.site.lingering:
            self.site.quiet.add(self)

    def broke(self, refused: Refused) -> None:
        """Note that what came is not HTTP."""
        self.site.admission.penalise(self.host)
        self.site.asking.discard(self)
        self.site.note_broken(self, refused)

    # -- the end

    def linger(self) -> None:
        """Close our half, and the rest when the other end does, or soon.

        A close at once, with bytes that were not read, becomes a reset, which throws away the answer
        that is still on its way.
        """
        self.site.quiet.discard(self)
        self.site.asking.discard(self)
        if self in self.site.connections:
            self.site.lingering.add(self)
        transport: Any = self.transport
        encrypted = ISSLTransport.providedBy(transport)
        if ITCPTransport in providedBy(transport) and not encrypted:
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def _throw_away(self, size: int) -> None:
        """Read over what follows a refusal, but not for ever."""
        self._thrown_away += size
        if self._thrown_away > limits.HTTP_BODY_BYTES:
            transport: Any = self.transport
            transport.pauseProducing()

    def too_slow(self) -> None:
        """Give up a request that is not complete in time."""
        if isinstance(self.channel, Http1):
            self.channel.break_off(
                Refused(408, HttpSlow(seconds=limits.HTTP_REQUEST_SECONDS))
            )  # fmt: skip
        else:
            self.cut()

    def cut(self) -> None:
        """End the connection now."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]


# -- all of them -----------------------------------------------------------------------------------


class HttpFactory(Factory):
    """Makes a protocol for each connection, and knows the pages.

    pages: by path.  hosts: names under which this server is asked, besides the address at which
    it is reached.  admission: how many connections an address may have; its penalties are shared
    with all who have the same throttle.  now: wall clock, ms.  random: n -> n random bytes.
    refuses: says why an address is not let in at all.
    """

    noisy = False

    def __init__(
        self,
        pages: Mapping[str, Page],
        *,
        hosts: Iterable[str],
        admission: Admission,
        throttle: Throttle,
        measures: Measures,
        clock: IReactorTime,
        now: Callable[[], int],
        random: Callable[[int], bytes],
        refuses: Callable[[str], Refusal | None] = lambda _: None,
    ) -> None:
        self.pages = pages
        self.know(hosts)
        self.admission = admission
        self.measures = measures
        self.clock = clock
        self.now = now
        self.random = random
        self.connections: dict[HttpConnection, None] = {}
        self.asking = Deadlines[HttpConnection](
            clock, limits.HTTP_REQUEST_SECONDS, HttpConnection.too_slow
        )
        self.quiet = Deadlines[HttpConnection](
            clock, limits.HTTP_QUIET_SECONDS, HttpConnection.linger
        )
        self.lingering = Deadlines[HttpConnection](
            clock, limits.HTTP_LINGER_SECONDS, HttpConnection.cut
        )
        self._throttle = throttle
        self._rate = Rate(burst=limits.HTTP_BURST, per_second=limits.HTTP_PER_SECOND)
        self._refuses = refuses
        self._counted: dict[tuple[str, str], int] = {}
        measures.counters(
            "lairchat_http_requests",
            "HTTP requests answered, by page and status; page is none where there is no such page.",
            ("page", "status"),
            lambda: [Sample(labels, count) for labels, count in self._counted.items()],
        )

    def buildProtocol(self, addr: Any) -> HttpConnection | None:
        """Accept a connection, unless its source is banned or has too many."""
        host = getattr(addr, "host", "") or "local"
        if self._refuses(host) is not None or self.admission.arrive(host) is not None:
            self.measures.limited.add("connection")
            return None
        return HttpConnection(self, host)

    def gone(self, connection: HttpConnection) -> None:
        """Forget a connection that has closed; one that never asked properly costs its address."""
        self.connections.pop(connection, None)
        for table in (self.asking, self.quiet, self.lingering):
            table.discard(connection)
        if connection.sound:
            self.admission.authenticated(connection.host)
        else:
            self.admission.leave(connection.host)

    def know(self, hosts: Iterable[str]) -> None:
        """Take other names for this server, from the next request on."""
        self.hosts: Collection[str] = {*http_rules.LOOPBACK, *map(http_rules.canonical, hosts)}

    def stop(self) -> None:
        """End all connections: nobody's work is lost with them."""
        for connection in list(self.connections):
            connection.cut()

    def bans_changed(self) -> None:
        """Cut the connections from addresses that have been banned since they came."""
        for connection in list(self.connections):
            if self._refuses(connection.host) is not None:
                connection.cut()

    def judge(self, request: FrontRequest) -> Refused | None:
        """Return why a request is not answered, however rarely it comes, or None."""
        connection = request.connection
        here: Any = connection.transport.getHost() if connection.transport is not None else None
        address = http_rules.canonical(getattr(here, "host", None) or "localhost")
        return http_rules.judge(
            request.method,
            request.uri,
            request.clientproto,
            request.requestHeaders,
            {*self.hosts, address},
        )

    def often(self, host: str) -> Refused | None:
        """Count a request against its address; return why it is one too many, or None."""
        if self.admission.exempts(host):
            return None
        wait = self._throttle.take(("http", source_of(host)), self._rate)
        if not wait:
            return None
        self.measures.limited.add("http")
        return Refused(429, HttpTooOften(retry_after=wait))

    # -- the access log

    def note(self, request: FrontRequest, status: int, seconds: float) -> None:
        """Count a request that was answered, and write it down unless it is what probes ask."""
        self._count(request.page, status)
        if status == 429:
            return  # or who asks too often also fills the disk
        write = log.debug if request.refused is None and status != 500 else log.info
        write(
            "{method} {path} {version} from {source}: {status}{code}, {ms} ms",
            method=http_rules.text(request.method[:16]),
            path=http_rules.text(request.uri.partition(b"?")[0][:80]),
            version=http_rules.text(request.clientproto),
            source=anonymous(request.connection.host),
            status=status,
            code=_code(request.refused),
            ms=round(seconds * 1000, 1),
        )

    def note_broken(self, connection: HttpConnection, refused: Refused) -> None:
        """Count and write down what was not even a request."""
        self._count("none", refused.status)
        log.info(
            "no HTTP from {source}: {status}{code}",
            source=anonymous(connection.host),
            status=refused.status,
            code=_code(refused),
        )

    def _count(self, page: str, status: int) -> None:
        labels = (page, str(status))
        self._counted[labels] = self._counted.get(labels, 0) + 1


class HttpService(Service):
    """Listens for browsers, scrapers and probes, and sends them away when the server has stopped."""

    def __init__(self, listener: ChatListener, factory: HttpFactory) -> None:
        self.listener = listener
        self.factory = factory

    def privilegedStartService(self) -> None:
        """Listen while the process may still have root's rights."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self.listener.privilegedStartService()

    def startService(self) -> None:
        """Listen, unless that has been done already."""
        super().startService()  # type: ignore[no-untyped-call]
        self.listener.startService()
        if self.listener.public:
            log.warn(
                "{address} can be reached from other computers: so can health and all figures;"
                " a firewall, or [http] on loopback, keeps them to you",
                address=self.listener.address,
            )

    def stopService(self) -> "Deferred[None]":
        """Accept no more, and end what is open: the last thing that a probe heard was not ready."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped = self.listener.stopService()
        self.factory.stop()
        return stopped


def anonymous(host: str) -> str:
    """Return as much of an address as a log may hold: its network, or loopback whole."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return str(address)
    width = 24 if isinstance(address, IPv4Address) else 48
    return str(ip_network((address, width), strict=False))


def _code(refused: Refused | None) -> str:
    return "" if refused is None else f" {refused.refusal.code}"
