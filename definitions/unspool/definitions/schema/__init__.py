"""The structure of workflow definitions: a JSON Schema, and a checker that suggests corrections.

The checker also checks documents of other kinds with schemas that are written in the same way.
"""

from unspool.definitions.schema.checker import MAX_TASKS, Occurrence, check_structure, check_with_rule
from unspool.definitions.schema.rules import Rule, linked

__all__ = ["MAX_TASKS", "Occurrence", "Rule", "check_structure", "check_with_rule", "linked"]
