"""Request bodies: bounded in size and time, and JSON that means the same to everybody who reads it later.

Refused: `NaN` and `Infinity`, lone surrogates and invalid UTF-8 (the decoder does), integers beyond 64 bits
(they would turn into floats silently) and nesting deeper than `DEEPEST` (no encoder takes it later on).
"""

import asyncio
import json
import re
from typing import Final

import orjson
from starlette.requests import Request

from unspool.api.problems import ProblemError
from unspool.eventstore.events import Json

DEEPEST: Final = 100
"""Levels of nesting in a body."""

_OFF_THE_LOOP: Final = 1 << 16
"""Bytes from which a body is decoded on a thread."""

_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_MANY_DIGITS: Final = re.compile(rb"\d{19}")


def media_type(request: Request) -> str:
    """The media type of the body, without parameters; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, most_bytes: int, seconds: float) -> bytes:
    """The whole body, of at most `most_bytes`, arriving within `seconds`."""
    if int(request.headers.get("content-length", 0)) > most_bytes:
        raise _too_large(most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise ProblemError(408, f"the request body took longer than {seconds:g} seconds") from None
    return bytes(body)


async def read_json(request: Request, most_bytes: int, seconds: float) -> Json:
    """The body as JSON; `{}` if it is empty."""
    kind = media_type(request)
    body = await read_body(request, most_bytes, seconds)
    if not body:
        return {}
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, f"the body is {kind}; send application/json")
    if len(body) < _OFF_THE_LOOP:
        return decode_json(body)
    return await asyncio.to_thread(decode_json, body)


def decode_json(body: bytes) -> Json:
    """A JSON text as a value; what is refused is a `ProblemError` with status 400."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(
            400, f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and _deeper(value, DEEPEST):
        raise ProblemError(400, f"the body is nested deeper than {DEEPEST} levels")
    if _MANY_DIGITS.search(body):
        _check_integers(body)
    return value


def _deeper(value: Json, levels: int) -> bool:
    """Whether a value has more than so many levels; level by level, as recursion has limits of its own."""
    level = [value] if isinstance(value, dict | list) else []
    while level and levels:
        children = (child for node in level for child in (node.values() if isinstance(node, dict) else node))
        level = [child for child in children if isinstance(child, dict | list)]
        levels -= 1
    return bool(level)


def _check_integers(body: bytes) -> None:
    json.loads(body, parse_int=_check_integer)


def _check_integer(digits: str) -> None:
    if len(digits) > 20 or not _SMALLEST <= int(digits) <= _LARGEST:
        raise ProblemError(400, f"the integer {digits[:40]} does not fit 64 bits; send it as a string")


def _too_large(most_bytes: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than {most_bytes} bytes")
