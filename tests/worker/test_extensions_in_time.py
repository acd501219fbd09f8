"""Extensions: errors, timeouts, cancel, suspend, retry, and what a history shows (inventory Q6, Q7, N1)."""

import pytest
from tests.worker.test_extensions import CALL, extension, noting, using

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.state_json import state_json

# -- errors


RAISE = "{e: {raise: {error: {type: 'http://e', status: 418}}}}"


@pytest.mark.parametrize("list_", ["before", "after"])
def test_an_error_in_an_extension_faults_the_task_and_can_be_caught_around_it(world, list_):
    # Q6, O4: it is not the extended task's to catch
    run = world(
        using(
            extension("try", **{list_: RAISE}),
            do="[{around: {do: [{t: {try: [{x: {set: {x: 1}}}], catch: {do: [{own: {set: {y: 1}}}]}}}]}}]",
        )
    ).start({})
    assert run.error["instance"] == f"/use/extensions/0/ext/{list_}/0/e"
    assert [event.task for event in run.of("task.faulted")] == [
        f"/use/extensions/0/ext/{list_}/0/e",
        "/do/0/around/do/0/t",
        "/do/0/around",
    ]
    caught = world(
        using(
            extension("set", when='$task.name != "h"', **{list_: RAISE}),
            do="[{t: {try: [{s: {set: {x: 1}}}], catch: {do: [{h: {set: '${ $error.status }'}}]}}}]",
        )
    ).start({})
    assert caught.output == 418


def test_after_does_not_run_when_the_task_faults(world):
    run = world(using(extension(after=noting("1")), do=f"[{RAISE}]")).start({})
    assert run.error["instance"] == "/do/0/e"
    assert run.state.context is None


def test_an_error_in_the_work_begun_after_before_is_the_tasks(world):
    run = world(using(extension(before=noting("1")), do="[{t: {set: {x: '${ .a | keys }'}}}]")).start(
        {"a": 1}
    )
    assert (run.error["instance"], run.path()) == ("/do/0/t", ["t", "note"])


# -- time, operations


@pytest.mark.parametrize("list_", ["before", "after"])
def test_the_timeout_covers_the_extensions(world, list_, pending):
    # N1: and is computed from the task's own input
    run = world(
        using(
            extension("set", **{list_: f"{{c: {{{CALL}}}}}"}),
            do="[{t: {input: {from: .inner}, timeout: {after: '${ .limit }'}, set: {x: 1}}}]",
        ),
        lambda _: pending,
    ).start({"inner": {"limit": "PT5S"}})
    began = run.now
    assert run.requests[0].deadline == began + 5000
    run.pass_time()
    assert run.now == began + 5000
    assert (run.error["status"], run.error["instance"]) == (408, "/do/0/t")
    assert run.withdrawn == [run.requests[0].run]
    assert run.timers == {}


def test_the_time_of_an_attempt_does_not_cover_after(world):
    # M6
    run = world(
        using(
            extension("try", after="{w: {wait: PT9S}}"),
            do="[{t: {try: [{x: {set: {x: 1}}}], catch: {retry: {limit: {attempt: {duration: PT1S}}}}}}]",
        )
    ).start({})
    assert len(run.timers) == 1
    assert run.pass_time().output == {"x": 1}


def test_a_second_answer_to_the_task_changes_nothing_while_after_runs(world, pending):
    run = world(
        using(extension("call", after="{w: {wait: PT1S}}"), do=f"[{{t: {{{CALL}}}}}]"), lambda _: pending
    )
    run.start({})
    for answer in (1, 2):
        run.reply(run.requests[0], answer)
        run.settle()
    assert run.pass_time().output == 1


@pytest.mark.parametrize("list_", ["before", "after"])
def test_cancel_reaches_the_tasks_of_an_extension(world, list_, pending):
    run = world(
        using(extension("set", **{list_: f"{{c: {{{CALL}}}}}"}), do="[{t: {set: {x: 1}}}]"), lambda _: pending
    )
    run.start({}).send(MessageKind.CANCEL)
    assert run.state.status == "cancelled"
    assert [event.task for event in run.of("task.cancelled")] == [
        f"/use/extensions/0/ext/{list_}/0/c",
        "/do/0/t",
    ]
    assert run.withdrawn == [run.requests[0].run]


@pytest.mark.parametrize("work", [CALL, f"do: [{{in: {{{CALL}}}}}]", "set: {x: 1}"])
def test_a_suspended_execution_does_not_begin_the_work_after_before(world, work, pending):
    run = world(
        using(
            extension(before=f"{{c: {{{CALL}}}}}", when='$task.name == "t"'),
            extension(before=noting("1"), when='$task.name == "t"', name="second"),
            do=f"[{{t: {{{work}}}}}]",
        ),
        lambda _: pending,
    ).start({})
    run.send(MessageKind.SUSPEND)
    run.reply(run.requests[0], {"ignored": 1})
    run.settle()
    assert (run.state.status, len(run.requests), run.state.context) == ("suspended", 1, None)
    assert load_state(dump_state(run.state)) == run.state
    run.send(MessageKind.RESUME)
    assert run.state.context == [1]
    for request in run.requests[1:]:
        run.reply(request, {"x": 1})
    run.settle()
    assert run.output == {"x": 1}


def test_work_that_cannot_begin_at_resume_faults_the_task(world, pending):
    held = "{t: {try: [{a: {set: '${ .a | keys }'}}], catch: {do: [{h: {set: '${ $error.instance }'}}]}}}"
    run = world(
        using(
            extension("set", before=f"{{c: {{{CALL}}}}}", when='$task.name == "a"'),
            do=f"[{{f: {{fork: {{branches: [{held}, {{u: {{set: {{n: 1}}}}}}]}}}}}}]",
        ),
        lambda _: pending,
    ).start({"a": 1})
    run.send(MessageKind.SUSPEND)
    run.reply(run.requests[0], 1)
    run.settle()
    assert run.send(MessageKind.RESUME).output == ["/do/0/f/fork/branches/0/t/try/0/a", {"n": 1}]


def test_a_branch_that_was_held_up_is_cancelled_by_the_fault_of_another(world, pending):
    run = world(
        using(
            extension("set", before=f"{{c: {{{CALL}}}}}"),
            do="[{f: {fork: {branches: [{a: {set: '${ .a | keys }'}}, {b: {set: {n: 1}}}]}}}]",
        ),
        lambda _: pending,
    ).start({"a": 1})
    run.send(MessageKind.SUSPEND)
    for request in run.requests:
        run.reply(request, 1)
    run.settle()
    assert run.send(MessageKind.RESUME).error["instance"] == "/do/0/f/fork/branches/0/a"
    assert run.of("task.cancelled", "/b")


@pytest.mark.parametrize("list_", ["before", "after"])
def test_a_retry_continues_within_the_extension(world, list_):
    answers = iter([errors.communication("away"), {"n": 1}])
    step = f"{noting('0')}, {{c: {{{CALL}}}}}, {noting('$task.output, $task.name', 'last')}"
    run = world(
        using(extension("set", **{list_: step}), do="[{t: {set: {x: 1}, output: {as: .x}}}]"),
        lambda _: next(answers),
    ).start({})
    assert run.error["instance"] == f"/use/extensions/0/ext/{list_}/1/c"
    run.send(MessageKind.RETRY)
    assert run.output == 1
    assert run.state.context == [0, {"x": 1} if list_ == "after" else None, "t"]


def test_a_retry_of_the_task_itself_runs_its_extensions_again_and_one_within_it_does_not(world):
    # Q7
    note = noting("$task.name")
    for work, expected in ((CALL, ["t", "t"]), (f"do: [{{c: {{{CALL}}}}}]", ["t"])):
        answers = iter([errors.communication("away"), {"n": 1}])
        run = world(
            using(extension(before=note, when='$task.name == "t"'), do=f"[{{t: {{{work}}}}}]"),
            lambda _, answers=answers: next(answers),
        ).start({})
        assert run.error["instance"].startswith("/do/0/t")
        assert run.send(MessageKind.RETRY).output == {"n": 1}
        assert run.state.context == expected


# -- what a reader of the history sees


def test_the_history_of_an_extended_task(world):
    run = world(
        using(extension(before=noting("1"), after=noting("2")), do="[{t: {set: {x: 1}, output: {as: .x}}}]")
    ).start({})
    assert [(event.type, event.task) for event in run.history[1:]] == [
        ("task.created", "/do/0/t"),
        ("task.started", "/do/0/t"),
        ("extension.started", "/do/0/t"),
        ("task.created", "/use/extensions/0/ext/before/0/note"),
        ("task.started", "/use/extensions/0/ext/before/0/note"),
        ("task.completed", "/use/extensions/0/ext/before/0/note"),
        ("extension.completed", "/do/0/t"),
        ("extension.started", "/do/0/t"),
        ("task.created", "/use/extensions/0/ext/after/0/note"),
        ("task.started", "/use/extensions/0/ext/after/0/note"),
        ("task.completed", "/use/extensions/0/ext/after/0/note"),
        ("extension.completed", "/do/0/t"),
        ("task.completed", "/do/0/t"),
        ("workflow.completed", None),
    ]
    before, after = run.of("extension.started")
    assert before.data == {"extension": "/use/extensions/0/ext", "stage": "before"}
    assert after.data == {
        "extension": "/use/extensions/0/ext",
        "stage": "after",
        "output": 1,
        "raw": {"x": 1},
    }


def test_a_task_that_no_extension_extends_has_the_events_it_always_had(world):
    do = "[{t: {set: {x: 1}}}]"
    plain = world(f"do: {do}").start({})
    extended = world(
        using(extension("wait", before=noting("1")), extension(when="false", before=noting("1")), do=do)
    )
    assert extended.start({}).history == plain.history


def test_the_state_names_the_extension_that_runs(world, pending):
    run = world(
        using(extension("set", before=f"{{c: {{{CALL}}}}}"), do="[{t: {set: {x: 1}}}]"), lambda _: pending
    )
    extended, task = state_json(run.start({}).state)["running"]
    assert (extended["task"], extended["extension"], extended["stage"]) == (
        "/do/0/t",
        "/use/extensions/0/ext",
        "before",
    )
    assert (task["task"], "extension" in task) == ("/use/extensions/0/ext/before/0/c", False)
