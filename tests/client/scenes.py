"""A client without terminal and network, and the scenes that the golden screens show."""

import time
from typing import Any

import segno

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.canvas import Canvas
from lairchat.client.state import AppState, Room
from lairchat.client.update import update
from lairchat.client.view import view

NOON = 1_795_348_800_000  # Sunday, 22 November 2026, 12:00 UTC
MINUTE = 60_000
WORDS = "amber otter canyon seven willow brick"
FINGERPRINT = ":".join(
    "7F2A910C55E1883B40D2A6E91C77B5D47F2A910C55E1883B40D2A6E91C77B5D4"[n : n + 2]
    for n in range(0, 64, 2)
)


class Person:
    """Somebody at a client: types, and the link tells things; effects are collected."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.state = AppState(width, height)
        self.state.local_time = time.gmtime
        self.did: list[e.Effect] = []
        self.tick(NOON)

    def link(self, *events: i.Input) -> list[e.Effect]:
        """Hand in events; returns what they caused."""
        caused: list[e.Effect] = []
        for event in events:
            caused += update(self.state, event)
        self.did += caused
        return caused

    def tick(self, now: int) -> None:
        self.link(i.Tick(now))

    def wait(self, ms: int = 1_000) -> None:
        self.tick(self.state.now + ms)

    def types(self, text: str) -> list[e.Effect]:
        return self.link(i.Text(text))

    def key(self, *names: str) -> list[e.Effect]:
        return self.link(*(i.Key(name) for name in names))

    def enter(self, text: str) -> list[e.Effect]:
        """Type a line and press Enter."""
        return self.types(text) + self.key("enter")

    @property
    def room(self) -> Room:
        return self.state.room

    @property
    def input(self) -> str:
        return self.state.room.editor.text

    @property
    def note(self) -> str:
        return self.state.note.text if self.state.note is not None else ""

    def canvas(self, width: int | None = None, height: int | None = None) -> Canvas:
        if width is not None and height is not None:
            self.link(i.Resize(width, height))
        return view(self.state, self.state.width, self.state.height)

    def screen(self, width: int | None = None, height: int | None = None) -> str:
        """Return the page as text."""
        return "\n".join(self.canvas(width, height).lines())

    def sent(self) -> list[str]:
        return [one.text for one in self.did if isinstance(one, e.Send)]

    def last(self, kind: Any) -> Any:
        """Return the last effect of a class."""
        return [one for one in self.did if isinstance(one, kind)][-1]


def said(seq: int, minutes: float, sender: str, text: str, kind: str = "text") -> i.Message:
    return i.Message(seq, NOON + int(minutes * MINUTE), sender, text, kind)


ATTIC = i.RoomInfo(
    7, "attic", topic="the attic, keep calm", members=14, here=6, unread=4, read_seq=94, head_seq=98
)
ROOMS = (
    ATTIC,
    i.RoomInfo(2, "random", unread=12, head_seq=12),
    i.RoomInfo(3, "ops", unread=2, mentions=1, head_seq=2),
    i.RoomInfo(4, "tor"),
    i.RoomInfo(5, "bob", direct=True, unread=1, head_seq=1),
    i.RoomInfo(6, "alice", direct=True),
    i.RoomInfo(9, "carol", direct=True),
)
TALK = (
    said(90, -2, "alice", "deploy finished, see https://example.org/run/42"),
    said(91, 1, "bob", "can you check the backup job?"),
    said(
        92,
        2,
        "carol",
        "the nightly one? I moved it to 03:00 because of the vacuum job that runs at 02:30.",
    ),
    said(93, 3, "carol", "```sql\n  SELECT count(*) FROM messages WHERE room = 7;\n```"),
    said(94, 3, "", "dave joined (device 2)", "state"),
    said(95, 5, "alice", "@you please approve room invite for eve"),
    said(96, 5, "bob", "thanks!"),
    said(97, 6, "carol", "waves", "action"),
    said(98, 6, "carol", "report.pdf is in the usual place"),
)
MEMBERS = (
    i.Member("alice", "admin", True),
    i.Member("bob", "moderator", True),
    i.Member("carol", "member", True),
    i.Member("dave"),
    i.Member("you", "owner", True),
)


def connected(width: int = 80, height: int = 24) -> Person:
    """Return a client that is online and in no room yet."""
    person = Person(width, height)
    person.link(
        i.Connecting("lair.example", 7023),
        i.Connected(),
        i.HelloReceived(WORDS, FINGERPRINT, True, "0.1.0"),
        i.LoggedIn("you", 1),
        i.Latency(12),
    )
    return person


def in_lobby(width: int = 80, height: int = 24) -> Person:
    """Return a client in an empty #lobby."""
    person = connected(width, height)
    person.link(
        i.RoomsSynced((i.RoomInfo(1, "lobby", members=2, here=2),)),
        i.HistoryPage(1, (), older=False, replace=True),
    )
    person.did.clear()
    return person


def attic(width: int = 80, height: int = 24) -> Person:
    """Return the scene of ux.md's pictures, as far as its features exist."""
    person = connected(width, height)
    person.state.wanted = "#attic"
    person.link(
        i.RoomsSynced(ROOMS),
        i.HistoryPage(7, TALK, older=False, replace=True),
        i.MembersListed(7, MEMBERS),
        i.RoomChanged(7, members=14, here=6),
        i.Tick(NOON + 6 * MINUTE),
    )
    person.enter("on it")
    person.link(i.SendAcknowledged(person.did[-1].ticket, 99, NOON + 6 * MINUTE))
    person.did.clear()
    return person


def starting(width: int = 80, height: int = 24) -> Person:
    """Return a client before anything is connected, with something typed already."""
    person = Person(width, height)
    person.state.server = "lair.example"
    person.types("typed while imports run")
    return person


def trusting(width: int = 80, height: int = 24) -> Person:
    """Return the question about a server never seen before."""
    person = Person(width, height)
    person.link(
        i.Connecting("chat.example.org", 7023),
        i.TrustQuestion("chat.example.org", 7023, WORDS, FINGERPRINT),
    )
    person.wait()
    return person


def registering(width: int = 80, height: int = 24) -> Person:
    """Return the account form behind it, with a password typed."""
    person = trusting(width, height)
    person.types("t")
    person.link(
        i.Connected(),
        i.AccountNeeded("chat.example.org", "register", "", "K7QF2M9D"),
    )
    person.wait()
    person.types("alice")
    person.key("enter")
    person.types("correct horse battery")
    return person


def offline(width: int = 80, height: int = 24) -> Person:
    """Return a lost connection, with a message queued and one refused."""
    person = attic(width, height)
    person.enter("who may write here?")
    person.link(
        i.SendRefused(
            person.did[-1].ticket,
            "LC-ROOM-POSTING",
            "only moderators may write in #attic. Ask one of them: /names",
        ),
        i.Disconnected("LC-NET-LOST", "the connection to lair.example was lost", 4.0),
    )
    person.enter("see you when it is back")
    person.wait(13_000)
    person.link(i.Disconnected("LC-NET-LOST", "the connection to lair.example was lost", 4.0))
    return person


def helping(width: int = 80, height: int = 24) -> Person:
    """Return the help."""
    person = attic(width, height)
    person.key("f1")
    return person


def switching(width: int = 80, height: int = 24) -> Person:
    """Return the quick switcher."""
    person = attic(width, height)
    person.key("ctrl-t")
    person.types("o")
    return person


def drafting(width: int = 80, height: int = 24) -> Person:
    """Return a message of several lines."""
    person = attic(width, height)
    person.types("two line message, Alt-Enter made this break:")
    person.key("alt-enter")
    person.types("second line")
    return person


def quitting(width: int = 80, height: int = 24) -> Person:
    """Return the question behind the second Ctrl-C."""
    person = attic(width, height)
    person.types("never mind")
    person.key("ctrl-c", "ctrl-c")
    return person


def changed(width: int = 80, height: int = 24) -> Person:
    """Return the hard stop on a changed identity."""
    person = Person(width, height)
    person.link(
        i.Connecting("chat.example.org", 7023),
        i.IdentityChanged(WORDS, "delta plum " + WORDS[12:], FINGERPRINT, FINGERPRINT[::-1]),
    )
    person.wait()
    return person


def people(width: int = 80, height: int = 24) -> Person:
    """Return the members in place of the text, or beside it."""
    person = attic(width, height)
    if width < 100:
        person.key("alt-n")
    return person


def selecting(width: int = 80, height: int = 24) -> Person:
    """Return a refused message that is selected."""
    person = offline(width, height)
    person.key("ctrl-up", "ctrl-up")
    return person


# -- encrypted rooms -----------------------------------------------------------------------------------

RECOVERY = (
    "crouch", "lumber", "velvet", "amazing", "orbit", "puzzle",
    "silent", "harvest", "cabin", "whisper", "early", "noodle",
)  # fmt: skip
NUMBER = tuple(f"{n * 13_577 % 100_000:05}" for n in range(1, 13))
OTHER_NUMBER = (*NUMBER[:6], *(f"{n * 7_919 % 100_000:05}" for n in range(6, 12)))
SEVEN = ("dog", "guitar", "anchor", "rocket", "key", "moon", "pin")
HELD = (
    "bob's identity changed since 3 Nov. Usual reason: reinstalled without recovery words. "
    "/verify bob compares anew, /trust bob shows what is known"
)


def qr(version: int = 4) -> tuple[str, ...]:
    """Return a QR code as the link hands it over: rows of 0 and 1 without a margin."""
    code = segno.make(bytes(range(68)), version=version, error="l", boost_error=False, micro=False)
    return tuple("".join(str(int(module)) for module in row) for row in code.matrix)


def secret(width: int = 80, height: int = 24) -> Person:
    """Return an encrypted room, with what only those have: an edit, reactions, somebody who types."""
    person = attic(width, height)
    first, *middle = TALK
    edited = i.Message(96, middle[5].at, "bob", "thanks!", edited=1)
    reactions = (("+1", 2, True), (":tada:", 1, False))
    person.link(
        i.RoomChanged(7, label="E2E+"),
        i.RoomChanged(6, label="E2E"),
        i.RoomChanged(9, label="E2E?"),
        s.MessageChanged(7, i.Message(90, first.at, "alice", first.text, reactions=reactions)),
        s.MessageChanged(7, edited),
        s.Invited("carol"),
        s.SomebodyTypes(7, "alice", True),
    )
    person.state.note = None
    return person


def held(width: int = 80, height: int = 24) -> Person:
    """Return a room that is held, with a message that was typed for it."""
    person = attic(width, height)
    person.link(i.RoomChanged(7, label="E2E!", hold=HELD))
    person.types("this waits")
    return person


def recovering(width: int = 80, height: int = 24) -> Person:
    """Return the recovery words after registration."""
    person = in_lobby(width, height)
    person.link(s.RecoveryWords(RECOVERY))
    person.wait()
    return person


def unlocking(width: int = 80, height: int = 24) -> Person:
    """Return the form for the store's password, after a wrong one."""
    person = in_lobby(width, height)
    person.link(s.StoreLocked())
    person.wait()
    person.types("correct horse")
    person.key("enter")
    person.link(s.StoreLocked("LC-STORE-PASSWORD", "this is not the password of this device"))
    person.types("correct horse battery")
    return person


def linking(width: int = 80, height: int = 24) -> Person:
    """Return what a new device can do."""
    person = in_lobby(width, height)
    person.link(s.DeviceUnlinked(("laptop", "phone")))
    person.wait()
    return person


def wording(width: int = 80, height: int = 24) -> Person:
    """Return the form for the recovery words."""
    person = linking(width, height)
    person.types("w")
    person.types(" ".join(RECOVERY))
    person.key("f2")
    return person


def verifying(width: int = 80, height: int = 24) -> Person:
    """Return the seven words and three numbers."""
    person = attic(width, height)
    (ask,) = person.enter("/verify bob")
    person.link(s.Comparing(1, "bob", ref=ask.ref))
    person.link(s.Comparing(1, "bob", words=SEVEN, numbers=("4071", "8836", "1502")))
    person.wait()
    return person


def identity(width: int = 80, height: int = 24) -> Person:
    """Return a safety number, with its QR code where that fits."""
    person = attic(width, height)
    person.state.blocks = True
    (ask,) = person.enter("/fingerprint bob")
    person.link(
        s.IdentityShown(
            "bob", "first sight", NUMBER, qr(), devices=("laptop", "phone"), ref=ask.ref
        )
    )
    person.key("alt-end")
    return person


def identities(width: int = 80, height: int = 24) -> Person:
    """Return an identity that changed."""
    person = attic(width, height)
    (ask,) = person.enter("/trust bob")
    person.link(s.IdentityShown("bob", "compared", NUMBER, qr(), OTHER_NUMBER, ref=ask.ref))
    return person


def readme() -> Person:
    """Return the picture in the README: a private room, as its members see it."""
    person = Person()
    talk = (
        i.Message(2, NOON, "", "alice added bob", "state"),
        i.Message(3, NOON + MINUTE, "", "alice added carol", "state"),
        said(4, 2, "you", "deploy finished, see https://example.org/run/42"),
        said(5, 3, "bob", "can you check the backup job?"),
        said(6, 4, "carol", TALK[2].text),
        said(7, 6, "bob", "ah, that explains it. thanks!"),
        said(8, 7, "you", "I will move it back after the upgrade"),
        said(9, 7, "carol", "perfect"),
    )
    attic = i.RoomInfo(
        7,
        "attic",
        topic="deploys and alarms",
        members=3,
        here=3,
        read_seq=9,
        head_seq=9,
        label="E2E",
    )
    bob = i.RoomInfo(5, "bob", direct=True, unread=1, head_seq=1, label="E2E+")
    person.state.wanted = "#attic"
    person.link(
        i.Connecting("lair.example", 7023),
        i.Connected(),
        i.HelloReceived(WORDS, FINGERPRINT, True, "0.1.0"),
        i.LoggedIn("you", 1),
        i.Latency(6),
        i.RoomsSynced((i.RoomInfo(1, "lobby"), attic, bob)),
        i.HistoryPage(7, talk, older=False, replace=True),
        i.Tick(NOON + 8 * MINUTE),
    )
    person.types("now writing")
    return person


SCENES = {
    scene.__name__: scene
    for scene in (
        attic,
        changed,
        drafting,
        held,
        helping,
        identities,
        identity,
        in_lobby,
        linking,
        offline,
        people,
        quitting,
        recovering,
        registering,
        secret,
        selecting,
        starting,
        switching,
        trusting,
        unlocking,
        verifying,
        wording,
    )
}
SIZES = ((40, 12), (80, 24), (120, 40), (200, 60))
