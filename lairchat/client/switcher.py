"""The quick switcher's matching: the letters of the query in their order, good places first."""

from __future__ import annotations

from lairchat.client.kit import in_order, people
from lairchat.client.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState

__all__ = ["Match", "matches", "score"]


class Match(Value):
    """A line of the switcher; ``target`` is a room id, or a command line for the input."""

    label: str
    note: str
    target: int | str


def score(query: str, text: str) -> int | None:
    """Return how well the query's letters are found in the text, lower is better; None if not.

    Costs: letters skipped before and between; a start at the beginning or behind a separator is
    better than one in the middle of a word.
    """
    at, cost = 0, 0
    lowered = text.lower()
    for n, letter in enumerate(query.lower()):
        found = lowered.find(letter, at)
        if found < 0:
            return None
        skipped = found - at
        begins = found == 0 or not lowered[found - 1].isalnum()
        cost += min(skipped, 9) * (1 if begins else 3) if n or skipped else 0
        at = found + 1
    return cost * 100 + len(text)


def matches(state: AppState, query: str) -> list[Match]:
    """Return rooms, people and commands that match, best first; all rooms for an empty query."""
    query = query.strip()
    rooms = [
        Match(room.title, _note(room.unread, room.mentions), room.id) for room in in_order(state)
    ]
    if not query:
        return rooms
    from lairchat.client.commands import COMMANDS

    direct = {room.name for room in state.rooms.values() if room.direct}
    others = [
        Match("@" + name, "person", f"/msg {name} ") for name in people(state) if name not in direct
    ]
    commands = [Match("/" + one.name, one.help, f"/{one.name} ") for one in COMMANDS]
    found: list[tuple[int, int, Match]] = []
    for rank, group in enumerate((rooms, others, commands)):
        for match in group:
            points = score(query, match.label)
            if points is not None:
                found.append((points + rank * 50, len(found), match))
    return [match for _, _, match in sorted(found, key=lambda one: one[:2])]


def _note(unread: int, mentions: int) -> str:
    if not unread:
        return ""
    return f"{unread} unread" + (f", {mentions} for you" if mentions else "")
