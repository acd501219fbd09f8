"""docker-compose.yml: it is valid, and its services, run as plain processes, execute a workflow.

The tests have no Docker engine. They check the file against the published schema, and run its commands with
their environments against a real Redis with the options of the file.
"""

import asyncio
import contextlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml
from tests.deployment.processes import ROOT, Running, check_settings, parse, running
from tests.ports import free_port

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("unspool:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()

DEFINITION = """\
document: {dsl: '1.0.3', namespace: deployed, name: nap, version: '1.0.0'}
do:
  - nap:
      wait: {milliseconds: 50}
  - lookAtMyself:
      call: http
      with:
        method: get
        endpoint: ${ .health }
  - tryTheShell:
      try:
        - shell: {run: {shell: {command: "echo no"}}}
      catch:
        do:
          - refused:
              set: {live: '${ $workflow.input.live }', shell: '${ $error.status }'}
"""


def test_it_is_a_valid_compose_file() -> None:
    schema = json.loads((ROOT / "tests/deployment/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_service_can_be_scaled() -> None:
    for name, service in OURS.items():
        assert "container_name" not in service
        assert name == "api" or "ports" not in service


def test_nothing_is_published_to_the_network() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "ports" not in SERVICES["redis"]


def test_no_service_runs_as_root_or_can_become_root() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert "0" not in user
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["read_only"] is True


def test_every_service_waits_for_redis() -> None:
    assert "healthcheck" in SERVICES["redis"]
    for service in OURS.values():
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_redis_keeps_acknowledged_writes() -> None:
    options = _redis_options()
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert SERVICES["redis"]["volumes"] == ["redis-data:/data"]


def test_the_image_is_of_this_release() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"unspool:{version}"}


def test_the_build_context_has_what_the_build_needs() -> None:
    """The build context is an allow list; the wheel is built from it alone."""
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    portions = set(project["tool"]["hatch"]["build"]["dev-mode-dirs"])
    assert allowed == portions | {"LICENSE", "README.md", "pyproject.toml"}


# -- the services as processes


@pytest.fixture
def composed_redis(redis_server: Any, tmp_path: Path) -> Iterator[str]:
    """A Redis with the options of the compose file."""
    options = [word for pair in _redis_options().items() for word in pair]
    server = type(redis_server)(tmp_path, *options)
    server.start()
    yield server.url
    server.stop()


def _redis_options() -> dict[str, str]:
    program, *words = SERVICES["redis"]["command"]
    assert program == "redis-server"
    return dict(zip(words[::2], words[1::2], strict=True))


def _environment(service: dict[str, Any], redis: str, port: int, metrics_port: int) -> dict[str, str]:
    """Returns a container's environment, with addresses of this machine."""
    here = {
        "redis://redis:6379/0": redis,
        "0.0.0.0": "127.0.0.1",
        "8080": str(port),
        "9464": str(metrics_port),
    }
    return {name: here.get(value, value) for name, value in service["environment"].items()}


def _stop_seconds(name: str) -> float:
    return float(SERVICES[name]["stop_grace_period"].removesuffix("s"))


async def _healthy(port: int, started: Running) -> None:
    """Runs the health check of the image until it succeeds, as Docker does."""
    [check] = re.findall(r"^HEALTHCHECK [^\n]*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    python, *arguments = json.loads(check)
    assert python == "python"
    async with asyncio.timeout(240):  # six processes start, perhaps on a busy machine
        while True:
            assert started.process.returncode is None, started.log.read_text()
            checking = await asyncio.create_subprocess_exec(
                *(sys.executable, *arguments),
                env={"UNSPOOL_METRICS_PORT": str(port)},
                stderr=asyncio.subprocess.DEVNULL,
            )
            if await checking.wait() == 0:
                return


@pytest.mark.timeout(300)
async def test_its_services_become_healthy_and_run_a_workflow(composed_redis: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert 'ENTRYPOINT ["unspool"]' in DOCKERFILE
    async with contextlib.AsyncExitStack() as stack:
        started = {}
        for number, name in enumerate([*OURS, "worker"]):  # as with --scale worker=2
            metrics_port = free_port()
            environment = _environment(OURS[name], composed_redis, port, metrics_port)
            process = running(
                OURS[name]["command"], environment, tmp_path / f"{number}.log", _stop_seconds(name)
            )
            started[metrics_port] = await stack.enter_async_context(process)
        await asyncio.gather(*(_healthy(port, process) for port, process in started.items()))
        session = await stack.enter_async_context(aiohttp.ClientSession(url))
        headers = {"Content-Type": "application/yaml"}
        async with session.post("/api/v1/workflows", data=DEFINITION, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
        body = {"input": {"health": f"{url}/health/live", "live": True}}
        path = "/api/v1/workflows/deployed/nap/executions?wait=60"
        async with session.post(path, json=body) as answer:
            execution = await answer.json()
        assert execution.get("output") == {"live": True, "shell": 403}, execution


def test_the_commands_and_settings_exist() -> None:
    for service in OURS.values():
        parse(service["command"])
        check_settings(service["environment"])
        assert {"UNSPOOL_METRICS_PORT"} <= service["environment"].keys()


def test_prometheus_reads_every_service() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    [job] = configuration["scrape_configs"]
    [names] = job["dns_sd_configs"]
    assert set(names["names"]) == set(OURS)
    for service in OURS.values():
        assert service["environment"]["UNSPOOL_METRICS_PORT"] == str(names["port"])
        assert service["environment"]["UNSPOOL_METRICS_HOST"] == "0.0.0.0"


def test_every_mounted_file_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists()


def test_grafana_finds_the_dashboard_and_prometheus() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    [provider] = yaml.safe_load((provisioning / "dashboards/unspool.yml").read_text())["providers"]
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    grafana = SERVICES["grafana"]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/unspool.json:{folder}/unspool.json:ro" in grafana["volumes"]
    assert source["url"] == "http://prometheus:9090"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/unspool.json"
