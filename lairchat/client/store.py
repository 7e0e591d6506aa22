"""A device's encrypted store: what it must not lose, and what nobody else may read.

Each operation is one transaction, on disk when it returns.  Three rules keep conversations both safe
and whole over any crash:

* A key that seals is gone before what it sealed leaves: ``send`` writes the advanced ratchet and the
  sealed bytes together.
* A message is shown once: ``follow`` writes the room's new state, the message and its id together.
* A commit can be taken whoever wins: ``keep_commit`` writes it, with the epoch that it would begin,
  before it is uploaded.

A store that was not closed in order, or is a copy, has new keys come before the next message of each
room (``unclean``): what it holds may have been used by another since.
That is told by the file it is; a copy put back in place of the original is not noticed here.

Promises not to know: the network, the screen, the clock.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from lairchat.client import (
    store_codes,
    store_keys,
    store_left,
    store_marks,
    store_messages,
    store_outbox,
    store_people,
    store_rooms,
)
from lairchat.client.profile import Profile
from lairchat.client.store_backups import Backups
from lairchat.client.store_codes import Codes, Invitation
from lairchat.client.store_database import Connection, Database
from lairchat.client.store_file import open_database
from lairchat.client.store_keys import Keys
from lairchat.client.store_left import Left
from lairchat.client.store_marks import Marks
from lairchat.client.store_outbox import Letter
from lairchat.client.store_people import OwnDevice, People
from lairchat.client.store_search import Messages
from lairchat.e2ee.fold import Key, Message, Named, Said, fold
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import CodeUsed, Known, Unknown
from lairchat.e2ee.payload import Invitation as Told
from lairchat.e2ee.room import PAST_GRACE_MS, Event, Halted, Happening, Opened, Out, Room
from lairchat.mls.errors import MisuseError
from lairchat.mls.objects import GroupContext
from lairchat.mls.secret_tree import Purpose
from lairchat.trust.locks import Hold
from lairchat.trust.policy import Kind
from lairchat.trust.secret import SecretBytes

__all__ = ["Store"]


class Store:
    """The store of one profile, open.

    people, keys, codes, messages, marks, backups: what concerns one of these alone.
    unclean: the process before this one did not close it in order, or it is a copy.
    copied: it lies in another file than when it was open last.
    """

    def __init__(self, database: Database, *, unclean: bool, copied: bool) -> None:
        self._database = database
        self.people = People(database)
        self.keys = Keys(database)
        self.codes = Codes(database)
        self.messages = Messages(database)
        self.marks = Marks(database)
        self.backups = Backups(database)
        self.unclean = unclean
        self.copied = copied
        # As they are on disk: what is written is the difference.
        self._rooms: dict[int, Room] = {}

    def __repr__(self) -> str:
        return f"Store({self._database.profile!r})"

    @classmethod
    def open(cls, profile: Profile, master: SecretBytes) -> "Store":
        """Return the store of a profile that this process has locked, made if there is none.

        master: from :func:`lairchat.client.store_vault.unlock`.
        Raises ProfileDamaged, ProfileNewer, ProfileLocked, ProfileFull or ProfileDisk.
        """
        database = open_database(profile, master)
        status = database.path.stat()
        file = f"{status.st_dev}:{status.st_ino}"
        try:
            with database.writing() as connection:
                before, clean = connection.execute("SELECT file, clean FROM profile").fetchone()
                copied = before not in ("", file)
                unclean = copied or not clean
                connection.execute("UPDATE profile SET file = ?, clean = 0", (file,))
                if unclean:
                    store_rooms.distrust(connection)
            # In the file itself: whoever puts it back without its log is to find it unclean.
            database.checkpoint()
        except BaseException:  # also Ctrl-C: an open file would keep its locks
            database.close()
            raise
        return cls(database, unclean=unclean, copied=copied)

    def close(self) -> None:
        """Close it in order; raises a Refusal if that is not possible, and closes it all the same."""
        try:
            # First: nothing is sealed any more, and a full disk may keep the rest from being done.
            with self._database.writing() as connection:
                connection.execute("UPDATE profile SET clean = 1")
            self.purge()
        finally:
            self._database.close()

    def begin_device(self, own: OwnDevice) -> None:
        """Be another device from now on: the one before was revoked, or of an identity that is over.

        Its keys go, in all rooms too; what was read there stays.
        """
        with self._database.writing() as connection:
            for room in store_rooms.numbers(connection):
                _abandon(connection, room)
            store_keys.forget(connection)
            store_people.forget_own(connection)
        self._rooms.clear()
        self.people.keep_own(own)

    # Rooms.

    def rooms(self) -> list[int]:
        """Return the numbers of the rooms that this device is in."""
        with self._database.reading() as connection:
            return store_rooms.numbers(connection)

    def was_encrypted(self) -> set[int]:
        """Return the numbers of all rooms that this device has ever been in.

        In none of them is anything ever sent in the clear, whatever the server says of it.
        """
        with self._database.reading() as connection:
            return store_rooms.ever(connection)

    def room(self, number: int) -> Room | None:
        """Return a room as it was written last; None if this device is not in it.

        Raises MalformedError if what is kept is not what was written.
        """
        if number not in self._rooms:
            with self._database.reading() as connection:
                found = store_rooms.load(connection, number)
            if found is None:
                return None
            self._rooms[number] = found
        return self._rooms[number]

    def is_unclean(self, room: int) -> bool:
        """Tell whether a commit has to come before the next message (``Room.due``)."""
        with self._database.reading() as connection:
            return store_rooms.is_unclean(connection, room)

    def enter(
        self,
        room: Room,
        *,
        key_package: bytes | None = None,
        inbox: int | None = None,
        locator: bytes | None = None,
        held: Iterable[Hold] = (),
        timer: int = 0,
    ) -> Room:
        """Keep a room that this device has just come into, and return it as it is kept.

        What let it in is spent with it.  A room that this device is behind in is replaced, and codes
        into it go: whom they have let in meanwhile it has not seen.

        key_package: its reference; inbox: the entry that brought the welcome; locator: of the code;
        held: what holds sending there besides what does already; timer: how long what is said stays in
        the conversation whose place it takes, seconds.
        Raises InvalidError if it has been in that epoch before: a server repeats a welcome; if a commit
        was refused there; or if this device has seen another event in that place of the log.
        """
        with self._database.writing() as connection:
            kept = store_rooms.begin(connection, room)
            store_codes.forget(connection, room.room)
            if key_package is not None:
                store_keys.spend(connection, key_package)
            if inbox is not None:
                store_keys.passed(connection, inbox)
            if locator is not None:
                store_codes.answered(connection, locator)
            store_people.hold(connection, room.room, held)
            store_left.forget(connection, room.room)
            if timer:
                store_marks.inherit_timer(connection, room.room, timer)
        self._rooms[room.room] = kept
        return kept

    def leave(self, room: int) -> None:
        """Erase a room's keys, codes into it and what was to be said there; what was read in it stays."""
        state = self.room(room)
        with self._database.writing() as connection:
            if state is not None:
                store_left.keep(connection, state, state.members)
            _abandon(connection, room)
        self._rooms.pop(room, None)

    def require_new(self, context: GroupContext) -> None:
        """Refuse an epoch that this device could not enter, whatever led there; raises InvalidError.

        To be asked before a commit is uploaded that begins it: each would be another one in vain.
        """
        with self._database.reading() as connection:
            store_rooms.require_new(connection, context)

    def left(self, room: int) -> Left | None:
        """Return a room as it was when this device went out of it; None if it is in it, or never was."""
        with self._database.reading() as connection:
            return store_left.look(connection, room)

    def forget_room(self, room: int) -> None:
        """Erase a room with all that was said in it."""
        with self._database.writing() as connection:
            _abandon(connection, room)
            store_messages.forget(connection, room)
            store_marks.forget(connection, room)
            store_people.forget(connection, room)
            store_left.forget(connection, room)
        self._rooms.pop(room, None)

    def keep_commit(self, room: Room) -> None:
        """Keep a room with the commit that is about to be uploaded, and all that goes with it."""
        if room.pending is None:
            raise MisuseError("this room has no commit under way")
        with self._changed(room):
            pass

    def drop_commit(self, room: Room) -> None:
        """Keep a room without its commit, as ``Room.dropped`` returned it: the server refused it for good.

        What becomes of any other commit the log says, and ``follow`` keeps.
        """
        old = self.room(room.room)
        if old is None or old.pending is None or room.pending is not None:
            raise MisuseError("only the commit that is under way is dropped")
        if room.group.context != old.group.context:
            raise MisuseError("the room has gone on since")
        with self._changed(room, drops=True):
            pass

    @contextmanager
    def _changed(self, room: Room, *, drops: bool = False) -> Iterator[Connection]:
        """Write a room and what belongs to the change; drops: the commit under way ends by it."""
        old = self.room(room.room)
        if old is None:
            raise MisuseError("this device is not in that room")
        _check_follows(old, room)
        if not drops:
            _check_keeps_commit(old, room)
        if old.past is None and room.past and room.group.context == old.group.context:
            # Its keys are erased (``expire``), and a state from before must not bring them back.
            room = replace(room, past=None)
        # Read anew if this fails: after an error of the disk only the disk knows what it has.
        del self._rooms[room.room]
        with self._database.writing() as connection:
            store_rooms.save(connection, old, room)
            yield connection
        self._rooms[room.room] = room

    # Sending.

    def queue(self, letter: Letter) -> None:
        """Keep what was typed and cannot leave yet."""
        with self._database.writing() as connection:
            store_outbox.put(connection, letter)

    def send(self, room: Room, letter: Letter, sealed: bytes, now_ms: int) -> None:
        """Keep a message that was just sealed, and the room without the key that it took.

        room: as ``Room.seal`` returned it.  The bytes may leave once this has returned.
        Raises MisuseError if new keys come first (``is_unclean``), or what is kept has gone on since.
        """
        old = self.room(room.room)
        if old is None or _generation(room) <= _generation(old):
            # Sealed twice from one state: two messages under one key would give both away.
            raise MisuseError("the room has sealed another message since")
        if self.is_unclean(room.room):
            # What this store was before may have sealed something with the same key.
            raise MisuseError("new keys come before the next message")
        number = room.count if letter.count is None else letter.count
        with self._changed(room) as connection:
            if store_outbox.find(connection, letter.id) is None:
                store_outbox.put(connection, letter)
            role = room.policy.role(room.own.account)
            store_outbox.seal(connection, letter.id, sealed, number, role, now_ms)

    def outbox(self, room: int | None = None) -> list[Letter]:
        """Return what is on its way, in the order in which it was typed."""
        with self._database.reading() as connection:
            return store_outbox.waiting(connection, room)

    def accepted(self, message: bytes, seq: int) -> None:
        """Keep where the server says that a message stands."""
        with self._database.writing() as connection:
            store_outbox.accepted(connection, message, seq)

    def refused(self, message: bytes) -> None:
        """Keep that the server did not take a message: it is sealed again."""
        with self._database.writing() as connection:
            store_outbox.refused(connection, message)

    def take_back(self, message: bytes) -> bool:
        """Forget a message that was typed and never sealed; return whether it was one."""
        with self._database.writing() as connection:
            return store_outbox.take_back(connection, message)

    def blank(self, message: bytes) -> bool:
        """Let a message that was sealed and refused say nothing when it is sealed again."""
        with self._database.writing() as connection:
            return store_outbox.blank(connection, message)

    # Following.

    def hash_at(self, room: int) -> Callable[[int], bytes | None]:
        """Return what ``Room.receive`` asks for the chain's hashes."""

        def asked(seq: int) -> bytes | None:
            with self._database.reading() as connection:
                return store_rooms.hash_at(connection, room, seq)

        return asked

    def repeats(self, room: int) -> Callable[[Key], bool]:
        """Return what ``Room.receive`` asks for repeats."""

        def asked(key: Key) -> bool:
            with self._database.reading() as connection:
                return store_rooms.is_repeat(connection, room, *key)

        return asked

    def follow(
        self, room: Room, event: Event, happening: Happening, came: Iterable[bytes] = ()
    ) -> tuple[Key, Message] | Named | None:
        """Keep a room after the next event of its log, and what that changes, which is returned.

        room, happening: as ``Room.receive`` returned them.  came: accounts that a commit has brought,
        and that nobody had invited by name: codes are counted by them.
        Raises InvalidError if this device has seen another event in that place, before it entered the
        room again: the server shows it two logs.
        """
        self._require_event(room, event)
        if isinstance(happening, Out):
            self._leave(room, happening)
            return None
        with self._changed(room) as connection:
            if isinstance(happening, Halted):
                store_rooms.refuse(connection, room)
            if not isinstance(happening, Opened):
                store_rooms.mark(connection, room)
                store_codes.came(connection, room.room, event.seq, came)
                return None
            said = happening.said
            # Nobody reports what the own person has said.
            proof = None if said.author == room.own.account else happening.proof
            return _fold(connection, room, said, happening.payload.expires, proof)

    def sealed_here(self, room: int, digest: bytes) -> bytes | None:
        """Return the id of the message that this device sealed into an event's body, if it did."""
        with self._database.reading() as connection:
            return store_outbox.sealed_here(connection, room, digest)

    def follow_own(
        self, room: Room, event: Event, message: bytes
    ) -> tuple[Key, Message] | Named | None:
        """Keep a room after an event that is a message of this device's, and what that changes.

        room: as ``Room.sent_by_self`` returned it; message: its id.
        """
        self._require_event(room, event)
        with self._changed(room) as connection:
            letter = store_outbox.stands(connection, message)
            if letter is None or letter.role is None:
                # It was sealed twice, and the server has kept both.
                store_rooms.mark(connection, room)
                return None
            own = room.own
            said = Said(
                event.seq, own.account, own.device, letter.role, letter.id, letter.at, letter.body
            )
            return _fold(connection, room, said, letter.expires)

    def _require_event(self, room: Room, event: Event) -> None:
        old = self.room(room.room)
        if old is None or (old.followed.seq + 1, event.seq) != (event.seq, room.followed.seq):
            raise MisuseError("this is not the room after its next event")

    def _leave(self, room: Room, out: Out) -> None:
        with self._changed(room) as connection:
            store_rooms.mark(connection, room)
            store_left.keep(connection, room, [one.identity for one in out.change.removed])
            # Whoever was removed keeps no keys of it, neither for itself nor for a thief.
            _abandon(connection, room.room)
        self._rooms.pop(room.room)

    # What goes.

    def expire(self, now_ms: int) -> list[tuple[int, Key]]:
        """Erase what has had its time: messages, which are returned, private keys and codes."""
        with self._database.writing() as connection:
            # In rooms where nothing happens too: these keys open what was said there.
            store_rooms.forget_past(connection, now_ms - PAST_GRACE_MS)
            store_keys.expire(connection, now_ms)
            store_codes.expire(connection, now_ms)
            store_outbox.expire(connection, now_ms)
            gone = store_messages.expire(connection, now_ms)
        self._rooms = {number: room.forget(now_ms) for number, room in self._rooms.items()}
        return gone

    def purge(self) -> None:
        """Leave nothing of what was deleted and of keys that were used, in no index and no log.

        To be called when idle: the index of 100,000 messages takes some 0.4 s to write anew.
        """
        with self._database.writing() as connection:
            store_messages.purge(connection)
        self._database.checkpoint()


def _abandon(connection: Connection, room: int) -> None:
    store_rooms.leave(connection, room)
    store_codes.forget(connection, room)
    store_outbox.forget(connection, room)


def _generation(room: Room) -> tuple[int, int]:
    """Return how far this device's own ratchet has come: epoch, and key in it."""
    group = room.group
    return group.context.epoch, group.keys.generation(group.leaf, Purpose.APPLICATION)


def _check_follows(old: Room, new: Room) -> None:
    """Raise MisuseError if keys that are gone would come back.

    As when two messages were sealed from one state, or one was sealed while another was received.
    """
    if _generation(new) < _generation(old) or new.followed.seq < old.followed.seq:
        raise MisuseError("the room has gone on since")


def _check_keeps_commit(old: Room, new: Room) -> None:
    """Raise MisuseError if a commit that may have left would be gone before it is known who won.

    As when a message was sealed, or another commit made, from a state without it: should it win, this
    device would stand outside its own room.
    """
    if old.pending is None or new.halted is not None or new.behind is not None:
        return
    ended = new.group.context.epoch > old.group.context.epoch
    kept = new.pending is not None and new.pending.message == old.pending.message
    if not ended and not kept:
        raise MisuseError("a commit is under way")


def _fold(
    connection: Connection, room: Room, said: Said, expires: int, proof: bytes | None = None
) -> tuple[Key, Message] | Named | None:
    number = room.room
    store_rooms.mark(connection, room, said.author, said.id)
    if said.role >= room.policy.adders:
        _count_codes(connection, number, said.body)

    def look(key: Key) -> Message | None:
        return store_messages.look(connection, number, key)

    changed = fold(Kind(room.policy.kind), said, look)
    match changed:
        case Named(name, topic):
            store_marks.rename(connection, number, name, topic)
        case (key, message):
            store_messages.write(connection, number, look(key), message, expires, proof)
    return changed


def _count_codes(connection: Connection, room: int, body: Known | Unknown) -> None:
    """Keep what somebody who may add people says of codes: one's own too, from its place in the log on."""
    match body:
        case Told(locator, secret, uses, until):
            store_codes.keep(connection, Invitation(room, Code(locator, secret), uses, until))
        case CodeUsed(locator, account):
            store_codes.used(connection, room, locator, account)
