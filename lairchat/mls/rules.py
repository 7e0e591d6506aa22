"""Which leaves, key packages and lists of proposals are acceptable (RFC 9420 sections 7.3, 10.1, 12.2).

Pure decisions, the same for members, for joiners and for a delivery service that sees the public part
of a group.  Who somebody is, and what he may do, is the application's to decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lairchat.mls.errors import InvalidError
from lairchat.mls.messages import External, Member, NewMemberCommit, NewMemberProposal, Sender
from lairchat.mls.objects import (
    EXTERNAL_SENDER_LIST,
    EXTERNAL_SENDERS,
    MLS10,
    REQUIRED_CAPABILITIES,
    RESUMPTION_APPLICATION,
    RESUMPTION_BRANCH,
    RESUMPTION_REINIT,
    Add,
    Extension,
    ExternalInit,
    GroupContext,
    GroupContextExtensions,
    KeyPackage,
    LeafNode,
    LeafSource,
    Lifetime,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    ReInit,
    Remove,
    RequiredCapabilities,
    ResumptionPsk,
    Update,
    extension,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import Suite
from lairchat.mls.tree_checks import check_keys

_OWN_EXTENSIONS: Final = frozenset(range(1, 6))
"""What every implementation knows, and no capabilities list (section 7.2)."""
_OWN_PROPOSALS: Final = frozenset(range(1, 8))
_USAGES: Final = frozenset({RESUMPTION_APPLICATION, RESUMPTION_REINIT, RESUMPTION_BRANCH})


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal and who made it; ``reference`` is None if it came inside the commit.

    authenticated_data: what its sender said beside it, if it came by itself.
    """

    proposal: Proposal
    sender: Sender
    reference: bytes | None = None
    authenticated_data: bytes = b""


def check_leaf(
    suite: Suite,
    leaf: LeafNode,
    source: type[LeafSource],
    extensions: tuple[Extension, ...],
    now: int | None = None,
) -> None:
    """Raise InvalidError unless a leaf may stand in a group with these extensions (section 7.3).

    source: where such a leaf has to come from; now: seconds since 1970, if its lifetime counts.
    Its signature, and that its keys are nobody else's, are looked at where its place is known.
    """
    if not isinstance(leaf.source, source):
        raise InvalidError("a leaf comes from elsewhere than it says (section 7.3)")
    if isinstance(leaf.source, Lifetime) and now is not None:
        leaf.source.check(now)
    can = leaf.capabilities
    if MLS10 not in can.versions or suite.id not in can.cipher_suites:
        raise InvalidError("a leaf cannot do what its group does (section 7.2)")
    if leaf.credential.TYPE not in can.credentials:
        raise InvalidError("a leaf does not support its own credential (section 7.3)")
    check_once(leaf.extensions)
    if not _known(leaf.extensions) <= {*can.extensions}:
        raise InvalidError("a leaf has an extension that it does not support (section 7.3)")
    check_supports(leaf, extensions)
    suite.check_hpke_public(leaf.encryption_key)


def check_supports(leaf: LeafNode, extensions: tuple[Extension, ...]) -> None:
    """Raise InvalidError unless a leaf can do what the group's extensions ask (sections 7.2, 11.1)."""
    can = leaf.capabilities
    if not _known(extensions) <= {*can.extensions}:
        raise InvalidError("a member does not support an extension of the group (section 7.2)")
    needed = extension(extensions, REQUIRED_CAPABILITIES, RequiredCapabilities)
    if needed is None:
        return
    if not (
        {*needed.extensions} - _OWN_EXTENSIONS <= {*can.extensions}
        and {*needed.proposals} - _OWN_PROPOSALS <= {*can.proposals}
        and {*needed.credentials} <= {*can.credentials}
    ):
        raise InvalidError("a member lacks a required capability (section 11.1)")


def _known(extensions: Iterable[Extension]) -> set[int]:
    return {found.type for found in extensions} - _OWN_EXTENSIONS


def check_once(extensions: Sequence[Extension]) -> None:
    """Raise InvalidError if an extension is there twice (section 13.4)."""
    if len({found.type for found in extensions}) != len(extensions):
        raise InvalidError("an extension is there twice (section 13.4)")


def check_key_package(
    suite: Suite,
    package: KeyPackage,
    extensions: tuple[Extension, ...],
    now: int | None = None,
) -> None:
    """Raise InvalidError unless a key package can be added to such a group (section 10.1)."""
    if package.version != MLS10 or package.cipher_suite != suite.id:
        raise InvalidError("a key package is for another version or cipher suite (section 10.1)")
    check_leaf(suite, package.leaf, Lifetime, extensions, now)
    check_once(package.extensions)
    if not _known(package.extensions) <= {*package.leaf.capabilities.extensions}:
        raise InvalidError("a key package has an extension that its leaf does not support")
    suite.check_hpke_public(package.init_key)
    if package.init_key == package.leaf.encryption_key:
        raise InvalidError("a key package uses one key twice (section 10.1)")
    package.leaf.check_signature(suite)
    package.check_signature(suite)


def check_lifetimes(proposals: Iterable[Proposal], now: int | None) -> None:
    """Raise InvalidError if a key package that is sent on is not valid at this time (section 7.3)."""
    for proposal in proposals:
        if isinstance(proposal, Add) and now is not None:
            source = proposal.key_package.leaf.source
            if isinstance(source, Lifetime):
                source.check(now)


def check_members(tree: RatchetTree, extensions: tuple[Extension, ...]) -> None:
    """Raise InvalidError unless the members' leaves go together (section 7.3).

    No two nodes have a key in common, and each member understands everybody's credential.
    """
    check_keys(tree)
    members = tree.members()
    credentials = {leaf.credential.TYPE for _, leaf in members}
    for sender in extension(extensions, EXTERNAL_SENDERS, EXTERNAL_SENDER_LIST) or ():
        credentials.add(sender.credential.TYPE)
    for understood in {leaf.capabilities.credentials for _, leaf in members}:
        if not credentials.issubset(understood):
            raise InvalidError("a member does not support another's credential (section 7.3)")


def check_proposal(suite: Suite, context: GroupContext, proposed: Proposed) -> None:
    """Raise InvalidError unless this kind of sender may make this proposal (sections 12.1, 12.1.8)."""
    match proposed.proposal, proposed.sender:
        case Add() | Remove() | PreSharedKey() | ReInit() | GroupContextExtensions(), (
            Member() | External()
        ):
            pass
        case Add(), NewMemberProposal():
            pass
        case Update(), Member():
            pass
        case ((ExternalInit() | PreSharedKey() | Remove()), NewMemberCommit()):
            pass
        case _:
            raise InvalidError("this sender may not make such a proposal (section 12.1.8)")
    match proposed.proposal:
        case PreSharedKey(psk):
            if len(psk.nonce) != suite.hash_size:
                raise InvalidError("the nonce of a pre-shared key is too short (section 12.1.4)")
            check_usage(psk)
            # The creator's first commit is what makes a group another's successor (section 11.2).
            first = context.epoch == 0 and isinstance(proposed.sender, Member)
            if succeeds(psk) and not first:
                raise InvalidError("a resumption key for another use (section 12.1.4)")
        case ReInit(version=version, extensions=extensions):
            if version < context.version:
                raise InvalidError("a group is never re-initialised downwards (section 12.1.5)")
            check_once(extensions)
        case GroupContextExtensions(extensions):
            check_once(extensions)
            # Malformed ones would only show when somebody commits them.
            extension(extensions, REQUIRED_CAPABILITIES, RequiredCapabilities)
            extension(extensions, EXTERNAL_SENDERS, EXTERNAL_SENDER_LIST)


def check_usage(psk: PreSharedKeyId) -> None:
    """Raise InvalidError for a use of a resumption key that there is not (section 8.4)."""
    if isinstance(psk.key, ResumptionPsk) and psk.key.usage not in _USAGES:
        raise InvalidError("there is no such use of a resumption key (section 8.4)")


def succeeds(psk: PreSharedKeyId) -> bool:
    """Tell whether a pre-shared key ties a new group to another (sections 11.2, 11.3)."""
    return isinstance(psk.key, ResumptionPsk) and psk.key.usage != RESUMPTION_APPLICATION


def check_list(proposals: Sequence[Proposed], committer: int | None) -> None:
    """Raise InvalidError unless these proposals can be in one commit (section 12.2).

    committer: the leaf of the member who commits; None for an external commit.
    """
    changed: set[int] = set()
    psks: set[bytes] = set()
    contexts = inits = 0
    for proposed in proposals:
        match proposed.proposal:
            case Update():
                assert isinstance(proposed.sender, Member), "check_proposal let it pass"
                _check_change(proposed.sender.leaf, changed, committer)
            case Remove(removed):
                _check_change(removed, changed, committer)
            case PreSharedKey(psk):
                if psk.encode() in psks:
                    raise InvalidError("a pre-shared key is proposed twice (section 12.2)")
                psks.add(psk.encode())
            case GroupContextExtensions():
                contexts += 1
            case ExternalInit():
                inits += 1
            case ReInit() if len(proposals) > 1:
                raise InvalidError("a re-initialisation stands alone (section 12.2)")
    if contexts > 1:
        raise InvalidError("the group's extensions are changed twice (section 12.2)")
    if inits != (committer is None):
        raise InvalidError("an external commit has one external init (section 12.2)")
    if committer is None and len(changed) > 1:
        raise InvalidError("an external commit removes one leaf at most (section 12.2)")


def _check_change(leaf: int, changed: set[int], committer: int | None) -> None:
    if leaf == committer:
        raise InvalidError("a committer neither updates nor removes itself (section 12.2)")
    if leaf in changed:
        raise InvalidError("a leaf is changed twice (section 12.2)")
    changed.add(leaf)


def needs_path(proposals: Sequence[Proposed]) -> bool:
    """Tell whether a commit of these has to bring new keys (section 12.4)."""
    return not proposals or any(
        not isinstance(proposed.proposal, Add | PreSharedKey | ReInit) for proposed in proposals
    )
