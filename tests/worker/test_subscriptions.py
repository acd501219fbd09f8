"""Subscriptions of `call: asyncapi` in the interpreter: how messages are consumed (J17, J18)."""

from typing import Any

import pytest
from tests.worker.world import PENDING, World

from unspool.definitions.errors import communication
from unspool.eventstore.records import MessageKind
from unspool.executor.outcome import FetchedText
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.state_json import state_json

DO = "do: [{echo: {set: {got: '${ $message }', place: '${ $index }'}}}]"


def subscription(consume: str, foreach: str = "", more: str = "") -> str:
    each = f", foreach: {{{foreach}}}" if foreach else ""
    return f"""
        do:
          - s:
              call: asyncapi
              with:
                document: {{endpoint: 'http://service.test/a.json'}}
                operation: greet
                subscription: {{consume: {{{consume}}}{each}}}
              {more}
          - after: {{set: '${{ {{all: ., context: $context}} }}'}}
    """


def _answer(request: Any) -> Any:
    return FetchedText("{}") if request.queue == "resource" else PENDING


@pytest.fixture
def subscribed(world: Any) -> Any:
    """Starts a workflow whose requests for messages get no answer."""

    def start(text: str) -> World:
        return world(text, _answer).start({})

    return start


def deliver(run: World, *messages: Any, place: int | None = None, sender: str = "one") -> World:
    request = run.requests[-1]
    if place is None:
        place = sum(len(event.data["messages"]) for event in run.of("messages.received"))
    return run.send(
        MessageKind.MESSAGES, run=request.run, place=place, sender=sender, messages=list(messages)
    )


def test_an_amount_of_messages_is_consumed(subscribed):
    run = subscribed(subscription("amount: 3"))
    request = run.requests[-1]
    assert (request.queue, request.kind) == ("call", "asyncapi")
    assert request.arguments["subscription"]["amount"] == 3
    assert run.state.status_phase == "waiting"
    deliver(run, "a", "b")
    deliver(run, "c", "d")
    assert run.output == {"all": ["a", "b", "c"], "context": None}
    assert run.withdrawn == [request.run]


def test_no_message_is_consumed_twice(subscribed):
    run = subscribed(subscription("amount: 3"))
    deliver(run, "a", place=0, sender="one")
    deliver(run, "a", place=0, sender="two")
    deliver(run, "b", "c", place=1, sender="two")
    assert run.output["all"] == ["a", "b", "c"]
    assert [event.data["sender"] for event in run.of("messages.received")] == ["one", "two"]


def test_messages_of_another_request_are_ignored(subscribed):
    run = subscribed(subscription("amount: 1"))
    run.send(MessageKind.MESSAGES, run="7.7", place=0, sender="one", messages=["a"])
    assert not run.of("messages.received")


def test_while_is_evaluated_after_each_message(subscribed):
    run = subscribed(subscription("while: '${ .[-1] != 2 }'"))
    assert run.requests[-1].arguments["subscription"]["single"] is True
    for message in (1, 2, 3):
        deliver(run, message)
    assert run.output["all"] == [1, 2]


def test_until_is_evaluated_before_each_message(subscribed):
    run = subscribed(subscription("until: '${ length == 2 }'"))
    deliver(run, 1, 9)  # only the first: the condition is evaluated before the second
    deliver(run, 2)
    assert run.output["all"] == [1, 2]
    assert subscribed(subscription("until: '${ true }'")).output["all"] == []


def test_conditions_read_what_foreach_exports(subscribed):
    run = subscribed(
        subscription(
            "until: '${ ($context.messages | length) == 2 }'",
            "item: message, do: [{a: {set: '${ $message }'}}], "
            "export: {as: '{messages: (($context.messages // []) + [.])}'}",
        )
    )
    deliver(run, "a")
    deliver(run, "b")
    assert run.output == {"all": ["a", "b"], "context": {"messages": ["a", "b"]}}


def test_a_subscription_ends_after_its_time(subscribed):
    run = subscribed(subscription("amount: 5, for: {minutes: 1}"))
    began = run.now
    deliver(run, "a")
    run.pass_time()
    assert run.output["all"] == ["a"]
    assert run.now - began == 60_000
    assert run.withdrawn


def test_the_time_of_a_subscription_is_cleared(subscribed):
    run = subscribed(subscription("amount: 1, for: {minutes: 1}"))
    deliver(run, "a")
    assert run.output["all"] == ["a"]
    assert not run.timers


def test_foreach_runs_for_one_message_after_the_other(subscribed):
    run = subscribed(subscription("amount: 3", f"item: message, {DO}, output: {{as: '[.place, .got]'}}"))
    deliver(run, "a", "b", "c")
    assert run.output["all"] == [[0, "a"], [1, "b"], [2, "c"]]
    assert run.path() == ["s", "echo", "echo", "echo", "after"]
    assert len(run.of("message.processed")) == 3


def test_messages_wait_for_the_tasks_of_foreach(subscribed):
    run = subscribed(subscription("amount: 2", "do: [{w: {wait: {seconds: 1}}}]"))
    deliver(run, "a", "b")
    assert run.withdrawn
    assert run.state.status == "running"
    run.pass_time()
    assert run.output["all"] == ["a", "b"]


def test_an_endless_subscription_processes_messages_until_it_is_cancelled(subscribed):
    run = subscribed(subscription("while: '${ true }'", f"item: message, {DO}"))
    assert "single" not in run.requests[-1].arguments["subscription"]
    for place in range(5):
        deliver(run, place, -place)
    assert len(run.of("message.processed")) == 10
    run.send(MessageKind.CANCEL)
    assert run.state.status == "cancelled"
    assert run.withdrawn == [run.requests[-1].run]


def test_an_error_of_the_broker_faults_the_task(subscribed):
    run = subscribed(subscription("amount: 2", "do: [{w: {wait: {seconds: 1}}}]"))
    deliver(run, "a")
    run.reply(run.requests[-1], communication("away"))
    run.settle()
    assert run.error["instance"] == "/do/0/s"
    assert not run.timers or set(run.timers) == set()


def test_an_error_in_foreach_ends_the_subscription(subscribed):
    run = subscribed(subscription("amount: 2", "do: [{r: {raise: {error: {type: t, status: 400}}}}]"))
    deliver(run, "a")
    assert run.error["type"] == "t"
    assert run.withdrawn == [run.requests[-1].run]


def test_a_retry_goes_on_with_the_message_that_faulted(world):
    failing = [True]

    def answer(request: Any) -> Any:
        if request.queue != "http":
            return _answer(request)
        if request.arguments["body"] == 2 and failing.pop():
            return communication("away")
        return request.arguments["body"] * 10

    call = "{call: http, with: {method: post, endpoint: 'http://service.test', body: '${ $item }'}}"
    run = world(subscription("amount: 3, for: {hours: 1}", f"do: [{{c: {call}}}]"), answer).start({})
    first = next(request for request in run.requests if request.queue == "call")
    deliver(run, 1, 2)
    assert run.state.status == "faulted"
    assert run.withdrawn == [first.run]
    assert not run.timers
    failing.append(False)
    run.send(MessageKind.RETRY)
    again = next(request for request in reversed(run.requests) if request.queue == "call")
    assert again.run != first.run
    assert (again.arguments["subscription"]["place"], again.arguments["subscription"]["processed"]) == (2, 1)
    run.send(MessageKind.MESSAGES, run=again.run, place=2, sender="two", messages=[3])
    assert run.output["all"] == [10, 20, 30]
    assert len(run.of("messages.received")) == 2


def test_a_retry_after_an_error_of_the_broker_keeps_what_was_consumed(subscribed):
    run = subscribed(subscription("amount: 3"))
    deliver(run, "a")
    run.reply(run.requests[-1], communication("away"))
    run.settle()
    run.send(MessageKind.RETRY)
    assert run.requests[-1].arguments["subscription"]["place"] == 1
    deliver(run, "b", "c")
    assert run.output["all"] == ["a", "b", "c"]


def test_a_timeout_ends_a_subscription(subscribed):
    run = subscribed(subscription("amount: 3", more="timeout: {after: {seconds: 5}}"))
    deliver(run, "a")
    run.pass_time()
    assert run.error["type"].endswith("/timeout")
    assert run.withdrawn == [run.requests[-1].run]


def test_the_filter_goes_to_the_executor_with_its_values(world):
    run = world(
        """
        do:
          - s:
              export: {as: '{user: 7}'}
              set: {x: 1}
          - t:
              call: asyncapi
              with:
                document: {endpoint: 'http://service.test/a.json'}
                channel: greetings
                subscription: {filter: '${ .correlationId == $context.user }', consume: {amount: 1}}
        """,
        _answer,
    ).start({})
    assert run.requests[-1].arguments["subscription"]["filter"] == {
        "expression": "${ .correlationId == $context.user }",
        "variables": {"context": {"user": 7}},
    }


def test_the_state_shows_what_was_consumed(subscribed):
    run = subscribed(subscription("amount: 3"))
    deliver(run, "a")
    shown = state_json(run.state)
    assert shown["running"][0]["messages"] == 1
    assert shown["next"] == [{"task": "/do/0/s", "waitsFor": "message"}]


def test_a_snapshot_holds_a_subscription(subscribed):
    run = subscribed(subscription("amount: 3", f"item: message, {DO}"))
    deliver(run, "a", "b")
    assert load_state(dump_state(run.state)) == run.state == fold(State("execution"), run.history)


def test_an_extension_runs_around_a_subscription(world):
    run = world(
        """
        use:
          extensions:
            - log:
                extend: call
                before: [{b: {set: {x: 1}}}]
                after: [{a: {set: '${ {extended: .} }'}}]
        do:
          - s:
              call: asyncapi
              with:
                document: {endpoint: 'http://service.test/a.json'}
                operation: greet
                subscription: {consume: {amount: 1}, foreach: {do: [{c: {set: '${ $item }'}}]}}
        """,
        _answer,
    ).start({})
    deliver(run, "a")
    assert run.path() == ["s", "b", "c", "a"]
    assert run.withdrawn
