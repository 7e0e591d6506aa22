"""What becomes of devices that were copied, killed, put back, long away, or whose password others have set."""

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from lairchat.client import effects, inputs, inputs_sealed, store_vault
from lairchat.client import effects_sealed as sealed
from lairchat.client.secret import Secret
from lairchat.demo_server import checkout
from lairchat.e2ee.rejoining import rejoin
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.model import faults
from lairchat.model.identity import Link
from lairchat.model.ids import command_id
from lairchat.trust.secret import SecretBytes
from tests.blackbox.daemon import awaited, lairctl_beside
from tests.blackbox.deceived import DeceivedTest
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client

pytestmark = pytest.mark.blackbox

KILLS = 20
MISSED = 300


class Copies(DeceivedTest):
    """One device in two places, or in one from before."""

    timeout = 300

    def copy(self, one: Client, name: str) -> Client:
        """Return a copy of a device, as its files are now."""
        found = self.client(one.name, name)
        shutil.copytree(one.root, found.root)
        return found

    async def wake(self, copy: Client) -> None:
        """Log a copy in, whose thief knows the password as well."""
        await copy.log_in()
        copy.perform(sealed.Unlock(Secret(copy.password)))
        await copy.until(lambda: copy.of(inputs_sealed.StoreOpened))
        await self.eventually(lambda: copy.link.sealed.ready, "a copy to be ready")

    @awaited
    async def test_what_was_put_back_renews_its_keys_before_it_speaks(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await bob.leave()
        old = self.copy(bob, "-old")
        await bob.again()
        for words in ("one", "two", "three"):
            await bob.say(room, words)
        await alice.hears(room, "three")
        await bob.leave()
        order: list[str] = []

        def note(what: str) -> Any:
            def noted(_: Connection, asked: Asked) -> Any:
                order.append(what)
                return asked.args

            return noted

        self.malice.on_request(delivery.COMMIT, note("commit"), "bob")
        self.malice.on_request(wire.SEND, note("send"), "bob")
        await self.wake(old)
        await old.say(room, "four")
        await alice.hears(room, "four")
        assert order.index("commit") < order.index("send")
        assert alice.texts(room)[-4:] == ["one", "two", "three", "four"]
        assert alice.label(room) == "E2E"

    @awaited
    async def test_two_clones_are_noticed(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await bob.leave()
        clone = self.copy(bob, "-clone")
        await bob.again()
        await bob.say(room, "from the first")
        await alice.hears(room, "from the first")
        await self.wake(clone)
        await clone.pause(1.0)
        clone.perform(effects.Send(9_001, room, "from the clone"))
        await clone.pause(2.0)
        bob.perform(effects.Send(9_002, room, "from the first again"))
        await bob.pause(3.0)

        def noticed() -> bool:
            return any(
                "copy" in text or "twice" in text
                for one in (alice, bob, clone)
                for text in self.notices(one)
            )

        await self.eventually(noticed, "a copy is noticed", 20)

    @awaited
    async def test_a_thief_of_a_devices_keys_who_comes_back_by_them_raises_the_alarm(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await bob.leave()
        thief = self.copy(bob, "-thief")
        await bob.again()
        await self.wake(thief)
        # By itself, as a device that fell behind does: its new leaf takes the place of bob's.
        theirs = thief.link.sealed
        told = await theirs.ask(delivery.INFO, delivery.AskGroup(room))
        found = rejoin(
            room,
            theirs.server_key,
            told.info,
            await theirs.transfer.tree(room, told.epoch),
            theirs.packages.make(),
            theirs.opened.people.logs,
            os.urandom,
        )
        message, blob = await theirs.transfer.put(found.message)
        request = delivery.CommitGroup(room, found.info, message=message, blob=blob)
        await theirs.ask(delivery.COMMIT, request, command_id(thief.link.now(), os.urandom(10)))
        await self.noticed(bob, "a copy of this device has taken its place")
        # Nor does bob's device throw the other one out again, and so on without end; it says why.
        await self.eventually(lambda: bob.label(room) == "E2E?", "bob to be out")
        assert "a copy of this device" in bob.link.sealed.labels.of(room)[1]
        bob.perform(effects.Send(9_001, room, "who was that"))
        await bob.pause(1.0)
        assert "who was that" not in alice.texts(room)

    @pytest.mark.slow
    @awaited
    async def test_hundreds_of_missed_commits_are_followed(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await bob.leave()
        for _ in range(MISSED):
            await alice.link.sealed.commits.change(room, lambda _: {})
        await alice.say(room, "are you still there?")
        await bob.again()
        await bob.hears(room, "are you still there?")
        await bob.say(room, "I am")
        await alice.hears(room, "I am")
        assert bob.label(room) == "E2E"


class Passwords(DeceivedTest):
    """What a password that others have set, or have caught, opens."""

    @awaited
    async def test_an_administrators_reset_opens_nothing(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await bob.leave()
        reset = await lairctl_beside(
            self.server, "user", "reset-password", "bob", "--yes", "--json"
        )
        assert reset.returncode == 0, reset
        link = Link.parse(json.loads(reset.stdout)["link"])
        old, bob.password = bob.password, "what the administrator says"
        bob.keyring = type(bob.keyring)()
        bob.heard.clear()
        bob.link = bob._make()
        bob.link.target.code = link.code
        await bob.register(link.code)
        await bob.until(lambda: bob.of(inputs_sealed.StoreLocked))
        assert any(one.code == "LC-PROFILE-KEY" for one in bob.of(inputs.Notice))
        assert bob.label(room) == "E2E?"
        await alice.say(room, "who are you?")
        await self.refused(bob, room)
        assert "who are you?" not in bob.texts(room)
        # Nor is a new device with that password one of bob's.
        fresh = self.client("bob", "-fresh")
        fresh.password = bob.password
        await fresh.log_in()
        await fresh.until(lambda: fresh.of(inputs_sealed.DeviceUnlinked))
        await self.refused_or_waiting(fresh, room)
        # The old one opens what is here.
        bob.perform(sealed.Unlock(Secret(old)))
        await bob.until(lambda: bob.of(inputs_sealed.StoreOpened))
        await bob.hears(room, "who are you?")
        await bob.say(room, "it is me")
        await alice.hears(room, "it is me")

    async def refused_or_waiting(self, one: Client, room: int) -> None:
        one.perform(effects.Send(9_001, room, "let me in"))
        await one.pause(1.0)
        assert (one.name, room) not in self.sent[-1:]
        assert one.label(room) == "E2E?"

    @awaited
    async def test_a_login_secret_that_was_caught_opens_nothing(self) -> None:
        (alice,) = await self.people("alice")
        profile = alice.link.profile
        assert profile is not None
        assert alice.link.server is not None
        keys = await alice.link.dialer.derive(alice.password, alice.link.server, "alice")
        with pytest.raises(faults.ProfileKey):
            store_vault.unlock(profile, SecretBytes(keys.authentication), os.urandom)
        assert store_vault.unlock(profile, SecretBytes(keys.vault), os.urandom)


@pytest.mark.slow
class Killed(DeceivedTest):
    """``lair send``, killed again and again."""

    timeout = 300

    def lair(self, one: Client, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "lairchat.client.main", *words],
            env={**os.environ, "PYTHONPATH": str(checkout()), "LAIR_HOME": str(one.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @awaited
    async def test_no_message_is_lost_or_doubled(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        await alice.leave()
        unlock = self.lair(alice, "unlock", "--keep")
        told = await deferToThread(unlock.communicate, f"{alice.password}\n", 60)
        assert unlock.returncode == 0, told
        begun = time.monotonic()
        sure = ["and the first"]
        one = self.lair(alice, "send", "@bob", sure[0])
        await deferToThread(one.communicate, None, 60)
        assert one.returncode == 0
        takes = time.monotonic() - begun
        killed = []
        for number in range(KILLS):
            words = f"killed {number}"
            killed.append(words)
            one = self.lair(alice, "send", "@bob", words)
            # From the middle of a run to a bit past its end: where something is written.
            await bob.pause(takes * (0.4 + 0.7 * number / KILLS))
            one.kill()
            await deferToThread(one.communicate, None, 60)
            if one.returncode == 0:
                sure.append(words)
        sure.append("and the last")
        one = self.lair(alice, "send", "@bob", sure[-1])
        told = await deferToThread(one.communicate, None, 60)
        assert one.returncode == 0, told
        await bob.hears(room, "and the last")
        # What was kept and never left does so now.
        await alice.again()
        await self.eventually(lambda: not alice.link.sealed.store.outbox(), "an empty outbox")
        await alice.say(room, "by the client")
        await bob.hears(room, "by the client")
        heard = bob.texts(room)
        assert len(heard) == len(set(heard)), "nothing twice"
        assert set(sure) <= set(heard), "nothing lost that was sure"
        order = [text for text in heard if text.startswith("killed")]
        assert order == sorted(order, key=killed.index)
        assert alice.label(room) == bob.label(room) == "E2E"
        assert not any("twice" in text or "hides" in text for text in self.notices(bob))
