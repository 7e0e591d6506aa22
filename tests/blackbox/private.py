"""People with the real client's link and store against a real daemon; what they do and what they hear."""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from lairchat.client import effects, inputs
from lairchat.client.sealed.keyring import Keyring
from lairchat.demo_private import Device
from lairchat.features.accounts import messages as accounts
from tests.blackbox.daemon import DaemonTest


class Client(Device):
    """One device of somebody: the real link, store and all, without a screen."""

    def __init__(self, name: str, port: int, root: Path, keyring: Keyring | None = None) -> None:
        super().__init__(reactor, name, port, root, keyring)

    async def again(self) -> "Client":
        """Start anew, as the next run of the program does."""
        await self.link.stop()
        self.heard.clear()
        self.link = self._make()
        await self.log_in()
        return self

    async def create(self, name: str) -> int:
        joined = await self.do(lambda ref: effects.Create(ref, name, "private"))
        assert isinstance(joined, inputs.RoomJoined)
        return joined.room.id

    def texts(self, room: int) -> list[str]:
        """Return what has arrived in a room, in order."""
        return [
            one.message.text
            for one in self.of(inputs.MessageArrived)
            if one.room == room and one.message.kind in {"text", "action"}
        ]

    async def in_room(self, room: int) -> None:
        """Wait until this device is in an encrypted room."""
        while self.link.sealed.store is None or self.link.sealed.store.room(room) is None:
            await self.pause(0.05)

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
        found = [self.client(name) for name in names]
        await found[0].register(self.server.link().code)
        for one in found[1:]:
            invite = await found[0].link.ask(accounts.CREATE_INVITE, accounts.CreateInvite())
            await one.register(invite.code)
        return found

    async def everybody_leaves(self) -> None:
        for one in self.clients:
            await one.leave()
