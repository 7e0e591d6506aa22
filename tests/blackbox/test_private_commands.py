"""``lair send``, ``tail``, ``unlock`` and ``doctor`` in encrypted rooms: real programs, a real daemon."""

import json
import os
import subprocess
import sys

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from lairchat.client import effects
from lairchat.client.mailslot import listen
from lairchat.demo_server import checkout
from tests.blackbox.daemon import awaited
from tests.blackbox.private import Client, PrivateTest

pytestmark = pytest.mark.blackbox


def run(client: Client, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "lairchat.client.main", *words],
        env={**os.environ, "PYTHONPATH": str(checkout()), "LAIR_HOME": str(client.root)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Commands(PrivateTest):
    """Programs without a screen beside a client, and without one."""

    async def lair(
        self, client: Client, *words: str, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return await deferToThread(run, client, *words, stdin=stdin)

    @awaited
    async def test_send_tail_unlock_and_doctor(self) -> None:
        alice, bob = await self.people("alice", "bob")
        room = await alice.direct("bob")
        await alice.say(room, "by the client")
        await bob.hears(room, "by the client")
        await alice.leave()

        locked = await self.lair(alice, "send", "@bob", "nobody gets this")
        assert locked.returncode == os.EX_NOPERM, locked
        assert "LC-LOCKED" in locked.stderr

        wrong = await self.lair(alice, "unlock", stdin="not the password\n")
        assert wrong.returncode == os.EX_CONFIG, wrong
        assert "LC-PROFILE-KEY" in wrong.stderr
        assert "not the password" not in wrong.stderr + wrong.stdout

        opened = await self.lair(alice, "unlock", "--keep", stdin=f"{alice.password}\n")
        assert opened.returncode == 0, opened
        assert alice.password not in opened.stdout + opened.stderr

        sent = await self.lair(alice, "send", "@bob", "--json", "by lair send")
        assert sent.returncode == 0, sent
        assert json.loads(sent.stdout)["seq"] > 0
        await bob.hears(room, "by lair send")

        report = await self.lair(alice, "doctor")
        assert report.returncode == 0, report
        assert "direct, epoch" in report.stdout
        assert "suite 0xf64a" in report.stdout
        assert "1 as first seen" in report.stdout
        assert "recovery words are not written down" in report.stdout

        tail = subprocess.Popen(
            [*(sys.executable, "-P", "-m", "lairchat.client.main"), "tail", "@bob", "--after", "0"],
            env={**os.environ, "PYTHONPATH": str(checkout()), "LAIR_HOME": str(alice.root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert tail.stdout is not None
            lines = [await deferToThread(tail.stdout.readline) for _ in range(2)]
            await bob.say(room, "and an answer")
            lines.append(await deferToThread(tail.stdout.readline))
        finally:
            tail.kill()
            tail.wait()
            assert tail.stdout is not None
            tail.stdout.close()
        assert [line.rstrip("\n").partition(": ")[2] for line in lines if "alice" in line] == [
            "by the client",
            "by lair send",
        ]
        assert lines[-1].endswith("bob in @bob: and an answer\n")
        forgotten = await self.lair(alice, "unlock", "--forget")
        assert forgotten.returncode == 0
        again = await self.lair(alice, "send", "@bob", "nor this")
        assert "LC-LOCKED" in again.stderr
        await self.everybody_leaves()

    @awaited
    async def test_beside_a_client_that_holds_the_profile(self) -> None:
        (alice,) = await self.people("alice")
        room = await alice.create("attic")
        await alice.do(lambda ref: effects.SetTopic(ref, room, "keep calm"))

        assert alice.link.profile is not None
        slot = listen(reactor, alice.link.profile.socket, alice.link)
        try:
            sent = await self.lair(alice, "send", "#attic", "--json", "beside")
            assert sent.returncode == 0, sent
            await alice.hears(room, "beside")
            report = await self.lair(alice, "doctor")
            assert "private, epoch" in report.stdout
        finally:
            await slot.close()
            await self.everybody_leaves()
