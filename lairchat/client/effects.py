"""Everything that the pure core wants done outside: plain values that ``update`` returns.

``ref`` numbers a command; its answer carries it back (``CommandDone``, ``CommandFailed`` and the
specific answers), which is how a refused command finds the text that was typed.
``ticket`` numbers a message of ours for as long as the process lives; the link maps it to the
command id on the wire.
"""

from __future__ import annotations

from lairchat.client.secret import Secret
from lairchat.client.values import Value

__all__ = [
    "Ban",
    "Bell",
    "ChangePassword",
    "Copy",
    "Create",
    "CreateInvite",
    "Discard",
    "Effect",
    "FetchHistory",
    "HearOf",
    "InviteUser",
    "Join",
    "Kick",
    "Leave",
    "ListMembers",
    "ListMuted",
    "ListRooms",
    "Login",
    "Logout",
    "MoveCursor",
    "OpenDirect",
    "Quit",
    "Reconnect",
    "Register",
    "Repaint",
    "Resend",
    "SaveSetting",
    "Send",
    "SetRole",
    "SetTopic",
    "Suspend",
    "TrustAnswer",
    "Unban",
]


class Effect(Value):
    """Base of everything that ``update`` returns."""


# -- messages --------------------------------------------------------------------------------------


class Send(Effect):
    """Queue a message durably, and send it as soon as there is a connection.

    ``reply``: the place of the message that it answers, in an encrypted room; 0 for none.
    ``thread``: the place of one that begins the thread it goes into, or stands in it; 0 for none.
    """

    ticket: int
    room: int
    text: str
    action: bool = False
    reply: int = 0
    thread: int = 0


class Resend(Effect):
    """Try a refused message again."""

    ticket: int


class Discard(Effect):
    """Forget a refused message: its text went back to the input or the input history."""

    ticket: int


class FetchHistory(Effect):
    """Ask for a page; answered by ``HistoryPage``.

    Exactly one of ``before``, ``after`` and ``around`` is set, or none for the latest page.
    With ``around`` or none the answer says ``replace=True``.
    """

    room: int
    before: int | None = None
    after: int | None = None
    around: int | None = None
    limit: int = 100


class MoveCursor(Effect):
    """Everything up to ``seq`` has been seen."""

    room: int
    seq: int


# -- rooms -----------------------------------------------------------------------------------------


class Join(Effect):
    """Join the public room of this name (without ``#``); answered by ``RoomJoined``."""

    ref: int
    name: str


class Leave(Effect):
    """Leave a room; answered by ``RoomLeft``."""

    ref: int
    room: int


class Create(Effect):
    """Make a room; ``access`` is ``public`` or ``private``; answered by ``RoomJoined``."""

    ref: int
    name: str
    access: str


class OpenDirect(Effect):
    """Open the direct conversation with a person; answered by ``RoomJoined``."""

    ref: int
    name: str


class ListRooms(Effect):
    """Ask for the rooms one may join; answered by ``RoomsListed``."""

    ref: int


class ListMembers(Effect):
    """Ask for a room's members; answered by ``MembersListed``."""

    ref: int
    room: int


class SetTopic(Effect):
    """Change a room's topic."""

    ref: int
    room: int
    topic: str


class Kick(Effect):
    """Put a member out of a room; they may come back."""

    ref: int
    room: int
    name: str
    reason: str = ""


class Ban(Effect):
    """Put a member out of a room for good."""

    ref: int
    room: int
    name: str
    reason: str = ""


class Unban(Effect):
    """Let a banned person come back."""

    ref: int
    room: int
    name: str


class SetRole(Effect):
    """Change a member's room role; ``role`` is its word."""

    ref: int
    room: int
    name: str
    role: str


class InviteUser(Effect):
    """Let a person of this server into a private room."""

    ref: int
    room: int
    name: str


class HearOf(Effect):
    """Hear of somebody's invitations, or of none of them any more."""

    ref: int
    name: str
    on: bool


class ListMuted(Effect):
    """Ask whose invitations we do not hear of."""

    ref: int


class CreateInvite(Effect):
    """Make a link that lets somebody register; answered by ``InviteCreated``."""

    ref: int
    uses: int = 1


# -- account and connection ------------------------------------------------------------------------


class TrustAnswer(Effect):
    """The answer to ``TrustQuestion``; ``trusted=False`` is followed by ``Quit``."""

    trusted: bool


class Login(Effect):
    """Log in; the link clears the secret once the key is derived."""

    name: str
    password: Secret


class Register(Effect):
    """Make an account; ``invite`` is the code without dashes, empty when registration is open."""

    name: str
    password: Secret
    invite: str = ""


class ChangePassword(Effect):
    """Change the account's password."""

    ref: int
    old: Secret
    new: Secret


class Logout(Effect):
    """End this device's session, or all of them."""

    ref: int
    everywhere: bool = False


class Reconnect(Effect):
    """Try now instead of later; when connected, connect anew."""


class Quit(Effect):
    """End the program."""


# -- the terminal ----------------------------------------------------------------------------------


class Suspend(Effect):
    """Stop the process until the shell continues it."""


class Repaint(Effect):
    """Paint everything anew."""


class Bell(Effect):
    """Ring once: somebody wants the user."""


class Copy(Effect):
    """Put a text into the terminal's clipboard (OSC 52)."""

    text: str


class SaveSetting(Effect):
    """Keep a setting for the next start."""

    name: str
    value: str
