"""The program ``lairctl``: gives one command to the daemon of this host, or opens a prompt.

It finds the daemon by its data directory, whose Unix socket it opens; where no daemon runs, it does
itself what can be done without one (see offline.py).  It imports little, because scripts call it
often.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lairchat import __version__
from lairchat.config import Config, default_data
from lairchat.lairctl_face import Face
from lairchat.lairctl_link import Daemon, NotRunningError
from lairchat.lairctl_shells import OfflineShell, OnlineShell
from lairchat.layout import Layout, home_directory, locate
from lairchat.model import faults
from lairchat.model.refusal import Refusal
from lairchat.operator.status import Status, status_of
from lairchat.operator.words import split

__all__ = ["main", "parser", "run"]

#: What a shell reports of a program that Ctrl-C has ended.
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser; documents are made from it too."""
    found = argparse.ArgumentParser(
        "lairctl",
        description="Command the Lair Chat server of this host.",
        epilog="lairctl help lists the commands; without one there is a prompt.",
        allow_abbrev=False,
    )
    found.add_argument("--version", action="version", version=f"lairctl {__version__}")
    found.add_argument("--config", metavar="FILE", help="the server's configuration")
    found.add_argument("--data", metavar="DIRECTORY", help="the server's data directory")
    found.add_argument(
        "--complete",
        metavar="LINE",
        help="print what the last word of a command line could become, for shells",
    )
    found.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND", help="noun verb [target] [--flag ...]"
    )
    return found


def main(arguments: Sequence[str], environ: Mapping[str, str], face: Face) -> int:
    """Do what the command line says; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        if len(options.words) == 1:
            # A whole line in quotes, as ssh takes it; nothing in quotes is no wish for a prompt.
            options.words = split(options.words[0]) or options.words
        layout = find(options.config, options.data, environ, home_directory())
        try:
            daemon = Daemon(layout.control)
        except NotRunningError:
            return _offline(layout, options, face)
        with daemon:
            return _online(daemon, options, face)
    except Refusal as refusal:
        face.error(f"{refusal}\n")
        return status_of(refusal.code)


def _online(daemon: Daemon, options: argparse.Namespace, face: Face) -> int:
    if options.complete is not None:
        offer = daemon.complete(options.complete, len(options.complete))
        face.write("".join(f"{word}\n" for word in offer.words))
        return Status.OK
    if options.words:
        return face.command(daemon, words=options.words)
    return face.prompt(OnlineShell(daemon, face))


def _offline(layout: Layout, options: argparse.Namespace, face: Face) -> int:
    """Do the command in this process: no daemon runs."""
    if options.complete is not None:
        return Status.OK  # completing is no reason to open a database
    if not options.words:
        shell = OfflineShell(layout, face)
        try:
            return face.prompt(shell)
        finally:
            shell.close()
    # Imported here: the daemon answers without all of this, ten times as fast.
    from lairchat import offline

    output = offline.run(
        layout, options.words, face.confirm(), columns=face.columns(), files=face.read
    )
    (face.error if output.status else face.write)(output.text)
    return output.status


def find(config: str | None, data: str | None, environ: Mapping[str, str], home: Path) -> Layout:
    """Find the server.

    A configuration with a mistake must not keep anybody from asking the daemon that still runs
    with the one before: then only the data directory counts.
    """
    try:
        return locate(config, data, environ, home)
    except OSError as error:  # a directory on the way is not for whoever calls
        raise faults.StartPermission(
            path=error.filename, why=(error.strerror or str(error)).lower()
        ) from None
    except faults.Config:
        named = data or environ.get("LAIRCHAT_SERVER_DATA")
        directory = Path(named).expanduser() if named else default_data(environ, home)
        layout = Layout(Config(), None, directory.absolute())
        if not layout.control.exists():
            raise
        return layout


def run() -> int:
    """Run ``lairctl``; returns the exit status."""
    face = Face()
    try:
        return main(sys.argv[1:], os.environ, face)
    except KeyboardInterrupt:
        face.error("\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough (head, less); Python's own farewell would fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.FAILED


if __name__ == "__main__":
    sys.exit(run())
