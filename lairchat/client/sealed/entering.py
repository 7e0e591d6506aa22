"""How this device comes into encrypted rooms: founds them, is welcomed, or comes in by itself.

Whatever way it is, the whole tree is looked at before anything of the room is believed, and a welcome
into a room that nobody here agreed to is not taken.
"""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.sealed.following import GIVEN_SECONDS
from lairchat.client.sealed.report import LAST_RESORT
from lairchat.e2ee.following import Followed
from lairchat.e2ee.rejoining import Rejoined, read_info, rejoin
from lairchat.e2ee.room import Room, entered
from lairchat.features.delivery import messages as wire
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.group import Group
from lairchat.mls.joining import join, open_welcome, public_group
from lairchat.mls.messages import Welcome, decode_message, encode_message
from lairchat.model import faults, limits, refusals
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import LogNeededError, TrustError
from lairchat.trust.policy import (
    Kind,
    Policy,
    context_extensions,
    policy_of,
    private_policy,
)
from lairchat.trust.structure import check_group, identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed
    from lairchat.features.inbox.messages import InboxEntry
    from lairchat.features.rooms.messages import RoomInfo
    from lairchat.mls.objects import GroupContext
    from lairchat.mls.transition import PublicGroup

WELCOME_SECONDS = 2.0
"""seconds: how long a welcome may take after the commit that it belongs to."""
TRIES = 4
"""count: how often a device tries to come in by itself while others change the room."""

_LATER = (faults.NetLost, refusals.Internal)
_NOT_NOW = (
    faults.NetLost,
    refusals.GroupMissing,
    refusals.NotMember,
    refusals.RoomFollowed,
    refusals.RoomUnknown,
)
"""After these it is not tried again until the room's log or the list of rooms says something else."""


class Entering:
    """Brings this device into rooms."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._rooms: dict[bytes, int] = {}
        self._coming: set[int] = set()
        self._in_vain: set[int] = set()
        self._put_off: dict[int, tuple[InboxEntry, list[bytes]]] = {}

    # -- founding

    async def found_direct(self, info: "RoomInfo") -> None:
        """Found the conversation with somebody; raises a Refusal."""
        await self._found(info.room, await self._sealed.directs.policy(info))

    async def found_private(self, room: int) -> None:
        """Found a private room; raises a Refusal."""
        own = self._sealed.require_own().identity.account
        await self._found(room, private_policy([own]))

    async def _found(self, room: int, policy: Policy) -> None:
        if self._sealed.following(room).state is not None:
            return
        package = self._sealed.packages.make()
        group = Group.create(
            package,
            self._sealed.random(limits.GROUP_ID_BYTES),
            context_extensions(policy, self._sealed.server_key),
            self._sealed.random,
        )
        info = encode_message(group.group_info(with_tree=False))
        request = wire.FoundGroup(room, info, group.public.tree.encode())
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        committed: wire.Committed = await self._sealed.ask(wire.FOUND, request, key)
        followed = await self._place(room, 0, committed.seq)
        self._enter(room, group, followed)

    async def _place(self, room: int, epoch: int, seq: int | None = None) -> Followed:
        """Return where an epoch began in the room's log, by the server's word.

        A wrong hash shows with the first message of a member who followed the log from before.
        """
        begun: wire.EpochBegun = await self._sealed.ask(wire.BEGUN, wire.AskEpoch(room, epoch))
        if seq is not None and begun.seq != seq:
            raise refusals.EpochStale(epoch=epoch)
        if not begun.seq:
            return Followed.begin(room)
        return Followed(begun.seq, begun.hash, {})

    def _enter(
        self,
        room: int,
        group: Group,
        followed: Followed,
        *,
        package: bytes | None = None,
        inbox: int | None = None,
        locator: bytes | None = None,
    ) -> None:
        store = self._sealed.opened
        state = entered(room, self._sealed.server_key, group, followed, store.people.logs)
        self._sealed.invitations.entering(room)
        held = self._sealed.newcomers.since(store.room(room), state)
        timer = self._sealed.directs.timer(state)
        self._entered(
            store.enter(
                state, key_package=package, inbox=inbox, locator=locator, held=held, timer=timer
            )
        )

    def _entered(self, kept: Room) -> None:
        self._sealed.newcomers.gone(kept.room)
        self._sealed.entered(kept)

    # -- by a welcome

    async def welcomed(self, entry: "InboxEntry", admissions: list[bytes]) -> None:
        """Come into the room that a welcome is for; raises a Refusal if that cannot be done now."""
        store = self._sealed.opened
        try:
            welcome = decode_message(entry.body)
            if not isinstance(welcome, Welcome):
                raise refusals.GroupRefused(why="no welcome")
            references = [one.new_member for one in welcome.secrets]
            package = store.keys.find(references)
            if package is None:
                self.log.info("a welcome for no key package of this device")
                return
            info = open_welcome(welcome, package)
            room = await self._room_of(info.context.group_id)
            if room is None:
                self.log.info("a welcome into a room that the server does not list")
                return
            if not await self._is_over(room, info.context):
                if self._leads_on(room, info.context):
                    self._put_off[room] = entry, admissions
                return
            tree = await self._sealed.transfer.tree(room, info.context.epoch)
            group = join(welcome, package, tree)
            self._require_same(room, info.context.group_id)
            await self._learn(group.public)
            if store.keys.is_last_resort(package.reference) and store.keys.one_time():
                store.marks.keep_fact(LAST_RESORT, b"1")
            locator = self._sealed.codes.leads_into(group, admissions)
            if locator is None and not await self._is_wanted(room, group, info.signer):
                self._put_off[room] = entry, admissions
                return
            followed = await self._place(room, info.context.epoch)
            self._enter(
                room,
                group,
                followed,
                package=package.reference,
                inbox=entry.seq,
                locator=locator,
            )
        except (MLSError, TrustError) as error:
            self._not_taken(str(error))
        except Refusal as refusal:
            if refusal.retry_after is not None or isinstance(refusal, _LATER):
                raise
            # Nothing makes it right: one such entry must not keep all behind it from being read.
            self._not_taken(refusal.text)

    def _not_taken(self, why: str) -> None:
        self.log.info("a welcome was not taken: {why}", why=why)
        self._sealed.deliver(
            inputs.Notice(f"an invitation was not taken: {why}", "LC-GROUP-REFUSED")
        )

    async def _is_over(self, room: int, context: "GroupContext") -> bool:
        """Tell whether nothing stands in a welcome's way that is kept of its room.

        Who was away while they went out and were let in again has not read how: first comes the log,
        with what was said to them before.
        """
        following = self._sealed.following(room)
        if self._leads_on(room, context):
            self._sealed.reread(room)
            await following.until(lambda: not self._leads_on(room, context), GIVEN_SECONDS)
        return following.state is None or following.state.behind is not None

    def _leads_on(self, room: int, context: "GroupContext") -> bool:
        """Tell whether a group is the one that is followed here, and in an epoch that is still to come.

        Another group in its place would be another's choice.
        """
        state = self._sealed.following(room).state
        if state is None or state.behind is not None or state.halted is not None:
            return False
        here = state.group.context
        return context.group_id == here.group_id and context.epoch > here.epoch

    def out(self, room: int) -> None:
        """Take the welcome back into a room that this device has gone out of, if one has come."""
        if room in self._put_off:
            self.changed(room)

    async def _room_of(self, group_id: bytes) -> int | None:
        """Return the number of the room that has a group; the server is asked once for each room."""
        if group_id in self._rooms:
            return self._rooms[group_id]
        for info in list(self._sealed.link.rooms.infos.values()):
            if info.crypto != "mls" or info.room in self._rooms.values():
                continue
            try:
                state: wire.GroupState = await self._sealed.ask(
                    wire.STATE, wire.AskGroup(info.room)
                )
            except (refusals.GroupMissing, refusals.NotMember, refusals.RoomUnknown):
                continue
            self._rooms[state.group] = info.room
        return self._rooms.get(group_id)

    async def _learn(self, group: "PublicGroup") -> None:
        """Look at a whole tree, reading the logs that it refers to as far as its leaves need them.

        Raises MLSError or TrustError if the group is not what a room here is.
        """
        logs = self._sealed.opened.people.logs
        needed = []
        for _, leaf in group.tree.members():
            account = identity_of(leaf).account
            if account not in logs:
                needed.append(account)
        await self._sealed.directory.read_all(dict.fromkeys(needed))
        asked: set[bytes] = set()
        while True:
            try:
                check_group(group, self._sealed.server_key, self._sealed.opened.people.logs)
            except LogNeededError as behind:
                if behind.account in asked:
                    raise
                asked.add(behind.account)
                await self._sealed.directory.read(behind.account)
            else:
                return

    async def _is_wanted(self, room: int, group: Group, signer: int) -> bool:
        """Tell whether the person has agreed to be in a room, on this device or on another.

        Raises GroupRefused if it is not the conversation that it is said to be.
        """
        own = self._sealed.require_own().identity.account
        policy = policy_of(group.context.extensions, self._sealed.server_key)
        adder = identity_of(group.public.tree.member(signer)).account
        await self._require_right(room, policy)
        if adder == own or policy.kind == Kind.DIRECT:
            return True
        if self._sealed.consent.is_given(room, group.public, signer):
            return True
        # Another device of ours, which was added with this one, may have said so since.
        told: wire.GroupInformation = await self._sealed.ask(wire.INFO, wire.AskGroup(room))
        tree = await self._sealed.transfer.tree(room, told.epoch)
        now = await self._public(told.info, tree)
        if now.context.group_id != group.context.group_id:
            return False
        return self._sealed.consent.is_taking_part(now, read_info(told.info).signer)

    def _require_same(self, room: int, group_id: bytes) -> None:
        """Refuse another group than the one that this device has gone out of; raises GroupRefused.

        A room's number is the server's to say: what was read in the one would stand above the other.
        """
        left = self._sealed.opened.left(room)
        if left is not None and left.group != group_id:
            raise refusals.GroupRefused(why="the server gives another group for this room")

    async def _require_right(self, room: int, policy: Policy) -> None:
        """Refuse a group that is not what the server calls the room; raises GroupRefused."""
        logs = self._sealed.opened.people.logs
        # One of the two may not be in it yet.
        await self._sealed.directory.read_all([one for one in policy.parties if one not in logs])
        await self._sealed.directs.look(self._sealed.link.rooms.infos.get(room), policy)
        self._sealed.partners.require(room, policy)

    async def _public(self, info: bytes, tree: bytes) -> "PublicGroup":
        """Return a group as the server states it, all of it checked; raises MLSError or TrustError."""
        public = public_group(read_info(info), tree)
        await self._learn(public)
        return public

    async def policy(self, room: int) -> Policy:
        """Return the policy of a room that this device is not in, the whole tree looked at.

        Raises a Refusal; GroupRefused if the group is none that a room can have.
        """
        told: wire.GroupInformation = await self._sealed.ask(wire.INFO, wire.AskGroup(room))
        tree = await self._sealed.transfer.tree(room, told.epoch)
        try:
            public = await self._public(told.info, tree)
            return policy_of(public.context.extensions, self._sealed.server_key)
        except (MLSError, TrustError) as error:
            raise refusals.GroupRefused(why=str(error)) from None

    # -- by oneself

    def changed(self, room: int) -> None:
        """Note that a room has changed that this device is not in, though its account is.

        Another device of ours may have come in by that, and so have said that we want to be there.
        """
        self._sealed.later(WELCOME_SECONDS, self.come_back, room)

    def come_back(self, room: int) -> None:
        """Come into a room by oneself: as a new device, or after falling behind."""
        if (
            room in self._coming | self._in_vain
            or not self._sealed.ready
            or self._sealed.is_out(room)
        ):
            return
        self._coming.add(room)
        welcome = self._put_off.pop(room, None)
        work = self._come_in(room) if welcome is None else self.welcomed(*welcome)
        coming = Deferred.fromCoroutine(work)
        coming.addErrback(self._stayed_out, room)
        coming.addBoth(lambda _: self._coming.discard(room))

    def _stayed_out(self, failure: Failure, room: int) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("a room could not be entered", failure)
            self._sealed.tell_fault(room)
        elif not isinstance(refusal, _NOT_NOW):
            self.log.info("a room was not entered: {code}", code=refusal.code)
            self._sealed.later(refusal.retry_after or 15.0, self.come_back, room)

    async def _come_in(self, room: int) -> None:
        # By a welcome this device reads what has been said since; by itself only what comes later.
        await self._sealed.mailbox.through()
        for _ in range(TRIES):
            before = self._sealed.following(room).state
            if before is not None and before.behind is None:
                return
            if await self._try(room, before):
                return
            await self._sealed.pause(0.2 + self._sealed.random(1)[0] / 256)

    async def _try(self, room: int, before: Room | None) -> bool:
        """Try to come in; True if there is nothing more to try."""
        told: wire.GroupInformation = await self._sealed.ask(wire.INFO, wire.AskGroup(room))
        tree = await self._sealed.transfer.tree(room, told.epoch)
        try:
            if before is None and not await self._may_come(room, told.info, tree):
                self.log.info("a room was not entered: nobody here has agreed to be in it")
                return True
            found = await self._rejoined(room, told.info, tree, before)
            self._sealed.opened.require_new(found.group.context)
        except (MLSError, TrustError, refusals.GroupRefused) as error:
            self.log.info("a room was not entered: {why}", why=str(error))
            return True
        message, blob = await self._sealed.transfer.put(found.message)
        request = wire.CommitGroup(room, found.info, message=message, blob=blob)
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        try:
            committed: wire.Committed = await self._sealed.ask(wire.COMMIT, request, key)
        except (refusals.EpochStale, refusals.GroupRemoves):
            return False
        followed = await self._place(room, committed.epoch, committed.seq)
        store = self._sealed.opened
        state = found.entered(followed, self._sealed.now())
        self._sealed.invitations.entering(room)
        held = self._sealed.newcomers.since(before, state)
        timer = self._sealed.directs.timer(state)
        try:
            kept = store.enter(state, held=held, timer=timer)
        except InvalidError as error:
            # Its own commit would have this device try once more, and again.
            self._in_vain.add(room)
            title = self._sealed.title(room)
            why = f"{title}: this device does not come in: {error}"
            self._sealed.deliver(inputs.Notice(why, "LC-GROUP-REFUSED"))
            return True
        self._entered(kept)
        if self._sealed.waiting.holds(room):
            # Founded by a device of ours that something kept from adding the other one.
            await self._sealed.waiting.fetch(room)
        return True

    async def _may_come(self, room: int, info: bytes, tree: bytes) -> bool:
        """Tell whether this device may come in where it has not been; raises as ``_is_wanted`` does."""
        public = await self._public(info, tree)
        self._require_same(room, public.context.group_id)
        policy = policy_of(public.context.extensions, self._sealed.server_key)
        await self._require_right(room, policy)
        return policy.kind == Kind.DIRECT or self._sealed.consent.is_given(
            room, public, read_info(info).signer
        )

    async def _rejoined(self, room: int, info: bytes, tree: bytes, before: Room | None) -> Rejoined:
        asked: set[bytes] = set()
        while True:
            own = self._sealed.packages.make()
            try:
                return rejoin(
                    room,
                    self._sealed.server_key,
                    info,
                    tree,
                    own,
                    self._sealed.opened.people.logs,
                    self._sealed.random,
                    before=None if before is None else before.group,
                )
            except LogNeededError as needed:
                if needed.account in asked:
                    raise
                asked.add(needed.account)
                await self._sealed.directory.read(needed.account)

    # -- what is missing after a login

    async def settle(self, info: "RoomInfo") -> None:
        """See to it that this device is in a room that the server lists, as far as it can be."""
        room = info.room
        state = self._sealed.following(room).state
        if state is not None:
            if state.behind is not None:
                self.come_back(room)
            elif self._sealed.waiting.holds(room):
                # Founded, and then something came between.
                await self._sealed.waiting.fetch(room)
            return
        if self._sealed.is_copied(room) or info.followed_by is not None:
            # Nobody comes into a conversation that is over: the server takes nothing more in it.
            return
        try:
            await self._sealed.ask(wire.STATE, wire.AskGroup(room))
        except refusals.GroupMissing:
            if info.kind == "direct":
                await self._found_or_follow(info)
            elif not await self._sealed.founding.finish(room):
                # Another device of ours is about to found it.
                self.changed(room)
            return
        self.come_back(room)

    async def _found_or_follow(self, info: "RoomInfo") -> None:
        """Found a direct conversation, or come in where the other one was quicker."""
        try:
            await self.found_direct(info)
        except refusals.GroupExists:
            self.changed(info.room)
            return
        await self._sealed.adding.add_partner(info.room)
