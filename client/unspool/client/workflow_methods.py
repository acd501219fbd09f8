"""The part of the client for workflows."""

from collections.abc import Mapping

import orjson

from unspool.client.connection import Request, path_of
from unspool.client.operation_records import Finding, InputProblem
from unspool.client.records import Json, Statistics, Workflow
from unspool.client.requests import Requests, named


class WorkflowMethods(Requests):
    """Deploys and reads definitions."""

    async def deploy(self, definition: str | bytes | Mapping[str, Json]) -> Workflow:
        """Stores a definition: YAML or JSON as text, or a document. The same text can be stored again.

        Raises:
            Invalid: it is not valid; `document["errors"]` lists why.
            Conflict: the version exists with another text.
        """
        if isinstance(definition, str):
            definition = definition.encode()
        if isinstance(definition, bytes):
            body, kind = definition, "application/yaml"
        else:
            body, kind = orjson.dumps(definition), "application/json"
        return Workflow.of(
            await self._api.json(Request("POST", path_of("workflows"), {}, body, kind, safe=True))
        )

    async def workflows(self) -> list[Workflow]:
        """Lists all versions of all workflows."""
        return [Workflow.of(item) for item in await self._items("workflows")]

    async def versions(self, workflow: str) -> list[Workflow]:
        """Lists the versions of one workflow, `NAMESPACE/NAME`, ascending."""
        ref = named(workflow)
        return [Workflow.of(item) for item in await self._items("workflows", ref.namespace, ref.name)]

    async def definition(self, workflow: str | Workflow) -> str:
        """Returns the text of a definition as it was deployed; without a version, of the latest."""
        ref = named(workflow)
        path = path_of("workflows", ref.namespace, ref.name, ref.version or "latest")
        return await self._api.text(Request("GET", path, accept="application/yaml", safe=True))

    async def findings(self, workflow: str | Workflow) -> list[Finding]:
        """Returns what a check finds in a deployed definition now: its warnings, as a rule."""
        ref = named(workflow)
        path = (ref.namespace, ref.name, ref.version or "latest", "findings")
        return [Finding.of(item) for item in await self._items("workflows", *path)]

    async def diagram(self, workflow: str | Workflow) -> str:
        """Returns the diagram of a definition, as SVG."""
        ref = named(workflow)
        path = path_of("workflows", ref.namespace, ref.name, ref.version or "latest", "diagram")
        return await self._api.text(Request("GET", path, accept="image/svg+xml", safe=True))

    async def statistics(self, workflow: str | Workflow, since: str | None = None) -> Statistics:
        """Returns figures of the newest executions of a workflow, of all its versions or of one.

        Args:
            workflow: the workflow.
            since: of executions created from then on; a time in RFC 3339, or an age such as `12h`.
        """
        ref = named(workflow)
        path = path_of("workflows", ref.namespace, ref.name, "statistics")
        request = Request("GET", path, {"version": ref.version or None, "since": since}, safe=True)
        return Statistics.of(await self._api.json(request))

    async def check_input(self, workflow: str | Workflow, input: Json) -> list[InputProblem]:
        """Checks an input against the schema of a definition; starts nothing. Returns what does not match."""
        ref = named(workflow)
        path = path_of("workflows", ref.namespace, ref.name, ref.version or "latest", "input-check")
        request = Request("POST", path, {}, orjson.dumps({"input": input}), safe=True)
        problems = (await self._api.json(request))["problems"]
        return [InputProblem(each["pointer"], each["message"]) for each in problems]
