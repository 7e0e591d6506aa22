"""A device without a screen for the demo and for tests: the client's real link, and what it hears."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client.cli import wall_clock
from lairchat.client.dial import RealDialer
from lairchat.client.link import Link, Target
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.secret import Secret
from lairchat.trust.secret import SecretBytes

PATIENCE = 30.0
"""seconds: how long anything is waited for."""


class ProcessKeyring(Keyring):
    """Keeps keys for as long as this process runs; the kernel hears of none."""

    def __init__(self) -> None:
        self._kept: dict[str, SecretBytes] = {}

    def keep(self, profile: Profile, secret: SecretBytes) -> bool:
        """Keep a profile's secret."""
        self._kept[str(profile.directory)] = secret
        return True

    def find(self, profile: Profile) -> SecretBytes | None:
        """Return a profile's secret if it is kept."""
        return self._kept.get(str(profile.directory))

    def drop(self, profile: Profile) -> None:
        """Forget a profile's secret."""
        self._kept.pop(str(profile.directory), None)


class Waited(Exception):  # noqa: N818 - what was waited for is in its text
    """Something did not come in time."""


class Device:
    """One device of somebody: the real link, store and all.

    root: where its profiles are.  words: the recovery words, once they have been shown.
    """

    def __init__(
        self, reactor: Any, name: str, port: int, root: Path, keyring: Keyring | None = None
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.port = port
        self.root = root
        self.keyring = keyring or ProcessKeyring()
        self.heard: list[inputs.Input] = []
        self.words: tuple[str, ...] = ()
        self.invite = ""
        self.password = f"password of {name}"
        self._number = 0
        self._waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.link = self._make()

    def _make(self) -> Link:
        return Link(
            self.reactor,
            RealDialer(self.reactor, wall_clock),
            Target("127.0.0.1", self.port, account=self.name),
            KnownServers(self.root),
            lambda server, account: Profile(self.root, server, account),
            deliver=self._take,
            now=wall_clock,
            random=os.urandom,
            keyring=self.keyring,
        )

    def _take(self, one: inputs.Input) -> None:
        self.heard.append(one)
        match one:
            case inputs.TrustQuestion():
                self.perform(effects.TrustAnswer(True))
            case inputs.AccountNeeded():
                password = Secret(self.password)
                if self.invite:
                    self.perform(effects.Register(self.name, password, self.invite))
                else:
                    self.perform(effects.Login(self.name, password))
            case inputs_sealed.RecoveryWords(words):
                self.words = words
        for asked, waiting in list(self._waiting):
            found = asked()
            if found and (asked, waiting) in self._waiting:
                self._waiting.remove((asked, waiting))
                waiting.callback(found)

    def perform(self, effect: effects.Effect) -> None:
        """Do something, in a turn of its own, as a screen's effects are."""
        self.reactor.callLater(0, self.link.perform, effect)

    async def until(self, asked: Callable[[], Any], what: str = "") -> Any:
        """Wait until something holds, asked after each input; raises Waited."""
        found = asked()
        if found:
            return found
        waiting: Deferred[Any] = Deferred()
        self._waiting.append((asked, waiting))
        waiting.addTimeout(PATIENCE, self.reactor)
        try:
            return await waiting
        except Exception as error:
            told = "\n".join(repr(one)[:240] for one in self.heard[-25:])
            raise Waited(f"{self.name} waited in vain {what}\n{told}") from error

    def of(self, kind: type[Any]) -> list[Any]:
        """Return what was heard of one kind."""
        return [one for one in self.heard if isinstance(one, kind)]

    # -- coming and going

    async def register(self, invite: str) -> None:
        """Make the account, with an identity and this device as its first."""
        self.invite = invite
        await self.log_in()
        self.invite = ""

    async def log_in(self) -> None:
        """Come in, by what the profile keeps or by the password."""
        self.link.start()
        await self.until(lambda: self.of(inputs.RoomsSynced), "to come in")

    async def leave(self) -> None:
        """Leave in order."""
        await self.link.stop()

    # -- doing

    def ref(self) -> int:
        """Return a number that no command has had."""
        self._number += 1
        return self._number

    async def do(self, make: Callable[[int], effects.Effect]) -> inputs.Input:
        """Do something that is answered; raises Waited if it is refused."""
        ref = self.ref()
        self.perform(make(ref))
        answer: inputs.Input = await self.until(
            lambda: next((one for one in self.heard if getattr(one, "ref", 0) == ref), None)
        )
        if isinstance(answer, inputs.CommandFailed):
            raise Waited(f"{answer.code}  {answer.text}")
        return answer

    async def direct(self, name: str) -> int:
        """Open the conversation with somebody; returns its number."""
        joined = await self.do(lambda ref: effects.OpenDirect(ref, name))
        assert isinstance(joined, inputs.RoomJoined)
        return joined.room.id

    async def say(self, room: int, text: str) -> inputs.SendAcknowledged:
        """Say something that the server then has."""
        ticket = self.ref() + 1_000
        self.perform(effects.Send(ticket, room, text))
        found: inputs.SendAcknowledged = await self.until(
            lambda: next(
                (one for one in self.of(inputs.SendAcknowledged) if one.ticket == ticket), None
            ),
            "to say something",
        )
        return found

    async def hears(self, room: int, text: str) -> inputs.Message:
        """Wait for a message."""
        found: inputs.Message = await self.until(
            lambda: next(
                (
                    one.message
                    for one in self.of(inputs.MessageArrived)
                    if one.room == room and one.message.text == text
                ),
                None,
            ),
            "for a message",
        )
        return found

    def label(self, room: int) -> str:
        """Return what stands on the lock of a room now."""
        return self.link.sealed.labels.of(room)[0].value
