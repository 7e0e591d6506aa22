"""Keys of operators on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import PublicFile, Time

NameText = Annotated[str, Meta(max_length=128)]
KeyState = Literal["ok", "suspended"]


class AddKey(Change, frozen=True):
    """Let an account into the shell with a public key.

    name: whose account it is.
    key: the public key, as the line of a file such as ~/.ssh/id_ed25519.pub.
    label: what to call it; otherwise the comment that the line ends with.
    """

    name: NameText
    key: PublicFile
    label: Annotated[str, Meta(max_length=limits.LABEL_CHARS * 4)] = ""


class ListKeys(Request, frozen=True):
    """List the public keys that the shell lets in.

    name: one account's only.
    """

    name: NameText = ""
    after: Int63 = 0


class KeyInfo(Reply, frozen=True):
    """One key; ``used`` is 0 until it has let its owner in.

    by: who has added it; empty for the host's operator.
    state: suspended while whoever has added it may not do so any more; it opens nothing then.
    """

    # In this order, because the last are left out where there is no room for all.
    key: Int63
    user: str
    state: KeyState
    by: str
    added: Time
    used: Time
    fingerprint: str
    label: str
    kind: str


class KeyList(Reply, frozen=True):
    """A page of keys, by number."""

    keys: list[KeyInfo]
    next: Int63 | None = None


class RemoveKey(Change, frozen=True):
    """Take a key from an account.

    name: whose key it is.
    key: its number, or its fingerprint.
    """

    name: NameText
    key: Annotated[str, Meta(max_length=128)]


class KeyAdded(Outcome, frozen=True):
    """The key is known; compare the fingerprint with what ``ssh-keygen -lf`` shows for it."""

    fingerprint: str = ""


ADD_KEY = Command(
    name="admin.user_key_add",
    request=AddKey,
    reply=KeyAdded,
    doc="Lets an account into the shell with a public key.",
    errors=(
        refusals.UserUnknown,
        refusals.SshKeyBad,
        refusals.SshKeyTaken,
        refusals.SshKeysMax,
        refusals.Denied,
    ),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user key add {name} {key...}",
)
LIST_KEYS = Command(
    name="admin.user_key_list",
    request=ListKeys,
    reply=KeyList,
    doc="Lists the public keys that the shell lets in.",
    errors=(refusals.UserUnknown,),
    role=ServerRole.ADMIN,
    cli="user key list [{name}]",
)
REMOVE_KEY = Command(
    name="admin.user_key_remove",
    request=RemoveKey,
    reply=Outcome,
    doc="Takes a public key from an account, and ends the shells that it opened.",
    errors=(refusals.UserUnknown, refusals.SshKeyUnknown, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user key remove {name} {key}",
    asks=True,
)

COMMANDS = (ADD_KEY, LIST_KEYS, REMOVE_KEY)
