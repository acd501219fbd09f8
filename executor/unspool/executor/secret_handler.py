"""Gives a handler the values of secrets, and masks them in everything that it returns or raises."""

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from unspool.definitions import errors
from unspool.definitions.authentication import descriptor
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget, ExpressionError, JqRunner
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.definitions.members import copied, member_at, put_at
from unspool.definitions.secret_arguments import POLICY, SECRETS, evaluated_text
from unspool.eventstore.records import DEFAULT_TENANT, TaskRequest
from unspool.executor.masking import Mask, Masking, TaskMask, current
from unspool.executor.outcome import Completed, Faulted, FetchedText, HandedBack, Handler, Outcome, Rejected
from unspool.executor.secret_masks import SecretMasks
from unspool.executor.secrets import SecretProvider, secrets_of, variable
from unspool.executor.task_context import TaskContext

_READS_AUTHORIZATION: Final = re.compile(r"\$authorization(?!\w)")

Authorize = Callable[[Json], Awaitable[dict[str, str] | None]]


class HandlerDefect(Exception):
    """Replaces an exception of a handler. It has the masked text and, as a note, the masked traceback."""


@dataclass(frozen=True, slots=True)
class SecretHandler:
    """A handler whose arguments may read secrets."""

    handler: Handler
    secrets: SecretProvider
    jq: JqRunner | None
    authorize: Authorize | None = None
    """Gets the token of a policy, for arguments that read `$authorization`."""
    masks: SecretMasks = field(default_factory=SecretMasks)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Evaluates the arguments that read secrets, and runs the task."""
        known = TaskMask()
        token = current.set(known)
        try:
            asked = request.arguments.get(SECRETS)
            if asked is not None:
                values, mask = await asyncio.to_thread(self._values, asked, context.tenant)
                known.hide(mask)
                arguments = await self._arguments(request.arguments, asked, values)
                request = request._replace(arguments=arguments)
            return await _masked_aside(await self.handler(request, context.masked_by(known)), known)
        except Rejected as rejected:
            return _masked(Faulted(rejected.error), known)
        except HandedBack:
            raise
        except Exception as error:
            if not known.knows_any:
                raise
            raise _masked_defect(error, known) from None  # without the secrets in it
        finally:
            current.reset(token)

    def _values(self, asked: Mapping[str, Any], tenant: str) -> tuple[dict[str, Json], Mask]:
        """The values of all secrets that the workflow declares and that its tenant has, and their mask."""
        secrets = secrets_of(self.secrets, tenant)
        found = {name: secrets.secret(name) for name in asked["declared"]}
        values = {name: value for name, value in found.items() if value is not None}
        return values, self.masks.of(values.values())

    async def _arguments(
        self, arguments: dict[str, Json], asked: Mapping[str, Any], values: Mapping[str, Json]
    ) -> dict[str, Json]:
        """The arguments with the values of the texts that read secrets. Raises `Rejected`."""
        result: dict[str, Json] = copied(
            {name: value for name, value in arguments.items() if name != SECRETS}
        )
        budget = Budget()
        # Authentication is first, because the others may read `$authorization` (inventory E7).
        place = asked.get("policy", POLICY)
        first = [text for text in asked["texts"] if text["at"].startswith(place)]
        others = [text for text in asked["texts"] if not text["at"].startswith(place)]
        put = partial(self._put, result, asked, values, budget)
        if first:
            await asyncio.to_thread(put, first, None)
        if others:
            policy = member_at(result, parts(place))
            await asyncio.to_thread(put, others, await self._authorization(policy, others))
        return result

    async def _authorization(self, policy: Json, texts: list[Mapping[str, Any]]) -> Json:
        """The value of `$authorization` (inventory K8). A token is requested only if a text reads it."""
        known = descriptor(policy)
        if known is None or known["parameter"] is not None or self.authorize is None:
            return known
        if not any(_READS_AUTHORIZATION.search(text["text"]) for text in texts):
            return known
        return await self.authorize(policy) or known

    def _put(
        self,
        arguments: dict[str, Json],
        asked: Mapping[str, Any],
        values: Mapping[str, Json],
        budget: Budget,
        texts: list[Mapping[str, Any]],
        authorization: Json,
    ) -> None:
        """Puts the values of texts into the arguments. Raises `Rejected`."""
        for text in texts:
            _check(text["needs"], asked["declared"], values)
            names: dict[str, Json] = {"secrets": {name: values[name] for name in text["needs"]}}
            if "authorization" not in text["variables"]:  # else the worker has sent its value
                names["authorization"] = authorization
            try:
                value = evaluated_text(text, names, budget, self.jq, loose=asked.get("loose") is True)
            except ExpressionError as error:
                raise Rejected(errors.expression(f"{error} ({text['at']} of the arguments)")) from None
            put_at(arguments, parts(text["at"]), value)


def _check(needs: list[str], declared: list[str], values: Mapping[str, Json]) -> None:
    for name in needs:
        if name not in declared:
            raise Rejected(_unavailable(f"the secret '{name}' is not declared in use.secrets"))
        if name not in values:
            raise Rejected(
                _unavailable(
                    f"the secret '{name}' has no value in this executor; by default it is in "
                    f"{variable(name)}, or in a file in UNSPOOL_SECRETS_DIR. Tenants other than "
                    f"'{DEFAULT_TENANT}' have a directory there, unless UNSPOOL_SECRETS_SHARED is true"
                )
            )


def _unavailable(detail: str) -> WorkflowError:
    return errors.authorization(detail, title="Secret not available")


def _masked_defect(error: Exception, mask: Masking) -> HandlerDefect:
    defect = HandlerDefect(mask.text(f"{type(error).__name__}: {error}"))
    defect.add_note(mask.text("".join(traceback.format_exception(error))))
    return defect


async def _masked_aside(outcome: Outcome, mask: Masking) -> Outcome:
    """The outcome without secrets. A thread masks it: in a large one this takes seconds."""
    return await asyncio.to_thread(_masked, outcome, mask) if mask.knows_any else outcome


def _masked(outcome: Outcome, mask: Masking) -> Outcome:
    if not mask.knows_any:
        return outcome
    if isinstance(outcome, FetchedText):
        return replace(outcome, text=mask.text(outcome.text))
    if isinstance(outcome, Completed):
        return Completed(mask.value(outcome.output))
    return Faulted(WorkflowError.from_json(mask.value(outcome.error.to_json())))
