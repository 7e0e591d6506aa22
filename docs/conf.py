"""Sphinx configuration: warnings are errors (tox run -e docs)."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# At the end: where lairchat is installed, as under tox, that one is described.
sys.path.append(str(HERE.parent))

from lairchat import __version__ as release  # noqa: E402

project = "Lair Chat"
author = "the Lair Chat developers"
copyright = f"2026, {author}"
version = release.rpartition(".")[0]

extensions = ["generated"]
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"Lair Chat {release}"
html_copy_source = False
html_show_sphinx = False
