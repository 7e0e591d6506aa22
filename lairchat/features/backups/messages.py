"""Keeping the database, for operators: backups, checks, vacuum."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Size, Time, flag

BackupText = Annotated[str, Meta(max_length=1_024)]

# -- backups -------------------------------------------------------------------------------------


class CreateBackup(Change, frozen=True):
    """Copy the database, in use or not, under a name; by default the time.

    name: what to call it; otherwise the time.
    """

    name: BackupText = ""


class Made(Outcome, frozen=True):
    """A backup that was made."""

    name: str = ""
    path: str = ""
    size: Size = 0


class ListBackups(Request, frozen=True):
    """List the backups, the newest first."""

    after: BackupText = ""


class Backup(Reply, frozen=True):
    """One backup, as its manifest tells. schema: ``damaged`` where it tells nothing."""

    name: str
    made: Time
    size: Size
    schema: str
    rooms: Int63
    rows: Int63


class Backups(Reply, frozen=True):
    """A page of the backups."""

    backups: list[Backup]
    next: str | None = None


class VerifyBackup(Request, frozen=True):
    """Prove that a backup can be put back.

    name: its name, or the path of its directory.
    """

    name: BackupText


class Sound(Reply, frozen=True):
    """A backup that was read to its end and found sound."""

    result: str
    name: str
    path: str
    made: Time
    size: Size
    schema: str
    rooms: Int63
    rows: Int63
    sha256: str
    chain: str


class RestoreBackup(Change, frozen=True):
    """Put a backup back where no server runs.

    name: its name, or the path of its directory.
    replace: also where a database is; that one is kept beside.
    """

    name: BackupText
    replace: bool = False


class Restored(Outcome, frozen=True):
    """What was put back. aside: where the database is that was there before."""

    rooms: Int63 = 0
    rows: Int63 = 0
    chain: str = ""
    files: str = ""
    aside: str = ""


# -- the database --------------------------------------------------------------------------------


class AskDatabase(Request, frozen=True):
    """Ask how the database is."""


class DatabaseStatus(Reply, frozen=True):
    """How the database is. free: bytes in it that a vacuum would give back."""

    file: str
    size: Size
    log: Size
    free: Size
    schema: str
    rooms: Int63
    events: Int63
    accounts: Int63
    sqlite: str
    disk_free: Size


class CheckDatabase(Request, frozen=True):
    """Look for damage.

    problems: list what is found, instead of ending with a refusal.
    """

    problems: Annotated[bool, flag("list")] = False


class Problem(Reply, frozen=True):
    """One thing that does not hold together."""

    problem: str


class CheckedDatabase(Reply, frozen=True):
    """What a check came to."""

    result: str
    problems: list[Problem]


class Vacuum(Change, frozen=True):
    """Give free space back to the disk; nobody can write meanwhile."""


# -- the table -----------------------------------------------------------------------------------

CREATE = Command(
    name="admin.backup_create",
    request=CreateBackup,
    reply=Made,
    doc="Copies the database while it is in use, with a manifest of checksums.",
    errors=(
        refusals.BackupName,
        refusals.BackupExists,
        refusals.BackupFailed,
        refusals.DiskRoom,
    ),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="backup create [{name}]",
)
LIST = Command(
    name="admin.backup_list",
    request=ListBackups,
    reply=Backups,
    doc="Lists the backups, the newest first.",
    role=ServerRole.ADMIN,
    cli="backup list",
)
VERIFY = Command(
    name="admin.backup_verify",
    request=VerifyBackup,
    reply=Sound,
    doc="Reads a backup to its end and proves that it can be put back.",
    errors=(refusals.BackupName, refusals.BackupUnknown, refusals.BackupDamaged),
    role=ServerRole.ADMIN,
    cli="backup verify {name}",
)
RESTORE = Command(
    name="admin.backup_restore",
    request=RestoreBackup,
    reply=Restored,
    doc="Puts a backup back, with lairctl, where no server runs.",
    errors=(
        refusals.BackupName,
        refusals.BackupUnknown,
        refusals.BackupDamaged,
        refusals.BackupFailed,
        refusals.RestoreRunning,
        refusals.RestoreOver,
        refusals.DiskRoom,
    ),
    role=ServerRole.OWNER,
    overlap=Overlap.WRITE,
    cli="backup restore {name}",
    asks=True,
)
STATUS = Command(
    name="admin.db_status",
    request=AskDatabase,
    reply=DatabaseStatus,
    doc="Says how the database is.",
    role=ServerRole.ADMIN,
    cli="db status",
)
CHECK = Command(
    name="admin.db_check",
    request=CheckDatabase,
    reply=CheckedDatabase,
    doc="Looks for damage: in the file, between the tables, in every room's log.",
    errors=(refusals.DatabaseDamaged,),
    role=ServerRole.ADMIN,
    cli="db check",
)
VACUUM = Command(
    name="admin.db_vacuum",
    request=Vacuum,
    reply=Outcome,
    doc="Gives free space back to the disk; nobody can write meanwhile.",
    errors=(refusals.DiskRoom,),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="db vacuum",
    asks=True,
)

COMMANDS = (CREATE, LIST, VERIFY, RESTORE, STATUS, CHECK, VACUUM)
