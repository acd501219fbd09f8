"""Fetches a document with all documents that it refers to, as one text."""

import asyncio
from collections import deque
from typing import Final

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.documents.references import (
    joined,
    may_refer_to_others,
    other_addresses,
    problem_of_reference,
)
from unspool.executor.documents.text import UnusableDocument, read_document, shown_address, unusable
from unspool.executor.outcome import FetchedText, Rejected
from unspool.executor.recent_texts import FetchAt

MOST_DOCUMENTS: Final = 100
"""Documents to which one document refers, directly or by others."""

_LASTING: Final = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses of addresses without a document. A reference that is not used does no harm."""


async def fetched_documents(address: str, fetch: FetchAt, most_bytes: int) -> FetchedText:
    """Fetches a document and those that it refers to.

    A document without references to others is as it was fetched. If one of the others does not exist, may not
    be fetched or cannot be read, that is an error of the calls that use it.

    Args:
        address: of the document.
        fetch: fetches one text.
        most_bytes: of all documents.

    Raises:
        Rejected: a document cannot be fetched now, or there are too many.
    """
    main = await fetch(address)
    if not await asyncio.to_thread(may_refer_to_others, main.text):
        return main
    try:
        root = await asyncio.to_thread(read_document, main.text)
    except UnusableDocument:
        return main  # who reads it says what is wrong
    others = await _others(root, address, fetch, most_bytes - len(main.text))
    if not others:
        return main
    try:
        return FetchedText(await asyncio.to_thread(joined, root, address, others), "application/json")
    except UnusableDocument as problem:
        raise unusable("document", address, problem) from None


async def _others(
    root: dict[str, Json], address: str, fetch: FetchAt, most_bytes: int
) -> dict[str, Json | UnusableDocument]:
    found: dict[str, Json | UnusableDocument] = {}
    waiting: deque[tuple[Json, str]] = deque([(root, address)])
    while waiting:
        value, base = waiting.popleft()
        for other in await asyncio.to_thread(other_addresses, value, base):
            if other in found or other == address:
                continue
            found[other], size = await _fetched(other, base, fetch)
            most_bytes -= size
            if len(found) > MOST_DOCUMENTS or most_bytes < 0:
                detail = f"{shown_address(address)} and the documents that it refers to are more than"
                detail += f" {MOST_DOCUMENTS}, or too large together"
                raise Rejected(configuration(detail, title="Too many documents"))
            waiting.append((found[other], other))
    return found


async def _fetched(address: str, base: str, fetch: FetchAt) -> tuple[Json | UnusableDocument, int]:
    """The value of a document, or why there is none; and its size. Raises `Rejected`."""
    if (problem := problem_of_reference(address, base)) is not None:
        return UnusableDocument(problem), 0
    try:
        text = (await fetch(address)).text
    except Rejected as rejected:
        if rejected.error.status not in _LASTING:
            raise
        return UnusableDocument(rejected.error.detail or "it was not fetched"), 0
    try:
        return await asyncio.to_thread(read_document, text), len(text)
    except UnusableDocument as problem_of_text:
        return problem_of_text, len(text)
