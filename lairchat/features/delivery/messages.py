"""Encrypted rooms on the wire: founding a group, changing it, reading its public part.

What the commands carry is MLS (RFC 9420): each message, welcome and group information is an
MLSMessage.  What is larger than a frame goes ahead as a blob (``blob.begin``, ``blob.put``) and is
named; what comes back in pieces is whole when its digest fits.
Only a session that has proven to be a certified device (``device.prove``) may use them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Int63, Seconds

RoomRef = Int63
Info = Annotated[bytes, Meta(min_length=1, max_length=limits.GROUP_INFO_BYTES)]
Proposal = Annotated[bytes, Meta(min_length=1, max_length=limits.PROPOSAL_BYTES)]
Inline = Annotated[bytes, Meta(max_length=limits.EVENT_BYTES)]
Length = Annotated[int, Meta(ge=1, le=limits.BLOB_CHUNK_BYTES)]
Proof = Annotated[bytes, Meta(min_length=1, max_length=limits.CODE_PROOF_BYTES)]
Passing = Annotated[bytes, Meta(min_length=1, max_length=limits.EPHEMERAL_BYTES)]


class Large(
    msgspec.Struct,
    tag="large",
    tag_field="type",
    frozen=True,
    forbid_unknown_fields=True,
):
    """The body of a commit event where the commit does not fit one: msgpack of this map.

    total: its bytes.  digest: their SHA-256.  It is read with ``group.commit_body``.
    """

    total: Int63
    digest: bytes


class FoundGroup(Request, frozen=True):
    """Found the group of an encrypted room: epoch 0, with the caller's device alone in it.

    info: the group information.  tree: the ratchet tree.
    """

    room: RoomRef
    info: Info
    tree: Proposal


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What those devices of a user that a commit adds get into their inboxes, after the welcome.

    body: the proof for somebody who came with a code; opaque to the server.
    """

    user: Int63
    body: Proof


class CommitGroup(Request, frozen=True):
    """Begin the room's next epoch.

    message: the commit, or blob: where it has been put.  info: the group information of the new
    epoch, with what lets devices join by themselves and without the tree.
    welcome: for all whom the commit adds, or welcome_blob: where it has been put.
    admissions: for those of them who came with a code, one for each user.
    """

    room: RoomRef
    info: Info
    message: Inline = b""
    blob: Bytes16 | None = None
    welcome: Inline = b""
    welcome_blob: Bytes16 | None = None
    admissions: Annotated[list[Admission], Meta(max_length=limits.ADMISSIONS_AT_ONCE)] = []


class Committed(Reply, frozen=True):
    """Where the commit stands in the room's log, and the epoch that it began."""

    seq: Int63
    epoch: Int63


class ProposeChange(Request, frozen=True):
    """Propose a change to the group, which the next commit takes up."""

    room: RoomRef
    message: Proposal


class Proposed(Reply, frozen=True):
    """Where the proposal stands in the room's log."""

    seq: Int63


class AskGroup(Request, frozen=True):
    """Ask about the group of an encrypted room."""

    room: RoomRef


class GroupState(Reply, frozen=True):
    """Where a group stands.

    seq: the event that began the epoch; its proposals stand behind it.  devices: how many leaves.
    proposals: how many wait, removals: for how many the next commit is refused without them.
    """

    group: bytes
    epoch: Int63
    tree_hash: bytes
    seq: Int63
    devices: Int63
    proposals: Int63
    removals: Int63


class GroupInformation(Reply, frozen=True):
    """What the last committer states of the epoch; a device joins by it."""

    epoch: Int63
    info: bytes


class AskEpoch(Request, frozen=True):
    """Ask where an epoch began, of those that the group has had."""

    room: RoomRef
    epoch: Int63


class EpochBegun(Reply, frozen=True):
    """The event that began an epoch, and the hash of the log's chain at it.

    Of epoch 0 it is the last event before the group was founded, as ``Committed`` said.
    """

    seq: Int63
    hash: bytes


class AskTree(Request, frozen=True):
    """Read a part of the ratchet tree that the group has, or had, in an epoch."""

    room: RoomRef
    epoch: Int63
    offset: Int63 = 0
    length: Length = limits.BLOB_CHUNK_BYTES


class AskCommit(Request, frozen=True):
    """Read a part of a commit that is too large for its event."""

    room: RoomRef
    seq: Int63
    offset: Int63 = 0
    length: Length = limits.BLOB_CHUNK_BYTES


class Part(Reply, frozen=True):
    """A part of something that is ``total`` bytes long."""

    offset: Int63
    total: Int63
    data: bytes


class Lease(Reply, frozen=True):
    """The caller's device is the one to commit, for so long."""

    seconds: Seconds


class SendEphemeral(Request, frozen=True):
    """Pass something on to those in the room who are connected; it is kept nowhere."""

    room: RoomRef
    body: Passing


class Ephemeral(Reply, frozen=True):
    """Something that is kept nowhere, typing for instance; user: by whose account it came."""

    room: Int63
    user: Int63
    body: bytes


class DeleteMessage(Request, frozen=True):
    """Take the body from an earlier message of the room's log, and say so in the log."""

    room: RoomRef
    seq: Int63


class Hinted(Reply, frozen=True):
    """Where the hint that the message is deleted stands in the room's log."""

    seq: Int63


_ASKING = (refusals.RoomUnknown, refusals.NotMember, refusals.RoomPlain, refusals.GroupMissing)
_CHANGING = (
    *_ASKING,
    refusals.RoomArchived,
    refusals.RoomFollowed,
    refusals.DeviceUnproven,
    refusals.EpochStale,
    refusals.GroupRefused,
    refusals.GroupLog,
)
_SPEAKING = (
    *_ASKING,
    refusals.RoomArchived,
    refusals.DeviceUnproven,
    refusals.GroupRefused,
)

FOUND = Command(
    name="group.found",
    request=FoundGroup,
    reply=Committed,
    doc="Founds the group of an encrypted room; of two who do it at once one is refused.",
    errors=(
        refusals.RoomUnknown,
        refusals.NotMember,
        refusals.RoomPlain,
        refusals.RoomArchived,
        refusals.RoomFollowed,
        refusals.DeviceUnproven,
        refusals.GroupExists,
        refusals.GroupRefused,
        refusals.GroupLog,
    ),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=5,
)
COMMIT = Command(
    name="group.commit",
    request=CommitGroup,
    reply=Committed,
    doc="Begins the next epoch of an encrypted room; of two who do it at once one is refused.",
    errors=(
        *_CHANGING,
        refusals.GroupRemoves,
        refusals.GroupBlob,
        refusals.GroupUninvited,
        refusals.RoomsMax,
        refusals.InboxFull,
    ),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=10,
)
PROPOSE = Command(
    name="group.propose",
    request=ProposeChange,
    reply=Proposed,
    doc="Proposes a change to the group of an encrypted room.",
    errors=(*_CHANGING, refusals.GroupProposals),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=2,
)
STATE = Command(
    name="group.state",
    request=AskGroup,
    reply=GroupState,
    doc="Tells where the group of an encrypted room stands.",
    errors=(*_ASKING, refusals.DeviceUnproven),
    on="room",
)
INFO = Command(
    name="group.info",
    request=AskGroup,
    reply=GroupInformation,
    doc="Gives what a member's own device joins an encrypted room by.",
    errors=(*_ASKING, refusals.DeviceUnproven),
    on="room",
)
BEGUN = Command(
    name="group.begun",
    request=AskEpoch,
    reply=EpochBegun,
    doc="Tells where in the room's log an epoch began; a joiner follows the log from there.",
    errors=(*_ASKING, refusals.DeviceUnproven, refusals.GroupTree),
    on="room",
)
TREE = Command(
    name="group.tree",
    request=AskTree,
    reply=Part,
    doc="Reads a part of the ratchet tree of an encrypted room.",
    errors=(*_ASKING, refusals.DeviceUnproven, refusals.GroupTree, refusals.BlobOffset),
    on="room",
)
COMMIT_BODY = Command(
    name="group.commit_body",
    request=AskCommit,
    reply=Part,
    doc="Reads a part of a commit that is too large for its event.",
    errors=(*_ASKING, refusals.DeviceUnproven, refusals.BlobUnknown, refusals.BlobOffset),
    on="room",
)
LEASE = Command(
    name="group.lease",
    request=AskGroup,
    reply=Lease,
    doc="Asks to be the one device that commits next; others wait for it a moment.",
    errors=(*_ASKING, refusals.DeviceUnproven, refusals.GroupLease),
    on="room",
)
LEAVE = Command(
    name="group.leave",
    request=AskGroup,
    reply=Nothing,
    doc="Leaves an encrypted room: the caller's devices are removed by the next commit.",
    errors=(
        refusals.RoomUnknown,
        refusals.NotMember,
        refusals.RoomPlain,
        refusals.RoomDirect,
        refusals.DeviceUnproven,
        refusals.LastAdministrator,
    ),
    overlap=Overlap.WRITE,
    on="room",
)

EPHEMERAL = Command(
    name="group.ephemeral",
    request=SendEphemeral,
    reply=Nothing,
    doc="Passes something on to those in an encrypted room who are connected, and keeps nothing.",
    errors=(*_SPEAKING, refusals.RoomFollowed, refusals.RateLimited),
    on="room",
)
TOMBSTONE = Command(
    name="group.tombstone",
    request=DeleteMessage,
    reply=Hinted,
    doc="Deletes a message of an encrypted room; its place in the log stays.",
    errors=(*_SPEAKING, refusals.MessageGone),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=2,
)
TOLD = EventType(
    name="ephemeral", body=Ephemeral, doc="A member's device passes something on that is not kept."
)

COMMANDS = (
    *(FOUND, COMMIT, PROPOSE, STATE, INFO, BEGUN, TREE, COMMIT_BODY),
    *(LEASE, LEAVE, EPHEMERAL, TOMBSTONE),
)
EVENTS = (TOLD,)
