"""Who may import whom: the table of docs/architecture.rst as data, and every import held to it.

Names that begin with a dot are ours (``.model`` is ``lairchat.model`` and all below it), ``*`` is
any one name, ``{own}`` the feature that the module belongs to.  The standard library is open to
everybody, except that pure modules have neither clock nor chance nor input and output, and that
only the composition roots know the reactor.
"""

import ast
import fnmatch
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lairchat"

TWISTED = ("twisted", "zope.interface")
# The client's way to the network, and its programs.
CLIENT_LINK = (
    "authentication", "catalog", "cli", "connection", "dial", "doctor", "face_curses",
    "face_plain", "follow", "headless", "holding", "link", "mailslot", "main", "outgoing", "people",
    "pinning", "pulse", "requests", "rooms", "sendqueue", "serverkey", "start", "tail", "tls",
    "unlock",
)  # fmt: skip
# Its files and its terminal.
CLIENT_LOCAL = ("boot", "plain", "profile", "screen")
# What it keeps, sealed.
CLIENT_STORE = (
    "store", "store_backups", "store_codes", "store_database", "store_disk", "store_file", "store_keys",
    "store_left", "store_marks", "store_messages", "store_outbox", "store_people", "store_rooms",
    "store_schema", "store_search", "store_vault",
)  # fmt: skip
# All other modules of the client are pure, and some are on the screen before the rest is loaded.
# Parts of a feature's server that have a file of their own.
ACCOUNTS_PARTS = ("accounts.checkers", "accounts.hashing")
DELIVERY_PARTS = (
    "delivery.commits", "delivery.groups", "delivery.moves", "delivery.removals",
    "delivery.speaking",
)  # fmt: skip
SERVER_PARTS = (*ACCOUNTS_PARTS, *DELIVERY_PARTS)
# What starts an event loop, reads it from the air, or belongs to one kind of it.
REACTORS = (
    "twisted.internet.reactor",
    "twisted.internet.default",
    "twisted.internet.*reactor",
    "twisted.internet.main",
    "twisted.internet.task.react",
    "twisted.internet.threads.deferToThread",
    "twisted.internet.threads.callMultipleInThread",
    "twisted.application.reactors",
)
SOCKETS = (
    "asyncio", "http", "select", "selectors", "socket", "socketserver", "ssl", "urllib.request",
    "twisted.application.internet", "twisted.application.strports", "twisted.conch",
    "twisted.internet.endpoints", "twisted.internet.protocol", "twisted.internet.ssl",
    "twisted.internet.tcp", "twisted.internet.udp", "twisted.internet.unix", "twisted.protocols",
    "twisted.web",
)  # fmt: skip
# Besides these a pure module has no Twisted, no curses and no database, because no rule names them.
IMPURE = (
    "curses", "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
    "datetime.datetime.utcnow", "fcntl", "glob", "multiprocessing", "os", "random", "secrets",
    "shutil", "signal", "sqlite3", "subprocess", "tempfile", "threading", "time.*_ns",
    "time.monotonic", "time.perf_counter", "time.process_time", "time.sleep", "time.time", "uuid",
    *SOCKETS,
)  # fmt: skip


class Rule(NamedTuple):
    """What the modules of one name, and those below it, may import beside their own package."""

    modules: str
    may: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    # Features and the client say themselves which of their neighbours they may import.
    own_package: bool = True


# Whose tables the delivery service reads, beside its own.
DELIVERY_NEEDS = ("identities", "inbox", "rooms", "transfer")


def _server(*more: str) -> tuple[str, ...]:
    return (
        ".core", ".model", ".wire.contract", ".wire.objects", ".wire.shown", ".storage", *TWISTED,
        "sqlalchemy.engine.Connection", ".features.{own}.messages", ".features.{own}.rules",
        ".features.{own}.tables", ".features.*.messages", ".features.*.rules", *more,
    )  # fmt: skip


CONTRACT = (
    ".model",
    ".wire.contract",
    ".wire.objects",
    ".wire.shown",
    "msgspec",
    ".features.{own}.messages",
)
CLIENT = (
    ".client", ".e2ee", ".features.*.client", ".features.*.messages", ".model", ".trust", ".wire",
    "wcwidth",
)  # fmt: skip
STORAGE = (".model", "sqlalchemy", "alembic", *TWISTED)
# Features that look at what encrypted rooms are made of.
ENCRYPTED = ("delivery", "identities", "inbox", "joining", "key_packages", "reports")
NETWORK = (*TWISTED, "OpenSSL", "cryptography", "service_identity")

# The first rule that names a module counts.
RULES = (
    Rule("lairchat.model", never=IMPURE),
    Rule("lairchat.wire", (".model", "msgspec"), IMPURE),
    Rule("lairchat.mls", ("cryptography",), IMPURE),
    Rule("lairchat.trust", (".model", ".mls", "cryptography"), IMPURE),
    Rule("lairchat.e2ee", (".trust", ".mls", ".model", ".wire", "cryptography", "msgspec"), IMPURE),
    Rule("lairchat.core", (".model", ".wire", "msgspec", *TWISTED), SOCKETS),
    Rule("lairchat.storage.alchimia_shim", (*STORAGE, "alchimia"), SOCKETS),
    Rule("lairchat.storage", STORAGE, SOCKETS),
    *(
        Rule(
            f"lairchat.features.{name}",
            _server(
                *(".trust", ".mls"),
                *(f".features.{part}" for part in DELIVERY_PARTS),
                *(f".features.{need}.tables" for need in DELIVERY_NEEDS),
            ),
            SOCKETS,
            own_package=False,
        )
        for name in ("delivery.server", *DELIVERY_PARTS)
    ),
    # They keep and compare what only these packages can read.
    *(
        Rule(
            f"lairchat.features.{name}.rules",
            (*CONTRACT, ".trust", ".mls"),
            IMPURE,
            own_package=False,
        )
        for name in ENCRYPTED
    ),
    *(
        Rule(
            f"lairchat.features.{name}.tables",
            (".storage", ".model", "sqlalchemy", ".trust"),
            own_package=False,
        )
        for name in ENCRYPTED
    ),
    *(
        Rule(
            f"lairchat.features.{name}.server",
            _server(".trust", ".mls"),
            SOCKETS,
            own_package=False,
        )
        for name in ENCRYPTED
    ),
    Rule("lairchat.features.*.messages", CONTRACT, IMPURE, own_package=False),
    Rule("lairchat.features.*.rules", CONTRACT, IMPURE, own_package=False),
    Rule("lairchat.features.*.tables", (".storage", ".model", "sqlalchemy"), own_package=False),
    *(
        Rule(
            f"lairchat.features.{name}",
            _server("cryptography", *(f".features.{part}" for part in ACCOUNTS_PARTS)),
            SOCKETS,
            own_package=False,
        )
        for name in ("accounts.server", *ACCOUNTS_PARTS)
    ),
    Rule("lairchat.features.transfer.server", _server(".wire.bulk"), SOCKETS, own_package=False),
    Rule("lairchat.features.*.server", _server(), SOCKETS, own_package=False),
    Rule(
        "lairchat.features.*.client",
        (".client.kit", ".model", ".e2ee", ".features.{own}.messages"),
        IMPURE,
        own_package=False,
    ),
    Rule(
        "lairchat.operator",
        (".core", ".model", ".wire", ".features.*.messages", "msgspec", "wcwidth"),
        SOCKETS,
    ),
    Rule(
        "lairchat.transports",
        (
            ".core",
            ".model",
            ".operator",
            ".wire",
            *NETWORK,
            "h2",
            "klein",
            "prometheus_client",
            "wcwidth",
        ),
    ),
    *(Rule(f"lairchat.client.{name}", (*CLIENT, *NETWORK, "msgspec")) for name in CLIENT_LINK),
    # The encrypted side of the link; it knows no reactor and no socket of its own.
    Rule("lairchat.client.sealed", (*CLIENT, ".mls", *TWISTED, "msgspec", "segno"), SOCKETS),
    *(Rule(f"lairchat.client.{name}", CLIENT) for name in CLIENT_LOCAL),
    # One module knows the driver; the rest is handed a connection.
    Rule("lairchat.client.store_database", (*CLIENT, ".mls", "sqlcipher3"), SOCKETS),
    *(Rule(f"lairchat.client.{name}", (*CLIENT, ".mls"), SOCKETS) for name in CLIENT_STORE),
    Rule(
        "lairchat.client",
        CLIENT,
        # Much of it is imported before the first paint, and dataclasses alone cost more than curses.
        (
            *IMPURE,
            "dataclasses",
            *(f"lairchat.client.{name}" for name in (*CLIENT_LINK, *CLIENT_LOCAL, *CLIENT_STORE)),
        ),
    ),
    Rule("lairchat.config", (".model", "msgspec")),
    Rule("lairchat.notify"),
    Rule("lairchat.layout", (".config", ".model")),
    Rule("lairchat.logs", (".model", *TWISTED)),
    # The composition root, in parts; nothing imports it, because no rule names it.
    *(
        Rule(f"lairchat.{name}", ("*",))
        for name in (
            "daemon",
            "demo",
            "demo_*",
            "doors",
            "host",
            "lairctl",
            "lairctl_*",
            "monitoring",
            "offline",
            "prepare",
            "settings",
            "tap",
        )
    ),
)
# cli is the half of main that comes after the first paint.
KNOW_THE_REACTOR = {
    "lairchat.client.cli",
    "lairchat.client.main",
    "lairchat.demo",
    "lairchat.tap",
}
FEATURE_FILES = {"messages", "rules", "tables", "server", "client"}


def below(name: str, pattern: str) -> bool:
    """Tell whether a dotted name is what the pattern names, or stands below it."""
    depth = pattern.count(".") + 1
    start = ".".join(name.split(".")[:depth])
    return name.count(".") + 1 >= depth and fnmatch.fnmatchcase(start, pattern)


def rule_for(module: str) -> Rule | None:
    """Find the rule that a module lives by."""
    # A package's own docstring module may import what the package is made of, nothing else.
    return next((rule for rule in RULES if below(module, rule.modules)), None)


def imported(module: str, tree: ast.Module, known: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """List what a module imports, also in functions, also by name: line and dotted name.

    What it takes out of an imported module counts as well, as ``time.sleep`` after ``import time``.
    """
    package = module if _is_package(module, known) else module.rpartition(".")[0]
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{base}.{alias.name}"
                yield node.lineno, _meant(f"{base}.{alias.name}", base, known)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
            "import_module",
            "__import__",
        }:
            given = node.args[0] if node.args else None
            literal = isinstance(given, ast.Constant) and isinstance(given.value, str)
            yield node.lineno, given.value if literal else "a name made at run time"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.fullmatch(
            r"[\w.]+", written := ast.unparse(node)
        ):
            root, _, rest = written.partition(".")
            # Our own names end at the module: what is in it belongs to whoever may import it.
            if root in bound and not bound[root].startswith("lairchat"):
                yield node.lineno, f"{bound[root]}.{rest}"


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *filter(None, [node.module])])


def _is_package(module: str, known: Mapping[str, str]) -> bool:
    return any(other.startswith(f"{module}.") for other in known)


def _meant(name: str, base: str, known: Mapping[str, str]) -> str:
    # "from lairchat.wire import codec" means a module, "from lairchat.model.ids import UserId" a name
    # in one; of other people's packages we see names only, and the longer one tells more.
    return base if base.startswith("lairchat") and name not in known else name


def may_import(rule: Rule, module: str, name: str, needs: set[str]) -> bool:
    """Decide one import."""
    top = name.partition(".")[0]
    if any(below(name, pattern) for pattern in REACTORS) and module not in KNOW_THE_REACTOR:
        return False
    if any(below(name, pattern) for pattern in rule.never):
        return False
    if top in sys.stdlib_module_names or name == "lairchat":  # the version
        return True
    if rule.own_package and ".".join(module.split(".")[:2]) == ".".join(name.split(".")[:2]):
        return True
    own = module.split(".")[2] if module.startswith("lairchat.features.") else ""
    allowed = [pattern.replace("{own}", own) for pattern in rule.may]
    if module.endswith(".server"):
        allowed += [f".features.{feature}.tables" for feature in needs]
    return any(below(name, re.sub(r"^\.", "lairchat.", pattern)) for pattern in allowed)


def needs_of(tree: ast.Module) -> set[str]:
    """Read which features' tables a server.py says it needs, from its Feature(needs=...)."""
    return {
        feature
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Feature"
        for keyword in node.keywords
        if keyword.arg == "needs"
        for feature in ast.literal_eval(keyword.value)
    }


def violations(sources: Mapping[str, str]) -> list[str]:
    """Name every import that the table forbids, in sources by dotted module name."""
    found = []
    for module, source in sorted(sources.items()):
        tree = ast.parse(source)
        if module == "lairchat" or _is_feature_list(module):
            rule: Rule | None = Rule(module, own_package=False)
        else:
            rule = rule_for(module)
        if rule is None:
            found.append(f"{module}: no rule says what it may import")
            continue
        needs = needs_of(tree)
        said: list[str] = []
        for line, name in imported(module, tree, sources):
            # What is in a module that was complained about adds nothing.
            if not may_import(rule, module, name, needs) and not any(below(name, n) for n in said):
                said.append(name)
                found.append(f"{module}:{line} may not import {name}")
    return found


def _is_feature_list(module: str) -> bool:
    # lairchat.features and each feature's __init__: lists of names, so that importing one feature's
    # messages brings in nothing else.
    return re.fullmatch(r"lairchat\.features(\.\w+)?", module) is not None


def cycle(needs: Mapping[str, set[str]]) -> list[str]:
    """Find features that need each other's tables in a circle; [] when there is none."""

    def walk(feature: str, path: list[str]) -> list[str]:
        if feature in path:
            return [*path[path.index(feature) :], feature]
        return next(filter(None, (walk(n, [*path, feature]) for n in sorted(needs[feature]))), [])

    return next(filter(None, (walk(feature, []) for feature in sorted(needs))), [])


def our_sources() -> dict[str, str]:
    """Read the package as it is."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): (path.read_text())
        for path in PACKAGE.rglob("*.py")
    }


def test_every_import_is_allowed_by_the_table():
    assert violations(our_sources()) == []


def test_features_have_the_five_files_and_their_needs_are_acyclic():
    files = [module.split(".") for module in our_sources() if module.count(".") == 3]
    in_features = {tuple(parts[2:]) for parts in files if parts[1] == "features"}
    parts = {tuple(part.split(".")) for part in SERVER_PARTS}
    assert {name for _feature, name in in_features - parts} <= FEATURE_FILES
    features = {feature for feature, _name in in_features}
    needs = {
        feature: needs_of(ast.parse(our_sources().get(f"lairchat.features.{feature}.server", "")))
        for feature in features
    }
    assert set().union(*needs.values()) <= features
    assert cycle(needs) == []


# Each line breaks one rule, and is caught by nothing but it.
FORBIDDEN = [
    ("lairchat.model.ids", "import msgspec", "msgspec"),
    ("lairchat.model.ids", "from time import time", "time.time"),
    ("lairchat.model.ids", "import time\ntime.sleep(1)", "time.sleep"),
    ("lairchat.model.ids", "import time as t\nt.time_ns()", "time.time_ns"),
    ("lairchat.model.ids", "from datetime import datetime\ndatetime.now()",
     "datetime.datetime.now"),
    ("lairchat.model.ids", "import datetime as dt\ndt.date.today()", "datetime.date.today"),
    ("lairchat.model.ids", "import os", "os"),
    ("lairchat.model.ids", "import os.path", "os.path"),
    ("lairchat.model.ids", "from lairchat.wire import frames", "lairchat.wire.frames"),
    ("lairchat.model.ids", "from .. import wire", "lairchat.wire"),
    ("lairchat.wire.frames", "from twisted.internet import defer", "twisted.internet.defer"),
    ("lairchat.wire.frames", "import random", "random"),
    ("lairchat.wire.frames", "def f():\n    import socket", "socket"),
    ("lairchat.wire.frames", "if TYPE_CHECKING:\n    import sqlalchemy", "sqlalchemy"),
    ("lairchat.wire.frames", "importlib.import_module('twisted')", "twisted"),
    ("lairchat.wire.frames", "__import__('curses')", "curses"),
    ("lairchat.wire.frames", "import_module(name)", "a name made at run time"),
    ("lairchat.wire.frames", "try:\n    import ssl\nexcept ImportError:\n    pass", "ssl"),
    ("lairchat.mls.tree", "from lairchat.model import ids", "lairchat.model.ids"),
    ("lairchat.trust.policy", "from lairchat.wire import frames", "lairchat.wire.frames"),
    ("lairchat.e2ee.vault", "from lairchat.core import hub", "lairchat.core.hub"),
    ("lairchat.core.hub", "from lairchat.storage import log", "lairchat.storage.log"),
    ("lairchat.core.hub", "import socket", "socket"),
    ("lairchat.core.hub", "from twisted.internet import endpoints", "twisted.internet.endpoints"),
    ("lairchat.core.hub", "from twisted.internet import reactor", "twisted.internet.reactor"),
    ("lairchat.core.hub", "import twisted.internet.reactor", "twisted.internet.reactor"),
    (
        "lairchat.core.hub",
        "from twisted.internet import epollreactor",
        "twisted.internet.epollreactor",
    ),
    ("lairchat.core.hub",
     "from twisted.internet import threads\nthreads.deferToThread(f)",
     "twisted.internet.threads.deferToThread"),
    ("lairchat.core.hub", "from lairchat import daemon", "lairchat.daemon"),
    ("lairchat.storage.log", "import alchimia", "alchimia"),
    ("lairchat.storage.log", "from lairchat.features.rooms import tables",
     "lairchat.features.rooms.tables"),
    ("lairchat.features.rooms.messages", "from lairchat.wire import codec", "lairchat.wire.codec"),
    ("lairchat.features.rooms.messages", "from . import tables", "lairchat.features.rooms.tables"),
    ("lairchat.features.rooms.messages", "from lairchat.features.accounts import messages",
     "lairchat.features.accounts.messages"),
    ("lairchat.features.rooms.rules", "import sqlalchemy", "sqlalchemy"),
    ("lairchat.features.rooms.tables", "from lairchat.core import hub", "lairchat.core.hub"),
    ("lairchat.features.rooms.server", "from lairchat.transports import listen",
     "lairchat.transports.listen"),
    ("lairchat.features.rooms.server", "import cryptography", "cryptography"),
    ("lairchat.features.rooms.server", "from sqlalchemy import select", "sqlalchemy.select"),
    ("lairchat.features.rooms.server", "from lairchat.features.accounts import tables",
     "lairchat.features.accounts.tables"),
    ("lairchat.features.rooms.server", "from lairchat import trust", "lairchat.trust"),
    ("lairchat.features.rooms.client", "from lairchat.client import link", "lairchat.client.link"),
    ("lairchat.features.rooms.client", "from lairchat.wire import codec", "lairchat.wire.codec"),
    ("lairchat.features.rooms", "from lairchat.features.rooms import server",
     "lairchat.features.rooms.server"),
    ("lairchat.features", "from lairchat.features.rooms import server",
     "lairchat.features.rooms.server"),
    ("lairchat.operator", "import twisted", "twisted"),
    ("lairchat.transports.listen", "from lairchat.storage import log", "lairchat.storage.log"),
    ("lairchat.transports.listen", "from lairchat.features.rooms import messages",
     "lairchat.features.rooms.messages"),
    ("lairchat.transports.listen", "from twisted.internet.threads import deferToThread",
     "twisted.internet.threads.deferToThread"),
    ("lairchat.client.view", "from lairchat.client import link", "lairchat.client.link"),
    ("lairchat.client.view", "import curses", "curses"),
    ("lairchat.client.view", "import msgspec", "msgspec"),
    ("lairchat.client.view", "import sqlalchemy", "sqlalchemy"),
    ("lairchat.client.view", "from dataclasses import dataclass", "dataclasses.dataclass"),
    ("lairchat.client.screen", "from twisted.internet import defer", "twisted.internet.defer"),
    ("lairchat.client.store_rooms", "import sqlcipher3", "sqlcipher3"),
    ("lairchat.client.store", "import socket", "socket"),
    ("lairchat.client.state", "from lairchat.client import store", "lairchat.client.store"),
    ("lairchat.client.link", "from lairchat.core import hub", "lairchat.core.hub"),
    ("lairchat.client.link", "from twisted.internet import reactor", "twisted.internet.reactor"),
    ("lairchat.client.main", "from lairchat.transports import listen",
     "lairchat.transports.listen"),
    ("lairchat.config", "import twisted", "twisted"),
    ("lairchat", "from lairchat import tap", "lairchat.tap"),
]  # fmt: skip
ALLOWED = [
    ("lairchat.model.ids", "import hashlib"),
    ("lairchat.model.ids", "import time\ntime.strftime('%H:%M', time.localtime(0))"),
    ("lairchat.model.ids", "from datetime import datetime\ndatetime.fromtimestamp(0, tz)"),
    ("lairchat.model.ids", "from lairchat.model import ids"),
    ("lairchat.wire.frames", "from lairchat.model.ids import UserId"),
    ("lairchat.core.hub", "from twisted.internet.defer import Deferred"),
    ("lairchat.storage.alchimia_shim", "from alchimia.engine import TwistedEngine"),
    ("lairchat.features.rooms.rules", "from lairchat.features.rooms.messages import Join"),
    ("lairchat.features.rooms.rules", "from .messages import Join"),
    ("lairchat.features.rooms.server", "from lairchat.features.accounts import messages"),
    ("lairchat.features.rooms.server",
     "from lairchat.features.accounts import tables\nFeature('rooms', needs=('accounts',))"),
    ("lairchat.features.accounts.server", "from cryptography.hazmat.primitives import hashes"),
    ("lairchat.features.delivery.server", "from lairchat.mls import tree"),
    ("lairchat.features.rooms.client", "from lairchat.client import kit"),
    ("lairchat.transports.listen", "import socket"),
    ("lairchat.client.view", "from lairchat.client.canvas import Canvas"),
    ("lairchat.client.main", "from twisted.internet import reactor"),
    ("lairchat.client.store_database", "from sqlcipher3 import dbapi2"),
    ("lairchat.client.store_rooms", "from lairchat.mls import group"),
    ("lairchat.tap", "from twisted.internet import reactor\nimport lairchat.storage.log"),
]  # fmt: skip
# Enough of a house that every name above can be found in it.
HOUSE = dict.fromkeys(
    [
        "lairchat", "lairchat.client", "lairchat.core", "lairchat.e2ee", "lairchat.features",
        "lairchat.features.rooms", "lairchat.mls", "lairchat.model", "lairchat.storage",
        "lairchat.transports", "lairchat.trust", "lairchat.wire", "lairchat.operator",
        *(module for module, _source, *_name in [*FORBIDDEN, *ALLOWED]),
        "lairchat.client.canvas", "lairchat.client.kit", "lairchat.features.accounts.messages",
        "lairchat.features.accounts.tables", "lairchat.wire.codec", "lairchat.wire.contract",
        "lairchat.daemon",
    ],
    "",
)  # fmt: skip


@pytest.mark.parametrize(("module", "source", "name"), FORBIDDEN)
def test_a_forbidden_import_is_named(module, source, name):
    found = violations(HOUSE | {module: source})
    assert [re.sub(r":\d+ ", " ", line) for line in found] == [f"{module} may not import {name}"]


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_an_allowed_import_is_let_through(module, source):
    assert violations(HOUSE | {module: source}) == []


def test_a_module_that_no_rule_names_is_named():
    assert violations(HOUSE | {"lairchat.utils": "import os"}) == [
        "lairchat.utils: no rule says what it may import"
    ]


def test_needs_in_a_circle_are_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
