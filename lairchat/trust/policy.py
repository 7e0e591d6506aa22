"""The policy of an encrypted room: what it is, and who may do what in it.

It is an extension of the signed group context, so that all members agree on it and the server can
only read it: in an encrypted room this is the one source of roles.
Beside it stand what every such group has alike: the capabilities that all leaves must show, and the
server as the one external sender.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, Final

from lairchat.mls.codec import U8, U16, Choice, Fixed, Struct, Vector, decode
from lairchat.mls.codec import Kind as Layout
from lairchat.mls.objects import (
    BASIC,
    EXTERNAL_SENDER_LIST,
    EXTERNAL_SENDERS,
    MLS10,
    REQUIRED_CAPABILITIES,
    BasicCredential,
    Capabilities,
    Extension,
    ExternalSender,
    RequiredCapabilities,
)
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.trust.entry import Head
from lairchat.trust.errors import PolicyError
from lairchat.trust.signing import HASH_BYTES

ACCOUNT_HEAD: Final = 0xF64B
"""Extension of a leaf: the head of its account's log when the leaf was made.

With it, whether a leaf is certified does not depend on who asks or when: the log up to that head
says so.  Of the private range (RFC 9420 section 17.3).
"""

ROOM_POLICY: Final = 0xF64C
"""Extension of a group context: the room's policy.  Of the private range."""

CAPABILITIES: Final = Capabilities(
    (MLS10,), (HYBRID.id,), (ACCOUNT_HEAD, ROOM_POLICY), (), (BASIC,)
)
"""What every leaf shows, neither more nor less: nobody can be talked down to less."""

_REQUIRED: Final = Extension(
    REQUIRED_CAPABILITIES, RequiredCapabilities((ACCOUNT_HEAD, ROOM_POLICY), (), (BASIC,)).encode()
)


class Kind(IntEnum):
    """What a room is; it never changes."""

    DIRECT = 1
    """The conversation of two accounts, and never of a third."""
    PRIVATE = 2


class Role(IntEnum):
    """What an account is in a room; one may act on those below."""

    MEMBER = 1
    MODERATOR = 2
    ADMINISTRATOR = 3


class History(IntEnum):
    """What newcomers may read of the time before them."""

    NONE = 0


@dataclass(frozen=True, slots=True)
class Policy(Struct):
    """A room's policy.

    parties: the two accounts of a direct conversation, in order; empty in a private room.
    administrators, moderators: account ids, each list in order, none in both.
    adders: the lowest role that may add people.
    """

    TYPE: ClassVar[int] = 1
    LAYOUT: ClassVar[tuple[Layout, ...]] = (
        U8,
        Vector(Fixed(HASH_BYTES)),
        Vector(Fixed(HASH_BYTES)),
        Vector(Fixed(HASH_BYTES)),
        U8,
        U8,
    )
    kind: int
    parties: tuple[bytes, ...]
    administrators: tuple[bytes, ...]
    moderators: tuple[bytes, ...]
    adders: int
    history: int

    @property
    def before(self) -> bytes:
        """The id of the group that this one follows; empty for one that follows none."""
        return b""

    def role(self, account: bytes) -> Role:
        """Return what a member's account is in the room."""
        if account in self.administrators:
            return Role.ADMINISTRATOR
        return Role.MODERATOR if account in self.moderators else Role.MEMBER

    def check(self) -> None:
        """Raise PolicyError unless this is a policy that a room can have."""
        for accounts in (self.parties, self.administrators, self.moderators):
            if list(accounts) != sorted(set(accounts)):
                raise PolicyError("a policy lists accounts out of order")
        if set(self.administrators) & set(self.moderators):
            raise PolicyError("an account has two roles")
        if self.history not in set(History):
            raise PolicyError("a policy has a rule for history that is not known here")
        if self.kind == Kind.DIRECT:
            if len(self.parties) != 2 or self.administrators or self.moderators:
                raise PolicyError("a direct conversation has two parties and no roles")
        elif self.kind == Kind.PRIVATE:
            if self.parties or not self.administrators:
                raise PolicyError("a private room has administrators and no parties")
        else:
            raise PolicyError("a room is of a kind that is not known here")
        if self.adders not in set(Role):
            raise PolicyError("a policy says nothing about who may add people")


@dataclass(frozen=True, slots=True)
class Following(Policy):
    """The policy of a conversation that goes on where another one is held for good.

    follows: the id of the group that it follows.  It stands in the signed context, so that a server
    can neither make two conversations one nor say of the newer that it is the older.
    """

    TYPE: ClassVar[int] = 2
    LAYOUT = (*Policy.LAYOUT, Fixed(limits.GROUP_ID_BYTES))
    follows: bytes

    @property
    def before(self) -> bytes:
        """The id of the group that this one follows."""
        return self.follows

    def check(self) -> None:
        """Raise PolicyError unless this is a policy that a room can have."""
        Policy.check(self)
        if self.kind != Kind.DIRECT:
            # A private room's members are invited anew, each by name.
            raise PolicyError("only a direct conversation follows another one")


POLICIES: Final = Choice("version of room policies", U16, (Policy, Following))
"""A policy as it is written, with its version."""


def direct_policy(account: bytes, other: bytes, follows: bytes = b"") -> Policy:
    """Return the policy of the conversation of two accounts.

    follows: the id of the group in whose place it comes; empty for the first one of the two.
    """
    first, second = sorted((account, other))
    shared = (Kind.DIRECT, (first, second), (), (), Role.MEMBER, History.NONE)
    return Following(*shared, follows) if follows else Policy(*shared)


def private_policy(
    administrators: Sequence[bytes],
    moderators: Sequence[bytes] = (),
    adders: Role = Role.MODERATOR,
) -> Policy:
    """Return the policy of a private room."""
    ordered = tuple(sorted(administrators)), tuple(sorted(moderators))
    return Policy(Kind.PRIVATE, (), *ordered, adders, History.NONE)


def context_extensions(policy: Policy, server_key: bytes) -> tuple[Extension, ...]:
    """Return the extensions of a room's group context, of which there are just these.

    server_key: the key by which the server proposes removals, Ed25519, 32 bytes.
    """
    server = ExternalSender(server_key, BasicCredential(b"server"))
    return (
        _REQUIRED,
        Extension(EXTERNAL_SENDERS, EXTERNAL_SENDER_LIST.write((server,))),
        Extension(ROOM_POLICY, POLICIES.write(policy)),
    )


def policy_of(extensions: Sequence[Extension], server_key: bytes) -> Policy:
    """Return the policy in a group's extensions, checked.

    Raises PolicyError unless they are exactly those of a room on this server: another extension
    could mean anything to another program; MalformedError if the policy is no encoding of one.
    """
    return _policy_of(tuple(extensions), server_key)


@lru_cache(maxsize=256)
def _policy_of(extensions: tuple[Extension, ...], server_key: bytes) -> Policy:
    # Asked for a dozen times with each message, of the same few rooms.
    found = [extension for extension in extensions if extension.type == ROOM_POLICY]
    if len(found) != 1:
        raise PolicyError("a room has one policy")
    policy: Policy = decode(POLICIES, found[0].data)
    policy.check()
    if extensions != context_extensions(policy, server_key):
        raise PolicyError("a room has extensions that it should not have")
    return policy


def head_extension(head: Head) -> Extension:
    """Return the one extension of a leaf: the head of its account's log."""
    return Extension(ACCOUNT_HEAD, head.encode())


class Because(IntEnum):
    """Why somebody is removed."""

    DECIDED = 1
    """A moderator, an administrator, or the person: the sender's role allows it."""
    REVOKED = 2
    """The account's own log has revoked the device."""
    BANNED = 3
    """From the whole server; said by the server."""
    LEFT = 4
    """The person has asked to leave; said by the server."""


@dataclass(frozen=True, slots=True)
class Removal(Struct):
    """Why a leaf is removed.

    head: of the account's log, where the revocation can be seen; the empty head otherwise.
    """

    LAYOUT = (U8, Head)
    because: int
    head: Head


NO_HEAD: Final = Head(0, bytes(HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Reasons(Struct):
    """What stands in the authenticated data of a commit or proposal: why, for each Remove in it.

    removals: in the order of the Removes by value.
    """

    TYPE: ClassVar[int] = 1
    LAYOUT = (Vector(Removal),)
    removals: tuple[Removal, ...]


_REASONS: Final = Choice("version of reasons", U16, (Reasons,))


def encode_reasons(*removals: Removal) -> bytes:
    """Return the authenticated data of a commit or proposal with these Removes."""
    return _REASONS.write(Reasons(removals))


def decode_reasons(data: bytes) -> tuple[Removal, ...]:
    """Return the reasons in authenticated data; raise MalformedError if it is something else."""
    reasons: Reasons = decode(_REASONS, data)
    return reasons.removals
