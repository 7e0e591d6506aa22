"""Defends: security.md fact 9: one boundary with depth, count and range bounds and one error."""

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lairchat.model import limits
from lairchat.wire.errors import ProtocolError
from lairchat.wire.scan import scan
from tests.strategies import NASTY, mutations, values
from tests.wire.by_hand import LONG, SHORT, Bad, Form, integer_forms, read

encode = msgspec.msgpack.encode


def refused(body: bytes, **bounds: int) -> str:
    with pytest.raises(ProtocolError) as caught:
        scan(body, **bounds)
    return caught.value.code


def agrees_with_the_specification(body: bytes) -> bool:
    """Check that scan and the reader made by hand accept the same, and return whether they do."""
    try:
        read(body)
    except Bad:
        assert refused(body).startswith("LC-DECODE")
        return False
    scan(body)
    return True


@given(values(6))
@settings(max_examples=300)
def test_what_we_send_passes(value: Any) -> None:
    scan(encode(value))


@given(values(), st.data())
@settings(max_examples=300)
def test_every_form_of_a_value_passes(value: Any, data: st.DataObject) -> None:
    form = Form(lambda ways: data.draw(st.sampled_from(ways)), reverse=data.draw(st.booleans()))
    scan(form.write(value))


@given(st.binary(max_size=40))
@settings(max_examples=1000)
def test_random_bytes_raise_nothing_else(body: bytes) -> None:
    agrees_with_the_specification(body)


@given(values(), st.data())
@settings(max_examples=1000)
def test_damaged_values_raise_nothing_else(value: Any, data: st.DataObject) -> None:
    agrees_with_the_specification(data.draw(mutations(encode(value))))


@given(st.lists(st.sampled_from(NASTY) | st.binary(max_size=3), max_size=12).map(b"".join))
@settings(max_examples=1000)
@example(b"")
def test_hostile_bytes_raise_nothing_else(body: bytes) -> None:
    agrees_with_the_specification(body)


@given(values().map(encode), st.data())
def test_every_truncation_is_refused(body: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(body) - 1))
    assert refused(body[:end]) == "LC-DECODE"


@given(values().map(encode), st.binary(min_size=1, max_size=4))
def test_trailing_bytes_are_refused(body: bytes, more: bytes) -> None:
    assert refused(body + more) == "LC-DECODE"


@pytest.mark.parametrize(("head", "tail"), [(b"\x91", b"\xc0"), (b"\x81\xa1k", b"\xc0")])
def test_depth_is_bounded_to_the_level(head: bytes, tail: bytes) -> None:
    scan(head * limits.DECODE_DEPTH + tail)
    for levels in (limits.DECODE_DEPTH + 1, 1_000, 16_000):
        assert refused(head * levels + tail) == "LC-DECODE-DEPTH"
        assert refused(head * levels) == "LC-DECODE-DEPTH"
    assert refused(head * 3 + tail, levels=2) == "LC-DECODE-DEPTH"


@pytest.mark.parametrize("value", [None, 0, -1, 2**40, 0.5, "", "x", "x" * 40, b"", b"x"])
def test_what_holds_nothing_is_no_level(value: Any) -> None:
    for form in (SHORT, LONG):
        scan(b"\x91" * limits.DECODE_DEPTH + form.write(value))


def test_empty_containers_count_as_levels_too() -> None:
    scan(b"\x91" * 7 + b"\x80")
    assert refused(b"\x91" * 8 + b"\x80") == "LC-DECODE-DEPTH"


def test_items_are_bounded_to_the_item() -> None:
    most = limits.DECODE_ITEMS
    scan(encode([None] * (most - 1)))
    assert refused(encode([None] * most)) == "LC-DECODE-COUNT"
    # A map counts keys and values; nested containers count themselves and what they hold.
    scan(encode({f"{n:04}": 0 for n in range(most // 2 - 1)}))
    assert refused(encode({f"{n:04}": 0 for n in range(most // 2)})) == "LC-DECODE-COUNT"
    scan(encode([[0] * 99] * 40))
    assert refused(encode([[0] * 99] * 41)) == "LC-DECODE-COUNT"
    assert refused(b"\x92\x01\x02", items=2) == "LC-DECODE-COUNT"
    scan(b"\x92\x01\x02", items=3)


@pytest.mark.parametrize(
    "head", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdc\xff\xff"]
)
def test_claims_of_many_items_cost_nothing(head: bytes) -> None:
    assert refused(head) == "LC-DECODE-COUNT"
    assert refused(b"\x91" + head) == "LC-DECODE-COUNT"


@pytest.mark.parametrize("head", ["c6ffffffff", "dbffffffff", "c5ffff", "daffff", "c4ff", "d9ff"])
def test_claims_of_many_bytes_are_truncated_values(head: str) -> None:
    assert refused(bytes.fromhex(head) + b"x") == "LC-DECODE"
    assert refused(b"\x81\xa1k" + bytes.fromhex(head)) == "LC-DECODE"
    assert refused(b"\x81" + bytes.fromhex(head)) in {"LC-DECODE", "LC-DECODE-KEY"}


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535])
def test_duplicate_keys_are_found_whatever_their_form(size: int) -> None:
    key = "k" * size
    for one in (SHORT, LONG):
        for other in (SHORT, LONG):
            body = b"\x82" + one.text(key) + b"\x01" + other.text(key) + b"\x02"
            assert refused(body) == "LC-DECODE-DUPLICATE"


def test_duplicate_keys_are_found_at_any_depth_and_distance() -> None:
    pairs: list[tuple[Any, Any]] = [(f"k{n}", n) for n in range(100)]
    scan(SHORT.pairs(pairs))
    body = SHORT.pairs([*pairs, ("k0", "again")])
    assert refused(body) == "LC-DECODE-DUPLICATE"
    assert refused(b"\x92\x01\x81\xa1m" + body) == "LC-DECODE-DUPLICATE"
    # The same key in two maps is no duplicate.
    scan(encode({"k": {"k": {"k": 1}}, "l": {"k": 1}}))


@pytest.mark.parametrize(
    "key", [b"\x01", b"\xc0", b"\xc3", b"\xc4\x01k", b"\x80", b"\x91\x01", b"\xcb" + bytes(8)]
)
def test_keys_are_strings(key: bytes) -> None:
    assert refused(b"\x81" + key + b"\x01") == "LC-DECODE-KEY"


def test_integers_end_where_a_database_column_does() -> None:
    low, high = -(2**63), 2**63 - 1
    for number in (0, 1, -1, low, low + 1, high, high - 1):
        for form in integer_forms(number):
            scan(form)
    for number in (2**63, 2**63 + 1, 2**64 - 1):
        for form in integer_forms(number):
            assert refused(form) == "LC-DECODE-NUMBER"
            assert refused(b"\x81\xa1k" + form) == "LC-DECODE-NUMBER"


@pytest.mark.parametrize("number", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_floats_are_finite(number: float) -> None:
    for form in (b"\xca" + struct.pack(">f", number), b"\xcb" + struct.pack(">d", number)):
        assert refused(form) == "LC-DECODE-NUMBER"
    scan(b"\xca" + struct.pack(">f", 1.5))
    scan(b"\xcb" + struct.pack(">d", 1.5))
    scan(b"\xcb" + struct.pack(">d", 1.7976931348623157e308))


@pytest.mark.parametrize("head", ["d4", "d5", "d6", "d7", "d8", "c7", "c8", "c9"])
def test_extension_types_are_refused(head: str) -> None:
    # d6ff and d7ff are timestamps: points in time are integers here.
    for kind in ("05", "ff"):
        assert refused(bytes.fromhex(head + kind) + bytes(20)) == "LC-DECODE-TYPE"


def test_the_byte_that_begins_no_value_is_refused() -> None:
    assert refused(b"\xc1") == "LC-DECODE"
    assert refused(b"\x91\xc1") == "LC-DECODE"


INVALID_UTF8 = (
    "ff",
    "c0af",
    "f08080af",
    "edbfbf",
    "eda080",
    "f888808080",
    "bf",
    "e282",
    "f4908080",
)


@pytest.mark.parametrize("text", INVALID_UTF8)
def test_strings_are_utf8(text: str) -> None:
    raw = bytes.fromhex(text)
    for head in (bytes([0xA0 | len(raw)]), bytes([0xD9, len(raw)]), bytes([0xDA, 0, len(raw)])):
        assert refused(head + raw) == "LC-DECODE-TEXT"
        assert refused(b"\x81\xa1k" + head + raw) == "LC-DECODE-TEXT"
        assert refused(b"\x81" + head + raw + b"\x01") == "LC-DECODE-TEXT"
    # Bytes may be anything.
    scan(b"\xc4" + bytes([len(raw)]) + raw)


def test_strings_are_utf8_published_set(vectors: Path) -> None:
    hostile = json.loads((vectors / "hostile" / "vectors.json").read_text())
    for text in hostile["invalid_utf8_hex"]:
        raw = bytes.fromhex(text)
        assert refused(bytes([0xA0 | len(raw)]) + raw) == "LC-DECODE-TEXT"
    for group in ("terminal_text", "unicode_text"):
        for _, value in hostile[group]:
            # Whatever is UTF-8 passes here: making it safe to show is display_safe's work.
            surrogates = any("\ud800" <= char <= "\udfff" for char in value)
            assert agrees_with_the_specification(LONG.write(value)) is not surrogates


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte_alone_and_before_zeros(first: int) -> None:
    for rest in (b"", b"\0", bytes(3), bytes(20), b"\xff" * 20):
        agrees_with_the_specification(bytes([first]) + rest)
        agrees_with_the_specification(b"\x81\xa1k" + bytes([first]) + rest)
        agrees_with_the_specification(b"\x81" + bytes([first]) + rest + b"\x01")
