"""Small OpenAPI documents for tests."""

from typing import Any


def openapi_3(
    path: str, operation: dict[str, Any], method: str = "get", version: str = "3.0.3", **members: Any
) -> dict[str, Any]:
    """A document with one operation, `op`."""
    return {
        "openapi": version,
        "info": {"title": "t", "version": "1"},
        "paths": {path: {method: {"operationId": "op", "responses": {}, **operation}}},
        **members,
    }


def swagger_2(path: str, operation: dict[str, Any], method: str = "get", **members: Any) -> dict[str, Any]:
    """A document with one operation, `op`."""
    document = openapi_3(path, operation, method, **members)
    del document["openapi"]
    return {"swagger": "2.0", **document}


def parameter(name: str, place: str, schema: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A parameter of OpenAPI 3."""
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": schema or {}, **required, **members}
