"""Reference pages about the commands of operators, from the table that the doors read."""

import importlib
import pkgutil
from collections.abc import Iterator

import lairchat.features
from lairchat.operator.verbs import Verbs
from lairchat.wire.contract import Command, Table


def table() -> Table:
    """Return the commands that any feature offers to operators."""
    commands: list[Command] = []
    for feature in pkgutil.iter_modules(lairchat.features.__path__):
        module = importlib.import_module(f"lairchat.features.{feature.name}.messages")
        commands += [one for one in getattr(module, "COMMANDS", ()) if one.cli is not None]
    return Table(commands)


def operator_commands() -> Iterator[str]:
    """List every command of operators, by noun."""
    noun = ""
    for verb in Verbs(table()):
        if verb.words[0] != noun:
            noun = verb.words[0]
            yield from (noun, "-" * len(noun), "")
        yield f"``{verb.usage}``"
        yield f"   {verb.command.doc}"
        yield f"   Needs the role {verb.command.role.word}."
        for argument in (*verb.targets, *verb.flags):
            if argument.doc:
                flag = "" if argument in verb.targets else "--"
                word = argument.word if flag else argument.word.upper()
                yield from ("", f"   ``{flag}{word}``: {argument.doc}")
        yield ""


PAGES = (operator_commands,)
