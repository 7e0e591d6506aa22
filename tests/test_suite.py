"""bin/lair-test counts every test once, names the step that failed, and ends with the one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import suite
from tests.suite import Counts

pytestmark = pytest.mark.checkout

TESTS = """\
import unittest
import pytest

@pytest.mark.checkout
def test_of_the_checkout():
    assert {checkout}

def test_of_the_wheel():
    assert True

@pytest.mark.checkout
def test_skipped():
    raise unittest.SkipTest("no tmux: apt-get install tmux")
"""
# Stands in for tox: one line of JSON a step, and a file of results where pytest would leave one.
TOX = """\
import json, os, pathlib, sys
results = pathlib.Path(os.environ["LAIR_TEST_RESULTS"])
plan = json.loads(pathlib.Path(__file__).with_name("plan.json").read_text())
names = sys.argv[sys.argv.index("-e") + 1].split(",")
assert names[1:] == ["lint", "types", "docs", "blackbox"]
report = {}
for name, place in zip(names, ["py", *names[1:]]):
    step = plan[place]
    report[name] = {"result": {"success": step["ok"], "duration": 1.0}}
    if "tests" in step:
        counts = ' '.join(f'{key}="{step[key]}"' for key in ("tests", "failures", "errors", "skipped"))
        (results / f"{name}.xml").write_text(f"<testsuites><testsuite {counts}/></testsuites>")
pathlib.Path(sys.argv[sys.argv.index("--result-json") + 1]).write_text(json.dumps({"testenvs": report}))
"""
GOOD = {"ok": True, "tests": 10, "failures": 0, "errors": 0, "skipped": 1}
PLAN = {
    "py": GOOD,
    "lint": {"ok": True},
    "types": {"ok": True},
    "docs": {"ok": True},
    "blackbox": GOOD,
}


class Checkout:
    """A checkout with three tests of its own and a tox that does as it is told."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "tests").mkdir()
        (place / "build").mkdir()
        shutil.copy(suite.__file__, place / "tests/suite.py")
        (place / "pyproject.toml").write_text(
            "[tool.pytest.ini_options]\nmarkers = ['checkout: about the checkout']\n"
        )
        self.plan(**PLAN)
        self.write_tests(checkout=True)

    def plan(self, **steps) -> None:
        (self.place / "tox").mkdir(exist_ok=True)
        (self.place / "tox/__init__.py").touch()
        (self.place / "tox/__main__.py").write_text(TOX)
        (self.place / "tox/plan.json").write_text(json.dumps(steps))

    def write_tests(self, checkout: bool) -> None:
        (self.place / "tests/test_it.py").write_text(TESTS.format(checkout=checkout))

    def run(self, *arguments: str, directory: str = ".") -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, self.place / "tests/suite.py", *arguments],
            cwd=self.place / directory,
            env={"PYTHONPATH": str(self.place), "PATH": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()


@pytest.fixture
def place(tmp_path):
    return Checkout(tmp_path)


def test_every_step_is_counted_and_the_last_line_is_the_sum(place):
    status, lines = place.run()
    assert status == 0
    # 1 passed and 1 skipped here, 9 and 1 in each of tox's two.
    assert lines[-1] == "19 passed, 0 failed, 3 skipped"
    steps = [line.split()[:2] for line in lines[-7:-1]]
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    assert steps == [
        [name, "ok"] for name in ("checkout", version, "lint", "types", "docs", "blackbox")
    ]


def test_what_an_earlier_build_left_is_removed_first(place):
    place.run()
    assert not (place.place / "build").exists()


def test_a_failed_test_fails_the_run_and_the_other_steps_still_run(place):
    place.write_tests(checkout=False)
    status, lines = place.run()
    assert status == 1
    assert lines[-2:] == ["failed steps: checkout", "18 passed, 1 failed, 3 skipped"]


@pytest.mark.parametrize("name", ["lint", "types", "docs"])
def test_a_step_without_tests_fails_the_run_by_its_name(place, name):
    place.plan(**PLAN | {name: {"ok": False}})
    status, lines = place.run()
    assert status == 1
    assert lines[-2:] == [f"failed steps: {name}", "19 passed, 0 failed, 3 skipped"]


def test_failures_and_errors_of_tox_are_counted(place):
    place.plan(**PLAN | {"blackbox": GOOD | {"ok": False, "failures": 2, "errors": 3}})
    status, lines = place.run()
    assert status == 1
    assert lines[-2:] == ["failed steps: blackbox", "14 passed, 5 failed, 3 skipped"]


def test_a_run_that_left_no_results_counts_as_failed(place):
    place.plan(**PLAN | {"blackbox": {"ok": False}})
    status, lines = place.run()
    assert status == 1
    assert lines[-1] == "10 passed, 1 failed, 2 skipped"


def test_a_tox_that_does_not_start_fails_every_step_of_its(place):
    (place.place / "tox/__main__.py").write_text("raise SystemExit('no tox')")
    status, lines = place.run()
    assert status == 1
    assert lines[-2].endswith("lint, types, docs, blackbox")
    assert lines[-1] == "1 passed, 2 failed, 1 skipped"


def test_arguments_go_to_pytest_and_nothing_else_runs(place):
    (place.place / "tox/__main__.py").write_text("raise SystemExit('not this time')")
    status, lines = place.run("tests/test_it.py", "-k", "wheel or skipped")
    assert status == 0
    assert lines[-1] == "1 passed, 0 failed, 1 skipped"
    assert place.run("test_it.py", "-k", "wheel", directory="tests")[1][-1].startswith("1 passed")
    status, lines = place.run("-k", "nothing_by_that_name")
    assert status == 1
    assert lines[-1] == "0 passed, 0 failed, 0 skipped"


def test_help_is_short(capsys):
    assert suite.main(["--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) < 5


def test_half_a_file_of_results_is_a_failure(tmp_path):
    (tmp_path / "cut.xml").write_text('<testsuites><testsuite tests="4"')
    assert suite.counts_of(tmp_path / "cut.xml") == Counts(failed=1)
    assert suite.counts_of(tmp_path / "absent.xml") == Counts(failed=1)
