"""Writes the man pages and completions in etc/ from the parsers and tables of the programs.

    python docs/manuals.py            write them
    python docs/manuals.py --check    say which are not what the programs are, and exit with 1

What is committed is what this prints; tests/test_manuals.py holds it to that.
"""

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import shtab
from argparse_manpage.manpage import Manpage

import lairchat.features
from lairchat import __version__, config, lairctl
from lairchat.client import cli
from lairchat.model.roles import ServerRole
from lairchat.operator.verbs import Verb, Verbs
from lairchat.tap import Options
from lairchat.wire.contract import Table

ETC = Path(__file__).resolve().parent.parent / "etc"
#: When what the pages say was last changed in kind; a day's date would change them every day.
DATE = "2026-11-23"
PROJECT = "Lair Chat"

FILES = """
.SH FILES
.TP
.I $XDG_CONFIG_HOME/lairchat/lairchat.toml, /etc/lairchat/lairchat.toml
the configuration, see lairchat.toml(5)
.TP
.I $XDG_DATA_HOME/lairchat
the data directory, mode 0700: database, identity, keys, lairctl's socket
"""
STATUSES = """
.SH EXIT STATUS
0: done. 1: failed. 2: wrong command line. 3: not found. 4: denied.
"""
SYSEXITS = """
.SH EXIT STATUS
As in sysexits.h: 0 done, 64 wrong command line, 69 no server, 75 try again later, 77 refused.
"""
COMPLETE_LAIRCTL = {
    "bash": """\
# Completion of lairctl for bash: the running daemon says what fits.
_lairctl() {
    local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT}
    COMPREPLY=($(lairctl --complete "${line#*lairctl }" 2>/dev/null))
}
complete -F _lairctl lairctl
""",
    "zsh": """\
#compdef lairctl
# Completion of lairctl for zsh: the running daemon says what fits.
local -a words_that_fit
words_that_fit=(${(f)"$(lairctl --complete "${LBUFFER#*lairctl }" 2>/dev/null)"})
compadd -- $words_that_fit
""",
}


def operator_table() -> Table:
    """Return every command that any feature declares."""
    commands = []
    for feature in pkgutil.iter_modules(lairchat.features.__path__):
        module = importlib.import_module(f"lairchat.features.{feature.name}.messages")
        commands += getattr(module, "COMMANDS", ())
    return Table(commands)


def client_parser() -> argparse.ArgumentParser:
    """Return the client's parsers as one, its commands below it."""
    top = argparse.ArgumentParser(
        "lair", description=cli.DESCRIPTION, parents=[_bare(cli.parser())]
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for name, parser in cli.command_parsers().items():
        words = {"help": parser.description, "description": parser.description}
        commands.add_parser(name, parents=[_bare(parser)], **words)
    return top


def _bare(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return a parser as a parent of another: without its own --help."""
    bare = argparse.ArgumentParser(add_help=False)
    for action in parser._actions:  # argparse has no other way to copy a parser
        # The link or host: a completion of commands could not tell it from one.
        if not isinstance(action, argparse._HelpAction) and action.dest != "where":
            bare._add_action(action)
    return bare


def daemon_parser() -> argparse.ArgumentParser:
    """Return the options of ``twistd lairchat`` as argparse knows them."""
    found = argparse.ArgumentParser("lairchat", description=Options.longdesc)
    for long, short, _, doc in Options.optParameters:
        found.add_argument(f"-{short}", f"--{long}", metavar=long.upper(), help=doc)
    for long, short, doc in Options.optFlags:
        names = [f"--{long}"] if short is None else [f"-{short}", f"--{long}"]
        found.add_argument(*names, action="store_true", help=doc)
    return found


def page(parser: argparse.ArgumentParser, section: int, name: str, what: str, more: str) -> str:
    """Return a man page of a parser, with sections of our own below it."""
    parser.man_short_description = what  # what apropos(1) finds
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=80)
    data = {
        "prog": name,
        "project_name": PROJECT,
        "version": __version__,
        "manual_section": section,
        "manual_title": PROJECT,
        "date": DATE,
    }
    text = str(Manpage(parser, _data=data)).replace(f"{name} - {what}", rf"{name} \- {what}")
    return text.rstrip() + "\n" + more.strip() + "\n"


def commands() -> str:
    """Return the section of lairctl(1) that explains every command."""
    lines = [
        ".SH COMMANDS",
        "Every change takes",
        r".B \-\-dry\-run\fR, which says what would happen. What ends or destroys something asks first;",
        r".B \-\-yes\fR answers. Output goes through",
        r".B | json\fR, \fBcsv\fR, \fBcount\fR, \fBgrep TEXT\fR or \fBhead N\fR, quoted from the shell;",
        r".B \-\-json\fR is short for the first.",
    ]
    for verb in Verbs(operator_table()).allowed(ServerRole.OWNER):
        lines += _command(verb)
    return "\n".join(lines) + "\n"


def _command(verb: Verb) -> Iterator[str]:
    yield ".TP"
    yield f".B {roff(verb.usage)}"
    yield f"{roff(verb.command.doc)} For the role {verb.command.role.word} and above."
    for argument in (*verb.targets, *verb.flags):
        if argument.doc:
            yield ".br"
            yield rf"\fI{roff(argument.word)}\fR: {roff(argument.doc)}"


def keys() -> str:
    """Return lairchat.toml(5)."""
    lines = [
        f'.TH LAIRCHAT.TOML 5 "{DATE}" "{PROJECT} {__version__}" "{PROJECT}"',
        ".SH NAME",
        r"lairchat.toml \- configuration of the Lair Chat server",
        ".SH DESCRIPTION",
        "TOML, or JSON of the same shape where the name ends in .json. Every key has a default.",
        "The environment variable LAIRCHAT_TABLE_KEY overrides a key.",
        "lairctl config explain KEY says what is in force, and from where.",
        "A key marked live follows a reload; others wait for a restart.",
    ]
    table = ""
    defaults = config.values(config.Config())
    for key in config.all_keys():
        if key.table != table:
            table = key.table
            lines.append(f".SH [{roff(table)}]")
        live = ", live" if key.live else ""
        value = config.written(defaults[key.path])
        lines += [".TP", rf".B {roff(key.name)}\fR ({roff(key.takes)}; {roff(value)}{live})"]
        lines.append(roff(key.meaning))
    return "\n".join(lines) + "\n"


def roff(text: str) -> str:
    """Keep text from meaning something to troff."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def files() -> Mapping[str, str]:
    """Return everything that is generated: path below etc/, and text."""
    # argparse breaks its usage at the width of whoever's terminal this is.
    os.environ["COLUMNS"] = "80"
    client = client_parser()
    found = {
        "man/lair.1": page(client, 1, "lair", "chat from a terminal", SYSEXITS),
        "man/lairctl.1": page(
            _copy(lairctl.parser()),
            1,
            "lairctl",
            "command a Lair Chat server on its host",
            commands() + STATUSES + FILES,
        ),
        "man/lairchat.8": page(
            daemon_parser(), 8, "lairchat", "a self-hosted chat server, run by twistd", FILES
        ).replace("\n.B lairchat\n", "\n.B twistd lairchat\n", 1),
        "man/lairchat.toml.5": keys(),
    }
    for shell, name in (("bash", "lair"), ("zsh", "_lair")):
        found[f"completions/{shell}/{name}"] = shtab.complete(client, shell)
        control = name.replace("lair", "lairctl")
        found[f"completions/{shell}/{control}"] = COMPLETE_LAIRCTL[shell]
    return found


def _copy(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        parser.prog, description=parser.description, parents=[_bare(parser)]
    )


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them."""
    stale: list[Any] = []
    for name, text in files().items():
        path = ETC / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for path in stale:
        sys.stdout.write(f"{'not current' if '--check' in arguments else 'written'}: {path}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
