"""One connection as the kernel sees it: an outbox with a bound, and commands under way.

Promises not to know: sockets, TLS, frames.
The transport gives a :class:`Wire`; the peer decides what goes out and when to stop reading.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lairchat.core.session import Session
from lairchat.model import limits
from lairchat.wire.contract import Overlap

if TYPE_CHECKING:
    from lairchat.core.hub import Hub


class Wire(Protocol):
    """What a transport does for its peer."""

    def write(self, data: bytes) -> None:
        """Send these bytes; never blocks."""

    def pause_reading(self) -> None:
        """Read nothing more for now."""

    def resume_reading(self) -> None:
        """Read again."""

    def close(self, code: str, text: str) -> None:
        """Say goodbye with this code and close the connection."""

    def abort(self) -> None:
        """Cut the connection without a word."""

    def authenticated(self) -> None:
        """Allow what authenticated peers may do on this wire, larger frames for instance."""


class Peer:
    """A connection: who it is, what waits to be sent, which commands run.

    The outbox is what stands between a client that does not read and the server's memory
    (performance: twisted's ``transport.write`` never refuses).  While the transport is blocked,
    frames wait here; past :data:`limits.OUTBOX_BYTES` room events are dropped and their rooms
    remembered, and the client is told of the gap when it reads again.

    audits: whether who holds it writes down by itself what operators command here.
    """

    audits = False

    __slots__ = (
        "address",
        "blocked",
        "blocked_since",
        "closed",
        "dirty",
        "exclusive",
        "gap",
        "hub",
        "inflight",
        "outbox",
        "outbox_bytes",
        "reading_paused",
        "session",
        "since",
        "waiting",
        "wire",
        "writes",
    )

    def __init__(self, hub: "Hub", wire: Wire, address: str, now: float) -> None:
        self.hub = hub
        self.wire = wire
        self.address = address
        self.since = now
        self.session: Session | None = None
        self.outbox: list[bytes] = []
        self.outbox_bytes = 0
        self.dirty = False
        self.blocked = False
        self.blocked_since = 0.0
        self.closed = False
        self.gap: set[int] | None = None
        self.inflight = 0
        self.writes = 0
        self.exclusive = False
        self.reading_paused = False
        self.waiting: deque[tuple[Overlap, Callable[..., None], tuple[Any, ...]]] | None = None

    # -- what goes out

    def push(self, data: bytes) -> None:
        """Queue bytes that must arrive: replies, errors, notices to this device."""
        if self.closed:
            return
        self.outbox.append(data)
        self.outbox_bytes += len(data)
        if not self.dirty:
            self.dirty = True
            self.hub.wake(self)
        if self.outbox_bytes > limits.OUTBOX_BYTES:
            self._regulate()

    def push_all(self, frames: Sequence[bytes]) -> None:
        """Queue frames, in their order, as :meth:`push` does one."""
        if self.closed:
            return
        self.outbox.extend(frames)
        self.outbox_bytes += sum(map(len, frames))
        if not self.dirty:
            self.dirty = True
            self.hub.wake(self)

    def keeps_up(self, size: int, room: int) -> bool:
        """Say whether so many bytes of room events may be queued; if not, note the gap."""
        if self.gap is None:
            if not self.blocked or self.outbox_bytes + size <= limits.OUTBOX_BYTES:
                return True
            self.gap = set()
        self.gap.add(room)
        return False

    def flush(self) -> None:
        """Write what is queued as one piece, unless the transport is full."""
        self.dirty = False
        if self.blocked or not self.outbox:
            return
        data = self.outbox[0] if len(self.outbox) == 1 else b"".join(self.outbox)
        self.outbox.clear()
        self.outbox_bytes = 0
        self.wire.write(data)
        if self.reading_paused:
            self._regulate()

    def block(self, now: float) -> None:
        """Note that the transport's buffer is full."""
        if not self.blocked:
            self.blocked = True
            self.blocked_since = now

    def unblock(self) -> None:
        """Note that the transport takes bytes again; a gap is told once the outbox is empty."""
        self.blocked = False
        self.flush()
        if self.gap is not None and not self.blocked and not self.outbox:
            rooms, self.gap = self.gap, None
            self.hub.tell_gap(self, rooms)
        self._regulate()

    # -- which commands run

    def start(self, overlap: Overlap, run: Callable[..., None], *given: Any) -> None:
        """Call ``run(*given)`` now, or behind what it has to wait for; starts keep their order."""
        if not self.waiting and self._may_start(overlap):
            self._begin(overlap)
            run(*given)
        else:
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((overlap, run, given))
        if self.waiting or self.inflight >= limits.COMMANDS_IN_FLIGHT:
            self._regulate()

    def ended(self, overlap: Overlap) -> None:
        """Note that a command that was started has been answered."""
        self.inflight -= 1
        if overlap is Overlap.WRITE:
            self.writes -= 1
        elif overlap is Overlap.EXCLUSIVE:
            self.exclusive = False
        # What waited behind a logout is nobody's any more.
        while self.waiting and not self.closed and self._may_start(self.waiting[0][0]):
            following, run, given = self.waiting.popleft()
            self._begin(following)
            run(*given)
        if self.reading_paused:
            self._regulate()

    def _begin(self, overlap: Overlap) -> None:
        self.inflight += 1
        if overlap is Overlap.WRITE:
            self.writes += 1
        elif overlap is Overlap.EXCLUSIVE:
            self.exclusive = True

    def _may_start(self, overlap: Overlap) -> bool:
        if self.exclusive:
            return False
        if overlap is Overlap.READ:
            return self.writes == 0
        if overlap is Overlap.EXCLUSIVE:
            return self.inflight == 0
        return True

    def _regulate(self) -> None:
        """Stop reading from a client that has too much under way or does not read its answers."""
        busy = self.inflight + (len(self.waiting) if self.waiting else 0)
        if self.closed:
            return
        full = busy >= limits.COMMANDS_IN_FLIGHT or self.outbox_bytes > limits.OUTBOX_BYTES
        if full and not self.reading_paused:
            self.reading_paused = True
            self.wire.pause_reading()
        elif self.reading_paused and not full:
            self.reading_paused = False
            self.wire.resume_reading()
