"""Banned addresses: what a door is told."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from lairchat.core.bans import AddressBans
from lairchat.model.refusals import AddressBanned

ADDRESSES = ("192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1", "2001:db8:0:1::9", "::1")
NETWORKS = (
    "192.0.2.1", "192.0.2.0/24", "192.0.0.0/8", "0.0.0.0/0", "198.51.100.7/32", "2001:db8::/64",
    "2001:db8::/32", "::1", "::/0",
)  # fmt: skip


def bans(*networks, now=0):
    made = AddressBans(lambda: now)
    made.replace([(str(ip_network(text, strict=False)), None) for text in networks])
    return made


@given(st.sets(st.sampled_from(NETWORKS)), st.sampled_from(ADDRESSES))
def test_exactly_what_is_in_a_banned_network_is_refused(networks, address):
    inside = any(
        ip_address(address) in ip_network(network, strict=False)
        for network in networks
        if ip_network(network, strict=False).version == ip_address(address).version
    )
    assert (bans(*networks).refuses(address) is not None) is inside


def test_an_ipv4_client_in_ipv6_clothes_is_the_same_client():
    assert isinstance(bans("192.0.2.0/24").refuses("::ffff:192.0.2.9"), AddressBanned)
    assert bans("::/0").refuses("::ffff:192.0.2.9") is None


def test_what_is_no_address_is_never_banned():
    for host in ("local", "", "chat.example.org", "\x00"):
        assert bans("0.0.0.0/0", "::/0").refuses(host) is None


def test_a_ban_ends_by_itself():
    now = [1_000]
    made = AddressBans(lambda: now[0])
    made.replace([("192.0.2.0/24", 2_000), ("192.0.2.7", None)])
    assert "until 1970-01-01 00:00 UTC" in made.refuses("192.0.2.1").text
    now[0] = 2_000
    assert made.refuses("192.0.2.1") is None
    assert made.refuses("192.0.2.7") is not None


def test_watchers_hear_of_every_change():
    made, heard = AddressBans(lambda: 0), []
    made.watchers.append(lambda: heard.append(made.refuses("192.0.2.1") is not None))
    made.replace([("192.0.2.1", None)])
    made.replace([])
    assert heard == [True, False]
