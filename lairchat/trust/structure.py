"""Whether a commit is allowed: a pure function of the group, the commit and the account logs it refers to.

Everyone who looks, members and server alike, comes to the same answer: no clock, no pins, nothing
that only one side knows.  What is not in this table is refused::

    sender            Add                 Update   Remove                        policy
    member            own devices, and    own      own devices; revoked ones;    never in a direct
                      those of members;   leaf     moderators: members;          conversation;
                      people by policy             administrators: everybody     administrators
    the server        never               never    revoked ones; in a private    never
                                                   room those banned or gone,
                                                   not the last administrator
    own device, by    itself, where its   -        its old leaf                  never
    external commit   account is already

A device is "own" by its account id, which pins the root; it is certified by the log up to the head in
its leaf.  Every commit brings a path, so that whoever had the old keys is out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lairchat.mls.messages import External, Member, NewMemberCommit
from lairchat.mls.objects import (
    Add,
    BasicCredential,
    ExternalInit,
    GroupContextExtensions,
    LeafNode,
    Remove,
    Update,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import Proposed
from lairchat.mls.suites import HYBRID
from lairchat.mls.transition import PublicGroup, Transition
from lairchat.model import limits
from lairchat.trust.entry import Head
from lairchat.trust.errors import LogNeededError, PolicyError, UncertifiedError
from lairchat.trust.leaf import LeafIdentity, certified_at
from lairchat.trust.log import AccountLog, Relation
from lairchat.trust.policy import (
    ACCOUNT_HEAD,
    CAPABILITIES,
    Because,
    Kind,
    Policy,
    Removal,
    Role,
    decode_reasons,
    policy_of,
)

Logs = Mapping[bytes, AccountLog]
"""Verified logs by account id; each may be longer than what is asked of it."""

_SERVER: Final = External(0)


@dataclass(frozen=True, slots=True)
class Removed:
    """Who was removed, by whom (None: the server), and why."""

    identity: LeafIdentity
    by: LeafIdentity | None
    because: Because


@dataclass(frozen=True, slots=True)
class Change:
    """What an allowed commit does.

    rejoined: the committer joined by itself, after losing its state or as a new device.
    """

    committer: LeafIdentity
    rejoined: bool
    added: tuple[LeafIdentity, ...]
    removed: tuple[Removed, ...]
    before: Policy
    after: Policy


def identity_of(leaf: LeafNode) -> LeafIdentity:
    """Return whose a leaf says it is; raise PolicyError or MalformedError if it says nothing."""
    if not isinstance(leaf.credential, BasicCredential):
        raise PolicyError("a leaf has a credential of another kind")
    return _identity(leaf.credential.identity)


@lru_cache(maxsize=4 * limits.ROOM_DEVICES)
def _identity(encoded: bytes) -> LeafIdentity:
    # A commit in a full room asks for a thousand identities a few times over.
    return LeafIdentity.decode(encoded)


def head_of(leaf: LeafNode) -> Head:
    """Return the head of the account's log that a leaf was made under."""
    if len(leaf.extensions) != 1 or leaf.extensions[0].type != ACCOUNT_HEAD:
        raise PolicyError("a leaf has one extension, the head of its account's log")
    return Head.decode(leaf.extensions[0].data)


def check_leaf(leaf: LeafNode, logs: Logs) -> LeafIdentity:
    """Return whose a leaf is, certified by the account's log up to the head that the leaf names.

    Raises LogNeededError, LogError, PolicyError or UncertifiedError.
    """
    if leaf.capabilities != CAPABILITIES:
        raise PolicyError("a leaf shows other capabilities than all have here")
    identity = identity_of(leaf)
    head = head_of(leaf)
    certified_at(_log(logs, identity.account, head), head, identity, leaf.signature_key)
    return identity


def _log(logs: Logs, account: bytes, head: Head) -> AccountLog:
    log = logs.get(account)
    if log is None or log.relation(head) is Relation.NEWER:
        raise LogNeededError(account, head.position)
    return log


def accounts_in(tree: RatchetTree) -> set[bytes]:
    """Return the accounts that have a device in a group."""
    return {identity_of(leaf).account for _, leaf in tree.members()}


def check_group(group: PublicGroup, server_key: bytes, logs: Logs) -> Policy:
    """Return the policy of a group that is what its policy allows, every leaf of it.

    For joiners, who have not followed its commits: the whole tree is looked at.
    """
    if group.suite is not HYBRID:
        raise PolicyError("a room uses the hybrid cipher suite and no other")
    policy = policy_of(group.context.extensions, server_key)
    accounts = {check_leaf(leaf, logs).account for _, leaf in group.tree.members()}
    _check_accounts(policy, accounts)
    _check_size(group.tree)
    return policy


def _check_accounts(policy: Policy, accounts: set[bytes]) -> None:
    if policy.kind == Kind.DIRECT and not accounts <= set(policy.parties):
        raise PolicyError("somebody else is in a direct conversation")


def _check_size(tree: RatchetTree) -> None:
    if sum(1 for _ in tree.members()) > limits.ROOM_DEVICES:
        raise PolicyError(f"an encrypted room has at most {limits.ROOM_DEVICES} devices")


def check_commit(
    before: PublicGroup, transition: Transition, server_key: bytes, logs: Logs
) -> Change:
    """Return what a commit does, if it is allowed.

    before: the epoch that it ends.
    Raises PolicyError, UncertifiedError, LogError or MalformedError if it is refused, and
    LogNeededError if a log has to be read further first.
    """
    old = policy_of(before.context.extensions, server_key)
    if transition.path is None:
        raise PolicyError("a commit brings new keys")
    committer = check_leaf(transition.path.leaf, logs)
    judge = _Judge(before, old, committer, logs)
    reasons = iter(_reasons(transition))
    removed = []
    for proposed in transition.proposals:
        if isinstance(proposed.proposal, Remove):
            reason = next(reasons) if proposed.reference is None else _own_reason(proposed)
            removed.append(judge.remove(proposed, proposed.proposal.removed, reason))
        else:
            judge.check(proposed)
    _check_committer(before, transition, committer)
    added = tuple(identity_of(add.key_package.leaf) for _, add in transition.applied.added)
    new = policy_of(transition.context.extensions, server_key)
    _check_policy(old, new, transition.tree)
    _check_accounts(new, accounts_in(transition.tree))
    _check_administrators(before, new, transition.tree, removed)
    if added:
        _check_size(transition.tree)
    return Change(committer, transition.external, added, tuple(removed), old, new)


def check_proposal(group: PublicGroup, proposed: Proposed, server_key: bytes, logs: Logs) -> None:
    """Raise what ``check_commit`` would, if a proposal that came by itself is not allowed."""
    policy = policy_of(group.context.extensions, server_key)
    judge = _Judge(group, policy, None, logs)
    if isinstance(proposed.proposal, Remove):
        judge.remove(proposed, proposed.proposal.removed, _own_reason(proposed))
    else:
        judge.check(proposed)


def _reasons(transition: Transition) -> Sequence[Removal]:
    """Return the reasons that a commit gives for the Removes inside it, one for each."""
    said = transition.content.framed.authenticated_data
    wanted = sum(
        isinstance(proposed.proposal, Remove) and proposed.reference is None
        for proposed in transition.proposals
    )
    # Nothing else may stand there, or the server could be told things beside the policy's sight.
    reasons = decode_reasons(said) if said else ()
    if len(reasons) != wanted or (said and not wanted):
        raise PolicyError("a commit gives a reason for each of its removals and nothing else")
    return reasons


def _own_reason(proposed: Proposed) -> Removal:
    reasons = decode_reasons(proposed.authenticated_data)
    if len(reasons) != 1:
        raise PolicyError("a removal has one reason")
    return reasons[0]


@dataclass(frozen=True, slots=True)
class _Judge:
    """The table: who may propose what, by the policy and the tree of the epoch that ends.

    joiner: the committer, where it may join by itself.
    """

    group: PublicGroup
    policy: Policy
    joiner: LeafIdentity | None
    logs: Logs

    def check(self, proposed: Proposed) -> None:
        match proposed.proposal, proposed.sender:
            case Add(package), Member(leaf):
                self._add(self._identity(leaf), package.leaf, package.extensions)
            case Update(new), Member(leaf):
                self._update(leaf, new)
            case GroupContextExtensions(), Member(leaf):
                if self.policy.role(self._identity(leaf).account) is not Role.ADMINISTRATOR:
                    raise PolicyError("only administrators change a room's policy")
            case ExternalInit(), NewMemberCommit():
                pass
            case proposal, _:
                raise PolicyError(f"{type(proposal).__name__} is refused in rooms, from anybody")

    def _identity(self, leaf: int) -> LeafIdentity:
        return identity_of(self.group.tree.member(leaf))

    def _add(self, by: LeafIdentity, leaf: LeafNode, extensions: Sequence[object]) -> None:
        if extensions:
            raise PolicyError("a key package has no extensions here")
        added = check_leaf(leaf, self.logs)
        if added.account in accounts_in(self.group.tree):
            return
        if self.policy.kind == Kind.DIRECT:
            if added.account not in self.policy.parties:
                raise PolicyError("nobody else comes into a direct conversation")
        elif self.policy.role(by.account) < self.policy.adders:
            raise PolicyError("this member may not add people")

    def _update(self, leaf: int, new: LeafNode) -> None:
        check_renewed(self.group.tree.member(leaf), new)
        check_leaf(new, self.logs)

    def remove(self, proposed: Proposed, leaf: int, reason: Removal) -> Removed:
        target = self._identity(leaf)
        because = _because(reason)
        match proposed.sender:
            case Member(sender):
                by = self._identity(sender)
                self._member_removes(by, target, because)
                found = Removed(target, by, because)
            case NewMemberCommit():
                if target != self.joiner or because is not Because.DECIDED:
                    raise PolicyError("a device that joins by itself removes its own leaf only")
                found = Removed(target, self.joiner, because)
            case sender if sender == _SERVER:
                self._server_removes(target, because)
                found = Removed(target, None, because)
            case _:
                raise PolicyError("this sender removes nobody")
        if because is Because.REVOKED:
            self._check_revoked(target, reason.head)
        return found

    def _member_removes(self, by: LeafIdentity, target: LeafIdentity, because: Because) -> None:
        if because is Because.REVOKED:
            return
        if because is not Because.DECIDED:
            raise PolicyError("only the server says that somebody is banned or gone")
        if not may_remove(self.policy, by, target):
            raise PolicyError("this member may not remove that one")

    def _server_removes(self, target: LeafIdentity, because: Because) -> None:
        if because is Because.REVOKED:
            return
        if because is Because.DECIDED:
            raise PolicyError("the server decides nothing about members")
        if self.policy.kind == Kind.DIRECT:
            raise PolicyError("in a direct conversation the server removes revoked devices only")
        others = accounts_in(self.group.tree) - {target.account}
        last = self.policy.role(target.account) is Role.ADMINISTRATOR
        if last and not others.intersection(self.policy.administrators):
            raise PolicyError("the server does not remove a room's last administrator")

    def _check_revoked(self, target: LeafIdentity, head: Head) -> None:
        """Raise UncertifiedError unless the log, up to a head, has revoked a device."""
        device = _log(self.logs, target.account, head).device(target.device)
        revoked = device.revoked if device else None
        if revoked is None or revoked.position > head.position:
            raise UncertifiedError("this device has not been revoked")


def may_remove(policy: Policy, by: LeafIdentity, target: LeafIdentity) -> bool:
    """Tell whether a member may decide to remove a device."""
    if by.account == target.account:
        return True
    role = policy.role(by.account)
    if policy.kind == Kind.DIRECT:
        return False
    return role is Role.ADMINISTRATOR or role > policy.role(target.account)


def _because(reason: Removal) -> Because:
    try:
        return Because(reason.because)
    except ValueError as error:
        raise PolicyError(f"there is no reason {reason.because} to remove somebody") from error


def check_renewed(old: LeafNode, new: LeafNode) -> None:
    """Raise PolicyError unless a leaf is still the same device's, and has seen no less of its log."""
    if identity_of(old) != identity_of(new) or old.signature_key != new.signature_key:
        raise PolicyError("a leaf is somebody else's than before")
    if head_of(new).position < head_of(old).position:
        raise PolicyError("a leaf goes back behind what its account's log said before")


def _check_committer(before: PublicGroup, transition: Transition, committer: LeafIdentity) -> None:
    assert transition.path is not None
    if not transition.external:
        check_renewed(before.tree.member(transition.committer), transition.path.leaf)
        return
    if committer.account not in accounts_in(before.tree):
        raise PolicyError("only a device of a member's account joins by itself")
    for leaf in transition.applied.removed:
        check_renewed(before.tree.member(leaf), transition.path.leaf)


def _check_policy(old: Policy, new: Policy, tree: RatchetTree) -> None:
    if (new.kind, new.parties, new.before) != (old.kind, old.parties, old.before):
        raise PolicyError("what a room is never changes")
    if new == old:
        return
    known = {*old.administrators, *old.moderators}
    if not {*new.administrators, *new.moderators} - known <= accounts_in(tree):
        raise PolicyError("only members are given a role")


def _check_administrators(
    before: PublicGroup, policy: Policy, tree: RatchetTree, removed: Sequence[Removed]
) -> None:
    """Raise PolicyError if a commit leaves a room without administrators for no good reason.

    A stolen device has to go even if it is the last administrator's; nothing else may take a room's
    last administrator.
    """
    administrators = set(policy.administrators)
    if policy.kind == Kind.DIRECT or administrators & accounts_in(tree):
        return
    if not administrators & accounts_in(before.tree):
        return
    taken = [gone for gone in removed if gone.identity.account in administrators]
    if not taken or any(gone.because is not Because.REVOKED for gone in taken):
        raise PolicyError("a room keeps an administrator: hand the role over first")
