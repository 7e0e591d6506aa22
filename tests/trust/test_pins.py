"""What a person saw and compared stays until a person decides otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.trust.errors import PinError
from lairchat.trust.pins import Pin, Sureness, accept, compared, decline, first_sight, sight
from tests.trust.people import Account

BOB = Account("bob").log.account
FAKE = bytes(31) + b"\1"
THIRD = bytes(31) + b"\2"
accounts = st.sampled_from([BOB, FAKE, THIRD])
links = st.sampled_from([b"", BOB[:16], BOB, FAKE[:16], BOB[:15], b"\1" * 16])


def test_the_first_sight_pins():
    assert first_sight("Bob", BOB) == Pin("bob", BOB, Sureness.FIRST_SIGHT)
    assert not first_sight("bob", BOB).verified


@pytest.mark.parametrize("size", [16, 20, 32])
def test_a_link_makes_sure(size):
    pin = first_sight("bob", BOB, BOB[:size])
    assert pin.sureness is Sureness.LINK
    assert pin.verified


@pytest.mark.parametrize("link", [FAKE[:16], BOB[:15] + b"\0", BOB[:15], BOB[:1], BOB + b"\0"])
def test_a_server_that_swaps_the_root_at_first_contact_is_caught_by_the_link(link):
    with pytest.raises(PinError, match="not the one that the link is from"):
        first_sight("bob", BOB, link)
    with pytest.raises(PinError, match="not the one that the link is from"):
        sight(first_sight("bob", BOB), BOB, link)


def test_a_link_that_comes_later_makes_sure_but_not_less_so():
    pin = first_sight("bob", BOB)
    assert sight(pin, BOB, BOB[:16]).sureness is Sureness.LINK
    assert sight(compared(pin, BOB), BOB, BOB[:16]).sureness is Sureness.COMPARED
    assert sight(pin, BOB) == pin


def test_a_root_swapped_later_is_noted_and_replaces_nothing():
    pin = compared(first_sight("bob", BOB), BOB)
    changed = sight(pin, FAKE)
    assert (changed.account, changed.changed, changed.verified) == (BOB, FAKE, True)
    # Showing the right one again does not make it forgotten, nor does a third.
    assert sight(changed, BOB) == changed
    assert sight(changed, THIRD).changed == THIRD


def test_comparing_decides():
    changed = sight(first_sight("bob", BOB), FAKE)
    assert compared(changed, BOB) == Pin("bob", BOB, Sureness.COMPARED)
    assert compared(changed, FAKE) == Pin("bob", FAKE, Sureness.COMPARED)
    with pytest.raises(PinError, match="not an account seen"):
        compared(changed, THIRD)


def test_accepting_is_no_verifying():
    changed = sight(compared(first_sight("bob", BOB), BOB), FAKE)
    assert accept(changed, FAKE) == Pin("bob", FAKE, Sureness.FIRST_SIGHT)


def test_what_is_accepted_is_what_was_on_the_screen():
    changed = sight(sight(first_sight("bob", BOB), FAKE), THIRD)
    with pytest.raises(PinError, match="not the identity that is waiting"):
        accept(changed, FAKE)
    with pytest.raises(PinError, match="not the identity that is waiting"):
        accept(first_sight("bob", BOB), BOB)


def test_declining_keeps_the_old_one_and_asks_again():
    pin = compared(first_sight("bob", BOB), BOB)
    assert decline(sight(pin, FAKE)) == pin
    assert sight(decline(sight(pin, FAKE)), FAKE).changed == FAKE


@given(st.lists(st.tuples(accounts, links), max_size=8))
def test_whatever_a_server_shows_the_pin_stays(shown):
    pin = compared(first_sight("bob", BOB), BOB)
    for account, link in shown:
        try:
            pin = sight(pin, account, link)
        except PinError:
            continue
        assert (pin.account, pin.sureness) == (BOB, Sureness.COMPARED)
    different = {account for account, _link in shown} - {BOB}
    assert pin.changed is None or pin.changed in different
