"""What a handler answers: a value that says which I/O the kernel is to do for it.

Handlers stay plain functions; the kernel alone knows the writer, the readers and the peers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from lairchat.core.hub import Hub

Rep_co = TypeVar("Rep_co", bound=msgspec.Struct, covariant=True)
#: A database connection; the kernel only hands it on.
Connection = Any


@dataclass(frozen=True, slots=True)
class Done(Generic[Rep_co]):
    """What a write came to: the reply, and what to tell others once it is durable.

    after: runs on the reactor thread, after the commit, in commit order; what it does to the hub
    therefore follows the database exactly.
    """

    reply: Rep_co
    after: "Callable[[Hub], None] | None" = None


@dataclass(frozen=True, slots=True)
class Answer(Generic[Rep_co]):
    """Answer at once, without the database."""

    reply: Rep_co


@dataclass(frozen=True, slots=True)
class Read(Generic[Rep_co]):
    """Answer with what ``query`` returns from one read transaction."""

    query: Callable[[Connection], Rep_co]


@dataclass(frozen=True, slots=True)
class Write(Generic[Rep_co]):
    """Run ``change`` in the writer's transaction; it raises a Refusal before its first write or not at all."""

    change: Callable[[Connection], Done[Rep_co]]


class Unit(Protocol):
    """What the writer takes (see storage/writer.py)."""

    def finish(self, error: BaseException | None) -> None:
        """Tell the caller, on the reactor thread, after the commit."""


class Submit(NamedTuple):
    """Hand a set-wise unit to the writer; the unit answers the caller by itself."""

    unit: Any


Plan = Answer[Any] | Read[Any] | Write[Any] | Submit
