"""`run: script` (dsl-reference.md, "Script Process")."""

from collections.abc import Mapping
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.resource_reference import document_reference
from unspool.definitions.tasks.request import Request, Unsupported
from unspool.definitions.tasks.run_process import compile_process

KIND: Final = "script"

SOURCE: Final = "source"
"""The name of the document that has the code, unless the task has it."""

JAVASCRIPT: Final = "js"
PYTHON: Final = "python"

_LANGUAGES: Final[Mapping[str, str]] = {
    "js": JAVASCRIPT,
    "javascript": JAVASCRIPT,
    "python": PYTHON,
}


def compile_script(task: dict[str, Any], context: CompileContext) -> Request | Unsupported:
    """Compiles a `run: script` task.

    The code has no expressions: in JavaScript, `${ }` belongs to template literals (inventory I60).
    """
    script = task["run"]["script"]
    language = _LANGUAGES.get(script["language"].lower())
    if language is None:
        return Unsupported(f"the language of a script is js or python, not {script['language']!r}")
    members = {**script, "language": language}
    source = members.pop("source", None)
    documents = {} if source is None else {SOURCE: document_reference(source["endpoint"], context)}
    return compile_process(KIND, task, members, context, constants=("language", "code"), documents=documents)
