"""Backs up, verifies, restores and checks databases from a shell.

``python -m lairchat.storage backup create DB DEST | backup verify DEST | backup restore DEST DB``,
``python -m lairchat.storage check DB``.
Exits with 0 when all is well, 1 when something is damaged or refused, 2 for a wrong command line.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lairchat.storage import backup, check


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except backup.BackupError as error:
        return _complain([str(error)])
    except OSError as error:
        return _complain([f"{error.filename}: {error.strerror}"])
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lairchat.storage", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    backups = commands.add_parser("backup", help="make, prove and put back copies")
    backup_commands = backups.add_subparsers(required=True, metavar="COMMAND")
    create = backup_commands.add_parser("create", help="copy a database, also one in use")
    create.add_argument("database", type=Path, metavar="DB")
    create.add_argument("destination", type=Path, metavar="DEST", help="a new directory")
    create.set_defaults(run=_create)
    verify = backup_commands.add_parser("verify", help="prove that a backup is sound")
    verify.add_argument("backup", type=Path, metavar="DEST")
    verify.set_defaults(run=_verify)
    restore = backup_commands.add_parser("restore", help="put a backup back where nothing is")
    restore.add_argument("backup", type=Path, metavar="DEST")
    restore.add_argument("database", type=Path, metavar="DB")
    restore.set_defaults(run=_restore)
    checking = commands.add_parser("check", help="look for damage in a database, also one in use")
    checking.add_argument("database", type=Path, metavar="DB")
    checking.set_defaults(run=_check)
    return parser


def _create(options: argparse.Namespace) -> int:
    now = time.time_ns() // 1_000_000
    _report(backup.create(options.database, options.destination, now=now), options.destination)
    return 0


def _verify(options: argparse.Namespace) -> int:
    found = backup.verify(options.backup)
    if found:
        return _complain(found)
    _report(backup.read_manifest(options.backup), options.backup)
    return 0


def _restore(options: argparse.Namespace) -> int:
    _report(backup.restore(options.backup, options.database).manifest, options.database)
    return 0


def _check(options: argparse.Namespace) -> int:
    found = check.check(options.database)
    if found:
        return _complain(found)
    print(f"{options.database}: sound")
    return 0


def _report(manifest: backup.Manifest, where: Path) -> None:
    contents = manifest.contents
    rows = sum(contents.counts.values())
    print(f"{where}: sound")
    print(f"  schema {contents.schema}, {len(contents.rooms)} rooms, {rows} rows")
    print(f"  size {manifest.size} bytes, sha256 {manifest.sha256}")
    print(f"  chain {contents.chain}")


def _complain(sentences: Sequence[str]) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
