"""What an operator types and what comes back, through a real kernel."""

from twisted.trial.unittest import TestCase

from lairchat.model.roles import ServerRole
from tests.operator.consoles import Bench


class Running(TestCase):
    def setUp(self) -> None:
        self.bench = Bench()

    def test_a_list_comes_with_all_its_pages(self) -> None:
        out = self.bench.do("thing list | json")
        assert out.status == 0
        assert out.text.count('"name"') == 4
        assert [one.after for one in self.bench.said] == [None, "cup"]

    def test_a_change_that_asks_is_rehearsed_first(self) -> None:
        out = self.bench.do("thing lock bell --for 2h", True)
        assert out == ("locked bell. undo: thing unlock bell\n", 0)
        assert [rehearsal for _, rehearsal in self.bench.said] == [True, False]
        assert self.bench.questions == ["would do: locked bell\nDo it? y/N "]
        assert self.bench.do("thing lock bell", False) == ("nothing was done\n", 1)

    def test_where_nobody_can_answer_nothing_is_done_unless_told(self) -> None:
        assert self.bench.do("thing lock bell").status == 2
        assert self.bench.said == []
        assert self.bench.do("thing lock bell --yes").status == 0

    def test_what_the_kernel_denies_is_denied(self) -> None:
        bench = Bench(role=ServerRole.ADMIN)
        out = bench.do("thing own")
        assert (out.status, out.text.split()[0]) == (4, "LC-DENIED")
        assert bench.do("thing show nothing").status == 3
