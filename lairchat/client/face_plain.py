"""Joins lines, core and link while the plain face runs: for pipes and screen readers.

The same core as the curses face; only what it shows and how it is typed to differ.
"""

import os
import sys
import termios
from collections.abc import Sequence
from typing import Any

from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineOnlyReceiver

from lairchat.client import boot, effects, inputs
from lairchat.client.plain import Plain
from lairchat.client.start import Start, parse
from lairchat.model import limits


class Lines(LineOnlyReceiver):
    """Standard input, a line at a time."""

    delimiter = b"\n"
    MAX_LENGTH = limits.MESSAGE_CHARS * 16

    def __init__(self, app: "App") -> None:
        self._app = app

    def lineReceived(self, line: bytes) -> None:
        """Take one line."""
        self._app.typed(line.decode("utf-8", "replace").removesuffix("\r"))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Say that a line cannot be a message, and go on with the next."""
        self._app.show(["LC-TEXT-LONG  the line is too long for a message. Send it in parts."])
        self.clearLineBuffer()

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002
        """Take the end of the input; a last line without a newline counts."""
        rest = self._buffer
        if rest:
            self._app.typed(bytes(rest).decode("utf-8", "replace"))
        self._app.ended()


class App:
    """The running client with lines."""

    def __init__(self, reactor: Any, face: Plain, start: Start) -> None:
        self.reactor = reactor
        self.face = face
        self.link = start.link(reactor, self.deliver)
        self.status = os.EX_OK
        self._quitting = False
        self._terminal = sys.stdout.isatty()
        self._echo: list[Any] | None = None
        self._prompted = ""

    def start(self) -> None:
        """Begin: say which mode this is, read lines, connect."""
        self.show(self.face.opening())
        StandardIO(Lines(self), reactor=self.reactor)
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = self.reactor
        self._ticks.start(1.0)
        self.link.start()

    def deliver(self, one: inputs.Input) -> None:
        """Take an input of the link."""
        self._did(self.face.receive(one))

    def typed(self, line: str) -> None:
        """Take a line of standard input."""
        self._prompted = ""
        self._did(self.face.type_line(line))

    def ended(self) -> None:
        """Take the end of standard input."""
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

    def quit(self) -> None:
        """Leave in order."""
        if self._quitting:
            return
        self._quitting = True
        self._ticks.stop()
        self.link.stop().addBoth(lambda _: self.reactor.stop())

    def restore(self) -> None:
        """Give the terminal its echo back."""
        self._hide_input(hide=False)


def chat(arguments: Sequence[str], reason: str) -> int:
    """Run the client with lines; returns the exit status."""
    from lairchat.client.cli import prepare_reactor
    from lairchat.client.headless import report
    from lairchat.model.refusal import Refusal

    try:
        start = parse(arguments)
    except Refusal as refusal:
        return report(refusal)
    reactor = prepare_reactor()
    app = App(reactor, Plain(boot.new_state(list(arguments)), reason), start)
    reactor.callWhenRunning(app.start)
    reactor.addSystemEventTrigger("before", "shutdown", app.link.stop)
    try:
        reactor.run()
    finally:
        app.restore()
    return app.status
