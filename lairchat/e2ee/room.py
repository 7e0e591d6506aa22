"""One device's view of one encrypted room: what an event of its log does, and what may be sent.

A room is followed in the order of its log.  Each event gives a new state and what happened; whoever
keeps the state stores both together, before anything leaves or is shown.
A commit that is refused halts the room for good: nothing after it is opened, and no other way leads
past it, because everyone who is honest refuses it too.  People then found a successor.

Promises not to know: who is trusted (pins), how anything is stored or sent.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256
from typing import Final

from lairchat.e2ee.fold import Key, Said
from lairchat.e2ee.following import Finding, Followed, HashAt
from lairchat.e2ee.padding import padding_for
from lairchat.e2ee.payload import (
    Known,
    LogHead,
    Payload,
    Place,
    body_of,
    decode_payload,
    encode_body,
    encode_payload,
)
from lairchat.mls.errors import MisuseError, MLSError
from lairchat.mls.group import Committed, Group, PastEpoch, Received
from lairchat.mls.messages import PrivateMessage, PublicMessage, decode_message
from lairchat.mls.objects import Add, KeyPackage, LeafNode, Proposal, Remove
from lairchat.mls.suites import Random
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.entry import Head
from lairchat.trust.errors import ForkError, LogNeededError, TrustError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog, Relation
from lairchat.trust.policy import NO_HEAD, Because, Policy, Removal, encode_reasons, policy_of
from lairchat.trust.structure import (
    Change,
    Logs,
    check_commit,
    check_group,
    check_proposal,
    identity_of,
)
from lairchat.wire.errors import ProtocolError

PAST_GRACE_MS: Final = 30_000
"""ms: how long the epoch before is kept once its end has been followed."""

ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the room's log, as the server gives it.

    sender: the server's number of who sent it.  body: None once it is purged; digest: its SHA-256,
    which the log keeps.
    """

    seq: int
    kind: int
    sender: int
    body: bytes | None = field(repr=False)
    digest: bytes

    @classmethod
    def of(cls, seq: int, kind: int, sender: int, body: bytes) -> "Event":
        """Return an event with the digest of its body."""
        return cls(seq, kind, sender, body, sha256(body).digest())


@dataclass(frozen=True, slots=True)
class Opened:
    """A message was opened.

    finding: what it says about the room's log that is wrong, if anything.
    claim: how what its author says of the own account's log stands to what is known here.
    """

    said: Said
    payload: Payload = field(repr=False)
    finding: Finding | None
    claim: "Claim"


class Claim(Enum):
    """What a message says of its author's account log, against the log that the server gives."""

    KNOWN = "known"
    WITHHELD = "withheld"
    """The server does not give entries that the author speaks of: a revocation may be hidden."""
    FORKED = "forked"
    """The author has another log than is shown here."""


@dataclass(frozen=True, slots=True)
class Own:
    """A message or commit that this device had sent stands in the log."""

    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """A commit was followed; lost: this device's own one, which it has to make anew."""

    change: Change
    lost: "Pending | None" = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A proposal stands: somebody has to commit before anything is sent."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that says nothing to this device, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Halted:
    """A commit was refused: the room is held, and stays held."""

    why: str


@dataclass(frozen=True, slots=True)
class Out:
    """This device is not in the room any more."""

    change: Change


@dataclass(frozen=True, slots=True)
class Passed:
    """An event that carries nothing: purged, or a statement of the server."""


Happening = Opened | Own | Advanced | Noted | Unreadable | Halted | Out | Passed


@dataclass(frozen=True, slots=True, repr=False)
class Pending:
    """A commit of this device's that has been sent and may yet lose.

    info: the group information of the epoch that it begins, for those who join by themselves.
    """

    message: bytes
    digest: bytes
    welcome: bytes | None
    info: bytes
    group: Group
    change: Change


@dataclass(frozen=True, slots=True, repr=False)
class Past:
    """The epoch before; ended_at: when its end was followed, ms."""

    epoch: PastEpoch
    ended_at: int


class Due(Enum):
    """Why this device should commit."""

    WAITING = "proposals wait"
    JOINED = "this device has just joined"
    UNCLEAN = "this device stopped without warning"
    SENT = "many messages under one key"
    OLD = "keys are old"


Repeats = Callable[[Key], bool]
"""Tells whether a message of this author and id has been taken before."""


@dataclass(frozen=True, slots=True, repr=False)
class Room:
    """The state.

    room: the server's number of it.  server_key: by which the server proposes removals.
    count: how many messages this device has sealed here.  sent: how many of them in this epoch.
    renewed_at: when this device's own keys were last renewed by a commit of its own, ms; 0: never.
    halted: why, once a commit has been refused.
    """

    room: int
    server_key: bytes
    group: Group
    followed: Followed
    past: Past | None = None
    pending: Pending | None = None
    count: int = 0
    sent: int = 0
    renewed_at: int = 0
    halted: str | None = None

    # Looking.

    @property
    def policy(self) -> Policy:
        """The room's policy in this epoch."""
        return policy_of(self.group.context.extensions, self.server_key)

    @property
    def own(self) -> LeafIdentity:
        """This device."""
        return identity_of(self.group.own_leaf)

    @property
    def members(self) -> list[LeafIdentity]:
        """The devices in the room."""
        return [identity_of(leaf) for _, leaf in self.group.public.tree.members()]

    def due(self, now_ms: int, *, unclean: bool = False) -> Due | None:
        """Return why this device should commit now, or None (e2ee.md, "Updates")."""
        if self.halted is not None or self.pending is not None:
            return None
        if self.group.public.pending:
            return Due.WAITING
        if unclean:
            return Due.UNCLEAN
        if not self.renewed_at:
            return Due.JOINED
        if self.sent >= limits.EPOCH_MESSAGES_RENEW:
            return Due.SENT
        days = max(limits.RENEW_DAYS, len(self.members) // limits.RENEW_DEVICES_PER_DAY)
        if now_ms - self.renewed_at >= days * limits.DAY * 1000:
            return Due.OLD
        return None

    # Sending.

    def seal(
        self,
        body: Known,
        id: bytes,  # noqa: A002
        log: AccountLog,
        now_ms: int,
        random: Random,
        *,
        expires: int = 0,
        again: int | None = None,
    ) -> tuple[bytes, "Room"]:
        """Return (MLSMessage, room to be stored before it leaves) of a message.

        id: 16 random bytes.  log: one's own account.  again: the number that the message had when it
        was sealed before and refused; it keeps that and its id, or others would miss a number.
        Raises MisuseError while the room is held, a commit is under way or due first.
        """
        self._check_sends()
        if len(id) != ID_BYTES:
            raise MisuseError(f"a message id has {ID_BYTES} bytes")
        head = log.head
        number = self.count + 1 if again is None else again
        payload = Payload(
            1,
            id,
            number,
            Place(self.followed.seq, self.followed.hash),
            LogHead(head.position, head.hash),
            now_ms,
            encode_body(body),
            expires,
        )
        data = encode_payload(payload)
        message, group = self.group.encrypt(data, random, padding=padding_for(data))
        count = max(self.count, number)
        return message, replace(self, group=group, count=count, sent=self.sent + 1)

    def _check_sends(self) -> None:
        if self.halted is not None:
            raise MisuseError(f"the room is held: {self.halted}")
        if self.pending is not None:
            raise MisuseError("a commit is under way")
        if self.sent >= limits.EPOCH_MESSAGES_MAX:
            # AES-GCM under one sender's ratchet has room for far more; the point is recovery from a
            # device that somebody has looked into.
            raise MisuseError("new keys come before more messages")

    def commit(
        self,
        logs: Logs,
        random: Random,
        *,
        add: Sequence[KeyPackage] = (),
        remove: Iterable[tuple[int, Removal]] = (),
        change: Sequence[Proposal] = (),
    ) -> "Room":
        """Return the room with a commit that is ready to be sent (``pending``).

        It takes up every proposal that stands.  add: key packages whose lifetimes have been looked at.
        remove: leaf indices and why.  change: a new policy.
        Raises MisuseError if a commit is under way, TrustError if the commit would be refused.
        """
        if self.halted is not None or self.pending is not None:
            raise MisuseError("a commit is under way, or the room is held")
        removals = list(remove)
        proposals: list[Proposal] = [
            *(Add(package) for package in add),
            *(Remove(leaf) for leaf, _ in removals),
            *change,
        ]
        said = encode_reasons(*(reason for _, reason in removals)) if removals else b""
        committed = self.group.commit(random, proposals=proposals, authenticated_data=said)
        allowed = check_commit(self.group.public, committed.transition, self.server_key, logs)
        return replace(self, pending=_pending(committed, allowed))

    # Following.

    def receive(
        self,
        event: Event,
        logs: Logs,
        now_ms: int,
        *,
        repeats: Repeats,
        hash_at: HashAt,
        asked: Collection[bytes] = (),
    ) -> tuple["Room", Happening]:
        """Return (the room after the next event of its log, what happened).

        asked: accounts whose logs have just been read as far as the server gives them.
        Raises LogNeededError if an account's log has to be read further first: for a message only
        before it was asked for, for a commit also then, since nobody can judge it without.
        Raises ValueError if the event is not the next.
        """
        followed = self.followed.event(event.seq, event.kind, event.sender, event.digest)
        room = replace(self, followed=followed)._forget(now_ms)
        if event.body is None or event.kind not in _OPENED:
            return room, Passed()
        if self.halted is not None:
            return room, Unreadable("the room is held")
        if self.pending is not None and event.digest == self.pending.digest:
            return room._take(now_ms)
        try:
            message = decode_message(event.body)
        except MLSError as error:
            return room, Unreadable(str(error))
        match event.kind, message:
            case EventClass.APP, PrivateMessage():
                return room._message(event, message, logs, repeats, hash_at, asked)
            case EventClass.COMMIT, PublicMessage():
                return room._commit(message, logs, now_ms)
            case EventClass.PROPOSAL, PublicMessage():
                return room._proposal(message, logs)
        return room, Unreadable("not what its class says")

    def sent_by_self(self, event: Event) -> "Room":
        """Return the room after a message that this device itself had sent, by its outbox.

        The caller has compared the digest with what it sent.  Raises ValueError if it is not next.
        """
        followed = self.followed.event(event.seq, event.kind, event.sender, event.digest)
        return replace(self, followed=followed)

    def _forget(self, now_ms: int) -> "Room":
        if self.past is None or now_ms - self.past.ended_at < PAST_GRACE_MS:
            return self
        return replace(self, past=None)

    def _message(
        self,
        event: Event,
        message: PrivateMessage,
        logs: Logs,
        repeats: Repeats,
        hash_at: HashAt,
        asked: Collection[bytes],
    ) -> tuple["Room", Happening]:
        try:
            received, policy, leaf, room = self._decrypt(message)
            payload = decode_payload(received.data)
            body = body_of(payload)
        except (MLSError, ProtocolError) as error:
            return self, Unreadable(str(error))
        author = identity_of(leaf)
        claim = _claim(logs, author.account, payload.log, asked)
        if repeats((author.account, payload.id)):
            # Sealed twice because the server refused the first one, and then kept both.
            return room, Passed()
        seen = payload.seen.seq, payload.seen.hash
        followed, finding = room.followed.message(
            author.device, payload.count, event.seq, seen, hash_at
        )
        said = Said(
            event.seq,
            author.account,
            author.device,
            policy.role(author.account),
            payload.id,
            payload.at,
            body,
        )
        return replace(room, followed=followed), Opened(said, payload, finding, claim)

    def _decrypt(self, message: PrivateMessage) -> tuple[Received, Policy, LeafNode, "Room"]:
        past = self.past
        if past is not None and message.epoch == past.epoch.public.context.epoch:
            received, epoch = past.epoch.open(message)
            policy = policy_of(epoch.public.context.extensions, self.server_key)
            leaf = epoch.public.tree.member(received.sender)
            return received, policy, leaf, replace(self, past=replace(past, epoch=epoch))
        received, group = self.group.decrypt(message)
        leaf = group.public.tree.member(received.sender)
        return received, self.policy, leaf, replace(self, group=group)

    def _proposal(self, message: PublicMessage, logs: Logs) -> tuple["Room", Happening]:
        try:
            proposed, group = self.group.receive_proposal(message)
            check_proposal(self.group.public, proposed, self.server_key, logs)
        except LogNeededError:
            raise
        except (MLSError, TrustError) as error:
            # It stays out of the group: a commit that takes it up is refused then.
            return self, Unreadable(str(error))
        return replace(self, group=group), Noted()

    def _commit(self, message: PublicMessage, logs: Logs, now_ms: int) -> tuple["Room", Happening]:
        try:
            staged = self.group.receive_commit(message)
            change = check_commit(self.group.public, staged.transition, self.server_key, logs)
        except LogNeededError:
            raise
        except (MLSError, TrustError) as error:
            why = str(error)
            return replace(self, halted=why, pending=None), Halted(why)
        if staged.group is None:
            return replace(self, halted="this device was removed", pending=None), Out(change)
        removed = staged.transition.applied.removed
        lost = self.pending
        return self._entered(staged.group, removed, now_ms), Advanced(change, lost)

    def _take(self, now_ms: int) -> tuple["Room", Happening]:
        assert self.pending is not None
        pending = self.pending
        removed = [
            leaf
            for leaf, node in self.group.public.tree.members()
            if identity_of(node) in {gone.identity for gone in pending.change.removed}
        ]
        entered = self._entered(pending.group, removed, now_ms)
        return replace(entered, renewed_at=now_ms), Own(pending.change)

    def _entered(self, group: Group, removed: Iterable[int], now_ms: int) -> "Room":
        return replace(
            self,
            group=group,
            past=Past(self.group.past(removed), now_ms),
            pending=None,
            sent=0,
        )


_OPENED: Final = frozenset({EventClass.APP, EventClass.COMMIT, EventClass.PROPOSAL})


def _pending(committed: Committed, change: Change) -> Pending:
    info = committed.group.group_info(with_tree=False)
    return Pending(
        committed.message,
        sha256(committed.message).digest(),
        committed.welcome,
        info.encode(),
        committed.group,
        change,
    )


def _claim(logs: Logs, account: bytes, told: LogHead, asked: Collection[bytes]) -> Claim:
    """Return how what an account says of its log stands to the log here.

    Raises LogNeededError while it may only be that this device has not read it yet.
    """
    log = logs.get(account)
    try:
        newer = log is None or log.relation(Head(told.position, told.hash)) is Relation.NEWER
    except ForkError:
        return Claim.FORKED
    if newer and account not in asked:
        raise LogNeededError(account, told.position)
    return Claim.WITHHELD if newer else Claim.KNOWN


def entered(room: int, server_key: bytes, group: Group, followed: Followed, logs: Logs) -> Room:
    """Return a room that this device has just come into, its whole tree looked at.

    followed: up to the event by which it came in.
    Raises TrustError if the group is not what a room here is.
    """
    check_group(group.public, server_key, logs)
    return Room(room, server_key, group, followed)


def decided(leaf: int) -> tuple[int, Removal]:
    """Return a removal for ``Room.commit`` that this device's role allows."""
    return leaf, Removal(Because.DECIDED, NO_HEAD)


def revoked(leaf: int, log: AccountLog) -> tuple[int, Removal]:
    """Return a removal for ``Room.commit`` of a device that its account has revoked."""
    return leaf, Removal(Because.REVOKED, log.head)
