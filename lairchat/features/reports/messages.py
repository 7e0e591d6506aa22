"""Reports from encrypted rooms, on the wire: what a member shows, and what operators do with it.

What is reported is shown to the operators in clear, because whoever reports it wants that: one message
at a time, as its author signed it.
"""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Time

Signed = Annotated[bytes, Meta(min_length=1, max_length=limits.REPORT_BYTES)]
ReasonText = Annotated[str, Meta(min_length=1, max_length=limits.REASON_CHARS * 4)]
WhyText = Annotated[str, Meta(max_length=limits.REASON_CHARS * 4)]
What = Literal["message", "change"]
State = Literal["open", "resolved"]


class ReportMessage(Request, frozen=True):
    """Report a message of an encrypted room.

    content: AuthenticatedContent of RFC 9420 (section 6.1), as it came out of the private message: what
    its author signed, with the signature.
    """

    room: Int63
    content: Signed
    reason: ReasonText


class ReportChange(Request, frozen=True):
    """Report a commit that the caller's device refuses; the server has it.

    epoch: the one that it begins.  why: what the device says is wrong with it.
    """

    room: Int63
    epoch: Int63
    reason: ReasonText
    why: WhyText = ""


class Reported(Reply, frozen=True):
    """By which number operators know the report."""

    number: Int63


class ListReports(Request, frozen=True):
    """List what members have reported, oldest first.

    resolved: list those that are resolved as well.
    """

    after: Int63 = 0
    resolved: bool = False


class ReportInfo(Reply, frozen=True):
    """One report; ``about`` wrote the message, or made the change."""

    number: Int63
    at: Time
    by: str
    about: str
    state: State
    reason: str


class ReportList(Reply, frozen=True):
    """A page of reports, oldest first."""

    reports: list[ReportInfo]
    next: Int63 | None = None


class ShowReport(Request, frozen=True):
    """Show a report with what was reported.

    number: which one.
    """

    number: Int63


class ReportDetails(Reply, frozen=True):
    """One report, more closely.

    epoch: of the message, or begun by the change.  place: of the change in the room's log.
    refused: why the device of whoever reported the change refuses it.
    device: the one whose signature was checked.  kind: of the message.  written: when, by its author's
    clock.  said: its text as the author signed it, and nothing of what it answers.
    """

    number: Int63
    at: Time
    by: str
    about: str
    room: str
    what: What
    reason: str
    epoch: Int63
    place: Int63 | None
    refused: str | None
    device: str | None
    kind: str | None
    written: Time | None
    said: str | None
    resolved: Time
    resolver: str


class ResolveReport(Change, frozen=True):
    """Note that a report needs nobody any more; it is deleted a month later.

    number: which one.
    reopen: it needs somebody again.
    """

    number: Int63
    reopen: bool = False


_REPORTING = (
    refusals.RoomUnknown,
    refusals.NotMember,
    refusals.RoomPlain,
    refusals.DeviceUnproven,
    refusals.ReportUnproven,
    refusals.ReportsMax,
    refusals.RateLimited,
)

MESSAGE = Command(
    name="report.message",
    request=ReportMessage,
    reply=Reported,
    doc="Shows one message of an encrypted room to the operators, with proof of who wrote it.",
    errors=_REPORTING,
    overlap=Overlap.WRITE,
    cost=5,
)
CHANGE = Command(
    name="report.change",
    request=ReportChange,
    reply=Reported,
    doc="Tells the operators which commit of an encrypted room devices refuse, and why.",
    errors=_REPORTING,
    overlap=Overlap.WRITE,
    cost=5,
)
LIST = Command(
    name="admin.report_list",
    request=ListReports,
    reply=ReportList,
    doc="Lists what members of encrypted rooms have reported.",
    role=ServerRole.ADMIN,
    cli="report list",
)
SHOW = Command(
    name="admin.report_show",
    request=ShowReport,
    reply=ReportDetails,
    doc="Shows a report with the message that was reported.",
    errors=(refusals.ReportUnknown,),
    role=ServerRole.ADMIN,
    cli="report show {number}",
)
RESOLVE = Command(
    name="admin.report_resolve",
    request=ResolveReport,
    reply=Outcome,
    doc="Notes that a report needs nobody any more.",
    errors=(refusals.ReportUnknown,),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="report resolve {number}",
)

COMMANDS = (MESSAGE, CHANGE, LIST, SHOW, RESOLVE)
