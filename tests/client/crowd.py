"""People with devices whose programs start, end and are killed, and a witness of what they do.

A device is a profile on disk; a process is one run of the program on it.
The witness sees the plain text at the moment it is sealed and every key that seals, whoever does it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import text as sql
from twisted.internet.error import ConnectionLost
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from lairchat.client import effects_sealed as sealed_effects
from lairchat.client import inputs
from lairchat.client import inputs_sealed as sealed_inputs
from lairchat.client.secret import Secret
from lairchat.client.store import Store
from lairchat.client.store_database import Connection, Database
from lairchat.e2ee.payload import Known
from lairchat.e2ee.room import Room
from lairchat.mls.hpke import Aead
from lairchat.mls.messages import PrivateMessage, decode_message
from lairchat.storage.log import Stored, page
from tests.client.network import Network, Person, Pipe

Leaf = tuple[bytes, bytes]
"""An account and a device of it."""
CANARY = "canary"
_TOKEN = re.compile(rf"{CANARY}\d+x")


def tokens(thing: object) -> set[str]:
    """Return the canaries in something, as far as its repr tells."""
    return set(_TOKEN.findall(repr(thing)))


@dataclass(frozen=True)
class Sealing:
    """A message as its sender sealed it."""

    room: int
    leaf: Leaf
    id: bytes
    body: Known
    epoch: int


class Witness:
    """What was sealed, by the digest of the bytes; which keys sealed; what was logged as a fault."""

    def __init__(self) -> None:
        self.sealed: dict[bytes, Sealing] = {}
        self.faults: list[str] = []
        self.before_write: dict[Path, Callable[[], None]] = {}
        self._used: set[tuple[bytes, bytes]] = set()
        self._keys: dict[bytes, bytes] = {}

    @contextmanager
    def watching(self) -> Iterator["Witness"]:
        """See everything, in the whole process, until this is over."""
        seal, cipher, writing = Room.seal, Aead.seal, Database.writing

        def room_seal(room: Room, body: Known, message: bytes, *more: Any, **named: Any) -> Any:
            sealed, after = seal(room, body, message, *more, **named)
            leaf = room.own.account, room.own.device
            epoch = room.group.context.epoch
            self.sealed[sha256(sealed).digest()] = Sealing(room.room, leaf, message, body, epoch)
            return sealed, after

        def aead_seal(aead: Aead, key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
            assert (key, nonce) not in self._used, "a key seals twice under one nonce"
            self._used.add((key, nonce))
            ciphertext = cipher(aead, key, nonce, aad, plain)
            self._keys[ciphertext] = key
            return ciphertext

        @contextmanager
        def database_writing(database: Database) -> Iterator[Connection]:
            self.before_write.get(database.profile.directory, _nothing)()
            with writing(database) as connection:
                yield connection

        with (
            patch.object(Room, "seal", room_seal),
            patch.object(Aead, "seal", aead_seal),
            patch.object(Database, "writing", database_writing),
        ):
            globalLogPublisher.addObserver(self._logged)
            try:
                yield self
            finally:
                globalLogPublisher.removeObserver(self._logged)

    def _logged(self, event: dict[str, Any]) -> None:
        if event.get("log_level") in (LogLevel.critical, LogLevel.error):
            failure = event.get("log_failure")
            if failure is not None and "already awaited coroutine" in str(failure.value):
                return  # what a killed process waited for, as Python clears it away
            self.faults.append(str(event) if failure is None else failure.getTraceback())

    def key_of(self, body: bytes) -> bytes:
        """Return the key of a message that left, by its ciphertext."""
        message = decode_message(body)
        assert isinstance(message, PrivateMessage)
        return self._keys[message.ciphertext]


def _nothing() -> None:
    pass


class Process(Person):
    """One run of a device's program; ``dead``: it was killed, and what it still does reaches nobody."""

    dead = False
    noted = 0

    def request_later(self, kind: Any, *arguments: Any) -> int:
        """Perform an effect with a fresh ref, which is returned; nothing has happened yet."""
        self.refs += 1
        self.link.perform(kind(self.refs, *arguments))
        return self.refs

    def take(self, one: inputs.Input) -> None:
        if self.dead:
            return
        if isinstance(one, inputs.HistoryPage) and one.replace and one.room in self.order:
            self.order[one.room], self.shown[one.room] = [], {}
        super().take(one)

    @property
    def is_up(self) -> bool:
        """Whether it is connected and its rooms can be followed and changed."""
        return self.link.online and self.link.sealed.ready


class Device:
    """A device of somebody: its files, and the process that has them open, if there is one.

    heard: the canaries that it ever reported or kept.  typed: those that were typed at it.
    revoked: once it is, where the logs of the rooms stood then.
    """

    def __init__(
        self, witness: Witness, network: Network, root: Path, name: str, number: int
    ) -> None:
        self.witness = witness
        self.network = network
        self.root = root / f"{name}{number}"
        self.name = name
        self.number = number
        self.process: Process | None = None
        self.heard: set[str] = set()
        self.typed: set[str] = set()
        self.words: tuple[str, ...] = ()
        self.leaf: Leaf | None = None
        self.revoked: dict[int, int] | None = None
        self._files: dict[Path, bytes] | None = None
        self._cut: Pipe | None = None

    def __repr__(self) -> str:
        return f"{self.name}{self.number}"

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.is_up

    @property
    def store(self) -> Store:
        assert self.process is not None
        store = self.process.link.sealed.store
        assert store is not None
        return store

    # -- its life

    def start(self, words: tuple[str, ...] = ()) -> None:
        """Start the program, and do what a person does until it is a device of the account.

        words: the account's recovery words, for a device that is not its first.
        """
        process = self.process = Process(self.network, self.root, self.name)
        process.start()
        self._answer(words)

    def _answer(self, words: tuple[str, ...]) -> None:
        """Answer what the program asks; a person of this name may have got through before."""
        for _ in range(6):
            process = self.process
            if process is None or process.dead or self.is_up:
                break
            asked = [one for one in process.inputs if isinstance(one, _QUESTIONS)]
            match asked[-1] if asked else None:
                case inputs.TrustQuestion():
                    process.trust()
                case inputs.AccountNeeded() if self.number == 0:
                    process.register()
                case inputs.AccountNeeded() | inputs.AccountRefused():
                    process.login()
                case sealed_inputs.StoreLocked():
                    process.do(sealed_effects.Unlock(Secret(self.name)))
                case sealed_inputs.DeviceUnlinked() if words and self.revoked is None:
                    process.request_later(sealed_effects.LinkByWords, Secret(" ".join(words)))
            self.network.wait(2)
        self.listen()

    def listen(self) -> None:
        """Note what the process has reported, and what it keeps."""
        process = self.process
        if process is None or process.dead:
            return
        for one in process.inputs[process.noted :]:
            self.heard |= tokens(one)
            if isinstance(one, sealed_inputs.RecoveryWords):
                self.words = one.words
        process.noted = len(process.inputs)
        store = process.link.sealed.store
        if store is not None:
            self.heard |= tokens(_dump(store))
            own = store.people.own()
            if own is not None:
                self.leaf = own.identity.account, own.identity.device

    def stop(self) -> None:
        """End the program in order."""
        process = self.process
        if process is None:
            return
        process.link.stop()
        self.network.wait(1.25)
        if not process.dead:
            profile = process.link.profile
            assert profile is None or not profile.locked, "it does not end"
            self.process = None
        self._disarm(process)

    def _disarm(self, process: Process) -> None:
        if process.link.profile is not None:
            self.witness.before_write.pop(process.link.profile.directory, None)

    def kill_at(self, write: int) -> None:
        """Have it killed before the write to its store that comes so many from now."""
        process = self.process
        assert process is not None
        profile = process.link.profile
        if profile is None:
            return
        left = write

        def count() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.kill()

        self.witness.before_write[profile.directory] = count

    def kill(self) -> None:
        """Kill it: its files are what they are at this moment, and nothing of it leaves any more."""
        process = self.process
        assert process is not None
        process.dead = True
        self._files = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        pipe = self._cut = self.pipe
        if pipe is not None:
            pipe.open = False
            lost = Failure(ConnectionLost())
            self.network.clock.callLater(0, pipe.server.protocol.connectionLost, lost)

    def bury(self) -> bool:
        """Clear away a process that was killed; tells whether there was one."""
        process, files = self.process, self._files
        if process is None or not process.dead:
            return False
        assert files is not None
        self._disarm(process)
        pipe = self._cut
        process.link.stop()
        self.network.wait(1.25)
        profile = process.link.profile
        if pipe is not None and profile is not None and profile.locked:
            pipe.client.protocol.connectionLost(Failure(ConnectionLost()))
            self.network.wait(1.25)
        assert profile is None or not profile.locked, "it does not end"
        for path in [path for path in self.root.rglob("*") if path.is_file()]:
            if path not in files:
                path.unlink()
        for path, data in files.items():
            if not path.exists():
                path.touch(mode=0o600)
            # The same file: a copy of a store is another matter.
            with path.open("r+b") as file:
                file.truncate()
                file.write(data)
        self.process, self._files = None, None
        return True

    @property
    def pipe(self) -> Pipe | None:
        """Its connection."""
        process = self.process
        connection = None if process is None else process.link.connection
        for pipe in self.network.pipes:
            if connection is not None and pipe.client.protocol is connection:
                return pipe
        return None


_QUESTIONS = (
    inputs.TrustQuestion,
    inputs.AccountNeeded,
    inputs.AccountRefused,
    inputs.LoggedIn,
    sealed_inputs.StoreLocked,
    sealed_inputs.StoreOpened,
    sealed_inputs.DeviceUnlinked,
    sealed_inputs.DeviceLinked,
)


def _dump(store: Store) -> list[Any]:
    """Return every row of every table of a store."""
    with store._database.reading() as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return [connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in names]


class ServerView:
    """What the server has of a room: the log, and who was in which epoch."""

    def __init__(self, network: Network, room: int) -> None:
        server = network.server

        def read(connection: Any) -> tuple[list[Stored], list[Any], list[Any]]:
            leaves = (
                "SELECT account, device_id, from_epoch, to_epoch FROM group_leaves WHERE room = :r"
            )
            epochs = "SELECT epoch, seq FROM group_epochs WHERE room = :r ORDER BY epoch"
            return (
                list(page(connection, room, after=0, limit=100_000)),
                list(connection.execute(sql(leaves), {"r": room})),
                list(connection.execute(sql(epochs), {"r": room})),
            )

        self.log, self._leaves, epochs = server.look(read)
        self.begun = dict(epochs)
        self.epoch = max(self.begun, default=-1)

    def roster(self, epoch: int) -> set[Leaf]:
        """Return the devices of an epoch."""
        return {
            (account, device)
            for account, device, begin, end in self._leaves
            if begin <= epoch and (end is None or epoch < end)
        }

    def since(self, leaf: Leaf) -> int:
        """Return the first epoch of those in which a device has been ever since."""
        epoch = self.epoch
        while epoch - 1 in self.begun and leaf in self.roster(epoch - 1):
            epoch -= 1
        return epoch


__all__ = [
    "CANARY",
    "Device",
    "Leaf",
    "Process",
    "Sealing",
    "ServerView",
    "Witness",
    "tokens",
]
