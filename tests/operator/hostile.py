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


def texts() -> list[str]:
    """Return every hostile text there is."""
    found = list(OWN)
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
    directory = Path(os.environ.get("LAIRCHAT_VECTORS") or beside)
    if directory.is_dir():
        vectors = json.loads((directory / "hostile" / "vectors.json").read_text("utf-8"))
        for group in _GROUPS:
            found += [one if isinstance(one, str) else one[-1] for one in vectors[group]]
        found += json.loads((directory / "blns" / "blns.json").read_text("utf-8"))
    return found


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
