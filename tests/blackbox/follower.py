"""A device in an encrypted room over a real connection, with all that a client checks.

It reads accounts' logs from the server, pins them, and keeps a room as it follows the room's log; what
goes wrong with a room stands in ``happened``.
"""

import os
from typing import Any

from lairchat.demo_check import Member, wall_clock
from lairchat.e2ee.fold import Key, Message, Named, fold
from lairchat.e2ee.following import Finding, Followed
from lairchat.e2ee.payload import Known, Text
from lairchat.e2ee.room import Event, Happening, Opened, Own, Pending, Room, entered
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.features.messages import messages as wire
from lairchat.features.messages.rules import KIND_WORDS
from lairchat.features.rooms import messages as rooms
from lairchat.mls.errors import InvalidError
from lairchat.mls.group import Group
from lairchat.mls.joining import join
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.messages import Welcome, decode_message, encode_message
from lairchat.mls.objects import BasicCredential, KeyPackage, Lifetime
from lairchat.mls.rules import check_key_package
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.errors import LogNeededError, PolicyError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog, check_name, read_log
from lairchat.trust.pins import Pin, first_sight, sight
from lairchat.trust.policy import (
    CAPABILITIES,
    Kind,
    Policy,
    context_extensions,
    direct_policy,
    head_extension,
    private_policy,
)
from lairchat.trust.structure import check_leaf, identity_of
from tests.features.delivery.world import Person
from tests.trust.rooms import signing_seed

KINDS = {word: kind for kind, word in KIND_WORDS.items()}
"""The classes of events, by what the wire calls them."""


class Follower:
    """A certified device, and what its store would hold about people and one room.

    logs, pins: what it knows of people, by account and by name.
    """

    def __init__(self, member: Member, person: Person, server_key: bytes, number: int = 1) -> None:
        self.member = member
        self.person = person
        self.server_key = server_key
        self.number = number
        self.logs: dict[bytes, AccountLog] = {person.id: person.log}
        self.users: dict[bytes, int] = {}
        self.pins: dict[str, Pin] = {}
        self.packages: list[OwnKeyPackage] = []
        self.kept: list[OwnKeyPackage] = []
        self.id = 0
        self.room: Room | None = None
        self.hashes: dict[int, bytes] = {}
        self.messages: dict[Key, Message] = {}
        self.seen: set[Key] = set()
        self.outbox: set[bytes] = set()
        self.happened: list[Happening] = []

    @property
    def state(self) -> Room:
        assert self.room is not None, "in no room"
        return self.room

    @property
    def group(self) -> Group:
        return self.state.group

    @property
    def texts(self) -> list[str | None]:
        return [message.text for message in self.messages.values()]

    @property
    def findings(self) -> list[Finding]:
        """What messages have told of the log that is wrong."""
        opened = (found for found in self.happened if isinstance(found, Opened))
        return [found.finding for found in opened if found.finding is not None]

    def ask(self, command: Any, request: Any, key: bytes | None = None) -> Any:
        return self.member.ask(command, request, key)

    # -- people

    async def meet(self, name: str) -> AccountLog:
        """Read the log that a name goes by now, and pin it; raises what is wrong with either."""
        pin = self.pins.get(name)
        log = await self._read(identities.ReadLog(name=name))
        check_name(log, name)
        self.pins[name] = first_sight(name, log.account) if pin is None else sight(pin, log.account)
        return log

    async def learn(self, account: bytes) -> AccountLog:
        """Read an account's log again, as far as the server gives it."""
        log = await self._read(identities.ReadLog(account=account))
        if log.account != account:
            raise PolicyError("this is the log of another account")
        return log

    async def _read(self, request: identities.ReadLog) -> AccountLog:
        assert self.member.server is not None
        part = await self.ask(identities.READ, request)
        data, more = part.data, part.more
        assert not more, "the logs of these tests are short"
        known = self.logs.get(part.account)
        log = read_log(data, self.member.server, None if known is None else known.head)
        self.logs[log.account] = log
        self.users[log.account] = part.user
        return log

    # -- coming into a room

    def fresh(self, count: int = 1, seconds: int = limits.KEY_PACKAGE_SECONDS) -> list[bytes]:
        """Make key packages that nobody has yet, and return them encoded."""
        now = wall_clock() // 1000
        made = [
            make_key_package(
                HYBRID,
                BasicCredential(self.person.identity(self.number).encode()),
                signing_seed(self.person.name, self.number),
                Lifetime(now - limits.HOUR, now + seconds),
                os.urandom,
                capabilities=CAPABILITIES,
                leaf_extensions=(head_extension(self.person.log.head),),
            )
            for _ in range(count)
        ]
        self.packages += made
        return [one.package.encode() for one in made]

    async def bring(self, count: int = 1, *, last_resort: bool = False) -> None:
        """Bring key packages."""
        life = limits.LAST_RESORT_SECONDS if last_resort else limits.KEY_PACKAGE_SECONDS
        data = self.fresh(count, life)
        if last_resort:
            self.kept = self.packages[-1:]
        await self.ask(keys.PUBLISH, keys.PublishKeys(data, last_resort))

    async def found(self, policy: Policy | None = None) -> None:
        """Make a private room and found its group."""
        request = rooms.CreateRoom("", access="private", crypto="mls")
        made = await self.ask(rooms.CREATE, request, self.member.key())
        await self._begin(made.room, policy or private_policy([self.person.id]))

    async def _begin(self, room: int, policy: Policy) -> None:
        self.id = room
        extensions = context_extensions(policy, self.server_key)
        own = self.person.package(self.number)
        group = Group.create(own, os.urandom(16), extensions, os.urandom)
        info = encode_message(group.group_info(with_tree=False))
        founding = delivery.FoundGroup(room, info, group.public.tree.encode())
        await self.ask(delivery.FOUND, founding, self.member.key())
        await self._enter(group)

    async def open(self, name: str) -> None:
        """Open the direct conversation with somebody and found its group."""
        other = await self.meet(name)
        opened = await self.ask(rooms.DIRECT, rooms.OpenDirect(name, crypto="mls"))
        await self._begin(opened.room, direct_policy(self.person.id, other.account))

    async def claim(self, name: str) -> list[KeyPackage]:
        """Take key packages of all of somebody's devices, each looked at as whoever adds it does."""
        log = await self.meet(name)
        if self.pins[name].account != log.account:
            raise PolicyError(f"{name} has another identity than the one that is pinned")
        devices = [one.body.id for one in log.in_force]
        taken = await self.ask(keys.CLAIM, keys.ClaimKeys(self.users[log.account], devices))
        packages = []
        for one in taken.keys:
            package = KeyPackage.decode(one.package)
            check_key_package(HYBRID, package, (), wall_clock() // 1000)
            if check_leaf(package.leaf, self.logs) != LeafIdentity(log.account, one.device):
                raise PolicyError("a key package of another device than was asked for")
            packages.append(package)
        return packages

    async def invite(self, *others: "Follower") -> Pending:
        """Add all devices of these people, who agree to it."""
        for other in others:
            name = other.person.name
            await self.ask(joining.INVITE, joining.InviteMember(self.id, name), self.member.key())
            await other.ask(joining.ACCEPT, joining.AnswerInvitation(self.id))
        return await self.add(*(other.person.name for other in others))

    async def add(self, *names: str) -> Pending:
        """Add all devices of these people, who have agreed to it."""
        add = [package for name in names for package in await self.claim(name)]
        return await self.commit(add=add)

    async def come_in(self, room: int) -> None:
        """Come into a room by the newest welcome of the inbox."""
        self.id = room
        page = await self.ask(inbox.READ, inbox.ReadInbox())
        entry = [one for one in page.entries if one.kind == "welcome"][-1]
        await self.welcomed(entry.body)
        await self.ask(inbox.ACK, inbox.AckInbox(entry.seq))

    async def welcomed(self, data: bytes) -> None:
        """Come into the room by a welcome, whoever it is from."""
        welcome = decode_message(data)
        assert isinstance(welcome, Welcome)
        named = {one.new_member for one in welcome.secrets}
        own = next((one for one in self.packages if one.reference in named), None)
        if own is None:
            raise InvalidError("the welcome is for no key package that is here")
        at = await self.ask(delivery.STATE, delivery.AskGroup(self.id))
        group = join(welcome, own, await self._tree(at.epoch))
        await self._enter(group)
        if own not in self.kept:
            self.packages.remove(own)  # what was sealed for it is not opened twice

    async def _tree(self, epoch: int) -> bytes:
        data, total = b"", 1
        while len(data) < total:
            request = delivery.AskTree(self.id, epoch, offset=len(data))
            part = await self.ask(delivery.TREE, request)
            data, total = data + part.data, part.total
        return data

    async def _enter(self, group: Group) -> None:
        """Judge a group as a whole; the log is followed from where its epoch began."""
        asking = delivery.AskEpoch(self.id, group.context.epoch)
        begun: delivery.EpochBegun = await self.ask(delivery.BEGUN, asking)
        followed = Followed(begun.seq, begun.hash, {})
        self.hashes = {begun.seq: begun.hash}
        asked: set[bytes] = set()
        while True:
            try:
                self.room = entered(self.id, self.server_key, group, followed, self.logs)
            except LogNeededError as needed:
                await self._ask_once(needed, asked)
            else:
                return

    # -- talking

    async def say(self, body: Known | str) -> wire.Sent:
        """Seal a message and send it."""
        request = wire.Send(self.id, self.seal(body))
        sent: wire.Sent = await self.ask(wire.SEND, request, self.member.key())
        return sent

    def seal(self, body: Known | str) -> bytes:
        """Seal a message, which nobody gets yet."""
        said = Text(body) if isinstance(body, str) else body
        message, self.room = self.state.seal(
            said, os.urandom(16), self.person.log, wall_clock(), os.urandom
        )
        self.outbox.add(message)
        return message

    async def commit(self, **what: Any) -> Pending:
        """Commit, and follow the log to behind it."""
        self.room = self.state.commit(self.logs, os.urandom, **what)
        pending = self.room.pending
        assert pending is not None
        request = delivery.CommitGroup(
            self.id, info_message(pending), pending.message, None, pending.welcome or b""
        )
        await self.ask(delivery.COMMIT, request, self.member.key())
        await self.follow()
        return pending

    async def follow(self) -> list[Happening]:
        """Follow what is new in the log, and return what happened."""
        found: list[Happening] = []
        while page := await self._page(self.state.followed.seq):
            for told in page:
                happening = await self._take(event_of(told))
                found.append(happening)
        self.happened += found
        return found

    async def _page(self, after: int) -> list[wire.LogEvent]:
        request = wire.History(self.id, after=after, limit=100)
        page: wire.Page = await self.ask(wire.HISTORY, request)
        return page.events

    async def _take(self, event: Event) -> Happening:
        happening: Happening
        if event.kind == EventClass.APP and event.body in self.outbox:
            assert event.body is not None
            self.outbox.discard(event.body)
            self.room, happening = self.state.sent_by_self(event, wall_clock()), Own()
        else:
            self.room, happening = await self._receive(event)
        self.hashes[event.seq] = self.state.followed.hash
        if isinstance(happening, Opened):
            self._fold(happening)
        return happening

    async def _receive(self, event: Event) -> tuple[Room, Happening]:
        asked: set[bytes] = set()
        while True:
            try:
                return self.state.receive(
                    event,
                    self.logs,
                    wall_clock(),
                    repeats=self.seen.__contains__,
                    hash_at=self.hashes.get,
                    asked=asked,
                )
            except LogNeededError as needed:
                await self._ask_once(needed, asked)

    async def _ask_once(self, needed: LogNeededError, asked: set[bytes]) -> None:
        """Read the log that is needed; a server that withholds it is asked once."""
        if needed.account in asked:
            raise needed
        asked.add(needed.account)
        await self.learn(needed.account)

    def _fold(self, opened: Opened) -> None:
        said = opened.said
        self.seen.add((said.author, said.id))
        match fold(Kind(self.state.policy.kind), said, self.messages.get):
            case Named() | None:
                pass
            case (key, message):
                self.messages[key] = message

    def leaf_of(self, other: "Follower") -> int:
        """Return at which leaf somebody's device is."""
        wanted = other.person.identity(other.number)
        leaves = self.group.public.tree.members()
        return next(index for index, leaf in leaves if identity_of(leaf) == wanted)


def event_of(told: wire.LogEvent) -> Event:
    """Return an event as a room takes it; what is purged has its digest and its class."""
    kind = KINDS[told.was or told.kind]
    if told.kind == "tombstone":
        return Event(told.seq, kind, told.user, None, told.digest)
    return Event.of(told.seq, kind, told.user, told.body)


def info_message(pending: Pending) -> bytes:
    """Return the group information of the epoch that a commit begins, as it is sent."""
    return encode_message(pending.group.group_info(with_tree=False))
