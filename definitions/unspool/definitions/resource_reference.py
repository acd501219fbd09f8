"""Compiles references to external resources (inventory J24, K7, L1, R1-R4)."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from unspool.definitions.authentication_policy import compile_policy
from unspool.definitions.compile_context import CompileContext, TaskNotCompilable
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.function_name import DEFAULT_CATALOG, CatalogedFunction, cataloged
from unspool.definitions.json_value import Json
from unspool.definitions.resource import CHANGING, ResourceReference
from unspool.definitions.resource_address import CATALOG, absolute, of_catalog, of_function
from unspool.definitions.resource_kind import ResourceKind
from unspool.definitions.secret_arguments import SecretTexts
from unspool.definitions.uri_template import Address, UriTemplate


@dataclass(frozen=True, slots=True)
class EndpointAuthentication:
    """The authentication of an endpoint, as a part of the arguments of a request."""

    policy: Evaluable
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the arguments, without the address. Raises `ExpressionError`."""
        return {"endpoint": {"authentication": self.policy.evaluate_within(value, variables, budget)}}


def schema_reference(endpoint: Json, context: CompileContext) -> ResourceReference:
    """Returns the reference to the schema at an endpoint. Raises `TaskNotCompilable`."""
    complete = partial(absolute, base=context.builder.base)
    return _reference(ResourceKind.SCHEMA, endpoint, context, complete)


def document_reference(endpoint: Json, context: CompileContext) -> ResourceReference:
    """Returns the reference to the document at an endpoint. Raises `TaskNotCompilable`."""
    complete = partial(absolute, base=context.builder.base)
    return _reference(ResourceKind.DOCUMENT, endpoint, context, complete)


def proto_reference(endpoint: Json, context: CompileContext) -> ResourceReference:
    """Returns the reference to the `.proto` at an endpoint, and to all that it imports.

    Raises:
        TaskNotCompilable: its address reads what can change while the task runs.
    """
    complete = partial(absolute, base=context.builder.base)
    return _reference(ResourceKind.PROTO, endpoint, context, complete)


def function_reference(name: str, context: CompileContext) -> ResourceReference:
    """Returns the reference to a function, called by its address or as `name:version@catalog`.

    Raises:
        TaskNotCompilable: there is no such catalog.
    """
    function = cataloged(name)
    if function is None:
        return ResourceReference(ResourceKind.FUNCTION, _literal(name), of_function)
    return _cataloged_reference(function, context)


def _cataloged_reference(function: CatalogedFunction, context: CompileContext) -> ResourceReference:
    """Returns the reference. A catalog of the workflow may be called `default`, too (inventory R3)."""
    if function.catalog in context.builder.use.get("catalogs", {}):
        endpoint = context.named("catalogs", function.catalog)["endpoint"]

        def complete(written: str) -> str:
            return of_catalog(absolute(written, context.builder.base), function.path)

        return _reference(ResourceKind.FUNCTION, endpoint, context, complete)
    if function.catalog != DEFAULT_CATALOG:
        raise TaskNotCompilable(f"use.catalogs has no '{function.catalog}'")
    return ResourceReference(ResourceKind.FUNCTION, _literal(f"{CATALOG}:{function.path}"), absolute)


def _reference(
    kind: ResourceKind, endpoint: Json, context: CompileContext, complete: Callable[[str], str]
) -> ResourceReference:
    address, policy = context.endpoint(endpoint)
    if unusable := sorted(address.variables & CHANGING):
        raise TaskNotCompilable(
            f"the address of a {kind} cannot read ${unusable[0]}; it can read the raw input of the task, '.'"
        )
    if policy is None:
        return ResourceReference(kind, address, complete)
    texts = SecretTexts(context)
    evaluated = compile_policy(policy, ("endpoint", "authentication"), texts, context)
    arguments = texts.arguments(EndpointAuthentication(evaluated, evaluated.variables))
    return ResourceReference(kind, address, complete, arguments, _mark(policy, context.builder.base))


def _mark(policy: Json, base: str) -> str:
    """Returns a digest of a policy and of the text that has it: texts of others are not shared."""
    written = orjson.dumps([base, policy], option=orjson.OPT_SORT_KEYS)
    return " " + hashlib.sha256(written).hexdigest()[:12]


def _literal(address: str) -> Address:
    return Address((UriTemplate((address,), ()),), frozenset())
