"""What other features ask about people."""

from sqlalchemy import select
from twisted.trial.unittest import TestCase

from lairchat.features.accounts import tables
from lairchat.features.accounts.tables import User
from lairchat.model.roles import ServerRole
from tests.harness import Server, accounts


class PeopleTests(TestCase):
    def setUp(self):
        self.server = Server([accounts()])
        for name in ("Bob", "alice", "Carol"):
            self.server.member(name)

    def look(self, function, *arguments):
        return self.server.look(lambda connection: function(connection, *arguments))

    def test_people_are_found_by_name_in_any_case(self):
        bob = User(1, "Bob", ServerRole.USER)
        for name in ("Bob", "bob", "BOB"):
            self.assertEqual(self.look(tables.user_by_name, name), bob)
        self.assertIsNone(self.look(tables.user_by_name, "bobby"))

    def test_people_are_found_by_number(self):
        self.assertEqual(self.look(tables.user_by_id, 2).name, "alice")
        self.assertIsNone(self.look(tables.user_by_id, 9))
        self.assertIsNone(self.look(tables.account_by_id, 9))

    def test_names_of_many_at_once(self):
        self.assertEqual(self.look(tables.names_of, [3, 1, 1, 9]), {1: "Bob", 3: "Carol"})
        self.assertEqual(self.look(tables.names_of, []), {})

    def test_pages_go_by_name_whatever_its_case(self):
        everybody = select(tables.users.c.id)
        first = self.look(tables.page_by_name, everybody, "", 2)
        self.assertEqual([user.name for user in first], ["alice", "Bob"])
        rest = self.look(tables.page_by_name, everybody, "BOB", 2)
        self.assertEqual([user.name for user in rest], ["Carol"])
        some = everybody.where(tables.users.c.id != 2)
        self.assertEqual(len(self.look(tables.page_by_name, some, "", 9)), 2)

    def test_a_spent_invite_is_not_spent_again(self):
        def spend(connection):
            invite = tables.create_invite(
                connection, bytes(32), ServerRole.USER, uses=1, by=None, now=0, expires=1
            )
            return [tables.spend_invite(connection, invite) for _ in range(2)]

        self.assertEqual(self.server.change(spend), [True, False])
