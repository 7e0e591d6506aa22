"""Private rooms and direct conversations as they were made before encryption.

No command makes them any more, so they are written straight to where rooms are kept.
"""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from lairchat.features.messages.messages import StateChange
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.server import state
from lairchat.model.events import EventClass
from lairchat.model.ids import DeviceId, RoomId, UserId
from lairchat.model.roles import RoomRole
from lairchat.storage import log
from tests.features.common import text
from tests.harness import Client, Server


def write_room(
    connection: Connection,
    kind: rooms.Kind,
    name: str,
    topic: str,
    people: Sequence[tuple[int, str, RoomRole]],
    now: int,
) -> RoomId:
    """Write a private room that the server reads, of (user, name, role); the first made it."""
    maker, called, _ = people[0]
    made = rooms.create(
        connection, kind=kind, name=name, access="private", posting="members", topic=topic,
        by=UserId(maker), now=now, crypto="plain",
    )  # fmt: skip
    for user, _, role in people:
        rooms.add(connection, made.id, UserId(user), role, now)
    state(connection, made.id, now, StateChange(what="created", by=called))
    return made.id


def write_message(
    connection: Connection, room: int, user: int, device: int, words: str, now: int
) -> int:
    """Write what somebody said, and return its sequence number."""
    key = now.to_bytes(6, "big") + log.heads(connection, [RoomId(room)])[RoomId(room)].seq.to_bytes(
        10, "big"
    )
    entry = log.Entry(
        RoomId(room), UserId(user), DeviceId(device), int(EventClass.APP), key, text(words), now
    )
    return log.append(connection, [entry])[0]


def legacy_room(server: Server, name: str, owner: Client, *others: Client, topic: str = "") -> int:
    """Return a private room of before, with its owner and members."""
    roles = [RoomRole.OWNER, *[RoomRole.MEMBER] * len(others)]
    return _made(server, "room", name, topic, (owner, *others), roles)


def legacy_direct(server: Server, one: Client, other: Client) -> int:
    """Return the direct conversation of before of two people."""
    room = _made(server, "direct", "", "", (one, other), [RoomRole.MEMBER] * 2)
    low, high = (client.session.user for client in (one, other))  # type: ignore[union-attr]
    server.change(lambda c: rooms.keep_direct(c, UserId(low), UserId(high), RoomId(room), "plain"))
    return room


def legacy_said(server: Server, room: int, by: Client, words: str) -> int:
    """Return the sequence number of what somebody said before; who is there is not told."""
    session = by.session
    assert session is not None
    return int(
        server.change(
            lambda c: write_message(c, room, session.user, session.device, words, server.now())
        )
    )


def legacy_invitation(server: Server, room: int, guest: Client, by: Client) -> None:
    """Leave an invitation of before without an answer."""
    assert guest.session is not None
    assert by.session is not None
    whom, who = UserId(guest.session.user), UserId(by.session.user)
    server.change(lambda c: rooms.invite(c, RoomId(room), whom, who, server.now()))


def _made(
    server: Server,
    kind: rooms.Kind,
    name: str,
    topic: str,
    clients: Sequence[Client],
    roles: Sequence[RoomRole],
) -> int:
    people = []
    for client, role in zip(clients, roles, strict=True):
        assert client.session is not None
        people.append((client.session.user, client.session.name, role))
    room: RoomId = server.change(lambda c: write_room(c, kind, name, topic, people, server.now()))
    for user, _, _ in people:
        server.hub.enter(UserId(user), room)
    return room
