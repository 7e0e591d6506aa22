"""Ten thousand wrong passwords against a real daemon, from two hundred addresses."""

import re
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from lairchat.features.accounts import messages as accounts
from lairchat.features.accounts.rules import delay_after
from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.objects import CommandFrame, Error, Ok
from tests.blackbox.daemon import DaemonTest, RawClient, awaited, resident_kib

pytestmark = pytest.mark.blackbox

SOURCES = [f"127.{10 + number}.0.1" for number in range(200)]
CONNECTIONS = 5
"""From each source; a stranger's allowance is ten guesses on one connection."""
GUESSES = 10
OTHERS = [f"nobody{number}" for number in range(25)]
"""Names that nobody has; to a guesser they are accounts like any."""

Heard = Counter[tuple[str, str]]
"""How often each name was answered with each code."""


def login(number: int, name: str, secret: bytes) -> bytes:
    """Return the frame of one try."""
    arguments = codec.encode_body(accounts.Login(name, secret))
    return codec.encode(CommandFrame(number, accounts.LOGIN.name, msgspec.Raw(arguments)))


def judged_within(seconds: float, free: int = limits.LOGIN_FAILURES_FREE_ACCOUNT) -> int:
    """Return how many guesses at one account may be judged in so much time, as it is documented.

    Twenty at once, then one after each delay, which doubles.
    """
    guesses, at = free, delay_after(free, free) / 1000
    while at <= seconds:
        guesses += 1
        at += delay_after(guesses, free) / 1000
    return guesses


class TenThousandGuesses(DaemonTest):
    """security.md, goals: "10,000 guesses"; the limits are those of the configuration's defaults."""

    extra = ""

    def guess(self, source: str, names: list[str]) -> Heard:
        """Make a guess at each of these names on one connection, and count the answers."""
        client = RawClient(self.server.port, source=source)
        for number, name in enumerate(names, 1):
            client.send(login(number, name, secrets.token_bytes(32)))
        answers = [client.receive() for _ in names]
        client.close()
        assert all(isinstance(answer, Error) for answer in answers), answers
        return Counter((names[answer.id - 1], answer.code) for answer in answers)

    def guess_from(self, source: str) -> Heard:
        """Make fifty guesses from one address, half of them at alice."""
        heard: Heard = Counter()
        for first in range(CONNECTIONS):
            others = OTHERS[first * GUESSES // 2 :][: GUESSES // 2]
            heard += self.guess(source, ["alice"] * (GUESSES // 2) + others)
        return heard

    def attack(self) -> Heard:
        """Guess from everywhere at once."""
        with ThreadPoolExecutor(16) as pool:
            return sum(pool.map(self.guess_from, SOURCES), Counter())

    def come_in(self, secret: bytes) -> tuple[float, Any]:
        """Log in by password from an address of one's own; return the first wait, and the end."""
        client = RawClient(self.server.port, source="127.250.0.1")
        client.send(login(1, "alice", secret))
        first = client.receive()
        assert isinstance(first, Error), first
        assert first.code == "LC-AUTH-DELAY", first
        assert first.retry_after is not None
        time.sleep(first.retry_after)  # the delay that the server told is what is tried
        client.send(login(2, "alice", secret))
        second = client.receive()
        client.close()
        return first.retry_after, second

    @awaited
    async def test_few_are_judged_and_the_owner_comes_in(self) -> None:
        alice = await self.owner()
        phone = self.member("alice")
        phone.token = alice.token
        assert alice.server is not None
        keys = await alice.dialer.derive(alice.password, alice.server, "alice")
        # So that what the first hash takes is not counted; each of two threads has its own 19 MiB.
        heard = await deferToThread(self.guess, "127.249.0.1", OTHERS[:GUESSES])
        before = resident_kib(self.server.pid)

        began = time.monotonic()
        attack = deferToThread(self.attack)
        await deferLater(reactor, 0.5)
        asked = time.monotonic()
        await phone.connect()
        await phone.resume()
        resumed = time.monotonic() - asked
        heard += await attack
        took = time.monotonic() - began

        assert heard.total() == len(SOURCES) * CONNECTIONS * GUESSES + GUESSES > 10_000
        codes = {code for _, code in heard}
        assert codes <= {"LC-AUTH-FAILED", "LC-AUTH-DELAY", "LC-AUTH-BUSY"}, codes
        judged = {name: heard[name, "LC-AUTH-FAILED"] for name in ("alice", *OTHERS)}
        assert judged["alice"] >= limits.LOGIN_FAILURES_FREE
        assert max(judged.values()) <= judged_within(took), (judged, took)
        # What the guesser was not told was not computed either.
        logged = len(re.findall("a login failed", self.printed()))
        assert logged == sum(judged.values()), (logged, judged)
        # Who has a session is not delayed, whoever guesses.
        assert resumed < 2, resumed

        wait, grant = await deferToThread(self.come_in, keys.authentication)
        assert wait * 1000 <= delay_after(judged["alice"], limits.LOGIN_FAILURES_FREE_ACCOUNT)
        assert isinstance(grant, Ok), grant
        grown = resident_kib(self.server.pid) - before
        assert grown < 64 * 1024, grown
