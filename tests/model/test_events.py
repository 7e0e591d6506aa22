"""The numbers of event classes stand in the hash chain: they never change."""

from lairchat.model.events import COUNTED, SERVER_ONLY, STORED, EventClass


def test_the_numbers_are_fixed():
    assert {event.name: int(event) for event in EventClass} == {
        "APP": 1,
        "COMMIT": 2,
        "PROPOSAL": 3,
        "EPHEMERAL": 4,
        "TOMBSTONE": 5,
        "STATE": 6,
    }


def test_everything_but_ephemera_is_stored():
    assert set(EventClass) - STORED == {EventClass.EPHEMERAL}


def test_only_what_members_say_counts_as_unread():
    assert {EventClass.APP} == COUNTED


def test_only_the_server_makes_statements():
    assert {EventClass.STATE} == SERVER_ONLY
