"""Account logs at the server: whole, never forked or rolled back, and one session a device."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from lairchat.core.feature import Feature
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.messages import LOGOUT
from lairchat.features.identities import tables
from lairchat.features.identities.messages import APPEND, PROVE, PUBLISH, READ
from lairchat.features.rooms.messages import CREATE, JOIN
from lairchat.mls.codec import decode
from lairchat.model import limits, refusals
from lairchat.model.identity import ServerId
from lairchat.model.refusal import Refusal
from lairchat.trust.compose import sign_genesis
from lairchat.trust.entry import ENTRIES, Device, Entry, SignedEntry, SignedGenesis
from lairchat.trust.log import encode_log, read_log
from lairchat.trust.root import Root
from lairchat.trust.secret import SecretBytes
from tests.features.certified import Person, entries_of, forgotten, make_server, newcomer
from tests.features.legacy import legacy_direct
from tests.harness import Client, Server
from tests.trust.people import SERVER, Account, device, key, root, seed, signer


@pytest.fixture
def server() -> Iterator[Server]:
    made = make_server()
    yield made
    made.close()


def another_log(name: str, number: int = 2) -> bytes:
    """Return the log of another root of somebody's, as whoever has lost the words begins it."""
    other = Root(SecretBytes(seed(name, "root", number)[:16]))
    return encode_log(sign_genesis(other, SERVER, name), ())


def rows(server: Server, table: str = "account_entries") -> int:
    return int(
        server.look(
            lambda connection: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar()
        )
    )


def proven(server: Server, client: Client) -> Any:
    assert client.session is not None
    session: Any = client.session.session
    return server.look(lambda connection: tables.proven(connection, session))


def whole(client: Client, **which: Any) -> bytes:
    """Read a log part by part, and return it as account logs are encoded."""
    first = client.ask(READ, **which)
    entries, at, more = [first.data], None, first.more
    log = read_log(first.data, SERVER)
    while more:
        at = log.head.position
        part = client.ask(READ, after=at, **which)
        found = entries_in(part.data)
        log = log.extend(found)
        entries.append(part.data)
        more = part.more
    assert log.head.position == first.position
    assert log.head.hash == first.hash
    return log.head.hash


def entries_in(data: bytes) -> tuple[SignedEntry, ...]:
    found: tuple[SignedEntry, ...] = decode(ENTRIES, data)
    return found


# -- beginning a log


def test_a_log_is_read_by_everybody_as_it_was_published(server: Server) -> None:
    alice = Person(server, "alice", devices=2)
    client, bob = alice.register(), server.member("bob")
    head = client.ask(PUBLISH, log=alice.whole)
    assert (head.account, head.position, head.hash) == (
        alice.id,
        2,
        alice.account.log.head.hash,
    )
    for which in ({"name": "Alice"}, {"account": alice.id}):
        part = bob.ask(READ, **which)
        assert part.data == alice.whole
        assert (part.name, part.user, part.current, part.more) == (
            "alice",
            client.session.user,
            True,
            False,
        )


def test_publishing_the_same_again_is_harmless_and_an_older_state_of_it_is_refused(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice")
    short = alice.whole
    assert client.ask(PUBLISH, log=short).position == 1
    alice.append(client, device("alice", 2))
    with pytest.raises(refusals.LogStale, match="at entry 2"):
        client.ask(PUBLISH, log=short)
    assert client.ask(READ, name="alice").position == 2


def refused_logs() -> dict[str, bytes]:
    good = Account("alice")
    foreign = ServerId(seed("another server"))
    entries = [good.say(device("alice"))]
    log = encode_log(good.genesis, entries)
    forged = SignedGenesis(good.genesis.content, bytes(len(good.genesis.signature)))
    other = Account("alice")
    other.say(device("alice", 2))
    return {
        "of another server": encode_log(sign_genesis(root("alice"), foreign, "alice"), ()),
        "of another name": encode_log(Account("bob").genesis, ()),
        "without a signature": encode_log(forged, ()),
        "a fork": encode_log(good.genesis, [*entries, other.entries[0]]),
        "an entry of somebody else": encode_log(good.genesis, [Account("bob").sign(device("bob"))]),
        "an entry left out": encode_log(good.genesis, [good.say(device("alice", 3))]),
        "cut off": log[:-1],
        "a byte too many": log + b"\0",
        "noise": b"\xff" * 200,
        "another version": b"\0\2" + log[2:],
    }


@pytest.mark.parametrize("what", refused_logs())
def test_a_log_that_is_not_ones_own_or_not_whole_is_refused(server: Server, what: str) -> None:
    client = server.member("alice")
    with pytest.raises(refusals.IdentityBad):
        client.ask(PUBLISH, log=refused_logs()[what])
    assert rows(server) == rows(server, "account_logs") == 0


def test_more_than_a_frame_takes_is_refused_at_the_gate(server: Server) -> None:
    client = server.member("alice")
    for data in (b"", bytes(limits.LOG_PART_BYTES + 1)):
        with pytest.raises(Refusal) as refusal:
            client.ask(PUBLISH, log=data)
        assert refusal.value.code == "LC-ARGS"


def test_another_log_takes_the_place_of_the_first_after_a_day_and_the_old_stays_readable(
    server: Server,
) -> None:
    alice, client = newcomer(server, "alice")
    bob = server.member("bob")
    server.wait(limits.LOG_BEGIN_SECONDS - 1)
    with pytest.raises(refusals.IdentitySoon) as refusal:
        client.ask(PUBLISH, log=another_log("alice"))
    assert refusal.value.retry_after == pytest.approx(1, abs=0.01)
    assert proven(server, client) == alice.identity()
    server.wait(1)
    head = client.ask(PUBLISH, log=another_log("alice"))
    assert head.account != alice.id
    # By name one finds the new one; whoever pinned the old one reads that it is given up.
    assert bob.ask(READ, name="alice").account == head.account
    old = bob.ask(READ, account=alice.id)
    assert (old.data, old.current, old.name) == (alice.whole, False, "alice")
    # Whoever only has the password is no device of anybody's now, nor are those of the old log.
    assert proven(server, client) is None
    with pytest.raises(refusals.DeviceGone):
        alice.prove(client)
    with pytest.raises(refusals.LogStale):
        client.ask(PUBLISH, log=alice.whole)


def test_there_is_a_bound_to_how_many_logs_one_account_begins(server: Server) -> None:
    client = server.member("alice")
    for number in range(limits.LOGS_PER_USER):
        client.ask(PUBLISH, log=another_log("alice", number))
        server.wait(limits.LOG_BEGIN_SECONDS)
    with pytest.raises(refusals.IdentitiesMax):
        client.ask(PUBLISH, log=another_log("alice", 99))
    assert rows(server, "account_logs") == limits.LOGS_PER_USER
    kept = server.look(lambda connection: tables.accounts_of(connection, client.session.user))
    assert len(set(kept)) == limits.LOGS_PER_USER


def test_of_two_logs_begun_at_once_one_is_taken(server: Server) -> None:
    alice = Person(server, "alice")
    one = alice.register()
    two = alice.login()
    requests = [
        one.give(PUBLISH, log=alice.whole),
        two.give(PUBLISH, log=another_log("alice")),
    ]
    server.settle()
    assert one.answer(requests[0]).account == alice.id
    with pytest.raises(refusals.IdentitySoon):
        two.answer(requests[1])
    assert rows(server, "account_logs") == 1


# -- growing it


def test_a_new_device_without_a_proof_brings_the_entry_that_the_root_signs(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    fresh = alice.login()
    head = alice.append(fresh, device("alice", 2))
    assert (head.position, head.hash) == (2, alice.account.log.head.hash)
    alice.prove(fresh, 2)
    assert proven(server, fresh) == alice.identity(2)
    assert proven(server, client) == alice.identity(1)
    assert client.ask(READ, name="alice", after=1).data == entries_of(*alice.account.entries[1:])
    assert client.ask(READ, name="alice", after=2).data == entries_of()


def test_who_does_not_know_the_head_appends_nothing(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    entry = entries_of(alice.account.sign(device("alice", 2)))
    for after in (0, 2, limits.LOG_ENTRIES):
        with pytest.raises(refusals.LogStale, match="at entry 1"):
            client.ask(APPEND, after=after, entries=entry)
    with pytest.raises(Refusal) as refusal:
        client.ask(APPEND, after=limits.LOG_ENTRIES + 1, entries=entry)
    assert refusal.value.code == "LC-ARGS"
    assert client.ask(APPEND, after=1, entries=entry).position == 2
    # The answer was lost, and it comes again.
    with pytest.raises(refusals.LogStale, match="at entry 2"):
        client.ask(APPEND, after=1, entries=entry)


def wrong_entries() -> dict[str, bytes]:
    """Return what does not follow the log of alice with one device, by what is wrong with it."""

    def alice() -> Account:
        account = Account("alice")
        account.say(device("alice"))
        return account

    mine, bob = alice(), Account("bob")
    bob.say(device("bob"))
    good = mine.sign(device("alice", 2))
    fork = Account("alice")
    fork.say(device("alice", 3))
    third = alice()
    third.say(device("alice", 2))
    stranger = key("mallory", "signer")
    content = Entry(mine.log.account, 2, mine.log.head.hash, 0, 1, device("alice", 2))
    by_device = SignedEntry(
        content, key("alice", "device", 1).sign(b"lairchat account entry v1", content.encode())
    )
    holder = alice()
    holder.say(signer("alice"))
    not_in_force = holder.sign(device("alice", 2), key("alice", "signer", 1))
    return {
        "of another account": entries_of(bob.sign(device("bob", 2))),
        "on another branch": entries_of(fork.sign(device("alice", 2))),
        "further ahead": entries_of(third.sign(device("alice", 4))),
        "the last one again": entries_of(mine.entries[0]),
        "another in the place of the last one": entries_of(fork.entries[0]),
        "unsigned": entries_of(SignedEntry(good.content, b"")),
        "signed by a device's MLS key": entries_of(by_device),
        "signed by a key that the log does not have": entries_of(not_in_force),
        "signed by a stranger": entries_of(
            SignedEntry(good.content, stranger.sign(b"lairchat account entry v1", b"x"))
        ),
        "a device under an id that is taken": entries_of(
            mine.sign(Device(device("alice").id, key("new").public, "pc"))
        ),
        "a good one and a bad one": entries_of(good, good),
        "none": entries_of(),
        "cut off": entries_of(good)[:-1],
        "noise": b"\xff" * 99,
    }


@pytest.mark.parametrize("what", wrong_entries())
def test_what_does_not_follow_the_log_is_refused_and_nothing_of_it_stays(
    server: Server, what: str
) -> None:
    alice, client = newcomer(server, "alice")
    with pytest.raises(refusals.IdentityBad):
        client.ask(APPEND, after=1, entries=wrong_entries()[what])
    with forgotten():
        assert client.ask(READ, name="alice").data == alice.whole
    alice.append(client, device("alice", 2))


def test_of_two_appends_at_once_one_is_taken_and_the_other_told(server: Server) -> None:
    alice, one = newcomer(server, "alice")
    two = alice.login()
    first = alice.account.sign(device("alice", 2))
    second = alice.account.sign(device("alice", 3))
    requests = [
        one.give(APPEND, after=1, entries=entries_of(first)),
        two.give(APPEND, after=1, entries=entries_of(second)),
    ]
    server.settle()
    one.answer(requests[0])
    with pytest.raises(refusals.LogStale, match="at entry 2"):
        two.answer(requests[1])
    with forgotten():
        assert whole(two, name="alice") == alice.account.log.append(first).head.hash


def test_without_a_log_there_is_nothing_to_append_to_to_read_or_to_prove(server: Server) -> None:
    client = server.member("alice")
    entry = entries_of(Account("alice").sign(device("alice")))
    for command, arguments in (
        (APPEND, {"after": 0, "entries": entry}),
        (READ, {"name": "alice"}),
        (READ, {"account": bytes(32)}),
        (PROVE, {"device": bytes(16), "signature": bytes(64)}),
    ):
        with pytest.raises(refusals.IdentityUnknown):
            client.ask(command, **arguments)
    for arguments in ({"name": "nobody"}, {}):
        with pytest.raises(refusals.UserUnknown):
            client.ask(READ, **arguments)


def test_a_log_longer_than_an_answer_comes_in_parts(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    for number in range(2, 30):
        alice.append(client, device("alice", number))
    first = client.ask(READ, name="alice")
    assert first.more
    assert len(first.data) <= limits.LOG_PART_BYTES
    with forgotten():
        assert whole(client, name="alice") == alice.account.log.head.hash


def test_logs_that_are_kept_in_memory_are_bounded_and_the_others_read_again(
    server: Server,
) -> None:
    logs = []
    for name in ("alice", "bob", "carol"):
        person, _client = newcomer(server, name, devices=2)
        logs.append(person.account.log)
    kept = tables.Logs(7)
    for log in logs[:2]:
        kept.keep(log)
    kept.keep(logs[0])
    assert kept.entries == 6
    assert kept.get(logs[0].head.hash) is logs[0]
    kept.keep(logs[2])
    assert kept.entries == 6
    assert kept.get(logs[1].head.hash) is None
    assert kept.get(logs[0].head.hash) is logs[0]
    with forgotten():
        for log in logs:
            read = server.look(lambda connection, log=log: tables.log_of(connection, log.account))
            assert read == log


def test_a_log_that_was_changed_on_disk_is_not_believed(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    server.change(
        lambda connection: connection.exec_driver_sql(
            "UPDATE account_entries SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)"
            " WHERE position = 1"
        )
    )
    with forgotten(), pytest.raises(Refusal) as refusal:
        alice.prove(client)
    assert refusal.value.code == "LC-INTERNAL"


# -- who is told


def test_own_devices_and_those_in_rooms_that_may_be_encrypted_are_told_once(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    mine = alice.login()
    bob, carol = server.member("bob"), server.member("carol")
    client.ask(CREATE, name="attic")
    bob.ask(JOIN, name="attic")
    legacy_direct(server, client, bob)
    server.wait(1)
    for one in (client, mine, bob, carol):
        one.forget()
    head = alice.append(client, device("alice", 2))
    for one in (mine, bob, carol):  # carol is in the lobby, which is small
        (told,) = one.events("identity.changed")
        assert (told.account, told.position, told.hash) == (head.account, 2, head.hash)
        assert (told.user, told.name) == (client.session.user, "alice")
    assert client.events("identity.changed") == []


def test_in_rooms_too_large_to_be_encrypted_and_where_nobody_reads_it_is_not_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, client = newcomer(server, "alice")
    bob, carol = server.member("bob"), server.member("carol")
    legacy_direct(server, client, bob)
    server.wait(1)
    monkeypatch.setattr(limits, "ROOM_DEVICES", 2)
    alice.append(client, device("alice", 2))
    assert len(bob.events("identity.changed")) == 1
    assert carol.events("identity.changed") == []
    bob.peer.gap = set()
    alice.append(client, device("alice", 3))
    assert len(bob.events("identity.changed")) == 1


# -- proofs


def test_a_proof_is_for_one_session_of_one_device_on_one_server(server: Server) -> None:
    alice = Person(server, "alice", devices=2)
    client = alice.register()
    client.ask(PUBLISH, log=alice.whole)
    other = alice.login()
    number = alice.identity().device
    elsewhere = ServerId(seed("another server"))
    wrong = {
        "of another session": alice.proof(other),
        "for another server": alice.proof(client, server=elsewhere),
        "by another device": alice.proof(client, 2),
        "of nothing": bytes(64),
    }
    for what, signature in wrong.items():
        with pytest.raises(refusals.DeviceProof):
            client.ask(PROVE, device=number, signature=signature)
        assert proven(server, client) is None, what
    with pytest.raises(refusals.DeviceGone):
        client.ask(PROVE, device=bytes(16), signature=alice.proof(client))
    good = alice.proof(client)
    client.ask(PROVE, device=number, signature=good)
    assert proven(server, client) == alice.identity()
    # Heard on the way, and said again by whoever has the password.
    with pytest.raises(refusals.DeviceProof):
        other.ask(PROVE, device=number, signature=good)


def test_somebody_elses_device_is_none_of_ones_own(server: Server) -> None:
    alice, _client = newcomer(server, "alice")
    _mallory, client = newcomer(server, "mallory")
    with pytest.raises(refusals.DeviceGone):
        alice.prove(client)


def test_a_login_on_the_same_device_number_has_proven_nothing(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    thief = alice.login(device=client.session.device)
    assert thief.session.device == client.session.device
    assert proven(server, thief) is None
    assert proven(server, client) is None  # that session is over
    assert rows(server, "proven_devices") == 0


def test_a_proof_ends_with_its_session_and_outlives_a_connection(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    again = Client(server)
    again.resume(client.session.token)
    assert proven(server, again) == alice.identity()
    again.ask(LOGOUT)
    assert rows(server, "proven_devices") == 0


def test_the_newest_proof_of_a_device_takes_over(server: Server) -> None:
    alice, old = newcomer(server, "alice")
    new = alice.device()
    assert proven(server, old) is None
    assert proven(server, new) == alice.identity()
    there = server.look(lambda connection: tables.server_devices(connection, alice.identity()))
    assert there == [new.session.device]


def test_a_session_may_prove_to_be_another_device_and_is_that_alone(server: Server) -> None:
    alice, client = newcomer(server, "alice", devices=2)
    alice.prove(client, 2)
    assert proven(server, client) == alice.identity(2)
    assert rows(server, "proven_devices") == 1


# -- revocations


def test_a_revoked_device_is_out_at_once_with_its_session_and_its_token(server: Server) -> None:
    alice, lost = newcomer(server, "alice", devices=2)
    other = alice.device(2)
    alice.append(other, alice.revocation(1))
    assert lost.closed == "LC-AUTH-TOKEN"
    assert other.closed is None
    assert proven(server, lost) is None
    assert proven(server, other) == alice.identity(2)
    with pytest.raises(refusals.AuthToken):
        Client(server).resume(lost.session.token)
    again = alice.login()
    with pytest.raises(refusals.DeviceGone):
        alice.prove(again, 1)
    user = lost.session.user
    left = server.look(lambda connection: tables.devices_in_force(connection, user))
    assert left == [alice.identity(2).device]


def test_a_device_that_revokes_itself_is_answered_first(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    assert alice.append(client, alice.revocation()).position == 2
    assert client.closed == "LC-AUTH-TOKEN"


def test_a_proof_under_way_does_not_outlive_the_revocation(server: Server) -> None:
    alice, _client = newcomer(server, "alice", devices=2)
    other, late = alice.device(2), alice.login()
    signed = alice.account.say(alice.revocation())
    revoking = other.give(APPEND, after=2, entries=entries_of(signed))
    proving = late.give(PROVE, device=alice.identity().device, signature=alice.proof(late))
    server.settle()
    other.answer(revoking)
    with pytest.raises(refusals.DeviceGone):
        late.answer(proving)
    assert proven(server, late) is None


def test_a_proof_under_way_does_not_outlive_the_log(server: Server) -> None:
    alice, client = newcomer(server, "alice")
    server.wait(limits.LOG_BEGIN_SECONDS)
    late = alice.login()
    beginning = client.give(PUBLISH, log=another_log("alice"))
    proving = late.give(PROVE, device=alice.identity().device, signature=alice.proof(late))
    server.settle()
    client.answer(beginning)
    with pytest.raises(refusals.DeviceGone):
        late.answer(proving)
    assert rows(server, "proven_devices") == 0


def test_a_proof_under_way_does_not_outlive_its_session(server: Server) -> None:
    alice, _client = newcomer(server, "alice")
    late = alice.login()
    ended = [late.session.session]
    # In one group of the writer, before the connection could be closed.
    server.database.call(lambda connection: accounts.end_sessions(connection, ended))
    proving = late.give(PROVE, device=alice.identity().device, signature=alice.proof(late))
    server.settle()
    with pytest.raises(refusals.AuthToken):
        late.answer(proving)
    assert rows(server, "proven_devices") == 1


def test_features_hear_of_revoked_devices_in_the_same_transaction() -> None:
    heard: list[Any] = []

    def revoked(connection: Any, user: Any, account: bytes, devices: Any, now: int) -> list[Any]:
        inside = tables.kept_log(connection, account)
        assert inside is not None
        heard.append((user, account, list(devices), now, inside.head.position))
        return [lambda _hub: heard.append("after")]

    server = make_server(Feature(name="listener", revoked=revoked))
    alice, client = newcomer(server, "alice", devices=3)
    alice.append(client, device("alice", 4))
    assert heard == []
    ended = [alice.revocation(2), alice.revocation(3)]
    alice.append(client, *ended)
    ids = [alice.identity(number).device for number in (2, 3)]
    assert heard == [(client.session.user, alice.id, ids, server.now(), 6), "after"]
    server.close()


def test_where_a_feature_fails_the_revocation_is_not_kept_by_half() -> None:
    def revoked(*_: Any) -> list[Any]:
        raise RuntimeError("a feature's own fault")

    server = make_server(Feature(name="faulty", revoked=revoked))
    alice, client = newcomer(server, "alice", devices=2)
    with pytest.raises(Refusal) as refusal:
        alice.append(client, alice.revocation(2))
    assert refusal.value.code == "LC-INTERNAL"
    with forgotten():
        assert client.ask(READ, name="alice").position == 2
    assert proven(server, client) == alice.identity()
    server.close()


def test_what_devices_are_called_is_in_no_log_of_the_server(server: Server) -> None:
    name = "\u202eNAME\u2066 of a device"
    told: list[str] = []

    def observe(event: Any) -> None:
        told.append(repr(event))

    globalLogPublisher.addObserver(observe)
    try:
        alice, client = newcomer(server, "alice")
        hostile = Device(seed("hostile")[:16], key("hostile").public, name)
        alice.append(client, hostile)
        found = alice.account.log.device(hostile.id)
        assert found is not None
        again = alice.account.sign(hostile)
        with pytest.raises(refusals.IdentityBad) as refusal:
            client.ask(APPEND, after=2, entries=entries_of(again))
    finally:
        globalLogPublisher.removeObserver(observe)
    assert "NAME" not in refusal.value.text
    assert any("began an account log" in line for line in told)
    assert not any("NAME" in line for line in told)
