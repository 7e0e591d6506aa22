"""Chunked transfer: things larger than a frame, piece by piece inside ordinary commands.

Promises not to know: where chunks are kept, which commands carry them.

The receiving side announces how far it is, so that a transfer that was cut off goes on from there;
the owner stores each chunk, and after a restart the state is made anew from what is stored.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from lairchat.model import limits
from lairchat.model.refusals import BlobDigest, BlobOffset, BlobQuota, BlobSize
from lairchat.wire.errors import MisuseError

_DIGEST_BYTES = 32


class Incoming:
    """A blob that arrives: where it stands, and whether it may go on.

    total: bytes in all.  digest: SHA-256 of the whole, 32 bytes.
    offset: how many bytes have arrived; the next chunk starts there.
    """

    __slots__ = ("_sha256", "digest", "offset", "total")

    def __init__(self, total: int, digest: bytes) -> None:
        if total < 0 or len(digest) != _DIGEST_BYTES:
            raise MisuseError(f"{total} bytes with a digest of {len(digest)} bytes")
        if total > limits.BLOB_BYTES:
            raise BlobSize(field="$.total", size=total, limit=limits.BLOB_BYTES)
        self.total = total
        self.digest = digest
        self.offset = 0
        self._sha256 = sha256()

    @classmethod
    def begin(
        cls, total: int, digest: bytes, *, left: int, quota: int = limits.BLOB_QUOTA_BYTES
    ) -> "Incoming":
        """Admit a new blob, or refuse it with BlobSize or BlobQuota.

        left: bytes that the account may still keep, those of this blob included.
        quota: bytes that it may keep in all, for the sentence.
        """
        incoming = cls(total, digest)
        # Charged before the first byte: otherwise many half blobs would be free.
        if total > left:
            raise BlobQuota(field="$.total", left=max(left, 0), limit=quota)
        return incoming

    @classmethod
    def resume(cls, total: int, digest: bytes, stored: Iterable[bytes]) -> "Incoming":
        """Make the state anew from the chunks that are stored, in their order."""
        incoming = cls(total, digest)
        for chunk in stored:
            incoming._take(chunk)
        if incoming.offset > total:
            raise MisuseError(f"{incoming.offset} bytes are stored of {total}")
        return incoming

    @property
    def complete(self) -> bool:
        """Whether every byte has arrived, right or wrong."""
        return self.offset == self.total

    def check(self, offset: int, size: int) -> None:
        """Refuse a chunk that does not continue this blob, before anything is changed.

        BlobOffset: it starts elsewhere; the refusal names where to go on, which is also how a
        sender learns that a chunk had arrived although its answer was lost.
        BlobSize: the chunk is too large, or reaches beyond the total.
        """
        if offset != self.offset:
            raise BlobOffset(field="$.offset", expected=self.offset, offset=offset)
        if size > limits.BLOB_CHUNK_BYTES:
            raise BlobSize(field="$.data", size=size, limit=limits.BLOB_CHUNK_BYTES)
        if offset + size > self.total:
            raise BlobSize(field="$.data", size=offset + size, limit=self.total)

    def put(self, offset: int, data: bytes) -> int:
        """Take the next chunk, and return where the one after it starts; refuses as ``check``.

        Where storing can fail: ``check`` first, store, then ``put``, so that this never counts
        what is not stored.
        """
        self.check(offset, len(data))
        self._take(data)
        return self.offset

    def finish(self) -> None:
        """Confirm that all has arrived and is what was announced.

        BlobOffset: bytes are missing.
        BlobDigest: they are others than announced; what is stored is worthless, and the transfer
        stands at its start again.
        """
        if not self.complete:
            raise BlobOffset(expected=self.offset, offset=self.total)
        if self._sha256.digest() != self.digest:
            self.offset = 0
            self._sha256 = sha256()
            raise BlobDigest

    def _take(self, data: bytes) -> None:
        self._sha256.update(data)
        self.offset += len(data)


class Outgoing:
    """A blob that leaves, cut into chunks that fit a frame.

    total: bytes in all.  digest: SHA-256 of the whole, 32 bytes.
    read: returns so many bytes from an offset, ``read(offset, size)``.
    """

    __slots__ = ("_read", "digest", "total")

    def __init__(self, total: int, digest: bytes, read: Callable[[int, int], bytes]) -> None:
        self.total = total
        self.digest = digest
        self._read = read

    @classmethod
    def of(cls, data: bytes) -> "Outgoing":
        """Send what is in memory."""
        return cls(len(data), sha256(data).digest(), lambda at, size: data[at : at + size])

    def chunk(self, offset: int, size: int = limits.BLOB_CHUNK_BYTES) -> bytes:
        """Return the bytes from an offset: as many as asked for, as fit a chunk, as are left.

        BlobOffset if the other end wants to go on behind the end.
        """
        if not 0 <= offset <= self.total:
            raise BlobOffset(field="$.offset", expected=self.total, offset=offset)
        size = min(size, limits.BLOB_CHUNK_BYTES, self.total - offset)
        data = self._read(offset, size) if size else b""
        if len(data) != size:
            raise MisuseError(f"the source gave {len(data)} bytes at {offset}, not {size}")
        return data

    def chunks(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Go through the chunks from where the receiver stands, each with its offset."""
        while data := self.chunk(offset):
            yield offset, data
            offset += len(data)
