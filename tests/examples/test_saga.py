"""`saga-trip.yaml`, with three services."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

SERVICES = ("flights", "hotels", "cars")


@pytest.fixture
async def services(sample_service: Any) -> AsyncIterator[dict[str, Any]]:
    """Three services; they record their calls together, in order."""
    calls: list[Any] = []
    async with AsyncExitStack() as stack:
        found = {}
        for name in SERVICES:
            found[name] = sample_service.Shop(calls=calls)
            address = await stack.enter_async_context(sample_service.running_shop(found[name]))
            found[name].address = f"{address}/{name}"
        yield found


@pytest.fixture
def book(call: Any, services: dict[str, Any], examples: Path) -> Any:
    async def book() -> Any:
        trip = {"traveller": "Ada", "to": "Rome", **{name: services[name].address for name in SERVICES}}
        ran = await call("run", str(examples / "saga-trip.yaml"), "--input", json.dumps(trip))
        return ran.json

    return book


def requests(services: dict[str, Any]) -> list[str]:
    """The requests that the services got, in order: `PUT flights`."""
    return [f"{call.method} {call.path.split('/')[1]}" for call in services["cars"].calls]


BOOKED = ["PUT flights", "PUT hotels", "PUT cars"]
CANCELLED = ["DELETE cars", "DELETE hotels", "DELETE flights"]


async def test_a_trip_is_booked_at_three_services(book: Any, services: dict[str, Any]) -> None:
    output = {"status": "booked", "flight": "flights-1", "hotel": "hotels-1", "car": "cars-1"}
    assert await book() == output
    assert requests(services) == BOOKED


@pytest.mark.parametrize("failing", SERVICES)
async def test_what_was_booked_is_cancelled_in_reverse_order(
    book: Any, services: dict[str, Any], failing: str
) -> None:
    services[failing].fully_booked = True
    ended = await book()
    assert (ended["status"], ended["failed"]) == ("cancelled", failing.removesuffix("s"))
    assert "everything is booked" in ended["reason"]
    place = SERVICES.index(failing)
    assert requests(services) == BOOKED[: place + 1] + CANCELLED[2 - place :]
    assert not any(service.bookings for service in services.values())


async def test_a_booking_whose_answer_was_lost_is_cancelled_too(book: Any, services: dict[str, Any]) -> None:
    services["cars"].lost_bookings = 1
    services["hotels"].lost_cancellations = 2
    assert (await book())["status"] == "cancelled"
    expected = ["DELETE cars", *["DELETE hotels"] * 3, "DELETE flights"]
    assert requests(services) == BOOKED + expected
    assert not any(service.bookings for service in services.values())
