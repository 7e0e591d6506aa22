"""Opens real connections for the link: TLS by tls.py, key derivation on another thread."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from lairchat.client.connection import Connection
from lairchat.client.tls import (
    PeerFacts,
    Pinned,
    TLSMode,
    Verified,
    connect,
    require_authorities,
    verify_identity,
)
from lairchat.model.identity import ServerId
from lairchat.trust.password import Keys, derive
from lairchat.wire.objects import ServerHello

#: What ``--ca`` takes for the authorities that the system trusts; such a file is ``./system``.
SYSTEM = "system"


def tls_mode(ca: str | None) -> TLSMode:
    """Return how a server is judged: see :class:`RealDialer` for what ``ca`` means.

    Raises Config for a file that cannot be used.
    """
    if ca is None:
        return Pinned()
    mode = Verified(None if ca == SYSTEM else Path(ca))
    require_authorities(mode)
    return mode


class RealDialer:
    """What the link dials with.

    ca: None judges a server by its signed identity alone; "system" also verifies its certificate
    by the system's authorities, a path by those in that file.
    """

    def __init__(self, reactor: Any, now: Any, ca: str | None = None) -> None:
        self._reactor = reactor
        self._now = now
        self._mode = tls_mode(ca)
        self.facts: PeerFacts | None = None

    @property
    def vouched(self) -> bool:
        """Whether somebody else vouches for a server that was never seen: then nobody is asked."""
        return isinstance(self._mode, Verified)

    async def dial(self, host: str, port: int, connection: Connection) -> bytes:
        """Connect; returns the SHA-256 of the TLS leaf's SPKI once TLS stands."""
        self.facts = await connect(self._reactor, host, port, self._mode, connection)
        return self.facts.spki_sha256

    def prove(self, host: str, hello: ServerHello, spki_sha256: bytes) -> ServerId:
        """Return whose hello this is; raises TlsIdentity when it does not prove it."""
        return verify_identity(host, hello.identity, spki_sha256, self._now())

    def derive(self, password: str, server: ServerId, name: str) -> "Deferred[Keys]":
        """Derive an account's keys on another thread: it takes a fifth of a second."""
        return deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), derive, password, server, name
        )
