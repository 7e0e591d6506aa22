"""What lairctl shows and asks: plain text, questions, a live screen, a prompt with Tab."""

import os
import readline
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from lairchat.lairctl_link import Daemon
from lairchat.lairctl_screen import Screen
from lairchat.model import limits
from lairchat.model.faults import ControlFile
from lairchat.operator import control
from lairchat.operator.status import Status
from lairchat.operator.words import pieces

__all__ = ["Face", "Shell", "read_public"]

_LEAVE = frozenset({"exit", "quit"})
_YES = frozenset({"y", "yes"})
_PLAIN_COLUMNS = 80


def read_public(path: str) -> str:
    """Return the text of a public file; raises ValueError with the reason where that is none."""
    if path == "-":
        text = sys.stdin.read(limits.PUBLIC_FILE_CHARS + 1)
    else:
        try:
            with Path(path).expanduser().open(encoding="utf-8") as file:
                text = file.read(limits.PUBLIC_FILE_CHARS + 1)
        except UnicodeDecodeError:
            raise ValueError("it is not a text file") from None
        except (OSError, RuntimeError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ValueError((why or "it cannot be read").lower()) from None
    if len(text) > limits.PUBLIC_FILE_CHARS:
        raise ValueError("it is too long")
    if "PRIVATE KEY" in text:
        raise ValueError("it holds a private key")
    return text


class Shell(Protocol):
    """What a prompt gives its lines to; prompt: what stands before the next one."""

    @property
    def prompt(self) -> str:
        """What stands before the next line."""

    def greet(self) -> None:
        """Say whom one commands."""

    def complete(self, line: str, cursor: int) -> control.Offer:
        """Return what the word before the cursor could become."""

    def give(self, line: str) -> None:
        """Do what a line says; Ctrl-C ends what goes on by itself, not the prompt."""


class Face:
    """Standard input, output and error of the program, and what may be done with them."""

    def __init__(self) -> None:
        self._asks = sys.stdin.isatty() and sys.stderr.isatty()
        self._screen = sys.stdin.isatty() and sys.stdout.isatty()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows something else; nothing fails for it.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    def write(self, text: str) -> None:
        """Write to standard output."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def error(self, text: str) -> None:
        """Write to standard error; on a terminal long lines are broken between words."""
        if sys.stderr.isatty():
            # Imported here: measuring takes longer to import than most commands take.
            from lairchat.operator.cells import fold

            text = fold(text, os.get_terminal_size(sys.stderr.fileno()).columns or _PLAIN_COLUMNS)
        sys.stderr.write(text)
        sys.stderr.flush()

    def columns(self) -> int:
        """Return the width of the terminal; of what is no terminal what COLUMNS says, or 80."""
        if self._screen:
            return os.get_terminal_size(sys.stdout.fileno()).columns or _PLAIN_COLUMNS
        named = os.environ.get("COLUMNS", "")
        return int(named) if named.isascii() and named.isdigit() else _PLAIN_COLUMNS

    # -- one command

    def command(self, daemon: Daemon, *, words: Sequence[str] | None = None, line: str = "") -> int:
        """Give a command and show what comes back; returns its status."""
        daemon.send(
            control.Run(
                words=list(words) if words is not None else None,
                line=line,
                columns=self.columns(),
                asks=self._asks,
                screen=self._screen,
            )
        )
        named = words if words is not None else [piece.text for piece in pieces(line)]
        return self.converse(daemon, named)

    def converse(self, daemon: Daemon, named: Collection[str]) -> int:
        """Show and answer what the daemon sends until the command has ended.

        named: the words of the command: no other file is read than one of them names.
        """
        screen = Screen()
        try:
            while True:
                message = screen.wait(daemon)
                match message:
                    case control.Text(frame=True, text=text):
                        screen.paint(text)
                    case control.Text(error=True, text=text):
                        self.error(text)
                    case control.Text(text=text):
                        self.write(text)
                    case control.Ask(text=text):
                        daemon.send(control.Reply(self._confirm(text)))
                    case control.Read(path=path):
                        daemon.send(_file(path, named))
                    case control.Done(status=status):
                        return status
        finally:
            screen.leave()

    def confirm(self) -> Callable[[str], Awaitable[bool]] | None:
        """Return what asks yes or no; None where nobody can answer."""
        if not self._asks:
            return None

        async def ask(question: str) -> bool:
            return self._confirm(question)

        return ask

    async def read(self, path: str) -> str:
        """Read a public file that the command line names; raises ControlFile."""
        try:
            return read_public(path)
        except ValueError as error:
            raise ControlFile(path=path, why=error) from None

    def _confirm(self, question: str) -> bool:
        self.error(question)
        return sys.stdin.readline().strip().lower() in _YES

    # -- one command after the other

    def prompt(self, shell: Shell) -> int:
        """Read commands from the terminal until its end."""
        if not self._screen:
            self.error("lairctl: a command is needed here. See: lairctl help\n")
            return Status.USAGE
        readline.set_completer(_Completer(shell).choice)
        readline.set_completer_delims(" \t\n|")
        readline.parse_and_bind("tab: complete")
        shell.greet()
        while True:
            try:
                line = input(shell.prompt).strip()
            except EOFError:
                self.write("\n")
                return Status.OK
            except KeyboardInterrupt:
                self.write("\n")
                continue
            if line in _LEAVE:
                return Status.OK
            if line:
                shell.give(line)


def _file(path: str, named: Collection[str]) -> control.FileText:
    """Return what a file holds, if the person at the keyboard has named it.

    The daemon may run as somebody who could not read it, and root may be who calls.
    """
    if not any(path in {word, word.partition("=")[2]} for word in named):
        return control.FileText(why="the command does not name it")
    try:
        return control.FileText(read_public(path))
    except ValueError as error:
        return control.FileText(why=str(error))


class _Completer:
    """Answers readline, which asks for one choice after the other."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._choices: list[str] = []

    def choice(self, _text: str, number: int) -> str | None:
        """Return the choice of this number, or None after the last."""
        if number == 0:
            self._choices = self._ask()
        return self._choices[number] if number < len(self._choices) else None

    def _ask(self) -> list[str]:
        end = readline.get_endidx()
        offer = self._shell.complete(readline.get_line_buffer(), end)
        # readline replaces only what follows the last blank, also inside of quotes.
        known = max(0, readline.get_begidx() - offer.start)
        blank = " " if len(offer.words) == 1 else ""
        return [word[known:] + blank for word in offer.words]
