"""Lines over SSH on a real console: typed, piped, asked about, watched, left; and the Python prompt."""

import struct

import pyte
from twisted.conch.ssh.common import NS

from lairchat.model.roles import ServerRole
from lairchat.operator.status import Status
from lairchat.transports.ssh_manhole import Name, PythonManholes
from lairchat.transports.ssh_shell import ConsolePrograms
from lairchat.transports.ssh_terminal import CHOICES_SHOWN, in_columns
from tests.operator.consoles import Bench, thing
from tests.transports.ssh_wire import Channel, SshCase

PROMPT = "alice@lair> "


class ShellCase(SshCase):
    def make_programs(self):
        self.bench = Bench()
        self.enabled = True
        self.role = ServerRole.OWNER
        self.audit = []

        async def role(_caller):
            return self.role

        return ConsolePrograms(
            lambda _caller, _host: self.bench.console,
            PythonManholes(
                {"answer": Name(42, "what it all comes to")},
                enabled=lambda: self.enabled,
                role=role,
                audit=self.audit.append,
            ),
            place="lair",
            clock=self.clock,
        )

    def pump(self):
        for _ in range(5):
            super().pump()
            self.bench.server.settle()

    def shell(self, columns=80, rows=24):
        channel = self.terminal(self.come_in(), columns, rows)
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.seen = 0
        assert self.ask(channel, b"shell")
        return channel

    def type(self, channel: Channel, text: str) -> None:
        channel.write(text.encode())
        self.pump()

    def shows(self, channel: Channel) -> list[str]:
        """Return the lines of the screen that are not empty."""
        self.stream.feed(channel.out[self.seen :])
        self.seen = len(channel.out)
        return [line.rstrip() for line in self.screen.display if line.strip()]


class Typed(ShellCase):
    def test_a_line_is_answered_and_the_prompt_comes_back(self):
        channel = self.shell()
        assert self.shows(channel)[-1] == PROMPT.rstrip()
        assert "You are op, owner" in self.shows(channel)[0]
        self.type(channel, "thing show bell\r")
        lines = self.shows(channel)
        assert PROMPT + "thing show bell" in lines
        assert lines[-1] == PROMPT.rstrip()
        self.type(channel, "   \rthing nonsense\r")
        assert any(line.startswith("LC-CLI-UNKNOWN") for line in self.shows(channel))
        self.type(channel, "'open\r")
        assert any(line.startswith("LC-CLI-QUOTE") for line in self.shows(channel))
        self.type(channel, "exit\r")
        assert (channel.status, channel.is_closed) == (0, True)

    def test_a_refusal_is_broken_between_words(self):
        channel = self.shell()
        word = "x" * 60
        self.type(channel, f"\x0cthing show {word}\r")
        refusal = self.shows(channel)[1:-1]
        assert refusal[0].startswith("LC-")
        assert " ".join(refusal) == self.bench.do(f"thing show {word}").text.rstrip()

    def test_ctrl_d_leaves_an_empty_line_only(self):
        channel = self.shell()
        self.type(channel, "ab\x01\x04")
        assert self.shows(channel)[-1] == PROMPT + "b"
        self.type(channel, "\x03")
        assert self.shows(channel)[-1] == PROMPT.rstrip()
        assert channel.status is None
        self.type(channel, "\x04")
        assert channel.status == 0

    def test_tab_completes_lists_and_rings(self):
        channel = self.shell()
        self.type(channel, "thing sh\t")
        assert self.shows(channel)[-1] == PROMPT + "thing show"
        self.type(channel, "b\tx")
        assert self.shows(channel)[-1] == PROMPT + "thing show bell x"
        self.type(channel, "\x15thing \t")
        lines = self.shows(channel)
        assert lines[-1] == PROMPT + "thing"
        assert "list" in lines[-2]
        before = channel.out.count(b"\a")
        self.type(channel, "\x15nothing like it\t")
        assert channel.out.count(b"\a") == before + 1
        self.bench.things = [thing("cup-a1"), thing("cup-a2")]
        self.type(channel, "\x15thing show c\t")
        assert self.shows(channel)[-1] == PROMPT + "thing show cup-a"

    def test_one_tab_at_a_time_lets_others_have_their_turn(self):
        turns = []
        channel = self.shell()
        for number in range(3):
            self.clock.callLater(0, turns.append, number)
        channel.write(b"nothing like it" + 20 * b"\t")
        self.links[-1].pump()
        assert b"\a" not in channel.out
        self.pump()
        assert turns == [0, 1, 2]
        assert channel.out.count(b"\a") == 20

    def test_history_and_the_cleared_screen(self):
        channel = self.shell()
        self.type(channel, "thing own\r\x0c\x1b[A")
        assert self.shows(channel) == [PROMPT + "thing own"]

    def test_a_question_is_answered_by_what_is_typed_after_it(self):
        channel = self.shell()
        self.type(channel, "thing lock bell\r")
        assert self.shows(channel)[-2:] == ["would do: locked bell", "Do it? y/N"]
        self.type(channel, "y\r")
        assert "locked bell. undo: thing unlock bell" in self.shows(channel)
        assert [one.dry_run for one, _ in self.bench.said] == [True, False]
        for answer in ("\r", "no\r", "\x03", "x\x03"):
            self.type(channel, "\x0cthing lock cup\r")
            self.type(channel, answer)
            assert "nothing was done" in self.shows(channel)
        self.type(channel, "thing show drum\r")
        assert self.bench.said[-1].name == "drum"

    def test_what_was_typed_ahead_is_no_answer(self):
        channel = self.shell()
        self.type(channel, "thing lock bell\ry\r")
        assert self.shows(channel)[-1] == "Do it? y/N"
        self.type(channel, "\x04")
        assert "nothing was done" in self.shows(channel)

    def test_ctrl_c_does_not_wait_for_what_has_begun(self):
        channel = self.shell()
        settle, self.bench.server.settle = self.bench.server.settle, lambda: None
        self.type(channel, "thing lock bell --yes\r")
        self.type(channel, "thing own\r\x03")  # takes back what was typed ahead, too
        assert any("goes on" in line for line in self.shows(channel))
        self.bench.server.settle = settle
        self.pump()
        assert len(self.bench.said) == 1
        assert self.bench.entries[-1].line.startswith("thing lock bell")

    def test_ctrl_c_before_a_question_is_a_no_to_it(self):
        channel = self.shell()
        settle, self.bench.server.settle = self.bench.server.settle, lambda: None
        self.type(channel, "thing lock bell\r")
        self.type(channel, "\x03")
        self.bench.server.settle = settle
        self.pump()
        assert self.shows(channel)[-1] == PROMPT.rstrip()
        self.type(channel, "y\r")
        assert [one.dry_run for one, _ in self.bench.said] == [True]
        self.type(channel, "\x0cthing own\r")
        assert self.shows(channel)[-1] == PROMPT.rstrip()

    def test_whoever_goes_away_from_a_question_has_said_no(self):
        channel = self.shell()
        self.type(channel, "thing lock bell\r")
        self.links[-1].there.closed = True
        self.pump()
        assert [one.dry_run for one, _ in self.bench.said] == [True]
        assert (self.bench.entries[-1].status, channel.is_closed) == (Status.FAILED, True)

    def test_what_has_begun_is_written_down_after_the_client_went(self):
        self.shell()
        channel = self.terminal(self.links[-1])
        settle, self.bench.server.settle = self.bench.server.settle, lambda: None
        assert self.ask(channel, b"exec", NS(b"thing lock bell --yes"))
        self.links[-1].there.closed = True
        self.pump()
        self.bench.server.settle = settle
        self.pump()
        assert self.bench.entries[-1].status == Status.OK

    def test_our_own_mistake_in_a_command_that_was_left_is_logged(self):
        channel = self.shell()
        settle, self.bench.server.settle = self.bench.server.settle, lambda: None
        self.type(channel, "thing lock bell --yes\r")
        self.type(channel, "\x03")

        def fail(*_):
            raise RuntimeError("on purpose")

        self.bench.console._audit = fail
        self.bench.server.settle = settle
        self.pump()
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    def test_a_new_size_draws_the_line_anew(self):
        channel = self.shell()
        self.type(channel, "x" * 60)
        assert self.ask(channel, b"window-change", struct.pack(">4L", 40, 12, 0, 0))
        assert channel.out.endswith(
            b"\r" + PROMPT.encode() + b"<" + b"x" * 25 + b"\x1b[K\r\x1b[38C"
        )
        assert self.bench.console.columns == 40


class Watched(ShellCase):
    def test_a_live_screen_takes_the_screen_and_gives_it_back(self):
        channel = self.shell(80, 8)
        self.type(channel, "thing top\r")
        assert channel.out.count(b"\x1b[?1049h") == 1
        self.bench.note = "second"
        self.clock.advance(1.0)
        self.pump()
        assert "second" in channel.text
        assert "q or Ctrl-C leaves" in channel.text
        self.type(channel, "abc")
        self.type(channel, "q")
        assert channel.out.endswith(b"\x1b[K\r\x1b[12C")
        assert channel.out.count(b"\x1b[?1049l") == 1
        said = len(self.bench.said)
        self.clock.advance(5)
        self.pump()
        assert len(self.bench.said) == said
        assert not any("abc" in line for line in self.shows(channel)[-1:])

    def test_a_log_goes_on_until_ctrl_c(self):
        channel = self.shell()
        self.type(channel, "thing log --follow\r")
        self.bench.things.append(thing("echo"))
        self.clock.advance(0.5)
        self.pump()
        assert "echo" in channel.text
        self.type(channel, "q")
        self.clock.advance(0.5)
        self.pump()
        assert self.bench.said[-1].follow
        self.type(channel, "\x03")
        self.type(channel, "thing own\r")
        assert any(line.split() == ["name", "own"] for line in self.shows(channel))

    def test_a_watcher_who_does_not_read_is_waited_for(self):
        channel = self.terminal(self.come_in(), localWindow=2_000)
        adjust = channel.conn.adjustWindow
        channel.conn.adjustWindow = lambda *_: None
        assert self.ask(channel, b"exec", NS(b"thing top"))
        for _ in range(60):
            self.clock.advance(1.0)
            self.pump()
        held = len(self.bench.said)
        assert held < 30
        channel.conn.adjustWindow = adjust
        adjust(channel, 100_000)
        self.pump()
        self.clock.advance(1.0)
        self.pump()
        assert len(self.bench.said) > held
        self.type(channel, "q")
        assert channel.status == 0

    def test_leaving_does_not_wait_for_a_client_that_does_not_read(self):
        channel = self.terminal(self.come_in(), localWindow=500)
        channel.conn.adjustWindow = lambda *_: None
        assert self.ask(channel, b"exec", NS(b"thing top"))
        for _ in range(10):
            self.clock.advance(1.0)
            self.pump()
        self.type(channel, "\x03")
        assert self.bench.entries[-1].line == "thing top"

    def test_watching_ends_with_the_connection(self):
        channel = self.shell()
        self.type(channel, "thing log --follow\r")
        self.links[-1].there.closed = True
        self.pump()
        assert self.bench.entries[-1].line.startswith("thing log")


class Piped(ShellCase):
    def pipe(self, data: bytes) -> Channel:
        channel = self.session(self.come_in())
        assert self.ask(channel, b"shell")
        channel.write(data)
        channel.conn.sendEOF(channel)
        self.pump()
        return channel

    def test_lines_come_in_one_after_the_other(self):
        channel = self.pipe(b"thing show bell\n\nthing show nobody\nthing own")
        assert channel.status == 0
        assert b"bell" in channel.out
        assert channel.err.startswith(b"LC-USER-UNKNOWN")
        assert b"own" in channel.out

    def test_the_status_is_that_of_the_last(self):
        assert self.pipe(b"thing own\nthing show nobody\n").status == Status.NOT_FOUND
        assert self.pipe(b"").status == 0

    def test_a_line_without_end_is_too_long(self):
        channel = self.pipe(b"x" * 40_000 + b"\nthing own\n")
        assert channel.err.startswith(b"LC-CLI-LONG")

    def test_nobody_answers_questions_on_a_pipe(self):
        channel = self.pipe(b"thing drop bell\ny\n")
        assert b"LC-CLI-ASKS" in channel.err
        assert self.bench.said == []

    def test_one_line_at_a_time_lets_others_have_their_turn(self):
        turns = []
        channel = self.session(self.come_in())
        assert self.ask(channel, b"shell")
        for number in range(3):
            self.clock.callLater(0, turns.append, number)
        channel.write(b"help\n" * 50)
        self.links[-1].pump()
        assert channel.out == b""
        self.pump()
        assert turns == [0, 1, 2]

    def test_a_log_is_followed_as_long_as_somebody_listens(self):
        channel = self.execute(self.come_in(), "thing log --follow")
        self.bench.things.append(thing("echo"))
        self.clock.advance(0.5)
        self.pump()
        assert b"echo" in channel.out
        self.links[-1].there.closed = True
        self.pump()
        self.clock.advance(0.5)
        self.pump()
        assert self.bench.entries[-1].status == Status.OK

    def test_a_live_screen_without_a_terminal_is_shown_once(self):
        channel = self.execute(self.come_in(), "thing top")
        assert (channel.status, b"\x1b" in channel.out) == (0, False)

    def test_lines_that_are_not_text(self):
        channel = self.session(self.come_in())
        assert self.ask(channel, b"exec", NS(b"thing \xc3("))
        assert channel.err.startswith(b"LC-CLI-TEXT  the line is not UTF-8 at byte 7")
        assert channel.status == Status.USAGE


class Manholes(ShellCase):
    def open(self) -> Channel:
        channel = self.terminal(self.come_in())
        assert self.ask(channel, b"exec", NS(b"manhole"))
        return channel

    def test_it_is_a_python_prompt_with_names(self):
        channel = self.open()
        assert "  answer  what it all comes to" in channel.text
        self.type(channel, "answer - 41\r")
        assert "\n1" in channel.text.replace("\r", "")
        self.type(channel, "print('\x1b[A\u00e4' + chr(27) + ']0;x')\r")
        assert b"\x1b]0;x" not in channel.out
        assert self.ask(channel, b"window-change", struct.pack(">4L", 100, 30, 0, 0))
        self.type(channel, "\x04")
        assert (channel.status, channel.is_closed) == (0, True)
        assert [one.line for one in self.audit] == ["manhole (opened)", "manhole (left)"]
        assert {one.who for one in self.audit} == {"alice"}
        assert b"\x1b[4l" in channel.out  # the terminal is as it was

    def test_results_that_come_later_are_shown(self):
        channel = self.open()
        self.type(channel, "from twisted.internet.defer import Deferred\r")
        self.type(channel, "d = Deferred()\rd\r")
        self.type(channel, "d.callback('later')\r")
        assert "called back: 'later'" in channel.text

    def test_it_is_for_the_owner_at_a_terminal_if_it_is_on(self):
        channel = self.execute(self.come_in(), "manhole")
        assert (channel.status, channel.err[:15]) == (Status.USAGE, b"LC-CLI-TERMINAL")
        self.enabled = False
        channel = self.open()
        assert channel.status == Status.DENIED
        assert b"LC-MANHOLE-OFF" in channel.out
        self.role, self.enabled = ServerRole.ADMIN, True
        channel = self.open()
        assert channel.status == Status.DENIED
        assert b"LC-DENIED" in channel.out
        codes = [one.code for one in self.audit]
        assert codes == ["LC-CLI-TERMINAL", "LC-MANHOLE-OFF", "LC-DENIED"]

    def test_it_ends_with_the_connection(self):
        self.open()
        self.links[-1].there.closed = True
        self.pump()
        assert self.audit[-1].line == "manhole (left)"

    def test_the_shell_comes_back_after_it(self):
        channel = self.shell()
        self.type(channel, "manhole\r")
        self.type(channel, "1 + 1\r\x04")
        self.type(channel, "thing show bell\r")
        assert self.bench.said[-1].name == "bell"
        assert channel.status is None


def test_choices_stand_in_columns_read_downwards():
    assert in_columns(["a", "bb", "c", "d"], 9) == "a   c\nbb  d\n"
    assert in_columns(["wide" * 30], 20) == "wide" * 30 + "\n"
    many = in_columns([f"n{number}" for number in range(CHOICES_SHOWN + 3)], 80)
    assert many.endswith("... and 3 more\n")
