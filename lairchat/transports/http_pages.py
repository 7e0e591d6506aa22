"""The pages for operators: health for machines, a status page for people.

The status page needs no script, asks nobody else for anything, is read aloud as tables with headings,
and follows the reader's choice of light or dark.  Its policy allows the one style sheet that is in it,
by hash; a page that shows what strangers named cannot be made to run or load anything.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from lairchat.core.health import Health, Level, Report
from lairchat.model.text import display_safe
from lairchat.transports.http_answer import POLICY, Answer, Asked, Page

WORDS: Mapping[Level, str] = {Level.OK: "ok", Level.WARN: "warn", Level.FAIL: "fail"}
JSON = b"application/json"

REFRESH_SECONDS = 5
STILL = "still"
"""The query with which the status page stays as it is: not everybody reads as fast as it changes."""


class Section(NamedTuple):
    """One table of the status page: a heading, and figures in words."""

    title: str
    rows: Sequence[tuple[str, str]]


Sections = Callable[[], Awaitable[Sequence[Section]]]


def pages(health: Health, metrics: Page, title: str, sections: Sections) -> dict[str, Page]:
    """Return all pages by path.

    title: what the status page calls this server.  sections: what it shows beside the checks.
    """

    async def whole(_: Asked) -> Answer:
        report = await health.examine()
        checks = {
            name: {"status": WORDS[finding.level], "text": finding.text}
            for name, finding in report.findings.items()
        }
        return _json(report, {"status": WORDS[report.level], "checks": checks})

    async def ready(_: Asked) -> Answer:
        report = await health.examine()
        return _json(report, {"status": WORDS[report.level], "reasons": report.reasons})

    def live(_: Asked) -> Answer:
        # That this is sent says it all: the process runs and its event loop turns.
        return Answer(200, JSON, b'{"status": "ok"}\n')

    async def status(asked: Asked) -> Answer:
        report = await health.examine()
        still = asked.query == STILL
        text = _html(title, report, await sections(), still=still)
        return Answer(200, b"text/html; charset=utf-8", text.encode(), STYLED)

    return {
        "/": status,
        "/health": whole,
        "/health/live": live,
        "/health/ready": ready,
        "/metrics": metrics,
    }


def _json(report: Report, body: Mapping[str, object]) -> Answer:
    status = 503 if report.level is Level.FAIL else 200
    return Answer(status, JSON, json.dumps(body, indent=2).encode("ascii") + b"\n")


# -- the status page -------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8888;
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; width: 14rem; }
.word { font-weight: 700; } .fail { text-decoration: underline; }
""".strip()

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")

STYLED: Mapping[bytes, bytes] = {
    b"Content-Security-Policy": POLICY[b"Content-Security-Policy"]
    + f"; style-src 'sha256-{_HASH}'".encode("ascii")
}
"""The policy of a page that carries our style sheet."""


def _html(title: str, report: Report, sections: Sequence[Section], *, still: bool) -> str:
    name = _shown(title)
    word = WORDS[report.level]
    refresh = "" if still else f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n'
    change = (
        '<a href="/">Refresh it every 5 seconds</a>'
        if still
        else f'<a href="/?{STILL}">Keep it as it is</a>'
    )
    checks = "".join(
        f'<tr><th scope="row">{_shown(name)}</th>'
        f'<td><span class="word {WORDS[one.level]}">{WORDS[one.level]}</span> {_shown(one.text)}'
        "</td></tr>\n"
        for name, one in report.findings.items()
    )
    tables = "".join(_table(number, section) for number, section in enumerate(sections))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{word}: {name}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{name}: <span class="word {word}">{word}</span></h1>
<h2 id="checks">Checks</h2>
<table aria-labelledby="checks">
{checks}</table>
{tables}</main>
<footer><p>{change}. For machines: <a href="/health">/health</a>,
<a href="/health/ready">/health/ready</a>, <a href="/health/live">/health/live</a>,
<a href="/metrics">/metrics</a>.</p></footer>
</body>
</html>
"""


def _table(number: int, section: Section) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_shown(label)}</th><td>{_shown(figure)}</td></tr>\n'
        for label, figure in section.rows
    )
    anchor = f"section{number}"
    return (
        f'<h2 id="{anchor}">{_shown(section.title)}</h2>\n'
        f'<table aria-labelledby="{anchor}">\n{rows}</table>\n'
    )


def _shown(text: str) -> str:
    return escape(display_safe(text))
