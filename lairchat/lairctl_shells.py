"""What the prompt of lairctl gives its lines to: the daemon, or, while none runs, its files."""

from collections.abc import Callable
from contextlib import ExitStack

from lairchat.lairctl_face import Face
from lairchat.lairctl_link import Daemon, NotRunningError
from lairchat.layout import Layout
from lairchat.model.refusal import Refusal
from lairchat.operator import control
from lairchat.operator.words import split

__all__ = ["OfflineShell", "OnlineShell"]


class OnlineShell:
    """A daemon does what the lines say."""

    prompt = "lairctl> "

    def __init__(self, daemon: Daemon, face: Face) -> None:
        self._daemon = daemon
        self._face = face

    def greet(self) -> None:
        """Show what the daemon says of itself."""
        self._daemon.send(control.Greet())
        self._face.converse(self._daemon, ())

    def complete(self, line: str, cursor: int) -> control.Offer:
        """Ask the daemon."""
        return self._daemon.complete(line, cursor)

    def give(self, line: str) -> None:
        """Give a command; Ctrl-C ends what goes on by itself, not the prompt."""
        try:
            self._face.command(self._daemon, line=line)
        except KeyboardInterrupt:
            self._face.write("\n")
            self._daemon.send(control.Stop())
            while not isinstance(self._daemon.receive(), control.Done):
                pass  # what was on its way when the key was pressed


class OfflineShell:
    """No daemon runs: each command is done here, on the files, which are locked for just as long.

    A prompt that is left open so keeps nobody from starting the server; from then on it is the
    server that does what the lines say.
    """

    def __init__(self, layout: Layout, face: Face) -> None:
        # Imported here: what commands a daemon does without it, and starts ten times as fast.
        from lairchat import offline

        self._offline = offline
        self._layout = layout
        self._face = face
        self._online: OnlineShell | None = None
        self._held = ExitStack()

    def close(self) -> None:
        """Leave the daemon that was started meanwhile, if one was."""
        self._held.close()

    @property
    def prompt(self) -> str:
        """Say at each line that no server is behind it."""
        return "lairctl offline> " if self._online is None else self._online.prompt

    def greet(self) -> None:
        """Say that this is offline, and how the files are."""
        self._face.write("offline: no server runs here; commands read and mend its files\n")
        self._safely(
            lambda: self._face.write(
                self._offline.greeting(self._layout, columns=self._face.columns())
            )
        )

    def complete(self, line: str, cursor: int) -> control.Offer:
        """Return verbs and flags; for names the database would have to be opened at each Tab."""
        if self._online is not None:
            return self._online.complete(line, cursor)
        return control.Offer(*self._offline.complete(self._layout, line, cursor))

    def give(self, line: str) -> None:
        """Do what a line says: here, or through a daemon that has been started meanwhile."""
        if self._online is None:
            self._safely(self._look)
        if self._online is not None:
            self._online.give(line)
        else:
            self._safely(lambda: self._do(line))

    def _look(self) -> None:
        try:
            daemon = self._held.enter_context(Daemon(self._layout.control))
        except NotRunningError:
            return
        self._online = OnlineShell(daemon, self._face)
        self._face.write("a server runs now: it does what follows\n")

    def _do(self, line: str) -> None:
        output = self._offline.run(
            self._layout,
            split(line),
            self._face.confirm(),
            columns=self._face.columns(),
            files=self._face.read,
        )
        (self._face.error if output.status else self._face.write)(output.text)

    def _safely(self, work: Callable[[], None]) -> None:
        """Let neither a refusal nor Ctrl-C end the prompt."""
        try:
            work()
        except Refusal as refusal:
            self._face.error(f"{refusal}\n")
        except KeyboardInterrupt:
            self._face.write("\n")
