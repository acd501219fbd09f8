"""Mocked tasks: by name, pointer and kind; outputs, errors, delays, sequences, functions."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from unspool.testing import (
    MockExhausted,
    NotJson,
    UnknownMock,
    UnmockedTask,
    Workflow,
    error,
    event,
    output,
    sequence,
)
from unspool.worker.replay import verify

Make = Callable[..., Workflow]

TWO_CALLS = """
do:
  - first:
      call: http
      with: {method: get, endpoint: 'https://shop.example.com/{id}'}
  - second:
      run: {shell: {command: 'echo ${ .name }'}}
"""


@pytest.mark.parametrize("key", ["first", "/do/0/first", "call: http"])
def test_a_mock_is_found_by_name_pointer_and_kind(workflow: Make, key: str) -> None:
    run = workflow(TWO_CALLS).run({"id": 7}, mocks={key: {"name": "lamp"}, "second": "done"})
    assert run.output == "done"
    assert run.path == ("first", "second")
    assert [(call.task, call.pointer, call.kind) for call in run.calls] == [
        ("first", "/do/0/first", "call: http"),
        ("second", "/do/1/second", "run: shell"),
    ]
    run.assert_called("first", {"endpoint": {"uri": "https://shop.example.com/7"}}, times=1)
    run.assert_called("run: shell", {"command": "echo lamp"})


def test_a_pointer_comes_before_a_name_and_a_name_before_a_kind(workflow: Make) -> None:
    calls = """
    do:
      - a: {call: http, with: {method: get, endpoint: https://a.org}, export: {as: '{a: .}'}}
      - b: {call: http, with: {method: get, endpoint: https://a.org}, export: {as: '$context + {b: .}'}}
      - c: {call: http, with: {method: get, endpoint: https://a.org}, export: {as: '$context + {c: .}'}}
    output: {as: $context}
    """
    run = workflow(calls).run(mocks={"call: http": 1, "b": 2, "c": 3, "/do/2/c": 4})
    assert run.output == {"a": 1, "b": 2, "c": 4}


def test_a_task_without_a_mock_is_an_error_that_names_it(workflow: Make) -> None:
    with pytest.raises(UnmockedTask) as raised:
        workflow(TWO_CALLS).run({"id": 7}, mocks={"first": {"name": "lamp"}})
    assert "task 'second' (/do/1/second, `run: shell`) of test/test has no mock" in str(raised.value)
    assert "echo lamp" in str(raised.value)


def test_a_mock_for_no_task_is_an_error(workflow: Make) -> None:
    with pytest.raises(UnknownMock, match=r"can be mocked .* 'fist', did you mean 'first'"):
        workflow(TWO_CALLS).run(mocks={"fist": 1})


def test_a_mock_for_a_task_of_the_interpreter_is_an_error(workflow: Make) -> None:
    with pytest.raises(UnknownMock, match="can be mocked"):
        workflow("do: [{say: {set: {a: 1}}}]").run(mocks={"say": 1})


def test_the_task_of_a_declared_function_has_the_name_of_the_function(workflow: Make) -> None:
    declared = """
    use:
      functions:
        price: {call: http, with: {method: get, endpoint: 'https://shop.example.com/{sku}'}}
    do:
      - ask: {call: price, with: {sku: lamp}}
    """
    assert workflow(declared).run(mocks={"price": 20}).output == 20
    with pytest.raises(UnknownMock):
        workflow(declared).run(mocks={"ask": 20})


def test_a_function_answers_by_what_it_is_asked(workflow: Make) -> None:
    answers = {"first": lambda call: {"name": call.arguments["endpoint"]["uri"][-1:]}, "second": output("x")}
    run = workflow(TWO_CALLS).run({"id": 7}, mocks=answers)
    run.assert_called("second", {"command": "echo 7"})


def test_no_answer_for_null_is_needed(workflow: Make) -> None:
    assert workflow(TWO_CALLS).run({"id": 7}, mocks={"first": {"name": "a"}, "second": None}).output is None


RETRIED = """
do:
  - attempt:
      try:
        - charge: {call: http, with: {method: post, endpoint: 'https://pay.example.com', body: '${ . }'}}
      catch:
        errors: {with: {status: 503}}
        retry: {delay: PT1H, backoff: {exponential: {}}, limit: {attempt: {count: 5}}}
"""


def test_retries_take_virtual_time(workflow: Make) -> None:
    down = error("communication", status=503)
    run = workflow(RETRIED).run({"id": 1}, mocks={"charge": sequence(down, down, {"paid": True})})
    assert run.output == {"paid": True}
    assert run.path == ("attempt", "charge", "charge", "charge")
    assert [call.at for call in run.calls] == [timedelta(hours=hours) for hours in (0, 1, 3)]
    assert run.duration == timedelta(hours=3)


def test_an_error_that_is_not_caught_faults_the_execution(workflow: Make) -> None:
    run = workflow(RETRIED).run(mocks={"charge": error("authorization", detail="card refused")})
    assert run.status == "faulted"
    assert run.error["status"] == 403
    assert run.error["detail"] == "card refused"
    assert run.error["instance"] == "/do/0/attempt/try/0/charge"
    with pytest.raises(AssertionError, match=r"test/test is faulted: .*card refused"):
        _ = run.output


def test_an_error_of_another_type_is_a_uri(workflow: Make) -> None:
    run = workflow(RETRIED).run(mocks={"charge": error("https://shop.example.com/errors/stock", status=409)})
    assert (run.error["type"], run.error["status"]) == ("https://shop.example.com/errors/stock", 409)


def test_a_misspelled_standard_error_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'communication'"):
        error("comunication")


def test_a_sequence_answers_each_call_once(workflow: Make) -> None:
    down = error("communication", status=503)
    with pytest.raises(MockExhausted, match="'charge' has 2 answers"):
        workflow(RETRIED).run(mocks={"charge": sequence(down, down)})


def test_a_delay_can_exceed_a_timeout(workflow: Make) -> None:
    slow = """
    do:
      - ask:
          call: http
          with: {method: get, endpoint: https://slow.example.com}
          timeout: {after: PT30S}
    """
    run = workflow(slow).run(mocks={"ask": output("late", delay="PT31S")})
    assert run.error["status"] == 408
    assert run.duration == timedelta(seconds=30)
    assert workflow(slow).run(mocks={"ask": output("soon", delay="PT29S")}).output == "soon"


def test_functions_in_python_have_their_input_as_arguments(workflow: Make) -> None:
    definition = "do:\n  - price: {call: 'shop-price:1.0.0', with: {sku: '${ .sku }'}}\n"
    made = workflow(definition)
    run = made.run({"sku": "lamp"}, mocks={"call: shop-price:1.0.0": 12})
    assert run.output == 12
    assert run.arguments_of("price") == [{"sku": "lamp"}]


def test_branches_and_loops_call_in_turn(workflow: Make) -> None:
    both = """
    do:
      - together:
          fork:
            branches:
              - a: {call: http, with: {method: get, endpoint: https://a.example.com}}
              - b: {call: http, with: {method: get, endpoint: https://b.example.com}}
      - each:
          for: {each: item, in: '${ . }'}
          do:
            - send: {call: http, with: {method: post, endpoint: https://c.example.com, body: '${ $item }'}}
    """
    mocks = {"a": output(1, delay="PT5S"), "b": output(2, delay="PT9S"), "send": lambda call: call.at.seconds}
    run = workflow(both).run(mocks=mocks)
    assert run.output == 9
    assert [call.arguments["body"] for call in run.calls_of("send")] == [1, 2]
    assert run.duration == timedelta(seconds=9)


def test_documents_for_handlers_are_not_fetched(workflow: Make) -> None:
    pets = """
    do:
      - find:
          call: openapi
          with:
            document: {endpoint: https://pets.example.com/api.json}
            operationId: find
            parameters: {tag: '${ .tag }'}
    """
    run = workflow(pets).run({"tag": "cat"}, mocks={"find": ["Tom"]})
    assert run.output == ["Tom"]
    run.assert_called("call: openapi", {"operationId": "find", "parameters": {"tag": "cat"}})


def test_functions_at_addresses_are_given_as_texts(workflow: Make) -> None:
    made = workflow("do:\n  - greet: {call: 'https://catalog.example.com/greet.yaml', with: {name: Ada}}\n")
    text = "call: http\nwith: {method: get, endpoint: 'https://greet.example.com/{name}'}\n"
    run = made.run(resources={"https://catalog.example.com/greet.yaml": text}, mocks={"call: http": "Hi Ada"})
    assert run.output == "Hi Ada"
    run.assert_called("call: http", {"endpoint": {"uri": "https://greet.example.com/Ada"}})
    with pytest.raises(
        UnmockedTask, match=r"needs the external resource https://catalog\.example\.com/greet"
    ):
        made.run()


def test_messages_of_a_subscription_are_the_output_of_its_mock(workflow: Make) -> None:
    subscription = """
    do:
      - read:
          call: asyncapi
          with:
            document: {endpoint: https://broker.example.com/asyncapi.json}
            channel: orders
            subscription: {consume: {amount: 2}}
    """
    messages = [{"payload": number} for number in (1, 2, 3)]
    run = workflow(subscription).run(mocks={"read": messages})
    assert len(run.output) == 2


def test_the_history_is_that_of_a_worker(workflow: Make) -> None:
    made = workflow(RETRIED)
    down = error("communication", status=503)
    run: Any = made.run(mocks={"charge": sequence(down, "ok")})
    assert [event.seq for event in run.history] == list(range(1, len(run.history) + 1))
    assert verify(made.plan, "execution", run.history) is None


@pytest.mark.parametrize(
    "value", [date(2026, 1, 1), {"a": {1}}, float("nan"), b"x", "\ud800", 2**64, {(1,): 2}], ids=repr
)
def test_what_is_no_json_fails_the_test(workflow: Make, value: Any) -> None:
    calls = workflow(TWO_CALLS)
    for mock in (value, output(value), sequence(value), lambda _: value):
        with pytest.raises(NotJson, match="the output of the mock 'first'"):
            calls.run({"id": 7}, mocks={"first": mock, "second": "done"})
    with pytest.raises(NotJson, match="the input"):
        calls.run(value, mocks={"first": {}, "second": "done"})
    with pytest.raises(NotJson, match="the data of the event"):
        event("paid", value)


def test_a_mock_is_copied(workflow: Make) -> None:
    given = {"name": ("lamp", "chair")}
    run = workflow(TWO_CALLS).run({"id": 7}, mocks={"first": given, "second": {}})
    given["name"] = ("table",)
    run.assert_called("second", {"command": 'echo ["lamp","chair"]'}, times=1)
