"""Writes tests/vectors/lair1.json: what an implementer of lair/1 in any language can check against.

``python -m tests.wire.vectors > tests/vectors/lair1.json``; a test holds the file to this program.
All bytes are made by hand (tests/wire/by_hand.py): neither lairchat nor msgspec takes part.
"""

import json
import struct
import sys
from typing import Any

from tests.wire.by_hand import LONG, SHORT, framed

ABOUT = (
    "Test vectors of the protocol lair/1. Bytes are hexadecimal; in meanings they are {'$hex': ...}. "
    "frames: whole frames with what they mean; 'shortest' tells whether a sender of ours writes "
    "exactly these bytes, and a receiver takes the others as well. "
    "malformed: what 'to' refuses with 'code' at 'stage' (there, a client has asked with id 1 and "
    "each end has sent a ping with n 1; none is answered). "
    "arguments: what a server refuses in a command's args, whatever the command. "
    "session: flights in order, each what one end sends before it hears the other."
)

Value = dict[str, Any]

KEY = bytes.fromhex("01997a3c5e8000112233445566778899")
IDENTITY: Value = {
    "key": bytes(range(32)),
    "expires": 1_790_000_000,
    "signature": bytes(range(64)),
}
CLIENT_HELLO: Value = {"t": "hello", "versions": [1], "client": "lair 1.0"}
SERVER_HELLO: Value = {
    "t": "hello",
    "version": 1,
    "server": "lairchat 1.0",
    "name": "home",
    "now": 1_760_000_000_000,
    "identity": IDENTITY,
    "registration": "invite",
    "features": ["blob"],
    "limits": {"frame": 65536, "message": 4096},
}
SEND: Value = {
    "t": "cmd",
    "id": 2,
    "do": "message.send",
    "args": {"room": 12, "text": "gr\u00fc\u00df dich \U0001f44b"},
    "key": KEY,
}
EVENT: Value = {
    "t": "event",
    "name": "message.new",
    "body": {"room": 12, "seq": 41, "text": "hello"},
}

FRAMES: list[tuple[str, str, Value]] = [
    ("hello", "client", CLIENT_HELLO),
    ("hello that says no more than it must", "client", {"t": "hello", "versions": [1]}),
    ("hello with features", "client", {**CLIENT_HELLO, "versions": [2, 1], "features": ["x"]}),
    ("command with key", "client", SEND),
    ("command without key", "client", {"t": "cmd", "id": 1, "do": "room.list", "args": {}}),
    ("largest request id", "client", {"t": "cmd", "id": 2**32 - 1, "do": "a", "args": {}}),
    ("ping of a client", "client", {"t": "ping", "n": 0}),
    ("largest integer", "client", {"t": "ping", "n": 2**63 - 1}),
    ("pong of a client", "client", {"t": "pong", "n": 65_536}),
    ("bye of a client", "client", {"t": "bye"}),
    ("hello of a server", "server", SERVER_HELLO),
    ("answer", "server", {"t": "ok", "id": 2, "body": {"seq": 41, "at": 1_760_000_000_123}}),
    ("answer that says nothing", "server", {"t": "ok", "id": 1, "body": {}}),
    (
        "refusal",
        "server",
        {
            "t": "error",
            "code": "LC-RATE",
            "text": "too fast",
            "id": 3,
            "field": "$.text",
            "retry_after": 1.5,
        },
    ),
    (
        "error of the whole connection",
        "server",
        {"t": "error", "code": "LC-FRAME-SIZE", "text": "a frame is too long"},
    ),
    ("event", "server", EVENT),
    ("ping of a server", "server", {"t": "ping", "n": 1}),
    ("pong of a server", "server", {"t": "pong", "n": 1}),
    ("bye of a server", "server", {"t": "bye", "code": "LC-SHUTDOWN", "text": "restarting"}),
]
NEWER: list[tuple[str, str, Value]] = [
    ("event with a field of a newer server", "server", {**EVENT, "new": [1, {"a": None}]}),
]


def raw(pairs: list[tuple[Any, Any]]) -> bytes:
    return SHORT.pairs(pairs)


def command(args: bytes) -> bytes:
    return framed(b"\x84\xa1t\xa3cmd\xa2id\x05\xa2do\xa3a.b\xa4args" + args)


def frame(value: Any) -> bytes:
    return framed(SHORT.write(value))


def double(value: float) -> bytes:
    return b"\xcb" + struct.pack(">d", value)


PING = b"\x82\xa1t\xa4ping\xa1n"
MALFORMED: list[tuple[str, str, str, bytes, str]] = [
    # Framing.
    ("no body", "server", "connected", bytes(4), "LC-FRAME-EMPTY"),
    ("claims four GiB", "server", "connected", b"\xff\xff\xff\xff", "LC-FRAME-SIZE"),
    ("claims too much to a stranger", "server", "greeted", b"\0\0\x40\x01", "LC-FRAME-SIZE"),
    ("claims too much", "server", "ready", b"\0\1\0\1", "LC-FRAME-SIZE"),
    ("claims too much to a client", "client", "connected", b"\0\1\0\1", "LC-FRAME-SIZE"),
    ("HTTP", "server", "connected", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "LC-FRAME-SIZE"),
    ("SSH", "server", "connected", b"SSH-2.0-OpenSSH_9.2\r\n", "LC-FRAME-SIZE"),
    ("IRC", "server", "connected", b"NICK ada\r\n", "LC-FRAME-SIZE"),
    ("TLS inside TLS", "server", "connected", b"\x16\x03\x01\0\xc8\1\0\0\xc4", "LC-FRAME-SIZE"),
    # MessagePack.
    ("cut off inside", "server", "ready", framed(PING), "LC-DECODE"),
    ("trailing byte", "server", "ready", framed(PING + b"\1\0"), "LC-DECODE"),
    ("byte c1", "server", "ready", framed(PING + b"\xc1"), "LC-DECODE"),
    ("string claims four GiB", "server", "ready", framed(b"\xdb\xff\xff\xff\xff"), "LC-DECODE"),
    (
        "array of four billion",
        "server",
        "ready",
        framed(b"\xdd\xff\xff\xff\xff"),
        "LC-DECODE-COUNT",
    ),
    ("map of four billion", "server", "ready", framed(b"\xdf\xff\xff\xff\xff"), "LC-DECODE-COUNT"),
    (
        "4,097 values",
        "server",
        "ready",
        framed(b"\xdc\x10\x00" + b"\xc0" * 4096),
        "LC-DECODE-COUNT",
    ),
    ("nine levels", "server", "ready", framed(b"\x91" * 9 + b"\xc0"), "LC-DECODE-DEPTH"),
    ("a thousand levels", "server", "ready", framed(b"\x91" * 1000 + b"\xc0"), "LC-DECODE-DEPTH"),
    (
        "the tag twice",
        "server",
        "ready",
        framed(raw([("t", "ping"), ("t", "ping"), ("n", 2)])),
        "LC-DECODE-DUPLICATE",
    ),
    (
        "a key twice in two forms",
        "server",
        "ready",
        framed(b"\x83\xa1t\xa4ping\xa1n\x02\xd9\x01n\x02"),
        "LC-DECODE-DUPLICATE",
    ),
    ("a key that is a number", "server", "ready", framed(b"\x81\x01\x01"), "LC-DECODE-KEY"),
    ("2^63", "server", "ready", framed(PING + b"\xcf\x80" + bytes(7)), "LC-DECODE-NUMBER"),
    ("NaN", "server", "ready", framed(PING + double(float("nan"))), "LC-DECODE-NUMBER"),
    ("infinity", "server", "ready", framed(PING + double(float("inf"))), "LC-DECODE-NUMBER"),
    ("a timestamp", "server", "ready", framed(PING + b"\xd6\xff" + bytes(4)), "LC-DECODE-TYPE"),
    (
        "a string that is no UTF-8",
        "server",
        "ready",
        framed(PING + b"\xa2\xc0\xaf"),
        "LC-DECODE-TEXT",
    ),
    ("a surrogate", "server", "ready", framed(PING + b"\xa3\xed\xa0\x80"), "LC-DECODE-TEXT"),
    (
        "depth in the arguments of an odd frame",
        "server",
        "ready",
        framed(LONG.write({"t": "cmd", "id": 1, "do": "a", "args": [[[[[[[[1]]]]]]]]})),
        "LC-DECODE-DEPTH",
    ),
    # Objects.
    ("no map", "server", "ready", frame([1, 2]), "LC-FRAME-OBJECT"),
    ("no tag", "server", "ready", frame({"n": 2}), "LC-FRAME-OBJECT"),
    ("unknown tag", "server", "ready", frame({"t": "what"}), "LC-FRAME-OBJECT"),
    (
        "what only a server says",
        "server",
        "ready",
        frame({"t": "ok", "id": 1, "body": {}}),
        "LC-FRAME-OBJECT",
    ),
    ("what only a client says", "client", "ready", frame(SEND), "LC-FRAME-OBJECT"),
    (
        "an unknown field",
        "server",
        "ready",
        frame({"t": "ping", "n": 2, "new": 1}),
        "LC-FRAME-OBJECT",
    ),
    ("a missing field", "server", "ready", frame({"t": "ping"}), "LC-FRAME-OBJECT"),
    ("a string for a number", "server", "ready", frame({"t": "ping", "n": "2"}), "LC-FRAME-OBJECT"),
    ("a float for an integer", "server", "ready", framed(PING + double(2.0)), "LC-FRAME-OBJECT"),
    ("a negative number", "server", "ready", frame({"t": "ping", "n": -1}), "LC-FRAME-OBJECT"),
    ("request id 0", "server", "ready", frame({**SEND, "id": 0}), "LC-FRAME-OBJECT"),
    ("request id 2^32", "server", "ready", frame({**SEND, "id": 2**32}), "LC-FRAME-OBJECT"),
    ("a key of 15 bytes", "server", "ready", frame({**SEND, "key": bytes(15)}), "LC-FRAME-OBJECT"),
    (
        "no versions",
        "server",
        "connected",
        frame({"t": "hello", "versions": []}),
        "LC-FRAME-OBJECT",
    ),
    # Sessions.
    (
        "no version in common",
        "server",
        "connected",
        frame({"t": "hello", "versions": [9]}),
        "LC-VERSION",
    ),
    ("a command before the hello", "server", "connected", frame(SEND), "LC-STAGE"),
    ("a second hello", "server", "greeted", frame(CLIENT_HELLO), "LC-STAGE"),
    ("a command after the bye", "server", "ready", frame({"t": "bye"}) + frame(SEND), "LC-STAGE"),
    ("a greeting unasked", "client", "connected", frame(SERVER_HELLO), "LC-STAGE"),
    ("an event before the hello", "client", "connected", frame(EVENT), "LC-STAGE"),
    ("a second hello of a server", "client", "ready", frame(SERVER_HELLO), "LC-STAGE"),
    (
        "an answer to nothing",
        "client",
        "ready",
        frame({"t": "ok", "id": 7, "body": {}}),
        "LC-REPLY",
    ),
    ("a second answer", "client", "ready", frame({"t": "ok", "id": 1, "body": {}}) * 2, "LC-REPLY"),
    ("a pong unasked", "server", "ready", frame({"t": "pong", "n": 2}), "LC-PONG"),
    ("a second pong", "client", "ready", frame({"t": "pong", "n": 1}) * 2, "LC-PONG"),
]

ARGUMENTS: list[tuple[str, bytes, str]] = [
    ("a key twice", raw([("room", 1), ("room", 2)]), "LC-DECODE-DUPLICATE"),
    (
        "a key twice far inside",
        raw([("a", [{"b": 1}])])[:-4] + b"\x82\xa1b\1\xa1b\1",
        "LC-DECODE-DUPLICATE",
    ),
    ("nine levels with the frame's own", b"\x91" * 8 + b"\xc0", "LC-DECODE-DEPTH"),
    ("2^64-1", b"\x81\xa4room" + b"\xcf" + b"\xff" * 8, "LC-DECODE-NUMBER"),
    ("minus infinity", b"\x81\xa4room" + double(float("-inf")), "LC-DECODE-NUMBER"),
    ("a string that is no UTF-8", b"\x81\xa4room\xa1\xff", "LC-DECODE-TEXT"),
    ("an extension", b"\x81\xa4room\xd4\x05\0", "LC-DECODE-TYPE"),
    ("a number as key", b"\x81\x01\x01", "LC-DECODE-KEY"),
]

REGISTER: Value = {
    "t": "cmd",
    "id": 1,
    "do": "account.login",
    "args": {"name": "ada", "secret": bytes(range(32))},
}
SESSION: list[tuple[str, list[Value]]] = [
    ("client", [CLIENT_HELLO]),
    ("server", [SERVER_HELLO]),
    ("client", [REGISTER]),
    ("server", [{"t": "ok", "id": 1, "body": {"user": 7}}, {"t": "ping", "n": 1}]),
    (
        "client",
        [
            SEND,
            {**SEND, "id": 3, "args": {"room": 13, "text": "x" * 300}},
            {"t": "pong", "n": 1},
            {"t": "ping", "n": 1},
        ],
    ),
    (
        "server",
        [
            {
                "t": "error",
                "code": "LC-ROOM-UNKNOWN",
                "text": "no such room",
                "id": 3,
                "field": "$.room",
            },
            EVENT,
            {"t": "ok", "id": 2, "body": {"seq": 41, "at": 1_760_000_000_123}},
            {"t": "pong", "n": 1},
        ],
    ),
    ("client", [{"t": "cmd", "id": 4, "do": "room.list", "args": {}}, {"t": "bye"}]),
    (
        "server",
        [
            {"t": "ok", "id": 4, "body": {"rooms": [], "more": False}},
            {"t": "bye", "code": "LC-BYE", "text": "goodbye"},
        ],
    ),
]


def meaning(value: Any) -> Any:
    """Return a value as JSON can say it."""
    match value:
        case bytes():
            return {"$hex": value.hex()}
        case dict():
            return {name: meaning(part) for name, part in value.items()}
        case list():
            return list(map(meaning, value))
    return value


def build() -> Value:
    frames = [
        {
            "name": name + suffix,
            "from": end,
            "hex": framed(form.write(value)).hex(),
            "means": meaning(value),
            "shortest": shortest,
        }
        for listed, forms in (
            (
                FRAMES,
                ((SHORT, "", True), (LONG, ", every length at its longest, keys reversed", False)),
            ),
            (NEWER, ((SHORT, "", False),)),
        )
        for name, end, value in listed
        for form, suffix, shortest in forms
    ]
    return {
        "about": ABOUT,
        "frames": frames,
        "malformed": [
            {"name": name, "to": end, "stage": stage, "hex": data.hex(), "code": code}
            for name, end, stage, data, code in MALFORMED
        ],
        "arguments": [
            {"name": name, "hex": command(args).hex(), "code": code}
            for name, args, code in ARGUMENTS
        ],
        "session": [
            {
                "from": end,
                "hex": b"".join(map(frame, values)).hex(),
                "means": meaning(values),
            }
            for end, values in SESSION
        ],
    }


if __name__ == "__main__":
    json.dump(build(), sys.stdout, indent=1)
    sys.stdout.write("\n")
