"""Finds who handles a command, runs what the handler planned, and answers.

The only place that checks stage, role and rate, turns refusals into errors, recognises repeats
and keeps the order of a connection's commands (architecture.md, decisions 3, 8 and 10).
"""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.core import audit
from lairchat.core.bans import AddressBans
from lairchat.core.call import Call
from lairchat.core.feature import Feature, Handler
from lairchat.core.hub import Hub
from lairchat.core.measures import Measures
from lairchat.core.peer import Peer
from lairchat.core.plan import Answer, Connection, Done, Plan, Read, Submit, Write
from lairchat.core.portal import make_portal
from lairchat.core.session import Session
from lairchat.core.throttle import Rate, Throttle
from lairchat.model import refusals
from lairchat.model.ids import LOCAL_OPERATOR, RoomId, UserId, check_command_time
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.wire import codec
from lairchat.wire.contract import Change, Command, Overlap, Stage, Table
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import CommandFrame, Error, EventFrame, Ok

T = TypeVar("T")


class Storage(Protocol):
    """What the kernel asks of the database (see storage/database.py)."""

    def read(self, query: Callable[[Connection], Any]) -> "Deferred[Any]":
        """Run a query in a read transaction."""

    def call(self, change: "Callable[[Connection], T]") -> "Deferred[T]":
        """Run a change in the writer's transaction; fires in commit order, once it is durable.

        For handlers that decide in several steps, and for changes that stay although the caller
        is refused in the end (a failed login is counted); all others return a :class:`Write`.
        """

    def submit(
        self,
        change: Callable[[Connection], Any],
        finish: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Run a change in the writer's transaction; ``finish(result, error)`` after the commit."""

    def submit_unit(self, unit: Any) -> None:
        """Hand a set-wise unit to the writer."""


class Answers(Protocol):
    """Where the answers of keyed commands are kept (see storage/log.py)."""

    def find(self, connection: Connection, device: int, key: bytes) -> bytes | None:
        """Return the stored answer of this command id, or None."""

    def store(self, connection: Connection, device: int, key: bytes, now: int, body: bytes) -> None:
        """Keep an answer."""


_decode_answer = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


def event_frame(name: str, body: msgspec.Struct) -> bytes:
    """Encode an event once, for everybody who is to hear it."""
    return codec.encode(EventFrame(name=name, body=msgspec.Raw(codec.encode_body(body))))


def ok_frame(id: int, body: bytes) -> bytes:  # noqa: A002
    """Encode the answer to a command from its already encoded body."""
    return codec.encode(Ok(id=id, body=msgspec.Raw(body)))


def error_frame(id: int, error: Refusal | ProtocolError) -> bytes:  # noqa: A002
    """Encode why a command was not done, as the answer to it."""
    wait = error.retry_after if isinstance(error, Refusal) else None
    return codec.encode(
        Error(id=id, code=error.code, text=error.text, field=error.field, retry_after=wait)
    )


def check_stage(peer: Peer, command: Command[Any, Any]) -> None:
    """Raise ProtocolError LC-STAGE unless this connection may give this command now."""
    if (peer.session is None) != (command.stage is Stage.GREETED):
        raise ProtocolError(
            "LC-STAGE",
            "log in first" if peer.session is None else "this connection is logged in already",
            field="$.do",
        )


class Entry:
    """A command with its handler and its cost under the rates in force, ready to run."""

    __slots__ = ("command", "cost", "handler")

    def __init__(self, command: Command[Any, Any], handler: Handler, cost: float) -> None:
        self.command = command
        self.handler = handler
        self.cost = cost


class Kernel:
    """The server without its sockets.

    features: what it can do.
    storage, answers: where it is kept.
    hub, throttle: who hears, how often one may speak.
    now: wall clock in ms.  random: n -> n random bytes.
    rates: what one member may ask for, by the commands' ``rate``: "message" and "command".
    measures: what is counted; by default, for this kernel alone.
    """

    log = Logger()

    def __init__(
        self,
        features: Iterable[Feature],
        *,
        storage: Storage,
        answers: Answers,
        hub: Hub,
        throttle: Throttle,
        now: Callable[[], int],
        random: Callable[[int], bytes],
        rates: Mapping[str, Rate],
        measures: Measures | None = None,
    ) -> None:
        self.measures = measures or Measures(rates)
        self.features = tuple(features)
        self.storage = storage
        self.answers = answers
        self.hub = hub
        self.throttle = throttle
        self.now = now
        self.random = random
        self.rates = rates
        self.closing = False
        self.bans = AddressBans(now)
        #: Called, on the reactor's thread, with users whose standing has changed.
        self.standing_watchers: list[Callable[[UserId], None]] = []
        #: Each tells of one door that has its own connections, not the hub's: who is in, from where.
        self.shells: list[Callable[[], Iterable[tuple[UserId, str]]]] = []
        self.portal = make_portal(
            tuple(make(self) for feature in self.features for make in feature.checkers),
            self.measures,
        )
        self._entries: dict[str, Entry] = {}
        for feature in self.features:
            for command, handler in feature.handlers.items():
                # A small burst makes a dear command rare, not impossible.
                cost = min(command.cost, rates[command.rate].burst)
                self._entries[command.name] = Entry(command, handler, cost)
        self.table = Table(
            [command for feature in self.features for command in feature.handlers],
            [event for feature in self.features for event in feature.events],
        )
        for feature in self.features:
            if feature.composed is not None:
                feature.composed(self)

    def open(self, connection: Connection) -> None:
        """Let every feature look at the database before anybody is let in."""
        for feature in self.features:
            if feature.opening is not None:
                feature.opening(self, connection)

    def change_rates(self, rates: Mapping[str, Rate]) -> None:
        """Take over other rates; what members have used of the old ones still counts."""
        self.rates = rates
        for entry in self._entries.values():
            entry.cost = min(entry.command.cost, rates[entry.command.rate].burst)

    # -- seams that features fill for each other

    def registered(
        self, connection: Connection, user: UserId, name: str, now: int
    ) -> list[Callable[[Hub], None]]:
        """Run every feature's part of making an account, in the account's own transaction."""
        afters = []
        for feature in self.features:
            if feature.registered is not None:
                after = feature.registered(connection, user, name, now)
                if after is not None:
                    afters.append(after)
        return afters

    def rooms_of(self, connection: Connection, user: UserId) -> list[RoomId]:
        """Collect the rooms that a user's devices hear, in the transaction that logs one in."""
        rooms: list[RoomId] = []
        for feature in self.features:
            if feature.attached is not None:
                rooms.extend(feature.attached(connection, user))
        return rooms

    def role_now(self, connection: Connection, user: UserId) -> ServerRole:
        """Return a user's role in this transaction, whatever it was when they logged in.

        Raises Denied for an account that is locked or gone; what :meth:`admitting` raises.
        """
        if user == LOCAL_OPERATOR:
            return ServerRole.OWNER
        self.admitting(connection, user)
        for feature in self.features:
            if feature.standing is not None:
                role = feature.standing(connection, user, self.now())
                if role is not None:
                    return role
        raise refusals.Denied

    def role_left(self, connection: Connection, user: UserId) -> ServerRole | None:
        """Return a user's role as :meth:`role_now` does; None for one who is locked, banned, gone.

        For what somebody has left behind that is good only while they may still make it.
        """
        try:
            return self.role_now(connection, user)
        except (refusals.Denied, refusals.AuthBanned):
            return None

    def admitting(self, connection: Connection, user: UserId) -> None:
        """Let every feature refuse a user who is about to be let in, or to act as an operator."""
        for feature in self.features:
            if feature.admitting is not None:
                feature.admitting(connection, user, self.now())

    def role_given(
        self, connection: Connection, user: UserId, role: ServerRole, by: str, now: int
    ) -> list[Callable[[Hub], None]]:
        """Run every feature's part of a new role on the server, in the transaction that gives it."""
        afters: list[Callable[[Hub], None]] = []
        for feature in self.features:
            if feature.role_given is not None:
                afters.extend(feature.role_given(connection, user, role, by, now))
        return afters

    def revoked(
        self,
        connection: Connection,
        user: UserId,
        account: bytes,
        devices: Sequence[bytes],
        now: int,
    ) -> list[Callable[[Hub], None]]:
        """Run every feature's part of revoking devices, in the transaction that revokes them."""
        afters: list[Callable[[Hub], None]] = []
        for feature in self.features:
            if feature.revoked is not None:
                afters.extend(feature.revoked(connection, user, account, devices, now))
        return afters

    def standing_changed(self, user: UserId) -> None:
        """Tell every door that what a user may do has changed: role, lock, ban, keys."""
        for watcher in self.standing_watchers:
            watcher(user)

    def joining(self, connection: Connection, room: RoomId, user: UserId) -> None:
        """Let every feature refuse a user who is about to enter a room."""
        for feature in self.features:
            if feature.joining is not None:
                feature.joining(connection, room, user)

    def encrypting(self, connection: Connection, users: Sequence[UserId]) -> None:
        """Refuse an encrypted room of these people, where one of them cannot be in one."""
        for feature in self.features:
            if feature.encrypting is not None:
                feature.encrypting(connection, users)
                return
        raise refusals.RoomCrypto(kind="mls", field="$.crypto")

    def adding(
        self, connection: Connection, room: RoomId, users: Sequence[UserId], now: int
    ) -> list[Callable[[Hub], None]]:
        """Take the consent of those whom a commit brings into an encrypted room, or refuse it."""
        for feature in self.features:
            if feature.adding is not None:
                return list(feature.adding(connection, room, users, now))
        raise refusals.Denied  # where nobody can ask people, nobody is added

    def sealing(
        self, connection: Connection, session: Session, room: RoomId, message: bytes
    ) -> None:
        """Refuse a message that is not one of its encrypted room, or not the sender's to send."""
        for feature in self.features:
            if feature.sealing is not None:
                feature.sealing(connection, session, room, message)
                return
        raise refusals.RoomPlain(field="$.body")

    def shut_out(
        self, connection: Connection, user: UserId, now: int, *, banned: bool
    ) -> list[Callable[[Hub], None]]:
        """Run every feature's part of a ban from the server, in the transaction that gives or lifts it."""
        afters: list[Callable[[Hub], None]] = []
        for feature in self.features:
            if feature.shut_out is not None:
                afters.extend(feature.shut_out(connection, user, banned, now))
        return afters

    def upkeep(self) -> "Deferred[bool]":
        """Run every feature's hourly cleaning; fire with whether one has to go on in another one."""
        now, live = self.now(), self.hub.sessions()

        def change(connection: Connection) -> bool:
            sweeps = [feature.upkeep for feature in self.features if feature.upkeep is not None]
            left = [sweep(connection, now, live) for sweep in sweeps]
            return any(left)

        return self.storage.call(change)

    # -- commands

    def receive(self, peer: Peer, frame: CommandFrame) -> None:
        """Start the command in this frame; its answer goes to the peer's outbox."""
        if peer.closed:
            return  # it came in one piece with what ended the session
        entry = self._entries.get(frame.do)
        try:
            if entry is None:
                raise ProtocolError(
                    "LC-COMMAND-UNKNOWN", "this server has no such command", field="$.do"
                )
            call, request = self._admit(peer, frame, entry)
        except (Refusal, ProtocolError) as error:
            # The frame is sound, only its content is not: the connection lives on.
            peer.push(error_frame(frame.id, error))
            return
        peer.start(entry.command.overlap, self._run, entry, call, request)

    def _admit(self, peer: Peer, frame: CommandFrame, entry: Entry) -> tuple[Call, Any]:
        """Check what can be checked without the database: the gate of every command."""
        command = entry.command
        if self.closing:
            raise refusals.ShuttingDown(retry_after=5.0)
        check_stage(peer, command)
        if command.stage is Stage.GREETED and self.hub.maintenance is not None:
            raise self.hub.closed_for_now()
        session = peer.session
        if session is not None and session.role < command.role:
            raise refusals.Denied
        # A stranger's allowance belongs to the connection, of which an address has only so many.
        who = peer if session is None else session.user
        if who != LOCAL_OPERATOR:  # who could stop the process as well
            wait = self.throttle.take((command.rate, who), self.rates[command.rate], entry.cost)
            if wait:
                self.measures.limited.add(command.rate)
                raise refusals.RateLimited(retry_after=wait)
        now = self.now()
        if command.keyed:
            if frame.key is None:
                raise ProtocolError("LC-ARGS", "this command needs a key", field="$.key")
            check_command_time(frame.key, now)
        request = codec.decode_args(command.request, frame.args)
        key = frame.key if command.keyed else None
        rehearsal = isinstance(request, Change) and request.dry_run
        own = command.cli is None or peer.audits
        audited = "" if own else audit.described(command.name, request)
        call = Call(self, peer, frame.id, key, now, rehearsal=rehearsal, audited=audited)
        return call, request

    def _run(self, entry: Entry, call: Call, request: Any) -> None:
        command = entry.command
        try:
            # Again, because it may have waited for another login on this connection.
            check_stage(call.peer, command)
            if command.cli is not None:
                self._await(command, call, self._operate(entry, call, request))
                return
            plan = entry.handler(call, request)
            if type(plan) is Submit:  # first, because most commands of a busy server are messages
                self.storage.submit_unit(plan.unit)
                return
            if not inspect.iscoroutine(plan):
                self._carry_out(command, call, plan)
                return
        except Exception:  # noqa: BLE001 - the answer carries it, the log keeps it
            self._fail(command, call, Failure())
            return
        self._await(command, call, plan)

    async def _operate(self, entry: Entry, call: Call, request: Any) -> Plan:
        """Run the handler of an operator's command once the role is proven as it is now.

        Sessions of operators live for days; a role that was taken away must not.  The operator of
        the host needs no account, and no database that can be read: it may be what is to be put right.
        """
        if call.session.user != LOCAL_OPERATOR:
            await self.storage.read(
                lambda connection: self._check_standing(connection, entry.command, call)
            )
        planned = entry.handler(call, request)
        plan: Plan = await planned if inspect.iscoroutine(planned) else planned
        return plan

    def _check_standing(
        self, connection: Connection, command: Command[Any, Any], call: Call
    ) -> None:
        """Raise Denied unless the caller's role, in this transaction, allows the command."""
        user = call.session.user
        if self.role_now(connection, user) < command.role:
            raise refusals.Denied

    def _await(
        self, command: Command[Any, Any], call: Call, plan: Coroutine[Any, Any, Plan]
    ) -> None:
        deferred = Deferred.fromCoroutine(plan)
        deferred.addCallback(lambda result: self._carry_out(command, call, result))
        deferred.addErrback(lambda failure: self._fail(command, call, failure))

    def _carry_out(self, command: Command[Any, Any], call: Call, plan: Plan) -> None:
        """Do what was planned; whatever this raises was not answered yet."""
        match plan:
            case Submit(unit):
                self.storage.submit_unit(unit)
            case Write(change):
                self._write(command, call, change)
            case Read(query):
                reading = self.storage.read(query)
                reading.addCallback(lambda reply: self._reply(command, call, reply))
                reading.addErrback(lambda failure: self._fail(command, call, failure))
            case Answer(reply):
                self._reply(command, call, reply)
            case _:
                raise TypeError(f"the handler of {command.name} planned {type(plan).__name__}")

    def _write(
        self,
        command: Command[Any, Any],
        call: Call,
        change: Callable[[Connection], Done[Any]],
    ) -> None:
        key, peer = call.key, call.peer
        device = peer.session.device if peer.session is not None else 0

        def run(connection: Connection) -> tuple[bytes, Callable[[Hub], None] | None]:
            body, after = carry_out(connection)
            return ok_frame(call.id, body), after

        def carry_out(connection: Connection) -> tuple[bytes, Callable[[Hub], None] | None]:
            if command.cli is not None:
                self._check_standing(connection, command, call)
            if call.rehearsal:
                with connection.begin_nested() as trial:
                    body = codec.encode_body(change(connection).reply)
                    trial.rollback()
                return body, None
            if key is None:
                done = change(connection)
                return codec.encode_body(done.reply), done.after
            stored = self.answers.find(connection, device, key)
            if stored is not None:
                # The kept answer of a message is its place in the log; it has no body.
                name, body = _decode_answer(stored) if stored else ("", b"")
                if name != command.name:
                    raise refusals.IdConflict(field="$.key")
                return body, None
            done = change(connection)
            body = codec.encode_body(done.reply)
            self.answers.store(
                connection, device, key, call.now, msgspec.msgpack.encode((command.name, body))
            )
            return body, done.after

        def finish(result: Any, error: BaseException | None) -> None:
            if error is not None:
                self._fail(command, call, Failure(error))
                return
            frame, after = result
            self._audit(call)
            # First the answer: what ``after`` sends to this connection, or its end, follows it.
            call.peer.push(frame)
            if after is not None:
                self._tell(after)
            call.peer.ended(command.overlap)

        self.storage.submit(run, finish)

    def _tell(self, after: Callable[[Hub], None]) -> None:
        try:
            after(self.hub)
        except Exception:  # noqa: BLE001 - what is committed is answered, whoever cannot be told
            self.log.failure("telling others of a committed change failed")

    # -- answers

    def _reply(self, command: Command[Any, Any], call: Call, reply: msgspec.Struct) -> None:
        self._audit(call)
        call.peer.push(ok_frame(call.id, codec.encode_body(reply)))
        call.peer.ended(command.overlap)

    def _fail(self, command: Command[Any, Any], call: Call, failure: Failure) -> None:
        self._audit(call, getattr(failure.value, "code", refusals.Internal.code))
        call.peer.push(self.explain(call.id, command.name, failure))
        call.peer.ended(command.overlap)

    def _audit(self, call: Call, code: str = "") -> None:
        """Write down what an operator commanded over the chat."""
        if call.audited:
            source = f"chat:{call.peer.address}"
            audit.write(audit.Entry(call.session.name, source, call.audited, int(bool(code)), code))

    def explain(self, id: int, what: str, failure: Failure) -> bytes:  # noqa: A002
        """Encode why a command was not done; what nobody expected is logged, not told."""
        error = failure.value
        if not isinstance(error, Refusal | ProtocolError):
            # The same short id in the log and in the answer lets an operator find the one by the
            # other; the answer says nothing else about what went wrong inside.
            incident = self.random(4).hex()
            self.log.failure("{what} failed ({incident})", failure, what=what, incident=incident)
            error = refusals.Internal(incident=incident)
        return error_frame(id, error)

    def gone(self, peer: Peer) -> None:
        """Forget a connection that has closed, with all that it holds.

        Of its allowance too: until the next sweep a flood of strangers would keep 2 KiB each.
        """
        for rate in self.rates:
            self.throttle.forget((rate, peer))
        self.hub.detach(peer)

    def close(self) -> None:
        """Take no more commands; those under way are finished."""
        self.closing = True


def handlers_of(features: Iterable[Feature]) -> Mapping[str, Feature]:
    """Return the feature that answers each command, by the command's name."""
    return {command.name: feature for feature in features for command in feature.handlers}


__all__ = [
    "Answers",
    "Kernel",
    "Overlap",
    "Storage",
    "error_frame",
    "event_frame",
    "handlers_of",
    "ok_frame",
]
