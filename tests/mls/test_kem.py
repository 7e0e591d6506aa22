"""Key encapsulation: what goes in comes out, and keys that are none are refused (RFC 9180 section 7.1)."""

import contextlib
import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls import kem
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.kem import Kem

KEMS = {"P256": kem.P256, "P384": kem.P384, "P521": kem.P521, "X25519": kem.X25519,
        "X448": kem.X448, "X-Wing": kem.XWING}  # fmt: skip
every = pytest.mark.parametrize("scheme", KEMS.values(), ids=KEMS)

# Points of low order, of which any shared secret is zero (RFC 7748 section 6).
LOW_25519 = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 19 - 1).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 19 + 1).to_bytes(32, "little"),
]


@every
def test_both_sides_share_a_secret(scheme: Kem) -> None:
    private = scheme.derive(os.urandom(64))
    assert len(private) == scheme.private_size
    public = scheme.public(private)
    scheme.check(public)
    secret, encapsulation = scheme.encapsulate(public)
    assert scheme.decapsulate(encapsulation, private) == secret
    again, other = scheme.encapsulate(public)
    assert again != secret
    assert other != encapsulation


@every
def test_keys_follow_from_their_material(scheme: Kem) -> None:
    assert scheme.derive(bytes(64)) == scheme.derive(bytes(64))
    assert scheme.derive(bytes(64)) != scheme.derive(bytes(63) + b"\1")


@every
def test_another_key_gives_another_secret(scheme: Kem) -> None:
    public = scheme.public(scheme.derive(os.urandom(64)))
    secret, encapsulation = scheme.encapsulate(public)
    with contextlib.suppress(InvalidError):  # some schemes can tell
        assert scheme.decapsulate(encapsulation, scheme.derive(os.urandom(64))) != secret


@every
def test_bytes_that_are_no_key_are_refused(scheme: Kem) -> None:
    private = scheme.derive(os.urandom(64))
    public = scheme.public(private)
    _, encapsulation = scheme.encapsulate(public)
    for length in {0, 1, 31, 33, len(public) - 1, len(public) + 1}:
        with pytest.raises(InvalidError):
            scheme.check(bytes(length))
        with pytest.raises(InvalidError):
            scheme.encapsulate(bytes(length))
    for length in {0, 1, 31, 33, len(encapsulation) - 1, len(encapsulation) + 1}:
        with pytest.raises(InvalidError):
            scheme.decapsulate(bytes(length), private)
    for length in {0, 1, scheme.private_size - 1, scheme.private_size + 1}:
        if isinstance(scheme, kem.DhKem) and 0 < length <= scheme.private_size:
            continue  # NIST curves take shorter numbers
        with pytest.raises(InvalidError):
            scheme.public(b"\xff" * length)


@every
def test_random_bytes_get_only_the_librarys_error_out(scheme: Kem) -> None:
    private = scheme.derive(bytes(64))
    sizes = len(scheme.public(private)), len(scheme.encapsulate(scheme.public(private))[1])
    for fill in (b"\0", b"\xff", b"\4", None):
        for _ in range(20 if fill is None else 1):
            public = os.urandom(sizes[0]) if fill is None else fill * sizes[0]
            sent = os.urandom(sizes[1]) if fill is None else fill * sizes[1]
            for call in (
                lambda public=public: scheme.encapsulate(public),
                lambda public=public: scheme.check(public),
                lambda sent=sent: scheme.decapsulate(sent, private),
            ):
                with contextlib.suppress(MLSError):
                    call()


@pytest.mark.parametrize("scheme", [kem.P256, kem.P384, kem.P521], ids=["P256", "P384", "P521"])
def test_points_off_the_curve_and_compressed_ones_are_refused(scheme: kem.DhKem) -> None:
    public = scheme.public(scheme.derive(bytes(64)))
    off = public[:-1] + bytes([public[-1] ^ 1])
    compressed = bytes([2 + (public[-1] & 1)]) + public[1 : 1 + len(public) // 2]
    hybrid = bytes([6 + (public[-1] & 1)]) + public[1:]
    for bad in (off, compressed, b"\0", b"\3" + public[1:], hybrid):
        with pytest.raises(InvalidError):
            scheme.encapsulate(bad)
        with pytest.raises(InvalidError):
            scheme.check(bad)


@pytest.mark.parametrize("point", LOW_25519)
def test_points_of_low_order_are_refused(point: bytes) -> None:
    with pytest.raises(InvalidError):
        kem.X25519.encapsulate(point)
    with pytest.raises(InvalidError):
        kem.X25519.decapsulate(point, kem.X25519.derive(bytes(32)))
    public = kem.XWING.public(bytes(32))
    _, sent = kem.XWING.encapsulate(public)
    with pytest.raises(InvalidError):
        kem.XWING.encapsulate(public[:1184] + point)
    with pytest.raises(InvalidError):
        kem.XWING.decapsulate(sent[:1088] + point, bytes(32))


def test_the_check_of_ml_kem_keys_is_made() -> None:
    """FIPS 203 section 7.2: coefficients are below the modulus."""
    public = kem.XWING.public(bytes(32))
    for bad in (b"\xff" * 1184 + public[1184:], b"\xff\xff\xff" + public[3:]):
        with pytest.raises(InvalidError):
            kem.XWING.check(bad)


@given(st.integers(0, 767), st.sampled_from([0, 3328, 3329, 4095]) | st.integers(0, 4095))
def test_the_check_of_ml_kem_keys_is_that_of_the_library(place: int, number: int) -> None:
    """FIPS 203 section 7.2, for each of the 768 numbers of 12 bits; the library's costs ten times."""
    public = kem.XWING.public(bytes(32))
    numbers = int.from_bytes(public[:1152], "little") & ~(0xFFF << 12 * place)
    public = (numbers | number << 12 * place).to_bytes(1152, "little") + public[1152:]
    fits = contextlib.nullcontext() if number < 3329 else pytest.raises(InvalidError)
    with fits:
        kem.XWING.check(public)
    with fits:
        kem.XWING.encapsulate(public)


def test_every_part_of_x_wing_counts() -> None:
    """Both secrets, the X25519 encapsulation and key are in the hash."""
    private = kem.XWING.derive(bytes(48))
    secret, sent = kem.XWING.encapsulate(kem.XWING.public(private))
    for offset in (0, 1087, 1088, 1118):
        bent = bytearray(sent)
        bent[offset] ^= 1
        assert kem.XWING.decapsulate(bytes(bent), private) != secret


def test_a_curve_on_which_no_key_can_be_derived_is_told() -> None:
    """RFC 9180 section 7.1.3: candidates are drawn until one fits, 256 at most."""
    nowhere = kem.DhKem(0x10, kem._Weierstrass(ec.SECP256R1(), 1, 0xFF), hashes.SHA256())
    with pytest.raises(InvalidError, match="no key pair"):
        nowhere.derive(bytes(32))
