"""Links of operators: whole, for one name, for a forgotten password; once, and no longer than said."""

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from lairchat.features.accounts.messages import CHANGE_SECRET, LIST_SESSIONS, REGISTER
from lairchat.features.accounts.messages import REVOKE_INVITE as REVOKE_BY_CHAT
from lairchat.features.accounts.rules import Registration
from lairchat.features.invitations.messages import (
    CREATE_INVITE,
    CREATE_USER,
    LIST_INVITES,
    RESET_PASSWORD,
    REVOKE_INVITE,
)
from lairchat.features.user_admin.messages import LOCK_USER, SET_ROLE, UNLOCK_USER
from lairchat.model import limits
from lairchat.model.identity import Link
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import (
    AuthFailed,
    AuthLocked,
    AuthToken,
    Denied,
    InviteBad,
    InviteName,
    InviteUnknown,
    NameBad,
    NameReserved,
    NameTaken,
    RegistrationClosed,
    UserUnknown,
)
from tests.features.operators import OperatorCase, operated
from tests.harness import Client, Server, accounts, secret_of


class LinkCase(OperatorCase):
    def newcomer(self, name, link, **more):
        client = Client(self.server)
        client.register(name, invite=Link.parse(link).code, **more)
        return client

    def listed(self):
        return self.do(self.local, LIST_INVITES).invites


class InviteTests(LinkCase):
    def test_the_link_is_whole_and_lets_as_many_in_as_it_says(self):
        made = self.do(self.local, CREATE_INVITE, uses=2, period=limits.DAY)
        self.assertEqual(
            made.done, "made invite 1, good until 2027-01-16 08:00 UTC: lets 2 people in"
        )
        self.assertEqual(made.undo, "invite revoke 1")
        self.assertEqual(
            (Link.parse(made.link).host, Link.parse(made.link).port), ("chat.example.org", 7023)
        )
        self.newcomer("nina", made.link)
        (left,) = self.listed()
        self.assertEqual((left.uses, left.does, left.role, left.by), (1, "register", "user", ""))
        self.newcomer("nick", made.link)
        self.assertEqual(self.listed(), [])
        self.assertRaises(InviteBad, self.newcomer, "nora", made.link)

    def test_moderators_make_them_too_and_are_named(self):
        self.do(self.desk("mona"), CREATE_INVITE)
        self.assertEqual([one.by for one in self.listed()], ["mona"])
        self.refuse(Denied, self.desk("eve"), CREATE_INVITE)

    def test_a_rehearsal_shows_no_link(self):
        made = self.do(self.local, CREATE_INVITE, dry_run=True)
        self.assertTrue(made.done.startswith("made invite 1"))
        self.assertEqual((made.link, self.listed()), ("", []))

    def test_revoking(self):
        made = self.do(self.local, CREATE_INVITE)
        revoked = self.do(self.local, REVOKE_INVITE, invite=1)
        self.assertEqual(revoked.done, "revoked invite 1")
        self.assertRaises(InviteBad, self.newcomer, "nina", made.link)
        self.refuse(InviteUnknown, self.local, REVOKE_INVITE, invite=1)

    def test_one_withdraws_ones_own_and_those_of_who_ranks_below(self):
        """Each row: who makes one; then who may not withdraw it, and who may."""
        desks = {"": self.local, **{name: self.desk(name) for name in ("olga", "adam", "mona")}}
        for maker, may_not, may in (
            ("mona", "", "mona adam olga"),
            ("adam", "mona", "adam olga"),
            ("olga", "mona adam", "olga"),
            ("", "mona adam", "olga"),
        ):
            for who in may.split():
                self.do(desks[maker], CREATE_INVITE)
                (made,) = self.listed()
                for other in may_not.split():
                    self.refuse(Denied, desks[other], REVOKE_INVITE, invite=made.invite)
                    chat = self.people[other]
                    self.assertRaises(Denied, chat.ask, REVOKE_BY_CHAT, invite=made.invite)
                self.do(desks[who], REVOKE_INVITE, invite=made.invite)
        self.do(desks["adam"], CREATE_INVITE)
        self.do(self.local, REVOKE_INVITE, invite=self.listed()[0].invite)
        self.assertEqual(self.listed(), [])

    def test_moderators_do_not_reach_their_like(self):
        self.do(self.desk("mona"), CREATE_INVITE)
        self.do(self.olga, SET_ROLE, name="eve", role="moderator")
        self.refuse(Denied, self.desk("eve"), REVOKE_INVITE, invite=1)

    def test_a_link_that_sets_a_password_is_for_administrators_to_withdraw(self):
        self.do(self.adam, RESET_PASSWORD, name="bob")
        self.do(self.olga, SET_ROLE, name="adam", role="user")
        self.refuse(Denied, self.desk("mona"), REVOKE_INVITE, invite=1)
        mona = self.people["mona"]
        self.assertRaises(Denied, mona.ask, REVOKE_BY_CHAT, invite=1)
        self.do(self.olga, REVOKE_INVITE, invite=1)

    def test_a_link_works_as_long_as_its_maker_may_make_it(self):
        made = self.do(self.desk("mona"), CREATE_INVITE, uses=9)
        for taken, given in (
            ((SET_ROLE, {"name": "mona", "role": "user"}), (SET_ROLE, {"role": "moderator"})),
            ((LOCK_USER, {"name": "mona"}), (UNLOCK_USER, {})),
        ):
            self.do(self.olga, taken[0], **taken[1])
            self.assertRaises(InviteBad, self.newcomer, "nina", made.link)
            self.assertEqual([one.state for one in self.listed()], ["suspended"])
            self.do(self.olga, given[0], name="mona", **given[1])
            self.assertEqual([one.state for one in self.listed()], ["ok"])
        self.newcomer("nina", made.link)

    def test_what_has_run_out_is_unknown(self):
        made = self.do(self.local, CREATE_INVITE, period=60)
        self.server.wait(61)
        self.assertRaises(InviteBad, self.newcomer, "nina", made.link)
        self.refuse(InviteUnknown, self.local, REVOKE_INVITE, invite=1)

    def test_how_long_and_how_often_is_bounded(self):
        for bad in ({"uses": 0}, {"period": 0}, {"period": limits.INVITE_SECONDS_MAX + 1}):
            refusal = self.refuse(Refusal, self.local, CREATE_INVITE, **bad)
            self.assertEqual(refusal.code, "LC-ARGS")

    def test_pages(self):
        self.patch(limits, "OPERATOR_PAGE", 2)
        for _ in range(5):
            self.do(self.local, CREATE_INVITE)
        shown, after = [], 0
        while after is not None:
            page = self.do(self.local, LIST_INVITES, after=after)
            shown += [one.invite for one in page.invites]
            after = page.next
        self.assertEqual(shown, [1, 2, 3, 4, 5])


class NameTests(LinkCase):
    def test_the_name_is_kept_for_whoever_has_the_link(self):
        made = self.do(self.olga, CREATE_USER, name="Nina", role="admin")
        self.assertIn("keeps the name Nina for a new admin", made.done)
        for name in ("nina", "Nina", "n1na", "ni-na"):
            self.assertRaises(NameTaken, Client(self.server).register, name)
        other = self.do(self.local, CREATE_INVITE).link
        self.assertRaises(NameTaken, self.newcomer, "nina", other)
        refusal = self.assertRaises(InviteName, self.newcomer, "nick", made.link)
        self.assertEqual((refusal.field, "Nina" in refusal.text), ("$.name", True))
        nina = self.newcomer("nina", made.link)
        self.assertEqual((nina.session.name, nina.session.role), ("nina", "admin"))
        self.assertRaises(InviteBad, self.newcomer, "nina", made.link)

    def test_the_name_is_free_again_with_the_end_of_the_link(self):
        self.do(self.local, CREATE_USER, name="nina", period=60)
        self.do(self.local, CREATE_USER, name="nick")
        self.do(self.local, REVOKE_INVITE, invite=2)
        Client(self.server).register("nick")
        self.assertRaises(NameTaken, Client(self.server).register, "nina")
        self.server.wait(61)
        Client(self.server).register("nina")

    def test_a_second_link_takes_the_place_of_the_first(self):
        first = self.do(self.local, CREATE_USER, name="nina")
        second = self.do(self.local, CREATE_USER, name="NINA", role="moderator")
        self.assertRaises(InviteBad, self.newcomer, "nina", first.link)
        self.refuse(NameTaken, self.local, CREATE_USER, name="n1na")
        self.assertEqual(self.newcomer("nina", second.link).session.role, "moderator")

    def test_a_second_link_does_not_take_the_place_of_one_that_rank_protects(self):
        made = self.do(self.olga, CREATE_USER, name="nina")
        self.refuse(Denied, self.adam, CREATE_USER, name="nina")
        self.newcomer("nina", made.link)

    def test_who_is_demoted_does_not_come_back_by_a_link_that_makes_more_of_him(self):
        made = self.do(self.adam, CREATE_USER, name="nina", role="moderator")
        self.do(self.olga, SET_ROLE, name="adam", role="moderator")
        self.assertRaises(InviteBad, self.newcomer, "nina", made.link)
        self.assertEqual([one.state for one in self.listed()], ["suspended"])

    def test_a_link_that_has_run_out_keeps_nothing_back(self):
        self.do(self.local, CREATE_USER, name="nina", period=60)
        self.server.wait(61)
        Client(self.server).register("n1na")
        self.refuse(NameTaken, self.local, CREATE_USER, name="nina")

    def test_names_that_nobody_can_have(self):
        for refusal, name in (
            (NameTaken, "eve"),
            (NameTaken, "B0b"),
            (NameBad, "x"),
            (NameBad, "\x1b[2J"),
            (NameReserved, "admin"),
        ):
            self.refuse(refusal, self.local, CREATE_USER, name=name)

    def test_nobody_makes_an_equal(self):
        self.refuse(Denied, self.adam, CREATE_USER, name="nina", role="admin")
        self.refuse(Denied, self.desk("mona"), CREATE_USER, name="nina")
        self.do(self.adam, CREATE_USER, name="nina", role="moderator")
        refusal = self.refuse(Refusal, self.olga, CREATE_USER, name="nick", role="owner")
        self.assertEqual(refusal.code, "LC-ARGS")

    def test_it_works_on_a_server_that_is_closed_to_others(self):
        clock = Clock()
        _open, *others = operated(clock)
        server = Server([accounts(Registration.CLOSED), *others], clock=clock)
        made = {}
        for command, arguments in ((CREATE_USER, {"name": "nina"}), (CREATE_INVITE, {})):
            desk = type(self.local)(server.kernel, self.local.session, "local")
            made[command] = Link.parse(server.result(desk.give(command, arguments)).link).code
        self.assertRaises(
            RegistrationClosed, Client(server).register, "nick", invite=made[CREATE_INVITE]
        )
        Client(server).register("nina", invite=made[CREATE_USER])
        server.close()


class ResetTests(LinkCase):
    def test_the_owner_of_the_link_sets_a_new_password_and_all_sessions_end(self):
        eve = self.people["eve"]
        made = self.do(self.adam, RESET_PASSWORD, name="EVE")
        self.assertIn("lets eve set a new password, and ends eve's sessions then", made.done)
        (listed,) = self.listed()
        self.assertEqual((listed.does, listed.name, listed.role), ("reset-password", "eve", ""))
        # Until it is used nothing has changed.
        self.connect("eve").disconnect()
        again = self.newcomer("eve", made.link, secret=secret_of("new"), device="new laptop")
        self.assertEqual(
            (again.session.user, again.session.name, again.session.role),
            (self.user("eve"), "eve", "user"),
        )
        self.assertEqual(eve.closed, "LC-AUTH-TOKEN")
        self.assertRaises(AuthToken, Client(self.server).resume, eve.session.token)
        self.assertRaises(AuthFailed, Client(self.server).login, "eve")
        Client(self.server).login("eve", secret=secret_of("new"))
        self.assertEqual(len(again.ask(LIST_SESSIONS).sessions), 2)
        self.assertRaises(InviteBad, self.newcomer, "eve", made.link, secret=secret_of("newer"))

    def test_delays_of_guessers_end_with_it(self):
        for _ in range(limits.LOGIN_FAILURES_FREE):
            self.assertRaises(AuthFailed, Client(self.server).login, "eve", secret=bytes(32))
        made = self.do(self.adam, RESET_PASSWORD, name="eve")
        self.newcomer("eve", made.link, secret=secret_of("new")).disconnect()
        Client(self.server).login("eve", secret=secret_of("new"))

    def test_it_is_for_that_account_alone_and_makes_no_other(self):
        made = self.do(self.adam, RESET_PASSWORD, name="eve")
        for name in ("bob", "nina", "3ve"):
            self.assertRaises(InviteName, self.newcomer, name, made.link)

    def test_who_rises_leaves_it_behind(self):
        made = self.do(self.adam, RESET_PASSWORD, name="mona")
        self.do(self.olga, SET_ROLE, name="mona", role="user")
        self.assertEqual(len(self.listed()), 1)
        self.do(self.olga, SET_ROLE, name="mona", role="owner")
        self.assertRaises(InviteBad, self.newcomer, "mona", made.link, secret=secret_of("new"))

    def test_who_is_demoted_does_not_become_somebody_by_a_link_made_before(self):
        made = self.do(self.adam, RESET_PASSWORD, name="mona")
        own = self.do(self.adam, RESET_PASSWORD, name="adam")
        self.do(self.olga, SET_ROLE, name="adam", role="moderator")
        self.assertRaises(InviteBad, self.newcomer, "mona", made.link, secret=secret_of("new"))
        self.assertEqual([one.state for one in self.listed()], ["suspended", "ok"])
        self.newcomer("adam", own.link, secret=secret_of("new"))

    def test_who_changes_the_password_needs_it_no_more(self):
        """A thief who holds the link would otherwise undo what its owner has just done."""
        made = self.do(self.adam, RESET_PASSWORD, name="eve")
        other = self.do(self.adam, RESET_PASSWORD, name="bob")
        new = secret_of("of eve's own")
        self.people["eve"].ask(CHANGE_SECRET, old=secret_of("eve"), new=new)
        self.assertRaises(InviteBad, self.newcomer, "eve", made.link, secret=secret_of("thief"))
        self.assertEqual([one.name for one in self.listed()], ["bob"])
        self.newcomer("bob", other.link, secret=secret_of("new"))

    def test_a_change_of_the_password_that_is_refused_leaves_it(self):
        made = self.do(self.adam, RESET_PASSWORD, name="eve")
        eve = self.people["eve"]
        self.assertRaises(AuthFailed, eve.ask, CHANGE_SECRET, old=bytes(32), new=bytes(32))
        self.newcomer("eve", made.link, secret=secret_of("new"))

    def test_a_lock_is_stronger(self):
        made = self.do(self.adam, RESET_PASSWORD, name="eve")
        self.do(self.adam, LOCK_USER, name="eve")
        self.assertRaises(AuthLocked, self.newcomer, "eve", made.link, secret=secret_of("new"))
        self.assertEqual(len(self.listed()), 1)

    def test_only_the_last_link_works(self):
        first = self.do(self.adam, RESET_PASSWORD, name="eve")
        second = self.do(self.adam, RESET_PASSWORD, name="eve")
        self.assertRaises(InviteBad, self.newcomer, "eve", first.link)
        self.newcomer("eve", second.link)

    def test_two_who_use_it_at_once_exactly_one_gets_in(self):
        code = Link.parse(self.do(self.adam, RESET_PASSWORD, name="eve").link).code
        rivals = [Client(self.server) for _ in range(2)]
        given = [
            rival.give(REGISTER, name="eve", secret=bytes([place]) * 32, invite=code)
            for place, rival in enumerate(rivals)
        ]
        self.server.settle()
        rivals[0].answer(given[0])
        self.assertRaises(InviteBad, rivals[1].answer, given[1])

    def test_rank_protects(self):
        self.refuse(Denied, self.adam, RESET_PASSWORD, name="olga")
        self.do(self.adam, RESET_PASSWORD, name="adam")
        self.refuse(UserUnknown, self.adam, RESET_PASSWORD, name="nobody")


class LogTests(LinkCase):
    def test_a_rehearsal_does_not_tell_the_log_what_was_never_done(self):
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)

        def logged():
            found = [formatEvent(event) for event in events]
            events.clear()
            return [text for text in found if "invite" in text]

        self.do(self.adam, CREATE_INVITE, dry_run=True)
        self.assertEqual(logged(), [])
        self.do(self.adam, CREATE_INVITE)
        number = self.user("adam")
        self.assertEqual(logged(), [f"user {number} made invite 1"])
        self.do(self.adam, REVOKE_INVITE, invite=1, dry_run=True)
        self.assertEqual(logged(), [])
        self.do(self.adam, REVOKE_INVITE, invite=1)
        self.assertEqual(logged(), [f"user {number} revoked invite 1"])
