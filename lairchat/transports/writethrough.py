"""TLS over a Twisted transport without its detours: a small write costs half as much.

Twisted's TLSMemoryBIOProtocol hands each record to the transport's buffer, which asks the reactor
to be told in its next turn that the socket can be written: two system calls and a turn for what
one ``send`` does nearly always.  And it asks OpenSSL for more until an exception says that there
is no more.  Here what OpenSSL wrote goes to the socket at once, unless older bytes wait for it,
and OpenSSL is asked only while there is something to be had.  Everything else is Twisted's:
handshake, closing, errors, producers, and what does not fit into the socket.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from lairchat.transports.buffers import decrypt, encrypt, undecrypted, unsent

_RECORD_BYTES = 2**14
"""bytes of content that one record of TLS holds."""
_READ_BYTES = 2**15
"""bytes read at once, as in Twisted; more than a record of TLS, so that one read takes it whole."""


class WriteThroughTLS(TLSMemoryBIOProtocol):
    """One TLS connection that writes to its socket without waiting for a turn."""

    transport: ITransport
    _direct: Connection | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Start the handshake; a transport without a socket (in memory) is written to as ever."""
        # By class, and not by what it provides: its buffer is looked at, as below.
        if isinstance(transport, Connection):
            self._direct = transport
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def _write(self, data: bytes) -> None:
        if self._direct is None or self._appSendBuffer or not self._handshakeDone:
            super()._write(data)  # type: ignore[no-untyped-call]
            return
        done = 0
        while done < len(data) and not self._lostTLSConnection:
            part = data[done : done + _RECORD_BYTES]
            taken, sealed = encrypt(self._tlsConnection, part)
            if taken <= 0:
                super()._write(part)  # type: ignore[no-untyped-call]
                taken = len(part)
            else:
                # Less than was given where the client has asked for smaller records.
                self._send(self._direct, sealed)
            done += taken

    def _flushSendBIO(self) -> None:
        connection: Any = self._tlsConnection
        size = unsent(connection)
        if size < 0 or self._direct is None:
            super()._flushSendBIO()  # type: ignore[no-untyped-call]
        elif size:
            self._send(self._direct, connection.bio_read(size))

    def _send(self, direct: Connection, data: bytes | memoryview) -> None:
        """Send at once what the socket takes, and leave the rest to the transport."""
        sent = 0
        # Older bytes go first; and a socket that is gone cannot be asked.
        if not direct._tempDataLen and not direct.dataBuffer and direct.connected:
            try:
                sent = direct.socket.send(data)
            except OSError:
                # Full, or an error, which is not lost: the transport meets it again when it sends
                # the rest, and ends the connection from the reactor, where nobody is in the middle
                # of something.
                sent = 0
        if sent < len(data):
            direct.write(bytes(data[sent:]))

    def _flushReceiveBIO(self) -> None:
        connection: Any = self._tlsConnection
        while not self._lostTLSConnection:
            try:
                data: bytes = decrypt(connection) or connection.recv(_READ_BYTES)
            except SSL.WantReadError:  # half a record, or one that is not for us
                break
            except SSL.ZeroReturnError:  # the peer's goodbye
                self._shutdownTLS()
                self._tlsShutdownFinished(None)
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
            else:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(data)
                if not undecrypted(connection):
                    break
        self._flushSendBIO()
