"""What proves that somebody said something: the signature, in that group, epoch and place, and nothing else."""

import os
from dataclasses import replace

import pytest

from lairchat.features.reports import rules
from lairchat.features.reports.rules import Statement
from lairchat.mls.group import Group
from lairchat.mls.messages import (
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    ApplicationData,
    AuthenticatedContent,
    Content,
    External,
    Member,
    PrivateMessage,
    ProposalContent,
    Sender,
    decode_message,
)
from lairchat.mls.objects import Commit, Remove
from lairchat.model import limits, refusals
from tests.mls.people import CommitContent, content_of, members, settle

SAID = b"I know where you live"


def of(group: Group, place: int) -> tuple[bytes, bytes, bytes]:
    """Return what a server has kept of a group's epoch: its id, the context, and a leaf's key."""
    key = group.public.tree.member(place).signature_key
    return group.context.group_id, group.context.encode(), key


def received(data: bytes = SAID) -> tuple[bytes, tuple[Group, ...]]:
    """Return what member 2 keeps of a message of member 1, as it came."""
    groups = members(3, times=1)
    message, _ = groups[1].encrypt(data, os.urandom, padding=40)
    private = decode_message(message)
    assert isinstance(private, PrivateMessage)
    found, _ = groups[2].decrypt(private)
    return found.content.encode(), groups


def made(
    group: Group,
    inner: Content,
    *,
    wire_format: int = PRIVATE_MESSAGE,
    sender: Sender | None = None,
    **framed: object,
) -> bytes:
    """Return content that a member signs as it likes."""
    content = replace(content_of(group, inner, sender), **framed)
    tag = bytes(48) if isinstance(inner, CommitContent) else None
    unsigned = AuthenticatedContent(wire_format, content, b"", tag)
    return unsigned.sign(group.suite, group.signing_key, group.context).encode()


def refused(said: Statement, group_id: bytes, context: bytes, key: bytes) -> None:
    with pytest.raises(refusals.ReportUnproven):
        rules.require_signed(said, group_id, context, key)


def test_what_came_is_proven() -> None:
    """RFC 9420, 6.1: the signature covers the wire format, the content with its sender, and the context."""
    data, groups = received()
    said = rules.statement(data)
    assert (said.leaf, said.data, said.epoch) == (1, SAID, groups[0].context.epoch)
    rules.require_signed(said, *of(groups[0], 1))


def test_forged_words_are_not() -> None:
    data, groups = received()
    said = rules.statement(data.replace(SAID, SAID[::-1]))
    assert said.data == SAID[::-1]
    refused(said, *of(groups[0], 1))


def test_no_single_bit_of_it_may_be_another() -> None:
    data, groups = received()
    for place in range(len(data)):
        other = bytearray(data)
        other[place] ^= 1
        with pytest.raises(refusals.ReportUnproven):
            rules.require_signed(rules.statement(bytes(other)), *of(groups[0], 1))


def test_it_is_nobody_else_s() -> None:
    data, groups = received()
    refused(rules.statement(data), *of(groups[0], 0))


def test_an_insider_signs_for_itself_alone() -> None:
    """Somebody who has all secrets of the epoch signs with the own key as if from another place."""
    _, groups = received()
    said = rules.statement(made(groups[2], ApplicationData(SAID), sender=Member(1)))
    refused(said, *of(groups[2], 1))
    # The server takes the key of the place that is named: nobody is found by trying keys.
    rules.require_signed(said, *of(groups[2], 2))


def test_it_proves_nothing_in_another_room_or_epoch() -> None:
    data, groups = received()
    said = rules.statement(data)
    group_id, context, key = of(groups[0], 1)
    refused(said, b"another sixteen.", context, key)
    later = settle(groups, groups[0].commit(os.urandom), 0)[1]
    refused(said, group_id, later.context.encode(), key)


@pytest.mark.parametrize("changed", [{"group_id": b"another sixteen."}, {"epoch": 1}])
def test_what_says_of_itself_that_it_is_from_elsewhere_is_refused_though_it_is_signed(
    changed: dict[str, object],
) -> None:
    _, groups = received()
    said = rules.statement(made(groups[1], ApplicationData(SAID), **changed))
    refused(said, *of(groups[1], 1))


def test_a_signature_of_a_public_message_is_none_of_a_private_one() -> None:
    _, groups = received()
    data = made(groups[1], ApplicationData(SAID), wire_format=PUBLIC_MESSAGE)
    with pytest.raises(refusals.ReportUnproven):
        rules.statement(data)
    refused(rules.statement(PRIVATE_MESSAGE.to_bytes(2, "big") + data[2:]), *of(groups[1], 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\2",
        b"rubbish" * 9,
        received()[0][:-1],
        received()[0] + b"\0",
        made(members(2)[0], ProposalContent(Remove(1))),
        made(members(2)[0], CommitContent(Commit((), None))),
        made(members(2)[0], ApplicationData(SAID), sender=External(0)),
        made(members(2)[0], ApplicationData(SAID), epoch=limits.INTEGER_MAX + 1),
    ],
)
def test_what_is_no_message_of_a_member_is_refused(data: bytes) -> None:
    with pytest.raises(refusals.ReportUnproven):
        rules.statement(data)


def test_so_many_may_wait_and_not_one_more() -> None:
    own, waiting = limits.REPORTS_OPEN_PER_USER, limits.REPORTS_OPEN
    rules.require_place(waiting - 1, own - 1)
    for place in ((waiting, 0), (own, own)):
        with pytest.raises(refusals.ReportsMax):
            rules.require_place(*place)
