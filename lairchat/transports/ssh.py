"""The operators' door over SSH: Conch with less of everything, and with bounds.

Of the protocol only what an operator needs is there: one kind of host key, no password, no
compression, no forwarding, agent, environment or file transfer; algorithms without a known flaw.
Promises not to know: what a command does, which keys belong to whom.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.conch.ssh.transport import (
    DISCONNECT_BY_APPLICATION,
    DISCONNECT_PROTOCOL_ERROR,
    SSHServerTransport,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.core.admission import Admission, source_of
from lairchat.core.portal import Caller, KnownKey
from lairchat.core.throttle import Rate, Throttle
from lairchat.model import limits, refusals
from lairchat.model.ids import UserId
from lairchat.model.refusal import Refusal
from lairchat.model.text import display_clip
from lairchat.transports.deadlines import Deadlines
from lairchat.transports.listen import ChatListener
from lairchat.transports.ssh_auth import KeyAuthentication
from lairchat.transports.ssh_keys import SIGNATURES, HostKey, fingerprint_of
from lairchat.transports.ssh_session import CONCH_LOG, OperatorConnection, Programs

AUTHENTICATION = b"ssh-userauth"
KEY_EXCHANGES = (
    b"mlkem768x25519-sha256",
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
)
CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
MACS = (b"hmac-sha2-512", b"hmac-sha2-256")
SWEEP_SECONDS = 1.0
ARRIVALS = Rate(burst=limits.SSH_ARRIVALS, per_second=limits.SSH_ARRIVALS_PER_SECOND)


class Prove(Protocol):
    """Finds out whose key it is."""

    def __call__(self, key: KnownKey) -> "Deferred[Caller]":
        """Fire with who may come in with this key; fail with a Refusal or UnauthorizedLogin."""


@implementer(IPushProducer)
class OperatorTransport(SSHServerTransport):
    """One connection, from its first byte.

    caller, key: who has proven to be at the other end, and how; None before that.
    failures: keys that were proven and not accepted, or not proven.
    closing: a goodbye has been sent; nothing more is read.
    blocked: the client does not read as fast as we write.
    """

    log = Logger()
    factory: "SshFactory"  # type: ignore[assignment] # Conch's own is what ours replaces
    transport: Any
    service: Any

    supportedKeyExchanges = [
        name for name in KEY_EXCHANGES if name in SSHServerTransport.supportedKeyExchanges
    ]
    supportedCiphers = list(CIPHERS)
    supportedMACs = list(MACS)
    supportedPublicKeys = [b"ssh-ed25519"]
    supportedCompressions = [b"none"]  # a stranger's few bytes could become gigabytes
    ourVersionString = b"SSH-2.0-lairchat"

    def __init__(self, factory: "SshFactory", host: str) -> None:
        self.factory = factory
        self.host = host
        self.caller: Caller | None = None
        self.key: KnownKey | None = None
        self.failures = 0
        self.closing = False
        self.blocked = False
        self.heard = factory.clock.seconds()
        self.asked = False  # for a sign of life
        self._log = CONCH_LOG

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Start the clock of authentication, and the key exchange."""
        self.factory.strangers.add(self)
        self.transport.registerProducer(self, True)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; whatever is wrong with them ends the connection, not more."""
        if self.closing:
            return
        self.heard = self.factory.clock.seconds()
        self.asked = False
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - Conch's parsers raise what they like
            self._broke(error)
        else:
            if len(self.buf) > limits.SSH_PACKET_BYTES and not self.closing:
                self._broke(ValueError("packet too large"))

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """Forget the connection everywhere."""
        self.closing = True
        self.factory.gone(self)
        if self.caller is not None:
            self.log.info(
                "{name} left the shell, from {source}",
                name=self.caller.name,
                source=source_of(self.host),
            )
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """Read nothing from a client that does not read: each of its packets may have an answer."""
        self.blocked = True
        if not self.closing:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again, and write what was held back."""
        self.blocked = False
        if not self.closing:
            self.transport.resumeProducing()
            if isinstance(self.service, OperatorConnection):
                self.service.unblocked()

    def stopProducing(self) -> None:
        """Nothing to stop: connectionLost follows."""

    # -- packets

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Hand on a packet, unless a goodbye was said already."""
        if not self.closing:
            super().dispatchMessage(messageNum, payload)  # type: ignore[no-untyped-call]

    def ssh_KEXINIT(self, packet: bytes) -> None:
        """Exchange keys, but only once with a stranger: each time costs a signature."""
        if self.sessionID is not None and self.caller is None:
            raise ValueError("a second key exchange before authentication")
        super().ssh_KEXINIT(packet)

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:  # noqa: ARG002
        """Tell how operators may sign (RFC 8308); Conch would name the host key's way."""
        ways = [(b"server-sig-algs", b",".join(SIGNATURES))]
        super().sendExtInfo(ways)  # type: ignore[no-untyped-call]

    def receiveError(self, reasonCode: int, description: bytes) -> None:  # noqa: ARG002
        """Take the client's goodbye: nothing for the log, least of all in its own words."""
        self.closing = True

    def receiveUnimplemented(self, seqnum: int) -> None:
        """Take no notice."""

    def receiveDebug(self, alwaysDisplay: bool, message: bytes, lang: bytes) -> None:
        """Take no notice."""

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Say why, and close; who does not read that is cut."""
        if self.closing:
            return
        self.transport.unregisterProducer()  # a paused one would keep the connection open
        super().sendDisconnect(reason, desc)  # type: ignore[no-untyped-call]
        self.closing = True
        self.factory.closings.add(self)

    def _broke(self, error: Exception) -> None:
        """End what breaks the protocol; a stranger is charged for it."""
        self.log.info(
            "SSH protocol error from {source}: {kind} {why}",
            source=source_of(self.host),
            kind=type(error).__name__,
            why=display_clip(str(error), limits.VALUE_CHARS),
        )
        self.log.debug("{trace}", trace=Failure(error).getTraceback())
        if self.caller is None:
            self.factory.admission.penalise(self.host)
        self.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"protocol error")

    # -- who is at the other end

    def admit(self, caller: Caller, key: KnownKey) -> None:
        """Let somebody in who has proven who they are."""
        self.caller, self.key = caller, key
        self.factory.known(self)
        self.setService(OperatorConnection(self.factory.programs, caller, self.host))
        self.log.info(
            "{name} opened the shell with key {key} from {source}",
            name=caller.name,
            key=fingerprint_of(key.blob),
            source=source_of(self.host),
        )

    def end(self, why: Refusal) -> None:
        """Say why it is over, and close."""
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, str(why).encode())

    def cut(self) -> None:
        """Close without a word."""
        self.closing = True
        self.transport.abortConnection()


@implementer(IProtocolFactory)
class SshFactory(Factory):
    """Makes a transport for each connection, and ends those that may not go on.

    host_key: how operators know the server.
    prove: finds out whose key it is.
    programs: what can be run on a session.
    admission, throttle: how many strangers an address may be, shared with the other doors, and how
        fast they may come here.
    banned: why an address may not come in, or None.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        host_key: HostKey,
        *,
        prove: Prove,
        programs: Programs,
        admission: Admission,
        throttle: Throttle,
        banned: Callable[[str], Refusal | None],
        clock: IReactorTime,
    ) -> None:
        self.publicKeys = {b"ssh-ed25519": host_key.public}
        self.privateKeys = {b"ssh-ed25519": host_key.key}
        self.prove = prove
        self.programs = programs
        self.admission = admission
        self.throttle = throttle
        self.banned = banned
        self.clock = clock
        self.live: dict[OperatorTransport, None] = {}
        # Absolute, from the first byte: neither a slow handshake nor ever more keys prolong it.
        self.strangers = Deadlines[OperatorTransport](
            clock, limits.AUTHENTICATION_SECONDS, OperatorTransport.cut
        )
        self.closings = Deadlines[OperatorTransport](
            clock, limits.STOP_SECONDS, OperatorTransport.cut
        )

    def buildProtocol(self, addr: Any) -> OperatorTransport | None:  # type: ignore[override]
        """Accept a connection, unless its source has too many, is too fast or banned."""
        host = getattr(addr, "host", "") or "local"
        if self.banned(host) is not None or self._too_fast(host):
            return None
        if self.admission.arrive(host) is not None:
            return None
        transport = OperatorTransport(self, host)
        self.live[transport] = None
        return transport

    def _too_fast(self, host: str) -> bool:
        if self.admission.exempts(host):
            return False
        return self.throttle.take(("ssh", source_of(host)), ARRIVALS) > 0

    def getService(self, transport: OperatorTransport, name: bytes) -> type[Any] | None:
        """Return what may be asked for: authentication, once, when the keys are in use."""
        encrypted = transport.sessionID is not None and transport.isEncrypted("both")
        fresh = transport.caller is None and transport.service is None
        return KeyAuthentication if name == AUTHENTICATION and encrypted and fresh else None

    def known(self, transport: OperatorTransport) -> None:
        """Note that somebody has authenticated."""
        self.strangers.discard(transport)
        self.admission.authenticated(transport.host)
        self.throttle.forget(("ssh", source_of(transport.host)))

    def gone(self, transport: OperatorTransport) -> None:
        """Forget a connection that has closed, and charge its source for what came to nothing."""
        self.live.pop(transport, None)
        self.strangers.discard(transport)
        self.closings.discard(transport)
        if transport.caller is None:
            self.admission.leave(transport.host)
            # The first wrong key is paid for with the connection.
            for _ in range(transport.failures - 1):
                self.admission.penalise(transport.host)

    def operators(self) -> list[OperatorTransport]:
        """Return the connections of those who are in."""
        return [one for one in self.live if one.caller is not None and not one.closing]

    def guests(self) -> list[tuple[UserId, str]]:
        """Return who is in, and from where, once for each connection."""
        return [(one.caller.user, one.host) for one in self.operators() if one.caller is not None]

    def standing_changed(self, user: UserId) -> None:
        """Ask again whether somebody may be in, for a lock, a ban, a role, a key has changed."""
        for transport in self.operators():
            if transport.caller is not None and transport.caller.user == user:
                proving = Deferred.fromCoroutine(self._prove_anew(transport))
                proving.addErrback(lambda failure: self.log.failure("not proven anew", failure))

    async def _prove_anew(self, transport: OperatorTransport) -> None:
        """End a connection that its key would not open any more, or not for as much."""
        before, key = transport.caller, transport.key
        assert before is not None
        assert key is not None
        try:
            caller = await self.prove(key)
        except UnauthorizedLogin:
            transport.end(refusals.SshEnded())
        except Refusal as refusal:
            if not refusal.code.startswith("LC-STORE"):  # a full disk takes nobody's rights away
                transport.end(refusal)
        else:
            if caller.user != before.user or caller.role < before.role:
                transport.end(refusals.SshEnded())

    def bans_changed(self) -> None:
        """Ask again for every connection whether its address may be here."""
        for transport in list(self.live):
            refusal = self.banned(transport.host)
            if refusal is not None:
                transport.end(refusal)

    def sweep(self) -> None:
        """Look after who is in: whether they are still there."""
        now = self.clock.seconds()
        for transport in self.operators():
            silent = now - transport.heard
            if silent > limits.IDLE_SECONDS:
                transport.cut()
            elif silent > limits.PING_SECONDS and not transport.asked:
                transport.asked = True
                transport.service.ask_for_life()


class SshService(Service):
    """Listens for operators, and sends them away when the server stops."""

    log = Logger()

    def __init__(self, listener: ChatListener, factory: SshFactory) -> None:
        self.listener = listener
        self.factory = factory
        self._loop = LoopingCall(self._sweep)
        self._loop.clock = factory.clock

    def privilegedStartService(self) -> None:
        """Listen while the process may still have root's rights."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self.listener.privilegedStartService()

    def startService(self) -> None:
        """Look after the connections from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        self.listener.startService()
        self._loop.start(SWEEP_SECONDS, now=False)

    def stopService(self) -> "Deferred[None]":
        """Accept no more, tell everybody, and close; bounded by half of STOP_SECONDS."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def _sweep(self) -> None:
        try:
            self.factory.sweep()
        except Exception:  # noqa: BLE001 - one failure is logged and does not end the period
            self.log.failure("looking after the shells failed")

    async def _stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        await self.listener.stopService()
        factory = self.factory
        for transport in list(factory.live):
            transport.end(refusals.ShuttingDown(retry_after=limits.RECONNECT_SECONDS_MIN))
        deadline = factory.clock.seconds() + limits.STOP_SECONDS / 2
        while factory.live and factory.clock.seconds() < deadline:
            await deferLater(factory.clock, 0.02)
        for transport in list(factory.live):
            transport.cut()
