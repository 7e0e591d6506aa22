"""What a backup of encrypted rooms is: sealed chunks of what was said, and one index of them.

A chunk has the messages of one room, one day and one stretch of its log; each is sealed once, under a
key and a name of its own that are drawn at random.  What is changed is sealed anew under other ones, so
that no key ever seals twice, and deleting an object deletes what was in it, whoever has copied the
index since.  The index holds those keys; it is sealed under a key from the recovery words, is replaced
in place, and counts its versions.

Whoever has the words, or the backup key of a device, and the server's files, reads all of it: for what
is in a backup there is no forward secrecy against them.  Keys of rooms are never in it, nor is what
disappears.

Promises not to know: where objects are kept, the clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import ClassVar, Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lairchat.e2ee.fold import Message, Said
from lairchat.e2ee.padding import padded, unpadded
from lairchat.e2ee.payload import Poll, Text, Unknown, encode_body, read_body
from lairchat.mls.codec import OPAQUE, U8, U16, U64, Choice, Fixed, Struct, Vector, decode
from lairchat.mls.codec import opaque as framed
from lairchat.mls.errors import DecryptionError, InvalidError, MalformedError
from lairchat.mls.hpke import AES_256_GCM
from lairchat.mls.suites import Random
from lairchat.model import limits
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.policy import Role
from lairchat.trust.secret import SecretBytes
from lairchat.wire.errors import ProtocolError

NAME_BYTES: Final = 16
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
INDEX: Final = bytes(NAME_BYTES)
"""The name of the index, which nothing else has by chance."""
PLACES: Final = 128
"""count: places of a room's log that share a chunk: so a chunk of the longest messages is an object."""
DAY_MS: Final = 86_400_000
REACTIONS: Final = 1_000
"""count: reactions, and votes, of one message that are backed up; more are shown and not kept."""

_INDEX_KEY: Final = b"lairchat backup index v1"
_LABEL: Final = b"lairchat backup v1"
_ONCE: Final = bytes(NONCE_BYTES)
"""A chunk's key seals one thing, so one nonce will do."""


class OldBackupError(InvalidError):
    """The server shows a backup from before one that this device has seen."""


class Place(NamedTuple):
    """Which chunk something stands in: room, UTC day since 1970, stretch of the room's log."""

    room: int
    day: int
    part: int


def place_of(room: int, message: Message) -> Place:
    """Return where a message is backed up."""
    return Place(room, message.said.at // DAY_MS, message.said.seq // PLACES)


# -- what is in a chunk


@dataclass(frozen=True, slots=True)
class _Reaction(Struct):
    LAYOUT = (OPAQUE, Vector(Fixed(32)))
    emoji: bytes
    authors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Vote(Struct):
    LAYOUT = (Fixed(32), Vector(U8))
    author: bytes
    picks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Record(Struct):
    """A message; body: as in a payload, with its last text, empty for what was not known."""

    LAYOUT = (
        *(U64, Fixed(32), Fixed(16), U8, Fixed(16), U64, OPAQUE, U64),
        *(Vector(_Reaction), Vector(_Vote)),
    )
    seq: int
    author: bytes
    device: bytes
    role: int
    id: bytes
    at: int
    body: bytes = field(repr=False)
    edited: int
    reactions: tuple[_Reaction, ...]
    votes: tuple[_Vote, ...]


@dataclass(frozen=True, slots=True)
class _Chunk(Struct):
    TYPE: ClassVar[int] = 1
    LAYOUT = (U64, U64, U64, Vector(_Record))
    room: int
    day: int
    part: int
    records: tuple[_Record, ...]


_CHUNKS: Final = Choice("version of chunks", U16, (_Chunk,))


def _recorded(message: Message) -> _Record:
    said, body = message.said, message.said.body
    if isinstance(body, Text):
        assert message.text is not None, "a deleted message is not backed up"
        body = replace_text(body, message.text)
    reactions = tuple(
        _Reaction(emoji.encode(), tuple(sorted(who)))
        for emoji, who in sorted(_first(message.reactions.items()))
    )
    votes = tuple(_Vote(*one) for one in sorted(message.votes.items())[:REACTIONS])
    return _Record(
        *(said.seq, said.author, said.device, said.role, said.id, said.at),
        b"" if isinstance(body, Unknown) else bytes(encode_body(body)),
        *(message.edited, reactions, votes),
    )


def replace_text(body: Text, text: str) -> Text:
    """Return what is said with another text."""
    return Text(text, body.me, body.thread, body.reply)


def _first(
    reactions: Iterable[tuple[str, frozenset[bytes]]],
) -> Iterable[tuple[str, frozenset[bytes]]]:
    left = REACTIONS
    for emoji, who in sorted(reactions):
        kept = sorted(who)[:left]
        left -= len(kept)
        if kept:
            yield emoji, frozenset(kept)


def _read(record: _Record) -> Message:
    """Return the message of a record; raises MalformedError if none is like that."""
    try:
        body = read_body(record.body) if record.body else Unknown()
        role = Role(record.role)
        reactions = {one.emoji.decode(): frozenset(one.authors) for one in record.reactions}
    except (ProtocolError, ValueError) as error:
        raise MalformedError("a message of a backup is none") from error
    match body:
        case Text(text=text) | Poll(question=text):
            pass
        case Unknown():
            text = ""
        case _:
            raise MalformedError("a backup has only what is shown")
    most = limits.INTEGER_MAX
    if not 0 < record.seq <= most or record.at > most or record.edited > most:
        raise MalformedError("a number of a backup is none of ours")
    if any(not emoji or len(emoji) > limits.REACTION_CHARS for emoji in reactions):
        raise MalformedError("a reaction of a backup is none")
    if sum(map(len, reactions.values())) > REACTIONS or len(record.votes) > REACTIONS:
        raise MalformedError("a message of a backup has too many reactions")
    said = Said(record.seq, record.author, record.device, role, record.id, record.at, body)
    votes = {one.author: one.picks for one in record.votes}
    if votes and not _are_picks(body, votes.values()):
        raise MalformedError("a vote of a backup is none")
    return Message(said, text, record.edited, None, reactions, votes)


def _are_picks(body: object, votes: Iterable[tuple[int, ...]]) -> bool:
    return isinstance(body, Poll) and all(
        len(set(picks)) == len(picks) and max(picks, default=0) < len(body.options)
        for picks in votes
    )


# -- the index


@dataclass(frozen=True, slots=True)
class Entry(Struct):
    """One chunk: its object's name, key and SHA-256, its place, and how many messages it has."""

    LAYOUT = (*(Fixed(NAME_BYTES), Fixed(KEY_BYTES), Fixed(32)), *(U64, U64, U64), U16)
    name: bytes
    key: bytes = field(repr=False)
    digest: bytes
    room: int
    day: int
    part: int
    count: int

    @property
    def place(self) -> Place:
        """Which messages it has."""
        return Place(self.room, self.day, self.part)


@dataclass(frozen=True, slots=True)
class RoomName(Struct):
    """A room, with its name and topic as UTF-8; both may be empty."""

    LAYOUT = (U64, OPAQUE, OPAQUE)
    room: int
    name: bytes
    topic: bytes


@dataclass(frozen=True, slots=True)
class _Pin(Struct):
    LAYOUT = (OPAQUE, Fixed(32), U8)
    name: bytes
    account: bytes
    sureness: int


@dataclass(frozen=True, slots=True)
class _Index(Struct):
    TYPE: ClassVar[int] = 1
    LAYOUT = (U64, U8, Vector(Entry), Vector(RoomName), Vector(_Pin))
    version: int
    off: int
    entries: tuple[Entry, ...]
    rooms: tuple[RoomName, ...]
    pins: tuple[_Pin, ...]


_INDEXES: Final = Choice("version of indexes", U16, (_Index,))


@dataclass(frozen=True, slots=True)
class Index:
    """All that is backed up.

    version: more with each change.  off: the user wants no backup, on any device; it is empty then.
    pins: who has been seen under which name, and how sure that is.
    """

    version: int = 0
    off: bool = False
    entries: tuple[Entry, ...] = ()
    rooms: tuple[RoomName, ...] = ()
    pins: tuple[Pin, ...] = ()

    @property
    def places(self) -> dict[Place, Entry]:
        """The chunks by what they have."""
        return {entry.place: entry for entry in self.entries}

    def after(
        self,
        gone: Iterable[Place],
        new: Iterable[Entry],
        rooms: Iterable[RoomName],
        pins: Iterable[Pin],
    ) -> "Index":
        """Return the next version: without some chunks, with others in their place.

        rooms, pins: as this device knows them; of others what is here stays.
        """
        kept = self.places
        for place in gone:
            kept.pop(place, None)
        kept.update((entry.place, entry) for entry in new)
        titles = {one.room: one for one in (*self.rooms, *rooms)}
        believed = {one.name: one for one in (*self.pins, *pins)}
        return Index(
            self.version + 1,
            False,
            tuple(kept[place] for place in sorted(kept)),
            tuple(titles[room] for room in sorted(titles)),
            tuple(replace(believed[name], changed=None) for name in sorted(believed)),
        )

    def switched_off(self) -> "Index":
        """Return the next version, which says that there shall be no backup."""
        return Index(self.version + 1, True)


class Seen(NamedTuple):
    """The newest index that a device has seen: its version, and SHA-256 of the object."""

    version: int
    digest: bytes


# -- sealing


class Sealed(NamedTuple):
    """An object as it leaves, and what the index says of it."""

    entry: Entry
    data: bytes


def _aad(account: bytes, name: bytes) -> bytes:
    # An object of another account, or under another name, is another object.
    return framed(_LABEL) + framed(account) + framed(name)


def seal_chunk(account: bytes, place: Place, messages: Sequence[Message], random: Random) -> Sealed:
    """Return a chunk, sealed under a key and a name that nothing else has.

    messages: of that place, none of them deleted.
    """
    records = tuple(sorted(map(_recorded, messages), key=lambda one: one.seq))
    name, key = random(NAME_BYTES), random(KEY_BYTES)
    plain = padded(_CHUNKS.write(_Chunk(*place, records)))
    data = AES_256_GCM.seal(key, _ONCE, _aad(account, name), plain)
    entry = Entry(name, key, sha256(data).digest(), *place, len(records))
    return Sealed(entry, data)


def open_chunk(account: bytes, entry: Entry, data: bytes) -> tuple[Message, ...]:
    """Return the messages of a chunk, in order.

    Raises DecryptionError for another object than the index names, MalformedError for what no device
    of ours has made.
    """
    if sha256(data).digest() != entry.digest:
        raise DecryptionError("the server gives another object than the backup's index names")
    plain = AES_256_GCM.open(entry.key, _ONCE, _aad(account, entry.name), data)
    chunk: _Chunk = decode(_CHUNKS, unpadded(plain))
    if Place(chunk.room, chunk.day, chunk.part) != entry.place:
        raise MalformedError("a chunk of a backup is of another place")
    messages = tuple(map(_read, chunk.records))
    if len(messages) != entry.count or any(
        place_of(chunk.room, message) != entry.place for message in messages
    ):
        raise MalformedError("a chunk of a backup has what does not belong there")
    seqs = [message.said.seq for message in messages]
    if seqs != sorted(set(seqs)):
        raise MalformedError("a chunk of a backup is not in order")
    return messages


def _index_key(key: SecretBytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, _INDEX_KEY).derive(key.reveal())


def seal_index(key: SecretBytes, account: bytes, index: Index, random: Random) -> bytes:
    """Return an index as it leaves; key: :func:`lairchat.trust.root.backup_key`."""
    pins = tuple(_Pin(one.name.encode(), one.account, one.sureness) for one in index.pins)
    plain = _INDEXES.write(_Index(index.version, index.off, index.entries, index.rooms, pins))
    nonce = random(NONCE_BYTES)
    sealed = AES_256_GCM.seal(_index_key(key), nonce, _aad(account, INDEX), padded(plain))
    return nonce + sealed


def open_index(key: SecretBytes, account: bytes, data: bytes, seen: Seen | None = None) -> Index:
    """Return the index; seen: the newest one that this device knows of.

    Raises DecryptionError for one that is foreign or was tampered with, MalformedError for one that no
    device of ours has made, OldBackupError for one from before, and for another of the same version.
    """
    nonce, sealed = data[:NONCE_BYTES], data[NONCE_BYTES:]
    plain = AES_256_GCM.open(_index_key(key), nonce, _aad(account, INDEX), sealed)
    found: _Index = decode(_INDEXES, unpadded(plain))
    index = _checked(found)
    if seen is not None and (
        index.version < seen.version
        or (index.version == seen.version and sha256(data).digest() != seen.digest)
    ):
        raise OldBackupError(
            f"the backup is version {index.version}, and this device has seen {seen.version}"
        )
    return index


def _checked(found: _Index) -> Index:
    try:
        pins = tuple(
            Pin(one.name.decode(), one.account, Sureness(one.sureness)) for one in found.pins
        )
        for one in found.rooms:
            if (
                len(one.name.decode()) > limits.ROOM_NAME_CHARS_MAX
                or len(one.topic.decode()) > limits.TOPIC_CHARS
            ):
                raise MalformedError("a backup names a room as none is called")
    except ValueError as error:
        raise MalformedError("a name of a backup is none") from error
    if found.off > 1 or (found.off and found.entries):
        raise MalformedError("a backup is there or not")
    places = [entry.place for entry in found.entries]
    if len(set(places)) != len(places) or len(places) > limits.KEEPSAKES:
        raise MalformedError("a backup has a place twice, or too many")
    if len({entry.name for entry in found.entries} | {INDEX}) != len(places) + 1:
        raise MalformedError("two chunks of a backup have one name")
    numbers = [number for place in places for number in place]
    if max([found.version, *numbers, *(one.room for one in found.rooms)]) > limits.INTEGER_MAX:
        raise MalformedError("a number of a backup is none of ours")
    return Index(found.version, bool(found.off), found.entries, found.rooms, pins)
