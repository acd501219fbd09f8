"""Compiles authentication policies: expressions, secrets, and URI templates (inventory K2, K5, L2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.members import Path, member_at, with_member
from unspool.definitions.secret_arguments import SecretTexts, with_secrets
from unspool.definitions.uri_template import Address, UriTemplate

_TEMPLATES: Final = (
    ("oauth2", "authority"),
    ("oauth2", "endpoints", "token"),
    ("oidc", "authority"),
)


@dataclass(frozen=True, slots=True)
class PolicyTemplate:
    """A policy, not evaluated."""

    values: Evaluable
    addresses: Mapping[Path, Address]
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the policy. Raises `ExpressionError`."""
        policy: dict[str, Json] = self.values.evaluate_within(value, variables, budget)
        for path, address in self.addresses.items():
            policy = with_member(policy, path, address.evaluate_within(value, variables, budget))
        return policy


def compile_policy(policy: Json, place: Path, texts: SecretTexts, context: CompileContext) -> Evaluable:
    """Compiles a policy of a request.

    Args:
        policy: as the author wrote it, without a name in `use`.
        place: where it is in the arguments of the request.
        texts: collects what reads secrets.
        context: of the task.
    """
    written, addresses = without_templates(with_secrets(policy), place, texts, context)
    values = context.template(texts.taken(written, child("", *place)))
    if not addresses:
        return values
    inside = {path[len(place) :]: address for path, address in addresses.items()}
    reads = values.variables.union(*(address.variables for address in inside.values()))
    return PolicyTemplate(values, inside, reads)


def without_templates(
    policy: Json, place: Path, texts: SecretTexts, context: CompileContext
) -> tuple[Json, dict[Path, Address]]:
    """Returns the policy with `null` in place of URI templates, and these by their path in the arguments."""
    addresses: dict[Path, Address] = {}
    for path in _TEMPLATES:
        written = member_at(policy, path)
        if not isinstance(written, str):
            continue
        address = context.address(written)
        if any(isinstance(part, UriTemplate) and part.names for part in address.parts):
            if not texts.take(written, child("", *place, *path), address, "address"):
                addresses[*place, *path] = address
            policy = with_member(policy, path, None)
    return policy, addresses
