"""A signature is for one purpose, and by somebody who could not have made it for anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.trust import signing
from lairchat.trust.errors import SignatureError
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey, check_key, check_signature, digest, labelled

KEY = SigningKey(SecretBytes(bytes(range(32))))
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def add(one, other):
    """Add two points of the curve of RFC 8032 section 5.1, affine and slow."""
    (x1, y1), (x2, y2) = one, other
    both = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + both, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P,
    )


def x_of(y):
    """Return an x for this y, or None (RFC 8032 section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return None if (x * x - square) % P else x


def small_order_points():
    """Find all points of small order: any point times the order of the prime-order subgroup."""
    order = 2**252 + 27742317777372353535851937790883648493
    y = 2
    found = set()
    while len(found) < 8:
        y += 1
        if (x := x_of(y)) is None:
            continue
        total, step, count = (0, 1), (x, y), order
        while count:
            if count & 1:
                total = add(total, step)
            step, count = add(step, step), count >> 1
        found.add(total)
    return found


def test_every_point_of_small_order_is_refused():
    ys = {y for _x, y in small_order_points()}
    encodings = {y + more for y in ys for more in (0, P) if y + more < 2**255}
    assert {number.to_bytes(32, "little") for number in encodings} == signing._SMALL_ORDER
    for number in encodings:
        for sign in (0, 1 << 255):
            with pytest.raises(SignatureError, match="small order"):
                check_key((number | sign).to_bytes(32, "little"))


def test_a_key_of_small_order_would_sign_anything():
    # Why it is refused: with A and R the neutral element and S zero, the equation holds.
    neutral = b"\1" + bytes(31)
    forged = neutral + bytes(32)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(neutral).verify(forged, b"I owe you the house")
    with pytest.raises(SignatureError, match="small order"):
        check_signature(neutral, b"debt", b"I owe you the house", forged)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_other_sizes_are_no_keys(size):
    with pytest.raises(SignatureError, match="is 32 bytes"):
        check_key(bytes(size))
    with pytest.raises(ValueError, match="32"):
        SigningKey(SecretBytes(bytes(size)))


@given(
    st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80)
)
def test_two_labelled_contents_are_the_same_only_if_both_parts_are(a, b, c, d):
    assert (labelled(a, b) == labelled(c, d)) == ((a, b) == (c, d))
    assert (digest(a, b) == digest(c, d)) == ((a, b) == (c, d))


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 511))
def test_a_signature_fits_its_label_its_content_and_its_key(label, content, bit):
    signature = KEY.sign(label, content)
    check_signature(KEY.public, label, content, signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    other = SigningKey(SecretBytes(bytes(32)))
    for wrong in (
        (KEY.public, label + b"!", content, signature),
        (KEY.public, label, content + b"!", signature),
        (other.public, label, content, signature),
        (KEY.public, label, content, bytes(flipped)),
        (KEY.public, label, content, signature[:-1]),
        (KEY.public, label, content, b""),
    ):
        with pytest.raises(SignatureError):
            check_signature(*wrong)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=70))
def test_any_key_and_signature_are_refused_with_our_error(public, signature):
    with pytest.raises(SignatureError):
        check_signature(public, b"label", b"content", signature)


def test_the_private_key_is_not_shown():
    assert bytes(range(32)).hex()[:16] not in repr(KEY)
    assert KEY.public.hex()[:8] in repr(KEY)
