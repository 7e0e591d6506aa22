"""Which of the proposals that wait go into the next commit (RFC 9420 section 12.2).

Each is right by itself, but not all go together: a member proposes its Update while a server proposes
its removal, or two propose the same newcomer.  A committer takes what fits: otherwise anybody who may
propose could keep all others from committing.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from lairchat.mls.errors import InvalidError
from lairchat.mls.messages import Member
from lairchat.mls.objects import (
    EXTERNAL_SENDER_LIST,
    EXTERNAL_SENDERS,
    Add,
    GroupContextExtensions,
    LeafNode,
    PreSharedKey,
    Proposal,
    PskIdentity,
    ReInit,
    Remove,
    Update,
    extension,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import Proposed, check_supports
from lairchat.mls.transition import PublicGroup


def select(
    public: PublicGroup,
    committer: int,
    said: Sequence[Proposal],
    knows: Callable[[PskIdentity], bool],
) -> list[bytes]:
    """Return the references of waiting proposals that go together, in the order they came.

    said: what the committer itself proposes in its commit, which they have to go with.
    knows: whether it has a pre-shared key.
    A Remove is preferred to an Update, and of several Updates the last; a re-initialisation waits
    until it is alone.
    """
    waiting = tuple(public.pending.values())
    if not waiting or any(isinstance(proposal, ReInit) for proposal in said):
        return []
    gone = {proposal.removed for proposal in said if isinstance(proposal, Remove)}
    removes = _removes(waiting, {committer, *gone})
    gone.update(removes)
    newcomers = [proposal.key_package.leaf for proposal in said if isinstance(proposal, Add)]
    crowd = _Crowd(public, gone, newcomers)
    taken = [
        *removes.values(),
        *_updates(waiting, {committer, *gone}, public.tree, crowd),
        *_adds(waiting, crowd),
        *_psks(waiting, said, knows),
        *_contexts(waiting, said, crowd),
    ]
    if not taken and not said:
        taken = [proposed for proposed in waiting if isinstance(proposed.proposal, ReInit)][:1]
    chosen = {proposed.reference for proposed in taken}
    return [reference for reference in public.pending if reference in chosen]


class _Crowd:
    """The leaves of the next epoch: what they have, and what they understand."""

    def __init__(
        self, public: PublicGroup, gone: Collection[int], newcomers: Iterable[LeafNode]
    ) -> None:
        listed = extension(public.context.extensions, EXTERNAL_SENDERS, EXTERNAL_SENDER_LIST)
        self._types = {sender.credential.TYPE for sender in listed or ()}
        self._keys = {parent.encryption_key for _, parent in public.tree.parents()}
        self._understood: set[int] | None = None
        self.leaves: list[LeafNode] = []
        for place, leaf in public.tree.members():
            if place not in gone:
                self._include(leaf)
        for leaf in newcomers:
            self._include(leaf)

    def _include(self, leaf: LeafNode) -> None:
        self.leaves.append(leaf)
        self._types.add(leaf.credential.TYPE)
        self._keys.update((leaf.encryption_key, leaf.signature_key))
        understood = {*leaf.capabilities.credentials}
        if self._understood is not None:
            understood &= self._understood
        self._understood = understood

    def admits(self, leaf: LeafNode, old: LeafNode | None = None) -> bool:
        """Take a leaf in, if it has nobody's keys and all understand each other (section 7.3).

        old: the leaf that it takes the place of.
        """
        keys = {leaf.encryption_key, leaf.signature_key}
        if old is not None:
            keys.discard(old.signature_key)
        assert self._understood is not None, "the committer is in the crowd"
        if (
            keys & self._keys
            or not self._types <= {*leaf.capabilities.credentials}
            or leaf.credential.TYPE not in self._understood
        ):
            return False
        self._include(leaf)
        return True

    def supports(self, proposal: GroupContextExtensions) -> bool:
        """Tell whether all can do what these extensions ask (section 12.1.7)."""
        try:
            for leaf in self.leaves:
                check_supports(leaf, proposal.extensions)
        except InvalidError:
            return False
        return True


def _removes(waiting: Iterable[Proposed], not_these: Collection[int]) -> dict[int, Proposed]:
    """Return one Remove for each leaf."""
    found: dict[int, Proposed] = {}
    for proposed in waiting:
        if isinstance(proposed.proposal, Remove) and proposed.proposal.removed not in not_these:
            found.setdefault(proposed.proposal.removed, proposed)
    return found


def _updates(
    waiting: Sequence[Proposed], not_these: Collection[int], tree: RatchetTree, crowd: _Crowd
) -> list[Proposed]:
    """Return the last Update of each leaf."""
    found: dict[int, Proposed] = {}
    for proposed in reversed(waiting):
        match proposed:
            case Proposed(Update(leaf), Member(place)) if (
                place not in not_these
                and place not in found
                and crowd.admits(leaf, tree.member(place))
            ):
                found[place] = proposed
    return list(found.values())


def _adds(waiting: Iterable[Proposed], crowd: _Crowd) -> list[Proposed]:
    return [
        proposed
        for proposed in waiting
        if isinstance(proposed.proposal, Add) and crowd.admits(proposed.proposal.key_package.leaf)
    ]


def _psks(
    waiting: Iterable[Proposed], said: Iterable[Proposal], knows: Callable[[PskIdentity], bool]
) -> list[Proposed]:
    seen = {proposal.psk for proposal in said if isinstance(proposal, PreSharedKey)}
    found = []
    for proposed in waiting:
        match proposed.proposal:
            case PreSharedKey(psk) if psk not in seen and knows(psk.key):
                seen.add(psk)
                found.append(proposed)
    return found


def _contexts(
    waiting: Sequence[Proposed], said: Iterable[Proposal], crowd: _Crowd
) -> list[Proposed]:
    """Return the last proposal of other extensions that all support."""
    if any(isinstance(proposal, GroupContextExtensions) for proposal in said):
        return []
    for proposed in reversed(waiting):
        found = proposed.proposal
        if isinstance(found, GroupContextExtensions) and crowd.supports(found):
            return [proposed]
    return []
