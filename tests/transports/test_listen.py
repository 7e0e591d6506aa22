"""Listeners: a failure is never silent, accepts stop while connections go on, a flood is quiet."""

import contextlib
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path

from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from lairchat.model.faults import Config, StartListen, StartPort
from lairchat.transports import listen
from lairchat.transports.listen import AcceptLog, ChatListener
from lairchat.transports.tls import ServerTLS
from tests.transports.loopback import EchoFactory, certified, client_context, dial, sleep, until


class ListenCase(TestCase):
    """Makes listeners and stops what they started."""

    def setUp(self):
        self.echo = EchoFactory()
        self.failures = []
        self.started = []
        self.events = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def listener(self, endpoint: str, tls: ServerTLS | None = None) -> ChatListener:
        listener = ChatListener(
            reactor, endpoint, self.echo, tls=tls, on_failure=self.failures.append
        )
        self.started.append(listener)
        return listener

    def tearDown(self):
        async def stop():
            for listener in self.started:
                await listener.stopService()
            for protocol in list(self.echo.live):
                protocol.transport.abortConnection()
            await until(lambda: not self.echo.live, "all gone")

        return Deferred.fromCoroutine(stop())

    def lines(self, word: str) -> list[str]:
        from twisted.logger import formatEvent

        return [text for text in map(formatEvent, self.events) if word in text]


def plain_connection(listener: ChatListener) -> socket.socket:
    host, _, port = listener.address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)))


class Endpoints(ListenCase):
    """Every kind of stream endpoint."""

    async def test_tcp_with_tls(self):
        listener = self.listener("tcp:0:interface=127.0.0.1", ServerTLS(certified()))
        assert listener.address == "tcp:0:interface=127.0.0.1"
        listener.startService()
        assert listener.address.startswith("127.0.0.1:")
        client = await dial(listener.port, client_context(alpn=[b"lair/1"]))
        assert await client.says(b"hello") == b"hello"
        assert self.echo.all[0].facts.alpn == "lair/1"
        client.transport.abortConnection()
        await until(lambda: client.lost, "the end")
        assert self.lines("listening on 127.0.0.1:")[0].endswith(", TLS")

    async def test_ipv6(self):
        listener = self.listener("tcp6:0:interface=\\:\\:1")
        listener.startService()
        assert listener.address.startswith("[::1]:")
        assert not listener.public
        plain_connection(listener).close()
        await until(lambda: self.echo.all, "the accept")

    async def test_unix(self):
        path = Path(tempfile.mkdtemp(), "lair.sock")
        listener = self.listener(f"unix:{path}:mode=600")
        listener.startService()
        assert listener.address == str(path)
        assert mode(path) == 0o600
        assert listener.warn_if_public() is None
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            await until(lambda: self.echo.all, "the accept")

    async def test_a_socket_from_systemd(self):
        """LISTEN_FDS as systemd hands them over, in a process of its own."""
        with socket.create_server(("127.0.0.1", 0)) as opened:
            program = (
                "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.set_inheritable(3, True)\n"
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',"
                " LISTEN_FDNAMES='chat')\n"
                "from twisted.internet import reactor\n"
                "from lairchat.transports.listen import ChatListener\n"
                "from tests.transports.loopback import EchoFactory\n"
                "echo = ChatListener(reactor, 'systemd:domain=INET:name=chat', EchoFactory(),"
                " tls=None, on_failure=print)\n"
                "echo.startService(); print(echo.address, flush=True)\n"
                "reactor.callLater(20, reactor.stop); reactor.run()\n"
            )
            import subprocess

            process = subprocess.Popen(
                [sys.executable, "-c", program, str(opened.fileno())],
                pass_fds=[opened.fileno()],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            try:
                host, port = opened.getsockname()
                line = process.stdout.readline().decode().strip()
                assert line == f"{host}:{port}"
            finally:
                process.kill()
                process.communicate()

    def test_an_endpoint_string_that_cannot_be_understood(self):
        for endpoint in ("tcp:seven", "tcp:7023:colour=blue", "tcp:"):
            with self.assertRaises(Config) as refused:
                ChatListener(reactor, endpoint, self.echo, tls=None, on_failure=print)
            assert endpoint in refused.exception.text
            assert "tcp:7023:interface=127.0.0.1" in refused.exception.text

    def test_an_endpoint_of_an_unknown_kind(self):
        listener = self.listener("carrier-pigeon:7023")
        with self.assertRaises(Config) as refused:
            listener.startService()
        assert "carrier-pigeon" in refused.exception.text
        assert self.failures == []

    def test_a_herd_finds_a_long_queue(self):
        asked = []

        def server_from_string(reactor, description):
            asked.append(description)
            return TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")

        self.patch(listen, "serverFromString", server_from_string)
        self.listener("tcp:7023")
        self.listener("tcp:7023:backlog=7")
        assert asked == ["tcp:7023:backlog=1024", "tcp:7023:backlog=7"]


class Failures(ListenCase):
    """A daemon never runs without the listeners that it was told to have."""

    def test_a_taken_port_is_an_error_at_start_with_the_next_step(self):
        first = self.listener("tcp:0:interface=127.0.0.1")
        first.startService()
        port = first.port.getHost().port
        second = self.listener(f"tcp:{port}:interface=127.0.0.1")
        with self.assertRaises(StartPort) as refused:
            second.startService()
        assert refused.exception.code == "LC-START-PORT"
        text = f"cannot listen on 127.0.0.1:{port}: address already in use."
        assert text in refused.exception.text
        assert f"ss -ltnp 'sport = :{port}'" in refused.exception.text
        assert self.failures == []  # raised, not reported twice

    def test_a_taken_port_on_every_interface(self):
        with socket.create_server(("", 0)) as taken:
            port = taken.getsockname()[1]
            with self.assertRaises(StartPort) as refused:
                self.listener(f"tcp:{port}").startService()
        assert f"cannot listen on *:{port}" in refused.exception.text

    def test_a_service_tree_passes_it_on(self):
        """What makes twistd exit with status 1 (facts.md, on strports.service)."""
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
            parent = MultiService()
            port = taken.getsockname()[1]
            listener = self.listener(f"tcp6:{port}:interface=\\:\\:1")
            listener.setServiceParent(parent)
            with self.assertRaises(StartPort) as refused:
                parent.privilegedStartService()
        assert f"cannot listen on [::1]:{port}" in refused.exception.text

    def test_an_address_of_another_computer(self):
        with self.assertRaises(StartListen) as refused:
            self.listener("tcp:7023:interface=192.0.2.7").startService()
        assert "192.0.2.7:7023: cannot assign requested address" in refused.exception.text

    def test_a_unix_socket_that_another_process_holds(self):
        path = Path(tempfile.mkdtemp(), "lair.sock")
        self.listener(f"unix:{path}").startService()
        with self.assertRaises(StartListen) as refused:
            self.listener(f"unix:{path}").startService()
        assert f"{path}: cannot acquire lock" in refused.exception.text

    def test_a_port_that_cannot_be(self):
        with self.assertRaises(StartListen) as refused:
            self.listener("tcp:99999:interface=127.0.0.1").startService()
        assert "port must be 0-65535" in refused.exception.text

    def test_a_directory_that_is_not_there(self):
        with self.assertRaises(StartListen) as refused:
            self.listener("unix:/nowhere/lair.sock:lockfile=0").startService()
        assert "/nowhere/lair.sock: no such file or directory" in refused.exception.text

    async def test_an_onion_service_without_tor(self):
        """The real parser of txtorcon, and nobody at Tor's control port."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            control = closed.getsockname()[1]
        listener = self.listener(f"onion:7023:version=3:controlPort={control}")
        listener.startService()
        await until(lambda: self.failures, "the failure")
        assert self.failures[0].code == "LC-START-LISTEN"
        assert "refused" in self.failures[0].text

    def fake_endpoint(self, answer):
        class Endpoint:
            def listen(self, factory):
                return answer

        self.patch(listen, "serverFromString", lambda reactor, description: Endpoint())
        return self.listener("onion:7023:version=3")

    def test_an_onion_service_that_fails_later_is_reported(self):
        later = Deferred()
        listener = self.fake_endpoint(later)
        listener.startService()
        assert self.failures == []
        later.errback(RuntimeError("tor did not start"))
        assert [failure.code for failure in self.failures] == ["LC-START-LISTEN"]
        assert "onion:7023:version=3: tor did not start" in self.failures[0].text

    def test_an_onion_service_that_fails_without_words(self):
        listener = self.fake_endpoint(fail(ValueError()))
        with self.assertRaises(StartListen) as refused:
            listener.startService()
        assert "ValueError" in refused.exception.text

    async def test_stopping_while_an_onion_service_still_starts(self):
        later = Deferred()
        listener = self.fake_endpoint(later)
        listener.startService()
        await listener.stopService()
        assert self.failures == []
        assert listener.port is None

    async def test_an_onion_service_has_an_address_and_is_not_public(self):
        class Address:
            onion_uri = "abcdefghij.onion"

        class Port:
            stopped = False

            def getHost(self):
                return Address()

            def stopListening(self):  # txtorcon returns nothing here
                self.stopped = True

        port = Port()
        listener = self.fake_endpoint(succeed(port))
        listener.startService()
        assert listener.address == "abcdefghij.onion"
        assert not listener.public
        await listener.stopService()
        assert port.stopped


class Draining(ListenCase):
    """Stopping accepts is not stopping connections."""

    async def test_live_connections_go_on(self):
        listener = self.listener("tcp:0:interface=127.0.0.1", ServerTLS(certified()))
        listener.startService()
        address = listener.port.getHost()
        client = await dial(listener.port, client_context())
        assert await client.says(b"hello") == b"hello"
        await listener.stopService()
        assert listener.port is None
        assert not listener.running
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port))
        assert await client.says(b"draining") == b"draining"
        client.transport.abortConnection()
        await until(lambda: client.lost, "the end")

    async def test_it_can_start_again(self):
        listener = self.listener("tcp:0:interface=127.0.0.1")
        for _ in range(2):
            listener.privilegedStartService()
            listener.startService()
            accepted = len(self.echo.all)
            plain_connection(listener).close()
            await until(lambda: len(self.echo.all) > accepted, "an accept")  # noqa: B023
            await listener.stopService()

    async def test_several_listeners_of_one_factory(self):
        tls = ServerTLS(certified())
        parent = MultiService()
        for endpoint in ("tcp:0:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1"):
            self.listener(endpoint, tls).setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        for listener in parent:
            plain_connection(listener).close()
        await until(lambda: len(self.echo.all) == 2, "two accepts")
        await parent.stopService()
        assert [listener.port for listener in parent] == [None, None]


class Warnings(ListenCase):
    """Strangers can reach it: the operator hears of it."""

    def test_loopback_is_nothing_to_warn_of(self):
        for endpoint in ("tcp:0:interface=127.0.0.1", "tcp:0:interface=127.1.2.3"):
            listener = self.listener(endpoint)
            assert listener.warn_if_public() is None
            listener.startService()
            assert not listener.public
            assert listener.warn_if_public() is None

    def test_every_interface_is(self):
        listener = self.listener("tcp:0", ServerTLS(certified()))
        listener.startService()
        assert listener.public
        port = listener.port.getHost().port
        expected = f"0.0.0.0:{port} can be reached from other computers: review [limits]"
        assert expected in listener.warn_if_public()
        assert self.lines(expected)

    def test_without_tls_it_says_what_that_means(self):
        listener = self.listener("tcp6:0")
        listener.startService()
        assert "passwords and messages can be read" in listener.warn_if_public()


class DescriptorsRunOut(ListenCase):
    """EMFILE: the daemon turns connections away, says so once, and recovers."""

    async def test_survived_with_one_line_and_no_addresses(self):
        listener = self.listener("tcp:0:interface=127.0.0.1")
        listener.startService()
        await sleep(0)  # from here the reactor runs, which needs descriptors itself
        sockets = [socket.socket() for _ in range(30)]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest_descriptor() + 1, before[1]))
        fillers = fill_descriptors()
        try:
            for opened in sockets:
                opened.setblocking(False)
                opened.connect_ex(("127.0.0.1", listener.port.getHost().port))
            await until(lambda: self.lines("turned away"), "the line")
            await until(lambda: all(map(ended, sockets[10:])), "all turned away")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for filler in fillers:
                os.close(filler)
            for opened in sockets:
                opened.close()
        assert len(self.lines("turned away")) == 1
        assert "raise LimitNOFILE" in self.lines("turned away")[0]
        assert not self.lines("EMFILE")
        accepted = len(self.echo.all)
        plain_connection(listener).close()
        await until(lambda: len(self.echo.all) > accepted, "service again")

    def test_at_most_one_line_a_minute(self):
        clock = Clock()
        report = AcceptLog(clock)
        report({"log_format": "EMFILE encountered; releasing reserved file descriptor."})
        assert not self.lines("turned away")
        for _ in range(500):
            report({"address": ("192.0.2.7", 1)})
        clock.advance(59)
        report({"acceptError": "EMFILE"})
        assert [line.split("memory: ")[1][:19] for line in self.lines("turned away")] == [
            "1 connections turne"
        ]
        clock.advance(1)
        report({"acceptError": "EMFILE"})
        assert "502 connections" in self.lines("turned away")[1]
        assert not self.lines("192.0.2.7")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def highest_descriptor() -> int:
    return max(int(path.name) for path in Path("/proc/self/fd").iterdir())


def fill_descriptors() -> list[int]:
    opened = []
    with contextlib.suppress(OSError):
        while True:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    return opened


def ended(opened: socket.socket) -> bool:
    try:
        return opened.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
