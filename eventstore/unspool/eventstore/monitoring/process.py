"""Metrics of the process itself."""

from typing import Final

from prometheus_client import ProcessCollector

from unspool.eventstore.monitoring.metric_set import DescribedMetric, MetricSet

_PROCESS: Final = (
    DescribedMetric("process_cpu_seconds_total", "counter", (), "Processor time of the process."),
    DescribedMetric("process_resident_memory_bytes", "gauge", (), "Memory of the process."),
    DescribedMetric("process_virtual_memory_bytes", "gauge", (), "Address space of the process."),
    DescribedMetric("process_start_time_seconds", "gauge", (), "Start of the process, seconds since 1970."),
    DescribedMetric("process_open_fds", "gauge", (), "Files and connections that are open."),
    DescribedMetric("process_max_fds", "gauge", (), "Files and connections that may be open."),
)
"""As prometheus-client collects them, on Linux."""


def add_process(metrics: MetricSet, version: str) -> None:
    """Adds the version of the program, and the memory, processor time and files of the process."""
    info = metrics.gauge("unspool_build_info", "1, with the version of Unspool as label.", "version")
    info.labels(version).set(1)
    metrics.add(ProcessCollector(registry=None), _PROCESS)
