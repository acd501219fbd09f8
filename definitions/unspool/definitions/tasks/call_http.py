"""`call: http` (dsl-reference.md, "HTTP Call")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.tasks.request import Request
from unspool.definitions.uri_template import Address

QUEUE: Final = "http"


@dataclass(frozen=True, slots=True)
class HttpArguments:
    """The arguments of an HTTP request, not evaluated."""

    uri: Address
    authentication: Evaluable | None
    rest: Evaluable
    """Method, headers, query, body, output, redirect."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the request for the executor. Raises `ExpressionError`."""
        endpoint: dict[str, Json] = {"uri": self.uri.evaluate_within(value, variables, budget)}
        if self.authentication is not None:
            endpoint["authentication"] = self.authentication.evaluate_within(value, variables, budget)
        arguments: dict[str, Json] = self.rest.evaluate_within(value, variables, budget)
        return {**arguments, "endpoint": endpoint}


def compile_http_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: http` task."""
    arguments = task["with"]
    uri, policy = context.endpoint(arguments["endpoint"])
    authentication = None if policy is None else context.template(policy)
    rest = context.template({name: value for name, value in arguments.items() if name != "endpoint"})
    reads = uri.variables | rest.variables | (authentication.variables if authentication else frozenset())
    return Request(QUEUE, HttpArguments(uri, authentication, rest, reads), authentication)
