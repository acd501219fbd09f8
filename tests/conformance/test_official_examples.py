"""The official examples of the specification run to their expected results (`official_examples.yaml`)."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.conformance.case import Case
from tests.conformance.memory import MemoryEngine
from tests.conformance.outcome import differences, same
from tests.conformance.services import ServicesEngine
from tests.conformance.stand_in import standing_in

from unspool.definitions.compile import plan_of
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.definitions.tasks.request import Unsupported

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parents[2] / "shared" / "spec" / "examples"
ENTRIES: Final[dict[str, Any]] = load((HERE / "official_examples.yaml").read_bytes()).value

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"the specification's examples are not at {EXAMPLES}"),
]


def runs() -> Iterator[Case]:
    """Yields each run of the examples that are executed. Its definition is the text of the example."""
    for file, entry in ENTRIES.items():
        for number, run in enumerate(entry.get("runs", ()), 1):
            yield _case(f"{_plain(file)}.{number}", file, run)


def waiting() -> Iterator[Case]:
    """Yields the examples that wait for something."""
    for file, entry in ENTRIES.items():
        if "waits_for" in entry:
            members = {name: value for name, value in entry.items() if name != "waits_for"}
            yield _case(f"{_plain(file)}.0", file, members)


def _plain(file: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", file.removesuffix(".yaml"))


def _case(id_: str, file: str, run: dict[str, Any]) -> Case:
    if not EXAMPLES.is_dir():
        return Case(id_, file, {"title": file})
    text = (EXAMPLES / file).read_text() if (EXAMPLES / file).is_file() else ""
    for written, instead in run.get("replace", {}).items():
        assert written in text, f"{file} has no {written}"
        text = text.replace(written, instead.replace("$PYTHON", sys.executable).replace("$HERE", str(HERE)))
    members = {name: value for name, value in run.items() if name not in {"replace", "output_has"}}
    return Case(id_, file, {"title": file, "definition": text, **members})


RUNS: Final = tuple(runs())
OUTPUT_HAS: Final = {
    f"{_plain(file)}.{number}": run["output_has"]
    for file, entry in ENTRIES.items()
    for number, run in enumerate(entry.get("runs", ()), 1)
    if "output_has" in run
}


async def test_every_example_has_an_entry() -> None:
    assert {file.name for file in EXAMPLES.glob("*.yaml")} == ENTRIES.keys()


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.id)
async def test_an_example_has_its_result(case: Case, engine: MemoryEngine | ServicesEngine) -> None:
    async with standing_in(case) as (running, stand_in):
        outcome = await engine.run(running)
    found = [*differences(running, outcome), *stand_in.problems()]
    assert not found, "\n".join(found)
    expected = OUTPUT_HAS.get(case.id, {})
    assert same({name: outcome.output.get(name) for name in expected}, expected) if expected else True


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
@pytest.mark.parametrize("case", tuple(waiting()), ids=lambda case: case.id)
async def test_an_example_that_waits_is_not_executed_yet(
    case: Case, engine: MemoryEngine | ServicesEngine, jq: JqPool
) -> None:
    """If it is executed now, it needs runs instead of `waits_for`."""
    if any(isinstance(task.body, Unsupported) for task in plan_of(case.definition, jq).tasks.values()):
        return
    outcome = await engine.run(case)
    assert outcome.error is not None, f"{case.file} has a result now"
    assert str(outcome.error["type"]).endswith("/configuration"), (
        f"{case.file} is executed now: {outcome.error}"
    )
