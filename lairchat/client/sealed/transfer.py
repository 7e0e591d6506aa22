"""Carries what is larger than a frame: commits and welcomes ahead of their command, trees in pieces."""

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from lairchat.e2ee.room import BodyNeededError
from lairchat.features.delivery import messages as wire
from lairchat.features.transfer import messages as blobs
from lairchat.model import limits, refusals
from lairchat.wire.bulk import Outgoing

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

TREE_BYTES: Final = 8 * limits.MIB
"""bytes: more than the tree of a full room takes (2.6 MB)."""
INLINE_BYTES: Final = limits.FRAME_BYTES // 3
"""bytes: what goes inside a command; a commit, a welcome and group information share its frame."""


class Transfer:
    """Brings and fetches large things."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def put(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return (what goes inside the command, or the blob's name), once a large one is there."""
        if len(data) <= INLINE_BYTES:
            return data, None
        blob, outgoing = self._sealed.random(16), Outgoing.of(data)
        request = blobs.Begin(blob, outgoing.total, outgoing.digest)
        await self._sealed.ask(blobs.BEGIN, request)
        for offset, chunk in outgoing.chunks():
            await self._sealed.ask(blobs.PUT, blobs.Put(blob, offset, chunk))
        return b"", blob

    async def tree(self, room: int, epoch: int) -> bytes:
        """Return the tree that a room's group has in an epoch."""
        return await self._parts(
            wire.TREE, lambda offset: wire.AskTree(room, epoch, offset), TREE_BYTES
        )

    async def commit(self, room: int, needed: BodyNeededError) -> bytes:
        """Return a commit that its event only names; raises BlobDigest if it is another one."""
        found = await self._parts(
            wire.COMMIT_BODY,
            lambda offset: wire.AskCommit(room, needed.seq, offset),
            needed.total,
        )
        if len(found) != needed.total or sha256(found).digest() != needed.digest:
            raise refusals.BlobDigest
        return found

    async def _parts(self, command: Any, request: Callable[[int], Any], most: int) -> bytes:
        """Return what comes in pieces; a server that never ends is not read on."""
        parts: list[bytes] = []
        size, total = 0, 1
        while size < total:
            part: wire.Part = await self._sealed.ask(command, request(size))
            if not part.data or part.total > most:
                raise refusals.BlobSize(size=part.total, limit=most)
            parts.append(part.data)
            size, total = size + len(part.data), part.total
        return b"".join(parts)
