"""Defends: one typed decode boundary for both ends, whichever way the bytes take through it."""

import math
import struct
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Raw

from lairchat.model import limits
from lairchat.wire import codec, objects
from lairchat.wire.contract import Reply, Request
from lairchat.wire.errors import MisuseError, ProtocolError
from lairchat.wire.objects import Int63
from tests.strategies import client_frames, int63, mutations, server_frames, text
from tests.wire.by_hand import LONG, SHORT, Bad, Form, read


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    room: Int63
    seq: Int63 = 0


class Send(Request, frozen=True):
    """Arguments with something of everything; closed."""

    room: Int63
    text: Annotated[str, Meta(max_length=200)] = ""
    body: bytes = b""
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    cursors: list[Cursor] = []
    counts: dict[str, Int63] = {}


class Loose(Request, frozen=True):
    """Arguments whose type bounds nothing; not closed."""

    value: Any = None
    number: int = 0
    share: float = 0.0


class Told(Reply, frozen=True):
    seq: Int63
    note: str = ""


sends = st.builds(
    Send,
    room=int63,
    text=text,
    body=st.binary(max_size=40),
    share=st.none() | st.floats(0, 1),
    cursors=st.lists(st.builds(Cursor, room=int63, seq=int63), max_size=3),
    counts=st.dictionaries(text, int63, max_size=3),
)


def plain(value: Any) -> Any:
    """Return a frame object as the dicts and lists that a client in another language would have."""
    if isinstance(value, Raw):
        return msgspec.msgpack.decode(value)
    if isinstance(value, msgspec.Struct):
        found = {} if value.__struct_config__.tag is None else {"t": value.__struct_config__.tag}
        return found | {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return list(map(plain, value)) if isinstance(value, list) else value


def body_of(value: Any) -> bytes:
    return codec.encode(value)[limits.FRAME_HEADER_BYTES :]


def same(one: Any, other: Any) -> bool:
    """Compare by meaning: raw fields may be written in another form."""
    return type(one) is type(other) and plain(one) == plain(other)


def refused(decode: Any, *arguments: Any) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(*arguments)
    return caught.value


def args_error(kind: Any, body: bytes) -> ProtocolError:
    return refused(codec.decode_args, kind, Raw(body))


# -- what we send is what arrives


@given(client_frames)
@settings(max_examples=300)
def test_what_a_client_sends_arrives(sent: objects.ClientFrame) -> None:
    assert codec.decode_client(body_of(sent)) == sent


@given(server_frames)
@settings(max_examples=300)
def test_what_a_server_sends_arrives(sent: objects.ServerFrame) -> None:
    assert codec.decode_server(body_of(sent)) == sent


@given(sends)
def test_arguments_arrive(sent: Send) -> None:
    assert codec.decode_args(Send, Raw(codec.encode_body(sent))) == sent


@given(int63, text)
def test_bodies_arrive(seq: int, note: str) -> None:
    sent = Told(seq, note)
    assert codec.decode_body(Told, Raw(codec.encode_body(sent))) == sent


def test_absent_fields_take_their_defaults() -> None:
    assert codec.encode_body(Send(room=1)) == b"\x81\xa4room\x01"
    assert codec.decode_args(Send, Raw(b"\x81\xa4room\x01")) == Send(room=1)
    hello = codec.decode_client(SHORT.write({"t": "hello", "versions": [1]}))
    assert hello == objects.ClientHello([1])
    command = codec.decode_client(SHORT.write({"t": "cmd", "id": 1, "do": "a.b", "args": {}}))
    assert isinstance(command, objects.CommandFrame)
    assert command.key is None


def test_the_header_counts_the_body() -> None:
    data = codec.encode(objects.Ping(7))
    assert data == struct.pack(">I", len(data) - 4) + b"\x82\xa1t\xa4ping\xa1n\x07"


def test_what_fits_no_frame_is_our_mistake() -> None:
    huge = Raw(codec.encode_body(bytes(limits.FRAME_BYTES)))
    with pytest.raises(MisuseError):
        codec.encode(objects.EventFrame("a", huge))


# -- a client that shares no code with us


@given(client_frames, st.data())
@settings(max_examples=300)
def test_frames_written_in_any_form_are_taken(
    sent: objects.ClientFrame, data: st.DataObject
) -> None:
    form = Form(lambda ways: data.draw(st.sampled_from(ways)), reverse=data.draw(st.booleans()))
    assert same(codec.decode_client(form.write(plain(sent))), sent)


@given(server_frames, st.sampled_from((SHORT, LONG)))
@settings(max_examples=300)
def test_a_server_may_write_any_form_too(sent: objects.ServerFrame, form: Form) -> None:
    assert same(codec.decode_server(form.write(plain(sent))), sent)


@given(sends, st.data())
@settings(max_examples=300)
def test_arguments_written_in_any_form_are_taken(sent: Send, data: st.DataObject) -> None:
    form = Form(lambda ways: data.draw(st.sampled_from(ways)), reverse=data.draw(st.booleans()))
    assert codec.decode_args(Send, Raw(form.write(plain(sent)))) == sent


def test_fields_of_a_newer_server_are_ignored() -> None:
    ping = codec.decode_server(SHORT.write({"t": "ping", "n": 1, "new": [{"deep": None}]}))
    assert ping == objects.ServerPing(1)
    told = codec.decode_body(Told, Raw(SHORT.write({"seq": 1, "new": {}})))
    assert told == Told(1)


def test_fields_that_we_ignore_are_scanned_all_the_same() -> None:
    for value, code in (
        (b"\xa2\xff\xfe", "LC-DECODE-TEXT"),
        (b"\x82\xa1a\x01\xa1a\x01", "LC-DECODE-DUPLICATE"),
        (b"\x91" * 20 + b"\x01", "LC-DECODE-DEPTH"),
    ):
        body = b"\x83\xa1t\xa4ping\xa1n\x01\xa3new" + value
        assert refused(codec.decode_server, body).code == code
        assert refused(codec.decode_body, Told, Raw(b"\x82\xa3seq\x01\xa3new" + value)).code == code


# -- nothing harmful passes, on either way


def passes(decode: Callable[[], object]) -> bool:
    """Return whether a decoder takes something; its only way of refusing is a ProtocolError."""
    try:
        decode()
    except ProtocolError as error:
        return not error.code.startswith(("LC-DECODE", "LC-FRAME-OBJECT", "LC-ARGS"))
    return True


def harmless(body: bytes, kind: Any = Send) -> bool:
    """Decode a command as the server does; check that what passes is sound by the other reader."""

    def decode() -> None:
        frame = codec.decode_client(body)
        if isinstance(frame, objects.CommandFrame):
            codec.decode_args(kind, frame.args)

    if not passes(decode):
        return False
    try:
        read(body)
    except Bad as fault:
        pytest.fail(f"{body.hex()} passed: {fault}")
    return True


def command(args: bytes) -> bytes:
    return b"\x84\xa1t\xa3cmd\xa2id\x01\xa2do\xa1a\xa4args" + args


@given(client_frames.map(body_of), st.data())
@settings(max_examples=1000)
def test_damaged_frames_do_no_harm(body: bytes, data: st.DataObject) -> None:
    harmless(data.draw(mutations(body)))


@given(sends.map(codec.encode_body), st.sampled_from((Send, Loose)), st.data())
@settings(max_examples=1000)
def test_damaged_arguments_do_no_harm(body: bytes, kind: Any, data: st.DataObject) -> None:
    harmless(command(data.draw(mutations(body))), kind)


@given(st.binary(max_size=60))
@settings(max_examples=500)
def test_random_bytes_do_no_harm(body: bytes) -> None:
    harmless(body)
    harmless(command(body))


@given(server_frames.map(body_of), st.data())
@settings(max_examples=500)
def test_damaged_frames_of_a_server_do_no_harm(body: bytes, data: st.DataObject) -> None:
    damaged = data.draw(mutations(body))
    passes(lambda: codec.decode_server(damaged))


@given(sends, st.data())
@settings(max_examples=300)
def test_no_duplicate_key_passes(sent: Send, data: st.DataObject) -> None:
    """Defends: two readers of one command never see two different commands."""
    pairs = list(plain(sent).items())
    name, _ = data.draw(st.sampled_from(pairs))
    again = (name, data.draw(st.sampled_from([value for _, value in pairs])))
    pairs.insert(data.draw(st.integers(0, len(pairs))), again)
    assert args_error(Send, SHORT.pairs(pairs)).code == "LC-DECODE-DUPLICATE"
    assert not harmless(command(SHORT.pairs(pairs)))


@pytest.mark.parametrize("name", ["t", "id", "do", "args"])
def test_no_duplicate_key_passes_in_a_frame(name: str) -> None:
    frame: dict[str, Any] = {"t": "cmd", "id": 1, "do": "a.b", "args": {}}
    for at in range(5):
        pairs = list(frame.items())
        pairs.insert(at, (name, frame[name]))
        assert refused(codec.decode_client, SHORT.pairs(pairs)).code == "LC-DECODE-DUPLICATE"


def test_what_arguments_leave_undecoded_is_scanned_with_them() -> None:
    class Wrapped(Request, frozen=True):
        inner: Raw

    body = b"\x81\xa5inner\x82\xa1a\x01\xa1"
    assert codec.decode_args(Wrapped, body + b"b\x02").inner == Raw(b"\x82\xa1a\x01\xa1b\x02")
    assert args_error(Wrapped, body + b"a\x02").code == "LC-DECODE-DUPLICATE"


def test_no_duplicate_passes_in_a_map_of_any_keys() -> None:
    body = SHORT.pairs([("room", 1), ("counts", {"a": 1})])
    assert codec.decode_args(Send, Raw(body)).counts == {"a": 1}
    double = body[:-4] + b"\x82\xa1a\x01\xa1a\x02"
    assert args_error(Send, double).code == "LC-DECODE-DUPLICATE"


@pytest.mark.parametrize("levels", [8, 9, 100, 1_000, 60_000])
@pytest.mark.parametrize("head", [b"\x91", b"\x81\xa1k"])
def test_no_depth_bomb_passes(levels: int, head: bytes) -> None:
    bomb = head * levels + b"\xc0"
    for kind in (Send, Loose):
        assert not harmless(command(bomb), kind)
    assert args_error(Loose, b"\x81\xa5value" + bomb).code == "LC-DECODE-DEPTH"
    assert args_error(Send, bomb).code == "LC-DECODE-DEPTH"
    for decode in (codec.decode_client, codec.decode_server):
        assert refused(decode, head + bomb).code == "LC-DECODE-DEPTH"


def test_the_levels_of_frame_and_arguments_are_counted_together() -> None:
    deep = b"\x91" * 6 + b"\xc0"
    assert harmless(command(b"\x81\xa5value" + deep), Loose)
    assert not harmless(command(b"\x81\xa5value\x91" + deep), Loose)
    frame = codec.decode_client(command(b"\x81\xa5value\x91" + deep))
    assert isinstance(frame, objects.CommandFrame)
    assert refused(codec.decode_args, Loose, frame.args).code == "LC-DECODE-DEPTH"


def test_many_items_are_refused_before_they_are_built() -> None:
    many = b"\x81\xa5value\xdc" + struct.pack(">H", 5_000) + b"\xc0" * 5_000
    assert refused(codec.decode_client, command(many)).code == "LC-DECODE-COUNT"
    assert args_error(Loose, many).code == "LC-DECODE-COUNT"
    # Many bytes are no harm, and a page of a server's may hold more items than a command.
    big = codec.encode_body(Send(room=1, body=bytes(50_000)))
    assert harmless(command(big))
    events = codec.encode_body({"t": "event", "name": "a", "body": list(range(20_000))})
    assert isinstance(codec.decode_server(events), objects.EventFrame)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_integers_beyond_a_database_column_do_not_pass(number: int) -> None:
    form = b"\xcf" + number.to_bytes(8, "big")
    assert args_error(Send, b"\x81\xa4room" + form).code == "LC-DECODE-NUMBER"
    assert args_error(Loose, b"\x81\xa6number" + form).code == "LC-DECODE-NUMBER"
    assert refused(codec.decode_client, b"\x82\xa1t\xa4ping\xa1n" + form).code == "LC-DECODE-NUMBER"
    edge = b"\xcf" + (2**63 - 1).to_bytes(8, "big")
    assert codec.decode_args(Send, Raw(b"\x81\xa4room" + edge)).room == 2**63 - 1
    assert args_error(Send, b"\x81\xa4room\xff").code == "LC-ARGS"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_floats_that_compare_to_nothing_do_not_pass(number: float) -> None:
    form = b"\xcb" + struct.pack(">d", number)
    assert args_error(Send, b"\x82\xa4room\x01\xa5share" + form).code == "LC-DECODE-NUMBER"
    assert args_error(Loose, b"\x81\xa5share" + form).code == "LC-DECODE-NUMBER"
    wait = b"\x84\xa1t\xa5error\xa4code\xa1x\xa4text\xa0\xabretry_after" + form
    assert refused(codec.decode_server, wait).code == "LC-DECODE-NUMBER"


@pytest.mark.parametrize("raw", [b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xd6\xff\0\0\0\0", b"\xc1"])
def test_what_the_decoder_would_skip_is_refused_when_read(raw: bytes) -> None:
    assert not harmless(command(raw))
    assert not harmless(command(b"\x82\xa4room\x01\xa4text" + raw))


# -- errors name the field


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({}, "$.room"),
        ({"room": "x"}, "$.room"),
        ({"room": -1}, "$.room"),
        ({"room": True}, "$.room"),
        ({"room": None}, "$.room"),
        ({"room": 1.0}, "$.room"),
        ({"room": 1, "text": b"x"}, "$.text"),
        ({"room": 1, "text": "x" * 201}, "$.text"),
        ({"room": 1, "body": "x"}, "$.body"),
        ({"room": 1, "share": 2.0}, "$.share"),
        ({"room": 1, "cursors": {}}, "$.cursors"),
        ({"room": 1, "cursors": [{"room": 1}, {"seq": 1}]}, "$.cursors[1].room"),
        ({"room": 1, "cursors": [{"room": 1, "what": 1}]}, "$.cursors[0].what"),
        ({"room": 1, "counts": {"a": "b"}}, "$.counts[...]"),
        ({"room": 1, "what": 1}, "$.what"),
        ([], "$"),
        (None, "$"),
        ("room", "$"),
    ],
)
def test_wrong_arguments_name_the_field(args: Any, field: str) -> None:
    for form in (SHORT, LONG):
        error = args_error(Send, form.write(args))
        assert (error.code, error.field) == ("LC-ARGS", field)
        assert field == "$" or " - at " not in error.text


def test_a_key_that_is_no_string_is_refused_before_the_type_is_asked() -> None:
    assert args_error(Send, b"\x81\x01\x01").code == "LC-DECODE-KEY"


def test_what_an_error_quotes_is_safe_and_short() -> None:
    error = args_error(Send, SHORT.write({"room": 1, "\x1b]0;x\x07": 1}))
    assert error.field is not None
    assert "\x1b" not in error.text + error.field
    error = args_error(Send, SHORT.write({"room": 1, "x" * 9_000: 1}))
    assert len(error.field or "") == 80
    assert len(error.text) <= 400
    error = args_error(Send, SHORT.write({"room": 1, "a\nb` - at `$.text": 1}))
    assert error.code == "LC-ARGS"


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"t": "ok", "id": 1, "body": {}}, "$.t"),  # a server's
        ({"t": "hello"}, "$.versions"),
        ({"t": "hello", "versions": []}, "$.versions"),
        ({"t": "hello", "versions": [0]}, "$.versions[0]"),
        ({"t": "hello", "versions": [1] * 9}, "$.versions"),
        ({"t": "hello", "versions": [1], "client": "x" * 81}, "$.client"),
        ({"t": "cmd", "id": 0, "do": "a", "args": {}}, "$.id"),
        ({"t": "cmd", "id": 2**32, "do": "a", "args": {}}, "$.id"),
        ({"t": "cmd", "id": 1, "do": "", "args": {}}, "$.do"),
        ({"t": "cmd", "id": 1, "do": "x" * 65, "args": {}}, "$.do"),
        ({"t": "cmd", "id": 1, "do": "a", "args": {}, "key": bytes(15)}, "$.key"),
        ({"t": "cmd", "id": 1, "do": "a", "args": {}, "also": 1}, "$.also"),
        ({"t": "ping", "n": -1}, "$.n"),
        ({"t": 1}, "$.t"),
        ({"n": 1}, "$.t"),
        ({}, "$.t"),
        ([], "$"),
        (1, "$"),
    ],
)
def test_frames_of_wrong_types_name_the_field(frame: Any, field: str) -> None:
    error = refused(codec.decode_client, SHORT.write(frame))
    assert (error.code, error.field) == ("LC-FRAME-OBJECT", field)


def test_bodies_have_a_code_of_their_own() -> None:
    error = refused(codec.decode_body, Told, Raw(b"\x80"))
    assert (error.code, error.field) == ("LC-BODY", "$.seq")


def test_a_key_may_be_null() -> None:
    frame = {"t": "cmd", "id": 1, "do": "a", "args": {}, "key": None}
    decoded = codec.decode_client(SHORT.write(frame))
    assert isinstance(decoded, objects.CommandFrame)
    assert decoded.key is None
