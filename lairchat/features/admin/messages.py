"""Running the server, for operators: state, notices, certificate, log, configuration."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import faults, limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, EventType, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Size, Span, Time, flag

NOTICE_CHARS = 400
LOG_LINES_KEPT = 1_000
"""count: lines of the log that a running server remembers for ``log tail``."""

NoticeText = Annotated[str, Meta(max_length=NOTICE_CHARS)]
KeyName = Annotated[str, Meta(max_length=80)]
Level = Literal["debug", "info", "warn", "error", "critical"]

# -- the server ----------------------------------------------------------------------------------


class AskStatus(Request, frozen=True):
    """Ask how the server is."""


class Status(Reply, frozen=True):
    """How the server is.

    state: running, maintenance, stopping, or offline when no daemon runs.
    certificate: when it ends. backup: when the newest was made.
    """

    state: str
    name: str
    version: str
    identity: str
    data: str
    listening: str
    pid: Int63
    up: Span
    connections: Int63
    people: Int63
    accounts: Int63
    rooms: Int63
    database: Size
    schema: str
    certificate: Time
    backup: Time
    notice: str = ""


class Maintain(Change, frozen=True):
    """Close the chat to everybody, or open it again; the operators' doors stay open.

    mode: on closes it, off opens it.
    reason: why; those who are sent away are told.
    """

    mode: Literal["on", "off"]
    reason: NoticeText = ""


class Broadcast(Change, frozen=True):
    """Tell everybody who is connected something.

    text: what to say.
    """

    text: Annotated[str, Meta(min_length=1, max_length=NOTICE_CHARS)]


class Shutdown(Change, frozen=True):
    """Stop the server, after a while if asked; ``cancel`` takes that back.

    after: how long until then; otherwise now.
    reason: why; everybody is told.
    cancel: go on after all.
    """

    after: Annotated[Span, flag("in")] = 0
    reason: NoticeText = ""
    cancel: bool = False


class ServerNotice(Reply, frozen=True):
    """What an operator of the server tells everybody."""

    text: str


# -- figures -------------------------------------------------------------------------------------


class AskStats(Request, frozen=True):
    """Ask for figures."""


class Stats(Reply, frozen=True):
    """What happened since the start, and how it stands now.

    connections: authenticated; strangers: not yet. units: changes committed, in groups.
    running, committing: ms that the writer has spent in and at the end of groups.
    """

    up: Span
    connections: Int63
    strangers: Int63
    people: Int63
    rooms_heard: Int63
    turned_away: Int63
    queue: Int63
    units: Int63
    groups: Int63
    largest_group: Int63
    refused: Int63
    failed: Int63
    running_ms: Int63
    committing_ms: Int63
    log_pages: Int63
    database: Size
    memory: Size
    cpu: Span
    files: Int63


class Rate(Reply, frozen=True):
    """One figure: how much a second over the last ten seconds, and since the start."""

    what: str
    per_second: float
    total: Int63


class Rates(Reply, frozen=True):
    """What is going on at this moment."""

    rates: list[Rate]


# -- the certificate -----------------------------------------------------------------------------


class AskCertificate(Request, frozen=True):
    """Ask which certificate new connections get."""


class Certificate(Reply, frozen=True):
    """The certificate in use; ``ends`` counts."""

    subject: str
    names: str
    issuer: str
    key: str
    begins: Time
    ends: Time
    days_left: int
    self_signed: bool
    file: str
    spki_sha256: str


class RenewCertificate(Change, frozen=True):
    """Take a new certificate: made anew if it is the server's own, else read from its files."""


# -- the log -------------------------------------------------------------------------------------


class TailLog(Request, frozen=True):
    """Ask for the last lines of the log, or those after the line with the number ``after``.

    lines: how many at most.
    level: this level and those above it only.
    follow: go on with what comes.
    """

    lines: Annotated[int, Meta(ge=1, le=limits.OPERATOR_PAGE)] = 20
    level: Level = "debug"
    follow: bool = False
    after: Int63 = 0


class LogLine(Reply, frozen=True):
    """One line of the log; numbers rise by one from the start of the server."""

    number: Int63
    at: Time
    level: str
    text: str


class LogLines(Reply, frozen=True):
    """Lines of the log, oldest first. next: where what is followed goes on."""

    lines: list[LogLine]
    next: Int63 | None = None


class SetLogLevel(Change, frozen=True):
    """Choose the least that is logged, until the next start or reload.

    level: what is below it is left out.
    """

    level: Level


# -- the configuration ---------------------------------------------------------------------------


class CheckConfig(Request, frozen=True):
    """Check the configuration as it is on disk now."""


class Checked(Reply, frozen=True):
    """A configuration without mistakes. changes: how many keys differ from what runs."""

    file: str
    result: str
    changes: Int63


class ShowConfig(Request, frozen=True):
    """List the keys in force, all or those whose names begin so.

    key: its name, or that of its table.
    changed: only those that the file or the environment sets.
    """

    key: KeyName = ""
    changed: bool = False


class KeyInForce(Reply, frozen=True):
    """One key: its value, and where that comes from."""

    key: str
    value: str
    source: str


class KeysInForce(Reply, frozen=True):
    """The configuration that runs."""

    keys: list[KeyInForce]


class ExplainKey(Request, frozen=True):
    """Ask what a key means.

    key: its name, with that of its table: limits.message_burst.
    """

    key: KeyName


class Explained(Reply, frozen=True):
    """What one key means. applies: at a reload, or at a restart."""

    key: str
    meaning: str
    value: str
    source: str
    default: str
    takes: str
    applies: str
    variable: str


class DiffConfig(Request, frozen=True):
    """Compare what runs with what is on disk now."""


class Difference(Reply, frozen=True):
    """A key that is different on disk."""

    key: str
    running: str
    on_disk: str
    applies: str


class Differences(Reply, frozen=True):
    """What a reload would change, and what waits for a restart."""

    keys: list[Difference]


class ReloadConfig(Change, frozen=True):
    """Take over what is on disk, if all of it is good."""


class Reloaded(Outcome, frozen=True):
    """What a reload did. applied, restart: the keys that changed, and those that wait."""

    applied: str = ""
    restart: str = ""


# -- the table -----------------------------------------------------------------------------------

STATUS = Command(
    name="admin.server_status",
    request=AskStatus,
    reply=Status,
    doc="Says how the server is.",
    role=ServerRole.MODERATOR,
    cli="server status",
)
MAINTENANCE = Command(
    name="admin.server_maintenance",
    request=Maintain,
    reply=Outcome,
    doc="Closes the chat for maintenance, or opens it again.",
    errors=(refusals.NoDaemon,),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="server maintenance {mode}",
    asks=True,
    undoes=("mode", "off"),
)
BROADCAST = Command(
    name="admin.server_broadcast",
    request=Broadcast,
    reply=Outcome,
    doc="Tells everybody who is connected something.",
    errors=(refusals.NoDaemon, refusals.TextEmpty),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="server broadcast {text...}",
)
SHUTDOWN = Command(
    name="admin.server_shutdown",
    request=Shutdown,
    reply=Outcome,
    doc="Stops the server in order, now or after a while.",
    errors=(refusals.NoDaemon,),
    role=ServerRole.OWNER,
    overlap=Overlap.WRITE,
    cli="server shutdown",
    asks=True,
    undoes=("cancel", True),
)
STATS = Command(
    name="admin.stats_show",
    request=AskStats,
    reply=Stats,
    doc="Shows figures since the start.",
    errors=(refusals.NoDaemon,),
    role=ServerRole.MODERATOR,
    cli="stats show",
)
TOP = Command(
    name="admin.stats_top",
    request=AskStats,
    reply=Rates,
    doc="Shows what is going on at this moment.",
    errors=(refusals.NoDaemon,),
    role=ServerRole.MODERATOR,
    cli="stats top",
    live=True,
)
CERTIFICATE = Command(
    name="admin.cert_show",
    request=AskCertificate,
    reply=Certificate,
    doc="Shows the certificate that new connections get.",
    role=ServerRole.ADMIN,
    cli="cert show",
)
RENEW = Command(
    name="admin.cert_renew",
    request=RenewCertificate,
    reply=Outcome,
    doc="Takes a new certificate; connections that live go on.",
    errors=(faults.StartCertificate,),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="cert renew",
)
LOG_TAIL = Command(
    name="admin.log_tail",
    request=TailLog,
    reply=LogLines,
    doc="Shows the last lines of the log.",
    role=ServerRole.ADMIN,
    cli="log tail",
)
LOG_LEVEL = Command(
    name="admin.log_level",
    request=SetLogLevel,
    reply=Outcome,
    doc="Chooses the least that is logged, until the next start or reload.",
    errors=(refusals.NoDaemon,),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="log level {level}",
)
CONFIG_CHECK = Command(
    name="admin.config_check",
    request=CheckConfig,
    reply=Checked,
    doc="Checks the configuration as it is on disk now.",
    errors=(faults.Config, faults.StartCertificate),
    role=ServerRole.ADMIN,
    cli="config check",
)
CONFIG_SHOW = Command(
    name="admin.config_show",
    request=ShowConfig,
    reply=KeysInForce,
    doc="Lists the keys in force, with their values and where those come from.",
    errors=(refusals.KeyUnknown,),
    role=ServerRole.ADMIN,
    cli="config show [{key}]",
)
CONFIG_EXPLAIN = Command(
    name="admin.config_explain",
    request=ExplainKey,
    reply=Explained,
    doc="Says what a key means, its value, and where that comes from.",
    errors=(refusals.KeyUnknown,),
    role=ServerRole.ADMIN,
    cli="config explain {key}",
)
CONFIG_DIFF = Command(
    name="admin.config_diff",
    request=DiffConfig,
    reply=Differences,
    doc="Compares what runs with what is on disk now.",
    errors=(faults.Config,),
    role=ServerRole.ADMIN,
    cli="config diff",
)
CONFIG_RELOAD = Command(
    name="admin.config_reload",
    request=ReloadConfig,
    reply=Reloaded,
    doc="Checks what is on disk, and takes it over if all of it is good.",
    errors=(faults.Config, faults.StartCertificate, refusals.NoDaemon),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="config reload",
)

NOTICE = EventType(
    name="server.notice", body=ServerNotice, doc="An operator of the server tells everybody."
)

COMMANDS = (
    STATUS,
    MAINTENANCE,
    BROADCAST,
    SHUTDOWN,
    STATS,
    TOP,
    CERTIFICATE,
    RENEW,
    LOG_TAIL,
    LOG_LEVEL,
    CONFIG_CHECK,
    CONFIG_SHOW,
    CONFIG_EXPLAIN,
    CONFIG_DIFF,
    CONFIG_RELOAD,
)
EVENTS = (NOTICE,)
