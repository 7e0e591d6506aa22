"""The link: coming in, staying connected, and what happens at every point where it is cut."""

import msgspec
from twisted.internet.defer import fail, succeed

from lairchat.client import effects, inputs
from lairchat.client.profile import Profile, Session
from lairchat.client.secret import Secret
from lairchat.core.throttle import Rate
from lairchat.features.accounts.rules import Registration
from lairchat.features.key_packages import messages as key_packages
from lairchat.model import faults, limits, refusals
from lairchat.model.refusal import received
from lairchat.wire import codec
from lairchat.wire.objects import Ok, ServerHello
from tests.client.network import (
    HOST,
    IDENTITY,
    KEY_PACKAGES,
    PORT,
    STRANGER,
    NetworkTest,
    Person,
)
from tests.harness import PLENTY


class ComingIn(NetworkTest):
    def test_first_time(self):
        alice = self.person("alice").start()
        assert alice.kinds() == ["Connecting", "Connected", "TrustQuestion"]
        question = alice.last(inputs.TrustQuestion)
        assert (question.host, question.port) == (HOST, PORT)
        assert question.words == " ".join(IDENTITY.id.words())
        alice.trust()
        assert alice.last(inputs.HelloReceived).version == "lair/1"
        needed = alice.last(inputs.AccountNeeded)
        assert (needed.mode, needed.name, needed.registration) == ("register", "alice", "open")
        alice.register()
        assert alice.last(inputs.LoggedIn).user == "alice"
        assert [info.name for info in alice.last(inputs.RoomsSynced).rooms] == ["lobby"]
        assert not alice.of(inputs.CaughtUp)

    def test_the_user_is_asked_in_their_own_time(self):
        """The server closes after 30 s; who compares words for a minute is not interrupted."""
        alice = self.person("alice").start()
        self.network.wait(60)
        assert not self.network.pipe.open
        assert alice.kinds()[:3] == ["Connecting", "Connected", "TrustQuestion"]
        alice.trust()
        assert len(alice.of(inputs.TrustQuestion)) == 1
        assert not alice.of(inputs.Disconnected)
        self.network.wait(60)
        alice.register()
        assert len(alice.of(inputs.AccountNeeded)) == 1
        assert alice.last(inputs.LoggedIn).user == "alice"

    def test_what_was_typed_waits_for_a_server_that_is_away(self):
        alice = self.person("alice").start()
        alice.trust()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        self.network.pipe.cut()
        alice.login("not this one")
        assert alice.last(inputs.Disconnected).code == "LC-NET-REFUSED"
        first = Secret("nor this")
        alice.do(effects.Register("alice", first, ""))
        alice.register()
        assert not first.reveal()
        alice.trust()  # nobody asked: it is no answer to anything
        self.network.refusal = None
        self.network.wait(2)
        assert alice.last(inputs.LoggedIn).user == "alice"

    def test_distrust_ends_it(self):
        alice = self.person("alice").start()
        alice.do(effects.TrustAnswer(False))
        assert self.network.dialled == 1
        assert not self.network.pipe.open
        self.network.wait(60)
        assert alice.kinds()[-1] == "TrustQuestion"
        assert not (alice.root / "servers.json").exists()

    def test_wrong_password_then_the_right_one(self):
        alice = self.person("alice").enter()
        alice.request(effects.Logout)
        password = Secret("wrong")
        alice.do(effects.Login("alice", password))
        assert not password.reveal()
        assert alice.last(inputs.AccountRefused).code == "LC-AUTH-FAILED"
        alice.login()
        assert alice.kinds().count("LoggedIn") == 2

    def test_a_refusal_names_the_field(self):
        alice = self.person("alice").enter()
        other = self.person("bob").start()
        other.trust()
        other.do(effects.Register("alice", Secret("x"), ""))
        refused = other.last(inputs.AccountRefused)
        assert (refused.code, refused.field) == ("LC-NAME-TAKEN", "name")
        assert alice.link.online

    def test_the_second_time_by_token(self):
        alice = self.person("alice").enter()
        alice = self.again(alice).start()
        assert alice.kinds() == [
            "Connecting",
            "Connected",
            "HelloReceived",
            "LoggedIn",
            "StoreLocked",
            "Latency",
            "RoomsSynced",
        ]

    def test_every_resume_turns_the_token(self):
        alice = self.person("alice").enter()
        seen = {alice.link.profile.session().token}
        for _ in range(5):
            self.network.pipe.cut()
            self.network.wait(2)
            seen.add(alice.link.profile.session().token)
        assert len(seen) == 6
        assert len(alice.of(inputs.LoggedIn)) == 6

    def test_a_used_token_asks_for_the_password(self):
        alice = self.person("alice").enter()
        kept = alice.link.profile.session()
        for _ in range(2):
            self.network.pipe.cut()
            self.network.wait(2)
        alice.link.profile.keep_session(kept)
        self.network.pipe.cut()
        self.network.wait(2)
        assert alice.last(inputs.Notice).code == "LC-AUTH-REUSED"
        assert alice.last(inputs.AccountNeeded).name == "alice"
        assert alice.link.profile.session() is None
        alice.login()
        assert alice.link.online

    def test_a_token_nobody_knows(self):
        alice = self.person("alice").enter()
        alice.leave()
        Profile(alice.root, IDENTITY.id, "alice").keep_session(Session("alice", 1, 1, b"x" * 48))
        alice = self.reopened(alice).start()
        assert alice.last(inputs.Notice).code == "LC-AUTH-TOKEN"
        assert alice.last(inputs.AccountNeeded).mode == "login"

    def test_a_server_that_logs_in_somebody_else(self):
        alice = self.person("alice").enter()
        self.person("bob").enter()
        bob = Profile(self.root / "bob", IDENTITY.id, "bob").session()
        alice.leave()
        Profile(alice.root, IDENTITY.id, "alice").keep_session(
            Session("alice", bob.user, bob.device, bob.token)
        )
        alice = self.reopened(alice).start()
        assert alice.last(inputs.Halted).code == "LC-TLS-IDENTITY"

    def test_registration_lost_before_the_answer(self):
        """The account was made; the same form ends as its owner, not with LC-NAME-TAKEN."""
        alice = self.person("alice").start()
        alice.trust()
        self.network.pipe.limit = self.network.pipe.frames
        alice.register()
        assert alice.last(inputs.Disconnected).code == "LC-NET-LOST"
        self.network.wait(2)
        assert alice.last(inputs.LoggedIn).user == "alice"
        assert not alice.of(inputs.AccountRefused)

    def test_registration_lost_before_it_arrived(self):
        alice = self.person("alice").start()
        alice.trust()
        pipe = self.network.pipe
        alice.link.perform(effects.Register("alice", Secret("alice"), ""))
        pipe.server.inbox.clear()
        pipe.cut()
        self.network.wait(2)
        assert alice.last(inputs.LoggedIn).user == "alice"

    def test_another_account_has_its_own_queue_and_socket(self):
        alice = self.person("alice").enter()
        closed = []

        def close():
            closed.append("alice")
            return succeed(None)

        alice.link._close_profile = close
        alice.do(effects.Send(7, 99, "to a room that is not mine", False))
        assert alice.refused == {7: "LC-ROOM-UNKNOWN"}
        alice.request(effects.Logout)
        alice.do(effects.Register("carol", Secret("carol"), ""))
        assert closed == ["alice"]
        assert alice.link.profile.account == "carol"
        assert len(alice.link.outgoing.queue) == 0
        assert alice.link.profile.outbox() == []
        assert len(Profile(alice.root, IDENTITY.id, "alice").outbox()) == 1
        Profile(alice.root, IDENTITY.id, "alice").lock()

    def test_settings(self):
        alice = self.person("alice")
        alice.link.perform(effects.SaveSetting("glyphs", "unicode"))
        alice.enter()
        alice.do(effects.SaveSetting("bell", "off"))
        alice = self.again(alice).start()
        assert dict(alice.last(inputs.SettingsLoaded).settings) == {
            "bell": "off",
            "glyphs": "unicode",
        }

    def test_a_setting_that_cannot_be_kept(self):
        alice = self.person("alice").enter()
        (alice.link.profile.directory / "settings.json").mkdir()
        alice.do(effects.SaveSetting("bell", "off"))
        assert alice.last(inputs.Notice).code == "LC-PROFILE-BROKEN"

    def test_vouched_for_by_an_authority(self):
        alice = self.person("alice")
        alice.dialer.vouched = True
        alice.start()
        assert not alice.of(inputs.TrustQuestion)
        alice.register()
        assert alice.link.online


class ByInvite(NetworkTest):
    options = {"registration": Registration.INVITE}

    def test_the_link_carries_trust_and_invite(self):
        code = self.network.owner_code()
        alice = self.person("alice", code=code, id_prefix=IDENTITY.id.prefix128).start()
        assert not alice.of(inputs.TrustQuestion)
        needed = alice.last(inputs.AccountNeeded)
        assert (needed.mode, needed.invite) == ("register", code)
        alice.do(effects.Register("alice", Secret("alice"), "0" * 26))
        assert alice.last(inputs.AccountRefused).field == "invite"
        alice.register(invite=code)
        assert alice.last(inputs.LoggedIn).role == "owner"
        made = alice.request(effects.CreateInvite, 2)
        assert made.link.startswith(f"lair://{HOST}:{PORT}/i/")
        assert made.note == "It is good for 2 people, within 7 days."
        assert alice.request(effects.CreateInvite).note.startswith("It is good for 1 person")


class Identity(NetworkTest):
    def sent(self):
        """Return how much this client said on its last connection, its hello included."""
        return sum(map(len, self.network.pipes[-1].said)) if self.network.pipes else 0

    def test_another_identity_is_a_hard_stop(self):
        alice = self.person("alice").enter()
        alice.leave()
        self.network.identity = STRANGER
        alice = self.reopened(alice).start()
        changed = alice.last(inputs.IdentityChanged)
        assert changed.old_fingerprint == IDENTITY.id.fingerprint
        assert changed.new_words == " ".join(STRANGER.id.words())
        said = b"".join(self.network.pipes[-1].said)
        assert b"hello" in said
        assert b"cmd" not in said
        dialled = self.network.dialled
        self.network.wait(60)
        assert self.network.dialled == dialled
        assert alice.kinds()[-1] == "IdentityChanged"

    def test_a_link_does_not_replace_what_is_remembered(self):
        """Neither when it names the server that answers, nor when it names the remembered one."""
        alice = self.person("alice").enter()
        alice.leave()
        alice = self.reopened(alice, id_prefix=STRANGER.id.prefix128, code="0" * 26).start()
        changed = alice.last(inputs.IdentityChanged)
        assert changed.old_words == " ".join(STRANGER.id.words())
        assert changed.old_fingerprint == STRANGER.id.fingerprint[:47] + ":..."
        self.network.identity = STRANGER
        again = self.reopened(alice, id_prefix=STRANGER.id.prefix128, code="0" * 26).start()
        assert again.last(inputs.IdentityChanged).old_words == " ".join(IDENTITY.id.words())
        assert not again.of(inputs.AccountNeeded)

    def test_a_link_to_another_server_than_the_one_that_answers(self):
        alice = self.person("alice", id_prefix=STRANGER.id.prefix128, code="0" * 26).start()
        assert alice.kinds()[-1] == "IdentityChanged"
        assert not (alice.root / "servers.json").exists()

    def test_a_link_agrees_with_what_is_remembered(self):
        alice = self.person("alice").enter()
        alice.leave()
        alice = self.reopened(alice, id_prefix=IDENTITY.id.prefix128).start()
        assert alice.link.online

    def test_a_statement_for_another_key(self):
        alice = self.person("alice")
        alice.dialer.prove = lambda host, hello, spki: self.fail_to_prove()
        alice.start()
        assert alice.last(inputs.Halted).code == "LC-TLS-IDENTITY"

    def fail_to_prove(self):
        raise faults.TlsIdentity(host=HOST, why="the signature does not fit")


class Halting(NetworkTest):
    def test_what_trying_again_does_not_change(self):
        for refusal in (
            faults.TlsHost(names="a", host="b"),
            faults.TlsCa(host="b"),
            faults.TlsExpired(host="b", dates="x"),
            faults.TlsVersion(address="b"),
        ):
            self.network.refusal = refusal
            person = self.person(f"p{refusal.code[-4:]}").start()
            assert person.last(inputs.Halted).code == refusal.code
            dialled = self.network.dialled
            self.network.wait(30)
            assert self.network.dialled == dialled
            assert not person.of(inputs.Disconnected)
            self.network.refusal = None
            person.do(effects.Reconnect())
            assert person.kinds()[-1] == "TrustQuestion"

    def test_profile_of_another_process(self):
        alice = self.person("alice").enter()
        other = self.reopened(alice).start()
        assert other.last(inputs.Halted).code == "LC-PROFILE-LOCKED"

    def test_broken_queue(self):
        alice = self.person("alice").enter()
        alice.leave()
        outbox = Profile(alice.root, IDENTITY.id, "alice").directory / "outbox.json"
        outbox.write_text("{")
        other = self.reopened(alice).start()
        assert other.last(inputs.Halted).code == "LC-PROFILE-BROKEN"
        outbox.unlink()
        other.do(effects.Reconnect())
        assert other.link.online

    def test_no_version_in_common(self):
        alice = self.person("alice").enter()
        alice.link.connection.abort(received("LC-VERSION", "nothing in common"))
        self.settle()
        assert alice.last(inputs.Halted).code == "LC-VERSION"

    def test_a_fault_of_ours_is_told(self):
        alice = self.person("alice")
        alice.dialer.dial = lambda *_: 1 / 0
        alice.start()
        assert alice.last(inputs.Halted).code == "LC-CLIENT"
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Reconnecting(NetworkTest):
    def test_first_try_within_a_second_then_slower_to_a_cap(self):
        alice = self.person("alice").enter()
        self.network.down()
        self.network.wait(300)
        waits = [one.retry_in for one in alice.of(inputs.Disconnected)]
        assert 0.5 <= waits[0] <= 1
        assert all(wait <= 15 for wait in waits)
        assert all(wait >= 7.5 for wait in waits[5:])
        assert len(set(waits[5:])) > 5, "no jitter"
        codes = [one.code for one in alice.of(inputs.Disconnected)]
        assert codes[0] == "LC-NET-LOST"
        assert set(codes[1:]) == {"LC-NET-REFUSED"}
        self.network.up()  # with a new database: it knows nobody
        self.network.wait(16)
        assert alice.last(inputs.Notice).code == "LC-AUTH-TOKEN"

    def test_the_wait_is_in_the_words(self):
        alice = self.person("alice").enter()
        self.network.pipe.cut()
        gone = alice.last(inputs.Disconnected)
        assert f"Next try in {gone.retry_in:.1f} s" in gone.text

    def test_after_success_the_wait_is_short_again(self):
        alice = self.person("alice").enter()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        self.network.pipe.cut()
        self.network.wait(40)
        self.network.refusal = None
        self.network.wait(16)
        assert alice.link.online
        self.network.pipe.cut()
        assert alice.last(inputs.Disconnected).retry_in <= 1

    def test_a_refusal_says_how_long_to_wait(self):
        self.network.refusal = refusals.TooManyConnections(retry_after=7.0)
        alice = self.person("alice").start()
        assert alice.last(inputs.Disconnected).retry_in == 7.0

    def test_now(self):
        alice = self.person("alice").enter()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        self.network.pipe.cut()
        self.network.wait(30)
        self.network.refusal = None
        dialled = self.network.dialled
        alice.do(effects.Reconnect())
        assert self.network.dialled == dialled + 1
        assert alice.link.online
        alice.do(effects.Reconnect())  # when connected: anew
        assert not alice.link.online
        self.network.wait(1)
        assert alice.link.online

    def test_now_while_dialling_makes_no_second_connection(self):
        self.network.slow = True
        alice = self.person("alice").start()
        alice.do(effects.Reconnect())
        alice.do(effects.Reconnect())
        assert self.network.dialled == 1
        alice.link.start()
        assert self.network.dialled == 1
        self.network.waiting[0].callback(None)
        self.settle()
        assert len(self.network.pipes) == 1

    def test_silence_is_an_end(self):
        alice = self.person("alice").enter()
        pipe = self.network.pipe
        assert alice.last(inputs.Latency).milliseconds == 0
        self.network.wait(60)
        assert pipe.open
        assert len(alice.of(inputs.Latency)) >= 4
        pipe.server.paused = True  # the cable is pulled
        self.network.wait(61)
        assert not pipe.open
        assert alice.of(inputs.Disconnected)[0].code == "LC-NET-LOST"

    def test_a_server_that_never_says_hello(self):
        self.network.tamper = lambda frames: []
        alice = self.person("alice").start()
        self.network.wait(61)
        assert alice.last(inputs.Disconnected).code in {"LC-NET-LOST", "LC-TIMEOUT"}

    def test_garbage_from_the_server(self):
        alice = self.person("alice").enter()
        alice.link.connection.dataReceived(b"\x00\x00\x00\x01\xc1")
        assert alice.last(inputs.Disconnected).code == "LC-NET-LOST"
        self.network.wait(2)
        assert alice.link.online

    def test_goodbye_of_the_server(self):
        alice = self.person("alice").enter()
        server = self.network.pipe.server.protocol
        refusal = refusals.ShuttingDown(retry_after=3.0)
        server.close(refusal.code, refusal.text)
        self.settle()
        assert alice.last(inputs.Disconnected).code == "LC-SHUTDOWN"


class Stopping(NetworkTest):
    def stopped(self, person):
        done = []
        person.link.stop().addCallback(done.append)
        self.settle()
        assert done == [None]
        said = len(person.inputs)
        dialled = self.network.dialled
        self.network.wait(60)
        assert len(person.inputs) == said
        assert self.network.dialled == dialled
        assert person.link._living is None

    def test_when_online(self):
        alice = self.person("alice").enter()
        pipe = self.network.pipe
        self.stopped(alice)
        assert b"bye" in pipe.said[-1]
        other = Profile(alice.root, IDENTITY.id, "alice")
        other.lock()
        other.unlock()
        self.stopped(alice)  # a second time changes nothing
        alice.link.start()
        self.network.wait(5)
        assert not alice.link.online

    def test_while_dialling(self):
        self.network.slow = True
        alice = self.person("alice").start()
        self.stopped(alice)
        self.network.waiting[0].callback(None)
        self.settle()
        assert not self.network.pipes

    def test_while_asking(self):
        alice = self.person("alice").start()
        assert alice.kinds()[-1] == "TrustQuestion"
        self.stopped(alice)
        bob = self.person("bob").start()
        bob.trust()
        assert bob.kinds()[-1] == "AccountNeeded"
        self.stopped(bob)
        assert not [pipe for pipe in self.network.pipes if pipe.open]

    def test_while_waiting(self):
        alice = self.person("alice").enter()
        self.network.down()
        self.network.wait(3)
        done = []
        alice.link.stop().addCallback(done.append)
        self.network.clock.advance(0)
        assert done == [None]

    def test_from_within(self):
        """The core may wish to quit because of what it is just told."""
        alice = self.person("alice")
        done = []

        def take(one):
            if isinstance(one, kind):
                alice.link.stop().addCallback(done.append)

        for kind in (inputs.Connecting, inputs.TrustQuestion, inputs.LoggedIn, inputs.Halted):
            alice = self.person(kind.__name__)
            alice.link.deliver = take
            if kind is inputs.Halted:
                self.network.refusal = faults.TlsCa(host="b")
            alice.start()
            alice.trust()
            alice.register()
            self.network.wait(2)
        assert done == [None] * 4
        assert not self.flushLoggedErrors()

    def test_a_server_that_does_not_let_go(self):
        alice = self.person("alice").enter()
        self.network.pipe.server.paused = True
        self.network.pipe.client.loseConnection = lambda: None
        done = []
        alice.link.stop().addCallback(done.append)
        self.network.wait(0.9)
        assert not done
        self.network.wait(0.3)
        assert done == [None]


class LoggingOut(NetworkTest):
    def test_this_device(self):
        alice = self.person("alice").enter()
        done = alice.request(effects.Logout)
        assert isinstance(done, inputs.CommandDone)
        assert alice.last(inputs.LoggedOut).text == "logged out"
        assert not alice.of(inputs.Disconnected)
        assert alice.last(inputs.AccountNeeded).mode == "login"
        assert alice.link.profile.session() is None
        alice.login()
        assert alice.link.online
        assert not alice.of(inputs.CaughtUp)

    def test_everywhere(self):
        alice = self.person("alice").enter()
        second = Person(self.network, self.root / "second", "alice")
        self.people.append(second)
        second.start()
        second.trust()
        second.login()
        alice.request(effects.Logout, True)
        assert alice.last(inputs.LoggedOut).text == "logged out everywhere"
        assert second.of(inputs.LoggedOut)
        assert second.kinds()[-1] == "AccountNeeded"

    def test_ended_by_the_server(self):
        alice = self.person("alice").enter()
        second = Person(self.network, self.root / "second", "alice")
        self.people.append(second)
        second.start()
        second.trust()
        second.login()
        changed = second.request(effects.ChangePassword, Secret("alice"), Secret("new"))
        assert isinstance(changed, inputs.CommandDone)
        assert second.link.online
        assert alice.last(inputs.LoggedOut).text
        assert "LC-NET-LOST" not in alice.last(inputs.LoggedOut).text
        assert alice.kinds()[-1] == "AccountNeeded"

    def test_lost_before_the_answer(self):
        alice = self.person("alice").enter()
        self.network.pipe.limit = self.network.pipe.frames
        failed = alice.request(effects.Logout)
        assert failed.code == "LC-NET-LOST"
        assert not alice.of(inputs.LoggedOut)
        self.network.wait(2)
        assert alice.last(inputs.Notice).code == "LC-AUTH-TOKEN"
        assert alice.kinds()[-1] == "AccountNeeded"


class Sending(NetworkTest):
    def test_online(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        ticket = alice.say("hello")
        self.settle()
        assert alice.acknowledged == {ticket: 3}
        assert bob.texts() == ["hello"]
        assert alice.link.profile.outbox() == []
        waves = alice.say("waves", action=True)
        self.settle()
        assert bob.shown[bob.lobby][alice.acknowledged[waves]].kind == "action"

    def test_queued_offline_and_sent_in_order(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        self.network.pipes[0].cut()
        for number in range(20):
            alice.say(f"number {number}")
        assert len(alice.link.profile.outbox()) == 20
        self.network.wait(2)
        assert bob.texts() == [f"number {number}" for number in range(20)]
        assert sorted(alice.acknowledged) == list(range(1, 21))
        assert alice.link.profile.outbox() == []

    def test_a_lost_answer_is_no_second_message(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        pipe = self.network.pipes[0]
        pipe.limit = pipe.frames
        first, second = alice.say("once"), alice.say("after it")
        self.settle()
        assert not pipe.open
        assert bob.texts() == ["once"]
        self.network.wait(2)
        assert bob.texts() == ["once", "after it"]
        assert alice.acknowledged[first] < alice.acknowledged[second]
        echo = [one.message for one in alice.of(inputs.MessageArrived) if one.message.ticket]
        assert [(one.ticket, one.text) for one in echo] == [(first, "once")]

    def test_refused_then_sent_again_with_a_new_id(self):
        alice = self.person("alice").enter()
        room = alice.request(effects.Create, "ops", "public").room.id
        bob = self.person("bob").enter()
        bob.request(effects.Join, "ops")
        alice.request(effects.Kick, room, "bob", "")
        ticket = bob.say("let me in", room)
        self.settle()
        assert bob.refused == {ticket: "LC-NOT-MEMBER"}
        kept = bob.link.profile.outbox()
        assert kept[0]["failed"] == "LC-NOT-MEMBER"
        bob.request(effects.Join, "ops")
        bob.do(effects.Resend(ticket))
        assert ticket in bob.acknowledged
        assert bob.link.profile.outbox() == []
        bob.do(effects.Resend(99))
        lost = bob.say("nobody", 12345)
        self.settle()
        bob.do(effects.Discard(lost))
        assert bob.link.profile.outbox() == []

    def test_restored_after_a_restart(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        alice.do(effects.Send(50, 999, "to nowhere", False))
        self.network.pipes[0].cut()
        alice.say("kept")
        alice.leave()
        alice = self.reopened(alice).start()
        restored = alice.last(inputs.OutboxRestored).items
        assert [(one.ticket, one.text, one.failed) for one in restored] == [
            (-1, "to nowhere", "LC-ROOM-UNKNOWN"),
            (-2, "kept", ""),
        ]
        assert bob.texts() == ["kept"]
        assert list(alice.acknowledged) == [-2]
        self.network.pipes[0].cut()
        self.network.wait(2)
        assert len(alice.of(inputs.OutboxRestored)) == 1

    def test_a_text_that_is_none_stops_nobody(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        alice.say("\udcff lone surrogate")
        huge = alice.say("x" * 100_000)
        alice.say("after it")
        self.settle()
        assert bob.texts() == ["? lone surrogate", "after it"]
        assert huge in alice.refused
        self.flushLoggedErrors()

    def test_a_full_disk_is_told_once_and_stops_nothing(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        self.network.pipes[0].cut()
        (alice.link.profile.directory / "outbox.json").mkdir()
        alice.say("one")
        alice.say("two")
        self.network.wait(2)
        assert bob.texts() == ["one", "two"]
        notices = [one.code for one in alice.of(inputs.Notice)]
        assert notices == ["LC-PROFILE-BROKEN"]


class HostileServer(NetworkTest):
    """What a server says cannot break what is kept here, nor stop this program."""

    def tampered(self, change):
        def tamper(frames):
            changed = []
            for one in frames:
                decoded = codec.decode_server(one[4:])
                changed.append(codec.encode(change(decoded)))
            return changed

        self.network.tamper = tamper

    def test_a_token_that_is_none(self):
        alice = self.person("alice").enter()

        def change(frame):
            if isinstance(frame, Ok):
                body = msgspec.msgpack.decode(frame.body)
                if "token" in body:
                    body["token"] = b"short"
                    return Ok(frame.id, msgspec.Raw(msgspec.msgpack.encode(body)))
            return frame

        self.tampered(change)
        alice.leave()
        kept = Profile(alice.root, IDENTITY.id, "alice").session().token
        again = self.reopened(alice).start()
        assert not again.link.online
        self.network.tamper = None
        assert Profile(alice.root, IDENTITY.id, "alice").session().token == kept
        self.network.wait(20)
        assert again.link.online

    def test_a_clock_beyond_all_time(self):
        times = {"early": 0, "late": 2**48, "never": limits.INTEGER_MAX}
        for name, now in times.items():
            self.tampered(
                lambda frame, now=now: (
                    msgspec.structs.replace(frame, now=now)
                    if isinstance(frame, ServerHello)
                    else frame
                )
            )
            person = self.person(name).enter()
            ticket = person.say("x")
            self.settle()
            assert ticket in person.acknowledged or ticket in person.refused
        assert not self.flushLoggedErrors()

    def test_our_own_clock_jumps(self):
        """Ids of messages follow the server's clock as it was told, whatever ours does."""
        alice = self.person("alice").enter()
        for jump in (10 * 365 * limits.DAY, -10 * 365 * limits.DAY, -(10**9)):
            alice.link.now = lambda jump=jump: self.network.server.now() + jump * 1000
            ticket = alice.say("after the jump")
            self.settle()
            assert ticket in alice.acknowledged
        self.network.wait(3)
        assert alice.link.server_now() == self.network.server.now()


class RateLimited(NetworkTest):
    options = {"rates": {**PLENTY, "message": Rate(burst=2, per_second=1)}}

    def test_all_are_delivered_in_order(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        for number in range(5):
            alice.say(f"{number}")
        self.settle()
        waits = [one for one in alice.of(inputs.SendRefused) if one.retry_after]
        assert len(waits) == 1
        for _ in range(10):
            alice.link.outgoing._next()
        self.settle()
        assert len(alice.of(inputs.SendRefused)) == 1, "asked again before it was time"
        self.network.wait(5)
        assert bob.texts() == ["0", "1", "2", "3", "4"]
        assert len(alice.acknowledged) == 5
        assert not alice.refused

    def test_stop_while_held_back(self):
        alice = self.person("alice").enter()
        for number in range(5):
            alice.say(f"{number}")
        self.settle()
        alice.leave()
        self.network.wait(10)
        assert len(alice.acknowledged) == 2
        assert len(Profile(alice.root, IDENTITY.id, "alice").outbox()) == 3


class BusyForAMoment(NetworkTest):
    """A server that puts one question off says when to ask it again; so it is asked again."""

    def test_the_device_and_its_key_packages_come_up_later(self):
        for name in ("identity.publish", "device.prove", "keys.publish"):
            self._comes_up_without(name)

    def _registered(self, name, put_off, fault):
        """Register; the first of these commands fails as said."""
        alice = self.person(name).start()
        alice.trust()
        ask, failed = alice.link.ask, []

        def failing(command, request, key=None):
            if command.name == put_off and not failed:
                failed.append(command)
                return fail(fault)
            return ask(command, request, key)

        alice.link.ask = failing
        alice.register()
        assert failed
        assert alice.link.online
        return alice

    def _comes_up_without(self, name):
        alice = self._registered(name.replace(".", "-"), name, refusals.Busy(retry_after=1.0))
        assert alice.link.sealed.ready == (name == "keys.publish")
        self.network.wait(10)
        assert alice.link.sealed.ready
        left = self._left(alice)
        assert (left.one_time, left.last_resort is None) == (KEY_PACKAGES, False)
        assert not alice.of(inputs.Notice)
        assert not alice.of(inputs.Disconnected)

    def _left(self, person):
        count = person.link.ask(key_packages.COUNT, key_packages.CountKeys())
        return self.network.server.result(count)

    def test_what_no_wait_mends_is_said_and_the_plain_rooms_are_there(self):
        alice = self._registered("alice", "device.prove", refusals.DeviceUnproven())
        assert alice.last(inputs.Notice).code == refusals.DeviceUnproven.code
        self.network.wait(60)
        assert not alice.link.sealed.ready
        ticket = alice.say("hello")
        self.settle()
        assert ticket in alice.acknowledged

    def test_key_packages_that_the_server_does_not_take(self):
        refused = refusals.KeyPackagesMax(limit=KEY_PACKAGES)
        alice = self._registered("alice", "keys.publish", refused)
        self.network.wait(60)
        assert alice.link.sealed.ready
        assert self._left(alice).one_time == 0
        # The next connection brings what is here already.
        self.network.pipe.cut()
        self.network.wait(5)
        assert self._left(alice).one_time == KEY_PACKAGES

    def test_a_fault_of_ours_is_in_the_log(self):
        alice = self._registered("alice", "keys.count", ZeroDivisionError())
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert alice.link.sealed.ready
