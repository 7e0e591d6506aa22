"""Buffers of silent connections: given back without a byte lost, and only while that is possible."""

import contextlib

from OpenSSL import SSL
from OpenSSL._util import ffi, lib
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from lairchat.transports import buffers
from lairchat.transports.buffers import releasable, release_buffers
from lairchat.transports.tls import QUIET_SECONDS, ServerTLS, TLSProtocol
from tests.transports.loopback import EchoFactory, certified, client_context


class Wire:
    """A client and our server's TLS, joined in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.echo = EchoFactory()
        self.factory = ServerTLS(certified()).wrap(self.echo, self.clock)
        self.server: TLSProtocol = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        self.transport = StringTransport()
        self.server.makeConnection(self.transport)
        self.client = SSL.Connection(client_context())
        self.client.set_connect_state()
        self.pump()

    def pump(self) -> bytes:
        """Carry bytes both ways until nobody says more; return what the client decrypted."""
        received = b""
        for _ in range(20):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                self.server.dataReceived(self.client.bio_read(2**20))
            for _ in range(8):
                if self.transport.value():
                    self.client.bio_write(self.transport.value())
                    self.transport.clear()
                with contextlib.suppress(SSL.WantReadError):
                    received += self.client.recv(2**16)
        return received

    def says(self, data: bytes) -> bytes:
        rest = data
        received = b""
        while rest:
            rest = rest[self.client.send(rest) :]
            received += self.pump()
        return received

    def close(self) -> None:
        self.server.connectionLost(Failure(ConnectionLost()))


def bios(server: TLSProtocol) -> tuple[object, object]:
    connection = server.getHandle()
    return connection._into_ssl, connection._from_ssl


def test_this_pyopenssl_is_as_we_know_it() -> None:
    """When this fails, memory per connection grows and nothing else; buffers.py wants a look."""
    wire = Wire()
    assert releasable(wire.server.getHandle())


def test_given_back_after_the_handshake_and_the_connection_goes_on() -> None:
    wire = Wire()
    before = bios(wire.server)
    assert wire.says(b"hello") == b"hello"
    assert wire.server in wire.factory.grown
    wire.clock.advance(QUIET_SECONDS)
    assert wire.server not in wire.factory.grown
    assert bios(wire.server) != before
    for size in (1, 100, 1_000, 16_384, 50_000):
        assert wire.says(b"x" * size) == b"x" * size
    wire.close()
    assert not wire.clock.getDelayedCalls()


def test_given_back_again_after_a_large_piece_but_not_after_small_ones() -> None:
    wire = Wire()
    wire.clock.advance(QUIET_SECONDS)
    after_handshake = bios(wire.server)
    wire.says(b"x" * 500)
    wire.clock.advance(QUIET_SECONDS)
    assert bios(wire.server) == after_handshake
    wire.says(b"x" * 5_000)
    wire.clock.advance(QUIET_SECONDS)
    assert bios(wire.server) != after_handshake
    assert wire.says(b"hello") == b"hello"
    wire.close()


def test_a_large_write_alone_counts() -> None:
    wire = Wire()
    wire.clock.advance(QUIET_SECONDS)
    wire.server.write(b"x" * 5_000)
    assert wire.server in wire.factory.grown
    assert wire.pump() == b"x" * 5_000
    wire.close()


def test_not_while_bytes_are_in_them() -> None:
    wire = Wire()
    connection = wire.server.getHandle()
    before = bios(wire.server)
    connection.send(b"unsent")
    assert not release_buffers(connection)
    assert bios(wire.server) == before
    wire.clock.advance(QUIET_SECONDS)
    assert wire.server in wire.factory.grown  # it is tried again
    wire.server._flushSendBIO()
    assert wire.pump() == b"unsent"
    wire.clock.advance(QUIET_SECONDS)
    assert wire.server not in wire.factory.grown
    wire.close()


def test_half_a_record_survives_it() -> None:
    """OpenSSL holds what it has read of a record itself: new BIOs do not lose it."""
    wire = Wire()
    wire.client.send(b"one whole record")
    record = wire.client.bio_read(2**16)
    wire.server.dataReceived(record[:9])
    before = bios(wire.server)
    wire.clock.advance(QUIET_SECONDS)
    assert bios(wire.server) != before
    wire.server.dataReceived(record[9:])
    assert wire.pump() == b"one whole record"
    wire.close()


def test_writes_after_closing_are_dropped_and_do_not_count() -> None:
    wire = Wire()
    wire.clock.advance(QUIET_SECONDS)
    wire.server.loseConnection()
    wire.server.write(b"x" * 5_000)
    assert wire.server not in wire.factory.grown
    wire.close()
    wire.server.write(b"x" * 5_000)
    assert not wire.clock.getDelayedCalls()


def test_the_memory_is_really_given_back() -> None:
    wire = Wire()
    wire.says(b"x" * 16_000)
    assert has_memory(wire.server)
    wire.clock.advance(QUIET_SECONDS)
    assert not has_memory(wire.server)
    wire.close()


def test_another_pyopenssl_is_left_alone(monkeypatch) -> None:
    wire = Wire()
    before = bios(wire.server)
    monkeypatch.setattr(buffers, "_NEEDED", ("BIO_new", "no_such_function"))
    assert not releasable(wire.server.getHandle())
    assert release_buffers(wire.server.getHandle())
    assert bios(wire.server) == before
    monkeypatch.undo()
    assert not releasable(object())
    wire.close()


def has_memory(server: TLSProtocol) -> bool:
    """Tell whether the outgoing BIO, empty or not, has allocated anything."""
    place = ffi.new("char **")
    lib.BIO_get_mem_data(server.getHandle()._from_ssl, place)
    return place[0] != ffi.NULL
