"""Whose invitations one does not want to hear of, on the wire."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.wire.contract import Command, Nothing, Overlap, Reply, Request

NameText = Annotated[str, Meta(max_length=128)]


class Mute(Request, frozen=True):
    """Hear of no invitations of somebody any more, who is not told; those that wait are hidden."""

    name: NameText


class Unmute(Request, frozen=True):
    """Hear of somebody's invitations again; those that came meanwhile are in the list of rooms."""

    name: NameText


class ListMuted(Request, frozen=True):
    """List whose invitations one does not hear of."""


class Muted(Reply, frozen=True):
    """Their names, in order."""

    names: list[str]


MUTE = Command(
    name="invitations.mute",
    request=Mute,
    reply=Nothing,
    doc=f"Hides the invitations of somebody, of up to {limits.MUTED_MAX} people.",
    errors=(refusals.UserUnknown, refusals.OnSelf, refusals.MutedMax),
    overlap=Overlap.WRITE,
    http="PUT /invitations/muted/{name}",
)
UNMUTE = Command(
    name="invitations.unmute",
    request=Unmute,
    reply=Nothing,
    doc="Shows the invitations of somebody again.",
    errors=(refusals.UserUnknown,),
    overlap=Overlap.WRITE,
    http="DELETE /invitations/muted/{name}",
)
MUTED = Command(
    name="invitations.muted",
    request=ListMuted,
    reply=Muted,
    doc="Lists whose invitations are hidden.",
    http="GET /invitations/muted",
)

COMMANDS = (MUTE, UNMUTE, MUTED)
