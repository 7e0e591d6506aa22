"""Sessions on an operator's SSH connection: a command line, a shell, and nothing else of RFC 4254.

Refused without a trace in the log: forwarding, agents, X11, environment, subsystems.
Promises not to know: what a program on a session does.
"""

import struct
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    EXTENDED_DATA_STDERR,
    MSG_CHANNEL_OPEN_FAILURE,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_CONNECT_FAILED,
    OPEN_RESOURCE_SHORTAGE,
    SSHConnection,
)
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.core.portal import Caller
from lairchat.model import limits

if TYPE_CHECKING:
    from lairchat.transports.ssh import OperatorTransport

PACKET_BYTES = 32 * 1_024
PACKET_BYTES_MIN = 256
COLUMNS, ROWS = 80, 24
SIDE_MAX = 1_000
"""cells: a terminal is not larger, whatever is claimed."""
FAILED = 1
CONCH_LOG = Logger("twisted.conch")
"""Where Conch's own words go, so that they are taken for Twisted's, not for ours."""


class Size(NamedTuple):
    """Of a terminal, in cells."""

    columns: int
    rows: int


class Input(Protocol):
    """What a program does with what comes from the client."""

    def received(self, data: bytes) -> None:
        """Take bytes that were typed or piped."""

    def ended(self) -> None:
        """Take note that no more will come."""

    def resized(self) -> None:
        """Take note of the terminal's new size."""

    def gone(self) -> None:
        """Take note that the session is closed, and come to an end."""


class Programs(Protocol):
    """What can run on a session; each returns its exit status.

    None is cut short when the client goes: what it has begun comes to its end, and into the log.
    """

    def command(self, session: "OperatorSession", line: bytes) -> Coroutine[Any, Any, int]:
        """Run one command line (``ssh HOST user list``)."""

    def shell(self, session: "OperatorSession") -> Coroutine[Any, Any, int]:
        """Run what is typed, until the end."""


class OperatorConnection(SSHConnection):
    """The sessions of one operator."""

    transport: "OperatorTransport"
    channels: "dict[int, OperatorSession]"

    def __init__(self, programs: Programs, caller: Caller, host: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._log = CONCH_LOG
        self.programs = programs
        self.caller = caller
        self.host = host

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Open a session; anything else (forwarding, X11) is prohibited."""
        kind, rest = getNS(packet)
        sender, _, largest = struct.unpack(">3L", rest[:12])
        if kind != b"session":
            self._refuse(sender, OPEN_ADMINISTRATIVELY_PROHIBITED, b"only sessions are opened here")
        elif len(self.channels) >= limits.SSH_CHANNELS:
            self._refuse(sender, OPEN_RESOURCE_SHORTAGE, b"too many sessions on this connection")
        elif largest < PACKET_BYTES_MIN:
            self._refuse(sender, OPEN_CONNECT_FAILED, b"packets too small")
        else:
            super().ssh_CHANNEL_OPEN(packet)  # type: ignore[no-untyped-call]

    def _refuse(self, sender: int, reason: int, why: bytes) -> None:
        payload = struct.pack(">2L", sender, reason) + NS(why) + NS(b"")
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, payload)

    def getChannel(
        self,
        channelType: bytes,  # noqa: ARG002
        windowSize: int,
        maxPacket: int,
        data: bytes,  # noqa: ARG002
    ) -> "OperatorSession":
        """Make the session that was asked for."""
        return OperatorSession(self, windowSize, min(maxPacket, PACKET_BYTES))

    def gotGlobalRequest(self, requestType: bytes, data: bytes) -> int:  # noqa: ARG002
        """Refuse what concerns the whole connection: forwarding; a sign of life needs no more."""
        return 0

    def adjustWindow(self, channel: "OperatorSession", bytesToAdd: int) -> None:
        """Let the client send more, unless the program has not taken what it sent already."""
        if channel.hungry:
            super().adjustWindow(channel, bytesToAdd)  # type: ignore[no-untyped-call]

    def ask_for_life(self) -> None:
        """Send what every client answers."""
        asked = self.sendGlobalRequest(b"keepalive@openssh.com", b"", wantReply=1)
        asked.addBoth(lambda _answer: None)

    def unblocked(self) -> None:
        """Let programs go on whose words have gone out."""
        for channel in list(self.channels.values()):
            channel.look()


class OperatorSession(SSHChannel):
    """One session: what runs on it, its terminal if it has one, what goes out.

    size: of the terminal; None where the session has none.
    hungry: whether the program takes input as it comes; a client that types ahead of one that does
        not is held up when its window is full.
    input: takes what the client sends; see :meth:`listen`.
    """

    log = Logger()
    name = b"session"
    conn: OperatorConnection

    def __init__(self, connection: OperatorConnection, window: int, largest: int) -> None:
        super().__init__(
            localWindow=limits.SSH_TYPED_BYTES,
            localMaxPacket=PACKET_BYTES,
            remoteWindow=window,
            remoteMaxPacket=largest,
            conn=connection,
        )
        self._log = CONCH_LOG
        self.size: Size | None = None
        self.hungry = False
        self.input: Input | None = None
        self._early = b""
        self._ended = False
        self._started = False
        self._looking: list[Deferred[None]] = []
        self._requests: dict[bytes, Callable[[bytes], bool]] = {
            b"pty-req": self._terminal,
            b"window-change": self._resize,
            b"exec": self._exec,
            b"shell": self._shell,
        }

    # -- what the client asks for

    def requestReceived(self, requestType: bytes, data: bytes) -> bool:
        """Do what is asked, and say whether it was done; what is not in the table is not."""
        do = self._requests.get(requestType)
        try:
            return do is not None and do(data)
        except (struct.error, IndexError):
            return False

    def _terminal(self, data: bytes) -> bool:
        """``string TERM, uint32 columns, rows, and two in pixels, string modes`` (section 6.2)."""
        _, rest = getNS(data)
        self._measure(rest)
        return True

    def _resize(self, data: bytes) -> bool:
        if self.size is None:
            return False
        self._measure(data)
        if self.input is not None:
            self._guarded(self.input.resized)
        return True

    def _measure(self, data: bytes) -> None:
        columns, rows = struct.unpack(">2L", data[:8])
        self.size = Size(
            min(columns, SIDE_MAX) or COLUMNS,
            min(rows, SIDE_MAX) or ROWS,
        )

    def _exec(self, data: bytes) -> bool:
        line = getNS(data)[0]
        return self._start(lambda: self.conn.programs.command(self, line))

    def _shell(self, data: bytes) -> bool:  # noqa: ARG002
        return self._start(lambda: self.conn.programs.shell(self))

    def _start(self, program: Callable[[], Coroutine[Any, Any, int]]) -> bool:
        """Run a program, the only one of this session, once the client has its answer."""
        if self._started:
            return False
        self._started = True
        clock: Any = self.conn.transport.factory.clock
        clock.callLater(0, self._run, program)
        return True

    def _run(self, program: Callable[[], Coroutine[Any, Any, int]]) -> None:
        if not self.localClosed:
            running = Deferred.fromCoroutine(program())
            running.addCallbacks(self.finish, self._failed)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a program on an SSH session failed", failure)
        self.finish(FAILED)

    # -- what comes in

    def listen(self, program: Input | None) -> None:
        """Give the input to a program, with what has come in so far."""
        self.input = program
        early, self._early = self._early, b""
        if early:
            self.dataReceived(early)
        if self._ended:
            self.eofReceived()

    def dataReceived(self, data: bytes) -> None:
        """Hand on what was typed or piped; what nobody listens to fills the window at most."""
        program = self.input
        if program is None:
            self._early += data
        else:
            self._guarded(lambda: program.received(data))

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Take no notice: clients have no error output."""

    def eofReceived(self) -> None:
        """Tell the program that no more comes."""
        self._ended = True
        if self.input is not None:
            self._guarded(self.input.ended)

    def closed(self) -> None:
        """Tell the program that there is nobody any more."""
        if self.input is not None:
            self._guarded(self.input.gone)
        self.look()

    def _guarded(self, call: Callable[[], None]) -> None:
        """Keep our own mistakes apart from those of the client's protocol."""
        try:
            call()
        except Exception:  # noqa: BLE001 - logged, and the session ends
            self.log.failure("a program on an SSH session failed")
            self.finish(FAILED)

    def feed(self, *, hungry: bool) -> None:
        """Say whether the program takes input now; if so the client may send as much again."""
        self.hungry = hungry
        missing = self.localWindowSize - self.localWindowLeft
        if hungry and missing > self.localWindowSize // 2 and not self.localClosed:
            self.conn.adjustWindow(self, missing)

    # -- what goes out

    def say(self, text: str) -> None:
        """Write text; on a terminal lines end as terminals need it."""
        self.write(self._encoded(text))

    def say_error(self, text: str) -> None:
        """Write text to the client's error output; a terminal has one output, in order."""
        if self.size is not None:
            self.say(text)
        else:
            self.writeExtended(EXTENDED_DATA_STDERR, self._encoded(text))

    def _encoded(self, text: str) -> bytes:
        if self.size is not None:
            text = text.replace("\n", "\r\n")
        return text.encode("utf-8", "replace")

    @property
    def full(self) -> bool:
        """Whether what was written waits here, because the client does not read."""
        waiting = bool(self.buf or self.extBuf) or self.conn.transport.blocked
        return waiting and not self.localClosed

    async def drained(self) -> None:
        """Wait until the client has taken what was written, so that no more than that waits."""
        while self.full:
            await self.looked()

    def looked(self) -> "Deferred[None]":
        """Return what fires when it is time to look again whether the session is full."""
        waiting: Deferred[None] = Deferred()
        self._looking.append(waiting)
        return waiting

    def addWindowBytes(self, data: int) -> None:
        """Write what the client has room for now."""
        super().addWindowBytes(data)  # type: ignore[no-untyped-call]
        self.look()

    def look(self) -> None:
        """Let those look again who wait for room."""
        waiting, self._looking = self._looking, []
        for one in waiting:
            one.callback(None)

    def finish(self, status: int) -> None:
        """Tell the exit status, and close once everything is written."""
        if not self.localClosed:
            self.conn.sendRequest(self, b"exit-status", struct.pack(">L", status))
        self.loseConnection()
