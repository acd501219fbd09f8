"""The arguments of calls: values with expressions, endpoints, and authentication policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.authentication import Descriptor, needs_token, without_parameter
from unspool.definitions.authentication_policy import without_templates
from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.members import Path, member_at, with_member
from unspool.definitions.secret_arguments import SecretTexts, with_secrets
from unspool.definitions.tasks.request import Arguments
from unspool.definitions.uri_template import Address

_AUTHENTICATION: Final[tuple[Path, ...]] = (("authentication",),)


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The arguments of a call, not evaluated."""

    values: Evaluable
    addresses: Mapping[Path, Address]
    """The addresses that are URI templates."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the arguments for the executor. Raises `ExpressionError`."""
        arguments: dict[str, Json] = self.values.evaluate_within(value, variables, budget)
        for path, address in self.addresses.items():
            arguments = with_member(arguments, path, address.evaluate_within(value, variables, budget))
        return arguments


def compile_arguments(
    written: dict[str, Json],
    context: CompileContext,
    *,
    policies: Iterable[Path] = _AUTHENTICATION,
    endpoints: Iterable[Path] = (),
) -> Arguments:
    """Compiles the arguments of a call.

    Args:
        written: as the author wrote them.
        context: of the task.
        policies: where authentication policies may be, which may be named (`use`). Other arguments can read
            them as `$authorization`.
        endpoints: where endpoints may be. The executor gets each as `{uri, authentication}`.

    Raises:
        TaskNotCompilable: a name in `use` does not exist.
    """
    texts = SecretTexts(context)
    addresses: dict[Path, Address] = {}
    for path in policies:
        if (policy := member_at(written, path)) is not None:
            policy, found = without_templates(with_secrets(_resolved(policy, context)), path, texts, context)
            addresses |= found
            written = with_member(written, path, _taken(policy, path, texts))
    for path in endpoints:
        if (endpoint := member_at(written, path)) is None:
            continue
        address, policy = context.endpoint(endpoint)
        authentication = {}
        if policy is not None:
            place = (*path, "authentication")
            policy, found = without_templates(with_secrets(policy), place, texts, context)
            addresses |= found
            authentication = {"authentication": _taken(policy, place, texts)}
        text = endpoint if isinstance(endpoint, str) else endpoint["uri"]
        uri = (*path, "uri")
        if not texts.take(text, child("", *uri), address, "address"):
            addresses[uri] = address
        written = with_member(written, path, {"uri": None, **authentication})
    values = context.template(texts.taken(written, ""))
    reads = values.variables.union(*(address.variables for address in addresses.values()))
    return texts.arguments(CallArguments(values, addresses, reads))


def _taken(policy: Json, place: Path, texts: SecretTexts) -> Json:
    """Returns a policy without its secrets. What is compiled after it can read it as `$authorization`."""
    texts.policy = child("", *place)
    taken = texts.taken(policy, texts.policy)
    texts.secret_authorization = bool(texts.found) or needs_token(policy)
    return taken


def authorization_of(
    written: dict[str, Json], context: CompileContext, path: Path = ("authentication",)
) -> Evaluable | None:
    """Returns what the other expressions of a call read as `$authorization`; None if it has no policy.

    Raises:
        TaskNotCompilable: a name in `use` does not exist.
    """
    policy = member_at(written, path)
    return None if policy is None else authorization_by(_resolved(policy, context), context)


def authorization_by(policy: Json, context: CompileContext) -> Evaluable:
    """Returns what expressions outside of the arguments read as `$authorization` by a policy.

    A policy that reads secrets can be evaluated only for the arguments: the rest is in the history.
    """
    compiled = context.template(with_secrets(policy))
    if "secrets" in compiled.variables:
        return context.template(without_parameter(policy))
    return Descriptor(compiled)


def _resolved(policy: Json, context: CompileContext) -> Json:
    if isinstance(policy, dict) and "use" in policy:
        return context.named("authentications", policy["use"])
    return policy
