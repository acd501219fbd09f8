"""What each type of event in a history says, and the members of its data (docs/reference/events.md).

The interpreter and the schedules write these events (`interpreter/evolve.py`, `schedule/evolve.py`). A member
with `?` at its end is absent where it does not apply.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class EventType(NamedTuple):
    """One type of event."""

    meaning: str
    members: Mapping[str, str]
    """What the members of `data` are, by name."""


def _type(meaning: str, **members: str) -> EventType:
    """Returns a type; a name with `_` at its end is that of a member that can be absent."""
    named = {f"{name[:-1]}?" if name.endswith("_") else name: text for name, text in members.items()}
    return EventType(meaning, MappingProxyType(named))


_ACTOR: Final = {"by_": "who asked for it", "reason_": "why, in the words of that caller"}
_ERROR: Final = "the error, an RFC 7807 object"
_CONTEXT: Final = "the new context, if `export` set one"
_RESOURCE: Final = "what it is used as, with its address"

OF_WORKFLOWS: Final = MappingProxyType(
    {
        "workflow.started": _type(
            "The execution has its first decision.",
            workflow="namespace, name and version of the definition",
            input="the input as the caller gave it",
            data_="the input after `input.from`",
            parent_="the execution and the run that started it as a sub-workflow, and the depth",
            idempotencyKey_="the key that the definition derives from the input",
            tags_="the tags that the caller gave",
            by_="who started it",
            traceparent_="the trace context of the request or event that started it (W3C)",
            tracestate_="what belongs to traceparent",
        ),
        "workflow.tagged": _type(
            "The tags that the definition makes from the context have changed.",
            tags="all tags of the execution",
            refused_="why values cannot be tags, by name of the tag",
        ),
        "workflow.suspended": _type("An operator suspended the execution.", **_ACTOR),
        "workflow.resumed": _type("An operator resumed the execution.", **_ACTOR),
        "workflow.retried": _type(
            "An operator restarted a faulted execution at the task that faulted.",
            branches_="present if branches that had lost a fork with `compete` run again, too",
            **_ACTOR,
        ),
        "workflow.cancelled": _type("The execution was cancelled. It has ended.", **_ACTOR),
        "workflow.faulted": _type("An error that no task caught ended the execution.", error=_ERROR),
        "workflow.completed": _type("The execution has ended with success.", output="its output"),
        "workflow.joined": _type(
            "Another execution waits for the end of this one, because both have the same idempotency key.",
            execution="the execution that waits",
            run="the run of its task",
            child="the id of the sub-workflow in its history",
        ),
        "workflow.correlation-started": _type(
            "A `listen` task has begun to wait for events.",
            filters="the values with which each filter compares events",
            read="what the task gets of an event: `data`, `envelope` or `raw`",
            foreach_="true if the task has a `foreach`",
            keep_="true if events are kept for a condition in `until`",
        ),
        "workflow.correlation-completed": _type(
            "A `listen` task has all its events.", keys_="the values of the correlations, by name"
        ),
    }
)
"""The types with the name `workflow.…`."""

OF_TASKS: Final = MappingProxyType(
    {
        "task.created": _type(
            "A run of a task exists. It starts in the same decision, or as soon as the execution goes on.",
            parent="the run around it; `0` is the workflow",
            branch_="its place among branches of a `fork`, or among iterations side by side",
            iteration_="the iteration of a `for` that it begins, from 0",
            items_="the list of a `for`; only in the first iteration",
            caught_="the error that a `catch` handles with it",
            arguments_="the arguments of the function whose task it is",
        ),
        "task.started": _type(
            "The run has begun, with its input.",
            input_="the input after `input.from`; without it, the raw input",
            extensions_="JSON pointers of the extensions that apply to it",
        ),
        "task.requested": _type(
            "The work of the run was handed to an executor.",
            queue="the task queue",
            arguments="what the executor gets; secrets are not in it, but references to them",
            deadline_="when the timeout of the task, or of one around it, ends; milliseconds since 1970",
        ),
        "task.progressed": _type(
            "The executor reports what it does, or what it waits for.", progress="the report"
        ),
        "task.retried": _type(
            "An attempt of a `try` failed, and its policy allows another one.",
            attempt="the number of the retry, from 1",
            error=_ERROR,
        ),
        "task.completed": _type(
            "The run has ended with success.",
            output_="its output; without it, the output is the input",
            raw_="the result of the executor before `output.as`",
            context_=_CONTEXT,
            skipped_="true if the `if` of the task did not hold",
        ),
        "task.faulted": _type(
            "The run has ended with an error, which goes to the task around it.",
            error=_ERROR,
            raw_="the result of the executor that could not be used",
            ended_="how the sub-workflow ended: status, error if any; `started` is false if it did not start",
            whole_="true if a retry by an operator runs all tasks inside it again",
        ),
        "task.cancelled": _type("The run has ended, because a task around it ended before it."),
    }
)
"""The types with the name `task.…`."""

OF_WAITS: Final = MappingProxyType(
    {
        "timer.scheduled": _type(
            "A timer was set for the run.",
            timer="its id",
            purpose="`wait`, `retry`, `timeout`, `attempt` (time limit of an attempt) or `lifetime` "
            "(of a subscription)",
            dueAt="when it is due, in milliseconds since 1970",
        ),
        "timer.fired": _type("A timer has fired.", timer="its id"),
        "timer.cancelled": _type("A timer is not needed any more.", timer="its id"),
        "event.received": _type(
            "A `listen` task has consumed a published event.",
            filter="the filter that matched, by its place",
            event="the CloudEvent",
            keys_="the values of correlations, by name",
            until_="true if a filter of `until` matched",
        ),
        "event.processed": _type(
            "The tasks of `foreach` have processed an event.",
            output_="the output after `output.as` of `foreach`",
            context_=_CONTEXT,
        ),
        "subscription.started": _type(
            "A task has begun to consume messages of a broker.",
            foreach_="true if the task has a `foreach`",
            keep_="true if messages are kept for a condition",
        ),
        "messages.received": _type(
            "Messages of a broker were consumed.",
            messages="the messages",
            sender="the delivery of the executor that sent them",
            ids_="the ids by which the executor knows them when it delivers them again",
        ),
        "message.processed": _type(
            "The tasks of `foreach` have processed a message.",
            output_="the output after `output.as` of `foreach`",
            context_=_CONTEXT,
        ),
        "subscription.completed": _type("The task consumes no more messages."),
        "child.started": _type(
            "The run has started a sub-workflow.",
            child="the id of its execution",
            workflow="namespace, name and version of its definition",
        ),
        "child.joined": _type(
            "An execution with the idempotency key of the sub-workflow exists; the run waits for that one.",
            child="the id of the sub-workflow in this history",
            execution="the execution that it waits for",
        ),
    }
)
"""What runs wait for: timers, events, messages, sub-workflows."""

OF_PARTS: Final = MappingProxyType(
    {
        "extension.started": _type(
            "A list of an extension has begun, before or after the task's own work.",
            extension="its JSON pointer",
            stage="`before` or `after`",
            output_="the output of the task; only with `after`",
            raw_="that output before `output.as`",
            context_=_CONTEXT,
            then_="the flow directive with which the task ended",
        ),
        "extension.completed": _type(
            "A list of an extension has ended.",
            bypassed_="true if the list was left by `exit` or `end`; the task's own work does not run",
        ),
        "resource.requested": _type(
            "An external resource has to be fetched before the run starts.",
            resource=_RESOURCE,
            arguments="the address and the authentication",
        ),
        "resource.awaited": _type(
            "The run waits for a resource that another run has requested.", resource=_RESOURCE
        ),
        "resource.fetched": _type(
            "The text was fetched. The execution always uses this text.",
            resource=_RESOURCE,
            sha256="the hash of the text, which is in the store",
            mediaType_="its media type",
        ),
        "resource.faulted": _type(
            "The text could not be fetched or used.",
            resource=_RESOURCE,
            error=_ERROR,
            sha256_="the hash of a text that cannot be used",
        ),
        "dead-letter.requeued": _type(
            "An operator put a dead letter of the execution back into its queue.",
            letter="its id",
            operation="`requeued`",
            error="why it had become a dead letter, shortened",
            **_ACTOR,
        ),
        "dead-letter.discarded": _type(
            "An operator discarded a dead letter of the execution.",
            letter="its id",
            operation="`discarded`",
            error="why it had become a dead letter, shortened",
            **_ACTOR,
        ),
    }
)
"""Extensions, external resources, dead letters."""

_SET: Final = "the number of the set of events"

OF_SCHEDULES: Final = MappingProxyType(
    {
        "schedule.deployed": _type(
            "A version of the definition is followed from now on.",
            workflow="namespace, name and version",
            schedule="the `schedule` of the definition; null if it has none",
        ),
        "schedule.paused": _type("An operator paused the schedule.", **_ACTOR),
        "schedule.resumed": _type("An operator resumed the schedule.", **_ACTOR),
        "schedule.compacted": _type(
            "The whole state of the schedule; the events before it may be deleted. Its members are internal."
        ),
        "occurrence.scheduled": _type(
            "A timer for the next occurrence was set.",
            dueAt="the time of the occurrence, in milliseconds since 1970",
            timer="the id of the timer",
        ),
        "occurrence.started": _type(
            "An execution was started.",
            dueAt="the time of the occurrence, in milliseconds since 1970",
            execution="the id of the execution",
            child_="the id that it would have, if an execution with its idempotency key exists",
            event_="`source` and `id` of the event that started it",
            set_=_SET + " that started it",
        ),
        "occurrence.failed": _type(
            "An execution could not be started.",
            dueAt="the time of the occurrence, in milliseconds since 1970",
            cause="why",
            event_="`source` and `id` of the event",
            set_=_SET,
        ),
        "occurrences.missed": _type(
            "Occurrences were left out, because the schedule was late.",
            **{
                "from": "the first one, in milliseconds since 1970",
                "before": "the time before which the last one was",
            },
        ),
        "execution.ended": _type(
            "The execution of an `after` has ended; the time to the next one begins.",
            execution="its id",
            status="its status",
        ),
        "event.received": _type(
            "An event was added to a set, which starts an execution when it is complete.",
            set=_SET,
            filter="the filter that matched, by its place",
            size="the size of the event in characters",
            event_="the CloudEvent",
            until_="true if a filter of `until` matched",
            keys_="the values of correlations, by name",
            partition_="the values that all events of the set have; only with its first event",
        ),
        "correlation.dropped": _type(
            "The oldest incomplete set was dropped, because there were too many.",
            set=_SET,
            events="how many events it had",
        ),
    }
)
"""The types in histories of schedules (`unspool schedules history ID`)."""

OF_EXECUTIONS: Final = MappingProxyType({**OF_WORKFLOWS, **OF_TASKS, **OF_WAITS, **OF_PARTS})
"""The types in histories of executions."""
