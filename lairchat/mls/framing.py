"""How content is protected on its way: membership tags, and private messages (RFC 9420 section 6)."""

from lairchat.mls.codec import Reader
from lairchat.mls.errors import InvalidError, MalformedError, MisuseError
from lairchat.mls.key_schedule import EpochSecrets
from lairchat.mls.messages import (
    APPLICATION,
    CONTENT_TYPES,
    PRIVATE_MESSAGE,
    REUSE_GUARD_SIZE,
    ApplicationData,
    AuthenticatedContent,
    FramedContent,
    Member,
    PrivateMessage,
    PublicMessage,
    SenderData,
    read_auth,
)
from lairchat.mls.objects import GroupContext
from lairchat.mls.secret_tree import MessageKey, Purpose, SecretTree
from lairchat.mls.suites import Random, Suite


def protect_public(
    suite: Suite, content: AuthenticatedContent, secrets: EpochSecrets, context: GroupContext
) -> PublicMessage:
    """Return a public message; a member's gets its tag (section 6.2)."""
    if isinstance(content.framed.content, ApplicationData):
        raise MisuseError("application data is never sent in the clear (section 6)")
    if not isinstance(content.framed.sender, Member):
        return PublicMessage(content, None)
    tag = suite.mac(secrets.membership, content.to_be_signed(context) + content.auth())
    return PublicMessage(content, tag)


def check_public(
    suite: Suite, message: PublicMessage, secrets: EpochSecrets, context: GroupContext
) -> AuthenticatedContent:
    """Return the content of a public message; its signature is still to be checked.

    Raises InvalidError for application data, or if a member's tag does not fit.
    """
    content = message.authenticated
    if isinstance(content.framed.content, ApplicationData):
        raise InvalidError("application data came in the clear (section 6)")
    if isinstance(content.framed.sender, Member):
        if message.membership_tag is None:
            raise InvalidError("a member's message lacks its tag (section 6.2)")
        body = content.to_be_signed(context) + content.auth()
        suite.check_mac(secrets.membership, body, message.membership_tag, "a membership tag")
    return content


def protect_private(
    suite: Suite,
    content: AuthenticatedContent,
    secrets: EpochSecrets,
    tree: SecretTree,
    random: Random,
    padding: int = 0,
) -> tuple[PrivateMessage, SecretTree]:
    """Return a private message, and the tree without the key that it took (section 6.3).

    padding: how many zero bytes follow the content, so that its length tells less.
    """
    framed = content.framed
    assert isinstance(framed.sender, Member), "only members send private messages"
    generation, key, left = tree.next_key(framed.sender.leaf, _purpose(framed.content.TYPE))
    guard = random(REUSE_GUARD_SIZE)
    plaintext = framed.content.encode() + content.auth() + bytes(padding)
    message = PrivateMessage(
        framed.group_id, framed.epoch, framed.content.TYPE, framed.authenticated_data, b"", b""
    )
    ciphertext = suite.aead.seal(key.key, _guarded(key, guard), message.content_aad(), plaintext)
    sender = SenderData(framed.sender.leaf, generation, guard)
    sealing = sender_data_key(suite, secrets.sender_data, ciphertext)
    sealed = suite.aead.seal(sealing.key, sealing.nonce, message.sender_data_aad(), sender.encode())
    return (
        PrivateMessage(
            framed.group_id,
            framed.epoch,
            framed.content.TYPE,
            framed.authenticated_data,
            sealed,
            ciphertext,
        ),
        left,
    )


def open_private(
    suite: Suite, message: PrivateMessage, sender_data: bytes, tree: SecretTree
) -> tuple[AuthenticatedContent, int, SecretTree]:
    """Return (content, generation, tree without its key) of a private message (section 6.3).

    The signature is still to be checked, and the tree to be thrown away if it is wrong.
    """
    kind = CONTENT_TYPES.get(message.content_type)
    if kind is None:
        raise MalformedError(f"there is no content type {message.content_type}")
    sealing = sender_data_key(suite, sender_data, message.ciphertext)
    sender = SenderData.decode(
        suite.aead.open(
            sealing.key,
            sealing.nonce,
            message.sender_data_aad(),
            message.encrypted_sender_data,
        )
    )
    key, left = tree.key_of(sender.leaf, _purpose(message.content_type), sender.generation)
    plaintext = suite.aead.open(
        key.key, _guarded(key, sender.reuse_guard), message.content_aad(), message.ciphertext
    )
    reader = Reader(plaintext)
    content = kind.read(reader)
    auth = read_auth(reader, message.content_type)
    if any(reader.take(reader.remaining)):
        raise MalformedError("padding is not zero (section 6.3.1)")
    framed = FramedContent(
        message.group_id,
        message.epoch,
        Member(sender.leaf),
        message.authenticated_data,
        content,
    )
    return AuthenticatedContent(PRIVATE_MESSAGE, framed, *auth), sender.generation, left


def sender_data_key(suite: Suite, secret: bytes, ciphertext: bytes) -> MessageKey:
    """Return the key of the sender data, which depends on the ciphertext (section 6.3.2)."""
    sample = ciphertext[: suite.hash_size]
    return MessageKey(
        suite.expand_with_label(secret, b"key", sample, suite.aead.key_size),
        suite.expand_with_label(secret, b"nonce", sample, suite.aead.nonce_size),
    )


def _guarded(key: MessageKey, guard: bytes) -> bytes:
    # Section 6.3.1: two copies of one state that send under one key still have different nonces.
    head = int.from_bytes(key.nonce[:REUSE_GUARD_SIZE], "big") ^ int.from_bytes(guard, "big")
    return head.to_bytes(REUSE_GUARD_SIZE, "big") + key.nonce[REUSE_GUARD_SIZE:]


def _purpose(content_type: int) -> Purpose:
    return Purpose.APPLICATION if content_type == APPLICATION else Purpose.HANDSHAKE
