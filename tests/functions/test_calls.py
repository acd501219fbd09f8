"""Calls of functions as an executor makes them: errors, threads, cancellation, hostile values."""
# ruff: noqa: E501 - in tables a case is a line

import asyncio
import logging

import pytest

from unspool.eventstore.functions import RegisteredFunction
from unspool.executor.outcome import Completed, Faulted, HandedBack


def error_of(outcome) -> dict:
    assert isinstance(outcome, Faulted)
    return outcome.error.to_json()


async def test_sync_and_async_functions_get_their_input_and_the_context(served):
    call = await served(
        """
        from dataclasses import dataclass

        @dataclass
        class Order:
            id: int

        @dataclass
        class Receipt:
            order: int
            facts: list

        @function("charge")
        async def charge(order: Order, context: Context) -> Receipt:
            return Receipt(order.id, [context.execution_id, context.idempotency_key, context.attempt, context.task])

        @function("add")
        def add(left: int, right: int = 1) -> int:
            return left + right

        @function("plain")
        def plain(value):
            return value
        """
    )
    charged = await call("charge", {"id": 7}, attempt=2)
    assert charged == Completed({"order": 7, "facts": ["e1", "e1/7", 2, "/do/0/call"]})
    assert await call("add", {"left": 1}) == Completed(2)
    assert await call("plain", [1, {"a": None}]) == Completed([1, {"a": None}])
    assert await call("plain", None) == Completed(None)


async def test_the_latest_version_is_the_highest_by_semantic_precedence(served):
    call = await served(
        """
        @function("v", version="1.10.0")
        def ten(): return 10

        @function("v", version="1.9.0")
        def nine(): return 9

        @function("v", version="2.0.0-rc.1")
        def candidate(): return 2

        @function("w", version="0.1.0-rc.1")
        def other(): return 1
        """
    )
    assert await call("v") == Completed(2)
    assert await call("v", version="1.9.0") == Completed(9)
    assert await call("w") == Completed(1)


async def test_an_error_of_the_author_is_the_error_of_the_workflow(served):
    call = await served(
        """
        @function("decline")
        def decline():
            raise TaskError("https://example.com/errors/declined", 402, title="Declined", detail="no money")
        """
    )
    assert error_of(await call("decline")) == {
        "type": "https://example.com/errors/declined",
        "status": 402,
        "title": "Declined",
        "detail": "no money",
    }


@pytest.mark.parametrize("kind", ["", "async "])
@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("{}['key']", "KeyError: 'key'"),
        ("raise ValueError", "ValueError"),
        ("raise ValueError('first\\nsecond' + 'x' * 5000)", "ValueError: first\ufffdsecondxxx"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise StopIteration", "StopIteration"),
        ("raise TimeoutError('slow')", "TimeoutError: slow"),
        ("raise BaseException('base')", "BaseException: base"),
        ("raise Strange", "Strange"),
        ("recurse()", "RecursionError: maximum recursion depth"),
    ],
)
async def test_another_exception_is_a_runtime_error_without_the_traceback(
    served, caplog, kind, statement, detail
):
    call = await served(
        f"""
        class Strange(Exception):
            def __str__(self): raise RuntimeError

        def recurse(): return recurse()

        @function("fail")
        {kind}def fail():
            {statement}
        """
    )
    with caplog.at_level(logging.ERROR):
        error = error_of(await call("fail"))
    assert error["type"].endswith("/runtime")
    assert (error["status"], error["title"]) == (500, "Function failed")
    assert detail in error["detail"]
    assert len(error["detail"]) < 1100
    assert "Traceback" not in error["detail"]
    [record] = [each for each in caplog.records if getattr(each, "action", "") == "function_failed"]
    assert "Traceback" in record.getMessage()
    assert record.execution == "e1"


async def test_an_author_who_raises_a_cancellation_does_not_end_the_executor(served):
    call = await served(
        """
        import asyncio

        @function("a")
        async def a(): raise asyncio.CancelledError

        @function("b")
        def b(): raise Cancelled

        @function("c")
        async def c():
            asyncio.current_task().cancel()
            await asyncio.sleep(60)
        """
    )
    for name in "abc":
        error = error_of(await call(name))
        assert (error["title"], error["detail"]) == ("Cancelled", f"{name}:1.0.0 was cancelled")


async def test_input_and_output_are_validated(served):
    call = await served(
        """
        from dataclasses import dataclass
        from datetime import date

        @dataclass
        class Order:
            id: int
            day: date
            names: list[str]

        @function("order")
        def order(order: Order) -> int:
            return order.names

        @function("object")
        def an_object(order: dict) -> dict:
            return {"a": [object()]}
        """
    )
    error = error_of(await call("order", {"id": "7", "day": "2026-01-01", "names": ["a", 1]}))
    assert error["type"].endswith("/validation")
    assert error["status"] == 400
    assert error["detail"].startswith("the input of order:1.0.0: at /")
    assert "at /id: " in error["detail"]
    assert "at /names/1: " in error["detail"]
    wrong = error_of(await call("order", {"id": 7, "day": "today", "names": []}))
    assert wrong["detail"] == "the input of order:1.0.0: at /day: the value is not a date such as 2026-01-31"
    result = error_of(await call("order", {"id": 7, "day": "2026-01-01", "names": []}))
    assert result["type"].endswith("/validation")
    assert result["detail"].startswith("the result of order:1.0.0: at /: ")
    result = error_of(await call("object", {}))
    assert (
        result["detail"]
        == "the result of object:1.0.0: at /a/0: an object of type object has no form in JSON"
    )


async def test_an_error_in_a_constructor_of_the_author_is_not_an_exception_of_the_handler(served):
    call = await served(
        """
        from dataclasses import dataclass

        @dataclass
        class Order:
            id: int
            def __post_init__(self):
                if self.id == 0: raise ValueError("the id is 0")
                raise KeyError("other")

        @function("order")
        async def order(order: Order): ...
        """
    )
    assert error_of(await call("order", {"id": 0}))["detail"].endswith("at /: Order: the id is 0")
    assert error_of(await call("order", {"id": 1}))["detail"] == "KeyError: 'other'"


async def test_sync_functions_run_in_a_limited_number_of_threads_and_never_block_the_loop(served):
    call = await served(
        """
        import threading

        started = threading.Semaphore(0)
        go = threading.Event()

        @function("hold")
        def hold() -> str:
            started.release()
            go.wait(60)
            return threading.current_thread().name

        @function("count")
        async def count() -> int:
            n = 0
            while started.acquire(blocking=False):
                n += 1
            return n

        @function("go")
        async def release():
            go.set()
        """,
        function_threads=2,
    )
    held = [asyncio.create_task(call("hold")) for _ in range(5)]
    count = 0
    async with asyncio.timeout(60):
        while count < 2:
            count += (await call("count")).output
            await asyncio.sleep(0.01)
    assert (await call("count")).output == 0
    held[4].cancel()
    await call("go")
    names = {outcome.output for outcome in await asyncio.gather(*held[:4])}
    assert names <= {"function 1", "function 2"}


async def test_a_cancelled_sync_function_sees_the_flag(served):
    call = await served(
        """
        import threading

        began, seen = threading.Event(), threading.Event()

        @function("slow")
        def slow(context: Context):
            began.set()
            try:
                while True:
                    context.heartbeat()
                    context.wait(60)
            finally:
                if context.cancelled:
                    seen.set()

        @function("began")
        def has_begun() -> bool: return began.wait(60)

        @function("seen")
        def has_seen() -> bool: return seen.wait(60)
        """
    )
    task = asyncio.create_task(call("slow"))
    assert await call("began") == Completed(True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await call("seen") == Completed(True)


async def test_a_cancelled_async_function_can_clean_up_but_not_hold_up_the_executor(
    served, monkeypatch, caplog
):
    monkeypatch.setattr("unspool.executor.functions.python_function._CANCEL_SECONDS", 1.0)
    call = await served(
        """
        import asyncio

        begun, cleaned, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @function("polite")
        async def polite(context: Context):
            try:
                begun.set()
                await asyncio.sleep(60)
            finally:
                assert context.cancelled
                cleaned.set()

        @function("stubborn")
        async def stubborn():
            begun.set()
            while not go.is_set():
                try:
                    await go.wait()
                except asyncio.CancelledError:
                    pass

        @function("begun")
        async def has_begun():
            await begun.wait()
            begun.clear()

        @function("cleaned")
        async def has_cleaned(): await cleaned.wait()

        @function("go")
        async def let_go():
            go.set()
            await asyncio.sleep(0)
        """
    )
    for name in ("polite", "stubborn"):
        task = asyncio.create_task(call(name))
        async with asyncio.timeout(60):
            await call("begun")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    async with asyncio.timeout(60):
        await call("cleaned")
    assert "stubborn:1.0.0 does not end although it was cancelled" in caplog.text
    assert "polite" not in caplog.text
    await call("go")


async def test_progress_is_reported_as_json(served):
    call = await served(
        """
        from datetime import date

        @function("report")
        def report(context: Context):
            context.heartbeat()
            context.heartbeat({"day": date(2026, 1, 31)})
            context.heartbeat(object())
        """
    )
    error = error_of(await call("report"))
    assert "object has no form in JSON" in error["detail"]


async def test_unknown_functions_are_handed_back(served):
    call = await served("@function('charge-card', version='1.2.0')\ndef charge(): ...")
    registered = [RegisteredFunction("charge-cart", "1.3.0", "function", registered_at=1)]
    secrets = {"$secrets": {"declared": ["KEY"], "texts": []}}
    for version, extra in ((None, {}), ("1.3.0", {}), ("1.3.0", secrets)):
        with pytest.raises(HandedBack):
            await call("charge-cart", version=version, registered=registered, **extra)


async def test_secrets_are_masked_in_results_errors_and_logs(served, caplog, monkeypatch):
    monkeypatch.setenv("UNSPOOL_SECRET_KEY", "sesame-opens")
    call = await served(
        """
        @function("leak")
        def leak(key: str, how: str) -> str:
            if how == "return": return f"got {key}"
            if how == "task": raise TaskError("https://example.com/x", 400, detail=key)
            raise ValueError(key)
        """
    )
    asked = {
        "declared": ["KEY"],
        "texts": [{"at": "/input/key", "text": "${ $secrets.KEY }", "syntax": "value", "needs": ["KEY"], "variables": {}}],
    }  # fmt: skip
    for how in ("return", "task", "raise"):
        outcome = await call("leak", {"key": None, "how": how}, **{"$secrets": asked})
        shown = outcome.output if isinstance(outcome, Completed) else error_of(outcome)["detail"]
        assert "***" in shown
        assert "sesame" not in shown
    assert "sesame" not in caplog.text
    assert caplog.text.rstrip().endswith("ValueError")
