"""Defends: architecture.md, seam 1: a command is declared once, and every door reads one table."""

import msgspec
import pytest
from msgspec import Raw

from lairchat.model.refusals import RoomUnknown
from lairchat.model.roles import ServerRole
from lairchat.wire import codec
from lairchat.wire.contract import (
    Command,
    EventType,
    Nothing,
    Overlap,
    Reply,
    Request,
    Stage,
    Table,
)
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import Int63


class Join(Request, frozen=True):
    room: Int63
    note: str = ""


class Joined(Reply, frozen=True):
    room: Int63
    note: str = ""


JOIN = Command(name="room.join", request=Join, reply=Joined, doc="Joins.", errors=(RoomUnknown,))
LEAVE = Command(name="room.leave", request=Join, reply=Nothing, doc="Leaves.", keyed=True)
CAME = EventType(name="room.joined", body=Joined, doc="Somebody joined.")
WENT = EventType(name="room.left", body=Joined, doc="Somebody left.")


def test_commands_and_events_are_found_by_name() -> None:
    table = Table([LEAVE, JOIN], [WENT, CAME])
    assert table.command("room.join") is JOIN
    assert table.event("room.left") is WENT
    for name in ("", "room", "ROOM.JOIN", "room.joined"):
        assert table.command(name) is None
    assert table.event("room.join") is None


def test_they_are_listed_in_order() -> None:
    table = Table([LEAVE, JOIN], [WENT, CAME])
    assert list(table) == [JOIN, LEAVE]
    assert list(table.events()) == [CAME, WENT]
    assert list(Table([])) == list(Table([]).events()) == []


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"room\.join"):
        Table([JOIN, JOIN])
    with pytest.raises(ValueError, match=r"room\.left"):
        Table([], [WENT, WENT])


def test_what_is_not_said_is_the_careful_choice() -> None:
    assert JOIN.stage is Stage.READY
    assert JOIN.role is ServerRole.GUEST
    assert JOIN.overlap is Overlap.READ
    assert not JOIN.keyed
    assert JOIN.cost == 1


def test_requests_refuse_fields_that_they_do_not_know_and_replies_ignore_them() -> None:
    body = Raw(msgspec.msgpack.encode({"room": 1, "new": 1}))
    with pytest.raises(ProtocolError) as caught:
        codec.decode_args(Join, body)
    assert caught.value.field == "$.new"
    assert codec.decode_body(Joined, body) == Joined(1)


def test_defaults_are_not_sent() -> None:
    for value in (Join(1), Joined(1)):
        assert codec.encode_body(value) == b"\x81\xa4room\x01"
    assert codec.encode_body(Nothing()) == b"\x80"


def test_values_are_frozen() -> None:
    for value, name in ((Join(1), "room"), (Joined(1), "room"), (JOIN, "name")):
        with pytest.raises(AttributeError):
            setattr(value, name, 2)
