"""`deploy/`: the dashboard and the alerts use metrics and labels that services really have."""

import asyncio
import json
import re
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from unspool.cli.metrics import all_metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yml"
DASHBOARD = DEPLOY / "grafana/unspool.json"
NAME = re.compile(r"\b((?:unspool|process)_\w+)")
LABELLED = re.compile(r"\b((?:unspool|process)_\w+)\{([^}]*)\}")
SERIES = re.compile(r"_(?:bucket|sum|count)$")


def alert_expressions() -> list[str]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


def panel_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


EXPRESSIONS = alert_expressions() + panel_expressions()


def names_in(expressions: list[str]) -> set[str]:
    return {name for expression in expressions for name in NAME.findall(expression)}


async def test_every_metric_is_one_of_a_live_service(monitored, store_url) -> None:
    """All services run as processes. The names are those in their `/metrics`, with or without a value yet."""
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(monitored(name, store_url))
            for name in ("worker", "executor", "timer")
        ]
        services.append(await stack.enter_async_context(monitored("api", store_url, "--port", "0")))
        missing = wanted = names_in(EXPRESSIONS)
        async with asyncio.timeout(90):
            while missing:
                texts = [(await service.get("/metrics"))[1] for service in services]
                missing = wanted - {name for text in texts for name in described(text)}
                await asyncio.sleep(0.1)
    assert not missing


def described(text: str) -> set[str]:
    """The names of a text, with those of series of histograms."""
    names: set[str] = set()
    for family in text_string_to_metric_families(text):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def test_every_label_is_one_of_its_metric() -> None:
    known = {each.name: {*each.labels, "instance", "le"} for _, each in all_metrics()}
    for expression in EXPRESSIONS:
        for name, matchers in LABELLED.findall(expression):
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            assert used <= known[SERIES.sub("", name)], expression


def test_every_grouping_is_by_labels_of_its_metrics() -> None:
    known = {each.name: {*each.labels, "instance", "le"} for _, each in all_metrics()}
    for expression in EXPRESSIONS:
        labels = set().union(*(known[SERIES.sub("", name)] for name in NAME.findall(expression)))
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= labels, expression


def test_every_alert_says_what_to_do() -> None:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])


def test_values_of_labels_exist() -> None:
    used = set(re.findall(r'(\w+)="(\w+)"', "\n".join(EXPRESSIONS)))
    assert used == {
        ("outcome", "conflict"),
        ("outcome", "faulted"),
        ("status", "faulted"),
        ("status", "429"),
        ("queue", "inbox"),
        ("result", "hit"),
        ("service", "worker"),
    }


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_alerts(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "rules", ALERTS], check=True, timeout=60)
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(panel_expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", file], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_promtool_accepts_what_a_service_shows(monitored, store_url) -> None:
    async with monitored("api", store_url, "--port", "0") as running:
        _, text = await running.get("/metrics")
    promtool = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(promtool.communicate(text.encode()), 60)
    assert promtool.returncode == 0, printed
