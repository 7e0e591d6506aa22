"""Each line of what encryption has to refuse or survive has a test, and the test is there."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.proofs import PROOFS, Test

TOP = Path(__file__).resolve().parent.parent
NAMED = sorted({test for lines in PROOFS.values() for tests in lines.values() for test in tests})


@cache
def names(file: str) -> set[str]:
    """Return the names of all tests in a file."""
    tree = ast.parse((TOP / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("test", NAMED, ids=lambda test: f"{test[0]}::{test[1]}")
def test_the_proof_is_there(test: Test) -> None:
    file, name = test
    assert name in names(file)


def test_no_line_is_without_one() -> None:
    missing = [line for lines in PROOFS.values() for line, tests in lines.items() if not tests]
    assert not missing
