"""``lair serverkey``: show the remembered identity of a server, or replace it after comparing."""

import os
from typing import Any, TextIO

from twisted.internet import defer

from lairchat.client import catalog
from lairchat.client.connection import Connection
from lairchat.client.link import Dialer, Target
from lairchat.client.profile import KnownServers
from lairchat.model import faults, limits
from lairchat.model.identity import ServerId, format_address


def _lines(title: str, server: ServerId) -> str:
    return f"{title}  {' '.join(server.words())}\n      sha256 {server.fingerprint}\n"


def show(known: KnownServers, target: Target, out: TextIO) -> int:
    """Print the remembered identity."""
    pin = known.pin(target.host, target.port)
    if pin is None:
        raise faults.ProfileMissing
    out.write(_lines("remembered", pin))
    return os.EX_OK


async def replace(
    reactor: Any,
    dialer: Dialer,
    known: KnownServers,
    target: Target,
    answers: TextIO,
    out: TextIO,
) -> int:
    """Ask the server who it is, show old and new side by side, and remember the new one on "yes".

    A whole word has to be typed: this is the moment that somebody in between would wait for.
    """
    connection = Connection(reactor, catalog.EVENTS, lambda *_: None, lambda _: None)
    spki = await dialer.dial(target.host, target.port, connection)
    try:
        hello = await connection.greet().addTimeout(limits.DIAL_SECONDS, reactor)
        server = dialer.prove(target.host, hello, spki)
    except defer.TimeoutError:
        address = format_address(target.host, target.port)
        raise faults.NetTimeout(address=address, host=target.host) from None
    finally:
        connection.leave()
    pin = known.pin(target.host, target.port)
    if pin == server:
        out.write(_lines("unchanged", server))
        return os.EX_OK
    if pin is not None:
        out.write(_lines("was", pin))
    out.write(_lines("now", server))
    out.write("Compare with what the operator announced. Replace it? Type yes: ")
    out.flush()
    if answers.readline().strip().lower() != "yes":
        out.write("nothing was changed\n")
        return os.EX_NOPERM
    known.remember(target.host, target.port, server)
    out.write("remembered\n")
    return os.EX_OK
