"""The structure of workflow definitions: a JSON Schema, and a checker that says what was probably meant."""

from unspool.definitions.schema.checker import MAX_TASKS, Occurrence, check_structure

__all__ = ["MAX_TASKS", "Occurrence", "check_structure"]
