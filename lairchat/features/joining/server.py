"""Answers for those who come into encrypted rooms: invited by name, or with a code.

Nobody is added who has not agreed to it here: the transaction of the commit that brings somebody in
takes their consent with it (``adding``).  The invitations are those of the rooms feature, with the same
bounds; who may invite, offer and look says the room's signed policy.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy.engine import Connection

from lairchat.core.bodies import PAGE_BYTES, fit, size_of
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Done, Read, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.accounts import tables as accounts
from lairchat.features.delivery import rules as delivery_rules
from lairchat.features.delivery import tables as delivery
from lairchat.features.identities import tables as identities
from lairchat.features.joining import messages, rules, tables
from lairchat.features.key_packages import rules as key_package_rules
from lairchat.features.muting import tables as muting
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.model import limits, refusals
from lairchat.model.ids import RoomId, SessionId, UserId
from lairchat.trust.leaf import LeafIdentity
from lairchat.wire.contract import Nothing

INVITATIONS = Rate(burst=limits.INVITATIONS_A_DAY, per_second=limits.INVITATIONS_A_DAY / limits.DAY)
"""How often one member may invite another, into whatever room."""
KNOCKS = Rate(burst=limits.KNOCKS, per_second=limits.KNOCKS_PER_HOUR / limits.HOUR)
"""How many codes one account may try."""
SWEPT_PER_UPKEEP = 500
"""count: codes, and invitations, that one round of upkeep deletes; more would hold up the writer."""


def require_place(connection: Connection, user: UserId) -> None:
    """Refuse who is in as many rooms as one may be: nobody could add them."""
    if rooms.joined(connection, user) >= limits.ROOMS_JOINED:
        raise refusals.RoomsMax(limit=limits.ROOMS_JOINED)


def telling(found: Iterable[RoomId]) -> After:
    """Return what tells those in some rooms that others wait there than before."""
    told = [
        (room, event_frame(messages.JOINING.name, messages.GroupJoining(room))) for room in found
    ]

    def after(hub: Hub) -> None:
        for room, frame in told:
            hub.publish(room, frame)

    return after


class Joining:
    """The handlers; server: its identity key, which is in every room's policy."""

    def __init__(self, server: Callable[[], delivery_rules.Server]) -> None:
        self._server = server

    # -- who may add people

    def _door(self, connection: Connection, room: RoomId) -> rules.Door | None:
        """Return who lets people into a room, or None while nobody has founded its group."""
        context = delivery.context_now(connection, room)
        if context is None:
            return None
        policy = delivery_rules.policy_in(context, self._server().public_key)
        return rules.Door(policy, delivery.accounts_staying(connection, room))

    def _require_adder(self, connection: Connection, session: Session, room: RoomId) -> rules.Door:
        """Refuse a session that may not let people into a room."""
        found, role = rooms.room_for(connection, room, session.user)
        room_rules.require_encrypted(found, role)
        if found.archived:
            raise refusals.RoomArchived
        identity = identities.require_proven(connection, session.id)
        door = self._door(connection, room)
        if door is None:
            raise refusals.GroupMissing
        door.require(identity.account)
        return door

    def _invited(
        self, connection: Connection, door: rules.Door | None, by: Iterable[UserId]
    ) -> list[UserId]:
        """Return those of some who may let people in: the word of others counts no more."""
        if door is None:
            return []
        return [one for one in by if door.opens_to(identities.accounts_of(connection, one))]

    # -- by name

    def invite(self, call: Call, request: messages.InviteMember) -> Write[Nothing]:
        """Invite somebody; they are told of the first invitation, and are added once they accept."""
        session, throttle, room = call.session, call.kernel.throttle, RoomId(request.room)
        counted = room_rules.counted(session.user, request.name)
        wait = throttle.peek(counted, INVITATIONS)

        def change(connection: Connection) -> Done[Nothing]:
            self._require_adder(connection, session, room)
            guest = accounts.require_user(connection, request.name)
            if rooms.role_of(connection, room, guest.id) is not None:
                raise refusals.AlreadyMember
            known = identities.kept_log_of(connection, guest.id)
            # To everybody else an account that is locked or banned is as if it had no devices.
            if known is None or call.kernel.role_left(connection, guest.id) is None:
                raise refusals.IdentityUnknown(field="$.name")
            before = rooms.inviters(connection, room, guest.id)
            if session.user in before:
                return Done(Nothing())
            waiting = rooms.waiting(connection, guest.id, session.user)
            room_rules.require_few(guest.name, waiting=waiting, wait=wait)
            rooms.invite(connection, room, guest.id, session.user, call.now)
            rings = room_rules.rings(session.user, before, muting.muted_by(connection, guest.id))

            def after(hub: Hub) -> None:
                throttle.take(counted, INVITATIONS)
                if rings:
                    event = messages.GroupInvited(room=room, by=session.name)
                    hub.tell(guest.id, event_frame(messages.INVITED.name, event))

            return Done(Nothing(), after)

        return Write(change)

    def invitations(
        self, call: Call, _request: messages.ListInvitations
    ) -> Read[messages.Invitations]:
        """List the caller's invitations, but for those of people that they do not want to hear of."""
        user = call.session.user

        def query(connection: Connection) -> messages.Invitations:
            muted = muting.muted_by(connection, user)
            heard = [one for one in rooms.invited_to(connection, user) if one.by not in muted]
            doors = {one.room: self._door(connection, one.room) for one in heard}
            found = [one for one in heard if self._invited(connection, doors[one.room], [one.by])]
            names = accounts.names_of(connection, {one.by for one in found})
            told = [messages.Invitation(one.room, names[one.by], one.at) for one in found]
            return messages.Invitations(fit(told)[0])

        return Read(query)

    def accept(self, call: Call, request: messages.AnswerInvitation) -> Write[Nothing]:
        """Note that the caller agrees to be added; to who is not invited the room does not exist."""
        session, room = call.session, RoomId(request.room)

        def change(connection: Connection) -> Done[Nothing]:
            identities.require_proven(connection, session.id)
            if rooms.role_of(connection, room, session.user) is not None:
                raise refusals.AlreadyMember
            inviters = rooms.inviters(connection, room, session.user)
            if not self._invited(connection, self._door(connection, room), inviters):
                raise refusals.RoomUnknown
            require_place(connection, session.user)
            new = rooms.accept(connection, room, session.user, call.now)
            return Done(Nothing(), telling([room] if new else []))

        return Write(change)

    def decline(self, call: Call, request: messages.AnswerInvitation) -> Write[Nothing]:
        """Drop the caller's invitations into an encrypted room; without any nothing happens."""
        user, room = call.session.user, RoomId(request.room)

        def change(connection: Connection) -> Done[Nothing]:
            if self._door(connection, room) is None:  # invitations into others are not for this
                return Done(Nothing())
            gone = rooms.uninvite(connection, room, user)
            return Done(Nothing(), telling([room] if gone else []))

        return Write(change)

    # -- with a code

    def offer(self, call: Call, request: messages.OfferCode) -> Write[Nothing]:
        """Let a code work, or end it."""
        session, room, now = call.session, RoomId(request.room), call.now
        until = min(request.until, now + limits.INVITE_SECONDS_MAX * 1000)

        def change(connection: Connection) -> Done[Nothing]:
            self._require_adder(connection, session, room)
            before = tables.code(connection, request.locator)
            if before is not None and before.room != room:
                raise refusals.CodeTaken(field="$.locator")
            if not request.uses or until <= now:
                dropped = tables.end_code(connection, request.locator)
                return Done(Nothing(), telling([room] if dropped else []))
            works = before is not None and before.until > now
            if not works and tables.count_codes(connection, room, now) >= limits.ROOM_CODES:
                raise refusals.CodesMax(limit=limits.ROOM_CODES)
            used = 0 if before is None else before.used
            kept = tables.Code(request.locator, room, session.user, request.uses, used, until)
            tables.keep_code(connection, kept)
            left = max(0, request.uses - used)
            dropped = tables.keep_knocks(connection, request.locator, left)
            return Done(Nothing(), telling([room] if dropped else []))

        return Write(change)

    async def knock(self, call: Call, request: messages.KnockWithCode) -> Write[Nothing]:
        """Let the caller wait to be let in; of two who want the last use the writer's order decides."""
        session, kernel, now = call.session, call.kernel, call.now
        if wait := kernel.throttle.take(("knocks", session.user), KNOCKS):
            raise refusals.RateLimited(retry_after=wait)

        def verify(connection: Connection) -> LeafIdentity:
            identity = identities.require_proven(connection, session.id)
            log = identities.log_of(connection, identity.account)
            assert log is not None  # a device of it has proven itself
            key_package_rules.check_devices(request.packages, log, now)
            return identity

        identity = await kernel.storage.read(verify)

        def change(connection: Connection) -> Done[Nothing]:
            # The proof may have gone with the device meanwhile.
            if identities.proven(connection, session.id) != identity:
                raise refusals.DeviceUnproven
            code = tables.code(connection, request.locator)
            if code is None or not self._invited(
                connection, self._door(connection, code.room), [code.by]
            ):
                raise refusals.CodeUnknown(field="$.locator")
            others = tables.count_knocks(connection, code.locator, session.user)
            rules.require_use(code, others, now)
            there, role = rooms.room_for(connection, code.room, session.user)
            if role is not None:
                raise refusals.AlreadyMember
            if there.archived or not there.members:  # put away, left by all, or deleted
                raise refusals.CodeUnknown(field="$.locator")
            require_place(connection, session.user)
            elsewhere = set(tables.rooms_knocked(connection, session.user)) - {code.room}
            if len(elsewhere) >= limits.KNOCKS_WAITING:
                raise refusals.KnocksMax(limit=limits.KNOCKS_WAITING)
            packages = rules.pack(request.packages)
            tables.keep_knock(
                connection, code.room, session.user, code.locator, now, request.body, packages
            )
            return Done(Nothing(), telling([code.room]))

        return Write(change)

    def unknock(self, call: Call, request: messages.TakeBackKnock) -> Write[Nothing]:
        """Let the caller wait no more."""
        user = call.session.user

        def change(connection: Connection) -> Done[Nothing]:
            room = tables.take_back(connection, request.locator, user)
            return Done(Nothing(), telling([] if room is None else [room]))

        return Write(change)

    # -- what members see and decide

    def joiners(self, call: Call, request: messages.AskJoiners) -> Read[messages.Joiners]:
        """List who waits to be added."""
        session, room, now = call.session, RoomId(request.room), call.now

        def query(connection: Connection) -> messages.Joiners:
            door = self._require_adder(connection, session, room)
            invited = self._accepted(connection, door, room, request.after)
            knocking = tables.knocking(connection, room, request.after, now)
            waiting = sorted({*invited, *knocking})
            people: list[messages.Joiner] = []
            knocks: list[messages.Knock] = []
            budget = PAGE_BYTES
            names = accounts.names_of(connection, {*waiting, *invited.values()})
            for user in waiting:
                person = _joiner(connection, user, invited.get(user), names)
                knock = self._knock(connection, door, room, user, now)
                told = None if knock is None else _told(knock, names)
                budget -= sum(size_of(one) for one in (person, told) if one is not None)
                if budget < 0:
                    return messages.Joiners(people, knocks, more=True)
                people += [person] if person is not None else []
                knocks += [told] if told is not None else []
            return messages.Joiners(people, knocks)

        return Read(query)

    def refuse(self, call: Call, request: messages.RefuseJoiner) -> Write[Nothing]:
        """Turn somebody away, whichever way they were to come."""
        session, room, user = call.session, RoomId(request.room), UserId(request.user)

        def change(connection: Connection) -> Done[Nothing]:
            self._require_adder(connection, session, room)
            gone = rooms.uninvite(connection, room, user)
            gone |= tables.drop_knock(connection, room, user)
            return Done(Nothing(), telling([room] if gone else []))

        return Write(change)

    def _accepted(
        self, connection: Connection, door: rules.Door, room: RoomId, after: int = 0
    ) -> dict[UserId, UserId]:
        """Return who has accepted an invitation that counts, each with one who has invited them."""
        found: dict[UserId, UserId] = {}
        counts: dict[UserId, bool] = {}
        for one in rooms.accepted(connection, room, after):
            if one.by not in counts:
                counts[one.by] = bool(self._invited(connection, door, [one.by]))
            if counts[one.by]:
                found.setdefault(one.user, one.by)
        return found

    def _knock(
        self, connection: Connection, door: rules.Door, room: RoomId, user: UserId, now: int
    ) -> tables.Knock | None:
        """Return the knock of a user at a room, if the code is still that of one who may add people."""
        knock = tables.knock(connection, room, user, now)
        if knock is None or not self._invited(connection, door, [knock.by]):
            return None
        return knock

    # -- what others' changes mean here

    def adding(
        self, connection: Connection, room: RoomId, users: Sequence[UserId], now: int
    ) -> list[After]:
        """Take the consent of those whom a commit brings in; raises GroupUninvited.

        By the policy before that commit, and before anything is written.  Their invitations go when
        they become members.
        """
        door = self._door(connection, room)
        assert door is not None  # a commit was judged by it
        accepted = self._accepted(connection, door, room)
        knocks = []
        for user in users:
            knock = self._knock(connection, door, room, user, now)
            if knock is not None:
                knocks.append(knock)
            elif user not in accepted:
                name = accounts.names_of(connection, [user])[user]
                raise refusals.GroupUninvited(name=name, field="$.message")
        for knock in knocks:
            tables.use(connection, knock.locator)
            tables.drop_knock(connection, room, knock.user)
        return [telling([room])]

    def shut_out(
        self, connection: Connection, user: UserId, banned: bool, _now: int
    ) -> list[After]:
        """Let somebody who is banned from the server for good wait nowhere."""
        if not banned:
            return []
        left = rooms.withdraw_all(connection, user)
        return [telling({*left, *_forget_knocks(connection, user)})]


def _joiner(
    connection: Connection, user: UserId, by: UserId | None, names: dict[UserId, str]
) -> messages.Joiner | None:
    kept = None if by is None else identities.kept_log_of(connection, user)
    if by is None or kept is None:
        return None
    return messages.Joiner(user, names[user], kept.account, names[by])


def _told(knock: tables.Knock, names: dict[UserId, str]) -> messages.Knock:
    return messages.Knock(
        locator=knock.locator,
        user=knock.user,
        name=names[knock.user],
        body=knock.body,
        packages=rules.unpack(knock.packages),
        at=knock.at,
    )


def _forget_knocks(connection: Connection, user: UserId) -> Collection[RoomId]:
    found = tables.rooms_knocked(connection, user)
    for room in found:
        tables.drop_knock(connection, room, user)
    return found


def revoked(
    connection: Connection, user: UserId, _account: bytes, _devices: Sequence[bytes], _now: int
) -> list[After]:
    """Forget the knocks of somebody who revokes a device: it could be among those to add."""
    return [telling(_forget_knocks(connection, user))]


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Forget some codes that have ended, and invitations that nobody answers; say whether more are left."""
    ended = tables.ended(connection, now, SWEPT_PER_UPKEEP)
    for locator in ended:
        tables.end_code(connection, locator)
    before = now - limits.INVITATION_SECONDS * 1000
    more = rooms.forget_invitations(connection, before, SWEPT_PER_UPKEEP)
    return more or len(ended) == SWEPT_PER_UPKEEP


def make(server: Callable[[], delivery_rules.Server]) -> Feature:
    """Build the feature; server: gives the server's identity key."""
    joining = Joining(server)
    return Feature(
        name="joining",
        needs=("accounts", "delivery", "identities", "muting", "rooms"),
        handlers={
            messages.INVITE: joining.invite,
            messages.INVITATIONS: joining.invitations,
            messages.ACCEPT: joining.accept,
            messages.DECLINE: joining.decline,
            messages.OFFER: joining.offer,
            messages.KNOCK: joining.knock,
            messages.UNKNOCK: joining.unknock,
            messages.JOINERS: joining.joiners,
            messages.REFUSE: joining.refuse,
        },
        events=messages.EVENTS,
        adding=joining.adding,
        revoked=revoked,
        shut_out=joining.shut_out,
        upkeep=upkeep,
    )
