"""What decides about logging in and registering, without a database or a clock.

Times are ms since 1970, as they are stored; delays that go to a client are seconds.
"""

import hmac
from enum import Enum, StrEnum
from hashlib import sha256
from typing import NamedTuple

from lairchat.model import limits
from lairchat.model.ids import UserId
from lairchat.model.names import name_key
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.refusals import InviteBad, OnOwnAccount, RegistrationClosed
from lairchat.model.roles import ServerRole

# -- failed logins ---------------------------------------------------------------------------------


class Attempts(NamedTuple):
    """Failed logins that are counted together.

    failures: how many.  last: when the last one was.  until: when the next one may be tried.
    """

    failures: int = 0
    last: int = 0
    until: int = 0


NO_ATTEMPTS = Attempts()


def delay_after(failures: int, free: int) -> int:
    """Return the ms to wait after so many failures, of which ``free`` cost nothing.

    Doubles from LOGIN_DELAY_SECONDS_MIN to LOGIN_DELAY_SECONDS_MAX.
    """
    if failures < free:
        return 0
    # The exponent is bounded first: nobody may make us compute 2 ** 1,000,000.
    doublings = min(failures - free, 16)
    return 1000 * min(limits.LOGIN_DELAY_SECONDS_MIN << doublings, limits.LOGIN_DELAY_SECONDS_MAX)


def remembered(kept: Attempts, now: int) -> Attempts:
    """Return what still counts of failures kept earlier: nothing after a day of peace."""
    stale = kept.last + limits.LOGIN_ATTEMPTS_KEPT_SECONDS * 1000 <= now
    return NO_ATTEMPTS if stale else kept


def wait_of(kept: Attempts, now: int) -> int:
    """Return the ms until the next try; 0 when it may be made now.

    Failures from the future mean that the clock was set back: they still count, but nobody waits
    for a time that may be years away.
    """
    return max(0, kept.until - now) if kept.last <= now else 0


def failed(kept: Attempts, now: int, free: int) -> Attempts:
    """Return the count with one failure more, at ``now``."""
    failures = kept.failures + 1
    return Attempts(failures, now, now + delay_after(failures, free))


def taken_back(kept: Attempts, free: int) -> Attempts:
    """Return the count without its last failure, which was never judged."""
    failures = max(0, kept.failures - 1)
    until = kept.until if delay_after(failures, free) else 0
    return Attempts(failures, kept.last, until)


def attempt_keys(name_key: str, source: str) -> tuple[bytes, bytes]:
    """Return under which keys a login by this name from this source is counted.

    The first is for the name and the source (core.admission.source_of), the second for the name
    from wherever.
    """
    name = sha256(name_key.encode("utf-8", "surrogatepass")).digest()
    place = sha256(source.encode("utf-8", "surrogatepass")).digest()
    return sha256(b"name+source" + name + place).digest(), sha256(b"name" + name).digest()


FREE = (limits.LOGIN_FAILURES_FREE, limits.LOGIN_FAILURES_FREE_ACCOUNT)
"""Failures without delay for each of :func:`attempt_keys`.

The second is what stops a guesser who has many addresses; it is laxer, because it also delays the
account's owner, on devices without a session.
"""


# -- registering -----------------------------------------------------------------------------------


class Registration(StrEnum):
    """Who may make an account."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


class Invitation(NamedTuple):
    """What an invite grants, and whether it still does.

    personal: an operator has made it for one name, and that also on a server closed to others.
    """

    role: ServerRole
    uses: int
    expires: int
    personal: bool = False

    def works(self, now: int) -> bool:
        """Say whether it can be used at this time."""
        return self.uses > 0 and now < self.expires


def role_of_newcomer(
    mode: Registration, *, coded: bool, invitation: Invitation | None, now: int
) -> ServerRole:
    """Return what somebody who registers becomes.

    coded: whether a code was given at all; invitation: what it names, if anything.
    Raises RegistrationClosed without a code where one is needed, or where none helps; InviteBad
    for a code that does not work, also on an open server: whoever has a link expects what it
    grants, and must not get less without a word.
    """
    if not coded:
        if mode is not Registration.OPEN:
            raise RegistrationClosed
        return ServerRole.USER
    if invitation is None or not invitation.works(now):
        raise InviteBad(field="$.invite")
    welcome = invitation.personal or invitation.role is ServerRole.OWNER
    if mode is Registration.CLOSED and not welcome:
        raise RegistrationClosed
    return invitation.role


def require_over(
    actor: UserId, role: ServerRole, target: UserId, target_role: ServerRole, *, own: bool = False
) -> None:
    """Refuse to lock, ban, or change the keys of, an account that rank protects.

    own: whether one may do it to oneself.  Raises Denied, OnOwnAccount.
    """
    if actor == target:
        if not own:
            raise OnOwnAccount(field="$.name")
        return
    refusal = may_server(ServerAction.GOVERN, role, target=target_role)
    if refusal is not None:
        raise refusal


def require_revocable(
    actor: UserId,
    role: ServerRole,
    maker: UserId | None,
    maker_role: ServerRole,
    *,
    resets: bool,
) -> None:
    """Refuse to withdraw a link that rank protects; one's own are one's own to withdraw.

    maker: None for the host's operator, who ranks with owners.
    resets: it sets a password anew, which is for administrators alone.  Raises Denied.
    """
    if actor == maker:
        return
    needed = [may_server(ServerAction.REVOKE_INVITE, role, target=maker_role)]
    if resets:
        needed.append(may_server(ServerAction.GOVERN, role))
    for refusal in needed:
        if refusal is not None:
            raise refusal


def link_stands(
    maker: ServerRole | None,
    *,
    grants: ServerRole,
    named: bool,
    resets: ServerRole | None,
    own: bool,
) -> bool:
    """Say whether who made a link may still make it: otherwise it would outlive that right.

    maker: the role now; None for one who is locked, banned or gone.
    grants, named: what it makes of a newcomer, and whether it is kept for a name.
    resets: the role of the account whose password it sets, None where it makes an account.
    own: that account is the maker's.
    """
    if maker is None:
        return False
    if resets is not None:
        return own or may_server(ServerAction.GOVERN, maker, target=resets) is None
    if named:
        return may_server(ServerAction.SET_SERVER_ROLE, maker, granted=grants) is None
    return may_server(ServerAction.CREATE_INVITE, maker) is None


def same_name(one: str, other: str) -> bool:
    """Say whether two names are the same account's."""
    return name_key(one) == name_key(other)


def hashed_code(code: str) -> bytes:
    """Return what is kept of an invite code in its normal form; 130 random bits need no salt."""
    return sha256(code.encode("ascii")).digest()


# -- sessions --------------------------------------------------------------------------------------

LOOKUP_BYTES = 16
"""bytes: the part of a token that finds its session, stored as it is."""
PROOF_BYTES = 32
"""bytes: the part of a token that proves it, stored as a hash."""


class Token(NamedTuple):
    """A session token taken apart: where it is found, and the SHA-256 of what proves it."""

    lookup: bytes
    digest: bytes


def take_apart(token: bytes) -> Token:
    """Return the two parts of a session token of 48 bytes."""
    return Token(token[:LOOKUP_BYTES], sha256(token[LOOKUP_BYTES:]).digest())


class Standing(Enum):
    """What a token is to its session."""

    CURRENT = "current"
    """Given out last but one, or the only one so far: its successor may never have arrived."""
    NEXT = "next"
    """Given out last; by using it its owner shows to have it."""
    COPIED = "copied"
    """Given out earlier: only a copy can still be in use."""


def standing(digest: bytes, current: bytes, next: bytes | None) -> Standing:  # noqa: A002
    """Judge a token by its digest, in constant time."""
    is_current = hmac.compare_digest(digest, current)
    is_next = hmac.compare_digest(digest, next if next is not None else bytes(len(digest)))
    if is_current:
        return Standing.CURRENT
    return Standing.NEXT if is_next and next is not None else Standing.COPIED


def is_idle(used: int, now: int) -> bool:
    """Say whether a session that was used last at ``used`` is over."""
    return used < idle_before(now)


def idle_before(now: int) -> int:
    """Return the time before which a session must have been used to be over now."""
    return now - limits.SESSION_IDLE_SECONDS * 1000
