"""The encrypted side of one link: holds its parts together, and is all that the link knows of them.

Nothing in here weakens for want of a store: without it encrypted rooms are listed as waiting, and what
is typed for them is refused, never sent in the clear.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs, inputs_sealed
from lairchat.client.profile import Profile
from lairchat.client.sealed.adding import Adding
from lairchat.client.sealed.backup import Backup
from lairchat.client.sealed.codes import Codes
from lairchat.client.sealed.commits import Commits
from lairchat.client.sealed.comparing import Comparing
from lairchat.client.sealed.consent import Consent
from lairchat.client.sealed.device import ThisDevice
from lairchat.client.sealed.directory import Directory
from lairchat.client.sealed.directs import Directs
from lairchat.client.sealed.entering import Entering
from lairchat.client.sealed.expiring import Expiring
from lairchat.client.sealed.following import RETRY_SECONDS, Following
from lairchat.client.sealed.founding import Founding
from lairchat.client.sealed.invitations import Invitations
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.sealed.labels import Labels
from lairchat.client.sealed.mailbox import Mailbox
from lairchat.client.sealed.names import Names
from lairchat.client.sealed.newcomers import Newcomers
from lairchat.client.sealed.opening import Opening
from lairchat.client.sealed.packages import Packages
from lairchat.client.sealed.partners import Partners
from lairchat.client.sealed.places import Places
from lairchat.client.sealed.reporting import Reporting
from lairchat.client.sealed.sending import Sending
from lairchat.client.sealed.showing import Lines, Showing
from lairchat.client.sealed.successors import Successors
from lairchat.client.sealed.titles import Titles
from lairchat.client.sealed.transfer import Transfer
from lairchat.client.sealed.typing import Typing
from lairchat.client.sealed.waiting import COPY, Waiting
from lairchat.client.sealed.wayin import WayIn
from lairchat.client.store import Store
from lairchat.client.store_people import OwnDevice
from lairchat.e2ee.fold import Message
from lairchat.e2ee.payload import RoomState
from lairchat.e2ee.room import Room
from lairchat.features.accounts.messages import Grant
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.features.rooms.messages import RoomInfo
from lairchat.model import faults, limits, refusals
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.pins import Pin
from lairchat.trust.policy import Kind
from lairchat.trust.secret import SecretBytes
from lairchat.trust.structure import Change
from lairchat.wire.contract import Command

if TYPE_CHECKING:
    from lairchat.client.link import Link

ROUND_SECONDS = 60.0
"""seconds: between two looks at what has become due by time alone."""
COMING_SECONDS = 3.0
"""seconds: how long a room that one comes into may wait for its name before it is shown without."""
AGAIN_SECONDS = 5.0
"""seconds: until this device comes up that a busy server has put off, unless it says a longer wait."""
COPIED = "copied:"


class Sealed:
    """What a link has of encrypted rooms.

    store: None while it is not open.  ready: whether rooms can be followed and changed now.
    """

    log = Logger()

    def __init__(self, link: "Link", keyring: Keyring | None = None) -> None:
        self.link = link
        self.store: Store | None = None
        self.directory = Directory(self, self._believed)
        self.device = ThisDevice(self)
        self.packages = Packages(self)
        self.transfer = Transfer(self)
        self.entering = Entering(self)
        self.founding = Founding(self)
        self.adding = Adding(self)
        self.newcomers = Newcomers(self)
        self.commits = Commits(self)
        self.sending = Sending(self)
        self.labels = Labels(self)
        self.show = Showing(self)
        self.mailbox = Mailbox(self)
        self.invitations = Invitations(self)
        self.codes = Codes(self)
        self.consent = Consent(self)
        self.comparing = Comparing(self)
        self.typing = Typing(self)
        self.expiring = Expiring(self)
        self.titles = Titles(self)
        self.names = Names(self)
        self.waiting = Waiting(self)
        self.directs = Directs(self)
        self.successors = Successors(self)
        self.backup = Backup(self)
        self.places = Places(self)
        self.partners = Partners(self)
        self.way_in = WayIn(self)
        self.reporting = Reporting(self)
        self.random = link.random
        self.now = link.now
        self._keyring = keyring or Keyring()
        self._opening: Opening | None = None
        self._profile: Profile | None = None
        self._grant: Grant | None = None
        self._rooms: dict[int, Following] = {}
        self._encrypted: set[int] = set()
        self._labels: dict[int, tuple[str, str]] = {}
        self._pins: dict[str, Pin] | None = None
        self._calls: set[Any] = set()
        self._pauses: set[Deferred[None]] = set()
        self._unshown: set[int] = set()
        self.server_key = b""
        self.ready = False
        self._released = False
        self._typed: bytes | None = None

    # -- what the parts stand on

    def deliver(self, one: inputs.Input) -> None:
        """Report something."""
        self.link.deliver(one)

    def ask(
        self, command: Command[Any, Any], request: msgspec.Struct, key: bytes | None = None
    ) -> "Deferred[Any]":
        """Ask the server; whatever ends the connection, or this, meanwhile: it is LC-NET-LOST."""
        if self._released:
            return fail(faults.NetLost(address=self.link.target.host))
        asking = self.link.ask(command, request, key)
        return asking.addCallbacks(self._answered, self._unanswered)

    def _answered(self, answer: Any) -> Any:
        """Keep an answer from going on in a store that was closed while it was on its way."""
        if self._released:
            raise faults.NetLost(address=self.link.target.host)
        return answer

    def _unanswered(self, failure: Failure) -> Failure:
        """Keep what a server says as it goes from being taken for its answer."""
        connection = self.link.connection
        if connection is not None and connection.connected:
            return failure
        return Failure(faults.NetLost(address=self.link.target.host))

    def later(self, seconds: float, do: Callable[..., Any], *arguments: Any) -> None:
        """Do something later, unless this ends before."""
        if self._released:
            return

        def run() -> None:
            self._calls.discard(call)
            do(*arguments)

        call = self.link.reactor.callLater(seconds, run)
        self._calls.add(call)

    async def pause(self, seconds: float) -> None:
        """Wait; raises NetLost at once if the connection goes meanwhile."""
        if self._released:
            raise faults.NetLost(address=self.link.target.host)
        pause: Deferred[None] = deferLater(self.link.reactor, seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:
            raise faults.NetLost(address=self.link.target.host) from None
        finally:
            self._pauses.discard(pause)

    @property
    def opened(self) -> Store:
        """The open store; only where that it is open is known."""
        assert self.store is not None
        return self.store

    def require_store(self) -> Store:
        """Return the open store; raises StoreShut."""
        if self.store is None:
            raise faults.StoreShut
        return self.store

    @property
    def own(self) -> OwnDevice | None:
        """This device; None before it has been made, or while the store is shut."""
        return None if self.store is None else self.device.own

    def require_own(self) -> OwnDevice:
        """Return this device; raises StoreShut or DeviceNew."""
        self.require_store()
        own = self.own
        if own is None or not self.device.certified:
            raise faults.DeviceNew
        return own

    @property
    def name(self) -> str:
        """The account's name."""
        return self.link.rooms.name

    @property
    def session(self) -> Grant:
        """By which numbers the server knows this session."""
        assert self._grant is not None
        return self._grant

    # -- life

    def take(self, profile: Profile, *, shut: bool = False) -> None:
        """Begin with a profile that this process has locked; opens its store if it can.

        shut: only a password opens it, whatever is at hand.
        """
        self._opening = Opening(profile, self._keyring, self.random)
        self._profile = profile
        self._encrypted = profile.encrypted()
        try:
            self.store = None if shut else self._opening.by_itself()
        except Refusal as refusal:
            self.deliver(inputs.Notice(refusal.text, refusal.code))
        self.pin_rooms()
        self.expiring.soon()

    def release(self) -> None:
        """Close the store, for good: nothing of this goes on, whatever still waits for something."""
        self.lost()
        self._released = True
        self._rooms.clear()
        self._labels.clear()
        self.waiting.forget()
        self._pins = None
        self.directs.forget()
        self._opening = None
        self._profile = None
        self.expiring.end()
        store, self.store = self.store, None
        if store is not None:
            try:
                store.close()
            except Refusal as refusal:
                self.deliver(inputs.Notice(refusal.text, refusal.code))

    def logged_in(self, grant: Grant, vault_key: bytes | None, server_key: bytes) -> None:
        """Note who the server says this is; vault_key: what the password that was typed derives."""
        self._grant = grant
        self.server_key = server_key
        if vault_key is not None and self.store is None:
            try:
                self._open(vault_key)
            except Refusal as refusal:
                # Changed elsewhere: once the password from before has opened it, this one does.
                self._typed = vault_key
                self.deliver(inputs.Notice(refusal.text, refusal.code))

    def _open(self, vault_key: bytes) -> None:
        """Open the store by a password's vault key; raises a Refusal."""
        if self._opening is None:
            raise faults.StoreShut
        self.store = self._opening.by_password(SecretBytes(vault_key))
        self._pins = None
        self.directs.forget()
        self.pin_rooms()
        self.expiring.soon()
        self.deliver(inputs_sealed.StoreOpened())

    async def begin(self) -> None:
        """Become the account's device on this connection, as far as that needs nobody."""
        self.ready = False
        if self.store is None:
            self.deliver(inputs_sealed.StoreLocked())
            return
        try:
            await self.device.begin()
        except faults.NetLost:
            raise
        except Refusal as refusal:
            if refusal.retry_after is None:
                self.deliver(inputs.Notice(refusal.text, refusal.code))
            else:
                self.later(max(refusal.retry_after, AGAIN_SECONDS), self._begin_again)
        self.ready = self.device.proven

    def _begin_again(self) -> None:
        self._start(self._come_up())

    async def _come_up(self) -> None:
        await self.begin()
        if self.ready:
            await self.link.rooms.sync()
            self.online()

    def online(self) -> None:
        """Go on: the rooms are known, and where they stand."""
        if not self.ready:
            return
        for info in list(self.link.rooms.infos.values()):
            if info.crypto == "mls":
                self._settle(info)
        self.sending.online()
        self.mailbox.wake()
        self.packages.wake()
        self._start(self.invitations.show())
        self.founding.online()
        self.backup.online()
        self.places.online()
        self._round()

    def _round(self) -> None:
        """Do what time alone makes due, and again after a while."""
        if self.store is None:
            return
        # First: a full disk, say, ends this round, and not all that would follow.
        self.later(ROUND_SECONDS, self._round)
        self.expiring.drop()
        inside = self.store.rooms()
        for room in inside:
            self.commits.tend(room)
        for info in list(self.link.rooms.infos.values()):
            if (info.crypto, info.kind) == ("mls", "room") and info.room not in inside:
                self._start(self.entering.settle(info))
        for room in self.waiting.keyless:
            self._start(self.waiting.fetch(room))
        self.backup.round()

    def lost(self) -> None:
        """Note that the connection is gone."""
        self.ready = False
        self.device.proven = False
        calls, self._calls = self._calls, set()
        for call in calls:
            if call.active():
                call.cancel()
        for pause in list(self._pauses):
            pause.cancel()
        for following in self._rooms.values():
            following.lost()
        self.commits.lost()
        self.comparing.lost()
        self.way_in.lost()
        self.places.lost()

    def _start(self, work: Any) -> None:
        Deferred.fromCoroutine(work).addErrback(self._not_done)

    def _not_done(self, failure: Failure) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("something of the encrypted side failed", failure)
        else:
            self.log.info("not done now: {code}", code=refusal.code)

    def tell_fault(self, room: int) -> None:
        """Say that something failed that should not have."""
        refusal = faults.ClientBroken()
        where = self.title(room)
        self.deliver(inputs.Notice(f"{where}: {refusal.text}", refusal.code))

    async def linked(self) -> None:
        """Go on as a device of the account, which this one has just become."""
        await self.device.prove()
        self.ready = True
        self.deliver(inputs_sealed.DeviceLinked())
        await self.link.rooms.sync()
        self.online()

    # -- the password

    async def unlock(self, vault_key: bytes) -> None:
        """Open the store with what a password derives; raises ProfileKey or another Refusal."""
        if self.store is not None:
            return
        self._open(vault_key)
        if self._typed is not None:
            self.lock_anew(self._typed)
            self._typed = None
        if self.link.online:
            await self.begin()
            await self.link.rooms.sync()
            self.online()

    async def change(self, old: bytes, new: bytes) -> None:
        """Have a new password open the store in place of an old one, which opens it if it is locked."""
        if self.store is None:
            await self.unlock(old)
        self.lock_anew(new)

    def lock_anew(self, vault_key: bytes) -> None:
        """Have a new password open the store from now on."""
        if self._opening is not None and self.store is not None:
            self._opening.lock_anew(SecretBytes(vault_key))

    def forget_key(self) -> None:
        """Forget the store's key: this session was ended by its owner."""
        if self._opening is not None:
            self._opening.forget()

    @property
    def opening(self) -> Opening | None:
        """How this profile's store is opened."""
        return self._opening

    # -- rooms

    def owns(self, room: int) -> bool:
        """Tell whether a room is encrypted: by the server's word, or by what was seen of it here.

        What was encrypted once is never taken for a plain one, whatever the server says.
        """
        info = self.link.rooms.infos.get(room)
        return (info is not None and info.crypto == "mls") or self.is_pinned(room)

    def is_pinned(self, room: int) -> bool:
        """Tell whether a room has ever been an encrypted one, also while the store is locked."""
        return room in self._encrypted

    def listed(self, infos: Iterable[RoomInfo]) -> None:
        """Keep which rooms are encrypted, before anything can be typed there."""
        self._pin({info.room for info in infos if info.crypto == "mls"})

    def pin_rooms(self) -> None:
        """Keep which rooms the store knows to be encrypted."""
        if self.store is not None:
            self._pin(self.store.was_encrypted())

    def _pin(self, rooms: set[int]) -> None:
        if rooms <= self._encrypted:
            return
        self._encrypted |= rooms
        try:
            if self._profile is not None:
                self._profile.keep_encrypted(self._encrypted)
        except Refusal as refusal:
            self.deliver(inputs.Notice(refusal.text, refusal.code))

    def why_not_clear(self, room: int) -> Refusal | None:
        """Return why nothing is sent into a room in the clear; None if it may be.

        Only into public rooms that were never anything else: a server that calls a conversation plain
        would have what is typed there.
        """
        info = self.link.rooms.infos.get(room)
        public = info is None or (info.kind, info.access, info.crypto) == (
            "room",
            "public",
            "plain",
        )
        if public and not self.is_pinned(room):
            return None
        return faults.RoomHeld(
            why="the server says that this conversation or private room is not encrypted",
            advice="Nothing is sent there. To talk: /msg NAME, or /new NAME",
        )

    def is_out(self, room: int) -> bool:
        """Tell whether this account is in a room no more, by the server's list of rooms.

        Then nothing is asked or said there.  All that is kept of it stays: the list may be a lie.
        """
        rooms = self.link.rooms
        return self.ready and rooms.synced and room not in rooms.infos

    def following(self, room: int) -> Following:
        """Return what follows a room."""
        found = self._rooms.get(room)
        if found is None:
            found = self._rooms[room] = Following(self, room)
        return found

    def position(self, room: int) -> int | None:
        """Return up to where this device has followed a room; None if it is not in it."""
        state = None if self.store is None else self.store.room(room)
        return None if state is None else state.followed.seq

    def take_event(self, event: wire.LogEvent) -> None:
        """Take the next event of an encrypted room's log."""
        self.following(event.room).take(event)

    def reread(self, room: int) -> None:
        """Read a room on from where this device stands."""
        position = self.position(room)
        if position is not None and self.link.online:
            self.link.rooms.read_again(room, position)

    def settled(self, room: int) -> None:
        """Note that all that has come of a room has been worked through."""
        self.commits.tend(room)
        self.sending.wake(room)
        self.relabel(room)
        self.places.followed(room)

    async def catch_up(self, room: int, refusal: Refusal) -> None:
        """Wait for what the server has in a room and this device has not yet."""
        self.log.debug("behind in a room: {code}", code=refusal.code)
        following = self.following(room)
        there: delivery.GroupState = await self.ask(delivery.STATE, delivery.AskGroup(room))
        if (self.position(room) or 0) < there.seq:
            self.reread(room)
            if not await following.reach(there.seq):
                # It speaks of what it does not give: nothing is built on that.
                raise refusals.EpochStale(epoch=there.epoch, retry_after=RETRY_SECONDS)
        await following.until(lambda: following.idle)
        # Those who were turned away together do not come again together.
        await self.pause(0.02 + self.random(1)[0] / 2_000)

    def _settle(self, info: RoomInfo) -> None:
        self.relabel(info.room)
        self._start(self.entering.settle(info))
        self.adding.let_in(info.room)

    def coming(self, info: RoomInfo) -> bool:
        """Tell whether a room that the server lists from now on is shown once this device is in it.

        Before, nobody could read it or say what it is called; if that takes long it is shown all the
        same, with what it waits for on its lock.
        """
        if info.crypto != "mls" or not self.ready:
            return False
        if self.position(info.room) is not None:
            # From before it was out: the log says how it went, if it is still that room's.
            self._compare_head(info.room, info.head)
            self.reread(info.room)
            return False
        self._unshown.add(info.room)
        self.later(COMING_SECONDS, self.show_room, info.room)
        return True

    def show_room(self, room: int) -> None:
        """Show a room that this device has come into."""
        info = self.link.rooms.infos.get(room)
        if room in self._unshown and info is not None:
            self._unshown.discard(room)
            self.deliver(inputs.RoomJoined(self.dress(info, None), show=False))

    def entered(self, state: Room) -> None:
        """Note that this device has come into a room."""
        room = state.room
        self.invitations.entered(room)
        self.directs.entered(state)
        self.founding.entered(state)
        self.link.rooms.read_again(room, state.followed.seq)
        if state.policy.kind == Kind.DIRECT or self.opened.marks.title(room).name:
            self.show_room(room)
        if self.opened.messages.last(room) > state.followed.seq:
            # The backup knows what is about to be followed: that is shown when it comes.
            page = self.show.page(room, limit=limits.HISTORY_PAGE)
            self.deliver(inputs.HistoryPage(room, page.messages, older=page.older, replace=True))
        self.relabel(room)
        self.commits.tend(room)
        self.sending.wake(room)

    def removed(self, room: int, change: Change) -> None:
        """Note that this device is out of a room.

        If it is this device itself that came in anew, a copy of it is in use: coming back would throw
        that one out, which would come back as well, and so on.
        """
        own = self.own
        if own is not None and change.rejoined and change.committer == own.identity:
            self.opened.marks.keep_fact(f"{COPIED}{room}", b"1")
            self.deliver(inputs.Notice(COPY))
        self.entering.out(room)
        self.relabel(room)

    def left(self, room: int) -> None:
        """Note that the server says that this account has left a room: what waits there does not leave."""
        self.sending.wake(room)
        self.directs.left(room)

    def is_copied(self, room: int) -> bool:
        """Tell whether a copy of this device has taken its place in a room."""
        return self.opened.marks.fact(f"{COPIED}{room}") is not None

    def come_back(self, room: int) -> None:
        """Come into a room by oneself."""
        self.relabel(room)
        self.entering.come_back(room)

    def check_info(self, room: int) -> None:
        """Look whether the way in that the last committer left is the group's own."""
        self._start(self.way_in.check(room))

    def mend_way_in(self, room: int) -> None:
        """Bring a right way into a room, if it still has a false one."""
        self._start(self.way_in.mend(room))

    def suspect(self, room: int) -> None:
        """Hold a room whose log is not the same for everybody."""
        held = {*self.opened.people.holds(room), Hold(Cause.ROOM_FORKED)}
        self.opened.people.keep_holds(room, held)
        self.relabel(room)

    # -- names

    def is_direct(self, info: RoomInfo) -> bool:
        """Tell whether a room is a direct conversation, by its group if there is one."""
        return self.partners.is_direct(info.room)

    def peer_name(self, room: int) -> str:
        """Return with whom a direct conversation is; empty for another room."""
        return self.partners.name(room)

    def title(self, room: int) -> str:
        """Return what a room is called here."""
        peer = self.peer_name(room)
        if peer:
            return self.directs.title(room, peer)
        if self.store is None:
            return f"room-{room}"
        return self.store.marks.title(room).name or f"room-{room}"

    def message_at(self, room: int, seq: int) -> Message:
        """Return the message at a place of a room; raises a Refusal if there is none here."""
        found = self.require_store().messages.after(room, seq - 1, 1)
        if not found or found[0].said.seq != seq or found[0].text is None:
            raise faults.MessageAbsent(seq=seq)
        return found[0]

    def name_room(self, room: int, *, name: str | None = None, topic: str | None = None) -> None:
        """Give a room another name or topic, which its members are told."""
        self.sending.say(room, RoomState(name=name, topic=topic))

    # -- what is shown

    def dress(self, info: RoomInfo, sync: wire.RoomSync | None) -> inputs.RoomInfo:
        """Return what the screen shows of an encrypted room."""
        room = info.room
        if sync is not None:
            self._compare_head(room, sync.head)
        lock, hold = self.labels.of(room)
        store = self.store
        state = None if store is None else store.room(room)
        role, members, topic, read, unread = "member", info.members, "", 0, 0
        if store is not None:
            topic = store.marks.title(room).topic
            read = store.marks.reads().get(room, 0)
            unread = self.unread(room, read)
        if state is not None:
            role = self.role_word(state, state.own.account)
            members = len({one.account for one in state.members})
        self._labels[room] = (lock.value, hold)
        head = sync.head if sync else info.head
        return inputs.RoomInfo(
            room,
            self.title(room),
            direct=self.partners.is_direct(room),
            topic=topic,
            role=role,
            access=info.access,
            unread=unread,
            members=members,
            read_seq=read,
            head_seq=head if state is None else state.followed.seq,
            label=lock.value,
            archived=info.archived,
            hold=hold,
        )

    def _compare_head(self, room: int, head: int) -> None:
        """Hold a room of which the server has less than this device has followed.

        What it would append now stands where others had something else: nobody would take it.
        """
        position = self.position(room)
        if position is None:
            return
        cut = Hold(Cause.ROOM_CUT)
        held = set(self.opened.people.holds(room))
        if (cut in held) != (head < position):
            self.opened.people.keep_holds(room, held ^ {cut})

    def _own_account(self) -> bytes:
        own = self.own
        return b"" if own is None else own.identity.account

    def role_word(self, state: Room, account: bytes) -> str:
        """Return the word for an account's role in a room."""
        from lairchat.client.sealed.adding import ROLE_WORDS

        return ROLE_WORDS[state.policy.role(account)]

    def relabel(self, room: int) -> None:
        """Tell the screen of a room's lock, if it is another than before."""
        state = None if self.store is None else self.store.room(room)
        if state is not None:
            self._sight(state)
        lock, hold = self.labels.of(room)
        if self._labels.get(room) == (lock.value, hold):
            return
        self._labels[room] = (lock.value, hold)
        # One that is over is called so from then on.
        name = self.title(room) if self.partners.is_direct(room) else None
        role = members = None
        if state is not None:
            role = self.role_word(state, state.own.account)
            members = len({one.account for one in state.members})
        self.deliver(
            inputs.RoomChanged(
                room, name=name, label=lock.value, hold=hold, role=role, members=members
            )
        )

    def _sight(self, state: Room) -> None:
        """Pin those of a room's members who are seen for the first time."""
        for account in {one.account for one in state.members} - {state.own.account}:
            log = self.opened.people.logs.get(account)
            if log is not None and log.genesis.name not in self.pins():
                self.directory.sighted(log.genesis.name, account)

    def pins(self) -> dict[str, Pin]:
        """Return what is believed about each name."""
        if self._pins is None:
            self._pins = self.opened.people.pins()
        return self._pins

    def _believed(self, name: str) -> None:
        """Note that something else is known or believed of somebody."""
        self._pins = None
        if self.store is None:
            return
        for room in self.store.rooms():
            state = self.store.room(room)
            if state is not None and name in {
                self.directory.name_of(one.account) for one in state.members
            }:
                self.relabel(room)
                self.commits.tend(room)
                self.sending.wake(room)
        for room in self.directs.outside(name) if self.ready else ():
            # Who came as somebody else may have been taken for the name by now.
            self._start(self.waiting.fetch(room))

    def lines(
        self, room: int, *, before: int | None = None, after: int | None = None, limit: int
    ) -> Lines:
        """Return a page of what this device has of a room."""
        if self.store is None:
            return Lines((), older=False, newer=False, end=0)
        return self.show.page(room, before=before, after=after, limit=limit)

    def read(self, room: int, seq: int) -> None:
        """Note up to where the user has read a room here, and let the other devices know."""
        if self.store is not None:
            self.mark_read(room, seq)
            self.places.read()

    def mark_read(self, room: int, seq: int) -> None:
        """Keep up to where a room has been read, on whichever device: what disappears begins to."""
        self.opened.marks.read(room, seq, self.now())
        self.expiring.soon()

    def unread(self, room: int, seq: int) -> int:
        """Return how much others have said in a room since a place."""
        return self.opened.messages.unread(room, seq, self._own_account())

    async def _identity_changed(self, body: Any) -> None:
        await self.directory.identity_changed(body)
        if self.store is not None and name_key(body.name) == name_key(self.name):
            await self.device.linked()

    # -- events of the server

    def event(self, name: str, body: Any) -> bool:
        """Take an event that concerns encrypted rooms; False if it is none of those."""
        match name:
            case "identity.changed":
                self._start(self._identity_changed(body))
            case "keys.low" if self.ready:
                self.packages.wake()
            case "inbox.new" if self.ready:
                self.mailbox.wake()
            case "inbox.answered":
                self.comparing.answered(body)
            case "group.invited":
                self.invitations.heard(body)
            case "group.joining":
                self.adding.let_in(body.room)
            case "reading.moved":
                self.places.heard(body)
            case "ephemeral":
                self.typing.heard(body)
            case "keys.low" | "inbox.new":
                pass
            case _:
                return False
        return True
