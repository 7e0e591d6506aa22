"""What ``generated`` writes about what is kept: the server's facts and a device's, by what they are about."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from lairchat.client import store_classes
from lairchat.model.stored import Class, Fact
from lairchat.storage import classes


def facts_about(about: type[StrEnum], facts: Iterable[Fact], mark: str) -> Iterator[str]:
    """Write a section with a table for each thing that a reader asks about."""
    kept = list(facts)
    for one in about:
        yield from (one.value, mark * len(one.value), "")
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 46 14 40", "")
        yield from ("   * - Whoever has it learns", "     - Class", "     - Where it is")
        for fact in sorted(
            (fact for fact in kept if fact.about == one),
            key=lambda fact: list(Class).index(fact.kind),
        ):
            yield f"   * - {fact.learns}"
            yield f"     - {fact.kind.value}"
            yield f"     - {'; '.join(filter(None, (_columns(fact), fact.elsewhere)))}"
        yield ""


def _columns(fact: Fact) -> str:
    tables: dict[str, list[str]] = {}
    for column in fact.columns:
        table, _, name = column.partition(".")
        tables.setdefault(table, []).append(name)
    return "; ".join(f"``{table}``: {', '.join(names)}" for table, names in tables.items())


def server_learns() -> Iterator[str]:
    """List what the server learns."""
    yield from facts_about(classes.About, (*classes.FACTS, *classes.FILES), "~")


def device_keeps() -> Iterator[str]:
    """List what lies on the disk of a device."""
    yield from facts_about(store_classes.About, store_classes.FACTS, "~")


PAGES = (server_learns, device_keeps)
