"""The chain of a log, by hand."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.chain import genesis, link

U64 = st.integers(0, 2**64 - 1)


def test_it_is_what_the_documents_say() -> None:
    start = hashlib.sha256(b"lair/1 log" + bytes(7) + b"\x07").digest()
    assert genesis(7) == start
    header = bytes(7) + b"\x01" + b"\x02" + bytes(7) + b"\x03"
    body = hashlib.sha256(b"body").digest()
    assert link(start, 1, 2, 3, body) == hashlib.sha256(start + header + body).digest()


@given(st.tuples(st.binary(min_size=32, max_size=32), U64, st.integers(0, 255), U64), st.data())
def test_each_part_counts(one: tuple[bytes, int, int, int], data: st.DataObject) -> None:
    other = data.draw(st.tuples(st.binary(min_size=32, max_size=32), U64, st.integers(0, 255), U64))
    digest = hashlib.sha256(b"body").digest()
    assert (link(*one, digest) == link(*other, digest)) is (one == other)
