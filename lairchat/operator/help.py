"""Explains commands to operators, from what the commands declare."""

import textwrap
from collections.abc import Sequence

from lairchat.model.refusals import CliUnknown
from lairchat.model.roles import ServerRole
from lairchat.operator.verbs import Argument, Form, Verb, Verbs

__all__ = ["explain"]

_GRAMMAR = (
    "",
    "NOUN VERB [TARGET ...] [--flag VALUE ...] [| FILTER]",
    "filters: json, csv, count, grep TEXT, head N",
    "every command takes --json, --csv, --help",
    "changes take --dry-run (say what would happen) and --yes (do not ask)",
    "more: help NOUN, help NOUN VERB",
)


def explain(verbs: Verbs, words: Sequence[str], role: ServerRole, columns: int) -> str:
    """Return the page for a verb, a noun, or everything; raises CliUnknown for anything else."""
    if not words:
        return _overview(verbs, role, columns)
    found = verbs.below(words, role)
    exact = verbs.get(*words)
    if exact in found:
        return _page(exact, columns) if exact is not None else ""
    if not found:
        raise CliUnknown(words=" ".join(words), advice=verbs.advice(words, role))
    return "".join(_entry(verb, columns) for verb in found)


def _overview(verbs: Verbs, role: ServerRole, columns: int) -> str:
    """List the nouns with their verbs: what there is must fit one screen."""
    nouns: dict[str, list[str]] = {}
    for verb in verbs.allowed(role):
        nouns.setdefault(verb.words[0], []).append(" ".join(verb.words[1:]))
    room = max(map(len, nouns), default=0)
    lines = [
        f"{noun:<{room}}  {', '.join(names)}".rstrip() for noun, names in sorted(nouns.items())
    ]
    lines = [line for long in lines for line in _wrapped(long, columns, room + 2)]
    for line in _GRAMMAR:
        lines += _wrapped(line, columns, 4) or [""]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, columns: int, indent: int) -> list[str]:
    return textwrap.wrap(text, columns, subsequent_indent=" " * indent, break_long_words=False)


def _entry(verb: Verb, columns: int) -> str:
    lines = [*_wrapped(verb.usage, columns, 4), f"    {verb.command.doc}"]
    return "\n".join(lines) + "\n"


def _page(verb: Verb, columns: int) -> str:
    lines = [*_wrapped(verb.usage, columns, 4), verb.command.doc, ""]
    described = [(one.word.upper(), one) for one in verb.targets]
    described += [(_flag_word(one), one) for one in verb.flags]
    rows = [(word, _meaning(one)) for word, one in described]
    if verb.changes:
        rows.append(("--dry-run", "say what would happen, and do nothing"))
    if verb.command.asks:
        rows.append(("--yes", "do it without asking"))
    room = max((len(word) for word, _ in rows), default=0)
    for word, meaning in rows:
        lines += _wrapped(f"  {word:<{room}}  {meaning}", columns, room + 4)
    lines.append(f"Needs the role {verb.command.role.word}.")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _flag_word(argument: Argument) -> str:
    if argument.form is Form.SWITCH:
        return f"--{argument.word}"
    return f"--{argument.word} {argument.value_word}"


def _meaning(argument: Argument) -> str:
    doc = argument.doc or argument.field.replace("_", " ")
    if argument.choices and f"{'|'.join(argument.choices)}" not in doc:
        return f"{doc.rstrip('.')}; one of {', '.join(argument.choices)}"
    return doc
