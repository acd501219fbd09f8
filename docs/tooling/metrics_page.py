"""docs/reference/metrics.md, from the metrics that the services register."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from docs.tooling.markdown import code, page, table, text

from unspool.cli.metrics import all_metrics

_INTRODUCTION: Final = """\
`unspool metrics` prints the same list. [Deployment](../deployment.md#monitoring) says where metrics are
served and what to watch. A histogram `NAME` has the series `NAME_bucket`, `NAME_sum` and `NAME_count`."""

_TITLES: Final = {
    "worker": "Worker",
    "executor": "Executor",
    "timer": "Timer service",
    "api": "API",
    "store": "The store, as the API sees it",
    "all": "All services",
}


def metrics_page() -> str:
    """Returns the page."""
    return page("Metrics", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    for service, metrics in groupby(all_metrics(), itemgetter(0)):
        yield from (f"## {_TITLES[service]}", "")
        rows = (
            (code(each.name), each.type, ", ".join(map(code, each.labels)), text(each.help))
            for _, each in metrics
        )
        yield from table(("metric", "type", "labels", "meaning"), rows)
        yield ""
