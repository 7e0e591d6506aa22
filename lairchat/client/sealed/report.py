"""What ``lair doctor`` says of this device: its identity, pins, key packages, and each room's group.

From the store alone: neither the network nor the screen is asked, and no name of a room is told.
"""

from typing import NamedTuple

from lairchat.client.sealed.device import WORDS
from lairchat.client.sealed.directs import is_same_person
from lairchat.client.store import Store
from lairchat.e2ee.room import Room
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.trust.locks import Cause, Hold, holds
from lairchat.trust.log import shown_name
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.policy import Kind

OK, NOTE, FAIL = "ok", "note", "FAIL"
LAST_RESORT = "last resort used"
"""The fact that a welcome used the key package of last resort while others were there."""
_SUITE = "X-Wing (ML-KEM-768 and X25519), AES-256-GCM, SHA-384, Ed25519"
_SURENESS = {
    Sureness.COMPARED: "compared",
    Sureness.LINK: "by their link",
    Sureness.FIRST_SIGHT: "as first seen",
}


class Line(NamedTuple):
    """How it stands, what was looked at, what was seen."""

    mark: str
    what: str
    text: str


def report(store: Store, now_ms: int) -> list[Line]:
    """Return what there is to say of a store."""
    lines = [
        _device(store),
        *_devices(store),
        *_words(store),
        *_packages(store),
        *_pins(store.people.pins()),
    ]
    rooms = [room for number in store.rooms() if (room := store.room(number)) is not None]
    lines.append(Line(OK, "suite", f"{_SUITE}; {HYBRID.id:#06x}, {len(rooms)} encrypted rooms"))
    pins = store.people.pins()
    return [*lines, *(_room(store, room, pins, now_ms) for room in rooms)]


def _device(store: Store) -> Line:
    own = store.people.own()
    if own is None:
        return Line(NOTE, "device", "none of the account's yet: lair, then /link")
    log = store.people.logs.get(own.identity.account)
    found = None if log is None else log.device(own.identity.device)
    name = own.identity.device.hex()[:8]
    if log is None or found is None:
        return Line(NOTE, "device", f"{name} is not certified yet: lair, then /link")
    if found.revoked is not None:
        return Line(
            FAIL, "device", f"{name} is revoked: link it anew with another account's device"
        )
    others = len(log.in_force) - 1
    return Line(OK, "device", f"{name}, certified by entry {found.position}, {others} others")


def _devices(store: Store) -> list[Line]:
    own = store.people.own()
    log = None if own is None else store.people.logs.get(own.identity.account)
    if log is None:
        return []
    named = [f"{shown_name(one.body)} ({one.body.id.hex()[:8]})" for one in log.in_force]
    gone = sum(one.revoked is not None for one in log.devices)
    lines = [Line(OK, "devices", f"{', '.join(named)}; {gone} revoked")]
    if log.exposed:
        text = "a revoked device could still certify others: type /recover with your words"
        lines.append(Line(NOTE, "devices", text))
    return lines


def _words(store: Store) -> list[Line]:
    if store.marks.fact(WORDS) is None:
        return []
    return [Line(NOTE, "words", "your recovery words are not written down yet: lair shows them")]


def _packages(store: Store) -> list[Line]:
    one_time = store.keys.one_time()
    mark = OK if one_time >= limits.KEY_PACKAGES_LOW else NOTE
    lines = [
        Line(mark, "key packages", f"{one_time} of {limits.KEY_PACKAGES} here for one use each")
    ]
    if store.marks.fact(LAST_RESORT) is not None:
        text = (
            "somebody was given the one of last resort though others were there: ask the operator"
        )
        lines.append(Line(NOTE, "last resort", text))
    return lines


def _pins(pins: dict[str, Pin]) -> list[Line]:
    counts = {one: sum(pin.sureness is one for pin in pins.values()) for one in _SURENESS}
    told = ", ".join(f"{count} {_SURENESS[one]}" for one, count in counts.items() if count)
    lines = [Line(OK, "pins", told or "nobody has been seen yet")]
    changed = sorted(pin.name for pin in pins.values() if pin.changed is not None)
    if changed:
        text = f"another identity is shown for {', '.join(changed)}: /verify or /trust them"
        lines.append(Line(NOTE, "pins", text))
    return lines


def _room(store: Store, room: Room, pins: dict[str, Pin], now_ms: int) -> Line:
    people = {one.account for one in room.members}
    days = (now_ms - room.renewed_at) // (1000 * limits.DAY) if room.renewed_at else None
    keys = "own keys not renewed yet" if days is None else f"own keys {days} days old"
    kind = "direct" if room.policy.kind == Kind.DIRECT else "private"
    text = (
        f"{kind}, epoch {room.group.context.epoch}, {len(room.members)} devices of"
        f" {len(people)} people, {keys}, suite {room.group.context.cipher_suite:#06x}"
    )
    what = f"room {room.room}"
    if room.behind is not None:
        return Line(NOTE, what, f"{text}; behind: {room.behind}")
    later = _later(store, room, pins)
    if later is not None:
        return Line(NOTE, what, f"{text}; over: room {later} has come in its place")
    held = _held(store, room, pins)
    if held:
        return Line(FAIL, what, f"{text}; held: {', '.join(one.cause.value for one in held)}")
    if room.group.context.cipher_suite != HYBRID.id:
        return Line(FAIL, what, f"{text}; that is not the suite of this program")
    return Line(OK, what, text)


def _later(store: Store, room: Room, pins: dict[str, Pin]) -> int | None:
    """Return the direct conversation that has come in the place of one; None if none has."""
    logs, group = store.people.logs, room.group.context.group_id
    for found in map(store.room, store.rooms()):
        if found is None or found.policy.before != group or room.policy.kind != Kind.DIRECT:
            continue
        if is_same_person(room, found, lambda account: logs[account].genesis.name, pins):
            return found.room
    return None


def _held(store: Store, room: Room, pins: dict[str, Pin]) -> list[Hold]:
    logs = store.people.logs
    names = {logs[one.account].genesis.name for one in room.members if one.account in logs}
    held = [*store.people.holds(room.room)]
    held += holds(Kind(room.policy.kind), [pins[name] for name in sorted(names) if name in pins])
    if room.halted is not None:
        held.append(Hold(Cause.COMMIT_REFUSED))
    return held
