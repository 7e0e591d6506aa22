"""One comparison of short codes, from either side, as a table of what may happen when.

Between two people, or between somebody's old device and their new one::

    state      event     next       sent, or given
    (start)              STARTED    Start
    (Start)              ANSWERED   Answer
    STARTED    Answer    COMPARING  Reveal; the code
    ANSWERED   Reveal    COMPARING  the code, if it opens the commitment
    COMPARING  same      AGREED     the other party, authenticated
    COMPARING  differs   FAILED     Stop
    any        Stop      FAILED
    any        else      FAILED     Stop

One try: whatever is not in the table ends the comparison, and another needs a new session that a
person starts.
A result counts for the party in it, and for nobody else of the same name.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from lairchat.trust.errors import VerificationError
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import (
    NONCE_BYTES,
    SESSION_BYTES,
    Answer,
    Code,
    Message,
    Offer,
    Party,
    Purpose,
    Reveal,
    Start,
    Stop,
    code,
    commitment,
)


class State(Enum):
    """Where a comparison stands."""

    STARTED = "started"
    ANSWERED = "answered"
    COMPARING = "comparing"
    AGREED = "agreed"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing more can happen."""
        return self in (State.AGREED, State.FAILED)


class Verdict(Enum):
    """What a person says of the two codes."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Verification:
    """One side of one comparison; each step returns the next value, and what to send.

    code: what to show, once there is one.
    why: what ended it, if it failed.
    """

    state: State
    mine: Party
    start: Start
    _nonce: SecretBytes
    _answer: Answer | None = None
    code: Code | None = None
    why: str = ""

    @classmethod
    def begin(
        cls, purpose: Purpose, mine: Party, session: bytes, nonce: SecretBytes
    ) -> tuple[Self, Start]:
        """Start a comparison.

        session: 16 random bytes; nonce: 32 random bytes, for this comparison only; ValueError if
        they are of another length.
        """
        _check_sizes(session, nonce)
        offer = Offer(session, purpose, mine)
        start = Start(offer, commitment(offer, nonce))
        return cls(State.STARTED, mine, start, nonce), start

    @classmethod
    def join(
        cls, purpose: Purpose, mine: Party, start: Start, nonce: SecretBytes
    ) -> tuple[Self, Answer]:
        """Answer somebody's start, after a person agreed to compare for this purpose.

        nonce: 32 random bytes, for this comparison only; ValueError if of another length.
        Raises VerificationError if the start is for something else, or from oneself.
        """
        _check_sizes(start.offer.session, nonce)
        if start.offer.purpose != purpose:
            raise VerificationError("this comparison is for another purpose")
        if why := _unfit(purpose, mine, start.offer.party):
            raise VerificationError(why)
        answer = Answer(start.offer.session, mine, nonce.reveal())
        return cls(State.ANSWERED, mine, start, nonce, answer), answer

    @property
    def session(self) -> bytes:
        """What its messages are known by."""
        return self.start.offer.session

    @property
    def agreed(self) -> Party:
        """The other party, which is authenticated; VerificationError unless both codes were the same."""
        if self.state is not State.AGREED:
            raise VerificationError("nobody has said that the codes are the same")
        return self._theirs

    def receive(self, message: Message) -> tuple[Self, Message | None]:
        """Take a message of this session; returns the next value, and what to send if anything.

        Raises VerificationError if the comparison is over, or the message is not of this session;
        every other fault ends the comparison, which then says why.
        """
        self._check_open()
        named = message.offer.session if isinstance(message, Start) else message.session
        if named != self.session:
            raise VerificationError("this message is of another comparison")
        match self.state, message:
            case State.STARTED, Answer():
                return self._answered(message)
            case State.ANSWERED, Reveal():
                return self._revealed(message)
            case _, Stop():
                return self._failed("the other side has stopped"), None
            case _:
                return self._fail("a message came out of turn")

    def say(self, verdict: Verdict) -> tuple[Self, Message | None]:
        """Take what the person says of the codes, once; returns the next value, and what to send.

        Raises VerificationError if there is nothing to compare.
        """
        self._check_open()
        if self.state is not State.COMPARING:
            raise VerificationError("there is no code to compare yet")
        if verdict is Verdict.SAME:
            return replace(self, state=State.AGREED), None
        return self._fail("the codes differ: somebody may stand in between")

    def cancel(self) -> tuple[Self, Message | None]:
        """End the comparison without a result."""
        self._check_open()
        return self._fail("stopped here")

    @property
    def _theirs(self) -> Party:
        starter = self.start.offer.party
        if starter != self.mine or self._answer is None:
            return starter
        return self._answer.party

    def _answered(self, answer: Answer) -> tuple[Self, Message | None]:
        purpose = Purpose(self.start.offer.purpose)
        if why := _unfit(purpose, self.mine, answer.party):
            return self._fail(why)
        shown = code(self.start, answer, self._nonce)
        following = replace(self, state=State.COMPARING, _answer=answer, code=shown)
        return following, Reveal(self.session, self._nonce.reveal())

    def _revealed(self, reveal: Reveal) -> tuple[Self, Message | None]:
        opened = SecretBytes(reveal.nonce)
        if opened == self._nonce:
            return self._fail("the other side sent our own number back")
        if commitment(self.start.offer, opened) != self.start.commitment:
            return self._fail("the other side changed its number after it saw ours")
        assert self._answer is not None  # it is what makes the state ANSWERED
        shown = code(self.start, self._answer, opened)
        return replace(self, state=State.COMPARING, code=shown), None

    def _check_open(self) -> None:
        if self.state.over:
            raise VerificationError("this comparison is over")

    def _fail(self, why: str) -> tuple[Self, Message | None]:
        return self._failed(why), Stop(self.session)

    def _failed(self, why: str) -> Self:
        return replace(self, state=State.FAILED, code=None, why=why)


def _check_sizes(session: bytes, nonce: SecretBytes) -> None:
    if (len(session), len(nonce)) != (SESSION_BYTES, NONCE_BYTES):
        raise ValueError(f"a session is {SESSION_BYTES} random bytes, a nonce {NONCE_BYTES}")


def _unfit(purpose: Purpose, mine: Party, theirs: Party) -> str:
    """Return why these two have nothing to compare, or an empty string."""
    # A reflected message would make somebody compare with themselves, and find that all is well.
    if theirs.device == mine.device or theirs.key == mine.key:
        return "the other side is this device itself"
    if purpose is Purpose.PERSON and theirs.account == mine.account:
        return "the other side is of this same account"
    if purpose is Purpose.LINK and theirs.account != mine.account:
        return "the other device is of another account"
    return ""
