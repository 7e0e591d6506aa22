"""The dashboard and the alert rules in etc/ ask for metrics that a running server has."""

import json
import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.daemon import DaemonTest
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


def panels() -> Iterator[dict[str, Any]]:
    yield from json.loads((ETC / "grafana" / "lairchat.json").read_text())["panels"]


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

    def test_panels_lie_side_by_side(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

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
