"""Reading places on the wire: each certified device has one slot, and reads those of its account's others."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16

Sealed = Annotated[bytes, Meta(min_length=1, max_length=limits.READING_SLOT_BYTES)]


class PutPlaces(Request, frozen=True):
    """Keep how far one has read, in place of what this device has kept before.

    data: sealed.
    """

    data: Sealed


class ListPlaces(Request, frozen=True):
    """List the slots of one's account, by device; ``after``: from behind this one on."""

    after: Bytes16 | None = None


class Slot(Reply, frozen=True):
    """What a device has kept, sealed; device: its id in the account's log."""

    device: bytes
    data: bytes


class SlotList(Reply, frozen=True):
    """A page of slots; ``more``: there are others behind the last one."""

    slots: list[Slot]
    more: bool = False


PUT = Command(
    name="reading.put",
    request=PutPlaces,
    reply=Nothing,
    doc="Keeps how far this device has read, sealed, and tells the account's other devices.",
    errors=(refusals.DeviceUnproven, refusals.RateLimited),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=2,
)
LIST = Command(
    name="reading.list",
    request=ListPlaces,
    reply=SlotList,
    doc="Lists how far the devices of one's account have read, sealed.",
    errors=(refusals.DeviceUnproven,),
)
MOVED = EventType(
    name="reading.moved", body=Slot, doc="Another device of one's account has read on."
)

COMMANDS = (PUT, LIST)
EVENTS = (MOVED,)
