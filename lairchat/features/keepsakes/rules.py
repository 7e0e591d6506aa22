"""How much an account may keep, and when an object may be replaced.

Pure: what is there, and what comes.
"""

from lairchat.model import limits
from lairchat.model.refusals import BlobSize, KeepsakesFull, KeepsakeStale


def require_size(size: int) -> None:
    """Refuse what no object is; raises BlobSize."""
    if not 0 < size <= limits.KEEPSAKE_BYTES:
        raise BlobSize(size=size, limit=limits.KEEPSAKE_BYTES, field="$.data")


def require_current(there: bytes | None, replaces: bytes | None) -> None:
    """Refuse to replace what another device has put there meanwhile; raises KeepsakeStale."""
    if there != replaces:
        raise KeepsakeStale(field="$.replaces")


def require_room(objects: int, used: int, freed: int | None, size: int, quota: int) -> None:
    """Refuse what is more than an account may keep; raises KeepsakesFull.

    objects, used: how many the account has, of so many bytes together.  freed: the bytes of the object that is replaced, None without one.
    """
    count = objects + (freed is None)
    total = used - (freed or 0) + size
    # What becomes smaller is taken in even where a quota has shrunk: it helps.
    grows = freed is None or size > freed
    if grows and (count > limits.KEEPSAKES or total > quota):
        raise KeepsakesFull(limit=quota)
