"""What lairctl does by itself where no daemon runs: the same commands, without a listener.

The composition is the daemon's, under the same lock of the data directory, in one thread: nothing
here waits for a network, so that a command is done when this returns.  The database is opened only
for commands that look into it: it may be what is damaged, or what a backup is to take the place of.
Part of the composition root (see tap.py).
"""

import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from lairchat.core.desk import Desk
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel
from lairchat.core.session import Session
from lairchat.core.throttle import Throttle
from lairchat.daemon import make_features
from lairchat.features.accounts.hashing import Hashing
from lairchat.features.admin import messages as admin
from lairchat.features.messages import server as messages
from lairchat.host import Files, beside, rates_of, wall_clock
from lairchat.layout import Layout
from lairchat.logs import read_tail, text_observer
from lairchat.model import faults
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import NoDaemon
from lairchat.model.roles import ServerRole
from lairchat.operator import complete as completion
from lairchat.operator.complete import Completion
from lairchat.operator.console import Console, Output, Verbs, status_of
from lairchat.operator.verbs import Verb
from lairchat.prepare import make_directory, take_lock
from lairchat.storage import migrate
from lairchat.storage.answers import Answers
from lairchat.storage.database import Database
from lairchat.storage.halt import NEVER

T = TypeVar("T")
Confirm = Callable[[str], Awaitable[bool]]
ReadFile = Callable[[str], Awaitable[str]]


def run(
    layout: Layout,
    words: Sequence[str],
    confirm: Confirm | None,
    *,
    columns: int = 80,
    files: ReadFile | None = None,
) -> Output:
    """Do one command without a daemon; refusals are part of the output.

    confirm, files: ask a question and read a file, at once: there is nothing to wait for.
    """
    try:
        return _with_console(
            layout, lambda console: console.run(words, confirm), columns=columns, files=files
        )
    except Refusal as refusal:
        return Output(f"{refusal}\n", status_of(refusal.code))


def greeting(layout: Layout, *, columns: int) -> str:
    """Return what stands above a first prompt; raises why nothing can be done here."""
    return _with_console(layout, lambda console: console.greeting(), columns=columns)


def complete(layout: Layout, line: str, cursor: int) -> Completion:
    """Return the verbs and flags that the word before the cursor could become.

    No names of things: the files are not looked into, and a server may be started meanwhile.
    """
    return _with_console(
        layout,
        lambda console: completion.complete(console.verbs, line, cursor, console.role, _no_names),
        lock=False,
    )


async def _no_names(_verb: Verb, _asked: Mapping[str, str], _column: str) -> list[str]:
    return []


def _with_console(
    layout: Layout,
    use: Callable[[Console], Awaitable[T]],
    *,
    columns: int = 80,
    files: ReadFile | None = None,
    lock: bool = True,
) -> T:
    """Compose the server for one use, under the lock of its files."""
    offline = Offline(layout, lock=lock)
    try:
        console = Console(
            Verbs(offline.kernel.table),
            offline.give,
            who=f"local:{os.getuid()}",
            role=ServerRole.OWNER,
            source="offline",
            columns=columns,
            files=files,
        )
        return offline.settled(use(console))
    finally:
        offline.close()


class Offline:
    """The server without its sockets, on the files of one layout; holds their lock until closed.

    lock: False for a use that does not touch them.
    Raises StartLock where a daemon has it after all, StartPermission for somebody else's files.
    """

    def __init__(self, layout: Layout, *, lock: bool = True) -> None:
        # A prompt that goes on after a command that could not begin must not keep the lock.
        with ExitStack() as held:
            self._compose(layout, held, lock=lock)
            self._held = held.pop_all()

    def _compose(self, layout: Layout, held: ExitStack, *, lock: bool) -> None:
        self.clock = Clock()
        self.place = _Place(layout)
        held.callback(self.place.unlock)
        if lock:
            if layout.data.exists():
                self.place.lock()
            held.enter_context(_audited(layout))
        self.storage = self.place.storage = _Storage(layout, self.clock)
        self.kernel = Kernel(
            make_features(
                layout,
                clock=self.clock,
                hashing=Hashing(execute, secrets.token_bytes),
                host=_Host(layout),
                place=self.place,
            ),
            storage=self.storage,
            answers=Answers(),
            hub=Hub(lambda flush: self.clock.callLater(0, flush), messages.gap_frame),
            throttle=Throttle(self.clock.seconds),
            now=wall_clock,
            random=secrets.token_bytes,
            rates=rates_of(layout.config),
        )
        held.callback(self.storage.close)
        who = f"local:{os.getuid()}"
        session = Session(SessionId(0), LOCAL_OPERATOR, DeviceId(0), who, ServerRole.OWNER)
        self._desk = Desk(self.kernel, session, "offline")

    def give(self, command: Any, arguments: Any) -> "Deferred[Any]":
        """Give a command, as ``Desk.give`` does."""
        return self._desk.give(command, arguments)

    def settled(self, work: Awaitable[T]) -> T:
        """Do all that a coroutine waits for, and return what it returns."""
        done: list[Any] = []
        failed: list[Failure] = []
        coroutine: Any = work
        Deferred.fromCoroutine(coroutine).addCallbacks(done.append, failed.append)
        while not done and not failed:
            due = [call for call in self.clock.getDelayedCalls() if call.getTime() <= 0]
            if not due:
                raise AssertionError("a command waits for something that cannot come")
            self.clock.advance(0)
        if failed:
            failed[0].raiseException()
        result: T = done[0]
        return result

    def close(self) -> None:
        """Close the database, whose log is then copied and gone, and give the lock back."""
        self._held.close()


class _Storage:
    """The database, opened when somebody first asks for it."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        """The open database; raises why it cannot be opened."""
        if self._database is None:
            path = self._layout.database
            # A start would make it, or migrate it: neither is what somebody asks for who looks.
            revision = migrate.revision_of(path)
            if revision is None:
                raise faults.ControlNone(path=self._layout.data)
            needed = migrate.revisions()[-1]
            if revision in migrate.revisions() and revision != needed:
                raise faults.StartOld(
                    path=path.name, found=migrate.number(revision), needed=migrate.number(needed)
                )
            self._database = Database.open(f"sqlite:///{path}", reactor=self._clock, inline=True)
        return self._database

    def read(self, query: Callable[[Any], T]) -> "Deferred[T]":
        """Run a query."""
        return self._opened(lambda database: database.read(query))

    def call(self, change: Callable[[Any], T]) -> "Deferred[T]":
        """Run a change."""
        return self._opened(lambda database: database.call(change))

    def _opened(self, use: Callable[[Database], "Deferred[T]"]) -> "Deferred[T]":
        return execute(lambda: self.database).addCallback(use)

    def submit(
        self,
        change: Callable[[Any], Any],
        finish: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Run a change; ``finish(result, error)`` after the commit."""
        try:
            database = self.database
        except Refusal as refusal:
            finish(None, refusal)
            return
        database.submit(change, finish)

    def submit_unit(self, unit: Any) -> None:
        """Hand a unit to the writer."""
        self.database.submit_unit(unit)

    def close(self) -> None:
        """Close what was opened."""
        if self._database is not None:
            self._database.close()
            self._database = None


class _Place:
    """Where the database and its backups are, when nobody else uses them."""

    storage: _Storage

    def __init__(self, layout: Layout) -> None:
        self.database = layout.database
        self.directory = layout.data
        self.backups = layout.backups
        self.beside = beside(layout)
        self.halt = NEVER
        self._lock_file = layout.lock
        self._lock = -1

    def lock(self) -> None:
        """Take the data directory, which has to be ours."""
        make_directory(self.directory)
        self._lock = take_lock(self._lock_file)

    def unlock(self) -> None:
        """Give it back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def aside(self, work: Callable[[], T]) -> "Deferred[T]":
        """Do the work: nobody waits for anything else."""
        return execute(work)

    def vacuum(self) -> "Deferred[None]":
        """Give the database's free space back."""
        return self.storage.database.vacuum()

    def claim(self, name: str, *, rehearsal: bool) -> None:  # noqa: ARG002
        """Make the data directory if it is missing, and close a database that was looked into."""
        if self._lock < 0 and not rehearsal:
            self.lock()
        self.storage.close()


class _Host(Files):
    """The host where no daemon runs."""

    def need_daemon(self) -> NoReturn:
        """Say that none runs."""
        raise NoDaemon

    def stats(self) -> admin.Stats:
        """Refuse: there are none."""
        self.need_daemon()

    def rates(self) -> list[admin.Rate]:
        """Refuse: there are none."""
        self.need_daemon()

    def stop(self, after: int, reason: str) -> None:  # noqa: ARG002
        """Refuse: nothing runs."""
        self.need_daemon()

    def keep_running(self) -> bool:
        """Refuse: nothing runs."""
        self.need_daemon()

    def set_log_level(self, level: str) -> None:  # noqa: ARG002
        """Refuse: nothing is logged."""
        self.need_daemon()

    def reload(self, *, rehearsal: bool) -> tuple[list[str], list[str]]:  # noqa: ARG002
        """Refuse: nothing runs that could take it over."""
        self.need_daemon()

    def log_lines(self, request: admin.TailLog) -> list[admin.LogLine]:
        """Return the last lines of the file that a daemon in the background writes."""
        lines = read_tail(self.layout.log, count=request.lines, level=request.level)
        return [admin.LogLine(line.number, line.at, line.level, line.text) for line in lines]


@contextmanager
def _audited(layout: Layout) -> Iterator[None]:
    """Let what is done here stand in the daemon's log, where that is a file."""
    if not layout.log.is_file():
        yield
        return
    try:
        file = layout.log.open("a", encoding="utf-8")
    except OSError as error:  # nothing is done that would not stand in it
        why = (error.strerror or str(error)).lower()
        raise faults.StartPermission(path=layout.log, why=why) from None
    with file:
        observer = text_observer(file)
        globalLogPublisher.addObserver(observer)
        try:
            yield
        finally:
            globalLogPublisher.removeObserver(observer)
