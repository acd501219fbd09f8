"""`call: http` (dsl-reference.md, "HTTP Call")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.authentication import needs_token
from unspool.definitions.authentication_policy import compile_policy
from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.secret_arguments import SecretTexts
from unspool.definitions.tasks.call_arguments import authorization_by
from unspool.definitions.tasks.queues import HTTP_QUEUE
from unspool.definitions.tasks.request import Request
from unspool.definitions.uri_template import Address

KIND: Final = HTTP_QUEUE


@dataclass(frozen=True, slots=True)
class HttpArguments:
    """The arguments of an HTTP request, not evaluated."""

    uri: Address | None
    """None if it reads a secret: then the executor evaluates it."""
    authentication: Evaluable | None
    rest: Evaluable
    """Method, headers, query, body, output, redirect."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the request for the executor. Raises `ExpressionError`."""
        uri = None if self.uri is None else self.uri.evaluate_within(value, variables, budget)
        endpoint: dict[str, Json] = {"uri": uri}
        if self.authentication is not None:
            endpoint["authentication"] = self.authentication.evaluate_within(value, variables, budget)
        arguments: dict[str, Json] = self.rest.evaluate_within(value, variables, budget)
        return {**arguments, "endpoint": endpoint}


def compile_http_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: http` task."""
    arguments = task["with"]
    endpoint = arguments["endpoint"]
    address, policy = context.endpoint(endpoint)
    texts = SecretTexts(context)
    authentication = None
    if policy is not None:
        authentication = compile_policy(policy, ("endpoint", "authentication"), texts, context)
        texts.secret_authorization = bool(texts.found) or needs_token(policy)
    written = endpoint if isinstance(endpoint, str) else endpoint["uri"]
    uri = None if texts.take(written, "/endpoint/uri", address, "address") else address
    members = {name: value for name, value in arguments.items() if name != "endpoint"}
    rest = context.template(texts.taken(members, ""))
    reads = rest.variables.union(*(part.variables for part in (uri, authentication) if part is not None))
    evaluated = HttpArguments(uri, authentication, rest, reads)
    authorization = None if policy is None else authorization_by(policy, context)
    return Request(KIND, texts.arguments(evaluated), authorization)
