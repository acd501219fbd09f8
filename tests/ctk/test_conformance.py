"""The specification's conformance features, over the HTTP API."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import pytest
import yaml

pytestmark = pytest.mark.asyncio(loop_scope="module")

_TENANTS = count(1)


@dataclass
class ScenarioRun:
    """The state of one scenario between its steps."""

    api: str
    session: aiohttp.ClientSession
    replaced: dict[str, str]
    definition: str = ""
    input: Any = None
    execution: dict[str, Any] = field(default_factory=dict)

    async def call(self, method: str, path: str, **body: Any) -> Any:
        async with self.session.request(method, f"{self.api}/api/v1{path}", **body) as response:
            answer = await response.json()
            assert response.status in {200, 201}, answer
            return answer

    async def path(self) -> list[str]:
        """Names of the tasks in the order they were started."""
        events = (await self.call("GET", f"/executions/{self.execution['id']}/events"))["items"]
        return [event["task"].rsplit("/", 1)[-1] for event in events if event["type"] == "task.started"]

    def output(self) -> Any:
        assert self.execution["status"] == "completed", self.execution
        return self.execution["output"]

    def property(self, path: str) -> Any:
        value = self.output()
        for name in path.split("."):
            assert name in value, f"{path!r} is missing in {self.output()}"
            value = value[name]
        return value


async def a_workflow(scenario_run: ScenarioRun, text: str) -> None:
    for original, here in scenario_run.replaced.items():
        text = text.replace(original, here)
    scenario_run.definition = text


async def its_input(scenario_run: ScenarioRun, text: str) -> None:
    scenario_run.input = yaml.safe_load(text)


async def executed(scenario_run: ScenarioRun, _: str) -> None:
    headers = {"Content-Type": "application/yaml"}
    workflow = await scenario_run.call("POST", "/workflows", data=scenario_run.definition, headers=headers)
    path = f"/workflows/{workflow['namespace']}/{workflow['name']}/executions?wait=60"
    body = {} if scenario_run.input is None else {"input": scenario_run.input}
    scenario_run.execution = await scenario_run.call("POST", path, json=body)


async def completes(scenario_run: ScenarioRun, _: str) -> None:
    assert scenario_run.execution["status"] == "completed", scenario_run.execution


async def completes_with(scenario_run: ScenarioRun, text: str) -> None:
    assert scenario_run.output() == yaml.safe_load(text)


async def faults(scenario_run: ScenarioRun, _: str) -> None:
    assert scenario_run.execution["status"] == "faulted", scenario_run.execution


async def faults_with(scenario_run: ScenarioRun, text: str) -> None:
    assert scenario_run.execution.get("error") == yaml.safe_load(text)


async def has_properties(scenario_run: ScenarioRun, _: str, names: str) -> None:
    for name in re.findall(r"'([^']+)'", names):
        scenario_run.property(name)


async def has_value(scenario_run: ScenarioRun, text: str, name: str) -> None:
    assert scenario_run.property(name) == yaml.safe_load(text)


async def has_items(scenario_run: ScenarioRun, _: str, name: str, amount: str) -> None:
    assert len(scenario_run.property(name)) == int(amount)


async def runs_first(scenario_run: ScenarioRun, _: str, task: str) -> None:
    assert (await scenario_run.path())[0] == task


async def runs_last(scenario_run: ScenarioRun, _: str, task: str) -> None:
    assert (await scenario_run.path())[-1] == task


async def runs_after(scenario_run: ScenarioRun, _: str, task: str, other: str) -> None:
    path = await scenario_run.path()
    assert path.index(other) < path.index(task), path


STEPS: dict[str, Callable[..., Awaitable[None]]] = {
    r"a workflow with definition:": a_workflow,
    r"given the workflow input is:": its_input,  # inventory V27: the keyword is part of the text
    r"the workflow is executed": executed,
    r"the workflow should complete": completes,
    r"the workflow should complete with output:": completes_with,
    r"the workflow should fault": faults,
    r"the workflow should fault with error:": faults_with,
    r"the workflow output should have properties (.*)": has_properties,
    r"the workflow output should have a '(.*)' property with value:": has_value,
    r"the workflow output should have a '(.*)' property containing (\d+) items": has_items,
    r"(\w+) should run first": runs_first,
    r"(\w+) should run last": runs_last,
    r"(\w+) should run after (\w+)": runs_after,
}


async def perform(scenario_run: ScenarioRun, step: Any) -> None:
    """Performs one step of a scenario."""
    for pattern, act in STEPS.items():
        if match := re.fullmatch(pattern, step.text):
            await act(scenario_run, step.argument, *match.groups())
            return
    pytest.fail(f"no such step: {step.text}")


async def test_scenario(
    scenario: Any, engine: str, local_service: str, replaced_hosts: tuple[str, ...]
) -> None:
    headers = {"X-Tenant": f"scenario-{next(_TENANTS)}"}  # scenarios share names of workflows
    replaced = dict.fromkeys(replaced_hosts, local_service)
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(60):
        scenario_run = ScenarioRun(engine, session, replaced)
        for step in scenario.steps:
            await perform(scenario_run, step)
