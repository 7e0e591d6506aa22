"""Direct conversations that are held for good, and go on in others."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed

from lairchat.client import effects, inputs, store_marks
from lairchat.client import effects_sealed as sealed
from lairchat.client.sealed.directs import FOUNDING
from lairchat.client.sealed.report import report
from lairchat.core.kernel import event_frame
from lairchat.e2ee.room import Room
from lairchat.features.delivery import messages as delivery
from lairchat.features.rooms import messages as rooms
from lairchat.features.rooms import tables
from lairchat.features.rooms.messages import ROOM_LEFT, RoomInfo, RoomLeft
from lairchat.model.ids import RoomId
from lairchat.model.refusals import GroupMissing, RateLimited
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.policy import Policy, direct_policy
from lairchat.trust.safety_number import half, safety_number
from tests.client.conversations import Conversations
from tests.client.crowd import Device, ServerView


@pytest.fixture
def chat() -> Iterator[Conversations]:
    found = Conversations()
    yield found
    found.end()


def side(device: Device) -> Any:
    """Return a device's encrypted side."""
    assert device.process is not None
    return device.process.link.sealed


def meet(chat: Conversations) -> tuple[Device, Device, int]:
    """Return two people who have said something to each other, and where."""
    alice, bob = chat.register("alice"), chat.register("bob")
    room = chat.direct(alice, "bob")
    assert room is not None
    chat.after(5)
    heard(chat, alice, bob, room)
    heard(chat, bob, alice, room)
    return alice, bob, room


def heard(chat: Conversations, by: Device, to: Device, room: int) -> None:
    """Have somebody say something, which somebody else hears."""
    token = chat.say(by, room)
    chat.after(5)
    to.listen()
    assert token in to.heard


def break_for_good(room: int, *devices: Device) -> None:
    """Have devices see that they are shown different histories, which nothing takes back."""
    for device in devices:
        side(device).suspect(room)
        assert label(device, room) == "E2E!"


def label(device: Device, room: int) -> str:
    return str(side(device).labels.of(room)[0].value)


def hold(device: Device, room: int) -> str:
    return str(side(device).labels.of(room)[1])


def called(device: Device, name: str) -> int | None:
    """Return the room that a name leads to, for a program and for a person."""
    assert device.process is not None
    info = device.process.link.rooms.by_name(name)
    return None if info is None else int(info.room)


def refound(chat: Conversations, device: Device, room: int, wait: float = 8.0) -> Any:
    return chat.ask(device, sealed.Refound, room, wait=wait)


def shown_last(device: Device) -> int:
    """Return the room that a device brought to the front last."""
    assert device.process is not None
    found = [
        one for one in device.process.inputs if isinstance(one, inputs.RoomJoined) and one.show
    ]
    return int(found[-1].room.id)


def over(device: Device, old: int, new: int) -> None:
    """Hold a device to what is to be seen of two conversations, one in the place of the other."""
    assert label(device, new) == "E2E"
    assert label(device, old) == "E2E!"
    other = "bob" if device.name == "alice" else "alice"
    assert hold(device, old) == (
        f"this conversation is over, and read only. It goes on in another: /msg {other}"
    )
    assert side(device).title(old) == f"{other} (before)"
    assert called(device, f"@{other}") == new


def notices(device: Device) -> list[str]:
    assert device.process is not None
    return [one.text for one in device.process.inputs if isinstance(one, inputs.Notice)]


def test_it_goes_on_in_one_action_on_both_sides(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    assert isinstance(refound(chat, alice, old), inputs.CommandFailed)
    break_for_good(old, alice)
    assert "/refound" in hold(alice, old)
    assert isinstance(refound(chat, alice, old), inputs.CommandDone)
    new = shown_last(alice)
    assert new != old
    for device in (alice, bob):
        over(device, old, new)
        marks = {line.what: line for line in report(device.store, 0)}
        assert f"room {new} has come in its place" in marks[f"room {old}"].text
    heard(chat, alice, bob, new)
    heard(chat, bob, alice, new)
    # What was said before is where it was, and nothing is said there any more, by anybody.
    lines = [one.kind for one in side(bob).lines(old, limit=9).messages]
    assert lines.count("text") == 2
    token = chat.say(bob, old)
    chat.after(5)
    alice.listen()
    assert token not in alice.heard
    assert any("read only" in text for text in notices(bob))
    # The name leads to the new one, and a second time nothing is founded.
    assert chat.direct(bob, "alice") == new
    assert isinstance(refound(chat, bob, old), inputs.CommandDone)
    assert shown_last(bob) == new
    assert bob.process is not None
    listed = bob.process.link.rooms
    with patch.object(listed, "synced", False), patch.dict(listed.infos):
        del listed.infos[new]
        assert isinstance(refound(chat, bob, old), inputs.CommandFailed)
    # While the store is locked no two are called alike, and none is founded.
    with patch.object(side(bob), "store", None):
        assert [side(bob).title(room) for room in (old, new)] == ["alice (before)", "alice"]
        answer = refound(chat, bob, old)
        assert isinstance(answer, inputs.CommandFailed)
        assert "/unlock" in answer.text
    # So it is after a restart.
    for device in (alice, bob):
        chat.stop(device)
        chat.start(device)
        chat.after(10)
        over(device, old, new)
    heard(chat, bob, alice, new)


def test_two_at_once_get_one(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    break_for_good(old, alice, bob)
    for device in (alice, bob):
        assert device.process is not None
        device.process.request_later(sealed.Refound, old)
    chat.after(20)
    new = shown_last(alice)
    assert shown_last(bob) == new
    for device in (alice, bob):
        over(device, old, new)
    heard(chat, alice, bob, new)
    heard(chat, bob, alice, new)
    # And in its turn.
    break_for_good(new, bob)
    refound(chat, bob, new)
    third = shown_last(bob)
    assert third not in (old, new)
    for device in (alice, bob):
        assert called(device, "@alice" if device is bob else "@bob") == third
    assert isinstance(refound(chat, alice, old), inputs.CommandDone)
    assert shown_last(alice) == third
    heard(chat, alice, bob, third)


def test_another_device_comes_along_and_one_linked_later_too(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    desk = chat.link("alice")
    assert desk is not None
    chat.after(20)
    heard(chat, bob, desk, old)
    break_for_good(old, bob)
    refound(chat, bob, old)
    new = shown_last(bob)
    chat.after(20)
    for device in (alice, desk, bob):
        over(device, old, new)
    heard(chat, bob, desk, new)
    heard(chat, desk, bob, new)
    late = chat.link("bob")
    assert late is not None
    chat.after(60)
    # It is not in the old one, and does not try to be.
    assert late.store.room(old) is None
    assert hold(late, old).startswith("this conversation is over")
    assert called(late, "@alice") == new
    assert isinstance(refound(chat, late, old), inputs.CommandDone)
    assert shown_last(late) == new
    heard(chat, alice, late, new)
    heard(chat, late, alice, new)


def test_what_waited_in_the_old_one_goes_nowhere_and_is_told(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    chat.stop(bob)
    chat.start(bob)
    assert bob.process is not None
    side(bob).ready = False  # as while it comes up
    token = chat.say(bob, old)
    break_for_good(old, alice)
    refound(chat, alice, old)
    new = shown_last(alice)
    side(bob).ready = True
    side(bob).online()
    chat.after(30)
    over(bob, old, new)
    alice.listen()
    assert token not in alice.heard
    assert [one.body.text for one in bob.store.outbox(old)] == [f"{token} said"]
    assert not bob.store.outbox(new)
    assert any("What waited there is not sent" in text for text in notices(bob))
    refused = [one for one in bob.process.inputs if isinstance(one, inputs.SendRefused)]
    assert refused
    assert "held" in refused[-1].text


def test_on_the_servers_word_alone_nothing_is_founded(chat: Conversations) -> None:
    """A successor that somebody has asked the server for and not founded, before the program ended."""
    alice, bob, old = meet(chat)
    assert alice.process is not None
    made: list[Any] = []
    alice.process.link.ask(rooms.REFOUND, rooms.RefoundDirect(old)).addCallback(made.append)
    chat.after(5)
    new = made[0].room
    # Bob's program hears of it, and waits for whoever wanted it.
    chat.after(90)
    assert bob.store.room(new) is None
    assert "found this conversation anew" in hold(bob, new)
    assert label(bob, old) == "E2E!"
    assert "the server says" in hold(bob, old)
    token = chat.say(bob, old)
    chat.after(5)
    alice.listen()
    assert token not in alice.heard
    # One that nobody has founded yet is not held for good.
    assert isinstance(refound(chat, bob, new), inputs.CommandFailed)
    # He may want it himself; she hears of it when she is back.
    chat.stop(alice)
    chat.start(alice)
    refound(chat, bob, old)
    assert shown_last(bob) == new
    chat.after(10)
    for device in (alice, bob):
        over(device, old, new)
    heard(chat, bob, alice, new)


def test_who_began_to_found_it_goes_on_after_a_crash(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    break_for_good(old, alice)
    assert alice.process is not None
    entering = side(alice).entering

    async def crash(info: Any) -> None:
        raise AssertionError("killed")

    entering.found_direct = crash
    refound(chat, alice, old)
    chat.kill(alice)
    chat.after(1)
    chat.start(alice)
    chat.after(30)
    new = called(alice, "@bob")
    assert new not in (None, old)
    assert new is not None
    over(alice, old, new)
    heard(chat, alice, bob, new)


def begin_anew(chat: Conversations, bob: Device) -> Device:
    """Have bob lose everything and begin anew; return the device that he has then."""
    chat.stop(bob)
    chat.network.clock.advance(2 * 86_400)
    fresh = Device(chat.witness, chat.network, chat.root, bob.name, 1)
    chat.devices.append(fresh)
    fresh.start()
    chat.after(5)
    chat.ask(fresh, sealed.BeginAnew)
    chat.after(20)
    return fresh


def trust(chat: Conversations, device: Device, name: str) -> None:
    """Take somebody's new identity for a new person."""
    pin = side(device).directory.pin(name)
    assert pin is not None
    assert pin.changed is not None
    own = side(device).require_own().identity.account
    number = " ".join(safety_number(half(own), half(pin.changed)))
    answer = chat.ask(device, sealed.AcceptIdentity, name, number)
    assert isinstance(answer, inputs.CommandDone), answer
    chat.after(10)


def test_a_conversation_with_a_new_identity_goes_on_once_it_is_trusted(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    before = side(bob).require_own().identity.account
    fresh = begin_anew(chat, bob)
    assert "identity of bob has changed" in hold(alice, old)
    # Held, but not for good: whose it is, is alice's to say.
    assert isinstance(refound(chat, alice, old), inputs.CommandFailed)
    # Nor is it founded with an account that she has not taken, where it could not go on anyway.
    side(alice).suspect(old)
    answer = refound(chat, alice, old)
    assert isinstance(answer, inputs.CommandFailed)
    assert "/trust bob" in answer.text
    side(alice).opened.people.keep_holds(old, ())
    assert called(alice, "@bob") == old
    trust(chat, alice, "bob")
    assert "the identity that bob had before" in hold(alice, old)
    assert label(alice, old) == "E2E!"
    refound(chat, alice, old)
    new = shown_last(alice)
    chat.after(20)
    assert new != old
    state = alice.store.room(new)
    assert state is not None
    assert before not in state.policy.parties
    over(alice, old, new)
    heard(chat, alice, fresh, new)
    heard(chat, fresh, alice, new)


@pytest.mark.parametrize("away", [False, True])
def test_whoever_began_anew_founds_it_and_the_other_decides(
    chat: Conversations, away: bool
) -> None:
    alice, bob, old = meet(chat)
    if away:
        chat.stop(alice)
    fresh = begin_anew(chat, bob)
    assert "an identity that you had before" in hold(fresh, old)
    assert isinstance(refound(chat, fresh, old), inputs.CommandDone)
    new = shown_last(fresh)
    token = chat.say(fresh, new)
    if away:
        chat.start(alice)
    chat.after(30)
    # It does not go on there before alice has said that this is bob.
    assert "identity of bob has changed" in hold(alice, old)
    assert label(alice, new) == "E2E!"
    typed = chat.say(alice, new)
    chat.after(10)
    fresh.listen()
    assert typed not in fresh.heard
    trust(chat, alice, "bob")
    over(alice, old, new)
    heard(chat, alice, fresh, new)
    heard(chat, fresh, alice, new)
    alice.listen()
    assert token in alice.heard


def test_after_the_server_was_put_back_it_goes_on_once_more(chat: Conversations) -> None:
    """The successor is gone, and its number is given to another room."""
    alice, bob, old = meet(chat)
    break_for_good(old, alice, bob)
    chat.network.down()
    kept = {path: path.read_bytes() for path in chat.root.glob("server.db*")}
    chat.network.up()
    chat.after(30)
    refound(chat, alice, old, wait=20)
    lost = shown_last(alice)
    heard(chat, alice, bob, lost)
    chat.network.down()
    for path in chat.root.glob("server.db*"):
        path.unlink()
    for path, data in kept.items():
        path.write_bytes(data)
    for device in (alice, bob):
        chat.stop(device)
    chat.network.up()
    for device in (alice, bob):
        chat.start(device)
    chat.after(30)
    for device in (alice, bob):
        assert called(device, "@bob" if device is alice else "@alice") == old
        assert label(device, old) == "E2E!"
        assert "/refound" in hold(device, old)
    assert isinstance(refound(chat, alice, old, wait=20), inputs.CommandDone)
    chat.after(30)
    new = shown_last(alice)
    assert new not in (old, lost)
    for device in (alice, bob):
        over(device, old, new)
        assert label(device, lost) == "E2E!"
    heard(chat, alice, bob, new)
    heard(chat, bob, alice, new)


def test_holds_that_end_are_not_for_good(chat: Conversations) -> None:
    alice, _, old = meet(chat)
    side(alice).opened.people.keep_holds(old, {Hold(Cause.NEWCOMER, "dave")})
    answer = refound(chat, alice, old)
    assert isinstance(answer, inputs.CommandFailed)
    assert "not held for good" in answer.text
    assert isinstance(chat.ask(alice, effects.OpenDirect, "bob"), inputs.RoomJoined)


def founds(chat: Conversations, device: Device, info: RoomInfo) -> Policy | str:
    """Return the policy with which a device would found a conversation, or why it does not."""
    found: list[Any] = []
    work = Deferred.fromCoroutine(side(device).directs.policy(info))
    work.addErrback(lambda failure: failure.value.text).addCallback(found.append)
    chat.after(5)
    return found[0]


def test_a_conversation_follows_only_one_with_the_same_person(chat: Conversations) -> None:
    """A server could name another one, which the person wants to go on somewhere else."""
    alice, _, old = meet(chat)
    carol = chat.register("carol")
    other = chat.direct(alice, "carol")
    assert other is not None
    chat.after(5)
    infos = side(alice).link.rooms.infos
    new = replace(infos[old], room=99, follows=other)
    assert "nobody here has founded" in str(founds(chat, alice, new))
    side(alice).opened.marks.keep_fact(f"{FOUNDING}{other}", b"1")
    assert "somebody else" in str(founds(chat, alice, new))
    right = founds(chat, alice, replace(infos[other], room=99, follows=other))
    assert isinstance(right, Policy)
    group = alice.store.room(other)
    assert group is not None
    assert right.before == group.group.context.group_id
    assert set(right.parties) == set(group.policy.parties)
    assert carol.leaf is not None
    assert carol.leaf[0] in right.parties
    # Of groups that the server never had, or has lost, no policy speaks.
    asked = side(alice).ask

    def lost(command: Any, *more: Any) -> Any:
        return fail(GroupMissing()) if command is delivery.STATE else asked(command, *more)

    with patch.object(side(alice), "ask", lost):
        first = founds(chat, alice, replace(infos[other], room=99, follows=other))
    assert isinstance(first, Policy)
    assert first.before == b""
    # A number that leads to another group than the one that was followed here names neither.
    infos[old] = replace(infos[old], name="carol")
    with patch.object(side(alice).partners, "name", lambda _: "carol"):
        side(alice).opened.marks.keep_fact(f"{FOUNDING}{old}", b"1")
        other_group = replace(infos[other], room=99, follows=old)

        def elsewhere(command: Any, request: Any, key: bytes | None = None) -> Any:
            if command is delivery.STATE:
                request = delivery.AskGroup(other)
            return asked(command, request, key)

        with patch.object(side(alice), "ask", elsewhere):
            assert "another group" in str(founds(chat, alice, other_group))


def test_who_went_on_elsewhere_finds_the_way_by_the_name(chat: Conversations) -> None:
    """Also where the server gives the old one for it: what is over stays so."""
    alice, _, old = meet(chat)
    break_for_good(old, alice)
    refound(chat, alice, old)
    new = shown_last(alice)
    link = side(alice).link
    false = replace(link.rooms.infos[old], followed_by=None)
    asked = link.ask

    def lie(command: Any, *more: Any) -> Any:
        return succeed(false) if command is rooms.DIRECT else asked(command, *more)

    with patch.object(link, "ask", lie):
        ref = chat.ask(alice, effects.OpenDirect, "bob")
    assert isinstance(ref, inputs.RoomJoined)
    assert ref.room.id == new
    over(alice, old, new)


def test_no_word_of_the_server_ends_a_private_room(chat: Conversations) -> None:
    """A device that was revoked is put out of it all the same, and people go on talking."""
    alice = chat.register("alice")
    desk = chat.link("alice")
    assert desk is not None
    room = chat.create(alice)
    assert room is not None
    chat.after(20)
    assert desk.leaf in ServerView(chat.network, room).roster(ServerView(chat.network, room).epoch)
    infos = side(alice).link.rooms.infos
    infos[room] = replace(infos[room], followed_by=99)
    chat.revoke(alice, desk)
    chat.after(90)
    view = ServerView(chat.network, room)
    assert desk.leaf not in view.roster(view.epoch)
    assert label(alice, room) == "E2E"
    assert side(alice).title(room) != "alice (before)"


def test_what_the_server_refuses_to_found_it_founds_no_other_day(chat: Conversations) -> None:
    """Whoever was told that it failed has not asked for it any more."""
    alice, _, old = meet(chat)
    break_for_good(old, alice)
    asked = side(alice).ask

    def busy(command: Any, *more: Any) -> Any:
        return (
            fail(RateLimited(retry_after=9.0))
            if command is rooms.REFOUND
            else asked(command, *more)
        )

    with patch.object(side(alice), "ask", busy):
        assert isinstance(refound(chat, alice, old), inputs.CommandFailed)
    assert not side(alice).opened.marks.facts(FOUNDING)
    infos = side(alice).link.rooms.infos
    assert "nobody here has founded" in str(
        founds(chat, alice, replace(infos[old], room=99, follows=old))
    )

    def old_again(command: Any, *more: Any) -> Any:
        return succeed(infos[old]) if command is rooms.REFOUND else asked(command, *more)

    with patch.object(side(alice), "ask", old_again):
        assert isinstance(refound(chat, alice, old), inputs.CommandFailed)
    assert not side(alice).opened.marks.facts(FOUNDING)


def test_somebody_elses_group_ends_nothing(chat: Conversations) -> None:
    """A member who founds one, with a server, that says it follows a conversation of other people."""
    alice, _, old = meet(chat)
    chat.register("mallory")
    other = chat.direct(alice, "mallory")
    assert other is not None
    chat.after(5)
    store = alice.store
    bobs, mallorys = store.room(old), store.room(other)
    assert bobs is not None
    assert mallorys is not None
    policy = direct_policy(*mallorys.policy.parties, bobs.group.context.group_id)
    honest = Room.policy.fget
    assert honest is not None
    signed = property(lambda state: policy if state.room == other else honest(state))
    with patch.object(Room, "policy", signed):
        side(alice).directs.forget()
        assert side(alice).directs.after(old) is None
        assert label(alice, old) == "E2E"
        marks = {line.what: line for line in report(store, 0)}
        assert "has come in its place" not in marks[f"room {old}"].text


def timer(device: Device, room: int) -> int:
    return int(device.store.marks.timer(room))


def test_what_disappears_does_so_in_the_new_one_too(chat: Conversations) -> None:
    """Whoever moves a conversation on does not have what the other one says there stay."""
    alice, bob, old = meet(chat)
    chat.ask(alice, sealed.SetTimer, old, 3_600)
    break_for_good(old, bob)
    refound(chat, bob, old)
    new = shown_last(bob)
    over(alice, old, new)
    assert (timer(alice, new), timer(bob, new)) == (3_600, 0)
    # What somebody has said of the new one counts, however the device comes in again.
    chat.ask(alice, sealed.SetTimer, new, 0)
    break_for_good(new, bob)
    refound(chat, bob, new)
    assert timer(alice, shown_last(bob)) == 0


def test_a_timer_that_is_set_already_stays(chat: Conversations) -> None:
    alice, _, old = meet(chat)
    chat.ask(alice, sealed.SetTimer, old, 60)
    store = alice.store
    with store._database.writing() as connection:
        store_marks.inherit_timer(connection, old, 3_600)
    assert timer(alice, old) == 60


def test_when_an_operator_deletes_the_new_one_the_old_one_is_not_over(chat: Conversations) -> None:
    alice, bob, old = meet(chat)
    break_for_good(old, alice)
    refound(chat, alice, old)
    new = shown_last(alice)
    over(bob, old, new)
    server = chat.network.server
    assert bob.process is not None
    inside = server.change(lambda c: tables.close(c, RoomId(new)))
    left = event_frame(ROOM_LEFT.name, RoomLeft(room=new, code="LC-ROOM-GONE", text="deleted"))
    for user in inside:
        server.kernel.hub.tell(user, left)
    chat.after(1)
    # Bob had seen nothing wrong with it: as he sees it on the screen, it goes on there.
    shown = [
        one for one in bob.process.inputs if isinstance(one, inputs.RoomChanged) and one.room == old
    ]
    assert (shown[-1].name, shown[-1].label) == ("alice", "E2E")
