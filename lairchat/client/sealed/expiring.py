"""Messages that disappear once they have been read: here at their time, and from the server by their author.

Whoever reads one starts its time on that device.  The author's device asks the server to drop the bytes
when they have had their time there; a device that was away until then has nothing to show.
"""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs_sealed
from lairchat.features.delivery import messages as wire
from lairchat.model import faults, limits, refusals
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_DROP = "drop:"
"""With room and place, the name of what the server is still to drop."""
_DROPS_AT_ONCE = 20
"""count: that the server is asked to drop in a round."""
_SHORTEST, _LONGEST = 1.0, 60.0
"""seconds: between two looks."""
_LATER = (faults.NetLost, refusals.Internal)


class Expiring:
    """Lets messages go whose time is over."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._call: Any = None
        self._dropping: set[str] = set()
        self._put_off: set[str] = set()

    def set_timer(self, room: int, seconds: int) -> None:
        """Let what this device says in a room stay so long once it is read; 0: it stays."""
        if not 0 <= seconds <= limits.EXPIRY_SECONDS_MAX:
            raise refusals.GroupRefused(why="a message stays for a year at most, or for good")
        self._sealed.require_store().marks.keep_timer(room, seconds)

    def soon(self) -> None:
        """Look when the next message has had its time: with or without a connection."""
        self.end()
        store = self._sealed.store
        if store is None:
            return
        over = store.messages.next_expiry()
        left = _LONGEST if over is None else (over - self._sealed.now()) / 1000
        seconds = min(max(left, _SHORTEST), _LONGEST)
        self._call = self._sealed.link.reactor.callLater(seconds, self._look)

    def end(self) -> None:
        """Look no more."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _look(self) -> None:
        self._call = None
        try:
            self._erase()
        except Refusal as refusal:
            # A full disk, say: once there is room again.
            self.log.info("nothing could be erased: {code}", code=refusal.code)
        finally:
            self.soon()
        self.drop()

    def _erase(self) -> None:
        store, own = self._sealed.opened, self._sealed.own
        now = self._sealed.now()
        if own is not None:
            # Before it is erased, which may be the last thing that this program does.
            over = store.messages.over(now, own.identity.account)
            if over:
                store.marks.keep_facts(f"{_DROP}{room}:{seq}" for room, seq in over)
        for room, (author, message) in store.expire(now):
            found = store.messages.find(room, (author, message))
            if found is not None:
                self._sealed.deliver(inputs_sealed.MessagesGone(room, (found.said.seq,)))

    def drop(self) -> None:
        """Have the server drop what of that is ours, once it can be reached."""
        if self._sealed.ready:
            # Not twice what has no answer yet: it would cost what this account may ask for.
            waiting = [
                one for one in self._sealed.opened.marks.facts(_DROP) if one not in self._dropping
            ]
            # What was put off comes last: it would keep all behind it from being asked for.
            turn = [one for one in waiting if one not in self._put_off]
            if not turn:
                self._put_off.clear()
                turn = waiting
            for name in turn[: max(0, _DROPS_AT_ONCE - len(self._dropping))]:
                self._drop(name)

    def _drop(self, name: str) -> None:
        room, seq = map(int, name.removeprefix(_DROP).split(":"))
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        dropping: Deferred[Any] = self._sealed.ask(
            wire.TOMBSTONE, wire.DeleteMessage(room, seq), key
        )
        self._dropping.add(name)
        dropping.addBoth(self._answered, name)
        dropping.addCallbacks(
            self._dropped, self._not_dropped, callbackArgs=(name,), errbackArgs=(name,)
        )

    def _answered(self, result: Any, name: str) -> Any:
        self._dropping.discard(name)
        return result

    def _dropped(self, _: object, name: str) -> None:
        store = self._sealed.store
        if store is not None:
            store.marks.keep_fact(name, None)

    def _not_dropped(self, failure: Failure, name: str) -> None:
        failure.trap(Refusal)
        refusal = failure.value
        assert isinstance(refusal, Refusal)
        if refusal.retry_after is not None or isinstance(refusal, _LATER):
            self._put_off.add(name)
        else:
            # Another device of ours was quicker, or the room is gone: there is nothing to drop.
            self._dropped(None, name)
