"""What the documents name exists: files, tests, commands, so that they cannot go stale unseen."""

import ast
import re
from pathlib import Path

import pytest

from lairchat.model.refusals import REFUSALS
from lairchat.wire.errors import CODES

TOP = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted({*TOP.glob("*.rst"), *TOP.glob("docs/**/*.rst")} - {TOP / "NEWS.rst"})
DIRECTORIES = r"(?:\.ci|benchmarks|bin|docs|etc|lairchat|newsfragments|tests|twisted)"
LITERAL = re.compile(r"``([^`]+)``")
PATH = re.compile(rf"{DIRECTORIES}/[\w./-]*(?:::\w+)*")
# Made by running something, so not there in a clone.
MADE = re.compile(r"docs/_build/")


def named(text: str) -> set[str]:
    """Find the paths, and the tests in them, that a document names in literals."""
    words = {word for literal in LITERAL.findall(text) for word in literal.split()}
    return {word for word in words if PATH.fullmatch(word) and not MADE.match(word)}


def is_there(name: str, top: Path = TOP) -> bool:
    """Tell whether a named path exists, and whether what is named in it does: a::B::c."""
    path, *inside = name.split("::")
    if not (top / path).exists():
        return False
    body = ast.parse((top / path).read_text()).body if inside else []
    for part in inside:
        found = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == part
        ]
        if not found:
            return False
        body = found[0].body
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_every_path_and_test_that_a_document_names_is_there(document):
    assert [name for name in sorted(named(document.read_text())) if not is_there(name)] == []


def test_a_path_that_is_gone_and_a_test_that_is_gone_are_found(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("class A:\n    def test_b(self): pass\n")
    assert is_there("tests/test_a.py::A::test_b", tmp_path)
    assert not is_there("tests/test_a.py::A::test_c", tmp_path)
    assert not is_there("tests/test_a.py::test_b", tmp_path)
    assert not is_there("tests/test_b.py", tmp_path)
    text = "See ``lairchat/gone.py``, ``bin/lair tail`` and ``tests/test_a.py::A``; not /bin/sh."
    assert named(text) == {"lairchat/gone.py", "bin/lair", "tests/test_a.py::A"}


CODE = re.compile(r"\bLC(?:-[A-Z0-9]+)+\b")


def test_every_code_that_a_program_prints_has_an_entry_on_the_page_of_codes():
    sources = [*TOP.glob("lairchat/**/*.py"), *TOP.glob("bin/*")]
    named = {code for path in sources for code in CODE.findall(path.read_text())}
    page = (TOP / "docs/reference/codes.rst").read_text()
    by_hand = set(re.findall(r"^``(LC-.*)``$", page, re.MULTILINE))
    assert "generated:: codes" in page
    assert "generated:: wire-codes" in page
    explained = {*REFUSALS, *CODES, *by_hand}
    # By the first words of a code programs choose an exit status: nothing prints these.
    families = {code for code in named if any(one.startswith(f"{code}-") for one in explained)}
    assert len(named) > 100
    assert sorted(named - families - explained) == []
    assert sorted(by_hand - named) == [], "no program prints these"
