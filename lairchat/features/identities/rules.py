"""What a log has to be before it is kept, and how it is cut and put together.

Pure: the log that is there, the bytes that came, and the answer.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lairchat.mls.codec import decode, opaque
from lairchat.mls.errors import MLSError
from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.model.refusals import (
    DeviceGone,
    DeviceProof,
    IdentitiesMax,
    IdentityBad,
    IdentitySoon,
)
from lairchat.trust.entry import ENTRIES, StoredLog
from lairchat.trust.errors import SignatureError, TrustError
from lairchat.trust.log import AccountLog, check_name, encode_log, read_log
from lairchat.trust.proof import check_proof

_EMPTY = len(opaque(b""))
"""bytes: what an empty vector takes, with which the first part of a kept log ends."""


class Grown(NamedTuple):
    """A log that has been verified, the parts of it that are new, and the devices that these end."""

    log: AccountLog
    parts: list[bytes]
    revoked: list[bytes]


def begun(data: bytes, server: ServerId, name: str) -> Grown:
    """Return the log that somebody of this name would begin with; raises IdentityBad."""
    try:
        log = read_log(data, server)
        check_name(log, name)
    except (MLSError, TrustError) as error:
        raise IdentityBad(why=str(error), field="$.log") from None
    stored = StoredLog.decode(data)
    entries = [signed.encode() for signed in stored.entries]
    return Grown(log, [encode_log(stored.genesis, ()), *entries], [])


def grown(log: AccountLog, data: bytes) -> Grown:
    """Return what a log is with these entries; raises IdentityBad."""
    try:
        entries = decode(ENTRIES, data)
        after = log.extend(entries)
    except (MLSError, TrustError) as error:
        raise IdentityBad(why=str(error), field="$.entries") from None
    if not entries:
        raise IdentityBad(why="there is no entry in it", field="$.entries")
    left = {device.body.id for device in after.in_force}
    revoked = [device.body.id for device in log.in_force if device.body.id not in left]
    return Grown(after, [signed.encode() for signed in entries], revoked)


def fitting(parts: Iterable[bytes], budget: int = limits.LOG_PART_BYTES) -> list[bytes]:
    """Return as many of the first parts as an answer holds; the first one always does."""
    kept: list[bytes] = []
    for part in parts:
        budget -= len(part)
        if budget < 0 and kept:
            break
        kept.append(part)
    return kept


def whole(parts: Sequence[bytes]) -> bytes:
    """Put a log together from its beginning on, as account logs are encoded."""
    return parts[0][:-_EMPTY] + vector(parts[1:])


def vector(parts: Sequence[bytes]) -> bytes:
    """Put entries together that follow others."""
    return opaque(b"".join(parts))


def require_another(started: Sequence[int], now: int) -> None:
    """Refuse to begin another log too early, or too often; raises IdentitySoon, IdentitiesMax.

    started: when the account's logs were begun, ms, the newest last.
    """
    if len(started) >= limits.LOGS_PER_USER:
        raise IdentitiesMax(limit=limits.LOGS_PER_USER)
    wait = started[-1] + limits.LOG_BEGIN_SECONDS * 1000 - now if started else 0
    if wait > 0:
        raise IdentitySoon(retry_after=wait / 1000)


def require_device(log: AccountLog, device_id: bytes) -> bytes:
    """Return the MLS signature key of a device in force; raises DeviceGone."""
    device = log.device(device_id)
    if device is None or device.revoked is not None:
        raise DeviceGone(field="$.device")
    return device.body.key


def require_proof(
    public: bytes, server: ServerId, session: int, device: int, signature: bytes
) -> None:
    """Raise DeviceProof unless the key has signed for this session of this server's."""
    try:
        check_proof(public, server, session, device, signature)
    except SignatureError:
        raise DeviceProof(field="$.signature") from None
