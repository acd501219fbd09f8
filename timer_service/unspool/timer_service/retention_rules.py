"""How long ended executions are kept: rules by workflow and status, as `UNSPOOL_RETENTION` has them."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from unspool.eventstore import port
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.ids import NAME
from unspool.eventstore.records import ENDED, ExecutionRecord, Status, WorkflowRef
from unspool.eventstore.retention import Retention
from unspool.eventstore.settings import BadSetting

DEFAULT_RETENTION: Final = "30d"

FOREVER: Final = "forever"

_TIME: Final = re.compile(r"(\d{1,9})([smhdw])")
_MILLISECONDS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ALL: Final = "*"

_KEPT_MILLISECONDS: Final = 24 * 3_600_000
"""After this time, at most, it looks again at an execution that a rule keeps: the rules may have changed."""


class Store(Retention, port.Timers, Protocol):
    """The parts of a store that tell what is due."""


class _Selector(NamedTuple):
    """The executions that a rule applies to; None matches all."""

    namespace: str | None = None
    name: str | None = None
    status: Status | None = None


class RetentionRules(NamedTuple):
    """How long executions are kept after their end, in milliseconds; None: forever."""

    times: Mapping[_Selector, int | None]

    def kept_for(self, workflow: WorkflowRef, status: Status) -> int | None:
        """The time of the most specific rule: for the workflow, its namespace, all; then for the status."""
        namespace, name, _ = workflow
        selectors = (
            _Selector(of_namespace, of_name, of_status)
            for of_namespace, of_name in ((namespace, name), (namespace, None), (None, None))
            for of_status in (status, None)
        )
        return next(self.times[selector] for selector in selectors if selector in self.times)

    @property
    def shortest(self) -> int | None:
        """The shortest time of all rules; None if nothing is ever deleted."""
        return min((time for time in self.times.values() if time is not None), default=None)


def retention_rules(text: str, variable: str = "UNSPOOL_RETENTION") -> RetentionRules:
    """Reads rules such as `30d; faulted=90d; orders/*=7d; orders/pay:faulted=forever`.

    Raises:
        BadSetting: a rule is not valid, or there are two for the same executions.
    """
    times: dict[_Selector, int | None] = {}
    for rule in filter(None, map(str.strip, text.split(";"))):
        selector, _, time = rule.rpartition("=")
        try:
            key, kept = _selector(selector.strip()), time_of(time.strip())
        except ValueError as error:
            raise BadSetting(f"{variable}: {rule!r}: {error}") from None
        if key in times:
            raise BadSetting(f"{variable}: {rule!r}: there is another rule for the same executions")
        times[key] = kept
    times.setdefault(_Selector(), time_of(DEFAULT_RETENTION))
    return RetentionRules(times)


def time_of(text: str) -> int | None:
    """Reads a time such as `90d`, in milliseconds; None for `forever`. Raises `ValueError`."""
    if text == FOREVER:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time, such as 12h, 30d, 8w or {FOREVER} (units: s, m, h, d, w)")
    return int(match[1]) * _MILLISECONDS[match[2]]


def _selector(text: str) -> _Selector:
    """Reads `STATUS`, `NAMESPACE/NAME` or `NAMESPACE/*`, the latter two also with `:STATUS`; "" is all."""
    workflow, colon, status = text.partition(":")
    if not colon and "/" not in workflow:
        return _Selector(status=_status(workflow)) if workflow else _Selector()
    namespace, _, name = workflow.partition("/")
    if not NAME.fullmatch(namespace) or not (name == _ALL or NAME.fullmatch(name)):
        raise ValueError(f"{workflow!r} is not a workflow: NAMESPACE/NAME or NAMESPACE/*")
    return _Selector(namespace, None if name == _ALL else name, _status(status) if colon else None)


def _status(text: str) -> Status:
    names = sorted(status.value for status in ENDED)
    if text not in names:
        raise ValueError(f"{text!r} is not a status of an ended execution: {', '.join(names)}")
    return Status(text)


def expires_at(rules: RetentionRules, record: ExecutionRecord, now: int) -> int:
    """When an execution that has ended may be deleted, or may be looked at again; milliseconds since 1970."""
    kept = None if is_built_in(record.key.id) else rules.kept_for(record.workflow, record.status)
    if kept is None:
        return now + _KEPT_MILLISECONDS
    ended = record.created_at if record.ended_at is None else record.ended_at
    return min(ended + kept, now + _KEPT_MILLISECONDS)


async def overdue_by(store: Store, rules: RetentionRules) -> float:
    """For how many seconds the execution that should be deleted next has been due; 0 if none is due."""
    if rules.shortest is None:
        return 0.0
    now = await store.now()
    left = await store.ended_before(now - rules.shortest, 1)
    return max((now - expires_at(rules, record, now) for record in left), default=0) / 1000
