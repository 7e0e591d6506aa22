"""Chunked transfer on the wire: things larger than a frame, by id, offset, total and digest."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.wire.contract import Command, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Bytes32, Int63

Chunk = Annotated[bytes, Meta(min_length=1, max_length=limits.BLOB_CHUNK_BYTES)]
Total = Annotated[int, Meta(ge=1, le=limits.BLOB_BYTES)]


class Begin(Request, frozen=True):
    """Announce a blob, or ask where to go on with one that was cut off.

    blob: 16 random bytes that the client chose.  total: bytes.  digest: SHA-256 of the whole.
    """

    blob: Bytes16
    total: Total
    digest: Bytes32


class Progress(Reply, frozen=True):
    """How many bytes the server has on disk; the next chunk starts there."""

    offset: Int63
    complete: bool = False


class Put(Request, frozen=True):
    """Append a chunk at ``offset``; the last one completes the blob if the digest fits."""

    blob: Bytes16
    offset: Int63
    data: Chunk


class Get(Request, frozen=True):
    """Read up to ``length`` bytes of a complete blob."""

    blob: Bytes16
    offset: Int63 = 0
    length: Annotated[int, Meta(ge=1, le=limits.BLOB_CHUNK_BYTES)] = limits.BLOB_CHUNK_BYTES


class Piece(Reply, frozen=True):
    """Part of a blob."""

    offset: Int63
    total: Int63
    digest: bytes
    data: bytes


class Drop(Request, frozen=True):
    """Delete a blob of one's own and give its quota back."""

    blob: Bytes16


class Usage(Request, frozen=True):
    """Ask how much of one's quota is used."""


class UsageInfo(Reply, frozen=True):
    """Bytes used (blobs complete and under way) of the quota."""

    used: Int63
    quota: Int63


BEGIN = Command(
    name="blob.begin",
    request=Begin,
    reply=Progress,
    doc="Announces a blob, or asks where to go on.",
    errors=(refusals.BlobQuota, refusals.BlobSize, refusals.BlobUnknown),
    overlap=Overlap.WRITE,
)
PUT = Command(
    name="blob.put",
    request=Put,
    reply=Progress,
    doc="Appends a chunk to a blob; answered once it is on disk.",
    errors=(refusals.BlobUnknown, refusals.BlobOffset, refusals.BlobSize, refusals.BlobDigest),
    overlap=Overlap.WRITE,
)
GET = Command(
    name="blob.get",
    request=Get,
    reply=Piece,
    doc="Reads a part of a blob.",
    errors=(refusals.BlobUnknown, refusals.BlobOffset),
)
DROP = Command(
    name="blob.drop",
    request=Drop,
    reply=Nothing,
    doc="Deletes a blob of one's own.",
    errors=(refusals.BlobUnknown,),
    overlap=Overlap.WRITE,
)
USAGE = Command(
    name="blob.usage",
    request=Usage,
    reply=UsageInfo,
    doc="Tells how much of the quota is used.",
)

COMMANDS = (BEGIN, PUT, GET, DROP, USAGE)
