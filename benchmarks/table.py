"""`python -m benchmarks.table FILE…`: the medians of several runs' `--json` files, as Markdown.

In a name such as "durable steps, Restate" the workload has a table, and the engine a row in it.
"""

import json
import sys
from pathlib import Path
from statistics import median

from benchmarks.measurements import Figures

Runs = list[dict[str, Figures]]


def medians(runs: Runs) -> dict[str, Figures]:
    """The median of each figure over the runs that have it."""
    names = dict.fromkeys(name for run in runs for name in run)
    found = {name: [run[name] for run in runs if name in run] for name in names}
    return {
        name: {what: median(figures[what] for figures in several) for what in several[0]}
        for name, several in found.items()
    }


def tables(figures: dict[str, Figures]) -> str:
    """Markdown: a table for each workload, a column for each figure that every row of it has."""
    workloads: dict[str, dict[str, Figures]] = {}
    for name, measured in figures.items():
        workload, _, engine = name.partition(", ")
        workloads.setdefault(workload, {})[engine] = measured
    return "\n\n".join(_table(workload, rows) for workload, rows in workloads.items())


def _table(workload: str, rows: dict[str, Figures]) -> str:
    columns = [what for what in next(iter(rows.values())) if all(what in row for row in rows.values())]
    lines = [_line([workload, *columns]), _line(["---", *("--:" for _ in columns)])]
    lines += [_line([engine, *(_number(row[what]) for what in columns)]) for engine, row in rows.items()]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    print(tables(medians([json.loads(Path(file).read_text()) for file in sys.argv[1:]])))
