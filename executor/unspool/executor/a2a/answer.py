"""Reads answers of JSON-RPC: one in a body, or many in a stream of events."""

from collections.abc import Callable
from typing import Final

import aiohttp
import orjson

from unspool.definitions.errors import WorkflowError, runtime
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.executor.a2a.message import REQUEST_ID
from unspool.executor.http.failures import call_error
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.server_sent_events import ServerSentEvents
from unspool.executor.masking import masked
from unspool.executor.outcome import Rejected

MOST_RESULTS: Final = 10_000
"""Results of one stream."""

_MOST_CHARACTERS: Final = 500
"""How many characters of an agent's error go into an error."""

Heard = Callable[[list[Json]], None]


def result_of(request: HttpRequest, text: bytes | str) -> Json:
    """The result in an answer.

    Raises:
        Rejected: it is an error of JSON-RPC (`runtime`), or no answer to the request (`communication`).
    """
    answer = _loaded(request, text)
    if (error := answer.get("error")) is not None:
        raise Rejected(_rpc_error(request, error))
    if str(answer.get("id")) != str(REQUEST_ID):
        raise Rejected(_unreadable(request, "its response is the answer to another request"))
    return answer.get("result")  # agents leave it out if it is null


def error_in(request: HttpRequest, body: bytes) -> WorkflowError | None:
    """The error of JSON-RPC in the body of a response without success; None if there is none."""
    try:
        error = _loaded(request, body).get("error")
    except Rejected:
        return None
    return _rpc_error(request, error) if isinstance(error, dict) and "code" in error else None


async def streamed(
    request: HttpRequest, response: aiohttp.ClientResponse, most_bytes: int, heard: Heard
) -> list[Json]:
    """The results in a stream of events, in order.

    Args:
        request: of the stream.
        response: with the stream.
        most_bytes: of the stream.
        heard: gets the results after each new one.

    Raises:
        Rejected: the stream is too large, or has something else than results.
        aiohttp.ClientError, OSError: it breaks off.
    """
    events, results, size = ServerSentEvents(), list[Json](), 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most_bytes:
            raise Rejected(_too_large(request, f"{most_bytes} bytes"))
        for event in events.read(chunk):
            if event.data:
                results.append(result_of(request, event.data))
                heard(results)
                if len(results) > MOST_RESULTS:
                    raise Rejected(_too_large(request, f"{MOST_RESULTS} results"))
                if _is_last(results[-1]):
                    return results
    return results


def _is_last(result: Json) -> bool:
    """Whether nothing follows: A2A 0.3 marks the last update of a task."""
    return isinstance(result, dict) and result.get("kind") == "status-update" and result.get("final") is True


def _loaded(request: HttpRequest, text: bytes | str) -> dict[str, Json]:
    body = text.encode() if isinstance(text, str) else text
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Rejected(_unreadable(request, "its response is not valid JSON")) from None
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0" or strict_json.too_deep(body, value):
        raise Rejected(_unreadable(request, "its response is not an answer of JSON-RPC"))
    return value


def _rpc_error(request: HttpRequest, error: Json) -> WorkflowError:
    """The error that an agent answers (inventory V15)."""
    members = error if isinstance(error, dict) else {}
    message = masked(str(members.get("message", "no message")), request.secrets)[:_MOST_CHARACTERS]
    return runtime(f"{request.label}: {message} (code {members.get('code')})", title="A2A error")


def _unreadable(request: HttpRequest, cause: str) -> WorkflowError:
    return call_error(request, cause, title="Unreadable response")


def _too_large(request: HttpRequest, most: str) -> WorkflowError:
    return call_error(request, f"its stream is larger than {most}", title="Response too large")
