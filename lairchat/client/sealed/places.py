"""Tells the account's other devices how far this one has read encrypted rooms, and counts what they tell.

What is read on one device is read on all of them.  A device without the backup's key can open nothing of
it, and takes no part until it has the key.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.e2ee.places import open_slot, seal
from lairchat.features.reading import messages as wire
from lairchat.mls.errors import MLSError
from lairchat.model import faults, limits
from lairchat.model.refusal import Refusal
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Places:
    """How far each room has been read, here and elsewhere.

    _told: what the slots of all devices say together, by group.  _ahead: the groups of which others say
    more than this device has followed yet, also those that it is not in.
    """

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._told: dict[bytes, int] = {}
        self._ahead: set[bytes] = set()
        self._due = False
        self._put_at: float | None = None

    # -- when

    def online(self) -> None:
        """Look once what the others have read; from now on the server tells when that changes."""
        if self._can():
            self._told.clear()
            self._ahead.clear()
            Deferred.fromCoroutine(self._fetch()).addErrback(self._failed, self.online)

    def lost(self) -> None:
        """Note that the connection is gone, and what was to be done on it with it."""
        self._due = False

    def read(self) -> None:
        """Tell the others soon, if something was read here that none of them knows."""
        if self._due or not self._can():
            return
        self._due = True
        now = self._sealed.link.reactor.seconds()
        # At most so often: the server learns of each time.
        next_at = now if self._put_at is None else self._put_at + limits.READING_SECONDS
        self._sealed.later(max(0.0, next_at - now), self._tell)

    def end(self) -> None:
        """Tell what has not been told yet: this program ends, and does not wait for the answer."""
        self._tell()

    def followed(self, room: int) -> None:
        """Go on with a room of which others have read more than had come here."""
        group = self._group(room)
        if group in self._ahead:
            self._apply(room, group)

    def _can(self) -> bool:
        """Tell whether this device takes part now."""
        sealed = self._sealed
        return sealed.ready and sealed.store is not None and sealed.store.backups.key() is not None

    @property
    def _key(self) -> SecretBytes:
        key = self._sealed.opened.backups.key()
        if key is None:
            # It was there when this began.
            raise faults.BackupKeyless
        return key

    def _failed(self, failure: Failure, again: Callable[[], None]) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("reading places failed", failure)
            return
        self.log.info("reading places: {code}", code=refusal.code)
        if refusal.retry_after is not None:
            self._sealed.later(max(refusal.retry_after, limits.READING_SECONDS), again)

    # -- what this device tells

    def _tell(self) -> None:
        self._due = False
        Deferred.fromCoroutine(self._put()).addErrback(self._failed, self.read)

    async def _put(self) -> None:
        if not self._can():
            return
        places = self._own()
        if all(seq <= self._told.get(group, 0) for group, seq in places.items()):
            return
        own = self._sealed.require_own()
        slot = seal(self._key, own.identity, SigningKey(own.signing), places, self._sealed.random)
        self._put_at = self._sealed.link.reactor.seconds()
        await self._sealed.ask(wire.PUT, wire.PutPlaces(slot))
        self._heed(places)

    def _own(self) -> dict[bytes, int]:
        """Return how far rooms have been read, as it is known here, the newest room first."""
        reads = self._sealed.opened.marks.latest_reads(limits.READING_ROOMS)
        found = ((self._group(room), seq) for room, seq in reads)
        return {group: seq for group, seq in found if group is not None}

    def _group(self, room: int) -> bytes | None:
        state = None if self._sealed.store is None else self._sealed.store.room(room)
        return None if state is None else state.group.context.group_id

    # -- what others tell

    async def _fetch(self) -> None:
        after: bytes | None = None
        # No more than there can be devices, whatever the server says.
        left = limits.LOG_DEVICES
        while left > 0:
            page: wire.SlotList = await self._sealed.ask(wire.LIST, wire.ListPlaces(after))
            for slot in page.slots[:left]:
                await self._take(slot)
            if not page.more or not page.slots:
                break
            left -= len(page.slots)
            after = page.slots[-1].device
        self.read()

    def heard(self, slot: wire.Slot) -> None:
        """Take what another device has just told."""
        if self._can():
            # What fails now comes with the next that this device tells.
            Deferred.fromCoroutine(self._take(slot)).addErrback(self._failed, lambda: None)

    async def _take(self, slot: wire.Slot) -> None:
        sealed = self._sealed
        account = sealed.require_own().identity.account
        if sealed.device.account_log.device(slot.device) is None:
            # Linked a moment ago, perhaps.
            await sealed.directory.read(account)
        try:
            places = open_slot(self._key, sealed.device.account_log, slot.device, slot.data)
        except MLSError as error:
            self.log.info("the reading places of a device: {why}", why=str(error))
            return
        self._heed(places)
        self._ahead.update(places)
        for room in sealed.opened.rooms():
            group = self._group(room)
            if group in places:
                self._apply(room, group)

    def _heed(self, places: Mapping[bytes, int]) -> None:
        """Note what a slot says; an old one, given again, says nothing new."""
        for group, seq in places.items():
            self._told[group] = max(seq, self._told.get(group, 0))

    def _apply(self, room: int, group: bytes) -> None:
        """Count as read here what has been read elsewhere, as far as this device has followed the room."""
        store, told = self._sealed.opened, self._told[group]
        state = store.room(room)
        assert state is not None, "it has a group"
        seq = min(told, state.followed.seq)
        if seq > store.marks.reads().get(room, 0):
            try:
                self._sealed.mark_read(room, seq)
            except Refusal as refusal:
                # A full disk, say: it counts as unread until the room goes on.
                self.log.info("reading places: {code}", code=refusal.code)
                return
            self._sealed.deliver(inputs.CursorMoved(room, seq, self._sealed.unread(room, seq)))
        if seq == told:
            self._ahead.discard(group)
