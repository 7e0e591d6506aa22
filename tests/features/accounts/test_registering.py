"""Registering: who may, under which name, by which invite, and what happens with it."""

import dataclasses

from twisted.internet.defer import execute
from twisted.trial.unittest import TestCase

from lairchat.core.feature import Feature
from lairchat.core.throttle import Rate
from lairchat.features.accounts import tables
from lairchat.features.accounts.hashing import Hashing
from lairchat.features.accounts.messages import (
    CREATE_INVITE,
    LIST_INVITES,
    LIST_SESSIONS,
    LOGIN,
    REGISTER,
)
from lairchat.features.accounts.rules import Registration, hashed_code
from lairchat.features.accounts.server import create_owner_invite, owner_code
from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import (
    AuthBusy,
    AuthDelay,
    InviteBad,
    LabelBad,
    NameBad,
    NameReserved,
    NameTaken,
    RegistrationClosed,
)
from lairchat.model.roles import ServerRole
from tests.harness import CHEAP, Client, Held, Server, accounts, predictable, secret_of


def owners_code(server):
    return server.change(
        lambda connection: create_owner_invite(connection, server.now(), server.random)
    )


def users(server):
    return server.look(
        lambda connection: [
            tuple(row)
            for row in connection.exec_driver_sql("SELECT name, role FROM users ORDER BY id")
        ]
    )


class OpenTests(TestCase):
    def setUp(self):
        self.server = Server([accounts(Registration.OPEN)])
        self.client = Client(self.server)

    def refused(self, error, field, **request):
        request = {"name": "alice", "secret": bytes(32)} | request
        refusal = self.assertRaises(error, self.client.ask, REGISTER, **request)
        self.assertEqual(refusal.field, field)
        self.assertFalse(self.client.is_authenticated)

    def test_a_newcomer_is_logged_in(self):
        grant = self.client.register("Alice", device="laptop")
        self.assertEqual((grant.name, grant.role, len(grant.token)), ("Alice", "user", 48))
        self.assertTrue(self.client.is_authenticated)
        self.assertTrue(self.server.hub.online(grant.user))
        (session,) = self.client.ask(LIST_SESSIONS).sessions
        self.assertEqual((session.session, session.device), (grant.session, grant.device))
        self.assertEqual((session.label, session.current), ("laptop", True))
        self.assertEqual(session.created, self.server.now())

    def test_the_secret_is_kept_as_an_argon2id_hash(self):
        self.client.register("alice")
        account = self.server.look(lambda connection: tables.account_by_name(connection, "alice"))
        self.assertTrue(account.secret.startswith("$argon2id$"))
        self.assertNotIn(account.secret, repr(account))

    def test_names_that_break_the_rules(self):
        for name in ("al", "a" * 33, "al ice", "alic\u00e9", "\x1b[2Jalice", "123"):
            self.refused(NameBad, "$.name", name=name)

    def test_reserved_names_and_what_looks_like_them(self):
        for name in ("admin", "Root", "adm1n", "r00t", "_admin_"[1:]):
            self.refused(NameReserved, "$.name", name=name)

    def test_taken_names_in_any_case_and_what_looks_like_them(self):
        Client(self.server).register("Walter")
        for name in ("Walter", "walter", "WALTER", "wa1ter", "vvalter", "wal_ter"):
            self.refused(NameTaken, "$.name", name=name)

    def test_a_label_of_several_lines(self):
        self.refused(LabelBad, "$.device", device="a\nb")

    def test_a_bad_invite_is_refused_though_none_is_needed(self):
        for code in ("0" * 26, "too short", "", "!" * 26):
            self.refused(InviteBad, "$.invite", invite=code)

    def test_two_who_race_for_a_name_exactly_one_gets_it(self):
        rivals = [Client(self.server) for _ in range(2)]
        requests = [
            rival.give(REGISTER, name=name, secret=bytes(32))
            for rival, name in zip(rivals, ("alice", "ALICE"), strict=True)
        ]
        self.server.settle()
        rivals[0].answer(requests[0])
        self.assertRaises(NameTaken, rivals[1].answer, requests[1])
        self.assertEqual(users(self.server), [("alice", ServerRole.USER)])
        self.assertFalse(rivals[1].is_authenticated)

    def test_look_alikes_who_race_exactly_one_gets_through(self):
        rivals = [Client(self.server) for _ in range(2)]
        requests = [
            rival.give(REGISTER, name=name, secret=bytes(32))
            for rival, name in zip(rivals, ("modern-walter", "modem-walter"), strict=True)
        ]
        self.server.settle()
        rivals[0].answer(requests[0])
        self.assertRaises(NameTaken, rivals[1].answer, requests[1])

    def test_who_is_logged_in_cannot_register_or_log_in_again(self):
        self.client.register("alice")
        for command in (REGISTER, LOGIN):
            request = self.client.give(command, name="bob", secret=bytes(32))
            self.server.settle()
            error = self.assertRaises(Refusal, self.client.answer, request)
            self.assertEqual(error.code, "LC-STAGE")

    def test_two_registrations_in_one_breath_make_one_account(self):
        first = self.client.give(REGISTER, name="alice", secret=bytes(32))
        second = self.client.give(REGISTER, name="bob", secret=bytes(32))
        self.server.settle()
        self.assertEqual(self.client.answer(first).name, "alice")
        error = self.assertRaises(Refusal, self.client.answer, second)
        self.assertEqual(error.code, "LC-STAGE")
        self.assertEqual(len(users(self.server)), 1)

    def test_a_client_that_goes_away_meanwhile_leaves_an_account_and_nobody_online(self):
        self.client.give(REGISTER, name="alice", secret=bytes(32))
        self.client.disconnect()
        self.server.settle()
        self.assertEqual(users(self.server), [("alice", ServerRole.USER)])
        self.assertEqual(self.server.hub.people, {})
        self.assertFalse(self.client.is_authenticated)
        Client(self.server).login("alice", secret=bytes(32))


class FloodTests(TestCase):
    def test_strangers_of_one_address_are_slowed_down_and_others_are_not(self):
        server = Server([accounts(strangers=Rate(burst=3, per_second=1 / 60))])
        for number in range(3):
            server.member(f"member{number}")
        client = Client(server)
        refusal = self.assertRaises(AuthDelay, client.register, "late")
        self.assertTrue(55 < refusal.retry_after <= 60)
        server.member("elsewhere", address="2001:db8::1")
        server.wait(refusal.retry_after)
        client.register("late")

    def test_who_brings_an_invite_is_not_slowed_down(self):
        server = Server([accounts(strangers=Rate(burst=1, per_second=1))])
        owner = Client(server)
        owner.register("walter", invite=owners_code(server))
        invite = owner.ask(CREATE_INVITE, uses=5)
        for number in range(5):
            Client(server).register(f"member{number}", invite=invite.code)

    def test_wrong_codes_are_slowed_down(self):
        server = Server([accounts(Registration.INVITE, strangers=Rate(burst=2, per_second=1))])
        client = Client(server)
        for _ in range(2):
            self.assertRaises(InviteBad, client.register, "mallory", invite="0" * 26)
        self.assertRaises(AuthDelay, client.register, "mallory", invite="0" * 26)

    def test_one_connection_has_few_tries(self):
        command = Rate(burst=100, per_second=1)
        server = Server([accounts()], rates={"command": command, "message": command})
        client = Client(server)
        for _ in range(10):
            self.assertRaises(NameBad, client.register, "a")
        error = self.assertRaises(Refusal, client.register, "a")
        self.assertEqual(error.code, "LC-RATE")
        Client(server).register("alice")

    def test_when_the_hashes_cannot_keep_up_the_answer_is_busy(self):
        held = Held()
        hashing = Hashing(held.run, predictable(), cost=CHEAP, workers=1, queue=1)
        server = Server([accounts(hashing=hashing)])
        clients = [Client(server) for _ in range(3)]
        requests = [
            client.give(REGISTER, name=f"member{number}", secret=bytes(32))
            for number, client in enumerate(clients)
        ]
        server.settle()
        refusal = self.assertRaises(AuthBusy, clients[2].answer, requests[2])
        self.assertGreater(refusal.retry_after, 0)
        held.finish_one()
        held.finish_one()
        server.settle()
        for client, request in zip(clients[:2], requests, strict=False):
            client.answer(request)


class InviteOnlyTests(TestCase):
    def setUp(self):
        self.hashing = Hashing(execute, predictable(), cost=CHEAP)
        self.server = Server([accounts(Registration.INVITE, self.hashing)])
        self.owner = Client(self.server)
        self.owner.register("walter", invite=owners_code(self.server))
        self.hashing.evaluated = 0
        self.client = Client(self.server)

    def invite(self, **request):
        return self.owner.ask(CREATE_INVITE, **request)

    def test_without_an_invite_nobody_gets_in_and_nothing_is_computed(self):
        self.assertRaises(RegistrationClosed, self.client.register, "alice")
        self.assertRaises(InviteBad, self.client.register, "alice", invite="Z" * 26)
        self.assertEqual(self.hashing.evaluated, 0)

    def test_without_an_invite_nobody_learns_which_names_there_are(self):
        self.assertRaises(RegistrationClosed, self.client.register, "walter")
        self.assertRaises(InviteBad, self.client.register, "walter", invite="Z" * 26)
        code = self.invite().code
        self.assertRaises(NameTaken, self.client.register, "walter", invite=code)

    def test_an_invite_makes_a_user_and_is_used_up(self):
        code = self.invite(uses=2).code
        for name in ("alice", "bob"):
            self.assertEqual(Client(self.server).register(name, invite=code).role, "user")
        self.assertRaises(InviteBad, self.client.register, "carol", invite=code)

    def test_a_code_may_be_typed_carelessly(self):
        code = self.invite().code
        typed = "-".join([code[:13], code[13:]]).lower().replace("0", "o").replace("1", "l")
        self.client.register("alice", invite=typed)

    def test_a_refused_registration_does_not_use_the_invite_up(self):
        code = self.invite().code
        self.assertRaises(NameTaken, self.client.register, "walter", invite=code)
        self.client.register("alice", invite=code)

    def test_two_who_race_with_one_code_exactly_one_gets_in(self):
        code = self.invite().code
        rivals = [Client(self.server) for _ in range(3)]
        requests = [
            rival.give(REGISTER, name=f"member{number}", secret=bytes(32), invite=code)
            for number, rival in enumerate(rivals)
        ]
        self.server.settle()
        rivals[0].answer(requests[0])
        for rival, request in zip(rivals[1:], requests[1:], strict=True):
            self.assertRaises(InviteBad, rival.answer, request)
        self.assertEqual(len(users(self.server)), 2)

    def test_an_invite_runs_out(self):
        code = self.invite(days=1).code
        self.server.wait(limits.DAY)
        self.assertRaises(InviteBad, self.client.register, "alice", invite=code)

    def test_an_invite_that_runs_out_while_the_hash_is_computed_is_refused(self):
        held = Held()
        hashing = Hashing(held.run, predictable(), cost=CHEAP)
        server = Server([accounts(Registration.INVITE, hashing)])
        client = Client(server)
        code = owners_code(server)
        request = client.give(REGISTER, name="walter", secret=bytes(32), invite=code)
        server.change(tables.delete_owner_invites)
        held.finish_one()
        server.settle()
        self.assertRaises(InviteBad, client.answer, request)
        self.assertEqual(users(server), [])


class ClosedTests(TestCase):
    def test_nobody_gets_in_not_even_with_an_invite(self):
        server = Server([accounts(Registration.CLOSED)])
        owner = Client(server)
        owner.register("walter", invite=owners_code(server))
        code = owner.ask(CREATE_INVITE).code
        client = Client(server)
        self.assertRaises(RegistrationClosed, client.register, "alice")
        self.assertRaises(RegistrationClosed, client.register, "alice", invite=code)


class OwnerTests(TestCase):
    def setUp(self):
        self.server = Server([accounts(Registration.CLOSED)])
        self.client = Client(self.server)

    def test_the_first_link_makes_the_owner_once(self):
        code = owners_code(self.server)
        self.assertEqual(len(code), limits.INVITE_CODE_CHARS)
        self.assertEqual(self.client.register("walter", invite=code).role, "owner")
        self.assertRaises(InviteBad, Client(self.server).register, "mallory", invite=code)

    def test_two_who_race_for_it_make_one_owner(self):
        code = owners_code(self.server)
        rivals = [Client(self.server) for _ in range(2)]
        requests = [
            rival.give(REGISTER, name=f"rival{number}", secret=bytes(32), invite=code)
            for number, rival in enumerate(rivals)
        ]
        self.server.settle()
        rivals[0].answer(requests[0])
        self.assertRaises(InviteBad, rivals[1].answer, requests[1])

    def test_it_works_for_24_hours(self):
        code = owners_code(self.server)
        self.server.wait(24 * 3600)
        self.assertRaises(InviteBad, self.client.register, "walter", invite=code)

    def test_a_second_link_replaces_the_first(self):
        first, second = owners_code(self.server), owners_code(self.server)
        self.assertRaises(InviteBad, self.client.register, "walter", invite=first)
        self.client.register("walter", invite=second)

    def test_a_link_made_when_there_is_an_owner_makes_no_second_one(self):
        self.client.register("walter", invite=owners_code(self.server))
        late = owners_code(self.server)
        self.assertRaises(InviteBad, Client(self.server).register, "mallory", invite=late)

    def code(self, known):
        return self.server.change(
            lambda connection: owner_code(connection, known, self.server.now(), self.server.random)
        )

    def test_a_restart_shows_the_same_link_until_it_ran_out_or_made_the_owner(self):
        first = self.code(None)
        self.assertEqual(self.code(first), first)
        self.assertNotEqual(self.code("0" * 26), first)
        second = self.code(None)
        self.server.wait(limits.OWNER_LINK_SECONDS)
        third = self.code(second)
        self.assertNotEqual(third, second)
        self.client.register("walter", invite=third)
        self.assertIsNone(self.code(third))

    def test_the_code_is_kept_as_a_hash(self):
        code = owners_code(self.server)
        invite = self.server.look(
            lambda connection: tables.invite_by_code(connection, hashed_code(code))
        )
        self.assertEqual((invite.role, invite.uses, invite.by), (ServerRole.OWNER, 1, None))
        kept = self.server.look(
            lambda connection: str(connection.exec_driver_sql("SELECT * FROM invites").all())
        )
        self.assertNotIn(code, kept)

    def test_the_owner_sees_no_owner_link_among_the_invites(self):
        self.client.register("walter", invite=owners_code(self.server))
        self.assertEqual(self.client.ask(LIST_INVITES).invites, [])


class NeighbourTests(TestCase):
    """What other features do when somebody registers."""

    def test_it_happens_in_the_same_transaction_and_is_told_after_the_login(self):
        told = []

        def registered(connection, user, name, now):
            found = tables.user_by_id(connection, user)
            self.assertEqual((found.name, now), (name, server.now()))
            return lambda hub: told.append((user, hub.online(user)))

        quiet = Feature(name="quiet", registered=lambda *_: None)
        greeter = Feature(
            name="greeter",
            registered=registered,
            attached=lambda _connection, user: [100 + user],  # type: ignore[list-item]
        )
        server = Server([accounts(), quiet, greeter])
        client = server.member("alice")
        user = client.session.user
        self.assertEqual(told, [(user, True)])
        self.assertIn(client.peer, server.hub.channels[100 + user].peers)

    def test_when_it_fails_there_is_no_account(self):
        def registered(connection, user, name, now):
            raise RuntimeError("no room")

        server = Server([accounts(), Feature(name="broken", registered=registered)])
        client = Client(server)
        error = self.assertRaises(Refusal, client.register, "alice")
        self.assertEqual(error.code, "LC-INTERNAL")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(users(server), [])
        self.assertFalse(client.is_authenticated)

    def test_the_feature_names_its_service_so_that_it_runs_and_stops_with_the_server(self):
        hashing = Hashing(execute, predictable(), cost=CHEAP)
        feature = accounts(hashing=hashing)
        self.assertEqual(feature.services, (hashing,))
        self.assertTrue(dataclasses.is_dataclass(feature))


class SecretTests(TestCase):
    def test_a_password_is_not_needed_in_the_same_form_twice(self):
        server = Server([accounts()])
        server.member("alice")
        Client(server).login("ALICE", secret=secret_of("alice"))
