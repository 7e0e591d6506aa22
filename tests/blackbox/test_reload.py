"""A reload with each kind of broken configuration while people chat, and with good ones.

A bad file never changes anything and drops nobody; a good one is applied whole, at once, and says
what waits for a restart (ux.md, target 20).
"""

import json
import os
import signal
import time
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from lairchat.features.accounts import messages as accounts
from lairchat.model.refusals import RateLimited, RegistrationClosed
from lairchat.transports.certificate import make_self_signed
from tests.authority import Authority
from tests.blackbox.daemon import DaemonTest, awaited, lairctl_beside

pytestmark = pytest.mark.blackbox


def now() -> int:
    return time.time_ns() // 1_000_000


class Chatter:
    """Two people who chat all the time: what one says the other hears, in order, once."""

    def __init__(self, speaker, listener) -> None:
        self.speaker, self.listener = speaker, listener
        self.said: list[int] = []
        self.going = True
        self.longest = 0.0
        self.done = Deferred.fromCoroutine(self._go())

    async def _go(self) -> None:
        while self.going:
            began = time.monotonic()
            sent = await self.speaker.say(1, f"message {len(self.said)}")
            await self.listener.hear(1, sent.seq)
            self.longest = max(self.longest, time.monotonic() - began)
            self.said.append(sent.seq)
            await deferLater(reactor, 0.005)

    async def stop(self) -> None:
        self.going = False
        await self.done


#: What is written into the file, by kind; {good} is the configuration that runs.
BROKEN_TOML = {
    "syntax": "{good}\n[tls\n",
    "no value": "{good}\n[log]\nlevel =\n",
    "text without end": '{good}\n[log]\nlevel = "war',
    "table twice": "{good}\n[log]\n[log]\n",
    "unknown table": "{good}\n[nonsense]\nx = 1\n",
    "unknown key": "{good}\n[log]\nlevle = 'warn'\n",
    "wrong type": "{good}\n[log]\nlevel = 3\n",
    "out of range": "{good}\n[storage]\nreaders = 99\n",
    "not a number": "{good}\n[limits]\nmessage_per_second = nan\n",
    "not a choice": "{good}\n[accounts]\nregistration = 'maybe'\n",
    "bad network": "{good}\n[limits]\nexempt = ['everywhere']\n",
    "bad endpoint": "{good}\n[listen.more]\nendpoint = 'tpc:1'\n",
    "key without certificate": "{good}\n[tls]\nkey = 'key.pem'\n",
    "certificate that is not there": "{good}\n[tls]\ncertificate = '/no/such.pem'\n",
    "certificate that is none": "{good}\n[tls]\ncertificate = '{config}'\n",
    "key of another certificate": "{good}\n[tls]\ncertificate = '{one}'\nkey = '{other}'\n",
    "credential that is not there": "{good}\n[tls]\ncertificate = 'credential:tls'\n",
    "too deep": "{good}\nx = " + "[" * 50_000,
    "too large": "{good}\n" + "#" * (1024 * 1024),
}
BROKEN_JSON = {
    "syntax": '{{"log": {{"level": "info",}}}}',
    "not an object": "[]",
    "key twice": '{{"log": {{"level": "info", "level": "warn"}}}}',
    "no number": '{{"limits": {{"message_per_second": NaN}}}}',
    "unknown key": '{{"log": {{"levle": "warn"}}}}',
    "wrong type": '{{"log": {{"level": 3}}}}',
    "cut off": '{{"log": {{"level": "in',
    "too deep": "[" * 100_000,
    "bad endpoint": '{{"ssh": {{"endpoint": "tcp:ssh"}}}}',
}


class Reload(DaemonTest):
    extra = "[limits]\nmessage_burst = 100000\nmessage_per_second = 100000\n"
    timeout = 240

    async def lairctl(self, *words: str):
        return await lairctl_beside(self.server, *words)

    async def values(self) -> dict[str, str]:
        """Return what is in force."""
        shown = await self.lairctl("config", "show", "--json")
        assert shown.returncode == 0, shown.stderr
        return {row["key"]: row["value"] for row in json.loads(shown.stdout)}

    async def until_logged(self, text: str, times: int = 1) -> None:
        for _ in range(200):
            if self.printed().count(text) >= times:
                return
            await deferLater(reactor, 0.05)
        raise AssertionError(f"{text!r} was not logged {times} times:\n{self.printed()[-3000:]}")

    def pems(self) -> dict[str, Path]:
        files = {}
        for name in ("one", "other"):
            files[name] = self.directory / f"{name}.pem"
            files[name].write_bytes(make_self_signed("localhost", now()))
            files[name].chmod(0o600)
        return files

    async def assert_each_refused(self, config: Path, kinds: dict[str, str], good: str) -> None:
        alice, bob = await self.friends("alice", "bob")
        before = await self.values()
        chatter = Chatter(alice, bob)
        files = self.pems()
        certificate = (await self.lairctl("cert", "show", "--json")).stdout
        for kind, pattern in kinds.items():
            text = pattern.format(good=good, config=config, **files)
            config.write_text(text, encoding="utf-8")
            refused = await self.lairctl("config", "reload")
            assert refused.returncode == 1, (kind, refused.stdout, refused.stderr)
            assert refused.stderr.startswith(("LC-CFG", "LC-START-CERT")), (kind, refused.stderr)
            assert len(refused.stderr.splitlines()) == 1, refused.stderr
            checked = await self.lairctl("config", "check")
            assert checked.stderr == refused.stderr, kind
        config.write_bytes(b"# caf\xe9\n")
        assert "not UTF-8" in (await self.lairctl("config", "reload")).stderr
        config.unlink()
        assert "no such file" in (await self.lairctl("config", "reload")).stderr
        config.mkdir()
        assert "is a directory" in (await self.lairctl("config", "reload")).stderr
        config.rmdir()
        os.mkfifo(config)
        assert "not a file" in (await self.lairctl("config", "reload")).stderr
        os.kill(self.server.pid, signal.SIGHUP)
        await self.until_logged("reload refused")
        config.unlink()
        config.write_text(good)
        assert await self.values() == before
        assert (await self.lairctl("cert", "show", "--json")).stdout == certificate
        assert "good" in (await self.lairctl("config", "check")).stdout
        await chatter.stop()
        assert len(chatter.said) > 50
        assert chatter.said == list(range(chatter.said[0], chatter.said[0] + len(chatter.said)))
        assert chatter.longest < 1.0, chatter.longest

    @awaited
    async def test_no_broken_toml_changes_or_drops_anything(self) -> None:
        good = self.server.config.read_text()
        await self.assert_each_refused(self.server.config, BROKEN_TOML, good)

    @awaited
    async def test_no_broken_json_changes_or_drops_anything(self) -> None:
        self.server.stop()
        tree = tomllib.loads(self.server.config.read_text())
        self.server.config = self.directory / "lairchat.json"
        good = json.dumps(tree, indent=1)
        self.server.config.write_text(good)
        self.server.start()
        await self.assert_each_refused(self.server.config, BROKEN_JSON, good)

    @awaited
    async def test_a_good_one_is_applied_whole_and_says_what_waits(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        chatter = Chatter(alice, bob)
        good = self.server.config.read_text()
        fresh = good.replace("message_burst = 100000", "message_burst = 3").replace(
            "message_per_second = 100000", "message_per_second = 0.01"
        )
        self.server.config.write_text(
            fresh + '[accounts]\nregistration = "closed"\n[log]\nformat = "json"\nlevel = "warn"\n'
        )
        await chatter.stop()
        difference = await self.lairctl("config", "diff")
        assert "at a restart" in difference.stdout
        tried = await self.lairctl("config", "reload", "--dry-run")
        assert "applied" in tried.stdout
        assert (await self.values())["limits.message_burst"] == "100000"
        done = await self.lairctl("config", "reload")
        assert done.returncode == 0, done.stderr
        assert "applied 4 keys; 1 key for the next start" in done.stdout
        assert "log.format" in done.stdout
        values = await self.values()
        assert values["limits.message_burst"] == "3"
        assert values["log.format"] == '"text"'  # as it runs, not as it will
        # The new rate counts for a member who is connected all the time.
        refused = 0
        for number in range(8):
            try:
                await alice.say(1, f"fast {number}")
            except RateLimited:
                refused += 1
        assert refused >= 4
        carol = self.member("carol")
        await carol.connect()
        with self.assertRaises(RegistrationClosed):
            await carol.ask(accounts.REGISTER, accounts.Register("carol", bytes(32)))
        assert (await self.lairctl("config", "diff")).stdout.count("at a restart") == 1

    @awaited
    async def test_sighup_applies_at_once(self) -> None:
        alice = await self.owner()
        self.server.config.write_text(self.server.config.read_text() + '[log]\nlevel = "debug"\n')
        began = time.monotonic()
        os.kill(self.server.pid, signal.SIGHUP)
        await self.until_logged("configuration reloaded; applied: log.level")
        assert time.monotonic() - began < 1.0
        await alice.say(1, "still here")

    @awaited
    async def test_a_renewal_is_refused_for_what_its_rehearsal_finds(self) -> None:
        """`cert renew --dry-run` reads and checks what `cert renew` would take, and takes nothing."""
        await self.owner()
        own, key = self.directory / "own.pem", self.directory / "own.key"
        good = make_self_signed("chat.example.org", now())

        def put(pem: bytes, key_pem: bytes | None = None, mode: int = 0o600) -> None:
            own.write_bytes(pem)
            key.write_bytes(pem if key_pem is None else key_pem)
            key.chmod(mode)

        put(good)
        self.server.config.write_text(
            self.server.config.read_text() + f"[tls]\ncertificate = '{own}'\nkey = '{key}'\n"
        )
        assert (await self.lairctl("config", "reload")).returncode == 0
        other, day = make_self_signed("other.example.org", now()), 86_400_000
        weak = Authority().issue("weak.example.org", key=rsa.generate_private_key(65537, 1024))
        for why, broken in {
            "holds no PEM certificate": (b"nothing",),
            "holds no PEM private key": (good, b"nothing"),
            "not the key of the first certificate": (good, other),
            "everybody may read the key": (other, other, 0o644),
            "it ended 20": (make_self_signed("late.example.org", now() - 398 * day),),
            "it begins 20": (make_self_signed("early.example.org", now() + day),),
            "too small": (weak,),
        }.items():
            put(*broken)
            for words in (("cert", "renew", "--dry-run"), ("cert", "renew"), ("config", "reload")):
                refused = await self.lairctl(*words)
                assert (refused.returncode, refused.stdout) == (1, ""), (why, words)
                assert refused.stderr.startswith("LC-START-CERT"), (why, words)
                assert why in refused.stderr, (words, refused.stderr)
            assert "chat.example.org" in (await self.lairctl("cert", "show")).stdout, why

        put(other, mode=0o640)
        tried = await self.lairctl("cert", "renew", "--dry-run")
        assert "the certificate of CN=localhost" not in tried.stdout
        assert "other.example.org, 396 days" in tried.stdout, tried
        assert "chat.example.org" in (await self.lairctl("cert", "show")).stdout
        assert "other.example.org" in (await self.lairctl("cert", "renew")).stdout
        assert "other.example.org" in (await self.lairctl("cert", "show")).stdout

        # Without a daemon it is the same.
        self.server.stop()
        put(good, other)
        refused = await self.lairctl("cert", "renew", "--dry-run")
        assert "not the key of the first certificate" in refused.stderr

    @awaited
    async def test_a_rehearsal_of_the_servers_own_renewal_writes_nothing(self) -> None:
        await self.owner()
        pem = self.server.data / "tls.pem"
        before = pem.read_bytes()
        for _ in range(2):
            tried = await self.lairctl("cert", "renew", "--dry-run")
            assert "396 days" in tried.stdout, tried
            assert pem.read_bytes() == before
            self.server.stop()
        assert list(self.server.data.glob(".tls.pem*")) == []

    @awaited
    async def test_a_certificate_is_renewed_and_swapped_while_people_chat(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        first = alice.dialer.facts.spki_sha256
        seen = {first}
        chatter = Chatter(alice, bob)
        for number in range(3):
            done = await self.lairctl("cert", "renew")
            assert done.returncode == 0, done.stderr
            guest = self.member(f"guest{number}")
            await guest.connect()
            seen.add(guest.dialer.facts.spki_sha256)
            assert guest.server == alice.server  # the identity is another thing, and stays
        assert len(seen) == 4
        own = self.directory / "own.pem"
        own.write_bytes(make_self_signed("chat.example.org", now()))
        own.chmod(0o600)
        self.server.config.write_text(
            self.server.config.read_text() + f"[tls]\ncertificate = '{own}'\n"
        )
        done = await self.lairctl("config", "reload")
        assert "tls.certificate" in done.stdout, done.stderr
        shown = await self.lairctl("cert", "show")
        assert "chat.example.org" in shown.stdout
        # The tool that renews an operator's certificate only writes the file.
        own.write_bytes(make_self_signed("renewed.example.org", now()))
        await self.lairctl("cert", "renew")
        assert "renewed.example.org" in (await self.lairctl("cert", "show")).stdout
        own.write_text("nothing")
        refused = await self.lairctl("cert", "renew")
        assert refused.stderr.startswith("LC-START-CERT"), refused
        assert "renewed.example.org" in (await self.lairctl("cert", "show")).stdout
        await chatter.stop()
        assert len(chatter.said) > 20
        assert alice.dialer.facts.spki_sha256 == first
