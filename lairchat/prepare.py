"""Makes ready what a daemon needs before it starts, and says what it made.

Everything here runs synchronously, before twistd may fork, and leaves no file, thread, socket or
database open: the daemon that starts afterwards opens them in its own process.
Part of the composition root (see tap.py).
"""

import errno
import fcntl
import os
import shlex
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.task import Clock

from lairchat import __version__
from lairchat import config as configuration
from lairchat.config import Config
from lairchat.features.accounts.server import owner_code
from lairchat.layout import Layout, home_directory, locate
from lairchat.model import faults
from lairchat.model.identity import Link, ServerId
from lairchat.storage import migrate
from lairchat.storage.database import Database
from lairchat.transports.certificate import (
    CertifiedKey,
    load_certified_key,
    make_self_signed,
    parse_certified_key,
    write_self_signed,
)
from lairchat.transports.identity import ServerIdentity
from lairchat.transports.keyfiles import TooOpenError, read_private, write_private
from lairchat.transports.ssh_keys import HostKey

T = TypeVar("T")


# -- the directory and its lock


def make_directory(path: Path) -> bool:
    """Make the data directory, mode 0700, or check the one there is; say whether it is new."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        _check_directory(path)
        return False
    except OSError as error:
        raise _explain(path, error) from None
    path.chmod(0o700)
    return True


def _check_directory(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise faults.StartPermission(path=path, why="it is not a directory")
    if status.st_uid != os.geteuid():
        raise faults.StartPermission(path=path, why="it belongs to somebody else")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise faults.StartPermission(path=path, why="others may look into it; chmod 700")


def _explain(path: Path, error: OSError) -> faults.StartDisk | faults.StartPermission:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return faults.StartDisk(path=path)
    return faults.StartPermission(path=path, why=(error.strerror or str(error)).lower())


def take_lock(path: Path) -> int:
    """Take the data directory's lock and return its descriptor; raises StartLock.

    The kernel drops the lock with the process, however it ends: no stale lock to clean up.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _explain(path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise faults.StartLock(pid=holder, path=path.parent) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        os.close(descriptor)
        raise _explain(path, error) from None
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the data directory's lock for a while."""
    descriptor = take_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


# -- what is in it


def _read(path: Path) -> bytes:
    """Read a secret file; raises StartPermission where others can read it too, or nobody."""
    try:
        return read_private(path)
    except TooOpenError as error:
        raise faults.StartPermission(path=path, why=error.why) from None
    except OSError as error:
        raise _explain(path, error) from None


def load_certificate(layout: Layout, now: int) -> CertifiedKey:
    """Return the operator's certificate, or the server's own, made or renewed as is due."""
    certified = read_certificate(layout, layout.config)
    own = not layout.config.tls.certificate
    if certified is None or (own and certified.facts.due_for_renewal(now)):
        return make_certificate(layout, now)
    return certified


def read_certificate(layout: Layout, config: Config) -> CertifiedKey | None:
    """Return the certificate that a configuration means; None where the server's own is missing."""
    tls = config.tls
    if tls.certificate:
        certificate = Path(tls.certificate).expanduser()
        return load_certified_key(certificate, Path(tls.key or tls.certificate).expanduser())
    if not layout.certificate.exists():
        return None
    pem = _read(layout.certificate)
    return parse_certified_key(pem, pem, str(layout.certificate))


def make_certificate(layout: Layout, now: int) -> CertifiedKey:
    """Make the server's own certificate anew."""
    try:
        return write_self_signed(layout.certificate, layout.config.server.name, now)
    except OSError as error:  # at a renewal the server goes on with the old one
        raise _explain(layout.certificate, error) from None


def rehearse_certificate(layout: Layout, now: int) -> CertifiedKey:
    """Return such a certificate as would be made, and write nothing; raises as making it would."""
    directory = layout.certificate.parent
    if not os.access(directory, os.W_OK | os.X_OK):
        raise faults.StartPermission(path=directory, why="nothing can be written there")
    pem = make_self_signed(layout.config.server.name, now)
    return parse_certified_key(pem, pem, str(layout.certificate))


def probe_ports(config: Config) -> None:
    """Refuse a TCP port that is taken while somebody still reads the terminal.

    The listener itself checks again; but a daemon can only say so in its log.
    """
    doors = [door.endpoint for door in (config.ssh, config.http) if door.enabled]
    for endpoint in [*(listener.endpoint for listener in config.listen.values()), *doors]:
        port = configuration.tcp_port(endpoint)
        host = configuration.tcp_interface(endpoint)
        if not endpoint.startswith("tcp:") or port is None or ":" in host:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise faults.StartPort(
                    address=f"{host or '*'}:{port}",
                    why=(error.strerror or str(error)).lower(),
                    port=port,
                ) from None


class Prepared:
    """What a start found or made; the lines tell people about it.

    found_by: what lairctl has to be told to find this server; empty when it finds it by itself.
    """

    def __init__(self, layout: Layout, server_id: ServerId, *, first: bool) -> None:
        self.layout = layout
        self.server_id = server_id
        self.first = first
        self.made: list[tuple[str, str]] = []
        self.link: str | None = None
        self.found_by = ""

    def page(self, *, secret: bool) -> str:
        """Return what the terminal shows: what was made and what to do next.

        secret: whether the owner's link may be shown, or only the file that it is in.
        """
        layout = self.layout
        data = _short(layout.data)
        words = " ".join(self.server_id.words())
        host, port = layout.address()
        lair = how_to_run("lair")
        if not self.first:
            config = _short(layout.config_path) if layout.config_path else "defaults"
            lines = [
                f"Lair Chat {__version__}  data in {data}, config {config}",
                f"  identity  {words}   sha256 {self.server_id.short}",
            ]
        else:
            lines = [f"Lair Chat {__version__}  first start, data in {data} (mode 0700)"]
        # Later, too: a migration, or a database that was not where it is looked for.
        lines += [f"  created  {what:<13}{how}" for what, how in self.made]
        if self.link is not None:
            shown = self.link if secret else f"$(cat {_short(layout.owner_link)})"
            quote = "'" if secret else '"'
            lines += [
                "Become the owner, once, within 24 h:",
                f"  {lair} {quote}{shown}{quote}",
            ]
        if self.first:
            control = f"{how_to_run('lairctl')}{self.found_by}"
            lines += [
                f"Then: invite people  {control} invite create",
                f"      check          {lair} doctor {host if port == 7023 else f'{host}:{port}'}",
            ]
            if (shell := layout.ssh_address()) is not None:
                lines += [
                    f"      SSH shell      {control} user key add NAME ~/.ssh/id_ed25519.pub",
                    f"                     ssh -p {shell[1]} NAME@{shell[0]}",
                ]
        return "\n".join(lines)


def prepare(
    layout: Layout,
    *,
    environ: Mapping[str, str],
    home: Path,
    now: int,
    random: Callable[[int], bytes],
) -> Prepared:
    """Make what is missing: directory, config, identity, certificate, database, owner's link."""
    os.umask(0o077)
    new = make_directory(layout.data)
    with locked(layout.lock):
        try:
            return _prepare(layout, new, environ, home, now, random)
        except OSError as error:
            raise _explain(Path(error.filename or layout.data), error) from None


def _prepare(
    layout: Layout,
    new: bool,
    environ: Mapping[str, str],
    home: Path,
    now: int,
    random: Callable[[int], bytes],
) -> Prepared:
    first = new or not layout.identity.exists()
    if first and layout.database.exists():
        # A new identity would be a hard stop for every client that knows this server.
        raise faults.StartBroken(
            path=layout.identity, why=f"it is gone, but {layout.database.name} is there"
        )
    if first:
        identity = ServerIdentity.create(layout.identity)
    else:
        identity = ServerIdentity.load(layout.identity)
    prepared = Prepared(layout, identity.id, first=first)
    prepared.found_by = _found_by(layout, environ, home)
    made = prepared.made
    if layout.config_path is None:
        path = configuration.user_config(environ, home)
        if _write_config(path):
            layout.config_path = path  # a reload that does not find it any more says so
            made.append(("config", f"{_short(path)}  (keys commented)"))
    if first:
        words = " ".join(identity.id.words())
        made.append(("identity", f"{words}   sha256 {identity.id.short}"))
    had_certificate = layout.certificate.exists() or bool(layout.config.tls.certificate)
    facts = load_certificate(layout, now).facts
    if not had_certificate:
        days = round((facts.not_after - now) / 86_400_000)
        made.append(
            (
                "TLS",
                f"self-signed {facts.key}, {layout.config.server.name}, {days} days, renews itself",
            )
        )
    if layout.config.ssh.enabled:
        if layout.ssh_host_key.exists():
            HostKey.load(layout.ssh_host_key)  # what is wrong with it, the terminal is to say
        else:
            shown = HostKey.create(layout.ssh_host_key).fingerprint
            made.append(("SSH host key", f"ed25519  {shown}"))
    database = migrate.prepare(layout.database, now=now)
    if database.created:
        made.append(
            (
                "database",
                f"sqlite {layout.database.name}  (schema {migrate.number(database.schema)})",
            )
        )
    elif database.backup is not None:
        made.append(
            (
                "database",
                f"schema {migrate.number(database.schema)}, backup {_short(database.backup)}",
            )
        )
    prepared.link = _owner_link(layout, identity.id, now, random)
    probe_ports(layout.config)
    return prepared


def _write_config(path: Path) -> bool:
    """Write the commented configuration where a next start finds it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        write_private(path, configuration.template().encode(), replace=False)
    except FileExistsError:
        return False
    return True


def _found_by(layout: Layout, environ: Mapping[str, str], home: Path) -> str:
    """Return the option that leads to this data directory from where it is not the usual one."""
    with suppress(faults.Config):
        if locate(None, None, environ, home).data == layout.data:
            return ""
    return f" --data {shlex.quote(str(layout.data))}"


def _owner_link(
    layout: Layout, server_id: ServerId, now: int, random: Callable[[int], bytes]
) -> str | None:
    """Return the owner's link while nobody has become the owner, made anew when it has run out."""
    known = None
    if layout.owner_link.exists():
        # What cannot be read as a link is one that nobody can use: a new one takes its place.
        with suppress(faults.LinkBad):
            known = Link.parse(_read(layout.owner_link).decode("ascii", "replace").strip()).code
    code = _owner_code(layout.database, known, now, random)
    if code is None:
        layout.owner_link.unlink(missing_ok=True)
        return None
    host, port = layout.address()
    text = Link(host, port, code, server_id.prefix128).format()
    write_private(layout.owner_link, f"{text}\n".encode(), replace=True)
    return text


def _owner_code(
    path: Path, known: str | None, now: int, random: Callable[[int], bytes]
) -> str | None:
    """Ask the accounts for the owner's code."""
    return at_once(path, lambda connection: owner_code(connection, known, now, random))


def at_once(path: Path, change: Callable[[Any], T]) -> T:
    """Run a change where no reactor runs yet; the database is open only for this."""
    database = Database.open(f"sqlite:///{path}", reactor=Clock(), inline=True)
    outcome: list[T] = []
    failures: list[Any] = []
    database.call(change).addCallbacks(outcome.append, failures.append)
    database.pump()
    database.close()
    if failures:
        failures[0].raiseException()
    return outcome[0]


def how_to_run(program: str) -> str:
    """Return what starts one of our programs when it is pasted into the terminal that shows it.

    In a checkout that is its launcher, which needs no installation; elsewhere the program's name.
    """
    checkout = Path(__file__).resolve().parent.parent
    launcher = checkout / "bin" / program
    if not launcher.is_file() or not (checkout / "setup.py").is_file():
        return program
    return f"bin/{program}" if checkout == Path.cwd() else shlex.quote(str(launcher))


def _short(path: Path | None) -> str:
    """Write a path with ~ for the home directory."""
    text = str(path)
    home = str(home_directory())
    return "~" + text[len(home) :] if text.startswith(home + "/") else text
