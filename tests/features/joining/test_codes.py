"""Codes: the server finds their rooms, counts their uses, and learns nothing of their secrets."""

import os
from typing import Any

import pytest

from lairchat.e2ee.invite import Code, admit, ask, check, check_admission
from lairchat.features.delivery.messages import LEAVE, Admission
from lairchat.features.identities import tables as identities
from lairchat.features.identities.messages import APPEND
from lairchat.features.inbox import tables as inboxes
from lairchat.features.inbox.messages import ACK
from lairchat.features.inbox.messages import READ as READ_INBOX
from lairchat.features.joining import messages, tables
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE
from lairchat.mls.objects import Add, KeyPackage, Lifetime
from lairchat.mls.suites import HYBRID
from lairchat.model import limits, refusals
from lairchat.model.roles import RoomRole
from lairchat.trust.policy import private_policy
from lairchat.wire.errors import ProtocolError
from tests.features.delivery.test_commits import kept, room_of
from tests.features.delivery.test_speaking import give
from tests.features.delivery.world import Here, Member
from tests.features.joining.test_invitations import bring, consent, refused
from tests.harness import Client

HOUR = 3_600_000


def offered(member: Member, uses: int = 1, hours: int = 1) -> Code:
    """Let a new code work."""
    code = Code.new(os.urandom)
    offer(member, code, uses, hours)
    return code


def offer(member: Member, code: Code, uses: int = 1, hours: int = 1) -> Any:
    until = member.here.server.now() + hours * HOUR
    return member.ask(
        messages.OFFER, room=member.room, locator=code.locator, uses=uses, until=until
    )


def fresh(member: Member, number: int = 1) -> Any:
    """Return a key package of one of somebody's devices, as the directory would take it."""
    now = member.here.server.now() // 1000
    lifetime = Lifetime(now - limits.HOUR, now + limits.KEY_PACKAGE_SECONDS)
    return member.person.package(number, lifetime=lifetime)


def knocking(member: Member, code: Code) -> dict[str, Any]:
    """Return what a device sends that has a code."""
    member.package = fresh(member)
    package = member.package.package
    body = ask(code, member.person.id, [package.reference(HYBRID)])
    return {"locator": code.locator, "body": body, "packages": [package.encode()]}


def knock(member: Member, code: Code) -> Any:
    return member.ask(messages.KNOCK, **knocking(member, code))


def knocks(member: Member) -> list[Any]:
    return list(member.ask(messages.JOINERS, room=member.room).knocks)


def names(member: Member) -> list[str]:
    return [one.name for one in knocks(member)]


def let_in(member: Member, code: Code, *found: Any) -> dict[str, Any]:
    """Return the commit that adds those who knock, with what they are told, checked as clients do."""
    adds, asked = [], []
    for one in found:
        request = check(code, one.body)
        packages = [KeyPackage.decode(data) for data in one.packages]
        assert [package.reference(HYBRID) for package in packages] == list(request.packages)
        adds += [Add(package) for package in packages]
        asked.append(request)
    sent: dict[str, Any] = dict(member.committing(*adds))
    assert member.pending is not None
    sent["admissions"] = [
        Admission(one.user, admit(code, request, member.pending.group))
        for one, request in zip(found, asked, strict=True)
    ]
    return sent


def used(here: Here, code: Code) -> tuple[int, int]:
    def look(connection: Any) -> tuple[int, int]:
        found = tables.code(connection, code.locator)
        assert found is not None
        return found.uses, found.used

    uses: tuple[int, int] = here.server.look(look)
    return uses


# -- the whole way


def test_who_has_the_code_comes_in_and_both_sides_have_proven_it(here: Here) -> None:
    alice, carol = room_of(here, "alice", "carol")
    bob = here.member("bob")
    code = offered(alice)
    request = knocking(bob, code)
    carol.client.forget()
    bob.ask(messages.KNOCK, **request)
    assert len(carol.client.events("group.joining")) == 1
    (found,) = knocks(alice)
    session = bob.client.session
    assert session is not None
    assert (found.locator, found.user, found.name) == (code.locator, session.user, "bob")
    assert (found.body, found.packages) == (request["body"], request["packages"])
    assert found.at == here.server.now()
    alice.read()
    reply = alice.send_commit(let_in(alice, code, found))
    alice.read()
    bob.room = alice.room
    welcome, proof = bob.ask(READ_INBOX).entries
    assert (welcome.kind, proof.kind) == ("welcome", "admit")
    assert (proof.account, proof.sender) == (alice.person.id, alice.identity.device)
    assert [one.seq for one in bob.client.events("inbox.new")] == [1, 2]
    bob.welcomed(welcome.body, bob.tree(reply.epoch), reply.seq)
    assert bob.group is not None
    check_admission(code, request["body"], proof.body, bob.group)
    bob.ask(ACK, upto=2)
    carol.read()
    here.agree(alice, bob, carol)
    assert used(here, code) == (1, 1)
    assert knocks(alice) == []


def test_two_with_the_last_use_at_once(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob"), here.member("carol")
    code = offered(alice)
    requests = [
        (one, one.client.give(messages.KNOCK, **knocking(one, code))) for one in (bob, carol)
    ]
    here.server.settle()
    bob.client.answer(requests[0][1])
    with pytest.raises(refusals.CodeUnknown):
        carol.client.answer(requests[1][1])
    assert names(alice) == ["bob"]


def test_waiting_and_admitted_together_never_exceed_the_uses(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    people = [here.member(name) for name in ("bob", "carol", "dave", "erin")]
    bob, carol, dave, erin = people
    code = offered(alice, uses=2)
    knock(bob, code)
    knock(carol, code)
    with pytest.raises(refusals.CodeUnknown):
        knock(dave, code)
    knock(bob, code)  # again: it is the same one
    alice.read()
    bring(alice, bob)
    with pytest.raises(refusals.CodeUnknown):
        knock(dave, code)
    carol.ask(messages.UNKNOCK, locator=code.locator)
    knock(dave, code)
    with pytest.raises(refusals.CodeUnknown):
        knock(carol, code)
    alice.read()
    bring(alice, dave)
    with pytest.raises(refusals.CodeUnknown):
        knock(erin, code)
    assert used(here, code) == (2, 2)
    offer(alice, code, uses=3)
    knock(erin, code)
    assert used(here, code) == (3, 2)


# -- one answer for a code that opens nothing


def test_a_code_that_is_unknown_ended_or_run_out_is_answered_alike(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    ended, late = offered(alice), offered(alice, hours=1)
    offer(alice, ended, uses=0)
    here.server.wait(HOUR // 1000)
    told = set()
    for code in (Code.new(os.urandom), ended, late):
        with pytest.raises(refusals.CodeUnknown) as caught:
            knock(bob, code)
        told.add((caught.value.code, caught.value.text, caught.value.field))
    assert len(told) == 1


def test_a_knock_ends_with_its_code(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob"), here.member("carol")
    code, longer = offered(alice, hours=1), offered(alice, hours=2)
    knock(bob, code)
    knock(carol, longer)
    here.server.wait(HOUR // 1000)
    assert names(alice) == ["carol"]
    alice.read()
    refused(alice, refusals.GroupUninvited, bob)
    here.server.upkeep()
    assert [len(one) for one in here.server.look(consent)] == [0, 1, 1]
    alice.client.forget()
    offer(alice, longer, uses=0)
    assert len(alice.client.events("group.joining")) == 1
    assert here.server.look(consent) == [[], [], []]


def test_a_code_of_who_may_not_add_people_any_more_opens_nothing(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    give(alice, private_policy([alice.person.id], [bob.person.id]))
    bob.read()
    carol, dave = here.member("carol"), here.member("dave")
    code = offered(bob, uses=2)
    knock(carol, code)
    give(alice, private_policy([alice.person.id]))
    assert knocks(alice) == []
    with pytest.raises(refusals.CodeUnknown):
        knock(dave, code)
    refused(alice, refusals.GroupUninvited, carol)
    # Taken over by somebody who may, it works again.
    offer(alice, code, uses=2)
    assert names(alice) == ["carol"]


def test_nor_does_one_of_who_has_revoked_the_device(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    give(alice, private_policy([alice.person.id], [bob.person.id]))
    bob.read()
    code = offered(bob)
    bob.ask(APPEND, after=1, entries=bob.person.revoke(1))
    here.logs[bob.person.id] = bob.person.log
    with pytest.raises(refusals.CodeUnknown):
        knock(here.member("carol"), code)


def test_a_room_that_is_put_away_or_left_by_all_is_not_entered(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, code = here.member("bob"), offered(alice)
    here.server.change(lambda connection: rooms.set_archived(connection, alice.room, 1))
    with pytest.raises(refusals.CodeUnknown):
        knock(bob, code)
    here.server.change(lambda connection: rooms.set_archived(connection, alice.room, None))
    alice.ask(LEAVE, room=alice.room)
    with pytest.raises(refusals.CodeUnknown):
        knock(bob, code)


def test_a_time_that_is_past_ends_a_code(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    code = offered(alice)
    offer(alice, code, uses=1, hours=0)
    assert here.server.look(consent)[1] == []


def test_trying_codes_is_slow(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    code = offered(alice)
    for _ in range(limits.KNOCKS):
        with pytest.raises(refusals.CodeUnknown):
            knock(bob, Code.new(os.urandom))
    with pytest.raises(refusals.RateLimited):
        knock(bob, code)
    here.server.wait(3_600 / limits.KNOCKS_PER_HOUR)
    knock(bob, code)


# -- offering


def test_a_code_is_one_rooms_and_anybody_who_may_add_people_changes_it(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    give(alice, private_policy([alice.person.id], [bob.person.id]))
    bob.read()
    code = offered(alice, uses=3)
    for name in ("carol", "dave", "erin"):
        knock(here.member(name), code)
    bob.client.forget()
    offer(bob, code, uses=2)
    assert len(bob.client.events("group.joining")) == 1
    assert names(alice) == ["carol", "dave"], "who came first waits on"
    mallory = here.member("mallory")
    mallory.create()
    for uses in (0, 1):
        with pytest.raises(refusals.CodeTaken):
            offer(mallory, code, uses=uses)
    assert used(here, code) == (2, 0)


def test_a_room_has_few_codes_and_none_for_longer_than_ninety_days(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    found = [offered(alice) for _ in range(limits.ROOM_CODES)]
    with pytest.raises(refusals.CodesMax):
        offered(alice)
    offer(alice, found[0], uses=5)
    offer(alice, found[1], uses=0)
    last = offered(alice, hours=24 * 1_000)
    here.server.wait(HOUR // 1000)
    offered(alice)  # of those that have ended none counts
    for code in found[:-2]:
        offer(alice, code)
    with pytest.raises(refusals.CodesMax):
        offer(alice, found[-1])
    here.server.wait(limits.INVITE_SECONDS_MAX - HOUR // 1000)
    with pytest.raises(refusals.CodeUnknown):
        knock(here.member("bob"), last)


@pytest.mark.parametrize(
    "wrong",
    [
        {"uses": limits.INVITE_USES_MAX + 1},
        {"uses": -1},
        {"locator": bytes(limits.CODE_LOCATOR_BYTES - 1)},
        {"locator": bytes(limits.CODE_LOCATOR_BYTES + 1)},
    ],
)
def test_offers_have_bounds(here: Here, wrong: dict[str, Any]) -> None:
    alice = room_of(here, "alice")[0]
    good = {"room": alice.room, "locator": b"locator!", "uses": limits.INVITE_USES_MAX}
    alice.ask(messages.OFFER, **good, until=2**62)
    with pytest.raises((ProtocolError, refusals.Refusal)) as caught:
        alice.ask(messages.OFFER, **{**good, **wrong}, until=2**62)
    assert caught.value.code == "LC-ARGS"


# -- knocking


def test_key_packages_are_of_ones_own_devices_in_force_one_each(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob", devices=2), here.member("carol")
    bob.ask(APPEND, after=2, entries=bob.person.revoke(2))
    here.logs[bob.person.id] = bob.person.log
    code = offered(alice)
    good = knocking(bob, code)
    mine, revoked = good["packages"][0], fresh(bob, 2).package.encode()
    theirs = fresh(carol).package.encode()
    for number, packages in (
        (2, [mine, revoked]),
        (1, [theirs]),
        (2, [mine, fresh(bob).package.encode()]),
        (1, [mine[:-1] + b"x"]),
        (1, [b"junk"]),
    ):
        with pytest.raises(refusals.KeyPackageBad) as caught:
            bob.ask(messages.KNOCK, **{**good, "packages": packages})
        assert f"package {number} " in caught.value.text
    assert here.server.look(consent)[2] == []
    bob.ask(messages.KNOCK, **good)


def test_knocks_have_bounds(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    code = offered(alice)
    good = knocking(bob, code)
    for wrong in (
        {"body": b""},
        {"body": bytes(limits.CODE_PROOF_BYTES + 1)},
        {"packages": []},
        {"packages": good["packages"] * (limits.KEY_PACKAGES_AT_ONCE + 1)},
        {"packages": [bytes(limits.KEY_PACKAGE_BYTES + 1)]},
    ):
        with pytest.raises((ProtocolError, refusals.Refusal)) as caught:
            bob.ask(messages.KNOCK, **{**good, **wrong})
        assert caught.value.code == "LC-ARGS"
    bob.ask(messages.KNOCK, **{**good, "body": bytes(limits.CODE_PROOF_BYTES)})


def test_only_a_proven_device_of_somebody_outside_knocks(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    code = offered(alice)
    with pytest.raises(refusals.AlreadyMember):
        knock(bob, code)
    carol = here.member("carol")
    unproven = Client(here.server)
    unproven.login("carol")
    with pytest.raises(refusals.DeviceUnproven):
        unproven.ask(messages.KNOCK, **knocking(carol, code))


def test_a_proof_that_goes_while_the_packages_are_checked_is_none(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    code = offered(alice)
    sent = knocking(bob, code)
    # In one group of the writer, before the knock and after its packages were looked at.
    here.server.database.call(
        lambda connection: connection.execute(identities.proven_devices.delete())
    )
    request = bob.client.give(messages.KNOCK, **sent)
    here.server.settle()
    with pytest.raises(refusals.DeviceUnproven):
        bob.client.answer(request)
    assert here.server.look(consent)[2] == []


def test_nobody_waits_everywhere_nor_with_a_place_in_no_room(here: Here) -> None:
    alice, bob = here.member("alice"), here.member("bob")
    codes = []
    for _ in range(limits.KNOCKS_WAITING + 1):
        alice.create()
        codes.append((alice.room, offered(alice)))
    for _, code in codes[:-1]:
        here.server.wait(3_600 / limits.KNOCKS_PER_HOUR)
        knock(bob, code)
    here.server.wait(3_600 / limits.KNOCKS_PER_HOUR)
    room, code = codes[-1]
    alice.room = room
    offer(alice, code, hours=9)
    with pytest.raises(refusals.KnocksMax):
        knock(bob, code)
    bob.ask(messages.UNKNOCK, locator=codes[0][1].locator)
    bob.ask(messages.UNKNOCK, locator=codes[0][1].locator)  # harmless
    here.server.wait(3_600 / limits.KNOCKS_PER_HOUR)
    knock(bob, code)
    session = bob.client.session
    assert session is not None

    def fill(connection: Any) -> None:
        for number in range(limits.ROOMS_JOINED):
            made = rooms.create(
                connection,
                kind="room",
                name=f"full{number}",
                access="public",
                posting="everyone",
                topic="",
                by=session.user,
                now=0,
            )
            rooms.add(connection, made.id, session.user, RoomRole.OWNER, 0)
            here.server.hub.enter(session.user, made.id)

    here.server.change(fill)
    here.server.wait(3_600 / limits.KNOCKS_PER_HOUR)
    with pytest.raises(refusals.RoomsMax):
        knock(bob, code)


def test_one_waits_once_at_a_room_whichever_code_one_has(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    first, second = offered(alice), offered(alice)
    knock(bob, first)
    knock(bob, second)
    assert [one.locator for one in knocks(alice)] == [second.locator]
    bob.ask(messages.UNKNOCK, locator=first.locator)
    assert len(knocks(alice)) == 1
    knock(here.member("carol"), first)  # its use is free again


def test_a_knock_is_refused_by_members_and_forgotten_with_a_revoked_device(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob"), here.member("carol", devices=2)
    code = offered(alice, uses=2)
    for one in (bob, carol):
        knock(one, code)
    session = bob.client.session
    assert session is not None
    alice.ask(messages.REFUSE, room=alice.room, user=session.user)
    assert names(alice) == ["carol"]
    alice.client.forget()
    carol.ask(APPEND, after=2, entries=carol.person.revoke(2))
    here.logs[carol.person.id] = carol.person.log
    assert names(alice) == []
    assert len(alice.client.events("group.joining")) == 1


def test_many_who_knock_are_told_page_by_page(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    people = [here.member(name, devices=12) for name in ("bob", "carol", "dave")]
    code = offered(alice, uses=3)
    for one in people:
        sent = knocking(one, code)
        sent["packages"] = [fresh(one, number).package.encode() for number in range(1, 13)]
        one.ask(messages.KNOCK, **sent)
    found, after, pages = [], 0, 0
    while True:
        page = alice.ask(messages.JOINERS, room=alice.room, after=after)
        found += [one.name for one in page.knocks]
        pages += 1
        if not page.more:
            break
        after = page.knocks[-1].user
    assert (found, pages) == (["bob", "carol", "dave"], 3)


# -- the proof that comes with a welcome


def test_a_proof_is_for_those_whom_the_commit_adds_one_for_each(here: Here) -> None:
    alice, carol = room_of(here, "alice", "carol")
    bob = here.member("bob")
    code = offered(alice)
    knock(bob, code)
    alice.read()
    (found,) = knocks(alice)
    sent = let_in(alice, code, found)
    (admission,) = sent["admissions"]
    session = carol.client.session
    assert session is not None
    before = kept(here)
    for wrong in ([admission, admission], [Admission(session.user, b"x")], [Admission(99, b"x")]):
        with pytest.raises(refusals.GroupRefused):
            alice.send_commit({**sent, "admissions": wrong})
        assert kept(here) == before
    for wrong in (
        [Admission(found.user, b"")],
        [Admission(found.user, bytes(limits.CODE_PROOF_BYTES + 1))],
        [admission] * (limits.ADMISSIONS_AT_ONCE + 1),
    ):
        with pytest.raises((ProtocolError, refusals.Refusal)) as caught:
            alice.send_commit({**sent, "admissions": wrong})
        assert caught.value.code == "LC-ARGS"
    alice.send_commit(
        {**sent, "admissions": [Admission(found.user, bytes(limits.CODE_PROOF_BYTES))]}
    )


def test_where_the_proof_has_no_place_nobody_is_added(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    code = offered(alice)
    knock(bob, code)
    alice.read()

    def fill(connection: Any) -> None:
        for number in range(limits.INBOX_WELCOMES - 1):
            kind = (inboxes.WELCOME, inboxes.ADMIT)[number % 2]
            inboxes.deliver(connection, bob.identity, kind, None, b"w", 0)

    here.server.change(fill)
    (found,) = knocks(alice)
    sent = let_in(alice, code, found)
    before = kept(here), here.server.look(consent)
    with pytest.raises(refusals.InboxFull):
        alice.send_commit(sent)
    assert (kept(here), here.server.look(consent)) == before
    sent["admissions"] = []
    alice.send_commit(sent)


def test_notes_never_push_a_proof_out(here: Here) -> None:
    bob = here.member("bob")

    def fill(connection: Any) -> None:
        inboxes.deliver(connection, bob.identity, inboxes.ADMIT, None, b"proof", 0)
        for _ in range(limits.INBOX_NOTES + 5):
            inboxes.deliver(connection, bob.identity, "verify", None, b"note", 0)

    here.server.change(fill)
    page = bob.ask(READ_INBOX)
    assert (page.entries[0].kind, page.dropped) == ("admit", 5)


def test_a_plain_room_has_no_codes(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    alice.room = alice.ask(CREATE, name="ops").room
    with pytest.raises(refusals.RoomPlain):
        offered(alice)
