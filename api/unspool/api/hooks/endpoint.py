"""`POST /hooks/{name}`."""

import asyncio
from typing import Final

from starlette.responses import Response

from unspool.api.bodies import decoded, read_body
from unspool.api.calls import Call, json_response
from unspool.api.cloud_events import check_events
from unspool.api.hooks.configuration import Hook
from unspool.api.hooks.event import event_of
from unspool.api.hooks.received import Received
from unspool.api.hooks.verification import NoSecret, Refused
from unspool.api.metrics import HookLabels
from unspool.api.problems import HttpProblem, problem_response
from unspool.definitions.json_value import Json
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.published_events import CloudEvent

MAX_CHALLENGE: Final = 256


async def receive(call: Call) -> Response:
    """Publishes what a service sends to a webhook, in the tenant that the configuration names."""
    hook = call.services.hooks.by_name.get(call.request.path_params["name"])
    if hook is None:
        raise HttpProblem(404, "there is no webhook with that name")
    try:
        response = await _receive(call, hook)
    except NoSecret:
        return _refused(call, hook, "no_secret")
    except Refused:
        return _refused(call, hook, "unauthorized")
    except HttpProblem:
        _count(call, hook, "rejected")
        raise
    except StoreUnavailable:
        _count(call, hook, "unavailable")
        raise
    _count(call, hook, "accepted")
    return response


async def _receive(call: Call, hook: Hook) -> Response:
    settings, hooks = call.services.settings, call.services.hooks
    body = await read_body(call.request, settings.max_input_bytes, settings.body_seconds)
    received = Received(call.request.headers.raw, body, call.services.clock.now())
    repetition = await asyncio.to_thread(hook.verification.verify, received, hooks.secrets)
    event = await decoded(body, lambda _: event_of(hook, received, repetition))
    check_events([event], len(body))
    challenge = _challenge(event) if hook.kind == "slack" else None
    if challenge is not None:
        return json_response({"challenge": challenge})
    await call.store.publish(hook.tenant, [event])
    return json_response({"accepted": 1}, 202)


def _challenge(event: CloudEvent) -> Json:
    """Returns the text that Slack expects back when a URL is registered; None for anything else."""
    match event.get("data"):
        case {"type": "url_verification", "challenge": str(text)} if len(text) <= MAX_CHALLENGE:
            return text
    return None


def _refused(call: Call, hook: Hook, result: str) -> Response:
    """Answers 401. The answer does not say what was wrong; the metric does, for the operator."""
    _count(call, hook, result)
    headers = {"WWW-Authenticate": hook.verification.scheme}
    return problem_response(call.request, 401, "the signature or token is missing or wrong", headers=headers)


def _count(call: Call, hook: Hook, result: str) -> None:
    call.services.requests.hook_answered(HookLabels(hook.name, result))
