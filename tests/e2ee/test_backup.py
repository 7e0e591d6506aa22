"""What was backed up comes back as it was, to whoever has the words, and nothing else does."""

import os
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee import backup
from lairchat.e2ee.backup import (
    DAY_MS,
    INDEX,
    PLACES,
    REACTIONS,
    Entry,
    Index,
    OldBackupError,
    Place,
    RoomName,
    Seen,
    open_chunk,
    open_index,
    place_of,
    seal_chunk,
    seal_index,
)
from lairchat.e2ee.fold import Message, Said
from lairchat.e2ee.payload import Delete, Known, Poll, Target, Text, Unknown
from lairchat.mls.codec import opaque
from lairchat.mls.errors import DecryptionError, MalformedError, MLSError
from lairchat.mls.hpke import AES_256_GCM
from lairchat.model import limits
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.policy import Role
from lairchat.trust.root import backup_key
from lairchat.trust.secret import SecretBytes
from tests.strategies import mutations

ALICE, BOB = b"a" * 32, b"b" * 32
KEY, OTHER = backup_key(SecretBytes(b"w" * 16)), backup_key(SecretBytes(b"v" * 16))
DAY, PART, ROOM = 20_000, 3, 7
HERE = Place(ROOM, DAY, PART)

authors = st.binary(min_size=32, max_size=32)
texts = st.text(min_size=1, max_size=300)
targets = st.builds(Target, authors, st.binary(min_size=16, max_size=16))
polls = st.builds(
    Poll,
    texts,
    st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=5, unique=True),
    st.booleans(),
)
bodies = st.one_of(
    st.builds(Text, texts, st.booleans(), st.none() | targets, st.none() | targets),
    polls,
    st.just(Unknown()),
)


@st.composite
def messages(draw: st.DrawFn, seq: int = PLACES * PART) -> Message:
    """Return something that was said, with what became of it."""
    body = draw(bodies)
    said = Said(
        seq,
        draw(authors),
        draw(st.binary(min_size=16, max_size=16)),
        draw(st.sampled_from(Role)),
        draw(st.binary(min_size=16, max_size=16)),
        DAY * DAY_MS + draw(st.integers(0, DAY_MS - 1)),
        body,
    )
    text, votes = "", {}
    match body:
        case Text(text=text):
            pass
        case Poll(question=text, options=options):
            picks = st.lists(st.integers(0, len(options) - 1), unique=True).map(tuple)
            votes = draw(st.dictionaries(authors, picks, max_size=3))
    emoji = st.text(min_size=1, max_size=limits.REACTION_CHARS)
    reactions = st.dictionaries(emoji, st.frozensets(authors, min_size=1, max_size=3), max_size=3)
    return Message(said, text, draw(st.integers(0, 5)), None, draw(reactions), votes)


@st.composite
def days(draw: st.DrawFn) -> list[Message]:
    """Return the messages of one place."""
    seqs = draw(st.sets(st.integers(PLACES * PART, PLACES * (PART + 1) - 1), max_size=6))
    return [draw(messages(seq)) for seq in sorted(seqs)]


def said(text: str, seq: int = PLACES * PART, **more: object) -> Message:
    what = Said(seq, ALICE, b"d" * 16, Role.MEMBER, os.urandom(16), DAY * DAY_MS, Text(text))
    return replace(Message(what, text), **more)  # type: ignore[arg-type]


def entry(place: Place = HERE) -> Entry:
    return Entry(os.urandom(16), os.urandom(32), os.urandom(32), *place, 1)


FULL = Index(
    4,
    False,
    tuple(entry(Place(ROOM, DAY, part)) for part in range(3)),
    (RoomName(ROOM, "r\u00e4um".encode(), b"what it is about"),),
    (Pin("bob", BOB, Sureness.COMPARED),),
)


# -- chunks


@given(days())
def test_what_was_said_comes_back_as_it_was(day: list[Message]) -> None:
    sealed = seal_chunk(ALICE, HERE, day[::-1], os.urandom)
    assert open_chunk(ALICE, sealed.entry, sealed.data) == tuple(day)
    assert all(place_of(ROOM, message) == HERE for message in day)
    assert sealed.entry.count == len(day)


def test_an_edited_message_is_backed_up_as_it_is_now() -> None:
    reply = Target(BOB, b"i" * 16)
    edited = said("what it says now", edited=2)
    edited = replace(edited, said=replace(edited.said, body=Text("what it said", reply=reply)))
    sealed = seal_chunk(ALICE, HERE, [edited], os.urandom)
    assert b"what it said" not in sealed.data
    (found,) = open_chunk(ALICE, sealed.entry, sealed.data)
    assert (found.text, found.edited) == ("what it says now", 2)
    assert found.said.body == Text("what it says now", reply=reply)


def test_each_sealing_has_a_key_and_a_name_of_its_own() -> None:
    sealed = [seal_chunk(ALICE, HERE, [said("same")], os.urandom) for _ in range(50)]
    assert len({one.entry.key for one in sealed}) == 50
    assert len({one.entry.name for one in sealed} | {INDEX}) == 51


@given(st.data(), days())
def test_no_other_object_passes_for_a_chunk(data: st.DataObject, day: list[Message]) -> None:
    sealed = seal_chunk(ALICE, HERE, day, os.urandom)
    forged = data.draw(mutations(sealed.data).filter(lambda one: one != sealed.data))
    with pytest.raises(DecryptionError):
        open_chunk(ALICE, sealed.entry, forged)
    # Nor if the index, too, were made to name it.
    with pytest.raises(DecryptionError):
        open_chunk(ALICE, replace(sealed.entry, digest=sha256(forged).digest()), forged)


def test_a_chunk_opens_under_its_own_name_and_account_alone() -> None:
    sealed = seal_chunk(ALICE, HERE, [said("x")], os.urandom)
    with pytest.raises(DecryptionError):
        open_chunk(BOB, sealed.entry, sealed.data)
    with pytest.raises(DecryptionError):
        open_chunk(ALICE, replace(sealed.entry, name=os.urandom(16)), sealed.data)


@pytest.mark.parametrize("wrong", ["room", "day", "part"])
def test_a_chunk_of_another_place_is_refused(wrong: str) -> None:
    sealed = seal_chunk(ALICE, HERE, [said("x")], os.urandom)
    with pytest.raises(MalformedError, match="another place"):
        open_chunk(ALICE, replace(sealed.entry, **{wrong: 1}), sealed.data)


@pytest.mark.parametrize(
    "inside",
    [
        [said("of another day").said],
        [said("of another stretch", PLACES * (PART + 1)).said],
    ],
)
def test_a_message_that_does_not_belong_into_a_chunk_is_refused(inside: list[Said]) -> None:
    (what,) = inside
    if what.seq == PLACES * PART:
        what = replace(what, at=(DAY + 1) * DAY_MS)
    sealed = seal_chunk(ALICE, HERE, [Message(what, "x")], os.urandom)
    with pytest.raises(MalformedError, match="belong"):
        open_chunk(ALICE, sealed.entry, sealed.data)


def test_a_place_twice_and_a_wrong_count_are_refused() -> None:
    sealed = seal_chunk(ALICE, HERE, [said("one"), said("two")], os.urandom)
    with pytest.raises(MalformedError, match="order"):
        open_chunk(ALICE, sealed.entry, sealed.data)
    sealed = seal_chunk(ALICE, HERE, [said("one")], os.urandom)
    with pytest.raises(MalformedError, match="belong"):
        open_chunk(ALICE, replace(sealed.entry, count=2), sealed.data)


def sealed_plain(plain: bytes, name: bytes = b"n" * 16) -> tuple[Entry, bytes]:
    """Return a chunk that somebody with the keys has made, of anything."""
    aad = backup._aad(ALICE, name)
    data = AES_256_GCM.seal(b"k" * 32, bytes(12), aad, plain)
    return Entry(name, b"k" * 32, sha256(data).digest(), *HERE, 1), data


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\x05abc",
        opaque(b"\0\1") + b"not zero",
        opaque(b"\0\x09") + bytes(200),
        opaque(b""),
    ],
)
def test_what_no_device_of_ours_makes_is_malformed(plain: bytes) -> None:
    with pytest.raises(MalformedError):
        open_chunk(ALICE, *sealed_plain(plain))


RECORD = backup._recorded(said("x"))
MANY = tuple(number.to_bytes(32, "big") for number in range(REACTIONS + 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": 9},
        {"body": b"\xc1"},
        {"body": bytes(backup.encode_body(Delete(Target(ALICE, b"i" * 16))))},
        {"seq": 0},
        {"seq": 1 << 63},
        {"at": 1 << 63},
        {"edited": 1 << 63},
        {"reactions": (backup._Reaction(b"", (BOB,)),)},
        {"reactions": (backup._Reaction(b"\xff", (BOB,)),)},
        {"reactions": (backup._Reaction(b"x" * (limits.REACTION_CHARS + 1), (BOB,)),)},
        {"reactions": (backup._Reaction(b"+1", MANY),)},
        {"votes": (backup._Vote(BOB, (0,)),)},
    ],
)
def test_a_record_that_is_no_message_is_malformed(wrong: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        backup._read(replace(RECORD, **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("picks", [(0, 0), (2,)])
def test_a_vote_that_nobody_could_cast_is_malformed(picks: tuple[int, ...]) -> None:
    body: Known = Poll("which?", ["one", "two"])
    record = replace(
        RECORD, body=bytes(backup.encode_body(body)), votes=(backup._Vote(BOB, picks),)
    )
    with pytest.raises(MalformedError, match="vote"):
        backup._read(record)


def test_of_more_reactions_than_are_kept_some_are() -> None:
    many = frozenset(number.to_bytes(32, "big") for number in range(REACTIONS))
    message = said("popular", reactions={"a": many, "b": many | {BOB}})
    sealed = seal_chunk(ALICE, HERE, [message], os.urandom)
    (found,) = open_chunk(ALICE, sealed.entry, sealed.data)
    assert found.reactions == {"a": many}


def test_the_largest_chunk_is_an_object() -> None:
    """However much is said and reacted to, one stretch of a room fits."""
    text = "\U0001f600" * limits.MESSAGE_CHARS
    who = frozenset(number.to_bytes(32, "big") for number in range(REACTIONS))
    day = [said(text, PLACES * PART + n, reactions={"x": who}) for n in range(PLACES)]
    assert len(seal_chunk(ALICE, HERE, day, os.urandom).data) <= limits.KEEPSAKE_BYTES


def test_its_length_tells_little() -> None:
    sizes = {len(seal_chunk(ALICE, HERE, [said("x" * n)], os.urandom).data) for n in range(1, 60)}
    assert len(sizes) == 1


# -- the index


def test_the_index_comes_back_as_it_was() -> None:
    data = seal_index(KEY, ALICE, FULL, os.urandom)
    assert open_index(KEY, ALICE, data) == FULL
    assert FULL.entries[0].key not in data
    assert repr(FULL.entries[0].key) not in repr(FULL)


@given(st.data())
def test_no_other_object_passes_for_the_index(data: st.DataObject) -> None:
    sealed = seal_index(KEY, ALICE, FULL, os.urandom)
    forged = data.draw(mutations(sealed).filter(lambda one: one != sealed))
    with pytest.raises(DecryptionError):
        open_index(KEY, ALICE, forged)


@given(st.binary(max_size=2_000))
def test_bytes_that_the_key_seals_are_an_index_or_refused(plain: bytes) -> None:
    nonce = os.urandom(12)
    aad = backup._aad(ALICE, INDEX)
    data = nonce + AES_256_GCM.seal(backup._index_key(KEY), nonce, aad, plain)
    with pytest.raises(MLSError):
        open_index(KEY, ALICE, data)


def test_neither_other_words_nor_another_account_open_it() -> None:
    data = seal_index(KEY, ALICE, FULL, os.urandom)
    with pytest.raises(DecryptionError):
        open_index(OTHER, ALICE, data)
    with pytest.raises(DecryptionError):
        open_index(KEY, BOB, data)


def test_an_index_from_before_is_refused() -> None:
    old = seal_index(KEY, ALICE, FULL, os.urandom)
    new = seal_index(KEY, ALICE, replace(FULL, version=5), os.urandom)
    seen = Seen(5, sha256(new).digest())
    assert open_index(KEY, ALICE, new, seen).version == 5
    with pytest.raises(OldBackupError, match="version 4"):
        open_index(KEY, ALICE, old, seen)
    # As an old one that was sealed anew: the same number, and not the same.
    twin = seal_index(KEY, ALICE, replace(FULL, version=5), os.urandom)
    with pytest.raises(OldBackupError):
        open_index(KEY, ALICE, twin, seen)
    assert open_index(KEY, ALICE, old).version == 4


TWICE = FULL.entries[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"off": True},
        {"version": 1 << 63},
        {"entries": (TWICE, TWICE)},
        {"entries": (TWICE, replace(TWICE, part=9))},
        {"entries": (replace(TWICE, name=INDEX),)},
        {"entries": (replace(TWICE, day=1 << 63),)},
        {"rooms": (RoomName(1 << 63, b"", b""),)},
        {"rooms": (RoomName(1, b"\xff", b""),)},
        {"rooms": (RoomName(1, b"x" * (limits.ROOM_NAME_CHARS_MAX + 1), b""),)},
        {"rooms": (RoomName(1, b"", b"x" * (limits.TOPIC_CHARS + 1)),)},
    ],
)
def test_an_index_that_no_device_of_ours_makes_is_malformed(wrong: dict[str, object]) -> None:
    data = seal_index(KEY, ALICE, replace(FULL, **wrong), os.urandom)  # type: ignore[arg-type]
    with pytest.raises(MalformedError):
        open_index(KEY, ALICE, data)


def test_the_largest_index_is_an_object() -> None:
    many = tuple(entry(Place(ROOM, day, 0)) for day in range(limits.KEEPSAKES))
    data = seal_index(KEY, ALICE, replace(FULL, entries=many), os.urandom)
    assert len(data) <= limits.KEEPSAKE_BYTES
    assert len(open_index(KEY, ALICE, data).entries) == limits.KEEPSAKES


def test_the_next_version_has_what_changed_and_keeps_the_rest() -> None:
    first, second, third = FULL.entries
    new = replace(entry(second.place), count=9)
    dave = Pin("dave", ALICE, Sureness.LINK, changed=BOB)
    after = FULL.after([third.place, second.place], [new], [RoomName(8, b"other", b"")], [dave])
    assert after.version == 5
    assert after.places == {first.place: first, new.place: new}
    assert [one.room for one in after.rooms] == [ROOM, 8]
    # What the server has shown since is for each device to see by itself.
    assert after.pins == (*FULL.pins, replace(dave, changed=None))
    off = FULL.switched_off()
    assert (off.version, off.off, off.entries, off.rooms, off.pins) == (5, True, (), (), ())
    assert open_index(KEY, ALICE, seal_index(KEY, ALICE, off, os.urandom)) == off
