"""TLS over a Twisted transport without its detours.

Twisted's TLSMemoryBIOProtocol hands each record to the transport's buffer, which asks the reactor
to be told in its next turn that the socket can be written: two system calls and a turn for what
one ``send`` does nearly always.  And it asks OpenSSL for more until an exception says that there
is no more.  Here what OpenSSL wrote goes to the socket at once, unless older bytes wait for it,
and OpenSSL is asked only while there is something to be had.  Everything else is Twisted's:
handshake, closing, errors, producers, and what does not fit into the socket.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ITransport
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from lairchat.transports.buffers import undecrypted, unsent

_RECORDS_BYTES = 2**15
"""bytes read at once, as in Twisted; more than a record of TLS, so that one read takes it whole."""


class WriteThroughTLS(TLSMemoryBIOProtocol):
    """One TLS connection that writes to its socket without waiting for a turn."""

    transport: ITransport
    _descriptor: FileDescriptor | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Start the handshake; a transport without a descriptor (in memory) is written to as ever."""
        # By class, and not by what it provides: its buffer is looked at, as below.
        if isinstance(transport, FileDescriptor):
            self._descriptor = transport
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def _flushSendBIO(self) -> None:
        connection: Any = self._tlsConnection
        size = unsent(connection)
        if size <= 0:
            if size < 0:
                super()._flushSendBIO()  # type: ignore[no-untyped-call]
            return
        rest = self._send_now(connection.bio_read(size))
        if rest:
            self.transport.write(rest)

    def _send_now(self, data: bytes) -> bytes:
        """Send what the socket takes, and return the rest."""
        descriptor = self._descriptor
        # Older bytes go first; and a socket that is gone cannot be asked.
        if (
            descriptor is None
            or descriptor._tempDataLen
            or descriptor.dataBuffer
            or not descriptor.connected
        ):
            return data
        sent = descriptor.writeSomeData(data)
        # An error is not lost: the transport meets it again when it sends the rest, and then ends
        # the connection from the reactor, where nobody is in the middle of something.
        return data[sent:] if isinstance(sent, int) else data

    def _flushReceiveBIO(self) -> None:
        connection: Any = self._tlsConnection
        while not self._lostTLSConnection:
            try:
                data: bytes = connection.recv(_RECORDS_BYTES)
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
