"""The control tasks: switch, for, fork, wait, raise (inventory I.3-I.7)."""

import pytest

from unspool.definitions import errors


def test_switch_first_match_wins_and_default_comes_last(world):
    # I3, I4
    definition = """
        do:
          - s:
              switch:
                - default: {then: d}
                - small: {when: .n < 10, then: a}
                - any: {when: .n < 100, then: b}
          - a: {set: {at: a}, then: end}
          - b: {set: {at: b}, then: end}
          - d: {set: {at: d}}
    """
    assert [world(definition).start({"n": n}).output["at"] for n in (1, 50, 500)] == ["a", "b", "d"]


def test_switch_without_match_follows_its_own_then(world):
    # I5, I6
    run = world("""
        do:
          - s: {switch: [{never: {when: 'false', then: a}}], then: b}
          - a: {set: {at: a}}
          - b: {set: '${ .kept }'}
    """).start({"kept": 1})
    assert run.output == 1
    assert run.path() == ["s", "b"]


def test_for_threads_its_data_and_names_item_and_index(world):
    # I8, I9
    run = world("""
        do:
          - loop:
              for: {each: x, at: i, in: .xs}
              do:
                - add: {set: {xs: '${ .xs }', sum: '${ .sum + $x * ($i + 1) }'}}
    """).start({"xs": [5, 6, 7]})
    assert run.output["sum"] == 5 + 12 + 21


@pytest.mark.parametrize("value", [None, []])
def test_for_over_nothing_hands_on_its_input(world, value):
    # I9, I10
    run = world("do: [{l: {for: {in: .xs}, do: [{t: {set: {never: 1}}}]}}]").start({"xs": value})
    assert run.output == {"xs": value}


def test_for_over_something_else_is_an_expression_error(world):
    # I10
    run = world("do: [{l: {for: {in: .xs}, do: [{t: {set: {never: 1}}}]}}]").start({"xs": {"a": 1}})
    assert "object" in run.error["detail"]


def test_for_inline_array_and_while_before_each_iteration(world):
    # I8, I11
    run = world("""
        do:
          - l:
              for: {in: [{n: 1}, {n: '${ .two }'}, {n: 3}]}
              while: '$item.n < 3 and ($index == 0 or .last == 1)'
              do: [{t: {set: {last: '${ $item.n }', two: 2}}}]
    """).start({"two": 2})
    assert run.output["last"] == 2


def test_exit_in_a_for_body_ends_the_iteration_only(world):
    # H2
    run = world("""
        do:
          - l:
              for: {in: '[1, 2, 3]'}
              do:
                - a: {set: {n: '${ (.n // 0) + $item }'}, then: exit}
                - b: {set: {n: 100}}
    """).start({})
    assert run.output == {"n": 6}


def test_nested_loops_shadow_and_see_outer_variables(world):
    # E12
    run = world("""
        do:
          - outer:
              for: {each: a, in: '[1, 2]'}
              do:
                - inner:
                    for: {each: b, in: '[10, 20]', at: index2}
                    do:
                      - t: {set: '${ . + [[$a, $index, $b, $index2]] }'}
    """).start([])
    assert run.output == [[1, 0, 10, 0], [1, 0, 20, 1], [2, 1, 10, 0], [2, 1, 20, 1]]


def test_for_with_calls_survives_between_decisions(world):
    run = world("""
        do:
          - l:
              for: {in: .xs}
              do: [{c: {call: http, with: {method: get, endpoint: 'http://h', query: {q: '${ $item }'}}}}]
    """).start({"xs": ["a", "b"]})
    assert [request.arguments["query"]["q"] for request in run.requests] == ["a", "b"]
    assert len({request.idempotency_key for request in run.requests}) == 2


def test_fork_gathers_outputs_in_declaration_order(world, pending):
    # I16, I17
    run = world(
        """
        do:
          - f:
              fork:
                branches:
                  - a: {call: http, with: {method: get, endpoint: http://a}}
                  - b: {set: {b: '${ . }'}}
                  - c: {call: http, with: {method: get, endpoint: http://c}}
        """,
        lambda _: pending,
    ).start(7)
    assert run.state.status == "running"
    first, last = run.requests
    run.reply(last, "third")
    run.settle()
    run.reply(first, "first")
    run.settle()
    assert run.output == ["first", {"b": 7}, "third"]


def test_empty_fork(world):
    # I22
    assert world("do: [{f: {fork: {branches: []}}}]").start({}).output == []


def test_compete_first_to_complete_wins_and_the_others_are_cancelled(world, pending):
    # I18
    run = world(
        """
        do:
          - f:
              fork:
                compete: true
                branches:
                  - a: {call: http, with: {method: get, endpoint: http://a}}
                  - b: {do: [{w: {wait: {hours: 1}}}]}
                  - c: {call: http, with: {method: get, endpoint: http://c}}
        """,
        lambda _: pending,
    ).start({})
    run.reply(run.requests[1], "winner")
    run.settle()
    assert run.output == "winner"
    assert run.timers == {}
    assert run.withdrawn == [run.requests[0].run]
    assert {event.task for event in run.of("task.cancelled")} == {
        "/do/0/f/fork/branches/0/a", "/do/0/f/fork/branches/1/b", "/do/0/f/fork/branches/1/b/do/0/w"
    }  # fmt: skip


def test_a_race_is_lost_only_when_all_branches_fault(world):
    # I18
    branches = "[{a: {raise: {error: {type: 'x:a', status: 1}}}}, {b: {%s}}]"
    definition = "do: [{f: {fork: {compete: true, branches: %s}}}]" % branches  # noqa: UP031
    assert world(definition % "set: {ok: 1}").start({}).output == {"ok": 1}
    assert world(definition % "raise: {error: {type: 'x:b', status: 2}}").start({}).error["type"] == "x:b"


def test_a_faulted_branch_cancels_its_siblings_and_faults_the_fork(world, pending):
    # I18
    run = world(
        """
        do:
          - f:
              fork:
                branches:
                  - a: {call: http, with: {method: get, endpoint: http://a}}
                  - b: {raise: {error: {type: 'x:b', status: 500}}}
        """,
        lambda _: pending,
    ).start({})
    assert run.error["instance"] == "/do/0/f/fork/branches/1/b"
    assert run.types("task.cancelled") == ["task.cancelled"]
    assert run.withdrawn == []  # one decision requested and cancelled it, so no executor got it
    assert run.requests == []


def test_end_in_a_branch_ends_the_workflow(world, pending):
    # H3
    run = world(
        """
        do:
          - f:
              fork:
                branches:
                  - a: {call: http, with: {method: get, endpoint: http://a}}
                  - b: {set: {b: 1}, then: end}
          - never: {set: {x: 1}}
        """,
        lambda _: pending,
    ).start({})
    assert run.output == {"b": 1}


def test_wait_is_a_timer_and_never_early(world):
    # I23
    run = world("do: [{w: {wait: {milliseconds: 1500}}}, {t: {set: '${ . }'}}]").start({"a": 1})
    assert run.state.busy_runs == 0
    started = run.now
    assert run.pass_time().output == {"a": 1}
    assert run.of("task.completed", "w")[0].time == started + 1500


@pytest.mark.parametrize("duration", ["PT0S", "{seconds: 0}", "'${ .d }'"])
def test_wait_for_no_time_is_over_at_once(world, duration):
    # I23
    assert world(f"do: [{{w: {{wait: {duration}}}}}]").start({"d": "PT0S"}).output == {"d": "PT0S"}


def test_wait_for_nonsense_is_an_expression_error(world):
    run = world("do: [{w: {wait: '${ .d }'}}]").start({"d": "soon"})
    assert run.error["type"].endswith("/expression")


def test_raise_inline_and_named_and_by_expression(world):
    # I25, I26, I28, O6
    use = "use: {errors: {sold-out: {type: 'x:{kind}', status: 409, title: '${ .title }'}}}\n"
    inline = world("do: [{r: {raise: {error: {type: 'x:y', status: 418, detail: 'a ${ .n }'}}}}]").start(
        {"n": 1}
    )
    assert inline.error == {"type": "x:y", "status": 418, "detail": "a 1", "instance": "/do/0/r"}
    named = world(use + "do: [{r: {raise: {error: sold-out}}}]").start({"kind": "k", "title": "T"})
    assert named.error == {"type": "x:k", "status": 409, "title": "T", "instance": "/do/0/r"}
    dynamic = world("do: [{r: {raise: {error: '${ .e }'}}}]").start({"e": {"type": "x:z", "status": 1}})
    assert dynamic.error["type"] == "x:z"


def test_raise_keeps_the_authors_instance(world):
    # I26
    run = world("do: [{r: {raise: {error: {type: 'x:y', status: 1, instance: /mine}}}}]").start({})
    assert run.error["instance"] == "/mine"


def test_a_process_that_is_not_awaited_hands_on_its_input(world):
    # F12, I58
    run = world(
        "do: [{s: {run: {shell: {command: x}, await: false}, output: {as: '{in: .}'}}}]", lambda _: None
    )
    assert run.start(7).output == {"in": 7}


def test_executors_errors_get_the_tasks_pointer(world):
    # O4
    run = world(
        "do: [{o: {do: [{c: {run: {shell: {command: x}}}}]}}]", lambda _: errors.runtime("broke")
    ).start({})
    assert run.error["instance"] == "/do/0/o/do/0/c"
    assert run.types("task.faulted") == ["task.faulted", "task.faulted"]  # O5: and its ancestors


def test_an_error_named_by_an_expression_is_evaluated_like_any(world):
    # I25
    run = world("""
        use: {errors: {e: {type: 'https://e.com/{code}', status: 404, title: '${ "T \\(.code)" }'}}}
        do: [{r: {raise: {error: '${ .which }'}}}]
    """).start({"which": "e", "code": 7})
    assert (run.error["type"], run.error["title"]) == ("https://e.com/7", "T 7")


def test_an_error_from_data_stays_as_it_is(world):
    # D9
    error = {"type": "https://e.com/{code}", "status": 404, "title": "${ .code }"}
    run = world("do: [{r: {raise: {error: '${ .error }'}}}]").start({"error": error, "code": 7})
    assert (run.error["type"], run.error["title"]) == (error["type"], error["title"])


@pytest.mark.parametrize(
    ("policy", "scheme", "parameter"),
    [
        ("{basic: {username: u, password: '${ .p }'}}", "Basic", "dTpzZWNyZXQ="),
        ("{bearer: {token: '${ .p }'}}", "Bearer", "secret"),
        ("{use: named}", "Bearer", "t"),
    ],
)
def test_authorization_is_seen_in_arguments_output_and_export(world, policy, scheme, parameter):
    # E7, K8
    run = world(f"""
        use: {{authentications: {{named: {{bearer: {{token: t}}}}}}}}
        do:
          - c:
              call: http
              with:
                method: get
                endpoint: {{uri: http://h, authentication: {policy}}}
                headers: {{X: '${{ $authorization.scheme }}'}}
              output: {{as: $authorization}}
              export: {{as: $authorization.scheme}}
          - d: {{set: {{none: '${{ $authorization }}'}}, export: {{as: '[$context, .]'}}}}
    """).start({"p": "secret"})
    assert run.requests[0].arguments["headers"] == {"X": scheme}
    assert run.of("task.completed", "c")[0].data["output"] == {"scheme": scheme, "parameter": parameter}
    assert run.state.context == [scheme, {"none": None}]


@pytest.mark.parametrize(
    ("given", "named"), [("bom", "the text 'bom'"), (7, "the number 7"), (["boom"], "a list")]
)
def test_an_expression_that_gives_no_error_is_named(world, given, named):
    use = "use: {errors: {boom: {type: 'x:y', status: 418}}}\n"
    error = world(use + "do: [{r: {raise: {error: '${ .e }'}}}]").start({"e": given}).error
    assert error["detail"] == f"raise.error must give an error or the name of one in use.errors, not {named}"
