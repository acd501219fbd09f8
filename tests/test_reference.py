"""The pages that are made from the code are current, and they and other pages say what the code says."""

import json
import re
from base64 import b64decode
from functools import cache
from pathlib import Path

import pytest
from docs.tooling.documents import ROOT
from docs.tooling.reference import FOLDER, PAGES

from unspool.api.openapi import ADVICE, OTHER_PROBLEMS, PROBLEMS
from unspool.cli.exits import MEANINGS, Exit
from unspool.definitions.error_causes import CAUSES
from unspool.definitions.errors import STANDARD
from unspool.eventstore.events import decode_entry
from unspool.testing import Workflow, error, event
from unspool.worker import lifecycle_types
from unspool.worker.event_types import OF_EXECUTIONS, OF_SCHEDULES, EventType
from unspool.worker.interpreter.decide import _ORIGIN
from unspool.worker.interpreter.evolve import _APPLY as OF_INTERPRETER
from unspool.worker.schedule.evolve import _APPLY as OF_SCHEDULE
from unspool.worker.schedule.evolve import COMPACTED


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run `make reference`"


def test_no_other_page_is_there() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(PAGES)


# -- the texts describe everything that exists


def test_every_type_of_event_is_described() -> None:
    assert set(OF_EXECUTIONS) == set(OF_INTERPRETER)
    assert set(OF_SCHEDULES) == {*OF_SCHEDULE, COMPACTED}


def test_every_error_problem_and_exit_code_is_described() -> None:
    assert set(CAUSES) == set(STANDARD)
    assert set(ADVICE) == {*PROBLEMS, *OTHER_PROBLEMS}
    assert set(MEANINGS) >= set(Exit)


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("configuration", {"Configuration error", "Too deep", "Unknown workflow"}),
        ("validation", {"Validation failed"}),
        ("expression", {"Expression failed", "No idempotency key"}),
        ("authentication", {"Authentication failed"}),
        ("authorization", {"Not allowed"}),
        ("timeout", {"Timed out"}),
        ("communication", {"Communication failed", "Request too large", "Unreadable response"}),
        ("runtime", {"Runtime error", "Command failed", "Script failed", "Container failed"}),
    ],
)
def test_titles_of_all_forms_are_listed(kind: str, titles: set[str]) -> None:
    [row] = re.findall(rf"^\| `{kind}` \|.*\| (.*) \|$", (FOLDER / "errors.md").read_text(), re.MULTILINE)
    assert titles <= set(row.split("; "))


def test_what_a_start_can_bring_is_described() -> None:
    assert {f"{name}?" for name in _ORIGIN} <= set(OF_EXECUTIONS["workflow.started"].members)


def test_details_of_lifecycle_events_are_those_of_their_types() -> None:
    assert set(lifecycle_types.DETAILS) <= set(lifecycle_types.TIMES)


# -- the members of events


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests/worker/histories").iterdir()), ids=lambda file: file.name
)
def test_members_of_stored_events_are_described(file: Path) -> None:
    for entry in _entries(json.loads(file.read_text())):
        for each in decode_entry(entry):
            described = (OF_EXECUTIONS.get(each.type), OF_SCHEDULES.get(each.type))
            assert any(_fits(each.data, of) for of in described if of is not None), each


def _entries(value: object) -> list[bytes]:
    """All entries of histories in a stored file, however deep they are."""
    if isinstance(value, dict):
        found = [_entries(each) for name, each in value.items() if name != "entries"]
        return [*map(b64decode, value.get("entries", [])), *(each for list_ in found for each in list_)]
    return [each for inner in value for each in _entries(inner)] if isinstance(value, list) else []


def _fits(data: dict[str, object], described: EventType) -> bool:
    """Whether data has only members that are described, and all that are always there."""
    if not described.members:
        return True
    known = {name.removesuffix("?") for name in described.members}
    return {name for name in described.members if not name.endswith("?")} <= set(data) <= known


WORKFLOW = Workflow.from_text("""
document: { dsl: '1.0.3', namespace: docs, name: events, version: '1.0.0' }
timeout: { after: PT1H }
do:
  - list:
      for: { each: n, in: '${ [1, 2] }' }
      do:
        - one: { set: { n: '${ $n }' }, export: { as: '{ n: .n }' } }
  - sides:
      fork:
        branches:
          - left: { call: http, with: { method: get, endpoint: 'https://example.com/' }, output: { as: .a } }
          - right: { wait: PT1S }
  - skipped: { if: '${ false }', set: { a: 1 } }
  - careful:
      try:
        - call: { call: http, with: { method: get, endpoint: 'https://example.com/b' } }
      catch:
        retry: { delay: PT1S, limit: { attempt: { count: 1 } } }
        do:
          - handle: { set: { handled: true } }
  - hear:
      listen: { to: { any: [{ with: { type: a } }] } }
      foreach: { item: e, do: [{ keep: { set: { kept: '${ $e }' } } }] }
""")


def test_members_of_new_events_are_described() -> None:
    mocks = {"left": {"a": 1}, "call": error("communication", status=503)}
    run = WORKFLOW.run({}, mocks=mocks, events=[event("a", {"x": 1})])
    assert run.status == "completed"
    assert [each for each in run.history if not _fits(each.data, OF_EXECUTIONS[each.type])] == []


# -- messages


def test_messages_in_troubleshooting_are_in_the_code() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:-1]  # the last one is about logs
    quoted = [each for section in sections for each in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)]
    assert len(quoted) > 25
    parts = {part.strip(" .,") for each in quoted for part in each.split("…")}
    assert {part for part in parts if part not in _source()} == set()


def test_actions_in_troubleshooting_are_in_the_code() -> None:
    logs = (ROOT / "docs/troubleshooting.md").read_text().partition("## Logs")[2]
    rows = re.findall(r"^\| (`.+?`) \|", logs, re.MULTILINE)
    named = {action for row in rows for action in re.findall(r"`(\w+)`", row)}
    assert named
    assert {action for action in named if f'"{action}"' not in _source()} == set()


@cache
def _source() -> str:
    """The code; a text that continues on the next line is one text."""
    folders = ("definitions", "eventstore", "worker", "executor", "timer_service", "api", "cli")
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text() for file in files))
