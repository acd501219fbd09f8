"""The tools that start executions: one for each deployed workflow; only with `--allow-start`."""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from mcp.types import Tool, ToolAnnotations

from unspool.cli.deployed import Named
from unspool.cli.mcp.tool import Answer, Arguments, Report
from unspool.cli.mcp.waiting import result_of
from unspool.cli.targets.port import NewExecution, Target
from unspool.definitions.document import load
from unspool.definitions.json_value import Json
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.records import WorkflowRef
from unspool.eventstore.semver import order

MOST_TOOLS: Final = 200
"""Workflows that are tools. An agent cannot choose from more; `list_workflows` shows all."""

_LONGEST_NAME: Final = 64
"""The longest name of a tool that all clients accept."""

_MOST_SCHEMA: Final = 32_000
"""Characters of an input schema. A larger one is not shown."""

_MOST_CACHED: Final = 1_000

_MOST_TEXT: Final = 1_000

_ANY: Final = {"type": "object", "description": "The input of the workflow"}

_PREFIX: Final = "start_"

_ANNOTATIONS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)
"""The worst case: a definition does not say whether its tasks delete or change something."""


class Described(NamedTuple):
    """What a definition says about itself."""

    title: str
    text: str
    schema: dict[str, Any]
    wrapped: bool
    """Whether the input is the argument `input`, because it may be something else than an object."""


@dataclass(frozen=True, slots=True)
class WorkflowTool:
    """A workflow as a tool: its latest version."""

    ref: WorkflowRef
    described_as: Described

    @property
    def name(self) -> str:
        """The name of the tool."""
        return tool_name(self.ref)

    def described(self) -> Tool:
        """Returns the tool as the protocol describes it."""
        about = self.described_as
        return Tool(
            name=self.name,
            title=about.title,
            description=f"Starts the workflow {self.ref}. {about.text}".rstrip(),
            input_schema=about.schema,
            annotations=_ANNOTATIONS,
        )

    async def run(self, target: Target, arguments: Arguments, report: Report, seconds: float) -> Answer:
        """Starts an execution and waits so many seconds for its end."""
        value: Json = arguments.get("input") if self.described_as.wrapped else dict(arguments)
        workflow = Named(self.ref.namespace, self.ref.name, self.ref.version)
        started = await target.start(NewExecution(workflow, value, None, {}))
        return await result_of(target, started.execution["id"], seconds, report)


class WorkflowTools:
    """The deployed workflows. What a definition says about itself is read once, as it never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[WorkflowRef, Described] = OrderedDict()

    async def latest(self, target: Target) -> tuple[WorkflowRef, ...]:
        """Returns the latest version of each workflow that is a tool, by name."""
        newest: dict[tuple[str, str], WorkflowRef] = {}
        for each in await target.workflows():
            ref = WorkflowRef(each["namespace"], each["name"], each["version"])
            key, known = ref[:2], newest.get(ref[:2])
            newest[key] = ref if known is None or order(ref.version) > order(known.version) else known
        return tuple(sorted(newest.values())[:MOST_TOOLS])

    async def all(self, target: Target) -> list[WorkflowTool]:
        """Returns the tools, by the name of their workflow."""
        return [WorkflowTool(ref, await self._describe(target, ref)) for ref in await self.latest(target)]

    async def find(self, target: Target, name: str) -> WorkflowTool | None:
        """Returns the workflow of a tool; None if there is none."""
        return next((tool for tool in await self.all(target) if tool.name == name), None)

    async def _describe(self, target: Target, ref: WorkflowRef) -> Described:
        if ref not in self._known:
            text = await target.definition(ref)
            self._known[ref] = await asyncio.to_thread(describe, ref, text)
            if len(self._known) > _MOST_CACHED:
                self._known.popitem(last=False)
        self._known.move_to_end(ref)
        return self._known[ref]


def tool_name(ref: WorkflowRef) -> str:
    """Returns a name that all clients accept, and that no other workflow has.

    The names of the DSL have no underscore, so it separates them. A long name ends with a part of its hash.
    """
    name = f"{_PREFIX}{ref.namespace}_{ref.name}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = sha256(f"{ref.namespace}/{ref.name}".encode()).hexdigest()[:10]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}_{digest}"


def is_start(name: str) -> bool:
    """Whether a tool has the name of one that starts a workflow."""
    return name.startswith(_PREFIX)


def describe(ref: WorkflowRef, text: str) -> Described:
    """Returns what a definition says about itself."""
    try:
        definition = load(text).value
    except DefinitionInvalid:  # stored by another release
        return Described(ref.name, "", dict(_ANY), wrapped=False)
    about = definition.get("document", {})
    schema, wrapped = _arguments(definition.get("input", {}).get("schema", {}))
    title, summary = (_plain(about.get(member, "")) for member in ("title", "summary"))
    return Described(title or ref.name, summary, schema, wrapped)


def _arguments(given: Json) -> tuple[dict[str, Any], bool]:
    """Returns the schema of the arguments for that of an input, and whether the input is one of them."""
    schema = given.get("document")
    is_json = str(given.get("format", "json")).partition(":")[0] == "json"
    if not is_json or not isinstance(schema, dict) or len(orjson.dumps(schema)) > _MOST_SCHEMA:
        return dict(_ANY), False
    if schema.get("type") == "object":
        return schema, False
    # References inside the schema keep their place: they begin at its root, which has to stay one.
    inner = {"$id": "urn:unspool:input", **schema}
    return {"type": "object", "properties": {"input": inner}, "required": ["input"]}, True


def _plain(text: Json) -> str:
    """Returns a text of a definition without control characters, and not too long."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", str(text)).strip()[:_MOST_TEXT]
