"""Figures of peers, with the names that `measurements` uses."""

from statistics import median

from benchmarks.measurements import Figures, percentile


def of_throughput(
    steps: int, executions: int, seconds: float, processor_seconds: dict[str, float]
) -> Figures:
    return {
        "steps/s": steps / seconds,
        "executions/s": executions / seconds,
        "cpu us/step": sum(processor_seconds.values()) / steps * 1e6,
        "seconds": seconds,
        **{f"cpu us/step {name}": used / steps * 1e6 for name, used in processor_seconds.items()},
    }


def of_latency(milliseconds: list[float]) -> Figures:
    return {"p50 ms": median(milliseconds), "p99 ms": percentile(milliseconds, 0.99)}


def of_lateness(milliseconds: list[float]) -> Figures:
    assert min(milliseconds) > -1, "a timer fired early"
    return {
        "p50 ms late": median(milliseconds),
        "p99 ms late": percentile(milliseconds, 0.99),
        "max ms late": max(milliseconds),
    }
