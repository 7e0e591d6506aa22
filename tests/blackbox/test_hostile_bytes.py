"""What breaks the protocol gets a code and a closed connection; everybody else goes on.

Defends docs/protocol.rst, "When the protocol is broken", on a real daemon over real TLS.
"""

import socket
import time

import pytest
from twisted.internet.threads import deferToThread

from lairchat.wire.objects import Error, ServerBye
from tests.blackbox.daemon import DaemonTest, RawClient, awaited, packed

pytestmark = pytest.mark.blackbox


def outcome(port: int, data: bytes, *, greet: bool = True) -> list[str]:
    """Return the codes that some bytes are answered with."""
    client = RawClient(port, greet=greet)
    client.send(data)
    codes = [frame.code for frame in client.rest() if isinstance(frame, Error | ServerBye)]
    client.close()
    return codes


def asked(port: int, frame: dict[str, object]) -> str:
    """Return the code that a command is refused with; the connection lives on."""
    client = RawClient(port)
    client.send(packed(frame))
    answer = client.receive()
    assert isinstance(answer, Error), answer
    client.send(packed({"t": "ping", "n": 1}))
    assert client.receive() is not None
    client.close()
    return answer.code


def wait_for_end(connection: socket.socket) -> None:
    """Read until the server has closed or cut the connection."""
    try:
        while connection.recv(1000):
            pass  # an alert may come first
    except ConnectionResetError:
        pass


class HostileBytes(DaemonTest):
    """One daemon, every kind of broken peer, and a healthy pair that must not notice."""

    @awaited
    async def test_every_broken_peer_is_told_why_and_the_others_go_on(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        port = self.server.port
        deep = b"\x81\xa1t" + b"\x91" * 1_000 + b"\xc0"
        greeted = {
            "a frame that claims 1 GiB": (b"\x40\x00\x00\x00", "LC-FRAME-SIZE"),
            "a frame past 16 KiB before login": (b"\x00\x00\x40\x01", "LC-FRAME-SIZE"),
            "an empty frame": (b"\x00\x00\x00\x00", "LC-FRAME-EMPTY"),
            "an HTTP request": (b"GET / HTTP/1.1\r\n\r\n", "LC-FRAME-SIZE"),
            "no MessagePack": (b"\x00\x00\x00\x01\xc1", "LC-DECODE"),
            "trailing bytes": (b"\x00\x00\x00\x02\x80\x80", "LC-DECODE"),
            "a depth bomb": (len(deep).to_bytes(4, "big") + deep, "LC-DECODE-DEPTH"),
            "no frame object": (packed({"t": "nonsense"}), "LC-FRAME-OBJECT"),
            "an array": (packed([1, 2, 3]), "LC-FRAME-OBJECT"),
            "a second hello": (packed({"t": "hello", "versions": [1]}), "LC-STAGE"),
            "a duplicate key": (
                b"\x00\x00\x00\x0e\x83\xa1t\xa4ping\xa1n\x01\xa1n\x02",
                "LC-DECODE-DUPLICATE",
            ),
            "an unknown field": (packed({"t": "ping", "n": 1, "x": 1}), "LC-FRAME-OBJECT"),
            "a pong nobody asked for": (packed({"t": "pong", "n": 9}), "LC-PONG"),
        }
        for what, (data, code) in greeted.items():
            codes = await deferToThread(outcome, port, data)
            assert codes == [code, code], f"{what}: {codes}"
        ungreeted = {
            "a command before hello": (
                packed({"t": "cmd", "id": 1, "do": "room.list", "args": {}}),
                "LC-STAGE",
            ),
            "a version nobody speaks": (packed({"t": "hello", "versions": [999]}), "LC-VERSION"),
        }
        for what, (data, code) in ungreeted.items():
            codes = await deferToThread(outcome, port, data, greet=False)
            assert codes == [code, code], f"{what}: {codes}"
        sent = await alice.say(1, "still here")
        await bob.hear(1, sent.seq)

    @awaited
    async def test_a_wrong_command_costs_its_answer_only(self) -> None:
        port = self.server.port
        secret = bytes(32)
        cases: dict[str, tuple[dict[str, object], str]] = {
            "unknown": ({"t": "cmd", "id": 1, "do": "no.such", "args": {}}, "LC-COMMAND-UNKNOWN"),
            "too early": ({"t": "cmd", "id": 1, "do": "room.list", "args": {}}, "LC-STAGE"),
            "missing field": ({"t": "cmd", "id": 1, "do": "account.login", "args": {}}, "LC-ARGS"),
            "wrong type": (
                {"t": "cmd", "id": 1, "do": "account.login", "args": {"name": 1, "secret": secret}},
                "LC-ARGS",
            ),
            "short secret": (
                {"t": "cmd", "id": 1, "do": "account.login", "args": {"name": "x", "secret": b""}},
                "LC-ARGS",
            ),
            "foreign field": (
                {
                    "t": "cmd",
                    "id": 1,
                    "do": "account.login",
                    "args": {"name": "x", "secret": secret, "admin": True},
                },
                "LC-ARGS",
            ),
            "nobody": (
                {
                    "t": "cmd",
                    "id": 1,
                    "do": "account.login",
                    "args": {"name": "nobody-here", "secret": secret},
                },
                "LC-AUTH-FAILED",
            ),
            "token": (
                {"t": "cmd", "id": 1, "do": "session.resume", "args": {"token": bytes(48)}},
                "LC-AUTH-TOKEN",
            ),
        }
        for what, (frame, code) in cases.items():
            assert await deferToThread(asked, port, frame) == code, what

    @awaited
    async def test_a_room_name_full_of_escapes_is_refused_and_shown_to_nobody(self) -> None:
        from lairchat.features.rooms import messages as rooms
        from lairchat.model.refusals import RoomNameBad

        alice = await self.owner()
        for name in ("\x1b[2J\x1b]0;pwn\x07", "a\nb", "\u202egnp", "r\u0000m", "../../etc"):
            try:
                await alice.ask(rooms.CREATE, rooms.CreateRoom(name), alice.key())
            except RoomNameBad as refusal:
                assert refusal.text.isprintable(), refusal.text
            else:
                self.fail(f"{name!r} was accepted")
        assert "\x1b" not in self.printed()

    @awaited
    async def test_a_truncated_frame_and_a_cut_connection_leave_nothing(self) -> None:
        alice = await self.owner()

        def cut() -> None:
            for size in range(1, 40):
                client = RawClient(self.server.port)
                client.send(packed({"t": "ping", "n": 1})[:size])
                client.close()

        await deferToThread(cut)
        sent = await alice.say(1, "unmoved")
        assert sent.seq > 0

    @awaited
    async def test_the_server_says_goodbye_when_asked(self) -> None:
        def leave() -> list[object]:
            client = RawClient(self.server.port)
            client.send(packed({"t": "bye"}))
            return list(client.rest())

        frames = await deferToThread(leave)
        assert [type(frame) for frame in frames] == [ServerBye]


class SlowLoris(DaemonTest):
    """Connections that never finish what they begin."""

    extra = "[limits]\nstrangers_per_address = 40\nwasted_per_address = 200\n"

    @pytest.mark.slow
    @awaited
    async def test_half_handshakes_and_silent_sessions_are_cut_in_time(self) -> None:
        """security.md: handshake 10 s, authentication 30 s, both absolute."""
        alice = await self.owner()

        def hang() -> tuple[float, float]:
            began = time.monotonic()
            halves = [
                socket.create_connection(("127.0.0.1", self.server.port), 60) for _ in range(20)
            ]
            for half in halves:
                half.sendall(b"\x16\x03\x01")
            dripping = RawClient(self.server.port, greet=False)
            dripping.tls.settimeout(60)
            for half in halves:
                half.settimeout(60)
                wait_for_end(half)
            handshake = time.monotonic() - began
            hello = packed({"t": "hello", "versions": [1]})
            for byte in hello[:15]:
                dripping.send(bytes([byte]))
                time.sleep(0.5)
            dripping.rest()
            for half in halves:
                half.close()
            return handshake, time.monotonic() - began

        handshake, authentication = await deferToThread(hang)
        assert 9 < handshake < 14, handshake
        assert 28 < authentication < 36, authentication
        sent = await alice.say(1, "not disturbed")
        assert sent.seq > 0


class TooManyStrangers(DaemonTest):
    """The limits per address, with the defaults of the configuration."""

    extra = ""

    @awaited
    async def test_a_seventeenth_stranger_is_not_let_in(self) -> None:
        def crowd() -> int:
            strangers = [RawClient(self.server.port) for _ in range(16)]
            refused = 0
            try:
                RawClient(self.server.port)
            except OSError:
                refused = 1
            for stranger in strangers:
                stranger.close()
            return refused

        assert await deferToThread(crowd) == 1
