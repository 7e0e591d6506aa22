"""Make an environment of this checkout: ``.venv`` to run from it, ``.venv-test`` to work on it.

Called by bin/.bootstrap with the environment's name and the launcher's, when the environment is
missing or setup.py is younger than it.  What is built stands in ``NAME.new`` until it is complete
and is then renamed, so nobody meets half an environment; a lock makes the second of two starts wait
for the first.  The environment holds the requirements that setup.py states and one line of path
that leads back to the checkout, relative, so that the code beside it is what runs, also for twistd
and also after the whole directory was moved or copied.

Everything is said on standard error: standard output and input belong to the program that follows.
"""

import ast
import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

TOP = Path(__file__).resolve().parent.parent
# Which extras of setup.py each environment gets on top of the requirements, and about how many
# seconds that takes.  What only lint, types and docs need is in tox's environments.
EXTRAS_OF: dict[str, tuple[str, ...]] = {".venv": (), ".venv-test": ("test", "release")}
SECONDS = {".venv": 15, ".venv-test": 25}
UNAVAILABLE, CANNOT_CREATE, INTERRUPTED = 69, 73, 130  # sysexits; 128 + SIGINT


class Voice:
    """Progress on standard error: one line that changes on a terminal, a line a step elsewhere."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.moving = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self._write(
            f"\r\033[K{self.program}: {text}" if self.moving else f"{self.program}: {text}\n"
        )

    def detail(self, text: str) -> None:
        """Say how far the step is; nobody needs that in a log."""
        if self.moving:
            self.step(text)

    def end(self, text: str) -> None:
        """Say what came of it, on a line that stays."""
        self.step(text)
        if self.moving:
            self._write("\n")

    def refuse(self, status: int, code: str, text: str, *commands: str) -> NoReturn:
        """Say what failed and the command that mends it, alone on its line, and leave."""
        self.end(f"{code}  {text}")
        for command in commands:
            self._write(f"{command}\n")
        raise SystemExit(status)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def stated(name: str) -> Any:
    """Read a literal from setup.py without running it: setuptools may not be there yet."""
    tree = ast.parse((TOP / "setup.py").read_bytes())
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [
            name
        ]:
            return ast.literal_eval(node.value)
    raise SystemExit(f"setup.py states no {name}")


def requirements(name: str) -> list[str]:
    """List what the environment of that name needs, as pip takes it."""
    extras = stated("EXTRAS")
    return [*stated("REQUIRES"), *(item for extra in EXTRAS_OF[name] for item in extras[extra])]


def digest() -> str:
    """Identify what an environment was made from: the requirements and this recipe."""
    sources = (TOP / "setup.py").read_bytes(), Path(__file__).read_bytes()
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


@contextlib.contextmanager
def lock(path: Path, voice: Voice) -> Iterator[None]:
    """Hold the lock of one environment; the kernel lets go of it however this process ends."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            voice.step("waiting for another start that is setting up")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_current(place: Path) -> bool:
    """Tell whether the environment was made from what setup.py says now, and can start."""
    try:
        return (place / "stamp").read_text() == digest() and os.access(
            place / "bin/python", os.X_OK
        )
    except FileNotFoundError:
        return False


def demand_venv(voice: Voice) -> None:
    """Return when this Python can make environments; on Debian, root installs what is missing."""
    if _can_make_environments():
        return
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    is_default = Path("/usr/bin/python3").resolve().name == f"python{number}"
    package = "python3-venv" if is_default else f"python{number}-venv"
    command = ["apt-get", "install", "-y", package]
    on_debian = Path("/etc/debian_version").exists() and shutil.which("apt-get")
    if on_debian and os.geteuid() == 0:
        voice.end(f"{package} is missing; installing it: {' '.join(command)}")
        # The list of packages of a fresh machine is empty: then fetch it, and try again.
        if not _apt(command):
            _apt(["apt-get", "update"])
            _apt(command)
        importlib.invalidate_caches()
        if _can_make_environments():
            return
    if on_debian:
        voice.refuse(
            UNAVAILABLE,
            "LC-SETUP-VENV",
            f"{package} is missing. As root, run this and start again:",
            " ".join(command[:2] + command[3:]),
        )
    voice.refuse(
        UNAVAILABLE,
        "LC-SETUP-VENV",
        f"{sys.executable} comes without its modules venv and ensurepip. Install them.",
    )


def _can_make_environments() -> bool:
    return all(importlib.util.find_spec(module) for module in ("venv", "ensurepip"))


def _apt(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, check=False
    )
    return done.returncode == 0


def build(place: Path, voice: Voice) -> None:
    """Make the environment beside its final name, then give it that name."""
    new = place.with_name(f"{place.name}.new")
    old = place.with_name(f"{place.name}.old")
    for leftover in (new, old):  # of a start that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        _fill(new, place, voice)
        if place.exists():
            place.rename(old)
        new.rename(place)
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _fill(new: Path, place: Path, voice: Voice) -> None:
    # The interpreter by its full version: when an upgrade takes it away, the link dangles and the
    # next start builds anew; "python3" would silently become one that finds no library here.
    exact = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    maker = str(exact) if exact.exists() else sys.executable
    made = _run([maker, "-m", "venv", "--prompt", "lairchat", str(new)])
    if made.returncode:
        _fail("LC-SETUP-VENV", f"{maker} could not make an environment:", made.stdout, voice)
    python = str(new / "bin" / "python")
    _install(python, requirements(place.name), voice)
    asked = _run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    packages = Path(asked.stdout.strip())
    (packages / "lairchat-checkout.pth").write_text(os.path.relpath(TOP, packages) + "\n")
    _rename_inside(new, place)
    (new / "stamp").write_text(digest())


def _install(python: str, wanted: list[str], voice: Voice) -> None:
    if not wanted:
        return
    voice.detail(f"asking for {len(wanted)} packages")
    command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *wanted]
    said = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        collected = 0
        try:
            for line in pip.stdout:
                said.append(line)
                if line.startswith("Collecting "):
                    collected += 1
                    voice.detail(f"fetching package {collected}: {line.split()[1]}")
                elif line.startswith("Installing collected packages"):
                    voice.detail(f"installing {collected} packages")
        except BaseException:
            pip.kill()  # leaving the block would wait for pip to finish in its own time
            raise
    if pip.returncode:
        errors = [line for line in said if line.startswith("ERROR")] or said[-3:]
        _fail("LC-SETUP-PIP", "pip could not install what is needed:", "".join(errors), voice)


def _fail(code: str, text: str, reason: str, voice: Voice) -> NoReturn:
    lines = [line[:200] for line in reason.strip().splitlines()[-3:]]
    voice.refuse(
        UNAVAILABLE, code, f"{text} Nothing was left behind; starting again tries again.", *lines
    )


def _rename_inside(new: Path, place: Path) -> None:
    """Let the scripts name the place where they will stand, not the one where they were made."""
    for path in [new / "pyvenv.cfg", *(new / "bin").iterdir()]:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            path.write_bytes(content.replace(os.fsencode(new), os.fsencode(place)))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def list_plugins(place: Path) -> None:
    """Let Twisted write its list of plugins now: later the directory may be read-only.

    Without the list twistd looks for itself, a little slower, so nothing depends on this.
    """
    source = "from twisted.plugin import IPlugin, getPlugins\nlist(getPlugins(IPlugin))"
    _run([str(place / "bin" / "python"), "-P", "-c", source])


def set_up(name: str, voice: Voice) -> None:
    """Bring the environment of that name up to date, if it is not."""
    place = TOP / name
    with lock(TOP / f"{name}.lock", voice):
        if is_current(place):
            # setup.py was only touched, or another start was faster.
            (place / "stamp").touch()
            return
        if place.exists() and not (place / "stamp").exists():
            voice.refuse(
                CANNOT_CREATE,
                "LC-SETUP-FOREIGN",
                f"{name} was not made by the launchers. Move it away and start again:",
                f"mv {name} {name}-mine",
            )
        demand_venv(voice)
        started = time.monotonic()
        voice.step(f"making {name} from setup.py (once; about {SECONDS[name]} s)")
        build(place, voice)
        list_plugins(place)
        voice.end(f"made {name} in {time.monotonic() - started:.0f} s")


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main(name: str, program: str) -> None:
    """Set up one environment for one launcher; every way out leaves nothing half made."""
    voice = Voice(program)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        set_up(name, voice)
    except KeyboardInterrupt:
        voice.refuse(INTERRUPTED, "LC-SETUP-STOPPED", "stopped; nothing was left behind")
    except OSError as error:
        voice.refuse(
            CANNOT_CREATE,
            "LC-SETUP-WRITE",
            f"cannot set up {TOP / name}: {error.strerror or error}. Without this directory:",
            f"pipx install {shlex.quote(str(TOP))}",
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
