"""Keys of messages: each once, in any order within limits, and gone when used (RFC 9420 section 9)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.mls.errors import GenerationError, InvalidError, MisuseError, ReplayError
from lairchat.mls.secret_tree import (
    MAX_AHEAD,
    MAX_GENERATION,
    MAX_SKIPPED,
    Purpose,
    Ratchet,
    SecretTree,
)
from lairchat.mls.suites import HYBRID

APPLICATION = Purpose.APPLICATION
TREE = SecretTree.new(HYBRID, 4, bytes(range(48)))


def test_sender_and_receiver_derive_the_same_keys() -> None:
    sending, receiving = TREE, TREE
    for expected in range(5):
        generation, key, sending = sending.next_key(2, APPLICATION)
        assert generation == expected
        same, receiving = receiving.key_of(2, APPLICATION, generation)
        assert (same.key, same.nonce) == (key.key, key.nonce)
    assert sending.parts == receiving.parts


def test_no_two_senders_or_purposes_share_a_key() -> None:
    keys = [
        TREE.key_of(leaf, purpose, generation)[0].key
        for leaf in range(4)
        for purpose in (Purpose.HANDSHAKE, APPLICATION)
        for generation in range(3)
    ]
    assert len(set(keys)) == len(keys) == 24


def test_a_key_is_given_once() -> None:
    _, left = TREE.key_of(0, APPLICATION, 0)
    with pytest.raises(ReplayError):
        left.key_of(0, APPLICATION, 0)
    TREE.key_of(0, APPLICATION, 0)  # the old state was not touched


def test_keys_that_were_skipped_are_given_once_in_any_order() -> None:
    key, tree = TREE.key_of(0, APPLICATION, 3)
    for generation in (1, 0, 2):
        skipped, tree = tree.key_of(0, APPLICATION, generation)
        assert skipped.key != key.key
        with pytest.raises(ReplayError):
            tree.key_of(0, APPLICATION, generation)
    ratchet = tree.parts[APPLICATION, 0]
    assert isinstance(ratchet, Ratchet)
    assert not ratchet.skipped


def test_a_generation_may_lie_1024_ahead_and_no_further() -> None:
    assert MAX_AHEAD == 1024
    _, tree = TREE.key_of(0, APPLICATION, 0)  # the next is 1
    tree.key_of(0, APPLICATION, 1 + 1024)
    with pytest.raises(GenerationError):
        tree.key_of(0, APPLICATION, 1 + 1025)
    with pytest.raises(GenerationError):
        tree.key_of(0, APPLICATION, 2**32 - 1)
    TREE.key_of(0, APPLICATION, 1024)
    with pytest.raises(GenerationError):
        TREE.key_of(0, APPLICATION, 1025)


def test_256_skipped_keys_are_kept_and_older_ones_given_up() -> None:
    assert MAX_SKIPPED == 256
    _, tree = TREE.key_of(0, APPLICATION, 300)
    ratchet = tree.parts[APPLICATION, 0]
    assert isinstance(ratchet, Ratchet)
    assert sorted(ratchet.skipped) == list(range(44, 300))
    tree.key_of(0, APPLICATION, 44)
    with pytest.raises(ReplayError):
        tree.key_of(0, APPLICATION, 43)
    # Two jumps: the second pushes out the oldest of the first.
    _, tree = tree.key_of(0, APPLICATION, 310)
    ratchet = tree.parts[APPLICATION, 0]
    assert isinstance(ratchet, Ratchet)
    assert len(ratchet.skipped) == 256
    assert min(ratchet.skipped) == 53
    assert 300 not in ratchet.skipped


def test_a_leaf_outside_the_tree_has_no_keys() -> None:
    for leaf in (4, 2**32 - 1):
        with pytest.raises(InvalidError):
            TREE.key_of(leaf, APPLICATION, 0)


def test_the_last_generation_is_not_passed() -> None:
    """Section 6.3.2: generations have 32 bits; one that came round would repeat keys."""
    parts = {**TREE.next_key(0, APPLICATION)[2].parts}
    parts[APPLICATION, 0] = Ratchet(bytes(48), MAX_GENERATION)
    tree = SecretTree(HYBRID, 4, parts)
    with pytest.raises(MisuseError):
        tree.next_key(0, APPLICATION)
    with pytest.raises(GenerationError):
        tree.key_of(0, APPLICATION, MAX_GENERATION)


def test_secrets_are_erased_in_the_step_that_uses_them() -> None:
    """Section 9.2: neither a used key nor anything that it was derived from is left."""
    assert set(TREE.parts) == {(Purpose.NODE, 3)}
    _, key, tree = TREE.next_key(0, APPLICATION)
    assert set(tree.parts) == {
        (Purpose.NODE, 5),
        (Purpose.NODE, 2),
        (Purpose.HANDSHAKE, 0),
        (APPLICATION, 0),
    }
    kept = repr([getattr(part, "secret", part) for part in tree.parts.values()])
    assert repr(TREE.parts[Purpose.NODE, 3]) not in kept
    assert repr(key.key) not in kept


def test_a_tree_that_was_stored_goes_on_where_it_was() -> None:
    """Restarting at generation 0 would repeat keys, and take old messages again."""
    _, _, tree = TREE.next_key(1, APPLICATION)
    _, tree = tree.key_of(2, APPLICATION, 5)
    restored = SecretTree(HYBRID, 4, dict(tree.parts))
    assert restored.generation(1, APPLICATION) == 1
    assert restored.next_key(1, APPLICATION)[0] == 1
    assert restored.generation(3, APPLICATION) == 0
    with pytest.raises(ReplayError):
        restored.key_of(2, APPLICATION, 5)
    restored.key_of(2, APPLICATION, 4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), max_size=30))
def test_whatever_comes_each_key_is_given_at_most_once(wanted: list[tuple[int, int]]) -> None:
    tree = TREE
    given_out: set[bytes] = set()
    for leaf, generation in wanted:
        try:
            key, tree = tree.key_of(leaf, APPLICATION, generation)
        except ReplayError:
            continue
        assert key.key not in given_out
        given_out.add(key.key)
