"""A client's own key packages, and others' that are not what they should be (RFC 9420 sections 10, 7.2)."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from lairchat.mls.errors import InvalidError
from lairchat.mls.keypackages import OwnKeyPackage, capabilities_of, make_key_package
from lairchat.mls.messages import KeyPackageMessage, decode_message, encode_message
from lairchat.mls.objects import (
    REQUIRED_CAPABILITIES,
    BasicCredential,
    Capabilities,
    Extension,
    FromUpdate,
    KeyPackage,
    LeafNode,
    Lifetime,
    RequiredCapabilities,
    X509Credential,
)
from lairchat.mls.rules import check_key_package
from lairchat.mls.suites import HYBRID, Suite
from tests.mls.people import ALWAYS, FAST, person


def test_a_key_package_travels_and_is_acceptable() -> None:
    own = person("alice")
    read = decode_message(encode_message(KeyPackageMessage(own.package)))
    assert isinstance(read, KeyPackageMessage)
    check_key_package(HYBRID, read.key_package, (), now=1)
    assert read.key_package.reference(HYBRID) == own.reference


def test_keys_are_new_each_time_and_fit() -> None:
    own, again = person("alice"), person("alice")
    assert own.init_key != again.init_key
    assert own.encryption_key != again.encryption_key
    assert HYBRID.hpke_public(own.init_key) == own.package.init_key
    assert HYBRID.hpke_public(own.encryption_key) == own.package.leaf.encryption_key
    for secret in (own.init_key, own.encryption_key):
        assert secret not in own.package.encode()
        assert repr(secret) not in repr(own)


def _leaf(change: Callable[[LeafNode], LeafNode]) -> Callable[[OwnKeyPackage, Suite], KeyPackage]:
    """Change the leaf and sign all anew, as its owner can."""

    def bend(own: OwnKeyPackage, suite: Suite) -> KeyPackage:
        leaf = change(own.package.leaf).sign(suite, own.signing_key)
        return replace(own.package, leaf=leaf).sign(suite, own.signing_key)

    return bend


def _package(**parts: object) -> Callable[[OwnKeyPackage, Suite], KeyPackage]:
    return lambda own, suite: replace(own.package, **parts).sign(suite, own.signing_key)


def _can(**parts: object) -> Callable[[OwnKeyPackage, Suite], KeyPackage]:
    return _leaf(lambda leaf: replace(leaf, capabilities=replace(leaf.capabilities, **parts)))


LIES = {
    "version": (_package(version=2), "another version"),
    "suite": (_package(cipher_suite=2), "another version or cipher suite"),
    "init key": (_package(init_key=b"x"), "not a public key|X-Wing has"),
    "one key twice": (
        lambda own, suite: replace(own.package, init_key=own.package.leaf.encryption_key).sign(
            suite, own.signing_key
        ),
        "uses one key twice",
    ),
    "extension twice": (
        _package(extensions=(Extension(1, b""), Extension(1, b""))),
        "is there twice",
    ),
    "extension of another kind": (_package(extensions=(Extension(99, b""),)), "does not support"),
    "signature": (lambda own, suite: replace(own.package, signature=b""), "does not verify"),
    "signature of another": (
        lambda own, suite: own.package.sign(suite, suite.generate_signature_key()),
        "does not verify",
    ),
    "leaf's signature": (
        lambda own, suite: replace(
            own.package, leaf=replace(own.package.leaf, signature=bytes(64))
        ).sign(suite, own.signing_key),
        "does not verify",
    ),
    "source": (_leaf(lambda leaf: replace(leaf, source=FromUpdate())), "comes from elsewhere"),
    "encryption key": (_leaf(lambda leaf: replace(leaf, encryption_key=b"")), "public key"),
    "leaf extension": (
        _leaf(lambda leaf: replace(leaf, extensions=(Extension(99, b""),))),
        "does not support",
    ),
    "leaf extension twice": (
        _leaf(lambda leaf: replace(leaf, extensions=(Extension(1, b""), Extension(1, b"")))),
        "is there twice",
    ),
    "versions": (_can(versions=(2,)), "cannot do"),
    "suites": (_can(cipher_suites=(2,)), "cannot do"),
    "credentials": (_can(credentials=(2,)), "own credential"),
    "credential": (
        _leaf(lambda leaf: replace(leaf, credential=X509Credential((b"c",)))),
        "own credential",
    ),
}


@pytest.mark.parametrize("suite", [HYBRID, FAST])
@pytest.mark.parametrize("name", LIES)
def test_a_key_package_that_is_not_what_it_should_be(name: str, suite: Suite) -> None:
    """Section 10.1 and 7.3; each is signed by its owner, who is the liar."""
    bend, match = LIES[name]
    bent = bend(person("liar", suite), suite)
    with pytest.raises(InvalidError, match=match):
        check_key_package(suite, KeyPackage.decode(bent.encode()), (), now=1)


def test_a_classical_key_package_is_not_for_a_hybrid_group() -> None:
    with pytest.raises(InvalidError, match="another version or cipher suite"):
        check_key_package(HYBRID, person("old", FAST).package, ())


@pytest.mark.parametrize(("now", "valid"), [(99, False), (100, True), (200, True), (201, False)])
def test_a_key_package_has_its_time(now: int, valid: bool) -> None:
    package = person("a", FAST, lifetime=Lifetime(100, 200)).package
    if valid:
        check_key_package(FAST, package, (), now)
    else:
        with pytest.raises(InvalidError, match="at this time"):
            check_key_package(FAST, package, (), now)
    check_key_package(FAST, package, ())


@pytest.mark.parametrize(
    "needed",
    [
        RequiredCapabilities((99,), (), ()),
        RequiredCapabilities((), (99,), ()),
        RequiredCapabilities((), (), (2,)),
    ],
)
def test_required_capabilities_are_there(needed: RequiredCapabilities) -> None:
    """Section 11.1."""
    asked = (Extension(REQUIRED_CAPABILITIES, needed.encode()),)
    with pytest.raises(InvalidError, match="lacks a required capability"):
        check_key_package(FAST, person("unable", FAST).package, asked)
    able = Capabilities((1,), (FAST.id,), (99,), (99,), (1, 2))
    check_key_package(FAST, person("able", FAST, capabilities=able).package, asked)


def test_what_the_rfc_defines_need_not_be_listed() -> None:
    """Section 7.2: default extensions and proposals go without saying."""
    needed = RequiredCapabilities((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6, 7), (1,))
    asked = (Extension(REQUIRED_CAPABILITIES, needed.encode()),)
    check_key_package(FAST, person("plain", FAST).package, asked)


def test_what_a_client_can_do_is_what_it_says() -> None:
    credential = BasicCredential(b"a")
    able = capabilities_of(HYBRID, credential, extensions=[7])
    assert able == Capabilities((1,), (HYBRID.id,), (7,), (), (1,))
    own = make_key_package(
        HYBRID,
        credential,
        HYBRID.generate_signature_key(),
        ALWAYS,
        os.urandom,
        capabilities=able,
        leaf_extensions=[Extension(7, b"leaf")],
        extensions=[Extension(7, b"package")],
    )
    check_key_package(HYBRID, own.package, (Extension(7, b"group"),), now=0)
