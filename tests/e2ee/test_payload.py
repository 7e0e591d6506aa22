"""What is sealed is read strictly, and what newer versions say is not lost."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee import payload
from lairchat.e2ee.payload import (
    Delete,
    Edit,
    Invitation,
    Known,
    LogHead,
    Payload,
    Place,
    Poll,
    React,
    Receipt,
    RoomState,
    Target,
    Text,
    Unknown,
    Vote,
)
from lairchat.model import limits
from lairchat.wire.errors import ProtocolError

AUTHOR, ID, HASH = b"a" * 32, b"i" * 16, b"h" * 32
TARGET = Target(AUTHOR, ID)
BODIES: list[Known] = [
    Text("hello"),
    Text("waves", me=True, thread=TARGET, reply=TARGET),
    Edit(ID, "better"),
    Delete(TARGET),
    React(TARGET, "\N{THUMBS UP SIGN}"),
    React(TARGET, "\N{THUMBS UP SIGN}", on=False),
    Receipt(7),
    Poll("lunch?", ["soup", "bread"], many=True),
    Vote(TARGET, [0, 1]),
    Vote(TARGET, []),
    RoomState(name="plans"),
    RoomState(topic=""),
    Invitation(b"l" * 8, b"s" * 16, 3, 1_790_000_000_000),
]


def sealed(body: msgspec.Raw, **changes: object) -> bytes:
    fields = {
        "v": 1,
        "id": ID,
        "count": 1,
        "seen": Place(3, HASH),
        "log": LogHead(2, HASH),
        "at": 1_790_000_000_000,
        "body": body,
        **changes,
    }
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_kind_comes_back(body: Known) -> None:
    one = Payload(1, ID, 1, Place(0, HASH), LogHead(0, HASH), 5, payload.encode_body(body))
    read = payload.decode_payload(payload.encode_payload(one))
    assert payload.body_of(read) == body
    assert read == one


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": None},
        {"id": b"short"},
        {"count": 0},
        {"count": -1},
        {"count": 2**63},
        {"seen": {"seq": 1}},
        {"seen": {"seq": 1, "hash": b"x"}},
        {"log": None},
        {"at": -1},
        {"expires": -1},
        {"expires": limits.EXPIRY_SECONDS_MAX + 1},
    ],
)
def test_a_payload_that_is_none_is_refused(changes: dict[str, object]) -> None:
    body = payload.encode_body(Text("x"))
    assert payload.decode_payload(sealed(body)).id == ID
    with pytest.raises(ProtocolError):
        payload.decode_payload(sealed(body, **changes))


def test_the_edges_of_expiry() -> None:
    body = payload.encode_body(Text("x"))
    for seconds in (0, limits.EXPIRY_SECONDS_MAX):
        assert payload.decode_payload(sealed(body, expires=seconds)).expires == seconds


def test_a_kind_of_a_newer_version_is_unknown_and_not_lost() -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode({"type": "hologram", "data": b"..."}))
    assert payload.body_of(payload.decode_payload(sealed(raw))) == Unknown()
    # A newer version's field beside what is known is stepped over.
    raw = msgspec.Raw(msgspec.msgpack.encode({"type": "text", "text": "hi", "mood": "good"}))
    assert payload.body_of(payload.decode_payload(sealed(raw))) == Text("hi")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "text"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "x" * (limits.MESSAGE_CHARS + 1)},
        {"type": "text", "text": 7},
        {"type": "text", "text": "x", "reply": {"author": b"x", "id": ID}},
        {"type": "edit", "target": ID},
        {"type": "react", "target": {"author": AUTHOR, "id": ID}, "emoji": ""},
        {"type": "react", "target": {"author": AUTHOR, "id": ID}, "emoji": "x" * 17},
        {"type": "poll", "question": "q", "options": ["one"]},
        {"type": "poll", "question": "q", "options": ["one", "one"]},
        {"type": "poll", "question": "q", "options": ["o" * 201, "two"]},
        {"type": "poll", "question": "q", "options": [str(n) for n in range(21)]},
        {"type": "vote", "target": {"author": AUTHOR, "id": ID}, "picks": [20]},
        {"type": "vote", "target": {"author": AUTHOR, "id": ID}, "picks": [-1]},
        {"type": "room", "name": "x" * 33},
        {"type": "room", "topic": "x" * 201},
        {"no": "type"},
        {"type": "t" * 33},
        {"type": 7},
        [1, 2],
        None,
    ],
)
def test_a_known_kind_that_is_malformed_is_refused(body: object) -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode(body))
    with pytest.raises(ProtocolError):
        payload.body_of(payload.decode_payload(sealed(raw)))


@given(st.binary(max_size=400))
def test_garbage_raises_the_one_error(data: bytes) -> None:
    try:
        payload.body_of(payload.decode_payload(data))
    except ProtocolError:
        return
    raise AssertionError("random bytes were a payload")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_cut_is_refused(body: Known) -> None:
    data = sealed(payload.encode_body(body))
    for cut in range(len(data)):
        with pytest.raises(ProtocolError):
            payload.body_of(payload.decode_payload(data[:cut]))
    with pytest.raises(ProtocolError):
        payload.decode_payload(data + b"\0")


def test_deep_and_doubled_input_is_refused() -> None:
    deep: object = b""
    for _ in range(50):
        deep = [deep]
    with pytest.raises(ProtocolError):
        payload.decode_payload(sealed(payload.encode_body(Text("x")), extra=deep))
    doubled = b"\x82\xa4type\xa4text\xa4type\xa4text"
    with pytest.raises(ProtocolError):
        payload.body_of(payload.decode_payload(sealed(msgspec.Raw(doubled))))


def test_the_secret_of_an_invitation_is_not_printed() -> None:
    invitation = Invitation(b"l" * 8, b"s" * 16, 3, 1)
    assert "ssss" not in repr(invitation)
    assert "73737373" not in repr(invitation)
