"""What is withheld, forked or repeated shows."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.following import Finding, Followed, Forked, Impossible, Repeated, Withheld
from lairchat.model import chain

ROOM = 5
A, B = b"a" * 16, b"b" * 16


class Log:
    """A log as a server shows it to one device."""

    def __init__(self) -> None:
        self.followed = Followed.begin(ROOM)
        self.hashes = {0: self.followed.hash}

    def event(self, body: bytes) -> None:
        digest = hashlib.sha256(body).digest()
        self.followed = self.followed.event(self.followed.seq + 1, 1, 7, digest)
        self.hashes[self.followed.seq] = self.followed.hash

    def message(
        self, device: bytes, count: int, seen: tuple[int, bytes] | None = None
    ) -> Finding | None:
        """Follow a message whose sender had seen all before it, unless it says otherwise."""
        before = self.followed.seq, self.followed.hash
        self.event(b"message")
        self.followed, finding = self.followed.message(
            device, count, self.followed.seq, seen or before, self.hashes.get
        )
        return finding


def test_a_whole_log_is_followed() -> None:
    log = Log()
    assert [log.message(device, count) for device, count in [(A, 1), (B, 4), (A, 2), (B, 5)]] == [
        None
    ] * 4
    assert log.followed.counts == {A: 2, B: 5}


def test_the_chain_is_the_servers() -> None:
    log = Log()
    log.event(b"one")
    digest = hashlib.sha256(b"one").digest()
    assert log.followed.hash == chain.link(chain.genesis(ROOM), 1, 1, 7, digest)
    assert Followed.begin(ROOM).hash != Followed.begin(ROOM + 1).hash


@pytest.mark.parametrize("seq", [0, 2, 7])
def test_only_the_next_event_follows(seq: int) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        Followed.begin(ROOM).event(seq, 1, 7, bytes(32))


def test_a_number_that_is_missing_is_withheld_and_told_once() -> None:
    log = Log()
    log.message(A, 1)
    assert log.message(A, 4) == Withheld(A, 2, 3)
    assert log.message(A, 5) is None


def test_a_number_that_comes_again_is_a_copy() -> None:
    log = Log()
    log.message(A, 3)
    assert log.message(A, 3) == Repeated(A, 3)
    assert log.message(A, 1) == Repeated(A, 1)
    assert log.message(A, 4) is None


def test_another_history_is_a_fork() -> None:
    """Two people are shown different logs; the first message that comes through says so."""
    alice, bob = Log(), Log()
    alice.event(b"for alice")
    bob.event(b"for bob")
    assert alice.message(B, 1, (1, bob.followed.hash)) == Forked(1)
    # What is too old to be looked up proves nothing.
    del alice.hashes[1]
    assert alice.message(B, 2, (1, bob.followed.hash)) is None


def test_nobody_knows_what_comes_after_him() -> None:
    log = Log()
    assert log.message(A, 1, (1, bytes(32))) == Impossible(1)
    assert log.message(A, 2, (99, bytes(32))) == Impossible(2)


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.booleans()), max_size=40))
def test_exactly_what_is_dropped_is_found(sends: list[tuple[bytes, bool]]) -> None:
    log = Log()
    counts = {A: 0, B: 0}
    dropped: dict[bytes, set[int]] = {A: set(), B: set()}
    found: dict[bytes, set[int]] = {A: set(), B: set()}
    arrived: set[bytes] = set()
    for device, drops in sends:
        counts[device] += 1
        if drops:
            if device in arrived:
                dropped[device].add(counts[device])
            continue
        finding = log.message(device, counts[device])
        arrived.add(device)
        if finding is not None:
            assert isinstance(finding, Withheld)
            found[finding.device] |= set(range(finding.first, finding.last + 1))
    for device, numbers in dropped.items():
        # The last ones show with the next message only.
        last = log.followed.counts.get(device, 0)
        assert found[device] == {number for number in numbers if number < last}
