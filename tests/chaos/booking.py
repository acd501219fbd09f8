"""A function in Python that executors of the chaos tests register: it books at the stand-in."""

import json
import urllib.request

from unspool.functions import Context, function


@function("book-in-python", version="1.0.0")
def book(service: str, order: str, context: Context) -> str:
    """Books an order with the idempotency key of its task; returns what was booked."""
    request = urllib.request.Request(
        f"{service}/functions/{order}", method="POST", headers={"Idempotency-Key": context.idempotency_key}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        booked: str = json.load(response)["booked"]
    return booked
