"""docs/reference/api.md, from the OpenAPI document."""

from collections.abc import Iterator
from typing import Any, Final

from docs.tooling.json_types import type_of
from docs.tooling.markdown import code, page, table, text

from unspool.api.access import ACCESS, Access
from unspool.api.openapi import METHODS, document

_INTRODUCTION: Final = """\
A running API describes itself in the same way: `/api/openapi.json` is the OpenAPI document from which this
page is made, and each call can be tried at `/api/docs`. [The HTTP API](../api.md) explains how the calls
are used together. Requests that fail are answered with a [Problem](#problem);
[errors](errors.md#problems-of-the-http-api) says what each status means. Calls below `/api/v1` also have
the header `X-Tenant`, with the tenant; the default is `default`."""

Json = dict[str, Any]


def api_page() -> str:
    """Returns the page."""
    return page("HTTP API routes", _INTRODUCTION, _body(document(authentication=True)))


def _body(api: Json) -> Iterator[str]:
    for tag in api["tags"]:
        yield from (f"## {tag['name'].capitalize()}", "", text(tag["description"]) + ".", "")
        for path, item in api["paths"].items():
            for method in METHODS:
                if method in item and tag["name"] in item[method]["tags"]:
                    yield from _operation(api, path, method, item)
    yield from ("## Objects", "")
    for name, schema in api["components"]["schemas"].items():
        yield from _object(name, schema)


def _operation(api: Json, path: str, method: str, item: Json) -> Iterator[str]:
    operation = item[method]
    yield from (f"### {method.upper()} {path}", "")
    sentences = (operation["summary"], operation.get("description", "").rstrip("."), _access(path, method))
    yield from (". ".join(text(each) for each in sentences if each) + ".", "")
    declared = (*item.get("parameters", ()), *operation.get("parameters", ()))
    parameters = [_resolved(api, each) for each in declared]
    shown = [each for each in parameters if each["name"] != "X-Tenant"]
    if shown:
        yield from table(("parameter", "in", "type", "meaning"), map(_parameter, shown))
        yield ""
    yield from _request(operation)
    yield from _answers(api, operation)


def _access(path: str, method: str) -> str:
    access: Access = ACCESS[path][method.upper()]
    if access.public:
        return "No credential is needed"
    if access.scope is None:
        return "Any credential is enough"
    return f"Scope: `{access.scope.value}`" + (", of all tenants" if access.whole_store else "")


def _resolved(api: Json, value: Json) -> Json:
    """Returns what a reference inside the document leads to."""
    while "$ref" in value:
        found: Any = api
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def _parameter(parameter: Json) -> tuple[str, str, str, str]:
    schema, meaning = parameter["schema"], text(parameter.get("description", ""))
    if "default" in schema and "default" not in meaning:
        meaning += f"{'; ' if meaning else ''}default: {code(str(schema['default']))}"
    return code(parameter["name"]), parameter["in"], type_of(schema), meaning


def _request(operation: Json) -> Iterator[str]:
    body = operation.get("requestBody")
    if body is None:
        return
    contents = body["content"].items()
    yield from table(
        ("body", "content"), ((code(media), _body_type(each["schema"])) for media, each in contents)
    )
    yield ""
    for _, content in contents:
        yield from _members(content["schema"])


def _body_type(schema: Json) -> str:
    return "object with the members below" if "properties" in schema else type_of(schema)


def _answers(api: Json, operation: Json) -> Iterator[str]:
    """Yields the answers; problems that only a rule adds are one line."""
    described = {status: _resolved(api, answer) for status, answer in operation["responses"].items()}
    common = [
        status for status, answer in operation["responses"].items() if "Problem" in answer.get("$ref", "")
    ]
    rows = (
        (status, text(each["description"]), _content(each))
        for status, each in described.items()
        if status not in common
    )
    yield from table(("answer", "meaning", "content"), rows)
    yield from ("", "Problems: " + (", ".join(common) or "none") + ".", "")


def _content(answer: Json) -> str:
    return ", ".join(
        type_of(each["schema"]) if media == "application/json" else code(media)
        for media, each in answer.get("content", {}).items()
    )


def _object(name: str, schema: Json) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in schema:
        yield from (text(schema["description"]) + ".", "")
    members = list(_members(schema))
    yield from members or (_scalar(schema), "")


def _scalar(schema: Json) -> str:
    matches = f", matches {code(schema['pattern'])}" if "pattern" in schema else ""
    return type_of(schema) + matches


def _members(schema: Json) -> Iterator[str]:
    """Yields a table with the members of an object; nothing for another type."""
    properties = {
        name: each
        for part in schema.get("allOf", (schema,))
        for name, each in part.get("properties", {}).items()
    }
    required = schema.get("required", ())
    references = [part for part in schema.get("allOf", ()) if "$ref" in part]
    if references:
        yield from ("The members of " + ", ".join(map(type_of, references)) + ", and:", "")
    if properties:
        rows = (
            (code(name), type_of(each), "yes" if name in required else "", text(each.get("description", "")))
            for name, each in properties.items()
        )
        yield from table(("member", "type", "required", "meaning"), rows)
        yield ""
