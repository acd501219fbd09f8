"""`python -m benchmarks.table FILE…`: the medians of several runs' `--json` files, as Markdown.

In a name such as "durable steps, Restate" the workload has a table, and the engine a row in it.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measurements import Figures
from benchmarks.recording import Failure, Results


def medians(runs: list[Results]) -> Results:
    """Returns the median of each figure over the runs that have it; a failure if every run failed."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _median([run[name] for run in runs if name in run]) for name in names}


def _median(results: list[Figures | Failure]) -> Figures | Failure:
    succeeded: list[Any] = [result for result in results if "failed" not in result]
    if not succeeded:
        return results[0]
    return {what: median(figures[what] for figures in succeeded) for what in succeeded[0]}


def tables(results: Results) -> str:
    """Returns Markdown: a table for each workload, a column for each figure that all its rows have.

    A row of an engine that failed has the cause after its name.
    """
    workloads: dict[str, dict[str, Figures | Failure]] = {}
    for name, measured in results.items():
        workload, _, engine = name.partition(", ")
        workloads.setdefault(workload, {})[engine] = measured
    return "\n\n".join(_table(workload, rows) for workload, rows in workloads.items())


def _table(workload: str, rows: dict[str, Any]) -> str:
    complete = [row for row in rows.values() if "failed" not in row]
    columns = [what for what in (complete or [{}])[0] if all(what in row for row in complete)]
    lines = [_line([workload, *columns]), _line(["---", *("--:" for _ in columns)])]
    lines += [_row(engine, row, columns) for engine, row in rows.items()]
    return "\n".join(lines)


def _row(engine: str, row: dict[str, Any], columns: list[str]) -> str:
    if "failed" in row:
        return _line([f"{engine} (failed: {row['failed']})", *("" for _ in columns)])
    return _line([engine, *(_number(row[what]) for what in columns)])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    print(tables(medians([json.loads(Path(file).read_text()) for file in sys.argv[1:]])))
