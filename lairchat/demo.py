"""``bin/lair-demo``: a server on loopback and a client in it; with ``--check`` two clients, headless.

A composition root of its own: it starts the real daemon as a process, and the real client.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lairchat.demo_server import DemoServer, ServerFailedError, checkout

#: How long the client may take to leave in order.
CLIENT_SECONDS = 5.0


def parser() -> argparse.ArgumentParser:
    """Return the parser; documents are made from it too."""
    top = argparse.ArgumentParser(
        "lair-demo",
        description="Start a server on loopback and a client in it; nothing is left behind.",
    )
    top.add_argument(
        "--check", action="store_true", help="headless: two clients talk, one line per promise"
    )
    return top


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    options = parser().parse_args(arguments)
    headless = options.check or not (sys.stdin.isatty() and sys.stdout.isatty())
    leave_in_order()
    with tempfile.TemporaryDirectory(prefix="lair-demo-") as directory:
        server = DemoServer(Path(directory))
        try:
            server.start()
        except ServerFailedError as error:
            sys.stderr.write(f"the server did not start:\n{error}\n")
            return os.EX_SOFTWARE
        try:
            return _check(server) if headless else _chat(server)
        finally:
            server.stop()


def leave_in_order() -> None:
    """Take the server along when this program is told to end, or its terminal is closed."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    # As the other: while the event loop runs, that one is the loop's own.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def _check(server: DemoServer) -> int:
    from lairchat.client.cli import prepare_reactor, run_until_done
    from lairchat.demo_check import Check

    reactor = prepare_reactor()

    def write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def work() -> int:
        check = Check(reactor, server)
        broken = await check.run(write)
        total = len(check.promises)
        write(f"{total - broken} of {total} promises hold")
        return os.EX_OK if broken == 0 else 1

    return run_until_done(reactor, work)


def _chat(server: DemoServer) -> int:
    """Open the client in #lobby, logged in already, in a profile that goes away with the demo."""
    from lairchat.client.cli import prepare_reactor, run_until_done
    from lairchat.client.sealed.keyring import Keyring
    from lairchat.demo_private import Device

    reactor = prepare_reactor()
    root = server.directory / "profile"
    name = _own_name()
    device = Device(reactor, name, server.port, root)
    device.password = os.urandom(16).hex()

    async def work() -> int:
        await device.register(server.link().code)
        sealed = device.link.sealed
        assert sealed.opening is not None
        # What nobody will ever recover needs no words on paper, and no password at the next start.
        sealed.device.words_kept()
        sealed.opening.keep_file()
        await device.leave()
        return os.EX_OK

    run_until_done(reactor, work)
    # A process of its own, so that the client starts as it always does: paint first, then import.
    client = subprocess.Popen(
        [sys.executable, "-P", "-m", "lairchat.client.main"],
        env={**os.environ, "LAIR_HOME": str(root), "PYTHONPATH": str(checkout())},
    )
    leave_in_order()
    try:
        return client.wait()
    except BaseException:  # a signal's SystemExit, or Ctrl-C: nobody else would end the client
        client.terminate()  # it gives the terminal back
        client.wait(CLIENT_SECONDS)
        raise
    finally:
        assert device.link.profile is not None
        Keyring().drop(device.link.profile)


def _own_name() -> str:
    """Return the user's login name if it can be an account's name, or "visitor" as a last resort."""
    from lairchat.model.names import check_user_name
    from lairchat.model.refusal import Refusal

    for name in (os.environ.get("USER", ""), os.environ.get("LOGNAME", "")):
        try:
            return check_user_name(name)
        except Refusal:
            continue
    return "visitor"


if __name__ == "__main__":
    sys.exit(run())
