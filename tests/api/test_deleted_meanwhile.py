"""Executions that retention deletes while a request reads them."""

import asyncio

import pytest

from unspool.eventstore.records import ExecutionKey, Status

GREET = """\
document: {dsl: '1.0.3', namespace: shop, name: greet, version: '1.0.0', metadata: {unspool: {mask: [/name]}}}
do: [{hello: {set: {greeting: hello}}}]
"""


@pytest.fixture
async def two(api):
    """Two executions that have ended, `old` and `new`."""
    await api.deploy(GREET)
    for id_ in ("old", "new"):
        await api.start(id=id_, input={"name": "Ada"})
        await api.begin(id_)
        await api.move(id_, Status.COMPLETED)


@pytest.fixture
def deleted_after(api, monkeypatch):
    """Deletes `old` each time that the store has read something."""

    def delete_after(name: str) -> None:
        read, record_of = getattr(api.store, name), api.store.execution

        async def read_and_delete(*args, **arguments):
            found = await read(*args, **arguments)
            record = await record_of(ExecutionKey("default", "old"))
            assert record is None or await api.store.drop([record]) == [True]
            return found

        monkeypatch.setattr(api.store, name, read_and_delete)

    return delete_after


@pytest.mark.parametrize("query", ["", "?status=completed&limit=2", "?id=old"])
async def test_it_is_left_out_of_a_list(api, two, deleted_after, query):
    deleted_after("executions")
    page = await api.get(f"/executions{query}")
    assert [item["id"] for item in page["items"]] == ([] if "id=" in query else ["new"])


@pytest.mark.parametrize("path", ["/executions/old", "/executions/old/why"])
async def test_it_is_not_found(api, two, deleted_after, path):
    deleted_after("execution")
    problem = await api.get(path, 404)
    assert "no longer exists" in problem["detail"] or problem["detail"] == "there is no execution old"


async def test_no_history_is_shown_without_its_mask(api, two, deleted_after, monkeypatch):
    """The events are read, then it is deleted, and then the workflow is asked for, which has the mask."""
    deleted, read_record = asyncio.Event(), api.store.execution
    deleted_after("history")
    read_and_delete = api.store.history

    async def history(*args, **arguments):
        found = await read_and_delete(*args, **arguments)
        deleted.set()
        return found

    asked = iter([True])

    async def execution(key):
        if not next(asked, False):
            await deleted.wait()
        return await read_record(key)

    monkeypatch.setattr(api.store, "history", history)
    monkeypatch.setattr(api.store, "execution", execution)
    assert (await api.get("/executions/old/events"))["items"] == []
