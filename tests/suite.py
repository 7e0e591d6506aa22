"""Run the whole test suite, every test once and where it means most, and sum it up in one line.

====================  ===========================================================================
checkout              tests about the repository itself (marked ``checkout``), with the code here
py311                 every other test but tests/blackbox, against the wheel, with coverage
lint, types, docs     no tests
blackbox              tests/blackbox, against the wheel
====================  ===========================================================================

The first runs in this environment, the others are tox's.  With arguments there is one step only:
pytest with these arguments.  Either way the last line is ``N passed, M failed, K skipped``, and the
exit status says whether everything went well.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
USAGE = """\
usage: bin/lair-test              run the whole suite
       bin/lair-test ARGUMENT...  run pytest with these arguments and nothing else,
                                  for example: bin/lair-test tests/wire -k frames"""
# Steps that are not pytest; every other one owes a file of results.
UNCOUNTED = {"lint", "types", "docs"}


class Step(NamedTuple):
    """What came of one step: its name, whether it went well, how many seconds it took."""

    name: str
    succeeded: bool
    seconds: float


class Counts(NamedTuple):
    """Tests that passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Add the counts of another run."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def counts_of(path: Path) -> Counts:
    """Read what a pytest run wrote; one that wrote nothing, or half of it, counts as a failure."""
    try:
        root = ET.parse(path).getroot()
    except (FileNotFoundError, ET.ParseError):
        return Counts(failed=1)
    total = Counts()
    for suite in root.iter("testsuite"):
        tests, failures, errors, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        failed = failures + errors
        total = total.plus(Counts(tests - failed - skipped, failed, skipped))
    return total


def run_pytest(name: str, arguments: list[str], results: Path) -> Step:
    """Run pytest in this environment, in the directory where the user stands."""
    command = [sys.executable, "-P", "-m", "pytest", f"--junitxml={results / name}.xml", *arguments]
    within = Path.cwd().is_relative_to(TOP)
    started = time.monotonic()
    status = subprocess.run(command, cwd=None if within else TOP, check=False).returncode
    return Step(name, status == 0, time.monotonic() - started)


def run_tox(results: Path) -> list[Step]:
    """Run every environment of tox.ini, with the running Python in place of another version."""
    # setuptools never forgets what it once copied there: a deleted module would be tested on.
    shutil.rmtree(TOP / "build", ignore_errors=True)
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    names = [version, "lint", "types", "docs", "blackbox"]
    report = results / "tox.json"
    command = [sys.executable, "-P", "-m", "tox", "run", "-e", ",".join(names)]
    environment = os.environ | {"LAIR_TEST_RESULTS": str(results)}
    subprocess.run([*command, "--result-json", str(report)], cwd=TOP, env=environment, check=False)
    try:
        reported = json.loads(report.read_text())["testenvs"]
    except FileNotFoundError:  # tox itself could not start; it has said why
        reported = {}
    return [_tox_step(name, reported.get(name, {}).get("result")) for name in names]


def _tox_step(name: str, result: dict[str, float] | None) -> Step:
    if result is None:  # the environment could not be made
        return Step(name, succeeded=False, seconds=0.0)
    return Step(name, bool(result["success"]), result["duration"])


def run_whole_suite(results: Path) -> list[Step]:
    """Run every step, also after one that failed: a run says all that is wrong."""
    os.chdir(TOP)
    about_checkout = ["-m", "checkout", "--ignore=tests/blackbox"]
    return [run_pytest("checkout", about_checkout, results), *run_tox(results)]


def main(arguments: list[str]) -> int:
    """Run what was asked for, say what came of it, and return the exit status."""
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
        results = Path(directory)
        if arguments:
            steps = [run_pytest("pytest", arguments, results)]
        else:
            steps = run_whole_suite(results)
        total = Counts()
        for step in steps:
            if step.name not in UNCOUNTED:
                total = total.plus(counts_of(results / f"{step.name}.xml"))
    print()
    for step in steps:
        print(f"{step.name:10} {'ok' if step.succeeded else 'FAILED':6} {step.seconds:6.0f} s")
    failed = [step.name for step in steps if not step.succeeded]
    if failed:
        print(f"failed steps: {', '.join(failed)}")
    print(total)
    return 1 if failed or total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
