"""Texts of strangers that no terminal may see as they are; from LAIRCHAT_VECTORS and our own."""

import json
import os
import unicodedata
from pathlib import Path

OWN = [
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "a\r\nb",
    "\x9b2J",
    "\u202egnp.exe",
    "\ufeffadmin",
    "\ud800",
    "a\x00b",
    "=1+1",
    "\u0301" * 30,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u4e2d\u6587" * 40,
    "x" * 300,
    "'\"\\|`$(id);&",
    "",
    " ",
    "--help",
    "-",
    "null",
]
_GROUPS = (
    "terminal_text", "unicode_text", "usernames_reject", "file_names", "ssrf_urls", "fts_queries",
    "xss", "csv_log",
)  # fmt: skip


_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
_DIRECTORY = Path(os.environ.get("LAIRCHAT_VECTORS") or _BESIDE)


def vectors() -> list[str]:
    """Return our own hostile texts, and those by class."""
    found = list(OWN)
    if _DIRECTORY.is_dir():
        classes = json.loads((_DIRECTORY / "hostile" / "vectors.json").read_text("utf-8"))
        for group in _GROUPS:
            found += [one if isinstance(one, str) else one[-1] for one in classes[group]]
    return found


def texts() -> list[str]:
    """Return every hostile text there is."""
    naughty = _DIRECTORY / "blns" / "blns.json"
    return vectors() + (json.loads(naughty.read_text("utf-8")) if naughty.is_file() else [])


def foreign(text: str) -> set[str]:
    """Return what of a text a terminal would obey or hide instead of showing it."""
    return {
        char
        for char in text
        if char != "\n"
        and (
            unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp", "Co"}
            or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\u061c"
        )
    }
