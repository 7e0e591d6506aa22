"""What people do in encrypted rooms on a network, and what has to hold of it whenever they pause.

The book says who is in which room, by what was asked for and agreed to; who was in which epoch is read
from the server's public part of the groups, which has to agree with the book.
What each device shows is compared with the messages as their senders sealed them.
"""

import gc
import itertools
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import text

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed_effects
from lairchat.client import inputs_sealed as sealed_inputs
from lairchat.client.store_outbox import State
from lairchat.e2ee.payload import Delete, Edit, Text
from lairchat.features.delivery import tables
from lairchat.features.delivery.rules import policy_in
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.locks import Lock
from lairchat.trust.policy import Policy, Role
from tests import harness
from tests.client.crowd import CANARY, Device, Leaf, Sealing, ServerView, Witness, tokens
from tests.client.network import IDENTITY, KEY_PACKAGES, MEMORY, Network

LONG = 90.0
"""seconds: after which nothing is under way any more."""


@dataclass
class Book:
    """Who is in a room, by what was asked for: by names.

    coming: who has agreed to come in: who let them, and whether it was by a code.
    unsure: of whose coming or going nobody had an answer.
    asked: in which epoch who was invited by name, the last time.
    """

    room: int
    direct: bool
    members: set[str]
    coming: dict[str, tuple[str, bool]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=dict)


@dataclass
class Asked:
    """Something that was asked for: it is answered once, unless the program ended before."""

    device: Device
    process: Any
    ref: int


class Conversations:
    """A network, people on it, and the book."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.root = Path(tempfile.mkdtemp(prefix="lair-test-", dir=MEMORY))
        self._stack.callback(shutil.rmtree, self.root)
        self._stack.enter_context(patch.object(limits, "KEY_PACKAGES", KEY_PACKAGES))
        gc.collect()
        # The servers' random bytes are the same in each run as well.
        self._stack.enter_context(patch.object(harness, "_servers", itertools.count()))
        self.witness = self._stack.enter_context(Witness().watching())
        self.network = Network(url=f"sqlite:///{self.root}/server.db")
        self.devices: list[Device] = []
        self.books: dict[int, Book] = {}
        self.codes: list[tuple[int, str, str]] = []
        self.words: dict[str, tuple[str, ...]] = {}
        self.asked: list[Asked] = []
        self._tokens = 0

    def end(self) -> None:
        """End everything, whatever state it is in."""
        try:
            for device in self.devices:
                device.bury()
                device.stop()
                device.bury()
            if self.network.running:
                self.network.down()
        finally:
            self._stack.close()

    # -- people and devices

    def register(self, name: str) -> Device:
        """Let somebody come in for the first time."""
        device = Device(self.witness, self.network, self.root, name, 0)
        self.devices.append(device)
        device.start()
        self.after(0)
        return device

    def link(self, name: str) -> Device | None:
        """Give somebody another device, by the recovery words."""
        words = self.words.get(name)
        if words is None:
            return None
        number = len([one for one in self.devices if one.name == name])
        device = Device(self.witness, self.network, self.root, name, number)
        self.devices.append(device)
        device.start(words)
        self.after(0)
        return device

    def start(self, device: Device) -> None:
        if device.process is None:
            device.start(self.words.get(device.name, ()))
            self.after(0)

    def stop(self, device: Device) -> None:
        device.listen()
        device.stop()
        self.after(0)

    def kill(self, device: Device) -> None:
        if device.process is not None:
            device.kill()
        self.after(0)

    def revoke(self, by: Device, other: Device) -> None:
        if other.leaf is None or other.revoked is not None or by.name != other.name or by is other:
            return
        answer = self.ask(by, sealed_effects.RevokeDevice, other.leaf[1].hex())
        if isinstance(answer, inputs.CommandDone):
            other.revoked = {room: len(ServerView(self.network, room).log) for room in self.books}

    def after(self, seconds: float) -> None:
        """Let time go by, and clear away who was killed meanwhile."""
        self.network.wait(seconds)
        for device in self.devices:
            if device.bury():
                self.network.wait(0)
            device.listen()
            if device.words:
                self.words[device.name] = device.words

    def restart_server(self, seconds: float = 1.0) -> None:
        self.network.down()
        self.network.clock.advance(seconds)
        self.network.up()
        self.after(0)

    # -- asking

    def ask(self, device: Device, kind: Any, *arguments: Any, wait: float = 3.0) -> Any:
        """Ask for something; return the answer, or None if there is none by then."""
        process = device.process
        if process is None or process.dead:
            return None
        ref = process.request_later(kind, *arguments)
        self.asked.append(Asked(device, process, ref))
        self.after(wait)
        found = process.answers.get(ref, [])
        return found[0] if found else None

    def token(self, device: Device) -> str:
        self._tokens += 1
        found = f"{CANARY}{self._tokens}x"
        device.typed.add(found)
        return found

    # -- rooms

    def create(self, device: Device) -> int | None:
        found = self.ask(device, effects.Create, self.token(device), "private")
        if not isinstance(found, inputs.RoomJoined):
            return None
        self.books[found.room.id] = Book(found.room.id, direct=False, members={device.name})
        return found.room.id

    def direct(self, device: Device, name: str) -> int | None:
        found = self.ask(device, effects.OpenDirect, name)
        if not isinstance(found, inputs.RoomJoined) or name == device.name:
            return None
        book = self.books.setdefault(
            found.room.id, Book(found.room.id, direct=True, members={device.name})
        )
        for one in {device.name, name} - book.members:
            book.coming[one] = (device.name, False)
        return found.room.id

    def invite(self, device: Device, room: int, name: str) -> Any:
        answer = self.ask(device, effects.InviteUser, room, name)
        if isinstance(answer, inputs.CommandDone):
            self.books[room].asked[name] = ServerView(self.network, room).epoch
        return answer

    def accept(self, device: Device, by: str) -> None:
        """Accept what somebody has invited to, whichever room that is."""
        before = self._open_invitations(device, by)
        answer = self.ask(device, sealed_effects.AcceptInvite, by)
        for room in before - self._open_invitations(device, by):
            if isinstance(answer, inputs.CommandDone):
                self.books[room].coming.setdefault(device.name, (by, False))
            else:
                self.books[room].unsure.add(device.name)

    def _open_invitations(self, device: Device, by: str) -> set[int]:
        """Return into which rooms somebody's invitations lead that wait for an answer."""
        query = (
            "SELECT i.room FROM invitations i JOIN users u ON u.id = i.user"
            " JOIN users b ON b.id = i.invited_by"
            " WHERE u.name = :name AND b.name = :by AND i.accepted_at IS NULL"
        )
        names = {"name": device.name, "by": by}
        found = self.network.server.look(lambda c: c.execute(text(query), names).fetchall())
        return {room for (room,) in found}

    def make_code(self, device: Device, room: int, uses: int) -> str | None:
        answer = self.ask(device, sealed_effects.MakeCode, room, uses)
        if not isinstance(answer, sealed_inputs.CodeMade):
            return None
        self.codes.append((room, answer.code, device.name))
        return answer.code

    def knock(self, device: Device, code: tuple[int, str, str]) -> None:
        room, text, by = code
        answer = self.ask(device, sealed_effects.JoinByCode, text)
        if isinstance(answer, inputs.CommandDone):
            self.books[room].coming.setdefault(device.name, (by, True))
        self._doubt(room, device.name, answer)

    def leave(self, device: Device, room: int) -> None:
        answer = self.ask(device, effects.Leave, room)
        book = self.books[room]
        if isinstance(answer, inputs.RoomLeft):
            book.members.discard(device.name)
            if device.name in book.coming:
                book.unsure.add(device.name)
            book.coming.pop(device.name, None)
        else:
            self._doubt(room, device.name, answer)

    def kick(self, device: Device, room: int, name: str) -> None:
        answer = self.ask(device, effects.Kick, room, name)
        book = self.books[room]
        if isinstance(answer, inputs.CommandDone):
            assert not book.direct, "somebody was removed from a direct conversation"
            book.members.discard(name)
            book.coming.pop(name, None)
            book.unsure.discard(name)
        else:
            self._doubt(room, name, answer)

    def set_role(self, device: Device, room: int, name: str, role: str) -> None:
        self.ask(device, effects.SetRole, room, name, role)

    def _doubt(self, room: int, name: str, answer: Any) -> None:
        """Note that nobody knows whether something was done, if so."""
        lost = isinstance(answer, inputs.CommandFailed) and answer.code == "LC-NET-LOST"
        if answer is None or lost:
            self.books[room].unsure.add(name)

    # -- what is said

    def say(self, device: Device, room: int) -> str:
        token = self.token(device)
        if device.process is not None:
            device.process.say(f"{token} said", room)
            self.after(0)
        return token

    def last(self, device: Device, room: int, *, own: bool) -> int | None:
        """Return where a device shows the last text, of its own account or of any."""
        if device.process is None or device.leaf is None:
            return None
        found = [
            one.said.seq
            for one in device.store.messages.before(room, 2**60, 1000)
            if one.text is not None and (not own or one.said.author == device.leaf[0])
        ]
        return found[-1] if found else None

    def change(self, device: Device, room: int, kind: Any, *more: Any, own: bool = True) -> None:
        """Edit, take back or react to the last text."""
        seq = self.last(device, room, own=own)
        if seq is not None:
            self.ask(device, kind, room, seq, *more, wait=0.5)

    # -- what has to hold

    def pause(self) -> None:
        """Let everything come to its end, and look at all of it."""
        if not self.network.running:
            self.network.up()
        self.after(LONG)
        self._check_answers()
        assert not self.witness.faults, self.witness.faults[0]
        self._check_server()
        self._find_rooms()
        for room, book in self.books.items():
            view = ServerView(self.network, room)
            self._check_keys(view)
            self._check_members(book, view)
            for device in self.devices:
                if device.is_up and device.leaf is not None and device.revoked is None:
                    self._check_device(book, view, device)
            self._check_exporters(room)
        for device in self.devices:
            self._check_secret(device)

    def everybody(self) -> None:
        """Let all devices come, and pause."""
        for device in self.devices:
            if device.process is not None and device.process.dead:
                self.after(0)
            self.start(device)
        self.pause()

    def _find_rooms(self) -> None:
        """Note the rooms that were made though nobody had an answer."""
        query = "SELECT g.room, r.kind FROM mls_groups g JOIN rooms r ON r.id = g.room"
        found = self.network.server.look(lambda c: c.execute(text(query)).fetchall())
        for room, kind in found:
            if room not in self.books:
                names = {one.name for one in self.devices}
                book = self.books[room] = Book(room, kind == "direct", set(), unsure=names)
                if book.direct:
                    # Whoever is not in it yet comes as soon as somebody is there who adds them.
                    one, other = (name for name in sorted(names) if self._is_listed(room, name))
                    book.coming = {one: (other, False), other: (one, False)}

    def _check_answers(self) -> None:
        for one in self.asked:
            if one.process is one.device.process:
                found = one.process.answers.get(one.ref, [])
                assert len(found) == 1, f"{one.device}: {len(found)} answers {found}"
        self.asked.clear()

    def _check_server(self) -> None:
        for path in self.root.glob("server.db*"):
            assert CANARY.encode() not in path.read_bytes(), "the server keeps plain text"

    def _check_keys(self, view: ServerView) -> None:
        """No key of a message that left sealed another one that left."""
        bodies = [one.body for one in view.log if one.kind == EventClass.APP and one.body]
        keys = [self.witness.key_of(body) for body in bodies]
        assert len(set(keys)) == len(keys)

    def leaves(self, name: str) -> set[Leaf]:
        return {one.leaf for one in self.devices if one.name == name and one.leaf is not None}

    def _check_members(self, book: Book, view: ServerView) -> None:
        """The group has who the book says, as soon as somebody is there who can see to it."""
        roster = view.roster(view.epoch)
        inside = {one.name for one in self.devices if one.leaf in roster}
        for name in book.unsure:
            (book.members.add if name in inside else book.members.discard)(name)
        book.unsure.clear()
        for name in set(book.coming) & inside:
            book.members.add(name)
        there = [
            one
            for one in self.devices
            if one.is_up and one.revoked is None and one.leaf in roster and one.name in book.members
        ]
        if not there:
            return
        assert inside == book.members, f"room {book.room}: {inside}, should be {book.members}"
        book.coming = {name: by for name, by in book.coming.items() if name not in inside}
        policy = self.policy(book.room, view.epoch)
        may = {one.leaf: book.direct or policy.role(one.leaf[0]) >= policy.adders for one in there}
        for name, (by, code) in book.coming.items():
            able = [
                one
                for one in there
                if may[one.leaf]
                and (one.name == by if code else self._has_heard(book, view, one, name))
            ]
            counts = any(may.get(leaf) or leaf not in may for leaf in self.leaves(by) & roster)
            assert not (able and counts), f"{name} waits to come in, and {able} do not see to it"
        for one in self.devices:
            if one.revoked is not None:
                assert one.leaf not in roster, f"{one} is revoked and still inside"

    def _has_heard(self, book: Book, view: ServerView, device: Device, name: str) -> bool:
        """Tell whether a device was there when somebody was invited: nobody is let in on less."""
        return book.direct or view.since(device.leaf) <= book.asked.get(name, -1)

    def policy(self, room: int, epoch: int) -> Policy:
        context = self.network.server.look(lambda c: tables.context_at(c, room, epoch))
        return policy_in(context, IDENTITY.public_key)

    def _check_device(self, book: Book, view: ServerView, device: Device) -> None:
        sealed = device.process.link.sealed
        state = device.store.room(book.room)
        listed = book.room in device.process.link.rooms.infos
        if listed or device.name in book.members:
            # Who has left is in the server's list until a member has seen to it.
            assert listed == self._is_listed(book.room, device.name)
        if device.name not in book.members or not listed:
            # Who was put out while away is not told by whom: it cannot see the room any more.
            assert state is None or not listed or device.leaf in view.roster(view.epoch)
            return
        assert device.leaf in view.roster(view.epoch), f"{device} is not in room {book.room}"
        assert state is not None, f"{device} does not know room {book.room}"
        assert (state.halted, state.behind) == (None, None)
        assert state.pending is None
        assert not state.group.public.pending, "a proposal waits"
        assert state.group.context.epoch == view.epoch
        assert state.followed.seq == view.log[-1].seq
        lock, why = sealed.labels.of(book.room)
        assert lock in (Lock.E2E, Lock.WAITING), why
        if lock is Lock.WAITING:
            assert book.direct
            assert why
        self._check_shown(book, view, device)
        self._check_outbox(book, device, waiting=lock is Lock.WAITING)

    def _is_listed(self, room: int, name: str) -> bool:
        """Tell whether the server takes somebody for a member."""
        query = (
            "SELECT 1 FROM memberships m JOIN users u ON u.id = m.user"
            " WHERE m.room = :room AND u.name = :name"
        )
        names = {"room": room, "name": name}
        found = self.network.server.look(lambda c: c.execute(text(query), names).first())
        return found is not None

    def _check_outbox(self, book: Book, device: Device, *, waiting: bool) -> None:
        sealed = device.process.link.sealed
        for letter in device.store.outbox(book.room):
            assert letter.state is not State.ACCEPTED, "it stands in the log, and is kept"
            assert letter.id in sealed.sending._failed or waiting, f"{device} keeps {letter}"

    def said(self, view: ServerView) -> list[tuple[int, Sealing, bool]]:
        """Return (sequence, what, whether its bytes are gone) of what was sealed in a room."""
        found = []
        for one in view.log:
            if one.kind == EventClass.APP:
                digest = sha256(one.body).digest() if one.body is not None else one.digest
                found.append((one.seq, self.witness.sealed[digest], one.body is None))
        return found

    def _check_shown(self, book: Book, view: ServerView, device: Device) -> None:
        """A device shows what was said while it was in, in order, once, as it reads by now."""
        since = view.since(device.leaf)
        said = self.said(view)
        texts, gone = self._folded(book, [one for one in said if one[1].epoch >= since])
        begun = view.begun[since]
        shown = [
            (one.said.seq, one.text)
            for one in device.store.messages.before(book.room, 2**60, 100_000)
            if one.text is not None and one.said.seq > begun
        ]
        shown = [one for one in shown if one[0] not in gone or one[0] in texts]
        wanted = {seq: text for seq, text in texts.items() if seq not in gone}
        assert [seq for seq, _ in shown] == sorted({seq for seq, _ in shown})
        assert {seq: text for seq, text in shown if seq not in gone} == wanted, (
            f"{device}: {shown}, should be {wanted}; {sorted(gone)} are gone"
        )

    def _folded(
        self, book: Book, everything: list[tuple[int, Sealing, bool]]
    ) -> tuple[dict[int, str], set[int]]:
        """Return texts by sequence, and what had its bytes purged: late comers never saw it."""
        texts: dict[int, str] = {}
        gone: set[int] = set()
        seqs: dict[tuple[bytes, bytes], tuple[int, Sealing]] = {}
        for seq, one, purged in everything:
            account = one.leaf[0]
            if (account, one.id) in seqs:
                continue
            match one.body:
                case Text(said):
                    seqs[account, one.id] = seq, one
                    texts[seq] = said
                    if purged:
                        gone.add(seq)
                case Edit(target, said) if (account, target) in seqs:
                    first, _ = seqs[account, target]
                    if first in texts:
                        texts[first] = said
                case Delete(target) if (target.author, target.id) in seqs:
                    first, before = seqs[target.author, target.id]
                    if self._may_delete(book, one, before):
                        texts.pop(first, None)
        return texts, gone

    def _may_delete(self, book: Book, by: Sealing, first: Sealing) -> bool:
        if by.leaf[0] == first.leaf[0]:
            return True
        if book.direct:
            return False
        role = self.policy(book.room, by.epoch).role(by.leaf[0])
        return role >= Role.MODERATOR and role > self.policy(book.room, first.epoch).role(
            first.leaf[0]
        )

    def _check_secret(self, device: Device) -> None:
        """Whatever a device has is from its own keyboard, or was sealed for its account.

        What was said before it was linked comes from the backup, by the recovery words.
        """
        foreign = device.heard - device.typed
        for room in self.books if foreign else ():
            view = ServerView(self.network, room)
            for seq, one, _ in self.said(view):
                if self._is_for(device, room, seq, view.roster(one.epoch)):
                    foreign -= tokens(one.body)
        assert not foreign, f"{device} has {foreign}"

    def _is_for(self, device: Device, room: int, seq: int, roster: set[Leaf]) -> bool:
        if device.leaf is None or device.leaf in roster:
            return device.leaf is not None
        known = device.revoked is None or seq <= device.revoked.get(room, 0)
        return known and any(account == device.leaf[0] for account, _ in roster)

    def _check_exporters(self, room: int) -> None:
        exported: dict[int, bytes] = {}
        for device in self.devices:
            if not device.is_up:
                continue
            state = device.store.room(room)
            if state is not None and state.behind is None:
                secret = state.group.export(b"test", b"", 32)
                assert exported.setdefault(state.group.context.epoch, secret) == secret
