"""Counters of this API process, in the Prometheus text format."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Answered(NamedTuple):
    """The labels of a request; bounded, as a route is a template and not a path."""

    method: str
    route: str
    status: int


@dataclass(slots=True)
class Metrics:
    """What this process has answered since it began."""

    requests: Counter[Answered] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Time spent by route, waits and streams included."""
    in_progress: int = 0

    def exposition(self) -> str:
        """All of it as Prometheus reads it."""
        return "\n".join([*self._requests(), *self._seconds(), *self._in_progress(), ""])

    def _requests(self) -> Iterator[str]:
        yield "# HELP unspool_api_requests_total Requests answered by this process."
        yield "# TYPE unspool_api_requests_total counter"
        for (method, route, status), count in sorted(self.requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"unspool_api_requests_total{{{labels}}} {count}"

    def _seconds(self) -> Iterator[str]:
        yield "# HELP unspool_api_request_seconds_total Time spent on requests, waits and streams included."
        yield "# TYPE unspool_api_request_seconds_total counter"
        for route, seconds in sorted(self.seconds.items()):
            yield f'unspool_api_request_seconds_total{{route="{route}"}} {seconds:.6f}'

    def _in_progress(self) -> Iterator[str]:
        yield "# HELP unspool_api_requests_in_progress Requests being answered, waits and streams included."
        yield "# TYPE unspool_api_requests_in_progress gauge"
        yield f"unspool_api_requests_in_progress {self.in_progress}"
