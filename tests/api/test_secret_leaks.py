"""A definition tries to leak secrets in many ways; none is found afterwards (inventory E14, S3)."""
# ruff: noqa: E501 - a task of the definition is a few long lines

import asyncio
import base64
import gzip
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from tests.api.store_contents import everything_in
from tests.api.views import everything_shown

from unspool.cli.main import call
from unspool.cli.node import Node
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import ExecutionKey, TaskRequest
from unspool.executor.outcome import Outcome
from unspool.executor.secret_handler import SecretHandler
from unspool.executor.secrets import LocalSecrets
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext
from unspool.timer_service import RetentionService, RetentionSettings

CANARY = 'S3cr3tCanary0815/+"x"%41&='
PASSWORD = "Passw0rdCanary4711"

LEAKS = """\
document: {dsl: '1.0.3', namespace: test, name: leaks, version: '1.0.0'}
use:
  secrets: [canary, db]
  authentications: {db: {basic: {use: db}}}
do:
  - header:
      call: http
      with: {method: get, output: response, endpoint: URL/echo, headers: {X-Key: '${ $secrets.canary }'}}
      output: {as: '${ {header: .} }'}
      export: {as: '${ [.] }'}
  - basic:
      call: http
      with: {method: get, output: response, endpoint: {uri: URL/echo, authentication: {use: db}}}
      export: {as: '${ $context + [.] }'}
  - body:
      call: http
      with:
        method: post
        endpoint: URL/echo
        body: {key: '${ $secrets.canary }', coded: 'x:${ $secrets.canary | @base64 }', all: '${ $secrets }'}
      export: {as: '${ $context + [.] }'}
  - raw:
      call: http
      with: {method: post, output: raw, endpoint: URL/echo, body: 'ab${ $secrets.canary }'}
      export: {as: '${ $context + [.] }'}
  - url:
      call: http
      with: {method: get, output: response, endpoint: 'URL/echo/${ $secrets.canary | @uri }', query: {k: '${ $secrets.canary }'}}
      export: {as: '${ $context + [.] }'}
  - redirect:
      call: http
      with: {method: get, redirect: true, endpoint: URL/redirect, headers: {X-Key: '${ $secrets.canary }'}}
      export: {as: '${ $context + [.] }'}
  - problem:
      try:
        - call:
            call: http
            with: {method: get, endpoint: 'URL/problem/${ $secrets.canary | @uri }', headers: {X-Key: '${ $secrets.canary }'}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - expression:
      try:
        - call: {call: http, with: {method: get, endpoint: URL/echo, body: '${ error($secrets.canary) }'}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - number:
      try:
        - call: {call: http, with: {method: get, endpoint: URL/echo, body: '${ $secrets.canary + 1 }'}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - environment:
      run: {return: all, shell: {command: 'env; printf %s "$K" | base64; printf %s "$K" >&2', environment: {K: '${ $secrets.canary }'}}}
      export: {as: '${ $context + [.] }'}
  - failure:
      try:
        - run: {run: {shell: {command: 'cat >&2; exit 3', stdin: '${ $secrets.db.password }'}}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - address:
      try:
        - call: {call: http, with: {method: get, endpoint: '${ "http://" + $secrets.db.password + ".invalid/" }'}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - method:
      try:
        - call: {call: http, with: {method: '${ $secrets.canary }', endpoint: URL/echo}}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - uncaught:
      call: http
      with: {method: get, endpoint: URL/problem, headers: {X-Key: '${ $secrets.canary }'}}
"""


TOKEN = "T0kenCanary." + base64.urlsafe_b64encode(b"a token of the provider 0815").decode() + ".sIgNaTuRe"
REFRESH_TOKEN = "R3freshCanary0815"
TOKENS = """\
document: {dsl: '1.0.3', namespace: test, name: tokens, version: '1.0.0'}
use:
  secrets: [client]
  authentications:
    token: {oauth2: {authority: URL, grant: client_credentials, client: {id: app, secret: '${ $secrets.client }'}}}
do:
  - header:
      call: http
      with: {method: get, output: response, endpoint: {uri: URL/echo, authentication: {use: token}}}
      export: {as: '${ [.] }'}
  - arguments:
      call: http
      with:
        method: post
        endpoint: {uri: URL/echo, authentication: {use: token}}
        headers: {X-Key: '${ $authorization.parameter }'}
        body: {token: '${ $authorization.parameter }', coded: '${ $authorization.parameter | @base64 }'}
      export: {as: '${ $context + [.] }'}
  - raw:
      call: http
      with: {method: get, output: raw, endpoint: {uri: URL/echo, authentication: {use: token}}}
      export: {as: '${ $context + [.] }'}
  - problem:
      try:
        - call:
            call: http
            with:
              method: get
              endpoint: {uri: URL/problem, authentication: {use: token}}
              headers: {X-Key: '${ $authorization.parameter }'}
      catch:
        do: [{keep: {set: {error: '${ $error }'}, export: {as: '${ $context + [.] }'}}}]
  - refused:
      call: http
      with:
        method: get
        endpoint:
          uri: URL/echo
          authentication: {oauth2: {authority: URL/refused, grant: password, username: ada, password: '${ $secrets.client }'}}
"""


@pytest.fixture
def spans() -> list[bytes]:
    """The traces that were sent to `echo`."""
    return []


@pytest.fixture
async def echo(spans: list[bytes]) -> AsyncIterator[str]:
    """A server that returns what it gets, in bodies, headers, redirects and problems; it collects traces."""

    async def handle(request: web.Request) -> web.Response:
        key = request.headers.get("X-Key", "")
        if request.path == "/v1/traces":
            spans.append(await request.read())
            return web.Response(content_type="application/x-protobuf")
        if request.path == "/oauth2/token":
            return web.json_response(
                {"access_token": TOKEN, "expires_in": 60, "refresh_token": REFRESH_TOKEN}
            )
        if request.path == "/refused/oauth2/token":
            problem = {"error": "invalid_grant", "error_description": await request.text()}
            return web.json_response(problem, status=400)
        if request.path.startswith("/redirect"):
            raise web.HTTPFound("/echo?" + json.dumps({"k": key}), headers={"X-Echo": key})
        if request.path.startswith("/problem"):
            problem = {"detail": "x" * 290 + key + key, "title": key}
            return web.json_response(problem, status=500, content_type="application/problem+json", reason=key)
        body = {"path": str(request.rel_url), "headers": dict(request.headers), "body": await request.text()}
        return web.json_response(body, headers={"X-Echo": key})

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def needles() -> list[bytes]:
    """Returns what must not be found: a part of the secrets that no encoding changes, and their base64."""
    found = [b"S3cr3tCanary", b"3tCanary0815", PASSWORD[:12].encode(), PASSWORD[-12:].encode()]
    parts = [CANARY[:16].encode(), PASSWORD.encode()]
    return found + [base64.b64encode(b"\0" * shift + part)[4:-4] for part in parts for shift in range(3)]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_database"))
    (tmp_path / "data").mkdir()
    return f"sqlite:///{tmp_path}/data/store.db"


async def test_no_secret_is_left_anywhere(
    url, tmp_path: Path, echo, spans, running_api, caplog, monkeypatch, capsys
):
    """In the store, in any view, in logs, traces, metrics, archives and the reports of commands."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db").write_text(json.dumps({"username": "ann", "password": PASSWORD}))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", echo)
    secrets = {"UNSPOOL_SECRET_CANARY": CANARY, "UNSPOOL_SECRETS_DIR": str(tmp_path / "secrets")}
    caplog.set_level(logging.DEBUG)
    store = await open_store(url, {})
    monitor = Monitor(store, MonitoringSettings())
    async with running_api(store) as api:
        async with Node(
            store, url, environment=os.environ | secrets, allow="shell", monitor=monitor
        ):  # at its end it sends all traces
            await api.deploy(LEAKS.replace("URL", echo))
            run = await api.post("/workflows/test/leaks/executions?wait=90", 200, json={"input": {}})
            assert run["status"] == "faulted", run
            assert run["error"]["instance"] == "/do/13/uncaught", run
            shown = json.dumps(run).encode() + await everything_shown(api, run["id"], "test/leaks")
            shown += await monitor.metrics.refreshed()
        shown += (await api.get("/workflows/test/leaks/1.0.0/diagram")).encode()
    left = everything_in(url, tmp_path)
    await asyncio.to_thread(call, ["doctor", "--store", url])
    await asyncio.to_thread(call, ["config", "--json"])
    told = capsys.readouterr().out.encode()
    archived = await archive_of(store, run["id"], tmp_path)
    await store.close()
    traced = b"".join(spans)
    assert b"uncaught" in traced
    assert b"uncaught" in archived
    assert b"worker" in told
    everything = left + shown + traced + told + archived + caplog.text.encode()
    assert [needle for needle in needles() if needle in everything] == []
    assert shown.count(b"***") > 12
    assert b"$secrets.canary" in shown


async def archive_of(store, execution: str, tmp_path: Path) -> bytes:
    """Lets retention archive and delete an execution; returns the lines of the file."""
    settings = RetentionSettings(rules="0s", archive=str(tmp_path / "archive"), interval_seconds=0.1)
    service = RetentionService(store, settings)
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while await store.execution(ExecutionKey("default", execution)) is not None:
            await asyncio.sleep(0.05)
    service.stop()
    await running
    [file] = (tmp_path / "archive").rglob(f"{execution}.*")
    return gzip.decompress(file.read_bytes())


async def test_no_token_is_left_anywhere(url, tmp_path: Path, echo, running_api, caplog):
    """K4: a token that an executor gets is no secret of the workflow, but is masked as one."""
    caplog.set_level(logging.DEBUG)
    store = await open_store(url, {})
    (tmp_path / "data").mkdir(exist_ok=True)
    environment = {"UNSPOOL_SECRET_CLIENT": PASSWORD}
    async with running_api(store) as api, Node(store, url, environment=environment):
        await api.deploy(TOKENS.replace("URL", echo))
        run = await api.post("/workflows/test/tokens/executions?wait=30", 200, json={"input": {}})
        assert run["error"]["instance"] == "/do/4/refused", run
        assert run["error"]["status"] == 401
        path = f"/executions/{run['id']}"
        answers = [run, await api.get(f"{path}/events?limit=1000"), await api.get(f"{path}/state")]
        shown = await everything_shown(api, run["id"], "test/tokens")
    left = everything_in(url, tmp_path)
    await store.close()
    everything = left + shown + json.dumps(answers).encode() + caplog.text.encode()
    parts = [TOKEN.encode(), PASSWORD.encode(), REFRESH_TOKEN.encode()]
    coded = [base64.b64encode(b"\0" * shift + part)[4:-4] for part in parts for shift in range(3)]
    found = [*parts, TOKEN[4:40].encode(), *coded]
    assert [needle for needle in found if needle in everything] == []
    assert json.dumps(answers).count("***") > 8


BROKEN = """\
document: {dsl: '1.0.3', namespace: test, name: broken, version: '1.0.0'}
use: {secrets: [canary]}
do:
  - send:
      call: http
      with: {method: post, endpoint: http://localhost, headers: {X-Key: '${ $secrets.canary }'}}
"""


async def broken(request: TaskRequest, _: TaskContext) -> Outcome:
    """A handler with a bug: it shows its arguments in the text, the cause and the local names of its error."""
    key = request.arguments["headers"]["X-Key"]
    assert key == CANARY
    try:
        {}[key]
    except KeyError as error:
        coded = base64.b64encode(f"Bearer {key}".encode()).decode()
        raise RuntimeError(f"cannot send {request.arguments} {quote(key)} {coded}") from error


async def test_no_secret_is_in_a_dead_letter(url, tmp_path: Path, running_api, caplog):
    caplog.set_level(logging.DEBUG)
    store = await open_store(url, {})
    handler = SecretHandler(broken, LocalSecrets({"UNSPOOL_SECRET_CANARY": CANARY}, ""), None)
    executor = ExecutorService(store, {"http": handler}, ExecutorSettings(), "x1", SystemClock())
    async with running_api(store) as api, Node(store, url, services=("worker",)):
        running = asyncio.create_task(executor.run())
        await api.deploy(BROKEN)
        run = await api.post("/workflows/test/broken/executions", 202, json={"input": {}})

        async def letter() -> str:
            async with asyncio.timeout(60):
                while not (items := (await api.get(f"/dlq?execution={run['id']}"))["items"]):
                    await asyncio.sleep(0.05)
            return str(items[0]["id"])

        first = await letter()
        answers = [await api.get(f"/dlq/{first}")]
        await api.post(f"/dlq/{first}/requeue", 202)
        answers.append(await api.get(f"/dlq/{await letter()}"))  # it fails in the same way
        shown = await everything_shown(api, run["id"], "test/broken")
        executor.stop()
        await running
    left = everything_in(url, tmp_path)
    await store.close()
    for answer in answers:
        assert answer["error"].startswith("HandlerDefect: RuntimeError: cannot send")
        assert "KeyError: '***'" in answer["traceback"]
        assert "${ $secrets.canary }" in json.dumps(answer["body"])
    everything = left + shown + json.dumps(answers).encode() + caplog.text.encode()
    assert [needle for needle in needles() if needle in everything] == []
