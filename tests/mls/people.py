"""Members to test with: every message between them is written and read as bytes.

States are values, so that groups are made once and used by many tests.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lairchat.mls.codec import U16, Vector
from lairchat.mls.errors import InvalidError
from lairchat.mls.framing import protect_private, protect_public
from lairchat.mls.group import Committed, Group, Psks, Received, Staged, no_psks
from lairchat.mls.joining import join
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.messages import (
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    CommitContent,
    Content,
    FramedContent,
    Member,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    Sender,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_SENDERS,
    Add,
    BasicCredential,
    ByValue,
    Commit,
    Extension,
    ExternalSender,
    Lifetime,
    Proposal,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import HYBRID, SUITES, SigningKey, Suite
from lairchat.mls.transition import PublicGroup

FAST = SUITES[0x0001]
"""For what does not depend on the suite: its keys are quick to make."""
GROUP_ID = b"sixteen bytes id"
ALWAYS = Lifetime(0, 2**40)


def person(
    name: str, suite: Suite = HYBRID, key: SigningKey | None = None, **how: Any
) -> OwnKeyPackage:
    """Return a key package of somebody, with its private keys."""
    signing = key or suite.generate_signature_key()
    lifetime = how.pop("lifetime", ALWAYS)
    credential = how.pop("credential", BasicCredential(name.encode()))
    return make_key_package(suite, credential, signing, lifetime, os.urandom, **how)


def alone(own: OwnKeyPackage, extensions: Sequence[Extension] = ()) -> Group:
    """Return a group with one member."""
    return Group.create(own, GROUP_ID, extensions, os.urandom)


@lru_cache(maxsize=32)
def members(
    count: int, suite: Suite = HYBRID, extensions: tuple[Extension, ...] = (), times: int = 0
) -> tuple[Group, ...]:
    """Return the states of a group's members, by leaf; each has committed so many times."""
    owns = [person(f"member {number}", suite) for number in range(count)]
    groups = [alone(owns[0], extensions)]
    if count > 1:
        groups = grow(groups, owns[1:])
    for by in [by for _ in range(times) for by in range(count)]:
        groups = settle(groups, groups[by].commit(os.urandom), by)
    return tuple(groups)


def grow(groups: Sequence[Group], owns: Sequence[OwnKeyPackage], by: int = 0) -> list[Group]:
    """Return the states after a member has added others."""
    committed = groups[by].commit(os.urandom, proposals=[Add(own.package) for own in owns])
    after = settle(groups, committed, by)
    return after + [welcomed(committed, own) for own in owns]


def welcomed(committed: Committed, own: OwnKeyPackage, psks: Psks = no_psks) -> Group:
    """Return the state of somebody whom a commit has added."""
    assert committed.welcome is not None
    tree = committed.group.public.tree.encode()
    return join(decode_message(committed.welcome), own, tree, psks)


def settle(
    groups: Sequence[Group], committed: Committed, by: int | None = None, psks: Psks = no_psks
) -> list[Group]:
    """Return the states of those who are left after a commit that everyone has received."""
    after = []
    for number, group in enumerate(groups):
        if number == by:
            after.append(committed.group)
            continue
        staged = group.receive_commit(decode_message(committed.message), psks)
        if staged.group is not None:
            after.append(staged.group)
    return after


def hear(groups: Sequence[Group], message: bytes, by: int | None = None) -> list[Group]:
    """Return the states after everyone but its sender has received a proposal."""
    read = decode_message(message)
    return [
        group if number == by else group.receive_proposal(read)[1]
        for number, group in enumerate(groups)
    ]


def propose(groups: Sequence[Group], by: int, proposal: Proposal, **how: Any) -> list[Group]:
    """Return the states after a member has proposed and all have heard it."""
    message, own = groups[by].propose(proposal, os.urandom, **how)
    after = list(groups)
    after[by] = own
    return hear(after, message, by)


def propose_update(groups: Sequence[Group], by: int, **how: Any) -> list[Group]:
    """Return the states after a member has proposed a new key for itself."""
    message, own = groups[by].propose_update(os.urandom, **how)
    after = list(groups)
    after[by] = own
    return hear(after, message, by)


def receive(group: Group, data: bytes) -> Received | Group | Staged:
    """Return what a member makes of bytes that came, whatever they are."""
    message = decode_message(data)
    match message:
        case PrivateMessage(content_type=1):
            return group.decrypt(message)[0]
        case PrivateMessage(content_type=2) | PublicMessage(
            AuthenticatedContent(framed=FramedContent(content=ProposalContent()))
        ):
            return group.receive_proposal(message)[1]
        case PrivateMessage() | PublicMessage():
            return group.receive_commit(message)
        case _:
            raise InvalidError("nothing for a group")


def agree(groups: Sequence[Group]) -> None:
    """Assert that all are in one epoch, and that a newcomer would accept its tree."""
    first = groups[0]
    for group in groups:
        assert group.context == first.context
        assert group.authenticator == first.authenticator
        assert group.export(b"a", b"b", 32) == first.export(b"a", b"b", 32)
        # Section 7.8: the hashes that were kept are those of a tree that is read anew.
        encoded = group.public.tree.encode()
        tree = RatchetTree.decode(group.suite, encoded)
        assert tree.tree_hash() == group.context.tree_hash
        for node, key in group.private.items():
            there = tree.node(node)
            assert there is not None
            assert group.suite.hpke_public(key) == there.encryption_key
    last = groups[-1]
    info = last.group_info(with_tree=False)
    there_is = PublicGroup.of(info, RatchetTree.decode(last.suite, last.public.tree.encode()))
    assert there_is.context == last.context
    assert there_is.interim == last.public.interim


def external_senders(*keys: bytes) -> Extension:
    """Return the extension that lets the holders of these keys propose."""
    listed = [ExternalSender(key, BasicCredential(b"the server")) for key in keys]
    return Extension(EXTERNAL_SENDERS, Vector(ExternalSender).write(listed))


def types(*numbers: int) -> bytes:
    """Return a vector of types, as capabilities list them."""
    return Vector(U16).write(numbers)


def content_of(group: Group, inner: Content, sender: Sender | None = None) -> FramedContent:
    """Return content of a group's epoch, from its member or from somebody else."""
    here = group.context
    said_by = Member(group.leaf) if sender is None else sender
    return FramedContent(here.group_id, here.epoch, said_by, b"", inner)


def sign(
    group: Group, framed: FramedContent, signing_key: SigningKey | None = None
) -> AuthenticatedContent:
    """Return content with its signature, as a delivery service sees it."""
    content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"", _tag(group, framed))
    return content.sign(group.suite, signing_key or group.signing_key, group.context)


def _tag(group: Group, framed: FramedContent) -> bytes | None:
    return bytes(group.suite.hash_size) if isinstance(framed.content, CommitContent) else None


def forge(
    group: Group, framed: FramedContent, signing_key: SigningKey | None = None
) -> PublicMessage:
    """Return a public message as somebody with a member's secrets can make it, right or not."""
    content = sign(group, framed, signing_key)
    sent = encode_message(protect_public(group.suite, content, group.secrets, group.context))
    found = decode_message(sent)
    assert isinstance(found, PublicMessage)
    return found


def seal(
    group: Group, framed: FramedContent, signing_key: SigningKey | None = None, padding: int = 0
) -> PrivateMessage:
    """Return a private message as an insider can make it, under any member's ratchet."""
    content = AuthenticatedContent(PRIVATE_MESSAGE, framed, b"", _tag(group, framed)).sign(
        group.suite, signing_key or group.signing_key, group.context
    )
    return protect_private(group.suite, content, group.secrets, group.keys, os.urandom, padding)[0]


def committing(group: Group, *proposals: Proposal, path: Any = None, **how: Any) -> FramedContent:
    """Return a commit of these proposals by value."""
    items = tuple(ByValue(proposal) for proposal in proposals)
    return content_of(group, CommitContent(Commit(items, path)), **how)
