"""Protection of what is sent, against outsiders and against insiders (RFC 9420 section 6)."""

import os
from dataclasses import replace

import pytest

from lairchat.mls import framing
from lairchat.mls.errors import (
    DecryptionError,
    EpochError,
    InvalidError,
    MalformedError,
    MisuseError,
    MLSError,
    ReplayError,
)
from lairchat.mls.group import Group
from lairchat.mls.messages import (
    APPLICATION,
    COMMIT,
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    ApplicationData,
    AuthenticatedContent,
    CommitContent,
    Member,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    SenderData,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import Commit, Remove
from lairchat.mls.secret_tree import Purpose
from tests.mls.people import FAST, content_of, forge, members, receive, seal


def _open(group: Group, message: PrivateMessage) -> object:
    return framing.open_private(group.suite, message, group.secrets.sender_data, group.keys)


def _sealed(group: Group, data: bytes, aad: bytes = b"aad") -> bytes:
    return group.encrypt(data, os.urandom, authenticated_data=aad, padding=40)[0]


def test_every_flipped_bit_is_refused_and_the_original_still_opens() -> None:
    alice, bob = members(2)
    sent = _sealed(alice, b"hello")
    for offset in range(len(sent)):
        for bit in range(8):
            bent = bytearray(sent)
            bent[offset] ^= 1 << bit
            with pytest.raises(MLSError):
                receive(bob, bytes(bent))
    received, _ = bob.decrypt(decode_message(sent))
    assert (received.data, received.sender) == (b"hello", 0)


def test_every_shortened_message_is_refused() -> None:
    alice, bob = members(2, FAST)
    for sent, take in (
        (_sealed(alice, b"hello"), bob.decrypt),
        (alice.propose(Remove(1), os.urandom)[0], bob.receive_proposal),
        (alice.commit(os.urandom).message, bob.receive_commit),
    ):
        for end in range(len(sent)):
            with pytest.raises(MLSError):
                take(decode_message(sent[:end]))
        take(decode_message(sent))


def test_a_private_message_says_nothing_of_its_sender() -> None:
    alice, bob = members(2, FAST)
    lengths = {len(_sealed(group, b"x")) for group in (alice, bob)}
    assert len(lengths) == 1


def test_an_insider_does_not_speak_for_another_and_costs_it_nothing() -> None:
    """Whoever holds the epoch's secrets has everybody's keys, but not their signatures."""
    groups = members(3)
    forged = seal(groups[2], content_of(groups[2], ApplicationData(b"I am 1"), Member(1)))
    with pytest.raises(InvalidError, match="does not verify"):
        groups[0].decrypt(forged)
    # The generation that it used is still there for the real sender.
    message, _ = groups[1].encrypt(b"I am", os.urandom)
    received, _ = groups[0].decrypt(decode_message(message))
    assert (received.sender, received.generation, received.data) == (1, 0, b"I am")


def test_an_unsigned_message_is_refused() -> None:
    alice, bob = members(2, FAST)
    content = AuthenticatedContent(
        PRIVATE_MESSAGE, content_of(alice, ApplicationData(b"unsigned")), b""
    )
    message, _ = framing.protect_private(FAST, content, alice.secrets, alice.keys, os.urandom)
    with pytest.raises(InvalidError, match="does not verify"):
        bob.decrypt(message)


def test_a_signature_is_for_one_way_of_travelling() -> None:
    """Section 6.1: the wire format is signed, so a private message is not shown in the clear."""
    alice, bob = members(2, FAST)
    sent = decode_message(alice.propose(Remove(1), os.urandom, private=True)[0])
    content, _, _ = _open(bob, sent)  # type: ignore[misc]
    content = replace(content, wire_format=PUBLIC_MESSAGE)
    shown = framing.protect_public(FAST, content, bob.secrets, bob.context)
    with pytest.raises(InvalidError, match="does not verify"):
        bob.receive_proposal(decode_message(encode_message(shown)))


def test_padding_is_zero_and_of_any_length() -> None:
    """Section 6.3.1."""
    alice, bob = members(2, FAST)
    framed = content_of(alice, ApplicationData(b"x"))
    for padding in (0, 1, 1000):
        assert bob.decrypt(seal(alice, framed, padding=padding))[0].data == b"x"
    # As if the sender had put something there: content of another length, the same signature.
    message = seal(alice, framed, padding=9)
    content, _, _ = _open(bob, message)  # type: ignore[misc]
    generation, key, _ = alice.keys.next_key(0, Purpose.APPLICATION)
    plaintext = content.framed.content.encode() + content.auth() + bytes(8) + b"\1"
    guard = bytes(4)
    ciphertext = FAST.aead.seal(key.key, key.nonce, message.content_aad(), plaintext)
    sealing = framing.sender_data_key(FAST, alice.secrets.sender_data, ciphertext)
    sender = SenderData(0, generation, guard).encode()
    sealed = FAST.aead.seal(sealing.key, sealing.nonce, message.sender_data_aad(), sender)
    lie = replace(message, encrypted_sender_data=sealed, ciphertext=ciphertext)
    with pytest.raises(MalformedError, match="padding"):
        bob.decrypt(lie)


def test_the_reuse_guard_keeps_two_copies_of_a_state_from_one_nonce() -> None:
    """Section 6.3.1: it is the first four bytes of the nonce that differ, and the rest is the key's."""
    _, key, _ = members(1, FAST)[0].keys.next_key(0, Purpose.APPLICATION)
    guarded = framing._guarded(key, b"\xff\0\0\1")
    assert guarded[:4] == bytes(a ^ b for a, b in zip(key.nonce[:4], b"\xff\0\0\1", strict=True))
    assert guarded[4:] == key.nonce[4:]
    assert len(guarded) == 12


@pytest.mark.parametrize("kind", [0, 4, 255])
def test_there_are_three_kinds_of_content(kind: int) -> None:
    alice, bob = members(2, FAST)
    message = decode_message(_sealed(alice, b"x"))
    with pytest.raises(MalformedError, match="no content type"):
        bob.decrypt(replace(message, content_type=kind))


def test_a_kind_of_content_is_authenticated() -> None:
    alice, bob = members(2, FAST)
    message = replace(decode_message(_sealed(alice, b"x")), content_type=COMMIT)
    with pytest.raises(DecryptionError):
        bob.receive_commit(message)


def test_application_data_is_not_taken_in_the_clear() -> None:
    alice, bob = members(2, FAST)
    content = AuthenticatedContent(1, content_of(alice, ApplicationData(b"clear")), b"")
    with pytest.raises(MisuseError):
        framing.protect_public(FAST, content, alice.secrets, alice.context)
    signed = content.sign(FAST, alice.signing_key, alice.context)
    tag = FAST.mac(alice.secrets.membership, signed.to_be_signed(alice.context) + signed.auth())
    for take in (bob.receive_proposal, bob.receive_commit):
        with pytest.raises(InvalidError, match="in the clear"):
            take(decode_message(encode_message(PublicMessage(signed, tag))))


def test_a_membership_tag_is_no_outsiders() -> None:
    """Section 6.2: a stolen signature key alone, at a delivery service say, gets nothing in."""
    alice, bob = members(2, FAST)
    good = forge(alice, content_of(alice, ProposalContent(Remove(1))))
    with pytest.raises(InvalidError, match="membership tag"):
        bob.receive_proposal(replace(good, membership_tag=bytes(32)))
    with pytest.raises(InvalidError, match="membership tag"):
        bob.receive_proposal(replace(good, membership_tag=b""))
    with pytest.raises(InvalidError, match="lacks its tag"):
        bob.receive_proposal(replace(good, membership_tag=None))
    bob.receive_proposal(good)


def test_sender_data_that_is_no_sender_data_is_refused() -> None:
    alice, bob = members(2, FAST)
    message = decode_message(_sealed(alice, b"x"))
    for data in (b"", bytes(11), bytes(13)):
        sealing = framing.sender_data_key(FAST, alice.secrets.sender_data, message.ciphertext)
        sealed = FAST.aead.seal(sealing.key, sealing.nonce, message.sender_data_aad(), data)
        with pytest.raises(MalformedError):
            bob.decrypt(replace(message, encrypted_sender_data=sealed))
    for sealed in (b"", bytes(15), bytes(40)):
        with pytest.raises(DecryptionError):
            bob.decrypt(replace(message, encrypted_sender_data=sealed))


def test_content_that_is_none_of_its_kind_is_refused() -> None:
    alice, bob = members(2, FAST)

    class Bent(ApplicationData):
        def encode(self) -> bytes:
            return b"\x05x"

    with pytest.raises(MalformedError):
        bob.decrypt(seal(alice, content_of(alice, Bent(b""))))
    bent = seal(alice, content_of(alice, CommitContent(Commit((), None))))
    with pytest.raises(MLSError):
        bob.decrypt(replace(bent, content_type=APPLICATION))


@pytest.mark.parametrize("part", [{"epoch": 2}, {"group_id": b"another"}])
def test_a_message_of_another_epoch_or_group_is_told_apart(part: dict[str, object]) -> None:
    alice, bob = members(2, FAST)
    message = replace(decode_message(_sealed(alice, b"x")), **part)
    with pytest.raises(EpochError):
        bob.decrypt(message)
    with pytest.raises(EpochError):
        bob.receive_commit(message)


def test_a_handshake_in_private_takes_a_key_once() -> None:
    groups = members(3, FAST)
    message, proposer = groups[2].propose(Remove(1), os.urandom, private=True)
    read = decode_message(message)
    _, heard = groups[0].receive_proposal(read)
    with pytest.raises(ReplayError):
        heard.receive_proposal(read)
    # Sending is no different: the next one is under the next key.
    assert proposer.keys.generation(2, Purpose.HANDSHAKE) == 1
    assert proposer.keys.generation(2, Purpose.APPLICATION) == 0
    committed = heard.commit(os.urandom, private=True)
    assert committed.before is not None
    assert committed.before.keys.generation(0, Purpose.HANDSHAKE) == 1
    # Handshakes are no application data, and the reverse.
    with pytest.raises(InvalidError, match="not application data"):
        groups[0].decrypt(read)
    with pytest.raises(InvalidError, match="not a proposal"):
        groups[1].receive_proposal(decode_message(_sealed(groups[0], b"x")))
