"""Request bodies: limited in size and time, and JSON that all later readers understand in the same way."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from starlette.requests import Request

from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json

Decoded = TypeVar("Decoded")

_THREAD_BYTES: Final = 1 << 16
"""Bodies of at least this many bytes are decoded on a thread."""


def media_type(request: Request) -> str:
    """Returns the media type of the body without parameters; empty if the request names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Reads the whole body: at most `max_bytes`, within `seconds`.

    Raises:
        HttpProblem: 408 if the body takes longer, 413 if it is larger, 415 if it is compressed.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        raise HttpProblem(415, f"the body is encoded as {encoding[:80]}; send it without Content-Encoding")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise HttpProblem(408, f"the request body took longer than {seconds:g} seconds") from None
    return bytes(body)


async def read_json(request: Request, max_bytes: int, seconds: float) -> Json:
    """Reads the body as JSON; `{}` if it is empty.

    Raises:
        HttpProblem: 400, 408, 413 or 415, if the body cannot be accepted.
    """
    kind = media_type(request)
    body = await read_body(request, max_bytes, seconds)
    if not body:
        return {}
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise HttpProblem(415, f"the body is {kind}; send application/json")
    return await decoded(body, decode_json)


async def decoded(body: bytes, decode: Callable[[bytes], Decoded]) -> Decoded:
    """Decodes a body; a large one on a thread, so that other requests do not wait."""
    if len(body) < _THREAD_BYTES:
        return decode(body)
    return await asyncio.to_thread(decode, body)


def decode_json(body: bytes) -> Json:
    """Parses a JSON text.

    Raises:
        HttpProblem: 400, if it is not JSON or cannot be stored unchanged.
    """
    try:
        return strict_json.parse(body)
    except strict_json.BadJson as error:
        raise HttpProblem(400, f"the body {error}") from None


def _too_large(max_bytes: int) -> HttpProblem:
    return HttpProblem(413, f"the body is larger than {max_bytes} bytes")
