"""Every column of a device's store and every file of its profile is classed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lairchat.client.profile import KnownServers, Session
from lairchat.client.store_classes import FACTS, FILES, STORE
from lairchat.client.store_vault import unlock
from lairchat.model.stored import Class, by_column
from lairchat.trust.secret import SecretBytes
from tests.client.stores import opened, profile

SAID = by_column(STORE)


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """Name every column of a store that was just made."""
    with (
        opened(tmp_path_factory.mktemp("profile")) as store,
        store._database.reading() as connection,
    ):
        rows = connection.execute("PRAGMA table_list").fetchall()
        tables = {row[1] for row in rows if row[0] == "main"} - {"sqlite_schema"}
        yield {
            f"{name}.{row[1]}"
            for name in tables
            for row in connection.execute(f"PRAGMA table_xinfo('{name}')").fetchall()
        }


def test_no_column_is_unclassed(columns: set[str]) -> None:
    unclassed = sorted(columns - set(SAID))
    assert unclassed == [], (
        "say in lairchat/client/store_classes.py what these columns tell once the store is open, and "
        "of which class they are; docs/e2ee.rst prints it"
    )


def test_no_column_is_classed_that_is_gone(columns: set[str]) -> None:
    gone = sorted(set(SAID) - columns)
    assert gone == [], "take these out of lairchat/client/store_classes.py"


def test_keys_are_called_keys() -> None:
    for column in ("device.signing", "device.signer", "ratchets.data", "key_packages.init_key"):
        assert [fact.kind for fact in SAID[column]] == [Class.SECRET], column


def test_every_file_of_a_profile_is_classed(tmp_path: Path) -> None:
    """All that a profile writes, written."""
    held = profile(tmp_path)
    try:
        unlock(held, SecretBytes(bytes(32)), os.urandom)
        held.keep_session(Session("alice", 1, 2, bytes(48)))
        held.keep_outbox([{"room": 1}])
        held.keep_encrypted({1})
        held.keep_setting("theme", "dark")
        servers = KnownServers(tmp_path)
        servers.remember("chat.example.org", 7023, held.server)
        servers.used("chat.example.org", 7023, "alice")
    finally:
        held.unlock()
    with opened(tmp_path):
        found = {path.name for path in tmp_path.rglob("*") if not path.is_dir()}
    # The log of a store that is open, and what is there only while a file is made, are named in the
    # store's own line; the socket is there while a client runs.
    named = {fact.elsewhere for fact in FILES}
    assert found - {"store.db-wal"} == named - {"socket"}


def test_every_fact_says_where_it_is() -> None:
    for fact in FACTS:
        assert fact.columns or fact.elsewhere, fact
        assert not fact.learns.endswith("."), fact
