"""Who may change what in an encrypted room: every cell of the table, by real commits."""

import os
from dataclasses import replace

import pytest

from lairchat.mls.errors import MLSError
from lairchat.mls.group import Group
from lairchat.mls.joining import join_external
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    External,
    FramedContent,
    ProposalContent,
    PublicMessage,
    decode_message,
)
from lairchat.mls.objects import (
    Add,
    Extension,
    ExternalPsk,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    ReInit,
    Remove,
)
from lairchat.mls.suites import HYBRID, SUITES
from lairchat.model import limits
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.errors import LogNeededError, PolicyError, TrustError, UncertifiedError
from lairchat.trust.policy import (
    NO_HEAD,
    Because,
    Following,
    Policy,
    Removal,
    Role,
    context_extensions,
    direct_policy,
    encode_reasons,
    policy_of,
    private_policy,
)
from lairchat.trust.structure import check_commit, check_group, check_proposal
from tests.trust.people import device, seed, signer
from tests.trust.rooms import NO_REASON, SERVER_KEY, Person, Room

DECIDED = encode_reasons(NO_REASON)


@pytest.fixture
def alice() -> Person:
    return Person("alice", devices=2)


@pytest.fixture
def bob() -> Person:
    return Person("bob", devices=2)


@pytest.fixture
def carol() -> Person:
    return Person("carol", devices=2)


@pytest.fixture
def mallory() -> Person:
    return Person("mallory")


def roles(policy: Policy, *moderators: Person) -> GroupContextExtensions:
    changed = replace(policy, moderators=tuple(sorted(person.id for person in moderators)))
    return GroupContextExtensions(context_extensions(changed, SERVER_KEY.public))


def server_removes(room: Room, target: int, reason: Removal, index: int = 0) -> list[bytes]:
    """Let the server propose a removal; members note it if it is allowed."""
    group = next(iter(room.members.values()))
    framed = FramedContent(
        group.context.group_id,
        group.context.epoch,
        External(index),
        encode_reasons(reason),
        ProposalContent(Remove(target)),
    )
    content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"").sign(
        HYBRID, seed_of_server(), group.context
    )
    references = set()
    for identity, member in room.members.items():
        proposed, after = member.receive_proposal(PublicMessage(content, None))
        check_proposal(member.public, proposed, SERVER_KEY.public, room.logs)
        assert proposed.reference is not None
        references.add(proposed.reference)
        room.members[identity] = after
    (reference,) = references
    return [reference]


def seed_of_server() -> bytes:
    return seed("server", "proposals")


class TestAdding:
    def test_an_administrator_adds_people_who_then_read(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob)
        change = room.add(alice, carol)
        assert change.added == (carol.identity(),)
        assert change.committer == alice.identity()
        assert not change.rejoined
        assert room.hears(alice, carol)
        assert room.hears(carol, bob)

    def test_a_member_may_not_add_people(self, alice: Person, bob: Person, carol: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="may not add"):
            room.add(bob, carol)
        assert room.hears(alice, bob)

    def test_unless_the_policy_lets_everybody(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, policy=private_policy([alice.id], adders=Role.MEMBER))
        assert room.add(bob, carol).added == (carol.identity(),)

    def test_a_moderator_adds_people_by_the_usual_policy(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        policy = private_policy([alice.id])
        room = Room(alice, bob, policy=policy)
        room.commit(alice, roles(policy, bob))
        assert room.add(bob, carol).added == (carol.identity(),)

    def test_anybody_adds_devices_of_members(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        assert room.add(bob, bob, 2).added == (bob.identity(2),)
        assert room.add(bob, alice, 2).added == (alice.identity(2),)

    def test_a_device_that_its_account_does_not_know_is_refused(
        self, alice: Person, bob: Person
    ) -> None:
        room = Room(alice, bob)
        with pytest.raises(UncertifiedError):
            room.add(alice, bob, 3)

    def test_a_device_with_another_key_than_its_certificate_is_refused(
        self, alice: Person, bob: Person
    ) -> None:
        room = Room(alice, bob)
        package = bob.package(2, signing_key=os.urandom(32)).package
        with pytest.raises(UncertifiedError, match="another key"):
            room.commit(alice, Add(package))

    def test_a_revoked_device_is_refused(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        bob.account.say(Revocation(2, Reason.LOST))
        with pytest.raises(UncertifiedError, match="revoked"):
            room.add(alice, bob, 2)

    def test_a_log_that_is_known_too_little_of_is_asked_for(
        self, alice: Person, bob: Person
    ) -> None:
        room = Room(alice, bob)
        before = bob.log
        bob.account.say(device("bob", 3))
        committed = room.group(alice).commit(os.urandom, proposals=[Add(bob.package(3).package)])
        with pytest.raises(LogNeededError) as caught:
            check_commit(
                room.group(alice).public,
                committed.transition,
                SERVER_KEY.public,
                {**room.logs, bob.id: before},
            )
        assert (caught.value.account, caught.value.position) == (bob.id, 3)
        with pytest.raises(LogNeededError):
            check_commit(
                room.group(alice).public,
                committed.transition,
                SERVER_KEY.public,
                {alice.id: alice.log},
            )

    def test_extensions_that_are_not_ours_are_refused(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="one extension"):
            room.commit(alice, Add(bob.package(2, extensions=()).package))

    def test_a_classical_key_package_is_refused(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        package = bob.package(2, suite=SUITES[1]).package
        with pytest.raises(MLSError, match="cipher suite"):
            room.commit(alice, Add(package))


class TestRemoving:
    def test_an_administrator_removes_anybody_who_then_reads_nothing(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        gone = room.group(bob)
        change = room.commit(alice, Remove(room.leaf(bob)), said=DECIDED)
        (removed,) = change.removed
        assert removed.identity == bob.identity()
        assert removed.by == alice.identity()
        assert removed.because is Because.DECIDED
        room.members[bob.identity()] = gone
        assert not room.hears(alice, bob)
        assert room.hears(alice, carol)

    def test_a_moderator_removes_members_but_no_moderator_and_no_administrator(
        self, alice: Person, bob: Person, carol: Person, mallory: Person
    ) -> None:
        policy = private_policy([alice.id])
        room = Room(alice, bob, carol, mallory, policy=policy)
        room.commit(alice, roles(policy, bob, carol))
        for other in (carol, alice):
            with pytest.raises(PolicyError, match="may not remove"):
                room.commit(bob, Remove(room.leaf(other)), said=DECIDED)
        room.commit(bob, Remove(room.leaf(mallory)), said=DECIDED)
        assert mallory.identity() not in room.members

    def test_a_member_removes_nobody_else(self, alice: Person, bob: Person, carol: Person) -> None:
        room = Room(alice, bob, carol)
        with pytest.raises(PolicyError, match="may not remove"):
            room.commit(bob, Remove(room.leaf(carol)), said=DECIDED)

    def test_a_member_removes_a_device_of_its_own(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        room.add(bob, bob, 2)
        room.commit(bob, Remove(room.leaf(bob, 2)), said=DECIDED)
        assert bob.identity(2) not in room.members

    def test_a_member_leaves_by_a_proposal_that_somebody_commits(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        leaf = room.leaf(bob)
        message, group = room.group(bob).propose(
            Remove(leaf), os.urandom, authenticated_data=DECIDED
        )
        room.members[bob.identity()] = group
        body = decode_message(message)
        assert isinstance(body, PublicMessage)
        for person in (alice, carol):
            proposed, after = room.group(person).receive_proposal(body)
            check_proposal(after.public, proposed, SERVER_KEY.public, room.logs)
            room.members[person.identity()] = after
        change = room.commit(carol)
        assert change.removed[0].by == bob.identity()
        assert bob.identity() not in room.members

    def test_anybody_removes_a_device_that_its_account_has_revoked(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        bob.account.say(Revocation(1, Reason.LOST))
        said = encode_reasons(Removal(Because.REVOKED, bob.log.head))
        change = room.commit(carol, Remove(room.leaf(bob)), said=said)
        assert change.removed[0].because is Because.REVOKED

    def test_but_not_one_that_is_only_said_to_be_revoked(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        said = encode_reasons(Removal(Because.REVOKED, bob.log.head))
        with pytest.raises(UncertifiedError, match="not been revoked"):
            room.commit(carol, Remove(room.leaf(bob)), said=said)
        before = bob.log.head
        bob.account.say(Revocation(1, Reason.LOST))
        with pytest.raises(UncertifiedError, match="not been revoked"):
            room.commit(
                carol,
                Remove(room.leaf(bob)),
                said=encode_reasons(Removal(Because.REVOKED, before)),
            )

    @pytest.mark.parametrize("because", [Because.BANNED, Because.LEFT])
    def test_members_do_not_speak_for_the_server(
        self, alice: Person, bob: Person, because: Because
    ) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="only the server"):
            room.commit(
                alice, Remove(room.leaf(bob)), said=encode_reasons(Removal(because, NO_HEAD))
            )

    def test_the_last_administrator_is_not_lost(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        message, _ = room.group(alice).propose(
            Remove(room.leaf(alice)), os.urandom, authenticated_data=DECIDED
        )
        body = decode_message(message)
        assert isinstance(body, PublicMessage)
        for person in (bob, carol):
            _, room.members[person.identity()] = room.group(person).receive_proposal(body)
        with pytest.raises(PolicyError, match="keeps an administrator"):
            room.commit(carol)

    def test_unless_the_device_is_revoked(self, alice: Person, bob: Person, carol: Person) -> None:
        room = Room(alice, bob, carol)
        alice.account.say(Revocation(1, Reason.LOST))
        said = encode_reasons(Removal(Because.REVOKED, alice.log.head))
        room.commit(carol, Remove(room.leaf(alice)), said=said)
        # The room goes on; it has no administrator, and members can still commit.
        room.commit(bob)
        assert room.hears(bob, carol)

    @pytest.mark.parametrize(
        "said",
        [b"", DECIDED + b"\0", encode_reasons(), encode_reasons(NO_REASON, NO_REASON), b"\xff" * 9],
    )
    def test_a_removal_has_one_reason(self, alice: Person, bob: Person, said: bytes) -> None:
        room = Room(alice, bob)
        with pytest.raises((PolicyError, MLSError)):
            room.commit(alice, Remove(room.leaf(bob)), said=said)

    @pytest.mark.parametrize("said", [DECIDED, encode_reasons(), b"hello"])
    def test_a_commit_without_removals_says_nothing(
        self, alice: Person, bob: Person, said: bytes
    ) -> None:
        room = Room(alice, bob)
        with pytest.raises((PolicyError, MLSError)):
            room.commit(alice, said=said)

    def test_a_reason_that_is_not_known_is_refused(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="no reason 9"):
            room.commit(alice, Remove(room.leaf(bob)), said=encode_reasons(Removal(9, NO_HEAD)))


class TestTheServer:
    def test_it_removes_who_is_banned(self, alice: Person, bob: Person, carol: Person) -> None:
        room = Room(alice, bob, carol)
        server_removes(room, room.leaf(bob), Removal(Because.BANNED, NO_HEAD))
        change = room.commit(carol)
        (removed,) = change.removed
        assert removed.by is None
        assert removed.because is Because.BANNED
        assert bob.identity() not in room.members

    @pytest.mark.parametrize("because", [Because.BANNED, Because.LEFT])
    def test_not_the_last_administrator(self, alice: Person, bob: Person, because: Because) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="last administrator"):
            server_removes(room, room.leaf(alice), Removal(because, NO_HEAD))

    def test_one_administrator_of_two(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        policy = private_policy([alice.id, bob.id])
        room.commit(alice, GroupContextExtensions(context_extensions(policy, SERVER_KEY.public)))
        server_removes(room, room.leaf(alice), Removal(Because.LEFT, NO_HEAD))
        room.commit(bob)
        assert alice.identity() not in room.members

    def test_not_both_administrators_in_one_commit(
        self, alice: Person, bob: Person, carol: Person
    ) -> None:
        room = Room(alice, bob, carol)
        policy = private_policy([alice.id, bob.id])
        room.commit(alice, GroupContextExtensions(context_extensions(policy, SERVER_KEY.public)))
        # Each of them alone is allowed, for the other would be left.
        server_removes(room, room.leaf(alice), Removal(Because.LEFT, NO_HEAD))
        server_removes(room, room.leaf(bob), Removal(Because.LEFT, NO_HEAD))
        with pytest.raises(PolicyError, match="keeps an administrator"):
            room.commit(carol)

    def test_it_decides_nothing(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="decides nothing"):
            server_removes(room, room.leaf(bob), NO_REASON)

    def test_in_a_direct_conversation_it_removes_revoked_devices_only(
        self, alice: Person, bob: Person
    ) -> None:
        room = Room(alice, bob, policy=direct_policy(alice.id, bob.id))
        for because in (Because.BANNED, Because.LEFT):
            with pytest.raises(PolicyError, match="revoked devices only"):
                server_removes(room, room.leaf(bob), Removal(because, NO_HEAD))
        bob.account.say(Revocation(1, Reason.LOST))
        server_removes(room, room.leaf(bob), Removal(Because.REVOKED, bob.log.head))
        room.commit(alice)
        assert list(room.members) == [alice.identity()]

    def test_a_second_server_is_nobody(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(MLSError, match="no such external sender"):
            server_removes(room, room.leaf(bob), Removal(Because.BANNED, NO_HEAD), index=1)

    def test_it_proposes_nothing_but_removals(
        self, alice: Person, bob: Person, mallory: Person
    ) -> None:
        room = Room(alice, bob)
        room.know(mallory)
        group = room.group(alice)
        for proposal in (
            Add(mallory.package().package),
            GroupContextExtensions(group.context.extensions),
            ReInit(b"next", 1, HYBRID.id, ()),
            PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), bytes(HYBRID.hash_size))),
        ):
            framed = FramedContent(
                group.context.group_id,
                group.context.epoch,
                External(0),
                b"",
                ProposalContent(proposal),
            )
            content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"").sign(
                HYBRID, seed_of_server(), group.context
            )
            proposed, after = group.receive_proposal(PublicMessage(content, None))
            with pytest.raises(PolicyError, match="from anybody"):
                check_proposal(group.public, proposed, SERVER_KEY.public, room.logs)
            assert after.public.pending


class TestDirectConversations:
    def test_the_two_and_all_their_devices(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob, policy=direct_policy(alice.id, bob.id))
        room.add(bob, bob, 2)
        room.add(bob, alice, 2)
        assert room.hears(alice, bob)

    def test_never_a_third(self, alice: Person, bob: Person, mallory: Person) -> None:
        room = Room(alice, bob, policy=direct_policy(alice.id, bob.id))
        with pytest.raises(PolicyError, match="nobody else comes"):
            room.add(alice, mallory)

    def test_neither_removes_the_other(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob, policy=direct_policy(alice.id, bob.id))
        with pytest.raises(PolicyError, match="may not remove"):
            room.commit(alice, Remove(room.leaf(bob)), said=DECIDED)

    def test_nobody_changes_what_it_is(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob, policy=direct_policy(alice.id, bob.id))
        other = GroupContextExtensions(
            context_extensions(private_policy([alice.id]), SERVER_KEY.public)
        )
        with pytest.raises(PolicyError, match="only administrators"):
            room.commit(alice, other)

    def test_a_group_with_somebody_else_is_no_direct_conversation(
        self, alice: Person, bob: Person, mallory: Person
    ) -> None:
        group = mallory.found(direct_policy(alice.id, bob.id))
        with pytest.raises(PolicyError, match="somebody else"):
            check_group(group.public, SERVER_KEY.public, {mallory.id: mallory.log})


class TestPolicies:
    def test_an_administrator_makes_others(self, alice: Person, bob: Person) -> None:
        policy = private_policy([alice.id])
        room = Room(alice, bob, policy=policy)
        change = room.commit(alice, roles(policy, bob))
        assert change.before.role(bob.id) is Role.MEMBER
        assert change.after.role(bob.id) is Role.MODERATOR

    def test_nobody_else_does(self, alice: Person, bob: Person, carol: Person) -> None:
        policy = private_policy([alice.id])
        room = Room(alice, bob, carol, policy=policy)
        room.commit(alice, roles(policy, bob))
        for person in (bob, carol):
            with pytest.raises(PolicyError, match="only administrators"):
                room.commit(person, roles(policy, carol))

    def test_only_members_get_a_role(self, alice: Person, bob: Person, mallory: Person) -> None:
        policy = private_policy([alice.id])
        room = Room(alice, bob, policy=policy)
        with pytest.raises(PolicyError, match="only members"):
            room.commit(alice, roles(policy, mallory))

    def test_a_room_never_becomes_a_direct_conversation(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        other = direct_policy(alice.id, bob.id)
        with pytest.raises(PolicyError, match="never changes"):
            room.commit(alice, GroupContextExtensions(context_extensions(other, SERVER_KEY.public)))

    def test_a_conversation_follows_another_in_a_second_version(
        self, alice: Person, bob: Person
    ) -> None:
        first = direct_policy(alice.id, bob.id)
        second = direct_policy(bob.id, alice.id, bytes(range(16)))
        assert (first.before, second.before) == (b"", bytes(range(16)))
        data = [context_extensions(one, SERVER_KEY.public)[2].data for one in (first, second)]
        assert data[0][:2] == b"\0\1"
        assert data[1] == b"\0\2" + data[0][2:] + bytes(range(16))
        for one in (first, second):
            assert policy_of(context_extensions(one, SERVER_KEY.public), SERVER_KEY.public) == one

    def test_a_private_room_follows_none(self, alice: Person) -> None:
        private = private_policy([alice.id])
        fields = [getattr(private, name) for name in Policy.__match_args__]
        with pytest.raises(PolicyError, match="only a direct conversation"):
            Following(*fields, bytes(16)).check()

    @pytest.mark.parametrize("what", ["none", "surplus", "other server", "garbage"])
    def test_the_other_extensions_stay(self, alice: Person, bob: Person, what: str) -> None:
        room = Room(alice, bob)
        right = room.group(alice).context.extensions
        wrong = {
            "none": (),
            "surplus": (*right, Extension(1, b"")),
            "other server": context_extensions(private_policy([alice.id]), bytes(32)),
            "garbage": (*right[:2], Extension(right[2].type, b"\0\1")),
        }[what]
        with pytest.raises((PolicyError, MLSError)):
            room.commit(alice, GroupContextExtensions(wrong))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"administrators": ()},
            {"administrators": (b"b" * 32, b"a" * 32)},
            {"administrators": (b"a" * 32, b"a" * 32)},
            {"moderators": (b"a" * 32,)},
            {"kind": 3},
            {"kind": 0},
            {"adders": 0},
            {"adders": 4},
            {"history": 1},
            {"parties": (b"a" * 32, b"b" * 32)},
        ],
    )
    def test_impossible_policies_are_refused(self, wrong: dict[str, object]) -> None:
        policy = private_policy([b"a" * 32])
        policy.check()
        with pytest.raises(PolicyError):
            replace(policy, **wrong).check()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"parties": ()},
            {"parties": (b"a" * 32,)},
            {"parties": (b"a" * 32, b"b" * 32, b"c" * 32)},
            {"administrators": (b"a" * 32,)},
            {"moderators": (b"a" * 32,)},
        ],
    )
    def test_impossible_direct_policies_are_refused(self, wrong: dict[str, object]) -> None:
        policy = direct_policy(b"b" * 32, b"a" * 32)
        policy.check()
        with pytest.raises(PolicyError):
            replace(policy, **wrong).check()


class TestJoiningByItself:
    def test_a_device_that_lost_its_state_comes_back(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        change = room.rejoin(bob, remove=room.leaf(bob), via=alice)
        assert change.rejoined
        assert change.removed[0].identity == bob.identity()
        assert room.hears(alice, bob)

    def test_a_new_device_of_a_member_comes_in(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        change = room.rejoin(bob, 2, via=alice)
        assert change.rejoined
        assert change.committer == bob.identity(2)
        assert len(room.members) == 3

    def test_a_stranger_does_not(self, alice: Person, bob: Person, mallory: Person) -> None:
        room = Room(alice, bob)
        room.know(mallory)
        with pytest.raises(PolicyError, match="device of a member"):
            room.rejoin(mallory, via=alice)

    def test_nobody_pushes_another_out(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="its own leaf"):
            room.rejoin(bob, 2, remove=room.leaf(bob), via=alice)
        with pytest.raises(PolicyError, match="its own leaf"):
            room.rejoin(bob, 2, remove=room.leaf(alice), via=bob)

    def test_it_does_not_go_back_behind_what_its_log_said(self, alice: Person, bob: Person) -> None:
        early = bob.log
        bob.account.say(signer("bob"))
        room = Room(alice, bob)
        package = bob.package(log=early)
        committed = join_external(
            room.group(alice).group_info(with_tree=True),
            package,
            os.urandom,
            remove=room.leaf(bob),
            authenticated_data=DECIDED,
        )
        with pytest.raises(PolicyError, match="goes back"):
            check_commit(
                room.group(alice).public, committed.transition, SERVER_KEY.public, room.logs
            )


class TestCommits:
    def test_a_commit_brings_new_keys(self, alice: Person, bob: Person, carol: Person) -> None:
        room = Room(alice, bob)
        room.know(carol)
        committed = room.group(alice).commit(
            os.urandom, proposals=[Add(carol.package().package)], path=False
        )
        with pytest.raises(PolicyError, match="brings new keys"):
            check_commit(
                room.group(alice).public, committed.transition, SERVER_KEY.public, room.logs
            )

    @pytest.mark.parametrize(
        "proposal",
        [
            ReInit(b"next", 1, HYBRID.id, ()),
            PreSharedKey(PreSharedKeyId(ExternalPsk(b"x"), bytes(HYBRID.hash_size))),
        ],
    )
    def test_what_rooms_do_not_use_is_refused(
        self, alice: Person, bob: Person, proposal: Proposal
    ) -> None:
        room = Room(alice, bob)
        committed = room.group(alice).commit(
            os.urandom, proposals=[proposal], psks=lambda _: bytes(32)
        )
        with pytest.raises(PolicyError, match="from anybody"):
            check_commit(
                room.group(alice).public, committed.transition, SERVER_KEY.public, room.logs
            )

    def test_an_update_is_its_senders_and_the_same_device(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        message, group = room.group(bob).propose_update(os.urandom)
        room.members[bob.identity()] = group
        body = decode_message(message)
        assert isinstance(body, PublicMessage)
        proposed, after = room.group(alice).receive_proposal(body)
        check_proposal(after.public, proposed, SERVER_KEY.public, room.logs)
        room.members[alice.identity()] = after
        change = room.commit(alice)
        assert not change.added
        assert not change.removed
        assert room.hears(bob, alice)

    def test_a_full_room_takes_nobody(
        self, alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "ROOM_DEVICES", 2)
        room = Room(alice, bob)
        with pytest.raises(PolicyError, match="at most 2"):
            room.add(alice, carol)
        # Who is in can still be changed.
        room.commit(alice)


class TestJoiners:
    def test_a_group_of_another_suite_is_no_room(self, alice: Person) -> None:
        suite = SUITES[1]
        own = alice.package(suite=suite)
        group = Group.create(own, bytes(16), (), os.urandom)
        with pytest.raises(PolicyError, match="hybrid"):
            check_group(group.public, SERVER_KEY.public, {alice.id: alice.log})

    def test_a_ghost_in_the_tree_is_found(self, alice: Person, bob: Person) -> None:
        """A group in which an uncertified device has been let in looks right to MLS alone."""
        room = Room(alice, bob)
        ghost = bob.package(2, signing_key=os.urandom(32))
        committed = room.group(alice).commit(os.urandom, proposals=[Add(ghost.package)])
        with pytest.raises(TrustError):
            check_group(committed.group.public, SERVER_KEY.public, room.logs)

    def test_a_group_of_another_server_is_refused(self, alice: Person, bob: Person) -> None:
        room = Room(alice, bob)
        with pytest.raises(PolicyError):
            check_group(room.group(bob).public, bytes(32), room.logs)
