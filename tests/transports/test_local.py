"""lairctl's door: who is let in, what is asked back, and what happens when somebody leaves."""

import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from lairchat import __version__
from lairchat.lairctl_link import Daemon, NotRunningError
from lairchat.model import faults
from lairchat.operator import console, control
from lairchat.transports.local import ControlListener
from tests.operator.consoles import Bench, thing

WAIT = 10.0


class Door(TestCase):
    """A real socket, a real kernel, and callers in threads of their own."""

    timeout = 60

    def setUp(self) -> None:
        self.bench = Bench()
        directory = tempfile.mkdtemp(prefix="lair-local-")
        self.addCleanup(shutil.rmtree, directory)
        self.path = Path(directory) / "control"
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)
        self.listener = ControlListener(reactor, self.bench.server.kernel, self.path)
        self.listener.privilegedStartService()
        self.listener.startService()
        self.addCleanup(self.listener.stopService)
        pump = LoopingCall(self.bench.server.settle)
        pump.start(0.005)
        self.addCleanup(pump.stop)

    def note(self, event: Any) -> None:
        if event.get("log_namespace") in {"lairchat.audit", "lairchat.transports.local"}:
            self.events.append(event)

    def audited(self) -> list[tuple[str, str, int]]:
        return [(one["who"], one["line"], one["status"]) for one in self.events if "who" in one]

    def apart(self, function: Callable[..., Any], *given: Any) -> "Deferred[Any]":
        return deferToThread(function, *given)

    def call(self, run: control.FromCaller, *answers: control.FromCaller) -> "Deferred[list[Any]]":
        """Connect, send, answer what is asked; fires with all that came, up to Done or Offer."""
        return self.apart(talk, self.path, run, answers)

    async def soon(self, condition: Callable[[], Any]) -> None:
        for _ in range(round(WAIT / 0.02)):
            if condition():
                return
            await deferLater(reactor, 0.02)
        raise AssertionError("waited in vain")

    async def gone(self) -> None:
        """Wait until the door has noticed that nobody is there."""
        await self.soon(lambda: not self.listener._factory.connections)


def talk(path: Path, run: control.FromCaller, answers: Any) -> list[Any]:
    left = list(answers)
    came: list[Any] = []
    with Daemon(path) as daemon:
        daemon.send(run)
        while not came or not isinstance(came[-1], control.Done | control.Offer):
            came.append(daemon.receive())
            if isinstance(came[-1], control.Ask | control.Read):
                daemon.send(left.pop(0))
            elif isinstance(came[-1], control.Text) and came[-1].frame:
                daemon.send(control.Stop())
    return came


def words(*given: str, **more: Any) -> control.Run:
    return control.Run(words=list(given), **more)


class LettingIn(Door):
    async def test_the_socket_is_the_daemons_alone(self) -> None:
        mode = os.lstat(self.path).st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)

    async def test_callers_are_known_by_their_user_id(self) -> None:
        came = await self.call(words("thing", "show", "bell", "--json"))
        assert came[-1] == control.Done(0)
        assert '"name": "bell"' in came[0].text
        assert self.audited() == [(f"local:{os.getuid()}", "thing show bell", 0)]

    async def test_nobody_else_is_let_in(self) -> None:
        self.listener._factory.allowed = frozenset({os.getuid() + 1})
        with self.assertRaises(faults.ControlDenied):
            await self.call(words("thing", "list"))
        assert self.audited() == []
        assert "refused a local caller" in self.events[0]["log_format"]

    async def test_the_daemon_says_its_version(self) -> None:
        def greeting() -> bytes:
            with socket.socket(socket.AF_UNIX) as plain:
                plain.connect(str(self.path))
                return plain.recv(100)

        line = await self.apart(greeting)
        assert control.decode_daemon(line) == control.Hello(__version__)
        await self.gone()

    async def test_a_directory_may_lie_deep(self) -> None:
        deep = Path(self.mktemp()).absolute() / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        listener = ControlListener(reactor, self.bench.server.kernel, deep / "control")
        listener.privilegedStartService()
        try:
            came = await self.apart(talk, deep / "control", words("thing", "list"), ())
            assert came[-1] == control.Done(0)
        finally:
            await listener.stopService()
        assert not (deep / "control").exists()

    async def test_what_an_earlier_daemon_left_is_replaced(self) -> None:
        other = self.path.with_name("other")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(other))
        with self.assertRaises(NotRunningError):
            Daemon(other)
        listener = ControlListener(reactor, self.bench.server.kernel, other)
        listener.privilegedStartService()
        try:
            assert (await self.apart(talk, other, words("thing", "list"), ()))[-1].status == 0
        finally:
            await listener.stopService()

    async def test_a_socket_that_cannot_be_made_stops_the_start(self) -> None:
        nowhere = self.path.parent / "nowhere" / "control"
        with self.assertRaises(faults.StartListen):
            ControlListener(reactor, self.bench.server.kernel, nowhere).privilegedStartService()
        await ControlListener(reactor, self.bench.server.kernel, nowhere).stopService()

    async def test_a_stop_lets_the_callers_go(self) -> None:
        def wait_for_the_end() -> str:
            with Daemon(self.path) as daemon:
                connected.set()
                try:
                    daemon.receive()
                except faults.ControlLost as refusal:
                    return refusal.text
            return ""

        connected = threading.Event()
        end = self.apart(wait_for_the_end)
        await self.soon(connected.is_set)
        await self.listener.stopService()
        assert "it is gone" in await end
        assert not self.path.exists()


class Talking(Door):
    async def test_a_question_and_its_answers(self) -> None:
        lock = words("thing", "lock", "bell", asks=True)
        came = await self.call(lock, control.Reply(True))
        assert came[0] == control.Ask("would do: locked bell\nDo it? y/N ")
        assert came[-1] == control.Done(0)
        came = await self.call(lock, control.Reply(False))
        assert came[1:] == [control.Text("nothing was done\n", error=True), control.Done(1)]
        came = await self.call(words("thing", "lock", "bell"))
        assert "LC-CLI-ASKS" in came[0].text

    async def test_files_are_the_callers_to_read(self) -> None:
        add = words("thing", "key", "add", "bob", "k.pub")
        came = await self.call(add, control.FileText("ssh-ed25519 AAAA"))
        assert came == [control.Read("k.pub"), control.Text("kept 16\n"), control.Done(0)]
        came = await self.call(add, control.FileText(why="it is too long"))
        assert "LC-CTL-FILE" in came[1].text
        assert "it is too long" in came[1].text
        came = await self.call(add, control.Reply(True))
        assert "LC-CTL-FILE" in came[1].text

    async def test_a_line_is_cut_into_words_here(self) -> None:
        came = await self.call(control.Run(line="thing show 'bell' | count"))
        assert came == [control.Text("4\n"), control.Done(0)]
        came = await self.call(control.Run(line="thing show 'bell"))
        assert came[-1] == control.Done(2)

    async def test_several_commands_share_a_connection(self) -> None:
        def three() -> list[Any]:
            with Daemon(self.path) as daemon:
                came = []
                for one in (words("thing", "list", "|", "count"), control.Greet()):
                    daemon.send(one)
                    while not came or not isinstance(came[-1], control.Done):
                        came.append(daemon.receive())
                    came.append(None)
                came.append(daemon.complete("thing sh", 8))
                came.append(daemon.complete("thing sh", 10**9))
                return came

        came = await self.apart(three)
        assert came[0].text == "4\n"
        assert "owner" in came[3].text
        assert came[-2] == came[-1] == control.Offer(6, ["show"])

    async def test_the_terminals_width_counts(self) -> None:
        wide = (await self.call(words("thing", "list", columns=200)))[0].text
        narrow = (await self.call(words("thing", "list", columns=40)))[0].text
        silly = (await self.call(words("thing", "list", columns=-5)))[0].text
        assert len(narrow.splitlines()[0]) <= 40 < len(wide.splitlines()[0]) <= 200
        assert len(silly.splitlines()[0]) <= 80

    async def test_a_long_answer_comes_in_parts(self) -> None:
        self.bench.things = [thing("x", "y" * 20_000) for _ in range(3)]
        came = await self.call(words("thing", "list", "--json"))
        assert len(came) == 3
        assert "".join(one.text for one in came[:-1]).count("y" * 20_000) == 3

    async def test_an_answer_of_many_rows_holds_nobody_up(self) -> None:
        threads: list[threading.Thread] = []
        apart = self.listener._factory.apart

        def noted(work: Callable[[], str]) -> "Deferred[str]":
            return apart(lambda: threads.append(threading.current_thread()) or work())

        self.patch(self.listener._factory, "apart", noted)
        self.patch(console, "_MANY_ROWS", 4)
        came = await self.call(words("thing", "list", "--json"))
        assert came[0].text.count('"name"') == 4
        came = await self.call(words("thing", "list", "--like", "bell", "--json"))
        assert came[0].text.count('"name"') == 1
        assert len(threads) == 1
        assert threads[0] is not threading.current_thread()

    async def test_a_live_screen(self) -> None:
        came = await self.call(words("thing", "top", screen=True))
        assert came[0].frame
        assert came[-1] == control.Done(0)
        came = await self.call(words("thing", "top"))
        assert not came[0].frame

    async def test_a_bug_ends_the_conversation_and_is_logged(self) -> None:
        def break_it(*_given: Any) -> None:
            raise ZeroDivisionError

        self.patch(self.listener._factory.verbs, "find", break_it)
        with self.assertRaises(faults.ControlLost):
            await self.call(words("thing", "list"))
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Leaving(Door):
    def send(self, *lines: bytes) -> "Deferred[bytes]":
        """Send raw lines and return all that comes until the end."""

        def plainly() -> bytes:
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(WAIT)
                plain.connect(str(self.path))
                came = plain.recv(100)
                for line in lines:
                    plain.sendall(line)
                while data := plain.recv(65_536):
                    came += data
                return came

        return self.apart(plainly)

    async def test_whoever_does_not_speak_like_lairctl_is_let_go(self) -> None:
        for line in (
            b"GET / HTTP/1.1\n", b"\n", b"{}\n", b'{"t": "run", "words": [1]}\n', b"\xff\xfe\n",
            b"[" * 60_000 + b"\n", b'{"t": "hello", "version": "1"}\n', b'"\\ud800"\n',
        ):  # fmt: skip
            assert (await self.send(line)).count(b"\n") == 1
        await self.send(b"x" * (control.LINE_BYTES + 10))
        assert self.audited() == []
        await self.gone()

    async def test_two_commands_at_once_are_one_too_many(self) -> None:
        run = control.encode(words("thing", "lock", "bell", asks=True))
        await self.send(run, run)
        await self.gone()
        await self.soon(lambda: self.audited() == [(f"local:{os.getuid()}", "thing lock bell", 1)])
        assert [rehearsal for _, rehearsal in self.bench.said] == [True]

    async def test_a_caller_who_leaves_in_the_middle_changes_nothing(self) -> None:
        def leave() -> None:
            with Daemon(self.path) as daemon:
                daemon.send(words("thing", "lock", "bell", asks=True))
                daemon.receive()

        await self.apart(leave)
        await self.soon(self.audited)
        assert [rehearsal for _, rehearsal in self.bench.said] == [True]

    async def test_who_leaves_before_the_last_page_is_written_down(self) -> None:
        kernel, seen = self.bench.server.kernel, []
        receive = kernel.receive

        def late(peer: Any, frame: Any) -> None:
            """Let the second page be asked for once the caller has gone."""
            seen.append(frame)
            if len(seen) == 1:
                receive(peer, frame)
                return
            gone = Deferred.fromCoroutine(self.gone())
            gone.addCallback(lambda _: receive(peer, frame))

        self.patch(kernel, "receive", late)

        def leave() -> None:
            with Daemon(self.path) as daemon:
                daemon.send(words("thing", "list"))

        await self.apart(leave)
        await self.soon(self.audited)
        assert self.audited() == [(f"local:{os.getuid()}", "thing list", 0)]

    async def test_a_screen_nobody_looks_at_ends(self) -> None:
        def look() -> None:
            with Daemon(self.path) as daemon:
                daemon.send(words("thing", "top", screen=True))
                daemon.receive()
                daemon.send(control.Size(100))

        await self.apart(look)
        await self.soon(self.audited)
        assert self.audited()[0][1:] == ("thing top", 0)

    async def test_what_goes_on_waits_for_a_caller_who_does_not_read(self) -> None:
        self.patch(console, "_FRAME_SECONDS", 0.001)
        self.bench.note = "y" * 40_000
        done = threading.Event()

        def sleepily() -> int:
            with Daemon(self.path) as daemon:
                daemon.send(words("thing", "top", screen=True))
                done.wait(WAIT)
                size = 0
                while size < 4_000_000:
                    message = daemon.receive()
                    assert isinstance(message, control.Text)
                    size += len(message.text)
                return size

        reading = self.apart(sleepily)
        # What the kernel and Twisted hold for a connection is filled at once.
        await self.soon(lambda: len(self.bench.said) > 3)
        await deferLater(reactor, 0.5)
        held = len(self.bench.said)
        await deferLater(reactor, 0.5)
        assert len(self.bench.said) == held < 50
        done.set()
        assert await reading > 4_000_000
        await self.gone()
