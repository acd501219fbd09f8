"""Commands do the same on a store and on an API: output, exit codes, messages."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.api.conftest import Api, run_api
from tests.api.keys import ON, key_for
from tests.background import served
from tests.cli.conftest import PATIENT, Result, Unspool
from tests.cli.test_operating import await_condition
from tests.client.conftest import GREET, HEAR, NAP, REFUSE

from unspool.api.engine import Engine
from unspool.api.settings import ApiSettings
from unspool.client import AsyncClient
from unspool.definitions.expressions import JqPool
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

T = TypeVar("T")

DAILY = """\
document: {dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0'}
schedule: {cron: '@yearly'}
do: [{a: {set: {x: 1}}}]
"""

PARENT = """\
document: {dsl: '1.0.3', namespace: shop, name: parent, version: '1.0.0'}
do:
  - child: {run: {workflow: {namespace: shop, name: greet, version: '1.0.0', input: {name: Ada}}}}
"""

FILES = {"greet": GREET, "refuse": REFUSE, "nap": NAP, "hear": HEAR, "report": DAILY, "parent": PARENT}

PAID = {"specversion": "1.0", "id": "7", "source": "/bank", "type": "paid", "data": {"order": "A-1"}}


@asynccontextmanager
async def deployment(url: str, jq: JqPool, *, works: bool) -> AsyncIterator[tuple[Api, EventStore]]:
    """A locked API on a store, with services that run executions if it works."""
    store = await open_store(url, {})
    async with AsyncExitStack() as stack:
        if works:
            await stack.enter_async_context(served(WorkerService(store, jq, WorkerSettings(), "w")))
            await stack.enter_async_context(served(TimerService(store, TimerSettings())))
        settings = ApiSettings(port=0, stop_seconds=5)
        yield await stack.enter_async_context(run_api(store, Engine(jq), settings, authentication=ON)), store
    await store.close()


@contextmanager
def in_a_thread(context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Keeps a context open in a thread with an event loop: the program needs the main thread."""
    entered: Future[tuple[T, asyncio.Event, asyncio.AbstractEventLoop]] = Future()

    async def run() -> None:
        try:
            async with context as value:
                stop = asyncio.Event()
                entered.set_result((value, stop, asyncio.get_running_loop()))
                await stop.wait()
        except BaseException as error:
            if not entered.done():
                entered.set_exception(error)
            raise

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(asyncio.run, run())
        value, stop, loop = entered.result()
        try:
            yield value
        finally:
            loop.call_soon_threadsafe(stop.set)
            done.result()


@pytest.fixture(params=["store", "api"])
def target(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program works on."""
    for name, text in FILES.items():
        (home / f"{name}.yaml").write_text(text)
    (home / "paid.json").write_text(json.dumps(PAID))
    kind: str = request.param
    return kind


@pytest.fixture
def program(target: str, home: Path, jq: JqPool, monkeypatch: pytest.MonkeyPatch, unspool: Unspool) -> Any:
    """Runs the program on a store, or on an API that is locked and whose store it cannot reach."""
    url = f"sqlite:///{home}/store.db"
    with in_a_thread(prepared(url, jq, works=True)) as (address, token, _):
        use(monkeypatch, target, url, address, token)
        yield unspool
    assert not (home / "data").exists(), "a command opened another store"


@asynccontextmanager
async def prepared(url: str, jq: JqPool, *, works: bool) -> AsyncIterator[tuple[str, str, str]]:
    """A deployment; yields its address, a key for everything, and without services a dead letter."""
    async with deployment(url, jq, works=works) as (api, store):
        token = await key_for(store, "admin", tenant=None)
        letter = ""
        if not works:
            async with AsyncClient(api.url, token=token) as client:
                await client.deploy(GREET)
                await client.start("shop/greet", id="one")
            [delivery] = await store.receive_messages(Consumer("workers", "one"), 1, 5)
            letter = str(await store.move_to_dead_letters(delivery, "ValueError: poison", "Traceback …"))
        yield api.url, token, letter


def use(monkeypatch: pytest.MonkeyPatch, target: str, url: str, address: str, token: str) -> None:
    """Sets the environment of the program."""
    if target == "store":
        monkeypatch.setenv("UNSPOOL_STORE", url)
    else:
        monkeypatch.setenv("UNSPOOL_API", address)
        monkeypatch.setenv("UNSPOOL_TOKEN", token)


def lines(ran: Result) -> list[Any]:
    """The JSON objects of a list."""
    assert ran.code == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_workflows(program: Unspool) -> None:
    assert program("deploy", "greet.yaml").stdout == "shop/greet:1.0.0  deployed\n"
    assert program("deploy", "greet.yaml").stdout == "shop/greet:1.0.0  unchanged\n"
    program("deploy", "nap.yaml", "report.yaml")
    assert [item["name"] for item in lines(program("workflows", "list", "--json"))] == [
        "greet",
        "nap",
        "report",
    ]
    assert program("workflows", "show", "shop/greet").stdout == GREET
    unknown = program("workflows", "show", "shop/gret")
    assert (unknown.code, "did you mean 'shop/greet'?" in unknown.stderr) == (2, True)
    other = program("start", "shop/greet:2.0.0")
    assert (other.code, "there are the versions 1.0.0" in other.stderr) == (2, True)
    assert program("graph", "shop/greet", "--mermaid").stdout.startswith("flowchart")
    assert lines(program("functions", "list", "--json")) == []


def test_executions(program: Unspool) -> None:
    program("deploy", "greet.yaml", "refuse.yaml", "nap.yaml", "parent.yaml")
    start = ("start", "shop/greet", "--input", '{"name": "Ada"}', "--id", "it", "--tag", "team=a")
    assert program(*start) == Result(0, "it\n", "")
    again = program(*start, "--wait")
    assert (again.code, again.json) == (0, {"greeting": "Hello Ada"})
    assert "execution it exists already; it was not started again" in again.stderr
    conflict = program("start", "shop/greet", "--id", "it")
    assert (conflict.code, "belongs to an execution with another input" in conflict.stderr) == (2, True)
    faulted = program("start", "shop/refuse", "--id", "no", "--wait")
    assert (faulted.code, json.loads(faulted.stderr)["status"]) == (1, 409)
    assert program("executions", "retry", "no", *PATIENT).code == 0

    [listed] = lines(program("executions", "list", "--tag", "team:a", "--json"))
    assert (listed["id"], listed["output"]) == ("it", {"greeting": "Hello Ada"})
    table = program("executions", "list", "--id", "i*").stdout.splitlines()
    assert re.fullmatch(r"it +completed +shop/greet:1.0.0 +\S+Z +[0-9.]+ s", table[1])
    assert program("executions", "counts", "--json").json["executions"]["completed"] == 1
    assert "completed" in program("graph", "--execution", "it", "--ascii").stdout

    assert program("start", "shop/parent", "--id", "p", "--wait").code == 0
    tree = lines(program("history", "p", "--tree", "--json"))
    assert {event["execution"] for event in tree} > {"p"}
    [child] = program("executions", "show", "p", "--json").json["children"]
    assert child in program("executions", "show", "p").stdout
    assert [event["seq"] for event in lines(program("history", child, "--json"))][:2] == [1, 2]


def test_operations(program: Unspool) -> None:
    program("deploy", "nap.yaml")
    late = program("start", "shop/nap", "--id", "nap", "--wait", "--timeout", "0.5")
    assert late == Result(4, "", "unspool: execution nap continues\n")
    await_condition(lambda: "waits until" in program("executions", "why", "nap").stdout)
    shown = program("executions", "show", "nap", "--json").json
    assert [each["kind"] for each in shown["waiting"]] == ["timer"]
    assert program("executions", "suspend", "nap", *PATIENT).stdout == "execution nap is suspended\n"
    assert program("executions", "suspend", "nap").code == 2
    resumed = program("executions", "resume", "nap", "--json", *PATIENT)
    assert (resumed.code, json.loads(resumed.stdout)["id"]) == (0, "nap")
    asked = program("executions", "cancel", "nap", "--no-wait", "--reason", "a test")
    assert (asked.code, asked.stderr) == (0, "asked execution nap to cancel\n")
    assert program("start", "shop/nap", "--id", "nap", "--wait").code == 3
    assert lines(program("history", "nap", "--json"))[-1]["data"]["reason"] == "a test"
    for arguments in (("executions", "show"), ("history",), ("executions", "why"), ("executions", "cancel")):
        missing = program(*arguments, "no")
        assert missing == Result(2, "", "unspool: there is no execution no\n")
        assert program(*arguments, "../x").code == 2


def test_events_and_schedules(program: Unspool) -> None:
    program("deploy", "hear.yaml", "report.yaml")
    program("start", "shop/hear", "--id", "hears")
    deadline = time.monotonic() + 60
    while "event" not in program("executions", "why", "hears").stdout:
        assert time.monotonic() < deadline
    published = program("events", "publish", "paid.json", "--json")
    assert json.loads(published.stdout) == {"accepted": 1, "duplicates": 0}
    again = program("events", "publish", "paid.json", "--json")
    assert json.loads(again.stdout) == {"accepted": 1, "duplicates": 1}
    heard = program("start", "shop/hear", "--id", "hears", "--wait")
    assert (heard.code, heard.json) == (0, [{"order": "A-1"}])

    [schedule] = lines(program("schedules", "list", "--json"))
    assert (schedule["id"], schedule["paused"]) == ("shop.report", False)
    paused = program("schedules", "pause", "shop.report", *PATIENT)
    assert paused == Result(0, "schedule shop.report is paused\n", "")
    assert "paused" in program("schedules", "list").stdout
    assert program("schedules", "resume", "shop.report", "--json", *PATIENT).json["next"]
    missing = program("schedules", "pause", "shop.none")
    assert missing == Result(2, "", "unspool: there is no schedule shop.none\n")
    assert program("schedules", "pause", "none").code == 2


def test_keys_and_services(program: Unspool) -> None:
    made = program("keys", "create", "--name", "ci", "--scope", "read", "--expires", "1h", "--json")
    key = json.loads(made.stdout)
    assert (key["name"], key["tenant"], key["scopes"]) == ("ci", "default", ["read"])
    assert key["key"].startswith("usk_")
    listed = program("keys", "list", "--json")
    assert key["id"] in [item["id"] for item in lines(listed)]
    assert key["key"] not in listed.stdout
    assert program("keys", "revoke", key["id"]).code == 0
    assert program("keys", "revoke", key["id"]).code == 2

    def services() -> set[str]:
        return {service["service"] for service in program("services", "--json").json["items"]}

    await_condition(lambda: "worker" in services())
    assert "inbox" in program("services").stdout


def test_dead_letters(
    target: str, home: Path, jq: JqPool, monkeypatch: pytest.MonkeyPatch, unspool: Unspool
) -> None:
    url = f"sqlite:///{home}/poison.db"
    with in_a_thread(prepared(url, jq, works=False)) as (address, token, letter):
        use(monkeypatch, target, url, address, token)
        [listed] = unspool("dlq", "list", "--json").lines
        assert (listed["id"], listed["execution"], listed["error"]) == (letter, "one", "ValueError: poison")
        assert unspool("dlq", "list", "--execution", "other", "--json").lines == []
        assert "Traceback …" in unspool("dlq", "show", letter).stdout
        assert unspool("dlq", "show", letter, "--json").json["body"]["execution"] == "one"
        assert "poison" in unspool("executions", "show", "one").stdout
        stuck = unspool("start", "shop/greet", "--id", "one", "--wait")
        assert (stuck.code, "is stuck: ValueError: poison" in stuck.stderr) == (4, True)
        late = unspool("executions", "cancel", "one", "--timeout", "0.1")
        assert (late.code, "it is stuck: ValueError: poison" in late.stderr) == (4, True)
        assert unspool("dlq", "requeue", letter).code == 0
        for name in ("show", "requeue", "discard"):
            missing = unspool("dlq", name, letter)
            assert (missing.code, "there is no dead letter" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "it"),
        ("history", "it", "--export", "x.jsonl"),
        ("schedules", "history", "shop.report"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_what_needs_a_store_says_so(arguments, unspool, home, monkeypatch):
    refused = unspool(*arguments, "--api", "http://127.0.0.1:1")
    assert (refused.code, "needs a store" in refused.stderr) == (2, True)
    monkeypatch.setenv("UNSPOOL_API", "http://127.0.0.1:1")
    assert "needs a store" in unspool(*arguments).stderr


def test_an_option_comes_before_the_environment(unspool, home, monkeypatch):
    store = f"sqlite:///{home}/here.db"
    nowhere = "http://127.0.0.1:1"
    monkeypatch.setenv("UNSPOOL_API", nowhere)
    assert unspool("workflows", "list", "--json", "--store", store).code == 0
    assert unspool("workflows", "list").code == 5
    monkeypatch.setenv("UNSPOOL_STORE", store)
    assert unspool("workflows", "list").code == 5
    assert unspool("replay", "it", "--store", store).code == 2
    monkeypatch.delenv("UNSPOOL_API")
    assert unspool("workflows", "list", "--api", nowhere).code == 5
    assert unspool("workflows", "list", "--api", nowhere, "--store", store).code == 2
    assert unspool("run", "greet.yaml", "--input", '{"name": "Ada"}').code == 0
