"""Chooses what a command works on, from its options and the environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from unspool.cli.actor import current_user
from unspool.cli.options import Place
from unspool.cli.targets.port import Target


@asynccontextmanager
async def opened_target(place: Place, by: str | None = None) -> AsyncIterator[Target]:
    """Opens the store or the API of a command; closes it at the end. `by`: who works on it, for histories.

    Raises:
        CommandError: the API cannot be reached or refuses a request.
        StoreError: the store cannot be opened.
    """
    if place.api is None:
        from unspool.cli.targets.store_target import StoreTarget  # noqa: PLC0415 - slow to import

        async with StoreTarget(place, by or current_user()) as store:
            yield store
    else:
        from unspool.cli.targets.api_target import api_target  # noqa: PLC0415 - slow to import

        async with api_target(place, place.api) as api:
            yield api
