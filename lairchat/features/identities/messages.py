"""Account logs on the wire: published, grown and read; and which device a session is."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Bytes32, Bytes64, Int63

NameText = Annotated[str, Meta(max_length=128)]
Part = Annotated[bytes, Meta(min_length=1, max_length=limits.LOG_PART_BYTES)]
Place = Annotated[int, Meta(ge=0, le=limits.LOG_ENTRIES)]


class PublishLog(Request, frozen=True):
    """Begin the account's log: the first one, or another because the recovery words are lost.

    log: the genesis and the first entries, as account logs are encoded.
    """

    log: Part


class AppendEntries(Request, frozen=True):
    """Append to the account's log.

    after: the last place that the caller knows; if there are more, nothing is appended.
    entries: the signed entries that follow, as a vector.
    """

    after: Place
    entries: Part


class ReadLog(Request, frozen=True):
    """Read the log of an account, by its id, or by the name of a user the one that it goes by now.

    after: only what follows this place; null: from the beginning.
    """

    name: NameText | None = None
    account: Bytes32 | None = None
    after: Place | None = None


class ProveDevice(Request, frozen=True):
    """Prove to be a certified device of the account, for this session.

    device: its id in the account's log.
    signature: by its MLS signature key, over the server's identity and the numbers of this session.
    """

    device: Bytes16
    signature: Bytes64


class LogHead(Reply, frozen=True):
    """Where a log ends: the place of the last entry, and its hash.

    account: its id, the hash of the genesis.
    """

    account: bytes
    position: Int63
    hash: bytes


class LogPart(Reply, frozen=True):
    """A part of a log.

    user, name: whose it is.  current: whether the user goes by it; an older one grows no more.
    position, hash: where it ends.
    data: from the beginning on a log as account logs are encoded, else a vector of signed entries.
    more: whether entries follow that did not fit.
    """

    user: Int63
    name: str
    account: bytes
    current: bool
    position: Int63
    hash: bytes
    data: bytes
    more: bool = False


class IdentityChanged(Reply, frozen=True):
    """An account's log has grown, or the user goes by another one.

    Told to the user's other devices, and in rooms that are small enough to be encrypted.
    """

    user: Int63
    name: str
    account: bytes
    position: Int63
    hash: bytes


PUBLISH = Command(
    name="identity.publish",
    request=PublishLog,
    reply=LogHead,
    doc="Begins the account's log; publishing the same again is harmless.",
    errors=(
        refusals.IdentityBad,
        refusals.IdentitySoon,
        refusals.IdentitiesMax,
        refusals.LogStale,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=20,
)
APPEND = Command(
    name="identity.append",
    request=AppendEntries,
    reply=LogHead,
    doc="Appends to the account's log; devices that it revokes are logged out.",
    errors=(refusals.IdentityUnknown, refusals.IdentityBad, refusals.LogStale),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=5,
)
READ = Command(
    name="identity.read",
    request=ReadLog,
    reply=LogPart,
    doc="Reads the log of an account.",
    errors=(refusals.UserUnknown, refusals.IdentityUnknown),
)
PROVE = Command(
    name="device.prove",
    request=ProveDevice,
    reply=Nothing,
    doc="Proves which certified device of the account this session is.",
    errors=(
        refusals.IdentityUnknown,
        refusals.DeviceGone,
        refusals.DeviceProof,
        refusals.AuthToken,
    ),
    overlap=Overlap.WRITE,
    cost=2,
)
IDENTITY_CHANGED = EventType(
    name="identity.changed", body=IdentityChanged, doc="An account's log is another than before."
)

COMMANDS = (PUBLISH, APPEND, READ, PROVE)
EVENTS = (IDENTITY_CHANGED,)
