"""Sending: once and durable, in order, answered where the room hears it, refused one by one."""

import msgspec

from lairchat.features.messages import server as messages_server
from lairchat.features.messages.messages import SEND
from lairchat.features.moderation.messages import KICK
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, ROLE, TOPIC
from lairchat.model import limits
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import (
    IdConflict,
    IdFuture,
    IdOld,
    NotMember,
    RoomLegacy,
    RoomReadOnly,
    RoomUnknown,
    TextBad,
    TextEmpty,
    TextLong,
)
from lairchat.storage import log
from lairchat.wire import codec
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import EventFrame, Ok
from tests.features.common import Case, said, text
from tests.features.legacy import legacy_room

DAY = 86_400


class SendingTest(Case):
    def test_the_sender_is_answered_and_the_others_hear_it(self):
        phone = self.device("alice")
        key = self.alice.new_key()
        sent = self.say(self.alice, self.ops, "hello", key)
        self.assertEqual((sent.seq, sent.at), (3, self.server.now()))
        for client in (self.bob, phone):
            (event,) = client.events("message")
            self.assertEqual(said(event), "hello")
            self.assertEqual((event.room, event.seq, event.at), (self.ops, 3, sent.at))
            self.assertEqual((event.user, event.name), (self.alice.session.user, "alice"))
            self.assertEqual((event.device, event.id), (self.alice.session.device, key))
            self.assertEqual(event.kind, "app")
        self.assertEqual(self.alice.events("message"), [])
        self.assertEqual(self.carol.events(), [])

    def test_what_is_stored_is_what_was_sent(self):
        body = text("\u202ewaves\x1b[31m\r\n\ttwice", me=True)
        self.alice.ask(SEND, room=self.ops, body=body)
        (event,) = self.bob.events("message")
        self.assertEqual((event.body, self.log_of(self.bob, self.ops)[-1]), (body, event))

    def test_many_at_once_are_dense_and_in_each_senders_order(self):
        given = [
            (client, client.give(SEND, room=self.ops, body=text(f"{number}")))
            for number in range(40)
            for client in (self.alice, self.bob)
        ]
        self.settle()
        seqs = [client.answer(request).seq for client, request in given]
        self.assertEqual(seqs, list(range(3, 83)))
        self.assertEqual(self.server.database.writer.stats.largest, 80)
        for client, other in ((self.alice, self.bob), (self.bob, self.alice)):
            heard = client.events("message")
            self.assertEqual({event.user for event in heard}, {other.session.user})
            self.assertEqual([said(event) for event in heard], [f"{n}" for n in range(40)])

    def test_answers_and_events_come_in_the_order_of_the_room(self):
        for number in range(6):
            client = (self.alice, self.bob)[number % 2]
            client.give(SEND, room=self.ops, body=text(f"{number}"))
        self.settle()
        seqs = []
        for frame in self.alice.frames:
            body = codec.decode_body(dict, frame.body)
            seqs.append(body["seq"])
        self.assertEqual(seqs, list(range(3, 9)))
        self.assertEqual(self.alice.writes, 1)

    def test_messages_of_many_rooms_in_one_group(self):
        made = [self.alice.ask(CREATE, name=f"room{n}").room for n in range(5)]
        given = [
            (room, self.alice.give(SEND, room=room, body=text(f"{n}")))
            for n in range(3)
            for room in made
        ]
        self.settle()
        for room in made:
            answers = [self.alice.answer(request).seq for at, request in given if at == room]
            self.assertEqual(answers, [2, 3, 4])

    def test_the_frames_are_those_of_the_protocol(self):
        """Encoded in one go, and yet the same bytes as an event and an ok frame."""
        frames = []
        self.bob.write = frames.append
        self.alice.write = frames.append
        self.alice.give(SEND, room=self.ops, body=text("hi"))
        self.settle()
        bodies = [body for data in frames for body in FrameReader(1 << 16).receive(data)]
        decoded = [codec.decode_server(body) for body in bodies]
        self.assertEqual({type(frame) for frame in decoded}, {EventFrame, Ok})
        self.assertEqual([codec.encode_body(frame) for frame in decoded], bodies)


class RefusedTest(Case):
    def test_texts(self):
        for words, refusal in (
            ("", TextEmpty),
            (" \n\t\u3000", TextEmpty),
            ("x" * 4097, TextLong),
            ("nul\x00byte", TextBad),
        ):
            found = self.refuse(refusal, self.alice, SEND, room=self.ops, body=text(words))
            self.assertEqual(found.field, "$.body")
        self.assertEqual(self.say(self.alice, self.ops, "x" * 4096).seq, 3)
        # Four bytes each: the longest text there is.
        widest = "\U0001f3e0" * limits.MESSAGE_CHARS
        self.assertEqual(self.say(self.alice, self.ops, widest).seq, 4)

    def test_bodies_that_are_no_text(self):
        good = msgspec.msgpack.decode(text("hi"))
        for body in (
            b"hi",
            msgspec.msgpack.encode({**good, "more": 1}),
            msgspec.msgpack.encode({**good, "text": 5}),
            msgspec.msgpack.encode({**good, "type": "html"}),
            msgspec.msgpack.encode({"type": "text"}),
            text("hi") + b"\x00",
            text("hi")[:-1],
            text("h\x7f").replace(b"h\x7f", b"h\xff"),
            b"\x84" + text("hi")[1:] + b"\xa4text\xa3two",
            b"\x91" * 200,
        ):
            with self.subTest(body=body):
                error = self.assertRaises(Refusal, self.alice.ask, SEND, room=self.ops, body=body)
                self.assertRegex(error.code, "^LC-(ARGS|DECODE)")
        self.assertEqual(len(self.log_of(self.alice, self.ops)), 2)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_arguments(self):
        for arguments in (
            {"room": self.ops, "body": b""},
            {"room": self.ops, "body": bytes(limits.SEALED_BYTES + 1)},
            {"room": -1, "body": text("hi")},
            {"room": 2**63, "body": text("hi")},
            {"room": self.ops, "body": text("hi"), "kind": "state"},
            {"room": self.ops, "body": text("hi"), "kind": "commit"},
        ):
            raw = msgspec.msgpack.encode(arguments)
            request = self.alice.give_raw("message.send", raw, self.alice.new_key(), SEND)
            self.settle()
            error = self.assertRaises(Refusal, self.alice.answer, request)
            self.assertRegex(error.code, "^LC-(ARGS|DECODE)")

    def test_a_refusal_disturbs_nobody_else(self):
        self.alice.ask(ROLE, room=self.ops, name="bob", role="guest")
        den = self.alice.ask(CREATE, name="den").room
        cellar = legacy_room(self.server, "cellar", self.alice)
        self.forget()
        given = [
            (self.alice, self.ops, None),
            (self.bob, self.ops, RoomReadOnly),
            (self.carol, self.ops, NotMember),
            (self.carol, cellar, RoomUnknown),
            (self.alice, cellar, RoomLegacy),
            (self.carol, 99, RoomUnknown),
            (self.alice, den, None),
            (self.alice, self.ops, None),
        ]
        requests = [
            client.give(SEND, room=room, body=text(f"{number}"))
            for number, (client, room, _) in enumerate(given)
        ]
        self.settle()
        for (client, _, refusal), request in zip(given, requests, strict=True):
            if refusal is None:
                client.answer(request)
            else:
                self.assertRaises(refusal, client.answer, request)
        self.assertEqual([said(e) for e in self.log_of(self.alice, self.ops)[-2:]], ["0", "7"])

    def test_a_send_behind_a_kick_in_the_same_group_is_refused(self):
        before = self.bob.give(SEND, room=self.ops, body=text("before"))
        self.alice.give(KICK, room=self.ops, name="bob")
        after = self.bob.give(SEND, room=self.ops, body=text("after"))
        self.settle()
        self.assertEqual(self.bob.answer(before).seq, 3)
        self.assertRaises(NotMember, self.bob.answer, after)
        self.assertEqual(said(self.alice.events("message")[0]), "before")

    def test_the_rule_table_has_the_last_word(self):
        self.patch(rooms, "may_not_post", lambda connection, pairs: list(pairs))
        self.assertEqual(self.say(self.alice, self.ops, "hi").seq, 3)
        self.refuse(NotMember, self.carol, SEND, room=self.ops, body=text("hi"))

    def test_what_nobody_expected_is_told_without_details_and_undone(self):
        def fail(connection, units):
            raise ZeroDivisionError("inside")

        self.patch(messages_server, "send_set", fail)
        error = self.assertRaises(Refusal, self.say, self.alice, self.ops, "hi")
        self.assertEqual(error.code, "LC-INTERNAL")
        self.assertNotIn("inside", error.text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RepeatTest(Case):
    def test_a_repeat_whose_first_failed_is_told_to_the_room(self):
        """The group is undone; run alone the first fails again, so that the second is new."""
        send_set, runs = messages_server.send_set, []

        def fail_twice(connection, units):
            runs.append(len(units))
            send_set(connection, units)
            if len(runs) <= 2:
                raise ZeroDivisionError

        self.patch(messages_server, "send_set", fail_twice)
        key = self.alice.new_key()
        first = self.alice.give(SEND, key, room=self.ops, body=text("once"))
        second = self.alice.give(SEND, key, room=self.ops, body=text("once"))
        self.settle()
        self.assertEqual(runs, [2, 1, 1])
        self.assertRaises(Refusal, self.alice.answer, first)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        seq = self.alice.answer(second).seq
        self.assertEqual([event.seq for event in self.bob.events("message")], [seq])

    def test_later_in_the_same_group_and_later_on(self):
        key = self.alice.new_key()
        requests = [self.alice.give(SEND, key, room=self.ops, body=text("once")) for _ in range(3)]
        self.settle()
        first, *others = [self.alice.answer(request) for request in requests]
        self.assertEqual(others, [first, first])
        self.server.wait(6 * DAY)
        self.server.upkeep()
        self.assertEqual(self.say(self.alice, self.ops, "once", key), first)
        self.assertEqual([said(event) for event in self.bob.events("message")], ["once"])
        self.assertEqual(len(self.log_of(self.bob, self.ops)), 3)

    def test_among_many(self):
        """The same in a group that is too large for the path of fixed statements."""
        key = self.alice.new_key()
        first = self.say(self.alice, self.ops, "once", key)
        again = self.alice.give(SEND, key, room=self.ops, body=text("once"))
        conflict = self.alice.give(SEND, key, room=self.ops, body=text("twice"))
        fresh = [self.alice.give(SEND, room=self.ops, body=text(f"{n}")) for n in range(10)]
        self.settle()
        self.assertEqual(self.alice.answer(again), first)
        self.assertRaises(IdConflict, self.alice.answer, conflict)
        self.assertEqual([self.alice.answer(one).seq for one in fresh], list(range(4, 14)))

    def test_an_id_is_for_one_message(self):
        den = self.alice.ask(CREATE, name="den").room
        key = self.alice.new_key()
        self.say(self.alice, self.ops, "once", key)
        for room, words in ((den, "once"), (self.ops, "twice")):
            refusal = self.refuse(IdConflict, self.alice, SEND, key, room=room, body=text(words))
            self.assertEqual(refusal.field, "$.key")
        self.refuse(IdConflict, self.alice, TOPIC, key, room=self.ops, topic="x")
        key = self.alice.new_key()
        self.alice.ask(TOPIC, key, room=self.ops, topic="x")
        self.refuse(IdConflict, self.alice, SEND, key, room=self.ops, body=text("x"))

    def test_the_id_of_another_command_and_a_room_of_number_0_are_a_conflict_like_any(self):
        key = self.alice.new_key()
        self.alice.ask(TOPIC, key, room=self.ops, topic="x")
        again = self.server.database.writer.stats.again
        conflict = self.alice.give(SEND, key, room=0, body=text("x"))
        other = self.bob.give(SEND, room=self.ops, body=text("hi"))
        self.settle()
        self.assertRaises(IdConflict, self.alice.answer, conflict)
        self.bob.answer(other)
        # Nobody can make everybody's group run twice.
        self.assertEqual(self.server.database.writer.stats.again, again)

    def test_an_id_is_for_one_message_within_a_group(self):
        key = self.alice.new_key()
        first = self.alice.give(SEND, key, room=self.ops, body=text("once"))
        second = self.alice.give(SEND, key, room=self.ops, body=text("twice"))
        self.settle()
        self.alice.answer(first)
        self.assertRaises(IdConflict, self.alice.answer, second)

    def test_ids_belong_to_the_device(self):
        phone, key = self.device("alice"), self.alice.new_key()
        seqs = {self.say(client, self.ops, "hi", key).seq for client in (self.alice, phone)}
        self.assertEqual(seqs, {3, 4})

    def test_a_refusal_is_not_kept(self):
        key = self.carol.new_key()
        first = self.carol.give(SEND, key, room=self.ops, body=text("hi"))
        second = self.carol.give(SEND, key, room=self.ops, body=text("hi"))
        self.settle()
        for request in (first, second):
            self.assertRaises(NotMember, self.carol.answer, request)
        self.set_role(self.ops, self.carol, 20)
        self.assertEqual(self.say(self.carol, self.ops, "hi", key).seq, 3)

    def test_who_was_kicked_since_still_learns_that_it_was_stored(self):
        key = self.bob.new_key()
        first = self.say(self.bob, self.ops, "hi", key)
        self.alice.ask(KICK, room=self.ops, name="bob")
        self.assertEqual(self.say(self.bob, self.ops, "hi", key), first)

    def test_a_purged_message_is_taken_for_the_same(self):
        key = self.alice.new_key()
        first = self.say(self.alice, self.ops, "secret", key)
        self.server.change(lambda connection: log.purge(connection, self.ops, [first.seq]))
        self.assertEqual(self.say(self.alice, self.ops, "secret", key), first)

    def test_after_seven_days_nobody_knows(self):
        key = self.alice.new_key()
        self.say(self.alice, self.ops, "once", key)
        self.server.wait(7 * DAY + 1)
        self.refuse(IdOld, self.alice, SEND, key, room=self.ops, body=text("once"))
        self.server.wait(60)
        self.server.upkeep()
        kept = self.server.look(lambda c: log.find_answers(c, [(self.alice.session.device, key)]))
        self.assertEqual(kept, {})

    def test_an_id_of_tomorrow_is_refused(self):
        key = command_id(self.server.now() + 2 * 3_600_000, bytes(10))
        self.refuse(IdFuture, self.alice, SEND, key, room=self.ops, body=text("hi"))

    def test_old_answers_go_a_thousand_at_a_time(self):
        self.patch(messages_server, "SWEEP", 3)
        for number in range(7):
            self.say(self.alice, self.ops, f"{number}")
        self.server.wait(8 * DAY)
        sweep = lambda connection: messages_server.upkeep(connection, self.server.now(), [])  # noqa: E731
        went_on = [self.server.change(sweep) for _ in range(4)]
        self.assertEqual(went_on[0], True)
        self.assertEqual(went_on[-1], False)


class GoneTest(Case):
    def test_a_sender_that_is_gone_is_still_heard(self):
        self.alice.give(SEND, room=self.ops, body=text("last words"))
        self.alice.disconnect()
        self.settle()
        self.assertEqual([said(event) for event in self.bob.events("message")], ["last words"])

    def test_a_room_without_listeners(self):
        self.alice.give(SEND, room=self.ops, body=text("hi"))
        for client in (self.alice, self.bob):
            client.disconnect()
        self.settle()

    def test_a_sender_who_stopped_hearing_the_room_is_answered(self):
        request = self.bob.give(SEND, room=self.ops, body=text("hi"))
        self.server.database.pump()
        self.server.hub.exit(self.bob.session.user, self.ops)
        self.settle()
        self.assertEqual(self.bob.answer(request).seq, 3)
        self.server.hub.enter(self.bob.session.user, self.ops)
