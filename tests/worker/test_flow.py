"""Task flow and data flow (inventory F, G, H)."""

import pytest


def test_tasks_run_in_declaration_order_and_hand_on_their_output(world):
    # F5, F13
    run = world("""
        do:
          - one: {set: {a: 1}}
          - two: {set: {b: '${ .a + 1 }'}}
    """).start({})
    assert run.output == {"b": 2}
    assert run.path() == ["one", "two"]


def test_empty_do_completes_with_the_transformed_input(world):
    # A6
    assert world("do: []\ninput: {from: .a}").start({"a": 7}).output == 7


def test_data_flow_order_of_a_task(world):
    # F1, F4, E4
    run = world("""
        do:
          - one:
              input: {from: .x}
              set: '${ . * 2 }'
              output: {as: '{got: ., from: $input}'}
              export: {as: '{seen: $output.got, raw: $task.output}'}
          - two:
              set: {context: '${ $context }', data: '${ . }'}
    """).start({"x": 21})
    assert run.output == {"context": {"seen": 42, "raw": 42}, "data": {"got": 42, "from": 21}}


def test_context_starts_as_null_and_stays_without_export(world):
    # E3, F3
    assert world("do: [{a: {set: {c: '${ $context }'}}}]").start({}).output == {"c": None}


def test_children_get_the_parents_transformed_input(world):
    # F9
    run = world("""
        do:
          - outer:
              input: {from: .inner}
              do:
                - first: {set: {seen: '${ . }'}}
              output: {as: .seen}
    """).start({"inner": 5})
    assert run.output == 5


def test_skipped_task_hands_on_its_raw_input_and_ignores_then(world):
    # F11
    run = world("""
        do:
          - skipped:
              if: .go
              input: {from: .other}
              set: {never: true}
              output: {as: '{never: 1}'}
              then: end
          - next: {set: '${ {after: .} }'}
    """).start({"go": False, "other": 1})
    assert run.output == {"after": {"go": False, "other": 1}}
    assert run.path() == ["next"]
    assert run.of("task.completed", "skipped")[0].data == {"skipped": True}


@pytest.mark.parametrize(
    ("then", "path"),
    [
        ("continue", ["a", "b", "c"]),
        ("exit", ["a"]),
        ("end", ["a"]),
        ("c", ["a", "c"]),
    ],
)
def test_directives_in_the_main_list(world, then, path):
    # H1, H2, H3, H4
    run = world(f"""
        do:
          - a: {{set: {{x: a}}, then: {then}}}
          - b: {{set: {{x: b}}}}
          - c: {{set: {{x: c}}}}
    """).start({})
    assert run.path() == path
    assert run.output == {"x": path[-1]}


def test_exit_leaves_one_scope_and_the_parents_then_counts(world):
    # H2
    run = world("""
        do:
          - outer:
              do:
                - a: {set: {x: a}, then: exit}
                - b: {set: {x: b}}
              then: last
          - skipped: {set: {x: skipped}}
          - last: {set: '${ . + {last: true} }'}
    """).start({})
    assert run.output == {"x": "a", "last": True}


def test_end_unwinds_through_all_ancestors(world):
    # H3: ancestors' output.as are applied, then the workflow's
    run = world("""
        output: {as: '{workflow: .}'}
        do:
          - outer:
              do:
                - inner:
                    do:
                      - stop: {set: {x: 1}, then: end}
                      - never: {set: {x: 2}}
                    output: {as: '{inner: .}'}
                - neither: {set: {x: 3}}
              output: {as: '{outer: .}'}
          - nor: {set: {x: 4}}
    """).start({})
    assert run.output == {"workflow": {"outer": {"inner": {"x": 1}}}}


def test_backward_jump_makes_a_loop_of_new_runs(world):
    # H5, H8
    run = world("""
        do:
          - count: {set: {n: '${ .n + 1 }'}}
          - again:
              switch:
                - more: {when: .n < 3, then: count}
    """).start({"n": 0})
    assert run.output == {"n": 3}
    runs = [event.run for event in run.of("task.created", "count")]
    assert len(runs) == len(set(runs)) == 3


def test_a_long_decision_is_cut_and_goes_on(world):
    # §4: no commit grows without bound
    run = world("""
        do:
          - count: {set: {n: '${ .n + 1 }'}}
          - again: {switch: [{more: {when: .n < 1000, then: count}}]}
    """).start({"n": 0})
    assert run.output == {"n": 1000}


def test_schemas_are_checked_where_they_stand(world):
    # F6
    step = "{schema: {document: {type: object, required: [a]}}}"
    for member, instance in (("input", "/do/0/t"), ("output", "/do/0/t"), ("export", "/do/0/t")):
        run = world(f"do: [{{t: {{{member}: {step}, set: {{b: 1}}}}}}]").start({})
        assert run.error["type"].endswith("/validation")
        assert run.error["status"] == 400
        assert run.error["instance"] == instance


def test_invalid_workflow_input_faults_at_once(world):
    # F6
    run = world("""
        input: {schema: {document: {type: object, required: [a]}}}
        do: [{t: {set: {b: 1}}}]
    """).start({})
    assert run.error["instance"] == "/input"
    assert run.types() == ["workflow.started", "workflow.faulted"]


def test_failing_expression_is_an_expression_error_of_its_task(world):
    # D10
    run = world("do: [{t: {set: {b: '${ .a | tonumber }'}}}]").start({"a": "x"})
    assert run.error["type"] == "https://serverlessworkflow.io/spec/1.0.0/errors/expression"
    assert (run.error["status"], run.error["instance"]) == (400, "/do/0/t")


def test_nothing_found_in_data_is_evaluated(world):
    # D9
    hostile = {"x": "${ $workflow }", "y": ["${ 1 + 1 }"]}
    run = world(
        """
        do:
          - t: {set: {copy: '${ . }'}}
          - u: {call: http, with: {method: get, endpoint: http://h, body: '${ .copy }'}}
        """
    )
    assert run.start(hostile).output["body"] == hostile


def test_descriptors(world):
    # E8, E9, E10, E11
    run = world("""
        do:
          - t:
              metadata: {colour: red}
              set:
                task: '${ $task | {name, reference, input, colour: .metadata.colour, at: .startedAt.epoch} }'
                workflow: '${ $workflow | {id, input, doc: .definition.document, at: .startedAt.iso8601}}'
                runtime: '${ $runtime.name }'
                missing: '${ $secretz }'
    """).start({"v": 1})
    assert run.output == {
        "task": {"name": "t", "reference": "/do/0/t", "input": {"v": 1}, "colour": "red",
                 "at": {"seconds": 1000, "milliseconds": 1_000_000}},
        "workflow": {"id": "execution", "input": {"v": 1}, "doc": run.plan.definition["document"],
                     "at": "1970-01-01T00:16:40.000Z"},
        "runtime": "unspool",
        "missing": None,
    }  # fmt: skip


def test_a_worker_has_no_secrets(world):
    # S1
    run = world("do: [{t: {set: {s: '${ $secrets.key }'}}}]").start({})
    assert (run.error["status"], run.error["type"].rsplit("/", 1)[-1]) == (403, "authorization")


def test_task_that_cannot_be_executed_says_so(world):
    run = world("do: [{t: {run: {script: {language: cobol, code: x}}}}]").start({})
    assert run.error["type"].endswith("/configuration")
    assert "not 'cobol'" in run.error["detail"]


def test_a_task_that_cannot_be_compiled_faults_only_when_it_is_reached(world):
    # F7
    run = world("""
        do:
          - first: {set: {x: 1}}
          - never: {if: 'false', input: {schema: {document: {type: 7}}}, set: {y: 1}}
          - t:
              try: [{a: {input: {schema: {document: {type: 7}}}, set: {y: 1}}}]
              catch: {do: [{h: {set: '${ $error }'}}]}
    """).start({})
    assert run.path()[0] == "first"
    assert run.output["type"].endswith("/configuration")
    assert run.output["instance"] == "/do/2/t/try/0/a"


def test_now_is_the_time_of_the_decision(world):
    # D1
    run = world("do: [{a: {set: {now: '${ now }'}}}]").start({})
    assert run.output == {"now": run.now / 1000}


def test_in_loose_mode_what_does_not_evaluate_stands_for_itself(world):
    # D2
    run = world("""
        evaluate: {mode: loose}
        do:
          - a: {set: {v: hello world}, output: {as: hello world}, export: {as: Some text}}
          - b: {set: {url: .u, bad: '${ bad( }'}, output: {as: '{text: .bad, c: $context}'}}
          - c: {set: '${ . }', output: {as: .text.x}}
    """).start({})
    assert run.of("task.completed", "a")[0].data["output"] == "hello world"
    assert run.of("task.completed", "b")[0].data["output"] == {"text": "${ bad( }", "c": "Some text"}
    assert run.output == ".text.x"


@pytest.mark.parametrize(
    ("endpoint", "uri"),
    [(".u", "http://u/x"), ("http://h/{u}", "http://h/http%3A%2F%2Fu%2Fx"), (".no", ".no")],
)
def test_in_loose_mode_an_endpoint_is_tried_too(world, endpoint, uri):
    # D2, D14
    run = world(f"""
        evaluate: {{mode: loose}}
        do: [{{c: {{call: http, with: {{method: get, endpoint: '{endpoint}'}}}}}}]
    """).start({"u": "http://u/x"})
    assert run.requests[0].arguments["endpoint"]["uri"] == uri


def test_in_loose_mode_the_words_of_the_dsl_are_not_expressions(world):
    run = world("""
        evaluate: {mode: loose}
        do: [{s: {run: {return: all, shell: {command: echo hi}}}}]
    """).start({})
    assert run.requests[0].arguments == {"command": "echo hi", "return": "all", "await": True}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "null"), (1.5, "1.5"), ("a b", "a b"), ([1], "[1]")]
)
def test_an_expression_within_a_uri_is_written_as_text(world, value, text):
    # D7
    run = world("do: [{c: {call: http, with: {method: get, endpoint: 'http://h/p?x=${ .v }'}}}]")
    assert run.start({"v": value}).requests[0].arguments["endpoint"]["uri"] == f"http://h/p?x={text}"


def test_a_history_has_the_expression_of_a_secret_and_replays(world):
    """Inventory E14."""
    run = world("""
        use: {secrets: [key]}
        do:
          - t:
              call: http
              with: {method: get, endpoint: http://x.test, headers: {K: '${ $secrets.key }'}}
    """).start({})
    (asked,) = run.output["$secrets"]["texts"]
    assert (asked["at"], asked["text"]) == ("/headers/K", "${ $secrets.key }")
    assert run.output["headers"] == {"K": None}


def test_an_error_of_an_expression_names_it(world):
    run = world("""do: [{t: {set: {a: '${ .n }', b: {c/d: 'x ${ .n + "x" }'}}}}]""").start({"n": 1})
    assert run.error["detail"] == 'number and string cannot be added (/do/0/t/set/b/c~1d: ${ .n + "x" })'
    run = world("do: [{t: {input: {from: .n.a}, set: {a: .b}}}]").start({"n": 1})
    assert run.error["detail"] == "cannot index number with string (/do/0/t/input/from: ${ .n.a })"
    assert run.error["instance"] == "/do/0/t"
