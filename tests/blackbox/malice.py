"""A server that lies: the real daemon, and in front of it a proxy that has its keys.

To its clients the proxy is the daemon: it ends their TLS with the daemon's own certificate, so that
the identity that they have pinned is proven to them.  To the daemon it is each of its clients.  What
passes in either direction goes through the rules that a test has set, decoded; what no rule is about
passes as it came.
What there is to lie about is in ``lies``, ``partitions`` and ``false_witness``.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.demo_server import DemoServer
from lairchat.model.faults import NetLost, NetRefused
from lairchat.transports.certificate import load_certified_key
from lairchat.transports.identity import ServerIdentity
from lairchat.transports.tls import ServerTLS
from lairchat.wire.contract import Command
from tests.blackbox.relay import TABLE, Asked, Client, Passing, Rule

__all__ = ["TABLE", "Asked", "Client", "Malice", "Rule"]


class Malice:
    """The proxy; clients connect to ``port``.

    identity: the daemon's key, which a server that lies has as well.
    clients: all connections there are.
    """

    log = Logger()

    def __init__(self, server: DemoServer) -> None:
        self.server = server
        self.identity = ServerIdentity.load(server.data / "identity.pem")
        self.clients: list[Client] = []
        self._rules: list[Rule] = []
        self._over: Deferred[None] | None = None
        own = server.data / "tls.pem"
        tls = ServerTLS(load_certified_key(own, own))
        factory = tls.wrap(Factory.forProtocol(lambda: Client(self)), reactor)
        listening: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[arg-type]
        self._listening = listening
        self.port: int = listening.getHost().port

    async def stop(self) -> None:
        """Listen no more, and cut all connections; returns once they are gone."""
        await maybeDeferred(self._listening.stopListening)
        for client in list(self.clients):
            client.cut()
        if self.clients:
            self._over = Deferred()
            await self._over

    def came(self, client: Client) -> None:
        """Note a new connection."""
        self.clients.append(client)

    def gone(self, client: Client) -> None:
        """Forget a connection that is no more."""
        self.clients.remove(client)
        if self._over is not None and not self.clients:
            self._over.callback(None)

    def broke(self, failure: Failure) -> None:
        """Fail the test whose rule has failed: trial sees what is logged.

        That the daemon is gone is no rule's fault.
        """
        if not failure.check(NetRefused, NetLost):
            self.log.failure("the proxy broke", failure)

    @property
    def daemon_port(self) -> int:
        """Where the daemon listens."""
        return self.server.port

    def client(self, name: str) -> Client:
        """Return somebody's newest connection."""
        return [client for client in self.clients if client.name == name][-1]

    # -- the rules

    def on_request(self, what: Command[Any, Any], act: Callable[..., Any], *whose: str) -> Rule:
        """Call ``act(client, asked)`` with every request; it may return, or be awaited for:

        * a request, which goes to the daemon instead;
        * a reply or a Refusal, with which the client is answered, and the daemon is not asked; a
          Refusal may be raised as well;
        * None: neither; ``client.pass_on`` or ``client.answer`` may follow.
        """
        return self._rule(Passing.REQUEST, what.name, act, whose)

    def on_reply(self, what: Command[Any, Any], act: Callable[..., Any], *whose: str) -> Rule:
        """Call ``act(client, asked, reply)`` with every reply of the daemon, but its refusals.

        It may return, or be awaited for, another reply, a Refusal, or None: the client waits, until
        ``client.answer``.
        """
        return self._rule(Passing.REPLY, what.name, act, whose)

    def on_event(self, name: str, act: Callable[..., Any], *whose: str) -> Rule:
        """Call ``act(client, body)`` with every event of this name.

        It may return, or be awaited for, another body, a list of bodies to be told one after the
        other, or None: the client is not told.
        """
        assert TABLE.event(name) is not None, name
        return self._rule(Passing.EVENT, name, act, whose)

    def _rule(
        self, at: Passing, name: str, act: Callable[..., Any], whose: tuple[str, ...]
    ) -> Rule:
        rule = Rule(at, name, act, frozenset(whose) or None, self._rules)
        self._rules.append(rule)
        return rule

    def rules(self, at: Passing, name: str, client: Client) -> Iterator[Rule]:
        """Iterate over the rules that are about something, in the order in which they were set."""
        for rule in list(self._rules):
            if (rule.at, rule.name) == (at, name) and (
                rule.whose is None or client.name in rule.whose
            ):
                yield rule
