"""Invite codes of encrypted rooms: made, told to the members who may add people, and answered.

The server finds a room by a code's locator and never sees its secret; whoever knocks proves to know it,
and whoever lets them in proves it back over the group (:mod:`lairchat.e2ee.invite`).

How many a code lets in is not left to the server, which could play one code's knocks to several
members.  All who have it count alike, by the log that they follow: each person whom a commit brings, and
nobody had invited by name, is taken to have used each code of the room, until whoever let them in
says which one it was.
"""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.client.store_codes import Invitation
from lairchat.e2ee import invite
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import CodeUsed
from lairchat.e2ee.payload import Invitation as Told
from lairchat.e2ee.room import Advanced, Happening, Own, Room
from lairchat.features.delivery import messages as delivery
from lairchat.features.joining import messages as wire
from lairchat.mls.errors import MalformedError, MLSError
from lairchat.mls.group import Group
from lairchat.mls.objects import KeyPackage
from lairchat.mls.suites import HYBRID
from lairchat.model import limits, refusals
from lairchat.model.ids import command_id
from lairchat.trust.errors import TrustError
from lairchat.trust.leaf import certified
from lairchat.trust.structure import accounts_in, identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

CODE_SECONDS = 7 * limits.DAY
"""seconds: how long a code lets people in, unless it is ended before."""
_ASKED = "knock:"


class Codes:
    """Codes in use."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._telling: dict[bytes, int] = {}

    # -- letting people in

    async def make(self, room: int, uses: int) -> str:
        """Make a code for a room, and tell the other members of it; returns its text."""
        if not self._sealed.adding.may_add(room):
            raise refusals.Denied
        code = Code.new(self._sealed.random)
        until = self._sealed.link.server_now() + 1000 * CODE_SECONDS
        made = Invitation(room, code, uses, until, told=False)
        self._sealed.opened.codes.keep_invitation(made)
        await self._offer(room, code.locator, uses, until)
        message = self._sealed.sending.say(room, Told(code.locator, code.secret, uses, until))
        self._telling[message] = room
        return code.text()

    def stands(self, message: bytes) -> None:
        """Let in who waits with a code, once what this device has said of codes stands in the log."""
        room = self._telling.pop(message, None)
        if room is not None:
            self._sealed.adding.let_in(room)

    async def end(self, room: int) -> int:
        """End all codes of a room; returns how many there were.

        Those as well that may be used up: it may turn out that another one was.
        """
        found = self._sealed.opened.codes.of(room, self._sealed.now())
        for one in found:
            code = one.code
            await self._offer(room, code.locator, 0, one.until)
            self._sealed.opened.codes.keep_invitation(Invitation(room, code, 0, one.until))
            self._sealed.sending.say(room, Told(code.locator, code.secret, 0, one.until))
        return len(found)

    async def _offer(self, room: int, locator: bytes, uses: int, until: int) -> None:
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        await self._sealed.ask(wire.OFFER, wire.OfferCode(room, locator, uses, until), key)

    def newcomers(self, room: Room, happening: Happening) -> set[bytes]:
        """Return the people whom a commit brings, and nobody who may has invited: codes count them.

        room: as it was before.
        """
        if not isinstance(happening, Own | Advanced) or happening.change is None:
            return set()
        inside = accounts_in(room.group.public.tree)
        came = {one.account for one in happening.change.added} - inside
        return {one for one in came if not self._sealed.invitations.is_asked(room.room, one)}

    def _standing(self, room: int, locator: bytes) -> Invitation | None:
        """Return a code by which people are let into a room now."""
        found = self._sealed.opened.codes.invitations(self._sealed.now()).get(locator)
        return found if found is not None and found.room == room and found.told else None

    async def admit(self, room: int, knock: wire.Knock) -> None:
        """Let somebody in who knocks with a code, or turn them away; raises a Refusal."""
        invitation = self._standing(room, knock.locator)
        if invitation is None:
            return  # another member's device may have the code
        log = await self._sealed.directory.person(knock.name)
        try:
            request = invite.check(invitation.code, knock.body)
            packages = [KeyPackage.decode(data) for data in knock.packages]
            if request.account != log.log.account:
                raise MalformedError("a request for another account")
            if tuple(one.reference(HYBRID) for one in packages) != request.packages:
                raise MalformedError("a request with other key packages")
            for one in packages:
                certified(log.log, identity_of(one.leaf), one.leaf.signature_key)
        except (MLSError, TrustError) as error:
            self.log.info("a request was turned away: {why}", why=str(error))
            await self._sealed.ask(wire.REFUSE, wire.RefuseJoiner(room, knock.user))
            return

        def admission(group: Group) -> list[delivery.Admission]:
            body = invite.admit(invitation.code, request, group)
            return [delivery.Admission(knock.user, body)]

        def standing() -> bool:
            # As it is by then: others were let in meanwhile, or it was ended.
            # Who is inside brings more devices without a code: they would not be counted for it.
            state = self._sealed.following(room).state
            inside = set() if state is None else accounts_in(state.group.public.tree)
            known = request.account in inside
            return not known and self._standing(room, knock.locator) is not None

        if await self._sealed.adding.add(room, packages, admission, standing):
            self._tell_used(room, invitation.code, request.account)

    def _tell_used(self, room: int, code: Code, account: bytes) -> None:
        """Say which code has let somebody in, where it could have been another."""
        found = self._sealed.opened.codes.of(room, self._sealed.now())
        if any(one.code.locator != code.locator for one in found):
            message = self._sealed.sending.say(room, CodeUsed(code.locator, account))
            self._telling[message] = room

    # -- being let in

    async def knock(self, text: str) -> None:
        """Ask to be let in by a code; raises a Refusal."""
        try:
            code = Code.read(text)
        except MalformedError:
            raise refusals.CodeUnknown from None
        package = self._sealed.packages.make()
        own = self._sealed.require_own()
        store = self._sealed.opened
        asked = invite.ask(code, own.identity.account, [package.reference])
        store.keys.keep([package], self._sealed.now())
        store.keys.uploaded([package.reference])
        store.codes.ask(code, self._sealed.now())
        store.marks.keep_fact(f"{_ASKED}{code.locator.hex()}", asked)
        request = wire.KnockWithCode(code.locator, asked, [package.package.encode()])
        await self._sealed.ask(wire.KNOCK, request)

    def leads_into(self, group: Group, admissions: list[bytes]) -> bytes | None:
        """Return the locator of the code by which this device asked to come into a group.

        None if nobody who has a code that was used here says that this is the room.
        """
        store = self._sealed.opened
        for locator, code in store.codes.requests().items():
            asked = store.marks.fact(f"{_ASKED}{locator.hex()}")
            for admission in admissions:
                try:
                    invite.check_admission(code, asked or b"", admission, group)
                except MLSError:
                    continue
                return locator
        return None

    def entered(self, locator: bytes) -> None:
        """Forget a code that has let this device in."""
        self._sealed.opened.marks.keep_fact(f"{_ASKED}{locator.hex()}", None)
