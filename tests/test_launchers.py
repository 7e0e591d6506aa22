"""bin/lair, bin/lairctl, bin/lair-demo and bin/lair-test set up what they need, whatever gets in their way.

The launchers are run as they are, by a real shell, in a checkout that is a copy: a small one whose
setup.py asks for nothing (making its environment takes some seconds all the same, so most tests
start from a copy of one that is made), and once the real one.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import pexpect
import pytest

from tests.requirements import require

pytestmark = pytest.mark.checkout

TOP = Path(__file__).resolve().parent.parent
NOTHING_NEEDED = """\
REQUIRES = []
EXTRAS = {"test": [], "lint": [], "types": [], "docs": [], "release": []}
"""
# Stands in for the programs: says where it came from and what it was given.
PROGRAM = """\
import json, sys
import lairchat

def run():
    report = {
        "arguments": sys.argv[1:], "code": lairchat.__file__, "prefix": sys.prefix,
        "path": sys.path, "input": "" if sys.stdin.isatty() else sys.stdin.read(),
    }
    print(json.dumps(report))
    return 7 if "fail" in sys.argv else 0

if __name__ == "__main__":
    sys.exit(run())
"""
QUIET_MACHINE = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def lay_out(place: Path) -> Path:
    """Make a checkout of what the launchers touch, with programs that only report."""
    shutil.copytree(TOP / "bin", place / "bin")
    (place / "setup.py").write_text(NOTHING_NEEDED)
    for name in (
        "lairchat/client/main.py", "lairchat/demo.py", "lairchat/lairctl.py", "tests/suite.py",
    ):  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(PROGRAM)
    for name in ("lairchat/__init__.py", "lairchat/client/__init__.py"):
        (place / name).touch()
    return place


def start(
    place: Path | str, *arguments: str, given: str = "", **options
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(place), *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        **{"env": QUIET_MACHINE, **options},
    )


def report(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environments(checkout: Path) -> list[str]:
    """List what the launchers left in the checkout, except the lock, which may stay."""
    return sorted(path.name for path in checkout.glob(".venv*") if path.suffix != ".lock")


@pytest.fixture
def fresh(tmp_path) -> Path:
    return lay_out(tmp_path / "a check out")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> Path:
    checkout = lay_out(tmp_path_factory.mktemp("made") / "a check out")
    done = start(checkout / "bin/lair", "--a", "b c", given="typed early")
    assert done.stderr.startswith("lair: making .venv from setup.py")
    assert re.search(r"\nlair: made .venv in \d+ s\n$", done.stderr)
    said = report(done)
    assert said["arguments"] == ["--a", "b c"]
    assert said["input"] == "typed early"
    assert said["prefix"] == str(checkout / ".venv")
    return checkout


@pytest.fixture
def made(made_once, tmp_path) -> Path:
    """Copy the made checkout to another place, where it is as good as at the first."""
    return Path(shutil.copytree(made_once, tmp_path / "moved to", symlinks=True))


# --- when it is there


def test_a_start_needs_no_program_but_the_shell_and_the_python_it_made(made, tmp_path):
    (tmp_path / "empty").mkdir()
    done = start(made / "bin/lair", env={"PATH": str(tmp_path / "empty")})
    assert report(done)["code"] == str(made / "lairchat/__init__.py")
    assert done.stderr == ""


@pytest.mark.parametrize("program", ["lair", "lair-demo", "lairctl"])
def test_the_status_of_the_program_is_the_status_of_the_launcher(made, program):
    assert start(made / "bin" / program, "fail").returncode == 7
    assert start(made / "bin" / program, "win").returncode == 0


@pytest.mark.parametrize(
    ("directory", "command"),
    [
        ("/", "{top}/bin/lair"),
        ("{top}", "bin/lair"),
        ("{top}", "sh bin/lair"),
        ("{top}/bin", "./lair"),
        ("{top}/bin", "sh lair"),
        ("{top}/lairchat", "../bin/lair"),
        ("{top}/..", "{top}/../link"),
        ("/", 'PATH="{top}/bin:$PATH"; lair'),
        ("/", 'CDPATH=/usr; "{top}/bin/lair"'),
    ],
)
def test_it_may_be_called_from_anywhere_by_any_name(made, directory, command):
    (made.parent / "link").symlink_to(made / "bin/lair")
    line = command.format(top=made)
    if line.startswith(str(made)):
        line = f'"{line}"'
    done = start("/bin/sh", "-c", line, cwd=directory.format(top=made))
    assert report(done)["code"] == str(made / "lairchat/__init__.py")


def test_no_other_code_comes_before_that_of_the_checkout(made, tmp_path):
    trap = tmp_path / "trap"
    for name in ("lairchat/__init__.py", "json.py", "sitecustomize.py"):
        (trap / name).parent.mkdir(parents=True, exist_ok=True)
        (trap / name).write_text("raise SystemExit('trapped')")
    elsewhere = {"PYTHONPATH": str(trap), "PYTHONSTARTUP": str(trap / "json.py")}
    for program in ("lair", "lair-demo", "lairctl"):
        done = start(made / "bin" / program, cwd=trap, env=QUIET_MACHINE | elsewhere)
        assert report(done)["code"] == str(made / "lairchat/__init__.py")


def test_a_copied_checkout_runs_its_own_code_not_that_of_the_first(made, made_once):
    (made_once / "lairchat/marker.py").touch()
    source = "import importlib.util as u; print(u.find_spec('lairchat.marker'))"
    assert start(made / ".venv/bin/python", "-P", "-c", source).stdout == "None\n"


def test_setup_py_touched_makes_nothing_anew(made):
    os.utime(made / "setup.py", (2**31, 2**31))
    done = start(made / "bin/lair")
    assert report(done)
    assert done.stderr == ""
    os.utime(made / "setup.py", (1, 1))
    assert start(made / "bin/lair", env={"PATH": "/nowhere"}).returncode == 0


def test_a_start_costs_no_process_beside_the_shell(made):
    """About 1 ms; every process more would be felt before the first paint."""
    require("strace")
    traced = start(
        "strace", "-f", "-e", "trace=execve,fork,vfork,clone,clone3", str(made / "bin/lair")
    )
    calls = [line for line in traced.stderr.splitlines() if "(" in line and "resumed" not in line]
    assert len([line for line in calls if "execve(" in line]) == 2  # the shell, then Python
    assert len(calls) == 2, calls


# --- when it has to be made anew


def test_a_changed_setup_py_makes_it_anew(made):
    (made / ".venv/old").touch()
    (made / "setup.py").write_text(NOTHING_NEEDED + "# changed\n")
    os.utime(made / "setup.py", (2**31, 2**31))
    assert "made .venv" in start(made / "bin/lair").stderr
    assert not (made / ".venv/old").exists()
    assert environments(made) == [".venv"]


def test_an_interpreter_that_an_upgrade_removed_makes_it_anew(made):
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        (made / ".venv/bin" / name).unlink()
    (made / ".venv/bin/python").symlink_to("/usr/bin/python3.0")
    assert "made .venv" in start(made / "bin/lair").stderr


def test_starts_at_the_same_time_make_it_once(fresh):
    starts = [
        subprocess.Popen(
            [fresh / "bin/lair", str(number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=QUIET_MACHINE,
        )
        for number in range(4)
    ]
    said = [process.communicate() for process in starts]
    assert [json.loads(out)["arguments"] for out, _err in said] == [["0"], ["1"], ["2"], ["3"]]
    assert "".join(err for _out, err in said).count("made .venv") == 1
    assert environments(fresh) == [".venv"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_killed_leaves_nothing_that_looks_complete(fresh, number):
    first = subprocess.Popen(
        [sys.executable, "-P", fresh / "bin/.bootstrap.py", ".venv", "lair"],
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET_MACHINE,
        start_new_session=True,
    )
    assert "making .venv" in first.stderr.readline()
    while not (fresh / ".venv.new/bin").exists():  # it is at work now, for seconds
        assert first.poll() is None
    os.killpg(first.pid, number)
    assert first.wait() != 0
    first.stderr.close()
    assert environments(fresh) == ([".venv.new"] if number == signal.SIGKILL else [])
    if number == signal.SIGKILL:
        assert "made .venv" in start(fresh / "bin/lair").stderr
        assert environments(fresh) == [".venv"]


def test_the_scripts_in_it_work_where_it_stands(made_once):
    for path in (made_once / ".venv/bin").iterdir():
        if path.is_file() and not path.is_symlink():
            assert b".venv.new" not in path.read_bytes(), path
    done = start(made_once / ".venv/bin/pip", "--version")
    assert str(made_once / ".venv") in done.stdout


def test_on_a_terminal_progress_is_one_line_that_changes(fresh):
    terminal = pexpect.spawn(str(fresh / "bin/lair"), ["now"], encoding="utf-8")
    terminal.expect(r"\r\x1b\[Klair: making .venv")
    terminal.expect(r"\r\x1b\[Klair: made .venv in \d+ s\r\n")
    terminal.expect_exact('"arguments": ["now"]')
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


# --- when it cannot be made


@pytest.fixture
def machine(tmp_path):
    """A directory of programs that is the whole PATH of a machine."""
    directory = tmp_path / "programs"
    directory.mkdir()
    return directory


def install(machine: Path, name: str, script: str) -> None:
    (machine / name).write_text(f"#!/bin/sh\n{script}\n")
    (machine / name).chmod(0o755)


@pytest.mark.parametrize(
    ("programs", "command"),
    [
        (["apt-get"], "apt-get install python3 python3-venv"),
        (["dnf"], "dnf install python3"),
        (["pacman"], "pacman -S python"),
        (["apk"], "apk add python3"),
        (["brew"], "brew install python"),
        (["zypper"], "zypper install python311"),
        ([], "See https://www.python.org/downloads/"),
    ],
)
def test_without_python_the_command_that_installs_it_is_named(fresh, machine, programs, command):
    for program in programs:
        install(machine, program, "exit 1")
    done = start(fresh / "bin/lair", env={"PATH": str(machine)})
    assert done.returncode == 69
    complaint, advice = done.stderr.splitlines()
    assert complaint.startswith("lair: LC-SETUP-PYTHON  Python 3.11 or newer is needed")
    assert len(complaint) <= 80
    assert advice == command
    assert environments(fresh) == []


def test_an_old_python_is_named_with_the_command_that_installs_a_new_one(fresh, machine):
    install(machine, "python3", 'case "$2" in *platform*) echo 3.9.2 ;; *) exit 1 ;; esac')
    install(machine, "apt-get", "exit 1")
    done = start(fresh / "bin/lair", env={"PATH": str(machine)})
    assert done.returncode == 69
    complaint, advice = done.stderr.splitlines()
    assert complaint.endswith("is needed, and this is 3.9.2.")
    assert len(complaint) <= 80
    assert advice == "apt-get install python3.11 python3.11-venv"


def test_a_new_enough_python_by_another_name_is_found(made, machine):
    install(machine, "python3", "exit 1")
    install(machine, "python3.11", f'echo found >&2; exec "{sys.executable}" "$@"')
    os.utime(made / "setup.py", (2**31, 2**31))
    done = start(made / "bin/lair", env={"PATH": str(machine)})
    assert report(done)
    assert "found" in done.stderr


def without_venv(machine: Path, user: int) -> None:
    """Give the machine a Python as Debian's is before python3-venv is installed."""
    site = machine / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"""
import importlib.machinery, os
os.geteuid = lambda: {user}
find = importlib.machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    hidden = name == "ensurepip" and not os.path.exists({str(machine / "installed")!r})
    return None if hidden else find(name, path, target)
importlib.machinery.PathFinder.find_spec = find_spec
""")
    python = f'PYTHONPATH="{site}" exec "{sys.executable}" "$@"'
    install(machine, "python3", python)


@pytest.mark.skipif(
    not Path("/etc/debian_version").exists(), reason="Debian's packages; run it on Debian"
)
class TestWithoutVenvOnDebian:
    """python3-venv is a package of its own there, and a minimal machine lacks it."""

    def test_a_user_gets_exactly_the_one_command(self, fresh, machine):
        without_venv(machine, user=1000)
        install(machine, "apt-get", "echo called >&2")
        done = start(fresh / "bin/lair", env={"PATH": str(machine)})
        assert done.returncode == 69
        complaint, command = done.stderr.splitlines()
        assert complaint.startswith("lair: LC-SETUP-VENV  python3")
        assert len(complaint) <= 80
        assert re.fullmatch(r"apt-get install python3(\.\d+)?-venv", command)
        assert environments(fresh) == []

    def test_root_gets_it_installed_and_is_told(self, fresh, machine):
        without_venv(machine, user=0)
        calls = machine / "calls"
        # The list of packages is empty at first, as on a fresh machine.
        install(
            machine,
            "apt-get",
            f"""
echo "$@" >>"{calls}"
case $1 in
    update) : >"{machine / "updated"}" ;;
    install) [ -e "{machine / "updated"}" ] && : >"{machine / "installed"}" ;;
esac""",
        )
        done = start(fresh / "bin/lair", env={"PATH": str(machine)})
        assert report(done)["arguments"] == []
        assert re.search(r"missing; installing it: apt-get install -y python3", done.stderr)
        assert [line.split()[0] for line in calls.read_text().splitlines()] == [
            "install",
            "update",
            "install",
        ]

    def test_root_without_network_gets_the_command(self, fresh, machine):
        without_venv(machine, user=0)
        install(machine, "apt-get", "echo E: cannot resolve >&2; exit 100")
        done = start(fresh / "bin/lair", env={"PATH": str(machine)})
        assert done.returncode == 69
        assert done.stderr.splitlines()[-1].startswith("apt-get install python3")


def test_a_package_that_cannot_be_had_is_named_and_nothing_is_left(fresh):
    (fresh / "setup.py").write_text(NOTHING_NEEDED.replace("[]", "['./nothing here']", 1))
    done = start(fresh / "bin/lair")
    assert done.returncode == 69
    assert "lair: LC-SETUP-PIP  pip could not install what is needed" in done.stderr
    assert "nothing here" in done.stderr.splitlines()[-1]
    assert environments(fresh) == []


def test_a_directory_that_somebody_else_made_is_left_alone(fresh):
    (fresh / ".venv").mkdir()
    (fresh / ".venv/treasure").touch()
    done = start(fresh / "bin/lair")
    assert done.returncode == 73
    assert "LC-SETUP-FOREIGN" in done.stderr
    assert done.stderr.splitlines()[-1] == "mv .venv .venv-mine"
    assert (fresh / ".venv/treasure").exists()


def test_a_checkout_that_cannot_be_written_is_said_with_another_way(fresh):
    (fresh / ".venv.lock").mkdir()  # root may write everywhere, but not into this
    done = start(fresh / "bin/lair")
    assert done.returncode == 73
    assert "LC-SETUP-WRITE" in done.stderr
    assert done.stderr.splitlines()[-1] == f"pipx install '{fresh}'"


# --- the real thing


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_fresh_clone_reaches_a_talking_demo_and_a_daemon_twistd_can_find(tmp_path):
    require("git")
    if not (TOP / ".git").exists():
        raise SkipTest("there is nothing to clone: unpack the sources with git clone")
    clone = tmp_path / "fresh clone"
    subprocess.run(["git", "clone", "-q", TOP, clone], check=True)
    done = start(clone / "bin/lair-demo", "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert environments(clone) == [".venv"]
    listed = start(clone / ".venv/bin/twistd", "--help", cwd=tmp_path).stdout
    assert re.search(r"^ +lairchat +", listed, re.MULTILINE)
    assert not start("git", "-C", clone, "status", "--porcelain").stdout
