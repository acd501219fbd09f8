"""Checks calls of gRPC beyond their structure (inventory J19, J20)."""

from collections.abc import Iterable
from typing import Any

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence


def check_grpc(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Warns of calls without a proto, whose server has to describe itself, and of misplaced settings."""
    for found in occurrences:
        if found.role == "task" and isinstance(found.value, dict):
            _check(found.value, found.pointer, findings)


def _check(task: dict[str, Any], pointer: str, findings: Findings) -> None:
    if task.get("call") == "grpc":
        arguments = task.get("with")
        if isinstance(arguments, dict) and "proto" not in arguments:
            findings.warning(
                child(pointer, "with"),
                "without 'proto' the server has to describe itself (server reflection); "
                "the DSL requires 'proto', so other runtimes refuse this",
                at_key=True,
            )
        return
    metadata = task.get("metadata")
    unspool = metadata.get("unspool") if isinstance(metadata, dict) else None
    if isinstance(unspool, dict) and "tls" in unspool:
        mark = child(pointer, "metadata", "unspool", "tls")
        findings.warning(mark, "'tls' has no effect here: only a 'call: grpc' has it", at_key=True)
