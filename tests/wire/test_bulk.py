"""Defends: issue 2: chunked transfer with resume and quota."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lairchat.model import limits
from lairchat.model.refusals import BlobDigest, BlobOffset, BlobQuota, BlobSize
from lairchat.wire.bulk import Incoming, Outgoing
from lairchat.wire.errors import MisuseError

CHUNK = limits.BLOB_CHUNK_BYTES
PLENTY = limits.BLOB_QUOTA_BYTES


def incoming(data: bytes) -> Incoming:
    return Incoming.begin(len(data), sha256(data).digest(), left=PLENTY)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_both_ends_agree(size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    leaving = Outgoing.of(data)
    assert (leaving.total, leaving.digest) == (size, sha256(data).digest())
    arriving = Incoming.begin(leaving.total, leaving.digest, left=PLENTY)
    stored = b""
    for offset, chunk in leaving.chunks(arriving.offset):
        assert 0 < len(chunk) <= CHUNK
        assert arriving.put(offset, chunk) == offset + len(chunk)
        stored += chunk
    assert arriving.complete
    arriving.finish()
    assert stored == data


@given(st.binary(max_size=300), st.data())
def test_a_transfer_goes_on_where_it_was_cut_off(data: bytes, draw: st.DataObject) -> None:
    """Defends: the state survives a restart, because it is made anew from what is stored."""
    digest = sha256(data).digest()
    stored: list[bytes] = []
    arriving = incoming(data)
    while not arriving.complete:
        size = draw.draw(st.integers(1, 100))
        chunk = Outgoing.of(data).chunk(arriving.offset, size)
        arriving.put(arriving.offset, chunk)
        stored.append(chunk)
        if draw.draw(st.booleans()):
            arriving = Incoming.resume(len(data), digest, stored)
            assert arriving.offset == sum(map(len, stored))
    arriving.finish()
    assert b"".join(stored) == data


@pytest.mark.parametrize("offset", [0, 9, 11, 2**63 - 1, -1])
def test_a_chunk_elsewhere_is_told_where_to_go_on(offset: int) -> None:
    arriving = incoming(bytes(100))
    arriving.put(0, bytes(10))
    with pytest.raises(BlobOffset) as caught:
        arriving.put(offset, bytes(10))
    assert "byte 10," in caught.value.text
    assert caught.value.field == "$.offset"
    assert arriving.offset == 10
    arriving.put(10, bytes(90))
    arriving.finish()


def test_more_than_announced_is_refused_and_changes_nothing() -> None:
    arriving = incoming(bytes(100))
    for offset, size in ((0, 101), (0, CHUNK + 1)):
        with pytest.raises(BlobSize):
            arriving.put(offset, bytes(size))
    arriving.put(0, bytes(60))
    with pytest.raises(BlobSize, match="101 bytes is too large; 100 is the most"):
        arriving.put(60, bytes(41))
    arriving.put(60, bytes(40))
    with pytest.raises(BlobSize):
        arriving.put(100, b"x")
    arriving.finish()


def test_a_chunk_is_no_larger_than_what_fits_a_frame() -> None:
    arriving = incoming(bytes(2 * CHUNK))
    with pytest.raises(BlobSize) as caught:
        arriving.put(0, bytes(CHUNK + 1))
    assert str(CHUNK) in caught.value.text
    assert arriving.put(0, bytes(CHUNK)) == CHUNK


def test_checking_changes_nothing() -> None:
    """Defends: what could not be stored (a full disk) is not counted."""
    arriving = incoming(b"abcdef")
    arriving.check(0, 6)
    arriving.check(0, 3)
    assert arriving.offset == 0
    arriving.put(0, b"abc")
    with pytest.raises(BlobOffset):
        arriving.check(0, 3)
    arriving.put(3, b"def")
    arriving.finish()


def test_an_unfinished_blob_is_not_finished() -> None:
    arriving = incoming(bytes(100))
    arriving.put(0, bytes(40))
    with pytest.raises(BlobOffset) as caught:
        arriving.finish()
    assert "byte 40, not 100" in caught.value.text
    assert not arriving.complete


def test_other_bytes_than_announced_start_over() -> None:
    arriving = incoming(b"right")
    arriving.put(0, b"wrong")
    assert arriving.complete
    with pytest.raises(BlobDigest):
        arriving.finish()
    assert arriving.offset == 0
    arriving.put(0, b"right")
    arriving.finish()


def test_the_largest_blob_passes_and_one_more_byte_does_not() -> None:
    Incoming.begin(limits.BLOB_BYTES, bytes(32), left=limits.BLOB_BYTES)
    for total in (limits.BLOB_BYTES + 1, 2**63 - 1):
        with pytest.raises(BlobSize) as caught:
            Incoming.begin(total, bytes(32), left=2**63)
        assert caught.value.field == "$.total"


@pytest.mark.parametrize(("left", "shown"), [(99, "99"), (0, "0"), (-5, "0")])
def test_the_quota_is_charged_before_the_first_byte(left: int, shown: str) -> None:
    with pytest.raises(BlobQuota) as caught:
        Incoming.begin(100, bytes(32), left=left, quota=5_000)
    assert f"only {shown} bytes of your 5000" in caught.value.text
    Incoming.begin(100, bytes(32), left=100)


def test_our_own_mistakes() -> None:
    for total, digest in ((-1, bytes(32)), (1, bytes(31))):
        with pytest.raises(MisuseError):
            Incoming(total, digest)
    with pytest.raises(MisuseError):
        Incoming.resume(3, bytes(32), [b"ab", b"cd"])
    with pytest.raises(MisuseError):
        list(Outgoing(10, bytes(32), lambda at, size: b"short").chunks())


@pytest.mark.parametrize("offset", [-1, 7, 2**63 - 1])
def test_the_other_end_cannot_read_elsewhere(offset: int) -> None:
    leaving = Outgoing.of(b"abcdef")
    for read in (lambda: leaving.chunk(offset), lambda: list(leaving.chunks(offset))):
        with pytest.raises(BlobOffset):
            read()
    assert leaving.chunk(6) == b""
    assert list(leaving.chunks(6)) == []
    assert leaving.chunk(2, 3) == b"cde"
    assert leaving.chunk(4, 99) == b"ef"


def test_a_source_is_read_in_order_and_no_more_than_asked() -> None:
    asked: list[tuple[int, int]] = []

    def read(at: int, size: int) -> bytes:
        asked.append((at, size))
        return bytes(size)

    leaving = Outgoing(2 * CHUNK + 1, bytes(32), read)
    assert [len(chunk) for _, chunk in leaving.chunks()] == [CHUNK, CHUNK, 1]
    assert asked == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 1)]


class Transfer(RuleBasedStateMachine):
    """A sender and a receiver that lose chunks, answers and their state, and still agree."""

    @initialize(data=st.binary(min_size=1, max_size=400))
    def begin(self, data: bytes) -> None:
        self.leaving = Outgoing.of(data)
        self.data = data
        self.arriving = incoming(data)
        self.stored: list[bytes] = []
        self.known = 0  # where the sender believes the receiver to be

    @rule(size=st.integers(1, 120), lost=st.sampled_from(("nothing", "chunk", "answer")))
    def send(self, size: int, lost: str) -> None:
        chunk = self.leaving.chunk(self.known, size)
        if lost == "chunk" or not chunk:
            return
        try:
            self.arriving.put(self.known, chunk)
        except BlobOffset:
            self.known = self.arriving.offset
            return
        self.stored.append(chunk)
        if lost == "nothing":
            self.known = self.arriving.offset

    @rule(bad=st.binary(min_size=1, max_size=10), offset=st.integers(0, 500))
    def disturb(self, bad: bytes, offset: int) -> None:
        if offset != self.arriving.offset:
            with pytest.raises(BlobOffset):
                self.arriving.put(offset, bad)

    @rule()
    def restart(self) -> None:
        self.arriving = Incoming.resume(len(self.data), self.leaving.digest, self.stored)

    def teardown(self) -> None:
        if not hasattr(self, "data"):
            return
        for offset, chunk in self.leaving.chunks(self.arriving.offset):
            self.arriving.put(offset, chunk)
            self.stored.append(chunk)
        self.arriving.finish()
        assert b"".join(self.stored) == self.data


TestTransfer: Any = Transfer.TestCase
