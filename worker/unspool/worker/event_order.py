"""The order of events in the messages of an execution.

A message that was returned to the inbox may come behind later ones.
"""

from unspool.eventstore.records import Delivery, Message, MessageKind


def in_bus_order(deliveries: list[Delivery[Message]]) -> list[Delivery[Message]]:
    """Returns messages of one execution with its events in the order of the bus; others keep their places."""
    places = [place for place, each in enumerate(deliveries) if each.body.kind is MessageKind.EVENT]
    if len(places) < 2:
        return deliveries
    ordered = [*deliveries]
    for place, each in zip(places, sorted((deliveries[place] for place in places), key=_order), strict=True):
        ordered[place] = each
    return ordered


def _order(delivery: Delivery[Message]) -> str:
    return str(delivery.body.body.get("order", ""))
