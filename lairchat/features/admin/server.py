"""Answers what admin.messages declares.

What lies outside of kernel and database (files, certificate, log, the process itself) is the
:class:`Host`'s; the composition root implements it, once for the daemon and once for lairctl when
none runs.
"""

from typing import Protocol

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer
from lairchat.features.admin import messages, rules, tables
from lairchat.model import refusals
from lairchat.model.text import display_clip
from lairchat.wire.contract import Outcome


class Host(Protocol):
    """The process and its files, as far as operators command them.

    Where no daemon runs, what needs one raises NoDaemon.
    """

    def need_daemon(self) -> None:
        """Raise NoDaemon where none runs."""

    def status(self, *, accounts: int, rooms: int) -> messages.Status:
        """Return how the server is; the counts are the database's."""

    def stats(self) -> messages.Stats:
        """Return the figures since the start."""

    def rates(self) -> list[messages.Rate]:
        """Return what is going on at this moment."""

    def stop(self, after: int, reason: str) -> None:
        """Stop the process after so many seconds; a later call takes the place of an earlier."""

    def keep_running(self) -> bool:
        """Take back a stop that has not come yet; say whether there was one."""

    def certificate(self) -> messages.Certificate:
        """Return the certificate for new connections."""

    def renew(self, *, rehearsal: bool) -> messages.Certificate:
        """Take a new certificate and return it; raises StartCertificate, and the old one stays."""

    def log_lines(self, request: messages.TailLog) -> list[messages.LogLine]:
        """Return lines of the log, oldest first."""

    def set_log_level(self, level: str) -> None:
        """Choose the least that is logged."""

    def check(self) -> messages.Checked:
        """Check the configuration on disk; raises Config, StartCertificate."""

    def keys(self, request: messages.ShowConfig) -> list[messages.KeyInForce]:
        """Return the configuration that runs; raises KeyUnknown."""

    def explain(self, key: str) -> messages.Explained:
        """Say what a key means; raises KeyUnknown."""

    def differences(self) -> list[messages.Difference]:
        """Compare what runs with what is on disk; raises Config."""

    def reload(self, *, rehearsal: bool) -> tuple[list[str], list[str]]:
        """Take over what is on disk; return the keys that are applied, and those that wait.

        Raises Config or StartCertificate, and everything stays as it was.
        """


class _Handlers:
    def __init__(self, host: Host) -> None:
        self._host = host

    # -- the server

    async def status(self, call: Call, _request: messages.AskStatus) -> Answer[messages.Status]:
        accounts, rooms = await call.kernel.storage.read(tables.counts)
        return Answer(self._host.status(accounts=accounts, rooms=rooms))

    def maintenance(self, call: Call, request: messages.Maintain) -> Answer[Outcome]:
        self._host.need_daemon()
        hub = call.kernel.hub
        if request.mode == "off":
            was = hub.maintenance is not None
            if not call.rehearsal:
                hub.maintenance = None
            return Answer(Outcome(done="the chat is open" if was else "the chat was open already"))
        connected = hub.connections()
        if not call.rehearsal:
            hub.close_all(rules.because(_one_line(request.reason)))
        done = f"the chat is closed ({rules.counted(connected, 'connection')} ended)"
        return Answer(Outcome(done=f"{done} until it is opened, or the server starts anew",
                              undo="server maintenance off"))  # fmt: skip

    def broadcast(self, call: Call, request: messages.Broadcast) -> Answer[Outcome]:
        self._host.need_daemon()
        text = _one_line(request.text)
        if not text:
            raise refusals.TextEmpty(field="$.text")
        people = len(call.kernel.hub.people)
        if not call.rehearsal:
            _tell_all(call, text)
        return Answer(Outcome(done=f"told {people} {'person' if people == 1 else 'people'}"))

    def shutdown(self, call: Call, request: messages.Shutdown) -> Answer[Outcome]:
        self._host.need_daemon()
        if request.cancel:
            kept = call.rehearsal or self._host.keep_running()
            if kept and not call.rehearsal:
                _tell_all(call, "The server does not stop after all.")
            done = "the server goes on" if kept else "no stop was planned"
            return Answer(Outcome(done=done))
        reason = _one_line(request.reason)
        when = f"in {rules.spelt(request.after)}" if request.after else "now"
        if not call.rehearsal:
            _tell_all(call, f"The server stops {when}{rules.because(reason)}.")
            self._host.stop(request.after, reason)
        connected = rules.counted(call.kernel.hub.connections(), "connection")
        done = f"the server stops {when} ({connected})"
        return Answer(Outcome(done=done, undo="server shutdown --cancel" if request.after else ""))

    # -- figures

    def stats(self, _call: Call, _request: messages.AskStats) -> Answer[messages.Stats]:
        return Answer(self._host.stats())

    def top(self, _call: Call, _request: messages.AskStats) -> Answer[messages.Rates]:
        return Answer(messages.Rates(rates=self._host.rates()))

    # -- the certificate

    def certificate(
        self, _call: Call, _request: messages.AskCertificate
    ) -> Answer[messages.Certificate]:
        return Answer(self._host.certificate())

    def renew(self, call: Call, _request: messages.RenewCertificate) -> Answer[Outcome]:
        taken = self._host.renew(rehearsal=call.rehearsal)
        done = f"new connections get the certificate of {taken.subject}, {taken.days_left} days"
        return Answer(Outcome(done=f"{done}; those that live keep theirs"))

    # -- the log

    def tail(self, _call: Call, request: messages.TailLog) -> Answer[messages.LogLines]:
        lines = self._host.log_lines(request)
        last = lines[-1].number if lines else request.after
        return Answer(messages.LogLines(lines=lines, next=last if request.follow else None))

    def level(self, call: Call, request: messages.SetLogLevel) -> Answer[Outcome]:
        self._host.need_daemon()
        if not call.rehearsal:
            self._host.set_log_level(request.level)
        return Answer(
            Outcome(done=f"logged from {request.level} on, until the next start or reload")
        )

    # -- the configuration

    def check(self, _call: Call, _request: messages.CheckConfig) -> Answer[messages.Checked]:
        return Answer(self._host.check())

    def show(self, _call: Call, request: messages.ShowConfig) -> Answer[messages.KeysInForce]:
        return Answer(messages.KeysInForce(keys=self._host.keys(request)))

    def explain(self, _call: Call, request: messages.ExplainKey) -> Answer[messages.Explained]:
        return Answer(self._host.explain(request.key))

    def diff(self, _call: Call, _request: messages.DiffConfig) -> Answer[messages.Differences]:
        return Answer(messages.Differences(keys=self._host.differences()))

    def reload(self, call: Call, _request: messages.ReloadConfig) -> Answer[messages.Reloaded]:
        self._host.need_daemon()
        applied, waiting = self._host.reload(rehearsal=call.rehearsal)
        done = (
            f"applied {rules.counted(len(applied), 'key')}" if applied else "nothing new to apply"
        )
        if waiting:
            done += f"; {rules.counted(len(waiting), 'key')} for the next start"
        return Answer(
            messages.Reloaded(
                done=done, applied=rules.listed(applied), restart=rules.listed(waiting)
            )
        )


def _one_line(text: str) -> str:
    """Return what an operator wrote, fit for other people's terminals."""
    return display_clip(" ".join(text.split()), messages.NOTICE_CHARS)


def _tell_all(call: Call, text: str) -> None:
    hub = call.kernel.hub
    frame = event_frame(messages.NOTICE.name, messages.ServerNotice(text=text))
    for user in list(hub.people):
        hub.tell(user, frame)


def make(host: Host) -> Feature:
    """Build the feature."""
    do = _Handlers(host)
    return Feature(
        name="admin",
        handlers={
            messages.STATUS: do.status,
            messages.MAINTENANCE: do.maintenance,
            messages.BROADCAST: do.broadcast,
            messages.SHUTDOWN: do.shutdown,
            messages.STATS: do.stats,
            messages.TOP: do.top,
            messages.CERTIFICATE: do.certificate,
            messages.RENEW: do.renew,
            messages.LOG_TAIL: do.tail,
            messages.LOG_LEVEL: do.level,
            messages.CONFIG_CHECK: do.check,
            messages.CONFIG_SHOW: do.show,
            messages.CONFIG_EXPLAIN: do.explain,
            messages.CONFIG_DIFF: do.diff,
            messages.CONFIG_RELOAD: do.reload,
        },
        events=messages.EVENTS,
    )
