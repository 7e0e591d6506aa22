"""Sessions: tokens that rotate, copies that give themselves away, and every way to end one."""

from twisted.internet.defer import execute
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from lairchat.core.portal import DerivedSecret, SessionToken
from lairchat.features.accounts import tables
from lairchat.features.accounts.hashing import Hashing
from lairchat.features.accounts.messages import (
    CHANGE_SECRET,
    CREATE_INVITE,
    LIST_INVITES,
    LIST_SESSIONS,
    LOGIN,
    LOGOUT,
    LOGOUT_ALL,
    REGISTER,
    RESUME,
    REVOKE_INVITE,
)
from lairchat.features.accounts.server import create_owner_invite
from lairchat.model import limits
from lairchat.model.refusals import (
    AuthBusy,
    AuthDelay,
    AuthFailed,
    AuthLocked,
    AuthReused,
    AuthToken,
    Denied,
    InviteBad,
)
from lairchat.model.roles import ServerRole
from lairchat.wire.objects import Ok
from tests.harness import CHEAP, Client, Held, Server, accounts, predictable, secret_of


class Case(TestCase):
    def setUp(self):
        self.hashing = Hashing(execute, predictable(), cost=CHEAP)
        self.server = Server([accounts(hashing=self.hashing)])
        self.alice = self.server.member("alice")

    def connect(self):
        return Client(self.server)

    def resume(self, token):
        client = self.connect()
        client.resume(token)
        return client

    def assert_ended(self, *clients, code="LC-AUTH-TOKEN"):
        for client in clients:
            self.assertEqual(client.closed, code)
            self.assertEqual([one.code for one in client.events("session.ended")], [code])


class ResumeTests(Case):
    def test_a_token_logs_in_without_a_hash(self):
        before = self.hashing.evaluated
        client = self.resume(self.alice.session.token)
        self.assertEqual(self.hashing.evaluated, before)
        self.assertTrue(client.is_authenticated)
        granted, first = client.session, self.alice.session
        self.assertEqual(
            (granted.user, granted.name, granted.role, granted.device, granted.session),
            (first.user, first.name, first.role, first.device, first.session),
        )
        self.assertNotEqual(granted.token, first.token)

    def test_of_a_token_hashes_are_kept(self):
        token = self.resume(self.alice.session.token).session.token
        row = self.server.look(lambda connection: tables.session_by_lookup(connection, token[:16]))
        self.assertNotIn(token[16:], (row.current, row.next))
        self.assertNotIn("current=", repr(row))

    def test_the_token_before_stays_good_until_the_new_one_is_used(self):
        first = self.alice.session.token
        # Three answers that never arrived.
        lost = [self.resume(first).session.token for _ in range(3)]
        self.assertEqual(len(set(lost)), 3)
        second = self.resume(lost[-1]).session.token
        third = self.resume(second).session.token
        self.resume(third)

    def test_an_older_token_ends_the_session_and_its_connections(self):
        first = self.alice.session.token
        owner = self.resume(self.resume(first).session.token)
        bystander = self.connect()
        bystander.login("alice")
        thief = self.connect()
        self.assertRaises(AuthReused, thief.resume, first)
        self.assertFalse(thief.is_authenticated)
        self.assert_ended(self.alice, owner, code="LC-AUTH-REUSED")
        self.assertIsNone(bystander.closed)
        for token in (first, owner.session.token):
            self.assertRaises(AuthToken, self.connect().resume, token)

    def test_an_answer_that_was_replaced_counts_as_copied(self):
        first = self.alice.session.token
        replaced = self.resume(first).session.token
        self.resume(first)
        self.assertRaises(AuthReused, self.connect().resume, replaced)

    def test_a_guessed_half_is_worth_nothing(self):
        self.assertRaises(AuthToken, self.connect().resume, bytes(48))
        token = self.alice.session.token
        self.assertRaises(AuthToken, self.connect().resume, bytes(16) + token[16:])

    def test_two_who_resume_at_once_with_one_token_both_get_in_with_tokens_in_a_row(self):
        token = self.alice.session.token
        clients = [self.connect() for _ in range(2)]
        requests = [client.give(RESUME, token=token) for client in clients]
        self.server.settle()
        first, second = (
            client.answer(request) for client, request in zip(clients, requests, strict=True)
        )
        self.assertNotEqual(first.token, second.token)
        self.resume(second.token)
        self.assertRaises(AuthReused, self.connect().resume, first.token)

    def test_a_session_that_nobody_used_for_ninety_days_is_over(self):
        token = self.alice.session.token
        self.server.wait(limits.SESSION_IDLE_SECONDS)
        token = self.resume(token).session.token
        self.server.wait(limits.SESSION_IDLE_SECONDS + 1)
        self.assertRaises(AuthToken, self.connect().resume, token)

    def test_upkeep_deletes_what_is_over_and_nothing_else(self):
        self.alice.disconnect()
        self.server.wait(limits.SESSION_IDLE_SECONDS - 10)
        kept = self.connect().login("alice").session
        self.server.wait(20)
        self.server.upkeep()
        found = self.server.look(lambda connection: tables.sessions_of(connection, 1))
        self.assertEqual([one.id for one in found], [kept])

    def test_a_session_that_stays_connected_is_not_idle(self):
        for _ in range(91):
            self.server.wait(86_400)
            self.server.upkeep()
        (session,) = self.alice.ask(LIST_SESSIONS).sessions
        self.assertGreaterEqual(session.used, self.server.now() - 86_400_000)
        self.alice.disconnect()
        self.server.wait(limits.SESSION_IDLE_SECONDS - 86_400)
        self.server.upkeep()
        self.resume(self.alice.session.token)

    def test_upkeep_writes_once_a_day_that_a_session_is_in_use(self):
        began = self.server.now()
        self.server.wait(86_400)
        self.server.upkeep()
        (session,) = self.alice.ask(LIST_SESSIONS).sessions
        self.assertEqual(session.used, began)
        self.server.wait(1)
        self.server.upkeep()
        (session,) = self.alice.ask(LIST_SESSIONS).sessions
        self.assertEqual(session.used, self.server.now())

    def test_a_locked_account_cannot_resume_and_keeps_its_session(self):
        users = tables.users
        self.server.change(lambda c: c.execute(users.update().values(state=tables.LOCKED)))
        refusal = self.assertRaises(AuthLocked, self.connect().resume, self.alice.session.token)
        self.assertIn("alice", refusal.text)
        self.server.change(lambda c: c.execute(users.update().values(state=tables.IN_USE)))
        self.resume(self.alice.session.token)

    def test_a_resume_that_meets_a_logout_does_not_survive_it(self):
        other = self.connect()
        other.login("alice")
        late = self.connect()
        request = late.give(RESUME, token=self.alice.session.token)
        # The token has been judged when the logout gets in before what follows.
        other.give(LOGOUT_ALL)
        self.server.settle()
        self.assertRaises(AuthToken, late.answer, request)
        self.assertFalse(late.is_authenticated)
        self.assertEqual(self.server.hub.people, {})

    def test_a_new_session_is_not_taken_for_the_old_one_of_its_number(self):
        # SQLite would give the number of the last session away again once it is deleted.
        held = Held()
        server = Server([accounts(hashing=Hashing(held.run, predictable(), cost=CHEAP))])
        alice, again, late = (Client(server) for _ in range(3))
        request = alice.give(REGISTER, name="alice", secret=bytes(32))
        held.finish_one()
        server.settle()
        token = alice.answer(request).token
        login = again.give(LOGIN, name="alice", secret=bytes(32))
        server.settle()
        # In one group of the writer: the token is used, its session ends, the next one begins.
        resume = late.give(RESUME, token=token)
        alice.give(LOGOUT)
        held.finish_one()
        server.settle()
        self.assertEqual(again.answer(login).session, 2)
        self.assertRaises(AuthToken, late.answer, resume)
        self.assertFalse(late.is_authenticated)
        self.assertIsNone(again.closed)

    def test_a_logout_that_comes_late_does_not_end_somebody_elses_session(self):
        held = Held()
        server = Server([accounts(hashing=Hashing(held.run, predictable(), cost=CHEAP))])
        desk, phone, bob = (Client(server) for _ in range(3))

        def enter(client, command, name):
            request = client.give(command, name=name, secret=bytes(32))
            server.settle()
            held.finish_one()
            server.settle()
            return client.answer(request)

        enter(bob, REGISTER, "bobby")
        enter(desk, REGISTER, "alice")
        bob.disconnect()
        bob = Client(server)
        enter(phone, LOGIN, "alice")
        login = bob.give(LOGIN, name="bobby", secret=bytes(32))
        server.settle()
        # In one group of the writer: alice's sessions end, bob's begins, and one ends once more.
        phone.give(LOGOUT_ALL)
        held.finish_one()
        desk.give(LOGOUT)
        server.settle()
        token = bob.answer(login).token
        self.assertIsNone(bob.closed)
        Client(server).resume(token)


class EndingTests(Case):
    def setUp(self):
        super().setUp()
        self.again = self.resume(self.alice.session.token)
        self.desk = self.connect()
        self.desk.login("alice", label="desk")
        self.bob = self.server.member("bob")

    def test_sessions_are_listed_newest_first(self):
        self.server.wait(60)
        phone = self.connect()
        phone.login("alice", label="phone")
        listed = phone.ask(LIST_SESSIONS).sessions
        self.assertEqual([one.label for one in listed], ["phone", "desk", ""])
        self.assertEqual([one.current for one in listed], [True, False, False])
        self.assertEqual(listed[0].used - listed[1].used, 60_000)

    def test_logout_ends_this_session_on_all_its_connections(self):
        request = self.alice.give(LOGOUT)
        self.server.settle()
        self.alice.answer(request)  # the answer comes before the end
        self.assertEqual(self.alice.closed, "LC-AUTH-TOKEN")
        self.assertEqual(self.alice.events("session.ended"), [])
        self.assert_ended(self.again)
        self.assertIsNone(self.desk.closed)
        self.assertIsNone(self.bob.closed)
        self.assertRaises(AuthToken, self.connect().resume, self.again.session.token)
        self.connect().resume(self.desk.session.token)

    def test_logout_all_ends_every_session_of_this_user(self):
        request = self.alice.give(LOGOUT_ALL)
        self.server.settle()
        self.alice.answer(request)
        self.assertEqual(self.alice.closed, "LC-AUTH-TOKEN")
        self.assert_ended(self.again, self.desk)
        self.assertIsNone(self.bob.closed)
        for token in (self.again.session.token, self.desk.session.token):
            self.assertRaises(AuthToken, self.connect().resume, token)
        self.assertFalse(self.server.hub.online(1))

    def test_what_came_in_one_piece_with_the_logout_is_not_done(self):
        self.alice.forget()
        logout = self.alice.give(LOGOUT)
        self.alice.give(LIST_SESSIONS)
        self.alice.give(CREATE_INVITE)
        self.server.settle()
        self.alice.give(LOGIN, name="alice", secret=secret_of("alice"))
        self.server.settle()
        self.assertEqual([one.id for one in self.alice.frames if isinstance(one, Ok)], [logout])

    def test_who_logs_out_and_hangs_up_at_once_is_logged_out(self):
        self.again.give(LOGOUT)
        self.again.disconnect()
        self.server.settle()
        self.assert_ended(self.alice)
        self.assertRaises(AuthToken, self.connect().resume, self.again.session.token)
        self.assertEqual(self.server.database.writer.stats.again, 0)

    def test_who_asks_for_an_invite_and_hangs_up_disturbs_nobody(self):
        self.desk.give(CREATE_INVITE)
        self.desk.disconnect()
        self.server.settle()
        self.assertEqual(self.server.database.writer.stats.again, 0)

    def test_ended_connections_close_in_the_turn_of_the_commit(self):
        self.desk.give(LOGOUT_ALL)
        self.server.database.pump()
        self.assertIsNotNone(self.alice.closed)
        self.assertIsNotNone(self.desk.closed)

    def test_a_new_secret_ends_every_other_session(self):
        new = secret_of("a better one")
        self.desk.ask(CHANGE_SECRET, old=secret_of("alice"), new=new)
        self.assert_ended(self.alice, self.again)
        self.assertIsNone(self.desk.closed)
        self.assertRaises(AuthToken, self.connect().resume, self.again.session.token)
        self.assertRaises(AuthFailed, self.connect().login, "alice")
        self.connect().login("alice", secret=new)
        self.resume(self.desk.session.token)

    def test_nothing_ends_when_there_is_nothing_else(self):
        self.bob.ask(CHANGE_SECRET, old=secret_of("bob"), new=secret_of("new"))
        self.assertIsNone(self.bob.closed)

    def test_the_old_secret_has_to_be_right_with_the_same_delays(self):
        for _ in range(limits.LOGIN_FAILURES_FREE):
            self.assertRaises(
                AuthFailed, self.desk.ask, CHANGE_SECRET, old=bytes(32), new=bytes(32)
            )
        before = self.hashing.evaluated
        for old in (bytes(32), secret_of("alice")):
            self.assertRaises(AuthDelay, self.desk.ask, CHANGE_SECRET, old=old, new=bytes(32))
        self.assertRaises(AuthDelay, self.connect().login, "alice")
        self.assertEqual(self.hashing.evaluated, before)

    def test_two_changes_at_once_exactly_one_counts(self):
        changes = [
            (client, client.give(CHANGE_SECRET, old=secret_of("alice"), new=secret_of(new)))
            for client, new in ((self.desk, "one"), (self.again, "two"))
        ]
        self.server.settle()
        self.desk.answer(changes[0][1])
        self.assertIsNotNone(self.again.closed)
        self.connect().login("alice", secret=secret_of("one"))

    def test_busy(self):
        held = Held()
        hashing = Hashing(held.run, predictable(), cost=CHEAP, workers=1, queue=0)
        server = Server([accounts(hashing=hashing)])
        alice = Client(server)
        request = alice.give(LOGIN, name="alice", secret=bytes(32))
        server.settle()
        held.finish_one()
        self.assertRaises(AuthFailed, alice.answer, self.settled(server, request))
        for name in ("alice", "bob"):
            server.change(
                lambda connection, name=name: tables.create_user(
                    connection, name, ServerRole.USER, CHEAP.hash(bytes(32), bytes(16)), 0
                )
            )
        request = alice.give(LOGIN, name="alice", secret=bytes(32))
        server.settle()
        held.finish_one()
        alice.answer(self.settled(server, request))
        Client(server).give(LOGIN, name="bob", secret=bytes(32))
        server.settle()
        self.assertRaises(AuthBusy, alice.ask, CHANGE_SECRET, old=bytes(32), new=bytes(32))

    def settled(self, server, request):
        server.settle()
        return request


class InviteTests(Case):
    def setUp(self):
        super().setUp()
        code = self.server.change(
            lambda connection: create_owner_invite(
                connection, self.server.now(), self.server.random
            )
        )
        self.owner = self.connect()
        self.owner.register("walter", invite=code)
        self.bob = self.server.member("bob")

    def promote(self, name, role):
        users = tables.users
        self.server.change(
            lambda connection: connection.execute(
                users.update().where(users.c.name == name).values(role=int(role))
            )
        )

    def test_an_invite_is_shown_once_with_its_code(self):
        invite = self.owner.ask(CREATE_INVITE, uses=3, days=2)
        self.assertRegex(invite.code, r"^[0-9A-HJKMNP-TV-Z]{26}$")
        self.assertEqual(invite.expires, self.server.now() + 2 * 86_400_000)
        (listed,) = self.owner.ask(LIST_INVITES).invites
        self.assertEqual(
            (listed.invite, listed.by, listed.uses, listed.expires),
            (invite.invite, "walter", 3, invite.expires),
        )
        kept = self.server.look(
            lambda connection: str(connection.exec_driver_sql("SELECT * FROM invites").all())
        )
        self.assertNotIn(invite.code, kept)

    def test_users_do_not_invite(self):
        self.assertRaises(Denied, self.alice.ask, CREATE_INVITE)

    def test_the_role_counts_as_it_is_now_and_not_as_it_was_at_the_login(self):
        self.promote("alice", ServerRole.MODERATOR)
        self.alice.ask(CREATE_INVITE)
        self.promote("alice", ServerRole.USER)
        self.assertRaises(Denied, self.alice.ask, CREATE_INVITE)

    def test_guests_see_nothing_of_invites(self):
        self.promote("alice", ServerRole.GUEST)
        guest = self.connect()
        self.assertEqual(guest.login("alice").role, "guest")
        for command, arguments in (
            (CREATE_INVITE, {}),
            (LIST_INVITES, {}),
            (REVOKE_INVITE, {"invite": 1}),
        ):
            self.assertRaises(Denied, guest.ask, command, **arguments)

    def test_everybody_sees_their_own_and_moderators_see_all(self):
        self.promote("alice", ServerRole.MODERATOR)
        hers = self.alice.ask(CREATE_INVITE).invite
        his = self.owner.ask(CREATE_INVITE).invite
        self.assertEqual(self.numbers(self.alice), [hers, his])
        self.promote("alice", ServerRole.USER)
        self.assertEqual(self.numbers(self.alice), [hers])
        self.assertEqual(self.numbers(self.bob), [])

    def numbers(self, client, **arguments):
        return [one.invite for one in client.ask(LIST_INVITES, **arguments).invites]

    def test_spent_and_expired_ones_are_not_listed_and_go_with_the_upkeep(self):
        spent = self.owner.ask(CREATE_INVITE)
        self.connect().register("carol", invite=spent.code)
        self.owner.ask(CREATE_INVITE, days=1)
        self.server.wait(86_400)
        kept = self.owner.ask(CREATE_INVITE).invite
        self.assertEqual(self.numbers(self.owner), [kept])
        self.server.upkeep()
        rows = self.server.look(
            lambda connection: connection.exec_driver_sql("SELECT id FROM invites").all()
        )
        self.assertEqual([row[0] for row in rows], [kept])

    def test_long_lists_come_in_pages(self):
        made = [self.owner.ask(CREATE_INVITE).invite for _ in range(101)]
        first = self.owner.ask(LIST_INVITES)
        self.assertTrue(first.more)
        self.assertEqual([one.invite for one in first.invites], made[:100])
        second = self.owner.ask(LIST_INVITES, after=made[99])
        self.assertFalse(second.more)
        self.assertEqual([one.invite for one in second.invites], made[100:])

    def test_an_owner_link_that_nobody_used_is_listed_without_a_maker(self):
        self.server.change(
            lambda connection: create_owner_invite(
                connection, self.server.now(), self.server.random
            )
        )
        (listed,) = self.owner.ask(LIST_INVITES).invites
        self.assertEqual(listed.by, "")

    def test_a_revoked_invite_lets_nobody_in(self):
        invite = self.owner.ask(CREATE_INVITE)
        self.owner.ask(REVOKE_INVITE, invite=invite.invite)
        self.assertRaises(InviteBad, self.connect().register, "carol", invite=invite.code)
        self.assertRaises(InviteBad, self.owner.ask, REVOKE_INVITE, invite=invite.invite)

    def test_users_revoke_what_they_made_and_learn_nothing_of_the_rest(self):
        self.promote("alice", ServerRole.MODERATOR)
        hers = self.alice.ask(CREATE_INVITE).invite
        self.promote("alice", ServerRole.USER)
        his = self.owner.ask(CREATE_INVITE).invite
        for invite in (his, 999):
            self.assertRaises(Denied, self.alice.ask, REVOKE_INVITE, invite=invite)
        self.alice.ask(REVOKE_INVITE, invite=hers)


class SilenceTests(Case):
    def test_nothing_secret_and_no_strangers_words_reach_the_log(self):
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        client = self.connect()
        self.assertRaises(AuthFailed, client.login, "no\x1b[2Jbody", secret=secret_of("guess"))
        self.assertRaises(AuthFailed, client.login, "alice", secret=secret_of("guess"))
        client.login("alice")
        client.ask(CHANGE_SECRET, old=secret_of("alice"), new=secret_of("new"))
        token = self.resume(client.session.token).session.token
        self.resume(token)
        self.assertRaises(AuthReused, self.connect().resume, client.session.token)
        self.server.member("carol").ask(LOGOUT)
        text = "\n".join(formatEvent(event) + repr(event) for event in events)
        self.assertIn("user 1", text)
        self.assertIn("copy of its token", text)
        for word in ("alice", "carol", "body", "\\x1b", "192.0.2", "argon2"):
            self.assertNotIn(word, text)
        for secret in (secret_of("guess"), secret_of("alice"), secret_of("new"), token):
            self.assertNotIn(repr(secret)[2:-1], text)
            self.assertNotIn(secret.hex(), text)

    def test_credentials_do_not_show_what_they_hold(self):
        secret = DerivedSecret("alice", b"s" * 32, "192.0.2.1")
        self.assertNotIn("sss", repr(secret) + str(secret))
        self.assertNotIn("ttt", repr(SessionToken(b"t" * 48)))
