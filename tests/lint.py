"""Check what no other tool checks: the rules that hold for every tracked file of the repository.

* No file names a place on the machine it was written on.
* Code and documentation are ASCII, so that what a reviewer sees is what runs.
* News fragments have a name that towncrier takes.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
# Collections of strings that others wrote, checked as they are.
FOREIGN = "tests/vectors/"
HOMES = re.compile(r"/(?:root|home/[a-z_][a-z0-9_-]*|Users/\w+)/")
# Directories that exist everywhere give nothing away.
COMMON = {Path(name) for name in ("/", "/home", "/opt", "/root", "/srv", "/tmp", "/var/tmp")}
FRAGMENT = re.compile(r"(?:\d+|\+[\w-]+)\.(?:feature|bugfix|doc|removal|misc)(?:\.\d+)?\.rst")


def tracked(top: Path) -> list[str]:
    """List the files that git keeps, relative to the top of the checkout."""
    listed = subprocess.run(
        ["git", "-C", str(top), "ls-files", "-z"],
        stdout=subprocess.PIPE,
        check=True,
    )
    return [name for name in listed.stdout.decode().split("\0") if (top / name).is_file()]


def places(top: Path) -> list[str]:
    """List the directories of this machine that no file should name."""
    return sorted(str(place) for place in {top, top.parent, Path.home()} - COMMON)


def complaints(name: str, content: bytes, forbidden: list[str]) -> Iterator[str]:
    """Say what is wrong with one file, each time with the line where it is."""
    if name.startswith("newsfragments/") and not _is_fragment(name.removeprefix("newsfragments/")):
        yield f"{name}: not a news fragment; the name is ISSUE.KIND.rst, see CONTRIBUTING.rst"
    if name.startswith(FOREIGN) or b"\0" in content:
        return
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        where = f"{name}:{number}"
        if not line.isascii():
            yield f"{where}: not ASCII: {next(c for c in line if not c.isascii())!a}"
        if found := HOMES.search(line):
            yield f"{where}: names somebody's home: {found[0]}"
        for place in forbidden:
            if re.search(re.escape(place) + r"(?![\w.-])", line):
                yield f"{where}: names a place on this machine: {place}"


def _is_fragment(name: str) -> bool:
    return name == "README.rst" or FRAGMENT.fullmatch(name) is not None


def main(top: Path = TOP) -> int:
    """Check every tracked file, print what is wrong, and return the exit status."""
    forbidden = places(top)
    found = [
        complaint
        for name in tracked(top)
        for complaint in complaints(name, (top / name).read_bytes(), forbidden)
    ]
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
