"""Answers what accounts.messages declares: registering, logging in, sessions, invites."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from twisted.cred.credentials import ICredentials
from twisted.logger import Logger

from lairchat.core.admission import source_of
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel
from lairchat.core.plan import Done, Read, Write
from lairchat.core.portal import DerivedSecret, ICaller, SessionToken
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.accounts import messages, rules, tables
from lairchat.features.accounts.checkers import (
    Proven,
    Resumed,
    SecretChecker,
    TokenChecker,
    close_sessions,
    wrong,
)
from lairchat.features.accounts.hashing import Hashing
from lairchat.features.accounts.rules import Invitation, Registration
from lairchat.features.accounts.tables import Account, StoredInvite
from lairchat.model import limits, refusals
from lairchat.model.faults import LinkBad
from lairchat.model.identity import invite_code, parse_code
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, RoomId, SessionId, UserId
from lairchat.model.names import check_label, check_user_name, name_key
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Nothing

TOKEN_BYTES = rules.LOOKUP_BYTES + rules.PROOF_BYTES
CODE_RANDOM_BYTES = 17
INVITES_PAGE = 100
"""count: invites in one answer."""

SESSION_USED_MS = limits.DAY * 1000
"""ms: how exactly is kept when a session was used last that stays connected; each is a row written."""

STRANGERS = Rate(burst=30, per_second=1 / 60)
"""How often one address may register without an invite, or with a wrong one."""

log = Logger()
T = TypeVar("T")


def make(
    *, hashing: Hashing, registration: Callable[[], Registration], strangers: Rate = STRANGERS
) -> Feature:
    """Return the feature.

    hashing: computes the password hashes; a service of the feature.
    registration: says who may make an account; asked each time, because a reload may change it.
    strangers: how often one address may register without an invite.
    """
    doors = _Doors(hashing, registration, strangers)
    return Feature(
        name="accounts",
        handlers={
            messages.REGISTER: doors.register,
            messages.LOGIN: login,
            messages.RESUME: resume,
            messages.CHANGE_SECRET: doors.change_secret,
            messages.LIST_SESSIONS: list_sessions,
            messages.LOGOUT: logout,
            messages.LOGOUT_ALL: logout_all,
            messages.CREATE_INVITE: create_invite,
            messages.LIST_INVITES: list_invites,
            messages.REVOKE_INVITE: revoke_invite,
        },
        events=messages.EVENTS,
        checkers=(lambda kernel: SecretChecker(kernel, hashing), TokenChecker),
        services=(hashing,),
        standing=tables.role_in_use,
        upkeep=upkeep,
    )


def upkeep(connection: Connection, now: int, live: Sequence[SessionId]) -> None:
    """Delete what has run out: invites, failed logins of yesterday, sessions that nobody uses."""
    tables.use_sessions(connection, live, now, before=now - SESSION_USED_MS)
    tables.forget_invites(connection, now)
    tables.forget_attempts(connection, now - limits.LOGIN_ATTEMPTS_KEPT_SECONDS * 1000)
    tables.end_idle_sessions(connection, rules.idle_before(now))


# -- the owner's link ------------------------------------------------------------------------------


def create_owner_invite(connection: Connection, now: int, random: Callable[[int], bytes]) -> str:
    """Return a code that makes one owner within 24 h; codes made before it are good no more."""
    tables.delete_owner_invites(connection)
    code = invite_code(random(CODE_RANDOM_BYTES))
    tables.create_invite(
        connection,
        rules.hashed_code(code),
        ServerRole.OWNER,
        uses=1,
        by=None,
        now=now,
        expires=now + limits.OWNER_LINK_SECONDS * 1000,
    )
    return code


def owner_code(
    connection: Connection, known: str | None, now: int, random: Callable[[int], bytes]
) -> str | None:
    """Return the code that makes the owner, or None once there is one.

    known: the code given out earlier; it is returned again as long as it works.
    """
    if tables.has_owner(connection):
        return None
    invite = tables.invite_by_code(connection, rules.hashed_code(known)) if known else None
    if known is not None and invite is not None and _invitation(invite).works(now):
        return known
    return create_owner_invite(connection, now, random)


# -- registering, and changing the secret ----------------------------------------------------------


class _Doors:
    """The handlers that compute hashes."""

    def __init__(
        self, hashing: Hashing, registration: Callable[[], Registration], strangers: Rate
    ) -> None:
        self._hashing = hashing
        self._registration = registration
        self._strangers = strangers

    async def register(self, call: Call, request: messages.Register) -> Write[messages.Grant]:
        """Make an account."""
        kernel, now = call.kernel, call.now
        name = _at("$.name", check_user_name, request.name)
        label = _label(request.device)
        code = None if request.invite is None else _hashed(request.invite)
        address = ("register", source_of(call.peer.address))
        if wait := kernel.throttle.peek(address, self._strangers):
            raise refusals.AuthDelay(retry_after=wait)
        try:
            # Before the hash: strangers without an invite cannot make the server compute one.
            await kernel.storage.read(lambda connection: self._admit(call, connection, name, code))
        except refusals.InviteBad:
            kernel.throttle.take(address, self._strangers)
            raise
        if code is None:
            kernel.throttle.take(address, self._strangers)
        secret = await self._hashing.hash(request.secret)
        token = kernel.random(TOKEN_BYTES)

        def change(connection: Connection) -> Done[messages.Grant]:
            # Again: somebody may have taken the name, or the invite, since.
            role, invite = self._admit(call, connection, name, code)
            if invite is not None:
                tables.spend_invite(connection, invite.id)
                if invite.account is not None:
                    return _set_anew(call, connection, invite.account, secret, label, token)
            user = tables.create_user(connection, name, role, secret, now)
            if role is ServerRole.OWNER:
                tables.delete_owner_invites(connection)
            account = Account(user, name, role, lock=None, secret=secret)
            device = tables.create_device(connection, user, label, now)
            afters = kernel.registered(connection, user, name, now)
            log.info("user {user} registered as {role}", user=user, role=role.word)
            return _begin(call, connection, account, device, token=token, afters=afters)

        return Write(change)

    def _admit(
        self, call: Call, connection: Connection, name: str, code: bytes | None
    ) -> tuple[ServerRole, StoredInvite | None]:
        """Return what a newcomer becomes and by which invite; raises why not, the name last.

        Strangers without an invite do not learn which names there are.
        """
        invite = None if code is None else tables.invite_by_code(connection, code)
        role = rules.role_of_newcomer(
            self._registration(),
            coded=code is not None,
            invitation=None if invite is None else _invitation(invite),
            now=call.now,
        )
        if role is ServerRole.OWNER and tables.has_owner(connection):
            raise refusals.InviteBad(field="$.invite")
        if invite is not None and not _stands(call.kernel, connection, invite):
            raise refusals.InviteBad(field="$.invite")
        kept = None if invite is None else invite.name
        if kept is not None and not rules.same_name(kept, name):
            raise refusals.InviteName(name=kept, field="$.name")
        if invite is not None and invite.account is not None:
            _require_admitted(call, connection, invite.account)
            return role, invite
        own = () if invite is None else (invite.id,)
        if not tables.name_is_free(connection, name, call.now, own):
            raise refusals.NameTaken(name=name, field="$.name")
        return role, invite

    async def change_secret(self, call: Call, request: messages.ChangeSecret) -> Write[Nothing]:
        """Change the secret of the caller's account, and end every other way into it.

        A link that sets the password anew too: it may be what made them change it.
        """
        session = call.session
        proven: Proven = await _prove(
            call, DerivedSecret(session.name, request.old, call.peer.address)
        )
        secret = await self._hashing.hash(request.new)

        def change(connection: Connection) -> Done[Nothing]:
            _unchanged(connection, proven)
            tables.clear_attempts(connection, proven.keys)
            tables.set_secret(connection, session.user, secret)
            tables.delete_resets(connection, session.user)
            ended = tables.other_sessions(connection, session.user, but=session.id)
            tables.end_sessions(connection, ended)
            log.info("user {user} changed the secret", user=session.user)
            return Done(
                Nothing(),
                lambda hub: close_sessions(hub, session.user, ended, refusals.AuthToken()),
            )

        return Write(change)


def _invitation(invite: StoredInvite) -> Invitation:
    return Invitation(invite.role, invite.uses, invite.expires, invite.name is not None)


def _stands(kernel: Kernel, connection: Connection, invite: StoredInvite) -> bool:
    """Say whether an invite is still its maker's to give; those of the host's operator always."""
    if invite.by is None:
        return True
    account = None if invite.account is None else tables.user_by_id(connection, invite.account)
    return rules.link_stands(
        kernel.role_left(connection, invite.by),
        grants=invite.role,
        named=invite.name is not None,
        resets=None if account is None else account.role,
        own=invite.account == invite.by,
    )


def _set_anew(
    call: Call,
    connection: Connection,
    user: UserId,
    secret: str,
    label: str,
    token: bytes,
) -> Done[messages.Grant]:
    """Give an account the secret of whoever holds the link that an operator made for it.

    Every session that there was ends: they are a thief's, or of devices that are lost.
    """
    account = _require_admitted(call, connection, user)
    tables.set_secret(connection, user, secret)
    source = source_of(call.peer.address)
    tables.clear_attempts(connection, rules.attempt_keys(name_key(account.name), source))
    device = tables.create_device(connection, user, label, call.now)
    log.info("user {user} set the secret anew by an operator's link", user=user)
    return _begin(call, connection, account, device, token=token, alone=True)


def _at(field: str, check: Callable[[str], T], text: str) -> T:
    """Check an argument, and say in a refusal which one it was."""
    try:
        return check(text)
    except Refusal as refusal:
        refusal.field = field
        raise


def _label(text: str) -> str:
    """Check a device's label; a device need not have one."""
    return _at("$.device", check_label, text) if text else ""


def _hashed(code: str) -> bytes:
    """Return how an invite code is kept; raises InviteBad for what cannot be one."""
    try:
        return rules.hashed_code(parse_code(code))
    except LinkBad:
        raise refusals.InviteBad(field="$.invite") from None


# -- logging in ------------------------------------------------------------------------------------


async def _prove(call: Call, credentials: ICredentials) -> Any:
    """Let the portal's checkers find out who this is."""
    _, caller, _ = await call.kernel.portal.login(credentials, None, ICaller)
    return caller


async def login(call: Call, request: messages.Login) -> Write[messages.Grant]:
    """Log a device in by name and secret."""
    label = _at("$.label", check_label, request.label) if request.label else ""
    proven: Proven = await _prove(
        call, DerivedSecret(request.name, request.secret, call.peer.address)
    )
    token = call.kernel.random(TOKEN_BYTES)

    def change(connection: Connection) -> Done[messages.Grant]:
        account = _unchanged(connection, proven)
        account.require_unlocked(call.now)
        call.kernel.admitting(connection, account.id)
        if request.device is None:
            device = None
        else:
            device = DeviceId(request.device)
            if not tables.owns_device(connection, account.id, device):
                raise refusals.DeviceUnknown(field="$.device")
        tables.clear_attempts(connection, proven.keys)
        if device is None:
            device = tables.create_device(connection, account.id, label, call.now)
        elif label:
            tables.relabel_device(connection, device, label)
        return _begin(call, connection, account, device, token=token)

    return Write(change)


def _unchanged(connection: Connection, proven: Proven) -> Account:
    """Return the account if its secret is still the one that was proven; raises AuthFailed.

    A login that was under way while the secret was changed must not outlive the change.
    """
    account = tables.account_by_id(connection, proven.user)
    if account is None or account.secret != proven.evidence:
        raise wrong(proven.name, proven.attempt)
    return account


async def resume(call: Call, request: messages.Resume) -> Write[messages.Grant]:
    """Log a device in by its session's token."""
    resumed: Resumed = await _prove(call, SessionToken(request.token))
    assert resumed.session is not None
    assert resumed.device is not None
    session = Session(resumed.session, resumed.user, resumed.device, resumed.name, resumed.role)

    def change(connection: Connection) -> Done[messages.Grant]:
        # It may have been ended from another device since the token was used.
        if not tables.session_lives(connection, session.id):
            raise refusals.AuthToken
        _still_admitted(call, connection, session)
        rooms = call.kernel.rooms_of(connection, session.user)
        return Done(_grant(session, resumed.token), _arrival(call, session, rooms))

    return Write(change)


def _still_admitted(call: Call, connection: Connection, session: Session) -> None:
    """Refuse who was locked or banned since the token was used; take over a role given since."""
    session.role = _require_admitted(call, connection, session.user).role


def _require_admitted(call: Call, connection: Connection, user: UserId) -> Account:
    """Return an account unless it is locked or banned; raises AuthLocked, AuthBanned."""
    account = tables.account_by_id(connection, user)
    assert account is not None  # a foreign key
    account.require_unlocked(call.now)
    call.kernel.admitting(connection, user)
    return account


def _begin(
    call: Call,
    connection: Connection,
    account: Account,
    device: DeviceId,
    *,
    token: bytes,
    afters: Sequence[After] = (),
    alone: bool = False,
) -> Done[messages.Grant]:
    """Begin a session; a device has one, and an account no more than SESSIONS_PER_USER.

    alone: end every other session of the account.
    """
    given = rules.take_apart(token)
    if alone:
        ended = tables.other_sessions(connection, account.id)
    else:
        ended = tables.device_sessions(connection, device)
    tables.end_sessions(connection, ended)
    number = tables.create_session(
        connection,
        account.id,
        device,
        lookup=given.lookup,
        current=given.digest,
        now=call.now,
    )
    surplus = tables.surplus_sessions(connection, account.id, limits.SESSIONS_PER_USER)
    tables.end_sessions(connection, surplus)
    tables.forget_devices(connection, account.id, limits.DEVICES_KEPT)
    session = Session(number, account.id, device, account.name, account.role)
    rooms = call.kernel.rooms_of(connection, account.id)
    arrival = _arrival(call, session, rooms, ended=[*ended, *surplus], afters=afters)
    return Done(_grant(session, token), arrival)


def _grant(session: Session, token: bytes) -> messages.Grant:
    return messages.Grant(
        user=session.user,
        name=session.name,
        role=session.role.word,  # type: ignore[arg-type]
        device=session.device,
        session=session.id,
        token=token,
    )


def _arrival(
    call: Call,
    session: Session,
    rooms: Sequence[RoomId],
    *,
    ended: Sequence[SessionId] = (),
    afters: Sequence[After] = (),
) -> After:
    """Return what follows a login's commit: its connection hears the rooms, ended ones close."""

    def after(hub: Hub) -> None:
        hub.attach(call.peer, session, rooms)
        if not call.peer.closed:
            call.peer.wire.authenticated()
        close_sessions(hub, session.user, ended, refusals.AuthToken())
        # The oldest, not this one: those of a network that is gone live on for minutes.
        crowd = refusals.TooManyOwn()
        hub.close_oldest(session.user, limits.CONNECTIONS_PER_USER, crowd.code, crowd.text)
        for tell in afters:
            tell(hub)

    return after


# -- sessions --------------------------------------------------------------------------------------


def list_sessions(call: Call, _request: messages.ListSessions) -> Read[messages.SessionList]:
    """List the caller's sessions."""
    session = call.session

    def query(connection: Connection) -> messages.SessionList:
        return messages.SessionList(
            sessions=[
                messages.SessionInfo(
                    session=one.id,
                    device=one.device,
                    label=one.label,
                    created=one.created,
                    used=one.used,
                    current=one.id == session.id,
                )
                for one in tables.sessions_of(connection, session.user)
            ]
        )

    return Read(query)


def logout(call: Call, _request: messages.Logout) -> Write[Nothing]:
    """End the caller's session."""
    # Taken now: who says goodbye may be gone, and the session with them, when the writer asks.
    ended = [call.session.id]
    return _end(call, lambda _connection: ended)


def logout_all(call: Call, _request: messages.LogoutAll) -> Write[Nothing]:
    """End all of the caller's sessions."""
    user = call.session.user
    return _end(call, lambda connection: tables.other_sessions(connection, user))


def _end(call: Call, which: Callable[[Connection], list[SessionId]]) -> Write[Nothing]:
    user = call.session.user

    def change(connection: Connection) -> Done[Nothing]:
        ended = which(connection)
        tables.end_sessions(connection, ended)
        log.info("user {user} ended {count} sessions", user=user, count=len(ended))
        return Done(
            Nothing(),
            lambda hub: close_sessions(hub, user, ended, refusals.AuthToken(), but=call.peer),
        )

    return Write(change)


# -- invites ---------------------------------------------------------------------------------------


def create_invite(call: Call, request: messages.CreateInvite) -> Write[messages.Invite]:
    """Make an invite code; it is in this answer and nowhere else."""
    code = invite_code(call.kernel.random(CODE_RANDOM_BYTES))
    user = call.session.user
    expires = call.now + request.days * limits.DAY * 1000

    def change(connection: Connection) -> Done[messages.Invite]:
        if refusal := may_server(
            ServerAction.CREATE_INVITE, call.kernel.role_now(connection, user)
        ):
            raise refusal
        number = tables.create_invite(
            connection,
            rules.hashed_code(code),
            ServerRole.USER,
            uses=request.uses,
            by=None if user == LOCAL_OPERATOR else user,
            now=call.now,
            expires=expires,
        )
        log.info("user {user} made invite {invite}", user=user, invite=number)
        return Done(messages.Invite(invite=number, code=code, expires=expires))

    return Write(change)


def list_invites(call: Call, request: messages.ListInvites) -> Read[messages.InviteList]:
    """List invites that can still be used: the caller's own, or all for moderators and above."""
    user = call.session.user

    def query(connection: Connection) -> messages.InviteList:
        everybody = call.kernel.role_now(connection, user) >= ServerRole.MODERATOR
        found = tables.usable_invites(
            connection, None if everybody else user, request.after, call.now, INVITES_PAGE + 1
        )
        page = found[:INVITES_PAGE]
        names = tables.names_of(connection, [one.by for one in page if one.by is not None])
        return messages.InviteList(
            invites=[
                messages.InviteInfo(
                    invite=one.id,
                    by="" if one.by is None else names[one.by],
                    uses=one.uses,
                    expires=one.expires,
                )
                for one in page
            ],
            more=len(found) > INVITES_PAGE,
        )

    return Read(query)


def revoke_invite(call: Call, request: messages.RevokeInvite) -> Write[Nothing]:
    """Withdraw an invite: one's own, or with the role for it that of whoever ranks below."""
    user = call.session.user

    def change(connection: Connection) -> Done[Nothing]:
        invite = tables.invite_by_id(connection, request.invite)
        role = call.kernel.role_now(connection, user)
        refusal = may_server(ServerAction.REVOKE_INVITE, role)
        # The same answer for others' invites as for none, so that nobody counts them.
        if refusal is not None and (invite is None or invite.by != user):
            raise refusal
        if invite is None:
            raise refusals.InviteBad(field="$.invite")
        maker_role, resets = tables.maker_role(connection, invite), invite.account is not None
        rules.require_revocable(user, role, invite.by, maker_role, resets=resets)
        tables.delete_invite(connection, invite.id)
        log.info("user {user} revoked invite {invite}", user=user, invite=invite.id)
        return Done(Nothing())

    return Write(change)
