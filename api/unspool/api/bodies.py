"""Request bodies: bounded in size and time, and JSON that means the same to everybody who reads it later."""

import asyncio
from typing import Final

from starlette.requests import Request

from unspool.api.problems import Refused
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json

_OFF_THE_LOOP: Final = 1 << 16
"""Bytes from which a body is decoded on a thread."""


def media_type(request: Request) -> str:
    """The media type of the body, without parameters; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, most_bytes: int, seconds: float) -> bytes:
    """The whole body, of at most `most_bytes`, arriving within `seconds`.

    Raises:
        Refused: 408 or 413, it takes longer or is larger.
    """
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
        raise Refused(408, f"the request body took longer than {seconds:g} seconds") from None
    return bytes(body)


async def read_json(request: Request, most_bytes: int, seconds: float) -> Json:
    """The body as JSON; `{}` if it is empty.

    Raises:
        Refused: 400, 408, 413 or 415, it is no such body.
    """
    kind = media_type(request)
    body = await read_body(request, most_bytes, seconds)
    if not body:
        return {}
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Refused(415, f"the body is {kind}; send application/json")
    if len(body) < _OFF_THE_LOOP:
        return decode_json(body)
    return await asyncio.to_thread(decode_json, body)


def decode_json(body: bytes) -> Json:
    """A JSON text as a value.

    Raises:
        Refused: 400, it is none that can be taken.
    """
    try:
        return strict_json.parse(body)
    except strict_json.BadJson as error:
        raise Refused(400, f"the body {error}") from None


def _too_large(most_bytes: int) -> Refused:
    return Refused(413, f"the body is larger than {most_bytes} bytes")
