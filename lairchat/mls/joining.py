"""How a client becomes a member: by a welcome, or by itself (RFC 9420 sections 12.4.3.1 and 12.4.3.2)."""

from collections.abc import Sequence
from dataclasses import replace

from lairchat.mls import key_schedule, treekem
from lairchat.mls.codec import OPAQUE
from lairchat.mls.errors import InvalidError
from lairchat.mls.framing import protect_public
from lairchat.mls.group import (
    Committed,
    Group,
    Psks,
    new_path,
    no_psks,
    psk_secret,
    welcome_keys,
)
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    CommitContent,
    FramedContent,
    GroupInfo,
    GroupSecrets,
    NewMemberCommit,
    Welcome,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_PUB,
    RATCHET_TREE,
    RESUMPTION_BRANCH,
    ByValue,
    Commit,
    ExternalInit,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    ReInit,
    Remove,
    ResumptionPsk,
    extension,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import Proposed, check_members, check_once, check_usage, succeeds
from lairchat.mls.suites import Random, Suite, suite_of
from lairchat.mls.transition import PublicGroup


def join(
    welcome: Welcome,
    own: OwnKeyPackage,
    tree: bytes | None = None,
    psks: Psks = no_psks,
    predecessor: Group | None = None,
) -> Group:
    """Return the group that a welcome leads into (section 12.4.3.1).

    tree: the encoded tree, unless the welcome carries it.
    predecessor: the last epoch of the group that this one re-initialises or branches off, if it does.
    Raises InvalidError if anything is not right.  Who else is in the group is the caller's to judge,
    and that it is in no other group of that id (section 12.4.3).
    """
    suite = suite_of(welcome.cipher_suite)
    if own.package.cipher_suite != suite.id:
        raise InvalidError("the welcome is of another cipher suite")
    secrets = _group_secrets(suite, welcome, own)
    mixed = psk_secret(suite, secrets.psks, psks)
    info = _info_of(suite, welcome, secrets, mixed)
    if info.context.cipher_suite != suite.id:
        # Else a member could lead a joiner who knows several suites into a group of the weakest.
        raise InvalidError("the welcome is of another cipher suite than its group")
    public = public_group(info, tree)
    _check_psks(suite, secrets.psks, public, predecessor)
    leaf = next(
        (index for index, found in public.tree.members() if found == own.package.leaf), None
    )
    if leaf is None:
        raise InvalidError("the new member is not in the tree (section 12.4.3.1)")
    private = {2 * leaf: own.encryption_key}
    if secrets.path_secret is not None:
        start = treekem.common_ancestor(leaf, info.signer)
        path = treekem.climb_from(public.tree, info.signer, start, secrets.path_secret)
        private.update(path.private)
    epoch = key_schedule.epoch_secrets(suite, secrets.joiner_secret, mixed, info.context)
    confirmed = info.context.confirmed_transcript_hash
    suite.check_mac(epoch.confirmation, confirmed, info.confirmation_tag, "a confirmation tag")
    return Group.begin(public, leaf, own.signing_key, private, epoch, info.confirmation_tag)


def open_welcome(welcome: Welcome, own: OwnKeyPackage) -> GroupInfo:
    """Return the group information in a welcome, by which its tree can be asked for.

    Nothing of it is proven before ``join`` has looked at it with the tree.
    Raises InvalidError if the welcome is not for this key package, or uses a pre-shared key.
    """
    suite = suite_of(welcome.cipher_suite)
    if own.package.cipher_suite != suite.id:
        raise InvalidError("the welcome is of another cipher suite")
    secrets = _group_secrets(suite, welcome, own)
    if secrets.psks:
        raise InvalidError("a welcome with a pre-shared key")
    return _info_of(suite, welcome, secrets, psk_secret(suite, (), no_psks))


def _info_of(suite: Suite, welcome: Welcome, secrets: GroupSecrets, mixed: bytes) -> GroupInfo:
    key, nonce = welcome_keys(suite, secrets.joiner_secret, mixed)
    return GroupInfo.decode(suite.aead.open(key, nonce, b"", welcome.encrypted_group_info))


def _group_secrets(suite: Suite, welcome: Welcome, own: OwnKeyPackage) -> GroupSecrets:
    reference = own.reference
    for entry in welcome.secrets:
        if entry.new_member == reference:
            opened = suite.decrypt_with_label(
                own.init_key,
                b"Welcome",
                welcome.encrypted_group_info,
                entry.secrets.kem_output,
                entry.secrets.ciphertext,
            )
            return GroupSecrets.decode(opened)
    raise InvalidError("the welcome is not for this key package")


def _check_psks(
    suite: Suite,
    psks: Sequence[PreSharedKeyId],
    public: PublicGroup,
    predecessor: Group | None,
) -> None:
    """Raise InvalidError unless successor keys stand where a successor begins (section 12.4.3.1)."""
    for psk in psks:
        check_usage(psk)
        if len(psk.nonce) != suite.hash_size:
            raise InvalidError("the nonce of a pre-shared key is too short (section 8.4)")
    succeeding = [psk.key for psk in psks if succeeds(psk)]
    if not succeeding and predecessor is None:
        return
    if len(succeeding) != 1 or public.context.epoch != 1 or predecessor is None:
        raise InvalidError("a successor's key stands in the wrong place (section 12.4.3.1)")
    (key,) = succeeding
    assert isinstance(key, ResumptionPsk), "succeeds let it pass"
    check_successor(key, public, predecessor.public)


def check_successor(key: ResumptionPsk, new: PublicGroup, old: PublicGroup) -> None:
    """Raise InvalidError unless a group is what another announced or branches off it.

    key: the resumption key in the new group's first commit.  Sections 11.2 and 11.3.
    """
    if (key.group_id, key.epoch) != (old.context.group_id, old.context.epoch):
        raise InvalidError("a successor is tied to another epoch than its predecessor's last")
    here = new.context
    if key.usage == RESUMPTION_BRANCH:
        known = {leaf.credential for _, leaf in old.tree.members()}
        if (here.version, here.cipher_suite) != (old.context.version, old.context.cipher_suite):
            raise InvalidError("a branch has another version or cipher suite (section 11.3)")
        if not {leaf.credential for _, leaf in new.tree.members()} <= known:
            raise InvalidError("a branch has a member that its group does not (section 11.3)")
    elif old.reinit != ReInit(here.group_id, here.version, here.cipher_suite, here.extensions):
        raise InvalidError("a group is not what the re-initialisation announced (section 11.2)")


def public_group(info: GroupInfo, tree: bytes | None) -> PublicGroup:
    """Return the group that group information and a tree describe, all of it checked."""
    check_once(info.extensions)
    check_once(info.context.extensions)
    for found in info.extensions:
        if found.type == RATCHET_TREE:
            tree = found.data
    if tree is None:
        raise InvalidError("there is no tree to the group information")
    return PublicGroup.of(info, RatchetTree.decode(suite_of(info.context.cipher_suite), tree))


def join_external(
    info: GroupInfo,
    own: OwnKeyPackage,
    random: Random,
    *,
    tree: bytes | None = None,
    remove: int | None = None,
    psks: Psks = no_psks,
    use: Sequence[PreSharedKeyId] = (),
    authenticated_data: bytes = b"",
    public: PublicGroup | None = None,
) -> Committed:
    """Return the commit by which a client adds itself (section 12.4.3.2).

    own: gives credential, capabilities and signature key; its other keys are not used.
    remove: the client's old leaf; use: pre-shared keys to mix in.
    public: what ``public_group`` made of the information and the tree, for who has asked it before.
    """
    public = public_group(info, tree) if public is None else public
    suite = public.suite
    if own.package.cipher_suite != suite.id:
        raise InvalidError("the group is of another cipher suite")
    external_pub = extension(info.extensions, EXTERNAL_PUB, OPAQUE)
    if external_pub is None:
        raise InvalidError("the group information lets nobody join (section 12.4.3.2)")
    kem_output, init = suite.external_init_send(external_pub)
    proposals: list[Proposal] = [ExternalInit(kem_output)]
    if remove is not None:
        proposals.append(Remove(remove))
    proposals += [PreSharedKey(psk) for psk in use]
    sender = NewMemberCommit()
    listed = tuple(Proposed(proposal, sender) for proposal in proposals)
    applied = public.apply(listed, None)
    place = applied.tree.free_leaf()
    joined = replace(applied, tree=applied.tree.placed(place, own.package.leaf))
    new_tree, path, drawn, own_key = new_path(
        public, joined, place, own.package.leaf, own.signing_key, random
    )
    check_members(new_tree, applied.extensions)
    commit = Commit(tuple(ByValue(proposal) for proposal in proposals), path)
    framed = FramedContent(
        public.context.group_id,
        public.context.epoch,
        sender,
        authenticated_data,
        CommitContent(commit),
    )
    content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"").sign(
        suite, own.signing_key, public.context
    )
    confirmed = key_schedule.confirmed_transcript(suite, public.interim, content.transcript_input())
    context = replace(
        public.next_context(new_tree, applied.extensions), confirmed_transcript_hash=confirmed
    )
    joiner = key_schedule.joiner_secret(suite, init, drawn.commit_secret, context)
    mixed = psk_secret(suite, applied.psks, psks)
    secrets = key_schedule.epoch_secrets(suite, joiner, mixed, context)
    content = replace(content, confirmation_tag=suite.mac(secrets.confirmation, confirmed))
    assert content.confirmation_tag is not None
    transition = public.conclude(content, place, listed, applied, new_tree)
    group = Group.begin(
        transition.after,
        place,
        own.signing_key,
        {**drawn.private, 2 * place: own_key},
        secrets,
        content.confirmation_tag,
    )
    message = encode_message(protect_public(suite, content, secrets, public.context))
    return Committed(message, None, transition, group, None)
