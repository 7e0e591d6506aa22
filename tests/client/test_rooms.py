"""Rooms: complete and in order, whatever the transport and the connection do."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.defer import Deferred
from twisted.python.monkey import MonkeyPatcher

from lairchat.client import effects, inputs
from lairchat.client import rooms as client_rooms
from lairchat.client.rooms import CATCH_UP_EVENTS
from lairchat.core.throttle import Rate
from lairchat.features.messages import messages as wire
from lairchat.features.messages.messages import GAP, Gap, LogEvent
from lairchat.features.rooms import messages as wire_rooms
from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.objects import EventFrame
from tests.client.network import KEY_PACKAGES, MEMORY, Network, NetworkTest, Person
from tests.harness import PLENTY


def is_event(frame: bytes, name: str = "message") -> bool:
    decoded = codec.decode_server(frame[4:])
    return isinstance(decoded, EventFrame) and decoded.name == name


def texts(*numbers):
    return [str(number) for number in numbers]


class TwoPeople(NetworkTest):
    def setUp(self):
        super().setUp()
        self.alice = self.person("alice").enter()
        self.bob = self.person("bob").enter()

    @property
    def alices(self):
        return next(
            pipe
            for pipe in self.network.pipes
            if pipe.client.protocol is self.alice.link.connection
        )

    def bob_says(self, *numbers):
        for number in numbers:
            self.bob.say(str(number))
            self.settle()


class Tampered(TwoPeople):
    def tampered(self, how):
        def tamper(frames):
            events = [frame for frame in frames if is_event(frame)]
            return [frame for frame in frames if not is_event(frame)] + how(events)

        self.alices.tamper = tamper

    def test_withheld(self):
        seen = []

        def drop_some(events):
            seen.extend(events)
            return [event for event in events if len(seen) % 3 == 0]

        self.tampered(drop_some)
        self.bob_says(*range(9))
        assert self.alice.texts() == texts(*range(9))

    def test_doubled(self):
        self.tampered(lambda events: [event for event in events for _ in range(3)])
        self.bob_says(*range(5))
        assert self.alice.texts() == texts(*range(5))

    def test_reordered(self):
        self.tampered(lambda events: events[::-1])
        for number in range(9):
            self.bob.say(str(number))
        self.settle()
        self.bob_says(9)
        assert self.alice.texts() == texts(*range(10))

    def test_repeated_later(self):
        kept = []

        def again(events):
            kept.extend(events)
            return events + kept[:2]

        self.tampered(again)
        self.bob_says(*range(5))
        assert self.alice.texts() == texts(*range(5))

    def test_invented(self):
        """An event far ahead of the log is asked for once, not for ever."""
        room = self.alice.lobby
        rooms = self.alice.link.rooms
        invented = LogEvent(
            room=room, seq=99, at=0, user=0, name="eve", device=0, kind="app", id=b"", body=b""
        )
        said = len(self.alices.said)
        rooms.event(invented)
        self.settle()
        assert len(self.alices.said) <= said + 2
        self.bob_says(0)
        assert self.alice.texts() == ["0"]
        assert rooms.heads[room] == 3

    def test_own_message_after_a_withheld_one(self):
        self.tampered(lambda events: [])
        self.bob_says(0, 1)
        ticket = self.alice.say("mine")
        self.settle()
        assert self.alice.texts() == ["0", "1", "mine"]
        assert ticket in self.alice.acknowledged

    def test_own_message_while_a_gap_is_read(self):
        self.tampered(lambda events: [])
        self.bob_says(0)
        self.alices.tamper = None
        self.bob.say("1")
        self.alice.say("mine")
        self.settle()
        self.bob_says(2)
        assert self.alice.texts() == ["0", "1", "mine", "2"]

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), min_size=1, max_size=12
        )
    )
    def test_anything(self, steps):
        network = Network()
        with_files = Path(tempfile.mkdtemp(dir=self.root))
        alice = Person(network, with_files / "alice", "alice").enter()
        bob = Person(network, with_files / "bob", "bob").enter()
        pipe = network.pipes[0]
        held = []
        said = 0

        def tamper(frames):
            events = [frame for frame in frames if is_event(frame)]
            rest = [frame for frame in frames if not is_event(frame)]
            how = steps[said % len(steps)][0]
            if how == 0:
                return rest + events
            if how == 1:
                held.extend(events)
                return rest
            if how == 2:
                released, held[:] = [*held, *events], []
                return rest + released[::-1]
            return rest + events + events

        pipe.tamper = tamper
        for _how, count, at_once in steps:
            for _ in range(count):
                bob.say(str(said))
                said += 1
                if not at_once:
                    network.settle()
            network.settle()
        pipe.tamper = None
        bob.say(str(said))
        network.settle()
        assert alice.texts() == texts(*range(said + 1))
        alice.leave()
        bob.leave()
        network.server.close()


class Gaps(TwoPeople):
    def gap(self, *rooms):
        data = codec.encode(EventFrame(GAP.name, msgspec.Raw(codec.encode_body(Gap(list(rooms))))))
        self.alices.client.protocol.dataReceived(data)
        self.settle()

    def test_the_server_skips_a_room(self):
        self.alices.tamper = lambda frames: [one for one in frames if not is_event(one)]
        self.bob_says(0, 1, 2)
        assert self.alice.texts() == []
        self.gap(self.alice.lobby, 4711)
        assert self.alice.texts() == texts(0, 1, 2)

    def test_more_than_a_page(self):
        self.alices.tamper = lambda frames: [one for one in frames if not is_event(one)]
        for number in range(250):
            self.bob.say(str(number))
        self.settle()
        self.gap(self.alice.lobby)
        assert self.alice.texts() == texts(*range(250))

    def test_twice_at_once_and_events_meanwhile(self):
        self.alices.tamper = lambda frames: [one for one in frames if not is_event(one)]
        self.bob_says(0, 1)
        self.alices.tamper = None
        lobby = self.alice.lobby
        self.alice.link.rooms.gap([lobby])
        self.alice.link.rooms.gap([lobby])
        self.bob.say("2")
        self.settle()
        assert self.alice.texts() == texts(0, 1, 2)

    def test_the_room_is_left_meanwhile(self):
        lobby = self.alice.lobby
        self.alice.link.rooms.gap([lobby])
        self.alice.link.rooms.left(lobby)
        self.settle()
        assert lobby not in self.alice.link.rooms.heads

    def test_put_out_meanwhile(self):
        room = self.bob.request(effects.Create, "ops", "public").room.id
        self.alice.request(effects.Join, "ops")
        self.bob.request(effects.Kick, room, "alice", "")
        self.alice.link.rooms.heads[room] = 1
        self.alice.link.rooms.gap([room])
        self.settle()
        assert room not in self.alice.link.rooms._early

    def test_the_connection_ends_meanwhile(self):
        self.alices.tamper = lambda frames: [one for one in frames if not is_event(one)]
        self.bob_says(0)
        self.alice.link.rooms.gap([self.alice.lobby])
        self.alices.cut()
        self.network.wait(2)
        assert self.alice.texts() == ["0"]
        self.bob_says(1)
        assert self.alice.texts() == ["0", "1"]

    def test_a_fault_of_ours(self):
        self.alice.link.rooms._ask = lambda *_: 1 / 0
        self.alice.link.rooms.gap([self.alice.lobby])
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert not self.alice.link.rooms._early


class RatedReading(TwoPeople):
    options = {"rates": {**PLENTY, "command": Rate(burst=12, per_second=1)}}

    def test_a_gap_is_read_when_it_is_time(self):
        self.alices.tamper = lambda frames: [one for one in frames if not is_event(one)]
        for _ in range(14):
            self.alice.refs += 1
            self.alice.do(effects.ListRooms(self.alice.refs))
        self.bob_says(0, 1)
        self.alices.tamper = None
        self.bob_says(2)
        assert self.alice.texts() == []
        self.network.wait(3)
        assert self.alice.texts() == texts(0, 1, 2)

    def test_unless_it_is_read_otherwise_before(self):
        for _ in range(14):
            self.alice.refs += 1
            self.alice.do(effects.ListRooms(self.alice.refs))
        self.alice.link.rooms.gap([self.alice.lobby])
        self.settle()
        self.alice.link.rooms.left(self.alice.lobby)
        self.network.wait(3)
        assert not self.alice.link.rooms._early


class CatchingUp(TwoPeople):
    def missed(self, count):
        self.alices.cut()
        for number in range(count):
            self.bob.say(str(number))
        self.network.wait(2)

    def test_nothing(self):
        self.alices.cut()
        self.network.wait(2)
        assert self.alice.last(inputs.CaughtUp).count == 0

    def test_a_few(self):
        self.missed(3)
        assert self.alice.texts() == texts(0, 1, 2)
        assert self.alice.last(inputs.CaughtUp).count == 3
        kinds = self.alice.kinds()
        synced = len(kinds) - kinds[::-1].index("RoomsSynced")
        assert kinds[synced:] == ["MessageArrived"] * 3 + ["CaughtUp"]

    def test_the_server_keeps_the_count_of_what_is_unread(self):
        self.missed(3)
        lobby = self.alice.last(inputs.RoomsSynced).rooms[0]
        assert (lobby.unread, lobby.head_seq) == (3, 5)

    def test_as_many_as_are_shown_one_by_one(self):
        self.missed(CATCH_UP_EVENTS)
        assert self.alice.texts() == texts(*range(CATCH_UP_EVENTS))
        assert not self.alice.of(inputs.HistoryPage)

    def test_too_many(self):
        self.missed(CATCH_UP_EVENTS + 1)
        assert len(self.alice.of(inputs.HistoryPage)) == 1
        page = self.alice.last(inputs.HistoryPage)
        assert (page.replace, page.older) == (True, True)
        assert self.alice.texts() == texts(*range(401, 501))
        assert self.alice.last(inputs.CaughtUp).count == CATCH_UP_EVENTS + 1
        assert not [
            one for one in self.alice.of(inputs.MessageArrived) if one.message.kind == "text"
        ]
        self.bob_says("live")
        assert self.alice.texts()[-1] == "live"

    def test_cut_again_and_again_while_catching_up(self):
        for limit in range(12):
            self.alices.cut()
            for number in range(80):
                self.bob.say(f"{limit}.{number}")
            self.network.limit = limit
            self.network.wait(2)
            self.network.limit = None
            self.network.wait(5)  # the third wait can take four seconds
        assert self.alice.texts() == [f"{a}.{b}" for a in range(12) for b in range(80)]

    def test_events_that_arrive_meanwhile_come_in_their_place(self):
        self.alices.cut()
        for number in range(120):
            self.bob.say(str(number))
        self.settle()
        while not self.alice.link.online:
            self.network.clock.advance(0.05)
        for number in range(120, 130):
            self.bob.say(str(number))
            self.network.clock.advance(0)
        self.settle()
        assert self.alice.texts() == texts(*range(130))

    def test_many_rooms(self):
        rooms = [
            self.bob.request(effects.Create, f"room{number}", "public").room.id
            for number in range(110)
        ]
        for number in range(110):
            self.alice.request(effects.Join, f"room{number}")
        self.alices.cut()
        for room in rooms:
            self.bob.say("news", room)
        self.network.wait(2)
        assert len(self.alice.last(inputs.RoomsSynced).rooms) == 111
        assert all(self.alice.texts(room) == ["news"] for room in rooms)

    def test_a_room_that_was_left_elsewhere(self):
        room = self.bob.request(effects.Create, "ops", "public").room.id
        self.alice.request(effects.Join, "ops")
        self.alices.cut()
        self.bob.request(effects.Kick, room, "alice", "")
        self.network.wait(2)
        assert room not in self.alice.link.rooms.heads
        assert [info.name for info in self.alice.last(inputs.RoomsSynced).rooms] == ["lobby"]


class JoinedWhileSyncing(TwoPeople):
    """A room that appears between the two questions of a sync is in its result."""

    def between(self, act):
        rooms = self.alice.link.rooms
        asked = rooms._ask

        def ask(command, request):
            if command.name == "message.sync":
                rooms._ask = asked
                act(rooms)
            return asked(command, request)

        rooms._ask = ask
        self.alices.cut()
        self.network.wait(2)

    def test_joined(self):
        info = self.bob.request(effects.Create, "ops", "public").room
        whole = wire_rooms.RoomInfo(
            room=info.id,
            name="ops",
            kind="room",
            access="public",
            posting="members",
            crypto="plain",
            topic="",
            members=1,
            head=1,
        )
        self.between(lambda rooms: rooms.joined(whole))
        names = {one.name for one in self.alice.last(inputs.RoomsSynced).rooms}
        assert names == {"lobby", "ops"}

    def test_left(self):
        room = self.alice.request(effects.Create, "den", "public").room.id
        self.between(lambda rooms: rooms.left(room))
        names = {one.name for one in self.alice.last(inputs.RoomsSynced).rooms}
        assert names == {"lobby"}


def log_event(room, seq, name="eve"):
    return LogEvent(
        room=room, seq=seq, at=0, user=0, name=name, device=0, kind="app", id=b"", body=b""
    )


class RoomsThatAreNotOurs(TwoPeople):
    """What comes of a room that this user is not in makes no room here."""

    def unknown(self, room):
        rooms = self.alice.link.rooms
        return room not in rooms.heads and room not in rooms.infos and room not in rooms._early

    def test_events_that_come_after_the_room_was_left(self):
        room = self.alice.request(effects.Create, "den", "public").room.id
        self.bob.request(effects.Join, "den")
        watched = []
        self.alice.link.watchers.append(lambda *line: watched.append(line))
        late = []

        def keep(frames):
            late.extend(frame for frame in frames if is_event(frame))
            return [frame for frame in frames if not is_event(frame)]

        self.alice.request(effects.SetRole, room, "bob", "owner")
        self.alices.tamper = keep
        self.bob.say("late", room)
        self.settle()
        self.alices.tamper = None
        self.alice.request(effects.Leave, room)
        watched.clear()
        arrived = len(self.alice.of(inputs.MessageArrived))
        assert late
        self.alice.link.connection.dataReceived(b"".join(late))
        self.settle()
        assert self.unknown(room)
        assert watched == []
        assert len(self.alice.of(inputs.MessageArrived)) == arrived
        # Entering again begins where the room stands then.
        self.alice.request(effects.Join, "den")
        self.bob.say("again", room)
        self.settle()
        assert self.alice.texts(room) == ["again"]

    def test_invented_rooms(self):
        for room in range(1_000, 1_100):
            self.alice.link.rooms.event(log_event(room, 1))
        assert set(self.alice.link.rooms.heads) == {self.alice.lobby}

    def test_invented_rooms_while_it_is_asked_which_are_ours(self):
        self.patch(client_rooms, "ROOMS_TAKEN", 50)
        rooms = self.alice.link.rooms
        asked = rooms._ask

        def ask(command, request):
            for room in range(1_000, 1_100):
                rooms.event(log_event(room, 1))
            assert len(rooms._early) <= 50
            return asked(command, request)

        rooms._ask = ask
        self.alices.cut()
        self.network.wait(2)
        assert set(rooms.heads) == {self.alice.lobby}
        assert rooms._early == {}

    def test_events_of_a_room_before_it_is_known_to_be_ours(self):
        """They are shown once, in order, behind what the first answer says of the room."""
        room = self.bob.request(effects.Create, "ops", "public").room.id
        self.alice.request(effects.Join, "ops")
        rooms = self.alice.link.rooms
        rooms.forget()
        asked = rooms._ask

        def ask(command, request):
            if command.name == "room.mine":
                self.bob.say("meanwhile", room)
            return asked(command, request)

        rooms._ask = ask
        self.alices.cut()
        self.network.wait(2)
        head = rooms.heads[room]
        self.bob.say("after", room)
        self.settle()
        assert self.alice.texts(room) == ["after"]
        assert max(self.alice.shown[room]) == head + 1


class NeverEnding(TwoPeople):
    """A server whose pages lead nowhere, or never end, is asked a bounded number of times."""

    def asked(self, answer):
        """Count what is asked; answer(command, request, real) may answer instead."""
        rooms = self.alice.link.rooms
        real, names = rooms._ask, []

        def ask(command, request):
            names.append(command.name)
            assert len(names) < 300, "it asks for ever"
            return real(command, request).addCallback(lambda reply: answer(request, reply))

        rooms._ask = ask
        return names

    def sync(self):
        self.alices.cut()
        self.network.wait(2)

    def test_the_same_rooms_again_and_again(self):
        def answer(request, reply):
            if isinstance(reply, wire_rooms.RoomList | wire.Synced):
                return msgspec.structs.replace(reply, more=True)
            return reply

        names = self.asked(answer)
        self.sync()
        assert self.alice.link.rooms.synced
        assert names.count("room.mine") == names.count("message.sync") == 2

    def test_ever_new_rooms(self):
        self.patch(client_rooms, "ROOMS_TAKEN", 20)

        def answer(request, reply):
            if isinstance(reply, wire_rooms.RoomList):
                info = msgspec.structs.replace(reply.rooms[0] if reply.rooms else first[0])
                first.append(info)
                return wire_rooms.RoomList(
                    [msgspec.structs.replace(info, room=request.after + 1)], True
                )
            if isinstance(reply, wire.Synced):
                return wire.Synced([], more=False)
            return reply

        first: list = []
        self.asked(answer)
        self.sync()
        assert len(self.alice.link.rooms.infos) == 20

    def test_the_same_page_of_a_log_again_and_again(self):
        lobby = self.alice.lobby
        for again in (log_event(lobby, 1), log_event(4711, 99)):

            def answer(request, reply, again=again):
                return wire.Page(room=lobby, events=[again], more=True)

            rooms = self.alice.link.rooms
            real = rooms._ask
            names = self.asked(answer)
            rooms.gap([lobby])
            self.settle()
            assert names == ["message.history"]
            rooms._ask = real
            assert lobby not in rooms._early
        assert set(self.alice.link.rooms.heads) == {lobby}

    def test_events_without_end_while_the_log_is_not_answered(self):
        self.patch(client_rooms, "HELD_EVENTS", 10)
        lobby, rooms = self.alice.lobby, self.alice.link.rooms
        real, waiting = rooms._ask, Deferred()
        rooms._ask = lambda *_: waiting
        rooms.gap([lobby])
        for number in range(35):
            self.bob.say(str(number))
            self.settle()
            assert len(rooms._early[lobby]) <= 10
        rooms._ask = real
        real(wire.HISTORY, wire.History(lobby, after=rooms.heads[lobby], limit=10)).chainDeferred(
            waiting
        )
        self.settle()
        assert self.alice.texts() == texts(*range(35))


class Names(TwoPeople):
    def test_by_name(self):
        self.alice.request(effects.OpenDirect, "bob")
        rooms = self.alice.link.rooms
        assert rooms.by_name("#lobby") is rooms.by_name("LOBBY")
        assert rooms.by_name("@Bob").kind == "direct"
        assert rooms.by_name("bob") is None
        assert rooms.by_name("@lobby") is None

    def test_a_statement_about_a_room_that_is_not_known(self):
        lobby = self.alice.lobby
        del self.alice.link.rooms.infos[lobby]
        self.person("carol").enter()
        assert not self.alice.of(inputs.RoomChanged)[1:]


class Talking(RuleBasedStateMachine):
    """Two links and a server that is killed: nothing lost, nothing twice, order kept."""

    def __init__(self):
        super().__init__()
        self.fewer = MonkeyPatcher((limits, "KEY_PACKAGES", KEY_PACKAGES))
        self.fewer.patch()
        self.directory = tempfile.TemporaryDirectory(prefix="lair-test-", dir=MEMORY)
        root = Path(self.directory.name)
        self.network = Network(url=f"sqlite:///{root / 'lair.db'}")
        self.folk = [Person(self.network, root / name, name).enter() for name in ("alice", "bob")]
        self.lobby = self.folk[0].lobby
        self.said: dict[str, list[str]] = {"alice": [], "bob": []}
        self.number = 0

    def pipe_of(self, who):
        connection = self.folk[who].link.connection
        return next(
            (pipe for pipe in self.network.pipes if pipe.client.protocol is connection), None
        )

    @rule(who=st.integers(0, 1), count=st.integers(1, 4))
    def say(self, who, count):
        person = self.folk[who]
        if not person.of(inputs.RoomsSynced):
            return  # a program that has not been told of any room yet shows none to write in
        for _ in range(count):
            self.number += 1
            self.said[person.name].append(str(self.number))
            person.say(str(self.number), self.lobby)

    @rule(who=st.integers(0, 1))
    def drop(self, who):
        pipe = self.pipe_of(who)
        if pipe is not None:
            pipe.cut()

    @rule(who=st.integers(0, 1), frames=st.integers(0, 6))
    def drop_soon(self, who, frames):
        pipe = self.pipe_of(who)
        if pipe is not None:
            pipe.limit = pipe.frames + frames

    @rule(frames=st.integers(0, 12))
    def unreliable(self, frames):
        self.network.limit = frames or None

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 2.0, 20.0]))
    def wait(self, seconds):
        self.network.wait(seconds)

    @rule()
    def restart_the_server(self):
        self.network.settle()
        self.network.down()
        self.network.up()

    @rule(who=st.integers(0, 1))
    def restart_the_client(self, who):
        person = self.folk[who]
        person.leave()
        # The tickets of what is left change: it is known by its text from now on.
        other = Person(self.network, person.root, person.name, account=person.name)
        other.tickets = person.tickets
        for room, shown in person.shown.items():
            other.shown[room], other.order[room] = dict(shown), []
        other.link.start()
        self.folk[who] = other

    @invariant()
    def online_or_trying(self):
        assert all(person.link._living is not None for person in self.folk)

    def teardown(self):
        self.network.limit = None
        for pipe in self.network.pipes:
            pipe.limit = None
        self.network.wait(40)
        reader = Person(self.network, self.folk[0].root.parent / "reader", "reader").enter()
        log = []
        page = None
        while page is None or page.newer:
            reader.do(effects.FetchHistory(reader.lobby, after=log[-1].seq if log else 0))
            page = reader.last(inputs.HistoryPage)
            log.extend(page.messages)
        assert [one.seq for one in log] == list(range(1, len(log) + 1))
        for name, said in self.said.items():
            kept = [one.text for one in log if one.kind == "text" and one.sender == name]
            assert kept == said, f"{name} said {said}, the log has {kept}"
        for person in self.folk:
            assert person.link.online
            assert person.link.profile.outbox() == []
            lobby = person.lobby
            for seq in person.order[lobby]:
                assert person.shown[lobby][seq].text == log[seq - 1].text
            assert person.link.rooms.heads[lobby] == len(log)
        for person in [*self.folk, reader]:
            person.leave()
        self.network.wait(5)
        self.network.down()
        self.directory.cleanup()
        self.fewer.restore()


TestTalking = Talking.TestCase
TestTalking.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, database=None
)
