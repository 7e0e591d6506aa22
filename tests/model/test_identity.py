"""An identity reads the same everywhere, and a link leads to that server or nowhere."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.faults import AddressBad, LinkBad
from lairchat.model.identity import (
    Link,
    ServerId,
    format_address,
    invite_code,
    parse_address,
    parse_code,
    word_list,
)

CODE = "K7QF2M9DXW4T8RJH5VCB3NPQ6S"
HEX = "7F2A910C55E1883B40D2A6E91C77B5D4"
LINK = f"lair://127.0.0.1:7023/i/{CODE}?id={HEX}"


def test_the_word_list_is_the_published_one():
    # BIP-39, english.txt: 2,048 words, sorted, told apart by their first four letters.
    words = word_list()
    assert hashlib.sha256("".join(f"{word}\n" for word in words).encode()).hexdigest() == (
        "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    )
    assert len({word[:4] for word in words}) == 2048
    assert word_list() is words


@pytest.mark.parametrize(
    ("start", "words"),
    [
        # The first six words of the test vectors of BIP-39.
        ("00", "abandon abandon abandon abandon abandon abandon"),
        ("7f", "legal winner thank year wave sausage"),
        ("80", "letter advice cage absurd amount doctor"),
        ("ff", "zoo zoo zoo zoo zoo zoo"),
    ],
)
def test_words_stand_for_eleven_bits_each(start, words):
    assert ServerId(bytes.fromhex(start) * 32).words() == tuple(words.split())


@given(st.binary(min_size=32, max_size=32))
def test_words_follow_the_bits_from_the_left(digest):
    bits = "".join(f"{byte:08b}" for byte in digest)
    expected = tuple(word_list()[int(bits[at : at + 11], 2)] for at in range(0, 66, 11))
    assert ServerId(digest).words() == expected


def test_the_identity_is_the_hash_of_the_key():
    key = bytes(range(32))
    assert ServerId.of_key(key).digest == hashlib.sha256(key).digest()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_and_digests_of_other_sizes_are_a_misuse(size):
    with pytest.raises(ValueError, match="public key is 32 bytes"):
        ServerId.of_key(bytes(size))
    with pytest.raises(ValueError, match="identity is 32 bytes"):
        ServerId(bytes(size))


def test_the_ways_to_write_an_identity():
    identity = ServerId(bytes(range(32)))
    assert identity.hex == "".join(f"{byte:02X}" for byte in range(32))
    assert identity.fingerprint.startswith("00:01:02:")
    assert len(identity.fingerprint) == 95
    assert identity.short == "00:01:...:1F"
    assert identity.prefix128 == bytes(range(16))
    assert repr(identity) == "ServerId(00:01:...:1F)"


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_can_be_read(digest):
    identity = ServerId(digest)
    assert ServerId.from_hex(identity.hex) == identity
    assert ServerId.from_hex(identity.fingerprint.lower()) == identity
    assert hash(ServerId(digest)) == hash(identity)


@pytest.mark.parametrize("text", ["", "7F", "xy" * 32, "00" * 31])
def test_what_is_no_identity_is_refused(text):
    with pytest.raises(ValueError, match=r"identity is 32 bytes|non-hexadecimal"):
        ServerId.from_hex(text)


def test_identities_differ_from_other_things():
    assert ServerId(bytes(32)) != ServerId(bytes(31) + b"\x01")
    assert ServerId(bytes(32)) != bytes(32)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 40))
def test_a_prefix_matches_only_with_128_bits(digest, size):
    identity = ServerId(digest)
    assert identity.matches(digest[:size]) == (size >= 16)
    if size:
        other = bytes([digest[0] ^ 1]) + digest[1:size]
        assert not identity.matches(other)
    assert not identity.matches(digest + b"\x00")


def test_a_link_is_read_and_written():
    link = Link.parse(LINK)
    assert (link.host, link.port) == ("127.0.0.1", 7023)
    assert link.code == CODE
    assert link.id_prefix == bytes.fromhex(HEX)
    assert link.format() == LINK


HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{1,10}){0,3}", fullmatch=True),
    st.ip_addresses().map(str),
)
LINKS = st.builds(
    Link,
    HOSTS,
    st.integers(1, 65_535),
    st.binary(min_size=17, max_size=17).map(invite_code),
    st.binary(min_size=16, max_size=32),
)


@given(LINKS)
def test_every_link_survives_writing_and_reading(link):
    again = Link.parse(link.format())
    assert again == link
    assert hash(again) == hash(link)
    assert (again.host, again.port, again.code) == (link.host, link.port, link.code)


@given(LINKS)
def test_a_link_in_a_log_hides_its_secret(link):
    assert link.code not in repr(link)
    assert link.code not in str(link)


def test_links_differ_from_other_things():
    assert Link.parse(LINK) != LINK


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (f" {LINK}\n", "127.0.0.1", 7023),
        (LINK.replace("lair:", "LAIR:"), "127.0.0.1", 7023),
        (LINK.replace("127.0.0.1:7023", "Chat.Example.org"), "chat.example.org", 7023),
        (LINK.replace("127.0.0.1", "[::1]"), "::1", 7023),
        (LINK.replace("127.0.0.1:7023", "[2001:DB8:0::1]:99"), "2001:db8::1", 99),
        (LINK.replace("127.0.0.1:7023", "[::1]"), "::1", 7023),
        (f"{LINK}&root=abc", "127.0.0.1", 7023),
        (LINK.replace(CODE, "k7qf-2m9d-xw4t-8rjh-5vcb-3npq-6s"), "127.0.0.1", 7023),
        (f" {LINK[:60]}\n     {LINK[60:]} ", "127.0.0.1", 7023),  # over two lines of a screen
    ],
)
def test_links_as_people_paste_them(text, host, port):
    link = Link.parse(text)
    assert (link.host, link.port, link.code) == (host, port, CODE)
    assert link.id_prefix.hex().upper() == HEX


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "start with lair://"),
        ("https://127.0.0.1:7023/i/X", "start with lair://"),
        ("lair://", "no /i/CODE"),
        ("lair://127.0.0.1:7023", "no /i/CODE"),
        (LINK.replace("/i/", "/j/"), "no /i/CODE"),
        (LINK.replace("127.0.0.1", ""), "address cannot be read"),
        (LINK.replace("7023", "70230"), "address cannot be read"),
        (LINK.replace("127.0.0.1", "alice@127.0.0.1"), "address cannot be read"),
        (LINK.replace(CODE, CODE[1:]), "has 25 characters, not 26"),
        (LINK.replace(CODE, CODE + "A"), "has 27 characters, not 26"),
        (LINK.replace(CODE, ""), "has 0 characters"),
        (LINK.replace(CODE, "U" + CODE[1:]), "something else than letters and digits"),
        (LINK.replace(CODE, "\x1b" + CODE[1:]), "something else than letters and digits"),
        (LINK.partition("?")[0], "no server identity"),
        (f"{LINK}&id={HEX}", "or several"),
        (LINK.replace(HEX, ""), "has not 32 to 64 digits"),
        (LINK.replace(HEX, HEX[2:]), "has not 32 to 64 digits"),
        (LINK.replace(HEX, HEX * 2 + "00"), "has not 32 to 64 digits"),
        (LINK.replace(HEX, HEX[1:]), "not hexadecimal"),
        (LINK.replace(HEX, "xy" + HEX[2:]), "not hexadecimal"),
        (LINK.replace(HEX, " " + HEX[:-1]), "not hexadecimal"),
        (LINK + "&" + "a" * 1_024, "too long"),
    ],
)
def test_what_is_no_link_is_refused_with_the_reason(text, why):
    with pytest.raises(LinkBad, match=why):
        Link.parse(text)


@given(st.text(max_size=100))
def test_any_text_is_a_link_or_refused(text):
    for candidate in (text, f"lair://{text}", f"lair://h/i/{CODE}?{text}", f"lair://h/i/{text}"):
        try:
            link = Link.parse(candidate)
        except LinkBad:
            continue
        assert Link.parse(link.format()) == link


@given(st.binary(min_size=17, max_size=17))
def test_an_invite_code_keeps_130_bits(random):
    code = invite_code(random)
    assert parse_code(code) == code
    value = 0
    for char in reversed(code):
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(char)
    assert value == int.from_bytes(random, "big") % 2**130


@pytest.mark.parametrize("size", [0, 16, 18])
def test_an_invite_code_takes_seventeen_random_bytes(size):
    with pytest.raises(ValueError, match="17 random bytes"):
        invite_code(bytes(size))


def test_misread_letters_of_a_code_are_put_right():
    assert parse_code("oO iI lL 0123456789ABCDEFGHJK") == "00" + "11" * 2 + "0123456789ABCDEFGHJK"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("chat.example.org", "chat.example.org", 7023),
        ("CHAT.example.org.", "chat.example.org.", 7023),
        ("localhost:99", "localhost", 99),
        ("192.0.2.7:65535", "192.0.2.7", 65_535),
        ("[::1]", "::1", 7023),
        ("[2001:db8:0:0::7]:1", "2001:db8::7", 1),
        ("under_score.example", "under_score.example", 7023),
        ("xn--caf-dma.example", "xn--caf-dma.example", 7023),
        (f"{'a' * 63}.example", f"{'a' * 63}.example", 7023),
    ],
)
def test_addresses(text, host, port):
    assert parse_address(text) == (host, port)
    assert parse_address(format_address(host, port)) == (host, port)


def test_the_port_may_have_another_default():
    assert parse_address("localhost", 7024) == ("localhost", 7024)
    assert parse_address("[::1]", 7024) == ("::1", 7024)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no host"),
        (":7023", "no host"),
        ("::1", "needs brackets"),
        ("[::1", "written"),
        ("[::1]7023", "written"),
        ("[fe80::1%eth0]", "no IPv6 address"),
        ("[127.0.0.1]", "no IPv6 address"),
        ("[]", "no IPv6 address"),
        ("[::1]:", "a port is a number"),
        ("host:", "a port is a number"),
        ("host:0", "a port is a number"),
        ("host:65536", "a port is a number"),
        ("host:-1", "a port is a number"),
        ("host: 1", "a port is a number"),
        ("host:1_0", "a port is a number"),
        ("host:\u0661", "a port is a number"),
        ("host:\u00b2", "a port is a number"),
        (f"host:{'9' * 5000}", "a port is a number"),
        ("-oProxyCommand=x", "empty or too long"),
        ("a..b", "empty or too long"),
        (".", "empty or too long"),
        ("a-.b", "empty or too long"),
        (f"{'a' * 64}.b", "empty or too long"),
        ("a." * 127, "too long"),
        ("a b", "letters, digits and dashes"),
        ("caf\u00e9.example", "letters, digits and dashes"),
        ("alice@host", "letters, digits and dashes"),
        ("host/path", "letters, digits and dashes"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text, why):
    with pytest.raises(AddressBad, match=why):
        parse_address(text)


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text):
    try:
        host, port = parse_address(text)
    except AddressBad:
        return
    assert parse_address(format_address(host, port)) == (host, port)
