"""What is said when somebody is removed."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.moderation import rules
from lairchat.model import limits
from lairchat.model.text import display_safe


@given(st.text(max_size=4 * limits.REASON_CHARS))
def test_a_reason_is_one_safe_line(text):
    reason = rules.clean_reason(text)
    assert len(reason) <= limits.REASON_CHARS
    assert display_safe(reason) == reason


def test_farewells():
    assert rules.farewell("alice", "ops", "banned", "") == "alice banned you from #ops"
    assert rules.farewell("alice", "ops", "removed", "spam") == "alice removed you from #ops: spam"
