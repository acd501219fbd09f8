"""The handler of `call: asyncapi`: publishes a message at a broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from unspool.definitions import errors
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.asyncapi.document import AsyncApiDocument, parse_document, refuse
from unspool.executor.asyncapi.failures import broker_failure
from unspool.executor.asyncapi.messages import outbound
from unspool.executor.asyncapi.target import Target, find_target
from unspool.executor.brokers.port import Broker, BrokerError
from unspool.executor.brokers.protocols import PROTOCOLS, ExtraMissing, connector
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.task_context import TaskContext


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["AsyncApiCall"]:
    """Opens the handler."""
    yield AsyncApiCall(services)


class AsyncApiCall:
    """Runs `call: asyncapi` tasks (inventory J15-J18)."""

    def __init__(self, services: HandlerServices) -> None:
        self._services = services
        self._documents = ParsedDocuments(parse_document)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            sha256 = request.arguments[DOCUMENTS]["document"]["sha256"]
            document = await self._documents.get(context, sha256)
            target = await asyncio.to_thread(find_target, document, request.arguments)
            await self._publish(request, document, target)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return Completed(None)

    async def _publish(self, request: TaskRequest, document: AsyncApiDocument, target: Target) -> None:
        message = outbound(document, target.described, request.arguments["message"], request.idempotency_key)
        seconds = self._services.settings.broker_timeout_seconds
        try:
            async with asyncio.timeout(seconds), self._connected(target) as broker:
                await broker.publish(target.channel, message)
        except TimeoutError:
            detail = f"{target.server.label} did not take the message within {seconds:g} s"
            raise Rejected(errors.timeout(detail)) from None
        except (BrokerError, OSError) as error:
            raise Rejected(broker_failure(target.server, error)) from None

    @asynccontextmanager
    async def _connected(self, target: Target) -> AsyncIterator[Broker]:
        try:
            connect = await asyncio.to_thread(connector, PROTOCOLS[target.server.protocol])
        except ExtraMissing as error:
            raise refuse(str(error)) from None
        async with connect(target.server, self._services.outbound) as broker:
            yield broker
