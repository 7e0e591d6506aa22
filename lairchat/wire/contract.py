"""How a feature declares its commands and events: once, as values that every door reads.

Framed protocol, documentation, and later the SSH shell, lairctl, REST and OpenAPI all work from
the same :class:`Table`; none of them keeps a list of its own (architecture.md, "The seams").
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what a command takes; unknown fields are refused.

    Give every int, float and text its bounds: such a type is closed (see wire/closed.py), and
    its values need no scan when they arrive in the form in which this library sends them.
    """


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of what a command answers and of what events carry; unknown fields are ignored."""


class Nothing(Reply, frozen=True):
    """The answer of a command that has nothing to tell."""


class Change(Request, frozen=True, kw_only=True):
    """Base of what an operator's command takes that changes something.

    dry_run: find out what would happen, and do nothing: the kernel takes back what a handler wrote;
        a handler that acts on anything but the database asks ``call.rehearsal`` first.
    """

    dry_run: bool = False


class Outcome(Reply, frozen=True):
    """What an operator's command did, or would do, for people.

    done: one sentence, such as ``locked eve until 14:06 (1 session closed)``.
    undo: the line that takes it back; empty where none does.
    """

    done: Annotated[str, Meta(max_length=400)]
    undo: Annotated[str, Meta(max_length=200)] = ""


Req = TypeVar("Req", bound=Request)
Rep = TypeVar("Rep", bound=msgspec.Struct)


class Stage(Enum):
    """When on a connection a command may be used."""

    GREETED = "greeted"
    """After both hellos, before anybody has logged in."""
    READY = "ready"
    """After logging in."""


class Overlap(Enum):
    """What may run beside a command on the same connection (architecture.md, decision 10)."""

    READ = "read"
    """Beside others; waits for this connection's earlier writes."""
    WRITE = "write"
    """Enters the writer's queue at once; order kept."""
    EXCLUSIVE = "exclusive"
    """Alone: waits for all earlier ones, later ones wait for it."""


class Command(msgspec.Struct, Generic[Req, Rep], frozen=True, eq=False, kw_only=True):
    """One thing a caller can ask for; its handler stands in the feature's server.py.

    name: ``noun.verb``, the name on the wire.
    errors: refusals it may answer beside those that every command may (docs/protocol.rst).
    role: the least server role that may call it.
    rate: which of the member's allowances it draws on: ``message`` or ``command``.
    cost: how many tokens of that allowance it takes.
    keyed: whether a command id must be given, so that a repeat is recognised.
    on: the argument that names what the permission is judged on ("" = the server).
    cli: the line by which operators give it, ``noun verb {argument} [{argument}]``, the other
        arguments as flags; None: not offered to operators.  The kernel proves the role of whoever
        gives such a command anew, in the transaction that acts.
    asks: whether operators are asked before it is done: it ends or destroys something.
    undoes: an argument and its value with which it only takes that back; then nobody is asked.
    live: whether its answer is asked for again every second while an operator looks at it.
    http: method and path of the REST API.
    doc: one sentence in the present tense.
    """

    name: str
    request: type[Req]
    reply: type[Rep]
    doc: str
    errors: tuple[type[Refusal], ...] = ()
    stage: Stage = Stage.READY
    role: ServerRole = ServerRole.GUEST
    rate: str = "command"
    cost: int = 1
    overlap: Overlap = Overlap.READ
    keyed: bool = False
    on: str = ""
    cli: str | None = None
    asks: bool = False
    undoes: tuple[str, str | bool] | None = None
    live: bool = False
    http: str | None = None


class EventType(msgspec.Struct, Generic[Rep], frozen=True, eq=False, kw_only=True):
    """One thing the server tells without being asked."""

    name: str
    body: type[Rep]
    doc: str


class Table:
    """All commands and events of a server, by name."""

    def __init__(
        self, commands: Iterable[Command[Any, Any]], events: Iterable[EventType[Any]] = ()
    ) -> None:
        self._commands: dict[str, Command[Any, Any]] = {}
        self._events: dict[str, EventType[Any]] = {}
        for command in commands:
            if command.name in self._commands:
                raise ValueError(f"two commands are called {command.name}")
            self._commands[command.name] = command
        for event in events:
            if event.name in self._events:
                raise ValueError(f"two events are called {event.name}")
            self._events[event.name] = event

    def command(self, name: str) -> Command[Any, Any] | None:
        """Return the command of this name, or None."""
        return self._commands.get(name)

    def event(self, name: str) -> EventType[Any] | None:
        """Return the event of this name, or None."""
        return self._events.get(name)

    def __iter__(self) -> Iterator[Command[Any, Any]]:
        """Iterate over the commands, sorted by name."""
        return iter(sorted(self._commands.values(), key=lambda command: command.name))

    def events(self) -> Iterator[EventType[Any]]:
        """Iterate over the events, sorted by name."""
        return iter(sorted(self._events.values(), key=lambda event: event.name))
