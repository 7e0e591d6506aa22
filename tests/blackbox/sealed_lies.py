"""People with the real client whose connections lead through a server that lies, and what they let out."""

from typing import Any

from msgspec.structs import replace

from lairchat.client import effects, inputs
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.wire.contract import Command
from tests.blackbox.malice import Asked, Malice
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client, PrivateTest

SECRET = "meet me at the old mill"


class SealedLiesTest(PrivateTest):
    """People whose connections lead through a server that lies."""

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)
        self.clear: list[bytes] = []
        self.malice.on_request(wire.SEND, self._sent)

    def _sent(self, _: Connection, asked: Asked) -> Any:
        self.clear.append(bytes(asked.args.body))
        return asked.args

    def client(self, name: str, device: str = "") -> Client:
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    def retell(self, change: Any, *whose: str) -> None:
        """Say something else of rooms, wherever the server says anything of them."""

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            return replace(reply, rooms=[change(info) for info in reply.rooms])

        self.malice.on_reply(rooms.MINE, listed, *whose)
        self.malice.on_event(
            "room.joined", lambda _, body: replace(body, room=change(body.room)), *whose
        )

    def answer(self, command: Command[Any, Any], change: Any, *whose: str) -> None:
        """Say something else of a room in answer to a command."""
        self.malice.on_reply(command, lambda _, __, reply: change(reply), *whose)

    def said_in_clear(self, *whose: Client) -> bool:
        files = [
            path.read_bytes() for one in whose for path in one.root.rglob("*") if path.is_file()
        ]
        return any(SECRET.encode() in one for one in [*self.clear, *files])

    async def type(self, one: Client, room: int) -> inputs.Input:
        """Type the secret in a room, and return what is said of that."""
        ticket = one.ref() + 1_000
        one.perform(effects.Send(ticket, room, SECRET))
        await one.pause(0.5)
        return next(
            (told for told in one.heard if getattr(told, "ticket", 0) == ticket), inputs.Tick(0)
        )
