"""Joins lines, core and link while the plain face runs: for pipes and screen readers.

The same core as the curses face; only what it shows and how it is typed to differ.
"""

import errno
import os
import signal
import sys
import termios
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import execute
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.client import boot, effects, inputs
from lairchat.client.headless import exit_status, report
from lairchat.client.plain import Plain
from lairchat.client.start import Start, parse
from lairchat.model import limits

READ_BYTES = 64 * 1024
#: A message as it may come, and some more: what is longer is told to be too long by the core.
LINE_BYTES = limits.MESSAGE_BYTES * 4
TOO_LONG = "LC-TEXT-LONG  the line is too long for a message. Send it in parts."


@implementer(IReadDescriptor)
class Lines:
    """Standard input, a line at a time; what it is made to block or not is left as it is.

    (Twisted's StandardIO makes the terminal non-blocking, for standard output and for the shell
    that started us too.)
    """

    def __init__(self, app: "App", descriptor: int) -> None:
        self._app = app
        self._descriptor = descriptor
        self._buffer = b""
        self._skipping = False
        self._ended = False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """Name us in logs."""
        return "standard input"

    def doRead(self) -> None:
        """Take what has come: whole lines, or the end; a last line without a newline counts."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError:  # the terminal is gone
            data = b""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line)
        if not data:
            self._end()
        elif len(self._buffer) > LINE_BYTES:
            if not self._skipping:
                self._app.too_long()
            self._skipping, self._buffer = True, b""

    def connectionLost(self, reason: Failure) -> None:
        """Take a hang-up for the end; after a fault of ours the reactor reads no more."""
        if reason.check(ConnectionDone, ConnectionLost):
            self._end()
        else:
            self._app.failed(reason)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            if self._buffer:
                self._take(self._buffer)
            self._app.ended()

    def _take(self, line: bytes) -> None:
        if self._skipping:  # the end of a line that was too long
            self._skipping = False
        elif len(line) > LINE_BYTES:
            self._app.too_long()
        else:
            self._app.typed(line.decode("utf-8", "replace").removesuffix("\r"))


class App:
    """The running client with lines."""

    def __init__(self, reactor: Any, face: Plain, start: Start) -> None:
        self.reactor = reactor
        self.face = face
        self.link = start.link(reactor, self.deliver)
        self.lines = Lines(self, sys.stdin.fileno())
        self.status = os.EX_OK
        self.trouble = ""
        self._quitting = False
        self._ended = False
        self._terminal = sys.stdout.isatty()
        self._echo: list[Any] | None = None
        self._prompted = ""

    def start(self) -> None:
        """Begin: say which mode this is, read lines, connect."""
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = self.reactor
        self.show(self.face.opening())
        self.reactor.addReader(self.lines)
        self._ticks.start(1.0).addErrback(self.failed)
        self.link.start()

    def deliver(self, one: inputs.Input) -> None:
        """Take an input of the link; a fault of the core is not the connection's."""
        execute(self.face.receive, one).addCallback(self._did).addErrback(self.failed)

    def typed(self, line: str) -> None:
        """Take a line of standard input; what is behind the last one that counts is nobody's."""
        if self._quitting:
            return
        if self._echo is None:  # otherwise nothing moved the cursor to the next line
            self._prompted = ""
        self._did(self.face.type_line(line))

    def too_long(self) -> None:
        """Say that a line cannot be taken."""
        self.face.failed |= self.face.piped
        self.show([TOO_LONG])

    def ended(self) -> None:
        """Take the end of standard input."""
        self.reactor.removeReader(self.lines)
        self._ended = True
        self._did(self.face.end_of_input())

    def _tick(self) -> None:
        from lairchat.client.cli import wall_clock

        self._did(self.face.receive(inputs.Tick(wall_clock())))

    def _did(self, outcome: tuple[list[str], list[effects.Effect]]) -> None:
        lines, wanted = outcome
        self.show(lines)
        for effect in wanted:
            if isinstance(effect, effects.Quit):
                self.quit()
            elif not isinstance(
                effect, effects.Bell | effects.Copy | effects.Repaint | effects.Suspend
            ):
                self.link.perform(effect)

    def show(self, lines: list[str]) -> None:
        """Print lines, and the prompt anew where somebody sees it."""
        from lairchat.client.cli import mute

        try:
            self._print(lines)
        except OSError as error:
            mute()
            # A terminal that was closed is a way to leave; "lair --plain | head" lost lines.
            if not (self._terminal and error.errno == errno.EIO):
                self.status = os.EX_IOERR
            self.quit()

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            lead = "\n" if self._prompted else ""
            self._prompted = ""
            sys.stdout.write(f"{lead}{line}\n")
        if self._terminal and not self._quitting:
            self._hide_input(hide=self.face.hides_input())
            prompt = self.face.prompt()
            if prompt != self._prompted:
                sys.stdout.write(("\n" if self._prompted else "") + prompt)
                self._prompted = prompt
        sys.stdout.flush()

    def _hide_input(self, *, hide: bool) -> None:
        """Switch the terminal's echo off while a password is asked for."""
        if not sys.stdin.isatty() or hide == (self._echo is not None):
            return
        descriptor = sys.stdin.fileno()
        if hide:
            self._echo = termios.tcgetattr(descriptor)
            quiet = termios.tcgetattr(descriptor)
            quiet[3] &= ~termios.ECHO
            termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
        elif self._echo is not None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, self._echo)
            self._echo = None

    def failed(self, failure: Failure) -> None:
        """Leave with what went wrong."""
        if not self._quitting:
            self.status, self.trouble = os.EX_SOFTWARE, failure.getTraceback()
            self.quit()

    def quit(self) -> None:
        """Leave in order; a second call changes nothing."""
        if self._quitting:
            return
        self._quitting = True
        if self._ended and not self.link.online and self.link.reason is not None:
            # A script has to see that what it wrote here has not been said.
            self.status = exit_status(self.link.reason)
        elif self.face.failed and self.status == os.EX_OK:
            self.status = os.EX_DATAERR
        if self._ticks.running:
            self._ticks.stop()
        self.reactor.removeReader(self.lines)
        self.link.stop().addBoth(lambda _: self.reactor.stop())

    def restore(self) -> None:
        """Give the terminal its echo back."""
        self._hide_input(hide=False)


def chat(arguments: Sequence[str], reason: str) -> int:
    """Run the client with lines; returns the exit status."""
    from lairchat.client.cli import prepare_reactor, quiet_log
    from lairchat.model.refusal import Refusal

    try:
        start = parse(arguments)
        quiet_log(os.environ)
    except Refusal as refusal:
        return report(refusal)
    # Whatever the locale: a character that it does not have is no reason to end.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    reactor = prepare_reactor()
    face = Plain(boot.new_state(list(arguments)), reason, piped=not sys.stdin.isatty())
    app = App(reactor, face, start)
    # The reactor sees to INT and TERM; a terminal that is closed shall end us in order too.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(app.quit))
    reactor.callWhenRunning(app.start)
    reactor.addSystemEventTrigger("before", "shutdown", app.link.stop)
    try:
        reactor.run()
    finally:
        app.restore()
    if app.trouble:
        sys.stderr.write(app.trouble)
    return app.status
