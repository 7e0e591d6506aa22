"""Answers for the directory of key packages.

Each package is looked at on a reading thread before it is kept, and given out once, in the writer's
turn, so that no two people add a device with the same keys while there are others.
"""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel, event_frame
from lairchat.core.plan import Done, Read, Write
from lairchat.core.throttle import Rate, Throttle
from lairchat.features.identities import tables as identities
from lairchat.features.key_packages import messages, rules, tables
from lairchat.features.key_packages.messages import ClaimedKey, ClaimedKeys, KeysLeft
from lairchat.model import limits
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.refusals import (
    DeviceUnproven,
    IdentityUnknown,
    KeyPackagesMax,
    KeysLater,
)
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog

SWEPT_PER_UPKEEP = 1_000
"""count: packages that one round of upkeep deletes; more would hold up the writer."""

ASKED = Rate(burst=limits.KEYS_ASKED, per_second=limits.KEYS_ASKED_PER_MINUTE / limits.MINUTE)
"""What one account may ask for."""
TAKEN = Rate(burst=limits.KEYS_TAKEN, per_second=limits.KEYS_TAKEN_PER_HOUR / limits.HOUR)
"""What may be taken of one account: an attacker with many accounts does not use up its packages."""
TAKEN_BY_ONE = Rate(
    burst=limits.KEYS_TAKEN_BY_ONE, per_second=limits.KEYS_TAKEN_BY_ONE_PER_HOUR / limits.HOUR
)
"""What one account may take of another: nor does it take what is left for all others."""


def make() -> Feature:
    """Build the feature."""
    directory = _Directory()
    return Feature(
        name="key_packages",
        needs=("identities",),
        handlers={
            messages.PUBLISH: directory.publish,
            messages.COUNT: count,
            messages.CLAIM: directory.claim,
        },
        events=messages.EVENTS,
        revoked=directory.revoked,
        upkeep=directory.upkeep,
        opening=directory.opening,
        composed=directory.composed,
    )


class _Directory:
    """The handlers, and how many packages there are, which a gauge shows.

    The figure is counted when the server starts and once an hour; in between it follows what is
    committed.
    """

    def __init__(self) -> None:
        self.available = 0

    def composed(self, kernel: Kernel) -> None:
        """Show the figure."""
        kernel.measures.gauge(
            "lairchat_e2e_keys_available",
            "One-time key packages that wait to be taken, of all devices.",
            lambda: self.available,
        )

    def opening(self, _kernel: Kernel, connection: Connection) -> None:
        """Count what there is."""
        self.available = tables.available(connection)

    def upkeep(self, connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
        """Delete some packages that nobody can use any more; say whether more are left."""
        swept = tables.sweep(connection, now, SWEPT_PER_UPKEEP)
        self.available = tables.available(connection)
        return swept == SWEPT_PER_UPKEEP

    def revoked(
        self,
        connection: Connection,
        _user: UserId,
        account: bytes,
        devices: Sequence[bytes],
        _now: int,
    ) -> Sequence[After]:
        """Delete the packages of devices that are no more."""
        for device in devices:
            tables.forget(connection, LeafIdentity(account, device))
        left = tables.available(connection)

        def after(_hub: Hub) -> None:
            self.available = left

        return [after]

    async def publish(self, call: Call, request: messages.PublishKeys) -> Write[KeysLeft]:
        """Keep packages of the caller's device."""
        session, last_resort = call.session, request.last_resort

        def verify(connection: Connection) -> tuple[LeafIdentity, list[rules.Checked]]:
            identity, log = _device(connection, session.id)
            checked = rules.check_all(
                request.packages, identity, log, call.now, last_resort=last_resort
            )
            return identity, checked

        identity, checked = await call.kernel.storage.read(verify)

        def change(connection: Connection) -> Done[KeysLeft]:
            # The proof may have gone with the device meanwhile.
            if identities.proven(connection, session.id) != identity:
                raise DeviceUnproven
            rules.require_new(checked, tables.known(connection, identity))
            there = tables.waiting(connection, identity, call.now)
            if not last_resort and there.one_time + len(checked) > limits.KEY_PACKAGES:
                raise KeyPackagesMax(limit=limits.KEY_PACKAGES)
            tables.keep(connection, identity, checked, last_resort=last_resort)
            left = tables.waiting(connection, identity, call.now)

            def after(_hub: Hub) -> None:
                self.available += left.one_time - there.one_time

            return Done(KeysLeft(*left), after)

        return Write(change)

    def claim(self, call: Call, request: messages.ClaimKeys) -> Write[ClaimedKeys]:
        """Give out a package of each device that is meant."""
        devices = list(dict.fromkeys(request.devices))
        user = UserId(request.user)
        _take_allowance(call.kernel.throttle, call.session.user, user, len(devices))

        def change(connection: Connection) -> Done[ClaimedKeys]:
            # To everybody else an account that is locked or banned is as if it had no devices: what
            # is said to them would only wait.
            standing = call.kernel.role_left(connection, user)
            kept = identities.kept_log_of(connection, user)
            if standing is None or kept is None:
                raise IdentityUnknown(field="$.user")
            # Only devices in force have any: with a device its packages go.
            keys: list[ClaimedKey] = []
            low: list[tuple[DeviceId, int]] = []
            for device in devices:
                identity = LeafIdentity(kept.account, device)
                package = tables.take(connection, identity, call.now)
                if package is None:
                    continue
                keys.append(ClaimedKey(device, package.data, package.last_resort))
                left = tables.waiting(connection, identity, call.now).one_time
                if left <= limits.KEY_PACKAGES_LOW:
                    told = identities.server_devices(connection, identity)
                    low += [(number, left) for number in told]
            used = sum(not key.last_resort for key in keys)

            def after(hub: Hub) -> None:
                self.available -= used
                _tell_low(hub, user, low)

            return Done(ClaimedKeys(kept.account, keys), after)

        return Write(change)


def _device(connection: Connection, session: SessionId) -> tuple[LeafIdentity, AccountLog]:
    """Return which certified device a session is, and its account's log; raises DeviceUnproven."""
    identity = identities.proven(connection, session)
    if identity is None:
        raise DeviceUnproven
    log = identities.log_of(connection, identity.account)
    assert log is not None
    return identity, log


def _take_allowance(throttle: Throttle, caller: UserId, target: UserId, cost: int) -> None:
    """Count what is asked for, all of it or nothing; raises KeysLater."""
    allowances = (
        (("keys asked", caller), ASKED),
        (("keys taken", target), TAKEN),
        (("keys taken", target, caller), TAKEN_BY_ONE),
    )
    if wait := max(throttle.peek(key, rate, cost) for key, rate in allowances):
        raise KeysLater(retry_after=wait)
    for key, rate in allowances:
        throttle.take(key, rate, cost)


def _tell_low(hub: Hub, user: UserId, low: Sequence[tuple[DeviceId, int]]) -> None:
    for device, left in low:
        frame = event_frame(messages.KEYS_LOW.name, messages.KeysLow(left=left))
        hub.tell_device(user, device, frame)


def count(call: Call, _request: messages.CountKeys) -> Read[KeysLeft]:
    """Count what is left of the caller's device."""
    session, now = call.session, call.now

    def query(connection: Connection) -> KeysLeft:
        identity = identities.proven(connection, session.id)
        if identity is None:
            raise DeviceUnproven
        return KeysLeft(*tables.waiting(connection, identity, now))

    return Read(query)
