"""Direct conversations that follow others, which are held for good and can never be written in again.

Which one follows which stands in the signed policy of the newer one's group, and there it is believed:
a server could make people write past each other by calling the older one the newer for one of the two.
What the server says of it may keep something from being sent, and leads nowhere.
With whom a new one is says the pin of the name: the account of before, or another one only once the
person has taken it for that name.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lairchat.client import inputs
from lairchat.e2ee.room import Room
from lairchat.features.delivery import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults, refusals
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.pins import Pin
from lairchat.trust.policy import Kind, Policy, direct_policy

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed
    from lairchat.features.rooms.messages import RoomInfo

FOUNDING = "refound:"
"""Fact: the person wants the conversation of this number to go on in another one."""
BEFORE = "{name} (before)"
"""How a conversation is called that another one follows; no name has a blank in it."""
_OVER = "this conversation is over, and read only. It goes on in another: /msg {name}"
_STRANGE = (
    "this conversation is with an identity that you had before, and read only. It goes on with the"
    " present one: /refound"
)
_FOUNDED = (
    "{name} is to found this conversation anew, the server says. It comes by itself; if it does not,"
    " /refound in the one before"
)


class Directs:
    """Which direct conversations are over, and where they go on."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._later: dict[bytes, set[int]] | None = None
        self._strange: set[int] = set()

    def forget(self) -> None:
        """Forget what follows what: another store is open."""
        self._later = None
        self._strange.clear()

    # -- which follows which

    def after(self, room: int) -> int | None:
        """Return the conversation that goes on in the place of one; None if this device is in none.

        One that the server lists no more, after it was put back to before, leads nowhere.
        """
        state = self._state(room)
        if state is None or state.policy.kind != Kind.DIRECT:
            return None
        signed = self._signed(state)
        return self._said(state) if signed is None else signed

    def _signed(self, state: Room) -> int | None:
        """Return what follows by the policy of its group."""
        found = self._followers().get(state.group.context.group_id, set())
        return max((one for one in found if self._goes_on(state, one)), default=None)

    def _said(self, state: Room) -> int | None:
        """Return what follows by the server's word alone, where nothing goes on anyway.

        After it was put back to before it may know nothing of the group that was here, so that no
        policy could name it.  One that is over by a policy is not taken for it.
        """
        follower = self._follower(state.room)
        later = None if follower is None else self._state(follower)
        lost = self._sealed.labels.is_lost(state)
        if later is None or not lost or not self._goes_on(state, later.room):
            return None
        return later.room if self._signed(later) is None else None

    def _follower(self, room: int) -> int | None:
        """Return which conversation follows one, by the server's word.

        Of a private room it has no say in that: nobody would renew its keys any more, or put out a
        device that was revoked, while people went on writing there.
        """
        info = self._sealed.link.rooms.infos.get(room)
        if info is None or not self._sealed.partners.is_direct(room):
            return None
        return info.followed_by

    def _followers(self) -> dict[bytes, set[int]]:
        if self._later is None:
            self._later = {}
            for number in self._sealed.opened.rooms():
                self._note(self._sealed.opened.room(number))
        return self._later

    def _note(self, state: Room | None) -> None:
        if state is not None and self._later is not None and state.policy.before:
            self._later.setdefault(state.policy.before, set()).add(state.room)

    def _goes_on(self, state: Room, number: int) -> bool:
        later = self._state(number)
        if later is None or number == state.room or self._sealed.is_out(number):
            return False
        return is_same_person(state, later, self._sealed.directory.name_of, self._sealed.pins())

    def last(self, room: int) -> int:
        """Return the conversation in which one goes on by now, itself if it is not over."""
        passed = {room}
        while True:
            found = self.after(room)
            if found is None or found in passed:
                return room
            passed.add(found)
            room = found

    def is_over(self, room: int) -> bool:
        """Tell whether another conversation has come in the place of one.

        Of one that this device is not in there is only the server's word.
        """
        if self._state(room) is not None:
            return self.after(room) is not None
        return self._follower(room) is not None

    def is_ending(self, room: int) -> bool:
        """Tell whether the server says that another one follows, into which this device has not come.

        Not where this device is in that one and knows better.
        """
        follower = self._follower(room)
        return follower is not None and self._state(follower) is None

    def title(self, room: int, name: str) -> str:
        """Return what the conversation with somebody is called: that name is only of the one that goes on."""
        return BEFORE.format(name=name) if self.is_over(room) else name

    # -- locks

    def hold(self, state: Room) -> Hold | None:
        """Return what ends a direct conversation for good, beside its log; None if nothing does."""
        if state.policy.kind != Kind.DIRECT:
            return None
        name = self._sealed.directory.name_of(_other(state))
        if self.is_over(state.room):
            return Hold(Cause.FOLLOWED, name)
        if self.is_ending(state.room):
            return Hold(Cause.ENDING, name)
        return Hold(Cause.OTHER_ACCOUNT, name) if self._is_with_another(state) else None

    def _is_with_another(self, state: Room) -> bool:
        """Tell whether the person has taken another account than the one in here for the name."""
        account = _other(state)
        pin = self._sealed.pins().get(self._sealed.directory.name_of(account))
        return pin is not None and pin.changed is None and pin.account != account

    def why_outside(self, room: int) -> str:
        """Say why this device is not in a conversation and will not come in by itself; else nothing."""
        info = self._sealed.link.rooms.infos.get(room)
        if info is None or info.kind != "direct":
            return ""
        if info.followed_by is not None:
            return _OVER.format(name=info.name)
        if room in self._strange:
            return _STRANGE
        if info.follows is not None and not self._is_wanted(info.follows):
            return _FOUNDED.format(name=info.name)
        return ""

    # -- founding

    async def refound(self, room: int) -> None:
        """Have a conversation that is held for good go on in another one; raises a Refusal."""
        self._sealed.require_own()
        if not self.is_ended(room):
            await self._require_held(room)
        there = self.last(room)
        if there == room:
            there = await self._open(room)
        info = self._sealed.link.rooms.infos.get(there)
        if info is None:
            raise self._sealed.waiting.refusal(there)
        self._sealed.deliver(inputs.RoomJoined(self._sealed.link.rooms.shown(info), show=True))

    def is_ended(self, room: int) -> bool:
        """Tell whether nothing changes any more in a conversation, be it by the server's word."""
        return self.is_over(room) or self.is_ending(room)

    async def _require_held(self, room: int) -> None:
        state = self._state(room)
        own = self._sealed.require_own().identity.account
        if state is None:
            held = await self._is_strange(room, own)
        else:
            held = (
                self._sealed.labels.is_lost(state)
                or self._is_with_another(state)
                or own not in state.policy.parties
            )
        if not held:
            raise refusals.GroupRefused(why="the room is not held for good")

    async def _is_strange(self, room: int, own: bytes) -> bool:
        """Tell whether a conversation that this device is not in is that of another account of ours."""
        try:
            policy = await self._sealed.entering.policy(room)
        except refusals.GroupMissing:
            return False
        return policy.kind == Kind.DIRECT and own not in policy.parties

    async def _open(self, room: int) -> int:
        """Have the server make the conversation that follows, and found its group or come into it."""
        name = self._sealed.partners.name(room)
        await self._trusted(name)
        made = await self._ask(room, name)
        if await self._is_gone(made.room):
            # Its number is that of one which the server has lost: what is kept here is of that.
            made = await self._ask(made.room, name)
        try:
            await self._sealed.waiting.fetch(made.room)
        except faults.NetLost:
            raise
        except Refusal as refusal:
            # The conversation is there; it says on its lock what it waits for.
            self._sealed.deliver(inputs.Notice(refusal.text, refusal.code))
        return made.room

    async def _ask(self, room: int, name: str) -> "RoomInfo":
        """Have the server make the conversation that follows, and note that the person wants that."""
        marks, wanted = self._sealed.opened.marks, f"{FOUNDING}{room}"
        marks.keep_fact(wanted, b"1")
        try:
            made: RoomInfo = await self._sealed.ask(rooms.REFOUND, rooms.RefoundDirect(room))
            self._sealed.partners.require_asked(made, name)
            if made.room == room or self.is_over(made.room):
                # It would be read only again, or is the very one that cannot go on.
                raise refusals.GroupRefused(why="the server gave a conversation that is over")
        except faults.NetLost:
            raise
        except Refusal:
            # It is said, and done with: the server does not come back to it one day by itself.
            marks.keep_fact(wanted, None)
            raise
        self._sealed.link.rooms.joined(made)
        return made

    async def _is_gone(self, room: int) -> bool:
        """Tell whether the server has lost the group that this device has followed, and hold it then."""
        state = self._state(room)
        if state is None:
            return False
        try:
            told: wire.GroupState = await self._sealed.ask(wire.STATE, wire.AskGroup(room))
            gone = told.group != state.group.context.group_id
        except refusals.GroupMissing:
            gone = True
        if gone:
            held = {*self._sealed.opened.people.holds(room), Hold(Cause.ROOM_CUT)}
            self._sealed.opened.people.keep_holds(room, held)
        return gone

    async def _trusted(self, name: str) -> bytes:
        """Return the account that somebody has by now, if it is the one that the name stands for here.

        Raises RoomHeld while a person has to decide about another one.
        """
        account = (await self._sealed.directory.person(name)).log.account
        pin = self._sealed.directory.pin(name)
        if pin is None or pin.changed is not None or pin.account != account:
            raise faults.RoomHeld(
                why=f"the identity of {name} has changed",
                advice=f"Compare: /verify {name}. Or take it for a new person: /trust {name}",
            )
        return account

    async def policy(self, info: "RoomInfo") -> Policy:
        """Return the policy with which this device founds a direct conversation; raises a Refusal."""
        own = self._sealed.require_own().identity.account
        if info.follows is None:
            person = await self._sealed.directory.person(info.name)
            return direct_policy(own, person.log.account)
        if not self._is_wanted(info.follows):
            # On the server's word alone nothing that stands is left for something else.
            raise refusals.GroupRefused(why="nobody here has founded the conversation anew")
        if name_key(self._sealed.partners.name(info.follows)) != name_key(info.name):
            raise refusals.GroupRefused(why="it follows the conversation with somebody else")
        account = await self._trusted(info.name)
        return direct_policy(own, account, await self._group_of(info.follows))

    def _is_wanted(self, room: int) -> bool:
        store = self._sealed.store
        return store is not None and store.marks.fact(f"{FOUNDING}{room}") is not None

    async def _group_of(self, room: int) -> bytes:
        """Return the id of the group that is followed; empty if there was none.

        It is that of the last conversation before which has one, by the server's word; raises
        GroupRefused if this device knows better.  Where it is in none of them and that is a lie, no
        other device takes the new conversation for a successor.
        """
        passed = set()
        before: int | None = room
        while before is not None and before not in passed:
            passed.add(before)
            try:
                told: wire.GroupState = await self._sealed.ask(wire.STATE, wire.AskGroup(before))
            except refusals.GroupMissing:
                info = self._sealed.link.rooms.infos.get(before)
                before = None if info is None else info.follows
                continue
            state = self._state(before)
            lost = state is None or self._sealed.labels.is_lost(state)
            here = None if state is None or lost else state.group.context.group_id
            if here not in (None, told.group):
                raise refusals.GroupRefused(why="the server speaks of another group than was here")
            return told.group
        return b""

    # -- coming in

    async def look(self, info: "RoomInfo | None", policy: Policy) -> None:
        """Look at the policy of a conversation before this device comes in; raises a Refusal.

        Whoever begins anew may found the successor: that is noted as a changed identity, and held.
        """
        own = self._sealed.require_own().identity.account
        if info is None or policy.kind != Kind.DIRECT or info.kind != "direct":
            return
        if own not in policy.parties:
            self._strange.add(info.room)
            self._sealed.relabel(info.room)
        elif policy.before:
            await self._sealed.directory.person(info.name)

    def outside(self, name: str) -> list[int]:
        """Return the conversations with somebody that follow others and that this device is not in."""
        return [
            info.room
            for info in self._sealed.link.rooms.infos.values()
            if info.crypto == "mls"
            and info.follows is not None
            and name_key(info.name) == name
            and self._state(info.room) is None
        ]

    def entered(self, state: Room) -> None:
        """Note that this device has come into a conversation: the one before is over."""
        self._strange.discard(state.room)
        if state.policy.kind != Kind.DIRECT or not state.policy.before:
            return
        self._followers()
        self._note(state)
        for room in self._before(state):
            self._ended(room)

    def left(self, room: int) -> None:
        """Note that the server lists a conversation no more: one that it had followed is not over by it."""
        state = self._state(room)
        for before in [] if state is None else self._before(state):
            self._sealed.relabel(before)

    def timer(self, state: Room) -> int:
        """Return how long what is said stays in the conversation before one, seconds; 0: for good.

        Whoever moves a conversation on must not have what the other one says there stay.
        """
        marks = self._sealed.opened.marks
        return max((marks.timer(room) for room in self._before(state)), default=0)

    def _before(self, state: Room) -> list[int]:
        """Return which conversations have the group that one follows."""
        if not state.policy.before:
            return []
        states = map(self._state, self._sealed.opened.rooms())
        return [
            one.room
            for one in states
            if one is not None and one.group.context.group_id == state.policy.before
        ]

    def _ended(self, room: int) -> None:
        store = self._sealed.opened
        store.marks.keep_fact(f"{FOUNDING}{room}", None)
        self._sealed.relabel(room)
        if not self.is_over(room):
            return
        text = f"the conversation with {self._sealed.peer_name(room)} goes on in a new one; the one"
        text += " before stays, read only"
        if store.outbox(room):
            text += ". What waited there is not sent: it stands there, to be copied or dropped"
        self._sealed.deliver(inputs.Notice(text))
        self._sealed.sending.wake(room)

    def _state(self, room: int) -> Room | None:
        store = self._sealed.store
        return None if store is None else store.room(room)


def is_same_person(
    before: Room, now: Room, name_of: Callable[[bytes], str], pins: Mapping[str, Pin]
) -> bool:
    """Tell whether two direct conversations are with the same person.

    A policy alone does not say so: somebody else could name there, with a server, the group of a
    conversation that is not theirs, and end it.
    """
    known, found = _other(before), _other(now)
    if known == found:
        return True
    # Begun anew: only once the person has taken that account for the name.
    pin = pins.get(name_of(found))
    return name_of(known) == name_of(found) and pin is not None and pin.account == found


def _other(state: Room) -> bytes:
    """Return the account at the other end of a direct conversation; one's own in one with oneself."""
    own = state.own.account
    return next((one for one in state.policy.parties if one != own), own)
