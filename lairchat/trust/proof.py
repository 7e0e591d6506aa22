"""How a device proves to a server which of its account's certified devices it is.

It signs the server's identity and the numbers of the session with its MLS signature key.  The server
never gives a session's number twice, so a signature is good for one session on one server.
"""

from dataclasses import dataclass
from typing import Final

from lairchat.mls.codec import U64, Fixed, Struct
from lairchat.model.identity import ServerId
from lairchat.trust.signing import HASH_BYTES, SigningKey, check_signature

PROOF_LABEL: Final = b"lairchat device proof v1"


@dataclass(frozen=True, slots=True)
class SessionProof(Struct):
    """What is signed.

    server: the server's identity, 32 bytes.
    session, device: by which numbers the server knows this session, and the device that it is of.
    """

    LAYOUT = (Fixed(HASH_BYTES), U64, U64)
    server: bytes
    session: int
    device: int


def sign_proof(key: SigningKey, server: ServerId, session: int, device: int) -> bytes:
    """Return the proof of a session, 64 bytes."""
    return key.sign(PROOF_LABEL, SessionProof(server.digest, session, device).encode())


def check_proof(
    public: bytes, server: ServerId, session: int, device: int, signature: bytes
) -> None:
    """Raise SignatureError unless the key signed the proof of this session."""
    content = SessionProof(server.digest, session, device).encode()
    check_signature(public, PROOF_LABEL, content, signature)
