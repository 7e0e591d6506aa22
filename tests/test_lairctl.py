"""The program lairctl, with a real daemon: what scripts, people and strangers get from it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lairchat import lairctl, lairctl_face
from lairchat.demo_server import DemoServer, checkout
from lairchat.lairctl_face import Face, read_public
from lairchat.lairctl_link import Daemon
from lairchat.lairctl_shells import OnlineShell
from lairchat.model import limits
from lairchat.operator import control
from tests.blackbox.terminals import Terminal
from tests.operator import hostile
from tests.requirements import require

RUN = "import sys; sys.argv[0] = 'lairctl'\nfrom lairchat.lairctl import run\nsys.exit(run())"
#: A key that was made for these tests and lets nobody in anywhere.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqPZKOUGCwFQUAqwyFfjyXV7wW6u8oy40fjbM1pLuUJ made@test"


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with tempfile.TemporaryDirectory(prefix="lair-ctl-") as directory:
        server = DemoServer(Path(directory) / "server")
        server.start()
        yield server
        server.stop()
        printed = server.output.read_text("utf-8", "replace")
        assert "Traceback" not in printed, printed
        assert "Unhandled" not in printed, printed


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAIRCHAT_S", "LANG", "LC_"))}
    return {**kept, "PYTHONPATH": str(checkout()), "LC_ALL": "C.UTF-8", **more}


def start(server: DemoServer, *words: Any, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-c", RUN, "--data", str(server.data), *words],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def ctl(server: DemoServer, *words: Any, given: str = "") -> tuple[int, str, str]:
    """Run lairctl on pipes; returns exit status, standard output, standard error."""
    process = start(server, *words)
    out, err = process.communicate(given, timeout=60)
    return process.returncode, out, err


class Caught(Face):
    """A face whose words are caught, for commands that are given from within this process."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[str] = []
        self.err: list[str] = []

    def write(self, text: str) -> None:
        self.out.append(text)

    def error(self, text: str) -> None:
        self.err.append(text)


def inside(server: DemoServer, *words: str) -> tuple[int, str, str]:
    """Give a command from within this process, as often as one likes."""
    face = Caught()
    status = lairctl.main(["--data", str(server.data), *words], os.environ, face)
    return status, "".join(face.out), "".join(face.err)


# -- for scripts


def test_a_line_may_be_one_argument_as_for_ssh(server):
    words = ("user", "list", "|", "count")
    assert inside(server, " ".join(words)) == inside(server, *words) == (0, "0\n", "")
    status, _, err = inside(server, "user show 'no")
    assert (status, err.split()[0]) == (2, "LC-CLI-QUOTE")
    assert inside(server, "")[0] == 2


def test_a_script_gets_json_and_a_status(server):
    status, out, err = ctl(server, "server", "status", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["state"] == "running"
    status, out, err = ctl(server, "user", "list", "|", "count")
    assert (status, out, err) == (0, "0\n", "")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["user", "lsit"], 2, "LC-CLI-UNKNOWN"),
        (["user", "show"], 2, "LC-CLI-USAGE"),
        (["user", "show", "nobody"], 3, "LC-USER-UNKNOWN"),
        (["server", "shutdown"], 2, "LC-CLI-ASKS"),
        (["user", "list", "|", "gerp"], 2, "LC-CLI-FILTER"),
        ([b"\xff\xfe"], 2, "LC-CTL-TEXT"),
        (["user", "show", b"caf\xe9"], 2, "LC-CTL-TEXT"),
    ],
)
def test_what_goes_wrong_is_said_on_standard_error(server, words, status, code):
    found, out, err = ctl(server, *words)
    assert (found, out, err.split()[0]) == (status, "", code)
    assert err.count("\n") == 1


def test_its_own_options(server):
    assert ctl(server, "--version")[1].startswith("lairctl ")
    assert "lairctl help lists the commands" in ctl(server, "--help")[1]
    assert ctl(server, "--zebra")[0] == 2
    assert "show" in ctl(server, "--complete", "user ")[1].split()
    # What stands behind the first word is the command's.
    assert "there is no --data" in ctl(server, "user", "list", "--data", "x")[2]


def test_without_a_command_and_a_terminal_there_is_nothing_to_do(server):
    status, out, err = ctl(server)
    assert (status, out) == (2, "")
    assert "lairctl help" in err


def test_the_reader_of_a_pipe_may_leave(server):
    line = f"'{sys.executable}' -P -c \"$1\" --data '{server.data}' config show | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}; exit ${{PIPESTATUS[0]}}", "-", RUN],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in {0, 1}
    assert done.stderr == ""


def test_a_closed_pipe_is_no_traceback(server, monkeypatch):
    def closed(_arguments: Any, _environ: Any, _face: Any) -> int:
        raise BrokenPipeError

    with tempfile.TemporaryFile("w") as file:
        monkeypatch.setattr(lairctl, "main", closed)
        monkeypatch.setattr(sys, "stdout", file)
        assert lairctl.run() == 1


# -- finding the server


def test_no_server_at_all(tmp_path):
    status = lairctl.main(["--data", str(tmp_path / "none"), "user", "list"], {}, face := Caught())
    assert status == 1
    assert "LC-CTL-NONE" in face.err[0]


def test_a_broken_configuration_does_not_hide_the_daemon_that_runs(server, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("[server\n")
    words = ["--config", str(broken)]
    face = Caught()
    assert lairctl.main([*words, "--data", str(server.data), "user", "list"], {}, face) == 0
    environ = {"LAIRCHAT_SERVER_DATA": str(server.data)}
    assert lairctl.main([*words, "user", "list"], environ, face) == 0
    assert face.err == []
    environ = {"XDG_DATA_HOME": str(tmp_path)}
    assert lairctl.main([*words, "user", "list"], environ, face) == 1
    assert "LC-CFG" in face.err[0]
    assert "broken.toml:1" in face.err[0]


def test_a_configuration_that_cannot_be_reached(tmp_path, monkeypatch):
    def refused(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied", "/etc/lairchat")

    monkeypatch.setattr(Path, "is_file", refused)
    face = Caught()
    assert lairctl.main(["user", "list"], {}, face) == 1
    assert face.err[0].startswith("LC-START-PERM  cannot use /etc/lairchat: permission denied.")


def test_other_users_are_kept_out(server):
    require("root")
    (parent := server.data.parent.parent).chmod(0o755)
    server.data.parent.chmod(0o755)
    # Everything is loaded before the rights are given up: the checkout may be root's alone.
    drop = (
        "import os, lairchat.lairctl as program; program.parser().parse_args([])\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    )

    def tried() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", drop + RUN, "--data", str(server.data), "user", "list"],
            env=environment(HOME="/nonexistent"), capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert done.stdout == ""
        return done.returncode, done.stderr.split()[0]

    assert tried() == (4, "LC-CTL-DENIED")
    # Not even where the modes would let them: the kernel says who they are.
    server.data.chmod(0o755)
    (server.data / "control").chmod(0o777)
    try:
        assert tried() == (4, "LC-CTL-DENIED")
    finally:
        server.data.chmod(0o700)
        (server.data / "control").chmod(0o600)
        parent.chmod(0o700)
    assert ctl(server, "user", "list")[0] == 0


# -- strangers' texts


def test_hostile_words_and_names(server):
    inside(server, "ban", "add", "ip", "192.0.2.255", "--reason", "first", "--yes")
    for number, text in enumerate(hostile.vectors()):
        address = f"198.51.{number // 250}.{number % 250}"
        ban = ["ban", "add", "ip", address, f"--reason={text}", "--yes"]
        for words in (
            [text], ["user", text], ["user", "show", text], ["user", "lock", text, "--yes"],
            ["room", "show", text], ["server", "broadcast", "--", text], ["user", "list", "|", text],
            ["user", "list", "|", "grep", text], ["config", "explain", text], ["help", text], ban,
        ):  # fmt: skip
            if not words[0] or words[0].startswith("-"):
                continue
            status, out, err = inside(server, *words)
            assert status in {0, 1, 2, 3}, (words, err)
            assert hostile.foreign(out + err) == set(), (words, out, err)
    for words in (["ban", "list"], ["ban", "list", "--json"], ["ban", "list", "--csv"]):
        status, out, err = inside(server, *words)
        assert (status, err) == (0, "")
        assert hostile.foreign(out) == set()
        assert out.count("198.51.") > 15
    rows = json.loads(inside(server, "ban", "list", "--json")[1])
    assert len(rows) > 15
    assert ctl(server, "server", "status")[0] == 0


def test_the_log_of_it_is_safe_and_has_a_line_each(server):
    inside(server, "user", "show", "\x1b[31mred")
    deadline = time.monotonic() + 10
    while not (lines := server.output.read_text("utf-8", "replace").splitlines())[-1].endswith(
        "-> 3 LC-USER-UNKNOWN"
    ):
        assert time.monotonic() < deadline, lines[-3:]
        time.sleep(0.02)  # the answer comes before the line is in the file
    assert hostile.foreign("".join(lines)) == set()
    audited = [line for line in lines if f"local:{os.getuid()} from lairctl: " in line]
    assert audited[-1].endswith("-> 3 LC-USER-UNKNOWN")


# -- files


def test_a_public_key_is_read_by_whoever_calls(server, tmp_path):
    ctl(server, "user", "create", "keeper", "--yes")
    file = tmp_path / "a key.pub"
    file.write_text(KEY)
    # There is no such account yet; what counts is that the key arrived.
    for words, given in ((["nobody1", str(file)], ""), (["nobody1", "-"], KEY)):
        status, _, err = ctl(server, "user", "key", "add", *words, given=given)
        assert (status, err.split()[0]) == (3, "LC-USER-UNKNOWN")
    status, _, err = ctl(server, "user", "key", "add", "nobody1", str(tmp_path / "none"))
    assert (status, err.split()[0]) == (1, "LC-CTL-FILE")
    assert "no such file" in err


def test_what_is_no_public_file_stays_here(tmp_path, monkeypatch):
    (tmp_path / "private").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "long").write_text("x" * (limits.PUBLIC_FILE_CHARS + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (
        ("private", "it holds a private key"),
        ("long", "it is too long"),
        ("binary", "it is not a text file"),
        ("none", "no such file or directory"),
        ("", "is a directory"),
        ("a\x00b", "embedded null byte"),
    ):
        with pytest.raises(ValueError, match=why):
            read_public(str(tmp_path / name))
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
    assert read_public("-") == KEY


def test_a_daemon_cannot_ask_for_files_that_nobody_named(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    asked = [str(secret), "/etc/passwd", "k"]
    answers: list[Any] = []
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        place = Path(directory) / "control"
        listener.bind(str(place))
        listener.listen()

        def be_evil() -> None:
            with listener.accept()[0] as peer, peer.makefile("rb") as lines:
                peer.sendall(control.encode(control.Hello("9")))
                lines.readline()
                for path in asked:
                    peer.sendall(control.encode(control.Read(path)))
                    answers.append(control.decode_caller(lines.readline()))
                peer.sendall(b"no JSON\n")

        evil = threading.Thread(target=be_evil)
        evil.start()
        face = Caught()
        arguments = ["--data", directory, "user", "key", "add", "bob", "k.pub"]
        assert lairctl.main(arguments, {}, face) == 1
        evil.join()
    assert [one.text for one in answers] == ["", "", ""]
    assert {one.why for one in answers} == {"the command does not name it"}
    assert "LC-CTL-LOST" in face.err[0]


def answering(*lines: bytes, words: Sequence[str] = ("user", "list")) -> tuple[int, str, str]:
    """Run lairctl against something that sends these lines and goes away."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        place = Path(directory) / "control"
        listener.bind(str(place))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as peer:
                peer.sendall(b"".join(lines))

        other = threading.Thread(target=answer)
        other.start()
        face = Caught()
        status = lairctl.main(["--data", directory, *words], {}, face)
        other.join()
        return status, "".join(face.out), "".join(face.err)


HELLO = control.encode(control.Hello("9"))


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ([], 1, "LC-CTL-LOST"),
        ([b"no JSON\n"], 1, "LC-CTL-LOST"),
        ([control.encode(control.Done(4))], 4, "LC-CTL-DENIED"),
        ([HELLO], 1, "LC-CTL-LOST"),
        ([HELLO, b'{"t": "text"'], 1, "LC-CTL-LOST"),
        ([HELLO, control.encode(control.Text("a", error=True)), HELLO], 1, "a"),
    ],
)
def test_daemons_that_are_none(lines, status, code):
    found, out, err = answering(*lines)
    assert (found, out) == (status, "")
    assert err.startswith(code)
    assert "LC-CTL" in err


def test_what_was_said_before_the_end_is_shown():
    # It went away before it was asked, and has said why.
    said = (HELLO, control.encode(control.Text("too late\n", error=True)))
    found, _, err = answering(*said, control.encode(control.Done(4)))
    assert (found, err) == (4, "too late\n")


def test_a_name_that_is_no_socket(tmp_path):
    (tmp_path / "control").mkdir()
    face = Caught()
    assert lairctl.main(["--data", str(tmp_path), "user", "list"], {}, face) == 1
    assert face.err


def test_a_socket_that_cannot_be_reached(tmp_path, monkeypatch):
    def refused(_path: Path) -> tuple[str, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(control, "short_name", refused)
    face = Caught()
    assert lairctl.main(["--data", str(tmp_path), "user", "list"], {}, face) == 1
    assert "too many open files" in face.err[0]


# -- more than one, and none


def test_two_at_once(server):
    def work(third: int) -> "subprocess.Popen[str]":
        lines = "; ".join(
            f"lairctl ban add ip 203.0.113.{third + number} --yes" for number in range(8)
        )
        script = f"lairctl() {{ '{sys.executable}' -P -c \"$RUN\" --data '{server.data}' \"$@\"; }}; {lines}"
        return subprocess.Popen(
            ["bash", "-ec", script], env=environment(RUN=RUN), stdout=subprocess.PIPE, text=True
        )

    both = [work(0), work(100)]
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert len(out.splitlines()) >= 8
    assert inside(server, "ban", "list", "|", "grep", "203.0.113.", "|", "count")[1] == "16\n"


def test_a_daemon_that_dies(tmp_path):
    server = DemoServer(tmp_path / "dies")
    server.start()
    try:
        process = start(server, "log", "tail", "--follow")
        assert process.stdout is not None
        process.stdout.readline()
        server.kill()
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err.split()[0]) == (1, "LC-CTL-LOST")
        # What it left behind is no daemon.
        assert (server.data / "control").exists()
        server.start()
        assert ctl(server, "server", "status")[0] == 0
    finally:
        server.stop()


def test_control_c_ends_what_goes_on(server):
    process = start(server, "log", "tail", "--follow")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "")


# -- at a terminal


@pytest.fixture
def terminal(server: DemoServer, tmp_path: Path) -> Iterator[Any]:
    opened: list[Terminal] = []
    home = tmp_path / "home"
    home.mkdir()

    def opening(*words: str, **more: Any) -> Terminal:
        arguments = ("--data", str(server.data), *words)
        opened.append(Terminal(home, *arguments, run=RUN, **more))
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


def test_a_question_is_answered_at_the_terminal(server, terminal):
    words = ("server", "shutdown", "--in", "9d")
    screen = terminal(*words)
    screen.until("would do:", "y/N")
    screen.line("")
    assert screen.wait() == 1
    assert screen.shows("nothing was done")
    screen = terminal(*words)
    screen.until("y/N")
    screen.line("y")
    assert screen.wait() == 0
    assert inside(server, "server", "shutdown", "--cancel")[0] == 0


def test_a_prompt(server, terminal):
    screen = terminal()
    screen.until(f"You are local:{os.getuid()}, owner.", "state", "running", "lairctl>")
    screen.type("serv\t")
    screen.until("lairctl> server ")
    screen.type("stat\t")
    screen.until("lairctl> server status")
    screen.line("--json | grep version | count")
    screen.until("\n1 ")
    screen.line("user show 'no body'")
    screen.until("LC-USER-UNKNOWN")
    screen.line("user 'open")
    screen.until("LC-CLI-QUOTE")
    screen.type("user show x\x03")
    screen.line("")
    screen.line("log tail --follow")
    screen.until(" info ")
    screen.type("\x03")
    screen.line("user list | count")
    screen.until("lairctl> user list | count")
    screen.line("exit")
    assert screen.wait() == 0
    screen = terminal()
    screen.until("lairctl>")
    screen.type("\x04")
    assert screen.wait() == 0


def test_a_prompt_where_no_server_runs(tmp_path):
    """It says so at each line, reads and mends, and hands over to a server that is started."""
    server = DemoServer(tmp_path / "stopped")
    server.start()
    server.stop()
    (tmp_path / "home").mkdir()
    arguments = ("--config", str(server.config), "--data", str(server.data))
    screen = Terminal(tmp_path / "home", *arguments, run=RUN)
    try:
        screen.until("offline: no server runs here", "state", "offline", "lairctl offline>")
        screen.type("db ch\t")
        screen.until("lairctl offline> db check")
        screen.line("")
        screen.until("sound")
        screen.line("user list | count")
        screen.until("\n0 ")
        screen.line("server maintenance on")
        screen.until("LC-NO-DAEMON")
        screen.line("user 'open")
        screen.until("LC-CLI-QUOTE")
        screen.line("db vacuum")
        screen.until("y/N")
        screen.type("\x03")
        screen.matches(r"(?s)y/N.*\nlairctl offline>\s*\Z")
        screen.line("db vacuum")
        screen.matches(r"(?s)y/N.*y/N")
        screen.line("y")
        screen.until("vacuumed")
        # Between commands the files are anybody's: another lairctl, then a server.
        assert ctl(server, "db", "check")[0] == 0
        server.start()
        screen.line("server status")
        screen.until("a server runs now", "running", "lairctl> ")
        screen.type("user li\t")
        screen.until("lairctl> user list")
        screen.line("")
        screen.line("exit")
        assert screen.wait() == 0
    finally:
        screen.close()
        server.stop()


def test_no_prompt_where_nobody_types(tmp_path):
    face = Caught()
    assert lairctl.main(["--data", str(tmp_path / "none")], {}, face) == 2
    assert "a command is needed here" in face.err[0]


def test_a_refusal_is_broken_between_words(server, terminal):
    for words in (("user", "show", "n" * 30), ("user", "lcok", "n" * 30)):
        whole = " ".join(inside(server, *words)[2].split())
        assert len(whole) > 60
        screen = terminal(*words, columns=60)
        assert screen.wait() != 0
        lines = [line.strip() for line in screen.text.splitlines() if line.strip()]
        assert " ".join(" ".join(lines).split()) == whole


def test_a_live_screen(server, terminal):
    screen = terminal("stats", "top", columns=80, rows=24)
    screen.until("WHAT", "q leaves")
    screen.resize(100, 10)
    screen.until("q leaves")
    time.sleep(0.5)
    screen.read()
    screen.type("x")
    screen.type("q")
    assert screen.wait() == 0
    assert b"\x1b[?1049l" in screen.output
    screen = terminal("stats", "top")
    screen.until("q leaves")
    screen.type("\x03")
    assert screen.wait() == 130
    assert screen.output.rstrip().endswith(b"\x1b[?1049l")


# -- the pieces


def test_a_width_for_what_is_no_terminal(monkeypatch):
    face = Caught()
    monkeypatch.setenv("COLUMNS", "132")
    assert face.columns() == 132
    monkeypatch.setenv("COLUMNS", "wide")
    assert face.columns() == 80


def test_tab_gives_readline_what_follows_the_last_blank(server, monkeypatch):
    with Daemon(server.data / "control") as daemon:
        tab = lairctl_face._Completer(OnlineShell(daemon, Face()))
        line = "config explain 'limits.mess"

        class Line:
            get_endidx = staticmethod(lambda: len(line))
            get_begidx = staticmethod(lambda: line.rfind(" ") + 1)
            get_line_buffer = staticmethod(lambda: line)

        monkeypatch.setattr(lairctl_face, "readline", Line)
        found = []
        while (choice := tab.choice("", len(found))) is not None:
            found.append(choice)
        assert "limits.message_burst" in found
        line = "server stat"
        assert tab.choice("", 0) == "status "
