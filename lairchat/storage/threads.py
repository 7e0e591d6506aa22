"""Hands out workers on a fixed set of threads, where alchimia would start one per connection.

alchimia asks ``create_worker`` for a worker at every ``connect()`` and quits it at ``close()``.
A lease makes both free: the threads stay until the set is stopped.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from twisted._threads import AlreadyQuit, IWorker, ThreadWorker
from zope.interface import implementer


@implementer(IWorker)
class Lease:
    """One caller's view of a shared worker; quitting it ends the lease, not the threads."""

    def __init__(self, do: Callable[[Callable[[], None]], None]) -> None:
        self._do = do
        self._over = False

    def do(self, task: Callable[[], None]) -> None:
        """Queue a task; raises AlreadyQuit after ``quit`` or when the threads were stopped."""
        if self._over:
            raise AlreadyQuit
        self._do(task)

    def quit(self) -> None:
        """End this lease."""
        self._over = True


class Threads:
    """A few threads that take tasks from one queue, so that a free one takes the next.

    count: how many; with one the tasks run in order, one at a time.
    name: what they are called in a stack dump.
    leaving: runs on each thread as its last act (closing its connection).
    ended: runs on each thread after that; the caller hops to the reactor from there.
    """

    def __init__(
        self,
        count: int,
        name: str,
        *,
        leaving: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._leaving = leaving
        self._ended = ended
        self._name = name
        self._threads: list[threading.Thread] = []
        # The workers share the queue: whichever is asked, any free thread takes the task, and
        # each one's quit() puts one end mark behind all the tasks.
        tasks: SimpleQueue[Any] = SimpleQueue()
        self._workers = [ThreadWorker(self._start, tasks) for _ in range(count)]
        self.alive = count

    def _start(self, work: Callable[[], object]) -> None:
        def live() -> None:
            try:
                work()
            finally:
                self._leaving()
                self._ended()

        # Daemonic, so that a process that dies on an error is not kept alive by an idle thread;
        # the orderly way is stop() and join().
        thread = threading.Thread(
            target=live, name=f"{self._name}-{len(self._threads)}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def lease(self) -> Lease:
        """Return a worker on these threads: what alchimia calls ``create_worker``."""
        return Lease(self._workers[0].do)

    def stop(self) -> None:
        """Take no more tasks; the threads end when those already queued are done."""
        for worker in self._workers:
            worker.quit()

    def join(self) -> None:
        """Wait for threads that reported their end; they have nothing left to do but to exit."""
        for thread in self._threads:
            thread.join()


class Inline:
    """Stands in for Threads in tests and at first start: tasks run at once, where they are given."""

    def __init__(self) -> None:
        self._over = False

    def _do(self, task: Callable[[], None]) -> None:
        if self._over:
            raise AlreadyQuit
        task()

    def lease(self) -> Lease:
        """Return a worker that runs its tasks in the calling thread."""
        return Lease(self._do)

    def stop(self) -> None:
        """Take no more tasks."""
        self._over = True
