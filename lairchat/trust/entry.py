"""The entries of an account log: what they say, and how they are signed.

The first, the genesis, says which name on which server an account is, and by which root it is known;
its hash is the account id.
Each later one names the entry before it by hash, so that whoever has seen one has seen all before it.
An entry is the certificate of what it says; times are the signer's claims.

Promises not to know: which entries may follow which (:mod:`lairchat.trust.log`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from lairchat.mls.codec import (
    OPAQUE,
    U8,
    U16,
    U32,
    U64,
    Choice,
    Fixed,
    Reader,
    Struct,
    opaque,
)
from lairchat.mls.errors import MalformedError, MisuseError
from lairchat.model import limits
from lairchat.trust.root import RootKey
from lairchat.trust.signing import HASH_BYTES, KEY_BYTES, digest

DEVICE_ID_BYTES: Final = 16
"""bytes: a device id, random, never used again in one account."""
BY_ROOT: Final = 0
"""The place that stands for the root as signer and as what nobody can revoke: the genesis."""

GENESIS_LABEL: Final = b"lairchat account genesis v1"
ENTRY_LABEL: Final = b"lairchat account entry v1"
_ENTRY_HASH_LABEL = b"lairchat account entry hash v1"


class Text:
    """A vector of UTF-8, read as a string."""

    def read(self, reader: Reader) -> str:
        """Return the string at the reader's place; raise MalformedError if it is no UTF-8."""
        try:
            return reader.opaque().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("this text is no UTF-8") from error

    def write(self, value: str) -> bytes:
        """Return the encoding; raise MisuseError for what is in no UTF-8."""
        try:
            return opaque(value.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise MisuseError("this text cannot be written in UTF-8") from error


class Entries:
    """A vector of signed entries, no more than a log can have: junk is not read to its end."""

    def read(self, reader: Reader) -> tuple["SignedEntry", ...]:
        """Return the entries at the reader's place; raise MalformedError."""
        inner = Reader(reader.opaque())
        found: list[SignedEntry] = []
        while inner.remaining:
            if len(found) == limits.LOG_ENTRIES:
                raise MalformedError("there are more entries than a log can have")
            found.append(SignedEntry.read(inner))
        return tuple(found)

    def write(self, value: Iterable["SignedEntry"]) -> bytes:
        """Return the encoding."""
        return opaque(b"".join([signed.encode() for signed in value]))


class Reason(IntEnum):
    """Why something is revoked."""

    LEFT = 1
    """Signed out, given away, replaced: nobody else has its keys."""
    LOST = 2
    """Lost or stolen: somebody else may have its keys."""


@dataclass(frozen=True, slots=True)
class Genesis(Struct):
    """The first entry.

    server: the SHA-256 of the server's identity key, 32 bytes: a log says nothing on another server.
    name: the account's name in lower case, which the server cannot give to somebody else's log.
    root: the keys that alone can speak for the account.

    Nothing in it is random or a time, so that whoever has the words knows the account id.
    """

    LAYOUT = (Fixed(HASH_BYTES), Text(), RootKey)
    server: bytes
    name: str
    root: RootKey

    @property
    def account(self) -> bytes:
        """The account id, 32 bytes: it pins server, name and both keys of the root."""
        return digest(GENESIS_LABEL, self.encode())


@dataclass(frozen=True, slots=True)
class Signer(Struct):
    """A device-signing key begins: it may certify devices and revoke them.

    key: Ed25519, 32 bytes.
    holder: the id of the device that keeps it; when that is lost, so is this key.
    """

    TYPE: ClassVar[int] = 1
    LAYOUT = (Fixed(KEY_BYTES), Fixed(DEVICE_ID_BYTES))
    key: bytes
    holder: bytes


@dataclass(frozen=True, slots=True)
class Device(Struct):
    """A device begins: a leaf with this signature key is the account's.

    id: 16 random bytes.
    key: its MLS signature key, Ed25519, 32 bytes.
    name: "laptop at home"; to be shown through ``display_safe`` only.
    """

    TYPE: ClassVar[int] = 2
    LAYOUT = (Fixed(DEVICE_ID_BYTES), Fixed(KEY_BYTES), Text())
    id: bytes
    key: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Revocation(Struct):
    """A device or device-signing key ends, for good.

    target: the place of the entry that it began with.
    reason: a :class:`Reason`.
    """

    TYPE: ClassVar[int] = 3
    LAYOUT = (U32, U8)
    target: int
    reason: int


Body = Signer | Device | Revocation


@dataclass(frozen=True, slots=True)
class Entry(Struct):
    """What is signed.

    account: the account id, so that no signature counts in another account's log.
    position: 1 for the first after the genesis, and so on.
    previous: the hash of the entry before, or the account id.
    time: milliseconds since 1970, as the signer's clock had it.
    signer: the place of the device-signing key that signs, or 0 for the root.
    """

    LAYOUT = (
        Fixed(HASH_BYTES),
        U32,
        Fixed(HASH_BYTES),
        U64,
        U32,
        Choice("kind of log entry", U8, (Signer, Device, Revocation)),
    )
    account: bytes
    position: int
    previous: bytes
    time: int
    signer: int
    body: Body


@dataclass(frozen=True, slots=True)
class SignedGenesis(Struct):
    """A genesis with the root's signature; the tag in front is the version of the log."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (Genesis, OPAQUE)
    content: Genesis
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedEntry(Struct):
    """An entry with its signature: the root's of both algorithms, or a device-signing key's."""

    LAYOUT = (Entry, OPAQUE)
    content: Entry
    signature: bytes = field(repr=False)

    @property
    def hash(self) -> bytes:
        """What the next entry names; it covers the signature, so that a head pins every byte."""
        return digest(_ENTRY_HASH_LABEL, self.encode())


@dataclass(frozen=True, slots=True)
class StoredLog(Struct):
    """A whole log as it is kept and sent."""

    LAYOUT = (Choice("version of account logs", U16, (SignedGenesis,)), Entries())
    genesis: SignedGenesis
    entries: tuple[SignedEntry, ...]


@dataclass(frozen=True, slots=True)
class Head(Struct):
    """A place in a log and the hash of the entry there: what each sealed message carries."""

    LAYOUT = (U32, Fixed(HASH_BYTES))
    position: int
    hash: bytes


ENTRIES: Final = Entries()
"""Entries that follow those somebody has."""
