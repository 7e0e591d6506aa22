"""Which key packages are taken in, and how fast they are given out.

Pure: the bytes that came, whose they should be, and the time.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from lairchat.mls.errors import MLSError
from lairchat.mls.objects import KeyPackage, Lifetime
from lairchat.mls.rules import check_key_package
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.refusals import KeyPackageBad
from lairchat.trust.errors import TrustError
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog
from lairchat.trust.structure import check_leaf, identity_of

_AGAIN = "its key is here already"


class Checked(NamedTuple):
    """A package that may be kept: SHA-256 of its init key, until when it is good (ms), its bytes."""

    init: bytes
    expires: int
    data: bytes


class _Unfit(Exception):  # noqa: N818 - it becomes a refusal
    """What only this directory refuses."""


def check_all(
    packages: Sequence[bytes],
    identity: LeafIdentity,
    log: AccountLog,
    now: int,
    *,
    last_resort: bool,
) -> list[Checked]:
    """Return the packages of one command, each looked at; raises KeyPackageBad, which counts from 1.

    identity: the device that brings them, which is in force.  log: its account's.  now: ms since 1970.
    Whoever adds the device looks at all of it again; what is refused here would have cost them the
    attempt.
    """
    if last_resort and len(packages) != 1:
        raise KeyPackageBad(number=2, why="there is one of last resort", field="$.packages")
    most = limits.LAST_RESORT_SECONDS if last_resort else limits.KEY_PACKAGE_SECONDS
    checked: list[Checked] = []
    for number, data in enumerate(packages, 1):
        with _numbered(number):
            one = _check(data, identity, log, now // 1000, most)
            if any(other.init == one.init for other in checked):
                raise _Unfit(_AGAIN)
            checked.append(one)
    return checked


def check_devices(packages: Sequence[bytes], log: AccountLog, now: int) -> None:
    """Refuse packages unless each adds another device of an account, one in force.

    Raises KeyPackageBad, which counts from 1.  log: the account's.  now: ms since 1970.
    """
    in_force = {LeafIdentity(log.account, device.body.id) for device in log.in_force}
    for number, data in enumerate(packages, 1):
        with _numbered(number):
            identity = identity_of(KeyPackage.decode(data).leaf)
            if identity not in in_force:
                raise _Unfit("it is of no device of your account, or of one that is here already")
            in_force.remove(identity)
            _check(data, identity, log, now // 1000, limits.KEY_PACKAGE_SECONDS)


@contextmanager
def _numbered(number: int) -> Iterator[None]:
    """Say of which package something is wrong."""
    try:
        yield
    except (MLSError, TrustError, _Unfit) as error:
        raise KeyPackageBad(number=number, why=str(error), field="$.packages") from None


def _check(data: bytes, identity: LeafIdentity, log: AccountLog, now: int, most: int) -> Checked:
    package = KeyPackage.decode(data)
    check_key_package(HYBRID, package, (), now)
    if package.extensions:
        raise _Unfit("it has extensions, which none has here")
    if check_leaf(package.leaf, {log.account: log}) != identity:
        raise _Unfit("it is another device's")
    lifetime = package.leaf.source
    assert isinstance(lifetime, Lifetime), "check_key_package let it pass"
    if lifetime.not_after > now + most + limits.KEY_PACKAGE_SKEW_SECONDS:
        raise _Unfit(f"it lives longer than {most // limits.DAY} days")
    return Checked(sha256(package.init_key).digest(), lifetime.not_after * 1000, data)


def require_new(checked: Sequence[Checked], known: Collection[bytes]) -> None:
    """Refuse a key that is here already; raises KeyPackageBad.

    Whoever knows the private half of one could open two welcomes.
    """
    for number, one in enumerate(checked, 1):
        if one.init in known:
            raise KeyPackageBad(number=number, why=_AGAIN, field="$.packages")
