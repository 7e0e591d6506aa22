"""The directory of key packages: nothing in it that could not be used, and nothing given out twice."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import Lock
from lairchat.features.bans import tables as bans
from lairchat.features.identities import tables as identities
from lairchat.features.identities.messages import APPEND, PUBLISH
from lairchat.features.key_packages import server as key_packages
from lairchat.features.key_packages import tables
from lairchat.features.key_packages.messages import CLAIM, COUNT
from lairchat.features.key_packages.messages import PUBLISH as BRING
from lairchat.mls.objects import BasicCredential, Extension, KeyPackage
from lairchat.mls.rules import check_key_package
from lairchat.mls.suites import HYBRID, SUITES
from lairchat.model import limits, refusals
from lairchat.model.refusal import Refusal
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import encode_log
from lairchat.trust.policy import CAPABILITIES, head_extension
from tests.features.certified import Person, entries_of, make_server, newcomer
from tests.features.identities.test_server import another_log
from tests.harness import Client, Server
from tests.trust.people import Account, device
from tests.trust.rooms import signing_seed

ONCE = limits.KEY_PACKAGES_AT_ONCE


@pytest.fixture
def server() -> Iterator[Server]:
    made = make_server()
    yield made
    made.close()


def stored(server: Server) -> list[tuple[bytes, bool]]:
    return [
        (bytes(data), bool(last))
        for data, last in server.look(
            lambda connection: connection.exec_driver_sql(
                "SELECT data, last_resort FROM key_packages ORDER BY id"
            ).all()
        )
    ]


def bring(person: Person, client: Client, count: int, number: int = 1, **more: Any) -> list[bytes]:
    """Bring so many key packages of a device, as many at once as one may."""
    packages = [person.package(number, **more) for _ in range(count)]
    for start in range(0, count, ONCE):
        client.ask(BRING, packages=packages[start : start + ONCE])
    return packages


def claim(client: Client, person: Person, *numbers: int) -> list[Any]:
    found = client.ask(
        CLAIM,
        user=user_of(person),
        devices=[person.identity(number).device for number in numbers or (1,)],
    )
    assert found.account == person.id
    keys: list[Any] = found.keys
    return keys


def user_of(person: Person) -> Any:
    return person.server.look(lambda connection: identities.user_of(connection, person.id))


# -- what is taken in


def test_packages_are_brought_counted_and_taken_oldest_first(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bob = server.member("bob")
    packages = bring(alice, client, 3)
    last = alice.package()
    left = client.ask(BRING, packages=[last], last_resort=True)
    assert left.one_time == 3
    assert left.last_resort == server.now() + limits.LAST_RESORT_SECONDS * 1000
    for number, package in enumerate(packages, 1):
        (key,) = claim(bob, alice)
        assert (key.device, key.package, key.last_resort) == (
            alice.identity().device,
            package,
            False,
        )
        check_key_package(HYBRID, KeyPackage.decode(key.package), (), server.now() // 1000)
        assert client.ask(COUNT).one_time == 3 - number
    for _ in range(3):
        (key,) = claim(bob, alice)
        assert (key.package, key.last_resort) == (last, True)
    assert client.ask(COUNT) == replace_left(left, 0)


def replace_left(left: Any, one_time: int) -> Any:
    return type(left)(one_time=one_time, last_resort=left.last_resort)


def wrong_packages(alice: Person, mallory: Person) -> dict[str, bytes]:
    """Return key packages that a device must not bring, by what is wrong with them."""
    classical = SUITES[0x0001]
    good = alice.package()
    decoded = KeyPackage.decode(good)
    other = KeyPackage.decode(alice.package())
    head = head_extension(alice.account.log.head)
    forked = Account("alice")
    forked.say(device("alice", 9))
    ahead = Account("alice")
    for number in (1, 2, 3):
        ahead.say(device("alice", number))
    return {
        "of the classical suite": alice.package(
            suite=classical, capabilities=replace(CAPABILITIES, cipher_suites=(classical.id,))
        ),
        "that can do less": alice.package(capabilities=replace(CAPABILITIES, extensions=(0xF64B,))),
        "that can do more": alice.package(
            capabilities=replace(CAPABILITIES, cipher_suites=(HYBRID.id, 1))
        ),
        "with another's init key": replace(decoded, init_key=other.init_key).encode(),
        "with another's leaf": replace(decoded, leaf=other.leaf).encode(),
        "with one key twice": replace(decoded, init_key=decoded.leaf.encryption_key)
        .sign(HYBRID, signing_seed("alice"))
        .encode(),
        "of another device of the account": alice.package(2),
        "of somebody else": mallory.package(),
        "of somebody else, under one's own key": alice.package(
            credential=BasicCredential(mallory.identity().encode())
        ),
        "under another key": alice.package(signing_key=signing_seed("mallory")),
        "under the key of another device": alice.package(signing_key=signing_seed("alice", 2)),
        "of a device that is not in the log": alice.package(9),
        "without the head of the log": alice.package(leaf_extensions=()),
        "with another extension": alice.package(leaf_extensions=(head, Extension(0xF64C, b""))),
        "of another branch of the log": alice.package(
            leaf_extensions=(head_extension(forked.log.head),)
        ),
        "of a log that is further": alice.package(
            leaf_extensions=(head_extension(ahead.log.head),)
        ),
        "with extensions of its own": replace(decoded, extensions=(Extension(4, b""),))
        .sign(HYBRID, signing_seed("alice"))
        .encode(),
        "that has ended": alice.package(begins=-limits.DAY, lasts=-1),
        "that has not begun": alice.package(begins=1),
        "that lives too long": alice.package(
            lasts=limits.KEY_PACKAGE_SECONDS + limits.KEY_PACKAGE_SKEW_SECONDS + 1
        ),
        "that lives as good as for ever": alice.package(lasts=2**62),
        "with a bit flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "cut off": good[:-1],
        "a byte too many": good + b"\0",
        "noise": b"\xff" * 100,
    }


def test_what_nobody_could_be_added_with_is_refused_by_its_number(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    mallory, _ = newcomer(server, "mallory")
    for what, package in wrong_packages(alice, mallory).items():
        with pytest.raises(refusals.KeyPackageBad, match="key package 2 ") as refusal:
            client.ask(BRING, packages=[alice.package(), package])
        assert refusal.value.field == "$.packages", what
        assert stored(server) == [], what


def test_each_bound_at_its_edge(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    skew = limits.KEY_PACKAGE_SKEW_SECONDS
    client.ask(BRING, packages=[alice.package(lasts=limits.KEY_PACKAGE_SECONDS + skew)])
    client.ask(BRING, packages=[alice.package(begins=0, lasts=0)])
    at_most = alice.package(lasts=limits.LAST_RESORT_SECONDS + skew)
    client.ask(BRING, packages=[at_most], last_resort=True)
    too_long = alice.package(lasts=limits.LAST_RESORT_SECONDS + skew + 1)
    with pytest.raises(refusals.KeyPackageBad, match="lives longer than 30 days"):
        client.ask(BRING, packages=[too_long], last_resort=True)
    with pytest.raises(refusals.KeyPackageBad, match="one of last resort"):
        client.ask(BRING, packages=[alice.package(), alice.package()], last_resort=True)
    for packages in (
        [],
        [b""],
        [bytes(limits.KEY_PACKAGE_BYTES + 1)],
        [b"x"] * (ONCE + 1),
    ):
        with pytest.raises(Refusal) as refusal:
            client.ask(BRING, packages=packages)
        assert refusal.value.code == "LC-ARGS"


def test_the_fifty_first_waits_until_one_is_taken(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bob = server.member("bob")
    bring(alice, client, limits.KEY_PACKAGES)
    with pytest.raises(refusals.KeyPackagesMax, match="50 key packages"):
        client.ask(BRING, packages=[alice.package()])
    # The one of last resort has a place of its own.
    client.ask(BRING, packages=[alice.package()], last_resort=True)
    claim(bob, alice)
    with pytest.raises(refusals.KeyPackagesMax):
        client.ask(BRING, packages=[alice.package(), alice.package()])
    client.ask(BRING, packages=[alice.package()])
    assert client.ask(COUNT).one_time == limits.KEY_PACKAGES


def test_the_same_key_is_kept_once(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    package = alice.package()
    with pytest.raises(refusals.KeyPackageBad, match=r"key package 2 .*here already"):
        client.ask(BRING, packages=[package, package])
    client.ask(BRING, packages=[package])
    for again in (package, with_the_same_init_key(alice, package)):
        for last_resort in (False, True):
            with pytest.raises(refusals.KeyPackageBad, match="here already"):
                client.ask(BRING, packages=[again], last_resort=last_resort)
    assert [data for data, _ in stored(server)] == [package]
    # Another device's place is its own: nobody keeps somebody else's package out by its key.
    second = alice.device(2)
    theirs = replace(
        KeyPackage.decode(alice.package(2)), init_key=KeyPackage.decode(package).init_key
    ).sign(HYBRID, signing_seed("alice", 2))
    second.ask(BRING, packages=[theirs.encode()])


def with_the_same_init_key(person: Person, package: bytes) -> bytes:
    init_key = KeyPackage.decode(package).init_key
    other = KeyPackage.decode(person.package())
    return replace(other, init_key=init_key).sign(HYBRID, signing_seed(person.name)).encode()


def test_a_new_last_resort_takes_the_place_of_the_old_one(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    first, second = alice.package(), alice.package()
    client.ask(BRING, packages=[first], last_resort=True)
    client.ask(BRING, packages=[second], last_resort=True)
    assert stored(server) == [(second, True)]


def test_a_session_that_has_proven_nothing_brings_and_counts_nothing(server: Server) -> None:
    alice, _client = newcomer(server, "alice")
    thief = alice.login()
    for command, arguments in ((BRING, {"packages": [alice.package()]}), (COUNT, {})):
        with pytest.raises(refusals.DeviceUnproven):
            thief.ask(command, **arguments)
    assert stored(server) == []


def test_a_device_that_is_revoked_while_it_brings_packages_leaves_none(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    bring(alice, client, 2)
    other = alice.device(2)
    bring(alice, other, 1, 2)
    package = alice.package()
    signed = alice.account.say(alice.revocation())
    revoking = other.give(APPEND, after=2, entries=entries_of(signed))
    client.give(BRING, packages=[package])
    server.settle()
    other.answer(revoking)
    assert client.closed == "LC-AUTH-TOKEN"
    assert len(stored(server)) == 1
    assert claim(server.member("bob"), alice, 1, 2)[0].device == alice.identity(2).device


# -- what is given out


def test_two_hundred_claims_at_once_get_two_hundred_different_packages(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=4)
    devices = [client, *(alice.device(number) for number in (2, 3, 4))]
    brought: list[bytes] = []
    for number, one in enumerate(devices, 1):
        brought += bring(alice, one, limits.KEY_PACKAGES, number)
    claimers = [server.member(f"claimer{number}") for number in range(10)]
    target = user_of(alice)
    requests = [
        (claimer, claimer.give(CLAIM, user=target, devices=[alice.identity(number).device]))
        for _ in range(5)
        for claimer in claimers
        for number in (1, 2, 3, 4)
    ]
    assert len(requests) == 200
    server.settle()
    taken = [claimer.answer(request).keys[0] for claimer, request in requests]
    assert not any(key.last_resort for key in taken)
    assert sorted(key.package for key in taken) == sorted(brought)
    assert stored(server) == []
    server.wait(limits.HOUR)
    assert claim(claimers[0], alice, 1, 2, 3, 4) == []


def test_devices_that_are_none_of_theirs_and_repeats_are_left_out(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    mallory, theirs = newcomer(server, "mallory")
    mine = bring(alice, client, 2)
    bring(mallory, theirs, 1)
    own = alice.identity().device
    asked = [own, own, mallory.identity().device, bytes(16), alice.identity(2).device]
    found = theirs.ask(CLAIM, user=user_of(alice), devices=asked)
    assert [(key.device, key.package) for key in found.keys] == [(own, mine[0])]
    assert client.ask(COUNT).one_time == 1


def test_what_has_ended_is_not_given_out_and_swept(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bob = server.member("bob")
    bring(alice, client, 2, lasts=limits.DAY)
    (good,) = bring(alice, client, 1, lasts=2 * limits.DAY)
    client.ask(BRING, packages=[alice.package(lasts=limits.DAY)], last_resort=True)
    server.wait(limits.DAY)
    left = client.ask(COUNT)
    assert (left.one_time, left.last_resort) == (1, None)
    assert [key.package for key in claim(bob, alice)] == [good]
    assert claim(bob, alice) == []
    assert len(stored(server)) == 3
    server.upkeep()
    assert stored(server) == []


def test_a_sweep_goes_on_in_another_transaction(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, client = newcomer(server, "alice")
    bring(alice, client, 3, lasts=limits.HOUR)
    server.wait(limits.HOUR)
    monkeypatch.setattr(key_packages, "SWEPT_PER_UPKEEP", 2)
    assert server.result(server.kernel.upkeep())
    assert len(stored(server)) == 1
    assert not server.result(server.kernel.upkeep())
    assert stored(server) == []


def test_of_accounts_that_are_locked_banned_or_not_there_nothing_is_given_out(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice")
    bring(alice, client, 1)
    bob, user = server.member("bob"), user_of(alice)

    def refused(who: int = user) -> None:
        with pytest.raises(refusals.IdentityUnknown):
            bob.ask(CLAIM, user=who, devices=[alice.identity().device])

    server.change(lambda connection: accounts.set_lock(connection, user, Lock(None, "")))
    refused()
    server.change(lambda connection: accounts.set_lock(connection, user, None))
    server.change(
        lambda connection: bans.keep_ban(
            connection, user=user, network=None, reason="", by=None, now=server.now(), until=None
        )
    )
    refused()
    ban = server.look(lambda connection: bans.ban_of_user(connection, user))
    server.change(lambda connection: bans.drop_ban(connection, ban.id))
    refused(bob.session.user)
    refused(10_000)
    assert len(claim(bob, alice)) == 1


def test_after_another_log_the_packages_of_the_old_one_are_not_given_out(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    bring(alice, client, 1)
    server.wait(limits.LOG_BEGIN_SECONDS)
    client.ask(PUBLISH, log=another_log("alice"))
    found = server.member("bob").ask(
        CLAIM, user=client.session.user, devices=[alice.identity().device]
    )
    assert (found.keys, found.account == alice.id) == ([], False)


def test_nobody_uses_up_what_others_may_take(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    mallory, bob = server.member("mallory"), server.member("bob")
    asked = [os.urandom(16) for _ in range(15)] + [alice.identity().device]
    user = user_of(alice)
    bring(alice, client, limits.KEY_PACKAGES)
    for _ in range(limits.KEYS_TAKEN_BY_ONE // 16):
        mallory.ask(CLAIM, user=user, devices=asked)
    with pytest.raises(refusals.KeysLater) as refusal:
        claim(mallory, alice)
    assert refusal.value.retry_after == pytest.approx(
        limits.HOUR / limits.KEYS_TAKEN_BY_ONE_PER_HOUR, rel=0.01
    )
    assert len(claim(bob, alice)) == 1
    server.wait(limits.HOUR / limits.KEYS_TAKEN_BY_ONE_PER_HOUR)
    claim(mallory, alice)
    with pytest.raises(refusals.KeysLater):
        claim(mallory, alice)


def test_with_many_accounts_one_uses_up_no_more_than_the_bound(server: Server) -> None:
    alice, _client = newcomer(server, "alice")
    user = user_of(alice)
    asked = [os.urandom(16) for _ in range(10)]
    for number in range(limits.KEYS_TAKEN // 10):
        server.member(f"sock{number}").ask(CLAIM, user=user, devices=asked)
    bob = server.member("bob")
    with pytest.raises(refusals.KeysLater):
        bob.ask(CLAIM, user=user, devices=asked)
    # Others than this one are not concerned.
    carol, _ = newcomer(server, "carol")
    assert claim(bob, carol) == []


def test_one_account_asks_for_no_more_than_the_bound_whomever_it_asks_for(server: Server) -> None:
    bob = server.member("bob")
    asked = [os.urandom(16) for _ in range(16)]
    for number in range(limits.KEYS_ASKED // 16):
        with pytest.raises(refusals.IdentityUnknown):
            bob.ask(CLAIM, user=5_000 + number, devices=asked)
    with pytest.raises(refusals.KeysLater):
        bob.ask(CLAIM, user=6_000, devices=asked[:1])


def test_a_claim_names_at_least_one_device_and_not_too_many(server: Server) -> None:
    bob = server.member("bob")
    for devices in ([], [bytes(16)] * (ONCE + 1), [bytes(15)]):
        with pytest.raises(Refusal) as refusal:
            bob.ask(CLAIM, user=1, devices=devices)
        assert refusal.value.code == "LC-ARGS"


def test_sixteen_packages_fit_the_frames_both_ways(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=ONCE)
    bring(alice, client, ONCE)
    for number in range(2, ONCE + 1):
        bring(alice, alice.device(number), 1, number)
    numbers = range(1, ONCE + 1)
    assert len(claim(server.member("bob"), alice, *numbers)) == ONCE


# -- who is told


def test_a_device_whose_packages_run_low_is_told_and_no_other(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    other, thief, bob = alice.device(2), alice.login(), server.member("bob")
    bring(alice, client, limits.KEY_PACKAGES_LOW + 2)
    claim(bob, alice)
    assert client.events("keys.low") == []
    for left in (limits.KEY_PACKAGES_LOW, limits.KEY_PACKAGES_LOW - 1):
        claim(bob, alice)
        assert client.events("keys.low")[-1].left == left
    for one in (other, thief, bob):
        assert one.events("keys.low") == []


def gauge(server: Server) -> float:
    (family,) = [
        one for one in server.kernel.measures.families if one.name == "lairchat_e2e_keys_available"
    ]
    assert family.labels == ()
    ((_, value),) = family.read()
    assert value == server.look(tables.available)
    return float(value)


def test_the_gauge_follows_what_is_there(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    bob, other = server.member("bob"), alice.device(2)
    assert gauge(server) == 0
    bring(alice, client, 3, lasts=limits.DAY)
    bring(alice, other, 2, 2, lasts=2 * limits.DAY)
    client.ask(BRING, packages=[alice.package()], last_resort=True)
    assert gauge(server) == 5
    claim(bob, alice)
    assert gauge(server) == 4
    for _ in range(3):
        claim(bob, alice)  # the last one is the last resort
    assert gauge(server) == 2
    server.wait(limits.DAY)
    bring(alice, other, 1, 2)
    assert gauge(server) == 3
    server.upkeep()
    assert gauge(server) == 3
    alice.append(client, alice.revocation(2))
    assert gauge(server) == 0


def test_the_gauge_is_right_after_a_start(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/lair.db"
    first = make_server(url=url)
    alice, client = newcomer(first, "alice")
    bring(alice, client, 2)
    first.close()
    second = make_server(url=url)
    assert gauge(second) == 2
    second.close()


def test_what_rows_say_of_whom_is_a_leafs_identity(server: Server) -> None:
    """The published log and the directory name a device alike."""
    alice, client = newcomer(server, "alice")
    bring(alice, client, 1)
    identity = LeafIdentity(alice.id, device("alice").id)
    assert server.look(lambda connection: tables.waiting(connection, identity, 0)).one_time == 1
    assert encode_log(alice.account.genesis, alice.account.entries) == alice.whole
