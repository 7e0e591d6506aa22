"""Reports by and about people who mean no good, and in rooms that have seen better days."""

import os

import pytest
from twisted.internet.defer import ensureDeferred

from lairchat.e2ee.payload import Text
from lairchat.features.identities.messages import PUBLISH
from lairchat.features.reports import rules
from lairchat.features.reports.messages import RESOLVE, SHOW
from lairchat.features.room_admin.messages import ARCHIVE_ROOM
from lairchat.mls.objects import Remove
from lairchat.model import limits, refusals
from lairchat.trust.log import encode_log
from lairchat.trust.policy import encode_reasons
from lairchat.wire import codec
from tests.features.delivery.test_commits import room_of
from tests.features.delivery.test_removals import operator
from tests.features.delivery.test_speaking import Anew
from tests.features.delivery.world import Member
from tests.features.reports.test_server import (
    Reporting,
    console_of,
    here,
    opened,
    payload,
    refused,
    report,
    said,
)
from tests.trust.rooms import NO_REASON

__all__ = ["here"]


# -- where


def test_an_archived_room_can_be_reported_from(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, Text("hello"))
    olga = operator(here)
    olga.ask(ARCHIVE_ROOM, room=f"encrypted:{alice.room}")
    assert olga.ask(SHOW, number=report(carol, content)).said == "hello"


def test_a_direct_conversation_can_be_reported_from(here: Reporting) -> None:
    alice, bob = room_of(here, "alice", "bob")
    room = alice.open(bob)
    alice.add(bob)
    content = said(bob, alice, Text("between us"))
    shown = operator(here).ask(SHOW, number=report(alice, content))
    assert (shown.room, shown.about, shown.said) == (f"encrypted:{room}", "bob", "between us")


# -- who


def test_who_takes_the_place_of_somebody_is_not_named_for_what_that_one_said(
    here: Reporting,
) -> None:
    """A leaf is used again: the epoch says whose it was."""
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content, place = said(bob, carol, Text("hello")), bob.leaf
    alice.read()
    alice.commit(Remove(bob.leaf), said=encode_reasons(NO_REASON))
    dave = here.member("dave")
    alice.add(dave)
    assert dave.leaf == place
    shown = operator(here).ask(SHOW, number=report(carol, content))
    assert (shown.about, shown.device) == ("bob", bob.identity.device.hex())
    # Nor does that one say it in the other's name, now that the place is its own.
    later = content.replace(bob.epoch.to_bytes(8, "big"), dave.epoch.to_bytes(8, "big"))
    assert later != content
    refused(refusals.ReportUnproven, carol, later)


def test_a_new_identity_neither_hides_the_old_one_s_words_nor_closes_a_mouth(
    here: Reporting,
) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content, answer = said(bob, carol, Text("hello")), said(carol, bob, Text("go away"))
    here.server.wait(limits.LOG_BEGIN_SECONDS)
    again = Anew("bob")
    bob.ask(PUBLISH, log=encode_log(again.account.genesis, again.account.entries))
    here.logs[again.id] = again.log
    olga = operator(here)
    assert olga.ask(SHOW, number=report(carol, content)).about == "bob"
    # The same person, proven anew, was there: by the account that it had then.
    new = Member(here, bob.client, again)
    new.prove()
    assert olga.ask(SHOW, number=report(new, answer, room=bob.room)).by == "bob"


def test_the_first_to_resolve_a_report_stays_and_so_does_the_day(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, Text("hello")))
    olga = operator(here)
    olga.ask(RESOLVE, number=number)
    before = olga.ask(SHOW, number=number)
    here.clock.advance(limits.DAY)
    console = console_of(here)
    out = here.server.result(ensureDeferred(console.run(["report", "resolve", str(number)])))
    assert f"report {number} is resolved already" in out.text
    after = olga.ask(SHOW, number=number)
    assert (after.resolver, after.resolved) == ("olga", before.resolved)
    olga.ask(RESOLVE, number=number, reopen=True)
    done = olga.ask(RESOLVE, number=number, reopen=True)
    assert (done.done, done.undo) == (f"report {number} is open", "")


# -- what


def nested() -> bytes:
    """Return a body in which ten thousand lists are in each other."""
    return b"\x81\xa4type" + b"\x91" * 10_000 + b"\xc0"


def newer() -> bytes:
    return codec.encode_body({**codec.decode_body(dict, payload(Text("x"))), "version": 9})


HOSTILE = [
    b"",
    b"\x1b[2J\x07" * 500,
    nested(),
    newer(),
    payload(Text("x"))[:-1],
    payload(Text("\u202e" * limits.MESSAGE_CHARS)),
    payload(Text("\U0001f9e8" * limits.MESSAGE_CHARS)),
]


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_whatever_somebody_has_said_its_report_can_be_read(
    here: Reporting, form: list[str]
) -> None:
    """Who writes what breaks the showing would be safe from every report."""
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    console = console_of(here)
    for data in HOSTILE:
        here.clock.advance(limits.HOUR)
        number = report(carol, opened(carol, bob.sealed(data)))
        words = ["report", "show", str(number), *form]
        out = here.server.result(ensureDeferred(console.run(words)))
        assert (out.status, "bob" in out.text) == (0, True), out
        assert not {"\x1b", "\x07", "\u202e"} & set(out.text)


def test_the_largest_message_that_a_room_takes_can_be_reported(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    around = (
        len(bob.sealed(bytes(limits.SEALED_BYTES - limits.KIB))) - limits.SEALED_BYTES + limits.KIB
    )
    data = os.urandom(limits.SEALED_BYTES - around)
    sealed = bob.sealed(data)
    assert len(sealed) == limits.SEALED_BYTES
    content = said(bob, carol, data)
    assert rules.statement(content).data == data
    assert len(content) <= limits.REPORT_BYTES
    assert report(carol, content)
