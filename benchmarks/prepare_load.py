"""Makes a database with accounts that can log in and rooms that they are in, for load generators.

Everything goes through the project's own tables, in one transaction, without a password hash per
account: all have the same, and log in by session token only.  The directory is one to start the
daemon on, with two more files:

    tokens.hex   line i: the token of account i, hexadecimal
    rooms        line r: the number of room r<r>

Account i is a member of room i // PER, as far as there are rooms, so that line i of the tokens is
what the load generator's connection i wants.  The same arguments give the same tokens and numbers.

    .venv/bin/python benchmarks/prepare_load.py DIRECTORY --accounts 500 --rooms 100 --per 5
"""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from twisted.internet.task import Clock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lairchat.features.accounts import rules
from lairchat.features.accounts import tables as accounts
from lairchat.features.rooms import tables as rooms
from lairchat.model.ids import RoomId, UserId
from lairchat.model.names import name_key, skeleton
from lairchat.model.roles import RoomRole, ServerRole
from lairchat.storage.database import Database
from lairchat.transports.identity import ServerIdentity

#: Argon2id of a secret that nobody knows; the real cost, so that nothing treats it as outdated.
SECRET = (
    "$argon2id$v=19$m=19456,t=2,p=1"
    "$bG9hZGdlbiBhbGwgYWxpa2U$Q3p2lX0aLQj0m9wV7m2m7rS2hT0Zc0z1t7iR3X1y0nE"
)
TOKEN_BYTES = rules.LOOKUP_BYTES + rules.PROOF_BYTES


def token(number: int) -> bytes:
    """Return the session token of an account: no secret, these accounts are for measuring."""
    return hashlib.shake_256(f"load {number}".encode()).digest(TOKEN_BYTES)


def add_accounts(connection: Connection, people: int, now: int) -> list[UserId]:
    """Make accounts with one device and one session each; return their numbers.

    A statement for all of them: one by one they take half a millisecond each.
    """
    last = connection.execute(select(func.coalesce(func.max(accounts.users.c.id), 0))).scalar_one()
    users = [UserId(last + 1 + number) for number in range(people)]
    names = [f"load{number:06d}" for number in range(people)]
    connection.execute(
        insert(accounts.users),
        [
            {
                "id": user,
                "name": name,
                "name_key": name_key(name),
                "skeleton": skeleton(name),
                "role": int(ServerRole.USER),
                "state": accounts.IN_USE,
                "secret": SECRET,
                "created_at": now,
            }
            for user, name in zip(users, names, strict=True)
        ],
    )
    connection.execute(
        insert(accounts.devices),
        [{"id": user, "user": user, "label": "loadgen", "created_at": now} for user in users],
    )
    connection.execute(
        insert(accounts.sessions),
        [session_of(user, token(number), now) for number, user in enumerate(users)],
    )
    return users


def session_of(user: UserId, secret: bytes, now: int) -> dict[str, Any]:
    """Return the row of a session that this token logs in to."""
    known = rules.take_apart(secret)
    return {
        "user": user,
        "device": user,
        "lookup": known.lookup,
        "current": known.digest,
        "created_at": now,
        "used_at": now,
    }


def add_room(connection: Connection, number: int, members: list[UserId], now: int) -> RoomId:
    """Make a public room with its members, and its log."""
    room = rooms.create(
        connection,
        kind="room",
        name=f"r{number}",
        access="public",
        posting="members",
        topic="",
        by=None,
        now=now,
    )
    if members:
        connection.execute(
            insert(rooms.memberships),
            [
                {"room": room.id, "user": user, "role": int(RoomRole.MEMBER), "joined_at": now}
                for user in members
            ],
        )
        connection.execute(
            update(rooms.rooms).where(rooms.rooms.c.id == room.id).values(members=len(members))
        )
    return room.id


def fill(connection: Connection, people: int, room_count: int, per: int, now: int) -> list[RoomId]:
    """Make everything; return the rooms' numbers."""
    users = add_accounts(connection, people, now)
    return [
        add_room(connection, number, users[number * per : (number + 1) * per], now)
        for number in range(room_count)
    ]


def make_load(directory: Path, people: int, room_count: int, per: int) -> None:
    """Make a data directory: identity, lair.db, tokens.hex and rooms, where there is none of them."""
    ServerIdentity.create(directory / "identity.pem")
    clock = Clock()
    database = Database.open(f"sqlite:///{directory / 'lair.db'}", reactor=clock, inline=True)
    now = time.time_ns() // 1_000_000
    made: list[list[RoomId]] = []
    filling = database.call(lambda connection: fill(connection, people, room_count, per, now))
    filling.addCallback(made.append)
    database.pump()
    if not made:
        filling.addErrback(lambda failure: sys.exit(failure.getTraceback()))
    database.close()
    database.pump()
    tokens = "\n".join(token(number).hex() for number in range(people))
    (directory / "tokens.hex").write_text(f"{tokens}\n", "ascii")
    (directory / "rooms").write_text("".join(f"{room}\n" for room in made[0]), "ascii")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--per", type=int, default=5, help="members of each room")
    args = parser.parse_args()
    os.umask(0o077)
    args.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (args.directory / "lair.db").exists():
        sys.exit(f"{args.directory / 'lair.db'} is there already")
    began = time.monotonic()
    make_load(args.directory, args.accounts, args.rooms, args.per)
    sys.stdout.write(
        f"{args.accounts} accounts, {args.rooms} rooms in {time.monotonic() - began:.1f} s\n"
    )


if __name__ == "__main__":
    main()
