"""What can go wrong in MLS, and whose fault it is.

Everything that bytes of somebody else can cause is a ``MalformedError`` or an ``InvalidError``; what
only a caller of this library can cause is a ``MisuseError``.
No text holds a secret.
"""


class MLSError(Exception):
    """Any failure of this library; the state that was asked stays as it was."""


class MalformedError(MLSError):
    """The bytes are no encoding of what they should be (RFC 9420 section 2.1 and the structs)."""


class InvalidError(MLSError):
    """What somebody sent breaks a rule of the protocol; the text names the section."""


class EpochError(InvalidError):
    """The message belongs to another epoch or another group than this state."""


class ClosedError(InvalidError):
    """The group was re-initialised; another one, with what it named, takes its place."""


class DecryptionError(InvalidError):
    """A ciphertext does not open under the key it claims."""


class ReplayError(InvalidError):
    """The key of this generation has been used and erased, or given up as too old."""


class GenerationError(InvalidError):
    """A generation lies further ahead than a sender can be without something being wrong."""


class UnknownProposalError(InvalidError):
    """A commit refers to a proposal that has not been received."""


class OwnCommitError(InvalidError):
    """A commit is this member's own and came from outside: it is taken from where it was made."""


class MisuseError(MLSError):
    """The caller asked for what the protocol does not allow it to send."""
