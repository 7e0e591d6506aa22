"""Logging in by name and secret: what guessers get, and what owners get in spite of them."""

import pathlib

from twisted.internet.defer import execute
from twisted.trial.unittest import TestCase

from lairchat.features.accounts import tables
from lairchat.features.accounts.hashing import Hashing
from lairchat.features.accounts.messages import (
    CHANGE_SECRET,
    LIST_SESSIONS,
    LOGIN,
    LOGOUT,
    REGISTER,
)
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.model.refusals import (
    AuthBusy,
    AuthDelay,
    AuthFailed,
    AuthLocked,
    DeviceUnknown,
    LabelBad,
)
from lairchat.model.roles import ServerRole
from lairchat.storage import log
from tests.harness import CHEAP, Client, Held, Server, accounts, predictable, secret_of

WRONG = secret_of("not the password")


def lock(server, name):
    server.change(
        lambda connection: connection.execute(
            tables.users.update().where(tables.users.c.name == name).values(state=tables.LOCKED)
        )
    )


class Case(TestCase):
    def setUp(self):
        self.hashing = Hashing(execute, predictable(), cost=CHEAP)
        self.server = Server([accounts(hashing=self.hashing)])
        self.alice = self.server.member("alice", address="198.51.100.1")
        self.hashing.evaluated = 0

    def connect(self, address="192.0.2.1"):
        return Client(self.server, address)

    def guess(self, name="alice", address="192.0.2.1"):
        """Try a wrong secret and return the refusal."""
        client = Client(self.server, address)
        return self.assertRaises((AuthFailed, AuthDelay), client.login, name, secret=WRONG)

    def guess_until_delayed(self, **where):
        for _ in range(limits.LOGIN_FAILURES_FREE):
            self.assertIsInstance(self.guess(**where), AuthFailed)
        refusal = self.guess(**where)
        self.assertIsInstance(refusal, AuthDelay)
        return refusal


class LoginTests(Case):
    def test_name_in_any_case_and_secret(self):
        client = self.connect()
        grant = client.login("ALICE", secret=secret_of("alice"), label="desk")
        self.assertEqual((grant.user, grant.name, grant.role), (1, "alice", "user"))
        self.assertTrue(client.is_authenticated)
        self.assertNotEqual(grant.device, self.alice.session.device)
        self.assertNotEqual(grant.token, self.alice.session.token)
        labels = [one.label for one in client.ask(LIST_SESSIONS).sessions]
        self.assertEqual(labels, ["desk", ""])

    def test_a_device_is_continued_and_its_session_before_is_over(self):
        device = self.alice.session.device
        client = self.connect()
        grant = client.login("alice", device=device, label="new name")
        self.assertEqual(grant.device, device)
        self.assertEqual(self.alice.closed, "LC-AUTH-TOKEN")
        (session,) = client.ask(LIST_SESSIONS).sessions
        self.assertEqual((session.session, session.label), (grant.session, "new name"))

    def test_a_device_keeps_its_label_when_none_is_given(self):
        client = self.connect()
        first = client.login("alice", label="desk")
        client.ask(LOGOUT)
        again = self.connect()
        again.login("alice", device=first.device)
        labels = [one.label for one in again.ask(LIST_SESSIONS).sessions if one.current]
        self.assertEqual(labels, ["desk"])

    def test_nobody_elses_device(self):
        bob = self.server.member("bob")
        for device in (bob.session.device, 999):
            refusal = self.assertRaises(DeviceUnknown, self.connect().login, "alice", device=device)
            self.assertEqual(refusal.field, "$.device")

    def test_a_label_with_controls(self):
        refusal = self.assertRaises(LabelBad, self.connect().login, "alice", label="\x1b]0;")
        self.assertEqual(refusal.field, "$.label")
        self.assertEqual(self.hashing.evaluated, 0)

    def test_a_locked_account_is_told_to_whoever_knows_its_secret_only(self):
        lock(self.server, "alice")
        self.assertRaises(AuthLocked, self.connect().login, "alice")
        self.assertIsInstance(self.guess(), AuthFailed)

    def test_a_login_under_way_does_not_outlive_a_change_of_the_secret(self):
        held = Held()
        server = Server([accounts(hashing=Hashing(held.run, predictable(), cost=CHEAP))])
        alice = Client(server)
        registering = alice.give(REGISTER, name="alice", secret=secret_of("old"))
        held.finish_one()
        server.settle()
        alice.session = alice.answer(registering)
        thief = Client(server)
        stolen = thief.give(LOGIN, name="alice", secret=secret_of("old"))
        server.settle()
        changing = alice.give(CHANGE_SECRET, old=secret_of("old"), new=secret_of("new"))
        server.settle()
        # The thief's secret is judged right, but is committed after the change.
        work = held.jobs.pop(0)
        held.finish_one()
        held.finish_one()
        held.jobs.append(work)
        held.finish_one()
        server.settle()
        alice.answer(changing)
        self.assertRaises(AuthFailed, thief.answer, stolen)
        self.assertFalse(thief.is_authenticated)

    def test_a_client_that_goes_away_meanwhile_is_harmless(self):
        client = self.connect()
        client.give(LOGIN, name="alice", secret=secret_of("alice"))
        client.disconnect()
        self.server.settle()
        self.assertEqual(self.server.hub.peers_of(1), [self.alice.peer])


class GuessingTests(Case):
    def test_a_wrong_secret_says_how_many_tries_are_left(self):
        refusal = self.guess()
        self.assertIn("try 1 of 5", refusal.text)
        self.assertIn("try 2 of 5", self.guess().text)

    def test_a_name_that_nobody_has_gets_the_same_answer_for_the_same_work(self):
        for name in ("nobody", "", "\x00\x1b[2J", "x" * 128, "\u212aelvin"):
            self.hashing.evaluated = 0
            known = self.guess("alice", "192.0.2.2")
            work, self.hashing.evaluated = self.hashing.evaluated, 0
            unknown = self.guess(name, "192.0.2.3")
            self.assertEqual(self.hashing.evaluated, work)
            self.assertEqual((known.code, known.field), (unknown.code, unknown.field))
            self.server.change(lambda connection: tables.forget_attempts(connection, 2**62))

    def test_a_name_that_nobody_has_is_delayed_alike(self):
        self.assertEqual(
            self.guess_until_delayed(name="nobody").text,
            self.guess_until_delayed(name="alice").text,
        )

    def test_after_five_failures_the_next_has_to_wait_and_is_not_judged(self):
        refusal = self.guess_until_delayed()
        self.assertEqual(refusal.retry_after, 5.0)
        self.assertEqual(self.hashing.evaluated, 5)
        self.assertRaises(AuthDelay, self.connect().login, "alice")
        self.assertEqual(self.hashing.evaluated, 5)

    def test_each_failure_more_doubles_the_delay(self):
        waits = []
        wait = self.guess_until_delayed().retry_after
        for _ in range(9):
            waits.append(wait)
            self.server.wait(wait)
            self.assertIsInstance(self.guess(), AuthFailed)
            wait = self.guess().retry_after
        self.assertEqual(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900])

    def test_who_is_right_after_the_delay_clears_the_count(self):
        self.server.wait(self.guess_until_delayed().retry_after)
        self.connect().login("alice")
        self.assertIn("try 1 of 5", self.guess().text)

    def test_a_delay_is_for_one_address_and_one_name(self):
        self.server.member("bob")
        self.guess_until_delayed(address="192.0.2.7")
        self.connect("192.0.2.8").login("alice")
        self.connect("192.0.2.7").login("bob")

    def test_names_are_counted_together_in_any_case(self):
        for name in ("alice", "Alice", "ALICE", "aLICE", "alicE"):
            self.assertIsInstance(self.guess(name), AuthFailed)
        self.assertIsInstance(self.guess("AlIcE"), AuthDelay)

    def test_a_whole_ipv6_network_is_one_address(self):
        for host in range(5):
            self.assertIsInstance(self.guess(address=f"2001:db8::{host}"), AuthFailed)
        self.assertIsInstance(self.guess(address="2001:db8::ffff:1"), AuthDelay)
        self.assertIsInstance(self.guess(address="2001:db8:0:1::1"), AuthFailed)

    def test_of_many_guesses_at_once_no_more_are_judged_than_of_guesses_in_a_row(self):
        clients = [self.connect() for _ in range(40)]
        requests = [client.give(LOGIN, name="alice", secret=WRONG) for client in clients]
        self.server.settle()
        self.assertEqual(self.hashing.evaluated, limits.LOGIN_FAILURES_FREE)
        for client, request in zip(clients, requests, strict=True):
            self.assertRaises((AuthFailed, AuthDelay), client.answer, request)

    def test_of_guesses_from_everywhere_few_are_judged_and_the_owner_gets_in(self):
        """security.md: at most 30 evaluated per account, the owner still logs in."""
        for number in range(1_500):
            self.guess(address=f"10.{number % 200}.{number // 200}.1")
            if number % 15 == 14:
                self.server.wait(6)  # ten minutes in all
        self.assertTrue(20 <= self.hashing.evaluated <= 30, self.hashing.evaluated)
        self.connect("198.51.100.1").resume(self.alice.session.token)

    def test_failures_are_forgotten_after_a_day(self):
        self.guess_until_delayed()
        self.server.wait(limits.LOGIN_ATTEMPTS_KEPT_SECONDS)
        self.assertIn("try 1 of 5", self.guess().text)

    def test_upkeep_deletes_what_is_forgotten_and_nothing_else(self):
        self.guess(address="192.0.2.1")
        self.server.wait(limits.LOGIN_ATTEMPTS_KEPT_SECONDS - 10)
        self.guess(address="192.0.2.2")
        self.server.wait(20)
        self.server.upkeep()
        rows = self.server.look(
            lambda connection: connection.exec_driver_sql(
                "SELECT failures FROM login_attempts ORDER BY failures"
            ).all()
        )
        self.assertEqual([row[0] for row in rows], [1, 2])  # the address, and the account

    def test_neither_names_nor_addresses_are_kept_readable(self):
        self.guess("mallory", "203.0.113.9")
        rows = self.server.look(
            lambda connection: str(connection.exec_driver_sql("SELECT * FROM login_attempts").all())
        )
        self.assertNotIn("mallory", rows)
        self.assertNotIn("203.0.113", rows)


class RestartTests(TestCase):
    def test_a_restart_does_not_forgive(self):
        url = f"sqlite:///{pathlib.Path(self.mktemp()).absolute()}"
        server = Server([accounts()], url=url)
        server.member("alice")
        for _ in range(5):
            self.assertRaises(AuthFailed, Client(server).login, "alice", secret=WRONG)
        server.close()
        hashing = Hashing(execute, predictable(), cost=CHEAP)
        server = Server([accounts(hashing=hashing)], url=url)
        self.assertRaises(AuthDelay, Client(server).login, "alice")
        self.assertEqual(hashing.evaluated, 0)
        server.close()


class BusyTests(TestCase):
    """More logins than the threads can judge."""

    def setUp(self):
        self.held = Held()
        hashing = Hashing(self.held.run, predictable(), cost=CHEAP, workers=1, queue=1)
        self.server = Server([accounts(hashing=hashing)])
        self.server.change(
            lambda connection: tables.create_user(
                connection,
                "alice",
                ServerRole.USER,
                CHEAP.hash(secret_of("alice"), bytes(16)),
                0,
            )
        )

    def give(self, secret):
        client = Client(self.server)
        return client, client.give(LOGIN, name="alice", secret=secret)

    def failures(self):
        rows = self.server.look(
            lambda connection: connection.exec_driver_sql("SELECT failures FROM login_attempts")
        )
        return {row[0] for row in rows}

    def test_when_the_queue_is_full_the_answer_comes_before_anything_is_counted(self):
        for _ in range(2):
            self.give(WRONG)
            self.server.settle()
        client, request = self.give(secret_of("alice"))
        refusal = self.assertRaises(AuthBusy, self.settled, client, request)
        self.assertGreater(refusal.retry_after, 0)
        self.assertEqual(self.failures(), {2})

    def test_who_found_it_full_too_late_is_uncounted(self):
        given = [self.give(WRONG) for _ in range(4)]
        self.server.settle()
        for client, request in given[2:]:
            self.assertRaises(AuthBusy, client.answer, request)
        self.assertEqual(self.failures(), {2})
        self.held.finish_one()
        self.held.finish_one()
        self.server.settle()
        for client, request in given[:2]:
            self.assertRaises(AuthFailed, client.answer, request)

    def settled(self, client, request):
        self.server.settle()
        return client.answer(request)


class ManySessionsTests(Case):
    def test_the_oldest_session_ends_when_there_are_too_many(self):
        self.server.wait(1)
        clients = [self.connect() for _ in range(limits.SESSIONS_PER_USER - 1)]
        for client in clients:
            client.login("alice")
        self.assertIsNone(self.alice.closed)
        last = self.connect()
        last.login("alice")
        self.assertEqual(self.alice.closed, "LC-AUTH-TOKEN")
        self.assertEqual(
            [one.code for one in self.alice.events("session.ended")], ["LC-AUTH-TOKEN"]
        )
        self.assertTrue(all(client.closed is None for client in clients))
        self.assertEqual(len(last.ask(LIST_SESSIONS).sessions), limits.SESSIONS_PER_USER)

    def test_the_oldest_connection_closes_when_there_are_too_many(self):
        token, clients = self.alice.session.token, []
        for _ in range(limits.CONNECTIONS_PER_USER - 1):
            client = self.connect()
            token = client.resume(token).token
            clients.append(client)
        self.assertIsNone(self.alice.closed)
        last = self.connect()
        last.resume(token)
        self.assertEqual(self.alice.closed, "LC-CONNECTIONS-OWN")
        self.assertTrue(all(client.closed is None for client in [*clients, last]))
        self.assertEqual(
            self.server.hub.peers_of(last.session.user),
            [client.peer for client in [*clients, last]],
        )
        last.ask(LIST_SESSIONS)

    def test_devices_without_a_session_are_forgotten_beyond_the_newest(self):
        for _ in range(limits.DEVICES_KEPT + 5):
            client = self.connect()
            client.login("alice")
            client.ask(LOGOUT)
        client = self.connect()
        client.login("alice")
        rows = self.server.look(
            lambda connection: connection.exec_driver_sql("SELECT count(*) FROM devices").scalar()
        )
        self.assertEqual(rows, limits.DEVICES_KEPT + 2)

    def test_how_far_a_forgotten_device_has_read_is_kept_but_not_by_device(self):
        read = self.connect()
        read.login("alice")
        device = read.session.device

        def follow(connection):
            log.create_head(connection, 7)
            log.append(connection, [log.Entry(7, 1, 1, EventClass.APP, bytes(16), b"hi", 0)])
            log.move_cursor(connection, 1, device, 7, 1)

        self.server.change(follow)
        read.ask(LOGOUT)
        for _ in range(limits.DEVICES_KEPT):
            client = self.connect()
            client.login("alice")
            client.ask(LOGOUT)
        kept = self.server.look(lambda connection: log.cursors_of_user(connection, 1))
        self.assertEqual([(one.device, one.seq) for one in kept], [(device, 1)])
        last = self.connect()
        last.login("alice")
        last.ask(LOGOUT)
        self.connect().login("alice")
        kept = self.server.look(lambda connection: log.cursors_of_user(connection, 1))
        self.assertEqual([(one.device, one.seq) for one in kept], [(0, 1)])
