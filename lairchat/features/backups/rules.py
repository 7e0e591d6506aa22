"""Names of backups, and sizes in words."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a backup among others, and no path anywhere else."""
    return _NAME.fullmatch(text) is not None


def in_words(size: int) -> str:
    """Return bytes as people read them, such as ``41 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size} {unit}"
        size //= 1_000
    return f"{size} GB"
