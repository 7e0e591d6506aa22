"""Takes reports from members of encrypted rooms, checks what they claim, and shows them to operators.

The server cannot read such a room, so it believes nobody about it: a message is taken with the signature
of its author, which is checked against what was kept of that epoch; a change is named by its epoch, and
looked up here.  What cannot be proven is refused, so that nobody is accused with an invented sentence.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.plan import Done, Read, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.accounts import tables as accounts
from lairchat.features.delivery import tables as delivery
from lairchat.features.identities import tables as identities
from lairchat.features.reports import messages, rules, tables
from lairchat.features.reports.tables import New, Report
from lairchat.features.room_admin.rules import called
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR, RoomId, SessionId, UserId
from lairchat.model.text import display_clip
from lairchat.storage import log
from lairchat.wire.contract import Outcome

RATE = Rate(burst=limits.REPORTS_AT_ONCE, per_second=limits.REPORTS_PER_HOUR / limits.HOUR)
"""How often one account may report something."""
FORGOTTEN_PER_UPKEEP = 64
"""count: reports that one round of upkeep deletes; more would hold up the writer."""


class Told(NamedTuple):
    """What a reported message says.  kind: which sort it is.  written: by its author's clock, ms."""

    kind: str
    text: str
    written: int


def make(told: Callable[[bytes], tuple[str, str, int]]) -> Feature:
    """Build the feature.

    told: reads (kind, text, time) of what somebody said, for a person; what members say to each other
    is not the server's business elsewhere, so the one reader of it is handed in.
    """
    return Feature(
        name="reports",
        needs=("accounts", "delivery", "identities", "rooms"),
        handlers={
            messages.MESSAGE: report_message,
            messages.CHANGE: report_change,
            messages.LIST: list_reports,
            messages.SHOW: lambda call, request: show(call, request, told),
            messages.RESOLVE: resolve,
        },
        upkeep=upkeep,
    )


# -- reporting


async def report_message(call: Call, request: messages.ReportMessage) -> Write[messages.Reported]:
    """Take a message that its author has signed; judged on a reading thread, for past epochs stay."""
    _require_rare(call)
    session, room = call.session, RoomId(request.room)

    def judge(connection: Connection) -> New:
        said = rules.statement(request.content)
        leaf = _author(connection, session, room, said)
        author = identities.user_of(connection, leaf.account)
        assert author is not None  # logs stay
        return New(
            room=room,
            reporter=session.user,
            author=author,
            epoch=said.epoch,
            digest=sha256(request.content).digest(),
            reason=_clipped(request.reason),
            at=call.now,
            content=request.content,
            device=leaf.device,
        )

    return _keeping(call, await call.kernel.storage.read(judge))


def _author(
    connection: Connection, session: Session, room: RoomId, said: rules.Statement
) -> delivery.Leaf:
    """Return who has said something in a room; raises ReportUnproven, or as ``_require_there``."""
    _require_there(connection, session, room, said.epoch)
    place = delivery.place(connection, room)
    context = delivery.context_at(connection, room, said.epoch)
    leaf = delivery.leaf_at(connection, room, said.leaf, said.epoch)
    if place is None or context is None or leaf is None:
        raise refusals.ReportUnproven(field="$.content")
    rules.require_signed(said, place[0], context, leaf.key)
    return leaf


async def report_change(call: Call, request: messages.ReportChange) -> Write[messages.Reported]:
    """Take that a device refuses the commit which began an epoch: what it is, the log says."""
    _require_rare(call)
    session, room, epoch = call.session, RoomId(request.room), request.epoch

    def judge(connection: Connection) -> New:
        # Whoever was there before it had to judge it.
        _require_there(connection, session, room, epoch - 1)
        seq = delivery.begun(connection, room, epoch)
        if seq is None:
            raise refusals.ReportUnproven(field="$.epoch")
        (event,) = log.page(connection, room, after=seq - 1, limit=1)
        return New(
            room=room,
            reporter=session.user,
            author=UserId(event.sender),
            epoch=epoch,
            digest=sha256(b"change" + event.hash).digest(),
            reason=_clipped(request.reason),
            at=call.now,
            seq=seq,
            why=_clipped(request.why),
        )

    return _keeping(call, await call.kernel.storage.read(judge))


def _require_rare(call: Call) -> None:
    """Refuse who reports more than people can read; what is refused later counts as well."""
    if wait := call.kernel.throttle.take(("reports", call.session.user), RATE):
        raise refusals.RateLimited(retry_after=wait)


def _require_there(connection: Connection, session: Session, room: RoomId, epoch: int) -> None:
    """Refuse whose account was not in a room in an epoch; raises ReportUnproven or as for any room.

    Whoever was and is not any more may report: often that is why.  Who came later was not sent what was
    said before, and is not the one to show it.
    """
    identities.require_proven(connection, session.id)
    own = identities.accounts_of(connection, session.user)
    if not delivery.accounts_at(connection, room, epoch).isdisjoint(own):
        return
    # To strangers it is not told whether there is such a room.
    room_rules.require_encrypted(*rooms.room_for(connection, room, session.user))
    raise refusals.ReportUnproven


def _clipped(text: str) -> str:
    return display_clip(text.strip(), limits.REASON_CHARS)


def _keeping(call: Call, new: New) -> Write[messages.Reported]:
    def change(connection: Connection) -> Done[messages.Reported]:
        number = tables.same(connection, new.reporter, new.digest)
        if number is None:
            rules.require_place(*tables.waiting(connection, new.reporter))
            number = tables.keep(connection, new)
        # Operators look into that log as well; neither the reason nor what was said goes there.
        call.audited = f"report {number} about encrypted:{new.room}"
        return Done(messages.Reported(number))

    return Write(change)


# -- what operators see


def list_reports(_call: Call, request: messages.ListReports) -> Read[messages.ReportList]:
    """List reports."""

    def query(connection: Connection) -> messages.ReportList:
        size = limits.OPERATOR_PAGE
        found = tables.listed(connection, request.after, size + 1, resolved=request.resolved)
        page = found[:size]
        names = _names(connection, page)
        told = [
            messages.ReportInfo(
                number=one.id,
                at=one.at,
                by=names[one.reporter],
                about=names[one.author],
                state="open" if one.resolved_at is None else "resolved",
                reason=one.reason,
            )
            for one in page
        ]
        return messages.ReportList(told, page[-1].id if len(found) > size else None)

    return Read(query)


def show(
    _call: Call, request: messages.ShowReport, read: Callable[[bytes], tuple[str, str, int]]
) -> Read[messages.ReportDetails]:
    """Show a report, and of a message what it says."""

    def query(connection: Connection) -> messages.ReportDetails:
        one = _require(connection, request.number)
        names = _names(connection, [one])
        told = None
        if one.content is not None:
            told = Told(*read(rules.statement(one.content).data))
        return messages.ReportDetails(
            number=one.id,
            at=one.at,
            by=names[one.reporter],
            about=names[one.author],
            room=_room(one),
            what=_what(one),
            reason=one.reason,
            epoch=one.epoch,
            place=one.seq,
            refused=one.why,
            device=None if one.device is None else one.device.hex(),
            kind=told and told.kind,
            written=told and told.written,
            said=told and told.text,
            resolved=one.resolved_at or 0,
            resolver="" if one.resolved_by is None else names[one.resolved_by],
        )

    return Read(query)


def _names(connection: Connection, found: Sequence[Report]) -> dict[UserId, str]:
    people = {one for report in found for one in (report.reporter, report.author)}
    resolvers = {report.resolved_by for report in found if report.resolved_by is not None}
    return accounts.names_of(connection, people | resolvers)


def _room(one: Report) -> str:
    return called("", one.room, encrypted=True)


def _what(one: Report) -> Literal["message", "change"]:
    return "change" if one.content is None else "message"


def _require(connection: Connection, number: int) -> Report:
    found = tables.find(connection, number)
    if found is None:
        raise refusals.ReportUnknown(number=number, field="$.number")
    return found


def resolve(call: Call, request: messages.ResolveReport) -> Write[Outcome]:
    """Note that a report needs nobody any more, or somebody again."""

    def change(connection: Connection) -> Done[Outcome]:
        found = _require(connection, request.number)
        number, actor = found.id, call.session.user
        if (found.resolved_at is None) is request.reopen:
            # A second time neither takes the first one's name away nor lets the month begin anew.
            what = "is open" if request.reopen else "is resolved already"
            return Done(Outcome(done=f"report {number} {what}"))
        if request.reopen:
            tables.resolve(connection, number, None, None)
            return Done(Outcome(done=f"reopened report {number}"))
        by = None if actor == LOCAL_OPERATOR else actor
        tables.resolve(connection, number, call.now, by)
        undo = f"report resolve {number} --reopen"
        return Done(Outcome(done=f"resolved report {number}", undo=undo))

    return Write(change)


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Delete some reports that were resolved long ago; say whether more may be left."""
    before = now - limits.REPORTS_KEPT_SECONDS * 1000
    return tables.forget(connection, before, FORGOTTEN_PER_UPKEEP)
