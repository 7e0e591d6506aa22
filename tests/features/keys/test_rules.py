"""Which keys are taken, however they are written; and that nothing else is."""

import base64
import struct

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.keys.rules import digest_of, fingerprint, parse
from lairchat.model import limits
from lairchat.model.refusals import SshKeyBad


def line_of(private):
    public = private.public_key()
    return public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def line(*fields, kind=None):
    """Write a key of any fields."""
    blob = b"".join(struct.pack(">I", len(one)) + one for one in fields)
    return f"{(kind or fields[0]).decode()} {base64.b64encode(blob).decode()}"


ED25519 = line_of(ed25519.Ed25519PrivateKey.generate())
POINT = b"\4" + bytes(64)
GOOD = [
    ED25519,
    *(
        line_of(ec.generate_private_key(curve()))
        for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
    ),
    line_of(rsa.generate_private_key(65537, 2048)),
    line(b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"),
    line(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:"),
]


@pytest.mark.parametrize("text", GOOD, ids=[text.split()[0] for text in GOOD])
def test_the_kinds_that_openssh_makes(text):
    key = parse(f"# comment\n\n  {text} alice@desk \r\n")
    assert (key.kind, key.comment) == (text.split()[0], "alice@desk")
    assert key.digest == digest_of(base64.b64decode(text.split()[1]))


def test_the_fingerprint_is_the_one_that_openssh_shows():
    # RFC 8032's first test key; the fingerprint was made with ssh-keygen -lf.
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    expected = "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8"
    assert fingerprint(parse(f"ssh-ed25519 {blob}").digest) == expected


BAD = {
    "it has 0 lines": "",
    "it has 2 lines": f"{ED25519}\n{ED25519}",
    "does not begin": "ssh-ed25519",
    "does not begin ": "ssh-ed25519 AAAA",
    "does not begin  ": f"restrict {ED25519}",
    "does not begin   ": f'command="sh" {ED25519}',
    "does not begin    ": ED25519.replace("ssh-ed25519", "ssh-rsa", 1),
    "does not begin     ": "ssh-ed25519 \u212aAAA",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
    "it is damaged": line(b"ssh-ed25519", bytes(31)),
    "it is damaged ": line(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(64)),
    "it is damaged  ": line(b"ecdsa-sha2-nistp384", b"nistp384", POINT),
    "it is damaged   ": line(b"ecdsa-sha2-nistp256", b"nistp256", b""),
    "not known": line(b"ecdsa-sha2-nistp256", b"nistp384", POINT),
    "not known ": line(b"ssh-ed25519", bytes(32), b"more"),
    "not known  ": line(b"ssh-ed25519-cert-v01@openssh.com", bytes(32)),
    "not 1024": line(b"ssh-rsa", b"\1\0\1", b"\x80" + bytes(127)),
    "not 16384": line(b"ssh-rsa", b"\1\0\1", b"\x80" + bytes(2047)),
    "too weak": line(b"ssh-dss", bytes(128), bytes(20), bytes(128), bytes(128)),
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_no_key_is_refused_with_a_reason(why):
    with pytest.raises(SshKeyBad) as refused:
        parse(BAD[why])
    assert why.strip() in refused.value.text
    assert refused.value.field == "$.key"


def test_comments_are_made_safe_and_cut():
    key = parse(f"{ED25519} \x1b]0;owned\x07{'x' * 100}")
    assert key.comment.isprintable()
    assert len(key.comment) == limits.LABEL_CHARS


@given(
    st.text(max_size=200)
    | st.binary(max_size=200).map(lambda data: f"ssh-ed25519 {base64.b64encode(data).decode()}")
)
def test_nothing_that_strangers_write_gets_further_than_a_refusal(text):
    try:
        key = parse(text)
    except SshKeyBad:
        return
    assert key.kind in text


@given(st.integers(0, 50), st.integers(0, 255))
def test_a_changed_byte_makes_another_key_or_none(place, value):
    blob = bytearray(base64.b64decode(ED25519.split()[1]))
    before = blob[place]
    blob[place] = value
    text = f"ssh-ed25519 {base64.b64encode(bytes(blob)).decode()}"
    if value == before:
        assert parse(text).digest == parse(ED25519).digest
    elif place >= 19:
        assert parse(text).digest != parse(ED25519).digest
    else:
        with pytest.raises(SshKeyBad):
            parse(text)
