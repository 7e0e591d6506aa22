"""The mapping that shares what did not change is a mapping, and nothing in it changes."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.parts import Parts

keys = st.tuples(st.integers(0, 2), st.integers(-1, 100))
values = st.binary(max_size=2)
changes = st.lists(st.dictionaries(keys, st.none() | values))


@given(st.dictionaries(keys, values), changes)
def test_it_is_what_a_dictionary_would_be(first: dict, changes: list[dict]) -> None:
    expected = dict(first)
    parts = Parts(first)
    for change in changes:
        before, old = parts, dict(expected)
        parts = before.replaced(change)
        for key, value in change.items():
            expected.pop(key, None)
            if value is not None:
                expected[key] = value
        assert dict(before) == old
        assert dict(parts) == expected
        assert len(parts) == len(expected)
        assert parts == Parts(expected)
        same = {key for key in expected.keys() & old.keys() if expected[key] is old[key]}
        assert set(parts.differing(before)) == (expected.keys() | old.keys()) - same
        assert sorted(parts.differing(before)) == sorted(before.differing(parts))


def test_a_change_copies_one_table_of_many() -> None:
    """What makes a message cost the same in an epoch of two senders and in one of a thousand."""
    parts = Parts({(purpose, leaf): bytes(1) for purpose in range(3) for leaf in range(1000)})
    changed = parts.replaced({(1, 500): b"new", (2, 500): None})
    copied = [
        len(new) for new, old in zip(changed._tables, parts._tables, strict=True) if new is not old
    ]
    assert copied == [92]
    assert sorted(changed.differing(parts)) == [(1, 500), (2, 500)]
