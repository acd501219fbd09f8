"""The handler of the kind `a2a`: sends one request of JSON-RPC to an agent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp

from unspool.definitions.errors import timeout
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.call_a2a import CARD, SERVER
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.a2a.answer import error_in, result_of, streamed
from unspool.executor.a2a.card import AgentCard, AgentInterface, read_card
from unspool.executor.a2a.message import STREAMING, rpc_request
from unspool.executor.documents.text import UnusableDocument, read_document, unusable
from unspool.executor.http.client import CONNECTION_ERRORS, HttpClient, is_success
from unspool.executor.http.failures import connection_error, status_error
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.request import prepare as http_request
from unspool.executor.http.target import exact_url
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.task_context import TaskContext

_EVENTS: Final = "text/event-stream"


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["A2aCalls"]:
    """Opens the handler."""
    yield A2aCalls(services)


class A2aCalls:
    """Runs `call: a2a` tasks (inventory J22)."""

    def __init__(self, services: HandlerServices) -> None:
        self._settings = services.settings
        self._client = HttpClient(services.outbound, services.settings.http_max_response_bytes)
        self._credentials_of = services.authentication.credentials
        self._cards: ParsedDocuments[Json] = ParsedDocuments(read_document)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        seconds = self._settings.http_timeout_seconds
        try:
            prepared = await self._prepared(request, context)
            try:
                async with asyncio.timeout(seconds):
                    return Completed(await self._answer(request, prepared, context))
            except TimeoutError:
                method = request.arguments["method"]
                return Faulted(timeout(f"{prepared.label}: {method} took longer than {seconds:g} s"))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def _prepared(self, request: TaskRequest, context: TaskContext) -> HttpRequest:
        """The HTTP request of a task. Raises `Rejected`."""
        if CARD not in request.arguments.get(DOCUMENTS, {}):
            interface = AgentInterface("", modern=False)
            return self._http(request, interface, {"endpoint": request.arguments[SERVER]})
        named = request.arguments[DOCUMENTS][CARD]
        try:
            card = read_card(await self._cards.get(context, named["sha256"]), named["uri"])
        except UnusableDocument as problem:
            raise unusable("agent card", named["uri"], problem) from None
        policy = _policy(request.arguments.get("authentication"), card, named["uri"])
        return self._http(request, card.interface, _addressed(card, policy))

    def _http(
        self, request: TaskRequest, interface: AgentInterface, addressed: dict[str, Json]
    ) -> HttpRequest:
        headers = {
            **addressed.get("headers", {}),
            "Accept": f"application/json, {_EVENTS}",
            "Content-Type": "application/json",
            "A2A-Version": "1.0" if interface.modern else "0.3",
        }
        arguments = {
            **addressed,
            "method": "POST",
            "headers": headers,
            "body": rpc_request(request, modern=interface.modern),
        }
        return http_request(request._replace(arguments=arguments), self._credentials_of)

    async def _answer(self, request: TaskRequest, sent: HttpRequest, context: TaskContext) -> Json:
        """The result of a method; of a stream, all its results."""
        streaming = request.arguments["method"] in STREAMING
        try:
            async with self._client.opened(sent) as response:
                if not is_success(response.status, redirect=False):
                    whole = await self._client.whole(sent, response)
                    raise Rejected(error_in(sent, whole.body) or status_error(sent, whole))
                if response.content_type == _EVENTS:
                    return await self._results(sent, response, context, streaming=streaming)
                result = result_of(sent, (await self._client.whole(sent, response)).body)
                return [result] if streaming else result
        except CONNECTION_ERRORS as error:
            raise Rejected(connection_error(sent, error)) from None

    async def _results(
        self, sent: HttpRequest, response: aiohttp.ClientResponse, context: TaskContext, *, streaming: bool
    ) -> Json:
        def heard(results: list[Json]) -> None:
            with suppress(ValueError):  # too large for a progress
                context.report({"results": len(results), "last": results[-1]})

        most = self._settings.http_max_response_bytes
        results = await streamed(sent, response, most, heard)
        return results if streaming else results[-1] if results else None


def _policy(policy: Json, card: AgentCard, address: str) -> Json:
    """The policy for the agent; None if it is at another origin than the card, whose credentials they are."""
    with suppress(ValueError):
        if exact_url(card.interface.url).origin() == exact_url(address).origin():
            return policy
    return None


def _addressed(card: AgentCard, policy: Json) -> dict[str, Json]:
    """The address and the credentials of a request: an API key, if that is all that the agent accepts."""
    endpoint: dict[str, Json] = {"uri": card.interface.url}
    if (keyed := card.security.key_for(policy)) is not None:
        key, token = keyed
        return {"endpoint": endpoint, "headers": key.headers(token), "query": key.query(token)}
    return {"endpoint": endpoint if policy is None else {**endpoint, "authentication": policy}}
