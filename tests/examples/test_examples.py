"""Every example runs and has the effects that it describes."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from tests.examples.server import Serve

from unspool.definitions.document import load

ORDER = {"order": "A-1", "sku": "lamp", "quantity": 2, "amount": 64.5}


EXAMPLES = {
    "hello.yaml",
    "order-fulfilment.yaml",
    "parallel-fan-out.yaml",
    "poll-until-done.yaml",
    "human-approval.yaml",
    "price-list.yaml",
    "shared-price-list.yaml",
    "approval-by-event.yaml",
    "nightly-report.yaml",
    "sync-once.yaml",
    "match-two-streams.yaml",
    "journal-and-sandbox.yaml",
    "saga-trip.yaml",
    "data-sync.yaml",
    "data-sync-entity.yaml",
    "data-sync-on-change.yaml",
}


def test_no_example_is_forgotten(examples: Path) -> None:
    assert {path.name for path in examples.glob("*.yaml")} == EXAMPLES


async def test_examples_are_valid(examples: Path, call: Any) -> None:
    ran = await call("validate", *(str(examples / name) for name in EXAMPLES))
    assert ran.code == 0, ran.output


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_editors_find_the_schema_of_an_example_and_accept_it(examples: Path, name: str) -> None:
    text = (examples / name).read_text()
    mark = "# yaml-language-server: $schema="
    assert text.startswith(mark)
    schema = examples / text.partition("\n")[0].removeprefix(mark)
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(load(text).value)


async def test_hello(call: Any, examples: Path) -> None:
    ran = await call("run", str(examples / "hello.yaml"), "--input", '{"name": "Ada"}')
    assert ran.json == {"greeting": "Hello, Ada!"}


FUNCTIONS = ("price-list.yaml", "shared-price-list.yaml")


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_function_is_called_with_other_inputs(call: Any, examples: Path, name: str) -> None:
    ran = await call("run", str(examples / name), "--input", '{"book": 10, "lamp": 50}')
    assert ran.json == {"book": 10.7, "lamp": 59.5}


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_the_input_of_a_function_is_checked(call: Any, examples: Path, name: str) -> None:
    ran = await call("run", str(examples / name), "--input", '{"book": "ten", "lamp": 50}')
    assert ran.code == 1
    assert '"instance":"/do/0/book"' in ran.errors
    assert "/net" in ran.errors


# -- order-fulfilment.yaml


def calls_of(shop: Any) -> Counter[tuple[str, str, int]]:
    """Counts the shop's answers by method, path and status."""
    return Counter((call.method, call.path, call.status) for call in shop.calls)


async def test_an_order_is_paid_told_and_shipped(run: Any, shop: Any) -> None:
    ran = await run("order-fulfilment.yaml", **ORDER)
    assert ran.json == {"order": "A-1", "tracking": "TRACK-A-1", "status": "shipped"}
    assert shop.stock["lamp"] == 98
    assert sorted(message["to"] for message in shop.messages) == ["customer", "warehouse"]
    assert set(calls_of(shop).values()) == {1}, "a request was sent twice"


async def test_the_order_waits_for_the_end_of_an_outage_and_the_customer_pays_once(
    run: Any, shop: Any
) -> None:
    shop.outage = 0.5  # with the shop's seed: two attempts fail, the third succeeds
    ran = await run("order-fulfilment.yaml", **{**ORDER, "order": "A-1001"})
    assert ran.json["status"] == "shipped"
    attempts = [call for call in shop.calls if call.path == "/payments"]
    assert [call.status for call in attempts] == [503, 503, 201]
    assert len({call.key for call in attempts}) == 1
    assert len(shop.payments) == 1


async def test_a_refused_card_is_not_tried_again_and_the_stock_goes_back(run: Any, shop: Any) -> None:
    ran = await run("order-fulfilment.yaml", **ORDER, card="refused")
    assert ran.json["status"] == "cancelled"
    assert "the card was refused" in ran.json["reason"]
    assert calls_of(shop)["POST", "/payments", 402] == 1
    assert shop.stock["lamp"] == 100
    assert not shop.reservations
    assert not shop.messages


async def test_a_disputed_payment_is_paid_back(run: Any, shop: Any) -> None:
    ran = await run("order-fulfilment.yaml", **ORDER, card="disputed")
    assert ran.json == {"order": "A-1", "status": "cancelled", "reason": "the payment is disputed"}
    assert [payment["status"] for payment in shop.payments.values()] == ["refunded"]
    assert shop.stock["lamp"] == 100
    assert not shop.shipments


async def test_an_order_that_is_out_of_stock_undoes_nothing(run: Any, shop: Any) -> None:
    ran = await run("order-fulfilment.yaml", **{**ORDER, "sku": "chair", "quantity": 4})
    assert ran.json["status"] == "cancelled"
    assert calls_of(shop) == {("POST", "/reservations", 409): 1}
    assert shop.stock["chair"] == 3


async def test_an_invalid_order_is_refused(run: Any, shop: Any) -> None:
    ran = await run("order-fulfilment.yaml", order="A-1")
    assert ran.code == 1
    assert "validation" in ran.errors.splitlines()[-1]
    assert not shop.calls


# -- parallel-fan-out.yaml


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
async def test_quotes_come_back_in_the_order_of_the_list(run: Any, shop: Any, count: int) -> None:
    shop.quote_seconds = 2.0
    skus = [letter * place for place, letter in enumerate("abcdefg"[:count], 1)]
    ran = await run("parallel-fan-out.yaml", skus=skus)
    assert [quote["sku"] for quote in ran.json["quotes"]] == skus
    assert ran.json["total"] == sum(10 * len(sku) for sku in skus)
    assert shop.most_quotes_at_once == min(count, 3)


# -- poll-until-done.yaml


async def test_an_export_is_polled_until_it_is_done(run: Any, shop: Any) -> None:
    shop.polls_until_done = 4
    ran = await run("poll-until-done.yaml", every="PT0.05S")
    assert ran.json == {"export": "export-1", "rows": 42}
    assert calls_of(shop) == {("POST", "/exports", 202): 1, ("GET", "/exports/export-1", 200): 4}


# -- human-approval.yaml

QUESTION = {"question": "May we?", "remindEvery": "PT0.2S"}


def _reminded(shop: Any, reminders: int) -> bool:
    return any(approval["reminders"] >= reminders for approval in shop.approvals.values())


async def answer(shop: Any, decision: str, reminders: int) -> None:
    """Sends the decision of a person after this number of reminders."""
    async with asyncio.timeout(120):
        while not _reminded(shop, reminders):
            await asyncio.sleep(0.01)
    async with (
        aiohttp.ClientSession(shop.address) as person,
        person.put("/approvals/approval-1", json={"decision": decision}) as done,
    ):
        assert done.status == 200


async def test_a_person_is_reminded_until_they_decide(run: Any, shop: Any) -> None:
    running = asyncio.create_task(run("human-approval.yaml", **QUESTION, limit="PT2M"))
    await answer(shop, "approved", reminders=2)
    ran = await running
    decided = {"question": "May we?", "decision": "approved", "reminders": ran.json["reminders"]}
    assert ran.json == decided
    assert ran.json["reminders"] >= 2
    assert len(shop.approvals) == 1


async def test_without_an_answer_it_is_given_up(run: Any, shop: Any) -> None:
    ran = await run("human-approval.yaml", question="May we?", remindEvery="PT0.7S", limit="PT5S")
    assert ran.json == {"question": "May we?", "decision": "none", "reminders": None}
    assert 1 <= shop.approvals["approval-1"]["reminders"] <= 7


# -- nightly-report.yaml


async def test_a_scheduled_workflow_shows_when_it_runs_and_can_be_run_by_hand(
    call: Any, examples: Path
) -> None:
    file = str(examples / "nightly-report.yaml")
    checked = await call("validate", file)
    assert checked.code == 0
    assert checked.errors.count("T02:30:00") == 3, checked.errors
    ran = await call("run", file)
    assert ran.json["scheduled"] is True
    assert ran.json["title"].startswith("Report of 20")


# -- approval-by-event.yaml and match-two-streams.yaml, with a server


async def test_an_order_is_approved_by_an_event(serve: Serve) -> None:
    server = await serve("approval-by-event.yaml")
    ids = [await server.start("approval-by-event", order=o, amount=9, deadline="PT1M") for o in ("A", "B")]
    for id_ in ids:
        await server.reaches(id_, "waiting")
    await server.publish("approval.decided", order="B", approved=True, by="Ada")
    assert (await server.reaches(ids[1], "completed"))["output"] == {"approved": True, "by": "Ada"}
    assert (await server.execution(ids[0]))["status"] == "waiting"


async def test_an_order_is_rejected_at_the_deadline(serve: Serve) -> None:
    server = await serve("approval-by-event.yaml")
    id_ = await server.start("approval-by-event", order="A", amount=9, deadline="PT0.1S")
    assert (await server.reaches(id_, "completed"))["output"] == {"approved": False, "by": "deadline"}


async def test_the_two_events_of_one_order_are_matched(serve: Serve) -> None:
    server = await serve("match-two-streams.yaml")
    id_ = await server.start("match-two-streams")
    await server.reaches(id_, "waiting")
    await server.publish("parcel.packed", orderId="A", weight=3)
    await server.publish("payment.received", order="B", amount=5)
    await server.publish("payment.received", order="A", amount=7)
    output = (await server.reaches(id_, "completed"))["output"]
    assert output == {"order": "A", "amount": 7, "weight": 3}


# -- journal-and-sandbox.yaml

PAID = {"order": "A-1", "sku": "lamp"}


@pytest.mark.parametrize(("sandbox", "payment"), [(False, "payment-1"), (True, "sandbox")])
async def test_the_journal_has_every_call_and_the_sandbox_takes_no_money(
    run: Any, shop: Any, sandbox: bool, payment: str
) -> None:
    ran = await run("journal-and-sandbox.yaml", **PAID, sandbox=sandbox)
    assert ran.json == {"payment": payment, "amount": 40}
    assert len(shop.payments) == (0 if sandbox else 1)
    notes = [message["text"].partition(",")[0] for message in shop.messages]
    assert notes == ["begins: quote", "ends: quote", "begins: pay", "ends: pay"]


async def test_an_order_does_not_fail_because_the_journal_does(
    call: Any, examples: Path, shop: Any, tmp_path: Path
) -> None:
    changed = tmp_path / "journal.yaml"
    text = (examples / "journal-and-sandbox.yaml").read_text()
    changed.write_text(text.replace("/messages/journal", "/nowhere"))
    ran = await call("run", str(changed), "--input", json.dumps({"service": shop.address, **PAID}))
    assert ran.json == {"payment": "payment-1", "amount": 40}
    assert not shop.messages


async def test_a_second_start_joins_the_running_execution(
    serve: Serve, examples: Path, tmp_path: Path
) -> None:
    longer = tmp_path / "sync-once.yaml"  # so long that it still runs at the last start
    text = (examples / "sync-once.yaml").read_text()
    assert "milliseconds: 300" in text
    longer.write_text(text.replace("milliseconds: 300", "seconds: 10"))
    server = await serve(str(longer))
    ids = [await server.start("sync-once", org="acme", kind="users") for _ in range(3)]
    other = await server.start("sync-once", org="acme", kind="orders")
    assert len({*ids}) == 1
    assert other != ids[0]
    assert (await server.reaches(ids[0], "completed"))["output"] == {"synced": "users of acme"}
    assert await server.start("sync-once", org="acme", kind="users") != ids[0]


# -- the demonstration


async def test_the_demonstration(call: Any, examples: Path) -> None:
    ran = await call(str(examples / "demo.py"), program="python", seconds=200)
    assert ran.code == 0, ran.errors
    assert not ran.errors
    assert '"status":"shipped"' in ran.output
    assert "asked 3 times (503, 503, 201), idempotency keys: 1, payments taken: 1" in ran.output
    assert "verified" in ran.output
    assert '"status":"cancelled"' in ran.output
    assert "\x1b" not in ran.output, "colours without a terminal"


async def test_the_demonstration_on_redis(call: Any, examples: Path, redis_database: str) -> None:
    ran = await call(str(examples / "demo.py"), "--store", redis_database, program="python", seconds=200)
    assert ran.code == 0, ran.errors
    assert "verified" in ran.output
