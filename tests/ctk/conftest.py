"""Reads the specification's conformance features, selects those to run, and starts a real engine for them.

The features are not part of this repository; they are beside it, in `shared/spec/ctk`. If they are missing,
one skipped test says so.
"""

import asyncio
import re
import textwrap
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from unspool.cli.node import Node
from unspool.cli.serving import serve_api
from unspool.eventstore.opening import open_store

FEATURES = Path(__file__).parents[3] / "shared" / "spec" / "ctk"

REPLACED_HOSTS = ("https://petstore.swagger.io", "https://httpbin.org")


class Step(NamedTuple):
    """One line of a scenario, without its keyword, and the text below it."""

    text: str
    argument: str


@dataclass(frozen=True)
class Scenario:
    """One scenario of a feature."""

    id: str
    steps: list[Step] = field(default_factory=list)

    @property
    def definition(self) -> str:
        return next(step.argument for step in self.steps if step.text == "a workflow with definition:")

    @property
    def unsupported(self) -> str | None:
        """The first construct that this release does not execute."""
        return next(_unsupported(yaml.safe_load(self.definition)), None)


def _unsupported(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("call", "http") not in {"http", "openapi"}:
            yield f"`call: {node['call']}` is not executed yet"
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _unsupported(child)


_STEP = re.compile(r"\s*(?:Given|When|Then|And|But) (.*?)\s*")
_QUOTES = re.compile(r'(\s*)"""')


def scenarios(feature: Path) -> Iterator[Scenario]:
    """Reads the scenarios of a Gherkin file; it supports the part of the language that these files use."""
    scenario = None
    lines = iter(feature.read_text().splitlines())
    for line in lines:
        if title := re.fullmatch(r"\s*Scenario: (.*?)\s*", line):
            if scenario:
                yield scenario
            where = feature.relative_to(FEATURES).with_suffix("")
            scenario = Scenario(f"{where}: {title[1]}")
        elif scenario and (step := _STEP.fullmatch(line)):
            scenario.steps.append(Step(step[1], ""))
        elif scenario and _QUOTES.match(line):
            scenario.steps[-1] = Step(scenario.steps[-1].text, _quoted(lines))
        elif scenario and line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"{feature}: cannot read {line!r}")
    if scenario:
        yield scenario


def _quoted(lines: Iterator[str]) -> str:
    text = []
    for line in lines:
        if _QUOTES.fullmatch(line.rstrip()):
            return textwrap.dedent("\n".join(text)) + "\n"
        text.append(line)
    raise ValueError("a quoted text does not end")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" not in metafunc.fixturenames:
        return
    found = [scenario for feature in sorted(FEATURES.rglob("*.feature")) for scenario in scenarios(feature)]
    cases = [_case(scenario) for scenario in found] or [_absent()]
    metafunc.parametrize("scenario", cases)


def _case(scenario: Scenario) -> Any:
    marks = [pytest.mark.skip(f"{scenario.id}: {scenario.unsupported}")] if scenario.unsupported else []
    return pytest.param(scenario, id=scenario.id, marks=marks)


def _absent() -> Any:
    reason = "the conformance features are not there: they are read from ../shared/spec/ctk"
    return pytest.param(None, id="absent", marks=pytest.mark.skip(reason))


# -- services that the features call


PETS = {
    1: {"id": 1, "name": "Milou", "status": "available"},
    2: {"id": 2, "name": "Rantanplan", "status": "available"},
    3: {"id": 3, "name": "Idefix", "status": "sold"},
}


PETSTORE = {
    "swagger": "2.0",
    "info": {"title": "Pets", "version": "1.0.0"},
    "basePath": "/v2",
    "schemes": ["http"],
    "paths": {
        "/pet/findByStatus": {
            "get": {
                "operationId": "findPetsByStatus",
                "produces": ["application/json"],
                "parameters": [
                    {
                        "name": "status",
                        "in": "query",
                        "required": True,
                        "type": "array",
                        "items": {"type": "string", "enum": ["available", "pending", "sold"]},
                        "collectionFormat": "multi",
                    }
                ],
                "responses": {"200": {"description": "The pets."}},
            }
        },
        "/pet/{petId}": {
            "get": {
                "operationId": "getPetById",
                "produces": ["application/json"],
                "parameters": [
                    {"name": "petId", "in": "path", "required": True, "type": "integer", "format": "int64"}
                ],
                "responses": {"200": {"description": "The pet."}},
                "security": [{"api_key": []}],
            }
        },
    },
    "securityDefinitions": {"api_key": {"type": "apiKey", "name": "api_key", "in": "header"}},
}
"""The part of the pet store's document that the features use. Its server is that of the document."""


async def _document(_: web.Request) -> web.Response:
    return web.json_response(PETSTORE)


async def _find_pets(request: web.Request) -> web.Response:
    statuses = request.query.getall("status")
    return web.json_response([pet for pet in PETS.values() if pet["status"] in statuses])


async def _get_pet(request: web.Request) -> web.Response:
    return web.json_response(PETS[int(request.match_info["id"])])


async def _basic_auth(request: web.Request) -> web.Response:
    user, password = request.match_info["user"], request.match_info["password"]
    expected = b64encode(f"{user}:{password}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {expected}":
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="ctk"'})
    return web.json_response({"authenticated": True, "user": user})


@pytest.fixture(scope="module")
def replaced_hosts() -> tuple[str, ...]:
    """The hosts that the features call."""
    return REPLACED_HOSTS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local_service() -> AsyncIterator[str]:
    """Address of a local service that replaces petstore.swagger.io and httpbin.org."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/v2/swagger.json", _document),
            web.get("/v2/pet/findByStatus", _find_pets),
            web.get(r"/v2/pet/{id:\d+}", _get_pet),
            web.get("/basic-auth/{user}/{password}", _basic_auth),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[str]:
    """Address of an API with worker, executor and timers."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    up: asyncio.Future[str] = loop.create_future()
    running = loop.create_task(_engine(up.set_result, stop))
    await asyncio.wait({running, up}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    yield up.result()
    stop.set()
    await running


async def _engine(up: Callable[[str], None], stop: asyncio.Event) -> None:
    store = await open_store("sqlite://", {})
    try:
        async with Node(store, "sqlite://", environment={}):
            await serve_api(store, stop, port=0, up=up)
    finally:
        await store.close()
