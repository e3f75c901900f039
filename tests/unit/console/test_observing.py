"""Dashboards and alerts ask for metrics that exist, with labels that they have."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from unmask.system import instruments as metrics
from workers.run.queue_metrics import FAMILIES

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "unmask.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
#: From prometheus_client itself, on every process.
_PROCESS = {"process_resident_memory_bytes", "process_open_fds"}
_WORD = re.compile(r"\b((?:unmask|process)_[a-z_]+)")
_GROUPED = re.compile(r"(?:by|on) \(([a-z_, ]+)\)")


def known() -> dict[str, set[str]]:
    """Every series name there can be -> its labels."""
    found: dict[str, set[str]] = {name: set(labels) for name, _, labels in FAMILIES}
    for family in metrics.REGISTRY.collect():
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "info": ("_info",),
        }.get(family.type, ("",))
        labels = set(getattr(metrics._BY_NAME.get(family.name), "_labelnames", ()))
        for suffix in suffixes:
            found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    found["unmask_build_info"] = {"version", "role"}
    return found


def expressions() -> list[str]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    rules: dict[str, Any] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return panels + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_that_is_asked_for_exists_with_its_labels(expression: str) -> None:
    names = set(_WORD.findall(expression))
    assert names, "asks for nothing of ours"
    series = known()
    assert names <= set(series) | _PROCESS
    labels = set().union(*(series.get(name, set()) for name in names))
    for group in _GROUPED.findall(expression):
        assert set(re.split(r", *", group)) <= labels, expression


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = {name for expression in expressions() for name in _WORD.findall(expression)}
    stems = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    assert set(metrics._BY_NAME) <= stems
    assert {name for name, _, _ in FAMILIES} <= stems


def test_a_renamed_metric_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        test_every_metric_that_is_asked_for_exists_with_its_labels("sum(unmask_jobs_done_total)")
    with pytest.raises(AssertionError):
        test_every_metric_that_is_asked_for_exists_with_its_labels(
            "sum by (job_id) (unmask_jobs_open)"
        )


def test_names_follow_prometheus_and_no_label_holds_an_id() -> None:
    for name, labels in known().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)
        assert not {label for label in labels if "id" in label.split("_")}, name
        if name.endswith("_seconds_total") or name.startswith("process_"):
            continue
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb)(_|$)", name), "base units alone"


def test_alerts_say_what_to_do() -> None:
    rules: dict[str, Any] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
            assert {"summary", "action"} <= set(rule["annotations"]), rule["alert"]


def test_promtool_accepts_the_rules_and_the_scrape_settings() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool absent: apt-get install prometheus")
    for arguments in (["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=ALERTS.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_process_relays_its_parent_shows() -> None:
    before = metrics.REGISTRY.get_sample_value("unmask_verdicts_total", {"verdict": "fake"}) or 0
    script = (
        "import sys; from unmask.system import instruments as metrics; metrics.relay();"
        "metrics.count(metrics.VERDICTS, 2, verdict='fake');"
        "metrics.observe(metrics.JOB_SECONDS, 3.0);"
        "metrics.level(metrics.SANDBOX_LOCK, 1, lock='limits');"
        "sys.stdout.buffer.write(metrics.relayed())"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    metrics.absorb(done.stdout)
    after = metrics.REGISTRY.get_sample_value("unmask_verdicts_total", {"verdict": "fake"})
    assert after == before + 2
    assert metrics.REGISTRY.get_sample_value("unmask_sandbox_lock_held", {"lock": "limits"}) == 1
    metrics.absorb(done.stdout[:-5])  # killed half-way: nothing, and no error
    assert metrics.REGISTRY.get_sample_value("unmask_verdicts_total", {"verdict": "fake"}) == after
