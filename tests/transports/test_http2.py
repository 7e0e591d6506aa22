"""HTTP over TLS: HTTP/2 where the client speaks it, the same bounds, and nothing that TLS 1.3 is not."""

import json
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from lairchat.model import limits
from lairchat.transports.http import PROTOCOLS
from lairchat.transports.http_answer import Answer
from lairchat.transports.tls import ServerTLS
from tests.requirements import require
from tests.transports.http_door import TIMEOUT, DoorCase, head, read_all, statuses_in
from tests.transports.loopback import certified, until


class Door2(DoorCase):
    """A door with TLS."""

    async def open(self, clock, tls=None, protocols=None) -> None:
        await super().open(clock, ServerTLS(certified()), PROTOCOLS)

    def dial(self, *alpn: str, receive_bytes: int = 0) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        raw = socket.socket()
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.settimeout(TIMEOUT)
        raw.connect(("127.0.0.1", self.port))
        try:
            connection = context.wrap_socket(raw)
        except ssl.SSLError:
            raw.close()
            raise
        self.addCleanup(connection.close)
        return connection


class Agreement(Door2):
    """Which version of HTTP is spoken."""

    def outcome(self, *alpn: str) -> tuple[str | None, list[int]]:
        with self.dial(*alpn) as connection:
            chosen = connection.selected_alpn_protocol()
            if chosen == "h2":
                return chosen, []
            connection.sendall(head("Connection: close"))
            return chosen, statuses_in(read_all(connection))

    async def test_the_server_prefers_http_2_and_takes_1_1_also_unnamed(self) -> None:
        assert await deferToThread(self.outcome, "http/1.1", "h2") == ("h2", [])
        assert await deferToThread(self.outcome, "http/1.1") == ("http/1.1", [200])
        assert await deferToThread(self.outcome) == (None, [200])

    async def test_who_wants_to_chat_is_at_the_wrong_door(self) -> None:
        with self.assertRaises(ssl.SSLError) as caught:
            await deferToThread(self.outcome, "lair/1")
        assert "no application protocol" in str(caught.exception).lower()

    async def test_a_refusal_over_tls_is_read_too(self) -> None:
        def ask() -> bytes:
            with self.dial("http/1.1") as connection:
                connection.sendall(head("Content-Length: 99999999"))
                return read_all(connection)

        assert statuses_in(await deferToThread(ask)) == [413]


class Programs(Door2):
    """curl and nghttp."""

    def setUp(self) -> "Deferred[None]":
        require("curl", "nghttp")
        return super().setUp()

    async def run_program(self, *command: str, data: bytes = b"") -> str:
        done = await deferToThread(
            subprocess.run, command, input=data, capture_output=True, check=False, timeout=60
        )
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def url(self, path: str = "/") -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    async def test_curl_speaks_either(self) -> None:
        for how, version in (("--http2", "2"), ("--http1.1", "1.1")):
            said = await self.run_program(
                "curl", "-sSk", how, "-w", "%{http_version} %{response_code}", self.url("/?x")
            )
            assert said == f"hello x\n{version} 200"
            said = await self.run_program("curl", "-sSk", "--head", how, self.url("/?x"))
            assert said.startswith(f"HTTP/{version} 200")
            assert "hello" not in said

    async def test_nghttp_gets_many_streams_on_one_connection(self) -> None:
        said = await self.run_program("nghttp", "-nv", "-m", "30", "--no-dep", self.url())
        assert "The negotiated protocol: h2" in said
        assert said.count(":status: 200") == 30, said
        assert "content-security-policy: default-src 'none'" in said
        assert (
            "GOAWAY frame <length=8, flags=0x00, stream_id=0>\n          (last_stream_id=0" in said
        )

    async def test_methods_hosts_and_sizes_are_as_with_1_1(self) -> None:
        big = bytes(5 * 1024 * 1024)
        for arguments, data, code in (
            (("-X", "TRACE"), b"", "LC-HTTP-METHOD"),
            (("-H", "Host: evil.example"), b"", "LC-HTTP-HOST"),
            (("-X", "GET", "--data-binary", "@-"), big, "LC-HTTP-SIZE"),
            (("-X", "GET", "-H", "Expect:", "-T", "-"), big, "LC-HTTP-SIZE"),
        ):
            said = await self.run_program(
                "curl", "-sSk", "--http2", "--max-time", "20", *arguments, self.url(), data=data
            )
            assert code in said, said
            assert json.loads(said[said.index("{") : said.rindex("}") + 1])["code"] == code
        assert not self.flushLoggedErrors()

    async def test_a_large_answer_arrives_whole_by_flow_control(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "large")
            await self.run_program("curl", "-sSk", "--http2", "-o", str(path), self.url("/large"))
            assert path.stat().st_size == 16 * 1024 * 1024


class Talk:
    """A client of HTTP/2 that does what a test wants, right or wrong."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.socket = connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def ask(
        self, stream: int, *more: tuple[str, str], method: str = "GET", end: bool = True
    ) -> None:
        headers = [
            (":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", "/")
        ]  # fmt: skip
        self.h2.send_headers(stream, [*headers, *more], end_stream=end)
        self.flush()

    def events(self, seconds: float = 1.0) -> list[h2.events.Event]:
        """Return what comes until nothing does for a while, or the end."""
        self.socket.settimeout(seconds)
        events: list[h2.events.Event] = []
        while True:
            try:
                data = self.socket.recv(65_536)
            except (TimeoutError, OSError):
                break
            if not data:
                events.append(h2.events.ConnectionTerminated())
                break
            events += self.h2.receive_data(data)
            self.flush()
        return events


class Streams(Door2):
    """What only HTTP/2 has."""

    def statuses(self, events: list[h2.events.Event]) -> dict[int, str]:
        return {
            event.stream_id: dict(event.headers)[b":status"].decode()
            for event in events
            if isinstance(event, h2.events.ResponseReceived)
        }

    async def test_an_endless_body_is_refused_and_the_other_streams_go_on(self) -> None:
        def talk() -> dict[int, str]:
            talk = Talk(self.dial("h2"))
            talk.ask(1, end=False)
            sent = 0
            found: dict[int, str] = {}
            while 1 not in found and sent < 10 * limits.HTTP_BODY_BYTES:
                window = talk.h2.local_flow_control_window(1)
                if window:
                    piece = bytes(min(16_384, window))
                    talk.h2.send_data(1, piece)
                    sent += len(piece)
                    talk.flush()
                found |= self.statuses(talk.events(0.05))
            talk.ask(3)
            return found | self.statuses(talk.events())

        assert await deferToThread(talk) == {1: "413", 3: "200"}
        assert not self.flushLoggedErrors()

    async def test_data_for_a_stream_that_was_answered_is_no_error(self) -> None:
        def talk() -> dict[int, str]:
            talk = Talk(self.dial("h2"))
            talk.ask(1, ("content-length", "100"), method="POST", end=False)
            talk.h2.send_data(1, b"x" * 50)
            talk.flush()
            first = talk.events(0.2)
            talk.h2.send_data(1, b"x" * 50, end_stream=True)
            talk.flush()
            talk.ask(3)
            return self.statuses(first) | self.statuses(talk.events())

        assert await deferToThread(talk) == {1: "405", 3: "200"}
        assert not self.flushLoggedErrors()

    async def test_a_request_that_ends_while_its_early_answer_waits_is_answered_once(self) -> None:
        def talk() -> dict[int, str]:
            talk = Talk(self.dial("h2"))
            talk.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            talk.flush()
            talk.events(0.2)
            talk.ask(1, end=False)
            events: list[h2.events.Event] = []
            for pieces in (3, 2):
                for _ in range(pieces):
                    talk.h2.send_data(1, bytes(16_384))
                talk.flush()
                events += talk.events(0.2)  # which opens the window again; then it was too much
            talk.h2.end_stream(1)
            talk.flush()
            events += talk.events(0.2)
            talk.h2.increment_flow_control_window(65_535, 1)
            talk.flush()
            events += talk.events()
            assert [one.stream_id for one in events if isinstance(one, h2.events.StreamEnded)] == [
                1
            ]
            return self.statuses(events)

        assert await deferToThread(talk) == {1: "413"}
        assert not self.flushLoggedErrors()

    async def test_a_stream_that_is_reset_while_its_page_is_made_is_no_error(self) -> None:
        talk = await deferToThread(lambda: Talk(self.dial("h2")))

        def start() -> None:
            talk.h2.send_headers(
                1,
                [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"),
                 (":path", "/later")],
                end_stream=True,
            )  # fmt: skip
            talk.flush()

        await deferToThread(start)
        await until(lambda: self.waiting, "the page is asked")

        def reset() -> dict[int, str]:
            talk.h2.reset_stream(1)
            talk.flush()
            talk.ask(3)
            return self.statuses(talk.events())

        assert await deferToThread(reset) == {3: "200"}
        self.waiting[0].callback(Answer(200, b"text/plain", b"late"))
        assert not self.flushLoggedErrors()

    async def test_a_body_that_ends_where_it_becomes_too_long_is_answered_once(self) -> None:
        def talk() -> dict[int, str]:
            talk = Talk(self.dial("h2"))
            talk.ask(1, end=False)
            for _ in range(3):
                talk.h2.send_data(1, bytes(16_384))
            talk.flush()
            talk.events(0.2)  # which opens the window again
            for _ in range(2):
                talk.h2.send_data(1, bytes(16_384))
            talk.h2.end_stream(1)
            talk.flush()
            return self.statuses(talk.events())

        assert await deferToThread(talk) == {1: "413"}
        assert not self.flushLoggedErrors()

    async def test_a_stream_that_is_reset_before_its_request_is_complete_is_no_error(self) -> None:
        def talk() -> dict[int, str]:
            talk = Talk(self.dial("h2"))
            talk.ask(1, end=False)
            talk.h2.reset_stream(1)
            talk.flush()
            talk.ask(3)
            return self.statuses(talk.events())

        assert await deferToThread(talk) == {3: "200"}
        (server,) = self.factory.connections
        assert server in self.factory.quiet
        assert server not in self.factory.asking
        assert not self.flushLoggedErrors()

    async def test_who_asks_for_answers_and_does_not_read_them_is_cut(self) -> None:
        """Each ping wants an answer: without an end they would fill the memory."""
        ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)

        def flood() -> None:
            talk = Talk(self.dial("h2", receive_bytes=4_096))
            talk.socket.settimeout(TIMEOUT)
            with self.assertRaises(OSError):
                for _ in range(10_000):
                    talk.socket.sendall(ping * 1_000)

        await deferToThread(flood)
        await until(lambda: not self.factory.connections, "gone")
        (line,) = self.log_lines("does not read")
        assert "127.0.0.1" not in line
        assert not self.flushLoggedErrors()

    async def test_what_is_no_http_2_ends_the_connection(self) -> None:
        def talk(data: bytes) -> bytes:
            with self.dial("h2") as connection:
                connection.sendall(data)
                return read_all(connection)

        for data in (
            head(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000001000000000000ff"),
        ):
            await deferToThread(talk, data)
        await until(lambda: not self.factory.connections, "gone")
        assert not self.flushLoggedErrors()

    async def test_requests_or_resets_by_the_thousand_end_the_connection(self) -> None:
        """CVE-2023-44487: each stream is asked for and reset at once, or not even that."""

        def flood(reset: bool) -> None:
            talk = Talk(self.dial("h2"))
            try:
                for stream in range(1, 20_001, 2):
                    talk.ask(stream)
                    if reset:
                        talk.h2.reset_stream(stream)
                        talk.flush()
                    if stream % 99 == 0:
                        talk.events(0.001)
            except (OSError, h2.exceptions.ProtocolError):
                talk.socket.close()
                return  # it is closed, or we were told to be calm
            raise AssertionError("ten thousand were taken")

        for reset in (True, False):
            await deferToThread(flood, reset)
            await until(lambda: not self.factory.connections, "gone")
        assert self.measures.limited.counts["http"] < 1_000
        assert not self.flushLoggedErrors()

    async def test_streams_that_are_reset_before_they_ask_count_as_requests(self) -> None:
        """CVE-2023-44487 again, under any bound on requests: no stream ever becomes one."""

        def flood() -> int:
            talk = Talk(self.dial("h2"))
            for number in range(20 * limits.HTTP_BURST):
                try:
                    talk.ask(2 * number + 1, end=False)
                    talk.h2.reset_stream(2 * number + 1)
                    talk.flush()
                    talk.events(0.001)
                except (OSError, h2.exceptions.ProtocolError):
                    return number
            raise AssertionError("they were taken")

        began = time.monotonic()
        taken = await deferToThread(flood)
        allowed = limits.HTTP_BURST + (time.monotonic() - began) * limits.HTTP_PER_SECOND
        assert limits.HTTP_BURST <= taken < allowed + 10, (taken, allowed)
        # The allowance is the address's: another connection gets no other one.
        assert await deferToThread(flood) < limits.HTTP_BURST
        await until(lambda: not self.factory.connections, "gone")
        assert self.measures.limited.counts["http"] >= 2
        assert not self.flushLoggedErrors()

    async def test_streams_behind_one_too_many_are_not_looked_at(self) -> None:
        """A flood comes in one piece; what is behind the first refusal costs nothing."""

        def talk() -> list[h2.events.Event]:
            talk = Talk(self.dial("h2"))
            headers = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")]
            for stream in range(1, 2 * 90, 2):  # below what may be open at once
                talk.h2.send_headers(stream, [*headers, (":path", "/later")], end_stream=True)
            talk.flush()
            return talk.events()

        events = await deferToThread(talk)
        await until(lambda: not self.factory.connections, "gone")
        assert len(self.waiting) == limits.HTTP_BURST
        assert list(self.statuses(events).values()) == ["429"]
        assert self.measures.limited.counts["http"] == 1


class SlowStreams(Door2):
    """Time limits on a clock that runs ten times as fast."""

    async def open(self, clock, tls=None, protocols=None) -> None:
        self.patch(limits, "HTTP_REQUEST_SECONDS", 1)
        self.patch(limits, "HTTP_QUIET_SECONDS", 2)
        await super().open(reactor)

    async def test_a_request_that_is_never_complete_ends_its_connection(self) -> None:
        def talk() -> float:
            talk = Talk(self.dial("h2"))
            talk.ask(1, end=False)
            began = time.monotonic()
            try:
                while time.monotonic() - began < 5:
                    talk.h2.send_data(1, b"x")  # a byte now and then prolongs nothing
                    talk.flush()
                    time.sleep(0.1)
            except OSError:
                pass
            return time.monotonic() - began

        assert 0.5 < await deferToThread(talk) < 4

    async def test_a_connection_that_only_pings_is_not_kept_for_ever(self) -> None:
        def talk() -> float:
            talk = Talk(self.dial("h2"))
            talk.ask(1)
            began = time.monotonic()
            try:
                while time.monotonic() - began < 10:
                    talk.h2.ping(b"12345678")
                    talk.flush()
                    if any(
                        isinstance(event, h2.events.ConnectionTerminated)
                        for event in talk.events(0.1)
                    ):
                        break
            except OSError:
                pass
            return time.monotonic() - began

        assert 1 < await deferToThread(talk) < 6
