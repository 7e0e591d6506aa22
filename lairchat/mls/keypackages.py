"""A client's own key packages, with the private keys that nobody else sees (RFC 9420 section 10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from lairchat.mls.objects import (
    MLS10,
    Capabilities,
    Credential,
    Extension,
    KeyPackage,
    LeafNode,
    Lifetime,
)
from lairchat.mls.suites import Random, SigningKey, Suite, suite_of


@dataclass(frozen=True, slots=True, repr=False)
class OwnKeyPackage:
    """A key package and its private keys: HPKE's for welcomes and for the leaf, and the signer's."""

    package: KeyPackage
    init_key: bytes
    encryption_key: bytes
    signing_key: SigningKey

    @property
    def reference(self) -> bytes:
        """KeyPackageRef (section 5.2), by which a welcome names it."""
        return self.package.reference(suite_of(self.package.cipher_suite))


def capabilities_of(
    suite: Suite, credential: Credential, extensions: Sequence[int] = ()
) -> Capabilities:
    """Return what a client can do that uses one suite, and these extensions beside the RFC's own."""
    return Capabilities((MLS10,), (suite.id,), tuple(extensions), (), (credential.TYPE,))


def make_key_package(
    suite: Suite,
    credential: Credential,
    signing_key: SigningKey,
    lifetime: Lifetime,
    random: Random,
    *,
    capabilities: Capabilities | None = None,
    leaf_extensions: Sequence[Extension] = (),
    extensions: Sequence[Extension] = (),
) -> OwnKeyPackage:
    """Return a new key package of a client, signed by its private signature key."""
    init_key = suite.hpke_derive(random(suite.hash_size))
    encryption_key = suite.hpke_derive(random(suite.hash_size))
    leaf = LeafNode(
        suite.hpke_public(encryption_key),
        suite.signature_public(signing_key),
        credential,
        capabilities or capabilities_of(suite, credential),
        lifetime,
        tuple(leaf_extensions),
        b"",
    ).sign(suite, signing_key)
    package = KeyPackage(
        MLS10, suite.id, suite.hpke_public(init_key), leaf, tuple(extensions), b""
    ).sign(suite, signing_key)
    return OwnKeyPackage(package, init_key, encryption_key, signing_key)
