"""Idempotency keys over HTTP, on both stores: a second start of a key returns the execution that has it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Status

SYNC = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: greet
  version: '1.0.0'
  metadata:
    unspool:
      idempotencyKey: ${ "sync:\\(.orgId):\\(.kind)" }
      reuse: ended
do:
  - hello:
      set:
        greeting: hello
"""
INPUT = {"orgId": 7, "kind": "full"}


@pytest.fixture
async def processes(store_url, running_api):
    """Two API processes on one store, as seen by the store."""
    async with AsyncExitStack() as stack:
        running = []
        for _ in range(2):
            store = await open_store(store_url, {})
            stack.push_async_callback(store.close)
            running.append(await stack.enter_async_context(running_api(store)))
        await running[0].deploy(SYNC)
        yield running


@pytest.fixture
def api(processes):
    return processes[0]


async def end(api, id_: str, status: Status = Status.COMPLETED) -> None:
    await api.begin(id_)
    await api.move(id_, status)


async def test_fifty_starts_at_once_make_one_execution(processes):
    path = "/workflows/shop/greet/executions"
    calls = [
        processes[n % 2].call("POST", path, json={"input": {**INPUT, "unrelated": n}}) for n in range(50)
    ]
    answers = await asyncio.gather(*calls)

    assert sorted(response.status for response, _ in answers) == [200] * 49 + [202]
    [created] = [body for response, body in answers if response.status == 202]
    assert all(body == created for _, body in answers)
    assert all(response.headers["Location"].endswith(created["id"]) for response, _ in answers)
    assert (await processes[0].get("/executions"))["items"] == [created]


async def test_fifty_starts_after_the_end_make_one_more(processes):
    first = await processes[0].start(input=INPUT)
    await end(processes[0], first["id"])

    path = "/workflows/shop/greet/executions"
    calls = [processes[n % 2].call("POST", path, json={"input": INPUT}) for n in range(50)]
    answers = await asyncio.gather(*calls)

    assert sorted(response.status for response, _ in answers) == [200] * 49 + [202]
    [second] = {body["id"] for _, body in answers}
    assert second != first["id"]


async def test_a_start_that_joins_waits_for_the_execution(api):
    # The key stays with an execution that has ended, so it does not matter which of the two is first.
    never = SYNC.replace("      reuse: ended\n", "").replace("version: '1.0.0'", "version: '2.0.0'")
    await api.deploy(never)
    first = await api.start(input=INPUT)
    waiting = asyncio.create_task(api.start(200, "?wait=30", input={**INPUT, "other": True}))
    await api.eventually(lambda: api.in_progress > 0, "the second start")
    await end(api, first["id"])
    execution = await waiting
    assert (execution["id"], execution["status"]) == (first["id"], "completed")
    assert execution["input"] == INPUT


async def test_an_id_wins_over_the_key(api):
    first = await api.start(input=INPUT)
    named = await api.start(input=INPUT, id="mine")
    assert named["id"] == "mine"
    assert (await api.start(200, input=INPUT))["id"] == first["id"]


async def test_tenants_have_keys_of_their_own(api):
    first = await api.start(input=INPUT)
    headers = {"X-Tenant": "other"}
    await api.deploy(SYNC, headers=headers)
    body = {"input": INPUT}
    other = await api.post("/workflows/shop/greet/executions", 202, json=body, headers=headers)
    assert other["id"] != first["id"]


@pytest.mark.parametrize(
    ("expression", "input_", "says"),
    [
        ("${ .orgId }", {}, "it is null"),
        ("${ .orgId }", {"orgId": ""}, "empty"),
        ("${ .orgId }", {"orgId": "x" * 600}, "at most 512"),
        ("${ .orgId + 1 }", {"orgId": "x"}, "cannot be added"),
    ],
)
async def test_an_input_without_a_key_is_a_problem(api, expression, input_, says):
    text = SYNC.replace('${ "sync:\\(.orgId):\\(.kind)" }', expression)
    await api.deploy(text.replace("version: '1.0.0'", "version: '2.0.0'"))
    problem = await api.start(422, input=input_)
    assert problem["pointer"] == "/document/metadata/unspool/idempotencyKey"
    assert "the idempotency key of shop/greet:2.0.0 cannot be made from this input" in problem["detail"]
    assert says in problem["detail"]
    assert (await api.get("/executions"))["items"] == []


async def test_a_hostile_expression_does_not_delay_other_requests(api):
    text = SYNC.replace('${ "sync:\\(.orgId):\\(.kind)" }', "'${ def f: f; f }'")
    await api.deploy(text.replace("version: '1.0.0'", "version: '2.0.0'"))
    hostile = [asyncio.create_task(api.start(422, input={})) for _ in range(3)]
    await api.eventually(lambda: api.in_progress > 0, "the hostile starts")
    answered = 0
    while not all(task.done() for task in hostile):
        await api.get("//health/live")
        answered += 1
    for task in hostile:
        assert "limit exceeded" in (await task)["detail"]
    assert answered > len(hostile)


async def test_a_retry_needs_the_key(api):
    first = await api.start(input=INPUT)
    await end(api, first["id"], Status.FAULTED)
    await api.post(f"/executions/{first['id']}/retry", 202)
    second = await api.start(input=INPUT)
    assert second["id"] != first["id"]
    problem = await api.post(f"/executions/{first['id']}/retry", 409)
    assert "start shop/greet:1.0.0 again" in problem["detail"]


async def test_a_wrong_expression_is_refused_with_its_position(api):
    text = SYNC.replace(".orgId", "$workflow.id").replace("version: '1.0.0'", "version: '3.0.0'")
    [error] = (await api.deploy(text, 422))["errors"]
    assert (error["pointer"], error["line"]) == ("/document/metadata/unspool/idempotencyKey", 8)
    assert "$workflow is not defined here" in error["message"]
