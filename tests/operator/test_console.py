"""What an operator types and what comes back, through a real kernel."""

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import TestCase

from lairchat.model import limits, refusals
from lairchat.model.faults import ControlFile
from lairchat.model.refusal import REFUSALS
from lairchat.model.roles import ServerRole
from lairchat.operator.console import Console, Live, Output
from lairchat.operator.status import Status, status_of
from lairchat.wire.contract import Request
from tests.operator import consoles, hostile
from tests.operator.consoles import Bench, Facts, thing


class Running(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()

    def test_a_list_comes_with_all_its_pages(self) -> None:
        out = self.bench.do("thing list | json")
        assert out.status == 0
        assert out.text.count('"name"') == 4
        assert [one.after for one in self.bench.said] == [None, "cup"]

    def test_no_page_is_asked_for_that_nobody_wants(self) -> None:
        assert self.bench.do("thing list | head 3 | count").text == "3\n"
        assert len(self.bench.said) == 1

    def test_flags_reach_every_page(self) -> None:
        self.bench.things = [thing(f"nut{n}") for n in range(9)]
        assert self.bench.do("thing list --like nut | count").text == "9\n"
        assert [one.like for one in self.bench.said] == ["nut"] * 3

    def test_endless_lists_end(self) -> None:
        self.patch(limits, "OPERATOR_ROWS", 5)
        self.bench.things = [thing(f"nut{n}") for n in range(9)]
        out = self.bench.do("thing list")
        assert (out.status, out.text.split()[0]) == (1, "LC-CLI-ROWS")
        assert self.bench.do("thing list | head 8 | count").status == 1
        assert self.bench.do("thing list | count").status == 1
        assert self.bench.do("thing list | head 4 | count").text == "4\n"

    def test_a_change_that_asks_is_rehearsed_first(self) -> None:
        out = self.bench.do("thing lock bell --for 2h", True)
        assert out == ("locked bell. undo: thing unlock bell\n", 0, "")
        assert [rehearsal for _, rehearsal in self.bench.said] == [True, False]
        assert self.bench.questions == ["would do: locked bell\nDo it? y/N "]

    def test_a_no_is_a_no(self) -> None:
        assert self.bench.do("thing lock bell", False) == ("nothing was done\n", 1, "declined")
        assert [rehearsal for _, rehearsal in self.bench.said] == [True]
        assert self.bench.do("thing drop 'a b'", False).status == 1
        assert self.bench.questions[-1] == "thing drop 'a b'\nDo it? y/N "

    def test_what_only_takes_back_is_not_asked(self) -> None:
        assert self.bench.do("thing lock bell --how soft", False).status == 0
        assert self.bench.do("thing lock bell --how hard", False).status == 1
        assert len(self.bench.questions) == 1

    def test_what_would_be_refused_is_not_asked(self) -> None:
        assert self.bench.do("thing lock nobody", True).status == 3
        assert self.bench.questions == []

    def test_where_nobody_can_answer_nothing_is_done_unless_told(self) -> None:
        out = self.bench.do("thing lock bell")
        assert (out.status, out.text.split()[0]) == (2, "LC-CLI-ASKS")
        assert self.bench.said == []
        assert self.bench.do("thing lock bell --yes").status == 0

    def test_a_rehearsal_says_so_and_does_nothing(self) -> None:
        out = self.bench.do("thing lock bell --dry-run")
        assert out.text.startswith("dry run, nothing was done: locked bell")
        assert [rehearsal for _, rehearsal in self.bench.said] == [True]
        assert self.bench.do("thing lock bell --dry-run --json").text.startswith('{"done": "locked')

    def test_exit_statuses(self) -> None:
        assert self.bench.do("thing show anvil").status == Status.OK
        assert self.bench.do("thing show").status == Status.USAGE
        assert self.bench.do("thing show zebra").status == Status.NOT_FOUND
        bench = Bench(role=ServerRole.ADMIN)
        out = bench.do("thing own")
        assert (out.status, out.text.split()[0]) == (Status.DENIED, "LC-DENIED")
        self.bench.server.kernel.close()
        assert self.bench.do("thing show anvil").status == Status.FAILED

    def test_every_refusal_has_a_status(self) -> None:
        assert {status_of(code) for code in REFUSALS} == {1, 2, 3, 4}
        assert status_of(refusals.UserUnknown.code) == 3
        assert status_of(refusals.StoreFull.code) == 1
        assert status_of("LC-COMMAND-UNKNOWN") == 2

    def test_the_longest_line(self) -> None:
        words = ["thing", "say", "x" * limits.OPERATOR_LINE_CHARS]
        out = self.bench.run(words)
        assert (out.status, out.text.split()[0]) == (2, "LC-CLI-LONG")

    def test_every_hostile_word_is_taken_or_refused_and_never_echoed_raw(self) -> None:
        for text in hostile.texts():
            for words in (
                [text],
                ["thing", text],
                ["thing", "show", text],
                ["thing", "say", text, text],
                ["thing", "lock", text, "--why", text, "--yes"],
                ["thing", "list", "|", "grep", text],
                ["thing", "list", "|", text],
                ["help", text],
                [text, "?"],
            ):
                out = self.bench.run(words)
                assert out.status in {0, 1, 2, 3}, (text, out)
                assert hostile.foreign(out.text) == set(), (text, out)
        for entry in self.bench.entries:
            assert isinstance(entry.line, str)

    def test_files_are_read_by_the_door(self) -> None:
        async def read(path: str) -> str:
            if path != "k.pub":
                raise ControlFile(path=path, why="there is none")
            return "ssh-ed25519 AAAA"

        bench = Bench(files=read)
        assert bench.do("thing key add bob k.pub").text == "kept 16\n"
        assert bench.said[0].key == "ssh-ed25519 AAAA"
        out = bench.do("thing key add bob other")
        assert (out.status, out.text.split()[0]) == (1, "LC-CTL-FILE")
        # Where no door reads files, the words are the text.
        assert self.bench.do("thing key add bob 'ssh-ed25519 BBBB'").text == "kept 16\n"

    def test_a_rate_between_pages_is_waited_for(self) -> None:
        waits: list[float] = []
        calls = 0
        bench = self.bench

        def give(command: Any, arguments: Any) -> "Deferred[Any]":
            nonlocal calls
            calls += 1
            if calls == 2:
                raise refusals.RateLimited(retry_after=1.5)
            return bench.desk.give(command, arguments)

        async def wait(seconds: float) -> None:
            waits.append(seconds)

        def console(**more: Any) -> Console:
            return Console(
                bench.console.verbs, give, who="op", role=ServerRole.OWNER, source="test",
                audit=bench.entries.append, **more,
            )  # fmt: skip

        words = ["thing", "list", "|", "count"]
        assert bench.result(console(wait=wait).run(words)).text == "4\n"
        assert waits == [1.5]
        calls = 0
        assert bench.result(console().run(words)).status == 1


class Logging(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()

    def logged(self, line: str, *answers: bool) -> tuple[str, int, str]:
        self.bench.entries.clear()
        self.bench.do(line, *answers)
        (entry,) = self.bench.entries
        assert (entry.who, entry.source) == ("op", "test")
        return entry.line, entry.status, entry.code

    def test_one_event_a_command(self) -> None:
        assert self.logged("thing list | grep x | json") == ("thing list", 0, "")
        assert self.logged("thing lock 'a b' --for 2h --loud --tag x --tag y", True) == (
            "thing lock 'a b' --for=7200 --loud --tag=x y", 0, "",
        )  # fmt: skip
        assert self.logged("thing lock a --no-loud --dry-run") == (
            "thing lock a --no-loud --dry-run", 0, "",
        )  # fmt: skip
        assert self.logged("thing lock a", False) == ("thing lock a", 1, "declined")
        assert self.logged("thing show zebra") == ("thing show zebra", 3, "LC-USER-UNKNOWN")

    def test_what_was_not_understood_may_be_a_secret(self) -> None:
        assert self.logged("K7QF2M9DXW4T8RJH5VCB3NPQ6S") == ("(no command)", 2, "LC-CLI-UNKNOWN")
        assert self.logged("thing show a K7QF2M9DXW") == ("thing show ...", 2, "LC-CLI-USAGE")

    def test_key_material_is_left_out(self) -> None:
        assert self.logged("thing key add bob 'ssh-ed25519 AAAA'") == (
            "thing key add bob (file)", 0, "",
        )  # fmt: skip

    def test_a_bug_is_logged_before_it_is_raised(self) -> None:
        def give(_command: Any, _arguments: Any) -> Any:
            raise ZeroDivisionError

        console = Console(
            self.bench.console.verbs, give, who="op", role=ServerRole.OWNER, source="test",
            audit=self.bench.entries.append,
        )  # fmt: skip
        self.failureResultOf(ensureDeferred(console.run(["thing", "list"])), ZeroDivisionError)
        assert self.bench.entries[0].code == "LC-INTERNAL"


class Watching(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.emitted: list[str] = []
        self.waits: list[float] = []

    def watch(self, line: str, rounds: int, between: Any = None) -> Output:
        async def until(seconds: float) -> bool:
            self.waits.append(seconds)
            if between is not None:
                between(len(self.waits))
            return len(self.waits) >= rounds

        words = line.split()
        out: Output = self.bench.result(self.bench.console.watch(words, self.emitted.append, until))
        return out

    def test_what_goes_on_is_known(self) -> None:
        console = self.bench.console
        assert console.live(["thing", "top"]) == Live.SCREEN
        assert console.live(["thing", "top", "--json"]) is None
        assert console.live(["thing", "log", "--follow"]) == Live.LINES
        assert console.live(["thing", "log"]) is None
        assert console.live(["thing", "zebra"]) is None

    def test_a_screen_is_asked_for_again_every_second(self) -> None:
        assert self.watch("thing top", 3) == ("", 0, "")
        assert len(self.emitted) == 3
        assert self.waits == [1.0] * 3
        assert len(self.bench.entries) == 1

    def test_what_is_followed_comes_once(self) -> None:
        def more(turn: int) -> None:
            if turn == 2:
                self.bench.things.append(thing("egg"))

        assert self.watch("thing log --follow | grep 41", 4, more).status == 0
        lines = "".join(self.emitted).splitlines()
        assert [line.split()[0] for line in lines] == [
            "NAME",
            "anvil",
            "bell",
            "cup",
            "drum",
            "egg",
        ]

    def test_what_is_followed_for_programs(self) -> None:
        assert self.watch("thing log --follow --json", 2).status == 0
        assert "".join(self.emitted).count("\n") == 4
        assert self.emitted[0].startswith('{"name": "anvil"')

    def test_a_log_that_is_not_followed_ends(self) -> None:
        assert self.bench.do("thing log | count").text == "4\n"

    def test_a_watch_ends_with_the_refusal(self) -> None:
        def shut(turn: int) -> None:
            if turn == 2:
                self.bench.server.kernel.close()

        out = self.watch("thing top", 9, shut)
        assert (out.status, out.text.split()[0]) == (1, "LC-SHUTDOWN")
        assert len(self.emitted) == 2

    def test_what_is_no_command_is_not_watched(self) -> None:
        assert self.watch("thing zebra", 1).status == 2


class Greeting(TestCase):
    def test_who_one_is(self) -> None:
        bench = Bench()
        text = bench.result(bench.console.greeting())
        assert "You are op, owner." in text
        assert text.endswith("help explains, Tab completes, exit leaves.\n")

    def test_a_server_that_does_not_say_how_it_is(self) -> None:
        self.patch(consoles, "OWN", consoles.command("server status", Request, Facts))
        bench = Bench()
        assert "name own | size 1 B | last seen never" in bench.result(bench.console.greeting())
        bench.server.kernel.close()
        assert "LC-SHUTDOWN" in bench.result(bench.console.greeting())
