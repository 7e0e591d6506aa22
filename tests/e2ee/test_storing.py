"""A commit that is under way comes back as it was, and nothing else does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.room import Pending, decided, revoked
from lairchat.e2ee.storing import restore_pending, store_pending
from lairchat.mls.codec import OPAQUE
from lairchat.mls.errors import MalformedError, MLSError
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.policy import direct_policy
from tests.e2ee.devices import Client, talk
from tests.trust.rooms import Person


@pytest.fixture(scope="module")
def pending() -> Pending:
    """Return a commit that adds, removes and takes up a proposal of the server's."""
    alice, _, carol = talk("alice", "bob", "carol")
    dave = Client(alice.server, Person("dave"))
    return alice.prepare(add=[dave.package().package], remove=[decided(alice.leaf_of(carol))])


def test_it_comes_back(pending: Pending) -> None:
    assert restore_pending(store_pending(pending), pending.group) == pending
    assert pending.welcome
    assert pending.change.added
    assert pending.change.removed


def test_one_that_only_renews_keys_comes_back() -> None:
    alice, _ = talk("alice", "bob")
    renewing = alice.prepare()
    assert renewing.welcome is None
    assert restore_pending(store_pending(renewing), renewing.group) == renewing


def test_a_revoked_device_comes_back_with_its_reason() -> None:
    alice, bob = talk("alice", "bob")
    bob.person.account.say(Revocation(bob.person.log.devices[0].position, Reason.LOST))
    removing = alice.prepare(remove=[revoked(alice.leaf_of(bob), bob.person.log)])
    assert restore_pending(store_pending(removing), removing.group) == removing


def test_one_of_a_conversation_that_follows_another_comes_back(pending: Pending) -> None:
    policy = direct_policy(b"a" * 32, b"b" * 32, b"g" * 16)
    following = replace(pending, change=replace(pending.change, before=policy, after=policy))
    assert restore_pending(store_pending(following), pending.group) == following


def test_one_that_was_kept_before_policies_had_versions_comes_back(pending: Pending) -> None:
    change = pending.change
    one = change.removed[0]
    assert one.by is not None
    # Version 1, by hand: the policies had no version in front of them.
    first = b"".join(
        (
            b"\x01",
            OPAQUE.write(pending.message),
            b"\x01" + OPAQUE.write(pending.welcome),
            OPAQUE.write(pending.info),
            change.committer.encode(),
            bytes([change.rejoined]),
            OPAQUE.write(b"".join(one.encode() for one in change.added)),
            OPAQUE.write(one.identity.encode() + b"\x01" + one.by.encode() + bytes([one.because])),
            change.before.encode(),
            change.after.encode(),
        )
    )
    assert restore_pending(first, pending.group) == pending


def test_every_cut_and_a_reason_that_is_none_are_refused(pending: Pending) -> None:
    data = store_pending(pending)
    for place in [*range(0, len(data), 97), len(data) - 1]:
        with pytest.raises(MalformedError):
            restore_pending(data[:place], pending.group)
    gone = pending.change.removed[0]
    where = data.rindex(gone.identity.encode()) + len(gone.identity.encode())
    # Who removed follows, then why.
    why = where + 1 + len(gone.identity.encode())
    assert data[why] == gone.because
    with pytest.raises(MalformedError, match="no known reason"):
        restore_pending(data[:why] + b"\x77" + data[why + 1 :], pending.group)


@given(st.binary(max_size=200))
def test_garbage_raises_the_librarys_error(pending: Pending, data: bytes) -> None:
    with pytest.raises(MLSError):
        restore_pending(b"\x01" + data, pending.group)
    with pytest.raises(MLSError):
        restore_pending(b"\x02" + data, pending.group)
