"""A slash command as it was typed: words are taken one by one, with errors that show the usage."""

from __future__ import annotations

from lairchat.client.kit import CommandError
from lairchat.client.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["Call", "Command"]


class Command(Value):
    """One slash command: what is typed, what it says about itself, what it does.

    ``complete`` names a completer for each argument (see ``complete``); the last one repeats for
    ``...`` arguments.
    """

    name: str
    usage: str
    help: str
    example: str
    group: str
    run: Callable[[AppState, Call], list[Effect]]
    complete: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Call:
    """The arguments of one command line; ``typed`` is all of it."""

    __slots__ = ("_rest", "command", "typed")

    def __init__(self, command: Command, arguments: str, typed: str) -> None:
        self.command = command
        self._rest = arguments.strip()
        self.typed = typed

    def word(self, what: str) -> str:
        """Take the next word; raises CommandError naming what is missing."""
        word = self.optional()
        if not word:
            raise CommandError(
                f"{what} is missing. {self.command.usage}   for example: {self.command.example}"
            )
        return word

    def optional(self) -> str:
        """Take the next word, empty when there is none."""
        parts = self._rest.split(None, 1)
        self._rest = parts[1] if len(parts) > 1 else ""
        return parts[0] if parts else ""

    def rest(self) -> str:
        """Take everything that is left."""
        rest, self._rest = self._rest, ""
        return rest

    def end(self) -> None:
        """Raise CommandError when there are words nobody asked for."""
        if self._rest:
            raise CommandError(f'"{self._rest[:20]}" is too much. {self.command.usage}')
