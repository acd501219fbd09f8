"""`call: asyncapi` (dsl-reference.md, "AsyncAPI Call", "AsyncAPI Subscription")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.expressions.template import split
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate
from unspool.definitions.resource import ResourceReference
from unspool.definitions.resource_reference import document_reference
from unspool.definitions.tasks.call_arguments import authorization_of, compile_arguments
from unspool.definitions.tasks.iterator import Iterator, compile_iterator
from unspool.definitions.tasks.request import Arguments, Request

KIND: Final = "asyncapi"

SUBSCRIPTION: Final = "subscription"
"""The member of a request's arguments that has the filter and the limits of a subscription."""

_NO_VARIABLES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A subscription: which messages are consumed, and how they are processed."""

    request: Request
    amount: int | None
    while_: Evaluable | None
    """Consuming ends when it does not hold after a message."""
    until: Evaluable | None
    """Consuming ends when it holds before a message."""
    lifetime: DurationTemplate | None
    """Consuming ends after this time."""
    each: Iterator | None

    @property
    def conditional(self) -> bool:
        """Whether a condition is evaluated for each message."""
        return self.while_ is not None or self.until is not None

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The document, and the schemas of iterations that are external resources."""
        return self.request.resources + (() if self.each is None else self.each.resources)


@dataclass(frozen=True, slots=True)
class SubscriptionArguments:
    """The arguments of a subscription, not evaluated. The executor evaluates the filter for each message."""

    rest: Arguments
    filter: str | None
    filter_variables: frozenset[str]
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the arguments; `subscription` has the filter with the values that it reads now."""
        arguments = self.rest.evaluate_within(value, variables, budget)
        subscription: dict[str, Json] = {}
        if self.filter is not None:
            values = {name: variables.get(name) for name in sorted(self.filter_variables)}
            subscription["filter"] = {"expression": self.filter, "variables": values}
        return {**arguments, SUBSCRIPTION: subscription}


def compile_asyncapi_call(task: dict[str, Json], context: CompileContext) -> Request | Subscribe:
    """Compiles a `call: asyncapi` task. Raises `TaskNotCompilable`."""
    written = task["with"]
    documents = {"document": document_reference(written["document"]["endpoint"], context)}
    sent = {name: value for name, value in written.items() if name not in {"document", SUBSCRIPTION}}
    arguments = compile_arguments(sent, context)
    authorization = authorization_of(sent, context)
    if SUBSCRIPTION not in written:
        return Request(KIND, arguments, authorization, documents=documents, returns_input=True)
    subscription = written[SUBSCRIPTION]
    filtered = _with_filter(arguments, subscription.get("filter"), context)
    request = Request(KIND, filtered, authorization, documents=documents)
    return _subscribe(request, subscription, context.at("with", SUBSCRIPTION))


def _with_filter(arguments: Arguments, filter_: str | None, context: CompileContext) -> SubscriptionArguments:
    reads = _NO_VARIABLES if filter_ is None else context.expression(filter_).variables
    return SubscriptionArguments(arguments, filter_, reads, arguments.variables | reads)


def _subscribe(request: Request, written: Mapping[str, Any], context: CompileContext) -> Subscribe:
    consume = written["consume"]
    # `while: ${ true }` is how authors write a subscription without end. It needs no evaluation.
    endless = "while" in consume and [part.source.strip() for part in split(consume["while"])] == ["true"]
    return Subscribe(
        request=request,
        amount=consume.get("amount"),
        while_=None if endless else context.condition(consume.get("while")),
        until=context.condition(consume.get("until")),
        lifetime=context.duration(consume["for"]) if "for" in consume else None,
        each=compile_iterator(written["foreach"], context.at("foreach")) if "foreach" in written else None,
    )
