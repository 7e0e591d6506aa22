"""Answers what transfer.messages declares: blobs that come and go in chunks.

A blob belongs to whoever sent it; for everybody else it does not exist.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.plan import Answer, Done, Read, Write
from lairchat.features.transfer import messages, tables
from lairchat.features.transfer.messages import Piece, Progress, UsageInfo
from lairchat.features.transfer.tables import Blob
from lairchat.model import limits
from lairchat.model.ids import SessionId, UserId
from lairchat.model.refusals import BlobDigest, BlobOffset, BlobUnknown
from lairchat.wire.bulk import Incoming
from lairchat.wire.contract import Nothing

UNFINISHED_SECONDS = 7 * limits.DAY
"""seconds: how long after its announcement a blob may take to arrive."""
DROPPED_PER_UPKEEP = 32
"""count: blobs that one round of upkeep deletes; more would hold up the writer."""
HASHES_KEPT = 256
"""count: blobs under way of which the hash so far is kept in memory, some 300 bytes each."""


def make(*, quota: int = limits.BLOB_QUOTA_BYTES) -> Feature:
    """Return the feature; quota: bytes that one account may keep."""
    transfer = _Transfer(quota)
    return Feature(
        name="transfer",
        needs=("accounts",),
        handlers={
            messages.BEGIN: transfer.begin,
            messages.PUT: transfer.put,
            messages.GET: get,
            messages.DROP: drop,
            messages.USAGE: transfer.usage,
        },
        upkeep=upkeep,
    )


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Delete some blobs that never became complete; say whether more are left."""
    before = now - UNFINISHED_SECONDS * 1000
    stale = tables.stale(connection, before, DROPPED_PER_UPKEEP)
    for row in stale:
        tables.drop(connection, row)
    return len(stale) == DROPPED_PER_UPKEEP


def _known(connection: Connection, owner: UserId, blob: bytes) -> Blob:
    found = tables.find(connection, owner, blob)
    if found is None:
        raise BlobUnknown(field="$.blob")
    return found


class _Transfer:
    """What is arriving.

    The hash of each blob so far is kept beside the database, so that the last chunk does not make
    the writer read all others again; it is made anew from the stored chunks after a restart, and
    whenever it is not where the row is (a transaction was undone).  It is touched by the writer's
    thread alone.
    """

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._arriving: dict[int, Incoming] = {}

    def begin(self, call: Call, request: messages.Begin) -> Write[Progress]:
        """Announce a blob, or find one again; the oldest unfinished one makes room for a fifth."""
        owner = call.session.user

        def change(connection: Connection) -> Done[Progress]:
            blob = tables.find(connection, owner, request.blob)
            if blob is not None:
                if (blob.total, blob.digest) != (request.total, request.digest):
                    raise BlobUnknown(field="$.blob")
                return Done(Progress(offset=blob.received, complete=blob.complete))
            given_up = tables.unfinished(connection, owner)[: 1 - limits.BLOB_PENDING]
            freed = sum(total for _, total in given_up)
            left = self._quota - tables.used(connection, owner) + freed
            Incoming.begin(request.total, request.digest, left=left, quota=self._quota)
            for row, _ in given_up:
                tables.drop(connection, row)
            tables.announce(
                connection,
                owner,
                request.blob,
                total=request.total,
                digest=request.digest,
                now=call.now,
            )
            return Done(Progress(offset=0))

        return Write(change)

    async def put(self, call: Call, request: messages.Put) -> Answer[Progress]:
        """Append a chunk; with the last one the blob is whole, or worthless and empty again."""
        owner = call.session.user

        def change(connection: Connection) -> Progress | None:
            blob = _known(connection, owner, request.blob)
            _check(blob, request)
            incoming = self._incoming(connection, blob)
            incoming.put(request.offset, request.data)
            if incoming.complete:
                self._arriving.pop(blob.id, None)
                try:
                    incoming.finish()
                except BlobDigest:
                    tables.empty(connection, blob.id)
                    return None
            tables.append(
                connection,
                blob,
                request.data,
                complete=incoming.complete,
                most=limits.BLOB_CHUNK_BYTES,
            )
            return Progress(offset=incoming.offset, complete=incoming.complete)

        progress = await call.kernel.storage.call(change)
        if progress is None:
            # Refused only now, because what was stored had to go.
            raise BlobDigest
        return Answer(progress)

    def _incoming(self, connection: Connection, blob: Blob) -> Incoming:
        """Return the state of a blob that arrives, as its row has it."""
        kept = self._arriving.get(blob.id)
        if kept is None or not _is_at(kept, blob):
            kept = Incoming.resume(blob.total, blob.digest, tables.chunks(connection, blob))
        self._arriving.pop(blob.id, None)
        self._arriving[blob.id] = kept
        if len(self._arriving) > HASHES_KEPT:
            # The one that was longest without a chunk.
            del self._arriving[next(iter(self._arriving))]
        return kept

    def usage(self, call: Call, _request: messages.Usage) -> Read[UsageInfo]:
        """Tell how much of the quota is used."""
        user = call.session.user
        return Read(
            lambda connection: UsageInfo(used=tables.used(connection, user), quota=self._quota)
        )


def _check(blob: Blob, request: messages.Put) -> None:
    """Refuse a chunk that does not continue its blob, before anybody reads what is stored of it."""
    stands = Incoming(blob.total, blob.digest)
    stands.offset = blob.received
    stands.check(request.offset, len(request.data))


def _is_at(incoming: Incoming, blob: Blob) -> bool:
    """Say whether a kept state is what the row says; it is not once a transaction was undone."""
    state: tuple[Any, ...] = (incoming.offset, incoming.total, incoming.digest)
    return state == (blob.received, blob.total, blob.digest)


def get(call: Call, request: messages.Get) -> Read[Piece]:
    """Read a part of a complete blob."""
    owner = call.session.user

    def query(connection: Connection) -> Piece:
        blob = _known(connection, owner, request.blob)
        if not blob.complete:
            raise BlobUnknown(field="$.blob")
        if request.offset >= blob.total:
            raise BlobOffset(field="$.offset", expected=blob.total, offset=request.offset)
        most = limits.BLOB_CHUNK_BYTES
        data = tables.read(connection, blob, request.offset, request.length, most=most)
        return Piece(offset=request.offset, total=blob.total, digest=blob.digest, data=data)

    return Read(query)


def drop(call: Call, request: messages.Drop) -> Write[Nothing]:
    """Delete a blob of the caller's."""
    owner = call.session.user

    def change(connection: Connection) -> Done[Nothing]:
        tables.drop(connection, _known(connection, owner, request.blob).id)
        return Done(Nothing())

    return Write(change)
