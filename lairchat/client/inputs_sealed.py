"""What the link reports of identities, devices and encrypted rooms.

As in :mod:`lairchat.client.inputs`: texts are passed as they came, the update makes them safe.
"""

from __future__ import annotations

from lairchat.client.inputs import Input, Message
from lairchat.client.values import Value

__all__ = [
    "BackupTaken",
    "CodeMade",
    "Comparing",
    "ComparisonAsked",
    "ComparisonEnded",
    "Device",
    "DeviceLinked",
    "DeviceUnlinked",
    "DevicesListed",
    "Found",
    "IdentityShown",
    "Invite",
    "Invited",
    "InvitesListed",
    "MessageChanged",
    "MessagesGone",
    "NewcomersListed",
    "RecoveryWords",
    "SomebodyTypes",
    "StoreLocked",
    "StoreOpened",
]


# -- this device -----------------------------------------------------------------------------------


class RecoveryWords(Input):
    """The twelve words, to be written down; again at each start until ``WordsKept``."""

    words: tuple[str, ...]

    def __repr__(self) -> str:
        """Keep them out of logs and tracebacks."""
        return "RecoveryWords(redacted)"


class StoreLocked(Input):
    """Encrypted rooms need the password first; with a ``code`` the one that was typed was wrong."""

    code: str = ""
    text: str = ""


class StoreOpened(Input):
    """This device's store is open: encrypted rooms can be read and written."""


class DeviceUnlinked(Input):
    """This device is logged in, and not yet one of the account's: it reads no encrypted rooms.

    ``devices``: names of those that could link it.
    """

    devices: tuple[str, ...]


class DeviceLinked(Input):
    """This device is one of the account's from now on."""

    ref: int = 0


class BackupTaken(Input):
    """Answer to ``Recover``: so many messages were not on this device."""

    count: int
    ref: int = 0


class Device(Value):
    """A device of the account; times are ms since 1970, 0 for what is not known."""

    id: str
    name: str
    created: int
    here: bool = False
    primary: bool = False
    revoked: bool = False


class DevicesListed(Input):
    """Answer to ``ListDevices``."""

    devices: tuple[Device, ...]
    ref: int = 0


# -- who is who ------------------------------------------------------------------------------------


class ComparisonAsked(Input):
    """Somebody wants to compare: a person, or (``link``) a new device of our own.

    ``name``: the person's name, or how the device calls itself.
    """

    number: int
    name: str
    link: bool = False


class Comparing(Input):
    """A comparison stands.

    While there is nothing to compare yet ``words`` is empty, and the other side is being waited for.
    """

    number: int
    name: str
    link: bool = False
    words: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    ref: int = 0


class ComparisonEnded(Input):
    """A comparison is over; ``text`` says what came of it.

    ``differed``: one side saw other codes; otherwise it was stopped, or nobody answered.
    """

    number: int
    same: bool
    text: str
    differed: bool = False


class NewcomersListed(Input):
    """Who is in a room of whose coming this device has seen nothing; the answer to ``ListNewcomers``."""

    room: int
    names: tuple[str, ...]
    ref: int = 0


class IdentityShown(Input):
    """What is known of a person.

    ``number``: the safety number, twelve groups of five digits.  ``qr``: rows of a QR code, a string
    of 0 and 1 each, without margin.  ``sureness``: first sight, link or compared.  ``changed``: the
    safety number with the identity that the server shows since, in groups; empty if it is the same.
    """

    name: str
    sureness: str
    number: tuple[str, ...]
    qr: tuple[str, ...]
    changed: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    ref: int = 0


# -- encrypted rooms -------------------------------------------------------------------------------


class Invited(Input):
    """Somebody invites us into an encrypted room, whose name only its members know."""

    by: str


class Invite(Value):
    """One line of ``InvitesListed``."""

    by: str
    at: int


class InvitesListed(Input):
    """Answer to ``ListInvites``."""

    invites: tuple[Invite, ...]
    ref: int = 0


class CodeMade(Input):
    """Answer to ``MakeCode``: to be handed from person to person."""

    code: str
    note: str
    ref: int = 0

    def __repr__(self) -> str:
        """Keep the code out of logs and tracebacks."""
        return f"CodeMade(redacted, ref={self.ref})"


class MessageChanged(Input):
    """A message that was shown is another now: edited, deleted (kind gone), or reacted to."""

    room: int
    message: Message


class MessagesGone(Input):
    """Messages whose time is over."""

    room: int
    seqs: tuple[int, ...]


class SomebodyTypes(Input):
    """A member types, or has stopped to."""

    room: int
    name: str
    on: bool


class Found(Input):
    """Answer to ``Search``: (room, message), newest first."""

    messages: tuple[tuple[int, Message], ...]
    ref: int = 0
