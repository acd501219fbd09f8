"""Limits of calls: rates that executors share, calls at once, and hosts that do not answer."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from tests.executor.conftest import serving
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.records import ExecutionKey, Start, TaskRequest, WorkflowRef
from unspool.eventstore.settings import BadSetting
from unspool.eventstore.texts import sha256_of
from unspool.executor.egress import AddressRefused
from unspool.executor.handlers import default_handlers
from unspool.executor.limits.limits import Limits, NotMade
from unspool.executor.limits.rules import rule_of, rules_of
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import current


def test_the_first_rule_that_matches_is_used():
    rules = rules_of("Api.Example.com=10/s *.example.com=100/m:20 localhost:81=1/10s function:charge-*=5/h")

    def rate_of(target):
        return (rule := rule_of(rules, target)) and rule.rate

    assert rate_of("api.example.com") == Rate(100_000)
    assert rate_of("api.example.com:8443") == Rate(100_000)
    assert rate_of("other.example.com") == Rate(600_000, 20)
    assert rate_of("localhost:81") == Rate(10_000_000)
    assert rate_of("localhost:82") is None
    assert rate_of("function:charge-card") == Rate(720_000_000)
    assert rate_of("example.com") is None


@pytest.mark.parametrize(
    "text", ["api", "api=", "api=1", "api=x/s", "=1/s", "api=0/s", "api=1/s:0", "a=1/y", "a=1/s@shop"]
)
def test_a_malformed_rule_is_named(text):
    with pytest.raises(BadSetting, match="UNSPOOL_LIMITS"):
        Limits(ExecutorSettings(limits=f"good=1/s {text}"), None)


class Waiting:
    """Records what calls wait for."""

    def __init__(self):
        self.now = []
        self.all = []
        self.context = task_context(parked=self.parked)

    @contextlib.contextmanager
    def parked(self, why):
        self.now.append(why)
        self.all.append(why)
        yield
        self.now.remove(why)


class Starts:
    """Rates of which each call may take a start as soon as enough others wait (`RateLimits`)."""

    def __init__(self, waiting):
        self.others = 0
        self._waiting = waiting

    async def reserve_start(self, limit, rate, most):
        async with asyncio.timeout(60):
            while len(self._waiting.now) < self.others:
                await asyncio.sleep(0.01)
        return 0


@pytest.fixture
async def waiting():
    found = Waiting()
    token = current.set(found.context)
    yield found
    current.reset(token)


async def test_a_rate_delays_calls_and_fails_none(store, waiting):
    limits = Limits(ExecutorSettings(limits="slow=20/s"), store)
    loop, began = asyncio.get_running_loop(), []
    before = loop.time()

    async def call(target):
        async with limits.call(target):
            began.append((target, loop.time()))

    await asyncio.gather(*(call("slow") for _ in range(5)), call("free"))

    times = [time for target, time in began if target == "slow"]
    assert times[-1] - before >= 0.19
    assert set(waiting.all) == {"the limit of slow"}
    assert waiting.now == []


@pytest.mark.parametrize("each", [True, False])
async def test_each_tenant_can_have_a_rate_of_its_own(store, each, waiting, eventually):
    """One tenant has taken all starts of an hour; another one waits for them, or not."""
    limits = Limits(ExecutorSettings(limits=f"slow=1/h:3{'@tenant' if each else ''}"), store)
    begun: list[str] = []

    async def call(tenant):
        current.set(replace(waiting.context, tenant=tenant))
        async with limits.call("slow"):
            begun.append(tenant)

    for _ in range(3):
        await asyncio.create_task(call("shop"))
    tasks = [asyncio.create_task(call(tenant)) for tenant in ("shop", "bank")]
    await eventually(lambda: len(begun) + len(waiting.now) == 5, "all begun or waiting")
    assert begun == ["shop", "shop", "shop", *(["bank"] if each else [])]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_calls_to_one_target_leave_slots_for_others(waiting, eventually):
    limits = Limits(ExecutorSettings(target_concurrency=2), None)
    done, running = asyncio.Event(), []

    async def call(target):
        async with limits.call(target):
            running.append(target)
            await done.wait()

    async with asyncio.TaskGroup() as calls:
        for target in ("slow", "slow", "slow", "other"):
            calls.create_task(call(target))
        await eventually(lambda: len(running) == 3, "three calls run")
        assert sorted(running) == ["other", "slow", "slow"]
        assert waiting.now == ["other calls to slow"]
        done.set()
    assert len(running) == 4


async def fail(limits, error=ConnectionRefusedError):
    with pytest.raises(error):
        async with limits.call("dead"):
            raise error


async def test_calls_wait_for_one_that_tries_a_host_that_does_not_answer(waiting, eventually):
    limits = Limits(ExecutorSettings(circuit_failures=3, circuit_seconds=0.2), None)
    for _ in range(3):
        await fail(limits)
    answer, made = asyncio.Event(), []

    async def call():
        async with limits.call("dead"):
            made.append(1)
            await answer.wait()

    async with asyncio.TaskGroup() as calls:
        for _ in range(5):
            calls.create_task(call())
        await eventually(lambda: made == [1], "one call tries the host")
        await asyncio.sleep(0)
        assert made == [1]
        answer.set()
    assert len(made) == 5
    assert set(waiting.all) == {"dead, which has not answered"}


async def test_calls_fail_with_the_one_that_tried_the_host(waiting, eventually):
    limits = Limits(ExecutorSettings(circuit_failures=1, circuit_seconds=0.1), None)
    await fail(limits)

    async def call():
        async with limits.call("dead"):
            await eventually(lambda: len(waiting.now) == 2, "the others wait")
            raise ConnectionRefusedError

    results = await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionRefusedError, NotMade, NotMade]
    assert (results[1].error.status, results[1].error.title) == (503, "Host unavailable")


async def test_a_cancelled_trial_makes_way_for_another(waiting, eventually):
    limits = Limits(ExecutorSettings(circuit_failures=1, circuit_seconds=3600), None)
    await fail(limits)

    async def call():
        async with limits.call("dead"):
            pass

    first, second = asyncio.create_task(call()), asyncio.create_task(call())
    await eventually(lambda: len(waiting.now) == 2, "both wait")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0)
    assert not second.done()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


async def test_answers_and_refused_addresses_do_not_count(waiting):
    limits = Limits(ExecutorSettings(circuit_failures=2, circuit_seconds=3600), None)
    for error in (ConnectionRefusedError, AddressRefused, KeyError, AddressRefused):
        await fail(limits, error)
    async with limits.call("dead"):
        pass
    await fail(limits)
    async with limits.call("dead"):
        pass


async def test_executors_keep_the_rate_of_a_host_together(store, service):
    service.answer("/x", "1")
    settings = ExecutorSettings(limits=f"127.0.0.1:{service.port}=20/s")
    arguments = {"method": "GET", "endpoint": {"uri": f"{service.url}/x"}}
    request = TaskRequest("e1", "r1", "/do/0/call", "http", arguments)
    began = asyncio.get_running_loop().time()
    async with default_handlers(settings, rates=store) as one, default_handlers(settings, rates=store) as two:
        outcomes = await asyncio.gather(
            *(handlers["http"](request, task_context()) for handlers in (one, two) for _ in range(3))
        )

    assert [type(outcome) for outcome in outcomes] == [Completed] * 6
    assert asyncio.get_running_loop().time() - began >= 0.24


async def test_attempts_of_one_call_are_one_failure(unused_tcp_port):
    settings = ExecutorSettings(circuit_failures=2, circuit_seconds=3600)
    arguments = {"method": "GET", "endpoint": {"uri": f"http://127.0.0.1:{unused_tcp_port}/"}}
    request = TaskRequest("e1", "r1", "/do/0/call", "http", arguments)
    async with default_handlers(settings) as handlers:
        for _ in range(2):  # the circuit opens with the second one, and would delay a third
            outcome = await handlers["http"](request, task_context())
            assert isinstance(outcome, Faulted)


def publication(port: int, protocol: str = "http") -> tuple[TaskRequest, TextsInMemory]:
    """A task that publishes at a broker, and the texts that it needs."""
    return asyncapi(port, protocol, {"message": {"payload": {}}})


def asyncapi(port: int, protocol: str, call: dict[str, object]) -> tuple[TaskRequest, TextsInMemory]:
    """A task that calls an AsyncAPI document, and the texts that it needs."""
    described = {
        "asyncapi": "3.0.0",
        "servers": {"main": {"host": f"127.0.0.1:{port}", "protocol": protocol}},
        "channels": {"x": {"address": "x", "messages": {"m": {"payload": {"type": "object"}}}}},
        "operations": {"send": {"action": "send", "channel": {"$ref": "#/channels/x"}}},
    }
    text = json.dumps(described)
    texts = TextsInMemory({sha256_of(text): text})
    arguments = {
        "$kind": "asyncapi",
        "$documents": {"document": {"uri": "file:api.json", "sha256": sha256_of(text)}},
        "operation": "send",
        **call,
    }
    return TaskRequest("e1", "r1", "/do/0/call", "call", arguments), texts


def trying(port: int) -> ExecutorSettings:
    """Settings by which one call tries a broker that did not answer once, and takes a start of its rate."""
    return ExecutorSettings(circuit_failures=1, circuit_seconds=0.1, limits=f"127.0.0.1:{port}=1000/s")


async def test_waiting_for_a_limit_is_no_time_of_the_broker(service):
    """The call waits longer for its start than the broker may take."""

    class LateStart:
        async def reserve_start(self, limit, rate, most):
            await asyncio.sleep(5.1)
            return 0

    service.answer("/x", "1")
    request, texts = publication(service.port)
    settings = ExecutorSettings(limits=f"127.0.0.1:{service.port}=1/s", broker_timeout_seconds=5)
    async with default_handlers(settings, rates=LateStart()) as handlers:
        assert await handlers["asyncapi"](request, task_context(texts)) == Completed(None)


async def test_the_rate_of_a_host_holds_for_publications(store, service):
    service.answer("/x", "1")
    request, texts = publication(service.port)
    settings = ExecutorSettings(limits=f"127.0.0.1:{service.port}=20/s")
    began = asyncio.get_running_loop().time()
    async with default_handlers(settings, rates=store) as handlers:
        outcomes = await asyncio.gather(
            *(handlers["asyncapi"](request, task_context(texts)) for _ in range(4))
        )

    assert outcomes == [Completed(None)] * 4
    assert asyncio.get_running_loop().time() - began >= 0.14


@pytest.mark.parametrize("protocol", ["http", "ws", "redis", "mqtt", "nats", "amqp"])
async def test_publications_fail_with_the_one_that_tried_the_broker(unused_tcp_port, protocol, waiting):
    settings, starts = trying(unused_tcp_port), Starts(waiting)
    request, texts = publication(unused_tcp_port, protocol)
    async with default_handlers(settings, rates=starts) as handlers:
        await handlers["asyncapi"](request, task_context(texts))
        starts.others = 2
        outcomes = await asyncio.gather(
            *(handlers["asyncapi"](request, task_context(texts)) for _ in range(3))
        )

    assert [outcome.error.type.rpartition("/")[2] for outcome in outcomes] == ["communication"] * 3
    assert sum("this call was not made" in outcome.error.detail for outcome in outcomes) == 2


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("protocol", ["http", "ws", "redis", "mqtt", "nats", "amqp"])
async def test_subscriptions_fail_with_the_one_that_tried_the_broker(
    store, unused_tcp_port, protocol, waiting
):
    settings, starts = trying(unused_tcp_port), Starts(waiting)
    limits = {"since": 0, "place": 0, "processed": 0, "amount": 1}
    request, texts = asyncapi(unused_tcp_port, protocol, {"subscription": limits})
    key = ExecutionKey("default", request.execution)
    await store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), {}, 1))
    for text in texts.values():
        await store.put_text(key, text)
    context = replace(task_context(), store=store)
    async with default_handlers(settings, rates=starts) as handlers:
        await handlers["asyncapi"](request, context)
        starts.others = 2
        outcomes = await asyncio.gather(*(handlers["asyncapi"](request, context) for _ in range(3)))

    assert [outcome.error.type.rpartition("/")[2] for outcome in outcomes] == ["communication"] * 3
    assert sum("this call was not made" in outcome.error.detail for outcome in outcomes) == 2


async def test_a_refusal_of_a_broker_is_an_answer(unused_tcp_port):
    """Calls that wait for the one that tries the broker are then made, too."""
    settings = ExecutorSettings(circuit_failures=1, circuit_seconds=0.1)
    request, texts = publication(unused_tcp_port)
    async with default_handlers(settings) as handlers, contextlib.AsyncExitStack() as stack:
        await handlers["asyncapi"](request, task_context(texts))
        service = await stack.enter_async_context(serving(unused_tcp_port))
        service.answer("/x", "no", status=500)
        outcomes = await asyncio.gather(
            *(handlers["asyncapi"](request, task_context(texts)) for _ in range(3))
        )

    assert [outcome.error.status for outcome in outcomes] == [500] * 3
    assert len(service.requests) == 3
