"""Health: the worst finding counts, a check that hangs is a finding, nobody makes it worse by asking."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat.core.health import Finding, Health, Level
from lairchat.model import limits
from lairchat.model.refusals import StoreBusy

FINE = Finding(Level.OK, "fine")
ODD = Finding(Level.WARN, "odd")
BROKEN = Finding(Level.FAIL, "broken")


class Checks(SynchronousTestCase):
    """Reports over checks that the test makes up."""

    def setUp(self):
        self.clock = Clock()
        self.health = Health(self.clock)
        self.asked = 0

    def check(self, *findings):
        given = list(findings)

        def answer():
            self.asked += 1
            return given.pop(0) if len(given) > 1 else given[0]

        return answer

    def report(self):
        return self.successResultOf(self.health.examine())

    def later(self):
        self.clock.advance(limits.HEALTH_KEPT_SECONDS)

    def test_without_checks_all_is_well(self):
        assert self.health.last is None
        report = self.report()
        assert report.level is Level.OK
        assert report.reasons == []

    def test_the_worst_counts_and_only_failures_are_reasons(self):
        self.health.add("disk", self.check(ODD))
        self.health.add("database", lambda: succeed(FINE))
        assert self.report().level is Level.WARN
        assert self.report().reasons == []
        self.health.add("draining", self.check(BROKEN))
        self.later()
        report = self.report()
        assert report.level is Level.FAIL
        assert report.reasons == ["draining: broken"]
        assert list(report.findings) == ["disk", "database", "draining"]
        assert self.health.last is report

    def test_a_report_is_given_again_until_it_is_old(self):
        self.health.add("disk", self.check(FINE, BROKEN))
        assert self.report() is self.report()
        assert self.asked == 1
        self.later()
        assert self.report().level is Level.FAIL
        assert self.asked == 2

    def test_all_who_ask_meanwhile_get_the_same_report(self):
        slow: Deferred[Finding] = Deferred()
        self.health.add("database", self.check(slow))
        waiting = [self.health.examine() for _ in range(3)]
        for one in waiting:
            self.assertNoResult(one)
        slow.callback(FINE)
        reports = {id(self.successResultOf(one)) for one in waiting}
        assert len(reports) == 1
        assert self.asked == 1
        assert self.clock.getDelayedCalls() == []

    def test_what_one_asker_makes_of_it_is_not_what_the_next_gets(self):
        slow: Deferred[Finding] = Deferred()
        self.health.add("database", self.check(slow))
        first, second = self.health.examine(), self.health.examine()
        first.addCallback(lambda report: "mine")
        slow.callback(FINE)
        assert self.successResultOf(first) == "mine"
        assert self.successResultOf(second).level is Level.OK

    def test_a_check_that_hangs_has_failed_and_is_not_started_again(self):
        slow: Deferred[Finding] = Deferred()
        self.health.add("database", self.check(slow, FINE))
        self.health.add("disk", self.check(FINE))
        first = self.health.examine()
        self.clock.advance(limits.HEALTH_SECONDS)
        assert self.successResultOf(first).reasons == ["database: no answer for 2.0 s"]
        self.clock.advance(10)
        assert self.report().reasons == ["database: no answer for 12 s"]
        assert self.asked == 3  # the database once, the disk twice
        slow.callback(FINE)
        self.later()
        assert self.report().level is Level.OK
        assert self.asked == 5

    def test_a_refusal_is_the_finding(self):
        self.health.add("writer", self.check(fail(StoreBusy(retry_after=1))))
        assert "LC-STORE-BUSY" in self.report().reasons[0]

    def test_what_nobody_expected_is_logged_and_not_told(self):
        self.health.add("disk", self.check(fail(ValueError("secret path"))))
        assert self.report().reasons == ["disk: the check itself failed; see the log"]
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_a_check_that_raises_at_once_is_a_finding_too(self):
        def raises():
            raise OSError(5, "input/output error")

        self.health.add("disk", raises)
        assert self.report().level is Level.FAIL
        self.flushLoggedErrors(OSError)
