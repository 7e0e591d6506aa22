"""Tells of the keys: all of them, what each means and takes, its value, what differs, a template."""

import difflib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta

from lairchat.config.schema import Config, Listen, Section


class Key(NamedTuple):
    """One key that may be set.

    table: such as ``limits``, or ``listen.chat``, which stands for every listener.
    takes: which values, in words. live: a reload takes it over; others wait for a restart.
    """

    table: str
    name: str
    meaning: str
    takes: str
    live: bool

    @property
    def path(self) -> str:
        """The key with its table, as people name it."""
        return f"{self.table}.{self.name}"


def all_keys() -> Iterator[Key]:
    """Yield every key, in the order of the template."""
    tables: dict[str, type[Section]] = {}
    for field in msgspec.structs.fields(Config):
        if field.name == "listen":
            tables["listen.chat"] = Listen
        elif isinstance(field.default, Section):
            tables[field.name] = type(field.default)
    for table, kind in tables.items():
        for field in msgspec.structs.fields(kind):
            meta = _meta(field.type)
            live = bool((meta.extra or {}).get("live"))
            yield Key(table, field.name, meta.description or "", _takes(field.type), live)


def every_key() -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, meaning) of every key, in order; for documents and the template."""
    for key in all_keys():
        yield key.table, key.name, key.meaning


def key_of(path: str) -> Key | None:
    """Return the key of this path; every listener has the keys of ``listen.chat``."""
    parts = path.split(".")
    if parts[0] == "listen" and len(parts) == 3:
        path = f"listen.chat.{parts[2]}"
    return next((key for key in all_keys() if key.path == path), None)


def nearest(path: str) -> str:
    """Return the key whose name looks most like this one."""
    known = [key.path for key in all_keys()]
    ends = [one for one in known if one.endswith(f".{path}")]
    near = ends or difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    return near[0]


def values(config: Config) -> dict[str, Any]:
    """Return the value of every key, by path, in the order of the template."""
    found: dict[str, Any] = {}
    for table, section in msgspec.to_builtins(config).items():
        if table == "listen":
            for name, listener in section.items():
                found |= {f"listen.{name}.{key}": value for key, value in listener.items()}
        else:
            found |= {f"{table}.{key}": value for key, value in section.items()}
    return found


def differences(running: Config, fresh: Config) -> list[tuple[str, Any, Any]]:
    """Return (path, running, fresh) of every key that differs; None where there is no such key."""
    before, after = values(running), values(fresh)
    paths = dict.fromkeys([*before, *after])
    return [
        (path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def applies_live(path: str) -> bool:
    """Tell whether a reload takes over this key."""
    key = key_of(path)
    return key is not None and key.live


def merged(running: Config, fresh: Config) -> Config:
    """Return what runs after a reload: the fresh values of live keys, the running ones of others."""
    tree = msgspec.to_builtins(running)
    for path, value in values(fresh).items():
        table, _, name = path.rpartition(".")
        if applies_live(path) and table in tree:
            tree[table][name] = value
    return msgspec.convert(tree, Config)


def template() -> str:
    """Return the commented configuration that a first start writes: all keys at their defaults."""
    lines = [
        "# Lair Chat configuration.  Every key is shown with its default; remove the # to change it.",
        "# Check it with: twistd lairchat --check-config",
    ]
    table = ""
    defaults = values(Config())
    for key in all_keys():
        if key.table != table:
            table = key.table
            lines += ["", f"[{table}]"]
        lines += [f"# {key.meaning}", f"#{key.name} = {written(defaults[key.path])}"]
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:
    """Write a value as it stands in TOML."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return repr(value)


def _meta(annotation: Any) -> Meta:
    """Return the metadata that describes a key: the last one, behind that of the type it uses."""
    described: list[Meta] = [
        meta
        for meta in getattr(annotation, "__metadata__", ())
        if isinstance(meta, Meta) and meta.description
    ]
    return described[-1]


def _takes(annotation: Any) -> str:
    """Say in words which values a type takes."""
    bounds = [meta for meta in annotation.__metadata__ if isinstance(meta, Meta)]
    kind = annotation.__origin__
    if get_origin(kind) is Literal:
        return ", ".join(written(choice) for choice in get_args(kind))
    if kind is bool:
        return "true or false"
    if get_origin(kind) is list:
        return "a list of texts"
    if kind is str:
        return "a text"
    low = next((b for b in (*(m.ge for m in bounds), *(m.gt for m in bounds)) if b is not None), 0)
    high = next((m.le for m in bounds if m.le is not None), None)
    noun = "a whole number" if kind is int else "a number"
    return f"{noun} from {low} to {high}" if high is not None else noun


__all__ = [
    "Key",
    "all_keys",
    "applies_live",
    "differences",
    "every_key",
    "key_of",
    "merged",
    "nearest",
    "template",
    "values",
    "written",
]
