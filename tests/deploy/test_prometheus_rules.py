"""The scrape configuration and the rules: valid, true to their own unit tests, and about metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RULE_TESTS = ["alerts.yml", "recording.yml"]


@pytest.fixture
def alerts(deploy: Path, read_yaml: Callable[[Path], Any]) -> dict[str, dict[str, Any]]:
    groups = read_yaml(deploy / "prometheus/rules/alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture
def alert_tests(deploy: Path, read_yaml: Callable[[Path], Any]) -> list[dict[str, Any]]:
    return list(read_yaml(deploy / "prometheus/tests/alerts.yml")["tests"])


def test_promtool_accepts_the_configuration_and_its_rules(deploy: Path, passes: Callable[..., str]) -> None:
    """The configuration finds its rules by a path relative to itself, so this checks both."""
    report = passes("prometheus", "promtool", "check", "config", "--lint-fatal", deploy / "prometheus/prometheus.yml")
    assert "2 rule files found" in report


@pytest.mark.parametrize("file", RULE_TESTS)
def test_rules_answer_as_their_unit_tests_say(deploy: Path, passes: Callable[..., str], file: str) -> None:
    passes("prometheus", "promtool", "test", "rules", deploy / "prometheus/tests" / file)


def instances(test: dict[str, Any]) -> set[str]:
    return {name for series in test["input_series"] for name in re.findall(r'instance="([^"]+)"', series["series"])}


def test_every_alert_is_shown_to_fire_and_to_keep_quiet(
    alerts: dict[str, dict[str, Any]], alert_tests: list[dict[str, Any]]
) -> None:
    """A case in which the alert fires for one server and not for its neighbour shows both."""
    fires, quiet = set(), set()
    for test in alert_tests:
        for case in test.get("alert_rule_test", []):
            if case["exp_alerts"]:
                fires.add(case["alertname"])
            if len(case["exp_alerts"]) < len(instances(test)):
                quiet.add(case["alertname"])
    assert fires == quiet == alerts.keys()


@pytest.mark.parametrize("broken", ["vector(0) > 1", "vector(1)"], ids=["never", "always"])
def test_the_unit_tests_notice_an_alert_that_is_wrong(
    deploy: Path, tmp_path: Path, require: Callable[..., str], alerts: dict[str, dict[str, Any]], broken: str
) -> None:
    """A test of the tests: with any one alert that never, or always, fires, promtool must complain."""
    promtool = require("prometheus", "promtool")
    shutil.copytree(deploy / "prometheus", tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "rules/alerts.yml"
    original = rules.read_text()
    for name, rule in alerts.items():
        assert original.count(f"expr: {rule['expr']}\n") == 1
        rules.write_text(original.replace(f"expr: {rule['expr']}\n", f"expr: {broken}\n"))
        done = subprocess.run(
            [promtool, "test", "rules", tmp_path / "tests/alerts.yml"], capture_output=True, check=False
        )
        assert done.returncode == 1, name


def test_alerts_say_what_where_and_how_bad(alerts: dict[str, dict[str, Any]]) -> None:
    """Every alert says what is wrong where and how bad it is."""
    for name, rule in alerts.items():
        assert re.fullmatch(r"Aurea[A-Z]\w+", name)
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert rule["annotations"].keys() == {"summary", "description"}, name
        assert "$labels.instance" in rule["annotations"]["summary"] or name == "AureaServerMissing", name


def test_the_table_of_alerts_is_the_alerts(deploy: Path, alerts: dict[str, dict[str, Any]]) -> None:
    rows = re.findall(r"^\| `(Aurea\w+)` \|.+\| (\w+) \|$", (deploy / "README.md").read_text(), re.MULTILINE)
    assert dict(rows) == {name: rule["labels"]["severity"] for name, rule in alerts.items()}


def test_recording_rules_are_named_level_metric_operations(deploy: Path, read_yaml: Callable[[Path], Any]) -> None:
    """The convention of Prometheus, and the reason that a recorded series is recognised as one."""
    for group in read_yaml(deploy / "prometheus/rules/recording.yml")["groups"]:
        for rule in group["rules"]:
            assert re.fullmatch(r"instance(_\w+)?:benchmark_\w+:\w*(rate|mean)\w*", rule["record"])


def test_compose_differs_in_the_target_only(deploy: Path, passes: Callable[..., str]) -> None:
    """Compose differs from the plain configuration in the target only."""

    def lines(file: str) -> list[str]:
        text = (deploy / file).read_text().replace("aurea:5000", "localhost:5000")
        return text.partition("# Five seconds")[2].splitlines()

    assert lines("docker/prometheus.yml") == lines("prometheus/prometheus.yml")
    passes("prometheus", "promtool", "check", "config", "--syntax-only", deploy / "docker/prometheus.yml")


def test_scrape_interval_is_that_of_grafana(deploy: Path, read_yaml: Callable[[Path], Any]) -> None:
    """Otherwise $__rate_interval is too short for a rate, or needlessly wide."""
    scrape = read_yaml(deploy / "prometheus/prometheus.yml")["global"]["scrape_interval"]
    (source,) = read_yaml(deploy / "grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == scrape == "5s"
