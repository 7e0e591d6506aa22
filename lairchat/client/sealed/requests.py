"""What the user asks for about identities, devices and encrypted rooms; and the answers.

As in :mod:`lairchat.client.requests`, which calls this: each effect with a ``ref`` is answered once.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed_effects
from lairchat.e2ee.payload import Delete, Edit, Poll, React, Target, Vote
from lairchat.e2ee.room_code import room_code
from lairchat.features.delivery import messages as delivery
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults, limits, refusals
from lairchat.model.ids import command_id
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import PinError
from lairchat.trust.pins import accept, compared
from lairchat.trust.qr import qr_payload
from lairchat.trust.safety_number import half, safety_number

if TYPE_CHECKING:
    from lairchat.client.link import Link
    from lairchat.client.sealed.service import Sealed

FOUND_MOST = 200
"""count: messages that a search shows."""
_SURENESS = {1: "first sight", 2: "link", 3: "compared"}

Handler = Callable[["SealedRequests", Any], Awaitable[None]]


class SealedRequests:
    """Carries out effects that concern encrypted rooms."""

    def __init__(self, link: "Link") -> None:
        self._link = link

    @property
    def _sealed(self) -> "Sealed":
        return self._link.sealed

    def work(self, effect: effects.Effect) -> Awaitable[None] | None:
        """Return what carries out an effect, if it is one for encrypted rooms."""
        handler = self._handler(effect)
        return None if handler is None else handler(self, effect)

    def _handler(self, effect: effects.Effect) -> Handler | None:
        kind = type(effect)
        if kind in _HANDLERS:
            return _HANDLERS[kind]
        if isinstance(effect, effects.Create):
            return SealedRequests.create if effect.access == "private" else None
        room = getattr(effect, "room", None)
        if room is not None and kind in _IN_ROOMS and self._sealed.owns(room):
            return _IN_ROOMS[kind]
        return None

    def _deliver(self, one: inputs.Input) -> None:
        self._link.deliver(one)

    def _done(self, ref: int, text: str = "") -> None:
        self._deliver(inputs.CommandDone(ref, text))

    def _key(self) -> bytes:
        return command_id(self._link.server_now(), self._link.random(10))

    # -- rooms

    async def create(self, effect: effects.Create) -> None:
        """Make a private room."""
        self._sealed.require_own()
        info = await self._sealed.founding.make(effect.name)
        shown = self._link.rooms.shown(info)
        named = inputs.RoomInfo(
            **{
                field: getattr(shown, field)
                for field in shown.fields_  # type: ignore[attr-defined]
                if field != "name"
            },
            name=effect.name,
        )
        self._deliver(inputs.RoomJoined(named, show=True, ref=effect.ref))

    async def open_direct(self, effect: effects.OpenDirect) -> None:
        """Open the conversation with a person, and see to its keys."""
        self._sealed.require_own()
        info: rooms.RoomInfo = await self._link.ask(
            rooms.DIRECT, rooms.OpenDirect(effect.name, crypto="mls")
        )
        self._sealed.partners.require_asked(info, effect.name)
        self._link.rooms.joined(info)
        # An honest server gives the last one; what is over stays so, whatever it gives.
        info = self._link.rooms.infos.get(self._sealed.directs.last(info.room), info)
        try:
            await self._sealed.waiting.fetch(info.room)
        except faults.NetLost:
            raise
        except Refusal as refusal:
            # The conversation is there; it says on its lock what it waits for.
            self._deliver(inputs.Notice(refusal.text, refusal.code))
        self._deliver(inputs.RoomJoined(self._link.rooms.shown(info), show=True, ref=effect.ref))

    async def leave(self, effect: effects.Leave) -> None:
        """Leave a room: its members' devices remove ours."""
        await self._link.ask(delivery.LEAVE, delivery.AskGroup(effect.room))
        store = self._sealed.store
        if store is not None:
            unsaid = store.outbox(effect.room)
            store.leave(effect.room)
            self._sealed.sending.ended(unsaid)
        self._link.rooms.left(effect.room)
        self._deliver(inputs.RoomLeft(effect.room, ref=effect.ref))

    async def list_members(self, effect: effects.ListMembers) -> None:
        """List who is in a room: by its group; the server says who is here."""
        self._link.people.asked(effect.room)
        state = self._sealed.following(effect.room).state
        listed: rooms.MemberList = await self._link.ask(
            rooms.MEMBERS, rooms.ListMembers(effect.room, limit=limits.MEMBERS_PAGE)
        )
        for one in listed.members:
            self._sealed.names.note(one.user, one.name)
        here = {name_key(one.name) for one in listed.members if one.online}
        people = []
        if state is not None:
            for account in {one.account for one in state.members}:
                name = self._sealed.names.shown(account)
                role = self._sealed.role_word(state, account)
                people.append(inputs.Member(name, role, name_key(name) in here))
        people.sort(key=lambda one: one.name.lower())
        self._deliver(inputs.MembersListed(effect.room, tuple(people), ref=effect.ref))

    async def set_topic(self, effect: effects.SetTopic) -> None:
        """Change a room's topic."""
        self._sealed.require_own()
        self._sealed.name_room(effect.room, topic=effect.topic)
        self._done(effect.ref)

    async def set_role(self, effect: effects.SetRole) -> None:
        """Change a member's role."""
        await self._sealed.adding.set_role(effect.room, effect.name, effect.role)
        self._done(effect.ref)

    async def kick(self, effect: effects.Kick | effects.Ban) -> None:
        """Take somebody out of a room; they come back only if somebody invites them."""
        await self._sealed.adding.remove(effect.room, effect.name)
        self._done(effect.ref, f"{effect.name} is out; only an invitation leads back in")

    async def unban(self, effect: effects.Unban) -> None:
        """Say that encrypted rooms know no bans."""
        self._done(effect.ref, f"nobody is banned here: /invite {effect.name} lets them come back")

    async def invite_user(self, effect: effects.InviteUser) -> None:
        """Invite a person."""
        self._sealed.require_own()
        await self._sealed.invitations.invite(effect.room, effect.name)
        text = f"{effect.name} is invited, and comes in once they accept"
        self._done(effect.ref, text)

    # -- this device

    async def unlock(self, effect: sealed_effects.Unlock) -> None:
        """Open the store by the password."""
        # Before the keys are there another account may be: it is not opened with these.
        link, sealed = self._link, self._sealed
        try:
            if link.server is None:
                raise faults.NetLost(address=link.target.host)
            keys = await link.dialer.derive(effect.password.reveal(), link.server, link.rooms.name)
        finally:
            effect.password.clear()
        try:
            await sealed.unlock(keys.vault)
        except Refusal as refusal:
            self._deliver(inputs_sealed.StoreLocked(refusal.code, refusal.text))

    async def words_kept(self, _: sealed_effects.WordsKept) -> None:
        """Erase the recovery words."""
        if self._sealed.store is not None:
            self._sealed.device.words_kept()

    async def link_by_words(self, effect: sealed_effects.LinkByWords) -> None:
        """Make this device the account's by the recovery words."""
        try:
            self._sealed.require_store()
            await self._sealed.device.link_by_words(effect.words.reveal())
        finally:
            effect.words.clear()
        self._done(effect.ref)

    async def recover(self, effect: sealed_effects.Recover) -> None:
        """Take in what is backed up, by the recovery words."""
        try:
            count = await self._sealed.backup.recover(effect.words.reveal())
        finally:
            effect.words.clear()
        self._deliver(inputs_sealed.BackupTaken(count, effect.ref))

    async def keep_backup(self, effect: sealed_effects.KeepBackup) -> None:
        """Begin to back up, or delete the backup."""
        await self._sealed.backup.turn(on=effect.on)
        text = "your encrypted rooms are backed up from now on"
        gone = "the backup is deleted, and none of your devices makes one"
        self._done(effect.ref, text if effect.on else gone)

    async def link_device(self, effect: sealed_effects.LinkDevice) -> None:
        """Begin to compare with another device of ours."""
        await self._sealed.comparing.link(effect.ref)

    async def begin_anew(self, effect: sealed_effects.BeginAnew) -> None:
        """Give the account a new identity."""
        self._sealed.require_store()
        await self._sealed.device.begin_identity()
        await self._sealed.linked()
        self._done(effect.ref)

    async def list_devices(self, effect: sealed_effects.ListDevices) -> None:
        """List the account's devices."""
        self._sealed.require_own()
        await self._sealed.directory.read(self._sealed.device.account_log.account)
        self._deliver(inputs_sealed.DevicesListed(self._sealed.device.listed(), effect.ref))

    async def revoke_device(self, effect: sealed_effects.RevokeDevice) -> None:
        """End a device."""
        self._sealed.require_own()
        self._done(effect.ref, await self._sealed.device.revoke(effect.name, lost=effect.lost))

    # -- who is who

    async def verify(self, effect: sealed_effects.VerifyPerson) -> None:
        """Begin to compare with a person."""
        await self._sealed.comparing.verify(effect.name, effect.ref)

    async def answer_comparison(self, effect: sealed_effects.AnswerComparison) -> None:
        """Take whether to compare."""
        self._sealed.comparing.answer(effect.number, agree=effect.agree)

    async def verdict(self, effect: sealed_effects.Verdict) -> None:
        """Take what the user says of the codes."""
        self._sealed.comparing.verdict(effect.number, same=effect.same)

    async def cancel_comparison(self, effect: sealed_effects.CancelComparison) -> None:
        """End a comparison."""
        self._sealed.comparing.cancel(effect.number)

    async def show_identity(self, effect: sealed_effects.ShowIdentity) -> None:
        """Show what is known of a person."""
        own = self._sealed.require_own().identity.account
        person = await self._sealed.directory.person(effect.name)
        pin = self._sealed.directory.pin(effect.name)
        if pin is None:
            raise refusals.OnSelf
        devices = tuple(one.body.name for one in person.log.in_force)
        self._deliver(
            inputs_sealed.IdentityShown(
                self._sealed.names.shown(person.log.account),
                _SURENESS[int(pin.sureness)],
                self._number(own, pin.account),
                qr_rows(qr_payload(own, pin.account)),
                () if pin.changed is None else self._number(own, pin.changed),
                devices,
                effect.ref,
            )
        )

    def _number(self, own: bytes, other: bytes) -> tuple[str, ...]:
        return safety_number(half(own), half(other))

    async def mark_compared(self, effect: sealed_effects.MarkCompared) -> None:
        """Keep that the safety number is the same on both screens."""
        own = self._sealed.require_own().identity.account
        pin = self._sealed.directory.pin(effect.name)
        shown = effect.number.split()
        for account in () if pin is None else (pin.account, pin.changed):
            if account is not None and list(self._number(own, account)) == shown:
                assert pin is not None
                self._sealed.directory.keep(compared(pin, account))
                self._done(effect.ref, f"{effect.name} is verified, on all devices of theirs")
                return
        raise refusals.IdentityBad(why="that is not the number that was shown")

    async def accept_identity(self, effect: sealed_effects.AcceptIdentity) -> None:
        """Take a changed identity for a new person."""
        own = self._sealed.require_own().identity.account
        pin = self._sealed.directory.pin(effect.name)
        if pin is None or pin.changed is None:
            raise refusals.IdentityBad(why="no other identity waits to be accepted")
        if list(self._number(own, pin.changed)) != effect.number.split():
            raise refusals.IdentityBad(why="the server shows yet another one by now")
        try:
            self._sealed.directory.keep(accept(pin, pin.changed))
        except PinError as error:
            raise refusals.IdentityBad(why=str(error)) from None
        self._done(effect.ref, f"{effect.name} is taken for a new person, not verified")

    async def list_newcomers(self, effect: sealed_effects.ListNewcomers) -> None:
        """Tell who is in a room of whose coming nothing was seen."""
        self._sealed.require_own()
        names = self._sealed.newcomers.of(effect.room)
        self._deliver(inputs_sealed.NewcomersListed(effect.room, names, effect.ref))

    async def accept_newcomers(self, effect: sealed_effects.AcceptNewcomers) -> None:
        """Take those who were shown for members like others."""
        self._sealed.require_own()
        self._sealed.newcomers.accept(effect.room, effect.names)
        self._done(effect.ref)

    # -- invitations and codes

    async def list_invites(self, effect: sealed_effects.ListInvites) -> None:
        """List one's invitations."""
        await self._sealed.invitations.listed(effect.ref)

    async def accept_invite(self, effect: sealed_effects.AcceptInvite) -> None:
        """Accept an invitation."""
        self._sealed.require_own()
        self._done(effect.ref, await self._sealed.invitations.accept(effect.name))

    async def decline_invite(self, effect: sealed_effects.DeclineInvite) -> None:
        """Turn an invitation down."""
        self._sealed.require_store()
        await self._sealed.invitations.decline(effect.name)
        self._done(effect.ref, f"the invitation of {effect.name} is declined")

    async def make_code(self, effect: sealed_effects.MakeCode) -> None:
        """Make an invite code."""
        self._sealed.require_own()
        code = await self._sealed.codes.make(effect.room, effect.uses)
        people = "1 person" if effect.uses == 1 else f"{effect.uses} people"
        note = f"It lets in {people}, within 7 days. /code off ends it."
        self._deliver(inputs_sealed.CodeMade(code, note, effect.ref))

    async def end_code(self, effect: sealed_effects.EndCode) -> None:
        """End a room's codes."""
        self._sealed.require_own()
        count = await self._sealed.codes.end(effect.room)
        self._done(effect.ref, f"{count} code{'s' * (count != 1)} ended")

    async def join_by_code(self, effect: sealed_effects.JoinByCode) -> None:
        """Ask to be let in."""
        self._sealed.require_own()
        await self._sealed.codes.knock(effect.code)
        self._done(
            effect.ref, "waiting for a member: the next of their devices that is here lets you in"
        )

    # -- what is said

    async def change(self, effect: sealed_effects.Change) -> None:
        """Edit a message of ours."""
        message = self._sealed.message_at(effect.room, effect.seq)
        if message.said.author != self._sealed.require_own().identity.account:
            raise refusals.Denied
        self._sealed.sending.say(effect.room, Edit(message.said.id, effect.text))
        self._done(effect.ref)

    async def take_back(self, effect: sealed_effects.TakeBack) -> None:
        """Delete a message, and ask the server to forget its bytes."""
        self._sealed.require_own()
        message = self._sealed.message_at(effect.room, effect.seq)
        target = Target(message.said.author, message.said.id)
        self._sealed.sending.say(effect.room, Delete(target))
        request = delivery.DeleteMessage(effect.room, effect.seq)
        await self._link.ask(delivery.TOMBSTONE, request, self._key())
        self._done(effect.ref)

    async def react(self, effect: sealed_effects.React) -> None:
        """React to a message."""
        self._sealed.require_own()
        message = self._sealed.message_at(effect.room, effect.seq)
        target = Target(message.said.author, message.said.id)
        self._sealed.sending.say(effect.room, React(target, effect.emoji, effect.on))
        self._done(effect.ref)

    async def ask_all(self, effect: sealed_effects.AskAll) -> None:
        """Begin a poll."""
        self._sealed.require_own()
        poll = Poll(effect.question, list(effect.options), many=effect.many)
        self._sealed.sending.say(effect.room, poll)
        self._done(effect.ref)

    async def vote(self, effect: sealed_effects.PickAnswers) -> None:
        """Pick answers of a poll, or none."""
        self._sealed.require_own()
        message = self._sealed.message_at(effect.room, effect.seq)
        poll = message.said.body
        if not isinstance(poll, Poll):
            raise faults.VoteBad(why="that is no poll")
        if any(not 0 <= pick < len(poll.options) for pick in effect.picks):
            raise faults.VoteBad(why=f"it has answers 1 to {len(poll.options)}")
        if len(effect.picks) > 1 and not poll.many:
            raise faults.VoteBad(why="it takes one answer")
        target = Target(message.said.author, message.said.id)
        self._sealed.sending.say(effect.room, Vote(target, list(effect.picks)))
        self._done(effect.ref)

    async def report(self, effect: sealed_effects.Report) -> None:
        """Show a message, or a change that was refused, to the operators."""
        self._sealed.require_own()
        reporting = self._sealed.reporting
        if effect.seq:
            number = await reporting.message(effect.room, effect.seq, effect.reason, effect.edited)
        else:
            number = await reporting.change(effect.room, effect.reason)
        self._done(effect.ref, f"the operators have it as report {number}")

    async def search(self, effect: sealed_effects.Search) -> None:
        """Look for words in what this device has."""
        store = self._sealed.require_store()
        found = store.messages.search(effect.text, FOUND_MOST, effect.room or None)
        lines = tuple((room, self._sealed.show.line(room, message)) for room, message in found)
        self._deliver(inputs_sealed.Found(lines, effect.ref))

    async def set_timer(self, effect: sealed_effects.SetTimer) -> None:
        """Let what one says in a room disappear."""
        self._sealed.expiring.set_timer(effect.room, effect.seconds)
        self._done(effect.ref)

    async def room_code(self, effect: sealed_effects.RoomCode) -> None:
        """Tell the digits that all devices in a room's epoch have in common."""
        state = self._sealed.following(effect.room).state
        if state is None:
            raise self._sealed.waiting.refusal(effect.room)
        digits = " ".join(room_code(state.group))
        title, epoch = self._sealed.title(effect.room), state.group.context.epoch
        self._done(effect.ref, f"room code of {title}: {digits}  (epoch {epoch})")

    async def typing(self, effect: sealed_effects.Typing) -> None:
        """Tell the others that the user types."""
        self._sealed.typing.tell(effect.room, on=effect.on)

    async def refound(self, effect: sealed_effects.Refound) -> None:
        """Found a successor of a room that is held for good."""
        await self._sealed.successors.refound(effect.room)
        self._done(effect.ref)

    async def succeed(self, effect: sealed_effects.Succeed) -> None:
        """Open the encrypted successor of a room from before encryption."""
        await self._sealed.successors.succeed(effect.room, effect.ref)


def qr_rows(payload: bytes) -> tuple[str, ...]:
    """Return the rows of a QR code, a string of 0 and 1 each, without margin."""
    import segno

    code = segno.make_qr(payload, error="l", mode="byte", boost_error=False)
    return tuple("".join(str(cell) for cell in row) for row in code.matrix)


_HANDLERS: dict[type[effects.Effect], Handler] = {
    effects.OpenDirect: SealedRequests.open_direct,
    sealed_effects.Unlock: SealedRequests.unlock,
    sealed_effects.WordsKept: SealedRequests.words_kept,
    sealed_effects.LinkByWords: SealedRequests.link_by_words,
    sealed_effects.Recover: SealedRequests.recover,
    sealed_effects.KeepBackup: SealedRequests.keep_backup,
    sealed_effects.LinkDevice: SealedRequests.link_device,
    sealed_effects.BeginAnew: SealedRequests.begin_anew,
    sealed_effects.ListDevices: SealedRequests.list_devices,
    sealed_effects.RevokeDevice: SealedRequests.revoke_device,
    sealed_effects.VerifyPerson: SealedRequests.verify,
    sealed_effects.AnswerComparison: SealedRequests.answer_comparison,
    sealed_effects.Verdict: SealedRequests.verdict,
    sealed_effects.CancelComparison: SealedRequests.cancel_comparison,
    sealed_effects.ShowIdentity: SealedRequests.show_identity,
    sealed_effects.MarkCompared: SealedRequests.mark_compared,
    sealed_effects.AcceptIdentity: SealedRequests.accept_identity,
    sealed_effects.ListNewcomers: SealedRequests.list_newcomers,
    sealed_effects.AcceptNewcomers: SealedRequests.accept_newcomers,
    sealed_effects.ListInvites: SealedRequests.list_invites,
    sealed_effects.AcceptInvite: SealedRequests.accept_invite,
    sealed_effects.DeclineInvite: SealedRequests.decline_invite,
    sealed_effects.MakeCode: SealedRequests.make_code,
    sealed_effects.EndCode: SealedRequests.end_code,
    sealed_effects.JoinByCode: SealedRequests.join_by_code,
    sealed_effects.Change: SealedRequests.change,
    sealed_effects.TakeBack: SealedRequests.take_back,
    sealed_effects.React: SealedRequests.react,
    sealed_effects.AskAll: SealedRequests.ask_all,
    sealed_effects.PickAnswers: SealedRequests.vote,
    sealed_effects.Report: SealedRequests.report,
    sealed_effects.Search: SealedRequests.search,
    sealed_effects.SetTimer: SealedRequests.set_timer,
    sealed_effects.RoomCode: SealedRequests.room_code,
    sealed_effects.Typing: SealedRequests.typing,
    sealed_effects.Refound: SealedRequests.refound,
    sealed_effects.Succeed: SealedRequests.succeed,
}

_IN_ROOMS: dict[type[effects.Effect], Handler] = {
    effects.Leave: SealedRequests.leave,
    effects.ListMembers: SealedRequests.list_members,
    effects.SetTopic: SealedRequests.set_topic,
    effects.SetRole: SealedRequests.set_role,
    effects.Kick: SealedRequests.kick,
    effects.Ban: SealedRequests.kick,
    effects.Unban: SealedRequests.unban,
    effects.InviteUser: SealedRequests.invite_user,
}
"""The same wishes as in plain rooms, carried out by this device instead of the server."""
