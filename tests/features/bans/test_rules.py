"""Addresses and networks in their one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.bans.rules import kind_of, network_of
from lairchat.model.refusals import NetworkBad


@pytest.mark.parametrize(
    ("kind", "text", "network"),
    [
        ("ip", "203.0.113.7", "203.0.113.7"),
        ("ip", "::ffff:203.0.113.7", "203.0.113.7"),
        ("ip", "2001:DB8:0:0:1:2:3:4", "2001:db8::/64"),
        ("net", "203.0.113.0/24", "203.0.113.0/24"),
        ("net", "203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("net", "203.0.113.7", "203.0.113.7"),
        ("net", "::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("net", "2001:db8::/32", "2001:db8::/32"),
        ("net", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_one_form(kind, text, network):
    assert network_of(kind, text) == network
    assert network_of(kind_of(network), network) == network or kind == "net"


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("ip", "203.0.113.0/24", "cannot be read"),
        ("ip", "203.0.113.256", "cannot be read"),
        ("ip", "fe80::1%eth0", "cannot be read"),
        ("ip", "", "cannot be read"),
        ("net", "203.0.113.7/24", "host bits"),
        ("net", "203.0.113.0/33", "cannot be read"),
        ("net", "chat.example.org", "cannot be read"),
        ("net", "\x1b[2J", "cannot be read"),
    ],
)
def test_what_is_none_is_refused_with_an_example(kind, text, why):
    with pytest.raises(NetworkBad) as refused:
        network_of(kind, text)
    assert why in refused.value.text
    assert refused.value.field == "$.target"


@given(st.sampled_from(["ip", "net"]), st.text(max_size=60))
def test_nothing_else_than_a_refusal_comes_of_any_text(kind, text):
    try:
        network = network_of(kind, text)
    except NetworkBad:
        return
    assert network_of("net", network) == network
    assert len(network) <= 43  # the column's width
