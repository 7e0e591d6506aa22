"""What groups are made of: leaves, key packages, proposals, commits (RFC 9420 sections 5.3, 7, 10, 12).

Only layouts and what is signed; whether an object is acceptable is decided in ``rules``.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from lairchat.mls.codec import (
    OPAQUE,
    U8,
    U16,
    U32,
    U64,
    Choice,
    Kept,
    Kind,
    Optional,
    Struct,
    Vector,
    decode,
    opaque,
)
from lairchat.mls.errors import InvalidError
from lairchat.mls.suites import SigningKey, Suite

MLS10: Final = 1
"""The one protocol version there is."""

# Extension types of section 17.3.
APPLICATION_ID: Final = 1
RATCHET_TREE: Final = 2
REQUIRED_CAPABILITIES: Final = 3
EXTERNAL_PUB: Final = 4
EXTERNAL_SENDERS: Final = 5

BASIC: Final = 1
X509: Final = 2


@dataclass(frozen=True, slots=True)
class Extension(Struct):
    """An extension: its type (section 17.3) and its data."""

    LAYOUT = (U16, OPAQUE)
    type: int
    data: bytes


EXTENSIONS: Final = Vector(Extension)


@dataclass(frozen=True, slots=True)
class BasicCredential(Struct):
    """An identity that the application understands and checks (section 5.3)."""

    TYPE: ClassVar[int] = BASIC
    LAYOUT = (OPAQUE,)
    identity: bytes


@dataclass(frozen=True, slots=True)
class X509Credential(Struct):
    """A chain of certificates, the end entity's first (section 5.3)."""

    TYPE: ClassVar[int] = X509
    LAYOUT = (Vector(OPAQUE),)
    certificates: tuple[bytes, ...]


Credential = BasicCredential | X509Credential
CREDENTIAL: Final = Choice("credential type", U16, (BasicCredential, X509Credential))


@dataclass(frozen=True, slots=True)
class Capabilities(Kept):
    """What a client can do (section 7.2); the RFC's own extensions and proposals are not listed."""

    LAYOUT = (Vector(U16), Vector(U16), Vector(U16), Vector(U16), Vector(U16))
    versions: tuple[int, ...]
    cipher_suites: tuple[int, ...]
    extensions: tuple[int, ...]
    proposals: tuple[int, ...]
    credentials: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RequiredCapabilities(Struct):
    """What every member must be able to do (section 11.1)."""

    LAYOUT = (Vector(U16), Vector(U16), Vector(U16))
    extensions: tuple[int, ...]
    proposals: tuple[int, ...]
    credentials: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExternalSender(Struct):
    """Somebody outside who may propose (section 12.1.8.1)."""

    LAYOUT = (OPAQUE, CREDENTIAL)
    signature_key: bytes
    credential: Credential


EXTERNAL_SENDER_LIST: Final = Vector(ExternalSender)


@dataclass(frozen=True, slots=True)
class Lifetime(Struct):
    """A leaf of a key package, and when it may be used: seconds since 1970 (section 7.2)."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (U64, U64)
    not_before: int
    not_after: int

    def check(self, now: int) -> None:
        """Raise InvalidError unless the key package is valid at this time."""
        if not self.not_before <= now <= self.not_after:
            raise InvalidError("a key package is not valid at this time (section 7.2)")


@dataclass(frozen=True, slots=True)
class FromUpdate(Struct):
    """A leaf that came with an Update proposal."""

    TYPE: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class FromCommit(Struct):
    """A leaf that came with a commit, and the parent hash that ties it to its path."""

    TYPE: ClassVar[int] = 3
    LAYOUT = (OPAQUE,)
    parent_hash: bytes


LeafSource = Lifetime | FromUpdate | FromCommit


@dataclass(frozen=True, slots=True)
class LeafNode(Kept):
    """A member's place in the tree (section 7.2)."""

    LAYOUT = (
        OPAQUE,
        OPAQUE,
        CREDENTIAL,
        Capabilities,
        Choice("leaf node source", U8, (Lifetime, FromUpdate, FromCommit)),
        EXTENSIONS,
        OPAQUE,
    )
    encryption_key: bytes
    signature_key: bytes
    credential: Credential
    capabilities: Capabilities
    source: LeafSource
    extensions: tuple[Extension, ...]
    signature: bytes

    def _signed(self, group_id: bytes, leaf: int) -> bytes:
        # LeafNodeTBS: a leaf that is in a group belongs to one place in one group.
        body = self.encode()[: -len(opaque(self.signature))]
        if isinstance(self.source, Lifetime):
            return body
        return body + opaque(group_id) + U32.write(leaf)

    def sign(
        self, suite: Suite, private: SigningKey, group_id: bytes = b"", leaf: int = 0
    ) -> "LeafNode":
        """Return this leaf with its signature; place and group matter unless it is a key package's."""
        signature = suite.sign(private, b"LeafNodeTBS", self._signed(group_id, leaf))
        return replace(self, signature=signature)

    def check_signature(self, suite: Suite, group_id: bytes = b"", leaf: int = 0) -> None:
        """Raise InvalidError unless the leaf's own key has signed it, for this place."""
        signed = self._signed(group_id, leaf)
        suite.verify(self.signature_key, b"LeafNodeTBS", signed, self.signature)


@dataclass(frozen=True, slots=True)
class KeyPackage(Kept):
    """What is needed to add a client that is not online (section 10)."""

    LAYOUT = (U16, U16, OPAQUE, LeafNode, EXTENSIONS, OPAQUE)
    version: int
    cipher_suite: int
    init_key: bytes
    leaf: LeafNode
    extensions: tuple[Extension, ...]
    signature: bytes

    def _signed(self) -> bytes:
        return self.encode()[: -len(opaque(self.signature))]

    def sign(self, suite: Suite, private: SigningKey) -> "KeyPackage":
        """Return this key package with its signature."""
        return replace(self, signature=suite.sign(private, b"KeyPackageTBS", self._signed()))

    def check_signature(self, suite: Suite) -> None:
        """Raise InvalidError unless the leaf's key has signed the key package."""
        suite.verify(self.leaf.signature_key, b"KeyPackageTBS", self._signed(), self.signature)

    def reference(self, suite: Suite) -> bytes:
        """Return KeyPackageRef (section 5.2)."""
        return suite.ref_hash(b"MLS 1.0 KeyPackage Reference", self.encode())


@dataclass(frozen=True, slots=True)
class ParentNode(Kept):
    """An inner node of the tree (section 7.1)."""

    LAYOUT = (OPAQUE, OPAQUE, Vector(U32))
    encryption_key: bytes
    parent_hash: bytes
    unmerged_leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExternalPsk(Struct):
    """A pre-shared key that the application keeps (section 8.4)."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (OPAQUE,)
    psk_id: bytes


RESUMPTION_APPLICATION: Final = 1
RESUMPTION_REINIT: Final = 2
RESUMPTION_BRANCH: Final = 3


@dataclass(frozen=True, slots=True)
class ResumptionPsk(Struct):
    """The resumption secret of an epoch that one was a member of (section 8.4)."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (U8, OPAQUE, U64)
    usage: int
    group_id: bytes
    epoch: int


PskIdentity = ExternalPsk | ResumptionPsk


@dataclass(frozen=True, slots=True)
class PreSharedKeyId(Struct):
    """Which pre-shared key, and a fresh nonce (section 8.4)."""

    LAYOUT = (Choice("PSK type", U8, (ExternalPsk, ResumptionPsk)), OPAQUE)
    key: PskIdentity
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Add(Struct):
    """Proposes a new member (section 12.1.1)."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (KeyPackage,)
    key_package: KeyPackage


@dataclass(frozen=True, slots=True)
class Update(Struct):
    """Proposes a new leaf for its sender (section 12.1.2)."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (LeafNode,)
    leaf: LeafNode


@dataclass(frozen=True, slots=True)
class Remove(Struct):
    """Proposes that the member at a leaf goes (section 12.1.3)."""

    TYPE: ClassVar[int] = 3
    LAYOUT = (U32,)
    removed: int


@dataclass(frozen=True, slots=True)
class PreSharedKey(Struct):
    """Proposes to mix in a pre-shared key (section 12.1.4)."""

    TYPE: ClassVar[int] = 4
    LAYOUT = (PreSharedKeyId,)
    psk: PreSharedKeyId


@dataclass(frozen=True, slots=True)
class ReInit(Struct):
    """Proposes that the group ends and goes on with other parameters (section 12.1.5)."""

    TYPE: ClassVar[int] = 5
    LAYOUT = (OPAQUE, U16, U16, EXTENSIONS)
    group_id: bytes
    version: int
    cipher_suite: int
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class ExternalInit(Struct):
    """Carries the init secret of an external commit (section 12.1.6)."""

    TYPE: ClassVar[int] = 6
    LAYOUT = (OPAQUE,)
    kem_output: bytes


@dataclass(frozen=True, slots=True)
class GroupContextExtensions(Struct):
    """Proposes other extensions for the group (section 12.1.7)."""

    TYPE: ClassVar[int] = 7
    LAYOUT = (EXTENSIONS,)
    extensions: tuple[Extension, ...]


Proposal = Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions
PROPOSAL: Final = Choice(
    "proposal type",
    U16,
    (Add, Update, Remove, PreSharedKey, ReInit, ExternalInit, GroupContextExtensions),
)


@dataclass(frozen=True, slots=True)
class ByValue(Struct):
    """A proposal inside a commit."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (PROPOSAL,)
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class ByReference(Struct):
    """The reference of a proposal that was sent before (section 5.2)."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (OPAQUE,)
    reference: bytes


@dataclass(frozen=True, slots=True)
class Ciphertext(Struct):
    """HPKECiphertext (section 7.6)."""

    LAYOUT = (OPAQUE, OPAQUE)
    kem_output: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class PathNode(Struct):
    """One node of an update path, and its secret for each node of the resolution beside it."""

    LAYOUT = (OPAQUE, Vector(Ciphertext))
    encryption_key: bytes
    secrets: tuple[Ciphertext, ...]


@dataclass(frozen=True, slots=True)
class UpdatePath(Struct):
    """New keys for the committer and its filtered direct path (section 7.6)."""

    LAYOUT = (LeafNode, Vector(PathNode))
    leaf: LeafNode
    nodes: tuple[PathNode, ...]


@dataclass(frozen=True, slots=True)
class Commit(Struct):
    """What starts a new epoch (section 12.4)."""

    LAYOUT = (Vector(Choice("kind of proposal", U8, (ByValue, ByReference))), Optional(UpdatePath))
    proposals: tuple[ByValue | ByReference, ...]
    path: UpdatePath | None


@dataclass(frozen=True, slots=True)
class GroupContext(Kept):
    """What all members agree on in an epoch (section 8.1)."""

    LAYOUT = (U16, U16, OPAQUE, U64, OPAQUE, OPAQUE, EXTENSIONS)
    version: int
    cipher_suite: int
    group_id: bytes
    epoch: int
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    extensions: tuple[Extension, ...]


def extension(extensions: tuple[Extension, ...], wanted: int, kind: Kind) -> Any:
    """Return the decoded extension of a type, or None; raise MalformedError if it is malformed."""
    for found in extensions:
        if found.type == wanted:
            return decode(kind, found.data)
    return None
