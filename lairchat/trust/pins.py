"""Which identity a name stands for here, and how sure that is.

A pin holds an account id, the hash over server, name and both keys of the root: so it covers all of
a person's devices, now and later, and nothing that changes with them.
The first account seen under a name is pinned; another one under that name never replaces it by
itself, and what was compared before says nothing about it.

Promises not to know: rooms and what is held in them (:mod:`lairchat.trust.locks`).
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from lairchat.model.names import name_key
from lairchat.trust.errors import PinError

LINK_BYTES: Final = 16
"""bytes: the least part of an account id that a link carries; 128 bits cannot be matched by search."""


class Sureness(IntEnum):
    """How a pin came about; more is surer."""

    FIRST_SIGHT = 1
    """The server said so when the name was first seen."""
    LINK = 2
    """A link from that person, which did not come from the server, said so."""
    COMPARED = 3
    """Both people compared a short code, sixty digits or a QR code."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What one client believes about one name.

    name: the account's name, in lower case.
    account: the account id, 32 bytes.
    changed: another account id that the server has shown under this name since, until a person
    decides; None most of the time.
    """

    name: str
    account: bytes
    sureness: Sureness
    changed: bytes | None = None

    @property
    def verified(self) -> bool:
        """Whether something else than the server's word stands behind this pin."""
        return self.sureness >= Sureness.LINK


def first_sight(name: str, account: bytes, link: bytes = b"") -> Pin:
    """Return the pin of a name that had none.

    link: the part of the account id that a link from this person carries, empty without one.
    Raises PinError if the link says another account: then nothing is pinned, and the server lies or
    the link is old.
    """
    if not link:
        return Pin(name_key(name), account, Sureness.FIRST_SIGHT)
    if not _carries(link, account):
        raise PinError("the account under this name is not the one that the link is from")
    return Pin(name_key(name), account, Sureness.LINK)


def sight(pin: Pin, account: bytes, link: bytes = b"") -> Pin:
    """Return the pin after the server has shown an account under its name again.

    Another account is noted and stays noted, also when the pinned one is shown again: only a person
    decides.  A link that fits makes a pin of first sight surer.
    Raises PinError if there is a link, and it is from another account than the one shown.
    """
    if link and not _carries(link, account):
        raise PinError("the account under this name is not the one that the link is from")
    if account != pin.account:
        return replace(pin, changed=account)
    if link:
        return replace(pin, sureness=max(pin.sureness, Sureness.LINK))
    return pin


def compared(pin: Pin, account: bytes) -> Pin:
    """Return the pin after both people compared codes over this account, and they matched.

    That decides between the pinned account and one that was shown since.
    Raises PinError for any third one: the codes were about somebody that this name is not.
    """
    if account not in (pin.account, pin.changed):
        raise PinError("what was compared is not an account seen under this name")
    return Pin(pin.name, account, Sureness.COMPARED)


def accept(pin: Pin, account: bytes) -> Pin:
    """Return the pin after its owner took the new account for a new person: seen, not verified.

    account: the one that was on the screen; PinError if the server has put another there since.
    """
    if pin.changed is None or account != pin.changed:
        raise PinError("this is not the identity that is waiting to be accepted")
    return Pin(pin.name, account, Sureness.FIRST_SIGHT)


def decline(pin: Pin) -> Pin:
    """Return the pin after its owner kept the account it had; the next sight of another asks anew."""
    return replace(pin, changed=None)


def _carries(link: bytes, account: bytes) -> bool:
    # A shorter part could be met by somebody who makes roots until one fits.
    return len(link) >= LINK_BYTES and account.startswith(link)
