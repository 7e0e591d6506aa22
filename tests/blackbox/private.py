"""People with the real client's link and store against a real daemon; what they do and what they hear."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client.cli import wall_clock
from lairchat.client.dial import RealDialer
from lairchat.client.link import Link, Target
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.secret import Secret
from lairchat.features.accounts import messages as accounts
from lairchat.trust.secret import SecretBytes
from tests.blackbox.daemon import DaemonTest

PATIENCE = 30.0


class MemoryKeyring(Keyring):
    """Keeps keys for as long as the test runs: what the kernel's keyring does, for this test alone."""

    def __init__(self) -> None:
        self._kept: dict[str, SecretBytes] = {}

    def keep(self, profile: Profile, secret: SecretBytes) -> bool:
        self._kept[str(profile.directory)] = secret
        return True

    def find(self, profile: Profile) -> SecretBytes | None:
        return self._kept.get(str(profile.directory))

    def drop(self, profile: Profile) -> None:
        self._kept.pop(str(profile.directory), None)


class Client:
    """One device of somebody: the real link, store and all, without a screen."""

    def __init__(self, name: str, port: int, root: Path, keyring: Keyring | None = None) -> None:
        self.name = name
        self.port = port
        self.root = root
        self.keyring = keyring or MemoryKeyring()
        self.heard: list[inputs.Input] = []
        self.words: tuple[str, ...] = ()
        self.invite = ""
        self.password = f"password of {name}"
        self._number = 0
        self._waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self._make()

    def _make(self) -> None:
        known = KnownServers(self.root)
        self.link = Link(
            reactor,
            RealDialer(reactor, wall_clock),
            Target("127.0.0.1", self.port, account=self.name),
            known,
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
                if self.invite:
                    self.perform(effects.Register(self.name, Secret(self.password), self.invite))
                else:
                    self.perform(effects.Login(self.name, Secret(self.password)))
            case inputs_sealed.RecoveryWords(words):
                self.words = words
        for asked, waiting in list(self._waiting):
            found = asked()
            if found:
                self._waiting.remove((asked, waiting))
                waiting.callback(found)

    def perform(self, effect: effects.Effect) -> None:
        # In a turn of its own, as the screen's effects are.
        reactor.callLater(0, self.link.perform, effect)

    async def until(self, asked: Callable[[], Any], what: str = "") -> Any:
        """Wait until something holds, asked after each input."""
        found = asked()
        if found:
            return found
        waiting: Deferred[Any] = Deferred()
        self._waiting.append((asked, waiting))
        waiting.addTimeout(PATIENCE, reactor)
        try:
            return await waiting
        except Exception as error:
            told = "\n".join(repr(one)[:240] for one in self.heard[-25:])
            raise AssertionError(f"{self.name} waited in vain {what}\n{told}") from error

    def of(self, kind: type[Any]) -> list[Any]:
        """Return what was heard of one kind."""
        return [one for one in self.heard if isinstance(one, kind)]

    # -- coming and going

    async def register(self, invite: str) -> "Client":
        self.invite = invite
        self.link.start()
        await self.until(lambda: self.of(inputs.RoomsSynced))
        self.invite = ""
        return self

    async def log_in(self) -> "Client":
        self.link.start()
        await self.until(lambda: self.of(inputs.RoomsSynced))
        return self

    async def leave(self) -> None:
        await self.link.stop()

    async def again(self) -> "Client":
        """Start anew, as the next run of the program does."""
        await self.link.stop()
        self.heard.clear()
        self._make()
        return await self.log_in()

    # -- doing

    def ref(self) -> int:
        self._number += 1
        return self._number

    async def do(self, make: Callable[[int], effects.Effect]) -> inputs.Input:
        """Do something that is answered; raise if it is refused."""
        ref = self.ref()
        self.perform(make(ref))
        answer = await self.until(
            lambda: next((one for one in self.heard if getattr(one, "ref", 0) == ref), None)
        )
        assert not isinstance(answer, inputs.CommandFailed), answer
        return answer  # type: ignore[no-any-return]

    async def direct(self, name: str) -> int:
        joined = await self.do(lambda ref: effects.OpenDirect(ref, name))
        assert isinstance(joined, inputs.RoomJoined)
        return joined.room.id

    async def create(self, name: str) -> int:
        joined = await self.do(lambda ref: effects.Create(ref, name, "private"))
        assert isinstance(joined, inputs.RoomJoined)
        return joined.room.id

    async def say(self, room: int, text: str) -> inputs.SendAcknowledged:
        """Say something that the server then has."""
        ticket = self.ref() + 1_000
        self.perform(effects.Send(ticket, room, text))
        return await self.until(  # type: ignore[no-any-return]
            lambda: next(
                (one for one in self.of(inputs.SendAcknowledged) if one.ticket == ticket), None
            ),
            f"to say {text!r}: {self.of(inputs.SendRefused)}",
        )

    def texts(self, room: int) -> list[str]:
        """Return what has arrived in a room, in order."""
        return [
            one.message.text
            for one in self.of(inputs.MessageArrived)
            if one.room == room and one.message.kind in {"text", "action"}
        ]

    async def hears(self, room: int, text: str) -> inputs.Message:
        """Wait for a message."""
        return await self.until(  # type: ignore[no-any-return]
            lambda: next(
                (
                    one.message
                    for one in self.of(inputs.MessageArrived)
                    if one.room == room and one.message.text == text
                ),
                None,
            ),
            f"for {text!r}",
        )

    async def in_room(self, room: int) -> None:
        """Wait until this device is in an encrypted room."""
        while self.link.sealed.store is None or self.link.sealed.store.room(room) is None:
            await self.pause(0.05)

    def label(self, room: int) -> str:
        """Return what stands on the lock of a room now."""
        return self.link.sealed.labels.of(room)[0].value

    @staticmethod
    async def pause(seconds: float) -> None:
        await deferLater(reactor, seconds)


class PrivateTest(DaemonTest):
    """A daemon, and people who chat with the real client."""

    timeout = 180

    def setUp(self) -> None:
        super().setUp()
        self.clients: list[Client] = []

    def client(self, name: str, device: str = "") -> Client:
        """Return a device that nobody has logged in with yet."""
        found = Client(name, self.server.port, self.directory / f"{name}{device}")
        self.clients.append(found)
        return found

    async def people(self, *names: str) -> list[Client]:
        """Return people who have just registered, the first of them the owner."""
        found = [await self.client(names[0]).register(self.server.link().code)]
        for name in names[1:]:
            invite = await found[0].link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
            found.append(await self.client(name).register(invite.code))
        return found

    async def everybody_leaves(self) -> None:
        for one in self.clients:
            await one.leave()
