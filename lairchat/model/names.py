"""Decides what people, rooms, topics and devices may be called.

User and room names are ASCII, so that nobody can pass for another by a letter of another script.
What remains, "rn" for "m" or "0" for "o", is folded by :func:`skeleton`: reserved names are
compared by it here, and accounts store it to keep new names apart from old ones.
"""

from lairchat.model import limits
from lairchat.model.refusals import (
    LabelBad,
    NameBad,
    NameRefused,
    NameReserved,
    RoomNameBad,
    TopicBad,
)
from lairchat.model.text import has_controls

__all__ = [
    "RESERVED",
    "NameRefused",
    "check_label",
    "check_room_name",
    "check_topic",
    "check_user_name",
    "is_name_key",
    "name_key",
    "skeleton",
]

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_NAME_SIGNS = _LOWER | _DIGITS | frozenset("_-")
_ROOM_SIGNS = _NAME_SIGNS | {"."}

_RESERVED_WORDS = (
    # who runs the place
    "admin admins administrator mod mods moderator moderators operator operators owner owners "
    "root staff superuser support helpdesk security official sysadmin sysop abuse postmaster "
    "hostmaster webmaster noreply "
    # the program and its parts
    "lair lairbot lairchat lairctl lairserver server system service services daemon localhost "
    "api ssh www bot bots notice status console "
    # words that address a group, or nobody in particular
    "all here everyone everybody channel room rooms group lobby members users user member me you "
    "someone anyone nobody anonymous anon guest guests unknown deleted removed "
    # values that scripts and tables take for something else
    "null nil none nan undefined void true false infinity"
)
# Device names of other systems: a file called so cannot be made there. No look-alikes.
_DEVICES = (
    "con prn aux nul com1 com2 com3 com4 com5 com6 com7 com8 com9 "
    "lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9"
)
RESERVED = frozenset(_RESERVED_WORDS.split()) | frozenset(_DEVICES.split())
"""Names that nobody gets, in lower case; what looks like one of the words is refused as well."""

# Shapes that fonts make alike; no two digits share one, so that "node2" and "node5" stay apart.
_SHAPES = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "2": "z", "5": "s", "8": "b", "_": "", "-": ""}
)
# Digits read as letters by habit ("4dm1n"): only for reserved names, ordinary ones may use them.
_HABITS = str.maketrans({"3": "e", "4": "a", "7": "t", "9": "g"})
# People's names that fold onto a reserved one ("all"), however they are written but for mixtures.
_HONEST = frozenset({"ali"})


def name_key(text: str) -> str:
    """Return what user names are unique by: the name in lower case."""
    return text.lower()


def skeleton(text: str) -> str:
    """Return what all names that look like this one have in common.

    Case, "_" and "-" are dropped; 0 and o, 1, l and i, 2 and z, 5 and s, 8 and b, rn and m, vv and
    w are one.
    """
    return text.lower().translate(_SHAPES).replace("rn", "m").replace("vv", "w")


_RESERVED_SKELETONS = frozenset(map(skeleton, _RESERVED_WORDS.split()))


def check_user_name(text: str) -> str:
    """Return the name if somebody may bear it, as written.

    Raises NameBad for its form, NameReserved for what it reads like (both are NameRefused).
    """
    # Only ASCII is put in lower case: that of the Kelvin sign, for one, would be an honest "k".
    form = text.lower() if text.isascii() else text
    why = _fault(form, _NAME_SIGNS, limits.NAME_CHARS_MIN, limits.NAME_CHARS_MAX)
    if why is None and text.isdecimal():
        why = "it has no letter"  # commands take numbers for ids
    if why is not None:
        raise NameBad(name=text, why=why)
    if _reads_reserved(text):
        raise NameReserved(name=text)
    return text


def is_name_key(text: str) -> bool:
    """Tell whether an account may be known by this: the form of a user name, in lower case.

    Which names are reserved is for registration to say; that list may grow, a form may not.
    """
    return _fault(text, _NAME_SIGNS, limits.NAME_CHARS_MIN, limits.NAME_CHARS_MAX) is None


def check_room_name(text: str) -> str:
    """Return the room name, written without "#", if a room may bear it; raises RoomNameBad."""
    why = _fault(text, _ROOM_SIGNS, limits.ROOM_NAME_CHARS_MIN, limits.ROOM_NAME_CHARS_MAX)
    if why is not None:
        raise RoomNameBad(name=text, why=why)
    return text


def check_topic(text: str) -> str:
    """Return the topic without spaces around it; empty removes it.

    Raises TopicBad if it is too long, has several lines or holds controls.
    """
    text = text.strip(" ")
    if len(text) > limits.TOPIC_CHARS or has_controls(text):
        raise TopicBad
    return text


def check_label(text: str) -> str:
    """Return the device label without spaces around it.

    Raises LabelBad if it is empty, too long, has several lines or holds controls.
    """
    text = text.strip(" ")
    if not 0 < len(text) <= limits.LABEL_CHARS or has_controls(text):
        raise LabelBad
    return text


def _fault(text: str, signs: frozenset[str], shortest: int, longest: int) -> str | None:
    """Return what is wrong with the form of a name, or None."""
    if len(text) < shortest:
        return f"it has fewer than {shortest} characters"
    if len(text) > longest:
        return f"it has more than {longest} characters"
    if not set(text) <= signs:
        listed = "".join(sorted(signs - _LOWER - _DIGITS))
        return f"only a-z, 0-9 and {' '.join(listed)} are possible"
    # A sign in front would make it an option, a hidden file or a path on some command line.
    if text[0] not in _LOWER | _DIGITS:
        return "it does not start with a letter or digit"
    return None


def _reads_reserved(text: str) -> bool:
    key = name_key(text)
    if key in _HONEST and (text.islower() or text.isupper() or text.istitle()):
        return False
    folded = skeleton(key.translate(_HABITS))
    return key in RESERVED or folded in _RESERVED_SKELETONS
