"""How the link logs in: by the session it has, or by asking the user until the server agrees.

Promises not to know: the screen; what a password looks like once its keys are derived.
"""

import platform
from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.client import effects, inputs
from lairchat.client.profile import Session
from lairchat.client.secret import Secret
from lairchat.features.accounts import messages as accounts
from lairchat.model import faults, limits, refusals
from lairchat.model.names import check_label
from lairchat.model.refusal import Refusal
from lairchat.trust.password import Keys
from lairchat.wire.objects import ServerHello

if TYPE_CHECKING:
    from lairchat.client.link import Link


class Claim:
    """What the user wants to be: derived keys instead of the password.

    invite: None to log in; otherwise the code to register with, "" where none is needed.
    unanswered: it was sent, and the connection was lost before the answer.
    """

    __slots__ = ("invite", "keys", "name", "unanswered")

    def __init__(self, name: str, keys: Keys, invite: str | None) -> None:
        self.name = name
        self.keys = keys
        self.invite = invite
        self.unanswered = False


class Authentication:
    """Logs the link in, on each of its connections."""

    log = Logger()

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._claim: Claim | None = None
        self._given: effects.Login | effects.Register | None = None
        self._server_key = b""

    def keep(self, effect: effects.Effect) -> None:
        """Keep an answer for which there is no connection at this moment; the latest counts."""
        if isinstance(effect, effects.Login | effects.Register):
            if self._given is not None:
                self._given.password.clear()
            self._given, self._claim = effect, None

    async def log_in(self, hello: ServerHello) -> None:
        """Log this connection in; raises what ends the attempt."""
        link = self._link
        self._server_key = hello.identity.key
        target = link.target
        account = target.account or link.known.account(target.host, target.port) or ""
        wanted = self._given is not None or self._claim is not None
        if account and not target.code and link.profile is None and not wanted:
            link.take_profile(account)
        if link.profile is not None and not wanted and await self._resume():
            return
        await self._ask(hello, account)

    async def _resume(self) -> bool:
        """Log in with the token that this device keeps; False when the server does not know it."""
        link = self._link
        assert link.profile is not None
        session = link.profile.session()
        if session is None:
            return False
        try:
            grant = await link.ask(accounts.RESUME, accounts.Resume(session.token))
        except (refusals.AuthToken, refusals.AuthReused) as refusal:
            link.profile.drop_session()
            link.deliver(inputs.Notice(refusal.text, refusal.code))
            return False
        self._granted(grant, session.name, None)
        return True

    async def _ask(self, hello: ServerHello, account: str) -> None:
        """Ask who to log in as until the server agrees."""
        link, asked = self._link, False
        while True:
            claim = self._claim
            try:
                if claim is None:
                    if self._given is None and not asked:
                        self._say_needed(hello, account)
                        asked = True
                    claim = self._claim = await self._next_claim()
                link.must_be_connected()
                grant = await self._submit(claim)
            except faults.NetLost:
                raise
            except Refusal as refusal:
                self._claim = None
                field = (refusal.field or "").removeprefix("$.").replace("secret", "password")
                link.deliver(inputs.AccountRefused(refusal.code, refusal.text, field))
                asked = True
                continue
            self._claim = None
            self._granted(grant, claim.name, claim.keys.vault)
            return

    def _say_needed(self, hello: ServerHello, account: str) -> None:
        link, code = self._link, self._link.target.code
        register = code or (hello.registration == "open" and not account)
        link.deliver(
            inputs.AccountNeeded(
                link.target.host,
                "register" if register else "login",
                account or link.user_name,
                code,
                hello.registration,
            )
        )

    async def _next_claim(self) -> Claim:
        """Wait for what the user types, and derive the keys; the password is gone after that."""
        while self._given is None:
            self.keep(await self._link.ask_user())
        given, self._given = self._given, None
        match given:
            case effects.Register(name, password, invite):
                return Claim(name, await self._keys(name, password), invite)
        return Claim(given.name, await self._keys(given.name, given.password), None)

    async def _keys(self, name: str, password: Secret) -> Keys:
        server = self._link.server
        assert server is not None
        try:
            return await self._link.dialer.derive(password.reveal(), server, name)
        finally:
            password.clear()

    async def _submit(self, claim: Claim) -> accounts.Grant:
        repeated, claim.unanswered = claim.unanswered, True
        if claim.invite is None:
            return await self._login(claim)
        if repeated:
            # The account may have been made by what was not answered: then this is its owner.
            try:
                return await self._login(claim)
            except refusals.AuthFailed:
                self.log.debug("the registration had not arrived")
        grant: accounts.Grant = await self._link.ask(
            accounts.REGISTER,
            accounts.Register(
                claim.name,
                claim.keys.authentication,
                device=device_label(),
                invite=claim.invite or None,
            ),
        )
        return grant

    async def _login(self, claim: Claim) -> accounts.Grant:
        grant: accounts.Grant = await self._link.ask(
            accounts.LOGIN,
            accounts.Login(claim.name, claim.keys.authentication, label=device_label()),
        )
        return grant

    def _granted(self, grant: accounts.Grant, asked: str, vault_key: bytes | None) -> None:
        link = self._link
        assert link.connection is not None
        link.connection.authenticated()
        if grant.name.lower() != asked.lower():
            # The name becomes a directory here: a server does not choose which.
            raise faults.TlsIdentity(host=link.target.host, why="it answered for another account")
        profile = link.take_profile(grant.name)
        try:
            # Kept before it is used: the one we have may be good for one more time only.
            profile.keep_session(Session(grant.name, grant.user, grant.device, grant.token))
            link.target.account, link.target.code = grant.name, ""
            link.known.used(link.target.host, link.target.port, grant.name)
        except faults.ProfileBroken as refusal:
            # A full disk is no reason not to chat: the session kept before is good once more.
            link.deliver(inputs.Notice(refusal.text, refusal.code))
        link.rooms.name = grant.name
        settings = profile.settings()
        if settings:
            link.deliver(inputs.SettingsLoaded(tuple(settings.items())))
        link.deliver(inputs.LoggedIn(grant.name, grant.user, grant.role))
        link.sealed.logged_in(grant, vault_key, self._server_key)


def device_label() -> str:
    """Return how this device calls itself: the computer's name, where that is a label."""
    try:
        return check_label((platform.node() or "terminal")[: limits.LABEL_CHARS])
    except Refusal:
        return "terminal"
