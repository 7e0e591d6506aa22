"""The SSH door itself: who gets in, what strangers can make it do, what a session may ask for."""

import struct

from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import (
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_CONNECT_FAILED,
    OPEN_RESOURCE_SHORTAGE,
)
from twisted.conch.ssh.transport import MSG_SERVICE_REQUEST
from twisted.conch.ssh.userauth import (
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_PK_OK,
    MSG_USERAUTH_REQUEST,
)
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.transports.ssh import SshService
from tests.transports.ssh_wire import (
    HOST,
    Channel,
    Client,
    SshCase,
    new_key,
)


class Recorder:
    """Programs that do what the line says: ``status 3``, ``fail``, ``wait``, ``say BYTES``."""

    def __init__(self):
        self.lines = []
        self.sessions = []
        self.typed = b""
        self.sizes = []
        self.ends = []
        self.waiting = []

    async def command(self, session, line):
        self.lines.append(line)
        self.sessions.append(session)
        session.listen(Ears(self, session))
        word, _, rest = line.decode().partition(" ")
        if word == "fail":
            raise RuntimeError("on purpose")
        if word == "say":
            session.say("x" * int(rest))
            await session.drained()
            session.say("\n")
        if word == "wait":
            waiting = Deferred()
            self.waiting.append(waiting)
            await waiting
        session.say("out\n")
        session.say_error("err\n")
        return int(rest) if word == "status" else 0

    async def shell(self, session):
        self.sessions.append(session)
        session.listen(Ears(self, session))
        waiting = Deferred()
        self.waiting.append(waiting)
        await waiting
        return 0


class Ears:
    def __init__(self, recorder, session):
        self.recorder = recorder
        self.session = session

    def received(self, data):
        self.recorder.typed += data

    def ended(self):
        self.recorder.ends.append("ended")

    def gone(self):
        self.recorder.ends.append("gone")

    def resized(self):
        self.recorder.sizes.append(self.session.size)


class DoorCase(SshCase):
    def make_programs(self):
        self.programs = Recorder()
        return self.programs

    def wasted(self) -> int:
        """Return how many wasted connections the source has been charged for."""
        window = self.throttle.peek(("stranger", HOST), self.wasted_rate, cost=32)
        return round(window / self.wasted_rate.period)

    @property
    def wasted_rate(self):
        from tests.transports.ssh_wire import WASTED

        return WASTED


class ComingIn(DoorCase):
    def test_a_known_key_opens_the_door(self):
        link = self.come_in()
        assert link.server.caller.name == "alice"
        assert link.client.host_key == self.factory.publicKeys[b"ssh-ed25519"].blob()
        assert self.wasted() == 0
        link.there.closed = True
        self.pump()
        assert (self.wasted(), len(self.admission)) == (0, 0)

    def test_the_algorithms_that_are_offered(self):
        server = self.link().server
        assert server.supportedKeyExchanges[0] == b"mlkem768x25519-sha256"
        assert server.supportedPublicKeys == [b"ssh-ed25519"]
        assert server.supportedCompressions == [b"none"]
        assert all(name.endswith(b"-ctr") for name in server.supportedCiphers)
        assert all(name.startswith(b"hmac-sha2-") for name in server.supportedMACs)

    def test_an_unknown_key_a_wrong_name_a_forged_signature(self):
        other = new_key()
        forged = new_key()
        forged.public = self.key.public  # says that it is alice's, and signs with another one
        for name, key in (("alice", other), ("bob", self.key), ("alice", forged)):
            link = self.link(Client(name.encode(), key))
            assert not link.client.inside
            assert link.over
        assert self.wasted() == 3

    def test_a_name_that_is_an_escape_sequence_is_written_down_as_text(self):
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        for name in (
            b"\x1b]0;pwned\x07\x1b[2Jalice",
            b"alice\r\n2026 info  all is well",
            b"\xff" * 500,
        ):
            assert not self.link(Client(name, self.key)).client.inside
        said = [formatEvent(one) for one in events if "no shell" in str(one.get("log_format"))]
        assert len(said) == 3
        assert "\ufffd]0;pwned\ufffd\ufffd[2Jalice" in said[0]
        assert all(line.isprintable() and len(line) < 240 for line in said)

    def test_nobody_finds_out_with_a_public_key_whether_it_is_known(self):
        for key in (self.key, new_key()):
            link = self.link(Client(b"alice", None))
            link.client.requestService(Silent())
            self.pump()
            link.client.service.query(key.public())
            self.pump()
            assert link.client.service.answers == [MSG_USERAUTH_PK_OK]

    def test_the_owner_of_a_key_is_told_what_is_in_the_way(self):
        self.refusal = refusals.AuthLocked(name="alice", how="")
        link = self.link(Client(b"alice", self.key))
        assert not link.client.inside
        (banner,) = link.client.auth.banners
        assert b"LC-AUTH-LOCKED" in banner
        assert max(map(len, banner[4:].split(b"\r\n"))) <= 80

    def test_a_failing_checker_lets_nobody_in_and_is_logged(self):
        self.refusal = RuntimeError("on purpose")
        link = self.link(Client(b"alice", self.key))
        assert not link.client.inside
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    def test_requests_to_log_in_are_bounded(self):
        link = self.link(Client(b"alice", None))
        link.client.requestService(Silent())
        self.pump()
        for _ in range(limits.SSH_AUTH_REQUESTS + 5):
            link.client.service.query(new_key().public())
        self.pump()
        assert b"IdentitiesOnly" in link.client.goodbye
        assert link.client.service.answers == [MSG_USERAUTH_PK_OK] * limits.SSH_AUTH_REQUESTS

    def test_requests_are_answered_in_their_order(self):
        waiting = []
        self.factory.prove = lambda _key: waiting.append(Deferred()) or waiting[-1]
        link = self.link(Client(b"alice", None))
        link.client.requestService(Silent())
        self.pump()
        service = link.client.service
        service.sign(self.key, link.client.sessionID)
        service.query(self.key.public())
        service.request(b"password", b"\0" + NS(b"guess"))
        self.pump()
        assert service.answers == []
        waiting[0].errback(refusals.AuthFailed(attempt=1, limit=5, name="alice"))
        self.pump()
        assert service.answers == [MSG_USERAUTH_FAILURE, MSG_USERAUTH_PK_OK, MSG_USERAUTH_FAILURE]

    def test_whoever_is_gone_before_the_answer_is_not_let_in(self):
        waiting = Deferred()
        self.factory.prove = lambda _key: waiting
        link = self.link(Client(b"alice", self.key))
        link.there.closed = True
        self.pump()
        waiting.callback(next(iter(self.known.values())))
        self.pump()
        assert link.server.caller is None

    def test_only_one_way_and_only_one_service(self):
        link = self.link(Client(b"alice", None))
        link.client.requestService(Silent())
        self.pump()
        for method in (b"none", b"password", b"keyboard-interactive", b"hostbased"):
            link.client.service.request(method, b"\0" + NS(b"x"))
        self.pump()
        assert link.client.service.answers == [MSG_USERAUTH_FAILURE] * 4
        link.client.service.request(b"publickey", b"", service=b"ssh-agent")
        self.pump()
        assert link.client.goodbye == b"no such service"

    def test_wrong_keys_on_a_connection_cost_as_much_as_connections(self):
        link = self.link(Client(b"alice", None))
        link.client.requestService(Silent())
        self.pump()
        for _ in range(5):
            link.client.service.sign(new_key(), link.client.sessionID)
        self.pump()
        link.there.closed = True
        self.pump()
        assert self.wasted() == 5


class Silent:
    """The client's half of authentication, which does nothing but what a test tells it."""

    name = b"ssh-userauth"

    def __init__(self):
        self.answers = []

    def serviceStarted(self):
        pass

    serviceStopped = serviceStarted

    def packetReceived(self, number, _packet):
        self.answers.append(number)

    def request(self, method, rest, *, service=b"ssh-connection"):
        payload = NS(b"alice") + NS(service) + NS(method) + rest
        self.transport.sendPacket(MSG_USERAUTH_REQUEST, payload)

    def query(self, public):
        self.request(b"publickey", b"\0" + NS(public.sshType()) + NS(public.blob()))

    def sign(self, key, session_id):
        start = NS(b"alice") + NS(b"ssh-connection") + NS(b"publickey")
        named = b"\x01" + NS(key.sshType()) + NS(key.public().blob())
        signed = NS(session_id) + bytes((MSG_USERAUTH_REQUEST,)) + start + named
        self.request(b"publickey", named + NS(key.sign(signed)))


GREETINGS = {
    "nothing that ends": b"x" * 5_000,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600) + b"SSH-\n" * 3,
    "version 1": b"SSH-1.5-old\r\n",
    "half a version": b"SSH-\r\n",
    "no number": b"SSH-2.0\r\n" + b"\xff" * 64,
    "a giant claims its place": b"SSH-2.0-x\r\n" + b"\x00\x0f\xff\xff\x04" + b"x" * 60_000,
    "a larger giant": b"SSH-2.0-x\r\n\xff\xff\xff\xff\x04" + b"x" * 100,
    "zeros": b"SSH-2.0-x\r\n" + bytes(40),
    "lists of nonsense": b"SSH-2.0-x\r\n" + b"\0\0\0\x1c\x04\x14" + b"\xff" * 200,
    "service without keys": b"SSH-2.0-x\r\n"
    + struct.pack(">LBB", 28, 4, MSG_SERVICE_REQUEST)
    + NS(b"ssh-userauth")
    + bytes(10),
    "a goodbye": b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x01" + bytes(10),
}


class Strangers(DoorCase):
    def test_other_greetings_end_the_connection_and_nothing_else(self):
        for name, data in GREETINGS.items():
            self.clock.advance(60)
            link = self.link()
            link.there.waiting = data
            self.pump()
            closed = link.over or link.here.closed
            if not closed:  # it may still become a packet, so it has its time, and no more
                self.clock.advance(limits.AUTHENTICATION_SECONDS)
                self.pump()
            assert link.over, name
        self.come_in()

    def test_every_cut_of_a_handshake_is_survived(self):
        link = self.link()
        link.there.waiting = b"SSH-2.0-cut"
        self.pump()
        assert not link.over
        link.there.closed = True
        self.pump()
        assert link.over

    def test_slowness_has_an_end_that_dribbling_does_not_put_off(self):
        link = self.link()
        for byte in b"SSH-2.0-slow":
            link.there.waiting = bytes((byte,))
            self.clock.advance(2.0)
            self.pump()
        assert not link.over
        self.clock.advance(limits.AUTHENTICATION_SECONDS - 24)
        self.pump()
        assert link.here.aborted
        assert self.wasted() == 1

    def test_a_second_key_exchange_is_for_those_who_are_in(self):
        stranger = self.link(Client(b"alice", None))
        stranger.client.sendKexInit()
        self.pump()
        assert stranger.over
        alice = self.come_in()
        alice.client.sendKexInit()
        self.pump()
        assert not alice.over
        assert self.execute(alice, "status 5").status == 5

    def test_what_is_for_operators_is_not_for_strangers(self):
        link = self.link(Client(b"alice", None))
        link.client.sendPacket(MSG_SERVICE_REQUEST, NS(b"ssh-connection"))
        self.pump()
        assert link.over
        link = self.link(Client(b"alice", None))
        link.client.requestService(Silent())
        self.pump()
        link.client.sendPacket(MSG_SERVICE_REQUEST, NS(b"ssh-userauth"))
        self.pump()
        assert link.over

    def test_nobody_authenticates_twice(self):
        link = self.come_in()
        link.client.sendPacket(MSG_SERVICE_REQUEST, NS(b"ssh-userauth"))
        self.pump()
        assert link.over

    def test_a_stranger_who_does_not_read_is_not_read_either(self):
        link = self.link(Client(b"alice", None))
        link.server.pauseProducing()
        assert link.here.paused
        link.server.resumeProducing()
        assert not link.here.paused
        link.server.pauseProducing()
        self.clock.advance(limits.AUTHENTICATION_SECONDS)
        self.pump()
        assert link.here.aborted

    def test_an_address_has_so_many_and_no_more(self):
        self.clock.advance(1)
        for _ in range(limits.SSH_ARRIVALS):
            self.link()
        address = IPv4Address("TCP", HOST, 1)
        assert self.factory.buildProtocol(address) is None  # too fast
        self.clock.advance(1)
        for _ in range(6):
            self.link()
        assert self.factory.buildProtocol(address) is None  # too many at once
        self.link(host="192.0.2.8")

    def test_who_wastes_connections_is_kept_out_and_who_authenticates_is_not(self):
        for _ in range(40):
            self.clock.advance(1)
            link = self.come_in()
            link.there.closed = True
            self.pump()
        for _ in range(32):
            self.clock.advance(0.2)
            link = self.link()
            link.there.closed = True
            self.pump()
        self.clock.advance(1)
        assert self.factory.buildProtocol(IPv4Address("TCP", HOST, 1)) is None

    def test_banned_addresses_are_not_answered(self):
        self.banned[HOST] = refusals.Banned()
        assert self.factory.buildProtocol(IPv4Address("TCP", HOST, 1)) is None


class Sessions(DoorCase):
    def test_a_line_runs_with_its_status_and_both_outputs(self):
        channel = self.execute(self.come_in(), "status 3")
        assert (channel.out, channel.err, channel.status) == (b"out\n", b"err\n", 3)
        assert channel.is_closed
        assert self.programs.lines == [b"status 3"]

    def test_lines_end_as_terminals_need_it(self):
        channel = self.terminal(self.come_in())
        assert self.ask(channel, b"exec", NS(b"x"))
        assert (channel.out, channel.err) == (b"out\r\nerr\r\n", b"")

    def test_our_own_mistakes_end_the_session_not_the_connection(self):
        link = self.come_in()
        channel = self.execute(link, "fail")
        assert (channel.status, channel.is_closed) == (1, True)
        assert len(self.flushLoggedErrors(RuntimeError)) == 1
        assert self.execute(link, "status 0").status == 0

    def test_nothing_else_is_opened(self):
        link = self.come_in()
        for kind in (
            b"direct-tcpip",
            b"x11",
            b"auth-agent@openssh.com",
            b"tun@openssh.com",
            b"\xff",
        ):
            channel = Channel()
            channel.name = kind
            channel.conn = link.client.service
            link.client.service.openChannel(channel, NS(b"localhost") + bytes(12))
            self.pump()
            assert channel.refused.args[1] == OPEN_ADMINISTRATIVELY_PROHIBITED
        small = Channel(localMaxPacket=100)
        small.conn = link.client.service
        link.client.service.openChannel(small)
        self.pump()
        assert small.refused.args[1] == OPEN_CONNECT_FAILED
        sessions = [self.session(link) for _ in range(limits.SSH_CHANNELS + 1)]
        assert [one.open for one in sessions] == [True] * limits.SSH_CHANNELS + [False]
        assert sessions[-1].refused.args[1] == OPEN_RESOURCE_SHORTAGE

    def test_nothing_else_is_granted(self):
        link = self.come_in()
        channel = self.session(link)
        for request, data in (
            (b"env", NS(b"LD_PRELOAD") + NS(b"/tmp/x.so")),
            (b"subsystem", NS(b"sftp")),
            (b"auth-agent-req@openssh.com", b""),
            (b"x11-req", b"\0" + NS(b"a") + NS(b"b") + bytes(4)),
            (b"\xff\xfe", b""),
            (b"requestReceived", b""),
            (b"pty-req", b""),
            (b"pty-req", NS(b"xterm") + b"\0\0"),
            (b"window-change", struct.pack(">4L", 80, 24, 0, 0)),  # there is no terminal
            (b"exec", b"\0"),
            (b"signal", NS(b"KILL")),
        ):
            assert not self.ask(channel, request, data), request
        answers = []
        for request in (b"tcpip-forward", b"streamlocal-forward@openssh.com", b"x"):
            asked = link.client.service.sendGlobalRequest(
                request, NS(b"0.0.0.0") + bytes(4), wantReply=1
            )
            asked.addErrback(answers.append)
        self.pump()
        assert len(answers) == 3
        assert self.ask(channel, b"exec", NS(b"status 0"))

    def test_a_session_runs_one_program(self):
        channel = self.execute(self.come_in(), "wait")
        assert not self.ask(channel, b"exec", NS(b"status 0"))
        assert not self.ask(channel, b"shell")
        assert self.programs.lines == [b"wait"]
        self.programs.waiting[0].callback(None)
        self.pump()
        assert channel.status == 0

    def test_a_request_without_a_wish_for_an_answer_may_be_nonsense(self):
        link = self.come_in()
        channel = self.session(link)
        for request in (b"\xff", b"pty-req", b"exec"):
            channel.conn.sendRequest(channel, request, b"")
        self.pump()
        assert not link.over

    def test_packets_that_are_no_packets_end_the_connection(self):
        for payload in (b"", b"\0", struct.pack(">L", 77) + NS(b"x")):
            link = self.come_in()
            link.client.sendPacket(98, payload)
            self.pump()
            assert link.over
            assert link.client.goodbye == b"protocol error"

    def test_a_message_that_nobody_knows_is_said_to_be_unknown(self):
        link = self.come_in()
        link.client.sendPacket(79, b"")
        link.client.sendPacket(MSG_USERAUTH_REQUEST, b"")
        link.client.sendDebug(b"\x1b]0;x\x07", True)
        self.pump()
        assert not link.over

    def test_terminals_have_the_size_that_they_say_within_reason(self):
        channel = self.terminal(self.come_in(), 0, 4_000_000_000)
        assert self.ask(channel, b"shell")
        session = self.programs.sessions[0]
        assert session.size == (80, 1_000)
        assert self.ask(channel, b"window-change", struct.pack(">4L", 132, 43, 0, 0))
        assert self.programs.sizes == [(132, 43)]
        assert not self.ask(channel, b"window-change", b"")

    def test_what_comes_early_is_kept(self):
        channel = self.session(self.come_in())
        channel.write(b"early ")
        channel.conn.sendEOF(channel)
        assert self.ask(channel, b"shell")
        assert (self.programs.typed, self.programs.ends) == (b"early ", ["ended"])

    def test_a_program_hears_that_the_client_is_gone(self):
        link = self.come_in()
        self.execute(link, "wait")
        link.there.closed = True
        self.pump()
        assert self.programs.ends == ["gone"]
        self.programs.waiting[0].callback(None)  # what it had begun comes to its end
        self.pump()


class Floods(DoorCase):
    def test_who_types_ahead_is_held_up_by_the_window(self):
        channel = self.execute(self.come_in(), "wait")
        session = self.programs.sessions[0]
        channel.write(b"x" * 1_000_000)
        self.pump()
        assert len(self.programs.typed) == limits.SSH_TYPED_BYTES
        session.feed(hungry=True)
        self.pump()
        assert len(self.programs.typed) == 1_000_000

    def test_who_does_not_read_is_not_written_to(self):
        link = self.come_in()
        channel = self.session(link, localWindow=1_000)
        channel.conn.adjustWindow = lambda *_: None
        assert self.ask(channel, b"exec", NS(b"say 5000"))
        assert len(channel.out) == 1_000
        session = self.programs.sessions[0]
        assert session.full
        del channel.conn.adjustWindow
        channel.conn.adjustWindow(channel, 100_000)
        self.pump()
        assert (len(channel.out), channel.status) == (5_005, 0)

    def test_a_full_connection_holds_up_programs_too(self):
        link = self.come_in()
        channel = self.session(link)
        link.server.pauseProducing()
        link.here.paused = False  # the requests come through before it was full
        assert self.ask(channel, b"exec", NS(b"say 10"))
        assert channel.out == b"x" * 10
        link.server.resumeProducing()
        self.pump()
        assert channel.status == 0

    def test_a_dead_client_is_asked_for_a_sign_of_life_and_cut(self):
        alive, dead = self.come_in(), self.come_in()
        self.links.remove(dead)
        for _ in range(4):
            self.clock.advance(limits.PING_SECONDS + 1)
            self.factory.sweep()
            self.pump()
        assert not alive.over
        assert dead.here.aborted
        self.links.append(dead)


class WhoIsIn(DoorCase):
    def test_a_change_of_standing_ends_what_may_not_be_any_more(self):
        self.know("bob", self.key, user=2)
        alice, bob = self.come_in(), self.come_in("bob")
        del self.known["alice", self.key.public().blob()]
        self.factory.standing_changed(1)
        self.pump()
        assert b"LC-SSH-ENDED" in alice.client.goodbye
        assert not bob.over
        self.refusal = refusals.AuthLocked(name="bob", how="")
        self.factory.standing_changed(2)
        self.pump()
        assert b"LC-AUTH-LOCKED" in bob.client.goodbye

    def test_who_is_in_and_from_where(self):
        self.know("bob", self.key, user=2)
        alice = self.come_in()
        self.come_in("bob")
        self.link(Client(b"x", None))  # a stranger is nobody yet
        assert sorted(self.factory.guests()) == [(1, HOST), (2, HOST)]
        alice.server.end(refusals.SshEnded())
        self.pump()
        assert self.factory.guests() == [(2, HOST)]

    def test_a_lower_role_ends_it_and_a_higher_one_does_not(self):
        self.know("alice", self.key, ServerRole.ADMIN)
        link = self.come_in()
        self.know("alice", self.key, ServerRole.OWNER)
        self.factory.standing_changed(1)
        self.pump()
        assert not link.over
        self.know("alice", self.key, ServerRole.MODERATOR)
        self.factory.standing_changed(1)
        self.pump()
        assert b"LC-SSH-ENDED" in link.client.goodbye

    def test_a_database_that_fails_ends_nothing(self):
        link = self.come_in()
        self.refusal = refusals.StoreFull()
        self.factory.standing_changed(1)
        self.refusal = RuntimeError("on purpose")
        self.factory.standing_changed(1)
        self.pump()
        assert not link.over
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    def test_a_ban_ends_what_comes_from_there(self):
        link, stranger = self.come_in(), self.link(Client(b"x", None))
        self.factory.bans_changed()
        self.pump()
        assert not link.over
        self.banned[HOST] = refusals.Banned()
        self.factory.bans_changed()
        self.pump()
        assert b"LC-BANNED" in link.client.goodbye
        assert stranger.over


class Listener:
    """Stands for the port."""

    def __init__(self):
        self.calls = []

    def privilegedStartService(self):
        self.calls.append("listen")

    def startService(self):
        self.calls.append("start")

    def stopService(self):
        self.calls.append("stop")
        done = Deferred()
        done.callback(None)
        return done


class Services(DoorCase):
    def test_who_is_in_is_told_that_the_server_stops(self):
        service = SshService(Listener(), self.factory)
        service.privilegedStartService()
        service.startService()
        alice = self.come_in()
        deaf = self.come_in()
        self.links.remove(deaf)
        self.clock.advance(1.5)
        stopped = service.stopService()
        self.pump()
        assert b"LC-SHUTDOWN" in alice.client.goodbye
        assert not stopped.called
        for _ in range(100):
            self.clock.advance(0.05)
        assert deaf.here.aborted
        assert self.successResultOf(stopped) is None
        assert service.listener.calls == ["listen", "start", "stop"]
        self.links.append(deaf)

    def test_a_failure_of_the_sweep_is_logged_and_does_not_end_it(self):
        service = SshService(Listener(), self.factory)
        service.startService()
        self.factory.sweep = lambda: 1 / 0
        self.clock.advance(1)
        self.clock.advance(1)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2
        self.successResultOf(service.stopService())
