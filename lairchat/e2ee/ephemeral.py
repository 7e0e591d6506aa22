"""Typing and the like: sealed for the members of an epoch, never stored, never signed.

They do not touch the secret tree, so that they cost no key of a message however many there are and
whoever is away.  The key is exported from the epoch for one sender's leaf; the nonce is random, which
at some ten a minute stays far from the bound of NIST SP 800-38D (2^32 for one key).
Any member could make one in another's name: it is shown, and never believed.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lairchat.mls.codec import OPAQUE, U8, U32, U64, Fixed, Struct, opaque
from lairchat.mls.errors import InvalidError
from lairchat.mls.group import Group
from lairchat.mls.suites import Random

LABEL: Final = b"lairchat/ephemeral"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
PAYLOAD_BYTES: Final = 64
"""bytes: every ephemeral looks the same."""
STALE_SECONDS: Final = 30
"""seconds: an older one, or one from that far in the future, is a replay or a wrong clock."""


class Doing(IntEnum):
    """What somebody is doing."""

    NOTHING = 0
    TYPING = 1


@dataclass(frozen=True, slots=True)
class Ephemeral(Struct):
    """As it travels."""

    LAYOUT = (U64, U32, Fixed(NONCE_BYTES), OPAQUE)
    epoch: int
    leaf: int
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class _Content(Struct):
    """As it is sealed.  at: the sender's clock, ms."""

    LAYOUT = (U8, U64, Fixed(PAYLOAD_BYTES - 9))
    doing: int
    at: int
    padding: bytes


def _key(group: Group, leaf: int) -> bytes:
    return group.export(LABEL, U32.write(leaf), KEY_BYTES)


def _aad(group: Group, leaf: int) -> bytes:
    context = group.context
    return opaque(context.group_id) + U64.write(context.epoch) + U32.write(leaf)


def seal(group: Group, doing: Doing, now_ms: int, random: Random) -> bytes:
    """Return what this member is doing, sealed for the others of its epoch."""
    nonce = random(NONCE_BYTES)
    content = _Content(doing, now_ms, bytes(PAYLOAD_BYTES - 9)).encode()
    aead = group.suite.aead
    ciphertext = aead.seal(_key(group, group.leaf), nonce, _aad(group, group.leaf), content)
    return Ephemeral(group.context.epoch, group.leaf, nonce, ciphertext).encode()


def open_ephemeral(group: Group, data: bytes, now_ms: int) -> tuple[int, Doing]:
    """Return (leaf, what its member is doing).

    Raises MalformedError or InvalidError: of another epoch, not sealed by a member, stale.
    """
    sent = Ephemeral.decode(data)
    if sent.epoch != group.context.epoch:
        raise InvalidError("an ephemeral of another epoch")
    group.public.tree.member(sent.leaf)
    opened = group.suite.aead.open(
        _key(group, sent.leaf), sent.nonce, _aad(group, sent.leaf), sent.ciphertext
    )
    content = _Content.decode(opened)
    if abs(now_ms - content.at) > STALE_SECONDS * 1000:
        raise InvalidError("an ephemeral that is stale")
    try:
        return sent.leaf, Doing(content.doing)
    except ValueError as error:
        raise InvalidError(f"nobody does {content.doing}") from error
