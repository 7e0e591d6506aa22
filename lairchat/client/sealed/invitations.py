"""Invitations by name into encrypted rooms: which there are, and which have been accepted here.

What was accepted is kept: a welcome into any other room is refused, whoever sends it.
"""

from typing import TYPE_CHECKING

from lairchat.client import inputs_sealed
from lairchat.features.joining import messages as wire
from lairchat.model import refusals
from lairchat.model.ids import command_id
from lairchat.model.names import name_key

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_ACCEPTED = "accepted:"


class Invitations:
    """Who invites this account, and whom it invites."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def invite(self, room: int, name: str) -> None:
        """Invite somebody; they come in once they have accepted. Raises a Refusal."""
        await self._sealed.directory.person(name)
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        await self._sealed.ask(wire.INVITE, wire.InviteMember(room, name), key)

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

    def agreed(self, room: int, inside: set[bytes]) -> bool:
        """Tell whether an invitation into a room was accepted here from somebody who is inside."""
        inviter = self._sealed.opened.marks.fact(f"{_ACCEPTED}{room}")
        return inviter is not None and inviter in inside

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
