"""A small shop that the examples call: stock, payments, messages, quotes, exports,
approvals and bookings.

    python examples/sample_service.py --port 8099

Some payment requests answer 503, as real services do. Only the seed, the order and the number of the attempt
decide which ones, so a run can be repeated exactly. A request with an `Idempotency-Key` that the shop has
seen gets the first answer again and has no second effect. A 503 had no effect, so its answer is not kept.
"""

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REFUSED_CARD = "refused"
"""A card with which every payment fails."""

DISPUTED_CARD = "disputed"
"""A card whose payments are accepted and later disputed."""


class Call(NamedTuple):
    """A request that the shop answered."""

    method: str
    path: str
    key: str | None
    """Its `Idempotency-Key`."""
    status: int


@dataclass
class Shop:
    """The shop's data and request handlers."""

    seed: int = 1
    outage: float = 0.5
    """Share of payment attempts that answer 503."""
    polls_until_done: int = 3
    """Number of status requests until an export is done."""
    quote_seconds: float = 0.05
    """Seconds that a quote takes."""
    stock: dict[str, int] = field(default_factory=lambda: {"lamp": 100, "chair": 3})
    calls: list[Call] = field(default_factory=list)
    reservations: dict[str, Any] = field(default_factory=dict)
    payments: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)
    shipments: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, int] = field(default_factory=dict)
    approvals: dict[str, Any] = field(default_factory=dict)
    bookings: dict[str, Any] = field(default_factory=dict)
    """By path."""
    fully_booked: bool = False
    """Whether bookings are refused."""
    lost_bookings: int = 0
    """Number of bookings that are made but answered with an error."""
    lost_cancellations: int = 0
    """Number of cancellations that answer 503."""
    most_quotes_at_once: int = 0
    _quotes_at_once: int = 0
    _attempts: Counter[str] = field(default_factory=Counter)
    _answers: dict[tuple[str, str, str], web.Response] = field(default_factory=dict)
    _locks: dict[tuple[str, str, str], asyncio.Lock] = field(default_factory=dict)

    # -- stock

    async def reserve(self, request: web.Request) -> web.Response:
        """Reserves stock for an order."""
        item = await request.json()
        left = self.stock.get(item["sku"], 0) - item["quantity"]
        if left < 0:
            return problem(409, f"only {left + item['quantity']} of {item['sku']} are left")
        self.stock[item["sku"]] = left
        reservation = {"id": f"reservation-{item['order']}", **item}
        self.reservations[reservation["id"]] = reservation
        return web.json_response(reservation, status=201)

    async def release(self, request: web.Request) -> web.Response:
        """Releases reserved stock; a second request has no further effect."""
        reservation = self.reservations.pop(request.match_info["id"], None)
        if reservation is not None:
            self.stock[reservation["sku"]] += reservation["quantity"]
        return web.Response(status=204)

    # -- payments

    async def pay(self, request: web.Request) -> web.Response:
        """Takes a payment, unless the bank is unavailable or the card is refused."""
        item = await request.json()
        order = item["order"]
        self._attempts[order] += 1
        chance = random.Random(f"{self.seed}/{order}/{self._attempts[order]}").random()
        if chance < self.outage:
            return problem(503, "the bank does not answer")
        if item.get("card") == REFUSED_CARD:
            return problem(402, "the card was refused")
        status = "disputed" if item.get("card") == DISPUTED_CARD else "settled"
        payment = {"id": f"payment-{len(self.payments) + 1}", "order": order, "amount": item["amount"]}
        self.payments[payment["id"]] = {**payment, "status": status}
        return web.json_response({**payment, "status": "taken"}, status=201)

    async def payment(self, request: web.Request) -> web.Response:
        """Returns a payment with its current status."""
        found = self.payments.get(request.match_info["id"])
        return web.json_response(found) if found else problem(404, "no such payment")

    async def refund(self, request: web.Request) -> web.Response:
        """Refunds a payment; a second request has no further effect."""
        if request.match_info["id"] not in self.payments:
            return problem(404, "no such payment")
        self.payments[request.match_info["id"]]["status"] = "refunded"
        return web.Response(status=204)

    # -- messages, shipments, quotes

    async def tell(self, request: web.Request) -> web.Response:
        """Sends a message."""
        self.messages.append({"to": request.match_info["to"], **await request.json()})
        return web.json_response({"sent": len(self.messages)}, status=202)

    async def ship(self, request: web.Request) -> web.Response:
        """Ships an order."""
        order = (await request.json())["order"]
        shipment = {"order": order, "tracking": f"TRACK-{order}"}
        self.shipments[order] = shipment
        return web.json_response(shipment, status=201)

    async def quote(self, request: web.Request) -> web.Response:
        """Returns a price after a delay."""
        self._quotes_at_once += 1
        self.most_quotes_at_once = max(self.most_quotes_at_once, self._quotes_at_once)
        try:
            await asyncio.sleep(self.quote_seconds)
        finally:
            self._quotes_at_once -= 1
        sku = request.match_info["sku"]
        return web.json_response({"sku": sku, "price": 10 * len(sku)})

    # -- exports: long-running jobs

    async def export(self, _: web.Request) -> web.Response:
        """Begins an export."""
        name = f"export-{len(self.exports) + 1}"
        self.exports[name] = self.polls_until_done
        return web.json_response({"id": name, "status": "working"}, status=202)

    async def export_status(self, request: web.Request) -> web.Response:
        """Returns the status of an export; it is done after some requests."""
        name = request.match_info["id"]
        self.exports[name] -= 1
        status = "working" if self.exports[name] > 0 else "done"
        return web.json_response({"id": name, "status": status, "rows": 42})

    # -- approvals: decisions by people

    async def ask(self, request: web.Request) -> web.Response:
        """Creates an approval: a question to a person."""
        name = f"approval-{len(self.approvals) + 1}"
        self.approvals[name] = {"id": name, "decision": "pending", "reminders": 0, **await request.json()}
        return web.json_response(self.approvals[name], status=201)

    async def approval(self, request: web.Request) -> web.Response:
        """Returns an approval with its current decision."""
        return web.json_response(self.approvals[request.match_info["id"]])

    async def decide(self, request: web.Request) -> web.Response:
        """Stores the person's decision: `{"decision": "approved"}`, or rejected."""
        approval = self.approvals[request.match_info["id"]]
        approval["decision"] = (await request.json())["decision"]
        return web.json_response(approval)

    async def remind(self, request: web.Request) -> web.Response:
        """Reminds the person."""
        approval = self.approvals[request.match_info["id"]]
        approval["reminders"] += 1
        return web.json_response(approval)

    # -- bookings of flights, hotels and cars; a repeated request has no further effect

    async def book(self, request: web.Request) -> web.Response:
        """Books, unless everything is booked."""
        if self.fully_booked:
            return problem(409, "everything is booked")
        seat = f"{request.match_info['what']}-{len(self.bookings) + 1}"
        booking = self.bookings.setdefault(request.path, {"seat": seat, **await request.json()})
        if self.lost_bookings:
            self.lost_bookings -= 1
            return problem(500, "the booking was made, but this answer does not say so")
        return web.json_response(booking)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancels a booking, if there is one."""
        if self.lost_cancellations:
            self.lost_cancellations -= 1
            return problem(503, "no answer")
        self.bookings.pop(request.path, None)
        return web.Response(status=204)

    # -- middleware

    @web.middleware
    async def once(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers a repeated `Idempotency-Key` with the first answer, and records every request."""
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method == "GET":
            answer = await handler(request)
        else:
            same = (request.method, request.path, key)
            async with self._locks.setdefault(same, asyncio.Lock()):
                answer = await self._first_answer(same, request, handler)
        self.calls.append(Call(request.method, request.path, key, answer.status))
        return answer

    async def _first_answer(
        self, same: tuple[str, str, str], request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if same not in self._answers:
            answer = await handler(request)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return answer
            assert isinstance(answer, web.Response)  # every handler of the shop returns one
            self._answers[same] = answer
        return _copy(self._answers[same])


def problem(status: int, detail: str) -> web.Response:
    """Returns an error in the format of RFC 9457."""
    body = {"status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


def _copy(response: web.Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, content_type=response.content_type)


def create_app(shop: Shop) -> web.Application:
    """Returns the shop's API."""
    app = web.Application(middlewares=[shop.once])
    app.add_routes(
        [
            web.post("/reservations", shop.reserve),
            web.delete("/reservations/{id}", shop.release),
            web.post("/payments", shop.pay),
            web.get("/payments/{id}", shop.payment),
            web.delete("/payments/{id}", shop.refund),
            web.post("/messages/{to}", shop.tell),
            web.post("/shipments", shop.ship),
            web.get("/quotes/{sku}", shop.quote),
            web.post("/exports", shop.export),
            web.get("/exports/{id}", shop.export_status),
            web.post("/approvals", shop.ask),
            web.get("/approvals/{id}", shop.approval),
            web.put("/approvals/{id}", shop.decide),
            web.post("/approvals/{id}/reminders", shop.remind),
            web.put("/{what:flights|hotels|cars}/{id}", shop.book),
            web.delete("/{what:flights|hotels|cars}/{id}", shop.cancel),
        ]
    )
    return app


@asynccontextmanager
async def running_shop(shop: Shop, port: int = 0) -> AsyncIterator[str]:
    """Runs the shop while the context is open; yields its address."""
    runner = web.AppRunner(create_app(shop))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0][:2]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


async def _serve(shop: Shop, port: int) -> None:
    async with running_shop(shop, port) as address:
        print(f"the shop is open at {address}; Ctrl-C closes it", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Runs the shop until it is interrupted."""
    parser = argparse.ArgumentParser(description="The sample service of the examples.")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--outage", type=float, default=0.5, help="share of payment requests that answer 503")
    options = parser.parse_args()
    try:
        asyncio.run(_serve(Shop(options.seed, options.outage), options.port))
    except KeyboardInterrupt:
        print("closed")


if __name__ == "__main__":
    main()
