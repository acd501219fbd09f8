"""`call` of a function: declared, of a catalog, or at an address (dsl.md, "Using a Custom Function")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.resource import ResourceReference
from unspool.definitions.resource_reference import function_reference


@dataclass(frozen=True, slots=True)
class CallFunction:
    """The function to call, and its input."""

    name: str
    task: str
    """Pointer of the function, which is a task."""
    arguments: Evaluable | None
    """The input of the function; the task's transformed input if it is None."""


@dataclass(frozen=True, slots=True)
class CallExternalFunction:
    """A call of a function whose definition is fetched."""

    name: str
    reference: ResourceReference
    arguments: Evaluable | None
    """As of `CallFunction`."""

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The definition of the function."""
        return (self.reference,)


def compile_external_call(task: dict[str, Json], context: CompileContext) -> CallExternalFunction:
    """Compiles a call of a function of a catalog or at an address. Raises `TaskNotCompilable`."""
    name = task["call"]
    arguments = context.template(task["with"]) if "with" in task else None
    return CallExternalFunction(name, function_reference(name, context), arguments)


def compile_function_call(task: dict[str, Json], context: CompileContext) -> CallFunction:
    """Compiles a call of a function, and the function with its first call.

    The call has only the pointer of the function, so that functions can call each other and themselves.
    """
    name = task["call"]
    pointer = child("/use/functions", name)
    builder = context.builder
    if pointer not in builder.functions:
        builder.functions.add(pointer)
        spec = builder.use["functions"][name]
        CompileContext(pointer, builder).task(spec, name, scope="/use/functions", index=0)
    arguments = context.template(task["with"]) if "with" in task else None
    return CallFunction(name, pointer, arguments)
