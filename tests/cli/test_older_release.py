"""What a service of an older release does not know: warnings of a deployment, and the doctor."""

import asyncio

import pytest
from tests.background import repeating
from tests.older_release import redis_worker, sqlite_worker

from unspool.eventstore.opening import open_store

PARENT = """\
document: {dsl: '1.0.3', namespace: shop, name: parent, version: '1.0.0'}
do:
  - child: {run: {workflow: {namespace: shop, name: child, version: '1.0.0'}}}
  - hear: {listen: {to: {one: {with: {type: a}}}}}
  - call: {call: http, with: {method: get, endpoint: 'http://localhost'}}
"""

KNOWN = """\
document: {dsl: '1.0.3', namespace: shop, name: known, version: '1.0.0'}
do:
  - one: {set: {a: 1}}
  - two: {run: {shell: {command: 'true'}}}
"""

SQLITE = "s.db"


@pytest.fixture(params=["sqlite", "redis"])
def beside(request, home, unspool):
    """Runs a command beside a worker of release 0.1.0."""
    for name, text in (("parent.yaml", PARENT), ("known.yaml", KNOWN)):
        (home / name).write_text(text)
    if request.param == "sqlite":
        url, worker = f"sqlite:///{SQLITE}", lambda: sqlite_worker(home / SQLITE)
    else:
        url = request.getfixturevalue("redis_database")
        worker = lambda: redis_worker(request.getfixturevalue("redis_server"))  # noqa: E731

    async def run(arguments):
        await (await open_store(url, {})).close()
        async with repeating(worker()):
            await asyncio.sleep(0)
            return await asyncio.to_thread(unspool, *arguments, "--store", url)

    return lambda *arguments: asyncio.run(run(arguments))


def test_a_deployment_warns(beside, unspool):
    deployed = beside("deploy", "parent.yaml", "known.yaml")
    assert deployed.code == 0
    assert deployed.stdout.splitlines() == ["shop/parent:1.0.0  deployed", "shop/known:1.0.0  deployed"]
    first, second = deployed.stderr.splitlines()
    assert first.startswith(
        "parent.yaml:3:13: a service of an older release that is alive does not know 'run: "
    )
    assert "it ends a sub-workflow without telling its parent, which then waits for ever" in first
    assert first.endswith("(/do/0/child/run) [warning]")
    assert "parent.yaml:4:12: " in second
    assert "does not know 'listen'" in second


def test_the_doctor_tells_it(beside):
    findings = beside("doctor", "--json").json["findings"]
    [finding] = [each for each in findings if each["check"] == "features"]
    assert finding["problem"].endswith("can use: the worker old")


def test_without_older_services_nothing_is_said(home, unspool):
    (home / "parent.yaml").write_text(PARENT)
    deployed = unspool("deploy", "parent.yaml", "--store", f"sqlite:///{SQLITE}")
    assert (deployed.code, deployed.stderr) == (0, "")
