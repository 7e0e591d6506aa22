"""Entries have one encoding each, and their ids and hashes cover all of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.codec import decode
from lairchat.mls.errors import MalformedError, MisuseError
from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.trust.entry import (
    ENTRIES,
    Device,
    Entry,
    Genesis,
    Head,
    Revocation,
    SignedEntry,
    SignedGenesis,
    Signer,
    StoredLog,
)
from tests.trust.people import SERVER, Account, root

ALICE = Account("alice")
ALICE.primary()
hashes = st.binary(min_size=32, max_size=32)
ids = st.binary(min_size=16, max_size=16)
places = st.integers(0, 2**32 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
bodies = (
    st.builds(Signer, hashes, ids)
    | st.builds(Device, ids, hashes, texts)
    | st.builds(Revocation, places, st.integers(0, 255))
)
entries = st.builds(
    SignedEntry,
    st.builds(Entry, hashes, places, hashes, st.integers(0, 2**64 - 1), places, bodies),
    st.binary(max_size=100),
)


@given(entries)
def test_what_is_written_is_read(signed):
    assert SignedEntry.decode(signed.encode()) == signed


@given(entries, entries)
def test_two_entries_have_two_hashes(one, other):
    assert (one.hash == other.hash) == (one == other)


@given(st.lists(entries, max_size=4))
def test_a_whole_log_is_read_back(some):
    stored = StoredLog(ALICE.genesis, tuple(some))
    assert StoredLog.decode(stored.encode()) == stored


@given(st.binary(max_size=300))
def test_any_bytes_that_are_read_are_written_alike(data):
    for kind in (SignedEntry, SignedGenesis, Head):
        try:
            found = kind.decode(data)
        except MalformedError:
            continue
        assert found.encode() == data


@given(entries, st.data())
def test_cut_short_it_is_nothing(signed, data):
    whole = signed.encode()
    with pytest.raises(MalformedError):
        SignedEntry.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(MalformedError):
        SignedEntry.decode(whole + b"\0")


def test_text_that_is_no_utf8_is_refused():
    whole = Device(bytes(16), bytes(32), "ab").encode()
    with pytest.raises(MalformedError, match="no UTF-8"):
        Device.decode(whole[:-2] + b"\xff\xfe")
    with pytest.raises(MalformedError, match="no UTF-8"):
        Device.decode(whole[:-2] + b"\xc1\x81")  # an overlong "A"


def test_text_that_has_no_utf8_is_a_misuse():
    with pytest.raises(MisuseError, match="cannot be written"):
        Device(bytes(16), bytes(32), "\ud800").encode()


@pytest.mark.parametrize(("place", "value"), [(1, 2), (1, 0), (0, 1)])
def test_another_version_of_the_log_is_refused(place, value):
    whole = bytearray(StoredLog(ALICE.genesis, ()).encode())
    whole[place] = value
    with pytest.raises(MalformedError, match="no version of account logs"):
        StoredLog.decode(bytes(whole))


@pytest.mark.parametrize("kind", [0, 4, 255])
def test_an_unknown_kind_of_entry_is_refused(kind):
    whole = bytearray(ALICE.entries[0].content.encode())
    whole[80] = kind  # account, position, previous, time and signer come before it
    with pytest.raises(MalformedError, match="no kind of log entry"):
        Entry.decode(bytes(whole))


def test_the_account_id_follows_from_server_name_and_root():
    genesis = Genesis(SERVER.digest, "alice", root("alice").public)
    assert genesis.account == ALICE.log.account == Account("alice").log.account
    others = [
        replace(genesis, server=bytes(32)),
        replace(genesis, name="alicf"),
        replace(genesis, root=root("mallory").public),
        replace(genesis, root=replace(genesis.root, mldsa65=root("mallory").public.mldsa65)),
    ]
    assert len({genesis.account, *(other.account for other in others)}) == 5
    assert Account("alice", ServerId(bytes(32))).log.account != genesis.account


def test_junk_is_not_read_to_its_end():
    shortest = SignedEntry(Entry(bytes(32), 1, bytes(32), 0, 0, Revocation(1, 1)), b"")
    most = ENTRIES.write([shortest] * limits.LOG_ENTRIES)
    assert len(decode(ENTRIES, most)) == limits.LOG_ENTRIES
    with pytest.raises(MalformedError, match="more entries than a log can have"):
        decode(ENTRIES, ENTRIES.write([shortest] * (limits.LOG_ENTRIES + 1)))
    with pytest.raises(MalformedError, match="more entries than a log can have"):
        StoredLog.decode(StoredLog(ALICE.genesis, (shortest,) * 40_000).encode())


def test_a_list_of_entries_is_a_vector():
    assert decode(ENTRIES, ENTRIES.write(ALICE.entries)) == tuple(ALICE.entries)
