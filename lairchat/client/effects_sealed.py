"""What the core wants done about identities, devices and encrypted rooms.

As in :mod:`lairchat.client.effects`: ``ref`` numbers a command, its answer carries it back.
"""

from __future__ import annotations

from lairchat.client.effects import Effect
from lairchat.client.secret import Secret

__all__ = [
    "AcceptIdentity",
    "AcceptInvite",
    "AcceptNewcomers",
    "AnswerComparison",
    "AskAll",
    "BeginAnew",
    "CancelComparison",
    "Change",
    "DeclineInvite",
    "EndCode",
    "JoinByCode",
    "KeepBackup",
    "LinkByWords",
    "LinkDevice",
    "ListDevices",
    "ListInvites",
    "ListNewcomers",
    "MakeCode",
    "MarkCompared",
    "PickAnswers",
    "React",
    "Recover",
    "Refound",
    "Report",
    "RevokeDevice",
    "RoomCode",
    "Search",
    "SetTimer",
    "ShowIdentity",
    "Succeed",
    "TakeBack",
    "Typing",
    "Unlock",
    "Verdict",
    "VerifyPerson",
    "WordsKept",
]


# -- this device -----------------------------------------------------------------------------------


class Unlock(Effect):
    """Open this device's store; answered by ``StoreOpened`` or ``StoreLocked``."""

    password: Secret


class WordsKept(Effect):
    """The recovery words have been written down: they are erased here."""


class LinkByWords(Effect):
    """Make this device one of the account's by its recovery words; answered by ``DeviceLinked``."""

    ref: int
    words: Secret


class Recover(Effect):
    """Take in what is backed up, by the recovery words; answered by ``BackupTaken``."""

    ref: int
    words: Secret


class KeepBackup(Effect):
    """Back encrypted rooms up from now on, or delete the backup: on all devices."""

    ref: int
    on: bool


class LinkDevice(Effect):
    """Make this device one of the account's by comparing with another; ``Comparing`` follows."""

    ref: int


class BeginAnew(Effect):
    """Give the account a new identity: no other device and no words are left.

    Answered by ``RecoveryWords``; everybody sees the change.
    """

    ref: int


class ListDevices(Effect):
    """Ask for the account's devices; answered by ``DevicesListed``."""

    ref: int


class RevokeDevice(Effect):
    """End a device of the account, by its name or the beginning of its id; ``lost``: stolen or lost."""

    ref: int
    name: str
    lost: bool = False


# -- who is who ------------------------------------------------------------------------------------


class VerifyPerson(Effect):
    """Compare short codes with a person who is there; ``Comparing`` follows."""

    ref: int
    name: str


class AnswerComparison(Effect):
    """The answer to ``ComparisonAsked``."""

    number: int
    agree: bool


class Verdict(Effect):
    """What the user says of the two codes of a comparison."""

    number: int
    same: bool


class CancelComparison(Effect):
    """End a comparison without a result."""

    number: int


class ShowIdentity(Effect):
    """Ask for what is known of a person, safety number and QR code; answered by ``IdentityShown``."""

    ref: int
    name: str


class MarkCompared(Effect):
    """The safety number, as it was shown, is the same on both screens."""

    ref: int
    name: str
    number: str


class AcceptIdentity(Effect):
    """Take a changed identity, the one that was shown, for a new person: seen, not verified."""

    ref: int
    name: str
    number: str


class ListNewcomers(Effect):
    """Ask who is in a room of whose coming nothing was seen; answered by ``NewcomersListed``."""

    ref: int
    room: int


class AcceptNewcomers(Effect):
    """Say that those who were shown belong in a room."""

    ref: int
    room: int
    names: tuple[str, ...]


# -- encrypted rooms -------------------------------------------------------------------------------


class ListInvites(Effect):
    """Ask which encrypted rooms one is invited into; answered by ``InvitesListed``."""

    ref: int


class AcceptInvite(Effect):
    """Come into an encrypted room by the invitation of a person; ``RoomJoined`` follows later."""

    ref: int
    name: str


class DeclineInvite(Effect):
    """Turn an invitation down."""

    ref: int
    name: str


class MakeCode(Effect):
    """Make a code that lets people into an encrypted room; answered by ``CodeMade``."""

    ref: int
    room: int
    uses: int = 1


class EndCode(Effect):
    """End all codes of a room."""

    ref: int
    room: int


class JoinByCode(Effect):
    """Ask to be let into a room by a code; ``RoomJoined`` follows once a member let us in."""

    ref: int
    code: str

    def __repr__(self) -> str:
        """Keep the code out of logs and tracebacks."""
        return f"JoinByCode(ref={self.ref}, redacted)"


class Refound(Effect):
    """Found a successor of a room that is held for good, with the same people."""

    ref: int
    room: int


class Succeed(Effect):
    """Open the encrypted successor of a room from before encryption; ``RoomJoined`` follows."""

    ref: int
    room: int


class SetTimer(Effect):
    """Let what one says in a room stay so many seconds once it is read; 0: it stays."""

    ref: int
    room: int
    seconds: int


class RoomCode(Effect):
    """Ask for the digits that all devices in a room's epoch have in common; answered as text."""

    ref: int
    room: int


class Typing(Effect):
    """The user types in a room, or has stopped to."""

    room: int
    on: bool


class Change(Effect):
    """Give a message of ours another text."""

    ref: int
    room: int
    seq: int
    text: str


class TakeBack(Effect):
    """Delete a message of ours, or as a moderator somebody's."""

    ref: int
    room: int
    seq: int


class React(Effect):
    """Set a reaction to a message, or take it back."""

    ref: int
    room: int
    seq: int
    emoji: str
    on: bool = True


class Report(Effect):
    """Show a message to the operators with proof, or, ``seq`` 0, the change that was refused here.

    edited: how often it had been when it was agreed to show it.
    """

    ref: int
    room: int
    seq: int
    reason: str
    edited: int = 0


class AskAll(Effect):
    """Begin a poll; ``many``: more than one answer can be picked."""

    ref: int
    room: int
    question: str
    options: tuple[str, ...]
    many: bool = False


class PickAnswers(Effect):
    """Pick answers of a poll, by number from 0, in place of those before; none takes them back."""

    ref: int
    room: int
    seq: int
    picks: tuple[int, ...]


class Search(Effect):
    """Look for words in what this device has read; ``room`` 0: everywhere; answered by ``Found``."""

    ref: int
    text: str
    room: int = 0
