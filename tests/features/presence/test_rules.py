"""How presence is cut into events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.presence import rules


@given(st.integers(0, 3 * rules.PEOPLE_PER_EVENT))
def test_nobody_is_left_out_and_no_event_is_too_long(count):
    people = list(range(count))
    parts = rules.parts(people)
    assert [one for part in parts for one in part] == people
    assert all(0 < len(part) <= rules.PEOPLE_PER_EVENT for part in parts)


@pytest.mark.parametrize("name", ["COALESCE_SECONDS", "ROOM_CONNECTIONS", "PEOPLE_PER_EVENT"])
def test_the_bounds_are_positive(name):
    assert getattr(rules, name) > 0
