"""What the delivery service takes: commits, proposals, messages, and what comes with them.

Pure: the public part of a group, the bytes that came, the logs of accounts, and the answer.  What is
right by MLS and by the room's policy says :mod:`lairchat.mls` and :mod:`lairchat.trust`; here is what
only a server can ask for, and the refusals that all of it becomes.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from lairchat.features.delivery.messages import Admission, Large
from lairchat.mls.codec import OPAQUE
from lairchat.mls.errors import EpochError, InvalidError, MalformedError, MLSError
from lairchat.mls.messages import (
    APPLICATION,
    AuthenticatedContent,
    Body,
    External,
    GroupInfo,
    Member,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_PUB,
    GroupContext,
    LeafNode,
    Remove,
    extension,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import Proposed, check_lifetimes, check_list
from lairchat.mls.suites import HYBRID
from lairchat.mls.transition import PublicGroup, Transition
from lairchat.model import limits
from lairchat.model.ids import UserId
from lairchat.model.refusals import (
    Denied,
    EpochStale,
    GroupLog,
    GroupProposals,
    GroupRefused,
    GroupRemoves,
    NotMember,
)
from lairchat.trust.errors import LogNeededError, PolicyError, TrustError
from lairchat.trust.leaf import LeafIdentity, certified
from lairchat.trust.policy import Because, Kind, Policy, Role, policy_of
from lairchat.trust.structure import (
    Change,
    Logs,
    accounts_in,
    check_commit,
    check_group,
    check_proposal,
    identity_of,
)

SERVER: Final = External(0)
REVOKED: Final = int(Because.REVOKED)
_NOBODY: Final = -1
"""A leaf that nobody has: whoever commits a list of proposals is not known yet."""

_pack: Final = msgspec.msgpack.Encoder().encode


class Server(Protocol):
    """The server's identity key, by which it proposes removals."""

    @property
    def public_key(self) -> bytes:
        """Ed25519, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature of data that says in its first bytes what it is."""


class Held(Protocol):
    """A removal that waits, as its row has it."""

    @property
    def leaf(self) -> int:
        """Whose."""

    @property
    def account(self) -> bytes:
        """Of whom that is."""

    @property
    def because(self) -> int:
        """Why, a :class:`Because`."""

    @property
    def reason(self) -> bytes:
        """The same as members are told it."""


@contextmanager
def refusing(epoch: int = 0, field: str = "$.message") -> Iterator[None]:
    """Turn what is wrong with somebody's bytes into the refusal that says so.

    epoch: where the group is, for what belongs to one; if that is another, it is stale.
    """
    try:
        yield
    except LogNeededError as error:
        raise GroupLog(position=error.position, field=field) from None
    except EpochError:
        raise EpochStale(epoch=epoch, field=field) from None
    except (MLSError, TrustError) as error:
        raise GroupRefused(why=str(error), field=field) from None


_ITEMS: Final = 16 * limits.ROOM_DEVICES
"""How many items a handshake may have: twice what it takes to add as many as a room may have."""


def _message(data: bytes, kind: type[Body]) -> Body:
    found = decode_message(data, _ITEMS)
    if not isinstance(found, kind):
        raise MalformedError(f"a {kind.__name__} is asked for, not a {type(found).__name__}")
    return found


# -- what is kept, read back


def with_proposals(group: PublicGroup, messages: Iterable[bytes]) -> PublicGroup:
    """Return the group with the proposals that wait for a commit; they were checked when they came."""
    pending = {}
    for data in messages:
        content = _content(data)
        assert isinstance(content.framed.content, ProposalContent)
        reference = content.proposal_reference(group.suite)
        pending[reference] = Proposed(
            content.framed.content.proposal,
            content.framed.sender,
            reference,
            content.framed.authenticated_data,
        )
    return replace(group, pending=pending) if pending else group


def _content(data: bytes) -> AuthenticatedContent:
    message = _message(data, PublicMessage)
    assert isinstance(message, PublicMessage)
    return message.authenticated


def _handshake(data: bytes, group: PublicGroup) -> AuthenticatedContent:
    content = _content(data)
    if content.framed.group_id != group.context.group_id:
        # Not a stale epoch: trying again under the newest keys would not help.
        raise InvalidError("the message belongs to another group")
    return content


def policy_in(context: bytes, server_key: bytes) -> Policy:
    """Return the signed policy in a group context that is kept."""
    return policy_of(GroupContext.decode(context).extensions, server_key)


# -- founding


@dataclass(frozen=True, slots=True)
class Founded:
    """A group that may be founded: epoch 0, and who is in it."""

    group: PublicGroup
    identity: LeafIdentity


def judge_founding(
    info: bytes,
    tree: bytes,
    *,
    founder: LeafIdentity,
    parties: Collection[bytes] | None,
    server_key: bytes,
    logs: Logs,
    follows: bytes = b"",
) -> Founded:
    """Return the group that somebody founds.

    parties: the two accounts of a direct conversation; None for a private room.
    follows: the id of the group in whose place it comes; empty if there is none.
    Raises GroupRefused or GroupLog.
    """
    with refusing(field="$.info"):
        stated = _message(info, GroupInfo)
        assert isinstance(stated, GroupInfo)
        group = PublicGroup.of(stated, RatchetTree.decode(HYBRID, tree))
        if group.context.epoch or len(group.context.group_id) != limits.GROUP_ID_BYTES:
            raise InvalidError("a group begins at epoch 0, with an id of 16 bytes")
        policy = check_group(group, server_key, logs)
        members = [identity_of(leaf) for _, leaf in group.tree.members()]
        if members != [founder] or group.tree.leaves != 1:
            raise PolicyError("a group begins with the device that founds it, alone")
        _check_kind(policy, founder, parties)
        if policy.before != follows:
            raise PolicyError("this conversation does not follow what its policy says")
        _check_open(stated)
        return Founded(group, founder)


def _check_kind(policy: Policy, founder: LeafIdentity, parties: Collection[bytes] | None) -> None:
    if parties is not None:
        if policy.kind != Kind.DIRECT or set(policy.parties) != set(parties):
            raise PolicyError("this is the conversation of two other accounts")
    elif policy.kind != Kind.PRIVATE:
        raise PolicyError("this room is no direct conversation")
    elif policy.administrators != (founder.account,) or policy.moderators:
        raise PolicyError("a room begins with one administrator, who founds it")


def _check_open(info: GroupInfo) -> None:
    """Raise InvalidError unless information lets devices join by themselves, and says nothing else.

    A tree in it would be sent to every joiner again.
    """
    if [found.type for found in info.extensions] != [EXTERNAL_PUB]:
        raise InvalidError("group information has the external key and no other extension")
    HYBRID.check_hpke_public(extension(info.extensions, EXTERNAL_PUB, OPAQUE))


# -- commits


@dataclass(frozen=True, slots=True)
class Judged:
    """A commit that is allowed, with what comes with it.

    before: the epoch that it ends.
    welcomes: for each device that it adds, the welcome that only this one gets.
    """

    before: PublicGroup
    transition: Transition
    change: Change
    welcomes: tuple[tuple[LeafIdentity, bytes], ...]

    @property
    def removed(self) -> frozenset[int]:
        """The leaves that it removes."""
        return frozenset(self.transition.applied.removed)


def judge_commit(
    group: PublicGroup,
    message: bytes,
    info: bytes,
    welcome: bytes,
    *,
    by: LeafIdentity,
    now: int,
    server_key: bytes,
    logs: Logs,
) -> Judged:
    """Return what a commit does, if it is allowed.

    by: the device that sends it, which is the one that commits.  now: ms since 1970.
    Raises EpochStale, GroupRefused or GroupLog.
    """
    with refusing(group.context.epoch):
        transition = group.follow(_handshake(message, group))
        change = check_commit(group, transition, server_key, logs)
        if change.committer != by:
            raise PolicyError("a device sends its own commits only")
        # Only a server can ask: members see a commit whenever they come.
        check_lifetimes([proposed.proposal for proposed in transition.proposals], now // 1000)
    with refusing(field="$.info"):
        _check_info(info, transition)
    with refusing(field="$.welcome"):
        return Judged(group, transition, change, tuple(_sliced(welcome, transition)))


def _check_info(data: bytes, transition: Transition) -> None:
    """Raise InvalidError unless the committer has signed this very epoch."""
    info = _message(data, GroupInfo)
    assert isinstance(info, GroupInfo)
    if (info.context, info.signer, info.confirmation_tag) != (
        transition.context,
        transition.committer,
        transition.content.confirmation_tag,
    ):
        raise InvalidError("this information is not about the epoch that the commit begins")
    info.check_signature(HYBRID, transition.tree.member(transition.committer).signature_key)
    _check_open(info)


def _sliced(data: bytes, transition: Transition) -> Iterator[tuple[LeafIdentity, bytes]]:
    """Yield each new device with the welcome that has its own secrets and nobody else's."""
    packages = [add.key_package for _, add in transition.applied.added]
    if not data:
        if packages:
            raise InvalidError("a commit that adds somebody comes with a welcome")
        return
    welcome = _message(data, Welcome)
    assert isinstance(welcome, Welcome)
    if welcome.cipher_suite != HYBRID.id:
        raise InvalidError("the welcome is of another cipher suite")
    # With a tree in it, which everybody can read here, it would be too large for an inbox.
    if len(welcome.encrypted_group_info) > limits.GROUP_INFO_BYTES:
        raise InvalidError("a welcome comes without the tree")
    entries = {entry.new_member: entry for entry in welcome.secrets}
    wanted = {package.reference(HYBRID): identity_of(package.leaf) for package in packages}
    if len(entries) != len(welcome.secrets) or entries.keys() != wanted.keys():
        raise InvalidError("a welcome is for those whom its commit adds, each once")
    for reference, identity in wanted.items():
        yield identity, encode_message(replace(welcome, secrets=(entries[reference],)))


def admitted(admissions: Iterable[Admission], added: Collection[UserId]) -> dict[UserId, bytes]:
    """Return what a commit says to the newcomers with a code; raises GroupRefused.

    added: whose devices it adds.
    """
    found: dict[UserId, bytes] = {}
    for one in admissions:
        if one.user in found or one.user not in added:
            why = "an admission is for somebody whom the commit adds, one for each"
            raise GroupRefused(why=why, field="$.admissions")
        found[UserId(one.user)] = one.body
    return found


def require_in_force(leaf: LeafNode, logs: Logs) -> None:
    """Refuse the leaf of a device that its account's log does not certify any more."""
    with refusing():
        identity = identity_of(leaf)
        certified(logs[identity.account], identity, leaf.signature_key)


def require_removals(judged: Judged, held: Collection[int], *, rejoined: bool) -> None:
    """Refuse a commit that leaves out removals that wait; raises GroupRemoves.

    A device that joins by itself cannot take them up; so that nobody starves them by joining again
    and again, the commit after one such is a member's.
    held: the leaves that the server has proposed to remove.  rejoined: the epoch began with such a
    commit.
    """
    missing = set(held) - judged.removed
    if missing and (rejoined or not judged.transition.external):
        raise GroupRemoves(count=len(missing))


def require_staying(judged: Judged, wanted: Iterable[Held]) -> None:
    """Refuse a device that comes in by itself while its account is on the way out; raises NotMember.

    Its old leaf would go with that, and the removal that waits for it; or a leaf that nobody has asked to
    remove would stay.  A revoked device says nothing about the others of its account.
    wanted: the removals that wait.
    """
    if judged.transition.external and any(
        one.account == judged.change.committer.account and one.because != REVOKED for one in wanted
    ):
        raise NotMember


def event_body(message: bytes) -> tuple[bytes, bytes | None]:
    """Return what a commit's event carries, and what has to be kept beside it, if that is not all."""
    if len(message) <= limits.EVENT_BYTES:
        return message, None
    return _pack(Large(total=len(message), digest=sha256(message).digest())), message


def changed_nodes(
    before: RatchetTree, after: RatchetTree
) -> tuple[list[int], list[tuple[int, bytes]]]:
    """Return the nodes that a commit ended, and those that it began with their encodings.

    Trees share the nodes that they have in common, so that nothing has to be compared.
    """
    ended, begun = [], []
    old, new = 2 * before.leaves - 1, 2 * after.leaves - 1
    for index in range(max(old, new)):
        was = before.node(index) if index < old else None
        is_now = after.node(index) if index < new else None
        if was is is_now:
            continue
        if was is not None:
            ended.append(index)
        if is_now is not None:
            begun.append((index, is_now.encode()))
    return ended, begun


# -- proposals


def judge_proposal(
    group: PublicGroup, message: bytes, *, by: LeafIdentity, server_key: bytes, logs: Logs
) -> int:
    """Return the leaf of whoever proposes a change, if it is allowed.

    Raises EpochStale, GroupRefused or GroupLog.
    """
    with refusing(group.context.epoch):
        content = _handshake(message, group)
        sender = content.framed.sender
        if not isinstance(sender, Member):
            raise PolicyError("only members propose")
        after = group.propose(content)
        if identity_of(group.tree.member(sender.leaf)) != by:
            raise PolicyError("a device sends its own proposals only")
        proposed = after.pending[content.proposal_reference(group.suite)]
        check_proposal(group, proposed, server_key, logs)
        return sender.leaf


def require_place(waiting: Collection[int | None], leaf: int) -> None:
    """Refuse a proposal beyond those that may wait; raises GroupProposals.

    waiting: whose those are that wait, None for the server's, which always has a place.
    """
    members = [one for one in waiting if one is not None]
    for most, count in (
        (limits.PROPOSALS_WAITING, len(members)),
        (limits.PROPOSALS_PER_DEVICE, members.count(leaf)),
    ):
        if count >= most:
            raise GroupProposals(limit=most)


def require_together(waiting: Iterable[bytes], message: bytes) -> None:
    """Refuse a proposal that does not go with those that wait; raises GroupRefused.

    Two that do not would leave it to chance which commit everybody makes.
    """
    with refusing():
        check_list([_proposed(data) for data in (*waiting, message)], _NOBODY)


def _proposed(data: bytes) -> Proposed:
    framed = _content(data).framed
    assert isinstance(framed.content, ProposalContent)
    return Proposed(framed.content.proposal, framed.sender, b"", framed.authenticated_data)


# -- what the server itself proposes


def in_force(
    group: PublicGroup, wanted: Collection[Held], server_key: bytes, logs: Logs
) -> list[int]:
    """Return the leaves whose removal the server proposes in this epoch, of those it wants removed.

    What it may not propose waits, and so does what no commit could take together: of a room's last
    administrators it may take those whose devices are revoked, if all of them are
    (``trust.structure``); who is banned or leaves then stays until somebody else is one.
    """
    allowed = [one for one in wanted if _may_remove(group, one, server_key, logs)]
    policy = policy_of(group.context.extensions, server_key)
    administrators = set(policy.administrators)
    gone = {one.leaf for one in allowed}
    left = {identity_of(leaf).account for index, leaf in group.tree.members() if index not in gone}
    taken = [one for one in allowed if _account_at(group, one.leaf) in administrators]
    if left & administrators or all(one.because == Because.REVOKED for one in taken):
        return sorted(gone)
    return sorted(gone - {one.leaf for one in taken if one.because != Because.REVOKED})


def _account_at(group: PublicGroup, leaf: int) -> bytes:
    return identity_of(group.tree.member(leaf)).account


def _may_remove(group: PublicGroup, one: Held, server_key: bytes, logs: Logs) -> bool:
    proposed = Proposed(Remove(one.leaf), SERVER, b"", one.reason)
    try:
        check_proposal(group, proposed, server_key, logs)
    except TrustError:
        return False
    return True


def would_orphan(
    group: PublicGroup, server_key: bytes, leaving: Collection[bytes], others: Collection[bytes]
) -> bool:
    """Say whether others would be left without an administrator if these accounts left."""
    administrators = set(policy_of(group.context.extensions, server_key).administrators)
    inside = accounts_in(group.tree) & administrators
    return bool(inside & set(leaving)) and not inside & set(others)


# -- messages


def check_sealed(body: bytes, group_id: bytes, epoch: int) -> None:
    """Refuse what is no message of this group in this epoch; raises GroupRefused, EpochStale."""
    with refusing(field="$.body"):
        message = _message(body, PrivateMessage)
        assert isinstance(message, PrivateMessage)
        if message.content_type != APPLICATION:
            raise InvalidError("handshakes are public here, and come by their own commands")
        if message.group_id != group_id:
            raise InvalidError("the message belongs to another group")
    if message.epoch != epoch:
        raise EpochStale(epoch=epoch, field="$.body")


def sealed_in(message: bytes) -> int:
    """Return the epoch of a message that was taken."""
    sealed = _message(message, PrivateMessage)
    assert isinstance(sealed, PrivateMessage)
    return sealed.epoch


# -- deletions


def hint(seq: int) -> bytes:
    """Return the body of the event that says which message is deleted."""
    return seq.to_bytes(8, "big")


def require_over(policy: Policy, account: bytes, authors: Collection[bytes]) -> None:
    """Refuse an account that may not delete what others have said; raises Denied.

    In a direct conversation nobody may: there are no roles in its policy.
    """
    role = policy.role(account)
    if role < Role.MODERATOR:
        raise Denied
    if any(policy.role(author) >= role for author in authors):
        raise Denied
