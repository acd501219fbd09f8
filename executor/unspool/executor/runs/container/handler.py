"""The handler of `run: container` (dsl-reference.md, "Container Process"; inventory I55-I59)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.definitions import errors
from unspool.eventstore.records import TaskRequest
from unspool.executor.kinds import HandlerServices
from unspool.executor.masking import EnvironmentMask, masked
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.process import ProcessResult
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.process_output import Output, OutputTooLarge
from unspool.executor.runs.container import labels
from unspool.executor.runs.container.address import engine_address
from unspool.executor.runs.container.attachment import Attachment, attached
from unspool.executor.runs.container.engine import Engine, EngineError, EngineUnreachable, opened_engine
from unspool.executor.runs.container.image import available_image
from unspool.executor.runs.container.owner import current_owner
from unspool.executor.runs.container.rules import ContainerRules
from unspool.executor.runs.container.specification import ContainerSpecification, create_request, prepare
from unspool.executor.runs.permission import allowed, not_allowed
from unspool.executor.runs.result import outcome_of
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

log = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 10.0
"""How long output is read after the container has ended."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["ContainerRun"]:
    """Opens the handler."""
    settings = services.settings
    address = engine_address(settings.container_host) if "container" in allowed(settings) else None
    async with contextlib.AsyncExitStack() as stack:
        engine = None if address is None else await stack.enter_async_context(opened_engine(address))
        yield ContainerRun(settings, services.groups, engine)


class ContainerRun:
    """Runs `run: container` tasks."""

    def __init__(self, settings: ExecutorSettings, groups: ProcessGroups, engine: Engine | None) -> None:
        self._settings = settings
        self._groups = groups
        self._engine = engine
        self._allowed = "container" in allowed(settings)
        self._rules = ContainerRules.of(settings)
        self._owner = current_owner()

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs one container. It ends with its task."""
        if not self._allowed:
            return Faulted(not_allowed("container"))
        if self._engine is None:
            return Faulted(
                errors.configuration(
                    "this executor finds neither Docker nor Podman; UNSPOOL_CONTAINER_HOST says where it is"
                )
            )
        try:
            container = prepare(request, self._rules)
        except Rejected as rejected:
            return Faulted(rejected.error)
        try:
            return await self._run(self._engine, container, request, context)
        except Rejected as rejected:
            return Faulted(rejected.error)
        except EngineError as error:
            return Faulted(_not_started(container, error))
        except OutputTooLarge as error:
            return Faulted(errors.runtime(str(error), title="Output too large"))
        except EngineUnreachable as error:
            detail = f"the container engine at {self._engine.address} cannot be used: {error}"
            return Faulted(errors.communication(detail, title="Container engine unreachable"))

    async def _run(
        self, engine: Engine, container: ContainerSpecification, request: TaskRequest, context: TaskContext
    ) -> Outcome:
        if await self._started_before(engine, container, request):
            return Completed(None)
        id_ = await self._created(engine, container, request)
        if not container.options.awaits:
            await self._start_detached(engine, id_, container)
            return Completed(None)
        secrets = container.options.environment.values()
        output = Output(self._settings.shell_max_output_bytes, context.report, secrets)
        try:
            self._groups.add_container(str(engine.address), id_)
            outcome = await self._awaited(engine, id_, container, output)
        except BaseException:
            await asyncio.shield(self._ended(engine, id_, container, running=True))
            raise
        finally:
            output.close()
        await asyncio.shield(self._ended(engine, id_, container, running=False))
        return outcome

    async def _started_before(
        self, engine: Engine, container: ContainerSpecification, request: TaskRequest
    ) -> bool:
        """Whether an earlier delivery has started it, and it is not awaited. Removes what others left."""
        for found in await engine.labelled(f"{labels.RUN}={request.idempotency_key}"):
            if not container.options.awaits and found.get("State") != "created":
                return True
            await engine.remove(found["Id"])
        return False

    async def _created(self, engine: Engine, container: ContainerSpecification, request: TaskRequest) -> str:
        image = await available_image(
            engine, container.image, container.pull_policy, self._settings.container_pull_seconds
        )
        config = image.get("Config") or {}
        own_command = [] if config.get("Entrypoint") else config.get("Cmd") or []
        deadline = {} if request.deadline is None else {labels.DEADLINE: str(request.deadline)}
        own = {labels.RUN: request.idempotency_key, labels.OWNER: self._owner, **deadline}
        return await engine.create(container.name, create_request(container, self._rules, own_command, own))

    async def _start_detached(self, engine: Engine, id_: str, container: ContainerSpecification) -> None:
        try:
            if not container.options.stdin:
                await engine.start(id_)
                return
            async with attached(engine.address, id_, stdin=True) as streams:
                await engine.start(id_)
                await streams.write(container.options.stdin)
        except EngineError:
            await engine.remove(id_)
            raise

    async def _awaited(
        self, engine: Engine, id_: str, container: ContainerSpecification, output: Output
    ) -> Outcome:
        async with attached(engine.address, id_, stdin=bool(container.options.stdin)) as streams:
            await engine.start(id_)
            code = await _end(engine, id_, container.options.stdin, streams, output)
        return outcome_of(container.options, ProcessResult(code, output.text(1), output.text(2)), "container")

    async def _ended(
        self, engine: Engine, id_: str, container: ContainerSpecification, *, running: bool
    ) -> None:
        """Stops a container that may still run, and removes it if the task wants that."""
        try:
            with contextlib.suppress(EngineError):  # it may be gone
                if running:
                    await engine.stop(id_, self._settings.shell_kill_grace_seconds)
            with contextlib.suppress(EngineError):
                if container.cleanup == "always":
                    await engine.remove(id_)
        except EngineUnreachable as error:
            extra = {"action": "container_left"}
            log.warning("the container %s could not be stopped: %s", id_[:12], error, extra=extra)
            return  # the helper process and the sweep stop it
        self._groups.remove_container(str(engine.address), id_)


async def _end(engine: Engine, id_: str, stdin: bytes, streams: Attachment, output: Output) -> int:
    """Returns the exit code, after all output was read. Raises `OutputTooLarge`."""
    writing = asyncio.create_task(streams.write(stdin))
    reading = asyncio.create_task(streams.read(output))
    waiting = asyncio.create_task(engine.wait(id_))
    try:
        await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        code = await waiting
        await asyncio.wait({reading}, timeout=_DRAIN_SECONDS)
        if reading.done():
            reading.result()
        return code
    finally:
        for task in (writing, reading, waiting):
            task.cancel()
        await asyncio.gather(writing, reading, waiting, return_exceptions=True)


def _not_started(container: ContainerSpecification, error: EngineError) -> errors.WorkflowError:
    message = masked(EnvironmentMask(container.options.environment.values()).text(str(error)))
    return errors.runtime(f"the container could not be started: {message}", title="Container failed")
