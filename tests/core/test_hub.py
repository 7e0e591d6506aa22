"""The hub: who hears what, in which order, once per turn."""

import pytest
from twisted.trial.unittest import SynchronousTestCase

from lairchat.core.hub import Hub
from lairchat.core.measures import Histogram, Stopwatch
from lairchat.core.session import Session
from lairchat.model import limits
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole
from tests.core.wires import House

ALICE, BOB, CAROL = UserId(1), UserId(2), UserId(3)
ROOM, OTHER = 10, 20


class People(House):
    """A house whose visitors log in."""

    def __init__(self):
        super().__init__()
        self.sessions = 0

    def login(self, user, *rooms, session=None):
        peer = self.connect()
        self.sessions += 1
        number = SessionId(session or self.sessions)
        self.hub.attach(
            peer, Session(number, user, DeviceId(number), f"user{user}", ServerRole.USER), rooms
        )
        return peer

    def heard(self, *peers):
        """End the turn and return what each of them was sent in it."""
        before = [len(peer.wire.written) for peer in peers]
        self.turn()
        return [
            b"".join(peer.wire.written[start:]) for peer, start in zip(peers, before, strict=True)
        ]


@pytest.fixture
def house():
    return People()


@pytest.fixture
def hub(house):
    return house.hub


# -- who is where


def test_everybody_in_a_room_hears_it_and_nobody_else(house, hub):
    alice, bob, carol = house.login(ALICE, ROOM), house.login(BOB, ROOM), house.login(CAROL, OTHER)
    hub.publish(ROOM, b"hello")
    assert house.heard(alice, bob, carol) == [b"hello", b"hello", b""]


def test_all_devices_of_a_user_hear_the_rooms_that_the_hub_knows_the_user_in(house, hub):
    desk = house.login(ALICE, ROOM)
    hub.enter(ALICE, OTHER)
    # The hub follows the database, also between the transaction that read the rooms and now.
    phone = house.login(ALICE, ROOM)
    hub.publish(OTHER, b"hello")
    assert house.heard(desk, phone) == [b"hello", b"hello"]


def test_a_connection_that_is_gone_is_not_attached(house, hub):
    peer = house.connect()
    hub.detach(peer)
    hub.attach(peer, Session(SessionId(1), ALICE, DeviceId(1), "alice", ServerRole.USER), [ROOM])
    assert (hub.people, hub.channels, peer.session) == ({}, {}, None)


def test_who_leaves_is_forgotten_with_every_trace(house, hub):
    alice, again = house.login(ALICE, ROOM), house.login(ALICE, ROOM)
    bob = house.login(BOB, ROOM, OTHER)
    for peer in (alice, bob, again, again):
        hub.detach(peer)
    assert (hub.people, hub.channels) == ({}, {})
    hub.publish(ROOM, b"nobody")
    assert house.heard(alice, again, bob) == [b"", b"", b""]


def test_people_in_a_room_are_counted_not_connections(house, hub):
    assert hub.here(ROOM) == 0
    desk, phone, bob = house.login(ALICE, ROOM), house.login(ALICE, ROOM), house.login(BOB)
    assert hub.here(ROOM) == 1
    hub.enter(BOB, ROOM)
    assert hub.here(ROOM) == 2
    hub.detach(desk)
    assert hub.here(ROOM) == 2
    hub.detach(phone)
    assert hub.here(ROOM) == 1
    hub.exit(BOB, ROOM)
    assert hub.here(ROOM) == 0
    hub.detach(bob)


def test_who_enters_hears_what_is_said_from_then_on(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB)
    hub.publish(ROOM, b"1")
    hub.enter(BOB, ROOM)
    hub.enter(BOB, ROOM)
    hub.publish(ROOM, b"2")
    assert house.heard(alice, bob) == [b"12", b"2"]


def test_who_leaves_a_room_hears_what_was_said_before(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    hub.publish(ROOM, b"1")
    hub.exit(BOB, ROOM)
    hub.exit(BOB, ROOM)
    hub.publish(ROOM, b"2")
    assert house.heard(alice, bob) == [b"12", b"1"]


def test_who_is_not_here_enters_and_leaves_without_effect(house, hub):
    hub.enter(ALICE, ROOM)
    hub.exit(ALICE, ROOM)
    assert hub.channels == {}


def test_the_sessions_that_are_live(house, hub):
    house.login(ALICE, ROOM, session=3)
    again, bob = house.login(ALICE, session=3), house.login(BOB, session=5)
    house.connect()
    assert sorted(hub.sessions()) == [3, 3, 5]
    hub.detach(again)
    hub.detach(bob)
    assert hub.sessions() == [3]


def test_who_is_online(house, hub):
    alice = house.login(ALICE)
    assert hub.online(ALICE)
    assert hub.peers_of(ALICE) == [alice]
    hub.detach(alice)
    assert not hub.online(ALICE)
    assert hub.peers_of(ALICE) == []


def test_coming_and_going_is_told_for_the_first_and_the_last_connection(house, hub):
    told = []
    hub.presence_changed = lambda user, person, online: told.append(
        (user, online, hub.online(user), tuple(person.rooms))
    )
    desk, phone = house.login(ALICE, ROOM), house.login(ALICE, ROOM)
    hub.detach(desk)
    hub.detach(phone)
    assert told == [(ALICE, True, True, (ROOM,)), (ALICE, False, False, (ROOM,))]


# -- what is said


def test_a_turn_is_one_write_whatever_was_said_in_how_many_rooms(house, hub):
    alice = house.login(ALICE, ROOM, OTHER)
    for frame in (b"a", b"b"):
        hub.publish(ROOM, frame)
        hub.publish(OTHER, frame.upper())
    alice.push(b"!")
    assert house.heard(alice) == [b"!abAB"]
    assert len(alice.wire.written) == 1


def test_listeners_share_one_object(house, hub):
    peers = [house.login(UserId(n), ROOM) for n in range(1, 4)]
    hub.publish(ROOM, b"hel")
    hub.publish(ROOM, b"lo")
    house.turn()
    assert len({id(peer.wire.written[0]) for peer in peers}) == 1


def test_the_author_gets_the_answer_in_the_place_of_the_event(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    phone = house.login(ALICE, ROOM)
    hub.publish(ROOM, b"1", alice, b"(ok 1)")
    hub.publish(ROOM, b"2", bob, b"(ok 2)")
    hub.publish(ROOM, b"3", alice, b"(ok 3)")
    hub.publish(ROOM, b"4")
    assert house.heard(alice, bob, phone) == [b"(ok 1)2(ok 3)4", b"1(ok 2)34", b"1234"]


def test_an_author_outside_the_room_gets_the_answers_only(house, hub):
    alice, bob = house.login(ALICE), house.login(BOB, ROOM)
    hub.publish(ROOM, b"1", alice, b"(ok 1)")
    hub.publish(ROOM, b"2", bob, b"(ok 2)")
    hub.publish(ROOM, b"3", alice, b"(ok 3)")
    assert house.heard(alice, bob) == [b"(ok 1)(ok 3)", b"1(ok 2)3"]


def test_in_an_empty_room_the_author_still_gets_the_answer(house, hub):
    alice = house.login(ALICE)
    hub.publish(ROOM, b"1", alice, b"(ok 1)")
    hub.publish(ROOM, b"2", alice)
    assert house.heard(alice) == [b"(ok 1)"]


def test_an_author_who_left_in_the_same_turn_is_no_trouble(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    hub.publish(ROOM, b"1", alice, b"(ok 1)")
    hub.detach(alice)
    assert house.heard(alice, bob) == [b"", b"1"]


def test_who_does_not_read_is_told_of_a_gap_and_gets_answers_nevertheless(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    large = bytes(limits.OUTBOX_BYTES)
    for peer in (alice, bob):
        peer.block(0.0)
    hub.publish(ROOM, large, alice, b"(ok 1)")
    hub.publish(ROOM, b"2", alice, b"(ok 2)")
    house.turn()
    assert alice.outbox == [b"(ok 1)", b"(ok 2)"]
    assert bob.outbox == []
    hub.publish(ROOM, b"3")  # nothing jumps a gap
    house.turn()
    for peer in (alice, bob):
        peer.unblock()
    assert house.heard(alice, bob) == [b"gap[10];", b"gap[10];"]
    assert alice.wire.written[0] == b"(ok 1)(ok 2)"
    hub.publish(ROOM, b"4")
    assert house.heard(alice, bob) == [b"4", b"4"]


def test_one_who_does_not_read_does_not_hold_up_the_others_nor_fill_memory(house, hub):
    alice, bob = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    alice.block(0.0)
    for _ in range(200):
        hub.publish(ROOM, bytes(60_000))
        house.turn()
    assert alice.outbox_bytes <= limits.OUTBOX_BYTES
    assert sum(map(len, bob.wire.written)) == 200 * 60_000


def test_a_gap_of_a_room_that_one_left_is_not_told(house, hub):
    alice = house.login(ALICE, ROOM, OTHER)
    house.login(BOB, ROOM)
    alice.block(0.0)
    hub.publish(ROOM, bytes(limits.OUTBOX_BYTES + 1))
    hub.publish(OTHER, bytes(limits.OUTBOX_BYTES + 1))
    house.turn()
    hub.exit(ALICE, ROOM)
    hub.exit(BOB, ROOM)
    alice.unblock()
    assert house.heard(alice) == [b"gap[20];"]


def test_notices_go_to_all_devices_but_one(house, hub):
    desk, phone, bob = house.login(ALICE), house.login(ALICE), house.login(BOB)
    hub.tell(ALICE, b"both")
    assert house.heard(desk, phone, bob) == [b"both", b"both", b""]
    hub.tell(ALICE, b"other", but=desk)
    assert house.heard(desk, phone, bob) == [b"", b"other", b""]
    hub.tell(CAROL, b"nobody")


class BrokenWireTests(SynchronousTestCase):
    """A wire that raises costs its own connection, and nobody else anything."""

    def setUp(self):
        self.house = People()
        self.alice = self.house.login(ALICE, ROOM)
        self.broken = self.house.login(CAROL, ROOM, OTHER, session=7)
        self.bob = self.house.login(BOB, ROOM, OTHER)

    def breaks(self, *names):
        """Let the middle one of the three fail in what the transport does for it."""

        def fail(*_):
            raise ArithmeticError

        for name in names:
            setattr(self.broken.wire, name, fail)

    def ended(self):
        """Look that it is cut and forgotten, and that the log says why."""
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 1)
        self.assertEqual(self.broken.wire.done, ["abort"])
        self.assertTrue(self.broken.closed)
        self.assertFalse(self.house.hub.online(CAROL))
        self.assertEqual(self.house.turns, [])

    def test_in_writing(self):
        self.breaks("write")
        self.house.hub.publish(ROOM, b"1")
        self.assertEqual(self.house.heard(self.alice, self.bob), [b"1", b"1"])
        self.ended()

    def test_in_not_reading_while_a_room_is_told(self):
        self.breaks("pause_reading")
        self.broken.block(0.0)
        self.broken.push(bytes(limits.OUTBOX_BYTES))
        hub = self.house.hub
        hub.publish(ROOM, b"1", self.broken, b"(ok 1)")
        hub.publish(ROOM, b"2")
        hub.publish(OTHER, b"3", self.broken, b"(ok 3)")
        self.assertEqual(self.house.heard(self.alice, self.bob), [b"12", b"123"])
        self.ended()
        hub.publish(OTHER, b"4")
        self.assertEqual(self.house.heard(self.bob), [b"4"])

    def test_in_saying_goodbye(self):
        """Neither a full pipe nor a fault keeps another connection of an ended session open."""
        for name in ("write", "close"):
            other = self.house.login(CAROL, ROOM, session=7)
            self.breaks(name)
            self.broken.push(b"x")
            self.house.hub.close_sessions(CAROL, lambda _session: True, "LC-AUTH-TOKEN", "over")
            self.assertEqual(other.wire.done, [("close", "LC-AUTH-TOKEN", "over")])
            self.house.turn()
            self.ended()
            self.broken = self.house.login(CAROL, ROOM, OTHER, session=7)


def test_a_quiet_hub_has_no_turns(house, hub):
    alice = house.login(ALICE, ROOM)
    house.turn()
    assert house.turns == []
    hub.publish(ROOM, b"a")
    hub.publish(ROOM, b"b")
    alice.push(b"c")
    assert len(house.turns) == 1
    house.turns.pop()()
    assert house.turns == []
    assert alice.wire.written == [b"cab"]


# -- ended sessions


def test_connections_of_ended_sessions_close_in_this_turn_after_what_was_for_them(house, hub):
    desk, again = house.login(ALICE, ROOM, session=5), house.login(ALICE, ROOM, session=5)
    phone, bob = house.login(ALICE, ROOM, session=6), house.login(BOB, ROOM, session=7)
    desk.push(b"the answer")
    hub.close_sessions(ALICE, lambda session: session.id == 5, "LC-AUTH-TOKEN", "over")
    assert desk.wire.written == [b"the answer"]
    for peer in (desk, again):
        assert peer.wire.done == [("close", "LC-AUTH-TOKEN", "over")]
        assert peer.closed
    hub.publish(ROOM, b"later")
    assert house.heard(desk, again, phone, bob) == [b"", b"", b"later", b"later"]
    hub.close_sessions(CAROL, lambda _session: True, "LC-AUTH-TOKEN", "over")


def test_a_closed_chat_ends_all_connections_and_lets_nobody_in(house):
    here, there = house.login(ALICE, ROOM), house.login(BOB, ROOM)
    assert house.hub.connections() == 2
    house.hub.close_all(": a new disk")
    late = house.login(CAROL, ROOM)
    for peer in (here, there, late):
        ((what, code, text),) = peer.wire.done
        assert (what, code) == ("close", "LC-MAINTENANCE")
        assert ": a new disk" in text
        assert peer.closed
    assert house.hub.connections() == 0
    assert house.hub.people == {}
    house.hub.maintenance = None
    assert house.login(ALICE, ROOM).wire.done == []


def test_a_session_says_who_it_is_for_logs(house):
    session = house.login(ALICE).session
    assert repr(session) == "<Session 1 user=1 device=1 role=USER>"


def test_a_turn_with_events_is_timed_once_from_the_first_event_to_the_last_write(house):
    times = iter([1.0, 3.0])
    histogram = Histogram((1, 10))
    watch = Stopwatch(lambda: next(times), histogram)
    house.hub = Hub(house.turns.append, lambda rooms: b"", watch)
    alice = house.login(ALICE, ROOM, OTHER)
    house.turn()
    house.hub.publish(ROOM, b"one")
    house.hub.publish(OTHER, b"two")
    house.hub.publish(ROOM, b"three")
    house.turn()
    assert (histogram.total, histogram.sum) == (1, 2.0)
    alice.push(b"an answer is no event")
    house.turn()
    assert histogram.total == 1
