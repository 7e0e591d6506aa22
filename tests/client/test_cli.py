"""The command line: what it takes, what it prints, and its exit statuses; as processes."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lairchat import __version__
from lairchat.client import cli
from lairchat.client.main import _COMMANDS
from lairchat.client.profile import KnownServers, Profile, Session
from lairchat.demo_server import free_port
from lairchat.model import faults, limits
from lairchat.model.identity import ServerId

RUN = "import sys; sys.argv[0] = 'lair'\nfrom lairchat.client.main import run\nsys.exit(run())"
LINK = f"lair://chat.example.org:7023/i/{'0' * 26}?id={'7F' * 16}"
SERVER = ServerId(bytes(32))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAIR_HOME", str(tmp_path / "lair"))


def lair(
    *arguments: str, stdin: bytes = b"", **environ: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-P", "-c", RUN, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
    )


def logged_in(port: int) -> None:
    root = cli.root()
    known = KnownServers(root)
    known.remember("127.0.0.1", port, SERVER)
    known.used("127.0.0.1", port, "alice")
    Profile(root, SERVER, "alice").keep_session(Session("alice", 1, 1, b"t" * 48))


def test_the_two_lists_of_commands_agree() -> None:
    assert _COMMANDS == cli.COMMANDS
    assert set(cli.command_parsers()) == set(cli.COMMANDS)


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.COMMANDS)])
def test_help(command: tuple[str, ...]) -> None:
    done = lair(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(b"usage: lair")
    assert done.stderr == b""


def test_help_names_the_commands() -> None:
    printed = lair("-h").stdout.decode()
    assert all(f"lair {name}" in " ".join(printed.split()) for name in cli.COMMANDS)


def test_the_module_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lairchat.client.main", "--version"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
    )
    assert done.stdout.decode() == f"lair {__version__}\n"


def test_version() -> None:
    assert lair("--version").stdout.decode() == f"lair {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bogus",),
        ("send",),
        ("send", "#a", "b", "c"),
        ("tail", "#a", "--after", "-1"),
        ("tail", "#a", "--after", "x"),
        ("tail", "#a", "--after", str(2**63)),
        ("invite", "--uses", "0"),
        ("doctor", "--ca"),
        ("doctor", "a", "--ca"),
        ("--ca",),
        ("send", "--wait", "0", "#a", "b"),
        ("send", "--wait", "nan", "#a", "b"),
        ("send", "--wait", "86401", "#a", "b"),
        ("tail", "--wait", "soon", "#a"),
        ("invite", "--uses", str(limits.INVITE_USES_MAX + 1)),
        ("doctor", "a", "b"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = lair(*arguments)
    assert done.returncode == os.EX_USAGE
    assert b"--help" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("send", "#lobby", "x"), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("tail", "#lobby"), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("invite",), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("serverkey",), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("serverkey", "h.example"), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("doctor",), os.EX_CONFIG, "LC-PROFILE-NONE"),
        ((), os.EX_CONFIG, "LC-PROFILE-NONE"),
        (("a b",), os.EX_USAGE, "LC-ADDRESS-BAD"),
        (("lair://x",), os.EX_USAGE, "LC-LINK-BAD"),
        (("send", "--server", "a:b", "#lobby", "x"), os.EX_USAGE, "LC-ADDRESS-BAD"),
        (("--ca", "chat.example.org"), os.EX_USAGE, "LC-CFG"),
        (("--plain", "--ca", "missing.pem", "chat.example.org"), os.EX_USAGE, "LC-CFG"),
        (("doctor", "--ca", "missing.pem", "chat.example.org"), os.EX_USAGE, "LC-CFG"),
    ],
)
def test_refusals(arguments: tuple[str, ...], status: int, code: str) -> None:
    done = lair(*arguments)
    assert (done.returncode, done.stderr.decode().split()[0]) == (status, code)
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""


def test_a_broken_profile() -> None:
    cli.root().mkdir(parents=True)
    (cli.root() / "last.json").write_text("{")
    for arguments in ((), ("send", "#a", "x")):
        done = lair(*arguments)
        assert done.returncode == os.EX_CONFIG
        assert done.stderr.startswith(b"LC-PROFILE-BROKEN")


def test_send_without_a_server() -> None:
    logged_in(free_port())
    done = lair("send", "#lobby", "--wait", "0.5", stdin=b"hello\n")
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr.startswith(b"LC-NET-REFUSED")


def test_what_cannot_be_printed() -> None:
    """A full disk, a reader who has gone: a status and a sentence, for each that prints at once."""
    logged_in(7023)
    for redirect in (" > /dev/full", " | (exec <&-; sleep 1)"):
        line = f"{shlex.join([sys.executable, '-P', '-c', RUN, 'serverkey'])}{redirect}"
        done = subprocess.run(
            ["bash", "-c", f"sleep 0.3; {line}; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.returncode == os.EX_IOERR, done.stderr
        assert done.stderr.startswith(b"lair serverkey: cannot print: ")
        assert done.stderr.count(b"\n") == 1


def test_a_password_is_in_no_core_file() -> None:
    program = (
        "import resource, sys\nfrom lairchat.client.main import run\n"
        "try:\n    run(['--version'])\n"
        "finally:\n    print(resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.splitlines()[-1] == b"(0, 0)"


def test_an_unknown_host_in_plain_mode() -> None:
    done = lair("--plain", "no-such-host.invalid")
    assert b"LC-NET-NAME" in done.stdout
    assert done.returncode == os.EX_UNAVAILABLE
    assert lair("--plain", "no-such-host.invalid", stdin=b"/quit\n").returncode == 0
    assert b"Traceback" not in done.stderr


def test_serverkey_shows_what_is_remembered() -> None:
    logged_in(7023)
    done = lair("serverkey")
    assert done.returncode == 0
    assert SERVER.fingerprint in done.stdout.decode()


def test_serverkey_of_a_server_that_is_away() -> None:
    logged_in(free_port())
    done = lair("serverkey", "--replace")
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr.startswith(b"LC-NET-REFUSED")


# -- without a process -------------------------------------------------------------------------------


def chosen(*arguments: str) -> tuple[str, int, str, str]:
    options = cli.parser().parse_args(arguments)
    target = cli.chosen(options, options.where)
    return target.host, target.port, target.account, target.code


def test_which_server() -> None:
    assert chosen("chat.example.org") == ("chat.example.org", 7023, "", "")
    assert chosen("chat.example.org:99", "--account", "bob") == ("chat.example.org", 99, "bob", "")
    assert chosen("--server", "[::1]:99") == ("::1", 99, "", "")
    assert chosen(LINK) == ("chat.example.org", 7023, "", "0" * 26)
    with pytest.raises(faults.ProfileMissing):
        chosen()
    logged_in(99)
    assert chosen() == ("127.0.0.1", 99, "alice", "")
    assert chosen("--account", "bob") == ("127.0.0.1", 99, "bob", "")


def test_options_may_stand_anywhere() -> None:
    options = cli.command_parsers()["send"].parse_intermixed_args(["#ops", "--json", "text"])
    assert (options.room, options.text, options.json) == ("#ops", "text", True)


def test_no_command() -> None:
    assert cli.command([]) == 0


def test_the_log_goes_where_it_is_told(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom lairchat.client.cli import quiet_log\nquiet_log(os.environ)\n"
        "from twisted.logger import Logger\nLogger().critical('it happened')\n"
    )
    log = tmp_path / "log"
    for environ in ({}, {"LAIR_LOG": str(log)}):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env={**os.environ, **environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.stdout + done.stderr == b""
    assert "it happened" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
