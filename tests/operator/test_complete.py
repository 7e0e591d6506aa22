"""Tab and help: everything that can be typed can be found."""

from typing import Any

import pytest
from twisted.trial.unittest import TestCase

from lairchat.model.roles import ServerRole
from lairchat.operator.cells import width
from tests.operator.consoles import Bench, thing


class Completing(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()

    def offers(self, line: str, at: int | None = None) -> Any:
        return self.bench.tab(line, at)[1]

    def test_words_of_commands(self) -> None:
        assert "thing" in self.offers("")
        assert "help" in self.offers("")
        assert self.offers("thi") == ["thing"]
        assert self.offers("thing l") == ["list", "lock", "log"]
        assert self.offers("thing key ") == ["add"]
        assert self.offers("zebra ") == []

    def test_the_word_before_the_cursor_counts(self) -> None:
        assert self.bench.tab("thing lo --json", 8) == (6, ["lock", "log"])

    def test_help_completes_what_it_explains(self) -> None:
        assert self.offers("help thi") == ["thing"]
        assert self.offers("help thing sh") == ["show"]
        assert self.offers("help thing show ") == []

    def test_names_come_from_the_server(self) -> None:
        assert self.offers("thing show ") == ["anvil", "bell", "cup", "drum"]
        assert self.offers("thing show b") == ["bell"]
        assert self.offers("thing lock --for 2h c") == ["cup"]
        assert self.offers("thing show bell ") == []

    def test_names_are_written_so_that_they_can_be_read_back(self) -> None:
        self.bench.things = [thing("two words"), thing("it's"), thing("\x1b[2J"), thing("a|b")]
        assert self.offers("thing show ") == ["'a|b'", "'it'\\''s'", "'two words'"]
        assert self.bench.tab("thing show 'two w") == (11, ["'two words'"])

    def test_flags_and_their_values(self) -> None:
        assert self.offers("thing lock a --d") == ["--dry-run"]
        assert {"--for", "--yes", "--json"} <= set(self.offers("thing lock a --"))
        assert self.offers("thing lock a --how ") == ["hard", "soft"]
        assert self.offers("thing lock a --for ") == []
        assert self.offers("thing key add a ") == []

    def test_filters(self) -> None:
        assert self.offers("thing list | ") == ["count", "csv", "grep", "head", "json"]
        assert self.offers("thing list | grep x") == []

    def test_what_is_not_allowed_is_not_offered(self) -> None:
        bench = Bench(role=ServerRole.MODERATOR)
        assert bench.tab("thing ")[1] == ["state"]
        assert bench.tab("thing show ")[1] == []

    def test_a_refusal_is_no_choice(self) -> None:
        self.bench.server.kernel.close()
        assert self.offers("thing show ") == []


class Helping(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()

    def test_everything_on_one_page(self) -> None:
        out = self.bench.do("help")
        assert out.status == 0
        assert "thing" in out.text
        assert "key add" in out.text

    def test_a_noun_and_a_verb(self) -> None:
        text = self.bench.do("help thing").text
        assert "thing show NAME\n    Is tested.\n" in text
        assert self.bench.do("thing ?").text == text
        page = self.bench.do("help thing lock").text
        assert page.startswith(
            "thing lock NAME [--for TIME] [--how soft|hard] [--why TEXT] [--loud]"
        )
        assert "--for TIME       how long; for ever where it is left out." in page
        assert "--how soft|hard  what is said of it; one of soft, hard" in page
        assert "--dry-run" in page
        assert "--yes" in page
        assert "Needs the role admin." in page
        for asked in (
            "thing lock --help",
            "thing lock ?",
            "thing lock a ?",
            "thing lock a --for 2h ?",
            "thing lock a --for 2h --help | json",
        ):
            assert self.bench.do(asked).text == page

    def test_a_question_mark_may_be_a_word(self) -> None:
        assert self.bench.do("thing say are you there ?").text.startswith(
            "name       are you there ?"
        )
        assert self.bench.do("thing say -- --help").status == 0
        assert self.bench.do("thing lock ? a").status == 2
        assert "list, lock" in self.bench.do("?").text
        assert self.bench.do("--help").text == self.bench.do("help").text

    def test_what_there_is_not(self) -> None:
        out = self.bench.do("help thnig")
        assert (out.status, out.text.split()[0]) == (2, "LC-CLI-UNKNOWN")
        assert Bench(role=ServerRole.MODERATOR).do("help thing own").status == 2

    def test_help_is_no_command_for_the_log(self) -> None:
        self.bench.do("help")
        assert self.bench.entries == []

    def test_every_page_fits(self) -> None:
        for columns in (40, 80):
            bench = Bench(columns=columns)
            pages = ["help", "help thing", *(f"help {one.name}" for one in bench.console.verbs)]
            for page in pages:
                for line in bench.do(page).text.splitlines():
                    assert width(line) <= columns or len(line.split()) <= 3, (page, line)


@pytest.mark.parametrize("role", [ServerRole.MODERATOR, ServerRole.ADMIN, ServerRole.OWNER])
def test_help_shows_what_one_may_do(role):
    text = Bench(role=role).do("help").text
    assert ("own" in text) is (role is ServerRole.OWNER)
    assert ("lock" in text) is (role >= ServerRole.ADMIN)
