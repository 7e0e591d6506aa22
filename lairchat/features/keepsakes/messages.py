"""Sealed objects of an account on the wire: brought, read and dropped by its certified devices.

What is larger than a third of a frame goes ahead as a blob (``blob.begin``, ``blob.put``) and is named
in the command.
"""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Bytes32, Int63

Inline = Annotated[bytes, Meta(max_length=limits.FRAME_BYTES // 3)]
Names = Annotated[list[Bytes16], Meta(min_length=1, max_length=limits.KEEPSAKES_AT_ONCE)]


class PutKeepsake(Request, frozen=True):
    """Keep an object under a name.

    replaces: SHA-256 of what is there now, without it nothing: of two devices that change one object
        at once the second is refused, and looks again.
    data: the object, or blob: where it has been put.
    """

    name: Bytes16
    data: Inline = b""
    blob: Bytes16 | None = None
    replaces: Bytes32 | None = None


class GetKeepsake(Request, frozen=True):
    """Read a part of an object."""

    name: Bytes16
    offset: Int63 = 0
    length: Annotated[int, Meta(ge=1, le=limits.BLOB_CHUNK_BYTES)] = limits.BLOB_CHUNK_BYTES


class ListKeepsakes(Request, frozen=True):
    """List the objects of one's account, by name; ``after``: from behind this one on."""

    after: Bytes16 | None = None


class DropKeepsakes(Request, frozen=True):
    """Delete objects; those that are not there are passed over."""

    names: Names


class KeepsakePart(Reply, frozen=True):
    """A part of an object that is ``total`` bytes long; digest: SHA-256 of the whole."""

    offset: Int63
    total: Int63
    digest: bytes
    data: bytes


class KeepsakeInfo(Reply, frozen=True):
    """One object.  age: how long it has been as it is, seconds."""

    name: bytes
    digest: bytes
    size: Int63
    age: Int63


class KeepsakeList(Reply, frozen=True):
    """A page of objects; ``more``: there are others behind the last one."""

    objects: list[KeepsakeInfo]
    more: bool
    used: Int63
    quota: Int63


PUT = Command(
    name="backup.put",
    request=PutKeepsake,
    reply=Nothing,
    doc="Keeps a sealed object for the devices of one's account.",
    errors=(
        refusals.DeviceUnproven,
        refusals.KeepsakeStale,
        refusals.KeepsakesFull,
        refusals.BlobUnknown,
        refusals.BlobSize,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=5,
)
GET = Command(
    name="backup.get",
    request=GetKeepsake,
    reply=KeepsakePart,
    doc="Reads a part of a sealed object.",
    errors=(refusals.DeviceUnproven, refusals.KeepsakeUnknown, refusals.BlobOffset),
)
LIST = Command(
    name="backup.list",
    request=ListKeepsakes,
    reply=KeepsakeList,
    doc="Lists the sealed objects of one's account.",
    errors=(refusals.DeviceUnproven,),
)
DROP = Command(
    name="backup.drop",
    request=DropKeepsakes,
    reply=Nothing,
    doc="Deletes sealed objects of one's account.",
    errors=(refusals.DeviceUnproven,),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
)

COMMANDS = (PUT, GET, LIST, DROP)
