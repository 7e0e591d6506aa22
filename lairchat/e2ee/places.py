"""How far a person has read, told by one of their devices to the others and to nobody else.

A slot names rooms by their groups, so that the server, which numbers rooms, cannot have one place taken
for another's.  It is sealed under a key that all devices of the account derive from the backup's, and
bound to account and device.  Inside it is signed with the device's MLS signature key: a device that was
revoked still has the backup's key, and has nothing read any more.
Nothing in it says which slot is newer.  Places only ever go up, so an old one says nothing new, and one
that is withheld leaves something unread.

Promises not to know: where slots are kept, the clock, what a room has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lairchat.e2ee.padding import padded, unpadded
from lairchat.mls.codec import U16, U64, Choice, Fixed, Struct, Vector, decode, opaque
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.hpke import AES_256_GCM
from lairchat.mls.suites import Random
from lairchat.model import limits
from lairchat.trust.entry import DEVICE_ID_BYTES
from lairchat.trust.errors import SignatureError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SIGNATURE_BYTES, SigningKey, check_signature

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_KEY: Final = b"lairchat reading places key v1"
_LABEL: Final = b"lairchat reading places v1"


@dataclass(frozen=True, slots=True)
class _Place(Struct):
    LAYOUT = (Fixed(limits.GROUP_ID_BYTES), U64)
    group: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class _Slot(Struct):
    TYPE: ClassVar[int] = 1
    LAYOUT = (Vector(_Place), Fixed(SIGNATURE_BYTES))
    places: tuple[_Place, ...] = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Covered(Struct):
    """What the signature covers: whose device it is, and what it says."""

    LAYOUT = (Fixed(32), Fixed(DEVICE_ID_BYTES), Vector(_Place))
    account: bytes
    device: bytes
    places: tuple[_Place, ...]


_SLOTS: Final = Choice("version of reading places", U16, (_Slot,))


def _key(backup: SecretBytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, _KEY).derive(backup.reveal())


def _aad(own: LeafIdentity) -> bytes:
    # What another device has kept, or another account's, does not open as this one's.
    return opaque(_LABEL) + opaque(own.account) + opaque(own.device)


def seal(
    backup: SecretBytes,
    own: LeafIdentity,
    signing: SigningKey,
    places: Mapping[bytes, int],
    random: Random,
) -> bytes:
    """Return a device's slot.

    backup: the backup's key.  places: by group, the newest room first: what is more than a slot holds
    is left out.
    """
    told = tuple(_Place(*one) for one in list(places.items())[: limits.READING_ROOMS])
    signature = signing.sign(_LABEL, _Covered(own.account, own.device, told).encode())
    nonce = random(NONCE_BYTES)
    plain = padded(_SLOTS.write(_Slot(told, signature)))
    return nonce + AES_256_GCM.seal(_key(backup), nonce, _aad(own), plain)


def open_slot(backup: SecretBytes, log: AccountLog, device: bytes, data: bytes) -> dict[bytes, int]:
    """Return how far a device says that each group has been read.

    log: the account's own.  Raises InvalidError unless a device in force has written this, and
    MalformedError for what no program of ours writes.
    """
    found = log.device(device)
    if found is None or found.revoked is not None:
        raise InvalidError("this device is none of the account's, or no more")
    own = LeafIdentity(log.account, device)
    nonce, sealed = data[:NONCE_BYTES], data[NONCE_BYTES:]
    plain = AES_256_GCM.open(_key(backup), nonce, _aad(own), sealed)
    slot: _Slot = decode(_SLOTS, unpadded(plain))
    covered = _Covered(log.account, device, slot.places)
    try:
        check_signature(found.body.key, _LABEL, covered.encode(), slot.signature)
    except SignatureError as error:
        raise InvalidError("another device has written this") from error
    places = {one.group: one.seq for one in slot.places}
    if len(places) != len(slot.places) or len(places) > limits.READING_ROOMS:
        raise MalformedError("reading places name a room twice, or too many")
    if max(places.values(), default=0) > limits.INTEGER_MAX:
        raise MalformedError("a reading place is none of ours")
    return places
