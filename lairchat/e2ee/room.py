"""One device's view of one encrypted room: what an event of its log does, and what may be sent.

A room is followed in the order of its log.  Each event gives a new state and what happened; whoever
keeps the state stores both together, before anything leaves or is shown.
A commit that is refused halts the room for good: nothing after it is opened, and no other way leads
past it, because everyone who is honest refuses it too.  People then found a successor.
A room that this device has only fallen behind in is another matter: others go on, and the device
enters again by itself (:mod:`lairchat.e2ee.rejoining`).

Promises not to know: who is trusted (pins), how anything is stored or sent.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256
from typing import Final

from lairchat.e2ee.fold import Key, Said
from lairchat.e2ee.following import Followed, HashAt
from lairchat.e2ee.happenings import (
    Advanced,
    Behind,
    BodyNeededError,
    Claim,
    Event,
    Halted,
    Happening,
    Large,
    Noted,
    Opened,
    Out,
    Own,
    Passed,
    Pending,
    Unreadable,
)
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
from lairchat.e2ee.silence import Heard
from lairchat.mls.errors import MisuseError, MLSError, OwnCommitError
from lairchat.mls.group import Committed, Group, PastEpoch, Received
from lairchat.mls.messages import PrivateMessage, PublicMessage, decode_message, encode_message
from lairchat.mls.objects import Add, KeyPackage, LeafNode, Lifetime, Proposal, Remove
from lairchat.mls.suites import Random
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.entry import Head
from lairchat.trust.errors import ForkError, LogNeededError, TrustError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog, Relation
from lairchat.trust.policy import (
    NO_HEAD,
    Because,
    Policy,
    Removal,
    encode_reasons,
    head_extension,
    policy_of,
)
from lairchat.trust.structure import (
    Change,
    Logs,
    check_commit,
    check_group,
    check_proposal,
    identity_of,
    may_remove,
)
from lairchat.wire.errors import ProtocolError

__all__ = [
    "ID_BYTES",
    "PAST_GRACE_MS",
    "Advanced",
    "Behind",
    "BodyNeededError",
    "Claim",
    "Due",
    "Event",
    "Halted",
    "Happening",
    "Large",
    "Noted",
    "Opened",
    "Out",
    "Own",
    "Passed",
    "Past",
    "Pending",
    "Repeats",
    "Room",
    "Unreadable",
    "decided",
    "entered",
    "revoked",
]

PAST_GRACE_MS: Final = 30_000
"""ms: how long the epoch before is kept once its end has been followed."""

ID_BYTES: Final = 16


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
    SPENT = "as many messages as one key may seal"
    OLD = "keys are old"

    @property
    def before_sending(self) -> bool:
        """Whether the commit comes before the next message; else soon, and messages need not wait."""
        return self in (Due.WAITING, Due.UNCLEAN, Due.SPENT)


Repeats = Callable[[Key], bool]
"""Tells whether a message of this author and id has been taken before."""


@dataclass(frozen=True, slots=True, repr=False)
class Room:
    """The state.

    room: the server's number of it.  server_key: by which the server proposes removals.
    count: how many messages this device has sealed here.  sent: how many of them in this epoch.
    renewed_at: when this device's own keys were last renewed by a commit of its own, ms; 0: never.
    halted: why, once a commit has been refused.  behind: why, once this device has missed one; then it
    keeps its state and follows the log for its chain alone, until it has entered again.
    heard: which of the others this device has heard, and when.
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
    behind: str | None = None
    heard: Heard = field(default_factory=Heard)

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
        """Return why this device should commit, or None; the first that holds, so see ``Due``.

        unclean: what was sealed before may be sealed again (``Store.is_unclean``).
        """
        if self.halted is not None or self.behind is not None or self.pending is not None:
            return None
        if self.group.public.pending:
            return Due.WAITING
        if unclean:
            return Due.UNCLEAN
        if self.sent >= limits.EPOCH_MESSAGES_MAX:
            return Due.SPENT
        if not self.renewed_at:
            return Due.JOINED
        if self.sent >= limits.EPOCH_MESSAGES_RENEW:
            return Due.SENT
        days = max(limits.RENEW_DAYS, len(self.members) // limits.RENEW_DEVICES_PER_DAY)
        if now_ms - self.renewed_at >= days * limits.DAY * 1000:
            return Due.OLD
        return None

    def silent(self, now_ms: int, leaving: Collection[int] = ()) -> list[int]:
        """Return the leaves of devices that have been silent for so long that this one removes them.

        Its own person's, and of people whom its role lets it remove, as the table in
        :mod:`lairchat.trust.structure` has it.
        leaving: those that are on their way out, which keep no room for their person.
        """
        own, policy = self.own, self.policy
        leaves, mute = {}, set()
        for index, leaf in self.group.public.tree.members():
            if index in leaving:
                continue
            one = identity_of(leaf)
            leaves[one] = index
            if isinstance(leaf.source, Lifetime) and one != own:
                # Still as its key package was: it renews that as soon as it has come (``Due.JOINED``).
                mute.add(one)
        # This device is here, though it does not listen to itself.
        silent = self.heard.heard((own,), now_ms).silent(leaves, now_ms, mute)
        return [leaves[one] for one in silent if may_remove(policy, own, one)]

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
        Raises MisuseError while the room is held or behind, a commit is under way, or one comes before
        anything is sent: ``due`` says so by what has ``before_sending``.  That the store is unclean is
        not known here; ``Store.send`` refuses it.
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
        if self.behind is not None:
            raise MisuseError(f"this device is behind: {self.behind}")
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
        head: Head | None = None,
        now: int | None = None,
    ) -> "Room":
        """Return the room with a commit that is ready to be sent (``pending``).

        It takes up every proposal that stands.  remove: leaf indices and why.  change: a new policy.
        add: key packages; now: seconds since 1970, unless their lifetimes have been looked at.
        head: of one's own account's log, which this device's leaf says from then on.
        Raises MisuseError if a commit is under way or nothing leads on, InvalidError if a key package
        is not valid now, TrustError if the commit would be refused.
        """
        if self.halted is not None or self.behind is not None or self.pending is not None:
            raise MisuseError("a commit is under way, or the room is held or behind")
        removals = list(remove)
        proposals: list[Proposal] = [
            *(Add(package) for package in add),
            *(Remove(leaf) for leaf, _ in removals),
            *change,
        ]
        said = encode_reasons(*(reason for _, reason in removals)) if removals else b""
        committed = self.group.commit(
            random,
            proposals=proposals,
            authenticated_data=said,
            leaf_extensions=None if head is None else (head_extension(head),),
            now=now,
        )
        allowed = check_commit(self.group.public, committed.transition, self.server_key, logs)
        return replace(self, pending=_pending(committed, allowed))

    def dropped(self) -> "Room":
        """Return the room without the commit under way, which the server has refused for good.

        For an answer to this very commit alone: of one that was overtaken, or that nobody answered, the
        log says who won.  Should it stand in the log all the same, this device is behind.
        """
        if self.pending is None:
            raise MisuseError("no commit is under way")
        return replace(self, pending=None)

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
        Raises BodyNeededError if a commit has to be fetched first, or what was fetched is not it.
        Raises ValueError if the event is not the next, or its body is not what the log says.
        """
        room = self._next(event, now_ms).forget(now_ms)
        if event.kind not in _OPENED:
            return room, Passed()
        if self.halted is not None or self.behind is not None:
            why = "the room is held" if self.behind is None else "this device is behind"
            return room, Passed() if event.body is None else Unreadable(why)
        if self.pending is not None and self.pending.stands_in(event):
            return room._take(now_ms)
        if event.body is None:
            if event.kind == EventClass.APP:
                return room, Passed()
            # A proposal too: the commit that takes it up could not be followed without.
            return room._fall_behind("the server no longer has a change that this device missed")
        try:
            message = decode_message(_whole(event, event.body))
        except MLSError as error:
            return room, Unreadable(str(error))
        match event.kind, message:
            case EventClass.APP, PrivateMessage():
                return room._message(event, message, logs, now_ms, repeats, hash_at, asked)
            case EventClass.COMMIT, PublicMessage():
                return room._commit(message, logs, now_ms)
            case EventClass.PROPOSAL, PublicMessage():
                return room._proposal(message, logs)
        return room, Unreadable("not what its class says")

    def sent_by_self(self, event: Event, now_ms: int) -> "Room":
        """Return the room after a message that this device itself had sent, by its outbox.

        The caller has compared the digest with what it sent.  Raises ValueError as ``receive`` does.
        """
        return self._next(event, now_ms).forget(now_ms)

    def _next(self, event: Event, now_ms: int) -> "Room":
        if event.body is not None and sha256(event.body).digest() != event.digest:
            # Else a server could show each device other bodies under one chain.
            raise ValueError(f"the body of event {event.seq} is not what its digest says")
        followed = self.followed.event(event.seq, event.kind, event.sender, event.digest)
        return replace(self, followed=followed, heard=self.heard.followed(now_ms))

    def _fall_behind(self, why: str) -> tuple["Room", Happening]:
        # Whatever the log has instead of one's own commit under way, it is not taken any more.
        return replace(self, behind=why, pending=None), Behind(why)

    def forget(self, now_ms: int) -> "Room":
        """Return the room without the keys of the epoch before, once its grace is over."""
        if self.past is None or now_ms - self.past.ended_at < PAST_GRACE_MS:
            return self
        return replace(self, past=None)

    def _message(
        self,
        event: Event,
        message: PrivateMessage,
        logs: Logs,
        now_ms: int,
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
        heard = room.heard.heard((author,), now_ms)
        room = replace(room, followed=followed, heard=heard)
        return room, Opened(said, payload, finding, claim, received.content.encode())

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
        except OwnCommitError:
            return self._fall_behind("a commit of this device's own that it has lost")
        except (MLSError, TrustError) as error:
            why = str(error)
            return replace(self, halted=why, pending=None), Halted(why)
        if staged.group is None:
            return replace(self, halted="this device was removed", pending=None), Out(change)
        removed = staged.transition.applied.removed
        lost = self.pending
        return self._entered(staged.group, removed, change, now_ms), Advanced(change, lost)

    def _take(self, now_ms: int) -> tuple["Room", Happening]:
        assert self.pending is not None
        pending = self.pending
        removed = [
            leaf
            for leaf, node in self.group.public.tree.members()
            if identity_of(node) in {gone.identity for gone in pending.change.removed}
        ]
        entered = self._entered(pending.group, removed, pending.change, now_ms)
        return replace(entered, renewed_at=now_ms), Own(pending.change)

    def _entered(self, group: Group, removed: Iterable[int], change: Change, now_ms: int) -> "Room":
        inside = [identity_of(leaf) for _, leaf in group.public.tree.members()]
        return replace(
            self,
            group=group,
            heard=self.heard.heard((change.committer, *change.added), now_ms).among(inside),
            past=Past(self.group.past(removed), now_ms),
            pending=None,
            sent=0,
        )


_OPENED: Final = frozenset({EventClass.APP, EventClass.COMMIT, EventClass.PROPOSAL})


def _whole(event: Event, body: bytes) -> bytes:
    """Return what an event says, also where its body only names it; raises BodyNeededError."""
    named = Large.read(body) if event.kind == EventClass.COMMIT else None
    if named is None:
        return body
    if event.content is None or not named.is_of(event.content):
        raise BodyNeededError(event.seq, named.total, named.digest)
    return event.content


def _pending(committed: Committed, change: Change) -> Pending:
    info = committed.group.group_info(with_tree=False)
    return Pending(
        committed.message,
        sha256(committed.message).digest(),
        committed.welcome,
        encode_message(info),
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
