"""Histories over HTTP: lists, streams and states."""

import asyncio
import json
import time

import pytest

from unspool.api.events import PAGE
from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.records import Message, MessageKind, Status
from unspool.worker.interpreter import State, decide


@pytest.fixture(autouse=True)
async def _begun(api, greet):
    await api.deploy(greet)
    await api.start(id="it", input={"name": "Ada"})
    await api.begin("it")


class Stream:
    """A parser of Server-Sent Events, according to the standard."""

    def __init__(self, response) -> None:
        self._lines = response.content
        self.comments = 0

    async def next(self):
        """Returns id and data of the next event; None at the end of the stream."""
        id_ = data = None
        async for raw in self._lines:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("id: "):
                id_ = line.removeprefix("id: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
            elif not line and data is not None:
                return id_, data
        return None

    async def rest(self):
        """Returns the remaining events."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


def streamed(api, id_="it", **headers):
    return api.session.get(f"{api.url}/api/v1/executions/{id_}/events/stream", headers=headers)


async def test_the_history_is_listed_in_order(api):
    await api.move("it", Status.COMPLETED)
    answer = await api.get("/executions/it/events")
    assert answer["next"] is None
    first, last = answer["items"]
    assert first.keys() == {"seq", "type", "time", "task", "run", "data"}
    assert (first["seq"], first["type"], first["data"]) == (1, "workflow.started", {"input": {"name": "Ada"}})
    assert (last["seq"], last["type"]) == (2, "workflow.completed")
    assert (await api.get("/executions/it/events?after=1"))["items"] == [last]
    assert (await api.get("/executions/it/events?after=2"))["items"] == []


async def test_a_long_history_is_listed_completely(api):
    for _ in range(3):
        await api.commit("it", Status.RUNNING, *[("task.created", {"parent": "0"})] * (PAGE - 100))
    items = (await api.get("/executions/it/events"))["items"]
    assert [item["seq"] for item in items] == list(range(1, 3 * (PAGE - 100) + 2))


async def test_an_invalid_after_is_rejected(api):
    for after in ["-1", "x", "1.5", "%D9%A3", "9" * 30]:
        await api.get(f"/executions/it/events?after={after}", 422)


async def test_a_pending_execution_has_no_events(api):
    await api.start(id="new")
    assert (await api.get("/executions/new/events"))["items"] == []


async def test_events_are_streamed_when_committed(api):
    async with streamed(api) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        stream = Stream(response)
        id_, event = await stream.next()
        assert (id_, event) == ("1", (await api.get("/executions/it/events"))["items"][0])
        began = time.monotonic()
        await api.move("it", Status.WAITING)
        assert (await stream.next())[0] == "2"
        assert time.monotonic() - began < 20
        await api.commit("it", Status.COMPLETED, ("task.created", {}), ("workflow.completed", {"output": 1}))
        assert [id_ for id_, _ in await stream.rest()] == ["3", "4"]


async def test_a_stream_is_resumed_after_the_last_event_seen(api):
    await api.move("it", Status.WAITING)
    await api.move("it", Status.COMPLETED)
    async with streamed(api, **{"Last-Event-ID": "1"}) as response:
        assert [id_ for id_, _ in await Stream(response).rest()] == ["2", "3"]


async def test_an_ended_stream_without_further_events_answers_204(api):
    await api.move("it", Status.COMPLETED)
    async with streamed(api, **{"Last-Event-ID": "2"}) as response:
        assert response.status == 204


async def test_an_invalid_last_event_id_is_rejected(api):
    for last in ["x", "-1", "1.5", "9" * 13]:
        await api.get("/executions/it/events/stream", 400, headers={"Last-Event-ID": last})


async def test_an_idle_stream_sends_heartbeats(api):
    async with streamed(api) as response:
        stream = Stream(response)
        await stream.next()
        reading = asyncio.create_task(stream.next())
        await api.eventually(lambda: stream.comments >= 4, "heartbeats")
        await api.move("it", Status.COMPLETED)
        assert (await reading)[0] == "2"


async def test_a_client_that_disconnects_ends_the_stream(api):
    async with streamed(api) as response:
        await Stream(response).next()
        assert api.in_progress == 1
        response.close()
    await api.eventually(lambda: api.in_progress == 0, "the stream to end")


async def test_stopping_ends_streams(api):
    async with streamed(api) as response:
        stream = Stream(response)
        await stream.next()
        api.stop.set()
        assert await stream.next() is None
    await asyncio.wait_for(api.serving, 20)


async def test_a_head_request_for_a_stream_ends_at_once(api):
    response, _ = await api.call("HEAD", "/executions/it/events/stream", 200)
    assert response.content_type == "text/event-stream"


async def test_the_state_as_of_any_event(api, greet):
    await api.start(id="real", input={"name": "Ada"})
    start = Message(MessageKind.START, "real", {"input": {"name": "Ada"}})
    decision = decide(compile_plan(load(greet).value, None), State("real"), start, SystemClock().now())
    await api.commit(
        "real",
        Status.COMPLETED,
        *((event.type, event.data, event.task, event.run) for event in decision.events),
    )

    types = [event["type"] for event in (await api.get("/executions/real/events"))["items"]]
    states = [await api.get(f"/executions/real/state?at={n}") for n in range(len(types) + 1)]
    assert [state["version"] for state in states] == list(range(len(types) + 1))
    assert states[0]["status"] == "pending"
    [running] = states[types.index("task.started") + 1]["running"]
    assert running["task"] == "/do/0/hello"
    assert (states[-1]["status"], states[-1]["output"]) == ("completed", {"greeting": "Hello Ada"})
    assert await api.get("/executions/real/state") == states[-1]


async def test_the_state_as_of_an_unknown_event_is_rejected(api):
    for at in ["3", "-1", "x"]:
        assert "at" in (await api.get(f"/executions/it/state?at={at}", 422))["detail"]
