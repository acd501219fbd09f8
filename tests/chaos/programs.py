"""The workflows of the chosen faults."""

from unspool.eventstore.records import WorkflowRef

THINK = '("a" | test("a")) and (last(range(1500000)) > 1)'
"""Keeps a worker for a second or two: real jq computes it, in another process."""

_HEAD = "document: { dsl: '1.0.3', namespace: chaos, name: %s, version: '1.0.0' }\ndo:\n"

_CALL = """\
- {name}:
    call: http
    with: {{ method: post, endpoint: '${{ "\\($workflow.input.service)/{place}/\\($workflow.id)" }}' }}
"""

PROGRAMS = {
    # The first message keeps its worker for a while.
    "thinking": f"- think: {{ set: {{ done: '${{ {THINK} }}' }} }}\n"
    + _CALL.format(name="book", place="book"),
    # The message of the timer leads to many events, and then keeps its worker for a while.
    "pausing": "- pause: { wait: { milliseconds: 100 } }\n"
    + "".join(f"- step{number}: {{ set: {{ number: {number} }} }}\n" for number in range(10))
    + f"- think: {{ set: {{ done: '${{ {THINK} }}' }} }}\n"
    + "- pauseAgain: { wait: { minutes: 1 } }\n",
    "booking": _CALL.format(name="book", place="book"),
    "holding": _CALL.format(name="hold", place="held") + _CALL.format(name="book", place="book"),
    # The commit before the first pause leads to a snapshot, the few events after it to none.
    "growing": "".join(f"- step{number}: {{ set: {{ number: {number} }} }}\n" for number in range(10))
    + "- pause: { wait: { milliseconds: 300 } }\n"
    "- pauseAgain: { wait: { milliseconds: 1500 } }\n" + _CALL.format(name="book", place="book"),
    "failing": "- fail: { raise: { error: { type: 'https://example.com/failed', status: 500 } } }\n",
    "waiting": "- pause: { wait: { milliseconds: 4000 } }\n" + _CALL.format(name="book", place="book"),
    "retrying": """\
- pause: { wait: { milliseconds: 1000 } }
- attempts:
    try:
    - call:
        call: http
        with: { method: post, endpoint: '${ "\\($workflow.input.service)/flaky/\\($workflow.id)" }' }
    catch:
      retry: { delay: { milliseconds: 1000 }, limit: { attempt: { count: 3 } } }
"""
    "- pauseAgain: { wait: { milliseconds: 1000 } }\n" + _CALL.format(name="book", place="book"),
}


def text_of(program: str) -> str:
    """Returns the definition of a program."""
    return _HEAD % program + PROGRAMS[program]


def ref_of(program: str) -> WorkflowRef:
    """Returns its identity."""
    return WorkflowRef("chaos", program, "1.0.0")
