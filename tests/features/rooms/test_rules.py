"""Pure decisions about rooms."""

import pytest

from lairchat.features.rooms import rules
from lairchat.features.rooms.tables import Room
from lairchat.model.ids import RoomId, UserId
from lairchat.model.permissions import RoomAction
from lairchat.model.refusals import (
    Denied,
    LastOwner,
    OnSelf,
    RoomDirect,
    RoomLegacy,
    RoomUnencrypted,
    RoomUnknown,
)
from lairchat.model.roles import RoomRole, ServerRole

OPS = Room(RoomId(1), "room", "ops", "public", "members", "plain", "", 2, UserId(1))


@pytest.mark.parametrize("role", ServerRole)
def test_a_newcomer_is_a_member_unless_a_guest_of_the_server(role):
    expected = RoomRole.GUEST if role is ServerRole.GUEST else RoomRole.MEMBER
    assert rules.role_on_joining(role, servers_own=False) is expected


@pytest.mark.parametrize("role", ServerRole)
def test_in_the_servers_rooms_the_servers_roles_hold(role):
    expected = RoomRole.MEMBER if role is ServerRole.USER else RoomRole[role.name]
    assert rules.role_on_joining(role, servers_own=True) is expected


def test_every_role_has_its_word():
    assert [rules.role_name(role) for role in RoomRole] == [role.word for role in RoomRole]


@pytest.mark.parametrize(
    ("room", "role", "refusal"),
    [
        (OPS._replace(access="private"), None, RoomUnknown),
        (OPS, RoomRole.MEMBER, Denied),
        (OPS._replace(kind="direct"), RoomRole.MEMBER, RoomDirect),
        (OPS._replace(access="private"), RoomRole.OWNER, RoomLegacy),
        (OPS, RoomRole.MODERATOR, None),
    ],
)
def test_the_table_judges_a_room_as_it_stands_in_its_row(room, role, refusal):
    if refusal is None:
        rules.require(RoomAction.TOPIC, room, role)
    else:
        with pytest.raises(refusal):
            rules.require(RoomAction.TOPIC, room, role)


@pytest.mark.parametrize("access", ["public", "private"])
@pytest.mark.parametrize("crypto", ["plain", "mls"])
def test_a_room_for_few_that_the_server_reads_is_from_before_encryption(access, crypto):
    room = OPS._replace(access=access, crypto=crypto)
    assert room.legacy is (access == "private" and crypto == "plain")


def test_no_room_for_few_is_made_that_the_server_reads():
    rules.check_plain("public")
    with pytest.raises(RoomUnencrypted) as caught:
        rules.check_plain("private")
    assert caught.value.field == "$.crypto"


@pytest.mark.parametrize("role", RoomRole)
@pytest.mark.parametrize("owners", [1, 2])
@pytest.mark.parametrize("servers_own", [False, True])
def test_only_the_last_owner_of_peoples_rooms_is_held(role, owners, servers_own):
    if role is RoomRole.OWNER and owners == 1 and not servers_own:
        with pytest.raises(LastOwner):
            rules.require_owner_stays(role, owners=owners, servers_own=servers_own)
    else:
        rules.require_owner_stays(role, owners=owners, servers_own=servers_own)


def test_rooms_of_people_end_with_their_last_member():
    assert rules.is_abandoned(members=0, servers_own=False)
    assert not rules.is_abandoned(members=1, servers_own=False)
    assert not rules.is_abandoned(members=0, servers_own=True)


def test_whoever_steps_down_steps_down():
    rules.require_step_down(RoomRole.ADMIN, RoomRole.ADMIN)
    rules.require_step_down(RoomRole.ADMIN, RoomRole.GUEST)
    with pytest.raises(OnSelf):
        rules.require_step_down(RoomRole.ADMIN, RoomRole.OWNER)
