"""A test shows what the services do: the same events, with a mock in the place of the executor."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from unspool.testing import Workflow, error

UNSPOOL = Path(sys.executable).with_name("unspool")

PARENT = """
document: {dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0'}
do:
  - say:
      run: {shell: {command: 'echo ${ .name }'}}
      output: {as: '{said: .}'}
      export: {as: '{said: $output.said}'}
  - attempt:
      try:
        - fail:
            run: {shell: {command: 'exit 3'}}
      catch:
        as: problem
        retry: {delay: {milliseconds: 20}, limit: {attempt: {count: 2}}}
        do:
          - keep: {set: {status: '${ $problem.status }'}}
  - rest: {wait: {milliseconds: 20}}
  - ask:
      run: {workflow: {namespace: test, name: child, version: latest, input: {said: '${ $context.said }'}}}
  - each:
      for: {each: letter, in: '${ .letters }'}
      do:
        - add: {set: {all: '${ [.all[]?, $letter] }'}}
  - which:
      switch:
        - many: {when: '${ (.all | length) > 1 }', then: last}
        - few: {then: exit}
  - last: {set: {all: '${ .all }', said: '${ $context.said }'}}
"""

CHILD = """
document: {dsl: '1.0.3', namespace: test, name: child, version: '1.0.0'}
timeout: {after: PT1H}
do:
  - split: {set: {letters: '${ .said | gsub("\\\\s"; "") | split("") }'}}
"""


def test_the_events_are_those_of_the_services(tmp_path: Path) -> None:
    run = Workflow.from_text(PARENT).run(
        {"name": "ab"},
        mocks={"say": "ab", "fail": error("runtime")},
        sub_workflows=[Workflow.from_text(CHILD)],
    )
    assert run.output == {"all": ["a", "b"], "said": "ab"}
    [record, history] = _by_the_services(tmp_path)
    assert record["output"] == run.output
    assert [(event.type, event.task, event.run, event.data.get("output")) for event in run.history] == [
        (event["type"], event.get("task"), event.get("run"), event["data"].get("output")) for event in history
    ]


def _by_the_services(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Runs the workflow with worker, executor and timer service. Returns the execution and its history."""
    (folder / "parent.yaml").write_text(PARENT)
    (folder / "child.yaml").write_text(CHILD)
    store = f"sqlite:///{folder}/store.db"

    def unspool(*arguments: str) -> list[dict[str, Any]]:
        command = [UNSPOOL, *arguments, "--store", store]
        printed = subprocess.check_output(command, cwd=folder, text=True, timeout=100)
        return [json.loads(line) for line in printed.splitlines()]

    unspool("run", "parent.yaml", "--sub", "child.yaml", "--input", '{"name": "ab"}')
    [record] = unspool("executions", "list", "--workflow", "test/parent", "--json")
    return record, unspool("history", record["id"], "--json")
