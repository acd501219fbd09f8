"""Diagrams of definitions."""

from base64 import b64encode
from hashlib import sha256
from xml.etree import ElementTree

from unspool.eventstore.records import Status

SVG = "{http://www.w3.org/2000/svg}"


async def test_a_definition_is_drawn(api):
    await api.deploy()
    response, text = await api.call("GET", "/workflows/shop/greet/latest/diagram", 200)
    assert response.content_type == "image/svg+xml"
    root = ElementTree.fromstring(text)
    assert [element.get("data-pointer") for element in root.iter() if element.get("data-pointer")] == [
        "/do/0/hello"
    ]
    style = root.findtext(f"{SVG}style")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["Content-Security-Policy"]


async def test_a_page_has_the_style_once(api):
    await api.deploy()
    drawn = await api.get("/workflows/shop/greet/1.0.0/diagram?style=page")
    assert "<style" not in drawn
    response, style = await api.call("GET", "//api/diagram.css", 200)
    assert response.content_type == "text/css"
    assert ".unspool-diagram" in style
    await api.get("/workflows/shop/greet/1.0.0/diagram?style=other", 422)


async def test_a_diagram_of_no_definition_is_not_found(api):
    await api.deploy()
    await api.get("/workflows/shop/greet/2.0.0/diagram", 404)
    await api.get("/workflows/shop/greet/1.0.0/diagram", 404, headers={"X-Tenant": "other"})


def states_in(text: str) -> dict[str, str]:
    """The states that a diagram shows, by pointer."""
    shown = {}
    for element in ElementTree.fromstring(text).iter():
        if pointer := element.get("data-pointer"):
            [state] = [name for name in element.get("class").split() if name.startswith("is-")]
            shown[pointer] = state.removeprefix("is-")
    return shown


async def test_an_execution_is_drawn_as_of_an_event(api):
    await api.deploy()
    id_ = (await api.start(input={"name": "Ada"}))["id"]
    assert states_in(await api.get(f"/executions/{id_}/diagram")) == {"/do/0/hello": "pending"}
    place = "/do/0/hello", "1"
    await api.commit(
        id_,
        Status.RUNNING,
        ("workflow.started", {"input": {}}),
        ("task.created", {"parent": "0"}, *place),
        ("task.started", {}, *place),
    )
    assert states_in(await api.get(f"/executions/{id_}/diagram")) == {"/do/0/hello": "running"}
    assert states_in(await api.get(f"/executions/{id_}/diagram?at=2")) == {"/do/0/hello": "pending"}
    assert "<style" not in await api.get(f"/executions/{id_}/diagram?style=page&at=1")
    await api.get(f"/executions/{id_}/diagram?at=4", 422)

    timeline = await api.get(f"/executions/{id_}/timeline")
    [bar] = timeline.pop("items")
    time = timeline["time"]
    expected = {"execution": id_, "at": 3, "time": time, "status": "waiting", "start": time, "end": None}
    assert timeline == {**expected, "next": None}
    assert bar == {
        "task": "/do/0/hello",
        "run": "1",
        "name": "hello",
        "kind": "set",
        "status": "running",
        "start": time,
        "end": None,
        "until": None,
        "attempts": [{"start": time, "end": None, "error": None}],
        "lane": 0,
        "depth": 0,
        "parent": "0",
        "children": 0,
        "execution": None,
    }
    assert (await api.get(f"/executions/{id_}/timeline?at=1"))["items"] == []
    await api.get(f"/executions/{id_}/timeline?limit=0", 422)


async def test_a_diagram_of_no_execution_is_not_found(api):
    await api.get("/executions/none/diagram", 404)
    await api.get("/executions/none/timeline", 404)
