"""Defends: issue 2: a stateful machine runs both ends against each other.

Client and server act in any order, bytes travel in pieces of any size in both directions, and what
each end hears must be exactly what the other said, without a fault and without a misuse.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Raw

from lairchat.model import limits
from lairchat.wire import codec, objects
from lairchat.wire.contract import Request
from lairchat.wire.session import ClientSession, ServerSession, SessionStage
from tests.strategies import codes, events, names, text
from tests.wire.test_session import HELLO

CLOSED = SessionStage.CLOSED
READY = SessionStage.READY


class Args(Request, frozen=True):
    text: str = ""


class Pipe:
    """Bytes under way in one direction, with the frames that they say and those that were heard."""

    def __init__(
        self, receive: Callable[[bytes], list[Any]], decode: Callable[[bytes], Any]
    ) -> None:
        self.receive = receive
        self.decode = decode
        self.bytes = b""
        self.said: list[Any] = []
        self.heard: list[Any] = []

    def say(self, data: bytes) -> None:
        # Some calls say nothing (a second bye) and some two things (a fault).
        at = 0
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            self.said.append(self.decode(data[at + 4 : end]))
            at = end
        self.bytes += data

    def carry(self, size: int) -> list[Any]:
        chunk, self.bytes = self.bytes[:size], self.bytes[size:]
        frames = self.receive(chunk)
        assert frames == self.said[len(self.heard) :][: len(frames)]
        self.heard += frames
        return frames


class BothEnds(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.client = ClientSession()
        self.server = ServerSession()
        self.up = Pipe(self.server.receive, codec.decode_client)
        self.down = Pipe(self.client.receive, codec.decode_server)
        self.asked: set[int] = set()
        self.answered: set[int] = set()
        self.open: list[int] = []  # what the server has heard and not answered
        self.greeted = False
        self.dropped = False  # whether the server has said bye and drops what it hears
        self.up.say(self.client.hello("machine"))

    # -- bytes travel

    @rule(size=st.integers(1, 60) | st.just(1_000_000))
    def carry_up(self, size: int) -> None:
        if self.dropped:
            assert self.up.carry(size) == []
            return
        for frame in self.up.carry(size):
            self.serve(frame)

    @rule(size=st.integers(1, 60) | st.just(1_000_000))
    def carry_down(self, size: int) -> None:
        for frame in self.down.carry(size):
            if isinstance(frame, objects.ServerPing):
                self.up.say(self.client.pong(frame))
            elif isinstance(frame, objects.Ok | objects.Error):
                assert frame.id not in self.client.waiting
            elif isinstance(frame, objects.ServerBye):
                self.up.say(self.client.bye())

    def serve(self, frame: objects.ClientFrame) -> None:
        match frame:
            case objects.ClientHello():
                self.down.say(self.server.send(HELLO))
                self.greeted = True
            case objects.CommandFrame():
                assert codec.decode_args(Args, frame.args)
                self.open.append(frame.id)
            case objects.Ping():
                self.down.say(self.server.pong(frame))

    # -- the client acts

    def client_may_ask(self) -> bool:
        return self.client.version != 0 and objects.ClientBye() not in self.up.said

    @precondition(client_may_ask)
    @rule(do=names, what=text, key=st.none() | st.binary(min_size=16, max_size=16))
    def ask(self, do: str, what: str, key: bytes | None) -> None:
        number, data = self.client.command(do, Args(what), key)
        assert number not in self.asked
        self.asked.add(number)
        self.up.say(data)

    @precondition(client_may_ask)
    @rule(size=st.integers(17_000, 60_000))
    def ask_something_big(self, size: int) -> None:
        if self.client.stage is READY:
            number, data = self.client.command("a.b", Args("x" * size))
            self.asked.add(number)
            self.up.say(data)

    @precondition(client_may_ask)
    @rule()
    def client_pings(self) -> None:
        self.up.say(self.client.ping())

    @precondition(lambda self: len(self.up.said) > 8)
    @rule()
    def client_leaves(self) -> None:
        self.up.say(self.client.bye())

    # -- the server acts

    def server_may_speak(self) -> bool:
        return self.greeted and not self.dropped

    @precondition(lambda self: self.server_may_speak() and self.open)
    @rule(which=st.integers(0, 100), body=text, code=codes, fine=st.booleans())
    def answer(self, which: int, body: str, code: str, fine: bool) -> None:
        number = self.open.pop(which % len(self.open))
        self.answered.add(number)
        if fine:
            self.down.say(self.server.send(objects.Ok(number, Raw(codec.encode_body(body)))))
        else:
            self.down.say(self.server.send(objects.Error(code=code, text="no", id=number)))

    @precondition(server_may_speak)
    @rule(event=events)
    def tell(self, event: objects.EventFrame) -> None:
        self.down.say(self.server.send(event))

    @precondition(server_may_speak)
    @rule()
    def server_pings(self) -> None:
        self.down.say(self.server.ping())

    @precondition(lambda self: self.server_may_speak() and self.client.version)
    @rule()
    def log_in(self) -> None:
        # Both owners learn of it in this order; the client's is told by an answer.
        self.server.authenticated()
        self.client.authenticated()

    @precondition(lambda self: len(self.down.said) > 8 and not self.dropped)
    @rule(code=codes)
    def server_leaves(self, code: str) -> None:
        self.down.say(self.server.bye(code, "see you"))
        self.dropped = True

    # -- what always holds

    @invariant()
    def answers_find_their_requests(self) -> None:
        heard = {
            frame.id for frame in self.down.heard if isinstance(frame, objects.Ok | objects.Error)
        }
        assert self.client.waiting == self.asked - heard
        assert heard <= self.answered <= self.asked

    @invariant()
    def little_is_held(self) -> None:
        assert self.server.pending < limits.FRAME_BYTES + 4
        assert self.client.pending < limits.FRAME_BYTES + 4

    def teardown(self) -> None:
        while self.up.bytes or self.down.bytes:
            self.carry_up(1_000_000)
            self.carry_down(1_000_000)
        assert self.down.heard == self.down.said
        if not self.dropped:
            assert self.up.heard == self.up.said
            assert self.client.unanswered == 0
        if self.dropped:
            assert self.client.stage is CLOSED
        elif objects.ClientBye() not in self.up.said:
            assert self.server.unanswered == 0
        else:
            self.down.say(self.server.bye("LC-BYE", ""))
            self.carry_down(1_000_000)
            assert self.client.stage is self.server.stage is CLOSED


BothEnds.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestBothEnds = BothEnds.TestCase
