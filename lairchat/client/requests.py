"""What the user asks for beside sending: rooms, members, invites, account; and the answers.

Every effect with a ``ref`` is answered exactly once, also when the connection is lost meanwhile.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import catalog, effects, inputs
from lairchat.client.rooms import ROOMS_TAKEN
from lairchat.client.sealed.requests import SealedRequests
from lairchat.features.accounts import messages as accounts
from lairchat.features.messages import messages as wire
from lairchat.features.moderation import messages as moderation
from lairchat.features.muting import messages as muting
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults, limits
from lairchat.model.identity import Link as InviteLink
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.link import Link

#: Members of a room that the client lists at most; larger rooms are shown by their first ones.
MEMBERS_LISTED = 1_000


class Requests:
    """Carries out effects and reports what came of them."""

    log = Logger()

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._cursors: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._moving: set[int] = set()
        self._sealed = SealedRequests(link)

    def perform(self, effect: effects.Effect) -> None:
        """Begin what this effect asks for."""
        work = self._sealed.work(effect)
        if work is None:
            handler = _HANDLERS.get(type(effect))
            if handler is None:
                self.log.error("no handler for {effect}", effect=type(effect).__name__)
                return
            work = handler(self, effect)
        deferred = Deferred.fromCoroutine(self._guarded(work, effect))
        deferred.addErrback(self._unexpected, effect)

    async def _guarded(self, work: Awaitable[None], effect: Any) -> None:
        try:
            await work
        except Refusal as refusal:
            ref = getattr(effect, "ref", 0)
            self._deliver(
                inputs.CommandFailed(ref, refusal.code, refusal.text, refusal.retry_after)
            )

    def _unexpected(self, failure: Failure, effect: effects.Effect) -> None:
        """Answer all the same when the fault is ours: the core waits for each answer."""
        self.log.failure("a request failed", failure)
        refusal = faults.ClientBroken()
        self._deliver(
            inputs.CommandFailed(getattr(effect, "ref", 0), refusal.code, refusal.text, None)
        )

    def lost(self) -> None:
        """Note that the connection is gone; what was asked fails by itself."""
        self._moving.clear()

    def online(self) -> None:
        """Say anew how far the user has read, where the server does not know it yet."""
        for room, seq in list(self._cursors.items()):
            if seq > self._told.get(room, 0):
                self.perform(effects.MoveCursor(room, seq))

    def forget(self) -> None:
        """Forget everything: another account logs in."""
        self._cursors.clear()
        self._told.clear()

    def event(self, name: str, body: Any) -> None:
        """Report an event that is not a message."""
        match name:
            case "presence":
                for person in body.people:
                    self._deliver(inputs.PresenceChanged(person.name, person.online))
            case "cursor":
                self._deliver(inputs.CursorMoved(body.room, body.read, body.unread))
            case "room.joined":
                self._link.rooms.joined(body.room)
                if not self._link.sealed.coming(body.room):
                    shown = self._link.rooms.shown(body.room)
                    self._deliver(inputs.RoomJoined(shown, show=False))
            case "room.left":
                self._link.rooms.left(body.room)
                self._deliver(inputs.RoomLeft(body.room, body.text))
                self._link.sealed.left(body.room)
            case "room.invited":
                self._deliver(
                    inputs.Notice(
                        f"{body.by} invites you into #{body.name}. To enter: /join {body.name}"
                    )
                )
            case "server.notice":
                self._deliver(inputs.Notice(f"From the server's operator: {body.text}"))

    def _deliver(self, one: inputs.Input) -> None:
        self._link.deliver(one)

    def _key(self) -> bytes:
        return command_id(self._link.server_now(), self._link.random(10))

    # -- messages

    async def fetch_history(self, effect: effects.FetchHistory) -> None:
        """Read a page of a room's log."""
        limit = min(effect.limit, limits.HISTORY_PAGE)
        before, after = effect.before, effect.after
        if effect.around is not None:
            await self._around(effect, limit)
            return
        if self._link.sealed.owns(effect.room):
            page = await self._link.lines(effect.room, before=before, after=after, limit=limit)
            messages, older, newer = page.messages, page.older, page.newer
        else:
            messages, older, newer = await self._plain(effect.room, before, after, limit)
        latest = before is None and after is None
        self._deliver(
            inputs.HistoryPage(effect.room, messages, older=older, newer=newer, replace=latest)
        )

    async def _plain(
        self, room: int, before: int | None, after: int | None, limit: int
    ) -> tuple[tuple[inputs.Message, ...], bool, bool]:
        """Read a page of a plain room: (lines, whether there are older, newer ones)."""
        page: wire.Page = await self._link.ask(
            wire.HISTORY, wire.History(room, before=before, after=after, limit=limit)
        )
        if after is None:
            return self._lines(page), page.more, False
        return self._lines(page), True, page.more

    async def _around(self, effect: effects.FetchHistory, limit: int) -> None:
        assert effect.around is not None
        half, room, place = max(1, limit // 2), effect.room, max(0, effect.around - 1)
        if self._link.sealed.owns(room):
            before = await self._link.lines(room, before=effect.around, limit=half)
            after = await self._link.lines(room, after=place, limit=half)
            lines, older, newer = before.messages + after.messages, before.older, after.newer
        else:
            first, older, _ = await self._plain(room, effect.around, None, half)
            last, _, newer = await self._plain(room, None, place, half)
            lines = first + last
        self._deliver(inputs.HistoryPage(room, lines, older=older, newer=newer, replace=True))

    def _lines(self, page: wire.Page) -> tuple[inputs.Message, ...]:
        # What is newer than the last live event is told as one first: whoever prints lines and
        # does not show pages would miss it, because it never comes alone any more.
        for event in page.events:
            if event.seq > self._link.rooms.heads.get(page.room, event.seq):
                self._link.rooms.event(event)
        ticket_of = self._link.outgoing.ticket_of
        return tuple(catalog.message_of(event, ticket_of(event.id)) for event in page.events)

    async def move_cursor(self, effect: effects.MoveCursor) -> None:
        """Say how far the user has read; one request a room at a time, the latest wins."""
        room = effect.room
        if self._link.sealed.owns(room):
            # How far one reads where is nobody's but one's own.
            self._link.sealed.read(room, effect.seq)
            return
        self._cursors[room] = max(effect.seq, self._cursors.get(room, 0))
        if room in self._moving:
            return
        self._moving.add(room)
        try:
            while self._link.online and self._cursors.get(room, 0) > self._told.get(room, 0):
                seq = self._cursors[room]
                await self._link.ask(wire.MOVE_CURSOR, wire.MoveCursor(room, seq))
                self._told[room] = seq
        except Refusal as refusal:
            # The position is told again with the next message that is read, or after a reconnect.
            self.log.debug("cursor not moved: {code}", code=refusal.code)
        finally:
            self._moving.discard(room)

    # -- rooms

    async def join(self, effect: effects.Join) -> None:
        """Join a room by name."""
        info = await self._link.ask(rooms.JOIN, rooms.JoinRoom(effect.name))
        self._entered(effect.ref, info)

    async def create(self, effect: effects.Create) -> None:
        """Make a room."""
        request = rooms.CreateRoom(effect.name, access=effect.access)  # type: ignore[arg-type]
        info = await self._link.ask(rooms.CREATE, request, self._key())
        self._entered(effect.ref, info)

    def _entered(self, ref: int, info: rooms.RoomInfo) -> None:
        self._link.rooms.joined(info)
        self._deliver(inputs.RoomJoined(self._link.rooms.shown(info), show=True, ref=ref))

    async def leave(self, effect: effects.Leave) -> None:
        """Leave a room."""
        await self._link.ask(rooms.LEAVE, rooms.LeaveRoom(effect.room))
        self._link.rooms.left(effect.room)
        self._deliver(inputs.RoomLeft(effect.room, ref=effect.ref))

    async def list_rooms(self, effect: effects.ListRooms) -> None:
        """List the rooms one may join."""
        found: list[rooms.RoomInfo] = []
        after, more = "", True
        while more:
            page: rooms.RoomList = await self._link.ask(rooms.LIST, rooms.ListRooms(after=after))
            found += page.rooms
            more = page.more and bool(page.rooms) and len(found) < ROOMS_TAKEN
            after = found[-1].name if found else ""
        listing = tuple(
            inputs.RoomListing(info.name, info.topic, info.members, info.role is not None)
            for info in found
        )
        self._deliver(inputs.RoomsListed(listing, ref=effect.ref))

    async def list_members(self, effect: effects.ListMembers) -> None:
        """List a room's members, the first thousand of them."""
        self._link.people.asked(effect.room)
        found: list[rooms.Member] = []
        after, more = "", True
        while more and len(found) < MEMBERS_LISTED:
            page: rooms.MemberList = await self._link.ask(
                rooms.MEMBERS, rooms.ListMembers(effect.room, after=after)
            )
            found += page.members
            more = page.more and bool(page.members)
            after = found[-1].name if found else ""
        people = tuple(inputs.Member(one.name, one.role, one.online) for one in found)
        self._deliver(inputs.MembersListed(effect.room, people, ref=effect.ref))
        # After the list: it may be the beginning of one only, these count all.
        self._deliver(inputs.RoomChanged(effect.room, members=page.total, here=page.here))

    def refresh_members(self, room: int) -> None:
        """Ask for a room's members again, for a list that is shown already."""
        Deferred.fromCoroutine(self.list_members(effects.ListMembers(0, room))).addErrback(
            self._not_refreshed
        )

    def _not_refreshed(self, failure: Failure) -> None:
        # Nobody asked: the next change, or the next connection, asks again.
        failure.trap(Refusal)
        self.log.debug("members not refreshed: {why}", why=failure.value)

    async def set_topic(self, effect: effects.SetTopic) -> None:
        """Set a topic."""
        await self._link.ask(rooms.TOPIC, rooms.SetTopic(effect.room, effect.topic), self._key())
        self._deliver(inputs.CommandDone(effect.ref))

    async def set_role(self, effect: effects.SetRole) -> None:
        """Give a member another role."""
        request = rooms.SetRole(effect.room, effect.name, effect.role)  # type: ignore[arg-type]
        await self._link.ask(rooms.ROLE, request, self._key())
        self._deliver(inputs.CommandDone(effect.ref))

    async def invite_user(self, effect: effects.InviteUser) -> None:
        """Invite somebody into a room."""
        await self._link.ask(rooms.INVITE, rooms.InviteUser(effect.room, effect.name))
        self._deliver(inputs.CommandDone(effect.ref, f"{effect.name} is invited"))

    async def hear_of(self, effect: effects.HearOf) -> None:
        """Show or hide somebody's invitations."""
        name = effect.name
        if effect.on:
            await self._link.ask(muting.UNMUTE, muting.Unmute(name))
            done = f"you hear of the invitations of {name} again"
        else:
            await self._link.ask(muting.MUTE, muting.Mute(name))
            done = f"no invitations of {name} any more. /invites {name} on takes that back"
        self._deliver(inputs.CommandDone(effect.ref, done))

    async def list_muted(self, effect: effects.ListMuted) -> None:
        """Say whose invitations we do not hear of."""
        muted = await self._link.ask(muting.MUTED, muting.ListMuted())
        names = ", ".join(muted.names) or "nobody"
        self._deliver(inputs.CommandDone(effect.ref, f"invitations are hidden of: {names}"))

    # -- moderation

    async def kick(self, effect: effects.Kick) -> None:
        """Remove a member."""
        request = moderation.Kick(effect.room, effect.name, effect.reason)
        await self._link.ask(moderation.KICK, request, self._key())
        self._deliver(inputs.CommandDone(effect.ref))

    async def ban(self, effect: effects.Ban) -> None:
        """Remove somebody and keep them out."""
        request = moderation.Ban(effect.room, effect.name, effect.reason)
        await self._link.ask(moderation.BAN, request, self._key())
        self._deliver(inputs.CommandDone(effect.ref, f"{effect.name} is banned"))

    async def unban(self, effect: effects.Unban) -> None:
        """Let somebody back in."""
        await self._link.ask(
            moderation.UNBAN, moderation.Unban(effect.room, effect.name), self._key()
        )
        self._deliver(inputs.CommandDone(effect.ref, f"{effect.name} may come back"))

    # -- account

    async def create_invite(self, effect: effects.CreateInvite) -> None:
        """Make an invite link."""
        text, note = await self.invite(effect.uses)
        self._deliver(inputs.InviteCreated(text, note, ref=effect.ref))

    async def invite(self, uses: int) -> tuple[str, str]:
        """Make an invite; return its link, and what to know of it."""
        link = self._link
        invite: accounts.Invite = await link.ask(
            accounts.CREATE_INVITE, accounts.CreateInvite(uses=uses)
        )
        assert link.server is not None
        text = InviteLink(
            link.target.host, link.target.port, invite.code, link.server.prefix128
        ).format()
        days = max(1, round((invite.expires - link.server_now()) / (limits.DAY * 1000)))
        people = "1 person" if uses == 1 else f"{uses} people"
        return text, f"It is good for {people}, within {days} days."

    async def change_password(self, effect: effects.ChangePassword) -> None:
        """Change the password: two secrets are derived here, neither password is sent."""
        link = self._link
        try:
            if link.server is None:
                raise faults.NetLost(address=link.target.host)
            old = await link.dialer.derive(effect.old.reveal(), link.server, link.rooms.name)
            new = await link.dialer.derive(effect.new.reveal(), link.server, link.rooms.name)
        finally:
            effect.old.clear()
            effect.new.clear()
        await link.ask(
            accounts.CHANGE_SECRET,
            accounts.ChangeSecret(old.authentication, new.authentication),
        )
        try:
            await link.sealed.change(old.vault, new.vault)
        except Refusal as refusal:
            self._deliver(inputs.Notice(refusal.text, refusal.code))
        self._deliver(
            inputs.CommandDone(effect.ref, "password changed; all other sessions have ended")
        )

    async def logout(self, effect: effects.Logout) -> None:
        """End this session, or all; the server closes the connection, the link asks who is next."""
        self._link.sealed.forget_key()
        command = accounts.LOGOUT_ALL if effect.everywhere else accounts.LOGOUT
        request = accounts.LogoutAll() if effect.everywhere else accounts.Logout()
        await self._link.ask(command, request)
        self._link.session_over("logged out" + (" everywhere" if effect.everywhere else ""))
        self._deliver(inputs.CommandDone(effect.ref))


_HANDLERS: dict[type[effects.Effect], Callable[[Requests, Any], Awaitable[None]]] = {
    effects.FetchHistory: Requests.fetch_history,
    effects.MoveCursor: Requests.move_cursor,
    effects.Join: Requests.join,
    effects.Create: Requests.create,
    effects.Leave: Requests.leave,
    effects.ListRooms: Requests.list_rooms,
    effects.ListMembers: Requests.list_members,
    effects.SetTopic: Requests.set_topic,
    effects.SetRole: Requests.set_role,
    effects.InviteUser: Requests.invite_user,
    effects.HearOf: Requests.hear_of,
    effects.ListMuted: Requests.list_muted,
    effects.Kick: Requests.kick,
    effects.Ban: Requests.ban,
    effects.Unban: Requests.unban,
    effects.CreateInvite: Requests.create_invite,
    effects.ChangePassword: Requests.change_password,
    effects.Logout: Requests.logout,
}
