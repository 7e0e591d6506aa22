"""The directory of key packages: the owner's devices bring them, each is given out once."""

import os
from dataclasses import replace

import pytest

from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import Lock
from lairchat.features.key_packages.messages import CLAIM, COUNT, PUBLISH
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.objects import BasicCredential, KeyPackage, Lifetime
from lairchat.mls.suites import HYBRID, SUITES
from lairchat.model import limits, refusals
from lairchat.trust.policy import CAPABILITIES, head_extension
from tests.features.delivery.world import Here
from tests.harness import EPOCH_MS, Client
from tests.trust.rooms import signing_seed

NOW = EPOCH_MS // 1000
DAY = limits.DAY


@pytest.fixture
def here():
    world = Here()
    yield world
    world.close()


def package(member, *, suite=HYBRID, number=None, life=(NOW - 60, NOW + 30 * DAY), seed=None):
    """Return an encoded key package of a member's device, right unless an argument makes it wrong."""
    number = number or member.number
    return make_key_package(
        suite,
        BasicCredential(member.person.identity(number).encode()),
        seed or signing_seed(member.person.name, number),
        Lifetime(*life),
        os.urandom,
        capabilities=replace(CAPABILITIES, cipher_suites=(suite.id,)),
        leaf_extensions=(head_extension(member.person.log.head),),
    ).package.encode()


def claim(member, other):
    user = other.client.session.user
    return member.ask(CLAIM, user=user, devices=[other.identity.device])


def test_each_is_given_out_once_the_oldest_first_and_then_the_last_resort(here):
    alice, bob = here.member("alice"), here.member("bob")
    brought = [package(bob) for _ in range(3)]
    assert bob.ask(PUBLISH, packages=brought).one_time == 3
    resort = package(bob, life=(NOW - 60, NOW + 20 * DAY))
    bob.ask(PUBLISH, packages=[resort], last_resort=True)
    for wanted in brought:
        (got,) = claim(alice, bob).keys
        assert (got.package, got.last_resort) == (wanted, False)
    for _ in range(2):
        (got,) = claim(alice, bob).keys
        assert (got.package, got.last_resort) == (resort, True)
    left = bob.ask(COUNT)
    assert (left.one_time, left.last_resort) == (0, (NOW + 20 * DAY) * 1000)
    assert bob.client.events("keys.low")[-1].left == 0


def test_two_who_ask_at_once_get_different_ones(here):
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    carol.ask(PUBLISH, packages=[package(carol), package(carol)])
    user = carol.client.session.user
    given = [
        (one, one.client.give(CLAIM, user=user, devices=[carol.identity.device]))
        for one in (alice, bob)
    ]
    here.server.settle()
    got = [one.client.answer(request).keys[0].package for one, request in given]
    assert len(set(got)) == 2


def test_what_nobody_could_be_added_with_is_refused(here):
    bob = here.member("bob", devices=2)
    classical = next(suite for suite in SUITES.values() if suite.id == 1)
    good = package(bob)
    parsed = KeyPackage.decode(good)
    wrong = [
        package(bob, number=2),
        package(bob, seed=signing_seed("mallory", 1)),
        package(bob, suite=classical),
        package(bob, life=(0, NOW - 1)),
        package(bob, life=(NOW + 2 * DAY, NOW + 3 * DAY)),
        package(bob, life=(NOW - 60, NOW + 200 * DAY)),
        replace(parsed, signature=bytes(64)).encode(),
        good + b"\0",
        b"junk",
    ]
    for data in wrong:
        with pytest.raises(refusals.KeyPackageBad):
            bob.ask(PUBLISH, packages=[data])
    with pytest.raises(refusals.KeyPackageBad):
        bob.ask(PUBLISH, packages=[good, good])
    bob.ask(PUBLISH, packages=[good])
    with pytest.raises(refusals.KeyPackageBad):
        bob.ask(PUBLISH, packages=[good])
    with pytest.raises(refusals.KeyPackageBad):
        bob.ask(PUBLISH, packages=[package(bob), package(bob)], last_resort=True)
    assert bob.ask(COUNT).one_time == 1


def test_only_a_proven_device_brings_them_and_only_so_many(here):
    bob = here.member("bob")
    stranger = Client(here.server)
    stranger.login("bob")
    for command, arguments in ((PUBLISH, {"packages": [package(bob)]}), (COUNT, {})):
        with pytest.raises(refusals.DeviceUnproven):
            stranger.ask(command, **arguments)
    for _ in range(limits.KEY_PACKAGES // 10):
        bob.ask(PUBLISH, packages=[package(bob) for _ in range(10)])
    with pytest.raises(refusals.KeyPackagesMax):
        bob.ask(PUBLISH, packages=[package(bob)])


def test_of_a_device_that_is_gone_or_an_account_that_is_locked_there_are_none(here):
    alice, bob = here.member("alice"), here.member("bob", devices=2)
    laptop = here.member("bob", 2)
    for one in (bob, laptop):
        one.ask(PUBLISH, packages=[package(one), package(one)])
    here.append(bob, bob.person.revoke(2), 2)
    assert claim(alice, laptop).keys == []
    assert len(claim(alice, bob).keys) == 1
    user = bob.client.session.user
    here.server.change(lambda c: accounts.set_lock(c, user, Lock(None, "")))
    with pytest.raises(refusals.IdentityUnknown):
        claim(alice, bob)


def test_what_has_run_out_is_neither_given_out_nor_kept(here):
    alice, bob = here.member("alice"), here.member("bob")
    bob.ask(PUBLISH, packages=[package(bob, life=(NOW - 60, NOW + DAY)), package(bob)])
    here.server.wait(2 * DAY)
    assert bob.ask(COUNT).one_time == 1
    assert len(claim(alice, bob).keys) == 1
    assert claim(alice, bob).keys == []
    here.server.upkeep()
    rows = here.server.look(lambda c: c.exec_driver_sql("SELECT * FROM key_packages").fetchall())
    assert rows == []


def test_nobody_uses_up_somebodys_packages(here):
    alice, bob = here.member("alice"), here.member("bob")
    bob.ask(PUBLISH, packages=[package(bob)], last_resort=True)
    for _ in range(limits.KEYS_TAKEN_BY_ONE):
        claim(alice, bob)
    with pytest.raises(refusals.KeysLater):
        claim(alice, bob)
    carol = here.member("carol")
    assert len(claim(carol, bob).keys) == 1
