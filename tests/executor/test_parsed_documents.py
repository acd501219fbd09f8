"""Documents are parsed once for many calls."""

import asyncio
import json

import pytest
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.errors import NotFound
from unspool.executor.parsed_documents import ParsedDocuments


async def test_calls_share_one_parse():
    parsed: list[str] = []

    def parse(text: str):
        parsed.append(text)
        return json.loads(text)

    documents, texts = ParsedDocuments(parse, most=2), TextsInMemory()
    one, two, three = [await texts.put_text("default", text) for text in ("1", "2", "3")]
    context = task_context(texts)

    assert await asyncio.gather(*(documents.get(context, one) for _ in range(3))) == [1, 1, 1]
    assert [await documents.get(context, each) for each in (two, three, one)] == [2, 3, 1]
    assert parsed == ["1", "2", "3", "1"]


async def test_a_failure_is_not_kept():
    documents, texts = ParsedDocuments(json.loads), TextsInMemory()
    with pytest.raises(NotFound):
        await documents.get(task_context(texts), "unknown")
    broken = await texts.put_text("default", "{")
    for _ in range(2):
        with pytest.raises(json.JSONDecodeError):
            await documents.get(task_context(texts), broken)
