"""Names the classes of events in a room's log: all that the server sees of an event's meaning.

The number stands in the clear header and in the log's hash chain, so it never changes.
"""

from enum import IntEnum
from typing import Final


class EventClass(IntEnum):
    """What an event is to the server; finer distinctions are inside the body."""

    APP = 1
    """Something a member says: text, edit, reaction."""
    COMMIT = 2
    """Moves an encrypted room to its next epoch."""
    PROPOSAL = 3
    """Asks for a change that a commit will make."""
    EPHEMERAL = 4
    """Typing and the like: passed on, never stored, without a sequence number."""
    TOMBSTONE = 5
    """Hint that an earlier event was deleted."""
    STATE = 6
    """The server's own statement: join, leave, topic, kick, ban, role."""


STORED: Final = frozenset(EventClass) - {EventClass.EPHEMERAL}
"""Classes that get a sequence number and a row."""

COUNTED: Final = frozenset({EventClass.APP})
"""Classes that count as unread."""

SERVER_ONLY: Final = frozenset({EventClass.STATE})
"""Classes that a client may never send: members would read them as the server's word."""
