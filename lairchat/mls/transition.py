"""The public part of a group: what everyone sees of an epoch, and how commits change it.

Enough for a delivery service to check every handshake, and the part that members share: they add the
secrets (``group``).  RFC 9420 sections 12.3 and 12.4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lairchat.mls import key_schedule
from lairchat.mls.errors import ClosedError, EpochError, InvalidError, UnknownProposalError
from lairchat.mls.messages import (
    AuthenticatedContent,
    CommitContent,
    External,
    FramedContent,
    GroupInfo,
    Member,
    NewMemberCommit,
    NewMemberProposal,
    PrivateMessage,
    ProposalContent,
)
from lairchat.mls.objects import (
    EXTERNAL_SENDER_LIST,
    EXTERNAL_SENDERS,
    MLS10,
    Add,
    ByReference,
    Commit,
    Extension,
    ExternalInit,
    FromCommit,
    FromUpdate,
    GroupContext,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    ReInit,
    Remove,
    Update,
    UpdatePath,
    extension,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import (
    Proposed,
    check_key_package,
    check_leaf,
    check_list,
    check_members,
    check_proposal,
    check_supports,
    needs_path,
)
from lairchat.mls.suites import Suite
from lairchat.mls.tree_checks import check_tree
from lairchat.mls.treekem import receivers

MAX_PENDING: Final = 4096
"""How many proposals of one epoch are kept until a commit takes them up."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a list of proposals does to a group, before a path is put on top (section 12.3).

    added: (leaf index, proposal) of the new members, in the order of the commit.
    removed: leaf indices that went.
    """

    tree: RatchetTree
    extensions: tuple[Extension, ...]
    added: tuple[tuple[int, Add], ...]
    removed: tuple[int, ...]
    psks: tuple[PreSharedKeyId, ...]
    external_init: ExternalInit | None
    reinit: ReInit | None


@dataclass(frozen=True, slots=True)
class Transition:
    """A commit that is right in all that can be seen without secrets.

    committer: its leaf in the new tree.
    context: of the new epoch; path_context: the same before the transcript took the commit in.
    """

    content: AuthenticatedContent
    committer: int
    external: bool
    proposals: tuple[Proposed, ...]
    applied: Applied
    path: UpdatePath | None
    tree: RatchetTree
    path_context: GroupContext
    context: GroupContext
    after: "PublicGroup"


@dataclass(frozen=True, slots=True)
class PublicGroup:
    """An epoch without its secrets.

    interim: the interim transcript hash; pending: proposals of this epoch by reference.
    reinit: what the group was closed with; nothing is sent in it any more (section 11.2).
    """

    context: GroupContext
    tree: RatchetTree
    interim: bytes
    pending: Mapping[bytes, Proposed]
    reinit: ReInit | None = None

    @classmethod
    def of(cls, info: GroupInfo, tree: RatchetTree) -> "PublicGroup":
        """Return the epoch that a member's group information and a tree describe, all of it checked.

        Raises InvalidError if they do not belong together or break a rule.
        """
        context = info.context
        suite = tree.suite
        if context.version != MLS10 or context.cipher_suite != suite.id:
            raise InvalidError("the group is of another version or cipher suite")
        info.check_signature(suite, tree.member(info.signer).signature_key)
        if tree.tree_hash() != context.tree_hash:
            raise InvalidError("this is not the tree of the group (section 12.4.3.1)")
        check_tree(tree, context.group_id)
        for _, leaf in tree.members():
            check_leaf(suite, leaf, type(leaf.source), context.extensions)
        check_members(tree, context.extensions)
        interim = key_schedule.interim_transcript(
            suite, context.confirmed_transcript_hash, info.confirmation_tag
        )
        return cls(context, tree, interim, {})

    @property
    def suite(self) -> Suite:
        """The group's cipher suite."""
        return self.tree.suite

    def check_place(self, framed: FramedContent | PrivateMessage) -> None:
        """Raise EpochError unless content is for this group and this epoch, which goes on."""
        self.check_open()
        if framed.group_id != self.context.group_id:
            raise EpochError("the message belongs to another group")
        if framed.epoch != self.context.epoch:
            raise EpochError(
                f"the message belongs to epoch {framed.epoch}, this is {self.context.epoch}"
            )

    def check_open(self) -> None:
        """Raise ClosedError if the group was re-initialised (section 11.2)."""
        if self.reinit is not None:
            raise ClosedError("the group was re-initialised: another takes its place")

    def check_signature(self, content: AuthenticatedContent) -> None:
        """Raise InvalidError unless the content is signed by who it says it is from (section 6.1)."""
        content.check_signature(self.suite, self._signer(content.framed), self.context)

    def _signer(self, framed: FramedContent) -> bytes:
        match framed.sender, framed.content:
            case Member(leaf), _:
                return self.tree.member(leaf).signature_key
            case External(index), ProposalContent():
                senders = extension(self.context.extensions, EXTERNAL_SENDERS, EXTERNAL_SENDER_LIST)
                if index >= len(senders or ()):
                    raise InvalidError("there is no such external sender (section 12.1.8.1)")
                key: bytes = senders[index].signature_key
                return key
            case NewMemberProposal(), ProposalContent(Add(package)):
                return package.leaf.signature_key
            case NewMemberCommit(), CommitContent(Commit(path=UpdatePath() as path)):
                return path.leaf.signature_key
        raise InvalidError("this sender may not send such content (section 6)")

    def propose(self, content: AuthenticatedContent) -> "PublicGroup":
        """Return the group with a proposal that a commit may refer to (section 12.1).

        The content is checked, except a membership tag, which is the members' to check.
        """
        framed = content.framed
        self.check_place(framed)
        self.check_signature(content)
        if not isinstance(framed.content, ProposalContent):
            raise InvalidError("not a proposal")
        reference = content.proposal_reference(self.suite)
        proposed = Proposed(
            framed.content.proposal, framed.sender, reference, framed.authenticated_data
        )
        self.check_proposed(proposed)
        if len(self.pending) >= MAX_PENDING:
            raise InvalidError(f"more than {MAX_PENDING} proposals in an epoch")
        return replace(self, pending={**self.pending, reference: proposed})

    def check_proposed(self, proposed: Proposed) -> None:
        """Raise InvalidError unless a proposal fits this epoch by itself (section 12.1)."""
        check_proposal(self.suite, self.context, proposed)
        match proposed.proposal:
            case Add(package):
                check_key_package(self.suite, package, self.context.extensions)
            case Update(leaf):
                assert isinstance(proposed.sender, Member), "check_proposal let it pass"
                place = proposed.sender.leaf
                check_leaf(self.suite, leaf, FromUpdate, self.context.extensions)
                leaf.check_signature(self.suite, self.context.group_id, place)
                if leaf.encryption_key == self.tree.member(place).encryption_key:
                    raise InvalidError("an update keeps its key (section 7.3)")
            case Remove(removed):
                self.tree.member(removed)

    def apply(self, proposals: Sequence[Proposed], committer: int | None) -> Applied:
        """Return what a commit of these proposals does (section 12.3).

        committer: None for an external commit.
        Raises InvalidError if they do not go together or one of them is wrong.
        """
        for proposed in proposals:
            if proposed.reference is None:
                self.check_proposed(proposed)
        check_list(proposals, committer)
        extensions = self.context.extensions
        for proposed in proposals:
            if isinstance(proposed.proposal, GroupContextExtensions):
                extensions = proposed.proposal.extensions
        tree = self.tree
        for proposed in proposals:
            if isinstance(proposed.proposal, Update):
                assert isinstance(proposed.sender, Member), "check_proposal let it pass"
                tree = tree.updated(proposed.sender.leaf, proposed.proposal.leaf)
        removed = tuple(
            proposed.proposal.removed
            for proposed in proposals
            if isinstance(proposed.proposal, Remove)
        )
        for leaf in removed:
            tree = tree.removed(leaf)
        added = []
        for proposed in proposals:
            if isinstance(proposed.proposal, Add):
                place = tree.free_leaf()
                tree = tree.placed(place, proposed.proposal.key_package.leaf)
                added.append((place, proposed.proposal))
        if extensions is not self.context.extensions:
            # Proposals were checked against the old ones.
            for _, leaf_node in tree.members():
                check_supports(leaf_node, extensions)
        kinds = [proposed.proposal for proposed in proposals]
        return Applied(
            tree,
            extensions,
            tuple(added),
            removed,
            tuple(kind.psk for kind in kinds if isinstance(kind, PreSharedKey)),
            next((kind for kind in kinds if isinstance(kind, ExternalInit)), None),
            next((kind for kind in kinds if isinstance(kind, ReInit)), None),
        )

    def resolve(self, commit: Commit, sender: Member | NewMemberCommit) -> tuple[Proposed, ...]:
        """Return the proposals of a commit, those it refers to as well (section 12.4)."""
        found = []
        for item in commit.proposals:
            if isinstance(item, ByReference):
                if isinstance(sender, NewMemberCommit):
                    raise InvalidError("an external commit refers to no proposals (section 12.2)")
                if item.reference not in self.pending:
                    raise UnknownProposalError("a commit refers to a proposal that is not here")
                found.append(self.pending[item.reference])
            else:
                found.append(Proposed(item.proposal, sender))
        return tuple(found)

    def follow(self, content: AuthenticatedContent) -> Transition:
        """Return what a commit does, if all that can be seen of it is right (section 12.4.2).

        Raises EpochError, UnknownProposalError or InvalidError.  A member still checks the membership
        tag before, and the confirmation tag after; a delivery service can check neither.
        """
        framed = content.framed
        self.check_place(framed)
        self.check_signature(content)
        if not isinstance(framed.content, CommitContent):
            raise InvalidError("not a commit")
        assert isinstance(framed.sender, Member | NewMemberCommit), "check_signature let it pass"
        commit = framed.content.commit
        member = framed.sender.leaf if isinstance(framed.sender, Member) else None
        proposals = self.resolve(commit, framed.sender)
        applied = self.apply(proposals, member)
        if commit.path is None and needs_path(proposals):
            raise InvalidError("a commit lacks its path (section 12.4)")
        tree = applied.tree
        committer = tree.free_leaf() if member is None else member
        if commit.path is not None:
            tree = self._with_path(applied, committer, commit.path, external=member is None)
        check_members(tree, applied.extensions)
        return self.conclude(content, committer, proposals, applied, tree)

    def _with_path(
        self, applied: Applied, committer: int, path: UpdatePath, *, external: bool
    ) -> RatchetTree:
        suite = self.suite
        leaf = path.leaf
        check_leaf(suite, leaf, FromCommit, applied.extensions)
        leaf.check_signature(suite, self.context.group_id, committer)
        before = applied.tree
        # Section 12.4.2: a key that stands anywhere in the tree is not a new one.
        known = set(before.encryption_keys())
        keys = [node.encryption_key for node in path.nodes]
        if external:
            # Section 12.2: the leaf is to its old one as an Update would be.
            known.update(self.tree.member(gone).encryption_key for gone in applied.removed)
        for key in (leaf.encryption_key, *keys):
            if key in known:
                raise InvalidError("a path brings a key that is in the tree (section 12.4.2)")
            known.add(key)
        for key in keys:
            suite.check_hpke_public(key)
        if external:
            before = before.placed(committer, leaf)
        tree, parent_hash = before.with_path(committer, keys)
        assert isinstance(leaf.source, FromCommit)
        if leaf.source.parent_hash != parent_hash:
            raise InvalidError("a path's leaf has the wrong parent hash (section 7.9.2)")
        newcomers = [place for place, _ in applied.added]
        for (_, beside), node in zip(tree.filtered_path(committer), path.nodes, strict=True):
            if len(node.secrets) != len(receivers(tree, beside, newcomers)):
                raise InvalidError("a path has too many secrets or too few (section 7.5)")
        return tree.with_leaf(committer, leaf)

    def conclude(
        self,
        content: AuthenticatedContent,
        committer: int,
        proposals: tuple[Proposed, ...],
        applied: Applied,
        tree: RatchetTree,
    ) -> Transition:
        """Return the transition to the epoch that a commit, whose parts are checked, begins."""
        suite = self.suite
        assert isinstance(content.framed.content, CommitContent)
        confirmed = key_schedule.confirmed_transcript(
            suite, self.interim, content.transcript_input()
        )
        path_context = self.next_context(tree, applied.extensions)
        context = replace(path_context, confirmed_transcript_hash=confirmed)
        assert content.confirmation_tag is not None
        interim = key_schedule.interim_transcript(suite, confirmed, content.confirmation_tag)
        return Transition(
            content,
            committer,
            isinstance(content.framed.sender, NewMemberCommit),
            proposals,
            applied,
            content.framed.content.commit.path,
            tree,
            path_context,
            context,
            PublicGroup(context, tree, interim, {}, applied.reinit),
        )

    def next_context(self, tree: RatchetTree, extensions: tuple[Extension, ...]) -> GroupContext:
        """Return the next epoch's context while its transcript is still this one's (section 7.5)."""
        return replace(
            self.context,
            epoch=self.context.epoch + 1,
            tree_hash=tree.tree_hash(),
            extensions=extensions,
        )
