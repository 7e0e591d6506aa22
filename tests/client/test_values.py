"""Values behave like frozen dataclasses, without importing them."""

import pytest

from lairchat.client.values import Value


class Point(Value):
    x: int
    y: int = 2


class Point3(Point):
    z: int = 3


def test_fields_come_by_position_name_and_default() -> None:
    assert Point(1) == Point(1, 2) == Point(x=1, y=2) == Point(1, y=2)
    assert Point3(1).fields_ == ("x", "y", "z")
    assert repr(Point3(1, z=9)) == "Point3(x=1, y=2, z=9)"


def test_equality_is_by_class_and_fields() -> None:
    assert Point(1) != Point(2)
    assert Point(1) != Point3(1)
    assert Point(1) != (1, 2)
    assert len({Point(1), Point(1), Point(2)}) == 2


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "needs x"),
        ((1, 2, 3), {}, "takes 2"),
        ((1,), {"w": 1}, "knows no w"),
        ((1, 2), {"x": 1}, "knows no x"),
    ],
)
def test_wrong_fields_are_told(args: tuple[int, ...], kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*args, **kwargs)


def test_no_dictionary_hangs_on_a_value() -> None:
    with pytest.raises(AttributeError):
        Point(1).w = 3


def test_match_statements_take_them_apart() -> None:
    match Point(4, 5):
        case Point(x, y):
            assert (x, y) == (4, 5)
