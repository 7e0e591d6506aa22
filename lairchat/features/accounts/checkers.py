"""Proves who calls, for twisted.cred: by the derived secret, or by a session token.

Both count, or use up, what they judge in the writer's transaction before they answer, so that no
number of guesses at once gets past a count.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from lairchat.core.admission import source_of
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel, event_frame
from lairchat.core.portal import Caller, IDerivedSecret, ISessionToken
from lairchat.features.accounts import rules, tables
from lairchat.features.accounts.hashing import BUSY_SECONDS, Hashing
from lairchat.features.accounts.messages import SESSION_ENDED, SessionEnded
from lairchat.features.accounts.rules import Attempts, Standing
from lairchat.features.accounts.tables import Account, StoredSession
from lairchat.model import limits
from lairchat.model.ids import SessionId, UserId
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import (
    AuthBusy,
    AuthDelay,
    AuthFailed,
    AuthReused,
    AuthToken,
)


class Proven(Caller):
    """Somebody who knew the secret of an account.

    evidence: the hash that was verified; what follows asks whether it still is the account's.
    attempt: how many failures there are with this try, if it should turn out to be one.
    keys: under which it was counted, to be cleared.
    """

    __slots__ = ("attempt", "evidence", "keys")

    def __init__(self, account: Account, attempt: int, keys: Sequence[bytes]) -> None:
        super().__init__(account.id, account.name, account.role)
        self.evidence = account.secret
        self.attempt = attempt
        self.keys = keys


class Resumed(Caller):
    """Somebody who had a session's token; ``token`` is the one for next time."""

    __slots__ = ("token",)

    def __init__(self, account: Account, session: StoredSession, token: bytes) -> None:
        super().__init__(account.id, account.name, account.role, session.id, session.device)
        self.token = token


class _Counted(NamedTuple):
    account: Account | None
    attempt: int


def wrong(name: str, attempt: int) -> AuthFailed:
    """Return the refusal of a wrong secret, the same whether there is such an account or not."""
    free = limits.LOGIN_FAILURES_FREE
    return AuthFailed(name=name, attempt=min(attempt, free), limit=free)


@implementer(ICredentialsChecker)
class SecretChecker:
    """Checks a name and a derived secret; delays whoever guesses.

    A guess counts as failed before it is judged: the count is durable and cannot be outrun by
    guesses at once.  Whoever turns out to be right clears it.
    """

    log = Logger()
    credentialInterfaces = (IDerivedSecret,)

    def __init__(self, kernel: Kernel, hashing: Hashing) -> None:
        self._kernel = kernel
        self._hashing = hashing

    def requestAvatarId(self, credentials: Any) -> Any:
        """Fire with who this is; fails with AuthFailed, AuthDelay or AuthBusy."""
        return Deferred.fromCoroutine(self._judge(credentials))

    async def _judge(self, credentials: Any) -> Proven:
        if self._hashing.full:
            raise AuthBusy(retry_after=BUSY_SECONDS)
        storage, now = self._kernel.storage, self._kernel.now()
        keys = rules.attempt_keys(name_key(credentials.name), source_of(credentials.address))
        account, attempt = await storage.call(
            lambda connection: _count(connection, credentials.name, keys, now)
        )
        try:
            known = account.secret if account is not None else None
            right = await self._hashing.verify(credentials.secret, known)
        except AuthBusy:
            await storage.call(lambda connection: _take_back(connection, keys))
            raise
        if account is None or not right:
            self.log.info(
                "a login failed (user {user}, failure {failures})",
                user=None if account is None else account.id,
                failures=attempt,
            )
            raise wrong(credentials.name, attempt)
        return Proven(account, attempt, keys)


def _kept(connection: Connection, keys: Sequence[bytes]) -> list[Attempts]:
    found = tables.attempts(connection, keys)
    return [Attempts(*found[key]) if key in found else rules.NO_ATTEMPTS for key in keys]


def _count(connection: Connection, name: str, keys: Sequence[bytes], now: int) -> _Counted:
    """Count a guess as failed and return the account; raises AuthDelay if it comes too early."""
    account = tables.account_by_name(connection, name)
    counts = [rules.remembered(kept, now) for kept in _kept(connection, keys)]
    wait = max(rules.wait_of(count, now) for count in counts)
    if wait:
        raise AuthDelay(retry_after=wait / 1000)
    counts = [
        rules.failed(count, now, free) for count, free in zip(counts, rules.FREE, strict=True)
    ]
    for key, count in zip(keys, counts, strict=True):
        tables.keep_attempts(connection, key, *count)
    return _Counted(account, counts[0].failures)


def _take_back(connection: Connection, keys: Sequence[bytes]) -> None:
    """Uncount a guess that nobody had time to judge."""
    for key, kept, free in zip(keys, _kept(connection, keys), rules.FREE, strict=True):
        tables.keep_attempts(connection, key, *rules.taken_back(kept, free))


@implementer(ICredentialsChecker)
class TokenChecker:
    """Checks a session's token and replaces it; a token that should be gone ends the session."""

    log = Logger()
    credentialInterfaces = (ISessionToken,)

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def requestAvatarId(self, credentials: Any) -> Any:
        """Fire with who this is; fails with AuthToken, AuthReused, AuthLocked or AuthBanned."""
        return Deferred.fromCoroutine(self._judge(credentials))

    async def _judge(self, credentials: Any) -> Resumed:
        kernel = self._kernel
        now, proof = kernel.now(), kernel.random(rules.PROOF_BYTES)
        outcome = await kernel.storage.call(
            lambda connection: _use(kernel, connection, credentials.token, proof, now)
        )
        if isinstance(outcome, Resumed):
            return outcome
        self.log.warn(
            "session {session} of user {user} ended: a copy of its token was used",
            session=outcome.id,
            user=outcome.user,
        )
        refusal = AuthReused()
        close_sessions(kernel.hub, outcome.user, [outcome.id], refusal)
        raise refusal


def _use(
    kernel: Kernel, connection: Connection, token: bytes, proof: bytes, now: int
) -> Resumed | StoredSession:
    """Use a token and set the next one; return the session that was ended if it was a copy."""
    given = rules.take_apart(token)
    session = tables.session_by_lookup(connection, given.lookup)
    if session is None or rules.is_idle(session.used, now):
        raise AuthToken
    account = tables.account_by_id(connection, session.user)
    assert account is not None  # a foreign key
    account.require_unlocked(now)
    kernel.admitting(connection, account.id)
    if rules.standing(given.digest, session.current, session.next) is Standing.COPIED:
        tables.end_sessions(connection, [session.id])
        return session
    fresh = given.lookup + proof
    following = rules.take_apart(fresh).digest
    tables.rotate_session(connection, session.id, current=given.digest, next=following, now=now)
    return Resumed(account, session, fresh)


def close_sessions(
    hub: Hub, user: UserId, ended: Sequence[SessionId], why: Refusal, but: object = None
) -> None:
    """Tell the live connections of ended sessions so, and close them, within this turn.

    but: the connection that asked for it; it gets its answer instead of the event.
    """
    if not ended:
        return
    notice = event_frame(SESSION_ENDED.name, SessionEnded(code=why.code, text=why.text))
    for peer in hub.peers_of(user):
        if peer is not but and peer.session is not None and peer.session.id in ended:
            peer.push(notice)
    hub.close_sessions(user, lambda session: session.id in ended, why.code, why.text)
