"""What a server can lie about beside a room's log: who people are, keys, trees, inboxes, rooms."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from lairchat.demo_check import wall_clock
from lairchat.e2ee.following import Followed
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.key_packages import messages as keys
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.mls.objects import KeyPackage
from lairchat.mls.transition import PublicGroup
from lairchat.model.names import name_key
from lairchat.trust.entry import ENTRIES, SignedEntry, SignedGenesis, StoredLog
from lairchat.trust.log import encode_log
from lairchat.trust.structure import identity_of
from tests.blackbox.lies import describing
from tests.blackbox.malice import Asked, Client, Malice, Rule


class FalseIdentity:
    """``identity.read`` gives another log for a name, and for the account that this log is of."""

    def __init__(
        self,
        malice: Malice,
        name: str,
        genesis: SignedGenesis,
        entries: Sequence[SignedEntry],
        *whose: str,
    ) -> None:
        self.name = name
        self.genesis = genesis
        self.entries = entries
        self.rule = malice.on_request(identities.READ, self._read, *whose)

    async def _read(self, client: Client, asked: Asked) -> Any:
        args: identities.ReadLog = asked.args
        mine = self.genesis.content.account
        if args.account != mine and (args.name is None or name_key(args.name) != self.name):
            return args
        real = await client.ask(identities.READ, identities.ReadLog(name=self.name))
        return self.part(real, args.after)

    def part(self, real: identities.LogPart, after: int | None) -> identities.LogPart:
        """Return what is told, all in one part; real: what the daemon says."""
        if after is None:
            data = encode_log(self.genesis, self.entries)
        else:
            data = ENTRIES.write(self.entries[after:])
        head = self.entries[-1].hash if self.entries else self.genesis.content.account
        told = {
            "account": self.genesis.content.account,
            "hash": head,
            "position": len(self.entries),
        }
        return replace(real, **told, current=True, data=data, more=False)


async def roll_back(
    malice: Malice, client: Client, name: str, to: int, *whose: str
) -> FalseIdentity:
    """Let somebody's log end after so many entries, as it once did.

    client: through whose connection the log is read once.
    """
    real = await client.ask(identities.READ, identities.ReadLog(name=name))
    stored = StoredLog.decode(real.data)
    assert len(stored.entries) > to, "there is nothing to take back"
    return FalseIdentity(malice, name, stored.genesis, stored.entries[:to], *whose)


def false_tree(malice: Malice, room: int, tree: bytes, *whose: str) -> Rule:
    """Give another tree for a room, whatever the epoch."""

    def part(_client: Client, asked: Asked) -> Any:
        args: delivery.AskTree = asked.args
        if args.room != room:
            return args
        data = tree[args.offset : args.offset + args.length]
        return delivery.Part(args.offset, len(tree), data)

    return malice.on_request(delivery.TREE, part, *whose)


def false_room(malice: Malice, room: int, group: PublicGroup, *whose: str) -> list[Rule]:
    """Let there be a room that the daemon does not have, with a group of whoever's making."""
    context, devices = group.context, sum(1 for _ in group.tree.members())
    state = delivery.GroupState(
        context.group_id, context.epoch, context.tree_hash, 0, devices, proposals=0, removals=0
    )
    begun = delivery.EpochBegun(0, Followed.begin(room).hash)

    def tell(reply: Any) -> Callable[[Client, Asked], Any]:
        return lambda _, asked: reply if asked.args.room == room else asked.args

    return [
        malice.on_request(delivery.STATE, tell(state), *whose),
        malice.on_request(delivery.BEGUN, tell(begun), *whose),
        malice.on_request(wire.HISTORY, tell(wire.Page(room, [], more=False)), *whose),
        false_tree(malice, room, group.tree.encode(), *whose),
    ]


class OldKeyPackages:
    """Gives out each device's key packages again, or its last resort while there are others.

    last_resort: only that one is given.
    """

    def __init__(self, malice: Malice, *whose: str, last_resort: bool = False) -> None:
        self._last_resort = last_resort
        self._known: dict[bytes, keys.ClaimedKey] = {}
        malice.on_request(keys.PUBLISH, self._published)
        malice.on_request(keys.CLAIM, self._claim, *whose)
        malice.on_reply(keys.CLAIM, self._claimed)

    @property
    def devices(self) -> set[bytes]:
        """Whose packages there are to give out again."""
        return set(self._known)

    def _published(self, _client: Client, asked: Asked) -> Any:
        if self._last_resort and asked.args.last_resort:
            (package,) = asked.args.packages
            device = identity_of(KeyPackage.decode(package).leaf).device
            self._known[device] = keys.ClaimedKey(device, package, last_resort=True)
        return asked.args

    def _claimed(self, _client: Client, _asked: Asked, reply: keys.ClaimedKeys) -> Any:
        if not self._last_resort:
            for key in reply.keys:
                self._known.setdefault(key.device, key)
        return reply

    async def _claim(self, client: Client, asked: Asked) -> Any:
        old = [self._known[one] for one in asked.args.devices if one in self._known]
        new = [one for one in asked.args.devices if one not in self._known]
        if not old:
            return asked.args
        if not new:
            account = identity_of(KeyPackage.decode(old[0].package).leaf).account
            return keys.ClaimedKeys(account, old)
        real = await client.ask(keys.CLAIM, replace(asked.args, devices=new))
        return replace(real, keys=[*old, *real.keys])


class FalseInbox:
    """Somebody's inbox, into which the server itself puts what it likes."""

    def __init__(self, malice: Malice, name: str) -> None:
        self._malice = malice
        self._name = name
        self._false: list[tuple[int, inbox.InboxEntry]] = []
        self._acknowledged = 0
        malice.on_request(inbox.READ, self._read, name)
        malice.on_request(inbox.ACK, self._ack, name)
        malice.on_event(inbox.INBOX_NEW.name, self._new, name)

    async def put(
        self,
        kind: inbox.EntryKind,
        body: bytes,
        account: bytes | None = None,
        sender: bytes | None = None,
    ) -> int:
        """Put an entry behind all that there are, and tell of it; return its number."""
        client = self._malice.client(self._name)
        page: inbox.InboxPage = await client.ask(inbox.READ, inbox.ReadInbox(limit=1))
        seq = page.head + len(self._false) + 1
        entry = inbox.InboxEntry(seq, kind, wall_clock(), body, 0, account, sender)
        self._false.append((page.head, entry))
        client.tell(inbox.INBOX_NEW.name, inbox.InboxNew(seq))
        return seq

    def _shown(self, seq: int) -> int:
        return seq + sum(head < seq for head, _ in self._false)

    def _real(self, seq: int) -> int:
        return seq - sum(entry.seq <= seq for _, entry in self._false)

    def _new(self, _client: Client, told: inbox.InboxNew) -> inbox.InboxNew:
        return inbox.InboxNew(self._shown(told.seq))

    async def _read(self, client: Client, asked: Asked) -> inbox.InboxPage:
        args: inbox.ReadInbox = asked.args
        page: inbox.InboxPage = await client.ask(
            inbox.READ, replace(args, after=self._real(args.after))
        )
        real = [replace(entry, seq=self._shown(entry.seq)) for entry in page.entries]
        head = page.head + len(self._false)
        end = real[-1].seq if page.more else head
        begin = max(args.after, self._acknowledged)
        false = [entry for _, entry in self._false if begin < entry.seq <= end]
        found = sorted([*real, *false], key=lambda entry: entry.seq)
        more = page.more or len(found) > args.limit
        return replace(page, entries=found[: args.limit], head=head, more=more)

    def _ack(self, _client: Client, asked: Asked) -> inbox.AckInbox:
        self._acknowledged = max(self._acknowledged, asked.args.upto)
        return inbox.AckInbox(self._real(asked.args.upto))


def plain_room(malice: Malice, room: int, *whose: str) -> list[Rule]:
    """Call an encrypted room plain, wherever it is described."""

    def told(_client: Client, info: rooms.RoomInfo) -> rooms.RoomInfo:
        return replace(info, crypto="plain") if info.room == room else info

    return describing(malice, told, *whose)
