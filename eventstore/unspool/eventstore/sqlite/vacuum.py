"""Gives the pages of deleted rows back to the operating system, a few at a time.

SQLite uses free pages again. So a file keeps some for what comes next, and becomes smaller only if it has
many. Files of release 0.1 are not made for it (https://sqlite.org/pragma.html#pragma_auto_vacuum): they stay
as large as they are and use their free pages.
"""

from typing import Final

from unspool.eventstore.sqlite.connection_thread import Transaction

INCREMENTAL: Final = 2
"""The mode of files that can free pages."""

_KEPT_PAGES: Final = 1_000
_KEPT_PART: Final = 4
"""A file keeps this part of its pages free: a quarter."""

_PAGES_AT_ONCE: Final = 200


def free_pages(transaction: Transaction) -> bool:
    """Frees some pages; returns whether there are no more to free."""
    [pages], [free], [mode] = (
        transaction.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_count", "freelist_count", "auto_vacuum")
    )
    excess: int = free - max(_KEPT_PAGES, pages // _KEPT_PART)
    if excess <= 0 or mode != INCREMENTAL:
        return True
    transaction.execute(f"PRAGMA incremental_vacuum({min(excess, _PAGES_AT_ONCE)})").fetchall()
    return excess <= _PAGES_AT_ONCE
