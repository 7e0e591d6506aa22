"""A password stays where it was typed, and costs a guesser the same on every server."""

import pytest

from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.trust.password import LANES, Keys, derive, salt

SERVER = ServerId(bytes(range(32)))
# What version 1.0 derived: whoever registered with it has to get in.
KNOWN = [
    (
        "a password",
        "alice",
        "951bbbb34364cc4f709a6727ea5bf7fa",
        "2ac4b3fa41d21f0776fb56c9bf013236bc7e84571032c517901351abfe22834e",
        "e6652d396c7f3208435345ea1658bd93e1dd0cc057d1e97b0e177718ba329ff9",
    ),
    (
        "\udcff",  # what a terminal typed that was no UTF-8
        "Bob",
        "cf979ea89ac9dd1b85f2c0ba5a492105",
        "f37ae899665270d19796830fd912a31158f001e5d618ed8e3140caa33d76311c",
        "66411ac54a0bf952df3814f705254829a1f96220bc70203452f2f25b55cdfbe4",
    ),
]


@pytest.mark.parametrize(("password", "name", "salted", "authentication", "vault"), KNOWN)
def test_it_derives_what_it_always_did(password, name, salted, authentication, vault):
    assert salt(SERVER, name).hex() == salted
    for written in (name, name.upper()):
        keys = derive(password, SERVER, written)
        assert keys.authentication.hex() == authentication
        assert keys.vault.hex() == vault


def test_the_salt_is_bound_to_server_and_name():
    other = ServerId(bytes(32))
    assert len({salt(SERVER, "alice"), salt(SERVER, "bob"), salt(other, "alice")}) == 3


def test_the_cost_is_the_designs_floor():
    # The values above pin it too: a lower cost would derive something else.
    assert (limits.ARGON2_CLIENT_KIB, limits.ARGON2_CLIENT_PASSES, LANES) == (65_536, 3, 4)


def test_what_it_came_to_is_not_shown():
    keys = Keys(b"canary-a", b"canary-b")
    assert repr(keys) == str(keys) == "Keys(redacted)"
