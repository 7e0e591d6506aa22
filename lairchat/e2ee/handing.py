"""How a device gets the key of the backup from another one of its account, when no words were typed.

It asks all of them with a public key for this once; whichever has the backup's key seals it to that.
Both sign with their MLS signature keys, which the account's log certifies: a device that is not in force
gets nothing, and nobody, the server neither, hands a device a key that is known to others.

Promises not to know: how notes are carried.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from lairchat.mls.codec import OPAQUE, U16, Choice, Fixed, Struct, decode
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.suites import HYBRID, Random
from lairchat.trust.entry import DEVICE_ID_BYTES
from lairchat.trust.errors import SignatureError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SIGNATURE_BYTES, SigningKey, check_signature

NOTE: Final = b"lairchat backup key note"
"""What these notes begin with; none that compares codes does."""
_KEY_BYTES: Final = 32
_LABEL: Final = b"lairchat backup key v1"
_ASKED: Final = b"lairchat backup key asked v1"
_HANDED: Final = b"lairchat backup key handed v1"


@dataclass(frozen=True, slots=True)
class Asked(Struct):
    """device: who asks.  public: to which the answer is sealed."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (Fixed(DEVICE_ID_BYTES), OPAQUE, Fixed(SIGNATURE_BYTES))
    device: bytes
    public: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handed(Struct):
    """device: who answers.  encapsulation, sealed: the key, for whoever asked."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (Fixed(DEVICE_ID_BYTES), OPAQUE, OPAQUE, Fixed(SIGNATURE_BYTES))
    device: bytes
    encapsulation: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Covered(Struct):
    """What a signature covers: the account, who signs, who asked with which key, and the answer."""

    LAYOUT = (Fixed(32), Fixed(DEVICE_ID_BYTES), Fixed(DEVICE_ID_BYTES), OPAQUE, OPAQUE, OPAQUE)
    account: bytes
    signer: bytes
    asker: bytes
    public: bytes
    encapsulation: bytes
    sealed: bytes


_NOTES: Final = Choice("note about the backup's key", U16, (Asked, Handed))


def read_note(body: bytes) -> Asked | Handed | None:
    """Return a note of this kind, None for one of another; raises MalformedError."""
    if not body.startswith(NOTE):
        return None
    found: Asked | Handed = decode(_NOTES, body[len(NOTE) :])
    return found


def ask(own: LeafIdentity, key: SigningKey, random: Random) -> tuple[SecretBytes, bytes]:
    """Return (the private key that the answer takes, the note)."""
    private = HYBRID.hpke_derive(random(HYBRID.hash_size))
    public = HYBRID.hpke_public(private)
    signature = key.sign(_ASKED, _asked(own.account, own.device, public))
    return SecretBytes(private), NOTE + _NOTES.write(Asked(own.device, public, signature))


def _asked(account: bytes, device: bytes, public: bytes) -> bytes:
    return _Covered(account, device, device, public, b"", b"").encode()


def answer(
    log: AccountLog, asked: Asked, own: LeafIdentity, key: SigningKey, backup: SecretBytes
) -> bytes:
    """Return the note that hands the key over.

    log: the account's own.  Raises InvalidError unless a device in force has asked.
    """
    _check(log, asked.device, _ASKED, _asked(log.account, asked.device, asked.public), asked)
    context = log.account + asked.device
    encapsulation, sealed = HYBRID.encrypt_with_label(
        asked.public, _LABEL, context, backup.reveal()
    )
    covered = _Covered(log.account, own.device, asked.device, asked.public, encapsulation, sealed)
    signature = key.sign(_HANDED, covered.encode())
    return NOTE + _NOTES.write(Handed(own.device, encapsulation, sealed, signature))


def take(log: AccountLog, handed: Handed, own: LeafIdentity, private: SecretBytes) -> SecretBytes:
    """Return the backup's key.

    private: as ``ask`` returned it.  Raises InvalidError unless a device in force has answered just
    this question, MalformedError for what is no key.
    """
    public = HYBRID.hpke_public(private.reveal())
    covered = _Covered(
        log.account, handed.device, own.device, public, handed.encapsulation, handed.sealed
    )
    _check(log, handed.device, _HANDED, covered.encode(), handed)
    key = HYBRID.decrypt_with_label(
        private.reveal(), _LABEL, log.account + own.device, handed.encapsulation, handed.sealed
    )
    if len(key) != _KEY_BYTES:
        raise MalformedError("this is no key of a backup")
    return SecretBytes(key)


def _check(
    log: AccountLog, device: bytes, label: bytes, content: bytes, note: Asked | Handed
) -> None:
    """Raise InvalidError unless a device in force has signed a note."""
    found = log.device(device)
    if found is None or found.revoked is not None:
        raise InvalidError("this device is none of the account's, or no more")
    try:
        check_signature(found.body.key, label, content, note.signature)
    except SignatureError as error:
        raise InvalidError("another device has written this") from error
