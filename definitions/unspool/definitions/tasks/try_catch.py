"""`try`: catches errors and retries tasks (dsl-reference.md, "Try", "Retry Policy")."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.durations import NO_TIME
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate, Task, TaskList


class Backoff(StrEnum):
    """How the delay grows with each retry (inventory M3)."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


NO_DELAY: Final = DurationTemplate(NO_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Whether, how often and after which delay a `try` is retried."""

    when: Evaluable | None
    except_when: Evaluable | None
    delay: DurationTemplate
    backoff: Backoff
    factor: float
    """The factor of an exponential backoff."""
    increment: DurationTemplate
    """The increment of a linear backoff. If it is not set, the delay is used."""
    longest: DurationTemplate
    """The maximum delay, if it is set."""
    jitter: tuple[DurationTemplate, DurationTemplate] | None
    retries: int | None
    """The maximum number of retries, without the first attempt (inventory M5)."""
    attempt_timeout: DurationTemplate | None
    """The time limit of each attempt (inventory M6)."""
    within: DurationTemplate | None
    """The time limit of all attempts and delays together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """Which errors are caught, the name of their variable, and how they are handled."""

    filter: Mapping[str, Json]
    """Members that an error must have with these values. An empty filter catches all errors."""
    name: str
    when: Evaluable | None
    except_when: Evaluable | None
    retry: RetryPolicy | None
    tasks: TaskList | None
    then: str | None


@dataclass(frozen=True, slots=True)
class Try:
    """Tasks, and how their errors are caught."""

    tasks: TaskList
    catch: Catch

    def handles(self, task: Task) -> bool:
        """Returns whether a task is in `catch.do`, not in `try`."""
        return self.catch.tasks is not None and task.scope == self.catch.tasks.pointer


def compile_try(task: dict[str, Json], context: CompileContext) -> Try:
    """Compiles a `try` task."""
    catch = task["catch"]
    retry = catch.get("retry")
    policy = context.named("retries", retry) if isinstance(retry, str) else retry
    return Try(
        context.task_list(task["try"], "try"),
        Catch(
            filter=_filter(catch.get("errors", {}).get("with", {})),
            name=catch.get("as", "error"),
            when=context.condition(catch.get("when")),
            except_when=context.condition(catch.get("exceptWhen")),
            retry=None if policy is None else _policy(policy, context),
            tasks=context.task_list(catch["do"], "catch", "do") if "do" in catch else None,
            then=catch.get("then"),
        ),
    )


def _filter(members: Mapping[str, Json]) -> Mapping[str, Json]:
    # Older editions of the DSL wrote `details` where an error has `detail` (inventory I30).
    return {"detail" if name == "details" else name: value for name, value in members.items()}


def _policy(policy: dict[str, Json], context: CompileContext) -> RetryPolicy:
    backoff = policy.get("backoff") or {"constant": {}}
    kind, options = next(iter(backoff.items()))
    options = options or {}
    limit = policy.get("limit", {})
    attempt = limit.get("attempt", {})
    jitter = policy.get("jitter")
    return RetryPolicy(
        when=context.condition(policy.get("when")),
        except_when=context.condition(policy.get("exceptWhen")),
        delay=_duration(policy, "delay", context),
        backoff=Backoff(kind),
        factor=options.get("factor", 2),
        increment=_duration(options, "increment", context),
        longest=_duration(options, "maxDelay", context),
        jitter=None if jitter is None else (context.duration(jitter["from"]), context.duration(jitter["to"])),
        retries=attempt.get("count"),
        attempt_timeout=context.duration(attempt["duration"]) if "duration" in attempt else None,
        within=context.duration(limit["duration"]) if "duration" in limit else None,
    )


def _duration(holder: Mapping[str, Json], name: str, context: CompileContext) -> DurationTemplate:
    return context.duration(holder[name]) if name in holder else NO_DELAY
