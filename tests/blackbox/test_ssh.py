"""The operators' shell, as the real OpenSSH client meets it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.blackbox.daemon import awaited
from tests.blackbox.operators import PATIENCE, OperatorTest, program
from tests.blackbox.terminals import Terminal

pytestmark = pytest.mark.blackbox

MANHOLE = '[ssh]\nendpoint = "tcp:0:interface=127.0.0.1"\nmanhole = true\n'
FINGERPRINT = re.compile(r"SSH host key +ed25519 +(SHA256:\S{43})")


class SshTest(OperatorTest):
    def sit_down(
        self, *words: str, columns: int = 80, rows: int = 24, name: str = "alice"
    ) -> Terminal:
        line = self.ssh_line(name, "-t", "127.0.0.1", *words)
        seat = Terminal(self.directory / "seat", program=line, columns=columns, rows=rows)
        self.addCleanup(seat.close)
        return seat

    def prompt(self, **size: int) -> Terminal:
        seat = self.sit_down(**size)
        seat.until("alice@localhost> ")
        return seat


class Scripts(SshTest):
    @awaited
    async def test_commands_answer_with_their_status_and_outputs(self) -> None:
        """`ssh HOST user key list --json | jq` works in scripts."""
        await self.operated()
        done = self.ssh("user", "key", "list", "--json")
        (row,) = json.loads(done.stdout)
        assert (done.returncode, done.stderr, row["user"]) == (0, "", "alice")
        assert row["fingerprint"] in self.printed()

        done = self.ssh("user", "kye", "list")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("LC-CLI-UNKNOWN")
        done = self.ssh("user", "key", "list", "nobody")
        assert (done.returncode, done.stdout) == (3, "")
        for words in (("user", "lock"), ("ban", "add", "user"), ("ban", "remove", "user")):
            done = self.ssh(*words, "alice", "--yes")
            assert (done.returncode, done.stdout) == (4, "")
            assert done.stderr.startswith("LC-OWN-ACCOUNT")
            assert "or use lairctl on the host" in done.stderr
            assert "/leave" not in done.stderr
        done = self.ssh("server", "status", "|", "json")
        assert json.loads(done.stdout)["state"] == "running"
        assert self.ssh("help").stdout == self.lairctl("help").stdout

    @awaited
    async def test_admin_is_any_administrator(self) -> None:
        await self.operated()
        assert self.ssh("server", "status", name="admin").returncode == 0
        assert self.ssh("server", "status", name="ALICE").returncode == 0

    @awaited
    async def test_what_asks_wants_yes_where_nobody_can_answer(self) -> None:
        await self.operated()
        key = self.new_key("second")
        self.add_key("alice", key)
        done = self.ssh("user", "key", "remove", "alice", "2")
        assert (done.returncode, done.stderr[:11]) == (2, "LC-CLI-ASKS")
        done = self.ssh("user", "key", "remove", "alice", "2", "--dry-run")
        assert done.returncode == 0, done
        assert self.ssh("server", "status", key=key).returncode == 0
        assert self.ssh("user", "key", "remove", "alice", "2", "--yes").returncode in {0, 255}
        assert self.ssh("server", "status", key=key).returncode == 255
        assert self.ssh("server", "status").returncode == 0

    @awaited
    async def test_lines_can_be_piped_in(self) -> None:
        await self.operated()
        done = self.ssh(
            stdin=b"server status | grep running\n\nuser key list | count\n", name="alice"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "running" in done.stdout
        assert done.stdout.endswith("1\n")
        done = self.ssh(stdin=b"server status | count\nno such thing")
        assert done.returncode == 2
        done = self.ssh(stdin=b"x" * 100_000)
        assert (done.returncode, done.stderr[:11]) == (2, "LC-CLI-LONG")

    @awaited
    async def test_every_command_is_audited_once_and_without_keys(self) -> None:
        await self.operated()
        before = len(self.audited())
        self.ssh("user", "key", "list")
        self.ssh("user", "key", "add", "alice", f"'{Path(f'{self.key}.pub').read_text().strip()}'")
        self.ssh("hunter2", "secret")
        lines = self.audited()[before:]
        assert [line.partition("127.0.0.1: ")[2] for line in lines] == [
            "user key list -> 0 ok",
            "user key add alice (file) -> 0 ok",
            "(no command) -> 2 LC-CLI-UNKNOWN",
        ]
        assert "hunter2" not in self.printed()
        assert Path(f"{self.key}.pub").read_text().split()[1] not in self.printed()


class ComingIn(SshTest):
    @awaited
    async def test_keys_that_open_nothing(self) -> None:
        """Wrong, unknown and revoked keys; a name that is an escape sequence."""
        await self.operated()
        stranger = self.new_key("stranger")
        rsa = self.directory / "key-rsa"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa], check=True
        )
        evil = "ali\u202ece\u200b"  # of escape sequences OpenSSH's client wants nothing to do
        for name, key in (
            ("alice", stranger),
            ("bob", self.key),
            ("nobody", stranger),
            ("alice", rsa),
            (evil, self.key),
            ("root", self.key),
            ("a" * 300, self.key),
        ):
            done = self.ssh("server", "status", name=name, key=key)
            assert (done.returncode, done.stdout) == (255, ""), name
            assert "Permission denied (publickey)" in done.stderr
        assert not re.search("[\u202e\u200b]", self.printed())
        assert self.printed().count("no shell for ") == 7

        self.add_key("alice", rsa)
        assert self.ssh("server", "status", key=rsa).returncode == 0
        sha1 = ("-o", "PubkeyAcceptedAlgorithms=ssh-rsa")
        assert self.ssh("server", "status", key=rsa, options=sha1).returncode == 255

        listed = json.loads(self.ssh("user", "key", "list", "--json").stdout)
        number = next(row["key"] for row in listed if row["kind"] == "ssh-rsa")
        assert self.lairctl("user", "key", "remove", "alice", str(number), "--yes").returncode == 0
        assert self.ssh("server", "status", key=rsa).returncode == 255

    @awaited
    async def test_passwords_are_not_even_asked_for(self) -> None:
        await self.operated()
        options = ("-o", "PubkeyAuthentication=no", "-v")
        done = self.ssh("server", "status", options=options)
        assert done.returncode == 255
        offered = re.findall(r"Authentications that can continue: (.*)", done.stderr)
        assert {one.strip() for one in offered} == {"publickey"}

    @awaited
    async def test_the_host_key_stays(self) -> None:
        """Shown at the first start, private, the same after a restart; a new one is not made."""
        await self.operated()
        found = FINGERPRINT.search(self.printed())
        assert found is not None
        assert re.search(r"listening on 127\.0\.0\.1:\d+, SSH\n", self.printed())
        path = self.server.data / "ssh_host_ed25519_key"
        assert path.stat().st_mode & 0o777 == 0o600
        shown = subprocess.run(
            ["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True
        )
        assert found[1] in shown.stdout
        before = path.read_bytes()
        self.server.stop()
        self.server.start()
        assert path.read_bytes() == before
        assert len(FINGERPRINT.findall(self.printed())) == 1
        options = ("-o", "StrictHostKeyChecking=yes")
        known = (
            (self.directory / "known_hosts").read_text() if self.ssh("help").returncode == 0 else ""
        )
        assert "ssh-ed25519" in known
        assert self.ssh("help", options=options).returncode == 0

    @awaited
    async def test_the_algorithms(self) -> None:
        """ssh-audit finds nothing that fails."""
        await self.operated()
        done = subprocess.run(
            [program("ssh-audit"), "-j", "-p", str(self.server.door("ssh")), "127.0.0.1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        report = json.loads(done.stdout)
        fails = [
            (kind, one["algorithm"], one["notes"]["fail"])
            for kind in ("kex", "key", "enc", "mac")
            for one in report[kind]
            if one.get("notes", {}).get("fail")
        ]
        assert fails == []
        assert report["cves"] == []
        assert {one["algorithm"] for one in report["key"]} == {"ssh-ed25519"}
        assert report["compression"] == ["none"]
        assert "throttling" not in json.dumps(report["additional_notes"])

    @awaited
    async def test_nothing_but_commands(self) -> None:
        """No forwarding, agent, environment, file transfer."""
        await self.operated()
        port = str(self.server.port)
        done = self.ssh(options=("-o", "LogLevel=INFO", "-W", f"127.0.0.1:{port}"))
        assert (done.returncode, "prohibited" in done.stderr) == (255, True)
        done = self.ssh("help", options=("-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"))
        assert done.returncode == 255
        done = self.ssh("help", options=("-A", "-o", "SetEnv=LAIRCHAT_DATA=/tmp/x"))
        assert done.returncode == 0
        done = self.ssh("sftp", options=("-s", "-o", "LogLevel=INFO"))
        assert (done.returncode, "subsystem request failed" in done.stderr) == (255, True)


class HalfOpen(SshTest):
    extra = ""

    @awaited
    async def test_half_open_handshakes_by_the_hundred(self) -> None:
        """They end by themselves, cost the source its allowance, and hold up nobody."""
        await self.operated()
        port = self.server.door("ssh")
        self.ssh("help")
        before = self._memory()
        held = []
        accepted = 0
        for number in range(400):
            one = socket.create_connection(("127.0.0.1", port), 5)
            one.settimeout(0.05 if number < 40 else 0.005)
            if number % 3:
                one.sendall(b"SSH-2.0-half\r\n" if number % 2 else b"\x00" * 50)
            try:
                accepted += one.recv(16).startswith(b"SSH-2.0")
            except TimeoutError:
                pass
            except ConnectionResetError:
                pass
            held.append(one)
        # Not more at once than one address may have; all others are closed at once.
        assert accepted <= 32
        began = time.monotonic()
        await self.alice.say(1, "chat goes on")
        assert time.monotonic() - began < 1.0
        assert self._memory() - before < 8 * 1024 * 1024
        for one in held:
            one.close()
        assert self.server.process is not None
        assert self.server.process.poll() is None

    def _memory(self) -> int:
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Hostile(SshTest):
    @awaited
    async def test_lines_of_every_hostile_string(self) -> None:
        """Each is refused in words, and moves neither a cursor nor the server."""
        await self.operated()
        master = self.directory / "m"
        line = self.ssh_line(
            "alice", "-M", "-S", str(master), "-o", "ControlPersist=60", "-N", "-f", "127.0.0.1"
        )
        subprocess.run(line, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        shared = ("-S", str(master))
        texts = hostile_texts()
        assert len(texts) > 150
        for text in texts:
            raw = text.replace("\0", "")
            if not raw.strip() or len(raw) > 100_000:  # Linux takes no longer argument
                continue
            for words in ((raw,), ("user", "key", "list", f"'{raw.replace(chr(39), chr(34))}'")):
                done = self.ssh(*words, options=shared)
                assert done.returncode in {0, 2, 3}, (text, done)
                shown = done.stdout + done.stderr
                assert not re.search(
                    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown
                )
        for raw in invalid_utf8():
            done = subprocess.run(
                [
                    *map(os.fsencode, self.ssh_line("alice", *shared, "--", "127.0.0.1")),
                    b"user " + raw,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PATIENCE,
            )
            assert (done.returncode, done.stderr[:11]) == (2, b"LC-CLI-TEXT")
        subprocess.run([*self.ssh_line("alice"), *shared, "-O", "exit", "127.0.0.1"], check=False)
        assert b"\x1b" not in self.server.output.read_bytes()
        assert self.ssh("help").returncode == 0

    @awaited
    async def test_a_client_that_never_reads(self) -> None:
        """It is not answered faster than it reads: 200 MB of answers stay where they are."""
        await self.operated()
        lines = self.directory / "lines"
        lines.write_bytes(b"help\n" * 200_000)
        self.ssh("help")
        before = self._resident()
        with lines.open("rb") as stdin:
            deaf = subprocess.Popen(
                self.ssh_line("alice", "127.0.0.1"), stdin=stdin, stdout=subprocess.PIPE
            )
        self.addCleanup(deaf.wait)
        self.addCleanup(deaf.kill)
        assert deaf.stdout is not None
        self.addCleanup(deaf.stdout.close)
        self._until_still(deaf.pid)
        deaf.send_signal(signal.SIGSTOP)
        self._until_still(self.server.pid)
        assert self._resident() - before < 16 * 1024
        began = time.monotonic()
        assert self.ssh("server", "status").returncode == 0
        assert time.monotonic() - began < 5.0
        deaf.send_signal(signal.SIGCONT)
        assert len(deaf.stdout.read(5_000_000)) == 5_000_000  # and when it reads, it goes on

    def _until_still(self, pid: int) -> None:
        """Wait until a process has used no processor for half a second: all its buffers are full."""
        deadline, used = time.monotonic() + PATIENCE, -1
        while True:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            now = int(fields[11]) + int(fields[12])  # ticks in user mode and in the kernel's
            if now - used <= 1:
                return
            used = now
            assert time.monotonic() < deadline, "it never comes to rest"
            time.sleep(0.5)

    def _resident(self) -> int:
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def _vectors() -> dict:
    place = os.environ.get("LAIRCHAT_VECTORS") or (
        Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
    )
    path = Path(place) / "hostile" / "vectors.json"
    if not path.exists():
        pytest.skip(f"no test vectors in {place}: set LAIRCHAT_VECTORS to their directory")
    return json.loads(path.read_text())


def hostile_texts() -> list[str]:
    found = _vectors()
    texts = [text for _, text in found["terminal_text"] + found["unicode_text"]]
    for kind in (
        "usernames_reject", "file_names", "ssrf_urls", "fts_queries", "xss", "csv_log", "regex_dos",
    ):  # fmt: skip
        texts += found[kind]
    naughty = _vectors_directory() / "blns" / "blns.json"
    texts += json.loads(naughty.read_text())[:60] if naughty.exists() else []
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _vectors_directory() -> Path:
    return Path(
        os.environ.get("LAIRCHAT_VECTORS")
        or Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
    )


def invalid_utf8() -> list[bytes]:
    return [bytes.fromhex(one) for one in _vectors()["invalid_utf8_hex"]]


class Shell(SshTest):
    @awaited
    async def test_a_session_at_a_terminal(self) -> None:
        """Greeting, Tab, help, history, editing, an unknown command, exit."""
        await self.operated()
        seat = self.prompt()
        assert "You are alice, owner" in seat.text
        assert re.search(r"state +running", seat.text)
        seat.type("ser\t")
        seat.until("alice@localhost> server ")
        seat.type("sta\t| count\r")
        seat.until("server status | count")
        seat.type("confg\r")
        seat.until("LC-CLI-UNKNOWN")
        assert not re.search("> *LC-CLI-UNKNOWN", seat.text)  # it came before the next prompt
        seat.type("\x1b[A\x1b[Di\x1b[H#\x7f\x1b[F")
        seat.until("alice@localhost> config")
        seat.type("\x15help\r")
        seat.until("NOUN VERB")
        seat.type("server ?\r")
        seat.until("server status")
        seat.type("exit\r")
        assert seat.wait() == 0

    @awaited
    async def test_the_window_changes(self) -> None:
        await self.operated()
        seat = self.prompt()
        long = "x" * 60
        seat.type(long)
        seat.until(long)
        seat.resize(40, 12)
        seat.until("<" + "x" * 10)
        for line in seat.screen.display:
            assert len(line.rstrip()) <= 40
        seat.resize(120, 40)
        seat.until("alice@localhost> " + long)
        seat.type("\x03help server\r")
        seat.until("server status")
        for columns, rows in ((20, 6), (1, 1), (200, 60), (80, 24)) * 5:
            seat.resize(columns, rows)
        seat.type("\x0cexit\r")
        assert seat.wait() == 0

    @awaited
    async def test_questions_are_asked_and_answered(self) -> None:
        await self.operated()
        self.add_key("alice", self.new_key("second"))
        seat = self.prompt()
        seat.type("user key remove alice 2\r")
        seat.until("Do it? y/N")
        seat.type("\r")
        seat.until("nothing was done")
        seat.type("\x0cuser key remove alice 2\r")
        seat.until("Do it? y/N")
        seat.type("\x03")
        seat.until("nothing was done")
        # Typed ahead is not an answer, whatever it was.
        seat.type("\x0cuser key remove alice 2\ry\r")
        seat.until("Do it? y/N")
        seat.type("n\r")
        seat.until("nothing was done")
        assert self.ssh("user", "key", "list", "|", "count").stdout == "2\n"
        other = self.sit_down("user", "key", "remove", "alice", "2")
        other.until("Do it? y/N")
        other.type("y\r")
        other.until("removed key 2 of alice")
        assert other.wait() in {0, 255}

    @awaited
    async def test_live_screens_are_left_with_a_key(self) -> None:
        await self.operated()
        seat = self.prompt()
        seat.type("stats top\r")
        seat.until("q or Ctrl-C leaves")
        assert "alice@localhost" not in seat.text
        seat.resize(60, 12)
        seat.type("xyz")
        seat.type("q")
        seat.until("alice@localhost> ", gone="q or Ctrl-C leaves")
        seat.type("log tail --follow\r")
        seat.until("alice opened the shell")
        before = len(seat.output)
        self.ssh("no-such-noun")
        seat.until("alice from ssh")
        while len(seat.output) == before:
            seat.read()
        seat.type("\x03")
        seat.type("\x0cserver status | grep running\r")
        seat.until("running")
        top = self.sit_down("stats", "top")
        top.until("q or Ctrl-C leaves")
        top.type("q")
        assert top.wait() == 0

    @awaited
    async def test_a_paste_does_nothing_by_itself(self) -> None:
        await self.operated()
        seat = self.prompt()
        before = len(self.audited())
        seat.type("\x1b[200~server status\nserver status\n\x1b[201~")
        seat.until("alice@localhost> server status server status")
        assert len(self.audited()) == before

    @awaited
    async def test_the_session_ends_with_the_right_to_it(self) -> None:
        await self.operated()
        second = self.new_key("second")
        self.add_key("alice", second)
        seat = self.prompt()
        began = time.monotonic()
        listed = json.loads(self.lairctl("user", "key", "list", "--json").stdout)
        number = next(row["key"] for row in listed if row["label"] == "alice")
        assert self.lairctl("user", "key", "remove", "alice", str(number), "--yes").returncode == 0
        removed = time.monotonic()
        assert seat.wait() == 255
        assert time.monotonic() - removed < 1.0 or time.monotonic() - began < 3.0
        assert "LC-SSH-ENDED" in seat.text

    @awaited
    async def test_who_is_demoted_is_out_of_the_account_he_had_a_key_to(self) -> None:
        """An administrator leaves his own key in a moderator's account, and sits there."""
        await self.friends("alice", "adam", "mona")
        for name, role in (("adam", "admin"), ("mona", "moderator")):
            assert self.lairctl("user", "role", name, role).returncode == 0
        self.key = self.new_key("adam")
        self.add_key("adam", self.key)
        hidden = self.new_key("hidden")
        line = Path(f"{hidden}.pub").read_text("ascii").split()
        added = self.ssh("user", "key", "add", "mona", *line, name="adam")
        assert added.returncode == 0, added
        self.key = hidden
        seat = self.sit_down(name="mona")
        seat.until("mona@localhost> ")
        fallen = self.lairctl("user", "role", "adam", "user")
        assert "1 key that adam added to others suspended" in fallen.stdout, fallen
        began = time.monotonic()
        assert seat.wait() == 255
        assert time.monotonic() - began < 1.0
        assert b"LC-SSH-KEY-SUSPENDED" in seat.output
        again = self.ssh("server", "status", name="mona", options=("-o", "LogLevel=INFO"))
        assert again.returncode == 255
        assert "LC-SSH-KEY-SUSPENDED" in again.stderr, again
        (row,) = json.loads(self.lairctl("user", "key", "list", "mona", "--json").stdout)
        assert (row["by"], row["state"]) == ("adam", "suspended")

    @awaited
    async def test_the_server_stops_beside_an_open_shell(self) -> None:
        await self.operated()
        seat = self.prompt()
        began = time.monotonic()
        self.server.stop()
        assert time.monotonic() - began < 5.0
        assert seat.wait() == 255
        assert "LC-SHUTDOWN" in seat.text


class Manhole(SshTest):
    extra = MANHOLE

    @awaited
    async def test_the_python_prompt(self) -> None:
        """For the owner, at a terminal, if the configuration allows it; both ends logged."""
        await self.operated()
        seat = self.sit_down("manhole")
        seat.until(">>> ")
        for name in ("db", "hub", "users", "kernel"):
            assert re.search(rf"^  {name} +\S", seat.text, re.MULTILINE)
        seat.type("[one.name for one in users.values()]\r")
        seat.until("['alice']")
        seat.type("print('\\x1b]0;pwned\\x07' + 'end')\r")
        seat.until("]0;pwned", "end")
        assert b"\x1b]0;pwned" not in seat.output
        seat.type("db.read(lambda c: c.exec_driver_sql('select 6 * 7').scalar())\r")
        seat.until("called back: 42")
        seat.resize(100, 30)
        seat.type("\u00e4\x04")
        assert seat.wait() == 0
        assert "manhole (opened)" in self.printed()
        assert "manhole (left)" in self.printed()
        done = self.ssh("manhole")
        assert (done.returncode, done.stderr[:15]) == (2, "LC-CLI-TERMINAL")
        shell = self.prompt()
        shell.type("manhole\r")
        shell.until(">>> ")
        shell.type("1 + 1\r")
        shell.until("\n2 ")
        shell.type("\x04")
        shell.until("alice@localhost> ")
        shell.type("server status | grep running\r")
        shell.until("running")


class NoManhole(SshTest):
    @awaited
    async def test_the_python_prompt_is_off(self) -> None:
        await self.operated()
        seat = self.sit_down("manhole")
        assert seat.wait() == 4
        assert "LC-MANHOLE-OFF" in seat.text
