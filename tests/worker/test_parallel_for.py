"""`for` with `metadata.unspool.concurrency`: iterations side by side (inventory I8, I17, I20, H2, H3)."""

import orjson
import pytest

from unspool.eventstore.records import Message, MessageKind
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.live_runs import ManyRuns
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import verify
from unspool.worker.state_json import state_json

CALL = "{call: http, with: {method: post, endpoint: http://h, body: '${ $item }'}}"

FAILED = {"type": "x:failed", "status": 500}


def loop(concurrency: int, do: str, each: str = ".xs", more: str = "") -> str:
    return (
        f"do: [{{l: {{for: {{in: '{each}'}}, metadata: {{unspool: {{concurrency: {concurrency}}}}}, "
        f"do: [{do}]{more}}}}}]"
    )


def body(request):
    return request.arguments["body"]


def test_each_iteration_gets_the_loops_input_and_its_own_variables(world):
    definition = loop(
        2,
        "{a: {set: {got: '${ .n }', item: '${ $item }'}}}, {b: {set: '${ . + {index: $index} }'}}",
        more=", input: {from: '. + {n: 7}'}",
    )
    run = world(definition).start({"xs": ["p", "q", "r"]})
    assert run.output == [
        {"got": 7, "item": "p", "index": 0},
        {"got": 7, "item": "q", "index": 1},
        {"got": 7, "item": "r", "index": 2},
    ]


def test_outputs_are_in_the_order_of_the_list_and_no_more_run_than_may(world, pending):
    run = world(loop(3, f"{{c: {CALL}}}"), lambda _: pending).start({"xs": list(range(8))})
    answered: set[str] = set()
    while not run.state.status.ended:
        waiting = [request for request in run.requests if request.run not in answered]
        assert len(run.state.runs) == 2 + len(waiting) <= 2 + 3
        assert verify(run.plan, "execution", run.history) is None  # after every commit
        assert load_state(dump_state(run.state)) == run.state
        latest = waiting[-1]
        answered.add(latest.run)
        run.reply(latest, body(latest) * 10)
        run.settle()
    assert run.output == [0, 10, 20, 30, 40, 50, 60, 70]
    assert [request.arguments["body"] for request in run.requests] == list(range(8))


@pytest.mark.parametrize("each", ["[]", "null"])
def test_an_empty_list_gives_an_empty_array(world, each):
    assert world(loop(2, "{a: {set: {x: 1}}}", each)).start({"x": 1}).output == []


def test_an_empty_body_gives_the_input_for_each_item(world):
    assert world(loop(2, "", "[1, 2]")).start(7).output == [7, 7]


def test_a_fault_cancels_the_others_and_faults_the_loop(world, pending):
    run = world(loop(3, f"{{c: {CALL}}}"), lambda _: pending).start({"xs": [1, 2, 3, 4]})
    first, second, third = run.requests
    run.reply(first, 1)
    run.settle()
    error = {"type": "x:broken", "status": 500}
    run.send(MessageKind.TASK_FAULTED, run=second.run, error=error)
    assert run.error["type"] == "x:broken"
    assert run.error["instance"] == "/do/0/l/do/0/c"
    assert set(run.withdrawn) == {third.run, run.requests[3].run}


def test_a_fault_that_an_iteration_catches_is_its_own(world):
    attempt = """{t: {
        try: [{c: {if: '$item == 2', raise: {error: {type: 'x:e', status: 1}}}}, {d: {set: '${ $item }'}}],
        catch: {do: [{h: {set: '${ "caught \\($index)" }'}}]}}}"""
    assert world(loop(2, attempt)).start({"xs": [1, 2, 3]}).output == [1, "caught 1", 3]


def test_a_loop_in_a_try_is_tried_again_from_its_start(world):
    run = world("""
        do:
          - t:
              try:
                - l:
                    for: {in: '[1, 2, 3]'}
                    metadata: {unspool: {concurrency: 2}}
                    do:
                      - tell: {set: '${ $item }', export: {as: '($context // 0) + 1'}}
                      - fail: {if: '$item == 3 and $context < 4', raise: {error: {type: 'x:e', status: 1}}}
              catch: {retry: {limit: {attempt: {count: 1}}}}
    """).start({})
    assert run.output == [1, 2, 3]
    assert run.types("task.retried") == ["task.retried"]
    assert run.state.context == 6


def test_exit_ends_the_iteration_and_end_the_workflow(world, pending):
    # H2, H3
    leave = "{a: {if: '$item == 1', set: {at: left}, then: exit}}, {b: {set: {at: stayed}}}"
    assert world(loop(2, leave)).start({"xs": [1, 2]}).output == [{"at": "left"}, {"at": "stayed"}]
    end = f"{{a: {{if: '$item == 2', set: {{at: ended}}, then: end}}}}, {{c: {CALL}}}"
    run = world(loop(2, end), lambda _: pending).start({"xs": [1, 2, 3]})
    assert run.output == {"at": "ended"}
    assert run.types("task.cancelled") == ["task.cancelled"]


def test_context_is_written_in_the_order_of_completion(world, pending):
    # I20
    definition = loop(3, f"{{c: {CALL[:-1]}, export: {{as: '($context // []) + [.]'}}}}}}")
    run = world(definition, lambda _: pending).start({"xs": [1, 2, 3]})
    for request in (run.requests[2], run.requests[0], run.requests[1]):
        run.reply(request, body(request))
        run.settle()
    assert run.output == [1, 2, 3]
    assert run.state.context == [3, 1, 2]


def test_loops_within_loops_and_forks(world):
    run = world("""
        do:
          - outer:
              for: {each: a, in: '[1, 2]'}
              metadata: {unspool: {concurrency: 2}}
              do:
                - inner:
                    for: {each: b, at: j, in: '[10, 20, 30]'}
                    metadata: {unspool: {concurrency: 2}}
                    do:
                      - f: {fork: {branches: [{x: {set: '${ [$a, $index, $b, $j] }'}}]}}
    """).start([])
    assert run.output == [[[[a, i, b, j]] for j, b in enumerate([10, 20, 30])] for i, a in enumerate([1, 2])]


def test_a_function_runs_for_each_item(world):
    run = world("""
        use: {functions: {double: {set: '${ .n * 2 }'}}}
        do:
          - l:
              for: {in: '[1, 2, 3]'}
              metadata: {unspool: {concurrency: 2}}
              do: [{c: {call: double, with: {n: '${ $item }'}}}]
    """).start({})
    assert run.output == [2, 4, 6]


def test_a_skipped_task_passes_on_the_loops_input(world):
    # F11
    assert world(loop(2, "{a: {if: '$item > 1', set: {x: 1}}}", "[1, 2]")).start(7).output == [7, {"x": 1}]


def test_a_faulted_execution_is_retried_where_it_faulted(world, pending):
    run = world(loop(2, f"{{c: {CALL}}}, {{d: {{set: '${{ . + 1 }}'}}}}"), lambda _: pending)
    run.start({"xs": [1, 2, 3, 4]})
    run.reply(run.requests[0], 10)
    run.settle()
    run.send(MessageKind.TASK_FAULTED, run=run.requests[1].run, error={"type": "x:e", "status": 1})
    assert run.state.status == "faulted"
    before = len(run.requests)
    run.send(MessageKind.RETRY)
    assert sorted(body(request) for request in run.requests[before:]) == [2, 3]
    answered = before
    while answered < len(run.requests):
        run.reply(run.requests[answered], body(run.requests[answered]) * 10)
        run.settle()
        answered += 1
    assert run.output == [11, 21, 31, 41]


def test_a_suspended_loop_begins_nothing(world, pending):
    run = world(loop(1, f"{{c: {CALL}}}"), lambda _: pending).start({"xs": [1, 2]})
    run.send(MessageKind.SUSPEND)
    run.reply(run.requests[0], 1)
    run.settle()
    assert len(run.requests) == 1
    run.send(MessageKind.RESUME)
    run.reply(run.requests[1], 2)
    run.settle()
    assert run.output == [1, 2]


def in_try(task: str) -> str:
    return (
        f"{{t: {{try: [{{d: {{do: [{{c: {task}}}]}}}}], catch: {{do: [{{h: {{set: '${{ $item }}'}}}}]}}}}}}"
    )


def known_children(state: State) -> dict[str, set[str]]:
    """What the state says about children, after a comparison with its runs."""
    found: dict[str, set[str]] = {}
    for run in state.runs.values():
        if run.parent is not None:
            found.setdefault(run.parent, set()).add(run.id)
    if isinstance(state.runs, ManyRuns):
        assert {parent: set(ids) for parent, ids in state.runs.children.items()} == found
    assert all(state.has_children(id_) == (id_ in found) for id_ in state.runs)
    return found


def test_a_fault_in_one_of_many_iterations_concerns_only_that_one(world, pending):
    run = world(loop(100, in_try(CALL)), lambda _: pending).start({"xs": list(range(150))})
    assert isinstance(run.state.runs, ManyRuns), "there are many runs"
    for place in range(150):
        assert len(known_children(run.state)["1"]) == min(100, 150 - place)
        run.inbox.append(
            Message(MessageKind.TASK_FAULTED, "execution", {"run": run.requests[place].run, "error": FAILED})
        )
        run.settle()
    assert run.output == list(range(150))
    assert run.types("task.cancelled") == []
    assert not isinstance(run.state.runs, ManyRuns)


def test_a_timeout_of_one_of_many_iterations_cancels_what_is_inside_it(world, pending):
    attempt = in_try(CALL).replace("try:", "timeout: {after: '${ \"PT\\($item)S\" }'}, try:", 1)
    run = world(loop(100, attempt), lambda _: pending).start({"xs": list(range(1, 101))})
    run.pass_time(lambda world: world.state.status.ended)
    assert run.error["instance"] == "/do/0/l/do/0/t"
    first = [event.run for event in run.history if event.type == "task.cancelled"][:2]
    assert first == [run.requests[0].run, run.of("task.created", "/d")[0].run]
    assert len(run.withdrawn) == 100


def test_a_state_with_many_runs_is_the_same_from_a_snapshot(world, pending):
    run = world(loop(100, in_try(CALL)), lambda _: pending).start({"xs": list(range(100))})
    state = load_state(dump_state(run.state))
    assert state == run.state
    assert state.descendants("1") == run.state.descendants("1")
    assert len(state.descendants("1")) == 300
    known_children(state)


@pytest.mark.parametrize(
    "task", ["""{set: '${ "x" * 100000 }'}""", "{set: '${ . }'}", "{if: 'false', set: 1}"]
)
def test_the_outputs_together_are_bounded(world, task):
    run = world(loop(10, f"{{a: {task}}}", "[range(10000)]")).start("y" * 100_000)
    assert run.error["type"].endswith("/runtime")
    assert "the outputs of the iterations: expression limit exceeded" in run.error["detail"]
    assert len(run.of("task.created")) < 200, "it went on after the limit"


def test_an_execution_over_the_limit_can_be_retried_and_faults_again(world):
    run = world(loop(1, "{a: {set: '${ . }'}}", "[range(200)]")).start("y" * 100_000)
    error = run.error
    run.send(MessageKind.RETRY)
    assert run.error == error


def test_ten_thousand_items_are_not_repeated_in_events(world):
    run = world(loop(10, "{a: {set: '${ $item }'}}", "[range(10000)]")).start({})
    assert run.output == list(range(10_000))
    assert sum("items" in event.data for event in run.history) == 1
    repeated = [event for event in run.history if len(orjson.dumps(event.data)) > 1000]
    assert [event.type for event in repeated] == ["task.created", "task.completed", "workflow.completed"]


def test_the_state_shows_how_far_a_loop_is(world, pending):
    run = world(loop(2, f"{{c: {CALL}}}"), lambda _: pending).start({"xs": [1, 2, 3, 4]})
    run.reply(run.requests[0], 1)
    run.settle()
    assert fold(State("execution"), run.history) == run.state
    [shown] = [each for each in state_json(run.state)["running"] if each["task"] == "/do/0/l"]
    assert shown["iterations"] == {"of": 4, "begun": 3, "completed": 1}
