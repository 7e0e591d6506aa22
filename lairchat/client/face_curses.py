"""Joins screen, core and link while the curses face runs; everything large is imported here."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import execute
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.client import effects, inputs
from lairchat.client.start import Start, parse
from lairchat.client.update import update
from lairchat.client.view import view, window_title

#: At most this often, in seconds, when events arrive; keys are painted at once.
PAINT_SECONDS = 0.016


@implementer(IReadDescriptor)
class Terminal:
    """Lets the reactor wait for the terminal."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        number: int = self._app.screen.fileno()
        return number

    def doRead(self) -> None:
        """Take what was typed."""
        self._app.typed(self._app.screen.read_keys())

    def connectionLost(self, reason: Failure) -> None:
        """End the program: the reactor reads the terminal no more, so that nobody could quit."""
        if reason.check(ConnectionDone, ConnectionLost):  # the terminal has hung up
            self._app.quit()
        else:
            self._app.failed(reason)

    def logPrefix(self) -> str:
        """Name us in logs."""
        return "terminal"


class App:
    """The running client: one state, one screen, one link."""

    def __init__(self, reactor: Any, screen: Any, state: Any, start: Start) -> None:
        self.reactor = reactor
        self.screen = screen
        self.state = state
        self.link = start.link(reactor, self.deliver)
        self._painting: Any = None
        self._waiting_key: Any = None
        self._quitting = False
        self.status = os.EX_OK
        self.trouble = ""

    def start(self) -> None:
        """Begin: read the terminal, tick, connect."""
        self.terminal = Terminal(self)
        self.reactor.addReader(self.terminal)
        self.screen.on_resize = lambda: self.reactor.callFromThread(self._resized)
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = self.reactor
        self._ticks.start(1.0).addErrback(self.failed)
        # What was typed while we were importing waits in the terminal's buffer: it comes first.
        self.typed(self.screen.read_keys())
        self.link.start()

    def deliver(self, one: inputs.Input) -> None:
        """Take an input of the link; a fault of the core is not the connection's."""
        execute(self._handle, [one]).addErrback(self.failed)
        self._paint_soon()

    def typed(self, keys: Sequence[inputs.Input]) -> None:
        """Take what was typed, and paint it at once."""
        if self._waiting_key is not None and self._waiting_key.active():
            self._waiting_key.cancel()
        self._waiting_key = None
        self._handle(list(keys))
        if self.screen.closed:
            self.quit()
            return
        if self.screen.key_wait is not None:
            self._waiting_key = self.reactor.callLater(
                self.screen.key_wait, lambda: self.typed(self.screen.flush_keys())
            )
        self._paint()

    def _resized(self) -> None:
        if not self._quitting:
            self.typed(self.screen.read_keys())

    def _tick(self) -> None:
        self._handle([])
        self._paint_soon()

    def _handle(self, batch: list[inputs.Input]) -> None:
        from lairchat.client.cli import wall_clock

        wanted = list(update(self.state, inputs.Tick(wall_clock())))
        for one in batch:
            wanted += update(self.state, one)
        for effect in wanted:
            if isinstance(effect, effects.Quit):
                self.quit()
            elif not self.screen.perform(effect):
                self.link.perform(effect)

    def _paint_soon(self) -> None:
        if self._painting is None and not self._quitting:
            self._painting = self.reactor.callLater(PAINT_SECONDS, self._paint)

    def _paint(self) -> None:
        if self._painting is not None and self._painting.active():
            self._painting.cancel()
        self._painting = None
        if not self._quitting:
            self.screen.use_colour(wanted=self.state.settings.colour)
            self.screen.paint(view(self.state, *self.screen.size()), window_title(self.state))

    def failed(self, failure: Failure) -> None:
        """Leave with what went wrong: better than a screen that does not answer."""
        if not self._quitting:
            self.status, self.trouble = os.EX_SOFTWARE, failure.getTraceback()
            self.quit()

    def quit(self) -> None:
        """Leave in order; a second call changes nothing."""
        if self._quitting:
            return
        self._quitting = True
        if self._ticks.running:
            self._ticks.stop()
        self.reactor.removeReader(self.terminal)
        self.link.stop().addBoth(lambda _: self.reactor.stop())


def chat(arguments: Sequence[str], screen: Any, state: Any) -> int:
    """Run the client on a screen that is painted already; returns the exit status."""
    from lairchat.client.cli import prepare_reactor, quiet_log
    from lairchat.client.headless import report
    from lairchat.model.refusal import Refusal

    try:
        start = parse(arguments)
        quiet_log(os.environ)
    except Refusal as refusal:
        screen.stop()
        return report(refusal)
    except SystemExit:
        screen.stop()
        raise
    reactor = prepare_reactor()
    app = App(reactor, screen, state, start)
    # The reactor sees to INT and TERM; a terminal that is closed shall end us in order too.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(app.quit))
    reactor.callWhenRunning(app.start)
    reactor.addSystemEventTrigger("before", "shutdown", app.link.stop)
    try:
        reactor.run()
    finally:
        screen.stop()
    if app.trouble:
        sys.stderr.write(app.trouble)
    return app.status
