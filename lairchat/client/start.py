"""What both faces start from: the parsed command line, and the link it asks for."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed

from lairchat.client import inputs
from lairchat.client.cli import chosen, make_dialer, parser, root, wall_clock
from lairchat.client.dial import tls_mode
from lairchat.client.link import Link, Target
from lairchat.client.mailslot import listen
from lairchat.client.profile import KnownServers, Profile
from lairchat.model.faults import ProfileBroken


class Start:
    """Which server and account, and how to reach it."""

    def __init__(self, options: argparse.Namespace, target: Target) -> None:
        self.options = options
        self.target = target

    def link(self, reactor: Any, deliver: Callable[[inputs.Input], None]) -> Link:
        """Make the link, which serves the profile's socket once it holds the profile."""
        directory = root()
        link = Link(
            reactor,
            make_dialer(reactor, self.options.ca),
            self.target,
            KnownServers(directory),
            lambda server, account: Profile(directory, server, account),
            deliver=deliver,
            now=wall_clock,
            random=os.urandom,
            user_name=os.environ.get("USER", ""),
        )
        link.on_profile = lambda profile: serve(reactor, link, profile)
        return link


def serve(reactor: Any, link: Link, profile: Profile) -> "Callable[[], Deferred[Any]]":
    """Serve the profile's socket; where that cannot be done, chat without it and say so."""
    try:
        return listen(reactor, profile.socket, link).close
    except ProfileBroken as refusal:
        link.deliver(inputs.Notice(refusal.text, refusal.code))
        return lambda: succeed(None)


def parse(arguments: Sequence[str]) -> Start:
    """Read the command line; raises a Refusal for a link, host or file that cannot be read."""
    options = parser().parse_args(list(arguments))
    tls_mode(options.ca)  # for its refusal: what comes later can only be tried again
    return Start(options, chosen(options, options.where))
