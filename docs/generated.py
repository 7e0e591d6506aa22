"""Sphinx directive ``generated``: reference pages written by the tables that the programs run by.

``.. generated:: codes`` stands for the list of codes, and so on for every function in ``PAGES``.
A page cannot say something else than the program does, because nobody writes it.
"""

import re
from collections.abc import Callable, Iterator

import learned_pages
import operator_pages
import wire_pages
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lairchat import config
from lairchat.client.commands import COMMANDS, GROUPS
from lairchat.client.keymap import BINDINGS, key_label
from lairchat.client.keymap import GROUPS as KEY_GROUPS
from lairchat.client.settings import SETTINGS
from lairchat.model import faults, refusals
from lairchat.model.refusal import REFUSALS, Refusal

SAMPLE_WAIT = 1.5  # seconds, in texts that name a waiting time


def plain(text: str) -> str:
    """Keep text that was written for a terminal from meaning something to reStructuredText."""
    return re.sub(r"([*_`|\\<>])", r"\\\1", text)


def block(lines: Iterator[str] | list[str], language: str = "text") -> Iterator[str]:
    """Show lines as they are."""
    yield f".. code-block:: {language}"
    yield ""
    yield from (f"   {line}" for line in lines)
    yield ""


def definitions(rows: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Write a definition list: a literal term, and lines of text."""
    for term, lines in rows:
        yield f"``{term}``"
        yield from (f"   {line}" for line in lines)
        yield ""


def codes() -> Iterator[str]:
    """List every code with what it means and how it reads, answers of the server first."""
    for title, module in (("Answers of the server", refusals), ("On this machine", faults)):
        yield from (title, "-" * len(title), "")
        kinds = [kind for kind in REFUSALS.values() if kind.__module__ == module.__name__]
        for kind in sorted(kinds, key=lambda kind: kind.code):
            yield f"``{kind.code}``"
            yield f"   {plain(_summary(kind))}"
            yield ""
            text = kind(retry_after=SAMPLE_WAIT, **kind.sample).text
            yield from (f"   {line}" for line in block([text]))


def _summary(kind: type[Refusal]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def configuration() -> Iterator[str]:
    """Show the commented configuration that a first start writes."""
    yield from block(config.template().splitlines(), "toml")


def slash_commands() -> Iterator[str]:
    """List what can be typed after a slash."""
    for group in GROUPS:
        yield from (group.capitalize(), "-" * len(group), "")
        yield from definitions(
            [
                (command.usage, [plain(command.help) + ".", "", f"Example: ``{command.example}``"])
                for command in COMMANDS
                if command.group == group
            ]
        )


def keys() -> Iterator[str]:
    """List the keys that the client starts with."""
    for group in KEY_GROUPS:
        yield from (group.capitalize(), "-" * len(group), "")
        yield from definitions(
            [
                (" ".join(key_label(key) for key in binding.keys), [plain(binding.help) + "."])
                for binding in BINDINGS
                if binding.group == group and binding.keys
            ]
        )


def settings() -> Iterator[str]:
    """List what ``/set`` changes."""
    yield from definitions(
        [(f"{one.name} {'|'.join(one.values)}", [plain(one.help) + "."]) for one in SETTINGS]
    )


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    page.__name__.replace("_", "-"): page
    for page in (
        codes,
        configuration,
        keys,
        settings,
        slash_commands,
        *learned_pages.PAGES,
        *operator_pages.PAGES,
        *wire_pages.PAGES,
    )
}


class Generated(SphinxDirective):
    """Put what a function of ``PAGES`` writes in the place of the directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the page as if it had been written there."""
        text = "\n".join(PAGES[self.arguments[0]]())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("generated", Generated)
    # The tables are code, and Sphinx does not see when they change.
    return {"parallel_read_safe": True, "env_version": False}
