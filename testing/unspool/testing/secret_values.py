"""The values of secrets in the arguments of a task, as an executor evaluates them."""

from collections.abc import Mapping
from typing import Any

from unspool.definitions import errors
from unspool.definitions.authentication import descriptor
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget, ExpressionError, JqRunner
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.definitions.members import copied, member_at, put_at
from unspool.definitions.secret_arguments import POLICY, SECRETS, evaluated_text


class Unavailable(Exception):
    """A secret that a task reads is not declared, or the test gives it no value."""

    def __init__(self, error: WorkflowError) -> None:
        super().__init__(error.detail)
        self.error = error


def with_values(arguments: dict[str, Json], secrets: Mapping[str, Json], jq: JqRunner) -> dict[str, Json]:
    """Returns the arguments of a task with the values of the texts that read secrets.

    Raises:
        Unavailable: a secret has no value, or a text cannot be evaluated.
    """
    asked: Mapping[str, Any] | None = arguments.get(SECRETS)
    if asked is None:
        return arguments
    result: dict[str, Json] = copied({name: each for name, each in arguments.items() if name != SECRETS})
    place, budget = asked.get("policy", POLICY), Budget()
    # Authentication is first, because the others may read `$authorization`.
    for text in sorted(asked["texts"], key=lambda text: not text["at"].startswith(place)):
        names: dict[str, Json] = {"secrets": _needed(text["needs"], asked["declared"], secrets)}
        if "authorization" not in text["variables"]:
            names["authorization"] = descriptor(member_at(result, parts(place)))
        try:
            value = evaluated_text(text, names, budget, jq, loose=asked.get("loose") is True)
        except ExpressionError as error:
            raise Unavailable(errors.expression(f"{error} ({text['at']} of the arguments)")) from None
        put_at(result, parts(text["at"]), value)
    return result


def _needed(needs: list[str], declared: list[str], secrets: Mapping[str, Json]) -> dict[str, Json]:
    for name in needs:
        if name not in declared or name not in secrets:
            where = "use.secrets" if name not in declared else "the secrets of the test"
            detail = f"the secret '{name}' is not in {where}"
            raise Unavailable(errors.authorization(detail, title="Secret not available"))
    return {name: secrets[name] for name in needs}
