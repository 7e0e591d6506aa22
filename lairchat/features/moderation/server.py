"""Answers kick, ban and unban.

Who may do it to whom is judged in the transaction that does it.  A join that is on its way at the
same moment comes before or after it in the writer's order: before, it is undone by the ban; after,
it is refused.
"""

from typing import NamedTuple

from sqlalchemy.engine import Connection

from lairchat.core.bodies import fit
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Done, Read, Write
from lairchat.core.session import Session
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import User
from lairchat.features.messages import rules as log_rules
from lairchat.features.messages.messages import MESSAGE, StateChange
from lairchat.features.moderation import messages, rules, tables
from lairchat.features.moderation.tables import Ban
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import ROOM_LEFT, RoomLeft
from lairchat.features.rooms.tables import Room
from lairchat.model import limits, refusals
from lairchat.model.ids import RoomId, UserId
from lairchat.model.permissions import RoomAction
from lairchat.model.roles import RoomRole
from lairchat.wire.contract import Nothing


class Aim(NamedTuple):
    """Whom an action is aimed at: the room, the person, and the role there (None: no member)."""

    room: Room
    user: User
    role: RoomRole | None


def aim(connection: Connection, session: Session, action: RoomAction, room: int, name: str) -> Aim:
    """Find whom the caller means, and refuse what the rule table refuses."""
    there, role = rooms.room_for(connection, RoomId(room), session.user)
    # Whoever may do it to nobody learns nothing of names.
    room_rules.require(action, there, role, target=RoomRole.GUEST)
    user = accounts.require_user(connection, name)
    if user.id == session.user:
        raise refusals.OnSelf(field="$.name")
    target = rooms.role_of(connection, there.id, user.id)
    room_rules.require(action, there, role, target=target)
    return Aim(there, user, target)


def state(connection: Connection, room: RoomId, now: int, change: StateChange) -> bytes:
    """Append the server's statement to the room's log, and return the frame that tells of it."""
    body = log_rules.state_body(change)
    seq = rooms.append_state(connection, room, body, now)
    return event_frame(MESSAGE.name, log_rules.state_event(room, seq, now, body))


def kick(call: Call, request: messages.Kick) -> Write[Nothing]:
    """Remove a member, who may come back."""
    session, reason = call.session, rules.clean_reason(request.reason)

    def change(connection: Connection) -> Done[Nothing]:
        room, user, _ = aim(connection, session, RoomAction.KICK, request.room, request.name)
        rooms.remove(connection, room.id, user.id)
        kicked = StateChange(what="kicked", by=session.name, whom=user.name, text=reason or None)
        stated = state(connection, room.id, call.now, kicked)
        text = rules.farewell(session.name, room.name, "removed", reason)
        left = RoomLeft(room=room.id, code=room_rules.KICKED, text=text)
        return Done(Nothing(), removing(user.id, left, stated))

    return Write(change)


def removing(user: UserId, left: RoomLeft, stated: bytes) -> After:
    """Return what follows a removal: the user hears the room no more, is told why, then the room."""

    def after(hub: Hub) -> None:
        room = RoomId(left.room)
        hub.exit(user, room)
        hub.tell(user, event_frame(ROOM_LEFT.name, left))
        hub.publish(room, stated)

    return after


def ban(call: Call, request: messages.Ban) -> Write[Nothing]:
    """Keep somebody out, and remove them if they are in; banning again changes nothing."""
    session, reason = call.session, rules.clean_reason(request.reason)

    def change(connection: Connection) -> Done[Nothing]:
        room, user, role = aim(connection, session, RoomAction.BAN, request.room, request.name)
        if tables.is_banned(connection, room.id, user.id):
            return Done(Nothing())
        if tables.count_bans(connection, room.id) >= limits.BANS_PER_ROOM:
            raise refusals.BansMax(limit=limits.BANS_PER_ROOM)
        tables.keep_ban(connection, room.id, user.id, Ban(session.user, call.now, reason))
        rooms.uninvite(connection, room.id, user.id)
        banned = StateChange(what="banned", by=session.name, whom=user.name, text=reason or None)
        if role is None:
            return Done(Nothing(), telling(room.id, state(connection, room.id, call.now, banned)))
        rooms.remove(connection, room.id, user.id)
        stated = state(connection, room.id, call.now, banned)
        text = rules.farewell(session.name, room.name, "banned", reason)
        left = RoomLeft(room=room.id, code=room_rules.BANNED, text=text)
        return Done(Nothing(), removing(user.id, left, stated))

    return Write(change)


def telling(room: RoomId, stated: bytes) -> After:
    """Return what tells a statement to those in the room."""
    return lambda hub: hub.publish(room, stated)


def unban(call: Call, request: messages.Unban) -> Write[Nothing]:
    """Let somebody back in, to join by themselves; who is not banned stays as they are."""
    session = call.session

    def change(connection: Connection) -> Done[Nothing]:
        room, user, _ = aim(connection, session, RoomAction.UNBAN, request.room, request.name)
        if not tables.lift_ban(connection, room.id, user.id):
            return Done(Nothing())
        unbanned = StateChange(what="unbanned", by=session.name, whom=user.name)
        return Done(Nothing(), telling(room.id, state(connection, room.id, call.now, unbanned)))

    return Write(change)


def list_bans(call: Call, request: messages.ListBans) -> Read[messages.BanList]:
    """List who is kept out of a room, for those who could let them back in."""
    session = call.session

    def query(connection: Connection) -> messages.BanList:
        room, role = rooms.room_for(connection, RoomId(request.room), session.user)
        room_rules.require(RoomAction.UNBAN, room, role)
        found = accounts.page_by_name(
            connection, tables.banned_from(room.id), request.after, rules.BANS_PAGE + 1
        )
        kept = tables.bans_on(connection, room.id, [user.id for user in found])
        names = accounts.names_of(connection, {ban.by for ban in kept.values()})
        told = [_told(user.name, kept[user.id], names) for user in found[: rules.BANS_PAGE]]
        fitting, cut = fit(told)
        return messages.BanList(bans=fitting, more=cut or len(found) > rules.BANS_PAGE)

    return Read(query)


def _told(name: str, ban: Ban, names: dict[UserId, str]) -> messages.BanInfo:
    return messages.BanInfo(name=name, by=names[ban.by], at=ban.at, reason=ban.reason)


def joining(connection: Connection, room: RoomId, user: UserId) -> None:
    """Keep out who is banned; raises Banned."""
    if tables.is_banned(connection, room, user):
        raise refusals.Banned


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="moderation",
        needs=("accounts", "rooms"),
        handlers={
            messages.KICK: kick,
            messages.BAN: ban,
            messages.UNBAN: unban,
            messages.BANS: list_bans,
        },
        joining=joining,
    )
