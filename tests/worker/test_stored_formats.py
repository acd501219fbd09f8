"""Histories and snapshots of all releases stay readable for ever.

A file is made once, with the release it is named after, by `python -m tests.worker.test_stored_formats FILE`,
and is never made again. If one of these tests fails, the code that reads must be repaired.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.errors import runtime
from unspool.definitions.expressions import JqPool
from unspool.eventstore.events import decode_entry, encode_entry
from unspool.eventstore.records import Message, MessageKind
from unspool.worker.interpreter import State, decide, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import verify

STORED = sorted((Path(__file__).parent / "histories").glob("*.json"))

EVERYTHING = """\
document: {dsl: '1.0.3', namespace: test, name: everything, version: '1.0.0'}
timeout: {after: PT1H}
input: {from: '{n: .n}'}
do:
  - skipped: {if: .n < 0, set: {never: true}}
  - count: {set: {n: '${ .n + 1 }'}, export: {as: '{counted: .n}'}}
  - choose: {switch: [{small: {when: .n < 10, then: loop}}, {other: {then: end}}]}
  - loop: {for: {each: item, in: '[1, 2]'}, do: [{add: {set: {n: '${ .n + $item }'}}}]}
  - pause: {wait: {seconds: 1}}
  - attempt:
      try: [{ask: {call: http, with: {method: get, endpoint: http://h}, output: {as: .answer}}}]
      catch:
        retry: {delay: PT1S, jitter: {from: PT0S, to: PT1S}, limit: {attempt: {count: 1}}}
        do: [{handle: {set: {caught: '${ $error.status }'}}}]
  - side: {fork: {branches: [{left: {set: {l: 1}}}, {right: {call: http, with: {method: get, endpoint: http://h}}}]}}
  - race: {fork: {compete: true, branches: [{slow: {wait: PT9S}}, {fast: {set: {fast: true}}}]}}
output: {as: '{last: ., context: $context}'}
"""


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def stored(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text())


def test_there_is_one_of_this_release() -> None:
    assert "0.1.0" in [path.stem for path in STORED]


def test_a_history_is_read_and_would_come_out_the_same(stored, jq) -> None:
    events = [event for entry in stored["entries"] for event in decode_entry(base64.b64decode(entry))]
    state = fold(State("e"), events)
    assert (state.status, state.output) == (stored["status"], stored["output"])
    assert verify(compile_plan(load(stored["definition"]).value, jq), "e", events) is None


def test_a_snapshot_is_read_or_passed_over(stored) -> None:
    events = [event for entry in stored["entries"] for event in decode_entry(base64.b64decode(entry))]
    for kept in stored["snapshots"]:
        state = load_state(base64.b64decode(kept))
        assert state is None or state == fold(State("e"), events[: state.version])


def make(path: Path) -> None:
    """Runs an execution with all kinds of tasks, and keeps its history and its snapshot."""
    entries, snapshots = [], []
    with JqPool() as jq:
        plan = compile_plan(load(EVERYTHING).value, jq)
        state, now, answers = State("e"), 1_700_000_000_000, [runtime("no"), {"answer": 42}, "right"]
        inbox = [Message(MessageKind.START, "e", {"input": {"n": 1}})]
        while inbox:
            decision = decide(plan, state, inbox.pop(0), now)
            state = decision.state
            entries.append(encode_entry(decision.events))
            snapshots.append(dump_state(state))
            for request in decision.tasks:
                answer = answers.pop(0)
                kind, body = MessageKind.TASK_COMPLETED, {"run": request.run, "output": answer}
                if answers and not isinstance(answer, dict):
                    kind, body = MessageKind.TASK_FAULTED, {"run": request.run, "error": answer.to_json()}
                inbox.append(Message(kind, "e", body))
            if not inbox and not state.status.ended:
                timer, set_ = min(state.timers.items(), key=lambda item: item[1].due_at)
                now = set_.due_at
                inbox.append(Message(MessageKind.TIMER_FIRED, "e", {"timer": timer}))
    assert state.status == "completed", state.error
    kept = {
        "definition": EVERYTHING,
        "status": state.status,
        "output": state.output,
        "entries": [base64.b64encode(entry).decode() for entry in entries],
        "snapshots": [base64.b64encode(snapshot).decode() for snapshot in snapshots],
    }
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
