"""How a device of a member's account comes into a room by itself, and what keeps that way open.

A new device does, and one that lost its state or fell behind: by an external commit, for which it
needs no welcome but the group information that the last committer left with the server.
What lets it in, the external key in that information, only members can check; each does after a
commit of somebody else's, since a lie there spoils the next such commit and so halts the room.
"""

from dataclasses import dataclass, replace

from lairchat.e2ee.following import Followed
from lairchat.e2ee.room import Room
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.group import Group
from lairchat.mls.joining import join_external, public_group
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import GroupInfo, decode_message, encode_message
from lairchat.mls.suites import Random
from lairchat.mls.transition import PublicGroup
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.policy import NO_HEAD, Because, Removal, encode_reasons
from lairchat.trust.structure import Change, Logs, check_commit, check_group, identity_of


@dataclass(frozen=True, slots=True, repr=False)
class Rejoined:
    """The commit by which a device enters, and the epoch that it begins if it wins.

    message: the commit, as an MLSMessage.  info: the group information of that epoch, as one.
    """

    room: int
    server_key: bytes
    message: bytes
    info: bytes
    change: Change
    group: Group

    def entered(self, followed: Followed, now_ms: int) -> Room:
        """Return the room, entered; followed: up to the event of the commit.

        What was counted before is dropped: of what was said meanwhile this device can read nothing,
        and a number that it misses by that is nobody's doing.
        """
        return Room(
            self.room,
            self.server_key,
            self.group,
            replace(followed, counts={}),
            renewed_at=now_ms,
        )


def rejoin(
    room: int,
    server_key: bytes,
    info: bytes,
    tree: bytes,
    own: OwnKeyPackage,
    logs: Logs,
    random: Random,
    *,
    before: Group | None = None,
) -> Rejoined:
    """Return the commit by which this device enters a room that its account is in.

    info, tree: of the newest epoch, as the server gives them; the whole tree is looked at.
    own: a fresh key package of this device.  before: the group as this device had it, if it had.
    Raises MLSError or TrustError if the room is not what it should be, LogNeededError if an account's
    log has to be read further first.
    """
    stated = read_info(info)
    if before is not None:
        _check_same(before, stated)
    public = public_group(stated, tree)
    check_group(public, server_key, logs)
    old = _leaf_of(public, identity_of(own.package.leaf))
    committed = join_external(
        stated,
        own,
        random,
        remove=old,
        authenticated_data=b"" if old is None else encode_reasons(_RETURNING),
        public=public,
    )
    change = check_commit(public, committed.transition, server_key, logs)
    renewed = encode_message(committed.group.group_info(with_tree=False))
    return Rejoined(room, server_key, committed.message, renewed, change, committed.group)


_RETURNING = Removal(Because.DECIDED, NO_HEAD)


def _check_same(before: Group, stated: GroupInfo) -> None:
    here, there = before.context, stated.context
    if here.group_id != there.group_id:
        # A room's number is the server's to say; who is in it would be another's choice.
        raise InvalidError("the server gives another group for this room")
    if there.epoch < here.epoch:
        raise InvalidError("the server gives an epoch that this device has left behind")


def _leaf_of(group: PublicGroup, wanted: LeafIdentity) -> int | None:
    return next(
        (index for index, leaf in group.tree.members() if identity_of(leaf) == wanted), None
    )


def read_info(info: bytes) -> GroupInfo:
    """Return group information as the server gives it; raises MalformedError if it is none."""
    found = decode_message(info)
    if not isinstance(found, GroupInfo):
        raise MalformedError("this is no group information")
    return found


def check_info(group: Group, info: bytes) -> None:
    """Raise InvalidError unless a device that joins by this information comes into this very epoch.

    For members, after a commit of somebody else's: only they know the external key.
    """
    try:
        found = read_info(info)
    except MalformedError as error:
        raise InvalidError("the group information of this epoch is none") from error
    right = group.group_info(with_tree=False)
    if (found.context, found.confirmation_tag) != (right.context, right.confirmation_tag):
        raise InvalidError("the group information is about another epoch")
    if found.extensions != right.extensions:
        raise InvalidError("the group information has a key that is not the group's own")
    signer = group.public.tree.member(found.signer).signature_key
    found.check_signature(group.suite, signer)
