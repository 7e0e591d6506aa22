"""A device comes in by itself: what lets it in, what it refuses, and who looks after the door."""

import os
from dataclasses import replace

import pytest

from lairchat.e2ee.following import Withheld
from lairchat.e2ee.rejoining import Rejoined, check_info, rejoin
from lairchat.e2ee.room import Advanced, Behind, Due, Opened, Out
from lairchat.features.delivery import rules
from lairchat.mls.codec import opaque
from lairchat.mls.errors import InvalidError, MalformedError, MLSError
from lairchat.mls.messages import GroupInfo, decode_message, encode_message
from lairchat.mls.objects import EXTERNAL_PUB, Add, Extension
from lairchat.mls.suites import HYBRID
from lairchat.model.events import EventClass
from lairchat.trust.errors import LogNeededError, PolicyError, UncertifiedError
from lairchat.trust.policy import Because, direct_policy
from tests.e2ee.devices import NOW, ROOM, Client, Server, talk
from tests.trust.people import device
from tests.trust.rooms import SERVER_KEY, Person


def info_of(client: Client) -> bytes:
    """Return the group information that a committer leaves with the server."""
    return encode_message(client.room.group.group_info(with_tree=False))


def tree_of(client: Client) -> bytes:
    return client.room.group.public.tree.encode()


def asks(client: Client, via: Client, **how: object) -> Rejoined:
    """Let a device make the commit by which it enters, from what a server that keeps up gives it."""
    return rejoin(
        ROOM,
        SERVER_KEY.public,
        info_of(via),
        tree_of(via),
        client.package(),
        client.server.logs,
        os.urandom,
        **how,  # type: ignore[arg-type]
    )


def comes(client: Client, rejoined: Rejoined) -> None:
    """Let its commit stand in the log, and the device come in."""
    client.server.append(EventClass.COMMIT, rejoined.message)
    client._enter(rejoined.group)
    client.room = rejoined.entered(client.room.followed, NOW)


def lose(client: Client) -> Behind:
    """Let a device lose its own commit, and find it in the log."""
    client.prepare()
    client.send_pending()
    client.room = replace(client.room, pending=None)
    found = client.sync()[-1]
    assert isinstance(found, Behind)
    return found


class TestComingIn:
    def test_a_new_device_of_a_member_comes_in_by_itself(self) -> None:
        alice, bob = talk("alice", "bob")
        bob.person.account.say(device("bob", 2))
        phone = Client(alice.server, bob.person, 2)
        rejoined = asks(phone, alice)
        assert rejoined.change.rejoined
        assert rejoined.change.removed == ()
        comes(phone, rejoined)
        for client in (alice, bob):
            (found,) = client.sync()
            assert isinstance(found, Advanced)
            assert found.change.committer == bob.person.identity(2)
            check_info(client.room.group, rejoined.info)
        assert phone.room.due(NOW) is None
        phone.say("from the phone")
        alice.say("hello phone")
        assert [found.finding for found in alice.sync()[:1] if isinstance(found, Opened)] == [None]
        phone.sync()
        assert (alice.texts, phone.texts) == (["from the phone"], ["hello phone"])

    def test_who_is_behind_comes_back_for_its_old_leaf(self) -> None:
        alice, bob = talk("alice", "bob")
        alice.say("before")
        bob.sync()
        lose(alice)
        bob.sync()
        bob.say("alice cannot read this")
        alice.sync()
        rejoined = asks(alice, bob, before=alice.room.group)
        (gone,) = rejoined.change.removed
        assert (gone.identity, gone.because) == (alice.person.identity(), Because.DECIDED)
        comes(alice, rejoined)
        assert alice.room.behind is None
        assert isinstance(bob.sync()[-1], Advanced)
        assert len(bob.room.members) == 2
        bob.say("welcome back")
        found = alice.sync()[-1]
        assert isinstance(found, Opened)
        # That it missed some is its own doing, and no finding.
        assert not isinstance(found.finding, Withheld)
        alice.say("thanks")
        bob.sync()
        assert bob.texts[-1] == "thanks"

    def test_what_came_in_before_goes_out(self) -> None:
        """As when a copy of a device comes in by itself: the device that it was is out, and says so."""
        alice, bob = talk("alice", "bob")
        comes(Client(alice.server, bob.person), asks(Client(alice.server, bob.person), alice))
        assert isinstance(bob.sync()[-1], Out)

    def test_a_server_takes_it_as_it_is(self) -> None:
        alice, bob = talk("alice", "bob")
        rejoined = asks(bob, alice)
        judged = rules.judge_commit(
            alice.room.group.public,
            rejoined.message,
            rejoined.info,
            b"",
            by=bob.person.identity(),
            now=NOW,
            server_key=SERVER_KEY.public,
            logs=alice.server.logs,
        )
        assert judged.change == rejoined.change

    def test_in_a_direct_conversation_too(self) -> None:
        server = Server()
        alice, bob = Client(server, Person("alice")), Client(server, Person("bob"))
        alice.found(direct_policy(alice.person.id, bob.person.id))
        alice.add(bob)
        comes(bob, asks(bob, alice))
        alice.sync()
        bob.say("here again")
        alice.sync()
        assert alice.texts == ["here again"]


class TestRefusing:
    def test_nobody_whose_account_is_not_in_it(self) -> None:
        alice, _ = talk("alice", "bob")
        mallory = Client(alice.server, Person("mallory"))
        with pytest.raises(PolicyError, match="a member's account"):
            asks(mallory, alice)

    def test_a_room_with_somebody_in_it_who_should_not_be(self) -> None:
        """An insider and the server together; honest members were halted by the same commit."""
        alice, bob = talk("alice", "bob")
        ghost = bob.person.package(2, signing_key=os.urandom(32))
        committed = bob.room.group.commit(os.urandom, proposals=[Add(ghost.package)])
        bob.room = replace(bob.room, group=committed.group)
        with pytest.raises(UncertifiedError):
            asks(alice, bob)

    def test_a_tree_that_is_not_the_groups(self) -> None:
        alice, bob = talk("alice", "bob")
        old = tree_of(alice)
        alice.commit()
        with pytest.raises(InvalidError, match="not the tree"):
            rejoin(
                ROOM,
                SERVER_KEY.public,
                info_of(alice),
                old,
                bob.package(),
                alice.server.logs,
                os.urandom,
            )

    def test_another_room_in_this_ones_place(self) -> None:
        """Which the account is in as well, so that nothing else would be wrong with it."""
        server = Server()
        alice = Client(server, Person("alice")).found()
        group_id = b"another group id"
        info = decode_message(info_of(alice))
        assert isinstance(info, GroupInfo)
        before = replace(
            alice.room.group,
            public=replace(
                alice.room.group.public,
                context=replace(alice.room.group.context, group_id=group_id),
            ),
        )
        with pytest.raises(InvalidError, match="another group"):
            asks(alice, alice, before=before)

    def test_an_epoch_that_it_has_left_behind(self) -> None:
        alice, bob = talk("alice", "bob")
        bob.commit()
        with pytest.raises(InvalidError, match="left behind"):
            asks(bob, alice, before=bob.room.group)

    def test_what_is_no_group_information_and_what_lets_nobody_in(self) -> None:
        alice, bob = talk("alice", "bob")
        closed = encode_message(alice.room.group.group_info(with_tree=False, external=False))
        for info, error in (
            (b"", MalformedError),
            (alice.prepare().message, MalformedError),
            (closed, InvalidError),
        ):
            with pytest.raises(error):
                rejoin(
                    ROOM,
                    SERVER_KEY.public,
                    info,
                    tree_of(alice),
                    bob.package(),
                    alice.server.logs,
                    os.urandom,
                )

    def test_a_group_that_nobody_can_judge_yet(self) -> None:
        alice, bob = talk("alice", "bob")
        logs = {bob.person.id: bob.person.log}
        with pytest.raises(LogNeededError) as caught:
            rejoin(
                ROOM,
                SERVER_KEY.public,
                info_of(alice),
                tree_of(alice),
                bob.package(),
                logs,
                os.urandom,
            )
        assert caught.value.account == alice.person.id

    @pytest.mark.parametrize("place", [5, 40, 200, -100, -1])
    def test_a_flipped_bit(self, place: int) -> None:
        alice, bob = talk("alice", "bob")
        bad = bytearray(info_of(alice))
        bad[place] ^= 1
        with pytest.raises(MLSError):
            rejoin(
                ROOM,
                SERVER_KEY.public,
                bytes(bad),
                tree_of(alice),
                bob.package(),
                alice.server.logs,
                os.urandom,
            )


class TestTheDoor:
    def stated(self, client: Client, **how: object) -> bytes:
        """Return what a lying member signs."""
        group = client.room.group
        right = group.group_info(with_tree=False)
        lie = replace(right, **how)  # type: ignore[arg-type]
        return encode_message(lie.sign(HYBRID, group.signing_key))

    def test_what_the_committer_left_is_what_members_expect(self) -> None:
        alice, bob = talk("alice", "bob")
        pending = bob.commit()
        alice.sync()
        for client in (alice, bob):
            check_info(client.room.group, pending.info)

    def test_a_key_that_is_not_the_groups_is_found_out(self) -> None:
        alice, bob = talk("alice", "bob")
        other = HYBRID.hpke_public(HYBRID.hpke_derive(os.urandom(HYBRID.hash_size)))
        right = alice.room.group.group_info(with_tree=False).extensions
        for extensions in (
            (Extension(EXTERNAL_PUB, opaque(other)),),
            (),
            (*right, Extension(0xF000, b"more")),
        ):
            info = self.stated(bob, extensions=extensions)
            with pytest.raises(InvalidError, match="not the group's own"):
                check_info(alice.room.group, info)

    def test_another_epoch_is_found_out(self) -> None:
        alice, bob = talk("alice", "bob")
        before = info_of(bob)
        pending = bob.commit()
        with pytest.raises(InvalidError, match="another epoch"):
            check_info(bob.room.group, before)
        with pytest.raises(InvalidError, match="another epoch"):
            check_info(alice.room.group, pending.info)
        tag = self.stated(bob, confirmation_tag=bytes(HYBRID.hash_size))
        with pytest.raises(InvalidError, match="another epoch"):
            check_info(bob.room.group, tag)

    def test_what_no_member_has_signed_is_found_out(self) -> None:
        alice, bob = talk("alice", "bob")
        right = decode_message(info_of(bob))
        assert isinstance(right, GroupInfo)
        for wrong in (replace(right, signer=0), replace(right, signer=9)):
            with pytest.raises(InvalidError):
                check_info(alice.room.group, encode_message(wrong))

    @pytest.mark.parametrize("info", [b"", b"\x00\x01\x00\x04", b"garbage"])
    def test_garbage_is_found_out(self, info: bytes) -> None:
        (alice,) = talk("alice")
        with pytest.raises(InvalidError, match="is none"):
            check_info(alice.room.group, info)


def test_what_comes_with_a_commit_a_server_takes() -> None:
    alice, bob = talk("alice", "bob")
    assert bob.room.due(NOW) is Due.JOINED
    before = alice.room.group.public
    carol = Client(alice.server, Person("carol"))
    pending = alice.prepare(add=[carol.package().package])
    judged = rules.judge_commit(
        before,
        pending.message,
        pending.info,
        pending.welcome or b"",
        by=alice.person.identity(),
        now=NOW,
        server_key=SERVER_KEY.public,
        logs=alice.server.logs,
    )
    assert judged.change == pending.change
    assert bob.room.halted is None
