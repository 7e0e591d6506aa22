"""This device's key packages: kept here with their private keys, then brought to the server.

Fifty that are given out once, and one of last resort, which is made anew each week and whose private
key is erased after a month at the latest (``Store.expire``).
"""

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.features.key_packages import messages as wire
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.objects import BasicCredential, KeyPackage, Lifetime
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.refusal import Refusal
from lairchat.trust.policy import CAPABILITIES, head_extension

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

LAST_RESORT_ROTATED_MS: Final = 7 * limits.DAY * 1000
"""ms: how old a key package of last resort becomes before another takes its place."""


class Packages:
    """Keeps the server supplied with key packages of this device."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def make(self, *, last_resort: bool = False) -> OwnKeyPackage:
        """Return a key package of this device; the caller keeps it before anybody hears of it."""
        own = self._sealed.require_own()
        now = self._sealed.link.server_now() // 1000
        seconds = limits.LAST_RESORT_SECONDS if last_resort else limits.KEY_PACKAGE_SECONDS
        # The lifetime begins earlier by as much as somebody's clock may be behind.
        lifetime = Lifetime(
            max(0, now - limits.KEY_PACKAGE_SKEW_SECONDS),
            now + seconds - 2 * limits.KEY_PACKAGE_SKEW_SECONDS,
        )
        return make_key_package(
            HYBRID,
            BasicCredential(own.identity.encode()),
            own.signing.reveal(),
            lifetime,
            self._sealed.random,
            capabilities=CAPABILITIES,
            leaf_extensions=(head_extension(self._sealed.device.account_log.head),),
        )

    def wake(self) -> None:
        """Bring what the server lacks; again later if it says when."""
        Deferred.fromCoroutine(self.refill()).addErrback(self._not_brought)

    def _not_brought(self, failure: Failure) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("key packages could not be brought", failure)
        elif refusal.retry_after is not None:
            self._sealed.later(refusal.retry_after, self.wake)
        else:
            self.log.info("key packages were not brought: {code}", code=refusal.code)

    async def refill(self) -> None:
        """Bring what the server lacks; raises a Refusal."""
        keys = self._sealed.opened.keys
        await self._upload(last_resort=False)
        left: wire.KeysLeft = await self._sealed.ask(wire.COUNT, wire.CountKeys())
        missing = limits.KEY_PACKAGES - left.one_time
        while missing > 0:
            count = min(missing, limits.KEY_PACKAGES_AT_ONCE)
            made = [self.make() for _ in range(count)]
            keys.keep(made, self._sealed.now())
            await self._upload(last_resort=False)
            missing -= count
        await self._last_resort(left.last_resort)

    async def _last_resort(self, until: int | None) -> None:
        """Bring another one of last resort if there is none, or the one there is has been long out."""
        now = self._sealed.link.server_now()
        fresh = 1000 * limits.LAST_RESORT_SECONDS - LAST_RESORT_ROTATED_MS
        if until is not None and until - now > fresh:
            return
        self._sealed.opened.keys.keep(
            [self.make(last_resort=True)], self._sealed.now(), last_resort=True
        )
        await self._upload(last_resort=True)

    async def _upload(self, *, last_resort: bool) -> None:
        keys = self._sealed.opened.keys
        waiting = keys.to_upload(last_resort=last_resort)
        at_once = 1 if last_resort else limits.KEY_PACKAGES_AT_ONCE
        for start in range(0, len(waiting), at_once):
            part = waiting[start : start + at_once]
            await self._sealed.ask(wire.PUBLISH, wire.PublishKeys(part, last_resort))
            keys.uploaded(KeyPackage.decode(one).reference(HYBRID) for one in part)
