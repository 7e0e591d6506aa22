"""Reports at the server: from whom, about what, with which proof; and what operators see of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from lairchat.core import audit
from lairchat.core.desk import Desk
from lairchat.core.session import Session
from lairchat.e2ee.payload import (
    Edit,
    Known,
    LogHead,
    Payload,
    Place,
    Poll,
    React,
    Target,
    Text,
    encode_body,
    encode_payload,
)
from lairchat.e2ee.telling import told
from lairchat.features.delivery.messages import LEAVE
from lairchat.features.messages.messages import HISTORY
from lairchat.features.reports import server as reports_server
from lairchat.features.reports import tables
from lairchat.features.reports.messages import CHANGE, LIST, MESSAGE, RESOLVE, SHOW
from lairchat.features.room_admin import server as room_admin
from lairchat.features.room_admin.messages import DELETE_ROOM
from lairchat.features.rooms.messages import CREATE
from lairchat.mls.messages import PrivateMessage, decode_message
from lairchat.mls.objects import Remove
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.operator.console import Console, Verbs
from lairchat.trust.policy import encode_reasons
from tests.features.common import flaws
from tests.features.delivery.test_commits import room_of
from tests.features.delivery.test_removals import operator
from tests.features.delivery.world import Here, Identity, Member, all_features
from tests.harness import Client, Server
from tests.operator import hostile
from tests.trust.rooms import NO_REASON

WRITTEN = 1_790_000_000_000


class Reporting(Here):
    """A server with encrypted rooms from which people report."""

    def __init__(self) -> None:
        super().__init__()
        self.server.close()
        self.clock, self.identity = Clock(), Identity()
        features = [
            *all_features(self.clock, self.identity),
            room_admin.make(),
            reports_server.make(told),
        ]
        self.server = Server(features, clock=self.clock)


@pytest.fixture
def here() -> Iterator[Reporting]:
    world = Reporting()
    yield world
    assert flaws(world.server) == []
    assert world.flaws() == []
    world.close()


def payload(body: Known, at: int = WRITTEN) -> bytes:
    """Return what a client seals."""
    head, place = LogHead(1, bytes(32)), Place(0, bytes(32))
    return encode_payload(Payload(1, bytes(16), 1, place, head, at, encode_body(body)))


def said(member: Member, reader: Member, what: Known | bytes) -> bytes:
    """Say something; return what a reader keeps of it."""
    reader.read()
    member.say(what if isinstance(what, bytes) else payload(what))
    (event,) = reader.ask(HISTORY, room=reader.room, after=reader.seq, limit=10).events
    reader.seq = event.seq
    return opened(reader, event.body)


def opened(reader: Member, sealed: bytes) -> bytes:
    """Return what a reader keeps of a sealed message."""
    message = decode_message(sealed)
    assert isinstance(message, PrivateMessage)
    assert reader.group is not None
    received, reader.group = reader.group.decrypt(message)
    proof: bytes = received.content.encode()
    return proof


def report(member: Member, content: bytes, reason: str = "threats", room: int = 0) -> int:
    number: int = member.ask(
        MESSAGE, room=room or member.room, content=content, reason=reason
    ).number
    return number


def refused(refusal: type[Exception], member: Member, content: bytes, room: int = 0) -> None:
    with pytest.raises(refusal):
        report(member, content, room=room)


def kept(here: Here) -> list[Any]:
    return list(here.server.look(lambda c: c.execute(select(tables.reports)).all()))


# -- messages


def test_a_message_is_taken_with_the_proof_of_who_wrote_it(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, Text("I know where you live")), "  he\nthreatens me ")
    olga = operator(here)
    (row,) = olga.ask(LIST).reports
    assert (row.number, row.by, row.about) == (number, "carol", "bob")
    assert (row.state, row.reason) == ("open", olga.ask(SHOW, number=number).reason)
    shown = olga.ask(SHOW, number=number)
    assert (shown.room, shown.what) == (f"encrypted:{alice.room}", "message")
    assert (shown.said, shown.kind, shown.written) == ("I know where you live", "text", WRITTEN)
    assert shown.device == bob.identity.device.hex()
    assert (shown.epoch, shown.place, shown.refused) == (bob.epoch, None, None)
    assert "\n" not in shown.reason
    assert shown.reason.endswith("threatens me")


def test_an_edit_and_a_poll_say_what_they_say_and_the_rest_only_what_it_is(
    here: Reporting,
) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    olga = operator(here)

    def shown(what: Known | bytes) -> tuple[str, str, int]:
        one = olga.ask(SHOW, number=report(carol, said(bob, carol, what)))
        return one.kind, one.said, one.written

    assert shown(Edit(bytes(16), "worse")) == ("edit", "worse", WRITTEN)
    assert shown(Poll("who?", ["a", "b"])) == ("poll", "who?\n- a\n- b", WRITTEN)
    assert shown(React(Target(bytes(32), bytes(16)), "!")) == ("react", "", WRITTEN)
    assert shown(b"not a payload") == ("unreadable", "", 0)


def test_the_same_again_is_the_same_report(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"one")
    assert report(carol, content) == report(carol, content, "said otherwise")
    assert len(kept(here)) == 1


def test_forged_words_a_flipped_signature_and_another_s_place_are_refused(
    here: Reporting,
) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"hello there")
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    refused(refusals.ReportUnproven, carol, content.replace(b"hello there", b"hell, there"))
    refused(refusals.ReportUnproven, carol, flipped)
    # The sender: one byte that says it is a member, and four for its leaf (RFC 9420, section 6).
    place = bytes([1, *bob.leaf.to_bytes(4, "big")])
    assert content.count(place) == 1
    for other in (0, 2, 9):
        forged = content.replace(place, bytes([1, *other.to_bytes(4, "big")]))
        here.clock.advance(limits.HOUR)
        refused(refusals.ReportUnproven, carol, forged)
    assert kept(here) == []


def test_another_room_of_the_same_people_proves_nothing(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content, first = said(bob, carol, b"hello"), carol.room
    alice.create()
    alice.add(bob, carol)
    assert alice.room != first
    refused(refusals.ReportUnproven, carol, content)
    assert report(carol, content, room=first)


def test_a_message_is_proven_by_its_own_epoch_long_after_it(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"hello")
    for _ in range(3):
        alice.commit()
    epoch = bob.epoch.to_bytes(8, "big")
    assert content.count(epoch) == 1
    later = content.replace(epoch, (bob.epoch + 1).to_bytes(8, "big"))
    refused(refusals.ReportUnproven, carol, later)
    never = content.replace(epoch, (bob.epoch + 99).to_bytes(8, "big"))
    refused(refusals.ReportUnproven, carol, never)
    assert report(carol, content)


def test_strangers_learn_nothing_and_show_nothing(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"hello")
    mallory = here.member("mallory")
    refused(refusals.RoomUnknown, mallory, content, room=carol.room)
    refused(refusals.RoomUnknown, mallory, content, room=carol.room + 1)
    lobby = mallory.ask(CREATE, name="den").room
    refused(refusals.RoomPlain, mallory, content, room=lobby)
    assert kept(here) == []


def test_who_came_later_does_not_show_what_was_said_before(here: Reporting) -> None:
    """Somebody who was there may pass it on; then that one can report it as well."""
    alice, bob = room_of(here, "alice", "bob")
    content = said(bob, alice, b"before you came")
    dave = here.member("dave")
    alice.add(dave)
    refused(refusals.ReportUnproven, dave, content)
    assert report(alice, content)


def test_who_was_put_out_may_still_report_what_was_said_before(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"and now out with you")
    alice.read()
    alice.commit(Remove(carol.leaf), said=encode_reasons(NO_REASON))
    bob.read()
    assert report(carol, content)
    # What is said from then on is not for them, though they may have got hold of it.
    refused(refusals.RoomUnknown, carol, said(bob, alice, b"peace at last"))


def test_only_a_certified_device_reports(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"hello")
    bare = Client(here.server)
    bare.login("carol")
    with pytest.raises(refusals.DeviceUnproven):
        bare.ask(MESSAGE, room=carol.room, content=content, reason="x")


def test_who_leaves_is_known_by_name_afterwards(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"hello")
    bob.ask(LEAVE, room=bob.room)
    alice.read()
    alice.commit()
    number = report(carol, content)
    assert operator(here).ask(SHOW, number=number).about == "bob"


# -- limits


def test_one_person_makes_few_at_once_and_few_in_all(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    contents = [said(bob, carol, b"%d" % n) for n in range(limits.REPORTS_OPEN_PER_USER + 1)]
    for content in contents[: limits.REPORTS_AT_ONCE]:
        report(carol, content)
    refused(refusals.RateLimited, carol, contents[limits.REPORTS_AT_ONCE])
    for content in contents[limits.REPORTS_AT_ONCE : -1]:
        here.clock.advance(limits.HOUR / limits.REPORTS_PER_HOUR)
        report(carol, content)
    here.clock.advance(limits.HOUR)
    refused(refusals.ReportsMax, carol, contents[-1])
    # One that is known already takes no place.
    assert report(carol, contents[0]) == 1
    operator(here).ask(RESOLVE, number=1)
    assert report(carol, contents[-1])


def test_all_together_make_only_so_many(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    first = said(bob, carol, b"first")
    report(carol, first)

    def fill(connection: Any) -> None:
        (row,) = connection.execute(select(tables.reports)).mappings().all()
        others = [
            {**row, "id": None, "reporter": row["author"], "digest": n.to_bytes(32, "big")}
            for n in range(limits.REPORTS_OPEN - 2)
        ]
        connection.execute(tables.reports.insert(), others)

    here.server.change(fill)
    report(carol, said(bob, carol, b"the last"))
    refused(refusals.ReportsMax, carol, said(bob, carol, b"one more"))


def test_a_report_has_a_size_and_a_reason(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    content = said(bob, carol, b"x" * 4)
    # So much is in no message that the server takes; it need not have come through it.
    data = b"x" * (limits.REPORT_BYTES - len(content) + 4 - 3)
    largest = opened(carol, bob.sealed(data))
    assert len(largest) == limits.REPORT_BYTES
    shown = operator(here).ask(SHOW, number=report(carol, largest, "r" * 4 * limits.REASON_CHARS))
    assert len(shown.reason) == limits.REASON_CHARS
    for more in ({"content": largest + b"\0"}, {"content": b""}, {"reason": ""}):
        arguments = {"room": carol.room, "content": content, "reason": "r", **more}
        with pytest.raises(Refusal, match="LC-ARGS"):
            carol.ask(MESSAGE, **arguments)


# -- changes


def test_a_change_is_reported_by_the_epoch_that_it_begins(here: Reporting) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    committed = bob.commit()
    number = carol.ask(
        CHANGE, room=carol.room, epoch=committed.epoch, reason="halted", why="not allowed"
    ).number
    again = carol.ask(CHANGE, room=carol.room, epoch=committed.epoch, reason="halted").number
    assert again == number
    shown = operator(here).ask(SHOW, number=number)
    assert (shown.what, shown.about, shown.by) == ("change", "bob", "carol")
    assert (shown.place, shown.epoch) == (committed.seq, committed.epoch)
    assert (shown.refused, shown.reason) == ("not allowed", "halted")
    assert (shown.said, shown.device, shown.kind, shown.written) == (None, None, None, None)
    assert alice.room == carol.room


def test_a_change_that_there_was_not_or_before_one_s_time_is_refused(here: Reporting) -> None:
    alice, bob = room_of(here, "alice", "bob")
    dave = here.member("dave")
    joined = alice.add(dave)
    mallory = here.member("mallory")
    for who, epoch, why in (
        (bob, joined.epoch + 1, refusals.ReportUnproven),
        (bob, joined.epoch + 2, refusals.ReportUnproven),
        (bob, 0, refusals.ReportUnproven),
        (dave, joined.epoch, refusals.ReportUnproven),
        (mallory, joined.epoch, refusals.RoomUnknown),
    ):
        with pytest.raises(why):
            who.ask(CHANGE, room=alice.room, epoch=epoch, reason="x")
    assert kept(here) == []


# -- operators


def test_only_operators_see_reports(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, b"hello"))
    for command, more in ((LIST, {}), (SHOW, {"number": number}), (RESOLVE, {"number": number})):
        with pytest.raises(refusals.Denied):
            carol.ask(command, **more)


def test_a_report_is_resolved_and_opened_again(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, b"hello"))
    olga = operator(here)
    done = olga.ask(RESOLVE, number=number)
    assert done.undo == f"report resolve {number} --reopen"
    assert olga.ask(LIST).reports == []
    (row,) = olga.ask(LIST, resolved=True).reports
    assert row.state == "resolved"
    shown = olga.ask(SHOW, number=number)
    assert shown.resolver == "olga"
    assert shown.resolved
    olga.ask(RESOLVE, number=number, reopen=True)
    assert [one.number for one in olga.ask(LIST).reports] == [number]
    for command in (SHOW, RESOLVE):
        with pytest.raises(refusals.ReportUnknown):
            olga.ask(command, number=number + 1)


def test_the_host_s_operator_has_no_name(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, b"hello"))
    desk = desk_of(here)
    here.server.result(desk.give(RESOLVE, {"number": number}))
    shown = here.server.result(desk.give(SHOW, {"number": number}))
    assert (shown.resolver, bool(shown.resolved)) == ("", True)


def test_a_resolved_report_is_deleted_a_month_later_and_an_open_one_is_not(
    here: Reporting,
) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    open_one, resolved = (report(carol, said(bob, carol, text)) for text in (b"a", b"b"))
    olga = operator(here)
    olga.ask(RESOLVE, number=resolved)
    at = here.server.now()

    def upkeep(now: int) -> bool:
        more: bool = here.server.change(lambda c: reports_server.upkeep(c, now, ()))
        return more

    month = limits.REPORTS_KEPT_SECONDS * 1000
    assert not upkeep(at + month)
    assert len(olga.ask(LIST, resolved=True).reports) == 2
    assert not upkeep(at + month + 1)
    assert [one.number for one in olga.ask(LIST, resolved=True).reports] == [open_one]


def test_upkeep_deletes_a_few_at_a_time(here: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_server, "FORGOTTEN_PER_UPKEEP", 1)
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    for text in (b"a", b"b"):
        report(carol, said(bob, carol, text))
    here.server.change(lambda c: c.execute(update(tables.reports).values(resolved_at=0)))
    later = 2 * limits.REPORTS_KEPT_SECONDS * 1000
    rounds = [here.server.change(lambda c: reports_server.upkeep(c, later, ())) for _ in range(3)]
    assert rounds == [True, True, False]
    assert kept(here) == []


def test_pages_go_on_where_they_ended(here: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPERATOR_PAGE", 2)
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    for n in range(3):
        report(carol, said(bob, carol, b"%d" % n))
    olga = operator(here)
    first = olga.ask(LIST)
    assert ([one.number for one in first.reports], first.next) == ([1, 2], 2)
    rest = olga.ask(LIST, after=first.next)
    assert ([one.number for one in rest.reports], rest.next) == ([3], None)


def test_it_outlives_the_room(here: Reporting) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number, other = (report(carol, said(bob, carol, Text("hello"))), said(bob, carol, b"more"))
    olga = operator(here)
    olga.ask(DELETE_ROOM, room=f"encrypted:{carol.room}")
    here.server.wait(60)
    assert olga.ask(SHOW, number=number).said == "hello"
    refused(refusals.RoomUnknown, carol, other)


def test_the_log_says_that_and_not_what(here: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[audit.Entry] = []
    monkeypatch.setattr(audit, "write", entries.append)
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    number = report(carol, said(bob, carol, b"hello"), "for a reason")
    (entry,) = entries
    assert (entry.who, entry.line, entry.code) == (
        "carol",
        f"report {number} about encrypted:{carol.room}",
        "",
    )


# -- what a terminal shows


def desk_of(here: Here) -> Desk:
    session = Session(SessionId(0), LOCAL_OPERATOR, DeviceId(0), "local:1000", ServerRole.OWNER)
    return Desk(here.server.kernel, session, "local")


def console_of(here: Here) -> Console:
    return Console(
        Verbs(here.server.kernel.table),
        desk_of(here).give,
        who="op",
        role=ServerRole.OWNER,
        source="test",
    )


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_clock_at_the_end_of_time_hides_no_report(here: Reporting, form: list[str]) -> None:
    """An author's clock is whatever the author likes."""
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    late = payload(Text("I know where you live"), limits.INTEGER_MAX)
    number = report(carol, said(bob, carol, late))
    words = ["report", "show", str(number), *form]
    out = here.server.result(ensureDeferred(console_of(here).run(words)))
    assert (out.status, "I know where you live" in out.text) == (0, True)


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_nothing_that_somebody_wrote_reaches_the_terminal_as_it_is(
    here: Reporting, form: list[str]
) -> None:
    _, bob, carol = room_of(here, "alice", "bob", "carol")
    console = console_of(here)
    texts = [one for one in hostile.texts() if one and one.isprintable() is False]
    texts = [one for one in texts if "\ud800" not in one and one.strip()]
    for text in ["\n".join(texts)[: limits.MESSAGE_CHARS], *texts[:6]]:
        clean = text.encode("utf-8", "replace").decode()
        reason = clean[: limits.REASON_CHARS]
        here.clock.advance(limits.HOUR)
        number = report(carol, said(bob, carol, Text(clean)), reason)
        for words in (["report", "list"], ["report", "show", str(number)]):
            out = here.server.result(ensureDeferred(console.run([*words, *form])))
            assert out.status == 0
            assert hostile.foreign(out.text) == set(), (text, out.text)
