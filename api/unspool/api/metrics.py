"""Counters of this API process, in the Prometheus text format."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class RequestLabels(NamedTuple):
    """The labels of a request. Their number is bounded: a route is a template, not a path."""

    method: str
    route: str
    status: int


class HookLabels(NamedTuple):
    """The labels of a request to a webhook. Their number is bounded: only configured webhooks count."""

    name: str
    result: str
    """`accepted`, `unauthorized`, `no_secret`, `rejected` or `unavailable`."""


@dataclass(slots=True)
class Metrics:
    """Counters since the start of this process."""

    requests: Counter[RequestLabels] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds spent per route, including waits and streams."""
    in_progress: int = 0
    hooks: Counter[HookLabels] = field(default_factory=Counter)

    def exposition(self) -> str:
        """Returns the counters in the Prometheus text format."""
        return "\n".join([*self._requests(), *self._seconds(), *self._in_progress(), *self._hooks(), ""])

    def _requests(self) -> Iterator[str]:
        yield "# HELP unspool_api_requests_total Requests answered by this process."
        yield "# TYPE unspool_api_requests_total counter"
        for (method, route, status), count in sorted(self.requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"unspool_api_requests_total{{{labels}}} {count}"

    def _seconds(self) -> Iterator[str]:
        yield "# HELP unspool_api_request_seconds_total Seconds spent on requests, with waits and streams."
        yield "# TYPE unspool_api_request_seconds_total counter"
        for route, seconds in sorted(self.seconds.items()):
            yield f'unspool_api_request_seconds_total{{route="{route}"}} {seconds:.6f}'

    def _in_progress(self) -> Iterator[str]:
        yield "# HELP unspool_api_requests_in_progress Requests in progress, including waits and streams."
        yield "# TYPE unspool_api_requests_in_progress gauge"
        yield f"unspool_api_requests_in_progress {self.in_progress}"

    def _hooks(self) -> Iterator[str]:
        yield "# HELP unspool_hooks_total Requests to webhooks, by result."
        yield "# TYPE unspool_hooks_total counter"
        for (name, result), count in sorted(self.hooks.items()):
            yield f'unspool_hooks_total{{name="{name}",result="{result}"}} {count}'
