"""Workers on a fixed set of threads."""

import threading

import pytest
from twisted._threads import AlreadyQuit, IWorker
from zope.interface.verify import verifyObject

from lairchat.storage.threads import Inline, Threads


def test_threads_share_the_work_and_end_after_it() -> None:
    left: list[str] = []
    ended: list[str] = []
    threads = Threads(
        2,
        "pool",
        leaving=lambda: left.append(threading.current_thread().name),
        ended=lambda: ended.append(threading.current_thread().name),
    )
    lease = threads.lease()
    assert verifyObject(IWorker, lease)
    # Two tasks that wait for each other can only end on two threads.
    meeting = threading.Barrier(2, timeout=10)
    done: list[int] = []
    for number in range(2):
        lease.do(lambda number=number: (meeting.wait(), done.append(number)))
    threads.stop()
    with pytest.raises(AlreadyQuit):
        lease.do(lambda: done.append(3))
    threads.join()
    assert sorted(done) == [0, 1]
    assert sorted(left) == sorted(ended) == ["pool-0", "pool-1"]


def test_a_lease_ends_alone() -> None:
    threads = Threads(1, "pool", leaving=lambda: None, ended=lambda: None)
    lease, other = threads.lease(), threads.lease()
    lease.quit()
    with pytest.raises(AlreadyQuit):
        lease.do(lambda: None)
    reached = threading.Event()
    other.do(reached.set)
    assert reached.wait(10)
    threads.stop()
    threads.join()


def test_inline_runs_where_it_is_asked() -> None:
    inline = Inline()
    lease = inline.lease()
    seen: list[str] = []
    lease.do(lambda: seen.append(threading.current_thread().name))
    assert seen == [threading.current_thread().name]
    inline.stop()
    with pytest.raises(AlreadyQuit):
        lease.do(lambda: seen.append("late"))
