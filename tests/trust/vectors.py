"""Writes tests/vectors/trust.json: what an implementer in any language can check identities against.

``python -m tests.trust.vectors > new.json`` and then a look at it; a test holds the file to this
program.
All bytes are made by hand from what the modules' docstrings say: lairchat takes no part, only the
primitives of ``cryptography`` and the standard library.
ML-DSA signatures are random, so those of the file that is there are kept as long as they fit.
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ABOUT = (
    "Test vectors of identities. Bytes are hexadecimal, structs as in RFC 9420 section 2.1. "
    "recovery: entropy, its words, and what HKDF-SHA256 derives from it. "
    "password: what Argon2id and HKDF-Expand derive for a server and a name. "
    "log: an account log; 'says' is an entry in words, 'signed' the entry with its signature, 'head' "
    "its place and hash. "
    "refused: entries, each after so many of the log's, and the error. "
    "leaf: the identity of a basic credential. "
    "verification: the messages of each purpose, and the code. "
    "comparison: an account's thirty digits, two people's sixty, and a QR code's bytes."
)
FILE = Path(__file__).resolve().parents[1] / "vectors" / "trust.json"
WORDS = Path(__file__).resolve().parents[2] / "lairchat" / "model" / "words.txt"
NOW = 1_790_000_000_000

Value = dict[str, Any]


def length(count: int) -> bytes:
    """Write a length (RFC 9420 section 2.1.2)."""
    if count < 64:
        return bytes([count])
    return (
        (count | 0x4000).to_bytes(2, "big")
        if count < 16_384
        else (count | 0x8000_0000).to_bytes(4, "big")
    )


def vector(data: bytes) -> bytes:
    return length(len(data)) + data


def labelled(label: str, content: bytes) -> bytes:
    return vector(label.encode()) + vector(content)


def digest(label: str, content: bytes) -> bytes:
    return hashlib.sha256(labelled(label, content)).digest()


def seed(what: str) -> bytes:
    """Return 32 bytes that look random."""
    return hashlib.sha256(what.encode()).digest()


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """Derive 32 bytes (RFC 5869, SHA-256): one block of output."""
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def words_of(entropy: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in entropy + hashlib.sha256(entropy).digest()[:1])
    names = WORDS.read_text("ascii").split()
    return " ".join(names[int(bits[at : at + 11], 2)] for at in range(0, 132, 11))


class Keys:
    """A root by hand, which takes an old signature of ML-DSA where one fits."""

    def __init__(self, entropy: bytes, kept: list[bytes]) -> None:
        salt = b"lairchat recovery words v1"
        self.ed25519_seed = hkdf(entropy, salt, b"lairchat root ed25519 v1")
        self.mldsa65_seed = hkdf(entropy, salt, b"lairchat root ml-dsa-65 v1")
        self.backup = hkdf(entropy, salt, b"lairchat backup key v1")
        self.ed25519 = Ed25519PrivateKey.from_private_bytes(self.ed25519_seed)
        self.mldsa65 = MLDSA65PrivateKey.from_seed_bytes(self.mldsa65_seed)
        self.public = (
            self.ed25519.public_key().public_bytes_raw()
            + self.mldsa65.public_key().public_bytes_raw()
        )
        self.kept = kept

    def sign(self, label: str, content: bytes) -> bytes:
        data = labelled(label, content)
        return self.ed25519.sign(data) + self._lattice(data)

    def _lattice(self, data: bytes) -> bytes:
        for signature in self.kept:
            try:
                self.mldsa65.public_key().verify(signature, data)
            except InvalidSignature:
                continue
            return signature
        return self.mldsa65.sign(data)


def private(what: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(what))


def public(what: str) -> bytes:
    return private(what).public_key().public_bytes_raw()


def signed_by(what: str, label: str, content: bytes) -> bytes:
    return private(what).sign(labelled(label, content))


GENESIS, ENTRY, ENTRY_HASH = (
    "lairchat account genesis v1",
    "lairchat account entry v1",
    "lairchat account entry hash v1",
)
SERVER = seed("server")


def signer(what: str) -> bytes:
    return b"\1" + public(what) + seed(f"{what} holder")[:16]


def device(what: str, name: str) -> bytes:
    return b"\2" + seed(f"{what} id")[:16] + public(what) + vector(name.encode())


def revocation(target: int, reason: int) -> bytes:
    return b"\3" + target.to_bytes(4, "big") + bytes([reason])


class Log:
    """A log by hand, with what is said of it."""

    def __init__(self, name: str, keys: Keys) -> None:
        self.keys = keys
        content = SERVER + vector(name.encode()) + keys.public
        self.genesis = content + vector(keys.sign(GENESIS, content))
        self.hashes = [digest(GENESIS, content)]
        self.entries: list[bytes] = []

    def content(self, body: bytes, by: int, *, after: int = -1, at: int = 0) -> bytes:
        place = at or len(self.hashes)
        return (
            self.hashes[0]
            + place.to_bytes(4, "big")
            + self.hashes[after]
            + (NOW + place * 1_000).to_bytes(8, "big")
            + by.to_bytes(4, "big")
            + body
        )

    def root_signed(self, content: bytes) -> bytes:
        return content + vector(self.keys.sign(ENTRY, content))

    def add(self, says: str, signed: bytes) -> Value:
        self.entries.append(signed)
        self.hashes.append(digest(ENTRY_HASH, signed))
        head = (len(self.hashes) - 1).to_bytes(4, "big") + self.hashes[-1]
        return {"says": says, "signed": signed.hex(), "head": head.hex()}

    def whole(self) -> bytes:
        return b"\0\1" + self.genesis + vector(b"".join(self.entries))


def key_signed(what: str, content: bytes) -> bytes:
    return content + vector(signed_by(what, ENTRY, content))


def build(previous: Value) -> Value:
    """Make all vectors; signatures of ML-DSA come from the previous ones where they fit."""
    kept = kept_signatures(previous)
    entropy = seed("alice's words")[:16]
    keys = Keys(entropy, kept)
    log = Log("alice", keys)
    said = [
        log.add(
            "the root certifies a device-signing key",
            log.root_signed(log.content(signer("signer 1"), 0)),
        ),
        log.add(
            "that key certifies a device",
            key_signed("signer 1", log.content(device("laptop", "laptop at home"), 1)),
        ),
        log.add(
            "and another, whose name is not ASCII",
            key_signed("signer 1", log.content(device("phone", "t\u00e9l\u00e9phone"), 1)),
        ),
        log.add(
            "which left",
            key_signed("signer 1", log.content(revocation(3, 1), 1)),
        ),
        log.add(
            "the root certifies a device by itself",
            log.root_signed(log.content(device("desk", "desk"), 0)),
        ),
        log.add(
            "the device-signing key is lost",
            log.root_signed(log.content(revocation(1, 2), 0)),
        ),
    ]
    account = log.hashes[0]
    other = Log("bob", Keys(seed("bob's words")[:16], kept))
    return {
        "about": ABOUT,
        "recovery": recovery(entropy, keys),
        "password": password(),
        "log": {
            "server": SERVER.hex(),
            "name": "alice",
            "account": account.hex(),
            "genesis": log.genesis.hex(),
            "entries": said,
            "whole": log.whole().hex(),
        },
        "refused": refused(log, other),
        "leaf": {
            "account": account.hex(),
            "device": seed("laptop id")[:16].hex(),
            "key": public("laptop").hex(),
            "identity": (account + seed("laptop id")[:16]).hex(),
        },
        "verification": [
            verification(1, party(account, "laptop"), party(other.hashes[0], "bob's")),
            verification(2, party(account, "laptop"), party(account, "tablet")),
        ],
        "comparison": comparison(account, other.hashes[0]),
    }


def kept_signatures(previous: Value) -> list[bytes]:
    """Collect what stands where a root's lattice signature stands: at the end of each object."""
    log = previous.get("log", {})
    whole = [log.get("genesis", ""), *(each["signed"] for each in log.get("entries", []))]
    whole += [each["signed"] for each in previous.get("refused", [])]
    return [bytes.fromhex(each)[-3_309:] for each in whole]


def recovery(entropy: bytes, keys: Keys) -> Value:
    return {
        "entropy": entropy.hex(),
        "words": words_of(entropy),
        "root_ed25519_seed": keys.ed25519_seed.hex(),
        "root_ml_dsa_65_seed": keys.mldsa65_seed.hex(),
        "root_public": keys.public.hex(),
        "backup_key": keys.backup.hex(),
    }


def password() -> Value:
    typed, name = "correct horse", "Alice"
    salt = hashlib.sha256(b"lairchat password v1\0" + SERVER + name.lower().encode()).digest()[:16]
    stretched = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65_536).derive(
        typed.encode()
    )
    return {
        "password": typed,
        "server": SERVER.hex(),
        "name": name,
        "salt": salt.hex(),
        "authentication": hmac.digest(
            stretched, b"lairchat authentication secret v1\1", "sha256"
        ).hex(),
        "vault": hmac.digest(stretched, b"lairchat vault key v1\1", "sha256").hex(),
    }


def refused(log: Log, other: Log) -> list[Value]:
    """Make entries that nobody may take, each rightly signed but for what it is about."""
    first = Log("alice", log.keys)  # before the first entry
    content = first.content(device("tablet", "tablet"), 0)
    both = log.keys.sign(ENTRY, content)
    others = other.keys.sign(ENTRY, content)
    third = log.content(device("tablet", "tablet"), 1, after=2, at=3)
    last = log.content(device("tablet", "tablet"), 1)
    tablet = device("tablet", "tablet")
    found = [
        (0, "SignatureError", "the lattice signature is another root's",
         content + vector(both[:64] + others[64:])),
        (0, "SignatureError", "the Ed25519 signature is another root's",
         content + vector(others[:64] + both[64:])),
        (0, "SignatureError", "one algorithm only", content + vector(both[:64])),
        (0, "ForeignError", "another account's",
         other.root_signed(other.content(tablet, 0))),
        (0, "OrderError", "before its turn", log.entries[1]),
        (2, "OrderError", "again", log.entries[1]),
        (1, "ForkError", "another second entry",
         key_signed("signer 1", log.content(tablet, 1, after=0, at=2))),
        (3, "ForkError", "another third entry", key_signed("signer 1", third)),
        (2, "RuleError", "a device signs",
         key_signed("laptop", log.content(tablet, 2, after=2, at=3))),
        (2, "RuleError", "a device-signing key makes another",
         key_signed("signer 1", log.content(signer("signer 2"), 1, after=2, at=3))),
        (2, "RuleError", "a device-signing key ends itself",
         key_signed("signer 1", log.content(revocation(1, 1), 1, after=2, at=3))),
        (2, "RuleError", "the id of a device again",
         key_signed(
             "signer 1",
             log.content(b"\2" + seed("laptop id")[:16] + public("tablet") + b"\1t", 1, after=2, at=3),
         )),
        (2, "RuleError", "a key again, for something else",
         key_signed("signer 1", log.content(
             b"\2" + seed("tablet id")[:16] + public("signer 1") + b"\1t", 1, after=2, at=3))),
        (2, "RuleError", "a key of small order",
         key_signed("signer 1", log.content(
             b"\2" + seed("tablet id")[:16] + b"\1" + bytes(31) + b"\1t", 1, after=2, at=3))),
        (2, "RuleError", "a device without a name",
         key_signed("signer 1", log.content(device("tablet", ""), 1, after=2, at=3))),
        (2, "RuleError", "the genesis revoked",
         key_signed("signer 1", log.content(revocation(0, 1), 1, after=2, at=3))),
        (2, "RuleError", "no such reason",
         key_signed("signer 1", log.content(revocation(2, 3), 1, after=2, at=3))),
        (6, "RevokedError", "signed by a revoked key", key_signed("signer 1", last)),
    ]  # fmt: skip
    return [
        {"after": after, "error": error, "says": says, "signed": signed.hex()}
        for after, error, says, signed in found
    ]


def party(account: bytes, what: str) -> bytes:
    return account + seed(f"{what} id")[:16] + public(what)


def verification(purpose: int, starter: bytes, answerer: bytes) -> Value:
    session, one, two = seed("session")[:16], seed("nonce 1"), seed("nonce 2")
    offer = session + bytes([purpose]) + starter
    committed = digest("lairchat verification commitment v1", offer + one)
    drawn = digest("lairchat verification code v1", offer + committed + answerer + one + two)
    bits = int.from_bytes(drawn, "big")
    names = WORDS.read_text("ascii").split()
    return {
        "purpose": purpose,
        "start": (b"\1" + offer + committed).hex(),
        "answer": (b"\2" + session + answerer + two).hex(),
        "reveal": (b"\3" + session + one).hex(),
        "stop": (b"\4" + session).hex(),
        "words": [names[bits >> 11 * at & 2_047] for at in range(7)],
        "numbers": [f"{(bits >> 77) // 10_000**at % 10_000:04}" for at in range(3)],
    }


def comparison(one: bytes, other: bytes) -> Value:
    halves = [
        f"{int.from_bytes(hashlib.pbkdf2_hmac('sha512', each, b'lairchat safety number v1', 65_536)) % 10**30:030}"
        for each in (one, other)
    ]
    both = "".join(sorted(halves))
    return {
        "accounts": [one.hex(), other.hex()],
        "halves": halves,
        "safety_number": " ".join(both[at : at + 5] for at in range(0, 60, 5)),
        "qr": (b"LQ1\0" + one + other).hex(),
    }


if __name__ == "__main__":
    built = build(json.loads(FILE.read_text()) if FILE.exists() else {})
    json.dump(built, sys.stdout, indent=1)
    sys.stdout.write("\n")
