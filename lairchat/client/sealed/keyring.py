"""The kernel's keyring: holds the key of a store in memory between two starts of the program.

Linux keeps a key of type "user" in memory that is never swapped in clear, for as long as processes of
this user run, or until its time is over (keyrings(7), add_key(2), keyctl(2)).
Where there is none, or a sandbox forbids it, nothing is kept and the password is asked for.
"""

import ctypes
from hashlib import sha256
from typing import Any, Final

from lairchat.client.profile import Profile
from lairchat.trust.secret import SecretBytes

KEPT_SECONDS: Final = 7 * 24 * 60 * 60
"""seconds: how long a key stays that nobody uses; each start begins that anew."""

_LIBRARY: Final = "libkeyutils.so.1"
_USER_KEYRING: Final = -4
"""KEY_SPEC_USER_KEYRING: of this user, whatever session a program was started from."""
_PERMISSIONS: Final = 0x3F3F0000
"""Its holder and this user may do everything, others nothing: a key made in one session of the user
has to be read in another."""
_KIND: Final = b"user"
_BYTES: Final = 64


class Keyring:
    """Keeps one secret of each profile."""

    def __init__(self) -> None:
        self._library: Any = None
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError:
            return
        # A key's number is a signed 32-bit integer, a size is one of a pointer.
        library = self._library
        library.add_key.restype = ctypes.c_int32
        library.add_key.argtypes = [
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_int32,
        ]
        library.keyctl_search.restype = ctypes.c_long
        library.keyctl_search.argtypes = [
            ctypes.c_int32,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_int32,
        ]
        library.keyctl_read.restype = ctypes.c_long
        library.keyctl_read.argtypes = [ctypes.c_int32, ctypes.c_char_p, ctypes.c_size_t]
        library.keyctl_setperm.restype = ctypes.c_long
        library.keyctl_setperm.argtypes = [ctypes.c_int32, ctypes.c_uint32]
        library.keyctl_set_timeout.restype = ctypes.c_long
        library.keyctl_set_timeout.argtypes = [ctypes.c_int32, ctypes.c_uint]
        library.keyctl_unlink.restype = ctypes.c_long
        library.keyctl_unlink.argtypes = [ctypes.c_int32, ctypes.c_int32]

    def keep(self, profile: Profile, secret: SecretBytes) -> bool:
        """Keep a profile's secret, and tell whether that could be done."""
        if self._library is None:
            return False
        data = secret.reveal()
        key = self._library.add_key(_KIND, _name(profile), data, len(data), _USER_KEYRING)
        if key < 0:
            return False
        self._library.keyctl_setperm(key, _PERMISSIONS)
        self._library.keyctl_set_timeout(key, KEPT_SECONDS)
        return True

    def find(self, profile: Profile) -> SecretBytes | None:
        """Return a profile's secret if it is kept, for as long again from now."""
        key = self._key(profile)
        if key is None:
            return None
        buffer = ctypes.create_string_buffer(_BYTES)
        size = self._library.keyctl_read(key, buffer, _BYTES)
        if not 0 < size <= _BYTES:
            return None
        self._library.keyctl_set_timeout(key, KEPT_SECONDS)
        found = SecretBytes(buffer.raw[:size])
        ctypes.memset(buffer, 0, _BYTES)
        return found

    def drop(self, profile: Profile) -> None:
        """Forget a profile's secret."""
        key = self._key(profile)
        if key is not None:
            self._library.keyctl_unlink(key, _USER_KEYRING)

    def _key(self, profile: Profile) -> int | None:
        if self._library is None:
            return None
        key = self._library.keyctl_search(_USER_KEYRING, _KIND, _name(profile), 0)
        return key if key >= 0 else None


def _name(profile: Profile) -> bytes:
    # By its path, too: a copy of a profile elsewhere asks for the password.
    place = f"{profile.server.hex}/{profile.account.lower()}/{profile.directory.absolute()}"
    return b"lair:" + sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32].encode()
