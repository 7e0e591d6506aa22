"""People in a room of whose coming this device has seen nothing, because it was behind meanwhile.

Whoever has the right adds people, and each device that follows the log says so as it happens.  One that
enters again has missed it: without this an insider could choose the moment at which nobody looks, by
putting that device out first, and the server could bring it about by withholding a commit.

Promises not to know: how it is asked.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from lairchat.e2ee.room import Room
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.policy import Kind

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Newcomers:
    """Who has to be looked at before anything is sent to them."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def since(self, before: Room | None, after: Room) -> list[Hold]:
        """Return what holds a room that is entered again; before: as this device last followed it.

        Nobody is new where this device comes for the first time, nor where its person had gone: whoever
        led it there is answerable for all who are inside.  A direct conversation cannot have anybody
        else in it.
        """
        known = self._seen(before, after.room)
        if not known or after.policy.kind == Kind.DIRECT:
            return []
        found = {one.account for one in after.members} - known - {after.own.account}
        return [
            Hold(Cause.NEWCOMER, name)
            for name in sorted(map(self._sealed.directory.name_of, found))
        ]

    def _seen(self, before: Room | None, room: int) -> set[bytes]:
        """Return the accounts of whose coming this device knows; none if it was not there."""
        if before is not None:
            return {one.account for one in before.members}
        left = self._sealed.opened.left(room)
        return set() if left is None else set(left.accounts)

    def of(self, room: int) -> tuple[str, ...]:
        """Return the names of those in a room who have not been looked at, sorted."""
        held = self._sealed.opened.people.holds(room)
        return tuple(one.name for one in held if one.cause is Cause.NEWCOMER)

    def accept(self, room: int, names: Collection[str]) -> None:
        """Note that the user says that these belong there."""
        self._drop(room, set(names))

    def gone(self, room: int) -> None:
        """Ask no more about those who are gone."""
        state = self._sealed.following(room).state
        if state is not None:
            inside = {self._sealed.directory.name_of(one.account) for one in state.members}
            self._drop(room, set(self.of(room)) - inside)

    def _drop(self, room: int, names: set[str]) -> None:
        people = self._sealed.opened.people
        held = people.holds(room)
        kept = [one for one in held if one.cause is not Cause.NEWCOMER or one.name not in names]
        if len(kept) != len(held):
            people.keep_holds(room, kept)
            self._sealed.relabel(room)
            self._sealed.sending.wake(room)
