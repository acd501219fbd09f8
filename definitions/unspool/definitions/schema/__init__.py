"""The structure of workflow definitions: a JSON Schema, and a checker that suggests corrections."""

from unspool.definitions.schema.checker import MAX_TASKS, Occurrence, check_structure

__all__ = ["MAX_TASKS", "Occurrence", "check_structure"]
