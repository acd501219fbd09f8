"""The measured definitions. Their `call: http` is run by the trivial handler of `service.py`."""

HEAD = "document: {{dsl: '1.0.3', namespace: bench, name: {name}, version: '1.0.0'}}\n"
CALL = "{call: http, with: {method: post, endpoint: http://bench, body: '${ . }'}}"


def sequence(steps: int) -> str:
    """Returns a definition with `steps` executor tasks, one after another."""
    tasks = "".join(f"  - step{number}: {CALL}\n" for number in range(steps))
    return HEAD.format(name=f"sequence-{steps}") + "do:\n" + tasks


def with_schema() -> str:
    """Returns a definition whose one executor task has an external schema, at an address from the input."""
    schema = "{schema: {resource: {endpoint: {uri: '${ .schema }'}}}}"
    return HEAD.format(name="with-schema") + f"do:\n  - step: {{input: {schema}, {CALL[1:]}\n"


def fan_out(width: int) -> str:
    """Returns a definition with `width` executor tasks in parallel."""
    branches = "".join(f"        - branch{number}: {CALL}\n" for number in range(width))
    return HEAD.format(name=f"fan-out-{width}") + "do:\n  - all:\n      fork:\n       branches:\n" + branches


def in_worker(steps: int) -> str:
    """Returns a definition with `set` and `switch` alternately, `steps` in total."""
    return (
        HEAD.format(name=f"in-worker-{steps}")
        + f"""\
do:
  - count: {{set: {{n: '${{ .n + 1 }}'}}}}
  - again: {{switch: [{{more: {{when: .n < {steps // 2}, then: count}}}}]}}
"""
    )


def loop() -> str:
    """Returns a definition with one executor task after another, as many as the input says."""
    return (
        HEAD.format(name="loop")
        + f"""\
do:
  - step: {CALL}
  - count: {{set: {{n: '${{ .n + 1 }}', of: '${{ .of }}'}}}}
  - again: {{switch: [{{more: {{when: .n < .of, then: step}}}}]}}
"""
    )


def side_by_side(concurrency: int) -> str:
    """Returns a definition with one executor task for each item of a list, side by side."""
    call = CALL.replace("${ . }", "${ $item }")
    return (
        HEAD.format(name=f"side-by-side-{concurrency}")
        + f"""\
do:
  - all:
      for: {{in: '[range(.of)]'}}
      metadata: {{unspool: {{concurrency: {concurrency}}}}}
      do: [{{step: {call}}}]
"""
    )


def child() -> str:
    """Returns the definition of a sub-workflow that sets its data."""
    return HEAD.format(name="child") + "do:\n  - a: {set: {n: '${ .n }'}}\n"


def parent(concurrency: int | None) -> str:
    """Returns a definition with a sub-workflow for each item of a list.

    At most `concurrency` run side by side. If it is None, they are started one after another and not awaited.
    """
    mark = "" if concurrency is None else f"metadata: {{unspool: {{concurrency: {concurrency}}}}}"
    workflow = "{namespace: bench, name: child, version: 1.0.0, input: {n: '${ $item }'}}"
    awaited = "false" if concurrency is None else "true"
    return (
        HEAD.format(name=f"parent-{concurrency or 'alone'}")
        + f"""\
do:
  - all:
      for: {{in: '[range(.of)]'}}
      {mark}
      do: [{{step: {{run: {{await: {awaited}, workflow: {workflow}}}}}}}]
"""
    )


def sleep(seconds: float) -> str:
    """Returns a definition with one wait."""
    duration = f"{{milliseconds: {round(seconds * 1000)}}}"
    return (
        HEAD.format(name=f"sleep-{str(seconds).replace('.', '-')}") + f"do:\n  - nap: {{wait: {duration}}}\n"
    )


def sleep_until() -> str:
    """Returns a definition that waits until the time in the input, in milliseconds since 1970."""
    started = "$workflow.startedAt.epoch.milliseconds"
    return (
        HEAD.format(name="sleep-until")
        + f"do:\n  - nap: {{wait: '${{ \"PT\\(((.until - {started}) / 1000) | tostring)S\" }}'}}\n"
    )


def listen(member: str | None = None) -> str:
    """Returns a definition that listens for one event; with a member, one with the value of the input."""
    correlate = (
        f", correlate: {{key: {{from: .data.{member}, expect: '${{ .{member} }}'}}}}" if member else ""
    )
    return (
        HEAD.format(name=f"listen-{member or 'any'}")
        + f"do: [{{wait: {{listen: {{to: {{one: {{with: {{type: bench.event}}{correlate}}}}}}}}}}}]\n"
    )
