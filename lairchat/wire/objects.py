"""The objects that travel in frames, one struct each, for both ends.

Promises not to know: who handles a command, what a command means, sockets.

Every frame's body is one msgpack map whose key ``t`` names the struct.
What the client may send is :data:`ClientFrame`, what the server may send :data:`ServerFrame`.
Arguments, reply and event bodies are kept as :class:`msgspec.Raw` here and decoded by the
command table, which knows their types.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from lairchat.model import limits

RequestId = Annotated[int, Meta(ge=1, le=limits.REQUEST_ID_MAX)]
Int63 = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
"""Integers end here: larger ones do not fit a database column."""
Millis = Int63
"""Points in time are integer milliseconds since 1970-01-01 UTC."""
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * limits.DAY)]
"""Spans of time; both bounds together also keep NaN and the infinities out."""
Version = Annotated[int, Meta(ge=1, le=65535)]
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
CommandName = Annotated[str, Meta(min_length=1, max_length=limits.COMMAND_NAME_CHARS)]
Code = Annotated[str, Meta(min_length=1, max_length=40)]
Sentence = Annotated[str, Meta(max_length=400)]
ShortText = Annotated[str, Meta(max_length=80)]


class FromClient(
    msgspec.Struct, tag_field="t", frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a client sends: a field that the server does not know is an error, not a guess."""


class FromServer(msgspec.Struct, tag_field="t", frozen=True, omit_defaults=True):
    """What a server sends: a client ignores fields that it does not know yet."""


class IdentityStatement(msgspec.Struct, frozen=True):
    r"""The server's proof that the TLS key it uses is its own (architecture.md, decision 11).

    key: Ed25519 public key, 32 bytes; its SHA-256 is the server's identity.
    expires: seconds since 1970.
    signature: Ed25519 over ``b"lairchat server identity v1\x00" + SHA-256(SPKI of the TLS leaf,
    DER) + expires as u64 big-endian``, 64 bytes.
    """

    key: Bytes32
    expires: Int63
    signature: Bytes64


class ClientHello(FromClient, frozen=True, tag="hello"):
    """Opens a session: versions that the client speaks, newest first, and what it is."""

    versions: Annotated[list[Version], Meta(min_length=1, max_length=limits.VERSIONS_OFFERED)]
    client: ShortText = ""
    features: Annotated[list[ShortText], Meta(max_length=limits.FEATURES_OFFERED)] = []


class CommandFrame(FromClient, frozen=True, tag="cmd"):
    """Asks for something: ``do`` names the command, ``id`` comes back in its reply.

    key: the command's idempotency id, 16 bytes (six of big-endian Unix milliseconds, ten
    random): a repeat with the same key is answered with the first answer.
    """

    id: RequestId
    do: CommandName
    args: Raw
    key: Bytes16 | None = None


class Ping(FromClient, frozen=True, tag="ping"):
    """Asks the other end for a sign of life; either end may send it."""

    n: Int63


class Pong(FromClient, frozen=True, tag="pong"):
    """Answers a ping with its number."""

    n: Int63


class ClientBye(FromClient, frozen=True, tag="bye"):
    """Ends the session in order; the server answers with its own bye and closes."""


class ServerHello(FromServer, frozen=True, tag="hello"):
    """Answers the client's hello: the version chosen, who the server is, what it allows.

    now: the server's wall clock, ms; a client stamps its command ids with it.
    limits: names and values of the limits in force (see limits in the protocol document).
    """

    version: Version
    server: ShortText
    name: ShortText
    now: Millis
    identity: IdentityStatement
    registration: ShortText
    features: list[ShortText] = []
    limits: dict[str, Int63] = {}


class Ok(FromServer, frozen=True, tag="ok"):
    """Answers the command with this id; ``body`` is the reply struct of that command."""

    id: RequestId
    body: Raw


class Error(FromServer, frozen=True, tag="error"):
    """Refuses the command with this id, or reports a fault of the whole connection (id 0).

    field: path of the argument that is wrong, such as ``$.name``.
    retry_after: seconds after which trying again makes sense.
    """

    code: Code
    text: Sentence
    id: Annotated[int, Meta(ge=0, le=limits.REQUEST_ID_MAX)] = 0
    field: ShortText | None = None
    retry_after: Seconds | None = None


class EventFrame(FromServer, frozen=True, tag="event"):
    """Tells of something that happened; ``body`` is the event struct of that name."""

    name: CommandName
    body: Raw


class ServerPing(FromServer, frozen=True, tag="ping"):
    """The server's ping."""

    n: Int63


class ServerPong(FromServer, frozen=True, tag="pong"):
    """The server's pong."""

    n: Int63


class ServerBye(FromServer, frozen=True, tag="bye"):
    """Ends the session in order, with the reason; the connection closes after it."""

    code: Code
    text: Sentence


ClientFrame = ClientHello | CommandFrame | Ping | Pong | ClientBye
ServerFrame = ServerHello | Ok | Error | EventFrame | ServerPing | ServerPong | ServerBye
