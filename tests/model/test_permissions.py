"""Every cell of the rule tables, against grids that were written by hand and not computed."""

from itertools import product

import pytest

from lairchat.model.permissions import (
    SERVER_RANKED,
    Access,
    Crypto,
    Posting,
    RoomAction,
    ServerAction,
    may_room,
    may_server,
)
from lairchat.model.refusals import (
    REFUSALS,
    AlreadyMember,
    Denied,
    NotMember,
    RoomArchived,
    RoomDirect,
    RoomEncrypted,
    RoomLegacy,
    RoomReadOnly,
    RoomUnknown,
)
from lairchat.model.roles import RoomRole, ServerRole

# One letter for each outcome.
OUTCOMES = {
    "y": None,
    "D": Denied,
    "N": NotMember,
    "U": RoomUnknown,
    "R": RoomReadOnly,
    "A": AlreadyMember,
    "2": RoomDirect,
    "E": RoomEncrypted,
    "L": RoomLegacy,
}
ROOM_ROLES = [None, *RoomRole]  # in this order stand rows and columns below
ACTIONS = list(RoomAction)

# Actions on the room itself. Columns: the actor is outside, guest, member, moderator, admin, owner.
PUBLIC = {
    "read": "NyyyyY",
    "join": "yyyyyY",
    "leave": "NyyyyY",
    "topic": "NDDyyY",
    "unban": "NDDyyY",
    "list-members": "NyyyyY",
    "step-down": "NyyyyY",
}
POSTING = {
    "everyone": "NyyyyY",
    "members": "NRyyyY",
    "moderators": "NRRyyY",
}

# Actions on a person. Rows: the actor; columns: the person is outside, guest, ... owner.
ON_PEOPLE = {
    "kick": """
        NNNNNN
        DDDDDD
        DDDDDD
        NyyDDD
        NyyyDD
        NyyyyY
    """,
    "ban": """
        NNNNNN
        DDDDDD
        DDDDDD
        yyyDDD
        yyyyDD
        yyyyyY
    """,
    "invite": """
        NNNNNN
        DDDDDD
        yAAAAA
        yAAAAA
        yAAAAA
        yAAAAA
    """,
}
# SET_ROLE by actor: rows are the person's role now, columns the role to give (none: any at all).
SET_ROLE = {
    RoomRole.ADMIN: """
        NNNNNN
        yyyyDD
        yyyyDD
        yyyyDD
        DDDDDD
        DDDDDD
    """,
    RoomRole.OWNER: """
        NNNNNN
        yyyyyY
        yyyyyY
        yyyyyY
        yyyyyY
        yyyyyY
    """,
}


# What the other kinds of rooms say to their members, whatever their roles; "." is as in public rooms.
KINDS = {
    "legacy": {
        "post": "L", "topic": "L", "invite": "L", "set-role": "L", "step-down": "L",
        "read": ".", "join": ".", "leave": ".", "list-members": ".",
        "kick": ".", "ban": ".", "unban": ".",
    },
    "legacy direct": {
        "post": "L", "topic": "2", "invite": "2", "set-role": "2", "step-down": "2",
        "read": ".", "join": "2", "leave": "2", "list-members": ".",
        "kick": "2", "ban": "2", "unban": "2",
    },
    "encrypted": {
        "post": "E", "topic": "E", "invite": "E", "set-role": "E", "step-down": "E",
        "read": ".", "join": "E", "leave": "E", "list-members": ".",
        "kick": "E", "ban": "E", "unban": "E",
    },
}  # fmt: skip


def kind_of(access, *, direct, encrypted):
    if encrypted:
        return "encrypted"
    if direct:
        return "legacy direct"
    return "legacy" if access == "private" else "public"


def cell(grid: str, row: int, column: int) -> object:
    return OUTCOMES[grid.split()[row][column].replace("Y", "y")]


def expected(*, action, actor, access, posting, target, granted, invited, direct, encrypted):
    who, whom = ROOM_ROLES.index(actor), ROOM_ROLES.index(target)
    if actor is None and (direct or (access == "private" and not invited)):
        return RoomUnknown
    if actor is None and access == "private" and action == "join":
        return RoomEncrypted if encrypted else RoomLegacy  # no invitation leads in by name
    kind = kind_of(access, direct=direct, encrypted=encrypted)
    if actor is not None and kind in KINDS and KINDS[kind][action] != ".":
        return OUTCOMES[KINDS[kind][action]]
    if action in PUBLIC:
        return cell(PUBLIC[action], 0, who)
    if action == "post":
        return cell(POSTING[posting], 0, who)
    if action in ON_PEOPLE:
        return cell(ON_PEOPLE[action], who, whom)
    if actor is None:
        return NotMember
    if actor in SET_ROLE:
        return cell(SET_ROLE[actor], whom, ROOM_ROLES.index(granted))
    return Denied


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("actor", ROOM_ROLES, ids=str)
def test_every_cell_of_the_room_table(action, actor):
    flags = product((False, True), repeat=3)
    names = ("access", "posting", "target", "granted", "invited", "direct", "encrypted")
    for *values, more in product(Access, Posting, ROOM_ROLES, ROOM_ROLES, flags):
        case = dict(zip(names, (*values, *more), strict=True))
        outcome = may_room(action, actor, **case)
        assert outcome is expected(action=action, actor=actor, **case), case


@pytest.mark.parametrize("action", ACTIONS)
def test_a_private_room_answers_strangers_as_if_it_were_not_there(action):
    for posting, target in product(Posting, ROOM_ROLES):
        outcome = may_room(action, None, access=Access.PRIVATE, posting=posting, target=target)
        assert outcome is RoomUnknown


def test_guests_read_and_leave_but_write_only_where_everyone_does():
    guest, public = RoomRole.GUEST, Access.PUBLIC
    allowed = {
        (action, posting)
        for action, posting in product(RoomAction, Posting)
        if may_room(action, guest, access=public, posting=posting) is None
    }
    always = {
        RoomAction.READ,
        RoomAction.LEAVE,
        RoomAction.LIST_MEMBERS,
        RoomAction.JOIN,
        RoomAction.STEP_DOWN,
    }
    assert allowed == {*product(always, Posting), (RoomAction.POST, Posting.EVERYONE)}


@pytest.mark.parametrize("action", RoomAction)
def test_an_archived_room_is_read_and_left_and_kept_in_order(action):
    """Everything else is as in an open room; what is refused there is refused in the same way."""
    ended = {RoomAction.POST, RoomAction.INVITE, RoomAction.TOPIC}
    for actor, access in product((None, *RoomRole), Access):
        plain = {"access": access, "posting": Posting.MEMBERS, "invited": True}
        openly = may_room(action, actor, **plain)
        archived = may_room(action, actor, **plain, archived=True)
        if actor is None:
            expected = RoomArchived if openly is None else openly
        else:
            expected = RoomArchived if action in ended else openly
        assert archived is expected, (actor, access)


@pytest.mark.parametrize("action", [RoomAction.KICK, RoomAction.BAN, RoomAction.SET_ROLE])
def test_nobody_but_an_owner_reaches_an_equal_or_higher_role(action):
    for actor, target in product(RoomRole, RoomRole):
        if target >= actor and actor is not RoomRole.OWNER:
            outcome = may_room(
                action, actor, access=Access.PUBLIC, posting=Posting.MEMBERS, target=target
            )
            assert outcome is Denied


def test_refusals_can_be_raised_as_they_are():
    for outcome in OUTCOMES.values():
        if outcome is not None:
            assert str(outcome()).startswith(outcome.code)
            assert REFUSALS[outcome.code] is outcome


# Columns: guest, user, moderator, admin, owner.
SERVER = {
    "create-room": "Dyyyy",
    "open-direct": "Dyyyy",
    "create-invite": "DDyyy",
    "revoke-invite": "DDyyy",
    "set-server-role": "DDDyy",
    "govern": "DDDyy",
    "see-all-rooms": "DDDyy",
}


@pytest.mark.parametrize("action", ServerAction)
@pytest.mark.parametrize("role", ServerRole)
def test_every_cell_of_the_server_table(action, role):
    assert may_server(action, role) is cell(SERVER[action], 0, list(ServerRole).index(role))


# Rows: the account's role now; columns: the role to give.
SERVER_ROLES = {
    ServerRole.ADMIN: "yyyDD yyyDD yyyDD DDDDD DDDDD",
    ServerRole.OWNER: "yyyyy yyyyy yyyyy yyyyy yyyyy",
}


@pytest.mark.parametrize("role", ServerRole)
def test_every_cell_of_giving_server_roles(role):
    grid = SERVER_ROLES.get(role, "DDDDD " * 5)
    for (row, target), (column, granted) in product(enumerate(ServerRole), enumerate(ServerRole)):
        outcome = may_server(ServerAction.SET_SERVER_ROLE, role, target=target, granted=granted)
        assert outcome is cell(grid, row, column), (target, granted)


@pytest.mark.parametrize(
    ("action", "least"),
    [
        (ServerAction.GOVERN, ServerRole.ADMIN),
        (ServerAction.REVOKE_INVITE, ServerRole.MODERATOR),
    ],
)
def test_nobody_reaches_an_equal_but_owners(action, least):
    for role, target in product(ServerRole, ServerRole):
        allowed = role >= least and (target < role or role is ServerRole.OWNER)
        refusal = may_server(action, role, target=target)
        assert refusal is (None if allowed else REFUSALS["LC-DENIED"]), (role, target)


def test_a_target_means_nothing_to_the_other_server_actions():
    for action, target in product(set(ServerAction) - SERVER_RANKED, ServerRole):
        assert may_server(action, ServerRole.ADMIN, target=target, granted=target) is None


def test_the_words_of_a_rooms_properties():
    assert [*Access] == ["public", "private"]
    assert [*Posting] == ["everyone", "members", "moderators"]
    assert [*Crypto] == ["plain", "mls"]
