"""What stands on the lock of a room, and what to do where it is held.

Computed for the next message that is typed there, from what the room and the pins are at this moment.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lairchat.e2ee.room import Room
from lairchat.trust.locks import Audience, Cause, Hold, Lock, holds, lock
from lairchat.trust.pins import Pin
from lairchat.trust.policy import Kind

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_TEXTS = {
    Cause.IDENTITY_CHANGED: (
        "the identity of {name} has changed; often somebody lost the recovery words",
        "Compare: /verify {name}. Or take it for a new person: /trust {name}",
    ),
    Cause.LINK_DIFFERS: (
        "the identity of {name} is not the one that the link is from",
        "Ask {name} for a new link by another way, or compare: /verify {name}",
    ),
    Cause.LOG_ROLLED_BACK: (
        "the server hides entries of the account of {name} that have been seen here",
        "Ask the operator whether the server was put back; it clears by itself once they are back",
    ),
    Cause.LOG_FORKED: (
        "the server shows different people different histories of the account of {name}",
        "Tell {name} by another way, and the operator: this does not happen by accident",
    ),
    Cause.LOG_WITHHELD: (
        "{name} speaks of devices that the server does not show",
        "Wait for the server to give them, or ask the operator; it clears by itself",
    ),
    Cause.COMMIT_REFUSED: (
        "somebody has changed the room against its rules",
        "It goes on anew, with the same people: /refound, of a private room by an administrator",
    ),
    Cause.NEWCOMER: (
        "somebody is in the room of whose coming nothing was seen: {name}",
        "Ask the others whether they know of it. If that is right: /trust alone",
    ),
    Cause.ROOM_CUT: (
        "the server has lost the end of this room, or hides it",
        "Ask the operator whether the server was put back. It goes on anew: /refound",
    ),
    Cause.ROOM_FORKED: (
        "the server shows the members different histories of this room",
        "Compare with the others by another way what was said. It goes on anew: /refound",
    ),
    Cause.FOLLOWED: (
        "this conversation is over, and read only",
        "It goes on in another: /msg {name}",
    ),
    Cause.ENDING: (
        "the server says that another conversation with {name} has come in the place of this one",
        "It comes by itself; if it does not: /refound",
    ),
    Cause.OTHER_ACCOUNT: (
        "this conversation is with the identity that {name} had before",
        "With the one that you trust it goes on anew: /refound",
    ),
}


_LOST = frozenset({Cause.ROOM_CUT, Cause.ROOM_FORKED})
"""Of these a room is held for good, unless the server gives what it has withheld."""
NAMED = 3
"""count: people who are named on a lock; of more, the number."""


class Labels:
    """The locks of encrypted rooms."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def of(self, room: int) -> tuple[Lock, str]:
        """Return (lock, why it is held and the next step, or an empty string)."""
        state = self._state(room)
        if state is None:
            return Lock.WAITING, self._sealed.waiting.why(room)
        kind = Kind(state.policy.kind)
        pins = list(self._others(state).values())
        held = (*self._held(state), *holds(kind, pins))
        found = lock(kind, pins, held, waiting=self._sealed.waiting.holds(room))
        if found is Lock.HELD:
            return found, held_text(held)
        return found, self._sealed.waiting.why(room) if found is Lock.WAITING else ""

    def is_lost(self, state: Room) -> bool:
        """Tell whether nothing can ever be said again in a room: its log or its group is broken."""
        held = self._sealed.opened.people.holds(state.room)
        return state.halted is not None or any(one.cause in _LOST for one in held)

    def audience(self, room: int) -> Audience:
        """Return whom a message is for that is typed now."""
        state = self._state(room)
        if state is None:
            # Before there is a group: whoever the room is with, as far as that is known.
            peer = self._sealed.peer_name(room)
            return Audience(Lock.WAITING, frozenset({(peer, None)} if peer else ()))
        found, _ = self.of(room)
        members: set[tuple[str, bytes | None]] = {
            (self._sealed.directory.name_of(account), account) for account in self._others(state)
        }
        if state.policy.kind == Kind.DIRECT and not members:
            members = {(self._sealed.peer_name(room), None)}
        return Audience(found, frozenset(members))

    def _state(self, room: int) -> Room | None:
        store = self._sealed.store
        return None if store is None else store.room(room)

    def _others(self, state: Room) -> dict[bytes, Pin | None]:
        """Return the pins of the other accounts in a room, None where there is none."""
        accounts = {one.account for one in state.members} - {state.own.account}
        pins = self._sealed.pins()
        found: dict[bytes, Pin | None] = {}
        for account in accounts:
            pin = pins.get(self._sealed.directory.name_of(account))
            # A pin speaks for two accounts at most; a third one of that name is nobody yet.
            known = pin is not None and account in (pin.account, pin.changed)
            found[account] = pin if known else None
        return found

    def _held(self, state: Room) -> list[Hold]:
        directory = self._sealed.directory
        ended = self._sealed.directs.hold(state)
        found = [] if ended is None else [ended]
        found += self._sealed.opened.people.holds(state.room)
        if state.halted is not None:
            found.append(Hold(Cause.COMMIT_REFUSED))
        for account in {one.account for one in state.members}:
            cause = directory.fault(account)
            if cause is not None:
                found.append(Hold(cause, directory.name_of(account)))
        return found


def held_text(held: Sequence[Hold]) -> str:
    """Return why a room is held first of all; of people who are asked about together, all of them."""
    first = next((one for one in held if one.cause is not Cause.NEWCOMER), held[0])
    if first.cause is not Cause.NEWCOMER:
        return hold_text(first)
    names = [one.name for one in held if one.cause is Cause.NEWCOMER]
    more = len(names) - NAMED
    shown = [*names[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return hold_text(Hold(Cause.NEWCOMER, ", ".join(shown)))


def hold_text(hold: Hold) -> str:
    """Return why a room is held, and the next step."""
    why, advice = _TEXTS[hold.cause]
    name = hold.name or "somebody"
    return f"{why.format(name=name)}. {advice.format(name=name)}"
