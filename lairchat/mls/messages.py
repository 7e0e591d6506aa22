"""What travels: framed content, its two protections, welcomes and group information (RFC 9420 section 6).

Only layouts and what is signed or authenticated; the cryptography is in ``framing`` and ``welcome``.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Self

from lairchat.mls.codec import (
    MAX_ITEMS,
    OPAQUE,
    U8,
    U16,
    U32,
    U64,
    Choice,
    Fixed,
    Optional,
    Reader,
    Struct,
    Vector,
    opaque,
)
from lairchat.mls.errors import MalformedError
from lairchat.mls.objects import (
    EXTENSIONS,
    MLS10,
    PROPOSAL,
    Ciphertext,
    Commit,
    Extension,
    GroupContext,
    KeyPackage,
    PreSharedKeyId,
    Proposal,
)
from lairchat.mls.suites import SigningKey, Suite

PUBLIC_MESSAGE: Final = 1
PRIVATE_MESSAGE: Final = 2

APPLICATION: Final = 1
PROPOSAL_CONTENT: Final = 2
COMMIT: Final = 3

REUSE_GUARD_SIZE: Final = 4
"""Bytes of a reuse guard (section 6.3.1)."""


@dataclass(frozen=True, slots=True)
class Member(Struct):
    """A sender that is a member, by its leaf (section 6)."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (U32,)
    leaf: int


@dataclass(frozen=True, slots=True)
class External(Struct):
    """A sender of the external_senders extension, by its place there."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (U32,)
    index: int


@dataclass(frozen=True, slots=True)
class NewMemberProposal(Struct):
    """Somebody who proposes to be added."""

    TYPE: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class NewMemberCommit(Struct):
    """Somebody who joins by an external commit."""

    TYPE: ClassVar[int] = 4


Sender = Member | External | NewMemberProposal | NewMemberCommit
SENDER: Final = Choice("sender type", U8, (Member, External, NewMemberProposal, NewMemberCommit))


@dataclass(frozen=True, slots=True)
class ApplicationData(Struct):
    """Bytes of the application."""

    TYPE: ClassVar[int] = APPLICATION
    LAYOUT = (OPAQUE,)
    data: bytes


@dataclass(frozen=True, slots=True)
class ProposalContent(Struct):
    """A proposal that is sent before the commit that takes it up."""

    TYPE: ClassVar[int] = PROPOSAL_CONTENT
    LAYOUT = (PROPOSAL,)
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class CommitContent(Struct):
    """A commit."""

    TYPE: ClassVar[int] = COMMIT
    LAYOUT = (Commit,)
    commit: Commit


Content = ApplicationData | ProposalContent | CommitContent
CONTENT: Final = Choice("content type", U8, (ApplicationData, ProposalContent, CommitContent))
CONTENT_TYPES: Final[dict[int, type[Content]]] = {
    APPLICATION: ApplicationData,
    PROPOSAL_CONTENT: ProposalContent,
    COMMIT: CommitContent,
}


@dataclass(frozen=True, slots=True)
class FramedContent(Struct):
    """Content with its group, epoch and sender (section 6)."""

    LAYOUT = (OPAQUE, U64, SENDER, OPAQUE, CONTENT)
    group_id: bytes
    epoch: int
    sender: Sender
    authenticated_data: bytes
    content: Content


@dataclass(frozen=True, slots=True)
class AuthenticatedContent:
    """Framed content, how it travels, its signature and, of a commit, its confirmation tag.

    ``confirmation_tag`` is None unless the content is a commit.
    """

    wire_format: int
    framed: FramedContent
    signature: bytes
    confirmation_tag: bytes | None = None

    def to_be_signed(self, context: GroupContext | None) -> bytes:
        """Return FramedContentTBS; the context counts for members and external joiners."""
        signed = U16.write(MLS10) + U16.write(self.wire_format) + self.framed.encode()
        if isinstance(self.framed.sender, Member | NewMemberCommit):
            assert context is not None, "a member's content is signed with the group's context"
            signed += context.encode()
        return signed

    def sign(self, suite: Suite, private: SigningKey, context: GroupContext | None) -> Self:
        """Return this content with its signature (section 6.1)."""
        signature = suite.sign(private, b"FramedContentTBS", self.to_be_signed(context))
        return replace(self, signature=signature)

    def check_signature(self, suite: Suite, public: bytes, context: GroupContext | None) -> None:
        """Raise InvalidError unless this key has signed the content (section 6.1)."""
        suite.verify(public, b"FramedContentTBS", self.to_be_signed(context), self.signature)

    def auth(self) -> bytes:
        """Return FramedContentAuthData."""
        return write_auth(self.signature, self.confirmation_tag)

    def transcript_input(self) -> bytes:
        """Return ConfirmedTranscriptHashInput (section 8.2)."""
        return U16.write(self.wire_format) + self.framed.encode() + opaque(self.signature)

    def encode(self) -> bytes:
        """Return the encoding, by which a proposal is named."""
        return U16.write(self.wire_format) + self.framed.encode() + self.auth()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the content at the reader's place."""
        wire_format = reader.uint(2)
        if wire_format not in (PUBLIC_MESSAGE, PRIVATE_MESSAGE):
            raise MalformedError("authenticated content is of a public or a private message")
        framed = FramedContent.read(reader)
        return cls(wire_format, framed, *read_auth(reader, framed.content.TYPE))

    def proposal_reference(self, suite: Suite) -> bytes:
        """Return ProposalRef (section 5.2)."""
        return suite.ref_hash(b"MLS 1.0 Proposal Reference", self.encode())


def read_auth(reader: Reader, content_type: int) -> tuple[bytes, bytes | None]:
    """Return (signature, confirmation tag or None) of FramedContentAuthData."""
    signature = reader.opaque()
    return signature, reader.opaque() if content_type == COMMIT else None


def write_auth(signature: bytes, confirmation_tag: bytes | None) -> bytes:
    """Return FramedContentAuthData."""
    tag = b"" if confirmation_tag is None else opaque(confirmation_tag)
    return opaque(signature) + tag


@dataclass(frozen=True, slots=True)
class PublicMessage:
    """Content that is signed but not encrypted (section 6.2)."""

    TYPE: ClassVar[int] = PUBLIC_MESSAGE
    authenticated: AuthenticatedContent
    membership_tag: bytes | None
    """A member's proof that it knows the epoch's secrets; None for other senders."""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the message at the reader's place."""
        framed = FramedContent.read(reader)
        auth = read_auth(reader, framed.content.TYPE)
        tag = reader.opaque() if isinstance(framed.sender, Member) else None
        return cls(AuthenticatedContent(PUBLIC_MESSAGE, framed, *auth), tag)

    def encode(self) -> bytes:
        """Return the encoding."""
        tag = b"" if self.membership_tag is None else opaque(self.membership_tag)
        return self.authenticated.framed.encode() + self.authenticated.auth() + tag


@dataclass(frozen=True, slots=True)
class PrivateMessage(Struct):
    """Content that only members can read (section 6.3)."""

    TYPE: ClassVar[int] = PRIVATE_MESSAGE
    LAYOUT = (OPAQUE, U64, U8, OPAQUE, OPAQUE, OPAQUE)
    group_id: bytes
    epoch: int
    content_type: int
    authenticated_data: bytes
    encrypted_sender_data: bytes
    ciphertext: bytes

    def content_aad(self) -> bytes:
        """Return PrivateContentAAD (section 6.3.1)."""
        head = opaque(self.group_id) + U64.write(self.epoch) + U8.write(self.content_type)
        return head + opaque(self.authenticated_data)

    def sender_data_aad(self) -> bytes:
        """Return SenderDataAAD (section 6.3.2)."""
        return opaque(self.group_id) + U64.write(self.epoch) + U8.write(self.content_type)


@dataclass(frozen=True, slots=True)
class SenderData(Struct):
    """Who sent a private message, and the key it used (section 6.3.2)."""

    LAYOUT = (U32, U32, Fixed(REUSE_GUARD_SIZE))
    leaf: int
    generation: int
    reuse_guard: bytes


@dataclass(frozen=True, slots=True)
class GroupSecrets(Struct):
    """What a welcome tells one joiner (section 12.4.3.1); secret.

    PathSecret is a struct of one vector, so it is written like the vector itself.
    """

    LAYOUT = (OPAQUE, Optional(OPAQUE), Vector(PreSharedKeyId))
    joiner_secret: bytes = field(repr=False)
    path_secret: bytes | None = field(repr=False)
    psks: tuple[PreSharedKeyId, ...]


@dataclass(frozen=True, slots=True)
class EncryptedGroupSecrets(Struct):
    """Group secrets for the holder of one key package."""

    LAYOUT = (OPAQUE, Ciphertext)
    new_member: bytes
    secrets: Ciphertext


@dataclass(frozen=True, slots=True)
class Welcome(Struct):
    """What lets new members join (section 12.4.3.1)."""

    TYPE: ClassVar[int] = 3
    LAYOUT = (U16, Vector(EncryptedGroupSecrets), OPAQUE)
    cipher_suite: int
    secrets: tuple[EncryptedGroupSecrets, ...]
    encrypted_group_info: bytes


@dataclass(frozen=True, slots=True)
class GroupInfo(Struct):
    """An epoch as one of its members states it (section 12.4.3)."""

    TYPE: ClassVar[int] = 4
    LAYOUT = (GroupContext, EXTENSIONS, OPAQUE, U32, OPAQUE)
    context: GroupContext
    extensions: tuple[Extension, ...]
    confirmation_tag: bytes
    signer: int
    signature: bytes

    def _signed(self) -> bytes:
        return self.encode()[: -len(opaque(self.signature))]

    def sign(self, suite: Suite, private: SigningKey) -> "GroupInfo":
        """Return this group information with the signer's signature."""
        return replace(self, signature=suite.sign(private, b"GroupInfoTBS", self._signed()))

    def check_signature(self, suite: Suite, public: bytes) -> None:
        """Raise InvalidError unless this key has signed it."""
        suite.verify(public, b"GroupInfoTBS", self._signed(), self.signature)


@dataclass(frozen=True, slots=True)
class KeyPackageMessage(Struct):
    """A key package on its way."""

    TYPE: ClassVar[int] = 5
    LAYOUT = (KeyPackage,)
    key_package: KeyPackage


Body = PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackageMessage
_BODIES: Final[dict[int, type[Body]]] = {
    body.TYPE: body
    for body in (PublicMessage, PrivateMessage, Welcome, GroupInfo, KeyPackageMessage)
}


def encode_message(body: Body) -> bytes:
    """Return MLSMessage (section 6)."""
    return U16.write(MLS10) + U16.write(body.TYPE) + body.encode()


def decode_message(data: bytes, items: int = MAX_ITEMS) -> Body:
    """Return what an MLSMessage holds (section 6); raise MalformedError if it is none.

    items: how many items its vectors may have together.
    """
    reader = Reader(data, items)
    if reader.uint(2) != MLS10:
        raise MalformedError("not MLS 1.0")
    kind = _BODIES.get(reader.uint(2))
    if kind is None:
        raise MalformedError("there is no such wire format")
    body = kind.read(reader)
    reader.finish()
    return body
