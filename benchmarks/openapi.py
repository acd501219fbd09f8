"""`python -m benchmarks.openapi FILE…`: the processor time that calls of OpenAPI operations take.

For each document: to load it from a store (read, check the hash, parse), to read an operation, and to build a
request when both are in memory, which is Unspool's own time for a call. Requests are built for each operation
that accepts made-up values. Nothing is sent.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.task_contexts import TextsInMemory, task_context

from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.egress import AddressScope, EgressPolicy
from unspool.executor.kinds import HandlerServices
from unspool.executor.limits.limits import Limits
from unspool.executor.openapi.call import OpenApiCall
from unspool.executor.openapi.document import parse
from unspool.executor.openapi.operation import Operation, read_operation
from unspool.executor.outbound import opened_outbound
from unspool.executor.outcome import Rejected
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.settings import ExecutorSettings

REPETITIONS = 20


async def measure(file: Path) -> None:
    """Prints the times of one document."""
    texts = TextsInMemory()
    sha256 = await texts.put_text("default", await asyncio.to_thread(file.read_text))
    loads = [await timed_load(texts, sha256) for _ in range(5)]
    document = parse(texts[sha256])
    reads = []
    operations = []
    for operation_id in document.operations:
        started = time.process_time()
        operations.append(read_operation(document, operation_id))
        reads.append(time.process_time() - started)
    calls = []
    async with handler() as calling:
        for operation in operations:
            calls += await timed_calls(calling, texts, sha256, operation)
    print(f"{file.name}: {len(texts[sha256]) / 1e6:.1f} MB, {document.edition}, {len(operations)} operations")
    print(f"  load the document: {shown(loads)}")
    print(f"  read an operation: {shown(reads)}")
    print(f"  build a request:   {shown(calls)}, for {len(calls) // REPETITIONS} operations")


async def timed_load(texts: TextsInMemory, sha256: str) -> float:
    """Seconds to load a document, without those of the store."""
    started = time.process_time()
    parse(await task_context(texts).text(sha256))
    return time.process_time() - started


async def timed_calls(
    calling: OpenApiCall, texts: TextsInMemory, sha256: str, operation: Operation
) -> list[float]:
    """Seconds of each request; none if the operation does not accept made-up values."""
    document: Json = {"uri": "https://example.com/openapi.json", "sha256": sha256}
    arguments: dict[str, Json] = {
        "operationId": operation.id,
        "parameters": made_up(operation),
        "authentication": {"bearer": {"token": "token"}},
        "$documents": {"document": document},
    }
    request = TaskRequest("e", "r", "/do/0/call", "call", arguments)
    times = []
    try:
        await calling.prepared(request, task_context(texts))
        for _ in range(REPETITIONS):
            started = time.process_time()
            await calling.prepared(request, task_context(texts))
            times.append(time.process_time() - started)
    except Rejected:
        return []
    return times


def made_up(operation: Operation) -> dict[str, Json]:
    """Values for all parameters, and an empty object for a body."""
    values: dict[str, Json] = {}
    for parameter in operation.parameters:
        types = parameter.schema.types
        values[parameter.name] = True if "boolean" in types else 1 if types & {"integer", "number"} else "x"
    if operation.body is not None:
        values["body"] = {}
    return values


@asynccontextmanager
async def handler() -> AsyncIterator[OpenApiCall]:
    settings = ExecutorSettings()
    limits = Limits(settings, None)
    async with opened_outbound(EgressPolicy(AddressScope.PRIVATE, frozenset()), limits, 1) as outbound:
        yield OpenApiCall(HandlerServices(settings, outbound, ProcessGroups(), Authentication(outbound)))


def shown(times: Sequence[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    at: Callable[[float], float] = lambda part: sorted(times)[int(part * (len(times) - 1))] * 1000  # noqa: E731
    median = statistics.median(times) * 1000
    return f"median {median:.3g} ms, 99 % {at(0.99):.3g} ms, at most {at(1):.3g} ms" if times else "none"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.openapi")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for file in parser.parse_args().files:
        asyncio.run(measure(file))


if __name__ == "__main__":
    main()
