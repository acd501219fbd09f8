"""Functions in Python for order.yaml. `test_shop.py` tests them as plain functions."""

from dataclasses import dataclass, field

from unspool.functions import Context, TaskError, function


@dataclass
class Line:
    sku: str
    price: float
    quantity: int = 1


@dataclass
class Order:
    id: int
    lines: list[Line] = field(default_factory=list)


@dataclass
class Receipt:
    number: str
    total: float
    key: str


@function("total", version="1.0.0")
def total(order: Order) -> float:
    """The sum of the lines. It is not async, so it runs in a thread."""
    return round(sum(line.price * line.quantity for line in order.lines), 2)


@function("charge-card", version="1.2.0")
async def charge(order: Order, context: Context) -> Receipt:
    """Charges the total. A real one would send the idempotency key to the payment service."""
    amount = total(order)
    if amount <= 0:
        raise TaskError("https://example.com/errors/nothing-to-charge", 422, detail=f"the total is {amount}")
    context.heartbeat({"charging": amount})
    return Receipt(f"R-{order.id}", amount, context.idempotency_key)
