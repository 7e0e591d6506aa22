"""Where the files of one server are: found from its configuration, by the daemon and by lairctl.

Imports little, because lairctl is to start fast.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lairchat import config as configuration
from lairchat.config import Config
from lairchat.model import limits

__all__ = ["Layout", "home_directory", "locate"]

LINK_FILE = "owner-link"
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what is bound to is not typed


class Layout:
    """Where the files of one server are, and the configuration that is in force.

    config: replaced by a reload; whoever wants to follow it asks each time.
    sources: where each value that is not a default comes from, by path of its key.
    """

    __slots__ = ("config", "config_path", "data", "sources")

    def __init__(
        self,
        config: Config,
        config_path: Path | None,
        data: Path,
        sources: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.config = config
        self.config_path = config_path
        self.data = data
        self.sources = sources

    @property
    def database(self) -> Path:
        """The SQLite file."""
        named = self.config.storage.database
        return self.data / Path(named).expanduser() if named else self.data / "lair.db"

    @property
    def identity(self) -> Path:
        """The server's Ed25519 key."""
        return self.data / "identity.pem"

    @property
    def certificate(self) -> Path:
        """The certificate that the server made for itself."""
        return self.data / "tls.pem"

    @property
    def ssh_host_key(self) -> Path:
        """The Ed25519 key by which operators know the shell."""
        return self.data / "ssh_host_ed25519_key"

    @property
    def control(self) -> Path:
        """The Unix socket on which lairctl talks to the daemon."""
        return self.data / "control"

    @property
    def backups(self) -> Path:
        """Where backups are made unless an operator says otherwise."""
        return self.data / "backups"

    @property
    def lock(self) -> Path:
        """The file whose lock means that a daemon uses this directory."""
        return self.data / "lock"

    @property
    def owner_link(self) -> Path:
        """The one-time link of the owner, until it has been used."""
        return self.data / LINK_FILE

    @property
    def log(self) -> Path:
        """The log of a daemon without a terminal."""
        return self.data / "lairchat.log"

    @property
    def pid(self) -> Path:
        """The process id of the daemon."""
        return self.data / "lairchat.pid"

    def ssh_address(self) -> tuple[str, int] | None:
        """Return host and port of the operators' shell, where it is one that can be typed."""
        ssh = self.config.ssh
        port = configuration.tcp_port(ssh.endpoint)
        if not ssh.enabled or not ssh.endpoint.startswith(("tcp:", "tcp6:")) or not port:
            return None
        host = configuration.tcp_interface(ssh.endpoint)
        return self.config.server.name if host in EVERYWHERE else host, port

    def address(self) -> tuple[str, int]:
        """Return host and port for links: of the first TCP listener, or the default port."""
        for listener in self.config.listen.values():
            if listener.endpoint.startswith(("tcp:", "tcp6:")):
                port = configuration.tcp_port(listener.endpoint) or limits.PORT
                host = configuration.tcp_interface(listener.endpoint)
                if self.config.server.name != "localhost" or not host:
                    host = self.config.server.name
                return host, port
        return self.config.server.name, limits.PORT


def home_directory() -> Path:
    """Return the home directory; of a user without one, as systemd's dynamic ones, the root."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def locate(
    named_config: str | None, named_data: str | None, environ: Mapping[str, str], home: Path
) -> Layout:
    """Find and check the configuration, and with it the data directory."""
    path = configuration.find(named_config, environ, home)
    loaded = configuration.load_with_sources(path, environ)
    data = named_data or loaded.config.server.data
    directory = Path(data).expanduser() if data else configuration.default_data(environ, home)
    return Layout(loaded.config, path, directory.absolute(), loaded.sources)
