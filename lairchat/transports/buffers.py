"""Looks into the buffers of TLS connections, and gives back those of silent ones.

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

_LOOK = getattr(lib, "BIO_get_mem_data", None)
_NOTHING = None if ffi is None else ffi.NULL
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
