"""Who types where: told to the members of an epoch, sealed, never stored and never signed."""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from lairchat.client import inputs_sealed
from lairchat.e2ee.ephemeral import Doing, open_ephemeral, seal
from lairchat.features.delivery import messages as wire
from lairchat.mls.errors import MLSError
from lairchat.model.refusal import Refusal
from lairchat.trust.structure import identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Typing:
    """Tells that this user types, and shows who else does."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def tell(self, room: int, *, on: bool) -> None:
        """Tell the other members; that nobody hears it is no harm."""
        state = self._sealed.following(room).state
        if state is None or not self._sealed.ready:
            return
        doing = Doing.TYPING if on else Doing.NOTHING
        body = seal(state.group, doing, self._sealed.link.server_now(), self._sealed.random)
        telling: Deferred[Any] = self._sealed.ask(wire.EPHEMERAL, wire.SendEphemeral(room, body))
        telling.addErrback(self._not_told)

    def _not_told(self, failure: Failure) -> None:
        failure.trap(Refusal)

    def heard(self, told: wire.Ephemeral) -> None:
        """Show that somebody types."""
        state = None if self._sealed.store is None else self._sealed.store.room(told.room)
        if state is None:
            return
        try:
            leaf, doing = open_ephemeral(state.group, told.body, self._sealed.link.server_now())
        except MLSError:
            return  # of another epoch, stale, or nobody's
        account = identity_of(state.group.public.tree.member(leaf)).account
        if account == state.own.account:
            return
        name = self._sealed.names.shown(account)
        self._sealed.deliver(inputs_sealed.SomebodyTypes(told.room, name, doing is Doing.TYPING))
