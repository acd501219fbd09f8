"""The dead letter queue over HTTP."""

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import MessageKind

WORKER = Consumer("workers", "one")


@pytest.fixture
async def letter(api, greet):
    """The id of a start message in the dead letter queue."""
    await api.deploy(greet)
    await api.start(id="stuck")
    [delivery] = await api.store.receive_messages(WORKER, 1, 5)
    return await api.store.move_to_dead_letters(
        delivery, "ValueError: poison", "Traceback …\nValueError: poison"
    )


async def test_a_dead_letter_is_listed_and_shown(api, letter):
    [summary] = (await api.get("/dlq"))["items"]
    assert summary.pop("buriedAt").endswith("Z")
    assert summary == {
        "id": letter,
        "execution": "stuck",
        "kind": "message",
        "error": "ValueError: poison",
        "attempts": 1,
    }
    whole = await api.get(f"/dlq/{letter}")
    assert whole["traceback"] == "Traceback …\nValueError: poison"
    assert (whole["body"]["kind"], whole["body"]["execution"]) == ("start", "stuck")


async def test_the_list_can_be_filtered_by_execution(api, letter):
    assert len((await api.get("/dlq?execution=stuck"))["items"]) == 1
    assert (await api.get("/dlq?execution=other"))["items"] == []
    await api.get("/dlq?execution=a%20b", 422)
    await api.get("/dlq?limit=1001", 422)
    await api.get("/dlq?cursor=x", 422)


async def test_pages_hold_every_letter_once_oldest_first(api, letter):
    letters = [letter]
    for number in range(4):
        await api.start(id=f"stuck{number}")
        [delivery] = await api.store.receive_messages(WORKER, 1, 5)
        letters.append(await api.store.move_to_dead_letters(delivery, "ValueError: poison", ""))
    found, cursor = [], ""
    while cursor is not None:
        page = await api.get(f"/dlq?limit=2&cursor={cursor}")
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert found == letters


async def test_a_dead_letter_can_be_requeued(api, letter):
    assert await api.post(f"/dlq/{letter}/requeue", 202) == {"id": letter}
    assert (await api.get("/dlq"))["items"] == []
    [delivery] = await api.store.receive_messages(WORKER, 1, 5)
    assert (delivery.body.kind, delivery.body.execution) == (MessageKind.START, "stuck")
    await api.post(f"/dlq/{letter}/requeue", 404)


async def test_a_dead_letter_can_be_discarded(api, letter):
    _, body = await api.call("DELETE", f"/dlq/{letter}", 204)
    assert body == ""
    await api.get(f"/dlq/{letter}", 404)
    await api.call("DELETE", f"/dlq/{letter}", 404)


async def test_an_unknown_dead_letter_is_not_found(api, letter):
    for id_ in ["nothing", "0-0", "999-1", "a%20b", "x" * 200, "%00", "%7B%7D"]:
        await api.get(f"/dlq/{id_}", 404)
        await api.call("DELETE", f"/dlq/{id_}", 404)
        await api.post(f"/dlq/{id_}/requeue", 404)


async def test_another_tenants_dead_letter_is_not_found(api, letter):
    other = {"X-Tenant": "other"}
    assert (await api.get("/dlq", headers=other))["items"] == []
    await api.get(f"/dlq/{letter}", 404, headers=other)
    await api.call("DELETE", f"/dlq/{letter}", 404, headers=other)
    await api.post(f"/dlq/{letter}/requeue", 404, headers=other)
    assert len((await api.get("/dlq"))["items"]) == 1
