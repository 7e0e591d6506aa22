"""Carries the objects of the backup, at a pace that leaves room for what the user does.

Promises not to know: what is in them.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lairchat.features.keepsakes import messages as wire
from lairchat.model import limits, refusals
from lairchat.model.refusal import Refusal
from lairchat.wire.contract import Command

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

PAUSE_SECONDS: Final = 0.3
"""seconds: between two commands, so that a long history takes a part of what a client may ask for."""
_TRIES: Final = 5
"""count: how often a busy server is asked again."""


class Keepsakes:
    """The objects that this account has at the server."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def _ask(self, command: Command[Any, Any], request: msgspec.Struct) -> Any:
        """Ask; where the server says to wait, wait."""
        for _ in range(_TRIES):
            try:
                return await self._sealed.ask(command, request)
            except Refusal as refusal:
                if refusal.retry_after is None:
                    raise
                await self._sealed.pause(refusal.retry_after)
        return await self._sealed.ask(command, request)

    async def get(self, name: bytes) -> bytes | None:
        """Return an object, None if there is none; whatever the server gives is no longer than one is."""
        parts: list[bytes] = []
        size, total = 0, 1
        while size < total:
            try:
                part: wire.KeepsakePart = await self._ask(wire.GET, wire.GetKeepsake(name, size))
            except refusals.KeepsakeUnknown:
                return None
            except refusals.BlobOffset:
                # It was replaced by a shorter one meanwhile: what has come is no object of ours.
                break
            if not part.data or part.total > limits.KEEPSAKE_BYTES:
                raise refusals.BlobSize(size=part.total, limit=limits.KEEPSAKE_BYTES)
            parts.append(part.data)
            size, total = size + len(part.data), part.total
        return b"".join(parts)

    async def put(self, name: bytes, data: bytes, replaces: bytes | None = None) -> None:
        """Keep an object in place of another; raises KeepsakeStale, KeepsakesFull or another Refusal."""
        inline, blob = await self._sealed.transfer.put(data)
        digest = None if replaces is None else sha256(replaces).digest()
        await self._ask(wire.PUT, wire.PutKeepsake(name, inline, blob, digest))
        await self._sealed.pause(PAUSE_SECONDS)

    async def drop(self, names: Sequence[bytes]) -> None:
        """Delete objects."""
        for start in range(0, len(names), limits.KEEPSAKES_AT_ONCE):
            part = list(names[start : start + limits.KEEPSAKES_AT_ONCE])
            await self._ask(wire.DROP, wire.DropKeepsakes(part))

    async def drop_others(self, than: Iterable[bytes], *, age: int) -> None:
        """Delete what is not one of these and has been there for so long, seconds.

        What is younger may be on its way into an index by another device.
        """
        kept, after = set(than), None
        for _ in range(limits.KEEPSAKES // limits.KEEPSAKES_LISTED + 1):
            page: wire.KeepsakeList = await self._ask(wire.LIST, wire.ListKeepsakes(after))
            old = [one.name for one in page.objects if one.name not in kept and one.age >= age]
            await self.drop(old)
            if not page.more or not page.objects:
                return
            after = page.objects[-1].name
