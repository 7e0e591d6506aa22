"""This device: how it becomes one of its account's, and how it proves that to the server.

The first device of an account draws the recovery words, which are the root; they are kept in the store
until somebody has written them down, and then erased.  A later one is certified by the words, or by a
device that can certify (:mod:`lairchat.client.sealed.linking`).
What others hear of is kept here before they do: a crash leaves a device that goes on where it was.
"""

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.client import inputs_sealed as inputs
from lairchat.client.store_people import OwnDevice
from lairchat.features.identities import messages as wire
from lairchat.model import faults, limits, refusals
from lairchat.model.names import check_label
from lairchat.model.refusal import Refusal
from lairchat.trust.compose import sign_entry, sign_genesis
from lairchat.trust.entry import (
    DEVICE_ID_BYTES,
    ENTRIES,
    Body,
    Device,
    Reason,
    Revocation,
    SignedEntry,
    Signer,
)
from lairchat.trust.errors import RuleError, TrustError, WordsError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog, encode_log, shown_name
from lairchat.trust.proof import sign_proof
from lairchat.trust.root import Root, backup_key
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import KEY_BYTES, SigningKey
from lairchat.trust.words import ENTROPY_BYTES, format_words, parse_words

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

WORDS = "words"
"""The fact that holds the entropy of recovery words which nobody has written down yet."""
LINKED = "linked"
"""The fact that the user has compared codes with a device that can certify this one."""
_TRIES = 3
"""count: how often an entry is signed anew because another device appended one meanwhile."""


class ThisDevice:
    """The device of this profile.

    proven: whether the server knows this session as it.
    """

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self.proven = False

    @property
    def own(self) -> OwnDevice | None:
        """This device; None before it has been made."""
        return self._sealed.opened.people.own()

    @property
    def account_log(self) -> AccountLog:
        """The log of this device's account; only once it has been made."""
        own = self.own
        assert own is not None
        return self._sealed.opened.people.logs[own.identity.account]

    @property
    def certified(self) -> bool:
        """Whether the account's log, as far as it is known here, has this device in force."""
        own = self.own
        if own is None:
            return False
        log = self._sealed.opened.people.logs.get(own.identity.account)
        found = None if log is None else log.device(own.identity.device)
        return found is not None and found.revoked is None

    # -- coming up

    async def begin(self) -> None:
        """Become a device of the account if that needs nobody, and prove it to the server."""
        self.proven = False
        own = self.own
        found = await self._account() if own is None else await self._catch_up(own)
        known = found is not None
        if found is None:
            found = await self._begin()
        own = self.own
        if own is None or (found is not None and found.account != own.identity.account):
            self.say_unlinked(found)
            return
        if known:
            self._show_words()
        if not self.certified or not self._is_wanted(own):
            self.say_unlinked(await self._account())
            return
        await self.prove()

    async def _account(self) -> AccountLog | None:
        """Return the log that the account goes by; None if it has none yet."""
        try:
            person = await self._sealed.directory.person(self._sealed.name)
        except refusals.IdentityUnknown:
            return None
        return person.log

    async def _begin(self) -> AccountLog | None:
        """Begin an identity; returns the one that another device has begun meanwhile, if it was quicker."""
        try:
            await self.begin_identity()
        except (refusals.IdentitySoon, refusals.IdentitiesMax):
            found = await self._account()
            if found is None:
                raise
            return found
        return None

    async def _catch_up(self, own: OwnDevice) -> AccountLog | None:
        """Bring the server what it lacks of our own log, and take what other devices have added.

        Returns the log that the account goes by; None if it has none, and ours was never whole.
        """
        people = self._sealed.opened.people
        known = people.logs.get(own.identity.account)
        try:
            part: wire.LogPart = await self._sealed.ask(
                wire.READ, wire.ReadLog(account=own.identity.account)
            )
        except refusals.IdentityUnknown:
            found = await self._account()
            if found is not None:
                # Another device was quicker, and ours never came to be: nobody needs its words.
                return found
            # A crash between keeping and publishing, or a server that was put back to before.
            stored = people.stored_log(own.identity.account)
            if stored is None:
                return None
            await self._publish(stored.encode())
            return self.account_log
        if known is not None and part.position < known.head.position:
            await self._append_missing(own.identity.account, part.position)
        else:
            await self._sealed.directory.read(own.identity.account)
        return people.logs.get(own.identity.account)

    async def _append_missing(self, account: bytes, after: int) -> None:
        """Bring again what a server has lost that was put back to before."""
        stored = self._sealed.opened.people.stored_log(account)
        assert stored is not None
        await self._append(after, stored.entries[after:])

    async def prove(self) -> None:
        """Prove to be this device, for this session."""
        own, link = self.own, self._sealed.link
        assert own is not None
        assert link.server is not None
        session = self._sealed.session
        key = SigningKey(own.signing)
        signature = sign_proof(key, link.server, session.session, session.device)
        await self._sealed.ask(wire.PROVE, wire.ProveDevice(own.identity.device, signature))
        self.proven = True
        if own.number != session.device:
            self._sealed.opened.people.keep_own(
                OwnDevice(own.identity, own.signing, own.signer, session.device)
            )

    def say_unlinked(self, log: AccountLog | None) -> None:
        """Say that this device is none of the account's yet, and which could make it one."""
        devices = () if log is None else tuple(shown_name(one.body) for one in log.in_force)
        self._sealed.deliver(inputs.DeviceUnlinked(devices))

    # -- the recovery words

    def _show_words(self) -> None:
        kept = self._sealed.opened.marks.fact(WORDS)
        if kept is not None:
            words = format_words(SecretBytes(kept))
            self._sealed.deliver(inputs.RecoveryWords(tuple(words.split())))

    def words_kept(self) -> None:
        """Erase the recovery words: somebody has them on paper."""
        self._sealed.opened.marks.keep_fact(WORDS, None)
        self._sealed.opened.purge()

    # -- identities

    async def begin_identity(self) -> None:
        """Give the account an identity, with this device as its first."""
        random = self._sealed.random
        entropy = SecretBytes(random(ENTROPY_BYTES))
        root = Root(entropy)
        link = self._sealed.link
        assert link.server is not None
        genesis = sign_genesis(root, link.server, self._sealed.name)
        log = AccountLog.begin(genesis, link.server)
        # First the words: an identity whose words nobody ever saw would be lost with this device.
        self._sealed.opened.marks.keep_fact(WORDS, entropy.reveal())
        self._sealed.opened.backups.keep_key(backup_key(entropy))
        own = self.make(log.account, certifies=True)
        data = encode_log(genesis, self._signed(log, root, bodies_of(own)))
        self._sealed.opened.people.learn_log(data)
        await self._publish(data)
        self._show_words()

    def make(self, account: bytes, *, certifies: bool) -> OwnDevice:
        """Return this device, drawn and kept if it was not; certifies: with a device-signing key.

        Drawn anew if the one before is over: no key that was revoked comes back.
        """
        own, store, random = self.own, self._sealed.opened, self._sealed.random
        if own is None or self._is_over(own, account):
            identity = LeafIdentity(account, random(DEVICE_ID_BYTES))
            own = OwnDevice(identity, SecretBytes(random(KEY_BYTES)), None)
            store.begin_device(own)
            store.marks.keep_fact(LINKED, None)
        if certifies and own.signer is None:
            signer = SecretBytes(random(KEY_BYTES))
            own = OwnDevice(own.identity, own.signing, signer, own.number)
            store.people.keep_own(own)
        return own

    def _is_over(self, own: OwnDevice, account: bytes) -> bool:
        """Tell whether a device can be none of the account's any more."""
        log = self._sealed.opened.people.logs.get(own.identity.account)
        found = None if log is None else log.device(own.identity.device)
        revoked = found is not None and found.revoked is not None
        return revoked or own.identity.account != account

    def _signed(
        self, log: AccountLog, by: Root | SigningKey, bodies: Iterable[Body]
    ) -> tuple[SignedEntry, ...]:
        """Return the entries that say these next in a log; raises TrustError if they may not."""
        entries = []
        for body in bodies:
            signed = sign_entry(log, body, self._sealed.link.now(), by)
            log = log.append(signed)
            entries.append(signed)
        return tuple(entries)

    async def _publish(self, data: bytes) -> None:
        await self._sealed.ask(wire.PUBLISH, wire.PublishLog(data))

    async def linked(self) -> None:
        """Go on once another device has certified this one, and the user has compared here too."""
        own = self.own
        if own is None or self.proven or not self._is_wanted(own):
            return
        await self._sealed.directory.read(own.identity.account)
        if self.certified:
            await self._sealed.linked()

    def compared(self) -> None:
        """Keep that the user has compared codes with a device that can certify this one."""
        self._sealed.opened.marks.keep_fact(LINKED, b"1")

    def _is_wanted(self, own: OwnDevice) -> bool:
        """Tell whether the user has agreed that this device belongs to its account.

        Words and the first identity say so by themselves; who was certified by another device has
        compared with it, or a server could have led it to an account of somebody else's.
        """
        return own.signer is not None or self._sealed.opened.marks.fact(LINKED) is not None

    async def link_by_words(self, text: str) -> None:
        """Make this device one of the account's by its recovery words; raises a Refusal."""
        try:
            entropy = parse_words(text)
        except WordsError as error:
            # Not what was typed: only what kind of mistake it is.
            raise faults.WordsBad(why=str(error)) from None
        root = Root(entropy)
        log = await self._account()
        if log is None:
            raise refusals.IdentityUnknown
        if log.genesis.root != root.public:
            raise faults.WordsBad(why="they belong to another account")
        self._sealed.opened.backups.keep_key(backup_key(entropy))
        own = self.make(log.account, certifies=True)
        known = self.certified
        await self.say(
            [one for one in bodies_of(own) if not known or isinstance(one, Signer)], root
        )
        await self.end_exposed(root)
        await self._sealed.linked()

    async def end_exposed(self, root: Root) -> None:
        """End device-signing keys whose devices are revoked: a thief could certify by them still."""
        exposed = self.account_log.exposed
        if exposed:
            await self.say([Revocation(one.position, Reason.LOST) for one in exposed], root)

    async def say(self, bodies: Iterable[Body], by: Root | SigningKey) -> None:
        """Append entries to our own log; raises a Refusal."""
        for _ in range(_TRIES):
            log = self.account_log
            try:
                entries = self._signed(log, by, bodies)
            except TrustError as error:
                raise refusals.IdentityBad(why=str(error)) from None
            try:
                await self._append(log.head.position, entries)
            except refusals.LogStale:
                await self._sealed.directory.read(log.account)
                continue
            try:
                await self._sealed.directory.read(log.account)
            except faults.NetLost:
                # It is said.  Who has revoked this very device is logged out by it.
                self.log.info("the account's log has grown, and is read again with the next login")
            return
        raise refusals.LogStale(position=self.account_log.head.position)

    async def _append(self, after: int, entries: tuple[SignedEntry, ...]) -> None:
        # Some at a time: an entry of the root's takes 3.5 KB, and a frame has an end.
        per = limits.LOG_PART_BYTES // _ENTRY_BYTES
        for start in range(0, len(entries), per):
            part = ENTRIES.write(entries[start : start + per])
            await self._sealed.ask(wire.APPEND, wire.AppendEntries(after + start, part))

    # -- the account's devices

    def signer(self) -> SigningKey | None:
        """Return the key by which this device certifies others, if it may."""
        own = self.own
        if own is None or own.signer is None:
            return None
        key = SigningKey(own.signer)
        try:
            self.account_log.signer_of(key.public)
        except RuleError:
            return None
        return key

    async def revoke(self, wanted: str, *, lost: bool) -> str:
        """End a device of the account; returns what to say. Raises a Refusal."""
        log = self.account_log
        named = [
            one
            for one in log.in_force
            if one.body.name == wanted or (wanted and one.body.id.hex().startswith(wanted.lower()))
        ]
        if len(named) != 1:
            raise refusals.DeviceUnknown
        key = self.signer()
        if key is None:
            raise refusals.DeviceUnproven
        reason = Reason.LOST if lost else Reason.LEFT
        await self.say((Revocation(named[0].position, reason),), key)
        body, own = named[0].body, self.own
        if own is not None and body.id == own.identity.device:
            return _ENDED
        return f"{shown_name(body)} is revoked; it goes out of all rooms"

    def listed(self) -> tuple[inputs.Device, ...]:
        """Return the account's devices as they are shown."""
        own, log = self.own, self.account_log
        assert own is not None
        primary = {one.body.holder for one in log.signers if one.revoked is None}
        return tuple(
            inputs.Device(
                one.body.id.hex(),
                shown_name(one.body),
                one.time,
                one.body.id == own.identity.device,
                one.body.id in primary,
                one.revoked is not None,
            )
            for one in log.devices
        )


_ENDED = (
    "this device is revoked: it is logged out, and goes out of all rooms. What it has read stays in its"
    " profile until you delete that"
)
_ENTRY_BYTES = 4 * 1_024
"""bytes: more than any entry takes, two signatures and a name."""


def device_name() -> str:
    """Return how this device calls itself in its account's log."""
    try:
        return check_label((platform.node() or "terminal")[: limits.LABEL_CHARS])
    except Refusal:
        return "terminal"


def bodies_of(own: OwnDevice) -> tuple[Body, ...]:
    """Return what a log is to say of a device: itself, and that it certifies others if it does."""
    device = Device(own.identity.device, SigningKey(own.signing).public, device_name())
    if own.signer is None:
        return (device,)
    return Signer(SigningKey(own.signer).public, own.identity.device), device
