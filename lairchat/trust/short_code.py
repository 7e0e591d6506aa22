"""What two people read to each other, and the messages that lead to it.

Each side names a party: account, device and its key.
The one who starts commits to a random nonce before it learns the other's, and opens it after; both
nonces, both parties, their roles and the purpose go into the code.
So whoever stands in between has to choose before knowing what the code will be, and gets one try:
it matches by chance once in 2^77 * 10^12, about 2^116.9 (the scheme of Vaudenay, "Secure
Communications over Insecure Channels Based on Short Authenticated Strings", CRYPTO 2005; ZRTP, RFC
6189 section 4.4, and Matrix commit alike).

An account id covers both keys of the root, so nothing else of the root is in a party.

Promises not to know: in which order messages may come (:mod:`lairchat.trust.verification`).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from lairchat.mls.codec import U8, Choice, Fixed, Struct
from lairchat.model.identity import word_list
from lairchat.trust.entry import DEVICE_ID_BYTES
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import HASH_BYTES, KEY_BYTES, digest

SESSION_BYTES: Final = 16
"""bytes: random, by whoever starts; tells one comparison from another."""
NONCE_BYTES: Final = 32
"""bytes: random, of each side."""
CODE_WORDS: Final = 7
"""count: words of the code, eleven bits each."""
CODE_NUMBERS: Final = 3
"""count: numbers of the code, four digits each."""

_WORD_BITS = 11
_NUMBERS = 10_000
_COMMITMENT_LABEL = b"lairchat verification commitment v1"
_CODE_LABEL = b"lairchat verification code v1"


class Purpose(IntEnum):
    """What is compared for."""

    PERSON = 1
    """Two people make sure of each other."""
    LINK = 2
    """One person makes sure of a new device of theirs."""


@dataclass(frozen=True, slots=True)
class Party(Struct):
    """One side.

    account: its account id; for a new device that of the account that it wants to belong to.
    device: its device id.
    key: its MLS signature key, Ed25519.
    """

    LAYOUT = (Fixed(HASH_BYTES), Fixed(DEVICE_ID_BYTES), Fixed(KEY_BYTES))
    account: bytes
    device: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Offer(Struct):
    """What the commitment and the code are about, as far as the first message says it."""

    LAYOUT = (Fixed(SESSION_BYTES), U8, Party)
    session: bytes
    purpose: int
    party: Party


@dataclass(frozen=True, slots=True)
class Start(Struct):
    """The first message: who starts, and a commitment to their nonce."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (Offer, Fixed(HASH_BYTES))
    offer: Offer
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Answer(Struct):
    """The second message: who answers, and their nonce, in the open."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (Fixed(SESSION_BYTES), Party, Fixed(NONCE_BYTES))
    session: bytes
    party: Party
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Reveal(Struct):
    """The third message: the nonce that was committed to."""

    TYPE: ClassVar[int] = 3
    LAYOUT = (Fixed(SESSION_BYTES), Fixed(NONCE_BYTES))
    session: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Stop(Struct):
    """Instead of any message: this comparison is over without a result."""

    TYPE: ClassVar[int] = 4
    LAYOUT = (Fixed(SESSION_BYTES),)
    session: bytes


Message = Start | Answer | Reveal | Stop
MESSAGE: Final = Choice("message of a verification", U8, (Start, Answer, Reveal, Stop))


@dataclass(frozen=True, slots=True)
class Code:
    """What is read aloud: seven words, and three numbers of four digits."""

    words: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Transcript(Struct):
    LAYOUT = (Offer, Fixed(HASH_BYTES), Party, Fixed(NONCE_BYTES), Fixed(NONCE_BYTES))
    offer: Offer
    commitment: bytes
    answerer: Party
    starter_nonce: bytes
    answerer_nonce: bytes


def commitment(offer: Offer, nonce: SecretBytes) -> bytes:
    """Return the commitment to a nonce, 32 bytes: it tells nothing of it and fits no other.

    It covers the offer, so that it cannot be sent on in the name of somebody else.
    """
    return digest(_COMMITMENT_LABEL, offer.encode() + nonce.reveal())


def code(start: Start, answer: Answer, nonce: SecretBytes) -> Code:
    """Return the code of three messages, the third of which opened this nonce."""
    transcript = _Transcript(
        start.offer, start.commitment, answer.party, nonce.reveal(), answer.nonce
    )
    drawn = digest(_CODE_LABEL, transcript.encode())
    bits = int.from_bytes(drawn, "big")
    names = word_list()
    words = []
    for _ in range(CODE_WORDS):
        words.append(names[bits % 2**_WORD_BITS])
        bits >>= _WORD_BITS
    numbers = []
    for _ in range(CODE_NUMBERS):
        bits, number = divmod(bits, _NUMBERS)
        numbers.append(f"{number:04}")
    return Code(tuple(words), tuple(numbers))
