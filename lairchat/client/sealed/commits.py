"""Changes of a room's group: kept before they are uploaded, followed when they stand in the log.

One at a time in a room.  Of two devices that commit at once the server takes one; the other follows it,
and makes its own anew if it is still wanted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.e2ee.room import Due, Room, decided, revoked
from lairchat.features.delivery import messages as wire
from lairchat.mls.errors import MLSError
from lairchat.mls.group import Group
from lairchat.mls.objects import GroupContextExtensions
from lairchat.model import faults, refusals
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import LogNeededError, TrustError
from lairchat.trust.policy import Policy, context_extensions
from lairchat.trust.structure import identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

TRIES = 8
"""count: how often a change is made anew because others were quicker."""
ECHO_SECONDS = 5.0
"""seconds: within which the log says what became of a commit; else it is read again."""
ECHOES = 4
"""count: how often it is, before who waits for the commit is told."""
_UNDECIDED = (
    "the server does not say what became of a change of this device's here; it is asked again."
    " If that stays, ask the operator"
)
TEND_SECONDS = 10.0
TEND_SECONDS_MAX = 120.0
"""seconds: until what is due is tried again that was refused, and at most."""
SOON_SECONDS = 3.0
"""seconds: within which new keys come that no message waits for; spread, or many would come at once."""

_FOR_GOOD = (
    refusals.GroupBlob,
    refusals.GroupLog,
    refusals.GroupRefused,
    refusals.GroupRemoves,
    refusals.GroupUninvited,
    refusals.DeviceUnproven,
    refusals.InboxFull,
    refusals.NotMember,
    refusals.RoomArchived,
    refusals.RoomFollowed,
    refusals.RoomUnknown,
    refusals.RoomsMax,
)
Admissions = Callable[[Group], "list[wire.Admission]"]
"""Makes what newcomers are told of the epoch that they enter."""
Wanted = dict[str, Any]
Make = Callable[[Room], "Wanted | None"]
"""Says what a change is, for the room as it is by then (``Room.commit``); None: nothing any more."""


class Commits:
    """Changes the groups of rooms."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._turns: dict[int, DeferredLock] = {}
        self._soon: set[int] = set()
        self._won: dict[int, bytes] = {}
        self._refused: dict[int, int] = {}
        self._looked: dict[int, tuple[object, int, list[Any]]] = {}
        self._quiet: dict[int, tuple[object, int, list[int]]] = {}

    async def change(self, room: int, make: Make, admissions: "Admissions | None" = None) -> bool:
        """Make a change; False if it was not wanted any more.  Raises a Refusal."""
        turn = self._turns.setdefault(room, DeferredLock())
        await turn.acquire()
        try:
            return await self._change(room, make, admissions)
        finally:
            turn.release()

    async def _change(self, room: int, make: Make, admissions: "Admissions | None") -> bool:
        following = self._sealed.following(room)
        for _ in range(TRIES):
            await following.until(lambda: following.idle)
            state = following.state
            if state is None or state.halted is not None or state.behind is not None:
                raise self._sealed.waiting.refusal(room)
            if state.pending is not None:
                await self._upload(room, None)
                continue
            wanted = make(state)
            if wanted is None:
                return False
            self._prepare(state, wanted)
            if await self._upload(room, admissions):
                return True
        raise refusals.EpochStale(epoch=0, retry_after=1.0)

    def _prepare(self, state: Room, wanted: Wanted) -> None:
        """Keep a commit before it leaves; raises GroupRefused if it may not be."""
        store = self._sealed.opened
        head = self._sealed.device.account_log.head
        try:
            after = state.commit(
                store.people.logs,
                self._sealed.random,
                head=head,
                now=self._sealed.link.server_now() // 1000,
                **wanted,
            )
        except LogNeededError as error:
            raise refusals.GroupLog(position=error.position) from None
        except (MLSError, TrustError) as error:
            raise refusals.GroupRefused(why=str(error)) from None
        store.keep_commit(after)

    async def _upload(self, room: int, admissions: "Admissions | None") -> bool:
        """Upload the commit under way, and follow the log past it; True if it has won."""
        following = self._sealed.following(room)
        state = following.state
        assert state is not None
        pending = state.pending
        assert pending is not None
        message, blob = await self._sealed.transfer.put(pending.message)
        welcome, welcome_blob = await self._sealed.transfer.put(pending.welcome or b"")
        request = wire.CommitGroup(
            room,
            pending.info,
            message=message,
            blob=blob,
            welcome=welcome,
            welcome_blob=welcome_blob,
            admissions=[] if admissions is None else admissions(pending.group),
        )
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        try:
            await self._sealed.ask(wire.COMMIT, request, key)
        except refusals.EpochStale as refusal:
            # Somebody else's, or this very one, whose answer was lost: the log says which.
            await self._sealed.catch_up(room, refusal)
            await self._decided(room, pending.digest)
            return self._has_won(room, pending.digest)
        except _FOR_GOOD as refusal:
            # An answer to this very commit: it stands nowhere, and never will.
            state = following.state
            if state is not None and state.pending is not None:
                self._sealed.opened.drop_commit(state.dropped())
            if isinstance(refusal, refusals.GroupRemoves):
                # What the server proposes is on its way here, or has come.
                await self._sealed.catch_up(room, refusal)
                return False
            raise
        await self._decided(room, pending.digest)
        return self._has_won(room, pending.digest)

    async def _decided(self, room: int, digest: bytes) -> None:
        """Wait until the log says who has won; raises EpochStale if it does not, and then the lock says so."""
        following = self._sealed.following(room)
        for _ in range(ECHOES):
            if await following.until(lambda: self._is_decided(room, digest), ECHO_SECONDS):
                return
            following.say(_UNDECIDED)
            self._sealed.reread(room)
        self._sealed.later(2 * ECHO_SECONDS, self.tend, room)
        raise refusals.EpochStale(epoch=0, retry_after=2 * ECHO_SECONDS)

    def _is_decided(self, room: int, digest: bytes) -> bool:
        state = self._sealed.following(room).state
        return state is None or state.pending is None or state.pending.digest != digest

    def _has_won(self, room: int, digest: bytes) -> bool:
        # By the commit itself: a later epoch may be one that others have made past it.
        return self._won.get(room) == digest

    def won(self, room: int, digest: bytes) -> None:
        """Note that the log has a commit of this device's."""
        self._won[room] = digest

    def lost(self) -> None:
        """Forget what was to be done soon: the connection is gone, and its timers with it."""
        self._soon.clear()

    # -- what is wanted

    async def renew(self, room: int) -> None:
        """Bring new keys, and take up what waits."""
        unclean = self._sealed.opened.is_unclean

        def make(state: Room) -> Wanted | None:
            due = state.due(self._sealed.now(), unclean=unclean(room))
            return None if due is None else {}

        await self.change(room, make)

    async def settle(self, room: int) -> None:
        """See a commit through that is under way."""
        await self.change(room, lambda _: None)

    async def set_policy(self, room: int, change: Callable[[Policy], Policy]) -> None:
        """Change a room's policy; raises a Refusal."""

        def make(state: Room) -> Wanted | None:
            before = state.policy
            after = change(before)
            if after == before:
                return None
            extensions = context_extensions(after, state.server_key)
            return {"change": [GroupContextExtensions(extensions)]}

        await self.change(room, make)

    def tend(self, room: int) -> None:
        """See to it that what is due in a room is done, soon, by this device or another."""
        if room in self._soon or not self._sealed.ready or not self._is_due(room):
            return
        self._soon.add(room)
        state = self._sealed.following(room).state
        assert state is not None
        waiting = bool(state.group.public.pending) or state.pending is not None
        spread = 0.2 if waiting or len(state.members) <= 2 else SOON_SECONDS
        jitter = 0.2 + self._sealed.random(1)[0] / 320
        self._sealed.later(spread * jitter, self._tend_now, room)

    def _tend_now(self, room: int) -> None:
        self._soon.discard(room)
        if self._sealed.ready:
            doing = Deferred.fromCoroutine(self._tend(room))
            doing.addErrback(self._not_tended, room)

    def _not_tended(self, failure: Failure, room: int) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("a room could not be tended", failure)
        elif not isinstance(refusal, faults.NetLost):
            # Ever more rarely: a server that refuses for ever would have us commit for ever.
            tried = self._refused[room] = self._refused.get(room, 0) + 1
            wait = max(refusal.retry_after or TEND_SECONDS, min(2.0**tried, TEND_SECONDS_MAX))
            self._sealed.later(wait, self.tend, room)

    def _is_due(self, room: int) -> bool:
        state = self._sealed.following(room).state
        if state is None or self._sealed.is_out(room):
            return False
        if state.halted is not None or state.behind is not None:
            return False
        if self._sealed.directs.is_ended(room):
            return False
        if state.pending is not None or self._revoked(state) or self._silent(state):
            return True
        due = state.due(self._sealed.now(), unclean=self._sealed.opened.is_unclean(room))
        # An unclean room gets its keys with the next message; nobody needs them before.
        return due is not None and due is not Due.UNCLEAN

    async def _tend(self, room: int) -> None:
        """Do what is due, unless another device has been told to."""
        state = self._sealed.following(room).state
        if state is None or not self._is_due(room):
            return
        if state.group.public.pending or self._revoked(state) or self._silent(state):
            await self._sealed.ask(wire.LEASE, wire.AskGroup(room))
        whole = await self._is_whole(room) if self._silent(state) else False

        def make(now: Room) -> Wanted | None:
            gone = self._revoked(now)
            if whole:
                # Not as it was a minute ago: somebody may have spoken since.
                gone = gone + [decided(one) for one in self._find_silent(now)]
            due = now.due(self._sealed.now())
            if gone:
                return {"remove": gone}
            return None if due is None else {}

        await self.change(room, make)
        self._refused.pop(room, None)

    async def _is_whole(self, room: int) -> bool:
        """Tell whether this device has followed a room as far as the server says that it goes.

        Who was silent until yesterday may have spoken in what is still on its way here.
        """
        there: wire.GroupState = await self._sealed.ask(wire.STATE, wire.AskGroup(room))
        return (self._sealed.position(room) or 0) >= there.seq

    def _silent(self, state: Room) -> list[int]:
        """Return the leaves that have been silent for too long, and nobody has proposed to remove.

        Looked for anew each minute, or when the group has changed: this too is asked with each message.
        """
        public, minute = state.group.public, self._sealed.now() // 60_000
        known = self._quiet.get(state.room)
        if known is None or known[0] is not public or known[1] != minute:
            known = self._quiet[state.room] = public, minute, self._find_silent(state)
        return known[2]

    def _find_silent(self, state: Room) -> list[int]:
        leaving = _proposed(state) | {index for index, _ in self._revoked(state)}
        return state.silent(self._sealed.now(), leaving)

    def _revoked(self, state: Room) -> list[Any]:
        """Return the removals of devices that their accounts have revoked, and nobody has proposed.

        Looked for anew when the group or a log has changed: a room may have a thousand devices, and this
        is asked with each message.
        """
        public, learned = state.group.public, self._sealed.opened.people.learned
        known = self._looked.get(state.room)
        if known is None or known[0] is not public or known[1] != learned:
            known = self._looked[state.room] = public, learned, self._find_revoked(state)
        return known[2]

    def _find_revoked(self, state: Room) -> list[Any]:
        logs = self._sealed.opened.people.logs
        proposed = _proposed(state)
        found = []
        for index, leaf in state.group.public.tree.members():
            identity = identity_of(leaf)
            log = logs.get(identity.account)
            device = None if log is None else log.device(identity.device)
            if log is None or device is None or device.revoked is None:
                continue
            if index not in proposed and index != state.group.leaf:
                found.append(revoked(index, log))
        return found


def _proposed(state: Room) -> set[Any]:
    """Return the leaves that somebody has proposed to remove."""
    return {getattr(one.proposal, "removed", None) for one in state.group.public.pending.values()}
