"""``lair doctor``: what it says of a good server, and of everything that can be wrong."""

import io
import os
import re
import socket
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lairchat.client.doctor import DAY_MS, Examination, doctor, exit_status, findings, render
from lairchat.client.tls import PeerFacts, Pinned, Verified
from lairchat.model.faults import NetName, NetRefused, NetTimeout, TlsHandshake, TlsPin
from lairchat.model.identity import ServerId
from lairchat.model.refusal import Refusal, received
from lairchat.transports.identity import ServerIdentity
from lairchat.transports.tls import ServerTLS, tls_facts
from lairchat.wire.objects import ClientBye, ClientHello, Error, Ping, ServerHello
from lairchat.wire.session import ServerSession
from tests.authority import Authority
from tests.transports.loopback import NOW, certified, listen, until

IDENTITY = ServerIdentity(Ed25519PrivateKey.generate())
OTHER = ServerIdentity(Ed25519PrivateKey.generate())


class Lair(Protocol):
    """As much of a server as a doctor needs; each fault of the factory changes one thing."""

    def connectionMade(self):
        self.factory.live.append(self)
        self.session = ServerSession()

    def dataReceived(self, data):
        for frame in self.session.receive(data):
            self.take(frame)

    def take(self, frame):
        fault = self.factory.fault
        if isinstance(frame, ClientHello):
            self.factory.clients.append(frame.client)
            if fault == "silent":
                return
            if fault == "hangs up":
                self.transport.abortConnection()
                return
            if fault == "closes":
                self.transport.loseConnection()
                return
            if fault == "refuses":
                self.say(self.session.send(Error(code="LC-CONNECTIONS", text="too many; wait")))
                self.say(self.session.bye("LC-CONNECTIONS", "too many; wait"))
                return
            if fault == "babbles":
                self.say(b"\x00\x00\x00\x01\xc1")
                return
            self.say(self.session.send(self.hello()))
            if fault == "stops":
                self.say(self.session.bye("LC-STOPPING", "the server stops"))
            if fault == "pings":
                self.say(self.session.ping())
        elif isinstance(frame, Ping):
            if fault == "deaf":
                return
            self.say(self.session.pong(frame))
        elif isinstance(frame, ClientBye):
            self.factory.byes += 1
            self.say(self.session.bye("LC-BYE", "goodbye"))
            self.transport.loseConnection()

    def hello(self):
        fault = self.factory.fault
        leaf = tls_facts(self.transport).spki_sha256
        identity = OTHER if fault == "other" else IDENTITY
        proof = identity.statement(bytes(32) if fault == "replays" else leaf, NOW)
        return ServerHello(
            version=self.session.version,
            server="lairchat 0.1",
            name="The attic\x1b[2J",
            now=self.factory.now,
            identity=proof,
            registration="invite",
        )

    def say(self, data):
        self.transport.write(data)

    def connectionLost(self, reason):
        self.factory.live.remove(self)


class LairFactory(Factory):
    protocol = Lair
    noisy = False

    def __init__(self, fault=""):
        self.fault = fault
        self.now = NOW
        self.live = []
        self.clients = []
        self.byes = 0


class Examined(TestCase):
    """The whole command against real servers on loopback."""

    def setUp(self):
        self.ports = []
        self.factories = []

    def tearDown(self):
        async def stop():
            for port in self.ports:
                await port.stopListening()
            await until(lambda: not any(factory.live for factory in self.factories), "the end")

        return Deferred.fromCoroutine(stop())

    async def serve(self, factory, pem: bytes | None = None) -> int:
        self.factories.append(factory)
        self.ports.append(await listen(ServerTLS(certified(pem)).wrap(factory, reactor)))
        return self.ports[-1].getHost().port

    async def doctor(self, port, host="127.0.0.1", pin=None, **settings) -> tuple[int, str]:
        out = io.StringIO()
        settings.setdefault("now", lambda: NOW)
        status = await doctor(reactor, host, port, pin=pin, out=out, **settings)
        return status, out.getvalue()

    async def faulty(self, fault: str, **settings) -> tuple[int, str]:
        return await self.doctor(await self.serve(LairFactory(fault)), **settings)

    async def test_a_good_server(self):
        factory = LairFactory()
        port = await self.serve(factory)
        status, text = await self.doctor(port, pin=IDENTITY.id)
        assert status == os.EX_OK
        lines = text.splitlines()
        assert lines[0] == f"lair doctor 127.0.0.1:{port}"
        assert [line.split()[:2] for line in lines[1:]] == [
            ["ok", "reachable"],
            ["ok", "TLS"],
            ["ok", "certificate"],
            ["ok", "identity"],
            ["ok", "sha256"],
            ["ok", "pin"],
            ["ok", "protocol"],
            ["ok", "latency"],
            ["ok", "clock"],
        ]
        assert "TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768, ALPN lair/1" in text
        assert re.search(r"CN=localhost, until \d{4}-\d\d-\d\d \(396 days\)", text)
        assert " ".join(IDENTITY.id.words()) in text
        assert IDENTITY.id.fingerprint in text
        assert "remembered, and the same" in text
        assert "lair/1, The attic" in text
        assert "\x1b" not in text
        assert "(lairchat 0.1), registration: invite" in text
        assert re.search(r"latency +\d+\.\d ms", text)
        assert factory.clients[0].startswith("lair doctor ")
        await until(lambda: factory.byes, "the goodbye")

    async def test_a_server_not_seen_before(self):
        status, text = await self.faulty("")
        assert status == os.EX_OK
        assert "note  pin          not known here yet" in text

    async def test_a_server_that_pings_meanwhile(self):
        assert (await self.faulty("pings"))[0] == os.EX_OK

    async def test_a_changed_identity(self):
        status, text = await self.faulty("other", pin=IDENTITY.id)
        assert status == os.EX_NOPERM
        assert f"FAIL  pin          CHANGED, was: {' '.join(IDENTITY.id.words())}" in text
        assert f"ok    identity     {' '.join(OTHER.id.words())}" in text
        assert "FAIL  LC-TLS-PIN" in text
        assert "lair serverkey --replace" in text

    async def test_a_replayed_proof(self):
        status, text = await self.faulty("replays", pin=IDENTITY.id)
        assert status == os.EX_PROTOCOL
        assert "FAIL  LC-TLS-IDENTITY" in text
        assert "ok    identity" not in text

    async def test_a_server_that_refuses(self):
        status, text = await self.faulty("refuses")
        assert status == os.EX_PROTOCOL
        assert "FAIL  LC-CONNECTIONS too many; wait" in text

    async def test_a_server_that_speaks_something_else(self):
        status, text = await self.faulty("babbles")
        assert status == os.EX_PROTOCOL
        assert "FAIL  LC-DECODE" in text

    async def test_a_server_that_hangs_up(self):
        for fault, word in (("hangs up", "cut"), ("closes", "closed")):
            status, text = await self.faulty(fault)
            assert status == os.EX_UNAVAILABLE
            assert "ok    reachable" in text
            assert f"the server {word} the connection" in text

    async def test_a_server_that_says_nothing(self):
        for fault in ("silent", "deaf"):
            status, text = await self.faulty(fault, seconds=0.4)
            assert status == os.EX_UNAVAILABLE
            assert "no answer within 0.4 s" in text

    async def test_a_server_that_stops_just_then(self):
        status, text = await self.faulty("stops", pin=IDENTITY.id)
        assert status == os.EX_PROTOCOL
        assert "ok    pin          remembered, and the same" in text
        assert "FAIL  LC-STOPPING  the server stops" in text

    async def test_clocks_apart(self):
        factory = LairFactory()
        factory.now = NOW - 3_600_000
        status, text = await self.doctor(await self.serve(factory))
        assert status == os.EX_OK
        assert re.search(r"note  clock +this computer is 3[56]\d\d s ahead of the server", text)

    async def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        status, text = await self.doctor(port)
        assert status == os.EX_UNAVAILABLE
        assert "FAIL  LC-NET-REFUSED" in text
        assert "reachable" not in text

    async def test_with_an_authority(self):
        authority = Authority()
        ca_file = Path(tempfile.mkdtemp(), "ca.pem")
        ca_file.write_bytes(authority.certificate)
        port = await self.serve(LairFactory(), authority.issue("127.0.0.1"))
        mode = Verified(ca_file)
        status, text = await self.doctor(port, mode=mode)
        assert status == os.EX_OK
        assert "an authority vouches for it" in text
        status, text = await self.doctor(port, "localhost", mode=mode)
        assert status == os.EX_PROTOCOL
        assert "ok    reachable" in text
        assert "FAIL  LC-TLS-HOST" in text


FACTS = PeerFacts(
    version="TLSv1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    group="X25519MLKEM768",
    alpn="lair/1",
    subject="CN=chat.example.org",
    names=("chat.example.org",),
    not_before=NOW - DAY_MS,
    not_after=NOW + 20 * DAY_MS,
    spki_sha256=bytes(32),
)


def report(**seen: object) -> str:
    examination = Examination("chat.example.org", 7023, Pinned(), **seen)  # type: ignore[arg-type]
    return render(findings(examination, NOW))


def changed(**facts: object) -> PeerFacts:
    return PeerFacts(**{name: getattr(FACTS, name) for name in FACTS.__slots__} | facts)


def test_key_agreement_without_the_hybrid_is_worth_a_remark() -> None:
    assert "note" not in report(facts=FACTS)
    text = report(facts=changed(group="x25519"))
    assert "note  key agreement x25519 alone: recorded traffic" in text


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (-9, 13, "note  certificate  CN=chat.example.org, until"),
        (-9, -1, "(-1 days): not valid now; the identity still counts"),
        (2, 9, "not valid now; the identity still counts"),
    ],
)
def test_the_time_of_the_certificate(begins: int, ends: int, words: str) -> None:
    facts = changed(not_before=NOW + begins * DAY_MS, not_after=NOW + ends * DAY_MS)
    assert words in report(facts=facts)


def test_a_subject_cannot_write_on_the_terminal() -> None:
    text = report(facts=changed(subject="CN=\x1b]0;owned\x07\n" + "x" * 200))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("\n") == 3
    assert len(text.splitlines()[2]) < 150


def test_a_clock_behind() -> None:
    assert "this computer is 120 s behind the server" in report(clock=-120_000)
    assert "ok    clock        59.9 s apart" in report(clock=-59_900)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (None, os.EX_OK),
        (NetName(host="h"), os.EX_NOHOST),
        (NetRefused(address="h:1", host="h"), os.EX_UNAVAILABLE),
        (NetTimeout(address="h:1", host="h"), os.EX_UNAVAILABLE),
        (TlsPin(old="a", new="b"), os.EX_NOPERM),
        (TlsHandshake(address="h:1", why="it hangs up", default=7023), os.EX_PROTOCOL),
        (received("LC-VERSION", "this server speaks lair/2"), os.EX_PROTOCOL),
    ],
)
def test_exit_status(refusal: Refusal | None, status: int) -> None:
    assert exit_status(refusal) == status


def test_an_identity_is_never_called_remembered_because_it_looks_alike() -> None:
    alike = ServerId(IDENTITY.id.digest[:16] + bytes(16))
    text = report(identity=IDENTITY.id, pin=alike)
    assert "FAIL  pin" in text
