"""The server's Ed25519 identity: what clients pin, and what proves their TLS peer to be it.

Promises not to know: TLS contexts, sessions.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lairchat.model.faults import StartBroken, StartPermission
from lairchat.model.identity import ServerId
from lairchat.transports.keyfiles import TooOpenError, read_private, write_private
from lairchat.wire.objects import IdentityStatement
from lairchat.wire.statement import identity_bytes

STATEMENT_SECONDS = 7 * 86_400
"""seconds: life of a statement. It bounds how long a stolen TLS key alone can pass for the server,
and must exceed the errors of clients' clocks."""
STATEMENT_RENEWAL_SECONDS = 86_400
"""seconds: age at which a cached statement is signed anew, so that six days are always left."""


class ServerIdentity:
    """The identity key and the statements signed with it; its repr shows the public id only."""

    __slots__ = ("_key", "_statements", "id", "public_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._statements: dict[bytes, IdentityStatement] = {}
        self.public_key = key.public_key().public_bytes_raw()
        self.id = ServerId.of_key(self.public_key)

    def __repr__(self) -> str:
        return f"<ServerIdentity {self.id.short}, key hidden>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a server identity is not pickled: the key stays in its file")

    @classmethod
    def create(cls, path: Path) -> "ServerIdentity":
        """Make a new identity and write it; never over an existing one.

        Raises FileExistsError then: clients that pinned the old identity would refuse the new.
        """
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, pem, replace=False)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "ServerIdentity":
        """Read the identity from its PKCS8 PEM file.

        Raises StartPermission when the file is missing, or readable by group or others, and
        StartBroken when it holds something else than an unencrypted Ed25519 key.
        """
        try:
            pem = read_private(path)
        except TooOpenError as error:
            raise StartPermission(path=path, why=error.why) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise StartPermission(path=path, why=why.lower()) from None
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise StartBroken(path=path, why="no unencrypted PEM private key in it") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise StartBroken(path=path, why="its key is not an Ed25519 key")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of data that says in its first bytes what it is.

        So that it can mean nothing else: a statement has its label, MLS has its own.
        """
        return self._key.sign(data)

    def statement(self, spki_sha256: bytes, now: int) -> IdentityStatement:
        """Return a signed statement that the TLS leaf key with this hash is this server's.

        now: ms since 1970. Statements are cached for a day per key; of the keys only the two
        newest are kept (live connections may still use the one before the last renewal).
        """
        seconds = now // 1000
        cached = self._statements.get(spki_sha256)
        if cached is not None:
            age = seconds + STATEMENT_SECONDS - cached.expires
            if 0 <= age < STATEMENT_RENEWAL_SECONDS:
                return cached
        expires = seconds + STATEMENT_SECONDS
        signature = self.sign(identity_bytes(spki_sha256, expires))
        statement = IdentityStatement(self.public_key, expires, signature)
        self._statements.pop(spki_sha256, None)
        self._statements[spki_sha256] = statement
        while len(self._statements) > 2:
            del self._statements[next(iter(self._statements))]
        return statement
