"""Inputs are values with documented classes; what the network side hands in is listed."""

import pytest

from lairchat.client import inputs


@pytest.mark.parametrize("name", inputs.__all__)
def test_each_is_a_documented_value(name: str) -> None:
    value = vars(inputs)[name]
    assert value.__doc__
    assert value.fields_ == value.__slots__ or issubclass(value, inputs.Input)


def test_every_event_is_an_input() -> None:
    helpers = {"Member", "Message", "OutboxItem", "RoomInfo", "RoomListing"}
    kinds = {name for name in inputs.__all__ if issubclass(vars(inputs)[name], inputs.Input)}
    assert set(inputs.__all__) - kinds == helpers
