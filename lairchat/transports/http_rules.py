"""Decides which requests are answered at all, before anything else looks at them.

Pure: bytes of a request's head in, a refusal with its status out.  twisted.web answers 200 to a
missing or doubled Host, to header lines that go on in a second line, and to TRACE; and two readers
of one stream of bytes who differ about where a request ends can be played against each other.
So what can be read in two ways is not read at all (RFC 9112, sections 3.2, 5.2, 6.3 and 11.2).
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import HttpHost, HttpMethod, HttpSize, HttpSyntax, HttpVersion

METHODS = (b"GET", b"HEAD")
VERSIONS = frozenset({b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_DIGITS = re.compile(rb"[0-9]{1,18}")


class Headers(Protocol):
    """What is asked of a request's headers; twisted.web.http_headers.Headers is it."""

    def getRawHeaders(self, name: bytes, /) -> Sequence[bytes] | None:
        """Return all values under a name, as they came."""


class Refused(NamedTuple):
    """A request that is not answered: status, why, and what the answer says beside that."""

    status: int
    refusal: Refusal
    headers: tuple[tuple[bytes, bytes], ...] = ()


def bad(why: str) -> Refused:
    """Refuse what is not HTTP, or could be read in two ways."""
    return Refused(400, HttpSyntax(why=why))


def judge(
    method: bytes, target: bytes, version: bytes, headers: Headers, hosts: Collection[str]
) -> Refused | None:
    """Return why a request is not answered, or None.

    hosts: the names under which this server is asked; addresses in their shortest form.
    """
    if version not in VERSIONS:
        return Refused(505, HttpVersion(version=text(version)))
    refused = _framing(version, headers) or _host(version, headers, hosts)
    if refused is not None:
        return refused
    if method not in METHODS:
        return Refused(
            405, HttpMethod(method=text(method)), ((b"Allow", b", ".join(METHODS)),)
        )  # fmt: skip
    if not target.startswith(b"/"):
        return bad("the target is not a path")
    return None


def _framing(version: bytes, headers: Headers) -> Refused | None:
    """Refuse a body whose end can be seen in two places."""
    lengths = headers.getRawHeaders(b"Content-Length") or ()
    codings = headers.getRawHeaders(b"Transfer-Encoding") or ()
    if codings and (
        lengths or version != b"HTTP/1.1" or [c.lower() for c in codings] != [b"chunked"]
    ):
        return bad("its length is given in more than one way")
    if len(lengths) > 1 or not all(map(_DIGITS.fullmatch, lengths)):
        return bad("its length is no number, or given twice")
    if lengths and int(lengths[0]) > limits.HTTP_BODY_BYTES:
        return too_large()
    return None


def too_large() -> Refused:
    """Refuse a body that is larger than any that is expected."""
    return Refused(413, HttpSize(limit=f"{limits.HTTP_BODY_BYTES:,}"))


def _host(version: bytes, headers: Headers, hosts: Collection[str]) -> Refused | None:
    """Refuse who asks somebody else: this is what keeps a web page from rebinding its name to us."""
    given = headers.getRawHeaders(b"Host") or ()
    if version == b"HTTP/2":
        # A proxy may send what the client wrote beside :authority; h2 has seen to it that they agree.
        given = tuple(dict.fromkeys(given))
    if len(given) != 1:
        return bad("it has to say Host, once")
    host = host_of(given[0])
    if host is None:
        return bad("its Host is no name and no address")
    if host not in hosts:
        return Refused(421, HttpHost(host=host))
    return None


def host_of(value: bytes) -> str | None:
    """Return the name or address in a Host header, without the port; None for nonsense."""
    found = _HOST.fullmatch(value.decode("latin-1"))
    if found is None:
        return None
    return canonical(found[1].strip("[]"))


def canonical(host: str) -> str:
    """Return a host as it is compared: small letters, no last dot, addresses in their shortest form."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def text(value: bytes) -> str:
    """Return what a stranger sent as text; refusals make it safe to show."""
    return value.decode("latin-1")
