"""What proves a report: the signature of a device that was in the room, over what it said there.

Pure: the bytes that came, and what the server has kept of the epoch.
RFC 9420 signs a private message's content together with group, epoch, sender and the epoch's context
(sections 6.1 and 6.3.1), so that it proves nothing in another room, another epoch or another's name.
"""

from dataclasses import dataclass
from typing import Final

from lairchat.mls.codec import Reader
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.messages import (
    PRIVATE_MESSAGE,
    ApplicationData,
    AuthenticatedContent,
    Member,
)
from lairchat.mls.objects import GroupContext
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.refusals import ReportsMax, ReportUnproven

_ITEMS: Final = 0
"""How many items vectors may have in it: what somebody said has none, so nothing else is read."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody is said to have said; nothing of it is proven yet.

    leaf: where in the room's group, in which epoch.  data: what was said.
    """

    content: AuthenticatedContent
    leaf: int
    data: bytes

    @property
    def epoch(self) -> int:
        """In which epoch of the group."""
        return self.content.framed.epoch

    @property
    def group_id(self) -> bytes:
        """In which group."""
        return self.content.framed.group_id


def statement(data: bytes) -> Statement:
    """Return what a report's bytes say; raises ReportUnproven if they are no message."""
    try:
        reader = Reader(data, _ITEMS)
        content = AuthenticatedContent.read(reader)
        reader.finish()
    except MLSError:
        raise ReportUnproven(field="$.content") from None
    framed = content.framed
    # Handshakes stand in the log for the server to see, and are no speech of anybody's.
    if (
        content.wire_format != PRIVATE_MESSAGE
        or not isinstance(framed.content, ApplicationData)
        or not isinstance(framed.sender, Member)
        or framed.epoch > limits.INTEGER_MAX
    ):
        raise ReportUnproven(field="$.content")
    return Statement(content, framed.sender.leaf, framed.content.data)


def require_signed(said: Statement, group_id: bytes, context: bytes, key: bytes) -> None:
    """Refuse what the leaf has not signed in this room and epoch; raises ReportUnproven.

    group_id: of the room's group.  context: of the epoch, key: of the leaf then, as they were kept.
    """
    try:
        of = GroupContext.decode(context)
        if (said.group_id, said.epoch) != (group_id, of.epoch) or of.group_id != group_id:
            raise InvalidError("this was said elsewhere")
        said.content.check_signature(HYBRID, key, of)
    except MLSError:
        raise ReportUnproven(field="$.content") from None


def require_place(waiting: int, own: int) -> None:
    """Refuse one report too many; raises ReportsMax.

    waiting: how many wait for an operator; own: how many of those are of the same person, who could
    otherwise leave no place for others.
    """
    if own >= limits.REPORTS_OPEN_PER_USER or waiting >= limits.REPORTS_OPEN:
        raise ReportsMax
