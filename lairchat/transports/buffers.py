"""Looks into the buffers of TLS connections, fills them quickly, and gives back those of silent ones.

A memory BIO never shrinks: the handshake leaves 5 KiB in the two of a connection, and one written
record of 16 KiB (a page of history) leaves 21 KiB for as long as the connection lives, as measured
with benchmarks/idle_tls.py.  OpenSSL allows to exchange empty BIOs at any time (SSL_set_bio(3));
pyOpenSSL has no method for it, so this module reaches into it, alone, and does nothing where
pyOpenSSL looks different.  tests/transports/test_buffers.py says when that happens.
"""

from typing import Any

from OpenSSL import SSL

try:
    from OpenSSL._util import ffi, lib
except ImportError:  # pragma: no cover - another pyOpenSSL: memory grows, nothing else
    ffi = lib = None

#: More than a record of TLS 1.3 with its header (16,645 bytes).
_ROOM = bytearray(2**15)
_VIEW = memoryview(_ROOM)
_LOOK = getattr(lib, "BIO_get_mem_data", None)
_WRITE = getattr(lib, "SSL_write", None)
_TAKE = getattr(lib, "BIO_read", None)
_READ = getattr(lib, "SSL_read", None)
_NOTHING = None if ffi is None else ffi.NULL
_PLACE = None if ffi is None else ffi.from_buffer(_ROOM)
_NEEDED = ("BIO_new", "BIO_s_mem", "BIO_get_mem_data", "SSL_set_bio")


def release_buffers(connection: SSL.Connection) -> bool:
    """Exchange the memory BIOs of a connection for new ones.

    Call it after the handshake and between two events of the connection, never from within one.
    Returns False if they hold bytes now, so that it has to be tried again.
    """
    inner: Any = connection
    if not releasable(inner):
        return True
    nothing = ffi.NULL
    if lib.BIO_get_mem_data(inner._into_ssl, nothing) or lib.BIO_get_mem_data(
        inner._from_ssl, nothing
    ):
        return False
    into, out = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
    if nothing in (into, out):  # pragma: no cover - out of memory
        raise MemoryError
    # Frees the old ones and owns the new ones, as in Connection.__init__.
    lib.SSL_set_bio(inner._ssl, into, out)
    inner._into_ssl, inner._from_ssl = into, out
    return True


def releasable(connection: Any) -> bool:
    """Tell whether this pyOpenSSL is as this module knows it."""
    return (
        lib is not None
        and all(hasattr(lib, name) for name in _NEEDED)
        and bool(getattr(connection, "_into_ssl", None))
        and bool(getattr(connection, "_from_ssl", None))
    )


def undecrypted(connection: Any) -> bool:
    """Tell whether bytes wait for OpenSSL to read them; True where that cannot be told.

    OpenSSL reads no more than the record it is asked for, and keeps what it has of half a one.
    """
    return _LOOK is None or _LOOK(connection._into_ssl, _NOTHING) > 0


def unsent(connection: Any) -> int:
    """Return how many bytes OpenSSL has written and nobody has sent; -1 where nobody can tell."""
    return -1 if _LOOK is None else int(_LOOK(connection._from_ssl, _NOTHING))


def encrypt(connection: Any, data: bytes) -> tuple[int, memoryview]:
    """Encrypt as much as fits a record, and return how much that is and the bytes to send.

    The bytes stay as they are until the next call: all connections share their memory, which
    therefore stays in the processor's cache.  Costs 2 us where ``send`` and ``bio_read`` cost 5.
    Returns 0 or less when OpenSSL does not do it: ``Connection.send`` then raises the reason.
    """
    if _WRITE is None or _TAKE is None:
        return 0, _VIEW[:0]
    taken: int = _WRITE(connection._ssl, data, len(data))
    if taken <= 0:
        return taken, _VIEW[:0]
    return taken, _VIEW[: _TAKE(connection._from_ssl, _PLACE, len(_ROOM))]


def decrypt(connection: Any) -> bytes:
    """Return the content of the next record; nothing when there is none.

    ``Connection.recv`` then raises the reason.  Costs 1 us where ``recv`` costs 2.5.
    """
    size = 0 if _READ is None else _READ(connection._ssl, _PLACE, len(_ROOM))
    return bytes(_VIEW[:size]) if size > 0 else b""
