"""Recent texts are fetched once, and none is kept longer than its time."""

import asyncio

import pytest
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import FetchedText
from unspool.executor.recent_texts import MOST_CHARACTERS, RecentTexts
from unspool.executor.settings import ExecutorSettings


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Source:
    """Gives another text each time; waits until the test lets it."""

    def __init__(self, *, size=1):
        self.count = 0
        self.size = size
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self):
        self.count += 1
        number = self.count
        await self.open.wait()
        return FetchedText(str(number) * self.size)


async def test_a_text_is_kept_for_its_time():
    clock, source = Clock(), Source()
    recent = RecentTexts(10, clock)
    assert (await recent.get("a", source)).text == "1"
    clock.now = 9.9
    assert (await recent.get("a", source)).text == "1"
    clock.now = 10
    assert (await recent.get("a", source)).text == "2"
    assert (await recent.get("b", source)).text == "3"


async def test_nothing_is_kept_without_a_time():
    source = Source()
    recent = RecentTexts(0)
    assert [(await recent.get("a", source)).text for _ in range(3)] == ["1", "2", "3"]


async def test_calls_wait_for_a_text_that_is_being_fetched():
    source = Source()
    source.open.clear()
    recent = RecentTexts(10)
    calls = [asyncio.create_task(recent.get("a", source)) for _ in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    source.open.set()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    assert {(await call).text for call in calls[1:]} == {"1"}


async def test_an_error_goes_to_all_that_wait_and_is_not_kept():
    failures = [ValueError("first"), ValueError("second")]

    async def fail():
        await asyncio.sleep(0)
        raise failures.pop(0)

    recent = RecentTexts(10)
    found = await asyncio.gather(recent.get("a", fail), recent.get("a", fail), return_exceptions=True)
    assert [str(error) for error in found] == ["first", "first"]
    with pytest.raises(ValueError, match="second"):
        await recent.get("a", fail)


async def test_the_size_of_all_texts_has_a_limit():
    source = Source(size=MOST_CHARACTERS // 4)
    recent = RecentTexts(10, Clock())
    for key in "abcdef":
        await recent.get(key, source)
    await recent.get("f", source)
    assert source.count == 6
    await recent.get("a", source)
    assert source.count == 7


async def test_close_ends_requests_that_nothing_waits_for():
    source = Source()
    source.open.clear()
    recent = RecentTexts(10)
    call = asyncio.create_task(recent.get("a", source))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await recent.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_text_is_only_for_those_with_the_same_credentials(service):
    service.answer("/f", "set: 1")
    async with default_handlers(ExecutorSettings()) as handlers:

        async def fetch(token):
            policy = {"authentication": {"bearer": {"token": token}}} if token else {}
            arguments = {"endpoint": {"uri": f"{service.url}/f", **policy}}
            return await handlers["resource"](
                TaskRequest("e", "resource-1", "/do/0/a", "resource", arguments), task_context()
            )

        for token in ("one", "two", None, "one", None):
            assert isinstance(await fetch(token), FetchedText)
    sent = [request.headers.get("Authorization") for request in service.requests]
    assert sent == ["Bearer one", "Bearer two", None]
