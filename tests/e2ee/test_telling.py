"""What somebody reads who has one message alone."""

import pytest

from lairchat.e2ee.payload import (
    Delete,
    Edit,
    Known,
    LogHead,
    Payload,
    Place,
    Poll,
    React,
    RoomState,
    Target,
    Text,
    encode_body,
    encode_payload,
)
from lairchat.e2ee.telling import UNREADABLE, told
from lairchat.wire import codec

AT = 1_790_000_000_000
TARGET = Target(bytes(32), bytes(16))


def sealed(body: Known) -> bytes:
    head, place = LogHead(1, bytes(32)), Place(0, bytes(32))
    return encode_payload(Payload(1, bytes(16), 1, place, head, AT, encode_body(body)))


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (Text("hello\x1b[2J"), "text", "hello\x1b[2J"),
        (Text("waves", me=True), "action", "waves"),
        (Text("yes", reply=TARGET), "text", "yes"),
        (Edit(bytes(16), "better"), "edit", "better"),
        (Poll("when?", ["at five", "at six"]), "poll", "when?\n- at five\n- at six"),
        (React(TARGET, "+1"), "react", ""),
        (Delete(TARGET), "delete", ""),
        (RoomState(name="attic"), "room", ""),
    ],
)
def test_each_kind_says_what_it_says(body: Known, kind: str, text: str) -> None:
    assert told(sealed(body)) == (kind, text, AT)


def test_what_a_newer_version_says_is_not_known() -> None:
    data = codec.encode_body(
        {
            **codec.decode_body(dict, sealed(Text("x"))),
            "body": {"type": "hologram", "text": "not for us"},
        }
    )
    assert told(data) == ("unknown", "", AT)


@pytest.mark.parametrize("data", [b"", b"rubbish", sealed(Text("x"))[:-1], b"\xc1" * 90])
def test_what_is_no_message_is_said_to_be_unreadable(data: bytes) -> None:
    assert told(data) == (UNREADABLE, "", 0)
