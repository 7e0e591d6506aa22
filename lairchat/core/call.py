"""What a handler knows about the call it answers."""

from typing import TYPE_CHECKING

from lairchat.core.peer import Peer
from lairchat.core.session import Session

if TYPE_CHECKING:
    from lairchat.core.kernel import Kernel


class Call:
    """One command under way: who asks, when, and the way to answer.

    now: wall clock in ms when the command arrived.
    key: the command's idempotency id, or None.
    rehearsal: nothing is to happen: an operator asks what would.
    audited: what the log of operators' commands is to say of it once it is answered, or "".
    """

    __slots__ = ("_session", "audited", "id", "kernel", "key", "now", "peer", "rehearsal")

    def __init__(
        self,
        kernel: "Kernel",
        peer: Peer,
        id: int,  # noqa: A002
        key: bytes | None,
        now: int,
        *,
        rehearsal: bool = False,
        audited: str = "",
    ) -> None:
        self.kernel = kernel
        self.peer = peer
        self.id = id
        self.key = key
        self.now = now
        self.rehearsal = rehearsal
        self.audited = audited
        # As it is now: who asked may have gone when the writer's turn comes.
        self._session = peer.session

    @property
    def session(self) -> Session:
        """The caller's session; only commands of stage READY may ask."""
        session = self._session
        if session is None:
            raise AssertionError("a command of stage READY ran without a session")
        return session
