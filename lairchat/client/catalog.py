"""The events that this client understands, and how a log's events read as lines.

Promises not to know: the network, the screen.
"""

from typing import Any

import msgspec

from lairchat.client.inputs import Message
from lairchat.features.accounts import messages as accounts
from lairchat.features.admin import messages as admin
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.keepsakes import messages as keepsakes
from lairchat.features.key_packages import messages as key_packages
from lairchat.features.messages import messages
from lairchat.features.moderation import messages as moderation
from lairchat.features.presence import messages as presence
from lairchat.features.reading import messages as reading
from lairchat.features.reports import messages as reports
from lairchat.features.rooms import messages as rooms
from lairchat.features.transfer import messages as transfer
from lairchat.wire.contract import EventType, Table

EVENTS: dict[str, EventType[Any]] = {
    event.name: event
    for event in (
        *accounts.EVENTS,
        *rooms.EVENTS,
        *messages.EVENTS,
        *presence.EVENTS,
        *admin.EVENTS,
        *identities.EVENTS,
        *key_packages.EVENTS,
        *inbox.EVENTS,
        *joining.EVENTS,
        *delivery.EVENTS,
        *reading.EVENTS,
    )
}

#: Everything this client can ask for, for documents and completeness tests.
TABLE = Table(
    (
        *accounts.COMMANDS,
        *rooms.COMMANDS,
        *messages.COMMANDS,
        *moderation.COMMANDS,
        *transfer.COMMANDS,
        *identities.COMMANDS,
        *key_packages.COMMANDS,
        *inbox.COMMANDS,
        *keepsakes.COMMANDS,
        *reading.COMMANDS,
        *joining.COMMANDS,
        *delivery.COMMANDS,
        *(reports.MESSAGE, reports.CHANGE),
    ),
    EVENTS.values(),
)

_BODY = msgspec.msgpack.Decoder(messages.Text | messages.StateChange)

_SENTENCES = {
    "created": "{by} made this room",
    "joined": "{by} joined",
    "left": "{by} left",
    "topic": '{by} set the topic to "{text}"',
    "kicked": "{by} removed {whom}{reason}",
    "banned": "{by} banned {whom}{reason}",
    "unbanned": "{by} lifted the ban of {whom}",
    "invited": "{by} invited {whom}",
    "role": "{by} made {whom} {text}",
    "archived": "{by} archived this room: it can be read, not written in",
    "restored": "{by} opened this room again",
}


def sentence(change: messages.StateChange) -> str:
    """Say a server statement as a sentence; texts are raw, the screen makes them safe."""
    pattern = _SENTENCES.get(change.what)
    if pattern is None:
        return f"{change.by}: {change.what}"
    return pattern.format(
        by=change.by,
        whom=change.whom or change.by,
        text=change.text or "",
        reason=f" ({change.text})" if change.text else "",
    )


def body_of(event: messages.LogEvent) -> messages.Text | messages.StateChange | None:
    """Return what an event says, or None when it is gone or cannot be read here."""
    if event.kind == "tombstone" or not event.body:
        return None
    try:
        decoded: messages.Text | messages.StateChange = _BODY.decode(event.body)
    except (msgspec.DecodeError, RecursionError):
        # A newer client's message, or a hostile one: shown as unreadable, never as a crash.
        return None
    return decoded


def message_of(event: messages.LogEvent, ticket: int = 0) -> Message:
    """Turn a log event into the line that the client shows."""
    body = body_of(event)
    match body:
        case messages.Text(text, me):
            kind = "action" if me else "text"
            return Message(event.seq, event.at, event.name, text, kind, ticket)
        case messages.StateChange():
            return Message(event.seq, event.at, event.name, sentence(body), "state", ticket)
    kind = "gone" if event.kind == "tombstone" else "state"
    text = "" if kind == "gone" else "(this message needs a newer client)"
    return Message(event.seq, event.at, event.name, text, kind, ticket)


def encode_text(text: str, *, action: bool = False) -> bytes:
    """Encode the body of a message for a plain room."""
    return msgspec.msgpack.encode(messages.Text(text, action))
