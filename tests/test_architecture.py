"""The map in docs/architecture.rst: every file that it names exists, and none of ours is missing."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = (ROOT / "docs" / "architecture.rst").read_text("utf-8")
NAMED = set(re.findall(r"``([\w./-]+/[\w.-]+)``", MAP))

#: The parts that the map has to show; each is the beginning of a row.
PARTS = (
    "frames, scan, codec",
    "command contract and table",
    "session table",
    "chunked transfer",
    "hub",
    "rate limits",
    "TLS, certificate, reload",
    "server identity",
    "group commit",
    "durable log",
    "migrations",
    "backup",
    "accounts, sessions, invites",
    "rooms and direct conversations",
    "messages, history",
    "kick, ban, unban",
    "presence",
    "first start, daemon",
    "client: pure core",
    "client: screen",
    "client: network",
    "client: profile",
)


def test_every_file_that_the_map_names_exists() -> None:
    missing = sorted(name for name in NAMED if not (ROOT / name).exists())
    assert NAMED
    assert missing == []


def test_every_part_has_a_row_with_files() -> None:
    rows = dict(re.findall(r"   \* - (.+)\n     - (.+)", MAP))
    for part in PARTS:
        files = [cell for title, cell in rows.items() if title.startswith(part)]
        assert files, f"no row for {part}"
        assert "``" in files[0], f"no file for {part}"


def test_every_package_of_the_code_is_on_the_map() -> None:
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for path in (ROOT / "lairchat").rglob("*.py")
        if path.name != "__init__.py"
    }
    shown = {str(Path(name).parent) for name in NAMED}
    assert packages - shown <= {"lairchat/storage/migrations/versions"}
