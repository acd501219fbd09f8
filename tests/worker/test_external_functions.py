"""Functions at an address and of a catalog: fetched once, pinned by hash (inventory J24, L5, R1-R5)."""

import pytest
from tests.worker.world import PENDING, FetchedText

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind, TaskRequest

DOUBLE = "input: {from: '${ .n }'}\nset: ${ . * 2 }\n"
CALL = "do: [{call: {call: 'https://example.com/double.yaml', with: {n: '${ .x }'}}}]"


class Web:
    """Texts by address. It counts how often each was asked for; what is not a text is the result."""

    def __init__(self, texts):
        self.texts = texts
        self.asked = []

    def __call__(self, request: TaskRequest):
        if request.queue != "resource":
            return request.arguments
        address = request.arguments["endpoint"]["uri"]
        self.asked.append(address)
        found = self.texts.get(address, errors.communication("away", status=404))
        return FetchedText(found) if isinstance(found, str) else found


def test_a_function_is_fetched_and_gets_the_arguments(world):
    web = Web({"https://example.com/double.yaml": DOUBLE})
    run = world(CALL, web).start({"x": 21})
    assert run.output == 42
    assert run.types("resource.requested", "resource.fetched", "task.started") == [
        "resource.requested",
        "resource.fetched",
        "task.started",
        "task.started",
    ]
    [created] = run.of("task.created", "double.yaml")
    assert created.task == "/use/functions/https:~1~1example.com~1double.yaml"


def test_a_function_is_fetched_once_for_all_that_need_it(world):
    web = Web({"https://example.com/double.yaml": DOUBLE})
    run = world(
        """
        do:
          - both:
              fork:
                branches:
                  - a: {call: 'https://example.com/double.yaml', with: {n: 1}}
                  - b: {call: 'https://example.com/double.yaml', with: {n: 2}}
          - again: {call: 'https://example.com/double.yaml', with: {n: 3}, output: {as: '${ [., $input] }'}}
        """,
        web,
    ).start({})
    assert run.output == [6, [2, 4]]
    assert len(web.asked) == 1
    assert len(run.of("resource.awaited")) == 1


def test_the_replay_uses_the_text_that_the_execution_used(world):
    # L5, R5; `output` verifies the history with the texts of its hashes
    web = Web({"https://example.com/double.yaml": DOUBLE})
    run = world(CALL, web).start({"x": 1})
    web.texts["https://example.com/double.yaml"] = "set: ${ 0 }"
    assert run.output == 2


def test_a_failed_fetch_is_an_error_of_the_task_that_can_be_caught_and_retried(world):
    answers = [errors.communication("away", status=503), FetchedText(DOUBLE)]
    run = world(
        """
        do:
          - tried:
              try: [{call: {call: 'https://example.com/double.yaml', with: {n: 4}}}]
              catch:
                errors: {with: {status: 503}}
                retry: {delay: {seconds: 1}, limit: {attempt: {count: 2}}}
        """,
        lambda _: answers.pop(0),
    ).start({})
    assert run.pass_time().output == 8
    [faulted] = run.of("task.faulted")
    assert faulted.data["error"]["instance"] == "/do/0/tried/try/0/call"


def test_all_that_wait_for_a_text_fault_if_it_cannot_be_fetched(world):
    branch = (
        "{try: [{call: {call: 'https://x.test/none'}}], catch: {do: [{tell: {set: '${ $error.status }'}}]}}"
    )
    run = world(f"do: [{{both: {{fork: {{branches: [{{a: {branch}}}, {{b: {branch}}}]}}}}}}]", Web({})).start(
        {}
    )
    assert run.output == [404, 404]


def test_a_text_that_is_not_a_function_is_a_configuration_error_with_its_place(world):
    text = "call: http\nwith:\n  method: get\n  endpoint: http://localhost/\n  hedders: {}\n"
    error = world(CALL, Web({"https://example.com/double.yaml": text})).start({"x": 1}).error
    assert error["type"].endswith("/configuration")
    assert error["detail"].startswith("https://example.com/double.yaml:5:3: ")
    assert "hedders" in error["detail"]
    assert error["instance"] == "/do/0/call"


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "set: ${ .a[ }", "&a [*a]", "\0"])
def test_no_text_breaks_the_execution(world, text):
    error = world(CALL, Web({"https://example.com/double.yaml": text})).start({"x": 1}).error
    assert error["type"].endswith("/configuration")
    assert error["detail"].startswith("https://example.com/double.yaml")


def test_a_retry_fetches_an_unusable_text_again(world):
    web = Web({"https://example.com/double.yaml": "no: task"})
    run = world(CALL, web).start({"x": 2})
    assert run.state.status == "faulted"
    web.texts["https://example.com/double.yaml"] = DOUBLE
    run.send(MessageKind.RETRY)
    assert run.output == 4


def test_functions_call_functions_and_a_cycle_ends_with_an_error(world):
    web = Web(
        {
            "https://example.com/a.yaml": "do: [{b: {call: 'https://example.com/b.yaml'}}]",
            "https://example.com/b.yaml": "set: ${ .n + 1 }",
            "https://example.com/x.yaml": "do: [{y: {call: 'https://example.com/y.yaml'}}]",
            "https://example.com/y.yaml": "do: [{x: {call: 'https://example.com/x.yaml'}}]",
        }
    )
    good = "do: [{call: {call: 'https://example.com/a.yaml', with: {n: 1}}}]"
    assert world(good, web).start({}).output == 2
    error = world("do: [{call: {call: 'https://example.com/x.yaml'}}]", web).start({}).error
    assert error["title"] == "Calls nested too deeply"
    assert error["instance"] == "/do/0/call"
    assert len(web.asked) == 4


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("call: helper", "no function 'helper'"),
        ("call: 'log:1.0.0@shop'", "no catalog 'shop'"),
        (
            "call: http\nwith: {method: get, endpoint: 'http://x/', headers: {k: '${ $secrets.key }'}}",
            "secret",
        ),
        ("call: http\nwith: {method: get, endpoint: {uri: 'http://x/', authentication: {use: a}}}", "'a'"),
    ],
)
def test_a_function_cannot_use_the_components_of_the_workflow(world, text, cause):
    definition = """
        use:
          secrets: [key]
          functions: {helper: {set: 1}}
          catalogs: {shop: {endpoint: 'https://example.com'}}
          authentications: {a: {bearer: {token: t}}}
        do: [{call: {call: 'https://example.com/double.yaml'}}]
    """
    error = world(definition, Web({"https://example.com/double.yaml": text})).start({}).error
    assert error["type"].endswith("/configuration")
    assert cause in error["detail"]


def test_an_error_in_a_function_has_the_call_as_its_place(world):
    # O4
    text = "do: [{fail: {raise: {error: {type: 'https://example.com/x', status: 500}}}}]"
    error = world(CALL, Web({"https://example.com/double.yaml": text})).start({"x": 1}).error
    assert error["instance"] == "/do/0/call"


def test_the_timeout_of_a_call_includes_the_fetch(world):
    # N1
    definition = "do: [{call: {call: 'https://example.com/double.yaml', timeout: {after: {seconds: 1}}}}]"
    run = world(definition, lambda _: PENDING).start({})
    assert run.pass_time().error["status"] == 408
    [request] = run.requests
    assert run.withdrawn == [request.run]


def test_a_text_that_arrives_too_late_changes_nothing(world):
    run = world(CALL, lambda _: PENDING).start({"x": 1})
    [request] = run.requests
    run.send(MessageKind.CANCEL)
    assert run.withdrawn == [request.run]
    events = len(run.history)
    run.send(MessageKind.TASK_COMPLETED, run=request.run, output={"sha256": "0" * 64})
    assert len(run.history) == events


def test_a_text_that_arrives_twice_is_used_once(world):
    run = world(CALL, Web({"https://example.com/double.yaml": "wait: {seconds: 1}"})).start({"x": 1})
    [request] = run.requests
    fetched = run.of("resource.fetched")[0].data
    events = len(run.history)
    run.send(MessageKind.TASK_COMPLETED, run=request.run, output={"sha256": fetched["sha256"]})
    assert len(run.history) == events


def test_what_is_fetched_while_the_execution_is_suspended_is_used_when_it_resumes(world):
    run = world(CALL, lambda _: PENDING).start({"x": 5})
    run.send(MessageKind.SUSPEND)
    [request] = run.requests
    run.reply(request, FetchedText(DOUBLE))
    run.settle()
    assert run.path() == []
    run.send(MessageKind.RESUME)
    assert run.output == 10


def test_an_execution_that_is_retried_uses_the_same_text(world):
    answers = iter([errors.communication("away"), {"n": 1}])
    web = Web(
        {"https://example.com/get.yaml": "call: http\nwith: {method: get, endpoint: 'http://localhost/'}"}
    )
    run = world(
        "do: [{call: {call: 'https://example.com/get.yaml'}}]",
        lambda request: web(request) if request.queue == "resource" else next(answers),
    ).start({})
    assert run.state.status == "faulted"
    run.send(MessageKind.RETRY)
    assert run.output == {"n": 1}
    assert len(web.asked) == 1


def test_an_execution_fetches_a_limited_number_of_texts(world):
    run = world(
        """
        use: {catalogs: {any: {endpoint: 'https://example.com/{n}'}}}
        do:
          - loop:
              for: {in: '${ [range(200)] }'}
              do: [{call: {call: 'f:1.0.0@any', input: {from: '${ . }'}}}]
        """,
        lambda _: FetchedText("set: {n: '${ (.n // 0) + 1 }'}"),
    ).start({"n": 0})
    assert run.error["title"] == "Too many external resources"
    assert len(run.of("resource.fetched")) == 100


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("https://example.com/catalog/", "https://example.com/catalog/functions/log/1.0.0/function.yaml"),
        (
            "https://github.com/serverlessworkflow/catalog",
            "https://raw.githubusercontent.com/serverlessworkflow/catalog/refs/heads/main/functions/log/1.0.0/function.yaml",
        ),
        ("${ .base }", "https://example.org/functions/log/1.0.0/function.yaml"),
        ("file://shared", "file:shared/functions/log/1.0.0/function.yaml"),
    ],
)
def test_a_function_of_a_catalog_has_an_address(world, endpoint, address):
    # R1, R2
    web = Web({address: "set: ${ .message }"})
    run = world(
        f"""
        use: {{catalogs: {{shop: {{endpoint: '{endpoint}'}}}}}}
        do: [{{log: {{call: 'log:1.0.0@shop', with: {{message: hello}}}}}}]
        """,
        web,
    ).start({"base": "https://example.org"})
    assert run.output == "hello"


def test_the_default_catalog_is_that_of_the_runtime_unless_one_has_its_name(world):
    # R3
    web = Web(
        {
            "catalog:functions/log/1.0.0/function.yaml": "set: ${ 1 }",
            "https://example.com/functions/log/1.0.0/function.yaml": "set: ${ 2 }",
        }
    )
    call = "do: [{log: {call: 'log:1.0.0@default'}}]"
    assert world(call, web).start({}).output == 1
    own = "use: {catalogs: {default: {endpoint: 'https://example.com'}}}\n" + call
    assert world(own, web).start({}).output == 2


def test_the_authentication_of_a_catalog_goes_with_the_request(world):
    # R4, K7
    definition = """
    use:
      secrets: [token]
      authentications: {shop: {bearer: {token: '${ $secrets.token }'}}}
      catalogs: {shop: {endpoint: {uri: 'https://example.com', authentication: {use: shop}}}}
    do: [{log: {call: 'log:1.0.0@shop'}}]
    """
    run = world(definition, lambda _: FetchedText("set: ${ 1 }")).start({})
    assert run.output == 1
    [request] = run.requests
    assert request.arguments["endpoint"]["uri"] == "https://example.com/functions/log/1.0.0/function.yaml"
    [text] = request.arguments["$secrets"]["texts"]
    assert text["at"] == "/endpoint/authentication/bearer/token"


def test_an_address_cannot_depend_on_what_changes_while_the_task_runs(world):
    definition = (
        "use: {catalogs: {shop: {endpoint: '${ $context.base }'}}}\ndo: [{log: {call: 'log:1.0.0@shop'}}]"
    )
    error = world(definition).start({}).error
    assert error["type"].endswith("/configuration")
    assert "$context" in error["detail"]


@pytest.mark.parametrize(
    ("base", "cause"),
    [
        ("http://[", "host"),
        ("http://a b", "white space"),
        ("http://ada:secret@example.com", "credentials"),
        ("http://h/" + "x" * 9000, "4096"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_without_the_address(world, base, cause):
    definition = "use: {catalogs: {shop: {endpoint: '${ .base }'}}}\ndo: [{log: {call: 'log:1.0.0@shop'}}]"
    error = world(definition).start({"base": base}).error
    assert error["type"].endswith("/expression")
    assert cause in error["detail"]
    assert "secret" not in error["detail"]
