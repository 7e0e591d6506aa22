"""Bans from the server: who is kept out, at once and for how long."""

from pathlib import Path

from lairchat.core.desk import Desk
from lairchat.features.accounts.messages import CREATE_INVITE
from lairchat.features.bans.messages import ADD_BAN, LIST_BANS, REMOVE_BAN
from lairchat.model import limits
from lairchat.model.refusals import (
    AuthBanned,
    AuthFailed,
    BanOwn,
    BanRank,
    BanUnknown,
    Denied,
    NetworkBad,
    OnOwnAccount,
    UserUnknown,
)
from lairchat.model.roles import ServerRole
from lairchat.storage import migrate
from tests.features.operators import OperatorCase, make_server
from tests.harness import Client

HOUR = limits.HOUR


class AccountTests(OperatorCase):
    def ban(self, name, desk=None, **more):
        return self.do(desk or self.local, ADD_BAN, kind="user", target=name, **more)

    def listed(self):
        return [(ban.kind, ban.target) for ban in self.do(self.local, LIST_BANS).bans]

    def test_all_connections_end_at_once_and_are_told_why(self):
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        phone = self.connect("eve")
        banned = self.ban("EVE", period=2 * HOUR, reason="spam")
        self.assertEqual(
            banned.done, "banned eve until 2027-01-15 10:00 UTC (2 connections closed)"
        )
        self.assertEqual(banned.undo, "ban remove user eve")
        self.assertEqual({phone.closed, self.people["eve"].closed}, {"LC-AUTH-BANNED"})
        self.assertIsNone(self.people["bob"].closed)
        self.assertEqual(told, [self.user("eve")])

    def test_no_way_back_in_leads_past_it(self):
        token = self.people["eve"].session.token
        late = Client(self.server)
        self.ban("eve", reason="spam\x1b[2J")
        refusal = self.assertRaises(AuthBanned, late.resume, token)
        self.assertIn("spam", refusal.text)
        self.assertTrue(refusal.text.isprintable())
        self.assertRaises(AuthBanned, self.connect, "eve")
        # Who does not know the secret is told nothing.
        self.assertRaises(AuthFailed, late.login, "eve", secret=bytes(32))

    def test_a_login_that_meets_the_ban_comes_to_nothing(self):
        late = Client(self.server)
        given = self.local.give(ADD_BAN, {"kind": "user", "target": "eve"})
        token = self.people["eve"].session.token
        self.assertRaises(AuthBanned, late.resume, token)
        self.successResultOf(given)
        self.assertFalse(self.server.hub.online(self.user("eve")))

    def test_it_ends_by_itself_and_sessions_live_on(self):
        token = self.people["eve"].session.token
        self.ban("eve", period=HOUR)
        self.server.wait(HOUR - 2)
        self.assertRaises(AuthBanned, Client(self.server).resume, token)
        self.assertEqual(self.listed(), [("user", "eve")])
        self.server.wait(3)
        self.assertEqual(self.listed(), [])
        Client(self.server).resume(token)
        self.server.upkeep()
        self.refuse(BanUnknown, self.local, REMOVE_BAN, kind="user", target="eve")

    def test_it_is_lifted_by_its_undo(self):
        self.ban("eve")
        lifted = self.do(self.local, REMOVE_BAN, kind="user", target="eve")
        self.assertEqual(lifted.done, "lifted the ban of eve")
        self.connect("eve")

    def test_banning_again_replaces_it(self):
        self.ban("eve", reason="first")
        self.ban("eve", period=HOUR, reason="second", desk=self.adam)
        (ban,) = self.do(self.local, LIST_BANS).bans
        self.assertEqual((ban.reason, ban.by, ban.at), ("second", "adam", self.server.now()))
        self.assertEqual(ban.until, self.server.now() + HOUR * 1000)

    def test_a_banned_operator_can_do_nothing_any_more(self):
        self.ban("adam", desk=self.olga)
        self.refuse(AuthBanned, self.adam, LIST_BANS)
        self.refuse(AuthBanned, self.adam, ADD_BAN, kind="user", target="eve")
        self.refuse(AuthBanned, self.adam, CREATE_INVITE)

    def test_rank_protects(self):
        self.refuse(Denied, self.adam, ADD_BAN, kind="user", target="olga")
        self.ban("olga")
        self.refuse(Denied, self.adam, REMOVE_BAN, kind="user", target="olga")
        self.set_account("bob", role=int(ServerRole.ADMIN))
        self.refuse(Denied, self.adam, ADD_BAN, kind="user", target="bob")
        self.refuse(OnOwnAccount, self.adam, ADD_BAN, kind="user", target="adam")
        self.refuse(UserUnknown, self.adam, ADD_BAN, kind="user", target="nobody")

    def test_a_rehearsal_closes_nothing(self):
        banned = self.ban("eve", dry_run=True)
        self.assertIn("1 connection closed", banned.done)
        self.assertIsNone(self.people["eve"].closed)
        self.assertEqual(self.listed(), [])


class AddressTests(OperatorCase):
    def setUp(self):
        super().setUp()
        self.doors = []
        self.server.kernel.bans.watchers.append(lambda: self.doors.append(1))

    def ban(self, kind, target, desk=None, **more):
        return self.do(desk or self.local, ADD_BAN, kind=kind, target=target, **more)

    def refused(self, *hosts):
        return [self.server.kernel.bans.refuses(host) is not None for host in hosts]

    def test_the_doors_know_at_once(self):
        Client(self.server, "198.51.100.7").login("bob")
        banned = self.ban("net", "198.51.100.0/24", reason="flood")
        self.assertEqual(banned.done, "banned 198.51.100.0/24 (1 connection closed)")
        self.assertEqual(banned.undo, "ban remove net 198.51.100.0/24")
        self.assertEqual(self.doors, [1])
        self.assertEqual(self.refused("198.51.100.9", "192.0.2.1", "local"), [True, False, False])
        self.do(self.local, REMOVE_BAN, kind="net", target="198.51.100.0/24")
        self.assertEqual(self.refused("198.51.100.9"), [False])
        self.assertEqual(self.doors, [1, 1])

    def test_an_ipv6_address_stands_for_its_subscriber(self):
        banned = self.ban("ip", "2001:db8:1:2:3::4")
        self.assertEqual(banned.undo, "ban remove net 2001:db8:1:2::/64")
        self.assertEqual(self.refused("2001:db8:1:2::9", "2001:db8:1:3::9"), [True, False])
        self.do(self.local, REMOVE_BAN, kind="ip", target="2001:db8:1:2::77")
        self.assertEqual(self.refused("2001:db8:1:2::9"), [False])

    def test_they_outlive_a_restart(self):
        path = Path(self.mktemp())
        migrate.prepare(path)
        url = f"sqlite:///{path}"
        server = make_server(url=url)
        desk = Desk(server.kernel, self.local.session, "local")
        server.result(desk.give(ADD_BAN, {"kind": "ip", "target": "192.0.2.9"}))
        server.close()
        again = make_server(url=url)
        again.settle()
        self.assertIsNotNone(again.kernel.bans.refuses("192.0.2.9"))
        again.close()

    def test_nobody_locks_himself_out(self):
        for kind, target in (("ip", "192.0.2.200"), ("net", "192.0.0.0/8"), ("net", "0.0.0.0/0")):
            self.refuse(BanOwn, self.adam, ADD_BAN, kind=kind, target=target)
        self.ban("net", "192.0.0.0/8", dry_run=True)
        self.assertEqual(self.refused("192.0.2.1"), [False])

    def test_rank_protects_who_is_connected_from_there(self):
        """An administrator who cannot ban an owner must not shut out the owner's address either."""
        for name, role in (("olga", ServerRole.OWNER), ("bob", ServerRole.ADMIN)):
            self.set_account(name, role=int(role))
            client = self.connect(name, "198.51.100.7")
            for kind, target in (("ip", "198.51.100.7"), ("net", "198.51.100.0/24")):
                refusal = self.refuse(BanRank, self.adam, ADD_BAN, kind=kind, target=target)
                self.assertIn(name, refusal.text)
            self.refuse(BanRank, self.adam, ADD_BAN, kind="ip", target="198.51.100.7", dry_run=True)
            self.assertIsNone(client.closed)
            client.disconnect()
            self.server.settle()
        self.assertEqual(self.doors, [])
        self.connect("mona", "198.51.100.7")
        banned = self.ban("ip", "198.51.100.7", desk=self.adam)
        self.assertIn("1 connection closed", banned.done)

    def test_owners_and_the_host_reach_everybody(self):
        for desk in (self.olga, self.local):
            client = self.connect("adam", "198.51.100.7")
            self.ban("ip", "198.51.100.7", desk=desk)
            self.do(self.local, REMOVE_BAN, kind="ip", target="198.51.100.7")
            client.disconnect()

    def test_who_is_in_by_another_door_counts_as_well(self):
        self.server.kernel.shells.append(lambda: [(self.user("olga"), "198.51.100.7")])
        self.refuse(BanRank, self.adam, ADD_BAN, kind="ip", target="198.51.100.7")
        banned = self.ban("ip", "198.51.100.7")
        self.assertIn("1 connection closed", banned.done)

    def test_nobody_cuts_off_his_own_other_devices(self):
        self.connect("adam", "198.51.100.7")
        self.refuse(BanOwn, self.adam, ADD_BAN, kind="ip", target="198.51.100.7")

    def test_this_machine_is_for_the_operator_of_the_host_to_ban(self):
        """Proxies, onion services and forwarded ports all come from there."""
        for kind, target in (
            ("ip", "127.0.0.1"),
            ("net", "127.1.0.0/16"),
            ("net", "96.0.0.0/3"),
            ("ip", "::1"),
            ("net", "::/0"),
        ):
            self.refuse(BanOwn, self.olga, ADD_BAN, kind=kind, target=target)
        self.ban("net", "127.0.0.0/8")

    def test_bad_networks(self):
        for command in (ADD_BAN, REMOVE_BAN):
            self.refuse(NetworkBad, self.local, command, kind="ip", target="eve")
        self.refuse(BanUnknown, self.local, REMOVE_BAN, kind="ip", target="192.0.2.77")

    def test_pages_go_from_old_to_new(self):
        self.patch(limits, "OPERATOR_PAGE", 2)
        for last in range(1, 6):
            self.ban("ip", f"198.51.100.{last}")
        shown, after = [], 0
        while after is not None:
            page = self.do(self.local, LIST_BANS, after=after)
            shown += [ban.target for ban in page.bans]
            after = page.next
        self.assertEqual(shown, [f"198.51.100.{last}" for last in range(1, 6)])
