"""What one device remembers: servers it trusts, its sessions, its queue; one process at a time.

A profile is a directory per server identity and account (architecture.md, decision 7), mode 0700,
with one lock; the process that holds the lock serves a socket that other commands use.
Promises not to know: the network, the screen.
"""

import base64
import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lairchat.model import limits
from lairchat.model.faults import ProfileBroken, ProfileLocked
from lairchat.model.identity import ServerId

#: Unix socket paths end at 107 bytes on Linux.
SOCKET_PATH_BYTES = 107
_FILE_BYTES = 4 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: What ``_write`` calls a file of a profile until it is complete; the number is a process.
_PARTIAL = re.compile(r"\.(encrypted|outbox|session|settings)\.json\.\d+")
_TOKEN_BYTES = 16 + limits.TOKEN_BYTES


def home(environ: Mapping[str, str], home_directory: Path) -> Path:
    """Return the directory of all profiles: $LAIR_HOME, or lair in the XDG data directory."""
    if named := environ.get("LAIR_HOME"):
        return Path(named).absolute()
    base = environ.get("XDG_DATA_HOME") or str(home_directory / ".local" / "share")
    return Path(base) / "lair"


def _make_directory(path: Path) -> None:
    """Make a directory and those above it, all of mode 0700; raises ProfileBroken."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        try:
            one.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _broken(one, error) from None


def require_private(directory: Path) -> None:
    """Raise ProfileBroken unless a directory is ours alone: nobody else can have put a socket there.

    Of a symbolic link the link itself has to be ours too: in /tmp anybody can make one.
    """
    try:
        of_link, status = directory.lstat(), directory.stat()
    except OSError as error:
        raise _broken(directory, error) from None
    ours = of_link.st_uid == status.st_uid == os.getuid()
    if not ours or stat.S_IMODE(status.st_mode) & 0o077:
        raise ProfileBroken(path=directory, why="others may use it")


def _write(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole, mode 0600: a crash leaves the old or the new one.

    Raises ProfileBroken, for example when the disk is full.
    """
    _make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:
            json.dump(value, file, indent=1)
            file.flush()
            if file.tell() > _FILE_BYTES:
                # Whoever reads it would find half of it, and call the profile damaged.
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)  # or the old file could be back after a power failure
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _broken(path, error) from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: OSError) -> ProfileBroken:
    return ProfileBroken(path=path, why=(error.strerror or str(error)).lower())


def _read(path: Path) -> Any:
    """Read a JSON file, or return None where there is none; raises ProfileBroken."""
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_FILE_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(path, error) from None
    except (ValueError, RecursionError):
        raise _damaged(path) from None


def _damaged(path: Path) -> ProfileBroken:
    return ProfileBroken(path=path, why="it is damaged")


class KnownServers:
    """The identity of each server address that the user has accepted (trust on first use).

    Read anew each time: another process may have put in a server, or replaced one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / "servers.json"

    def _known(self) -> dict[str, dict[str, Any]]:
        known = _read(self._path)
        if known is None:
            return {}
        if not isinstance(known, dict) or not all(isinstance(one, dict) for one in known.values()):
            raise _damaged(self._path)
        return known

    def pin(self, host: str, port: int) -> ServerId | None:
        """Return the identity remembered for an address."""
        entry = self._known().get(_address(host, port))
        if entry is None:
            return None
        try:
            return ServerId.from_hex(entry["id"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _damaged(self._path) from None

    def remember(self, host: str, port: int, server: ServerId) -> None:
        """Remember, or replace, the identity of an address."""
        with self._alone():
            known = self._known()
            known[_address(host, port)] = {"id": server.hex}
            _write(self._path, known)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing what is about to be replaced: they would lose a pin."""
        _make_directory(self._root)
        try:
            descriptor = os.open(
                self._root / "servers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _broken(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # for as long as it takes to write a file
            yield
        finally:
            os.close(descriptor)

    def last(self) -> tuple[str, int, str] | None:
        """Return host, port and account of the last login, for ``lair`` without arguments."""
        path = self._root / "last.json"
        last = _read(path)
        if last is None:
            return None
        try:
            return str(last["host"]), int(last["port"]), str(last["account"])
        except (KeyError, TypeError, ValueError):
            raise _damaged(path) from None

    def used(self, host: str, port: int, account: str) -> None:
        """Remember a login as the last one, and as the account of this address."""
        _write(self._root / "last.json", {"host": host, "port": port, "account": account})
        with self._alone():
            known = self._known()
            entry = known.get(_address(host, port))
            if entry is not None and entry.get("account") != account:
                entry["account"] = account
                _write(self._path, known)

    def account(self, host: str, port: int) -> str | None:
        """Return the account that was used last at an address."""
        account = self._known().get(_address(host, port), {}).get("account")
        return account if isinstance(account, str) else None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}"


class Session:
    """What logs this device in again; kept out of repr."""

    __slots__ = ("device", "name", "token", "user")

    def __init__(self, name: str, user: int, device: int, token: bytes) -> None:
        self.name = name
        self.user = user
        self.device = device
        self.token = token

    def __repr__(self) -> str:
        """Name the account only."""
        return f"Session({self.name!r}, token redacted)"


class Profile:
    """One account on one server, as this device knows it.

    Raises ProfileBroken for what cannot be an account's name: it becomes a directory here.
    """

    def __init__(self, root: Path, server: ServerId, account: str) -> None:
        if not _NAME.fullmatch(account):
            raise ProfileBroken(path=root, why="that is no account's name")
        self.account = account
        self.server = server
        self.directory = root / "profiles" / server.hex[:32].lower() / account.lower()
        self._lock: int | None = None

    def __repr__(self) -> str:
        """Name the account and the server's identity."""
        return f"Profile({self.account!r} at {self.server.short})"

    # -- the lock: one process per profile

    def lock(self) -> None:
        """Take the profile for this process; raises ProfileLocked when another one has it."""
        _make_directory(self.directory)
        path = self.directory / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _broken(path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ProfileLocked(path=self.directory) from None
        self._lock = descriptor
        try:
            self._sweep()
        except ProfileBroken:
            self.unlock()
            raise

    def _sweep(self) -> None:
        """Remove what a process left that was killed while it wrote: unsent messages are in it.

        Only whoever holds the lock writes here, so nobody is still at work on one of these.
        """
        try:
            for path in [*self.directory.iterdir()]:
                if _PARTIAL.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise _broken(self.directory, error) from None

    def unlock(self) -> None:
        """Give the profile back; the kernel does it too when the process ends."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def locked(self) -> bool:
        """Whether this process holds the profile."""
        return self._lock is not None

    @property
    def socket(self) -> Path:
        """Where the holder listens for ``lair send`` and ``lair tail``.

        In the profile, or, where that path is too long for a socket, in the runtime directory
        under the profile's digest.
        """
        path = self.directory / "socket"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        from hashlib import sha256

        runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/lair-{os.getuid()}")  # noqa: S108 - require_private
        return runtime / f"lair-{sha256(os.fsencode(self.directory)).hexdigest()[:32]}"

    # -- what it keeps

    def session(self) -> Session | None:
        """Return the session to log in with, or None."""
        path = self.directory / "session.json"
        kept = _read(path)
        if kept is None:
            return None
        try:
            token = base64.b64decode(kept["token"], validate=True)
            session = Session(str(kept["name"]), int(kept["user"]), int(kept["device"]), token)
        except (KeyError, TypeError, ValueError):
            raise _damaged(path) from None
        if len(token) != _TOKEN_BYTES:
            raise _damaged(path)
        return session

    def keep_session(self, session: Session) -> None:
        """Keep a session, durably, before its token is used."""
        _write(
            self.directory / "session.json",
            {
                "name": session.name,
                "user": session.user,
                "device": session.device,
                "token": base64.b64encode(session.token).decode("ascii"),
            },
        )

    def drop_session(self) -> None:
        """Forget the session: logged out, or refused by the server."""
        _remove(self.directory / "session.json")

    def outbox(self) -> list[dict[str, Any]]:
        """Return the messages that were queued and not acknowledged when the client ended."""
        kept = _read(self.directory / "outbox.json")
        return kept if isinstance(kept, list) else []

    def keep_outbox(self, items: list[dict[str, Any]]) -> None:
        """Keep the queue; in clear for now, as plain as the rooms it is for (see README)."""
        path = self.directory / "outbox.json"
        if items:
            _write(path, items)
        else:
            _remove(path)

    def encrypted(self) -> set[int]:
        """Return the numbers of rooms that were ever encrypted: readable while the store is locked."""
        path = self.directory / "encrypted.json"
        kept = _read(path)
        if kept is None:
            return set()
        if not isinstance(kept, list) or not all(isinstance(room, int) for room in kept):
            # To go on without would be to trust the server's word for what is plain.
            raise _damaged(path)
        return set(kept)

    def keep_encrypted(self, rooms: set[int]) -> None:
        """Keep the numbers of rooms that were ever encrypted, durably."""
        _write(self.directory / "encrypted.json", sorted(rooms))

    def settings(self) -> dict[str, str]:
        """Return the settings that the user changed."""
        kept = _read(self.directory / "settings.json")
        return {str(k): str(v) for k, v in kept.items()} if isinstance(kept, dict) else {}

    def keep_setting(self, name: str, value: str) -> None:
        """Keep one setting."""
        settings = self.settings()
        settings[name] = value
        _write(self.directory / "settings.json", settings)


def profiles(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (server directory, account) of every profile there is."""
    for account in sorted((root / "profiles").glob("*/*")):
        if (account / "session.json").exists():
            yield account.parent.name, account.name
