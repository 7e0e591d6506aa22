"""How a device's store is unlocked: by the password, by what the kernel keeps, by a machine's key file.

Promises not to know: what is in the store, the network.
"""

from collections.abc import Callable
from pathlib import Path

from lairchat.client import store_vault
from lairchat.client.profile import Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.store import Store
from lairchat.client.store_disk import (
    create_private,
    explained_disk,
    make_private,
    put_in_place,
    sync_file,
)
from lairchat.e2ee.vault import MASTER_BYTES
from lairchat.trust.secret import SecretBytes

KEY_FILE = "store.open"
"""A store's key in the clear, for machines that start without a person; only by their owner's wish."""


class Opening:
    """Opens the store of one profile, which this process has locked.

    random: n -> n random bytes.
    """

    def __init__(self, profile: Profile, keyring: Keyring, random: Callable[[int], bytes]) -> None:
        self._profile = profile
        self._keyring = keyring
        self._random = random
        self._master: SecretBytes | None = None

    @property
    def is_new(self) -> bool:
        """Whether this profile has no store yet: the first password makes one."""
        return not store_vault.vault_path(self._profile).exists()

    def by_itself(self) -> Store | None:
        """Return the store if its key is at hand without a password; None if it is not.

        Raises a Refusal if the store is damaged, newer or used by another process.
        """
        if self.is_new:
            return None
        master = self._keyring.find(self._profile) or self._from_file()
        return None if master is None else self._open(master)

    def by_password(self, vault_key: SecretBytes) -> Store:
        """Return the store, made if there is none; raises ProfileKey for the wrong password."""
        return self._open(store_vault.unlock(self._profile, vault_key, self._random))

    def _open(self, master: SecretBytes) -> Store:
        store = Store.open(self._profile, master)
        self._master = master
        self._keyring.keep(self._profile, master)
        return store

    def lock_anew(self, vault_key: SecretBytes) -> None:
        """Have a new password open the store from now on; only while it is open."""
        assert self._master is not None
        store_vault.lock(self._profile, self._master, vault_key, self._random)

    def forget(self) -> None:
        """Forget the key that was at hand: the next start asks for the password."""
        self._keyring.drop(self._profile)
        with explained_disk(self.file):
            self.file.unlink(missing_ok=True)

    # A machine's key file.

    @property
    def file(self) -> Path:
        """Where the key lies in the clear, if its owner wants that."""
        return self._profile.directory / KEY_FILE

    @property
    def has_file(self) -> bool:
        """Whether the store opens without a person."""
        return self.file.exists()

    def keep_file(self) -> None:
        """Let the store open without a person: whoever reads the file reads everything."""
        assert self._master is not None
        partial = self.file.with_name(f"{KEY_FILE}.new")
        with explained_disk(self.file):
            partial.unlink(missing_ok=True)
            create_private(partial)
            partial.write_bytes(self._master.reveal())
            sync_file(partial)
            put_in_place(partial, self.file)

    def _from_file(self) -> SecretBytes | None:
        with explained_disk(self.file):
            try:
                make_private(self.file)
                data = self.file.read_bytes()
            except FileNotFoundError:
                return None
        return SecretBytes(data) if len(data) == MASTER_BYTES else None
