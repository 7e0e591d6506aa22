"""Random lives of encrypted rooms: what policy says is readable is read, and nothing else.

People found rooms, come, go, edit, link and lose devices, while programs are killed between any two
writes to their store, connections end anywhere and the server is started anew.
"""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lairchat.client import effects_sealed as effects
from tests.client.conversations import Conversations
from tests.client.crowd import Device

NAMES = ("alice", "bob", "carol", "dave")
MOST_DEVICES = 7
T = TypeVar("T")
some = st.integers(0, 10**6)
seconds = st.sampled_from((0.0, 0.0, 0.5, 5.0, 40.0))


def one_of(things: Sequence[T], number: int) -> T | None:
    return things[number % len(things)] if things else None


class Groups(RuleBasedStateMachine):
    """Four people, some devices, some rooms."""

    def __init__(self) -> None:
        super().__init__()
        self.chat = Conversations()

    @initialize(people=st.integers(2, 3))
    def begin(self, people: int) -> None:
        for name in NAMES[:people]:
            self.chat.register(name)
        self.names = list(NAMES[:people])

    def teardown(self) -> None:
        try:
            if self.chat.devices:
                self.chat.everybody()
        finally:
            self.chat.end()

    # -- who and where

    def someone(self, number: int) -> Device | None:
        return one_of(
            [one for one in self.chat.devices if one.is_up and one.revoked is None], number
        )

    def somewhere(self, device: Device | None, number: int) -> int | None:
        if device is None:
            return None
        return one_of([room for room in device.store.rooms() if room in self.chat.books], number)

    def another(self, device: Device, number: int) -> str:
        found = one_of([name for name in self.names if name != device.name], number)
        assert found is not None
        return found

    # -- rooms

    @rule(who=some)
    def create(self, who: int) -> None:
        device = self.someone(who)
        if device is not None and len(self.chat.books) < 4:
            self.chat.create(device)

    @rule(who=some, whom=some)
    def direct(self, who: int, whom: int) -> None:
        device = self.someone(who)
        if device is not None:
            self.chat.direct(device, self.another(device, whom))

    @rule(who=some, where=some, whom=some, accepts=st.booleans())
    def invite(self, who: int, where: int, whom: int, accepts: bool) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None:
            name = self.another(device, whom)
            self.chat.invite(device, room, name)
            guest = one_of([one for one in self.chat.devices if one.name == name and one.is_up], 0)
            if guest is not None and accepts and guest.revoked is None:
                self.chat.accept(guest, device.name)

    @rule(who=some, by=some)
    def accept(self, who: int, by: int) -> None:
        device = self.someone(who)
        if device is not None:
            self.chat.accept(device, self.another(device, by))

    @rule(who=some, where=some, uses=st.integers(1, 2))
    def make_code(self, who: int, where: int, uses: int) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None:
            self.chat.make_code(device, room, uses)

    @rule(who=some, which=some)
    def knock(self, who: int, which: int) -> None:
        device = self.someone(who)
        code = one_of(self.chat.codes, which)
        if device is not None and code is not None:
            self.chat.knock(device, code)

    @rule(who=some, where=some, whom=some)
    def kick(self, who: int, where: int, whom: int) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None:
            self.chat.kick(device, room, self.another(device, whom))

    @rule(who=some, where=some)
    def leave(self, who: int, where: int) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None and not self.chat.books[room].direct:
            self.chat.leave(device, room)

    @rule(who=some, where=some, whom=some, role=st.sampled_from(("member", "moderator", "admin")))
    def set_role(self, who: int, where: int, whom: int, role: str) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None:
            self.chat.set_role(device, room, self.another(device, whom), role)

    # -- what is said

    @rule(who=some, where=some, count=st.integers(1, 3), wait=seconds)
    def say(self, who: int, where: int, count: int, wait: float) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None:
            for _ in range(count):
                self.chat.say(device, room)
            self.chat.after(wait)

    @rule(who=some, where=some, how=st.sampled_from(("edit", "react", "take back", "moderate")))
    def change(self, who: int, where: int, how: str) -> None:
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is None or room is None:
            return
        if how == "edit":
            self.chat.change(device, room, effects.Change, self.chat.token(device))
        elif how == "react":
            self.chat.change(device, room, effects.React, "+1", own=False)
        else:
            self.chat.change(device, room, effects.TakeBack, own=how == "take back")

    @rule(who=some, where=some)
    def say_offline(self, who: int, where: int) -> None:
        """Type while there is no connection."""
        device = self.someone(who)
        room = self.somewhere(device, where)
        if device is not None and room is not None and device.pipe is not None:
            device.pipe.cut()
            self.chat.say(device, room)

    # -- devices

    @rule(who=some)
    def link(self, who: int) -> None:
        name = one_of(self.names, who)
        if name is not None and len(self.chat.devices) < MOST_DEVICES:
            self.chat.link(name)

    @rule(who=some, which=some)
    def revoke(self, who: int, which: int) -> None:
        device = self.someone(who)
        if device is not None:
            others = [one for one in self.chat.devices if one.name == device.name]
            other = one_of([one for one in others if one is not device], which)
            if other is not None:
                self.chat.revoke(device, other)

    @rule(who=some)
    def stop(self, who: int) -> None:
        device = one_of([one for one in self.chat.devices if one.process is not None], who)
        if device is not None:
            self.chat.stop(device)

    @rule(who=some)
    def start(self, who: int) -> None:
        device = one_of([one for one in self.chat.devices if one.process is None], who)
        if device is not None:
            self.chat.start(device)

    # -- what goes wrong

    @rule(who=some)
    def kill(self, who: int) -> None:
        device = one_of([one for one in self.chat.devices if one.process is not None], who)
        if device is not None:
            self.chat.kill(device)

    @rule(who=some, write=st.integers(1, 12))
    def kill_soon(self, who: int, write: int) -> None:
        device = self.someone(who)
        if device is not None:
            device.kill_at(write)

    @rule(who=some, frames=st.integers(0, 8))
    def lose_connection(self, who: int, frames: int) -> None:
        device = self.someone(who)
        if device is not None and device.pipe is not None:
            device.pipe.limit = device.pipe.frames + frames

    @rule(wait=seconds)
    def restart_server(self, wait: float) -> None:
        self.chat.restart_server(wait)

    # -- time

    @rule(wait=seconds)
    def wait(self, wait: float) -> None:
        self.chat.after(wait)

    @rule()
    def pause(self) -> None:
        self.chat.pause()

    @rule()
    def everybody(self) -> None:
        self.chat.everybody()


TestGroups = Groups.TestCase
TestGroups.settings = settings(
    max_examples=8,
    stateful_step_count=30,
    # To make a failure smaller takes minutes: see the steps that are printed.
    phases=(Phase.explicit, Phase.generate),
    derandomize=True,
    print_blob=False,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
