"""One connection: an outbox that is bounded, and commands that start in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.core.peer import Peer
from lairchat.model import limits
from lairchat.wire.contract import Overlap
from tests.core.wires import House

READ, WRITE, EXCLUSIVE = Overlap.READ, Overlap.WRITE, Overlap.EXCLUSIVE


@pytest.fixture
def house():
    return House()


@pytest.fixture
def peer(house):
    return house.connect()


# -- what goes out


def test_what_is_pushed_in_one_turn_is_one_write(house, peer):
    for data in (b"a", b"b", b"c"):
        peer.push(data)
    assert peer.wire.written == []
    house.turn()
    assert peer.wire.written == [b"abc"]
    peer.push(b"d")
    house.turn()
    assert peer.wire.written == [b"abc", b"d"]


def test_several_frames_at_once_keep_their_order(house, peer):
    peer.push(b"a")
    peer.push_all([b"b", b"c"])
    house.turn()
    peer.push_all([b"d", b"e"])
    house.turn()
    assert peer.wire.written == [b"abc", b"de"]


def test_nothing_to_say_is_no_write(house, peer):
    peer.flush()
    peer.push_all([])
    house.turn()
    assert peer.wire.written == []


def test_while_the_transport_is_full_everything_waits(house, peer):
    peer.block(5.0)
    peer.block(6.0)
    assert peer.blocked_since == 5.0
    peer.push(b"a")
    house.turn()
    assert peer.wire.written == []
    peer.unblock()
    assert peer.wire.written == [b"a"]


def test_a_transport_that_fills_up_at_once_gets_the_rest_later(house, peer):
    peer.wire.full = True
    peer.push(b"a")
    house.turn()
    peer.push(b"b")
    house.turn()
    assert peer.wire.written == [b"a"]
    peer.unblock()
    assert peer.wire.written == [b"a", b"b"]
    assert peer.blocked


def test_nothing_is_said_to_a_closed_connection(house, peer):
    house.hub.detach(peer)
    peer.push(b"a")
    peer.push_all([b"b"])
    house.turn()
    assert peer.wire.written == []
    assert peer.outbox_bytes == 0


def test_who_does_not_read_misses_room_events_and_is_told_of_which_rooms(house, peer):
    chunk = bytes(100_000)
    peer.block(0.0)
    accepted = 0
    while peer.keeps_up(len(chunk), 1):
        peer.push(chunk)
        accepted += 1
    assert accepted * len(chunk) <= limits.OUTBOX_BYTES < (accepted + 1) * len(chunk)
    assert not peer.keeps_up(1, 2)  # once there is a gap, nothing jumps it
    assert peer.outbox_bytes <= limits.OUTBOX_BYTES
    peer.push(b"a reply")
    peer.unblock()
    house.turn()
    assert peer.wire.written == [chunk * accepted + b"a reply", b"gap[1, 2];"]
    assert peer.keeps_up(1, 1)


def test_a_gap_is_told_when_everything_before_it_is_out(house, peer):
    peer.block(0.0)
    assert not peer.keeps_up(limits.OUTBOX_BYTES + 1, 3)
    peer.push(b"a")
    peer.wire.full = True
    peer.unblock()
    house.turn()
    assert peer.wire.written == [b"a"]
    peer.wire.full = False
    peer.unblock()
    house.turn()
    assert peer.wire.written == [b"a", b"gap[3];"]


def test_a_gap_in_rooms_that_were_left_is_not_worth_a_word(house, peer):
    peer.block(0.0)
    assert not peer.keeps_up(limits.OUTBOX_BYTES + 1, 3)
    peer.gap.discard(3)
    peer.unblock()
    house.turn()
    assert peer.wire.written == []


def test_who_does_not_read_answers_is_not_read_from_until_they_are_out(house, peer):
    peer.block(0.0)
    peer.push(bytes(limits.OUTBOX_BYTES))
    assert peer.wire.done == []
    peer.push(b"one more")
    assert peer.wire.done == ["pause"]
    peer.unblock()
    assert peer.wire.done == ["pause", "resume"]


def test_a_large_turn_pauses_reading_only_until_it_is_written(house, peer):
    peer.push(bytes(limits.OUTBOX_BYTES + 1))
    assert peer.wire.done == ["pause"]
    house.turn()
    assert peer.wire.done == ["pause", "resume"]


# -- which commands run


class Runner:
    """Starts commands on a peer and ends them when told."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.order = []
        self.running = {}
        self.given = 0

    def give(self, overlap):
        number = self.given
        self.given += 1
        self.peer.start(overlap, self._run, number, overlap)

    def _run(self, number, overlap):
        if overlap is READ:
            assert WRITE not in self.running.values(), "a read that would miss a write"
        self.order.append(number)
        self.running[number] = overlap
        if EXCLUSIVE in self.running.values():
            assert len(self.running) == 1, "an exclusive one with company"

    def end(self, number):
        self.peer.ended(self.running.pop(number))


@pytest.fixture
def runner(peer):
    return Runner(peer)


def test_reads_overlap(runner):
    for _ in range(3):
        runner.give(READ)
    assert runner.order == [0, 1, 2]


def test_writes_start_at_once_beside_everything(runner):
    for overlap in (READ, WRITE, WRITE):
        runner.give(overlap)
    assert runner.order == [0, 1, 2]


def test_a_read_waits_for_earlier_writes_and_what_comes_later_stays_behind_it(runner):
    for overlap in (WRITE, WRITE, READ, WRITE, READ):
        runner.give(overlap)
    assert runner.order == [0, 1]
    runner.end(1)
    assert runner.order == [0, 1]
    runner.end(0)
    assert runner.order == [0, 1, 2, 3]
    runner.end(3)
    assert runner.order == [0, 1, 2, 3, 4]


def test_an_exclusive_one_waits_for_all_and_all_wait_for_it(runner):
    for overlap in (READ, EXCLUSIVE, READ, WRITE):
        runner.give(overlap)
    assert runner.order == [0]
    runner.end(0)
    assert runner.order == [0, 1]
    runner.end(1)
    assert runner.order == [0, 1, 2, 3]


def test_two_exclusive_ones_take_turns(runner):
    for _ in range(2):
        runner.give(EXCLUSIVE)
    assert runner.order == [0]
    runner.end(0)
    assert runner.order == [0, 1]


def test_a_command_may_end_before_its_start_returns(peer):
    ended = []

    def run(number):
        ended.append(number)
        peer.ended(EXCLUSIVE)

    for number in range(3):
        peer.start(EXCLUSIVE, run, number)
    assert ended == [0, 1, 2]
    assert peer.inflight == 0


def test_what_waits_behind_the_end_of_the_connection_never_starts(house, peer, runner):
    for overlap in (EXCLUSIVE, WRITE, READ):
        runner.give(overlap)
    house.hub.detach(peer)
    runner.end(0)
    assert runner.order == [0]


def test_with_64_commands_under_way_reading_pauses(peer, runner):
    for _ in range(limits.COMMANDS_IN_FLIGHT - 1):
        runner.give(WRITE)
    assert peer.wire.done == []
    runner.give(WRITE)
    assert peer.wire.done == ["pause"]
    runner.give(WRITE)  # it was in the same chunk of bytes
    runner.end(0)
    assert peer.wire.done == ["pause"]
    runner.end(1)
    assert peer.wire.done == ["pause", "resume"]


def test_commands_that_wait_count_as_under_way(peer, runner):
    runner.give(EXCLUSIVE)
    for _ in range(limits.COMMANDS_IN_FLIGHT - 1):
        runner.give(READ)
    assert runner.order == [0]
    assert peer.wire.done == ["pause"]
    runner.end(0)
    assert peer.wire.done == ["pause", "resume"]


def test_a_closed_wire_is_left_alone(house, peer, runner):
    for _ in range(limits.COMMANDS_IN_FLIGHT):
        runner.give(WRITE)
    house.hub.detach(peer)
    runner.end(0)
    assert peer.wire.done == ["pause"]


overlaps = st.sampled_from([READ, WRITE, EXCLUSIVE])


@given(st.lists(st.one_of(overlaps, st.integers(0, 100)), max_size=80))
def test_whatever_comes_the_rules_hold_and_everything_gets_its_turn(steps):
    """architecture.md, decision 10; the runner checks who may run beside whom."""
    runner = Runner(House().connect())
    for step in steps:
        if isinstance(step, Overlap):
            runner.give(step)
        elif runner.running:
            runner.end(sorted(runner.running)[step % len(runner.running)])
        assert runner.order == list(range(len(runner.order)))
    while runner.running:
        runner.end(min(runner.running))
    assert runner.order == list(range(runner.given))
    assert runner.peer.inflight == runner.peer.writes == 0
