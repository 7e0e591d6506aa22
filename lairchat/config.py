"""Turns a TOML file and the environment into one frozen Config, or says exactly what is wrong.

Errors name file, line, column, the key and the nearest valid key (LC-CFG).
Environment variables override the file: ``LAIRCHAT_<SECTION>_<KEY>``, for instance
``LAIRCHAT_LIMITS_MESSAGE_BURST=100``.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lairchat.model import faults, limits

ENVIRONMENT_PREFIX = "LAIRCHAT_"
#: Variables that are not keys of the configuration.
OTHER_VARIABLES = frozenset(
    {"LAIRCHAT_CONFIG", "LAIRCHAT_VECTORS", "LAIRCHAT_CI", "LAIRCHAT_COVERAGE"}
)
PER_SECOND_MAX = 1_000_000
PORT_MAX = 65_535
_DIGITS = re.compile(r"[0-9]{1,5}")
SYSTEM_DIRECTORY = Path("/etc/lairchat")
FILE_NAME = "lairchat.toml"


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables: a key that is not known is an error."""


def _key(doc: str, **bounds: Any) -> Meta:
    return Meta(description=doc, **bounds)


Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Server(_Section, frozen=True):
    """Who the server is."""

    name: Annotated[
        str,
        _key(
            "Host name that clients use; it goes into the certificate and the links.",
            min_length=1,
            max_length=80,
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$",
        ),
    ] = "localhost"
    data: Annotated[
        str,
        _key("Data directory, mode 0700; empty: $XDG_DATA_HOME/lairchat."),
    ] = ""


class Listen(_Section, frozen=True):
    """One place where clients connect."""

    endpoint: Annotated[
        str, _key("A Twisted endpoint string: tcp, unix, systemd or onion.", min_length=1)
    ] = "tcp:7023:interface=127.0.0.1"
    tls: Annotated[bool, _key("Speak TLS 1.3; off only for an onion or Unix endpoint.")] = True


class Ssh(_Section, frozen=True):
    """The shell for operators."""

    enabled: Annotated[bool, _key("Whether there is a shell for operators.")] = True
    endpoint: Annotated[str, _key("Where it listens: a Twisted endpoint string.", min_length=1)] = (
        "tcp:7024:interface=127.0.0.1"
    )
    manhole: Annotated[
        bool, _key("Whether the owner may open a Python prompt inside the server.")
    ] = False


class Http(_Section, frozen=True):
    """Health, metrics and the status page."""

    enabled: Annotated[bool, _key("Whether health and metrics are served over HTTP.")] = True
    endpoint: Annotated[str, _key("Where it listens: a Twisted endpoint string.", min_length=1)] = (
        "tcp:7025:interface=127.0.0.1"
    )
    tls: Annotated[bool, _key("Speak TLS 1.3, and HTTP/2 where the client does.")] = False
    hosts: Annotated[
        list[str],
        _key("Host names that are answered to beside the server's own and loopback."),
    ] = []


class Tls(_Section, frozen=True):
    """The certificate; without one the server makes its own and renews it."""

    certificate: Annotated[
        str, _key("PEM file with the certificate chain; empty: self-signed.")
    ] = ""
    key: Annotated[str, _key("PEM file with the private key of that certificate.")] = ""


class Storage(_Section, frozen=True):
    """Where everything is kept."""

    database: Annotated[str, _key("SQLite file; empty: lair.db in the data directory.")] = ""
    readers: Annotated[int, _key("Threads that read beside the one that writes.", ge=1, le=16)] = 2


class Accounts(_Section, frozen=True):
    """Who may have an account."""

    registration: Annotated[
        Literal["open", "invite", "closed"],
        _key("Who may register: anyone, whoever has an invite link, or nobody."),
    ] = "invite"


class Limits(_Section, frozen=True):
    """How much one member or one address may ask for."""

    message_burst: Annotated[Count, _key("Messages that a member may send at once.")] = (
        limits.SEND_BURST
    )
    message_per_second: Annotated[
        float, _key("Messages a second after that.", gt=0, le=PER_SECOND_MAX)
    ] = limits.SEND_PER_SECOND
    command_burst: Annotated[Count, _key("Other commands that a member may give at once.")] = (
        limits.READ_BURST
    )
    command_per_second: Annotated[
        float, _key("Other commands a second after that.", gt=0, le=PER_SECOND_MAX)
    ] = limits.READ_PER_SECOND
    strangers_per_address: Annotated[
        Count, _key("Connections of one address that have not logged in yet.")
    ] = limits.PREAUTH_PER_ADDRESS
    wasted_per_address: Annotated[
        Count, _key("Connections of one address in ten minutes that never log in.")
    ] = limits.UNAUTHENTICATED_PER_ADDRESS
    reviewed: Annotated[
        bool, _key("Whether you have looked at these limits for a server that strangers can reach.")
    ] = False
    exempt: Annotated[
        list[str], _key("Networks whose connections are not counted, such as 10.0.0.0/8.")
    ] = []


class Log(_Section, frozen=True):
    """What is written about what happens; never message texts, tokens or whole addresses."""

    level: Annotated[
        Literal["debug", "info", "warn", "error", "critical"], _key("The least that is logged.")
    ] = "info"
    format: Annotated[Literal["text", "json"], _key("One line a text, or one JSON object.")] = (
        "text"
    )


class Config(_Section, frozen=True):
    """Everything that an operator may decide."""

    server: Server = Server()
    listen: dict[str, Listen] = msgspec.field(default_factory=lambda: {"chat": Listen()})
    ssh: Ssh = Ssh()
    http: Http = Http()
    tls: Tls = Tls()
    storage: Storage = Storage()
    accounts: Accounts = Accounts()
    limits: Limits = Limits()
    log: Log = Log()


# -- finding the file


def candidates(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield where a configuration is looked for when --config does not name one, in order."""
    if named := environ.get("LAIRCHAT_CONFIG"):
        yield Path(named)
        return
    yield user_config(environ, home)
    yield SYSTEM_DIRECTORY / FILE_NAME


def user_config(environ: Mapping[str, str], home: Path) -> Path:
    """Return where a first start writes the commented configuration."""
    base = environ.get("XDG_CONFIG_HOME") or str(home / ".config")
    return Path(base) / "lairchat" / FILE_NAME


def default_data(environ: Mapping[str, str], home: Path) -> Path:
    """Return the data directory when the configuration names none."""
    base = environ.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    return Path(base) / "lairchat"


def find(named: str | None, environ: Mapping[str, str], home: Path) -> Path | None:
    """Return the configuration to use, or None for the defaults.

    A file that was named (by --config or LAIRCHAT_CONFIG) must exist; others need not.
    """
    explicit = named or environ.get("LAIRCHAT_CONFIG")
    if explicit:
        path = Path(explicit)
        if not path.is_file():
            raise faults.Config(
                place=explicit,
                problem="there is no such file",
                advice="Make one with: twistd lairchat --print-config",
            )
        return path
    return next((path for path in candidates(environ, home) if path.is_file()), None)


# -- reading it


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, check and merge; raises faults.Config."""
    text = ""
    if path is not None:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise faults.Config(
                place=path, problem=f"not UTF-8 at byte {error.start}", advice="Save it as UTF-8."
            ) from None
        except OSError as error:
            raise faults.Config(
                place=path, problem=f"cannot be read: {error.strerror}", advice="Check its mode."
            ) from None
    return parse(text, str(path or "the defaults"), environ)


def parse(text: str, where: str, environ: Mapping[str, str]) -> Config:
    """Check a configuration's text; ``where`` names it in errors."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(where, str(error)) from None
    config = _convert(tree, text, where)
    for path, problem, advice in _flaws(config):
        line, column = locate(text, path)
        raise faults.Config(place=f"{where}:{line}:{column}", problem=problem, advice=advice)
    overrides = _overrides(environ)
    if not overrides:
        return config
    merged = msgspec.to_builtins(config)
    for (section, key), value in overrides.items():
        merged[section][key] = value
    try:
        config = msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        reason, path = _split(str(error))
        name = ENVIRONMENT_PREFIX + "_".join(path).upper()
        raise faults.Config(
            place=f"environment variable {name}",
            problem=reason,
            advice="Correct it, or unset it to use the file's value.",
        ) from None
    for path, problem, advice in _flaws(config):
        name = ENVIRONMENT_PREFIX + "_".join(path).upper()
        place = f"environment variable {name}"
        raise faults.Config(place=place, problem=problem, advice=advice)
    return config


def _convert(tree: dict[str, Any], text: str, where: str) -> Config:
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        reason, path = _split(str(error))
    if path[:1] == ["listen"]:
        path = ["listen", *_listener_at_fault(tree["listen"]), *path[1:]]
    if unknown := re.search(r"unknown field `(.+?)`", reason):
        path = [*path, unknown[1]]
        problem, advice = f'unknown key "{path[-1]}"{_inside(path[:-1])}', _suggest(path)
    else:
        problem = f'"{path[-1] if path else "?"}"{_inside(path[:-1])}: {reason}'
        advice = "See what it may be: twistd lairchat --print-config"
    line, column = locate(text, path)
    raise faults.Config(place=f"{where}:{line}:{column}", problem=problem, advice=advice)


def _flaws(config: Config) -> Iterator[tuple[list[str], str, str]]:
    """Yield what types do not say: path of the key, what is wrong there, and advice."""
    for network in config.limits.exempt:
        try:
            ip_network(network)
        except ValueError as error:
            yield ["limits", "exempt"], str(error), 'An example: exempt = ["10.0.0.0/8"]'
    for name, listener in config.listen.items():
        if listener.endpoint.startswith(("tcp:", "tcp6:")) and tcp_port(listener.endpoint) is None:
            advice = 'An example: "tcp:7023:interface=127.0.0.1"'
            problem = f'"{listener.endpoint}" names no port from 0 to 65535'
            yield ["listen", name, "endpoint"], problem, advice


def tcp_port(endpoint: str) -> int | None:
    """Return the port of a TCP endpoint string, or None where it names none that there is."""
    fields = endpoint.split(":")[1:]
    named = dict(field.split("=", 1) for field in fields if "=" in field)
    text = named.get("port") or next((field for field in fields if _DIGITS.fullmatch(field)), "")
    return int(text) if _DIGITS.fullmatch(text) and int(text) <= PORT_MAX else None


def _listener_at_fault(listeners: Any) -> list[str]:
    """Name the first listener that does not convert; msgspec's path leaves mapping keys out."""
    for name, listener in listeners.items() if isinstance(listeners, dict) else ():
        try:
            msgspec.convert(listener, Listen)
        except msgspec.ValidationError:
            return [name]
    return []


def _syntax_error(where: str, error: str) -> faults.Config:
    found = re.search(r"^(.*) \(at line (\d+), column (\d+)\)$", error)
    place = f"{where}:{found[2]}:{found[3]}" if found else where
    return faults.Config(
        place=place,
        problem=found[1] if found else error,
        advice="Texts stand in double quotes; see toml.io for the rest.",
    )


def _split(error: str) -> tuple[str, list[str]]:
    """Split msgspec's sentence into the reason and the path of the key."""
    reason, _, path = error.partition(" - at `$")
    names = re.findall(r"\.([A-Za-z0-9_-]+)|\[\.\.\.\]", path)
    return reason[:1].lower() + reason[1:], [name for name in names if name]


def _inside(path: list[str]) -> str:
    return f" in [{'.'.join(path)}]" if path else ""


def _suggest(path: list[str]) -> str:
    near = difflib.get_close_matches(path[-1], _known(path[:-1]), n=1, cutoff=0.5)
    if near:
        return f'Did you mean "{near[0]}"?'
    return f"Known here: {', '.join(_known(path[:-1]))}."


def _known(table: list[str]) -> list[str]:
    """Return the keys that a table may hold."""
    if not table:
        return [field.name for field in msgspec.structs.fields(Config)]
    if table[0] == "listen":
        return [field.name for field in msgspec.structs.fields(Listen)]
    for field in msgspec.structs.fields(Config):
        if field.name == table[0] and isinstance(field.default, _Section):
            return [key.name for key in msgspec.structs.fields(type(field.default))]
    return []


_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_ASSIGNMENT = re.compile(
    r"""^(\s*)((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*="""
)


def _names(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def locate(text: str, path: list[str]) -> tuple[int, int]:
    """Return line and column, from 1, of a key in TOML text; its table's where it is not found.

    tomllib gives positions for syntax errors only.
    """
    table: list[str] = []
    best = (1, 1)
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _names(header[1])
            if table == path:
                return number, line.index("[") + 1
            if path[: len(table)] == table:
                best = (number, line.index("[") + 1)
        elif (assignment := _ASSIGNMENT.match(line)) is not None:
            full = table + _names(assignment[2])
            if full == path:
                return number, len(assignment[1]) + 1
            if path[: len(full)] == full:
                best = (number, len(assignment[1]) + 1)
    return best


def _overrides(environ: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Collect LAIRCHAT_SECTION_KEY variables; one that names no key is an error, not ignored."""
    known = {
        f"{ENVIRONMENT_PREFIX}{section}_{key}".upper(): (section, key)
        for section, key, _ in every_key()
        if not section.startswith("listen")
    }
    found: dict[tuple[str, str], Any] = {}
    for name, value in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in OTHER_VARIABLES:
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise faults.Config(
                place=f"environment variable {name}",
                problem="names no key of the configuration",
                advice=f"Did you mean {near[0]}?" if near else "Unset it.",
            )
        place = known[name]
        found[place] = (
            [part.strip() for part in value.split(",") if part.strip()]
            if place in {("limits", "exempt"), ("http", "hosts")}
            else value
        )
    return found


# -- writing it


def every_key() -> Iterator[tuple[str, str, str]]:
    """Yield (section, key, meaning) of every key, in order; for documents and the template."""
    hints: dict[str, type[_Section]] = {"listen.chat": Listen}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, _Section):
            hints[field.name] = type(field.default)
    order = [field.name for field in msgspec.structs.fields(Config)]
    for section in sorted(hints, key=lambda name: order.index(name.partition(".")[0])):
        for key in msgspec.structs.fields(hints[section]):
            yield section, key.name, _description(key.type)


def _description(annotation: Any) -> str:
    """Return the last description among an annotation's metadata."""
    texts = [
        meta.description
        for meta in getattr(annotation, "__metadata__", ())
        if isinstance(meta, Meta) and meta.description
    ]
    return texts[-1] if texts else ""


def template() -> str:
    """Return the commented configuration that a first start writes: all keys at their defaults."""
    lines = [
        "# Lair Chat configuration.  Every key is shown with its default; remove the # to change it.",
        "# Check it with: twistd lairchat --check-config",
    ]
    section = ""
    defaults = msgspec.to_builtins(Config())
    for table, key, meaning in every_key():
        if table != section:
            section = table
            lines += ["", f"[{section}]"]
        values: Any = defaults
        for part in table.split("."):
            values = values[part]
        lines += [f"# {meaning}", f"#{key} = {_toml(values[key])}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return repr(value)
