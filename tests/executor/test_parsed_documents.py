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


async def test_only_so_many_characters_are_kept_but_always_the_last_document():
    parsed: list[str] = []
    documents, texts = ParsedDocuments(parsed.append, most_characters=10), TextsInMemory()
    short, other, long = [await texts.put_text("default", text) for text in ("a" * 5, "b" * 5, "c" * 20)]
    context = task_context(texts)

    for each in (short, other, short, other, long, long, short, short):
        await documents.get(context, each)
    assert [text[0] for text in parsed] == ["a", "b", "c", "a"]


async def test_a_failure_is_not_kept():
    documents, texts = ParsedDocuments(json.loads), TextsInMemory()
    with pytest.raises(NotFound):
        await documents.get(task_context(texts), "unknown")
    broken = await texts.put_text("default", "{")
    for _ in range(2):
        with pytest.raises(json.JSONDecodeError):
            await documents.get(task_context(texts), broken)
