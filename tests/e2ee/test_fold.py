"""What a room shows, and who may change what others said."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.fold import Key, Message, Named, Said, fold
from lairchat.e2ee.payload import (
    Delete,
    Edit,
    Known,
    Poll,
    React,
    Receipt,
    RoomState,
    Target,
    Text,
    Unknown,
    Vote,
)
from lairchat.model import limits
from lairchat.trust.policy import Kind, Role

ALICE, BOB, CAROL = b"a" * 32, b"b" * 32, b"c" * 32


def number(value: int) -> bytes:
    return value.to_bytes(16, "big")


class Room:
    """A room that keeps what its fold says, as a client's store does."""

    def __init__(self, kind: Kind = Kind.PRIVATE) -> None:
        self.kind = kind
        self.messages: dict[Key, Message] = {}
        self.seen: set[Key] = set()
        self.name = self.topic = ""
        self.seq = 0

    def say(
        self,
        author: bytes,
        body: Known | Unknown,
        id: int | None = None,  # noqa: A002
        role: Role = Role.MEMBER,
    ) -> Key:
        self.seq += 1
        key = author, number(self.seq if id is None else id)
        if key in self.seen:
            return key
        self.seen.add(key)
        said = Said(self.seq, author, b"d" * 16, role, key[1], self.seq, body)
        match fold(self.kind, said, self.messages.get):
            case Named(name, topic):
                self.name = self.name if name is None else name
                self.topic = self.topic if topic is None else topic
            case (changed, message):
                self.messages[changed] = message
        return key

    def text(self, key: Key) -> str | None:
        return self.messages[key].text


def target(key: Key) -> Target:
    return Target(*key)


def test_what_is_said_is_shown() -> None:
    room = Room()
    assert room.text(room.say(ALICE, Text("hello"))) == "hello"
    assert room.text(room.say(ALICE, Poll("lunch?", ["a", "b"]))) == "lunch?"
    assert room.text(room.say(ALICE, Unknown())) == ""


def test_a_repeat_is_shown_once_and_anothers_message_of_that_id_beside_it() -> None:
    room = Room()
    room.say(ALICE, Text("first"), id=1)
    room.say(ALICE, Text("again"), id=1)
    room.say(BOB, Text("mine"), id=1)
    assert [message.text for message in room.messages.values()] == ["first", "mine"]


def test_one_edits_ones_own_messages_only() -> None:
    room = Room()
    key = room.say(ALICE, Text("helo"), id=1)
    room.say(BOB, Edit(key[1], "forged"))
    assert room.text(key) == "helo"
    room.say(ALICE, Edit(key[1], "hello"))
    assert (room.text(key), room.messages[key].edited) == ("hello", 1)
    room.say(ALICE, Edit(number(99), "of nothing"))
    assert len(room.messages) == 1


def test_an_edit_of_what_is_no_text_is_dropped() -> None:
    room = Room()
    poll = room.say(ALICE, Poll("lunch?", ["a", "b"]))
    room.say(ALICE, Edit(poll[1], "dinner?"))
    assert room.text(poll) == "lunch?"


def test_one_deletes_ones_own_and_nothing_of_it_stays() -> None:
    room = Room()
    key = room.say(ALICE, Text("secret"))
    room.say(BOB, React(target(key), "\N{THUMBS UP SIGN}"))
    room.say(ALICE, Delete(target(key)))
    message = room.messages[key]
    assert (message.text, message.deleted_by, message.reactions) == (None, ALICE, {})
    assert "secret" not in repr(message)
    for change in (
        Edit(key[1], "back"),
        React(target(key), "\N{THUMBS UP SIGN}"),
        Delete(target(key)),
    ):
        room.say(ALICE, change)
        assert room.messages[key] == message


def test_a_moderator_deletes_what_those_below_said() -> None:
    room = Room()
    member = room.say(BOB, Text("spam"))
    moderator = room.say(CAROL, Text("fine"), role=Role.MODERATOR)
    room.say(BOB, Delete(target(moderator)))
    room.say(ALICE, Delete(target(moderator)), role=Role.MODERATOR)
    assert room.text(moderator) == "fine"
    room.say(CAROL, Delete(target(member)), role=Role.MODERATOR)
    assert room.messages[member].deleted_by == CAROL
    room.say(ALICE, Delete(target(moderator)), role=Role.ADMINISTRATOR)
    assert room.text(moderator) is None


def test_in_a_direct_conversation_nobody_deletes_for_the_other() -> None:
    room = Room(Kind.DIRECT)
    key = room.say(BOB, Text("mine"))
    room.say(ALICE, Delete(target(key)), role=Role.ADMINISTRATOR)
    assert room.text(key) == "mine"


def test_reactions_are_set_and_taken_back() -> None:
    room = Room()
    key = room.say(ALICE, Text("hello"))
    for who in (ALICE, BOB, BOB):
        room.say(who, React(target(key), "\N{THUMBS UP SIGN}"))
    assert room.messages[key].reactions == {"\N{THUMBS UP SIGN}": {ALICE, BOB}}
    room.say(BOB, React(target(key), "\N{THUMBS UP SIGN}", on=False))
    room.say(CAROL, React(target(key), "\N{THUMBS UP SIGN}", on=False))
    assert room.messages[key].reactions == {"\N{THUMBS UP SIGN}": {ALICE}}
    room.say(ALICE, React(target(key), "\N{THUMBS UP SIGN}", on=False))
    assert room.messages[key].reactions == {}


def test_reactions_are_bounded_at_the_limit() -> None:
    room = Room()
    key = room.say(ALICE, Text("hello"))
    for count in range(limits.REACTIONS_SHOWN + 1):
        room.say(BOB, React(target(key), f"e{count}"))
    assert len(room.messages[key].reactions) == limits.REACTIONS_SHOWN
    # Others may still join those that are there.
    room.say(CAROL, React(target(key), "e0"))
    assert room.messages[key].reactions["e0"] == {BOB, CAROL}


def test_votes() -> None:
    room = Room()
    one = room.say(ALICE, Poll("lunch?", ["soup", "bread"]))
    many = room.say(ALICE, Poll("when?", ["1", "2", "3"], many=True))
    room.say(BOB, Vote(target(one), [0]))
    room.say(BOB, Vote(target(one), [1]))
    assert room.messages[one].votes == {BOB: (1,)}
    for picks in ([0, 1], [2]):
        room.say(BOB, Vote(target(one), picks))
    assert room.messages[one].votes == {BOB: (1,)}
    room.say(BOB, Vote(target(many), [2, 0, 2]))
    assert room.messages[many].votes == {BOB: (0, 2)}
    room.say(BOB, Vote(target(many), []))
    assert room.messages[many].votes == {}
    text = room.say(ALICE, Text("no poll"))
    room.say(BOB, Vote(target(text), [0]))
    assert room.messages[text].votes == {}


def test_moderators_name_a_room_and_nobody_a_direct_conversation() -> None:
    room = Room()
    room.say(BOB, RoomState(name="mine"))
    assert room.name == ""
    room.say(ALICE, RoomState(name="plans", topic="what next"), role=Role.MODERATOR)
    room.say(ALICE, RoomState(topic=""), role=Role.ADMINISTRATOR)
    assert (room.name, room.topic) == ("plans", "")
    direct = Room(Kind.DIRECT)
    direct.say(BOB, RoomState(name="alice"), role=Role.ADMINISTRATOR)
    assert direct.name == ""


def test_a_receipt_shows_nothing() -> None:
    room = Room()
    room.say(ALICE, Receipt(1))
    assert room.messages == {}


TARGETS = st.builds(Target, st.sampled_from([ALICE, BOB, CAROL]), st.integers(1, 6).map(number))
BODIES = st.one_of(
    st.builds(Text, st.text(min_size=1, max_size=5)),
    st.builds(Edit, st.integers(1, 6).map(number), st.text(min_size=1, max_size=5)),
    st.builds(Delete, TARGETS),
    st.builds(React, TARGETS, st.sampled_from("xyz"), st.booleans()),
    st.just(Poll("q", ["a", "b"])),
    st.builds(Vote, TARGETS, st.lists(st.integers(0, 3), max_size=3)),
    st.builds(RoomState, st.none() | st.text(max_size=5)),
)
SAYINGS = st.lists(
    st.tuples(
        st.sampled_from([ALICE, BOB, CAROL]), BODIES, st.integers(1, 6), st.sampled_from(list(Role))
    ),
    max_size=30,
)


@given(SAYINGS)
def test_only_moderators_and_authors_change_a_text(
    sayings: list[tuple[bytes, Known, int, Role]],
) -> None:
    """Whatever comes: a text differs from what its author said only by the author, or is gone."""
    room = Room()
    for author, body, id_, role in sayings:
        before = dict(room.messages)
        room.say(author, body, id_, role)
        for key, message in before.items():
            after = room.messages[key]
            if after.text != message.text:
                assert key[0] == author or (after.text is None and role >= Role.MODERATOR)
        # Doing it again changes nothing.
        again = dict(room.messages)
        room.say(author, body, id_, role)
        assert room.messages == again
