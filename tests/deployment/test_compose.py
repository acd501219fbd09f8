"""docker-compose.yml: it is valid, and its services, run as plain processes, execute a workflow.

The tests have no Docker engine. They check the file against the published schema, and run its commands with
their environments against a real Redis with the options of the file.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "redis"}
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


def test_the_api_is_not_published_to_the_network() -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["api"]["ports"])
    assert "ports" not in SERVICES["redis"]


def test_no_service_runs_as_root_or_can_become_root() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert "0" not in user
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["read_only"] is True


def test_every_service_waits_for_redis_and_the_api_has_a_health_check() -> None:
    assert "healthcheck" in SERVICES["redis"]
    assert "/health/ready" in SERVICES["api"]["healthcheck"]["test"][-1]
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


def _environment(service: dict[str, Any], redis: str, port: int) -> dict[str, str]:
    """Returns a container's environment, with addresses of this machine."""
    here = {"redis://redis:6379/0": redis, "0.0.0.0": "127.0.0.1", "8080": str(port)}
    given = {name: here.get(value, value) for name, value in service["environment"].items()}
    return {"PATH": os.environ["PATH"], **given}


@contextlib.asynccontextmanager
async def _running(name: str, environment: dict[str, str], log: Path) -> AsyncIterator[None]:
    """Runs a service as a process, and stops it as Compose does."""
    assert 'ENTRYPOINT ["unspool"]' in DOCKERFILE
    unspool = Path(sys.executable).with_name("unspool")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            unspool, *SERVICES[name]["command"], env=environment, cwd="/", stderr=errors
        )
    try:
        yield
        assert process.returncode is None, f"{name} has ended, see {log}"
        process.send_signal(signal.SIGTERM)
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        async with asyncio.timeout(grace):
            assert await process.wait() == 0, f"{name} failed, see {log}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_its_services_run_a_workflow(composed_redis: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        for number, name in enumerate([*OURS, "worker"]):  # as with --scale worker=2
            environment = _environment(OURS[name], composed_redis, port)
            await stack.enter_async_context(_running(name, environment, tmp_path / f"{number}.log"))
        session = await stack.enter_async_context(aiohttp.ClientSession(url))
        await _ready(session)
        headers = {"Content-Type": "application/yaml"}
        async with session.post("/api/v1/workflows", data=DEFINITION, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
        body = {"input": {"health": f"{url}/health/live", "live": True}}
        path = "/api/v1/workflows/deployed/nap/executions?wait=20"
        async with session.post(path, json=body) as answer:
            execution = await answer.json()
        assert execution.get("output") == {"live": True, "shell": 403}, execution


async def _ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(90):  # six processes start, perhaps on a busy machine
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get("/health/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
