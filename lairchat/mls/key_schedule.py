"""From one epoch's secrets to the next (RFC 9420 section 8), and the transcript (section 8.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from lairchat.mls.codec import U16, opaque
from lairchat.mls.errors import InvalidError, MisuseError
from lairchat.mls.objects import GroupContext, PreSharedKeyId
from lairchat.mls.suites import Suite

MAX_PSKS: Final = 2**16 - 1
"""How many pre-shared keys can be counted in PSKLabel (section 8.4)."""


@dataclass(frozen=True, slots=True, repr=False)
class EpochSecrets:
    """The secrets of one epoch (section 8, table 4), each as long as the suite's hash."""

    sender_data: bytes
    encryption: bytes
    exporter: bytes
    external: bytes
    confirmation: bytes
    membership: bytes
    resumption: bytes
    authenticator: bytes
    init: bytes

    @classmethod
    def of(cls, suite: Suite, epoch_secret: bytes) -> "EpochSecrets":
        """Derive all from the epoch secret."""
        return cls(*(suite.derive_secret(epoch_secret, label) for label in _LABELS))

    def begun(self) -> "EpochSecrets":
        """Return them without what nobody needs once the epoch has begun.

        The encryption secret lives on in the secret tree, which erases what it uses.
        """
        return replace(self, encryption=b"", confirmation=b"")


_LABELS: Final = (
    b"sender data",
    b"encryption",
    b"exporter",
    b"external",
    b"confirm",
    b"membership",
    b"resumption",
    b"authentication",
    b"init",
)


def joiner_secret(
    suite: Suite, init_secret: bytes, commit_secret: bytes, context: GroupContext
) -> bytes:
    """Return the joiner secret of the epoch that the context describes."""
    mixed = suite.extract(init_secret, commit_secret)
    return suite.expand_with_label(mixed, b"joiner", context.encode(), suite.hash_size)


def welcome_secret(suite: Suite, joiner: bytes, psk_secret: bytes) -> bytes:
    """Return the secret that protects the group information in a welcome."""
    return suite.derive_secret(suite.extract(joiner, psk_secret), b"welcome")


def epoch_secrets(
    suite: Suite, joiner: bytes, psk_secret: bytes, context: GroupContext
) -> EpochSecrets:
    """Return the secrets of the epoch that the context describes."""
    mixed = suite.extract(joiner, psk_secret)
    secret = suite.expand_with_label(mixed, b"epoch", context.encode(), suite.hash_size)
    return EpochSecrets.of(suite, secret)


def psk_secret(suite: Suite, psks: Sequence[tuple[PreSharedKeyId, bytes]]) -> bytes:
    """Return what pre-shared keys contribute, in the order of the commit (section 8.4)."""
    if len(psks) > MAX_PSKS:
        raise InvalidError(f"more than {MAX_PSKS} pre-shared keys (section 8.4)")
    zero = bytes(suite.hash_size)
    secret = zero
    count = U16.write(len(psks))
    for index, (identity, psk) in enumerate(psks):
        label = identity.encode() + U16.write(index) + count
        extracted = suite.extract(zero, psk)
        mixed = suite.expand_with_label(extracted, b"derived psk", label, suite.hash_size)
        secret = suite.extract(mixed, secret)
    return secret


def exported(suite: Suite, exporter: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """Return MLS-Exporter (section 8.5): a secret for the application, so many bytes."""
    if not 0 < length <= 255 * suite.hash_size:
        raise MisuseError(f"an exported secret has 1 to {255 * suite.hash_size} bytes")
    secret = suite.derive_secret(exporter, label)
    return suite.expand_with_label(secret, b"exported", suite.hash(context), length)


def confirmed_transcript(suite: Suite, interim: bytes, transcript_input: bytes) -> bytes:
    """Return the hash over all commits up to this one (section 8.2)."""
    return suite.hash(interim + transcript_input)


def interim_transcript(suite: Suite, confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """Return the hash that also covers the last confirmation tag (section 8.2)."""
    return suite.hash(confirmed + opaque(confirmation_tag))
