"""The log against a model of it: any history of appends, repeats, reads and purges."""

import hashlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lairchat.storage import log
from tests.storage.support import Inline, command

ROOMS = (1, 2, 2**40)
USERS = {7: (70, 71), 8: (80,)}
rooms = st.sampled_from(ROOMS)
kinds = st.sampled_from([1, 1, 1, 2, 3, 5, 6])
bodies = st.binary(max_size=40)
devices = st.sampled_from([(user, device) for user in USERS for device in USERS[user]])


class LogMachine(RuleBasedStateMachine):
    """events: what each room must hold, as [entry, body or None]."""

    def __init__(self) -> None:
        super().__init__()
        self.inline = Inline()
        self.events: dict[int, list[list[Any]]] = {room: [] for room in ROOMS}
        self.answers: dict[tuple[int, bytes], tuple[int, int]] = {}
        self.cursors: dict[tuple[int, int, int], int] = {}
        self.number = 0
        for room in ROOMS:
            self.inline.write(lambda connection, room=room: log.create_head(connection, room))

    def teardown(self) -> None:
        self.inline.close()

    def send(self, connection: Any, entries: list[log.Entry]) -> list[tuple[int, int]]:
        """Do as the send path does: known commands are answered, the others appended."""
        keys = [(entry.device, entry.id) for entry in entries]
        found = log.find_answers(connection, keys)
        fresh = [entry for entry, key in zip(entries, keys, strict=True) if key not in found]
        numbers = iter(log.append(connection, fresh))
        seqs = {(entry.device, entry.id): (entry.room, next(numbers)) for entry in fresh}
        log.store_answers(
            connection,
            [(e.device, e.id, e.room, seqs[e.device, e.id][1], e.at, None) for e in fresh],
        )
        return [seqs.get(key) or (found[key].room, found[key].seq) for key in keys]

    @rule(data=st.lists(st.tuples(rooms, devices, kinds, bodies), min_size=1, max_size=12))
    def append(self, data: list[Any]) -> None:
        entries = []
        for room, (user, device), kind, body in data:
            self.number += 1
            identifier = command(self.number)
            entries.append(log.Entry(room, user, device, kind, identifier, body, self.number))
        places = self.inline.write(lambda connection: self.send(connection, entries))
        for entry, (room, seq) in zip(entries, places, strict=True):
            self.events[room].append([entry, entry.body])
            assert seq == len(self.events[room])
            self.answers[entry.device, entry.id] = (room, seq)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        if not self.answers:
            return
        keys = data.draw(st.lists(st.sampled_from(sorted(self.answers)), unique=True, max_size=6))
        repeats = []
        for device, identifier in keys:
            room, seq = self.answers[device, identifier]
            repeats.append(self.events[room][seq - 1][0])
        places = self.inline.write(lambda connection: self.send(connection, repeats))
        assert places == [self.answers[key] for key in keys]

    @rule(room=rooms, seqs=st.lists(st.integers(0, 40)))
    def purge(self, room: int, seqs: list[int]) -> None:
        events = self.events[room]
        purged = 0
        for seq in set(seqs):
            if 1 <= seq <= len(events) and events[seq - 1][1] is not None:
                events[seq - 1][1] = None
                purged += 1
        assert self.inline.write(lambda connection: log.purge(connection, room, seqs)) == purged

    @rule(place=devices, room=rooms, seq=st.integers(0, 50))
    def read_up_to(self, place: tuple[int, int], room: int, seq: int) -> None:
        user, device = place
        here = self.cursors.get((user, device, room), 0)
        wanted = max(here, min(seq, len(self.events[room])))
        moved = self.inline.write(
            lambda connection: log.move_cursor(connection, user, device, room, seq)
        )
        assert moved.seq == wanted
        self.cursors[user, device, room] = wanted

    @invariant()
    def rooms_hold_what_was_sent(self) -> None:
        for room, events in self.events.items():
            stored = self.inline.read(
                lambda connection, room=room: log.page(connection, room, after=0, limit=10_000)
            )
            assert [event.seq for event in stored] == list(range(1, len(events) + 1))
            for event, (entry, body) in zip(stored, events, strict=True):
                assert event[2:8] == (
                    entry.at,
                    entry.sender,
                    entry.device,
                    entry.kind,
                    entry.id,
                    body,
                )

    @invariant()
    def chains_verify(self) -> None:
        heads = self.inline.read(lambda connection: log.heads(connection, ROOMS))
        for room, events in self.events.items():
            chained = log.genesis(room)
            for seq, (entry, _) in enumerate(events, 1):
                body = hashlib.sha256(entry.body).digest()
                chained = log.link(chained, seq, entry.kind, entry.sender, body)
            assert heads[room] == (len(events), chained, self.messages(room, len(events)))
            assert (
                self.inline.read(lambda connection, room=room: log.verify(connection, room)) is None
            )

    @invariant()
    def unread_is_what_nobody_of_the_user_has_read(self) -> None:
        for user, devices in USERS.items():
            found = self.inline.read(
                lambda connection, user=user: log.unread(connection, user, ROOMS)
            )
            for room, events in self.events.items():
                read = max(self.cursors.get((user, device, room), 0) for device in devices)
                count = self.messages(room, len(events)) - self.messages(room, read)
                assert found[room] == (len(events), read, count)

    def messages(self, room: int, up_to: int) -> int:
        return sum(entry.kind == 1 for entry, _ in self.events[room][:up_to])


LogMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLog = LogMachine.TestCase
