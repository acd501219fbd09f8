"""`document.metadata.unspool.tags`: a definition makes tags of an execution from its context."""

from collections.abc import Mapping
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.evaluable import Evaluable

PLACE: Final = ("document", "metadata", "unspool", "tags")


def compile_tags(definition: Mapping[str, Any], builder: PlanBuilder) -> dict[str, Evaluable]:
    """Compiles the tags of a definition, by name; what cannot be a tag is left out.

    A definition that was stored before the member had a meaning may have anything there.
    """
    context = CompileContext("", builder).at(*PLACE)
    texts = tags_of(definition).items()
    return {name: context.at(name).template(text) for name, text in texts if isinstance(text, str)}


def tags_of(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the tags as they are written, by name; none if there is something else."""
    tags: Any = definition
    for step in PLACE:
        tags = tags.get(step) if isinstance(tags, dict) else None
    return tags if isinstance(tags, dict) else {}
