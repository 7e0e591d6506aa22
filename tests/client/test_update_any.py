"""Any sequence of inputs at any size: no exception, no lost text, always a key hint on the screen.

Targets 9 (no crash at any size), 12 (silent loss of typed text: none) and 18 (discoverability).
"""

import copy
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client import markup
from lairchat.client.commands import COMMANDS
from lairchat.client.dialogs import Form
from lairchat.client.editor import Editor
from lairchat.client.keymap import BINDINGS, PREFIXED, SELECTION
from tests.client.scenes import (
    FINGERPRINT,
    NOON,
    NUMBER,
    RECOVERY,
    SCENES,
    SEVEN,
    WORDS,
    Person,
    in_lobby,
    qr,
    registering,
)

EXAMPLES = int(os.environ.get("LAIR_EXAMPLES", "60"))

keys = st.sampled_from(
    sorted(
        {key for one in BINDINGS for key in one.keys} | {"alt-9", "f9", "ctrl-g", "esc", "enter"}
    )
)
letters = st.sampled_from([*PREFIXED, *(key for key, _, _ in SELECTION), *"yntqfdwa "])
words = st.sampled_from(
    [
        "hello", "/join #lobby", "/join x y", "/leave", "/msg bob hi", "/kick", "/topic a b", "/me waves",
        "//slash", " /quit", "/nonsense", "/", "@al", "#lo", "/goto #5", "/goto 2026-11-22", "/goto top",
        "/history 5", "/clear", "/set bell off", "/set", "/layout rooms", "/whois bob", "/status", "/help",
        "/help join", "/debug", "/names", "/members", "/new x private", "/invite", "/role bob admin",
        "+:tada:", "+1", "/react +1 #5", "/reply #5 yes", "/thread #5 yes", "/thread #5", "/poll a | b | c", "/vote 1 #5", "/edit #5 other", "/delete #5", "/search a #ops", "/code off", "/unlock",
        "/link", "/trust bob", "/accept", "/succeed", "/refound", "/revoke x lost", " ".join(RECOVERY),
        "/password", "/logout all", "/rooms", "\u65e5\u672c\U0001f468\u200d\U0001f469", "e\u0301", "x" * 5_000, "\x1b[31m", "\ud800",
        *(one.example for one in COMMANDS),
    ]
)  # fmt: skip
room_ids = st.integers(1, 4)
small = st.integers(0, 12)
wild = st.text(max_size=12)
names = st.sampled_from(["alice", "bob", "you", "eve\x1b[2J", ""])


labels = st.sampled_from(["PLAIN", "E2E", "E2E+", "E2E!", "E2E?", "other"])
numbers = st.integers(1, 4)
wilds = st.lists(wild, max_size=3).map(tuple)


def infos() -> st.SearchStrategy[i.RoomInfo]:
    return st.builds(
        i.RoomInfo,
        room_ids,
        st.sampled_from(["lobby", "ops", "bob", "x" * 40, "\u65e5\u672c"]),
        direct=st.booleans(),
        topic=wild,
        unread=small,
        mentions=st.integers(0, 2),
        members=small,
        read_seq=small,
        head_seq=small,
        access=st.sampled_from(["public", "private"]),
        label=labels,
        hold=st.sampled_from(["", "bob's identity changed. /verify bob"]) | wild,
    )


def messages() -> st.SearchStrategy[i.Message]:
    return st.builds(
        i.Message,
        st.integers(1, 30),
        st.integers(0, 400).map(lambda n: NOON + n * 1_000_000),
        names,
        st.one_of(wild, st.just("@you come here"), st.just("long " * 40)),
        kind=st.sampled_from(["text", "action", "state", "gone", "strange"]),
        ticket=st.integers(0, 6),
        edited=st.integers(0, 2),
        reactions=st.lists(
            st.tuples(st.sampled_from(["+1", ":tada:"]) | wild, small, st.booleans()), max_size=3
        ).map(tuple),
        reply=st.none() | st.tuples(small, names, wild),
        thread=st.none() | st.tuples(small, names, wild),
    )


sealed_events: st.SearchStrategy[i.Input] = st.one_of(
    st.builds(s.RecoveryWords, st.just(RECOVERY) | wilds),
    st.builds(s.StoreLocked, st.sampled_from(["", "LC-STORE-PASSWORD"]), wild),
    st.just(s.StoreOpened()),
    st.builds(s.DeviceUnlinked, wilds),
    st.builds(s.DeviceLinked, small),
    st.builds(
        s.DevicesListed,
        st.lists(
            st.builds(s.Device, wild, wild, st.integers(-1, 2**63), st.booleans(), st.booleans()),
            max_size=3,
        ).map(tuple),
        small,
    ),
    st.builds(s.ComparisonAsked, numbers, names, st.booleans()),
    st.builds(
        s.Comparing, numbers, names, st.booleans(), st.just(()) | st.just(SEVEN) | wilds, wilds, small
    ),
    st.builds(s.ComparisonEnded, numbers, st.booleans(), wild, st.booleans()),
    st.builds(
        s.IdentityShown, names, wild, st.just(NUMBER) | wilds, st.just(qr()) | wilds, st.just(()) | wilds, wilds, small
    ),
    st.builds(s.NewcomersListed, room_ids, wilds, small),
    st.builds(s.Invited, names | wild),
    st.builds(
        s.InvitesListed,
        st.lists(st.builds(s.Invite, names, st.integers(-1, 2**63)), max_size=3).map(tuple),
        small,
    ),
    st.builds(s.CodeMade, wild, wild, small),
    st.builds(s.MessageChanged, room_ids, messages()),
    st.builds(s.MessagesGone, room_ids, st.lists(st.integers(1, 30), max_size=20).map(tuple)),
    st.builds(s.SomebodyTypes, room_ids, names | wild, st.booleans()),
    st.builds(s.Found, st.lists(st.tuples(room_ids, messages()), max_size=4).map(tuple), small),
)  # fmt: skip

events: st.SearchStrategy[i.Input] = st.one_of(
    st.builds(i.Key, keys),
    st.builds(i.Text, st.one_of(words, letters, wild)),
    st.just(i.Key("enter")),
    st.builds(i.Paste, st.one_of(words, wild, st.just("a\nb\nc"))),
    st.builds(i.Resize, st.integers(1, 130), st.integers(1, 40)),
    st.builds(i.Focus, st.booleans()),
    st.builds(i.Tick, st.integers(0, 10**7).map(lambda n: NOON + n)),
    st.builds(i.Connecting, st.just("lair.example"), st.just(7023)),
    st.builds(i.Connected),
    st.builds(i.HelloReceived, st.just(WORDS), st.just(FINGERPRINT)),
    st.builds(i.Disconnected, wild, wild, st.floats(0, 20)),
    st.builds(i.Halted, wild, wild),
    st.builds(i.IdentityChanged, wild, wild, wild, wild),
    st.builds(i.Latency, small),
    st.builds(i.TrustQuestion, st.just("lair.example"), st.just(7023), wild, wild),
    st.builds(
        i.AccountNeeded,
        wild,
        mode=st.sampled_from(["login", "register"]),
        name=wild,
        registration=st.sampled_from(["open", "invite", "closed"]),
    ),
    st.builds(i.AccountRefused, wild, wild, st.sampled_from(["name", "password", "", "x"])),
    st.builds(i.LoggedIn, st.just("you"), st.just(1)),
    st.builds(i.LoggedOut, wild),
    st.builds(i.RoomsSynced, st.lists(infos(), max_size=4).map(tuple)),
    st.builds(i.RoomJoined, infos(), show=st.booleans(), ref=small),
    st.builds(i.RoomLeft, room_ids, wild, small),
    st.builds(i.RoomChanged, room_ids, name=wild, topic=st.none() | wild, members=st.none() | small),
    st.builds(i.RoomChanged, room_ids, label=labels, hold=wild),
    sealed_events,
    st.builds(
        i.MembersListed, room_ids, st.lists(st.builds(i.Member, names, wild, st.booleans()), max_size=9).map(tuple), small
    ),
    st.builds(i.PresenceChanged, names, st.booleans()),
    st.builds(i.RoomsListed, st.lists(st.builds(i.RoomListing, wild, wild, small), max_size=3).map(tuple), small),
    st.builds(i.InviteCreated, wild, wild, small),
    st.builds(i.MessageArrived, room_ids, messages()),
    st.builds(
        i.HistoryPage, room_ids, st.lists(messages(), max_size=9, unique_by=lambda m: m.seq).map(lambda m: tuple(sorted(m, key=lambda one: one.seq))),
        older=st.booleans(), newer=st.booleans(), replace=st.booleans(),
    ),
    st.builds(i.SendAcknowledged, small, st.integers(1, 30), st.just(NOON)),
    st.builds(i.SendRefused, small, wild, wild, st.none() | st.floats(0, 9)),
    st.builds(i.OutboxRestored, st.lists(st.builds(i.OutboxItem, st.integers(-3, -1), room_ids, wild, small, st.booleans(), wild), max_size=2).map(tuple)),
    st.builds(i.UnreadChanged, room_ids, small, small),
    st.builds(i.CursorMoved, room_ids, small, small),
    st.builds(i.CaughtUp, small),
    st.builds(i.CommandDone, small, wild),
    st.builds(i.CommandFailed, small, wild, wild),
    st.builds(i.Notice, wild, st.sampled_from(["", "LC-X"])),
    st.builds(i.SettingsLoaded, st.just((("bell", "off"), ("keys.f5", "help"), ("old", "1")))),
)  # fmt: skip


def healthy(person: Person) -> None:
    """Check what must hold after every input."""
    state = person.state
    canvas = person.canvas()
    assert len(canvas.rows) == state.height
    for line in canvas.lines():
        assert markup.width(line) == state.width
        assert all(c >= " " and not "\x7f" <= c <= "\x9f" for c in line)
    if canvas.cursor is not None:
        x, y = canvas.cursor
        assert 0 <= x < state.width
        assert 0 <= y < state.height
    for room in state.rooms.values():
        orders = [item.order for item in room.window.items]
        assert orders == sorted(orders)
        assert len(set(orders)) == len(orders)
    assert state.current is None or state.current in state.rooms
    if state.width >= 40 and state.height >= 12:
        page = "\n".join(canvas.lines())
        assert any(hint in page for hint in ("F1", "Esc", "q quit", "^X"))


class AnyInputs(RuleBasedStateMachine):
    """A client that anything happens to."""

    @initialize(scene=st.sampled_from(sorted(SCENES)))
    def begin(self, scene: str) -> None:
        self.person = SCENES[scene]()

    @rule(event=events)
    def happens(self, event: i.Input) -> None:
        before = self.person.state.quitting
        wanted = self.person.link(event)
        assert all(isinstance(one, e.Effect) for one in wanted)
        if any(isinstance(one, e.Quit) for one in wanted):
            assert self.person.state.quitting or before or isinstance(event, i.Text)

    @rule()
    def time_passes(self) -> None:
        self.person.wait()

    @invariant()
    def is_healthy(self) -> None:
        if hasattr(self, "person"):
            healthy(self.person)


TestAnyInputs = AnyInputs.TestCase
TestAnyInputs.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)


# -- target 12: any state x Enter: what was typed is sent, queued, or still there -------------------


def everywhere(person: Person) -> str:
    """Return all text that the client still has or handed on for keeping."""
    state = person.state
    editors = [room.editor for room in (*state.rooms.values(), state.console)]
    held = [editor.text for editor in editors]
    held += [way_back(editor) for editor in editors]
    held += state.history.entries
    held += [one.text for one in state.outbox]
    held += [one.text for one in person.did if isinstance(one, e.Send)]
    held += list(state.pending.values())
    held += [
        one.editor.text
        for dialog in state.dialogs
        if isinstance(dialog, Form)
        for one in dialog.fields
    ]
    held += [
        one.secret.reveal()
        for dialog in state.dialogs
        if isinstance(dialog, Form)
        for one in dialog.fields
    ]
    held += [dialog.editor.text for dialog in state.dialogs if hasattr(dialog, "editor")]
    return "\n".join(held)


def way_back(editor: Editor) -> str:
    """Return what Down brings back into an input once it is behind the newest entry of the history.

    Who is asked is a copy, as pressing the key is: the input stays at its entry.
    """
    walker = copy.copy(editor)
    walker.history, walker.kills = copy.deepcopy(editor.history), copy.deepcopy(editor.kills)
    while walker._recalled is not None:
        walker.recall_newer()
    return walker.text


typed_events = st.lists(events.filter(lambda one: not isinstance(one, i.LoggedOut)), max_size=12)


@settings(max_examples=EXAMPLES * 5, deadline=None)
@given(
    st.sampled_from(sorted(SCENES)),
    typed_events,
    st.sampled_from(["enter", "ctrl-c", "esc", "alt-enter", "ctrl-t"]),
    typed_events,
)
def test_typed_text_is_sent_queued_or_still_there(
    scene: str, before: list[i.Input], key: str, after: list[i.Input]
) -> None:
    person = SCENES[scene]()
    person.link(*before)
    if person.state.dialog is not None or person.state.prefix or person.state.selected is not None:
        return  # then letters are answers, not text
    person.types("zebra-7")
    person.key(key)
    assert "zebra-7" in everywhere(person)
    kept = [one for one in after if not _deletes(one)]
    person.link(*kept)
    assert "zebra-7" in everywhere(person)


def test_what_was_typed_before_going_back_in_the_history_is_found_again() -> None:
    """What the search found: neither in the input nor an entry, and a key away."""
    person = SCENES["attic"]()
    person.types("zebra-7")
    person.key("esc", "up")
    assert "zebra-7" not in person.input
    assert "zebra-7" in everywhere(person)
    person.key("down")
    assert person.input == "zebra-7"


def _deletes(event: i.Input) -> bool:
    """Tell whether an input may delete typed text on purpose."""
    if isinstance(event, i.Text | i.Paste):
        return True
    editing = {"kill", "back", "dele", "yank", "comp"}
    if isinstance(event, i.Key):
        return any(one.action[:4] in editing for one in BINDINGS if event.name in one.keys)
    return isinstance(
        event, i.MessageArrived | i.SendAcknowledged | s.MessagesGone | s.MessageChanged
    )


# -- a password that is being typed never becomes a message -----------------------------------------

reported = events.filter(lambda one: not isinstance(one, i.Key | i.Text | i.Paste | i.Tick))


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.none() | reported, st.integers(0, 250)), min_size=1, max_size=12),
)
def test_a_password_that_is_being_typed_is_not_sent(
    changes: bool, twice: bool, between: list[tuple[i.Input | None, int]]
) -> None:
    """Whatever is reported between two of its letters, and also when it is typed once more."""
    person = in_lobby() if changes else registering()
    if changes:
        person.enter("/password")
    if twice:
        person.types("correct horse battery")
        person.key("enter")
    for event, pause in between:
        person.types("p")
        if event is not None:
            person.link(event)
        person.wait(pause)
    person.key("enter")
    assert person.sent() == []


# -- what is on the screen stays there --------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(messages(), min_size=15, max_size=25, unique_by=lambda one: one.seq),
    st.lists(st.integers(1, 30), max_size=29, unique=True),
    st.integers(0, 3),
)
def test_messages_that_go_leave_the_last_visible_one_where_it_is(
    held: list[i.Message], gone: list[int], pages: int
) -> None:
    person = in_lobby(60, 10)
    ordered = tuple(sorted(held, key=lambda one: one.seq))
    person.link(i.HistoryPage(1, ordered, older=False, replace=True))
    person.key(*["pgup"] * pages)
    before = person.room.scroll
    person.link(s.MessagesGone(1, tuple(gone)))
    left = [item.order[0] for item in person.room.window.items]
    assert left == [one.seq for one in ordered if one.seq not in gone]
    after = person.room.scroll
    if before is None or after is None:
        assert before is None or not [seq for seq in left if seq <= before[0][0]]
    else:
        assert after[0][0] == max(seq for seq in left if seq <= before[0][0])
    healthy(person)
