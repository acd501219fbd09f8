"""Definitions: store, list and show them."""

from typing import Final

from starlette.responses import Response

from unspool.api.bodies import media_type, read_body, read_json
from unspool.api.bounded_work import CHECKS
from unspool.api.calls import VERSION, Call, json_response
from unspool.api.problems import HttpProblem
from unspool.definitions.json_pointer import within
from unspool.definitions.json_value import Json
from unspool.definitions.problems import Problem
from unspool.definitions.release_level import LEVEL
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.operations import known_level
from unspool.eventstore.records import Definition, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.worker.schedule.deployment import LISTENING_WITHIN
from unspool.worker.schedule.deployment import deploy as deploy_definition

JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")

_NO_WORKFLOW: Final = "there is no such workflow or version"

_MOST_POINTER: Final = 1000
"""Characters of a pointer into an input. Names in it can be as long as the input."""


async def deploy(call: Call) -> Response:
    """Stores a definition; its schedule begins. A version that exists is not changed."""
    text = await _submitted(call)
    ref = await _checked(call, text)
    now = call.services.clock.now()
    definition = Definition(ref, text, now)
    stored = await deploy_definition(
        call.store, call.tenant, definition, now, listening_within=LISTENING_WITHIN
    )
    if stored is Stored.DIFFERENT:
        raise HttpProblem(409, f"{ref} exists with another text; give the change a new version")
    location = f"/api/v1/workflows/{ref.namespace}/{ref.name}/{ref.version}"
    answer = {**ref._asdict(), **await _warnings(call, text)}
    return json_response(answer, 201 if stored is Stored.CREATED else 200, {"Location": location})


async def list_workflows(call: Call) -> Response:
    """Lists all definitions of the tenant."""
    return _list_response(await call.store.definitions(call.tenant))


async def list_versions(call: Call) -> Response:
    """Lists the versions of one workflow, ascending."""
    definitions = await call.store.definitions(call.tenant, *call.workflow)
    if not definitions:
        raise HttpProblem(404, "there is no workflow with that name")
    return _list_response(definitions)


async def show(call: Call) -> Response:
    """Returns one definition, as JSON or as the submitted text."""
    ref = await workflow_of(call, call.request.path_params["version"])
    definition = await call.store.definition(call.tenant, *ref)
    if definition is None:
        raise HttpProblem(404, _NO_WORKFLOW)
    if _prefers_yaml(call.request.headers.get("accept", "")):
        return Response(definition.text, media_type=YAML[0])
    return json_response(await CHECKS.run_for(call.tenant, call.services.engine.document, definition.text))


async def findings(call: Call) -> Response:
    """Returns what a check finds in a stored definition now: its warnings, as a rule."""
    ref = await workflow_of(call, call.request.path_params["version"])
    definition = await call.store.definition(call.tenant, *ref)
    if definition is None:
        raise HttpProblem(404, _NO_WORKFLOW)
    registered = await call.store.functions()
    names = {name for each in registered for name in (each.name, f"{each.name}:{each.version}")}
    found = await CHECKS.run_for(
        call.tenant, call.services.engine.findings, definition.text, call.tenant, names
    )
    return json_response({"items": [{**_problem_json(p), "severity": p.severity.value} for p in found]})


async def check_input(call: Call) -> Response:
    """Returns where an input does not match the schema of a definition; nothing is started."""
    settings = call.services.settings
    body = await read_json(call.request, settings.max_input_bytes, settings.body_seconds)
    if not isinstance(body, dict) or body.keys() != {"input"}:
        raise HttpProblem(422, 'the body must be an object such as {"input": {}}')
    ref = await workflow_of(call, call.request.path_params["version"])
    definition = await call.store.definition(call.tenant, *ref)
    if definition is None:
        raise HttpProblem(404, _NO_WORKFLOW)
    engine = call.services.engine
    found = await CHECKS.run_for(call.tenant, engine.input_problems, definition.text, body["input"])
    problems: list[Json] = [
        {"pointer": within(each.pointer, _MOST_POINTER), "message": each.message} for each in found
    ]
    return json_response({"problems": problems})


async def workflow_of(call: Call, version: str | None) -> WorkflowRef:
    """Resolves the workflow in the path to a version; None and `latest` mean the latest.

    Raises:
        HttpProblem: 404, if there is none.
    """
    exact = None if version == "latest" else version
    ref = None
    if exact is None or VERSION.fullmatch(exact):
        ref = await call.store.resolve(call.tenant, *call.workflow, exact)
    if ref is None:
        raise HttpProblem(404, _NO_WORKFLOW)
    return ref


async def _submitted(call: Call) -> str:
    kind, settings = media_type(call.request), call.services.settings
    if kind and kind not in {JSON, *YAML} and not kind.endswith(("+json", "+yaml")):
        raise HttpProblem(415, f"the body is {kind}; send application/yaml or application/json")
    body = await read_body(call.request, settings.max_definition_bytes, settings.body_seconds)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise HttpProblem(400, f"the body is not UTF-8: byte {error.start} cannot be read") from None


async def _checked(call: Call, text: str) -> WorkflowRef:
    ref, problems = await CHECKS.run_for(call.tenant, call.services.engine.check, text, call.tenant)
    if ref is None or problems:
        raise HttpProblem(422, "the definition is not valid", errors=[_problem_json(p) for p in problems])
    return ref


async def _warnings(call: Call, text: str) -> dict[str, Json]:
    """Returns what a definition uses that a live service of an older release does not know."""
    level = known_level(await call.store.live_consumers())
    if level >= LEVEL:
        return {}
    unknown = await CHECKS.run_for(call.tenant, call.services.engine.unknown_features, text, level)
    return {"warnings": [_problem_json(each) for each in unknown]} if unknown else {}


def _problem_json(problem: Problem) -> dict[str, Json]:
    return {
        "pointer": problem.pointer,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    }


def _list_response(definitions: list[Definition]) -> Response:
    return json_response({"items": [_item(definition) for definition in definitions], "next": None})


def _item(definition: Definition) -> dict[str, Json]:
    return {**definition.ref._asdict(), "createdAt": rfc3339(definition.created_at)}


def _prefers_yaml(accept: str) -> bool:
    """Whether YAML is the first media type in `Accept` that the API can return; the default is JSON."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((kind in YAML for kind in named if kind in {JSON, "*/*", "application/*", *YAML}), False)
