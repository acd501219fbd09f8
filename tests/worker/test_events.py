"""`emit` and `listen` (inventory I40-I54, P1-P7), without a store."""

import orjson
import pytest

from unspool.definitions.errors import WorkflowError
from unspool.eventstore.records import MessageKind, PublishEvent, Status
from unspool.worker.interpreter.event_index import EventKeys
from unspool.worker.interpreter.snapshot import dump_state, load_state


def event(type_="t", data=None, **attributes):
    made = {"specversion": "1.0", "id": "1", "source": "/s", "type": type_, **attributes}
    return made if data is None else {**made, "data": data}


class Listener:
    """A world in which the one subscription of an execution gets events through the index."""

    def __init__(self, run):
        self.run = run
        self.keys = EventKeys()

    @property
    def subscription(self):
        open_ = {run: entries for run, entries in self.run.subscriptions.items() if entries is not None}
        [(run, entries)] = open_.items()
        return run, entries

    def publish(self, *events):
        for each in events:
            run, entries = self.subscription
            found = self.keys(tuple({entry.shape for entry in entries}), each)
            if {entry.key for entry in entries} & set(found):
                self.run.send(MessageKind.EVENT, run=run, event=each)
                assert load_state(dump_state(self.run.state)) == self.run.state
        return self

    @property
    def output(self):
        assert all(entries is None for entries in self.run.subscriptions.values())
        return self.run.output


@pytest.fixture
def listen(world):
    def make(task, value=None, before="", **answer):
        return Listener(world(f"do: [{before}{{l: {task}}}]", **answer).start(value))

    return make


@pytest.mark.parametrize(
    ("characters", "published"), [(8 * 1024 * 1024 - 100, 0), (8 * 1024 * 1024 - 400, 1)]
)
def test_an_event_that_no_task_could_consume_is_not_emitted(world, characters, published):
    """Its attributes count, too."""
    event = "{source: /s, type: big, data: '${ . }'}"
    run = world(f"do: [{{e: {{emit: {{event: {{with: {event}}}}}}}}}]").start("x" * characters)
    assert len(run.outgoing) == published
    if not published:
        assert run.error["detail"] == "the event is not valid: the event has more than 8388608 characters"


def test_emit_publishes_binary_data(world):
    event = "{type: t, datacontenttype: image/png, data_base64: AAE=}"
    run = world(f"do: [{{e: {{emit: {{event: {{with: {event}}}}}}}}}]").start()
    assert (run.output["data_base64"], run.output["datacontenttype"]) == ("AAE=", "image/png")


def test_emit_publishes_its_output(world):
    run = world("""
do:
  - a: {set: {n: 1}}
  - e: {emit: {event: {with: {type: t, subject: "${ .n | tostring }", priority: 3, data: {x: "${ .n }"}}}}}
""").start()
    [published] = run.outgoing
    assert isinstance(published, PublishEvent)
    assert published.event == run.output
    assert {**run.output, "id": "", "time": ""} == {
        "specversion": "1.0",
        "id": "",
        "source": "/test/test/1.0.0",
        "type": "t",
        "time": "",
        "datacontenttype": "application/json",
        "subject": "1",
        "priority": 3,
        "data": {"x": 1},
    }
    assert run.output["id"]
    assert run.output["time"] == "1970-01-01T00:16:40.000Z"


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ("type: '${ null }'", "'type' is missing"),
        ("type: t, time: '${ \"noon\" }'", "'time' must be a time as in RFC 3339, not 'noon'"),
        *(
            (f"type: t, time: '${{ \"{day}T00:00:00Z\" }}'", f"RFC 3339, not '{day}T00:00:00Z'")
            for day in ("2026-02-29", "2024-02-30", "1900-02-29", "2026-04-31", "0001-02-29")
        ),
        ("type: t, subject: '${ 1 }'", "'subject' must be text"),
        ("type: t, Extra: x", "'Extra' is not a name"),
        ("type: t, extra: '${ {} }'", "'extra' must be text"),
    ],
)
def test_an_event_that_is_not_valid(world, attributes, problem):
    error = world(f"do: [{{e: {{emit: {{event: {{with: {{{attributes}}}}}}}}}}}]").start().error
    assert error["type"].endswith("/validation")
    assert problem in error["detail"]
    assert error["instance"] == "/do/0/e"


@pytest.mark.parametrize(
    "time", ["2024-02-29T23:59:60Z", "2000-02-29t00:00:00.123456789z", "0000-02-29T00:00:00+01:00"]
)
def test_a_time_that_is_valid(world, time):
    assert (
        world(f"do: [{{e: {{emit: {{event: {{with: {{type: t, time: '{time}'}}}}}}}}}}]")
        .start()
        .output["time"]
        == time
    )


def test_one_waits_for_the_first_event_that_matches(listen):
    listener = listen("{listen: {to: {one: {with: {type: t, source: /s}}}}}")
    assert listener.run.state.status_phase is Status.WAITING
    listener.publish(event("u"), event(source="/other"), event(data={"n": 1}))
    assert listener.output == [{"n": 1}]
    assert listener.run.types("workflow.correlation-started", "event.received") == [
        "workflow.correlation-started",
        "event.received",
    ]


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        ("data", event(data=[1]), [1]),
        ("envelope", event(data=[1]), event(data=[1])),
        ("raw", event(data="text"), "text"),
        ("raw", event(data={"a": 1}), '{"a":1}'),
        ("raw", event(data_base64="AAE="), "AAE="),
        ("data", event(data_base64="AAE="), "AAE="),
        ("data", event(), None),
        ("data", event(data="x", data_base64=None), "x"),
        ("raw", event(data="x", data_base64=None), "x"),
        ("data", {**event(data_base64="AAE="), "data": None}, "AAE="),
    ],
)
def test_read(listen, read, given, expected):
    listener = listen(f"{{listen: {{read: {read}, to: {{any: []}}}}}}")
    assert listener.publish(given).output == [expected]


@pytest.mark.parametrize(
    ("with_", "matching", "other"),
    [
        ("{type: 'order[.].*'}", event("order.paid"), event("my.order.paid")),
        ("{type: a.b}", event("a.b"), event("axb")),
        ("{type: t, data: '${ .n > 3 }'}", event(data={"n": 4}), event(data={"n": 3})),
        ("{type: t, subject: '${ $input.id }'}", event(subject="7"), event(subject="8")),
        ("{subject: '${ \"7\" }'}", event(subject="7"), event(subject="8")),
        (
            "{type: t, data: {a: {b: 1}}}",
            event(data={"a": {"b": 1, "c": 2}, "d": 3}),
            event(data={"a": {"b": 2}}),
        ),
        ("{type: t, data: {a: 'x+'}}", event(data={"a": "xxx"}), event(data={"a": "y"})),
        ("{type: t, data: {a: [1, '${ . > 1 }']}}", event(data={"a": [1, 2]}), event(data={"a": [1, 1]})),
        ("{priority: 1}", event(priority=1), event(priority=True)),
        ("{data: '${ {a: [1]} }'}", event(data={"a": [1]}), event(data={"a": [True]})),
        ("{data: '${ [false] }'}", event(data=[False]), event(data=[0])),
        ("{type: t, data: '${ .a.b.c }'}", event(data={"a": {"b": {"c": True}}}), event(data={"a": "x"})),
    ],
)
def test_filters(listen, with_, matching, other):
    listener = listen(f"{{listen: {{read: envelope, to: {{one: {{with: {with_}}}}}}}}}", {"id": "7"})
    listener.publish(other)
    assert listener.run.state.status == "running"
    assert listener.publish(matching).output == [matching]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 1, 1.5, True, None, []])
@pytest.mark.parametrize("attribute", ["type", "subject"])
def test_an_attribute_that_is_compared_with_another_kind_of_value(listen, attribute, value):
    wanted = f"{attribute}: '${{ $input.v }}'"
    listener = listen(
        f"{{listen: {{to: {{any: [{{with: {{{wanted}}}}}, {{with: {{type: t}}}}]}}}}}}", {"v": value}
    )
    if value is not True:  # a boolean says itself whether the event matches
        listener.publish(event("a"), event("1"), event("None"))
    assert listener.publish(event("t", 1)).output == [1]


@pytest.mark.parametrize(
    "shape",
    [
        '[["a"],[],[]]',
        '[{"a":1},[],[]]',
        "[1,[],[]]",
        '["t",[["a"]],[]]',
        '["t",[],["("]]',
        '["t",[]]',
        "{",
        "9",
    ],
)
def test_a_stored_shape_that_cannot_be_read_stops_no_other(listen, shape):
    listener = listen("{listen: {to: {one: {with: {type: t}}}}}")
    [entry] = listener.subscription[1]
    for shapes in ((shape, entry.shape), (entry.shape, shape)):
        assert EventKeys()(shapes, event("t")) == [entry.key]


def test_an_event_whose_key_cannot_be_computed_stops_no_other(listen):
    listener = listen(correlated(".data"), {"k": "1"})
    [entry] = listener.subscription[1]
    keys = EventKeys()
    for data in ("\ud800", 1 << 70, float("nan")):
        assert entry.key not in keys((entry.shape,), event("a", data))
    assert keys((entry.shape,), event("a", "1")) == [entry.key]


def test_an_event_that_is_too_large_is_not_consumed(listen):
    listener = listen("{listen: {to: {one: {with: {type: t}}}}}")
    too_large = {"run": listener.subscription[0], "event": event("t", "x" * 9_000_000)}
    listener.run.send(MessageKind.EVENT, **too_large)
    assert listener.publish(event("t", 1)).output == [1]


def test_all_consumes_one_event_for_each_filter_in_the_order_of_arrival(listen):
    listener = listen("{listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}}")
    listener.publish(event("b", 1), event("b", 2), event("a", 3))
    assert listener.output == [1, 3]


def test_all_without_filters_is_met_at_once(listen):
    assert listen("{listen: {to: {all: []}}}").output == []


def test_until_a_condition(listen):
    listener = listen("{listen: {to: {any: [{with: {type: t}}], until: '(. | length) == 2'}}}")
    assert listener.publish(event(data=1), event(data=2)).output == [1, 2]


def test_until_an_event_that_is_not_in_the_output(listen):
    listener = listen("{listen: {to: {any: [{with: {type: t}}], until: {one: {with: {type: stop}}}}}}")
    assert listener.publish(
        event(data=1),
        event("stop"),
    ).output == [1]
    listener = listen("{listen: {to: {any: [], until: {all: [{with: {type: a}}, {with: {type: b}}]}}}}")
    assert listener.publish(event("b"), event(data=1), event("b"), event("a")).output == [1, None]


def test_the_first_value_of_a_correlation_is_expected_from_then_on(listen):
    listener = listen("""{listen: {to: {all: [
      {with: {type: a}, correlate: {order: {from: .data.order}}},
      {with: {type: b}, correlate: {order: {from: .data.id}}}]}}}""")
    listener.publish(event("a", {}), event("a", {"order": 5}), event("b", {"id": 6}), event("b", {"id": 5.0}))
    assert listener.output == [{"order": 5}, {"id": 5.0}]
    assert [each.data for each in listener.run.of("workflow.correlation-completed")] == [
        {"keys": {"order": 5}}
    ]


def test_an_expected_correlation_is_known_from_the_start(listen):
    listener = listen(
        """{listen: {to: {one: {with: {type: a}, correlate: {
           order: {from: .data.order, expect: "${ $context.order }"}, kind: {from: .kind, expect: k}}}}}}""",
        {"order": 5},
        before="{s: {set: {}, export: {as: {order: '${ $workflow.input.order }'}}}}, ",
    )
    listener.publish(
        event("a", {"order": 6}, kind="k"), event("a", {"order": 5}), event("a", {"order": 5}, kind="k")
    )
    assert listener.output == [{"order": 5}]


def correlated(source):
    correlation = f"{{k: {{from: '{source}', expect: '${{ .k }}'}}}}"
    return f"{{listen: {{to: {{one: {{with: {{type: a}}, correlate: {correlation}}}}}}}}}"


@pytest.mark.parametrize(
    ("source", "indexed"),
    [
        *((path, True) for path in (".data", ".data.k", '.data["k"]', '."data".k', "${ .data.l[0] }", ".id")),
        ("reduce range(5000) as $n (.data.k; [.])", False),  # deeper than JSON and Python allow
        ("[range(1000000)] | length", False),  # takes seconds
        (".data.k | tostring", False),
        ("[0]", False),
    ],
)
def test_only_paths_are_indexed_because_events_of_all_tenants_wait_for_the_index(listen, source, indexed):
    listener = listen(correlated(source), {"k": "1"})
    _, [entry] = listener.subscription
    assert bool(orjson.loads(entry.shape)[2]) is indexed
    listener.publish(event("b"), event("a", data={"l": [1]}))


def test_a_correlation_that_is_not_indexed_is_compared_by_the_execution(listen):
    listener = listen(correlated(".data.k | tostring"), {"k": "1"})
    assert listener.publish(event("a", data={"k": 2}), event("a", data={"k": 1})).output == [{"k": 1}]


def test_foreach_processes_events_one_after_another(listen):
    listener = listen("""
{listen: {to: {any: [{with: {type: t}}], until: '. | any(. == "stop")'}},
 foreach: {item: e, at: i, do: [{w: {wait: {seconds: 1}}},
   {s: {set: {got: "${ $e }", at: "${ $i }", in: "${ . }"}}}],
  output: {as: "${ {got, at, in, again: $e} }"}, export: {as: "${ [$context[]?, $i] }"}}}""")
    listener.publish(event(data="a"), event(data="b"))
    assert listener.run.path() == ["l", "w"]
    assert listener.run.state.status_phase is Status.WAITING
    listener.run.pass_time()
    listener.publish(event(data="stop"))
    assert listener.run.pass_time().output == [
        {"got": each, "at": at, "in": each, "again": each} for at, each in enumerate(["a", "b", "stop"])
    ]
    assert listener.run.state.context == [0, 1, 2]


def test_foreach_without_tasks_transforms_events(listen):
    listener = listen("""{listen: {to: {any: [{with: {type: t}}], until: {one: {with: {type: stop}}}}},
      foreach: {output: {as: .n}}}""")
    assert listener.publish(event(data={"n": 1}), event(data={"n": 2}), event("stop")).output == [1, 2]
    listener = listen("{listen: {to: {any: []}}, foreach: {}}")
    assert listener.publish(event(data=3)).output == [3]


def test_exit_and_end_within_foreach(listen):
    task = """{{listen: {{to: {{any: [{{with: {{type: t}}}}], until: 'length == 2'}}}},
      foreach: {{do: [{{a: {{set: {{n: "${{ $item }}"}}, then: {0}}}}}, {{b: {{set: {{n: 0}}}}}}]}}}}"""
    assert listen(task.format("exit")).publish(event(data=1), event(data=2)).output == [{"n": 1}, {"n": 2}]
    assert listen(task.format("end")).publish(event(data=1)).output == {"n": 1}


def test_a_timeout_and_a_cancellation_end_the_subscription(listen):
    listener = listen("{listen: {to: {any: []}}, timeout: {after: PT1S}}")
    assert listener.run.pass_time().error["status"] == 408
    assert list(listener.run.subscriptions.values()) == [None]
    listener = listen("{listen: {to: {any: []}}}")
    listener.run.send(MessageKind.CANCEL)
    assert list(listener.run.subscriptions.values()) == [None]


def test_a_retry_goes_on_with_the_event_that_faulted_and_listens_again(listen):
    answers = iter([WorkflowError("x:e", 500), "one", "two"])
    listener = listen(
        """{listen: {to: {any: [{with: {type: t}}], until: '. == [1, 2]'}}, timeout: {after: PT1H},
      foreach: {do: [{a: {call: http, with: {method: get, endpoint: "http://h/{n}"}}}]}}""",
        answer=lambda _: next(answers),
    )
    listener.publish(event(data=1))
    assert listener.run.error["instance"] == "/do/0/l/foreach/do/0/a"
    assert list(listener.run.subscriptions.values()) == [None]
    listener.run.send(MessageKind.RETRY)
    assert listener.publish(event(data=2)).output == ["one", "two"]
    assert not listener.run.timers


def test_a_retry_does_not_listen_again_if_enough_events_were_consumed(listen):
    answers = iter([WorkflowError("x:e", 500), "one"])
    listener = listen(
        """{listen: {to: {one: {with: {type: a}}}},
      foreach: {do: [{a: {call: http, with: {method: get, endpoint: "http://h/{n}"}}}]}}""",
        answer=lambda _: next(answers),
    )
    listener.publish(event("a", data=1))
    assert listener.run.error["instance"] == "/do/0/l/foreach/do/0/a"
    listener.run.send(MessageKind.RETRY)
    assert list(listener.run.subscriptions.values()) == [None]
    assert listener.output == ["one"]


def test_events_in_branches_and_loops(world):
    run = world("""
do:
  - f:
      fork:
        branches:
          - a: {listen: {to: {one: {with: {type: a}}}}}
          - b: {for: {in: "[1, 2]"}, do: [{l: {listen: {to: {one: {with: {type: b}}}}}}]}
""").start()
    for type_ in ("b", "a", "b"):
        for listening, entries in list(run.subscriptions.items()):
            if entries is not None and EventKeys()(tuple(e.shape for e in entries), event(type_)):
                run.send(MessageKind.EVENT, run=listening, event=event(type_, type_))
    assert run.output == [["a"], ["b"]]


def test_an_event_of_a_run_that_has_ended_changes_nothing(listen):
    listener = listen("{listen: {to: {any: []}}}")
    run, _ = listener.subscription
    assert listener.publish(event()).output == [None]
    version = listener.run.state.version
    listener.run.send(MessageKind.EVENT, run=run, event=event())
    assert listener.run.state.version == version
