"""What stands in a room's log, and what following it comes to: an event goes in, a happening comes out.

Promises not to know: how an event is judged (:mod:`lairchat.e2ee.room`).
"""

from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from lairchat.e2ee.fold import Said
from lairchat.e2ee.following import Finding
from lairchat.e2ee.payload import Payload
from lairchat.mls.group import Group
from lairchat.model import limits
from lairchat.trust.structure import Change
from lairchat.wire import codec
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import Bytes32


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the room's log, as the server gives it.

    sender: the server's number of who sent it.  body: None once it is purged; digest: its SHA-256,
    which the log keeps.  content: the whole commit, where the body only names it (``Large``).
    """

    seq: int
    kind: int
    sender: int
    body: bytes | None = field(repr=False)
    digest: bytes
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, seq: int, kind: int, sender: int, body: bytes, content: bytes | None = None
    ) -> "Event":
        """Return an event with the digest of its body."""
        return cls(seq, kind, sender, body, sha256(body).digest(), content)


class Large(
    msgspec.Struct,
    tag="large",
    tag_field="type",
    frozen=True,
    forbid_unknown_fields=True,
):
    """What stands in the log where a commit does not fit: msgpack of this map.

    total: its bytes.  digest: their SHA-256.  The server writes it; both write it alike.
    """

    # A server may name as much as it likes; nobody fetches more than the largest commit there is.
    total: Annotated[int, Meta(ge=1, le=limits.COMMIT_BYTES)]
    digest: Bytes32

    @classmethod
    def of(cls, commit: bytes) -> "Large":
        """Return what names a commit."""
        return cls(total=len(commit), digest=sha256(commit).digest())

    @classmethod
    def read(cls, body: bytes) -> "Large | None":
        """Return what a body names; None if it is something else, such as the commit itself."""
        try:
            return codec.decode_body(cls, body)
        except ProtocolError:
            return None

    def encode(self) -> bytes:
        """Return the body of the event."""
        return codec.encode_body(self)

    def is_of(self, commit: bytes) -> bool:
        """Tell whether this names a commit."""
        return len(commit) == self.total and sha256(commit).digest() == self.digest


class BodyNeededError(Exception):
    """The whole commit has to be fetched first: the event only names it, or what came is another.

    seq: its place; total: its bytes; digest: their SHA-256.
    """

    def __init__(self, seq: int, total: int, digest: bytes) -> None:
        super().__init__(f"the commit of {total} bytes at place {seq} is needed")
        self.seq = seq
        self.total = total
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Opened:
    """A message was opened.

    finding: what it says about the room's log that is wrong, if anything.
    claim: how what its author says of the own account's log stands to what is known here.
    proof: what its author has signed, with the signature (AuthenticatedContent of RFC 9420).
    """

    said: Said
    payload: Payload = field(repr=False)
    finding: Finding | None
    claim: "Claim"
    proof: bytes = field(default=b"", repr=False)


class Claim(Enum):
    """What a message says of its author's account log, against the log that the server gives."""

    KNOWN = "known"
    WITHHELD = "withheld"
    """The server does not give entries that the author speaks of: a revocation may be hidden."""
    FORKED = "forked"
    """The author has another log than is shown here."""


@dataclass(frozen=True, slots=True)
class Own:
    """A message or commit that this device had sent stands in the log."""

    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """A commit was followed; lost: this device's own one, which it has to make anew."""

    change: Change
    lost: "Pending | None" = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A proposal stands: somebody has to commit before anything is sent."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that says nothing to this device, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Halted:
    """A commit was refused: the room is held, and stays held."""

    why: str


@dataclass(frozen=True, slots=True)
class Behind:
    """This device cannot follow any more, though nobody did wrong: it enters again by itself."""

    why: str


@dataclass(frozen=True, slots=True)
class Out:
    """This device is not in the room any more."""

    change: Change


@dataclass(frozen=True, slots=True)
class Passed:
    """An event that carries nothing: purged, or a statement of the server."""


Happening = Opened | Own | Advanced | Noted | Unreadable | Halted | Behind | Out | Passed


@dataclass(frozen=True, slots=True, repr=False)
class Pending:
    """A commit of this device's that has been sent and may yet lose.

    digest: SHA-256 of the message.
    info: the group information of the epoch that it begins, as an MLSMessage, for those who join by
    themselves.
    """

    message: bytes
    digest: bytes
    welcome: bytes | None
    info: bytes
    group: Group
    change: Change

    def stands_in(self, event: Event) -> bool:
        """Tell whether an event is this commit, even if its body is purged or only names it."""
        named = Large(total=len(self.message), digest=self.digest)
        return event.digest in (self.digest, sha256(named.encode()).digest())
