"""Bytes from anywhere: only this library's error comes out, in bounded time and memory (RFC 9420 section 6)."""

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lairchat.mls.codec import Struct, length, opaque
from lairchat.mls.errors import MalformedError, MLSError
from lairchat.mls.group import Group
from lairchat.mls.joining import join, join_external
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    GroupInfo,
    GroupSecrets,
    KeyPackageMessage,
    PrivateMessage,
    PublicMessage,
    Reader,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    Add,
    Commit,
    ExternalPsk,
    GroupContextExtensions,
    KeyPackage,
    LeafNode,
    PreSharedKey,
    PreSharedKeyId,
    ReInit,
    Remove,
    UpdatePath,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import check_key_package
from lairchat.mls.suites import HYBRID, Suite
from tests.mls.people import FAST, external_senders, members, person

OWN = {suite.id: person("new", suite) for suite in (FAST, HYBRID)}
STRUCTS: tuple[type[Struct], ...] = (
    Commit, GroupInfo, GroupSecrets, KeyPackage, LeafNode, UpdatePath, Welcome, PrivateMessage,
)  # fmt: skip


@lru_cache(maxsize=2)
def _samples(suite: Suite = FAST) -> dict[str, bytes]:
    """Return a valid message of every kind, for member 1 or for a newcomer."""
    groups, own = members(4, suite, (external_senders(b"k"),), 1), OWN[suite.id]
    alice = groups[0]
    psk = PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), bytes(suite.hash_size)))
    proposals = {
        "add": Add(own.package),
        "remove": Remove(2),
        "psk": psk,
        "reinit": ReInit(b"next", 1, suite.id, ()),
        "gce": GroupContextExtensions((external_senders(b"k", b"l"),)),
    }
    added = alice.commit(os.urandom, proposals=[Add(own.package)], with_tree=True)
    assert added.welcome is not None
    info = alice.group_info(with_tree=True)
    return {
        "application": alice.encrypt(b"hello", os.urandom)[0],
        "commit": added.message,
        "private commit": alice.commit(os.urandom, private=True).message,
        "external commit": join_external(info, own, os.urandom, remove=2).message,
        "update": alice.propose_update(os.urandom)[0],
        "private proposal": alice.propose(Remove(2), os.urandom, private=True)[0],
        "welcome": added.welcome,
        "group info": encode_message(info),
        "key package": encode_message(KeyPackageMessage(own.package)),
        **{name: alice.propose(found, os.urandom)[0] for name, found in proposals.items()},
    }


def _use(data: bytes, suite: Suite = FAST) -> None:
    """Do with a message what anybody might: a member, a newcomer, a delivery service."""
    group = members(4, suite, (external_senders(b"k"),), 1)[1]
    message = decode_message(data)
    assert encode_message(message) == data
    for use in _uses(group, message):
        use()


def _uses(group: Group, message: object) -> Iterator[Callable[[], object]]:
    match message:
        case PrivateMessage():
            yield lambda: _one_of(
                lambda: group.decrypt(message),
                lambda: group.receive_proposal(message),
                lambda: group.receive_commit(message),
            )
        case PublicMessage(content):
            # A delivery service sees neither membership nor confirmation.
            for call in (group.public.propose, group.public.follow):
                with suppress(MLSError):
                    call(content)
            yield lambda: _one_of(
                lambda: group.receive_proposal(message),
                lambda: group.receive_commit(message, lambda _: b"k"),
            )
        case Welcome():
            yield lambda: join(message, OWN[group.suite.id])
        case GroupInfo():
            yield lambda: join_external(message, OWN[group.suite.id], os.urandom)
        case KeyPackageMessage(package):
            yield lambda: check_key_package(group.suite, package, (), 1)


def _one_of(*calls: Callable[[], object]) -> None:
    """Do all; raise the library's error if none of them went well."""
    wrong = []
    for call in calls:
        try:
            call()
        except MLSError as error:
            wrong.append(error)
    if len(wrong) == len(calls):
        raise wrong[-1]


def _only_ours(data: bytes, suite: Suite = FAST) -> bool:
    """Tell whether bytes were refused; anything but the library's error comes through."""
    try:
        _use(data, suite)
    except MLSError:
        return True
    return False


@pytest.mark.parametrize("suite", [FAST, HYBRID], ids=["fast", "hybrid"])
@pytest.mark.parametrize("name", _samples())
def test_samples_are_good(name: str, suite: Suite) -> None:
    assert not _only_ours(_samples(suite)[name], suite)


@pytest.mark.parametrize("name", _samples())
def test_a_message_that_ends_anywhere_is_refused(name: str) -> None:
    sent = _samples()[name]
    for end in range(len(sent)):
        assert _only_ours(sent[:end]), end
    assert _only_ours(sent + b"\0")


@pytest.mark.parametrize("name", _samples())
def test_a_message_with_a_bit_flipped_anywhere_is_refused(name: str) -> None:
    sent = _samples()[name]
    for offset in range(len(sent)):
        bent = bytearray(sent)
        bent[offset] ^= 1 << (offset % 8)
        assert _only_ours(bytes(bent)), offset


@pytest.mark.parametrize("name", _samples())
def test_a_message_with_a_length_that_lies_is_refused(name: str) -> None:
    sent = _samples()[name]
    for offset in range(4, min(len(sent), 400)):
        for lie in (b"\xbf\xff\xff\xff", b"\xff", b"\x7f\xff", b"\0"):
            bent = sent[:offset] + lie + sent[offset + len(lie) :]
            if bent != sent:
                assert _only_ours(bent), offset


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(_samples())), st.data())
def test_messages_cut_and_pasted_from_others_are_refused(name: str, data: st.DataObject) -> None:
    sent = _samples(HYBRID)[name]
    other = _samples(HYBRID)[data.draw(st.sampled_from(sorted(_samples())))]
    here, there = data.draw(st.integers(4, len(sent))), data.draw(st.integers(0, len(other)))
    size = data.draw(st.integers(0, 1300))
    bent = sent[:here] + other[there : there + size] + sent[here + size :]
    if bent not in _samples(HYBRID).values():
        assert _only_ours(bent, HYBRID)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 6), st.binary(max_size=300))
@example(1, b"")
def test_random_bytes_are_refused(kind: int, body: bytes) -> None:
    assert _only_ours(b"\0\1\0" + bytes([kind]) + body)
    assert _only_ours(body)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STRUCTS), st.binary(max_size=120))
def test_what_is_read_is_written_the_same(struct: type[Struct], data: bytes) -> None:
    try:
        found = struct.decode(data)
    except MalformedError:
        return
    assert Struct.encode(found) == data


def test_a_message_is_of_this_version() -> None:
    for version in (0, 2, 0xFFFF):
        with pytest.raises(MalformedError, match="not MLS"):
            decode_message(version.to_bytes(2, "big") + _samples()["key package"][2:])


def test_authenticated_content_is_of_one_of_two_ways() -> None:
    public = decode_message(_samples()["remove"])
    assert isinstance(public, PublicMessage)
    data = public.authenticated.encode()
    assert AuthenticatedContent.read(Reader(data)) == public.authenticated
    assert public.authenticated.wire_format == PUBLIC_MESSAGE
    with pytest.raises(MalformedError):
        AuthenticatedContent.read(Reader(b"\0\3" + data[2:]))


SIZE = 1 << 17


def _hostile() -> Iterator[tuple[str, bytes]]:
    """Give what asks for as much work as it can."""
    size = SIZE
    head = b"\0\1\0\1" + opaque(b"sixteen bytes id") + bytes(8) + b"\1" + bytes(4) + opaque(b"")
    yield "a claim of a gigabyte", b"\0\1\0\3\0\1\xbf\xff\xff\xff" + bytes(size)
    yield "references", head + b"\3" + opaque(b"\2\0" * (size // 2)) + b"\0"
    yield "removes", head + b"\3" + opaque(b"\1\0\3" + bytes(4)) + b"\0"
    many = b"".join(b"\1\0\3" + n.to_bytes(4, "big") for n in range(size // 7))
    yield "many removes", head + b"\3" + opaque(many) + b"\0"
    yield "extensions", head + b"\2\0\7" + opaque(b"\0\1\0" * (size // 3))
    yield (
        "certificates",
        b"\0\1\0\5" + b"\0\1\0\1" + opaque(b"") * 3 + b"\0\2" + opaque(bytes(size)),
    )
    yield "psks", head + b"\3" + opaque((b"\1\0\4\1\0" + opaque(bytes(32))) * (size // 40)) + b"\0"
    yield "a welcome for all", b"\0\1\0\3\0\1" + opaque((b"\0" * 3) * (size // 3)) + b"\0"


HOSTILE = dict(_hostile())


@pytest.mark.parametrize("name", HOSTILE)
def test_much_that_is_hostile_takes_bounded_time_and_memory(name: str) -> None:
    _bounded(lambda: _only_ours(HOSTILE[name]))


@pytest.mark.parametrize("byte", [b"\0", b"\1", b"\1\1", b"\1\2"])
def test_much_of_a_tree_takes_bounded_time_and_memory(byte: bytes) -> None:
    data = byte * (SIZE // len(byte))

    def read() -> bool:
        with pytest.raises(MalformedError):
            RatchetTree.decode(FAST, length(len(data)) + data)
        return True

    _bounded(read)


def _bounded(refused: Callable[[], bool]) -> None:
    """Assert that input is refused soon, and in some times its size."""
    _samples()
    started = time.process_time()
    assert refused()
    assert time.process_time() - started < 10  # a fifth of a second on an idle machine
    tracemalloc.start()
    try:
        refused()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * SIZE
