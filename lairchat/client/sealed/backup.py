"""Keeps the encrypted backup in step with the store, and takes in what other devices have backed up.

A round looks at the index, takes in the chunks that this store does not have, writes those that changed
here, and puts the next index in its place if no other device was faster.  Nothing is written over an
object that could not be read: what the server hides or spoils costs this store nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.sealed.device import WORDS
from lairchat.client.sealed.handing import Handing
from lairchat.client.sealed.keepsakes import Keepsakes
from lairchat.client.store_backups import Backups
from lairchat.e2ee.backup import (
    INDEX,
    Entry,
    Index,
    OldBackupError,
    Place,
    open_chunk,
    open_index,
    seal_chunk,
    seal_index,
)
from lairchat.e2ee.fold import Message
from lairchat.mls.errors import MLSError
from lairchat.model import faults, limits, refusals
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import WordsError
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.root import Root, backup_key
from lairchat.trust.secret import SecretBytes
from lairchat.trust.words import parse_words

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

CHUNKS: Final = 64
"""count: chunks between two indexes; a crash costs no more than these."""
_TRIES: Final = 5
"""count: how often a round begins again because another device was faster."""
_ORPHANED_SECONDS: Final = 3_600
"""seconds: until an object that no index names is taken for one that was left behind."""
_ONCE_MORE_SECONDS = 90.0
"""seconds: from the first look at the backup to the second."""
_OLD = (
    "the server gives an older backup than this device has seen ({why}): it was put back to before, or"
    " hides something. Nothing here is lost; this device backs up anew what it has"
)
_GONE = (
    "the server has no backup any more, and had one before. Nothing here is lost; this device backs up"
    " anew what it has"
)
_FOREIGN = (
    "the server gives a backup that none of your devices has made ({why}): it is not used. Nothing here"
    " is lost"
)
_BROKEN = "a part of your backup is missing or spoilt ({why}): what was in it is not restored"
_KEYLESS = (
    "what was said before this device was linked comes from your backup as soon as another device of"
    " yours is here; without one, /recover asks for the recovery words"
)
_ABOVE = "what stands above comes from your backup"
_TURNED_OFF = "the backup was turned off on another device of yours"


@dataclass(slots=True)
class _Found:
    """The index as it was given.

    data: the object, None without one.  believed: whether it is what a device of ours put there last.
    broken: places whose chunk could not be had.  held: what was read of places that changed here too.
    restored: how many messages of each room are new here.  authors: the accounts that wrote them.
    """

    data: bytes | None
    index: Index
    believed: bool
    broken: set[Place] = field(default_factory=set)
    held: dict[Place, tuple[Message, ...]] = field(default_factory=dict)
    restored: dict[int, int] = field(default_factory=dict)
    authors: set[bytes] = field(default_factory=set)


class Backup:
    """The backup of this account, as this device sees it."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._objects = Keepsakes(sealed)
        self.handing = Handing(sealed)
        self._turn = DeferredLock()
        self._told: set[str] = set()
        self._collected = False

    @property
    def _kept(self) -> Backups:
        return self._sealed.opened.backups

    # -- when

    def online(self) -> None:
        """Look at the backup: another device may have changed it."""
        self._collected = False
        entropy = self._sealed.opened.marks.fact(WORDS)
        if self._kept.key() is None and entropy is not None:
            self._kept.keep_key(backup_key(SecretBytes(entropy)))
        if self._kept.key() is None:
            self._tell(_KEYLESS)
            Deferred.fromCoroutine(self.handing.ask()).addErrback(self._stopped)
        self._begin()

    def round(self) -> None:
        """Back up what has been said since the last time, if anything was."""
        if self._sealed.ready and not self._kept.off and self._kept.unsaved():
            self._begin()

    def _begin(self) -> None:
        if self._sealed.ready and self._kept.key() is not None and not self._turn.locked:
            Deferred.fromCoroutine(self.sync()).addErrback(self._stopped)

    def _stopped(self, failure: Failure) -> None:
        """Leave it for the next round."""
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("the backup failed", failure)
        elif isinstance(refusal, refusals.KeepsakesFull):
            self._tell(refusal.text)
        else:
            self.log.info("no backup now: {code}", code=refusal.code)

    def _tell(self, text: str) -> None:
        # Once: the user can do nothing about it that would have to be asked for again each minute.
        if text not in self._told:
            self._told.add(text)
            self._sealed.deliver(inputs.Notice(text))

    # -- what the user wants

    async def recover(self, text: str) -> int:
        """Take in all that is backed up; return how many messages were not here.  Raises a Refusal."""
        own = self._sealed.require_own()
        try:
            entropy = parse_words(text)
        except WordsError as error:
            # Not what was typed: only what kind of mistake it is.
            raise faults.WordsBad(why=str(error)) from None
        root = Root(entropy)
        log = self._sealed.opened.people.logs[own.identity.account]
        if log.genesis.root != root.public:
            raise faults.WordsBad(why="they belong to another account")
        self._kept.keep_key(backup_key(entropy))
        self._sealed.places.online()
        await self._sealed.device.end_exposed(root)
        return await self.sync()

    async def turn(self, *, on: bool) -> None:
        """Begin to back up, or delete the backup and make none, on all devices.  Raises a Refusal."""
        self._sealed.require_own()
        if self._kept.key() is None:
            raise faults.BackupKeyless
        await self._locked(lambda: self._turned(on=on))
        if on:
            await self.sync()

    async def _turned(self, *, on: bool) -> int:
        found = await self._look()
        index = found.index
        after = replace(index, version=index.version + 1, off=False)
        await self._replace(found, after if on else index.switched_off())
        if on:
            self._kept.mark()
        else:
            await self._objects.drop_others([INDEX], age=0)
        return 0

    # -- a round

    async def sync(self) -> int:
        """Bring both into step; return how many messages were not here.  Raises a Refusal."""
        return await self._locked(self._sync)

    async def _locked(self, work: Callable[[], Awaitable[int]]) -> int:
        await self._turn.acquire()
        try:
            for _ in range(_TRIES - 1):
                try:
                    return await work()
                except refusals.KeepsakeStale:
                    # Another device was faster, or the server lied about what is there.
                    await self._sealed.pause(self._sealed.random(1)[0] / 256)
            return await work()
        finally:
            self._turn.release()

    async def _sync(self) -> int:
        found = await self._look()
        if found.believed and found.index.off != self._kept.off:
            self._follow_switch(found.index.off)
        if found.index.off:
            assert found.data is not None
            self._kept.saw(found.index.version, found.data, off=True)
            return 0
        first = self._kept.seen() is None
        if found.believed:
            await self._take_in(found, first=first)
        else:
            self._kept.mark()
        await self._meet(found.authors)
        self._show(found.restored, first=first)
        while await self._write(found):
            pass
        if first:
            # Others write once a minute: what was said just before this device was linked comes then.
            self._sealed.later(_ONCE_MORE_SECONDS, self._begin)
        if not self._collected:
            names = [entry.name for entry in found.index.entries]
            await self._objects.drop_others([INDEX, *names], age=_ORPHANED_SECONDS)
            self._collected = True
        return sum(found.restored.values())

    def _follow_switch(self, off: bool) -> None:
        if off:
            self._tell(_TURNED_OFF)
        else:
            self._kept.mark()

    @property
    def _account(self) -> bytes:
        return self._sealed.require_own().identity.account

    @property
    def _key(self) -> SecretBytes:
        key = self._kept.key()
        if key is None:
            # It was there when the round began.
            raise faults.BackupKeyless
        return key

    async def _look(self) -> _Found:
        """Return the index, or where to go on from if there is none to be believed."""
        data = await self._objects.get(INDEX)
        seen = self._kept.seen()
        anew = Index(0 if seen is None else seen.version)
        if data is None:
            if seen is not None:
                self._tell(_GONE)
            return _Found(None, anew, believed=seen is None)
        try:
            index = open_index(self._key, self._account, data, seen)
        except OldBackupError as error:
            self._tell(_OLD.format(why=error))
        except MLSError as error:
            self._tell(_FOREIGN.format(why=error))
        else:
            return _Found(data, index, believed=True)
        return _Found(data, anew, believed=False)

    # -- taking in

    async def _take_in(self, found: _Found, *, first: bool) -> None:
        index, saved = found.index, self._kept.saved()
        self._kept.restore_rooms(index.rooms)
        self._sealed.pin_rooms()
        for entry in sorted(index.entries, key=lambda one: one.day, reverse=True):
            if saved.get(entry.place) != entry.name:
                await self._restore(found, entry)
        for pin in index.pins:
            self._restore_pin(pin, first=first)
        # What another device has left out, as one does that had to begin anew, and this one still has.
        self._kept.mark(place for place in saved if place not in index.places)
        if found.data is not None:
            self._kept.saw(index.version, found.data, off=False)

    async def _restore(self, found: _Found, entry: Entry) -> None:
        data = await self._objects.get(entry.name)
        try:
            if data is None:
                raise OldBackupError("it is not on the server")
            messages = open_chunk(self._account, entry, data)
        except MLSError as error:
            found.broken.add(entry.place)
            self._tell(_BROKEN.format(why=error))
            return
        if entry.place in self._kept.unsaved():
            found.held[entry.place] = messages
        new = self._kept.restore(entry.place, entry.name, messages)
        if new:
            found.restored[entry.room] = found.restored.get(entry.room, 0) + new
            found.authors.update(one.said.author for one in messages)

    async def _meet(self, authors: set[bytes]) -> None:
        """Read who those are that wrote what was restored: else they are shown without their names."""
        known = self._sealed.opened.people.logs
        for account in sorted(authors - known.keys()):
            try:
                await self._sealed.directory.read(account)
            except Refusal as refusal:
                # Gone from this server, or it is just away: what they said is there to be read.
                self.log.info("who wrote what was restored: {code}", code=refusal.code)

    def _restore_pin(self, pin: Pin, *, first: bool) -> None:
        """Take in what another device believes; what was decided here stands."""
        mine = self._sealed.directory.pin(pin.name)
        if mine is None:
            self._sealed.directory.keep(pin)
        elif mine.account == pin.account:
            if pin.sureness > mine.sureness:
                self._sealed.directory.keep(replace(mine, sureness=pin.sureness))
        elif first and mine.sureness is Sureness.FIRST_SIGHT:
            # The server has shown a new device somebody else than the others know: a person decides.
            self._sealed.directory.keep(replace(pin, changed=mine.account))

    def _show(self, restored: dict[int, int], *, first: bool) -> None:
        """Show rooms anew into which something has come."""
        for room in restored:
            if first:
                last = self._sealed.opened.messages.last_restored(room)
                if last is not None:
                    self._sealed.opened.messages.note(room, last.said.seq, last.said.at, _ABOVE)
            if room in self._sealed.link.rooms.infos:
                page = self._sealed.lines(room, limit=limits.HISTORY_PAGE)
                self._sealed.deliver(
                    inputs.HistoryPage(room, page.messages, older=page.older, replace=True)
                )

    # -- writing

    async def _write(self, found: _Found) -> bool:
        """Write some of what has changed, and the index of it; tell whether more is left."""
        unsaved = [one for one in self._kept.unsaved().items() if one[0] not in found.broken]
        written: list[tuple[Place, int, bytes | None]] = []
        new: list[Entry] = []
        before = found.index.places
        for place, changes in sorted(unsaved)[:CHUNKS]:
            messages, there = self._kept.messages(place), before.get(place)
            if there is not None and found.held.get(place) == tuple(messages):
                # Another device has heard the same, and has been here.
                written.append((place, changes, there.name))
            elif messages:
                entry = await self._put(place, messages)
                new.append(entry)
                written.append((place, changes, entry.name))
            else:
                written.append((place, changes, None))
        gone = [place for place, _, name in written if name is None and place in before]
        after = found.index.after(
            gone, new, self._kept.rooms(), self._sealed.opened.people.pins().values()
        )
        if after == replace(found.index, version=after.version):
            if found.data is not None and found.believed:
                self._kept.keep(found.index.version, found.data, written)
            return False
        replaced = [
            before[place].name for place in (*gone, *(one.place for one in new)) if place in before
        ]
        await self._replace(found, after, written)
        await self._objects.drop(replaced)
        return len(unsaved) > CHUNKS

    async def _put(self, place: Place, messages: Sequence[Message]) -> Entry:
        sealed = seal_chunk(self._account, place, messages, self._sealed.random)
        await self._objects.put(sealed.entry.name, sealed.data)
        return sealed.entry

    async def _replace(
        self,
        found: _Found,
        after: Index,
        written: Sequence[tuple[Place, int, bytes | None]] = (),
    ) -> None:
        """Put the next index in place of the one that was found."""
        data = seal_index(self._key, self._account, after, self._sealed.random)
        await self._objects.put(INDEX, data, found.data)
        if not after.off:
            self._kept.keep(after.version, data, written)
        if after.off != self._kept.off:
            self._kept.saw(after.version, data, off=after.off)
        found.data, found.index, found.believed = data, after, True
