"""The operators' doors: SSH, lairctl's socket, HTTP; each a service on the one command table.

Part of the composition root (see tap.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from lairchat.config import Config
from lairchat.core import audit
from lairchat.core.admission import Admission
from lairchat.core.desk import Desk
from lairchat.core.kernel import Kernel
from lairchat.core.portal import Caller, ICaller, KnownKey
from lairchat.core.session import Session
from lairchat.host import admission_of
from lairchat.layout import Layout
from lairchat.model import limits
from lairchat.model.ids import DeviceId, SessionId
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.operator.console import Console, Verbs
from lairchat.transports.http import PROTOCOLS, HttpFactory, HttpService
from lairchat.transports.http_answer import Page
from lairchat.transports.listen import ChatListener
from lairchat.transports.local import ControlListener
from lairchat.transports.ssh import SshFactory, SshService
from lairchat.transports.ssh_keys import HostKey
from lairchat.transports.ssh_manhole import Name, PythonManholes
from lairchat.transports.ssh_shell import ConsolePrograms
from lairchat.transports.tls import ServerTLS


class Doors:
    """Builds the doors that the configuration asks for, and says where they listen.

    admission: how many strangers an address may be, through chat and SSH together.
    tls: of the chat; HTTP has the same certificate where it has TLS.
    pages: what is served over HTTP, by path.
    on_failure: told when an endpoint fails after the start.
    services: to be started and stopped with the daemon.
    """

    def __init__(
        self,
        reactor: Any,
        layout: Layout,
        kernel: Kernel,
        *,
        admission: Admission,
        tls: ServerTLS,
        pages: Mapping[str, Page],
        on_failure: Callable[[Refusal], None],
    ) -> None:
        self._reactor = reactor
        self._layout = layout
        self._kernel = kernel
        self._admission = admission
        self._on_failure = on_failure
        self._listeners: list[tuple[str, ChatListener]] = []
        self.services: list[IService] = [ControlListener(reactor, kernel, layout.control)]
        self._counts: dict[str, Callable[[], int]] = {}
        if layout.config.ssh.enabled:
            self.services.append(self._ssh())
        self._site: HttpFactory | None = None
        if layout.config.http.enabled:
            self.services.append(self._http(tls, pages))

    def places(self) -> list[str]:
        """Return a word for each listening door, such as ``ssh 127.0.0.1:7024``."""
        return [
            f"{name} {listener.address}{' tls' if listener.tls else ''}"
            for name, listener in self._listeners
        ]

    def connections(self) -> dict[str, int]:
        """Count the live connections at each door."""
        return {name: count() for name, count in self._counts.items()}

    def change(self, config: Config) -> None:
        """Take over what of another configuration is the doors'; chat's bounds are the daemon's."""
        if self._site is not None:
            self._site.admission.change(**_browsers_of(config))
            self._site.know(_hosts_of(config))

    # -- HTTP

    def _http(self, tls: ServerTLS, pages: Mapping[str, Page]) -> HttpService:
        config, kernel = self._layout.config, self._kernel
        factory = self._site = HttpFactory(
            pages,
            hosts=_hosts_of(config),
            admission=Admission(kernel.throttle, **_browsers_of(config)),
            throttle=kernel.throttle,
            measures=kernel.measures,
            clock=self._reactor,
            now=kernel.now,
            random=kernel.random,
            refuses=kernel.bans.refuses,
        )
        kernel.bans.watchers.append(factory.bans_changed)
        listener = ChatListener(
            self._reactor,
            config.http.endpoint,
            factory,
            tls=tls if config.http.tls else None,
            protocols=PROTOCOLS,
            on_failure=self._on_failure,
        )
        self._listeners.append(("http", listener))
        self._counts["http"] = lambda: len(factory.connections)
        return HttpService(listener, factory)

    # -- SSH

    def _ssh(self) -> SshService:
        layout, kernel = self._layout, self._kernel
        verbs = Verbs(kernel.table)

        def console(caller: Caller, host: str) -> Console:
            session = Session(SessionId(0), caller.user, DeviceId(0), caller.name, caller.role)
            return Console(
                verbs,
                Desk(kernel, session, host).give,
                who=caller.name,
                role=caller.role,
                source=f"ssh:{host}",
                wait=lambda seconds: deferLater(self._reactor, seconds),
                apart=lambda work: deferToThreadPool(
                    self._reactor, self._reactor.getThreadPool(), work
                ),
            )

        factory = SshFactory(
            HostKey.load(layout.ssh_host_key),
            prove=self._prove,
            programs=ConsolePrograms(
                console,
                PythonManholes(
                    self._manhole_names(),
                    enabled=lambda: layout.config.ssh.manhole,
                    role=self._role_now,
                    audit=audit.write,
                ),
                place=layout.config.server.name,
                clock=self._reactor,
            ),
            admission=self._admission,
            throttle=kernel.throttle,
            banned=kernel.bans.refuses,
            clock=self._reactor,
        )
        self._counts["ssh"] = lambda: len(factory.live)
        kernel.shells.append(factory.guests)
        kernel.standing_watchers.append(factory.standing_changed)
        kernel.bans.watchers.append(factory.bans_changed)
        listener = ChatListener(
            self._reactor,
            layout.config.ssh.endpoint,
            factory,
            tls=None,
            protection="SSH",
            on_failure=self._on_failure,
        )
        self._listeners.append(("ssh", listener))
        return SshService(listener, factory)

    async def _proven(self, key: KnownKey) -> Caller:
        _, caller, _ = await self._kernel.portal.login(key, None, ICaller)
        assert isinstance(caller, Caller)
        return caller

    def _prove(self, key: KnownKey) -> "Deferred[Caller]":
        return Deferred.fromCoroutine(self._proven(key))

    async def _role_now(self, caller: Caller) -> ServerRole:
        role: ServerRole = await self._kernel.storage.read(
            lambda connection: self._kernel.role_now(connection, caller.user)
        )
        return role

    def _manhole_names(self) -> dict[str, Name]:
        """Return what is at hand in the Python prompt; docs/how-to/operate.rst lists them too."""
        kernel = self._kernel
        people = kernel.hub.people
        return {
            "db": Name(kernel.storage, "the database: db.read(f), db.call(f); f(connection)"),
            "hub": Name(
                kernel.hub, "rooms and connections that are live: hub.channels, hub.people"
            ),
            "users": Name(people, "who is online, by number: [one.name for one in users.values()]"),
            "kernel": Name(kernel, "commands, features, answers"),
            "throttle": Name(kernel.throttle, "who has used how much of which rate"),
            "config": Name(lambda: self._layout.config, "config() is the configuration in force"),
        }


def _hosts_of(config: Config) -> list[str]:
    """Return the names under which browsers may ask for this server."""
    return [config.server.name, *config.http.hosts]


def _browsers_of(config: Config) -> dict[str, Any]:
    """Return how many HTTP connections an address may have; penalties are shared with the chat."""
    return {**admission_of(config), "at_once": limits.HTTP_PER_ADDRESS}
