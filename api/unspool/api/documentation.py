"""The API's own description: an OpenAPI document, and an HTML page that loads nothing else."""

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

import yaml
from starlette.responses import HTMLResponse, Response

from unspool.api.calls import Call, json_response
from unspool.definitions.json_value import Json

METHODS: Final = ("get", "post", "delete")

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code { font: 0.95em ui-monospace, monospace }
details { border-top: 1px solid #8884; padding: 0.5rem 0 }
summary { cursor: pointer }
b { display: inline-block; min-width: 4.5rem }
dt { margin-top: 0.5rem }
"""

_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)


@cache
def document() -> dict[str, Json]:
    """Loads the OpenAPI document."""
    text = files("unspool.api").joinpath("openapi.yaml").read_text("utf-8")
    loaded: dict[str, Json] = yaml.safe_load(text)
    return loaded


async def openapi(_call: Call) -> Response:
    """Returns the OpenAPI document."""
    return json_response(document())


async def page(_call: Call) -> Response:
    """Returns the OpenAPI document as an HTML page."""
    return HTMLResponse(_page(), headers={"Content-Security-Policy": _POLICY})


@cache
def _page() -> str:
    info = document()["info"]
    operations = "".join(
        _operation(path, method, item)
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    )
    title = escape(f"{info['title']} API {info['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])}</p>"
        f'<p><a href="/api/openapi.json">OpenAPI document</a></p>{operations}</html>'
    )


def _operation(path: str, method: str, item: dict[str, Json]) -> str:
    operation = item[method]
    parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
    terms = [*_parameters(parameters), *_body(operation), *_responses(operation)]
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><dl>{''.join(terms)}</dl></details>"
    )


def _parameters(parameters: list[Json]) -> Iterator[str]:
    for parameter in map(_resolved, parameters):
        where = f"{parameter['name']} ({parameter['in']})"
        yield _term(where, parameter.get("description", ""))


def _body(operation: dict[str, Json]) -> Iterator[str]:
    if "requestBody" in operation:
        yield _term("body", ", ".join(operation["requestBody"]["content"]))


def _responses(operation: dict[str, Json]) -> Iterator[str]:
    for status, response in operation["responses"].items():
        yield _term(f"→ {status}", _resolved(response)["description"])


def _term(name: str, description: str) -> str:
    return f"<dt><code>{escape(name)}</code></dt><dd>{escape(description)}</dd>"


def _resolved(node: dict[str, Json]) -> dict[str, Json]:
    """Returns the node that a reference within the document points to."""
    found: Json = node
    if "$ref" in node:
        found = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return dict(found)
