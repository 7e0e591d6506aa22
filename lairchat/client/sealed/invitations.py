"""Invitations by name into encrypted rooms: which there are, and which have been accepted here.

What was accepted is kept: a welcome into any other room is refused, whoever sends it.
So is whom members have invited, and they tell each other: that somebody has accepted is the server's word,
and on that word alone nobody is let in.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from lairchat.client import inputs_sealed
from lairchat.e2ee.fold import Said
from lairchat.e2ee.payload import Asked
from lairchat.features.joining import messages as wire
from lairchat.model import refusals
from lairchat.model.ids import command_id
from lairchat.model.names import name_key
from lairchat.trust.policy import Role
from lairchat.trust.structure import accounts_in

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_ACCEPTED = "accepted:"
_ASKED = "asked:"


class Invitations:
    """Who invites this account, and whom it invites."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def invite(self, room: int, name: str) -> None:
        """Invite somebody; they come in once they have accepted. Raises a Refusal."""
        account = (await self._sealed.directory.person(name)).log.account
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        # Before the server hears of it: who is invited may be quick to accept.
        self._keep_asked(room, account, self._sealed.require_own().identity.account)
        await self._sealed.ask(wire.INVITE, wire.InviteMember(room, name), key)
        self._sealed.sending.say(room, Asked(account))
        # They may wait already: invited by a device that is gone, of which this one had not heard.
        self._sealed.adding.let_in(room)

    def _keep_asked(self, room: int, account: bytes, by: bytes | None) -> None:
        self._sealed.opened.marks.keep_fact(f"{_ASKED}{room}:{account.hex()}", by)

    def asked(self, room: int, said: Said, told: Asked) -> None:
        """Keep whom a member has invited, if that member may."""
        state = self._sealed.following(room).state
        if state is None or said.role < Role(state.policy.adders):
            return
        self._keep_asked(room, told.account, said.author)
        self._sealed.adding.let_in(room)

    def is_asked(self, room: int, account: bytes) -> bool:
        """Tell whether somebody was invited by who is in the room, and may add people there, now."""
        state = self._sealed.following(room).state
        by = self._sealed.opened.marks.fact(f"{_ASKED}{room}:{account.hex()}")
        if state is None or by is None:
            return False
        inside = accounts_in(state.group.public.tree)
        return by in inside and state.policy.role(by) >= state.policy.adders

    def came(self, room: int, accounts: Iterable[bytes]) -> None:
        """Forget the invitations of who is in the room: whoever goes again has to be invited anew."""
        for account in accounts:
            self._keep_asked(room, account, None)

    def heard(self, event: wire.GroupInvited) -> None:
        """Tell of an invitation."""
        self._sealed.deliver(inputs_sealed.Invited(event.by))

    async def waiting(self) -> list[wire.Invitation]:
        """Return the invitations that have no answer yet."""
        found: wire.Invitations = await self._sealed.ask(wire.INVITATIONS, wire.ListInvitations())
        return found.invitations

    async def accept(self, name: str) -> str:
        """Accept the newest invitation of a person; returns what to say. Raises a Refusal."""
        invitation = await self._of(name)
        person = await self._sealed.directory.person(invitation.by)
        # Before the server hears of it: the welcome may be quicker than the answer.
        self._sealed.opened.marks.keep_fact(f"{_ACCEPTED}{invitation.room}", person.log.account)
        await self._sealed.ask(wire.ACCEPT, wire.AnswerInvitation(invitation.room))
        return f"accepted: a device of a member lets you in, {invitation.by}'s or another's"

    async def decline(self, name: str) -> None:
        """Turn the newest invitation of a person down; raises a Refusal."""
        invitation = await self._of(name)
        self._sealed.opened.marks.keep_fact(f"{_ACCEPTED}{invitation.room}", None)
        await self._sealed.ask(wire.DECLINE, wire.AnswerInvitation(invitation.room))

    async def _of(self, name: str) -> wire.Invitation:
        wanted = name_key(name)
        for invitation in await self.waiting():
            if name_key(invitation.by) == wanted:
                return invitation
        raise refusals.UserUnknown(name=name)

    def agreed(self, room: int, inside: Collection[bytes]) -> bool:
        """Tell whether an invitation into a room was accepted here from somebody of these."""
        inviter = self._sealed.opened.marks.fact(f"{_ACCEPTED}{room}")
        return inviter is not None and inviter in inside

    def entering(self, room: int) -> None:
        """Forget whom members have invited: who came meanwhile and was removed again was not seen."""
        marks = self._sealed.opened.marks
        for name in marks.facts(f"{_ASKED}{room}:"):
            marks.keep_fact(name, None)

    def entered(self, room: int) -> None:
        """Forget an invitation that has been followed."""
        self._sealed.opened.marks.keep_fact(f"{_ACCEPTED}{room}", None)

    async def show(self) -> None:
        """Tell of invitations that came while nobody was here."""
        for invitation in await self.waiting():
            self._sealed.deliver(inputs_sealed.Invited(invitation.by))

    async def listed(self, ref: int) -> None:
        """List them."""
        found = tuple(inputs_sealed.Invite(one.by, one.at) for one in await self.waiting())
        self._sealed.deliver(inputs_sealed.InvitesListed(found, ref))
