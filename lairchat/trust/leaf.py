"""Whose a leaf of a group is: the identity in its credential, and the certificate behind it.

A leaf carries a basic credential (RFC 9420 section 5.3) with account id and device id; the owner of
its signature key is that device if, and only if, the account's log says so.
"""

from dataclasses import dataclass

from lairchat.mls.codec import Fixed, Struct
from lairchat.trust.entry import DEVICE_ID_BYTES, Device, Head
from lairchat.trust.errors import UncertifiedError
from lairchat.trust.log import AccountLog, Certified
from lairchat.trust.signing import HASH_BYTES


@dataclass(frozen=True, slots=True)
class LeafIdentity(Struct):
    """The identity of a basic credential: account id, 32 bytes, and device id, 16 bytes."""

    LAYOUT = (Fixed(HASH_BYTES), Fixed(DEVICE_ID_BYTES))
    account: bytes
    device: bytes


def certified(log: AccountLog, identity: LeafIdentity, key: bytes) -> Certified[Device]:
    """Return the certificate of a leaf with this identity and MLS signature key, as things stand.

    Raises UncertifiedError if the log is another account's, knows no such device, knows it with
    another key, or has revoked it: such a leaf is refused, not warned about.
    """
    return certified_at(log, log.head, identity, key)


def certified_at(
    log: AccountLog, head: Head, identity: LeafIdentity, key: bytes
) -> Certified[Device]:
    """Return the same certificate as it stood at a head of the log, whatever came after it.

    So all who have read at least so far come to the same answer.
    Raises what :func:`certified` does, ForkError if the head is on another branch, and RollbackError
    if the log does not reach it.
    """
    if identity.account != log.account:
        raise UncertifiedError("this leaf belongs to another account")
    log.require(head)
    device = log.device(identity.device)
    if device is None or device.position > head.position:
        raise UncertifiedError("the account's log knows no such device")
    if device.body.key != key:
        raise UncertifiedError("the account's log knows this device with another key")
    if device.revoked is not None and device.revoked.position <= head.position:
        raise UncertifiedError("this device has been revoked")
    return device
