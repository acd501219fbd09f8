"""`for`: runs a list for each item; each iteration gets the output of the previous one (inventory I8-I15)."""

from typing import Any

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.for_each import For, ParallelFor
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.flow import complete, create
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.run import Loop, Run
from unspool.worker.interpreter.scope import Scope


class ForInterpreter(InOrder):
    """Repeats a list of tasks."""

    def begin(self, builder: DecisionBuilder, run: Run, body: For) -> None:
        """Evaluates the collection, once (inventory I12), and begins the first iteration."""
        self._iterate(builder, run, body, evaluate_items(builder, run, body), 0)

    def done(self, builder: DecisionBuilder, run: Run, body: For, child: Ended) -> None:
        """Begins the next iteration after one has ended."""
        loop = run.progress
        assert isinstance(loop, Loop)  # its tasks only run in iterations
        self._iterate(builder, run, body, loop.items, loop.place + 1)

    def _iterate(self, builder: DecisionBuilder, run: Run, body: For, items: list[Json], index: int) -> None:
        first = body.tasks.first
        if first is None or index >= len(items) or not self._while_holds(builder, run, body, items, index):
            complete(builder, run, run.data)
            return
        data: dict[str, Json] = {"iteration": index}
        if index == 0:
            data["items"] = items
        create(builder, first, run, data)

    def _while_holds(
        self, builder: DecisionBuilder, run: Run, body: For, items: list[Json], index: int
    ) -> bool:
        """Whether `while` holds; evaluated before each iteration, with its variables (inventory I11)."""
        if body.condition is None:
            return True
        scope = Scope(builder, run, {body.each: items[index], body.at: index})
        return scope.holds(body.condition, run.data)


def evaluate_items(builder: DecisionBuilder, run: Run, body: For | ParallelFor) -> list[Json]:
    """The items of a loop; null is an empty array (inventory I10). Raises `Fault`."""
    items = Scope(builder, run).evaluate(body.collection, run.input)
    if items is None:
        return []
    if not isinstance(items, list):
        raise Fault(errors.expression(f"for.in must give an array, not {_type_name(items)}"))
    return items


def _type_name(value: Any) -> str:
    names = {dict: "an object", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")
