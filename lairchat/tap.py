"""What twistd runs: turns options into the daemon; the composition root.

Only this module and those it composes with (prepare.py, daemon.py) see everything.
"""

import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.internet import reactor
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from lairchat import config as configuration
from lairchat.daemon import Daemon, Terminal, process_start
from lairchat.host import wall_clock
from lairchat.layout import Layout, home_directory, locate
from lairchat.logs import Logbook, json_observer, text_observer
from lairchat.model.refusal import Refusal
from lairchat.prepare import prepare
from lairchat.settings import Settings

LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 5


class Options(usage.Options):
    """Command line of ``twistd lairchat``."""

    longdesc = "A self-hosted chat for terminals. Without any option it just works, on loopback."
    optParameters = [
        ["config", "c", None, "configuration file (TOML)"],
        ["data", "d", None, "data directory"],
    ]
    optFlags = [
        ["check-config", None, "check the configuration, say what is wrong, and exit"],
        ["print-config", None, "print a commented configuration with all keys, and exit"],
    ]


class LoggedDaemon(Daemon):
    """The daemon, bringing its own log observer to the application that twistd makes for it."""

    def setServiceParent(self, parent: Any) -> None:
        """Attach to twistd's application, and give it our observer unless one was asked for."""
        if self.logbook.elsewhere:
            globalLogPublisher.addObserver(self.logbook.observer)
        elif isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.logbook.observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]


def makeService(options: Options) -> IService:
    """Make the daemon's service; called by twistd before it forks and before it logs."""
    # Twisted's timers follow the wall clock unless told otherwise: a clock that jumps must not
    # stop or fire every time-out of the server (security.md, fact 1).
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    began = process_start()
    if options["print-config"]:
        sys.stdout.write(configuration.template())
        raise SystemExit(0)
    try:
        layout = locate(options["config"], options["data"], os.environ, home_directory())
        if options["check-config"]:
            checked = Settings(layout).check()
            sys.stdout.write(f"{checked.file}: {checked.result}\n")
            raise SystemExit(0)
        prepared = prepare(
            layout,
            environ=os.environ,
            home=home_directory(),
            now=wall_clock(),
            random=secrets.token_bytes,
        )
    except Refusal as refusal:
        raise SystemExit(str(refusal)) from None
    # The link is as good as the owner's password: a terminal may show it, a journal may not.
    sys.stdout.write(f"{prepared.page(secret=sys.stdout.isatty())}\n")
    sys.stdout.flush()
    parent: Any = options.parent or {}
    nodaemon = bool(parent.get("nodaemon"))
    _own_files(layout, parent)
    return LoggedDaemon(
        reactor,
        layout,
        Terminal(nodaemon=nodaemon, first=prepared.first, began=began),
        Logbook(_writer(layout, parent, nodaemon), layout.config.log.level),
    )


def _own_files(layout: Layout, parent: Any) -> None:
    """Keep the process id beside the data, instead of twistd.pid wherever one stands."""
    if Path(parent.get("pidfile") or "").name == "twistd.pid":
        parent["pidfile"] = str(layout.pid)


def _writer(layout: Layout, parent: Any, nodaemon: bool) -> Any:
    """Return what writes the log; None where twistd was told how to log."""
    if parent.get("logfile") or parent.get("logger") or parent.get("syslog"):
        return None
    make = json_observer if layout.config.log.format == "json" else text_observer
    if nodaemon:
        return make(sys.stdout)
    return make(
        LogFile(
            layout.log.name,
            str(layout.log.parent),
            rotateLength=LOG_BYTES,
            maxRotatedFiles=LOG_FILES,
            defaultMode=0o600,
        )
    )
