"""A server that parts a room: some members are by themselves, and are told of nobody else."""

from collections.abc import Callable
from typing import Any

from lairchat.demo_check import wall_clock
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.features.messages.messages import LogEvent
from lairchat.features.rooms import messages as rooms
from lairchat.mls.errors import MLSError
from lairchat.mls.messages import (
    CommitContent,
    ProposalContent,
    PublicMessage,
    decode_message,
)
from lairchat.mls.objects import ByValue, Remove
from tests.blackbox.lies import FalseLog
from tests.blackbox.malice import Asked, Client, Malice


class Partition(FalseLog):
    """Some members are by themselves: nobody else hears them, and they hear nobody else.

    What they say, commit and propose stands in their log only; the liar takes whatever they bring.
    apart: whether it has begun; until then the false log is the real one.
    """

    def __init__(self, malice: Malice, room: int, *whose: str, apart: bool = True) -> None:
        super().__init__(malice, room, *whose, retell=self._apart)
        self.apart = apart
        for command, kind in ((wire.SEND, "app"), (delivery.PROPOSE, "proposal")):
            rule = malice.on_request(command, self._taking(kind), *whose)
            self._rules.append(rule)
        self._rules.append(malice.on_request(delivery.COMMIT, self._commit, *whose))

    def _apart(self, event: LogEvent) -> list[LogEvent]:
        return [] if self.apart else [event]

    def _taking(self, kind: str) -> Callable[[Client, Asked], Any]:
        def take(client: Client, asked: Asked) -> Any:
            if not self.apart or asked.args.room != self.room:
                return asked.args
            data = asked.args.body if kind == "app" else asked.args.message
            event = self._take(client, asked, kind, data)
            if kind == "app":
                return wire.Sent(event.seq, event.at)
            return delivery.Proposed(event.seq)

        return take

    def _commit(self, client: Client, asked: Asked) -> Any:
        if not self.apart or asked.args.room != self.room:
            return asked.args
        message = decode_message(asked.args.message)
        assert isinstance(message, PublicMessage)
        event = self._take(client, asked, "commit", asked.args.message)
        return delivery.Committed(event.seq, message.authenticated.framed.epoch + 1)

    def _take(self, client: Client, asked: Asked, kind: str, data: bytes) -> LogEvent:
        assert asked.key is not None
        at, name, device = wall_clock(), client.name, client.device
        return self.insert(
            LogEvent(self.room, 0, at, client.user, name, device, kind, asked.key, data)
        )


class HoldRemoves(Partition):
    """Some members are not told that somebody is removed, and go on with whoever it was."""

    def __init__(self, malice: Malice, room: int, *whose: str) -> None:
        super().__init__(malice, room, *whose, apart=False)
        self._rules.append(malice.on_event(rooms.ROOM_LEFT.name, self._left, *whose))

    def _left(self, _client: Client, left: rooms.RoomLeft) -> rooms.RoomLeft | None:
        return None if left.room == self.room else left

    def _apart(self, event: LogEvent) -> list[LogEvent]:
        self.apart = self.apart or _removes(event)
        return super()._apart(event)


def _removes(event: LogEvent) -> bool:
    """Tell whether an event removes somebody, or asks for it."""
    if event.kind not in ("commit", "proposal"):
        return False
    try:
        message = decode_message(event.body)
    except MLSError:
        return False  # a large one, which stands elsewhere
    assert isinstance(message, PublicMessage)
    match message.authenticated.framed.content:
        case ProposalContent(Remove()):
            return True
        case CommitContent(commit):
            said = (one.proposal for one in commit.proposals if isinstance(one, ByValue))
            return any(isinstance(proposal, Remove) for proposal in said)
    return False
