"""The file beside a store that holds the store's key, wrapped by the key that the password derives."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from lairchat.client.profile import Profile, require_private
from lairchat.client.store_disk import (
    STORE,
    VAULT,
    create_private,
    explained_disk,
    make_private,
    put_in_place,
    sync_file,
)
from lairchat.e2ee.vault import MASTER_BYTES, unwrap, wrap
from lairchat.mls.errors import DecryptionError, MalformedError
from lairchat.model.faults import ProfileDamaged, ProfileKey
from lairchat.trust.secret import SecretBytes

_READ_BYTES: Final = 1_024
"""bytes: several times a vault; nobody else's file is read to its end."""


def vault_path(profile: Profile) -> Path:
    """Return where a profile's vault is."""
    return profile.directory / VAULT


def unlock(profile: Profile, vault_key: SecretBytes, random: Callable[[int], bytes]) -> SecretBytes:
    """Return the key of a profile's store; the first time it is drawn and kept, durably.

    Raises ProfileKey for the wrong password, ProfileBroken if others may look into the profile's
    directory, ProfileDamaged, ProfileDisk or ProfileFull.
    """
    require_private(profile.directory)
    path = vault_path(profile)
    with explained_disk(path):
        make_private(path)
        try:
            with path.open("rb") as file:
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return _begin(profile, vault_key, random)
    try:
        return unwrap(data, vault_key, profile.server, profile.account)
    except DecryptionError:
        raise ProfileKey(path=profile.directory) from None
    except MalformedError as error:
        raise ProfileDamaged(path=path, why=str(error)) from None


def _begin(profile: Profile, vault_key: SecretBytes, random: Callable[[int], bytes]) -> SecretBytes:
    if (profile.directory / STORE).exists():
        # A new key would open nothing, and hide that the old one is gone.
        raise ProfileDamaged(path=vault_path(profile), why="it is missing, and the store is not")
    master = SecretBytes(random(MASTER_BYTES))
    lock(profile, master, vault_key, random)
    return master


def lock(
    profile: Profile,
    master: SecretBytes,
    vault_key: SecretBytes,
    random: Callable[[int], bytes],
) -> None:
    """Keep the store's key under a password's, durably, in place of the one before.

    A crash leaves the old vault or the new one.
    """
    path = vault_path(profile)
    partial = path.with_name(f"{VAULT}.new")
    with explained_disk(path):
        partial.unlink(missing_ok=True)
        create_private(partial)
        data = wrap(master, vault_key, profile.server, profile.account, random)
        with partial.open("wb") as file:
            file.write(data)
        sync_file(partial)
        put_in_place(partial, path)
