"""The pages: health in words and statuses, a status page that nobody's name can break."""

import base64
import hashlib
import json
import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat.core.health import Finding, Health, Level
from lairchat.model import limits
from lairchat.transports.http_answer import Answer, Asked
from lairchat.transports.http_pages import STILL, Section, pages

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&"
ANYTHING = Asked("", "")


class Pages(SynchronousTestCase):
    """Pages over checks that the test makes up."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.health = Health(self.clock)
        self.finding = Finding(Level.OK, "fine")
        self.health.add("disk", lambda: self.finding)
        self.pages = pages(self.health, self.metrics, "chat.example", self.sections)
        self.rows = [("up", "3 d")]

    def metrics(self, _: Asked) -> Answer:
        return Answer(200, b"text/plain", b"")

    async def sections(self) -> list[Section]:
        return [Section("Server", self.rows)]

    def get(self, path: str, query: str = "") -> Answer:
        """Return what a page answers at once."""
        answer: Any = self.pages[path](Asked(query, ""))
        if not isinstance(answer, Answer):
            answer = self.successResultOf(Deferred.fromCoroutine(answer))
        assert isinstance(answer, Answer)
        return answer

    def find(self, level: Level, text: str) -> None:
        """Let the check find this from now on."""
        self.finding = Finding(level, text)
        self.clock.advance(limits.HEALTH_KEPT_SECONDS)

    def test_the_paths(self) -> None:
        assert sorted(self.pages) == ["/", "/health", "/health/live", "/health/ready", "/metrics"]
        assert self.pages["/metrics"] == self.metrics

    def test_ready_says_why_not(self) -> None:
        for level, text, status, told in (
            (Level.OK, "fine", 200, {"status": "ok", "reasons": []}),
            (Level.WARN, "little", 200, {"status": "warn", "reasons": []}),
            (Level.FAIL, "full", 503, {"status": "fail", "reasons": ["disk: full"]}),
        ):
            self.find(level, text)
            answer = self.get("/health/ready")
            assert (answer.status, json.loads(answer.body)) == (status, told)

    def test_health_tells_every_check(self) -> None:
        self.find(Level.FAIL, "full")
        answer = self.get("/health")
        assert answer.status == 503
        assert answer.type == b"application/json"
        assert json.loads(answer.body) == {
            "status": "fail",
            "checks": {"disk": {"status": "fail", "text": "full"}},
        }

    def test_the_process_lives_whatever_the_checks_say(self) -> None:
        self.find(Level.FAIL, "full")
        assert self.get("/health/live").status == 200

    def test_the_status_page_is_a_page_also_when_all_is_lost(self) -> None:
        self.find(Level.FAIL, "full")
        answer = self.get("/")
        assert answer.status == 200
        page = answer.body.decode()
        assert "<title>fail: chat.example</title>" in page
        assert '<th scope="row">disk</th>' in page
        assert '<th scope="row">up</th><td>3 d</td>' in page

    def test_its_policy_allows_its_own_style_sheet_and_nothing_else(self) -> None:
        answer = self.get("/")
        policy = answer.headers[b"Content-Security-Policy"].decode()
        sheet = re.search(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
        assert sheet is not None
        digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
        assert policy.endswith(f"; style-src 'sha256-{digest}'")
        assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'")

    def test_it_stands_still_for_who_wants_that(self) -> None:
        moving, still = self.get("/").body.decode(), self.get("/", STILL).body.decode()
        assert 'http-equiv="refresh" content="5"' in moving
        assert f'<a href="/?{STILL}">' in moving
        assert "http-equiv" not in still
        assert '<a href="/">' in still

    def test_nothing_that_is_shown_can_be_markup_or_move_a_cursor(self) -> None:
        self.find(Level.WARN, HOSTILE)
        self.rows = [(HOSTILE, HOSTILE)]
        page = self.get("/").body.decode()
        assert "<script" not in page
        assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
        assert "\x1b" not in page
        assert "\u202e" not in page
        told = self.get("/health").body
        assert b"\x1b" not in told
        assert told.isascii()

    def test_words_are_there_beside_the_colours(self) -> None:
        self.find(Level.FAIL, "full")
        page = self.get("/").body.decode()
        assert '<span class="word fail">fail</span> full' in page
        assert "color-scheme: light dark" in page
        assert page.count("aria-labelledby") == page.count("<table")


def test_a_page_of_metrics_is_any_page() -> None:
    made = pages(Health(Clock()), lambda asked: Answer(200, b"x", asked.accept.encode()), "x", None)  # type: ignore[arg-type]
    answer = made["/metrics"](Asked("", "text/plain"))
    assert isinstance(answer, Answer)
    assert answer.body == b"text/plain"
