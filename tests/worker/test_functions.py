"""Functions of `use.functions`, called by their names (inventory B5, B10, J4)."""

import pytest

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind
from unspool.worker.replay import verify

DOUBLE = """
    use:
      functions:
        double:
          input: {from: '${ .n }'}
          set: ${ . * 2 }
"""


def test_a_function_gets_the_arguments_as_its_raw_input(world):
    # J4: its own data flow is within that of the call
    run = world(
        DOUBLE
        + """
    do:
      - call:
          call: double
          with: {n: '${ .x + 1 }'}
          output: {as: '${ {result: .} }'}
          export: {as: .result}
      - after: {set: '${ [.result, $context] }'}
    """
    ).start({"x": 20})
    assert run.output == [42, 42]
    [created] = run.of("task.created", "/double")
    assert created.data["arguments"] == {"n": 21}
    assert created.task == "/use/functions/double"


def test_without_arguments_it_gets_the_input_of_the_call(world):
    run = world(DOUBLE + "    do: [{call: {call: double, input: {from: .inner}}}]").start({"inner": {"n": 4}})
    assert run.output == 8


def test_a_function_whose_condition_does_not_hold_hands_on_its_arguments(world):
    run = world("""
        use: {functions: {never: {if: 'false', set: {a: 1}}}}
        do: [{call: {call: never, with: {n: 1}}}]
    """).start({})
    assert run.output == {"n": 1}


def test_functions_call_each_other_and_themselves(world):
    # B10
    run = world("""
        use:
          functions:
            sum:
              do:
                - isLast: {switch: [{last: {when: .n == 0, then: zero}}, {more: {then: rest}}]}
                - zero: {set: '${ 0 }', then: exit}
                - rest: {call: next, with: {n: '${ .n - 1 }', plus: '${ .n }'}}
            next:
              do:
                - sum: {call: sum, with: {n: '${ .n }'}, output: {as: '${ {sum: ., plus: $input.plus} }'}}
                - add: {set: '${ .sum + .plus }'}
        do: [{call: {call: sum, with: {n: 4}}}]
    """)
    assert run.start({}).output == 0 + 1 + 2 + 3 + 4


def test_endless_recursion_is_an_error_that_names_the_function(world):
    # B10
    run = world("""
        use: {functions: {again: {do: [{more: {call: again}}]}}}
        do: [{call: {call: again}}]
    """).start({})
    assert run.error["title"] == "Calls nested too deeply"
    assert "'again'" in run.error["detail"]
    assert run.error["instance"] == "/do/0/call"


def test_an_error_in_a_function_has_the_call_as_its_place(world):
    # O4
    definition = """
        use:
          functions:
            outer: {do: [{in: {call: inner}}]}
            inner: {do: [{fail: {raise: {error: {type: 'https://example.com/x', status: 500}}}}]}
        do:
          - tried:
              try: [{call: {call: outer}}]
              catch: {do: [{tell: {set: '${ $error.instance }'}}]}
    """
    assert world(definition).start({}).output == "/do/0/tried/try/0/call"


def test_an_error_that_states_its_place_keeps_it(world):
    # I26
    run = world("""
        use: {functions: {f: {raise: {error: {type: 'https://example.com/x', status: 500, instance: /mine}}}}}
        do: [{call: {call: f}}]
    """).start({})
    assert run.error["instance"] == "/mine"


@pytest.mark.parametrize(("then", "output"), [("end", {"a": 1}), ("exit", {"b": 2})])
def test_end_in_a_function_ends_the_workflow_and_exit_the_function(world, then, output):
    # H2, H3
    run = world(f"""
        use: {{functions: {{f: {{do: [{{a: {{set: {{a: 1}}, then: {then}}}}}, {{never: {{set: {{}}}}}}]}}}}}}
        do: [{{call: {{call: f}}}}, {{b: {{set: {{b: 2}}}}}}]
    """).start({})
    assert run.output == output


def test_a_function_may_be_a_call_and_each_call_is_a_request(world):
    # B5
    run = world("""
        use:
          functions:
            get: {call: http, with: {method: get, endpoint: 'http://localhost/{id}'}}
        do:
          - first: {call: get, with: {id: 1}}
          - second: {call: get, with: {id: 2}}
    """).start({})
    assert [request.arguments["endpoint"]["uri"] for request in run.requests] == [
        "http://localhost/1",
        "http://localhost/2",
    ]
    assert {request.task for request in run.requests} == {"/use/functions/get"}
    assert run.state.status == "completed"


def test_a_timeout_of_the_call_ends_the_function(world):
    # N1
    run = world("""
        use: {functions: {slow: {wait: {hours: 1}}}}
        do: [{call: {call: slow, timeout: {after: {seconds: 1}}}}]
    """)
    error = run.start({}).pass_time().error
    assert (error["status"], error["instance"]) == (408, "/do/0/call")
    assert [event.task for event in run.of("task.cancelled")] == ["/use/functions/slow"]


def test_a_faulted_execution_is_retried_within_the_function(world):
    answers = iter([errors.communication("away"), {"n": 1}])
    run = world(
        """
        use: {functions: {get: {do: [{it: {call: http, with: {method: get, endpoint: 'http://localhost/'}}}]}}}
        do: [{call: {call: get, with: {id: 1}}}]
        """,
        lambda _: next(answers),
    ).start({})
    assert run.state.status == "faulted"
    run.send(MessageKind.RETRY)
    assert run.output == {"n": 1}


EXITS = "{switch: [{stop: {when: .n >= %d, then: exit}}]}"
STOPS = "{if: .n >= %d, set: {last: true}, then: end}"
RAISES = "{if: .n >= %d, raise: {error: {type: https://t/e, status: 400}}}"
FETCHES = "{if: .n >= %d, call: http, with: {method: get, endpoint: http://h}, then: end}"

DO = "{do: [%s]}"
FOR = "{for: {in: '[1]'}, do: [%s]}"
TRY = "{try: [%s], catch: {when: '.status == 1'}}"
FAILING_AGAIN = "{try: [%s], catch: {do: [{x: {raise: {error: {type: https://t/x, status: 1}}}}]}}"
FORK = "{fork: {compete: true, branches: [%s]}}"
EXTENDED = "extensions: [{e: {extend: all, before: [{note: {set: {}}}]}}]"


def nested_calls(level: str, levels: int, last: str, calls: int, extensions: str = "extensions: []") -> str:
    """A function that calls itself where its task is nested deepest; `last` is beside that call."""
    task = f"{{do: [{{last: {last % calls}}}, {{more: {{call: f, with: {{n: '${{ .n + 1 }}'}}}}}}]}}"
    for _ in range(levels):
        task = level % f"{{t: {task}}}"
    return f"use: {{functions: {{f: {task}}}, {extensions}}}\ndo: [{{s: {{call: f, with: {{n: 0}}}}}}]"


@pytest.mark.parametrize(
    ("level", "levels", "calls", "extensions"),
    [
        (DO, 28, 4, ""),
        (FOR, 28, 4, EXTENDED),
        (TRY, 28, 4, EXTENDED),
        (FAILING_AGAIN, 28, 4, ""),
        (FORK, 18, 6, ""),
    ],
)
@pytest.mark.parametrize(
    ("last", "status"), [(EXITS, "completed"), (STOPS, "completed"), (RAISES, "faulted")]
)
def test_all_tasks_that_a_call_may_be_in_can_end_at_once(
    world, level, levels, calls, extensions, last, status
):
    run = world(nested_calls(level, levels, last, calls, extensions or "extensions: []")).start({})
    assert run.state.status == status
    assert len(run.of("task.created", "/f")) == calls + 1
    assert verify(run.plan, run.execution, run.history) is None


def test_a_call_in_too_many_tasks_is_an_error_that_names_the_function_and_the_limit(world):
    run = world(nested_calls(DO, 28, EXITS, 5)).start({})
    assert run.error["type"].endswith("runtime")
    assert "'f' is called within more than 128 other tasks" in run.error["detail"]
    assert run.error["instance"] == "/do/0/s"


@pytest.mark.parametrize(
    ("end", "status"), [(MessageKind.CANCEL, "cancelled"), (MessageKind.TIMER_FIRED, "faulted")]
)
def test_deeply_nested_tasks_can_be_cancelled_and_time_out(world, pending, end, status):
    run = world(
        nested_calls(TRY, 28, FETCHES, 4) + "\ntimeout: {after: PT1S}", lambda _: pending
    ).start({})  # fmt: skip
    assert len(run.state.runs) > 128
    run.pass_time() if end is MessageKind.TIMER_FIRED else run.send(end)
    assert run.state.status == status
