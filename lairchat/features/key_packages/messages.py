"""Key packages on the wire: brought by the devices that they add, given to whoever adds these."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Int63

Package = Annotated[bytes, Meta(min_length=1, max_length=limits.KEY_PACKAGE_BYTES)]


class PublishKeys(Request, frozen=True):
    """Bring key packages of the device that this session has proven to be.

    packages: as MLS encodes them, without a wrapping message.
    last_resort: there is one, which is given out while there is no other, to more than one person;
        it replaces the one before.
    """

    packages: Annotated[list[Package], Meta(min_length=1, max_length=limits.KEY_PACKAGES_AT_ONCE)]
    last_resort: bool = False


class CountKeys(Request, frozen=True):
    """Ask how many of one's own device's key packages are left."""


class ClaimKeys(Request, frozen=True):
    """Take a key package of each of these devices of somebody, to add them.

    devices: their ids in the log that the user goes by.
    """

    user: Int63
    devices: Annotated[list[Bytes16], Meta(min_length=1, max_length=limits.KEY_PACKAGES_AT_ONCE)]


class KeysLeft(Reply, frozen=True):
    """What waits of a device: one-time packages, and when the last resort runs out, ms since 1970."""

    one_time: Int63
    last_resort: Int63 | None = None


class ClaimedKey(Reply, frozen=True):
    """A key package of a device; ``last_resort``: there was no other."""

    device: bytes
    package: bytes
    last_resort: bool = False


class ClaimedKeys(Reply, frozen=True):
    """The packages taken; a device without any, or that is no more, is left out.

    account: the id of the log by which the devices were looked up.
    """

    account: bytes
    keys: list[ClaimedKey]


class KeysLow(Reply, frozen=True):
    """This device has few key packages left: bring more."""

    left: Int63


PUBLISH = Command(
    name="keys.publish",
    request=PublishKeys,
    reply=KeysLeft,
    doc="Brings key packages of one's own device.",
    errors=(refusals.DeviceUnproven, refusals.KeyPackageBad, refusals.KeyPackagesMax),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=5,
)
COUNT = Command(
    name="keys.count",
    request=CountKeys,
    reply=KeysLeft,
    doc="Tells how many key packages of one's own device are left.",
    errors=(refusals.DeviceUnproven,),
)
CLAIM = Command(
    name="keys.claim",
    request=ClaimKeys,
    reply=ClaimedKeys,
    doc="Takes a key package of each of somebody's devices; nobody else gets these.",
    errors=(refusals.IdentityUnknown, refusals.KeysLater),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=2,
)
KEYS_LOW = EventType(
    name="keys.low", body=KeysLow, doc="This device should bring more key packages."
)

COMMANDS = (PUBLISH, COUNT, CLAIM)
EVENTS = (KEYS_LOW,)
