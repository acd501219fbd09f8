"""CloudEvents over HTTP (inventory P9, P10)."""

import asyncio
import json
import re
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def event(id_="1", **attributes):
    return {"specversion": "1.0", "id": id_, "source": "/s", "type": "t", **attributes}


async def published(api):
    return [each.event for each in await api.store.published_events("default")]


@pytest.mark.parametrize("kind", ["application/cloudevents+json; charset=utf-8", "application/json"])
async def test_structured(api, kind):
    body = json.dumps(event(data={"n": 9007199254740993}, priority=3)).encode()
    assert await api.post("/events", 202, data=body, headers={"Content-Type": kind}) == {
        "accepted": 1,
        "duplicates": 0,
    }
    assert await published(api) == [json.loads(body)]


@pytest.mark.parametrize(
    ("kind", "body", "members"),
    [
        ("application/json", b'{"a": 1}', {"data": {"a": 1}}),
        ("application/vnd.x+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("text/plain", "é".encode(), {"data": "é"}),
        ("image/png", b"\x00\x01", {"data_base64": "AAE="}),
        ("application/json", b"", {}),
    ],
)
async def test_binary(api, kind, body, members):
    headers = {f"ce-{name}": text for name, text in event(subject="caf%C3%A9").items()}
    await api.post("/events", 202, data=body, headers={**headers, "Content-Type": kind})
    assert await published(api) == [{**event(subject="café"), "datacontenttype": kind, **members}]


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (r'"a \"b\" \\c"', r'a "b" \c'),
        ('"caf%C3%A9"', "café"),
        ('"%22a%22"', '"a"'),
        ('"a', '"a'),
        ('a"b"', 'a"b"'),
        (r"a\b", r"a\b"),
    ],
)
async def test_a_quoted_header_is_taken_out_of_its_quotes(api, header, subject):
    headers = {f"ce-{name}": text for name, text in event(subject=header).items()}
    await api.post("/events", 202, headers={**headers, "Content-Type": "application/json"})
    assert [each["subject"] for each in await published(api)] == [subject]


@pytest.mark.parametrize("name", ["data", "data_base64"])
async def test_data_is_no_attribute_in_a_header(api, name):
    headers = {f"ce-{name}": text for name, text in event(**{name: "AAE="}).items()}
    answer = await api.post("/events", 422, headers={**headers, "Content-Type": "text/plain"})
    assert f"ce-{name}" in answer["detail"]
    assert await published(api) == []


CONTEXT = f"00-{'a' * 32}-{'b' * 16}-01"


async def test_an_event_without_a_trace_context_gets_that_of_the_request(api):
    other = f"00-{'c' * 32}-{'d' * 16}-00"
    events = [event("1"), event("2", traceparent=other)]
    await api.post("/events", 202, json=events, headers={**BATCH, "traceparent": CONTEXT})
    await api.post("/events", 202, json=event("3"), headers={**STRUCTURED, "traceparent": "not one"})
    assert [each.get("traceparent") for each in await published(api)] == [CONTEXT, other, None]


async def test_a_batch_is_published_as_a_whole_or_not_at_all(api):
    events = [event(str(n)) for n in range(3)]
    assert await api.post("/events", 202, json=events, headers=BATCH) == {"accepted": 3, "duplicates": 0}
    bad = [event("7"), {**event("8"), "type": ""}, 5, event("9", Upper=1, time="noon")]
    problem = await api.post("/events", 422, json=bad, headers=BATCH)
    assert problem["detail"] == "event 1: attribute 'type' is missing; none was published"
    assert problem["errors"] == [
        {"pointer": "/1", "message": "attribute 'type' is missing"},
        {"pointer": "/2", "message": "a CloudEvent is a JSON object"},
        {
            "pointer": "/3",
            "message": "'Upper' is not a name of an attribute: use lower-case letters and digits",
        },
        {"pointer": "/3", "message": "attribute 'time' must be a time as in RFC 3339, not 'noon'"},
    ]
    assert await published(api) == events
    assert await api.post("/events", 202, json=[], headers=BATCH) == {"accepted": 0, "duplicates": 0}


async def test_the_same_event_twice_is_published_once(api):
    for duplicates in (0, 1):
        answer = await api.post("/events", 202, json=event(), headers=STRUCTURED)
        assert answer == {"accepted": 1, "duplicates": duplicates}
    assert await published(api) == [event()]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/cloudevents+json", b"{", 400),
        ("application/cloudevents+json", b'{"id": 1e999}', 400),
        ("application/cloudevents-batch+json", b"{}", 422),
        ("application/cloudevents+avro", b"x", 415),
        ("text/plain", b"x", 415),
        ("application/json", b"[]", 422),
    ],
)
async def test_requests_that_hold_no_event(api, kind, body, status):
    await api.post("/events", status, data=body, headers={"Content-Type": kind})
    await api.post("/events", 413, data=b"x" * 100_001, headers={"Content-Type": kind})
    assert await published(api) == []


async def frames(response, count):
    found = []
    while len(found) < count:
        line = (await asyncio.wait_for(response.content.readline(), 60)).decode().strip()
        if line.startswith("id: "):
            data = (await response.content.readline()).decode().removeprefix("data: ")
            found.append((line.removeprefix("id: "), json.loads(data)))
    return found


async def test_the_stream_has_new_events_and_can_be_resumed(api):
    await api.post("/events", 202, json=event("old"))
    address = f"{api.url}/api/v1/events/stream"
    async with api.session.get(address, params={"type": "t", "source": "/s"}) as response:
        assert await response.content.readline() == b": events\n"
        others = [event("u", type="u"), event("v", source="/v")]
        await api.post("/events", 202, json=[*others, event("1"), event("2")], headers=BATCH)
        (first, one), (_, two) = await frames(response, 2)
    assert [one["id"], two["id"]] == ["1", "2"]
    async with api.session.get(address, headers={"Last-Event-ID": first}) as response:
        assert [each["id"] for _, each in await frames(response, 1)] == ["2"]
        published = (await response.content.readline()).decode().strip().removeprefix("published: ")
    assert abs(datetime.fromisoformat(published) - datetime.now(UTC)) < timedelta(hours=1)
    assert (await api.get(f"/events/{first}"))["publishedAt"] <= published
    await api.get("/events/stream", 400, headers={"Last-Event-ID": "x"})


async def test_the_stream_of_an_empty_bus_has_all_new_events(api):
    async with api.session.get(f"{api.url}/api/v1/events/stream") as response:
        assert await response.content.readline() == b": events\n"
        await api.post("/events", 202, json=[event("1"), event("2"), event("3")], headers=BATCH)
        assert [each["id"] for _, each in await frames(response, 3)] == ["1", "2", "3"]


async def test_the_stream_sends_events_of_any_size_and_keeps_few_in_memory(api):
    """A client that reads slowly makes the API keep what it has read from the store."""
    names = [f"{kind}-{n}" for kind in ("small", "large") for n in range(40)]
    for name in names:
        await api.store.publish("default", [event(name, data="x" * (1_000_000 if "large" in name else 1))])
    [first, *_] = await api.store.published_events("default", limit=80)
    address, text = f"{api.url}/api/v1/events/stream", b""
    tracemalloc.start()
    try:
        async with api.session.get(address, headers={"Last-Event-ID": first.position}) as response:
            while text.count(b'"large-39"') == 0:
                text = (text + await asyncio.wait_for(response.content.readany(), 20)).replace(b"x", b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert re.findall(r'"id":"(\S+?)"', text.decode()) == names[1:]
    assert peak < 60_000_000


async def test_tenants_have_their_own_events(api):
    await api.post("/events", 202, json=event("1"), headers={"X-Tenant": "other"})
    assert await published(api) == []
