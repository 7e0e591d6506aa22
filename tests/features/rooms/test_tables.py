"""Where rooms are kept."""

from lairchat.features.rooms import tables
from lairchat.model.ids import RoomId
from tests.features.common import Case


class TablesTest(Case):
    def test_more_pairs_than_one_statement_takes(self):
        user = self.alice.session.user
        pairs = [(RoomId(room), user) for room in range(1000, 2500)]
        found = self.server.look(lambda c: tables.may_not_post(c, [*pairs, (self.ops, user)]))
        self.assertEqual(sorted(found), pairs)
