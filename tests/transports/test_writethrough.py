"""TLS that writes at once: the order of bytes, a full socket, a lost one, many records in one piece."""

import socket
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from lairchat.transports import buffers
from lairchat.transports.tls import ServerTLS
from tests.transports.loopback import certified, client_context, listen, until


class Listener(Protocol):
    """Keeps each piece that it is given, and does nothing by itself."""

    def connectionMade(self) -> None:
        self.factory.protocols.append(self)
        self.pieces: list[bytes] = []
        self.reasons: list[Any] = []
        self.paused = False

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Any) -> None:
        self.reasons.append(reason)


class WriteThrough(TestCase):
    """A client that is moved by hand: while it acts, the server's reactor does not run."""

    def setUp(self):
        factory = Factory.forProtocol(Listener)
        factory.protocols = self.protocols = []
        factory.noisy = False

        async def start():
            from twisted.internet import reactor

            self.port = await listen(ServerTLS(certified()).wrap(factory, reactor))
            self.socket = socket.create_connection(("127.0.0.1", self.port.getHost().port))
            self.socket.setblocking(False)
            self.client = SSL.Connection(client_context(), self.socket)
            self.client.set_connect_state()
            await until(self.shaken, "the handshake")
            self.server = self.protocols[0]
            self.tls = self.server.transport
            await until(lambda: self.tls._handshakeDone, "the server's side of it")

        return Deferred.fromCoroutine(start())

    def tearDown(self):
        async def stop():
            await maybeDeferred(self.port.stopListening)
            self.socket.close()
            if not self.server.reasons:
                self.tls.abortConnection()
            await until(lambda: self.server.reasons, "the server's side to end")

        return Deferred.fromCoroutine(stop())

    def shaken(self) -> bool:
        try:
            self.client.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def read(self) -> bytes:
        """Return what has arrived at the client by now."""
        received = b""
        while True:
            try:
                received += self.client.recv(2**16)
            except SSL.WantReadError:
                return received

    async def receive(self, size: int) -> bytes:
        """Return what arrives until there are so many bytes."""
        received = b""

        def complete() -> bool:
            nonlocal received
            received += self.read()
            return len(received) >= size

        await until(complete, "all of it")
        return received

    def read_on(self) -> bytes:
        """Return the next that has arrived; raises ZeroReturnError at the server's goodbye."""
        try:
            return self.client.recv(2**16)
        except SSL.WantReadError:
            return b""

    @property
    def waiting(self) -> int:
        """How many bytes wait in the transport for a turn of the reactor."""
        descriptor = self.tls.transport
        return descriptor._tempDataLen + len(descriptor.dataBuffer)

    def fill(self) -> bytes:
        """Write until the socket takes no more; return all that was written."""
        written = b""
        while not self.waiting:
            written += b"%08d" % len(written) * 2_000
            self.tls.write(written[-16_000:])
        return written

    async def test_what_is_written_leaves_in_the_same_turn(self):
        self.tls.write(b"now")
        assert self.waiting == 0
        assert self.read() == b"now"

    async def test_what_the_socket_does_not_take_follows_in_order(self):
        written = self.fill()
        self.tls.write(b"the last")
        assert await self.receive(len(written) + 8) == written + b"the last"
        assert self.waiting == 0
        self.tls.write(b"now")
        assert self.read() == b"now"

    async def test_nothing_overtakes_what_waits_although_the_socket_has_room_again(self):
        written = self.fill()
        received = self.read()
        self.tls.write(b"the last")
        received += await self.receive(len(written) + 8 - len(received))
        assert received == written + b"the last"

    async def test_what_is_written_after_the_goodbye_costs_nothing_of_what_was_before(self):
        written = self.fill()
        self.tls.loseConnection()
        self.tls.write(b"late")
        received = b""

        def ended() -> bool:
            nonlocal received
            try:
                while piece := self.read_on():
                    received += piece
            except SSL.ZeroReturnError:
                return True
            return False

        await until(ended, "the goodbye")
        assert received == written

    async def test_a_peer_that_does_not_read_stops_the_producer(self):
        class Producer:
            paused = False

            def pauseProducing(self):
                self.paused = True

            def resumeProducing(self):
                self.paused = False

            def stopProducing(self):
                pass

        producer = Producer()
        self.tls.registerProducer(producer, True)
        written = self.fill()
        while not producer.paused:
            written += bytes(16_000)
            self.tls.write(bytes(16_000))
        assert self.waiting < 200_000
        received = 0

        def resumed() -> bool:
            nonlocal received
            received += len(self.read())
            return not producer.paused and received == len(written)

        await until(resumed, "the producer to go on")

    async def test_a_write_to_a_peer_that_is_gone_ends_the_connection_once_and_later(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()  # a reset
        self.tls.write(b"into nothing")
        self.tls.write(b"again")
        assert not self.server.reasons, "told while somebody is still writing"
        await until(lambda: self.server.reasons, "the news")
        assert len(self.server.reasons) == 1
        assert self.server.reasons[0].check(ConnectionLost)
        self.tls.write(b"too late")

    async def test_records_that_arrive_in_one_piece_are_all_delivered(self):
        for number in range(50):
            self.client.send(b"%d " % number)
        await until(lambda: len(self.server.pieces) >= 50, "fifty records")
        assert b"".join(self.server.pieces) == b"".join(b"%d " % number for number in range(50))

    async def test_the_largest_record_is_one_piece(self):
        self.client.send(b"x" * 16_384)
        await until(lambda: self.server.pieces, "the record")
        assert self.server.pieces == [b"x" * 16_384]

    async def test_a_goodbye_behind_a_record_is_heard(self):
        self.client.send(b"the last")
        self.client.shutdown()
        await until(lambda: self.server.reasons, "the end")
        assert self.server.pieces == [b"the last"]

    async def test_a_forged_record_ends_the_connection(self):
        self.client.send(b"good")
        self.socket.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        await until(lambda: self.server.reasons, "the end")
        assert self.server.pieces == [b"good"]
        assert self.server.reasons[0].check(SSL.Error)

    async def test_after_an_abort_nothing_is_delivered(self):
        self.client.send(b"one")
        self.client.send(b"two")
        self.server.dataReceived = lambda data: (  # what a protocol error does
            self.server.pieces.append(data),
            self.tls.abortConnection(),
        )
        await until(lambda: self.server.reasons, "the end")
        assert self.server.pieces == [b"one"]

    async def test_more_than_a_record_is_several(self):
        data = bytes(range(256)) * 200
        self.tls.write(data)
        assert self.waiting == 0
        assert self.read() == data

    async def test_smaller_records_are_allowed(self):
        """A client may ask for them (max_fragment_length, RFC 6066)."""
        self.patch(
            buffers,
            "_WRITE",
            lambda ssl, data, size: lib.SSL_write(ssl, data[:1000], min(size, 1000)),
        )
        data = bytes(range(256)) * 80
        self.tls.write(data)
        assert self.read() == data

    async def test_what_openssl_refuses_ends_the_connection(self):
        self.tls.getHandle().shutdown()  # nothing may be written behind the goodbye
        self.tls.write(b"x" * 40_000)
        await until(lambda: self.server.reasons, "the end")
        assert self.server.reasons[0].check(SSL.Error)

    async def test_another_pyopenssl_is_served_as_twisted_does(self):
        self.patch(buffers, "_LOOK", None)
        self.patch(buffers, "_WRITE", None)
        self.patch(buffers, "_READ", None)
        self.tls.write(b"in a turn")
        assert self.waiting > 0
        received = b""

        def complete() -> bool:
            nonlocal received
            received += self.read()
            return received == b"in a turn"

        await until(complete, "the words")
        self.client.send(b"one")
        self.client.send(b"two")
        await until(lambda: b"".join(self.server.pieces) == b"onetwo", "both records")


class Foreign(TestCase):
    """What WriteThroughTLS reaches into, and what it does without it."""

    def test_twisted_is_as_we_know_it(self):
        """When this fails, WriteThroughTLS._send wants a look."""
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        connection = Connection(here, Protocol())
        assert isinstance(connection, FileDescriptor)
        assert (connection._tempDataLen, connection.dataBuffer) == (0, b"")
        connection.connected = 1
        self.addCleanup(connection.stopWriting)
        FileDescriptor.write(connection, b"12345")
        assert connection._tempDataLen == 5
        assert connection.socket.send(b"123") == 3

    def test_this_pyopenssl_is_as_we_know_it(self):
        """When this fails, reads and writes cost twice as much, and nothing else."""
        assert buffers._LOOK is not None
        assert buffers._WRITE is not None
        assert buffers._READ is not None
        assert buffers._TAKE is not None

    def test_a_transport_without_a_descriptor_is_written_to_as_ever(self):
        factory = Factory.forProtocol(Protocol)
        from twisted.internet import reactor

        tls = ServerTLS(certified()).wrap(factory, reactor)
        server = tls.buildProtocol(None)
        transport = StringTransport()
        server.makeConnection(transport)
        client = SSL.Connection(client_context())
        client.set_connect_state()
        with self.assertRaises(SSL.WantReadError):
            client.do_handshake()
        server.dataReceived(client.bio_read(2**16))
        assert transport.value().startswith(b"\x16\x03\x03")
        server.abortConnection()
        tls.unregisterProtocol(server)
