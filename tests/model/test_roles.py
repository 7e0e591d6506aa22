"""Roles compare by rank and are written as words."""

import pytest

from lairchat.model.roles import RoomRole, ServerRole


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        (RoomRole, ["guest", "member", "moderator", "admin", "owner"]),
        (ServerRole, ["guest", "user", "moderator", "admin", "owner"]),
    ],
)
def test_the_ladder_rises_in_this_order(ladder, words):
    assert [role.word for role in sorted(ladder)] == words
    assert [int(role) for role in ladder] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("role", [*RoomRole, *ServerRole])
def test_words_lead_back_to_roles(role):
    assert type(role).from_word(role.word) is role


@pytest.mark.parametrize("word", ["", "Owner", "OWNER", "king", "user"])
def test_other_words_are_no_roles(word):
    with pytest.raises(ValueError, match="there are guest, member, moderator, admin, owner"):
        RoomRole.from_word(word)
