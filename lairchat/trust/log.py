"""An account log as it is verified: which entry may come next, and what follows from all.

A table of who may sign what, default deny::

    entry                       root    device-signing key in force
    device-signing key          yes     no
    device                      yes     yes
    revocation of the former    yes     no
    revocation of a device      yes     yes

Nothing signed by a revoked key is taken; a revoked device or key never comes back; ids and keys are
used once in a log.
Whether an entry is valid depends on the entries before it and nothing else: not on the clock, nor on
what this program's version of Unicode thinks of a name, so that all who verify it agree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Generic, Self, TypeVar

from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.model.names import is_name_key, name_key
from lairchat.model.text import display_safe
from lairchat.trust.entry import (
    BY_ROOT,
    ENTRY_LABEL,
    GENESIS_LABEL,
    Device,
    Entry,
    Genesis,
    Head,
    Reason,
    Revocation,
    SignedEntry,
    SignedGenesis,
    Signer,
    StoredLog,
)
from lairchat.trust.errors import (
    ForeignError,
    ForkError,
    OrderError,
    RevokedError,
    RollbackError,
    RuleError,
    SignatureError,
)
from lairchat.trust.signing import check_key, check_signature

B = TypeVar("B", Device, Signer)


@dataclass(frozen=True, slots=True)
class Revoked:
    """When, by what and why something ended.

    position: the place of the revocation; signer: the place of the key that signed it, 0 for the
    root; time: its claim, ms since 1970.
    """

    position: int
    signer: int
    time: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Certified(Generic[B]):
    """A device or device-signing key, where it began, who says so, and whether it ended.

    signer: the place of the key that certified it, 0 for the root.
    time: the signer's claim, ms since 1970.
    """

    position: int
    signer: int
    time: int
    body: B
    revoked: Revoked | None = None


class Relation(Enum):
    """Where a head that somebody names stands to the log one has."""

    SAME = "same"
    OLDER = "older"
    NEWER = "newer"
    """There are entries that one has not seen: ask for them, and hold if they are not given."""


@dataclass(frozen=True, slots=True, repr=False)
class AccountLog:
    """A log that has been verified to its head; nothing changes it, longer ones are new values."""

    genesis: Genesis
    hashes: tuple[bytes, ...]
    """The account id and the hash of each entry, by place."""
    _devices: Mapping[int, Certified[Device]]
    _signers: Mapping[int, Certified[Signer]]

    @classmethod
    def begin(cls, signed: SignedGenesis, server: ServerId) -> Self:
        """Return the log of a genesis alone.

        Raises ForeignError if it is for another server, RuleError for an impossible name,
        SignatureError.
        """
        genesis = signed.content
        if genesis.server != server.digest:
            raise ForeignError("this account belongs to another server")
        if not is_name_key(genesis.name):
            raise RuleError("this account has no name that an account can have")
        genesis.root.check(GENESIS_LABEL, genesis.encode(), signed.signature)
        nothing: Mapping[int, Certified[Device]] = MappingProxyType({})
        return cls(genesis, (genesis.account,), nothing, MappingProxyType({}))

    @property
    def account(self) -> bytes:
        """The account id, 32 bytes."""
        return self.hashes[0]

    @property
    def head(self) -> Head:
        """The last place and its hash."""
        return Head(len(self.hashes) - 1, self.hashes[-1])

    @property
    def devices(self) -> tuple[Certified[Device], ...]:
        """All devices that there ever were, in order."""
        return tuple(self._devices.values())

    @property
    def signers(self) -> tuple[Certified[Signer], ...]:
        """All device-signing keys that there ever were, in order."""
        return tuple(self._signers.values())

    @property
    def in_force(self) -> tuple[Certified[Device], ...]:
        """The devices that have not been revoked."""
        return tuple(device for device in self.devices if device.revoked is None)

    @property
    def exposed(self) -> tuple[Certified[Signer], ...]:
        """Device-signing keys in force whose device is revoked: the owner's words should end them."""
        gone = {device.body.id for device in self.devices if device.revoked is not None}
        return tuple(
            signer
            for signer in self.signers
            if signer.revoked is None and signer.body.holder in gone
        )

    def __repr__(self) -> str:
        return f"AccountLog({self.genesis.name}, {self.account.hex()[:8]}, {self.head.position})"

    def device(self, device_id: bytes) -> Certified[Device] | None:
        """Return the device of this id, revoked or not."""
        return next((found for found in self.devices if found.body.id == device_id), None)

    def signer_of(self, key: bytes) -> int:
        """Return the place of a device-signing key in force; RuleError if there is none."""
        for signer in self.signers:
            if signer.body.key == key and signer.revoked is None:
                return signer.position
        raise RuleError("this device-signing key is not in force")

    def relation(self, head: Head) -> Relation:
        """Say where a head stands to this log; ForkError if it is on another branch."""
        if head.position >= len(self.hashes):
            return Relation.NEWER
        if self.hashes[head.position] != head.hash:
            raise ForkError(f"entry {head.position} is another than one that has been seen")
        return Relation.SAME if head.position == len(self.hashes) - 1 else Relation.OLDER

    def require(self, known: Head) -> None:
        """Refuse this log if it does not hold what has been seen of it.

        Raises RollbackError if it ends before, ForkError if it went another way.
        """
        if self.relation(known) is Relation.NEWER:
            raise RollbackError(
                f"the log ends at entry {self.head.position}, {known.position} has been seen"
            )

    def append(self, signed: SignedEntry) -> Self:
        """Return the log with one entry more.

        Raises ForeignError, OrderError, SignatureError, ForkError, RevokedError or RuleError.
        """
        return self._append(signed, verify=True)

    def extend(self, entries: Iterable[SignedEntry]) -> Self:
        """Return the log with some entries more, or raise what the first bad one raises."""
        log = self
        for signed in entries:
            log = log.append(signed)
        return log

    def _append(self, signed: SignedEntry, *, verify: bool) -> Self:
        entry = signed.content
        if entry.account != self.account:
            raise ForeignError("this entry belongs to another account")
        if entry.position > len(self.hashes):
            raise OrderError(f"entry {entry.position} came before entry {len(self.hashes)}")
        if verify:
            # Before anything is said about forks: garbage must not look like a proof of one.
            self._check_signature(signed)
        self._check_place(signed)
        self._check_signer(entry)
        self._check_bounds(entry)
        grown = replace(self, hashes=(*self.hashes, signed.hash))
        body = entry.body
        if isinstance(body, Device):
            return replace(grown, _devices=self._with_device(entry, body))
        if isinstance(body, Signer):
            return replace(grown, _signers=self._with_signer(entry, body))
        return self._revoke(grown, entry, body)

    def _check_signature(self, signed: SignedEntry) -> None:
        entry = signed.content
        content = entry.encode()
        if entry.signer == BY_ROOT:
            self.genesis.root.check(ENTRY_LABEL, content, signed.signature)
            return
        signer = self._signer(entry.signer)
        check_signature(signer.body.key, ENTRY_LABEL, content, signed.signature)

    def _signer(self, position: int) -> Certified[Signer]:
        signer = self._signers.get(position)
        if signer is None:
            raise RuleError(f"entry {position} is no device-signing key")
        return signer

    def _check_place(self, signed: SignedEntry) -> None:
        entry = signed.content
        if entry.position < len(self.hashes):
            if self.hashes[entry.position] == signed.hash:
                raise OrderError(f"entry {entry.position} came again")
            raise ForkError(f"there is another entry {entry.position}")
        if entry.previous != self.hashes[-1]:
            raise ForkError(f"entry {entry.position} follows another entry than the last one here")

    def _check_signer(self, entry: Entry) -> None:
        if entry.signer == BY_ROOT:
            return
        if self._signer(entry.signer).revoked is not None:
            raise RevokedError(f"the key of entry {entry.signer} is revoked, and signs no more")
        if isinstance(entry.body, Signer):
            raise RuleError("only the root makes device-signing keys")
        if isinstance(entry.body, Revocation) and entry.body.target in self._signers:
            raise RuleError("only the root revokes device-signing keys")

    def _check_bounds(self, entry: Entry) -> None:
        # A thief of a device-signing key must not be able to fill the log against the root.
        reserved = 0 if entry.signer == BY_ROOT else limits.LOG_ENTRIES_ROOT
        if entry.position > limits.LOG_ENTRIES - reserved:
            raise RuleError("the log is full")
        if entry.time > limits.INTEGER_MAX:
            raise RuleError("this time fits no database")

    def _with_device(self, entry: Entry, device: Device) -> Mapping[int, Certified[Device]]:
        if self.device(device.id) is not None:
            raise RuleError("there has been a device of this id")
        if len(self.in_force) >= limits.LOG_DEVICES:
            raise RuleError(f"an account has at most {limits.LOG_DEVICES} devices")
        if not _is_device_name(device.name):
            raise RuleError("a device has a name of one line, not empty and not too long")
        self._check_new_key(device.key)
        certified = Certified(entry.position, entry.signer, entry.time, device)
        return MappingProxyType({**self._devices, entry.position: certified})

    def _with_signer(self, entry: Entry, signer: Signer) -> Mapping[int, Certified[Signer]]:
        if sum(other.revoked is None for other in self.signers) >= limits.LOG_SIGNERS:
            raise RuleError(f"an account has at most {limits.LOG_SIGNERS} device-signing keys")
        self._check_new_key(signer.key)
        certified = Certified(entry.position, entry.signer, entry.time, signer)
        return MappingProxyType({**self._signers, entry.position: certified})

    def _check_new_key(self, key: bytes) -> None:
        try:
            check_key(key)
        except SignatureError as error:
            raise RuleError("under this key a signature proves nothing") from error
        # One key, one purpose: what a device signs must not be what certifies devices.
        used = {self.genesis.root.ed25519}
        used.update(device.body.key for device in self.devices)
        used.update(signer.body.key for signer in self.signers)
        if key in used:
            raise RuleError("this key has been used in this log")

    def _revoke(self, grown: Self, entry: Entry, revocation: Revocation) -> Self:
        target = revocation.target
        try:
            reason = Reason(revocation.reason)
        except ValueError as error:
            raise RuleError(f"there is no reason {revocation.reason}") from error
        revoked = Revoked(entry.position, entry.signer, entry.time, reason)
        if device := self._devices.get(target):
            return replace(grown, _devices=_ended(self._devices, device, revoked))
        if signer := self._signers.get(target):
            return replace(grown, _signers=_ended(self._signers, signer, revoked))
        raise RuleError(f"entry {target} is nothing that can be revoked")


def read_log(data: bytes, server: ServerId, known: Head | None = None) -> AccountLog:
    """Return the verified log that these bytes are.

    known: the highest head that has been verified and kept; entries up to it are recognised by
    their hashes, and only the signatures of later ones cost time.
    Raises MalformedError, what AccountLog.begin and append raise, RollbackError, ForkError.
    """
    if len(data) > limits.LOG_BYTES:
        raise RuleError("this log is longer than one can be")
    stored = StoredLog.decode(data)
    log = AccountLog.begin(stored.genesis, server)
    seen = 0
    if known is not None:
        _require_hash(log, stored.entries, known)
        seen = known.position
    for signed in stored.entries:
        log = log._append(signed, verify=signed.content.position > seen)
    return log


def encode_log(genesis: SignedGenesis, entries: Iterable[SignedEntry]) -> bytes:
    """Return a whole log as it is kept and sent."""
    return StoredLog(genesis, tuple(entries)).encode()


def check_name(log: AccountLog, name: str) -> None:
    """Raise ForeignError unless the log is that of the account of this name, in any case."""
    if log.genesis.name != name_key(name):
        raise ForeignError("this log belongs to an account of another name")


def shown_name(device: Device) -> str:
    """Return a device's name as it may be shown."""
    return display_safe(device.name)


def _require_hash(log: AccountLog, entries: tuple[SignedEntry, ...], known: Head) -> None:
    if known.position > len(entries):
        raise RollbackError(f"the log ends at entry {len(entries)}, {known.position} has been seen")
    found = entries[known.position - 1].hash if known.position else log.account
    if found != known.hash:
        raise ForkError(f"entry {known.position} is another than the one that has been seen")


def _is_device_name(name: str) -> bool:
    # Only what no version of Unicode will see otherwise; the rest is display_safe's.
    controls = any(char < " " or "\x7f" <= char <= "\x9f" for char in name)
    return bool(name.strip(" ")) and len(name) <= limits.LABEL_CHARS and not controls


def _ended(
    all_of: Mapping[int, Certified[B]], one: Certified[B], revoked: Revoked
) -> Mapping[int, Certified[B]]:
    if one.revoked is not None:
        raise RevokedError(f"entry {one.position} has been revoked before")
    return MappingProxyType({**all_of, one.position: replace(one, revoked=revoked)})
