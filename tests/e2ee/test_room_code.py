"""Digits that the members of one epoch have in common."""

from lairchat.e2ee.room_code import room_code
from tests.trust.rooms import Person, Room


def test_all_in_one_epoch_have_the_same_and_those_of_another_have_others() -> None:
    alice, bob = Person("alice"), Person("bob")
    room = Room(alice, bob)
    before = room_code(room.group(alice))
    assert room_code(room.group(bob)) == before
    assert len(before) == 6
    assert all(len(group) == 5 and group.isdigit() for group in before)
    left_behind = room.group(bob)
    room.add(alice, Person("carol"))
    assert room_code(room.group(alice)) == room_code(room.group(bob)) != before
    assert room_code(left_behind) == before
