"""The twelve recovery words: 128 random bits, in a form that people can write down.

Encoded as BIP-39 does it ("Generating the mnemonic"): the entropy, then as checksum the first four
bits of its SHA-256, in groups of eleven bits that each stand for one of 2,048 words.
What the words derive is not BIP-39's: see :mod:`lairchat.trust.root`.
"""

from difflib import get_close_matches
from hashlib import sha256
from typing import Final

from lairchat.model.identity import word_list
from lairchat.trust.errors import WordsError
from lairchat.trust.secret import SecretBytes

WORDS: Final = 12
"""count: recovery words."""
ENTROPY_BYTES: Final = 16
"""bytes: what they stand for, besides the checksum."""

_WORD_BITS = 11
_CHECKSUM_BITS = 4
_INPUT_CHARS = 1_024  # far more than twelve words; looking for near ones takes time with the length
_WORD_CHARS = 16
_NEAREST = 3


def format_words(entropy: SecretBytes) -> str:
    """Return the twelve words, with spaces between; ValueError if there are not 16 bytes."""
    data = entropy.reveal()
    if len(data) != ENTROPY_BYTES:
        raise ValueError(f"recovery words stand for {ENTROPY_BYTES} bytes, got {len(data)}")
    bits = int.from_bytes(data, "big") << _CHECKSUM_BITS | _checksum(data)
    words = word_list()
    places = range((WORDS - 1) * _WORD_BITS, -1, -_WORD_BITS)
    return " ".join(words[bits >> place & (2**_WORD_BITS - 1)] for place in places)


def parse_words(text: str) -> SecretBytes:
    """Return the 16 bytes that typed words stand for; case and white space do not matter.

    Raises WordsError: for their number, for the first that is not on the list, or because the
    checksum tells that one is wrong or two changed places (15 of 16 such mistakes are found).
    """
    if len(text) > _INPUT_CHARS:
        raise WordsError(f"there are {WORDS} recovery words; this is far longer")
    typed = text.lower().split()
    if len(typed) != WORDS:
        raise WordsError(f"there are {WORDS} recovery words; these are {len(typed)}")
    bits = 0
    for place, word in enumerate(typed, 1):
        bits = bits << _WORD_BITS | _number(word, place)
    data = (bits >> _CHECKSUM_BITS).to_bytes(ENTROPY_BYTES, "big")
    if bits & (2**_CHECKSUM_BITS - 1) != _checksum(data):
        raise WordsError("each word is on the list, but they do not belong together in this order")
    return SecretBytes(data)


def _number(word: str, place: int) -> int:
    words = word_list()
    try:
        return words.index(word)
    except ValueError:
        nearest = tuple(get_close_matches(word[:_WORD_CHARS], words, n=_NEAREST))
        # The text goes without the word, and so does the traceback.
        raise WordsError(f"word {place} is not on the list", place, nearest) from None


def _checksum(entropy: bytes) -> int:
    return sha256(entropy).digest()[0] >> (8 - _CHECKSUM_BITS)
