"""Presence: only to people who share a room, coalesced, and never at any price."""

from twisted.internet.task import Clock

from lairchat.features.presence import rules
from lairchat.features.presence.messages import PRESENCE, Presence, PresenceChanges
from lairchat.features.presence.server import PresenceService
from lairchat.features.rooms.messages import CREATE, LEAVE, MEMBERS
from lairchat.model import limits
from lairchat.wire import codec
from tests.features.common import Case
from tests.features.legacy import legacy_direct
from tests.harness import Client


def told(client):
    """Return what a connection was told: (name, online), in order."""
    changes = client.events(PRESENCE.name)
    return [(one.name, one.online) for change in changes for one in change.people]


class PresenceTest(Case):
    def setUp(self):
        super().setUp()
        # Everybody is in the lobby, so that everybody would hear of everybody.
        lobby = self.rooms_of(self.alice)["lobby"].room
        for client in (self.alice, self.bob, self.carol):
            client.ask(LEAVE, room=lobby)
        self.forget()

    def test_those_who_share_a_room_hear_who_comes_and_goes(self):
        self.bob.disconnect()
        self.server.wait(rules.COALESCE_SECONDS)
        self.assertEqual(told(self.alice), [("bob", False)])
        self.device("bob")
        self.assertEqual(told(self.alice), [("bob", False), ("bob", True)])
        (event, _) = self.alice.events(PRESENCE.name)
        self.assertEqual(event.people[0].user, self.bob.session.user)
        self.assertEqual(told(self.carol), [])

    def test_a_direct_conversation_is_a_room(self):
        legacy_direct(self.server, self.alice, self.carol)
        self.carol.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [("carol", False)])
        self.assertEqual(told(self.bob), [])

    def test_only_the_first_and_the_last_device_count(self):
        phone = self.device("bob")
        self.bob.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [])
        phone.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [("bob", False)])

    def test_changes_are_collected_into_one_event(self):
        legacy_direct(self.server, self.alice, self.carol)
        legacy_direct(self.server, self.alice, self.bob)
        self.forget()
        self.bob.disconnect()
        self.carol.disconnect()
        self.server.wait(rules.COALESCE_SECONDS - 0.01)
        self.assertEqual(told(self.alice), [])
        self.server.wait(0.01)
        self.assertEqual(told(self.alice), [("bob", False), ("carol", False)])
        self.assertEqual(len(self.alice.events(PRESENCE.name)), 1)

    def test_the_last_state_is_told_once(self):
        self.bob.disconnect()
        self.server.wait(0.2)
        phone = Client(self.server)
        phone.login("bob")
        self.settle()
        self.assertEqual(told(self.alice), [("bob", True)])
        self.assertEqual(told(phone), [])

    def test_newcomers_who_come_together_hear_of_each_other(self):
        for client in (self.alice, self.bob):
            client.disconnect()
        self.settle()
        phones = [Client(self.server), Client(self.server)]
        for phone, name in zip(phones, ("alice", "bob"), strict=True):
            phone.login(name)
        self.settle()
        self.assertEqual([told(phone) for phone in phones], [[("bob", True)], [("alice", True)]])

    def test_newcomers_ask_who_is_here(self):
        self.bob.disconnect()
        self.settle()
        page = self.alice.ask(MEMBERS, room=self.ops)
        self.assertEqual(
            [(one.name, one.online) for one in page.members], [("alice", True), ("bob", False)]
        )
        self.assertEqual((page.here, page.total), (1, 2))

    def test_large_rooms_are_silent(self):
        self.patch(rules, "ROOM_CONNECTIONS", 2)
        phones = [self.device("alice") for _ in range(2)]
        self.bob.disconnect()
        self.settle()
        self.assertEqual([told(client) for client in (self.alice, *phones)], [[], [], []])

    def test_a_room_as_large_as_may_be_is_not(self):
        self.patch(rules, "ROOM_CONNECTIONS", 2)
        self.device("alice")
        self.bob.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [("bob", False)])

    def test_a_room_that_everybody_has_left_meanwhile(self):
        self.bob.disconnect()
        self.alice.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [])

    def test_those_who_do_not_read_are_not_told(self):
        phone = self.device("alice")
        phone.peer.block(0.0)
        phone.peer.gap = {self.ops}
        slow = self.device("alice")
        slow.peer.block(0.0)
        slow.peer.push(bytes(limits.OUTBOX_BYTES + 1))
        self.bob.disconnect()
        self.settle()
        self.assertEqual(told(self.alice), [("bob", False)])
        self.assertEqual(phone.peer.outbox_bytes, 0)
        self.assertEqual(slow.peer.outbox_bytes, limits.OUTBOX_BYTES + 1)
        for client in (phone, slow):
            client.disconnect()

    def test_many_changes_come_in_events_that_fit_a_frame(self):
        self.patch(rules, "PEOPLE_PER_EVENT", 1)
        dave = self.server.member("dave")
        room = self.carol.ask(CREATE, name="den").room
        self.set_role(room, self.alice, 20)
        self.set_role(room, self.bob, 20)
        self.set_role(room, dave, 20)
        self.settle()
        self.forget()
        self.bob.disconnect()
        dave.disconnect()
        self.settle()
        self.assertEqual(sorted(told(self.carol)), [("bob", False), ("dave", False)])
        self.assertEqual(len(self.carol.events(PRESENCE.name)), 2)

    def test_a_full_event_fits_a_frame(self):
        people = [Presence(2**40, "n" * 32, True)] * rules.PEOPLE_PER_EVENT
        self.assertLess(len(codec.encode_body(PresenceChanges(people))), 60_000)

    def test_a_server_that_stops_says_nothing(self):
        self.bob.disconnect()
        for feature in self.server.kernel.features:
            for service in feature.services:
                service.startService()
                service.stopService()
        self.settle()
        self.alice.disconnect()
        self.assertEqual(told(self.alice), [])
        self.assertFalse(self.server.clock.getDelayedCalls())

    def test_a_service_that_never_ran_stops(self):
        PresenceService(Clock()).stopService()
