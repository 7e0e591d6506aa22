"""Defends: what the protocol document says of each object: names, bounds, what is left out."""

from typing import Any, get_args

import msgspec
import pytest
from msgspec import Raw

from lairchat.wire import codec
from lairchat.wire.errors import CODES, ProtocolError
from lairchat.wire.objects import (
    ClientFrame,
    ClientHello,
    CommandFrame,
    Error,
    Ping,
    ServerFrame,
    ServerPing,
)

IDENTITY = {"key": bytes(32), "expires": 1, "signature": bytes(64)}
HELLO = {
    "t": "hello",
    "version": 1,
    "server": "lairchat",
    "name": "home",
    "now": 1,
    "identity": IDENTITY,
    "registration": "open",
}


def tags(frames: Any) -> set[str]:
    return {kind.__struct_config__.tag for kind in get_args(frames)}


def test_tags() -> None:
    assert tags(ClientFrame) == {"hello", "cmd", "ping", "pong", "bye"}
    assert tags(ServerFrame) == {"hello", "ok", "error", "event", "ping", "pong", "bye"}
    assert {kind.__struct_config__.tag_field for kind in get_args(ClientFrame)} == {"t"}
    assert {kind.__struct_config__.tag_field for kind in get_args(ServerFrame)} == {"t"}


def test_a_client_is_checked_and_a_server_may_be_newer() -> None:
    assert all(kind.__struct_config__.forbid_unknown_fields for kind in get_args(ClientFrame))
    assert not any(kind.__struct_config__.forbid_unknown_fields for kind in get_args(ServerFrame))


def test_all_are_frozen() -> None:
    assert all(kind.__struct_config__.frozen for kind in get_args(ClientFrame | ServerFrame))


def test_what_says_nothing_is_left_out() -> None:
    sent = CommandFrame(id=1, do="a.b", args=Raw(b"\x80"))
    assert b"key" not in codec.encode(sent)
    assert b"features" not in codec.encode(ClientHello([1]))
    assert b"retry_after" not in codec.encode(Error(code="LC-X", text=""))
    # The tag is always said, though it is no field.
    assert codec.encode(Ping(1)) == codec.encode(ServerPing(1))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 0}, "$.version"),
        ({"version": 65_536}, "$.version"),
        ({"now": -1}, "$.now"),
        ({"name": "x" * 81}, "$.name"),
        ({"identity": None}, "$.identity"),
        ({"identity": IDENTITY | {"key": bytes(31)}}, "$.identity.key"),
        ({"identity": IDENTITY | {"signature": bytes(65)}}, "$.identity.signature"),
        ({"identity": IDENTITY | {"expires": -1}}, "$.identity.expires"),
        ({"limits": {"frame": -1}}, "$.limits[...]"),
        ({"limits": {"frame": "x"}}, "$.limits[...]"),
    ],
)
def test_a_hello_that_is_wrong_names_the_field(change: dict[str, Any], field: str) -> None:
    codec.decode_server(msgspec.msgpack.encode(HELLO))
    with pytest.raises(ProtocolError) as caught:
        codec.decode_server(msgspec.msgpack.encode(HELLO | change))
    assert (caught.value.code, caught.value.field) == ("LC-FRAME-OBJECT", field)


@pytest.mark.parametrize(
    "change",
    [
        {"code": ""},
        {"code": "x" * 41},
        {"text": "x" * 401},
        {"id": -1},
        {"id": 2**32},
        {"field": "x" * 81},
        {"retry_after": -0.5},
        {"retry_after": 1e12},
    ],
)
def test_an_error_that_is_wrong_is_refused(change: dict[str, Any]) -> None:
    error: dict[str, Any] = {"t": "error", "code": "LC-X", "text": "no", "id": 1}
    codec.decode_server(msgspec.msgpack.encode(error))
    with pytest.raises(ProtocolError):
        codec.decode_server(msgspec.msgpack.encode(error | change))


def test_every_protocol_error_fits_an_error_frame() -> None:
    for code in CODES:
        error = ProtocolError(code, "x" * 999, field="y" * 999)
        sent = Error(code=error.code, text=error.text, field=error.field)
        assert codec.decode_server(codec.encode(sent)[4:]) == sent


SAMPLES: dict[str, list[dict[str, Any]]] = {
    "client": [
        {"t": "hello", "versions": [1], "client": "lair", "features": ["x"]},
        {"t": "cmd", "id": 1, "do": "a.b", "args": {}, "key": bytes(16)},
        {"t": "ping", "n": 1},
        {"t": "pong", "n": 1},
        {"t": "bye"},
    ],
    "server": [
        HELLO | {"features": ["x"], "limits": {"frame": 1}},
        {"t": "ok", "id": 1, "body": {}},
        {
            "t": "error",
            "code": "LC-X",
            "text": "no",
            "id": 1,
            "field": "$.a",
            "retry_after": 1.5,
        },
        {"t": "event", "name": "a.b", "body": {}},
        {"t": "ping", "n": 1},
        {"t": "pong", "n": 1},
        {"t": "bye", "code": "LC-X", "text": "no"},
    ],
}
OTHERS = [None, True, -1, 2**63 - 1, 0.5, "", "x" * 500, b"x", [], [None], {}, {"a": None}]
ANYTHING = {"args", "body"}
ALSO_FINE = {
    ("cmd", "key"): [None],
    ("error", "field"): [None, ""],
    ("error", "retry_after"): [None, 0.5],
    ("error", "text"): [""],
    ("bye", "text"): [""],
    ("hello", "client"): [""],
    ("hello", "server"): [""],
    ("hello", "name"): [""],
    ("hello", "registration"): [""],
    ("hello", "features"): [[]],
    ("hello", "limits"): [{}],
    ("hello", "now"): [2**63 - 1],
    ("ping", "n"): [2**63 - 1],
    ("pong", "n"): [2**63 - 1],
}


@pytest.mark.parametrize("end", SAMPLES)
def test_wrong_values_for_every_field(end: str) -> None:
    """Defends: security.md: wrong types for every field."""
    decode = codec.decode_client if end == "client" else codec.decode_server
    for sample in SAMPLES[end]:
        for name in set(sample) - ANYTHING:
            fine = ALSO_FINE.get((sample["t"], name), [])
            for other in OTHERS:
                body = msgspec.msgpack.encode(sample | {name: other})
                if any(type(other) is type(good) and other == good for good in fine):
                    decode(body)
                    continue
                with pytest.raises(ProtocolError) as caught:
                    decode(body)
                assert caught.value.code == "LC-FRAME-OBJECT"
                assert str(caught.value.field).startswith(f"$.{name}")


@pytest.mark.parametrize("end", SAMPLES)
def test_every_field_that_has_no_default_is_needed(end: str) -> None:
    decode = codec.decode_client if end == "client" else codec.decode_server
    optional = {"client", "features", "key", "limits", "field", "retry_after"}
    for sample in SAMPLES[end]:
        for name in sample:
            body = msgspec.msgpack.encode({key: sample[key] for key in sample if key != name})
            if name in optional or (sample["t"], name) == ("error", "id"):
                decode(body)
                continue
            with pytest.raises(ProtocolError) as caught:
                decode(body)
            assert (caught.value.code, caught.value.field) == ("LC-FRAME-OBJECT", f"$.{name}")
