"""Finds the configuration, reads it, and puts the environment on top; or says exactly what is wrong.

Errors name file, line, column, the key and the nearest valid key (LC-CFG).
Environment variables override the file: ``LAIRCHAT_<TABLE>_<KEY>``, for instance
``LAIRCHAT_LIMITS_MESSAGE_BURST=100`` or ``LAIRCHAT_LISTEN_CHAT_ENDPOINT=tcp:7023``; with ``_FILE``
behind it a variable names a file that holds the value, as container secrets are handed over.
"""

import difflib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lairchat.config.keys import key_of, values
from lairchat.config.schema import CREDENTIAL, Config, Listen, Section, flaws
from lairchat.config.text import TEXT_BYTES, is_json, locate, tree_of
from lairchat.model import faults

ENVIRONMENT_PREFIX = "LAIRCHAT_"
#: Variables that are not keys of the configuration.
OTHER_VARIABLES = frozenset(
    {"LAIRCHAT_CONFIG", "LAIRCHAT_VECTORS", "LAIRCHAT_CI", "LAIRCHAT_COVERAGE"}
)
FROM_FILE = "_FILE"
SYSTEM_DIRECTORY = Path("/etc/lairchat")
FILE_NAME = "lairchat.toml"
JSON_NAME = "lairchat.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where each value that is not a default comes from, by path of its key."""

    config: Config
    sources: Mapping[str, str] = field(default_factory=dict)


# -- finding the file ------------------------------------------------------------------------------


def candidates(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield where a configuration is looked for when --config does not name one, in order."""
    if named := environ.get("LAIRCHAT_CONFIG"):
        yield Path(named)
        return
    own = user_config(environ, home)
    for directory in (own.parent, SYSTEM_DIRECTORY):
        yield directory / FILE_NAME
        yield directory / JSON_NAME


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


# -- reading it ------------------------------------------------------------------------------------


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, check and merge; raises faults.Config."""
    return load_with_sources(path, environ).config


def load_with_sources(path: Path | None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read, check and merge, and say where each value comes from; raises faults.Config."""
    text = "" if path is None else _read(path)
    return parse_with_sources(text, str(path or "the defaults"), environ)


def _read(path: Path) -> str:
    """Read a configuration; a pipe or a device is refused, because it would be waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise faults.Config(
                    place=path, problem="it is not a file", advice="Name a file in its place."
                )
            data = file.read(TEXT_BYTES + 1)
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise faults.Config(place=path, problem=problem, advice="Check its mode.") from None
    if len(data) > TEXT_BYTES:
        problem = f"it is larger than {TEXT_BYTES} bytes"
        raise faults.Config(place=path, problem=problem, advice="Check that it is the right file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise faults.Config(
            place=path, problem=f"not UTF-8 at byte {error.start}", advice="Save it as UTF-8."
        ) from None


def parse(text: str, where: str, environ: Mapping[str, str]) -> Config:
    """Check a configuration's text; ``where`` names it in errors, and says whether it is JSON."""
    return parse_with_sources(text, where, environ).config


def parse_with_sources(text: str, where: str, environ: Mapping[str, str]) -> Loaded:
    """Check a configuration's text, and say where each value comes from."""
    as_json = is_json(where)
    tree = tree_of(text, where)

    def place_of(path: list[str]) -> str:
        line, column = locate(text, path, as_json=as_json)
        return f"{where}:{line}:{column}"

    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        path, problem, advice = _explain(str(error), tree)
        raise faults.Config(place=place_of(path), problem=problem, advice=advice) from None
    for path, problem, advice in flaws(config):
        raise faults.Config(place=place_of(path), problem=problem, advice=advice)
    sources = {
        path: place_of(path.split("."))
        for path in values(config)
        if _stands_in(tree, path.split("."))
    }
    config = _with_environment(config, sources, environ)
    return Loaded(_with_credentials(config, sources, environ), sources)


def _stands_in(tree: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(tree, dict) or name not in tree:
            return False
        tree = tree[name]
    return True


def _explain(error: str, tree: dict[str, Any]) -> tuple[list[str], str, str]:
    """Return the path of the key that msgspec complains of, what is wrong there, and advice."""
    reason, path = _split(error)
    if path[:1] == ["listen"]:
        path = ["listen", *_listener_at_fault(tree["listen"]), *path[1:]]
    if unknown := re.search(r"unknown field `(.+?)`", reason):
        path = [*path, unknown[1]]
        return path, f'unknown key "{path[-1]}"{_inside(path[:-1])}', _suggest(path)
    key = key_of(".".join(path))
    if key is None:
        advice = "See what it may be: twistd lairchat --print-config"
    elif "matching regex" in reason:
        reason, advice = "not of the right form", key.meaning
    else:
        advice = f"It takes {key.takes}."
    return path, f'"{path[-1] if path else "?"}"{_inside(path[:-1])}: {reason}', advice


def _listener_at_fault(listeners: Any) -> list[str]:
    """Name the first listener that does not convert; msgspec's path leaves mapping keys out."""
    for name, listener in listeners.items() if isinstance(listeners, dict) else ():
        try:
            msgspec.convert(listener, Listen)
        except msgspec.ValidationError:
            return [name]
    return []


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
    for part in msgspec.structs.fields(Config):
        if part.name == table[0] and isinstance(part.default, Section):
            return [key.name for key in msgspec.structs.fields(type(part.default))]
    return []


# -- the environment -------------------------------------------------------------------------------


def variable_of(path: str) -> str:
    """Return the environment variable that overrides a key."""
    return ENVIRONMENT_PREFIX + re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def _with_environment(
    config: Config, sources: dict[str, str], environ: Mapping[str, str]
) -> Config:
    """Put what variables say over what the file says, one by one, to know which one is wrong."""
    lists = {path for path, value in values(config).items() if isinstance(value, list)}
    for name, path, text, source in _overrides(config, environ):
        merged = msgspec.to_builtins(config)
        table = merged
        *tables, key = path.split(".")
        for part in tables:
            table = table[part]
        table[key] = (
            [part.strip() for part in text.split(",") if part.strip()] if path in lists else text
        )
        place = f"environment variable {name}"
        try:
            config = msgspec.convert(merged, Config, strict=False)
        except msgspec.ValidationError as error:
            raise faults.Config(
                place=place,
                problem=_split(str(error))[0],
                advice="Correct it, or unset it to use the file's value.",
            ) from None
        for _, problem, advice in flaws(config):
            raise faults.Config(place=place, problem=problem, advice=advice)
        sources[path] = source
    return config


def _overrides(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield variable, path of its key, value and source; one that names no key is an error."""
    known = {variable_of(path): path for path in values(config)}
    # The certificate goes before its key, whatever the order of the variables.
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in OTHER_VARIABLES:
            continue
        bare = name.removesuffix(FROM_FILE)
        if name in known:
            yield name, known[name], environ[name], f"environment {name}"
        elif bare in known:
            if bare in environ:
                raise faults.Config(
                    place=f"environment variable {name}",
                    problem=f"{bare} is set as well",
                    advice="Unset one of them.",
                )
            yield name, known[bare], _value_from(name, environ[name]), f"file {environ[name]}"
        else:
            near = difflib.get_close_matches(name, known, n=1)
            raise faults.Config(
                place=f"environment variable {name}",
                problem="names no key of the configuration",
                advice=f"Did you mean {near[0]}?" if near else "Unset it.",
            )


def _value_from(name: str, file: str) -> str:
    try:
        return _read(Path(file)).strip()
    except faults.Config as refusal:
        raise faults.Config(
            place=f"environment variable {name}",
            problem=refusal.text.removeprefix(f"{file}: ").partition(". ")[0],
            advice="Name a file that holds the value.",
        ) from None


# -- credentials -----------------------------------------------------------------------------------


def _with_credentials(
    config: Config, sources: dict[str, str], environ: Mapping[str, str]
) -> Config:
    """Turn ``credential:NAME`` into the file that systemd hands over under that name."""
    tree = msgspec.to_builtins(config)
    for key in ("certificate", "key"):
        value, path = tree["tls"][key], f"tls.{key}"
        if not value.startswith(CREDENTIAL):
            continue
        name, directory = value.removeprefix(CREDENTIAL), environ.get("CREDENTIALS_DIRECTORY")
        if not directory or "/" in name or not (Path(directory) / name).is_file():
            raise faults.Config(
                place=sources[path],
                problem=f'"{key}" in [tls]: systemd hands over no credential "{name}"',
                advice=f"Put into the unit: LoadCredential={name}:/path/to/file",
            )
        tree["tls"][key] = str(Path(directory) / name)
        sources[path] += f", credential {name}"
    return msgspec.convert(tree, Config)


__all__ = [
    "Loaded",
    "candidates",
    "default_data",
    "find",
    "load",
    "load_with_sources",
    "parse",
    "parse_with_sources",
    "user_config",
    "variable_of",
]
