"""e2ee.md, Updates: devices silent for 60 days are removed, by what honest members have heard."""

import os

import pytest

from lairchat.e2ee.room import decided
from lairchat.e2ee.silence import Heard
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.policy import direct_policy, private_policy
from tests.e2ee.devices import NOW, Client, Server
from tests.trust.people import device
from tests.trust.rooms import Person

HOUR = 3_600_000
DAY = 24 * HOUR
SILENT = limits.SILENT_DAYS * DAY
GAP = limits.LISTENING_GAP_DAYS * DAY

ALICE, BOB = bytes(32), b"b" * 32
DESK, DRAWER = LeafIdentity(ALICE, b"desk" * 4), LeafIdentity(ALICE, b"draw" * 4)
BOBS = LeafIdentity(BOB, b"bobs" * 4)
ALL = (DESK, DRAWER, BOBS)


def listening(until: int, *speaking: LeafIdentity, every: int = DAY, since: int = NOW) -> Heard:
    """Return what a device has heard that was there all the time, and where some have spoken."""
    heard = Heard()
    for now in (*range(since, until, every), until):
        heard = heard.followed(now).heard(speaking, now)
    return heard


def test_sixty_days_at_their_edge() -> None:
    heard = listening(NOW + SILENT - HOUR, DESK, BOBS)
    assert heard.silent(ALL, NOW + SILENT - HOUR) == []
    assert heard.silent(ALL, NOW + SILENT - 1) == []
    assert heard.silent(ALL, NOW + SILENT) == [DRAWER]


def test_each_time_that_it_is_heard_counts() -> None:
    heard = listening(NOW + 59 * DAY, DESK, BOBS)
    heard = heard.heard([DRAWER], NOW + 59 * DAY)
    for day in range(60, 119):
        heard = heard.followed(NOW + day * DAY).heard([DESK], NOW + day * DAY)
    assert heard.silent((DESK, DRAWER), NOW + 119 * DAY - 1) == []
    assert heard.silent((DESK, DRAWER), NOW + 119 * DAY) == [DRAWER]


def test_nobody_loses_a_room_by_being_away() -> None:
    """Also not of many devices; whoever comes back has one inside that lets it in."""
    heard = listening(NOW + 2 * SILENT, DESK)
    assert heard.silent((DESK, BOBS, LeafIdentity(BOB, b"more" * 4)), NOW + 2 * SILENT) == []


def test_a_device_on_its_way_out_speaks_for_nobody() -> None:
    """Else a stolen phone that is revoked takes along all that is left of its person."""
    heard = listening(NOW + SILENT, DESK, BOBS)
    assert heard.silent((DRAWER, BOBS), NOW + SILENT) == []
    desk, drawer, bob = room_of("private", "bob")
    live(desk, bob, last=59)
    leaves = bob.leaf_of(desk), bob.leaf_of(drawer)
    assert bob.room.silent(NOW + SILENT, leaving=[leaves[0]]) == []
    assert bob.room.silent(NOW + SILENT, leaving=[leaves[1]]) == []
    assert bob.room.silent(NOW + SILENT) == [leaves[1]]


def test_nobody_is_heard_for_somebody_elses_device() -> None:
    """An account chooses its devices' ids, and may choose those of another one."""
    twin = LeafIdentity(BOB, DRAWER.device)
    heard = listening(NOW + SILENT, DESK, twin)
    assert heard.silent((*ALL, twin), NOW + SILENT) == [DRAWER, BOBS]


def test_only_who_is_inside_is_remembered() -> None:
    """Else who adds and removes devices for ever makes every message dearer for everybody."""
    desk, drawer, bob = room_of("private", "bob")
    live(desk, drawer, bob, last=1)
    identity = drawer.person.identity(drawer.number)
    assert desk.room.heard.last(identity)
    bob.commit(remove=[decided(bob.leaf_of(drawer))])
    for client in (desk, bob):
        client.sync()
        assert not client.room.heard.last(identity)


def test_whoever_was_away_judges_nobody() -> None:
    """A server that gives a member nothing for 60 days makes nobody silent by it."""
    heard = listening(NOW + DAY, *ALL)
    back = NOW + DAY + SILENT
    assert heard.silent(ALL, back) == []
    after = heard.followed(back).heard([DESK], back)
    assert after.silent(ALL, back) == []
    assert after.silent(ALL, back + GAP) == []


def test_a_break_at_its_edge() -> None:
    heard = Heard(NOW, NOW)
    assert heard.followed(NOW + GAP).since == NOW
    assert heard.followed(NOW + GAP + 1).since == NOW + GAP + 1
    long = listening(NOW + SILENT, DESK, BOBS)
    assert long.silent(ALL, NOW + SILENT + GAP) == [DRAWER]
    assert long.silent(ALL, NOW + SILENT + GAP + 1) == []


@pytest.mark.parametrize("leap", [SILENT, -SILENT])
def test_a_leap_of_the_clock_is_nobodys_silence(leap: int) -> None:
    heard = listening(NOW + 30 * DAY, *ALL)
    now = NOW + 30 * DAY + leap
    assert heard.silent(ALL, now) == []
    assert heard.followed(now).silent(ALL, now) == []
    # Nor once it is put right again.
    again = heard.followed(now).followed(NOW + 30 * DAY + HOUR)
    assert again.silent(ALL, NOW + 30 * DAY + HOUR) == []


def test_what_was_heard_while_the_clock_was_ahead_is_not_heard_for_ever() -> None:
    """Else that device stays for as long as the leap was, and speaks for a person who is away."""
    heard = listening(NOW + DAY, *ALL)
    ahead = NOW + 10 * SILENT
    heard = heard.followed(ahead).heard([DRAWER], ahead).followed(NOW + 2 * DAY)
    for day in range(3, 63):
        heard = heard.followed(NOW + day * DAY).heard([BOBS], NOW + day * DAY)
    assert heard.silent(ALL, NOW + 62 * DAY) == []
    heard = heard.heard([DESK], NOW + 62 * DAY)
    assert heard.silent(ALL, NOW + 62 * DAY) == [DRAWER]


def test_before_anything_was_followed_nobody_is_silent() -> None:
    assert Heard().silent(ALL, NOW) == []


# In a room.


def room_of(policy: str, *more: str) -> list[Client]:
    """Return alice's device, her other one, and devices of more people, the last of whom founds it.

    policy: "direct", or who has which role besides the founder, who is an administrator.
    """
    server = Server()
    alice = Person("alice", devices=2)
    others = [Person(name) for name in more]
    founder = others[-1]
    rules = direct_policy(alice.id, founder.id)
    if policy != "direct":
        rules = private_policy([founder.id], [one.id for one in others if one.name == policy])
    clients = [Client(server, alice, number) for number in (1, 2)]
    clients += [Client(server, one) for one in others]
    clients[-1].found(rules)
    clients[-1].add(*clients[:-1])
    for client in clients:
        # As each does once it has come in.
        client.sync()
        client.commit()
    for client in clients:
        client.sync()
    return clients


def live(*clients: Client, first: int = 0, last: int, renewing: bool = False) -> None:
    """Let days go by, on each of which these say something, or renew their keys, and all follow."""
    for day in range(first, last + 1):
        for client in clients:
            client.now = NOW + day * DAY
        for client in clients:
            client.sync()
            if renewing:
                client.commit()
            else:
                client.say(f"day {day}")
        for client in clients:
            client.sync()


@pytest.mark.parametrize("renewing", [False, True])
def test_messages_and_new_keys_are_heard(renewing: bool) -> None:
    desk, drawer, bob = room_of("private", "bob")
    live(desk, bob, last=59, renewing=renewing)
    for client in (desk, bob):
        assert client.room.silent(NOW + SILENT - HOUR) == []
        assert client.room.silent(NOW + SILENT) == [client.leaf_of(drawer)]
    live(desk, drawer, bob, first=60, last=60, renewing=renewing)
    assert desk.room.silent(NOW + SILENT + HOUR) == bob.room.silent(NOW + SILENT + HOUR) == []


def test_a_device_that_was_added_late_has_its_own_sixty_days() -> None:
    desk, drawer, bob = room_of("private", "bob")
    live(desk, bob, last=30)
    bob.person.account.say(device("bob", 2))
    late = Client(desk.server, bob.person, 2)
    bob.add(late)
    live(desk, bob, first=31, last=60)
    assert bob.room.silent(NOW + SILENT) == [bob.leaf_of(drawer)]
    live(desk, bob, first=61, last=89)
    gone = {bob.leaf_of(drawer), bob.leaf_of(late)}
    assert set(bob.room.silent(NOW + 90 * DAY - 1)) == {bob.leaf_of(drawer)}
    assert set(bob.room.silent(NOW + 90 * DAY)) == gone


def test_a_device_that_somebody_brought_in_speaks_for_nobody() -> None:
    """Any member may add a person's devices, and so would have those put out that are only away."""
    desk, drawer, mallory, bob = room_of("none", "mallory", "bob")
    live(mallory, bob, last=50)
    alice = desk.person
    alice.account.say(device("alice", 3))
    tablet = Client(desk.server, alice, 3)
    mallory.add(tablet)
    live(mallory, bob, first=51, last=59)
    assert bob.room.heard.last(alice.identity(3))
    assert bob.room.silent(NOW + SILENT) == []
    # Once it has come by itself it does.
    tablet.now = NOW + 59 * DAY
    tablet.sync()
    tablet.commit()
    bob.sync()
    assert set(bob.room.silent(NOW + SILENT)) == {bob.leaf_of(desk), bob.leaf_of(drawer)}


@pytest.mark.parametrize(
    ("policy", "who"),
    [("direct", {"alice"}), ("members", {"alice", "carol"}), ("bob", {"alice", "bob", "carol"})],
)
def test_the_table_says_who_removes_it(policy: str, who: set[str]) -> None:
    """Its own person's devices; in private rooms also who may remove the person; nobody else."""
    names = ("carol",) if policy == "direct" else ("bob", "carol")
    desk, drawer, *others = room_of(policy, *names)
    clients = (desk, *others)
    live(*clients, last=59)
    for client in clients:
        found = client.room.silent(NOW + SILENT)
        assert found == [client.leaf_of(drawer)] * (client.person.name in who)
        if not found:
            continue
        # And nobody refuses that.
        tried = client.room.commit(client.server.logs, os.urandom, remove=[decided(found[0])])
        assert tried.pending is not None
        assert [one.identity for one in tried.pending.change.removed] == [
            drawer.person.identity(drawer.number)
        ]


def test_what_is_not_signed_is_not_heard() -> None:
    """A server cannot speak for a device: neither by statements of its own nor by bytes it makes up."""
    desk, drawer, bob = room_of("private", "bob")
    live(desk, bob, last=59)
    desk.now = NOW + SILENT
    desk.server.append(EventClass.STATE, b"statement")
    desk.server.append(EventClass.APP, drawer.seal("forged")[:-1] + b"x")
    desk.sync()
    assert desk.room.silent(NOW + SILENT) == [desk.leaf_of(drawer)]
