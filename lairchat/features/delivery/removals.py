"""Whom the server wants removed, and its proposals to the members who can do it.

The server removes nobody: it proposes, within the limits of ``trust.structure``, in each epoch again,
and takes no member's commit that leaves out what it has proposed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.engine import Connection

from lairchat.core.feature import After
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.features.delivery import rules, tables
from lairchat.features.delivery.groups import Groups, KnownLogs
from lairchat.features.delivery.tables import Leaf, Removal
from lairchat.features.identities import tables as identities
from lairchat.features.messages import rules as log_rules
from lairchat.features.messages.messages import MESSAGE, LogEvent
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    ProposalContent,
    PublicMessage,
    encode_message,
)
from lairchat.mls.objects import GroupContext, Remove
from lairchat.mls.transition import PublicGroup
from lairchat.model.events import EventClass
from lairchat.model.ids import DeviceId, RoomId, UserId
from lairchat.storage import log
from lairchat.trust.policy import NO_HEAD, Because, encode_reasons
from lairchat.trust.policy import Removal as Reason
from lairchat.trust.signing import labelled

_SIGN_LABEL: Final = b"MLS 1.0 FramedContentTBS"
"""What an MLS signature over framed content says it is (RFC 9420 section 5.1.2)."""


class Removals:
    """What the server proposes; ``server`` is its identity key."""

    def __init__(self, groups: Groups, server: Callable[[], rules.Server]) -> None:
        self._groups = groups
        self._server = server

    # -- why somebody is to go

    def revoked(
        self,
        connection: Connection,
        _user: UserId,
        account: bytes,
        devices: Sequence[bytes],
        now: int,
    ) -> list[After]:
        """Propose to remove devices from wherever they are, because their account has revoked them."""
        found = [
            leaf
            for device in devices
            for leaf in tables.leaves_of_device(connection, account, device)
        ]
        if not found:
            return []
        account_log = identities.log_of(connection, account)
        assert account_log is not None  # it has just been appended to
        return self.want(connection, found, Reason(Because.REVOKED, account_log.head), now)

    def shut_out(self, connection: Connection, user: UserId, banned: bool, now: int) -> list[After]:
        """Propose to remove somebody who is banned from the server, or do so no more."""
        afters = []
        for account in identities.accounts_of(connection, user):
            if banned:
                found = tables.leaves_of_account(connection, account)
                afters += self.want(connection, found, Reason(Because.BANNED, NO_HEAD), now)
            else:
                tables.drop_removals_of(connection, account, Because.BANNED)
        return afters

    def leave(self, connection: Connection, found: Sequence[Leaf], now: int) -> list[After]:
        """Propose to remove the devices of somebody who leaves."""
        return self.want(connection, found, Reason(Because.LEFT, NO_HEAD), now)

    # -- proposing

    def want(
        self, connection: Connection, found: Iterable[Leaf], reason: Reason, now: int
    ) -> list[After]:
        """Want leaves removed, and propose what may be proposed; return what tells of it."""
        by_room = defaultdict(list)
        for leaf in found:
            by_room[leaf.room].append(leaf)
        return [
            telling(room, self._want_in(connection, room, leaves, reason, now))
            for room, leaves in by_room.items()
        ]

    def _want_in(
        self, connection: Connection, room: RoomId, leaves: list[Leaf], reason: Reason, now: int
    ) -> list[bytes]:
        known = {one.leaf: one for one in tables.removals(connection, room)}
        # What an account says of its own device counts for more than all else, and goes further.
        again = [
            one.leaf
            for one in leaves
            if one.leaf in known and reason.because == Because.REVOKED != known[one.leaf].because
        ]
        tables.drop_removals(connection, room, again)
        said = encode_reasons(reason)
        new = [
            Removal(one.leaf, one.account, one.device, said, reason.because)
            for one in leaves
            if one.leaf not in known or one.leaf in again
        ]
        tables.keep_removals(connection, room, new)
        epoch = self._groups.require(connection, room)
        return self.propose(connection, room, epoch.group, now)

    def propose(
        self, connection: Connection, room: RoomId, group: PublicGroup, now: int
    ) -> list[bytes]:
        """Propose in this epoch what is wanted and may be; return the frames that tell of what is new.

        Frames of what was proposed before and is not wanted so any more nobody can take back: a
        commit may leave it out.
        """
        wanted = tables.removals(connection, room)
        if not wanted:
            return []
        server = self._server()
        logs = KnownLogs(connection)
        forced = rules.in_force(group, wanted, server.public_key, logs)
        frames = [
            self._say(connection, room, group.context, one, server, now)
            for one in wanted
            if one.leaf in forced and not one.proposed
        ]
        tables.set_proposed(connection, room, forced)
        return frames

    def _say(
        self,
        connection: Connection,
        room: RoomId,
        context: GroupContext,
        removal: Removal,
        server: rules.Server,
        now: int,
    ) -> bytes:
        data = propose_removal(context, removal.leaf, removal.reason, server)
        entry = log.Entry(
            room,
            log_rules.SERVER,
            DeviceId(log_rules.SERVER),
            int(EventClass.PROPOSAL),
            log_rules.NIL_ID,
            data,
            now,
        )
        (seq,) = log.append(connection, [entry])
        tables.keep_proposals(connection, room, [tables.Proposal(seq, None, data)])
        return event_frame(MESSAGE.name, event_of(entry, seq, ""))


def propose_removal(context: GroupContext, leaf: int, reason: bytes, server: rules.Server) -> bytes:
    """Return the server's proposal to remove a leaf in this epoch."""
    framed = FramedContent(
        context.group_id, context.epoch, rules.SERVER, reason, ProposalContent(Remove(leaf))
    )
    content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"")
    signature = server.sign(labelled(_SIGN_LABEL, content.to_be_signed(None)))
    return encode_message(PublicMessage(replace(content, signature=signature), None))


def event_of(entry: log.Entry, seq: int, name: str) -> LogEvent:
    """Return an appended event as those in the room are sent it; name: of who sent it."""
    return LogEvent(
        room=entry.room,
        seq=seq,
        at=entry.at,
        user=entry.sender,
        name=name,
        device=entry.device,
        kind=log_rules.kind_word(entry.kind),
        id=entry.id,
        body=entry.body,
    )


def telling(room: RoomId, frames: Sequence[bytes]) -> After:
    """Return what tells those in a room."""

    def after(hub: Hub) -> None:
        for frame in frames:
            hub.publish(room, frame)

    return after


def each(afters: Sequence[After]) -> After:
    """Return what does several things, one after the other."""

    def after(hub: Hub) -> None:
        for tell in afters:
            tell(hub)

    return after
