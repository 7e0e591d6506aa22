"""The dashboard and the alert rules in etc/ ask for metrics that a running server has."""

import importlib.util
import json
import math
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from lairchat.demo_check import Member
from lairchat.model.refusals import AuthFailed
from tests.blackbox.daemon import DaemonTest, awaited, lairctl_beside
from tests.blackbox.test_http import Probe, prometheus, values
from tests.requirements import require

pytestmark = pytest.mark.blackbox

ETC = Path(__file__).resolve().parents[2] / "etc"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}

#: What each rule makes of a server in trouble, and of one that is well: promtool plays it through.
RULES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'up{{job="lairchat", instance="a"}}', values: '1x60 0x60'}}
      - {{series: 'lairchat_health{{instance="a", check="disk"}}', values: '0x60 2x60'}}
      - {{series: 'lairchat_build_info{{instance="a"}}', values: '1x120'}}
      - {{series: 'lairchat_backup_last_success_timestamp_seconds{{instance="a"}}', values: '0x120'}}
    alert_rule_test:
      - {{eval_time: 59m, alertname: LairchatDown, exp_alerts: []}}
      - eval_time: 70m
        alertname: LairchatDown
        exp_alerts:
          - exp_labels: {{severity: page, job: lairchat, instance: a}}
            exp_annotations:
              summary: "Lair Chat on a does not answer"
              next: "systemctl status lairchat; journalctl -u lairchat -n 50"
      - {{eval_time: 59m, alertname: LairchatNotReady, exp_alerts: []}}
      - eval_time: 70m
        alertname: LairchatNotReady
        exp_alerts:
          - exp_labels: {{severity: page, check: disk, instance: a}}
            exp_annotations:
              summary: "disk keeps Lair Chat on a from its work"
              next: "curl http://127.0.0.1:7025/health"
      - {{eval_time: 120m, alertname: LairchatNoBackup, exp_alerts: []}}
"""


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression asks for."""
    return set(re.findall(r"\b(?:lairchat|process|python)_[a-z_]+", expression))


#: The end of an alert's query: what is found is compared with it.
THRESHOLD = re.compile(r" (==|>=|<=|<|>) [^()]*$")
#: Queries that find nothing on a server that is well.
EMPTY_WHEN_WELL = {("alert", "LairchatNoBackup")}  # there is a backup


def dashboard() -> Any:
    return json.loads((ETC / "grafana" / "lairchat.json").read_text())


def panels() -> Iterator[dict[str, Any]]:
    yield from dashboard()["panels"]


def lost(said: dict[str, Any]) -> set[str]:
    """Return the paths of what Grafana's types do not keep of a dashboard."""
    kept = json.loads(JSONEncoder().encode(models.Dashboard.from_json(said)))
    return set(_missing(said, kept))


def _missing(said: Any, kept: Any, path: str = "") -> Iterator[str]:
    if isinstance(said, list):
        said, kept = dict(enumerate(said)), dict(enumerate(kept))
    if not isinstance(said, dict):
        if said != kept:
            yield path
        return
    for key, value in said.items():
        if key in kept:
            yield from _missing(value, kept[key], f"{path}.{key}")
        else:
            yield f"{path}.{key}"


class Samples(DaemonTest):
    def existing(self) -> set[str]:
        """Return the names under which the running server's values are stored."""
        url = f"http://127.0.0.1:{self.server.door('http')}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            kinds = re.findall(r"^# TYPE (\w+) (\w+)$", answer.read().decode(), re.MULTILINE)
        found = set()
        for name, kind in kinds:
            # The text format names a counter's family as its values; OpenMetrics does not.
            plain = name.removesuffix("_total") if kind == "counter" else name
            found |= {f"{plain}{suffix}" for suffix in SUFFIXES.get(kind, ("",))}
        return found

    def test_every_metric_that_is_asked_for_exists(self) -> None:
        rules = (ETC / "prometheus" / "alerts.yml").read_text()
        asked = names_in(rules)
        for panel in panels():
            for target in panel["targets"]:
                assert names_in(target["expr"]), panel["title"]
                asked |= names_in(target["expr"])
        assert len(asked) > 15
        assert asked - self.existing() == set()

    @awaited
    async def test_every_panel_and_every_alert_finds_what_it_asks_for(self) -> None:
        """A real Prometheus, a server in use: each query of the dashboard draws something."""
        require("prometheus")
        alice, _ = await self.friends("alice", "bob")
        assert (await lairctl_beside(self.server, "backup", "create", "kept")).returncode == 0
        await self.guess_wrong()
        going = [True]

        async def chat() -> None:
            while going[0]:
                await alice.say(1, "so that there is something to draw")
                await deferLater(reactor, 0.02)

        chatting = Deferred.fromCoroutine(chat())
        target = f"127.0.0.1:{self.server.door('http')}"
        with prometheus(self.directory, target, rules=ETC / "prometheus" / "alerts.yml") as asked:
            try:
                await deferToThread(self.look, asked, target)
            finally:
                going[0] = False
                await chatting

    async def guess_wrong(self) -> None:
        """Give a name with a password that is not its own."""
        stranger = Member(reactor, "127.0.0.1", self.server.port, "bob", "not the password of bob")
        self.members.append(stranger)
        await stranger.connect()
        try:
            await stranger.login()
        except AuthFailed:
            return
        raise AssertionError("that was no wrong password")

    def look(self, asked: Probe, target: str) -> None:
        asked.until(lambda: values(asked, 'up{job="lairchat"}') == ["1"], "the first scrape", 40)
        (variable,) = [one for one in dashboard()["templating"]["list"] if one["type"] == "query"]
        series, label = variable["query"]["query"].removeprefix("label_values(")[:-1].split(", ")
        found = json.loads(asked.get(f"/api/v1/label/{label}/values?match[]={series}")[2])["data"]
        assert found == [target]

        queries = {}
        for panel in panels():
            for each in panel["targets"]:
                query = each["expr"].replace("$instance", target).replace("$__rate_interval", "5s")
                assert "$" not in query
                queries[panel["title"], each["refId"]] = query
        rules = [
            rule
            for group in json.loads(asked.get("/api/v1/rules")[2])["data"]["groups"]
            for rule in group["rules"]
        ]
        for rule in rules:
            # What is compared has to be there; that it is compared with something is promtool's.
            queries["alert", rule["name"]] = THRESHOLD.sub("", rule["query"])
        assert len(queries) > 25

        def empty() -> dict[tuple[str, str], list[str]]:
            drawn = {name: values(asked, query) for name, query in queries.items()}
            return {
                name: one for name, one in drawn.items()
                if not any(math.isfinite(float(value)) for value in one)
                and name not in EMPTY_WHEN_WELL
            }  # fmt: skip

        for _ in range(100):
            missing = empty()
            if not missing:
                break
            time.sleep(0.3)
        assert missing == {}, "nothing, or no number, is found for these"
        assert all(rule["health"] != "err" for rule in rules), rules
        for name in EMPTY_WHEN_WELL:
            assert values(asked, queries[name]) == [], name

    def test_panels_lie_side_by_side(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_grafana_knows_all_that_the_dashboard_says(self) -> None:
        """Read and written again by Grafana's own types, nothing is missing: no key is mistyped."""
        plugins.register_default_plugins()
        for panel in panels():
            name = f"grafana_foundation_sdk.models.{panel['type']}"
            assert importlib.util.find_spec(name), panel["type"]
        assert lost(dashboard()) == set()
        mistyped = dashboard()
        mistyped["panels"][0]["targets"][0]["exprr"] = "up"
        assert ".panels.0.targets.0.exprr" in lost(mistyped)

    def test_promtool_takes_the_configuration_and_plays_the_rules(self) -> None:
        require("promtool")
        with tempfile.TemporaryDirectory(prefix="lair-test-") as directory:
            played = Path(directory) / "rules-test.yml"
            played.write_text(RULES.format(rules=ETC / "prometheus" / "alerts.yml"))
            for words in (
                ("check", "config", str(ETC / "prometheus" / "prometheus.yml")),
                ("check", "rules", str(ETC / "prometheus" / "alerts.yml")),
                ("test", "rules", str(played)),
            ):
                done = subprocess.run(
                    ["promtool", *words], capture_output=True, check=False, timeout=60
                )
                assert done.returncode == 0, (done.stdout + done.stderr).decode()
