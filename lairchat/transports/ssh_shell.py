"""What operators run over SSH: a command line, or the shell in which they type one after the other.

Promises not to know: what a command does; the console does (see operator/console.py).
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from lairchat.core.portal import Caller
from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import CliLong, CliText
from lairchat.operator.cells import fold
from lairchat.operator.console import Console, Live, Output, Status, split, status_of
from lairchat.transports.ssh_session import COLUMNS, OperatorSession
from lairchat.transports.ssh_terminal import Terminal

LINE_BYTES = 4 * limits.OPERATOR_LINE_CHARS
_LEAVE = frozenset({"exit", "quit", "logout"})
MANHOLE = ["manhole"]


class Manholes(Protocol):
    """Opens Python prompts inside of the server."""

    def open(self, session: OperatorSession, caller: Caller) -> Coroutine[Any, Any, int]:
        """Run one on a session until it is left; returns the exit status."""


class ConsolePrograms:
    """The programs of every session (see ssh_session.Programs).

    console: makes the console of somebody who has come in.
    manholes: opens Python prompts.
    place: what the prompt calls the server.
    """

    def __init__(
        self,
        console: Callable[[Caller, str], Console],
        manholes: Manholes,
        *,
        place: str,
        clock: IReactorTime,
    ) -> None:
        self._console = console
        self._manholes = manholes
        self._place = place
        self._clock = clock

    async def command(self, session: OperatorSession, line: bytes) -> int:
        """Run one line, as scripts do; what it asks, a terminal can answer."""
        terminal = Terminal(session, self._clock) if session.size is not None else None
        runner = self._runner(session, terminal)
        return await runner.run(line)

    async def shell(self, session: OperatorSession) -> int:
        """Run lines until the end: typed at a terminal, or piped."""
        if session.size is None:
            return await self._piped(session)
        terminal = Terminal(session, self._clock)
        return await self._typed(session, terminal)

    def _runner(self, session: OperatorSession, terminal: Terminal | None) -> "Runner":
        caller = session.conn.caller
        console = self._console(caller, session.conn.host)
        console.columns = session.size.columns if session.size is not None else COLUMNS
        return Runner(session, terminal, console, self._manholes, self._clock)

    async def _typed(self, session: OperatorSession, terminal: Terminal) -> int:
        runner = self._runner(session, terminal)
        console = runner.console
        session.say(await console.greeting())
        prompt = f"{session.conn.caller.name}@{self._place}> "
        history: list[str] = []
        while True:
            line = await terminal.read_line(prompt, history=history, complete=console.complete)
            if line is None or line.strip() in _LEAVE:
                return Status.OK
            if line.strip():
                await runner.run(line.encode())

    async def _piped(self, session: OperatorSession) -> int:
        """Run the lines that are piped in; the status is that of the last one."""
        runner = self._runner(session, None)
        status: int = Status.OK
        lines = PipedLines(session)
        while (line := await lines.next()) is not None:
            if line.strip():
                status = await runner.run(line)
                await session.drained()
        return status


class Runner:
    """Runs one line after the other for one session.

    terminal: None where nobody can be asked.
    """

    def __init__(
        self,
        session: OperatorSession,
        terminal: Terminal | None,
        console: Console,
        manholes: Manholes,
        clock: IReactorTime,
    ) -> None:
        self.console = console
        self._session = session
        self._terminal = terminal
        self._manholes = manholes
        self._clock = clock
        if terminal is not None:
            terminal.resized_to = lambda size: setattr(console, "columns", size.columns)

    async def run(self, line: bytes) -> int:
        """Run a line, write what it comes to, and return its status."""
        await deferLater(self._clock, 0)  # others' turn: a thousand lines may come in one piece
        try:
            words = _words(line)
        except Refusal as refusal:
            return self._write(Output(f"{refusal}\n", status_of(refusal.code)))
        if words == MANHOLE:
            return await self._manholes.open(self._session, self._session.conn.caller)
        output = await self._output(words)
        if output is None:
            self._session.say("^C  what was begun goes on; see: log tail\n")
            return Status.FAILED
        return self._write(output)

    async def _output(self, words: Sequence[str]) -> Output | None:
        """Return what the words come to; None when somebody did not wait for it."""
        terminal, live = self._terminal, self.console.live(words)
        if terminal is None:
            if live == Live.LINES:
                return await self.console.watch(words, self._session.say, self._until_closed)
            return await self.console.run(words)
        if live is not None:
            return await terminal.watch(
                lambda emit, until: self.console.watch(words, emit, until),
                screen=live == Live.SCREEN,
            )
        return await terminal.until_left(lambda confirm: self.console.run(words, confirm))

    async def _until_closed(self, seconds: float) -> bool:
        await deferLater(self._clock, seconds)
        await self._session.drained()
        return bool(self._session.localClosed)

    def _write(self, output: Output) -> int:
        if output.status == Status.OK:
            self._session.say(output.text)
        elif self._terminal is None:
            self._session.say_error(output.text)  # whole lines, for programs
        else:
            self._session.say_error(fold(output.text, self.console.columns))
        return output.status


class PipedLines:
    """The lines that come in without a terminal."""

    def __init__(self, session: OperatorSession) -> None:
        self._session = session
        self._buffer = b""
        self._over = False
        self._reader: Deferred[None] | None = None
        session.listen(self)

    def received(self, data: bytes) -> None:
        """Take a piece of the input."""
        self._buffer += data
        self._wake()

    def ended(self) -> None:
        """Take note that this was all."""
        self._over = True
        self._wake()

    gone = ended

    def resized(self) -> None:
        """Nothing has a size here."""

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(None)

    async def next(self) -> bytes | None:
        """Return the next line, or None after the last."""
        while b"\n" not in self._buffer and not self._over:
            if len(self._buffer) > LINE_BYTES:
                break  # it is refused, and so is what follows as long as it has no end
            self._session.feed(hungry=True)
            self._reader = Deferred()
            await self._reader
        self._session.feed(hungry=False)
        if not self._buffer:
            return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _words(line: bytes) -> list[str]:
    """Return the words of a line; raises CliText, CliLong, CliQuote."""
    if len(line) > LINE_BYTES:
        raise CliLong(size=len(line), limit=limits.OPERATOR_LINE_CHARS)
    try:
        return split(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CliText(place=error.start + 1) from None
