"""A console on a real kernel, whose commands are this test's own: every shape of reply and request."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta
from twisted.internet.defer import Deferred, ensureDeferred

from lairchat.core.audit import Entry
from lairchat.core.desk import Desk
from lairchat.core.feature import Feature
from lairchat.core.plan import Answer, Done, Write
from lairchat.core.session import Session
from lairchat.model import refusals
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole
from lairchat.operator.console import Console, Output, Verbs, split
from lairchat.wire.contract import Change, Command, Nothing, Outcome, Overlap, Reply, Request
from lairchat.wire.shown import PublicFile, Size, Span, Time, flag
from tests.harness import Server, accounts

PAGE = 3


class ListThings(Request, frozen=True):
    """List things.

    like: only those whose names hold this.
    """

    like: Annotated[str, Meta(max_length=20)] | None = None
    after: str | None = None


class Thing(Reply, frozen=True):
    """One thing."""

    name: str
    size: Size
    seen: Time
    wait: Span
    good: bool
    share: float
    words: list[str]
    note: str


class Things(Reply, frozen=True):
    """A page of things."""

    things: list[Thing]
    next: str | None = None


class ShowThing(Request, frozen=True):
    """Show a thing."""

    name: Annotated[str, Meta(max_length=200)]


class Facts(Reply, frozen=True):
    """What is known of a thing."""

    name: str
    size: Size
    last_seen: Time
    note: str


class LockThing(Change, frozen=True):
    """Lock a thing.

    span: how long; for ever
        where it is left out.
    how, why: what is said of it.
    """

    name: str
    span: Annotated[Span, flag("for")] = 0
    how: Literal["soft", "hard"] = "soft"
    why: str = ""
    loud: bool = False
    tag: list[str] = []
    level: Annotated[int, Meta(ge=0, le=9)] = 0
    share: Annotated[float, Meta(ge=0, le=1)] = 0
    since: Time = 0
    most: Size = 0


class Locked(Outcome, frozen=True):
    """What was done to a thing."""

    given: str = ""


class SayThing(Request, frozen=True):
    """Say something."""

    text: Annotated[str, Meta(max_length=100)]


class KeepKey(Change, frozen=True):
    """Keep a key."""

    name: str
    key: PublicFile


class LookOn(Request, frozen=True):
    """Look at a log."""

    follow: bool = False
    after: int = 0


class Lines(Reply, frozen=True):
    """Lines of a log."""

    lines: list[Thing]
    next: int = 0


class Both(Reply, frozen=True):
    """Facts and rows."""

    state: str
    parts: list[Thing]


def command(cli: str, request: type[Request], reply: type[Any], **more: Any) -> Command[Any, Any]:
    """Declare one of the commands below."""
    name = "test." + "_".join(word for word in cli.split() if "{" not in word)
    more.setdefault("role", ServerRole.ADMIN)
    return Command(name=name, request=request, reply=reply, doc="Is tested.", cli=cli, **more)


LIST = command("thing list", ListThings, Things)
SHOW = command("thing show {name}", ShowThing, Facts)
LOCK = command(
    "thing lock {name}",
    LockThing,
    Locked,
    asks=True,
    undoes=("how", "soft"),
    overlap=Overlap.WRITE,
)
SAY = command("thing say {text...}", SayThing, Facts)
KEEP = command("thing key add {name} {key}", KeepKey, Locked)
DROP = command("thing drop {name}", ShowThing, Nothing, asks=True)
BOTH = command("thing state", Request, Both, role=ServerRole.MODERATOR)
LOOK = command("thing log", LookOn, Lines)
TOP = command("thing top", Request, Facts, live=True)
OWN = command("thing own", Request, Facts, role=ServerRole.OWNER)


def thing(name: str, note: str = "") -> Thing:
    """Return a thing of this name."""
    return Thing(name, 41_000_000, 1_800_000_000_000, 7_200, True, 14.25, ["a", "b"], note)


class Bench:
    """A server with things, and a console on it.

    things: what there is.  said: what the commands were asked.  entries: the audit log.
    """

    def __init__(
        self,
        *,
        role: ServerRole = ServerRole.OWNER,
        files: Callable[[str], Any] | None = None,
        columns: int = 80,
    ) -> None:
        self.things = [thing("anvil"), thing("bell"), thing("cup"), thing("drum")]
        self.note = ""
        self.said: list[Any] = []
        self.entries: list[Entry] = []
        self.questions: list[str] = []
        handlers = {
            LIST: self.list,
            SHOW: self.show,
            LOCK: self.lock,
            SAY: self.say,
            KEEP: self.keep,
            DROP: self.drop,
            BOTH: lambda _call, _request: Answer(Both("good", self.things[:2])),
            LOOK: self.look,
            TOP: self.top,
            OWN: lambda _call, _request: Answer(Facts("own", 1, 0, "")),
        }
        self.server = Server([accounts(), Feature(name="things", handlers=handlers)])
        user = LOCAL_OPERATOR if role is ServerRole.OWNER else self.user(role)
        session = Session(SessionId(0), user, DeviceId(0), "op", role)
        self.desk = Desk(self.server.kernel, session, "test")
        self.console = Console(
            Verbs(self.server.kernel.table),
            self.desk.give,
            who="op",
            role=role,
            source="test",
            columns=columns,
            audit=self.entries.append,
            files=files,
        )

    def user(self, role: ServerRole) -> UserId:
        """Return an account of this role."""
        from lairchat.features.accounts import tables

        client = self.server.member("operator1")
        self.server.change(
            lambda connection: connection.execute(tables.users.update().values(role=int(role)))
        )
        return UserId(client.session.user)  # type: ignore[union-attr]

    # -- the commands

    def list(self, _call: Any, request: ListThings) -> Answer[Things]:
        self.said.append(request)
        found = [one for one in self.things if (request.like or "") in one.name]
        rest = [one for one in found if request.after is None or one.name > request.after]
        page = rest[:PAGE]
        return Answer(Things(page, page[-1].name if len(rest) > PAGE else None))

    def show(self, _call: Any, request: ShowThing) -> Answer[Facts]:
        self.said.append(request)
        for one in self.things:
            if one.name == request.name:
                return Answer(Facts(one.name, one.size, one.seen, one.note))
        raise refusals.UserUnknown(name=request.name)

    def lock(self, call: Any, request: LockThing) -> Write[Locked]:
        def change(_connection: Any) -> Done[Locked]:
            if request.name == "nobody":
                raise refusals.UserUnknown(name=request.name)
            self.said.append((request, call.rehearsal))
            name = request.name[:100]
            return Done(Locked(f"locked {name}", f"thing unlock {name}", request.why))

        return Write(change)

    def say(self, _call: Any, request: SayThing) -> Answer[Facts]:
        self.said.append(request)
        return Answer(Facts(request.text, 0, 0, ""))

    def keep(self, _call: Any, request: KeepKey) -> Answer[Locked]:
        self.said.append(request)
        return Answer(Locked(f"kept {len(request.key)}"))

    def drop(self, _call: Any, request: ShowThing) -> Answer[Nothing]:
        self.said.append(request)
        return Answer(Nothing())

    def look(self, _call: Any, request: LookOn) -> Answer[Lines]:
        self.said.append(request)
        return Answer(Lines(self.things[request.after :], len(self.things)))

    def top(self, _call: Any, request: Request) -> Answer[Facts]:
        self.said.append(request)
        return Answer(Facts("top", 1, 0, self.note))

    # -- what the test does

    def do(self, line: str, *answers: bool) -> Output:
        """Run a line; ``answers`` are given to its questions, without any nobody can answer."""
        return self.run(split(line), *answers)

    def run(self, words: Any, *answers: bool) -> Output:
        """Run a command given as words."""
        left = [*answers]

        async def confirm(question: str) -> bool:
            self.questions.append(question)
            return left.pop(0)

        return self.result(self.console.run(words, confirm if answers else None))

    def tab(self, line: str, at: int | None = None) -> tuple[int, Any]:
        """Return what Tab offers."""
        return tuple(self.result(self.console.complete(line, len(line) if at is None else at)))

    def result(self, coroutine: Any) -> Any:
        """Return what a coroutine comes to."""
        deferred: Deferred[Any] = ensureDeferred(coroutine)
        return self.server.result(deferred)
