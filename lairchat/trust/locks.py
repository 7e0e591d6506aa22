"""What stands on the lock of a room: the truth about the next message that is typed there.

A table, the first row that holds wins::

    PLAIN   the room was made readable by the server, and is pinned as such
    E2E!    something holds sending here
    E2E?    keys are being fetched, or a member's identity has not been seen
    E2E+    there are others, and each has been verified
    E2E     else

A room is encrypted or not from its beginning: nothing that happens later leads to PLAIN.
One that is not has no policy and so no kind: it is given here as None.

Promises not to know: how a hold is worded, or how long keys may take.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from lairchat.trust.pins import Pin
from lairchat.trust.policy import Kind


class Lock(Enum):
    """The text of the lock."""

    PLAIN = "PLAIN"
    E2E = "E2E"
    VERIFIED = "E2E+"
    HELD = "E2E!"
    WAITING = "E2E?"

    @property
    def sends(self) -> bool:
        """Whether a message goes out at once."""
        return self not in (Lock.HELD, Lock.WAITING)


class Cause(Enum):
    """Why sending is held."""

    IDENTITY_CHANGED = "identity changed"
    """Another account stands under the name of a member; a person decides."""
    LINK_DIFFERS = "link differs"
    """The account under a name is not the one that a link from that person carries."""
    LOG_ROLLED_BACK = "log rolled back"
    """The server hides entries of a member's account log that have been seen."""
    LOG_FORKED = "log forked"
    """The server shows different people different histories of a member's account."""
    LOG_WITHHELD = "log withheld"
    """A member speaks of entries of their log that the server does not give."""
    COMMIT_REFUSED = "commit refused"
    """Somebody changed the group against its rules; it has to be founded anew."""
    NEWCOMER = "newcomer"
    """Somebody is in the group of whose joining nothing has been seen."""
    ROOM_CUT = "room cut"
    """The server has less of the room's log than has been followed here."""
    ROOM_FORKED = "room forked"
    """Members are shown different histories of the room, or a device in it is used twice."""
    FOLLOWED = "followed"
    """Another direct conversation has come in the place of this one."""
    ENDING = "ending"
    """By the server's word another one has, and this device is not in it."""
    OTHER_ACCOUNT = "other account"
    """A direct conversation is with an account that the name does not stand for any more."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why sending is held; name: the member it is about, empty if it is about nobody."""

    cause: Cause
    name: str = ""


class Consequence(Enum):
    """What a changed identity means in one room."""

    NOTHING = "nothing"
    NOTICE = "notice"
    """It is said; the new identity stays outside until somebody adds it."""
    HOLD = "hold"
    """Nothing is sent until a person decides."""


def consequence(kind: Kind | None, pin: Pin) -> Consequence:
    """Say what a member's pin means for sending in a room of this kind.

    Held where the message was meant for that person alone, and where that person had been verified.
    Elsewhere only a notice: a member who reinstalls must not be able to freeze a room.
    """
    if pin.changed is None or kind is None:
        return Consequence.NOTHING
    if kind is Kind.DIRECT or pin.verified:
        return Consequence.HOLD
    return Consequence.NOTICE


def holds(kind: Kind | None, others: Collection[Pin | None]) -> tuple[Hold, ...]:
    """Return what the pins of the other members hold, sorted by name."""
    held = {
        pin.name for pin in others if pin is not None and consequence(kind, pin) is Consequence.HOLD
    }
    return tuple(Hold(Cause.IDENTITY_CHANGED, name) for name in sorted(held))


def lock(
    kind: Kind | None,
    others: Collection[Pin | None],
    held: Collection[Hold] = (),
    *,
    waiting: bool = False,
) -> Lock:
    """Return the lock of a room.

    others: the pins of all members but oneself, None for one whose identity has not been seen yet.
    held: what else holds this room, besides what the pins do.
    waiting: whether keys are being fetched.
    """
    if kind is None:
        return Lock.PLAIN
    if held or holds(kind, others):
        return Lock.HELD
    if waiting or any(pin is None for pin in others):
        return Lock.WAITING
    # A room with nobody else in it has nobody who was verified.
    if others and all(pin is not None and _sure(pin) for pin in others):
        return Lock.VERIFIED
    return Lock.E2E


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a message was typed for: what the writer saw at that moment.

    members: name and account id of all but oneself; None for one whose identity was not seen yet,
    which is how a first message to somebody begins.
    """

    lock: Lock
    members: frozenset[tuple[str, bytes | None]]


def still_meant(typed: Audience, now: Audience) -> bool:
    """Tell whether a message that had to wait may go out now.

    Only to people who were there when it was typed, only where nothing holds, never less safely
    than the lock said, and never in the clear if it was not typed so.
    """
    known = typed.members
    if not now.lock.sends or any(
        (name, account) not in known and (name, None) not in known for name, account in now.members
    ):
        return False
    if Lock.PLAIN in (typed.lock, now.lock):
        return typed.lock is now.lock
    return typed.lock is not Lock.VERIFIED or now.lock is Lock.VERIFIED


def _sure(pin: Pin) -> bool:
    # With a change outstanding the name does not say who is meant, though the pinned one is in.
    return pin.verified and pin.changed is None
