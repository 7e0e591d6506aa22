"""Accounts to test with: keys that follow from a name, and logs that are real."""

from hashlib import sha256
from typing import Any

from lairchat.model.identity import ServerId
from lairchat.trust.compose import sign_entry, sign_genesis
from lairchat.trust.entry import Body, Device, SignedEntry, SignedGenesis, Signer
from lairchat.trust.log import AccountLog
from lairchat.trust.root import Root
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey

SERVER = ServerId(sha256(b"the server").digest())
NOW = 1_790_000_000_000


def seed(*what: Any) -> bytes:
    """Return 32 bytes that follow from what they are for."""
    return sha256(repr(what).encode()).digest()


def key(*what: Any) -> SigningKey:
    """Return a private key that follows from what it is for."""
    return SigningKey(SecretBytes(seed(*what)))


def root(name: str) -> Root:
    """Return somebody's root."""
    return Root(SecretBytes(seed(name, "root")[:16]))


def device(name: str, number: int = 1) -> Device:
    """Return what a log says of somebody's device."""
    return Device(seed(name, "id", number)[:16], key(name, "device", number).public, f"pc {number}")


def signer(name: str, number: int = 1) -> Signer:
    """Return what a log says of somebody's device-signing key."""
    return Signer(key(name, "signer", number).public, device(name, number).id)


class Account:
    """Somebody's own log while it grows: the signed entries, and what they come to."""

    def __init__(self, name: str, server: ServerId = SERVER) -> None:
        self.name = name
        self.root = root(name)
        self.genesis: SignedGenesis = sign_genesis(self.root, server, name)
        self.log = AccountLog.begin(self.genesis, server)
        self.entries: list[SignedEntry] = []

    def sign(self, body: Body, by: Root | SigningKey | None = None) -> SignedEntry:
        """Return the next entry, without taking it."""
        time = NOW + 1_000 * self.log.head.position
        return sign_entry(self.log, body, time, by or self.root)

    def say(self, body: Body, by: Root | SigningKey | None = None) -> SignedEntry:
        """Sign the next entry and take it; the root signs unless something else does."""
        signed = self.sign(body, by)
        self.log = self.log.append(signed)
        self.entries.append(signed)
        return signed

    def primary(self, number: int = 1) -> SigningKey:
        """Certify a device with a device-signing key of its own, and return that."""
        self.say(signer(self.name, number))
        mine = key(self.name, "signer", number)
        self.say(device(self.name, number), mine)
        return mine
