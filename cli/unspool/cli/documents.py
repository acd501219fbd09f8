"""Definitions in files."""

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click

from unspool.cli.exits import CommandError
from unspool.cli.files import read_file
from unspool.cli.jq import jq_pool
from unspool.cli.terminal import printable
from unspool.definitions.checks import check
from unspool.definitions.document import Document, as_function, load
from unspool.definitions.executability import unsupported_tasks
from unspool.definitions.expressions import source_problems
from unspool.definitions.json_pointer import child
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.definitions.semantics import Workflows
from unspool.eventstore.settings import with_default

_FUNCTION: Final = "a function is a task, which is a mapping"


class Checked(NamedTuple):
    """A definition with its errors and warnings."""

    document: Document | None
    """None if the text could not be read."""
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether there are no errors."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)


def loaded(name: str) -> Document | DefinitionInvalid:
    """Returns a file's document, or why its text could not be read.

    Raises:
        CommandError: the file cannot be read.
    """
    text = read_file(name)
    try:
        return load(text, name=name, mapping=_FUNCTION) if _is_function(name) else load(text, name=name)
    except DefinitionInvalid as invalid:
        return invalid


def checked(
    found: Document | DefinitionInvalid, workflows: Workflows | None, functions: Collection[str] = ()
) -> Checked:
    """Checks a definition. `workflows` are all that its sub-workflows can be; None: any.

    `functions` are those that executors are known to have.

    A file with the name of files in catalogs has the definition of a function.
    """
    if isinstance(found, DefinitionInvalid):
        return Checked(None, found.problems)
    if _is_function(found.name):
        name = Path(found.name).resolve().as_uri()  # its address: it cannot call itself by a name
        problems = _problems(as_function(found, name), None, functions)
        inside = child("/use/functions", name)
        return Checked(found, tuple(_of_function(problem, inside) for problem in problems))
    return Checked(found, _problems(found, workflows, functions))


def _problems(
    document: Document, workflows: Workflows | None, functions: Collection[str]
) -> tuple[Problem, ...]:
    """Returns all errors and warnings, in the order of the text."""
    with jq_pool(os.environ) as jq:
        problems = check(
            document,
            expression_problems=partial(source_problems, jq=jq),
            workflows=workflows,
            functions=functions,
        )
        if Checked(document, problems).valid:
            problems += unsupported_tasks(document, jq)
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def _is_function(name: str) -> bool:
    return Path(name).stem == "function" and Path(name).suffix in {".json", ".yaml", ".yml"}


def _of_function(problem: Problem, function: str) -> Problem:
    """Returns a problem with its pointer in the file of the function, which the check has at a pointer."""
    return replace(problem, pointer=problem.pointer.removeprefix(function))


def valid_document(name: str, functions: Collection[str] = ()) -> Document:
    """Returns a file's definition, after printing its warnings and errors. `functions` is as for `checked`.

    Raises:
        CommandError: the definition is not valid, or the file cannot be read.
    """
    text = read_file(name)
    try:
        document = load(text, name=name)
        problems = _problems(document, None, functions)
    except DefinitionInvalid as unreadable:
        document, problems = None, unreadable.problems
    for problem in problems:
        click.echo(printable(line_of(name, problem)), err=True)
    if document is None or not Checked(document, problems).valid:
        raise CommandError(f"{name} is not a valid definition")
    return document


def line_of(name: str, problem: Problem) -> str:
    """Returns the line that shows a problem of a file."""
    warning = " [warning]" if problem.severity is Severity.WARNING else ""
    return f"{name}:{problem}{warning}"


def beside(file: str) -> Mapping[str, str]:
    """Returns the environment, in which relative addresses of resources begin at the directory of a file.

    A setting in the environment has priority.
    """
    if file == "-":
        return os.environ
    return with_default(os.environ, "UNSPOOL_RESOURCES_DIR", str(Path(file).resolve().parent))
