"""Makes the entries of one's own account log; what another device verifies, :mod:`.log` says."""

from lairchat.model.identity import ServerId
from lairchat.model.names import name_key
from lairchat.trust.entry import (
    BY_ROOT,
    ENTRY_LABEL,
    GENESIS_LABEL,
    Body,
    Entry,
    Genesis,
    SignedEntry,
    SignedGenesis,
)
from lairchat.trust.log import AccountLog
from lairchat.trust.root import Root
from lairchat.trust.signing import SigningKey


def sign_genesis(root: Root, server: ServerId, name: str) -> SignedGenesis:
    """Return the beginning of the log of an account; its id follows from the arguments alone."""
    genesis = Genesis(server.digest, name_key(name), root.public)
    return SignedGenesis(genesis, root.sign(GENESIS_LABEL, genesis.encode()))


def sign_entry(log: AccountLog, body: Body, time: int, by: Root | SigningKey) -> SignedEntry:
    """Return the entry that says ``body`` next in the log; to be appended before it is sent.

    time: milliseconds since 1970.
    Raises RuleError if ``by`` is a device-signing key that is not in force; whether it may say this
    is for ``log.append`` to decide.
    """
    signer = BY_ROOT if isinstance(by, Root) else log.signer_of(by.public)
    head = log.head
    entry = Entry(log.account, head.position + 1, head.hash, time, signer, body)
    return SignedEntry(entry, by.sign(ENTRY_LABEL, entry.encode()))
