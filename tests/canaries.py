"""Strings that must not turn up where they do not belong, and a search that finds them however written.

Every canary of a set begins with the set's marker, eleven random characters: whatever holds a canary
holds the marker, so one search finds all of them, and one that was cut short too.
A canary fits wherever people write something, in a reaction too, and is drawn so that base64 writes it
alike in both of its alphabets.
"""

import base64
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SIGNS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_MARKER: Final = 11
_CANARY: Final = 16
"""characters: the longest reaction."""
_AT_ONCE: Final = 16 * 1024 * 1024
"""bytes: of another process's memory, at a time."""
_UNPACKED: Final = 4 * 1024 * 1024
"""bytes: of what is packed, the first so many are looked at."""
_PACKED: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


class Found(NamedTuple):
    """Where something was found: in which file or piece of memory, written how, with what follows it."""

    where: str
    how: str
    text: bytes


class Canaries:
    """A set of random strings, each used once."""

    def __init__(self) -> None:
        self.marker = _draw(_MARKER)
        self.made: list[str] = []

    def new(self) -> str:
        """Return another canary."""
        found = self.marker + _draw(_CANARY - _MARKER)
        while found in self.made:
            found = self.marker + _draw(_CANARY - _MARKER)
        self.made.append(found)
        return found

    def several(self, count: int) -> list[str]:
        """Return so many."""
        return [self.new() for _ in range(count)]


def _draw(length: int) -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(length))


def forms(text: str) -> dict[str, bytes]:
    """Return how a text may be written, by name."""
    raw = text.encode("ascii")
    found = {
        "raw": raw,
        "upper case": raw.upper(),
        "backwards": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "UTF-16, little end first": text.encode("utf-16-le"),
        "UTF-16, big end first": text.encode("utf-16-be"),
        "UTF-32, little end first": text.encode("utf-32-le"),
    }
    for shift in range(3):
        # What comes before it moves it against the groups of three; only whole groups are the same
        # whatever surrounds it.
        whole = raw[-shift % 3 :]
        whole = whole[: len(whole) // 3 * 3]
        found[f"base64, {shift} bytes into a group"] = base64.b64encode(whole)
    return found


def search(paths: Iterable[Path], canaries: Canaries) -> list[Found]:
    """Look for canaries in files, and in all files below directories; also in what is packed in them."""
    found = []
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in files:
            if stat.S_ISREG(one.lstat().st_mode):
                found += look(str(one), one.read_bytes(), canaries)
            found += look(f"the name of {one}", os.fsencode(one.name), canaries)
    return found


def search_process(pid: int, canaries: Canaries) -> list[Found]:
    """Look for canaries in the memory of a child of this process, and in the files that it has open."""
    pieces = [*memory(pid), *open_files(pid)]
    return [one for name, data in pieces for one in look(name, data, canaries)]


def look(where: str, data: bytes, canaries: Canaries) -> list[Found]:
    """Look for canaries in bytes, and in what is packed in them."""
    found = _look(where, data, canaries)
    for offset, unpacked in _unpacked(data):
        found += _look(f"{where}, unpacked at {offset}", unpacked, canaries)
    return found


def _look(where: str, data: bytes, canaries: Canaries) -> list[Found]:
    found = []
    for how, needle in forms(canaries.marker).items():
        place = data.find(needle)
        if place >= 0:
            found.append(Found(where, how, data[place : place + 4 * _CANARY]))
    return found


def _unpacked(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what zlib makes of every place at which its streams, or gzip's, could begin."""
    view = memoryview(data)
    for start in _PACKED.finditer(data):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
        try:
            unpacked = stream.decompress(view[start.start() :], _UNPACKED)
        except zlib.error:
            continue
        if len(unpacked) >= _CANARY:
            yield start.start(), unpacked


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yield the memory of a process, which a core dump would have, piece by piece.

    Read where it is: a dump by a debugger leaves out pages that its filter names, and needs a debugger.
    Raises PermissionError where the kernel does not let us; see tests/requirements.py.
    """
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as image:
        for line in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines():
            span, rights, *rest = line.split(maxsplit=5)
            if not rights.startswith("r") or rest[-1] in {"[vvar]", "[vsyscall]"}:
                continue
            start, end = (int(one, 16) for one in span.split("-"))
            for at in range(start, end, _AT_ONCE):
                # What lies across two pieces is in one of them.
                wanted = min(_AT_ONCE + 4 * _CANARY, end - at)
                yield f"memory at {at:x} ({rest[-1]})", _read(image.fileno(), wanted, at)


def _read(descriptor: int, length: int, at: int) -> bytes:
    parts = []
    while length:
        try:
            part = os.pread(descriptor, length, at)
        except OSError:
            break  # unmapped meanwhile, or a page of a file that became shorter
        if not part:
            break
        parts.append(part)
        length, at = length - len(part), at + len(part)
    return b"".join(parts)


def open_files(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a process has open, such that have no name any more among them."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.exists() and stat.S_ISREG(link.stat().st_mode):
            yield f"open file {link.readlink()}", link.read_bytes()
