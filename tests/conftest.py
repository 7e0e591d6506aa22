"""What every test may count on: ``tests`` is importable, and an installed lairchat wins."""

import os
import sys
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CHECKOUT = Path(__file__).resolve().parents[1]

# At the end, so that under tox the wheel in site-packages is tested and not the checkout beside it.
sys.path.append(str(CHECKOUT))

# A busy machine is not a defect: how long one example takes says nothing about the code.
# Whether a commit is taken depends on the commit alone; what is drawn anew is drawn by those who work on it.
settings.register_profile(
    "lairchat",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("LAIRCHAT_CI")),
)
settings.load_profile("lairchat")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Return the directory of published and hostile test vectors, which is not in the repository.

    It is named by LAIRCHAT_VECTORS, or lies beside the checkout; without it the test is skipped.
    """
    place = os.environ.get("LAIRCHAT_VECTORS") or CHECKOUT.parent / "shared" / "vectors"
    if not Path(place).is_dir():
        pytest.skip(f"no test vectors in {place}: set LAIRCHAT_VECTORS to their directory")
    return Path(place)


_directories = count()


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of the test's own, with a shorter path than pytest's.

    Errors cut a path that is long, and a socket's may have 107 bytes.
    """
    return tmp_path_factory.mktemp(f"t{next(_directories)}", numbered=False)


@pytest.fixture(autouse=True)
def _mktemp_stays_out_of_the_checkout(request: pytest.FixtureRequest) -> None:
    """Let trial's TestCase.mktemp() make its files in a directory of pytest's, not where we stand."""
    if hasattr(request.cls, "mktemp"):
        place = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(place)
