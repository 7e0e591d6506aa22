"""What an HTTP answer is made of: status, policy headers, body; and how a refusal is told.

Pure: time comes in as an argument.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from twisted.web.http import datetimeToString

from lairchat.transports.http_rules import Refused

POLICY: Mapping[bytes, bytes] = {
    b"Content-Security-Policy": b"default-src 'none'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"Cross-Origin-Resource-Policy": b"same-origin",
    b"Referrer-Policy": b"no-referrer",
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
    b"Cache-Control": b"no-store",
    b"Server": b"lairchat",
}
"""Headers of every answer, unless a page has a stricter or wider one of its own."""

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


class Answer(NamedTuple):
    """What a page says: status, media type, body and more headers."""

    status: int
    type: bytes
    body: bytes
    headers: Mapping[bytes, bytes] = {}


class Asked(NamedTuple):
    """What a page is told of the request; whatever else came with it did not matter so far."""

    query: str
    accept: str


Page = Callable[[Asked], "Answer | Awaitable[Answer]"]


def problem(refused: Refused) -> Answer:
    """Return the answer to a refused request, as RFC 9457 has it, with the code that logs have."""
    refusal = refused.refusal
    headers = dict(refused.headers)
    if refusal.retry_after is not None:
        headers[b"Retry-After"] = b"%d" % -int(-refusal.retry_after // 1)
    body = {
        "type": "about:blank",
        "title": REASONS[refused.status].decode(),
        "status": refused.status,
        "code": refusal.code,
        "detail": refusal.text,
    }
    return Answer(
        refused.status,
        b"application/problem+json",
        json.dumps(body).encode("ascii") + b"\n",
        headers,
    )


def headers_of(answer: Answer, now: int) -> dict[bytes, bytes]:
    """Return all headers of an answer."""
    return {
        **POLICY,
        b"Date": datetimeToString(now / 1000),
        b"Content-Type": answer.type,
        b"Content-Length": b"%d" % len(answer.body),
        **answer.headers,
    }


def written(answer: Answer, now: int) -> bytes:
    """Return an answer to what was no request, as bytes; the connection closes behind it."""
    lines = [b"HTTP/1.1 %d %s" % (answer.status, REASONS[answer.status]), b"Connection: close"]
    lines += [b"%s: %s" % header for header in headers_of(answer, now).items()]
    return b"\r\n".join([*lines, b"", answer.body])
