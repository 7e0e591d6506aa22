"""Comparing short codes: with a person, or between a new device of ours and one that can certify it.

The steps are :mod:`lairchat.trust.verification`'s; here they are carried as notes from inbox to inbox, and
what two people agreed on becomes a pin, or an entry in the account's log.
A comparison that nobody goes on with ends after some minutes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs_sealed
from lairchat.client.sealed.device import device_name
from lairchat.features.inbox import messages as wire
from lairchat.mls.codec import OPAQUE, Struct, decode
from lairchat.mls.errors import MLSError
from lairchat.model import faults, limits, refusals
from lairchat.model.ids import command_id
from lairchat.model.names import check_label
from lairchat.model.refusal import Refusal
from lairchat.trust.entry import Device
from lairchat.trust.errors import PinError, TrustError, VerificationError
from lairchat.trust.pins import compared
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import (
    MESSAGE,
    NONCE_BYTES,
    SESSION_BYTES,
    Answer,
    Message,
    Party,
    Purpose,
    Start,
    Stop,
)
from lairchat.trust.signing import SigningKey
from lairchat.trust.verification import State, Verdict, Verification

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

PATIENCE_SECONDS: Final = 600.0
"""seconds: how long a comparison waits for its next step."""
SESSIONS: Final = 8
"""count: comparisons at once; more can only be somebody's attempt to be a nuisance."""
_DIFFERED = (
    "the codes differ: somebody may stand in between. Nothing was changed. Talk to each other by"
    " another way, and tell the operator"
)


@dataclass(frozen=True, slots=True)
class _LinkNote(Struct):
    """A note of linking: the message, and how the new device calls itself, which proves nothing."""

    LAYOUT = (OPAQUE, OPAQUE)
    message: bytes
    name: bytes


class Comparison:
    """One comparison as it is carried.

    number: by which the screen knows it.  step: None while a person has not agreed to compare.
    target: (account, devices) to send to.  device: the server's number of a device being linked.
    """

    __slots__ = (
        "account",
        "device",
        "devices",
        "name",
        "number",
        "purpose",
        "ref",
        "start",
        "step",
    )

    def __init__(self, number: int, purpose: Purpose, name: str, account: bytes) -> None:
        self.number = number
        self.purpose = purpose
        self.name = name
        self.account = account
        self.devices: tuple[bytes, ...] = ()
        self.device = 0
        self.step: Verification | None = None
        self.start: Start | None = None
        self.ref = 0

    @property
    def session(self) -> bytes:
        """What its messages are known by."""
        if self.step is not None:
            return self.step.session
        assert self.start is not None
        return self.start.offer.session

    @property
    def link(self) -> bool:
        """Whether it is for linking a device."""
        return self.purpose is Purpose.LINK


class Comparing:
    """The comparisons of this device."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._held: dict[int, Comparison] = {}
        self._last = 0

    # -- starting

    async def verify(self, name: str, ref: int) -> None:
        """Start to compare with a person; raises a Refusal."""
        own = self._sealed.require_own()
        person = await self._sealed.directory.person(name)
        if person.log.account == own.identity.account:
            raise refusals.OnSelf
        one = self._new(Purpose.PERSON, person.name, person.log.account)
        one.devices = tuple(device.body.id for device in person.log.in_force)
        one.ref = ref
        await self._begin(one, self._party())

    async def link(self, ref: int) -> None:
        """Start to compare with the devices that may make this one the account's; raises a Refusal."""
        self._sealed.require_store()
        person = await self._sealed.directory.person(self._sealed.name)
        own = self._sealed.device.make(person.log.account, certifies=False)
        if own.identity.account != person.log.account:
            raise refusals.IdentityBad(why="this device belongs to an identity that is over")
        one = self._new(Purpose.LINK, "your other device", person.log.account)
        one.devices = tuple(device.body.id for device in person.log.in_force)
        one.ref = ref
        if not one.devices:
            raise refusals.DeviceGone
        await self._begin(one, self._party())

    def _party(self) -> Party:
        own = self._sealed.own
        assert own is not None
        key = SigningKey(own.signing).public
        return Party(own.identity.account, own.identity.device, key)

    def _new(self, purpose: Purpose, name: str, account: bytes) -> Comparison:
        if len(self._held) >= SESSIONS:
            raise refusals.RateLimited(retry_after=PATIENCE_SECONDS)
        self._last += 1
        one = self._held[self._last] = Comparison(self._last, purpose, name, account)
        self._sealed.later(PATIENCE_SECONDS, self._too_late, one.number)
        return one

    async def _begin(self, one: Comparison, mine: Party) -> None:
        random = self._sealed.random
        session, nonce = random(SESSION_BYTES), SecretBytes(random(NONCE_BYTES))
        one.step, start = Verification.begin(one.purpose, mine, session, nonce)
        try:
            await self._send(one, start, one.devices)
        except Refusal:
            del self._held[one.number]
            raise
        self._show(one)

    # -- what the user says

    def answer(self, number: int, *, agree: bool) -> None:
        """Take whether the user wants to compare with whoever asked."""
        one = self._held.get(number)
        if one is None or one.step is not None or one.start is None:
            return
        if not agree:
            self._tell(one, Stop(one.session))
            del self._held[number]
            return
        self._join(one)

    def _join(self, one: Comparison) -> None:
        assert one.start is not None
        nonce = SecretBytes(self._sealed.random(NONCE_BYTES))
        try:
            one.step, answer = Verification.join(one.purpose, self._party(), one.start, nonce)
        except VerificationError as error:
            self._end(one, same=False, text=str(error))
            return
        self._tell(one, answer)
        self._show(one)

    def verdict(self, number: int, *, same: bool) -> None:
        """Take what the user says of the two codes."""
        one = self._held.get(number)
        if one is None or one.step is None:
            return
        try:
            one.step, message = one.step.say(Verdict.SAME if same else Verdict.DIFFERENT)
        except VerificationError as error:
            self._end(one, same=False, text=str(error))
            return
        if message is not None:
            self._tell(one, message)
        if one.step.state is State.AGREED:
            agreed = Deferred.fromCoroutine(self._agreed(one, one.step.agreed))
            agreed.addErrback(self._not_agreed, one)
        else:
            self._end(one, same=False, text=_DIFFERED, differed=True)

    def cancel(self, number: int) -> None:
        """End a comparison without a result."""
        one = self._held.get(number)
        if one is None:
            return
        if one.step is not None and not one.step.state.over:
            one.step, message = one.step.cancel()
            if message is not None:
                self._tell(one, message)
        self._end(one, same=False, text=f"the comparison with {one.name} was stopped")

    def _too_late(self, number: int) -> None:
        if number in self._held:
            self.cancel(number)

    def lost(self) -> None:
        """End all of them: the connection is gone, and with it who waited at the other end."""
        for one in list(self._held.values()):
            self._end(one, same=False, text="the connection was lost: compare again")

    # -- what comes

    async def noted(self, entry: wire.InboxEntry) -> None:
        """Take a note out of the inbox."""
        name = ""
        try:
            body = entry.body
            if entry.kind == "link":
                note = _LinkNote.decode(body)
                body, name = note.message, note.name.decode("utf-8", "replace")
            message: Message = decode(MESSAGE, body)
        except MLSError as error:
            self.log.info("a note could not be read: {why}", why=str(error))
            return
        if isinstance(message, Start):
            await self._asked(entry, message, name)
        else:
            self._received(message, entry.sender)

    def answered(self, event: wire.InboxAnswer) -> None:
        """Take the answer of a device that may make this one the account's."""
        try:
            message: Message = decode(MESSAGE, event.body)
        except MLSError as error:
            self.log.info("an answer could not be read: {why}", why=str(error))
            return
        self._received(message, event.sender)

    async def _asked(self, entry: wire.InboxEntry, start: Start, name: str) -> None:
        party = start.offer.party
        link = entry.kind == "link"
        own = self._sealed.own
        if own is None or self._is_old(entry) or self._find(start.offer.session) is not None:
            return
        if link != (start.offer.purpose == Purpose.LINK):
            return
        if link:
            one = self._new(Purpose.LINK, shown_label(name), own.identity.account)
            one.device = entry.device
        else:
            log = await self._sealed.directory.read(party.account)
            if log is None:
                return
            one = self._new(Purpose.PERSON, self._sealed.names.shown(log.account), log.account)
            one.devices = (party.device,)
            if self._gives_way(one, start):
                return
        one.start = start
        mine = self._started_with(one)
        if mine is not None:
            # Both have started at once: both want to compare, and the lower session is the one.
            del self._held[mine.number]
            one.ref = mine.ref
            self._join(one)
            return
        self._sealed.deliver(inputs_sealed.ComparisonAsked(one.number, one.name, link))

    def _is_old(self, entry: wire.InboxEntry) -> bool:
        return self._sealed.link.server_now() - entry.at > PATIENCE_SECONDS * 1000

    def _started_with(self, one: Comparison) -> Comparison | None:
        return next(
            (
                held
                for held in self._held.values()
                if held is not one
                and held.account == one.account
                and held.purpose is one.purpose
                and held.step is not None
                and held.step.state is State.STARTED
            ),
            None,
        )

    def _gives_way(self, one: Comparison, start: Start) -> bool:
        """Tell whether somebody's start gives way to our own, and forget it then."""
        mine = self._started_with(one)
        if mine is None or start.offer.session < mine.session:
            return False
        del self._held[one.number]
        return True

    def _received(self, message: Message, sender: bytes | None) -> None:
        assert not isinstance(message, Start)
        one = self._find(message.session)
        if one is None or one.step is None:
            if one is not None and isinstance(message, Stop):
                self._end(one, same=False, text=f"{one.name} has stopped to compare")
            return
        if isinstance(message, Answer):
            if one.step.state is not State.STARTED:
                return  # another device of theirs: the one that answered first counts
            others = [device for device in one.devices if device != message.party.device]
            one.devices = (message.party.device,)
            if others:
                self._tell_all(one, Stop(one.session), others)
        elif sender is not None and len(one.devices) == 1 and sender not in one.devices:
            return
        try:
            one.step, reply = one.step.receive(message)
        except VerificationError as error:
            self.log.info("a comparison: {why}", why=str(error))
            return
        if reply is not None:
            self._tell(one, reply)
        if one.step.state is State.FAILED:
            self._end(one, same=False, text=f"not compared: {one.step.why}")
        else:
            self._show(one)

    def _find(self, session: bytes) -> Comparison | None:
        return next((one for one in self._held.values() if one.session == session), None)

    # -- what comes of it

    async def _agreed(self, one: Comparison, party: Party) -> None:
        if not one.link:
            self._pin(one, party)
        elif one.device:
            await self._certify(one, party)
        else:
            self._sealed.device.compared()
            await self._sealed.device.linked()
            self._end(
                one, same=True, text="this device is one of yours as soon as the other agrees"
            )

    def _pin(self, one: Comparison, party: Party) -> None:
        pin = self._sealed.directory.pin(one.name)
        try:
            if pin is None:
                raise PinError("nobody of this name has been seen")
            self._sealed.directory.keep(compared(pin, party.account))
        except PinError as error:
            self._end(one, same=False, text=f"not verified: {error}")
            return
        self._end(one, same=True, text=f"{one.name} is verified, on all devices of theirs")

    async def _certify(self, one: Comparison, party: Party) -> None:
        key = self._sealed.device.signer()
        if key is None:
            raise refusals.DeviceUnproven
        await self._sealed.device.say((Device(party.device, party.key, one.name),), key)
        self._end(one, same=True, text=f"{one.name} is one of your devices now")

    def _not_agreed(self, failure: Failure, one: Comparison) -> None:
        refusal = failure.value
        if isinstance(refusal, Refusal | TrustError):
            self._end(one, same=False, text=f"not done: {refusal}")
        else:
            self.log.failure("a comparison could not be ended", failure)
            self._end(one, same=False, text="not done: something failed here")

    def _show(self, one: Comparison) -> None:
        code = None if one.step is None else one.step.code
        words, numbers = ((), ()) if code is None else (code.words, code.numbers)
        self._sealed.deliver(
            inputs_sealed.Comparing(one.number, one.name, one.link, words, numbers, one.ref)
        )

    def _end(self, one: Comparison, *, same: bool, text: str, differed: bool = False) -> None:
        if self._held.pop(one.number, None) is not None:
            ended = inputs_sealed.ComparisonEnded(one.number, same, text, differed)
            self._sealed.deliver(ended)

    # -- carrying

    def _tell(self, one: Comparison, message: Message) -> None:
        self._tell_all(one, message, one.devices)

    def _tell_all(self, one: Comparison, message: Message, devices: Iterable[bytes]) -> None:
        sending = Deferred.fromCoroutine(self._send(one, message, tuple(devices)))
        sending.addErrback(self._not_told, one)

    def _not_told(self, failure: Failure, one: Comparison) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("a note could not be sent", failure)
        elif not isinstance(refusal, faults.NetLost):
            self._end(one, same=False, text=f"not compared: {refusal.text}")

    async def _send(self, one: Comparison, message: Message, devices: tuple[bytes, ...]) -> None:
        body = MESSAGE.write(message)
        if one.device:
            await self._sealed.ask(wire.ANSWER, wire.AnswerNote(one.device, body))
            return
        kind: wire.NoteKind = "verify"
        if one.link:
            kind, body = "link", _LinkNote(body, device_name().encode()).encode()
        for start in range(0, len(devices), limits.KEY_PACKAGES_AT_ONCE):
            part = list(devices[start : start + limits.KEY_PACKAGES_AT_ONCE])
            key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
            request = wire.SendNote(kind, one.account, part, body)
            await self._sealed.ask(wire.SEND, request, key)


def shown_label(name: str) -> str:
    """Return what a device calls itself, if that can be a device's name."""
    try:
        return check_label(name[: limits.LABEL_CHARS])
    except Refusal:
        return "a new device"
