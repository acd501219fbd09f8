"""Errors caught and tasks retried (inventory I.8, M)."""

from dataclasses import replace

import pytest

from unspool.definitions import errors

CALL = "{call: http, with: {method: get, endpoint: http://h}}"


def failing(*outcomes):
    """Answers each request with the next outcome, the last one for ever."""
    left = list(outcomes)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def unavailable(status=503):
    return errors.communication("no", title="Service Unavailable", status=status)


@pytest.mark.parametrize(
    "base",
    [
        "https://serverlessworkflow.io/spec/1.0.0/errors/",
        "https://open-workflow-specification.org/spec/1.0.0/errors/",
        "https://serverlessworkflow.io/dsl/errors/types/",
        "https://open-workflow-specification.org/dsl/errors/types/",
    ],
)
def test_filter_matches_the_same_error_under_every_known_base(world, base):
    # I30, V1, Z1
    run = world(f"""
        do:
          - t:
              try: [{{c: {CALL}}}]
              catch:
                errors: {{with: {{type: '{base}communication', status: 404}}}}
                as: err
                do: [{{h: {{set: {{error: '${{ $err }}'}}}}}}]
    """, failing(unavailable(404))).start({})  # fmt: skip
    assert run.output["error"]["instance"] == "/do/0/t/try/0/c"
    assert run.output["error"]["title"] == "Service Unavailable"


def test_uncaught_error_goes_on_unchanged(world):
    # I33
    run = world(
        f"do: [{{t: {{try: [{{c: {CALL}}}], catch: {{errors: {{with: {{status: 404}}}}}}}}}}]",
        failing(unavailable()),
    )
    run.start({})
    assert run.error["instance"] == "/do/0/t/try/0/c"
    assert run.error["status"] == 503


def test_catch_all_without_do_completes_with_the_input(world):
    # I29, I35
    run = world(
        f"do: [{{t: {{try: [{{a: {{set: {{x: 1}}}}}}, {{c: {CALL}}}], catch: {{}}}}}}]",
        failing(unavailable()),
    )
    assert run.start({"in": 1}).output == {"in": 1}


def test_details_is_understood_as_detail(world):
    # I30
    run = world(
        f"do: [{{t: {{try: [{{c: {CALL}}}], catch: {{errors: {{with: {{details: 'no'}}}}}}}}}}]",
        failing(unavailable()),
    )
    assert run.start(1).output == 1


@pytest.mark.parametrize(
    ("condition", "caught"),
    [
        ("when: .status == 503", True),
        ("when: $error.status == 503", True),
        ("when: .status == 404", False),
        ("exceptWhen: .status == 503", False),
        ("exceptWhen: $error.status == 404", True),
    ],
)
def test_conditions_are_asked_of_the_error(world, condition, caught):
    # I32
    run = world(
        f"do: [{{t: {{try: [{{c: {CALL}}}], catch: {{{condition}}}}}}}]", failing(unavailable())
    ).start({})
    assert run.state.status == ("completed" if caught else "faulted")


def test_error_in_catch_do_goes_to_the_outer_scope(world):
    # I34
    run = world(f"""
        do:
          - outer:
              try:
                - inner:
                    try: [{{c: {CALL}}}]
                    catch: {{do: [{{r: {{raise: {{error: {{type: 'x:again', status: 1}}}}}}}}]}}
              catch: {{as: e, do: [{{s: {{set: '${{ $e.type }}'}}}}]}}
    """, failing(unavailable())).start({})  # fmt: skip
    assert run.output == "x:again"


def test_catch_do_begins_with_the_trys_input_and_then_leads_on(world):
    # I35, I37
    run = world(f"""
        do:
          - t:
              try: [{{a: {{set: {{lost: 1}}}}}}, {{c: {CALL}}}]
              catch: {{do: [{{h: {{set: '${{ {{got: .}} }}'}}}}], then: last}}
          - skipped: {{set: {{x: 1}}}}
          - last: {{set: '${{ . }}'}}
    """, failing(unavailable())).start({"v": 1})  # fmt: skip
    assert run.output == {"got": {"v": 1}}
    assert "skipped" not in run.path()


def test_end_in_catch_do_wins_over_catch_then(world):
    # I37
    run = world(f"""
        do:
          - t:
              try: [{{c: {CALL}}}]
              catch: {{do: [{{h: {{set: {{x: 1}}, then: end}}}}], then: continue}}
          - never: {{set: {{x: 2}}}}
    """, failing(unavailable())).start({})  # fmt: skip
    assert run.output == {"x": 1}


def retrying(world, policy, answer, catch=""):
    return world(f"do: [{{t: {{try: [{{c: {CALL}}}], catch: {{retry: {policy}{catch}}}}}}}]", answer)


def delays(run):
    """Milliseconds between an attempt's failure and the next attempt."""
    retries = [event for event in run.history if event.type == "task.retried"]
    fired = [event for event in run.history if event.type == "timer.fired"]
    return [there.time - here.time for here, there in zip(retries, fired, strict=True)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{delay: {seconds: 2}, limit: {attempt: {count: 3}}}", [2000, 2000, 2000]),
        ("{delay: PT2S, backoff: {constant: {}}, limit: {attempt: {count: 2}}}", [2000, 2000]),
        ("{delay: {seconds: 2}, backoff: {linear: {}}, limit: {attempt: {count: 3}}}", [2000, 4000, 6000]),
        ("{delay: {seconds: 1}, backoff: {linear: {increment: {seconds: 5}}}, limit: {attempt: {count: 3}}}",
         [1000, 6000, 11000]),
        ("{delay: {seconds: 1}, backoff: {exponential: {}}, limit: {attempt: {count: 4}}}",
         [1000, 2000, 4000, 8000]),
        ("{delay: PT1S, backoff: {exponential: {factor: 3, maxDelay: PT5S}}, limit: {attempt: {count: 3}}}",
         [1000, 3000, 5000]),
        ("{delay: {seconds: 4}, limit: {duration: {seconds: 9}}}", [4000, 4000]),
    ],
)  # fmt: skip
def test_retry_delays_and_limits(world, policy, expected):
    # M2, M3, M5, M6
    run = retrying(world, policy, failing(unavailable())).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert delays(run) == expected
    assert len(run.requests) == len(expected) + 1
    assert run.error["status"] == 503


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{limit: {attempt: {count: 2}}}", [60_000, 60_000]),
        (
            "{delay: PT30S, backoff: {exponential: {}}, limit: {attempt: {count: 3}}}",
            [60_000, 60_000, 120_000],
        ),
        ("{delay: PT1S, backoff: {linear: {maxDelay: PT5S}}, limit: {attempt: {count: 1}}}", [60_000]),
        ("{delay: PT1S, limit: {duration: PT2M}}", [60_000, 60_000]),
        ("{delay: PT1S, limit: {duration: PT59S}}", []),
    ],
)
def test_a_service_says_when_the_next_attempt_may_begin(world, policy, expected):
    # M2; it is in the history, so a replay waits as long
    error = replace(unavailable(429), retry_after=60)
    run = retrying(world, policy, failing(error)).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert delays(run) == expected
    assert run.error["retryAfter"] == "PT60S"
    for event in run.of("task.faulted", "c"):
        assert event.data["error"]["retryAfter"] == "PT60S"


def test_a_jitter_is_added_to_the_time_that_a_service_asks_for(world):
    error = replace(unavailable(429), retry_after=60)
    policy = "{jitter: {from: PT1S, to: PT2S}, limit: {attempt: {count: 1}}}"
    run = retrying(world, policy, failing(error)).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert 61_000 <= delays(run)[0] <= 62_000


def test_the_time_that_a_service_asks_for_passes_through_tasks_and_functions(world):
    error = replace(unavailable(429), retry_after=60)
    run = world(
        f"""
        use: {{functions: {{f: {{do: [{{c: {CALL}}}]}}}}}}
        do:
          - t:
              try: [{{d: {{do: [{{e: {{call: f}}}}]}}}}]
              catch: {{retry: {{limit: {{attempt: {{count: 1}}}}}}}}
        """,
        failing(error),
    ).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert delays(run) == [60_000]


def test_retry_without_delay_is_at_once_and_succeeds(world):
    # M2, M9
    run = retrying(
        world, "{limit: {attempt: {count: 5}}}", failing(unavailable(), unavailable(), "ok")
    ).start({})
    assert run.output == "ok"
    assert [event.data["attempt"] for event in run.of("task.retried")] == [1, 2]
    keys = [request.idempotency_key for request in run.requests]
    assert len(set(keys)) == 3


def test_each_attempt_begins_with_the_first_input(world):
    # I38
    run = world("""
        do:
          - t:
              try:
                - a: {set: {n: '${ .n + 1 }'}}
                - c: {call: http, with: {method: get, endpoint: 'http://h', body: '${ .n }'}}
              catch: {retry: {limit: {attempt: {count: 1}}}}
    """, failing(unavailable(), "ok")).start({"n": 1})  # fmt: skip
    assert [request.arguments["body"] for request in run.requests] == [2, 2]


def test_jitter_lies_between_its_bounds_and_is_the_same_for_all(world):
    # M4
    policy = "{delay: PT1S, jitter: {from: PT0.1S, to: PT0.9S}, limit: {attempt: {count: 8}}}"
    runs = [retrying(world, policy, failing(unavailable())).start({}) for _ in range(2)]
    for run in runs:
        run.pass_time(lambda w: w.state.status == "faulted")
    assert delays(runs[0]) == delays(runs[1])
    assert all(1100 <= delay <= 1900 for delay in delays(runs[0]))
    assert len(set(delays(runs[0]))) > 1


def test_retry_first_then_do_when_exhausted(world):
    # I36
    run = retrying(
        world, "{limit: {attempt: {count: 2}}}", failing(unavailable()), ", do: [{h: {set: {handled: 1}}}]"
    )
    assert run.start({}).output == {"handled": 1}
    assert len(run.requests) == 3


def test_an_exhausted_retry_takes_the_then_of_its_catch(world):
    # I36, I37
    run = retrying(world, "{limit: {attempt: {count: 2}}}", failing(unavailable()), ", then: end")
    run.start({"a": 1})
    assert run.output == {"a": 1}
    assert len(run.requests) == 3


def test_retry_conditions(world):
    # M1
    policy = "{when: .status == 503, exceptWhen: '$error.detail == \"never\"', limit: {attempt: {count: 9}}}"
    run = retrying(world, policy, failing(unavailable(), unavailable(), unavailable(500))).start({})
    assert run.error["status"] == 500
    assert len(run.requests) == 3


def test_an_attempt_has_its_own_time_limit(world, pending):
    # M6
    policy = "{limit: {attempt: {count: 1, duration: {seconds: 5}}}}"
    run = retrying(world, policy, lambda _: pending).start({})
    began = run.now
    assert run.requests[0].deadline == began + 5000
    run.pass_time(lambda w: w.state.status == "faulted")
    assert (run.error["status"], run.error["instance"]) == (408, "/do/0/t")
    assert run.now == began + 10_000
    assert run.withdrawn == [request.run for request in run.requests]


def test_named_retry_policy(world):
    # B6
    run = world(f"""
        use: {{retries: {{r: {{limit: {{attempt: {{count: 1}}}}}}}}}}
        do: [{{t: {{try: [{{c: {CALL}}}], catch: {{retry: r}}}}}}]
    """, failing(unavailable(), "ok")).start({})  # fmt: skip
    assert run.output == "ok"


def test_retries_are_counted_per_execution_of_the_try(world):
    # M8
    run = world("""
        do:
          - l:
              for: {in: '[1, 2]'}
              do:
                - t:
                    try: [{c: {call: http, with: {method: get, endpoint: http://h}}}]
                    catch: {retry: {limit: {attempt: {count: 1}}}}
    """, failing(unavailable(), "a", unavailable(), "b")).start({})  # fmt: skip
    assert run.output == "b"
    assert [event.data["attempt"] for event in run.of("task.retried")] == [1, 1]


@pytest.mark.parametrize(
    "do", ["", ", do: []", ", do: [{h: {set: {v: 1}}}]", ", do: [{h: {set: {v: 1}, then: end}}]"]
)
def test_the_caught_error_is_seen_by_the_trys_own_output_and_export(world, do):
    # I31
    run = world(f"""
        do:
          - t:
              try: [{{r: {{raise: {{error: {{type: 'x:y', status: 503}}}}}}}}]
              catch: {{as: e{do}}}
              output: {{as: '{{v: .v, s: $e.status}}'}}
              export: {{as: $e.status}}
    """).start({"v": 0})
    assert run.output == {"v": 1 if "set" in do else 0, "s": 503}
    assert run.state.context == 503


def test_the_error_is_null_if_nothing_failed(world):
    run = world("do: [{t: {try: [{a: {set: {v: 1}}}], catch: {}, output: {as: '[.v, $error]'}}}]")
    assert run.start({}).output == [1, None]


def test_a_try_that_has_caught_nothing_yet_sees_the_error_around_it(world):
    # E12, I31
    inner = "{input: {from: $error.status}, try: [{a: {set: {seen: '${ . }'}}}], catch: {}}"
    run = world(f"""
        do:
          - outer:
              try: [{{r: {{raise: {{error: {{type: 'x:y', status: 503}}}}}}}}]
              catch: {{do: [{{inner: {inner}}}]}}
    """).start({})
    assert run.output == {"seen": 503}
