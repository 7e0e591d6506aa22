"""The configuration in force against the one on disk, for operators: list, explain, compare, check.

Part of the composition root (see tap.py).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lairchat import config as configuration
from lairchat.config import Loaded
from lairchat.features.admin import messages, rules
from lairchat.layout import Layout, home_directory
from lairchat.model.refusals import KeyUnknown
from lairchat.prepare import read_certificate
from lairchat.transports.tls import ServerTLS

_RELOAD, _RESTART = "reload", "restart"


class Settings:
    """What is configured; ``layout.config`` is in force."""

    def __init__(
        self, layout: Layout, environ: Mapping[str, str] = os.environ, home: Path | None = None
    ) -> None:
        self._layout = layout
        self._environ = environ
        self._home = home or home_directory()

    # -- what is in force

    def keys(self, request: messages.ShowConfig) -> list[messages.KeyInForce]:
        """List the keys in force: all, of one table, or one; raises KeyUnknown for none."""
        layout = self._layout
        found = [
            messages.KeyInForce(path, configuration.written(value), self._source(path))
            for path, value in configuration.values(layout.config).items()
            if path == request.key or path.startswith(f"{request.key}.") or not request.key
        ]
        if not found:
            raise _unknown(request.key)
        return [one for one in found if not request.changed or one.source != "default"]

    def explain(self, path: str) -> messages.Explained:
        """Say what a key means; raises KeyUnknown."""
        key = configuration.key_of(path)
        values = configuration.values(self._layout.config)
        if key is None or path not in values:
            raise _unknown(path)
        default = configuration.values(configuration.Config())[key.path]
        return messages.Explained(
            key=path,
            meaning=key.meaning,
            value=configuration.written(values[path]),
            source=self._source(path),
            default=configuration.written(default),
            takes=key.takes,
            applies=f"at a {_when(path)}",
            variable=configuration.variable_of(path),
        )

    def _source(self, path: str) -> str:
        source = self._layout.sources.get(path, "default")
        file = self._layout.config_path
        # "server status" and "config check" tell the whole path; in a table it would be cut off.
        return source if file is None else source.removeprefix(f"{file.parent}/")

    # -- what is on disk

    def path(self) -> Path | None:
        """Return the file that a start would read now; the first start may have written one."""
        return self._layout.config_path or configuration.find(None, self._environ, self._home)

    def fresh(self) -> Loaded:
        """Read and check what is on disk; raises faults.Config."""
        return configuration.load_with_sources(self.path(), self._environ)

    def check(self) -> messages.Checked:
        """Check what is on disk, the certificate too; raises faults.Config, StartCertificate."""
        fresh = self.fresh()
        certified = read_certificate(self._layout, fresh.config)
        if certified is not None:
            ServerTLS(certified)
        changes = len(configuration.differences(self._layout.config, fresh.config))
        result = (
            f"good; {rules.counted(changes, 'key')} differ from what runs" if changes else "good"
        )
        return messages.Checked(str(self.path() or "the defaults"), result, changes)

    def differences(self) -> list[messages.Difference]:
        """Compare what is in force with what is on disk; raises faults.Config."""
        return [
            messages.Difference(path, _shown(running), _shown(fresh), f"at a {_when(path)}")
            for path, running, fresh in configuration.differences(
                self._layout.config, self.fresh().config
            )
        ]

    def changes(self, fresh: Loaded) -> tuple[list[str], list[str]]:
        """Return the keys that a reload takes over, and those that wait for a restart."""
        paths = [path for path, *_ in configuration.differences(self._layout.config, fresh.config)]
        live = [path for path in paths if configuration.applies_live(path)]
        return live, [path for path in paths if path not in live]

    def apply(self, fresh: Loaded) -> None:
        """Put in force what needs no restart."""
        layout = self._layout
        kept = {p: s for p, s in layout.sources.items() if not configuration.applies_live(p)}
        taken = {p: s for p, s in fresh.sources.items() if configuration.applies_live(p)}
        layout.config = configuration.merged(layout.config, fresh.config)
        layout.sources = {**kept, **taken}
        layout.config_path = self.path()


def _when(path: str) -> str:
    return _RELOAD if configuration.applies_live(path) else _RESTART


def _shown(value: Any) -> str:
    return configuration.written(value)


def _unknown(path: str) -> KeyUnknown:
    return KeyUnknown(key=path, near=configuration.nearest(path), field="$.key")
