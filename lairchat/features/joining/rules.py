"""Who lets people into an encrypted room, and what a code is good for.

Pure decisions over what the caller has read in the transaction that acts on them.  In these rooms the
signed policy is the one source of roles, for the server too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from lairchat.model.refusals import CodeUnknown, Denied, RoomDirect
from lairchat.trust.policy import Kind, Policy

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[bytes]).decode


@dataclass(frozen=True, slots=True)
class Door:
    """Who may let people into a room now.

    inside: the accounts with a device in the room that nobody wants removed: who is about to go, or
    has only revoked devices there, lets in nobody any more, whatever they have promised.
    """

    policy: Policy
    inside: Collection[bytes]

    def opens_to(self, accounts: Collection[bytes]) -> bool:
        """Say whether one of these accounts, which are one user's, may add people."""
        return self.policy.kind == Kind.PRIVATE and any(
            account in self.inside and self.policy.role(account) >= self.policy.adders
            for account in accounts
        )

    def require(self, account: bytes) -> None:
        """Refuse an account that may not add people; raises RoomDirect, Denied."""
        if self.policy.kind == Kind.DIRECT:
            raise RoomDirect
        if not self.opens_to([account]):
            raise Denied


class Code(Protocol):
    """A code as its row has it."""

    @property
    def uses(self) -> int:
        """By how many people it is used altogether."""

    @property
    def used(self) -> int:
        """How many of them are in."""

    @property
    def until(self) -> int:
        """When it ends, ms."""


def require_use(code: Code, waiting: int, now: int) -> None:
    """Refuse a code that has ended, or that as many use as may; raises CodeUnknown.

    waiting: how many others knock with it.
    """
    if code.until <= now or code.used + waiting >= code.uses:
        raise CodeUnknown(field="$.locator")


def pack(packages: Sequence[bytes]) -> bytes:
    """Return key packages as they are kept."""
    return _pack(packages)


def unpack(kept: bytes) -> list[bytes]:
    """Return key packages that were kept."""
    return _unpack(kept)
