"""What the API uses of the engine: check a definition, convert it to JSON."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from unspool.definitions.checks import check, parse_definition
from unspool.definitions.data_schema import DataSchema, SchemaProblem
from unspool.definitions.document import load
from unspool.definitions.executability import unsupported_tasks
from unspool.definitions.expressions import JqRunner, source_problems
from unspool.definitions.feature_levels import unknown_features
from unspool.definitions.json_value import Json
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.eventstore.records import WorkflowRef


class CheckResult(NamedTuple):
    """The identity of a valid definition, or the problems of an invalid one."""

    ref: WorkflowRef | None
    problems: Sequence[Problem]


class Engine:
    """The engine's functions.

    They can be slow on hostile or large input, so the API calls them on a thread.
    """

    def __init__(self, jq: JqRunner) -> None:
        """Takes `jq`, which checks and runs expressions outside the compiled subset."""
        self.jq = jq

    def check(self, text: str, tenant: str) -> CheckResult:
        """Parses and checks a tenant's definition, YAML or JSON, its expressions included."""
        expression_problems = partial(source_problems, jq=self.jq.for_tenant(tenant))
        try:
            members = parse_definition(text, expression_problems=expression_problems).value["document"]
        except DefinitionInvalid as invalid:
            return CheckResult(None, invalid.problems)
        return CheckResult(WorkflowRef(members["namespace"], members["name"], members["version"]), ())

    def findings(self, text: str, tenant: str, functions: Collection[str]) -> list[Problem]:
        """Returns errors and warnings of a stored definition, in the order of the text.

        Args:
            text: the definition.
            tenant: whose definition it is.
            functions: those that executors have, as `name` and `name:version`.
        """
        jq = self.jq.for_tenant(tenant)
        document = load(text)
        found = check(document, expression_problems=partial(source_problems, jq=jq), functions=functions)
        if all(problem.severity is not Severity.ERROR for problem in found):
            found += unsupported_tasks(document, jq)
        return sorted(found, key=lambda problem: (problem.line, problem.column))

    def unknown_features(self, text: str, level: int) -> Sequence[Problem]:
        """Returns what a checked definition uses that a service of this level of features does not know."""
        return unknown_features(load(text), level)

    def input_problems(self, text: str, input_: Json) -> list[SchemaProblem]:
        """Returns where an input does not match the schema in a checked definition.

        A schema at an address is not read: an executor fetches it when an execution begins.
        """
        schema = load(text).value.get("input", {}).get("schema", {}).get("document")
        if schema is None:
            return []
        return DataSchema.compile(schema).problems(input_)

    def document(self, text: str) -> Json:
        """Returns a checked definition as JSON."""
        return load(text).value
