"""Hashing: right answers, a bounded queue, the same work for nobody, a reactor that stays free."""

import threading
import time

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.internet import defer, reactor, task
from twisted.internet.defer import execute
from twisted.trial.unittest import TestCase

from lairchat.features.accounts.hashing import Cost, Hashing, ThreadedHashing, verify
from lairchat.model import limits
from lairchat.model.refusals import AuthBusy, ShuttingDown
from tests.harness import CHEAP, Held, predictable

SECRET = bytes(range(32))
OTHER = bytes(32)


class CostTests(TestCase):
    def test_hashes_are_phc_strings_of_argon2id_with_the_owasp_parameters(self):
        phc = Cost().hash(SECRET, bytes(16))
        self.assertTrue(phc.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), phc)
        Argon2id.verify_phc_encoded(SECRET, phc)
        self.assertLessEqual(len(phc), 255)  # the column's width

    def test_only_the_right_secret_verifies(self):
        phc = CHEAP.hash(SECRET, bytes(16))
        self.assertTrue(verify(SECRET, phc))
        self.assertFalse(verify(OTHER, phc))

    def test_nobodys_hash_has_the_same_parameters_and_no_secret(self):
        phc = CHEAP.hash(SECRET, bytes(16))
        nobody = CHEAP.nobody(bytes(16), bytes(32))
        self.assertEqual(nobody.split("$")[:4], phc.split("$")[:4])
        self.assertEqual(len(nobody), len(phc))
        self.assertFalse(verify(SECRET, nobody))


def inline():
    return Hashing(execute, predictable(), cost=CHEAP)


class HashingTests(TestCase):
    def test_hash_and_verify(self):
        hashing = inline()
        phc = self.successResultOf(hashing.hash(SECRET))
        self.assertIs(self.successResultOf(hashing.verify(SECRET, phc)), True)
        self.assertIs(self.successResultOf(hashing.verify(OTHER, phc)), False)

    def test_two_hashes_of_one_secret_differ(self):
        hashing = inline()
        first, second = (self.successResultOf(hashing.hash(SECRET)) for _ in range(2))
        self.assertNotEqual(first, second)

    def test_an_account_that_does_not_exist_costs_a_hash_and_is_wrong(self):
        hashing = inline()
        self.assertIs(self.successResultOf(hashing.verify(SECRET, None)), False)
        self.assertEqual(hashing.evaluated, 1)

    def test_a_wrong_use_fails_the_caller_and_frees_the_worker(self):
        hashing = inline()
        for _ in range(limits.HASH_WORKERS + 1):
            self.failureResultOf(hashing.hash("text"), TypeError)  # type: ignore[arg-type]
        self.successResultOf(hashing.hash(SECRET))

    def test_no_more_run_at_once_than_workers_and_no_more_wait_than_the_queue_holds(self):
        held = Held()
        hashing = Hashing(held.run, predictable(), cost=CHEAP, workers=2, queue=3)
        accepted = []
        for _ in range(5):
            self.assertFalse(hashing.full)
            accepted.append(hashing.hash(SECRET))
        self.assertEqual(len(held.jobs), 2)
        self.assertTrue(hashing.full)
        failure = self.failureResultOf(hashing.hash(SECRET), AuthBusy)
        self.assertGreater(failure.value.retry_after, 0)
        for _ in range(5):
            held.finish_one()
            self.assertLessEqual(len(held.jobs), 2)
        for deferred in accepted:
            self.assertTrue(verify(SECRET, self.successResultOf(deferred)))
        self.assertFalse(hashing.full)
        self.assertEqual(hashing.evaluated, 5)

    def test_stopping_refuses_what_waits_and_awaits_what_runs(self):
        held = Held()
        hashing = Hashing(held.run, predictable(), cost=CHEAP, workers=1, queue=3)
        hashing.startService()
        running, waiting = hashing.hash(SECRET), hashing.hash(SECRET)
        stopped = hashing.stopService()
        self.failureResultOf(waiting, ShuttingDown)
        self.failureResultOf(hashing.hash(SECRET), ShuttingDown)
        self.assertNoResult(stopped)
        held.finish_one()
        self.successResultOf(running)
        self.successResultOf(stopped)
        self.assertEqual(held.jobs, [])

    def test_stopping_an_idle_one_is_immediate(self):
        self.assertIsNone(self.successResultOf(inline().stopService()))


class ThreadedHashingTests(TestCase):
    """On real threads, with the real cost."""

    def setUp(self):
        self.hashing = ThreadedHashing(reactor, predictable())
        self.hashing.startService()

    async def test_hashes_are_computed_off_the_reactors_thread_which_stays_free(self):
        turns = 0
        longest = 0.0
        last = time.monotonic()

        def turn():
            nonlocal turns, longest, last
            now = time.monotonic()
            turns, longest, last = turns + 1, max(longest, now - last), now

        loop = task.LoopingCall(turn)
        loop.start(0.001)
        phcs = await defer.gatherResults([self.hashing.hash(SECRET) for _ in range(8)])
        loop.stop()
        self.assertEqual(len(set(phcs)), 8)
        # Eight hashes take 80 ms at least on two threads; a blocked reactor would see few turns.
        self.assertGreater(turns, 8)
        self.assertTrue(await self.hashing.verify(SECRET, phcs[0]))
        self.assertFalse(await self.hashing.verify(OTHER, phcs[0]))
        self.assertFalse(await self.hashing.verify(SECRET, None))
        await self.hashing.stopService()

    async def test_beyond_the_queue_the_answer_is_busy_at_once(self):
        room = limits.HASH_WORKERS + limits.HASH_QUEUE
        hashing = ThreadedHashing(reactor, predictable(), cost=CHEAP)
        hashing.startService()
        accepted = [hashing.hash(SECRET) for _ in range(room)]
        self.failureResultOf(hashing.hash(SECRET), AuthBusy)
        await defer.gatherResults(accepted)
        self.assertFalse(hashing.full)
        await hashing.stopService()
        await self.hashing.stopService()

    async def test_it_stops_cleanly_with_work_under_way(self):
        accepted = [self.hashing.hash(SECRET) for _ in range(10)]
        outcomes = defer.DeferredList(accepted, consumeErrors=True)
        await self.hashing.stopService()
        results = await outcomes
        done = [result for success, result in results if success]
        refused = [result.value for success, result in results if not success]
        self.assertEqual(len(done), limits.HASH_WORKERS)
        self.assertTrue(all(isinstance(error, ShuttingDown) for error in refused))
        names = [thread.name for thread in threading.enumerate()]
        self.assertFalse([name for name in names if "hashing" in name])
