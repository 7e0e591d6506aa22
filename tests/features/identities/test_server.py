"""Account logs at the server: only what the account's own keys signed, and proofs for one session."""

import pytest

from lairchat.features.identities.messages import APPEND, PROVE, PUBLISH, READ
from lairchat.features.inbox.messages import READ as READ_INBOX
from lairchat.mls.codec import decode
from lairchat.model import limits, refusals
from lairchat.trust.compose import sign_genesis
from lairchat.trust.entry import ENTRIES
from lairchat.trust.log import AccountLog, encode_log, read_log
from lairchat.trust.proof import sign_proof
from tests.features.delivery.world import Here, Person
from tests.harness import Client
from tests.trust.people import SERVER, Account, device, key, root, signer


@pytest.fixture
def here():
    world = Here()
    yield world
    world.close()


def whole(account):
    return encode_log(account.genesis, account.entries)


def newcomer(here, name):
    client = Client(here.server)
    client.register(name)
    return client


def test_a_log_is_kept_and_read_by_name_and_by_account(here):
    alice, bob = here.member("alice"), newcomer(here, "bob")
    for asked in ({"name": "alice"}, {"account": alice.person.id}):
        part = bob.ask(READ, **asked)
        assert (part.name, part.current, part.more) == ("alice", True, False)
        assert read_log(part.data, SERVER).head == alice.person.log.head
    with pytest.raises(refusals.IdentityUnknown):
        bob.ask(READ, name="bob")
    with pytest.raises(refusals.UserUnknown):
        bob.ask(READ, name="nobody")


def test_a_long_log_is_read_in_parts(here):
    alice = here.member("alice", devices=20)
    part = alice.ask(READ, name="alice")
    log = read_log(part.data, SERVER)
    assert part.more
    while part.more:
        part = alice.ask(READ, name="alice", after=log.head.position)
        log = log.extend(decode(ENTRIES, part.data))
    assert log.head == alice.person.log.head


def test_what_is_no_log_of_this_account_here_is_refused(here):
    mallory = newcomer(here, "mallory")
    alice = Person("alice")
    other = Account("mallory", type(SERVER)(bytes(32)))
    good = Account("mallory")
    good.say(device("mallory"))
    broken = bytearray(whole(good))
    broken[-5] ^= 1
    for data in (whole(alice.account), whole(other), bytes(broken), b"junk"):
        with pytest.raises(refusals.IdentityBad):
            mallory.ask(PUBLISH, log=data)
    mallory.ask(PUBLISH, log=whole(good))
    mallory.ask(PUBLISH, log=whole(good))  # again is harmless


def test_another_log_is_begun_once_a_day_and_the_old_one_stays_to_be_read(here):
    alice = here.member("alice")
    lost = alice.person.id
    again = Account("alice")
    again.root = root("alice, with other words")
    again.genesis = sign_genesis(again.root, SERVER, "alice")
    again.log = AccountLog.begin(again.genesis, SERVER)
    with pytest.raises(refusals.IdentitySoon):
        alice.ask(PUBLISH, log=whole(again))
    here.server.wait(limits.LOG_BEGIN_SECONDS + 1)
    fresh = Client(here.server)
    fresh.login("alice")
    fresh.ask(PUBLISH, log=whole(again))
    assert fresh.ask(READ, name="alice").account == again.log.account
    assert fresh.ask(READ, account=lost).current is False


def test_entries_are_appended_to_the_head_that_the_caller_knows(here):
    alice = here.member("alice")
    two = alice.person.certify(2)
    with pytest.raises(refusals.LogStale):
        alice.ask(APPEND, after=0, entries=two)
    first = alice.client.give(APPEND, after=1, entries=two)
    second = alice.client.give(APPEND, after=1, entries=two)
    here.server.settle()
    assert alice.client.answer(first).position == 2
    with pytest.raises(refusals.LogStale):
        alice.client.answer(second)
    for entries in (b"junk", ENTRIES.write([])):
        with pytest.raises(refusals.IdentityBad):
            alice.ask(APPEND, after=2, entries=entries)
    with pytest.raises(refusals.IdentityUnknown):
        newcomer(here, "bob").ask(APPEND, after=0, entries=two)


def test_a_key_that_is_not_the_accounts_appends_nothing(here):
    alice = here.member("alice")
    alice.person.account.say(signer("alice", 1))
    here.append(alice, ENTRIES.write(alice.person.account.entries[1:]), 1)
    good = alice.person.account.sign(device("alice", 2), key("alice", "signer", 1))
    tampered = bytearray(ENTRIES.write([good]))
    tampered[-3] ^= 1
    with pytest.raises(refusals.IdentityBad):
        alice.ask(APPEND, after=2, entries=bytes(tampered))
    alice.ask(APPEND, after=2, entries=ENTRIES.write([good]))


def test_others_hear_that_a_log_has_grown(here):
    alice, bob = here.member("alice"), here.member("bob")
    bob.client.forget()
    here.append(alice, alice.person.certify(2), 1)
    told = bob.client.events("identity.changed")
    assert [(one.name, one.position) for one in told] == [("alice", 2)]


def test_a_proof_is_good_for_one_session_of_one_server(here):
    alice = here.member("alice")
    second = Client(here.server)
    grant = second.login("alice")
    mine = key("alice", "device", 1)
    stale = alice.client.session
    wrong = [
        sign_proof(mine, SERVER, stale.session, stale.device),
        sign_proof(mine, type(SERVER)(bytes(32)), grant.session, grant.device),
        sign_proof(key("mallory", "device", 1), SERVER, grant.session, grant.device),
        bytes(64),
    ]
    for signature in wrong:
        with pytest.raises(refusals.DeviceProof):
            second.ask(PROVE, device=device("alice").id, signature=signature)
    good = sign_proof(mine, SERVER, grant.session, grant.device)
    with pytest.raises(refusals.DeviceGone):
        second.ask(PROVE, device=bytes(16), signature=good)
    second.ask(PROVE, device=device("alice").id, signature=good)
    # The session that was this device before is it no more.
    with pytest.raises(refusals.DeviceUnproven):
        alice.ask(READ_INBOX)
    assert second.ask(READ_INBOX).entries == []


def test_a_revoked_device_is_logged_out_and_proves_nothing_any_more(here):
    alice, laptop = here.member("alice", devices=2), here.member("alice", 2)
    here.append(alice, alice.person.revoke(2), 2)
    assert laptop.client.closed
    again = Client(here.server)
    grant = again.login("alice")
    signature = sign_proof(key("alice", "device", 2), SERVER, grant.session, grant.device)
    with pytest.raises(refusals.DeviceGone):
        again.ask(PROVE, device=device("alice", 2).id, signature=signature)
