"""What can be wrong with an identity; every text can be logged, because none holds a secret.

Bytes that are no encoding at all are a :class:`lairchat.mls.errors.MalformedError`.
"""


class TrustError(Exception):
    """Any refusal of this package; the value that was asked stays as it was."""


class WordsError(TrustError):
    """What was typed are not twelve recovery words.

    place: which word is wrong, from 1; 0 if it is not a single one.
    nearest: words of the list that may be meant, for the person's own screen and never for a log:
    each is likely a part of the secret, which is why the text leaves them out.
    """

    def __init__(self, text: str, place: int = 0, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.place = place
        self.nearest = nearest


class SignatureError(TrustError):
    """A signature does not fit the key that should have made it."""


class LogError(TrustError):
    """An account log, or an entry of one, is refused."""


class ForeignError(LogError):
    """The log or entry belongs to another account or another server."""


class OrderError(LogError):
    """An entry is not the next one: it comes too early, or again."""


class ForkError(LogError):
    """Two entries claim one place in a log: somebody is shown another history than somebody else."""


class RollbackError(LogError):
    """A log ends before an entry that has been seen: something in it is being hidden."""


class RevokedError(LogError):
    """What signed, or what would be revoked, has been revoked before."""


class RuleError(LogError):
    """The entry breaks a rule of account logs: its signer may not sign that, or a bound is passed."""


class UncertifiedError(TrustError):
    """A device is not one that the account's log certifies now, with that key."""


class PolicyError(TrustError):
    """A group, or what somebody would change in it, is not what its policy allows."""


class LogNeededError(TrustError):
    """An account's log has to be read further before a group can be judged.

    account: whose; position: up to where at least.
    """

    def __init__(self, account: bytes, position: int) -> None:
        super().__init__(f"the log of {account.hex()[:8]} is needed up to entry {position}")
        self.account = account
        self.position = position


class PinError(TrustError):
    """An identity is not the one that this step is about."""


class VerificationError(TrustError):
    """A comparison of short codes went wrong, and is over."""
