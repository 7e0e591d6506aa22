"""Runs what an operator types: the one way from words to the command table and back to text.

Doors bring the words and carry the text; they decide nothing.  All text that a console returns is
safe to show (see model/text.py).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lairchat import __version__
from lairchat.core import audit as audits
from lairchat.core.audit import Audit, Entry
from lairchat.model import limits
from lairchat.model.faults import ControlText
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import CliAsks, CliLong, CliRows, RateLimited
from lairchat.model.roles import ServerRole
from lairchat.operator import complete as completion
from lairchat.operator.answer import Answer, Shape, answer_of, filtered, shape_of
from lairchat.operator.audit import describe
from lairchat.operator.cells import fold, safe
from lairchat.operator.complete import Completion
from lairchat.operator.help import explain
from lairchat.operator.line import HELP, Filter, Format, Line, parse
from lairchat.operator.render import as_table, json_row, render, summary
from lairchat.operator.status import Status, status_of
from lairchat.operator.values import as_text
from lairchat.operator.verbs import Verb, Verbs
from lairchat.operator.words import PIPE, split
from lairchat.wire.contract import Command

__all__ = ["Completion", "Console", "Live", "Output", "Status", "Verbs", "split", "status_of"]

Give = Callable[[Command[Any, Any], Mapping[str, Any]], Awaitable[Any]]
Confirm = Callable[[str], Awaitable[bool]]
ReadFile = Callable[[str], Awaitable[str]]
Wait = Callable[[float], Awaitable[None]]
Apart = Callable[[Callable[[], str]], Awaitable[str]]
Until = Callable[[float], Awaitable[bool]]
"""Waits so many seconds, or less, and says whether nobody watches any more."""

#: Waits for one's turn between the pages of one answer: in all longer than any sane list takes.
_PATIENCE = 1_000
_MANY_ROWS = 500
"""count: rows that take some 15 ms to write; more are written in another thread."""
_NAME_ROWS = 2_000
"""count: rows of a list among which Tab looks for names."""


class Output(NamedTuple):
    """What a command line came to: text for standard output, or with a status for standard error.

    code: of the refusal, or what else the log calls it.
    """

    text: str
    status: int = Status.OK
    code: str = ""


class Live:
    """How an answer that goes on is shown."""

    SCREEN: Final = "screen"
    """Each text takes the place of the one before."""
    LINES: Final = "lines"
    """Each text follows the one before."""


class Console:
    """One operator's console.

    give: hands a command to the kernel, as ``Desk.give`` does.
    who, source: for the log: the account or ``local:UID``, and the door with the address.
    role: what help and Tab offer; what may be done, the kernel decides at each command.
    columns: the width of the terminal; doors change it when the window does.
    files: reads a file that the line names, where the caller is not a stranger to the files.
    wait: waits for so many seconds: an answer of many pages may be held up by the caller's rate.
    apart: does work in another thread: writing a long answer must not hold up everybody's chat.
    """

    def __init__(
        self,
        verbs: Verbs,
        give: Give,
        *,
        who: str,
        role: ServerRole,
        source: str,
        columns: int = 80,
        audit: Audit = audits.write,
        files: ReadFile | None = None,
        wait: Wait | None = None,
        apart: Apart | None = None,
    ) -> None:
        self.verbs = verbs
        self.who = who
        self.role = role
        self.source = source
        self.columns = columns
        self._give = give
        self._audit = audit
        self._files = files
        self._wait = wait
        self._apart = apart

    # -- one command

    async def run(self, words: Sequence[str], confirm: Confirm | None = None) -> Output:
        """Do what the words say.

        confirm: asks yes or no where somebody can answer; None where nobody can.
        """
        if (page := self._help(words)) is not None:
            return page
        return await self._logged(words, lambda line: self._run(line, confirm))

    async def _logged(
        self, words: Sequence[str], do: Callable[[Line], Awaitable[Output]]
    ) -> Output:
        """Understand the words, do it, and write down what came of it."""
        said = self._only_known(words)
        try:
            line = self._understood(words)
            said = describe(line)
            output = await do(line)
        except Refusal as refusal:
            output = _refused(refusal)
        except BaseException:  # cancelled by a caller who left, too: what was begun is written down
            self._audit(Entry(self.who, self.source, said, Status.FAILED, "LC-INTERNAL"))
            raise
        self._audit(Entry(self.who, self.source, said, output.status, output.code))
        return output

    def _understood(self, words: Sequence[str]) -> Line:
        size = sum(map(len, words))
        if size > limits.OPERATOR_LINE_CHARS:
            raise CliLong(size=size, limit=limits.OPERATOR_LINE_CHARS)
        for word in words:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise ControlText(word=word) from None
        return parse(self.verbs, words, self.role, files=self._files is not None)

    def _only_known(self, words: Sequence[str]) -> str:
        """Return what may be logged of words that may hold anything, a pasted secret too."""
        verb = self.verbs.find(words)
        return f"{verb.name} ..." if verb is not None else "(no command)"

    def _help(self, words: Sequence[str]) -> Output | None:
        """Return the page that was asked for: ``help user``, ``user ?``, ``user lock --help``."""
        head = list(words[: list(words).index(PIPE)] if PIPE in words else words)
        topic = self._topic(head)
        if topic is None:
            return None
        try:
            text = explain(self.verbs, topic, self.role, self.columns)
        except Refusal as refusal:
            return _refused(refusal)
        return Output(text)

    def _topic(self, head: list[str]) -> list[str] | None:
        """Return what is to be explained, or None; a ``?`` may also be a word of a sentence."""
        if head[:1] == ["help"]:
            return [word for word in head[1:] if word not in HELP]
        verb = self.verbs.find(head)
        known = list(verb.words) if verb is not None else None
        if "--help" in head[: head.index("--") if "--" in head else None]:
            return known if known is not None else head[: head.index("--help")]
        if head[-1:] == ["?"] and (verb is None or head == [*verb.words, "?"] or not verb.wordy):
            return known if known is not None else head[:-1]
        return None

    async def _run(self, line: Line, confirm: Confirm | None) -> Output:
        await self._read_files(line)
        if line.asks:
            if confirm is None:
                raise CliAsks
            if not await confirm(await self._question(line)):
                return Output("nothing was done\n", Status.FAILED, "declined")
        answer = await self._ask(line)
        text = await self._written(answer, line)
        if line.dry_run and line.format is Format.TEXT:
            text = f"dry run, nothing was done: {text}"
        return Output(text)

    async def _written(self, answer: Answer, line: Line) -> str:
        def write() -> str:
            return render(filtered(answer, line.filters), line.format, self.columns)

        if self._apart is None or len(answer.rows or ()) < _MANY_ROWS:
            return write()
        return await self._apart(write)

    async def _read_files(self, line: Line) -> None:
        """Put the texts of the files that were named in their places."""
        for name, path in line.files.items():
            if self._files is not None:
                line.values[name] = await self._files(path)

    async def _question(self, line: Line) -> str:
        """Return what to ask before a command: what it would do, found out by a rehearsal."""
        what = safe(describe(line))
        if line.verb.changes:
            reply = await self._give(line.verb.command, {**line.values, "dry_run": True})
            what = f"would do: {safe(reply.done)}"
        return f"{fold(what, self.columns)}\nDo it? y/N "

    # -- answers of many pages

    async def _ask(self, line: Line) -> Answer:
        command = line.verb.command
        shape = shape_of(command.reply)
        wanted = _wanted(line.filters)
        reply = await self._give(command, line.values)
        rows = list(getattr(reply, shape.rows)) if shape.rows else []
        following = getattr(reply, "next", None)
        # Where an answer can be followed, ``next`` says where it goes on some time, not a page.
        if "follow" in command.request.__struct_fields__:
            following = None
        while following is not None and (wanted is None or len(rows) < wanted):
            if len(rows) >= limits.OPERATOR_ROWS:
                raise CliRows(limit=limits.OPERATOR_ROWS)
            page = await self._page(command, {**line.values, "after": following})
            rows += getattr(page, shape.rows)
            following = page.next
        return answer_of(shape, reply, rows)

    async def _page(self, command: Command[Any, Any], arguments: Mapping[str, Any]) -> Any:
        """Ask for one page more, in the time that the caller's rate allows."""
        for _ in range(_PATIENCE):
            try:
                return await self._give(command, arguments)
            except RateLimited as refusal:
                if self._wait is None:
                    raise
                await self._wait(refusal.retry_after or 1.0)
        raise RateLimited

    # -- views that go on

    def live(self, words: Sequence[str]) -> str | None:
        """Say how an answer goes on (a value of Live), or None where it is given once."""
        try:
            line = self._understood(words)
        except Refusal:
            return None
        if line.values.get("follow"):
            return Live.LINES
        # What programs read is given once.
        live = line.verb.command.live and line.format is Format.TEXT
        return Live.SCREEN if live else None

    async def watch(
        self, words: Sequence[str], emit: Callable[[str], None], until: Until
    ) -> Output:
        """Emit an answer again and again until the watcher leaves.

        Returns what is left to say: nothing, or why it ended.
        """
        return await self._logged(words, lambda line: self._watch(line, emit, until))

    async def _watch(self, line: Line, emit: Callable[[str], None], until: Until) -> Output:
        await self._read_files(line)
        if line.values.get("follow"):
            return await self._follow(line, emit, until)
        while True:
            answer = await self._ask(line)
            emit(render(filtered(answer, line.filters), line.format, self.columns))
            if await until(_FRAME_SECONDS):
                return Output("")

    async def _follow(self, line: Line, emit: Callable[[str], None], until: Until) -> Output:
        """Emit the rows that there are, then those that come."""
        command = line.verb.command
        shape = shape_of(command.reply)
        arguments = dict(line.values)
        header = True
        while True:
            reply = await self._page(command, arguments)
            rows = getattr(reply, shape.rows)
            answer = filtered(answer_of(shape, reply, rows), line.filters)
            if text := self._rows(shape, answer.rows or [], line.format, header=header):
                emit(text)
                header = False
            if reply.next is not None:
                arguments["after"] = reply.next
            # A full page means that more is there already.
            if await until(0 if len(rows) >= limits.OPERATOR_PAGE else _FOLLOW_SECONDS):
                return Output("")

    def _rows(
        self, shape: Shape, rows: Sequence[Sequence[Any]], form: Format, *, header: bool
    ) -> str:
        if form is Format.TEXT:
            return as_table(shape.columns, rows, self.columns, header=header and bool(rows))
        return "".join(f"{json_row(shape.columns, row)}\n" for row in rows)

    # -- at the prompt

    async def complete(self, line: str, cursor: int) -> Completion:
        """Return what the word before the cursor could become; nothing where nothing is known."""
        return await completion.complete(self.verbs, line, cursor, self.role, self._names)

    async def _names(self, verb: Verb, asked: Mapping[str, str], column: str) -> list[str]:
        """Return one column of a list; [] where the server refuses it."""
        line = Line(verb, values=dict(asked), filters=[Filter("head", number=_NAME_ROWS)])
        try:
            answer = await self._ask(line)
        except Refusal:
            return []
        names = [one.name for one in answer.shape.columns]
        at = names.index(column)
        return [as_text(row[at], answer.shape.columns[at].kind) for row in answer.rows or []]

    async def greeting(self) -> str:
        """Return what stands above the first prompt: who one is, and how the server is."""
        text = f"Lair Chat {__version__}. You are {safe(self.who)}, {self.role.word}.\n"
        status = self.verbs.get("server", "status")
        if status is not None and status.command.role <= self.role:
            try:
                text += summary((await self._ask(Line(status))).facts, self.columns)
            except Refusal as refusal:
                text += f"{safe(str(refusal))}\n"
        return f"{text}help explains, Tab completes, exit leaves.\n"


_FRAME_SECONDS = 1.0
"""seconds between two frames of a live screen."""
_FOLLOW_SECONDS = 0.5
"""seconds between two looks at what is followed."""


def _refused(refusal: Refusal) -> Output:
    return Output(f"{safe(str(refusal))}\n", status_of(refusal.code), refusal.code)


def _wanted(filters: Sequence[Filter]) -> int | None:
    """Return how many rows are needed at most, or None for all."""
    return filters[0].number if filters and filters[0].name == "head" else None
