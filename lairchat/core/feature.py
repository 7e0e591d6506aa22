"""How a feature presents itself to the kernel: one value, built by its server.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.cred.checkers import ICredentialsChecker

from lairchat.core.call import Call
from lairchat.core.hub import Hub
from lairchat.core.plan import Connection, Plan
from lairchat.core.session import Session
from lairchat.model.ids import RoomId, SessionId, UserId
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType

if TYPE_CHECKING:
    from lairchat.core.kernel import Kernel

#: A handler returns a plan, or a coroutine that returns one where it has to wait.
Handler = Callable[[Call, Any], Any]
After = Callable[[Hub], None]
Upkeep = Callable[[Connection, int, Sequence[SessionId]], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What one feature adds to the server.

    needs: names of the features whose tables it reads (acyclic, tested).
    handlers: who answers each of its commands.
    checkers: make credential checkers for the portal (twisted.cred), each given the kernel.
    registered: runs inside the transaction that makes an account (user, name, now in ms); may
        return what to tell others afterwards.
    attached: runs inside the transaction that logs a device in: the rooms that it hears.
    standing: returns the role that a user has at a time (ms), None for one who may do nothing
        (locked); asked inside the transaction of every operator's command.  One feature has it.
    admitting: runs inside the transactions that let a user in (now in ms): logging in, resuming,
        an operator's key, an operator's command; raises a Refusal to keep them out.
    role_given: runs inside the transaction that gives a user another role on the server (user,
        role, who gave it, now in ms); returns what to tell others afterwards.
    revoked: runs inside the transaction that revokes certified devices of an account (user, account
        id, device ids, now in ms); returns what to tell others afterwards.
    joining: runs inside the transaction that lets a user into a room, or invites one; raises a
        Refusal to keep them out.
    encrypting: runs inside the transaction that makes an encrypted room (who are to be in it); raises a
        Refusal where one of them cannot be.  One feature has it.
    adding: runs inside the transaction of a commit that brings users into an encrypted room (room,
        users, now in ms), before it writes: raises a Refusal where one has not agreed, uses up what
        they agreed by, and returns what to tell others afterwards.  One feature has it.
    sealing: runs inside the transaction that stores a message of an encrypted room (who sends it,
        the room, the message); raises a Refusal to keep it out.  One feature has it.
    shut_out: runs inside the transaction that bans a user from the server for good, or lets one back
        in (user, whether it is the former, now in ms); returns what to tell others afterwards.
    services: Twisted services that run while the server does.
    upkeep: runs about once an hour in a transaction of its own (now in ms, sessions with a live
        connection); says whether it has to go on in another one, so that no sweep holds up the
        writer for long.
    opening: runs once, in a transaction of its own, before anything listens: for what a door has to know
        of the database before its first stranger comes; what it raises keeps the server from starting.
    composed: runs once, when the kernel is whole: for what listens to the hub.
    """

    name: str
    needs: tuple[str, ...] = ()
    handlers: Mapping[Command[Any, Any], Handler] = field(default_factory=dict)
    events: tuple[EventType[Any], ...] = ()
    checkers: "tuple[Callable[[Kernel], ICredentialsChecker], ...]" = ()
    registered: Callable[[Connection, UserId, str, int], After | None] | None = None
    attached: Callable[[Connection, UserId], Iterable[RoomId]] | None = None
    standing: Callable[[Connection, UserId, int], ServerRole | None] | None = None
    admitting: Callable[[Connection, UserId, int], None] | None = None
    role_given: Callable[[Connection, UserId, ServerRole, str, int], Iterable[After]] | None = None
    revoked: Callable[[Connection, UserId, bytes, Sequence[bytes], int], Iterable[After]] | None = (
        None
    )
    joining: Callable[[Connection, RoomId, UserId], None] | None = None
    encrypting: Callable[[Connection, Sequence[UserId]], None] | None = None
    adding: Callable[[Connection, RoomId, Sequence[UserId], int], Iterable[After]] | None = None
    sealing: Callable[[Connection, Session, RoomId, bytes], None] | None = None
    shut_out: Callable[[Connection, UserId, bool, int], Iterable[After]] | None = None
    services: tuple[IService, ...] = ()
    upkeep: Upkeep | None = None
    opening: "Callable[[Kernel, Connection], None] | None" = None
    composed: "Callable[[Kernel], None] | None" = None


__all__ = ["After", "Feature", "Handler", "Plan"]
