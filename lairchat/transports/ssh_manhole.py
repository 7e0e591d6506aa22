"""A Python prompt inside the running server (Conch's manhole), for its owner, if the configuration allows.

It runs on the reactor's thread: what takes long there holds up everybody, and nothing is safe from
it.  Opening and leaving it goes into the audit log.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from twisted.conch.insults.insults import ServerProtocol, modes
from twisted.conch.manhole import ColoredManhole
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone

from lairchat.core.audit import Audit, Entry
from lairchat.core.portal import Caller
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import CliTerminal, Denied, ManholeOff
from lairchat.model.roles import ServerRole
from lairchat.model.text import display_safe
from lairchat.operator.console import Status, status_of
from lairchat.transports.ssh_session import COLUMNS, ROWS, OperatorSession, Size

BANNER = "A Python prompt inside of the server: what runs here holds up everybody.\n"


class Name(NamedTuple):
    """Something that is at hand in the prompt, and what it is."""

    value: Any
    doc: str


class PythonManholes:
    """Opens the prompt for whoever may have it.

    names: what is at hand.
    enabled: whether the configuration allows it now.
    role: finds out what somebody may do now, whatever it was when they came in.
    """

    def __init__(
        self,
        names: Mapping[str, Name],
        *,
        enabled: Callable[[], bool],
        role: Callable[[Caller], Awaitable[ServerRole]],
        audit: Audit,
    ) -> None:
        self._names = names
        self._enabled = enabled
        self._role = role
        self._audit = audit

    async def open(self, session: OperatorSession, caller: Caller) -> int:
        """Run the prompt until it is left; returns the exit status."""
        source = f"ssh:{session.conn.host}"
        try:
            await self._admit(session, caller)
        except Refusal as refusal:
            status = Status.DENIED if isinstance(refusal, ManholeOff) else status_of(refusal.code)
            self._audit(Entry(caller.name, source, "manhole", status, refusal.code))
            session.say_error(f"{refusal}\n")
            return status
        self._audit(Entry(caller.name, source, "manhole (opened)", Status.OK, ""))
        try:
            await Prompt(session, self._names).left()
        finally:
            self._audit(Entry(caller.name, source, "manhole (left)", Status.OK, ""))
        return Status.OK

    async def _admit(self, session: OperatorSession, caller: Caller) -> None:
        if await self._role(caller) < ServerRole.OWNER:
            raise Denied
        if not self._enabled():
            raise ManholeOff
        if session.size is None:
            raise CliTerminal(command="manhole")


class Prompt:
    """One prompt on the terminal of a session; takes its input until it is left."""

    def __init__(self, session: OperatorSession, names: Mapping[str, Name]) -> None:
        self._session = session
        self._done: Deferred[None] = Deferred()
        self._before = session.input
        self._screen = _Screen(lambda: _Manhole(names, self._size))
        self._screen.makeConnection(self)
        session.listen(self)
        session.feed(hungry=True)

    @property
    def _size(self) -> Size:
        return self._session.size or Size(COLUMNS, ROWS)

    async def left(self) -> None:
        """Wait until it is left, and give the input back to whom it was taken from."""
        await self._done
        self._session.listen(self._before)

    # -- what the session calls

    def received(self, data: bytes) -> None:
        """Take what was typed."""
        if not self._done.called:
            self._screen.dataReceived(data)

    def ended(self) -> None:
        """Leave when nothing more can be typed."""
        self.loseConnection()

    gone = ended

    def resized(self) -> None:
        """Draw the line anew for the new size."""
        if not self._done.called:
            self._screen.terminalProtocol.terminalSize(*self._size)

    # -- what Conch calls, whose transport this is

    def write(self, data: bytes) -> None:
        """Write to the terminal."""
        self._session.write(data)

    def loseConnection(self) -> None:
        """End the prompt, not the session."""
        if not self._done.called:
            self._screen.connectionLost(connectionDone)
            self._done.callback(None)


class _Screen(ServerProtocol):
    """The terminal, left as it was found: Conch would clear it."""

    transport: Any
    terminalProtocol: Any

    def loseConnection(self) -> None:
        self.resetModes([modes.IRM])
        self.nextLine()
        self.transport.loseConnection()


class _Manhole(ColoredManhole):
    """Conch's prompt, with our names, and with nothing but text in what it shows."""

    def __init__(self, names: Mapping[str, Name], size: Size) -> None:
        values = {name: one.value for name, one in names.items()}
        super().__init__(values)  # type: ignore[no-untyped-call]
        self.width, self.height = size
        widest = max(map(len, names), default=0)
        self._banner = BANNER + "".join(
            f"  {name:{widest}}  {one.doc}\n" for name, one in names.items()
        )

    def initializeScreen(self) -> None:
        self.terminal.write(f"{self._banner}Ctrl-D leaves.\n")
        self.terminal.write(self.ps[self.pn])
        self.setInsertMode()

    def keystrokeReceived(self, keyID: bytes, modifier: Any) -> None:
        """Take a key; one that is not for Python is no reason to write it into the log."""
        if keyID in self.keyHandlers or keyID in self._printableChars:
            super().keystrokeReceived(keyID, modifier)  # type: ignore[no-untyped-call]

    def addOutput(self, data: str | bytes, isAsync: Any = None) -> None:
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        safe = display_safe(text, multiline=True)
        super().addOutput(safe, isAsync)  # type: ignore[no-untyped-call]
