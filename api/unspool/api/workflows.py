"""Definitions: storing, listing and showing them."""

import asyncio
from typing import Final

from starlette.responses import Response

from unspool.api.bodies import media_type, read_body
from unspool.api.calls import VERSION, Call, answer
from unspool.api.problems import Refused
from unspool.definitions.json_value import Json
from unspool.definitions.problems import Problem
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.records import Definition, Stored, WorkflowRef

JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")

_NO_WORKFLOW: Final = "there is no such workflow, or no such version of it"


async def deploy(call: Call) -> Response:
    """Stores a definition, unless that version is there already."""
    text = await _submitted(call)
    ref = await _checked(call, text)
    stored = await call.store.put_definition(call.tenant, Definition(ref, text, call.services.clock.now()))
    if stored is Stored.DIFFERENT:
        raise Refused(409, f"{ref} is there already, with another text; give the change a new version")
    location = f"/api/v1/workflows/{ref.namespace}/{ref.name}/{ref.version}"
    return answer(ref._asdict(), 201 if stored is Stored.CREATED else 200, {"Location": location})


async def list_workflows(call: Call) -> Response:
    """All definitions of the tenant."""
    return _listed(await call.store.definitions(call.tenant))


async def list_versions(call: Call) -> Response:
    """The versions of one workflow, ascending."""
    definitions = await call.store.definitions(call.tenant, *call.workflow)
    if not definitions:
        raise Refused(404, "there is no workflow of that name")
    return _listed(definitions)


async def show(call: Call) -> Response:
    """One definition, as JSON or as it was submitted."""
    ref = await workflow_of(call, call.request.path_params["version"])
    definition = await call.store.definition(call.tenant, *ref)
    if definition is None:
        raise Refused(404, _NO_WORKFLOW)
    if _prefers_yaml(call.request.headers.get("accept", "")):
        return Response(definition.text, media_type=YAML[0])
    return answer(await asyncio.to_thread(call.services.engine.document, definition.text))


async def workflow_of(call: Call, version: str | None) -> WorkflowRef:
    """The workflow in the path, in a version or in the latest."""
    wanted = None if version == "latest" else version
    ref = None
    if wanted is None or VERSION.fullmatch(wanted):
        ref = await call.store.resolve(call.tenant, *call.workflow, wanted)
    if ref is None:
        raise Refused(404, _NO_WORKFLOW)
    return ref


async def _submitted(call: Call) -> str:
    kind, settings = media_type(call.request), call.services.settings
    if kind and kind not in {JSON, *YAML} and not kind.endswith(("+json", "+yaml")):
        raise Refused(415, f"the body is {kind}; send application/yaml or application/json")
    body = await read_body(call.request, settings.most_definition_bytes, settings.body_seconds)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: byte {error.start} cannot be read") from None


async def _checked(call: Call, text: str) -> WorkflowRef:
    ref, problems = await asyncio.to_thread(call.services.engine.check, text)
    if ref is None or problems:
        raise Refused(422, "the definition is not valid", errors=[_told(p) for p in problems])
    return ref


def _told(problem: Problem) -> dict[str, Json]:
    return {
        "pointer": problem.pointer,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    }


def _listed(definitions: list[Definition]) -> Response:
    return answer({"items": [_item(definition) for definition in definitions], "next": None})


def _item(definition: Definition) -> dict[str, Json]:
    return {**definition.ref._asdict(), "createdAt": rfc3339(definition.created_at)}


def _prefers_yaml(accept: str) -> bool:
    """Whether the first media type named that we can give is YAML; JSON unless asked."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((kind in YAML for kind in named if kind in {JSON, "*/*", "application/*", *YAML}), False)
