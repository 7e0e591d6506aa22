"""Inputs are values with documented classes; what the network side hands in is listed."""

import pytest

from lairchat.client import inputs, inputs_sealed

BOTH = vars(inputs) | vars(inputs_sealed)
NAMES = [*inputs.__all__, *inputs_sealed.__all__]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_documented_value(name: str) -> None:
    value = BOTH[name]
    assert value.__doc__
    assert value.fields_ == value.__slots__ or issubclass(value, inputs.Input)


def test_every_event_is_an_input() -> None:
    helpers = {"Device", "Invite", "Member", "Message", "OutboxItem", "RoomInfo", "RoomListing"}
    kinds = {name for name in NAMES if issubclass(BOTH[name], inputs.Input)}
    assert set(NAMES) - kinds == helpers
