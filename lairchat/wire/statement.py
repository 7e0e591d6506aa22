"""The bytes that a server's identity key signs, so that both ends build the same ones."""

IDENTITY_LABEL = b"lairchat server identity v1\x00"
"""Keeps this signature from meaning anything elsewhere that the key may be used."""


def identity_bytes(spki_sha256: bytes, expires: int) -> bytes:
    """Return what the signature in :class:`lairchat.wire.objects.IdentityStatement` covers.

    spki_sha256: SHA-256 of the TLS leaf certificate's SubjectPublicKeyInfo in DER, 32 bytes
    (architecture.md, decision 11): it binds the identity to the TLS connection, so that a
    statement that was recorded proves nothing over another key.
    expires: seconds since 1970, encoded as u64 big-endian.
    """
    if len(spki_sha256) != 32:
        raise ValueError("the hash of a TLS key has 32 bytes")
    return IDENTITY_LABEL + spki_sha256 + expires.to_bytes(8, "big")
