"""Makes links for operators, whole ones: the server knows where it is and who it is."""

from collections.abc import Callable

from sqlalchemy.engine import Connection
from twisted.logger import Logger

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.plan import Done, Read, Write
from lairchat.features.accounts import rules as account_rules
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import StoredInvite, User
from lairchat.features.invitations import messages
from lairchat.model import limits, refusals
from lairchat.model.identity import invite_code
from lairchat.model.ids import LOCAL_OPERATOR, UserId
from lairchat.model.names import check_user_name
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.phrases import counted, lasting
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Outcome

CODE_RANDOM_BYTES = 17

log = Logger()


def make(link: Callable[[str], str]) -> Feature:
    """Build the feature; ``link`` writes the whole link of a code."""
    links = _Links(link)
    return Feature(
        name="invitations",
        needs=("accounts",),
        handlers={
            messages.CREATE_USER: links.create_user,
            messages.RESET_PASSWORD: links.reset_password,
            messages.CREATE_INVITE: links.create_invite,
            messages.LIST_INVITES: list_invites,
            messages.REVOKE_INVITE: revoke_invite,
        },
    )


class _Links:
    """The handlers that make links."""

    def __init__(self, link: Callable[[str], str]) -> None:
        self._link = link

    def create_user(self, call: Call, request: messages.CreateUser) -> Write[messages.LinkMade]:
        """Keep a name for somebody; a link that was made for it before works no more."""
        name, role = check_user_name(request.name), ServerRole.from_word(request.role)

        def prepare(connection: Connection) -> str:
            actor = call.kernel.role_now(connection, call.session.user)
            if refusal := may_server(ServerAction.SET_SERVER_ROLE, actor, granted=role):
                raise refusal
            # A name that only looks like this one is somebody else's.
            own = [
                invite
                for invite in accounts.invites_for(connection, name)
                if invite.name is not None and account_rules.same_name(invite.name, name)
            ]
            kept = [invite.id for invite in own]
            if not accounts.name_is_free(connection, name, call.now, kept):
                raise refusals.NameTaken(name=name, field="$.name")
            for earlier in own:
                _require_revocable(call, connection, earlier)
                accounts.delete_invite(connection, earlier.id)
            return f"keeps the name {name} for a new {role.word}"

        return self._make(call, request.period, prepare, role=role, name=name)

    def reset_password(
        self, call: Call, request: messages.ResetPassword
    ) -> Write[messages.LinkMade]:
        """Let the owner of an account set its password anew; the old one is good until then."""
        found: list[User] = []

        def prepare(connection: Connection) -> str:
            user = accounts.require_user(connection, request.name)
            actor = call.session.user
            role = call.kernel.role_now(connection, actor)
            account_rules.require_over(actor, role, user.id, user.role, own=True)
            accounts.delete_resets(connection, user.id)
            found[:] = [user]
            return f"lets {user.name} set a new password, and ends {user.name}'s sessions then"

        return self._make(call, request.period, prepare, resets=found)

    def create_invite(self, call: Call, request: messages.CreateInvite) -> Write[messages.LinkMade]:
        """Make a link for so many people."""
        people = counted(request.uses, "person", "people")
        return self._make(
            call, request.period, lambda _connection: f"lets {people} in", uses=request.uses
        )

    def _make(
        self,
        call: Call,
        period: int,
        prepare: Callable[[Connection], str],
        *,
        role: ServerRole = ServerRole.USER,
        uses: int = 1,
        name: str | None = None,
        resets: list[User] | None = None,
    ) -> Write[messages.LinkMade]:
        """Make a link once ``prepare`` has judged it, and said what it does.

        resets: whose password it sets, filled in by ``prepare``.
        """
        code = invite_code(call.kernel.random(CODE_RANDOM_BYTES))
        actor, expires = call.session.user, call.now + period * 1000
        # What is rehearsed is taken back, and with it the link.
        link = "" if call.rehearsal else self._link(code)

        def change(connection: Connection) -> Done[messages.LinkMade]:
            does = prepare(connection)
            target = resets[0] if resets else None
            number = accounts.create_invite(
                connection,
                account_rules.hashed_code(code),
                role,
                uses=uses,
                by=None if actor == LOCAL_OPERATOR else actor,
                now=call.now,
                expires=expires,
                name=name if target is None else target.name,
                account=None if target is None else target.id,
            )
            done = f"made invite {number}, good{lasting(expires)}: {does}"
            undo = f"invite revoke {number}"
            return Done(
                messages.LinkMade(done=done, undo=undo, link=link), _noting(call, "made", number)
            )

        return Write(change)


def list_invites(call: Call, request: messages.ListInvites) -> Read[messages.InviteList]:
    """List the links that still work, whoever made them."""

    def query(connection: Connection) -> messages.InviteList:
        found = accounts.usable_invites(
            connection, None, request.after, call.now, limits.OPERATOR_PAGE + 1
        )
        page = found[: limits.OPERATOR_PAGE]
        names = accounts.names_of(connection, {one.by for one in page if one.by is not None})
        more = len(found) > len(page)
        return messages.InviteList(
            invites=[_told(one, names, _stands(call, connection, one)) for one in page],
            next=page[-1].id if more else None,
        )

    return Read(query)


def _stands(call: Call, connection: Connection, invite: StoredInvite) -> bool:
    """Say whether a link is still its maker's to give, as whoever uses it will find."""
    if invite.by is None:
        return True
    account = None if invite.account is None else accounts.user_by_id(connection, invite.account)
    return account_rules.link_stands(
        call.kernel.role_left(connection, invite.by),
        grants=invite.role,
        named=invite.name is not None,
        resets=None if account is None else account.role,
        own=invite.account == invite.by,
    )


def _told(invite: StoredInvite, names: dict[UserId, str], stands: bool) -> messages.InviteInfo:
    resets = invite.account is not None
    return messages.InviteInfo(
        invite=invite.id,
        does="reset-password" if resets else "register",
        name=invite.name or "",
        role="" if resets else invite.role.word,
        uses=invite.uses,
        until=invite.expires,
        by="" if invite.by is None else names[invite.by],
        state="ok" if stands else "suspended",
    )


def revoke_invite(call: Call, request: messages.RevokeInvite) -> Write[Outcome]:
    """Withdraw a link, and set free the name that it kept."""

    def change(connection: Connection) -> Done[Outcome]:
        invite = accounts.invite_by_id(connection, request.invite)
        if invite is None or invite.uses < 1 or invite.expires <= call.now:
            raise refusals.InviteUnknown(invite=request.invite, field="$.invite")
        _require_revocable(call, connection, invite)
        accounts.delete_invite(connection, invite.id)
        kept = f" for {invite.name}" if invite.name else ""
        done = f"revoked invite {invite.id}{kept}"
        return Done(Outcome(done=done), _noting(call, "revoked", invite.id))

    return Write(change)


def _require_revocable(call: Call, connection: Connection, invite: StoredInvite) -> None:
    """Refuse to take away a link that rank protects; raises Denied."""
    actor = call.session.user
    account_rules.require_revocable(
        actor,
        call.kernel.role_now(connection, actor),
        invite.by,
        accounts.maker_role(connection, invite),
        resets=invite.account is not None,
    )


def _noting(call: Call, did: str, invite: int) -> Callable[[Hub], None]:
    """Return what writes to the log that something was done: after the commit, or not at all."""
    user = call.session.user
    who = "the host's operator" if user == LOCAL_OPERATOR else f"user {user}"
    return lambda _hub: log.info("{who} {did} invite {invite}", who=who, did=did, invite=invite)
