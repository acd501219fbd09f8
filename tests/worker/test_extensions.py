"""Extensions: lists of tasks before and after others (inventory Q1-Q8, E8, O4)."""

import pytest

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind

CALL = "call: http, with: {method: get, endpoint: http://h}"
NOTE = "export: {as: '[($context // [])[], %s]'}"
"""Adds to the context what the tasks of an extension see."""


def noting(value: str, name: str = "note") -> str:
    return f"{{{name}: {{set: {{ignored: true}}, {NOTE % value}}}}}"


def extension(
    extend: str = "all", before: str = "", after: str = "", when: str = "", name: str = "ext"
) -> str:
    condition = f"when: '{when}', " if when else ""
    return f"{{{name}: {{extend: {extend}, {condition}before: [{before}], after: [{after}]}}}}"


def using(*extensions: str, do: str, functions: str = "{}") -> str:
    return f"use: {{functions: {functions}, extensions: [{', '.join(extensions)}]}}\ndo: {do}"


# -- data


def test_before_gets_the_raw_input_and_after_the_output_and_both_are_discarded(world):
    # Q3, Q4
    both = extension(before=noting(".ignored, $input"), after=noting(".ignored, $input"))
    run = world(
        using(both, do="[{t: {input: {from: .x}, set: {y: '${ . + 1 }'}, output: {as: .y}}}]"),
    ).start({"x": 1})
    assert run.output == 2
    assert run.state.context == [True, {"x": 1}, True, 2]


def test_the_tasks_of_a_list_hand_on_their_output(world):
    # Q3: each list of an extension begins with the raw input again
    step = "{one: {set: {n: '${ .n + 1 }'}}}, {two: {set: '${ .n }', %s}}" % (NOTE % ".")
    run = world(
        using(extension(before=step), extension(before=step, name="other"), do="[{t: {set: {z: 1}}}]")
    )
    assert run.start({"n": 1}).output == {"z": 1}
    assert run.state.context == [2, 2]


def test_exports_of_the_extended_task_hold_for_its_after_lists(world):
    run = world(
        using(
            extension(after="{a: {set: {n: 1}, export: {as: '{seen: $context}'}}}"),
            do="[{t: {set: {x: 1}, export: {as: '{mine: .x}'}}}]",
        )
    ).start({})
    assert run.output == {"x": 1}
    assert run.state.context == {"seen": {"mine": 1}}


def test_the_input_is_checked_before_anything_runs(world):
    # Q6: only if the task will run
    schema = "{schema: {document: {type: object, required: [a]}}}"
    run = world(using(extension(before=noting("1")), do=f"[{{t: {{input: {schema}, set: {{x: 1}}}}}}]"))
    assert run.start({}).error["instance"] == "/do/0/t"
    assert run.path() == []


def test_a_task_whose_condition_does_not_hold_is_not_extended(world):
    # Q6
    run = world(
        using(
            extension(before=noting("1"), after=noting("2")),
            do="[{t: {if: 'false', set: {x: 1}, then: end}}]",
        )
    )
    assert run.start({"in": 1}).output == {"in": 1}
    assert run.state.context is None


# -- what expressions see


def test_the_tasks_of_an_extension_see_the_extended_task(world):
    # E8
    seen = "($task | {name, reference, input, output, call, uri: .with.endpoint, at: .startedAt.iso8601})"
    run = world(
        using(
            extension("call", before=noting(seen), after=noting(seen)),
            do="[{t: {call: http, with: {method: get, endpoint: 'http://h/{n}'}, output: {as: .ok}}}]",
        ),
        lambda _: {"ok": True},
    ).start({"n": 1})
    before, after = run.state.context
    started = run.of("task.started", "/t")[0].time
    assert before == {
        "name": "t", "reference": "/do/0/t", "input": {"n": 1}, "output": None, "call": "http",
        "uri": "http://h/{n}", "at": "1970-01-01T00:16:40.000Z",
    }  # fmt: skip
    assert started == 1_000_000
    assert after == {**before, "output": {"ok": True}}
    assert run.output is True


def test_tasks_within_the_tasks_of_an_extension_see_themselves(world):
    # E8
    inner = noting("[.ignored, $task.name]", "inner").replace("ignored: true", "ignored: '${ .outer }'")
    tried = f"{{tried: {{input: {{from: '{{outer: $task.name}}'}}, try: [{inner}], catch: {{}}}}}}"
    run = world(using(extension(before=tried), do="[{t: {set: {x: 1}}}]")).start({})
    assert run.state.context == [["t", "inner"]]


def test_extensions_see_the_variables_around_the_extended_task(world):
    # E12
    run = world(
        using(
            extension("set", before=noting("$item"), after=noting("$index")),
            do="[{l: {for: {in: '[7, 8]'}, do: [{t: {set: {x: 1}}}]}}]",
        )
    ).start({})
    assert run.state.context == [7, 0, 8, 1]


@pytest.mark.parametrize("mark", ["", "metadata: {unspool: {concurrency: 2}},"])
def test_extensions_of_a_loop_do_not_see_its_variables(world, mark):
    # E12: they are not inside the loop
    run = world(
        using(
            extension("for", before=noting("$item"), after=noting("$item, .")),
            do=f"[{{l: {{{mark} for: {{in: '[7, 8]'}}, do: [{{t: {{set: '${{ $item }}'}}}}]}}}}]",
        )
    ).start({})
    assert run.output == ([7, 8] if mark else 8)
    assert run.state.context == [None, None, {"ignored": True}]


# -- which tasks are extended


KINDS = {
    "call": f"{{{CALL}}}",
    "composite": "{do: []}",
    "for": "{for: {in: '[]'}, do: []}",
    "emit": "{emit: {event: {with: {type: a.b, source: 'http://s'}}}}",
    "listen": "{listen: {to: {one: {with: {type: a.b}}}}}",
    "raise": "{raise: {error: {type: 'http://e', status: 1}}}",
    "run": "{run: {shell: {command: x}}}",
    "set": "{set: {x: 1}}",
    "switch": "{switch: [{c: {then: continue}}]}",
    "try": "{try: [], catch: {}}",
    "wait": "{wait: {seconds: 0}}",
}


@pytest.mark.parametrize("extend", [*KINDS, "all"])
def test_kinds(world, extend):
    # Q1
    note = extension(extend, before=noting("$task.reference"))
    for kind, task in [*KINDS.items(), ("composite", "{fork: {branches: []}}")]:
        run = world(using(note, do=f"[{{t: {task}}}]")).start({})
        assert run.state.context == (["/do/0/t"] if extend in {"all", kind} else None), kind


def test_tasks_of_extensions_are_not_extended(world):
    # Q1: nor is a function that an extension calls, which is extended when the workflow calls it
    run = world(
        using(
            extension(before="{call: {call: f}}, {nest: {do: [{in: {set: {x: 1}}}]}}"),
            extension("set", before=noting("$task.reference"), name="notes"),
            functions="{f: {set: {y: 1}}}",
            do="[{t: {call: f}}]",
        )
    ).start({})
    assert run.output == {"y": 1}
    assert run.state.context == ["/use/functions/f"]
    assert run.path() == ["t", "call", "f", "nest", "in", "f", "call", "f", "nest", "in", "note"]


def test_each_task_in_a_scope_is_extended_and_so_is_the_scope(world):
    # Q7
    run = world(
        using(
            extension(before=noting("$task.name"), after=noting("$task.name")),
            do="[{a: {do: [{b: {set: {x: 1}}}]}}, {c: {call: f}}]",
            functions="{f: {wait: {seconds: 0}}}",
        )
    ).start({})
    assert run.state.context == ["a", "b", "b", "a", "c", "f", "f", "c"]


def test_every_iteration_and_every_attempt_is_extended(world):
    # Q7
    answers = iter([errors.communication("no", status=503), {}, {}])
    once_more = "catch: {retry: {limit: {attempt: {count: 1}}}}"
    run = world(
        using(
            extension("call", before=noting('"begin"'), after=noting('"end"')),
            do=f"[{{l: {{for: {{in: '[1, 2]'}}, do: [{{t: {{try: [{{c: {{{CALL}}}}}], {once_more}}}}}]}}}}]",
        ),
        lambda _: next(answers),
    ).start({})
    assert run.output == {}
    assert run.state.context == ["begin", "begin", "end", "begin", "end"]


def test_when_is_asked_once_of_the_raw_input_and_for_both_lists(world):
    # Q2
    run = world(
        using(
            extension(
                before=noting("1"),
                after=noting("2"),
                when='$context == null and .n == 1 and $task.name == "a"',
            ),
            do="[{a: {input: {from: .n}, set: {n: 1}}}, {b: {set: {n: 1}}}]",
        )
    ).start({"n": 1})
    assert run.state.context == [1, 2]


def test_a_when_that_fails_faults_the_task_and_names_itself(world):
    # D10, Q6
    run = world(using(extension(before=noting("1"), when=". | startswith(1)"), do="[{t: {set: {n: 1}}}]"))
    assert run.start({}).error["instance"] == "/use/extensions/0/ext/when"
    assert run.error["type"].endswith("/expression")
    assert [event.task for event in run.of("task.faulted")] == ["/do/0/t"]


def test_several_extensions_nest(world):
    # Q5
    names = ("outer", "middle", "inner")
    lists = [extension(before=noting(f'"{name}"'), after=noting(f'"{name}"'), name=name) for name in names]
    run = world(using(*lists, do="[{t: {set: {x: 1}, export: {as: '[$context[], 0]'}}}]")).start({})
    assert run.state.context == ["outer", "middle", "inner", 0, "inner", "middle", "outer"]


def test_extensions_without_one_of_their_lists_or_without_both(world):
    run = world(
        using(
            extension(name="none"),
            extension(after=noting("2"), name="late"),
            extension(before=noting("1"), name="early"),
            do="[{t: {set: {x: 1}}}]",
        )
    ).start({})
    assert run.state.context == [1, 2]
    assert run.of("task.started", "/t")[0].data["extensions"] == [
        "/use/extensions/1/late",
        "/use/extensions/2/early",
    ]


# -- bypass


def test_exit_in_before_bypasses_the_task_whose_raw_output_it_gives(world):
    # Q3, Q8
    run = world(
        using(
            extension("call", before="{fake: {set: {code: 200, n: '${ .n }'}, then: exit}}, " + noting("1")),
            do=f"""[
                {{t: {{{CALL}, output: {{as: .n}}, export: {{as: '{{code: $task.output.code}}'}}, then: z}}}},
                {{no: {{set: {{a: 1}}}}}},
                {{z: {{set: '${{ [., $context] }}'}}}}]""",
        )
    ).start({"n": 5})
    assert run.output == [5, {"code": 200}]
    assert run.requests == []
    assert [event.data for event in run.of("extension.completed", "/t")] == [{"bypassed": True}]


def test_the_output_schema_is_checked_after_a_bypass(world):
    schema = "{schema: {document: {type: object, required: [a]}}}"
    run = world(
        using(
            extension(before="{f: {set: {b: 1}, then: exit}}"),
            do=f"[{{t: {{output: {schema}, wait: PT1H}}}}]",
        )
    ).start({})
    assert (run.error["status"], run.error["instance"]) == (400, "/do/0/t")


@pytest.mark.parametrize(
    "leaving",
    [
        "{s: {switch: [{c: {then: exit}}]}}",
        "{s: {try: [{e: {raise: {error: {type: 'http://e', status: 1}}}}], catch: {then: exit}}}",
        "{s: {if: .n, do: [], then: exit}}",
    ],
)
def test_every_directive_of_the_list_can_bypass(world, leaving):
    # H2, H6
    run = world(
        using(extension("wait", before=f"{leaving}, {{z: {{set: {{a: 1}}}}}}"), do="[{t: {wait: PT1H}}]")
    )
    assert run.start({"n": 1}).output == {"n": 1}


@pytest.mark.parametrize(
    "staying",
    [
        "{s: {do: [{in: {set: {a: 1}, then: exit}}]}}",
        "{s: {if: 'false', set: {a: 1}, then: exit}}",
        "{s: {set: {a: 1}, then: z}}",
    ],
)
def test_a_directive_that_does_not_leave_the_list_does_not_bypass(world, staying):
    # H2, F11
    run = world(
        using(extension("set", before=f"{staying}, {{z: {{set: {{a: 1}}}}}}"), do="[{t: {set: {b: 1}}}]")
    )
    assert run.start({}).output == {"b": 1}


def test_a_bypass_bypasses_the_extensions_within_but_not_those_around(world):
    # Q5: nesting like middleware
    def noted(name: str, then: str = "continue") -> str:
        before = noting(f'"{name}"').replace("ignored: true}", f"by: {name}}}, then: {then}")
        return extension(before=before, after=noting(f'"{name}"'), name=name)

    run = world(using(noted("outer"), noted("fake", "exit"), noted("inner"), do="[{t: {wait: PT1H}}]")).start(
        {}
    )
    assert run.state.context == ["outer", "fake", "fake", "outer"]
    assert run.output == {"by": "fake"}


def test_a_bypass_of_a_function_a_sub_workflow_and_a_fork(world):
    bypass = "{fake: {set: {by: '${ $task.name }'}, then: exit}}"
    run = world(
        using(
            *(extension(kind, before=bypass) for kind in ("call", "run", "composite")),
            functions="{f: {set: {never: 1}}}",
            do="""[
                {function: {call: f, export: {as: '[.by]'}}},
                {workflow: {run: {workflow: {namespace: n, name: w}}, export: {as: '[$context[], .by]'}}},
                {fork: {fork: {branches: [{b: {set: {never: 1}}}]}, export: {as: '[$context[], .by]'}}}]""",
        )
    ).start({})
    assert run.output == {"by": "fork"}
    assert run.state.context == ["function", "workflow", "fork"]
    assert run.outgoing == []


@pytest.mark.parametrize(
    "scope",
    [
        "fork: {branches: [{a: {wait: PT1H}}, {b: {wait: PT2H}}]}",
        "metadata: {unspool: {concurrency: 2}}, for: {in: '[1, 2]'}, do: [{a: {wait: PT1H}}]",
    ],
)
def test_branches_and_iterations_side_by_side_are_bypassed_one_by_one(world, scope):
    fake = "{f: {set: {n: '${ [$task.name, $item] }'}, then: exit}}"
    run = world(using(extension("wait", before=fake), do=f"[{{s: {{{scope}}}}}]")).start({})
    assert run.output == [
        {"n": each} for each in ([["a", None], ["b", None]] if "fork" in scope else [["a", 1], ["a", 2]])
    ]


def test_end_in_before_ends_the_workflow_with_what_it_made(world):
    # H3
    run = world(
        using(
            extension("wait", before="{e: {set: {a: 1}, then: end}}, {z: {set: {b: 1}}}", after=noting(".a")),
            do="""[
                {s: {do: [{t: {wait: PT1H, output: {as: '{t: .}'}}}, {u: {set: {c: 1}}}]}},
                {v: {set: {d: 1}}}]""",
        )
    ).start({})
    assert run.output == {"t": {"a": 1}}
    assert run.path() == ["s", "t", "e", "note"]


def test_end_in_after_ends_the_workflow_with_the_output_of_the_task(world):
    # H3, Q4
    run = world(
        using(
            extension(after=noting('"outer"')),
            extension("wait", after="{e: {set: {a: 1}, then: end}}, {z: {set: {b: 1}}}", name="inner"),
            do="[{t: {wait: PT0S, output: {as: '{out: .}'}, then: u}}, {u: {set: {c: 1}}}]",
        )
    ).start({"n": 1})
    assert run.output == {"out": {"n": 1}}
    assert run.state.context == ["outer"]


def test_a_task_that_leads_to_the_end_still_runs_its_after_lists(world):
    run = world(
        using(
            extension(after=noting("$task.name")),
            do="[{s: {do: [{t: {set: {x: 1}, then: end}}]}}, {u: {set: {y: 1}}}]",
        )
    ).start({})
    assert run.output == {"x": 1}
    assert run.state.context == ["t", "s"]


def test_then_jumps_within_a_list(world):
    # H4, H5
    count = "{n: {set: {n: '${ .n + 1 }'}}}, {s: {switch: [{more: {when: .n < 3, then: n}}]}}, "
    note = f"{{note: {{set: '${{ .n }}', {NOTE % '.'}}}}}"
    run = world(using(extension(before=count + note, after=count + note), do="[{t: {set: {n: 1}}}]")).start(
        {"n": 0}
    )
    assert run.state.context == [3, 3]


# -- events


def test_extensions_of_emit_and_listen(world):
    """Inventory Q1: each kind can be extended."""
    run = world("""
        use:
          extensions:
            - publishing: {extend: emit, after: [{told: {set: {n: 1}}}]}
            - hearing: {extend: listen, before: [{ready: {set: {n: 2}}}], after: [{heard: {set: {n: 3}}}]}
        do:
          - e: {emit: {event: {with: {type: t}}}}
          - l:
              listen: {to: {any: [{with: {type: t}}], until: 'length == 2'}}
              foreach: {do: [{each: {set: {got: "${ $item }"}}}]}
    """).start()
    assert run.path() == ["e", "told", "l", "ready"]
    [listening] = [run_ for run_, entries in run.subscriptions.items() if entries is not None]
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    for data in (1, 2):
        run.send(MessageKind.EVENT, run=listening, event={**event, "data": data})
    assert run.path()[4:] == ["each", "each", "heard"]
    assert run.output == [{"got": 1}, {"got": 2}]
    assert run.subscriptions == {listening: None}


def test_end_within_foreach_ends_the_subscription_before_the_after_list(world):
    run = world("""
        use: {extensions: [{x: {extend: listen, after: [{heard: {wait: {seconds: 1}}}]}}]}
        do:
          - l:
              listen: {to: {any: [{with: {type: t}}], until: 'length == 9'}}
              foreach: {do: [{each: {set: {got: "${ $item }"}, then: end}}]}
    """).start()
    [listening] = run.subscriptions
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1}
    run.send(MessageKind.EVENT, run=listening, event=event)
    assert run.subscriptions == {listening: None}
    run.send(MessageKind.EVENT, run=listening, event=event)
    assert run.pass_time().output == {"got": 1}
