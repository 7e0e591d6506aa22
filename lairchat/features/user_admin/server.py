"""Answers operators about people: accounts, locks, roles, sessions.

Rank is judged in the transaction that acts; whoever is shut out is gone within the turn that
follows its commit.
"""

from typing import NamedTuple, cast

from sqlalchemy.engine import Connection

from lairchat.core.admission import source_of
from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer, Done, Write
from lairchat.features.accounts import rules as account_rules
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.messages import SESSION_ENDED, SessionEnded
from lairchat.features.accounts.tables import AnySession, Listed, Lock, User
from lairchat.features.bans import tables as bans
from lairchat.features.bans.tables import ServerBan
from lairchat.features.keys import rules as key_rules
from lairchat.features.keys import tables as keys
from lairchat.features.rooms import tables as rooms
from lairchat.features.user_admin import messages
from lairchat.features.user_admin.messages import RoleName, State
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR, SessionId, UserId
from lairchat.model.names import name_key
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.phrases import counted, lasting
from lairchat.model.roles import ServerRole
from lairchat.model.text import display_clip
from lairchat.wire.contract import Outcome


def aim(call: Call, connection: Connection, name: str) -> User:
    """Return the account that the caller may lock; raises why not."""
    user, actor = accounts.require_user(connection, name), call.session.user
    role = call.kernel.role_now(connection, actor)
    account_rules.require_over(actor, role, user.id, user.role)
    return user


# -- looking


class Hold(NamedTuple):
    """What keeps somebody out: the state's word, until when (0: no end), and why."""

    state: State
    until: int
    reason: str

    @property
    def note(self) -> str:
        """What a list says of it."""
        if self.state == "ok":
            return ""
        return lasting(self.until or None, self.reason).strip()


def hold(lock: Lock | None, ban: ServerBan | None, now: int) -> Hold:
    """Say what keeps an account out; of a ban and a lock the ban, which reaches further."""
    if ban is not None:
        return Hold("banned", ban.until or 0, ban.reason)
    if lock is not None and lock.holds(now):
        return Hold("locked", lock.until or 0, lock.reason)
    return Hold("ok", 0, "")


def _role_name(role: ServerRole) -> RoleName:
    return cast("RoleName", role.word)


async def list_users(call: Call, request: messages.ListUsers) -> Answer[messages.UserList]:
    """List accounts; who is connected is known here, on the reactor's thread."""
    now, hub = call.now, call.kernel.hub
    role = None if request.role is None else ServerRole.from_word(request.role)
    # Nobody is locked and ok at once, and of those that are banned and locked we say banned.
    locked = {"ok": False, "locked": True}.get(request.state or "")
    banned = bans.banned_users(now)

    def query(connection: Connection) -> list[tuple[Listed, Hold, int, int]]:
        found = accounts.directory(
            connection,
            request.after,
            limits.OPERATOR_PAGE + 1,
            now=now,
            role=role,
            locked=locked,
            among=banned if request.state == "banned" else None,
            but=banned if locked is not None else None,
        )
        ids = [one.id for one in found]
        out = bans.banned_among(connection, ids, now)
        used = accounts.usage(connection, ids)
        return [
            (one, hold(one.lock, out.get(one.id), now), *used.get(one.id, (0, 0))) for one in found
        ]

    found = await call.kernel.storage.read(query)
    page = found[: limits.OPERATOR_PAGE]
    told = [
        messages.UserInfo(
            name=one.name,
            role=_role_name(one.role),
            state=held.state,
            devices=devices,
            last=now if hub.online(one.id) else last,
            note=held.note,
        )
        for one, held, devices, last in page
    ]
    more = len(found) > len(page)
    return Answer(messages.UserList(users=told, next=page[-1][0].name if more else None))


async def show_user(call: Call, request: messages.ShowUser) -> Answer[messages.UserDetails]:
    """Show one account."""
    now, hub = call.now, call.kernel.hub

    def query(connection: Connection) -> tuple[Listed, Hold, int, int, int, int]:
        one = accounts.listed_by_name(connection, request.name)
        if one is None:
            raise refusals.UserUnknown(name=request.name, field="$.name")
        out = bans.banned_among(connection, [one.id], now)
        devices, last = accounts.usage(connection, [one.id]).get(one.id, (0, 0))
        return (
            one,
            hold(one.lock, out.get(one.id), now),
            devices,
            last,
            keys.count_keys(connection, one.id),
            rooms.joined(connection, one.id),
        )

    one, held, devices, last, own_keys, joined = await call.kernel.storage.read(query)
    connections = len(hub.peers_of(one.id))
    return Answer(
        messages.UserDetails(
            name=one.name,
            user=one.id,
            role=_role_name(one.role),
            state=held.state,
            until=None if held.state == "ok" else held.until,
            reason=held.reason,
            created=one.created,
            last=now if connections else last,
            connections=connections,
            devices=devices,
            keys=own_keys,
            rooms=joined,
        )
    )


# -- locks


async def lock(call: Call, request: messages.LockUser) -> Write[Outcome]:
    """Lock an account; locking again replaces the lock."""
    kernel = call.kernel
    aimed = await kernel.storage.read(lambda connection: aim(call, connection, request.name))
    hit = len(kernel.hub.peers_of(aimed.id))
    until = call.now + request.period * 1000 if request.period else None
    reason = display_clip(request.reason.strip(), limits.REASON_CHARS)

    def change(connection: Connection) -> Done[Outcome]:
        user = aim(call, connection, request.name)
        accounts.set_lock(connection, user.id, Lock(until, reason))
        left = keys.added_to_others(connection, user.id)
        refusal = refusals.AuthLocked(name=user.name, how=lasting(until, reason))

        def after(hub: Hub) -> None:
            hub.close_sessions(user.id, lambda _session: True, refusal.code, refusal.text)
            for one in {user.id, *left.values()}:
                kernel.standing_changed(one)

        done = f"locked {user.name}{lasting(until)} ({counted(hit, 'connection')} closed)"
        done += key_rules.suspended(len(left), user.name)
        return Done(Outcome(done=done, undo=f"user unlock {user.name}"), after)

    return Write(change)


def unlock(call: Call, request: messages.UnlockUser) -> Write[Outcome]:
    """Unlock an account; guesses from everywhere delay its owner no more."""

    def change(connection: Connection) -> Done[Outcome]:
        user = aim(call, connection, request.name)
        account = accounts.account_by_id(connection, user.id)
        assert account is not None  # it has just been found
        _, everywhere = account_rules.attempt_keys(name_key(user.name), "")
        accounts.clear_attempts(connection, [everywhere])
        if account.lock is None or not account.lock.holds(call.now):
            return Done(Outcome(done=f"{user.name} is not locked"))
        accounts.set_lock(connection, user.id, None)
        return Done(Outcome(done=f"unlocked {user.name}"))

    return Write(change)


# -- roles


def set_role(call: Call, request: messages.SetServerRole) -> Write[Outcome]:
    """Give an account another role; what it may do changes at once, wherever it is logged in."""
    kernel, granted = call.kernel, ServerRole.from_word(request.role)
    session = call.session
    by = "the server" if session.user == LOCAL_OPERATOR else session.name

    def change(connection: Connection) -> Done[Outcome]:
        user = accounts.require_user(connection, request.name)
        actor = kernel.role_now(connection, session.user)
        refusal = may_server(ServerAction.SET_SERVER_ROLE, actor, target=user.role, granted=granted)
        if user.id == session.user:
            raise refusals.OnOwnAccount(field="$.name")
        if refusal is not None:
            raise refusal
        if user.role is granted:
            return Done(Outcome(done=f"{user.name} is {granted.word} already"))
        accounts.set_role(connection, user.id, granted)
        taken = _shut_behind(connection, user, granted)
        left = _lapsing(connection, user, granted)
        afters = kernel.role_given(connection, user.id, granted, by, call.now)

        def after(hub: Hub) -> None:
            hub.set_role(user.id, granted)
            for tell in afters:
                tell(hub)
            for one in {user.id, *left.values()}:
                kernel.standing_changed(one)

        done = f"{user.name} is {granted.word} now, was {user.role.word}"
        if taken:
            done += f" ({counted(taken, 'key')} that others had added taken away)"
        done += key_rules.suspended(len(left), user.name)
        if not accounts.has_owner(connection):
            done += " (nobody owns the server: the next start makes an owner's link)"
        undo = f"user role {user.name} {user.role.word}"
        return Done(Outcome(done=done, undo=undo), after)

    return Write(change)


def _lapsing(connection: Connection, user: User, granted: ServerRole) -> dict[int, UserId]:
    """Return the keys that an account may not add any more to those who have them, each with whose.

    keys.server judges that anew at every login; this finds who is in by one of them.
    """

    def may(role: ServerRole, holder: UserId) -> bool:
        other = accounts.user_by_id(connection, holder)
        assert other is not None  # a foreign key
        return may_server(ServerAction.GOVERN, role, target=other.role) is None

    left = keys.added_to_others(connection, user.id)
    return {
        key: holder
        for key, holder in left.items()
        if may(user.role, holder) and not may(granted, holder)
    }


def _shut_behind(connection: Connection, user: User, granted: ServerRole) -> int:
    """Close the ways into an account that rises for those who could not open them now.

    A key or a link from its lowly days would make its maker what it becomes.  Returns how many
    keys are gone.
    """
    if granted <= user.role:
        return 0
    accounts.delete_resets(connection, user.id)
    taken = 0
    for key, adder in keys.added_by_others(connection, user.id):
        maker = accounts.user_by_id(connection, adder)
        if maker is None or may_server(ServerAction.GOVERN, maker.role, target=granted):
            keys.drop_key(connection, key)
            taken += 1
    return taken


# -- sessions


async def list_sessions(call: Call, request: messages.ListSessions) -> Answer[messages.SessionList]:
    """List sessions; their connections are known here, on the reactor's thread."""

    def query(connection: Connection) -> tuple[list[AnySession], dict[UserId, str]]:
        user = accounts.require_user(connection, request.name).id if request.name else None
        found = accounts.sessions_after(connection, request.after, limits.OPERATOR_PAGE + 1, user)
        return found, accounts.names_of(connection, {one.user for one in found})

    found, names = await call.kernel.storage.read(query)
    page = found[: limits.OPERATOR_PAGE]
    told = [_told(one, names[one.user], call) for one in page]
    more = len(found) > len(page)
    return Answer(messages.SessionList(sessions=told, next=page[-1].id if more else None))


def _told(one: AnySession, name: str, call: Call) -> messages.SessionInfo:
    addresses = _addresses(call.kernel.hub, one)
    return messages.SessionInfo(
        session=one.id,
        user=name,
        device=one.label,
        connections=len(addresses),
        source=" ".join(sorted(set(map(source_of, addresses)))),
        last=call.now if addresses else one.used,
        since=one.created,
    )


def _addresses(hub: Hub, session: AnySession) -> list[str]:
    """Return where the connections of a session come from."""
    return [
        peer.address
        for peer in hub.peers_of(session.user)
        if peer.session is not None and peer.session.id == session.id
    ]


async def close_session(call: Call, request: messages.CloseSession) -> Write[Outcome]:
    """End a session, one's own too: its token is good for nothing any more."""
    number = SessionId(request.session)
    session = await call.kernel.storage.read(lambda connection: _session(connection, number))
    hit = len(_addresses(call.kernel.hub, session))

    def change(connection: Connection) -> Done[Outcome]:
        session = _session(connection, number)
        owner = accounts.user_by_id(connection, session.user)
        assert owner is not None  # a foreign key
        actor = call.session.user
        role = call.kernel.role_now(connection, actor)
        account_rules.require_over(actor, role, owner.id, owner.role, own=True)
        accounts.end_sessions(connection, [number])
        label = f" on {session.label}" if session.label else ""
        done = (
            f"ended session {number} of {owner.name}{label} ({counted(hit, 'connection')} closed)"
        )
        return Done(Outcome(done=done), lambda hub: _close(hub, owner.id, number))

    return Write(change)


def _session(connection: Connection, number: SessionId) -> AnySession:
    session = accounts.session_by_id(connection, number)
    if session is None:
        raise refusals.SessionUnknown(session=number, field="$.session")
    return session


def _close(hub: Hub, user: UserId, number: SessionId) -> None:
    """Tell the connections of a session that it is over, and close them."""
    why = refusals.AuthToken()
    notice = event_frame(SESSION_ENDED.name, SessionEnded(code=why.code, text=why.text))
    for peer in hub.peers_of(user):
        if peer.session is not None and peer.session.id == number:
            peer.push(notice)
    hub.close_sessions(user, lambda session: session.id == number, why.code, why.text)


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="user_admin",
        needs=("accounts", "bans", "keys", "rooms"),
        handlers={
            messages.LIST_USERS: list_users,
            messages.SHOW_USER: show_user,
            messages.LOCK_USER: lock,
            messages.UNLOCK_USER: unlock,
            messages.SET_ROLE: set_role,
            messages.LIST_SESSIONS: list_sessions,
            messages.CLOSE_SESSION: close_session,
        },
    )
