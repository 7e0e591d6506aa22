"""Hostile texts in every place a peer's or server's text can appear: no control byte, no exception.

Vectors: hostile/vectors.json and the Big List of Naughty Strings, from LAIRCHAT_VECTORS.
"""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.client import inputs as i
from lairchat.client import markup
from tests.client.scenes import SIZES, Person, attic, connected, in_lobby, trusting
from tests.client.test_plain import online


def room_with(text: str, **given: object) -> Person:
    person = connected()
    person.link(i.RoomsSynced((i.RoomInfo(1, text, **given), i.RoomInfo(2, "lobby"))))
    person.key("alt-1")
    return person


def account(text: str) -> Person:
    person = Person()
    person.link(i.Connected(), i.AccountNeeded(text, "register", text, text))
    person.wait()
    person.link(i.AccountRefused(text, text, text))
    return person


def after(make: Callable[[], Person], *events: i.Input) -> Person:
    person = make()
    person.link(*events)
    return person


def refused(text: str) -> Person:
    person = in_lobby()
    (sent,) = person.enter("hello")
    person.link(i.SendRefused(sent.ticket, text, text))
    return person


PLACES: dict[str, Callable[[str], Person]] = {
    "message": lambda t: after(in_lobby, i.MessageArrived(1, i.Message(1, 0, "eve", t))),
    "sender": lambda t: after(in_lobby, i.MessageArrived(1, i.Message(1, 0, t, "hello"))),
    "action": lambda t: after(in_lobby, i.MessageArrived(1, i.Message(1, 0, t, t, "action"))),
    "statement": lambda t: after(in_lobby, i.MessageArrived(1, i.Message(1, 0, t, t, "state"))),
    "room name": room_with,
    "peer name": lambda t: room_with(t, direct=True, unread=2),
    "topic and label": lambda t: room_with("ops", topic=t, label=t),
    "member": lambda t: after(lambda: attic(120, 40), i.MembersListed(7, (i.Member(t, t),))),
    "notice": lambda t: after(in_lobby, i.Notice(t, t)),
    "failure": lambda t: after(in_lobby, i.CommandFailed(1, t, t)),
    "reason": lambda t: after(in_lobby, i.Disconnected(t, t, 1.0)),
    "halt": lambda t: after(in_lobby, i.Halted(t, t)),
    "refusal": refused,
    "server": lambda t: after(
        Person, i.Connecting(t, 1), i.Connected(t), i.HelloReceived(t, t, True, t)
    ),
    "identity": lambda t: after(Person, i.IdentityChanged(t, t, t, t)),
    "trust": lambda t: after(trusting, i.TrustQuestion(t, 1, t, t)),
    "account": account,
    "invite": lambda t: after(in_lobby, i.InviteCreated(t, t)),
    "room list": lambda t: after(in_lobby, i.RoomsListed((i.RoomListing(t, t),), 1)),
    "own text": lambda t: after(in_lobby, i.Text(t), i.Key("enter")),
    "draft": lambda t: after(in_lobby, i.Paste(t)),
    "queue": lambda t: after(in_lobby, i.OutboxRestored((i.OutboxItem(-1, 1, t, 0, False, t),))),
}


def is_clean(page: str) -> bool:
    """Tell whether a terminal would show each character and do nothing else."""
    for character in page:
        category = unicodedata.category(character)
        if character == "\n" or character in markup.DRAWN_FORMATS:
            continue
        joins = character == "\u200d" or "\U000e0020" <= character <= "\U000e007f"
        if category in {"Cc", "Cs", "Zl", "Zp"} or (category == "Cf" and not joins):
            return False
    return True


def texts(vectors: Path) -> list[str]:
    known = json.loads((vectors / "hostile" / "vectors.json").read_text("utf-8"))
    found = [one for name in ("terminal_text", "unicode_text") for _, one in known[name]]
    found += known["csv_log"] + known["xss"] + known["usernames_reject"] + known["file_names"]
    return found + json.loads((vectors / "blns" / "blns.json").read_text("utf-8"))


@pytest.mark.parametrize("place", PLACES)
def test_hostile_vectors_are_harmless_wherever_they_appear(place: str, vectors: Path) -> None:
    for text in texts(vectors):
        person = PLACES[place](text)
        page = person.screen()
        assert is_clean(page), (place, text)
        assert all(markup.width(line) == person.state.width for line in page.split("\n")), (
            place,
            text,
        )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PLACES)), st.text(max_size=40), st.sampled_from(SIZES))
def test_any_text_is_harmless_wherever_it_appears(
    place: str, text: str, size: tuple[int, int]
) -> None:
    page = PLACES[place](text).screen(*size)
    assert is_clean(page)
    assert all(markup.width(line) == size[0] for line in page.split("\n"))


def test_hostile_vectors_are_harmless_in_plain_mode(vectors: Path) -> None:
    reader = online()
    for number, text in enumerate(texts(vectors), 1):
        reader.link(i.MessageArrived(1, i.Message(number, 0, text, text)), i.Notice(text, text))
        assert is_clean("\n".join(reader.lines)), text
        reader.lines.clear()
