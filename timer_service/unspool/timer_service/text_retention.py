"""Deletes texts of external resources that no stored execution can use, in pieces.

A text is deleted in two steps. If no stored execution may use it, it is noted as unused. If that is still so
at a later look, it is deleted, unless an execution has used it meanwhile: a use removes the note. An
execution that used the text before the note is found at the later look. The store sees a use after the note.
"""

import asyncio
from typing import Final, Protocol

from unspool.eventstore import port
from unspool.eventstore.texts import StoredText, Texts, TextUse
from unspool.timer_service.pacing import rest_after

PIECE: Final = 50
"""Texts that one step looks at, at most."""

_TURNS_BETWEEN_LOOKS: Final = 60
"""A text that is used is looked at once in so many turns, about."""


class Store(Texts, port.Histories, port.Timers, Protocol):
    """The parts of a store that are used here."""


async def delete_unused_texts(store: Store, interval: int, seconds: float) -> int:
    """Looks at the texts that are due, for so many seconds at most; returns how many it deleted.

    Args:
        store: the store.
        interval: milliseconds between two turns. A text is deleted one turn, at least, after it is unused.
        seconds: after which it ends, though there are more.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    before = await store.now()
    deleted = 0
    while loop.time() < end and (texts := await store.texts_before(before, PIECE)):
        began = loop.time()
        for text in texts:
            deleted += await _look(store, text, before, interval)
        await rest_after(loop.time() - began)
    return deleted


async def _look(store: Store, text: StoredText, now: int, interval: int) -> bool:
    """Looks at a text; returns whether it is deleted now."""
    if await _is_used(store, text):
        await store.look_at_text_again(text, now + _TURNS_BETWEEN_LOOKS * interval, None)
    elif text.unused_since is None:
        await store.look_at_text_again(text, now + interval, now)
    elif await store.drop_text(text):
        return True
    else:  # it was used meanwhile
        await store.look_at_text_again(text, now + interval, None)
    return False


async def _is_used(store: Store, text: StoredText) -> bool:
    """Whether an execution is stored that may use a text. Newer ones are more probable."""
    for use in sorted(text.uses, key=lambda use: use.until, reverse=True):
        if await _is_any_stored(store, text.tenant, use):
            return True
    return False


async def _is_any_stored(store: Store, tenant: str, use: TextUse) -> bool:
    cursor: str | None = None
    while True:
        page = await store.executions(tenant, use.executions, limit=1, cursor=cursor)
        if page.items or page.cursor is None:
            return bool(page.items)
        cursor = page.cursor
