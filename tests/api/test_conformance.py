"""The API does what its OpenAPI document says: Schemathesis finds nothing, with authentication and without.

It sends what the document allows and what it does not, and compares each answer with the document.
"""

import asyncio
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.api.authentication.settings import AuthenticationSettings
from unspool.cli.node import Node

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")

SECONDS = 400
"""The longest run on a busy machine."""

HELLO = """\
document: {dsl: '1.0.3', namespace: examples, name: hello, version: '1.0.0'}
do:
  - greet:
      set: {greeting: '${ "Hello, " + .name + "!" }'}
"""

NIGHTLY = """\
document: {dsl: '1.0.3', namespace: examples, name: nightly, version: '1.0.0'}
schedule: {cron: '0 3 * * *'}
do:
  - nothing:
      set: {done: true}
"""

pytestmark = [
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None, reason="Schemathesis is not installed"
    ),
]


@pytest.mark.parametrize("authentication", [AuthenticationSettings(), ON], ids=["open", "locked"])
async def test_schemathesis_finds_nothing(store, running_api, tmp_path, authentication):
    headers = bearer(await key_for(store, "admin", "read", "start", "operate", tenant=None))
    async with running_api(store, authentication=authentication) as api, Node(store, ""):
        for text in (HELLO, NIGHTLY):
            await api.deploy(text, headers=headers)
        start = "/workflows/examples/hello/executions?wait=60"
        await api.post(start, 200, json={"id": "order-7", "input": {"name": "Ada"}}, headers=headers)
        options = ["--phases=examples,coverage"]
        if authentication.on:
            # Random requests are sent once: without authentication the same handlers answer.
            options = ["--phases=examples,coverage,fuzzing", "--max-examples=15"]
            options += [f"--header={name}: {value}" for name, value in headers.items()]
        status, report = await _schemathesis(api.url, tmp_path, *options)
    assert status == 0, report


async def _schemathesis(url: str, folder: Path, *options: str) -> tuple[int | None, str]:
    """Runs Schemathesis on an API; returns its exit status and what it says."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIGURATION}"),
        *("run", f"{url}/api/openapi.json"),
        *("--generation-deterministic", "--request-timeout=60", "--warnings=off"),
        *("--suppress-health-check=all", "--no-color", "--continue-on-failure"),
        "--exclude-operation-id=streamPublishedEvents",  # it does not end; test_cloud_events.py reads it
        *options,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            report = await process.stdout.read()
            return await process.wait(), report.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
