"""kill -9 between any two statements: no key is used twice, nothing is lost or shown twice.

The process is a real one that kills itself before its Nth statement, for each N until there is none:
those of SQLite's own index as well.  It tells by a file what has left it by then.
"""

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as driver

from lairchat.client.store import Store
from lairchat.client.store_outbox import State
from lairchat.client.store_people import OwnDevice
from lairchat.e2ee.payload import Edit, React, Target
from lairchat.e2ee.room import PAST_GRACE_MS, Advanced, Opened, Own
from lairchat.mls.errors import InvalidError
from lairchat.mls.joining import join
from lairchat.mls.messages import PrivateMessage, Welcome, decode_message
from lairchat.model.events import EventClass
from lairchat.trust.secret import SecretBytes
from tests.client.stores import (
    MASTER,
    blind,
    encoded,
    follow,
    letter,
    move_in,
    opened,
    profile,
    rejoin_by,
    renewed,
    say,
    seal,
    shown,
    texts,
)
from tests.e2ee.devices import NOW, ROOM, Client, talk
from tests.trust.rooms import Person, signing_seed

STATEMENTS = 400
"""A bound: no operation has as many."""

Wire = Callable[[bytes], None]


class Killed:
    """A copy of a store, on which a process works until it is killed before a statement."""

    def __init__(
        self, base: Path, root: Path, work: Callable[[Store, Wire], None], name: str
    ) -> None:
        self.base = base
        self.root = root
        self.name = name
        self._work = work

    def run(self, statement: int) -> tuple[bool, list[bytes]]:
        """Return (whether it was killed, what had left it)."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.base, self.root)
        wire = self.root / "wire"
        process = os.fork()
        if process == 0:
            self._child(statement, wire)
        _, status = os.waitpid(process, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "see what it printed"
        else:
            assert os.WTERMSIG(status) == signal.SIGKILL
        left = wire.read_text().split() if wire.exists() else []
        return os.WIFSIGNALED(status), [bytes.fromhex(line) for line in left]

    def _child(self, statement: int, wire: Path) -> None:
        """Never return: neither pytest nor coverage is this process's business."""
        code = 1
        try:
            self._die_before(statement)
            descriptor = os.open(wire, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            store = Store.open(profile(self.root, self.name), MASTER)
            self._work(store, lambda data: void(os.write(descriptor, data.hex().encode() + b"\n")))
            store.close()
            code = 0
        except BaseException:  # whatever it is: it must not come back into pytest
            traceback.print_exc()
        finally:
            os._exit(code)

    def _die_before(self, statement: int) -> None:
        connect, done = driver.connect, 0

        def trace(_sql: str) -> None:
            nonlocal done
            done += 1
            if done == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        def traced(*given: object, **named: object) -> object:
            connection = connect(*given, **named)
            connection.set_trace_callback(trace)
            return connection

        driver.connect = traced


def void(_: object) -> None:
    """Return nothing."""


def every_statement(killed: Killed, check: Callable[[list[bytes], bool], None]) -> int:
    """Kill at each statement in turn, and look at what is left; return how many there were."""
    for statement in range(1, STATEMENTS):
        died, left = killed.run(statement)
        check(left, died)
        if not died:
            print(f"{statement - 1} statements")
            return statement - 1
    raise AssertionError("it never ended")


@pytest.fixture
def room(tmp_path: Path) -> tuple[Client, Client, Path]:
    """Return alice, whose state is in a store at a path, and bob."""
    alice, bob = talk("alice", "bob")
    base = tmp_path / "base"
    with opened(base) as store:
        move_in(store, alice)
    return alice, bob, base


def generation(bob: Client, message: bytes) -> tuple[int, int, int]:
    """Return which key sealed a message: epoch, leaf, generation."""
    body = decode_message(message)
    assert isinstance(body, PrivateMessage)
    received, _ = bob.room.group.decrypt(body)
    return body.epoch, received.sender, received.generation


def test_sending(room: tuple[Client, Client, Path], tmp_path: Path) -> None:
    """What left is in the outbox, and no later message is sealed with its key."""
    alice, bob, base = room
    first, second = letter("first"), letter("second")

    def work(store: Store, wire: Wire) -> None:
        renewed(store)
        store.queue(first)
        for what in (store.outbox()[0], second):
            wire(seal(store, alice.person, what))

    killed = Killed(base, tmp_path / "killed", work, "alice")
    unclean = set()

    def check(left: list[bytes], died: bool) -> None:
        with opened(killed.root) as store:
            waiting = store.outbox()
            sealed = [one.sealed for one in waiting if one.state is State.SENT]
            # What left is known, so it can be sent again as it is; what is queued is not lost.
            assert sealed[: len(left)] == left
            assert [one.id for one in waiting] == [first.id, second.id][: len(waiting)]
            assert len(waiting) >= len(left)
            # Without new keys first, though a client has them come: no key may come twice.
            renewed(store)
            later = seal(store, alice.person, letter("later"))
            everything = [*sealed, later]
            assert all(everything)
            used = {generation(bob, one) for one in everything if one is not None}
            assert len(used) == len(everything)
            # Before the first seal it may be as clean as it was found, after the last one closed.
            assert store.unclean or not died or len(left) in (0, 2)
            unclean.add((len(left), store.unclean))
            counts = [one.count for one in store.outbox() if one.count is not None]
            assert counts == [*range(1, len(everything) + 1)]

    assert every_statement(killed, check) > 40
    assert {(0, True), (1, True), (2, True)} <= unclean


def test_receiving(room: tuple[Client, Client, Path], tmp_path: Path) -> None:
    """Whatever was taken is there once, and what was not is read by the next process."""
    alice, bob, base = room
    target = os.urandom(16)
    bob.say("one", target)
    bob.say(Edit(target, "uno"))
    bob.say(React(Target(bob.person.id, target), "+1"))
    bob.commit()
    bob.say("two")
    everything = alice.server.events
    reference = tmp_path / "reference"
    shutil.copytree(base, reference)
    with opened(reference) as store:
        assert all(isinstance(one, Opened | Advanced) for one in follow(store, alice.server))
        expected = shown(store)
        assert texts(store) == ["uno", "two"]

    def work(store: Store, wire: Wire) -> None:
        for event in range(len(everything)):
            alice.server.events = everything[: event + 1]
            follow(store, alice.server)
            wire(bytes([len(texts(store))]))

    killed = Killed(base, tmp_path / "killed", work, "alice")

    def check(left: list[bytes], _died: bool) -> None:
        with opened(killed.root) as store:
            if left:
                # What was shown is kept.
                assert len(texts(store)) >= left[-1][0]
            happened = follow(store, alice.server)
            assert all(isinstance(one, Opened | Advanced) for one in happened)
            assert shown(store) == expected
            kept = store.room(ROOM)
            assert kept is not None
            assert kept.group.authenticator == bob.room.group.authenticator
            assert store.messages.search("uno", 9) == [(ROOM, expected[0])]

    assert every_statement(killed, check) > 80


@pytest.mark.parametrize("winner", ["own", "other"])
def test_committing(room: tuple[Client, Client, Path], tmp_path: Path, winner: str) -> None:
    """A commit that may have left is there to be taken, or to be dropped for the one that won."""
    alice, bob, base = room
    start = list(alice.server.events)

    def work(store: Store, wire: Wire) -> None:
        room = store.room(ROOM)
        assert room is not None
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        kept = store.room(ROOM)
        assert kept is not None
        assert kept.pending is not None
        assert store.people.holds(ROOM) == ()  # as a client looks again before it uploads
        wire(kept.pending.message)
        if winner == "own":
            alice.server.append(EventClass.COMMIT, kept.pending.message)
        else:
            bob.commit()
        follow(store, alice.server)

    killed = Killed(base, tmp_path / "killed", work, "alice")
    outcomes = set()

    def check(left: list[bytes], died: bool) -> None:
        alice.server.events = list(start)
        other = Client(alice.server, bob.person)
        other.room, other.messages = bob.room, {}
        with opened(killed.root) as store:
            kept = store.room(ROOM)
            assert kept is not None
            ended = kept.followed.seq > len(start)
            outcomes.add((bool(left), kept.pending is not None, ended))
            if ended:
                # It has been followed: nothing is under way any more.
                assert kept.pending is None
                return
            if left:
                assert kept.pending is not None
                assert kept.pending.message == left[0]
            if winner == "own" and left:
                alice.server.append(EventClass.COMMIT, left[0])
                assert [type(one) for one in follow(store, alice.server)] == [Own]
            else:
                other.commit()
                (happened,) = follow(store, alice.server)
                assert isinstance(happened, Advanced)
                assert (happened.lost is None) == (kept.pending is None)
            other.sync()
            kept = store.room(ROOM)
            assert kept is not None
            assert kept.pending is None
            assert kept.group.authenticator == other.room.group.authenticator
            renewed(store)
            alice.server.append(EventClass.APP, seal(store, alice.person, letter("goes on")))
            follow(store, alice.server)
            other.sync()
            assert other.texts[-1] == "goes on"
            assert texts(store) == ["goes on"]

    assert every_statement(killed, check) > 40
    assert {
        (False, False, False),
        (False, True, False),
        (True, True, False),
        (True, False, True),
    } <= (outcomes)


def test_uploading_key_packages_and_coming_in_by_one(tmp_path: Path) -> None:
    """The private keys of whatever others may have are there; a welcome is used up with its room."""
    alice, bob = talk("alice", "bob")
    carol = Client(alice.server, Person("carol"))
    base = tmp_path / "base"
    with opened(base, "carol") as store:
        store.people.keep_own(
            OwnDevice(carol.person.identity(), SecretBytes(signing_seed("carol", 1)))
        )
        for known in alice.server.people.values():
            store.people.learn_log(encoded(known))
    packages = [carol.package() for _ in range(3)]
    used = packages[1]
    alice.commit(add=[used.package])
    bob.sync()
    welcome = decode_message(alice.welcome)
    assert isinstance(welcome, Welcome)
    tree = alice.room.group.public.tree.encode()

    def enter(store: Store) -> None:
        mine = store.keys.find([entry.new_member for entry in welcome.secrets])
        assert mine is not None
        carol._enter(join(welcome, mine, tree))
        store.enter(carol.room, key_package=mine.reference, inbox=1)

    def work(store: Store, wire: Wire) -> None:
        store.keys.keep(packages, NOW)
        for package in store.keys.to_upload():
            wire(package)
        store.keys.uploaded([package.reference for package in packages])
        enter(store)

    killed = Killed(base, tmp_path / "killed", work, "carol")
    outcomes = set()

    def check(left: list[bytes], _died: bool) -> None:
        with opened(killed.root, "carol") as store:
            outcomes.add((len(left), store.room(ROOM) is not None))
            known = {
                package.reference for package in packages if store.keys.find([package.reference])
            }
            if store.room(ROOM) is not None:
                assert known == {packages[0].reference, packages[2].reference}
                assert store.keys.inbox == 1
            elif left:
                assert len(known) == 3
                assert store.keys.inbox == 0
                enter(store)
            else:
                assert len(known) in (0, 3)
                return
            room = store.room(ROOM)
            assert room is not None
            assert room.group.authenticator == alice.room.group.authenticator

    assert every_statement(killed, check) > 40
    assert {(0, False), (3, False), (3, True)} <= outcomes


def test_coming_back_after_falling_behind(
    room: tuple[Client, Client, Path], tmp_path: Path
) -> None:
    """It is behind until it is in, and then follows from where it came in, whatever it saw before."""
    alice, bob, base = room
    with opened(base) as store:
        bob.commit()
        follow(store, alice.server)
        blind(store)
        rejoined = rejoin_by(bob, alice, store)
    alice.server.append(EventClass.COMMIT, rejoined.message)
    alice._enter(rejoined.group)
    into = rejoined.entered(alice.room.followed, NOW)
    bob.sync()
    bob.say("welcome back")

    def work(store: Store, wire: Wire) -> None:
        follow(store, alice.server)
        store.expire(NOW + PAST_GRACE_MS)
        wire(b"past")
        store.enter(into)
        wire(b"in")
        follow(store, alice.server)

    killed = Killed(base, tmp_path / "killed", work, "alice")
    outcomes = set()

    def check(left: list[bytes], _died: bool) -> None:
        with opened(killed.root) as store:
            kept = store.room(ROOM)
            assert kept is not None
            outcomes.add((kept.past is None, kept.behind is None))
            assert kept.past is None or not left
            if kept.behind is None:
                with pytest.raises(InvalidError, match="been in that epoch"):
                    store.enter(into)
            else:
                assert b"in" not in left
                follow(store, alice.server)
                store.enter(into)
            follow(store, alice.server)
            assert texts(store) == ["welcome back"]
            renewed(store)
            say(store, alice, "here again")
        reader = Client(alice.server, bob.person)
        reader.room, reader.hashes = bob.room, dict(bob.hashes)
        assert isinstance(reader.sync()[-1], Opened)
        assert reader.texts == ["here again"]
        del alice.server.events[-1]

    assert every_statement(killed, check) > 60
    assert outcomes == {(False, False), (True, False), (True, True)}


def test_making_and_migrating(tmp_path: Path) -> None:
    """Before it is there it is not, and a step is done or not."""
    base = tmp_path / "base"
    base.mkdir()

    def work(store: Store, wire: Wire) -> None:
        store.marks.keep_draft(ROOM, "typed")
        wire(b"typed")

    killed = Killed(base, tmp_path / "killed", work, "alice")

    def check(left: list[bytes], _died: bool) -> None:
        with opened(killed.root) as store:
            if left:
                assert store.marks.drafts() == {ROOM: "typed"}
            names = {path.name for path in (next(killed.root.glob("profiles/*/alice"))).iterdir()}
            assert names <= {"lock", "store.db", "store.db-wal"}

    assert every_statement(killed, check) > 30
