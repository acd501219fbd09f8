"""The data sync in two tiers: order of dependencies, pages, checkpoints, and one run for one entity."""

import asyncio
from pathlib import Path
from typing import Any

from tests.examples.server import Serve

FILES = ("data-sync.yaml", "data-sync-entity.yaml")


async def test_all_entities_are_copied_in_the_order_of_their_dependencies(crm: Any, serve: Serve) -> None:
    server = await serve(*FILES)
    done = await server.reaches(await server.start("data-sync", service=crm.address), "completed")
    assert done["output"]["rows"] == 125
    assert {entity["result"] for entity in done["output"]["entities"]} == {"copied"}
    place = {entity: crm.order.index(entity) for entity in crm.order}
    assert place["teams"] < place["users"] < min(place["deals"], place["notes"])
    assert place["files"] < place["notes"]
    assert {entity: len(rows) for (_, entity), rows in crm.copies.items()} == dict.fromkeys(crm.order, 25)


async def test_a_delta_copies_only_new_rows_and_a_full_copy_all(crm: Any, serve: Serve) -> None:
    server = await serve(*FILES)
    await server.reaches(await server.start("data-sync", service=crm.address), "completed")
    crm.rows["users"] += 3
    delta = await server.reaches(await server.start("data-sync", service=crm.address), "completed")
    assert delta["output"]["rows"] == 3
    full = await server.start("data-sync", service=crm.address, mode="full")
    assert (await server.reaches(full, "completed"))["output"]["rows"] == 128
    assert len(crm.copies["acme", "users"]) == 28


async def test_a_hard_dependency_that_fails_skips_and_a_soft_one_does_not(crm: Any, serve: Serve) -> None:
    crm.entities = [
        {"name": "teams"},
        {"name": "users", "requires": ["teams"]},
        {"name": "deals", "requires": ["users"]},
        {"name": "notes", "after": ["teams"]},
    ]
    crm.broken = {"teams"}
    server = await serve(*FILES)
    done = await server.reaches(await server.start("data-sync", service=crm.address), "completed")
    results = {entity["name"]: entity["result"] for entity in done["output"]["entities"]}
    assert results == {"teams": "failed", "users": "skipped", "deals": "skipped", "notes": "copied"}


async def test_entities_that_wait_for_each_other_are_named(crm: Any, serve: Serve) -> None:
    crm.entities = [{"name": "a", "requires": ["b"]}, {"name": "b", "after": ["a"]}]
    server = await serve(*FILES)
    failed = await server.reaches(await server.start("data-sync", service=crm.address), "faulted")
    assert "entities wait for each other: a, b" in failed["error"]["detail"]


async def test_too_many_requests_slow_the_copy_down(crm: Any, serve: Serve) -> None:
    crm.refusing = 2
    server = await serve(*FILES)
    id_ = await server.start("data-sync-entity", service=crm.address, entity="users", mode="full")
    assert (await server.reaches(id_, "completed"))["output"] == {"entity": "users", "rows": 25}
    assert crm.refused >= 2
    assert crm.pages["users"] == 3, "a page was read twice"


async def test_the_first_tier_joins_a_copy_that_was_started_by_hand(crm: Any, serve: Serve) -> None:
    crm.seconds_between, crm.page_size = 1.0, 2
    server = await serve(*FILES)
    by_hand = await server.start("data-sync-entity", service=crm.address, entity="teams", mode="full")
    both = await server.start("data-sync", service=crm.address)
    await server.has_event(by_hand, "workflow.joined")
    crm.seconds_between = 0.0
    done = await server.reaches(both, "completed")
    assert done["output"]["rows"] == 125
    assert crm.pages["teams"] == 13, "the entity was copied by two executions"
    assert (await server.execution(by_hand))["status"] == "completed"


async def test_a_webhook_copies_one_entity_once_for_each_delivery(
    crm: Any, serve: Serve, examples: Path, tmp_path: Path
) -> None:
    entity = tmp_path / "entity.yaml"  # an execution that starts by itself has the address of the definition
    text = (examples / "data-sync-entity.yaml").read_text()
    entity.write_text(text.replace("http://127.0.0.1:8098", crm.address))
    server = await serve(
        str(entity),
        "data-sync-on-change.yaml",
        UNSPOOL_HOOKS=str(examples / "webhooks" / "crm.yaml"),
        UNSPOOL_SECRET_CRM_TOKEN="a long random text",
    )
    await server.has_begun("examples.data-sync-on-change")  # `unspool dev` waits for a few seconds only
    change = {"delivery": "1", "org": "acme", "entity": "users"}
    assert await server.call_webhook("crm", change, "a wrong text") == 401
    for _ in range(3):
        assert await server.call_webhook("crm", change, "a long random text") == 202
    async with asyncio.timeout(120):
        while len(crm.copies.get(("acme", "users"), {})) < 25:
            await asyncio.sleep(0.02)
        while len(await server.executions("data-sync-on-change", "completed")) < 1:
            await asyncio.sleep(0.02)
    assert len(await server.executions("data-sync-on-change")) == 1
    assert len(await server.executions("data-sync-entity")) == 1
    assert set(crm.copies) == {("acme", "users")}
