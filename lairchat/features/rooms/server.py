"""Answers the commands of rooms and direct conversations.

Each change reads what it judges by, decides, writes and appends its statement to the room's log in
one transaction; only then are those concerned told, in the order of the commits.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.engine import Connection

from lairchat.core.bodies import fit
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer, Done, Read, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.accounts import tables as accounts
from lairchat.features.messages import rules as log_rules
from lairchat.features.messages.messages import MESSAGE, StateChange
from lairchat.features.muting import tables as muting
from lairchat.features.rooms import messages, rules, tables
from lairchat.features.rooms.tables import Room
from lairchat.model import limits, refusals
from lairchat.model.ids import RoomId, UserId
from lairchat.model.names import check_room_name, check_topic
from lairchat.model.permissions import RoomAction
from lairchat.model.refusal import Refusal
from lairchat.model.roles import RoomRole, ServerRole
from lairchat.storage import log
from lairchat.wire.contract import Nothing

INVITATIONS = Rate(burst=limits.INVITATIONS_A_DAY, per_second=limits.INVITATIONS_A_DAY / limits.DAY)
"""How often one member may invite another, into whatever room."""

LOBBY_TOPIC = "Everybody is here. The server can read what is written."


class Stated(NamedTuple):
    """A statement that stands in a room's log: its place, and the frame that tells of it."""

    seq: int
    frame: bytes


def state(connection: Connection, room: RoomId, now: int, change: StateChange) -> Stated:
    """Append the server's statement to a room's log."""
    body = log_rules.state_body(change)
    seq = tables.append_state(connection, room, body, now)
    event = log_rules.state_event(room, seq, now, body)
    return Stated(seq, event_frame(MESSAGE.name, event))


def info(
    room: Room,
    role: RoomRole | None,
    head: int,
    partner: tuple[UserId, str] | None = None,
    between: tables.Between = tables.Between(),  # noqa: B008 - a value that nobody changes
) -> messages.RoomInfo:
    """Return what is told of a room.

    partner: who is at the other end of a direct conversation.  between: which others it follows, or
    is followed by.
    """
    return messages.RoomInfo(
        room=room.id,
        name=partner[1] if partner else room.name,
        kind=room.kind,
        access=room.access,
        posting=room.posting,
        crypto=room.crypto,
        topic=room.topic,
        members=room.members,
        head=head,
        role=None if role is None else rules.role_name(role),
        peer=partner[0] if partner else None,
        archived=room.archived,
        follows=between.follows,
        followed_by=between.followed_by,
    )


def infos(
    connection: Connection, user: UserId, found: list[tables.Seen]
) -> list[messages.RoomInfo]:
    """Return what is told of many rooms, in a fixed number of queries."""
    directs = [room.id for room, _ in found if room.direct]
    partners = tables.partners(connection, user, directs) if directs else {}
    names = accounts.names_of(connection, partners.values()) if partners else {}
    between = tables.between(connection, directs) if directs else {}
    ends = log.heads(connection, [room.id for room, _ in found])
    told = []
    for room, role in found:
        other = partners.get(room.id)
        partner = None if other is None else (other, names[other])
        place = between.get(room.id, tables.Between())
        told.append(info(room, role, ends[room.id].seq, partner, place))
    return told


# -- entering and leaving


def enter(
    connection: Connection, session: Session, room: Room, role: RoomRole, now: int
) -> tuple[Room, Stated]:
    """Make the caller a member: the room as it is then, and the statement of it."""
    tables.add(connection, room.id, session.user, role, now)
    stated = state(connection, room.id, now, StateChange(what="joined", by=session.name))
    tables.read_to_end(connection, session.user, room.id)
    return room._replace(members=room.members + 1), stated


def told_entering(
    call: Call, session: Session, reply: messages.RoomInfo, stated: Stated
) -> Callable[[Hub], None]:
    """Return what follows once the caller is in: all the user's devices hear the room from now."""

    def after(hub: Hub) -> None:
        room = RoomId(reply.room)
        hub.enter(session.user, room)
        frame = event_frame(messages.ROOM_JOINED.name, messages.RoomJoined(reply))
        hub.tell(session.user, frame, but=call.peer)
        hub.publish(room, stated.frame)

    return after


def create(call: Call, request: messages.CreateRoom) -> Write[messages.RoomInfo]:
    """Make a room; its maker is its owner and first member."""
    if request.crypto == "mls":
        return create_encrypted(call, request)
    rules.check_plain(request.access)
    session, name = call.session, check_room_name(request.name)
    topic = check_topic(request.topic)

    def change(connection: Connection) -> Done[messages.RoomInfo]:
        if tables.seen_by_name(connection, name, session.user) is not None:
            raise refusals.RoomTaken(name=name, field="$.name")
        require_place(connection, session.user)
        room = tables.create(
            connection,
            kind="room",
            name=name,
            access="public",
            posting=request.posting,
            topic=topic,
            by=session.user,
            now=call.now,
        )
        tables.add(connection, room.id, session.user, RoomRole.OWNER, call.now)
        stated = state(connection, room.id, call.now, StateChange(what="created", by=session.name))
        reply = info(room._replace(members=1), RoomRole.OWNER, stated.seq)
        return Done(reply, told_entering(call, session, reply, stated))

    return Write(change)


def create_encrypted(call: Call, request: messages.CreateRoom) -> Write[messages.RoomInfo]:
    """Make an encrypted room, whose group is yet to be founded; its maker is a member, not more."""
    session = call.session
    rules.check_encrypted(request.access, request.name, request.topic)

    def change(connection: Connection) -> Done[messages.RoomInfo]:
        call.kernel.encrypting(connection, [session.user])
        require_place(connection, session.user)
        room = tables.create(
            connection,
            kind="room",
            name="",
            access="private",
            posting="members",
            topic="",
            by=session.user,
            now=call.now,
            crypto="mls",
        )
        tables.add(connection, room.id, session.user, RoomRole.MEMBER, call.now)
        stated = state(connection, room.id, call.now, StateChange(what="created", by=session.name))
        reply = info(room._replace(members=1), RoomRole.MEMBER, stated.seq)
        return Done(reply, told_entering(call, session, reply, stated))

    return Write(change)


def require_place(connection: Connection, user: UserId) -> None:
    """Refuse a user who is in as many rooms as one may be."""
    if tables.joined(connection, user) >= limits.ROOMS_JOINED:
        raise refusals.RoomsMax(limit=limits.ROOMS_JOINED)


def join(call: Call, request: messages.JoinRoom) -> Write[messages.RoomInfo]:
    """Enter a room by name.

    To outsiders a private room is answered like one that does not exist, after the same queries;
    also when they are banned from it.
    """
    session, name = call.session, check_room_name(request.name)

    def change(connection: Connection) -> Done[messages.RoomInfo]:
        found = tables.seen_by_name(connection, name, session.user)
        room, role = found or (None, None)
        number = RoomId(0) if room is None else room.id
        invited = tables.invited(connection, number, session.user)
        banned = refused_by_features(call, connection, number, session.user)
        if room is None:
            raise refusals.RoomUnknown(field="$.name")
        rules.require(RoomAction.JOIN, room, role, invited=invited)
        if role is not None:
            head = log.heads(connection, [room.id])[room.id].seq
            return Done(info(room, role, head))
        if banned is not None:
            raise banned
        if room.members >= limits.ROOM_MEMBERS:
            raise refusals.RoomFull(limit=limits.ROOM_MEMBERS)
        require_place(connection, session.user)
        role = rules.role_on_joining(session.role, servers_own=room.servers_own)
        room, stated = enter(connection, session, room, role, call.now)
        reply = info(room, role, stated.seq)
        return Done(reply, told_entering(call, session, reply, stated))

    return Write(change)


def refused_by_features(
    call: Call, connection: Connection, room: RoomId, user: UserId
) -> Refusal | None:
    """Return why a feature keeps a user out of a room, or None."""
    try:
        call.kernel.joining(connection, room, user)
    except Refusal as refusal:
        return refusal
    return None


def leave(call: Call, request: messages.LeaveRoom) -> Write[Nothing]:
    """Leave a room; whom its last member leaves is put away, and its name is free again."""
    session = call.session

    def change(connection: Connection) -> Done[Nothing]:
        room, role = tables.room_for(connection, RoomId(request.room), session.user)
        rules.require(RoomAction.LEAVE, room, role)
        assert role is not None
        # Nobody is given a role in a legacy room any more, so that its owner could never go.
        if room.members > 1 and not room.legacy:
            owners = tables.owners(connection, room.id)
            rules.require_owner_stays(role, owners=owners, servers_own=room.servers_own)
        tables.remove(connection, room.id, session.user)
        stated = state(connection, room.id, call.now, StateChange(what="left", by=session.name))
        if rules.is_abandoned(members=room.members - 1, servers_own=room.servers_own):
            tables.archive(connection, room.id)

        def after(hub: Hub) -> None:
            hub.exit(session.user, room.id)
            left = messages.RoomLeft(
                room=room.id, code=rules.LEFT, text=f"you left #{room.name} on another device"
            )
            frame = event_frame(messages.ROOM_LEFT.name, left)
            hub.tell(session.user, frame, but=call.peer)
            hub.publish(room.id, stated.frame)

        return Done(Nothing(), after)

    return Write(change)


def invite(call: Call, request: messages.InviteUser) -> Write[Nothing]:
    """Invite somebody: they are told at once, and find the room in their list.

    Only of the first invitation: whoever repeats it cannot make a device ring again and again,
    nor whoever makes a new room for each.  The first is that of the first whom they hear of.
    """
    session, throttle = call.session, call.kernel.throttle
    # Asked here and counted after the commit, both on this thread.  What comes in between is
    # bounded by those that may wait.
    counted = rules.counted(session.user, request.name)
    wait = throttle.peek(counted, INVITATIONS)

    def change(connection: Connection) -> Done[Nothing]:
        room, role = tables.room_for(connection, RoomId(request.room), session.user)
        rules.require(RoomAction.INVITE, room, role)
        guest = accounts.require_user(connection, request.name)
        target = tables.role_of(connection, room.id, guest.id)
        rules.require(RoomAction.INVITE, room, role, target=target)
        call.kernel.joining(connection, room.id, guest.id)
        before = tables.inviters(connection, room.id, guest.id)
        if session.user in before:
            return Done(Nothing())
        waiting = tables.waiting(connection, guest.id, session.user)
        rules.require_few(guest.name, waiting=waiting, wait=wait)
        tables.invite(connection, room.id, guest.id, session.user, call.now)
        muted = muting.muted_by(connection, guest.id)
        rings = rules.rings(session.user, before, muted)
        # Said in the room of the very first one, whoever is heard: else it would tell of the muting.
        invited = StateChange(what="invited", by=session.name, whom=guest.name)
        stated = None if before else state(connection, room.id, call.now, invited)

        def after(hub: Hub) -> None:
            throttle.take(counted, INVITATIONS)
            if rings:
                event = messages.RoomInvited(room=room.id, name=room.name, by=session.name)
                hub.tell(guest.id, event_frame(messages.ROOM_INVITED.name, event))
            if stated is not None:
                hub.publish(room.id, stated.frame)

        return Done(Nothing(), after)

    return Write(change)


# -- what a room is


def topic(call: Call, request: messages.SetTopic) -> Write[Nothing]:
    """Set a room's topic."""
    session, text = call.session, check_topic(request.topic)

    def change(connection: Connection) -> Done[Nothing]:
        room, role = tables.room_for(connection, RoomId(request.room), session.user)
        rules.require(RoomAction.TOPIC, room, role)
        if text == room.topic:
            return Done(Nothing())
        tables.set_topic(connection, room.id, text)
        changed = StateChange(what="topic", by=session.name, text=text)
        return Done(Nothing(), publishing(room.id, state(connection, room.id, call.now, changed)))

    return Write(change)


def publishing(room: RoomId, stated: Stated) -> After:
    """Return what tells a statement to those in the room."""
    return lambda hub: hub.publish(room, stated.frame)


def set_role(call: Call, request: messages.SetRole) -> Write[Nothing]:
    """Give a member another role; of one's own one may only step down."""
    session, granted = call.session, RoomRole.from_word(request.role)

    def change(connection: Connection) -> Done[Nothing]:
        room, role = tables.room_for(connection, RoomId(request.room), session.user)
        rules.require(RoomAction.STEP_DOWN, room, role)
        member = accounts.user_by_name(connection, request.name)
        if member is not None and member.id == session.user:
            assert role is not None
            target = role
            rules.require_step_down(role, granted)
        else:
            # Whoever may give no role at all learns nothing of names.
            rules.require(RoomAction.SET_ROLE, room, role, target=RoomRole.GUEST)
            if member is None:
                raise refusals.UserUnknown(name=request.name, field="$.name")
            found = tables.role_of(connection, room.id, member.id)
            rules.require(RoomAction.SET_ROLE, room, role, target=found, granted=granted)
            assert found is not None
            target = found
        if granted is target:
            return Done(Nothing())
        owners = tables.owners(connection, room.id)
        rules.require_owner_stays(target, owners=owners, servers_own=room.servers_own)
        tables.set_role(connection, room.id, member.id, granted)
        changed = StateChange(what="role", by=session.name, whom=member.name, text=granted.word)
        return Done(Nothing(), publishing(room.id, state(connection, room.id, call.now, changed)))

    return Write(change)


# -- lists


def list_rooms(call: Call, request: messages.ListRooms) -> Read[messages.RoomList]:
    """List the rooms that the caller may know of, by name.

    A private room with no role in it is one that the caller is invited to, by somebody whose
    invitations are not hidden.
    """
    user = call.session.user

    def query(connection: Connection) -> messages.RoomList:
        muted = muting.muted_by(connection, user)
        found = tables.listed(connection, user, request.after, request.limit + 1, muted)
        return page_of(infos(connection, user, found), request.limit)

    return Read(query)


def my_rooms(call: Call, request: messages.MyRooms) -> Read[messages.RoomList]:
    """List what the caller is a member of, by number."""
    user = call.session.user

    def query(connection: Connection) -> messages.RoomList:
        found = tables.mine(connection, user, request.after, limits.ROOMS_PAGE + 1)
        return page_of(infos(connection, user, found), limits.ROOMS_PAGE)

    return Read(query)


def page_of(told: list[messages.RoomInfo], limit: int) -> messages.RoomList:
    """Cut a list, read one entry further than asked, to what was asked and fits a frame."""
    kept, more = fit(told[:limit])
    return messages.RoomList(rooms=kept, more=more or len(told) > limit)


async def members(call: Call, request: messages.ListMembers) -> Answer[messages.MemberList]:
    """List a room's members by name; who is online is known here, on the reactor's thread."""
    user, kernel = call.session.user, call.kernel

    def query(connection: Connection) -> tuple[int, list[tuple[accounts.User, RoomRole]]]:
        room, role = tables.room_for(connection, RoomId(request.room), user)
        rules.require(RoomAction.LIST_MEMBERS, room, role)
        named = accounts.page_by_name(
            connection, tables.members_of(room.id), request.after, request.limit + 1
        )
        roles = tables.roles_in(connection, room.id, [one.id for one in named])
        return room.members, [(one, roles[one.id]) for one in named]

    total, found = await kernel.storage.read(query)
    told = [
        messages.Member(
            user=one.id, name=one.name, role=rules.role_name(role), online=kernel.hub.online(one.id)
        )
        for one, role in found[: request.limit]
    ]
    here = kernel.hub.here(RoomId(request.room))
    return Answer(
        messages.MemberList(members=told, more=len(found) > request.limit, total=total, here=here)
    )


# -- direct conversations


def open_direct(call: Call, request: messages.OpenDirect) -> Write[messages.RoomInfo]:
    """Open the direct conversation with somebody; the writer's order decides who makes it.

    One from before encryption is only found, so that it can be read.
    """
    session = call.session

    def change(connection: Connection) -> Done[messages.RoomInfo]:
        other = accounts.require_user(connection, request.name)
        if other.id == session.user:
            raise refusals.OnSelf(field="$.name")
        there = tables.direct_between(connection, session.user, other.id, request.crypto)
        if there is not None:
            return Done(known_direct(connection, session, there))
        if request.crypto == "plain":
            raise refusals.RoomUnencrypted(field="$.crypto")
        return make_direct(call, connection, other, None)

    return Write(change)


def refound_direct(call: Call, request: messages.RefoundDirect) -> Write[messages.RoomInfo]:
    """Open a conversation in the place of one that is held for good; either of its two people may.

    That it is held only they can see.  What they can do by it is bounded, and hides nothing: the one
    before stays in both lists.
    """
    session = call.session

    def change(connection: Connection) -> Done[messages.RoomInfo]:
        room, role = tables.room_for(connection, RoomId(request.room), session.user)
        rules.require_encrypted(room, role)
        if not room.direct:
            raise refusals.RoomEncrypted(field="$.room")
        if room.archived:
            raise refusals.RoomArchived
        partner = tables.partners(connection, session.user, [room.id])[room.id]
        last = tables.direct_between(connection, session.user, partner, "mls")
        assert last is not None  # this one, if there is no later one
        if last != room.id:
            return Done(known_direct(connection, session, last))
        since = call.now - limits.DAY * 1000
        count, first = tables.founded_anew(connection, session.user, partner, since, call.now)
        rules.require_rarely(count, wait=(first - since) / 1000)
        other = accounts.user_by_id(connection, partner)
        assert other is not None
        return make_direct(call, connection, other, room.id)

    return Write(change)


def known_direct(connection: Connection, session: Session, room: RoomId) -> messages.RoomInfo:
    """Return what is told of a direct conversation of the caller's."""
    (told,) = infos(connection, session.user, [tables.room_for(connection, room, session.user)])
    return told


def make_direct(
    call: Call, connection: Connection, other: accounts.User, follows: RoomId | None
) -> Done[messages.RoomInfo]:
    """Make the encrypted conversation of the caller and somebody else, both of them in it."""
    session = call.session
    if tables.opened(connection, session.user) >= rules.DIRECTS_OPENED:
        raise refusals.RoomsMax(limit=rules.DIRECTS_OPENED)
    call.kernel.encrypting(connection, [session.user, other.id])
    room = tables.create(
        connection,
        kind="direct",
        name="",
        access="private",
        posting="members",
        topic="",
        by=session.user,
        now=call.now,
        crypto="mls",
    )
    tables.keep_direct(connection, session.user, other.id, room.id, "mls", follows)
    for user in (session.user, other.id):
        tables.add(connection, room.id, user, RoomRole.MEMBER, call.now)
    stated = state(connection, room.id, call.now, StateChange(what="created", by=session.name))
    room = room._replace(members=2)
    place = tables.Between(follows)
    mine = info(room, RoomRole.MEMBER, stated.seq, (other.id, other.name), place)
    theirs = info(room, RoomRole.MEMBER, stated.seq, (session.user, session.name), place)

    def after(hub: Hub) -> None:
        hub.enter(other.id, room.id)
        frame = event_frame(messages.ROOM_JOINED.name, messages.RoomJoined(theirs))
        hub.tell(other.id, frame)
        told_entering(call, session, mine, stated)(hub)

    return Done(mine, after)


# -- what other features' events mean here


def lobby(connection: Connection, now: int) -> Room:
    """Return the lobby, made on first use: everybody's first room, the server's own."""
    found = tables.seen_by_name(connection, rules.LOBBY, UserId(0))
    if found is not None:
        return found[0]
    return tables.create(
        connection,
        kind="room",
        name=rules.LOBBY,
        access="public",
        posting="everyone",
        topic=LOBBY_TOPIC,
        by=None,
        now=now,
    )


def registered(connection: Connection, user: UserId, name: str, now: int) -> After | None:
    """Let a new account into the lobby, in the transaction that makes it."""
    room = lobby(connection, now)
    if room.members >= limits.ROOM_MEMBERS:
        return None  # no reason to refuse the account
    account = accounts.user_by_id(connection, user)
    assert account is not None
    role = rules.role_on_joining(account.role, servers_own=room.servers_own)
    tables.add(connection, room.id, user, role, now)
    stated = state(connection, room.id, now, StateChange(what="joined", by=name))
    tables.read_to_end(connection, user, room.id)

    def after(hub: Hub) -> None:
        hub.enter(user, room.id)
        hub.publish(room.id, stated.frame)

    return after


def role_given(
    connection: Connection, user: UserId, role: ServerRole, by: str, now: int
) -> list[After]:
    """Let somebody have in the server's own rooms the role that they now have on the server."""
    account = accounts.user_by_id(connection, user)
    assert account is not None
    granted = rules.role_on_joining(role, servers_own=True)
    afters = []
    for room in tables.servers_own_of(connection, user):
        tables.set_role(connection, room, user, granted)
        changed = StateChange(what="role", by=by, whom=account.name, text=granted.word)
        afters.append(publishing(room, state(connection, room, now, changed)))
    return afters


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="rooms",
        needs=("accounts", "muting"),
        handlers={
            messages.CREATE: create,
            messages.LIST: list_rooms,
            messages.MINE: my_rooms,
            messages.JOIN: join,
            messages.LEAVE: leave,
            messages.TOPIC: topic,
            messages.MEMBERS: members,
            messages.INVITE: invite,
            messages.ROLE: set_role,
            messages.DIRECT: open_direct,
            messages.REFOUND: refound_direct,
        },
        events=messages.EVENTS,
        registered=registered,
        role_given=role_given,
        attached=tables.rooms_of,
    )
