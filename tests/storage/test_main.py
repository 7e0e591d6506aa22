"""The command line: backup create, verify, restore, and check."""

import runpy
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lairchat.storage import migrate
from lairchat.storage.__main__ import main


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate.prepare(tmp_path / "lair.db")
    return tmp_path / "lair.db"


def test_there_and_back(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, restored = path.with_name("kept"), path.with_name("restored.db")
    assert main(["backup", "create", str(path), str(kept)]) == 0
    assert main(["backup", "verify", str(kept)]) == 0
    assert main(["backup", "restore", str(kept), str(restored)]) == 0
    assert main(["check", str(restored)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if not line.startswith(" ")] == [
        f"{kept}: sound",
        f"{kept}: sound",
        f"{restored}: sound",
        f"{restored}: sound",
    ]
    assert f"schema {migrate.revisions()[-1]}, 0 rooms" in out[1]


def test_damage_is_an_exit_status_and_a_sentence(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = path.with_name("kept")
    main(["backup", "create", str(path), str(kept)])
    (kept / "manifest.json").write_text("{}")
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO log_heads VALUES (1, 5, x'00', 5)")
    connection.commit()
    connection.close()
    capsys.readouterr()
    assert main(["backup", "verify", str(kept)]) == 1
    assert main(["backup", "restore", str(kept), str(path.with_name("new.db"))]) == 1
    assert main(["backup", "create", str(path), str(kept)]) == 1
    assert main(["backup", "create", str(path), str(path / "below")]) == 1
    assert main(["check", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [sentence.split(": ", 1)[-1] for sentence in captured.err.splitlines()] == [
        f"{kept}/manifest.json is not a manifest",
        f"{kept}/manifest.json is not a manifest. If there is no better one: cp {kept}/database.sqlite {path.with_name('new.db')}",
        f"{kept} exists; a backup is never written over",
        "Not a directory",
        "the log is not what was stored, from event 1",
    ]


@pytest.mark.parametrize(
    "arguments",
    [[], ["backup"], ["backup", "create", "one"], ["nonsense"], ["back", "verify", "x"]],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as found:
        main(arguments)
    assert found.value.code == 2
    assert "usage: python -m lairchat.storage" in capsys.readouterr().err


def test_as_a_module(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lairchat.storage", "check", str(path)])
    monkeypatch.delitem(sys.modules, "lairchat.storage.__main__")
    with pytest.raises(SystemExit) as found:
        runpy.run_module("lairchat.storage", run_name="__main__", alter_sys=True)
    assert found.value.code == 0


def test_it_loads_neither_twisted_nor_alembic(path: Path) -> None:
    """A backup from cron should not take a second to start."""
    script = (
        "import sys, lairchat.storage.__main__ as program\n"
        f"program.main(['check', {str(path)!r}])\n"
        "print(sorted({'twisted', 'alembic', 'alchimia'} & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(migrate.__file__).parents[2],
    )
    assert found.stdout.splitlines()[-1] == "[]"
