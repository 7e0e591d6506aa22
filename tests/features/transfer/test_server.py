"""Blobs: whole or not at all, their owner's alone, resumable, and never more than the quota."""

import hashlib
import pathlib

from twisted.trial.unittest import TestCase

from lairchat.features.transfer import server as transfer
from lairchat.features.transfer import tables
from lairchat.features.transfer.messages import BEGIN, DROP, GET, PUT, USAGE, Progress
from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import (
    BlobDigest,
    BlobOffset,
    BlobQuota,
    BlobSize,
    BlobUnknown,
)
from lairchat.wire.bulk import Outgoing
from tests.harness import Client, Server, accounts, predictable

CHUNK = limits.BLOB_CHUNK_BYTES
BLOB = b"b" * 16
random = predictable("blobs")


def digest(data):
    return hashlib.sha256(data).digest()


class Case(TestCase):
    quota = 1_000_000

    def setUp(self):
        self.server = Server([accounts(), transfer.make(quota=self.quota)])
        self.alice = self.server.member("alice")
        self.data = random(3 * CHUNK + 1000)

    def begin(self, data=None, blob=BLOB, client=None):
        data = self.data if data is None else data
        return (client or self.alice).ask(BEGIN, blob=blob, total=len(data), digest=digest(data))

    def put(self, offset, data, blob=BLOB):
        return self.alice.ask(PUT, blob=blob, offset=offset, data=data)

    def upload(self, data, blob=BLOB, client=None):
        progress = self.begin(data, blob, client)
        for offset, chunk in Outgoing.of(data).chunks(progress.offset):
            progress = (client or self.alice).ask(PUT, blob=blob, offset=offset, data=chunk)
        return progress

    def download(self, blob=BLOB, **more):
        data = b""
        while True:
            piece = self.alice.ask(GET, blob=blob, offset=len(data), **more)
            data += piece.data
            if len(data) == piece.total:
                self.assertEqual(piece.digest, digest(data))
                return data

    def rows(self, table):
        return self.server.look(
            lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
        )

    def used(self, client=None):
        return (client or self.alice).ask(USAGE).used


class UploadTests(Case):
    def test_what_was_sent_comes_back(self):
        self.assertEqual(self.begin(), Progress(offset=0))
        progress = self.upload(self.data)
        self.assertEqual(progress, Progress(offset=len(self.data), complete=True))
        self.assertEqual(self.download(), self.data)
        self.assertEqual(self.download(length=777), self.data)

    def test_parts_from_the_middle(self):
        self.upload(self.data)
        for offset, length in ((0, 1), (CHUNK - 1, 2), (CHUNK, CHUNK), (len(self.data) - 5, 99)):
            piece = self.alice.ask(GET, blob=BLOB, offset=offset, length=length)
            self.assertEqual(piece.data, self.data[offset : offset + length])
            self.assertEqual((piece.offset, piece.total), (offset, len(self.data)))

    def test_chunks_may_be_sent_without_waiting_for_answers(self):
        self.begin()
        requests = [
            self.alice.give(PUT, blob=BLOB, offset=offset, data=chunk)
            for offset, chunk in Outgoing.of(self.data).chunks()
        ]
        self.server.settle()
        answers = [self.alice.answer(request) for request in requests]
        self.assertEqual([one.complete for one in answers], [False, False, False, True])
        self.assertEqual(self.download(), self.data)

    def test_many_small_chunks_do_not_become_many_rows(self):
        data = random(500)
        self.begin(data)
        for offset in range(len(data)):
            self.put(offset, data[offset : offset + 1])
        self.assertEqual(self.download(), data)
        self.assertEqual(self.rows("blob_chunks"), 1)

    def test_chunks_of_uneven_sizes(self):
        sizes = [CHUNK - 10, 10, 1, CHUNK, 30_000, 20_000, 5]
        data = random(sum(sizes))
        self.begin(data)
        offset = 0
        for size in sizes:
            self.put(offset, data[offset : offset + size])
            offset += size
        self.assertEqual(self.download(), data)
        self.assertEqual(self.download(length=1001), data)
        self.assertEqual(self.rows("blob_chunks"), 5)

    def test_an_announcement_can_be_repeated_to_find_out_where_to_go_on(self):
        self.begin()
        self.put(0, self.data[:CHUNK])
        self.assertEqual(self.begin(), Progress(offset=CHUNK))
        self.upload(self.data)
        self.assertEqual(self.begin(), Progress(offset=len(self.data), complete=True))

    def test_a_chunk_that_does_not_continue(self):
        self.begin()
        self.put(0, self.data[:CHUNK])
        for offset in (0, 1, CHUNK - 1, CHUNK + 1, 2**62):
            refusal = self.assertRaises(BlobOffset, self.put, offset, b"x")
            self.assertIn(f"byte {CHUNK},", refusal.text)
        self.upload(self.data)
        self.assertEqual(self.download(), self.data)

    def test_more_than_was_announced(self):
        self.begin(b"four")
        self.assertRaises(BlobSize, self.put, 0, b"fives")
        self.put(0, b"four")
        self.assertRaises(BlobOffset, self.put, 0, b"four")
        self.assertRaises(BlobSize, self.put, 4, b"!")

    def test_other_bytes_than_announced_leave_nothing_and_can_be_sent_again(self):
        self.begin()
        wrong = b"\0" + self.data[1:]
        offset = 0
        for offset, chunk in Outgoing.of(wrong).chunks():
            if offset < 3 * CHUNK:
                self.put(offset, chunk)
        self.assertRaises(BlobDigest, self.put, offset, wrong[offset:])
        self.assertEqual(self.rows("blob_chunks"), 0)
        self.assertEqual(self.begin(), Progress(offset=0))
        self.assertTrue(self.upload(self.data).complete)
        self.assertEqual(self.download(), self.data)

    def test_what_does_not_fit_the_limits_of_the_protocol_is_refused_at_the_gate(self):
        for command, arguments in (
            (BEGIN, {"blob": BLOB, "total": limits.BLOB_BYTES + 1, "digest": bytes(32)}),
            (BEGIN, {"blob": BLOB, "total": 0, "digest": bytes(32)}),
            (BEGIN, {"blob": b"short", "total": 1, "digest": bytes(32)}),
            (PUT, {"blob": BLOB, "offset": 0, "data": b""}),
            (PUT, {"blob": BLOB, "offset": 0, "data": bytes(CHUNK + 1)}),
            (GET, {"blob": BLOB, "length": 0}),
        ):
            error = self.assertRaises(Refusal, self.alice.ask, command, **arguments)
            self.assertEqual(error.code, "LC-ARGS")

    def test_the_largest_blob(self):
        """Three chunks more than the quota of the others: 16 MiB and bounded memory."""
        server = Server([accounts(), transfer.make()])
        self.alice = server.member("alice")
        data = random(limits.BLOB_BYTES)
        self.assertTrue(self.upload(data).complete)
        piece = self.alice.ask(GET, blob=BLOB, offset=limits.BLOB_BYTES - 10)
        self.assertEqual(piece.data, data[-10:])


class OwnershipTests(Case):
    def setUp(self):
        super().setUp()
        self.bob = self.server.member("bob")
        self.upload(self.data)

    def test_a_blob_of_somebody_else_does_not_exist(self):
        other = b"o" * 16
        answers = []
        for blob in (BLOB, other):
            for command, arguments in (
                (GET, {}),
                (PUT, {"offset": 0, "data": b"x"}),
                (DROP, {}),
            ):
                refusal = self.assertRaises(
                    BlobUnknown, self.bob.ask, command, blob=blob, **arguments
                )
                answers.append((refusal.text, refusal.field))
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual(self.download(), self.data)

    def test_two_owners_may_choose_the_same_name(self):
        self.upload(b"bob's own", client=self.bob)
        self.assertEqual(self.bob.ask(GET, blob=BLOB).data, b"bob's own")
        self.assertEqual(self.download(), self.data)

    def test_one_name_is_for_one_blob(self):
        for total, other in ((5, digest(self.data)), (len(self.data), bytes(32))):
            self.assertRaises(
                BlobUnknown, self.alice.ask, BEGIN, blob=BLOB, total=total, digest=other
            )

    def test_an_unfinished_blob_cannot_be_read(self):
        self.begin(b"half", b"h" * 16)
        self.put(0, b"ha", b"h" * 16)
        self.assertRaises(BlobUnknown, self.alice.ask, GET, blob=b"h" * 16)

    def test_nothing_is_behind_the_end(self):
        for offset in (len(self.data), len(self.data) + 1, 2**62):
            self.assertRaises(BlobOffset, self.alice.ask, GET, blob=BLOB, offset=offset)

    def test_what_is_dropped_is_gone_and_its_quota_is_back(self):
        self.assertEqual(self.used(), len(self.data))
        self.alice.ask(DROP, blob=BLOB)
        self.assertEqual(self.used(), 0)
        self.assertEqual((self.rows("blobs"), self.rows("blob_chunks")), (0, 0))
        self.assertRaises(BlobUnknown, self.alice.ask, DROP, blob=BLOB)

    def test_a_new_blob_is_not_taken_for_the_one_that_was_dropped(self):
        # SQLite gives the number of the last row away again.
        half = b"h" * 16
        self.begin(self.data, half)
        self.put(0, self.data[:10], half)
        self.alice.ask(DROP, blob=half)
        other = random(20)
        self.begin(other, half)
        self.put(0, other[:10], half)
        self.put(10, other[10:], half)
        self.assertEqual(self.download(half), other)


class QuotaTests(Case):
    quota = 100

    def announce(self, number, total):
        return self.alice.ask(
            BEGIN, blob=bytes([number]) * 16, total=total, digest=digest(bytes(total))
        )

    def test_the_announced_size_counts_before_anything_arrives(self):
        self.announce(1, 60)
        self.assertEqual(self.alice.ask(USAGE).quota, 100)
        self.assertEqual(self.used(), 60)
        refusal = self.assertRaises(BlobQuota, self.announce, 2, 41)
        self.assertIn("only 40 bytes of your 100", refusal.text)
        self.announce(2, 40)
        self.assertRaises(BlobQuota, self.announce, 3, 1)

    def test_two_connections_that_race_do_not_get_more(self):
        again = Client(self.server)
        again.login("alice")
        requests = [
            (client, client.give(BEGIN, blob=bytes([number]) * 16, total=60, digest=bytes(32)))
            for number, client in enumerate((self.alice, again))
        ]
        self.server.settle()
        self.alice.answer(requests[0][1])
        self.assertRaises(BlobQuota, again.answer, requests[1][1])
        self.assertEqual(self.used(), 60)

    def test_everybody_has_a_quota_of_their_own(self):
        self.announce(1, 100)
        bob = self.server.member("bob")
        bob.ask(BEGIN, blob=BLOB, total=100, digest=bytes(32))
        self.assertEqual(self.used(bob), 100)

    def test_the_oldest_unfinished_blob_makes_room_for_one_too_many(self):
        for number in range(limits.BLOB_PENDING):
            self.announce(number, 25)
        self.server.wait(1)
        self.announce(9, 25)
        self.assertEqual(self.used(), 100)
        self.assertRaises(BlobUnknown, self.put, 0, b"x", bytes([0]) * 16)
        self.put(0, b"x", bytes([1]) * 16)

    def test_nothing_is_given_up_for_a_blob_that_does_not_fit_anyway(self):
        for number in range(limits.BLOB_PENDING):
            self.announce(number, 25)
        self.assertRaises(BlobQuota, self.announce, 9, 26)
        self.put(0, b"x", bytes([0]) * 16)


class UpkeepTests(Case):
    def test_blobs_that_never_became_complete_go_after_a_week(self):
        whole = b"w" * 16
        self.upload(b"whole", whole)
        self.begin()
        self.put(0, self.data[:CHUNK])
        self.server.wait(transfer.UNFINISHED_SECONDS)
        self.server.upkeep()
        self.put(CHUNK, self.data[CHUNK : 2 * CHUNK])
        self.server.wait(1)
        self.server.upkeep()
        self.assertRaises(BlobUnknown, self.put, 2 * CHUNK, b"x")
        self.assertEqual((self.rows("blobs"), self.rows("blob_chunks")), (1, 1))
        self.assertEqual(self.download(whole), b"whole")

    def test_one_round_deletes_a_bounded_number(self):
        def announce(connection):
            for number in range(transfer.DROPPED_PER_UPKEEP + 1):
                tables.announce(
                    connection, 1, number.to_bytes(16, "big"), total=1, digest=bytes(32), now=0
                )

        self.server.change(announce)
        sweep = lambda connection: transfer.upkeep(connection, self.server.now(), [])  # noqa: E731
        self.assertTrue(self.server.change(sweep))
        self.assertEqual(self.rows("blobs"), 1)
        self.assertFalse(self.server.change(sweep))
        self.assertEqual(self.rows("blobs"), 0)


class RecoveryTests(Case):
    def test_after_a_restart_it_goes_on_where_it_stopped(self):
        url = f"sqlite:///{pathlib.Path(self.mktemp()).absolute()}"
        first = Server([accounts(), transfer.make()], url=url)
        self.alice = first.member("alice")
        self.begin()
        self.put(0, self.data[:CHUNK])
        self.put(CHUNK, self.data[CHUNK : CHUNK + 100])
        first.close()
        self.server = Server([accounts(), transfer.make()], url=url)
        self.alice = Client(self.server)
        self.alice.login("alice")
        self.assertEqual(self.begin(), Progress(offset=CHUNK + 100))
        self.assertTrue(self.upload(self.data).complete)
        self.assertEqual(self.download(), self.data)
        self.server.close()

    def test_a_chunk_whose_group_was_undone_is_not_counted(self):
        self.begin()
        self.put(0, self.data[:CHUNK])

        def fail(_connection):
            raise RuntimeError("somebody else's fault")

        chunk = self.data[CHUNK : 2 * CHUNK]
        # The group runs twice: together, then, because of the fault, one by one.
        request = self.alice.give(PUT, blob=BLOB, offset=CHUNK, data=chunk)
        self.server.database.call(fail).addErrback(lambda failure: failure.trap(RuntimeError))
        self.server.settle()
        self.assertEqual(self.alice.answer(request), Progress(offset=2 * CHUNK))
        self.assertTrue(self.upload(self.data).complete)
        self.assertEqual(self.download(), self.data)

    def test_with_more_blobs_under_way_than_hashes_are_kept_all_become_whole(self):
        self.patch(transfer, "HASHES_KEPT", 1)
        blobs = {bytes([number]) * 16: random(20) for number in range(3)}
        for blob, data in blobs.items():
            self.begin(data, blob)
            self.put(0, data[:10], blob)
        for blob, data in blobs.items():
            self.put(10, data[10:], blob)
        for blob, data in blobs.items():
            self.assertEqual(self.download(blob), data)
