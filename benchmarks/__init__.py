"""Benchmarks of Unspool and, in the same run, of Restate and DBOS. See docs/benchmarks.md."""
