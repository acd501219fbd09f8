"""`try`: catches errors and retries tasks (inventory I29-I39, M1-M9).

After a caught error, the tasks are retried. If the policy does not allow a retry, or no retry is left,
`catch.do` handles the error. With a policy, but without `catch.do` and `catch.then`, the error goes to the
parent (I36). Without all three, the `try` completes with its input.
"""

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError, same_type
from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList
from unspool.definitions.tasks.try_catch import Catch, RetryPolicy, Try
from unspool.eventstore.records import Status
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended
from unspool.worker.interpreter.flow import INPUT, cancel_children, complete, create, fail
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose
from unspool.worker.interpreter.tasks.retry_delay import retry_delay


class TryInterpreter(InOrder):
    """Runs a list of tasks, and another one when it fails."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Try) -> None:
        """Begins the first attempt."""
        _attempt(builder, run, body)

    def tasks(self, body: Try, child: Ended) -> TaskList:
        """The list that contains a child: `try` or `catch.do`."""
        handling = body.catch.tasks
        return handling if handling is not None and body.handles(child.task) else body.tasks

    def done(self, builder: DecisionBuilder, run: Run, body: Try, child: Ended) -> None:
        """Completes; after `catch.do` with the flow directive `catch.then` (inventory I37)."""
        complete(builder, run, run.data, body.catch.then if body.handles(child.task) else None)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Try, child: Ended, error: WorkflowError
    ) -> None:
        """Catches an error of the `try` list; an error in `catch.do` faults this task (inventory I34)."""
        if body.handles(child.task):
            fail(builder, run, error)
        else:
            _failed(builder, run, body, error)

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Try, purpose: Purpose) -> None:
        """Begins an attempt after the delay of a retry, or ends an attempt that took too long."""
        if purpose is Purpose.RETRY:
            _attempt(builder, run, body)
            return
        cancel_children(builder, run)
        error = errors.timeout("an attempt took longer than retry.limit.attempt.duration").at(run.task)
        _failed(builder, builder.run(run.id), body, error.under(builder.error_base))

    def continued(self, builder: DecisionBuilder, run: Run, body: Try) -> None:
        """Sets the limit of an attempt that has none."""
        if run.fault is None and not builder.has_timer(run, Purpose.ATTEMPT):
            _limit(builder, run, body)


def _attempt(builder: DecisionBuilder, run: Run, body: Try) -> None:
    """Begins an attempt, with the same input as the first one (inventory I38)."""
    first = body.tasks.first
    if first is None:
        complete(builder, run, INPUT)
        return
    if builder.state.status is not Status.SUSPENDED:  # otherwise nothing starts, and a resume sets the limit
        _limit(builder, run, body)
    create(builder, first, builder.run(run.id))


def _limit(builder: DecisionBuilder, run: Run, body: Try) -> None:
    policy = body.catch.retry
    if policy is not None and policy.attempt_timeout is not None:
        limit = Scope(builder, run).duration(policy.attempt_timeout, run.input)
        builder.schedule(run, Purpose.ATTEMPT, limit.due(builder.now))


def _failed(builder: DecisionBuilder, run: Run, body: Try, error: WorkflowError) -> None:
    """Reacts to the error of an attempt: retries, handles it, or passes it to the parent."""
    builder.clear_timers(run, purpose=Purpose.ATTEMPT)
    catch, problem = body.catch, error.to_json()
    scope = Scope(builder, run, {catch.name: problem})
    if not _catches(scope, catch, problem):
        fail(builder, run, error)
    elif catch.retry is not None and _retry(builder, run, body, catch.retry, error):
        pass
    elif catch.tasks is not None:
        _handle(builder, run, catch, catch.tasks, problem)
    elif catch.retry is not None and catch.then is None:  # inventory I36
        fail(builder, run, error)
    else:
        complete(builder, run, INPUT, catch.then, {catch.name: problem})


def _catches(scope: Scope, catch: Catch, problem: dict[str, Json]) -> bool:
    for member, expected in catch.filter.items():
        found = problem.get(member)
        matches = same_type(expected, str(found)) if member == "type" else expected == found
        if not matches:
            return False
    return _conditions_hold(scope, catch, problem)


def _conditions_hold(scope: Scope, conditions: Catch | RetryPolicy, problem: dict[str, Json]) -> bool:
    """Whether `when` holds for the error and `exceptWhen` does not (inventory I32)."""
    if conditions.when is not None and not scope.holds(conditions.when, problem):
        return False
    return conditions.except_when is None or not scope.holds(conditions.except_when, problem)


def _handle(
    builder: DecisionBuilder, run: Run, catch: Catch, tasks: TaskList, problem: dict[str, Json]
) -> None:
    if tasks.first is None:
        complete(builder, run, INPUT, catch.then, {catch.name: problem})
    else:
        create(builder, tasks.first, run, {"caught": problem})


def _retry(builder: DecisionBuilder, run: Run, body: Try, policy: RetryPolicy, error: WorkflowError) -> bool:
    """Begins another attempt, now or after a delay. Returns False if the policy does not allow it."""
    problem = error.to_json()
    scope = Scope(builder, run, {body.catch.name: problem})
    attempt = run.attempt + 1
    if policy.retries is not None and attempt > policy.retries:
        return False
    if not _conditions_hold(scope, policy, problem):
        return False
    due_at = builder.now + retry_delay(scope, policy, attempt, run.input, error.retry_after or 0)
    if policy.within is not None:
        started = run.started_at if run.started_at is not None else builder.now
        if due_at > scope.duration(policy.within, run.input).due(started):
            return False
    builder.emit("task.retried", run, {"attempt": attempt, "error": problem})
    again = builder.run(run.id)
    if due_at > builder.now:
        builder.schedule(again, Purpose.RETRY, due_at)
    else:
        _attempt(builder, again, body)
    return True
