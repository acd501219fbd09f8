"""Diagrams of definitions."""

from base64 import b64encode
from hashlib import sha256
from xml.etree import ElementTree

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
