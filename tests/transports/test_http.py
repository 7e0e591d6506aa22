"""HTTP/1.1 from strangers, over real sockets: one reading of a request, an end to everything."""

import json
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from lairchat.model import limits
from lairchat.model.refusals import AddressBanned
from lairchat.transports.http import HttpService, anonymous
from lairchat.transports.http_answer import Answer
from lairchat.transports.listen import ChatListener
from tests.requirements import require
from tests.transports.http_door import TIMEOUT, DoorCase, head, read_all, statuses_in
from tests.transports.loopback import until

CHUNK = b"10\r\n" + b"x" * 16 + b"\r\n"


class Requests(DoorCase):
    """What is asked, and what is answered."""

    async def test_a_page_with_all_headers_of_the_policy(self) -> None:
        said = await self.said(head("Connection: close"))
        top, _, body = said.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 200 OK"
        headers = dict(line.split(": ", 1) for line in lines[1:])
        assert headers["Content-Length"] == str(len(body))
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "lairchat"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["Date"])
        assert body == b"hello \n"

    async def test_several_on_one_connection_each_with_its_answer(self) -> None:
        said = await self.said(
            head(request="GET /?1 HTTP/1.1")
            + head(request="HEAD /?2 HTTP/1.1")
            + head(request="GET /none HTTP/1.1")
            + head("Connection: close", request="GET /?3 HTTP/1.1")
        )
        assert statuses_in(said) == [200, 200, 404, 200]
        assert b"hello 1" in said
        assert b"hello 2" not in said
        assert b"hello 3" in said

    async def test_http_1_0_is_answered_once_and_closed(self) -> None:
        request = "GET / HTTP/1.0"
        assert await self.statuses(head(request=request) * 2, close=False) == [200]
        assert await self.statuses(head(request=request, host=None)) == [400]

    async def test_a_body_that_nobody_needs_is_read_over(self) -> None:
        body = b"x" * 1_000
        sized = head(f"Content-Length: {len(body)}") + body
        chunked = head("Transfer-Encoding: chunked") + b"3e8\r\n" + body + b"\r\n0\r\n\r\n"
        assert await self.statuses(sized + chunked + head("Connection: close")) == [200, 200, 200]

    async def test_what_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered(
        self,
    ) -> None:
        smuggled = head(request="GET /?smuggled HTTP/1.1")
        bodies = b"0\r\n\r\n" + smuggled
        for what, data, status in [
            ("no Host", head(host=None), 400),
            ("two Hosts", head("Host: localhost"), 400),
            ("two Hosts that differ", head("host: evil.example"), 400),
            ("another's Host", head(host="evil.example"), 421),
            ("a header that goes on", head("X-A: 1", " Host: evil.example"), 400),
            ("a header that goes on after a tab", head("X-A: 1", "\t2"), 400),
            ("a request line behind a space", b" " + head(), 400),
            ("a space before the colon", head("Content-Length : 5"), 400),
            ("no colon", head("Content-Length"), 400),
            ("an empty name", head(": x"), 400),
            ("a bad header among good ones", head("B\x00d: 1", "X-Good: 1"), 400),
            ("a bare line feed", b"GET / HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 400),
            ("a line feed in a value", head("X-A: 1\nHost: evil.example"), 400),
            ("length and chunks", head("Content-Length: 5", "Transfer-Encoding: chunked"), 400),
            ("chunks and length", head("Transfer-Encoding: chunked", "Content-Length: 5"), 400),
            ("two lengths", head("Content-Length: 5", "Content-Length: 6"), 400),
            ("the same length twice", head("Content-Length: 5", "Content-Length: 5"), 400),
            ("a list of lengths", head("Content-Length: 5, 5"), 400),
            ("a negative length", head("Content-Length: -1"), 400),
            ("chunks twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400),
            ("a coding that hides", head("Transfer-Encoding: xchunked"), 400),
            ("a coding that is none", head("Transfer-Encoding: identity"), 400),
            ("chunks in 1.0", head("Transfer-Encoding: chunked", request="GET / HTTP/1.0"), 400),
            ("a chunk size that is none", head("Transfer-Encoding: chunked") + b"0x5\r\n", 400),
            ("a chunk too long", head("Transfer-Encoding: chunked") + b"1\r\nxxxx\r\n", 400),
            ("TRACE", head(request="TRACE / HTTP/1.1"), 405),
            ("CONNECT", head(request="CONNECT localhost:80 HTTP/1.1"), 405),
            ("POST", head("Content-Length: 5", request="POST / HTTP/1.1") + b"hello", 405),
            ("an absolute target", head(request="GET http://localhost/ HTTP/1.1"), 400),
            ("OPTIONS", head(request="OPTIONS * HTTP/1.1"), 405),
            ("HTTP/0.9", b"GET /\r\n", 400),
            ("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            ("another version", head(request="GET / HTTP/1.2"), 400),
            ("a long line", b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n", 400),
            ("a long head", head(*[f"X-{n}: {'x' * 1_000}" for n in range(20)]), 400),
            ("many headers", head(*[f"X-{n}: 1" for n in range(600)]), 400),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n", 400),
        ]:
            said = await self.said(data + bodies, close=False)
            assert statuses_in(said) == [status], f"{what}: {said!r}"
            assert b"smuggled" not in said, what
            self.assert_problem(said)
        assert not self.flushLoggedErrors()

    def assert_problem(self, said: bytes) -> None:
        """Hold an answer to RFC 9457, and to closing the connection."""
        top, _, body = said.partition(b"\r\n\r\n")
        assert b"Connection: close" in top, said
        assert b"Content-Type: application/problem+json" in top, said
        assert b"Content-Length: %d" % len(body) in top.split(b"\r\n"), said
        told = json.loads(body)
        assert told["code"].startswith("LC-HTTP-"), told
        assert told["status"] == statuses_in(said)[0]

    async def test_an_early_answer_is_not_answered_again_when_the_body_ends(self) -> None:
        start = head("Transfer-Encoding: chunked") + CHUNK * 5_000
        for rest in (b"0\r\n\r\n" + head(), b"no chunk\r\n" + head()):
            assert await self.statuses(start + rest) == [413]
        assert not self.flushLoggedErrors()

    async def test_a_long_body_is_refused_before_it_is_read_or_asked_for(self) -> None:
        size = limits.HTTP_BODY_BYTES + 1
        told = head(f"Content-Length: {size}", "Expect: 100-continue")
        assert await self.statuses(told, close=False) == [413]
        fine = head("Content-Length: 5", "Expect: 100-continue", "Connection: close") + b"hello"
        assert await self.statuses(fine) == [100, 200]

    async def test_a_page_that_fails_says_nothing_of_why(self) -> None:
        said = await self.said(head("Connection: close", request="GET /broken HTTP/1.1"))
        assert statuses_in(said) == [500]
        assert b"what is inside" not in said
        told = json.loads(said.partition(b"\r\n\r\n")[2])
        assert len(self.flushLoggedErrors(ValueError)) == 1
        incident = re.search(r"[0-9a-f]{8}", told["detail"])
        assert incident is not None
        assert self.log_lines(f"({incident[0]})")

    async def test_a_client_that_leaves_before_its_answer_is_no_error(self) -> None:
        for reset in (True, False):
            connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
            connection.sendall(head(request="GET /later HTTP/1.1"))
            await until(lambda: self.waiting, "the page is asked")
            if reset:
                now = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            connection.close()
            if reset:
                await until(lambda: not self.factory.connections, "the end")
            self.waiting.pop().callback(Answer(200, b"text/plain", b""))
            await until(lambda: not self.factory.connections, "the end")
        assert await self.statuses(head("Connection: close")) == [200]

    async def test_what_comes_while_a_page_is_made_waits_its_turn(self) -> None:
        asked = deferToThread(
            self.exchange, head(request="GET /later HTTP/1.1") + head("Connection: close")
        )
        await until(lambda: self.waiting, "the page is asked")
        self.waiting[0].callback(Answer(200, b"text/plain", b"late\n"))
        said = await asked
        assert statuses_in(said) == [200, 200]
        assert said.index(b"late") < said.index(b"hello")

    def exchange(self, data: bytes) -> bytes:
        from tests.transports.http_door import exchange

        return exchange(self.port, data)

    async def test_requests_are_counted_by_page_and_status_and_by_nothing_of_the_client(
        self,
    ) -> None:
        for target in ("/", "/?a", "/nothing", "/else", "/later\x07"):
            await self.said(head("Connection: close", request=f"GET {target} HTTP/1.1"))
        family = next(f for f in self.measures.families if f.name == "lairchat_http_requests")
        counted = {sample.labels: sample.value for sample in family.read()}
        assert counted == {("/", "200"): 2, ("none", "404"): 2, ("none", "400"): 1}

    async def test_the_log_names_no_address_and_no_query(self) -> None:
        await self.said(head("Connection: close", request="GET /?token=secret HTTP/1.1"))
        await self.said(head("Connection: close", request="GET /x?token=secret HTTP/1.1"))
        await self.said(head(host=None))
        lines = self.log_lines()
        assert any("GET / HTTP/1.1 from 127.0.0.1: 200, " in line for line in lines), lines
        assert any("GET /x HTTP/1.1 from 127.0.0.1: 404 LC-HTTP-PATH, " in line for line in lines)
        assert "secret" not in "\n".join(lines)


def test_a_log_holds_no_more_of_an_address_than_its_network() -> None:
    assert anonymous("203.0.113.77") == "203.0.113.0/24"
    assert anonymous("::ffff:203.0.113.77") == "203.0.113.0/24"
    assert anonymous("2001:db8:1:2:3:4:5:6") == "2001:db8:1::/48"
    assert anonymous("127.0.0.1") == "127.0.0.1"
    assert anonymous("::1") == "::1"
    assert anonymous("fe80::1%eth0") == "fe80::/48"
    assert anonymous("") == "local"


class Often(DoorCase):
    """Who asks more often than anybody needs to."""

    async def test_the_rate_is_bounded_and_says_when_to_come_again(self) -> None:
        rounds = limits.HTTP_BURST + 5
        said = await self.said(head() * rounds + head("Connection: close"), close=False)
        statuses = statuses_in(said)
        assert statuses.count(200) >= limits.HTTP_BURST
        assert statuses[-1] == 429  # and nothing behind it
        assert b"Retry-After: 1\r\n" in said
        assert self.measures.limited.counts["http"] == 1
        assert not self.log_lines("429")


class Exempt(Often):
    """Who is exempt asks as often as it likes."""

    exempt = ("127.0.0.0/8",)

    async def test_the_rate_is_bounded_and_says_when_to_come_again(self) -> None:
        rounds = 2 * limits.HTTP_BURST
        statuses = await self.statuses(head() * rounds + head("Connection: close"))
        assert statuses == [200] * (rounds + 1)


class Slow(DoorCase):
    """Time limits, on a clock that the test moves; the sockets are real."""

    at_once = 16

    def setUp(self) -> "Deferred[None]":
        self.clock = Clock()
        return super().setUp()

    async def open(self, clock, tls=None, protocols=None) -> None:
        await super().open(self.clock, tls, protocols)

    def dial(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    async def dialled(self, count: int, data: bytes = b"") -> list[socket.socket]:
        connections = [self.dial(data) for _ in range(count)]
        await until(lambda: len(self.factory.connections) == count, f"{count} connections")
        return connections

    async def test_hundreds_with_slow_headers_are_few_at_once_and_soon_gone(self) -> None:
        first = await self.dialled(16, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        more = [self.dial() for _ in range(200)]
        for connection in more:
            assert await deferToThread(read_all, connection) == b""
        assert len(self.factory.connections) == 16
        assert self.measures.limited.counts["connection"] == 200
        for _ in range(limits.HTTP_REQUEST_SECONDS):
            for connection in first:
                connection.sendall(b"X")  # a byte a second prolongs nothing
            await until(lambda: self.clock, "a turn")
            self.clock.advance(1)
        for connection in first:
            said = await deferToThread(read_all, connection)
            assert statuses_in(said) == [408], said
            connection.close()
        self.clock.advance(limits.HTTP_LINGER_SECONDS)
        await until(lambda: not self.factory.connections, "all gone")
        assert self.clock.getDelayedCalls() == []
        assert await self.statuses(head("Connection: close")) == [200]

    async def test_who_says_nothing_at_all_is_cut(self) -> None:
        (silent,) = await self.dialled(1)
        self.clock.advance(limits.HTTP_REQUEST_SECONDS)
        assert await deferToThread(read_all, silent) == b""
        await until(lambda: not self.factory.connections, "gone")

    async def test_a_slow_body_is_no_better_than_slow_headers(self) -> None:
        for start in (head("Content-Length: 100"), head("Transfer-Encoding: chunked")):
            (slow,) = await self.dialled(1, start)
            await until(lambda: self.factory.connections, "it is there")
            for _ in range(limits.HTTP_REQUEST_SECONDS):
                self.clock.advance(1)
            assert statuses_in(await deferToThread(read_all, slow)) == [408]
            slow.close()
            self.clock.advance(limits.HTTP_LINGER_SECONDS)
            await until(lambda: not self.factory.connections, "gone")

    async def test_a_second_request_has_the_same_time_and_silence_has_more(self) -> None:
        (connection,) = await self.dialled(1, head())
        assert statuses_in(await deferToThread(connection.recv, 65_536)) == [200]
        self.clock.advance(limits.HTTP_QUIET_SECONDS - 1)
        connection.sendall(b"GET / HT")
        (server,) = self.factory.connections
        await until(lambda: server in self.factory.asking, "its first bytes")
        assert server not in self.factory.quiet
        self.clock.advance(limits.HTTP_REQUEST_SECONDS - 1)
        connection.sendall(head()[8:])
        assert statuses_in(await deferToThread(connection.recv, 65_536)) == [200]
        self.clock.advance(limits.HTTP_QUIET_SECONDS)
        assert await deferToThread(read_all, connection) == b""
        connection.close()
        self.clock.advance(limits.HTTP_LINGER_SECONDS)
        await until(lambda: not self.factory.connections, "gone")
        assert self.clock.getDelayedCalls() == []

    async def test_while_a_page_is_made_nobody_is_too_slow(self) -> None:
        (connection,) = await self.dialled(1, head(request="GET /later HTTP/1.1"))
        await until(lambda: self.waiting, "the page is asked")
        self.clock.advance(limits.HTTP_QUIET_SECONDS * 2)
        self.waiting[0].callback(Answer(200, b"text/plain", b""))
        assert statuses_in(await deferToThread(connection.recv, 65_536)) == [200]

    async def test_who_does_not_read_its_answer_is_cut(self) -> None:
        await self.dialled(1, head(request="GET /large HTTP/1.1"))
        (server,) = self.factory.connections
        await until(lambda: server in self.factory.quiet, "the answer is written")
        self.clock.advance(limits.HTTP_QUIET_SECONDS)
        self.clock.advance(limits.HTTP_LINGER_SECONDS)
        await until(lambda: not self.factory.connections, "gone")

    async def test_an_endless_body_ends_with_413_that_its_sender_gets_to_read(self) -> None:
        for start, piece in (
            (head("Content-Length: 99999999999"), b"x" * 65_536),
            (head("Transfer-Encoding: chunked"), CHUNK * 1_000),
        ):
            said, sent = await deferToThread(self.pour, start, piece)
            assert statuses_in(said) == [413], said
            assert sent < 32 * 1024 * 1024  # what the kernel's buffers hold, and no more
            self.clock.advance(limits.HTTP_LINGER_SECONDS)
            await until(lambda: not self.factory.connections, "gone")

    def pour(self, start: bytes, piece: bytes) -> tuple[bytes, int]:
        """Send until nobody takes any more; return what was answered, and how much was sent."""
        connection = self.dial(start)
        connection.settimeout(0.5)
        sent = 0
        try:
            while True:
                sent += connection.send(piece)
        except OSError:
            pass  # nobody reads it any more
        connection.settimeout(TIMEOUT)
        said = connection.recv(65_536)
        connection.close()
        return said, sent


class Shared(DoorCase):
    """One engine for all doors: what an address does at one of them counts at the others."""

    wasted = 4

    async def test_who_never_asks_properly_is_let_in_no_more(self) -> None:
        assert await self.statuses(head() + head("Connection: close")) == [200, 200]
        assert self.throttle.peek(("stranger", "127.0.0.1"), self.factory.admission._wasted) == 0
        for _ in range(2):
            assert await self.statuses(head(host=None)) == [400]
            await until(lambda: not self.factory.connections, "gone")
        assert await self.said(head()) == b""
        assert self.throttle.peek(("stranger", "127.0.0.1"), self.factory.admission._wasted) > 0

    async def test_a_wrong_host_or_page_is_a_mistake_not_an_attack(self) -> None:
        for _ in range(6):
            assert await self.statuses(head(host="proxy.example")) == [421]
            assert await self.statuses(head("Connection: close", request="GET /x HTTP/1.1")) == [
                404
            ]


class Names(DoorCase):
    async def test_other_names_count_from_the_next_request_on(self) -> None:
        old, new = head(host="chat.example"), head(host="proxy.example")
        assert await self.statuses(old) == [200]
        assert await self.statuses(new) == [421]
        self.factory.know(["proxy.example"])
        assert await self.statuses(new) == [200]
        assert await self.statuses(old) == [421]
        assert await self.statuses(head(host="localhost")) == [200]


class Curl(DoorCase):
    """What operators have at hand."""

    def setUp(self) -> "Deferred[None]":
        require("curl")
        return super().setUp()

    async def curl(self, *arguments: str, data: bytes = b"") -> str:
        command = ["curl", "-sS", "--max-time", "20", *arguments]
        done = await deferToThread(
            subprocess.run, command, input=data, capture_output=True, check=False
        )
        return (done.stdout + done.stderr).decode()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def test_get_and_head(self) -> None:
        assert await self.curl(self.url("/?curl")) == "hello curl\n"
        assert "HTTP/1.1 200 OK" in await self.curl("--head", self.url())
        assert await self.curl("--http1.0", self.url()) == "hello \n"

    async def test_thirty_megabytes_are_refused_and_curl_says_why(self) -> None:
        data = bytes(30 * 1024 * 1024)
        began = time.monotonic()
        for how in (("--data-binary", "@-"), ("-H", "Transfer-Encoding: chunked", "-T", "-")):
            said = await self.curl("-X", "GET", *how, self.url(), data=data)
            assert "LC-HTTP-SIZE" in said, said
        assert time.monotonic() - began < 10

    async def test_a_name_that_a_page_has_rebound_to_us(self) -> None:
        resolve = f"rebound.example:{self.port}:127.0.0.1"
        said = await self.curl("--resolve", resolve, f"http://rebound.example:{self.port}/")
        assert "LC-HTTP-HOST" in said


class Service(DoorCase):
    """The door as a service of the daemon."""

    async def started(self, interface: str) -> HttpService:
        listener = ChatListener(
            reactor, f"tcp:0:interface={interface}", self.factory, tls=None, on_failure=print
        )
        service = HttpService(listener, self.factory)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def test_a_stop_closes_the_port_and_what_is_open(self) -> None:
        service = await self.started("127.0.0.1")
        port = int(service.listener.address.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        connection.sendall(head())
        assert statuses_in(await deferToThread(connection.recv, 65_536)) == [200]
        await service.stopService()
        assert await deferToThread(read_all, connection) == b""
        connection.close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), TIMEOUT)

    async def test_a_unix_socket_is_a_door_too(self) -> None:
        require("curl")
        path = Path(tempfile.mkdtemp(), "http")
        self.addCleanup(shutil.rmtree, path.parent)
        listener = ChatListener(
            reactor, f"unix:{path}:mode=600", self.factory, tls=None, on_failure=print
        )
        service = HttpService(listener, self.factory)
        service.startService()
        self.addCleanup(service.stopService)
        for arguments, said in (
            (("http://localhost/?unix",), b"hello unix\n"),
            (("-X", "TRACE", "http://localhost/"), b"LC-HTTP-METHOD"),
        ):
            command = ["curl", "-sS", "--max-time", "20", "--unix-socket", str(path), *arguments]
            done = await deferToThread(subprocess.run, command, capture_output=True, check=True)
            assert said in done.stdout
        assert self.log_lines("from local: 200")

    async def test_an_operator_is_told_that_others_can_reach_it(self) -> None:
        await self.started("127.0.0.1")
        assert not self.log_lines("other computers")
        await self.started("0.0.0.0")
        (line,) = self.log_lines("other computers")
        assert "firewall" in line

    async def test_an_address_that_is_banned_is_not_let_in(self) -> None:
        self.patch(self.factory, "_refuses", lambda host: AddressBanned(how=""))
        assert await self.said(head()) == b""
        assert self.measures.limited.counts["connection"] == 1

    async def test_what_is_open_from_a_banned_address_ends(self) -> None:
        """Silent ones, and those kept alive between two requests; others do not notice."""
        silent = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        kept = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        kept.sendall(head())
        assert statuses_in(await deferToThread(kept.recv, 65_536)) == [200]
        await until(lambda: len(self.factory.connections) == 2, "both are there")
        self.factory.bans_changed()
        kept.sendall(head())
        assert statuses_in(await deferToThread(kept.recv, 65_536)) == [200]
        self.patch(self.factory, "_refuses", lambda _host: AddressBanned(how=""))
        self.factory.bans_changed()
        for connection in (silent, kept):
            assert await deferToThread(read_all, connection) == b""
            connection.close()
