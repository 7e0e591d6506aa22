"""Tells people who share a room when one of them comes or goes.

Presence is of the moment: it is not stored, and what a slow connection misses it is not told later;
``room.members`` says at any time who is here.
"""

from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from lairchat.core.feature import Feature
from lairchat.core.hub import Hub, Person
from lairchat.core.kernel import Kernel, event_frame
from lairchat.core.peer import Peer
from lairchat.features.presence import messages, rules
from lairchat.model import limits
from lairchat.model.ids import RoomId, UserId


class Change(NamedTuple):
    """Somebody came or went; ``rooms`` are those left behind, none while online."""

    user: UserId
    name: str
    online: bool
    rooms: tuple[RoomId, ...]


class Listeners(NamedTuple):
    """What makes connections hear the same: the rooms with news, and which news is their own."""

    rooms: tuple[RoomId, ...]
    own: UserId | None


class PresenceService(Service):
    """Collects the changes that the hub reports and spreads them at once."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._hub: Hub | None = None
        self._changes: dict[UserId, Change] = {}
        self._due: IDelayedCall | None = None

    def listen(self, kernel: Kernel) -> None:
        """Hear of changes from now on."""
        self._hub = kernel.hub
        kernel.hub.presence_changed = self.changed

    def stopService(self) -> None:
        """Say nothing more: when a server stops, everybody goes."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._changes.clear()
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._hub is not None:
            self._hub.presence_changed = None

    def changed(self, user: UserId, person: Person, online: bool) -> None:
        """Note that somebody's first connection came, or the last one is gone.

        Who comes back within the time of collecting is told as here: somebody may have looked in
        between.
        """
        # Of one who is gone the hub knows no rooms any more.
        rooms = () if online else tuple(person.rooms)
        self._changes[user] = Change(user, person.name, online, rooms)
        if self._due is None:
            self._due = self._clock.callLater(rules.COALESCE_SECONDS, self._tell)

    def _tell(self) -> None:
        self._due = None
        changes, self._changes = self._changes, {}
        assert self._hub is not None
        news = news_by_room(self._hub, changes)
        for listeners, peers in group(self._hub, news, changes).items():
            people = {
                change.user: messages.Presence(change.user, change.name, change.online)
                for room in listeners.rooms
                for change in news[room]
                if change.user != listeners.own
            }
            frame = b"".join(
                event_frame(messages.PRESENCE.name, messages.PresenceChanges(list(part)))
                for part in rules.parts(list(people.values()))
            )
            if frame:
                for peer in peers:
                    peer.push(frame)


def news_by_room(hub: Hub, changes: dict[UserId, Change]) -> dict[RoomId, list[Change]]:
    """Sort changes into the rooms in which they are told."""
    news: dict[RoomId, list[Change]] = {}
    for change in changes.values():
        for room in hub.people[change.user].rooms if change.online else change.rooms:
            channel = hub.channels.get(room)
            if channel is not None and len(channel.peers) <= rules.ROOM_CONNECTIONS:
                news.setdefault(room, []).append(change)
    return news


def group(
    hub: Hub, news: dict[RoomId, list[Change]], changes: dict[UserId, Change]
) -> dict[Listeners, list[Peer]]:
    """Group the connections that are to hear the same, so that it is encoded once."""
    heard: dict[Peer, list[RoomId]] = {}
    for room in news:
        for peer in hub.channels[room].peers:
            if not falls_behind(peer):
                heard.setdefault(peer, []).append(room)
    groups: dict[Listeners, list[Peer]] = {}
    for peer, rooms in heard.items():
        assert peer.session is not None
        user = peer.session.user
        listeners = Listeners(tuple(rooms), user if user in changes else None)
        groups.setdefault(listeners, []).append(peer)
    return groups


def falls_behind(peer: Peer) -> bool:
    """Say whether a connection does not read: presence is not worth memory then."""
    return peer.gap is not None or peer.outbox_bytes > limits.OUTBOX_BYTES


def make(clock: IReactorTime) -> Feature:
    """Build the feature."""
    service = PresenceService(clock)
    return Feature(
        name="presence",
        events=messages.EVENTS,
        services=(service,),
        composed=service.listen,
    )
