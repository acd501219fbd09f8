"""Tags, filters and counts of executions over HTTP."""

import pytest

from unspool.eventstore.records import Status


@pytest.fixture(autouse=True)
async def _deployed(api, greet):
    await api.deploy(greet)


async def test_an_execution_has_the_tags_of_its_start(api):
    execution = await api.start(tags={"order": "A-1", "note": "ähm: ja"})

    assert execution["tags"] == {"order": "A-1", "note": "ähm: ja"}
    assert (await api.get(f"/executions/{execution['id']}"))["tags"] == execution["tags"]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ([], "object"),
        ({"a:b": "c"}, "a:b"),
        ({"": "c"}, "name"),
        ({"order": 7}, "tag order must be a text"),
        ({"order": ""}, "1 to 256"),
        ({"order": "x" * 257}, "not 257"),
        ({"order": "a\nb"}, "line breaks"),
        ({f"t{n}": "x" for n in range(17)}, "at most 16"),
    ],
)
async def test_tags_that_are_not_valid_are_rejected(api, tags, said):
    problem = await api.start(422, tags=tags)

    assert said in problem["detail"]
    assert (await api.get("/executions"))["items"] == []


async def test_executions_are_searched(api):
    for number in range(4):
        await api.start(id=f"order-{number}", tags={"customer": f"{number % 2}", "path": "a/b c:d"})
    await api.start(id="other")

    async def found(**query):
        return [item["id"] for item in (await api.get("/executions", params=query))["items"]]

    assert {*await found(tag="customer:1")} == {"order-1", "order-3"}
    assert len(await found(tag="path:a/b c:d")) == 4
    assert await found(id="order-*") == ["order-3", "order-2", "order-1", "order-0"]
    assert await found(id="order-2") == ["order-2"]
    assert len(await found(status="pending,faulted", workflow="shop/greet:1.0.0")) == 5
    assert await found(status="faulted") == []
    assert len(await found(since="1h")) == 5
    assert await found(until="1h") == []
    assert await found(until="2020-01-01T00:00:00Z") == []
    assert await found(parent="order-1") == []
    items = (await api.get("/executions?tag=customer:1&tag=path:a/b%20c:d"))["items"]
    assert {item["id"] for item in items} == {"order-1", "order-3"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=nothing", "status"),
        ("workflow=shop", "NAMESPACE/NAME"),
        ("since=yesterday", "since"),
        ("until=9999999999999", "until"),
        ("id=a/b", "id"),
        ("id=*", "id"),
        ("parent=$schedule.a.b", "parent"),
        ("tag=order", "NAME:VALUE"),
        ("tag=order:", "order"),
        ("tag=a:1&tag=a:2", "two values"),
        ("&".join(f"tag=t{n}:x" for n in range(17)), "16"),
    ],
)
async def test_filters_that_are_not_valid_are_rejected(api, query, said):
    assert said in (await api.get(f"/executions?{query}", 422))["detail"]


async def test_executions_are_counted(api):
    for _ in range(3):
        await api.start()

    assert await api.get("/counts") == {
        "executions": {**dict.fromkeys(Status, 0), "pending": 3},
        "atLeast": [],
    }


async def test_why_an_execution_waits(api):
    await api.start(id="order-7")

    assert await api.get("/executions/order-7/why") == {
        "sentence": "Execution order-7 of shop/greet:1.0.0 is pending:"
        " it waits for a worker to begin with it.",
        "waitsFor": [{"kind": "worker", "task": None, "text": "it waits for a worker to begin with it"}],
    }
    await api.get("/executions/other/why", 404)


async def test_an_execution_that_has_ended_waits_for_nothing(api):
    await api.start(id="order-7")
    await api.begin("order-7")
    await api.move("order-7", Status.FAULTED)

    answer = await api.get("/executions/order-7/why")

    assert answer["waitsFor"] == []
    assert "has faulted" in answer["sentence"]
    assert "a broken error 500 at /do/0/hello" in answer["sentence"]


async def test_a_summary_has_no_payloads(api):
    first, second = [(await api.start(input={"secret": "x" * 100}))["id"] for _ in range(2)]
    await api.begin(first)
    await api.move(first, Status.FAULTED)
    await api.begin(second)
    await api.move(second, Status.COMPLETED)

    whole = {item["id"]: item for item in (await api.get("/executions?view=full"))["items"]}
    listed = {item["id"]: item for item in (await api.get("/executions?view=summary"))["items"]}

    assert {name: {*whole[name]} - {*listed[name]} for name in whole} == {
        first: {"input", "by"},
        second: {"input", "by", "output"},
    }
    assert listed[first]["error"] == whole[first]["error"]
    await api.get("/executions?view=short", 422)


async def test_figures_of_a_workflow(api):
    assert await api.get("/workflows/shop/greet/statistics") == {
        "executions": 0,
        "all": True,
        "oldest": None,
        "completed": 0,
        "faulted": 0,
        "successRate": None,
        "durationSeconds": {"p50": None, "p95": None},
        "open": 0,
        "openAtLeast": False,
    }
    created = []
    for status in (Status.COMPLETED, Status.COMPLETED, Status.COMPLETED, Status.FAULTED, Status.CANCELLED):
        execution = await api.start()
        created.append(execution["createdAt"])
        await api.begin(execution["id"])
        await api.move(execution["id"], status)
    await api.start()

    figures = await api.get("/workflows/shop/greet/statistics?version=1.0.0")

    assert (figures["executions"], figures["completed"], figures["faulted"]) == (4, 3, 1)
    assert (figures["successRate"], figures["all"], figures["open"]) == (0.75, True, 1)
    assert figures["oldest"] == created[0]
    assert 0 <= figures["durationSeconds"]["p50"] <= figures["durationSeconds"]["p95"]
    assert (await api.get("/workflows/shop/greet/statistics?version=2.0.0"))["executions"] == 0
    await api.get("/workflows/shop/greet/statistics?version=a%20b", 422)
    assert (await api.get("/workflows/shop/greet/statistics?since=1h"))["executions"] == 4
    later = await api.get("/workflows/shop/greet/statistics?since=2100-01-01T00:00:00Z")
    assert (later["executions"], later["oldest"], later["open"]) == (0, None, 1)
    assert "since must be" in (await api.get("/workflows/shop/greet/statistics?since=soon", 422))["detail"]
    await api.get("/workflows/shop/other/statistics", 404)
    await api.get("/workflows/shop/greet/statistics", 404, headers={"X-Tenant": "other"})
