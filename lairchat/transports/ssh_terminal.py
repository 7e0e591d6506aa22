"""A person at the terminal of a session: lines that are edited, questions, screens that go on.

Promises not to know: what the lines mean.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from wcwidth import wcswidth

from lairchat.transports.ssh_line import Key, Keys, Line
from lairchat.transports.ssh_session import COLUMNS, ROWS, OperatorSession, Size

T = TypeVar("T")

CHOICES_SHOWN = 120
"""count: completions that are listed; of more only their number."""
_PASTES, _NO_PASTES = "\x1b[?2004h", "\x1b[?2004l"
_SCREEN, _NO_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_TO_LINE_END, _TO_SCREEN_END = "\x1b[K", "\x1b[J"
_HOME, _CLEAR = "\x1b[H", "\x1b[H\x1b[2J"
_LEAVING = "q or Ctrl-C leaves"

#: Returns where the word before the cursor begins, and what it could be.
Complete = Callable[[str, int], Awaitable[tuple[int, Sequence[str]]]]
Emit = Callable[[str], None]
Until = Callable[[float], Awaitable[bool]]
Confirm = Callable[[str], Awaitable[bool]]


class Terminal:
    """The keys of a session, in order, and what they mean while something runs.

    over: nothing more will be typed.
    resized_to: called with each new size.
    """

    log = Logger()

    def __init__(self, session: OperatorSession, clock: IReactorTime) -> None:
        self.session = session
        self.over = False
        self.resized_to: Callable[[Size], None] = lambda _size: None
        self._clock = clock
        self._keys = Keys()
        self._typed: deque[Key] = deque()
        self._reader: Deferred[None] | None = None
        self._leave: Callable[[], None] | None = None
        self._watching = False
        self._redraw: Callable[[], None] | None = None
        session.listen(self)

    @property
    def size(self) -> Size:
        """Of the screen."""
        return self.session.size or Size(COLUMNS, ROWS)

    # -- what the session calls

    def received(self, data: bytes) -> None:
        """Take what was typed; Ctrl-C leaves what runs, and takes back what was typed ahead."""
        for key in self._keys.feed(data):
            if self._leave is None:
                self._typed.append(key)
            elif key.name == "interrupt" or (self._watching and key.text == "q"):
                self._typed.clear()
                self._leave()
            elif not self._watching:
                self._typed.append(key)
        self._wake()

    def ended(self) -> None:
        """Take note that nothing more is typed: leave what runs, and end the line."""
        self.over = True
        if self._leave is not None:
            self._leave()
        self._wake()

    gone = ended

    def resized(self) -> None:
        """Draw the line anew for the new size."""
        self.resized_to(self.size)
        if self._redraw is not None:
            self._redraw()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(None)

    # -- lines

    async def _key(self) -> Key:
        """Return the next key; the end of input for ever after the last one."""
        await self.session.drained()
        while not self._typed and not self.over:
            self.session.feed(hungry=True)
            self._reader = Deferred()
            await self._reader
        self.session.feed(hungry=False)
        return self._typed.popleft() if self._typed else Key("end-of-input")

    async def read_line(
        self,
        prompt: str,
        *,
        history: list[str] | None = None,
        complete: Complete | None = None,
        question: bool = False,
    ) -> str | None:
        """Return the line that was typed, or None at the end of input.

        question: Ctrl-C is an answer too: None.
        """
        line = Line(history)

        def draw() -> None:
            row, column = line.shown(prompt, self.size.columns)
            self.session.say(f"\r{row}{_TO_LINE_END}\r{_right(column)}")

        self.session.say(_PASTES)
        self._redraw = draw
        try:
            draw()
            while True:
                key = await self._key()
                if question and key.name == "interrupt":
                    return None
                if key.name == "enter":
                    line.press(Key("end"))
                    draw()
                    return line.take()
                if key.name == "end-of-input" and (self.over or not line.text):
                    return None
                await self._pressed(key, line, complete)
                if not self._typed:
                    draw()
        finally:
            self._redraw = None
            self.session.say(f"{_NO_PASTES}\n")

    async def _pressed(self, key: Key, line: Line, complete: Complete | None) -> None:
        """Do what a key does to a line that goes on."""
        match key.name:
            case "interrupt":
                line.clear()
                self.session.say("^C\n")
            case "end-of-input":
                line.press(Key("delete"))
            case "clear":
                self.session.say(_CLEAR)
            case "tab" if complete is not None:
                await self._complete(line, complete)
            case _:
                line.press(key)

    async def _complete(self, line: Line, complete: Complete) -> None:
        """Put in what is certain, or list what is possible."""
        await deferLater(self._clock, 0)  # others' turn: a thousand Tabs may come in one piece
        start, words = await complete(line.text, line.cursor)
        common = _common(words)
        if len(words) == 1:
            line.replace(start, f"{words[0]} ")
        elif len(common) > line.cursor - start:
            line.replace(start, common)
        elif words:
            self.session.say(f"\n{in_columns(words, self.size.columns)}")
        else:
            self.session.say("\a")

    async def confirm(self, question: str) -> bool:
        """Ask, and say whether the answer was yes; what was typed before is none."""
        self._typed.clear()
        above, _, last = question.rpartition("\n")
        if above:
            self.session.say(f"{above}\n")
        leave, self._leave = self._leave, None
        try:
            answer = await self.read_line(last, question=True)
        finally:
            self._leave = leave
        return answer is not None and answer.strip().lower() in {"y", "yes"}

    # -- what runs until it ends, or somebody leaves it

    async def until_left(self, start: Callable[[Confirm], Coroutine[Any, Any, T]]) -> T | None:
        """Return what work comes to, or None when somebody presses Ctrl-C first; it goes on.

        start: begins it, given what asks; whoever has left has said no to all that is asked later.
        """
        first: Deferred[T | None] = Deferred()

        async def confirm(question: str) -> bool:
            return not first.called and await self.confirm(question)

        def settle(result: T | Failure | None) -> None:
            if not first.called:
                first.callback(result)
            elif isinstance(result, Failure):
                self.log.failure("a command that nobody waited for failed", result)

        self._leave = lambda: settle(None)
        Deferred.fromCoroutine(start(confirm)).addBoth(settle)
        try:
            return await first
        finally:
            self._leave = None

    async def watch(self, show: Callable[[Emit, Until], Awaitable[T]], *, screen: bool) -> T:
        """Show what goes on until somebody presses Ctrl-C, or q.

        screen: whether each text takes the place of the one before, or follows it.
        """
        left = self.over
        pause: Deferred[None] | None = None

        def leave() -> None:
            nonlocal left
            left = True
            if pause is not None and not pause.called:
                pause.callback(None)
            self.session.look()

        async def until(seconds: float) -> bool:
            nonlocal pause
            pause = Deferred()
            if not left:
                timer = self._clock.callLater(seconds, pause.callback, None)
                await pause
                if timer.active():
                    timer.cancel()
            while self.session.full and not left:
                await self.session.looked()
            return left

        self._leave, self._watching = leave, True
        self.session.feed(hungry=True)
        if screen:
            self.session.say(_SCREEN)
        try:
            return await show(self._paint if screen else self.session.say, until)
        finally:
            self._leave, self._watching = None, False
            if screen:
                self.session.say(_NO_SCREEN)

    def _paint(self, text: str) -> None:
        rows = text.splitlines()[: max(1, self.size.rows - 1)]
        body = "".join(f"{row}{_TO_LINE_END}\n" for row in rows)
        self.session.say(f"{_HOME}{body}{_TO_SCREEN_END}{_LEAVING}")


def _common(words: Sequence[str]) -> str:
    """Return what all words begin with."""
    first, last = min(words, default=""), max(words, default="")
    same = 0
    while same < len(first) and first[same] == last[same]:
        same += 1
    return first[:same]


def in_columns(words: Sequence[str], columns: int) -> str:
    """Return words in as many columns as fit, read downwards."""
    shown = list(words[:CHOICES_SHOWN])
    widest = max(_width(word) for word in shown) + 2
    across = max(1, (columns - 1) // widest)
    down = -(-len(shown) // across)
    rows = []
    for row in range(down):
        cells = [_padded(word, widest) for word in shown[row::down]]
        rows.append("".join(cells).rstrip())
    if len(words) > len(shown):
        rows.append(f"... and {len(words) - len(shown)} more")
    return "".join(f"{row}\n" for row in rows)


def _padded(text: str, cells: int) -> str:
    return text + " " * (cells - _width(text))


def _width(text: str) -> int:
    return max(0, wcswidth(text))


def _right(cells: int) -> str:
    return f"\x1b[{cells}C" if cells else ""
