"""Presence on the wire: who is here, told only to people who share a room."""

from lairchat.wire.contract import EventType, Reply
from lairchat.wire.objects import Int63


class Presence(Reply, frozen=True):
    """Somebody with whom this user shares a room came (their first device) or went (their last)."""

    user: Int63
    name: str
    online: bool


class PresenceChanges(Reply, frozen=True):
    """What changed since the last such event; changes are collected for a moment."""

    people: list[Presence]


PRESENCE = EventType(
    name="presence", body=PresenceChanges, doc="People who share a room came or went."
)

EVENTS = (PRESENCE,)
