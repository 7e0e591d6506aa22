"""How a commit that is under way is kept, beside the epoch that it would begin.

The rest of a room's state is numbers and hashes, which have columns of their own, and the groups, which
:mod:`lairchat.mls.storing` writes.
Whatever is read and is not what was written raises MalformedError.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final

from lairchat.e2ee.room import Pending
from lairchat.mls.codec import OPAQUE, U8, Choice, Optional, Struct, Vector, decode
from lairchat.mls.codec import Kind as Layout
from lairchat.mls.errors import MalformedError
from lairchat.mls.group import Group
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.policy import POLICIES, Because, Policy
from lairchat.trust.structure import Change, Removed


@dataclass(frozen=True, slots=True)
class _Removed(Struct):
    """Who goes, by whom (absent: the server), and why."""

    LAYOUT = (LeafIdentity, Optional(LeafIdentity), U8)
    identity: LeafIdentity
    by: LeafIdentity | None
    because: int


@dataclass(frozen=True, slots=True)
class _Change(Struct):
    """What the commit does."""

    LAYOUT: ClassVar[tuple[Layout, ...]] = (
        LeafIdentity,
        U8,
        Vector(LeafIdentity),
        Vector(_Removed),
        POLICIES,
        POLICIES,
    )
    committer: LeafIdentity
    rejoined: int
    added: tuple[LeafIdentity, ...]
    removed: tuple[_Removed, ...]
    before: Policy
    after: Policy


@dataclass(frozen=True, slots=True)
class _FirstChange(_Change):
    """The same, from before policies had versions."""

    LAYOUT = (*_Change.LAYOUT[:4], Policy, Policy)


@dataclass(frozen=True, slots=True, repr=False)
class _Pending(Struct):
    """The commit and what is uploaded with it; its digest follows from it."""

    TYPE: ClassVar[int] = 2
    LAYOUT: ClassVar[tuple[Layout, ...]] = (OPAQUE, Optional(OPAQUE), OPAQUE, _Change)
    message: bytes
    welcome: bytes | None
    info: bytes
    change: _Change


@dataclass(frozen=True, slots=True, repr=False)
class _FirstPending(_Pending):
    TYPE: ClassVar[int] = 1
    LAYOUT = (*_Pending.LAYOUT[:3], _FirstChange)


_VERSIONS: Final = Choice("version of a stored commit", U8, (_FirstPending, _Pending))


def store_pending(pending: Pending) -> bytes:
    """Return a commit without the group that it begins."""
    change = pending.change
    removed = tuple(_Removed(gone.identity, gone.by, gone.because) for gone in change.removed)
    return _VERSIONS.write(
        _Pending(
            pending.message,
            pending.welcome,
            pending.info,
            _Change(
                change.committer,
                change.rejoined,
                change.added,
                removed,
                change.before,
                change.after,
            ),
        )
    )


def restore_pending(stored: bytes, group: Group) -> Pending:
    """Return the commit; group: the one that it begins."""
    found: _Pending = decode(_VERSIONS, stored)
    return Pending(
        found.message,
        sha256(found.message).digest(),
        found.welcome,
        found.info,
        group,
        _change(found.change),
    )


def _change(found: _Change) -> Change:
    try:
        removed = tuple(
            Removed(gone.identity, gone.by, Because(gone.because)) for gone in found.removed
        )
    except ValueError as error:
        raise MalformedError("a stored commit removes somebody for no known reason") from error
    return Change(
        found.committer,
        bool(found.rejoined),
        found.added,
        removed,
        found.before,
        found.after,
    )
