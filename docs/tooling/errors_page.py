"""docs/reference/errors.md: errors of workflows, problems of the API, exit codes, exceptions."""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from docs.tooling.markdown import code, page, table, text

from unspool.api.openapi import ADVICE, OTHER_PROBLEMS, PROBLEMS
from unspool.cli.exits import MEANINGS
from unspool.client import errors as of_client
from unspool.definitions import errors as of_workflows
from unspool.definitions.error_causes import CAUSES
from unspool.definitions.errors import DEFAULT_BASE, STANDARD

_INTRODUCTION: Final = """\
What can go wrong, by the place where you see it. [Troubleshooting](../troubleshooting.md) begins with
symptoms."""

_OF_WORKFLOWS: Final = f"""\
An error of a workflow is an RFC 7807 object with `type`, `status`, `title`, `detail` and `instance`, the
JSON pointer of the task. A `try` can catch it by any of these; if none does, the execution faults with it.
The type of a standard error is `{DEFAULT_BASE}` and its kind, or begins with `UNSPOOL_ERROR_BASE`.
Workflows and functions raise errors of their own types, too
([when something fails](../tutorial.md#11-when-something-fails)). The
titles in the table are those that Unspool itself writes; a call that fails often has the title of the
answer."""

_OF_API: Final = """\
The API answers with `application/problem+json`. The `type` is always `about:blank`: the status says what
kind of problem it is, `detail` names the cause. Other statuses of a call are in its [description](api.md)."""

_OF_CLIENT: Final = """\
[`unspool.client`](../client.md) raises these exceptions, all of them in `unspool.client`."""

_ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = ("definitions", "worker", "executor")

_MAKERS: Final = {**{kind: kind for kind in STANDARD}, "call_error": "communication"}
"""The functions that make standard errors, with the kind."""

_COMPUTED: Final = {
    "f'{what.capitalize()} failed'": ("Command failed", "Container failed", "Script failed"),
    "f'{what.capitalize()} too large'": ("Request too large", "Response too large"),
    "error.code().name": (),  # of the answer
    "title": (),  # of the answer, or of a call of `call_error`
}
"""What titles that the source computes can be."""


def errors_page() -> str:
    """Returns the page."""
    return page("Errors", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    yield from ("## Errors of workflows", "", _OF_WORKFLOWS, "")
    yield from table(("kind", "status", "why", "what to do", "titles"), _standard_errors())
    yield from ("", "## Problems of the HTTP API", "", _OF_API, "")
    yield from table(("status", "why", "what to do"), _problems())
    yield from ("", "## Exit codes", "")
    exits = ((str(int(number)), text(why), text(advice)) for number, (why, advice) in MEANINGS.items())
    yield from table(("code", "why", "what to do"), exits)
    yield from ("", "## Exceptions of the client", "", _OF_CLIENT, "")
    yield from table(("exception", "is a", "why"), _exceptions())


def _standard_errors() -> Iterator[tuple[str, ...]]:
    titles = _titles()
    for kind, status in STANDARD.items():
        found = CAUSES[kind]
        shown = "; ".join(text(title) for title in sorted(titles[kind]))
        yield code(kind), str(status), text(found.cause), text(found.advice), shown


def _problems() -> Iterator[tuple[str, ...]]:
    causes = {**PROBLEMS, **OTHER_PROBLEMS}
    for status, advice in ADVICE.items():
        yield str(status), text(causes[status]), text(advice)


def _exceptions() -> Iterator[tuple[str, str, str]]:
    for name, found in vars(of_client).items():
        if isinstance(found, type) and found.__module__ == of_client.__name__:
            above = ", ".join(code(base.__name__) for base in found.__bases__)
            yield code(name), above, text((found.__doc__ or "").partition("\n")[0])


def _titles() -> dict[str, set[str]]:
    """Returns the titles of standard errors that the source has, by kind.

    Raises:
        LookupError: the source computes a title that `_COMPUTED` does not have.
    """
    found = defaultdict(set, {kind: {_usual_title(kind)} for kind in STANDARD})
    for folder in _SOURCES:
        for file in (_ROOT / folder).rglob("*.py"):
            module = ".".join(file.relative_to(_ROOT / folder).with_suffix("").parts)
            for node in _calls(file.read_text(encoding="utf-8")):
                if (kind := _MAKERS.get(_called(node))) is not None:
                    found[kind].update(_title(node, module))
    return found


def _usual_title(kind: str) -> str:
    """Returns the title of an error of this kind that has none of its own."""
    return str(inspect.signature(getattr(of_workflows, kind)).parameters["title"].default)


def _calls(source: str) -> Iterator[ast.Call]:
    if "errors" in source:  # else it makes no standard error
        yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _title(node: ast.Call, module: str) -> Iterator[str]:
    given = [each.value for each in node.keywords if each.arg == "title"]
    place = 2 if _called(node) == "call_error" else 1
    for value in (*given, *node.args[place : place + 1]):
        if isinstance(value, ast.Constant):
            yield str(value.value)
        elif (written := ast.unparse(value)) in _COMPUTED:
            yield from _COMPUTED[written]
        elif isinstance(title := getattr(import_module(module), written, None), str):
            yield title
        else:
            raise LookupError(f"{module}:{value.lineno}: what can {written} be? See _COMPUTED")
