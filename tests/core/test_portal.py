"""The portal: checkers are found by what they check, and nothing else gets in."""

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnhandledCredentials
from twisted.cred.portal import IRealm
from twisted.internet.interfaces import IProtocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from lairchat.core.measures import Measures
from lairchat.core.portal import (
    RESULTS,
    Caller,
    DerivedSecret,
    ICaller,
    IDerivedSecret,
    ISessionToken,
    Realm,
    SessionToken,
    make_portal,
)
from lairchat.model import refusals
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole


@implementer(ICredentialsChecker)
class Believer:
    """Believes every token."""

    credentialInterfaces = (ISessionToken,)

    def requestAvatarId(self, credentials):
        return Caller(
            UserId(7), "alice", ServerRole.USER, SessionId(3), DeviceId(credentials.token[0])
        )


class PortalTests(TestCase):
    def setUp(self):
        self.measures = Measures()
        self.portal = make_portal((Believer(),), self.measures)

    def test_the_parts_are_what_they_say(self):
        verifyObject(IRealm, Realm())
        verifyObject(ICaller, Caller(UserId(1), "alice", ServerRole.USER))
        verifyObject(IDerivedSecret, DerivedSecret("alice", bytes(32), "192.0.2.1"))
        verifyObject(ISessionToken, SessionToken(bytes(48)))

    def test_a_checker_proves_the_credentials_that_it_knows(self):
        interface, caller, logout = self.successResultOf(
            self.portal.login(SessionToken(b"\5" * 48), None, ICaller)
        )
        self.assertIs(interface, ICaller)
        self.assertEqual(
            (caller.user, caller.name, caller.role, caller.session, caller.device),
            (7, "alice", ServerRole.USER, 3, 5),
        )
        self.assertIsNone(logout())

    def test_nobody_proves_what_no_checker_knows(self):
        secret = DerivedSecret("alice", bytes(32), "192.0.2.1")
        self.failureResultOf(self.portal.login(secret, None, ICaller), UnhandledCredentials)

    def test_what_came_of_each_attempt_is_counted(self):
        class Doubter:
            credentialInterfaces = (IDerivedSecret,)

            def requestAvatarId(self, credentials):
                raise refusals.AuthDelay(retry_after=9)

        self.assertLessEqual(set(RESULTS.values()), set(self.measures.logins.counts))
        portal = make_portal(
            (Believer(), implementer(ICredentialsChecker)(Doubter)()), self.measures
        )
        self.successResultOf(portal.login(SessionToken(b"\5" * 48), None, ICaller))
        secret = DerivedSecret("alice", bytes(32), "192.0.2.1")
        self.failureResultOf(portal.login(secret, None, ICaller), refusals.AuthDelay)
        self.failureResultOf(self.portal.login(secret, None, ICaller), UnhandledCredentials)
        counted = {result: n for result, n in self.measures.logins.counts.items() if n}
        self.assertEqual(counted, {"ok": 1, "delayed": 1, "failed": 1})
        self.assertEqual(self.measures.limited.counts["login"], 1)

    def test_the_realm_knows_callers_only(self):
        self.failureResultOf(
            self.portal.login(SessionToken(bytes(48)), None, IProtocol), NotImplementedError
        )
        self.assertRaises(NotImplementedError, Realm().requestAvatar, b"alice", None, ICaller)

    def test_credentials_say_whose_they_are_and_never_what(self):
        self.assertEqual(
            repr(DerivedSecret("alice", b"s" * 32, "192.0.2.1")),
            "<DerivedSecret 'alice' (secret redacted)>",
        )
        self.assertEqual(repr(SessionToken(b"t" * 48)), "<SessionToken (redacted)>")
