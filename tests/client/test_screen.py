"""The screen on a real pty, read back by a terminal emulator (pyte), and with broken terminals."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyte
import pytest

from lairchat.client import inputs as i
from lairchat.client import markup
from lairchat.client.canvas import Canvas
from lairchat.client.effects import Bell, Copy, Quit, Repaint, SaveSetting
from lairchat.client.screen import Screen, Terminal, wants_colour
from tests.client.scenes import NOON, SCENES, SIZES, Person, attic

CHECKOUT = Path(__file__).parents[2]


class Program:
    """painter.py on a pty, seen through an emulator."""

    def __init__(self, *words: str, size: tuple[int, int] = (80, 24), **environ: str) -> None:
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.emulates = "hostile" not in words
        self.output = b""
        ours, theirs = pty.openpty()
        self.fd = ours
        self.resize(*size)
        environ = {
            "TERM": "xterm-256color",
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            **environ,
        }
        environ |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.client.painter", *words],
            cwd=CHECKOUT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            start_new_session=True,
        )
        os.close(theirs)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.screen.resize(height, width)

    def pump(self, seconds: float = 0.05) -> bool:
        """Read what there is; False at the end of the program."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65_536)
        except OSError:
            data = b""
        self.output += data
        if self.emulates:
            self.stream.feed(data)
        return bool(data)

    def page(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, check: Callable[[str], bool] | str, seconds: float = 10.0) -> str:
        """Read until the page shows something; fails with the page when it does not."""
        wanted = (lambda page: check in page) if isinstance(check, str) else check
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            alive = self.pump()
            if wanted(self.page()):
                return self.page()
            if not alive:
                break
        raise AssertionError(f"not seen: {check}\n{self.page()}\n{self.output[-500:]!r}")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def leave(self) -> None:
        """End in order if it still runs, so that its coverage is written; otherwise by force."""
        if self.process.poll() is None:
            try:
                self.type("\x1b\x15/quit\r")
                end = time.monotonic() + 3
                while self.process.poll() is None and self.pump() and time.monotonic() < end:
                    pass
                self.process.wait(3)
            except (OSError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        os.close(self.fd)

    def end(self) -> int:
        while self.pump(2.0):
            pass
        return self.process.wait(10)


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(*words: str, **options: object) -> Program:
        started.append(Program(*words, **options))
        return started[-1]

    yield start
    for program in started:
        program.leave()


def test_typing_is_seen_and_quitting_gives_the_terminal_back(run: Callable[..., Program]) -> None:
    program = run()
    program.until("[!#lobby PLAIN]")
    program.type("hello there\r")
    program.until("12:00 you    hello there")
    program.type("/quit\r")
    assert program.end() == 0
    assert b"\x1b[?1049h" in program.output
    tail = program.output[program.output.rindex(b"\x1b[?1049l") :]
    assert b"left in order" in tail
    for off in (b"\x1b[?2004l", b"\x1b[?1004l"):
        assert off in program.output
    flags = termios.tcgetattr(program.fd)[3]
    assert flags & termios.ECHO
    assert flags & termios.ICANON


def test_keys_typed_while_imports_run_are_not_lost(run: Callable[..., Program]) -> None:
    """Target 4: type-ahead, before and after the terminal is raw."""
    program = run("slow")
    program.type("early ")
    program.until("[F1 help ^T go]")
    program.type("and late")
    assert "early and late" in program.until("early and late")


def test_an_enter_typed_before_the_terminal_is_raw_leaves_the_text_to_be_sent(
    run: Callable[..., Program],
) -> None:
    program = run("slow")
    program.type("first\rsecond\r")
    assert "12:00 you" not in program.until("2 lines 12/4096")
    program.type("\r")
    page = program.until("12:00 you    first")
    assert "second" in page


def test_escape_and_alt_keys_and_a_paste_reach_the_client(run: Callable[..., Program]) -> None:
    program = run()
    program.until("[!#lobby PLAIN]")
    program.type("\x14")
    program.until("Go to")
    program.type("\x1b")
    program.until(lambda page: "Go to" not in page)
    program.type("one\x1b\rtwo")
    program.until("2 lines 7/4096")
    program.type("\x1b[200~three\rfour\x1b[201~")
    page = program.until("pasted 2 lines (17/4096 characters)")
    assert "12:00 you" not in page


def test_a_resize_storm_leaves_a_correct_page(run: Callable[..., Program]) -> None:
    """Target 9: 200 SIGWINCH without a crash or ghost cells."""
    program = run()
    program.until("[!#lobby PLAIN]")
    program.type("storm\r")
    program.until("12:00 you    storm")
    sizes = [(40, 12), (80, 24), (120, 40), (19, 5), (200, 60), (61, 7)]
    for number in range(200):
        program.resize(*sizes[number % len(sizes)])
        os.killpg(program.process.pid, signal.SIGWINCH)
        program.pump(0.001)
    program.resize(100, 30)
    program.until(lambda page: "MEMBERS" in page and "you    storm" in page)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        program.pump(0.05)
    # what the emulator shows is what a fresh paint would show: nothing was left behind
    before = program.page()
    program.type("\x0c")
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        program.pump(0.05)
    assert program.page() == before
    program.type("/quit\r")
    assert program.end() == 0


def test_suspending_gives_the_terminal_back_and_continuing_paints_anew(
    run: Callable[..., Program],
) -> None:
    program = run()
    program.until("[!#lobby PLAIN]")
    os.killpg(program.process.pid, signal.SIGSTOP)
    program.output = b""
    os.killpg(program.process.pid, signal.SIGCONT)
    end = time.monotonic() + 5
    while b"\x1b[?1049h" not in program.output and time.monotonic() < end:
        program.pump()
    assert b"\x1b[?1049h" in program.output
    program.type("after\r")
    program.until("12:00 you    after")


@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_z_gives_the_terminal_back_and_takes_it_again(
    run: Callable[..., Program], how: str
) -> None:
    """The shell's part is missing here: a stop signal has no effect on an orphaned group."""
    program = run()
    program.until("[!#lobby PLAIN]")
    program.output = b""
    if how == "key":
        program.type("\x1a")
    else:
        os.killpg(program.process.pid, signal.SIGTSTP)
    program.type("after\r")
    program.until("12:00 you    after")
    assert b"\x1b[?1049l" in program.output
    assert b"\x1b[?1049h" in program.output[program.output.index(b"\x1b[?1049l") :]


def test_a_crash_gives_the_terminal_back_before_the_traceback(run: Callable[..., Program]) -> None:
    program = run("crash")
    assert program.end() == 1
    assert program.output.rindex(b"\x1b[?1049l") < program.output.index(b"RuntimeError")


def test_the_end_of_the_terminal_ends_the_program(run: Callable[..., Program]) -> None:
    program = run()
    program.until("[!#lobby PLAIN]")
    os.close(program.fd)
    program.fd = os.open(os.devnull, os.O_RDONLY)
    assert program.process.wait(10) in {0, -signal.SIGHUP}


def test_an_unknown_terminal_is_a_vt100_and_one_line_says_so(run: Callable[..., Program]) -> None:
    program = run(TERM="no-such-terminal")
    page = program.until("treated as a VT100")
    assert "[!#lobby PLAIN]" in page or "[]" in page
    program.type("hello\r")
    program.until("you    hello")
    assert b"\x1b[3" not in program.output.replace(b"\x1b[3;", b"").replace(b"\x1b[3H", b"")


@pytest.mark.parametrize(
    "environ", [{"NO_COLOR": "1"}, {"CLICOLOR": "0"}, {"TERM": "vt100"}, {"TERM": "xterm-mono"}]
)
def test_without_colours_no_colour_is_sent_and_the_text_is_the_same(
    run: Callable[..., Program], environ: dict[str, str]
) -> None:
    program = run(**environ)
    program.until("[!#lobby PLAIN]")
    program.type("hello\r")
    page = program.until("you    hello")
    coloured = run()
    coloured.until("[!#lobby PLAIN]")
    coloured.type("hello\r")
    assert coloured.until("you    hello") == page
    assert b"\x1b[3" not in program.output.replace(b"\x1b[3;", b"").replace(
        b"\x1b[3H", b""
    ).replace(b"\x1b[30;", b"")


def test_hostile_texts_paint_no_foreign_control_byte(
    run: Callable[..., Program], tmp_path: Path, vectors: Path
) -> None:
    known = json.loads((vectors / "hostile" / "vectors.json").read_text("utf-8"))
    texts = [
        one[1] if isinstance(one, list) else one
        for name in ("terminal_text", "unicode_text", "csv_log", "xss")
        for one in known[name]
    ]
    texts += json.loads((vectors / "blns" / "blns.json").read_text("utf-8"))
    path = tmp_path / "texts.json"
    path.write_text(json.dumps(texts), "utf-8")
    program = run("hostile", str(path), size=(120, 40))
    # Enter typed before the terminal is raw would be a new line of the draft.
    while b"PLAIN" not in program.output:
        program.pump()
    program.type("done now\r")
    end = time.monotonic() + 60
    while b"sent 1/1" not in plain_text(program.output) and time.monotonic() < end:
        program.pump()  # raw bytes: pyte itself stumbles over some of these clusters
    assert b"sent 1/1" in plain_text(program.output)
    assert foreign(program.output) == b""


def plain_text(output: bytes) -> bytes:
    """Return what was printed, without attributes."""
    import re

    return re.sub(rb"\x1b\(B|\x1b\[[0-9;]*m", b"", output)


def foreign(output: bytes) -> bytes:
    """Take out everything that the screen itself sends; what is left must be text without controls."""
    import re

    own = rb"\x1b\[[?0-9;]*[A-Za-z]|\x1b\(B|\x1b[=>78M]|\x1b\]2;[^\x07\x1b]*\x07|\x07|\r|\n|\x0f"
    rest = re.sub(own, b"", output).decode("utf-8")
    allowed = {"\u200d"}
    import unicodedata

    bad = [
        c
        for c in rest
        if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        and c not in allowed
        and not "\U000e0020" <= c <= "\U000e007f"
        and c not in markup.DRAWN_FORMATS
    ]
    return "".join(bad).encode("utf-8", "replace")


# -- in this process, on a pty ----------------------------------------------------------------------


class Desk:
    """A Screen on a pty of this process, and an emulator behind it."""

    def __init__(
        self, width: int = 80, height: int = 24, term: str = "xterm-256color", **environ: str
    ) -> None:
        self.ours, self.theirs = pty.openpty()
        self.emulator = pyte.Screen(width, height)
        self.stream = pyte.ByteStream(self.emulator)
        self.resize(width, height)
        self.before = termios.tcgetattr(self.theirs)
        encoding = environ.pop("encoding", "utf-8")
        self.screen = Screen({"TERM": term, **environ}, self.theirs, self.theirs, encoding)
        self.screen.start()
        self.output = b""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.emulator.resize(height, width)

    def read(self) -> bytes:
        data = b""
        while select.select([self.ours], [], [], 0.02)[0]:
            data += os.read(self.ours, 65_536)
        self.output += data
        self.stream.feed(data)
        return data

    def paint(self, canvas: Canvas, title: str) -> None:
        """Paint while somebody reads: a pty holds less than some changes of a large screen take."""
        with ThreadPoolExecutor(1) as threads:
            painting = threads.submit(self.screen.paint, canvas, title)
            while not painting.done():
                self.read()
            painting.result()
        self.read()

    def keys(self, data: bytes) -> list[i.Input]:
        os.write(self.ours, data)
        time.sleep(0) if not select.select([self.theirs], [], [], 1.0)[0] else None
        return self.screen.read_keys()

    def close(self) -> None:
        self.screen.stop()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    open_desks: list[Desk] = []

    def make(*args: object, **kwargs: object) -> Desk:
        open_desks.append(Desk(*args, **kwargs))
        return open_desks[-1]

    yield make
    for one in open_desks:
        one.close()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_emulator_shows_exactly_the_canvas(
    desk: Callable[..., Desk], width: int, height: int
) -> None:
    """One screen after the other over the same terminal: diffs leave no ghost cells."""
    one = desk(width, height)
    for scene in sorted(SCENES):
        canvas = SCENES[scene](width, height).canvas()
        one.paint(canvas, scene)
        assert one.emulator.display == canvas.lines()
        if canvas.cursor is not None:
            assert (one.emulator.cursor.x, one.emulator.cursor.y) == canvas.cursor
        else:
            assert one.emulator.cursor.hidden


@pytest.mark.parametrize(
    "term", ["xterm", "vt100", "linux", "screen", "tmux-256color", "ansi", "vt220", "dumb"]
)
def test_every_terminal_gets_the_same_characters(run: Callable[..., Program], term: str) -> None:
    program = run(TERM=term)
    program.until("[!#lobby PLAIN]")
    program.type("hello\r")
    page = program.until("12:00 you    hello")
    canvas = painted_lobby()
    shown = [line.rstrip() for line in page.split("\n")]
    assert shown[:-1] == [line.rstrip() for line in canvas.lines()][:-1]


def painted_lobby() -> Canvas:
    """Return what painter.py shows after one message."""
    person = Person()
    person.link(
        i.Connecting("lair.example", 7023),
        i.Connected(),
        i.LoggedIn("you", 1),
        i.RoomsSynced((i.RoomInfo(1, "lobby", members=2, here=2),)),
        i.HistoryPage(1, (), older=False, replace=True),
    )
    (sent,) = person.enter("hello")
    person.link(i.SendAcknowledged(sent.ticket, 1, NOON))
    return person.canvas()


def test_nothing_is_sent_when_nothing_changed(desk: Callable[..., Desk]) -> None:
    one = desk()
    person = attic()
    one.screen.paint(person.canvas(), "lair")
    one.read()
    one.screen.paint(person.canvas(), "lair")
    assert one.read() == b""
    person.types("x")
    one.screen.paint(person.canvas(), "lair")
    assert 0 < len(one.read()) < 60


def test_wide_and_disputed_clusters_leave_no_ghosts(desk: Callable[..., Desk]) -> None:
    """pyte measures a family as eight cells: the text behind it must stand right all the same."""
    one = desk(20, 3)
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    first, second = Canvas(20, 3), Canvas(20, 3)
    first.put(0, 0, f"a{family}b")
    first.put(0, 1, "\u65e5\u672c\u8a9e")
    second.put(0, 0, "plain")
    second.put(0, 1, "x\u65e5")
    one.screen.paint(first)
    one.read()
    row = one.emulator.buffer[0]
    assert row[0].data == "a"
    assert row[3].data == "b"
    assert all(row[x].data == " " for x in range(4, 20))
    one.screen.paint(second)
    one.read()
    assert one.emulator.display[0].rstrip() == "plain"
    assert one.emulator.display[1].rstrip() == "x\u65e5"


def test_control_characters_on_a_canvas_never_reach_the_terminal(desk: Callable[..., Desk]) -> None:
    one = desk(30, 2)
    canvas = Canvas(30, 2)
    canvas.put(0, 0, "\x1b[2J\x00\x9b31m\u202e\ud800\u0301 end")
    one.screen.paint(canvas, "ti\x07tle\x1b")
    data = one.read()
    assert foreign(data) == b""
    assert "end" in one.emulator.display[0]


def test_another_encoding_prints_question_marks_in_place(desk: Callable[..., Desk]) -> None:
    one = desk(20, 2, encoding="ascii")
    canvas = Canvas(20, 2)
    canvas.put(0, 0, "a\u00e9\u65e5b")
    one.screen.paint(canvas)
    data = one.read()
    assert b"a?" in data
    assert data.isascii()
    assert one.emulator.display[0].rstrip() in {"a?? b", "a??b"}
    assert one.emulator.buffer[0][4].data == "b"


def test_keys_and_sizes_are_read(desk: Callable[..., Desk]) -> None:
    one = desk()
    assert one.keys(b"hi\x1b[A") == [i.Text("hi"), i.Key("up")]
    assert one.keys(b"\x1b") == []
    assert one.screen.key_wait == 0.025
    assert one.screen.flush_keys() == [i.Key("esc")]
    one.resize(100, 30)
    assert one.screen.read_keys() == [i.Resize(100, 30)]
    assert one.screen.read_keys() == []
    assert one.screen.fileno() == one.theirs


def test_a_terminal_that_was_small_in_between_is_painted_anew(desk: Callable[..., Desk]) -> None:
    """Two signals may be one, and the size the old one again: what was cut off is missing."""
    one = desk(40, 12)
    canvas = attic(40, 12).canvas()
    one.screen.paint(canvas)
    one.read()
    one.resize(10, 3)
    one.resize(40, 12)
    assert one.emulator.display != canvas.lines()
    one.screen._on_winch(signal.SIGWINCH, None)
    assert one.screen.read_keys() == []
    one.screen.paint(canvas)
    one.read()
    assert one.emulator.display == canvas.lines()


def test_the_window_title_is_set_again_after_a_suspension(desk: Callable[..., Desk]) -> None:
    one = desk()
    canvas = attic().canvas()
    one.screen.paint(canvas, "(2) lair")
    one.screen.stop()
    one.read()
    one.screen.start()
    one.screen.paint(canvas, "(2) lair")
    assert b"\x1b]2;(2) lair\x07" in one.read()


def test_a_terminal_without_brackets_sends_no_pasted_lines(desk: Callable[..., Desk]) -> None:
    one = desk(term="linux")
    assert one.keys(b"one\rtwo\rthree") == [i.Paste("one\rtwo\rthree")]
    assert one.keys(b"four\r") == [i.Paste("four\r")]
    one.screen._pasted_at = -1.0
    assert one.keys(b"typed\r") == [i.Text("typed"), i.Key("enter")]
    assert one.keys(b"\r\r\r") == [i.Key("enter")] * 3
    other = desk()
    assert other.keys(b"one\rtwo\r")[1] == i.Key("enter")


def test_effects_of_the_terminal_are_done_and_others_are_not(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.read()
    assert one.screen.perform(Bell())
    assert one.read() == b"\x07"
    assert one.screen.perform(Copy("text \u00e9"))
    assert one.read() == b"\x1b]52;c;dGV4dCDDqQ==\x07"
    one.screen.paint(attic().canvas())
    one.read()
    assert one.screen.perform(Repaint())
    one.screen.paint(attic().canvas())
    assert len(one.read()) > 1_000
    assert not one.screen.perform(Quit())
    assert not one.screen.perform(SaveSetting("bell", "on"))


def test_colours_are_turned_off_and_on_again(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.screen.paint(attic().canvas())
    one.read()
    one.screen.use_colour(wanted=True)
    one.screen.paint(attic().canvas())
    assert one.read() == b""
    one.screen.use_colour(wanted=False)
    one.screen.paint(attic().canvas())
    assert b"\x1b[33m" not in one.read()
    one.screen.use_colour(wanted=True)
    one.screen.paint(attic().canvas())
    assert b"\x1b[33m" in one.read()
    without = desk(NO_COLOR="1")
    without.screen.use_colour(wanted=False)
    without.screen.use_colour(wanted=True)
    without.screen.paint(attic().canvas())
    assert b"\x1b[33m" not in without.read()


def test_stopping_twice_and_painting_afterwards_do_nothing(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.screen.start()
    one.screen.stop()
    one.read()
    one.screen.stop()
    one.screen.paint(attic().canvas())
    assert one.read() == b""
    assert termios.tcgetattr(one.theirs)[3] == one.before[3]


def test_a_terminal_that_is_gone_closes_and_raises_nothing() -> None:
    ours, theirs = pty.openpty()
    screen = Screen({"TERM": "xterm"}, theirs, theirs)
    screen.start()
    os.close(ours)
    assert screen.read_keys() == []
    assert screen.closed
    screen.paint(attic().canvas())
    screen.stop()
    os.close(theirs)
    assert screen.read_keys() == [i.Resize(80, 24)] or screen.closed


def test_painting_on_a_terminal_that_is_gone_closes_it() -> None:
    ours, theirs = pty.openpty()
    screen = Screen({"TERM": "xterm"}, theirs, theirs)
    screen.start()
    os.close(ours)
    screen.paint(attic().canvas())
    assert screen.closed
    screen.stop()
    os.close(theirs)


def test_without_a_terminal_the_size_is_a_guess_and_raw_mode_is_skipped(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as file:
        screen = Screen({"TERM": "xterm"}, file.fileno(), file.fileno())
        screen.start()
        assert screen.size() == (80, 24)
        screen.stop()


def test_a_slow_terminal_is_waited_for() -> None:
    ours, theirs = pty.openpty()
    screen = Screen({"TERM": "xterm"}, theirs, theirs)
    screen.start()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4_096)
    seen = bytearray()

    def drain() -> None:
        while b"1049l" not in seen:
            seen.extend(os.read(ours, 65_536))

    reader = threading.Thread(target=drain)
    canvas = attic(200, 60).canvas()
    threading.Timer(0.05, reader.start).start()
    screen.paint(canvas)
    screen.stop()
    assert not screen.closed
    reader.join(10)
    assert b"deploy finished" in seen
    os.close(theirs)
    os.close(ours)


def test_the_last_cell_is_left_out_where_it_would_scroll(desk: Callable[..., Desk]) -> None:
    one = desk(10, 2)
    one.screen.terminal.wraps = True
    canvas = Canvas(10, 2)
    canvas.put(0, 0, "x" * 10)
    canvas.put(0, 1, "x" * 8 + "\u65e5")
    one.screen.paint(canvas)
    one.read()
    assert one.emulator.display == ["x" * 10, "x" * 8 + "\u65e5"]


def test_a_closed_descriptor_is_the_end(desk: Callable[..., Desk]) -> None:
    one = desk()
    spare = os.dup(one.theirs)
    os.close(one.theirs)
    assert one.screen.read_keys() == [i.Resize(80, 24)] or one.screen.closed
    assert one.screen.closed
    assert one.screen.read_keys() == []
    os.dup2(spare, one.theirs)
    os.close(spare)


def test_a_descriptor_that_is_not_ready_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    screen = Screen({"TERM": "xterm"}, ours, ours)
    os.set_blocking(ours, False)
    monkeypatch.setattr(select, "select", lambda *_: ([ours], [], []))
    assert [one for one in screen.read_keys() if not isinstance(one, i.Resize)] == []
    assert not screen.closed
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "1"}, True),
    ],
)
def test_whether_colours_are_wanted(environ: dict[str, str], wanted: bool) -> None:
    assert wants_colour(environ) == wanted


def test_a_terminal_without_any_description_gets_plain_ansi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import curses

    def nothing(*_: object) -> None:
        raise curses.error("no database")

    monkeypatch.setattr(curses, "setupterm", nothing)
    terminal = Terminal("xterm", 1)
    assert "plain ANSI" in terminal.remark
    assert terminal.move(2, 1) == b"\x1b[2;3H"
    assert terminal.wraps
    assert terminal.looks(colour=True)["title"] == b"\x1b[m\x1b[7m"


def test_padding_of_old_terminals_is_not_printed(desk: Callable[..., Desk]) -> None:
    one = desk(term="vt100")
    one.screen.paint(attic().canvas())
    assert b"$<" not in one.read()
