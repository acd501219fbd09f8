"""The answer to why an execution waits: one sentence, and its parts."""

from collections.abc import Sequence
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.records import ExecutionRecord, Status
from unspool.worker.why.attempts import error_text
from unspool.worker.why.facts import Reason

_MOST_CLAUSES: Final = 3


def why_json(record: ExecutionRecord, reasons: Sequence[Reason], error: Json = None) -> dict[str, Json]:
    """Returns the answer as JSON: `sentence` and `waitsFor`.

    Args:
        record: the execution.
        reasons: what it waits for.
        error: its error, if it has faulted.
    """
    sentence = _of_ended(record, error) if record.status.ended else _of_waiting(record, reasons)
    return {"sentence": sentence, "waitsFor": [reason.to_json() for reason in reasons]}


def _of_waiting(record: ExecutionRecord, reasons: Sequence[Reason]) -> str:
    clauses = [reason.clause for reason in reasons[:_MOST_CLAUSES]]
    if len(reasons) > _MOST_CLAUSES:
        clauses.append(f"and {len(reasons) - _MOST_CLAUSES} more")
    if not clauses:
        clauses = ["it waits for nothing outside: a worker processes it"]
    return f"Execution {record.key.id} of {record.workflow} is {record.status}: {'; '.join(clauses)}."


def _of_ended(record: ExecutionRecord, error: Json) -> str:
    at = "" if record.ended_at is None else f" at {rfc3339(record.ended_at)}"
    verb = "was" if record.status is Status.CANCELLED else "has"
    cause = f", with {error_text(error)}" if record.status is Status.FAULTED else ""
    ended = f"{verb} {record.status}{at}{cause}"
    return f"Execution {record.key.id} of {record.workflow} {ended}; it waits for nothing."
