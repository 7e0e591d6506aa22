"""What each door of operators does with an encrypted room: a real daemon, real devices, real doors."""

import importlib
import json
import pkgutil
from http.client import HTTPConnection
from typing import Any

import pytest

from lairchat import features
from lairchat.mls.objects import Add
from lairchat.wire.contract import Command
from tests.blackbox.daemon import awaited
from tests.blackbox.operators import OperatorTest
from tests.blackbox.test_encrypted import EncryptedTest, Peer
from tests.blackbox.test_operators import VERBS
from tests.requirements import require

pytestmark = pytest.mark.blackbox

ENCRYPTED = "LC-ROOM-ENCRYPTED"

#: What becomes of each command that takes a room, given an encrypted one: a code, or None where it does
#: what it says.  In this order they can all be given to one room.
OUTCOMES = {
    "room show": None,
    "room members": ENCRYPTED,
    "room archive": None,
    "room delete": None,
}
SAID = b"the canal at nine"


class Doors(EncryptedTest, OperatorTest):
    """An owner with a key, and an encrypted room."""

    timeout = 200

    async def sealed(self) -> tuple[Peer, str]:
        """Return a device in an encrypted room where something was said, and what operators call it."""
        require("ssh")
        alice, bob = await self.people("alice", "bob")
        self.key = self.new_key("alice")
        self.add_key("alice", self.key)
        await alice.create()
        await alice.invite(bob)
        await bob.enter(alice.room, await alice.commit(Add(bob.package.package)))
        await alice.say(SAID)
        return alice, f"encrypted:{alice.room}"

    @awaited
    async def test_every_command_that_takes_a_room_over_ssh(self) -> None:
        _, word = await self.sealed()
        self.give_each(word, self.ssh)

    @awaited
    async def test_every_command_that_takes_a_room_over_lairctl(self) -> None:
        _, word = await self.sealed()
        self.give_each(word, self.lairctl)

    def give_each(self, word: str, door: Any) -> None:
        listed = door("room", "list", "--json")
        (room,) = [one for one in json.loads(listed.stdout) if one["name"] == word]
        assert (room["kind"], room["crypto"]) == ("room", "mls")
        assert (room["members"], room["messages"]) == (2, 1)
        for name, code in OUTCOMES.items():
            done = door(*name.split(), word, *(["--yes"] * asks(name)))
            assert SAID.decode() not in done.stdout + done.stderr
            if code is None:
                assert (done.returncode, done.stderr) == (0, ""), (name, done)
                assert word in done.stdout or f"encrypted room {word[10:]}" in done.stdout, name
            else:
                assert (done.returncode, done.stdout) == (1, ""), (name, done)
                assert code in done.stderr, (name, done)
                assert "its members' devices" in done.stderr
        gone = door("room", "show", word)
        assert "LC-ROOM-NAME-UNKNOWN" in gone.stderr

    @awaited
    async def test_nothing_is_read_or_written_in_one_over_http(self) -> None:
        """There is no such door yet; whoever opens it has to say what it does with encrypted rooms."""
        alice, _ = await self.sealed()
        tried = 0
        for command in commands():
            method, _, path = (command.http or "").partition(" ")
            if "{room}" in path:
                tried += 1
                path = path.format(room=alice.room, name="bob", seq=1)
                assert self.status(method, path) in {404, 405}, command.name
        assert tried

    def status(self, method: str, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.server.door("http"), timeout=20)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()


def asks(name: str) -> bool:
    return next(verb.command.asks for verb in VERBS if verb.name == name)


def commands() -> list[Command[Any, Any]]:
    """Return every command that any feature declares."""

    found: list[Command[Any, Any]] = []
    for feature in pkgutil.iter_modules(features.__path__):
        module = importlib.import_module(f"lairchat.features.{feature.name}.messages")
        found += getattr(module, "COMMANDS", ())
    return found


def test_no_command_that_takes_a_room_is_left_out() -> None:
    takes = {
        verb.name
        for verb in VERBS
        if any(one.field == "room" for one in (*verb.targets, *verb.flags))
    }
    assert takes == set(OUTCOMES), (
        "say here what the command does with an encrypted room: unless it only counts, put away or "
        "delete, it has to refuse (room_admin.server.find_plain)"
    )
