"""What members say to each other inside sealed messages: typed, versioned MessagePack.

The author is never in here: it is the account whose device sealed the message.
A target is named by its author and its id together: a member who learnt the id of somebody's message
before it stood in the log must not be able to take the id for a message of its own.

A kind of message that a newer version has reads as :class:`Unknown`, and is shown as such.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw

from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import Bytes16, Bytes32, Int63, Millis

Bytes8 = Annotated[bytes, Meta(min_length=8, max_length=8)]
MessageText = Annotated[str, Meta(min_length=1, max_length=limits.MESSAGE_CHARS)]
NameText = Annotated[str, Meta(max_length=limits.ROOM_NAME_CHARS_MAX)]
TopicText = Annotated[str, Meta(max_length=limits.TOPIC_CHARS)]
Emoji = Annotated[str, Meta(min_length=1, max_length=limits.REACTION_CHARS)]
OptionText = Annotated[str, Meta(min_length=1, max_length=limits.POLL_OPTION_CHARS)]
Options = Annotated[list[OptionText], Meta(min_length=2, max_length=limits.POLL_OPTIONS)]
Picks = Annotated[
    list[Annotated[int, Meta(ge=0, lt=limits.POLL_OPTIONS)]], Meta(max_length=limits.POLL_OPTIONS)
]


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, array_like=False):
    """Base of what a payload is made of; unknown fields, of newer versions, are ignored."""


class Target(_Part, frozen=True):
    """A message: the account id of its author, and its id."""

    author: Bytes32
    id: Bytes16


class Body(_Part, frozen=True, tag_field="type"):
    """Base of what a message can be."""


class Text(Body, frozen=True, tag="text"):
    """Something that is said.

    me: an action.  thread: the message whose thread it stands in.  reply: what it answers.
    """

    text: MessageText
    me: bool = False
    thread: Target | None = None
    reply: Target | None = None


class Edit(Body, frozen=True, tag="edit"):
    """Another text for a message of one's own."""

    target: Bytes16
    text: MessageText


class Delete(Body, frozen=True, tag="delete"):
    """A message is taken back: one's own, or by a moderator somebody's below."""

    target: Target


class React(Body, frozen=True, tag="react"):
    """A reaction to a message is set, or taken back."""

    target: Target
    emoji: Emoji
    on: bool = True


class Receipt(Body, frozen=True, tag="receipt"):
    """One has read the room up to this place of its log."""

    seq: Int63


class Poll(Body, frozen=True, tag="poll"):
    """A question with answers to pick from; ``many``: more than one."""

    question: MessageText
    options: Options
    many: bool = False


class Vote(Body, frozen=True, tag="vote"):
    """What one picks in a poll, by number from 0; none takes the vote back."""

    target: Target
    picks: Picks


class RoomState(Body, frozen=True, tag="room"):
    """The room's name or topic changes; what is null stays."""

    name: NameText | None = None
    topic: TopicText | None = None


class Invitation(Body, frozen=True, tag="invite"):
    """A code that lets people into the room, for the clients that will let them in.

    locator, secret: see :mod:`lairchat.e2ee.invite`.  uses: how many people; 0 ends it.
    until: ms since 1970.
    """

    locator: Bytes8
    secret: Bytes16
    uses: Annotated[int, Meta(ge=0, le=limits.INVITE_USES_MAX)]
    until: Millis

    def __repr__(self) -> str:
        return f"Invitation(locator={self.locator.hex()}, secret redacted, uses={self.uses})"


class CodeUsed(Body, frozen=True, tag="used"):
    """By which code the author has let somebody in, who counts for no other one then."""

    locator: Bytes8
    account: Bytes32


class Asked(Body, frozen=True, tag="asked"):
    """Somebody is invited by name: the account that members' devices may add once it has accepted."""

    account: Bytes32


class Unknown(Body, frozen=True, tag=""):
    """Something of a version that this program does not know."""


Known = (
    Text | Edit | Delete | React | Receipt | Poll | Vote | RoomState | Invitation | CodeUsed | Asked
)
_KNOWN: Final = frozenset(
    kind.__struct_config__.tag
    for kind in (
        *(Text, Edit, Delete, React, Receipt, Poll, Vote),
        *(RoomState, Invitation, CodeUsed, Asked),
    )
)


class LogHead(_Part, frozen=True):
    """The head of the sender's account log: place and hash."""

    position: Int63
    hash: Bytes32


class Place(_Part, frozen=True):
    """How far the sender had followed the room's log: sequence and the chain's hash there."""

    seq: Int63
    hash: Bytes32


class Payload(_Part, frozen=True):
    """What is sealed.

    v: 1.  id: of the message, 16 random bytes; sealed again after a refusal it keeps it.
    count: 1, 2, 3 ... for each device in each room: a number that is missing is a message that was
        withheld.
    seen: how far the sender had followed the room.  log: the head of its account's log.
    at: the sender's clock, ms.  expires: how long it is kept once it has been read, seconds; 0: kept.
    body: one of the kinds above.
    """

    v: Literal[1]
    id: Bytes16
    count: Annotated[int, Meta(ge=1, le=limits.INTEGER_MAX)]
    seen: Place
    log: LogHead
    at: Millis
    body: Raw
    expires: Annotated[int, Meta(ge=0, le=limits.EXPIRY_SECONDS_MAX)] = 0


class _Tagged(_Part, frozen=True):
    type: Annotated[str, Meta(max_length=32)]


def encode_body(body: Known) -> Raw:
    """Return a body for :class:`Payload`."""
    return Raw(codec.encode_body(body))


def encode_payload(payload: Payload) -> bytes:
    """Return what is sealed."""
    return codec.encode_body(payload)


def decode_payload(data: bytes) -> Payload:
    """Return what was sealed; ProtocolError if it is not a payload of this version."""
    return codec.decode_body(Payload, data)


def body_of(payload: Payload) -> Known | Unknown:
    """Return what a payload says; raises what ``read_body`` does."""
    return read_body(bytes(payload.body))


def read_body(raw: bytes) -> Known | Unknown:
    """Return what a body says.

    Raises ProtocolError for a kind that is known and malformed: a newer version would have given it
    another name.
    """
    if codec.decode_body(_Tagged, raw).type not in _KNOWN:
        return Unknown()
    found: Known = codec.decode_body(Known, raw)  # type: ignore[arg-type]  # a union is a type here
    if isinstance(found, Poll) and len(set(found.options)) != len(found.options):
        raise ProtocolError("LC-ARGS", "two answers of a poll are the same", field="$.options")
    return found
