"""Messages that disappear once they have been read: here at their time, and from the server by their author.

Whoever reads one starts its time on that device.  The author's device asks the server to drop the bytes
when they have had their time there; a device that was away until then has nothing to show.
"""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from lairchat.client import inputs_sealed
from lairchat.features.delivery import messages as wire
from lairchat.model import limits, refusals
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Expiring:
    """Lets messages go whose time is over."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def set_timer(self, room: int, seconds: int) -> None:
        """Let what this device says in a room stay so long once it is read; 0: it stays."""
        if not 0 <= seconds <= limits.EXPIRY_SECONDS_MAX:
            raise refusals.GroupRefused(why="a message stays for a year at most, or for good")
        self._sealed.require_store().marks.keep_timer(room, seconds)

    def round(self) -> None:
        """Erase what has had its time, and have the server drop what of it is ours."""
        store, own = self._sealed.opened, self._sealed.own
        for room, (author, message) in store.expire(self._sealed.now()):
            found = store.messages.find(room, (author, message))
            if found is None:
                continue
            seq = found.said.seq
            self._sealed.deliver(inputs_sealed.MessagesGone(room, (seq,)))
            if own is not None and own.identity.account == author and self._sealed.ready:
                self._drop(room, seq)

    def _drop(self, room: int, seq: int) -> None:
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        dropping: Deferred[Any] = self._sealed.ask(
            wire.TOMBSTONE, wire.DeleteMessage(room, seq), key
        )
        dropping.addErrback(self._not_dropped)

    def _not_dropped(self, failure: Failure) -> None:
        # Another device of ours was quicker, or the room is gone; nothing here shows it any more.
        failure.trap(Refusal)
