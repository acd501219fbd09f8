"""Gives a handler the values of secrets, and masks them in everything that it returns or raises."""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from unspool.definitions import errors
from unspool.definitions.authentication import descriptor
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget, ExpressionError, JqRunner
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.definitions.secret_arguments import SECRETS, evaluated_text
from unspool.eventstore.records import TaskRequest
from unspool.executor.masking import Mask, current
from unspool.executor.outcome import Completed, Faulted, FetchedText, Handler, Outcome, Rejected
from unspool.executor.secrets import SecretProvider, variable
from unspool.executor.task_context import TaskContext

_AUTHENTICATION = "/endpoint/authentication"


class HandlerDefect(Exception):
    """Replaces an exception of a handler. It has the masked text and, as a note, the masked traceback."""


@dataclass(frozen=True, slots=True)
class SecretHandler:
    """A handler whose arguments may read secrets."""

    handler: Handler
    secrets: SecretProvider
    jq: JqRunner | None

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Evaluates the arguments that read secrets, and runs the task."""
        asked = request.arguments.get(SECRETS)
        if asked is None:
            return await self.handler(request, context)
        values = await asyncio.to_thread(self._values, asked)
        mask = Mask(values.values())
        token = current.set(mask)
        try:
            arguments = await asyncio.to_thread(self._arguments, request.arguments, asked, values)
            hidden = replace(context, report=lambda value: context.report(mask.value(value)))
            return _masked(await self.handler(request._replace(arguments=arguments), hidden), mask)
        except Rejected as rejected:
            return _masked(Faulted(rejected.error), mask)
        except Exception as error:  # noqa: BLE001 - raised again without the secrets in it
            raise _masked_defect(error, mask) from None
        finally:
            current.reset(token)

    def _values(self, asked: Mapping[str, Any]) -> dict[str, Json]:
        """The values of all secrets that the workflow declares and that exist; all are masked."""
        found = {name: self.secrets.secret(name) for name in asked["declared"]}
        return {name: value for name, value in found.items() if value is not None}

    def _arguments(
        self, arguments: dict[str, Json], asked: Mapping[str, Any], values: Mapping[str, Json]
    ) -> dict[str, Json]:
        """The arguments with the values of the texts that read secrets. Raises `Rejected`."""
        result: dict[str, Json] = _copy({name: value for name, value in arguments.items() if name != SECRETS})
        known: dict[str, Json] = {"authorization": None}
        budget = Budget()
        # Authentication is first, because the others may read `$authorization` (inventory E7).
        for text in sorted(asked["texts"], key=lambda text: not text["at"].startswith(_AUTHENTICATION)):
            _check(text["needs"], asked["declared"], values)
            if not text["at"].startswith(_AUTHENTICATION) and known["authorization"] is None:
                known["authorization"] = descriptor((result.get("endpoint") or {}).get("authentication"))
            names = {**known, "secrets": {name: values[name] for name in text["needs"]}}
            if "authorization" in text["variables"]:  # the worker has sent its value
                del names["authorization"]
            try:
                value = evaluated_text(text, names, budget, self.jq, loose=asked.get("loose") is True)
            except ExpressionError as error:
                raise Rejected(errors.expression(str(error))) from None
            _put(result, parts(text["at"]), value)
        return result


def _check(needs: list[str], declared: list[str], values: Mapping[str, Json]) -> None:
    for name in needs:
        if name not in declared:
            raise Rejected(_unavailable(f"the secret '{name}' is not declared in use.secrets"))
        if name not in values:
            raise Rejected(
                _unavailable(
                    f"the secret '{name}' has no value in this executor; by default it is in "
                    f"{variable(name)}, or in a file in UNSPOOL_SECRETS_DIR"
                )
            )


def _unavailable(detail: str) -> WorkflowError:
    return errors.authorization(detail, title="Secret not available")


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _put(arguments: Json, steps: list[str], value: Json) -> None:
    part = arguments
    for step in steps[:-1]:
        part = part[int(step)] if isinstance(part, list) else part[step]
    part[int(steps[-1]) if isinstance(part, list) else steps[-1]] = value


def _masked_defect(error: Exception, mask: Mask) -> HandlerDefect:
    defect = HandlerDefect(mask.text(f"{type(error).__name__}: {error}"))
    defect.add_note(mask.text("".join(traceback.format_exception(error))))
    return defect


def _masked(outcome: Outcome, mask: Mask) -> Outcome:
    if isinstance(outcome, FetchedText):
        return replace(outcome, text=mask.text(outcome.text))
    if isinstance(outcome, Completed):
        return Completed(mask.value(outcome.output))
    return Faulted(WorkflowError.from_json(mask.value(outcome.error.to_json())))
