"""Carries events to the connections that are to hear them, once per turn and bounded.

Everything here runs on the reactor thread, in the order in which the writer committed, so that
the hub's picture of who is in which room follows the database exactly.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from twisted.logger import Logger

from lairchat.core.measures import Stopwatch
from lairchat.core.peer import Peer
from lairchat.core.session import Session
from lairchat.model import limits
from lairchat.model.ids import DeviceId, RoomId, SessionId, UserId
from lairchat.model.refusals import Maintenance
from lairchat.model.roles import ServerRole

Schedule = Callable[[Callable[[], None]], object]


class Channel:
    """The connections in one room, and the events of this turn that are not out yet.

    people: how many users these connections belong to.
    frames: events that wait to be spread, in order.
    authors: connections that get an answer in the place of their own events: where, and which.
    """

    __slots__ = ("authors", "frames", "peers", "people", "room")

    def __init__(self, room: RoomId) -> None:
        self.room = room
        self.people = 0
        self.peers: dict[Peer, None] = {}
        self.frames: list[bytes] = []
        self.authors: dict[Peer, list[tuple[int, bytes]]] = {}


class Person:
    """A user with at least one live connection."""

    __slots__ = ("name", "peers", "rooms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.peers: dict[Peer, None] = {}
        self.rooms: dict[RoomId, None] = {}


class Hub:
    """Rooms, people and connections that are live in this process.

    schedule: calls a function in the next reactor turn (``callLater(0, ...)``).
    gap_frame: makes the bytes that tell a client which rooms it has missed events of.
    fanout: takes the time from a turn's first event to the last write of the turn that sends it.
    """

    log = Logger()

    def __init__(
        self,
        schedule: Schedule,
        gap_frame: Callable[[Collection[int]], bytes],
        fanout: Stopwatch | None = None,
    ) -> None:
        self._fanout = fanout
        self._schedule = schedule
        self._gap_frame = gap_frame
        self._scheduled = False
        self._dirty_channels: list[Channel] = []
        self._dirty_peers: list[Peer] = []
        self.channels: dict[RoomId, Channel] = {}
        self.people: dict[UserId, Person] = {}
        #: Why the chat is closed for now, as the end of a sentence; None while it is open.
        self.maintenance: str | None = None
        #: Called with (user, person, online) once somebody's first connection is there, or the last
        #: one gone.
        self.presence_changed: Callable[[UserId, Person, bool], None] | None = None

    # -- who is where

    def attach(self, peer: Peer, session: Session, rooms: Iterable[RoomId]) -> None:
        """Bind an authenticated connection to its user and to the rooms the user is in."""
        if peer.closed:
            return
        peer.session = session
        person = self.people.get(session.user)
        if person is None:
            person = self.people[session.user] = Person(session.name)
            for room in rooms:
                person.rooms[room] = None
        first = not person.peers
        person.peers[peer] = None
        for room in person.rooms:
            channel = self._enter(peer, room)
            if first:
                channel.people += 1
        if first and self.presence_changed is not None:
            self.presence_changed(session.user, person, True)
        if self.maintenance is not None:  # which began while this login was under way
            refusal = self.closed_for_now()
            self._close(peer, refusal.code, refusal.text)

    def detach(self, peer: Peer) -> None:
        """Forget a connection that has closed or logged out; doing so twice is harmless."""
        peer.closed = True
        session, peer.session = peer.session, None
        peer.outbox.clear()
        peer.outbox_bytes = 0
        peer.gap = None
        if session is None:
            return
        person = self.people[session.user]
        del person.peers[peer]
        for room in person.rooms:
            channel = self.channels[room]
            if not person.peers:
                channel.people -= 1
            self._drop(peer, channel)
        if not person.peers:
            del self.people[session.user]
            if self.presence_changed is not None:
                self.presence_changed(session.user, person, False)

    def enter(self, user: UserId, room: RoomId) -> None:
        """Let all live connections of a user hear a room."""
        person = self.people.get(user)
        if person is not None and room not in person.rooms:
            person.rooms[room] = None
            for peer in person.peers:
                channel = self._enter(peer, room)
            channel.people += 1

    def exit(self, user: UserId, room: RoomId) -> None:
        """Stop all live connections of a user from hearing a room; what was said before goes out."""
        person = self.people.get(user)
        if person is not None and room in person.rooms:
            del person.rooms[room]
            channel = self.channels[room]
            self._spread(channel)
            channel.people -= 1
            for peer in person.peers:
                self._drop(peer, channel)
                if peer.gap is not None:
                    # Nothing to catch up with any more, and no right to.
                    peer.gap.discard(room)

    def here(self, room: RoomId) -> int:
        """Count the users in a room who have a live connection."""
        channel = self.channels.get(room)
        return 0 if channel is None else channel.people

    def online(self, user: UserId) -> bool:
        """Say whether a user has a live connection."""
        return user in self.people

    def peers_of(self, user: UserId) -> list[Peer]:
        """Return the live connections of a user."""
        person = self.people.get(user)
        return list(person.peers) if person is not None else []

    def sessions(self) -> list[SessionId]:
        """Return the sessions that have a live connection."""
        sessions = (peer.session for person in self.people.values() for peer in person.peers)
        return [session.id for session in sessions if session is not None]

    def close_sessions(
        self, user: UserId, which: Callable[[Session], bool], code: str, text: str
    ) -> None:
        """Close the connections of a user whose session is meant, within this turn."""
        for peer in self.peers_of(user):
            if peer.session is not None and which(peer.session):
                self._close(peer, code, text)

    def set_role(self, user: UserId, role: ServerRole) -> None:
        """Let the live sessions of a user have another role from now on."""
        for peer in self.peers_of(user):
            if peer.session is not None:
                peer.session.role = role

    def close_oldest(self, user: UserId, keep: int, code: str, text: str) -> None:
        """Close the connections of a user beyond the ``keep`` that came last, within this turn."""
        for peer in self.peers_of(user)[:-keep]:
            self._close(peer, code, text)

    def connections(self) -> int:
        """Count the live connections of all users."""
        return sum(len(person.peers) for person in self.people.values())

    def close_all(self, reason: str) -> None:
        """Close the chat for maintenance: end all connections, and let nobody in.

        reason: the end of the sentence that people are told; ``maintenance = None`` opens it again.
        """
        self.maintenance = reason
        refusal = self.closed_for_now()
        for user in list(self.people):
            self.close_sessions(user, lambda _session: True, refusal.code, refusal.text)

    def closed_for_now(self) -> Maintenance:
        """Return what those are told who come while the chat is closed."""
        return Maintenance(
            reason=self.maintenance or "", retry_after=limits.MAINTENANCE_RETRY_SECONDS
        )

    def _close(self, peer: Peer, code: str, text: str) -> None:
        try:
            peer.flush()
            peer.wire.close(code, text)
        except Exception:  # noqa: BLE001 - the other connections of an ended session close too
            self._cut(peer)
        self.detach(peer)

    # -- what is said

    def publish(
        self, room: RoomId, frame: bytes, author: Peer | None = None, answer: bytes = b""
    ) -> None:
        """Send a frame to all in a room; the author's connection gets ``answer`` in its place.

        The answer travels with the event so that on every connection the room's events and the
        replies that carry sequence numbers keep the room's order.
        """
        channel = self.channels.get(room)
        if channel is None:
            if author is not None and answer:
                author.push(answer)
            return
        frames = channel.frames
        if not frames:
            if self._fanout is not None and not self._dirty_channels:
                self._fanout.start()
            self._dirty_channels.append(channel)
            self._wake()
        if author is not None:
            own = channel.authors.get(author)
            if own is None:
                channel.authors[author] = [(len(frames), answer)]
            else:
                own.append((len(frames), answer))
        frames.append(frame)

    def tell(self, user: UserId, frame: bytes, but: Peer | None = None) -> None:
        """Send a frame to all live connections of a user."""
        person = self.people.get(user)
        if person is not None:
            for peer in person.peers:
                if peer is not but:
                    peer.push(frame)

    def tell_device(self, user: UserId, device: DeviceId, frame: bytes) -> int:
        """Send a frame to the live connections of one device of a user; return how many those are."""
        meant = [
            peer
            for peer in self.peers_of(user)
            if peer.session is not None and peer.session.device == device
        ]
        for peer in meant:
            peer.push(frame)
        return len(meant)

    def tell_gap(self, peer: Peer, rooms: Collection[int]) -> None:
        """Tell a connection that it has missed events of these rooms, unless it has left them."""
        if rooms:
            peer.push(self._gap_frame(rooms))

    # -- once per turn

    def wake(self, peer: Peer) -> None:
        """Note that a connection has bytes to send this turn."""
        self._dirty_peers.append(peer)
        self._wake()

    def flush(self) -> None:
        """Send everything that has been said this turn: one write per connection."""
        channels, self._dirty_channels = self._dirty_channels, []
        try:
            for channel in channels:
                self._spread(channel)
        finally:
            # Only now: what is spread here goes out below and needs no turn of its own.
            self._scheduled = False
        peers, self._dirty_peers = self._dirty_peers, []
        for peer in peers:
            try:
                peer.flush()
            except Exception:  # noqa: BLE001 - nobody else's words are held up by one broken wire
                self._cut(peer)
        if channels and self._fanout is not None:
            self._fanout.stop()

    def _cut(self, peer: Peer) -> None:
        """End a connection whose wire has just failed, so that nothing of it is left half open.

        In a turn of its own: who fails now is in the middle of something that others are part of.
        """
        self.log.failure("a connection could not be written to")
        self._schedule(partial(self._end, peer))

    def _end(self, peer: Peer) -> None:
        self.detach(peer)
        peer.wire.abort()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)

    def _spread(self, channel: Channel) -> None:
        frames, authors = channel.frames, channel.authors
        if not frames:
            return
        channel.frames, channel.authors = [], {}
        room, peers = channel.room, channel.peers
        # Encoded once, joined once: connections that wrote nothing this turn share one object.
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        size, dirty = len(data), self._dirty_peers
        for author, answers in authors.items():
            inside = author in peers and author.keeps_up(size, room)
            try:
                self._spread_to_author(author, answers, frames if inside else ())
            except Exception:  # noqa: BLE001 - as in flush
                self._cut(author)
        for peer in peers:
            if peer in authors or (
                (peer.blocked or peer.gap is not None) and not peer.keeps_up(size, room)
            ):
                continue
            # Peer.push, spelt out: this loop is most of what a delivery costs.
            peer.outbox.append(data)
            peer.outbox_bytes += size
            if not peer.dirty:
                peer.dirty = True
                dirty.append(peer)
        if dirty:
            self._wake()

    def _spread_to_author(
        self, author: Peer, answers: list[tuple[int, bytes]], frames: Sequence[bytes]
    ) -> None:
        """Send the others' frames with the answers in the places of the author's own."""
        if not frames:
            for _, answer in answers:
                author.push(answer)
            return
        # Only references are copied here: joined in the flush, one connection after the other, all
        # copies of a busy room use the same memory.
        mixed = list(frames)
        for place, answer in answers:
            mixed[place] = answer
        author.push_all(mixed)

    def _enter(self, peer: Peer, room: RoomId) -> Channel:
        channel = self.channels.get(room)
        if channel is None:
            channel = self.channels[room] = Channel(room)
        # What was said before belongs to those who were there; the newcomer reads it as history.
        self._spread(channel)
        channel.peers[peer] = None
        return channel

    def _drop(self, peer: Peer, channel: Channel) -> None:
        del channel.peers[peer]
        if not channel.peers:
            del self.channels[channel.room]
