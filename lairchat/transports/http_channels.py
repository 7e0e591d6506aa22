"""HTTP requests and channels as twisted.web parses them, without the readings that it allows.

What is refused is refused before its body is read, and what follows it is not looked at: it may be
the other reading of the same bytes.
"""

from abc import abstractmethod
from io import BytesIO
from typing import TYPE_CHECKING, Any

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError as H2ProtocolError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.web._http2 import H2Connection
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from lairchat.model import limits
from lairchat.model.refusals import HttpPath, Internal
from lairchat.transports import http_rules
from lairchat.transports.http_answer import (
    REASONS,
    Answer,
    Asked,
    Page,
    headers_of,
    problem,
    written,
)
from lairchat.transports.http_rules import Refused

if TYPE_CHECKING:
    from lairchat.transports.http import HttpConnection

log = Logger()

BROKEN = frozenset({400, 408, 413})
"""Refusals that cost an address as much as a connection that comes to nothing."""


# -- one request -----------------------------------------------------------------------------------


class FrontRequest(Request):
    """One request: judged, handed to its page, answered, logged.

    refused: why it is not answered, once that is known.  page: for counting, "none" if unknown.
    """

    def __init__(self, channel: Any, connection: "HttpConnection") -> None:
        super().__init__(channel, False, parsePOSTFormSubmission=False)
        self.connection = connection
        self.site = connection.site
        self.refused: Refused | None = None
        self.page = "none"
        self._body_bytes = 0
        self._complete = False
        self._judged = False
        self._begun = self.site.clock.seconds()
        connection.opened()

    # -- while it arrives

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 - it is bounded anyway
        """Make room for the body (called by the channel); in memory: nothing is large here."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body (called by the channel), up to the bound."""
        self._body_bytes += len(data)
        if self.refused is not None:
            return
        if self._body_bytes > limits.HTTP_BODY_BYTES:
            self.refused = http_rules.too_large()
            self.answer_early()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]

    @abstractmethod
    def answer_early(self) -> None:
        """Answer before the request is complete: it is refused already."""

    @abstractmethod
    def close_behind(self) -> None:
        """See to it that nothing is read behind this request."""

    def judge(self) -> Refused | None:
        """Return why this is not answered, or None; the rules are asked once."""
        if not self._judged:
            self._judged = True
            self.refused = self.refused or self.site.judge(self) or self.often()
        return self.refused

    @abstractmethod
    def often(self) -> Refused | None:
        """Count the request, unless that has been done; return why it is one too many, or None."""

    # -- once it is complete

    def process(self) -> None:
        """Answer (called by the channel when the request is complete, or was refused)."""
        if self._complete:
            return
        self._complete = True
        self.connection.asked()
        self.notifyFinish().addBoth(lambda _: self.connection.answered())
        refused = self.judge()
        if refused is not None:
            self._refuse(refused)
            return
        path = http_rules.text(self.uri.partition(b"?")[0])
        page = self.site.pages.get(path)
        if page is None:
            self._refuse(Refused(404, HttpPath(path=path)))
            return
        self.connection.sound = True
        self.page = path
        Deferred.fromCoroutine(self._ask(page)).addErrback(self._fail)

    async def _ask(self, page: Page) -> None:
        query = http_rules.text(self.uri.partition(b"?")[2])
        answer = page(Asked(query, self.getHeader("accept") or ""))
        self._answer(answer if isinstance(answer, Answer) else await answer)

    def _fail(self, failure: Failure) -> None:
        incident = self.site.random(4).hex()
        log.failure(
            "the page {page} failed ({incident})", failure, page=self.page, incident=incident
        )
        self._answer(problem(Refused(500, Internal(incident=incident))))

    def _refuse(self, refused: Refused) -> None:
        self.refused = refused
        if refused.status in BROKEN:
            self.site.admission.penalise(self.connection.host)
        else:
            self.connection.sound = True
        if refused.status != 404:
            # What follows on this connection may be the other reading of what was refused.
            self.close_behind()
        self._answer(problem(refused))

    def _answer(self, answer: Answer) -> None:
        if self._disconnected:
            return
        self.setResponseCode(answer.status, REASONS[answer.status])
        for name, value in headers_of(answer, self.site.now()).items():
            self.responseHeaders.setRawHeaders(name, [value])
        # Before it is finished: then the request knows its connection no more.
        self.site.note(self, answer.status, self.site.clock.seconds() - self._begun)
        self.write(answer.body)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:
        """Forget the request (called by the channel when its connection or stream is gone)."""
        if not self._complete:
            self._complete = True
            self.connection.dropped()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class Request1(FrontRequest):
    """A request on an HTTP/1.1 connection."""

    channel: "Http1"

    def __init__(self, channel: "Http1", queued: object = None) -> None:  # noqa: ARG002
        super().__init__(channel, channel.connection)

    def often(self) -> Refused | None:
        """Count the request now: one that is never complete has its connection to pay with."""
        return self.site.often(self.connection.host)

    def answer_early(self) -> None:
        """Take the request for complete."""
        self.channel.allContentReceived()

    def close_behind(self) -> None:
        """Close the connection behind the answer."""
        self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        self.channel.refuse()


class Request2(FrontRequest):
    """A request on a stream of an HTTP/2 connection; the other streams go on."""

    def __init__(self, channel: Any, queued: object = None) -> None:  # noqa: ARG002
        super().__init__(channel, channel._conn.connection)

    def requestReceived(self, command: bytes, path: bytes | None, version: bytes) -> None:
        """Take the request (called by the stream); CONNECT has no path."""
        if self._complete:
            return  # answered early; the end of it came before its stream was gone
        super().requestReceived(command, path or b"*", version)  # type: ignore[no-untyped-call]

    def often(self) -> Refused | None:
        """Count nothing: the stream was counted when it was opened."""
        return None

    def answer_early(self) -> None:
        """Answer in the next turn: the pieces that came with this one must still find a stream."""
        self.site.clock.callLater(0, self._answer_now)

    def _answer_now(self) -> None:
        if not self._complete:
            stream: Any = self.channel
            self.method, self.uri, self.clientproto = stream.command, stream.path or b"*", b"HTTP/2"
            self.process()

    def close_behind(self) -> None:
        """Do nothing: the stream ends by itself, and its channel sees to who asks too often."""


# -- one channel --------------------------------------------------------------------------------


class Http1(HTTPChannel):
    """One HTTP/1.1 connection as twisted.web parses it, without the readings that it allows.

    over: nothing that still comes is looked at.
    """

    requestFactory: Any = Request1
    factory = None  # which would write twisted.web's own access log, with whole addresses
    timeOut = None
    _networkProducer: Any

    def __init__(self, connection: "HttpConnection") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection = connection
        self.over = False
        self._refusing = False

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a request's head (called by LineReceiver)."""
        if line[:1] in {b" ", b"\t"}:
            self.break_off(http_rules.bad("a line begins with a space"))
            return
        super().lineReceived(line)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Refuse a line that is longer than any head may be (called by LineReceiver)."""
        self.break_off(http_rules.bad("a line is too long"))

    def allHeadersReceived(self) -> None:
        """Judge before the body: what is refused is not read, and not asked for with a 100."""
        request: Request1 = self.requests[-1]
        request.method, request.uri, request.clientproto = self._command, self._path, self._version
        if request.judge() is None:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]
        else:
            request.gotLength(0)
            self.length = 0  # the caller goes on with allContentReceived

    def allContentReceived(self) -> None:
        """Answer, once: the decoder of a body that was cut may still come to its end."""
        if not self.over and not self._handlingRequest:
            super().allContentReceived()  # type: ignore[no-untyped-call]

    def refuse(self) -> None:
        """Read nothing more, and close behind the answer that follows."""
        self.persistent = False
        self._refusing = True

    def loseConnection(self) -> None:
        """Close; a client that was refused while it sends gets the time to read why."""
        if self._refusing:
            self._stop_listening()
            self.connection.linger()
        else:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def break_off(self, refused: Refused) -> None:
        """Answer what is no whole request, and close."""
        if self.over:
            return  # a body that was refused for its size goes on with a broken chunk
        self._stop_listening()
        self.connection.broke(refused)
        transport: Any = self.transport
        transport.write(written(problem(refused), self.connection.site.now()))
        self.connection.linger()

    def _respondToBadRequestAndDisconnect(self) -> None:
        # twisted.web's one way to refuse; its own has no length, no type and no reason.
        self.break_off(http_rules.bad("it cannot be parsed"))

    def _stop_listening(self) -> None:
        self.over = True
        self._networkProducer.unregisterProducer()
        self.clearLineBuffer()


class Http2(H2Connection):
    """One HTTP/2 connection; a stream that was answered early is gone, which is no error."""

    requestFactory = Request2
    factory = None
    timeOut = None

    def __init__(self, connection: "HttpConnection") -> None:
        super().__init__(connection.site.clock)  # type: ignore[no-untyped-call]
        self.connection = connection
        self._too_often = False
        self._log = Logger(observer=_Nameless())

    def calm_down(self) -> None:
        """Say that this is too much, and close; what was answered before goes out."""
        if self._stillProducing:
            self.conn.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._terminate(Failure(ConnectionLost("too many requests")))

    def connectionLost(
        self, reason: Failure = connectionDone, _cancelTimeouts: bool = True
    ) -> None:
        """Forget all streams: the connection is gone, or has just been told to go."""
        super().connectionLost(reason, _cancelTimeouts)  # type: ignore[no-untyped-call]
        if not _cancelTimeouts:
            # TLS says goodbye only when nobody produces any more, which twisted.web never says.
            transport: Any = self.transport
            transport.unregisterProducer()

    def _requestReceived(self, event: Any) -> None:
        # Counted when it is opened: a stream that is reset at once costs as much as a request, and
        # would never become one that is counted (CVE-2023-44487).
        if self._too_often:
            return
        refused = self.connection.site.often(self.connection.host)
        super()._requestReceived(event)  # type: ignore[no-untyped-call]
        if refused is not None:
            self._too_often = True
            self.streams[event.stream_id]._request.refused = refused
            # In the next turn: a request that came whole gets to read why.
            self.connection.site.clock.callLater(0, self.calm_down)

    def _requestDataReceived(self, event: Any) -> None:
        if event.stream_id in self.streams:
            super()._requestDataReceived(event)  # type: ignore[no-untyped-call]

    def _requestEnded(self, event: Any) -> None:
        if event.stream_id in self.streams:
            super()._requestEnded(event)  # type: ignore[no-untyped-call]

    def _requestAborted(self, event: Any) -> None:
        if event.stream_id in self.streams:
            super()._requestAborted(event)  # type: ignore[no-untyped-call]

    def _requestDone(self, streamID: int) -> None:
        super()._requestDone(streamID)  # type: ignore[no-untyped-call]
        try:
            # RFC 9113, 8.1: an answer may come before the request is whole; the rest is not wanted.
            self.conn.reset_stream(streamID, ErrorCodes.NO_ERROR)
        except H2ProtocolError:
            return  # both ends are done, as nearly always
        self._tryToWriteControlData()


@implementer(ILogObserver)
class _Nameless:
    """Says in our words what twisted.web's HTTP/2 would log with a whole address."""

    def __call__(self, event: LogEvent) -> None:  # noqa: ARG002 - its words are the trouble
        """Take one event (an ILogObserver)."""
        log.info("an HTTP/2 connection was cut: it does not read what it asked for")
