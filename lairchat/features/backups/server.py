"""Answers what backups.messages declares.

Copies, checks and digests take as long as the database is large: they run beside the reactor, one
at a time, and what they read is a snapshot, so that members go on writing meanwhile.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from lairchat.core.bodies import fit
from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.plan import Answer
from lairchat.features.backups import messages, rules, tables
from lairchat.model import refusals
from lairchat.model.ids import LOCAL_OPERATOR
from lairchat.model.phrases import counted
from lairchat.storage import backup, check, migrate
from lairchat.storage.backup import BackupError, Manifest
from lairchat.storage.halt import Halt
from lairchat.wire.contract import Outcome

T = TypeVar("T")


class Place(Protocol):
    """Where the database and its backups are; the composition root implements it.

    directory: of the data.  beside: small files that a backup takes along.
    halt: what work aside asks whether it is to go on.
    """

    database: Path
    directory: Path
    backups: Path
    beside: tuple[Path, ...]

    @property
    def halt(self) -> Halt: ...  # noqa: D102 - above

    def aside(self, work: Callable[[], T]) -> "Deferred[T]":
        """Do work that takes its time beside the reactor, after what was asked for earlier.

        Fails with ShuttingDown for work that was given up, as its ``halt`` said.
        """

    def vacuum(self) -> "Deferred[None]":
        """Give the database's free space back, between two groups of the writer."""

    def claim(self, name: str, *, rehearsal: bool) -> None:
        """Take the data directory for a restore, made if it is missing.

        Raises RestoreRunning where a server uses it.
        """


class _Handlers:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._making: set[Path] = set()

    # -- backups

    async def create(self, call: Call, request: messages.CreateBackup) -> Answer[messages.Made]:
        place = self._place
        name = request.name or self._named_by_time(call.now)
        target = self._path(call, name)
        if self._is_taken(target):
            raise refusals.BackupExists(name=name, field="$.name")
        if call.rehearsal:
            _need_room(target, _bytes_of(place.database))
            return Answer(messages.Made(done=f"back up to {target}", name=name, path=str(target)))

        def work() -> Manifest:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return backup.create(
                place.database, target, now=call.now, beside=place.beside, halt=place.halt
            )

        began = time.monotonic()
        self._making.add(target)
        try:
            # First: half a backup of a server that was killed may be what the disk is full of.
            await place.aside(lambda: backup.forget_unfinished(place.backups))
            _need_room(target, _bytes_of(place.database))
            manifest = await self._tried("the backup", work)
        finally:
            self._making.discard(target)
        rows = sum(manifest.contents.counts.values())
        took = f"{time.monotonic() - began:.1f} s"
        done = f"backed up {rows} rows, {rules.in_words(manifest.size)}, to {target} in {took}"
        return Answer(messages.Made(done=done, name=name, path=str(target), size=manifest.size))

    async def list(self, _call: Call, request: messages.ListBackups) -> Answer[messages.Backups]:
        def work() -> tuple[list[messages.Backup], bool]:
            found = sorted((_told(path) for path in self._all()), key=_newest_first)
            names = [one.name for one in found]
            start = names.index(request.after) + 1 if request.after in names else 0
            return fit(found[start:])

        page, more = await self._place.aside(work)
        return Answer(messages.Backups(backups=page, next=page[-1].name if more else None))

    async def verify(self, call: Call, request: messages.VerifyBackup) -> Answer[messages.Sound]:
        path = self._existing(call, request.name)
        place = self._place
        manifest = await place.aside(lambda: _proven(path, request.name, place.halt))
        return Answer(
            messages.Sound(
                result="sound",
                name=request.name,
                path=str(path),
                made=manifest.created,
                size=manifest.size,
                schema=migrate.number(manifest.contents.schema),
                rooms=len(manifest.contents.rooms),
                rows=sum(manifest.contents.counts.values()),
                sha256=manifest.sha256,
                chain=manifest.contents.chain,
            )
        )

    async def restore(
        self, call: Call, request: messages.RestoreBackup
    ) -> Answer[messages.Restored]:
        place, name = self._place, request.name
        path = self._existing(call, name)
        place.claim(name, rehearsal=call.rehearsal)
        blocking = backup.in_the_way(place.database)
        if blocking is not None and not request.replace:
            raise refusals.RestoreOver(path=blocking.name, name=name)
        manifest = await place.aside(lambda: _proven(path, name, place.halt))
        contents = manifest.contents
        if place.database.parent.exists():
            _need_room(place.database, manifest.size)
        rows = sum(contents.counts.values())
        holds = f"{counted(len(contents.rooms), 'room')}, {counted(rows, 'row')}"
        what = f"{holds}, schema {migrate.number(contents.schema)}"
        if call.rehearsal:
            return Answer(messages.Restored(done=f"put back {what}, to {place.database}"))
        restored = await self._tried(
            "the restore",
            lambda: backup.restore(
                path, place.database, directory=place.directory, replace=request.replace
            ),
        )
        return Answer(
            messages.Restored(
                done=f"put back {what}, to {place.database}",
                rooms=len(contents.rooms),
                rows=rows,
                chain=contents.chain,
                files=", ".join(restored.files),
                aside=str(restored.aside or ""),
            )
        )

    # -- the database

    async def status(
        self, call: Call, _request: messages.AskDatabase
    ) -> Answer[messages.DatabaseStatus]:
        found = await call.kernel.storage.read(tables.numbers)
        database = self._place.database
        return Answer(
            messages.DatabaseStatus(
                file=str(database),
                size=_bytes_of(database),
                log=_bytes_of(Path(f"{database}-wal")),
                free=found.free,
                schema=migrate.number(found.schema),
                rooms=found.rooms,
                events=found.events,
                accounts=found.accounts,
                sqlite=found.sqlite,
                disk_free=shutil.disk_usage(database.parent).free,
            )
        )

    async def check(
        self, _call: Call, request: messages.CheckDatabase
    ) -> Answer[messages.CheckedDatabase]:
        place = self._place
        found = await place.aside(lambda: check.check(place.database, halt=place.halt))
        if found and not request.problems:
            raise refusals.DatabaseDamaged(count=len(found), first=found[0])
        result = f"{len(found)} problems" if found else "sound"
        problems, _ = fit([messages.Problem(text) for text in found])
        return Answer(messages.CheckedDatabase(result=result, problems=problems))

    async def vacuum(self, call: Call, _request: messages.Vacuum) -> Answer[Outcome]:
        database = self._place.database
        before = _bytes_of(database)
        # SQLite writes the whole anew beside the old one, and then into the log.
        _need_room(database, 2 * before)
        if call.rehearsal:
            free = (await call.kernel.storage.read(tables.numbers)).free
            return Answer(Outcome(done=f"give back {rules.in_words(free)}"))
        await self._place.vacuum()
        sizes = f"{rules.in_words(before)} before, {rules.in_words(_bytes_of(database))} now"
        return Answer(Outcome(done=f"vacuumed {database.name}: {sizes}"))

    # -- where they are

    def _all(self) -> Iterator[Path]:
        """Yield the backups that were made, and those that migrations have made."""
        place = self._place
        for pattern, directory in (
            ("*", place.backups),
            (f"{place.database.name}.before-*", place.database.parent),
        ):
            for path in directory.glob(pattern):
                if path.is_dir() and not path.name.startswith("."):
                    yield path

    def _path(self, call: Call, name: str) -> Path:
        """Return where a backup of this name would be made; raises BackupName.

        Who is on the host may name a path; others may not look around there.
        """
        if rules.is_name(name):
            return self._place.backups / name
        if call.session.user == LOCAL_OPERATOR and Path(name).is_absolute():
            return Path(name)
        raise refusals.BackupName(name=name, field="$.name")

    def _existing(self, call: Call, name: str) -> Path:
        """Return the backup of this name; raises BackupUnknown."""
        path = self._path(call, name)
        if path.is_dir():
            return path
        migrated = self._place.database.parent / name
        if migrated.is_dir() and name.startswith(f"{self._place.database.name}.before-"):
            return migrated
        raise refusals.BackupUnknown(name=name, field="$.name")

    def _is_taken(self, path: Path) -> bool:
        """Tell whether there is a backup here, or one that is being made."""
        return path in self._making or path.exists()

    def _named_by_time(self, now: int) -> str:
        """Return a name for a backup that is not taken: the time, and a number where that is."""
        name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now // 1000))
        number, free = 1, name
        while self._is_taken(self._place.backups / free):
            number += 1
            free = f"{name}-{number}"
        return free

    async def _tried(self, what: str, work: Callable[[], T]) -> T:
        """Do work aside, and turn what the disk says into a refusal."""
        try:
            return await self._place.aside(work)
        except BackupError as error:
            raise refusals.BackupFailed(what=what, why=_shortly(str(error))) from error
        except OSError as error:
            why = f"{Path(str(error.filename or '')).name} {error.strerror or error}".strip()
            raise refusals.BackupFailed(what=what, why=why.lower()) from error


def _told(path: Path) -> messages.Backup:
    """Say what a backup's manifest says, without proving it."""
    try:
        manifest = backup.read_manifest(path)
    except BackupError:
        made = path.stat().st_mtime_ns // 1_000_000
        return messages.Backup(path.name, made, 0, "damaged", 0, 0)
    contents = manifest.contents
    rows = sum(contents.counts.values())
    return messages.Backup(
        path.name,
        manifest.created,
        manifest.size,
        migrate.number(contents.schema),
        len(contents.rooms),
        rows,
    )


def _newest_first(one: messages.Backup) -> tuple[int, str]:
    return -one.made, one.name


def _proven(path: Path, name: str, halt: Halt) -> Manifest:
    """Read a backup to its end; raises BackupDamaged."""
    found = backup.verify(path, halt)
    if found:
        raise refusals.BackupDamaged(name=Path(name).name, why=_shortly(found[0]))
    return backup.read_manifest(path)


def _shortly(sentence: str) -> str:
    """Return a sentence about a file with the file's name only, so that its end is not cut off."""
    return " ".join(Path(word).name if "/" in word else word for word in sentence.split())


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _need_room(target: Path, needed: int) -> None:
    """Raise DiskRoom where a disk has less than is needed; what is half written helps nobody."""
    directory = target.parent
    while not directory.exists():
        directory = directory.parent
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise refusals.DiskRoom(needed=rules.in_words(needed), free=rules.in_words(free))


def make(place: Place) -> Feature:
    """Build the feature."""
    do = _Handlers(place)
    handlers: dict[Any, Any] = {
        messages.CREATE: do.create,
        messages.LIST: do.list,
        messages.VERIFY: do.verify,
        messages.RESTORE: do.restore,
        messages.STATUS: do.status,
        messages.CHECK: do.check,
        messages.VACUUM: do.vacuum,
    }
    return Feature(name="backups", handlers=handlers)
