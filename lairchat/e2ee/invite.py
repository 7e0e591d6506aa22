"""How a friend comes into a private room by a code, and the server cannot let itself in.

A code is a locator, by which the server finds the waiting room, and a secret, which it never sees: it
stands in the code and, sealed, in the room.  The joiner proves to know it over the account and key
packages that shall be added; the member whose client adds them proves it back over the group, so that
the joiner is in the room that the code is for and not in one of the server's making.
A code that the server saw would be no secret: it is handed from person to person.
"""

import hmac
from base64 import b32decode, b32encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lairchat.mls.codec import OPAQUE, U64, Fixed, Struct, Vector, opaque
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.group import Group
from lairchat.mls.suites import HYBRID, Random
from lairchat.model import limits

LOCATOR_BYTES: Final = 8
SECRET_BYTES: Final = 16
MAC_BYTES: Final = 32
_CHECK_BYTES: Final = 2
_JOIN: Final = b"lairchat invite join v1"
_ADMIT: Final = b"lairchat invite admit v1"


@dataclass(frozen=True, slots=True)
class Code:
    """What is handed to a friend; its repr hides the secret.

    locator: 8 bytes; secret: 16 random bytes.
    """

    locator: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, random: Random) -> "Code":
        """Return a code that nobody has yet."""
        return cls(random(LOCATOR_BYTES), random(SECRET_BYTES))

    def text(self) -> str:
        """Return the code as people pass it on: groups of seven, with a check on typing errors."""
        data = self.locator + self.secret
        plain = b32encode(data + _check(data)).decode().lower().rstrip("=")
        return "-".join(plain[start : start + 7] for start in range(0, len(plain), 7))

    @classmethod
    def read(cls, text: str) -> "Code":
        """Return the code that somebody typed or pasted; raise MalformedError if it is none."""
        plain = "".join(text.split()).replace("-", "").upper()
        # The alphabet has neither 0, 1 nor 8: whoever reads them aloud means these.
        plain = plain.translate(str.maketrans("018", "OLB"))
        length = LOCATOR_BYTES + SECRET_BYTES
        try:
            data = b32decode(plain + "=" * (-len(plain) % 8))
        except ValueError as error:
            raise MalformedError("this is no invite code") from error
        body, check = data[:length], data[length:]
        # The last letter has bits to spare: one code has one text.
        if check != _check(body) or b32encode(data).decode().rstrip("=") != plain:
            raise MalformedError("this is no invite code, or a letter of it is wrong")
        return cls(data[:LOCATOR_BYTES], data[LOCATOR_BYTES:length])


def _check(data: bytes) -> bytes:
    return sha256(data).digest()[:_CHECK_BYTES]


@dataclass(frozen=True, slots=True)
class Request(Struct):
    """What a joiner posts.

    account: its account id.  packages: references of the key packages to add, one for each device.
    mac: the proof that the joiner has the code.
    """

    LAYOUT = (
        Fixed(LOCATOR_BYTES),
        Fixed(32),
        Vector(Fixed(HYBRID.hash_size)),
        Fixed(MAC_BYTES),
    )
    locator: bytes
    account: bytes
    packages: tuple[bytes, ...]
    mac: bytes


@dataclass(frozen=True, slots=True)
class Admission(Struct):
    """What the member who added them answers: the group, and the proof that it is the right one."""

    LAYOUT = (Fixed(LOCATOR_BYTES), Fixed(16), U64, OPAQUE, Fixed(MAC_BYTES))
    locator: bytes
    group_id: bytes
    epoch: int
    transcript: bytes
    mac: bytes


def _mac(secret: bytes, label: bytes, data: bytes) -> bytes:
    key = HKDFExpand(hashes.SHA256(), 32, label).derive(secret)
    return hmac.digest(key, data, "sha256")


def _joined(locator: bytes, account: bytes, packages: Sequence[bytes]) -> bytes:
    return opaque(locator) + opaque(account) + opaque(b"".join(packages))


def ask(code: Code, account: bytes, packages: Sequence[bytes]) -> bytes:
    """Return the request of somebody who has a code.

    packages: references of key packages, one for each of the account's devices.
    """
    mac = _mac(code.secret, _JOIN, _joined(code.locator, account, packages))
    return Request(code.locator, account, tuple(packages), mac).encode()


def check(code: Code, data: bytes) -> Request:
    """Return a request whose sender has the code.

    Raises MalformedError, or InvalidError if it has not, or if it asks for no device or too many.
    """
    request = Request.decode(data)
    if request.locator != code.locator:
        raise InvalidError("a request for another invite")
    if not 0 < len(request.packages) <= limits.LOG_DEVICES:
        raise InvalidError("a request names the devices of one account")
    told = _joined(request.locator, request.account, request.packages)
    if not hmac.compare_digest(_mac(code.secret, _JOIN, told), request.mac):
        raise InvalidError("a request by somebody who does not have the code")
    return request


def _admitted(request: Request, group_id: bytes, epoch: int, transcript: bytes) -> bytes:
    # With the request's own proof in it, an admission answers this request and no other.
    told = opaque(request.mac) + opaque(group_id) + U64.write(epoch)
    return told + opaque(transcript)


def admit(code: Code, request: Request, group: Group) -> bytes:
    """Return the answer of whoever has added a joiner; group: the epoch that the joiner enters."""
    context = group.context
    place = context.group_id, context.epoch, context.confirmed_transcript_hash
    mac = _mac(code.secret, _ADMIT, _admitted(request, *place))
    return Admission(code.locator, *place, mac).encode()


def check_admission(code: Code, asked: bytes, data: bytes, group: Group) -> None:
    """Raise InvalidError unless this group is the one that a code leads into.

    asked: the joiner's own request.  group: what its welcome led into.
    """
    admission = Admission.decode(data)
    context = group.context
    place = context.group_id, context.epoch, context.confirmed_transcript_hash
    if (admission.group_id, admission.epoch, admission.transcript) != place:
        raise InvalidError("the answer is about another room than the one that was joined")
    told = _admitted(Request.decode(asked), *place)
    if admission.locator != code.locator or not hmac.compare_digest(
        _mac(code.secret, _ADMIT, told), admission.mac
    ):
        raise InvalidError("nobody who has the code has let this device in")
