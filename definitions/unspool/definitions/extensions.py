"""Compiles `use.extensions` (dsl-reference.md, "Extension"; inventory Q1-Q8)."""

from collections.abc import Mapping

from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.extension_targets import EXTENSIONS
from unspool.definitions.plan import Extension


def compile_extensions(builder: PlanBuilder) -> Mapping[str, Extension]:
    """Compiles all extensions. Returns them by their pointers."""
    declared = CompileContext(EXTENSIONS, builder)
    compiled = {}
    for index, entry in enumerate(builder.use.get("extensions", ())):
        for name, spec in entry.items():
            context = declared.at(index, name)
            compiled[context.pointer] = Extension(
                context.condition(spec.get("when")),
                context.task_list(spec.get("before", []), "before"),
                context.task_list(spec.get("after", []), "after"),
            )
    return compiled
