"""How many strangers one source may be, and how often they may come to nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.core.admission import Admission, source_of
from lairchat.core.throttle import Rate, Throttle

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Ticks:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


def admission(ticks, exempt=()):
    return Admission(Throttle(ticks), at_once=3, wasted=Rate(burst=5, per_second=1), exempt=exempt)


@pytest.fixture
def door(ticks):
    return admission(ticks)


def test_a_subscriber_is_an_ipv4_address_or_a_whole_ipv6_network():
    assert source_of("192.0.2.7") == source_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert source_of("2001:db8:1:2:3:4:5:6") == source_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert source_of("2001:db8:1:3::9") != source_of("2001:db8:1:2::9")
    assert source_of("fe80::1%eth0") == "fe80::/64"
    assert source_of("") == ""


@given(st.text(max_size=50))
def test_whatever_a_transport_calls_its_peer_is_a_source(host):
    assert isinstance(source_of(host), str)


def test_a_source_holds_so_many_strangers_and_others_do_not_notice(door):
    assert [door.arrive(HERE) for _ in range(4)] == [None, None, None, "LC-CONNECTIONS"]
    assert door.arrive(THERE) is None
    assert len(door) == 2


def test_other_bounds_count_at_once(door):
    for _ in range(3):
        assert door.arrive(HERE) is None
    wide = Rate(burst=100, per_second=1)
    door.change(at_once=5, wasted=wide)
    for _ in range(2):
        assert door.arrive(HERE) is None
    door.change(at_once=1, wasted=wide, exempt=["192.0.2.0/24"])
    assert door.exempts(HERE)
    assert [door.arrive(HERE) for _ in range(9)] == [None] * 9
    for _ in range(9):
        door.leave(HERE)
    assert len(door) == 0
    door.change(at_once=1, wasted=wide)
    assert [door.arrive(HERE) for _ in range(2)] == [None, "LC-CONNECTIONS"]
    door.leave(HERE)  # of those that came under the other rule, and are not counted any more
    door.leave(HERE)
    assert len(door) == 0
    assert door.arrive(HERE) is None


def test_who_logs_in_is_no_stranger_any_more(door):
    for _ in range(20):
        assert door.arrive(HERE) is None
        door.authenticated(HERE)
    assert len(door) == 0


def test_connections_that_come_to_nothing_are_counted_for_a_while(door, ticks):
    for _ in range(5):
        assert door.arrive(HERE) is None
        door.leave(HERE)
    assert door.arrive(HERE) == "LC-CONNECTIONS"
    assert door.arrive(THERE) is None
    ticks.now += 1
    assert door.arrive(HERE) is None


def test_breaking_the_protocol_costs_as_much_as_a_wasted_connection(door):
    for _ in range(5):
        door.penalise(HERE)
    assert door.arrive(HERE) == "LC-CONNECTIONS"


def test_one_of_several_strangers_leaves(door):
    for _ in range(3):
        door.arrive(HERE)
    door.leave(HERE)
    assert door.arrive(HERE) is None
    assert door.arrive(HERE) == "LC-CONNECTIONS"


def test_networks_that_are_exempt_are_not_counted(ticks):
    door = admission(ticks, exempt=["192.0.2.0/30", "2001:db8::/32"])
    for host in (HERE, f"::ffff:{HERE}", "2001:db8::1"):
        for _ in range(20):
            assert door.arrive(host) is None
            door.penalise(host)
            door.leave(host)
            door.authenticated(host)
    assert len(door) == 0
    assert not door.exempts("192.0.2.9")
    assert not door.exempts("a socket")
    assert [door.arrive("192.0.2.9") for _ in range(4)][-1] == "LC-CONNECTIONS"
