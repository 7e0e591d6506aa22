"""The search for canaries finds them in every place and form that it promises."""

import base64
import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lairchat.model import limits
from tests.canaries import Canaries, forms, look, memory, search, search_process
from tests.requirements import require


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def test_they_are_distinct_and_fit_everywhere(canaries: Canaries) -> None:
    made = canaries.several(200)
    assert len({*made, *Canaries().several(200)}) == 400
    assert {len(one) for one in made} == {limits.REACTION_CHARS}


@pytest.mark.parametrize("form", list(forms("zzz")))
def test_every_form_is_found(canaries: Canaries, form: str) -> None:
    found = look("there", b"some" + forms(canaries.new())[form] + b"more", canaries)
    assert ("there", form) in {(one.where, one.how) for one in found}


@pytest.mark.parametrize("before", range(6))
def test_base64_is_found_wherever_it_begins(canaries: Canaries, before: int) -> None:
    said = base64.b64encode(bytes(range(200, 200 + before)) + canaries.new().encode() + b"\xff")
    assert [one.how[:6] for one in look("there", said, canaries)] == ["base64"]
    assert look("there", base64.urlsafe_b64encode(canaries.new().encode()), canaries)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_what_is_packed_is_unpacked(canaries: Canaries, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"x" * 500 + canaries.new().encode())
    assert canaries.marker.encode() not in packed
    (found,) = look("there", b"\x78\x9c in front, " + packed + b" and behind", canaries)
    assert (found.where, found.how) == ("there, unpacked at 13", "raw")


def test_files_and_their_names(canaries: Canaries, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "plain").write_bytes(canaries.new().encode("utf-16"))
    (tmp_path / canaries.new()).touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "other").write_text(Canaries().new())
    assert sorted(one.how for one in search([tmp_path], canaries)) == [
        "UTF-16, little end first",
        "raw",
    ]
    assert search([tmp_path / "other"], canaries) == []


WAITING = """
import sys, tempfile
held = sys.stdin.readline()
gone = tempfile.TemporaryFile()
gone.write(held.encode()); gone.flush()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def child() -> Iterator["subprocess.Popen[str]"]:
    require("memory")
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def test_memory_and_files_without_a_name(
    canaries: Canaries, child: "subprocess.Popen[str]"
) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{canaries.new()}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ready\n"
    found = search_process(child.pid, canaries)
    places = {one.where.split()[0] for one in found}
    assert places == {"memory", "open"}, found
    assert any("(deleted)" in one.where for one in found)
    assert sum(len(data) for _, data in memory(child.pid)) > 5_000_000
    assert search_process(child.pid, Canaries()) == []
