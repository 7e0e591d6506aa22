"""The published vectors are what the modules do, made by a program that knows none of them."""

import json
from typing import Any

import pytest

from lairchat.mls.codec import decode
from lairchat.model.identity import ServerId
from lairchat.trust import errors
from lairchat.trust.entry import Device, Head, SignedEntry, SignedGenesis
from lairchat.trust.leaf import LeafIdentity, certified
from lairchat.trust.log import AccountLog, read_log
from lairchat.trust.password import derive, salt
from lairchat.trust.qr import qr_payload
from lairchat.trust.root import Root, backup_key
from lairchat.trust.safety_number import half, safety_number
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import MESSAGE, Answer, Purpose, Reveal, Start
from lairchat.trust.verification import Verification
from lairchat.trust.words import format_words, parse_words
from tests.trust import vectors

VECTORS: dict[str, Any] = json.loads(vectors.FILE.read_text())
LOG = VECTORS["log"]
SERVER = ServerId.from_hex(LOG["server"])
GENESIS = SignedGenesis.decode(bytes.fromhex(LOG["genesis"]))
ENTRIES = [SignedEntry.decode(bytes.fromhex(each["signed"])) for each in LOG["entries"]]


def test_the_file_is_what_the_program_writes() -> None:
    assert vectors.build(VECTORS) == VECTORS


def test_the_program_needs_no_file_but_for_the_lattice_signatures() -> None:
    fresh = vectors.build({})
    for part in ("recovery", "password", "leaf", "verification", "comparison"):
        assert fresh[part] == VECTORS[part]
    assert fresh["log"]["account"] == LOG["account"]


def test_recovery() -> None:
    vector = VECTORS["recovery"]
    entropy = SecretBytes(bytes.fromhex(vector["entropy"]))
    assert format_words(entropy) == vector["words"]
    assert parse_words(vector["words"]) == entropy
    assert Root(entropy).public.encode().hex() == vector["root_public"]
    assert backup_key(entropy).reveal().hex() == vector["backup_key"]


def test_password() -> None:
    vector = VECTORS["password"]
    server = ServerId.from_hex(vector["server"])
    assert salt(server, vector["name"]).hex() == vector["salt"]
    keys = derive(vector["password"], server, vector["name"])
    assert keys.authentication.hex() == vector["authentication"]
    assert keys.vault.hex() == vector["vault"]


def test_the_log() -> None:
    log = AccountLog.begin(GENESIS, SERVER)
    assert log.account.hex() == LOG["account"]
    assert log.genesis.name == LOG["name"]
    for signed, vector in zip(ENTRIES, LOG["entries"], strict=True):
        log = log.append(signed)
        assert log.head == Head.decode(bytes.fromhex(vector["head"]))
    assert [device.body.name for device in log.in_force] == ["laptop at home", "desk"]
    assert log == read_log(bytes.fromhex(LOG["whole"]), SERVER)


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["says"])
def test_what_is_refused(vector: dict[str, Any]) -> None:
    log = AccountLog.begin(GENESIS, SERVER).extend(ENTRIES[: vector["after"]])
    signed = SignedEntry.decode(bytes.fromhex(vector["signed"]))
    with pytest.raises(errors.TrustError) as caught:
        log.append(signed)
    assert type(caught.value).__name__ == vector["error"]


def test_every_way_to_refuse_an_entry_has_a_vector() -> None:
    ways = {each.__name__ for each in errors.LogError.__subclasses__()} | {"SignatureError"}
    # A rollback is no entry.
    assert {vector["error"] for vector in VECTORS["refused"]} == ways - {"RollbackError"}


def test_the_leaf() -> None:
    vector = VECTORS["leaf"]
    identity = LeafIdentity.decode(bytes.fromhex(vector["identity"]))
    assert identity.account.hex() == vector["account"]
    assert identity.device.hex() == vector["device"]
    log = read_log(bytes.fromhex(LOG["whole"]), SERVER)
    assert isinstance(certified(log, identity, bytes.fromhex(vector["key"])).body, Device)


@pytest.mark.parametrize("vector", VECTORS["verification"], ids=lambda each: str(each["purpose"]))
def test_verification(vector: dict[str, Any]) -> None:
    start, answer, reveal = (
        decode(MESSAGE, bytes.fromhex(vector[name])) for name in ("start", "answer", "reveal")
    )
    assert isinstance(start, Start)
    assert isinstance(answer, Answer)
    assert isinstance(reveal, Reveal)
    purpose = Purpose(vector["purpose"])
    starter, begun = Verification.begin(
        purpose, start.offer.party, start.offer.session, SecretBytes(reveal.nonce)
    )
    answerer, answered = Verification.join(purpose, answer.party, start, SecretBytes(answer.nonce))
    assert (begun, answered) == (start, answer)
    starter, revealed = starter.receive(answer)
    assert revealed == reveal
    answerer, _ = answerer.receive(reveal)
    for side in (starter, answerer):
        assert side.cancel()[1] == decode(MESSAGE, bytes.fromhex(vector["stop"]))
        assert side.code is not None
        assert list(side.code.words) == vector["words"]
        assert list(side.code.numbers) == vector["numbers"]


def test_comparison() -> None:
    vector = VECTORS["comparison"]
    one, other = map(bytes.fromhex, vector["accounts"])
    assert [half(one), half(other)] == vector["halves"]
    assert " ".join(safety_number(half(one), half(other))) == vector["safety_number"]
    assert qr_payload(one, other).hex() == vector["qr"]
