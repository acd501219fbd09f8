"""The sample service behaves as documented."""

from typing import Any

import aiohttp


async def test_a_key_is_answered_as_the_first_time(shop: Any) -> None:
    order = {"order": "A-1", "sku": "lamp", "quantity": 1}
    answers = []
    async with aiohttp.ClientSession(shop.address, headers={"Idempotency-Key": "k"}) as session:
        for _ in range(2):
            async with session.post("/reservations", json=order) as response:
                answers.append((response.status, response.content_type, await response.json()))
    assert answers[0] == answers[1]
    assert shop.stock["lamp"] == 99
    assert [call.key for call in shop.calls] == ["k", "k"]


async def test_an_outage_is_the_same_for_the_same_seed(sample_service: Any) -> None:
    runs = []
    for _ in range(2):
        shop = sample_service.Shop(seed=11)
        async with (
            sample_service.running_shop(shop) as address,
            aiohttp.ClientSession(address) as session,
        ):
            for order in ("A-1", "A-2", "A-3", "A-4"):
                async with session.post("/payments", json={"order": order, "amount": 1}) as response:
                    await response.read()
        runs.append([call.status for call in shop.calls])
    assert runs[0] == runs[1]
    assert {201, 503} == set(runs[0]), "choose a seed with both statuses"
