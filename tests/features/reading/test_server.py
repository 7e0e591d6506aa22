"""Reading places at the server: a slot for each device, for the account's own devices and nobody else."""

import os
from collections.abc import Iterator

import msgspec
import pytest

from lairchat.features.identities.messages import PUBLISH
from lairchat.features.reading import server as reading
from lairchat.features.reading.messages import LIST, MOVED, PUT
from lairchat.model import limits, refusals
from lairchat.model.refusal import Refusal
from tests.features.certified import make_server, newcomer
from tests.features.identities.test_server import another_log
from tests.harness import Client, Server

SLOT = b"sealed"


@pytest.fixture
def server() -> Iterator[Server]:
    made = make_server(reading.make())
    yield made
    made.close()


def slots(client: Client) -> dict[bytes, bytes]:
    """Return what a device sees, page by page."""
    found: dict[bytes, bytes] = {}
    more, after = True, None
    while more:
        page = client.ask(LIST, after=after)
        found.update((one.device, one.data) for one in page.slots)
        more, after = page.more, max(found, default=None)
    return found


def rows(server: Server) -> int:
    count = "SELECT count(*) FROM reading_slots"
    return int(server.look(lambda found: found.exec_driver_sql(count).scalar()))


def test_what_one_device_keeps_the_others_see_and_are_told(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=3)
    second, third = alice.device(2), alice.device(3)
    first.ask(PUT, data=SLOT)
    own = alice.identity(1).device
    assert slots(second) == slots(first) == {own: SLOT}
    for other in (second, third):
        assert [(one.device, one.data) for one in other.events(MOVED.name)] == [(own, SLOT)]
    assert first.events(MOVED.name) == []
    first.ask(PUT, data=b"further")
    second.ask(PUT, data=b"of the second")
    assert slots(third) == {own: b"further", alice.identity(2).device: b"of the second"}
    assert rows(server) == 2


def test_a_device_comes_by_no_slot_but_its_own(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    first.ask(PUT, data=SLOT)
    second = alice.device(2)
    # The command names no device: whichever one names in spite of that, it is one's own that changes.
    forged = {"data": b"forged", "device": alice.identity(1).device}
    second.give_raw(PUT.name, msgspec.msgpack.encode(forged), command=PUT)
    second.ask(PUT, data=b"its own")
    assert slots(first) == {
        alice.identity(1).device: SLOT,
        alice.identity(2).device: b"its own",
    }


def test_nobody_else_sees_or_hears_of_it(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    _, bob = newcomer(server, "bob")
    stranger = alice.login()
    first.ask(PUT, data=SLOT)
    assert slots(bob) == {}
    for other in (bob, stranger):
        assert other.events(MOVED.name) == []
    for command, arguments in ((PUT, {"data": b"x"}), (LIST, {})):
        with pytest.raises(refusals.DeviceUnproven):
            stranger.ask(command, **arguments)
    bob.ask(PUT, data=b"his")
    assert slots(first) == {alice.identity(1).device: SLOT}


def test_a_revoked_device_has_no_slot_and_sees_none(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    second = alice.device(2)
    second.ask(PUT, data=b"of the second")
    first.ask(PUT, data=SLOT)
    alice.append(first, alice.revocation(2))
    assert second.closed == "LC-AUTH-TOKEN"
    assert slots(first) == {alice.identity(1).device: SLOT}
    again = alice.login()
    with pytest.raises(refusals.DeviceUnproven):
        slots(again)
    first.ask(PUT, data=b"further")
    assert again.events(MOVED.name) == []


def test_what_an_identity_kept_goes_with_it(server: Server) -> None:
    _, first = newcomer(server, "alice")
    _, bob = newcomer(server, "bob")
    first.ask(PUT, data=SLOT)
    bob.ask(PUT, data=SLOT)
    server.wait(limits.LOG_BEGIN_SECONDS)
    first.ask(PUBLISH, log=another_log("alice"))
    with pytest.raises(refusals.DeviceUnproven):
        slots(first)
    assert rows(server) == 2
    assert server.change(lambda found: reading.upkeep(found, 0, ())) is False
    assert rows(server) == 1
    assert len(slots(bob)) == 1


@pytest.mark.parametrize("size", [0, limits.READING_SLOT_BYTES + 1])
def test_a_slot_has_a_size(server: Server, size: int) -> None:
    _, client = newcomer(server, "alice")
    client.ask(PUT, data=bytes(limits.READING_SLOT_BYTES))
    with pytest.raises(Refusal) as refused:
        client.ask(PUT, data=bytes(size))
    assert refused.value.code == "LC-ARGS"
    assert [len(one) for one in slots(client).values()] == [limits.READING_SLOT_BYTES]


def test_as_many_devices_as_an_account_has_come_in_pages(server: Server) -> None:
    alice, _ = newcomer(server, "alice", devices=limits.LOG_DEVICES)
    kept = {}
    for number in range(1, limits.LOG_DEVICES + 1):
        client = alice.device(number)
        data = os.urandom(limits.READING_SLOT_BYTES)
        client.ask(PUT, data=data)
        kept[alice.identity(number).device] = data
        if number > 1:
            assert client.ask(LIST).slots
    page = client.ask(LIST)
    assert page.more
    assert len(page.slots) < limits.LOG_DEVICES
    assert slots(client) == kept


def test_it_cannot_be_said_without_end(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    second = alice.device(2)
    for _ in range(limits.READING_BURST):
        first.ask(PUT, data=SLOT)
    with pytest.raises(refusals.RateLimited) as refused:
        first.ask(PUT, data=SLOT)
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 60 / limits.READING_PER_MINUTE
    # Of each device by itself.
    second.ask(PUT, data=SLOT)
    server.wait(60 / limits.READING_PER_MINUTE)
    first.ask(PUT, data=SLOT)
    # Nobody who tells at the pace of our clients is ever refused.
    assert limits.MINUTE / limits.READING_SECONDS < limits.READING_PER_MINUTE


def test_a_connection_that_has_gone_is_not_told(server: Server) -> None:
    alice, first = newcomer(server, "alice", devices=2)
    alice.device(2).disconnect()
    first.ask(PUT, data=SLOT)
    assert slots(first) == {alice.identity(1).device: SLOT}
