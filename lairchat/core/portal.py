"""Authentication through twisted.cred: one portal, checkers as plug-in points.

A checker proves who calls and returns a :class:`Caller`; the realm hands it on.
What a caller may do is decided by the command table and the rules, not here.
"""

from collections.abc import Mapping
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from lairchat.core.measures import Measures
from lairchat.model import refusals
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole


class ICaller(Interface):
    """Somebody who has proven who they are."""

    user = Attribute("UserId")
    name = Attribute("the account's name as it was registered")
    role = Attribute("ServerRole")


class IDerivedSecret(ICredentials):
    """A name and the authentication secret that the client derived from the password."""

    name = Attribute("account name, any case")
    secret = Attribute("32 bytes, see e2ee: the password itself never leaves the client")
    address = Attribute("peer address, for the login back-off")


class ISessionToken(ICredentials):
    """A session token, 32 bytes."""

    token = Attribute("32 random bytes, stored by the server as a hash only")


class IKnownKey(ICredentials):
    """A public key whose private half the caller has just proven to hold."""

    name = Attribute("account name, any case; ``admin`` for any administrator with this key")
    blob = Attribute("the public key as SSH writes it (RFC 4253, section 6.6)")


@implementer(ICaller)
class Caller:
    """A proven user; ``session`` and ``device`` are known when a token proved it."""

    __slots__ = ("device", "name", "role", "session", "user")

    def __init__(
        self,
        user: UserId,
        name: str,
        role: ServerRole,
        session: SessionId | None = None,
        device: DeviceId | None = None,
    ) -> None:
        self.user = user
        self.name = name
        self.role = role
        self.session = session
        self.device = device


@implementer(IDerivedSecret)
class DerivedSecret:
    """Credentials of a login by name; the secret stays out of repr and logs."""

    __slots__ = ("address", "name", "secret")

    def __init__(self, name: str, secret: bytes, address: str) -> None:
        self.name = name
        self.secret = secret
        self.address = address

    def __repr__(self) -> str:
        """Name the account, never the secret."""
        return f"<DerivedSecret {self.name!r} (secret redacted)>"


@implementer(ISessionToken)
class SessionToken:
    """Credentials of a reconnect; the token stays out of repr and logs."""

    __slots__ = ("token",)

    def __init__(self, token: bytes) -> None:
        self.token = token

    def __repr__(self) -> str:
        """Never show the token."""
        return "<SessionToken (redacted)>"


@implementer(IKnownKey)
class KnownKey:
    """Credentials of an SSH login; the transport has verified the signature already."""

    __slots__ = ("blob", "name")

    def __init__(self, name: str, blob: bytes) -> None:
        self.name = name
        self.blob = blob

    def __repr__(self) -> str:
        """Name the account."""
        return f"<KnownKey {self.name!r}>"


@implementer(IRealm)
class Realm:
    """Hands a proven caller on as its own avatar."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:  # noqa: ARG002
        """Return the caller for the one interface there is."""
        if ICaller not in interfaces or not isinstance(avatarId, Caller):
            raise NotImplementedError("this realm knows ICaller only")
        return ICaller, avatarId, lambda: None


#: What attempts to log in come to, as they are counted; everything else is "failed".
RESULTS: Mapping[str, str] = {
    refusals.AuthFailed.code: "wrong",
    refusals.AuthToken.code: "wrong",
    refusals.AuthDelay.code: "delayed",
    refusals.AuthBusy.code: "busy",
    refusals.AuthLocked.code: "locked",
    refusals.AuthReused.code: "reused",
}


class CountingPortal(Portal):
    """A portal that counts what came of each attempt."""

    def __init__(self, checkers: "tuple[ICredentialsChecker, ...]", measures: Measures) -> None:
        super().__init__(Realm(), checkers)
        self._measures = measures

    def login(
        self, credentials: ICredentials, mind: object, *interfaces: Any
    ) -> "Deferred[tuple[Any, Any, Any]]":
        """Prove who calls; fires or fails as the checker did."""
        attempt: Deferred[tuple[Any, Any, Any]] = super().login(credentials, mind, *interfaces)
        return attempt.addCallbacks(self._proven, self._refused)

    def _proven(self, caller: Any) -> Any:
        self._measures.logins.add("ok")
        return caller

    def _refused(self, failure: Failure) -> Failure:
        result = RESULTS.get(getattr(failure.value, "code", ""), "failed")
        self._measures.logins.add(result)
        if result == "delayed":
            self._measures.limited.add("login")
        return failure


def make_portal(checkers: "tuple[ICredentialsChecker, ...]", measures: Measures) -> Portal:
    """Build the portal over the checkers that the features bring."""
    return CountingPortal(checkers, measures)
