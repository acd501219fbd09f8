"""JSON schemas of the OpenAPI document as short texts: `array of [Event](#event)`."""

from collections.abc import Iterator
from typing import Any, Final

from docs.tooling.markdown import code

_SCHEMAS: Final = "#/components/schemas/"


def type_of(schema: dict[str, Any]) -> str:
    """Returns the type in a few words of Markdown."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(_written(value)) for value in schema["enum"])
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(map(type_of, alternatives))
    if "allOf" in schema:
        return " with ".join(map(type_of, schema["allOf"]))
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "any JSON value")
    if kinds == "array":
        return f"array of {type_of(schema['items'])}"
    if schema.get("properties"):
        return "object with " + ", ".join(_members(schema["properties"]))
    names = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(names) + _format(schema) + _bounds(schema)


def _members(properties: dict[str, Any]) -> Iterator[str]:
    for name, schema in properties.items():
        yield f"{code(name)} ({type_of(schema)})"


def _format(schema: dict[str, Any]) -> str:
    return {"date-time": ", a time (RFC 3339)"}.get(schema.get("format", ""), "")


def _bounds(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f", {least} or more"
        case _:
            return f", {least} to {most}"


def _written(value: Any) -> str:
    return {None: "null", "": '""'}.get(value, str(value))
