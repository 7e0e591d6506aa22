"""``lair unlock``: opens this device's store for the programs that come, without chatting.

The key stays in the kernel's keyring until the computer restarts or nobody uses it for a week; with
``--keep`` it lies in a file of the profile, for machines that start without a person.
"""

import getpass
import os
import sys
from typing import TextIO

from lairchat.client.profile import Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.sealed.opening import Opening
from lairchat.model import faults
from lairchat.trust.password import derive
from lairchat.trust.secret import SecretBytes

_LINE = 4_096
"""characters: a password is not longer."""


def read_password(stream: TextIO) -> str:
    """Return the password: asked for at a terminal, else the first line of standard input."""
    if stream.isatty():
        return getpass.getpass("Password: ")
    return stream.readline(_LINE).removesuffix("\n")


def unlock(profile: Profile, *, keep: bool, out: TextIO) -> int:
    """Open the store by the password, and leave its key where the next program finds it."""
    opening = Opening(profile, Keyring(), os.urandom)
    if opening.is_new:
        raise faults.ProfileMissing
    profile.lock()
    try:
        keys = derive(read_password(sys.stdin), profile.server, profile.account)
        store = opening.by_password(SecretBytes(keys.vault))
        store.close()
        if keep:
            opening.keep_file()
            out.write(f"whoever reads {opening.file} reads everything from now on\n")
    finally:
        profile.unlock()
    return os.EX_OK


def forget(profile: Profile, out: TextIO) -> int:
    """Forget the key: the next program asks for the password."""
    Opening(profile, Keyring(), os.urandom).forget()
    out.write("the next lair asks for the password\n")
    return os.EX_OK
