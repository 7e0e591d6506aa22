"""Inboxes: each device's own, dense, bounded, and open to those alone who have a reason to write."""

from collections.abc import Iterator
from typing import Any

import pytest

from lairchat.features.identities.messages import APPEND, PUBLISH
from lairchat.features.inbox import server as inbox_server
from lairchat.features.inbox import tables
from lairchat.features.inbox.messages import ACK, ANSWER, READ, SEND
from lairchat.features.inbox.tables import WELCOME
from lairchat.features.rooms.messages import CREATE, JOIN, LEAVE
from lairchat.model import limits, refusals
from lairchat.model.refusal import Refusal
from tests.features.certified import Person, entries_of, make_server, newcomer
from tests.features.identities.test_server import another_log
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room
from tests.harness import Client, Server
from tests.trust.people import device


@pytest.fixture
def server() -> Iterator[Server]:
    made = make_server()
    yield made
    made.close()


def deliver(
    person: Person,
    body: bytes = b"welcome",
    number: int = 1,
    kind: str = WELCOME,
    sender: Any = None,
) -> int:
    """Put something into an inbox as the delivery service does."""
    server = person.server
    seq: int = server.change(
        lambda connection: tables.deliver(
            connection, person.identity(number), kind, sender, body, server.now()
        )
    )
    return seq


def send(client: Client, to: Person, *numbers: int, kind: str = "link", body: bytes = b"x") -> Any:
    devices = [to.identity(number).device for number in numbers or (1,)]
    return client.ask(SEND, kind=kind, account=to.id, devices=devices, body=body)


def read(client: Client, **more: Any) -> list[tuple[int, str, bytes]]:
    return [(one.seq, one.kind, one.body) for one in client.ask(READ, **more).entries]


# -- reading and acknowledging


def test_entries_are_numbered_without_gaps_read_in_order_and_gone_once_acknowledged(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice")
    bob, _ = newcomer(server, "bob")
    assert read(client) == []
    assert client.ask(READ).head == 0
    for number in (1, 2, 3):
        assert deliver(alice, b"%d" % number, sender=bob.identity()) == number
    page = client.ask(READ, limit=2)
    assert [one.seq for one in page.entries] == [1, 2]
    assert (page.head, page.dropped, page.more) == (3, 0, True)
    (first, _second) = page.entries
    assert (first.kind, first.at, first.body) == ("welcome", server.now(), b"1")
    assert (first.account, first.sender, first.device) == (bob.id, bob.identity().device, 0)
    assert read(client, after=2) == [(3, "welcome", b"3")]
    client.ask(ACK, upto=2)
    client.ask(ACK, upto=2)
    client.ask(ACK, upto=1)
    assert read(client) == [(3, "welcome", b"3")]
    client.ask(ACK, upto=3)
    page = client.ask(READ)
    assert (page.entries, page.head, page.more) == ([], 3, False)
    assert deliver(alice) == 4


def test_what_has_not_come_is_not_acknowledged(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    with pytest.raises(refusals.InboxEnd, match="at entry 0"):
        client.ask(ACK, upto=1)
    deliver(alice)
    for upto in (2, limits.INTEGER_MAX):
        with pytest.raises(refusals.InboxEnd, match="at entry 1"):
            client.ask(ACK, upto=upto)
    assert read(client) == [(1, "welcome", b"welcome")]


def test_whoever_has_proven_nothing_or_is_another_device_does_not_get_at_an_inbox(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    second = alice.device(2)
    _mallory, theirs = newcomer(server, "mallory")
    deliver(alice)
    thief = alice.login()
    for command, arguments in ((READ, {}), (ACK, {"upto": 1})):
        with pytest.raises(refusals.DeviceUnproven):
            thief.ask(command, **arguments)
    for other in (second, theirs):
        assert read(other) == []
        with pytest.raises(refusals.InboxEnd):
            other.ask(ACK, upto=1)
    # The device's number at the server is no proof, nor what was proven in the session before.
    again = alice.login(device=client.session.device)
    with pytest.raises(refusals.DeviceUnproven):
        again.ask(READ)
    alice.prove(again)
    assert read(again) == [(1, "welcome", b"welcome")]


def test_a_page_ends_where_the_frame_is_full(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    largest = bytes(limits.INBOX_BODY_BYTES)
    for body in (largest, b"small", largest):
        deliver(alice, body)
    found: list[int] = []
    more = True
    while more:
        page = client.ask(READ, after=found[-1] if found else 0)
        assert page.entries
        found += [one.seq for one in page.entries]
        more = page.more
    assert found == [1, 2, 3]


def test_a_body_that_no_answer_could_bring_is_not_delivered(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    with pytest.raises(ValueError, match="at most"):
        deliver(alice, bytes(limits.INBOX_BODY_BYTES + 1))
    assert client.ask(READ).head == 0


def test_a_revoked_devices_inbox_is_emptied(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    deliver(alice, number=2)
    deliver(alice)
    alice.append(client, alice.revocation(2))
    left = server.look(lambda connection: list(tables.entries(connection, alice.identity(2), 0, 9)))
    assert left == []
    assert read(client) == [(1, "welcome", b"welcome")]


def test_after_another_log_the_old_inboxes_are_nobodys(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    deliver(alice)
    server.wait(limits.LOG_BEGIN_SECONDS)
    client.ask(PUBLISH, log=another_log("alice"))
    with pytest.raises(refusals.DeviceUnproven):
        client.ask(READ)
    with pytest.raises(refusals.IdentityUnknown):
        send(client, alice)


# -- bounds


def test_notes_beyond_the_bound_push_out_the_oldest_which_is_told_and_no_welcome(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INBOX_NOTES", 3)
    alice, client = newcomer(server, "alice")
    deliver(alice, b"first")
    for number in range(2, 5):
        deliver(alice, b"%d" % number, kind="link")
    assert client.ask(READ).dropped == 0
    deliver(alice, b"5", kind="verify")
    deliver(alice, b"6", kind="link")
    page = client.ask(READ)
    assert [one.body for one in page.entries] == [b"first", b"4", b"5", b"6"]
    assert (page.head, page.dropped) == (6, 2)


def test_a_welcome_too_many_is_refused_and_loses_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INBOX_WELCOMES", 2)
    monkeypatch.setattr(limits, "INBOX_WELCOMES_BYTES", 10)
    alice, client = newcomer(server, "alice", devices=2)
    deliver(alice, b"1234")
    with pytest.raises(refusals.InboxFull):
        deliver(alice, b"1234567")
    deliver(alice, b"123456")
    client.ask(ACK, upto=1)
    deliver(alice, b"1")
    with pytest.raises(refusals.InboxFull):
        deliver(alice, b"")
    with pytest.raises(refusals.InboxFull):
        server.look(lambda connection: tables.require_room(connection, alice.identity(), 0))
    assert [body for _, _, body in read(client)] == [b"123456", b"1"]
    assert client.ask(READ).dropped == 0
    deliver(alice, b"a note", kind="link")
    deliver(alice, b"1234567890", number=2)


def test_what_nobody_comes_for_goes_in_the_end_and_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_server, "SWEPT_PER_UPKEEP", 2)
    alice, client = newcomer(server, "alice")
    for _ in range(3):
        deliver(alice)
    server.wait(limits.INBOX_SECONDS)
    deliver(alice)
    server.upkeep()
    client = alice.device()  # sessions end sooner than that
    assert len(read(client)) == 4
    server.wait(0.001)
    assert server.result(server.kernel.upkeep())
    assert not server.result(server.kernel.upkeep())
    page = client.ask(READ)
    assert [one.seq for one in page.entries] == [4]
    assert (page.head, page.dropped) == (4, 3)


# -- notes


def test_a_device_that_is_to_be_linked_writes_to_its_own_account_and_is_answered(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    second, fresh = alice.device(2), alice.login()
    send(fresh, alice, 1, 2, body=b"link me")
    for one in (client, second):
        (entry,) = one.ask(READ).entries
        assert (entry.kind, entry.body) == ("link", b"link me")
        # It says of itself what it likes; the server says that it is not certified, and which it is.
        assert (entry.account, entry.sender) == (None, None)
        assert entry.device == fresh.session.device
        assert [event.seq for event in one.events("inbox.new")] == [1]
    client.ask(ANSWER, device=entry.device, body=b"compare this")
    (told,) = fresh.events("inbox.answered")
    assert (told.account, told.sender) == (alice.id, alice.identity().device)
    assert told.body == b"compare this"
    for one in (client, second):
        assert one.events("inbox.answered") == []


def test_a_certified_sender_is_named(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    second = alice.device(2)
    send(second, alice)
    (entry,) = client.ask(READ).entries
    assert (entry.account, entry.sender) == (alice.id, alice.identity(2).device)
    assert entry.device == second.session.device


def test_only_certified_devices_answer_and_only_those_of_their_account_that_are_there(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice")
    fresh, bob = alice.login(), server.member("bob")
    with pytest.raises(refusals.DeviceUnproven):
        fresh.ask(ANSWER, device=client.session.device, body=b"x")
    for number in (bob.session.device, 10_000, 0):
        with pytest.raises(refusals.InboxAway):
            client.ask(ANSWER, device=number, body=b"x")
    fresh.disconnect()
    with pytest.raises(refusals.InboxAway):
        client.ask(ANSWER, device=fresh.session.device, body=b"x")
    assert bob.events("inbox.answered") == []


def test_verifying_needs_a_proof_and_a_private_conversation(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bob, theirs = newcomer(server, "bob")
    client.ask(CREATE, name="open")
    theirs.ask(JOIN, name="open")
    # Everybody is in the lobby, and in public rooms: that is no reason to ring.
    with pytest.raises(refusals.InboxStranger):
        send(client, bob, kind="verify")
    legacy_direct(server, client, theirs)
    with pytest.raises(refusals.DeviceUnproven):
        send(alice.login(), bob, kind="verify")
    with pytest.raises(refusals.InboxStranger):
        send(client, bob, kind="link")
    send(client, bob, kind="verify", body=b"commitment")
    (entry,) = theirs.ask(READ).entries
    assert (entry.kind, entry.body) == ("verify", b"commitment")
    assert (entry.account, entry.sender) == (alice.id, alice.identity().device)
    assert client.ask(READ).head == 0


def test_a_private_room_is_a_reason_as_long_as_both_are_in_it(server: Server) -> None:
    _alice, client = newcomer(server, "alice")
    bob, theirs = newcomer(server, "bob")
    lonely = legacy_room(server, "cellar", client)
    legacy_invitation(server, lonely, theirs, client)
    with pytest.raises(refusals.InboxStranger):
        send(client, bob, kind="verify")
    room = legacy_room(server, "attic", client, theirs)
    send(client, bob, kind="verify")
    theirs.ask(LEAVE, room=room)
    with pytest.raises(refusals.InboxStranger):
        send(client, bob, kind="verify")


def test_a_note_goes_to_all_devices_that_are_named_or_to_none(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=3)
    bob, _ = newcomer(server, "bob")
    alice.append(client, alice.revocation(3))
    own, second = alice.identity().device, alice.identity(2).device
    for wrong in (alice.identity(3).device, bob.identity().device, bytes(16)):
        with pytest.raises(refusals.DeviceGone):
            client.ask(SEND, kind="link", account=alice.id, devices=[second, wrong], body=b"x")
    with pytest.raises(refusals.IdentityUnknown):
        client.ask(SEND, kind="link", account=bytes(32), devices=[own], body=b"x")
    client.ask(SEND, kind="link", account=alice.id, devices=[own, own], body=b"x")
    assert client.ask(READ).head == 1
    left = server.look(lambda connection: tables.inbox(connection, alice.identity(2)))
    assert left == (0, 0)


def test_nobody_but_the_server_says_welcome_and_bounds_hold_at_the_gate(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    good: dict[str, Any] = {
        "kind": "link",
        "account": alice.id,
        "devices": [alice.identity().device],
        "body": bytes(limits.INBOX_NOTE_BYTES),
    }
    client.ask(SEND, **good)
    for wrong in (
        {"kind": "welcome"},
        {"kind": "other"},
        {"account": alice.id[:-1]},
        {"devices": []},
        {"devices": [bytes(16)] * 17},
        {"body": b""},
        {"body": bytes(limits.INBOX_NOTE_BYTES + 1)},
    ):
        with pytest.raises(Refusal) as refusal:
            client.ask(SEND, **{**good, **wrong})
        assert refusal.value.code == "LC-ARGS"
    for page in (0, limits.INBOX_PAGE + 1):
        with pytest.raises(Refusal) as refusal:
            client.ask(READ, limit=page)
        assert refusal.value.code == "LC-ARGS"
    assert client.ask(READ).head == 1


def test_a_repeat_of_a_note_is_delivered_once(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    key = client.new_key()
    for _ in range(2):
        client.ask(
            SEND, key, kind="link", account=alice.id, devices=[alice.identity().device], body=b"x"
        )
    assert client.ask(READ).head == 1


def test_notes_come_no_faster_than_the_bounds(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bob, his = newcomer(server, "bob")
    carol, hers = newcomer(server, "carol")
    for other in (his, hers):
        legacy_direct(server, client, other)
    for _ in range(limits.INBOX_SENT_TO_ONE):
        send(client, bob, kind="verify")
    with pytest.raises(refusals.RateLimited) as refusal:
        send(client, bob, kind="verify")
    wait = limits.MINUTE / limits.INBOX_SENT_TO_ONE_PER_MINUTE
    assert refusal.value.retry_after == pytest.approx(wait, rel=0.01)
    for _ in range(limits.INBOX_SENT_TO_ONE):
        send(client, carol, kind="verify")
    for _ in range(limits.INBOX_SENT - 2 * limits.INBOX_SENT_TO_ONE):
        send(client, alice)
    with pytest.raises(refusals.RateLimited):
        send(client, alice)
    with pytest.raises(refusals.RateLimited):
        client.ask(ANSWER, device=client.session.device, body=b"x")
    # What one sends does not keep others from it.
    bobs = bob.device()
    send(bobs, bob)
    server.wait(limits.MINUTE)
    send(client, alice)


def test_a_device_that_is_not_connected_finds_it_when_it_comes_and_others_hear_nothing(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    token = client.session.token
    client.disconnect()
    second, thief = alice.device(2), alice.login()
    send(second, alice)
    assert second.events("inbox.new") == thief.events("inbox.new") == []
    again = Client(server)
    again.resume(token)
    assert read(again) == [(1, "link", b"x")]


def test_a_note_to_a_device_that_is_revoked_meanwhile_is_refused(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    signed = alice.account.say(alice.revocation(2))
    client.give(APPEND, after=2, entries=entries_of(signed))
    sending = client.give(
        SEND, kind="link", account=alice.id, devices=[device("alice", 2).id], body=b"x"
    )
    server.settle()
    with pytest.raises(refusals.DeviceGone):
        client.answer(sending)
