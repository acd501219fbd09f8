"""Schemas from a `resource`: fetched before validation, pinned by hash (inventory F6, F7, K7, L1, L5)."""

import pytest
from tests.worker.test_external_functions import Web
from tests.worker.world import PENDING, FetchedText

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind

ORDER = "https://example.com/order.json"
SCHEMA = '{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}'


def resource(address=ORDER):
    return f"{{schema: {{resource: {{endpoint: '{address}'}}}}}}"


@pytest.mark.parametrize(("value", "valid"), [({"id": 1}, True), ({"id": "x"}, False), ({}, False)])
@pytest.mark.parametrize("step", ["input", "output", "export"])
def test_the_data_of_a_task_is_checked(world, step, value, valid):
    export = f"{{schema: {{resource: {{endpoint: '{ORDER}'}}}}, as: '${{ . }}'}}"
    data = export if step == "export" else resource()
    run = world(f"do: [{{a: {{set: '${{ . }}', {step}: {data}}}}}]", Web({ORDER: SCHEMA})).start(value)
    if valid:
        assert run.output == value
    else:
        assert run.error["type"].endswith("/validation")
        assert run.error["instance"] == "/do/0/a"


@pytest.mark.parametrize("step", ["input", "output"])
def test_the_data_of_the_workflow_is_checked(world, step):
    definition = f"{step}: {resource()}\ndo: [{{a: {{set: '${{ . }}'}}}}]"
    assert world(definition, Web({ORDER: SCHEMA})).start({"id": 1}).output == {"id": 1}
    error = world(definition, Web({ORDER: SCHEMA})).start({"id": "x"}).error
    assert (error["type"].rpartition("/")[2], error["instance"]) == ("validation", f"/{step}")


def test_the_input_of_the_workflow_is_transformed_after_it_is_checked(world):
    definition = (
        f"input: {{schema: {{resource: {{endpoint: '{ORDER}'}}}}, from: .id}}\n"
        "do: [{a: {set: '${ . + 1 }'}}]"
    )
    assert world(definition, Web({ORDER: SCHEMA})).start({"id": 1}).output == 2
    broken = definition.replace("from: .id", "from: .id.x")
    assert world(broken, Web({ORDER: SCHEMA})).start({"id": "x"}).error["type"].endswith("/validation")
    error = world(broken, Web({ORDER: SCHEMA})).start({"id": 1}).error
    assert (error["type"].rpartition("/")[2], error["instance"]) == ("expression", "/input")


def test_a_schema_is_fetched_once_for_an_execution(world):
    web = Web({ORDER: SCHEMA})
    definition = f"""
        input: {resource()}
        do:
          - loop: {{for: {{in: '${{ [1, 2, 3] }}'}}, do: [{{a: {{set: '${{ . }}', input: {resource()}}}}}]}}
    """
    assert world(definition, web).start({"id": 1}).output == {"id": 1}
    assert web.asked == [ORDER]


def test_several_schemas_of_a_task_are_fetched_before_it_starts(world):
    other = "https://example.com/other.yaml"
    web = Web({ORDER: SCHEMA, other: "type: string"})
    run = world(f"do: [{{a: {{set: '${{ \"x\" }}', input: {resource()}, output: {resource(other)}}}}}]", web)
    assert run.start({"id": 1}).output == "x"
    assert run.types("resource.fetched", "task.started") == ["resource.fetched"] * 2 + ["task.started"]


def test_the_iterations_of_a_listen_are_checked(world):
    definition = f"""
        do:
          - a:
              listen: {{to: {{any: [], until: 'length > 0'}}}}
              foreach: {{output: {resource()}}}
    """
    run = world(definition, Web({ORDER: SCHEMA})).start({})
    [listening] = [id_ for id_, entries in run.subscriptions.items() if entries is not None]
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"id": "x"}}
    run.send(MessageKind.EVENT, run=listening, event=event)
    assert run.error["type"].endswith("/validation")


def test_a_failed_fetch_is_an_error_of_the_workflow_that_a_retry_repeats(world):
    answers = [errors.communication("away", status=503), FetchedText(SCHEMA)]
    run = world(f"input: {resource()}\ndo: [{{a: {{set: '${{ 1 }}'}}}}]", lambda _: answers.pop(0))
    run.start({"id": 1})
    assert (run.state.status, run.state.error["status"]) == ("faulted", 503)
    run.send(MessageKind.RETRY)
    assert run.output == 1


def test_the_timeout_of_the_workflow_includes_the_fetch(world):
    run = world(f"timeout: {{after: PT1S}}\ninput: {resource()}\ndo: []", lambda _: PENDING).start({})
    assert run.pass_time().error["status"] == 408
    assert run.withdrawn == [run.requests[0].run]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("$schema: 'https://example.com/mine'", "Unknown meta-schema: 'https://example.com/mine'"),
        ("$ref: https://example.com/other.json", "https://example.com/other.json"),
        ("pattern: '(?=a)b'", "look-around"),
        ("type: 7", "/type"),
        ("[]", "a schema in a file is a mapping"),
    ],
)
def test_a_text_that_is_not_a_schema_is_a_configuration_error(world, text, cause):
    web = Web({ORDER: text})
    error = world(f"do: [{{a: {{set: {{}}, input: {resource()}}}}}]", web).start({}).error
    assert error["type"].endswith("/configuration")
    assert error["detail"].startswith(ORDER)
    assert cause in error["detail"]
    assert web.asked == [ORDER]


@pytest.mark.parametrize(
    ("draft", "valid"),
    [
        ("http://json-schema.org/draft-07/schema#", False),
        ("https://json-schema.org/draft/2020-12/schema", True),
    ],
)
def test_the_schema_names_its_draft(world, draft, valid):
    # draft 7 does not know `prefixItems`, so that its `items` is for all items
    text = f'{{"$schema": "{draft}", "prefixItems": [{{"type": "string"}}], "items": {{"type": "integer"}}}}'
    run = world(f"do: [{{a: {{set: '${{ . }}', input: {resource()}}}}}]", Web({ORDER: text})).start(["x", 1])
    assert (run.state.status == "completed") is valid


def test_a_pattern_cannot_hang(world):
    web = Web({ORDER: "type: string\npattern: ^(a+)+$"})
    run = world(f"do: [{{a: {{set: {{}}, input: {resource()}}}}}]", web).start("a" * 50_000 + "!")
    assert run.error["type"].endswith("/validation")


def test_the_address_is_a_template_on_the_raw_input(world):
    # L1
    web = Web({ORDER: SCHEMA})
    definition = f"do: [{{a: {{set: '${{ .id }}', input: {resource('https://example.com/{kind}.json')}}}}}]"
    assert world(definition, web).start({"kind": "order", "id": 1}).output == 1
    assert web.asked == [ORDER]


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("schema.json", "https://example.com/functions/f/1.0.0/schema.json"),
        ("../../shared.json", "https://example.com/functions/shared.json"),
        ("/shared.json", "https://example.com/shared.json"),
        ("https://example.org/x.json", "https://example.org/x.json"),
        ("file://etc/x.json", "file:etc/x.json"),
    ],
)
def test_a_relative_address_begins_at_the_function_that_has_it(world, endpoint, address):
    # L1
    function = "https://example.com/functions/f/1.0.0/function.yaml"
    web = Web({function: f"set: '${{ 1 }}'\ninput: {resource(endpoint)}", address: "type: object"})
    assert world(f"do: [{{a: {{call: '{function}'}}}}]", web).start({}).output == 1
    assert web.asked == [function, address]


def test_a_relative_address_of_a_workflow_is_in_the_directory_of_resources(world):
    # L1
    web = Web({"file:schemas/order.json": SCHEMA})
    definition = f"do: [{{a: {{set: '${{ .id }}', input: {resource('../schemas/./order.json')}}}}}]"
    assert world(definition, web).start({"id": 1}).output == 1


def test_two_authentications_do_not_share_a_text(world):
    definition = f"""
        do:
          - a: {{set: '${{ . }}', input: {resource()}}}
          - b:
              set: ${{ 1 }}
              input:
                schema:
                  resource:
                    endpoint: {{uri: '{ORDER}', authentication: {{bearer: {{token: t}}}}}}
    """
    web = Web({ORDER: SCHEMA})
    run = world(definition, web).start({"id": 1})
    assert run.output == 1
    assert web.asked == [ORDER, ORDER]
    assert run.requests[1].arguments["endpoint"]["authentication"] == {"bearer": {"token": "t"}}
