"""Defends: architecture.md "Session on the wire": length-prefixed frames with a limit."""

import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.model import limits
from lairchat.wire.errors import MisuseError, ProtocolError
from lairchat.wire.frames import FrameReader, frame
from tests.strategies import chunkings

LIMIT = limits.FRAME_GREETING_BYTES

GREETINGS = {
    "TLS": bytes.fromhex("16030100c8010000c40303"),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "IRC": b"NICK ada\r\nUSER ada 0 * :Ada\r\n",
    "XMPP": b"<?xml version='1.0'?><stream:stream to='x'>",
    "SMTP": b"EHLO x\r\n",
}
bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


def refused(reader: FrameReader, data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        reader.receive(data)
    return caught.value


@given(bodies, st.data())
@settings(max_examples=300)
def test_any_chunking_gives_the_same_bodies(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, sent))
    reader = FrameReader(LIMIT)
    received = []
    for chunk in data.draw(chunkings(stream)):
        received += reader.receive(chunk)
    assert received == sent
    assert reader.pending == 0


def test_every_split_in_two_and_byte_by_byte() -> None:
    sent = [b"a", b"bc" * 100, b"d" * 300]
    stream = b"".join(map(frame, sent))
    for cut in range(len(stream) + 1):
        reader = FrameReader(LIMIT)
        assert reader.receive(stream[:cut]) + reader.receive(stream[cut:]) == sent
    reader = FrameReader(LIMIT)
    received = []
    for at in range(len(stream)):
        received += reader.receive(stream[at : at + 1])
    assert received == sent


@given(bodies, st.sampled_from((0, LIMIT + 1, 2**31, 2**32 - 1)), st.data())
def test_any_chunking_gives_the_same_bodies_before_a_fault(
    sent: list[bytes], claim: int, data: st.DataObject
) -> None:
    stream = b"".join(map(frame, sent)) + claim.to_bytes(4, "big") + b"whatever"
    reader = FrameReader(LIMIT)
    received: list[object] = []
    codes = set()
    for chunk in data.draw(chunkings(stream)):
        try:
            received += reader.receive(chunk)
        except ProtocolError as error:
            received += error.before
            codes.add(error.code)
    assert received == sent
    assert codes == {"LC-FRAME-SIZE" if claim else "LC-FRAME-EMPTY"}


def test_a_claim_is_refused_before_a_byte_of_the_body_is_kept() -> None:
    reader = FrameReader(LIMIT)
    assert reader.receive((LIMIT + 1).to_bytes(4, "big")[:3]) == []
    error = refused(reader, (LIMIT + 1).to_bytes(4, "big")[3:])
    assert error.code == "LC-FRAME-SIZE"
    assert str(LIMIT + 1) in error.text
    assert reader.pending == 0


def test_the_longest_frame_passes_and_one_more_byte_does_not() -> None:
    for limit in (1, LIMIT, limits.FRAME_BYTES):
        reader = FrameReader(limit)
        assert reader.receive(limit.to_bytes(4, "big") + bytes(limit)) == [bytes(limit)]
        assert refused(reader, (limit + 1).to_bytes(4, "big")).code == "LC-FRAME-SIZE"


def test_the_limit_can_grow_between_frames() -> None:
    reader = FrameReader(LIMIT)
    big = frame(bytes(limits.FRAME_BYTES))
    reader.receive(frame(b"x") + big[:2])
    reader.limit = limits.FRAME_BYTES
    assert reader.receive(big[2:]) == [bytes(limits.FRAME_BYTES)]


def test_a_broken_stream_stays_broken_and_holds_nothing() -> None:
    reader = FrameReader(LIMIT)
    assert refused(reader, frame(b"x") + bytes(4)).before == [b"x"]
    for _ in range(3):
        again = refused(reader, frame(b"y") * 100)
        assert again.code == "LC-FRAME-EMPTY"
        assert again.before == ()
        assert reader.pending == 0


@pytest.mark.parametrize("name", GREETINGS)
def test_greetings_of_other_protocols_are_named(name: str) -> None:
    error = refused(FrameReader(LIMIT), GREETINGS[name])
    assert error.code == "LC-FRAME-SIZE"
    assert f"looks like {name}" in error.text


def test_unknown_noise_is_not_named() -> None:
    assert "looks like" not in refused(FrameReader(LIMIT), b"\xff" * 4).text


@pytest.mark.parametrize("chunk", [1, 3, 1000, 1460])
def test_what_is_held_is_bounded(chunk: int) -> None:
    stream = frame(bytes(limits.FRAME_BYTES)) * 2
    reader = FrameReader(limits.FRAME_BYTES)
    held = 0
    for at in range(0, len(stream), chunk):
        reader.receive(stream[at : at + chunk])
        held = max(held, reader.pending)
    assert held < limits.FRAME_BYTES + limits.FRAME_HEADER_BYTES
    assert reader.pending == 0


def test_memory_of_many_readers_that_wait_for_claimed_bytes() -> None:
    """Defends: connect and claim before authentication costs next to nothing."""
    claim = LIMIT.to_bytes(4, "big")
    tracemalloc.start()
    try:
        readers = [FrameReader(LIMIT) for _ in range(1_000)]
        for reader in readers:
            reader.receive(claim + b"x")
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < 400 * len(readers)


def test_a_big_frame_is_collected_in_place() -> None:
    """Defends: linear time: what is held is not copied again with every chunk that comes in."""
    stream = frame(bytes(limits.FRAME_BYTES))
    reader = FrameReader(limits.FRAME_BYTES)
    reader.receive(stream[:10])
    held = reader._held
    for at in range(10, len(stream) - 1, 1_000):
        reader.receive(stream[at : min(at + 1_000, len(stream) - 1)])
        assert reader._held is held
    assert reader.receive(stream[-1:]) == [stream[4:]]


def test_an_idle_reader_is_small() -> None:
    reader = FrameReader(LIMIT)
    reader.receive(frame(bytes(100)))
    assert reader._held is None
    assert not hasattr(reader, "__dict__")
    assert sys.getsizeof(reader) <= 80


@pytest.mark.parametrize("size", [0, limits.FRAME_BYTES + 1])
def test_we_do_not_send_what_nobody_may_receive(size: int) -> None:
    with pytest.raises(MisuseError):
        frame(bytes(size))
    assert frame(b"ab") == b"\0\0\0\x02ab"
