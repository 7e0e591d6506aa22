"""Wherever a refusal is raised, its sentence gets the words it needs: else a fault takes its place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lairchat
from lairchat.model import faults, refusals
from lairchat.model.refusal import Refusal

KINDS = {
    (module.__name__.rpartition(".")[2], name): kind
    for module in (faults, refusals)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Refusal)
}
ALWAYS = {"field", "retry_after"}


def _kind(node: ast.expr) -> type[Refusal] | None:
    match node:
        case ast.Attribute(ast.Name(module), name):
            return KINDS.get((module, name))
    return None


def _made(tree: ast.AST) -> Iterator[tuple[int, type[Refusal], set[str]]]:
    """Return (line, kind, words) of each refusal that is made from words that stand there."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Attribute() as exc) if (kind := _kind(exc)) is not None:
                yield node.lineno, kind, set()
            case ast.Call() if (kind := _kind(node.func)) is not None:
                words = {word.arg for word in node.keywords}
                if None not in words:
                    yield node.lineno, kind, {word for word in words if word} - ALWAYS


def test_each_gets_its_words() -> None:
    """A sentence with a gap would be an internal fault to whoever should have read it."""
    root = Path(lairchat.__file__).parent
    found = [
        (path, *made) for path in root.rglob("*.py") for made in _made(ast.parse(path.read_text()))
    ]
    assert len(found) > 200
    wrong = [
        f"{path.relative_to(root)}:{line}: {kind.__name__} takes {sorted(kind.sample)}"
        for path, line, kind, words in found
        if words != kind.sample.keys()
    ]
    assert not wrong, "\n".join(wrong)
