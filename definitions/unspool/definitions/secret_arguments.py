"""Arguments that read `$secrets`: they travel as expressions, and the executor evaluates them.

The worker evaluates all other arguments. The request has `null` in place of a text that reads a secret, and
the text beside the arguments, in the member `SECRETS`, with the values that its expressions read. The names
of arguments come from the definition, so that data cannot make this member.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget, ExpressionCompiler, JqRunner
from unspool.definitions.expressions.template import split
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.secret_names import secrets_read
from unspool.definitions.tasks.request import Arguments

SECRETS: Final = "$secrets"
"""The member of a request's arguments that has the texts."""

POLICY: Final = "/endpoint/authentication"
"""Where the authentication policy of a call is by default. Other texts can read it as `$authorization`."""

Syntax = Literal["value", "address", "command"]

_ONLY_SECRET: Final = re.compile(r'\s*\$secrets(?:\.\w+|\["[^"\\]*"\])+\s*')


def expressions_of(text: str, syntax: Syntax) -> list[str]:
    """Returns the sources of the expressions in a text; the text itself if it is one without `${ }`."""
    parts = split(text, shell_parameters=syntax == "command")
    return [part.source for part in parts if part.expression] or [text]


def with_secrets(policy: Json) -> Json:
    """Returns a policy with an expression in place of each scheme that is a secret (inventory K1)."""
    if not isinstance(policy, dict):
        return policy
    return {scheme: _secret(spec["use"]) if _is_use(spec) else spec for scheme, spec in policy.items()}


def _is_use(spec: Json) -> bool:
    return isinstance(spec, dict) and isinstance(spec.get("use"), str)


def _secret(name: str) -> str:
    return "${ $secrets[" + orjson.dumps(name).decode() + "] }"


@dataclass(frozen=True, slots=True)
class SecretText:
    """A text of the definition that reads `$secrets`."""

    pointer: str
    """Where its value belongs in the arguments."""
    text: str
    syntax: Syntax
    needs: tuple[str, ...]
    """The secrets that must exist."""
    variables: frozenset[str]
    """The other variables that it reads; the worker knows their values."""

    def request(self, value: Json, variables: Mapping[str, Json]) -> dict[str, Json]:
        """Returns the text and the values that its expressions read, for a task request."""
        request: dict[str, Json] = {
            "at": self.pointer,
            "text": self.text,
            "syntax": self.syntax,
            "needs": list(self.needs),
            "variables": {name: variables.get(name) for name in sorted(self.variables)},
        }
        return request if self._reads_only_secrets else {**request, "input": value}

    @property
    def _reads_only_secrets(self) -> bool:
        return self.syntax != "address" and all(
            _ONLY_SECRET.fullmatch(part.source) for part in split(self.text) if part.expression
        )


@dataclass(slots=True)
class SecretTexts:
    """Collects the texts of a task that read `$secrets`, while its arguments are compiled."""

    context: CompileContext
    secret_authorization: bool = False
    """Whether `$authorization` holds a secret."""
    policy: str = POLICY
    """Where the authentication policy is."""
    found: list[SecretText] = field(default_factory=list)

    @property
    def declared(self) -> tuple[str, ...]:
        """The names in `use.secrets`."""
        return tuple(self.context.builder.use.get("secrets") or ())

    def taken(self, value: Json, pointer: str) -> Json:
        """Returns the value with `null` in place of each text that reads a secret."""
        if isinstance(value, str):
            return None if self.take(value, pointer, self.context.template(value), "value") else value
        if isinstance(value, dict):
            return {name: self.taken(member, child(pointer, name)) for name, member in value.items()}
        if isinstance(value, list):
            return [self.taken(item, child(pointer, index)) for index, item in enumerate(value)]
        return value

    def take(self, text: str, pointer: str, compiled: Evaluable, syntax: Syntax) -> bool:
        """Collects a text if it reads a secret; returns whether it does."""
        hidden = {"secrets", "authorization"} if self.secret_authorization else {"secrets"}
        if not compiled.variables & hidden:
            return False
        read = [each.name for source in expressions_of(text, syntax) for each in secrets_read(source)]
        dynamic = self.declared if None in read else ()
        needs = dict.fromkeys((*(name for name in read if name is not None), *dynamic))
        self.found.append(SecretText(pointer, text, syntax, tuple(needs), compiled.variables - hidden))
        return True

    def arguments(self, evaluated: Arguments) -> Arguments:
        """Returns the arguments of the task: the evaluated ones, and the texts."""
        if not self.found and not self.declared:
            return evaluated
        reads = evaluated.variables.union(*(text.variables for text in self.found))
        loose = self.context.builder.expressions.loose
        return SecretArguments(evaluated, tuple(self.found), self.declared, self.policy, loose, reads)


@dataclass(frozen=True, slots=True)
class SecretArguments:
    """Arguments of which some read secrets."""

    evaluated: Arguments
    texts: tuple[SecretText, ...]
    declared: tuple[str, ...]
    """The secrets of the workflow. The executor masks their values in what the task returns."""
    policy: str
    """Where the authentication policy is."""
    loose: bool
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the request for the executor. Raises `ExpressionError`."""
        secrets: dict[str, Json] = {
            "declared": list(self.declared),
            "texts": [text.request(value, variables) for text in self.texts],
        }
        if self.policy != POLICY:
            secrets["policy"] = self.policy
        if self.loose:
            secrets["loose"] = True
        return {**self.evaluated.evaluate_within(value, variables, budget), SECRETS: secrets}


def evaluated_text(
    request: Mapping[str, Any], known: Mapping[str, Json], budget: Budget, jq: JqRunner | None, *, loose: bool
) -> Json:
    """Returns the value of one text of a task request.

    Args:
        request: as `SecretText.request` makes it.
        known: the values of `$secrets` and `$authorization`.
        budget: what the expressions of one request may use.
        jq: runs the expressions that do not compile to closures.
        loose: whether a text that fails is plain text (inventory D2).

    Raises:
        ExpressionError: an expression fails.
    """
    compiler = ExpressionCompiler(jq=jq, mode="loose" if loose else "strict")
    context = CompileContext("", PlanBuilder(compiler, {}, _no_tasks, _no_tasks))
    compile_text = {
        "value": context.template,
        "address": context.address,
        "command": context.shell_command,
    }[request["syntax"]]
    evaluable: Evaluable = compile_text(request["text"])
    return evaluable.evaluate_within(request.get("input"), {**request["variables"], **known}, budget)


def _no_tasks(_task: Any, _context: CompileContext) -> Any:
    raise AssertionError("a text has no tasks")
