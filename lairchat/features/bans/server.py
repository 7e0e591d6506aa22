"""Answers for bans from the whole server, and enforces them.

Addresses are refused by the doors, which ask ``kernel.bans``; accounts wherever they are let in,
inside the transaction that does it.
"""

from collections.abc import Callable, Collection, Iterator

from sqlalchemy.engine import Connection
from twisted.logger import Logger

from lairchat.core.bans import AddressBans
from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel
from lairchat.core.plan import Done, Read, Write
from lairchat.features.accounts import rules as account_rules
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import User
from lairchat.features.bans import messages, rules, tables
from lairchat.features.bans.tables import ServerBan
from lairchat.features.keys import rules as key_rules
from lairchat.features.keys import tables as keys
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR, UserId
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.phrases import counted, lasting
from lairchat.model.text import display_clip
from lairchat.wire.contract import Outcome

log = Logger()


def find(call: Call, connection: Connection, name: str) -> User:
    """Return the account of this name, if the caller may ban it; raises why not."""
    user = accounts.require_user(connection, name, "$.target")
    actor = call.session.user
    role = call.kernel.role_now(connection, actor)
    account_rules.require_over(actor, role, user.id, user.role)
    return user


async def add(call: Call, request: messages.AddBan) -> Write[Outcome]:
    """Keep somebody out; a ban of the same is replaced."""
    if request.kind == "user":
        return await _ban_user(call, request)
    return _ban_network(call, request)


def _until(call: Call, request: messages.AddBan) -> int | None:
    return call.now + request.period * 1000 if request.period else None


def _ban_network(call: Call, request: messages.AddBan) -> Write[Outcome]:
    kernel, network = call.kernel, rules.network_of(request.kind, request.target)
    until = _until(call, request)
    banned = AddressBans(kernel.now)
    banned.replace([(network, None)])
    by_host = call.session.user == LOCAL_OPERATOR  # who could stop the process as well
    if not by_host and (
        banned.refuses(call.peer.address) is not None or rules.holds_loopback(network)
    ):
        raise refusals.BanOwn(network=network, field="$.target")
    hit = [user for user, host in _who_is_in(kernel) if banned.refuses(host) is not None]

    def change(connection: Connection) -> Done[Outcome]:
        _require_over(call, connection, set(hit), network)
        before = tables.ban_of_network(connection, network)
        _keep(call, connection, request, network=network, before=before)
        done = f"banned {network}{lasting(until)} ({counted(len(hit), 'connection')} closed)"
        undo = f"ban remove {rules.kind_of(network)} {network}"
        return Done(Outcome(done=done, undo=undo), _renewing(kernel, connection, call.now))

    return Write(change)


def _who_is_in(kernel: Kernel) -> Iterator[tuple[UserId, str]]:
    """Tell of every connection that somebody has proven who they are on: who, and from where."""
    for user, person in kernel.hub.people.items():
        for peer in person.peers:
            yield user, peer.address
    for door in kernel.shells:
        yield from door()


def _require_over(
    call: Call, connection: Connection, hit: Collection[UserId], network: str
) -> None:
    """Refuse to cut off oneself, or whom one could not ban by name; raises BanOwn, BanRank.

    An address would otherwise be the way around rank.  Only of who is connected it is known where.
    """
    actor = call.session.user
    role = call.kernel.role_now(connection, actor)
    for user in sorted(hit):
        if user == actor:
            raise refusals.BanOwn(network=network, field="$.target")
        other = accounts.user_by_id(connection, user)
        assert other is not None  # it is connected
        if may_server(ServerAction.GOVERN, role, target=other.role) is not None:
            raise refusals.BanRank(name=other.name, network=network, field="$.target")


def _renewing(kernel: Kernel, connection: Connection, now: int) -> Callable[[Hub], None]:
    """Return what gives the doors the list as it is in this transaction."""
    networks = tables.networks(connection, now)
    return lambda _hub: kernel.bans.replace(networks)


async def _ban_user(call: Call, request: messages.AddBan) -> Write[Outcome]:
    kernel, until = call.kernel, _until(call, request)
    aimed = await kernel.storage.read(lambda connection: find(call, connection, request.target))
    hit = len(kernel.hub.peers_of(aimed.id))
    reason = display_clip(request.reason.strip(), limits.REASON_CHARS)

    def change(connection: Connection) -> Done[Outcome]:
        user = find(call, connection, request.target)
        before = tables.ban_of_user(connection, user.id)
        _keep(call, connection, request, user=user.id, before=before)
        left = keys.added_to_others(connection, user.id)
        refusal = refusals.AuthBanned(name=user.name, how=lasting(until, reason))
        # Whoever comes back after a while is not to find that others had to remove them.
        shut_out = kernel.shut_out(connection, user.id, call.now, banned=until is None)

        def after(hub: Hub) -> None:
            hub.close_sessions(user.id, lambda _session: True, refusal.code, refusal.text)
            for tell in shut_out:
                tell(hub)
            for one in {user.id, *left.values()}:
                kernel.standing_changed(one)

        done = f"banned {user.name}{lasting(until)} ({counted(hit, 'connection')} closed)"
        done += key_rules.suspended(len(left), user.name)
        return Done(Outcome(done=done, undo=f"ban remove user {user.name}"), after)

    return Write(change)


def _keep(
    call: Call,
    connection: Connection,
    request: messages.AddBan,
    *,
    network: str | None = None,
    user: UserId | None = None,
    before: ServerBan | None,
) -> None:
    """Keep a ban in the place of the one before it."""
    if before is not None:
        tables.drop_ban(connection, before.id)
    actor = call.session.user
    tables.keep_ban(
        connection,
        network=network,
        user=user,
        reason=display_clip(request.reason.strip(), limits.REASON_CHARS),
        by=None if actor == LOCAL_OPERATOR else actor,
        now=call.now,
        until=_until(call, request),
    )


def list_bans(call: Call, request: messages.ListBans) -> Read[messages.BanList]:
    """List the bans in force."""

    def query(connection: Connection) -> messages.BanList:
        found = tables.bans_after(connection, request.after, call.now, limits.OPERATOR_PAGE + 1)
        page = found[: limits.OPERATOR_PAGE]
        people = {one for ban in page for one in (ban.user, ban.by) if one is not None}
        names = accounts.names_of(connection, people)
        more = len(found) > len(page)
        return messages.BanList(
            bans=[_told(ban, names) for ban in page], next=page[-1].id if more else None
        )

    return Read(query)


def _told(ban: ServerBan, names: dict[UserId, str]) -> messages.BanInfo:
    if ban.user is not None:
        kind, target = "user", names[ban.user]
    else:
        assert ban.network is not None  # one of both is there
        kind, target = rules.kind_of(ban.network), ban.network
    return messages.BanInfo(
        kind=kind,  # type: ignore[arg-type]
        target=target,
        until=ban.until or 0,
        reason=ban.reason,
        by="" if ban.by is None else names[ban.by],
        at=ban.at,
    )


def remove(call: Call, request: messages.RemoveBan) -> Write[Outcome]:
    """Let somebody back in."""
    network = None
    if request.kind != "user":
        network = rules.network_of(request.kind, request.target)

    def change(connection: Connection) -> Done[Outcome]:
        user = None
        if network is None:
            user = find(call, connection, request.target)
            target, ban = user.name, tables.ban_of_user(connection, user.id)
        else:
            target, ban = network, tables.ban_of_network(connection, network)
        if ban is None:
            raise refusals.BanUnknown(target=target, field="$.target")
        tables.drop_ban(connection, ban.id)
        if user is not None:
            call.kernel.shut_out(connection, user.id, call.now, banned=False)
        outcome = Outcome(done=f"lifted the ban of {target}")
        return Done(outcome, _renewing(call.kernel, connection, call.now))

    return Write(change)


# -- keeping out


def admitting(connection: Connection, user: UserId, now: int) -> None:
    """Keep out an account that is banned; raises AuthBanned."""
    ban = tables.ban_of_user(connection, user)
    if ban is not None and ban.holds(now):
        name = accounts.names_of(connection, [user])[user]
        raise refusals.AuthBanned(name=name, how=lasting(ban.until, ban.reason))


def opening(kernel: Kernel, connection: Connection) -> None:
    """Give the doors the bans that are kept: a server that cannot read them lets nobody in."""
    kernel.bans.replace(tables.networks(connection, kernel.now()))


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="bans",
        needs=("accounts", "keys"),
        handlers={
            messages.ADD_BAN: add,
            messages.LIST_BANS: list_bans,
            messages.REMOVE_BAN: remove,
        },
        admitting=admitting,
        upkeep=lambda connection, now, _live: tables.forget_bans(connection, now),
        opening=opening,
    )
