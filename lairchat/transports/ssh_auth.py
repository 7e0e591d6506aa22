"""Lets operators in by the key that they prove to hold: ssh-userauth (RFC 4252), nothing else of it.

Promises not to know: which keys belong to whom; the portal's checkers do.
"""

from collections import deque
from typing import TYPE_CHECKING

from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.service import SSHService
from twisted.conch.ssh.transport import (
    DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE,
    DISCONNECT_SERVICE_NOT_AVAILABLE,
)
from twisted.conch.ssh.userauth import (
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_PK_OK,
    MSG_USERAUTH_REQUEST,
    MSG_USERAUTH_SUCCESS,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from lairchat.core.admission import source_of
from lairchat.core.portal import Caller, KnownKey
from lairchat.model import limits, refusals
from lairchat.model.refusal import Refusal
from lairchat.model.text import display_clip
from lairchat.operator.cells import fold
from lairchat.transports.ssh_keys import acceptable, fingerprint_of, proves
from lairchat.transports.ssh_session import COLUMNS

if TYPE_CHECKING:
    from lairchat.transports.ssh import OperatorTransport

CONNECTION = b"ssh-connection"
PUBLIC_KEY = b"publickey"


class KeyAuthentication(SSHService):
    """Judges one client's attempts, one after the other.

    Every key of an accepted kind is asked to be proven, whether it is known or not: public keys
    are public, and nobody is to find out with them who the administrators are.
    """

    name = b"ssh-userauth"
    log = Logger()
    transport: "OperatorTransport"

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._judging = False
        self._requests = 0

    def packetReceived(self, messageNum: int, packet: bytes) -> None:
        """Take a request; what comes before the one before it is answered waits (section 5.1)."""
        if messageNum != MSG_USERAUTH_REQUEST:
            self.transport.sendUnimplemented()
            return
        self._requests += 1
        if self._requests > limits.SSH_AUTH_REQUESTS:
            self.transport.sendDisconnect(
                DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE,
                b"too many keys; name one: ssh -i KEY -o IdentitiesOnly=yes",
            )
            return
        self._waiting.append(packet)
        self._go_on()

    def serviceStopped(self) -> None:
        """Forget what waits: the client is in, or gone."""
        self._waiting.clear()

    def _go_on(self) -> None:
        while self._waiting and not self._judging and not self.transport.closing:
            self._take(self._waiting.popleft())

    def _take(self, packet: bytes) -> None:
        user, service, method, rest = getNS(packet, 3)
        if service != CONNECTION:
            self.transport.sendDisconnect(DISCONNECT_SERVICE_NOT_AVAILABLE, b"no such service")
        elif method != PUBLIC_KEY:  # "none" asks which methods there are
            self._refuse()
        else:
            has_signature = rest[0]
            algorithm, blob, rest = getNS(rest[1:], 2)
            if not acceptable(algorithm, blob):
                self._refuse()
            elif not has_signature:
                self.transport.sendPacket(MSG_USERAUTH_PK_OK, NS(algorithm) + NS(blob))
            else:
                signed = self._signed(user, algorithm, blob)
                proven = proves(algorithm, blob, getNS(rest)[0], signed)
                self._judge(user, blob if proven else None)

    def _signed(self, user: bytes, algorithm: bytes, blob: bytes) -> bytes:
        """Return what the client has to sign: this session, and the request (section 7)."""
        assert self.transport.sessionID is not None
        parts = (user, CONNECTION, PUBLIC_KEY)
        return b"".join(
            [
                NS(self.transport.sessionID),
                bytes((MSG_USERAUTH_REQUEST,)),
                *map(NS, parts),
                b"\x01",
                NS(algorithm),
                NS(blob),
            ]
        )

    def _judge(self, user: bytes, blob: bytes | None) -> None:
        self._judging = True
        judged = Deferred.fromCoroutine(self._judged(user, blob))
        judged.addErrback(lambda failure: self.log.failure("a login could not be judged", failure))

    async def _judged(self, user: bytes, blob: bytes | None) -> None:
        who = user.decode("utf-8", "replace")
        try:
            if blob is None:
                raise UnauthorizedLogin
            key = KnownKey(who, blob)
            caller = await self.transport.factory.prove(key)
        except (UnauthorizedLogin, Refusal) as error:
            self._failed(who, blob, error)
        except Exception:  # noqa: BLE001 - nobody gets in, and the log says why
            self.log.failure("the key of an operator could not be checked")
            self._tell(refusals.Internal(incident="see the log"))
            self._refuse()
        else:
            self._succeeded(caller, key)
        self._judging = False
        self._go_on()

    def _succeeded(self, caller: Caller, key: KnownKey) -> None:
        transport = self.transport
        if transport.closing:  # it went, or was cut, meanwhile
            return
        self._waiting.clear()
        transport.sendPacket(MSG_USERAUTH_SUCCESS, b"")
        transport.admit(caller, key)

    def _failed(self, who: str, blob: bytes | None, error: Exception) -> None:
        self.transport.failures += 1
        self.log.info(
            "no shell for {name}: {why}, key {key}, from {source}",
            name=display_clip(who, limits.VALUE_CHARS),
            why=error.code if isinstance(error, Refusal) else "unknown key",
            key=fingerprint_of(blob) if blob else "not proven",
            source=source_of(self.transport.host),
        )
        if isinstance(error, Refusal) and not isinstance(error, refusals.AuthFailed):
            # They hold a key of this account: what stands in their way is theirs to know.
            self._tell(error)
        self._refuse()

    def _tell(self, refusal: Refusal) -> None:
        # A client shows it before there is a terminal whose width could be known.
        text = NS(fold(f"{refusal}\n", COLUMNS).replace("\n", "\r\n").encode())
        self.transport.sendPacket(MSG_USERAUTH_BANNER, text + NS(b""))

    def _refuse(self) -> None:
        self.transport.sendPacket(MSG_USERAUTH_FAILURE, NS(PUBLIC_KEY) + b"\0")
