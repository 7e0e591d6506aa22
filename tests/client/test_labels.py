"""Why an encrypted room is held: each cause is said, with the next step."""

import pytest

from lairchat.client.sealed.labels import hold_text
from lairchat.model import faults, limits
from lairchat.trust.locks import Cause, Hold


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("name", ["bob", "", "b" * limits.NAME_CHARS_MAX])
def test_each_cause_is_said_with_a_next_step(cause: Cause, name: str) -> None:
    text = hold_text(Hold(cause, name))
    why, _, advice = text.partition(". ")
    assert why[0].islower()
    assert advice[0].isupper()
    assert "{" not in text
    # As it reads where sending is refused: in one sentence and its advice.
    refusal = faults.RoomHeld(why=why, advice=advice)
    assert refusal.code == "LC-HELD"
    assert refusal.text == f"held: {text}"


def test_a_forked_room_sends_nobody_to_the_server_for_comfort() -> None:
    """The server is who shows different histories: others have to be asked by another way."""
    text = hold_text(Hold(Cause.ROOM_FORKED))
    assert "different histories of this room" in text
    assert "by another way" in text
