"""Name the system components that a test needs, and skip the test with a way to get them.

``require("tmux")`` at the top of a test, of a ``setUp`` or of a module lets the test run where tmux
is installed, and skips it elsewhere with the command that installs it.  Continuous integration sets
``LAIRCHAT_CI``, and there a missing component is a failure: a green run has skipped nothing.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest import SkipTest


class Component(NamedTuple):
    """Something that a machine has or has not: how to look, and the command that brings it."""

    present: Callable[[], bool]
    remedy: str


def faketime_library() -> Path | None:
    """Find the library that ``LD_PRELOAD`` takes to make a process believe in another time."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def _runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
    except FileNotFoundError:
        return False


def _reads_memory() -> bool:
    """Tell whether the kernel lets us read the memory of a process that we have started."""
    with subprocess.Popen(["sleep", "20"]) as child:
        try:
            Path(f"/proc/{child.pid}/mem").open("rb").close()
        except OSError:
            return False
        finally:
            child.kill()
    return True


def _program(name: str, package: str) -> Component:
    return Component(lambda: shutil.which(name) is not None, f"apt-get install {package}")


COMPONENTS = {
    "curl": _program("curl", "curl"),
    "dpkg-buildpackage": Component(
        lambda: _runs("dpkg", "--status", "dpkg-dev") and _runs("dpkg", "--status", "debhelper"),
        "apt-get install dpkg-dev debhelper python3-venv",
    ),
    "gcc": _program("gcc", "gcc libc6-dev"),
    "git": _program("git", "git"),
    "ip": _program("ip", "iproute2"),
    "libfaketime": Component(
        lambda: faketime_library() is not None,
        "apt-get install libfaketime",
    ),
    "libssl": Component(
        lambda: Path("/usr/include/openssl/ssl.h").exists(),
        "apt-get install libssl-dev",
    ),
    "machines": Component(
        lambda: (
            Path("/lib/systemd/systemd").exists()
            and _runs(
                *("unshare", "--cgroup", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net"),
                *("mount", "-t", "cgroup2", "cgroup", "/mnt"),
            )
            and _runs("unshare", "--user", "true")
        ),
        "apt-get install systemd dbus, and run the tests as root, not in a chroot, where all"
        " namespaces may be made",
    ),
    "make": _program("make", "make"),
    "man": _program("man", "man-db"),
    "memory": Component(
        _reads_memory,
        "sysctl kernel.yama.ptrace_scope=1, or run the tests as root where processes may be traced",
    ),
    "mls-rs": Component(
        lambda: find_spec("mls_rs_uniffi") is not None,
        "pip install agentvault-mls-rs-uniffi (x86_64 only)",
    ),
    "mmdebstrap": _program("mmdebstrap", "mmdebstrap"),
    "mounts": Component(
        lambda: _runs("unshare", "--mount", "true"),
        "run the tests as root where mount namespaces may be made",
    ),
    "networks": Component(
        lambda: _runs("unshare", "--net", "true"),
        "run the tests as root where network namespaces may be made",
    ),
    "nft": _program("nft", "nftables"),
    "nghttp": _program("nghttp", "nghttp2-client"),
    "openssl": _program("openssl", "openssl"),
    "pipx": _program("pipx", "pipx"),
    "podman": _program("podman", "podman"),
    "prometheus": _program("prometheus", "prometheus"),
    "promtool": _program("promtool", "prometheus"),
    "root": Component(lambda: os.geteuid() == 0, "run the tests as root"),
    "runc": _program("runc", "runc"),
    "ssh": _program("ssh", "openssh-client"),
    "strace": _program("strace", "strace"),
    "sudo": _program("sudo", "sudo"),
    "systemd-analyze": _program("systemd-analyze", "systemd"),
    "systemd-socket-activate": _program("systemd-socket-activate", "systemd"),
    "tmux": _program("tmux", "tmux"),
}


@functools.cache
def _present(name: str) -> bool:
    return COMPONENTS[name].present()


def require(*names: str) -> None:
    """Return if this machine has every named component; otherwise skip, or fail where CI says so.

    Raises unittest.SkipTest, which pytest and trial both understand, in tests and in modules.
    """
    missing = [name for name in names if not _present(name)]
    if not missing:
        return
    advice = "; ".join(f"{name} is missing: {COMPONENTS[name].remedy}" for name in missing)
    if os.environ.get("LAIRCHAT_CI"):
        raise AssertionError(f"nothing may be skipped here, but {advice}")
    raise SkipTest(advice)
