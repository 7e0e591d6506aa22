"""An HTTP door on loopback for tests: real sockets, pages that the test makes up, a clock if it likes."""

import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from lairchat.core.admission import Admission
from lairchat.core.measures import Measures
from lairchat.core.throttle import Rate, Throttle
from lairchat.transports.http import HttpFactory
from lairchat.transports.http_answer import Answer, Asked, Page
from lairchat.transports.tls import ServerTLS
from tests.transports.loopback import NOW, until

TIMEOUT = 20


def hello(asked: Asked) -> Answer:
    """Say hello."""
    return Answer(200, b"text/plain", f"hello {asked.query}\n".encode())


class DoorCase(TestCase):
    """A test with one HTTP door; ``self.at_once`` and ``self.wasted`` bound each address."""

    timeout = 120
    at_once = 1_000
    wasted = 100_000
    exempt: tuple[str, ...] = ()

    def setUp(self) -> Any:
        self.lines: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.lines.append)
        self.measures = Measures()
        self.waiting: list[Deferred[Answer]] = []
        return Deferred.fromCoroutine(self.open(reactor))

    def pages(self) -> Mapping[str, Page]:
        """Return what the door serves."""
        return {"/": hello, "/later": self.later, "/broken": self.broken, "/large": self.large}

    def later(self, _: Asked) -> "Deferred[Answer]":
        """Answer when the test says so."""
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def broken(self, _: Asked) -> Answer:
        """Fail as nobody expected."""
        raise ValueError("what is inside")

    def large(self, _: Asked) -> Answer:
        """Say more than any buffer between us holds."""
        return Answer(200, b"text/plain", bytes(16 * 1024 * 1024))

    async def open(self, clock: Any, tls: ServerTLS | None = None, protocols: Any = None) -> None:
        """Listen with this clock."""
        self.throttle = Throttle(clock.seconds)
        self.factory = HttpFactory(
            self.pages(),
            hosts=["chat.example"],
            admission=Admission(
                self.throttle,
                at_once=self.at_once,
                wasted=Rate(burst=self.wasted, per_second=0.01),
                exempt=self.exempt,
            ),
            throttle=self.throttle,
            measures=self.measures,
            clock=clock,
            now=lambda: NOW,
            random=secrets.token_bytes,
        )
        factory: Any = self.factory
        if tls is not None:
            factory = tls.wrap(self.factory, reactor, protocols=protocols)
        endpoint = TCP4ServerEndpoint(reactor, 0, backlog=1_024, interface="127.0.0.1")
        port = await endpoint.listen(factory)
        self.port = port.getHost().port
        self.addCleanup(self.close, port)

    async def close(self, port: Any) -> None:
        self.factory.stop()
        await until(lambda: not self.factory.connections, "all connections gone")
        await port.stopListening()

    def log_lines(self, word: str = "") -> list[str]:
        """Return what the door wrote into the log."""
        return [
            text
            for event in self.lines
            if event.get("log_namespace", "").startswith("lairchat.transports.http")
            and (text := formatEvent(event))
            and word in text
        ]

    async def said(self, data: bytes, *, close: bool = True) -> bytes:
        """Send bytes and return everything until the server closes."""
        return await deferToThread(exchange, self.port, data, close=close)

    async def statuses(self, data: bytes, *, close: bool = True) -> list[int]:
        """Send bytes and return the statuses of all answers to them."""
        return statuses_in(await self.said(data, close=close))


def exchange(port: int, data: bytes, *, close: bool = True) -> bytes:
    """Send bytes, read to the end.

    close: our half once all is sent; without it only the server can end this.
    """
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has said why, and that is still to be read
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other end closes, in order or not."""
    parts = []
    while True:
        try:
            data = connection.recv(65_536)
        except ConnectionResetError:
            break
        if not data:
            break
        parts.append(data)
    return b"".join(parts)


def statuses_in(answers: bytes) -> list[int]:
    """Return the statuses of answers that came one after the other."""
    import re

    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]


def head(*lines: str, request: str = "GET / HTTP/1.1", host: str | None = "localhost") -> bytes:
    """Return the head of a request."""
    named = [] if host is None else [f"Host: {host}"]
    return "\r\n".join([request, *named, *lines, "", ""]).encode("latin-1")


class Threads:
    """Blocking work beside the reactor, several at once."""

    @staticmethod
    async def all(*jobs: Callable[[], Any]) -> list[Any]:
        started = [deferToThread(job) for job in jobs]
        return [await one for one in started]
