"""What Unspool costs: runnable measurements, beside peers in the same run. See docs/benchmarks.md."""
