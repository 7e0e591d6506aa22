"""What an account's devices keep sealed on the server: theirs alone, bounded, never overwritten unseen."""

import os
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from lairchat.features.identities.messages import PUBLISH
from lairchat.features.keepsakes import server as keepsakes
from lairchat.features.keepsakes.messages import DROP, GET, LIST, PUT
from lairchat.features.transfer import server as transfer
from lairchat.features.transfer.messages import BEGIN
from lairchat.features.transfer.messages import PUT as CHUNK
from lairchat.model import limits, refusals
from lairchat.wire.bulk import Outgoing
from tests.features.certified import make_server, newcomer
from tests.features.identities.test_server import another_log
from tests.harness import Client, Server

INDEX = bytes(16)
QUOTA = 4_096


@pytest.fixture
def server() -> Iterator[Server]:
    made = make_server(transfer.make(), keepsakes.make(quota=QUOTA))
    yield made
    made.close()


@pytest.fixture
def roomy() -> Iterator[Server]:
    made = make_server(transfer.make(), keepsakes.make())
    yield made
    made.close()


def put(client: Client, data: bytes, name: bytes = INDEX, **more: Any) -> bytes:
    """Keep an object; return its digest."""
    client.ask(PUT, name=name, data=data, **more)
    return sha256(data).digest()


def read(client: Client, name: bytes = INDEX) -> bytes:
    found = b""
    while True:
        part = client.ask(GET, name=name, offset=len(found))
        found += part.data
        if len(found) == part.total:
            assert sha256(found).digest() == part.digest
            return found


def carry(client: Client, data: bytes) -> bytes:
    """Bring a blob; return its name."""
    blob, outgoing = os.urandom(16), Outgoing.of(data)
    client.ask(BEGIN, blob=blob, total=outgoing.total, digest=outgoing.digest)
    for offset, chunk in outgoing.chunks():
        client.ask(CHUNK, blob=blob, offset=offset, data=chunk)
    return blob


def names(client: Client) -> list[bytes]:
    return [one.name for one in client.ask(LIST).objects]


def test_what_one_device_keeps_another_reads(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    digest = put(first, b"sealed")
    assert read(alice.device(2)) == b"sealed"
    listed = alice.device(2).ask(LIST)
    (one,) = listed.objects
    assert (one.name, one.digest, one.size, listed.used, listed.quota, listed.more) == (
        *(INDEX, digest, 6, 6, QUOTA, False),
    )
    server.wait(90)
    assert 90 <= first.ask(LIST).objects[0].age <= 92


def test_two_devices_do_not_overwrite_each_other(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    second = alice.device(2)
    before = put(first, b"as both have seen it")
    # Both at once: the writer's order decides.
    asked = [
        client.give(PUT, name=INDEX, data=data, replaces=before)
        for client, data in ((first, b"the first"), (second, b"the second"))
    ]
    server.settle()
    first.answer(asked[0])
    with pytest.raises(refusals.KeepsakeStale):
        second.answer(asked[1])
    put(second, b"both", replaces=sha256(b"the first").digest())
    assert read(first) == b"both"
    with pytest.raises(refusals.KeepsakeStale):
        put(first, b"as if there were none")
    with pytest.raises(refusals.KeepsakeStale):
        put(first, b"as if there were one", name=os.urandom(16), replaces=before)


def test_a_repeated_command_changes_nothing(server: Server) -> None:
    _, client = newcomer(server, "alice")
    put(client, b"once")
    put(client, b"once")
    assert client.ask(LIST).used == 4


def test_nobody_else_sees_that_there_is_anything(server: Server) -> None:
    _, client = newcomer(server, "alice")
    put(client, b"hers")
    _, bob = newcomer(server, "bob")
    assert names(bob) == []
    with pytest.raises(refusals.KeepsakeUnknown):
        read(bob)
    bob.ask(DROP, names=[INDEX])
    put(bob, b"his")
    assert (read(client), read(bob)) == (b"hers", b"his")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (PUT, {"name": INDEX, "data": b"x"}),
        (GET, {"name": INDEX}),
        (LIST, {}),
        (DROP, {"names": [INDEX]}),
    ],
)
def test_who_has_the_password_alone_has_nothing(
    server: Server, command: Any, arguments: Any
) -> None:
    alice, client = newcomer(server, "alice")
    put(client, b"hers")
    with pytest.raises(refusals.DeviceUnproven):
        alice.login().ask(command, **arguments)
    assert read(client) == b"hers"


def test_a_revoked_device_has_nothing_any_more(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    put(first, b"hers")
    second = alice.device(2)
    assert read(second) == b"hers"
    alice.append(first, alice.revocation(2))
    assert second.closed == "LC-AUTH-TOKEN"
    again = alice.login()
    with pytest.raises(refusals.DeviceGone):
        alice.prove(again, 2)
    with pytest.raises(refusals.DeviceUnproven):
        read(again)


def test_large_objects_come_as_blobs_and_go_in_parts(roomy: Server) -> None:
    _, client = newcomer(roomy, "alice")
    data = os.urandom(limits.KEEPSAKE_BYTES)
    blob = carry(client, data)
    client.ask(PUT, name=INDEX, blob=blob)
    assert read(client) == data
    # The blob has given its quota back.
    left = roomy.look(lambda found: found.exec_driver_sql("SELECT count(*) FROM blobs").scalar())
    assert left == 0


def test_what_is_no_object_is_refused(roomy: Server) -> None:
    _, client = newcomer(roomy, "alice")
    with pytest.raises(refusals.BlobUnknown):
        client.ask(PUT, name=INDEX, blob=os.urandom(16))
    blob = os.urandom(16)
    client.ask(BEGIN, blob=blob, total=5, digest=bytes(32))
    with pytest.raises(refusals.BlobUnknown):
        client.ask(PUT, name=INDEX, blob=blob)
    with pytest.raises(refusals.BlobSize):
        client.ask(PUT, name=INDEX)
    large = carry(client, bytes(limits.KEEPSAKE_BYTES + 1))
    with pytest.raises(refusals.BlobSize):
        client.ask(PUT, name=INDEX, blob=large)
    put(client, b"x")
    with pytest.raises(refusals.BlobOffset):
        client.ask(GET, name=INDEX, offset=1)


def test_the_quota_ends_where_it_says(server: Server) -> None:
    _, client = newcomer(server, "alice")
    digest = put(client, bytes(QUOTA - 1))
    other = os.urandom(16)
    put(client, b"x", name=other)
    with pytest.raises(refusals.KeepsakesFull):
        put(client, b"x", name=os.urandom(16))
    with pytest.raises(refusals.KeepsakesFull):
        put(client, bytes(QUOTA), replaces=digest)
    digest = put(client, bytes(QUOTA - 2), replaces=digest)
    put(client, b"xy", name=other, replaces=sha256(b"x").digest())
    assert client.ask(LIST).used == QUOTA
    client.ask(DROP, names=[INDEX])
    put(client, bytes(QUOTA - 2))


def test_so_many_objects_and_no_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEPSAKES", 2)
    _, client = newcomer(server, "alice")
    digest = put(client, b"one")
    put(client, b"two", name=os.urandom(16))
    with pytest.raises(refusals.KeepsakesFull):
        put(client, b"three", name=os.urandom(16))
    put(client, b"more", replaces=digest)


def test_a_page_at_a_time(roomy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEPSAKES_LISTED", 3)
    _, client = newcomer(roomy, "alice")
    made = sorted(os.urandom(16) for _ in range(7))
    for name in made:
        put(client, b"x", name=name)
    found: list[bytes] = []
    more, after = True, None
    while more:
        page = client.ask(LIST, after=after)
        found += [one.name for one in page.objects]
        more, after = page.more, found[-1]
    assert found == made
    client.ask(DROP, names=[*made[:3], os.urandom(16)])
    assert names(client) == made[3:6]


def test_what_an_identity_kept_goes_with_it(server: Server) -> None:
    _, client = newcomer(server, "alice")
    put(client, b"old")
    server.wait(limits.LOG_BEGIN_SECONDS)
    client.ask(PUBLISH, log=another_log("alice"))
    kept = "SELECT count(*) FROM keepsakes"
    assert server.look(lambda found: found.exec_driver_sql(kept).scalar()) == 1
    more = server.change(lambda found: keepsakes.upkeep(found, 0, ()))
    assert not more
    assert server.look(lambda found: found.exec_driver_sql(kept).scalar()) == 0
