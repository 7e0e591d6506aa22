"""What a committer takes up when proposals clash: nobody stops commits by proposing (RFC 9420 section 12.2)."""

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lairchat.mls.errors import InvalidError
from lairchat.mls.group import Group
from lairchat.mls.keypackages import OwnKeyPackage, capabilities_of
from lairchat.mls.messages import External, ProposalContent, encode_message
from lairchat.mls.objects import (
    Add,
    BasicCredential,
    Capabilities,
    Extension,
    ExternalPsk,
    FromUpdate,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    ReInit,
    Remove,
    Update,
    X509Credential,
)
from lairchat.mls.selection import select
from tests.mls.people import (
    FAST,
    GROUP_ID,
    agree,
    alone,
    content_of,
    external_senders,
    forge,
    grow,
    hear,
    members,
    person,
    propose,
    propose_update,
    settle,
    welcomed,
)

SERVER = FAST.generate_signature_key()
LED = external_senders(FAST.signature_public(SERVER))
REINIT = ReInit(b"next", 1, FAST.id, ())


def _by_server(groups: Sequence[Group], proposal: Proposal) -> list[Group]:
    framed = content_of(groups[0], ProposalContent(proposal), External(0))
    return hear(groups, encode_message(forge(groups[0], framed, SERVER)))


def _taken(
    groups: Sequence[Group], by: int = 0, said: Sequence[Proposal] = (), *owns: OwnKeyPackage
) -> list[Proposal]:
    """Return what a commit takes up; it has to be one that everybody follows."""
    committed = groups[by].commit(os.urandom, proposals=said)
    after = settle(groups, committed, by)
    agree([*after, *(welcomed(committed, own) for own in owns)])
    return [proposed.proposal for proposed in committed.transition.proposals]


def _update(group: Group, **parts: object) -> Update:
    key = FAST.hpke_public(FAST.hpke_derive(os.urandom(32)))
    leaf = replace(group.own_leaf, encryption_key=key, source=FromUpdate())
    leaf = replace(leaf, **parts)
    return Update(leaf.sign(FAST, group.signing_key, GROUP_ID, group.leaf))


def test_a_removal_is_preferred_to_an_update() -> None:
    """A member who proposes an Update, and a server that proposes its removal, at once."""
    groups = propose_update(members(3, FAST, (LED,)), 2)
    groups = _by_server(groups, Remove(2))
    assert _taken(groups) == [Remove(2)]


def test_a_removal_that_two_propose_is_made_once() -> None:
    groups = propose(members(3, FAST, (LED,)), 0, Remove(2))
    groups = _by_server(groups, Remove(2))
    groups = propose(groups, 1, Remove(2))
    assert _taken(groups) == [Remove(2)]
    assert _taken(groups, 0, [Remove(2)]) == [Remove(2)]


def test_of_several_updates_the_last_is_taken() -> None:
    groups = members(3, FAST)
    for _ in range(3):
        groups = propose_update(groups, 1)
    last = list(groups[0].public.pending.values())[-1].proposal
    assert _taken(groups) == [last]


def test_a_committer_leaves_its_own_update_and_removal_out() -> None:
    groups = propose_update(members(3, FAST, (LED,)), 0)
    groups = _by_server(groups, Remove(0))
    groups = propose(groups, 1, Remove(2))
    assert _taken(groups) == [Remove(2)]


def test_a_newcomer_that_two_propose_is_added_once() -> None:
    own = person("new", FAST)
    twin = person("twin", FAST, own.signing_key)
    groups = members(3, FAST)
    for by, who in ((0, own), (1, own), (2, twin)):
        groups = propose(groups, by, Add(who.package))
    assert _taken(groups, 0, (), own) == [Add(own.package)]
    assert _taken(groups, 1, [Add(own.package)], own) == [Add(own.package)]


def test_who_is_a_member_is_not_added_unless_it_goes() -> None:
    groups = members(3, FAST)
    again = person("again", FAST, groups[2].signing_key)
    groups = propose(groups, 0, Add(again.package))
    assert _taken(groups) == []
    groups = propose(groups, 1, Remove(2))
    assert _taken(groups, 0, (), again) == [Add(again.package), Remove(2)]


def test_an_update_with_anothers_key_does_not_stop_a_commit() -> None:
    groups = members(4, FAST, (), 1)
    for proposal in (
        _update(groups[1], encryption_key=groups[2].own_leaf.encryption_key),
        _update(groups[1], encryption_key=groups[1].public.tree.node(5).encryption_key),
    ):
        message = encode_message(forge(groups[1], content_of(groups[1], ProposalContent(proposal))))
        assert _taken([hear([group], message)[0] for group in groups if group.leaf != 1]) == []


def test_a_credential_that_not_all_understand_does_not_stop_a_commit() -> None:
    strange = person(
        "new",
        FAST,
        credential=X509Credential((b"certificate",)),
        capabilities=Capabilities((1,), (FAST.id,), (), (), (1, 2)),
    )
    narrow = person(
        "narrow",
        FAST,
        credential=X509Credential((b"certificate",)),
        capabilities=Capabilities((1,), (FAST.id,), (), (), (2,)),
    )
    groups = members(2, FAST)
    for own in (strange, narrow):
        groups = propose(groups, 1, Add(own.package))
    assert _taken(groups) == []
    with pytest.raises(InvalidError, match="another's credential"):
        groups[0].commit(os.urandom, references=list(groups[0].public.pending))


def test_extensions_that_all_support_are_taken_the_last_of_them() -> None:
    groups = members(3, FAST)
    groups = propose(groups, 0, GroupContextExtensions(()))
    groups = propose(groups, 1, GroupContextExtensions((LED,)))
    groups = propose(groups, 2, GroupContextExtensions((Extension(99, b""),)))
    assert _taken(groups) == [GroupContextExtensions((LED,))]
    assert _taken(groups, 1, [GroupContextExtensions(())]) == [GroupContextExtensions(())]
    unable = propose(members(2, FAST), 1, GroupContextExtensions((Extension(99, b""),)))
    assert _taken(unable) == []


def test_extensions_that_a_newcomer_does_not_support_are_left_out() -> None:
    able = capabilities_of(FAST, BasicCredential(b""), extensions=[99])
    owns = [person(f"able {number}", FAST, capabilities=able) for number in range(2)]
    groups = grow([alone(owns[0])], owns[1:])
    wanted = GroupContextExtensions((Extension(99, b""),))
    groups = propose(groups, 1, wanted)
    assert _taken(groups) == [wanted]
    plain = person("plain", FAST)
    assert _taken(groups, 0, [Add(plain.package)], plain) == [Add(plain.package)]


def test_a_pre_shared_key_is_taken_once() -> None:
    psk = PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), os.urandom(32)))
    groups = members(2, FAST)
    for by in (0, 1):
        groups = propose(groups, by, psk)
    both = select(groups[0].public, 0, (), lambda key: key == ExternalPsk(b"x"))
    assert len(both) == 1
    assert select(groups[0].public, 0, [psk], lambda key: True) == []
    assert select(groups[0].public, 0, (), lambda key: False) == []


def test_a_re_initialisation_waits_until_it_is_alone() -> None:
    groups = propose(members(3, FAST), 0, REINIT)
    assert _taken(groups) == [REINIT]
    assert _taken(groups, 1, [Remove(2)]) == [Remove(2)]
    groups = propose(groups, 1, Remove(2))
    assert _taken(groups) == [Remove(2)]
    assert _taken(groups, 0, [REINIT]) == [REINIT]
