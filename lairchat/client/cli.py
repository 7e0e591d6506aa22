"""The command line of ``lair``: its options, and the commands that need no screen."""

import argparse
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lairchat import __version__
from lairchat.client import profile as profiles
from lairchat.model import faults, limits
from lairchat.model.identity import Link as InviteLink
from lairchat.model.identity import parse_address
from lairchat.model.refusal import Refusal

COMMANDS = ("send", "tail", "invite", "doctor", "serverkey", "unlock")
#: How long a command waits for an answer, unless it is told otherwise.
PATIENCE_SECONDS = 20.0
#: What standard output says when nobody reads it, or the disk behind it is full or broken.
_UNPRINTABLE = {errno.EPIPE, errno.ENOSPC, errno.EIO}
#: What a shell reports of a program that Ctrl-C has ended.
INTERRUPTED = 130
DESCRIPTION = "Chat from a terminal: lair 'LINK' the first time, lair from then on."


class Parser(argparse.ArgumentParser):
    """A parser that leaves with the exit status of sysexits for a wrong command line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how it goes."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}. Try: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; documents are made from it too."""
    top = Parser("lair", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"lair {__version__}")
    _common(top)
    top.add_argument(
        "where",
        nargs="?",
        metavar="LINK|HOST[:PORT]",
        help="an invite link (in quotes), or a server; without it: the last one",
    )
    top.add_argument("--plain", action="store_true", help="lines instead of a screen")
    top.epilog = "commands (each has --help): " + ", ".join(f"lair {one}" for one in COMMANDS)
    return top


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """Return a parser for each command that needs no screen."""
    send = Parser("lair send", description="Send one message.")
    send.add_argument("room", help="#room or @person")
    send.add_argument("text", nargs="?", help="the message; standard input if not given")
    send.add_argument("--me", action="store_true", help="as an action, like /me")
    send.add_argument("--json", action="store_true", help="print sequence and time as JSON")
    tail = Parser("lair tail", description="Follow a room.")
    tail.add_argument("room", help="#room or @person")
    tail.add_argument("--json", action="store_true", help="one JSON object a line")
    tail.add_argument(
        "--after", type=_sequence, metavar="SEQ", help="begin after this sequence (0: all there is)"
    )
    doctor = Parser("lair doctor", description="Say what can be seen of a server.")
    doctor.add_argument("host", metavar="HOST[:PORT]", nargs="?")
    key = Parser(
        "lair serverkey", description="Show, or replace, the remembered identity of a server."
    )
    key.add_argument("host", metavar="HOST[:PORT]", nargs="?")
    key.add_argument(
        "--replace", action="store_true", help="ask the server and remember the new one"
    )
    invite = Parser("lair invite", description="Make an invite link, and print it.")
    invite.add_argument(
        "--uses", type=_count, default=1, metavar="N", help="how many people it lets in (1)"
    )
    unlock = Parser(
        "lair unlock",
        description="Open this device's encrypted store for lair send and lair tail.",
    )
    unlock.add_argument(
        "--keep",
        action="store_true",
        help="also after a restart of the computer, without a person: in a file of the profile",
    )
    unlock.add_argument(
        "--forget", action="store_true", help="the other way round: ask for the password again"
    )
    parsers: dict[str, argparse.ArgumentParser] = {
        "send": send,
        "tail": tail,
        "invite": invite,
        "doctor": doctor,
        "serverkey": key,
        "unlock": unlock,
    }
    for waiting in (send, tail, invite):
        waiting.add_argument(
            "--wait",
            type=_seconds,
            default=PATIENCE_SECONDS,
            metavar="SECONDS",
            help=f"how long to wait for an answer ({PATIENCE_SECONDS:g})",
        )
    for one in parsers.values():
        _common(one)
    return parsers


def _sequence(text: str) -> int:
    """Read a sequence number."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    """Read how long to wait."""
    seconds = float(text)
    if not 0 < seconds <= limits.DAY:  # nor NaN
        raise ValueError
    return seconds


def _count(text: str) -> int:
    """Read how many people an invite lets in."""
    number = int(text)
    if not 1 <= number <= limits.INVITE_USES_MAX:
        raise ValueError
    return number


def _common(one: argparse.ArgumentParser) -> None:
    one.add_argument("--server", metavar="HOST[:PORT]", help="the server, if not the last one")
    one.add_argument("--account", metavar="NAME", help="the account, if not the last one")
    one.add_argument(
        "--ca",
        metavar="system|FILE",
        help="verify the certificate: by the system's authorities, or by those in FILE",
    )


def root() -> Path:
    """Return the directory of all profiles."""
    return profiles.home(os.environ, Path.home())


def chosen(options: argparse.Namespace, where: str | None) -> Any:
    """Return the target that the options, the link or the last login name."""
    from lairchat.client.link import Target

    known = profiles.KnownServers(root())
    account = options.account or ""
    if where and where.lower().startswith("lair://"):
        link = InviteLink.parse(where)
        return Target(
            link.host, link.port, account=account, code=link.code, id_prefix=link.id_prefix
        )
    named = where or options.server
    if named:
        host, port = parse_address(named)
        return Target(host, port, account=account)
    last = known.last()
    if last is None:
        raise faults.ProfileMissing
    host, port, name = last
    return Target(host, port, account=account or name)


def make_dialer(reactor: Any, ca: str | None) -> Any:
    """Return what opens connections, with or without certificate authorities."""
    from lairchat.client.dial import RealDialer

    return RealDialer(reactor, wall_clock, ca)


def wall_clock() -> int:
    """Return the time for people and certificates, ms since 1970; timers never use it."""
    return time.time_ns() // 1_000_000


def prepare_reactor() -> Any:
    """Import the reactor and make its timers follow the monotonic clock."""
    from twisted.internet import reactor

    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    return reactor


def quiet_log(environ: Mapping[str, str]) -> None:
    """Keep the log off the terminal: into the file that LAIR_LOG names, or nowhere.

    Raises StartPermission for a file that cannot be written.
    """
    from twisted.logger import globalLogBeginner, jsonFileLogObserver

    observers = []
    if named := environ.get("LAIR_LOG"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(named, flags, 0o600)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise faults.StartPermission(path=named, why=why) from None
        observers.append(jsonFileLogObserver(os.fdopen(descriptor, "a", encoding="utf-8"), ""))
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)


def command(arguments: Sequence[str]) -> int:
    """Run a command that needs no screen; returns the exit status."""
    work = {
        "send": _send,
        "tail": _tail,
        "invite": _invite,
        "doctor": _doctor,
        "serverkey": _serverkey,
        "unlock": _unlock,
    }
    if not arguments or arguments[0] not in work:
        parser().parse_args(arguments)
        return os.EX_OK
    # Intermixed, so that options may stand anywhere: lair send ROOM --json TEXT.
    options = command_parsers()[arguments[0]].parse_intermixed_args(arguments[1:])
    from lairchat.client.headless import report

    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal of another encoding cannot show is marked, and ends nothing.
        sys.stdout.reconfigure(errors="replace")
    try:
        if os.environ.get("LAIR_LOG"):  # without it what is critical belongs on standard error
            quiet_log(os.environ)
        status = work[arguments[0]](options)
        sys.stdout.flush()
    except Refusal as refusal:
        return report(refusal)
    except OSError as error:
        if error.errno not in _UNPRINTABLE:
            raise
        return not_printed(arguments[0], error)
    return status


def not_printed(name: str, error: OSError) -> int:
    """Say that what was to be printed could not be; returns the exit status."""
    mute()
    sys.stderr.write(f"lair {name}: cannot print: {error.strerror}\n")
    return os.EX_IOERR


def mute() -> None:
    """Lead standard output nowhere: the interpreter would try to flush it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_until_done(reactor: Any, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run the reactor until this work is done, and return what it returned."""
    from twisted.internet.defer import Deferred

    outcome: list[Any] = []

    def begin() -> None:
        deferred: Deferred[Any] = Deferred.fromCoroutine(work())
        deferred.addBoth(outcome.append)
        deferred.addBoth(lambda _: reactor.callLater(0, _stop))

    def _stop() -> None:
        if reactor.running:
            reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()
    if not outcome:
        return INTERRUPTED
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return int(outcome[0])


def _session(options: argparse.Namespace) -> Any:
    from lairchat.client.holding import Session

    target = chosen(options, None)
    reactor = prepare_reactor()
    known = profiles.KnownServers(root())
    dialer = make_dialer(reactor, options.ca)
    return Session(reactor, dialer, known, target, root(), options.wait)


def _send(options: argparse.Namespace) -> int:
    import json

    from lairchat.client import headless

    text = headless.read_text(options.text, sys.stdin)
    session = _session(options)

    async def work() -> int:
        try:
            sent = await headless.send(session, options.room, text, action=options.me)
        finally:
            await session.close()
        if options.json:
            sys.stdout.write(json.dumps(sent) + "\n")
        return os.EX_OK

    return run_until_done(session.reactor, work)


def _tail(options: argparse.Namespace) -> int:
    from lairchat.client import tail

    session = _session(options)
    printer = tail.Printer(sys.stdout, as_json=options.json)
    printer.last = options.after

    async def work() -> int:
        try:
            await tail.tail(session, options.room, printer)
        finally:
            await session.close()
        if printer.closed:
            mute()
        if printer.fault is not None:
            return not_printed("tail", printer.fault)
        return os.EX_OK

    return run_until_done(session.reactor, work)


def _invite(options: argparse.Namespace) -> int:
    from lairchat.client import headless

    session = _session(options)

    async def work() -> int:
        try:
            made = await headless.invite(session, options.uses)
        finally:
            await session.close()
        # The link alone on standard output, for a pipe; what a person wants to know beside it.
        sys.stdout.write(f"{made['link']}\n")
        sys.stderr.write(f"{made['note']}\n")
        return os.EX_OK

    return run_until_done(session.reactor, work)


def _doctor(options: argparse.Namespace) -> int:
    from lairchat.client.dial import tls_mode
    from lairchat.client.doctor import device, doctor

    target = chosen(options, options.host)
    reactor = prepare_reactor()
    known = profiles.KnownServers(root())
    pin = known.pin(target.host, target.port)
    mode = tls_mode(options.ca)
    account = target.account or known.account(target.host, target.port)
    own = None if pin is None or not account else profiles.Profile(root(), pin, account)

    async def work() -> int:
        host, port = target.host, target.port
        status = await doctor(reactor, host, port, pin=pin, out=sys.stdout, mode=mode)
        if own is not None and own.session() is not None:
            await device(reactor, own, sys.stdout)
        return status

    return run_until_done(reactor, work)


def _unlock(options: argparse.Namespace) -> int:
    from lairchat.client.unlock import forget, unlock

    target = chosen(options, None)
    known = profiles.KnownServers(root())
    pin = known.pin(target.host, target.port)
    account = target.account or known.account(target.host, target.port)
    if pin is None or not account:
        raise faults.ProfileMissing
    profile = profiles.Profile(root(), pin, account)
    if options.forget:
        return forget(profile, sys.stdout)
    return unlock(profile, keep=options.keep, out=sys.stdout)


def _serverkey(options: argparse.Namespace) -> int:
    from lairchat.client.serverkey import replace, show

    target = chosen(options, options.host)
    known = profiles.KnownServers(root())
    if not options.replace:
        return show(known, target, sys.stdout)
    reactor = prepare_reactor()
    dialer = make_dialer(reactor, options.ca)
    return run_until_done(
        reactor, lambda: replace(reactor, dialer, known, target, sys.stdin, sys.stdout)
    )
