"""The handler of the kind `openapi`: reads the document, builds the request, sends it as `call: http`."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.definitions.tasks.call_openapi import DOCUMENT
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.documents.text import UnusableDocument, unusable
from unspool.executor.http.call import HttpCall
from unspool.executor.http.request import HttpRequest
from unspool.executor.kinds import HandlerServices
from unspool.executor.openapi.document import ApiDocument, parse
from unspool.executor.openapi.operation import Operation, read_operation
from unspool.executor.openapi.request import prepare
from unspool.executor.outcome import Faulted, Outcome, Rejected
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.task_context import TaskContext

MOST_OPERATIONS: Final = 500
"""Operations that are kept."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["OpenApiCall"]:
    """Opens the handler."""
    yield OpenApiCall(services)


class OpenApiCall:
    """Runs `call: openapi` tasks (inventory J13, J14)."""

    def __init__(self, services: HandlerServices) -> None:
        self._http = HttpCall(services.outbound, services.settings, services.authentication)
        self._credentials_of = services.authentication.credentials
        self._documents: ParsedDocuments[ApiDocument] = ParsedDocuments(parse)
        self._operations: OrderedDict[tuple[str, str, str], Operation] = OrderedDict()

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            prepared = await self.prepared(request, context)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return await self._http.send(prepared)

    async def prepared(self, request: TaskRequest, context: TaskContext) -> HttpRequest:
        """The HTTP request of a task.

        Raises:
            Rejected: the document, the operation or a parameter cannot be used.
        """
        arguments = request.arguments
        named = arguments[DOCUMENTS][DOCUMENT]
        try:
            operation = await self._operation(context, named["sha256"], arguments["operationId"])
            return prepare(operation, named["uri"], arguments, request.idempotency_key, self._credentials_of)
        except UnusableDocument as problem:
            raise unusable("OpenAPI document", named["uri"], problem) from None

    async def _operation(self, context: TaskContext, sha256: str, operation_id: Json) -> Operation:
        """An operation of a document. Raises `UnusableDocument`, and `Rejected` if the id is not text."""
        if not isinstance(operation_id, str):
            raise Rejected(configuration(f"operationId must be text, not {shown(operation_id)}"))
        key = context.tenant, sha256, operation_id
        if (known := self._operations.get(key)) is not None:
            self._operations.move_to_end(key)
            return known
        document = await self._documents.get(context, sha256)
        # On a thread, because the schemas of a large document take some time.
        operation = await asyncio.to_thread(read_operation, document, operation_id)
        self._operations[key] = operation
        if len(self._operations) > MOST_OPERATIONS:
            self._operations.popitem(last=False)
        return operation
