"""What lairctl does without a daemon, in this process: reads, repairs, restores, refusals."""

import json
import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lairchat import offline, prepare
from lairchat.config import load_with_sources
from lairchat.host import wall_clock
from lairchat.layout import Layout
from lairchat.operator.console import Output
from lairchat.storage import backup, migrate


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server that was started once, and its configuration."""
    config = tmp_path / "lairchat.toml"
    config.write_text('[listen.chat]\nendpoint = "tcp:0"\n[limits]\nmessage_burst = 7\n')
    loaded = load_with_sources(config, {})
    found = Layout(loaded.config, config, tmp_path / "data", loaded.sources)
    prepare.prepare(found, environ={}, home=tmp_path, now=wall_clock(), random=secrets.token_bytes)
    return found


async def yes(_question: str) -> bool:
    return True


def run(layout: Layout, line: str, status: int = 0) -> str:
    output = offline.run(layout, line.split(), yes)
    assert output.status == status, output
    return output.text


def test_it_says_how_the_files_are(layout: Layout) -> None:
    status = json.loads(run(layout, "server status --json"))
    assert (status["state"], status["pid"], status["accounts"]) == ("offline", 0, 0)
    assert status["schema"] == migrate.number(migrate.revisions()[-1])
    shown = json.loads(run(layout, "cert show --json"))
    assert shown["self_signed"]
    renewed = run(layout, "cert renew")
    assert "new connections get" in renewed
    assert json.loads(run(layout, "cert show --json"))["spki_sha256"] != shown["spki_sha256"]
    again = json.loads(run(layout, "cert show --json"))["spki_sha256"]
    run(layout, "cert renew --dry-run")
    assert json.loads(run(layout, "cert show --json"))["spki_sha256"] == again
    layout.certificate.unlink()
    assert run(layout, "cert show", 1).startswith("LC-START-CERT")


def test_it_tells_of_the_configuration(layout: Layout) -> None:
    rows = json.loads(run(layout, "config show --json"))
    values = {row["key"]: (row["value"], row["source"]) for row in rows}
    assert values["limits.message_burst"] == ("7", "lairchat.toml:4:1")
    assert values["limits.command_burst"] == ("100", "default")
    rows = json.loads(run(layout, "config show --changed --json"))
    assert {row["key"] for row in rows} == {"listen.chat.endpoint", "limits.message_burst"}
    assert run(layout, "config show limit", 3).startswith("LC-KEY-UNKNOWN")
    told = json.loads(run(layout, "config explain limits.message_burst --json"))
    assert told["default"] == "10"
    assert told["applies"] == "at a reload"
    assert told["variable"] == "LAIRCHAT_LIMITS_MESSAGE_BURST"
    assert json.loads(run(layout, "config explain storage.readers --json"))["applies"] == (
        "at a restart"
    )
    assert "Did you mean limits.message_burst" in run(layout, "config explain mesage_burst", 3)
    assert "good" in run(layout, "config check")
    assert layout.config_path is not None
    layout.config_path.write_text('[limits]\nmessage_burst = 9\n[log]\nformat = "json"\n')
    differ = json.loads(run(layout, "config diff --json"))
    assert {(row["key"], row["applies"]) for row in differ} == {
        ("limits.message_burst", "at a reload"),
        ("log.format", "at a restart"),
        ("listen.chat.endpoint", "at a restart"),
    }
    assert "3 keys differ" in run(layout, "config check")
    layout.config_path.write_text("[limits]\nmesage_burst = 9\n")
    for verb in ("check", "diff"):
        assert 'lairchat.toml:2:1: unknown key "mesage_burst"' in run(layout, f"config {verb}", 1)


@pytest.mark.parametrize(
    "line",
    [
        "stats show",
        "config reload",
        "log level warn",
        "server broadcast hello",
        "server maintenance off --yes",
        "server shutdown --yes",
        "server shutdown --cancel --yes",
    ],
)
def test_what_needs_a_daemon_says_so(layout: Layout, line: str) -> None:
    assert run(layout, line, 1).startswith("LC-NO-DAEMON")


def test_half_a_backup_of_a_killed_server_goes_with_the_next_one(layout: Layout) -> None:
    half = layout.backups / ".20260101T000000Z.partial"
    half.mkdir(parents=True)
    (half / backup.DATABASE).write_bytes(b"half")
    (layout.backups / "mine.partial").mkdir()
    run(layout, "backup create --dry-run")
    assert half.exists()
    run(layout, "backup create one")
    assert {path.name for path in layout.backups.iterdir()} == {"one", "mine.partial"}


def test_backups_are_made_proven_and_put_back(layout: Layout, tmp_path: Path) -> None:
    assert "dry run" in run(layout, "backup create one --dry-run")
    assert json.loads(run(layout, "backup list --json")) == []
    run(layout, "backup create one")
    assert run(layout, "backup create one", 1).startswith("LC-BACKUP-EXISTS")
    run(layout, "backup create")
    run(layout, f"backup create {tmp_path / 'elsewhere'}")
    assert run(layout, "backup create ../x", 1).startswith("LC-BACKUP-NAME")
    rows = json.loads(run(layout, "backup list --json"))
    assert len(rows) == 2
    assert rows[0]["made"] >= rows[1]["made"]
    verified = json.loads(run(layout, "backup verify one --json"))
    assert verified["result"] == "sound"
    assert run(layout, "backup verify two", 3).startswith("LC-BACKUP-UNKNOWN")
    assert run(layout, "backup restore one --yes", 1).startswith("LC-RESTORE-OVER")
    assert "dry run" in run(layout, "backup restore one --replace --dry-run")
    assert not list(layout.data.glob("*.replaced-*"))
    restored = json.loads(run(layout, "backup restore one --replace --yes --json"))
    assert restored["chain"] == verified["chain"]
    assert restored["aside"].endswith("lair.db.replaced-1")
    damaged = layout.backups / "one" / "manifest.json"
    damaged.write_text("{")
    assert "damaged" in run(layout, "backup list")
    assert run(layout, "backup verify one", 1).startswith("LC-BACKUP-DAMAGED")
    assert run(layout, "backup restore one --replace --yes", 1).startswith("LC-BACKUP-DAMAGED")


def test_a_restore_makes_the_server_that_was(layout: Layout, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    run(layout, f"backup create {kept}")
    empty = Layout(layout.config, layout.config_path, tmp_path / "new" / "data", layout.sources)
    assert "dry run" in run(empty, f"backup restore {kept} --dry-run")
    assert not empty.data.exists()
    assert run(empty, "db status", 1).startswith("LC-CTL-NONE")
    assert not empty.data.exists()
    assert "identity.pem" in run(empty, f"backup restore {kept} --yes")
    assert empty.identity.read_bytes() == layout.identity.read_bytes()
    assert oct(empty.data.stat().st_mode)[-3:] == "700"
    assert backup.contents_of(empty.database) == backup.read_manifest(kept).contents
    assert "sound" in run(empty, "db check")


def test_a_backup_that_the_disk_refuses_is_a_refusal(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.backups.write_text("in the way")
    said = run(layout, "backup create", 1)
    assert said.startswith("LC-BACKUP-FAILED"), said
    layout.backups.unlink()
    usage = os.statvfs_result((4096, 4096, 9, 1, 1, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: usage)
    assert run(layout, "backup create", 1).startswith("LC-DISK-ROOM")
    assert run(layout, "db vacuum --yes", 1).startswith("LC-DISK-ROOM")


def test_the_database_is_looked_after(layout: Layout) -> None:
    found = json.loads(run(layout, "db status --json"))
    assert found["file"] == str(layout.database)
    assert found["schema"] == migrate.number(migrate.revisions()[-1])
    assert "give back" in run(layout, "db vacuum --dry-run")
    assert "vacuumed" in run(layout, "db vacuum --yes")
    assert "sound" in run(layout, "db check")
    with closing(sqlite3.connect(layout.database)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(
            "INSERT INTO log_events VALUES (9, 1, 1, 1, 1, 1, 1, x'00', zeroblob(32), x'00', NULL)"
        )
        database.commit()
    assert run(layout, "db check", 1).startswith("LC-DB-DAMAGED")
    assert "room 9" in run(layout, "db check --list")


def test_a_database_of_another_version_is_not_touched(layout: Layout) -> None:
    for schema, code in (("0002_spine", "LC-START-OLD"), ("9999_later", "LC-START-SCHEMA")):
        with closing(sqlite3.connect(layout.database)) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (schema,))
            database.commit()
        before = layout.database.read_bytes()
        assert run(layout, "db status", 1).startswith(code)
        assert layout.database.read_bytes() == before
        assert "limits" in run(layout, "config show")


def test_a_daemon_that_has_the_lock_is_left_alone(layout: Layout) -> None:
    with prepare.locked(layout.lock):
        assert run(layout, "config show", 1).startswith("LC-START-LOCK")


def test_what_is_done_stands_in_the_daemons_log(layout: Layout) -> None:
    assert run(layout, "log tail") == run(layout, "log tail --level error")
    layout.log.write_text(
        "2026-11-23T05:44:41+0000 info  first\n"
        "    Traceback\n"
        '{"time": 1.5, "level": "warn", "message": "second"}\n'
        '{"time": 1.5, "level": "lo\n'
    )
    run(layout, "server status")
    lines = json.loads(run(layout, "log tail --json"))
    assert [line["text"] for line in lines][:2] == ["first", "second"]
    assert "server status" in lines[2]["text"]
    assert [line["text"] for line in json.loads(run(layout, "log tail --level warn --json"))] == [
        "second"
    ]


def test_what_cannot_be_written_down_is_not_done_and_the_lock_is_given_back(
    layout: Layout,
) -> None:
    """The log of a server that root once started by hand; a prompt goes on after that."""
    # Not even root may write to what is being run.
    layout.log.symlink_to(Path(sys.executable).resolve())
    for line in ("ban add ip 203.0.113.9 --yes", "server status"):
        refused = run(layout, line, 1)
        assert refused.startswith("LC-START-PERM"), refused
        assert str(layout.log) in refused
    layout.log.unlink()
    assert "203.0.113.9" not in run(layout, "ban list")


def test_nobody_is_asked_where_nobody_can_answer(layout: Layout) -> None:
    output = offline.run(layout, ["db", "vacuum"], None)
    assert isinstance(output, Output)
    assert output.status != 0
    assert "--yes" in output.text


def test_what_the_database_keeps_is_changed(layout: Layout) -> None:
    assert "203.0.113.9" in run(layout, "ban add ip 203.0.113.9 --reason x --yes")
    assert "203.0.113.9" in run(layout, "ban list")
    layout.database.unlink()
    assert run(layout, "ban list", 1).startswith("LC-CTL-NONE")
    assert run(layout, "ban add ip 203.0.113.9 --yes", 1).startswith("LC-CTL-NONE")
