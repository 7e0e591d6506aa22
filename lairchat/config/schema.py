"""Every key that an operator may set: its meaning, bounds, default, and when a change counts."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_network
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lairchat.model import limits

PER_SECOND_MAX = 1_000_000
PORT_MAX = 65_535
ENDPOINTS = ("tcp", "tcp6", "unix", "systemd", "onion", "haproxy")
"""Kinds of endpoints that can be listened on."""
CREDENTIAL = "credential:"
"""Begins the value of a key that names a file which systemd hands over (LoadCredential=)."""
_DIGITS = re.compile(r"[0-9]{1,5}")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables: a key that is not known is an error."""


def _key(doc: str, *, live: bool = False, **bounds: Any) -> Meta:
    """Describe a key. live: a reload takes it over; others wait for a restart."""
    return Meta(description=doc, extra={"live": live}, **bounds)


Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Server(Section, frozen=True):
    """Who the server is."""

    name: Annotated[
        str,
        _key(
            "Host name that clients use; it goes into the certificate and the links.",
            min_length=1,
            max_length=80,
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$",
        ),
    ] = "localhost"
    data: Annotated[
        str,
        _key("Data directory, mode 0700; empty: $XDG_DATA_HOME/lairchat."),
    ] = ""


class Listen(Section, frozen=True):
    """One place where clients connect."""

    endpoint: Annotated[
        str, _key("A Twisted endpoint string: tcp, unix, systemd or onion.", min_length=1)
    ] = "tcp:7023:interface=127.0.0.1"
    tls: Annotated[bool, _key("Speak TLS 1.3; off only for an onion or Unix endpoint.")] = True


class Ssh(Section, frozen=True):
    """The shell for operators."""

    enabled: Annotated[bool, _key("Whether there is a shell for operators.")] = True
    endpoint: Annotated[str, _key("Where it listens: a Twisted endpoint string.", min_length=1)] = (
        "tcp:7024:interface=127.0.0.1"
    )
    manhole: Annotated[
        bool, _key("Whether the owner may open a Python prompt inside the server.", live=True)
    ] = False


class Http(Section, frozen=True):
    """Health, metrics and the status page."""

    enabled: Annotated[bool, _key("Whether health and metrics are served over HTTP.")] = True
    endpoint: Annotated[str, _key("Where it listens: a Twisted endpoint string.", min_length=1)] = (
        "tcp:7025:interface=127.0.0.1"
    )
    tls: Annotated[bool, _key("Speak TLS 1.3, and HTTP/2 where the client does.")] = False
    hosts: Annotated[
        list[str],
        _key("Host names that are answered to beside the server's own and loopback.", live=True),
    ] = []


class Tls(Section, frozen=True):
    """The certificate; without one the server makes its own and renews it."""

    certificate: Annotated[
        str,
        _key(
            "PEM file with the certificate chain, or credential:NAME; empty: self-signed.",
            live=True,
        ),
    ] = ""
    key: Annotated[
        str,
        _key("PEM file with the private key of that certificate, or credential:NAME.", live=True),
    ] = ""


class Storage(Section, frozen=True):
    """Where everything is kept."""

    database: Annotated[str, _key("SQLite file; empty: lair.db in the data directory.")] = ""
    readers: Annotated[int, _key("Threads that read beside the one that writes.", ge=1, le=16)] = 2


class Accounts(Section, frozen=True):
    """Who may have an account."""

    registration: Annotated[
        Literal["open", "invite", "closed"],
        _key("Who may register: anyone, whoever has an invite link, or nobody.", live=True),
    ] = "invite"


class Limits(Section, frozen=True):
    """How much one member or one address may ask for."""

    message_burst: Annotated[Count, _key("Messages that a member may send at once.", live=True)] = (
        limits.SEND_BURST
    )
    message_per_second: Annotated[
        float, _key("Messages a second after that.", live=True, gt=0, le=PER_SECOND_MAX)
    ] = limits.SEND_PER_SECOND
    command_burst: Annotated[
        Count, _key("Other commands that a member may give at once.", live=True)
    ] = limits.READ_BURST
    command_per_second: Annotated[
        float, _key("Other commands a second after that.", live=True, gt=0, le=PER_SECOND_MAX)
    ] = limits.READ_PER_SECOND
    strangers_per_address: Annotated[
        Count, _key("Connections of one address that have not logged in yet.", live=True)
    ] = limits.PREAUTH_PER_ADDRESS
    wasted_per_address: Annotated[
        Count, _key("Connections of one address in ten minutes that never log in.", live=True)
    ] = limits.UNAUTHENTICATED_PER_ADDRESS
    reviewed: Annotated[
        bool,
        _key(
            "Whether you have looked at these limits for a server that strangers can reach.",
            live=True,
        ),
    ] = False
    exempt: Annotated[
        list[str],
        _key("Networks whose connections are not counted, such as 10.0.0.0/8.", live=True),
    ] = []


class Log(Section, frozen=True):
    """What is written about what happens; never message texts, tokens or whole addresses."""

    level: Annotated[
        Literal["debug", "info", "warn", "error", "critical"],
        _key("The least that is logged.", live=True),
    ] = "info"
    format: Annotated[Literal["text", "json"], _key("One line a text, or one JSON object.")] = (
        "text"
    )


class Config(Section, frozen=True):
    """Everything that an operator may decide."""

    server: Server = Server()
    listen: dict[str, Listen] = msgspec.field(default_factory=lambda: {"chat": Listen()})
    ssh: Ssh = Ssh()
    http: Http = Http()
    tls: Tls = Tls()
    storage: Storage = Storage()
    accounts: Accounts = Accounts()
    limits: Limits = Limits()
    log: Log = Log()


def flaws(config: Config) -> Iterator[tuple[list[str], str, str]]:
    """Yield what types do not say: path of the key, what is wrong there, and advice."""
    for network in config.limits.exempt:
        try:
            ip_network(network)
        except ValueError as error:
            yield ["limits", "exempt"], str(error), 'An example: exempt = ["10.0.0.0/8"]'
    for key in ("message_per_second", "command_per_second"):
        if not isfinite(getattr(config.limits, key)):
            yield ["limits", key], "not a number that can be counted with", "An example: 5.0"
    for name, listener in config.listen.items():
        yield from _endpoint_flaws(["listen", name, "endpoint"], listener.endpoint)
    yield from _endpoint_flaws(["ssh", "endpoint"], config.ssh.endpoint)
    yield from _endpoint_flaws(["http", "endpoint"], config.http.endpoint)
    if config.tls.key and not config.tls.certificate:
        problem, advice = "a key without its certificate", "Name the certificate in [tls] as well."
        yield ["tls", "key"], problem, advice


def _endpoint_flaws(path: list[str], endpoint: str) -> Iterator[tuple[list[str], str, str]]:
    example = 'An example: "tcp:7023:interface=127.0.0.1"'
    kind = endpoint.partition(":")[0]
    if kind not in ENDPOINTS:
        near = get_close_matches(kind, ENDPOINTS, n=1)
        problem = f'"{endpoint}" is no endpoint that can be listened on'
        yield path, problem, f'Did you mean "{near[0]}:"?' if near else example
    elif kind in {"tcp", "tcp6"} and tcp_port(endpoint) is None:
        yield path, f'"{endpoint}" names no port from 0 to 65535', example


def tcp_port(endpoint: str) -> int | None:
    """Return the port of a TCP endpoint string, or None where it names none that there is."""
    fields = endpoint.split(":")[1:]
    named = dict(field.split("=", 1) for field in fields if "=" in field)
    text = named.get("port") or next((field for field in fields if _DIGITS.fullmatch(field)), "")
    return int(text) if _DIGITS.fullmatch(text) and int(text) <= PORT_MAX else None


def tcp_interface(endpoint: str) -> str:
    """Return the address that a TCP endpoint string listens on; empty for all of them."""
    named = re.search(r"interface=((?:\\.|[^:\\])*)", endpoint)  # an IPv6 address is escaped
    return named[1].replace("\\", "") if named else ""
