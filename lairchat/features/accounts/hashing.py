"""Hashes authentication secrets with Argon2id, on a few threads and never on the reactor's.

A hash costs 19 MiB and about 22 ms, so that strangers decide how much work the server has: what
waits is bounded, and beyond it the answer is LC-AUTH-BUSY at once.
"""

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from lairchat.model import limits
from lairchat.model.refusals import AuthBusy, ShuttingDown

T = TypeVar("T")
#: Carries a function out, somewhere, and fires with what it returned.
Run = Callable[[Callable[[], Any]], "Deferred[Any]"]

SALT_BYTES = 16
HASH_BYTES = 32
BUSY_SECONDS = 1.0
"""seconds: after which a full queue has been worked off."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an Argon2id hash costs (RFC 9106): memory in KiB, passes over it, lanes."""

    kib: int = limits.ARGON2_SERVER_KIB
    passes: int = limits.ARGON2_SERVER_PASSES
    lanes: int = 1

    def hash(self, secret: bytes, salt: bytes) -> str:
        """Return the PHC string of a secret."""
        argon2 = Argon2id(
            salt=salt,
            length=HASH_BYTES,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.kib,
        )
        return argon2.derive_phc_encoded(secret)

    def nobody(self, salt: bytes, digest: bytes) -> str:
        """Return a PHC string that no known secret has, and that costs as much to verify."""
        parts = [base64.b64encode(part).decode("ascii").rstrip("=") for part in (salt, digest)]
        return f"$argon2id$v=19$m={self.kib},t={self.passes},p={self.lanes}${'$'.join(parts)}"


def verify(secret: bytes, phc: str) -> bool:
    """Say whether a secret has this hash; ``phc`` is one of ours, so that nobody chose its cost."""
    try:
        Argon2id.verify_phc_encoded(secret, phc)
    except InvalidKey:
        return False
    return True


class Hashing(Service):
    """Hashes at most ``workers`` secrets at once and lets at most ``queue`` wait.

    run: carries one hash out, on another thread.  random: n -> n random bytes.
    evaluated: how many hashes have been computed.
    """

    def __init__(
        self,
        run: Run,
        random: Callable[[int], bytes],
        *,
        cost: Cost | None = None,
        workers: int = limits.HASH_WORKERS,
        queue: int = limits.HASH_QUEUE,
    ) -> None:
        self._run = run
        self._random = random
        self._cost = cost or Cost()
        self._workers = workers
        self._queue = queue
        self._running = 0
        self._waiting: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._idle: Deferred[None] | None = None
        self._nobody = self._cost.nobody(random(SALT_BYTES), random(HASH_BYTES))
        self.evaluated = 0

    @property
    def full(self) -> bool:
        """Whether one more would be refused."""
        return self._running >= self._workers and len(self._waiting) >= self._queue

    def hash(self, secret: bytes) -> "Deferred[str]":
        """Fire with the PHC string of a secret; fails with AuthBusy when too many wait."""
        salt = self._random(SALT_BYTES)
        return self._do(lambda: self._cost.hash(secret, salt))

    def verify(self, secret: bytes, phc: str | None) -> "Deferred[bool]":
        """Fire with whether a secret has this hash; fails with AuthBusy when too many wait.

        phc: None for an account that does not exist: the answer is no, and costs the same time.
        """
        known = self._nobody if phc is None else phc
        return self._do(lambda: verify(secret, known) and phc is not None)

    def stopService(self) -> "Deferred[None]":
        """Refuse what waits and fire when what runs is done."""
        super().stopService()  # type: ignore[no-untyped-call]
        waiting, self._waiting = self._waiting, deque()
        self._queue = self._workers = 0
        for _, deferred in waiting:
            deferred.errback(Failure(ShuttingDown(retry_after=BUSY_SECONDS)))
        if not self._running:
            return succeed(None)
        self._idle = Deferred()
        return self._idle

    def _do(self, work: Callable[[], T]) -> "Deferred[T]":
        if self._workers == 0:
            return fail(ShuttingDown(retry_after=BUSY_SECONDS))
        if self.full:
            return fail(AuthBusy(retry_after=BUSY_SECONDS))
        deferred: Deferred[T] = Deferred()
        self._waiting.append((work, deferred))
        self._start()
        return deferred

    def _start(self) -> None:
        while self._waiting and self._running < self._workers:
            work, deferred = self._waiting.popleft()
            self._running += 1
            self.evaluated += 1
            self._run(work).addBoth(self._done, deferred)

    def _done(self, result: Any, deferred: "Deferred[Any]") -> None:
        self._running -= 1
        self._start()
        # A Failure becomes the caller's error.
        deferred.callback(result)
        if self._idle is not None and not self._running:
            idle, self._idle = self._idle, None
            idle.callback(None)


class ThreadedHashing(Hashing):
    """The same on threads of its own, which live while the service runs."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        random: Callable[[int], bytes],
        *,
        cost: Cost | None = None,
        workers: int = limits.HASH_WORKERS,
        queue: int = limits.HASH_QUEUE,
    ) -> None:
        self._pool = ThreadPool(0, workers, "hashing")
        super().__init__(
            lambda work: deferToThreadPool(reactor, self._pool, work),
            random,
            cost=cost,
            workers=workers,
            queue=queue,
        )

    def startService(self) -> None:
        """Let the threads start when there is work."""
        super().startService()  # type: ignore[no-untyped-call]
        self._pool.start()

    def stopService(self) -> "Deferred[None]":
        """Stop as :meth:`Hashing.stopService` does, then end the threads."""
        return super().stopService().addCallback(lambda _: self._pool.stop())
