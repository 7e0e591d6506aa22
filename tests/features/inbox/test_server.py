"""Inboxes: read and emptied by their own device, written to by those who may, and bounded."""

import pytest

from lairchat.features.inbox import tables
from lairchat.features.inbox.messages import ACK, ANSWER, READ, SEND
from lairchat.features.rooms.messages import DIRECT
from lairchat.model import limits, refusals
from tests.features.delivery.world import Here
from tests.harness import Client


@pytest.fixture
def here():
    world = Here()
    yield world
    world.close()


def send(member, other, kind="verify", body=b"note"):
    return member.ask(
        SEND,
        kind=kind,
        account=other.person.id,
        devices=[other.identity.device],
        body=body,
    )


def friends(here):
    alice, bob = here.member("alice"), here.member("bob")
    alice.ask(DIRECT, name="bob")
    return alice, bob


def test_a_note_is_told_read_and_acknowledged(here):
    alice, bob = friends(here)
    send(alice, bob, body=b"one")
    send(alice, bob, body=b"two")
    assert [one.seq for one in bob.client.events("inbox.new")] == [1, 2]
    page = bob.ask(READ)
    assert [(one.seq, one.kind, one.body) for one in page.entries] == [
        (1, "verify", b"one"),
        (2, "verify", b"two"),
    ]
    assert page.entries[0].account == alice.person.id
    assert page.entries[0].sender == alice.identity.device
    assert [one.body for one in bob.ask(READ, after=1).entries] == [b"two"]
    first = bob.ask(READ, limit=1)
    assert (len(first.entries), first.more, page.more) == (1, True, False)
    bob.ask(ACK, upto=1)
    assert [one.seq for one in bob.ask(READ).entries] == [2]
    with pytest.raises(refusals.InboxEnd):
        bob.ask(ACK, upto=3)
    assert alice.ask(READ).entries == []


def test_an_inbox_is_its_own_devices(here):
    alice, bob = friends(here)
    send(alice, bob)
    stranger = Client(here.server)
    stranger.login("bob")
    for command, arguments in ((READ, {}), (ACK, {"upto": 0})):
        with pytest.raises(refusals.DeviceUnproven):
            stranger.ask(command, **arguments)


def test_a_page_fits_a_frame(here):
    alice, bob = friends(here)
    for _ in range(6):
        send(alice, bob, body=bytes(limits.INBOX_NOTE_BYTES))
    seen, more = [], True
    while more:
        page = bob.ask(READ, after=seen[-1] if seen else 0)
        seen += [one.seq for one in page.entries]
        more = page.more
    assert seen == [1, 2, 3, 4, 5, 6]


def test_who_may_write_to_whom(here):
    alice, bob = here.member("alice"), here.member("bob")
    with pytest.raises(refusals.InboxStranger):
        send(alice, bob)
    alice.ask(DIRECT, name="bob")
    with pytest.raises(refusals.InboxStranger):
        send(alice, bob, kind="link")
    with pytest.raises(refusals.DeviceGone):
        alice.ask(SEND, kind="verify", account=bob.person.id, devices=[bytes(16)], body=b"x")
    with pytest.raises(refusals.IdentityUnknown):
        alice.ask(SEND, kind="verify", account=bytes(32), devices=[bytes(16)], body=b"x")
    with pytest.raises(refusals.Refusal, match="LC-ARGS"):
        send(alice, bob, kind="welcome")


def test_a_device_that_is_to_be_linked_writes_to_its_own_account_and_is_answered(here):
    alice, bob = friends(here)
    fresh = Client(here.server)
    grant = fresh.login("alice")
    mine = {"account": alice.person.id, "devices": [alice.identity.device], "body": b"hello"}
    fresh.ask(SEND, kind="link", **mine)
    (entry,) = alice.ask(READ).entries
    assert (entry.kind, entry.account, entry.sender, entry.device) == (
        "link",
        None,
        None,
        grant.device,
    )
    with pytest.raises(refusals.DeviceUnproven):
        fresh.ask(SEND, kind="verify", **mine)
    alice.ask(ANSWER, device=entry.device, body=b"welcome")
    (answered,) = fresh.events("inbox.answered")
    assert (answered.account, answered.body) == (alice.person.id, b"welcome")
    with pytest.raises(refusals.InboxAway):
        alice.ask(ANSWER, device=bob.client.session.device, body=b"not yours")
    with pytest.raises(refusals.DeviceUnproven):
        fresh.ask(ANSWER, device=grant.device, body=b"x")


def test_notes_make_room_for_newer_ones_and_welcomes_do_not(here):
    _, bob = friends(here)

    def fill(connection):
        tables.deliver(connection, bob.identity, tables.WELCOME, None, b"first", 0)
        for _ in range(limits.INBOX_NOTES + 5):
            tables.deliver(connection, bob.identity, "verify", None, b"x", 0)

    here.server.change(fill)
    page = bob.ask(READ, limit=1)
    assert (page.entries[0].kind, page.dropped) == ("welcome", 5)


def test_one_account_sends_only_so_much(here):
    alice, bob = friends(here)
    for _ in range(limits.INBOX_SENT_TO_ONE):
        send(alice, bob)
    with pytest.raises(refusals.RateLimited):
        send(alice, bob)


def test_what_waits_for_a_revoked_device_or_for_too_long_is_deleted(here):
    alice, bob = friends(here)
    here.append(bob, bob.person.certify(2), 1)
    laptop = here.member("bob", 2)
    send(alice, bob)
    send(alice, laptop)
    here.append(bob, bob.person.revoke(2), 2)
    count = "SELECT COUNT(*) FROM inbox_entries"
    assert here.server.look(lambda c: c.exec_driver_sql(count).scalar_one()) == 1
    here.server.wait(limits.INBOX_SECONDS + 1)
    here.server.upkeep()
    page = bob.ask(READ)
    assert (page.entries, page.dropped) == ([], 1)
