"""What to take next from a queue of several tenants: a share for each, the oldest first."""

from collections.abc import Callable, Mapping
from typing import Final

THESE: Final = "SELECT value FROM json_each(?)"
"""A query for rows whose ids are a parameter, as a JSON array."""


def in_turn(limit: int, oldest: Mapping[str, int], take: Callable[[str, int], list[int]]) -> list[int]:
    """Returns the ids to take, at most `limit`.

    Args:
        limit: how many.
        oldest: the tenants with waiting rows, each with the id of its oldest one.
        take: returns the oldest ids of a tenant, up to a number.
    """
    ids: list[int] = []
    for place, tenant in enumerate(sorted(oldest, key=oldest.__getitem__)):
        # If a tenant has fewer rows than its share, the tenants after it get larger shares.
        ids += take(tenant, -(-(limit - len(ids)) // (len(oldest) - place)))
        if len(ids) >= limit:
            break
    return ids
