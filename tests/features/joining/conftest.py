"""A server with encrypted rooms, which is sound after each test."""

from collections.abc import Iterator

import pytest

from tests.features.common import flaws
from tests.features.delivery.world import Here


@pytest.fixture
def here() -> Iterator[Here]:
    world = Here()
    yield world
    assert flaws(world.server) == []
    assert world.flaws() == []
    world.close()
