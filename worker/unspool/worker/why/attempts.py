"""The attempts of tasks that are retried, and their last errors."""

from typing import NamedTuple

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks.try_catch import Try
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.state import State
from unspool.worker.why.facts import Facts, short

_MEMBERS = ("type", "status", "title", "detail", "instance")


class Attempt(NamedTuple):
    """An attempt of a `try`."""

    number: int
    """From 1."""
    most: int | None
    """None if the number of attempts has no limit."""
    error: Json
    """The error of the attempt before, an RFC 7807 object; None if it is not known, and for the first one."""

    @property
    def text(self) -> str:
        """The number in words: `attempt 2 of 3`."""
        return f"attempt {self.number}" + ("" if self.most is None else f" of {self.most}")

    @property
    def after(self) -> str:
        """A clause with the error, or nothing."""
        return "" if self.error is None else f" after {error_text(self.error)}"

    def facts(self) -> dict[str, Json]:
        """Returns it as members of a reason."""
        return {"attempt": self.number, "attempts": self.most, "lastError": _short_error(self.error)}


def attempt_of(plan: Plan, state: State, run: Run, facts: Facts) -> Attempt | None:
    """Returns the attempt of the innermost `try` that a run is, or is in; None without one."""
    around: Run | None = run
    while around is not None and around.parent is not None:
        task = plan.tasks.get(around.task)
        if task is not None and isinstance(task.body, Try) and task.body.catch.retry is not None:
            retries = task.body.catch.retry.retries
            return Attempt(
                around.attempt + 1, None if retries is None else retries + 1, _error(around, facts)
            )
        around = state.runs.get(around.parent)
    return None


def _error(run: Run, facts: Facts) -> Json:
    retried = (each for each in reversed(facts.history) if each.type == "task.retried")
    return next((each.data["error"] for each in retried if each.run == run.id), None)


def error_text(error: Json) -> str:
    """Returns an RFC 7807 problem in a few words: `a communication error 503 at /do/0/pay (no answer)`."""
    if not isinstance(error, dict):
        return "an error that is not known"
    kind = str(error.get("type", "")).rpartition("/")[2] or "unknown"
    status = f" {error['status']}" if "status" in error else ""
    at = f" at {error['instance']}" if error.get("instance") else ""
    detail = error.get("detail") or error.get("title")
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind} error{status}{at}" + (f" ({short(str(detail))})" if detail else "")


def _short_error(error: Json) -> Json:
    if not isinstance(error, dict):
        return None
    return {name: short(error[name]) for name in _MEMBERS if name in error}
