"""Adding people and devices to rooms, and taking them out: this device's own commits.

A person comes in with all devices that the account's log has in force; key packages are the server's to
hand out, and each is looked at: certified, of the right suite, in its time.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.sealed.commits import Admissions
from lairchat.e2ee.room import Room, decided
from lairchat.features.delivery import messages as wire
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.mls.errors import MLSError
from lairchat.mls.objects import KeyPackage
from lairchat.model import faults, limits, refusals
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import TrustError
from lairchat.trust.leaf import LeafIdentity, certified
from lairchat.trust.log import AccountLog
from lairchat.trust.policy import Kind, Policy, Role
from lairchat.trust.structure import accounts_in, identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_ROLES = {
    "member": Role.MEMBER,
    "moderator": Role.MODERATOR,
    "admin": Role.ADMINISTRATOR,
    "owner": Role.ADMINISTRATOR,
}
ROLE_WORDS = {Role.MEMBER: "member", Role.MODERATOR: "moderator", Role.ADMINISTRATOR: "admin"}


class Adding:
    """Who is in a room."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        # The rooms whose waiting people are looked at; True: somebody else may have come meanwhile.
        self._letting: dict[int, bool] = {}

    # -- key packages of others

    async def claim(self, user: int, log: AccountLog, devices: Iterable[bytes]) -> list[KeyPackage]:
        """Take a key package of each of these devices; those that are not right are left out."""
        wanted = list(devices)
        found: list[KeyPackage] = []
        for start in range(0, len(wanted), limits.KEY_PACKAGES_AT_ONCE):
            part = wanted[start : start + limits.KEY_PACKAGES_AT_ONCE]
            answer: keys.ClaimedKeys = await self._sealed.ask(
                keys.CLAIM, keys.ClaimKeys(user, part)
            )
            for one in answer.keys:
                package = self._checked(log, one.device, one.package)
                if package is not None:
                    found.append(package)
        return found

    def _checked(self, log: AccountLog, device: bytes, data: bytes) -> KeyPackage | None:
        try:
            package = KeyPackage.decode(data)
            identity = identity_of(package.leaf)
            if identity != LeafIdentity(log.account, device):
                raise refusals.GroupRefused(why="a key package of another device")
            certified(log, identity, package.leaf.signature_key)
        except (MLSError, TrustError, Refusal) as error:
            self.log.info("a key package was not taken: {why}", why=str(error))
            return None
        return package

    # -- the partner of a direct conversation

    async def add_partner(self, room: int) -> None:
        """Add what is missing of a direct conversation; raises a Refusal."""
        state = self._sealed.following(room).state
        if state is None or state.policy.kind != Kind.DIRECT:
            return
        own = state.own.account
        for account in state.policy.parties:
            if account in accounts_in(state.group.public.tree) and account != own:
                continue
            log = await self._sealed.directory.read(account)
            user = self._sealed.names.user(room, account)
            if log is None or user is None:
                continue
            inside = {one.device for one in state.members if one.account == account}
            devices = [one.body.id for one in log.in_force if one.body.id not in inside]
            if devices:
                await self.add(room, await self.claim(user, log, devices))

    async def add(
        self,
        room: int,
        packages: list[KeyPackage],
        admissions: Admissions | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Add devices; False if all were inside by then.  Raises a Refusal.

        wanted: asked before each try whether they are still to be added.
        """

        def make(state: Room) -> dict[str, Any] | None:
            if not wanted():
                return None
            inside = set(state.members)
            left = [one for one in packages if identity_of(one.leaf) not in inside]
            return {"add": left} if left else None

        return await self._sealed.commits.change(room, make, admissions)

    # -- people who come

    def let_in(self, room: int) -> None:
        """Add whoever waits to come into a room, if this device may."""
        if not self._sealed.ready or not self.may_add(room):
            return
        if room in self._letting:
            # The server may have been asked before they came.
            self._letting[room] = True
            return
        self._letting[room] = False
        letting = Deferred.fromCoroutine(self._let_in(room))
        letting.addErrback(self._not_let_in, room)
        letting.addBoth(self._looked, room)

    def _looked(self, _: object, room: int) -> None:
        if self._letting.pop(room):
            self.let_in(room)

    def may_add(self, room: int) -> bool:
        """Tell whether this account may add people to a room."""
        state = self._sealed.following(room).state
        if state is None or state.halted is not None or state.behind is not None:
            return False
        if self._sealed.is_out(room):
            return False
        policy = state.policy
        return policy.kind == Kind.PRIVATE and policy.role(state.own.account) >= policy.adders

    def _not_let_in(self, failure: Failure, room: int) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("somebody could not be let in", failure)
        elif not isinstance(refusal, faults.NetLost | refusals.Denied):
            self._sealed.later(refusal.retry_after or 10.0, self.let_in, room)

    async def _let_in(self, room: int) -> None:
        after, more = 0, True
        while more:
            waiting: joining.Joiners = await self._sealed.ask(
                joining.JOINERS, joining.AskJoiners(room, after)
            )
            users = [one.user for one in waiting.people] + [one.user for one in waiting.knocks]
            if not users:
                return
            # One device does it; the others find it done.
            await self._sealed.ask(wire.LEASE, wire.AskGroup(room))
            packages: list[KeyPackage] = []
            for person in waiting.people:
                packages += await self._of_joiner(room, person)
            if packages:
                await self.add(room, packages)
            for knock in waiting.knocks:
                await self._sealed.codes.admit(room, knock)
            more, after = waiting.more and max(users) > after, max(users)

    async def _of_joiner(self, room: int, joiner: joining.Joiner) -> list[KeyPackage]:
        """Return key packages of somebody who has accepted an invitation."""
        log = await self._sealed.directory.read(joiner.account)
        if log is None or log.genesis.name != name_key(joiner.name):
            return []
        if not self._sealed.invitations.is_asked(room, log.account):
            # A server could say of anybody that they were invited, and have accepted.
            self.log.info("nobody that this device knows of has invited who waits to come in")
            return []
        pin = self._sealed.directory.sighted(joiner.name, log.account)
        if pin.account != log.account:
            # Somebody else goes by that name now: a person decides, not this program.
            self._sealed.deliver(
                inputs.Notice(
                    f"{joiner.name} waits to be let into {self._sealed.title(room)}, with another"
                    f" identity than before. Look at it: /trust {joiner.name}"
                )
            )
            return []
        return await self.claim(joiner.user, log, [one.body.id for one in log.in_force])

    # -- people who go, roles

    async def remove(self, room: int, name: str) -> None:
        """Take somebody out of a room, with all devices; raises a Refusal."""
        account = self.account_of(room, name)

        def make(state: Room) -> dict[str, Any] | None:
            leaves = [
                decided(index)
                for index, leaf in state.group.public.tree.members()
                if identity_of(leaf).account == account
            ]
            return {"remove": leaves} if leaves else None

        await self._sealed.commits.change(room, make)

    async def set_role(self, room: int, name: str, word: str) -> None:
        """Give a member another role; raises a Refusal."""
        role = _ROLES.get(word)
        if role is None:
            raise refusals.GroupRefused(
                why="members of encrypted rooms are member, moderator, admin"
            )
        account = self.account_of(room, name)
        await self._sealed.commits.set_policy(room, lambda policy: with_role(policy, account, role))

    def account_of(self, room: int, name: str) -> bytes:
        """Return the account of a member by name; raises NotMember."""
        state = self._sealed.following(room).state
        if state is None:
            raise self._sealed.waiting.refusal(room)
        wanted = name_key(name)
        for account in {one.account for one in state.members}:
            if self._sealed.directory.name_of(account) == wanted:
                return account
        raise refusals.UserUnknown(name=name)


def with_role(policy: Policy, account: bytes, role: Role) -> Policy:
    """Return a policy in which an account has this role."""
    administrators = set(policy.administrators) - {account}
    moderators = set(policy.moderators) - {account}
    if role is Role.ADMINISTRATOR:
        administrators.add(account)
    elif role is Role.MODERATOR:
        moderators.add(account)
    return Policy(
        policy.kind,
        policy.parties,
        tuple(sorted(administrators)),
        tuple(sorted(moderators)),
        policy.adders,
        policy.history,
    )
