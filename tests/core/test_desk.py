"""Commands given from inside the process: the same gates, roles proven anew, rehearsals undone."""

from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from lairchat.core.desk import Desk
from lairchat.core.feature import Feature
from lairchat.core.plan import Answer, Done, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.accounts import tables
from lairchat.features.accounts.messages import CREATE_INVITE, LIST_INVITES, REVOKE_INVITE
from lairchat.model import refusals
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap
from lairchat.wire.errors import ProtocolError
from tests.harness import PLENTY, Server, accounts


class Rename(Change, frozen=True):
    """Give a user another role, for these tests."""

    name: str


RENAME = Command(
    name="test.promote",
    request=Rename,
    reply=Outcome,
    doc="Is tested.",
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="test promote {name}",
    asks=True,
)
ACT = Command(
    name="test.act",
    request=Rename,
    reply=Outcome,
    doc="Acts outside of the database.",
    role=ServerRole.ADMIN,
    cli="test act {name}",
)


def promote(call, request):
    """Make somebody a moderator."""

    def change(connection):
        if tables.user_by_name(connection, request.name) is None:
            raise refusals.UserUnknown(name=request.name)
        connection.execute(tables.users.update().values(role=int(ServerRole.MODERATOR)))
        return Done(Outcome(done=f"{request.name} is moderator"), lambda _hub: told.append(1))

    return Write(change)


async def act(call, request):
    """Do something that only a rehearsal keeps from happening."""
    if not call.rehearsal:
        told.append(request.name)
    return Answer(Outcome(done="acted"))


told: list[object] = []


class Desks(TestCase):
    def setUp(self) -> None:
        told.clear()
        feature = Feature(name="test", handlers={RENAME: promote, ACT: act})
        rates = {**PLENTY, "command": Rate(burst=30, per_second=1)}
        self.server = Server([accounts(), feature], rates=rates)
        self.alice = self.server.member("alice")

    def desk(self, user: int = LOCAL_OPERATOR, role: ServerRole = ServerRole.OWNER) -> Desk:
        session = Session(SessionId(0), UserId(user), DeviceId(0), "local:1000", role)
        return Desk(self.server.kernel, session, "local")

    def ask(self, desk: Desk, command: Command, **arguments: object) -> object:
        return self.server.result(desk.give(command, arguments))

    def role_of(self, name: str) -> ServerRole:
        return self.server.look(lambda connection: tables.user_by_name(connection, name)).role

    def test_the_local_operator_owns_the_server_and_needs_no_account(self) -> None:
        desk = self.desk()
        invite = self.ask(desk, CREATE_INVITE, uses=3)
        rows = self.ask(desk, LIST_INVITES).invites
        assert [(row.invite, row.by, row.uses) for row in rows] == [(invite.invite, "", 3)]
        self.ask(desk, REVOKE_INVITE, invite=invite.invite)
        assert self.ask(desk, LIST_INVITES).invites == []

    def test_what_was_rehearsed_did_not_happen(self) -> None:
        desk = self.desk()
        assert self.ask(desk, RENAME, name="alice", dry_run=True).done == "alice is moderator"
        assert (self.role_of("alice"), told) == (ServerRole.USER, [])
        assert self.ask(desk, RENAME, name="alice").done == "alice is moderator"
        assert (self.role_of("alice"), told) == (ServerRole.MODERATOR, [1])

    def test_a_rehearsal_is_refused_like_the_deed_and_harms_nobody_in_its_group(self) -> None:
        desk = self.desk()
        first = desk.give(CREATE_INVITE, {})
        trial = desk.give(RENAME, {"name": "alice", "dry_run": True})
        refused = desk.give(RENAME, {"name": "nobody", "dry_run": True})
        last = desk.give(CREATE_INVITE, {})
        self.server.settle()
        self.failureResultOf(refused, refusals.UserUnknown)
        assert self.successResultOf(trial).done == "alice is moderator"
        made = {self.successResultOf(first).invite, self.successResultOf(last).invite}
        assert {row.invite for row in self.ask(desk, LIST_INVITES).invites} == made
        assert self.role_of("alice") is ServerRole.USER

    def test_a_handler_beside_the_database_knows_of_the_rehearsal(self) -> None:
        desk = self.desk()
        self.ask(desk, ACT, name="x", dry_run=True)
        assert told == []
        self.ask(desk, ACT, name="x")
        assert told == ["x"]

    def test_a_role_that_was_taken_away_counts_at_once(self) -> None:
        user = self.alice.session.user
        desk = self.desk(user, ServerRole.ADMIN)
        with self.assertRaises(refusals.Denied):
            self.ask(desk, ACT, name="x")

        def set_state(**values: int) -> None:
            self.server.change(
                lambda connection: connection.execute(tables.users.update().values(**values))
            )

        set_state(role=int(ServerRole.ADMIN))
        self.ask(desk, ACT, name="x")
        set_state(state=tables.LOCKED)
        for command in (ACT, RENAME):
            with self.assertRaises(refusals.Denied):
                self.ask(desk, command, name="alice")
        set_state(state=tables.IN_USE)
        # In one group of the writer, behind the change that takes it away: the first look, which
        # happens at once, still found it.
        given = desk.give(RENAME, {"name": "alice"})
        self.server.clock.advance(0)
        set_state(role=int(ServerRole.USER))
        self.server.settle()
        assert self.role_of("alice") in {ServerRole.USER, ServerRole.MODERATOR}
        assert given.called

    def test_the_gate_is_the_kernels(self) -> None:
        with self.assertRaises(refusals.Denied):
            self.ask(self.desk(self.alice.session.user, ServerRole.USER), ACT, name="x")
        desk = self.desk()
        failure = self.failureResultOf(desk.give(ACT, {"nmae": "x"}))
        assert (failure.value.code, failure.value.field) == ("LC-ARGS", "$.nmae")
        for _ in range(100):  # the operator of the host is never too fast
            self.ask(desk, ACT, name="x")

    def test_an_operator_from_elsewhere_has_a_members_allowance(self) -> None:
        self.server.change(
            lambda connection: connection.execute(
                tables.users.update().values(role=int(ServerRole.ADMIN))
            )
        )
        desk = self.desk(self.alice.session.user, ServerRole.ADMIN)
        given = [desk.give(ACT, {"name": "x"}) for _ in range(40)]
        self.server.settle()
        refused = [one for one in given if isinstance(one.result, Failure)]
        for one in refused:
            self.failureResultOf(one, refusals.RateLimited)
        assert (len(told), len(refused)) == (30, 10)

    def test_an_answer_that_breaks_its_own_bounds_reaches_whoever_waits(self) -> None:
        async def overdo(_call, _request):
            return Answer(Outcome(done="x" * 401))

        self.server = Server([accounts(), Feature(name="test", handlers={ACT: overdo})])
        failure = self.failureResultOf(self.desk().give(ACT, {"name": "x"}), ProtocolError)
        assert failure.value.code == "LC-BODY"

    def test_nobody_sees_a_desk(self) -> None:
        self.ask(self.desk(), LIST_INVITES)
        assert list(self.server.hub.people) == [self.alice.session.user]
        assert self.alice.events() == []
