"""`retry` of an execution whose fork, loop or try faulted although all its tasks had completed."""

import pytest

from unspool.definitions import errors
from unspool.eventstore.events import Event
from unspool.eventstore.records import MessageKind
from unspool.worker.interpreter import evolve
from unspool.worker.interpreter.run import Phase
from unspool.worker.interpreter.snapshot import dump_state, load_state

BARE = "call: http, with: {method: get, endpoint: http://h}"
CALL = f"{{{BARE}}}"


def answering(*outcomes):
    """Answers each request with the next outcome."""
    left = list(outcomes)
    return lambda _: left.pop(0)


def test_a_fork_whose_output_faulted_runs_all_its_branches_again(world):
    run = world(f"""
        do:
          - f:
              fork: {{branches: [{{a: {{set: {{a: 1}}}}}}, {{b: {CALL}}}, {{c: {CALL}}}]}}
              output: {{as: 'map(.n // 1) | add'}}
          - after: {{set: {{sum: '${{ . }}'}}}}
    """, answering({"n": []}, {"n": 2}, {"n": 3}, {"n": 4})).start({})  # fmt: skip
    assert run.error["instance"] == "/do/0/f"
    run.send(MessageKind.RETRY)
    assert run.output == {"sum": 8}
    assert run.path() == ["f", "a", "b", "c", "f", "a", "b", "c", "after"]


@pytest.mark.parametrize("concurrency", ["", "unspool: {concurrency: 2}"])
def test_a_loop_whose_output_faulted_evaluates_its_list_again(world, concurrency):
    run = world(f"""
        do:
          - l:
              for: {{in: '$context.next // ["old", "older", "oldest"]'}}
              metadata: {{{concurrency}}}
              do:
                - c:
                    call: http
                    with: {{method: get, endpoint: http://h}}
                    output: {{as: '[., $item]'}}
                    export: {{as: '{{next: ["new", "newer"]}}'}}
              output: {{as: 'flatten | .[0] + 0 | $context'}}
          - after: {{set: {{n: 1}}}}
    """, answering("x", "x", "x", 1, 1)).start({})  # fmt: skip
    assert run.error["instance"] == "/do/0/l"
    run.send(MessageKind.RETRY)
    items = [event.data["output"][1] for event in run.of("task.completed", "/c")]
    assert items == ["old", "older", "oldest", "new", "newer"]
    assert run.output == {"n": 1}


def test_a_try_whose_output_faulted_has_all_its_retries_again(world):
    no = errors.communication("no", status=503)
    run = world(f"""
        do:
          - t:
              try: [{{c: {CALL}}}]
              catch: {{retry: {{limit: {{attempt: {{count: 1}}}}}}}}
              output: {{as: '. + 1'}}
    """, answering(no, "x", no, 2)).start({})  # fmt: skip
    assert run.error["instance"] == "/do/0/t"
    run.send(MessageKind.RETRY)
    assert run.output == 3


def test_a_try_does_not_know_the_error_of_its_first_run(world):
    run = world(f"""
        do:
          - t:
              try: [{{c: {CALL}}}]
              catch: {{do: [{{h: {{set: {{caught: '${{ $error.status }}'}}}}}}]}}
              output: {{as: 'if .caught then error("no") else . end'}}
    """, answering(errors.communication("no", status=503), {"ok": True})).start({})  # fmt: skip
    assert run.error["instance"] == "/do/0/t"
    run.send(MessageKind.RETRY)
    assert run.output == {"ok": True}


@pytest.mark.parametrize("ends", ["compete: true, branches", "branches"])
def test_a_fork_that_one_branch_ended_and_whose_output_faulted_runs_all_again(world, ends, pending):
    then = "" if "compete" in ends else ", then: end"
    run = world(f"""
        do:
          - f:
              fork: {{{ends}: [{{a: {{{BARE}{then}}}}}, {{b: {CALL}}}, {{c: {{do: [{{d: {CALL}}}]}}}}]}}
              output: {{as: '.n + 1'}}
    """, lambda _: pending).start({})  # fmt: skip
    run.reply(run.requests[0], {"n": "x"})
    run.settle()
    assert run.error["instance"] == "/do/0/f"
    run.send(MessageKind.RETRY)
    assert len(run.requests) == 6
    run.reply(run.requests[3], {"n": 1})
    run.settle()
    assert run.output == 2
    assert len(set(run.withdrawn)) == 4


def test_a_parallel_loop_that_one_iteration_ended_and_whose_output_faulted_runs_again(world, pending):
    run = world(f"""
        do:
          - l:
              for: {{in: '[1, 2, 3]'}}
              metadata: {{unspool: {{concurrency: 2}}}}
              do: [{{c: {{{BARE}, then: end}}}}]
              output: {{as: '.n + 1'}}
    """, lambda _: pending).start({})  # fmt: skip
    run.reply(run.requests[1], {"n": "x"})
    run.settle()
    assert run.error["instance"] == "/do/0/l"
    run.send(MessageKind.RETRY)
    assert len(run.requests) == 4
    run.reply(run.requests[2], {"n": 1})
    run.settle()
    assert run.output == 2


def test_a_fork_that_is_tried_again_does_not_know_the_outputs_of_its_first_run(world):
    run = world(f"""
        do:
          - t:
              try:
                - f:
                    fork: {{branches: [{{a: {{set: {{n: 1}}}}}}, {{b: {CALL}}}]}}
                    output: {{as: 'map(.n) | add'}}
              catch: {{retry: {{limit: {{attempt: {{count: 1}}}}}}}}
    """, answering({"n": "x"}, {"n": 2})).start({})  # fmt: skip
    assert run.output == 3
    assert run.path() == ["t", "f", "a", "b", "f", "a", "b"]


def test_a_fork_that_timed_out_keeps_the_outputs_of_completed_branches(world, pending):
    run = world(f"""
        do:
          - f:
              timeout: {{after: PT1S}}
              fork: {{branches: [{{a: {{set: {{a: 1}}}}}}, {{b: {CALL}}}, {{c: {CALL}}}]}}
    """, lambda _: pending).start({})  # fmt: skip
    run.reply(run.requests[0], "b")
    run.settle()
    run.pass_time()
    assert run.error["status"] == 408
    run.send(MessageKind.RETRY)
    run.reply(run.requests[2], "c")
    run.settle()
    assert run.output == [{"a": 1}, "b", "c"]


COMPETING = f"""
    f:
      fork:
        compete: true
        branches:
          - a: {{do: [{{p: {CALL}}}, {{q: {CALL}}}]}}
          - b: {{do: [{{r: {CALL}}}, {{s: {CALL}}}]}}
"""


def replied(run, *results):
    """Answers the requests by their numbers, in this order."""
    for number, result in results:
        run.reply(run.requests[number], result)
        run.settle()
    return run


FAULT = errors.runtime("no")
BOTH_FAULT = [(0, "p"), (1, "r"), (2, FAULT), (3, FAULT)]
ONE_FAULTS_LATER = [(0, FAULT), (1, "r"), (2, FAULT)]


@pytest.mark.parametrize("faults", [BOTH_FAULT, ONE_FAULTS_LATER])
@pytest.mark.parametrize("winner", [0, 1])
def test_a_fork_in_which_all_that_competed_faulted_runs_all_branches_again(world, pending, faults, winner):
    # I18
    run = replied(world(f"do:\n  -{COMPETING}", lambda _: pending).start({}), *faults)
    assert run.state.status == "faulted"
    before = len(run.requests)
    run.send(MessageKind.RETRY)
    assert len(run.requests) == before + 2
    winning = before + winner
    replied(run, (winning, "won"))
    if faults is ONE_FAULTS_LATER and not winner:
        replied(run, (len(run.requests) - 1, "won"))
    assert run.output == "won"


def test_a_branch_that_lost_runs_again_though_a_list_of_an_extension_began(world, pending):
    # I18
    run = world(f"""
        use: {{extensions: [{{e: {{extend: all, when: '$task.name == "b"', after: [{{note: {CALL}}}]}}}}]}}
        do: [{{f: {{fork: {{compete: true, branches: [{{a: {CALL}}}, {{b: {CALL}}}]}}}}}}]
    """, lambda _: pending).start({})  # fmt: skip
    assert replied(run, (0, FAULT), (1, "b"), (2, FAULT)).state.status == "faulted"
    run.send(MessageKind.RETRY)
    assert [request.task.rpartition("/")[2] for request in run.requests[3:]] == ["a", "note"]


def test_a_retry_of_an_older_version_runs_only_the_branch_again_that_faulted_last(world, pending):
    run = replied(world(f"do:\n  -{COMPETING}", lambda _: pending).start({}), *ONE_FAULTS_LATER[:2])
    assert load_state(dump_state(run.state)) == run.state
    replied(run, ONE_FAULTS_LATER[2])
    assert load_state(dump_state(run.state)) == run.state
    retried = Event(run.state.version + 1, "workflow.retried", run.now, None, None, {})
    assert [each.task[-1] for each in evolve(run.state, retried).in_phase(Phase.CREATED)] == ["s"]
    now = retried._replace(data={"branches": True})
    assert [each.task[-1] for each in evolve(run.state, now).in_phase(Phase.CREATED)] == ["p", "s"]


CAUGHT = f"""
    t:
      try:
        - f:
            fork:
              compete: true
              branches: [{{a: {CALL}}}, {{b: {{do: [{{c: {CALL}}}, {{d: {CALL}}}]}}}}]
      catch: {{do: [{{h: {CALL}}}]}}
"""


@pytest.mark.parametrize(
    ("definition", "replies"),
    [
        pytest.param(
            f"do:\n  -{COMPETING}\n  - after: {CALL}",
            [(0, FAULT), (1, "r"), (2, "s"), (3, FAULT)],
            id="completed",
        ),
        pytest.param(f"do:\n  -{CAUGHT}", [(0, FAULT), (1, "c"), (2, FAULT), (3, FAULT)], id="caught"),
    ],
)
def test_a_branch_that_lost_does_not_run_again_once_its_fork_has_ended(world, pending, definition, replies):
    run = replied(world(definition, lambda _: pending).start({}), *replies)
    assert run.state.status == "faulted"
    run.send(MessageKind.RETRY)
    assert len(run.requests) == 5
    assert replied(run, (4, "ok")).output == "ok"


def test_a_list_whose_output_faulted_beside_a_branch_that_lost_is_run_again_alone(world, pending):
    run = world(f"""
        do:
          - f:
              fork:
                compete: true
                branches:
                  - a: {CALL}
                  - b:
                      try: [{{d: {{do: [{{c: {CALL}}}], output: {{as: '. + 1'}}}}}}]
                      catch: {{do: [{{h: {CALL}}}]}}
    """, lambda _: pending).start({})  # fmt: skip
    replied(run, (0, FAULT), (1, "x"))
    assert [event.data.get("whole") for event in run.of("task.faulted")] == [None, None]
    replied(run, (2, FAULT))
    run.send(MessageKind.RETRY)
    assert [request.task.rsplit("/", 1)[-1] for request in run.requests[3:]] == ["a", "h"]
    assert replied(run, (4, "won")).output == "won"


def test_a_branch_that_lost_does_not_run_again_after_a_list_of_an_extension(world, pending):
    run = world(f"""
        use: {{extensions: [{{e: {{extend: all, when: '$task.name == "f"', after: [{{note: {CALL}}}]}}}}]}}
        do: [{{f: {{fork: {{compete: true, branches: [{{a: {CALL}}}, {{b: {CALL}}}]}}}}}}]
    """, lambda _: pending).start({})  # fmt: skip
    replied(run, (0, FAULT), (1, "won"), (2, FAULT))
    run.send(MessageKind.RETRY)
    assert len(run.requests) == 4
    assert replied(run, (3, "noted")).output == "won"
