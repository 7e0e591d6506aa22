"""Operators' commands that act on the kernel: maintenance, notices, stops; and what a host is asked."""

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from lairchat.core.desk import Desk
from lairchat.core.session import Session
from lairchat.features.accounts.messages import LOGIN, REGISTER
from lairchat.features.admin import messages as m
from lairchat.features.admin import rules, server
from lairchat.features.messages.messages import SEND
from lairchat.model import refusals
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.roles import ServerRole
from tests.features.common import features, text
from tests.harness import Client, Server, secret_of


class FakeHost:
    """A host that notes what it is told; where ``runs`` is False, no daemon runs."""

    def __init__(self):
        self.runs = True
        self.calls = []
        self.planned = False
        self.lines = []

    def need_daemon(self):
        if not self.runs:
            raise refusals.NoDaemon

    def stop(self, after, reason):
        self.planned = True
        self.calls.append(("stop", after, reason))

    def keep_running(self):
        was, self.planned = self.planned, False
        return was

    def log_lines(self, request):
        return [line for line in self.lines if line.number > request.after]

    def set_log_level(self, level):
        self.calls.append(("level", level))

    def reload(self, *, rehearsal):
        self.calls.append(("reload", rehearsal))
        return ["limits.exempt"], ["log.format", "ssh.endpoint"]


class Admin(TestCase):
    def setUp(self):
        self.host = FakeHost()
        clock = Clock()
        self.server = Server([*features(clock), server.make(self.host)], clock=clock)
        self.alice, self.bob = self.server.member("alice"), self.server.member("bob")
        session = Session(SessionId(0), LOCAL_OPERATOR, DeviceId(0), "local:0", ServerRole.OWNER)
        self.desk = Desk(self.server.kernel, session, "local")

    def ask(self, command, **arguments):
        return self.server.result(self.desk.give(command, arguments))

    def test_maintenance_ends_all_connections_and_keeps_others_out(self):
        tried = self.ask(m.MAINTENANCE, mode="on", reason="a new disk", dry_run=True)
        assert "2 connections ended" in tried.done
        assert self.alice.closed is None
        done = self.ask(m.MAINTENANCE, mode="on", reason="a\nnew\x1b disk")
        assert done.undo == "server maintenance off"
        assert (self.alice.closed, self.bob.closed) == ("LC-MAINTENANCE", "LC-MAINTENANCE")
        guest = Client(self.server)
        for command, arguments in (
            (LOGIN, {"name": "alice", "secret": secret_of("alice")}),
            (REGISTER, {"name": "carol", "secret": secret_of("carol")}),
        ):
            with self.assertRaises(refusals.Maintenance) as refused:
                guest.ask(command, **arguments)
            assert ": a new" in refused.exception.text
            assert "\x1b" not in refused.exception.text
            assert refused.exception.retry_after == 60
        self.ask(m.MAINTENANCE, mode="off", dry_run=True)
        assert self.server.hub.maintenance is not None
        assert self.ask(m.MAINTENANCE, mode="off").done == "the chat is open"
        assert self.ask(m.MAINTENANCE, mode="off").done == "the chat was open already"
        guest.login("alice")
        guest.ask(SEND, room=1, body=text("back"))

    def test_a_login_that_was_under_way_does_not_slip_in(self):
        guest = Client(self.server)
        given = guest.give(LOGIN, name="alice", secret=secret_of("alice"))
        self.desk.give(m.MAINTENANCE, {"mode": "on"})
        self.server.settle()
        assert guest.closed == "LC-MAINTENANCE"
        assert self.server.hub.connections() == 0
        assert given

    def test_a_notice_reaches_everybody_as_one_safe_line(self):
        assert self.ask(m.BROADCAST, text="x", dry_run=True).done == "told 2 people"
        assert self.alice.events("server.notice") == []
        self.ask(m.BROADCAST, text="backup\nat\x1b[2J noon\u202e")
        for client in (self.alice, self.bob):
            (notice,) = client.events("server.notice")
            assert notice.text.startswith("backup at")
            assert not set(notice.text) & {"\n", "\x1b", "\u202e"}
        with self.assertRaises(refusals.TextEmpty):
            self.ask(m.BROADCAST, text=" \n ")

    def test_a_stop_is_told_of_planned_and_taken_back(self):
        assert "in 2h (2 connections)" in self.ask(m.SHUTDOWN, after=7200, dry_run=True).done
        assert self.host.calls == []
        done = self.ask(m.SHUTDOWN, after=7200, reason="moving")
        assert done.undo == "server shutdown --cancel"
        assert self.host.calls == [("stop", 7200, "moving")]
        assert self.alice.events("server.notice")[0].text == "The server stops in 2h: moving."
        self.ask(m.SHUTDOWN, cancel=True, dry_run=True)
        assert self.host.planned
        assert self.ask(m.SHUTDOWN, cancel=True).done == "the server goes on"
        assert "does not stop" in self.alice.events("server.notice")[-1].text
        assert self.ask(m.SHUTDOWN, cancel=True).done == "no stop was planned"
        assert self.ask(m.SHUTDOWN).undo == ""

    def test_lines_that_are_followed_say_where_to_go_on(self):
        self.host.lines = [m.LogLine(n, 1, "info", f"line {n}") for n in (1, 2, 3)]
        assert self.ask(m.LOG_TAIL).next is None
        followed = self.ask(m.LOG_TAIL, follow=True)
        assert followed.next == 3
        assert self.ask(m.LOG_TAIL, follow=True, after=3).next == 3

    def test_what_changes_is_rehearsed(self):
        self.ask(m.LOG_LEVEL, level="warn", dry_run=True)
        assert self.host.calls == []
        self.ask(m.LOG_LEVEL, level="warn")
        reloaded = self.ask(m.CONFIG_RELOAD, dry_run=True)
        assert reloaded.done == "applied 1 key; 2 keys for the next start"
        assert reloaded.restart == "log.format, ssh.endpoint"
        assert self.host.calls == [("level", "warn"), ("reload", True)]

    def test_what_needs_a_daemon_is_refused_without_one(self):
        self.host.runs = False
        for command, arguments in (
            (m.MAINTENANCE, {"mode": "on"}),
            (m.BROADCAST, {"text": "x"}),
            (m.SHUTDOWN, {}),
            (m.LOG_LEVEL, {"level": "warn"}),
            (m.CONFIG_RELOAD, {}),
        ):
            with self.assertRaises(refusals.NoDaemon):
                self.ask(command, **arguments)
        assert self.alice.closed is None
        assert self.host.calls == []

    def test_only_owners_stop_the_server(self):
        assert m.SHUTDOWN.role is ServerRole.OWNER
        user = self.alice.session
        session = Session(user.session, user.user, user.device, "alice", ServerRole.ADMIN)
        desk = Desk(self.server.kernel, session, "ssh")
        with self.assertRaises(refusals.Denied):
            self.server.result(desk.give(m.SHUTDOWN, {}))
        with self.assertRaises(refusals.Denied):  # who was an administrator, and is none any more
            self.server.result(desk.give(m.CONFIG_RELOAD, {}))


def test_spans_and_lists_in_words():
    assert [rules.spelt(seconds) for seconds in (5, 90, 120, 7200, 172_800)] == [
        "5s",
        "90s",
        "2m",
        "2h",
        "2d",
    ]
    assert rules.listed(["a", "b"]) == "a, b"
    assert (
        rules.listed(["key.one", "key.two", "key.three"], of=18)
        == "key.one, key.two, ... (3 in all)"
    )
    assert rules.counted(1, "key") == "1 key"
    assert rules.because("") == ""
