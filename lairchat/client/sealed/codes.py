"""Invite codes of encrypted rooms: made, told to the members who may add people, and answered.

The server finds a room by a code's locator and never sees its secret; whoever knocks proves to know it,
and whoever lets them in proves it back over the group (:mod:`lairchat.e2ee.invite`).
"""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.client.store_codes import Invitation
from lairchat.e2ee import invite
from lairchat.e2ee.fold import Said
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import Invitation as Told
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
from lairchat.trust.policy import Role
from lairchat.trust.structure import identity_of

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

    # -- letting people in

    async def make(self, room: int, uses: int) -> str:
        """Make a code for a room, and tell the other members of it; returns its text."""
        if not self._sealed.adding.may_add(room):
            raise refusals.Denied
        code = Code.new(self._sealed.random)
        until = self._sealed.link.server_now() + 1000 * CODE_SECONDS
        self._sealed.opened.codes.keep_invitation(Invitation(room, code, uses, until))
        await self._offer(room, code.locator, uses, until)
        self._sealed.sending.say(room, Told(code.locator, code.secret, uses, until))
        return code.text()

    async def end(self, room: int) -> int:
        """End all codes of a room; returns how many there were."""
        now = self._sealed.now()
        found = [
            one for one in self._sealed.opened.codes.invitations(now).values() if one.room == room
        ]
        for one in found:
            code = one.code
            await self._offer(room, code.locator, 0, one.until)
            self._sealed.opened.codes.keep_invitation(Invitation(room, code, 0, one.until))
            self._sealed.sending.say(room, Told(code.locator, code.secret, 0, one.until))
        return len(found)

    async def _offer(self, room: int, locator: bytes, uses: int, until: int) -> None:
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        await self._sealed.ask(wire.OFFER, wire.OfferCode(room, locator, uses, until), key)

    def heard(self, room: int, said: Said, told: Told) -> None:
        """Keep a code that a member has made or ended, if that member may."""
        state = self._sealed.following(room).state
        if state is None or said.role < Role(state.policy.adders):
            return
        code = Code(told.locator, told.secret)
        self._sealed.opened.codes.keep_invitation(Invitation(room, code, told.uses, told.until))
        self._sealed.adding.let_in(room)

    async def admit(self, room: int, knock: wire.Knock) -> None:
        """Let somebody in who knocks with a code, or turn them away; raises a Refusal."""
        invitation = self._sealed.opened.codes.invitations(self._sealed.now()).get(knock.locator)
        if invitation is None or invitation.room != room:
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

        await self._sealed.adding.add(room, packages, admission)
        self._used(knock.locator)

    def _used(self, locator: bytes) -> None:
        # As it is by now: others were let in meanwhile, or it was ended.
        invitation = self._sealed.opened.codes.invitations(self._sealed.now()).get(locator)
        if invitation is None:
            return
        left = Invitation(invitation.room, invitation.code, invitation.uses - 1, invitation.until)
        self._sealed.opened.codes.keep_invitation(left)

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
