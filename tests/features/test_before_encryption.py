"""A database of before encryption: what it holds is read, refuses more, and has successors beside it."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from lairchat.features.accounts.messages import LOGIN
from lairchat.features.messages.messages import HISTORY, SEND
from lairchat.features.rooms.messages import CREATE, DIRECT, INVITE, JOIN, MINE, TOPIC
from lairchat.model import refusals
from lairchat.model.names import name_key, skeleton
from lairchat.model.roles import RoomRole, ServerRole
from lairchat.storage import migrate, sqlite
from tests.features.common import said, text
from tests.features.delivery.world import Here, Member, Person
from tests.features.legacy import write_message, write_room
from tests.harness import CHEAP, Client, secret_of

BEFORE = "0004_mutes"
"""The last schema of servers that knew nothing of encryption."""

ALICE, BOB, CAROL = 1, 2, 3
NAMES = {ALICE: "alice", BOB: "bob", CAROL: "carol"}
THEN = 1_700_000_000_000


def fill(connection: Connection) -> None:
    """Write what people had: a private room of three, and a direct conversation of two of them."""
    for user, name in NAMES.items():
        secret = CHEAP.hash(secret_of(name), bytes(16))
        connection.exec_driver_sql(
            "INSERT INTO users (id, name, name_key, skeleton, role, state, secret, created_at)"
            " VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
            (user, name, name_key(name), skeleton(name), int(ServerRole.USER), secret, THEN),
        )
        connection.exec_driver_sql(
            "INSERT INTO devices (id, user, label, created_at) VALUES (?, ?, '', ?)",
            (user, user, THEN),
        )
    people = [(user, name, RoomRole.MEMBER) for user, name in NAMES.items()]
    owned = [(ALICE, "alice", RoomRole.OWNER), *people[1:]]
    den = write_room(connection, "room", "den", "ours", owned, THEN)
    write_message(connection, den, BOB, BOB, "said in the den", THEN + 1)
    direct = write_room(connection, "direct", "", "", people[:2], THEN + 2)
    connection.exec_driver_sql(
        "INSERT INTO directs (low, high, room) VALUES (?, ?, ?)", (ALICE, BOB, direct)
    )
    write_message(connection, direct, ALICE, ALICE, "between us", THEN + 3)


@pytest.fixture
def here(tmp_path: Path) -> Any:
    """A server of today on a database of then."""
    versions, path = tmp_path / "versions", tmp_path / "data" / "lair.db"
    versions.mkdir()
    path.parent.mkdir(mode=0o700)
    for step in migrate.VERSIONS.glob("0*.py"):
        if step.stem <= BEFORE:
            shutil.copy(step, versions)
    assert migrate.prepare(path, versions=versions).schema == BEFORE
    engine = sqlite.writing_engine(path)
    with engine.begin() as connection:
        fill(connection)
    engine.dispose()
    started = Here(url=f"sqlite:///{path}")
    with closing(started.server):
        yield started


def returning(here: Here, name: str) -> Member:
    """Return a device of somebody who is back with a client of today, which has made its keys."""
    client = Client(here.server)
    client.ask(LOGIN, name=name, secret=secret_of(name))
    person = here.people[name] = Person(name, 1)
    person.publish(client.ask)
    return here.member(name)


def by_name(member: Member, name: str) -> Any:
    return {one.crypto: one for one in member.ask(MINE).rooms if one.name == name}


def words(member: Member, room: int) -> list[Any]:
    return [said(event) for event in member.ask(HISTORY, room=room).events if event.kind == "app"]


def test_what_was_said_is_read_and_nothing_is_added(here: Here) -> None:
    alice, bob = returning(here, "alice"), returning(here, "bob")
    den, direct = by_name(alice, "den")["plain"], by_name(alice, "bob")["plain"]
    assert (den.access, den.topic, den.members, den.role) == ("private", "ours", 3, "owner")
    assert alice.ask(DIRECT, name="bob").room == direct.room
    for member in (alice, bob):
        assert words(member, den.room) == ["said in the den"]
        assert words(member, direct.room) == ["between us"]
        for room in (den.room, direct.room):
            with pytest.raises(refusals.RoomLegacy):
                member.ask(SEND, room=room, body=text("more"))
    for command, arguments in ((TOPIC, {"topic": "x"}), (INVITE, {"name": "carol"})):
        with pytest.raises(refusals.RoomLegacy):
            alice.ask(command, room=den.room, **arguments)


def test_a_client_of_then_reads_on_and_makes_nothing_that_the_server_reads(here: Here) -> None:
    carol = Client(here.server)
    carol.login("carol")
    (den,) = carol.ask(MINE).rooms
    assert carol.ask(JOIN, name="den").room == den.room
    assert len(carol.ask(HISTORY, room=den.room).events) == 2
    with pytest.raises(refusals.RoomUnencrypted):
        carol.ask(CREATE, name="attic", access="private")
    with pytest.raises(refusals.RoomUnencrypted):
        carol.ask(DIRECT, name="bob")
    assert carol.ask(CREATE, name="attic").crypto == "plain"


def test_both_have_their_encrypted_successors_beside_them(here: Here) -> None:
    alice, bob = returning(here, "alice"), returning(here, "bob")
    old = {name: by_name(alice, name)["plain"].room for name in ("den", "bob")}
    direct = alice.open(bob)
    alice.add(bob)
    alice.say(b"sealed")
    bob.read()
    assert by_name(bob, "alice")["mls"].room == direct
    assert bob.ask(DIRECT, name="alice", crypto="mls").room == direct
    assert bob.ask(DIRECT, name="alice").room == old["bob"] != direct
    room = alice.create()
    alice.add(bob)
    here.agree(alice, bob)
    assert room not in old.values()
    for member, other in ((alice, "bob"), (bob, "alice")):
        assert words(member, by_name(member, "den")["plain"].room) == ["said in the den"]
        assert words(member, by_name(member, other)["plain"].room) == ["between us"]
    assert here.flaws() == []
