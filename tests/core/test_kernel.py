"""The kernel: gates, plans, repeats, order, and errors that nobody expected."""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import text
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from lairchat.core.feature import Feature
from lairchat.core.kernel import event_frame, handlers_of
from lairchat.core.plan import Answer, Done, Read, Submit, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.model import limits, refusals
from lairchat.model.ids import DeviceId, SessionId, UserId, command_id
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.storage.answers import store_answers
from lairchat.storage.writer import Unit
from lairchat.wire import codec
from lairchat.wire.contract import Command, EventType, Overlap, Reply, Request, Stage
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import EventFrame, Ok
from tests.harness import Client, Server


class Say(Request, frozen=True):
    """What every command of these tests takes."""

    word: str = ""


class Heard(Reply, frozen=True):
    """What every command of these tests answers."""

    word: str


def command(name, **more):
    return Command(name=name, request=Say, reply=Heard, doc="Is tested.", **more)


ENTER = command("test.enter", stage=Stage.GREETED, overlap=Overlap.EXCLUSIVE)
ANSWER = command("test.answer")
READ = command("test.read")
WRITE = command("test.write", overlap=Overlap.WRITE)
SUBMIT = command("test.submit", overlap=Overlap.WRITE)
KEYED = command("test.keyed", overlap=Overlap.WRITE, keyed=True)
OTHER = command("test.other", overlap=Overlap.WRITE, keyed=True)
LEAVE = command("test.leave", overlap=Overlap.EXCLUSIVE)
MODERATE = command("test.moderate", role=ServerRole.MODERATOR)
DEAR = command("test.dear", cost=5)
WORD = EventType(name="test.word", body=Heard, doc="A word was said.")


def enter(call, request):
    """Log in without any question: ``user role``."""
    user, role = (request.word or "1 USER").split()

    def after(hub):
        session = Session(SessionId(1), UserId(int(user)), DeviceId(1), "x", ServerRole[role])
        hub.attach(call.peer, session, [7])
        # Whatever follows the login comes after its answer.
        hub.tell(session.user, event_frame(WORD.name, Heard(word="welcome")))

    return Write(lambda _connection: Done(Heard(word=request.word), after))


class Shout(Unit):
    """A unit that answers by itself, as message.send does."""

    def __init__(self, call, word):
        self.call, self.word = call, word

    def run(self, connection):
        connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": self.word})

    def finish(self, error):
        frame = codec.encode(Ok(id=self.call.id, body=msgspec.Raw(body(Heard(word=self.word)))))
        event = event_frame(WORD.name, Heard(word=self.word))
        self.call.kernel.hub.publish(7, event, self.call.peer, frame)
        self.call.peer.ended(Overlap.WRITE)


def body(reply):
    return codec.encode_body(reply)


def insert(connection, word):
    connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})


class Case(TestCase):
    rates: Any = None

    def setUp(self):
        self.handlers: dict[Command[Any, Any], Callable[..., Any]] = {
            ENTER: enter,
            ANSWER: lambda _call, request: Answer(Heard(word=request.word)),
            READ: lambda _call, request: Read(lambda _c: Heard(word=request.word)),
            WRITE: self.write,
            KEYED: self.write,
            OTHER: self.write,
            SUBMIT: lambda call, request: Submit(Shout(call, request.word)),
            LEAVE: lambda call, _request: Write(
                lambda _connection: Done(
                    Heard(word="bye"),
                    lambda hub: hub.close_sessions(
                        call.session.user, lambda _session: True, "LC-AUTH-TOKEN", "over"
                    ),
                )
            ),
            MODERATE: lambda _call, request: Answer(Heard(word=request.word)),
            DEAR: lambda _call, request: Answer(Heard(word=request.word)),
        }
        self.start()

    def start(self, *more):
        self.server = Server(
            [Feature(name="test", handlers=self.handlers, events=(WORD,)), *more],
            rates=self.rates,
        )
        self.server.change(lambda connection: connection.execute(text("CREATE TABLE words (word)")))
        self.client = self.enter()

    def enter(self, who="1 USER"):
        client = Client(self.server)
        client.ask(ENTER, word=who)
        client.forget()
        return client

    def handle(self, command, handler):
        """Start anew with another handler."""
        self.handlers[command] = handler
        self.start()

    def write(self, _call, request):
        def change(connection):
            insert(connection, request.word)
            return Done(Heard(word=request.word))

        return Write(change)

    def words(self):
        return self.server.look(
            lambda connection: [row[0] for row in connection.execute(text("SELECT * FROM words"))]
        )

    def refused(self, command, *arguments, client=None, **more):
        return self.assertRaises(Refusal, (client or self.client).ask, command, *arguments, **more)

    def order(self, client=None):
        """Return the words of answers and events in the order in which they came."""
        found = []
        for frame in (client or self.client).frames:
            if isinstance(frame, Ok):
                found.append(codec.decode_body(Heard, frame.body).word)
            elif isinstance(frame, EventFrame):
                found.append("*" + codec.decode_body(Heard, frame.body).word)
            else:
                found.append(frame.code)
        return found


class PlanTests(Case):
    def test_every_kind_of_plan_is_carried_out(self):
        for one in (ANSWER, READ, WRITE, SUBMIT, KEYED):
            self.assertEqual(self.client.ask(one, word=one.name).word, one.name)
        self.assertEqual(self.words(), ["test.write", "test.submit", "test.keyed"])

    def test_a_coroutine_may_wait_and_then_plan(self):
        waiting = Deferred()

        async def patient(_call, request):
            return Answer(Heard(word=request.word + await waiting))

        self.handle(ANSWER, patient)
        request = self.client.give(ANSWER, word="a")
        self.server.settle()
        self.assertEqual(self.client.frames, [])
        waiting.callback("b")
        self.server.settle()
        self.assertEqual(self.client.answer(request).word, "ab")

    def test_a_coroutine_may_plan_a_unit_too(self):
        async def shout(call, request):
            return Submit(Shout(call, request.word))

        self.handle(SUBMIT, shout)
        self.assertEqual(self.client.ask(SUBMIT, word="a").word, "a")

    def test_what_happens_after_a_write_happens_after_its_answer(self):
        def write(_call, _request):
            return Write(
                lambda _connection: Done(
                    Heard(word="done"),
                    lambda hub: hub.tell(UserId(1), event_frame(WORD.name, Heard(word="told"))),
                )
            )

        self.handle(WRITE, write)
        self.client.ask(WRITE)
        self.assertEqual(self.order(), ["done", "*told"])

    def test_a_login_is_answered_before_anything_else_is_said(self):
        client = Client(self.server)
        client.ask(ENTER, word="2 USER")
        self.assertEqual(self.order(client), ["2 USER", "*welcome"])

    def test_replies_keep_the_order_of_the_rooms_events(self):
        other = self.enter("2 USER")
        for word in "abc":
            self.client.give(SUBMIT, word=word)
            other.give(SUBMIT, word=word.upper())
        self.server.settle()
        self.assertEqual(self.order(), ["a", "*A", "b", "*B", "c", "*C"])
        self.assertEqual(self.order(other), ["*a", "A", "*b", "B", "*c", "C"])
        self.assertEqual(self.client.writes, 1)

    def test_reads_see_this_connections_earlier_writes(self):
        def count(_call, _request):
            return Read(
                lambda connection: Heard(
                    word=str(connection.execute(text("SELECT count(*) FROM words")).scalar())
                )
            )

        self.handle(READ, count)
        self.client.give(WRITE, word="a")
        self.client.give(SUBMIT, word="b")
        request = self.client.give(READ)
        self.server.settle()
        self.assertEqual(self.client.answer(request).word, "2")

    def test_what_is_no_plan_is_a_fault_of_ours(self):
        for nonsense in (None, "text"):
            self.handle(ANSWER, lambda _call, _request, nonsense=nonsense: nonsense)
            self.assertEqual(self.refused(ANSWER).code, "LC-INTERNAL")
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class GateTests(Case):
    def test_unknown_commands(self):
        request = self.client.give_raw("test.unknown", body(Say()))
        self.server.settle()
        refusal = self.assertRaises(Refusal, self.client.answer, request)
        self.assertEqual((refusal.code, refusal.field), ("LC-COMMAND-UNKNOWN", "$.do"))

    def test_every_command_has_its_stage(self):
        stranger = Client(self.server)
        for one in self.handlers:
            client = stranger if one.stage is Stage.READY else self.client
            refusal = self.refused(one, client=client)
            self.assertEqual((refusal.code, refusal.field), ("LC-STAGE", "$.do"))
        self.assertEqual(self.words(), [])

    def test_roles(self):
        self.assertIsInstance(self.refused(MODERATE), refusals.Denied)
        moderator = self.enter("2 MODERATOR")
        self.assertEqual(moderator.ask(MODERATE, word="x").word, "x")

    def test_arguments(self):
        for arguments in (b"\x81\xa4word\x01", b"\x81\xa1x\x01", b"\x82\xa1a\x01\xa1a\x01"):
            request = self.client.give_raw(ANSWER.name, arguments, command=ANSWER)
            self.server.settle()
            refusal = self.assertRaises(Refusal, self.client.answer, request)
            self.assertRegex(refusal.code, "^LC-(ARGS|DECODE)")
        self.assertEqual(self.client.ask(ANSWER, word="still here").word, "still here")

    def test_arguments_inside_of_arguments_blame_the_caller_too(self):
        def look_inside(_call, _request):
            raise ProtocolError("LC-ARGS", field="$.body")

        self.handle(ANSWER, look_inside)
        refusal = self.refused(ANSWER)
        self.assertEqual((refusal.code, refusal.field), ("LC-ARGS", "$.body"))

    def test_a_stopping_server_takes_nothing_new_and_finishes_what_it_has(self):
        request = self.client.give(WRITE, word="a")
        self.server.kernel.close()
        refusal = self.refused(WRITE, word="b")
        self.assertIsInstance(refusal, refusals.ShuttingDown)
        self.assertGreater(refusal.retry_after, 0)
        self.assertEqual(self.client.answer(request).word, "a")
        self.assertEqual(self.words(), ["a"])

    def test_a_second_login_in_one_breath_is_refused_when_its_turn_comes(self):
        client = Client(self.server)
        first, second = client.give(ENTER, word="2 USER"), client.give(ENTER, word="3 USER")
        self.server.settle()
        self.assertEqual(client.answer(first).word, "2 USER")
        self.assertEqual(self.assertRaises(Refusal, client.answer, second).code, "LC-STAGE")
        self.assertEqual(client.peer.session.user, 2)
        self.assertFalse(self.server.hub.online(3))


class RateTests(Case):
    rates = {
        "command": Rate(burst=10, per_second=2),
        "message": Rate(burst=1, per_second=1),
    }

    def spend(self, client, tokens):
        for _ in range(tokens):
            client.ask(ANSWER)

    def test_a_member_has_a_burst_and_a_refill(self):
        self.spend(self.client, 10)
        refusal = self.refused(ANSWER)
        self.assertIsInstance(refusal, refusals.RateLimited)
        self.assertEqual(self.server.kernel.measures.limited.counts["command"], 1)
        self.assertAlmostEqual(refusal.retry_after, 0.5)
        self.server.wait(0.5)
        self.spend(self.client, 1)
        self.refused(ANSWER)

    def test_a_stranger_that_is_gone_leaves_nothing(self):
        stranger = Client(self.server)
        before = len(self.server.throttle)
        stranger.give(ENTER, word="3 USER")
        self.assertEqual(len(self.server.throttle), before + 1)
        stranger.disconnect()
        self.assertEqual(len(self.server.throttle), before)

    def test_a_member_has_one_allowance_on_all_connections(self):
        again, other = self.enter(), self.enter("2 USER")
        self.spend(self.client, 5)
        self.spend(again, 5)
        self.assertIsInstance(self.refused(ANSWER, client=again), refusals.RateLimited)
        self.spend(other, 10)
        self.assertEqual(self.server.kernel.measures.limited.counts["command"], 1)

    def test_other_rates_count_at_once_and_what_was_used_still_counts(self):
        self.spend(self.client, 10)
        self.server.kernel.change_rates(
            {**self.rates, "command": Rate(burst=3, per_second=1)}  # and DEAR costs 3 now, not 5
        )
        self.refused(ANSWER)
        self.server.wait(60)
        self.spend(self.client, 3)
        self.refused(ANSWER)
        self.server.wait(60)
        self.client.ask(DEAR)
        self.refused(ANSWER)

    def test_dear_commands_cost_more(self):
        self.client.ask(DEAR)
        self.client.ask(DEAR)
        self.assertAlmostEqual(self.refused(DEAR).retry_after, 2.5)

    def test_a_small_burst_makes_dear_commands_rare_and_not_impossible(self):
        self.rates = {
            "command": Rate(burst=1, per_second=1),
            "message": Rate(burst=1, per_second=1),
        }
        self.start()
        self.client.ask(DEAR)
        self.assertAlmostEqual(self.refused(DEAR).retry_after, 1.0)
        self.server.wait(1)
        self.client.ask(DEAR)

    def start(self, *more):
        super().start(*more)
        self.server.throttle._arrivals.clear()

    def test_strangers_are_limited_by_connection(self):
        self.handlers[ENTER] = lambda _call, _request: Answer(Heard(word="no"))
        self.start()
        for client in (Client(self.server), Client(self.server)):
            for _ in range(10):
                client.ask(ENTER)
            self.assertIsInstance(self.refused(ENTER, client=client), refusals.RateLimited)


class RepeatTests(Case):
    def test_a_repeat_gets_the_first_answer_and_nothing_happens_again(self):
        key = self.client.new_key()
        self.assertEqual(self.client.ask(KEYED, key, word="a").word, "a")
        self.assertEqual(self.client.ask(KEYED, key, word="a").word, "a")
        self.assertEqual(self.client.ask(KEYED, key, word="changed").word, "a")
        self.assertEqual(self.words(), ["a"])

    def test_a_repeat_in_the_same_group_too(self):
        key = self.client.new_key()
        requests = [self.client.give(KEYED, key, word="a") for _ in range(3)]
        self.server.settle()
        self.assertEqual([self.client.answer(request).word for request in requests], ["a"] * 3)
        self.assertEqual(self.words(), ["a"])

    def test_what_follows_the_first_time_does_not_follow_the_second(self):
        told = []

        def write(_call, request):
            return Write(lambda _c: Done(Heard(word=request.word), lambda _hub: told.append(1)))

        self.handle(KEYED, write)
        key = self.client.new_key()
        for _ in range(2):
            self.client.ask(KEYED, key, word="a")
        self.assertEqual(told, [1])

    def test_a_key_is_for_one_command(self):
        key = self.client.new_key()
        self.client.ask(KEYED, key, word="a")
        refusal = self.refused(OTHER, key, word="a")
        self.assertIsInstance(refusal, refusals.IdConflict)
        self.assertEqual(refusal.field, "$.key")

    def test_a_key_of_a_message_is_not_for_another_command(self):
        # The log keeps a message's answer without a body: its place says it all.
        key = self.client.new_key()
        row = (1, key, 7, 1, self.server.now(), None)
        self.server.change(lambda connection: store_answers(connection, [row]))
        self.assertIsInstance(self.refused(KEYED, key), refusals.IdConflict)

    def test_a_refusal_is_not_kept(self):
        outcomes = [refusals.Denied(), None]

        def write(_call, request):
            def change(_connection):
                outcome = outcomes.pop(0)
                if outcome is not None:
                    raise outcome
                return Done(Heard(word=request.word))

            return Write(change)

        self.handle(KEYED, write)
        key = self.client.new_key()
        self.assertIsInstance(self.refused(KEYED, key), refusals.Denied)
        self.assertEqual(self.client.ask(KEYED, key, word="now").word, "now")

    def test_a_key_is_needed_where_it_is_needed_and_ignored_elsewhere(self):
        request = self.client.give_raw(KEYED.name, body(Say()), None, KEYED)
        self.server.settle()
        refusal = self.assertRaises(Refusal, self.client.answer, request)
        self.assertEqual((refusal.code, refusal.field), ("LC-ARGS", "$.key"))
        key = self.client.new_key()
        for word in "ab":
            self.assertEqual(self.client.ask(WRITE, key, word=word).word, word)

    def test_keys_from_long_ago_or_from_the_future_are_refused(self):
        now = self.server.now()
        kept = limits.ANSWERS_KEPT_SECONDS * 1000
        ahead = limits.COMMAND_ID_SKEW_SECONDS * 1000
        for at, error in (
            (now - kept - 1, refusals.IdOld),
            (now + ahead + 1, refusals.IdFuture),
        ):
            self.assertIsInstance(self.refused(KEYED, command_id(at, bytes(10))), error)
        for at in (now - kept, now + ahead):
            self.client.ask(KEYED, command_id(at, bytes(10)))


class FaultTests(Case):
    """What nobody expected: the caller is told an incident, the log the rest."""

    def fault(self, command):
        refusal = self.refused(command)
        (failure,) = self.flushLoggedErrors(RuntimeError)
        self.assertEqual(refusal.code, "LC-INTERNAL")
        self.assertNotIn("details", refusal.text)
        self.assertIn("details", str(failure.value))
        # The connection lives on, and nothing waits for the command any more.
        self.assertEqual(self.client.peer.inflight, 0)
        self.assertEqual(self.client.ask(SUBMIT, word="x").word, "x")

    def boom(self, *_arguments):
        raise RuntimeError("details")

    async def late_boom(self, *_arguments):
        raise RuntimeError("details")

    def test_in_a_handler(self):
        self.handle(ANSWER, self.boom)
        self.fault(ANSWER)

    def test_in_a_coroutine(self):
        self.handle(ANSWER, self.late_boom)
        self.fault(ANSWER)

    def test_in_a_query(self):
        self.handle(READ, lambda _call, _request: Read(self.boom))
        self.fault(READ)

    def test_in_a_change_and_nothing_of_it_stays(self):
        def change(connection):
            insert(connection, "half")
            raise RuntimeError("details")

        self.handle(WRITE, lambda _call, _request: Write(change))
        self.fault(WRITE)
        self.assertEqual(self.words(), ["x"])

    def test_in_what_follows_a_commit_the_caller_is_answered_nevertheless(self):
        self.handle(
            WRITE, lambda _call, request: Write(lambda _c: Done(Heard(word="done"), self.boom))
        )
        self.assertEqual(self.client.ask(WRITE).word, "done")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.client.peer.inflight, 0)

    def test_an_answer_that_does_not_fit_a_frame(self):
        huge = Heard(word="x" * limits.FRAME_BYTES)
        plans = {
            ANSWER: Answer(huge),
            READ: Read(lambda _connection: huge),
            WRITE: Write(lambda connection: (insert(connection, "no"), Done(huge))[1]),
        }
        for one, plan in plans.items():
            self.handle(one, lambda _call, _request, plan=plan: plan)
            self.assertEqual(self.refused(one).code, "LC-INTERNAL")
            self.assertEqual(len(self.flushLoggedErrors()), 1)
            self.assertEqual(self.client.peer.inflight, 0)
        self.assertEqual(self.words(), [])

    def test_a_refusal_is_no_fault(self):
        for one, plan in (
            (READ, Read),
            (WRITE, Write),
        ):

            def refuse(_connection):
                raise refusals.Banned

            self.handle(one, lambda _call, _request, plan=plan, refuse=refuse: plan(refuse))
            self.assertIsInstance(self.refused(one), refusals.Banned)

    def test_one_members_fault_is_not_the_neighbours(self):
        self.handle(
            WRITE,
            lambda _call, request: Write(
                lambda connection: (
                    self.boom()
                    if request.word == "bad"
                    else (insert(connection, request.word), Done(Heard(word=request.word)))[1]
                )
            ),
        )
        other = self.enter("2 USER")
        requests = [
            (client, client.give(WRITE, word=word), word)
            for client, word in (
                (other, "a"),
                (self.client, "bad"),
                (other, "b"),
                (self.client, "c"),
            )
        ]
        self.server.settle()
        for client, request, word in requests:
            if word != "bad":
                self.assertEqual(client.answer(request).word, word)
        self.assertEqual(self.words(), ["a", "b", "c"])
        self.assertTrue(self.flushLoggedErrors(RuntimeError))


class EndTests(Case):
    def test_the_answer_to_a_logout_comes_before_the_goodbye(self):
        request = self.client.give(LEAVE)
        self.server.settle()
        self.assertEqual(self.client.answer(request).word, "bye")
        self.assertEqual(self.client.closed, "LC-AUTH-TOKEN")

    def test_what_came_behind_it_is_neither_done_nor_answered(self):
        self.client.give(LEAVE)
        self.client.give(WRITE, word="late")
        self.client.give(READ)
        self.server.settle()
        self.client.give(WRITE, word="later")
        self.client.give(ENTER)
        self.server.settle()
        self.assertEqual(self.words(), [])
        self.assertEqual(self.order(), ["bye"])

    def test_on_a_closed_connection_nothing_is_begun(self):
        begun = []
        self.client.disconnect()
        self.patch(self.server.kernel._entries[ENTER.name], "handler", begun.append)
        self.client.give(ENTER)
        self.assertEqual(begun, [])

    def test_a_client_that_goes_away_is_not_written_to(self):
        self.client.give(WRITE, word="a")
        self.client.give(READ)
        self.client.disconnect()
        self.server.settle()
        self.assertEqual(self.words(), ["a"])
        self.assertEqual(self.client.frames, [])


class SeamTests(Case):
    """What features fill for each other."""

    def test_rooms_joining_and_upkeep_ask_every_feature(self):
        done = []
        features = [
            Feature(name="none"),
            Feature(
                name="one",
                attached=lambda _connection, user: [user + 1],
                joining=lambda _connection, room, user: done.append(("joining", room, user)),
                upkeep=lambda _connection, now, live: done.append(("upkeep", now, live)),
                registered=lambda _connection, user, name, now: None,
            ),
            Feature(
                name="two",
                attached=lambda _connection, user: [user + 2],
                registered=lambda _connection, user, name, now: done.append,
            ),
        ]
        server = Server(features)
        kernel = server.kernel
        self.assertEqual(kernel.rooms_of(None, UserId(5)), [6, 7])
        kernel.joining(None, 3, UserId(5))
        server.upkeep()
        self.assertEqual(done, [("joining", 3, 5), ("upkeep", server.now(), [])])
        (after,) = kernel.registered(None, UserId(5), "alice", 0)
        after("told")
        self.assertEqual(done[-1], "told")

    def test_a_feature_hears_of_the_finished_kernel(self):
        heard = []
        feature = Feature(name="one", composed=lambda kernel: heard.append(kernel.table))
        server = Server([feature])
        self.assertEqual(heard, [server.kernel.table])

    def test_a_feature_that_keeps_somebody_out(self):
        def joining(_connection, _room, _user):
            raise refusals.Banned

        server = Server([Feature(name="moderation", joining=joining)])
        self.assertRaises(refusals.Banned, server.kernel.joining, None, 3, UserId(5))

    def test_the_table_has_what_the_features_have(self):
        table = self.server.kernel.table
        self.assertIs(table.command("test.read"), READ)
        self.assertIs(table.event("test.word"), WORD)
        feature = self.server.kernel.features[0]
        self.assertEqual(
            handlers_of(self.server.kernel.features),
            {one.name: feature for one in self.handlers},
        )

    def test_only_a_call_of_somebody_logged_in_has_a_session(self):
        def look(call, request):
            return Answer(Heard(word=call.session.name))

        self.handle(ANSWER, look)
        self.assertEqual(self.client.ask(ANSWER).word, "x")
        self.handlers[ENTER] = look
        self.server = Server([Feature(name="test", handlers=self.handlers)])
        refusal = self.refused(ENTER, client=Client(self.server))
        self.assertEqual(refusal.code, "LC-INTERNAL")
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)


class BrokenWireTests(Case):
    def test_a_wire_that_breaks_holds_nobody_up(self):
        other = self.enter("2 USER")

        def write(_data):
            raise RuntimeError("a bug in a transport")

        self.client.write = write
        other.give(SUBMIT, word="a")
        self.server.settle()
        self.assertEqual(self.order(other), ["a"])
        self.assertFalse(self.server.hub.online(1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
