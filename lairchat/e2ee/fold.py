"""What a room shows: its messages, folded in the order of the log.

What a message changes is a pure function of it and of what was folded before, so that every member
who opened the same messages shows the same.  An edit, deletion, reaction or vote for a message that
has not been seen is dropped: nothing can be said about what one cannot look up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from lairchat.e2ee.payload import (
    Delete,
    Edit,
    Known,
    Poll,
    React,
    RoomState,
    Target,
    Text,
    Unknown,
    Vote,
)
from lairchat.model import limits
from lairchat.trust.policy import Kind, Role

NAMES_ROOMS: Final = Role.MODERATOR
"""The lowest role that names a room and sets its topic."""

Key = tuple[bytes, bytes]
"""A message: the account id of its author, and its id."""


@dataclass(frozen=True, slots=True)
class Said:
    """One opened message: who sealed it, as what, and what it says.

    seq: its place in the log.  at: the sender's clock, ms.  role: the author's, by the policy of the
    epoch in which it was sealed.
    """

    seq: int
    author: bytes
    device: bytes
    role: Role
    id: bytes
    at: int
    body: Known | Unknown


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is shown.

    text: the last one; None once it is deleted.
    edited: how often.  deleted_by: whose account took it back.
    reactions: who set which, by emoji.  votes: what each account picked, of a poll.
    """

    said: Said
    text: str | None
    edited: int = 0
    deleted_by: bytes | None = None
    reactions: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    votes: Mapping[bytes, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Named:
    """A room's name or topic as it is from now; what is None stays."""

    name: str | None
    topic: str | None


Look = Callable[[Key], Message | None]
"""Finds a message as it has been folded so far."""


def fold(kind: Kind, said: Said, look: Look) -> tuple[Key, Message] | Named | None:
    """Return what an opened message changes: a message, the room's name, or nothing.

    To be asked once for each author and id, in the order of the log; a repeat is dropped before.
    """
    own = said.author, said.id
    match said.body:
        case Text(text=text) | Poll(question=text):
            return own, Message(said, text)
        case Unknown():
            return own, Message(said, "")
        case Edit(target, text):
            return _changed((said.author, target), look, partial(_edited, text))
        case Delete(target):
            return _changed(_key(target), look, partial(_deleted, kind, said))
        case React(target, emoji, on):
            return _changed(_key(target), look, partial(_reacted, said.author, emoji, on))
        case Vote(target, picks):
            return _changed(_key(target), look, partial(_voted, said.author, picks))
        case RoomState(name, topic):
            # A direct conversation is named after the other person, whatever that person says.
            allowed = kind is not Kind.DIRECT and said.role >= NAMES_ROOMS
            return Named(name, topic) if allowed else None
    return None


def _key(target: Target) -> Key:
    return target.author, target.id


def _changed(
    key: Key, look: Look, change: Callable[[Message], Message | None]
) -> tuple[Key, Message] | None:
    """Return a message after a change; None if it was never seen, is deleted, or stays."""
    message = look(key)
    if message is None or message.text is None:
        return None
    changed = change(message)
    return None if changed is None or changed == message else (key, changed)


def _edited(text: str, message: Message) -> Message | None:
    if not isinstance(message.said.body, Text):
        return None
    return replace(message, text=text, edited=message.edited + 1)


def _deleted(kind: Kind, by: Said, message: Message) -> Message | None:
    if by.author != message.said.author and (
        kind is Kind.DIRECT or by.role < Role.MODERATOR or by.role <= message.said.role
    ):
        return None
    # Nothing of it stays: neither what it said nor what was said to it.
    return Message(replace(message.said, body=Unknown()), None, deleted_by=by.author)


def _reacted(author: bytes, emoji: str, on: bool, message: Message) -> Message | None:
    others = message.reactions.get(emoji, frozenset()) - {author}
    now = others | {author} if on else others
    kept = {name: who for name, who in message.reactions.items() if name != emoji}
    if now:
        if emoji not in message.reactions and len(kept) >= limits.REACTIONS_SHOWN:
            return None
        kept[emoji] = now
    return replace(message, reactions=kept)


def _voted(author: bytes, picks: Sequence[int], message: Message) -> Message | None:
    poll = message.said.body
    if not isinstance(poll, Poll):
        return None
    chosen = tuple(sorted(set(picks)))
    if any(pick >= len(poll.options) for pick in chosen) or (len(chosen) > 1 and not poll.many):
        return None
    votes = {who: what for who, what in message.votes.items() if who != author}
    if chosen:
        votes[author] = chosen
    return replace(message, votes=votes)
