"""Answers for what an account's devices keep sealed on the server.

Only a device that has proven to be one of the account's is answered: whoever has the password alone
sees not even how much there is.
"""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.plan import Done, Read, Write
from lairchat.features.identities import tables as identities
from lairchat.features.keepsakes import messages, rules, tables
from lairchat.features.keepsakes.messages import KeepsakeInfo, KeepsakeList, KeepsakePart
from lairchat.features.keepsakes.tables import Stored
from lairchat.features.transfer import tables as blobs
from lairchat.model import limits
from lairchat.model.ids import SessionId, UserId
from lairchat.model.refusals import BlobOffset, BlobUnknown, KeepsakeUnknown
from lairchat.wire.contract import Nothing

DROPPED_PER_UPKEEP = 64
"""count: objects that one round of upkeep deletes; more would hold up the writer."""


def make(*, quota: int = limits.KEEPSAKE_QUOTA_BYTES) -> Feature:
    """Build the feature; quota: bytes that one account may keep."""
    kept = _Keepsakes(quota)
    return Feature(
        name="keepsakes",
        needs=("identities", "transfer"),
        handlers={
            messages.PUT: kept.put,
            messages.GET: get,
            messages.LIST: kept.list,
            messages.DROP: drop,
        },
        upkeep=upkeep,
    )


def upkeep(connection: Connection, _now: int, _live: Sequence[SessionId]) -> bool:
    """Delete some objects of identities that are no more; say whether more are left."""
    gone = tables.forgotten(connection, DROPPED_PER_UPKEEP)
    for account, name in gone:
        tables.drop(connection, account, [name])
    return len(gone) == DROPPED_PER_UPKEEP


class _Keepsakes:
    """The handlers that have to do with the quota."""

    def __init__(self, quota: int) -> None:
        self._quota = quota

    def put(self, call: Call, request: messages.PutKeepsake) -> Write[Nothing]:
        """Keep an object; one that is there as it comes has been kept before, and stays."""
        session = call.session

        def change(connection: Connection) -> Done[Nothing]:
            account = identities.require_proven(connection, session.id).account
            data = _whole(connection, session.user, request)
            rules.require_size(len(data))
            digest = sha256(data).digest()
            there = tables.find(connection, account, request.name)
            if there is None or there.digest != digest:
                rules.require_current(there and there.digest, request.replaces)
                freed = there and there.size
                used = tables.used(connection, account)
                rules.require_room(*used, freed, len(data), self._quota)
                stored = Stored(request.name, digest, len(data), call.now)
                tables.keep(connection, account, stored, data)
            _drop_blob(connection, session.user, request.blob)
            return Done(Nothing())

        return Write(change)

    def list(self, call: Call, request: messages.ListKeepsakes) -> Read[KeepsakeList]:
        """List what an account has here."""
        session = call.session

        def query(connection: Connection) -> KeepsakeList:
            account = identities.require_proven(connection, session.id).account
            page = limits.KEEPSAKES_LISTED
            found = tables.listed(connection, account, request.after or b"", page + 1)
            objects = [
                KeepsakeInfo(one.name, one.digest, one.size, max(0, call.now - one.at) // 1_000)
                for one in found[:page]
            ]
            used = tables.used(connection, account).size
            return KeepsakeList(objects, len(found) > page, used, self._quota)

        return Read(query)


def _whole(connection: Connection, user: UserId, request: messages.PutKeepsake) -> bytes:
    """Return what came inside the command, or ahead of it as a blob."""
    if request.blob is None:
        return request.data
    found = blobs.find(connection, user, request.blob)
    if found is None or not found.complete:
        raise BlobUnknown(field="$.blob")
    rules.require_size(found.total)
    return b"".join(blobs.chunks(connection, found))


def _drop_blob(connection: Connection, user: UserId, blob: bytes | None) -> None:
    found = None if blob is None else blobs.find(connection, user, blob)
    if found is not None:
        blobs.drop(connection, found.id)


def get(call: Call, request: messages.GetKeepsake) -> Read[KeepsakePart]:
    """Read a part of an object."""
    session = call.session

    def query(connection: Connection) -> KeepsakePart:
        account = identities.require_proven(connection, session.id).account
        there = tables.find(connection, account, request.name)
        if there is None:
            raise KeepsakeUnknown(field="$.name")
        if request.offset >= there.size:
            raise BlobOffset(field="$.offset", expected=there.size, offset=request.offset)
        data = tables.read(connection, account, request.name, request.offset, request.length)
        return KeepsakePart(request.offset, there.size, there.digest, data)

    return Read(query)


def drop(call: Call, request: messages.DropKeepsakes) -> Write[Nothing]:
    """Delete objects."""
    session = call.session

    def change(connection: Connection) -> Done[Nothing]:
        account = identities.require_proven(connection, session.id).account
        tables.drop(connection, account, request.names)
        return Done(Nothing())

    return Write(change)
