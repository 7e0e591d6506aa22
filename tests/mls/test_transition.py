"""Commits as everyone sees them, without secrets, and what outsiders may send (RFC 9420 section 12)."""

import os
from dataclasses import replace

import pytest

from lairchat.mls.errors import (
    ClosedError,
    EpochError,
    InvalidError,
    MalformedError,
    UnknownProposalError,
)
from lairchat.mls.group import Group
from lairchat.mls.joining import join_external
from lairchat.mls.messages import (
    ApplicationData,
    CommitContent,
    External,
    FramedContent,
    Member,
    NewMemberCommit,
    NewMemberProposal,
    ProposalContent,
    PublicMessage,
    decode_message,
)
from lairchat.mls.objects import (
    Add,
    ByReference,
    ByValue,
    Commit,
    Extension,
    ExternalInit,
    ExternalPsk,
    FromUpdate,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    ReInit,
    Remove,
    ResumptionPsk,
    Update,
    UpdatePath,
)
from lairchat.mls.transition import MAX_PENDING
from tests.mls.people import (
    FAST,
    GROUP_ID,
    agree,
    committing,
    content_of,
    external_senders,
    forge,
    members,
    person,
    settle,
    sign,
    welcomed,
)

SERVER = FAST.generate_signature_key()
LED = external_senders(FAST.signature_public(SERVER))
REINIT = ReInit(b"the successor", 1, FAST.id, ())


def _path(group: Group, **how: object) -> UpdatePath:
    """Return a path that fits a commit of these proposals."""
    message = decode_message(group.commit(os.urandom, **how).message)
    path: UpdatePath = message.authenticated.framed.content.commit.path
    return path


def _refused(group: Group, framed: FramedContent, match: str, key: bytes | None = None) -> None:
    """Assert that a commit is refused by everyone, with the same words."""
    message = forge(group, framed, key)
    with pytest.raises(InvalidError, match=match):
        group.public.follow(message.authenticated)
    with pytest.raises(InvalidError, match=match):
        group.receive_commit(message)


# What a delivery service is given that is nothing of the kind.


@pytest.mark.parametrize("name", ["propose", "follow"])
def test_application_data_in_the_clear_is_refused(name: str) -> None:
    """Section 6: application data is never in a PublicMessage."""
    (group,) = members(1, FAST)
    content = sign(group, content_of(group, ApplicationData(b"for the server to read")))
    with pytest.raises(InvalidError):
        getattr(group.public, name)(content)


def test_a_commit_is_no_proposal_and_a_proposal_no_commit() -> None:
    group, _ = members(2, FAST)
    message = decode_message(group.commit(os.urandom).message)
    with pytest.raises(InvalidError, match="not a proposal"):
        group.public.propose(message.authenticated)
    with pytest.raises(InvalidError, match="not a proposal"):
        group.receive_proposal(message)
    message = decode_message(group.propose(Remove(1), os.urandom)[0])
    with pytest.raises(InvalidError, match="not a commit"):
        group.public.follow(message.authenticated)
    with pytest.raises(InvalidError, match="not a commit"):
        group.receive_commit(message)


@pytest.mark.parametrize("part", [{"epoch": 7}, {"group_id": b"another"}])
def test_content_of_another_group_or_epoch_is_refused(part: dict[str, object]) -> None:
    """Sections 12.1 and 12.4.2: the epoch is that of the group."""
    group, other = members(2, FAST)
    for inner in (ProposalContent(Remove(1)), CommitContent(Commit((), _path(other)))):
        framed = replace(content_of(other, inner), **part)
        for call in (group.public.propose, group.public.follow):
            with pytest.raises(EpochError):
                call(sign(other, framed))
        for call in (group.receive_proposal, group.receive_commit):
            with pytest.raises(EpochError):
                call(forge(other, framed))


# Who may send what: section 6 and 12.1.8.


@pytest.mark.parametrize("sender", [NewMemberProposal(), NewMemberCommit(), External(0)])
@pytest.mark.parametrize(
    "inner", [ProposalContent(Remove(1)), CommitContent(Commit((), None))], ids=["remove", "commit"]
)
def test_outsiders_say_only_what_they_may(sender: object, inner: object) -> None:
    group, _ = members(2, FAST)
    message = forge(group, content_of(group, inner, sender))
    for call in (group.receive_proposal, group.receive_commit):
        with pytest.raises(InvalidError):
            call(message)
    for call in (group.public.propose, group.public.follow):
        with pytest.raises(InvalidError):
            call(message.authenticated)


@pytest.mark.parametrize("leaf", [1, 4, 2**32 - 1])
def test_a_sender_has_to_be_a_member(leaf: int) -> None:
    """Section 6: the leaf of a sender is in the tree and not blank."""
    groups = members(3, FAST)
    group = settle(groups, groups[0].commit(os.urandom, proposals=[Remove(1)]), 0)[0]
    said = forge(group, content_of(group, ProposalContent(Remove(2)), Member(leaf)))
    with pytest.raises(InvalidError, match="no member"):
        group.receive_proposal(said)
    done = forge(group, content_of(group, CommitContent(Commit((), None)), Member(leaf)))
    with pytest.raises(InvalidError, match="no member"):
        group.receive_commit(done)


class TestExternalSenders:
    """Section 12.1.8.1."""

    group: Group

    def setup_method(self) -> None:
        self.groups = members(3, FAST, (LED,))
        self.group = self.groups[0]

    def _hear(self, proposal: Proposal, index: int = 0, key: bytes = SERVER) -> list[Group]:
        framed = content_of(self.group, ProposalContent(proposal), External(index))
        message = forge(self.group, framed, key)
        assert message.membership_tag is None
        return [group.receive_proposal(message)[1] for group in self.groups]

    def test_proposes_a_remove_that_a_member_commits(self) -> None:
        groups = self._hear(Remove(2))
        left = settle(groups, groups[1].commit(os.urandom), 1)
        assert len(left) == 2
        agree(left)

    @pytest.mark.parametrize("index", [1, 2**32 - 1])
    def test_is_on_the_list(self, index: int) -> None:
        with pytest.raises(InvalidError, match="no such external sender"):
            self._hear(Remove(2), index)

    def test_there_is_none_without_a_list(self) -> None:
        self.groups = members(3, FAST)
        self.group = self.groups[0]
        with pytest.raises(InvalidError, match="no such external sender"):
            self._hear(Remove(2))

    def test_signs_with_the_key_on_the_list(self) -> None:
        with pytest.raises(InvalidError, match="does not verify"):
            self._hear(Remove(2), key=FAST.generate_signature_key())

    @pytest.mark.parametrize(
        "proposal",
        [Update(members(1, FAST)[0].own_leaf), ExternalInit(b"")],
        ids=["update", "external init"],
    )
    def test_proposes_neither_an_update_nor_an_external_init(self, proposal: Proposal) -> None:
        with pytest.raises(InvalidError, match=r"12\.1\.8"):
            self._hear(proposal)

    def test_a_proposal_does_not_outlive_its_epoch(self) -> None:
        framed = content_of(self.group, ProposalContent(Remove(2)), External(0))
        message = forge(self.group, framed, SERVER)
        after = self.group.commit(os.urandom).group
        with pytest.raises(EpochError):
            after.receive_proposal(message)


class TestNewMemberProposal:
    """Section 12.1.8: somebody proposes to be added."""

    def test_is_taken_up_with_the_key_of_its_key_package(self) -> None:
        groups, own = members(2, FAST), person("new", FAST)
        framed = content_of(groups[0], ProposalContent(Add(own.package)), NewMemberProposal())
        message = forge(groups[0], framed, own.signing_key)
        groups = [group.receive_proposal(message)[1] for group in groups]
        committed = groups[0].commit(os.urandom)
        agree([*settle(groups, committed, 0), welcomed(committed, own)])

    def test_is_signed_by_nobody_else(self) -> None:
        group, own = members(2, FAST)[0], person("new", FAST)
        framed = content_of(group, ProposalContent(Add(own.package)), NewMemberProposal())
        with pytest.raises(InvalidError, match="does not verify"):
            group.receive_proposal(forge(group, framed))


def test_no_more_proposals_wait_than_can_be_kept() -> None:
    (group,) = members(1, FAST)
    _, heard = group.propose(REINIT, os.urandom)
    ((_, proposed),) = heard.public.pending.items()
    full = {number.to_bytes(32, "big"): proposed for number in range(MAX_PENDING)}
    crowded = replace(group, public=replace(group.public, pending=full))
    with pytest.raises(InvalidError, match="4096"):
        crowded.propose(REINIT, os.urandom)


# Lists of proposals: section 12.2.


@pytest.mark.parametrize(
    ("proposals", "match"),
    [
        ([Remove(1), Remove(1)], "changed twice"),
        ([Remove(0)], "neither updates nor removes itself"),
        ([Remove(2)], "no member"),
        ([Remove(2**32 - 1)], "no member"),
        ([ExternalInit(b"")], r"12\.1\.8"),
        ([REINIT, Remove(1)], "stands alone"),
        ([REINIT, REINIT], "stands alone"),
        ([GroupContextExtensions(()), GroupContextExtensions(())], "changed twice"),
        ([ReInit(b"", 0, FAST.id, ())], "downwards"),
        ([ReInit(b"", 1, FAST.id, (Extension(9, b""), Extension(9, b"")))], "twice"),
        ([GroupContextExtensions((Extension(9, b""),))], "does not support"),
        ([GroupContextExtensions((LED, LED))], "twice"),
        ([PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), bytes(31)))], "nonce"),
        ([PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), bytes(32)))] * 2, "proposed twice"),
        ([PreSharedKey(PreSharedKeyId(ResumptionPsk(0, b"", 0), bytes(32)))], "no such use"),
        ([PreSharedKey(PreSharedKeyId(ResumptionPsk(4, b"", 0), bytes(32)))], "no such use"),
        ([PreSharedKey(PreSharedKeyId(ResumptionPsk(2, b"", 0), bytes(32)))], "another use"),
        ([PreSharedKey(PreSharedKeyId(ResumptionPsk(3, b"", 0), bytes(32)))], "another use"),
    ],
)
def test_a_list_that_does_not_go_together_is_refused(proposals: list[Proposal], match: str) -> None:
    groups = members(2, FAST)
    _refused(groups[0], committing(groups[0], *proposals, path=_path(groups[0])), match)
    with pytest.raises(InvalidError, match=match):
        groups[0].commit(os.urandom, proposals=proposals, psks=lambda _: b"k")


def test_extensions_that_nobody_can_read_are_refused_when_proposed() -> None:
    """Section 13.4: else the one who commits them would be blamed."""
    group, _ = members(2, FAST)
    for kind in (3, 5):
        framed = content_of(
            group, ProposalContent(GroupContextExtensions((Extension(kind, b"\1"),)))
        )
        with pytest.raises(MalformedError):
            group.receive_proposal(forge(group, framed))


def test_the_same_newcomer_is_not_added_twice_nor_a_member_again() -> None:
    """Section 7.3: keys are nobody else's."""
    groups, own = members(2, FAST), person("new", FAST)
    same = person("as new", FAST, own.signing_key)
    again = person("again", FAST, groups[1].signing_key)
    for added in ([own, own], [own, same], [again]):
        adds = [Add(one.package) for one in added]
        with pytest.raises(InvalidError, match="same key"):
            groups[0].commit(os.urandom, proposals=adds)
        _refused(
            groups[1],
            committing(groups[1], *adds),
            "same key",
        )


def test_who_is_removed_can_be_added_in_the_same_commit() -> None:
    groups = members(3, FAST)
    own = person("back", FAST, groups[2].signing_key)
    committed = groups[0].commit(os.urandom, proposals=[Remove(2), Add(own.package)])
    agree([*settle(groups, committed, 0), welcomed(committed, own)])


def test_a_commit_of_unknown_proposals_is_told_apart() -> None:
    group, other = members(2, FAST)
    framed = content_of(other, CommitContent(Commit((ByReference(b"never"),), None)))
    with pytest.raises(UnknownProposalError):
        group.receive_commit(forge(other, framed))


@pytest.mark.parametrize(
    "proposals", [(), (Remove(2),), (GroupContextExtensions(()),)], ids=["none", "remove", "gce"]
)
def test_a_commit_that_needs_a_path_has_one(proposals: tuple[Proposal, ...]) -> None:
    """Section 12.4."""
    groups = members(3, FAST)
    _refused(groups[0], committing(groups[0], *proposals), "lacks its path")


def test_an_update_inside_a_commit_is_its_own_committers_and_refused() -> None:
    group, _ = members(2, FAST)
    leaf = _updated(group)
    _refused(group, committing(group, Update(leaf), path=_path(group)), "neither updates")


def _updated(group: Group, **parts: object) -> object:
    key = FAST.hpke_public(FAST.hpke_derive(os.urandom(32)))
    leaf = replace(group.own_leaf, encryption_key=key, source=FromUpdate())
    leaf = replace(leaf, **parts)
    return leaf.sign(FAST, group.signing_key, GROUP_ID, group.leaf)


# Updates: section 12.1.2.


def test_an_update_brings_a_new_key_and_is_for_its_own_place() -> None:
    groups = members(3, FAST)
    kept = _updated(groups[1], encryption_key=groups[1].own_leaf.encryption_key)
    elsewhere = _updated(groups[1]).sign(FAST, groups[1].signing_key, GROUP_ID, 0)
    foreign = _updated(groups[1]).sign(FAST, groups[1].signing_key, b"another group", 1)
    package = person("x", FAST).package.leaf
    for leaf, match in [
        (kept, "keeps its key"),
        (elsewhere, "does not verify"),
        (foreign, "does not verify"),
        (package, "comes from elsewhere"),
        (replace(_updated(groups[1]), signature=b""), "does not verify"),
    ]:
        message = forge(groups[1], content_of(groups[1], ProposalContent(Update(leaf))))
        with pytest.raises(InvalidError, match=match):
            groups[0].receive_proposal(message)


def test_an_update_with_somebody_elses_key_is_not_committed() -> None:
    """Section 7.3: an insider who claims another's key, of a leaf or of a parent."""
    groups = members(4, FAST, (), 1)
    parent = groups[0].public.tree.node(5)  # above leaves 2 and 3
    for key in (groups[2].own_leaf.encryption_key, parent.encryption_key):
        leaf = _updated(groups[1], encryption_key=key)
        message = forge(groups[1], content_of(groups[1], ProposalContent(Update(leaf))))
        heard = [group.receive_proposal(message)[1] for group in (groups[0], groups[2])]
        (reference,) = heard[0].public.pending
        with pytest.raises(InvalidError, match="same key"):
            heard[0].commit(os.urandom, references=[reference])
        framed = content_of(
            heard[1], CommitContent(Commit((ByReference(reference),), _path(heard[1])))
        )
        with pytest.raises(InvalidError):
            heard[0].receive_commit(forge(heard[1], framed))


def test_a_proposal_is_never_taken_from_one_member_for_another() -> None:
    """An insider signs for another leaf."""
    groups = members(3, FAST)
    framed = content_of(groups[1], ProposalContent(Remove(0)), Member(2))
    with pytest.raises(InvalidError, match="does not verify"):
        groups[0].receive_proposal(forge(groups[1], framed))


# External commits: sections 12.2 and 12.4.3.2.


class TestExternalCommits:
    def setup_method(self) -> None:
        self.groups = members(3, FAST)
        self.group = self.groups[0]
        self.own = person("new", FAST)
        info = self.group.group_info(with_tree=True)
        self.committed = join_external(info, self.own, os.urandom)
        message = decode_message(self.committed.message)
        self.commit = message.authenticated.framed.content.commit

    def _refused(self, *items: object, match: str, path: UpdatePath | None) -> None:
        framed = content_of(
            self.group, CommitContent(Commit(tuple(items), path)), NewMemberCommit()
        )
        _refused(self.group, framed, match, self.own.signing_key)

    def test_is_followed_by_all(self) -> None:
        agree([*settle(self.groups, self.committed), self.committed.group])

    def test_has_a_path(self) -> None:
        self._refused(*self.commit.proposals, match="may not send", path=None)

    def test_has_one_external_init(self) -> None:
        one = self.commit.proposals[0]
        self._refused(match="one external init", path=self.commit.path)
        self._refused(one, one, match="one external init", path=self.commit.path)

    def test_refers_to_nothing(self) -> None:
        items = (*self.commit.proposals, ByReference(b"x"))
        self._refused(*items, match="refers to no proposals", path=self.commit.path)

    def test_removes_one_at_most(self) -> None:
        items = (*self.commit.proposals, ByValue(Remove(1)), ByValue(Remove(2)))
        self._refused(*items, match="one leaf at most", path=self.commit.path)

    @pytest.mark.parametrize(
        "proposal",
        [Add(person("x", FAST).package), GroupContextExtensions(()), REINIT],
        ids=["add", "gce", "reinit"],
    )
    def test_brings_nothing_else(self, proposal: Proposal) -> None:
        items = (*self.commit.proposals, ByValue(proposal))
        self._refused(*items, match=r"12\.1\.8", path=self.commit.path)

    def test_an_update_in_it_is_refused_like_all_else(self) -> None:
        """It once got past the list of proposals to a place that only members' Updates reach."""
        items = (*self.commit.proposals, ByValue(Update(_updated(self.group))))
        self._refused(*items, match=r"12\.1\.8", path=self.commit.path)

    def test_is_signed_by_the_key_it_brings(self) -> None:
        framed = content_of(self.group, CommitContent(self.commit), NewMemberCommit())
        _refused(self.group, framed, "does not verify", FAST.generate_signature_key())

    def test_does_not_use_a_members_signature_key(self) -> None:
        own = person("me too", FAST, self.groups[1].signing_key)
        with pytest.raises(InvalidError, match="same key"):
            join_external(self.group.group_info(with_tree=True), own, os.urandom)

    def test_takes_the_place_of_its_old_leaf_under_another_key(self) -> None:
        own = person("member 1", FAST, self.groups[1].signing_key)
        info = self.group.group_info(with_tree=True)
        committed = join_external(info, own, os.urandom, remove=1)
        left = settle(self.groups, committed)
        assert len(left) == 2
        agree([*left, committed.group])
        assert committed.group.leaf == 1

    def test_does_not_keep_the_key_of_the_leaf_it_removes(self) -> None:
        """Section 12.2: the new leaf is to the removed one as an Update would be."""
        own = person("member 1", FAST, self.groups[1].signing_key)
        info = self.group.group_info(with_tree=True)
        committed = join_external(info, own, os.urandom, remove=1)
        commit = decode_message(committed.message).authenticated.framed.content.commit
        old = self.groups[1].own_leaf.encryption_key
        leaf = replace(commit.path.leaf, encryption_key=old)
        leaf = leaf.sign(FAST, own.signing_key, GROUP_ID, 1)
        framed = content_of(
            self.group,
            CommitContent(Commit(commit.proposals, replace(commit.path, leaf=leaf))),
            NewMemberCommit(),
        )
        _refused(self.group, framed, "in the tree", own.signing_key)

    def test_without_the_epochs_secret_it_is_refused(self) -> None:
        """Section 12.4.2: who has not got the group's external key cannot confirm."""
        message = decode_message(self.committed.message)
        false = replace(message.authenticated, confirmation_tag=bytes(32))
        with pytest.raises(InvalidError, match="confirmation tag"):
            self.group.receive_commit(PublicMessage(false, None))

    def test_proves_no_removal_to_who_is_removed(self) -> None:
        """Anybody can sign this one; so the caller is told that it is external and who came."""
        own = person("anybody", FAST)
        info = self.group.group_info(with_tree=True)
        staged = self.groups[1].receive_commit(
            decode_message(join_external(info, own, os.urandom, remove=1).message)
        )
        assert staged.group is None
        assert staged.transition.external
        assert staged.transition.path is not None
        assert staged.transition.path.leaf.credential == own.package.leaf.credential

    def test_is_made_with_a_key_package_of_the_groups_suite(self) -> None:
        with pytest.raises(InvalidError, match="another cipher suite"):
            join_external(self.group.group_info(with_tree=True), person("x"), os.urandom)

    def test_needs_group_information_that_lets_others_in(self) -> None:
        closed = self.group.group_info(with_tree=True, external=False)
        with pytest.raises(InvalidError, match="lets nobody join"):
            join_external(closed, self.own, os.urandom)
        with pytest.raises(InvalidError, match="no tree"):
            join_external(self.group.group_info(with_tree=False), self.own, os.urandom)


# Paths that lie in public: sections 7.5, 7.9 and 12.4.2.


def test_every_lie_in_a_path_that_can_be_seen_is_refused() -> None:
    groups = members(4, FAST, (), 1)
    group = groups[1]
    path = _path(group)
    known = groups[3].own_leaf.encryption_key
    parent = next(found for _, found in group.public.tree.parents()).encryption_key
    old = group.own_leaf.encryption_key

    def leaf(**parts: object) -> UpdatePath:
        changed = replace(path.leaf, **parts).sign(FAST, group.signing_key, GROUP_ID, 1)
        return replace(path, leaf=changed)

    def node(**parts: object) -> UpdatePath:
        return replace(path, nodes=(replace(path.nodes[0], **parts), *path.nodes[1:]))

    for lie, match in [
        (leaf(encryption_key=old), "in the tree"),
        (leaf(encryption_key=known), "in the tree"),
        (leaf(encryption_key=parent), "in the tree"),
        (leaf(encryption_key=path.nodes[0].encryption_key), "in the tree"),
        (leaf(encryption_key=bytes(31)), "not a public key"),
        (leaf(source=FromUpdate()), "comes from elsewhere"),
        (leaf(source=replace(path.leaf.source, parent_hash=bytes(32))), "wrong parent hash"),
        (leaf(signature_key=groups[0].own_leaf.signature_key), "does not verify"),
        (node(encryption_key=parent), "in the tree"),
        (node(encryption_key=path.nodes[1].encryption_key), "in the tree"),
        (node(encryption_key=b""), "not a public key"),
        (node(encryption_key=os.urandom(32)), "wrong parent hash"),
        (node(secrets=()), "too many secrets or too few"),
        (node(secrets=path.nodes[0].secrets * 2), "too many secrets or too few"),
        (replace(path, nodes=path.nodes[:-1]), "nodes came with"),
        (replace(path, nodes=(*path.nodes, path.nodes[-1])), "in the tree"),
        (replace(path, nodes=()), "nodes came with"),
    ]:
        _refused(group, committing(group, path=lie), match)


# Re-initialisation: sections 11.2 and 12.1.5.


class TestReInit:
    def setup_method(self) -> None:
        groups = members(3, FAST)
        self.closed = settle(groups, groups[0].commit(os.urandom, proposals=[REINIT]), 0)
        agree(self.closed)

    def test_closes_the_group_for_everybody(self) -> None:
        group, other, _ = self.closed
        assert group.public.reinit == REINIT
        with pytest.raises(ClosedError):
            group.encrypt(b"", os.urandom)
        with pytest.raises(ClosedError):
            group.commit(os.urandom)
        with pytest.raises(ClosedError):
            group.propose(Remove(1), os.urandom)
        opened = replace(other, public=replace(other.public, reinit=None))
        with pytest.raises(ClosedError):
            group.receive_commit(decode_message(opened.commit(os.urandom).message))
        with pytest.raises(ClosedError):
            group.receive_proposal(decode_message(opened.propose(Remove(2), os.urandom)[0]))
        with pytest.raises(ClosedError):
            group.decrypt(decode_message(opened.encrypt(b"", os.urandom)[0]))

    def test_goes_without_a_path(self) -> None:
        group, other = members(2, FAST)
        committed = group.commit(os.urandom, proposals=[REINIT], path=False)
        assert committed.transition.path is None
        agree(settle([group, other], committed, 0))
