"""`try`: errors caught, and tasks tried again (dsl-reference.md, "Try", "Retry Policy")."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from unspool.definitions.durations import NO_TIME
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate, Evaluable, Task, TaskList
from unspool.definitions.site import Site


class Backoff(StrEnum):
    """How the delay grows from retry to retry (inventory M3)."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


NO_DELAY: Final = DurationTemplate(NO_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When, how often and after which delay a `try` starts again."""

    when: Evaluable | None
    except_when: Evaluable | None
    delay: DurationTemplate
    backoff: Backoff
    factor: float
    """Growth of an exponential backoff."""
    increment: DurationTemplate
    """Growth of a linear backoff; without one the delay itself."""
    longest: DurationTemplate
    """A cap on the delay, if set."""
    jitter: tuple[DurationTemplate, DurationTemplate] | None
    retries: int | None
    """At most so many, the first run not counted (inventory M5)."""
    attempt_timeout: DurationTemplate | None
    """Each attempt at most so long (inventory M6)."""
    within: DurationTemplate | None
    """All attempts and delays together at most so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """Which errors are caught, under which name, and what is done then."""

    filter: Mapping[str, Json]
    """Members that an error must equal; empty catches all."""
    name: str
    when: Evaluable | None
    except_when: Evaluable | None
    retry: RetryPolicy | None
    tasks: TaskList | None
    then: str | None


@dataclass(frozen=True, slots=True)
class Try:
    """Tasks, and what becomes of their errors."""

    tasks: TaskList
    catch: Catch

    def handles(self, task: Task) -> bool:
        """Whether a task is one of those that handle an error, not of those that are tried."""
        return self.catch.tasks is not None and task.scope == self.catch.tasks.pointer


def compile_try(task: dict[str, Json], site: Site) -> Try:
    """Reads a `try` task."""
    catch = task["catch"]
    retry = catch.get("retry")
    policy = site.named("retries", retry) if isinstance(retry, str) else retry
    return Try(
        site.task_list(task["try"], "try"),
        Catch(
            filter=_filter(catch.get("errors", {}).get("with", {})),
            name=catch.get("as", "error"),
            when=site.condition(catch.get("when")),
            except_when=site.condition(catch.get("exceptWhen")),
            retry=None if policy is None else _policy(policy, site),
            tasks=site.task_list(catch["do"], "catch", "do") if "do" in catch else None,
            then=catch.get("then"),
        ),
    )


def _filter(members: Mapping[str, Json]) -> Mapping[str, Json]:
    # Older editions of the DSL wrote `details` where an error has `detail` (inventory I30).
    return {"detail" if name == "details" else name: value for name, value in members.items()}


def _policy(policy: dict[str, Json], site: Site) -> RetryPolicy:
    backoff = policy.get("backoff") or {"constant": {}}
    kind, options = next(iter(backoff.items()))
    options = options or {}
    limit = policy.get("limit", {})
    attempt = limit.get("attempt", {})
    jitter = policy.get("jitter")
    return RetryPolicy(
        when=site.condition(policy.get("when")),
        except_when=site.condition(policy.get("exceptWhen")),
        delay=_duration(policy, "delay", site),
        backoff=Backoff(kind),
        factor=options.get("factor", 2),
        increment=_duration(options, "increment", site),
        longest=_duration(options, "maxDelay", site),
        jitter=None if jitter is None else (site.duration(jitter["from"]), site.duration(jitter["to"])),
        retries=attempt.get("count"),
        attempt_timeout=site.duration(attempt["duration"]) if "duration" in attempt else None,
        within=site.duration(limit["duration"]) if "duration" in limit else None,
    )


def _duration(holder: Mapping[str, Json], name: str, site: Site) -> DurationTemplate:
    return site.duration(holder[name]) if name in holder else NO_DELAY
