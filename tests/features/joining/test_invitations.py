"""Invitations into encrypted rooms: who may, who is asked, and that nobody is added who has not agreed."""

from typing import Any

import pytest

from lairchat.features.bans import tables as bans
from lairchat.features.delivery.messages import LEAVE
from lairchat.features.identities.messages import APPEND
from lairchat.features.joining import messages
from lairchat.features.muting.messages import MUTE
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, INVITE, JOIN, MINE
from lairchat.mls.objects import Add
from lairchat.model import limits, refusals
from lairchat.model.roles import RoomRole
from lairchat.storage.schema import metadata
from lairchat.trust.policy import Role, private_policy
from tests.features.delivery.test_commits import kept, room_of
from tests.features.delivery.test_speaking import give
from tests.features.delivery.world import Here, Member
from tests.harness import Client

DAY = 24 * 3_600


def invite(member: Member, name: str) -> Any:
    return member.ask(messages.INVITE, room=member.room, name=name)


def invitations(member: Member) -> list[tuple[int, str]]:
    return [(one.room, one.by) for one in member.ask(messages.INVITATIONS).invitations]


def joiners(member: Member) -> list[tuple[str, str]]:
    return [(one.name, one.by) for one in member.ask(messages.JOINERS, room=member.room).people]


def packages(*others: Member) -> list[Add]:
    """Return Adds, whether or not anybody has agreed."""
    for other in others:
        other.package = other.person.package(other.number)
    return [Add(other.package.package) for other in others]


def refused(member: Member, kind: type[refusals.Refusal], *others: Member) -> Any:
    """Hold the server to refusing a commit that brings people in, and to changing nothing."""
    before = kept(member.here), member.here.server.look(consent)
    sent = member.committing(*packages(*others))
    with pytest.raises(kind) as caught:
        member.send_commit(sent)
    assert (kept(member.here), member.here.server.look(consent)) == before
    member.pending = None
    return caught.value


def consent(connection: Any) -> list[Any]:
    """Return all that is kept of who has agreed to come."""
    names = ("invitations", "group_codes", "group_knocks")
    return [
        connection.execute(
            metadata.tables[name].select().order_by(*metadata.tables[name].primary_key)
        ).all()
        for name in names
    ]


def bring(member: Member, *others: Member) -> None:
    """Add people who have agreed; they join by their welcomes."""
    reply = member.commit(*packages(*others))
    for other in others:
        other.room = member.room
        other.enter(reply)


# -- the whole way


def test_who_accepts_is_added_and_the_invitation_is_used_up(here: Here) -> None:
    alice, carol = room_of(here, "alice", "carol")
    bob = here.member("bob")
    other = Client(here.server)
    other.login("bob")
    invite(alice, "bob")
    for client in (bob.client, other):
        (event,) = client.events("group.invited")
        assert (event.room, event.by) == (alice.room, "alice")
    assert invitations(bob) == [(alice.room, "alice")]
    assert joiners(alice) == []
    refused(alice, refusals.GroupUninvited, bob)
    carol.client.forget()
    bob.ask(messages.ACCEPT, room=alice.room)
    assert [one.room for one in carol.client.events("group.joining")] == [alice.room]
    assert invitations(bob) == []
    (person,) = alice.ask(messages.JOINERS, room=alice.room).people
    assert (person.name, person.by, person.account) == ("bob", "alice", bob.person.id)
    alice.read()
    bring(alice, bob)
    carol.read()
    here.agree(alice, bob, carol)
    assert here.server.look(consent) == [[], [], []]
    assert joiners(alice) == []


def test_a_commit_names_whoever_has_not_agreed_and_takes_nobodys_consent(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob"), here.member("carol")
    for name in ("bob", "carol"):
        invite(alice, name)
    bob.ask(messages.ACCEPT, room=alice.room)
    refusal = refused(alice, refusals.GroupUninvited, bob, carol)
    assert "carol" in refusal.text
    bring(alice, bob)


def test_a_device_of_somebody_inside_and_a_conversation_need_no_invitation(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    here.append(bob, bob.person.certify(2), 1)
    second = here.member("bob", 2)
    bring(alice, second)
    here.agree(alice, bob, second)
    alice.open(bob)
    bring(alice, bob)
    here.agree(alice, bob)


# -- who may


def test_only_whom_the_signed_policy_lets_add_people_invites_and_looks(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    here.member("dave")
    give(alice, private_policy([alice.person.id], [bob.person.id], Role.MODERATOR))
    for one in (bob, carol):
        one.read()
    # What the server's own table says of roles counts for nothing.
    session = carol.client.session
    assert session is not None
    here.server.change(
        lambda connection: rooms.set_role(connection, carol.room, session.user, RoomRole.OWNER)
    )
    commands: list[tuple[Any, dict[str, Any]]] = [
        (messages.INVITE, {"name": "dave"}),
        (messages.JOINERS, {}),
        (messages.OFFER, {"locator": b"locator!", "uses": 1, "until": 2**62}),
        (messages.REFUSE, {"user": 4}),
    ]
    for command, arguments in commands:
        bob.ask(command, room=bob.room, **arguments)
        with pytest.raises(refusals.Denied):
            carol.ask(command, room=carol.room, **arguments)
    give(alice, private_policy([alice.person.id], [], Role.MODERATOR))
    bob.read()
    for command, arguments in commands:
        with pytest.raises(refusals.Denied):
            bob.ask(command, room=bob.room, **arguments)
    give(alice, private_policy([alice.person.id], [], Role.MEMBER))
    for command, arguments in commands:
        carol.ask(command, room=carol.room, **arguments)


@pytest.mark.parametrize(
    "command", [messages.INVITE, messages.JOINERS, messages.OFFER, messages.REFUSE]
)
def test_outsiders_the_unproven_plain_rooms_and_conversations_are_refused(
    here: Here, command: Any
) -> None:
    alice, _ = room_of(here, "alice", "bob")
    carol = here.member("carol")
    arguments: dict[str, Any] = {
        messages.INVITE: {"name": "carol"},
        messages.JOINERS: {},
        messages.OFFER: {"locator": b"locator!", "uses": 1, "until": 2**62},
        messages.REFUSE: {"user": 3},
    }[command]
    with pytest.raises(refusals.RoomUnknown):
        carol.ask(command, room=alice.room, **arguments)
    with pytest.raises(refusals.RoomUnknown):
        carol.ask(command, room=alice.room + 90, **arguments)
    unproven = Client(here.server)
    unproven.login("alice")
    with pytest.raises(refusals.DeviceUnproven):
        unproven.ask(command, room=alice.room, **arguments)
    plain = alice.ask(CREATE, name="ops").room
    with pytest.raises(refusals.RoomPlain):
        alice.ask(command, room=plain, **arguments)
    with pytest.raises(refusals.NotMember):
        carol.ask(command, room=plain, **arguments)
    unfounded = alice.ask(CREATE, name="", access="private", crypto="mls").room
    with pytest.raises(refusals.GroupMissing):
        alice.ask(command, room=unfounded, **arguments)
    room = alice.room
    here.server.change(lambda connection: rooms.set_archived(connection, room, 1))
    with pytest.raises(refusals.RoomArchived):
        alice.ask(command, room=alice.room, **arguments)
    here.server.change(lambda connection: rooms.set_archived(connection, room, None))
    alice.open(here.member("dave"))
    with pytest.raises(refusals.RoomDirect):
        alice.ask(command, room=alice.room, **arguments)


def test_who_has_no_keys_is_a_member_or_kept_out_is_not_invited(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    Client(here.server).register("eve")
    for name, kind in (
        ("nobody", refusals.UserUnknown),
        ("eve", refusals.IdentityUnknown),
        ("bob", refusals.AlreadyMember),
        ("alice", refusals.AlreadyMember),
    ):
        with pytest.raises(kind):
            invite(alice, name)
    carol = here.member("carol")
    session = carol.client.session
    assert session is not None

    def ban(connection: Any) -> None:
        bans.keep_ban(
            connection, network=None, user=session.user, reason="", by=None, now=0, until=None
        )

    here.server.change(ban)
    with pytest.raises(refusals.IdentityUnknown):
        invite(alice, "carol")


# -- the bounds of room.invite


def test_repeating_an_invitation_rings_once(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    for _ in range(3):
        invite(alice, "bob")
    assert len(bob.client.events("group.invited")) == 1


def test_invitations_of_one_member_to_another_are_few_whatever_the_rooms(here: Here) -> None:
    alice, bob = here.member("alice"), here.member("bob")
    made = []
    for number in range(limits.INVITATIONS_WAITING):
        if number % 2:
            made.append(alice.ask(CREATE, name=f"room{number}").room)
            alice.ask(INVITE, room=made[-1], name="bob")
        else:
            made.append(alice.create())
            invite(alice, "bob")
    alice.create()
    with pytest.raises(refusals.InvitedEnough):
        invite(alice, "bob")
    # One that has an answer waits no more.
    bob.ask(messages.ACCEPT, room=made[0])
    invite(alice, "bob")
    for room in made[:3:2]:
        bob.ask(messages.DECLINE, room=room)
    bob.ask(JOIN, name="room1")
    bob.ask(JOIN, name="room3")
    for _ in range(limits.INVITATIONS_A_DAY - limits.INVITATIONS_WAITING - 1):
        alice.create()
        invite(alice, "bob")
        bob.ask(messages.DECLINE, room=alice.room)
    alice.create()
    with pytest.raises(refusals.InvitedEnough) as caught:
        invite(alice, "bob")
    assert caught.value.retry_after
    here.server.wait(DAY / limits.INVITATIONS_A_DAY)
    invite(alice, "bob")


def test_invitations_of_somebody_muted_are_not_heard_of(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    give(alice, private_policy([alice.person.id], [], Role.MEMBER))
    bob.read()
    carol = here.member("carol")
    carol.ask(MUTE, name="alice")
    invite(alice, "carol")
    assert (carol.client.events("group.invited"), invitations(carol)) == ([], [])
    invite(bob, "carol")
    assert [one.by for one in carol.client.events("group.invited")] == ["bob"]
    assert invitations(carol) == [(alice.room, "bob")]


# -- answers


def test_who_is_not_invited_learns_nothing_of_a_room(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    carol = here.member("carol")
    plain = alice.ask(CREATE, name="attic").room
    alice.ask(INVITE, room=plain, name="carol")
    for room in (alice.room, plain, alice.room + 90):
        with pytest.raises(refusals.RoomUnknown):
            carol.ask(messages.ACCEPT, room=room)
        carol.ask(messages.DECLINE, room=room)
    assert [one[0] for one in here.server.look(consent)[0]] == [plain], "declined another's"
    assert invitations(carol) == []
    with pytest.raises(refusals.AlreadyMember):
        bob.ask(messages.ACCEPT, room=bob.room)
    assert bob.client.events("group.joining") == []


def test_only_a_proven_device_accepts(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    here.member("bob")
    invite(alice, "bob")
    unproven = Client(here.server)
    unproven.login("bob")
    assert unproven.ask(messages.INVITATIONS).invitations
    with pytest.raises(refusals.DeviceUnproven):
        unproven.ask(messages.ACCEPT, room=alice.room)


def test_who_is_in_as_many_rooms_as_one_may_be_does_not_accept(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    invite(alice, "bob")
    session = bob.client.session
    assert session is not None

    def fill(connection: Any) -> None:
        for number in range(limits.ROOMS_JOINED - rooms.joined(connection, session.user)):
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
    with pytest.raises(refusals.RoomsMax):
        bob.ask(messages.ACCEPT, room=alice.room)


def test_declining_ends_it_also_after_accepting(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    invite(alice, "bob")
    bob.ask(messages.ACCEPT, room=alice.room)
    alice.client.forget()
    bob.ask(messages.ACCEPT, room=alice.room)  # nothing new
    assert alice.client.events("group.joining") == []
    bob.ask(messages.DECLINE, room=alice.room)
    assert len(alice.client.events("group.joining")) == 1
    assert joiners(alice) == []
    refused(alice, refusals.GroupUninvited, bob)


# -- what ends an invitation


def test_a_member_who_may_add_people_turns_somebody_away(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    session = bob.client.session
    assert session is not None
    invite(alice, "bob")
    bob.ask(messages.ACCEPT, room=alice.room)
    alice.ask(messages.REFUSE, room=alice.room, user=session.user)
    assert (joiners(alice), invitations(bob)) == ([], [])
    refused(alice, refusals.GroupUninvited, bob)
    alice.client.forget()
    alice.ask(messages.REFUSE, room=alice.room, user=session.user)
    assert alice.client.events("group.joining") == []


def test_the_word_of_who_may_not_add_people_any_more_counts_for_nothing(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    give(alice, private_policy([alice.person.id], [bob.person.id]))
    bob.read()
    carol, dave = here.member("carol"), here.member("dave")
    for name in ("carol", "dave"):
        invite(bob, name)
    carol.ask(messages.ACCEPT, room=alice.room)
    give(alice, private_policy([alice.person.id]))
    assert (joiners(alice), invitations(dave)) == ([], [])
    with pytest.raises(refusals.RoomUnknown):
        dave.ask(messages.ACCEPT, room=alice.room)
    refused(alice, refusals.GroupUninvited, carol)
    # Another's word does.
    invite(alice, "carol")
    carol.ask(messages.ACCEPT, room=alice.room)
    bring(alice, carol)


def test_nor_that_of_who_is_about_to_go_or_whose_device_is_revoked(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    give(alice, private_policy([alice.person.id], [bob.person.id, carol.person.id]))
    for one in (bob, carol):
        one.read()
    people = [here.member("dave"), here.member("erin")]
    for by, guest in zip((bob, carol), people, strict=True):
        invite(by, guest.person.name)
        guest.ask(messages.ACCEPT, room=alice.room)
    assert joiners(alice) == [("dave", "bob"), ("erin", "carol")]
    bob.ask(LEAVE, room=bob.room)
    carol.ask(APPEND, after=1, entries=carol.person.revoke(1))
    here.logs[carol.person.id] = carol.person.log
    assert joiners(alice) == []
    alice.read()
    refused(alice, refusals.GroupUninvited, people[0])


def test_an_invitation_stands_for_thirty_days_accepted_or_not(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob, carol = here.member("bob"), here.member("carol")
    plain = alice.ask(CREATE, name="attic").room
    for name in ("bob", "carol"):
        invite(alice, name)
        alice.ask(INVITE, room=plain, name=name)
    bob.ask(messages.ACCEPT, room=alice.room)
    here.server.wait(limits.INVITATION_SECONDS)
    here.server.upkeep()
    assert len(here.server.look(consent)[0]) == 4
    here.server.wait(1)
    here.server.upkeep()
    assert [one[0] for one in here.server.look(consent)[0]] == [plain, plain]
    assert (joiners(alice), invitations(carol)) == ([], [])


def test_who_is_banned_for_good_waits_nowhere(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    bob = here.member("bob")
    session = bob.client.session
    assert session is not None
    invite(alice, "bob")
    bob.ask(messages.ACCEPT, room=alice.room)
    kernel = here.server.kernel
    now = here.server.now()

    def ban(connection: Any, *, banned: bool) -> Any:
        return kernel.shut_out(connection, session.user, now, banned=banned)

    here.server.change(lambda connection: ban(connection, banned=False))
    assert joiners(alice) == [("bob", "alice")]
    alice.client.forget()
    for after in here.server.change(lambda connection: ban(connection, banned=True)):
        after(here.server.hub)
    assert len(alice.client.events("group.joining")) == 1
    assert here.server.look(consent) == [[], [], []]


def test_who_waits_is_told_page_by_page(here: Here) -> None:
    alice = room_of(here, "alice")[0]
    names = ("bob", "carol", "dave")
    people = [here.member(name) for name in names]
    for one in people:
        invite(alice, one.person.name)
        one.ask(messages.ACCEPT, room=alice.room)
    session = people[0].client.session
    assert session is not None
    page = alice.ask(messages.JOINERS, room=alice.room, after=session.user)
    assert [one.name for one in page.people] == ["carol", "dave"]
    assert [room.room for room in people[0].ask(MINE).rooms if room.crypto == "mls"] == []
