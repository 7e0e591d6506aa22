"""A machine of its own: this one with every change on top of it, and a real systemd as process 1.

Its processes, mounts, control groups and network are its own and end with it; its disk is memory.
Only what systemd itself brings is started, whatever else this machine has enabled.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.requirements import require

#: The group first: where the namespace of groups is made, there is its top.
OUTSIDE = """
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/groups" "$1/upper" "$1/scratch" "$1/system"
mount -t cgroup2 cgroup "$1/groups"
mkdir "$1/groups/$2"
echo $$ >"$1/groups/$2/cgroup.procs"
exec unshare --cgroup --mount --pid --fork --kill-child --uts --ipc --net sh -c "$3" sh "$1"
"""
#: pivot_root, because in a mere chroot systemd may make no user namespaces.
INSIDE = """
set -eu
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/scratch" "$1/system"
cat /etc/resolv.conf >"$1/resolv.conf"
cd "$1/system"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in full null random tty urandom zero; do
    : >dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
rm -rf etc/systemd/system/*.wants var/log/journal etc/resolv.conf
mv "$1/resolv.conf" etc/resolv.conf
: >etc/machine-id
ip link set lo up
pivot_root . mnt
umount -l /mnt
exec env -i container=lair-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=journal
"""
#: Groups outlast who was in them.
SWEEP = """
mount -t cgroup2 cgroup "$1"
test ! -e "$1/$2" || find "$1/$2" -depth -type d -exec rmdir {} +
"""
#: How pip is told where packages are.
FETCHING = ("PIP_", "SSL_CERT", "REQUESTS_CA", "http_proxy", "https_proxy", "no_proxy")
HOME = "/home/alice"
PATIENCE = 30.0


class Machine:
    """A machine on which alice may do what she likes with sudo; whoever made it stops it."""

    def __init__(self) -> None:
        require("machines", "sudo")
        self.directory = Path(tempfile.mkdtemp(prefix="lair-test-"))
        script = ["sh", "-c", OUTSIDE, "sh", str(self.directory), self.directory.name, INSIDE]
        # However this process ends, the machine ends with it.
        alone = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount"]
        self.outside = subprocess.Popen([*alone, *script], stderr=subprocess.PIPE)

    def boot(self) -> None:
        """Wait until everything that systemd has to start has started."""
        deadline = time.monotonic() + PATIENCE
        said = ""
        while said not in {"running", "degraded"}:
            assert self.outside.poll() is None, self.outside.communicate()[1].decode()
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
            if self.first:
                asked = ["systemctl", "is-system-running", "--wait"]
                said = self._run(self._enter("/", online=False) + asked).stdout.strip()
        assert said == "running", self.as_root("systemctl --failed")
        self.as_root(
            "useradd --create-home --shell /bin/bash alice\n"
            "echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice"
        )

    @property
    def first(self) -> int:
        """Its first process, by the number that it has outside; 0 where there is none."""
        children = Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children")
        return int(children.read_text() or 0) if self.outside.poll() is None else 0

    def _enter(self, place: str, *, online: bool) -> list[str]:
        names = ["cgroup", "ipc", "mount", "pid", "uts", *([] if online else ["net"])]
        spaces = [f"--{name}" for name in names]
        return ["nsenter", f"--target={self.first}", *spaces, "--root", f"--wdns={place}"]

    @staticmethod
    def _run(words: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, input=text, capture_output=True, check=False, text=True, timeout=300
        )

    def as_root(self, script: str, *, place: str = "/", online: bool = False) -> str:
        """Run a script that has to succeed, and return what it says."""
        done = self._run([*self._enter(place, online=online), "sh", "-euc", script])
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def line(self, command: str, *, place: str = HOME, online: bool = False) -> list[str]:
        """Return what gives a command to alice's shell, as if she had just logged in.

        online: with the network of this machine in place of its own, to fetch what it installs.
        """
        given = [f"{k}={v}" for k, v in os.environ.items() if k.startswith(FETCHING)]
        alice = ["--reuid=alice", "--regid=alice", "--init-groups", "--reset-env"]
        shell = ["LC_ALL=C.UTF-8", "TERM=xterm", "bash", "--login", "-c", command]
        return [
            *self._enter(place, online=online),
            *("setpriv", *alice, "env", *(given if online else ()), *shell),
        ]

    def run(
        self, command: str, text: str = "", *, place: str = HOME, online: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """Give a command to alice's shell, and ``text`` to the command."""
        return self._run(self.line(command, place=place, online=online), text)

    @property
    def root(self) -> Path:
        """Its file system, as seen from outside."""
        return Path(f"/proc/{self.first}/root")

    def put(self, source: Path, target: str) -> None:
        """Give a directory to alice."""
        shutil.copytree(source, self.root / target.lstrip("/"), symlinks=True)
        self.as_root(f"chown -R alice: {target}")

    def stop(self) -> None:
        """Switch it off; nothing of it is left."""
        # Once the first process of a machine has ended and is waited for, so have all others.
        if first := self.first:
            os.kill(first, signal.SIGKILL)
        else:
            self.outside.kill()
        self.outside.communicate()
        sweep = ["sh", "-euc", SWEEP, "sh", str(self.directory), self.directory.name]
        subprocess.run(["unshare", "--mount", *sweep], check=True)
        self.directory.rmdir()
