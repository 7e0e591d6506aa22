"""One connection: everybody who waits hears, whatever the server says or does not say."""

from pathlib import Path

import msgspec
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from lairchat.client import catalog
from lairchat.client.connection import Connection
from lairchat.client.dial import RealDialer
from lairchat.features.messages import messages as wire
from lairchat.model import faults, refusals
from lairchat.wire import codec
from lairchat.wire.contract import Nothing
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import (
    ClientBye,
    CommandFrame,
    Error,
    EventFrame,
    IdentityStatement,
    Ok,
    Ping,
    Pong,
    ServerBye,
    ServerHello,
    ServerPing,
    ServerPong,
)
from tests.authority import Authority

HELLO = ServerHello(
    version=1,
    server="lair",
    name="lair",
    now=0,
    identity=IdentityStatement(key=bytes(32), expires=0, signature=bytes(64)),
    registration="open",
    limits={},
)


class Talk(TestCase):
    def setUp(self):
        self.clock = Clock()
        self.events = []
        self.lost = []
        self.connection = Connection(
            self.clock,
            catalog.EVENTS,
            lambda name, body: self.events.append((name, body)),
            self.lost.append,
        )
        self.transport = StringTransport()
        self.transport.abortConnection = self.aborted
        self.transport.loseConnection = self.aborted
        self.reader = FrameReader(65_536)
        self.ends = 0

    def aborted(self):
        self.ends += 1

    def start(self):
        self.connection.makeConnection(self.transport)
        greeted = self.connection.greet()
        self.say(HELLO)
        assert self.successResultOf(greeted) == HELLO
        self.connection.authenticated()
        self.said()

    def say(self, *frames):
        self.connection.dataReceived(b"".join(map(codec.encode, frames)))

    def said(self):
        data = self.transport.value()
        self.transport.clear()
        return [codec.decode_client(body) for body in self.reader.receive(data)]

    def ask(self):
        return self.connection.call(wire.SYNC, wire.Sync())

    def ok(self, number, body):
        return Ok(number, msgspec.Raw(codec.encode_body(body)))

    def test_answers_find_their_questions(self):
        self.start()
        first, second = self.ask(), self.ask()
        asked = self.said()
        assert [type(one) for one in asked] == [CommandFrame, CommandFrame]
        self.say(
            Error(id=asked[1].id, code="LC-RATE", text="slow down", retry_after=1.5),
            self.ok(asked[0].id, wire.Synced([])),
        )
        assert self.successResultOf(first) == wire.Synced([])
        refusal = self.failureResultOf(second, refusals.RateLimited).value
        assert refusal.retry_after == 1.5

    def test_an_answer_that_cannot_be_read_is_the_end_and_an_answer(self):
        self.start()
        asking = self.ask()
        [asked] = self.said()
        self.say(Ok(asked.id, msgspec.Raw(msgspec.msgpack.encode({"rooms": 7}))))
        assert self.ends == 1
        self.connection.connectionLost()
        self.failureResultOf(asking, faults.NetLost)

    def test_what_came_before_a_fault_is_taken(self):
        self.start()
        asking = self.ask()
        [asked] = self.said()
        good = codec.encode(self.ok(asked.id, wire.Synced([])))
        self.connection.dataReceived(good + b"\x00\x00\x00\x01\xc1")
        assert self.successResultOf(asking) == wire.Synced([])
        assert self.ends == 1

    def test_two_faults_at_once(self):
        """What came before the second cannot be read either."""
        self.start()
        asking = self.ask()
        [asked] = self.said()
        wrong = Ok(asked.id, msgspec.Raw(msgspec.msgpack.encode({"rooms": 7})))
        self.connection.dataReceived(codec.encode(wrong) + b"\xff\xff\xff\xff")
        assert self.ends == 1
        self.connection.connectionLost()
        self.failureResultOf(asking, faults.NetLost)

    def test_an_event_that_cannot_be_read(self):
        self.start()
        self.say(EventFrame("message", msgspec.Raw(msgspec.msgpack.encode(3))))
        assert self.ends == 1

    def test_events_that_are_not_known(self):
        self.start()
        raw = msgspec.Raw(codec.encode_body(wire.Gap([3])))
        self.say(EventFrame("from.the.future", raw), EventFrame("gap", raw))
        assert self.events == [("gap", wire.Gap([3]))]

    def test_an_error_of_the_whole_connection(self):
        self.start()
        asking = self.ask()
        self.say(Error(id=0, code="LC-TIMEOUT", text="too slow"), ServerBye("LC-BYE", "bye"))
        assert self.ends == 1
        self.connection.connectionLost()
        self.failureResultOf(asking, refusals.TimedOut)
        assert [one.code for one in self.lost] == ["LC-TIMEOUT"]

    def test_no_version_in_common(self):
        self.connection.makeConnection(self.transport)
        greeted = self.connection.greet()
        self.say(msgspec.structs.replace(HELLO, version=9))
        assert self.ends == 1
        self.connection.connectionLost()
        assert self.failureResultOf(greeted).value.code == "LC-VERSION"

    def test_lost_before_it_was_greeted(self):
        self.connection.makeConnection(self.transport)
        self.connection.connectionLost()
        self.failureResultOf(self.connection.greet(), faults.NetLost)
        self.failureResultOf(self.ask(), faults.NetLost)
        self.connection.leave()
        self.connection.ping()
        self.connection.abort(refusals.ShuttingDown(retry_after=1.0))
        assert self.ends == 0

    def test_nothing_is_asked_after_goodbye(self):
        self.start()
        self.connection.leave()
        self.failureResultOf(self.ask(), faults.NetLost)
        assert self.said() == [ClientBye()]

    def test_pings(self):
        self.start()
        measured = []
        self.connection.on_latency = measured.append
        self.say(ServerPing(4))
        assert self.said() == [Pong(4)]
        self.connection.ping()
        self.connection.ping()
        assert self.said() == [Ping(1)], "one at a time"
        self.clock.advance(0.25)
        assert self.clock.seconds() - self.connection.heard == 0.25
        self.say(ServerPong(1))
        assert measured == [0.25]
        assert self.connection.latency == 0.25
        self.connection.on_latency = None
        self.connection.ping()
        self.say(ServerPong(2))
        self.say(ServerPong(3))  # nobody asked
        assert self.ends == 1

    def test_no_ping_before_hello(self):
        self.connection.makeConnection(self.transport)
        self.connection.greet()
        self.said()
        self.connection.ping()
        assert self.said() == []


class Catalog(TestCase):
    def event(self, kind, body):
        return wire.LogEvent(
            room=1, seq=2, at=3, user=4, name="bob", device=5, kind=kind, id=b"", body=body
        )

    def test_lines(self):
        said = catalog.message_of(self.event("app", catalog.encode_text("x")), 7)
        assert (said.kind, said.text, said.ticket, said.sender) == ("text", "x", 7, "bob")
        assert catalog.message_of(
            self.event("app", catalog.encode_text("x", action=True))
        ).kind == ("action")
        assert catalog.message_of(self.event("tombstone", b"")).kind == "gone"

    def test_what_cannot_be_read(self):
        for body in (b"", b"\xc1", b"\x80", b"\x81" * 5000, msgspec.msgpack.encode({"type": "x"})):
            line = catalog.message_of(self.event("app", body))
            assert (line.kind, line.text) == ("state", "(this message needs a newer client)")

    def test_sentences(self):
        for what, sentence in {
            "created": "bob made this room",
            "topic": 'bob set the topic to "calm"',
            "kicked": "bob removed eve (calm)",
            "role": "bob made eve calm",
            "from the future": "bob: from the future",
        }.items():
            assert catalog.sentence(wire.StateChange(what, "bob", "eve", "calm")) == sentence
        assert catalog.sentence(wire.StateChange("kicked", "bob")) == "bob removed bob"

    def test_the_table_has_every_event(self):
        assert set(catalog.EVENTS) >= {"message", "gap", "session.ended", "presence", "cursor"}
        assert Nothing is not None


class Vouching(TestCase):
    def test_who_vouches(self):
        assert not RealDialer(None, None).vouched
        assert RealDialer(None, None, "system").vouched
        authorities = Path(self.mktemp())
        self.assertRaises(faults.Config, RealDialer, None, None, str(authorities))
        authorities.write_bytes(Authority().certificate)
        assert RealDialer(None, None, str(authorities)).vouched
