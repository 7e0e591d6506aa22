"""Operators and people: lists, locks, roles, sessions; who is out is out at once."""

from twisted.logger import formatEvent, globalLogPublisher

from lairchat.features.accounts.messages import LOGIN, RESUME
from lairchat.features.bans.messages import ADD_BAN
from lairchat.features.keys.messages import ADD_KEY
from lairchat.features.rooms.messages import MEMBERS, TOPIC
from lairchat.features.user_admin.messages import (
    CLOSE_SESSION,
    LIST_SESSIONS,
    LIST_USERS,
    LOCK_USER,
    SET_ROLE,
    SHOW_USER,
    UNLOCK_USER,
)
from lairchat.model import limits
from lairchat.model.refusals import (
    AuthDelay,
    AuthFailed,
    AuthLocked,
    AuthToken,
    Denied,
    OnOwnAccount,
    SessionUnknown,
    UserUnknown,
)
from lairchat.model.roles import ServerRole
from tests.features.common import said
from tests.features.operators import OperatorCase
from tests.harness import Client

HOUR = limits.HOUR
# RFC 8032's first test key.
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"


class LookingTests(OperatorCase):
    def users(self, **more):
        return {one.name: one for one in self.do(self.adam, LIST_USERS, **more).users}

    def test_everybody_by_name(self):
        self.people["bob"].disconnect()
        self.server.wait(60)
        listed = self.users()
        self.assertEqual(list(listed), ["adam", "bob", "eve", "mona", "olga"])
        eve, bob = listed["eve"], listed["bob"]
        self.assertEqual((eve.role, eve.state, eve.devices, eve.note), ("user", "ok", 1, ""))
        self.assertEqual(eve.last, self.server.now())
        self.assertLess(bob.last, self.server.now() - 59_000)
        self.assertEqual(listed["olga"].role, "owner")

    def test_states_are_told_apart_and_a_ban_goes_before_a_lock(self):
        self.do(self.local, LOCK_USER, name="eve", period=2 * HOUR, reason="spam")
        self.do(self.local, LOCK_USER, name="bob")
        self.do(self.local, ADD_BAN, kind="user", target="bob", reason="flood")
        listed = self.users()
        self.assertEqual(
            (listed["eve"].state, listed["eve"].note),
            ("locked", "until 2027-01-15 10:00 UTC (spam)"),
        )
        self.assertEqual((listed["bob"].state, listed["bob"].note), ("banned", "(flood)"))
        self.assertEqual(list(self.users(state="locked")), ["eve"])
        self.assertEqual(list(self.users(state="banned")), ["bob"])
        self.assertEqual(list(self.users(state="ok")), ["adam", "mona", "olga"])
        self.assertEqual(list(self.users(role="user")), ["bob", "eve"])
        self.server.wait(3 * HOUR)
        self.assertEqual(list(self.users(state="ok")), ["adam", "eve", "mona", "olga"])
        self.assertEqual(self.users()["eve"].state, "ok")

    def test_pages_follow_each_other_without_a_gap(self):
        self.patch(limits, "OPERATOR_PAGE", 2)
        shown, after = [], ""
        while after is not None:
            page = self.do(self.adam, LIST_USERS, after=after)
            shown += [one.name for one in page.users]
            after = page.next
        self.assertEqual(shown, ["adam", "bob", "eve", "mona", "olga"])

    def test_one_account_closely(self):
        self.connect("eve")
        self.do(self.local, LOCK_USER, name="bob", period=HOUR, reason="a\nb")
        eve, bob = (self.do(self.adam, SHOW_USER, name=name) for name in ("EVE", "bob"))
        self.assertEqual((eve.name, eve.user, eve.role), ("eve", self.user("eve"), "user"))
        self.assertEqual((eve.connections, eve.devices, eve.rooms, eve.keys), (2, 2, 1, 0))
        self.assertEqual((bob.state, bob.until), ("locked", self.server.now() + HOUR * 1000))
        self.assertTrue(bob.reason.isprintable())
        self.assertEqual(bob.connections, 0)
        self.assertIsNone(eve.until)
        self.do(self.local, LOCK_USER, name="bob")
        self.assertEqual(self.do(self.adam, SHOW_USER, name="bob").until, 0)
        self.refuse(UserUnknown, self.adam, SHOW_USER, name="nobody")


class LockTests(OperatorCase):
    def test_all_connections_close_in_the_turn_of_the_commit(self):
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        phone = self.connect("eve")
        locked = self.do(self.adam, LOCK_USER, name="eve", period=2 * HOUR, reason="spam")
        self.assertEqual(
            locked.done, "locked eve until 2027-01-15 10:00 UTC (2 connections closed)"
        )
        self.assertEqual(locked.undo, "user unlock eve")
        self.assertEqual({phone.closed, self.people["eve"].closed}, {"LC-AUTH-LOCKED"})
        self.assertIsNone(self.people["bob"].closed)
        self.assertEqual(told, [self.user("eve")])
        self.assertFalse(self.server.hub.online(self.user("eve")))

    def test_no_way_in_until_it_ends_and_then_the_old_one(self):
        token = self.people["eve"].session.token
        self.do(self.adam, LOCK_USER, name="eve", period=HOUR, reason="spam")
        refusal = self.assertRaises(AuthLocked, Client(self.server).resume, token)
        self.assertIn("until 2027-01-15 09:00 UTC (spam)", refusal.text)
        self.assertRaises(AuthLocked, self.connect, "eve")
        self.assertRaises(AuthFailed, Client(self.server).ask, LOGIN, name="eve", secret=bytes(32))
        self.server.wait(HOUR + 1)
        Client(self.server).resume(token)

    def test_a_resume_that_meets_the_lock_comes_to_nothing(self):
        late = Client(self.server)
        request = late.give(RESUME, token=self.people["eve"].session.token)
        # The token has been judged when the lock gets in before what follows.
        given = self.adam.give(LOCK_USER, {"name": "eve"})
        self.server.settle()
        self.successResultOf(given)
        try:
            late.answer(request)
        except AuthLocked:
            self.assertFalse(late.is_authenticated)
        else:
            self.assertEqual(late.closed, "LC-AUTH-LOCKED")
        self.assertFalse(self.server.hub.online(self.user("eve")))

    def test_unlocking(self):
        self.do(self.adam, LOCK_USER, name="eve")
        self.assertEqual(self.do(self.adam, UNLOCK_USER, name="eve").done, "unlocked eve")
        self.assertEqual(self.do(self.adam, UNLOCK_USER, name="eve").done, "eve is not locked")
        self.connect("eve")
        self.assertIsNone(self.account("eve").lock)

    def test_unlocking_forgets_the_guesses_of_a_whole_botnet(self):
        for number in range(limits.LOGIN_FAILURES_FREE_ACCOUNT):
            guesser = Client(self.server, f"198.51.100.{number}")
            self.assertRaises(AuthFailed, guesser.login, "eve", secret=bytes(32))
        self.assertRaises(AuthDelay, self.connect, "eve")
        self.do(self.adam, UNLOCK_USER, name="eve")
        self.connect("eve")

    def test_a_locked_operator_can_do_nothing_any_more(self):
        self.do(self.olga, LOCK_USER, name="adam")
        self.refuse(Denied, self.adam, LIST_USERS)
        self.refuse(Denied, self.adam, UNLOCK_USER, name="adam")

    def test_rank_protects(self):
        self.refuse(Denied, self.adam, LOCK_USER, name="olga")
        self.refuse(OnOwnAccount, self.adam, LOCK_USER, name="adam")
        self.refuse(UserUnknown, self.adam, LOCK_USER, name="nobody")
        self.set_account("bob", role=int(ServerRole.ADMIN))
        self.refuse(Denied, self.adam, LOCK_USER, name="bob")
        self.do(self.local, LOCK_USER, name="olga")
        self.refuse(Denied, self.adam, UNLOCK_USER, name="olga")

    def test_a_rehearsal_locks_nobody(self):
        locked = self.do(self.adam, LOCK_USER, name="eve", dry_run=True)
        self.assertIn("1 connection closed", locked.done)
        self.assertIsNone(self.people["eve"].closed)
        self.assertIsNone(self.account("eve").lock)


class RoleTests(OperatorCase):
    def test_it_counts_at_once_wherever_they_are(self):
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        eve = self.people["eve"]
        self.assertRaises(Denied, eve.ask, TOPIC, room=1, topic="mine")
        given = self.do(self.olga, SET_ROLE, name="eve", role="moderator")
        self.assertEqual(given.done, "eve is moderator now, was user")
        self.assertEqual(given.undo, "user role eve user")
        self.assertEqual(told, [self.user("eve")])
        self.assertEqual(eve.peer.session.role, ServerRole.MODERATOR)
        # The lobby is the server's own, and its roles hold there; it is told.
        eve.ask(TOPIC, room=1, topic="mine")
        self.assertEqual(
            said(self.people["bob"].events("message")[0]),
            ("role", "olga", "eve", "moderator"),
        )
        self.do(self.olga, SET_ROLE, name="eve", role="user")
        self.assertRaises(Denied, eve.ask, TOPIC, room=1, topic="again")
        self.assertEqual(self.account("eve").role, ServerRole.USER)

    def test_who_was_demoted_commands_no_more(self):
        self.do(self.olga, SET_ROLE, name="adam", role="user")
        self.refuse(Denied, self.adam, LIST_USERS)

    def test_nobody_raises_anybody_to_or_above_himself(self):
        for role in ("admin", "owner"):
            self.refuse(Denied, self.adam, SET_ROLE, name="eve", role=role)
        self.refuse(Denied, self.adam, SET_ROLE, name="olga", role="user")
        self.refuse(OnOwnAccount, self.olga, SET_ROLE, name="olga", role="owner")
        self.do(self.adam, SET_ROLE, name="eve", role="moderator")
        self.do(self.olga, SET_ROLE, name="eve", role="owner")
        self.do(self.olga, SET_ROLE, name="eve", role="guest")

    def test_nothing_happens_where_nothing_changes(self):
        given = self.do(self.olga, SET_ROLE, name="eve", role="user")
        self.assertEqual((given.done, given.undo), ("eve is user already", ""))

    def test_the_hosts_operator_is_told_that_nobody_owns_the_server(self):
        given = self.do(self.local, SET_ROLE, name="olga", role="user", dry_run=True)
        self.assertIn("nobody owns the server", given.done)
        self.assertEqual(self.account("olga").role, ServerRole.OWNER)


class ChatTests(OperatorCase):
    """Operators may command over the chat, where no console writes it down."""

    def test_what_is_commanded_there_is_in_the_audit_log(self):
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        olga = self.people["olga"]
        olga.ask(SET_ROLE, name="eve", role="moderator")
        olga.ask(LIST_USERS)
        olga.ask(LOCK_USER, name="eve", reason="\x1b[2J", dry_run=True)
        self.assertRaises(UserUnknown, olga.ask, LOCK_USER, name="nobody")
        olga.ask(ADD_KEY, name="olga", key=f"ssh-ed25519 {KEY}")
        self.assertRaises(Denied, self.people["bob"].ask, LIST_USERS)
        self.do(self.adam, LIST_USERS)
        texts = [formatEvent(one) for one in events if one["log_namespace"] == "lairchat.audit"]
        start = f"olga from chat:{olga.peer.address}: admin."
        self.assertEqual(
            [text.removeprefix(start) for text in texts],
            [
                "user_role name='eve' role='moderator' -> 0 ok",
                "user_list -> 0 ok",
                "user_lock name='eve' reason='\\x1b[2J' dry_run=True -> 0 ok",
                "user_lock name='nobody' -> 1 LC-USER-UNKNOWN",
                "user_key_add name='olga' key=(file) -> 0 ok",
            ],
        )


class SessionTests(OperatorCase):
    def sessions(self, **more):
        return self.do(self.adam, LIST_SESSIONS, **more).sessions

    def test_who_is_connected_from_where(self):
        laptop = Client(self.server, "2001:db8:1:2::9")
        laptop.login("eve", label="laptop")
        self.people["eve"].disconnect()
        self.server.wait(60)
        first, second = self.sessions(name="eve")
        self.assertEqual((first.connections, first.source, first.user), (0, "", "eve"))
        self.assertEqual((second.connections, second.device), (1, "laptop"))
        self.assertEqual(second.source, "2001:db8:1:2::/64")
        self.assertEqual((first.last < second.last, second.last), (True, self.server.now()))
        self.assertEqual(len(self.sessions()), 6)
        self.refuse(UserUnknown, self.adam, LIST_SESSIONS, name="nobody")

    def test_closing_one_ends_its_token_and_leaves_the_others(self):
        phone = self.connect("eve")
        closed = self.do(self.adam, CLOSE_SESSION, session=phone.session.session)
        number = phone.session.session
        self.assertEqual(closed.done, f"ended session {number} of eve (1 connection closed)")
        (ended,) = phone.events("session.ended")
        self.assertEqual((ended.code, phone.closed), ("LC-AUTH-TOKEN", "LC-AUTH-TOKEN"))
        self.assertRaises(AuthToken, Client(self.server).resume, phone.session.token)
        self.assertIsNone(self.people["eve"].closed)
        self.people["eve"].ask(MEMBERS, room=1)
        self.refuse(SessionUnknown, self.adam, CLOSE_SESSION, session=number)

    def test_rank_protects_but_ones_own_are_ones_own(self):
        owners = self.people["olga"].session.session
        self.refuse(Denied, self.adam, CLOSE_SESSION, session=owners)
        self.do(self.adam, CLOSE_SESSION, session=self.people["adam"].session.session)
        self.assertEqual(self.people["adam"].closed, "LC-AUTH-TOKEN")
        self.do(self.local, CLOSE_SESSION, session=owners)

    def test_a_rehearsal_ends_nothing(self):
        number = self.people["eve"].session.session
        self.do(self.adam, CLOSE_SESSION, session=number, dry_run=True)
        self.assertEqual([one.session for one in self.sessions(name="eve")], [number])

    def test_pages(self):
        self.patch(limits, "OPERATOR_PAGE", 2)
        shown, after = [], 0
        while after is not None:
            page = self.do(self.adam, LIST_SESSIONS, after=after)
            shown += [one.user for one in page.sessions]
            after = page.next
        self.assertEqual(shown, ["olga", "adam", "mona", "eve", "bob"])
